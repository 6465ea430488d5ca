/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows straight from their source to their places at the experts' ranks, and
 * their sums straight back (gpu/cuda_direct.h): a row crosses a link once for
 * each rank that has one of its experts, and no layout copy comes before or
 * after. What stays on its rank is read once and written once for each of its
 * experts there, by the same kernel, before or after the link's rows; those
 * that come over the link are written in its shadow. On the way back each
 * rank adds its rows of a token and sends one; its own are added at the end,
 * by the op that takes the place of the unpermutation.
 */
#include "sim/coll_int.h"

#include <math.h>

double traffic_distinct(const struct traffic *t, int rank, int peer)
{
	size_t n = (size_t)t->n_ranks;
	int first = rank - rank / t->stride % t->group * t->stride;
	size_t dst = (size_t)(first + peer * t->stride);

	if (t->rank_bytes)
		return t->rank_bytes[(size_t)rank * (size_t)t->group +
				     (size_t)peer];
	if (!t->bytes)
		return t->rank_each > 0 ? t->rank_each : t->each;
	return t->bytes[(size_t)rank * n + dst];
}

double traffic_sums(const struct traffic *t)
{
	size_t n = (size_t)t->n_ranks, r;
	double most = 0;

	for (r = 0; r < n; r++) {
		int at = (int)r / t->stride % t->group, i;
		double sum = (1 - t->empty) *
			(t->bytes ? t->bytes[r * n + r] : t->each);

		for (i = 0; i < t->group; i++)
			sum += i == at ? 0 : traffic_distinct(t, (int)r, i);
		most = fmax(most, sum);
	}
	return most;
}

/* The traffic has groups: its own, or one of all ranks. */
static struct traffic grouped(const struct coll_build *b)
{
	struct traffic t = *b->t;

	t.group = b->group;
	t.stride = b->stride;
	return t;
}

/* Of rank r; a combine's rank_bytes are by the token's rank, too, but its
 * `bytes` are transposed. */
static double distinct(const struct coll_build *b, const struct traffic *t,
		       int r, int peer)
{
	int first = r - r / b->stride % b->group * b->stride;

	if (t->rank_bytes || !t->bytes)
		return traffic_distinct(t, r, peer);
	return coll_cell(b, r, first + peer * b->stride);
}

static void add_flows(struct coll_build *b, const struct traffic *t, int r)
{
	int at = r / b->stride % b->group, first = r - at * b->stride, j;

	for (j = 0; j < b->group; j++) {
		coll_add(&b->part[0], r, first + j * b->stride,
			 distinct(b, t, r, j) * b->scale);
	}
}

/* What rank r copies within its memory while it dispatches, and the zeros of
 * its experts' empty slots. */
static double local_bytes(const struct coll_build *b, const struct traffic *t,
			  int r)
{
	return distinct(b, t, r, r / b->stride % b->group) +
		coll_cell(b, r, r) * (1 - t->empty + t->empty * b->group);
}

void coll_build_direct(struct coll_build *b)
{
	const struct traffic t = grouped(b);
	struct coll_part *p = &b->part[0];
	bool local = b->spec->places_rows && !b->reverse;
	int r;

	for (r = 0; r < b->ranks && local; r++)
		p->copy_bytes = fmax(p->copy_bytes, local_bytes(b, &t, r));
	if (coll_symmetric(b) && !t.rank_bytes) {
		p->pattern = (struct coll_pattern){
			.used = true, .group = b->group, .stride = b->stride,
			.each = traffic_distinct(&t, 0, 0) * b->scale };
		return;
	}
	for (r = 0; r < b->ranks; r++)
		add_flows(b, &t, r);
}
