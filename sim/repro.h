/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A paper's reported numbers, forecast again. A paper whose file has parts of
 * runs is run in the simulator (sim/repro_run.h); another is a function of
 * this table that reads constants and assumptions by name, and for each row of
 * the paper's file answers its measure. Both get the words of the measure,
 * never what was reported.
 */
#ifndef SIM_REPRO_H
#define SIM_REPRO_H

#include "scenarios/paper.h"

struct repro;

struct repro_row {	/* one of the papers */
	const char *name;
	/* reads the constants; *out_p for measure() and close() */
	enum status (*open)(const struct paper *p, struct repro **out_p);
	enum status (*measure)(struct repro *r, int n, const char *const *word,
			       double *value_p);
	void (*close)(struct repro *r);
};

extern const struct repro_row repro_table[];	/* ends with a NULL name */

struct repro_result {
	int n;
	double *predicted;	/* [n], one per row of the paper; owned */
	double *error;		/* relative; against the nearer end of a
				   range, 0 inside; owned */
	double mean_abs_error;
	/* of rows that no assumption was taken from, and how many */
	double mean_free_error;
	int n_free;
};

/* All rows of the paper; ST_INPUT for a measure that it does not know. */
enum status repro_run(const struct paper *p, struct repro_result *out);
void repro_release(struct repro_result *r);

/* For the papers: "PATH: unknown measure 'a b c'". */
enum status repro_unknown(int n, const char *const *word);

/* Several constants at once; stops at the first that is missing. */
struct repro_want {
	const char *name;
	double *value_p;
	double least;		/* smallest that makes sense, 0: any */
};
enum status repro_get(const struct paper *p, const char *prefix,
		      const struct repro_want *want, int n);

/* One open, measure, close for each paper. */
#define REPRO_PAPER(name) \
	enum status repro_##name##_open(const struct paper *p, \
					struct repro **out_p); \
	enum status repro_##name##_measure(struct repro *r, int n, \
					   const char *const *word, \
					   double *value_p); \
	void repro_##name##_close(struct repro *r)

REPRO_PAPER(fsmoe);

#endif
