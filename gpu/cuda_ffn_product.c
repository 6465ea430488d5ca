/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The products by cublasLt. Everything is row-major, which to cuBLAS is
 * the transpose, column-major. With H hidden, F ffn, C columns of pre, R rows
 * of an expert:
 *
 *		D	  m x n	   A		  B		k
 *	PRE	pre'	  C x R	   w1'		  x'		H
 *	Y	y'	  H x R	   w2'		  h'		F
 *	G	g'	  F x R	   w2' transposed dy'		H
 *	DX	dx'	  H x R	   w1' transposed dpre'		C
 *	DW2	dw2'	  H x F	   dy'		  h' transposed	R
 *	DW1	dw1'	  C x H	   dpre'	  x' transposed	R
 *
 * The last two also as added to what is there: products of their own, since
 * other algorithms are fastest.
 */
#include "gpu/cuda_ffn_int.h"

#include "base/mem.h"
#include "gpu/layer_math.h"

#include <stdlib.h>
#include <string.h>

#define EACH_ALGOS 4		/* tried when each expert has a call */

static const float one = 1, zero = 0, kept_bf16 = MATH_BF16_KEPT;

/* The three matrices of a product: whose elements, and is it by rows. */
struct operand {
	char *p;
	int64_t height, width;	/* as stored, column-major; width < 0: R */
	bool is_weight;		/* one for each expert, else rows */
};

struct product {
	struct operand a, b, d;
	bool transpose_a, transpose_b;
	bool adds;	/* to what is in d */
};

static void product_of(const struct cuda_ffn *f, enum ffn_product p,
		       const struct ffn_buffers *b, struct product *out)
{
	int64_t h = f->shape.hidden, ffn = f->shape.ffn;
	int64_t c = ffn_columns(&f->shape);
	const struct operand x = { (char *)b->x, h, -1, false };
	const struct operand pre = { b->pre, c, -1, false };
	const struct operand act = { b->h, ffn, -1, false };
	const struct operand y = { b->y, h, -1, false };
	const struct operand dy = { (char *)b->dy, h, -1, false };
	const struct operand g = { b->g, ffn, -1, false };
	const struct operand dx = { b->dx, h, -1, false };
	const struct operand w1 = { (char *)b->w1, c, h, true };
	const struct operand w2 = { (char *)b->w2, h, ffn, true };
	const struct operand dw1 = { b->dw1, c, h, true };
	const struct operand dw2 = { b->dw2, h, ffn, true };
	const struct product all[FFN_PRODUCTS] = {
		[FFN_PRE] = { w1, x, pre, false, false },
		[FFN_Y] = { w2, act, y, false, false },
		[FFN_G] = { w2, dy, g, true, false },
		[FFN_DX] = { w1, pre, dx, true, false },
		[FFN_DW2] = { dy, act, dw2, false, true },
		[FFN_DW1] = { pre, x, dw1, false, true },
		[FFN_DW2_ADDED] = { dy, act, dw2, false, true, true },
		[FFN_DW1_ADDED] = { pre, x, dw1, false, true, true },
	};

	*out = all[p];
}

static int64_t element_bytes(const struct cuda_ffn *f)
{
	return f->shape.bf16 ? 2 : 4;
}

/* Expert e's part of an operand. */
static char *part(const struct cuda_ffn *f, const struct operand *o, int e,
		  int64_t first)
{
	int64_t at = o->is_weight ? e * o->height * o->width
				  : first * o->height;

	return o->p + at * element_bytes(f);
}

static enum status make_layout(const struct cuda_ffn *f,
			       const struct ffn_problem *q,
			       const struct operand *o,
			       cublasLtMatrixLayout_t *out_p)
{
	int64_t width = o->width < 0 ? q->rows : o->width;
	int64_t stride = o->height * width;
	int32_t batch = f->shape.experts;
	enum status st;

	BLAS_GOTO(out, st, cublasLtMatrixLayoutCreate(
		out_p, f->shape.bf16 ? CUDA_R_16BF : CUDA_R_32F,
		(uint64_t)o->height, (uint64_t)width, o->height));
	if (q->way != FFN_BATCHED)
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

static enum status make_desc(const struct cuda_ffn *f, struct ffn_problem *q,
			     const struct product *m)
{
	const cublasOperation_t t = CUBLAS_OP_T;
	int32_t sms = f->sms - q->leave;
	enum status st;

	BLAS_GOTO(out, st, cublasLtMatmulDescCreate(&q->desc,
						    CUBLAS_COMPUTE_32F,
						    CUDA_R_32F));
	if (m->transpose_a)
		BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
			q->desc, CUBLASLT_MATMUL_DESC_TRANSA, &t, sizeof(t)));
	if (m->transpose_b)
		BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
			q->desc, CUBLASLT_MATMUL_DESC_TRANSB, &t, sizeof(t)));
	if (q->leave)
		BLAS_GOTO(out, st, cublasLtMatmulDescSetAttribute(
			q->desc, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, &sms,
			sizeof(sms)));
