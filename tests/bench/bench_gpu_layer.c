/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_gpu's layers: the exchange and the experts of one layer at seven
 * shapes in use, with random even routing of every rank's tokens.
 */
#include "bench_gpu.h"

#include "base/mem.h"
#include "gpu/cuda_ffn_int.h"
#include "gpu/k.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define ALIGN 256ull

struct shape {
	const char *name;
	int tokens, hidden, ffn, experts, k;
	bool gated;
};

static const struct shape shapes[] = {
	{ "mixtral-1k", 1024, 4096, 14336, 8, 2, true },
	{ "mixtral-4k", 4096, 4096, 14336, 8, 2, true },
	{ "mixtral-16k", 16384, 4096, 14336, 8, 2, true },
	{ "gpt-moe-4k", 4096, 2048, 8192, 16, 2, false },
	{ "gpt-moe-16k", 16384, 2048, 8192, 16, 2, false },
	{ "dsv2-lite-8k", 8192, 2048, 1408, 64, 6, true },
	{ "qwen3-30b-8k", 8192, 2048, 768, 128, 8, true },
};

struct layer {
	const struct shape *c;
	struct direct_route route;
	uint64_t x, stage, out_pair, end;
	struct direct_combine combine;
	struct ffn_rows rows;
	int64_t total;
	struct ffn_buffers b;
	struct cuda_ffn *f;
	char *arena, *out;
	int32_t *count;
	enum ffn_product product;
	bool backward;
};

static uint64_t take(uint64_t *end, uint64_t bytes)
{
	uint64_t at = *end;

	*end += (bytes + ALIGN - 1) / ALIGN * ALIGN;
	return at;
}

