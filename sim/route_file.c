/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Measured routing: expert counts ("domain,layer_slot,expert,count") and
 * token traces ("token,layer,e0,e1,...[,p0,p1,...]").
 */
#include "sim/csv.h"
#include "sim/route_int.h"

#include <stdlib.h>
#include <string.h>

#define FILE_KEY "routing.file"
#define INDEX_MAX 1048575	/* tokens aside, no id is larger */
#define COUNT_MAX 1000000000000000	/* sums stay exact in a double */
#define GROUPS_MAX 4096		/* domain and layer pairs in one file */
#define PAIR_MIN 2		/* columns before the experts of a trace */

/* The experts of one domain and layer that the file has named. */
struct group {
	char *domain;
	int layer, seen;
	char *has;	/* [experts] */
};

struct counts {
	struct csv csv;
	const struct routing_spec *spec;
	const struct model *model;
	double *p;
	struct group *group;
	size_t n_groups, cap;
	long long top;		/* largest expert */
	double sum;
	int domain_found;
};

static enum status wrong_columns(const struct csv *c, int want)
{
	return err_set(ST_INPUT, "%s:%ld: %d columns where the header has %d",
		       c->path, c->line, c->n_fields, want);
}

static enum status counts_header(struct counts *s)
{
	static const char *const names[] = { "domain", "layer_slot", "expert",
					     "count" };
	enum status st = csv_next(&s->csv);
	int i, ok = s->csv.n_fields == 4;

	for (i = 0; !st && ok && i < 4; i++) {
		ok = !strcmp(s->csv.field[i], names[i]);
	}
	if (!st && !ok) {
		st = err_set(ST_INPUT, "%s:%ld: the header is not 'domain,"
			     "layer_slot,expert,count'", s->csv.path,
			     s->csv.line);
	}
	return st;
}

static enum status group_find(struct counts *s, const char *domain, int layer,
			      struct group **out)
{
	struct group *g;
	size_t i;

	for (i = s->n_groups; i-- > 0;) {	/* mostly the last one */
		g = &s->group[i];
		if (g->layer == layer && !strcmp(g->domain, domain)) {
			*out = g;
			return ST_OK;
		}
	}
	if (s->n_groups == GROUPS_MAX) {
		return err_set(ST_INPUT, "%s:%ld: more than %d pairs of domain "
			       "and layer", s->csv.path, s->csv.line,
			       GROUPS_MAX);
	}
	s->group = array_grow(s->group, &s->cap, s->n_groups + 1,
			      sizeof(*s->group));
	g = &s->group[s->n_groups++];
	*g = (struct group){ xstrdup(domain), layer, 0,
			     xcalloc((size_t)s->model->experts, 1) };
	*out = g;
	return ST_OK;
}

static enum status counts_add(struct counts *s, struct group *g, int expert,
			      double count)
{
	const struct routing_spec *spec = s->spec;

	if (g->has[expert]) {
		return err_set(ST_INPUT, "%s:%ld: expert '%d' of domain "
			       "'%.40s', layer %d, is there twice",
			       s->csv.path, s->csv.line, expert, g->domain,
			       g->layer);
	}
	g->has[expert] = 1;
	g->seen++;
	if (spec->domain && strcmp(spec->domain, g->domain)) {
		return ST_OK;
	}
	s->domain_found = 1;
	if (spec->layer < 0 || spec->layer == g->layer) {
		s->p[expert] += count;
		s->sum += count;
	}
	return ST_OK;
}

static enum status counts_row(struct counts *s)
{
	const struct csv *c = &s->csv;
	long long layer, expert, count;
	struct group *g = NULL;
	enum status st;

	if (c->n_fields != 4) {
		return wrong_columns(c, 4);
	}
	if ((st = csv_int(c, 1, "layer_slot", INDEX_MAX, &layer)) ||
	    (st = csv_int(c, 2, "expert", INDEX_MAX, &expert)) ||
	    (st = csv_int(c, 3, "count", COUNT_MAX, &count))) {
		return st;
	}
	if (expert > s->top) {
		s->top = expert;
	}
	if (expert >= s->model->experts) {
		return ST_OK;	/* counts_check() compares the numbers */
	}
	st = group_find(s, c->field[0], (int)layer, &g);
	return st ? st : counts_add(s, g, (int)expert, (double)count);
}

static enum status counts_check(const struct counts *s)
{
	const char *path = s->csv.path, *domain = s->spec->domain;
	int experts = s->model->experts;
	size_t i;

