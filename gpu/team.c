/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/team.h"

#include "base/mem.h"
#include "gpu/layer_ref.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum request_kind {
	REQ_ID, REQ_PREPARE, REQ_RUN, REQ_CHECK, REQ_RELEASE,
	REQ_LAYER_ID, REQ_LAYER_PREPARE, REQ_LAYER_RUN, REQ_LAYER_CHECK,
	REQ_LAYER_RELEASE,
	REQ_END
};

struct request {
	enum request_kind kind;
	int n;			/* REQ_RUN */
	struct bench_case c;	/* REQ_ID, REQ_PREPARE */
	unsigned char id[TEAM_ID_BYTES];
	/* REQ_LAYER_PREPARE: bytes of layer_case_text() that follow */
	size_t text;
};

/* After a REQ_RUN or REQ_LAYER_RUN that went well: 2 * n doubles. */
struct reply {
	enum status st;
	char message[512];
	unsigned char id[TEAM_ID_BYTES];
	int64_t wrong;
	struct layer_check layer;
	/* of the first, unasked reply; texts in it are of another process */
	struct backend_info info;
};

struct team {
	struct team_link link;
};

/* ---- a member ---- */

static bool is_run(enum request_kind kind)
{
	return kind == REQ_RUN || kind == REQ_LAYER_RUN;
}

static enum status prepare_layer(const struct team_part *part,
				 struct backend *b, const struct request *q,
				 const char *text)
{
	struct layer_case c;
	enum status st = layer_case_parse(text, q->text, &c);

	if (st)
		return st;
	st = part->layer_prepare(b, &c, q->id);
	layer_case_release(&c);
	return st;
}

static enum status serve_layer(const struct team_part *part,
			       struct backend *b, const struct request *q,
			       const char *text, struct reply *p,
			       double *seconds)
{
	switch (q->kind) {
	case REQ_LAYER_ID:
		return part->layer_id(b, p->id);
	case REQ_LAYER_PREPARE:
		return prepare_layer(part, b, q, text);
	case REQ_LAYER_RUN:
		return part->layer_run(b, q->n, seconds, seconds + q->n);
	case REQ_LAYER_CHECK:
		return part->layer_check(b, &p->layer);
	default:
		part->layer_release(b);
		return ST_OK;
	}
}

static enum status serve(const struct team_part *part, struct backend *b,
			 const struct request *q, const char *text,
			 struct reply *p, double *seconds)
{
	switch (q->kind) {
	case REQ_ID:
		return part->ids ? part->ids(b, &q->c, p->id) : ST_OK;
	case REQ_PREPARE:
		return part->prepare(b, &q->c, q->id);
	case REQ_RUN:
		return part->run(b, q->n, seconds, seconds + q->n);
	case REQ_CHECK:
		return part->check(b, &p->wrong);
	case REQ_RELEASE:
		part->release(b);
		return ST_OK;
	default:
		return serve_layer(part, b, q, text, p, seconds);
	}
}

/* A request and its text, the caller's to free; false: there is none. */
static bool next_request(const struct team_link *to, struct request *q,
			 char **text_p)
{
	free(*text_p);
	*text_p = NULL;
	if (!to->get(to->arg, 0, q, sizeof(*q)) || q->kind == REQ_END)
		return false;
	*text_p = xmalloc(q->text + 1);
	return !q->text || to->get(to->arg, 0, *text_p, q->text);
}

static bool answer(const struct team_link *to, struct reply *p,
		   enum status st)
{
	p->st = st;
	snprintf(p->message, sizeof(p->message), "%s", st ? err_msg() : "");
	return to->put(to->arg, 0, p, sizeof(*p));
}

static void serve_all(const struct team_link *to, const struct team_part *part,
		      struct backend *b, struct reply *p)
{
	struct request q;
	double *seconds = NULL;
	char *text = NULL;
	enum status st;
	size_t n;

	while (next_request(to, &q, &text)) {
		memset(p, 0, sizeof(*p));
		n = is_run(q.kind) ? 2 * (size_t)q.n : 0;
		free(seconds);
		seconds = xcalloc(n + 1, sizeof(*seconds));
		st = serve(part, b, &q, text, p, seconds);
		if (!answer(to, p, st))
			break;
		if (!st && n && !to->put(to->arg, 0, seconds,
					 n * sizeof(*seconds)))
			break;
	}
	free(text);
	free(seconds);
}

void team_serve(const struct team_link *to, const struct team_part *part,
		const struct backend_options *opt,
		const struct team_place *at)
{
	struct reply *p = xcalloc(1, sizeof(*p));
	struct backend *b = NULL;
	enum status st = part->open(opt, at, &b);

	if (!st)
		part->info(b, &p->info);
	if (answer(to, p, st) && !st)
		serve_all(to, part, b, p);
	if (!st)
		part->close(b);
	free(p);
}

/* ---- the coordinator ---- */

void team_kill(struct team *t)
{
	t->link.kill(t->link.arg);
}

static enum status died(int member)
{
	return err_set(ST_FAIL, "the process of node %d died", member);
}

static enum status read_reply(struct team *t, int i, struct reply *p)
{
	if (!t->link.get(t->link.arg, i, p, sizeof(*p)))
		return died(i);
	p->message[sizeof(p->message) - 1] = '\0';
	return p->st ? err_set(p->st, "node %d: %s", i, p->message) : ST_OK;
}

/* Replies in the order in which they come, so that the first failure is
 * seen while the others still wait for that member. */
static enum status gather(struct team *t, struct reply *reply)
{
	bool wanted[TEAM_MEMBERS_MAX];
	enum status st = ST_OK;
	int left = t->link.members, i;

