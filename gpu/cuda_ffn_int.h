/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of cuda_ffn.h share. */
#ifndef GPU_CUDA_FFN_INT_H
#define GPU_CUDA_FFN_INT_H

#include "gpu/cuda.h"
#include "gpu/cuda_ffn.h"

#define FFN_STREAMS 4
#define FFN_ALGOS 24		/* of cuBLAS's, for one shape */
#define FFN_BUCKETS 1024	/* of the table of problems */
#define FFN_PROBLEMS_MAX 8192	/* then the table is emptied */

/*
 * A product as cuBLAS sees it, column-major: D (m x n) = A B, sums over k,
 * one of `rows` rows or, batched, of all experts with `rows` rows each.
 * Known problems are kept in a table.
 */
struct ffn_problem {
	struct ffn_problem *next;	/* in its bucket */
	enum ffn_product product;
	enum ffn_way way;
	int64_t rows;
	int leave;		/* multiprocessors left to others */
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t a, b, d;
	cublasLtMatmulAlgo_t algo[FFN_ALGOS];
	/* Adding in bf16: each algorithm twice, what is there times 1 or
	 * times MATH_BF16_KEPT: cuBLAS adds in other ways, of which the first
	 * is faster over many rows and the second over few. */
	bool is_one[FFN_ALGOS];
	int n_algos;
	/* FFN_NEAR: what was tuned for other rows, if it can do these */
	cublasLtMatmulAlgo_t near;
	bool near_is_one;
	enum { NEAR_UNKNOWN, NEAR_FINE, NEAR_NONE } near_state;
};

#define FFN_NEAR FFN_ALGOS	/* in the place of an algorithm's number */
#define FFN_NEAR_RATIO 1.5	/* of rows, at most */

/* What tuning found for a product; by stride, or total rows when packed. */
struct ffn_choice {
	struct ffn_choice *next;
	enum ffn_product product;
	int64_t stride, total;
	int leave;
	enum ffn_way way;
	int algo;
	cublasLtMatmulAlgo_t config;	/* FFN_BATCHED: of this algorithm */
	bool is_one;			/* the same */
};

struct cuda_ffn {
	struct ffn_shape shape;
	int sms, leave[FFN_PARTS], force;	/* force: a way, or -1 */
	cublasLtHandle_t lt;
	cublasLtMatmulPreference_t pref;
	char *workspace;	/* one for each stream */
	cudaStream_t side[FFN_STREAMS];
	cudaEvent_t fork, join[FFN_STREAMS];
	cudaEvent_t start, stop;	/* of tuning */
	struct ffn_problem *bucket[FFN_BUCKETS];
	int n_problems;
	struct ffn_choice *choice;	/* owned list */
};

/* Multiprocessors that a product leaves to others. */
int ffn_left(const struct cuda_ffn *f, enum ffn_product p);

/* Total rows, tails not included. */
int64_t ffn_total(const struct ffn_rows *rows);

/* Columns of pre. */
int ffn_columns(const struct ffn_shape *s);

/* One product over all experts, the way chosen. */
enum status ffn_multiply(struct cuda_ffn *f, enum ffn_product p,
			 const struct ffn_rows *rows,
			 const struct ffn_buffers *b, cudaStream_t s);
/* The same, in a way and with an algorithm given. ST_UNAVAILABLE: there is
 * no such one. */
enum status ffn_multiply_by(struct cuda_ffn *f, enum ffn_product p,
			    const struct ffn_rows *rows,
			    const struct ffn_buffers *b, enum ffn_way way,
			    int algo, cudaStream_t s);
/* What would be done. */
void ffn_choose(const struct cuda_ffn *f, enum ffn_product p,
		const struct ffn_rows *rows, enum ffn_way *way_p,
		int *algo_p);
/* From now on. */
void ffn_keep(struct cuda_ffn *f, enum ffn_product p,
	      const struct ffn_rows *rows, enum ffn_way way, int algo);
/* What tuning found for the nearest number of rows, of the same kind (padded
 * or packed); how far off, >= 1. NULL: nothing yet. */
const struct ffn_choice *ffn_known(const struct cuda_ffn *f,
				   enum ffn_product p,
				   const struct ffn_rows *rows,
				   double *ratio_p);
void ffn_problems_free(struct cuda_ffn *f);

/* cuda_ffn_tune.c: chooses. */
enum status ffn_tune_one(struct cuda_ffn *f, enum ffn_product p,
			 const struct ffn_rows *rows,
			 const struct ffn_buffers *b, cudaStream_t s);

/* cuda_ffn.c: the activation and its backward, for tuning too. */
enum status ffn_activate(struct cuda_ffn *f, const struct ffn_rows *rows,
			 const struct ffn_buffers *b, bool backward,
			 cudaStream_t s);

#endif
