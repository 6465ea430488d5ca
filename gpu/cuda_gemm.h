/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the products share: one (or, batched, all of its experts')
 * as cublasLt sees it, and which of its algorithms does it.
 */
#ifndef GPU_CUDA_GEMM_H
#define GPU_CUDA_GEMM_H

#include "gpu/cuda.h"

#define GEMM_ALGOS 8

struct cuda_product {
	/* NULL: not by cublasLt */
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t a, b, c;	/* in cuBLAS's order: B', A', C' */
	cublasLtMatmulAlgo_t algo[GEMM_ALGOS];
	int n_algos, chosen;
	/* grouped: one entry for each expert */
	cublasOperation_t *op;
	int *m, *n, *k, *one;
	float *alpha, *beta;
};

/* Descriptor, layouts and algorithms, the most promising first. batch: of one
 * call. Leaves p->chosen at what was tuned for this shape before, else 0. */
enum status gemm_lt_plan(struct cuda_rank *r, struct cuda_product *p,
			 const struct bench_work *w, uint64_t batch);

/* One call on matrices B, A, C: C = A B, or (add) half of that and of C. */
enum status gemm_lt_launch(struct cuda_rank *r, const struct cuda_product *p,
			   const void *b, const void *a, void *c, bool add,
			   int side, cudaStream_t s);

/* Chooses the fastest algorithm of the work, by running each; waits. */
enum status gemm_lt_tune(struct cuda_rank *r, struct cuda_work *w);

#endif
