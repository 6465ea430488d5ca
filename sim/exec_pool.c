/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/exec_pool.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Someone joins, or members are done. */
struct action {
	unsigned done;		/* set of members; 0: `who` joins */
	int who;
	const struct coll_step *s;
	double factor;
	/* joins: when; done: the first completion that merged with theirs */
	double at_s;
	double finish_s[EXEC_LIVE_MAX];	/* done */
};

struct session {
	struct action *a;
	size_t n, cap;
};

struct exec_pool {
	const struct net *net;
	struct session *old;	/* each went through the engine */
	size_t n_old, cap_old;
	struct session now;
	/*
	 * Without an engine, `now` is the beginning of old[guide], which says
	 * how it goes on.
	 */
	struct exec_live *live;
	size_t guide;
	double now_s;
	unsigned members;
	double finish_s[EXEC_LIVE_MAX];
	int solved;
};

struct exec_pool *exec_pool_new(const struct net *net)
{
	struct exec_pool *p = xcalloc(1, sizeof(*p));

	p->net = net;
	return p;
}

void exec_pool_free(struct exec_pool *p)
{
	size_t i;

	if (!p)
		return;
	for (i = 0; i < p->n_old; i++)
		free(p->old[i].a);
	free(p->old);
	free(p->now.a);
	exec_live_free(p->live);
	free(p);
}

void exec_pool_reset(struct exec_pool *p)
{
	assert(!p->members);
	if (p->live) {
		p->old = array_grow(p->old, &p->cap_old, p->n_old + 1,
				    sizeof(*p->old));
		p->old[p->n_old++] = p->now;
		p->now = (struct session){ 0 };
		exec_live_free(p->live);
		p->live = NULL;
	}
	p->now.n = 0;
	p->now_s = 0;
}

static void append(struct session *s, const struct action *a)
{
	s->a = array_grow(s->a, &s->cap, s->n + 1, sizeof(*s->a));
	s->a[s->n++] = *a;
}

/* Of members that are done the joins before say all. */
static bool same_action(const struct action *a, const struct action *b)
{
	return a->done == b->done && a->at_s == b->at_s &&
	       (a->done || (a->who == b->who && a->s == b->s &&
			    a->factor == b->factor));
}

static bool begins_with(const struct session *s, const struct session *head)
{
	size_t i;

	if (s->n < head->n)
		return false;
	for (i = 0; i < head->n; i++) {
		if (!same_action(&s->a[i], &head->a[i]))
			return false;
	}
	return true;
}

/* Does the old session say what happens up to until_s? */
static bool can_guide(const struct exec_pool *p, size_t i, double until_s)
{
	const struct session *s = &p->old[i];

	return begins_with(s, &p->now) && s->n > p->now.n &&
	       (s->a[p->now.n].done || until_s <= s->a[p->now.n].at_s);
}

static bool find_guide(struct exec_pool *p, double until_s)
{
	for (p->guide = 0; p->guide < p->n_old; p->guide++) {
		if (can_guide(p, p->guide, until_s))
			return true;
	}
	return false;
}

/* The engine as it would be had it run the session from its start. */
static void go_live(struct exec_pool *p)
{
	double first_s;
	size_t i;

	p->live = exec_live_new(p->net);
	p->solved++;
	for (i = 0; i < p->now.n; i++) {
		const struct action *a = &p->now.a[i];

		if (a->done) {
			unsigned set = exec_live_run(p->live, a->at_s,
						     &first_s);

			assert(set == a->done);
			(void)set;
		} else {
			exec_live_run(p->live, a->at_s, &first_s);
			exec_live_join(p->live, a->who, a->s, a->factor);
		}
	}
}

void exec_pool_join(struct exec_pool *p, int who, const struct coll_step *s,
		    double factor)
{
	const struct action a = { .who = who, .s = s, .factor = factor,
				  .at_s = p->now_s };

	assert(!(p->members & 1u << who));
	append(&p->now, &a);
	p->members |= 1u << who;
	if (p->live) {
		exec_live_join(p->live, who, s, factor);
		return;
	}
	if (!find_guide(p, p->now_s))
		go_live(p);
}

/* Members are done: as the engine or an earlier session says. */
static unsigned take_done(struct exec_pool *p, const struct action *a)
{
	int i;

	append(&p->now, a);
	p->members &= ~a->done;
	for (i = 0; i < EXEC_LIVE_MAX; i++) {
		if (!(a->done & 1u << i))
			continue;
		p->finish_s[i] = a->finish_s[i];
		p->now_s = fmax(p->now_s, a->finish_s[i]);
	}
	return a->done;
}

static unsigned run_live(struct exec_pool *p, double until_s)
{
	struct action a = { 0 };
	int i;

	a.done = exec_live_run(p->live, until_s, &a.at_s);
	if (!a.done) {
		if (isfinite(until_s))
			p->now_s = fmax(p->now_s, until_s);
		return 0;
	}
	for (i = 0; i < EXEC_LIVE_MAX; i++) {
		if (a.done & 1u << i)
			a.finish_s[i] = exec_live_finish(p->live, i);
	}
	return take_done(p, &a);
}

unsigned exec_pool_run(struct exec_pool *p, double until_s)
{
	const struct action *next;

	if (!p->members) {
		if (isfinite(until_s))
			p->now_s = fmax(p->now_s, until_s);
		return 0;
	}
	if (p->live)
		return run_live(p, until_s);
	if (!can_guide(p, p->guide, until_s) && !find_guide(p, until_s)) {
		go_live(p);
		return run_live(p, until_s);
	}
	next = &p->old[p->guide].a[p->now.n];
	if (next->done && next->at_s <= until_s)
		return take_done(p, next);
	p->now_s = fmax(p->now_s, until_s);
	return 0;
}

double exec_pool_now(const struct exec_pool *p)
{
	return p->now_s;
}

bool exec_pool_has(const struct exec_pool *p, int who)
{
	return p->members & 1u << who;
}

double exec_pool_finish(const struct exec_pool *p, int who)
{
	assert(!exec_pool_has(p, who));
	return p->finish_s[who];
}

int exec_pool_solved(const struct exec_pool *p)
{
	return p->solved;
}