out:
	return st;
}

/* Each algorithm once, or with either factor of what is there. */
static enum status find_algos(struct cuda_ffn *f, struct ffn_problem *q,
			      const struct product *m)
{
	cublasLtMatmulHeuristicResult_t found[FFN_ALGOS];
	int factors = m->adds && f->shape.bf16 ? 2 : 1, n = 0, i, k;
	int most = q->way == FFN_BATCHED ? FFN_ALGOS : EACH_ALGOS;
	enum status st;

	BLAS_GOTO(out, st, cublasLtMatmulAlgoGetHeuristic(
		f->lt, q->desc, q->a, q->b, q->d, q->d, f->pref,
		most / factors, found, &n));
	for (i = 0; i < n; i++) {
		if (found[i].state != CUBLAS_STATUS_SUCCESS)
			continue;
		for (k = 0; k < factors; k++) {
			q->is_one[q->n_algos] = k == factors - 1;
			q->algo[q->n_algos++] = found[i].algo;
		}
	}
	if (!q->n_algos)
		st = err_set(ST_FAIL, "cublasLt has no algorithm for the "
			     "experts' product %d of %lld rows", q->product,
			     (long long)q->rows);
out:
	return st;
}

static void problem_free(struct ffn_problem *q)
{
	if (q->desc)
		cublasLtMatmulDescDestroy(q->desc);
	if (q->a)
		cublasLtMatrixLayoutDestroy(q->a);
	if (q->b)
		cublasLtMatrixLayoutDestroy(q->b);
	if (q->d)
		cublasLtMatrixLayoutDestroy(q->d);
	free(q);
}

void ffn_problems_free(struct cuda_ffn *f)
{
	struct ffn_problem *q;
	int i;

	for (i = 0; i < FFN_BUCKETS; i++) {
		while ((q = f->bucket[i])) {
			f->bucket[i] = q->next;
			problem_free(q);
		}
	}
	f->n_problems = 0;
}

static enum status problem_make(struct cuda_ffn *f,
				const struct ffn_problem *key,
				const struct product *m,
				struct ffn_problem **out_p)
{
	struct ffn_problem *q = xcalloc(1, sizeof(*q));
	enum status st;

	*q = *key;
	st = make_desc(f, q, m);
	if (!st)
		st = make_layout(f, q, &m->a, &q->a);
	if (!st)
		st = make_layout(f, q, &m->b, &q->b);
	if (!st)
		st = make_layout(f, q, &m->d, &q->d);
	if (!st)
		st = find_algos(f, q, m);
	if (st)
		problem_free(q);
	else
		*out_p = q;
	return st;
}

static struct ffn_problem **bucket_of(struct cuda_ffn *f, enum ffn_product p,
				      enum ffn_way way, int64_t rows)
{
	uint64_t at = ((uint64_t)rows * FFN_PRODUCTS + p) * FFN_WAYS + way;

	return &f->bucket[at % FFN_BUCKETS];
}

/* NULL: not in the table. */
static struct ffn_problem *problem_known(struct cuda_ffn *f,
					 enum ffn_product p, enum ffn_way way,
					 int64_t rows)
{
	struct ffn_problem *q = *bucket_of(f, p, way, rows);

	while (q && (q->product != p || q->way != way || q->rows != rows ||
		     q->leave != ffn_left(f, p)))
		q = q->next;
	return q;
}

/* From the table, or new in it. */
static enum status problem_find(struct cuda_ffn *f, enum ffn_product p,
				enum ffn_way way, int64_t rows,
				const struct product *m,
				struct ffn_problem **out_p)
{
	struct ffn_problem key = {
		.product = p, .way = way, .rows = rows, .leave = ffn_left(f, p)
	};
	struct ffn_problem **bucket, *q = problem_known(f, p, way, rows);
	enum status st;

	*out_p = q;
	if (q)
		return ST_OK;
	if (f->n_problems >= FFN_PROBLEMS_MAX)
		ffn_problems_free(f);
	st = problem_make(f, &key, m, &q);
	if (st)
		return st;
	bucket = bucket_of(f, p, way, rows);
	q->next = *bucket;
	*bucket = q;
	f->n_problems++;
	*out_p = q;
	return ST_OK;
}

/* The choice for the rows that are nearest in number; NULL: none of them is
 * padded as these are, or packed. */
