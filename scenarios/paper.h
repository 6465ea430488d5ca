/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a published paper reports, as data: scenarios/data/papers/NAME.yaml.
 *
 *	name: fsmoe
 *	title: ...
 *	plot: "grid models"	first words of the measures to draw
 *	constants:	numbers that the paper (or a data sheet) gives
 *	  - {name: a.nodes, value: 6, source: "section 6.1"}
 *	assumptions:	what it leaves open, each with its reason
 *	  - {name: interference, value: 0.83, why: "..."}
 *	parts:		of runs in the simulator (sim/repro_run.h); optional
 *	  - {name: a, scenario: NAME, policy: NAME, set: ["KEY=VALUE"],
 *	     why: "..."}	an assumption that is no number
 *	rows:		what it reports
 *	  - {case: "...", measure: "grid a fsmoe", reported: 1.18,
 *	     source: "table 5", note: "why the forecast misses it"}
 *
 * A row from which an assumption was taken says so, gave: NAME: its agreement
 * is no evidence. `reported` may be a range, [1.2, 1.5]. A measure's words mean
 * something to the reproduction of that paper (sim/repro.h) alone, which looks
 * constants and assumptions up by name and never sees `reported`.
 *
 * A constant or an assumption of a part is a key of the scenario, with the
 * part's name before it: "a.model.hidden" is set in every run with part `a`.
 */
#ifndef SCENARIOS_PAPER_H
#define SCENARIOS_PAPER_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>

struct paper_value {
	const char *name;
	double value;
	const char *why;	/* source, or reason of an assumption */
	bool assumed;
};

/* Of a run: a scenario (shipped, or a file beside the paper's), keys of it, a
 * system (sim/rivals.h). */
struct paper_part {
	const char *name;
	const char *scenario, *policy, *why;	/* or NULL */
	int n_sets;
	const char **set;	/* "KEY=VALUE" */
};

#define PAPER_WORDS_MAX 8

struct paper_row {
	const char *name;	/* `case` */
	int n_words;
	const char *word[PAPER_WORDS_MAX];	/* of `measure` */
	double low, high;	/* reported; equal unless a range */
	const char *source;
	const char *note;	/* or NULL */
	const char *gave;	/* an assumption's name, or NULL */
	const char *where;	/* "file:line:col" */
};

struct paper {
	const char *path, *name, *title;
	const char *plot;	/* measures (first words) of the figure, with
				   blanks before and after each */
	int n_values, n_parts, n_rows;
	struct paper_value *value;
	struct paper_part *part;
	struct paper_row *row;
	struct arena arena;
};

/* A shipped name or a path. */
enum status paper_load(struct paper *p, const char *name);
void paper_release(struct paper *p);

/* ST_INPUT when the file lacks that constant or assumption. */
enum status paper_get(const struct paper *p, const char *name,
		      double *value_p);

#endif
