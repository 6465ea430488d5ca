/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The layer's nonlinear functions and their derivatives, in double; and how
 * sums of bf16 over chunks are made.
 */
#ifndef GPU_LAYER_MATH_H
#define GPU_LAYER_MATH_H

#include <math.h>

/*
 * C = A B + kept C where a product of bf16 adds to what is there: the float
 * next below 1. With 1 itself cuBLAS takes up to twice as long over few rows
 * (doc/model.md, "Reached on 2 x H200"). C has 8 significant bits: 2^-24 of it is 2^-16 of
 * its last place at most, to which the sum is rounded. So no chunk without
 * rows changes C, and other sums differ only within that of a tie. (Exact
 * factors, 1/2 of C and 2^(n-1-c) for chunk c, would need C halved where a
 * chunk has no rows, and overflow beyond 128 chunks.)
 */
#define MATH_BF16_KEPT 0x1.fffffep-1f

static inline double math_gelu(double v)
{
	return 0.5 * v * (1 + erf(v * M_SQRT1_2));
}

static inline double math_gelu_slope(double v)
{
	return 0.5 * (1 + erf(v * M_SQRT1_2)) +
	       v * exp(-0.5 * v * v) * (0.5 * M_SQRT1_2 * M_2_SQRTPI);
}

static inline double math_sigmoid(double v)
{
	return 1 / (1 + exp(-v));
}

static inline double math_silu(double v)
{
	return v * math_sigmoid(v);
}

static inline double math_silu_slope(double v)
{
	double s = math_sigmoid(v);

	return s * (1 + v * (1 - s));
}

#endif
