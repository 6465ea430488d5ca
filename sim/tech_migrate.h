/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Luffy's sequence migration: after the experts a sequence goes to the GPU
 * where most of its tokens' results are, and its next attention runs there.
 *
 * For sequence i and GPU j, f[i][j] = copies of i that were computed on other
 * GPUs: what j must pull. The q GPUs with the smallest f are candidates; of
 * those with room the one whose attention grows least gets the sequence:
 *
 *	T(B, L) = (3 B L d^2 + 2 B L^2 d) / P
 *	growth  = T(B + 1, max(L, L_i)) - T(B, L)
 *
 * for B sequences padded to the longest, L. Sequences are taken in order.
 * Equal growth: smaller f, then the sequence's own GPU, then the lower one.
 *
 *	sequences_make(&spec, &s);
 *	migrate_run(&m, &s, &result);
 *	... result.after.busiest_bytes, result.home
 *	migrate_result_release(&result);
 *	sequences_release(&s);
 */
#ifndef SIM_TECH_MIGRATE_H
#define SIM_TECH_MIGRATE_H

#include "sim/coll.h"
#include "sim/tech_cost.h"

#define SEQUENCES_MAX (1 << 20)
#define SEQUENCES_GPUS_MAX (1 << 16)
#define SEQUENCES_CELLS_MAX (1L << 28)	/* 1 GiB of counts */

struct sequences {
	int n, gpus;
	int *length;	/* [n] tokens; owned */
	int *origin;	/* [n] GPU that it comes from; owned */
	int *copies;	/* [n * gpus]: its token copies computed there; owned */
	int *total;	/* [n]: the row's sum; owned */
};

/* Sequences of different focus; see doc/model.md. */
struct sequences_spec {
	int n, gpus, k;
	int length_min, length_max;	/* drawn evenly */
	int hot;	/* a sequence's favourite GPUs ... */
	double focus;	/* ... take this share of its copies evenly, and all
			   GPUs the rest evenly */
	uint64_t seed;
};
enum status sequences_make(const struct sequences_spec *spec,
			   struct sequences *out);

/*
 * From token-level routing: sequence[t] and expert[t * k + c] (-1: dropped)
 * of every token, gpu_of[expert]. Sequences start evenly on the GPUs, in
 * order. ST_INPUT for indices out of range.
 */
struct token_routing {
	int tokens, k, experts;
	const int *sequence, *expert, *gpu_of;
};
enum status sequences_count(const struct token_routing *r, int n, int gpus,
			    struct sequences *out);
void sequences_release(struct sequences *s);

/*
 * Where the paper leaves things open:
 * - q = 3, because most of its sequences use at most three experts, so more
 *   candidates only add traffic;
 * - a GPU's room is a budget of padded tokens, B L <= slack * ceil(n / gpus) *
 *   longest: slack 1 is what every GPU must hold without migration ("more
 *   short or fewer long sequences");
 * - the residual stream moves from the origin to the home, one row for each
 *   token, because the sum needs both. In a post-norm model (Transformer-XL,
 *   BERT) the residual is the expert's own input, which already is where the
 *   result is: set post_norm and it costs nothing.
 */
#define MIGRATE_CANDIDATES_DEFAULT 3
#define MIGRATE_SLACK_DEFAULT 1.25
struct migrate_spec {
	int candidates;		/* q, 1.. */
	double slack;		/* >= 1 */
	double row_bytes;	/* of one token */
	double hidden;		/* d */
	double attention_macs;	/* P, per second, measured */
	double link_Bps;	/* of one GPU, to weigh bytes against time */
	bool post_norm;		/* the residual needs no move */
};

struct migrate_side {
	double bytes;		/* pulled by all GPUs; residuals included */
	double busiest_bytes;	/* most that one GPU sends or receives */
	double attention_s;	/* of the slowest GPU */
	double attention_mean_s;
};

struct migrate_result {
	int *home;	/* [n], owned */
	int moved;	/* sequences whose home is not their origin */
	int overflow;	/* for which no GPU had room */
	double residual_bytes;	/* in after.bytes */
	struct migrate_side before, after;
	bool pays;	/* busiest bytes / link + slowest attention fell */
};

enum status migrate_run(const struct migrate_spec *spec,
			const struct sequences *s,
			struct migrate_result *out);
void migrate_result_release(struct migrate_result *r);

/* Who sends what in the combine, sequences at home[]; dense, [gpus^2]. */
void migrate_traffic(const struct sequences *s, const int *home,
		     double row_bytes, struct traffic *out);

/* What the simulator takes. */
struct migrate_effect {
	double combine_share;	/* after / before, of the combine's bytes */
	double attention_share;	/* after / before, of the slowest GPU */
	double controller_s;	/* on one core, beside the experts */
	struct tech_cost forward;	/* tables to the controller and back */
};

/*
 * Cells of f that one core goes through in a second: tests/bench/bench_tech,
 * 8,192 sequences on 1,024 GPUs, rounded down.
 */
#define MIGRATE_CELLS_PER_S 1e8
void migrate_effect_make(const struct migrate_spec *spec,
			 const struct sequences *s, double tokens_per_gpu,
			 int k, const struct migrate_result *r,
			 struct migrate_effect *out);

#endif
