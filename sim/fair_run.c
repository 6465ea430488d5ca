/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one-shot form, and what merging costs. */
#include "sim/fair_int.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * Why this is a bound. Whatever the rates, a link of capacity C that gets b
 * bytes more at time s, when it could not have carried the earlier ones
 * before u, cannot have carried all before max(u, s) + b / C; so bound_s,
 * the largest of these over the links (private ones of bounded flows too),
 * is not after the last finish time of the exact solution. Hence
 * exact >= bound_s, and merged - exact <= merged - bound_s. It is a weak
 * bound where no link is busy to the end: max-min sharing is not monotone
 * (a flow that leaves later can let others finish earlier or later), so
 * wasted bandwidth does not add up to a bound.
 */
double fair_merge_error(const struct fair *f)
{
	return f->merged ? fmax(f->last_finish - f->bound_s, 0) : 0;
}

struct begin {
	double at_s;
	int flow;
};

static int cmp_begin(const void *a, const void *b)
{
	const struct begin *x = a, *y = b;

	if (x->at_s != y->at_s) {
		return x->at_s < y->at_s ? -1 : 1;
	}
	return (x->flow > y->flow) - (x->flow < y->flow);
}

/* Flows that move something, by begin; the others are done at theirs. */
static size_t sort_flows(const struct fair_problem *p, struct begin *b,
			 double *finish_s)
{
	size_t n = 0;

	for (int i = 0; i < p->n_flows; i++) {
		double at = p->begin_s ? p->begin_s[i] : 0;

		finish_s[i] = at;
		if (p->bytes[i] > 0 && p->start[i + 1] > p->start[i]) {
			b[n++] = (struct begin){ at, i };
		}
	}
	qsort(b, n, sizeof(*b), cmp_begin);
	return n;
}

/* Flows between two reports of progress. */
#define REPORT_FLOWS 1024

static void run_sorted(struct fair *f, const struct fair_problem *p,
		       const struct begin *b, size_t n, double *finish_s)
{
	const int *done;
	int n_done;
	size_t i = 0, finished = 0, reported = 0;

	do {
		for (; i < n && b[i].at_s <= fair_now(f); i++) {
			int k = b[i].flow;

			fair_start(f, p->route + p->start[k],
				   (int)(p->start[k + 1] - p->start[k]),
				   p->bytes[k], INFINITY);
		}
		if (!fair_next(f, i < n ? b[i].at_s : INFINITY, &done,
			       &n_done)) {
			break;
		}
		for (int k = 0; k < n_done; k++) {
			finish_s[b[done[k]].flow] = fair_finish(f, done[k]);
		}
		finished += (size_t)n_done;
		if (finished - reported >= REPORT_FLOWS) {
			reported = finished;
			/* completions crowd at the end; time does not */
			progress_report(p->progress, fair_now(f),
					fmax(f->bound_s, fair_now(f)));
		}
	} while (i < n || fair_active(f) > 0);
}

double fair_run(const struct fair_problem *p, double *finish_s,
		double *error_p)
{
	struct begin *b = xmalloc((p->n_flows + (size_t)1) * sizeof(*b));
	size_t n = sort_flows(p, b, finish_s);
	struct fair *f = fair_new(p->n_links, p->capacity, p->merge_s);
	double last = 0;

	run_sorted(f, p, b, n, finish_s);
	for (int i = 0; i < p->n_flows; i++) {
		last = fmax(last, finish_s[i]);
	}
	if (error_p) {
		*error_p = fair_merge_error(f);
	}
	fair_free(f);
	free(b);
	return last;
}

/* Share of the tolerated error that one window may last. */
#define WINDOW_SHARE 0.25

double fair_merge_window(const struct fair_problem *p, double tolerance)
{
	double *busy = xcalloc(p->n_links + (size_t)1, sizeof(*busy));
	double longest = 0;

	for (int i = 0; i < p->n_flows; i++) {
		for (int64_t k = p->start[i]; k < p->start[i + 1]; k++) {
			int l = p->route[k];

			busy[l] += p->bytes[i] / p->capacity[l];
			longest = fmax(longest, busy[l]);
		}
	}
	free(busy);
	return tolerance * WINDOW_SHARE * longest;
}
