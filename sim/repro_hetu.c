/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HetuMoE (Nie et al. 2022): one MoE layer, forward, on one node. Measure:
 *
 *	over BATCH	DeepSpeed-MoE's time by HetuMoE's
 *
 * DeepSpeed-MoE of that time dispatches by a product with a one-hot mask of
 * tokens x (experts x capacity), 2 T (k f T) h operations each way; HetuMoE
 * by a layout kernel that moves each row once.
 */
#include "sim/repro.h"

#include "base/units.h"

#include <stdlib.h>
#include <string.h>

#define ELEMENT_BYTES 4

struct repro {
	double flops, memory_Bps, link_Bps, gpus;
	double length, hidden, ffn, copies;
};

enum status repro_hetu_open(const struct paper *p, struct repro **out_p)
{
	struct repro *r = xcalloc(1, sizeof(*r));
	const struct repro_want want[] = {
		{ "flops", &r->flops, 0 }, { "memory_Bps", &r->memory_Bps, 0 },
		{ "link_Bps", &r->link_Bps, 0 }, { "gpus", &r->gpus, 0 },
		{ "length", &r->length, 0 }, { "hidden", &r->hidden, 0 },
		{ "ffn", &r->ffn, 0 }, { "copies", &r->copies, 0 },
	};
	enum status st = repro_get(p, "", want, 8);

	if (st)
		free(r);
	else
		*out_p = r;
	return st;
}

void repro_hetu_close(struct repro *r)
{
	free(r);
}

enum status repro_hetu_measure(struct repro *r, int n,
			       const char *const *word, double *value_p)
{
	double batch = 0, rows, bytes, experts, exchange, mask, layout;

	if (n != 2 || strcmp(word[0], "over") ||
	    !unit_parse(word[1], U_NUMBER, &batch) || !(batch > 0))
		return repro_unknown(n, word);
	rows = r->copies * batch * r->length;
	bytes = rows * r->hidden * ELEMENT_BYTES;
	experts = 4 * rows * r->hidden * r->ffn / r->flops;
	exchange = 2 * bytes * (r->gpus - 1) / r->gpus / r->link_Bps;
	mask = 2 * 2 * batch * r->length * rows * r->hidden / r->flops;
	layout = 2 * 2 * bytes / r->memory_Bps;
	*value_p = (mask + experts + exchange) / (layout + experts + exchange);
	return ST_OK;
}
