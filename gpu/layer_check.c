/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A backend's results against the twin. */
#include "gpu/layer_dense.h"

#include "base/mem.h"
#include "gpu/layer_ref_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Plans of one layer differ in algorithm and degrees, the results do not: the
 * twin's are kept for the last few layers. A coordinator checks one at a
 * time.
 */
#define KEPT 4

static struct kept {
	char *key;		/* NULL: empty */
	struct layer_ref ref;
	uint64_t used;
} kept[KEPT];
static uint64_t uses;

static char *key_of(const struct layer_case *c, int first, int n)
{
	struct layer_case plain = *c;
	char *text, *key;

	plain.plan.alltoall = A2A_FLAT;
	plain.plan.degree_forward = plain.plan.degree_backward = 1;
	plain.plan.gradient_bytes = 0;
	plain.tier[0] = plain.label[0] = '\0';
	plain.plant_fault = plain.graph = plain.counts_known = false;
	text = layer_case_text(&plain);
	key = xasprintf("%d %d %s", first, n, text);
	free(text);
	return key;
}

static enum status ref_get(const struct layer_case *c, int first, int n,
			   int threads, struct layer_ref **out_p)
{
	char *key = key_of(c, first, n);
	struct kept *k = &kept[0];
	enum status st;
	int i;

	for (i = 0; i < KEPT; i++) {
		if (kept[i].key && !strcmp(kept[i].key, key)) {
			kept[i].used = ++uses;
			*out_p = &kept[i].ref;
			free(key);
			return ST_OK;
		}
		if (kept[i].used < k->used)
			k = &kept[i];
	}
	if (k->key)
		layer_ref_release(&k->ref);
	free(k->key);
	k->key = NULL;
	st = layer_ref_make(c, first, n, threads, &k->ref);
	if (st) {
		free(key);
		return st;
	}
	k->key = key;
	k->used = ++uses;
	*out_p = &k->ref;
	return ST_OK;
}

static void beat(const struct layer_fetch *f)
{
	if (f->beat)
		f->beat(f->arg);
}

/* Samples [begin, end) are of one tensor and rank. */
static int run_end(const struct layer_ref *ref, int begin)
{
	const struct layer_sample *s = ref->sample;
	int end = begin;

	while (end < ref->n && s[end].tensor == s[begin].tensor &&
	       s[end].rank == s[begin].rank)
		end++;
	return end;
}

static enum status fetch_all(const struct layer_ref *ref,
			     const struct layer_fetch *f, double *got)
{
	int64_t *index = xcalloc((size_t)ref->n + 1, sizeof(*index));
	enum status st = ST_OK;
	int i, end;

	for (i = 0; i < ref->n; i++)
		index[i] = ref->sample[i].index;
	for (i = 0; i < ref->n && !st; i = end) {
		end = run_end(ref, i);
		st = f->elements(f->arg, ref->sample[i].tensor,
				 ref->sample[i].rank, index + i, end - i,
				 got + i);
	}
	free(index);
	return st;
}

/* dwg from the backend's own dlogits; those are compared, too. */
static enum status gate_from_backend(const struct layer_case *c,
				     const struct layer_fetch *f,
				     struct layer_ref *ref)
{
	size_t each = (size_t)c->tokens * (size_t)c->k;
	double *d = xcalloc(each * (size_t)layer_ranks(c), sizeof(*d));
	enum status st = ST_OK;
	int r, i = 0, n = 0;

	for (r = 0; r < layer_ranks(c) && !st; r++) {
		st = f->elements(f->arg, LAYER_DLOGIT, r, NULL, (int)each,
				 d + (size_t)r * each);
	}
	while (i < ref->n && ref->sample[i].tensor != LAYER_DWG)
		i++;
	while (i + n < ref->n && ref->sample[i + n].tensor == LAYER_DWG)
		n++;
	if (!st)
		ref_gate(c, &ref->route, d, ref->sample + i, n);
	free(d);
	return st;
}

