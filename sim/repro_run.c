/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/repro_run.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/units.h"
#include "scenarios/datadir.h"
#include "scenarios/keys.h"
#include "scenarios/scenario.h"
#include "sim/search.h"
#include "sim/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GPU_KEYS "cluster.gpu."
#define PARTS_MAX 8	/* of one run */

enum quantity { Q_STEP, Q_EXCHANGE, Q_REST, Q_LAYER, Q_FORWARD, Q_N };

static const char *const quantity_names[Q_N] = {
	[Q_STEP] = "step", [Q_EXCHANGE] = "exchange", [Q_REST] = "rest",
	[Q_LAYER] = "layer", [Q_FORWARD] = "forward",
};

struct run {
	char *name;
	double s[Q_N];
};

struct repro {
	const struct paper *p;
	struct run *run;	/* each is run once */
	size_t n, cap;
};

/* ---- parts ---- */

/* What a run is made of. */
struct recipe {
	const char *scenario;
	const struct rival_row *policy;
	struct scenario_set *set;
	size_t n_sets, cap;
	struct arena arena;
};

static void add_set(struct recipe *r, const char *text)
{
	r->set = array_grow(r->set, &r->cap, r->n_sets + 1, sizeof(*r->set));
	r->set[r->n_sets++].text = text;
}

static bool is_key(const char *name)
{
	size_t n = strlen(GPU_KEYS);

	return strncmp(name, GPU_KEYS, n) ? key_find(name) != NULL :
		gpu_key_find(name + n) != NULL;
}

/* The scenario's key in "PART.KEY", or NULL when it is another part's. */
static const char *key_of(const struct paper_part *part, const char *name)
{
	size_t n = strlen(part->name);

	return !strncmp(name, part->name, n) && name[n] == '.' ?
		name + n + 1 : NULL;
}

/* "KEY=VALUE"; a switch is 0 or 1 in a paper's file. */
static const char *set_text(struct arena *a, const char *key, double value)
{
	const struct key_row *row = key_find(key);

	if (row && row->type == KEY_BOOL)
		return arena_printf(a, "%s=%s", key, value > 0 ? "true" :
				    "false");
	return arena_printf(a, "%s=%.15g", key, value);
}

static void add_values(const struct paper *p, const struct paper_part *part,
		       struct recipe *r)
{
	for (int i = 0; i < p->n_values; i++) {
		const char *key = key_of(part, p->value[i].name);

		if (key)
			add_set(r, set_text(&r->arena, key,
					    p->value[i].value));
	}
}

static enum status add_policy(const struct paper_part *part, struct recipe *r)
{
	const struct rival_row *v = rival_table;

	while (v->name && strcmp(v->name, part->policy))
		v++;
	if (!v->name)
		return err_set(ST_INPUT, "part '%.60s': no system is called "
			       "'%.60s'", part->name, part->policy);
	if (v->dense || v->packs || v->piece_bytes > 0)
		return err_set(ST_INPUT, "part '%.60s': '%s' needs the "
			       "planner", part->name, v->name);
	r->policy = v;
	return ST_OK;
}

static const struct paper_part *find_part(const struct paper *p,
					  const char *name, size_t n)
{
	for (int i = 0; i < p->n_parts; i++) {
		const struct paper_part *part = &p->part[i];

		if (strlen(part->name) == n && !strncmp(part->name, name, n))
			return part;
	}
	return NULL;
}

static enum status make_recipe(const struct paper *p, const char *run,
			       struct recipe *r)
{
	enum status st = ST_OK;

	for (const char *s = run; !st && *s;) {
		size_t n = strcspn(s, "+");
		const struct paper_part *part = find_part(p, s, n);

		if (!part)
			return err_set(ST_INPUT, "unknown part '%.*s' of run "
				       "'%.100s'", (int)(n < 60 ? n : 60), s,
				       run);
		if (part->scenario)
			r->scenario = data_is_path(part->scenario) ?
				data_beside(&r->arena, part->scenario,
					    p->path) : part->scenario;
		for (int i = 0; i < part->n_sets; i++)
			add_set(r, part->set[i]);
		add_values(p, part, r);
		if (part->policy)
			st = add_policy(part, r);
		s += n + (s[n] == '+');
	}
	if (!st && !r->scenario)
		st = err_set(ST_INPUT, "no part of run '%.100s' names a "
			     "scenario", run);
	return st;
}

static void recipe_release(struct recipe *r)
{
	free(r->set);
	arena_release(&r->arena);
}

/* ---- running ---- */

/* Of all MoE layers in a step; recomputation repeats the forward pass. */
static double exchange_s(const struct scenario *s, const struct plan *p,
			 const struct evaluation *e)
{
	double sum = 0;

	for (int i = 0; i < e->program.n_ops; i++) {
		const struct op *op = &e->program.op[i];
		const struct exec_op *x = &e->exec.op[i];
		double times = op->backward ? 1 : 1 + s->training.recompute;

		if (op_kind_is_exchange(op->kind) || op->kind == OP_SHADOW ||
		    op->kind == OP_SHADOW_BWD)
			sum += times * s_from_ps(x->finish_ps - x->start_ps);
	}
	return sum * s->model.moe_layers / p->layout.pp *
		s->training.micro_batches;
}

