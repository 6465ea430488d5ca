/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/job.h"

#include "base/nearest.h"
#include "gpu/layer_json.h"
#include "scenarios/sample.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#define RANKS_MAX 1024
#define SECONDS_MAX 86400	/* a day */
#define CTAS_MAX 1024
#define SHAPE_MAX (1 << 24)	/* rows, columns, depth, batch */

enum field_type {
	FIELD_TEXT, FIELD_BOOL, FIELD_INT, FIELD_REAL, FIELD_SEED,
	FIELD_LIST, FIELD_TIERS, FIELD_TASKS, FIELD_SCHEMA
};

/* A field of an object and where it goes; min and max for numbers. */
struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	double min, max;
};

#define AT(type, member) offsetof(struct type, member)

static const struct field job_fields[] = {
	{ "schema", FIELD_SCHEMA, 0, 0, 0 },
	{ "backend", FIELD_TEXT, AT(job, backend), 0, 0 },
	{ "quick", FIELD_BOOL, AT(job, quick), 0, 0 },
	{ "ranks", FIELD_INT, AT(job, ranks), 0, RANKS_MAX },
	{ "emulate_nodes", FIELD_INT, AT(job, emulate_nodes), 0, RANKS_MAX },
	{ "tiers", FIELD_TIERS, 0, 0, 0 },
	{ "budget_s", FIELD_REAL, AT(job, budget_s), 0, SECONDS_MAX },
	{ "deadline_s", FIELD_REAL, AT(job, deadline_s), 0.1, SECONDS_MAX },
	{ "seed", FIELD_SEED, AT(job, seed), 0, 0 },
	{ "tasks", FIELD_TASKS, 0, 0, 0 },
	{ 0 },
};

static const struct field task_fields[] = {
	{ "op", FIELD_TEXT, AT(job_task, op), 0, 0 },
	{ "variant", FIELD_TEXT, AT(job_task, variant), 0, 0 },
	{ "dtype", FIELD_TEXT, AT(job_task, dtype), 0, 0 },
	{ "beside", FIELD_TEXT, AT(job_task, beside), 0, 0 },
	{ "min_bytes", FIELD_REAL, AT(job_task, min_bytes), 1,
	  JOB_BYTES_MAX },
	{ "max_bytes", FIELD_REAL, AT(job_task, max_bytes), 1,
	  JOB_BYTES_MAX },
	{ "ctas", FIELD_LIST, AT(job_task, ctas), 0, CTAS_MAX },
	{ "beside_bytes", FIELD_LIST, AT(job_task, beside_bytes), 1,
	  JOB_BYTES_MAX },
	{ "m", FIELD_LIST, AT(job_task, m), 1, SHAPE_MAX },
	{ "n", FIELD_LIST, AT(job_task, n), 1, SHAPE_MAX },
	{ "k", FIELD_LIST, AT(job_task, k), 1, SHAPE_MAX },
	{ "batch", FIELD_LIST, AT(job_task, batch), 1, SHAPE_MAX },
	{ "optional", FIELD_BOOL, AT(job_task, optional), 0, 0 },
	{ 0 },
};

static enum status read_task(struct job *j, const json_t *v, const char *at);

static enum status wrong(const char *at, const struct field *f,
			 const char *what)
{
	return err_set(ST_INPUT, "job: field '%s%s': %s", at, f->name, what);
}

static enum status read_number(const json_t *v, const char *at,
			       const struct field *f, double *out)
{
	double x = json_number_value(v);

	if (!json_is_number(v))
		return wrong(at, f, "must be a number");
	if (!(x >= f->min && x <= f->max))
		return err_set(ST_INPUT, "job: field '%s%s': %.12g is not in "
			       "%.12g..%.12g", at, f->name, x, f->min, f->max);
	if (f->type != FIELD_REAL && floor(x) != x)
		return wrong(at, f, "must be a whole number");
	*out = x;
	return ST_OK;
}

static enum status read_int(const json_t *v, const char *at,
			    const struct field *f, int *out)
{
	double x;
	enum status st = read_number(v, at, f, &x);

	if (!st)
		*out = (int)x;
	return st;
}

static enum status read_text(struct job *j, const json_t *v, const char *at,
			     const struct field *f, const char **out)
{
	const char *s = json_string_value(v);

	if (!s)
		return wrong(at, f, "must be a text");
	if (strlen(s) >= SAMPLE_TEXT)
		return wrong(at, f, "is longer than 31 bytes");
	*out = arena_strdup(&j->arena, s);
	return ST_OK;
}

