/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a profile says about a GPU, in the form that the forecast takes.
 *
 * profiles/ makes it from fits, cli/ hands it to the scenario, sim/ reads
 * it. Exchange and memory curves are folded into struct gpu's constants
 * (comm_tier, hbm_efficiency, kernel_s) by measured_apply(); products are a
 * table that cost_gemm() consults before its roofline.
 */
#ifndef SCENARIOS_MEASURED_H
#define SCENARIOS_MEASURED_H

#include "base/curve.h"
#include "base/status.h"
#include "scenarios/gpu.h"

#include <stdbool.h>

/* One measured product: batch x (m x k) (k x n). */
struct product_point {
	double m, n, k, batch;
	double seconds;
};

/*
 * Products of one dtype, computed in one way (variant). Seconds between
 * points: linear in rows per product (m), columns of all products (batch*n;
 * where each costs by itself, "per-expert", "..-each", "grouped": n and
 * batch apart) and depth (k), made monotone in work: more rows, columns, depth
 * or products never take less time (a gate's and the others each by themselves).
 * Outside the range the nearest rate (FLOP/s) counts and *outside_p (may be
 * NULL) is set. doc/model.md, section "Profiles".
 */
struct product_grid;

struct product_table {
	enum dtype dtype;
	char variant[32];	/* may be empty */
	int n;
	struct product_point *point;	/* owned */
	struct product_grid *grid;	/* owned; made from the points */
	struct product_grid *narrow;	/* of a gate's; NULL: in grid too */
};

/* Copies the points; ST_INPUT unless there is one and all are positive. */
enum status product_table_init(struct product_table *t, enum dtype dtype,
			       const char *variant,
			       const struct product_point *point, int n);
double product_seconds(const struct product_table *t, double m, double n,
		       double k, double batch, bool *outside_p);
void product_table_release(struct product_table *t);

/*
 * Products of this variant are no way of making them: they were timed one
 * after the other for so long that the GPU's power limit held its clock down.
 */
#define MEASURED_SUSTAINED "sustained"

/* The same with zeros in half of each expert's rows, as empty slots are. */
#define MEASURED_HALF_EMPTY "half-empty"

/* Others that are none: products that add to what is there, as gradients of
 * weights of every chunk but the first do; these, and the first's, by calls. */
#define MEASURED_ADDING "adding"
#define MEASURED_ADDING_EACH "adding-each"
#define MEASURED_WEIGHTS_EACH "weights-each"

/*
 * Curves of variants that are ops of their own to a forecast: the exchange of
 * gpu/cuda_direct.h; counts that the host waits for; launches and plans
 * (gpu/turn.h), whose "bytes" are launches and choices.
 */
#define MEASURED_DIRECT "alltoall-direct"
#define MEASURED_COUNTS "allgather-counts"
#define MEASURED_SUMS "combine-direct"	/* its last part: sums of rows */
#define MEASURED_LAUNCH "launch-kernel"
#define MEASURED_STREAM "launch-stream"
#define MEASURED_GRAPH "launch-graph"
#define MEASURED_CALL "launch-product"	/* of a product's calls */
#define MEASURED_PLAN_FLAT "plan-flat"
#define MEASURED_PLAN_DEDUP "plan-dedup"
#define MEASURED_PLAN_ESP "plan-esp"

/* Such a name, or NULL: the variant has none. */
const char *measured_own_name(const char *op, const char *variant);
/* Is it a sample's op or such a name? */
bool measured_op_known(const char *op);

/* The curve of one op on one tier, and the sizes that it was fitted on. */
struct measured_curve {
	char op[32], tier[32];
	int ranks;
	int ctas;		/* limit of the communicator; 0: none */
	double n, k, batch;	/* shape of a layer's kernel (gpu/work.h);
				   0: has none */
	struct curve curve;	/* seconds of bytes */
	struct curve smooth;	/* of the same samples, one piece a + b*n +
				   c*sqrt(n): the form of the GPU's constants */
	double min_bytes, max_bytes;
	double r2, mape;	/* mape: mean relative error, held-out sizes */
};

/*
 * What a product and an exchange on a tier lose of their speeds while they
 * run side by side (profiles/contention.h). ctas: limit of the exchange's
 * communicator; 0: none.
 */
struct measured_contention {
	char tier[32];
	int ctas, pairs;
	double product_loss, own_loss;
	double mape;		/* of both times, over the pairs */
};

/*
 * What the forecast made of it, for warnings: written by sim/ while it
 * computes, read by cli/. Zero it to start over.
 */
struct measured_use {
	long inside, outside;	/* products from the table; past its range */
	struct product_point worst;	/* past it, that takes most time: */
	double worst_s;			/* seconds by the roofline */
};

struct measured {
	char source[256];	/* database and run, for reports */
	char gpu[64];		/* that the samples were taken on */
	int n_curves;
	struct measured_curve *curve;	/* owned */
	int n_tables;
	struct product_table *table;	/* owned */
	int n_contention;
	struct measured_contention *contention;	/* owned */
	struct measured_use *use;	/* borrowed; NULL: nobody asks */
};

