/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the experts of a layout live; inside of workload_make(). An EP group
 * is `ep` ranks `esp` apart. Expert x has `replicas` homes (EP indices) or
 * shares its home with `local` - 1 others; one of the two is 1.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim/route.h"

struct world {
	const struct routing *routing;	/* borrowed */
	int n, nodes, gpus_per_node;
	int ep, esp;
	int local, replicas;
	bool only_kept;	/* with a capacity: no empty slots are sent */
};

static inline int world_ep_index(const struct world *w, int rank)
{
	return rank / w->esp % w->ep;
}

/* The member with that EP index of the rank's EP group. */
static inline int world_peer(const struct world *w, int rank, int ep_index)
{
	return rank + (ep_index - world_ep_index(w, rank)) * w->esp;
}

/* EP index of the j-th replica of an expert. */
static inline int world_ep_of(const struct world *w, int expert, int j)
{
	return expert / w->local * w->replicas + j;
}

/*
 * Which replica takes the i-th of a rank's copies for an expert: round and
 * round, from a start that differs between ranks and experts, so that what
 * does not divide evenly is spread over the replicas.
 */
static inline int world_replica(const struct world *w, int src, int expert,
				int64_t i)
{
	return (int)((world_ep_index(w, src) + expert + i) % w->replicas);
}

/* How many of a rank's copies for an expert its j-th replica takes. */
static inline int64_t world_copies(const struct world *w, int src, int expert,
				   int j)
{
	int64_t n = routing_count(w->routing, src, expert);
	int first = world_replica(w, src, expert, 0);
	int turn = (j - first + w->replicas) % w->replicas;

	return n / w->replicas + (turn < n % w->replicas);
}

/*
 * Bytes of distinct tokens from every rank to every node, [n * nodes]: what
 * dedup needs (sim/coll.h). NULL when no token goes twice to one node.
 */
double *world_node_bytes(const struct world *w, int64_t capacity,
			 double token_bytes);

/*
 * The same for every member of the rank's EP group, itself included,
 * [n * ep]: what direct needs, which sends no empty slots. NULL when no token
 * goes twice to one rank and there is no capacity.
 */
double *world_rank_bytes(const struct world *w, int64_t capacity,
			 double token_bytes);

#endif
