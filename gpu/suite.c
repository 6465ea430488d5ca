/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/suite.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sizes of an exchange or memory op that a task does not bound. */
#define RANGE_MIN 1024
#define RANGE_MAX 67108864
/* Experts, columns, depth where a task gives none. */
#define SHAPE_DEFAULT 64
#define TOPK_DEFAULT 2
/* Series with a limit on CTAs come after those without, in penalties. */
#define CTAS_PENALTY 100
/* They need fewer sizes: their curves are those without a limit, capped. So
 * do kernels that other shapes tell about. */
#define CTAS_WEIGHT 0.2
#define CTAS_GAP 3	/* octaves, where gaps are fine without one */
#define SHAPE_WEIGHT 0.4
#define OTHER_WEIGHT 0.1	/* products in other than the usual way */
/*
 * Gaps (octaves) and windows by tier; "": memory ops. NVLink's protocols
 * switch between 256 KB and 64 MB. Sockets share the processor with all else
 * and know no CTAs, so limits on these come last.
 */
static const struct spacing {
	const char *tier;
	double gap, fine_gap, fine_min, fine_max, gap_above;
	int windows;
	double windows_max;
	bool has_late_ctas;
} spacings[] = {
	{ "nvlink", 0.5, 0.25, 0x1p18, 0x1p26, 0, 1, 0, false },
	{ "socket", 1.25, 0.5, 0x1p19, 0x1p25, 1.25, 5, 0x1p28, true },
	{ "", 0.75, 0, 0, 0, 0, 1, 0, false },
};
#define N_SPACINGS (sizeof(spacings) / sizeof(spacings[0]))

/* Contention comes after all first sizes and before any refinement; between
 * them what makes the GPU hot. */
#define BESIDE_PENALTY 500
#define HELD_PENALTY 600
#define HELD "sustained"
#define HELD_HALF "half-empty"
/* What passes between kernels is short, and a line nearly: each of its sizes
 * comes after the same of all others, and when it has to be quick these are
 * no more than a line takes. */
#define TURN_PENALTY 0.5

struct builder {
	const struct backend_ops *ops;
	struct backend *b;
	const struct backend_info *info;
	const struct job *job;
	struct suite *out;
	size_t cap;
	int added;	/* by this task */
};

/* Usual variants and dtypes, the best first; ends with NULL. */
static const char *const alltoall_variants[] = { "even", NULL };
static const char *const gemm_variants[] = { "strided-batched", "per-expert",
					      "grouped", NULL };
static const char *const no_variants[] = { "", NULL };
static const char *const dtypes[] = { "bf16", "fp32", NULL };
static const char *const exchange_dtypes[] = { "fp32", NULL };

static void put(char *to, const char *text)
{
	snprintf(to, SAMPLE_TEXT, "%s", text);
}

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sizes: m of a product, bytes of the others. */
static void set_sizes(struct series *s, const struct job_task *t, bool is_few)
{
	double min = t->min_bytes > 0 ? t->min_bytes : RANGE_MIN;
	double max = t->max_bytes > 0 ? t->max_bytes : RANGE_MAX;
	struct job_list m = t->m;
	struct bench_case c;
	double least;
	int i;

	if (!strcmp(t->op, "gemm")) {
		qsort(m.v, (size_t)m.n, sizeof(m.v[0]), by_number);
		for (i = 0; i < m.n; i++)
			adapt_first(&s->a, m.v[i]);
		return;
	}
	/* what one element of each rank, or one row, needs */
	suite_case(s, 1, UINT64_MAX, &c);
	least = (double)c.work.bytes;
	min = fmax(min, least);
	if (max <= min)
		adapt_first(&s->a, min);
	else if (is_few)
		adapt_few(&s->a, min, max);
	else
		adapt_range(&s->a, min, max);
}

