/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/measured.h"

#include "scenarios/scenario.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bounds of the GPU file's efficiencies (scenarios/keys.c). */
#define EFFICIENCY_MIN 1e-3
#define EFFICIENCY_MAX 1.0

void measured_release(struct measured *m)
{
	int i;

	for (i = 0; i < m->n_tables; i++)
		product_table_release(&m->table[i]);
	free(m->table);
	free(m->curve);
	free(m->contention);
	*m = (struct measured){ 0 };
}

/* On a logarithmic scale; of two that are as near the larger. */
static bool nearer(int ranks, int a, int b)
{
	double da = fabs(log((double)a / ranks));
	double db = fabs(log((double)b / ranks));

	return da != db ? da < db : a > b;
}

/* No limit is more than any. */
static double ctas_of(int ctas)
{
	return ctas ? ctas : INFINITY;
}

static bool nearer_ctas(int ctas, int a, int b)
{
	double da = fabs(log(ctas_of(a) / ctas)), db;

	if (!ctas)
		return ctas_of(a) > ctas_of(b);
	db = fabs(log(ctas_of(b) / ctas));
	return da != db ? da < db : ctas_of(a) > ctas_of(b);
}

const struct measured_curve *measured_find_limited(const struct measured *m,
						   const char *op,
						   const char *tier, int ranks,
						   int ctas)
{
	const struct measured_curve *best = NULL, *c;
	int i;

	for (i = 0; i < m->n_curves; i++) {
		c = &m->curve[i];
		if (strcmp(c->op, op) || strcmp(c->tier, tier))
			continue;
		if (!best || nearer(ranks, c->ranks, best->ranks) ||
		    (c->ranks == best->ranks &&
		     nearer_ctas(ctas, c->ctas, best->ctas)))
			best = c;
	}
	return best;
}

const struct measured_curve *measured_find(const struct measured *m,
					   const char *op, const char *tier,
					   int ranks)
{
	return measured_find_limited(m, op, tier, ranks, 0);
}

const struct measured_contention *measured_find_contention(
	const struct measured *m, const char *tier, int ctas)
{
	const struct measured_contention *best = NULL, *c;
	int i;

	for (i = 0; i < m->n_contention; i++) {
		c = &m->contention[i];
		if (!strcmp(c->tier, tier) &&
		    (!best || nearer_ctas(ctas, c->ctas, best->ctas)))
			best = c;
	}
	return best;
}

bool measured_has_products(const struct measured *m, enum dtype t)
{
	int i;

	for (i = 0; m && i < m->n_tables; i++) {
		if (m->table[i].dtype == t)
			return true;
	}
	return false;
}

double measured_product_seconds(const struct measured *m, enum dtype t,
				double rows, double n, double k, double batch,
				bool *outside_p)
{
	double best = INFINITY, s;
	bool outside;
	int i;

	for (i = 0; i < m->n_tables; i++) {
		if (m->table[i].dtype != t)
			continue;
		s = product_seconds(&m->table[i], rows, n, k, batch,
				    &outside);
		if (s < best) {
			best = s;
			*outside_p = outside;
		}
	}
	return best;
}

/*
 * Exchanges, best first, and what n ranks do with S bytes (sim/coll.h): a
 * rank sends `share` of S over its link in `messages` messages, with as many
 * latencies as `edges`.
 */
struct exchange {
	const char *op;
	bool whole;	/* share 1, else (n - 1) / n */
	bool ring;	/* n - 1 latencies, else 1 */
	bool pair;	/* one message, else n - 1 */
	bool twice;	/* all of it twice */
};

static const struct exchange exchanges[] = {
	{ "alltoall", false, false, false, false },
	{ "sendrecv", true, false, true, false },
	{ "allgather", false, true, false, false },
	{ "reducescatter", false, true, false, false },
	{ NULL, false, false, false, false },
};

/* By enum comm_op. */
static const struct exchange collectives[COMM_OP_N] = {
	[COMM_SENDRECV] = { "sendrecv", true, false, true, false },
	[COMM_ALLGATHER] = { "allgather", false, true, false, false },
	[COMM_REDUCESCATTER] = { "reducescatter", false, true, false, false },
	[COMM_ALLREDUCE] = { "allreduce", false, true, false, true },
};

static double share_of(const struct exchange *e, int n)
{
	return (e->whole ? 1 : (n - 1.0) / n) * (e->twice ? 2 : 1);
}

static double messages_of(const struct exchange *e, int n)
{
	return (e->pair ? 1 : n - 1.0) * (e->twice ? 2 : 1);
}

static double latencies_of(const struct exchange *e, int n)
{
	return e->ring ? messages_of(e, n) : 1;
}

static const struct measured_curve *find_exchange(const struct measured *m,
						  const char *tier, int ranks,
						  const struct exchange **e_p)
{
	const struct measured_curve *c;
	const struct exchange *e;

	for (e = exchanges; e->op; e++) {
		c = measured_find(m, e->op, tier, ranks);
		if (c && c->ranks > 1) {
			*e_p = e;
			return c;
		}
	}
	return NULL;
}

static double efficiency(double rate_Bps, double link_Bps)
{
	return fmin(fmax(rate_Bps / link_Bps, EFFICIENCY_MIN),
		    EFFICIENCY_MAX);
}

