/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks: a dense part (attention) and its MoE layer in one program
 * (plan.dense), and their time beside a layer's.
 *
 * A pass of a block counts for its time less what others run apart, as the
 * mean of a step's micro-batches: gradients are summed in the last of them
 * alone. With T its time, T' that without the all-reduce, A the dense part, R
 * the all-reduce, m micro-batches, and of L blocks one after the other in
 * chunks the last chunk's way back from the last, D,
 *
 *	forward		T - A + D / L
 *	backward	(T - max(A, R)) / m + (T' - A) (m - 1) / m + D / L
 */
#ifndef SIM_BLOCK_H
#define SIM_BLOCK_H

#include "sim/cost.h"
#include "sim/exec.h"

/* A piece of the all-reduce of the dense part's gradients? */
bool block_is_piece(const struct op *o);

/* The lane model with these durations: forward and backward pass. */
void block_lanes(const struct program *p, const uint64_t *duration_ps,
		 uint64_t pass_ps[2]);

/* The same, but no time for those pieces. */
void block_without_ps(const struct program *p, const uint64_t *duration_ps,
		      uint64_t pass_ps[2]);

/* D above, of a run with these durations; 0 but for dense=chunks. */
uint64_t block_end_ps(const struct program *p, int pass,
		      const uint64_t *duration_ps);

/* A pass of a block as above, of a run in which it took pass_ps, its ops
 * duration_ps[n_ops]. */
double block_pass_s(const struct scenario *s, const struct program *p,
		    const struct cost *c, int pass, uint64_t pass_ps,
		    const uint64_t *duration_ps);

/* Of a backward pass as above, what the sums are: by how much the mean of the
 * micro-batches is longer than those without them. */
double block_sums_s(const struct scenario *s, const struct program *p,
		    const struct cost *c, uint64_t pass_ps,
		    const uint64_t *duration_ps);

/* Both passes of a run as above; of a layer alone as they are. */
void block_run_s(const struct scenario *s, const struct program *p,
		 const struct cost *c, const struct exec_result *run,
		 double pass_s[2]);

/*
 * Both passes of a block's run as they are, D / L included; without `sums` as
 * they are in all micro-batches but the last.
 */
void block_whole_s(const struct model *m, const struct program *p,
		   const struct exec_result *run, bool sums, double pass_s[2]);

/*
 * In how many pieces the gradients of plan->dense are summed, and where they
 * stand among the exchanges (sim/gaps.h): that of pieces[n] which is fastest
 * in the lane model. *backward_s: the backward pass as above, *sums_s (or
 * NULL) what of it the sums are.
 */
enum status block_place_pieces(const struct scenario *s, const struct cost *c,
			       const int *pieces, int n, struct plan *plan,
			       double *backward_s, double *sums_s);

/* 1, 2, 4, ... to PLAN_PIECES_MAX: FlowMoE's search looks at about as many. */
#define BLOCK_PIECES 7
extern const int block_pieces[BLOCK_PIECES];

/* Makes a block in chunks of a layer's plan, with the technique's bit. */
void block_set_chunks(struct plan *p);
/* The plan of the layer alone. */
void block_clear(struct plan *p);

#endif
