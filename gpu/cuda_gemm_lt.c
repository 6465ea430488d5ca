/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Products by cublasLt, with the fastest of its algorithms.
 *
 * The heuristic's first choice is now and then far off: at 64, 128 or 1024
 * rows it took up to 1.6 times as long as at a sixth more rows (H200, cuBLAS
 * 13.1). Layers try what there is (cuda_ffn_tune.c), so what their products
 * cost is the time of the best; and it rises with the work, where the first
 * choice's does not.
 */
#include "gpu/cuda_gemm.h"

#include "gpu/k.h"
#include "gpu/ref.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* The host queues some calls meanwhile: of one product for each expert that is
 * as many times more. */
#define LEAD_S 5e-5
#define LEAD_MAX_S 4e-3
#define LEAD_TIMES 1.5
#define RUNS_S 1e-4		/* short ones run so long, in so many calls */
#define RUNS_MAX 8
#define ENOUGH_S 0.025		/* no further candidates after so long */
#define LEAST 2			/* candidates in any case */

static enum status make_layouts(struct cuda_product *p,
				const struct bench_work *w, int32_t batch)
{
	const uint64_t m = w->m, n = w->n, k = w->k;
	const bool turned = ref_is_turned(w);
	const struct {
		cublasLtMatrixLayout_t *l;
		uint64_t rows, columns;
	} all[3] = {
		{ &p->a, n, k },
		{ &p->b, turned ? m : k, turned ? k : m },
		{ &p->c, n, m }
	};
	cudaDataType_t t = cuda_is_bf16(w) ? CUDA_R_16BF : CUDA_R_32F;
	enum status st = ST_OK;
	int64_t stride;
	int i;

	for (i = 0; i < 3; i++) {
		stride = (int64_t)(all[i].rows * all[i].columns);
		BLAS_GOTO(out, st, cublasLtMatrixLayoutCreate(
			all[i].l, t, all[i].rows, all[i].columns,
			(int64_t)all[i].rows));
		BLAS_GOTO(out, st, cublasLtMatrixLayoutSetAttribute(
			*all[i].l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
			sizeof(batch)));
		BLAS_GOTO(out, st, cublasLtMatrixLayoutSetAttribute(
			*all[i].l,
			CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
			sizeof(stride)));
	}
out:
	return st;
}

static enum status find_algos(struct cuda_rank *r, struct cuda_product *p,
			      const struct bench_work *w)
{
	cublasLtMatmulHeuristicResult_t found[GEMM_ALGOS];
	cublasLtMatmulPreference_t pref = NULL;
	size_t workspace = CUDA_LT_WORKSPACE_BYTES;
	enum status st;
	int n = 0, i;

	BLAS_GOTO(out, st, cublasLtMatmulPreferenceCreate(&pref));
	BLAS_GOTO(out, st, cublasLtMatmulPreferenceSetAttribute(
		pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
		sizeof(workspace)));
	BLAS_GOTO(out, st, cublasLtMatmulAlgoGetHeuristic(
		r->lt, p->desc, p->a, p->b, p->c, p->c, pref, GEMM_ALGOS,
		found, &n));
	for (i = 0; i < n; i++) {
		if (found[i].state == CUBLAS_STATUS_SUCCESS)
			p->algo[p->n_algos++] = found[i].algo;
	}
	if (!p->n_algos)
		st = err_set(ST_FAIL, "cublasLt has no algorithm for a product "
			     "of %g x %g x %g", (double)w->m, (double)w->k,
			     (double)w->n);
out:
	if (pref)
		cublasLtMatmulPreferenceDestroy(pref);
	return st;
}

/* ---- what was found before ---- */

static bool same_work(const struct cuda_tuned *t, const struct bench_work *w,
		      int sm_target)
{
	return t->m == w->m && t->n == w->n && t->k == w->k &&
	       t->batch == w->batch && t->sm_target == sm_target &&
	       !strcmp(t->variant, w->variant) && !strcmp(t->dtype, w->dtype);
}

static struct cuda_tuned *find_tuned(struct cuda_rank *r,
				     const struct bench_work *w)
{
	int i;

	for (i = 0; i < CUDA_TUNED_MAX; i++) {
		if (same_work(&r->tuned[i], w, r->sm_target))
			return &r->tuned[i];
	}
	return NULL;
}

/* In the place of the oldest. */
static void keep_tuned(struct cuda_rank *r, const struct bench_work *w,
		       int chosen)
{
	struct cuda_tuned *t = &r->tuned[r->n_tuned++ % CUDA_TUNED_MAX];

	*t = (struct cuda_tuned){ .m = w->m, .n = w->n, .k = w->k,
				  .batch = w->batch, .chosen = chosen,
				  .sm_target = r->sm_target };
	memcpy(t->variant, w->variant, sizeof(t->variant));
	memcpy(t->dtype, w->dtype, sizeof(t->dtype));
}

