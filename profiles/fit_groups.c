/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit_groups.h"

#include "base/mem.h"
#include "profiles/fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_COPY(to, from) snprintf(to, sizeof(to), "%s", from)

static int by_number(double a, double b)
{
	return (a > b) - (a < b);
}

int fit_key_compare(const struct fit_row *a, const struct fit_row *b)
{
	int d = strcmp(a->gpu, b->gpu);

	d = d ? d : strcmp(a->op, b->op);
	d = d ? d : strcmp(a->tier, b->tier);
	d = d ? d : strcmp(a->variant, b->variant);
	d = d ? d : strcmp(a->dtype, b->dtype);
	d = d ? d : by_number(a->ranks, b->ranks);
	d = d ? d : by_number(a->ctas, b->ctas);
	d = d ? d : by_number(a->n, b->n);
	d = d ? d : by_number(a->k, b->k);
	return d ? d : by_number(a->batch, b->batch);
}

/* What the samples are of when the run names no GPU. */
static const char *gpu_of(const struct run_info *info)
{
	return *info->gpu ? info->gpu : info->backend;
}

static struct fit_group *group_of(struct fit_groups *g,
				  const struct fit_row *key)
{
	size_t i;

	if (g->last < g->n && !fit_key_compare(&g->group[g->last].key, key))
		return &g->group[g->last];
	for (i = 0; i < g->n; i++) {
		if (!fit_key_compare(&g->group[i].key, key))
			break;
	}
	if (i == g->n) {
		g->group = array_grow(g->group, &g->cap, g->n + 1,
				      sizeof(*g->group));
		g->group[g->n++] = (struct fit_group){ .key = *key };
	}
	g->last = i;
	return &g->group[i];
}

/*
 * What of a shape sets curves apart: experts, choices and row lengths of the
 * layer's kernels (gpu/work.h). m goes with the size; exchanges and plain
 * copies have no shape, whatever the sample says.
 */
static const struct fit_shape_use {
	const char *op;
	bool n, k, batch;
	const char *text;	/* of n, k, batch */
} shape_use[] = {
	{ "gate", true, true, false, "%g experts, hidden %g" },
	{ "topk", true, true, false, "%g experts, top-%g" },
	{ "sort", true, true, false, "%g experts, top-%g" },
	{ "plan", true, true, true, "%g experts, top-%g, %g chunks" },
	{ "permute", true, true, true, "hidden %g, top-%g, %g experts" },
	{ "combine", true, true, true, "hidden %g, top-%g, %g experts" },
};

static const struct fit_shape_use *shape_use_of(const char *op)
{
	size_t i;

	for (i = 0; i < sizeof(shape_use) / sizeof(*shape_use); i++) {
		if (!strcmp(shape_use[i].op, op))
			return &shape_use[i];
	}
	return NULL;
}

const char *fit_shape_text(const struct fit_row *f, char *out, size_t size)
{
	const struct fit_shape_use *use = shape_use_of(f->op);

	*out = 0;
	if (use && (f->n > 0 || f->k > 0))
		snprintf(out, size, use->text, f->n, f->k, f->batch);
	return out;
}

static struct fit_row key_of(const char *gpu, const struct sample *s)
{
	const struct fit_shape_use *use = shape_use_of(s->op);
	struct fit_row key = { .ranks = s->ranks, .ctas = s->ctas };

	if (use) {
		key.n = use->n ? s->n : 0;
		key.k = use->k ? s->k : 0;
		key.batch = use->batch ? s->batch : 0;
	}
	TEXT_COPY(key.gpu, gpu);
	TEXT_COPY(key.op, s->op);
	TEXT_COPY(key.variant, s->variant);
	TEXT_COPY(key.tier, s->tier);
	TEXT_COPY(key.dtype, s->dtype);
	return key;
}