static const struct ffn_choice *nearest(const struct cuda_ffn *f,
					enum ffn_product p, int64_t stride,
					int64_t total, double *ratio_p)
{
	const struct ffn_choice *c, *best = NULL;
	double ratio;

	for (c = f->choice; c; c = c->next) {
		if (c->product != p || c->leave != ffn_left(f, p) ||
		    !c->stride != !stride)
			continue;
		ratio = stride ? (double)stride / (double)c->stride
			       : (double)(total + 1) / (double)(c->total + 1);
		ratio = ratio < 1 ? 1 / ratio : ratio;
		if (!best || ratio < *ratio_p) {
			*ratio_p = ratio;
			best = c;
		}
	}
	return best;
}

static const struct ffn_choice *find_near(const struct cuda_ffn *f,
					  enum ffn_product p, int64_t stride,
					  int64_t total)
{
	double ratio = 1;
	const struct ffn_choice *c = nearest(f, p, stride, total, &ratio);

	return ratio < FFN_NEAR_RATIO ? c : NULL;
}

const struct ffn_choice *ffn_known(const struct cuda_ffn *f,
				   enum ffn_product p,
				   const struct ffn_rows *rows,
				   double *ratio_p)
{
	*ratio_p = 1;
	return nearest(f, p, rows->stride, ffn_total(rows), ratio_p);
}

static const cublasLtMatmulAlgo_t *near_algo(struct cuda_ffn *f,
					     struct ffn_problem *q,
					     bool *is_one_p)
{
	const struct ffn_choice *c;
	cublasLtMatmulHeuristicResult_t can;

	if (q->near_state == NEAR_UNKNOWN) {
		q->near_state = NEAR_NONE;
		c = find_near(f, q->product, q->rows, 0);
		if (c && c->way == FFN_BATCHED) {
			q->near = c->config;
			q->near_is_one = c->is_one;
			if (cublasLtMatmulAlgoCheck(f->lt, q->desc, q->a, q->b,
						    q->d, q->d, &q->near,
						    &can) ==
			    CUBLAS_STATUS_SUCCESS &&
			    can.workspaceSize <= CUDA_LT_WORKSPACE_BYTES)
				q->near_state = NEAR_FINE;
		}
	}
	if (q->near_state != NEAR_FINE)
		return &q->algo[0];
	*is_one_p = q->near_is_one;
	return &q->near;
}

static enum status launch(struct cuda_ffn *f, struct ffn_problem *q,
			  const struct product *m, int e, int64_t first,
			  int algo, int side, cudaStream_t s)
{
	int at = algo < q->n_algos ? algo : 0;
	bool is_one = q->is_one[at];
	const cublasLtMatmulAlgo_t *by = algo == FFN_NEAR ?
		near_algo(f, q, &is_one) : &q->algo[at];
	const float *beta = !m->adds ? &zero : is_one ? &one : &kept_bf16;
	char *d = part(f, &m->d, e, first);
	size_t bytes = CUDA_LT_WORKSPACE_BYTES;

	return cuda_status_blas(cublasLtMatmul(
		f->lt, q->desc, &one, part(f, &m->a, e, first), q->a,
		part(f, &m->b, e, first), q->b, beta, d, q->d, d, q->d, by,
		f->workspace + (size_t)side * bytes, bytes, s),
		"cublasLtMatmul()");
}

static enum status multiply_batched(struct cuda_ffn *f, enum ffn_product p,
				    const struct ffn_rows *rows,
				    const struct product *m, int algo,
				    cudaStream_t s)
{
	struct ffn_problem *q;
	enum status st = problem_find(f, p, FFN_BATCHED, rows->stride, m, &q);

	if (st)
		return st;
	if (algo >= q->n_algos && algo != FFN_NEAR)
		return ST_UNAVAILABLE;
	return launch(f, q, m, 0, 0, algo, 0, s);
}

/* An expert without rows: its weights' gradients are 0, nothing else is. */
static enum status without_rows(struct cuda_ffn *f, const struct product *m,
				int e, cudaStream_t s)
{
	uint64_t bytes = (uint64_t)(m->d.height * m->d.width *
				    element_bytes(f));

	if (!m->d.is_weight || m->adds)
		return ST_OK;
	return cuda_status(cudaMemsetAsync(part(f, &m->d, e, 0), 0, bytes, s),
			   "cudaMemsetAsync()");
}

static enum status one_expert(struct cuda_ffn *f, enum ffn_product p,
			      const struct product *m, int e, int64_t first,
			      int64_t count, int algo, int side,
			      cudaStream_t s)
{
	struct ffn_problem *q;
	enum status st;

	if (!count)
		return without_rows(f, m, e, s);
	st = problem_find(f, p, FFN_EACH, count, m, &q);
	return st ? st : launch(f, q, m, e, first, algo, side, s);
}

