/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Measures one case: warm-up, repetitions until the median is certain, the
 * check, and the sample rows that come of it.
 */
#ifndef GPU_BENCH_H
#define GPU_BENCH_H

#include "gpu/backend.h"

#define BENCH_SPREAD 0.02	/* enough: half of the 95 % interval */
#define BENCH_REPEATS_MIN 6	/* the fewest that have an interval */
#define BENCH_REPEATS_MAX 1000
#define BENCH_SAMPLES_MAX 4	/* two works alone and together */

struct bench {
	const struct backend_ops *ops;
	struct backend *b;
	int nodes;
	/* a case is repeated no longer than that, BENCH_REPEATS_MIN times
	 * at least (3 times when one takes longer than this) */
	double cap_s;
	/* it runs so long before, and then for all of the cap: at the clock
	 * of a machine that does nothing else; 0: does not */
	double hold_s;
	int64_t pairs;		/* of contention, so far */
	/* called at each step: something moves; may be NULL */
	void (*beat)(void *arg);
	void *arg;
};

/* out: room for BENCH_SAMPLES_MAX; *n_p: 1, or 2 for contention. */
enum status bench_measure(struct bench *be, const struct bench_case *c,
			  struct sample *out, int *n_p);

/*
 * Contention: the product alone, the exchange alone, both (product with the
 * exchange beside it), in turns, so that all three are of the same moments;
 * checked in the first turn. *n_p: 4, in this order; 2 when the exchange
 * alone takes longer than slow_s.
 */
enum status bench_together(struct bench *be, const struct bench_case *product,
			   const struct bench_case *exchange,
			   const struct bench_case *both, double slow_s,
			   struct sample *out, int *n_p);

/* "alltoall even 1048576 bytes", "gemm grouped 128 x 4096 x 1024 x 8". */
void bench_describe(const struct bench_case *c, char *out, size_t size);

/* memory, compute, or the tier of an exchange. */
const char *bench_tier(const struct bench_case *c);

#endif
