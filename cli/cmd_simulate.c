/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast simulate: one plan in virtual time. */
#include "base/buf.h"
#include "base/outfile.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/fill.h"
#include "cli/jitter_jobs.h"
#include "cli/profile_use.h"
#include "reports/table.h"
#include "reports/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLAN_FILE_MAX 65536	/* bytes: a plan is one line */
#define LINKS_SHOWN 5

struct opts {
	struct cli_common common;
	const char *plan, *trace;
	enum exec_model model;
	int jobs;
	struct profile_use profile;
	struct jitter_stats jitter;	/* n 0: there is none */
};

static const struct argp_option options[] = {
	{ "plan", 'p', "PLAN", 0,
	  "the plan as one line, or a file that holds it, as 'moecast plan "
	  "-o' writes it (default: the first layout that fits "
	  "the memory of the GPU and constraints.memory, else the first; one "
	  "chunk, flat, dropless, where search: names no single value)", 0 },
	{ "trace", 't', "FILE.json", 0,
	  "write a Chrome/Perfetto trace of the lanes", 0 },
	{ "model", 'm', "lane|flow", 0,
	  "lane: ops do not slow one another down; flow: they share links, "
	  "memory and SMs (default)", 0 },
	{ "jobs", 'j', "N", 0,
	  "processes that share the runs with jitter (default: one for each "
	  "processor; the numbers do not depend on it)", 0 },
	{ 0 },
};

static error_t parse_model(const char *arg, enum exec_model *out)
{
	if (!strcmp(arg, "lane")) {
		*out = EXEC_LANE;
	} else if (!strcmp(arg, "flow")) {
		*out = EXEC_FLOW;
	} else {
		return cli_usage("--model: '%s' must be 'lane' or 'flow'",
				 arg);
	}
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'p':
		o->plan = arg;
		return 0;
	case 't':
		o->trace = arg;
		return 0;
	case 'm':
		return parse_model(arg, &o->model);
	case 'j':
		return cli_int("--jobs", arg, 1, JITTER_JOBS_MAX, &o->jobs);
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
	.doc = "Runs one plan of a scenario in virtual time; with "
	       "faults.compute_jitter or faults.comm_jitter also "
	       "faults.repeats times with other times drawn.",
	.children = children,
};

/* ---- the plan ---- */

static enum status read_plan_file(const char *path, struct plan *out)
{
	char *text;
	size_t len;
	enum status st = infile_read(path, PLAN_FILE_MAX, &text, &len);

	if (st)
		return st;
	st = plan_parse(text, out);
	free(text);
	return st ? err_prefix(st, "%s", path) : ST_OK;
}

/* Plans are NAME=VALUE words; "./a=b" is a file. */
static bool is_line(const char *text)
{
	size_t name = strcspn(text, "=/");

	return text[name] == '=';
}

static enum status get_plan(const struct opts *o, const struct scenario *s,
			    struct plan *out)
{
	if (!o->plan)
		return evaluate_default_plan(s, out);
	return is_line(o->plan) ? plan_parse(o->plan, out) :
		read_plan_file(o->plan, out);
}

/* ---- output ---- */

static char *plan_line(const struct plan *p)
{
	struct buf b = { 0 };

	plan_print(p, &b);
	return buf_take(&b);
}

static json_t *json_memory(const struct memory_use *m)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f}",
			 "parameters_bytes", m->parameters,
			 "gradients_bytes", m->gradients,
			 "optimizer_bytes", m->optimizer,
			 "activations_bytes", m->activations,
			 "buffers_bytes", m->buffers);
}

static json_t *json_jitter(const struct jitter_stats *s)
{
	return json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f}",
			 "runs", s->n, "mean_s", s->mean_s, "min_s", s->min_s,
			 "p50_s", s->p50_s, "p95_s", s->p95_s,
			 "p99_s", s->p99_s, "max_s", s->max_s);
}

/* A step of the whole model under the plan. */
static enum status plan_step(const struct scenario *s, const struct plan *p,
			     const struct evaluation *e,
			     struct step_time *out)
{
	struct step_spec spec = {
		.s = s, .net = &e->net, .plan = p, .program = &e->program,
		.exec = &e->exec, .optimizer_bytes = e->memory.optimizer,
		.parameter_bytes = e->memory.parameters,
	};

	return step_run(&spec, out);
}

