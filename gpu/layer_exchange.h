/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exchanges as data: for one chunk of one layer, who sends which rows to
 * whom in every step of an all-to-all algorithm, and how rows are moved
 * inside a rank before and after a step. A row is `hidden` elements (or one,
 * for the scalars of dedup). Executors (host, cuda) only apply it.
 *
 * Buffers of a rank (enum xchg_buffer), in rows:
 *
 *	IN	what the rank's tokens send, ordered by (EP index of the
 *		expert's home, local expert there, token). With one home per
 *		expert (ep <= experts) that is the order by expert.
 *	MID0 MID1	between the steps
 *	OUT	what the rank's experts got from its own EP group, ordered by
 *		(local expert, source rank, token)
 *	ALL	esp > 1: what all members of the ESP group got, the same order
 *		over all source ranks; each member computes these rows with
 *		its shard. esp = 1: there is no ALL, experts work on OUT.
 *	SEND RECV	scratch of one step
 *
 * A step on a rank is, in this order:
 *
 *	1. pack: if there are any, `pack` moves rows of `from` into SEND and
 *	   the messages leave from SEND; else they leave from `from`
 *	2. messages: rows [first, first + rows) to or from a peer; the rank
 *	   itself can be a peer (a copy). In the order in which they should
 *	   start (NCCL's shift order); rounds (pairwise): all of round i
 *	   before those of round i + 1
 *	3. unpack: if there are any, messages arrive in RECV and `unpack`
 *	   moves them to `to`; else they arrive in `to`
 *
 * from = -1 in a move: rows of zeros. `unpack_adds`: moves with the same `to`
 * row are a sum (fp32, in the order of the moves, the first one sets it);
 * each row of `to` that is written has a first one with `set`.
 *
 * Steps of one chunk: step i + 1 begins when step i is done, but for those
 * with `beside`, that only need what step i - 1 made, unless `needs_previous`
 * is set, too (dedup: the fan-out of a chunk waits for that chunk's rows;
 * the table has both beside each other because real kernels forward each
 * token as it comes).
 *
 * dedup: IN row i is sent once to each node (`lead`: it is the row that is
 * sent for its token and node; the others of that token and node stay at
 * home) and comes back as a sum: in the way back the experts' rows have to be
 * multiplied by their weight already, rows of IN with lead[i] are the node's
 * sum and the others are not written; unpermute adds the lead rows of a token
 * with weight 1. Weights to the experts, and g = dy . FFN(x) back to the
 * tokens, travel as scalars by a flat plan of the same chunk. The sum is
 * rounded once on the node: equal to the others within rounding.
 *
 * ep = 1: no steps; IN is OUT (both have the same order).
 */
#ifndef GPU_LAYER_EXCHANGE_H
#define GPU_LAYER_EXCHANGE_H

#include "gpu/layer.h"

enum xchg_buffer { XCHG_IN, XCHG_MID0, XCHG_MID1, XCHG_OUT, XCHG_ALL,
		   XCHG_BUFFER_N };

struct xchg_message {
	int peer;
	int32_t first, rows;	/* rows > 0 */
	int round;		/* pairwise: shift distance; else 0 */
};

struct xchg_move {
	int32_t from, to, rows;	/* from -1: zeros */
	bool set;		/* unpack_adds: sets, does not add */
};

struct xchg_side {
	struct xchg_message *message;
	int n;
	int32_t rows;		/* of SEND or RECV, if used; else of all
				   messages */
};

struct xchg_moves {
	struct xchg_move *move;
	int n;
	size_t cap;
};

struct xchg_step {
	enum xchg_buffer from, to;
	bool beside, needs_previous;
	int rounds;		/* pairwise: rounds; else 1 */
	bool unpack_adds;
	struct xchg_moves pack, unpack;
	struct xchg_side send, recv;
};

/* One rank's part. */
struct xchg {
	int rank;
	bool back;		/* from the experts: made by xchg_reverse() */
	int n_steps;		/* 0 when ep is 1 */
	/* in order of execution: a2a_step_at() of the direction */
	struct xchg_step step[A2A_STEPS_MAX];
	bool has_esp;
	struct xchg_step esp;	/* all-gather OUT -> ALL; reversed:
				   reduce-scatter ALL -> OUT */
	int32_t rows[XCHG_BUFFER_N];	/* of each buffer */
	int32_t send_rows, recv_rows;	/* largest SEND and RECV needed */
	/* expert i works on rows [expert_first[i], expert_first[i + 1]) of
	 * ALL (OUT when esp is 1); [local_experts + 1] */
	int32_t *expert_first;
	/* where cells begin in IN: [slots + 1], slot = EP index * local
	 * experts + local expert; see xchg_slot() */
	int32_t *in_first;
	/* dedup: [rows[XCHG_IN]]; else NULL */
	uint8_t *lead;
};

struct xchg_input {
	const struct layer_case *c;
	enum a2a_alg alg;	/* usually the plan's */
	/* rows of (source rank, expert) that travel in this chunk,
	 * [ranks * experts]: layer_chunk_counts() */
	const int32_t *count;
	/* copies of the same cells in earlier chunks: which of an expert's
	 * copies is next; NULL: none (needed only when ep > experts) */
	const int32_t *first;
	/* dedup: token of every row of IN of every rank, -1: empty slot;
	 * [ranks][rows]: layer_chunk_tokens() */
	const int32_t *const *token;
};

/*
 * Plan of one rank, towards the experts; what it allocates goes with
 * xchg_release(). Cost: some 50 ns for each of the cells that pass through
 * the rank (dedup: rows). ST_INPUT when rows do not fit 31 bits.
 */
enum status xchg_build(const struct xchg_input *in, int rank,
		       struct xchg *out);

/*
 * The way back: sends become receives, the last step comes first. It has no
 * expert_first, in_first and lead: those are the forward plan's.
 */
void xchg_reverse(const struct xchg *to, struct xchg *out);
void xchg_release(struct xchg *x);

/*
 * Slot of an expert's j-th home, and which home takes copy number i (counted
 * over all chunks, dropped ones not counted) of source rank `src`. The i-th
 * copy in a chunk that begins with copy `first` is row
 *	in_first[slot] + (i - first) / layer_copies()
 * of IN.
 */
static inline int xchg_slot(const struct layer_case *c, int expert, int j)
{
	int local = layer_local_experts(c);

	return (expert / local * layer_copies(c) + j) * local + expert % local;
}

static inline int xchg_home(const struct layer_case *c, int src, int expert,
			    int64_t i)
{
	const struct layout *l = &c->plan.layout;

	return (int)((src / l->esp % l->ep + expert + i) % layer_copies(c));
}

/* Slots of IN: all homes of all experts. */
static inline int xchg_slots(const struct layer_case *c)
{
	return c->plan.layout.ep * layer_local_experts(c);
}

/* Copies [first, first + count) of a cell: how many go to home j. */
static inline int32_t xchg_home_rows(const struct layer_case *c, int src,
				     int expert, int j, int32_t count,
				     int32_t first)
{
	int copies = layer_copies(c);
	int turn = (j - xchg_home(c, src, expert, first) + copies) % copies;

	return count / copies + (turn < count % copies);
}

/* in_first of a rank from its rows of count and first (or NULL); free(). */
int32_t *xchg_in_first(const struct layer_case *c, int rank,
		       const int32_t *count, const int32_t *first);

/* Appends rows; joins them with the move before where both go on. free()
 * m->move. */
void xchg_moves_add(struct xchg_moves *m, int32_t from, int32_t to,
		    int32_t rows);

/* Moves as a map: out[to] = from for all rows, -1 where nothing is moved. */
void xchg_expand(const struct xchg_moves *m, int32_t *out, int32_t rows);

#endif
