/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which way and which of cuBLAS's algorithms do a product fastest. Large
 * products run at the clock that the power allows, and what is fastest for a
 * moment may need more power than another: the best few of short runs are
 * run again for a while, in turn.
 */
#include "gpu/cuda_ffn_int.h"

#define SHORT_RUNS 2		/* of a candidate that is not clearly slower */
#define SHORT_SLOWER 1.1f	/* than the best: one run is enough */
#define FINALISTS 4
#define FINAL_ROUNDS 2
#define FINAL_MS 30.0f		/* of each in a round */
#define FINAL_RUNS 2		/* at least */
#define FINAL_RUNS_MAX 200

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
};

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
		st = ffn_multiply_by(f, r->p, r->rows, r->b, false, c->way,
				     c->algo, r->s);
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
	if (!st && (best <= 0 || c->ms < best * SHORT_SLOWER))
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

static enum status try_all(const struct race *r, struct candidate *best,
			   int *n)
{
	struct candidate c = { 0 };
	enum status st;
	int way;

	for (way = 0; way < FFN_WAYS; way++) {
		c.way = (enum ffn_way)way;
		for (c.algo = 0; c.algo < FFN_ALGOS; c.algo++) {
			st = time_short(r, &c, *n ? best[0].ms : 0);
			if (st == ST_UNAVAILABLE)
				break;
			if (st)
				return st;
			place(best, n, &c);
		}
	}
	return ST_OK;
}

/* A rounds' first run is left out: it has the clock of the one before. */
static enum status run_finals(const struct race *r, struct candidate *best,
			      int n)
{
	float sum[FINALISTS] = { 0 }, ms;
	enum status st = ST_OK;
	int round, i, runs;

	for (round = 0; round < FINAL_ROUNDS; round++) {
		for (i = 0; i < n && !st; i++) {
			runs = (int)(FINAL_MS / best[i].ms);
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

enum status ffn_tune_one(struct cuda_ffn *f, enum ffn_product p,
			 const struct ffn_rows *rows,
			 const struct ffn_buffers *b, cudaStream_t s)
{
	const struct race r = { f, p, rows, b, s };
	struct candidate best[FINALISTS];
	enum status st;
	int n = 0, i, at = 0;

	st = try_all(&r, best, &n);
	if (!st && n > 1)
		st = run_finals(&r, best, n);
	if (st || !n)
		return st;
	for (i = 1; i < n; i++)
		at = best[i].ms < best[at].ms ? i : at;
	ffn_keep(f, p, rows, best[at].way, best[at].algo);
	return ST_OK;
}
