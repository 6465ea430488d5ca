/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The twin of layers: its outputs are those of a plain forward pass over
 * arrays, its gradients are the slopes of sum dy . y (central differences).
 */
#include "gpu/layer_ref.h"
#include "tests/unit/layer_help.h"

#include "base/mem.h"
#include "gpu/layer_exchange.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STEP 1e-4
/* of a difference quotient: STEP^2 times the third derivative, and rounding
 * of sums of some tens over STEP */
#define SLOPE_ERROR 2e-7

/* Everything in arrays. */
struct plain {
	const struct layer_case *c;
	const struct layer_route *r;
	double *x, *dy, *wg, *w1, *w2, *ws1, *ws2;
	double *nudge;		/* added to the logits [ranks*tokens*k] */
};

static double *make(const struct layer_case *c, enum layer_tensor t,
		    int ranks, size_t each, double scale)
{
	double *v = xcalloc((size_t)ranks * each + 1, sizeof(*v));
	size_t i;
	int r;

	for (r = 0; r < ranks; r++) {
		uint32_t key = layer_key(c->seed, r, t);

		for (i = 0; i < each; i++) {
			v[(size_t)r * each + i] =
				scale * (double)fill_value(key, i);
		}
	}
	return v;
}

static void plain_open(struct plain *p, const struct layer_case *c,
		       const struct layer_route *r)
{
	size_t h = (size_t)c->hidden, e = (size_t)c->experts;
	size_t width = (size_t)c->ffn * (c->gated ? 2 : 1);
	size_t swidth = (size_t)c->shared_ffn * (c->gated ? 2 : 1);
	size_t rows = (size_t)c->tokens * h;
	int ranks = layer_ranks(c);

	*p = (struct plain){ .c = c, .r = r };
	p->x = make(c, LAYER_X, ranks, rows, 1);
	p->dy = make(c, LAYER_DY, ranks, rows, 1);
	p->wg = make(c, LAYER_WG, 1, h * e, LAYER_GATE_SCALE);
	p->w1 = make(c, LAYER_W1, 1, e * h * width,
		     layer_weight_scale(c->hidden));
	p->w2 = make(c, LAYER_W2, 1, e * h * (size_t)c->ffn,
		     layer_weight_scale(c->ffn));
	p->ws1 = make(c, LAYER_WS1, 1, h * swidth,
		      layer_weight_scale(c->hidden));
	p->ws2 = make(c, LAYER_WS2, 1, h * (size_t)c->shared_ffn,
		      layer_weight_scale(c->shared_ffn));
	p->nudge = xcalloc((size_t)(ranks * c->tokens * c->k),
			   sizeof(*p->nudge));
}

static void plain_close(struct plain *p)
{
	free(p->x);
	free(p->dy);
	free(p->wg);
	free(p->w1);
	free(p->w2);
	free(p->ws1);
	free(p->ws2);
	free(p->nudge);
}

/* y += weight * FFN(x) with one expert's w1 and w2. */
static void ffn(const struct layer_case *c, int width, const double *w1,
		const double *w2, const double *x, double weight, double *y)
{
	int j, h, parts = c->gated ? 2 : 1;

	for (j = 0; j < width; j++) {
		double a = 0, b = 0;

		for (h = 0; h < c->hidden; h++) {
			a += x[h] * w1[h * width * parts + j];
			if (c->gated)
				b += x[h] * w1[h * width * parts + width + j];
		}
		a = c->gated ? a / (1 + exp(-a)) * b :
			       0.5 * a * (1 + erf(a / sqrt(2)));
		for (h = 0; h < c->hidden; h++)
			y[h] += weight * a * w2[j * c->hidden + h];
	}
}

static void token(const struct plain *p, int64_t t, double *y)
{
	const struct layer_case *c = p->c;
	const double *x = p->x + t * c->hidden;
	const int32_t *id = p->r->id + t * c->k;
	int64_t width = c->ffn * (c->gated ? 2 : 1);
	double w[LAYER_K_MAX], sum = 0;
	int j, h;

	memset(y, 0, (size_t)c->hidden * sizeof(*y));
	for (j = 0; j < c->k; j++) {
		w[j] = p->nudge[t * c->k + j];
		for (h = 0; h < c->hidden; h++)
			w[j] += x[h] * p->wg[h * c->experts + id[j]];
		w[j] = exp(w[j]);
		sum += w[j];
	}
	for (j = 0; j < c->k; j++) {
		if (!layer_route_kept(p->r, t * c->k + j))
			continue;
		ffn(c, c->ffn, p->w1 + id[j] * c->hidden * width,
		    p->w2 + (int64_t)id[j] * c->ffn * c->hidden, x,
		    w[j] / sum, y);
	}
	if (c->shared_ffn)
		ffn(c, c->shared_ffn, p->ws1, p->ws2, x, 1, y);
}

