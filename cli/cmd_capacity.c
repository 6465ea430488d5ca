/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * moecast capacity: what each capacity factor drops, pads and costs.
 *
 * The layout is the one that `moecast plan` would take; each factor then gets
 * its own best schedule in it, whatever it drops and however much memory it
 * takes, so that the column of times is complete.
 */
#include "base/buf.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/fill.h"
#include "cli/profile_use.h"
#include "reports/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * The angular deviation that LocMoE measured between a token and the gate
 * vector of its expert (Li et al. 2024).
 */
#define DELTA_DEFAULT 0.03
#define DELTA_MAX 0.999
#define ROWS_MAX (KNOB_MAX + 1)	/* a list's values and dropless */
#define NO_LIMIT 1e18	/* bytes */

struct opts {
	struct cli_common common;
	double delta;
	struct profile_use profile;
};

struct row {
	double factor;	/* of the slots; dropless: what drops nothing */
	bool dropless;	/* exact counts, no padding */
	int64_t slots;
	double drop, padding;
	double time_s;	/* NAN: no schedule */
	struct plan plan;
};

struct curve_table {
	struct layout layout;
	struct row row[ROWS_MAX];
	int n, chosen;
	double bound;	/* tokens */
	int64_t floor_slots, knee_slots;
	double knee;	/* the factor of knee_slots */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	error_t e;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'd':
		e = cli_quantity("--delta", arg, U_FRACTION, &o->delta);
		if (!e && o->delta > DELTA_MAX)
			e = cli_usage("--delta: '%s' is not in 0..%g", arg,
				      DELTA_MAX);
		return e;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "delta", 'd', "D", 0,
	  "least cosine between a token and its expert's gate vector, for the "
	  "lower bound (default 0.03)", 0 },
	{ 0 },
};
static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 },
					      { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SCENARIO",
	.doc = "Capacity factor against dropped tokens, padding and time.",
	.children = children,
};

/* ---- rows ---- */

static enum status best_plan(const struct scenario *s,
			     struct search_result *out)
{
	struct search_options o = { .top = 1, .no_systems = true };

	return search_run(s, &o, out);
}

static void knob_fix(struct knob_int *k, int v)
{
	*k = (struct knob_int){ .n = 1, .v = { v } };
}

/* The scenario with one layout left, every drop and all memory allowed. */
static struct scenario with_layout(const struct scenario *s,
				   const struct layout *l)
{
	struct scenario one = *s;	/* shares the arena; not released */

	knob_fix(&one.layout.ep, l->ep);
	knob_fix(&one.layout.esp, l->esp);
	knob_fix(&one.layout.tp, l->tp);
	knob_fix(&one.layout.dp, l->dp);
	knob_fix(&one.layout.pp, l->pp);
	one.constraints.max_drop = 1;
	one.constraints.memory_bytes = NO_LIMIT;
	one.cluster.gpu.hbm_bytes = NO_LIMIT;
	return one;
}

static enum status choose_layout(const struct scenario *s, struct layout *out)
{
	struct scenario any = *s;
	struct search_result r;
	enum status st;

	/* a list of factors may hold none that keeps max_drop */
	any.search.capacity = (struct knob_real){ .is_auto = true };
	st = best_plan(&any, &r);
	if (st == ST_INPUT && !s->search.capacity.is_auto)
		st = best_plan(s, &r);	/* dropless may be too large */
	if (st)
		return st;
	*out = r.best.plan.layout;
	search_release(&r);
	return ST_OK;
}

static void add_row(const struct routing *r, double factor,
		    struct curve_table *t)
{
	bool dropless = factor == 0;
	int64_t slots = dropless ? capacity_dropless_slots(r) :
			capacity_slots(r, factor);

	if (slots < t->floor_slots || t->n == ROWS_MAX)
		return;
	t->row[t->n++] = (struct row){
		.factor = dropless ? capacity_factor(r, slots) : factor,
		.dropless = dropless,
		.slots = slots,
		.drop = dropless ? 0 : capacity_drop(r, slots),
		.padding = dropless ? 0 : capacity_padding(r, slots),
		.time_s = NAN,
	};
}

static void set_floor(const struct opts *o, const struct scenario *s,
		      const struct routing *r, struct curve_table *t)
{
	double most = (double)capacity_dropless_slots(r), bound;

	t->bound = capacity_lower_bound(s->model.experts, s->model.hidden,
					o->delta);
	bound = fmin(ceil(t->bound), most);
	t->floor_slots = (int64_t)fmax(bound, 1);
}

