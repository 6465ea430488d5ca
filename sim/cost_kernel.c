/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost_kernel.h"

#include "base/curve.h"
#include "scenarios/measured.h"
#include "sim/cost.h"

#include <assert.h>
#include <math.h>

/*
 * How product libraries cut the work (what CUTLASS and cuBLAS choose
 * between; not properties of a GPU): the tile of the GPU file and up to
 * TILE_HALVINGS smaller ones, the longer side halved each time; the depth cut
 * in up to SPLIT_K_MAX parts of at least SPLIT_K_DEPTH, whose fp32 partial
 * sums are written and read again.
 */
#define TILE_HALVINGS 3
#define SPLIT_K_MAX 8
#define SPLIT_K_DEPTH 256
#define ACCUMULATOR_BYTES 4

double cost_stream(const struct gpu *g, double bytes)
{
	struct curve f = curve_make(g->kernel_s,
				    1 / (g->hbm_Bps * g->hbm_efficiency), 0,
				    CURVE_DATASHEET);

	return curve_eval(&f, bytes);
}

struct shape {
	double m, n, k;
};

static struct shape group_shape(const struct gemm_group *group, int i)
{
	double rows = group->rows[i] * group->row_scale;

	if (group->rows_are_depth)
		return (struct shape){ group->m, group->n, rows };
	return (struct shape){ rows, group->n, group->k };
}

/* Sums over a group for one tile size. */
struct tiling {
	double tiles;		/* output tiles */
	double flop;		/* of whole tiles, edges padded */
	double outputs;		/* elements written */
	double depth;		/* of the shallowest product */
};

static void tiling_add(struct tiling *t, struct shape s, double repeat,
		       int tile_m, int tile_n)
{
	double tiles = repeat * ceil(s.m / tile_m) * ceil(s.n / tile_n);

	t->tiles += tiles;
	t->flop += 2 * tiles * tile_m * tile_n * s.k;
	t->outputs += repeat * s.m * s.n;
	t->depth = fmin(t->depth, s.k);
}

static struct tiling group_tiling(const struct gemm_group *group, int tile_m,
				  int tile_n)
{
	struct tiling t = { .depth = INFINITY };
	struct shape s;
	int i;

	for (i = 0; i < group->n_products; i++) {
		s = group_shape(group, i);
		if (s.m > 0 && s.k > 0)
			tiling_add(&t, s, group->repeat, tile_m, tile_n);
	}
	return t;
}

/*
 * Tiles run in waves of one per SM, and the last wave costs as much as a full
 * one: seconds = flop / rate, stretched by ceil(waves) / waves. Splitting
 * the depth in `split` makes more, shallower tiles.
 */
static double tiling_time(const struct tiling *t, const struct gpu *g,
			  double rate, int split)
{
	double waves = t->tiles * split / g->sms;
	double s = t->flop / rate * ceil(waves) / waves;

	if (split > 1) {
		s += 2 * ACCUMULATOR_BYTES * t->outputs * split /
			(g->hbm_Bps * g->hbm_efficiency);
	}
	return s;
}

static double tiling_best(const struct tiling *t, const struct gpu *g,
			  double rate)
{
	double best = tiling_time(t, g, rate, 1);
	int split;

	for (split = 2; split <= SPLIT_K_MAX &&
	     t->depth >= split * SPLIT_K_DEPTH; split *= 2)
		best = fmin(best, tiling_time(t, g, rate, split));
	return best;
}

/* Seconds on the SMs, with the best of the library's tiles. */
static double group_math_time(const struct gemm_group *group,
			      const struct gpu *g, enum dtype t)
{
	double rate = g->flops[t] * g->gemm_efficiency, best = INFINITY;
	int i, tile_m = g->tile_m, tile_n = g->tile_n;
	struct tiling tiling;

	for (i = 0; i <= TILE_HALVINGS; i++) {
		tiling = group_tiling(group, tile_m, tile_n);
		if (!(tiling.flop > 0))
			return 0;
		best = fmin(best, tiling_best(&tiling, g, rate));
		if (tile_n > tile_m)
			tile_n = (tile_n + 1) / 2;
		else
			tile_m = (tile_m + 1) / 2;
	}
	return best;
}

