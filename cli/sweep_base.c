/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One point of a sweep, planned again: what the rows do not say. */
#include "base/buf.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/fill.h"
#include "cli/profile_use.h"
#include "cli/sweep_figures.h"
#include "reports/chart.h"
#include "reports/chart_style.h"
#include "reports/draw.h"
#include "reports/plan_files.h"
#include "sim/search.h"
#include "sim/sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAME_TIME 1e-9		/* relative: rows have 12 digits */
#define CHEAP_EVALUATIONS 20000	/* of one search, times GPUs below */
#define CHEAP_GPUS 1024
#define PATH_STEPS 1	/* of the next upgrades: each is 200 searches */
#define NO_LIMIT 1e18		/* bytes */

/* Capacity factors that people try; 0: dropless. */
static const double factors[] = { 1, 1.1, 1.25, 1.5, 2, 3, 4 };
#define N_FACTORS ((int)(sizeof(factors) / sizeof(factors[0])))

struct base {
	const struct figure_sink *sink;
	const struct sweep_view *v;
	long point;
	char *name;	/* owned */
	struct scenario s;
	struct profile_use use;
	struct search_result r;
};

/* ---- schedule and cluster ---- */

static enum status write_gantt(const void *chart, const char *path)
{
	return plan_gantt_write(chart, path);
}

static enum status draw_gantt(const struct base *b)
{
	struct report_op *op = fill_ops(&b->r.program, &b->r.exec);
	const struct plan_report p = {
		.scenario = &b->s, .plan = b->r.best.plan,
		.time_s = b->r.best_s,
		.forward_s = b->r.pass_s[0],
		.block_s = b->r.best.plan.dense ?
			s_from_ps(b->r.exec.time_ps) : 0,
		.block_forward_s = s_from_ps(b->r.exec.forward_ps),
		.op = op, .n_ops = b->r.program.n_ops,
		.cost_note = b->use.active ? b->use.note : NULL,
		.cost_source = b->use.active ? CURVE_MEASURED : CURVE_ASSUMED,
	};
	char *caption = xasprintf("The schedule of the best plan at %s.",
				  b->name);
	enum status st = figure_put(b->sink, "gantt", caption, write_gantt,
				    &p);

	free(caption);
	free(op);
	return st;
}

static enum status write_drawing(const void *chart, const char *path)
{
	return drawing_write(chart, path);
}

static double class_Bps(const struct net *net, enum link_class k)
{
	return net->count[k] ? net->capacity_Bps[net->first[k]] : 0;
}

static enum status draw_the_cluster(const struct base *b)
{
	struct draw_rates rates;
	struct drawing d;
	struct net net;
	char *caption;
	enum status st = net_init(&net, &b->s.cluster, NET_NOMINAL);

	if (st)
		return st;
	rates = (struct draw_rates){
		.leaf_Bps = class_Bps(&net, LINK_LEAF_UP),
		.pod_Bps = class_Bps(&net, LINK_POD_UP),
	};
	drawing_init(&d);
	draw_cluster(&d, &b->s.cluster, &rates);
	caption = xasprintf("The cluster at %s.", b->name);
	st = figure_put(b->sink, "cluster", caption, write_drawing, &d);
	free(caption);
	drawing_release(&d);
	net_release(&net);
	return st;
}

/* ---- capacity ---- */

struct capacity_curve {
	double factor[N_FACTORS], drop[N_FACTORS], time[N_FACTORS];
	double dropless_s;
	int n;
};

/* Best schedule with that capacity, whatever it drops. */
static bool at_capacity(const struct base *b, double factor,
			struct search_result *r)
{
	const struct search_options o = { .top = 1 };
	struct scenario one = b->s;	/* shares the arena; not released */

	one.constraints.max_drop = 1;
	one.constraints.memory_bytes = NO_LIMIT;
	one.cluster.gpu.hbm_bytes = NO_LIMIT;
	one.search.capacity = (struct knob_real){ .n = 1, .v = { factor } };
	if (search_run(&one, &o, r))
		return false;
	return true;
}

