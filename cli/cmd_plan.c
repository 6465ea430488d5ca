/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast plan: the main job. */
#include "base/buf.h"
#include "base/outfile.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/fill.h"
#include "cli/profile_use.h"
#include "reports/plan_files.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP_DEFAULT 8
#define TOP_MAX 1000
#define REJECTED_SHOWN 8

struct opts {
	struct cli_common common;
	int top;
	bool explain;
	const char *plan_file;
	struct profile_use profile;
};

static const struct argp_option options[] = {
	{ "top", 't', "N", 0, "candidates to list (default 8)", 0 },
	{ "explain", 'x', NULL, 0,
	  "say what was tried, what was pruned and what limits the winner",
	  0 },
	{ "output", 'o', "PLAN", 0,
	  "write the plan to this file, and report and figures beside it",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 't':
		return cli_int("--top", arg, 1, TOP_MAX, &o->top);
	case 'x':
		o->explain = true;
		return 0;
	case 'o':
		o->plan_file = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 },
					      { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SCENARIO",
	.doc = "Finds the fastest schedule and capacity for a scenario.",
	.children = children,
};

/* ---- JSON ---- */

static json_t *json_candidate(const struct candidate *c)
{
	json_t *j = json_pack("{s:o, s:f, s:f, s:f, s:f}",
		"knobs", json_knobs(&c->plan),
		"lane_s", c->lane_s,
		"drop_fraction", c->drop_fraction,
		"padding_fraction", c->padding_fraction,
		"memory_bytes", c->memory.total);

	json_object_set_new(j, "time_s",
		json_real(c->flow_s > 0 ? c->flow_s : c->lane_s));
	json_object_set_new(j, "model",
		json_string(c->flow_s > 0 ? "flow" : "lane"));
	if (c->why_not)
		json_object_set_new(j, "why_not", json_string(c->why_not));
	return j;
}

static json_t *json_candidates(const struct candidate *c, int n)
{
	json_t *out = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(out, json_candidate(&c[i]));
	return out;
}

static json_t *json_best(const struct net *net, const struct search_result *r)
{
	const struct candidate *b = &r->best;
	json_t *j = json_pack("{s:f, s:f, s:f, s:o, s:f, s:f, s:f, s:o, s:o, s:o}",
		"time_s", r->best_s,
		"forward_s", r->pass_s[0],
		"lane_s", b->lane_s,
		"knobs", json_knobs(&b->plan),
		"drop_fraction", b->drop_fraction,
		"padding_fraction", b->padding_fraction,
		"memory_bytes", b->memory.total,
		"breakdown", json_breakdown(&r->exec),
		"lanes", json_lanes(&r->exec),
		"links", json_links(net, &r->exec));

	if (b->plan.dense)	/* of attention and layer: the ops' run */
		json_object_set_new(j, "block_s", json_real(
			s_from_ps(r->exec.time_ps)));
	return j;
}

static json_t *json_baselines(const struct search_result *r)
{
	json_t *out = json_array();

	for (int i = 0; i < r->n_baselines; i++) {
		const struct baseline *b = &r->baseline[i];
		json_t *j = json_pack("{s:s, s:f, s:f, s:o}",
			"system", b->system,
			"time_s", b->time_s,
			"speedup", b->speedup,
			"knobs", json_knobs(&b->plan));

		if (b->outside)
			json_object_set_new(j, "outside",
					    json_string(b->outside));
		json_array_append_new(out, j);
	}
	return out;
}

/* Where several techniques were searched: what each gains. */
static json_t *json_gains(const struct search_result *r)
{
	json_t *out = json_array();

	for (int i = 0; i < r->n_gains; i++) {
		const struct tech_gain *g = &r->gain[i];
		json_t *j = json_pack("{s:s, s:b, s:f, s:f}",
			"technique", technique_table[g->tech].name,
			"in_plan", (int)g->in_plan,
			"speedup_alone", g->alone,
			"speedup_with_others", g->with_others);

		if (g->why_not)
			json_object_set_new(j, "why_not",
					    json_string(g->why_not));
		json_array_append_new(out, j);
	}
	return out;
}

static enum status print_json(const struct opts *o, const struct net *net,
			      const struct search_result *r,
			      const struct step_time *step)
{
	json_t *root = json_object();

	json_object_set_new(root, "schema", json_string("moecast.plan/1"));
	json_object_set_new(root, "best", json_best(net, r));
	json_object_set_new(root, "step", json_step(step));
	json_object_set_new(root, "baselines", json_baselines(r));
	json_object_set_new(root, "candidates",
			    json_candidates(r->top, r->n_top));
	if (r->n_gains)
		json_object_set_new(root, "techniques", json_gains(r));
	if (o->explain)
		json_object_set_new(root, "rejected",
			json_candidates(r->rejected, r->n_rejected));
	json_object_set_new(root, "evaluated",
			    json_integer((json_int_t)r->evaluated));
	json_object_set_new(root, "pruned",
			    json_integer((json_int_t)r->pruned));
	json_object_set_new(root, "infeasible",
			    json_integer((json_int_t)r->infeasible));
	json_object_set_new(root, "search_s", json_real(r->search_s));
	profile_use_json(&o->profile, root);
	return cli_print_json(root);
}

/* ---- text ---- */

/* What the report borrows. */
struct filled {
	struct arena names;
	struct report_link link[EXEC_LINKS];
	struct report_baseline baseline[BASELINES_MAX];
	struct report_candidate *candidate;
	struct report_reason reason[REASONS_MAX];
	struct report_gain gain[TECH_N];
	struct report_op *op;
};

static struct report_candidate fill_candidate(const struct candidate *c)
{
	return (struct report_candidate){
		.plan = c->plan,
		.lane_s = c->lane_s,
		.flow_s = c->flow_s,
		.drop_fraction = c->drop_fraction,
		.padding_fraction = c->padding_fraction,
		.memory_bytes = c->memory.total,
		.why_not = c->why_not,
	};
}

static int fill_candidates(const struct search_result *r, struct filled *f)
{
	int n = 0;

	f->candidate = xcalloc((size_t)(r->n_top + r->n_rejected + 1),
			       sizeof(*f->candidate));
	for (int i = 0; i < r->n_top; i++)
		f->candidate[n++] = fill_candidate(&r->top[i]);
	for (int i = 0; i < r->n_rejected; i++)
		f->candidate[n++] = fill_candidate(&r->rejected[i]);
	return n;
}

static void fill_baselines(const struct search_result *r, struct filled *f)
{
	for (int i = 0; i < r->n_baselines; i++)
		f->baseline[i] = (struct report_baseline){
			.system = r->baseline[i].system,
			.plan = r->baseline[i].plan,
			.time_s = r->baseline[i].time_s,
			.speedup = r->baseline[i].speedup,
			.outside = r->baseline[i].outside,
		};
}

static void fill_memory(const struct memory_use *m, struct report_memory *out)
{
	*out = (struct report_memory){
		.parameters = m->parameters,
		.gradients = m->gradients,
		.optimizer = m->optimizer,
		.activations = m->activations,
		.buffers = m->buffers,
		.total = m->total,
	};
}

static double tokens_per_s(const struct scenario *s,
			   const struct search_result *r)
{
	int ranks = cluster_gpus(&s->cluster) / r->best.plan.layout.pp;

	return ranks * (double)layout_tokens(&r->best.plan.layout, &s->model) /
		r->best_s;
}

static void fill_report(const struct scenario *s, const struct net *net,
			const struct search_result *r, struct filled *f,
			struct plan_report *out)
{
	int n_candidates = fill_candidates(r, f);
	int n_links = fill_links(net, &r->exec, &f->names, f->link);

	for (int i = 0; i < r->n_reasons; i++)
		f->reason[i] = (struct report_reason){ r->reason[i].why,
						       r->reason[i].n };
	for (int i = 0; i < r->n_gains; i++)
		f->gain[i] = (struct report_gain){
			r->gain[i].tech, r->gain[i].in_plan,
			r->gain[i].why_not, r->gain[i].alone,
			r->gain[i].with_others };
	fill_baselines(r, f);
	f->op = fill_ops(&r->program, &r->exec);
	*out = (struct plan_report){
		.scenario = s,
		.plan = r->best.plan,
		.time_s = r->best_s,
		.forward_s = r->pass_s[0],
		.block_s = r->best.plan.dense ? s_from_ps(r->exec.time_ps) : 0,
		.block_forward_s = s_from_ps(r->exec.forward_ps),
		.drop_fraction = r->best.drop_fraction,
		.padding_fraction = r->best.padding_fraction,
		.tokens_per_s = tokens_per_s(s, r),
		.link = f->link,
		.n_links = n_links,
		.baseline = f->baseline,
		.n_baselines = r->n_baselines,
		.n_candidates = n_candidates,
		.candidate = f->candidate,
		.evaluated = r->evaluated,
		.pruned = r->pruned,
		.infeasible = r->infeasible,
		.bound_s = r->bound_s,
		.gain = f->gain,
		.n_gains = r->n_gains,
		.reason = f->reason,
		.n_reasons = r->n_reasons,
		.op = f->op,
		.n_ops = r->program.n_ops,
		.cost_source = CURVE_ASSUMED,
	};
	fill_memory(&r->best.memory, &out->memory);
	memcpy(out->kind_ps, r->exec.kind_ps, sizeof(out->kind_ps));
	memcpy(out->lane_busy_ps, r->exec.lane_busy_ps,
	       sizeof(out->lane_busy_ps));
}

static void filled_release(struct filled *f)
{
	arena_release(&f->names);
	free(f->candidate);
	free(f->op);
}

/* The plan's line to `path`, report and figures into its directory. */
static enum status write_files(const struct opts *o,
			       const struct plan_report *report)
{
	struct buf line = { 0 };
	char *copy = xstrdup(o->plan_file);
	const char *dir = dirname(copy);
	enum status st = outfile_mkdir(dir);

	if (st)
		goto out;
	plan_print(&report->plan, &line);
	buf_puts(&line, "\n");
	st = plan_files_write(report, o->explain, dir);
	if (st == ST_UNAVAILABLE) {
		cli_warn("no figures: %s", err_msg());
		st = ST_OK;
	}
	if (!st)
		st = outfile_write(o->plan_file, line.s, line.len);
out:
	buf_release(&line);
	free(copy);
	return st;
}

/* A step of the whole model under the best plan. */
static enum status best_step(const struct scenario *s, const struct net *net,
			     const struct search_result *r,
			     struct step_time *out)
{
	struct step_spec spec = {
		.s = s, .net = net, .plan = &r->best.plan,
		.program = &r->program, .exec = &r->exec,
		.optimizer_bytes = r->best.memory.optimizer,
		.parameter_bytes = r->best.memory.parameters,
	};

	return step_run(&spec, out);
}

static enum status report(const struct opts *o, const struct scenario *s,
			  const struct net *net, const struct search_result *r)
{
	struct filled f = { 0 };
	struct plan_report p;
	struct buf text = { 0 };
	struct step_time step;
	enum status st = best_step(s, net, r, &step);

	if (st)
		return st;
	fill_report(s, net, r, &f, &p);
	fill_step(&step, &p.step);
	if (o->profile.active) {
		p.cost_note = o->profile.note;
		p.cost_source = CURVE_MEASURED;
	}
	if (o->plan_file)
		st = write_files(o, &p);
	if (!st && o->common.json)
		st = print_json(o, net, r, &step);
	if (!st && !o->common.json) {
		plan_text(&p, o->explain, &text);
		fputs(buf_str(&text), stdout);
	}
	buf_release(&text);
	filled_release(&f);
	return st;
}

static enum status search_and_report(struct opts *o, const struct scenario *s)
{
	const struct progress progress = { cli_progress, (void *)"search" };
	struct search_options so = {
		.top = o->top,
		.rejected = o->explain ? REJECTED_SHOWN : 0,
		.progress = &progress,
	};
	struct search_result r;
	struct net net;
	enum status st = search_run(s, &so, &r);

	cli_progress_end();
	if (st)
		return st;
	st = profile_use_warn(&o->profile, s, &r.best.plan);
	if (!st)
		st = net_init(&net, &s->cluster, NET_EFFECTIVE);
	if (!st) {
		st = report(o, s, &net, &r);
		net_release(&net);
	}
	search_release(&r);
	return st;
}

enum status cmd_plan(int argc, char **argv)
{
	struct opts o = { .top = TOP_DEFAULT };
	struct scenario s;
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = cli_load(&o.common, &s);
	if (!st) {
		st = profile_use_load(&o.profile, &s);
		if (!st)
			st = search_and_report(&o, &s);
		scenario_release(&s);
	}
	profile_use_release(&o.profile);
	cli_common_release(&o.common);
	return st;
}