static enum status print_json(const struct opts *o, const struct scenario *s,
			      const struct plan *p,
			      const struct evaluation *e)
{
	const struct exec_result *x = &e->exec;
	struct step_time step;
	enum status st = plan_step(s, p, e, &step);
	char *text = plan_line(p);
	json_t *root = json_pack(
		"{s:s, s:s, s:o, s:s, s:f, s:f, s:f, s:o, s:o, s:o, s:I, "
		"s:f, s:f, s:f, s:o}",
		"schema", "moecast.simulate/1",
		"plan", text,
		"knobs", json_knobs(p),
		"model", o->model == EXEC_FLOW ? "flow" : "lane",
		"time_s", s_from_ps(x->time_ps),
		"forward_s", s_from_ps(x->forward_ps),
		"backward_s", s_from_ps(x->time_ps - x->forward_ps),
		"breakdown", json_breakdown(x),
		"lanes", json_lanes(x),
		"links", json_links(&e->net, x),
		"events", (json_int_t)x->events,
		"drop_fraction", e->workload.drop_fraction,
		"padding_fraction", e->workload.padding_fraction,
		"memory_bytes", e->memory.total,
		"memory", json_memory(&e->memory));

	free(text);
	if (st) {
		json_decref(root);
		return st;
	}
	if (e->program.plan.dense)
		json_object_set_new(root, "layer_s", json_real(
			e->pass_s[0] + e->pass_s[1]));
	json_object_set_new(root, "step", json_step(&step));
	if (o->profile.active)
		profile_use_json(&o->profile, root);
	if (o->jitter.n)
		json_object_set_new(root, "jitter", json_jitter(&o->jitter));
	return cli_print_json(root);
}

static void print_head(const struct plan *p, const struct evaluation *e,
		       struct buf *out)
{
	const struct exec_result *x = &e->exec;
	char all[UNIT_TEXT_MAX], fwd[UNIT_TEXT_MAX], bwd[UNIT_TEXT_MAX];
	char mem[UNIT_TEXT_MAX];
	char *plan = plan_line(p);

	text_wrap(out, "Plan      ", plan, TABLE_WIDTH);
	buf_addf(out, "Time      %s a %s: forward %s, backward %s\n",
		 unit_human(s_from_ps(x->time_ps), U_TIME, all, sizeof(all)),
		 e->program.plan.dense ? "block" : "layer",
		 unit_human(s_from_ps(x->forward_ps), U_TIME, fwd,
			    sizeof(fwd)),
		 unit_human(s_from_ps(x->time_ps - x->forward_ps), U_TIME,
			    bwd, sizeof(bwd)));
	if (e->program.plan.dense)
		buf_addf(out, "Layer     %s: without the dense part and what "
			 "sticks out of its\n          gradients, run apart\n",
			 unit_human(e->pass_s[0] + e->pass_s[1], U_TIME,
				    all, sizeof(all)));
	buf_addf(out, "Memory    %s per GPU\n",
		 unit_human(e->memory.total, U_BYTES, mem, sizeof(mem)));
	buf_addf(out, "Capacity  %.2f %% of the copies drop, %.2f %% of the "
		 "slots are padding\n\n", 100 * e->workload.drop_fraction,
		 100 * e->workload.padding_fraction);
	free(plan);
}

/* A row for each of the n times, which are `named`; op kinds that do not
 * occur are left out. */
static void print_shares(const struct exec_result *x, const char *title,
			 const uint64_t *ps, int n,
			 const char *(*named)(int i), struct buf *out)
{
	const struct table_column columns[] = {
		{ title, TABLE_TEXT, 0, 0 },
		{ "time", TABLE_TIME, 0, 0 },
		{ "of layer", TABLE_PERCENT, 0, 0 },
		{ "", TABLE_BAR, TABLE_LEFT, 20 },
	};
	double share;
	struct table t;
	int i;

	table_init(&t, columns, 4);
	for (i = 0; i < n; i++) {
		if (!ps[i] && n == OP_KIND_N)
			continue;
		share = x->time_ps ? (double)ps[i] / (double)x->time_ps : 0;
		table_text(&t, named(i));
		table_value(&t, s_from_ps(ps[i]));
		table_value(&t, share);
		table_value(&t, share);
	}
	table_print(&t, out, 0, TABLE_WIDTH);
	table_release(&t);
}

static const char *kind_named(int i)
{
	return op_kind_name((enum op_kind)i);
}

static const char *lane_named(int i)
{
	return lane_name((enum lane)i);
}

static void print_links(const struct net *net, const struct exec_result *x,
			struct buf *out)
{
	static const struct table_column columns[] = {
		{ "busiest links", TABLE_TEXT, 0, 0 },
		{ "used", TABLE_PERCENT, 0, 0 },
		{ "", TABLE_BAR, TABLE_LEFT, 20 },
	};
	struct table t;
	char name[128];
	int i;

