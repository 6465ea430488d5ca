/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_tech [--quick]: how long the techniques' own algorithms take on one
 * core. The hash covers the results: it changes when one does.
 */
#include "sim/tech_condense.h"
#include "sim/tech_gates.h"
#include "sim/tech_lsh.h"
#include "sim/tech_migrate.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t hash(const int *v, int n)
{
	uint64_t h = 14695981039346656037u;

	for (int i = 0; i < n; i++) {
		h = (h ^ (uint64_t)(unsigned)v[i]) * 1099511628211u;
	}
	return h;
}

static int fail(void)
{
	fprintf(stderr, "bench_tech: %s\n", err_msg());
	return 1;
}

static int bench_condense(int n, int dim, double clustered, double similarity,
			  double threshold)
{
	struct tokens_spec spec = { .n = n, .dim = dim, .clusters = 64,
				    .clustered = clustered,
				    .similarity = similarity, .seed = 1 };
	struct condense_spec c = { .threshold = threshold, .sure = 0.8,
				   .never = 0.2 };
	struct condense_history h = { 0 };

	for (int with = 0; with < 3; with++) {
		struct condense_result r;
		struct tokens t;
		double start;

		if (tokens_make(&spec, &t)) {
			return fail();
		}
		start = seconds();
		if (condense_run(&c, &t, NULL, 1, 1, with ? &h : NULL, &r)) {
			return fail();
		}
		printf("condense %d x %d, %g %% in clusters of cosine %g%s: "
		       "%.2f s, kept %lld, %lld edges, computed %.3g %%, hash "
		       "%016llx\n", n, dim, 100 * clustered, similarity,
		       with == 0 ? "" : with == 1 ? ", writes history" :
		       ", reads history", seconds() - start,
		       (long long)r.kept, (long long)r.edges,
		       100.0 * (double)r.computed / (double)r.pairs,
		       (unsigned long long)hash(r.to, n));
		condense_result_release(&r);
		tokens_release(&t);
	}
	condense_history_release(&h);
	return 0;
}

static int bench_lsh(int n, int dim)
{
	struct tokens_spec spec = { .n = n, .dim = dim, .clusters = 64,
				    .clustered = 0.8, .similarity = 0.95,
				    .seed = 1 };
	struct lsh_spec l = { .hashes = LSH_HASHES_DEFAULT, .seed = 1,
			      .rounds = LSH_ROUNDS_DEFAULT };
	double start = seconds();
	struct lsh_point p;

	if (lsh_measure(&l, &spec, &p)) {
		return fail();
	}
	printf("lsh %d x %d, 6 hashes: %.2f s, rate %.4f, error %.4f\n", n,
	       dim, seconds() - start, p.rate, p.centroid_error);
	return 0;
}

static int bench_base(int tokens, int experts)
{
	struct gate_spec g = { .kind = GATE_BASE, .experts = experts, .k = 1,
			       .seed = 1 };
	struct gate_shape shape = { .tokens = tokens, .dim = 1024,
				    .element_bytes = 2 };
	double *p = xcalloc((size_t)experts, sizeof(*p));
	double *share = xcalloc((size_t)experts, sizeof(*share));
	double start = seconds();
	struct gate_effect e;

	for (int i = 0; i < experts; i++) {
		p[i] = 1.0 / (i + 1);
	}
	if (gate_effect_make(&g, p, tokens, &shape, share, &e)) {
		return fail();
	}
	printf("base %d tokens, %d experts: %.3f s, quality %.6f\n", tokens,
	       experts, seconds() - start, e.quality);
	free(p);
	free(share);
	return 0;
}

static int bench_migrate(int n, int gpus, int candidates)
{
	struct sequences_spec spec = { .n = n, .gpus = gpus, .k = 2, .hot = 3,
				       .length_min = 128, .length_max = 1024,
				       .focus = 0.7, .seed = 1 };
	struct migrate_spec m = { .candidates = candidates, .row_bytes = 4096,
				  .slack = MIGRATE_SLACK_DEFAULT,
				  .hidden = 2048, .attention_macs = 1e14,
				  .link_Bps = 50e9 };
	struct migrate_result r;
	struct sequences s;
	double start;

	if (sequences_make(&spec, &s)) {
		return fail();
	}
	start = seconds();
	if (migrate_run(&m, &s, &r)) {
		return fail();
	}
	printf("migrate %d sequences, %d GPUs, %d candidates: %.3f s, bytes "
	       "%.3g -> %.3g, attention %.3g -> %.3g s, %d without room, hash "
	       "%016llx\n", n, gpus, candidates, seconds() - start,
	       r.before.bytes, r.after.bytes, r.before.attention_s,
	       r.after.attention_s, r.overflow,
	       (unsigned long long)hash(r.home, n));
	migrate_result_release(&r);
	sequences_release(&s);
	return 0;
}

int main(int argc, char **argv)
{
	int n = argc > 1 && !strcmp(argv[1], "--quick") ? 2048 : 16384;

	return bench_base(4096, 64) || bench_base(n, 128) ||
		bench_migrate(8192, 1024, 1) || bench_migrate(8192, 1024, 3) ||
		bench_migrate(8192, 1024, 64) ||
		bench_condense(n, 1024, 0.8, 0.9, 0.5) ||
		bench_condense(n, 1024, 1, 0.9, 0.05) || bench_lsh(n, 1024);
}
