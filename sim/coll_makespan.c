/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long the flows of a step take, one by one. */
#include "sim/coll_int.h"

#include "base/mem.h"
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

	if (v->folded && coll_class_solve(v, f, n, begin, &t)) {
		*error_p = 0;
		return t;
	}
	problem_fill(v, f, n, &q);
	t = fair_run(&(struct fair_problem){
		.n_links = v->n_links, .capacity = v->capacity_Bps,
		.n_flows = (int)n, .start = q.start, .route = q.route,
		.bytes = q.bytes, .begin_s = begin ? q.begin : NULL,
		.merge_s = merge_s }, q.finish, error_p);
	for (i = 0; i < n; i++)
		f[i].finish_s = after_s + q.finish[i];
	problem_free(&q);
	return t;
}

static double solve_rounds(const struct coll_build *b,
			   const struct coll_view *v, struct coll_part *p,
			   double merge_s, double *error_p)
{
	size_t *begin = coll_sort_by_shift(b, p);
	double t = 0, error;
	int d;

	*error_p = 0;
	for (d = 0; d < b->group; d++) {
		size_t n = begin[d + 1] - begin[d];

		if (!n)
			continue;
		t += coll_solve(v, p->flow + begin[d], n, false, t, merge_s,
				&error);
		*error_p += error;
	}
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

static double window_run(struct window *w)
{
	const int *done;
	int *copy = NULL;
	double last = 0;
	size_t cap = 0;
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
	return coll_solve(v, p->flow, p->n_flows, false, 0, merge_s,
			  &t->merge_error_s);
}
