/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fits of a database: made, stored, and turned into what a forecast takes. */
#include "profiles/fit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "profiles/contention.h"
#include "profiles/fit_groups.h"
#include "scenarios/curve_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_COPY(to, from) snprintf(to, sizeof(to), "%s", from)

/* ST_INPUT: cannot be fitted (too few sizes). */
static enum status fit_group(const struct fit_group *g, struct fit_row *out)
{
	struct buf text = { 0 };
	struct fit best, smooth;
	enum status st = fit_curve(g->n, g->t, (int)g->count, &best);

	if (!st)
		st = fit_form(FIT_SQRT, g->n, g->t, (int)g->count, &smooth);
	if (st)
		return st;
	*out = g->key;
	TEXT_COPY(out->form, fit_form_name(best.form));
	out->alpha_s = smooth.curve.piece[0].a;
	out->beta_s_per_byte = smooth.curve.piece[0].b;
	out->gamma_s_per_sqrt_byte = smooth.curve.piece[0].c;
	out->r2 = best.r2;
	out->mape = best.mape;
	out->min_bytes = best.min_n;
	out->max_bytes = best.max_n;
	out->samples = best.samples;
	curve_json_print(&best.curve, &text);
	if (text.len >= sizeof(out->pieces)) {
		buf_release(&text);
		return err_set(ST_FAIL, "fit of '%s': too many pieces",
			       g->key.op);
	}
	TEXT_COPY(out->pieces, buf_str(&text));
	buf_release(&text);
	return ST_OK;
}

enum status fit_database(struct store *db, int *n_fits_p)
{
	struct fit_groups g;
	struct fit_row *row;
	size_t n = 0, i;
	enum status st = fit_groups_read(db, &g);

	if (st)
		return st;
	row = xcalloc(g.n + 1, sizeof(*row));
	for (i = 0; i < g.n && st != ST_FAIL; i++) {
		st = fit_group(&g.group[i], &row[n]);
		n += !st;
	}
	if (st != ST_FAIL)
		st = store_set_fits(db, row, n);
	if (!st)
		*n_fits_p = (int)n;
	free(row);
	fit_groups_release(&g);
	return st;
}

/* ---- what a forecast takes ---- */

/* "h200-sxm" is "NVIDIA H200": the first word is in the other, whatever the
 * case. */
bool fit_gpu_matches(const char *name, const char *gpu)
{
	char word[64];
	size_t i, n = strcspn(name, "- _");

	for (i = 0; i < n && i < sizeof(word) - 1; i++)
		word[i] = name[i];
	word[i] = 0;
	return n && strcasestr(gpu, word);
}

/* How many samples one GPU has. */
static size_t count_of(const struct fit_groups *g, const char *gpu)
{
	size_t i, n = 0;

	for (i = 0; i < g->n; i++) {
		if (!strcmp(g->group[i].key.gpu, gpu))
			n += g->group[i].count;
	}
	for (i = 0; i < g->n_products; i++)
		n += !strcmp(g->product[i].gpu, gpu);
	return n;
}

struct choice {
	const char *gpu;
	bool matches;
	size_t count;
};

static void consider(const struct fit_groups *g, const char *gpu,
		     const char *wanted, struct choice *best)
{
	struct choice c = { .gpu = gpu };

	if (best->gpu && !strcmp(best->gpu, gpu))
		return;
	c.count = count_of(g, gpu);
	c.matches = wanted && fit_gpu_matches(wanted, gpu);
	if (!best->gpu || c.matches > best->matches ||
	    (c.matches == best->matches && c.count > best->count))
		*best = c;
}

/* The wanted GPU, else the one with most samples; NULL: nothing there. */
static const char *choose_gpu(const struct fit_groups *g, const char *wanted)
{
	struct choice best = { 0 };
	size_t i;

	for (i = 0; i < g->n; i++) {
		if (!i || strcmp(g->group[i].key.gpu, g->group[i - 1].key.gpu))
			consider(g, g->group[i].key.gpu, wanted, &best);
	}
	for (i = 0; i < g->n_products; i++) {
		if (!i || strcmp(g->product[i].gpu, g->product[i - 1].gpu))
			consider(g, g->product[i].gpu, wanted, &best);
	}
	return best.gpu;
}