	for (i = 0; i < left; i++)
		wanted[i] = true;
	for (; left > 0 && !st; left--) {
		i = t->link.wait(t->link.arg, wanted);
		if (i < 0)
			return err_set(ST_FAIL, "poll: %m");
		st = read_reply(t, i, &reply[i]);
		wanted[i] = false;
	}
	if (st)
		team_kill(t);
	return st;
}

static enum status ask_with(struct team *t, const struct request *q,
			    const char *text, struct reply *reply)
{
	int i;

	for (i = 0; i < t->link.members; i++) {
		if (!t->link.put(t->link.arg, i, q, sizeof(*q)) ||
		    (q->text && !t->link.put(t->link.arg, i, text, q->text))) {
			team_kill(t);
			return died(i);
		}
	}
	return gather(t, reply);
}

static enum status ask(struct team *t, const struct request *q,
		       struct reply *reply)
{
	return ask_with(t, q, NULL, reply);
}

static struct reply *replies(const struct team *t)
{
	return xcalloc((size_t)t->link.members, sizeof(struct reply));
}

enum status team_open(const struct team_link *link, struct backend_info *info,
		      struct team **out_p)
{
	struct team *t = xcalloc(1, sizeof(*t));
	struct reply *reply;
	enum status st;
	int i;

	t->link = *link;
	reply = replies(t);
	st = gather(t, reply);
	if (st) {
		link->close(link->arg);
		free(t);
	} else {
		*info = reply[0].info;
		for (i = 1; i < link->members; i++) {
			if (reply[i].info.max_bytes < info->max_bytes)
				info->max_bytes = reply[i].info.max_bytes;
		}
		*out_p = t;
	}
	free(reply);
	return st;
}

/* A member ends by itself when it is told to or its link closes; one that
 * hangs after a failure has been killed before. */
void team_close(struct team *t)
{
	const struct request q = { .kind = REQ_END };
	int i;

	if (!t)
		return;
	for (i = 0; i < t->link.members; i++)
		(void)t->link.put(t->link.arg, i, &q, sizeof(q));
	t->link.close(t->link.arg);
	free(t);
}

/* Made by the first member, where its listener lives; into q->id. */
static enum status ask_id(struct team *t, struct request *q,
			  struct reply *reply)
{
	enum status st;

	if (!t->link.put(t->link.arg, 0, q, sizeof(*q)))
		st = died(0);
	else
		st = read_reply(t, 0, reply);
	if (st)
		team_kill(t);
	memcpy(q->id, reply->id, sizeof(q->id));
	return st;
}

enum status team_prepare(struct team *t, const struct bench_case *c)
{
	struct reply *reply = replies(t);
	struct request q = { .kind = REQ_ID, .c = *c };
	enum status st = ask_id(t, &q, reply);

	q.kind = REQ_PREPARE;
	if (!st)
		st = ask(t, &q, reply);
	free(reply);
	return st;
}

/* Of the slowest member; `other` may be NULL. */
static enum status ask_times(struct team *t, enum request_kind kind, int n,
			     double *seconds, double *other)
{
	size_t bytes = 2 * (size_t)n * sizeof(double);
	struct reply *reply = replies(t);
	double *part = xcalloc(2 * (size_t)n, sizeof(*part));
	struct request q = { .kind = kind, .n = n };
	enum status st = ask(t, &q, reply);
	int i, j;

	for (i = 0; i < t->link.members && !st; i++) {
		if (!t->link.get(t->link.arg, i, part, bytes))
			st = died(i);
		for (j = 0; j < n && !st; j++) {
			if (!i || part[j] > seconds[j])
				seconds[j] = part[j];
			if (other && (!i || part[n + j] > other[j]))
				other[j] = part[n + j];
		}
	}
	free(part);
	free(reply);
	return st;
}

enum status team_run(struct team *t, int n, double *seconds, double *beside_s)
{
	return ask_times(t, REQ_RUN, n, seconds, beside_s);
}

enum status team_check(struct team *t, int64_t *wrong_p)
{
	struct reply *reply = replies(t);
	struct request q = { .kind = REQ_CHECK };
	enum status st = ask(t, &q, reply);
	int i;

	if (!st) {
		*wrong_p = 0;
		for (i = 0; i < t->link.members; i++)
			*wrong_p += reply[i].wrong;
	}
	free(reply);
	return st;
}

void team_release(struct team *t)
{
	struct reply *reply = replies(t);
	struct request q = { .kind = REQ_RELEASE };

	(void)ask(t, &q, reply);
	free(reply);
}

enum status team_layer_prepare(struct team *t, const struct layer_case *c)
{
	struct reply *reply = replies(t);
	struct request q = { .kind = REQ_LAYER_ID };
	enum status st = ask_id(t, &q, reply);
	char *text = layer_case_text(c);

	q.kind = REQ_LAYER_PREPARE;
	q.text = strlen(text);
	if (!st)
		st = ask_with(t, &q, text, reply);
	free(text);
	free(reply);
	return st;
}

enum status team_layer_run(struct team *t, int n, double *forward_s,
			   double *step_s)
{
	return ask_times(t, REQ_LAYER_RUN, n, forward_s, step_s);
}

enum status team_layer_check(struct team *t, struct layer_check *out)
{
	struct reply *reply = replies(t);
	struct request q = { .kind = REQ_LAYER_CHECK };
	enum status st = ask(t, &q, reply);
	int i;

	if (!st) {
		*out = reply[0].layer;
		for (i = 1; i < t->link.members; i++)
			layer_check_join(out, &reply[i].layer);
	}
	free(reply);
	return st;
}

void team_layer_release(struct team *t)
{
	struct reply *reply = replies(t);
	struct request q = { .kind = REQ_LAYER_RELEASE };

	(void)ask(t, &q, reply);
	free(reply);
}