static void set_spacing(struct series *s, bool has_tier)
{
	const char *tier = has_tier ? s->c.tier : "";
	const struct spacing *p = spacings;

	while (p < spacings + N_SPACINGS && strcmp(p->tier, tier))
		p++;
	s->windows = 1;
	if (p == spacings + N_SPACINGS)
		return;
	s->is_late = p->has_late_ctas &&
		     (s->c.work.ctas || s->c.beside.ctas);
	if (!(s->a.gap_max > 0))
		return;
	s->a.gap_max = p->gap;
	s->a.fine_gap = p->fine_gap;
	s->a.fine_min = p->fine_min;
	s->a.gap_above = p->gap_above;
	s->a.fine_max = p->fine_max;
	s->windows_max = p->windows_max;
	s->windows = p->windows;
}

static bool is_turn(const struct bench_work *w)
{
	return !strcmp(w->op, "launch") || !strcmp(w->op, "plan");
}

static void add_series(struct builder *bu, const struct bench_case *c,
		       const struct job_task *t)
{
	struct suite *out = bu->out;
	struct series *s;

	if (!bu->ops->can(bu->b, c))
		return;
	out->s = array_grow(out->s, &bu->cap, (size_t)out->n + 1,
			    sizeof(*out->s));
	s = &out->s[out->n++];
	*s = (struct series){ .c = *c, .weight = 1 };
	set_sizes(s, t, bu->job->quick && is_turn(&c->work));
	set_spacing(s, sample_op_is_exchange(c->work.op) || *c->beside.op);
	if (*c->beside.op) {
		s->penalty = BESIDE_PENALTY;
	} else if (!strcmp(c->work.variant, HELD) ||
		   !strcmp(c->work.variant, HELD_HALF)) {
		s->penalty = HELD_PENALTY;
		s->is_held = true;
	} else if (c->work.ctas) {
		s->penalty = CTAS_PENALTY;
		s->weight = CTAS_WEIGHT;
		s->a.gap_max = s->a.fine_gap > 0 ? CTAS_GAP : 0;
		s->a.fine_gap = s->a.gap_above = 0;
		s->windows = 1;
	} else if (c->work.n) {
		s->weight = strcmp(c->work.op, "gemm") ||
			    !strcmp(c->work.variant, gemm_variants[0]) ?
			    SHAPE_WEIGHT : OTHER_WEIGHT;
	}
	if (is_turn(&c->work))
		s->penalty = TURN_PENALTY;
	bu->added++;
}

static double at(const struct job_list *l, int i, double otherwise)
{
	return i < l->n ? l->v[i] : otherwise;
}

static int count(const struct job_list *l)
{
	return l->n ? l->n : 1;
}

/* All combinations of ctas, n, k, batch and the bytes beside. */
static void add_shapes(struct builder *bu, struct bench_case *c,
		       const struct job_task *t)
{
	bool product = !strcmp(t->op, "gemm");
	bool exchange = sample_op_is_exchange(t->op);
	int total = count(&t->ctas) * count(&t->n) * count(&t->k) *
		    count(&t->batch) * count(&t->beside_bytes), i, rest;
	struct bench_work *w = &c->work;

	for (i = 0; i < total; i++) {
		rest = i;
		w->ctas = (int)at(&t->ctas, rest % count(&t->ctas), 0);
		rest /= count(&t->ctas);
		w->n = (uint64_t)at(&t->n, rest % count(&t->n),
				    SHAPE_DEFAULT);
		rest /= count(&t->n);
		w->k = (uint64_t)at(&t->k, rest % count(&t->k),
				    product ? SHAPE_DEFAULT : TOPK_DEFAULT);
		rest /= count(&t->k);
		w->batch = (uint64_t)at(&t->batch, rest % count(&t->batch),
					product ? 1 : SHAPE_DEFAULT);
		rest /= count(&t->batch);
		c->beside.bytes = (uint64_t)at(&t->beside_bytes, rest, 0);
		if (exchange)
			w->n = w->k = w->batch = 0;
		if (*c->beside.op) {
			c->beside.ctas = w->ctas;
			w->ctas = 0;
		}
		add_series(bu, c, t);
	}
}

