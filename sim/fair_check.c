/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/fair_int.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

/* Relative error that sums over many flows may show. */
#define CHECK_RATE 1e-9
#define CHECK_BYTES 1e-7
/* Rounding of times and of held work, of now. */
#define CHECK_TIME 1e-11

/* Adds x to each link of the flow. */
static void add_to_links(const struct fair *f, const struct fair_flow *w,
			 double *sum, double x)
{
	for (int s = 0; s < 2; s++) {
		int n;
		const int32_t *links = fair_links_of(f, w->piece[s], &n);

		for (int i = 0; i < n; i++) {
			sum[links[i]] += x;
		}
	}
}

/* Some full link of the flow has no faster flow: it can have no more. */
static void check_flow(struct fair *f, int flow, const double *load,
		       const double *fastest)
{
	const struct fair_flow *w = &f->flows[flow];
	double rate = fair_rate(f, flow);
	bool held = false;

	for (int s = 0; s < 2; s++) {
		int n;
		const int32_t *links = fair_links_of(f, w->piece[s], &n);

		for (int i = 0; i < n; i++) {
			int l = links[i];

			held |= load[l] >= f->links[l].capacity *
				(1 - CHECK_RATE) &&
				rate >= fastest[l] * (1 - CHECK_RATE);
		}
	}
	assert(held);
	(void)held;
}

static void find_fastest(struct fair *f, double *fastest)
{
	for (size_t i = 0; i < f->n_flows; i++) {
		const struct fair_flow *w = &f->flows[i];
		double rate = w->active ? fair_rate(f, (int)i) : 0;

		for (int s = 0; w->active && s < 2; s++) {
			int n;
			const int32_t *links = fair_links_of(f, w->piece[s],
							     &n);

			for (int k = 0; k < n; k++) {
				fastest[links[k]] = fmax(fastest[links[k]],
							 rate);
			}
		}
	}
}

static void check_links(struct fair *f, const double *load,
			const double *left)
{
	for (size_t i = 0; i < f->n_links; i++) {
		const struct fair_link *l = &f->links[i];
		double carried = fair_link_bytes(f, (int)i);

		assert(load[i] <= l->capacity * (1 + CHECK_RATE));
		assert(fabs(l->used - load[i]) <= l->capacity * CHECK_RATE);
		assert(fabs(carried + left[i] - l->started) <=
		       l->started * CHECK_BYTES +
		       l->capacity * f->now * CHECK_TIME);
		(void)l;
		(void)carried;
	}
}

void fair_check(struct fair *f)
{
	double *load, *left, *fastest;

	fair_settle(f);
	load = xcalloc(f->n_links + 1, sizeof(*load));
	left = xcalloc(f->n_links + 1, sizeof(*left));
	fastest = xcalloc(f->n_links + 1, sizeof(*fastest));
	find_fastest(f, fastest);
	for (size_t i = 0; i < f->n_flows; i++) {
		const struct fair_flow *w = &f->flows[i];

		if (w->active) {
			add_to_links(f, w, load, fair_rate(f, (int)i));
			add_to_links(f, w, left, fair_remaining(f, (int)i));
		}
	}
	check_links(f, load, left);
	for (size_t i = 0; i < f->n_flows; i++) {
		if (f->flows[i].active) {
			check_flow(f, (int)i, load, fastest);
		}
	}
	free(load);
	free(left);
	free(fastest);
}
