/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/program_int.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

enum lane pass_group_lane(const struct cluster *c, int group, int stride)
{
	return group_in_domain(c, group, stride) ? LANE_INTRA : LANE_INTER;
}

int pass_add_op(struct pass *p, enum op_kind kind, enum lane lane)
{
	struct program *o = p->out;
	struct op *op;

	o->op = array_grow(o->op, &o->cap, (size_t)o->n_ops + 1,
			   sizeof(*o->op));
	op = &o->op[o->n_ops];
	*op = (struct op){ .kind = kind, .lane = lane, .n_chunks = 1,
			   .backward = p->backward };
	return o->n_ops++;
}

void pass_add_dep(struct pass *p, int op, int dep)
{
	struct op *o = &p->out->op[op];

	assert(o->n_deps < OP_DEPS_MAX && dep < op);
	o->dep[o->n_deps++] = dep;
}

int pass_add_after(struct pass *p, enum op_kind kind, int dep)
{
	int op = pass_add_op(p, kind, LANE_COMPUTE);

	pass_add_dep(p, op, dep);
	return op;
}

int pass_add_chunk_op(struct pass *p, enum op_kind kind, enum lane lane,
		      int chunk)
{
	int op = pass_add_op(p, kind, lane);

	p->out->op[op].chunk = chunk;
	p->out->op[op].n_chunks = p->degree;
	return op;
}

static void path_add(struct path *path, struct path_op op, int beside)
{
	op.stage = beside ? path->n_stages - 1 : path->n_stages++;
	path->op[path->n++] = op;
}

static void path_add_alltoall(struct path *path, const struct pass *p,
			      enum op_kind kind, int reverse)
{
	const struct plan *plan = &p->out->plan;
	const struct layout *l = &plan->layout;
	struct a2a_step step;
	enum lane lane;
	int i;

	if (l->ep == 1)
		return;		/* every token stays on its rank */
	for (i = 0; i < a2a_table[plan->alltoall].n_steps; i++) {
		step = a2a_step_at(plan->alltoall, reverse, i);
		lane = step.lane;
		if (group_in_domain(p->cluster, l->ep, l->esp))
			lane = LANE_INTRA;
		path_add(path, (struct path_op){ kind, lane, i, 0 },
			 step.beside);
	}
}

static void path_add_esp(struct path *path, const struct pass *p,
			 enum op_kind kind)
{
	int esp = p->out->plan.layout.esp;
	enum lane lane = pass_group_lane(p->cluster, esp, 1);

	if (esp > 1)
		path_add(path, (struct path_op){ kind, lane, 0, 0 }, 0);
}

void pass_paths_make(struct pass *p)
{
	path_add_alltoall(&p->to, p, p->backward ? OP_COMBINE_BWD :
			  OP_DISPATCH, 0);
	path_add_esp(&p->to, p, OP_ALLGATHER);
	path_add_esp(&p->back, p, OP_REDUCESCATTER);
	path_add_alltoall(&p->back, p, p->backward ? OP_DISPATCH_BWD :
			  OP_COMBINE, 1);
}

void pass_add_stage(struct pass *p, const struct path *path, int chunk,
		    int stage)
{
	int i, d, op, n = 0, now[PATH_MAX_OPS];

	for (i = 0; i < path->n; i++) {
		if (path->op[i].stage != stage)
			continue;
		op = pass_add_chunk_op(p, path->op[i].kind, path->op[i].lane,
				  chunk);
		p->out->op[op].step = path->op[i].step;
		for (d = 0; d < p->n_end[chunk]; d++)
			pass_add_dep(p, op, p->end[chunk][d]);
		now[n++] = op;
	}
	memcpy(p->end[chunk], now, (size_t)n * sizeof(now[0]));
	p->n_end[chunk] = n;
}

void pass_add_path(struct pass *p, const struct path *path, int first)
{
	int t, i, n = p->degree - first;

	for (t = 0; t < n + path->n_stages - 1; t++) {
		for (i = 0; i < n && i <= t; i++) {
			if (t - i < path->n_stages)
				pass_add_stage(p, path, first + i, t - i);
		}
	}
}

void pass_ends_set(struct pass *p, int chunk, int op)
{
	p->n_end[chunk] = 1;
	p->end[chunk][0] = op;
}
