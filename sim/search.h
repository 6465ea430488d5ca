/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The planner: which plan is fastest for a scenario, and why.
 *
 * Enumerates layouts x capacity x all-to-all algorithm x limit of CTAs x
 * degree forward x degree backward, drops what breaks a constraint (max_drop, memory), skips
 * what a lower bound shows cannot win, evaluates the rest in the lane model
 * and the best few again in the flow model. Exact within the lane model: the
 * best lane time equals brute force's (tests/unit/test_search.c).
 */
#ifndef SIM_SEARCH_H
#define SIM_SEARCH_H

#include "sim/exec.h"
#include "sim/rivals.h"

struct candidate {
	struct plan plan;
	double lane_s;		/* lane model; the bound when pruned */
	double value_s;		/* what lane_s counts when layouts compete */
	double step_s;		/* with several layout.pp: a step in the flow
				   model, in the same measure; else 0 */
	double flow_s;		/* flow model; 0 when not evaluated there */
	double drop_fraction;
	double padding_fraction;
	struct memory_use memory;
	const char *why_not;	/* NULL: feasible; else static text */
};

struct baseline {
	char system[32];	/* "sequential", "degree-2", ... */
	struct plan plan;
	double time_s, speedup;	/* of the best plan over it */
	/* why it cannot be the plan, though it may be faster: a limit, or what
	 * the scenario does not let search; NULL: it can; static text */
	const char *outside;
};

#define BASELINES_MAX (KNOB_MAX + 2 + RIVALS_MAX)

/* What a technique does for the best plan, other knobs as they are. */
struct tech_gain {
	int tech;
	bool in_plan;
	const char *why_not;	/* NULL: it can be used; static text */
	double alone;		/* time without any by time with it alone */
	/* in the plan: time without it by the plan's; else the plan's by the
	 * time with it (and without those that it excludes); 0: unknown */
	double with_others;
};
#define REASONS_MAX 16

struct reason {	/* why plans were left out, and how many */
	const char *why;	/* static text */
	uint64_t n;
};

struct search_result {
	struct candidate best;
	double best_s;		/* = best.flow_s */
	struct candidate *top;	/* best first, owned */
	int n_top;
	struct baseline baseline[BASELINES_MAX];
	int n_baselines;
	struct tech_gain gain[TECH_N];
	int n_gains;
	uint64_t evaluated, pruned, infeasible;
	struct reason reason[REASONS_MAX];	/* of the infeasible */
	int n_reasons;
	double bound_s;		/* lane time that a bound had to beat */
	/* groups (layout, capacity, algorithm, limit) left out, lowest
	 * bound first: why_not says why, lane_s is the bound, the degrees
	 * are 0 (all of them); owned */
	struct candidate *rejected;
	int n_rejected;
	double search_s;	/* wall clock */
	struct program program;	/* of the best plan */
	struct exec_result exec;	/* its run in the flow model */
	double pass_s[2];	/* of the layer in that run, also of a block
				   (sim/block.h): forward, backward */
	double token_s;	/* where `gradient-partition` is allowed: a step of
			   the model with it, or of blocks, by its tokens; else
			   0 */
};

struct search_options {
	int top;		/* candidates to keep, >= 1 */
	int rejected;		/* left-out groups to keep, may be 0 */
	bool brute_force;	/* no pruning: for tests */
	bool lane_only;		/* no flow model: flow_s = lane_s; for tests
				   and sweeps */
	bool no_systems;	/* no published systems among the baselines */
	const struct progress *progress;	/* or NULL */
};

/*
 * ST_INPUT when no plan meets the constraints: the message says which one
 * stood in the way of the plan that came closest.
 */
enum status search_run(const struct scenario *s, const struct search_options *o,
		       struct search_result *out);
void search_release(struct search_result *r);

/* One plan of a scenario, evaluated: what `simulate` does. */
struct evaluation {
	struct net net;
	struct routing routing;
	struct workload workload;	/* as the techniques leave it */
	struct tech_effect effect;
	struct cost *cost;
	struct program program;
	struct exec_result exec;
	struct memory_use memory;
	double pass_s[2];	/* of the layer, also of a block
				   (sim/block.h): forward, backward */
	double memory_room;	/* bytes that it may use; 0: not known */
};

/* `progress`: of its exchanges, one after the other; or NULL. */
enum status evaluate_plan(const struct scenario *s, const struct plan *p,
			  enum exec_model model,
			  const struct progress *progress, struct evaluation *out);
void evaluation_release(struct evaluation *e);

/*
 * The first layout that fits the memory, else the first; one chunk, flat,
 * dropless, no technique, where `search` names no single value.
 */
enum status evaluate_default_plan(const struct scenario *s, struct plan *out);

/* Is there room for the plan in the GPU's memory and constraints.memory? */
enum status evaluate_fits(const struct scenario *s, const struct plan *p,
			  bool *fits);

#endif