	if (s->top < 0) {
		return err_set(ST_INPUT, "%s: no rows after the header", path);
	}
	if (s->top + 1 != experts) {
		return err_set(ST_INPUT, "%s: counts of %lld experts, but the "
			       "model '%s' has %d", path, s->top + 1,
			       s->model->name, experts);
	}
	for (i = 0; i < s->n_groups; i++) {
		if (s->group[i].seen != experts) {
			return err_set(ST_INPUT, "%s: domain '%.40s', layer %d: "
				       "%d of %d experts", path,
				       s->group[i].domain, s->group[i].layer,
				       s->group[i].seen, experts);
		}
	}
	if (domain && !s->domain_found) {
		return err_set(ST_INPUT, "routing.domain: '%.60s' is not in "
			       "'%s'; the first there is '%.40s'", domain, path,
			       s->group[0].domain);
	}
	if (!(s->sum > 0)) {
		return err_set(ST_INPUT, "routing.layer: no counts above 0 for "
			       "layer '%d' in '%s'", s->spec->layer, path);
	}
	return ST_OK;
}

static void counts_release(struct counts *s)
{
	size_t i;

	for (i = 0; i < s->n_groups; i++) {
		free(s->group[i].domain);
		free(s->group[i].has);
	}
	free(s->group);
	csv_close(&s->csv);
	free(s);
}

enum status route_read_counts(const struct routing_spec *spec,
			      const struct model *m, double *p)
{
	struct counts *s = xcalloc(1, sizeof(*s));
	enum status st = csv_open(&s->csv, FILE_KEY, spec->file);
	int i;

	s->spec = spec;
	s->model = m;
	s->p = p;
	s->top = -1;
	for (i = 0; i < m->experts; i++) {
		p[i] = 0;
	}
	if (!st) {
		st = counts_header(s);
	}
	while (!st && !(st = csv_next(&s->csv)) && s->csv.n_fields) {
		st = counts_row(s);
	}
	if (!st) {
		st = counts_check(s);
	}
	for (i = 0; !st && i < m->experts; i++) {
		p[i] /= s->sum;
	}
	counts_release(s);
	return st;
}

struct trace {
	struct csv csv;
	const struct model *model;
	int layer;	/* -1 until the first row chooses */
	int k, columns;
	int said;	/* experts, by the file's comments; 0: not said */
	int *expert;	/* [n * k] */
	size_t n, cap;
};

/* "... 24 layers, 32 experts, top-4": the number before "experts". */
static void trace_comment(void *arg, const char *text)
{
	const char *at = strstr(text, " experts");
	struct trace *t = arg;
	long n;

	if (!at || t->said) {
		return;
	}
	while (at > text && at[-1] >= '0' && at[-1] <= '9') {
		at--;
	}
	n = strtol(at, NULL, 10);
	t->said = n > 0 && n <= INDEX_MAX ? (int)n : 0;
}

/* Columns "e0", "e1", ... from column `at` on: how many. */
static int count_names(const struct csv *c, int at, char letter)
{
	char name[16];
	int n;

	for (n = 0; at + n < c->n_fields; n++) {
		snprintf(name, sizeof(name), "%c%d", letter, n);
		if (strcmp(c->field[at + n], name)) {
			break;
		}
	}
	return n;
}

static enum status trace_header(struct trace *t)
{
	const struct csv *c = &t->csv;
	enum status st = csv_next(&t->csv);
	int weights;

	if (st) {
		return st;
	}
	if (c->n_fields <= PAIR_MIN || strcmp(c->field[0], "token") ||
	    strcmp(c->field[1], "layer")) {
		return err_set(ST_INPUT, "%s:%ld: the header does not start "
			       "with 'token,layer,e0'", c->path, c->line);
	}
	t->k = count_names(c, PAIR_MIN, 'e');
	weights = count_names(c, PAIR_MIN + t->k, 'p');
	t->columns = PAIR_MIN + t->k + weights;
	if (t->columns != c->n_fields || (weights && weights != t->k)) {
		return err_set(ST_INPUT, "%s:%ld: column '%.40s' where 'e0,e1,"
			       "...' and as many 'p0,p1,...' are expected",
			       c->path, c->line, c->field[c->n_fields - 1]);
	}
	if (t->model->experts_per_token > 0 &&
	    t->k != t->model->experts_per_token) {
		return err_set(ST_INPUT, "%s:%ld: %d experts per token, but "
			       "the model '%s' has %d", c->path, c->line, t->k,
			       t->model->name, t->model->experts_per_token);
	}
	if (t->said && t->model->experts > 0 &&
	    t->said != t->model->experts) {
		return err_set(ST_INPUT, "%s: a trace of %d experts, but the "
			       "model '%s' has %d", c->path, t->said,
			       t->model->name, t->model->experts);
	}
	return ST_OK;
}

static enum status trace_experts(struct trace *t, int *expert)
{
	const struct csv *c = &t->csv;
	enum status st;
	long long v;
	int i, j;