/*
 * Both inputs read once, the output written once, and read when it is added
 * to; empty products: nothing.
 */
static double group_bytes(const struct gemm_group *group, enum dtype t)
{
	double elements = 0;
	struct shape s;
	int i;

	for (i = 0; i < group->n_products; i++) {
		s = group_shape(group, i);
		if (s.m > 0 && s.k > 0)
			elements += s.m * s.k + s.k * s.n +
				s.m * s.n * (group->adds ? 2 : 1);
	}
	return elements * group->repeat * dtype_bytes(t);
}

static double group_outputs(const struct gemm_group *group)
{
	double sum = 0;
	struct shape s;
	int i;

	for (i = 0; i < group->n_products; i++) {
		s = group_shape(group, i);
		if (s.m > 0 && s.k > 0)
			sum += s.m * s.n;
	}
	return sum * group->repeat;
}

/* Those rows that the SMs compute: tables have few between whole tiles. */
static double whole_tiles(double rows, int tile)
{
	return rows > tile ? ceil(rows / tile) * tile : rows;
}

/*
 * Products that add: as they were measured, where that reaches one over all
 * experts; else so much more for each output.
 */
static double adding_time(const struct measured *m, enum dtype t,
			  const struct gemm_group *group, double batch,
			  double plain)
{
	struct shape s = group_shape(group, 0);
	const struct product_point p = { s.m, s.n, s.k, batch, 0 };
	double adding = group->n_products > 1 ? 0 :
		measured_variant_seconds(m, t, MEASURED_ADDING, &p);

	return adding > 0 ? fmax(adding, plain) :
		plain + group_outputs(group) * group->adding_s;
}

/*
 * Products with a call each, in the order of the group. A host queues call i at
 * (i + 1) call_s; its kernel begins when that is done and those before have
 * ended, and has its share of the time that they take together.
 */
struct calls {
	double call_s;		/* 0: not measured */
	double queued_s, end_s;	/* of those so far */
};

static struct calls calls_of(const struct measured *m, double n)
{
	double s = measured_call_seconds(m, n);

	/* a call launches a kernel */
	return (struct calls){
		.call_s = s > 0 ? fmax(s, measured_launch_seconds(m, n)) / n : 0
	};
}

/*
 * `repeat` alike that take `seconds` together. Those from the j-th on end after
 * h + j call_s + (repeat - j + 1) seconds / repeat, which is most for the first
 * or the last.
 */
static void calls_add(struct calls *c, double repeat, double seconds)
{
	double first = c->queued_s + c->call_s;

	c->queued_s += repeat * c->call_s;
	c->end_s = fmax(fmax(c->end_s, first) + seconds,
			c->queued_s + seconds / repeat);
}

/* How much longer one that adds takes, in a call of its own. *known_p: it was
 * measured so. */
static double adding_more(const struct measured *m, enum dtype t,
			  const struct gemm_group *group, struct shape s,
			  double batch, double plain, bool *known_p)
{
	const struct product_point p = { s.m, s.n, s.k, batch, 0 };
	double adding = measured_variant_seconds(m, t, MEASURED_ADDING_EACH,
						 &p);

	if (!(adding > 0))
		return s.m * s.n * group->repeat * group->adding_s;
	*known_p = true;
	return fmax(group->repeat / batch * adding - plain, 0);
}

/* Products that are not empty. */
static double group_batch(const struct gemm_group *group)
{
	double batch = 0;
	struct shape s;
	int i;

	for (i = 0; i < group->n_products; i++) {
		s = group_shape(group, i);
		batch += s.m > 0 && s.k > 0 ? group->repeat : 0;
	}
	return batch;
}