static double loss(const struct plain *p)
{
	int64_t tokens = (int64_t)layer_ranks(p->c) * p->c->tokens, t;
	double y[64], sum = 0;
	int h;

	for (t = 0; t < tokens; t++) {
		token(p, t, y);
		for (h = 0; h < p->c->hidden; h++)
			sum += y[h] * p->dy[t * p->c->hidden + h];
	}
	return sum;
}

/* The number that a sample is the slope of. */
static double *variable(struct plain *p, const struct layer_sample *s)
{
	const struct layer_case *c = p->c;
	int64_t rows = (int64_t)s->rank * c->tokens, i = s->index;
	int shard = layer_shard_ffn(c), width = shard * layer_w1_parts(c);
	int local;

	switch (s->tensor) {
	case LAYER_DX:
		return p->x + rows * c->hidden + i;
	case LAYER_DLOGIT:
		return p->nudge + rows * c->k + i;
	case LAYER_DWG:
		return p->wg + i;
	case LAYER_DW1:
		local = (int)(i / (c->hidden * width));
		i %= c->hidden * width;
		return p->w1 + layer_w1_index(c, s->rank, local,
					      (int)(i / width),
					      (int)(i % width));
	case LAYER_DW2:
		local = (int)(i / (shard * c->hidden));
		i %= shard * c->hidden;
		return p->w2 + layer_w2_index(c, s->rank, local,
					      (int)(i / c->hidden),
					      (int)(i % c->hidden));
	case LAYER_DWS1:
		return p->ws1 + i;
	default:
		return p->ws2 + i;
	}
}

static double slope(struct plain *p, double *at)
{
	double was = *at, up, down;

	*at = was + STEP;
	up = loss(p);
	*at = was - STEP;
	down = loss(p);
	*at = was;
	return (up - down) / (2 * STEP);
}

static void check_case(const struct layer_case *c)
{
	struct layer_ref ref;
	struct plain p;
	double y[64], got;
	int i, seen[LAYER_TENSOR_N] = { 0 };

	assert_int_equal(layer_case_check(c), ST_OK);
	assert_int_equal(layer_ref_make(c, 0, layer_ranks(c), 2, &ref), ST_OK);
	assert_true(ref.full);
	plain_open(&p, c, &ref.route);
	for (i = 0; i < ref.n; i++) {
		const struct layer_sample *s = &ref.sample[i];

		seen[s->tensor]++;
		if (s->tensor == LAYER_Y) {
			token(&p, (int64_t)s->rank * c->tokens +
			      s->index / c->hidden, y);
			got = y[s->index % c->hidden];
			assert_true(fabs(got - s->want) < 1e-12);
			continue;
		}
		got = slope(&p, variable(&p, s));
		assert_true(fabs(got - s->want) < SLOPE_ERROR *
			    (1 + fabs(got)));
	}
	for (i = LAYER_Y; i <= LAYER_DW2; i++)
		assert_true(seen[i] > 0);
	assert_int_equal(seen[LAYER_DWS1] > 0, c->shared_ffn > 0);
	plain_close(&p);
	layer_ref_release(&ref);
}

static struct layer_case small(void)
{
	struct layer_case c = { .dtype = DT_FP32, .tokens = 7, .hidden = 6,
				.ffn = 4, .experts = 4, .k = 2, .nodes = 1,
				.gpus_per_node = 2, .seed = 5 };

	c.plan.layout = (struct layout){ 2, 1, 1, 1, 1 };
	c.plan.degree_forward = c.plan.degree_backward = 1;
	return c;
}

static void test_gelu(void **state)
{
	struct layer_case c = small();

	(void)state;
	check_case(&c);
}

static void test_gated(void **state)
{
	struct layer_case c = small();

	(void)state;
	c.gated = true;
	c.shared_ffn = 3;
	check_case(&c);
}

/* 2 of 7 x 2 / 4 copies of a cell stay, on average. */
static void test_drops(void **state)
{
	struct layer_case c = small();

	(void)state;
	c.capacity = 2;
	c.plan.capacity_factor = 0.5;
	check_case(&c);
}

