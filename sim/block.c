/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/block.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/gaps.h"
#include "sim/order_search.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

const int block_pieces[BLOCK_PIECES] = { 1, 2, 4, 8, 16, 32,
					 PLAN_PIECES_MAX };

/* On the way of a chunk back to the next block? */
static bool is_way_back(const struct op *o)
{
	return o->kind == OP_REDUCESCATTER || o->kind == OP_COMBINE ||
		o->kind == OP_UNPERMUTE || o->kind == OP_DISPATCH_BWD ||
		o->kind == OP_PERMUTE_BWD || o->kind == OP_GATE_BWD;
}

uint64_t block_end_ps(const struct program *p, int pass,
		      const uint64_t *duration_ps)
{
	int first = pass ? p->n_forward : 0, d;
	int end = pass ? p->n_ops : p->n_forward;
	uint64_t *done, most = 0;

	if (p->plan.dense != DENSE_CHUNKS)
		return 0;
	done = xcalloc((size_t)p->n_ops, sizeof(*done));
	for (int i = first; i < end; i++) {
		const struct op *o = &p->op[i];

		/* chunk 0 is the block before's last */
		if (o->chunk || !is_way_back(o))
			continue;
		for (d = 0; d < o->n_deps; d++) {
			if (done[o->dep[d]] > done[i])
				done[i] = done[o->dep[d]];
		}
		done[i] += duration_ps[i];
		most = done[i] > most ? done[i] : most;
	}
	free(done);
	return most;
}

/* A block's share of the end. */
static double end_s(const struct model *m, const struct program *p, int pass,
		    const uint64_t *duration_ps)
{
	double blocks = fmax(1, (double)m->moe_layers / p->plan.layout.pp);

	return s_from_ps(block_end_ps(p, pass, duration_ps)) / blocks;
}

bool block_is_piece(const struct op *o)
{
	return o->kind == OP_ALLREDUCE_GATE && o->step == ALLREDUCE_DENSE;
}

void block_lanes(const struct program *p, const uint64_t *duration_ps,
		 uint64_t pass_ps[2])
{
	uint64_t lane[LANES_ALL] = { 0 }, both = 0;
	uint64_t *end = xcalloc((size_t)p->n_ops, sizeof(*end));

	for (int i = 0; i < p->n_ops; i++) {
		const struct op *o = &p->op[i];
		uint64_t at = lane[o->lane];

		for (int d = 0; d < o->n_deps; d++)
			at = end[o->dep[d]] > at ? end[o->dep[d]] : at;
		end[i] = lane[o->lane] = at + duration_ps[i];
		both = end[i] > both ? end[i] : both;
		if (i + 1 == p->n_forward)
			pass_ps[0] = both;
	}
	pass_ps[1] = both - pass_ps[0];
	free(end);
}

void block_without_ps(const struct program *p, const uint64_t *duration_ps,
		      uint64_t pass_ps[2])
{
	uint64_t *t = xcalloc((size_t)p->n_ops, sizeof(*t));

	for (int i = 0; i < p->n_ops; i++)
		t[i] = block_is_piece(&p->op[i]) ? 0 : duration_ps[i];
	block_lanes(p, t, pass_ps);
	free(t);
}

double block_pass_s(const struct scenario *s, const struct program *p,
		    const struct cost *c, int pass, uint64_t pass_ps,
		    const uint64_t *duration_ps)
{
	double m = s->training.micro_batches, last, others;
	double end = end_s(&s->model, p, pass, duration_ps);
	uint64_t without[2];

	if (!pass)
		return s_from_ps(pass_ps) + end - cost_apart_s(c, 0, false);
	block_without_ps(p, duration_ps, without);
	last = s_from_ps(pass_ps) - cost_apart_s(c, 1, true);
	others = s_from_ps(without[1]) - cost_apart_s(c, 1, false);
	return last / m + others * (m - 1) / m + end;
}

