/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/order_search.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/cost.h"
#include "sim/exec.h"
#include "sim/order_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void order_durations(const struct program *p, const struct cost *c,
		     uint64_t *duration_ps)
{
	for (int i = 0; i < p->n_ops; i++)
		duration_ps[i] = ps_from_s(cost_op(c, &p->op[i]));
}

/* ---- the job shop of a pass ---- */

static void add_before(struct shop *s, int op, int before)
{
	assert(s->n_before[op] < SHOP_BEFORE_MAX && before < op);
	s->before[op][s->n_before[op]++] = before;
}

/* The last op before i of that kind; -1: none. */
static int last_of(const struct shop *s, int kind, int i)
{
	while (--i >= 0 && s->kind[i] != kind)
		;
	return i;
}

/* Is it the last of its kind in the pass? */
static bool is_last(const struct shop *s, int i)
{
	for (int j = i + 1; j < s->n; j++) {
		if (s->kind[j] == s->kind[i])
			return false;
	}
	return true;
}

/* One that cannot be moved: behind all that can be on its lane, if it stands
 * behind any of those. */
static void wait_for_lane(struct shop *s, int i)
{
	for (int j = 0; j < i; j++) {
		if (s->lane[j] == s->lane[i] && s->kind[j] >= 0 &&
		    is_last(s, j))
			add_before(s, i, j);
	}
}

static int data_of(const struct program *p, const struct shop *s, int weight)
{
	const struct op *w = &p->op[s->first + weight];

	for (int i = 0; i < weight; i++) {
		const struct op *o = &p->op[s->first + i];

		if (o->kind == OP_EXPERT_BWD_DATA && o->chunk == w->chunk)
			return i;
	}
	return -1;
}

static void add_rules(const struct program *p, struct shop *s, int i)
{
	const struct op *o = &p->op[s->first + i];
	int j;

	for (int d = 0; d < o->n_deps; d++) {
		if (o->dep[d] >= s->first)
			add_before(s, i, o->dep[d] - s->first);
	}
	if (s->kind[i] < 0) {
		wait_for_lane(s, i);
		return;
	}
	j = last_of(s, s->kind[i], i);
	if (j >= 0)
		add_before(s, i, j);
	if (o->kind == OP_EXPERT_BWD_WEIGHT && data_of(p, s, i) >= 0)
		add_before(s, i, data_of(p, s, i));
}

static void set_ends(struct shop *s)
{
	for (int i = 0; i < s->n; i++) {
		for (int b = 0; b < s->n_before[i]; b++) {
			int j = s->before[i][b];

			s->head[i] = max_of(s->head[i],
					    s->head[j] + s->time[j]);
		}
	}
	for (int i = s->n - 1; i >= 0; i--) {
		for (int b = 0; b < s->n_before[i]; b++) {
			int j = s->before[i][b];

			s->tail[j] = max_of(s->tail[j],
					    s->time[i] + s->tail[i]);
		}
	}
}

static void sort_by_tail(struct shop *s)
{
	for (int i = 0; i < s->n; i++) {
		int *list = s->by_tail[s->lane[i]];
		int at = s->n_lane[s->lane[i]]++;

		for (; at > 0 && s->tail[list[at - 1]] < s->tail[i]; at--)
			list[at] = list[at - 1];
		list[at] = i;
	}
}

bool shop_make(const struct program *p, int pass, const uint64_t *duration_ps,
	       struct shop *s)
{
	int first = pass ? p->n_forward : 0;
	int n = (pass ? p->n_ops : p->n_forward) - first;

	if (n > SHOP_OPS_MAX)
		return false;
	memset(s, 0, sizeof(*s));
	s->n = n;
	s->first = first;
	for (int i = 0; i < n; i++) {
		s->lane[i] = (int)p->op[first + i].lane;
		s->kind[i] = order_kind(&p->op[first + i]);
		s->time[i] = duration_ps[first + i];
	}
	for (int i = 0; i < n; i++)
		add_rules(p, s, i);
	set_ends(s);
	sort_by_tail(s);
	return true;
}

/*
 * Of the ops of a lane that start at h or later and have t or more after
 * them: h + their sum + t. All h, t.
 */