void measured_release(struct measured *m);

/* Curve of an op on a tier with the nearest number of ranks, or NULL; of those
 * the one of a communicator without a limit of CTAs, else the largest limit. */
const struct measured_curve *measured_find(const struct measured *m,
					   const char *op, const char *tier,
					   int ranks);

/* The same with the limit nearest to `ctas` (0: as above). */
const struct measured_curve *measured_find_limited(const struct measured *m,
						   const char *op,
						   const char *tier, int ranks,
						   int ctas);

/*
 * Seconds of a layer's kernel (topk, sort) over `tokens` tokens with
 * shape n, k (gpu/work.h): between the shapes that were measured, each at as
 * many tokens, weighted by their distances on logarithmic scales. 0: none was.
 */
double measured_kernel_seconds(const struct measured *m, const char *op,
			       double tokens, double n, double k);

/* Seconds of a direct exchange's sums of so many bytes, weights and places
 * too; 0: none were measured. */
double measured_sums_seconds(const struct measured *m, double bytes,
			     double hidden, double k);

/* Of a host's plan (MEASURED_PLAN_FLAT, ..) of so many choices of a rank, to
 * `experts`, in `chunks`: between what was measured as above. */
double measured_plan_seconds(const struct measured *m, const char *op,
			     double choices, double experts, double chunks);

/* Of a tier and the nearest limit of CTAs (0: none), or NULL. */
const struct measured_contention *measured_find_contention(
	const struct measured *m, const char *tier, int ctas);

/* Are there products of this dtype? False for m = NULL. */
bool measured_has_products(const struct measured *m, enum dtype t);

/*
 * Seconds of a product in the fastest of the ways. Those with less than half
 * the points of the most measured one are asked only where the others' range
 * does not have the product: the least of guesses from few points is too low.
 * *outside_p: the range of the fastest does not have it either; that a slower
 * way's has it is no use. There must be products.
 */
double measured_product_seconds(const struct measured *m, enum dtype t,
				double rows, double n, double k, double batch,
				bool *outside_p);

/* The same where each product has a call of its own: only that way counts, if
 * its range has the product; of gradients of weights their own table first. */
double measured_each_seconds(const struct measured *m, enum dtype t,
			     bool of_weights, double rows, double n, double k,
			     double batch, bool *outside_p);
/* Does such a table reach the product? */
bool measured_each_known(const struct measured *m, enum dtype t,
			 bool of_weights, double rows, double n, double k,
			 double batch);

/* Seconds that a host takes to launch so many kernels one by one, or to queue
 * products that have a call each; 0: not measured. */
double measured_launch_seconds(const struct measured *m, double launches);
double measured_call_seconds(const struct measured *m, double calls);

/* Seconds that each output takes more when it is added to what is there: the
 * mean of MEASURED_ADDING's points over the same products alone. 0: none. */
double measured_adding_seconds(const struct measured *m, enum dtype t);
/* By the table of a variant (MEASURED_ADDING, ..); 0: it does not reach. */
double measured_variant_seconds(const struct measured *m, enum dtype t,
				const char *variant,
				const struct product_point *p);

/*
 * FLOP/s that products reach for as long as a layer runs: the geometric mean of
 * MEASURED_SUSTAINED's points; INFINITY where there are none, or m is NULL.
 */
double measured_sustained_flops(const struct measured *m, enum dtype t);

/* The share of it that a product of zeros saves, by those measured with half of
 * their rows empty, too; 1 when there is none such. */
double measured_empty_saves(const struct measured *m, enum dtype t);

/*
 * Folds the curves into the GPU: intra from tier nvlink (else shm; on PCIe
 * shm first), inter from network (else socket), memory from stream; what was
 * not measured stays. What they lose beside products comes from `contention`
 * of that tier. Of the exchanges all-to-all counts, else the first of
 * sendrecv, allgather, reducescatter. Rates are shares of the link that the
 * GPU file (inside a node) or the cluster (between nodes) states. Send/recv,
 * all-gather, reduce-scatter and all-reduce have constants of their own
 * (gpu.intra_op, inter_op) where they were measured with as many ranks; so
 * has the direct exchange (gpu.direct).
 *
 * gpu.limit gets every limit of CTAs under which the exchange of each tier
 * that the cluster has was measured, with as many ranks as the curve without
 * a limit. Losses beside products: those that were measured under that limit,
 * else product_loss as the share of the SMs, which are `ctas` of comm_sms.
 */
struct measured_part {	/* what a part came from; borrowed */
	const struct measured_curve *curve;	/* NULL: was not measured */
	double min_bytes, max_bytes;	/* range, as bytes that a rank moves
					   over its link (or memory) */
};

struct measured_fold {
	struct measured_part intra, inter, memory, direct;
};

struct cluster;
struct measured_fold measured_apply(const struct measured *m,
				    struct cluster *c);

#endif
