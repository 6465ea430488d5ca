/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How tokens choose experts, as the scenario says it. sim/route.h makes the
 * counts; doc/model.md, section "Routing and capacity", has the formulas.
 */
#ifndef SCENARIOS_ROUTING_SPEC_H
#define SCENARIOS_ROUTING_SPEC_H

#include <stdint.h>

enum routing_kind {
	ROUTING_UNIFORM,
	ROUTING_ZIPF,
	ROUTING_DIRICHLET,
	ROUTING_POWER_LAW,
	ROUTING_LOG_NORMAL,
	ROUTING_HOT_EXPERT,
	ROUTING_HOT_RANK,
	ROUTING_COUNTS,
	ROUTING_TRACE,
};

struct routing_spec {
	enum routing_kind kind;
	double skew;	/* zipf, power-law: exponent; dirichlet: 1/alpha;
			   log-normal: sigma; hot-*: share of the hot one */
	uint64_t seed;
	char *file;	/* counts, trace; NULL otherwise */
	int layer;	/* counts: layer_slot, -1: all; trace: -1: the first */
	char *domain;	/* counts: which domain; NULL: all */
};

#endif
