/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long the flows of a step take, one by one. */
#include "sim/coll_int.h"

#include "base/mem.h"
#include "sim/coll_mirror.h"
#include "sim/fair.h"

#include <math.h>
#include <stdlib.h>

struct problem {
	int64_t *start;
	int32_t *route;
	double *bytes, *finish, *begin;
};

static void problem_fill(const struct coll_view *v,
			 const struct coll_flow *f, size_t n,
			 struct problem *q)
{
	size_t cap = 0, used = 0, i;
	struct route r;
	int k;

	*q = (struct problem){ xcalloc(n + 1, sizeof(*q->start)), NULL,
			       xcalloc(n, sizeof(double)),
			       xcalloc(n, sizeof(double)),
			       xcalloc(n, sizeof(double)) };
	for (i = 0; i < n; i++) {
		coll_view_route(v, f[i].src, f[i].dst, &r);
		q->route = array_grow(q->route, &cap, used + (size_t)r.n,
				      sizeof(*q->route));
		for (k = 0; k < r.n; k++)
			q->route[used++] = r.link[k];
		q->start[i + 1] = (int64_t)used;
		q->bytes[i] = f[i].bytes;
		q->begin[i] = r.latency_s;
	}
}

static void problem_free(struct problem *q)
{
	free(q->start);
	free(q->route);
	free(q->bytes);
	free(q->finish);
	free(q->begin);
}

double coll_solve(const struct coll_view *v, struct coll_flow *f, size_t n,
		  bool begin, double after_s, double merge_s,
		  double *error_p)
{
	struct problem q;
	double t;
	size_t i;

	if (v->folded && coll_class_solve(v, f, NULL, n, begin, &t)) {
		*error_p = 0;
		return t;
	}
	problem_fill(v, f, n, &q);
	t = fair_run(&(struct fair_problem){
		.n_links = v->n_links, .capacity = v->capacity_Bps,
		.n_flows = (int)n, .start = q.start, .route = q.route,
		.bytes = q.bytes, .begin_s = begin ? q.begin : NULL,
		.merge_s = merge_s, .progress = v->progress }, q.finish, error_p);
	for (i = 0; i < n; i++)
		f[i].finish_s = after_s + q.finish[i];
	problem_free(&q);
	return t;
}

/* Every flow as many times as it counts. */
static void repeat_flows(struct coll_part *p)
{
	struct coll_part all = { 0 };
	size_t i;
	int k;

	for (i = 0; i < p->n_flows; i++) {
		for (k = 0; k < p->times[i]; k++) {
			coll_add(&all, p->flow[i].src, p->flow[i].dst,
				 p->flow[i].bytes);
		}
	}
	all.pattern = p->pattern;
	coll_part_release(p);
	*p = all;
}

double coll_solve_part(const struct coll_view *v, struct coll_part *p,
		       double merge_s, double *error_p)
{
	double t;

	if (p->times) {
		*error_p = 0;
		if (coll_class_solve(v, p->flow, p->times, p->n_flows, false,
				     &t))
			return t;
		repeat_flows(p);
	}
	if (coll_mirror_find(v->mirror, v->net, p->flow, p->n_flows, merge_s,
			     &t, error_p))
		return t;
	t = coll_solve(v, p->flow, p->n_flows, false, 0, merge_s, error_p);
	coll_mirror_keep(v->mirror, p->flow, p->n_flows, merge_s, t, *error_p);
	return t;
}

static double solve_rounds(const struct coll_build *b,
			   const struct coll_view *v, struct coll_part *p,
			   double merge_s, double *error_p)
{
	size_t *begin = coll_sort_by_shift(b, p);
	double *took = xcalloc((size_t)b->group, sizeof(*took)), t = 0;
	double *error = xcalloc((size_t)b->group, sizeof(*error));
	int d;

	*error_p = 0;
	for (d = 0; d < b->group; d++) {
		int k = coll_round(b, p, d);
		size_t n = begin[k + 1] - begin[k];

		if (!n)
			continue;
		if (k == d)
			took[d] = coll_solve(v, p->flow + begin[d], n, false,
					     t, merge_s, &error[d]);
		t += took[k];
		*error_p += error[k];
	}
	free(error);
	free(took);
	free(begin);
	return t;
}

/* A sliding window per source: next[r] is the flow that r starts next. */
struct window {
	const struct coll_view *v;
	struct coll_part *p;
	struct fair *fair;
	size_t *begin, *next;
	size_t *flow;	/* by number of the solver: index in p->flow */
	size_t started;
};

