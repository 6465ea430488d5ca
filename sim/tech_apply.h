/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a set of techniques makes of a workload: other traffic and rows, and
 * work of its own. workload_make() first, then tech_apply(), then cost_new()
 * with the effect. doc/model.md, section "Techniques in the forecast".
 */
#ifndef SIM_TECH_APPLY_H
#define SIM_TECH_APPLY_H

#include "scenarios/program.h"
#include "sim/route.h"
#include "sim/tech_cost.h"

struct tech_effect {
	const char *why_not;	/* NULL: it can be used here; static text */
	double error;		/* relative, of compressed tokens */
	double rerouted;	/* share of copies that the gate sends elsewhere */
	double rate;		/* share of copies that is exchanged */
	/*
	 * Bytes on the way home (OP_COMBINE, OP_COMBINE_BWD) by those of the
	 * dispatch; 0: nothing comes home.
	 */
	double combine_share, combine_bwd_share;
	/* own work of forward, backward: before and after the exchanges on
	 * COMPUTE, and on the host beside both */
	double compress_s[2], restore_s[2], host_s;
	double shadow_bytes;	/* of the experts copied to all ranks */
	double gate_s[2];	/* instead of the gate op's; negative: as it is */
	/* instead of the permutations' ops; negative: as they are */
	double permute_s[2], unpermute_s[2];
	double shuffle_bytes;	/* base: a rank's tokens, which go to random
				   ranks before the gate and home at the end */
	double gate_fixed_s[2];	/* of that, however few the tokens */
	double memory_bytes;	/* per GPU, beside the plan's */
};

#define TECH_GATES 6	/* kinds of sim/tech_gates.h */

struct tech_gate {	/* a gate that was run on a sample */
	int tokens;		/* for these; 0: not run */
	double copies, quality;
	double *share;		/* [experts], owned */
	struct tech_cost forward, backward;
};

/* What was measured on synthetic tokens; zero-initialise, keep. */
struct tech_cache {
	int list;		/* tokens of the lists measured; 0: none */
	double lsh_rate, lsh_error;
	double condense_rate, condense_error, condense_edges;
	int migrate_gpus;	/* EP group measured; 0: none */
	double migrate_share, migrate_host_s;
	double condense_computed;	/* share of pairs that history leaves */
	struct tech_gate gate[TECH_GATES];
};
void tech_cache_release(struct tech_cache *c);

struct tech_place {
	const struct scenario *s;
	const struct layout *layout;
	const struct routing *routing;
	struct tech_cache *cache;
	double factor;		/* capacity, of the workload */
};

/* The mask must pass technique_mask_fits(). `w` is changed only on success;
 * effect->why_not says when it cannot be used (then w is as it was). */
enum status tech_apply(const struct tech_place *at, unsigned mask,
		       struct workload *w, struct tech_effect *out);

/* No technique: everything as it is. */
extern const struct tech_effect tech_none;

/*
 * Masks to try, fewest techniques first: of those allowed, all sets that
 * technique_mask_fits(), without those that change no workload
 * (TECH_SCHEDULES). At most `max`; returns their number.
 */
#define TECH_SETS_MAX 1024
int tech_sets(unsigned allowed, unsigned *out, int max);

/* Seconds of a technique's own work on one rank, small exchanges and waits
 * of the host included. */
double tech_own_s(const struct tech_place *at, const struct tech_cost *c);

/* ---- tech_traffic.c, tech_shadow.c, tech_gate_apply.c ---- */

/* The enum gate_kind of the mask's gate; -1: none. */
int tech_gate_of(unsigned mask);
/* Why that gate does not fit the model; NULL: it does. */
const char *tech_gate_cannot(const struct tech_place *at, int kind);
/* A new routing (the caller's) and workload for that gate. */
/* BASE's exchange of a rank's tokens, as many to each rank of its EP group;
 * *out is left as it is for none. */
struct coll;
struct coll_spec;
enum status tech_shuffle(const struct coll_spec *cs, const struct layout *l,
			 double bytes, struct coll *out);
enum status tech_gate(const struct tech_place *at, int kind, double factor,
		      struct routing *routing, struct workload *w,
		      struct tech_effect *e);

/* Of the copies that leave their node the share `keep` goes to experts of
 * the node instead, as popular among them as they are. Returns the share of all copies that moved;
 * 0: nothing to move. */
double tech_keep_local(const struct tech_place *at, double keep,
		       struct workload *w);
/* Share of copies that leave their node. */
double tech_leaving(const struct tech_place *at, const struct workload *w);
/* All bytes and rows times `rate`; all bytes alone. */
void tech_scale(double rate, const struct tech_place *at,
		struct workload *w);
void tech_scale_bytes(double rate, const struct tech_place *at,
		      struct workload *w);
/* Permutations are products with a mask (technique.one_hot). */
void tech_one_hot(const struct tech_place *at, struct tech_effect *e);
/* Every rank gets all experts of its group and keeps its tokens. */
void tech_fetch(const struct tech_place *at, struct workload *w,
		struct tech_effect *e);
/* Copies the most popular experts while FasterMoE's model gets faster;
 * returns how many. */
int tech_shadow(const struct tech_place *at, struct workload *w,
		struct tech_effect *e);

#endif