static enum status read_seed(const json_t *v, const char *at,
			     const struct field *f, uint64_t *out)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return wrong(at, f, "must be a whole number from 0 up");
	*out = (uint64_t)json_integer_value(v);
	return ST_OK;
}

static enum status read_list(const json_t *v, const char *at,
			     const struct field *f, struct job_list *out)
{
	enum status st = ST_OK;
	size_t i, n = json_array_size(v);

	if (!json_is_array(v) || !n)
		return wrong(at, f, "must be a list of numbers");
	if (n > JOB_LIST_MAX)
		return wrong(at, f, "has more than 32 numbers");
	for (i = 0; i < n && !st; i++)
		st = read_number(json_array_get(v, i), at, f, &out->v[i]);
	out->n = (int)n;
	return st;
}

static enum status read_tiers(struct job *j, const json_t *v,
			      const struct field *f)
{
	size_t n = json_array_size(v), i;
	enum status st = ST_OK;

	if (!json_is_array(v))
		return wrong("", f, "must be a list of texts");
	if (n > sizeof(j->tier) / sizeof(j->tier[0]))
		return wrong("", f, "has more than 8 texts");
	for (i = 0; i < n && !st; i++)
		st = read_text(j, json_array_get(v, i), "", f, &j->tier[i]);
	j->n_tiers = (int)n;
	return st;
}

static enum status read_tasks(struct job *j, const json_t *v,
			      const struct field *f)
{
	size_t n = json_array_size(v), i;
	enum status st = ST_OK;
	char at[32];

	if (!json_is_array(v))
		return wrong("", f, "must be a list of objects");
	if (n > JOB_TASKS_MAX)
		return wrong("", f, "has more than 256 objects");
	j->task = arena_alloc(&j->arena, n * sizeof(*j->task));
	for (i = 0; i < n && !st; i++) {
		snprintf(at, sizeof(at), "tasks[%zu].", i);
		st = read_task(j, json_array_get(v, i), at);
	}
	return st;
}

static enum status read_field(struct job *j, void *object, const json_t *v,
			      const char *at, const struct field *f)
{
	void *to = (char *)object + f->offset;

	switch (f->type) {
	case FIELD_TEXT:
		return read_text(j, v, at, f, to);
	case FIELD_BOOL:
		if (!json_is_boolean(v))
			return wrong(at, f, "must be true or false");
		*(bool *)to = json_is_true(v);
		return ST_OK;
	case FIELD_INT:
		return read_int(v, at, f, to);
	case FIELD_REAL:
		return read_number(v, at, f, to);
	case FIELD_SEED:
		return read_seed(v, at, f, to);
	case FIELD_LIST:
		return read_list(v, at, f, to);
	case FIELD_TIERS:
		return read_tiers(j, v, f);
	case FIELD_TASKS:
		return read_tasks(j, v, f);
	case FIELD_SCHEMA:
		if (!json_is_string(v) ||
		    strcmp(json_string_value(v), JOB_SCHEMA))
			return wrong(at, f, "must be \"" JOB_SCHEMA "\"");
		return ST_OK;
	}
	return ST_OK;
}

static enum status unknown(const char *at, const char *name,
			   const struct field *table)
{
	const char *names[32];
	char hint[128];
	size_t n = 0;

	for (; table[n].name; n++)
		names[n] = table[n].name;
	return err_set(ST_INPUT, "job: field '%s%.40s': there is no such "
		       "field%s", at, name,
		       nearest_hint(name, names, n, hint, sizeof(hint)));
}

static enum status read_object(struct job *j, void *object,
			       const json_t *v, const char *at,
			       const struct field *table)
{
	const struct field *f;
	const char *name;
	json_t *value;
	enum status st;

	json_object_foreach((json_t *)v, name, value) {
		for (f = table; f->name && strcmp(f->name, name); f++)
			;
		st = f->name ? read_field(j, object, value, at, f)
			     : unknown(at, name, table);
		if (st)
			return st;
	}
	return ST_OK;
}