static enum status time_plan(const struct scenario *s, const struct plan *p,
			     double *out)
{
	struct evaluation e;
	struct step_time t;
	enum status st = evaluate_plan(s, p, EXEC_FLOW, NULL, &e);

	if (st)
		return st;
	st = step_run(&(struct step_spec){
		.s = s, .net = &e.net, .plan = p, .program = &e.program,
		.exec = &e.exec, .optimizer_bytes = e.memory.optimizer,
		.parameter_bytes = e.memory.parameters,
	}, &t);
	if (!st) {
		out[Q_STEP] = t.time_s;
		out[Q_EXCHANGE] = exchange_s(s, p, &e);
		out[Q_REST] = t.time_s - out[Q_EXCHANGE];
		out[Q_LAYER] = s_from_ps(e.exec.time_ps);
		out[Q_FORWARD] = s_from_ps(e.exec.forward_ps);
	}
	evaluation_release(&e);
	return st;
}

/* The policy's exchange and degree that give the shortest step. */
static enum status time_policy(const struct scenario *s,
			       const struct rival_row *v, struct plan p,
			       double *out)
{
	double one[Q_N];
	bool any = false;
	enum status st = ST_OK;

	if (v->techniques)
		p.technique_mask = v->techniques;
	if (v->groupwise)
		rival_groupwise(&p.layout, &s->cluster, &s->model, &p.layout);
	for (int a = 0; a < A2A_N && !st; a++) {
		p.alltoall = (enum a2a_alg)a;
		for (int i = 0; v->alltoall & 1u << a && !st &&
		     i < RIVAL_DEGREES && v->degree[i]; i++) {
			p.degree_forward = p.degree_backward = v->degree[i];
			st = time_plan(s, &p, one);
			if (!st && (!any || one[Q_STEP] < out[Q_STEP]))
				memcpy(out, one, sizeof(one));
			any = true;
		}
	}
	return st;
}

static enum status time_run(const struct paper *p, const char *name,
			    double *out)
{
	struct recipe r = { 0 };
	struct scenario s;
	struct plan plan;
	enum status st = make_recipe(p, name, &r);

	if (!st)
		st = scenario_load(&s, r.scenario, r.set, (int)r.n_sets);
	if (!st) {
		st = evaluate_default_plan(&s, &plan);
		if (!st)
			st = r.policy ? time_policy(&s, r.policy, plan, out) :
				time_plan(&s, &plan, out);
		scenario_release(&s);
	}
	recipe_release(&r);
	return st ? err_prefix(st, "run '%.100s'", name) : ST_OK;
}

static enum status find_run(struct repro *r, const char *name,
			    const double **out_p)
{
	struct run run = { 0 };
	enum status st;

	for (size_t i = 0; i < r->n; i++) {
		if (!strcmp(r->run[i].name, name)) {
			*out_p = r->run[i].s;
			return ST_OK;
		}
	}
	st = time_run(r->p, name, run.s);
	if (st)
		return st;
	run.name = xstrdup(name);
	r->run = array_grow(r->run, &r->cap, r->n + 1, sizeof(*r->run));
	r->run[r->n] = run;
	*out_p = r->run[r->n++].s;
	return ST_OK;
}

/* ---- measures ---- */

static int find_quantity(const char *word)
{
	for (int i = 0; i < Q_N; i++) {
		if (!strcmp(quantity_names[i], word))
			return i;
	}
	return -1;
}

static enum status measure_one(struct repro *r, const char *const *word,
			       int q, double *value_p)
{
	const double *s;
	bool share = !strcmp(word[0], "share");
	enum status st = find_run(r, word[1], &s);

	if (!st)
		*value_p = share ? s[q] / s[Q_STEP] : 1e3 * s[q];
	return st;
}

static enum status measure_two(struct repro *r, const char *const *word,
			       int q, double *value_p)
{
	const double *s;
	double first, second;
	enum status st = find_run(r, word[1], &s);

	if (st)
		return st;
	first = s[q];
	st = find_run(r, word[2], &s);
	if (st)
		return st;
	second = s[q];
	*value_p = !strcmp(word[0], "ratio") ? first / second :
		1 - second / first;
	return ST_OK;
}

enum status repro_run_measure(struct repro *r, int n, const char *const *word,
			      double *value_p)
{
	int q = find_quantity(word[n - 1]);

	if (q >= 0 && n == 3 &&
	    (!strcmp(word[0], "ms") || !strcmp(word[0], "share")))
		return measure_one(r, word, q, value_p);
	if (q >= 0 && n == 4 &&
	    (!strcmp(word[0], "ratio") || !strcmp(word[0], "saved")))
		return measure_two(r, word, q, value_p);
	return repro_unknown(n, word);
}

/* A value that no run would set is a mistake. */
static enum status check_values(const struct paper *p)
{
	for (int i = 0; i < p->n_values; i++) {
		const char *key = NULL;

		for (int k = 0; k < p->n_parts && !key; k++) {
			key = key_of(&p->part[k], p->value[i].name);
			if (key && !is_key(key))
				key = NULL;
		}
		if (!key)
			return err_set(ST_INPUT, "%s: '%.100s' is no part's "
				       "name and a scenario's key", p->path,
				       p->value[i].name);
	}
	return ST_OK;
}

enum status repro_run_open(const struct paper *p, struct repro **out_p)
{
	enum status st = check_values(p);

	if (st)
		return st;
	*out_p = xcalloc(1, sizeof(**out_p));
	(*out_p)->p = p;
	return ST_OK;
}

void repro_run_close(struct repro *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->run[i].name);
	free(r->run);
	free(r);
}