enum status gemm_lt_plan(struct cuda_rank *r, struct cuda_product *p,
			 const struct bench_work *w, uint64_t batch)
{
	const struct cuda_tuned *known = find_tuned(r, w);
	const cublasOperation_t t = CUBLAS_OP_T;
	enum status st;

	BLAS_GOTO(out, st, cublasLtMatmulDescCreate(&p->desc,
						    CUBLAS_COMPUTE_32F,
						    CUDA_R_32F));
	BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
		p->desc, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, &r->sm_target,
		sizeof(r->sm_target)));
	if (ref_is_turned(w))
		BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
			p->desc, CUBLASLT_MATMUL_DESC_TRANSB, &t, sizeof(t)));
	st = make_layouts(p, w, (int32_t)batch);
	if (!st)
		st = find_algos(r, p, w);
	if (!st && known && known->chosen < p->n_algos)
		p->chosen = known->chosen;
out:
	return st;
}

enum status gemm_lt_launch(struct cuda_rank *r, const struct cuda_product *p,
			   const void *b, const void *a, void *c, bool add,
			   int side, cudaStream_t s)
{
	static const float one = 1, half = 0.5f, zero = 0;
	char *workspace = (char *)r->lt_workspace +
			  (size_t)side * CUDA_LT_WORKSPACE_BYTES;

	return cuda_status_blas(cublasLtMatmul(
		r->lt, p->desc, add ? &half : &one, b, p->a, a, p->b,
		add ? &half : &zero, c, p->c, c, p->c,
		&p->algo[p->chosen], workspace, CUDA_LT_WORKSPACE_BYTES, s), "cublasLtMatmul()");
}

/* ---- the choice ---- */

struct race {
	struct cuda_rank *r;
	struct cuda_work *w;
	cudaEvent_t start, stop;
	double spent_s;
	double host_s;		/* to queue one call, at least */
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum status time_n(struct race *x, int n, double *seconds)
{
	double lead = fmin(fmax(LEAD_TIMES * n * x->host_s, LEAD_S),
			   LEAD_MAX_S);
	double start;
	float ms = 0;
	enum status st;
	int i;

	CUDA_GOTO(out, st, k_pause((unsigned int)(lead * 1e9), x->r->main));
	CUDA_GOTO(out, st, cudaEventRecord(x->start, x->r->main));
	start = now_s();
	for (i = 0; i < n; i++) {
		st = x->w->op->launch(x->r, x->w, i % x->w->n_sets,
				      x->r->main);
		if (st)
			goto out;
	}
	start = (now_s() - start) / n;
	x->host_s = x->host_s > 0 ? fmin(x->host_s, start) : start;
	CUDA_GOTO(out, st, cudaEventRecord(x->stop, x->r->main));
	CUDA_GOTO(out, st, cudaEventSynchronize(x->stop));
	CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, x->start, x->stop));
	*seconds = 1e-3 * (double)ms / n;
	x->spent_s += 1e-3 * (double)ms + lead;
out:
	return st;
}

/* The first run may load code. An algorithm that cannot be run is slow. */
static enum status time_algo(struct race *x, double *seconds)
{
	enum status st = time_n(x, 1, seconds);
	double n;

	if (st)
		return st;
	n = RUNS_S / (*seconds > 1e-9 ? *seconds : 1e-9);
	n = n < 1 ? 1 : n > RUNS_MAX ? RUNS_MAX : n;
	return time_n(x, (int)n, seconds);
}

static enum status run_race(struct race *x)
{
	struct cuda_product *p = x->w->product;
	double seconds = 0, best_s = 0;
	enum status st = ST_OK;
	int i, best = -1;

	for (i = 0; i < p->n_algos; i++) {
		if (best >= 0 && i >= LEAST && x->spent_s > ENOUGH_S)
			break;
		p->chosen = i;
		st = time_algo(x, &seconds);
		if (!st && (best < 0 || seconds < best_s)) {
			best = i;
			best_s = seconds;
		}
	}
	if (best < 0)
		return st;
	err_clear();
	p->chosen = best;
	return ST_OK;
}

enum status gemm_lt_tune(struct cuda_rank *r, struct cuda_work *w)
{
	struct race x = { .r = r, .w = w };
	enum status st = ST_OK;

	if (!w->product->desc || find_tuned(r, &w->c.work))
		return ST_OK;
	CUDA_GOTO(out, st, cudaEventCreate(&x.start));
	CUDA_GOTO(out, st, cudaEventCreate(&x.stop));
	st = run_race(&x);
	if (!st)
		keep_tuned(r, &w->c.work, w->product->chosen);
out:
	if (x.start)
		cudaEventDestroy(x.start);
	if (x.stop)
		cudaEventDestroy(x.stop);
	return st;
}
