/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One rank's exchanges of one pass, ready for a device: the plans of all
 * chunks (gpu/layer_exchange.h) with their moves as tables of runs, and the
 * layout of the experts' rows. Plain C: built on the host once the counts are
 * known, copied to the device in one piece (the blob), applied by kernels.
 *
 * Against the plans: a rank's messages to itself are no messages, the moves
 * before or after read or write the other side directly; and experts may
 * have their rows in padded cells (gpu/ffn_rows.h) where the plan has them
 * packed.
 *
 * Rows of all chunks of a pass lie one chunk after the other in every
 * buffer.
 */
#ifndef GPU_LAYER_PLAN_H
#define GPU_LAYER_PLAN_H

#include "gpu/ffn_rows.h"
#include "gpu/layer_exchange.h"
#include "gpu/layer_order.h"

/* Memory that is filled from its front; at[] are offsets into it. */
struct layer_blob {
	char *p;
	uint64_t used, cap;
	bool fixed;	/* p is another's: more than cap is an error */
	bool overflow;
};

/* Returns the offset, a multiple of 16. */
uint64_t layer_blob_add(struct layer_blob *b, const void *data, uint64_t n);

struct layer_table {
	uint64_t at;		/* struct k_run [n] */
	int n;
	int64_t rows;
};

struct layer_sums {		/* struct k_sums */
	uint64_t first, list, to;
	int64_t rows;
};

/* How a step's rows that stay on the rank go their way. */
enum layer_self { SELF_NONE, SELF_COPY, SELF_PACK, SELF_UNPACK };

struct layer_step {
	const struct xchg_step *x;	/* messages; of the way's plan */
	struct layer_table pack, unpack;
	struct layer_sums sums;		/* in unpack's place */
	enum layer_self self;
	struct xchg_move copy;		/* SELF_COPY */
};

struct layer_way {
	struct xchg x;
	struct layer_step step[A2A_STEPS_MAX], esp;
};

struct layer_chunk {
	struct layer_way to, back;
	/* scalars: their own flat plan, where the rows' is another */
	bool has_flat;
	struct layer_way to_flat, back_flat;
	int32_t *count;		/* [local experts]: rows */
	struct ffn_rows rows;	/* count, and the stride */
	int64_t *first;		/* [local experts + 1]: in the layout */
	/* where the chunk begins in each buffer, and in the experts' layout */
	int64_t base[XCHG_BUFFER_N], layout_base;
	/* the same of SEND and RECV, where other chunks' rows must not be */
	int64_t send_at, recv_at;
	struct layer_table regroup;	/* backward: from the forward layout */
};

struct layer_pass {
	int n;
	struct layer_chunk *chunk;
	int64_t rows[XCHG_BUFFER_N], layout_rows;	/* of all chunks */
	int64_t send_rows, recv_rows;	/* of the largest step */
	/* each chunk's largest step, one chunk after the other */
	int64_t all_send_rows, all_recv_rows;
	uint64_t lead;		/* dedup: uint8 [rows[IN]]; else unused */
};

/*
 * Counts: cell[rank][chunk][slot], of `chunks` chunks, a multiple of the
 * pass's: copies that rank sends to that slot (gpu/layer_exchange.h), after
 * drops; with a capacity the slots themselves.
 */
struct layer_cells {
	int ranks, chunks, slots;
	const int32_t *cell;
};

struct layer_pass_input {
	const struct layer_case *c;
	int rank, chunks;
	bool padded;		/* may experts' rows be padded? */
	bool is_direct;		/* where rows lie, no tables */
	const struct layer_cells *cells;
	/* dedup: [chunk][rank] tokens of IN's rows (layer_chunk_tokens()) */
	int32_t **const *token;
};

static inline int layer_slots(const struct layer_case *c)
{
	return c->plan.layout.ep * layer_local_experts(c);
}

/*
 * What of a step of a way is done where, without ESP shards: moves behind a
 * rank's last messages to the experts and before its first ones from them are
 * done on the lane of the experts (at_experts), the others on the step's own;
 * the two split a step (or all of it is one's). With shards all is the step's.
 */
enum layer_part { LAYER_PACK = 1, LAYER_POST = 2, LAYER_UNPACK = 4,
		  LAYER_ALL = 7 };

unsigned layer_step_parts(const struct layer_way *w, int rank, int step,
			  bool at_experts);

/* The cells of a capacity: the same for every rank. free() them. */
int32_t *layer_capacity_cells(const struct layer_case *c, int chunks);

enum status layer_pass_build(const struct layer_pass_input *in,
			     struct layer_blob *blob, struct layer_pass *out);
void layer_pass_release(struct layer_pass *p);

/* Where chunks of the backward pass find the forward pass's rows: fills
 * chunk[].regroup of `back`. */
void layer_pass_regroup(const struct layer_pass_input *in,
			const struct layer_pass *forward,
			struct layer_pass *back, struct layer_blob *blob);

#endif
