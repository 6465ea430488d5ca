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
	/*
	 * trace: the experts of every token of the file's layer, [n_trace *
	 * k], owned; rank r's t-th token is number r * tokens + t, modulo
	 * n_trace. NULL for other kinds.
	 */
	int *trace;
	int64_t n_trace;
	/* the different counts, rising, and the cells that have each; owned.
	 * Made by routing_make(); 0 of them: not known */
	struct count_level *level;
	int n_levels;
};

struct count_level {
	int64_t count, cells;
};

static inline int64_t routing_count(const struct routing *r, int rank,
				    int expert)
{
	return r->count[(int64_t)rank * r->experts + expert];
}

/* The k experts of the trace's token number i, counted round and round. */
static inline const int *routing_token(const struct routing *r, int64_t i)
{
	return r->trace + i % r->n_trace * r->k;
}

/*
 * Kinds (doc/model.md, section "Routing and capacity"):
 *	uniform		cells as even as integers allow; no chance in it
 *	generated	a popularity of experts (skew, seed), then per rank a
 *			multinomial draw of tokens * k copies; a cell is full
 *			at `tokens` (a token picks an expert once) and what
 *			is over is drawn again among the experts with room.
 *			hot-expert: expert 0; hot-rank: those of EP index 0
 *	counts		the file's shares of layer_slot `layer` (-1: all) and
 *			`domain` (NULL: all), by largest remainder, the same
 *			row for every rank
 *	trace		whole tokens of layer `layer` (-1: the file's first),
 *			dealt to the ranks in order, round and round
 * Errors name file and line, or the key. Equal spec, equal numbers.
 */
enum status routing_make(const struct routing_spec *spec,
			 const struct model *m, const struct layout *l,
			 int ranks, struct routing *out);
void routing_release(struct routing *r);
/* Do two layouts of as many ranks have the same routing? */
bool routing_alike(const struct routing_spec *spec, const struct model *m,
		   const struct layout *a, const struct layout *b);

/*
 * A counts or trace file on its own, without a model: is every row right,
 * and what is in it? k: of a trace; experts: 0 when a trace does not say.
 */
struct route_file {
	int64_t rows;
	int experts, k;
};
enum status route_file_scan(enum routing_kind kind, const char *path,
			    struct route_file *out);
void routing_check(const struct routing *r);

/*
 * What a layout and a capacity factor make of a routing. The whole cluster
 * at once: all EP groups, all ESP shards, all pipeline stages (each stage
 * exchanges inside itself).
 *
 * capacity > 0: every (source rank, expert) has exactly `capacity` slots
 * that travel and are computed, filled or not: even traffic (dispatch.bytes
 * is NULL), a replica's share of the slots a real number. Dropless: the
 * counts themselves; a source's copies for an expert with replicas go to
 * them in turn, integers. dispatch.node_bytes: distinct tokens, counted for
 * a dropless trace, else expected (sim/world.c); padded exchanges as if the
 * slots were evenly routed tokens.
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

/*
 * factor 0: dropless. capacity = ceil(k * tokens * factor / experts).
 * ST_INPUT for an uneven dropless exchange of more ranks than this.
 */
#define WORKLOAD_DENSE_RANKS_MAX 8192	/* two matrices of 512 MiB */
enum status workload_make(const struct routing *r, const struct cluster *c,
			  const struct model *m, const struct layout *l,
			  double factor, struct workload *out);
void workload_release(struct workload *w);
void workload_check(const struct workload *w);

/* Slots per (source rank, expert) for a factor; >= 1. */
int64_t capacity_slots(const struct routing *r, double factor);

/* The factor of a number of slots: capacity_slots() of it gives them back. */
double capacity_factor(const struct routing *r, int64_t slots);

/* Copies that find a slot; the slots of the fullest cell (nothing drops). */
int64_t capacity_kept(const struct routing *r, int64_t slots);
int64_t capacity_dropless_slots(const struct routing *r);

/*
 * Where more capacity stops paying: the point of the drop curve, between
 * factor 1 and the dropless one, that is farthest from its chord.
 */
int64_t capacity_knee_slots(const struct routing *r);

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
 * INFINITY when the double range ends. 0 <= delta < 1.
 */
double capacity_lower_bound(int experts, int hidden, double delta);

/*
 * Factors worth trying, ascending, at most `max` and no two with the same
 * slots: the dropless one, the least that max_drop allows (1 or more), the
 * knee, and then the customary ones from 1 on below the dropless one. Returns how many.
 */
#define CAPACITY_CANDIDATES_MAX 12
int capacity_candidates(const struct routing *r, double max_drop,
			double *out, int max);

#endif
