/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/stages.h"

#include "base/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

int stages_in_flight(const struct stages *s)
{
	if (s->kind == STAGES_GPIPE || s->batches < s->stages)
		return s->batches;
	return s->stages;
}

/*
 * GPipe fills and drains: (m + p - 1) passes each way, and the first batch
 * crosses p - 1 borders each way. 1F1B has the same passes; but with one
 * forward and one backward pass in turn, stages next to one another wait for
 * two hand-overs with each batch, save one in p, which the window of p
 * batches in flight hides.
 */
double stages_time(const struct stages *s)
{
	double p = s->stages, m = s->batches;
	double passes = (m + p - 1) * (s->forward_s + s->backward_s);
	double hops = 2 * (p - 1);

	if (s->kind == STAGES_1F1B)
		hops += 2 * (m - 1 - ceil((m - 1) / p));
	return passes + hops * s->hop_s;
}

/* The pass that a stage does as its i-th: batch, and which way. */
static int pass_at(const struct stages *s, int stage, int i, bool *backward)
{
	int warm = s->kind == STAGES_GPIPE ? s->batches :
		s->stages - 1 - stage;
	int m = s->batches, j;

	if (warm > m)
		warm = m;
	j = i - warm;
	*backward = false;
	if (j < 0)
		return i;
	if (j >= 2 * (m - warm)) {	/* drain */
		*backward = true;
		return i - m;
	}
	*backward = j % 2;
	return *backward ? j / 2 : warm + j / 2;
}

struct grid {
	const struct stages *s;
	double *end[2];		/* [way][stage * batches + batch]; < 0: not
				   yet */
	int *at;		/* next pass of each stage */
	double *free_s;
};

/* Tries to do the stage's next pass; false when its input is not there. */
static bool step_stage(struct grid *g, int stage)
{
	const struct stages *s = g->s;
	double input = 0, start;
	bool back;
	int batch, from;

	if (g->at[stage] == 2 * s->batches)
		return false;
	batch = pass_at(s, stage, g->at[stage], &back);
	from = back ? stage + 1 : stage - 1;
	if (back && stage == s->stages - 1)
		input = g->end[0][stage * s->batches + batch];
	else if (from >= 0)
		input = g->end[back][from * s->batches + batch];
	if (input < 0)
		return false;
	if (from >= 0 && from < s->stages)
		input += s->hop_s;
	start = fmax(g->free_s[stage], input);
	g->free_s[stage] = start + (back ? s->backward_s : s->forward_s);
	g->end[back][stage * s->batches + batch] = g->free_s[stage];
	g->at[stage]++;
	return true;
}

double stages_simulate(const struct stages *s)
{
	size_t cells = (size_t)s->stages * (size_t)s->batches;
	struct grid g = { .s = s };
	double most = 0;
	bool moved = true;

	g.end[0] = xcalloc(2 * cells, sizeof(double));
	g.end[1] = g.end[0] + cells;
	g.free_s = xcalloc((size_t)s->stages, sizeof(double));
	g.at = xcalloc((size_t)s->stages, sizeof(int));
	for (size_t i = 0; i < 2 * cells; i++)
		g.end[0][i] = -1;
	while (moved) {
		moved = false;
		for (int i = 0; i < s->stages; i++) {
			while (step_stage(&g, i))
				moved = true;
		}
	}
	for (int i = 0; i < s->stages; i++)
		most = fmax(most, g.free_s[i]);
	free(g.end[0]);
	free(g.free_s);
	free(g.at);
	return most;
}
