/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One plan of a scenario from end to end: what `moecast simulate` does. */
#include "sim/search.h"

#include <stdlib.h>

/* The workload must be there; fills cost, program, exec, memory. */
static enum status run_plan(const struct scenario *s, const struct plan *p,
			    enum exec_model model, struct evaluation *e)
{
	struct cost_spec spec = {
		.net = &e->net,
		.model = &s->model,
		.workload = &e->workload,
		.layout = p->layout,
		.alltoall = p->alltoall,
		.comm = s->comm,
		.measured = s->measured,
		.tolerance = s->search.flow_tolerance,
		.keep_flows = true,
	};
	enum status st = cost_new(&spec, &e->cost);

	if (st)
		return st;
	st = program_lower(p, &s->cluster, &s->model, &e->program);
	if (st)
		return st;
	st = exec_run(&e->program, e->cost, model, &e->exec);
	if (st)
		return st;
	memory_estimate(s, p, &e->workload, &e->memory);
	if (getenv("MOECAST_CHECK")) {
		program_check(&e->program);
		exec_check(&e->program, &e->exec);
	}
	return ST_OK;
}

/* Releases are harmless on what was not made: all of it starts zeroed. */
enum status evaluate_plan(const struct scenario *s, const struct plan *p,
			  enum exec_model model, struct evaluation *out)
{
	enum status st = layout_check(&p->layout, &s->cluster, &s->model);

	if (st)
		return st;
	*out = (struct evaluation){ 0 };
	st = net_init(&out->net, &s->cluster, NET_EFFECTIVE);
	if (!st) {
		st = routing_make(&s->routing, &s->model, &p->layout,
				  cluster_gpus(&s->cluster), &out->routing);
	}
	if (!st) {
		st = workload_make(&out->routing, &s->cluster, &s->model,
				   &p->layout, p->capacity_factor,
				   &out->workload);
	}
	if (!st)
		st = run_plan(s, p, model, out);
	if (st)
		evaluation_release(out);
	return st;
}

void evaluation_release(struct evaluation *e)
{
	exec_release(&e->exec);
	program_release(&e->program);
	cost_free(e->cost);
	workload_release(&e->workload);
	routing_release(&e->routing);
	net_release(&e->net);
	*e = (struct evaluation){ 0 };
}
