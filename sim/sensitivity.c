/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/sensitivity.h"

#include "base/mem.h"
#include "scenarios/measured.h"
#include "sim/search.h"

#include <math.h>
#include <stdlib.h>

/* ---- resources ---- */

static void scale_nvlink(struct scenario *s, double f)
{
	s->cluster.intra.bandwidth_Bps *= f;
	s->cluster.gpu.nvlink_Bps *= f;
}

static void scale_nic(struct scenario *s, double f)
{
	s->cluster.nic.bandwidth_Bps *= f;
}

static void scale_uplink(struct scenario *s, double f)
{
	s->cluster.fabric.oversubscription /= f;
}

static void scale_hbm(struct scenario *s, double f)
{
	s->cluster.gpu.hbm_Bps *= f;
}

static void scale_flops(struct scenario *s, double f)
{
	for (int i = 0; i < DT_N; i++)
		s->cluster.gpu.flops[i] *= f;
}

static void scale_intra_latency(struct scenario *s, double f)
{
	s->cluster.intra.latency_s /= f;
}

static void scale_nic_latency(struct scenario *s, double f)
{
	s->cluster.nic.latency_s /= f;
}

static void scale_tier(struct comm_tier *t, double f)
{
	t->launch_s /= f;
	t->ll_launch_s /= f;
	t->message_s /= f;
}

static void scale_launch(struct scenario *s, double f)
{
	s->cluster.gpu.kernel_s /= f;
	scale_tier(&s->cluster.gpu.intra, f);
	scale_tier(&s->cluster.gpu.inter, f);
	for (int i = 0; i < s->cluster.gpu.n_limits; i++) {
		scale_tier(&s->cluster.gpu.limit[i].intra, f);
		scale_tier(&s->cluster.gpu.limit[i].inter, f);
	}
}

static double value_nvlink(const struct scenario *s)
{
	return s->cluster.intra.bandwidth_Bps;
}

static double value_nic(const struct scenario *s)
{
	return s->cluster.nodes > 1 ? s->cluster.nic.bandwidth_Bps : 0;
}

static double value_uplink(const struct scenario *s)
{
	const struct cluster *c = &s->cluster;

	return c->fabric.kind == FABRIC_NONBLOCKING || c->nodes == 1 ? 0 :
		1 / c->fabric.oversubscription;
}

static double value_hbm(const struct scenario *s)
{
	return s->cluster.gpu.hbm_Bps;
}

static double value_flops(const struct scenario *s)
{
	return s->cluster.gpu.flops[s->model.dtype];
}

static double value_intra_latency(const struct scenario *s)
{
	return s->cluster.intra.latency_s;
}

static double value_nic_latency(const struct scenario *s)
{
	return s->cluster.nodes > 1 ? s->cluster.nic.latency_s : 0;
}

static double value_launch(const struct scenario *s)
{
	return s->cluster.gpu.kernel_s;
}

static const struct {
	const char *name, *unit;
	bool is_latency;
	void (*scale)(struct scenario *s, double f);
	double (*value)(const struct scenario *s);	/* 0: not there */
} resources[RESOURCE_N] = {
	[RESOURCE_NVLINK] = { "nvlink", "bytes/s", false, scale_nvlink,
			      value_nvlink },
	[RESOURCE_NIC] = { "nic", "bytes/s", false, scale_nic, value_nic },
	[RESOURCE_UPLINK] = { "leaf-uplink", "share of full bisection", false,
			      scale_uplink, value_uplink },
	[RESOURCE_HBM] = { "hbm", "bytes/s", false, scale_hbm, value_hbm },
	[RESOURCE_FLOPS] = { "flops", "FLOP/s", false, scale_flops,
			     value_flops },
	[RESOURCE_INTRA_LATENCY] = { "intra-latency", "s", true,
				     scale_intra_latency,
				     value_intra_latency },
	[RESOURCE_NIC_LATENCY] = { "nic-latency", "s", true,
				   scale_nic_latency, value_nic_latency },
	[RESOURCE_LAUNCH] = { "launch", "s", true, scale_launch,
			      value_launch },
};

const char *resource_name(enum resource r)
{
	return resources[r].name;
}

const char *resource_unit(enum resource r)
{
	return resources[r].unit;
}

bool resource_is_latency(enum resource r)
{
	return resources[r].is_latency;
}

double resource_value(const struct scenario *s, enum resource r)
{
	return resources[r].value(s);
}

bool resource_there(const struct scenario *s, enum resource r)
{
	return resources[r].value(s) > 0;
}

/* ---- times ---- */

/* How much better each resource is than in the scenario. */
struct factors {
	double f[RESOURCE_N];
};

struct sense {
	const struct scenario *base;
	const struct progress *progress;
	double done, total;	/* searches */
};

/* Measured products take their time from a table: it scales with the FLOP
 * rate. Owned by the caller. */
static enum status scale_products(const struct measured *m, double f,
				  struct measured *out)
{
	enum status st = ST_OK;

	*out = *m;
	out->table = xcalloc((size_t)m->n_tables + 1, sizeof(*out->table));
	out->n_tables = 0;
	for (int t = 0; !st && t < m->n_tables; t++) {
		const struct product_table *from = &m->table[t];
		struct product_point *p = xcalloc((size_t)from->n, sizeof(*p));

		for (int i = 0; i < from->n; i++) {
			p[i] = from->point[i];
			p[i].seconds /= f;
		}
		st = product_table_init(&out->table[t], from->dtype,
					from->variant, p, from->n);
		out->n_tables += !st;
		free(p);
	}
	return st;
}

