/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/coll_int.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void traffic_release(struct traffic *t)
{
	free(t->bytes);
	free(t->node_bytes);
	free(t->rank_bytes);
	*t = (struct traffic){ 0 };
}

static double *copy_doubles(const double *v, size_t n)
{
	double *out = xcalloc(n, sizeof(*out));

	return memcpy(out, v, n * sizeof(*out));
}

size_t traffic_first(const struct traffic *t, size_t rank, size_t *step_p,
		     size_t *n_p)
{
	size_t group = (size_t)t->group, stride = (size_t)t->stride;

	*step_p = group ? stride : 1;
	*n_p = group ? group : (size_t)t->n_ranks;
	return group ? rank - rank / stride % group * stride : 0;
}

/* Rows that are turned together: a page of each column is then used more than
 * once while it is at hand. */
#define TURN_ROWS 16

/* Those of rows [begin, end) that are in one group, apart by `step`. */
static void turn_rows(const struct traffic *t, size_t begin, size_t end,
		      size_t step, double *out)
{
	size_t n = (size_t)t->n_ranks, peers, i;
	size_t j = traffic_first(t, begin, &step, &peers);

	for (; peers--; j += step) {
		for (i = begin; i < end; i += step)
			out[j * n + i] = t->bytes[i * n + j];
	}
}

/* Only cells inside groups: the others stay untouched zero pages. */
static double *transposed(const struct traffic *t)
{
	size_t n = (size_t)t->n_ranks, step, peers, first, s, i;
	double *out = xcalloc(n * n, sizeof(*out));

	(void)traffic_first(t, 0, &step, &peers);
	for (first = 0; first < n; first += step * peers) {
		size_t end = first + step * peers;

		for (s = first; s < first + step; s++) {
			for (i = s; i < end; i += TURN_ROWS * step) {
				size_t to = i + TURN_ROWS * step;

				turn_rows(t, i, to < end ? to : end, step,
					  out);
			}
		}
	}
	return out;
}

void traffic_scale(struct traffic *t, double share)
{
	size_t n = (size_t)t->n_ranks, step, peers, i, j;

	for (i = 0; t->bytes && i < n; i++) {
		for (j = traffic_first(t, i, &step, &peers); peers--; j += step)
			t->bytes[i * n + j] *= share;
	}
}

/* The cells inside groups. */
static double *copied(const struct traffic *t)
{
	size_t n = (size_t)t->n_ranks, step, peers, i, j;
	double *out = xcalloc(n * n, sizeof(*out));

	for (i = 0; i < n; i++) {
		for (j = traffic_first(t, i, &step, &peers); peers--; j += step)
			out[i * n + j] = t->bytes[i * n + j];
	}
	return out;
}

void traffic_transpose(const struct traffic *t, int nodes,
		       struct traffic *out)
{
	size_t n = (size_t)t->n_ranks;
	struct traffic r = *t;

	if (t->node_bytes)
		r.node_bytes = copy_doubles(t->node_bytes, n * (size_t)nodes);
	if (t->rank_bytes)
		r.rank_bytes = copy_doubles(t->rank_bytes,
					    n * (size_t)t->group);
	if (t->bytes)
		r.bytes = transposed(t);
	*out = r;
}

double traffic_total(const struct traffic *t)
{
	size_t n = (size_t)t->n_ranks, i, j, step, peers;
	double sum = 0;

	if (!t->bytes)
		return (double)n * (t->group - 1) * t->each;
	for (i = 0; i < n; i++) {
		j = traffic_first(t, i, &step, &peers);
		for (; peers--; j += step)
			sum += i == j ? 0 : t->bytes[i * n + j];
	}
	return sum;
}

double traffic_busiest(const struct traffic *t)
{
	size_t n = (size_t)t->n_ranks, i, j, step, peers;
	double most = 0;

	if (!t->bytes)
		return (t->group - 1) * t->each;
	for (i = 0; i < n; i++) {
		double sent = 0, received = 0;

		j = traffic_first(t, i, &step, &peers);
		for (; peers--; j += step) {
			sent += i == j ? 0 : t->bytes[i * n + j];
			received += i == j ? 0 : t->bytes[j * n + i];
		}
		most = fmax(most, fmax(sent, received));
	}
	return most;
}

double coll_cell(const struct coll_build *b, int s, int d)
{
	const struct traffic *t = b->t;
	size_t n = (size_t)t->n_ranks;
	int span;

	if (t->bytes) {
		return b->reverse ? t->bytes[(size_t)d * n + (size_t)s] :
				    t->bytes[(size_t)s * n + (size_t)d];
	}
	span = t->group * t->stride;
	return s % t->stride == d % t->stride && s / span == d / span ?
		t->each : 0;
}

int coll_peers(const struct coll_build *b)
{
	return b->group;
}

int coll_peer(const struct coll_build *b, int s, int j)
{
	int index = s / b->stride % b->group;

	return s + (j - index) * b->stride;
}

double coll_row_sum(const struct coll_build *b, int s)
{
	double sum = 0;
	int j, n = coll_peers(b);

	if (!b->t->bytes)
		return coll_plus_times(0, b->t->each, n);
	for (j = 0; j < n; j++)
		sum += coll_cell(b, s, coll_peer(b, s, j));
	return sum;
}

double coll_column_sum(const struct coll_build *b, int d)
{
	double sum = 0;
	int j, n = coll_peers(b);

	if (!b->t->bytes)
		return coll_plus_times(0, b->t->each, n);
	for (j = 0; j < n; j++)
		sum += coll_cell(b, coll_peer(b, d, j), d);
	return sum;
}

struct coll_shape coll_shape_of(const struct cluster *c, int group,
				int stride)
{
	int g = c->gpus_per_node, span = group * stride;
	struct coll_shape s = { .regular = true, .local = 1, .nodes = group,
				.node_stride = 1 };

	if (span <= g && g % span == 0) {
		s.local = group;
		s.nodes = 1;
	} else if (stride <= g && g % stride == 0 && span % g == 0) {
		s.local = g / stride;
		s.nodes = span / g;
	} else if (stride % g == 0) {
		s.node_stride = stride / g;
	} else {
		s.regular = false;
	}
	return s;
}

int coll_shift(const struct coll_shape *s, int group, int stride, int src,
	       int dst)
{
	int local = s->regular ? s->local : 1, nodes = group / local;
	int from = src / stride % group, to = dst / stride % group;
	int hop = (to / local - from / local + nodes) % nodes;
	int turn = (to % local - from % local + local) % local;

	return hop * local + turn;
}

void traffic_share(const struct traffic *t, int nodes, double share,
			  struct traffic *out)
{
	struct traffic r = *t;
	size_t n = (size_t)t->n_ranks;

	r.bytes = NULL;
	traffic_transpose(&r, nodes, out);
	out->bytes = t->bytes ? copied(t) : NULL;
	out->each *= share;
	out->node_each *= share;
	traffic_scale(out, share);
	for (size_t i = 0; out->node_bytes && i < n * (size_t)nodes; i++)
		out->node_bytes[i] *= share;
}
