/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a backend of the runner does: it measures one benchmark case at a
 * time on all of its ranks.
 *
 * The caller is one thread (the coordinator); rank threads, worker processes,
 * streams, communicators and events are the backend's own affair (gpu/ranks.h
 * has the threads). What to measure, how often and when to stop is decided
 * outside (gpu/bench.h, gpu/adapt.h): a backend never loops on its own.
 *
 *	st = ops->open(&options, &b);
 *	ops->info(b, &info);
 *	st = ops->prepare(b, &c);		buffers, data, plans: untimed
 *	st = ops->run(b, 5, seconds, NULL);	warm-up is a run like any other
 *	st = ops->run(b, 50, seconds, NULL);
 *	st = ops->check(b, &wrong);		against the CPU twin (gpu/ref.h)
 *	ops->release(b);
 *	ops->close(b);
 *
 * Any call may fail with a message; after a failed prepare() nothing is to be
 * released; after a failed run() or check() the case is released and the
 * backend closed. A rank that fails ends the others: the call returns the
 * first rank's message.
 */
#ifndef GPU_BACKEND_H
#define GPU_BACKEND_H

#include "base/status.h"
#include "gpu/layer.h"
#include "gpu/work.h"
#include "scenarios/sample.h"

#include <stdbool.h>
#include <stdint.h>

#define BACKEND_TIERS_MAX 8

struct backend_options {
	int ranks;		/* 0: all devices (host: 4) */
	int emulate_nodes;	/* 0: no */
	uint64_t seed;
	/* processes of MPI that do it together, to be taken over (gpu/team.h);
	 * NULL: this one alone */
	const struct team_link *team;
};

struct backend_info {
	/* backend gpu gpus driver cuda nccl clocks environment; the rest of
	 * it (host, date, version, source) is the caller's */
	struct run_info run;
	int ranks, nodes;
	/* emulated nodes, more than there are devices for: exchanges only */
	bool shares_devices;
	/* of exchanges that this process can measure now; memory and compute
	 * are always there */
	const char *tier[BACKEND_TIERS_MAX];
	int n_tiers;
	/* largest work_memory() of a case on one rank */
	uint64_t max_bytes;
};

struct backend;
struct team_link;
struct team_part;

struct backend_ops {
	const char *name;

	/* ST_UNAVAILABLE: no device, or more ranks than there can be.
	 * ST_INPUT: options that this backend does not have. */
	enum status (*open)(const struct backend_options *opt,
			    struct backend **out_p);
	void (*close)(struct backend *b);	/* NULL is fine */
	void (*info)(struct backend *b, struct backend_info *out);

	/*
	 * Environment that a process needs from its start to measure a tier:
	 * "NAME=VALUE" ..., NULL; NULL: none. A tier whose environment is not
	 * set is measured by another moecast-run that has it set. The hook
	 * may be NULL.
	 */
	const char *const *(*tier_env)(const char *tier);

	/* A tier that another moecast-run measures by emulated nodes of one
	 * rank each, without that environment, as layers on this tier run; not
	 * in jobs with layers, which say themselves what they run on. May be
	 * NULL. */
	const char *emulated_tier;

	/* Has this backend the op, variant and dtype on this tier? */
	bool (*can)(struct backend *b, const struct bench_case *c);

	enum status (*prepare)(struct backend *b, const struct bench_case *c);

	/*
	 * Runs the prepared case n times: all ranks start each call together;
	 * seconds[i] is the time of repetition i of the slowest rank.
	 * Contention (c.beside.op is set): both works start together on their
	 * own streams, seconds[] is of the main one, beside_s[] (never NULL
	 * then) of the other.
	 */
	enum status (*run)(struct backend *b, int n, double *seconds,
			   double *beside_s);

	/* Elements of the results of the last repetition that are wrong, all
	 * ranks, both works; see gpu/ref.h for what is compared. */
	enum status (*check)(struct backend *b, int64_t *wrong_p);
	void (*release)(struct backend *b);

	/*
	 * Layers (gpu/layer.h); all NULL: this backend has none. The same
	 * order and rules as above: layer_prepare() makes the data and lowers
	 * the plan; layer_run() takes n steps, forward and backward:
	 * forward_s[i] is the time of step i's forward part, step_s[i] of the
	 * whole step, both of the slowest rank; layer_check() compares the
	 * last step with the CPU twin (gpu/layer_ref.h). A case is either a
	 * layer or a benchmark: one is released before the other is prepared.
	 */
	enum status (*layer_prepare)(struct backend *b,
				     const struct layer_case *c);
	enum status (*layer_run)(struct backend *b, int n, double *forward_s,
				 double *step_s);
	enum status (*layer_check)(struct backend *b, struct layer_check *out);
	void (*layer_release)(struct backend *b);

	/* From the watchdog's thread, just before the process ends: ends
	 * worker processes. May be NULL. */
	void (*abort)(struct backend *b);

	/* What one of several processes does; NULL: there is only one. */
	const struct team_part *part;
};

/* backend_cuda exists when configured with CUDA (HAVE_CUDA). */
extern const struct backend_ops backend_host;
extern const struct backend_ops backend_cuda;

/* By name: ST_INPUT when there is no such backend, ST_UNAVAILABLE when this
 * program was built without it. */
enum status backend_find(const char *name, const struct backend_ops **out_p);

#endif