static void window_start(struct window *w, int rank)
{
	const struct coll_flow *f = &w->p->flow[w->next[rank]];
	struct route r;

	coll_view_route(w->v, f->src, f->dst, &r);
	fair_start(w->fair, r.link, r.n, f->bytes, INFINITY);
	w->flow[w->started++] = w->next[rank]++;
}

static bool window_has_next(const struct window *w, int rank)
{
	return w->next[rank] < w->begin[rank + 1];
}

static void window_finish(struct window *w, int id)
{
	struct coll_flow *f = &w->p->flow[w->flow[id]];

	f->finish_s = fair_finish(w->fair, id);
	if (window_has_next(w, f->src))
		window_start(w, f->src);
}

/* Flows between two reports of progress. */
#define REPORT_FLOWS 1024

static double window_run(struct window *w)
{
	const int *done;
	int *copy = NULL;
	double last = 0;
	size_t cap = 0, finished = 0, reported = 0;
	int n, i;

	while (fair_next(w->fair, INFINITY, &done, &n)) {
		/* starting flows may move what `done` points to */
		copy = array_grow(copy, &cap, (size_t)n, sizeof(*copy));
		for (i = 0; i < n; i++)
			copy[i] = done[i];
		for (i = 0; i < n; i++) {
			last = fmax(last, fair_finish(w->fair, copy[i]));
			window_finish(w, copy[i]);
		}
		finished += (size_t)n;
		if (finished - reported >= REPORT_FLOWS) {
			reported = finished;
			progress_report(w->v->progress, (double)finished,
					(double)w->p->n_flows);
		}
	}
	free(copy);
	return last;
}

static double solve_window(const struct coll_build *b,
			   const struct coll_view *v, struct coll_part *p,
			   double merge_s, double *error_p)
{
	struct window w = { .v = v, .p = p };
	double t;
	int r, i;

	w.begin = coll_sort_by_source(b, p);
	w.next = xcalloc((size_t)b->ranks, sizeof(*w.next));
	w.flow = xcalloc(p->n_flows, sizeof(*w.flow));
	w.fair = fair_new(v->n_links, v->capacity_Bps, merge_s);
	for (r = 0; r < b->ranks; r++)
		w.next[r] = w.begin[r];
	for (r = 0; r < b->ranks; r++) {
		for (i = 0; i < b->spec->comm.window; i++) {
			if (window_has_next(&w, r))
				window_start(&w, r);
		}
	}
	t = window_run(&w);
	*error_p = fair_merge_error(w.fair);
	fair_free(w.fair);
	free(w.flow);
	free(w.next);
	free(w.begin);
	return t;
}

/*
 * Max-min sharing never gives a flow less than C / n on one of its links, of
 * capacity C with n flows, and n only falls. So all is done by the largest
 * bytes * n / C over the flows and their links, and not before the busiest
 * link is: where the two are the same, as where the flows of a link have
 * equal bytes, there is nothing to solve.
 */
bool coll_ends_at_bound(const struct net *net, const struct coll_part *p,
			double bound_s)
{
	const struct coll_flow *f = p->flow;
	int *n = xcalloc((size_t)net->n_links + 1, sizeof(*n));
	/* rounding of the sum of a link's bytes */
	double limit = bound_s * (1 + 1e-12);
	bool ok = true;
	struct route r;
	size_t i;
	int k;

	for (i = 0; i < p->n_flows; i++) {
		net_route(net, f[i].src, f[i].dst, &r);
		for (k = 0; k < r.n; k++)
			n[r.link[k]] += coll_link_times(net, p, i, r.link[k]);
	}
	for (i = 0; i < p->n_flows && ok; i++) {
		net_route(net, f[i].src, f[i].dst, &r);
		for (k = 0; k < r.n && ok; k++) {
			int l = r.link[k];

			ok = f[i].bytes * n[l] <= limit * net->capacity_Bps[l];
		}
	}
	free(n);
	return ok;
}

double coll_merge(const struct coll_spec *s, double bound_s)
{
	return s->merge_s > 0 ? s->merge_s : s->tolerance * bound_s;
}

double coll_makespan(const struct coll_build *b, const struct coll_view *v,
		     struct coll_part *p, struct coll_tally *t)
{
	const struct coll_spec *s = b->spec;
	double merge_s = coll_merge(s, t->bound_s);

	if (!p->n_flows)
		return 0;
	if (p->rounds)
		return solve_rounds(b, v, p, merge_s, &t->merge_error_s);
	if (s->comm.window > 0)
		return solve_window(b, v, p, merge_s, &t->merge_error_s);
	return coll_solve_part(v, p, merge_s, &t->merge_error_s);
}
