/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside lowering: a pass that is being laid, op by op, and its chunks' ways.
 * program.c lays a layer, program_pipe.c a cycle of blocks.
 */
#ifndef SCENARIOS_PROGRAM_INT_H
#define SCENARIOS_PROGRAM_INT_H

#include "scenarios/program.h"

/*
 * One chunk's way to the experts or back: a2a steps and the ESP collective,
 * in order. Stages of one chunk run one after the other; steps with `beside`
 * share a stage.
 */
#define PATH_MAX_OPS (A2A_STEPS_MAX + 2)	/* and a technique's op */

struct path_op {
	enum op_kind kind;
	enum lane lane;
	int step, stage;
};

struct path {
	int n, n_stages;
	struct path_op op[PATH_MAX_OPS];
};

/* Lowering of one pass. */
struct pass {
	struct program *out;
	const struct cluster *cluster;
	const struct model *model;
	int backward, degree;
	struct path to, back;	/* to the experts, and from them */
	int known;		/* the op that knows the experts' counts */
	int shadow, migrate;	/* that the experts, the combine wait for */
	/* from here on set for as many chunks as there are, before it is
	 * read: program.c leaves it */
	/* first and last op of each chunk's expert work, data gradients */
	int expert[PLAN_DEGREE_MAX];
	int weight[PLAN_DEGREE_MAX];	/* backward: weight gradients */
	/* where each chunk's path ends: ops of its last stage */
	int n_end[PLAN_DEGREE_MAX];
	int end[PLAN_DEGREE_MAX][PATH_MAX_OPS];
};

/* The lane of a group of ranks `stride` apart. */
enum lane pass_group_lane(const struct cluster *c, int group, int stride);

/* Appends an op without dependencies; returns its index. */
int pass_add_op(struct pass *p, enum op_kind kind, enum lane lane);
void pass_add_dep(struct pass *p, int op, int dep);
/* On COMPUTE, after one op. */
int pass_add_after(struct pass *p, enum op_kind kind, int dep);
/* Of p->degree chunks. */
int pass_add_chunk_op(struct pass *p, enum op_kind kind, enum lane lane,
		      int chunk);

/* Fills p->to and p->back for the plan. */
void pass_paths_make(struct pass *p);
/* One stage of one chunk; what the chunk did last becomes its new end. */
void pass_add_stage(struct pass *p, const struct path *path, int chunk,
		    int stage);
/*
 * Chunks [first, degree) through one path, as a wavefront: in round t the i-th
 * of them is in its stage t - i, older chunks first. So a lane that serves two
 * stages (leader: gather and scatter) starts a chunk's second stage as soon as
 * the stage between them can have ended, and still prefers it to a later chunk.
 */
void pass_add_path(struct pass *p, const struct path *path, int first);
void pass_ends_set(struct pass *p, int chunk, int op);

#endif
