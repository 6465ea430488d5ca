/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What `moecast plan` tells a person: one plain struct, filled from the
 * search's result, and its text in 80 columns. The same struct makes the
 * figures (plan_files.h). All pointers are borrowed; counts may be 0 and
 * optional parts are then left out.
 *
 * Filling it (r: struct search_result, s: struct scenario):
 *
 *	scenario = &s, plan = r.best.plan, time_s = r.best_s,
 *	forward_s = s_from_ps(r.exec.forward_ps),
 *	kind_ps, lane_busy_ps: memcpy() from r.exec,
 *	link[]: net_link_name(r.exec.link[i].link), .utilisation
 *	op[]: program.op[i] with exec.op[i]'s times
 *	baseline[], candidate[]: from r.baseline, r.top
 */
#ifndef REPORTS_PLAN_TEXT_H
#define REPORTS_PLAN_TEXT_H

#include "base/curve.h"
#include "reports/trace.h"
#include "scenarios/scenario.h"

struct buf;

struct report_memory {	/* bytes per GPU, as struct memory_use */
	double parameters, gradients, optimizer, activations, buffers, total;
};

struct report_link {
	const char *name;	/* "node 3 gpu 5 nic up" */
	double utilisation;	/* 0..1 */
};

struct report_baseline {
	const char *system;	/* "sequential", "degree-2", ... */
	struct plan plan;
	double time_s, speedup;	/* of the chosen plan over it */
	const char *outside;	/* why it cannot be the plan, or NULL */
};

struct report_candidate {
	struct plan plan;
	double lane_s, flow_s;	/* flow_s 0: not evaluated there */
	double drop_fraction, padding_fraction, memory_bytes;
	const char *why_not;	/* NULL: feasible; else the plan stands for
				   all degrees when its degrees are 0 */
};

struct report_step {	/* the whole model; time_s 0: not shown */
	double time_s, tokens_per_s;
	double moe_s, dense_s, gradient_s, optimizer_s, bubble_s;
	int batches;
};

struct report_gain {	/* of one technique; see struct tech_gain */
	int tech;
	bool in_plan;
	const char *why_not;
	double alone, with_others;
};

struct report_reason {	/* why plans fell, and how many */
	const char *why;
	uint64_t n;
};

struct plan_report {
	const struct scenario *scenario;
	struct plan plan;	/* the chosen one */
	double time_s;		/* layer, forward and backward */
	double forward_s;
	/* of a block (plan.dense), dense part and layer: the ops below are its;
	 * 0: of a layer alone */
	double block_s, block_forward_s;
	double drop_fraction, padding_fraction;
	double tokens_per_s;	/* all ranks, through this layer, forward and
				   backward; 0: not shown */
	struct report_memory memory;
	struct report_step step;

	uint64_t kind_ps[OP_KIND_N];	/* sum over ops of that kind */
	uint64_t lane_busy_ps[LANES_ALL];
	const struct report_link *link;	/* busiest first */
	int n_links;

	const struct report_baseline *baseline;
	int n_baselines;
	const struct report_candidate *candidate;	/* best first */
	int n_candidates;

	uint64_t evaluated, pruned, infeasible;
	double bound_s;		/* lane time that pruned the others */
	const struct report_gain *gain;	/* may be empty */
	int n_gains;
	const struct report_reason *reason;	/* may be empty */
	int n_reasons;
	double search_s;	/* wall clock; shown only when > 0 */

	const struct report_op *op;	/* for the Gantt chart */
	int n_ops;

	/* what the costs rest on; NULL: "data sheet numbers and the GPU
	 * file's named efficiencies" */
	const char *cost_note;
	/* kind of those efficiencies: assumed, published or measured */
	enum curve_source cost_source;
};

/* `explain`: also the candidates, what pruned the others and why. */
void plan_text(const struct plan_report *r, bool explain, struct buf *out);

/* "2D hierarchical all-to-all, 4 chunks forward, ..." in one sentence. */
void plan_words(const struct plan *p, struct buf *out);

/* "Mixtral-8x7B on 8 x 8 H100-SXM, zipf 0.5 routing": one line. */
void plan_scenario_line(const struct scenario *s, struct buf *out);

/* "simulated; costs: ..." for the text's foot and the figures' heads. */
void plan_provenance(const struct plan_report *r, struct buf *out);

#endif
