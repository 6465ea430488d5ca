/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Routing: how many token copies each rank sends to each expert.
 *
 * Generated (GSL generators, seeded: same spec, same numbers on every
 * machine) or read from files. Every rank has `tokens` tokens and each goes
 * to k different experts, so every row sums to tokens * k exactly and no
 * cell exceeds `tokens` (routing_check()).
 */
#ifndef SIM_ROUTE_H
#define SIM_ROUTE_H

#include "scenarios/scenario.h"
#include "sim/coll.h"

struct routing {
	int ranks, experts, k;
	int tokens;		/* per rank */
	int64_t *count;		/* [ranks * experts], owned */
};

/*
 * Popularity of experts, then per rank a multinomial draw without a token
 * choosing an expert twice (cells capped at `tokens`, the excess goes to the
 * next popular). hot-rank: the experts of one EP index are hot. counts and
 * trace: the file's frequencies (trace: whole tokens, dealt to ranks in
 * order) scaled to this many tokens. Errors name file and line.
 */
enum status routing_make(const struct routing_spec *spec,
			 const struct model *m, const struct layout *l,
			 int ranks, struct routing *out);
void routing_release(struct routing *r);
void routing_check(const struct routing *r);

/*
 * What a layout and a capacity factor make of a routing. The whole cluster
 * at once (all EP groups, all ESP shards).
 */
struct workload {
	int ranks, local_experts;	/* expert slots of one rank */
	int64_t capacity;	/* slots per (source rank, expert); 0: dropless */
	double token_bytes;	/* hidden * bytes per element */
	struct traffic dispatch;	/* bytes; padded when capacity > 0 */
	struct traffic combine;	/* its transpose */
	/* rows that rank r computes for its i-th expert, padding and the
	 * ESP group's tokens included: [ranks * local_experts] */
	double *rows;
	double drop_fraction;	/* of routed copies */
	double padding_fraction;	/* of the slots that are computed */
	int64_t routed, kept, dropped;	/* copies; routed = kept + dropped */
};

/* factor 0: dropless. capacity = ceil(k * tokens * factor / experts). */
enum status workload_make(const struct routing *r, const struct cluster *c,
			  const struct model *m, const struct layout *l,
			  double factor, struct workload *out);
void workload_release(struct workload *w);
void workload_check(const struct workload *w);

/* Slots per (source rank, expert) for a factor; >= 1. */
int64_t capacity_slots(const struct routing *r, double factor);

/* Fraction of copies dropped at `slots`, and of slots that stay empty. */
double capacity_drop(const struct routing *r, int64_t slots);
double capacity_padding(const struct routing *r, int64_t slots);

/* Smallest factor whose drop is <= max_drop (its slots are exact). */
double capacity_factor_for(const struct routing *r, double max_drop);

/*
 * LocMoE's lower bound of expert capacity (doc/model.md, section
 * "Capacity"): 1 / (n * (1 - I_{d^2}(1/2, (hidden - 1)/2))) with the
 * regularized incomplete beta function; delta is the angular deviation.
 * Clamped to [1, ceil(factor * tokens * k / experts)] by the caller.
 */
double capacity_lower_bound(int experts, int hidden, double delta);

/* Factors worth trying: 1 to the dropless one, the knee among them. */
int capacity_candidates(const struct routing *r, double max_drop,
			double *out, int max);

#endif
