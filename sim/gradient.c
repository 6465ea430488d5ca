/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/gradient.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Parts that gradient_best() cuts all bytes into. */
#define UNITS 128
/* Bytes may be over what is there by this share: rounding. */
#define SLACK 1e-9
/* Polishing halves its step so often. */
#define POLISH_ROUNDS 8

static double reduce_s(const struct gradient_problem *p, double bytes)
{
	return bytes > 0 ? p->alpha_s + p->beta_s * bytes : 0;
}

/* The most bytes that fit in `seconds` (the paper's g_inv). */
static double reduce_inverse(const struct gradient_problem *p, double seconds)
{
	return fmax(0, (seconds - p->alpha_s) / p->beta_s);
}

static double split_s(const struct gradient_problem *p,
		      const struct gradient_layer *l, double dense,
		      double inside)
{
	return fmax(0, reduce_s(p, dense) - l->window_s) +
		p->pass_s(l->moe, reduce_s(p, inside));
}

/* The best split of `bytes` between the dense and the MoE part. */
static double layer_s(const struct gradient_problem *p,
		      const struct gradient_layer *l, double bytes)
{
	double fits = fmin(bytes, reduce_inverse(p, l->window_s));
	double best = split_s(p, l, 0, bytes);

	if (bytes > 0)
		best = fmin(best, split_s(p, l, bytes, 0));
	if (fits > 0 && fits < bytes)
		best = fmin(best, split_s(p, l, fits, bytes - fits));
	return best;
}

double gradient_layer_time(const struct gradient_problem *p, int i,
			   double bytes)
{
	return layer_s(p, &p->layer[i], bytes);
}

double gradient_total(const struct gradient_problem *p, const double *bytes)
{
	double there = 0, done = 0, total = 0;

	for (int i = 0; i < p->n; i++) {
		const struct gradient_layer *l = &p->layer[i];

		done += bytes[i];
		if (bytes[i] < 0 || done > there * (1 + SLACK))
			return INFINITY;
		total += layer_s(p, l, bytes[i]);
		there += l->bytes;
	}
	return total + reduce_s(p, fmax(0, there - done) >
				SLACK * there ? there - done : 0);
}

void gradient_at_end(const struct gradient_problem *p,
		     struct gradient_plan *out)
{
	assert(p->n >= 1 && p->n <= GRADIENT_LAYERS_MAX);
	memset(out->bytes, 0, sizeof(out->bytes));
	out->total_s = gradient_total(p, out->bytes);
}

void gradient_in_windows(const struct gradient_problem *p,
			 struct gradient_plan *out)
{
	double pending = 0;

	assert(p->n >= 1 && p->n <= GRADIENT_LAYERS_MAX);
	memset(out->bytes, 0, sizeof(out->bytes));
	for (int i = 0; i < p->n; i++) {
		out->bytes[i] = fmin(pending, reduce_inverse(p,
						p->layer[i].window_s));
		pending += p->layer[i].bytes - out->bytes[i];
	}
	out->total_s = gradient_total(p, out->bytes);
}

/* ---- the paper's two steps ---- */

/* Fills what is free; returns the bytes that are left at the end. */
static double greedy_fill(const struct gradient_problem *p, double *bytes)
{
	double pending = 0;

	for (int i = 0; i < p->n; i++) {
		const struct gradient_layer *l = &p->layer[i];

		bytes[i] = fmin(pending, reduce_inverse(p, l->window_s +
						p->hidden_s(l->moe)));
		pending += l->bytes - bytes[i];
	}
	return pending;
}

static uint64_t next_random(uint64_t *seed)	/* splitmix64 */
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static double next_uniform(uint64_t *seed)
{
	return (double)(next_random(seed) >> 11) / 9007199254740992.0;
}

/* Differential evolution (Storn and Price 1997), rand/1/bin. */
#define DE_MEMBERS 24
#define DE_ROUNDS 80
#define DE_WEIGHT 0.7
#define DE_CROSSOVER 0.7