	if (!x->n_links)
		return;
	table_init(&t, columns, 3);
	for (i = 0; i < x->n_links && i < LINKS_SHOWN; i++) {
		table_text(&t, net_link_name(net, x->link[i].link, name,
					     sizeof(name)));
		table_value(&t, x->link[i].utilisation);
		table_value(&t, x->link[i].utilisation);
	}
	buf_puts(out, "\n");
	table_print(&t, out, 0, TABLE_WIDTH);
	table_release(&t);
}

static void print_jitter(const struct jitter_stats *s,
			 const struct exec_result *x, struct buf *out)
{
	const struct {
		const char *name;
		double time_s;
	} row[] = {
		{ "least", s->min_s }, { "median", s->p50_s },
		{ "mean", s->mean_s }, { "95 % below", s->p95_s },
		{ "99 % below", s->p99_s }, { "most", s->max_s },
	};
	char runs[64];
	const struct table_column columns[] = {
		{ runs, TABLE_TEXT, 0, 0 },
		{ "time", TABLE_TIME, 0, 0 },
		{ "of nominal", TABLE_PERCENT, 0, 0 },
	};
	struct table t;

	snprintf(runs, sizeof(runs), "%d runs with jitter", s->n);
	table_init(&t, columns, 3);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		table_text(&t, row[i].name);
		table_value(&t, row[i].time_s);
		table_value(&t, row[i].time_s / s_from_ps(x->time_ps));
	}
	buf_puts(out, "\n");
	table_print(&t, out, 0, TABLE_WIDTH);
	table_release(&t);
}

static enum status print_text(const struct opts *o, const struct plan *p,
			      const struct evaluation *e)
{
	struct buf b = { 0 };

	print_head(p, e, &b);
	print_shares(&e->exec, "op", e->exec.kind_ps, OP_KIND_N, kind_named,
		     &b);
	buf_puts(&b, "\n");
	print_shares(&e->exec, "lane", e->exec.lane_busy_ps,
		     e->exec.lane_busy_ps[LANE_HOST] ? LANES_ALL : LANE_N,
		     lane_named, &b);
	print_links(&e->net, &e->exec, &b);
	if (o->jitter.n)
		print_jitter(&o->jitter, &e->exec, &b);
	if (o->profile.active) {
		buf_puts(&b, "\n");
		text_wrap(&b, "costs: ", o->profile.note, TABLE_WIDTH);
	}
	fputs(buf_str(&b), stdout);
	buf_release(&b);
	return ST_OK;
}

static enum status write_trace(const char *path, const struct plan *p,
			       const struct evaluation *e)
{
	struct report_op *op = fill_ops(&e->program, &e->exec);
	struct trace *t = trace_new();
	char *text = plan_line(p);
	enum status st;

	trace_note(t, "plan", text);
	trace_add_ops(t, op, e->program.n_ops);
	st = trace_write(t, path);
	free(text);
	trace_free(t);
	free(op);
	return st;
}

static enum status simulate(struct opts *o, const struct scenario *s)
{
	const struct progress progress = { cli_progress, (void *)"exchanges" };
	struct evaluation e;
	struct plan p;
	enum status st = get_plan(o, s, &p);

	if (st)
		return st;
	st = evaluate_plan(s, &p, o->model, &progress, &e);
	cli_progress_end();
	if (st)
		return st;
	if (e.memory_room > 0 && e.memory.total > e.memory_room)
		cli_warn("the plan needs %.4g GB per GPU, constraints.memory "
			 "and the GPU allow %.4g GB", e.memory.total / 1e9,
			 e.memory_room / 1e9);
	st = profile_use_warn(&o->profile, s, &p);
	if (!st && o->trace)
		st = write_trace(o->trace, &p, &e);
	if (!st && jitter_wanted(&s->faults))
		st = jitter_jobs(&s->faults, &e, o->model, o->jobs,
				 &o->jitter);
	if (!st) {
		st = o->common.json ? print_json(o, s, &p, &e) :
			print_text(o, &p, &e);
	}
	evaluation_release(&e);
	return st;
}

static int default_jobs(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > JITTER_JOBS_MAX ? JITTER_JOBS_MAX : (int)n;
}

enum status cmd_simulate(int argc, char **argv)
{
	struct opts o = { .model = EXEC_FLOW, .jobs = default_jobs() };
	struct scenario s;
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = cli_load(&o.common, &s);
	if (!st) {
		st = profile_use_load(&o.profile, &s);
		if (!st)
			st = simulate(&o, &s);
		scenario_release(&s);
	}
	profile_use_release(&o.profile);
	cli_common_release(&o.common);
	return st;
}
