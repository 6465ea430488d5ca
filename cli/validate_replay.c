/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recorded rows (JSON lines as of `moecast db --save`), foretold afresh. */
#include "cli/validate.h"

#include "base/buf.h"
#include "base/mem.h"
#include "profiles/jsonl.h"

#include "base/outfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_MAX (256u << 20)	/* bytes of the file */

struct replay {
	const struct validate *v;
	struct contests *all;
	size_t skipped;		/* rows that no line describes */
	char why[256];		/* the first of them */
};

static struct contest *find_contest(const struct contests *all,
				    const char *line)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		if (!strcmp(all->c[i]->line, line))
			return all->c[i];
	}
	return NULL;
}

/* On failure the list is as before. */
static enum status open_contest(struct replay *r, const char *line,
				struct contest **out_p)
{
	struct contest *c = find_contest(r->all, line);
	enum status st;

	if (!c) {
		c = contests_add(r->all);
		snprintf(c->line, sizeof(c->line), "%s", line);
		st = layer_text_scenario(line, r->v->common.sets,
					 r->v->common.n_sets, &c->s, c->tier);
		if (st) {
			free(c);
			r->all->n--;
			return st;
		}
		st = contest_costs(r->v, r->all, c);
		if (st)
			return st;
	}
	*out_p = c;
	return ST_OK;
}

static struct trial *find_trial(struct contest *c, const struct plan *p)
{
	struct trial *t = contest_add(c, p, "recorded");
	struct buf want = { 0 }, have = { 0 };
	size_t i;

	if (t)
		return t;
	plan_print(p, &want);
	for (i = 0; i < c->n; i++) {
		buf_clear(&have);
		plan_print(&c->trial[i].plan, &have);
		t = &c->trial[i];
		if (!strcmp(buf_str(&have), buf_str(&want)))
			break;
	}
	buf_release(&want);
	buf_release(&have);
	return t;
}

/* Of rows that are there twice the newer one counts. */
static enum status take_row(struct replay *r, const struct sample *s)
{
	struct contest *c;
	struct plan p;
	struct trial *t;
	enum status st = plan_parse(s->plan, &p);

	if (!st)
		st = open_contest(r, s->layer, &c);
	if (!st)
		st = layout_check(&p.layout, &c->s.cluster, &c->s.model);
	if (st)
		return st;
	t = find_trial(c, &p);
	if (!strcmp(s->variant, "step"))
		t->measured_step_s = s->median_s;
	else
		t->measured_forward_s = s->median_s;
	if (s->wrong > t->wrong)
		t->wrong = s->wrong;
	return ST_OK;
}

static enum status on_sample(void *arg, int64_t run,
			     const struct run_info *info,
			     const struct sample *s)
{
	struct replay *r = arg;
	enum status st;

	(void)run;
	(void)info;
	if (strcmp(s->op, "layer") != 0)
		return ST_OK;
	st = take_row(r, s);
	if (st != ST_INPUT)
		return st;
	if (!r->skipped++)
		snprintf(r->why, sizeof(r->why), "%s", err_msg());
	err_clear();
	return ST_OK;
}

static enum status load(const char *path, struct store *db)
{
	struct jsonl_result r = { 0 };
	char *text;
	size_t len, i;
	enum status st = infile_read(path, REPLAY_MAX, &text, &len);

	if (st)
		return st;
	st = store_load_jsonl(db, path, text, len, &r);
	for (i = 0; !st && i < r.n_skips; i++)
		cli_warn("%s:%d: skipped: %s", path, r.skip[i].line,
			 r.skip[i].why);
	jsonl_result_release(&r);
	free(text);
	return st;
}

enum status validate_rows(const struct validate *v, struct store *db,
			  const char *name, struct contests *all)
{
	struct replay r = { .v = v, .all = all };
	enum status st = store_each(db, on_sample, &r);
	size_t i;

	if (!st && r.skipped)
		cli_warn("%zu layers of '%s' cannot be foretold, the first: "
			 "%s", r.skipped, name, r.why);
	for (i = 0; i < all->n && !st; i++)
		st = contest_foretell(all->c[i]);
	return st;
}

enum status validate_replay(const struct validate *v, struct contests *all)
{
	struct store *db = NULL;
	enum status st = store_open(STORE_MEMORY, STORE_WRITE, &db);

	if (!st)
		st = load(v->replay, db);
	if (!st)
		st = validate_rows(v, db, v->replay, all);
	store_close(db);
	if (!st && !all->n)
		st = err_set(ST_INPUT, "'%s' has no layer that can be "
			     "foretold", v->replay);
	return st;
}
