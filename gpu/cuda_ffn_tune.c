/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which way and which of cuBLAS's algorithms do a product fastest. Large
 * products run at the clock that the power allows, and what is fastest for a
 * moment may need more power than another: the best few of short runs are
 * run again for a while, in turn.
 *
 * What was found stays with the handle. Other numbers of rows of the same
 * product get a shorter race of the same kind of candidates; of packed rows
 * numbers close to known ones none. Padded ones end a tile or begin one: what is
 * best at 1,040 rows, six tiles of 176, took 406 us there and 500 to 609 at
 * 1,072 (gpt-moe-16k in 4 chunks).
 *
 * On two H200 the six products of mixtral-16k took 51.5 ms with the best of
 * such longer runs, 51.7 with the best of short ones and 51.4 with the best of
 * all layouts of the operands: what is left is noise. So of those that are
 * about as fast the one call over all experts is taken, the simplest.
 */
#include "gpu/cuda_ffn_int.h"

#include <time.h>

#define SHORT_RUNS 2		/* of a candidate that is not clearly slower */
#define SHORT_SLOWER 1.1f	/* than the best: one run is enough */
#define SHORT_MS 2.0f		/* longer ones are not repeated */
#define FINALISTS 4
#define FINAL_ROUNDS 2
#define FINAL_MS 30.0f		/* of each in a round */
#define FINAL_RUNS 2		/* at least */
#define FINAL_RUNS_MAX 200
#define TIE 1.015f		/* about as fast */
#define SAME_RATIO 1.1		/* of packed rows: what is known does for these */
/* A product's time in all, more where a run of it takes long. */
#define FIRST_MS 250.0f
#define FIRST_TIMES 60
#define LATER_MS 50.0f
#define LATER_TIMES 6
/* Of that, the end of what each way may take, and of the finals. */
static const float way_share[FFN_WAYS] = {
	[FFN_BATCHED] = 0.42f, [FFN_EACH] = 0.52f, [FFN_IN_TURN] = 0.6f
};

struct candidate {
	enum ffn_way way;
	int algo;
	float ms;
};

struct race {
	struct cuda_ffn *f;
	enum ffn_product p;
	const struct ffn_rows *rows;
	const struct ffn_buffers *b;
	cudaStream_t s;
	int only;		/* the one way to try, or -1 */
	float least_ms;
	int times;
	double start_ms;
};

static double clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* In all, with the fastest candidate's time known. */
static float limit_ms(const struct race *r, float best)
{
	float ms = best * (float)r->times;

	return ms > r->least_ms ? ms : r->least_ms;
}

/* Mean milliseconds of n runs. */
static enum status time_n(const struct race *r, const struct candidate *c,
			  int n, float *ms_p)
{
	struct cuda_ffn *f = r->f;
	enum status st;
	float ms = 0;
	int i;

	CUDA_GOTO(out, st, cudaEventRecord(f->start, r->s));
	for (i = 0; i < n && !st; i++)
		st = ffn_multiply_by(f, r->p, r->rows, r->b, c->way, c->algo,
				     r->s);
	if (st)
		goto out;
	CUDA_GOTO(out, st, cudaEventRecord(f->stop, r->s));
	CUDA_GOTO(out, st, cudaEventSynchronize(f->stop));
	CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, f->start, f->stop));
	*ms_p = ms / (float)n;
out:
	return st;
}

/* After a first run, which may load code. */
static enum status time_short(const struct race *r, struct candidate *c,
			      float best)
{
	enum status st = time_n(r, c, 1, &c->ms);

	if (!st)
		st = time_n(r, c, 1, &c->ms);
	if (!st && c->ms < SHORT_MS &&
	    (best <= 0 || c->ms < best * SHORT_SLOWER))
		st = time_n(r, c, SHORT_RUNS, &c->ms);
	return st;
}

/* Keeps the best of those seen, in order. */
static void place(struct candidate *best, int *n, const struct candidate *c)
{
	int i;

	if (*n == FINALISTS && c->ms >= best[*n - 1].ms)
		return;
	if (*n < FINALISTS)
		++*n;
	for (i = *n - 1; i > 0 && best[i - 1].ms > c->ms; i--)
		best[i] = best[i - 1];
	best[i] = *c;
}

