/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/dense.h"

#include "sim/cost_layer.h"
#include "sim/net_fault.h"

#include <math.h>

/* Two products for each of a forward one, and FlashAttention's recomputation
 * (Dao 2023: 2.5 times the forward operations). */
#define BACKWARD_GEMM 2
#define BACKWARD_SCORES 2.5
/* Scores and their sum over values: 2 x 2 FLOP a pair and hidden element,
 * half of the pairs under a causal mask. */
#define SCORE_FLOP 2
/* Tensor group: attention and network have one each of all-gather and
 * reduce-scatter a pass (Korthikanti et al. 2022). */
#define TENSOR_PAIRS 2

void dense_init(struct dense *d, const struct gpu *gpu, const struct model *m,
		const struct layout *l)
{
	/* shared experts and router are in the MoE layer's time */
	double in_moe = layer_shared_params(m) +
		(double)m->hidden * m->experts;

	*d = (struct dense){
		.gpu = gpu, .model = m, .tp = l->tp,
		.tokens = (double)layout_tokens(l, m) * l->tp,
		.params = fmax(m->params_other - in_moe * m->moe_layers, 0) /
			m->layers,
	};
}

/* One product with all of a layer's dense weights, and the scores. */
void dense_work(const struct dense *d, bool backward, double share,
		struct work *out)
{
	const struct model *m = d->model;
	double h = m->hidden, n = d->params / h / d->tp;
	double rate = d->gpu->flops[m->dtype] * d->gpu->gemm_efficiency;
	double scores = SCORE_FLOP * d->tokens * share * m->sequence * h /
		d->tp / rate;
	struct work w = { 0 };

	if (n > 0)
		work_add_gemm(&w, d->gpu, NULL, m->dtype, d->tokens * share, n,
			      h);
	*out = (struct work){
		.seconds = backward ? BACKWARD_GEMM * w.seconds +
			BACKWARD_SCORES * scores : w.seconds + scores,
		.bytes = (backward ? BACKWARD_GEMM : 1) * w.bytes,
	};
}

enum status dense_tensor(const struct dense *d, const struct coll_spec *spec,
			 int chunks, double *out_s)
{
	double bytes = d->tokens * d->model->hidden *
		dtype_bytes(d->model->dtype);
	double share = 1.0 / chunks;
	struct coll ag, rs;
	enum status st;

	*out_s = 0;
	if (d->tp == 1)
		return ST_OK;
	st = coll_ring(spec, COLL_ALLGATHER, d->tp, 1, bytes, &ag);
	if (st)
		return st;
	st = coll_ring(spec, COLL_REDUCESCATTER, d->tp, 1, bytes, &rs);
	if (!st) {
		*out_s = TENSOR_PAIRS * (coll_time(&ag, share) +
					 coll_time(&rs, share));
		coll_release(&rs);
	}
	coll_release(&ag);
	return st;
}

double dense_gradient_bytes(const struct dense *d)
{
	return d->params / d->tp * dtype_bytes(d->model->dtype);
}

struct work dense_op_work(const struct dense *d, const struct coll_spec *spec,
			  bool backward, int chunks)
{
	struct work w;
	double tensor_s;

	dense_work(d, backward, 1.0 / chunks, &w);
	w.seconds /= net_gpu_share_least(spec->net, 1);
	if (!dense_tensor(d, spec, chunks, &tensor_s))
		w.seconds += tensor_s;
	return w;
}
