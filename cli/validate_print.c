/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/validate.h"

#include "base/accuracy.h"
#include "base/buf.h"
#include "reports/table.h"
#include "scenarios/keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

/* There is no NaN in JSON. */
static json_t *number(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static char *plan_text(const struct plan *p)
{
	struct buf b = { 0 };

	plan_print(p, &b);
	return buf_take(&b);
}

static json_t *row_json(const struct contest *c, const struct trial *t)
{
	char *plan = plan_text(&t->plan);
	json_t *j = json_pack("{s:s, s:f, s:f, s:f, s:o, s:s, s:s, s:s, "
			      "s:f, s:f, s:I, s:b}",
			      "plan", plan, "predicted_s", t->step_s,
			      "measured_s", t->measured_step_s, "error",
			      accuracy_error(t->step_s, t->measured_step_s),
			      "correct", t->wrong < 0 ? json_null() :
			      json_boolean(!t->wrong), "why", t->why,
			      "layer", c->line, "tier", c->tier,
			      "forward_predicted_s", t->forward_s,
			      "forward_measured_s", t->measured_forward_s,
			      "wrong", (json_int_t)t->wrong, "allowed",
			      t->allowed);

	free(plan);
	return j;
}

static json_t *rows_json(const struct contests *all)
{
	json_t *rows = json_array();
	size_t i, t;

	for (i = 0; i < all->n; i++) {
		const struct contest *c = all->c[i];

		for (t = 0; t < c->n; t++) {
			if (c->trial[t].measured_step_s > 0)
				json_array_append_new(rows, row_json(c,
							&c->trial[t]));
		}
	}
	return rows;
}

/* -1: none, as nothing was measured. */
static json_t *trial_json(const struct contest *c, int trial)
{
	char *plan;
	json_t *j;

	if (trial < 0)
		return json_null();
	plan = plan_text(&c->trial[trial].plan);
	j = json_string(plan);
	free(plan);
	return j;
}

static json_t *layer_json(const struct contest *c, const struct verdict *v)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:f, s:f, s:o, s:o, s:f, s:o, "
			 "s:o, s:b, s:i}", "name", c->s.model.name, "layer",
			 c->line, "tier", c->tier, "plans", v->n,
			 "mean_abs_error", v->mean, "p95_abs_error", v->p95,
			 "kendall_tau", number(v->tau), "kendall_tau_apart",
			 number(v->tau_apart), "regret", v->regret, "chosen",
			 trial_json(c, v->chosen), "fastest",
			 trial_json(c, v->fastest), "chosen_is_fastest",
			 v->chosen_fastest, "wrong", v->wrong);
}

static enum status print_json(const struct validate *v,
			      const struct contests *all,
			      const struct summary *s)
{
	json_t *layers = json_array();
	json_t *root = json_pack("{s:s, s:o, s:f, s:o, s:f, s:f, s:f, s:f, "
				 "s:o, s:o, s:f, s:f, s:i, s:f, s:o}",
				 "schema", "moecast.validate/1", "rows",
				 rows_json(all), "mean_abs_error", s->mean,
				 "kendall_tau", number(s->tau), "regret",
				 s->regret, "p95_abs_error", s->p95,
				 "worst_abs_error", s->worst,
				 "forward_mean_abs_error", s->forward_mean,
				 "kendall_tau_least", number(s->tau_least),
				 "kendall_tau_apart", number(s->tau_apart),
				 "regret_most", s->regret_most,
				 "chosen_is_fastest", s->chosen_fastest,
				 "wrong", s->wrong, "tolerance", v->tolerance,
				 "layers", layers);
	size_t i;

	for (i = 0; i < all->n; i++)
		json_array_append_new(layers, layer_json(all->c[i],
							 &s->each[i]));
	if (all->n)
		profile_use_json(&all->c[0]->use, root);
	return cli_print_json(root);
}

/* ---- text ---- */

static void print_plan(struct table *t, const struct trial *k)
{
	char chunks[32], layout[64], capacity[32] = "none";
	char exchange[PLAN_EXCHANGE_MAX];
	const struct layout *l = &k->plan.layout;

	snprintf(chunks, sizeof(chunks), "%d/%d", k->plan.degree_forward,
		 k->plan.degree_backward);
	snprintf(layout, sizeof(layout), "%dx%dx%d", l->ep, l->esp,
		 l->dp);
	if (k->plan.capacity_factor > 0)
		snprintf(capacity, sizeof(capacity), "%.4g",
			 k->plan.capacity_factor);
	table_text(t, k->why);
	table_text(t, plan_exchange_text(&k->plan, exchange));
	table_text(t, chunks);
	table_text(t, capacity);
	table_text(t, layout);
}

static void print_rows(const struct contest *c, const struct verdict *v,
		       struct buf *out)
{
	static const struct table_column columns[] = {
		{ "plan", TABLE_TEXT, 0, 0 },
		{ "all-to-all", TABLE_TEXT, 0, 0 },
		{ "chunks", TABLE_TEXT, 0, 0 },
		{ "cap.", TABLE_TEXT, 0, 0 },
		{ "ep esp dp", TABLE_TEXT, 0, 0 },
		{ "forecast", TABLE_TIME, 0, 0 },
		{ "measured", TABLE_TIME, 0, 0 },
		{ "error", TABLE_PERCENT, 0, 0 },
		{ "", TABLE_TEXT, 0, 0 },
	};
	struct table t;
	size_t i;

