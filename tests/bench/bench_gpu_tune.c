/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_gpu tune: what limits the experts' products. Each of the six, in
 * every layout of its operands and by several of cuBLAS's algorithms: in a
 * burst, and sustained (the second half of SUSTAIN_S of nothing else, after
 * the ones before: at the clock that the power allows). Then all six in turn
 * for SEQUENCE_S: the ceiling of the machine, with its clock and power.
 */
#include "bench_gpu_tune.h"

#include "base/mem.h"
#include "gpu/k_ffn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define SUSTAINED 3		/* candidates: the best of a burst, and #0 */
#define SUSTAIN_S 0.06
#define SEQUENCE_S 1.0

static const struct tune_shape shapes[] = {
	{ "mixtral-16k", 32692, 4096, 14336, 4, true },
	{ "mixtral-4k", 8205, 4096, 14336, 4, true },
	{ "gpt-moe-16k", 32555, 2048, 8192, 8, false },
};

static const struct variant variants[] = {
	{ "batched", false, false, false, 1, ALGOS, 0 },
	{ "each, one stream", false, false, true, 1, ALGOS_OTHER, 0 },
	{ "each, streams", false, false, true, STREAMS, ALGOS_OTHER, 0 },
	{ "a transposed", true, false, false, 1, ALGOS_OTHER, 0 },
	{ "b transposed", false, true, false, 1, ALGOS_OTHER, 0 },
	{ "both transposed", true, true, false, 1, ALGOS_OTHER, 0 },
};

#define OWN_LAYOUTS 3		/* the first variants need no other layout */

/* Seconds of one of n, the second half of them; all at once queued. */
static enum status time_n(struct tune *t, const struct way *w, int algo, int n,
			  double *s_p)
{
	struct bench_rank *r = t->r;
	enum status st = ST_OK;
	float ms;
	int i;

	CUDA_GOTO(out, st, cudaEventRecord(r->start, r->s));
	for (i = 0; i < n && !st; i++) {
		if (i == n / 2)
			CUDA_GOTO(out, st, cudaEventRecord(t->mid, r->s));
		st = tune_run(t, w, algo);
	}
	if (st)
		goto out;
	CUDA_GOTO(out, st, cudaEventRecord(r->stop, r->s));
	CUDA_GOTO(out, st, cudaEventSynchronize(r->stop));
	CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, t->mid, r->stop));
	*s_p = (double)ms * 1e-3 / (n - n / 2);
out:
	return st;
}

static double flops(const struct tune *t, int p)
{
	int64_t rows = 0;
	int e;

	for (e = 0; e < t->c->experts; e++)
		rows += t->count[e];
	return 2.0 * (double)rows * t->c->hidden * t->c->ffn *
	       (t->c->gated && (p == PRE || p == DX || p == DW1) ? 2 : 1);
}

/* Each for a moment. */
static void screen(struct tune *t, const struct way *w, double *s)
{
	int i, n = tune_algos(w);

	for (i = 0; i < w->v->algos; i++) {
		ranks_barrier(t->r->b->all);
		s[i] = 0;
		if (i >= n)
			continue;
		if (time_n(t, w, i, 2, &s[i])) {
			s[i] = 0;	/* cannot, after all */
			err_clear();
		}
	}
}

static int best_of(const double *s, int n, double *taken)
{
	int best = -1, i;

	for (i = 0; i < n; i++) {
		if (s[i] > 0 && taken[i] <= 0 && (best < 0 || s[i] < s[best]))
			best = i;
	}
	return best;
}

static void keep_way(struct tune *t, int p, struct way *w, int algo, double s,
		     int variant)
{
	struct way *copy = NULL;
	bool own = variant < OWN_LAYOUTS;

	if (w->v->epilogue)
		return;
	if ((own && (!t->best[p] || s < t->best[p]->s)) ||
	    !t->any[p] || s < t->any[p]->s) {
		copy = xcalloc(1, sizeof(*copy));	/* lives to the end */
		*copy = *w;
		copy->algo = algo;
		copy->s = s;
	}
	if (own && (!t->best[p] || s < t->best[p]->s))
		t->best[p] = copy;
	if (!t->any[p] || s < t->any[p]->s)
		t->any[p] = copy;
}

