/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/cuda_ffn_int.h"

#include "base/mem.h"
#include "gpu/k_ffn.h"

#include <stdio.h>
#include <stdlib.h>

#define ROW_BYTES_UNIT 16	/* what the kernels move at once */
#define ALIGNMENT_MAX 256	/* of buffers */

int ffn_columns(const struct ffn_shape *s)
{
	return s->gated ? 2 * s->ffn : s->ffn;
}

int64_t ffn_total(const struct ffn_rows *rows)
{
	int64_t total = 0;
	int e;

	for (e = 0; e < rows->experts; e++)
		total += rows->count[e];
	return total;
}

static int element_bytes(const struct ffn_shape *s)
{
	return s->bf16 ? 2 : 4;
}

static enum status check_shape(const struct ffn_shape *s)
{
	int unit = ROW_BYTES_UNIT / element_bytes(s);

	if (s->experts < 1 || s->experts > FFN_EXPERTS_MAX)
		return err_set(ST_INPUT, "%d experts on a rank, not 1 to %d",
			       s->experts, FFN_EXPERTS_MAX);
	if (s->hidden < unit || s->ffn < unit || s->hidden % unit ||
	    s->ffn % unit)
		return err_set(ST_INPUT, "hidden %d, ffn %d: the experts' "
			       "kernels want multiples of %d", s->hidden,
			       s->ffn, unit);
	return ST_OK;
}

static enum status open_streams(struct cuda_ffn *f)
{
	enum status st = ST_OK;
	int i;

	for (i = 0; i < FFN_STREAMS; i++) {
		CUDA_GOTO(out, st, cudaStreamCreateWithFlags(
			&f->side[i], cudaStreamNonBlocking));
		CUDA_GOTO(out, st, cudaEventCreateWithFlags(
			&f->join[i], cudaEventDisableTiming));
	}
	CUDA_GOTO(out, st, cudaEventCreateWithFlags(&f->fork,
						    cudaEventDisableTiming));
	CUDA_GOTO(out, st, cudaEventCreate(&f->start));
	CUDA_GOTO(out, st, cudaEventCreate(&f->stop));
out:
	return st;
}

/* What cuBLAS may rely on: an expert's rows begin at any row. */
static enum status set_alignment(struct cuda_ffn *f)
{
	static const cublasLtMatmulPreferenceAttributes_t attr[] = {
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
	};
	const struct ffn_shape *s = &f->shape;
	uint32_t bytes = ALIGNMENT_MAX;
	enum status st = ST_OK;
	size_t i;

	while ((s->hidden | s->ffn) * element_bytes(s) % (int)bytes)
		bytes /= 2;
	for (i = 0; i < sizeof(attr) / sizeof(attr[0]); i++)
		BLAS_GOTO(out, st, cublasLtMatmulPreferenceSetAttribute(
			f->pref, attr[i], &bytes, sizeof(bytes)));
out:
	return st;
}

static enum status open_blas(struct cuda_ffn *f)
{
	size_t bytes = CUDA_LT_WORKSPACE_BYTES;
	int device;
	enum status st;

	CUDA_GOTO(out, st, cudaGetDevice(&device));
	CUDA_GOTO(out, st, cudaDeviceGetAttribute(
		&f->sms, cudaDevAttrMultiProcessorCount, device));
	CUDA_GOTO(out, st, cudaMalloc((void **)&f->workspace,
				      FFN_STREAMS * bytes));
	BLAS_GOTO(out, st, cublasLtCreate(&f->lt));
	BLAS_GOTO(out, st, cublasLtMatmulPreferenceCreate(&f->pref));
	BLAS_GOTO(out, st, cublasLtMatmulPreferenceSetAttribute(
		f->pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes,
		sizeof(bytes)));
	st = set_alignment(f);
out:
	return st;
}

enum status cuda_ffn_open(const struct ffn_shape *shape,
			  struct cuda_ffn **out_p)
{
	struct cuda_ffn *f;
	enum status st = check_shape(shape);