static void capacity_curve(const struct base *b, struct capacity_curve *c)
{
	struct search_result r;

	*c = (struct capacity_curve){ .dropless_s = NAN };
	for (int i = 0; i < N_FACTORS; i++) {
		if (!at_capacity(b, factors[i], &r))
			continue;
		c->factor[c->n] = factors[i];
		c->drop[c->n] = 100 * r.best.drop_fraction;
		c->time[c->n++] = r.best_s;
		search_release(&r);
	}
	if (at_capacity(b, 0, &r)) {
		c->dropless_s = r.best_s;
		search_release(&r);
	}
	err_clear();
}

static enum status write_lines(const void *chart, const char *path)
{
	return chart_lines_write(chart, path);
}

static enum status draw_drops(const struct base *b,
			      const struct capacity_curve *c)
{
	const struct chart_series s = { "dropped", c->factor, c->drop, c->n,
					false, false };
	const struct chart_lines chart = {
		.head = { "Dropped tokens against capacity", b->name },
		.x_axis = "capacity factor",
		.y_axis = "routed copies dropped (%)",
		.series = &s, .n_series = 1,
	};

	return figure_put(b->sink, "capacity-drop", "What a capacity factor "
			  "drops of the routed token copies.", write_lines,
			  &chart);
}

static enum status draw_capacity_time(const struct base *b,
				      const struct capacity_curve *c)
{
	double unit, most = isfinite(c->dropless_s) ? c->dropless_s : 0;
	double time[N_FACTORS], ends[2], flat[2];
	struct chart_series s[2] = {
		{ "best plan with that capacity", c->factor, time, c->n,
		  false, false },
		{ "dropless: exact counts, no padding", ends, flat, 2,
		  false, false },
	};
	char axis[64];
	struct chart_lines chart = {
		.head = { "Step time against capacity", b->name },
		.x_axis = "capacity factor", .y_axis = axis,
		.series = s, .n_series = isfinite(c->dropless_s) ? 2 : 1,
	};

	for (int i = 0; i < c->n; i++)
		most = fmax(most, c->time[i]);
	snprintf(axis, sizeof(axis), "step of one MoE layer (%s)",
		 chart_time_unit(most, &unit));
	for (int i = 0; i < c->n; i++)
		time[i] = c->time[i] / unit;
	ends[0] = c->factor[0];
	ends[1] = c->factor[c->n - 1];
	flat[0] = flat[1] = c->dropless_s / unit;
	return figure_put(b->sink, "capacity-time", "Step time of the best "
			  "plan with each capacity factor, whatever it drops "
			  "and however much memory it takes.", write_lines,
			  &chart);
}

static enum status draw_capacity(const struct base *b)
{
	struct capacity_curve c;
	enum status st;

	capacity_curve(b, &c);
	if (c.n < 2) {
		page_text(b->sink->page, "Capacity factors were not looked "
			  "at: no plan has one here.");
		return ST_OK;
	}
	st = draw_drops(b, &c);
	return st ? st : draw_capacity_time(b, &c);
}

/* ---- the next upgrade ---- */

static enum unit_kind unit_of(enum resource r)
{
	const char *u = resource_unit(r);

	return !strcmp(u, "s") ? U_TIME : !strcmp(u, "bytes/s") ? U_RATE :
		!strcmp(u, "FLOP/s") ? U_FLOPS : U_FRACTION;
}

static void put_path(struct page *p, const struct sensitivity *v)
{
	char from[UNIT_TEXT_MAX], until[UNIT_TEXT_MAX], time[UNIT_TEXT_MAX];
	char *text;

	page_list_begin(p);
	for (int i = 0; i < v->n_path; i++) {
		const struct sensitivity_step *s = &v->path[i];
		enum unit_kind unit = unit_of(s->resource);

		unit_human(s->from, unit, from, sizeof(from));
		unit_human(s->time_s, U_TIME, time, sizeof(time));
		if (isfinite(s->until))
			text = xasprintf("%s %s, from %s until %s: step %s",
				i ? "then" : "first",
				resource_name(s->resource), from,
				unit_human(s->until, unit, until,
					   sizeof(until)), time);
		else
			text = xasprintf("%s %s, from %s on, at least %g-fold: "
				"step %s", i ? "then" : "first",
				resource_name(s->resource), from,
				SENSITIVITY_FACTOR_MAX, time);
		page_item(p, text);
		free(text);
	}
	page_list_end(p);
}

