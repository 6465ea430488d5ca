/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The host backend: ranks are threads, exchanges are copies between their
 * buffers, the rest are the CPU twins (gpu/ref.h). It makes the whole path
 * run without a GPU; its times are this processor's. fp32 only; tier shm. In a
 * team (gpu/team.h) each process is one rank and exchanges go over its wire.
 *
 * This header is what its files share. One struct host_work for each work of
 * a case: the main one and, for contention, the one beside it, each with
 * threads of its own.
 */
#ifndef GPU_HOST_H
#define GPU_HOST_H

#include "gpu/backend.h"
#include "gpu/ranks.h"
#include "gpu/team.h"

#include <stddef.h>

#define HOST_RANKS_DEFAULT 4
#define HOST_RANKS_MAX 64

/* Buffers of one rank; what each holds depends on the op. */
struct host_buffers {
	float *x, *w, *y;	/* inputs, second input, result */
	int32_t *ids, *pos, *counts;
	struct turn *turn;	/* plans: gpu/turn.h */
	double *seconds;	/* of each repetition of the last run */
};

struct host_work {
	struct bench_case c;	/* this work as its main one */
	const struct host_op *op;
	struct ranks *ranks;
	int first, n;		/* ranks of this process */
	const struct team_wire *wire;	/* to the others; NULL: none */
	int lane;		/* on it */
	struct host_buffers *rank;	/* one for each; only ours are set */
	int repetitions;
	int64_t *wrong;		/* of each rank */
};

/*
 * An op: buffers and data of one rank; one repetition (exchanges may meet
 * the other ranks; false: someone failed); wrong elements of its result.
 */
struct host_op {
	const char *name;
	const char *variants[3];	/* none: "" */
	void (*fill)(struct host_work *hw, int rank);
	bool (*step)(struct host_work *hw, int rank);
	int64_t (*wrong)(struct host_work *hw, int rank);
};

extern const struct host_op host_exchanges[];	/* end with a NULL name */
extern const struct host_op host_wire_exchanges[];
extern const struct host_op host_kernels[];

/* host_turn.c */
void host_fill_launch(struct host_work *hw, int rank);
bool host_step_launch(struct host_work *hw, int rank);
int64_t host_wrong_launch(struct host_work *hw, int rank);
void host_fill_plan(struct host_work *hw, int rank);
bool host_step_plan(struct host_work *hw, int rank);
int64_t host_wrong_plan(struct host_work *hw, int rank);

/* Zeroed pages touched by the caller; never NULL. */
void *host_alloc(uint64_t n, size_t size);

/* Elements that differ from `want`, exactly. */
int64_t host_differ(const float *got, const float *want, uint64_t n);

#endif
