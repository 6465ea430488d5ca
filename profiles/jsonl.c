/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/jsonl.h"

#include "base/buf.h"
#include "base/mem.h"
#include "scenarios/sample_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND "samples"	/* of the keys */

/* Keys of the runs that the database has. */
struct known {
	char (*key)[STORE_KEY_MAX];	/* owned */
	size_t n, cap;
};

/* The run that is being read. */
struct loader {
	struct store *db;
	struct jsonl_result *out;
	struct known known;
	struct run_info info;
	int run_line;	/* 0: none yet */
	struct sample *sample;	/* owned */
	size_t n, cap;
};

static void skip(struct loader *l, int line, const char *why)
{
	struct jsonl_result *r = l->out;
	struct import_skip *s;

	r->skip = array_grow(r->skip, &r->cap_skips, r->n_skips + 1,
			     sizeof(*r->skip));
	s = &r->skip[r->n_skips++];
	s->line = line;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

void jsonl_result_release(struct jsonl_result *r)
{
	free(r->skip);
	memset(r, 0, sizeof(*r));
}

/* ---- the key: a hash of the canonical text ---- */

static void content_key(const struct run_info *info, const struct sample *s,
			size_t n, char key[STORE_KEY_MAX])
{
	struct buf b = { 0 };
	size_t i;

	sample_line_put_run(&b, info);
	for (i = 0; i < n; i++)
		sample_line_put(&b, &s[i]);
	store_key(KIND, b.s, b.len, key);
	buf_release(&b);
}

/*
 * Runs that were stored as they were measured have no key: they are known by
 * their content all the same. So the text of each run in the database is
 * gathered and hashed, when the next one starts.
 */
struct seeker {
	int64_t run;	/* whose text it is; 0: none */
	struct buf text;
	struct known *known;
};

static void seek_end(struct seeker *k)
{
	struct known *known = k->known;

	if (!k->run)
		return;
	known->key = array_grow(known->key, &known->cap, known->n + 1,
				sizeof(*known->key));
	store_key(KIND, k->text.s, k->text.len, known->key[known->n++]);
	buf_clear(&k->text);
}

static enum status seek_sample(void *arg, int64_t run,
			       const struct run_info *info,
			       const struct sample *s)
{
	struct seeker *k = arg;

	if (run != k->run) {
		seek_end(k);
		k->run = run;
		sample_line_put_run(&k->text, info);
	}
	sample_line_put(&k->text, s);
	return ST_OK;
}

static enum status seek_known(struct store *db, struct known *known)
{
	struct seeker k = { .known = known };
	enum status st = store_each(db, seek_sample, &k);

	if (!st)
		seek_end(&k);
	buf_release(&k.text);
	return st;
}

static bool is_known(const struct known *known, const char *key)
{
	size_t i;

	for (i = 0; i < known->n; i++) {
		if (!strcmp(known->key[i], key))
			return true;
	}
	return false;
}

/* ---- reading ---- */

static enum status finish_run(struct loader *l)
{
	char key[STORE_KEY_MAX];
	int64_t run = 0;
	enum status st = ST_OK;

	if (!l->run_line)
		return ST_OK;
	if (!l->n) {
		skip(l, l->run_line, "a run without samples");
		return ST_OK;
	}
	content_key(&l->info, l->sample, l->n, key);
	if (!is_known(&l->known, key))
		st = store_import(l->db, &l->info, key, l->sample, l->n, &run);
	if (st)
		return st;
	if (run) {
		l->out->runs++;
		l->out->samples += l->n;
	} else {
		l->out->runs_known++;
	}
	l->n = 0;
	return ST_OK;
}

static void add_sample(struct loader *l, int line, const struct sample *s)
{
	if (!l->run_line) {
		skip(l, line, "a sample before the first run");
		return;
	}
	l->sample = array_grow(l->sample, &l->cap, l->n + 1,
			       sizeof(*l->sample));
	l->sample[l->n++] = *s;
}

static bool is_blank(const char *text, size_t len)
{
	while (len && (*text == ' ' || *text == '\t' || *text == '\r')) {
		text++;
		len--;
	}
	return !len;
}

static enum status read_line(struct loader *l, int line, const char *text,
			     size_t len)
{
	struct sample_line s;
	enum status st;

	if (is_blank(text, len))
		return ST_OK;
	if (sample_line_parse(text, len, &s)) {
		skip(l, line, err_msg());
		err_clear();
		return ST_OK;
	}
	if (s.kind == SAMPLE_LINE_SAMPLE) {
		add_sample(l, line, &s.sample);
	} else if (s.kind == SAMPLE_LINE_RUN) {
		st = finish_run(l);
		if (st)
			return st;
		l->info = s.run;
		l->run_line = line;
	}
	return ST_OK;
}

static enum status read_lines(struct loader *l, const char *text, size_t len)
{
	const char *end = text + len, *eol;
	enum status st = ST_OK;
	int line = 0;

	while (!st && text < end) {
		eol = memchr(text, '\n', (size_t)(end - text));
		if (!eol)
			eol = end;
		st = read_line(l, ++line, text, (size_t)(eol - text));
		text = eol + 1;
	}
	return st ? st : finish_run(l);
}

enum status store_load_jsonl(struct store *db, const char *name,
			     const char *text, size_t len,
			     struct jsonl_result *out)
{
	struct jsonl_result r = { 0 };
	struct loader l = { .db = db, .out = &r };
	enum status st = seek_known(db, &l.known);

	if (!st)
		st = read_lines(&l, text, len);
	free(l.sample);
	free(l.known.key);
	if (!st && !r.runs && !r.runs_known)
		st = err_set(ST_INPUT, "'%s' has no run with samples%s%s",
			     name, r.n_skips ? ": " : "",
			     r.n_skips ? r.skip[0].why : "");
	if (st)
		jsonl_result_release(&r);
	else
		*out = r;
	return st;
}

/* ---- writing ---- */

struct saver {
	struct buf *out;
	int64_t run;
};

static enum status save_sample(void *arg, int64_t run,
			       const struct run_info *info,
			       const struct sample *s)
{
	struct saver *v = arg;

	if (run != v->run)
		sample_line_put_run(v->out, info);
	v->run = run;
	sample_line_put(v->out, s);
	return ST_OK;
}

enum status store_save_jsonl(struct store *db, struct buf *out)
{
	struct saver v = { .out = out };

	return store_each(db, save_sample, &v);
}
