/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The layer's nonlinear functions and their derivatives, in double. */
#ifndef GPU_LAYER_MATH_H
#define GPU_LAYER_MATH_H

#include <math.h>

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