static void products_release(struct measured *m)
{
	for (int t = 0; t < m->n_tables; t++)
		product_table_release(&m->table[t]);
	free(m->table);
}

static enum status best_time(struct sense *x, const struct factors *f,
			     double *time_p)
{
	const struct search_options o = { .top = 1, .no_systems = true };
	struct scenario s = *x->base;	/* borrows what it points to */
	struct measured scaled = { 0 };
	struct search_result r;
	enum status st = ST_OK;

	for (int i = 0; i < RESOURCE_N; i++)
		resources[i].scale(&s, f->f[i]);
	if (s.measured && f->f[RESOURCE_FLOPS] != 1) {
		st = scale_products(s.measured, f->f[RESOURCE_FLOPS], &scaled);
		s.measured = &scaled;
	}
	if (!st)
		st = search_run(&s, &o, &r);
	if (!st) {
		*time_p = r.best_s;
		search_release(&r);
	}
	products_release(&scaled);
	progress_report(x->progress, ++x->done, x->total);
	return st;
}

/* All elasticities at a point; those that are not there are 0. */
static enum status elasticities(struct sense *x, const struct factors *at,
				double *e, double *time_p)
{
	enum status st = best_time(x, at, time_p);

	for (int i = 0; !st && i < RESOURCE_N; i++) {
		struct factors more = *at;
		double t;

		e[i] = 0;
		if (!resource_there(x->base, i))
			continue;
		more.f[i] *= SENSITIVITY_STEP;
		st = best_time(x, &more, &t);
		if (!st)
			e[i] = log(*time_p / t) / log(SENSITIVITY_STEP);
	}
	return st;
}

static int leader(const double *e)
{
	int best = 0;

	for (int i = 1; i < RESOURCE_N; i++)
		best = e[i] > e[best] ? i : best;
	return best;
}

/* ---- the path ---- */

/* Another resource has to pay so much more to take the lead: two that pay
 * alike would else change places at every step. */
#define LEAD 1.1

static bool leads(const double *e, int r)
{
	return e[r] * LEAD >= e[leader(e)];
}

static double value_at(const struct scenario *s, enum resource r, double f)
{
	double v = resource_value(s, r);

	return resource_is_latency(r) ? v / f : v * f;
}

/*
 * Improves resource r from *at on until it leads no more: *at is then there.
 * *led: it still leads at the end of what is looked at.
 */
static enum status advance(struct sense *x, int r, struct factors *at,
			   double *e, double *time_p, bool *led)
{
	double lo = at->f[r], hi = at->f[r] * SENSITIVITY_FACTOR_MAX;
	struct factors f = *at;
	enum status st;

	f.f[r] = hi;
	st = elasticities(x, &f, e, time_p);
	*led = leads(e, r);
	while (!st && !*led && hi / lo > SENSITIVITY_PRECISION) {
		f.f[r] = sqrt(lo * hi);
		st = elasticities(x, &f, e, time_p);
		if (!st && leads(e, r))
			lo = f.f[r];
		else
			hi = f.f[r];
	}
	if (!st && !*led && f.f[r] != hi) {
		f.f[r] = hi;
		st = elasticities(x, &f, e, time_p);
	}
	*at = f;
	return st;
}

static enum status walk(struct sense *x, int steps, double *e,
			struct sensitivity *out)
{
	struct factors at;
	enum status st = ST_OK;
	bool led = false;

	for (int i = 0; i < RESOURCE_N; i++)
		at.f[i] = 1;
	while (!st && !led && out->n_path < steps) {
		struct sensitivity_step *p = &out->path[out->n_path];
		int r = leader(e);

		if (e[r] < SENSITIVITY_LEAST)
			break;
		p->resource = r;
		p->from = value_at(x->base, r, at.f[r]);
		st = advance(x, r, &at, e, &p->time_s, &led);
		p->until = led ? INFINITY : value_at(x->base, r, at.f[r]);
		out->n_path += !st;
	}
	return st;
}

static int by_elasticity(const void *a, const void *b)
{
	const struct sensitivity_row *x = a, *y = b;

	if (x->elasticity != y->elasticity)
		return x->elasticity < y->elasticity ? 1 : -1;
	return (int)x->resource - (int)y->resource;
}

/* Searches of a step of the path, about: for the progress. */
#define STEP_POINTS 11

enum status sensitivity_run(const struct scenario *s, int steps,
			    const struct progress *progress,
			    struct sensitivity *out)
{
	struct sense x = { .base = s, .progress = progress };
	struct sensitivity v = { 0 };
	struct factors now;
	double e[RESOURCE_N];
	enum status st;

	for (int i = 0; i < RESOURCE_N; i++)
		now.f[i] = 1;
	x.total = (1 + RESOURCE_N) * (1 + STEP_POINTS * (double)steps);
	st = elasticities(&x, &now, e, &v.time_s);
	for (int i = 0; !st && i < RESOURCE_N; i++) {
		if (resource_there(s, i))
			v.row[v.n_rows++] = (struct sensitivity_row){
				i, resource_value(s, i), e[i] };
	}
	qsort(v.row, (size_t)v.n_rows, sizeof(v.row[0]), by_elasticity);
	if (!st)
		st = walk(&x, steps, e, &v);
	if (!st)
		*out = v;
	return st;
}