static void keep_burst(struct tune *t, int p, struct way *w, int algo,
		       double s)
{
	if (w->v->epilogue || (t->burst[p] && s >= t->burst_s[p]))
		return;
	t->burst[p] = xcalloc(1, sizeof(*w));
	*t->burst[p] = *w;
	t->burst[p]->algo = algo;
	t->burst_s[p] = s;
}

static enum status one_variant(struct tune *t, int p, const struct variant *v,
			       int variant)
{
	struct product m = tune_product(t, p);
	double s[ALGOS], taken[ALGOS] = { 0 }, tf = flops(t, p) / 1e12;
	bool talk = t->r->rank == 0;
	struct way *w = xcalloc(1, sizeof(*w));
	enum status st = tune_make_way(t, &m, v, w);
	int i, at, n = tune_algos(w), least = -1;

	if (!st)
		screen(t, w, s);
	at = best_of(s, n, taken);
	if (talk && at >= 0)
		printf("  %-4s %-17s burst #%d %.0f #0 %.0f  sustained",
		       m.name, v->name, at, tf / s[at], tf / s[0]);
	if (at >= 0 && variant < OWN_LAYOUTS)
		keep_burst(t, p, w, at, s[at]);
	for (i = 0; i < SUSTAINED && !st; i++) {
		ranks_barrier(t->r->b->all);
		at = i + 1 < SUSTAINED ? best_of(s, n, taken)
				       : taken[0] > 0 ? -1 : 0;
		if (at < 0 || n < 1)
			continue;
		st = time_n(t, w, at, (int)(SUSTAIN_S / s[at]) + 2, &taken[at]);
		if (talk)
			printf(" #%d %.0f", at, tf / taken[at]);
		if (least < 0 || taken[at] < taken[least])
			least = at;
	}
	if (!st && least >= 0) {
		keep_way(t, p, w, least, taken[least], variant);
		if (talk)
			tune_print_algo(w, least);
	}
	if (talk)
		printf("%s\n", n ? "" : " none");
	free(w);
	return st;
}

static enum status act_between(struct tune *t, bool backward)
{
	struct k_ffn_act a = {
		.pre = t->buffer[P], .h = t->buffer[H], .g = t->buffer[GH],
		.ffn = t->c->ffn, .gated = t->c->gated, .bf16 = true
	};
	struct k_ffn_rows r = { .total = (int64_t)t->stride * t->c->experts,
				.stride = t->stride };

	memcpy(r.count, t->count, (size_t)t->c->experts * sizeof(*r.count));
	return backward ? cuda_status(k_ffn_act_back(&a, &r, t->r->s), "act")
			: cuda_status(k_ffn_act(&a, &r, t->r->s), "act");
}

static enum status sequence(struct tune *t, const char *name,
			    struct way *const *ways, bool acts, void *device)
{
	struct bench_rank *r = t->r;
	double all = 0, s, tf = 0;
	enum status st = ST_OK;
	int i, p, n;
	float ms;

	for (p = 0; p < PRODUCTS; p++) {
		tf += flops(t, p) / 1e12;
		all += ways[p] ? ways[p]->s > 0 ? ways[p]->s : t->burst_s[p]
			       : 1;
	}
	n = (int)(SEQUENCE_S / all) + 2;
	n = n > 150 ? 150 : n;
	ranks_barrier(r->b->all);
	for (i = 0; i < n; i++) {
		if (i == n / 4)
			CUDA_GOTO(out, st, cudaEventRecord(r->start, r->s));
		for (p = 0; p < PRODUCTS && !st; p++) {
			st = ways[p] ? tune_run(t, ways[p], ways[p]->algo)
				     : ST_OK;
			if (!st && acts && (p == PRE || p == G))
				st = act_between(t, p == G);
		}
		if (st)
			goto out;
	}
	CUDA_GOTO(out, st, cudaEventRecord(r->stop, r->s));
	bench_watch(t->r, device);
	CUDA_GOTO(out, st, cudaEventSynchronize(r->stop));
	CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, r->start, r->stop));
	s = bench_largest(r, (double)ms * 1e-3 / (n - n / 4));
	if (r->rank == 0)
		printf("  %s: %.3f ms, %.0f TFLOP/s (this rank %.3f ms)\n",
		       name, s * 1e3, tf / s, (double)ms / (n - n / 4));
	fflush(stdout);