static uint64_t lane_bound(const struct shop *s, int lane)
{
	uint64_t most = 0;

	for (int k = 0; k < s->n_lane[lane]; k++) {
		uint64_t h = s->head[s->by_tail[lane][k]], sum = 0;

		for (int j = 0; j < s->n_lane[lane]; j++) {
			int i = s->by_tail[lane][j];

			if (s->head[i] < h)
				continue;
			sum += s->time[i];
			most = max_of(most, h + sum + s->tail[i]);
		}
	}
	return most;
}

uint64_t shop_bound(const struct shop *s)
{
	uint64_t most = 0;

	for (int lane = 0; lane < LANES_ALL; lane++)
		most = max_of(most, lane_bound(s, lane));
	return most;
}

/* ---- the search ---- */

/* The pass of any length in that order, its lanes free when it begins. */
static uint64_t rule_time(const struct program *p, int pass,
			  const uint64_t *duration_ps, int rule)
{
	int first = pass ? p->n_forward : 0;
	int n = (pass ? p->n_ops : p->n_forward) - first;
	const struct pass_order order = { .rule = (unsigned char)rule };
	int *sequence = xcalloc((size_t)n, sizeof(*sequence));
	uint64_t *end = xcalloc((size_t)n, sizeof(*end));
	uint64_t lane[LANES_ALL] = { 0 }, last = 0;

	order_sequence(p, pass, &order, sequence);
	for (int k = 0; k < n; k++) {
		const struct op *o = &p->op[sequence[k]];
		uint64_t at = lane[o->lane];

		for (int d = 0; d < o->n_deps; d++) {
			if (o->dep[d] >= first)
				at = max_of(at, end[o->dep[d] - first]);
		}
		at += duration_ps[sequence[k]];
		end[sequence[k] - first] = lane[o->lane] = at;
		last = max_of(last, at);
	}
	free(sequence);
	free(end);
	return last;
}

/* No lane has less to do than that, whatever the length of the pass. */
static uint64_t busy_bound(const struct program *p, int pass,
			   const uint64_t *duration_ps)
{
	uint64_t lane[LANES_ALL] = { 0 }, most = 0;
	int end = pass ? p->n_ops : p->n_forward;

	for (int i = pass ? p->n_forward : 0; i < end; i++) {
		lane[p->op[i].lane] += duration_ps[i];
		most = max_of(most, lane[p->op[i].lane]);
	}
	return most;
}

static void try_rules(const struct program *p, int pass,
		      const uint64_t *duration_ps, struct order_found *out)
{
	out->order = (struct pass_order){ .rule = ORDER_DISPATCH_FIRST };
	out->plain_ps = out->time_ps = rule_time(p, pass, duration_ps,
						 ORDER_DISPATCH_FIRST);
	for (int r = 1; r < ORDER_GIVEN && out->time_ps > out->bound_ps; r++) {
		uint64_t t = rule_time(p, pass, duration_ps, r);

		if (t >= out->time_ps)
			continue;
		out->time_ps = t;
		out->order.rule = (unsigned char)r;
	}
}

/* May op i of the shop stand next in the array? */
static bool may_stand(const struct program *p, const struct shop *s, int i,
		      const bool *laid)
{
	int step = program_forwarded_step(p, s->first + i);

	for (int b = 0; b < s->n_before[i]; b++) {
		if (!laid[s->before[i][b]])
			return false;
	}
	return step < 0 || laid[step - s->first];
}

/*
 * One array of the lanes' sequences: of the lanes' next ops the first in
 * `from` that may stand there, as ops of the program. False: they wait for
 * each other, where steps that start together are the wrong way round.
 */
static bool merge_lanes(const struct program *p, const struct shop *s,
			const int *from, int *to)
{
	bool laid[SHOP_OPS_MAX] = { false };

	for (int n = 0; n < s->n; n++) {
		bool lane_seen[LANES_ALL] = { false };
		int k = 0;

		for (; k < s->n; k++) {
			int i = from[k];

			if (laid[i] || lane_seen[s->lane[i]])
				continue;
			if (may_stand(p, s, i, laid))
				break;
			lane_seen[s->lane[i]] = true;
		}
		if (k == s->n)
			return false;
		laid[from[k]] = true;
		to[n] = s->first + from[k];
	}
	return true;
}

