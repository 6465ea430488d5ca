/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/run.h"

#include "base/mem.h"
#include "gpu/bench.h"
#include "gpu/run_layer.h"
#include "gpu/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Where a size that is left out is off by less, nothing more is measured. */
#define TOLERANCE 0.03
/* Of the budget, for repeating the first sizes of all series. */
#define FIRST_SHARE 0.3
#define CAP_MIN_S 0.002
/* Of a size that is measured in several windows, for each. */
#define WINDOW_S 0.015
/* Exchanges from so many bytes up that are so far off the line between their
 * neighbours are measured so often. */
#define DOUBT_BYTES 0x1p20
#define DOUBT_ERROR 0.08
#define DOUBT_TIMES 3
/* Products that last: how long before they count, and then. */
#define HOLD_S 0.08
#define HELD_S 0.05
/* Measuring a size takes so long, and so many repetitions; about. */
#define STEP_S 0.01
#define STEP_REPEATS 8
#define CAP_MAX_S 1.0
/* A size that will take longer than so many caps is left out. */
#define SLOW_CAPS 5
/* So is one of a lesser series that takes longer than this. */
#define LESSER_SLOW_S 0.02
/* Contention: the exchange starts at that many bytes, and is fitted to the
 * product's time so often. */
#define BESIDE_BYTES 1048576
#define BESIDE_ROUNDS 3
#define BESIDE_TRIES 5
/* With an exchange that alone takes longer nothing is measured beside it. */
#define BESIDE_SLOW_S 0.02

static const char *const all_tiers[] = { "nvlink", "shm", "socket",
					 "network" };
#define N_TIERS ((int)(sizeof(all_tiers) / sizeof(all_tiers[0])))

struct run {
	const struct job *job;
	const struct run_sink *sink;
	struct backend_info info;
	struct bench bench;
	struct suite suite;
	double start_s, budget_s, cap_s;
	bool has_team;
	const char *here[BACKEND_TIERS_MAX];	/* tiers of this process */
	int n_here;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double spent_s(const struct run *r)
{
	return now_s() - r->start_s;
}

static enum status begin(struct run *r, const struct bench_case *c)
{
	char what[160];

	bench_describe(c, what, sizeof(what));
	return r->sink->progress(r->sink->arg, spent_s(r), r->budget_s, what);
}

/* What was measured, or why not. */
static enum status hand_out(struct run *r, enum status st,
			    const struct bench_case *c,
			    const struct sample *s, int n)
{
	char what[160];

	if (!st)
		return r->sink->samples(r->sink->arg, s, n);
	bench_describe(c, what, sizeof(what));
	return err_prefix(st, "%s", what);
}

/* What a series moves at a size; of products that is mostly weights, and does
 * not grow as the rows do. */
static double bytes_at(const struct series *s, double size)
{
	struct bench_case c;

	suite_case(s, size, UINT64_MAX, &c);
	return (double)c.work.bytes;
}

/* One rate for all sizes of the series: is the next far too slow? */
static bool too_slow(const struct run *r, const struct series *s, double size)
{
	double guess = adapt_guess(&s->a, size);

	if (s->a.n == 1)
		guess = exp2(s->a.y[0]) * bytes_at(s, size) /
			bytes_at(s, exp2(s->a.x[0]));
	if (s->a.n && size < exp2(s->a.x[s->a.n - 1]))
		return false;
	return guess > SLOW_CAPS * CAP_MAX_S ||
	       (s->weight < 1 && guess > LESSER_SLOW_S) ||
	       guess * BENCH_REPEATS_MIN > r->budget_s - spent_s(r);
}

static enum status step_size(struct run *r, struct series *s, double size)
{
	struct sample out[BENCH_SAMPLES_MAX];
	struct bench_case c;
	enum status st;
	int n = 0;

	if (!suite_case(s, size, r->info.max_bytes, &c) ||
	    too_slow(r, s, size)) {
		adapt_stop_above(&s->a);
		s->done = !s->a.n;
		s->windows = 1;
		return ST_OK;
	}
	st = begin(r, &c);
	if (st)
		return st;
	st = bench_measure(&r->bench, &c, out, &n);
	if (!st)
		adapt_add(&s->a, size, out[0].median_s);
	return hand_out(r, st, &c, out, n);
}

/* Bytes at which the exchange alone takes about as long as the product. */
static enum status match(struct run *r, struct bench_case *c, double target)
{
	double seconds[BESIDE_TRIES], least, ratio;
	enum status st = ST_OK;
	int round, i;