static void put_sensitivity(struct page *p, const struct sensitivity *v)
{
	static const char *const head[] = { "resource", "now", "elasticity" };
	char now[UNIT_TEXT_MAX];

	char *text = xasprintf("The next money goes to: %s.", v->n_rows ?
			       resource_name(v->row[0].resource) : "nothing");

	page_text(p, text);
	free(text);
	page_text(p, "Elasticity: per cent that the best plan's step falls "
		  "for 1 % more of the rate, or 1 % less of the latency, "
		  "planned again each time.");
	page_table_begin(p, head, 3, 2);
	for (int i = 0; i < v->n_rows; i++) {
		const struct sensitivity_row *r = &v->row[i];

		page_row(p);
		page_cell(p, resource_name(r->resource));
		page_cell(p, unit_human(r->value, unit_of(r->resource), now,
					sizeof(now)));
		page_value(p, r->elasticity, TABLE_NUMBER);
		page_row_end(p);
	}
	page_table_end(p);
	if (v->n_path)
		put_path(p, v);
}

/* By counts, not by the clock: the page must not depend on the machine. */
static bool is_cheap(const struct base *b)
{
	return cluster_gpus(&b->s.cluster) <= CHEAP_GPUS &&
	       b->r.evaluated <= CHEAP_EVALUATIONS;
}

static enum status put_upgrade(const struct base *b)
{
	/* a search takes long where ranks differ */
	int steps = b->s.routing.kind == ROUTING_UNIFORM ? PATH_STEPS : 0;
	struct page *p = b->sink->page;
	struct sensitivity v;
	enum status st;

	page_heading(p, 2, "Which upgrade pays next");
	if (!is_cheap(b)) {
		page_text(p, "Not computed for a scenario of this size; "
			  "`moecast sensitivity` does it.");
		return ST_OK;
	}
	page_text(p, b->name);
	st = sensitivity_run(&b->s, steps, NULL, &v);
	if (st == ST_INPUT) {
		page_text(p, err_msg());
		err_clear();
		return ST_OK;
	}
	if (!st)
		put_sensitivity(p, &v);
	if (!st)
		page_text(p, "`moecast sensitivity` follows the path "
			  "further.");
	return st;
}

/* ---- where costs are from ---- */

static void put_source(struct page *p, const char *what,
		       const struct measured_curve *c, const struct base *b,
		       const char *named)
{
	char lo[UNIT_TEXT_MAX], hi[UNIT_TEXT_MAX], *text;

	page_row(p);
	page_cell(p, what);
	page_cell(p, c ? "measured" : "data sheet, named efficiency");
	if (!c) {
		page_cell(p, named);
		page_row_end(p);
		return;
	}
	text = xasprintf("%s: %s over %s, %d ranks, %s to %s, R2 %.4f, mean "
			 "error %.1f %%", b->use.measured.source, c->op,
			 c->tier, c->ranks,
			 unit_human(c->min_bytes, U_BYTES, lo, sizeof(lo)),
			 unit_human(c->max_bytes, U_BYTES, hi, sizeof(hi)),
			 c->r2, 100 * c->mape);
	page_cell(p, text);
	page_row_end(p);
	free(text);
}

static void put_products(const struct base *b, struct page *p)
{
	bool measured = b->use.active &&
		measured_has_products(&b->use.measured, b->s.model.dtype);
	char *text = measured ?
		xasprintf("%s: products of %s, interpolated by shape",
			  b->use.measured.source,
			  dtype_name(b->s.model.dtype)) :
		xasprintf("peak rate x gemm_efficiency %.3g",
			  b->s.cluster.gpu.gemm_efficiency);

	page_row(p);
	page_cell(p, "expert products");
	page_cell(p, measured ? "measured" :
		  "data sheet, named efficiency");
	page_cell(p, text);
	page_row_end(p);
	free(text);
}