	table_init(&t, columns, (int)(sizeof(columns) / sizeof(columns[0])));
	for (i = 0; i < c->n; i++) {
		const struct trial *k = &c->trial[i];
		bool there = k->measured_step_s > 0;

		print_plan(&t, k);
		table_value(&t, k->step_s);
		table_value(&t, there ? k->measured_step_s : NAN);
		table_value(&t, there ? accuracy_error(k->step_s,
						k->measured_step_s) : NAN);
		table_text(&t, k->wrong > 0 ? "wrong" :
			   (int)i == v->fastest ? "fastest" :
			   k->allowed ? "" : "drops");
	}
	table_print(&t, out, 0, TABLE_WIDTH);
	table_release(&t);
}

static void print_layers(const struct contests *all, const struct summary *s,
			 struct buf *out)
{
	static const struct table_column columns[] = {
		{ "layer", TABLE_TEXT, TABLE_CUT, 0 },
		{ "routing", TABLE_TEXT, TABLE_CUT, 0 },
		{ "tier", TABLE_TEXT, 0, 0 },
		{ "plans", TABLE_COUNT, 0, 0 },
		{ "error", TABLE_PERCENT, 0, 0 },
		{ "95 %", TABLE_PERCENT, 0, 0 },
		{ "tau", TABLE_NUMBER, 0, 0 },
		{ "regret", TABLE_PERCENT, 0, 0 },
		{ "wrong", TABLE_COUNT, 0, 0 },
	};
	struct table t;
	size_t i;

	table_init(&t, columns, (int)(sizeof(columns) / sizeof(columns[0])));
	for (i = 0; i < all->n; i++) {
		const struct contest *c = all->c[i];
		const struct verdict *v = &s->each[i];

		table_text(&t, c->s.model.name);
		table_text(&t, key_enum_name("routing.kind",
					     (int)c->s.routing.kind));
		table_text(&t, c->tier);
		table_value(&t, v->n);
		table_value(&t, v->mean);
		table_value(&t, v->p95);
		table_value(&t, v->tau);
		table_value(&t, v->regret);
		table_value(&t, v->wrong);
	}
	table_print(&t, out, 0, TABLE_WIDTH);
	table_release(&t);
}

static void print_choice(const struct contest *c, const struct verdict *v,
			 struct buf *out)
{
	char *fastest;

	if (v->fastest < 0)
		return;
	if (v->chosen_fastest) {
		buf_puts(out, "The chosen plan is the fastest.\n");
		return;
	}
	fastest = plan_text(&c->trial[v->fastest].plan);
	buf_addf(out, "The chosen plan takes %.1f %% more than the "
		 "fastest:\n", 100 * v->regret);
	text_wrap(out, "  ", fastest, TABLE_WIDTH);
	free(fastest);
}

static void print_summary(const struct validate *v, const struct summary *s,
			  struct buf *out)
{
	buf_addf(out, "%d plans: mean error %.1f %% (allowed %.1f %%)\n",
		 s->n, 100 * s->mean, 100 * v->tolerance);
	buf_addf(out, "errors: 95 %% of them within %.1f %%, worst %.1f %%, "
		 "mean of forward %.1f %%\n", 100 * s->p95, 100 * s->worst,
		 100 * s->forward_mean);
	if (!isnan(s->tau))
		buf_addf(out, "order of plans: Kendall's tau %.3f (pairs more "
			 "than %.0f %% apart: %.3f)\n", s->tau,
			 100 * TAU_APART, s->tau_apart);
	buf_addf(out, "regret of the choice: %.2f %%, at most %.2f %%\n",
		 100 * s->regret, 100 * s->regret_most);
	if (s->wrong)
		buf_addf(out, "WRONG results: %d plans\n", s->wrong);
}

static void print_text(const struct validate *v, const struct contests *all,
		       const struct summary *s)
{
	struct buf out = { 0 };

	if (all->n == 1) {
		print_rows(all->c[0], &s->each[0], &out);
		buf_puts(&out, "\n");
		print_choice(all->c[0], &s->each[0], &out);
	} else {
		print_layers(all, s, &out);
		buf_addf(&out, "\nThe chosen plan is the fastest of %.0f %% "
			 "of the layers.\n", 100 * s->chosen_fastest);
	}
	print_summary(v, s, &out);
	if (all->n && all->c[0]->use.active)
		text_wrap(&out, "costs: ", all->c[0]->use.note, TABLE_WIDTH);
	fputs(buf_str(&out), stdout);
	buf_release(&out);
}

enum status validate_print(const struct validate *v,
			   const struct contests *all,
			   const struct summary *s)
{
	if (v->common.json)
		return print_json(v, all, s);
	print_text(v, all, s);
	return ST_OK;
}