	for (round = 0; round < BESIDE_ROUNDS && !st; round++) {
		st = r->bench.ops->prepare(r->bench.b, c);
		if (st)
			break;
		st = r->bench.ops->run(r->bench.b, BESIDE_TRIES, seconds,
				       NULL);
		r->bench.ops->release(r->bench.b);
		for (i = 1, least = seconds[0]; i < BESIDE_TRIES; i++)
			least = fmin(least, seconds[i]);
		ratio = fmin(fmax(target / fmax(least, 1e-9), 1.0 / 64), 64);
		c->work.bytes = work_round_bytes(
			(uint64_t)((double)c->work.bytes * ratio), c->ranks);
		if (work_memory(c) > r->info.max_bytes / 4)
			c->work.bytes = work_round_bytes(BESIDE_BYTES,
							 c->ranks);
	}
	return st;
}

/* Bytes of the exchange: the task's, or what takes as long as the product. */
static enum status size_beside(struct run *r, struct bench_case *exchange,
			       const struct bench_case *product)
{
	struct sample alone[BENCH_SAMPLES_MAX];
	enum status st;
	int n;

	if (exchange->work.bytes) {
		exchange->work.bytes = work_round_bytes(exchange->work.bytes,
							exchange->ranks);
		return ST_OK;
	}
	exchange->work.bytes = work_round_bytes(BESIDE_BYTES, exchange->ranks);
	st = bench_measure(&r->bench, product, alone, &n);
	return st ? st : match(r, exchange, alone[0].median_s);
}

/* Product (or memory op) alone, exchange alone, both together, in turns. */
static enum status step_beside(struct run *r, struct series *s, double size)
{
	struct sample out[BENCH_SAMPLES_MAX];
	struct bench_case product, exchange, both;
	enum status st;
	int n = 0;

	if (!suite_case(s, size, r->info.max_bytes, &product)) {
		s->done = true;
		return ST_OK;
	}
	both = exchange = product;
	exchange.work = product.beside;
	memset(&product.beside, 0, sizeof(product.beside));
	memset(&exchange.beside, 0, sizeof(exchange.beside));
	st = begin(r, &both);
	if (st)
		return st;
	st = size_beside(r, &exchange, &product);
	both.beside = exchange.work;
	if (!st)
		st = bench_together(&r->bench, &product, &exchange, &both,
				    BESIDE_SLOW_S, out, &n);
	s->done = st || n < BENCH_SAMPLES_MAX;
	if (!st)
		adapt_add(&s->a, size, out[0].median_s);
	return hand_out(r, st, &both, out, n);
}

/*
 * What to measure next, the kinds in this order: first sizes, of contention
 * too; gaps that are too wide; sizes again, in windows; late series; where a
 * size that is left out is far off. Among those of a kind: what it gains by
 * the second that it takes.
 */
enum wish_kind { WISH_NONE, WISH_REFINE, WISH_LATE, WISH_AGAIN, WISH_GAP,
		 WISH_FIRST };

struct wish {
	struct series *s;
	enum wish_kind kind;
	double size, value;
};

/* Seconds that measuring a size will take, about. */
static double step_s(const struct series *s, double size)
{
	return STEP_S + STEP_REPEATS * adapt_guess(&s->a, size);
}

static struct wish first_wish(struct series *s, double size, double error)
{
	return (struct wish){ s, s->is_late ? WISH_LATE : WISH_FIRST, size,
			      error - s->penalty };
}

static struct wish wish_of(struct series *s)
{
	struct wish w = { .s = s };
	double error = 0, size = s->done ? 0 : adapt_next(&s->a, &error);
	int times = 0;

