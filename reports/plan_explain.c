/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/plan_explain.h"

#include "base/buf.h"
#include "reports/table.h"

#include <math.h>
#include <stdio.h>

#define INDENT 2
#define AS_GOOD 0.005	/* times closer than that are the same */

static const struct table_column feasible_columns[] = {
	{ "#", TABLE_COUNT, 0, 0 },
	{ "all-to-all", TABLE_TEXT, 0, 0 },
	{ "chunks", TABLE_TEXT, 0, 0 },
	{ "capacity", TABLE_TEXT, TABLE_RIGHT, 0 },
	{ "layout", TABLE_TEXT, 0, 0 },
	{ "time", TABLE_TEXT, TABLE_RIGHT, 0 },
	{ "drop", TABLE_PERCENT, 0, 0 },
	{ "memory", TABLE_BYTES, 0, 0 },
	{ "lane", TABLE_TIME, 0, 0 },	/* --explain only */
};
#define FEASIBLE_COLUMNS 8

/* Degrees other than 1: "ep=8 esp=8"; "ep=1" when all are. */
static void add_layout(struct buf *out, const struct layout *l)
{
	const struct {
		const char *name;
		int v;
	} d[] = {
		{ "esp", l->esp }, { "tp", l->tp }, { "dp", l->dp },
		{ "pp", l->pp },
	};
	size_t i;

	buf_addf(out, "ep=%d", l->ep);
	for (i = 0; i < sizeof(d) / sizeof(d[0]); i++) {
		if (d[i].v != 1)
			buf_addf(out, " %s=%d", d[i].name, d[i].v);
	}
}

/* The cells that say which plan it is. */
static void put_knobs(struct table *t, const struct plan *p)
{
	struct buf layout = { 0 };
	char text[32], exchange[PLAN_EXCHANGE_MAX];

	table_text(t, plan_exchange_text(p, exchange));
	snprintf(text, sizeof(text), "%d/%d", p->degree_forward,
		 p->degree_backward);
	table_text(t, p->degree_forward ? text : "all");
	snprintf(text, sizeof(text), "%.4g", p->capacity_factor);
	table_text(t, p->capacity_factor > 0 ? text : "none");
	add_layout(&layout, &p->layout);
	table_text(t, buf_str(&layout));
	buf_release(&layout);
}

static void put_feasible(struct table *t, const struct report_candidate *c,
			 int rank, bool explain, bool *lane_only)
{
	char value[TABLE_VALUE_MAX], text[TABLE_VALUE_MAX + 1];
	bool lane = !(c->flow_s > 0);

	table_value(t, rank);
	put_knobs(t, &c->plan);
	table_value_text(lane ? c->lane_s : c->flow_s, TABLE_TIME, value,
			 sizeof(value));
	snprintf(text, sizeof(text), "%s%s", lane ? "~" : "", value);
	table_text(t, text);
	*lane_only = *lane_only || lane;
	table_value(t, c->drop_fraction);
	table_value(t, c->memory_bytes);
	if (explain)
		table_value(t, c->lane_s);
}

static void put_infeasible(const struct plan_report *r, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "all-to-all", TABLE_TEXT, 0, 0 },
		{ "chunks", TABLE_TEXT, 0, 0 },
		{ "capacity", TABLE_TEXT, TABLE_RIGHT, 0 },
		{ "layout", TABLE_TEXT, 0, 0 },
		{ "drop", TABLE_PERCENT, 0, 0 },
		{ "memory", TABLE_BYTES, 0, 0 },
		{ "ruled out by", TABLE_TEXT, 0, 0 },
	};
	const struct report_candidate *c;
	struct table t;
	int i;

	table_init(&t, columns, 7);
	for (i = 0; i < r->n_candidates; i++) {
		c = &r->candidate[i];
		if (!c->why_not)
			continue;
		put_knobs(&t, &c->plan);
		table_value(&t, c->drop_fraction);
		table_value(&t, c->memory_bytes);
		table_text(&t, c->why_not);
	}
	if (t.n_cells) {
		buf_puts(out, "\nRuled out\n");
		table_print(&t, out, INDENT, TABLE_WIDTH);
	}
	table_release(&t);
}

