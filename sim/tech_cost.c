/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_cost.h"

#include <math.h>

/* A dtype that the GPU lacks falls back to fp32, which every GPU has. */
static double peak(const struct gpu *g, enum dtype t)
{
	return g->flops[t] > 0 ? g->flops[t] : g->flops[DT_FP32];
}

double tech_cost_compute_s(const struct tech_cost *c, const struct gpu *g,
			   enum dtype t)
{
	double gemm = c->gemm_flop / (peak(g, t) * g->gemm_efficiency);
	double vector = c->vector_flop / peak(g, DT_FP32);
	double stream = c->hbm_bytes / (g->hbm_Bps * g->hbm_efficiency);

	return c->kernels * g->kernel_s + gemm + fmax(vector, stream);
}
