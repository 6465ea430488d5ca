/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_gpu's check of the experts: all elements against sums in double. */
#include "bench_gpu.h"

#include "base/mem.h"
#include "gpu/fill.h"
#include "gpu/ref.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define EXPERTS 5
#define HIDDEN 128
#define FFN 72

/* What the host has in double, and the device in its own type. */
struct array {
	double *host;
	void *device;
	uint64_t n;
	bool bf16;
};

struct ffn_run {
	struct ffn_shape shape;
	struct ffn_rows rows;
	int64_t total;
	struct array x, w1, w2, r, dy;		/* in */
	struct array pre, h, y, g, dr, dx, dw1, dw2;	/* out */
	double worst;
	const char *worst_name;
};

static enum status array_make(struct array *a, uint64_t n, bool bf16,
			      double scale, int stream)
{
	uint64_t bytes = n * (bf16 ? 2 : 4), i;
	uint32_t key = fill_key(5, 0, stream);
	char *p = xmalloc(bytes + 1);
	enum status st;
	uint16_t half;
	float v;

	*a = (struct array){ .host = xcalloc(n + 1, sizeof(double)), .n = n,
			     .bf16 = bf16 };
	for (i = 0; i < n; i++) {
		v = fill_value(key, i) * (float)scale;
		half = ref_bf16(v);
		a->host[i] = bf16 ? (double)ref_from_bf16(half) : (double)v;
		memcpy(p + i * (bf16 ? 2 : 4), bf16 ? (void *)&half
		       : (void *)&v, bf16 ? 2 : 4);
	}
	CUDA_GOTO(out, st, cudaMalloc(&a->device, bytes + 4));
	CUDA_GOTO(out, st, cudaMemcpy(a->device, p, bytes,
				      cudaMemcpyHostToDevice));
	if (scale == 0)	/* an output: full of NaN */
		CUDA_GOTO(out, st, cudaMemset(a->device, 0xff, bytes));
out:
	free(p);
	return st;
}

static void array_free(struct array *a)
{
	cudaFree(a->device);
	free(a->host);
}

/* Largest difference over the largest value; `first`, `n`: of them. */
static enum status compare(struct ffn_run *u, struct array *a,
			   const char *name)
{
	uint64_t size = a->bf16 ? 2 : 4, i;
	char *p = xmalloc(a->n * size + 1);
	double most = 0, off = 0, got;
	enum status st;
	uint16_t half;
	float v;

	CUDA_GOTO(out, st, cudaMemcpy(p, a->device, a->n * size,
				      cudaMemcpyDeviceToHost));
	for (i = 0; i < a->n; i++)
		most = fmax(most, fabs(a->host[i]));
	for (i = 0; i < a->n; i++) {
		if (isnan(a->host[i]))
			continue;	/* a tail: anything */
		memcpy(&half, p + i * size, 2);
		memcpy(&v, p + i * size, size);
		got = a->bf16 ? (double)ref_from_bf16(half) : (double)v;
		off = fabs(got - a->host[i]) <= HUGE_VAL
			? fmax(off, fabs(got - a->host[i])) : HUGE_VAL;
	}
	off /= most > 0 ? most : 1;
	if (!(off <= u->worst)) {
		u->worst = off;
		u->worst_name = name;
	}
out:
	free(p);
	return st;
}

static double act_of(const struct ffn_run *u, const double *pre, int c,
		     double *slope_a, double *slope_b)
{
	double a = pre[c], s, phi;

	if (!u->shape.gated) {
		phi = 0.5 * erfc(-a / sqrt(2));
		*slope_a = phi + a * exp(-a * a / 2) / sqrt(2 * 3.14159265358979);
		*slope_b = 0;
		return a * phi;
	}
	s = 1 / (1 + exp(-a));
	*slope_a = s * (1 + a * (1 - s)) * pre[FFN + c];
	*slope_b = a * s;
	return a * s * pre[FFN + c];
}