static const char *gain_verdict(const struct report_gain *g)
{
	if (g->why_not)
		return g->why_not;
	if (g->in_plan)
		return "pays: in the plan";
	if (g->with_others > 1 - AS_GOOD && g->with_others < 1 + AS_GOOD)
		return "as good as what it would replace";
	if (g->with_others >= 1)
		return "pays, but a set without it is faster";
	return g->alone > 1 ? "pays alone, not with the plan's others" :
		"does not pay";
}

void plan_explain_gains(const struct plan_report *r, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "technique", TABLE_TEXT, 0, 0 },
		{ "alone", TABLE_FACTOR, 0, 0 },
		{ "in the plan", TABLE_FACTOR, 0, 0 },
		{ "verdict", TABLE_TEXT, 0, 0 },
	};
	struct table t;

	if (!r->n_gains)
		return;
	table_init(&t, columns, 4);
	for (int i = 0; i < r->n_gains; i++) {
		const struct report_gain *g = &r->gain[i];

		table_text(&t, technique_table[g->tech].name);
		table_value(&t, g->alone > 0 ? g->alone : NAN);
		table_value(&t, g->with_others > 0 ? g->with_others : NAN);
		table_text(&t, gain_verdict(g));
	}
	buf_puts(out, "\nTechniques, other knobs as in the plan\n");
	table_print(&t, out, INDENT, TABLE_WIDTH);
	for (int i = 0; i < r->n_gains; i++) {
		if (r->gain[i].tech == TECH_GRADIENT)
			buf_puts(out, "  gradient-partition: of a step of the "
				 "whole model; the others: of the layer\n");
	}
	table_release(&t);
}

void plan_explain_candidates(const struct plan_report *r, bool explain,
			     struct buf *out)
{
	bool lane_only = false;
	int i, rank = 0;
	struct table t;

	table_init(&t, feasible_columns, FEASIBLE_COLUMNS + explain);
	for (i = 0; i < r->n_candidates; i++) {
		if (!r->candidate[i].why_not)
			put_feasible(&t, &r->candidate[i], ++rank, explain,
				     &lane_only);
	}
	if (rank) {
		buf_puts(out, "\nCandidates, best first\n");
		table_print(&t, out, INDENT, TABLE_WIDTH);
		if (lane_only)
			buf_puts(out, "  ~ lane model only: ranked too low to "
				 "be run in the flow model\n");
	}
	table_release(&t);
	if (explain)
		put_infeasible(r, out);
}

static void put_reasons(const struct plan_report *r, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "ruled out by", TABLE_TEXT, 0, 0 },
		{ "plans", TABLE_COUNT, 0, 0 },
	};
	struct table t;
	int i;

	if (!r->n_reasons)
		return;
	table_init(&t, columns, 2);
	for (i = 0; i < r->n_reasons; i++) {
		table_text(&t, r->reason[i].why);
		table_value(&t, (double)r->reason[i].n);
	}
	buf_puts(out, "\n");
	table_print(&t, out, INDENT, TABLE_WIDTH);
	table_release(&t);
}

void plan_explain_search(const struct plan_report *r, struct buf *out)
{
	struct buf b = { 0 };

	table_add_value(&b, (double)r->evaluated, TABLE_COUNT);
	buf_puts(&b, " plans evaluated, ");
	table_add_value(&b, (double)r->pruned, TABLE_COUNT);
	buf_puts(&b, " pruned");
	if (r->pruned && r->bound_s > 0) {
		buf_puts(&b, " (their lower bound is above ");
		table_add_value(&b, r->bound_s, TABLE_TIME);
		buf_puts(&b, ", the lane time to beat)");
	}
	buf_puts(&b, ", ");
	table_add_value(&b, (double)r->infeasible, TABLE_COUNT);
	buf_puts(&b, " ruled out by the limits");
	if (r->search_s > 0) {
		buf_puts(&b, "; in ");
		table_add_value(&b, r->search_s, TABLE_TIME);
	}
	buf_puts(&b, ".");
	buf_puts(out, "\nSearch\n");
	text_wrap(out, "  ", buf_str(&b), TABLE_WIDTH);
	buf_release(&b);
	put_reasons(r, out);
}
