/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Published systems beside the chosen plan, and what each technique gains in
 * it: plans like the chosen one, with other knobs, in the flow model.
 */
#include "sim/search_priv.h"

#include "base/mem.h"
#include "sim/block.h"
#include "sim/rivals.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_flow_run(const struct candidate *k)
{
	return k->flow_s > 0;
}

/* A time that was found before, or the flow model's. */
static enum status time_once(struct search *x, const struct search_result *r,
			     struct candidate *k)
{
	for (int i = 0; i < r->n_baselines; i++) {
		if (plan_same(&r->baseline[i].plan, &k->plan)) {
			k->flow_s = r->baseline[i].time_s;
			return ST_OK;
		}
	}
	for (int i = 0; i < x->top.n; i++) {
		const struct candidate *t = &x->top.item[i];

		if (is_flow_run(t) && plan_same(&t->plan, &k->plan)) {
			*k = *t;
			return ST_OK;
		}
	}
	return search_flow_time(x, k);
}

/* ---- rivals ---- */

static void set_rival_degrees(struct search *x, const struct rival_row *r)
{
	x->n_degrees = 0;
	if (r->piece_bytes > 0) {
		double bytes = traffic_busiest(&x->work.dispatch);

		x->degree[x->n_degrees++] = rival_pieces(r, bytes);
		return;
	}
	while (x->n_degrees < RIVAL_DEGREES && r->degree[x->n_degrees]) {
		x->degree[x->n_degrees] = r->degree[x->n_degrees];
		x->n_degrees++;
	}
}

/* The rival's choice of degrees for the group, by lane times. */
static enum status pick_degrees(struct search *x, const struct rival_row *r,
				const struct group *g, struct candidate *best)
{
	struct degree_times t;
	struct cost *c;
	enum status st = search_memo_cost(x, g, &c);

	if (!st)
		st = search_time_degrees(x, g, c, &t);
	for (int i = 0; i < x->n_degrees * x->n_degrees && !st; i++) {
		int f = i / x->n_degrees, b = i % x->n_degrees;
		double s = t.forward_s[f] + t.backward_s[b];

		if ((r->one_degree && f != b) || s >= best->lane_s)
			continue;
		*best = search_candidate(x, g, x->degree[f], x->degree[b]);
		best->lane_s = s;
	}
	return st;
}

/* As many of its techniques as can be used within the limits: dropped from
 * the first of the table on. */
static enum status set_rival_techs(struct search *x,
				   const struct rival_row *r, struct group *g)
{
	unsigned left = r->techniques;
	enum status st;

	for (;;) {
		g->tech = left ? left : 1u << TECH_BASELINE;
		st = search_at(x, g->layout, g->factor, g->tech);
		if (st || !left || !search_tech_broken(x))
			return st;
		left &= left - 1;
	}
}

/* The rival's plan in a layout; it does without techniques that cannot be
 * used. */
static enum status plan_in_layout(struct search *x, const struct rival_row *r,
				  struct group g, struct candidate *best)
{
	enum status st;

	g.ctas = 0;	/* no published system limits them */
	if (r->exact_counts)
		g.factor = 0;
	st = set_rival_techs(x, r, &g);
	if (st)
		return st;
	g.drop = x->work.drop_fraction;
	g.padding = x->work.padding_fraction;
	set_rival_degrees(x, r);
	best->lane_s = INFINITY;
	for (int a = 0; a < A2A_N && !st; a++) {
		g.alg = (enum a2a_alg)a;
		if (r->alltoall & 1u << a)
			st = pick_degrees(x, r, &g, best);
	}
	if (!st)
		search_memory(x, best);
	return st;
}

/* ---- rivals that choose a layout ---- */

/* The layout's number; it is added when it is new. */
static int layout_number(struct search *x, const struct layout *l)
{
	int i = 0;

	while (i < x->n_all_layouts &&
	       memcmp(&x->layout[i], l, sizeof(*l)))
		i++;
	if (i == x->n_all_layouts) {
		x->layout = xrealloc_array(x->layout, (size_t)i + 1,
					   sizeof(*l));
		x->layout[x->n_all_layouts++] = *l;
	}
	return i;
}

static bool fits_memory(const struct search *x, const struct candidate *k)
{
	double room = search_memory_room(x->s);

	return !(room > 0) || k->memory.total <= room;
}

/* Does a chunk's exchange take longer than its products? */
static enum status exchange_is_longer(struct search *x,
				      const struct candidate *k, bool *out)
{
	struct group g = search_plan_group(x, &k->plan);
	struct op op = { .n_chunks = k->plan.degree_forward };
	struct cost *c;
	enum status st = search_at(x, g.layout, g.factor, g.tech);
	double exchange_s = 0;

	if (!st)
		st = search_memo_cost(x, &g, &c);
	if (st)
		return st;
	op.kind = OP_DISPATCH;
	for (; op.step < a2a_table[g.alg].n_steps; op.step++)
		exchange_s += cost_op(c, &op);
	op.step = 0;
	op.kind = OP_EXPERT;
	*out = exchange_s > cost_op(c, &op);
	return ST_OK;
}

/* In a layout that is possible but may not fit the memory: then as before. */
static enum status move_to(struct search *x, const struct rival_row *r,
			   const struct layout *l, struct candidate *best,
			   bool *moved)
{
	struct group g = search_plan_group(x, &best->plan);
	struct candidate k = { 0 };
	enum status st;

	g.layout = layout_number(x, l);
	st = plan_in_layout(x, r, g, &k);
	*moved = !st && fits_memory(x, &k);
	if (*moved)
		*best = k;
	return st;
}

