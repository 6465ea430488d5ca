/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Samples in order, with the scale of each size. */
#include "profiles/fit_model.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
	const struct fit_sample *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return (x->t > y->t) - (x->t < y->t);
}

/* See fit_model.c. */
#define BISQUARE_C 4.685
#define MAD_TO_SIGMA 1.4826
#define SPREAD_MIN 0.01

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double fit_spread(double *r, int n)
{
	qsort(r, (size_t)n, sizeof(*r), by_value);
	return fmax(MAD_TO_SIGMA * (r[(n - 1) / 2] + r[n / 2]) / 2,
		    SPREAD_MIN);
}

double fit_bisquare(double z)
{
	double x = z / BISQUARE_C;

	return x < 1 ? (1 - x * x) * (1 - x * x) : 0;
}

/* Outliers among the repeats of their size. */
static void set_weights(struct fit_data *d)
{
	double *r = xcalloc((size_t)d->n, sizeof(*r)), s;
	struct fit_sample *p;
	int i, n = 0;

	for (i = 0; i < d->n; i++) {
		p = &d->sample[i];
		p->weight = 1;
		if (p->repeated)
			r[n++] = fabs(p->t - p->scale) / p->scale;
	}
	s = n ? fit_spread(r, n) : 1;
	for (i = 0; i < d->n; i++) {
		p = &d->sample[i];
		if (p->repeated)
			p->weight = fit_bisquare(fabs(p->t - p->scale) /
						 (p->scale * s));
	}
	free(r);
}

/* Medians of the sizes; returns how many sizes there are. */
static int set_scales(struct fit_data *d)
{
	int from, to, i, sizes = 0;

	for (from = 0; from < d->n; from = to) {
		for (to = from; to < d->n &&
		     d->sample[to].n == d->sample[from].n; to++)
			;
		for (i = from; i < to; i++) {
			d->sample[i].scale =
				(d->sample[(from + to - 1) / 2].t +
				 d->sample[(from + to) / 2].t) / 2;
			d->sample[i].block = sizes;
			d->sample[i].repeated = to - from >= FIT_REPEATS_MIN;
		}
		sizes++;
	}
	return sizes;
}

void fit_data_init(struct fit_data *d, const double *n, const double *t,
		   int count)
{
	int i, per_block;

	*d = (struct fit_data){ .n = count };
	d->sample = xcalloc((size_t)count, sizeof(*d->sample));
	for (i = 0; i < count; i++)
		d->sample[i] = (struct fit_sample){ .n = n[i], .t = t[i] };
	qsort(d->sample, (size_t)count, sizeof(*d->sample), by_size);
	d->n_sizes = set_scales(d);
	set_weights(d);
	per_block = (d->n_sizes + FIT_BLOCKS_MAX - 1) / FIT_BLOCKS_MAX;
	for (i = 0; i < count; i++)
		d->sample[i].block /= per_block;
	d->n_blocks = d->sample[count - 1].block + 1;
}

void fit_data_without(const struct fit_data *d, int block,
		      struct fit_data *out)
{
	struct fit_sample *s;
	int i;

	*out = (struct fit_data){ .n_blocks = d->n_blocks - 1 };
	out->sample = xcalloc((size_t)d->n, sizeof(*out->sample));
	for (i = 0; i < d->n; i++) {
		if (d->sample[i].block == block)
			continue;
		s = &out->sample[out->n];
		*s = d->sample[i];
		s->block -= s->block > block;
		out->n_sizes += !out->n || s->n != s[-1].n;
		out->n++;
	}
}

void fit_data_release(struct fit_data *d)
{
	free(d->sample);
	*d = (struct fit_data){ 0 };
}