struct evolution {
	const struct gradient_problem *p;
	const double *base;	/* bytes of step 1 */
	double scale;
	uint64_t seed;
	double *member, value[DE_MEMBERS];
	double trial[GRADIENT_LAYERS_MAX], sum[GRADIENT_LAYERS_MAX];
};

/* Step 1's bytes and the member's, cut to what is there in time. */
static double member_value(struct evolution *e, const double *member)
{
	const struct gradient_problem *p = e->p;
	double there = 0, done = 0;

	for (int i = 0; i < p->n; i++) {
		double room = there - done;

		e->sum[i] = fmin(e->base[i] + fmax(0, member[i]), room);
		done += e->sum[i];
		there += p->layer[i].bytes;
	}
	return gradient_total(p, e->sum);
}

static void evolve_member(struct evolution *e, int at)
{
	int n = e->p->n, a, b, c, forced;
	double value;

	a = (int)(next_random(&e->seed) % DE_MEMBERS);
	b = (int)(next_random(&e->seed) % DE_MEMBERS);
	c = (int)(next_random(&e->seed) % DE_MEMBERS);
	forced = (int)(next_random(&e->seed) % (uint64_t)n);
	for (int i = 0; i < n; i++) {
		double *m = e->member + i;

		e->trial[i] = m[at * n];
		if (i == forced || next_uniform(&e->seed) < DE_CROSSOVER)
			e->trial[i] = fmax(0, m[a * n] + DE_WEIGHT *
					   (m[b * n] - m[c * n]));
	}
	value = member_value(e, e->trial);
	if (value <= e->value[at]) {
		e->value[at] = value;
		memcpy(e->member + at * n, e->trial,
		       (size_t)n * sizeof(*e->trial));
	}
}

static void evolve(struct evolution *e)
{
	int n = e->p->n;

	e->member = xcalloc((size_t)n * DE_MEMBERS, sizeof(*e->member));
	for (int m = 0; m < DE_MEMBERS; m++) {
		for (int i = 0; i < n; i++)
			e->member[m * n + i] = m ? e->scale *
				next_uniform(&e->seed) : 0;
		e->value[m] = member_value(e, e->member + m * n);
	}
	for (int round = 0; round < DE_ROUNDS; round++) {
		for (int m = 0; m < DE_MEMBERS; m++)
			evolve_member(e, m);
	}
}

void gradient_two_step(const struct gradient_problem *p, uint64_t seed,
		       struct gradient_plan *out)
{
	struct evolution e = { .p = p, .seed = seed };
	double base[GRADIENT_LAYERS_MAX], left;

	gradient_at_end(p, out);
	left = greedy_fill(p, base);
	e.base = base;
	e.scale = 2 * left / p->n;
	memcpy(out->bytes, base, (size_t)p->n * sizeof(base[0]));
	out->total_s = gradient_total(p, base);
	if (!(left > 0))
		return;
	evolve(&e);
	for (int m = 0; m < DE_MEMBERS; m++) {
		if (e.value[m] >= out->total_s)
			continue;
		out->total_s = member_value(&e, e.member + m * p->n);
		memcpy(out->bytes, e.sum, (size_t)p->n * sizeof(e.sum[0]));
	}
	free(e.member);
}

/* ---- dynamic programming ---- */

struct table {
	const struct gradient_problem *p;
	int units;
	double unit;		/* bytes */
	double *cost;		/* [n][units + 1]: layer, units reduced */
	double *best;		/* [units + 1]: units reduced so far */
	double *next;
	int *from;		/* [n][units + 1] */
};