	if (s->done)
		return w;
	if (size > 0 && error > ADAPT_ERROR_MAX)
		return first_wish(s, size, error);
	/* contention is not refined, nor what lasts */
	if (*s->c.beside.op || s->is_held)
		return w;
	w.size = size;
	w.value = error * s->weight / step_s(s, size);
	if (size > 0 && error > ADAPT_WIDE) {
		w.kind = WISH_GAP;
		return w;
	}
	if (size > 0 && error * s->weight > TOLERANCE)
		w.kind = WISH_REFINE;
	size = adapt_repeat(&s->a, s->windows_max, s->windows, &times);
	if (s->windows > 1 && size > 0)
		return (struct wish){ s, WISH_AGAIN, size, -times };
	if (s->windows > 1 || s->c.work.ctas ||
	    !sample_op_is_exchange(s->c.work.op))
		return w;
	size = adapt_doubt(&s->a, DOUBT_BYTES, DOUBT_TIMES, &error);
	if (error > DOUBT_ERROR)
		w = (struct wish){ s, WISH_AGAIN, size, error };
	return w;
}

static struct wish next_wish(struct run *r)
{
	struct wish best = { NULL }, w;
	int i;

	for (i = 0; i < r->suite.n; i++) {
		w = wish_of(&r->suite.s[i]);
		if (w.kind > best.kind ||
		    (w.kind == best.kind && w.kind && w.value > best.value))
			best = w;
	}
	return best;
}

static void set_cap(struct run *r)
{
	int i, points = 1;

	for (i = 0; i < r->suite.n; i++)
		points += r->suite.s[i].a.n_first;
	r->cap_s = fmin(fmax(r->budget_s * FIRST_SHARE / points, CAP_MIN_S),
			CAP_MAX_S);
}

static enum status measure_all(struct run *r)
{
	enum status st = ST_OK;
	struct wish w;

	set_cap(r);
	while (!st && spent_s(r) < r->budget_s) {
		w = next_wish(r);
		if (!w.kind)
			break;
		r->bench.cap_s = w.s->is_held ? HELD_S :
			w.s->windows > 1 ? fmin(r->cap_s, WINDOW_S) : r->cap_s;
		r->bench.hold_s = w.s->is_held ? HOLD_S : 0;
		if (*w.s->c.beside.op)
			st = step_beside(r, w.s, w.size);
		else
			st = step_size(r, w.s, w.size);
	}
	return st;
}

static bool environment_set(const char *const *env)
{
	for (; env && *env; env++) {
		const char *eq = strchr(*env, '=');
		char name[64];
		const char *value;

		snprintf(name, sizeof(name), "%.*s", (int)(eq - *env), *env);
		value = getenv(name);
		if (!value || strcmp(value, eq + 1))
			return false;
	}
	return true;
}

static bool in_list(const char *name, const char *const *list, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (!strcmp(list[i], name))
			return true;
	}
	return false;
}

/* Tiers that need another environment than ours. */
static int other_tiers(const struct run *r, const char **out)
{
	const struct backend_ops *ops = r->bench.ops;
	int i, n = 0;

	/* emulated nodes have sockets; processes of MPI what they were
	 * started with */
	if (r->job->emulate_nodes > 1 || r->has_team)
		return 0;
	for (i = 0; ops->tier_env && i < N_TIERS; i++) {
		const char *const *env = ops->tier_env(all_tiers[i]);

		if (!env || environment_set(env) ||
		    in_list(all_tiers[i], r->info.tier, r->info.n_tiers))
			continue;
		if (!r->job->n_tiers || in_list(all_tiers[i], r->job->tier,
						r->job->n_tiers))
			out[n++] = all_tiers[i];
	}
	return n;
}

/* Tiers that were asked for and that nobody has. */
static enum status check_tiers(const struct run *r, const char *const *here,
			       int n_here, const char *const *other,
			       int n_other)
{
	int i;

	for (i = 0; i < r->job->n_tiers; i++) {
		const char *t = r->job->tier[i];

		if (!in_list(t, here, n_here) && !in_list(t, other, n_other))
			return err_set(ST_INPUT, "backend '%s' has no tier "
				       "'%s' here", r->job->backend, t);
	}
	return ST_OK;
}

double run_tier_share(const struct job *j, const char *tier)
{
	static const struct {
		const char *tier;
		double share;
	} shares[] = {
		{ "shm", 0.13 }, { "socket", 0.4 },
	};
	size_t i;

	for (i = 0; !j->quick && i < sizeof(shares) / sizeof(shares[0]); i++) {
		if (!strcmp(shares[i].tier, tier))
			return shares[i].share;
	}
	return RUN_OTHER_SHARE;
}