/* The first dtype that the backend has, unless the task names one. */
static void add_dtypes(struct builder *bu, struct bench_case *c,
		       const struct job_task *t)
{
	const char *const *d = sample_op_is_exchange(t->op) ?
			       exchange_dtypes : dtypes;
	int before = bu->added;

	if (*t->dtype) {
		put(c->work.dtype, t->dtype);
		add_shapes(bu, c, t);
		return;
	}
	for (; *d && bu->added == before; d++) {
		put(c->work.dtype, *d);
		add_shapes(bu, c, t);
	}
}

static void add_variants(struct builder *bu, struct bench_case *c,
			 const struct job_task *t)
{
	const char *const *v = no_variants;
	int before = bu->added;

	if (!strcmp(t->op, "alltoall"))
		v = alltoall_variants;
	if (!strcmp(t->op, "gemm"))
		v = gemm_variants;
	if (*t->variant) {
		put(c->work.variant, t->variant);
		add_dtypes(bu, c, t);
		return;
	}
	for (; *v; v++) {
		/* contention: one variant tells it */
		if (*c->beside.op && bu->added > before)
			break;
		put(c->work.variant, *v);
		add_dtypes(bu, c, t);
	}
}

static void add_task(struct builder *bu, const struct job_task *t,
		     const char *tier)
{
	struct bench_case c = { .ranks = bu->info->ranks,
				.seed = bu->job->seed };

	put(c.work.op, t->op);
	put(c.tier, tier);
	if (*t->beside) {
		put(c.beside.op, t->beside);
		put(c.beside.dtype, exchange_dtypes[0]);
		put(c.beside.variant,
		    strcmp(t->beside, "alltoall") ? "" : "even");
	}
	add_variants(bu, &c, t);
}

static bool needs_tier(const struct job_task *t)
{
	return sample_op_is_exchange(t->op) || *t->beside;
}

static enum status cannot(const struct job *j, const struct job_task *t,
			  int i)
{
	return err_set(ST_INPUT, "job: tasks[%d]: backend '%s' cannot do op "
		       "'%s', variant '%s', dtype '%s'%s", i, j->backend,
		       t->op, t->variant, t->dtype,
		       needs_tier(t) ? " on these tiers" : "");
}

enum status suite_build(const struct job *j, const struct backend_ops *ops,
			struct backend *b, const struct backend_info *info,
			const char *const *tiers, int n_tiers,
			bool only_exchanges, struct suite *out)
{
	struct suite s = { 0 };
	struct builder bu = { .ops = ops, .b = b, .info = info, .job = j,
			      .out = &s };
	int i, t;

	for (i = 0; i < j->n_tasks; i++) {
		const struct job_task *task = &j->task[i];

		bu.added = 0;
		if (task->layer || (!needs_tier(task) && only_exchanges))
			continue;	/* layers: gpu/run_layer.h */
		/* emulated nodes take turns on their devices */
		if (info->shares_devices && !sample_op_is_exchange(task->op))
			continue;
		if (!needs_tier(task))
			add_task(&bu, task, "");
		for (t = 0; t < n_tiers && needs_tier(task); t++)
			add_task(&bu, task, tiers[t]);
		if (!bu.added && !task->optional && (!needs_tier(task) || n_tiers)) {
			suite_release(&s);
			return cannot(j, task, i);
		}
	}
	*out = s;
	return ST_OK;
}

void suite_release(struct suite *s)
{
	free(s->s);
	*s = (struct suite){ 0 };
}

bool suite_case(const struct series *s, double size, uint64_t max_bytes,
		struct bench_case *out)
{
	struct bench_work *w = &out->work;

	*out = s->c;
	if (sample_op_is_exchange(w->op)) {
		w->bytes = work_round_bytes((uint64_t)size, out->ranks);
	} else if (!strcmp(w->op, "gemm")) {
		w->m = (uint64_t)(size + 0.5);
		work_set_bytes(w);
	} else {
		work_set_size(w, (uint64_t)size);
	}
	return work_memory(out) <= max_bytes;
}
