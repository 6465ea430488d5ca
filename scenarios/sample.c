/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/sample.h"

#include "base/nearest.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))
#define HINT_MAX 96

struct op_row {
	const char *name;
	int exchange;
};

static const struct op_row ops[] = {
	{ "alltoall", 1 }, { "allgather", 1 }, { "reducescatter", 1 },
	{ "allreduce", 1 }, { "sendrecv", 1 },
	{ "gemm", 0 }, { "gate", 0 }, { "topk", 0 }, { "sort", 0 },
	{ "permute", 0 }, { "combine", 0 }, { "stream", 0 }, { "copy", 0 },
	{ "launch", 0 }, { "plan", 0 }, { "layer", 0 },
};

enum field_type {
	FIELD_NAME,	/* plain ASCII */
	FIELD_TEXT,	/* UTF-8 without control characters */
	FIELD_COUNT,	/* int >= 0 */
	FIELD_WRONG,	/* int64_t >= -1 */
	FIELD_ID,	/* int64_t >= 0 */
	FIELD_REAL,	/* finite and >= 0 */
};

enum field_flag {
	FIELD_NEEDED = 1 << 0,
	FIELD_SHOWN = 1 << 1,	/* written also when 0 */
};

struct field {
	const char *name;
	enum field_type type;
	size_t offset, size;	/* size: of a text, with its NUL */
	unsigned flags;
};

#define TEXT_OF(s, f, type, flags) \
	{ #f, type, offsetof(struct s, f), sizeof(((struct s *)0)->f), flags }
#define NUMBER_OF(s, f, type, flags) { #f, type, offsetof(struct s, f), 0, flags }

static const struct field sample_fields[] = {
	TEXT_OF(sample, op, FIELD_NAME, FIELD_NEEDED | FIELD_SHOWN),
	TEXT_OF(sample, variant, FIELD_NAME, 0),
	TEXT_OF(sample, tier, FIELD_NAME, 0),
	TEXT_OF(sample, dtype, FIELD_NAME, 0),
	TEXT_OF(sample, beside, FIELD_NAME, 0),
	NUMBER_OF(sample, ranks, FIELD_COUNT, 0),
	NUMBER_OF(sample, nodes, FIELD_COUNT, 0),
	NUMBER_OF(sample, ctas, FIELD_COUNT, 0),
	NUMBER_OF(sample, bytes, FIELD_REAL, FIELD_SHOWN),
	NUMBER_OF(sample, m, FIELD_REAL, 0),
	NUMBER_OF(sample, n, FIELD_REAL, 0),
	NUMBER_OF(sample, k, FIELD_REAL, 0),
	NUMBER_OF(sample, batch, FIELD_REAL, 0),
	NUMBER_OF(sample, busiest_bytes, FIELD_REAL, 0),
	NUMBER_OF(sample, median_s, FIELD_REAL, FIELD_NEEDED | FIELD_SHOWN),
	NUMBER_OF(sample, p95_s, FIELD_REAL, 0),
	NUMBER_OF(sample, min_s, FIELD_REAL, 0),
	NUMBER_OF(sample, max_s, FIELD_REAL, 0),
	NUMBER_OF(sample, mean_s, FIELD_REAL, 0),
	NUMBER_OF(sample, count, FIELD_COUNT, FIELD_SHOWN),
	NUMBER_OF(sample, wrong, FIELD_WRONG, FIELD_SHOWN),
	NUMBER_OF(sample, pair, FIELD_ID, 0),
	TEXT_OF(sample, plan, FIELD_NAME, 0),
	TEXT_OF(sample, layer, FIELD_NAME, 0),
};

static const struct field run_fields[] = {
	TEXT_OF(run_info, backend, FIELD_NAME, FIELD_NEEDED | FIELD_SHOWN),
	TEXT_OF(run_info, source, FIELD_TEXT, 0),
	TEXT_OF(run_info, host, FIELD_TEXT, 0),
	TEXT_OF(run_info, gpu, FIELD_TEXT, 0),
	NUMBER_OF(run_info, gpus, FIELD_COUNT, FIELD_SHOWN),
	TEXT_OF(run_info, driver, FIELD_TEXT, 0),
	TEXT_OF(run_info, cuda, FIELD_TEXT, 0),
	TEXT_OF(run_info, nccl, FIELD_TEXT, 0),
	TEXT_OF(run_info, clocks, FIELD_TEXT, 0),
	TEXT_OF(run_info, environment, FIELD_TEXT, 0),
	TEXT_OF(run_info, version, FIELD_TEXT, 0),
	TEXT_OF(run_info, date, FIELD_TEXT, 0),
};

static const struct op_row *op_find(const char *op)
{
	size_t i;

	for (i = 0; i < N_OF(ops); i++) {
		if (!strcmp(ops[i].name, op))
			return &ops[i];
	}
	return NULL;
}

int sample_op_known(const char *op)
{
	return op_find(op) != NULL;
}

int sample_op_is_exchange(const char *op)
{
	const struct op_row *row = op_find(op);

	return row && row->exchange;
}

static enum status bad_op(const char *op)
{
	const char *names[N_OF(ops)];
	char hint[HINT_MAX];
	size_t i;

	for (i = 0; i < N_OF(ops); i++)
		names[i] = ops[i].name;
	return err_set(ST_INPUT, "field 'op': unknown op '%.40s'%s", op,
		       nearest_hint(op, names, N_OF(ops), hint, sizeof(hint)));
}

/* ---- one field of a struct ---- */

static enum status check_text(const struct field *f, const char *s)
{
	size_t i, n = strnlen(s, f->size);
	json_t *utf8;

	if (n == f->size)
		return err_set(ST_INPUT, "field '%s': longer than %zu bytes",
			       f->name, f->size - 1);
	utf8 = json_stringn(s, n);
	json_decref(utf8);
	if (!utf8)
		return err_set(ST_INPUT, "field '%s': is not UTF-8", f->name);
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < ' ' || c == 0x7f)
			return err_set(ST_INPUT, "field '%s': has a control "
				       "character at byte %zu", f->name, i + 1);
		if (f->type == FIELD_NAME && c > '~')
			return err_set(ST_INPUT, "field '%s': must be ASCII, "
				       "byte %zu is not", f->name, i + 1);
	}
	return ST_OK;
}