/* So many alike. */
static double alike_time(const struct measured *m, enum dtype t, int tile,
			 const struct gemm_group *group, struct shape s,
			 double batch, bool *outside_p)
{
	double rows = whole_tiles(s.m, tile);

	return group->packed ?
		measured_each_seconds(m, t, group->rows_are_depth, rows, s.n,
				      s.k, batch, outside_p) :
		measured_product_seconds(m, t, rows, s.n, s.k, batch,
					 outside_p);
}

/* Of those that run together: their sum, each with a call of its own, too. */
struct parts {
	double sum, more;	/* more: for those that add */
	bool more_known;
	struct calls calls;
};

/*
 * Measured: of N products that run together, uneven ones too, each takes the
 * N-th part of a batch of N like it. False when the table does not reach one
 * of them, which is then *past_p.
 */
static bool measured_parts(const struct measured *m, enum dtype t, int tile,
			   const struct gemm_group *group, double batch,
			   struct parts *out, struct product_point *past_p)
{
	double one, more;
	bool outside;
	struct shape s;
	int i;

	for (i = 0; i < group->n_products; i++) {
		s = group_shape(group, i);
		if (!(s.m > 0 && s.k > 0))
			continue;
		one = group->repeat / batch *
			alike_time(m, t, tile, group, s, batch, &outside);
		if (outside) {
			*past_p = (struct product_point){ s.m, s.n, s.k,
							  batch, 0 };
			return false;
		}
		more = group->packed && group->adding_s > 0 ?
			adding_more(m, t, group, s, batch, one,
				    &out->more_known) : 0;
		out->sum += one;
		out->more += more;
		calls_add(&out->calls, group->repeat, one + more);
	}
	return out->sum > 0;
}

static bool measured_time(const struct measured *m, enum dtype t, int tile,
			  const struct gemm_group *group, struct work *out,
			  struct product_point *past_p)
{
	double batch = group_batch(group), sum;
	struct parts parts = { 0 };

	if (!measured_has_products(m, t))
		return false;
	if (group->packed)
		parts.calls = calls_of(m, batch);
	if (!measured_parts(m, t, tile, group, batch, &parts, past_p))
		return false;
	sum = parts.sum;
	if (parts.more_known)
		sum += parts.more;
	else if (group->adding_s > 0)
		sum = adding_time(m, t, group, batch, sum);
	if (parts.calls.call_s > 0) {
		out->host_s = parts.calls.queued_s;
		out->late_s = fmax(parts.calls.end_s - sum, 0);
	} else if (group->packed) {
		sum = fmax(sum, measured_launch_seconds(m, batch));
	}
	if (m->use)
		m->use->inside++;
	out->seconds = sum;
	return true;
}

bool work_each_known(const struct measured *m, enum dtype t,
		     const struct gemm_group *group)
{
	double batch = group->n_products * group->repeat;
	struct shape s;
	int i;

	for (i = 0; m && i < group->n_products; i++) {
		s = group_shape(group, i);
		if (s.m > 0 && s.k > 0 &&
		    !measured_each_known(m, t, group->rows_are_depth, s.m,
					 s.n, s.k, batch))
			return false;
	}
	return m != NULL;
}

/*
 * A benchmark's product is over before the GPU's power limit takes its clock
 * down; a layer's products go on and on. Seconds at the rate that holds; zeros
 * switch nothing, so that they need less power.
 */
static double sustained_time(const struct measured *m, enum dtype t,
			     const struct gemm_group *group)
{
	double flop = 0;
	struct shape s;
	int i;

	for (i = 0; i < group->n_products; i++) {
		s = group_shape(group, i);
		flop += 2 * fmax(s.m, 0) * s.n * fmax(s.k, 0);
	}
	return flop * group->repeat / measured_sustained_flops(m, t);
}

/* Empty rows that were measured: more of them save no more. */
#define EMPTY_MOST 0.5

/*
 * Seconds that a product takes for a moment, *seconds_p, and what it takes when
 * the limit holds. One that the limit slows down has been slowed down in its
 * benchmark, too: with empty rows it takes no longer than the limit asks.
 */