static enum status check_task(const struct job_task *t, const char *at)
{
	if (!sample_op_known(t->op))
		return err_set(ST_INPUT, "job: field '%sop': '%s' is no op "
			       "that can be measured", at, t->op);
	if (*t->beside && !sample_op_is_exchange(t->beside))
		return err_set(ST_INPUT, "job: field '%sbeside': '%s' is no "
			       "exchange", at, t->beside);
	if (*t->beside && sample_op_is_exchange(t->op))
		return err_set(ST_INPUT, "job: field '%sbeside': '%s' is an "
			       "exchange itself", at, t->op);
	if (t->beside_bytes.n && !*t->beside)
		return err_set(ST_INPUT, "job: field '%sbeside_bytes': needs "
			       "the field beside", at);
	if (!strcmp(t->op, "gemm") && (!t->m.n || !t->n.n || !t->k.n))
		return err_set(ST_INPUT, "job: field '%sop': a gemm needs the "
			       "lists m, n and k", at);
	if (t->min_bytes > t->max_bytes)
		return err_set(ST_INPUT, "job: field '%smin_bytes': %.12g is "
			       "above max_bytes, %.12g", at, t->min_bytes,
			       t->max_bytes);
	return ST_OK;
}

static bool is_layer(const json_t *v)
{
	const char *op = json_string_value(json_object_get(v, "op"));

	return op && !strcmp(op, "layer");
}

static enum status read_layer(struct job *j, const json_t *v, const char *at)
{
	struct job_task *t = &j->task[j->n_tasks];
	struct layer_case c;
	enum status st = layer_case_from_json(v, j->seed, &c);

	if (st)
		return err_prefix(st, "job: %.*s", (int)strlen(at) - 1, at);
	*t = (struct job_task){ .op = "layer", .variant = "", .dtype = "",
				.beside = "" };
	t->layer = arena_alloc(&j->arena, sizeof(*t->layer));
	*t->layer = c;
	j->n_tasks++;
	return ST_OK;
}

static enum status read_task(struct job *j, const json_t *v, const char *at)
{
	struct job_task *t = &j->task[j->n_tasks];
	enum status st;

	if (is_layer(v))
		return read_layer(j, v, at);

	if (!json_is_object(v))
		return err_set(ST_INPUT, "job: field '%.*s': must be an object",
			       (int)strlen(at) - 1, at);
	*t = (struct job_task){ .op = "", .variant = "", .dtype = "",
				.beside = "" };
	st = read_object(j, t, v, at, task_fields);
	if (!st)
		st = check_task(t, at);
	j->n_tasks++;
	return st;
}

static json_t *load(const char *text, size_t len)
{
	json_error_t e;
	json_t *root;

	if (len > JOB_TEXT_MAX) {
		err_set(ST_INPUT, "job: is larger than %u bytes",
			JOB_TEXT_MAX);
		return NULL;
	}
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (root && json_is_object(root))
		return root;
	if (root)
		err_set(ST_INPUT, "job: must be a JSON object");
	else
		err_set(ST_INPUT, "job:%d:%d: %s", e.line, e.column, e.text);
	json_decref(root);
	return NULL;
}

static enum status check_layers(const struct job *j)
{
	int i;

	for (i = 0; j->ranks && i < j->n_tasks; i++) {
		const struct layer_case *c = j->task[i].layer;

		if (c && layer_ranks(c) != j->ranks)
			return err_set(ST_INPUT, "job: tasks[%d]: %d nodes x "
				       "%d GPUs are not the job's 'ranks', %d",
				       i, c->nodes, c->gpus_per_node,
				       j->ranks);
	}
	return ST_OK;
}

int job_benchmarks(const struct job *j)
{
	int i, n = 0;

	for (i = 0; i < j->n_tasks; i++)
		n += !j->task[i].layer;
	return n;
}

enum status job_parse(const char *text, size_t len, struct job *out)
{
	struct job j = { .deadline_s = JOB_DEADLINE_S, .seed = 1 };
	json_t *root = load(text, len);
	enum status st;

	if (!root)
		return ST_INPUT;
	/* layers without a seed have the job's, wherever that stands */
	if (json_integer_value(json_object_get(root, "seed")) > 0)
		j.seed = (uint64_t)json_integer_value(
			json_object_get(root, "seed"));
	st = read_object(&j, &j, root, "", job_fields);
	if (!st)
		st = check_layers(&j);
	if (!st && !j.backend)
		st = err_set(ST_INPUT, "job: field 'backend': is missing");
	json_decref(root);
	if (st)
		job_release(&j);
	else
		*out = j;
	return st;
}

void job_release(struct job *j)
{
	int i;

	for (i = 0; i < j->n_tasks; i++) {
		if (j->task[i].layer)
			layer_case_release(j->task[i].layer);
	}
	arena_release(&j->arena);
	*j = (struct job){ 0 };
}