/* Lower is better: what the forecast's exchanges are most like. */
static int rank_of(const struct fit_row *r)
{
	int rank = 0;

	if (*r->variant && strcmp(r->variant, "even"))
		rank += 2;
	if (strcmp(r->dtype, "bf16"))
		rank += 1;
	return rank;
}

/* An op of its own to forecasts, or only another variant? */
static const char *curve_op(const struct fit_row *r)
{
	const char *own = measured_own_name(r->op, r->variant);

	return own ? own : r->op;
}

static bool same_curve(const struct fit_row *a, const struct fit_row *b)
{
	return !strcmp(curve_op(a), curve_op(b)) && !strcmp(a->tier, b->tier) &&
		a->ranks == b->ranks && a->ctas == b->ctas && a->n == b->n &&
		a->k == b->k && a->batch == b->batch;
}

/* Of groups that a forecast does not tell apart the best; ties: the first. */
static bool is_best(const struct fit_groups *g, size_t at)
{
	const struct fit_row *key = &g->group[at].key, *other;
	size_t i;
	int d;

	for (i = 0; i < g->n; i++) {
		other = &g->group[i].key;
		if (i == at || strcmp(other->gpu, key->gpu) ||
		    !same_curve(other, key))
			continue;
		d = rank_of(other) - rank_of(key);
		if (d < 0 || (d == 0 && i < at))
			return false;
	}
	return true;
}

struct stored {
	struct fit_row *row;
	size_t n;
};

/* The stored fit, unless samples came after it; else a fresh one. */
static enum status get_fit(const struct fit_group *g, const struct stored *s,
			   struct fit_row *out)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (!fit_key_compare(&s->row[i], &g->key) &&
		    s->row[i].samples == (int)g->count) {
			*out = s->row[i];
			return ST_OK;
		}
	}
	return fit_group(g, out);
}

enum status fit_rows(struct store *db, struct fit_row **out_p, size_t *n_p)
{
	struct stored stored = { 0 };
	struct fit_groups g;
	struct fit_row *row;
	size_t n = 0, i;
	enum status st = fit_groups_read(db, &g);

	if (st)
		return st;
	row = xcalloc(g.n + 1, sizeof(*row));
	st = store_fits(db, &stored.row, &stored.n);
	for (i = 0; i < g.n && !st; i++) {
		st = get_fit(&g.group[i], &stored, &row[n]);
		n += !st;
		if (st == ST_INPUT)	/* too few sizes */
			st = ST_OK;
	}
	free(stored.row);
	fit_groups_release(&g);
	if (st) {
		free(row);
		return st;
	}
	err_clear();
	*out_p = row;
	*n_p = n;
	return ST_OK;
}

static enum status curve_of(const struct fit_row *r,
			    struct measured_curve *out)
{
	*out = (struct measured_curve){
		.ranks = r->ranks,
		.ctas = r->ctas,
		.n = r->n,
		.k = r->k,
		.batch = r->batch,
		.smooth = curve_make(r->alpha_s, r->beta_s_per_byte,
				     r->gamma_s_per_sqrt_byte, CURVE_MEASURED),
		.min_bytes = r->min_bytes,
		.max_bytes = r->max_bytes,
		.r2 = r->r2,
		.mape = r->mape,
	};
	TEXT_COPY(out->op, curve_op(r));
	TEXT_COPY(out->tier, r->tier);
	return curve_json_parse(r->pieces, CURVE_MEASURED, &out->curve);
}

static enum status take_curves(const struct fit_groups *g, const char *gpu,
			       const struct stored *s, struct measured *out)
{
	struct fit_row row;
	enum status st;
	size_t i;

	out->curve = xcalloc(g->n + 1, sizeof(*out->curve));
	for (i = 0; i < g->n; i++) {
		if (strcmp(g->group[i].key.gpu, gpu) || !is_best(g, i))
			continue;
		st = get_fit(&g->group[i], s, &row);
		if (st == ST_INPUT)	/* too few sizes */
			continue;
		if (!st)
			st = curve_of(&row, &out->curve[out->n_curves]);
		if (st)
			return st;
		out->n_curves++;
	}
	return ST_OK;
}

