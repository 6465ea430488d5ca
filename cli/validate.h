/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside of `moecast validate`: layers, the plans that are run on each, what
 * was foretold and what was measured.
 *
 *	validate_layers.c	where layers come from
 *	validate_plans.c	which plans, and what the forecast says of them
 *	validate_run.c		has the runner run them
 *	validate_replay.c	takes recorded rows instead
 *	validate_judge.c	how far off, in which order
 *	validate_print.c	text, JSON, figures
 */
#ifndef CLI_VALIDATE_H
#define CLI_VALIDATE_H

#include "cli/cli.h"
#include "cli/profile_use.h"
#include "profiles/store.h"
#include "scenarios/layer_text.h"
#include "scenarios/plan.h"

/* One plan on one layer. */
struct trial {
	struct plan plan;
	char why[SAMPLE_TEXT];	/* "#1", "degree-2", "other", ... */
	double forward_s, step_s;	/* foretold */
	bool allowed;		/* drops no more than constraints.max_drop */
	double measured_forward_s, measured_step_s;	/* 0: not measured */
	int64_t wrong;		/* of its rows; -1: not checked */
};

/* One layer with its routing on one tier of one machine. */
struct contest {
	struct scenario s;
	struct profile_use use;
	char tier[SAMPLE_TEXT];
	char line[SAMPLE_LONG];	/* scenarios/layer_text.h; "": cannot be told */
	struct trial *trial;	/* owned */
	size_t n, cap;
	char chosen[SAMPLE_LONG];	/* text of the planner's choice, or "" */
};

struct contests {
	struct contest **c;	/* owned, each by itself: scenarios stay where
				   they are */
	size_t n, cap;
	struct profile_cache cache;
};

struct validate {
	struct cli_common common;
	const char *db, *replay, *layers, *backend, *runner, *tier, *out_dir;
	int plans, spread, seed;
	double tolerance, budget_s, deadline_s;
	struct store *store;	/* NULL: none */
	bool has_benchmarks;	/* the database, of something but layers */
};

/* Zeroed, at the end of the list. */
struct contest *contests_add(struct contests *all);
void contests_release(struct contests *all);

/* From the scenario, or one for each line of the file of layers. */
enum status validate_layers(const struct validate *v, struct contests *all);
/* The costs that its forecasts take: the database's, else as ever. */
enum status contest_costs(const struct validate *v, struct contests *all,
			  struct contest *c);

/* Adds a plan unless it is there; NULL when it is. */
struct trial *contest_add(struct contest *c, const struct plan *p,
			  const char *why);
/* The planner's best, the baselines, a spread of others; and foretells. */
enum status validate_plans(const struct validate *v, struct contests *all);
/* Fills forward_s and step_s. */
enum status contest_foretell(struct contest *c);

enum status validate_run(const struct validate *v, struct contests *all);
enum status validate_replay(const struct validate *v, struct contests *all);
/* The layers of a database; `name` is for warnings. There may be none. */
enum status validate_rows(const struct validate *v, struct store *db,
			  const char *name, struct contests *all);

/* ---- judging ---- */

struct verdict {
	int n;			/* plans that were measured */
	double mean, p95;	/* absolute errors */
	double tau;		/* NAN: no order */
	double tau_apart;	/* of pairs that differ by more than that: */
#define TAU_APART 0.02
	/* among plans that the constraints allow */
	double regret;
	bool chosen_fastest;
	int chosen, fastest;	/* trials; -1: none */
	int wrong;		/* plans with wrong results */
};

void contest_judge(const struct contest *c, struct verdict *out);

struct summary {
	struct verdict *each;	/* owned, [contests] */
	int n, wrong;
	double mean, p95, worst;	/* of all rows */
	double tau, tau_least, tau_apart;	/* mean and least of layers */
	double regret, regret_most;	/* likewise */
	double chosen_fastest;	/* share of the layers */
	double forward_mean;	/* mean error of the forward passes */
};

void validate_judge(const struct contests *all, struct summary *out);
void summary_release(struct summary *s);

enum status validate_print(const struct validate *v,
			   const struct contests *all,
			   const struct summary *s);
enum status validate_draw(const struct validate *v,
			  const struct contests *all);
/* One figure (.svg or .png): all steps; the plans of a layer in order. */
enum status validate_draw_scatter(const struct contests *all,
				  const char *path);
enum status validate_draw_ranking(const struct contest *c, const char *path);

#endif
