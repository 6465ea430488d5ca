/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of a sweep as JSON, CSV. */
#include "base/buf.h"
#include "base/outfile.h"
#include "cli/sweep.h"
#include "scenarios/keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum status sweep_row_parse(long point, const char *text, json_t **out_p)
{
	json_t *row = json_loads(text, 0, NULL);

	if (!json_is_object(row)) {
		json_decref(row);
		return err_set(ST_INPUT, "the stored row of point %ld is "
			       "damaged", point);
	}
	*out_p = row;
	return ST_OK;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static double number_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* "" for what is no text: rows come from a file. */
static const char *text_at(const json_t *list, size_t i)
{
	const char *s = json_string_value(json_array_get(list, i));

	return s ? s : "";
}

static void add_techniques(const json_t *knobs, struct buf *out)
{
	const json_t *list = json_object_get(knobs, "techniques");
	size_t i, n = json_array_size(list);

	if (n == 1 && !strcmp(text_at(list, 0), "baseline"))
		return;
	for (i = 0; i < n; i++)
		buf_addf(out, "%s%s", i ? "," : " ", text_at(list, i));
}

void sweep_row_plan(const json_t *row, bool with_dp, struct buf *out)
{
	static const char *const degree[] = { "ep", "esp", "tp", "dp", "pp" };
	enum { DEGREE_DP = 3 };
	const json_t *knobs = json_object_get(row, "knobs");
	const json_t *layout = json_object_get(knobs, "layout");
	double capacity = number_of(knobs, "capacity_factor");
	double ctas = number_of(knobs, "ctas");

	buf_puts(out, text_of(knobs, "alltoall"));
	if (ctas > 0)
		buf_addf(out, " ctas=%g", ctas);
	for (int i = 0; i < 5; i++) {
		double v = number_of(layout, degree[i]);

		if (v != 1 && (with_dp || i != DEGREE_DP))
			buf_addf(out, " %s=%g", degree[i], v);
	}
	buf_addf(out, " %g/%g", number_of(knobs, "degree_forward"),
		 number_of(knobs, "degree_backward"));
	if (capacity > 0)
		buf_addf(out, " cf=%.3g", capacity);
	add_techniques(knobs, out);
}

/* ---- JSON ---- */

struct json_out {
	long n;
};

/* The stored text itself: what is there is what is printed. */
static enum status print_row(void *arg, int64_t point, const char *row)
{
	struct json_out *o = arg;

	(void)point;
	if (printf("%s\n    %s", o->n++ ? "," : "", row) < 0)
		return err_set(ST_FAIL, "cannot write to stdout: %m");
	return ST_OK;
}

enum status sweep_print_json(const struct sweep_run *r)
{
	struct json_out o = { 0 };
	enum status st;

	printf("{\n  \"schema\": \"moecast.sweep/1\",\n  \"points\": %ld,\n"
	       "  \"failed\": %ld,\n  \"rows\": [", r->spec.grid->n_points,
	       r->n_failed);
	st = store_sweep_each(r->db, r->sweep, print_row, &o);
	if (!st && (printf("\n  ]\n}\n") < 0 || fflush(stdout)))
		st = err_set(ST_FAIL, "cannot write to stdout: %m");
	return st;
}

/* ---- CSV ---- */

double sweep_row_gain(const json_t *row)
{
	const json_t *first = json_array_get(json_object_get(row, "baselines"),
					     0);

	return first ? number_of(first, "speedup") : NAN;
}

static const char *const layout_keys[] = { "ep", "esp", "tp", "dp", "pp" };

struct csv_out {
	const struct sweep_grid *grid;
	FILE *f;
};

/* RFC 4180: quotes where a field has commas, quotes or line ends. */
static void csv_text(FILE *f, const char *s)
{
	if (!strpbrk(s, ",\"\r\n")) {
		fputs(s, f);
		return;
	}
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"')
			putc('"', f);
		putc(*s, f);
	}
	putc('"', f);
}

static void csv_number(FILE *f, double v)
{
	if (isnan(v))
		putc(',', f);
	else
		fprintf(f, ",%.12g", v);
}

static void csv_value(FILE *f, const json_t *v)
{
	putc(',', f);
	if (json_is_number(v))
		fprintf(f, "%.12g", json_number_value(v));
	else
		csv_text(f, json_is_string(v) ? json_string_value(v) : "");
}

static void csv_plan(FILE *f, const json_t *row)
{
	const json_t *knobs = json_object_get(row, "knobs");
	const json_t *layout = json_object_get(knobs, "layout");
	struct buf techniques = { 0 };

	putc(',', f);
	csv_text(f, text_of(knobs, "alltoall"));
	csv_number(f, number_of(knobs, "degree_forward"));
	csv_number(f, number_of(knobs, "degree_backward"));
	csv_number(f, number_of(knobs, "capacity_factor"));
	for (int i = 0; i < 5; i++)
		csv_number(f, number_of(layout, layout_keys[i]));
	add_techniques(knobs, &techniques);
	putc(',', f);
	csv_text(f, buf_str(&techniques));
	csv_number(f, number_of(knobs, "ctas"));
	buf_release(&techniques);
}

static enum status csv_row(void *arg, int64_t point, const char *text)
{
	struct csv_out *o = arg;
	json_t *row;
	enum status st = sweep_row_parse((long)point, text, &row);

	if (st)
		return st;
	fprintf(o->f, "%lld", (long long)point);
	for (int i = 0; i < o->grid->n_axes; i++)
		csv_value(o->f, json_object_get(row, o->grid->axis[i].key));
	csv_number(o->f, number_of(row, "time_s"));
	csv_number(o->f, number_of(row, "tokens_per_s"));
	csv_number(o->f, sweep_row_gain(row));
	csv_number(o->f, number_of(row, "drop_fraction"));
	csv_number(o->f, number_of(row, "memory_bytes"));
	csv_plan(o->f, row);
	putc(',', o->f);
	csv_text(o->f, text_of(row, "reason"));
	putc('\n', o->f);
	json_decref(row);
	return ST_OK;
}

enum status sweep_write_csv(const struct sweep_run *r, const char *path)
{
	struct outfile f;
	struct csv_out o = { .grid = r->spec.grid };
	enum status st = outfile_open(&f, path);

	if (st)
		return st;
	o.f = f.stream;
	fputs("point", o.f);
	for (int i = 0; i < o.grid->n_axes; i++) {
		putc(',', o.f);
		csv_text(o.f, o.grid->axis[i].key);
	}
	fputs(",time_s,tokens_per_s,speedup_over_sequential,drop_fraction,"
	      "memory_bytes,alltoall,degree_forward,degree_backward,"
	      "capacity_factor,ep,esp,tp,dp,pp,techniques,ctas,"
	      "reason\n", o.f);
	st = store_sweep_each(r->db, r->sweep, csv_row, &o);
	if (st) {
		outfile_abort(&f);
		return st;
	}
	return outfile_commit(&f);
}

enum status sweep_write_dir(const struct sweep_run *r, const char *dir)
{
	struct buf text = { 0 };
	char *path = xasprintf("%s/sweep.txt", dir);
	enum status st = outfile_mkdir(dir);

	if (!st)
		st = sweep_print_table(r, &text);
	if (!st)
		st = outfile_write(path, text.s, text.len);
	free(path);
	path = xasprintf("%s/sweep.csv", dir);
	if (!st)
		st = sweep_write_csv(r, path);
	free(path);
	buf_release(&text);
	return st ? st : sweep_write_page(r, dir);
}