static void put_provenance(const struct base *b)
{
	static const char *const head[] = { "curve", "kind", "from" };
	const struct measured_fold *f = &b->use.fold;
	const struct gpu *g = &b->s.cluster.gpu;
	struct page *p = b->sink->page;
	char *named = xasprintf("link rate x efficiency %.3g, named in the "
				"GPU's file", g->intra.efficiency);

	page_heading(p, 2, "Where every curve is from");
	page_table_begin(p, head, 3, 3);
	put_products(b, p);
	put_source(p, "exchanges inside a node", f->intra.curve, b, named);
	free(named);
	named = xasprintf("link rate x efficiency %.3g, named in the GPU's "
			  "file", g->inter.efficiency);
	put_source(p, "exchanges between nodes", f->inter.curve, b, named);
	free(named);
	named = xasprintf("bandwidth x hbm_efficiency %.3g",
			  g->hbm_efficiency);
	put_source(p, "memory", f->memory.curve, b, named);
	free(named);
	page_row(p);
	page_cell(p, *g->name ? g->name : "GPU");
	page_cell(p, "data sheet");
	page_cell(p, *g->provenance ? g->provenance : "given in the scenario");
	page_row_end(p);
	page_table_end(p);
}

/* ---- the point ---- */

static enum status base_load(struct base *b)
{
	struct scenario_set sets[SWEEP_AXES_MAX];
	struct arena a = { 0 };
	enum status st;

	view_sets(b->v, b->point, &a, sets);
	st = scenario_parse(&b->s, "the sweep's scenario", b->v->scenario,
			    strlen(b->v->scenario), sets, b->v->n_axes);
	arena_release(&a);
	return st;
}

static enum status base_plan(struct base *b)
{
	const struct search_options o = {
		.top = 1, .lane_only = !strcmp(b->v->model, "lane"),
	};
	double stored = b->v->point[b->point].time_s;
	enum status st = profile_use_load(&b->use, &b->s);

	if (!st)
		st = search_run(&b->s, &o, &b->r);
	if (st)
		return st;
	if (fabs(b->r.best_s / stored - 1) <= SAME_TIME)
		return ST_OK;
	search_release(&b->r);
	return err_set(ST_INPUT, "the program or its data files have changed "
		       "since: it now takes %g s instead of %g s",
		       b->r.best_s, stored);
}

static enum status base_show(struct base *b)
{
	struct page *p = b->sink->page;
	struct buf plan = { 0 };
	char *text;
	enum status st;

	plan_words(&b->r.best.plan, &plan);
	text = xasprintf("%s: %s", b->name, buf_str(&plan));
	page_heading(p, 2, "The first point with a plan, closely");
	page_text(p, text);
	free(text);
	buf_release(&plan);
	st = draw_gantt(b);
	if (!st)
		st = draw_the_cluster(b);
	if (!st && is_cheap(b))
		st = draw_capacity(b);
	if (!st)
		st = put_upgrade(b);
	if (!st)
		put_provenance(b);
	return st;
}

/* What stands in the way is a line of the page, not the page's end. */
static void put_why_not(struct page *p)
{
	char *text = xasprintf("The first point with a plan is not shown "
			       "closely: %s.", err_msg());

	page_text(p, text);
	free(text);
	err_clear();
}

static enum status base_draw(struct base *b)
{
	enum status st = base_plan(b);

	if (st == ST_INPUT) {
		put_why_not(b->sink->page);
		return ST_OK;
	}
	if (!st) {
		st = base_show(b);
		search_release(&b->r);
	}
	return st;
}

enum status sweep_draw_base(const struct figure_sink *sink,
			    const struct sweep_view *v)
{
	struct base b = { .sink = sink, .v = v, .point = view_first(v) };
	struct buf name = { 0 };
	enum status st;

	if (b.point < 0)
		return ST_OK;
	view_name(v, b.point, NULL, &name);
	b.name = buf_take(&name);
	st = base_load(&b);
	if (!st) {
		st = base_draw(&b);
		scenario_release(&b.s);
		profile_use_release(&b.use);
	} else if (st == ST_INPUT) {
		put_why_not(sink->page);
		st = ST_OK;
	}
	free(b.name);
	return st;
}
