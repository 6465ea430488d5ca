/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/exec_live.h"

#include "base/mem.h"
#include "sim/fair.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* An exchange whose flows start and finish. */
struct member {
	const struct coll_step *s;
	double factor;
	int left;		/* flows that have not finished */
	int round, open;	/* rounds: which one; flows of it not done */
	int *next, *end;	/* window: flows of each source, [n_ranks] */
	double finish_s;
};

/* Which flow of which member a flow of the engine is. */
struct origin {
	int who, flow;
};

struct exec_live {
	const struct net *net;
	struct fair *fair;
	struct member member[EXEC_LIVE_MAX];
	struct origin *origin;
	size_t n_origins, cap_origins;
	int *done;		/* fair_start() may move the engine's list */
	size_t cap_done;
};

struct exec_live *exec_live_new(const struct net *net)
{
	struct exec_live *p = xcalloc(1, sizeof(*p));

	p->net = net;
	p->fair = fair_new(net->n_links, net->capacity_Bps, 0);
	return p;
}

static void member_release(struct member *m)
{
	free(m->next);
	free(m->end);
	m->next = m->end = NULL;
}

void exec_live_free(struct exec_live *p)
{
	int i;

	if (!p)
		return;
	for (i = 0; i < EXEC_LIVE_MAX; i++)
		member_release(&p->member[i]);
	fair_free(p->fair);
	free(p->origin);
	free(p->done);
	free(p);
}

bool exec_live_takes(const struct coll_step *s)
{
	return s->flow && s->n_flows > 0 && s->n_flows <= EXEC_LIVE_FLOWS_MAX;
}

static void start_flow(struct exec_live *p, int who, int i)
{
	const struct member *m = &p->member[who];
	const struct coll_flow *f = &m->s->flow[i];
	struct route r;
	int id;

	net_route(p->net, f->src, f->dst, &r);
	id = fair_start(p->fair, r.link, r.n, f->bytes * m->factor, INFINITY);
	assert((size_t)id == p->n_origins);
	p->origin = array_grow(p->origin, &p->cap_origins, p->n_origins + 1,
			       sizeof(*p->origin));
	p->origin[p->n_origins++] = (struct origin){ who, i };
}

/* The next round that has flows. */
static void start_round(struct exec_live *p, int who)
{
	struct member *m = &p->member[who];
	int i, begin, end;

	do {
		begin = m->s->round_begin[m->round++];
		end = m->s->round_begin[m->round];
	} while (begin == end);
	m->open = end - begin;
	for (i = begin; i < end; i++)
		start_flow(p, who, i);
}

static bool start_next(struct exec_live *p, int who, int source)
{
	struct member *m = &p->member[who];

	if (m->next[source] >= m->end[source])
		return false;
	start_flow(p, who, m->next[source]++);
	return true;
}

static void start_window(struct exec_live *p, int who)
{
	struct member *m = &p->member[who];
	size_t n = (size_t)p->net->n_ranks;
	int i, r;

	m->next = xcalloc(n, sizeof(*m->next));
	m->end = xcalloc(n, sizeof(*m->end));
	for (i = m->s->n_flows - 1; i >= 0; i--) {
		r = m->s->flow[i].src;
		if (!m->end[r])
			m->end[r] = i + 1;
		m->next[r] = i;
	}
	for (r = 0; r < p->net->n_ranks; r++) {
		for (i = 0; i < m->s->window; i++) {
			if (!start_next(p, who, r))
				break;
		}
	}
}

static void set_merge(struct exec_live *p)
{
	double merge = INFINITY;
	int i;

	for (i = 0; i < EXEC_LIVE_MAX; i++) {
		const struct member *m = &p->member[i];

		if (m->left > 0)
			merge = fmin(merge, m->factor * m->s->merge_s);
	}
	fair_set_merge(p->fair, isinf(merge) ? 0 : merge);
}

void exec_live_join(struct exec_live *p, int who, const struct coll_step *s,
		    double factor)
{
	struct member *m = &p->member[who];
	int i;

	assert(m->left == 0 && exec_live_takes(s) && factor > 0);
	member_release(m);
	*m = (struct member){ .s = s, .factor = factor, .left = s->n_flows };
	if (s->n_rounds > 0) {
		start_round(p, who);
	} else if (s->window > 0) {
		start_window(p, who);
	} else {
		for (i = 0; i < s->n_flows; i++)
			start_flow(p, who, i);
	}
	set_merge(p);
}

static void finish_flow(struct exec_live *p, int id)
{
	const struct origin o = p->origin[id];
	struct member *m = &p->member[o.who];

	m->finish_s = fmax(m->finish_s, fair_finish(p->fair, id));
	if (--m->left == 0)
		return;
	if (m->s->n_rounds > 0) {
		if (--m->open == 0)
			start_round(p, o.who);
	} else if (m->s->window > 0) {
		start_next(p, o.who, m->s->flow[o.flow].src);
	}
}

/* Returns the members that are done with these flows. */
static unsigned finish_flows(struct exec_live *p, const int *done, int n)
{
	unsigned set = 0;
	int i, who;

	p->done = array_grow(p->done, &p->cap_done, (size_t)n,
			     sizeof(*p->done));
	for (i = 0; i < n; i++)
		p->done[i] = done[i];
	for (i = 0; i < n; i++) {
		who = p->origin[p->done[i]].who;
		finish_flow(p, p->done[i]);
		if (!p->member[who].left)
			set |= 1u << who;
	}
	if (set)
		set_merge(p);
	return set;
}

unsigned exec_live_run(struct exec_live *p, double until_s, double *first_s)
{
	const int *done;
	unsigned set = 0;
	int n;

	while (!set) {
		*first_s = fair_peek(p->fair);
		if (isinf(*first_s) || *first_s > until_s)
			break;
		fair_next(p->fair, INFINITY, &done, &n);
		set = finish_flows(p, done, n);
	}
	if (!set && isfinite(until_s))
		fair_next(p->fair, until_s, &done, &n);
	return set;
}

bool exec_live_has(const struct exec_live *p, int who)
{
	return p->member[who].left > 0;
}

double exec_live_finish(const struct exec_live *p, int who)
{
	assert(p->member[who].s && !p->member[who].left);
	return p->member[who].finish_s;
}

double exec_live_link_bytes(const struct exec_live *p, int link)
{
	return fair_link_bytes(p->fair, link);
}
