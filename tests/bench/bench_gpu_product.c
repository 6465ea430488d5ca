/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The products of `bench_gpu tune` as cublasLt's calls. */
#include "bench_gpu_tune.h"

#include <math.h>
#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static enum status make_buffers(struct tune *t)
{
	uint64_t e = (uint64_t)t->c->experts, r = e * (uint64_t)t->stride;
	uint64_t h = (uint64_t)t->c->hidden, f = (uint64_t)t->c->ffn;
	uint64_t c = f * (t->c->gated ? 2 : 1), end = 0;
	const uint64_t n[BUFFERS] = {
		[X] = r * h, [DY] = r * h, [OUT] = r * h, [OUTX] = r * h,
		[P] = r * c, [H] = r * f, [GH] = r * f, [W1] = e * h * c,
		[W2] = e * f * h, [V1] = e * h * c, [V2] = e * f * h
	};
	const double scale[BUFFERS] = {
		[X] = 1, [DY] = 1, [P] = 1, [H] = 0.4, [GH] = 1,
		[W1] = pow((double)h, -0.5), [W2] = pow((double)f, -0.5)
	};
	enum status st = ST_OK;
	int i;

	for (i = 0; i < BUFFERS; i++)
		end += n[i] * 2;
	CUDA_GOTO(out, st, cudaMalloc((void **)&t->arena, end));
	CUDA_GOTO(out, st, cudaMalloc((void **)&t->workspace,
				      STREAMS * (size_t)WORKSPACE));
	for (end = 0, i = 0; i < BUFFERS && !st; i++) {
		t->buffer[i] = t->arena + end;
		end += n[i] * 2;
		if (scale[i] > 0)
			st = bench_fill(t->r, t->buffer[i], n[i],
					scale[i]);
	}
out:
	return st;
}

/* Even, give or take the root. */
static void make_counts(struct tune *t)
{
	uint64_t state = (uint64_t)t->r->rank + 5;
	int e, n = t->c->experts, mean = t->c->rows / n, most = 0, first = 0;

	for (e = 0; e < n; e++) {
		t->count[e] = mean + (int)(bench_normal(&state) * sqrt(mean));
		most = t->count[e] > most ? t->count[e] : most;
	}
	t->stride = (most + FFN_ALIGN - 1) / FFN_ALIGN * FFN_ALIGN;
	for (e = 0; e < n; e++, first += t->stride)
		t->first[e] = first;
}

enum status tune_set_up(struct tune *t)
{
	size_t bytes = WORKSPACE;
	uint32_t align = 256;
	enum status st;
	int i;

	make_counts(t);
	st = make_buffers(t);
	if (st)
		return st;
	for (i = 0; i < STREAMS; i++) {
		CUDA_GOTO(out, st, cudaStreamCreateWithFlags(
			&t->side[i], cudaStreamNonBlocking));
		CUDA_GOTO(out, st, cudaEventCreateWithFlags(
			&t->join[i], cudaEventDisableTiming));
	}
	CUDA_GOTO(out, st, cudaEventCreateWithFlags(&t->fork,
						    cudaEventDisableTiming));
	CUDA_GOTO(out, st, cudaEventCreate(&t->mid));
	BLAS_GOTO(out, st, cublasLtCreate(&t->lt));
	BLAS_GOTO(out, st, cublasLtMatmulPreferenceCreate(&t->pref));
	BLAS_GOTO(out, st, cublasLtMatmulPreferenceSetAttribute(
		t->pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes,
		sizeof(bytes)));
	for (i = CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
	     i <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES; i++)
		BLAS_GOTO(out, st, cublasLtMatmulPreferenceSetAttribute(
			t->pref, (cublasLtMatmulPreferenceAttributes_t)i,
			&align, sizeof(align)));
out:
	return st;
}

struct product tune_product(const struct tune *t, int p)
{
	int64_t h = t->c->hidden, f = t->c->ffn, c = f * (t->c->gated ? 2 : 1);
	const struct product all[PRODUCTS] = {
		{ "pre", { W1, c, h, 0 }, { X, h, 0, 0 }, { P, c, 0, 0 } },
		{ "y", { W2, h, f, 0 }, { H, f, 0, 0 }, { OUT, h, 0, 0 } },
		{ "g", { W2, h, f, 1 }, { DY, h, 0, 0 }, { GH, f, 0, 0 } },
		{ "dx", { W1, c, h, 1 }, { P, c, 0, 0 }, { OUTX, h, 0, 0 } },
		{ "dw2", { DY, h, 0, 0 }, { H, f, 0, 1 }, { V2, h, f, 0 } },
		{ "dw1", { P, c, 0, 0 }, { X, h, 0, 1 }, { V1, c, h, 0 } },
	};

	return all[p];
}