static enum status check_from(const struct field *f, int64_t v, int least)
{
	if (v < least)
		return err_set(ST_INPUT, "field '%s': %lld is below %d",
			       f->name, (long long)v, least);
	return ST_OK;
}

static enum status check_field(const struct field *f, const void *object)
{
	const char *p = (const char *)object + f->offset;
	double real;

	switch (f->type) {
	case FIELD_NAME:
	case FIELD_TEXT:
		return check_text(f, p);
	case FIELD_COUNT:
		real = *(const int *)p;
		break;
	case FIELD_WRONG:
		return check_from(f, *(const int64_t *)p, -1);
	case FIELD_ID:
		return check_from(f, *(const int64_t *)p, 0);
	default:
		real = *(const double *)p;
	}
	if (!isfinite(real) || real < 0)
		return err_set(ST_INPUT, "field '%s': %g is not a finite "
			       "number from 0 up", f->name, real);
	return ST_OK;
}

static enum status check_fields(const struct field *f, size_t n,
				const void *object)
{
	enum status st = ST_OK;
	size_t i;

	for (i = 0; !st && i < n; i++)
		st = check_field(&f[i], object);
	return st;
}

/* Minimum, median and maximum come from the same times, so their order holds
 * exactly; 0 is a time that was not recorded. */
static enum status check_order(const struct sample *s)
{
	if (s->min_s > s->median_s)
		return err_set(ST_INPUT, "field 'min_s': %g is above the "
			       "median, %g", s->min_s, s->median_s);
	if (s->max_s > 0 && s->max_s < s->median_s)
		return err_set(ST_INPUT, "field 'max_s': %g is below the "
			       "median, %g", s->max_s, s->median_s);
	return ST_OK;
}

static enum status check_shape(const struct sample *s)
{
	bool layer = !strcmp(s->op, "layer");

	if (!layer && strcmp(s->op, "gemm") != 0)
		return ST_OK;
	if (!(s->m > 0 && s->n > 0 && s->k > 0 && s->batch > 0))
		return err_set(ST_INPUT, "op '%s': needs m, n, k and batch "
			       "above 0, has %g, %g, %g and %g", s->op, s->m,
			       s->n, s->k, s->batch);
	if (layer && strcmp(s->variant, "forward") != 0 &&
	    strcmp(s->variant, "step") != 0)
		return err_set(ST_INPUT, "op 'layer': field 'variant': '%s' "
			       "is neither 'forward' nor 'step'", s->variant);
	return ST_OK;
}

enum status sample_check(const struct sample *s)
{
	enum status st = check_fields(sample_fields, N_OF(sample_fields), s);

	if (!st && !sample_op_known(s->op))
		st = bad_op(s->op);
	if (!st)
		st = check_shape(s);
	if (!st)
		st = check_order(s);
	return st;
}

enum status run_info_check(const struct run_info *r)
{
	enum status st = check_fields(run_fields, N_OF(run_fields), r);

	if (!st && !r->backend[0])
		st = err_set(ST_INPUT, "field 'backend': is empty");
	return st;
}

/* ---- to JSON ---- */

