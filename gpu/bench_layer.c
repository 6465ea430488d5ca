/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/bench_layer.h"

#include "base/buf.h"
#include "gpu/stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WARM_STEPS 2	/* the first one connects, loads, captures */
#define BATCH_S 0.5	/* about: spread is looked at between batches */
#define REPEATS_SLOW 3	/* of what takes longer than the cap each */

struct record {
	int n;
	double forward_s[BENCH_REPEATS_MAX], step_s[BENCH_REPEATS_MAX];
};

static void beat(const struct bench *be)
{
	if (be->beat)
		be->beat(be->arg);
}

static enum status run_steps(const struct bench *be, struct record *r, int n)
{
	enum status st = be->ops->layer_run(be->b, n, r->forward_s + r->n,
					    r->step_s + r->n);

	if (!st)
		r->n += n;
	beat(be);
	return st;
}

static double spread(const double *v, int n)
{
	double sorted[BENCH_REPEATS_MAX];

	memcpy(sorted, v, (size_t)n * sizeof(*v));
	return stats_of(sorted, n).spread;
}

static bool enough(const struct bench *be, const struct record *r,
		   double spent, double each)
{
	int least = each > be->cap_s ? REPEATS_SLOW : BENCH_REPEATS_MIN;

	if (r->n < least)
		return false;
	if (r->n >= BENCH_REPEATS_MAX || spent >= be->cap_s)
		return true;
	return spread(r->step_s, r->n) < BENCH_SPREAD &&
	       spread(r->forward_s, r->n) < BENCH_SPREAD;
}

static enum status repeat(const struct bench *be, double each,
			  struct record *r)
{
	enum status st = ST_OK;
	double spent = 0;
	int n, i;

	while (!st && !enough(be, r, spent, each)) {
		n = (int)fmin(fmin(BATCH_S, be->cap_s) / fmax(each, 1e-6),
			      BENCH_REPEATS_MAX - r->n);
		n = each > be->cap_s ? 1 : n < BENCH_REPEATS_MIN ?
		    BENCH_REPEATS_MIN : n;
		n = n > BENCH_REPEATS_MAX - r->n ? BENCH_REPEATS_MAX - r->n :
						   n;
		st = run_steps(be, r, n);
		for (i = r->n - n; i < r->n && !st; i++)
			spent += r->step_s[i];
	}
	return st;
}

static void fill_sample(const struct layer_case *c, const char *variant,
			double *seconds, int n, int64_t wrong,
			struct sample *s)
{
	struct stats t = stats_of(seconds, n);
	struct buf plan = { 0 };

	*s = (struct sample){
		.ranks = layer_ranks(c), .nodes = c->nodes,
		.m = c->tokens, .n = c->hidden, .k = c->ffn,
		.batch = c->experts, .wrong = wrong,
		.median_s = t.median, .p95_s = t.p95, .min_s = t.min,
		.max_s = t.max, .mean_s = t.mean, .count = t.n,
	};
	snprintf(s->op, sizeof(s->op), "layer");
	snprintf(s->variant, sizeof(s->variant), "%s", variant);
	snprintf(s->dtype, sizeof(s->dtype), "%s", layer_dtype(c));
	snprintf(s->tier, sizeof(s->tier), "%s", c->tier);
	plan_print(&c->plan, &plan);
	snprintf(s->plan, sizeof(s->plan), "%s", buf_str(&plan));
	buf_release(&plan);
	layer_describe(c, s->layer);
}

static enum status measure(const struct bench *be, const struct layer_case *c,
			   struct sample out[BENCH_LAYER_SAMPLES],
			   struct layer_check *check)
{
	static struct record r;	/* one layer at a time; 16 KB */
	enum status st;
	double each = 0;
	int64_t wrong;

	r.n = 0;
	st = run_steps(be, &r, WARM_STEPS);
	if (!st) {
		each = r.step_s[WARM_STEPS - 1];
		st = be->ops->layer_check(be->b, check);
		beat(be);
	}
	r.n = 0;
	if (!st)
		st = repeat(be, each, &r);
	if (st)
		return st;
	wrong = check->wrong_integers;
	if (!check->correct && !wrong)
		wrong = 1;
	fill_sample(c, "forward", r.forward_s, r.n, wrong, &out[0]);
	fill_sample(c, "step", r.step_s, r.n, wrong, &out[1]);
	return ST_OK;
}

enum status bench_layer(const struct bench *be, const struct layer_case *c,
			struct sample out[BENCH_LAYER_SAMPLES],
			struct layer_check *check)
{
	enum status st = be->ops->layer_prepare(be->b, c);

	beat(be);
	if (st)
		return st;
	st = measure(be, c, out, check);
	be->ops->layer_release(be->b);
	return st;
}