/* One row of expert e, forward and backward; weights' gradients are added. */
static void host_row(struct ffn_run *u, int e, int64_t row)
{
	int cols = u->shape.gated ? 2 * FFN : FFN, i, c;
	double *pre = u->pre.host + row * cols, *h = u->h.host + row * FFN;
	double *x = u->x.host + row * HIDDEN, *y = u->y.host + row * HIDDEN;
	double *dy = u->dy.host + row * HIDDEN, *g = u->g.host + row * FFN;
	double *dx = u->dx.host + row * HIDDEN, r = u->r.host[row];
	double *w1 = u->w1.host + (int64_t)e * HIDDEN * cols;
	double *w2 = u->w2.host + (int64_t)e * HIDDEN * FFN;
	double *dw1 = u->dw1.host + (int64_t)e * HIDDEN * cols;
	double *dw2 = u->dw2.host + (int64_t)e * HIDDEN * FFN, sa, sb, v;

	for (i = 0; i < HIDDEN; i++) {
		for (c = 0; c < cols; c++)
			pre[c] += x[i] * w1[i * cols + c];
	}
	u->dr.host[row] = 0;
	for (c = 0; c < FFN; c++) {
		h[c] = r * act_of(u, pre, c, &sa, &sb);
		for (i = 0; i < HIDDEN; i++) {
			y[i] += h[c] * w2[c * HIDDEN + i];
			g[c] += dy[i] * w2[c * HIDDEN + i];
			dw2[c * HIDDEN + i] += h[c] * dy[i];
		}
	}
	for (c = 0; c < FFN; c++) {
		v = act_of(u, pre, c, &sa, &sb);
		u->dr.host[row] += g[c] * v;
		pre[c] = r * g[c] * sa;
		if (u->shape.gated)
			pre[FFN + c] = r * g[c] * sb;
	}
	for (i = 0; i < HIDDEN; i++) {
		for (c = 0; c < cols; c++) {
			dx[i] += pre[c] * w1[i * cols + c];
			dw1[i * cols + c] += x[i] * pre[c];
		}
	}
}

static void host_all(struct ffn_run *u)
{
	int cols = u->shape.gated ? 2 * FFN : FFN, e;
	int64_t row, end, stop;

	for (e = 0; e < EXPERTS; e++) {
		row = ffn_rows_first(&u->rows, e);
		end = row + u->rows.count[e];
		stop = u->rows.stride ? row + u->rows.stride : end;
		for (; row < end; row++)
			host_row(u, e, row);
		for (; row < stop; row++) {	/* tails: what may be there */
			int i;

			for (i = 0; i < HIDDEN; i++)
				u->dx.host[row * HIDDEN + i] = NAN;
			for (i = 0; i < HIDDEN; i++)
				u->y.host[row * HIDDEN + i] = NAN;
			for (i = 0; i < FFN; i++)
				u->h.host[row * FFN + i] = 0;
			for (i = 0; i < cols; i++)
				u->pre.host[row * cols + i] = 0;
			u->dr.host[row] = NAN;
		}
	}
}

static enum status make_all(struct ffn_run *u)
{
	uint64_t rows = (uint64_t)u->total, cols = u->shape.gated ? 2 * FFN
								   : FFN;
	bool b = u->shape.bf16;
	struct {
		struct array *a;
		uint64_t n;
		bool bf16;
		double scale;
	} all[] = {
		{ &u->x, rows * HIDDEN, b, 1 }, { &u->dy, rows * HIDDEN, b, 1 },
		{ &u->w1, EXPERTS * HIDDEN * cols, b, 0.125 },
		{ &u->w2, EXPERTS * HIDDEN * FFN, b, 0.125 },
		{ &u->r, rows, false, 1 }, { &u->pre, rows * cols, b, 0 },
		{ &u->h, rows * FFN, b, 0 }, { &u->y, rows * HIDDEN, b, 0 },
		{ &u->g, rows * FFN, b, 0 }, { &u->dr, rows, false, 0 },
		{ &u->dx, rows * HIDDEN, b, 0 },
		{ &u->dw1, EXPERTS * HIDDEN * cols, b, 0 },
		{ &u->dw2, EXPERTS * HIDDEN * FFN, b, 0 },
	};
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < COUNT(all) && !st; i++)
		st = array_make(all[i].a, all[i].n, all[i].bf16, all[i].scale,
				(int)i % FILL_STREAM_N);
	return st;
}