static void test_given(void **state)
{
	struct layer_case c = small();
	/* expert 1 has every token of rank 0, expert 3 none */
	int32_t count[] = { 4, 7, 3, 0, 1, 2, 5, 6 };

	(void)state;
	c.gated = true;
	c.count = count;
	c.shared_ffn = 2;
	check_case(&c);
}

/* Shards of the inner size; copies of experts. */
static void test_layouts(void **state)
{
	struct layer_case c = small();

	(void)state;
	c.gpus_per_node = 4;
	c.plan.layout = (struct layout){ 2, 2, 1, 1, 1 };
	c.gated = true;
	check_case(&c);
	c.experts = 2;
	c.plan.layout = (struct layout){ 4, 1, 1, 1, 1 };
	check_case(&c);
	c.plan.layout = (struct layout){ 1, 2, 1, 2, 1 };
	check_case(&c);
}

/* Each token k different experts, every expert its count. */
static void test_dealing(void **state)
{
	uint64_t random = 99;
	int i, r, t, j, e;

	(void)state;
	for (i = 0; i < 200; i++) {
		struct layer_case c = help_case(&random);
		int32_t *id = xcalloc((size_t)(c.tokens * c.k), sizeof(*id));

		for (r = 0; c.count && r < layer_ranks(&c); r++) {
			int32_t *left = xcalloc((size_t)c.experts,
						sizeof(*left));

			memcpy(left, c.count + r * c.experts,
			       (size_t)c.experts * sizeof(*left));
			layer_given_ids(&c, r, id);
			for (t = 0; t < c.tokens * c.k; t++) {
				left[id[t]]--;
				for (j = t - t % c.k; j < t; j++)
					assert_int_not_equal(id[j], id[t]);
			}
			for (e = 0; e < c.experts; e++)
				assert_int_equal(left[e], 0);
			free(left);
		}
		free(id);
		free(c.count);
	}
}

/* The comparison sees what is wrong. */
struct results {
	const struct layer_case *c;
	struct layer_ref ref;
	enum layer_tensor bad;	/* its elements are off */
	double by;
	bool bad_routing, has_nan;
};

static enum status elements(void *arg, enum layer_tensor t, int rank,
			    const int64_t *index, int n, double *out)
{
	const struct results *r = arg;
	int i, j;

	for (i = 0; i < n; i++) {
		for (j = 0; j < r->ref.n; j++) {
			const struct layer_sample *s = &r->ref.sample[j];

			if (s->tensor == t && s->rank == rank &&
			    s->index == index[i])
				out[i] = s->want + (t == r->bad ? r->by : 0);
		}
		if (r->has_nan && t == r->bad)
			out[i] = NAN;
	}
	return ST_OK;
}

static enum status routing(void *arg, int rank, int32_t *id, int32_t *pos)
{
	const struct results *r = arg;
	int each = r->c->tokens * r->c->k;

	memcpy(id, r->ref.route.id + rank * each,
	       (size_t)each * sizeof(*id));
	memcpy(pos, r->ref.route.pos + rank * each,
	       (size_t)each * sizeof(*pos));
	pos[3] += r->bad_routing;
	return ST_OK;
}

static struct layer_check compare(struct results *r)
{
	struct layer_fetch f = { r, elements, routing, NULL };
	struct layer_check check;

	assert_int_equal(layer_ref_check(r->c, &f, 0, layer_ranks(r->c), 1,
					 &check), ST_OK);
	return check;
}

static void test_check(void **state)
{
	struct layer_case c = small();
	struct results r = { .c = &c, .bad = LAYER_TENSOR_N };
	struct layer_check check;

	(void)state;
	assert_int_equal(layer_ref_make(&c, 0, 2, 1, &r.ref), ST_OK);
	check = compare(&r);
	assert_true(check.correct && check.compared == r.ref.n);
	assert_true(check.error_y == 0 && check.error_dw2 == 0);
	r.by = 1e-3;
	for (r.bad = LAYER_Y; r.bad <= LAYER_DW2; r.bad++)
		assert_false(compare(&r).correct);
	r.bad = LAYER_DX;
	r.has_nan = true;
	assert_false(compare(&r).correct);
	r.bad = LAYER_TENSOR_N;
	r.bad_routing = true;
	check = compare(&r);
	assert_int_equal(check.wrong_integers, 2);	/* one on each rank */
	r.bad_routing = false;
	c.plant_fault = true;
	assert_false(compare(&r).correct);
	layer_ref_release(&r.ref);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gelu),
		cmocka_unit_test(test_gated),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_dealing),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