static bool same_table(const struct fit_product *a,
		       const struct fit_product *b)
{
	return !strcmp(a->gpu, b->gpu) && !strcmp(a->dtype, b->dtype) &&
		!strcmp(a->variant, b->variant);
}

static bool same_shape(const struct fit_product *a,
		       const struct fit_product *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k &&
		a->batch == b->batch;
}

/* One point per shape: the median of its repeats. Returns how many. */
static int take_points(const struct fit_product *p, size_t n,
		       struct product_point *out)
{
	size_t from, to;
	int count = 0;

	for (from = 0; from < n; from = to) {
		for (to = from; to < n && same_shape(&p[to], &p[from]); to++)
			;
		out[count++] = (struct product_point){
			p[from].m, p[from].n, p[from].k, p[from].batch,
			(p[(from + to - 1) / 2].seconds +
			 p[(from + to) / 2].seconds) / 2,
		};
	}
	return count;
}

static enum status take_table(const struct fit_product *p, size_t n,
			      struct measured *out)
{
	struct product_table *table = &out->table[out->n_tables];
	struct product_point *point;
	enum status st;
	int t, count;

	for (t = 0; t < DT_N && strcmp(dtype_name((enum dtype)t), p->dtype);
	     t++)
		;
	if (t == DT_N)	/* no type of this program */
		return ST_OK;
	point = xcalloc(n, sizeof(*point));
	count = take_points(p, n, point);
	st = product_table_init(table, (enum dtype)t, p->variant, point,
				count);
	free(point);
	out->n_tables += !st;
	return st;
}

static enum status take_products(const struct fit_groups *g, const char *gpu,
				 struct measured *out)
{
	const struct fit_product *p = g->product;
	size_t from, to, n = g->n_products, cap = 0;
	enum status st = ST_OK;

	for (from = 0; from < n && !st; from = to) {
		for (to = from; to < n && same_table(&p[to], &p[from]); to++)
			;
		if (strcmp(p[from].gpu, gpu))
			continue;
		out->table = array_grow(out->table, &cap,
					(size_t)out->n_tables + 1,
					sizeof(*out->table));
		st = take_table(p + from, to - from, out);
	}
	return st;
}

static enum status make(const struct fit_groups *g, const char *gpu,
			const struct stored *s, struct measured *out)
{
	enum status st;

	*out = (struct measured){ 0 };
	TEXT_COPY(out->gpu, gpu);
	snprintf(out->source, sizeof(out->source), "%s, %lld run%s, newest "
		 "%lld%s%s", gpu, (long long)g->runs, g->runs == 1 ? "" : "s",
		 (long long)g->last_run, *g->date ? " of " : "", g->date);
	st = take_curves(g, gpu, s, out);
	if (!st)
		st = take_products(g, gpu, out);
	if (st)
		measured_release(out);
	return st;
}

enum status fit_measured_gpu(struct store *db, const char *wanted,
			     struct measured *out)
{
	struct stored stored = { 0 };
	struct measured m;
	struct fit_groups g;
	const char *gpu;
	enum status st = fit_groups_read(db, &g);

	if (st)
		return st;
	gpu = choose_gpu(&g, wanted);
	if (!gpu)
		st = err_set(ST_INPUT, "no samples that a forecast can use");
	if (!st)
		st = store_fits(db, &stored.row, &stored.n);
	if (!st)
		st = make(&g, gpu, &stored, &m);
	if (!st) {
		st = contention_measured(db, gpu, &m);
		if (st)
			measured_release(&m);
	}
	if (!st)
		*out = m;
	free(stored.row);
	fit_groups_release(&g);
	return st;
}

enum status fit_measured(struct store *db, struct measured *out)
{
	return fit_measured_gpu(db, NULL, out);
}