static json_t *field_json(const struct field *f, const void *object)
{
	const char *p = (const char *)object + f->offset;

	switch (f->type) {
	case FIELD_NAME:
	case FIELD_TEXT:
		return json_stringn(p, strnlen(p, f->size));
	case FIELD_COUNT:
		return json_integer(*(const int *)p);
	case FIELD_WRONG:
	case FIELD_ID:
		return json_integer(*(const int64_t *)p);
	default:
		return json_real(*(const double *)p);
	}
}

static int field_is_empty(const struct field *f, const void *object)
{
	const char *p = (const char *)object + f->offset;

	switch (f->type) {
	case FIELD_NAME:
	case FIELD_TEXT:
		return !*p;
	case FIELD_COUNT:
		return !*(const int *)p;
	case FIELD_WRONG:
	case FIELD_ID:
		return !*(const int64_t *)p;
	default:
		return *(const double *)p == 0;
	}
}

static json_t *fields_json(const char *type, const struct field *f, size_t n,
			   const void *object)
{
	json_t *o = json_object();
	size_t i;

	json_object_set_new(o, "type", json_string(type));
	for (i = 0; i < n; i++) {
		if (!(f[i].flags & FIELD_SHOWN) && field_is_empty(&f[i], object))
			continue;
		json_object_set_new(o, f[i].name, field_json(&f[i], object));
	}
	return o;
}

json_t *sample_json(const struct sample *s)
{
	return fields_json("sample", sample_fields, N_OF(sample_fields), s);
}

json_t *run_info_json(const struct run_info *r)
{
	return fields_json("run", run_fields, N_OF(run_fields), r);
}

/* ---- from JSON ---- */

static enum status wrong_type(const struct field *f, const char *wanted)
{
	return err_set(ST_INPUT, "field '%s': must be %s", f->name, wanted);
}

static enum status read_text(const struct field *f, const json_t *v, char *out)
{
	size_t n = json_string_length(v);

	if (!json_is_string(v))
		return wrong_type(f, "a string");
	if (n >= f->size)
		return err_set(ST_INPUT, "field '%s': %zu bytes, allowed are "
			       "%zu", f->name, n, f->size - 1);
	if (memchr(json_string_value(v), 0, n))
		return err_set(ST_INPUT, "field '%s': has a NUL", f->name);
	memcpy(out, json_string_value(v), n);
	return ST_OK;
}

static enum status read_integer(const struct field *f, const json_t *v,
				char *out)
{
	json_int_t i = json_integer_value(v);

	if (!json_is_integer(v))
		return wrong_type(f, "an integer");
	if (f->type != FIELD_COUNT) {
		*(int64_t *)out = i;
		return ST_OK;
	}
	if (i < 0 || i > INT_MAX)
		return err_set(ST_INPUT, "field '%s': %lld is outside 0..%d",
			       f->name, (long long)i, INT_MAX);
	*(int *)out = (int)i;
	return ST_OK;
}

static enum status read_field(const struct field *f, const json_t *v,
			      void *object)
{
	char *out = (char *)object + f->offset;

	switch (f->type) {
	case FIELD_NAME:
	case FIELD_TEXT:
		return read_text(f, v, out);
	case FIELD_COUNT:
	case FIELD_WRONG:
	case FIELD_ID:
		return read_integer(f, v, out);
	default:
		if (!json_is_number(v))
			return wrong_type(f, "a number");
		*(double *)out = json_number_value(v);
		return ST_OK;
	}
}

static enum status read_fields(const json_t *j, const char *type,
			       const struct field *f, size_t n, void *object)
{
	const char *seen = json_string_value(json_object_get(j, "type"));
	enum status st = ST_OK;
	const json_t *v;
	size_t i;

	if (!json_is_object(j))
		return err_set(ST_INPUT, "a %s must be a JSON object", type);
	if (!seen || strcmp(seen, type))
		return err_set(ST_INPUT, "field 'type': must be '%s'", type);
	for (i = 0; !st && i < n; i++) {
		v = json_object_get(j, f[i].name);
		if (v)
			st = read_field(&f[i], v, object);
		else if (f[i].flags & FIELD_NEEDED)
			st = err_set(ST_INPUT, "field '%s' is missing",
				     f[i].name);
	}
	return st;
}

enum status sample_from_json(const json_t *j, struct sample *out)
{
	struct sample s = { 0 };
	enum status st = read_fields(j, "sample", sample_fields,
				     N_OF(sample_fields), &s);

	if (!st)
		st = sample_check(&s);
	if (!st)
		*out = s;
	return st;
}

enum status run_info_from_json(const json_t *j, struct run_info *out)
{
	struct run_info r = { 0 };
	enum status st = read_fields(j, "run", run_fields, N_OF(run_fields),
				     &r);

	if (!st)
		st = run_info_check(&r);
	if (!st)
		*out = r;
	return st;
}