static void add_size(struct fit_groups *g, const char *gpu,
		     const struct sample *s)
{
	struct fit_row key = key_of(gpu, s);
	struct fit_group *at = group_of(g, &key);

	at->n = array_grow(at->n, &at->cap_n, at->count + 1, sizeof(*at->n));
	at->t = array_grow(at->t, &at->cap_t, at->count + 1, sizeof(*at->t));
	at->n[at->count] = s->bytes;
	at->t[at->count++] = s->median_s;
}

static void add_product(struct fit_groups *g, const char *gpu,
			const struct sample *s)
{
	struct fit_product *p;

	g->product = array_grow(g->product, &g->cap_products,
				g->n_products + 1, sizeof(*g->product));
	p = &g->product[g->n_products++];
	*p = (struct fit_product){ .m = s->m, .n = s->n, .k = s->k,
				   .batch = s->batch > 0 ? s->batch : 1,
				   .seconds = s->median_s };
	TEXT_COPY(p->gpu, gpu);
	TEXT_COPY(p->dtype, s->dtype);
	TEXT_COPY(p->variant, s->variant);
}

/*
 * Ran alone, gave right results, took some time; and is no whole layer:
 * forecasts of layers are judged by those, so they must not rest on them.
 */
static bool is_usable(const struct sample *s)
{
	return strcmp(s->op, "layer") != 0 && !*s->beside && s->wrong <= 0 && s->median_s > 0 &&
	       isfinite(s->median_s);
}

static bool is_product(const struct sample *s)
{
	return !strcmp(s->op, "gemm");
}

static bool has_size(const struct sample *s)
{
	return s->bytes > 0 && isfinite(s->bytes);
}

bool fit_takes(const struct fit_row *f, const struct run_info *info,
	       const struct sample *s)
{
	struct fit_row key;

	if (!is_usable(s) || is_product(s) || !has_size(s))
		return false;
	key = key_of(gpu_of(info), s);
	return !fit_key_compare(f, &key);
}

static enum status add_sample(void *arg, int64_t run,
			      const struct run_info *info,
			      const struct sample *s)
{
	struct fit_groups *g = arg;

	if (!is_usable(s))
		return ST_OK;
	if (run != g->last_run) {	/* they come in order */
		g->runs++;
		g->last_run = run;
		TEXT_COPY(g->date, info->date);
	}
	if (is_product(s)) {
		if (s->m > 0 && s->n > 0 && s->k > 0)
			add_product(g, gpu_of(info), s);
	} else if (has_size(s)) {
		add_size(g, gpu_of(info), s);
	}
	return ST_OK;
}

static int by_key(const void *a, const void *b)
{
	const struct fit_group *x = a, *y = b;

	return fit_key_compare(&x->key, &y->key);
}

static int by_product(const void *a, const void *b)
{
	const struct fit_product *x = a, *y = b;
	int d = strcmp(x->gpu, y->gpu);

	d = d ? d : strcmp(x->dtype, y->dtype);
	d = d ? d : strcmp(x->variant, y->variant);
	d = d ? d : by_number(x->m, y->m);
	d = d ? d : by_number(x->n, y->n);
	d = d ? d : by_number(x->k, y->k);
	d = d ? d : by_number(x->batch, y->batch);
	return d ? d : by_number(x->seconds, y->seconds);
}

enum status fit_groups_read(struct store *db, struct fit_groups *out)
{
	struct fit_groups g = { .last_run = -1 };
	enum status st = store_each(db, add_sample, &g);

	if (st) {
		fit_groups_release(&g);
		return st;
	}
	if (g.n)
		qsort(g.group, g.n, sizeof(*g.group), by_key);
	if (g.n_products)
		qsort(g.product, g.n_products, sizeof(*g.product),
		      by_product);
	*out = g;
	return ST_OK;
}

void fit_groups_release(struct fit_groups *g)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		free(g->group[i].n);
		free(g->group[i].t);
	}
	free(g->group);
	free(g->product);
	*g = (struct fit_groups){ 0 };
}