static int tiers_here(const struct run *r, const struct run_options *o,
		      const char **out)
{
	int i, n = 0;

	for (i = 0; i < r->info.n_tiers; i++) {
		const char *t = r->info.tier[i];

		if (o->tier ? !strcmp(t, o->tier)
			    : !r->job->n_tiers || in_list(t, r->job->tier,
							  r->job->n_tiers))
			out[n++] = t;
	}
	return n;
}

static enum status plan(struct run *r, const struct run_options *o,
			const char **other, int *n_other_p)
{
	enum status st = ST_OK;
	int n_other = 0, i;
	double share = 1;

	r->n_here = tiers_here(r, o, r->here);
	if (!o->tier) {
		n_other = other_tiers(r, other);
		st = check_tiers(r, r->here, r->n_here, other, n_other);
	}
	if (!st && job_benchmarks(r->job))
		st = suite_build(r->job, r->bench.ops, r->bench.b, &r->info,
				 r->here, r->n_here, o->tier != NULL,
				 &r->suite);
	for (i = 0; i < n_other; i++)
		share -= run_tier_share(r->job, other[i]);
	r->budget_s *= share;
	*n_other_p = n_other;
	return st;
}

static enum status measure_layers(struct run *r, const struct run_options *o)
{
	struct run_layers layers = {
		.job = r->job, .sink = r->sink, .info = &r->info,
		.bench = r->bench, .tier = r->here, .n_tiers = r->n_here,
		.is_pass = o->tier != NULL, .spent_s = spent_s(r),
	};

	return run_layers(&layers);
}

static enum status run_open(struct run *r, const struct run_options *o,
			    const char **other, int *n_other_p)
{
	enum status st;

	r->bench.ops->info(r->bench.b, &r->info);
	r->bench.nodes = r->info.nodes;
	st = plan(r, o, other, n_other_p);
	if (!st)
		st = r->sink->run(r->sink->arg, &r->info.run);
	if (!st)
		st = measure_layers(r, o);
	if (!st)
		st = measure_all(r);
	suite_release(&r->suite);
	return st;
}

/* A job without tasks is the standard profile; *standard owns the tasks. */
static enum status fill_in(struct job *j, struct job *standard)
{
	const char *text = suite_standard(j->backend, j->quick);
	enum status st = job_parse(text, strlen(text), standard);

	if (st)
		return st;
	if (!j->n_tasks) {
		j->task = standard->task;
		j->n_tasks = standard->n_tasks;
	}
	if (!(j->budget_s > 0))
		j->budget_s = standard->budget_s;
	return ST_OK;
}

double run_budget_s(const struct job *j)
{
	struct job full = *j, standard = { 0 };
	enum status st = fill_in(&full, &standard);

	job_release(&standard);
	return st ? 0 : full.budget_s;
}

static enum status run_backend(struct run *r, const struct run_options *o,
			       const char **other, int *n_other_p)
{
	const struct job *j = r->job;
	struct backend_options options = { j->ranks, j->emulate_nodes,
					   j->seed, o->team };
	const struct backend_ops *ops = r->bench.ops;
	enum status st = ops->open(&options, &r->bench.b);

	if (st)
		return st;
	r->sink->backend(r->sink->arg, ops, r->bench.b);
	st = run_open(r, o, other, n_other_p);
	r->sink->backend(r->sink->arg, NULL, NULL);
	ops->close(r->bench.b);
	return st;
}

enum status run_job(const struct job *j, const struct run_options *o,
		    const struct run_sink *sink, const char **other,
		    int *n_other_p)
{
	struct job full = *j, standard = { 0 };
	struct run r = { .job = &full, .sink = sink, .start_s = now_s() };
	enum status st = backend_find(j->backend, &r.bench.ops);

	r.has_team = o->team != NULL;
	if (!st)
		st = fill_in(&full, &standard);
	if (!st) {
		r.budget_s = full.budget_s;
		if (o->budget_share > 0)
			r.budget_s *= o->budget_share;
		r.bench.beat = sink->beat;
		r.bench.arg = sink->arg;
		st = run_backend(&r, o, other, n_other_p);
	}
	job_release(&standard);
	return st;
}
