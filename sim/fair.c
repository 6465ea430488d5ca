/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/fair_int.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct fair *fair_new(int n_links, const double *capacity, double merge_s)
{
	struct fair *f = xcalloc(1, sizeof(*f));

	f->n_links = f->cap_links = f->n_public = n_links;
	f->links = xcalloc(n_links + 1, sizeof(*f->links));
	for (int i = 0; i < n_links; i++) {
		assert(capacity[i] > 0);
		f->links[i].capacity = capacity[i];
		f->links[i].comp = f->links[i].pos = FAIR_NONE;
	}
	f->merge_s = merge_s;
	fair_piece_init(f);
	return f;
}

void fair_free(struct fair *f)
{
	if (!f) {
		return;
	}
	for (size_t i = 0; i < f->n_links; i++) {
		free(f->links[i].heap);
		free(f->links[i].pieces);
	}
	for (size_t i = 0; i < f->n_comps; i++) {
		free(f->comps[i].order);
		free(f->comps[i].next);
		free(f->comps[i].least);
	}
	fair_piece_release(f);
	free(f->links);
	free(f->flows);
	free(f->pending);
	free(f->pending_links);
	free(f->comps);
	free(f->free_links);
	free(f->free_comps);
	free(f->done);
	free(f->count);
	free(f->moves);
	free(f);
}

int fair_start(struct fair *f, const int32_t *links, int n, double bytes,
	       double bound)
{
	size_t k = f->n_flows - f->n_settled;
	struct fair_flow *w;

	assert(bytes > 0 && bound > 0 && (n > 0 || !isinf(bound)));
	f->flows = array_grow(f->flows, &f->cap_flows, f->n_flows + 1,
			      sizeof(*f->flows));
	f->pending = array_grow(f->pending, &f->cap_pending, k + 1,
				sizeof(*f->pending));
	f->pending_links = array_grow(f->pending_links,
				      &f->cap_pending_links,
				      f->n_pending_links + n + 1,
				      sizeof(*f->pending_links));
	w = &f->flows[f->n_flows];
	w->heap_at = w->own = FAIR_NONE;
	w->side = 0;
	w->active = w->fresh = 1;
	w->value = bytes;
	f->pending[k] = (struct fair_pending){ (int)f->n_pending_links, n,
					       bound };
	for (int i = 0; i < n; i++) {
		assert(links[i] >= 0 && (size_t)links[i] < f->n_public);
		f->pending_links[f->n_pending_links++] = links[i];
	}
	f->n_active++;
	return (int)f->n_flows++;
}

void fair_settle(struct fair *f)
{
	size_t first = f->n_settled;

	if (first < f->n_flows) {
		fair_adopt(f);
	}
	for (size_t i = 0; i < f->n_comps; i++) {
		if (f->comps[i].dirty) {
			fair_solve(f, &f->comps[i]);
		}
	}
	for (size_t i = first; i < f->n_flows; i++) {
		f->flows[i].fresh = 0;
	}
}

static double next_finish(const struct fair *f)
{
	double t = INFINITY;

	for (size_t i = 0; i < f->n_comps; i++) {
		const struct fair_comp *c = &f->comps[i];

		if (c->n > 0 && c->least[c->n - 1] < t) {
			t = c->least[c->n - 1];
		}
	}
	return t;
}

/* Marks what is done on one link by `limit`; returns the last such time. */
static double pop_link(struct fair *f, struct fair_link *l, double limit)
{
	double last = f->now;

	while (l->heap_n > 0) {
		double t = l->t + fmax(l->heap[0].key - l->v, 0) / l->level;
		int flow = l->heap[0].flow;

		if (t > limit) {
			break;
		}
		fair_heap_remove(f, l, 0);
		f->done = array_grow(f->done, &f->cap_done, f->n_done + 1,
				     sizeof(*f->done));
		f->done[f->n_done++] = flow;
		f->flows[flow].value = fmax(t, f->now);
		last = fmax(last, f->flows[flow].value);
	}
	return last;
}

