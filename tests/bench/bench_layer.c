/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Times of layers on all GPUs of this host: the shapes of well-known models,
 * at some pipeline degrees and algorithms. `bench_layer [NAME [CONFIG..]]`.
 * Medians over steps of the slowest rank, milliseconds; TFLOP/s of the expert
 * products alone, forward and backward, of one GPU.
 */
#include "gpu/backend.h"
#include "gpu/layer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARMUP 5
#define STEPS 20
#define CONFIGS_MAX 32

static const struct shape {
	const char *name;
	int tokens, hidden, ffn, experts, k;
	bool gated;
} shapes[] = {
	{ "mixtral-1k", 1024, 4096, 14336, 8, 2, true },
	{ "mixtral-4k", 4096, 4096, 14336, 8, 2, true },
	{ "mixtral-16k", 16384, 4096, 14336, 8, 2, true },
	{ "gpt-moe-4k", 4096, 2048, 8192, 16, 2, false },
	{ "gpt-moe-16k", 16384, 2048, 8192, 16, 2, false },
	{ "dsv2-lite-8k", 8192, 2048, 1408, 64, 6, true },
	{ "qwen3-30b-8k", 8192, 2048, 768, 128, 8, true },
};
#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *x, int n)
{
	qsort(x, (size_t)n, sizeof(*x), by_value);
	return x[n / 2];
}

/* "direct:1/2:graph": algorithm, degrees, static sizes in a graph; also
 * :overlap (of weight gradients), :ctas=N, :cap (a capacity, no graph). */
struct config {
	int alg, forward, backward, ctas;
	bool graph, capacity, overlap;
};

static bool parse_config(const char *text, struct config *out)
{
	char name[16] = "";
	int n = sscanf(text, "%15[^:]:%d/%d", name, &out->forward,
		       &out->backward);

	if (n < 2)
		return false;
	if (n < 3)
		out->backward = out->forward;
	out->graph = strstr(text, ":graph") != NULL;
	out->capacity = out->graph || strstr(text, ":cap");
	out->overlap = strstr(text, ":overlap") != NULL;
	out->ctas = strstr(text, ":ctas=")
		? (int)strtol(strstr(text, ":ctas=") + 6, NULL, 10) : 0;
	out->alg = a2a_find(name);
	return out->alg >= 0;
}

/* Capacity 1: as many slots as there would be copies on average. */
static struct layer_case make_case(const struct shape *s, int ranks,
				   const struct config *g)
{
	struct layer_case c = {
		.dtype = DT_BF16, .tokens = s->tokens, .hidden = s->hidden,
		.ffn = s->ffn, .experts = s->experts, .k = s->k,
		.gated = s->gated, .nodes = 1, .gpus_per_node = ranks,
		.seed = 1, .graph = g->graph,
		.plan = { .layout = { ranks, 1, 1, 1, 1 },
			  .alltoall = (enum a2a_alg)g->alg,
			  .technique_mask = 1,
			  .degree_forward = g->forward,
			  .degree_backward = g->backward,
			  .capacity_factor = g->capacity ? 1 : 0,
			  .ctas = g->ctas,
			  .overlap = g->overlap ? OVERLAP_WEIGHT
						: OVERLAP_NONE },
	};

	if (g->capacity)
		c.capacity = layer_capacity(&c, 1);
	return c;
}

static enum status measure(struct backend *b, const struct layer_case *c,
			   const char *name, const char *config)
{
	double forward_s[STEPS], step_s[STEPS], f, s, flops;
	enum status st = backend_cuda.layer_prepare(b, c);

	if (st)
		return st;
	st = backend_cuda.layer_run(b, WARMUP, forward_s, step_s);
	if (!st)
		st = backend_cuda.layer_run(b, STEPS, forward_s, step_s);
	if (!st) {
		f = median(forward_s, STEPS);
		s = median(step_s, STEPS);
		flops = 6.0 * (c->gated ? 3 : 2) * c->tokens * c->k *
			c->hidden * c->ffn;
		printf("%-14s %-18s %8.3f %8.3f ms  %4.0f TFLOP/s\n",
		       name, config, 1e3 * f, 1e3 * s, flops / s / 1e12);
		fflush(stdout);
	}
	backend_cuda.layer_release(b);
	return st;
}

static enum status measure_shape(struct backend *b, const struct shape *s,
				 int ranks, const char **config, int n)
{
	struct layer_case c;
	struct config g;
	enum status st = ST_OK;
	int i;

	for (i = 0; i < n && !st; i++) {
		if (!parse_config(config[i], &g))
			return err_set(ST_INPUT, "'%s' is not ALGORITHM:"
				       "DEGREE[/DEGREE][:graph]", config[i]);
		c = make_case(s, ranks, &g);
		st = measure(b, &c, s->name, config[i]);
	}
	return st;
}

int main(int argc, char **argv)
{
	static const char *usual[] = { "flat:1", "flat:2", "direct:1",
				       "direct:1:overlap", "direct:2",
				       "direct:1/2", "direct:1:graph" };
	struct backend_options opt = { .seed = 1 };
	struct backend_info info;
	struct backend *b;
	const char *own[CONFIGS_MAX] = { NULL };
	bool is_own = argc > 2 && argc - 2 <= CONFIGS_MAX;
	int n = is_own ? argc - 2 : (int)(sizeof(usual) / sizeof(usual[0]));
	enum status st = backend_cuda.open(&opt, &b);
	size_t i;

	if (st) {
		fprintf(stderr, "%s\n", err_msg());
		return (int)st;
	}
	for (i = 0; is_own && (int)i < n; i++)
		own[i] = argv[i + 2];
	backend_cuda.info(b, &info);
	for (i = 0; i < N_SHAPES && !st; i++) {
		if (argc < 2 || !strcmp(argv[1], "all") ||
		    !strcmp(argv[1], shapes[i].name))
			st = measure_shape(b, &shapes[i], info.ranks,
					   is_own ? own : usual, n);
	}
	if (st)
		fprintf(stderr, "%s\n", err_msg());
	backend_cuda.close(b);
	return (int)st;
}
