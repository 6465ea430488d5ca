/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which expert every token takes, its place there, what is dropped, and what
 * a chunk carries. All integers are exact: x and wg are multiples of 1/128,
 * so a logit is an integer (a sum of products of bytes) times a power of two.
 */
#ifndef GPU_LAYER_ROUTE_H
#define GPU_LAYER_ROUTE_H

#include "gpu/layer.h"

/* Routing of all ranks. */
struct layer_route {
	int ranks, tokens, k, experts;
	int64_t capacity;	/* 0: dropless */
	int32_t *id;	/* [ranks * tokens * k]: expert of copy t * k + j */
	int32_t *pos;	/* its number among its rank's copies for that expert,
			   in token order; kept: capacity 0 or below it */
	double *weight;	/* softmax over the token's k */
	int32_t *count;	/* [ranks * experts] copies, dropped ones too */
};

/*
 * Of all ranks, from the data (count NULL) or from the given counts; threads
 * 0: as many as there are processors. Bounded by layer_case_check().
 */
enum status layer_route_make(const struct layer_case *c, int threads,
			     struct layer_route *out);
void layer_route_release(struct layer_route *r);

/*
 * One rank's part of it, on this thread, in arrays that are there. wg: from
 * layer_gate_bytes(), [experts][hidden]; free() it.
 */
int16_t *layer_gate_bytes(const struct layer_case *c);
void layer_route_rank(const struct layer_case *c, const int16_t *wg, int rank,
		      struct layer_route *r);

static inline bool layer_route_kept(const struct layer_route *r, int64_t copy)
{
	return !r->capacity || r->pos[copy] < r->capacity;
}

/*
 * Ids for given counts of one rank, [tokens * k]: every token gets k
 * different experts, every expert its count (sum tokens * k, none above
 * tokens). Token by token, systematic sampling with the counts that are left
 * as weights over a shuffled order of experts: so chunks of tokens are as
 * even as a random routing's. Depends on counts, rank, seed alone; in double
 * or int nowhere rounded.
 */
void layer_given_ids(const struct layer_case *c, int rank, int32_t *id);

/* Sum of products of bytes; exact for n <= LAYER_HIDDEN_MAX. */
int32_t layer_dot(const int16_t *a, const int16_t *b, int n);

/* Tokens [*first_p, *end_p) of dropless chunk i of n. */
void layer_chunk_range(int64_t n_items, int chunk, int n_chunks,
		       int64_t *first_p, int64_t *end_p);

/*
 * Rows of every (rank, expert) that travel in a chunk (padded: slots, filled
 * or not) and copies (slots) of it in earlier chunks; [ranks * experts] each.
 */
void layer_chunk_counts(const struct layer_route *r, int chunk, int n_chunks,
			int32_t *count, int32_t *first);

/*
 * Where the copies of a rank lie in IN of a chunk (gpu/layer_exchange.h):
 * row[t * k + j], -1 when dropped or in another chunk. `in_first` is the
 * chunk's struct xchg's, `first` layer_chunk_counts()'s row of this rank.
 */
void layer_chunk_rows(const struct layer_case *c, const struct layer_route *r,
		      int rank, int chunk, int n_chunks,
		      const int32_t *in_first, const int32_t *first,
		      int32_t *row);

/* The same turned round: the copy (t * k + j) in every row of IN, -1: an
 * empty slot; [rows of IN]. */
void layer_chunk_copies(const struct layer_case *c,
			const struct layer_route *r, int rank, int chunk,
			int n_chunks, const int32_t *in_first,
			const int32_t *first, int32_t rows, int32_t *copy);

/*
 * What dedup's plans need: the token in every row of IN of every rank;
 * [ranks] pointers, one block: free() it. -1: an empty slot.
 */
int32_t **layer_chunk_tokens(const struct layer_case *c,
			     const struct layer_route *r, int chunk,
			     int n_chunks);

#endif
