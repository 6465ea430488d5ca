/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/bench.h"

#include "gpu/stats.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REPEATS_SLOW 3	/* of what takes longer than the cap each */
/* Spread is looked at between batches, each of which is as long as all before
 * it: at first so many; no more than this of the time left of the cap. */
#define BATCH_FIRST 25
#define BATCH_SHARE 0.5
#define BATCH_S 1.0	/* a batch is a sign of life: no longer */
#define WARM_SHARE 0.1	/* of the cap */
#define WARM_REPEATS_MAX 200
#define HOLD_BATCHES 4
#define HOLD_STEP_S 1e-4	/* at least, so that it ends */
/* Contention: turns, how long one of them is, and its repetitions. */
#define TURNS 3
#define TURN_S 0.004
#define TURN_REPEATS_MIN 3
#define TURN_REPEATS_MAX 50

/* All repetitions of one case, of both works. */
struct record {
	int n;
	double wall_s;		/* all of it: pauses and waiting, too */
	double main_s[BENCH_REPEATS_MAX], beside_s[BENCH_REPEATS_MAX];
};

static void beat(const struct bench *be)
{
	if (be->beat)
		be->beat(be->arg);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum status run_batch(const struct bench *be, struct record *r, int n)
{
	double start = now_s();
	enum status st = be->ops->run(be->b, n, r->main_s + r->n,
				      r->beside_s + r->n);

	r->wall_s += now_s() - start;
	if (!st)
		r->n += n;
	beat(be);
	return st;
}

/* Seconds of the last n. */
static double batch_s(const struct record *r, int n)
{
	double sum = 0;
	int i;

	for (i = r->n - n; i < r->n; i++)
		sum += fmax(r->main_s[i], r->beside_s[i]);
	return sum;
}

static double least_s(const struct record *r)
{
	double least = r->main_s[0];
	int i;

	for (i = 1; i < r->n; i++)
		least = fmin(least, r->main_s[i]);
	return least;
}

/* Until it has run for long enough to count. */
static enum status hold(const struct bench *be, double each)
{
	double n = be->hold_s / HOLD_BATCHES / fmax(each, 1e-9), held = 0;
	enum status st = ST_OK;

	while (held < be->hold_s && !st) {
		struct record r = { 0 };

		st = run_batch(be, &r, (int)fmin(fmax(n, 1),
						 WARM_REPEATS_MAX));
		held += fmax(batch_s(&r, r.n), HOLD_STEP_S);
	}
	return st;
}

/*
 * The first call connects, loads and allocates: its time says nothing, nor
 * when it has been enough. Then on for a share of the cap, and with all that
 * passes between the calls no longer than the cap: ranks that have to wait
 * for a processor are no warmer for it.
 */
static enum status warm_up(const struct bench *be, double *each_p)
{
	struct record r = { 0 };
	enum status st = run_batch(be, &r, 1);
	double wall = r.wall_s, n;

	/* a slow one does not pay for it twice */
	if (!st && batch_s(&r, 1) < be->cap_s) {
		st = run_batch(be, &r, 1);
		wall = r.wall_s - wall;
	}
	if (st)
		return st;
	n = fmin(WARM_SHARE * be->cap_s / fmax(batch_s(&r, 1), 1e-9),
		 be->cap_s / fmax(wall, 1e-9));
	if (n >= 1)
		st = run_batch(be, &r, (int)fmin(n, WARM_REPEATS_MAX));
	if (!st)
		*each_p = batch_s(&r, 1);
	return st ? st : hold(be, *each_p);
}

static int next_batch(const struct record *r, double each, double left)
{
	double n = fmin(left * BATCH_SHARE, BATCH_S) / fmax(each, 1e-9);
	int least = each * BENCH_REPEATS_MIN > left ? 1 : BENCH_REPEATS_MIN;

	n = fmin(n, r->n ? r->n : BATCH_FIRST);
	n = fmax(n, least);
	return (int)fmin(n, BENCH_REPEATS_MAX - r->n);
}

static bool enough(const struct bench *be, const struct record *r,
		   double spent, double each)
{
	double sorted[BENCH_REPEATS_MAX];
	int least = each > be->cap_s ? REPEATS_SLOW : BENCH_REPEATS_MIN;

	if (r->n < least)
		return false;
	if (r->n >= BENCH_REPEATS_MAX || spent >= be->cap_s)
		return true;
	if (be->hold_s > 0)
		return false;
	memcpy(sorted, r->main_s, (size_t)r->n * sizeof(*sorted));
	return stats_of(sorted, r->n).spread < BENCH_SPREAD;
}

static enum status repeat(const struct bench *be, struct record *r)
{
	double each = 0, spent = 0;
	enum status st = warm_up(be, &each);
	int n;

	while (!st && !enough(be, r, spent, each)) {
		n = next_batch(r, each, be->cap_s - spent);
		st = run_batch(be, r, n);
		if (st)
			break;
		spent = fmax(batch_s(r, r->n), r->wall_s);
		each = spent / r->n;
	}
	return st;
}

const char *bench_tier(const struct bench_case *c)
{
	if (sample_op_is_exchange(c->work.op) || *c->beside.op)
		return c->tier;
	return work_flops(&c->work) > 0 ? "compute" : "memory";
}

static void fill_sample(const struct bench *be, const struct bench_case *c,
			double *seconds, int n, struct sample *s)
{
	const struct bench_work *w = &c->work;
	struct stats t = stats_of(seconds, n);

	*s = (struct sample){
		.ranks = c->ranks, .nodes = be->nodes, .ctas = w->ctas,
		.bytes = (double)w->bytes,
		.busiest_bytes = work_busiest_bytes(c),
		.median_s = t.median, .p95_s = t.p95, .min_s = t.min,
		.max_s = t.max, .mean_s = t.mean, .count = t.n,
	};
	if (!sample_op_is_exchange(w->op)) {
		s->m = (double)w->m;
		s->n = (double)w->n;
		s->k = (double)w->k;
		s->batch = (double)w->batch;
	}
	memcpy(s->op, w->op, sizeof(s->op));
	memcpy(s->variant, w->variant, sizeof(s->variant));
	memcpy(s->dtype, w->dtype, sizeof(s->dtype));
	memcpy(s->beside, c->beside.op, sizeof(s->beside));
	snprintf(s->tier, sizeof(s->tier), "%s", bench_tier(c));
}

/* Rows of the main work and, if there is one, of that beside it. */
static int fill_rows(struct bench *be, const struct bench_case *c,
		     struct record *r, int64_t wrong, struct sample *out)
{
	struct bench_case other = *c;

	fill_sample(be, c, r->main_s, r->n, &out[0]);
	out[0].wrong = wrong;
	if (!*c->beside.op)
		return 1;
	other.work = c->beside;
	other.beside = c->work;
	fill_sample(be, &other, r->beside_s, r->n, &out[1]);
	out[0].pair = out[1].pair = ++be->pairs;
	out[1].wrong = wrong;
	return 2;
}

static enum status measure_prepared(struct bench *be,
				    const struct bench_case *c,
				    struct sample *out, int *n_p)
{
	static struct record r;	/* one case at a time; 16 KB */
	int64_t wrong = 0;
	enum status st;

	memset(&r, 0, sizeof(r));
	st = repeat(be, &r);
	if (!st)
		st = be->ops->check(be->b, &wrong);
	beat(be);
	if (!st)
		*n_p = fill_rows(be, c, &r, wrong, out);
	return st;
}

enum status bench_measure(struct bench *be, const struct bench_case *c,
			  struct sample *out, int *n_p)
{
	enum status st = be->ops->prepare(be->b, c);

	beat(be);
	if (st)
		return st;
	st = measure_prepared(be, c, out, n_p);
	be->ops->release(be->b);
	return st;
}

/* Some repetitions more, after some that warm up. */
static enum status repeat_turn(const struct bench *be, struct record *r,
			       int64_t *wrong_p)
{
	struct record warm = { 0 };
	bool is_first = !r->n;
	enum status st = run_batch(be, &warm, is_first ? 2 : 1);
	double left = fmin(be->cap_s / TURNS, TURN_S), n;

	if (st)
		return st;
	n = fmax(left / fmax(batch_s(&warm, 1), 1e-9), TURN_REPEATS_MIN);
	st = run_batch(be, r, (int)fmin(n, TURN_REPEATS_MAX));
	if (!st && is_first)
		st = be->ops->check(be->b, wrong_p);
	beat(be);
	return st;
}

static enum status take_turn(const struct bench *be,
			     const struct bench_case *c, struct record *r,
			     int64_t *wrong_p)
{
	enum status st = be->ops->prepare(be->b, c);

	beat(be);
	if (st)
		return st;
	st = repeat_turn(be, r, wrong_p);
	be->ops->release(be->b);
	return st;
}

enum status bench_together(struct bench *be, const struct bench_case *product,
			   const struct bench_case *exchange,
			   const struct bench_case *both, double slow_s,
			   struct sample *out, int *n_p)
{
	const struct bench_case *c[] = { product, exchange, both };
	static struct record r[3];
	int64_t wrong[3] = { 0 };
	enum status st = ST_OK;
	int turn, i, n_works = 3, n = 0;

	memset(r, 0, sizeof(r));
	for (turn = 0; turn < TURNS && n_works == 3; turn++) {
		for (i = 0; i < n_works && !st; i++) {
			st = take_turn(be, c[i], &r[i], &wrong[i]);
			if (i == 1 && !st && least_s(&r[1]) > slow_s)
				n_works = 2;
		}
	}
	for (i = 0; i < n_works && !st; i++)
		n += fill_rows(be, c[i], &r[i], wrong[i], out + n);
	*n_p = n;
	return st;
}

void bench_describe(const struct bench_case *c, char *out, size_t size)
{
	const struct bench_work *w = &c->work;
	char shape[128];

	if (!strcmp(w->op, "gemm"))
		snprintf(shape, sizeof(shape),
			 "%" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64,
			 w->m, w->n, w->k, w->batch);
	else
		snprintf(shape, sizeof(shape), "%" PRIu64 " bytes", w->bytes);
	snprintf(out, size, "%s%s%s on %s, %s%s%s", w->op,
		 *w->variant ? " " : "", w->variant, bench_tier(c), shape,
		 *c->beside.op ? ", beside " : "", c->beside.op);
}