out:
	return st;
}

/* Which GELU is cuBLAS's? */
static enum status which_gelu(struct tune *t)
{
	uint16_t pre[1024], h[1024];
	double by_erf = 0, by_tanh = 0, x, got, erf_, tanh_;
	uint32_t bits;
	enum status st;
	float f;
	int i;

	CUDA_GOTO(out, st, cudaMemcpy(pre, t->buffer[P], sizeof(pre),
				      cudaMemcpyDeviceToHost));
	CUDA_GOTO(out, st, cudaMemcpy(h, t->buffer[H], sizeof(h),
				      cudaMemcpyDeviceToHost));
	for (i = 0; i < 1024; i++) {
		bits = (uint32_t)pre[i] << 16;
		memcpy(&f, &bits, 4);
		x = f;
		bits = (uint32_t)h[i] << 16;
		memcpy(&f, &bits, 4);
		got = f;
		erf_ = 0.5 * x * (1 + erf(x * sqrt(0.5)));
		tanh_ = 0.5 * x * (1 + tanh(0.7978845608 *
					    (x + 0.044715 * x * x * x)));
		by_erf = fmax(by_erf, fabs(got - erf_));
		by_tanh = fmax(by_tanh, fabs(got - tanh_));
	}
	if (t->r->rank == 0)
		printf("  cuBLAS's gelu: off from erf's by %.2g, from tanh's "
		       "by %.2g\n", by_erf, by_tanh);
out:
	return st;
}

static enum status epilogues(struct tune *t)
{
	static const struct variant gelu = {
		"gelu, pre kept", false, false, false, 1, ALGOS_OTHER,
		CUBLASLT_EPILOGUE_GELU_AUX
	}, back = {
		"gelu's slope", false, false, false, 1, ALGOS_OTHER,
		CUBLASLT_EPILOGUE_DGELU
	};
	enum status st = one_variant(t, PRE, &gelu, 0);

	if (!st)
		st = which_gelu(t);
	return st ? st : one_variant(t, G, &back, 0);
}

static enum status one_shape(struct bench_rank *r, const struct tune_shape *c)
{
	struct tune *t = xcalloc(1, sizeof(*t));
	void *device = bench_watch_open(r->rank);
	enum status st;
	size_t i;
	int p;

	t->c = c;
	t->r = r;
	st = tune_set_up(t);
	if (!st && r->rank == 0)
		printf("%s: %d experts, stride %d, TFLOP/s (algorithm: id tile "
		       "stages split swizzle custom cluster), cublasLt %zu\n",
		       c->name, c->experts, t->stride, cublasLtGetVersion());
	for (p = 0; p < PRODUCTS; p++) {
		for (i = 0; i < COUNT(variants) && !st; i++)
			st = one_variant(t, p, &variants[i], (int)i);
	}
	if (!st)
		st = sequence(t, "all six, best sustained", t->best, false,
			      device);
	if (!st)
		st = sequence(t, "all six, best in bursts", t->burst, false,
			      device);
	if (!st)
		st = sequence(t, "all six, best layout", t->any, false,
			      device);
	if (!st)
		st = sequence(t, "best sustained and activations", t->best,
			      true, device);
	if (!st && !c->gated)
		st = epilogues(t);
	cudaDeviceSynchronize();
	cudaFree(t->arena);
	cudaFree(t->workspace);
	return st;
}

enum status bench_tune(struct bench_rank *r)
{
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < COUNT(shapes) && !st; i++)
		st = one_shape(r, &shapes[i]);
	return st;
}
