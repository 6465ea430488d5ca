/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a step of a collective puts on the links and on the GPUs' memory, at
 * share 1. Made from the step's flows.
 */
#ifndef SIM_COST_LOAD_H
#define SIM_COST_LOAD_H

#include "sim/coll.h"

struct step_load {
	double *link_bytes;	/* [net->n_links], owned; NULL: not known */
	int busiest_link;	/* -1: no flow */
	double busiest_bytes;	/* over that link */
	double hbm_bytes;	/* read + written on the busiest rank */
};

/* A step without flows: only its busiest link and rank. */
void step_load_init(struct step_load *l, const struct coll_step *s,
		    const struct net *net);
void step_load_release(struct step_load *l);

#endif
