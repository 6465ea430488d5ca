/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job for the runner, and what it answers.
 *
 * Job: one JSON object (file or stdin):
 *
 *	{"schema": "moecast.job/1", "backend": "cuda", "quick": false,
 *	 "ranks": 0, "emulate_nodes": 0, "tiers": ["nvlink", "shm", "socket"],
 *	 "budget_s": 100, "deadline_s": 30, "seed": 1,
 *	 "tasks": [{"op": "alltoall", "variant": "even", "min_bytes": 1024,
 *	            "max_bytes": 1073741824, "ctas": [0, 4, 8, 24]},
 *	           {"op": "gemm", "variant": "grouped", "m": [...], ...},
 *	           {"op": "gemm", "m": [512], ..., "beside": "alltoall"}]}
 *
 * All fields but `backend` may be left out; unknown ones are refused.
 * ranks 0: all devices (host: 4). No tiers: all that there are. No tasks: the
 * standard profile (gpu/suite.h). budget_s: no measurement begins later; 0:
 * that of the profile. deadline_s: without progress for so long the run ends
 * with an error. Tasks: exchanges and memory ops have a range of sizes
 * (with n, k, batch, if given, as the shape; gpu/work.h); gemm a grid, all
 * combinations of its lists. beside: this op and that exchange, alone and
 * together, the exchange of beside_bytes (a list), or else as long as the op.
 * optional: a task that the backend cannot do is left out.
 *
 * A layer (gpu/layer.h) is a task {"op": "layer", "tokens": 4096, "hidden":
 * 4096, "ffn": 14336, "experts": 8, "k": 2, "plan": "ep=2 esp=1 ..."} and, if
 * wanted, "label", "gated", "shared_ffn", "dtype" (bf16, fp32), "nodes",
 * "gpus_per_node", "capacity" (slots of each source rank and expert; left
 * out: those of the plan's factor), "counts" (a list for each rank of copies
 * for each expert), "seed", "graph" (of CUDA, where sizes are static),
 * "counts_known" (dropless sizes are static, too: the step does not find out
 * its counts), "plant_fault". Its ranks are the job's,
 * where that says how many. It is run on every tier of the job, layers before
 * benchmarks (quick: with few repetitions): rows of op "layer" with variant
 * "forward" and "step", their texts `plan` and `layer`, wrong 0 or not.
 *
 * Answer: JSON lines on stdout: {"type": "run", ...} (scenarios/sample.h),
 * {"type": "sample", ...}, {"type": "progress", "done": .., "total": ..,
 * "what": ".."}, at the end {"type": "end", "samples": n} or {"type":
 * "error", "message": ".."}. Exit codes as everywhere: 0, 1, 2, 77 (no such
 * backend or no device).
 */
#ifndef GPU_JOB_H
#define GPU_JOB_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define JOB_SCHEMA "moecast.job/1"
#define JOB_LIST_MAX 32
#define JOB_TASKS_MAX 256
#define JOB_TEXT_MAX (1u << 24)	/* bytes of a job: counts of layers */
#define JOB_BYTES_MAX (1ull << 40)
#define JOB_DEADLINE_S 30

struct job_list {
	int n;
	double v[JOB_LIST_MAX];
};

struct layer_case;

struct job_task {
	const char *op, *variant;	/* variant "": the usual one */
	const char *dtype;		/* "": the backend's usual one */
	const char *beside;		/* "": alone */
	double min_bytes, max_bytes;
	struct job_list ctas;
	struct job_list beside_bytes;	/* none: what takes as long */
	struct job_list m, n, k, batch;	/* products: the grid */
	bool optional;		/* left out where nobody can do it */
	struct layer_case *layer;	/* op "layer", or NULL; owned */
};

struct job {
	const char *backend;
	bool quick;
	int ranks, emulate_nodes;
	const char *tier[8];
	int n_tiers;
	double budget_s, deadline_s;
	uint64_t seed;
	struct job_task *task;
	int n_tasks;
	struct arena arena;	/* owns the texts and tasks */
};

/* Tasks that are not layers. */
int job_benchmarks(const struct job *j);

/* Message: "job: field 'ranks': ..."; *out is untouched then. */
enum status job_parse(const char *text, size_t len, struct job *out);
void job_release(struct job *j);

#endif
