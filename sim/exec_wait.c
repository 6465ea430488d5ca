/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernels of products hold all multiprocessors until they end: libraries start
 * as many blocks as there are SMs, and a GPU takes none away. An exchange that
 * gets ready meanwhile waits for that kernel's end, unless the products were
 * told to leave room (gpu/cuda_layer.c has the same rule).
 */
#include "sim/exec_flow.h"
#include "sim/exec_int.h"

#include "base/units.h"

static bool has_products(enum op_kind k)
{
	switch (k) {
	case OP_EXPERT:
	case OP_EXPERT_BWD_DATA:
	case OP_EXPERT_BWD_WEIGHT:
	case OP_SHARED:
	case OP_SHARED_BWD:
		return true;
	default:
		return false;
	}
}

/* Do the two products of the op have an activation between them? */
static bool has_activation(enum op_kind k)
{
	return k != OP_EXPERT_BWD_WEIGHT;
}

void exec_wait_kernels(const struct flow_run *f, struct running *r)
{
	double first;

	if (!f->sharing->sms || !has_products(r->o->kind))
		return;
	first = cost_op_first(f->c, r->o);
	if (!(first > 0))
		return;
	r->kernels = true;
	r->part_s[PART_FLOWS] = first * r->total_s;
	r->part_s[PART_COPIES] = (1 - first) * r->total_s;
}

/* The exchange's limit is what products leave; without one, overlap=weight
 * has the first product of a pass' weights do it. */
static bool leaves_room(const struct flow_run *f, const struct running *r)
{
	const struct plan *p = &f->p->plan;

	if (p->ctas && (r->o->n_chunks > 1 || p->overlap == OVERLAP_WEIGHT))
		return true;
	return r->o->n_chunks == 1 && p->overlap == OVERLAP_WEIGHT &&
		r->o->kind == OP_EXPERT_BWD_WEIGHT && r->part == PART_FLOWS;
}

/*
 * The product began just now. Streams wait for others by events, which takes
 * longer than a launch behind one's own kernel: who had to wait comes second.
 */
static bool comes_first(const struct flow_run *f, const struct running *r)
{
	int d;

	if (f->out->op[f->lane[LANE_COMPUTE].op].start_ps < f->now_ps)
		return false;
	for (d = 0; d < r->o->n_deps; d++) {
		const struct op *dep = &f->p->op[r->o->dep[d]];

		if (dep->lane != r->o->lane &&
		    f->out->op[r->o->dep[d]].finish_ps >= f->now_ps)
			return false;
	}
	return true;
}

/*
 * A direct exchange is no few blocks that wait for a link: its kernels copy and
 * add with every SM, and a product's start with none. While one runs the other
 * stands still.
 */
bool exec_wait_excludes(const struct flow_run *f, int lane)
{
	const struct running *r = &f->lane[lane];
	const struct running *k = &f->lane[LANE_COMPUTE];

	return f->p->plan.alltoall == A2A_DIRECT && r->op >= 0 &&
		op_kind_is_exchange(r->o->kind) && r->part != PART_DELAY &&
		k->op >= 0 && k->kernels && !leaves_room(f, k);
}

/* The same for the lane model, which knows no parts of ops. */
bool exec_takes_sms(const struct program *p, const struct cost *c,
		    const struct op *op)
{
	if (p->plan.alltoall != A2A_DIRECT)
		return false;
	if (op_kind_is_exchange(op->kind))
		return true;
	return has_products(op->kind) && cost_op_first(c, op) > 0 &&
		!(op->n_chunks == 1 && op->kind == OP_EXPERT_BWD_WEIGHT &&
		  p->plan.overlap == OVERLAP_WEIGHT);
}

bool exec_wait_must(const struct flow_run *f, int lane)
{
	const struct running *r = &f->lane[lane];
	const struct running *k = &f->lane[LANE_COMPUTE];

	if (!op_kind_is_comm(r->o->kind) || !(r->total_s > 0) ||
	    k->op < 0 || !k->kernels || leaves_room(f, k))
		return false;
	/* its kernels: the transfer, and the layout's change */
	if (r->part == PART_FLOWS && r->part_s[PART_DELAY] > 0)
		return false;
	if (r->part != PART_COPIES && comes_first(f, r))
		return false;
	return r->passes != k->op || k->part == PART_FLOWS;
}

void exec_wait_release(struct flow_run *f)
{
	const struct running *k = &f->lane[LANE_COMPUTE];
	struct running *r;
	int lane;

	for (lane = LANE_INTRA; lane < LANE_N; lane++) {
		r = &f->lane[lane];
		if (r->op < 0 || !r->waits)
			continue;
		r->waits = false;
		/* what runs when the next product starts keeps its SMs */
		if (k->part == PART_FLOWS && has_activation(k->o->kind))
			r->passes = k->op;
		r->handle = evq_push(f->q, f->now_ps + ps_from_s(r->left_s),
				     (uint64_t)lane);
	}
}