	for (i = 0; i < t->k; i++) {
		st = csv_int(c, PAIR_MIN + i, "expert", t->model->experts - 1,
			     &v);
		if (st) {
			return st;
		}
		expert[i] = (int)v;
		for (j = 0; j < i; j++) {
			if (expert[j] == expert[i]) {
				return err_set(ST_INPUT, "%s:%ld: expert '%d' "
					       "is there twice", c->path,
					       c->line, expert[i]);
			}
		}
	}
	for (i = PAIR_MIN + t->k; i < t->columns; i++) {
		st = csv_real(c, i, "probability", 1);
		if (st) {
			return st;
		}
	}
	return ST_OK;
}

static enum status trace_row(struct trace *t)
{
	const struct csv *c = &t->csv;
	long long token, layer;
	size_t at = t->n * (size_t)t->k;
	enum status st;

	if (c->n_fields != t->columns) {
		return wrong_columns(c, t->columns);
	}
	if ((st = csv_int(c, 0, "token", COUNT_MAX, &token)) ||
	    (st = csv_int(c, 1, "layer", INDEX_MAX, &layer))) {
		return st;
	}
	if (t->layer < 0) {
		t->layer = (int)layer;
	}
	t->expert = array_grow(t->expert, &t->cap, at + (size_t)t->k,
			       sizeof(*t->expert));
	st = trace_experts(t, t->expert + at);
	t->n += !st && layer == t->layer;
	return st;
}

enum status route_read_trace(const struct routing_spec *spec,
			     const struct model *m, struct routing *r)
{
	struct trace *t = xcalloc(1, sizeof(*t));
	enum status st = csv_open(&t->csv, FILE_KEY, spec->file);

	t->model = m;
	t->layer = spec->layer;
	t->csv.comment = trace_comment;
	t->csv.arg = t;
	if (!st) {
		st = trace_header(t);
	}
	while (!st && !(st = csv_next(&t->csv)) && t->csv.n_fields) {
		st = trace_row(t);
	}
	if (!st && !t->n) {
		st = err_set(ST_INPUT, "%s: no tokens%s", spec->file,
			     t->cap ? " of the layer that routing.layer names"
			     : " after the header");
	}
	if (!st) {
		r->trace = t->expert;
		r->n_trace = (int64_t)t->n;
		t->expert = NULL;
	}
	csv_close(&t->csv);
	free(t->expert);
	free(t);
	return st;
}

/* ---- a file on its own ---- */

/* Rows, and the largest expert; the second walk checks the rest. */
static enum status counts_scan(const struct routing_spec *spec,
			       struct model *m, struct route_file *out)
{
	struct counts *s = xcalloc(1, sizeof(*s));
	enum status st = csv_open(&s->csv, FILE_KEY, spec->file);
	double *p;

	s->spec = spec;
	s->model = m;	/* of no expert yet */
	s->top = -1;
	if (!st) {
		st = counts_header(s);
	}
	while (!st && !(st = csv_next(&s->csv)) && s->csv.n_fields) {
		st = counts_row(s);
		out->rows++;
	}
	m->experts = s->top < 0 ? 1 : (int)s->top + 1;
	counts_release(s);
	if (st) {
		return st;
	}
	p = xcalloc((size_t)m->experts, sizeof(*p));
	st = route_read_counts(spec, m, p);
	free(p);
	return st;
}

static enum status trace_scan(const struct routing_spec *spec,
			      struct model *m, struct route_file *out)
{
	struct trace *t = xcalloc(1, sizeof(*t));
	enum status st = csv_open(&t->csv, FILE_KEY, spec->file);

	t->model = m;	/* of no expert yet */
	t->layer = -1;
	t->csv.comment = trace_comment;
	t->csv.arg = t;
	if (!st) {
		st = trace_header(t);
	}
	m->experts = t->said ? t->said : INDEX_MAX + 1;
	m->experts_per_token = t->k;
	while (!st && !(st = csv_next(&t->csv)) && t->csv.n_fields) {
		st = trace_row(t);
		out->rows++;
	}
	if (!st && !t->n) {
		st = err_set(ST_INPUT, "%s: no tokens after the header",
			     spec->file);
	}
	m->experts = t->said;
	csv_close(&t->csv);
	free(t->expert);
	free(t);
	return st;
}

enum status route_file_scan(enum routing_kind kind, const char *path,
			    struct route_file *out)
{
	struct routing_spec spec = { .kind = kind, .layer = -1 };
	struct model m = { .name = "" };
	enum status st;

	*out = (struct route_file){ 0 };
	spec.file = xstrdup(path);
	st = kind == ROUTING_COUNTS ? counts_scan(&spec, &m, out) :
				      trace_scan(&spec, &m, out);
	free(spec.file);
	out->experts = m.experts;
	out->k = m.experts_per_token;
	return st;
}