static bool is_late(const struct race *r, enum ffn_way way, float best)
{
	return clock_ms() - r->start_ms > way_share[way] * limit_ms(r, best);
}

/* Each way's first candidate at least. */
static enum status try_way(const struct race *r, enum ffn_way way,
			   struct candidate *best, int *n)
{
	struct candidate c = { .way = way };
	enum status st = ST_OK;

	for (; c.algo < FFN_ALGOS && !st; c.algo++) {
		if (c.algo && is_late(r, way, best[0].ms))
			break;
		st = time_short(r, &c, *n ? best[0].ms : 0);
		if (!st)
			place(best, n, &c);
	}
	return st == ST_UNAVAILABLE ? ST_OK : st;
}

static enum status try_all(const struct race *r, struct candidate *best,
			   int *n)
{
	enum status st = ST_OK;
	int way;

	/* several streams' kernels at once leave nothing to others */
	for (way = 0; way < FFN_WAYS && !st; way++) {
		if (way == FFN_EACH && ffn_left(r->f, r->p))
			continue;
		if (r->only < 0 || r->only == way)
			st = try_way(r, (enum ffn_way)way, best, n);
	}
	return st;
}

/* A rounds' first run is left out: it has the clock of the one before. */
static enum status run_finals(const struct race *r, struct candidate *best,
			      int n)
{
	float sum[FINALISTS] = { 0 }, ms, each;
	enum status st = ST_OK;
	int round, i, runs;

	each = (limit_ms(r, best[0].ms) - (float)(clock_ms() - r->start_ms)) /
	       (float)(n * FINAL_ROUNDS);
	each = each > FINAL_MS ? FINAL_MS : each;
	for (round = 0; round < FINAL_ROUNDS; round++) {
		for (i = 0; i < n && !st; i++) {
			runs = (int)(each / best[i].ms);
			runs = runs < FINAL_RUNS ? FINAL_RUNS
			     : runs > FINAL_RUNS_MAX ? FINAL_RUNS_MAX : runs;
			st = time_n(r, &best[i], 1, &ms);
			if (!st)
				st = time_n(r, &best[i], runs, &ms);
			sum[i] += ms;
		}
	}
	for (i = 0; i < n; i++)
		best[i].ms = sum[i];
	return st;
}

/* The fastest, or the fastest batched one if that is about as fast. */
static const struct candidate *pick(const struct candidate *c, int n)
{
	const struct candidate *best = &c[0], *batched = NULL;
	int i;

	for (i = 0; i < n; i++) {
		best = c[i].ms < best->ms ? &c[i] : best;
		if (c[i].way == FFN_BATCHED &&
		    (!batched || c[i].ms < batched->ms))
			batched = &c[i];
	}
	return batched && batched->ms <= best->ms * TIE ? batched : best;
}

static bool does_for(const struct ffn_choice *known, double ratio,
		     const struct ffn_rows *rows)
{
	if (!known)
		return false;
	return rows->stride ? known->stride == rows->stride
			    : ratio < SAME_RATIO;
}

enum status ffn_tune_one(struct cuda_ffn *f, enum ffn_product p,
			 const struct ffn_rows *rows,
			 const struct ffn_buffers *b, cudaStream_t s)
{
	double ratio;
	const struct ffn_choice *known = ffn_known(f, p, rows, &ratio);
	const struct race r = {
		f, p, rows, b, s, known ? (int)known->way : -1,
		known ? LATER_MS : FIRST_MS,
		known ? LATER_TIMES : FIRST_TIMES, clock_ms()
	};
	struct candidate best[FINALISTS];
	const struct candidate *c;
	enum status st;
	int n = 0;

	if (does_for(known, ratio, rows))
		return ST_OK;
	st = try_all(&r, best, &n);
	if (!st && n > 1)
		st = run_finals(&r, best, n);
	if (st || !n)
		return st;
	c = pick(best, n);
	ffn_keep(f, p, rows, c->way, c->algo);
	return ST_OK;
}
