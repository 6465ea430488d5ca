/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LocMoE (Li et al. 2024). Measures, on N NPUs:
 *
 *	saved SYSTEM N	share of the system's epoch that LocMoE saves
 *	over SYSTEM N	the system's time by LocMoE's
 *
 * The all-to-all's share of a step grows by the same factor with each
 * doubling. Locality leaves a share of it as long as nodes own experts. A
 * router that leaves experts unused loads the others more: experts compute
 * until the fullest one is done.
 */
#include "sim/repro.h"

#include "base/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct repro {
	double share_128, share_256;	/* of the all-to-all */
	double alltoall_left, experts, npus_per_node;
	double switch_used, hash_load, expert_share;
};

enum status repro_locmoe_open(const struct paper *p, struct repro **out_p)
{
	struct repro *r = xcalloc(1, sizeof(*r));
	const struct repro_want want[] = {
		{ "share_128", &r->share_128, 0 },
		{ "share_256", &r->share_256, 0 },
		{ "alltoall_left", &r->alltoall_left, 0 },
		{ "experts", &r->experts, 0 },
		{ "npus_per_node", &r->npus_per_node, 0 },
		{ "switch.used", &r->switch_used, 0 },
		{ "hash.load", &r->hash_load, 0 },
		{ "expert_share", &r->expert_share, 0 },
	};
	enum status st = repro_get(p, "", want, 8);

	if (st)
		free(r);
	else
		*out_p = r;
	return st;
}

void repro_locmoe_close(struct repro *r)
{
	free(r);
}

/* Time of LocMoE's step is (compute 1 - share) + (its share). */
static double step(const struct repro *r, double share, double load,
		   double alltoall)
{
	double experts = r->expert_share;

	return (1 - share) * (1 - experts + experts * load) +
		share * alltoall;
}

enum status repro_locmoe_measure(struct repro *r, int n,
				 const char *const *word, double *value_p)
{
	double npus = 0, share, load, mine, other;

	if (n != 3 || !unit_parse(word[2], U_NUMBER, &npus) || npus < 1)
		return repro_unknown(n, word);
	if (!strcmp(word[1], "switch"))
		load = r->experts / r->switch_used;
	else if (!strcmp(word[1], "hash"))
		load = r->hash_load;
	else
		return repro_unknown(n, word);
	share = r->share_128 * pow(r->share_256 / r->share_128,
				   log2(npus / 128));
	other = step(r, share, load, 1);
	/* more nodes than experts: nothing is local to the others, and a
	 * gate that cannot choose is as even as hash routing */
	mine = npus / r->npus_per_node > r->experts ?
		step(r, share, load, 1) :
		step(r, share, 1, r->alltoall_left);
	if (!strcmp(word[0], "over"))
		*value_p = other / mine;
	else if (!strcmp(word[0], "saved"))
		*value_p = 1 - mine / other;
	else
		return repro_unknown(n, word);
	return ST_OK;
}
