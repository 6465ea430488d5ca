/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An exchange of our own for ranks that reach each other's memory: rows of
 * tokens go straight from their source into their expert-sorted place at the
 * expert's rank, in one kernel, and their results straight back. No staging
 * copy, no permute, no unpack.
 *
 * A group is n ranks; rank p of it has experts [p * E/n, (p+1) * E/n). Each
 * rank has a window: memory of its device that the others can reach, laid out
 * alike on all of them (the same offsets). Ranks of one process use each
 * other's pointers, processes CUDA IPC handles.
 *
 * Forward, all on one stream, everything in the same order on every rank:
 *
 *	(gate, top-k, sort write ids, weights, pos, own row of counts)
 *	cuda_direct_route()	counts to everyone, a barrier; then where each
 *				pair of each source has its row here; the rows'
 *				weights
 *	[cuda_direct_counts() on the host, when sizes are dynamic]
 *	cuda_direct_dispatch()	fetches x: each row once from its source
 *				however many experts here want it
 *	(experts, weighted by the rows' weights)
 *	cuda_direct_combine()	adds the rows of a token here in fp32, sends
 *				the sum to the token's source; a barrier; the
 *				source adds what its own experts and the others
 *				made of it, in fp32
 *
 * Backward: cuda_direct_barrier() (dy is there), cuda_direct_dispatch() of
 * dy, experts, cuda_direct_combine() of dx with the weights' gradients. With
 * one expert rank for each token's copy the results are those of every other
 * algorithm bit by bit as far as rows go; sums differ in rounding: what
 * another rank adds up is rounded once before it is sent.
 *
 * A barrier is flags in each other's windows: release by the writer, acquire
 * by the reader, system scope, a count that only grows. Nothing that a peer
 * reads or writes may be touched between the call that starts the access and
 * the next barrier. Barriers of one channel happen in the same order on all
 * ranks; streams at the same time use different channels. All kernels are
 * graph-capturable, also with dynamic counts (a fixed stride given).
 *
 * A barrier that gets no answer within the time given writes down who was
 * missing and lets the stream go on; every later kernel of the group then
 * does nothing, and cuda_direct_error() reports it. Nothing hangs.
 */
#ifndef GPU_CUDA_DIRECT_H
#define GPU_CUDA_DIRECT_H

#include "base/status.h"
#include "gpu/ffn_rows.h"

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRECT_RANKS_MAX 64
#define DIRECT_CHANNELS 8
#define DIRECT_TIMEOUT_S 10.0

/*
 * What setting up needs of the others: `mine` of every rank, in order, into
 * `all` (ranks * bytes). Called by all ranks of the group, some times in
 * cuda_direct_open() and once in cuda_direct_close().
 */
struct direct_group {
	int rank, ranks;
	enum status (*gather)(void *arg, const void *mine, size_t bytes,
			      void *all);
	void *arg;
	double timeout_s;	/* 0: DIRECT_TIMEOUT_S */
};

struct cuda_direct;

/*
 * On the current device, by all ranks together; `window` is from
 * cudaMalloc(), any size, zeroed or not. ST_UNAVAILABLE on all ranks, with
 * the reason, when some rank cannot reach another.
 */
enum status cuda_direct_open(const struct direct_group *g, void *window,
			     struct cuda_direct **out_p);
/* All ranks, their work done; `is_sound` false (a rank is lost): alone. */
void cuda_direct_close(struct cuda_direct *d, bool is_sound);

/* After the stream has been waited for: ST_FAIL when a barrier timed out or
 * rows had no room, with the message. */
enum status cuda_direct_error(struct cuda_direct *d);

/* How many multiprocessors row kernels take; 0: all that help. */
void cuda_direct_limit(struct cuda_direct *d, int ctas);

/*
 * One chunk of tokens and everything known of where its copies go. Offsets
 * are into the window, multiples of 256; the arrays behind pointers are the
 * rank's own.
 */
struct direct_route {
	int tokens;		/* of each rank, in this chunk */
	int k, experts;		/* experts of the whole group */
	int64_t stride;		/* fixed rows of an expert (graphs, capacity);
				   0: ffn_rows_of() the counts of each rank */
	int32_t capacity;	/* of (source, expert); 0: dropless */
	int64_t rows_max;	/* rows that the buffers here have */
	/* window: */
	uint64_t ids, pos;	/* int32 [tokens * k]; pos: k_sort()'s */
	uint64_t weights;	/* float [tokens * k] */
	uint64_t counts;	/* int32 [ranks][experts]; own row filled in:
				   of all pairs, dropped ones too */
	/* own memory: */
	int32_t *place;		/* [ranks][tokens * k]: row here of a pair;
				   -1: not for here, -2: dropped */
	int32_t *slot;		/* [ranks + 1][experts/ranks][2]; scratch
				   between the kernels */
	int32_t *kept;		/* [experts/ranks]: rows of each expert */
	int32_t *tail;		/* [experts/ranks][2]: first row behind them,
				   and where the next one's begin; NULL: in
				   slot */
	float *row_weight;	/* [rows]; NULL: not wanted */
};

/* Bytes of `slot`. */
uint64_t cuda_direct_slot_bytes(const struct direct_route *r, int ranks);

enum status cuda_direct_route(struct cuda_direct *d,
			      const struct direct_route *r, int channel,
			      cudaStream_t s);

/*
 * Waits for the stream: the matrix of counts on the host, after drops,
 * [ranks][experts]. (cuda_direct_route() has queued the copy.) Valid until
 * the next cuda_direct_route() of the same channel.
 */
enum status cuda_direct_counts(struct cuda_direct *d,
			       const struct direct_route *r, int channel,
			       cudaStream_t s, const int32_t **matrix_p);

enum status cuda_direct_barrier(struct cuda_direct *d, int channel,
				cudaStream_t s);

/*
 * Rows `from` (window, [tokens][row_bytes]) of all ranks to their places in
 * `to` (own). row_bytes is a multiple of 16. Zeroes the rows behind each
 * expert's last up to its stride.
 */
enum status cuda_direct_dispatch(struct cuda_direct *d,
				 const struct direct_route *r, uint64_t from,
				 uint64_t row_bytes, void *to, cudaStream_t s);

/*
 * out[t] (own, [tokens][columns]) = sum over the pairs of token t of their
 * row in `rows` at the expert's rank. `stage`: window, [ranks][tokens]
 * [columns]. With `pair` also out_pair[t * k + j] (window, float) =
 * pair[row] (own, of rows): how the weights' gradients come home; dropped
 * ones are 0.
 */
struct direct_combine {
	const void *rows;
	int columns;
	bool bf16;
	uint64_t stage;
	void *out;
	const float *pair;	/* NULL: none */
	uint64_t out_pair;
	bool add;		/* to what is in `out` */
	bool is_marked;		/* places are cuda_direct_places()'s */
	/* add_sums of several chunks of all tokens at once; 0: one. Numbers
	 * of a place table, bytes of a stage; rows and pair are of the whole
	 * pass, a chunk's begin at row_base[chunk] */
	int chunks;
	uint64_t place_step, stage_step;
	const int64_t *row_base;
};

enum status cuda_direct_combine(struct cuda_direct *d,
				const struct direct_route *r,
				const struct direct_combine *c, int channel,
				cudaStream_t s);

/* The two halves, without the barrier that belongs between them. */
enum status cuda_direct_send_sums(struct cuda_direct *d,
				  const struct direct_route *r,
				  const struct direct_combine *c,
				  cudaStream_t s);
enum status cuda_direct_add_sums(struct cuda_direct *d,
				 const struct direct_route *r,
				 const struct direct_combine *c,
				 cudaStream_t s);

#endif