static double held_time(const struct measured *m, enum dtype t,
			const struct gemm_group *group, double *seconds_p)
{
	double full = sustained_time(m, t, group), seconds = *seconds_p;
	double saves = measured_empty_saves(m, t);
	double held = full * (1 - saves * fmin(group->empty, EMPTY_MOST));

	if (full > seconds && group->empty > 0 && saves < 1)
		*seconds_p = fmin(seconds, held);
	return held;
}

static void note_outside(const struct measured *m,
			 const struct product_point *p, double seconds)
{
	struct measured_use *use = m->use;

	if (!use)
		return;
	use->outside++;
	if (seconds > use->worst_s) {
		use->worst_s = seconds;
		use->worst = *p;
	}
}

/* The GPU's time is another, the host's is not. */
static void set_seconds(struct work *w, double seconds)
{
	if (w->host_s > 0)
		w->late_s = fmax(w->late_s + w->seconds - seconds, 0);
	w->seconds = seconds;
}

void work_add_gemms(struct work *w, const struct gpu *g,
		    const struct measured *m, enum dtype t,
		    const struct gemm_group *group)
{
	double bytes = group_bytes(group, t), seconds, sustained;
	struct product_point past = { 0 };
	struct work one = { 0 };

	assert(g->flops[t] > 0);
	if (!(bytes > 0))
		return;
	/* roofline: whichever of SMs and HBM takes longer. Measured: a benchmark
	 * that repeats a product may find small operands in the L2
	 * (doc/model.md, "Products": inferred); in a layer other kernels ran
	 * in between */
	if (!measured_time(m, t, g->tile_m, group, &one, &past))
		one.seconds = g->kernel_s + group_math_time(group, g, t);
	seconds = one.seconds;
	sustained = held_time(m, t, group, &seconds);
	set_seconds(&one, fmax(seconds, cost_stream(g, bytes)));
	one.bytes = bytes;
	if (sustained > one.seconds) {
		one.held_s = sustained - one.seconds;
		one.limited_s = sustained;
	}
	if (past.m > 0) {
		one.outside_s = one.seconds;
		note_outside(m, &past, one.seconds);
	}
	work_add(w, &one);
}

void work_add_gemm(struct work *w, const struct gpu *g,
		   const struct measured *table, enum dtype t, double m,
		   double n, double k)
{
	struct gemm_group group = { .n_products = 1, .repeat = 1, .rows = &m,
				    .row_scale = 1, .n = n, .k = k };

	work_add_gemms(w, g, table, t, &group);
}

double cost_gemm(const struct gpu *g, enum dtype t, double m, double n,
		 double k, double batch)
{
	struct gemm_group group = { .n_products = 1, .repeat = batch,
				    .rows = &m, .row_scale = 1, .n = n,
				    .k = k };
	struct work w = { 0 };

	work_add_gemms(&w, g, NULL, t, &group);
	return w.seconds;
}

void work_add_stream(struct work *w, const struct gpu *g, double bytes)
{
	if (!(bytes > 0))
		return;
	work_add(w, &(struct work){ .seconds = cost_stream(g, bytes),
				    .bytes = bytes });
}

/*
 * One after the other, on the GPU and on its host: the second ends when it has
 * run behind the first, or when its calls come in time no more, host_s after
 * the first's.
 */
void work_add(struct work *w, const struct work *more)
{
	w->late_s = fmax(fmax(w->late_s, w->host_s + more->late_s -
			      w->seconds), 0);
	w->host_s += more->host_s;
	w->seconds += more->seconds;
	w->bytes += more->bytes;
	w->outside_s += more->outside_s;
	w->first_s += more->first_s;
	w->held_s += more->held_s;
	w->limited_s += more->limited_s;
}

void work_slow(struct work *w, double speed)
{
	double s = w->seconds;

	set_seconds(w, s / speed);
	w->first_s /= speed;
	w->held_s = fmax(w->held_s + s - w->seconds, 0);
}

void work_hold(struct work *w, double share)
{
	double s = w->seconds;

	set_seconds(w, s + share * w->held_s);
	if (s > 0)
		w->first_s *= w->seconds / s;
}