static enum status run_ffn(struct bench_rank *r, struct ffn_run *u, int way)
{
	struct ffn_buffers b = {
		.x = u->x.device, .w1 = u->w1.device, .w2 = u->w2.device,
		.r = u->r.device, .pre = u->pre.device, .h = u->h.device,
		.y = u->y.device, .dy = u->dy.device, .g = u->g.device,
		.dr = u->dr.device, .dx = u->dx.device,
		.dw1 = u->dw1.device, .dw2 = u->dw2.device
	};
	struct cuda_ffn *f = NULL;
	enum status st = cuda_ffn_open(&u->shape, &f);

	if (st)
		return st;
	if (way == FFN_WAYS)
		st = cuda_ffn_tune(f, &u->rows, &b, FFN_TUNE_FIRST, r->s);
	else
		cuda_ffn_force(f, way);
	if (!st)
		st = cuda_ffn_zero_tails(&u->shape, &u->rows, u->x.device,
					 HIDDEN, r->s);
	if (!st)
		st = cuda_ffn_zero_tails(&u->shape, &u->rows, u->dy.device,
					 HIDDEN, r->s);
	if (!st)
		st = cuda_ffn_forward(f, &u->rows, &b, r->s);
	if (!st)
		st = cuda_ffn_backward_data(f, &u->rows, &b, r->s);
	if (!st)
		st = cuda_ffn_backward_weights(f, &u->rows, &b, false, r->s);
	if (!st)
		st = cuda_status(cudaStreamSynchronize(r->s),
				 "cudaStreamSynchronize()");
	cuda_ffn_close(f);
	return st;
}

static enum status compare_all(struct ffn_run *u)
{
	enum status st = compare(u, &u->h, "h");

	if (!st)
		st = compare(u, &u->y, "y");
	if (!st)
		st = compare(u, &u->pre, "dpre");
	if (!st)
		st = compare(u, &u->dr, "dr");
	if (!st)
		st = compare(u, &u->dx, "dx");
	if (!st)
		st = compare(u, &u->dw1, "dw1");
	return st ? st : compare(u, &u->dw2, "dw2");
}

static enum status one_ffn(struct bench_rank *r, bool gated, bool bf16,
			   bool padded, int way)
{
	static const int32_t count[EXPERTS] = { 100, 0, 37, 130, 1 };
	struct ffn_run u = {
		.shape = { EXPERTS, HIDDEN, FFN, gated, bf16 },
		.rows = { EXPERTS, count, padded ? 144 : 0 }
	};
	struct array *all[] = { &u.x, &u.w1, &u.w2, &u.r, &u.dy, &u.pre, &u.h,
				&u.y, &u.g, &u.dr, &u.dx, &u.dw1, &u.dw2 };
	enum status st;
	size_t i;

	u.total = ffn_rows_first(&u.rows, EXPERTS);
	st = make_all(&u);
	if (!st)
		st = run_ffn(r, &u, way);
	if (!st)
		st = bench_spoil(r, u.dw2.device);
	if (!st) {
		host_all(&u);
		st = compare_all(&u);
	}
	if (!st && bench_count(r, !(u.worst <= (bf16 ? 2e-2 : 1e-5))))
		printf("check ffn %s %s %s way %d: off by %.2g (%s)%s\n",
		       gated ? "gated" : "gelu", bf16 ? "bf16" : "fp32",
		       padded ? "padded" : "packed", way, u.worst,
		       u.worst_name, u.worst <= (bf16 ? 2e-2 : 1e-5)
		       ? "" : "  WRONG");
	for (i = 0; i < COUNT(all); i++)
		array_free(all[i]);
	return st;
}

enum status bench_check_ffn(struct bench_rank *r)
{
	enum status st = ST_OK;
	int i, way;

	for (way = -1; way <= FFN_WAYS && !st; way++) {
		for (i = 0; i < 8 && !st; i++)
			st = one_ffn(r, i & 1, i & 2, i & 4, way);
	}
	return st;
}
