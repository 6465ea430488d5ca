/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_shadow.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

#define PASSES 3	/* forward, data gradients, weight gradients */
#define EXCHANGES 4	/* dispatch and combine, forward and backward */

struct load {
	int expert;
	int64_t rows;
};

static int home(const struct shadow_spec *s, int expert)
{
	return (int)((int64_t)expert * s->workers / s->experts);
}

void shadow_rows(const struct shadow_spec *s, const int64_t *count,
		 const bool *shadowed, double *rows)
{
	for (int w = 0; w < s->workers; w++) {
		rows[w] = 0;
	}
	for (int w = 0; w < s->workers; w++) {
		for (int e = 0; e < s->experts; e++) {
			int at = shadowed[e] ? w : home(s, e);

			rows[at] += (double)count[(int64_t)w * s->experts + e];
		}
	}
}

static double busiest(const struct shadow_spec *s, const int64_t *count,
		      const bool *shadowed)
{
	double *rows = xcalloc((size_t)s->workers, sizeof(*rows)), most = 0;

	shadow_rows(s, count, shadowed, rows);
	for (int w = 0; w < s->workers; w++) {
		most = fmax(most, rows[w]);
	}
	free(rows);
	return most;
}

double shadow_estimate_s(const struct shadow_spec *s, const int64_t *count,
			 const bool *shadowed)
{
	double rows = busiest(s, count, shadowed);
	int n = 0;

	for (int e = 0; e < s->experts; e++) {
		n += shadowed[e];
	}
	return PASSES * rows * s->flop_per_row / s->gemm_flops +
		EXCHANGES * rows * s->row_bytes / s->net_Bps +
		s->transfers * n * s->expert_bytes / s->net_Bps;
}

void shadow_traffic(const struct shadow_spec *s, const int64_t *count,
		    const bool *shadowed, struct traffic *out)
{
	size_t n = (size_t)s->workers;

	*out = (struct traffic){ .n_ranks = s->workers };
	out->bytes = xcalloc(n * n, sizeof(*out->bytes));
	for (int w = 0; w < s->workers; w++) {
		for (int e = 0; e < s->experts; e++) {
			int at = shadowed[e] ? w : home(s, e);

			out->bytes[(size_t)w * n + (size_t)at] += s->row_bytes *
				(double)count[(int64_t)w * s->experts + e];
		}
	}
}

static double remote_bytes(const struct shadow_spec *s, const int64_t *count,
			   const bool *shadowed)
{
	double rows = 0;

	for (int w = 0; w < s->workers; w++) {
		for (int e = 0; e < s->experts; e++) {
			rows += shadowed[e] || home(s, e) == w ? 0 :
				(double)count[(int64_t)w * s->experts + e];
		}
	}
	return rows * s->row_bytes;
}

static int by_load(const void *a, const void *b)
{
	const struct load *x = a, *y = b;

	if (x->rows != y->rows) {
		return x->rows > y->rows ? -1 : 1;
	}
	return (x->expert > y->expert) - (x->expert < y->expert);
}

static struct load *sort_experts(const struct shadow_spec *s,
				 const int64_t *count)
{
	struct load *l = xcalloc((size_t)s->experts, sizeof(*l));

	for (int e = 0; e < s->experts; e++) {
		l[e].expert = e;
		for (int w = 0; w < s->workers; w++) {
			l[e].rows += count[(int64_t)w * s->experts + e];
		}
	}
	qsort(l, (size_t)s->experts, sizeof(*l), by_load);
	return l;
}

static enum status spec_check(const struct shadow_spec *s)
{
	if (s->workers < 1 || s->experts < 1) {
		return err_set(ST_INPUT, "shadowing: %d workers and %d experts",
			       s->workers, s->experts);
	}
	if (!(s->gemm_flops > 0 && s->net_Bps > 0 && s->transfers >= 0)) {
		return err_set(ST_INPUT, "shadowing: rates must be positive");
	}
	return ST_OK;
}

static void set_costs(const struct shadow_spec *s, struct shadow_result *r)
{
	struct tech_cost c = {
		.exchanges = r->n,	/* one broadcast, or reduce, each */
		.exchange_bytes = r->n * s->expert_bytes,
		.messages = r->n,
	};

	r->forward = c;
	r->backward = c;
}

enum status shadow_run(const struct shadow_spec *spec, const int64_t *count,
		       struct shadow_result *out)
{
	enum status st = spec_check(spec);
	struct shadow_result r = { 0 };
	struct load *order;

	if (st) {
		return st;
	}
	order = sort_experts(spec, count);
	r.shadowed = xcalloc((size_t)spec->experts, sizeof(*r.shadowed));
	r.before_s = r.after_s = shadow_estimate_s(spec, count, r.shadowed);
	r.busiest_before = busiest(spec, count, r.shadowed);
	r.bytes_before = remote_bytes(spec, count, r.shadowed);
	for (int i = 0; i < spec->experts; i++) {
		double t;

		r.shadowed[order[i].expert] = true;
		t = shadow_estimate_s(spec, count, r.shadowed);
		if (t >= r.after_s) {
			r.shadowed[order[i].expert] = false;
			break;
		}
		r.after_s = t;
		r.n++;
	}
	r.busiest_after = busiest(spec, count, r.shadowed);
	r.bytes_after = remote_bytes(spec, count, r.shadowed);
	set_costs(spec, &r);
	free(order);
	*out = r;
	return ST_OK;
}

void shadow_result_release(struct shadow_result *r)
{
	free(r->shadowed);
	*r = (struct shadow_result){ 0 };
}