double block_sums_s(const struct scenario *s, const struct program *p,
		    const struct cost *c, uint64_t pass_ps,
		    const uint64_t *duration_ps)
{
	uint64_t without[2];
	double last, others;

	block_without_ps(p, duration_ps, without);
	last = s_from_ps(pass_ps) - cost_apart_s(c, 1, true);
	others = s_from_ps(without[1]) - cost_apart_s(c, 1, false);
	return (last - others) / s->training.micro_batches;
}

/* How long the ops of a run took. */
static uint64_t *durations(const struct program *p,
			   const struct exec_result *run)
{
	uint64_t *t = xcalloc((size_t)p->n_ops, sizeof(*t));

	for (int i = 0; i < p->n_ops; i++)
		t[i] = run->op[i].finish_ps - run->op[i].start_ps;
	return t;
}

void block_run_s(const struct scenario *s, const struct program *p,
		 const struct cost *c, const struct exec_result *run,
		 double pass_s[2])
{
	const uint64_t ps[2] = { run->forward_ps,
				 run->time_ps - run->forward_ps };
	uint64_t *t = durations(p, run);

	for (int pass = 0; pass < 2; pass++)
		pass_s[pass] = p->plan.dense ?
			block_pass_s(s, p, c, pass, ps[pass], t) :
			s_from_ps(ps[pass]);
	free(t);
}

void block_whole_s(const struct model *m, const struct program *p,
		   const struct exec_result *run, bool sums, double pass_s[2])
{
	uint64_t ps[2] = { run->forward_ps, run->time_ps - run->forward_ps };
	uint64_t *t = durations(p, run);

	if (!sums)
		block_without_ps(p, t, ps);
	for (int pass = 0; pass < 2; pass++)
		pass_s[pass] = s_from_ps(ps[pass]) + end_s(m, p, pass, t);
	free(t);
}

/* The plan with its pieces in the gaps, and its backward pass. */
static enum status fill(const struct scenario *s, const struct cost *c,
			struct plan *plan, double *backward_s, double *sums_s)
{
	const struct cluster *cl = &s->cluster;
	struct program prog;
	uint64_t *t, pass_ps[2];
	enum status st = program_lower(plan, cl, &s->model, &prog);

	if (!st && gaps_fill(&prog, c, &plan->order[1])) {
		program_release(&prog);
		st = program_lower(plan, cl, &s->model, &prog);
	}
	if (st)
		return st;
	t = xcalloc((size_t)prog.n_ops, sizeof(*t));
	order_durations(&prog, c, t);
	block_lanes(&prog, t, pass_ps);
	*backward_s = block_pass_s(s, &prog, c, 1, pass_ps[1], t);
	*sums_s = block_sums_s(s, &prog, c, pass_ps[1], t);
	free(t);
	program_release(&prog);
	return ST_OK;
}

enum status block_place_pieces(const struct scenario *s, const struct cost *c,
			       const int *pieces, int n, struct plan *plan,
			       double *backward_s, double *sums_s)
{
	struct plan best = *plan;
	enum status st = ST_OK;

	assert(plan->dense);
	*backward_s = INFINITY;
	for (int i = 0; i < n && !st; i++) {
		struct plan p = *plan;
		double pass_s, sums;

		p.dense_pieces = pieces[i] > 1 ? pieces[i] : 0;
		st = fill(s, c, &p, &pass_s, &sums);
		if (!st && pass_s < *backward_s) {
			*backward_s = pass_s;
			if (sums_s)
				*sums_s = sums;
			best = p;
		}
	}
	*plan = best;
	return st;
}

void block_set_chunks(struct plan *p)
{
	p->technique_mask &= ~(1u << TECH_BASELINE);
	p->technique_mask |= 1u << TECH_ATTENTION;
	p->dense = DENSE_CHUNKS;
	p->dense_pieces = 0;
	p->overlap = OVERLAP_NONE;
	p->order[0] = p->order[1] = (struct pass_order){ 0 };
}

void block_clear(struct plan *p)
{
	p->technique_mask &= ~(1u << TECH_ATTENTION);
	if (!p->technique_mask)
		p->technique_mask = 1u << TECH_BASELINE;
	if (!p->dense)
		return;
	p->dense = DENSE_APART;
	p->dense_pieces = 0;
	p->order[0] = p->order[1] = (struct pass_order){ 0 };
}