static enum status upload(struct bench_rank *r, struct layer *l,
			  const struct bench_routing *g)
{
	uint64_t pairs = 4ull * (uint64_t)g->tokens * (uint64_t)g->k;
	uint64_t row = 4ull * (uint64_t)g->experts;
	enum status st;

	CUDA_GOTO(out, st, cudaMemcpy(r->window + l->route.ids, g->ids, pairs,
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(r->window + l->route.pos, g->pos, pairs,
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(r->window + l->route.weights, g->weights,
				      pairs, cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(r->window + l->route.counts +
				      (uint64_t)r->rank * row, g->counts, row,
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, k_fill(r->window + l->x, (uint64_t)g->tokens *
				  (uint64_t)l->c->hidden, true, 1, r->s));
out:
	return st;
}

static void lay_out(struct layer *l, int n)
{
	const struct shape *c = l->c;
	uint64_t pairs = (uint64_t)c->tokens * (uint64_t)c->k;
	uint64_t x = (uint64_t)c->tokens * (uint64_t)c->hidden * 2;

	l->route = (struct direct_route){
		.tokens = c->tokens, .k = c->k, .experts = c->experts,
		.ids = take(&l->end, 4 * pairs),
		.pos = take(&l->end, 4 * pairs),
		.weights = take(&l->end, 4 * pairs),
		.counts = take(&l->end, 4ull * (uint64_t)(n * c->experts)),
	};
	l->x = take(&l->end, x);
	l->stage = take(&l->end, x * (uint64_t)n);
	l->out_pair = take(&l->end, 4 * pairs);
}

/* Everything of the rank's own in one arena, weights and dy random. */
static enum status make_arena(struct bench_rank *r, struct layer *l)
{
	const struct shape *c = l->c;
	uint64_t rows = (uint64_t)l->total, h = (uint64_t)c->hidden;
	uint64_t ffn = (uint64_t)c->ffn, cols = ffn * (c->gated ? 2 : 1);
	uint64_t local = (uint64_t)l->rows.experts, end = 0;
	uint64_t pairs = (uint64_t)(c->tokens * c->k * r->b->n);
	void *weight[2];
	struct {
		void *p_p;
		uint64_t bytes;
	} all[] = {
		{ &l->b.x, rows * h * 2 }, { &l->b.dy, rows * h * 2 },
		{ &l->b.y, rows * h * 2 }, { &l->b.dx, rows * h * 2 },
		{ &l->b.pre, rows * cols * 2 }, { &l->b.h, rows * ffn * 2 },
		{ &l->b.g, rows * ffn * 2 }, { &l->b.dr, rows * 4 },
		{ &l->route.row_weight, rows * 4 },
		{ &l->b.dw1, local * h * cols * 2 },
		{ &l->b.dw2, local * h * ffn * 2 },
		{ &weight[0], local * h * cols * 2 },
		{ &weight[1], local * h * ffn * 2 },
		{ &l->route.place, pairs * 4 },
		{ &l->route.slot, cuda_direct_slot_bytes(&l->route, r->b->n) },
		{ &l->route.kept, local * 4 },
		{ &l->out, (uint64_t)c->tokens * h * 2 },
	};
	enum status st;
	size_t i;

	for (i = 0; i < COUNT(all); i++)
		(void)take(&end, all[i].bytes);
	CUDA_GOTO(out, st, cudaMalloc((void **)&l->arena, end));
	for (end = i = 0; i < COUNT(all); i++) {
		void *p = l->arena + take(&end, all[i].bytes);

		memcpy(all[i].p_p, &p, sizeof(p));
	}
	l->b.w1 = weight[0];
	l->b.w2 = weight[1];
	l->b.r = l->route.row_weight;
	CUDA_GOTO(out, st, k_fill(l->arena, end / 2, true, 3, r->s));
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->s));
	st = bench_fill(r, weight[0], local * h * cols, pow((double)h, -0.5));
	if (!st)
		st = bench_fill(r, weight[1], local * h * ffn,
				pow((double)ffn, -0.5));
out:
	return st;
}

static enum status set_up(struct bench_rank *r, struct layer *l)
{
	const struct shape *c = l->c;
	int local = c->experts / r->b->n, e, s;
	struct bench_routing g;
	enum status st;

	lay_out(l, r->b->n);
	st = bench_window(r, l->end);
	if (st)
		return st;
	l->count = xcalloc((size_t)local, sizeof(*l->count));
	for (s = 0; s < r->b->n && !st; s++) {
		bench_routing_make(&g, c->tokens, c->k, c->experts, 0,
				   (uint64_t)(s + 9));
		for (e = 0; e < local; e++)
			l->count[e] += g.counts[r->rank * local + e];
		if (s == r->rank)
			st = upload(r, l, &g);
		bench_routing_free(&g);
	}
	l->rows = ffn_rows_of(l->count, local);
	l->total = ffn_rows_first(&l->rows, local);
	l->route.rows_max = l->total;
	if (!st)
		st = make_arena(r, l);
	l->combine = (struct direct_combine){
		.rows = l->b.y, .columns = c->hidden, .bf16 = true,
		.stage = l->stage, .out = l->out, .out_pair = l->out_pair
	};
	return st;
}

static enum status do_route(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;

	return cuda_direct_route(r->direct, &l->route, 0, r->s);
}

static enum status do_dispatch(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;

	return cuda_direct_dispatch(r->direct, &l->route, l->x,
				    (uint64_t)l->c->hidden * 2,
				    (void *)l->b.x, r->s);
}

static enum status do_send(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;

	return cuda_direct_send_sums(r->direct, &l->route, &l->combine, r->s);
}

static enum status do_add(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;

	return cuda_direct_add_sums(r->direct, &l->route, &l->combine, r->s);
}

static enum status do_combine(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;

	return cuda_direct_combine(r->direct, &l->route, &l->combine, 0, r->s);
}

static enum status do_forward(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;

	return cuda_ffn_forward(l->f, &l->rows, &l->b, r->s);
}

static enum status do_product(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;

	return ffn_multiply(l->f, l->product, &l->rows, &l->b, r->s);
}

static enum status do_act(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;

	return ffn_activate(l->f, &l->rows, &l->b, l->backward, r->s);
}

static enum status do_experts(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;
	enum status st = cuda_ffn_forward(l->f, &l->rows, &l->b, r->s);

	if (!st)
		st = cuda_ffn_backward_data(l->f, &l->rows, &l->b, r->s);
	return st ? st : cuda_ffn_backward_weights(l->f, &l->rows, &l->b,
						   false, r->s);
}

static enum status do_step(struct bench_rank *r, void *arg)
{
	struct layer *l = arg;
	struct layer back = *l;
	enum status st = do_route(r, l);

	back.b.x = l->b.dy;
	back.combine.rows = l->b.dx;
	if (!st)
		st = do_dispatch(r, l);
	if (!st)
		st = do_forward(r, l);
	if (!st)
		st = do_combine(r, l);
	if (!st)
		st = cuda_direct_barrier(r->direct, 0, r->s);
	if (!st)
		st = do_dispatch(r, &back);
	if (!st)
		st = cuda_ffn_backward_data(l->f, &l->rows, &l->b, r->s);
	if (!st)
		st = do_combine(r, &back);
	return st ? st : cuda_ffn_backward_weights(l->f, &l->rows, &l->b,
						   false, r->s);
}

static double flops(const struct layer *l)
{
	int64_t rows = ffn_total(&l->rows);

	return 2.0 * (double)rows * l->c->hidden * l->c->ffn *
	       (l->c->gated ? 3 : 2);
}

static enum status time_exchange(struct bench_rank *r, struct layer *l)
{
	static const struct {
		const char *name;
		bench_fn *fn;
	} all[] = {
		{ "route", do_route }, { "dispatch", do_dispatch },
		{ "send", do_send }, { "add", do_add },
		{ "combine", do_combine },
	};
	static const int ctas[] = { 8, 16, 32 };
	enum status st = ST_OK;
	double s;
	size_t i;

	for (i = 0; i < COUNT(all) && !st; i++) {
		st = bench_time(r, all[i].fn, l, 5, true, &s);
		if (!st && r->rank == 0)
			printf(" %s %.1f", all[i].name, s * 1e6);
	}
	for (i = 0; i < COUNT(ctas) && !st; i++) {
		cuda_direct_limit(r->direct, ctas[i]);
		st = bench_time(r, do_dispatch, l, 5, true, &s);
		if (!st && r->rank == 0)
			printf(" dispatch/%d %.1f", ctas[i], s * 1e6);
		if (!st)
			st = bench_time(r, do_combine, l, 5, true, &s);
		if (!st && r->rank == 0)
			printf(" combine/%d %.1f", ctas[i], s * 1e6);
	}
	cuda_direct_limit(r->direct, 0);
	if (r->rank == 0)
		printf(" us\n");
	return st;
}

static enum status time_products(struct bench_rank *r, struct layer *l)
{
	static const char *const name[FFN_PRODUCTS] = {
		"pre", "y", "g", "dx", "dw2", "dw1", "dw2+", "dw1+"
	};
	enum status st = ST_OK;
	char choice[32];
	double s;
	int p, way;

	for (p = 0; p < FFN_PRODUCTS && !st; p++) {
		bool is_one = p == FFN_Y || p == FFN_G ||
			      p == FFN_DW2 || p == FFN_DW2_ADDED;
		double f = flops(l) * (l->c->gated ? is_one ? 1.0 / 3
						    : 2.0 / 3 : 0.5);

		l->product = (enum ffn_product)p;
		cuda_ffn_choice(l->f, &l->rows, l->product, choice, 32);
		st = bench_time(r, do_product, l, 3, false, &s);
		if (!st && r->rank == 0)
			printf("  %s %s %.0f", name[p], choice, f / s / 1e12);
		for (way = 0; way < FFN_WAYS && !st; way++) {
			cuda_ffn_force(l->f, way);
			st = bench_time(r, do_product, l, 2, false, &s);
			if (!st && r->rank == 0)
				printf("/%.0f", f / s / 1e12);
		}
		cuda_ffn_force(l->f, -1);
	}
	if (r->rank == 0)
		printf(" TFLOP/s (chosen/batched/each/in-turn)\n");
	return st;
}

static enum status time_experts(struct bench_rank *r, struct layer *l)
{
	double forward, act, back, all, step;
	enum status st = bench_time(r, do_forward, l, 3, false, &forward);

	if (!st)
		st = bench_time(r, do_act, l, 3, false, &act);
	l->backward = true;
	if (!st)
		st = bench_time(r, do_act, l, 3, false, &back);
	l->backward = false;
	if (!st)
		st = bench_time(r, do_experts, l, 3, false, &all);
	if (!st)
		st = bench_time(r, do_step, l, 3, false, &step);
	if (!st && r->rank == 0)
		printf("  forward %.3f act %.3f act_back %.3f experts %.3f ms "
		       "(%.0f TFLOP/s) step without gate %.3f ms (%.0f)\n",
		       forward * 1e3, act * 1e3, back * 1e3, all * 1e3,
		       3 * flops(l) / all / 1e12, step * 1e3,
		       3 * flops(l) / step / 1e12);
	return st;
}

static enum status one_layer(struct bench_rank *r, const struct shape *c)
{
	struct ffn_shape shape = {
		.experts = c->experts / r->b->n, .hidden = c->hidden,
		.ffn = c->ffn, .gated = c->gated, .bf16 = true
	};
	struct layer l = { .c = c };
	enum status st = set_up(r, &l);

	if (!st)
		st = cuda_ffn_open(&shape, &l.f);
	if (!st && r->rank == 0)
		printf("%s: %lld rows, stride %lld\n ", c->name,
		       (long long)ffn_total(&l.rows),
		       (long long)l.rows.stride);
	if (!st)
		st = do_route(r, &l);
	if (!st)
		st = time_exchange(r, &l);
	if (!st)
		st = cuda_ffn_tune(l.f, &l.rows, &l.b, FFN_TUNE_FIRST, r->s);
	if (!st)
		st = cuda_ffn_tune(l.f, &l.rows, &l.b, FFN_TUNE_LATER, r->s);
	if (!st)
		st = time_products(r, &l);
	if (!st)
		st = time_experts(r, &l);
	fflush(stdout);
	cudaStreamSynchronize(r->s);
	cuda_ffn_close(l.f);
	cudaFree(l.arena);
	free(l.count);
	return st;
}

enum status bench_layers(struct bench_rank *r)
{
	enum status st = ST_OK;
	size_t i;

	if (r->rank == 0)
		printf("# layers of %d ranks\n", r->b->n);
	for (i = 0; i < COUNT(shapes) && !st; i++)
		st = one_layer(r, &shapes[i]);
	return st;
}
