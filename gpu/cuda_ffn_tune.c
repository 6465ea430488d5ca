/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which way and which of cuBLAS's algorithms do a product fastest. Large
 * products run at the clock that the power allows, and what is fastest for a
 * moment may need more power than another: the best few of short runs are
 * run again for a while, in turn.
 *
 * A run that takes long gets a longer race. Its short times say little: a
 * board that has waited (for a kernel's code) is up to 15 % faster for some
 * milliseconds, so the order of the candidates would choose. All of them go
 * on, and after each round the slower half stops; the others run twice as
 * long, the other way round.
 *
 * What was found stays with the handle. Other numbers of rows of the same
 * product get a shorter race of the same kind of candidates; of packed rows
 * numbers close to known ones none. Padded ones end a tile or begin one: what is
 * best at 1,040 rows, six tiles of 176, took 406 us there and 500 to 609 at
 * 1,072 (gpt-moe-16k in 4 chunks).
 *
 * On two H200 the six products of mixtral-16k in turn took 50.4 ms with what
 * the best four of short runs gave and 50.0 with the best of long ones
 * (mixtral-4k 12.76 and 12.60). Asked for 128 algorithms, cuBLAS named eight;
 * other swizzles and clusters of these gained no more than two measurements
 * in turn differ (0.5 %). Of candidates about as fast the one call over all
 * experts is taken, the simplest.
 */
#include "gpu/cuda_ffn_int.h"

#include <stdlib.h>
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
/* A run that takes so long is bound by power, and gets a longer race. */
#define LONG_MS 0.5f
#define LONG_SLOWER 1.25f	/* by short runs: no longer in the race */
#define LONG_FINAL_MS 32.0f	/* of each of the last two; half before... */
#define LONG_LATER_MS 8.0f	/* the same for other numbers of rows */
#define LONG_LEAD_MS 4.0f	/* before: the board takes this one's power */
#define LONG_TIE 1.01f
#define SAME_RATIO 1.1		/* of packed rows: what is known does for these */
/* A product's time in all, more where a run of it takes long. */
#define FIRST_MS 250.0f
#define FIRST_TIMES 60
#define LATER_MS 50.0f
#define LATER_TIMES 6
#define LATER_TIMES_LONG 20
/* Of that, the end of what each way may take, and of the finals. */
static const float way_share[FFN_WAYS] = {
	[FFN_BATCHED] = 0.42f, [FFN_EACH] = 0.52f, [FFN_IN_TURN] = 0.6f
};

#define CANDIDATES (FFN_ALGOS * FFN_WAYS)

struct candidate {
	enum ffn_way way;
	int algo;
	float ms;
	float total_ms;		/* of a long race's runs */
	int runs;
};

/* In order of time. */
struct field {
	struct candidate c[CANDIDATES];
	int n;
};

struct race {
	struct cuda_ffn *f;
	enum ffn_product p;
	const struct ffn_rows *rows;
	const struct ffn_buffers *b;
	cudaStream_t s;
	const struct ffn_choice *known;	/* of other rows, or NULL */
	float least_ms;
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
	int times = !r->known ? FIRST_TIMES
		  : best < LONG_MS ? LATER_TIMES : LATER_TIMES_LONG;
	float ms = best * (float)times;

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

static void place(struct field *f, const struct candidate *c)
{
	int i;

	for (i = f->n++; i > 0 && f->c[i - 1].ms > c->ms; i--)
		f->c[i] = f->c[i - 1];
	f->c[i] = *c;
}

static bool is_late(const struct race *r, enum ffn_way way, float best)
{
	return clock_ms() - r->start_ms > way_share[way] * limit_ms(r, best);
}

/* Each way's first candidate at least. */
static enum status try_way(const struct race *r, enum ffn_way way,
			   struct field *f)
{
	struct candidate c = { .way = way };
	enum status st = ST_OK;

	for (; c.algo < FFN_ALGOS && !st; c.algo++) {
		if (c.algo && is_late(r, way, f->c[0].ms))
			break;
		st = time_short(r, &c, f->n ? f->c[0].ms : 0);
		if (!st)
			place(f, &c);
	}
	return st == ST_UNAVAILABLE ? ST_OK : st;
}

/* The way that was best for other rows, and one call over all experts: few
 * rows may need it where many do not. */
static bool is_tried(const struct race *r, enum ffn_way way)
{
	/* several streams' kernels at once leave nothing to others */
	if (way == FFN_EACH && ffn_left(r->f, r->p))
		return false;
	return !r->known || r->known->way == way ||
	       (way == FFN_BATCHED && r->rows->stride);
}

static enum status try_all(const struct race *r, struct field *f)
{
	enum status st = ST_OK;
	int way;

	for (way = 0; way < FFN_WAYS && !st; way++) {
		if (is_tried(r, (enum ffn_way)way))
			st = try_way(r, (enum ffn_way)way, f);
	}
	return st;
}

/* A rounds' first run is left out: it has the clock of the one before. */
static enum status run_finals(const struct race *r, struct field *f)
{
	float sum[FINALISTS] = { 0 }, ms, each;
	struct candidate *c = f->c;
	enum status st = ST_OK;
	int round, i, runs;

	f->n = f->n < FINALISTS ? f->n : FINALISTS;
	each = (limit_ms(r, c[0].ms) - (float)(clock_ms() - r->start_ms)) /
	       (float)(f->n * FINAL_ROUNDS);
	each = each > FINAL_MS ? FINAL_MS : each;
	for (round = 0; round < FINAL_ROUNDS; round++) {
		for (i = 0; i < f->n && !st; i++) {
			runs = (int)(each / c[i].ms);
			runs = runs < FINAL_RUNS ? FINAL_RUNS
			     : runs > FINAL_RUNS_MAX ? FINAL_RUNS_MAX : runs;
			st = time_n(r, &c[i], 1, &ms);
			if (!st)
				st = time_n(r, &c[i], runs, &ms);
			sum[i] += ms;
		}
	}
	for (i = 0; i < f->n; i++)
		c[i].ms = sum[i];
	return st;
}

/* So long at least, after others' power and clock have gone. */
static enum status run_on(const struct race *r, struct candidate *c,
			  float long_ms)
{
	int lead = 1 + (int)(LONG_LEAD_MS / c->ms);
	int n = 1 + (int)(long_ms / c->ms);
	float ms = 0;
	enum status st = time_n(r, c, lead, &ms);

	if (!st)
		st = time_n(r, c, n, &ms);
	c->total_ms += ms * (float)n;
	c->runs += n;
	return st;
}

static int by_mean(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	float mx = x->total_ms / (float)x->runs;
	float my = y->total_ms / (float)y->runs;

	return (mx > my) - (mx < my);
}

/* Halves the field until two are left. */
static enum status run_long(const struct race *r, struct field *f)
{
	float long_ms = r->known ? LONG_LATER_MS : LONG_FINAL_MS;
	enum status st = ST_OK;
	bool is_back = false;
	int i, k;

	while (f->c[f->n - 1].ms > f->c[0].ms * LONG_SLOWER ||
	       (r->known && f->n > FINALISTS))
		f->n--;
	for (i = f->n; i > 2; i = (i + 1) / 2)
		long_ms /= 2;
	for (;; long_ms *= 2, is_back = !is_back) {
		for (i = 0; i < f->n && !st; i++) {
			k = is_back ? f->n - 1 - i : i;
			st = run_on(r, &f->c[k], long_ms);
		}
		if (st)
			return st;
		qsort(f->c, (size_t)f->n, sizeof(f->c[0]), by_mean);
		if (f->n <= 2)
			break;
		f->n = (f->n + 1) / 2;
	}
	for (i = 0; i < f->n; i++)
		f->c[i].ms = f->c[i].total_ms / (float)f->c[i].runs;
	return ST_OK;
}

/* The fastest, or the fastest batched one if that is about as fast. */
static const struct candidate *pick(const struct field *f, float tie)
{
	const struct candidate *best = &f->c[0], *batched = NULL, *c;

	for (c = f->c; c < f->c + f->n; c++) {
		best = c->ms < best->ms ? c : best;
		if (c->way == FFN_BATCHED && (!batched || c->ms < batched->ms))
			batched = c;
	}
	return batched && batched->ms <= best->ms * tie ? batched : best;
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
		f, p, rows, b, s, known, known ? LATER_MS : FIRST_MS,
		clock_ms()
	};
	struct field field = { .n = 0 };
	const struct candidate *c;
	enum status st;
	bool is_long;

	if (does_for(known, ratio, rows))
		return ST_OK;
	st = try_all(&r, &field);
	if (st || !field.n)
		return st;
	is_long = field.c[0].ms >= LONG_MS;
	if (field.n > 1)
		st = is_long ? run_long(&r, &field) : run_finals(&r, &field);
	if (st)
		return st;
	c = pick(&field, is_long ? LONG_TIE : TIE);
	ffn_keep(f, p, rows, c->way, c->algo);
	return ST_OK;
}