static int by_factor(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * The scenario's list, or what is worth trying. Dropless is always there, as
 * the last row: what any factor is to be compared with.
 */
static void list_rows(const struct scenario *s, const struct routing *r,
		      struct curve_table *t)
{
	const struct knob_real *k = &s->search.capacity;
	double factor[KNOB_MAX];
	int n, i;

	if (k->is_auto) {
		n = capacity_candidates(r, s->constraints.max_drop, factor,
					CAPACITY_CANDIDATES_MAX);
	} else {
		n = k->n;
		for (i = 0; i < n; i++)
			factor[i] = k->v[i];
		qsort(factor, (size_t)n, sizeof(*factor), by_factor);
	}
	for (i = 0; i < n; i++) {
		if (factor[i] > 0)
			add_row(r, factor[i], t);
	}
	add_row(r, 0, t);
}

static enum status time_row(const struct scenario *fixed, struct row *row)
{
	struct scenario one = *fixed;
	struct search_result r;
	enum status st;

	one.search.capacity = (struct knob_real){
		.n = 1, .v = { row->dropless ? 0 : row->factor }
	};
	st = best_plan(&one, &r);
	if (st)
		return st;
	row->time_s = r.best_s;
	row->plan = r.best.plan;
	search_release(&r);
	return ST_OK;
}

/*
 * Times of all rows. A row that cannot be (an uneven exchange too large for
 * a matrix) stays without; the message of the last one stands when none can.
 */
static enum status time_rows(const struct scenario *s, struct curve_table *t)
{
	struct scenario fixed = with_layout(s, &t->layout);
	enum status st = ST_OK;
	int timed = 0;

	for (int i = 0; i < t->n && st != ST_FAIL; i++) {
		st = time_row(&fixed, &t->row[i]);
		timed += !st;
		cli_progress((void *)"capacity", i + 1, t->n);
	}
	cli_progress_end();
	return timed && st != ST_FAIL ? ST_OK : st;
}

/* The fastest row that keeps max_drop; ST_INPUT when there is none. */
static enum status choose(const struct scenario *s, struct curve_table *t)
{
	t->chosen = -1;
	for (int i = 0; i < t->n; i++) {
		const struct row *row = &t->row[i];

		if (row->drop <= s->constraints.max_drop &&
		    isfinite(row->time_s) &&
		    (t->chosen < 0 || row->time_s < t->row[t->chosen].time_s))
			t->chosen = i;
	}
	if (t->chosen >= 0)
		return ST_OK;
	return err_set(ST_INPUT, "constraints.max_drop: no capacity factor "
		       "that can be timed drops at most %g",
		       s->constraints.max_drop);
}

static enum status make_table(const struct opts *o, const struct scenario *s,
			      struct curve_table *t)
{
	struct routing r;
	enum status st = choose_layout(s, &t->layout);

	if (st)
		return st;
	st = routing_make(&s->routing, &s->model, &t->layout,
			  cluster_gpus(&s->cluster), &r);
	if (st)
		return st;
	set_floor(o, s, &r, t);
	list_rows(s, &r, t);
	t->knee_slots = capacity_knee_slots(&r);
	t->knee = capacity_factor(&r, t->knee_slots);
	routing_release(&r);
	st = time_rows(s, t);
	return st ? st : choose(s, t);
}

/* ---- output ---- */

/* JSON has no infinity and no NaN. */
static json_t *json_finite(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *json_row(const struct row *row)
{
	return json_pack("{s:f, s:b, s:I, s:f, s:f, s:o, s:o}",
			 "capacity_factor", row->factor,
			 "dropless", row->dropless,
			 "tokens_per_expert", (json_int_t)row->slots,
			 "drop_fraction", row->drop,
			 "padding_fraction", row->padding,
			 "time_s", json_finite(row->time_s),
			 "knobs", isfinite(row->time_s) ?
			 json_knobs(&row->plan) : json_null());
}

static enum status print_json(const struct opts *o, const struct scenario *s,
			      const struct curve_table *t)
{
	const struct layout *l = &t->layout;
	const struct row *c = &t->row[t->chosen];
	json_t *rows = json_array(), *root;

	for (int i = 0; i < t->n; i++)
		json_array_append_new(rows, json_row(&t->row[i]));
	root = json_pack(
		"{s:o, s:f, s:b, s:I, s:f, s:f, s:o, s:I, s:f, "
		"s:{s:i, s:i, s:i, s:i, s:i}}",
		"rows", rows,
		"chosen", c->factor,
		"chosen_dropless", c->dropless,
		"chosen_tokens_per_expert", (json_int_t)c->slots,
		"chosen_time_s", c->time_s,
		"knee", t->knee,
		"lower_bound_tokens", json_finite(t->bound),
		"floor_tokens", (json_int_t)t->floor_slots,
		"max_drop", s->constraints.max_drop,
		"layout", "ep", l->ep, "esp", l->esp, "tp", l->tp,
		"dp", l->dp, "pp", l->pp);
	if (o->profile.active)
		profile_use_json(&o->profile, root);
	return cli_print_json(root);
}

static const struct table_column columns[] = {
	{ "factor", TABLE_TEXT, TABLE_RIGHT, 0 },
	{ "slots", TABLE_COUNT, 0, 0 },
	{ "dropped", TABLE_PERCENT, 0, 0 },
	{ "padding", TABLE_PERCENT, 0, 0 },
	{ "time", TABLE_TIME, 0, 0 },
	{ "", TABLE_TEXT, 0, 0 },
};

static const char *remark(const struct scenario *s,
			  const struct curve_table *t, int i)
{
	const struct row *row = &t->row[i];

	if (i == t->chosen)
		return row->slots == t->knee_slots && !row->dropless ?
			"<- chosen, knee" : "<- chosen";
	if (!isfinite(row->time_s))
		return "too large";
	if (row->drop > s->constraints.max_drop)
		return row->slots == t->knee_slots ?
			"drops too many, knee" : "drops too many";
	return row->slots == t->knee_slots && !row->dropless ? "knee" : "";
}

static void print_rows(const struct scenario *s, const struct curve_table *t,
		       struct buf *out)
{
	struct table table;
	char text[32];

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (int i = 0; i < t->n; i++) {
		const struct row *row = &t->row[i];

		snprintf(text, sizeof(text), "%.4g", row->factor);
		table_text(&table, row->dropless ? "dropless" : text);
		table_value(&table, (double)row->slots);
		table_value(&table, row->drop);
		table_value(&table, row->padding);
		table_value(&table, row->time_s);
		table_text(&table, remark(s, t, i));
	}
	table_print(&table, out, 0, TABLE_WIDTH);
	table_release(&table);
}

static void print_why(const struct scenario *s, const struct curve_table *t,
		      struct buf *out)
{
	const struct row *c = &t->row[t->chosen];
	char percent[TABLE_VALUE_MAX];
	struct buf why = { 0 };

	table_value_text(s->constraints.max_drop, TABLE_PERCENT, percent,
			 sizeof(percent));
	if (c->dropless)
		buf_addf(&why, "Dropless (exact counts, no padding; the "
			 "fullest cell is at factor %.4g)", c->factor);
	else
		buf_addf(&why, "Capacity factor %.4g (%lld slots per source "
			 "rank and expert)", c->factor, (long long)c->slots);
	buf_addf(&why, " is the fastest that drops at most %s "
		 "(constraints.max_drop). The knee, where more capacity stops "
		 "paying, is at %.4g.", percent, t->knee);
	if (isfinite(t->bound))
		buf_addf(&why, " LocMoE's lower bound is %.3g tokens per "
			 "expert", t->bound);
	else
		buf_puts(&why, " LocMoE's lower bound is beyond any number");
	if (t->floor_slots > 1)
		buf_addf(&why, ": fewer than %lld slots are not offered",
			 (long long)t->floor_slots);
	buf_puts(&why, ".");
	text_wrap(out, "", why.s, TABLE_WIDTH);
	buf_clear(&why);
	plan_print(&c->plan, &why);
	text_wrap(out, "schedule: ", why.s, TABLE_WIDTH);
	buf_release(&why);
}

static void print_text(const struct opts *o, const struct scenario *s,
		       const struct curve_table *t)
{
	struct buf out = { 0 };

	print_rows(s, t, &out);
	buf_puts(&out, "\n");
	print_why(s, t, &out);
	if (o->profile.active)
		text_wrap(&out, "costs: ", o->profile.note, TABLE_WIDTH);
	fputs(buf_str(&out), stdout);
	buf_release(&out);
}

static enum status capacity(struct opts *o, struct scenario *s)
{
	struct curve_table t = { 0 };
	enum status st = profile_use_load(&o->profile, s);

	if (!st)
		st = make_table(o, s, &t);
	if (!st)
		st = profile_use_warn(&o->profile, s, &t.row[t.chosen].plan);
	if (!st && o->common.json)
		st = print_json(o, s, &t);
	else if (!st)
		print_text(o, s, &t);
	return st;
}

enum status cmd_capacity(int argc, char **argv)
{
	struct opts o = { .delta = DELTA_DEFAULT };
	struct scenario s;
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = cli_load(&o.common, &s);
	if (!st) {
		st = capacity(&o, &s);
		scenario_release(&s);
	}
	profile_use_release(&o.profile);
	cli_common_release(&o.common);
	return st;
}