/*
 * S bytes per rank take a + b S + c sqrt(S); the model's r = share * S bytes
 * over the link take launch + messages * message + latencies + ramp sqrt(r) +
 * r / (efficiency * link). The cost of a message stays the GPU file's, unless
 * it alone is more than a. The low-latency protocol is part of the measured
 * curve: it must not undercut it.
 */
static void fold(const struct measured_curve *c, const struct exchange *e,
		 double link_Bps, double latency_s, struct comm_tier *t)
{
	const struct curve_piece *p = &c->smooth.piece[0];
	double share = share_of(e, c->ranks);
	double messages = messages_of(e, c->ranks), fixed;

	fixed = fmax(p->a - latency_s * latencies_of(e, c->ranks), 0);
	t->message_s = fmin(t->message_s, fixed / messages);
	t->launch_s = fixed - messages * t->message_s;
	t->ramp = p->c / sqrt(share);
	t->efficiency = p->b > 0 ? efficiency(share / p->b, link_Bps) :
		EFFICIENCY_MAX;
	t->ll_launch_s = t->launch_s;
	t->ll_efficiency = fmin(t->ll_efficiency, t->efficiency);
}

/* Communicators of layers have no limit of CTAs. */
static void fold_contention(const struct measured *m, const char *tier,
			    struct comm_tier *t)
{
	const struct measured_contention *c;

	c = measured_find_contention(m, tier, 0);
	if (!c)
		return;
	t->product_loss = c->product_loss;
	t->own_loss = c->own_loss;
}

static struct measured_part fold_tier(const struct measured *m,
				      const char *const *tiers, int ranks,
				      double link_Bps, double latency_s,
				      struct comm_tier *t)
{
	const struct measured_curve *c = NULL;
	const struct exchange *e = NULL;

	for (; *tiers && !c; tiers++)
		c = find_exchange(m, *tiers, ranks, &e);
	if (!c || !(link_Bps > 0))
		return (struct measured_part){ 0 };
	fold(c, e, link_Bps, latency_s, t);
	fold_contention(m, c->tier, t);
	return (struct measured_part){
		c, c->min_bytes * share_of(e, c->ranks),
		c->max_bytes * share_of(e, c->ranks),
	};
}

/* Constants of each collective that was measured, from those that the GPU file
 * has for the tier; of the others the efficiency is 0. */
static void fold_collectives(const struct measured *m,
			     const char *const *tiers, int ranks,
			     double link_Bps, double latency_s,
			     const struct comm_tier *file,
			     struct comm_tier *out)
{
	const struct measured_curve *c;
	int op, i;

	for (op = 0; op < COMM_OP_N; op++) {
		out[op] = (struct comm_tier){ 0 };
		for (i = 0, c = NULL; tiers[i] && !c; i++)
			c = measured_find(m, collectives[op].op, tiers[i],
					  ranks);
		/* fewer ranks do not say what a longer ring costs */
		if (!c || c->ranks < 2 || c->ranks < ranks || !(link_Bps > 0))
			continue;
		out[op] = *file;
		fold(c, &collectives[op], link_Bps, latency_s, &out[op]);
	}
}

/* A kernel starts in what no bytes take; the rate is that of the largest. */
static struct measured_part fold_memory(const struct measured *m,
					struct gpu *g)
{
	const struct measured_curve *c = measured_find(m, "stream", "memory",
						       1);
	const struct measured_part none = { 0 };
	double start, rate;

	if (!c)
		return none;
	start = fmax(curve_eval(&c->curve, 0), 0);
	rate = c->max_bytes / (curve_eval(&c->curve, c->max_bytes) - start);
	if (!(rate > 0) || !isfinite(rate))
		return none;
	g->kernel_s = start;
	g->hbm_efficiency = efficiency(rate, g->hbm_Bps);
	return (struct measured_part){ c, c->min_bytes, c->max_bytes };
}

static double nic_Bps(const struct cluster *c)
{
	double nics = c->nic.per_gpu > 0 ? c->nic.per_gpu :
		(double)c->nic.per_node / c->gpus_per_node;

	return nics * c->nic.bandwidth_Bps;
}

struct measured_fold measured_apply(const struct measured *m,
				    struct cluster *c)
{
	static const char *const nvlink[] = { "nvlink", "shm", NULL };
	static const char *const pcie[] = { "shm", "nvlink", NULL };
	static const char *const network[] = { "network", "socket", NULL };
	bool on_pcie = c->intra.kind == INTRA_PCIE;
	double link = c->gpu.nvlink_Bps;
	struct measured_fold f = { 0 };

	if (on_pcie || !(link > 0))
		link = c->intra.bandwidth_Bps;
	fold_collectives(m, on_pcie ? pcie : nvlink, c->gpus_per_node, link,
			 c->intra.latency_s, &c->gpu.intra, c->gpu.intra_op);
	fold_collectives(m, network, c->nodes, nic_Bps(c), c->nic.latency_s,
			 &c->gpu.inter, c->gpu.inter_op);
	if (c->gpus_per_node > 1)
		f.intra = fold_tier(m, on_pcie ? pcie : nvlink,
				    c->gpus_per_node, link,
				    c->intra.latency_s, &c->gpu.intra);
	if (c->nodes > 1)
		f.inter = fold_tier(m, network, c->nodes, nic_Bps(c),
				    c->nic.latency_s, &c->gpu.inter);
	f.memory = fold_memory(m, &c->gpu);
	return f;
}