	if (st)
		return st;
	f = xcalloc(1, sizeof(*f));
	f->shape = *shape;
	f->force = -1;
	st = open_streams(f);
	if (!st)
		st = open_blas(f);
	if (st) {
		cuda_ffn_close(f);
		return st;
	}
	*out_p = f;
	return ST_OK;
}

static void close_events(struct cuda_ffn *f)
{
	int i;

	for (i = 0; i < FFN_STREAMS; i++) {
		if (f->join[i])
			cudaEventDestroy(f->join[i]);
		if (f->side[i])
			cudaStreamDestroy(f->side[i]);
	}
	if (f->fork)
		cudaEventDestroy(f->fork);
	if (f->start)
		cudaEventDestroy(f->start);
	if (f->stop)
		cudaEventDestroy(f->stop);
}

void cuda_ffn_close(struct cuda_ffn *f)
{
	struct ffn_choice *c;

	if (!f)
		return;
	ffn_problems_free(f);
	while ((c = f->choice)) {
		f->choice = c->next;
		free(c);
	}
	if (f->pref)
		cublasLtMatmulPreferenceDestroy(f->pref);
	if (f->lt)
		cublasLtDestroy(f->lt);
	cudaFree(f->workspace);
	close_events(f);
	free(f);
}

static bool same_shape(const struct ffn_shape *a, const struct ffn_shape *b)
{
	return a->experts == b->experts && a->hidden == b->hidden &&
	       a->ffn == b->ffn && a->gated == b->gated && a->bf16 == b->bf16;
}

enum status cuda_ffn_get(struct ffn_kept *kept, const struct ffn_shape *shape,
			 struct cuda_ffn **out_p)
{
	struct cuda_ffn *f;
	enum status st;
	int i = 0;

	while (i < FFN_KEPT - 1 && kept->f[i] &&
	       !same_shape(&kept->f[i]->shape, shape))
		i++;
	f = kept->f[i];
	if (f && !same_shape(&f->shape, shape)) {
		cuda_ffn_close(f);
		f = kept->f[i] = NULL;
	}
	if (!f) {
		st = cuda_ffn_open(shape, &f);
		if (st)
			return st;
	}
	for (; i > 0; i--)
		kept->f[i] = kept->f[i - 1];
	kept->f[0] = *out_p = f;
	return ST_OK;
}

void cuda_ffn_close_kept(struct ffn_kept *kept)
{
	int i;

	for (i = 0; i < FFN_KEPT; i++) {
		cuda_ffn_close(kept->f[i]);
		kept->f[i] = NULL;
	}
}

void cuda_ffn_leave(struct cuda_ffn *f, enum ffn_part part, int sms)
{
	f->leave[part] = sms > 0 && sms < f->sms ? sms : 0;
}

int ffn_left(const struct cuda_ffn *f, enum ffn_product p)
{
	static const enum ffn_part part[FFN_PRODUCTS] = {
		[FFN_PRE] = FFN_FORWARD, [FFN_Y] = FFN_FORWARD,
		[FFN_G] = FFN_DATA, [FFN_DX] = FFN_DATA,
		[FFN_DW2] = FFN_WEIGHTS_2, [FFN_DW1] = FFN_WEIGHTS_1,
		[FFN_DW2_ADDED] = FFN_WEIGHTS_2,
		[FFN_DW1_ADDED] = FFN_WEIGHTS_1,
	};

	return f->leave[part[p]];
}

void cuda_ffn_force(struct cuda_ffn *f, int way)
{
	f->force = way;
}

static void kernel_rows(const struct ffn_rows *rows, struct k_ffn_rows *out)
{
	int e;

	out->stride = rows->stride;
	out->total = rows->stride ? rows->stride * rows->experts
				  : ffn_total(rows);
	for (e = 0; e < rows->experts; e++)
		out->count[e] = rows->count[e];
}