static enum status multiply_in_turn(struct cuda_ffn *f, enum ffn_product p,
				    const struct ffn_rows *rows,
				    const struct product *m, int algo,
				    cudaStream_t s)
{
	int64_t first = 0;
	enum status st = ST_OK;
	int e;

	for (e = 0; e < rows->experts && !st; e++) {
		st = one_expert(f, p, m, e, first, rows->count[e], algo, 0,
				s);
		first += rows->stride ? rows->stride : rows->count[e];
	}
	return st;
}

static enum status multiply_each(struct cuda_ffn *f, enum ffn_product p,
				 const struct ffn_rows *rows,
				 const struct product *m, int algo,
				 cudaStream_t s)
{
	int n = rows->experts < FFN_STREAMS ? rows->experts : FFN_STREAMS;
	int64_t first = 0;
	enum status st;
	int e, i;

	CUDA_GOTO(out, st, cudaEventRecord(f->fork, s));
	for (i = 0; i < n; i++)
		CUDA_GOTO(out, st, cudaStreamWaitEvent(f->side[i], f->fork, 0));
	for (e = 0; e < rows->experts && !st; e++) {
		st = one_expert(f, p, m, e, first, rows->count[e], algo,
				e % n, f->side[e % n]);
		first += rows->stride ? rows->stride : rows->count[e];
	}
	for (i = 0; i < n && !st; i++) {
		CUDA_GOTO(out, st, cudaEventRecord(f->join[i], f->side[i]));
		CUDA_GOTO(out, st, cudaStreamWaitEvent(s, f->join[i], 0));
	}
out:
	return st;
}

enum status ffn_multiply_by(struct cuda_ffn *f, enum ffn_product p,
			    const struct ffn_rows *rows,
			    const struct ffn_buffers *b, enum ffn_way way,
			    int algo, cudaStream_t s)
{
	struct product m;

	product_of(f, p, b, &m);
	if (way != FFN_BATCHED && algo >= EACH_ALGOS)
		return ST_UNAVAILABLE;
	if (way == FFN_EACH)
		return multiply_each(f, p, rows, &m, algo, s);
	if (way == FFN_IN_TURN)
		return multiply_in_turn(f, p, rows, &m, algo, s);
	return rows->stride ? multiply_batched(f, p, rows, &m, algo, s)
			    : ST_UNAVAILABLE;
}

static struct ffn_choice *find_choice(const struct cuda_ffn *f,
				      enum ffn_product p,
				      const struct ffn_rows *rows)
{
	int64_t total = rows->stride ? 0 : ffn_total(rows);
	struct ffn_choice *c;

	for (c = f->choice; c; c = c->next) {
		if (c->product == p && c->stride == rows->stride &&
		    c->total == total && c->leave == ffn_left(f, p))
			break;
	}
	return c;
}

void ffn_choose(const struct cuda_ffn *f, enum ffn_product p,
		const struct ffn_rows *rows, enum ffn_way *way_p, int *algo_p)
{
	const struct ffn_choice *c = find_choice(f, p, rows);

	*algo_p = c ? c->algo : 0;
	if (!c) {
		c = find_near(f, p, rows->stride, ffn_total(rows));
		*algo_p = !c ? 0 : c->way == FFN_BATCHED ? FFN_NEAR : c->algo;
	}
	*way_p = c ? c->way : rows->stride ? FFN_BATCHED : FFN_EACH;
	if (f->force >= 0 && (int)*way_p != f->force &&
	    (rows->stride || f->force != FFN_BATCHED)) {
		*way_p = (enum ffn_way)f->force;
		*algo_p = 0;
	}
}

enum status ffn_multiply(struct cuda_ffn *f, enum ffn_product p,
			 const struct ffn_rows *rows,
			 const struct ffn_buffers *b, cudaStream_t s)
{
	enum ffn_way way;
	int algo;

	ffn_choose(f, p, rows, &way, &algo);
	return ffn_multiply_by(f, p, rows, b, way, algo, s);
}

void ffn_keep(struct cuda_ffn *f, enum ffn_product p,
	      const struct ffn_rows *rows, enum ffn_way way, int algo)
{
	struct ffn_choice *c = find_choice(f, p, rows);
	struct ffn_problem *q;

	if (!c) {
		c = xcalloc(1, sizeof(*c));
		c->product = p;
		c->stride = rows->stride;
		c->total = rows->stride ? 0 : ffn_total(rows);
		c->leave = ffn_left(f, p);
		c->next = f->choice;
		f->choice = c;
	}
	c->way = way;
	c->algo = algo;
	q = way == FFN_BATCHED ? problem_known(f, p, way, rows->stride) : NULL;
	if (q) {
		c->config = q->algo[algo];
		c->is_one = q->is_one[algo];
	}
}