static enum status pack(struct search *x, const struct rival_row *r,
			struct candidate *best)
{
	bool go_on = true;
	struct layout l;

	while (go_on && rival_packed(&best->plan.layout, &x->s->cluster,
				     &x->s->model, &l)) {
		enum status st = exchange_is_longer(x, best, &go_on);

		if (!st && go_on)
			st = move_to(x, r, &l, best, &go_on);
		if (st)
			return st;
	}
	return ST_OK;
}

static enum status rival_plan(struct search *x, const struct rival_row *r,
			      const struct candidate *like,
			      struct candidate *best)
{
	enum status st = plan_in_layout(x, r, search_plan_group(x, &like->plan),
					best);
	struct candidate flat = *best;
	struct layout l;
	bool moved;

	if (!st && r->packs)
		st = pack(x, r, best);
	if (!st && r->dense)
		st = search_block(x, r, best);
	if (st || !r->groupwise ||
	    !rival_groupwise(&flat.plan.layout, &x->s->cluster, &x->s->model,
			     &l))
		return st;
	st = move_to(x, r, &l, best, &moved);
	if (!st && best->lane_s >= flat.lane_s)
		*best = flat;
	return st;
}

enum status search_rivals(struct search *x, const struct candidate *like,
			  struct search_result *out)
{
	int degree[KNOB_MAX], n_degrees = x->n_degrees;
	enum status st = ST_OK;

	memcpy(degree, x->degree, sizeof(degree));
	for (const struct rival_row *r = rival_table; r->name && !st; r++) {
		struct baseline *b = &out->baseline[out->n_baselines];
		struct candidate k = { 0 };

		/* one that the flow model cannot take is left out */
		st = rival_plan(x, r, like, &k);
		if (!st)
			st = time_once(x, out, &k);
		if (st)
			break;
		snprintf(b->system, sizeof(b->system), "%s", r->name);
		b->plan = k.plan;
		b->time_s = k.flow_s;
		out->n_baselines++;
		memcpy(x->degree, degree, sizeof(degree));
		x->n_degrees = n_degrees;
		b->outside = search_competes(x, &k, out);
	}
	memcpy(x->degree, degree, sizeof(degree));
	x->n_degrees = n_degrees;
	return st;
}

/* ---- what each technique gains ---- */

/* The techniques that change the program alone, found anew. */
static enum status schedule(struct search *x, unsigned tech,
			    struct candidate *k)
{
	struct group g = search_plan_group(x, &k->plan);

	block_clear(&k->plan);
	search_clear_order(&k->plan);
	if (tech & 1u << TECH_ORDER)
		return search_order_plan(x, k);
	if (!(tech & 1u << TECH_ATTENTION))
		return ST_OK;
	k->why_not = search_attention_cannot(x, &g);
	return k->why_not ? ST_OK : search_attention_plan(x, k);
}

/*
 * The best plan's knobs with other techniques; `order` finds its order anew,
 * `attention-pipeline` its pieces and numbers of chunks.
 */
static enum status time_with(struct search *x, const struct search_result *r,
			     unsigned tech, struct candidate *k)
{
	struct group g;
	enum status st;

	*k = r->best;
	k->flow_s = 0;
	k->plan.technique_mask = tech ? tech : 1u << TECH_BASELINE;
	g = search_plan_group(x, &k->plan);
	st = search_at(x, g.layout, g.factor, g.tech);
	if (st)
		return st;
	k->why_not = search_tech_broken(x);
	if (!k->why_not && tech == r->best.plan.technique_mask)
		k->plan = r->best.plan;
	else if (!k->why_not)
		st = schedule(x, tech, k);
	return k->why_not || st ? st : time_once(x, r, k);
}

static enum status one_gain(struct search *x, struct search_result *r,
			    int tech, double none_s)
{
	struct tech_gain *g = &r->gain[r->n_gains++];
	unsigned bit = 1u << tech, mask = r->best.plan.technique_mask;
	struct candidate k;
	enum status st = time_with(x, r, bit, &k);

	*g = (struct tech_gain){ .tech = tech, .in_plan = mask & bit,
				 .why_not = k.why_not };
	if (st)
		return st;
	g->alone = k.why_not ? 0 : none_s / k.flow_s;
	mask &= ~(1u << TECH_BASELINE);
	if (g->in_plan) {
		mask &= ~bit;
	} else {
		mask = (mask & ~technique_table[tech].excludes) | bit;
	}
	st = time_with(x, r, mask, &k);
	if (st || k.why_not) {
		if (!g->why_not)
			g->why_not = k.why_not;
		return st;
	}
	g->with_others = g->in_plan ? k.flow_s / r->best_s :
		r->best_s / k.flow_s;
	return ST_OK;
}

enum status search_gains(struct search *x, struct search_result *r)
{
	unsigned allowed = x->s->search.technique_mask;
	struct candidate none;
	enum status st;

	if (!(allowed & ~(1u << TECH_BASELINE)))
		return ST_OK;
	st = time_with(x, r, 0, &none);
	for (int i = TECH_BASELINE + 1; i < TECH_N && !st; i++) {
		/* what a step of the model gains: search_gradient() */
		if (allowed & 1u << i && i != TECH_GRADIENT)
			st = one_gain(x, r, i, none.flow_s);
	}
	return st;
}
