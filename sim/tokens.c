/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tokens.h"
#include "sim/rng.h"

#include "base/mem.h"
#include "base/outfile.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void tokens_release(struct tokens *t)
{
	free(t->x);
	free(t->cluster);
	*t = (struct tokens){ 0 };
}

double tokens_cosine(const float *a, const float *b, int dim)
{
	double ab = 0, aa = 0, bb = 0;

	for (int i = 0; i < dim; i++) {
		ab += (double)a[i] * b[i];
		aa += (double)a[i] * a[i];
		bb += (double)b[i] * b[i];
	}
	return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* ---- synthetic ---- */

static enum status size_check(const char *subject, long long n, long long dim)
{
	if (n < 1 || n > TOKENS_MAX) {
		return err_set(ST_INPUT, "%s: %lld tokens are not in 1..%d",
			       subject, n, TOKENS_MAX);
	}
	if (dim < 1 || dim > TOKENS_DIM_MAX) {
		return err_set(ST_INPUT, "%s: %lld dimensions are not in 1..%d",
			       subject, dim, TOKENS_DIM_MAX);
	}
	if (n * dim > TOKENS_VALUES_MAX) {
		return err_set(ST_INPUT, "%s: %lld tokens of %lld dimensions "
			       "are more than %ld numbers", subject, n, dim,
			       TOKENS_VALUES_MAX);
	}
	return ST_OK;
}

static enum status share_check(const char *what, double v)
{
	if (v >= 0 && v <= 1) {
		return ST_OK;
	}
	return err_set(ST_INPUT, "synthetic tokens: %s '%g' is not in 0..1",
		       what, v);
}

static enum status spec_check(const struct tokens_spec *s)
{
	enum status st = size_check("synthetic tokens", s->n, s->dim);

	if (!st) {
		st = share_check("clustered share", s->clustered);
	}
	if (!st) {
		st = share_check("similarity", s->similarity);
	}
	if (!st && (s->clusters < 1 || s->clusters > s->n)) {
		st = err_set(ST_INPUT, "synthetic tokens: %d clusters are not "
			     "in 1..%d", s->clusters, s->n);
	}
	return st;
}

/* A direction drawn evenly from the sphere, orthogonal to `away` if any. */
static void direction(gsl_rng *rng, int dim, const double *away, double *v)
{
	double dot = 0, norm = 0;

	for (int i = 0; i < dim; i++) {
		v[i] = gsl_ran_ugaussian(rng);
		dot += away ? v[i] * away[i] : 0;
	}
	for (int i = 0; i < dim; i++) {
		v[i] -= away ? dot * away[i] : 0;
		norm += v[i] * v[i];
	}
	norm = norm > 0 ? sqrt(norm) : 1;	/* dim 1: nothing is left */
	for (int i = 0; i < dim; i++) {
		v[i] /= norm;
	}
}

static void token_make(const struct tokens_spec *s, const double *centre,
		       const double *own, float *x)
{
	double scale = sqrt(s->dim);
	double along = centre ? sqrt(s->similarity) : 0;
	double across = centre ? sqrt(1 - s->similarity) : 1;

	for (int i = 0; i < s->dim; i++) {
		double c = centre ? centre[i] : 0;

		x[i] = (float)(scale * (along * c + across * own[i]));
	}
}

enum status tokens_make(const struct tokens_spec *s, struct tokens *out)
{
	enum status st = spec_check(s);
	size_t dim = (size_t)s->dim;
	double *centre, *own;
	gsl_rng *rng;

	if (st) {
		return st;
	}
	rng = rng_new(s->seed, RNG_TOKENS);
	centre = xcalloc((size_t)s->clusters * dim, sizeof(*centre));
	own = xcalloc(dim, sizeof(*own));
	*out = (struct tokens){ .n = s->n, .dim = s->dim };
	out->x = xcalloc((size_t)s->n * dim, sizeof(*out->x));
	out->cluster = xcalloc((size_t)s->n, sizeof(*out->cluster));
	for (int c = 0; c < s->clusters; c++) {
		direction(rng, s->dim, NULL, centre + (size_t)c * dim);
	}
	for (int i = 0; i < s->n; i++) {
		bool in = gsl_rng_uniform(rng) < s->clustered;
		int c = in ? (int)gsl_rng_uniform_int(rng,
				(unsigned long)s->clusters) : -1;
		double *at = in ? centre + (size_t)c * dim : NULL;

		out->cluster[i] = c;
		direction(rng, s->dim, at, own);
		token_make(s, at, own, out->x + (size_t)i * dim);
	}
	free(own);
	free(centre);
	gsl_rng_free(rng);
	return ST_OK;
}

/* ---- files ---- */

static enum status read_raw(const char *path, const char *bytes, size_t len,
			    int dim, struct tokens *out)
{
	size_t row = (size_t)dim * sizeof(float);
	enum status st;

	if (len == 0 || len % row) {
		return err_set(ST_INPUT, "%s: %zu bytes are no whole number of "
			       "tokens of %d fp32 numbers", path, len, dim);
	}
	st = size_check(path, (long long)(len / row), dim);
	if (st) {
		return st;
	}
	*out = (struct tokens){ .n = (int)(len / row), .dim = dim };
	out->x = xmalloc(len);
	memcpy(out->x, bytes, len);
	for (size_t i = 0; i < len / sizeof(float); i++) {
		if (!isfinite(out->x[i])) {
			st = err_set(ST_INPUT, "%s: token %zu, number %zu is "
				     "not finite", path, i / (size_t)dim + 1,
				     i % (size_t)dim + 1);
			tokens_release(out);
			return st;
		}
	}
	return ST_OK;
}

struct reader {
	const char *path;
	int line;
	size_t cap, n_values;
	struct tokens t;
};

static enum status read_value(struct reader *r, char **at_p)
{
	char *end;
	float v = strtof(*at_p, &end);

	if (end == *at_p || !strchr(" \t,\r", *end) || !isfinite(v)) {
		int n = (int)strcspn(*at_p, " \t,\r");

		return err_set(ST_INPUT, "%s:%d: '%.*s' is not a finite number",
			       r->path, r->line, n > 40 ? 40 : n, *at_p);
	}
	if (r->n_values == (size_t)TOKENS_VALUES_MAX) {
		return err_set(ST_INPUT, "%s:%d: more than %ld numbers",
			       r->path, r->line, TOKENS_VALUES_MAX);
	}
	r->t.x = array_grow(r->t.x, &r->cap, r->n_values + 1, sizeof(v));
	r->t.x[r->n_values++] = v;
	*at_p = end;
	return ST_OK;
}

static enum status read_line(struct reader *r, char *line)
{
	size_t before = r->n_values;
	char *at = line + strspn(line, " \t,\r");

	while (*at) {
		enum status st = read_value(r, &at);

		if (st) {
			return st;
		}
		at += strspn(at, " \t,\r");
	}
	before = r->n_values - before;
	if (before == 0) {
		return ST_OK;
	}
	if (r->t.n > 0 && before != (size_t)r->t.dim) {
		return err_set(ST_INPUT, "%s:%d: %zu numbers, the first token "
			       "has %d", r->path, r->line, before, r->t.dim);
	}
	r->t.dim = before > TOKENS_DIM_MAX ? TOKENS_DIM_MAX + 1 : (int)before;
	r->t.n++;
	return size_check(r->path, r->t.n, r->t.dim);
}

static enum status read_text(const char *path, char *text, size_t len,
			     struct tokens *out)
{
	struct reader r = { .path = path };
	enum status st = ST_OK;
	char *next = text;

	if (memchr(text, 0, len)) {
		return err_set(ST_INPUT, "%s: is not text; raw fp32 needs its "
			       "dimension", path);
	}
	while (next && !st) {
		char *line = next;

		r.line++;
		next = strchr(line, '\n');
		if (next) {
			*next++ = 0;
		}
		line[strcspn(line, "#")] = 0;
		st = read_line(&r, line);
	}
	if (!st && r.t.n == 0) {
		st = err_set(ST_INPUT, "%s: no tokens", path);
	}
	if (st) {
		tokens_release(&r.t);
		return st;
	}
	*out = r.t;
	return ST_OK;
}

enum status tokens_read(const char *path, int dim, struct tokens *out)
{
	size_t most = (size_t)TOKENS_VALUES_MAX * sizeof(float);
	size_t len;
	char *text;
	enum status st;

	if (dim < 0 || dim > TOKENS_DIM_MAX) {
		return err_set(ST_INPUT, "%s: %d dimensions are not in 1..%d",
			       path, dim, TOKENS_DIM_MAX);
	}
	st = infile_read(path, most, &text, &len);
	if (st) {
		return st;
	}
	st = dim ? read_raw(path, text, len, dim, out) :
		read_text(path, text, len, out);
	free(text);
	return st;
}