static void table_costs(struct table *t)
{
	int w = t->units + 1;

	for (int i = 0; i < t->p->n; i++) {
		const struct gradient_layer *l = &t->p->layer[i];
		double *row = t->cost + (size_t)i * (size_t)w;

		if (i && l->moe == l[-1].moe && l->window_s == l[-1].window_s) {
			memcpy(row, row - w, (size_t)w * sizeof(*row));
			continue;
		}
		for (int u = 0; u < w; u++)
			row[u] = layer_s(t->p, l, u * t->unit);
	}
}

static void table_layer(struct table *t, int i, int there)
{
	int w = t->units + 1;
	const double *cost = t->cost + (size_t)i * (size_t)w;
	int *from = t->from + (size_t)i * (size_t)w;

	for (int u = 0; u < w; u++) {
		t->next[u] = INFINITY;
		from[u] = 0;
		for (int v = 0; v <= u && u <= there; v++) {
			double s = t->best[v] + cost[u - v];

			if (s < t->next[u]) {
				t->next[u] = s;
				from[u] = v;
			}
		}
	}
	memcpy(t->best, t->next, (size_t)w * sizeof(*t->best));
}

static void table_fill(struct table *t)
{
	double there = 0;

	for (int u = 0; u <= t->units; u++)
		t->best[u] = u ? INFINITY : 0;
	for (int i = 0; i < t->p->n; i++) {
		table_layer(t, i, (int)(there / t->unit * (1 + SLACK)));
		there += t->p->layer[i].bytes;
	}
}

static void table_read(const struct table *t, struct gradient_plan *out)
{
	int u = 0, w = t->units + 1;
	double best = INFINITY;

	for (int k = 0; k < w; k++) {
		double s = t->best[k] + reduce_s(t->p,
					(t->units - k) * t->unit);

		if (s < best) {
			best = s;
			u = k;
		}
	}
	for (int i = t->p->n - 1; i >= 0; i--) {
		int v = t->from[(size_t)i * (size_t)w + (size_t)u];

		out->bytes[i] = (u - v) * t->unit;
		u = v;
	}
	out->total_s = gradient_total(t->p, out->bytes);
}

void gradient_exact(const struct gradient_problem *p, int units,
		    struct gradient_plan *out)
{
	struct table t = { .p = p, .units = units };
	size_t w = (size_t)units + 1, n = (size_t)p->n;

	gradient_at_end(p, out);
	for (int i = 0; i < p->n; i++)
		t.unit += p->layer[i].bytes / units;
	if (!(t.unit > 0))
		return;
	t.cost = xcalloc(n * w, sizeof(*t.cost));
	t.from = xcalloc(n * w, sizeof(*t.from));
	t.best = xcalloc(2 * w, sizeof(*t.best));
	t.next = t.best + w;
	table_costs(&t);
	table_fill(&t);
	table_read(&t, out);
	free(t.cost);
	free(t.from);
	free(t.best);
}

static void try_move(const struct gradient_problem *p, int i, double step,
		     struct gradient_plan *plan)
{
	double was = plan->bytes[i], s;

	plan->bytes[i] = fmax(0, was + step);
	s = gradient_total(p, plan->bytes);
	if (s < plan->total_s)
		plan->total_s = s;
	else
		plan->bytes[i] = was;
}

/* Coordinate descent: what lies between two units. */
static void polish(const struct gradient_problem *p, double step,
		   struct gradient_plan *plan)
{
	for (int round = 0; round < POLISH_ROUNDS; round++, step /= 2) {
		for (int i = 0; i < p->n; i++) {
			try_move(p, i, step, plan);
			try_move(p, i, -step, plan);
		}
	}
}

void gradient_best(const struct gradient_problem *p,
		   struct gradient_plan *out)
{
	struct gradient_plan paper;
	double all = 0;

	for (int i = 0; i < p->n; i++)
		all += p->layer[i].bytes;
	gradient_exact(p, UNITS, out);
	polish(p, all / UNITS, out);
	gradient_two_step(p, 1, &paper);
	if (paper.total_s < out->total_s) {
		*out = paper;
		polish(p, all / UNITS, out);
	}
}
