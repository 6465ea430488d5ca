/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an op costs: seconds of every op of a program for one workload.
 *
 * cost_new() prepares everything that does not depend on the pipeline degree
 * (collectives' steps, rows per rank); cost_op() is then cheap. Compute ops
 * are roofline estimates from the GPU file (doc/model.md, section "Layer
 * cost"): products with tile and wave quantisation and a weight-reading
 * bound, streaming kernels by bytes over HBM. Products that were measured
 * (spec.measured) take their table instead. An op's time is that of the
 * slowest rank. Expert ops are computed when first asked for, so a struct
 * cost is for one thread.
 */
#ifndef SIM_COST_H
#define SIM_COST_H

#include "base/progress.h"
#include "scenarios/program.h"
#include "sim/coll.h"
#include "sim/route.h"
#include "sim/tech_apply.h"

struct cost;
struct cost_shared;	/* sim/cost_shared.h */

struct cost_spec {
	const struct net *net;		/* NET_EFFECTIVE */
	const struct model *model;
	const struct workload *workload;
	struct layout layout;
	enum a2a_alg alltoall;
	const struct tech_effect *effect;	/* of techniques; NULL: none */
	struct comm_spec comm;
	const struct measured *measured;	/* products; may be NULL */
	struct cost_shared *shared;	/* with other costs; may be NULL */
	const struct progress *progress;	/* of exchanges; or NULL */
	double dense_bytes;	/* of the plan: gradients of dense layers */
	double tolerance;	/* see struct coll_spec */
	bool bound_only;
	bool least;	/* with bound_only: all-to-alls at coll_least() */
	bool keep_flows;	/* needed by the flow model */
};

/* The spec's pointers are borrowed until cost_free(). */
enum status cost_new(const struct cost_spec *spec, struct cost **out_p);
void cost_free(struct cost *c);

/* Seconds of one op (its chunk's share) on the slowest rank, whose host is in
 * time. */
double cost_op(const struct cost *c, const struct op *op);

/*
 * What a host has to do with an op of many calls (measured products of uneven
 * experts): it queues for host_s; the op takes late_s longer when it begins
 * as early as the host with it, and so much less of that as the host is ahead.
 * is_met: the host waits for the op's end, as a dropless gate's counts.
 */
struct op_host {
	double host_s, late_s;
	bool is_met;
};

/* cost_op(), and its host. */
double cost_op_queued(const struct cost *c, const struct op *op,
		      struct op_host *out);

/*
 * The share of a product op's time after which its first product is done, where
 * products were measured: the kernels of a runner, which hold all SMs. 0: not
 * known.
 */
double cost_op_first(const struct cost *c, const struct op *op);

/* Of those the seconds of products past the measured range. */
double cost_op_outside(const struct cost *c, const struct op *op);

/* Bytes of HBM traffic of a compute op on one rank (flow model). */
double cost_op_hbm_bytes(const struct cost *c, const struct op *op);

/*
 * The step behind a communication op; NULL for compute ops, and for an
 * all-reduce of nothing.
 */
const struct coll_step *cost_op_step(const struct cost *c,
				     const struct op *op);

/* What that step puts on links and memory; NULL as above. Empty unless
 * keep_flows was set. See sim/cost_load.h. */
struct step_load;
const struct step_load *cost_op_load(const struct cost *c,
				     const struct op *op);

/*
 * What a pass of a block (plan.dense) has beside its layer, run apart: its
 * dense part, and with `sums` what of its gradients' all-reduce that does not
 * hide.
 */
double cost_apart_s(const struct cost *c, int pass, bool sums);

/* The links that the loads are by; none unless keep_flows was set. */
struct link_set;
const struct link_set *cost_links(const struct cost *c);

const struct net *cost_net(const struct cost *c);

/* One product m x n x k, `batch` times, on one GPU: the roofline. */
double cost_gemm(const struct gpu *g, enum dtype t, double m, double n,
		 double k, double batch);
/* A kernel that moves `bytes` through HBM. */
double cost_stream(const struct gpu *g, double bytes);

/*
 * Memory per GPU of the whole model under this plan (doc/model.md, section
 * "Memory"): parameters, gradients, optimizer, activations, exchange buffers.
 */
struct memory_use {
	double parameters, gradients, optimizer, activations, buffers, total;
};
void memory_estimate(const struct scenario *s, const struct plan *p,
		     const struct workload *w, struct memory_use *out);

#endif