static enum status make_layout(const struct tune *t, const struct operand *o,
			       bool flip, int e, int rows,
			       cublasLtMatrixLayout_t *out_p, char **p_p)
{
	int64_t width = o->width ? o->width : rows, height = o->height;
	int64_t stride = height * (o->width ? o->width : t->stride);
	int64_t swap = height;
	int32_t batch = t->c->experts;
	enum status st;

	if (flip) {
		height = width;
		width = swap;
	}
	*p_p = t->buffer[o->buffer];
	if (e >= 0)
		*p_p += e * stride * 2;
	BLAS_GOTO(out, st, cublasLtMatrixLayoutCreate(
		out_p, CUDA_R_16BF, (uint64_t)height, (uint64_t)width,
		height));
	if (e >= 0)
		goto out;
	BLAS_GOTO(out, st, cublasLtMatrixLayoutSetAttribute(
		*out_p, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
		sizeof(batch)));
	BLAS_GOTO(out, st, cublasLtMatrixLayoutSetAttribute(
		*out_p, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
		sizeof(stride)));
out:
	return st;
}

/* GELU's derivative wants, and its activation leaves, pre. */
static enum status set_epilogue(const struct tune *t, struct call *c,
				int epilogue)
{
	int64_t ld = t->c->ffn, stride = ld * t->stride;
	uint32_t value = (uint32_t)epilogue;
	void *aux = t->buffer[P];
	enum status st;

	BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
		c->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &value, 4));
	BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
		c->desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &aux, 8));
	BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
		c->desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &ld, 8));
	BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
		c->desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE,
		&stride, 8));
out:
	return st;
}

static enum status make_call(struct tune *t, const struct product *m,
			     const struct variant *v, int e, struct call *c)
{
	int rows = e >= 0 ? t->count[e] : t->stride;
	cublasOperation_t op = CUBLAS_OP_T;
	struct operand d = m->d;
	enum status st;

	if (v->epilogue == CUBLASLT_EPILOGUE_GELU_AUX)
		d.buffer = H;
	BLAS_GOTO(out, st, cublasLtMatmulDescCreate(
		&c->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
	if (m->a.t != v->flip_a)
		BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
			c->desc, CUBLASLT_MATMUL_DESC_TRANSA, &op, 4));
	if (m->b.t != v->flip_b)
		BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
			c->desc, CUBLASLT_MATMUL_DESC_TRANSB, &op, 4));
	if (v->epilogue)
		st = set_epilogue(t, c, v->epilogue);
	if (!st)
		st = make_layout(t, &m->a, v->flip_a, e, rows, &c->a, &c->pa);
	if (!st)
		st = make_layout(t, &m->b, v->flip_b, e, rows, &c->b, &c->pb);
	if (!st)
		st = make_layout(t, &d, false, e, rows, &c->d, &c->pd);
	if (!st && cublasLtMatmulAlgoGetHeuristic(
			t->lt, c->desc, c->a, c->b, c->d, c->d, t->pref,
			v->algos, c->algo, &c->n) != CUBLAS_STATUS_SUCCESS)
		c->n = 0;
out:
	return st;
}

enum status tune_make_way(struct tune *t, const struct product *m,
			    const struct variant *v, struct way *w)
{
	enum status st = ST_OK;
	int e;

	w->v = v;
	w->calls = v->is_each ? t->c->experts : 1;
	for (e = 0; e < w->calls && !st; e++)
		st = make_call(t, m, v, v->is_each ? e : -1, &w->call[e]);
	return st;
}

int tune_algos(const struct way *w)
{
	int least = ALGOS, i;

	for (i = 0; i < w->calls; i++)
		least = w->call[i].n < least ? w->call[i].n : least;
	return least;
}

enum status tune_run(struct tune *t, const struct way *w, int algo)
{
	const float one = 1, zero = 0;
	cudaStream_t s = t->r->s;
	bool fork = w->v->streams > 1;
	enum status st = ST_OK;
	int i, side;

	if (fork)
		CUDA_GOTO(out, st, cudaEventRecord(t->fork, s));
	for (i = 0; fork && i < STREAMS; i++)
		CUDA_GOTO(out, st, cudaStreamWaitEvent(t->side[i], t->fork, 0));
	for (i = 0; i < w->calls; i++) {
		const struct call *c = &w->call[i];

		side = fork ? i % STREAMS : 0;
		BLAS_GOTO(out, st, cublasLtMatmul(
			t->lt, c->desc, &one, c->pa, c->a, c->pb, c->b, &zero,
			c->pd, c->d, c->pd, c->d, &c->algo[algo].algo,
			t->workspace + side * (size_t)WORKSPACE, WORKSPACE,
			fork ? t->side[side] : s));
	}
	for (i = 0; fork && i < STREAMS; i++) {
		CUDA_GOTO(out, st, cudaEventRecord(t->join[i], t->side[i]));
		CUDA_GOTO(out, st, cudaStreamWaitEvent(s, t->join[i], 0));
	}
out:
	return st;
}

void tune_print_algo(const struct way *w, int algo)
{
	static const cublasLtMatmulAlgoConfigAttributes_t attr[] = {
		CUBLASLT_ALGO_CONFIG_ID, CUBLASLT_ALGO_CONFIG_TILE_ID,
		CUBLASLT_ALGO_CONFIG_STAGES_ID, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
		CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING,
		CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION,
		CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID
	};
	size_t i, written;
	uint32_t value;

	printf(" (");
	for (i = 0; i < COUNT(attr); i++) {
		value = 0;
		cublasLtMatmulAlgoConfigGetAttribute(
			&w->call[0].algo[algo].algo, attr[i], &value,
			attr[i] == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID ? 2
									 : 4,
			&written);
		printf("%s%u", i ? " " : "", value);
	}
	printf(")");
}
