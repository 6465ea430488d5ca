/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One plan of a scenario from end to end: what `moecast simulate` does. */
#include "sim/search.h"

#include "sim/block.h"
#include "sim/dense.h"
#include "sim/limit.h"
#include "sim/order_search.h"
#include "sim/search_priv.h"

#include <stdlib.h>

/*
 * The program. A plan that names a technique of the program alone, but has no
 * order, or no attention in it, gets the best; the program's plan has it.
 */
static enum status lower_scheduled(const struct scenario *s,
				   const struct plan *p, struct evaluation *e)
{
	struct plan q = *p;
	enum status st = ST_OK;
	double backward_s;

	if (p->technique_mask & 1u << TECH_ORDER &&
	    order_is_default(p->order) && !p->overlap)
		st = order_plan(&s->cluster, &s->model, e->cost, &q);
	if (p->technique_mask & 1u << TECH_ATTENTION && !p->dense) {
		block_set_chunks(&q);
		st = block_place_pieces(s, e->cost, block_pieces, BLOCK_PIECES,
					&q, &backward_s, NULL);
	}
	return st ? st : program_lower(&q, &s->cluster, &s->model,
				       &e->program);
}

static double dense_bytes(const struct scenario *s, const struct plan *p)
{
	struct dense dense;

	dense_init(&dense, &s->cluster.gpu, &s->model, &p->layout);
	return p->dense || p->technique_mask & 1u << TECH_ATTENTION ?
		dense_gradient_bytes(&dense) : p->gradient_bytes;
}

/* The workload must be there; fills cost, program, exec, memory. */
static enum status run_plan(const struct scenario *s, const struct plan *p,
			    enum exec_model model,
			    const struct progress *progress,
			    struct evaluation *e)
{
	struct cost_spec spec = {
		.net = &e->net,
		.model = &s->model,
		.workload = &e->workload,
		.layout = p->layout,
		.alltoall = p->alltoall,
		.effect = &e->effect,
		.comm = s->comm,
		.measured = s->measured,
		.progress = progress,
		.tolerance = s->search.flow_tolerance,
		.keep_flows = true,
		.dense_bytes = dense_bytes(s, p),
	};
	enum status st = cost_new(&spec, &e->cost);

	if (!st)
		st = lower_scheduled(s, p, e);
	if (!st)
		st = exec_run(&e->program, e->cost, model, &e->exec);
	if (st)
		return st;
	block_run_s(s, &e->program, e->cost, &e->exec, e->pass_s);
	memory_estimate(s, p, &e->workload, &e->memory);
	e->memory.buffers += e->effect.memory_bytes;
	e->memory.total += e->effect.memory_bytes;
	e->memory_room = search_memory_room(s);
	if (getenv("MOECAST_CHECK")) {
		program_check(&e->program);
		exec_check(&e->program, &e->exec);
	}
	return ST_OK;
}

static enum status make_workload(const struct scenario *s,
				 const struct plan *p, struct evaluation *e)
{
	enum status st = routing_make(&s->routing, &s->model, &p->layout,
				      cluster_gpus(&s->cluster), &e->routing);

	struct tech_cache cache = { 0 };
	struct tech_place at = { s, &p->layout, &e->routing, &cache,
				 p->capacity_factor };

	if (!st)
		st = workload_make(&e->routing, &s->cluster, &s->model,
				   &p->layout, p->capacity_factor,
				   &e->workload);
	if (!st && !technique_mask_fits(p->technique_mask))
		st = err_set(ST_INPUT, "plan: 'techniques' holds some that "
			     "cannot be used together");
	if (!st)
		st = tech_apply(&at, p->technique_mask, &e->workload,
				&e->effect);
	if (!st && e->effect.why_not)
		st = err_set(ST_INPUT, "plan: these techniques cannot be used "
			     "here: %s", e->effect.why_not);
	tech_cache_release(&cache);
	return st;
}

/* Releases are harmless on what was not made: all of it starts zeroed. */
enum status evaluate_plan(const struct scenario *s, const struct plan *p,
			  enum exec_model model,
			  const struct progress *progress,
			  struct evaluation *out)
{
	enum status st = layout_check(&p->layout, &s->cluster, &s->model);
	const char *why;

	if (st)
		return st;
	why = direct_why_not_plan(&s->cluster, p, &s->model);
	if (why)
		return err_set(ST_INPUT, "plan: 'alltoall' is 'direct', but "
			       "%s", why);
	*out = (struct evaluation){ 0 };
	st = limit_net(&s->cluster, p->ctas, &out->net);
	if (st == ST_INPUT && p->ctas)
		st = err_prefix(st, "plan");
	if (!st)
		st = make_workload(s, p, out);
	if (!st)
		st = run_plan(s, p, model, progress, out);
	if (st)
		evaluation_release(out);
	return st;
}

enum status evaluate_fits(const struct scenario *s, const struct plan *p,
			  bool *fits)
{
	double room = search_memory_room(s);
	struct evaluation e = { 0 };
	enum status st = make_workload(s, p, &e);

	if (!st) {
		memory_estimate(s, p, &e.workload, &e.memory);
		*fits = !(room > 0) || e.memory.total <= room;
	}
	evaluation_release(&e);
	return st;
}

/* The one algorithm that the scenario names, else flat. */
static enum a2a_alg single_alg(unsigned mask)
{
	int i;

	for (i = 0; i < A2A_N; i++) {
		if (mask == 1u << i)
			return (enum a2a_alg)i;
	}
	return A2A_FLAT;
}

/* The first that fits into memory; the first when none does. */
static enum status default_layout(const struct scenario *s,
				  const struct layout *layout, int n,
				  struct plan *p)
{
	bool fits = false;
	enum status st = ST_OK;
	int i;

	for (i = 0; i < n && !st && !fits; i++) {
		p->layout = layout[i];
		st = evaluate_fits(s, p, &fits);
	}
	if (!fits)
		p->layout = layout[0];
	return st;
}

enum status evaluate_default_plan(const struct scenario *s, struct plan *out)
{
	const struct search_space *x = &s->search;
	struct layout *layout;
	int n, degree = x->degree.n == 1 ? x->degree.v[0] : 1;
	enum status st = layout_enumerate(s, &layout, &n);

	if (st)
		return st;
	*out = (struct plan){
		.alltoall = single_alg(x->alltoall_mask),
		.degree_forward = degree,
		.degree_backward = degree,
		.capacity_factor = x->capacity.n == 1 ? x->capacity.v[0] : 0,
		.technique_mask = technique_mask_fits(x->technique_mask) ?
			x->technique_mask : 1u << TECH_BASELINE,
		.ctas = x->ctas.n == 1 ? x->ctas.v[0] : 0,
	};
	st = default_layout(s, layout, n, out);
	free(layout);
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