enum status ffn_activate(struct cuda_ffn *f, const struct ffn_rows *rows,
			 const struct ffn_buffers *b, bool backward,
			 cudaStream_t s)
{
	struct k_ffn_act a = {
		.pre = b->pre, .h = b->h, .g = b->g, .r = b->r, .dr = b->dr,
		.ffn = f->shape.ffn, .gated = f->shape.gated,
		.bf16 = f->shape.bf16
	};
	struct k_ffn_rows r;

	kernel_rows(rows, &r);
	return backward ? cuda_status(k_ffn_act_back(&a, &r, s),
				      "k_ffn_act_back()")
			: cuda_status(k_ffn_act(&a, &r, s), "k_ffn_act()");
}

enum status cuda_ffn_zero_tails(const struct ffn_shape *shape,
				const struct ffn_rows *rows, void *buffer,
				int columns, cudaStream_t s)
{
	uint64_t bytes = (uint64_t)columns * (uint64_t)element_bytes(shape);
	struct k_ffn_rows r;

	kernel_rows(rows, &r);
	return cuda_status(k_ffn_zero_tails(buffer, bytes, &r, s),
			   "k_ffn_zero_tails()");
}

enum status cuda_ffn_forward(struct cuda_ffn *f, const struct ffn_rows *rows,
			     const struct ffn_buffers *b, cudaStream_t s)
{
	enum status st = ffn_multiply(f, FFN_PRE, rows, b, s);

	if (!st)
		st = ffn_activate(f, rows, b, false, s);
	return st ? st : ffn_multiply(f, FFN_Y, rows, b, s);
}

enum status cuda_ffn_backward_data(struct cuda_ffn *f,
				   const struct ffn_rows *rows,
				   const struct ffn_buffers *b, cudaStream_t s)
{
	enum status st = ffn_multiply(f, FFN_G, rows, b, s);

	if (!st)
		st = ffn_activate(f, rows, b, true, s);
	return st ? st : ffn_multiply(f, FFN_DX, rows, b, s);
}

enum status cuda_ffn_backward_weights(struct cuda_ffn *f,
				      const struct ffn_rows *rows,
				      const struct ffn_buffers *b, bool add,
				      cudaStream_t s)
{
	enum status st = ffn_multiply(f, add ? FFN_DW2_ADDED : FFN_DW2, rows,
				      b, s);

	return st ? st : ffn_multiply(f, add ? FFN_DW1_ADDED : FFN_DW1, rows,
				      b, s);
}

enum status cuda_ffn_tune(struct cuda_ffn *f, const struct ffn_rows *rows,
			  const struct ffn_buffers *b, enum ffn_tuned what,
			  cudaStream_t s)
{
	static const enum ffn_product order[2][6] = {
		{ FFN_PRE, FFN_Y, FFN_G, FFN_DX, FFN_DW2, FFN_DW1 },
		{ FFN_PRE, FFN_Y, FFN_G, FFN_DX, FFN_DW2_ADDED,
		  FFN_DW1_ADDED }
	};
	int n = what == FFN_TUNE_FORWARD ? 2 : 6, i;
	enum ffn_product p;
	enum status st = ST_OK;

	/* each on what the one before has made: real data */
	for (i = 0; i < n && !st; i++) {
		p = order[what == FFN_TUNE_LATER][i];
		st = ffn_tune_one(f, p, rows, b, s);
		if (!st && (p == FFN_PRE || p == FFN_G))
			st = ffn_activate(f, rows, b, p == FFN_G, s);
	}
	return st;
}

void cuda_ffn_choice(struct cuda_ffn *f, const struct ffn_rows *rows,
		     enum ffn_product p, char *out, int size)
{
	static const char *const name[FFN_WAYS] = {
		[FFN_BATCHED] = "batched", [FFN_EACH] = "each",
		[FFN_IN_TURN] = "in-turn"
	};
	enum ffn_way way;
	int algo;

	ffn_choose(f, p, rows, &way, &algo);
	snprintf(out, (size_t)size, "%s/%d", name[way], algo);
}
