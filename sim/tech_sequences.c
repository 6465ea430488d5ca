/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sequences and where their copies are computed. */
#include "sim/tech_migrate.h"
#include "sim/rng.h"

#include "base/mem.h"

#include <gsl/gsl_randist.h>
#include <stdlib.h>

void sequences_release(struct sequences *s)
{
	free(s->length);
	free(s->origin);
	free(s->copies);
	free(s->total);
	*s = (struct sequences){ 0 };
}

static enum status size_check(int n, int gpus)
{
	if (n < 1 || n > SEQUENCES_MAX) {
		return err_set(ST_INPUT, "migration: %d sequences are not in "
			       "1..%d", n, SEQUENCES_MAX);
	}
	if (gpus < 1 || gpus > SEQUENCES_GPUS_MAX ||
	    (long)n * gpus > SEQUENCES_CELLS_MAX) {
		return err_set(ST_INPUT, "migration: %d sequences on %d GPUs "
			       "are more than %ld counts", n, gpus,
			       SEQUENCES_CELLS_MAX);
	}
	return ST_OK;
}

static void init(struct sequences *s, int n, int gpus)
{
	*s = (struct sequences){ .n = n, .gpus = gpus };
	s->length = xcalloc((size_t)n, sizeof(int));
	s->origin = xcalloc((size_t)n, sizeof(int));
	s->total = xcalloc((size_t)n, sizeof(int));
	s->copies = xcalloc((size_t)n * (size_t)gpus, sizeof(int));
	for (int i = 0; i < n; i++) {
		s->origin[i] = (int)((long)i * gpus / n);
	}
}

static enum status spec_check(const struct sequences_spec *s)
{
	if (s->k < 1 || s->length_min < 1 || s->length_max < s->length_min ||
	    (long)s->length_max * s->k > 1 << 28) {
		return err_set(ST_INPUT, "migration: lengths %d..%d with %d "
			       "copies per token", s->length_min,
			       s->length_max, s->k);
	}
	if (s->hot < 1 || s->hot > s->gpus || !(s->focus >= 0 &&
						s->focus <= 1)) {
		return err_set(ST_INPUT, "migration: %d favourite GPUs of %d "
			       "with a share of %g", s->hot, s->gpus, s->focus);
	}
	return size_check(s->n, s->gpus);
}

/* `copies` thrown evenly on the GPUs of a list (NULL: on all). */
static void throw_copies(gsl_rng *rng, long copies, const int *list, int n,
			 int *row)
{
	while (copies-- > 0) {
		int j = (int)gsl_rng_uniform_int(rng, (unsigned long)n);

		row[list ? list[j] : j]++;
	}
}

enum status sequences_make(const struct sequences_spec *spec,
			   struct sequences *out)
{
	enum status st = spec_check(spec);
	int *order, range;
	gsl_rng *rng;

	if (st) {
		return st;
	}
	range = spec->length_max - spec->length_min + 1;
	order = xcalloc((size_t)spec->gpus, sizeof(*order));
	for (int j = 0; j < spec->gpus; j++) {
		order[j] = j;
	}
	rng = rng_new(spec->seed, RNG_SEQUENCES);
	init(out, spec->n, spec->gpus);
	for (int i = 0; i < spec->n; i++) {
		int *row = out->copies + (long)i * spec->gpus;
		long all, near;

		out->length[i] = spec->length_min + (int)gsl_rng_uniform_int(
			rng, (unsigned long)range);
		all = (long)out->length[i] * spec->k;
		near = (long)(spec->focus * (double)all + 0.5);
		for (int h = 0; h < spec->hot; h++) {	/* Fisher-Yates */
			int at = h + (int)gsl_rng_uniform_int(rng,
				(unsigned long)(spec->gpus - h));
			int g = order[at];

			order[at] = order[h];
			order[h] = g;
		}
		throw_copies(rng, near, order, spec->hot, row);
		throw_copies(rng, all - near, NULL, spec->gpus, row);
		out->total[i] = (int)all;
	}
	gsl_rng_free(rng);
	free(order);
	return ST_OK;
}

static enum status count_token(const struct token_routing *r, int t,
			       struct sequences *s)
{
	int i = r->sequence[t];

	if (i < 0 || i >= s->n) {
		return err_set(ST_INPUT, "migration: token %d is of sequence "
			       "%d of %d", t, i, s->n);
	}
	s->length[i]++;
	for (int c = 0; c < r->k; c++) {
		int e = r->expert[(long)t * r->k + c];
		int g = e >= 0 && e < r->experts ? r->gpu_of[e] : -1;

		if (e >= r->experts || (e >= 0 && (g < 0 || g >= s->gpus))) {
			return err_set(ST_INPUT, "migration: token %d goes to "
				       "expert %d of %d on GPU %d of %d", t, e,
				       r->experts, g, s->gpus);
		}
		if (e >= 0) {
			s->copies[(long)i * s->gpus + g]++;
			s->total[i]++;
		}
	}
	return ST_OK;
}

enum status sequences_count(const struct token_routing *r, int n, int gpus,
			    struct sequences *out)
{
	enum status st = size_check(n, gpus);
	struct sequences s;

	if (st) {
		return st;
	}
	init(&s, n, gpus);
	for (int t = 0; t < r->tokens && !st; t++) {
		st = count_token(r, t, &s);
	}
	if (st) {
		sequences_release(&s);
		return st;
	}
	*out = s;
	return ST_OK;
}