static enum status check_routing(const struct layer_case *c,
				 const struct layer_fetch *f,
				 const struct layer_route *r, int rank,
				 int64_t *wrong_p)
{
	size_t each = (size_t)c->tokens * (size_t)c->k, i;
	int32_t *id = xcalloc(2 * each, sizeof(*id)), *pos = id + each;
	const int32_t *want = r->id + (size_t)rank * each;
	enum status st = f->routing(f->arg, rank, id, pos);

	for (i = 0; i < each && !st; i++) {
		*wrong_p += id[i] != want[i] ||
			    pos[i] != r->pos[(size_t)rank * each + i];
	}
	free(id);
	return st ? st : layer_dense_check(c, f, rank, wrong_p);
}

static double *error_of(struct layer_check *out, enum layer_tensor t)
{
	switch (t) {
	case LAYER_Y:
		return &out->error_y;
	case LAYER_DX:
		return &out->error_dx;
	case LAYER_DLOGIT:
	case LAYER_DWG:
		return &out->error_dwg;
	case LAYER_DW1:
	case LAYER_DWS1:
		return &out->error_dw1;
	default:
		return &out->error_dw2;
	}
}

/* Samples [begin, end) of one tensor, all ranks. */
static void compare(const struct layer_sample *s, const double *got, int n,
		    double *worst)
{
	double sum = 0, scale, error;
	int i;

	for (i = 0; i < n; i++)
		sum += s[i].want * s[i].want;
	scale = sqrt(sum / n);
	for (i = 0; i < n; i++) {
		error = fabs(got[i] - s[i].want);
		if (error > 0)
			error /= fabs(s[i].want) + scale;
		/* not a number is as wrong as can be */
		*worst = error <= *worst ? *worst : isnan(error) ? INFINITY :
			 error;
	}
}

static void compare_all(const struct layer_ref *ref, const double *got,
			struct layer_check *out)
{
	const struct layer_sample *s = ref->sample;
	int i, end;

	for (i = 0; i < ref->n; i = end) {
		for (end = i; end < ref->n && s[end].tensor == s[i].tensor;)
			end++;
		compare(s + i, got + i, end - i, error_of(out, s[i].tensor));
	}
	out->compared = ref->n;
}

static void set_correct(const struct layer_case *c, struct layer_check *out)
{
	double limit = c->dtype == DT_BF16 ? LAYER_TOLERANCE_BF16 :
					     LAYER_TOLERANCE_FP32;

	out->correct = !out->wrong_integers && out->error_y <= limit &&
		       out->error_dx <= limit && out->error_dwg <= limit &&
		       out->error_dw1 <= limit && out->error_dw2 <= limit;
}

enum status layer_ref_check(const struct layer_case *c,
			    const struct layer_fetch *f, int first, int n,
			    int threads, struct layer_check *out)
{
	struct layer_check found = { 0 };
	struct layer_ref *ref;
	double *got;
	enum status st = ref_get(c, first, n, threads, &ref);
	int r;

	if (st)
		return st;
	beat(f);
	got = xcalloc((size_t)ref->n + 1, sizeof(*got));
	for (r = first; r < first + n && !st; r++) {
		st = check_routing(c, f, &ref->route, r,
				   &found.wrong_integers);
	}
	if (!st && !ref->full && n == layer_ranks(c))
		st = gate_from_backend(c, f, ref);
	beat(f);
	if (!st)
		st = fetch_all(ref, f, got);
	if (!st) {
		if (c->plant_fault)
			got[0] += 1;
		compare_all(ref, got, &found);
		set_correct(c, &found);
		*out = found;
	}
	free(got);
	return st;
}

void layer_check_join(struct layer_check *all, const struct layer_check *one)
{
	all->wrong_integers += one->wrong_integers;
	all->error_y = fmax(all->error_y, one->error_y);
	all->error_dx = fmax(all->error_dx, one->error_dx);
	all->error_dwg = fmax(all->error_dwg, one->error_dwg);
	all->error_dw1 = fmax(all->error_dw1, one->error_dw1);
	all->error_dw2 = fmax(all->error_dw2, one->error_dw2);
	all->correct = (all->compared ? all->correct : true) && one->correct;
	all->compared += one->compared;
}
