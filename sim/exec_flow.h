/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run of the flow model holds. Private to exec_flow.c, exec_wait.c. */
#ifndef SIM_EXEC_FLOW_H
#define SIM_EXEC_FLOW_H

#include "sim/cost_load.h"
#include "sim/evq.h"
#include "sim/exec_int.h"
#include "sim/exec_pool.h"

enum part { PART_DELAY, PART_FLOWS, PART_COPIES, PART_N };

/* The op that a lane is running. */
struct running {
	int op;			/* -1: idle */
	const struct op *o;
	enum part part, last;	/* last: nothing comes after it */
	double part_s[PART_N];	/* alone; compute ops: all in PART_FLOWS, or
				   two kernels, the second in PART_COPIES */
	double left_s;		/* of the part, at full speed */
	double total_s;		/* cost_op() */
	double speed;
	bool slowed;		/* ever */
	uint64_t handle;	/* of its event */
	const struct coll_step *step;	/* NULL: compute, or nothing to do */
	double factor;		/* of the step's bytes, protocol included */
	bool pooled;		/* its flows are in the pool; left_s rests */
	const struct step_load *load;	/* NULL: compute */
	double scale;		/* of link use: see start_load() */
	double memory;		/* share of the memory in PART_FLOWS */
	bool kernels;		/* compute: two products, which hold all SMs */
	bool waits;		/* for the end of such a kernel */
	int passes;		/* beside the second kernel of this op; -1 */
};

/* Of an op: its time alone, and what its host does (struct host_clock). */
struct host_turn {
	double seconds, queued_s;
	int gate;		/* of the pass, that the host waited for; -1 */
	struct op_host op;
};

struct flow_run {
	const struct program *p;
	const struct cost *c;
	const struct exec_sharing *sharing;
	struct exec_result *out;
	struct evq *q;
	struct running lane[LANES_ALL];
	int next[LANES_ALL];	/* op that the lane has not started; n_ops */
	bool *done;		/* [n_ops] */
	struct host_turn *host;	/* [n_ops] */
	uint64_t forward_ps;	/* the last end of a forward op */
	int n_links;		/* that differ: cost_links() */
	double *rate;		/* [n_links]: seconds per byte */
	double *use[LANES_ALL];	/* [n_links] of the running op, at scale 1 */
	double hbm_Bps;
	uint64_t now_ps;
	/*
	 * Exchanges that share links: both lanes' or what one has left after
	 * meeting another. The pool's clock is at at_s at time at_ps and goes
	 * at `speed` (< 1: the memory slows all of it down).
	 */
	struct exec_pool *pool;
	double at_s, speed;
	uint64_t at_ps;
	double pair_memory;	/* share of the memory of two in the pool */
};

/* ---- exec_wait.c: kernels of products that hold all SMs ---- */

/* An op of products that begins: its kernels. */
void exec_wait_kernels(const struct flow_run *f, struct running *r);
/* Has the lane's part, which is about to begin, to wait? */
bool exec_wait_must(const struct flow_run *f, int lane);
/* Is the lane's exchange one beside which products stand still? */
bool exec_wait_excludes(const struct flow_run *f, int lane);
/* The COMPUTE lane's part is over: those that waited for it begin. */
void exec_wait_release(struct flow_run *f);

#endif
