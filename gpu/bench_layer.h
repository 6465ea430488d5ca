/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Measures one layer: a step to warm up, the check, steps until the medians
 * of both times are certain (gpu/bench.h's spread) or the cap is reached.
 */
#ifndef GPU_BENCH_LAYER_H
#define GPU_BENCH_LAYER_H

#include "gpu/bench.h"

#define BENCH_LAYER_SAMPLES 2	/* "forward", "step" */

/*
 * out[0]: forward, out[1]: the whole step; `wrong` of both: 0 when the check
 * found all correct, else at least 1. be->cap_s as in gpu/bench.h.
 */
enum status bench_layer(const struct bench *be, const struct layer_case *c,
			struct sample out[BENCH_LAYER_SAMPLES],
			struct layer_check *check);

#endif