static double pop_comp(struct fair *f, struct fair_comp *c, double limit)
{
	double last = f->now;

	for (size_t i = 0; i < c->n; i++) {
		if (c->next[i] > limit) {
			continue;
		}
		if (c->restart > i) {
			c->restart = i;
		}
		c->dirty = true;
		last = fmax(last, pop_link(f, &f->links[c->order[i]], limit));
	}
	return last;
}

/* A flow that finished at its time leaves, now. */
static void leave(struct fair *f, int flow)
{
	struct fair_flow *w = &f->flows[flow];
	double rate = f->links[fair_held_by(f, w)].level;
	double idle = rate * (f->now - w->value);
	int comp = f->links[fair_held_by(f, w)].comp;

	f->pieces[w->piece[w->side]].held--;
	for (int s = 0; s < 2; s++) {
		int n;
		const int32_t *links = fair_links_of(f, w->piece[s], &n);

		for (int i = 0; i < n; i++) {
			struct fair_link *l = &f->links[links[i]];

			l->bytes -= idle;
			if (--l->n_flows == 0) {
				f->comps[comp].empty++;
			}
		}
	}
	fair_piece_drop(f, flow);
	w->active = 0;
	f->n_active--;
	if (--f->comps[comp].active == 0) {
		fair_comp_dissolve(f, comp);
	}
}

static int cmp_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static void finish_until(struct fair *f, double limit)
{
	double last = f->now, first = INFINITY;

	for (size_t i = 0; i < f->n_comps; i++) {
		struct fair_comp *c = &f->comps[i];

		if (c->n > 0 && c->least[c->n - 1] <= limit) {
			last = fmax(last, pop_comp(f, c, limit));
		}
	}
	f->now = last;
	qsort(f->done, f->n_done, sizeof(*f->done), cmp_int);
	for (size_t i = 0; i < f->n_done; i++) {
		first = fmin(first, f->flows[f->done[i]].value);
		leave(f, f->done[i]);
	}
	f->last_finish = last;
	if (first < last * (1 - 2 * FAIR_TIE)) {
		f->merged = true;
	}
}

bool fair_next(struct fair *f, double until_s, const int **done_p,
	       int *n_done_p)
{
	double t, merge;

	fair_settle(f);
	f->n_done = 0;
	t = next_finish(f);
	if (isinf(t) && isinf(until_s)) {
		*n_done_p = 0;
		return false;
	}
	if (t > until_s) {
		f->now = fmax(f->now, until_s);
	} else {
		merge = fmin(f->merge_s, t * FAIR_MERGE_SHARE);
		finish_until(f, fmin(t + fmax(merge, t * FAIR_TIE),
				     fmax(until_s, t)));
	}
	*done_p = f->done;
	*n_done_p = (int)f->n_done;
	return true;
}

double fair_peek(struct fair *f)
{
	fair_settle(f);
	return next_finish(f);
}

void fair_set_merge(struct fair *f, double merge_s)
{
	f->merge_s = merge_s;
}

double fair_now(const struct fair *f)
{
	return f->now;
}

double fair_finish(const struct fair *f, int flow)
{
	assert(!f->flows[flow].active);
	return f->flows[flow].value;
}

double fair_rate(struct fair *f, int flow)
{
	const struct fair_flow *w = &f->flows[flow];

	fair_settle(f);
	return w->active ? f->links[fair_held_by(f, w)].level : 0;
}

double fair_remaining(struct fair *f, int flow)
{
	const struct fair_flow *w = &f->flows[flow];
	struct fair_link *l;

	fair_settle(f);
	if (!w->active) {
		return 0;
	}
	l = &f->links[fair_held_by(f, w)];
	return fmax(l->heap[w->heap_at].key - l->v -
		    l->level * (f->now - l->t), 0);
}

int fair_active(const struct fair *f)
{
	return f->n_active;
}

double fair_link_bytes(struct fair *f, int link)
{
	const struct fair_link *l = &f->links[link];

	return l->bytes + l->used * (f->now - l->t);
}

uint64_t fair_solves(const struct fair *f)
{
	return f->solves;
}
