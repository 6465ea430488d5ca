/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LSH-MoE (Nie et al., NeurIPS 2024). Measure:
 *
 *	speedup MODEL	time of a step without compression by that with it
 *
 * A step is the all-to-all's share and the rest. The rest is counted in
 * products of two layers, one of them with experts: attention 2 x 4 h^2, a
 * dense network and k experts of 2 h f each. Compression leaves `rate` of
 * the exchange and of the experts' rows, and adds q rotations and passes over
 * the routed tokens through memory.
 */
#include "sim/repro.h"

#include <stdio.h>
#include <stdlib.h>

#define ELEMENT_BYTES 2
#define PASSES_OF_TRAINING 3	/* forward, and backward twice that */

struct repro {
	const struct paper *p;
	double hashes, top_k, cluster_passes;
};


enum status repro_lsh_open(const struct paper *p, struct repro **out_p)
{
	struct repro *r = xcalloc(1, sizeof(*r));
	const struct repro_want want[] = {
		{ "hashes", &r->hashes, 0 }, { "top_k", &r->top_k, 0 },
		{ "cluster_passes", &r->cluster_passes, 0 },
	};
	enum status st = repro_get(p, "", want, 3);

	r->p = p;
	if (st)
		free(r);
	else
		*out_p = r;
	return st;
}

void repro_lsh_close(struct repro *r)
{
	free(r);
}

enum status repro_lsh_measure(struct repro *r, int n,
			      const char *const *word, double *value_p)
{
	double share, rate, hidden, ffn, flops, memory_Bps;
	double experts, all, training_s, hash_s, cluster_s, rest;
	const struct repro_want want[] = {
		{ ".alltoall_share", &share, 0 }, { ".rate", &rate, 0 },
		{ ".hidden", &hidden, 0 }, { ".ffn", &ffn, 0 },
		{ ".flops", &flops, 0 }, { ".memory_Bps", &memory_Bps, 0 },
	};
	enum status st;

	if (n != 2)
		return repro_unknown(n, word);
	st = repro_get(r->p, word[1], want, 6);
	if (st)
		return st;
	/* MACs per token of two layers */
	experts = r->top_k * 2 * hidden * ffn;
	all = 8 * hidden * hidden + 2 * hidden * ffn + experts;
	training_s = PASSES_OF_TRAINING * 2 * all / flops;
	hash_s = 2 * r->hashes * r->top_k * hidden * hidden / flops;
	cluster_s = r->cluster_passes * r->top_k * hidden * ELEMENT_BYTES /
		memory_Bps;
	rest = 1 - experts / all * (1 - rate) +
		(hash_s + cluster_s) / training_s;
	*value_p = 1 / (share * rate + (1 - share) * rest);
	return ST_OK;
}
