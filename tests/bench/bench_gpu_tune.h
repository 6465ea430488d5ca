/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of `bench_gpu tune` share: the products and their ways. */
#ifndef TESTS_BENCH_GPU_TUNE_H
#define TESTS_BENCH_GPU_TUNE_H

#include "bench_gpu.h"

#define ALGOS 24		/* asked for, as the operands lie */
#define ALGOS_OTHER 8		/* in other layouts */
#define CALLS_MAX 64
#define STREAMS 4
#define WORKSPACE (32u << 20)

enum { PRE, Y, G, DX, DW2, DW1, PRODUCTS };
enum { X, DY, OUT, OUTX, P, H, GH, W1, W2, V1, V2, BUFFERS };

struct tune_shape {
	const char *name;
	int rows, hidden, ffn, experts;		/* rows: of all experts */
	bool gated;
};

/* A way to do a product. */
struct variant {
	const char *name;
	bool flip_a, flip_b;	/* stored transposed */
	bool is_each;		/* a call for each expert, its rows exactly */
	int streams;
	int algos;
	int epilogue;
};

/* One call of cublasLt. */
struct call {
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t a, b, d;
	cublasLtMatmulHeuristicResult_t algo[ALGOS];
	int n;
	char *pa, *pb, *pd;
};

struct way {
	const struct variant *v;
	struct call call[CALLS_MAX];
	int calls, algo;
	double s;		/* sustained */
};

struct tune {
	const struct tune_shape *c;
	struct bench_rank *r;
	cublasLtHandle_t lt;
	cublasLtMatmulPreference_t pref;
	char *arena, *buffer[BUFFERS], *workspace;
	int32_t count[CALLS_MAX], first[CALLS_MAX];
	int stride;
	cudaStream_t side[STREAMS];
	cudaEvent_t fork, join[STREAMS], mid;
	struct way *best[PRODUCTS], *burst[PRODUCTS], *any[PRODUCTS];
	double burst_s[PRODUCTS];
};

/* Column-major; the width of the experts' rows: 0. */
struct operand {
	int buffer;
	int64_t height, width;
	bool t;
};

struct product {
	const char *name;
	struct operand a, b, d;
};

enum status tune_set_up(struct tune *t);
struct product tune_product(const struct tune *t, int p);
enum status tune_make_way(struct tune *t, const struct product *m,
			  const struct variant *v, struct way *w);
int tune_algos(const struct way *w);
enum status tune_run(struct tune *t, const struct way *w, int algo);
/* Of its id, tile, stages, split, swizzle, custom option, cluster. */
void tune_print_algo(const struct way *w, int algo);

#endif