/* A faster sequence of the shop's ops takes the place of the rule. */
static bool take(const struct program *p, int pass, const struct shop *s,
		 uint64_t time, const int *sequence, struct order_found *out)
{
	int merged[SHOP_OPS_MAX];

	if (time >= out->time_ps)
		return true;
	if (!merge_lanes(p, s, sequence, merged) ||
	    !order_from_sequence(p, pass, merged, &out->order))
		return false;
	out->time_ps = time;
	return true;
}

void order_search(const struct program *p, int pass,
		  const uint64_t *duration_ps, long nodes,
		  struct order_found *out)
{
	struct shop s;
	bool is_shop = shop_make(p, pass, duration_ps, &s);
	int sequence[SHOP_OPS_MAX];
	uint64_t best;

	*out = (struct order_found){
		.bound_ps = is_shop ? shop_bound(&s) :
			busy_bound(p, pass, duration_ps),
	};
	try_rules(p, pass, duration_ps, out);
	out->exact = out->time_ps <= out->bound_ps;
	if (!is_shop || out->exact)
		return;
	best = shop_list(&s, sequence);
	if (best > out->time_ps)
		best = out->time_ps;
	if (best > out->bound_ps && nodes > 0)
		out->exact = shop_search(&s, nodes, &best, sequence,
					 &out->nodes);
	else
		out->exact = best <= out->bound_ps;
	out->exact = take(p, pass, &s, best, sequence, out) && out->exact;
}

void order_bound(const struct program *p, int pass,
		 const uint64_t *duration_ps, struct order_found *out)
{
	struct shop s;

	*out = (struct order_found){ 0 };
	out->plain_ps = rule_time(p, pass, duration_ps, ORDER_DISPATCH_FIRST);
	out->bound_ps = shop_make(p, pass, duration_ps, &s) ?
		shop_bound(&s) : busy_bound(p, pass, duration_ps);
}

/* ---- of a plan ---- */

enum status order_lower(const struct cluster *cl, const struct model *m,
			const struct cost *c, const struct plan *plan,
			struct program *out, uint64_t **duration_p)
{
	struct plan p = *plan;
	enum status st;

	p.order[0] = p.order[1] = (struct pass_order){ 0 };
	if (p.degree_forward == 1 || p.degree_backward == 1)
		p.overlap = OVERLAP_WEIGHT;
	st = program_lower(&p, cl, m, out);
	if (st)
		return st;
	*duration_p = xcalloc((size_t)out->n_ops, sizeof(**duration_p));
	order_durations(out, c, *duration_p);
	return ST_OK;
}

void order_set(struct plan *p, const struct pass_order *forward,
	       const struct pass_order *backward)
{
	p->order[0] = *forward;
	p->order[1] = *backward;
	if (p->degree_forward == 1 || p->degree_backward == 1)
		p->overlap = OVERLAP_WEIGHT;
	p->technique_mask &= ~(1u << TECH_BASELINE);
	p->technique_mask |= 1u << TECH_ORDER;
}

enum status order_plan(const struct cluster *cl, const struct model *m,
		       const struct cost *c, struct plan *p)
{
	struct order_found f[2];
	struct program prog;
	uint64_t *duration, *end, plain_ps;
	enum status st = program_lower(p, cl, m, &prog);

	if (st)
		return st;
	end = xcalloc((size_t)prog.n_ops, sizeof(*end));
	plain_ps = exec_lane_time(&prog, c, end);
	free(end);
	program_release(&prog);
	st = order_lower(cl, m, c, p, &prog, &duration);
	if (st)
		return st;
	for (int pass = 0; pass < 2; pass++)
		order_search(&prog, pass, duration, ORDER_NODES, &f[pass]);
	free(duration);
	program_release(&prog);
	if (f[0].time_ps + f[1].time_ps < plain_ps)
		order_set(p, &f[0].order, &f[1].order);
	return ST_OK;
}
