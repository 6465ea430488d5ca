/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All active orders of one chain, depth first. Chunks are alike, so within a
 * kind they go in order; a node of the tree is how many of each kind have
 * been placed, and a branch places the next task of one kind at the earliest
 * time that its lane and its input allow. Only kinds that can start before
 * another placement on the same lane would end are tried (Giffler and
 * Thompson 1960: the active schedules contain an optimal one).
 */
#include "sim/chain.h"

#include "sim/lanes.h"

#include <assert.h>
#include <math.h>

enum kind { K_DISPATCH, K_GATHER, K_EXPERT, K_SCATTER, K_COMBINE, K_GRADIENT,
	    K_N };

static const enum lane kind_lane[K_N] = {
	LANE_INTER, LANE_INTRA, LANE_COMPUTE, LANE_INTRA, LANE_INTER,
	LANE_INTER,
};

struct search {
	const struct chain *c;
	double work[K_N];
	int total[K_N];
	int placed[K_N];
	double end[K_N][CHAIN_EXACT_MAX];
	double free_s[LANE_N];
	double best;
};

/* Earliest start of the kind's next task; infinite: not yet. */
static double earliest(const struct search *x, int k)
{
	int i = x->placed[k];
	double t;

	if (i == x->total[k])
		return INFINITY;
	t = x->free_s[kind_lane[k]];
	if (k == K_DISPATCH || k == K_GRADIENT)
		return t;
	if (i >= x->placed[k - 1])
		return INFINITY;
	return fmax(t, x->end[k - 1][i]);
}

/* Work that is left on each lane cannot end before this. */
static double bound(const struct search *x)
{
	double lane[LANE_N], most = 0;

	for (int l = 0; l < LANE_N; l++)
		lane[l] = x->free_s[l];
	for (int k = 0; k < K_N; k++)
		lane[kind_lane[k]] += (x->total[k] - x->placed[k]) *
			x->work[k];
	for (int l = 0; l < LANE_N; l++)
		most = fmax(most, lane[l]);
	return most;
}

static void descend(struct search *x)
{
	double start[K_N], first_end = INFINITY;
	int machine = -1;

	if (bound(x) >= x->best)
		return;
	for (int k = 0; k < K_N; k++) {
		start[k] = earliest(x, k);
		if (start[k] + x->work[k] < first_end) {
			first_end = start[k] + x->work[k];
			machine = (int)kind_lane[k];
		}
	}
	if (machine < 0) {	/* all placed */
		x->best = bound(x);
		return;
	}
	for (int k = 0; k < K_N; k++) {
		double was = x->free_s[machine];

		if ((int)kind_lane[k] != machine || start[k] >= first_end)
			continue;
		x->free_s[machine] = start[k] + x->work[k];
		x->end[k][x->placed[k]++] = x->free_s[machine];
		descend(x);
		x->placed[k]--;
		x->free_s[machine] = was;
	}
}

double chain_exact(const struct chain *c)
{
	struct search x = {
		.c = c,
		.work = { c->a, c->g, c->e, c->s, c->a, c->gradient },
		.total = { c->r, c->r, c->r, c->r, c->r, c->gradient > 0 },
		.best = chain_best(c, NULL) * (1 + 1e-12),
	};

	assert(c->r <= CHAIN_EXACT_MAX && !c->one_lane &&
	       !(c->interference > 0) && c->pieces <= 1);
	descend(&x);
	return x.best;
}
