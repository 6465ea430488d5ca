/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/measured.h"

#include "scenarios/sample.h"
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

static const struct {
	const char *op, *variant, *name;
} own_names[] = {
	{ "alltoall", "direct", MEASURED_DIRECT },
	{ "allgather", "counts", MEASURED_COUNTS },
	{ "combine", "direct", MEASURED_SUMS },
	{ "launch", "kernel", MEASURED_LAUNCH },
	{ "launch", "stream", MEASURED_STREAM },
	{ "launch", "graph", MEASURED_GRAPH },
	{ "launch", "product", MEASURED_CALL },
	{ "plan", "flat", MEASURED_PLAN_FLAT },
	{ "plan", "dedup", MEASURED_PLAN_DEDUP },
	{ "plan", "esp", MEASURED_PLAN_ESP },
};
#define N_OWN_NAMES (sizeof(own_names) / sizeof(own_names[0]))

const char *measured_own_name(const char *op, const char *variant)
{
	size_t i;

	for (i = 0; i < N_OWN_NAMES; i++) {
		if (!strcmp(own_names[i].op, op) &&
		    !strcmp(own_names[i].variant, variant))
			return own_names[i].name;
	}
	return NULL;
}

bool measured_op_known(const char *op)
{
	size_t i;

	for (i = 0; i < N_OWN_NAMES; i++) {
		if (!strcmp(own_names[i].name, op))
			return true;
	}
	return sample_op_known(op);
}

static bool is_sustained(const struct product_table *t)
{
	return !strcmp(t->variant, MEASURED_SUSTAINED);
}

static bool is_way(const struct product_table *t)
{
	static const char *const none[] = {
		MEASURED_SUSTAINED, MEASURED_HALF_EMPTY, MEASURED_ADDING,
		MEASURED_ADDING_EACH, MEASURED_WEIGHTS_EACH
	};
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		if (!strcmp(t->variant, none[i]))
			return false;
	}
	return true;
}

bool measured_has_products(const struct measured *m, enum dtype t)
{
	int i;

	for (i = 0; m && i < m->n_tables; i++) {
		if (m->table[i].dtype == t && is_way(&m->table[i]))
			return true;
	}
	return false;
}

double measured_sustained_flops(const struct measured *m, enum dtype t)
{
	double sum = 0;
	int n = 0, i, j;

	for (i = 0; m && i < m->n_tables; i++) {
		const struct product_table *table = &m->table[i];

		if (table->dtype != t || !is_sustained(table))
			continue;
		for (j = 0; j < table->n; j++) {
			const struct product_point *p = &table->point[j];

			sum += log(2 * p->m * p->n * p->k * p->batch /
				   p->seconds);
		}
		n += table->n;
	}
	return n ? exp(sum / n) : INFINITY;
}

/* The fastest of the ways with so many points or more. */
static double fastest_way(const struct measured *m, enum dtype t,
			  const struct product_point *p, int points_min,
			  bool *outside_p)
{
	double best = INFINITY, s;
	bool outside;
	int i;

	for (i = 0; i < m->n_tables; i++) {
		if (m->table[i].dtype != t || m->table[i].n < points_min ||
		    !is_way(&m->table[i]))
			continue;
		s = product_seconds(&m->table[i], p->m, p->n, p->k, p->batch,
				    &outside);
		if (s < best) {
			best = s;
			*outside_p = outside;
		}
	}
	return best;
}

double measured_product_seconds(const struct measured *m, enum dtype t,
				double rows, double n, double k, double batch,
				bool *outside_p)
{
	const struct product_point p = { rows, n, k, batch, 0 };
	int most = 0, i;
	double s;

	for (i = 0; i < m->n_tables; i++) {
		if (m->table[i].dtype == t && m->table[i].n > most &&
		    is_way(&m->table[i]))
			most = m->table[i].n;
	}
	s = fastest_way(m, t, &p, (most + 1) / 2, outside_p);
	return *outside_p ? fastest_way(m, t, &p, 0, outside_p) : s;
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

/* Of communicators without a limit of CTAs. */
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

/* As with collectives: only where as many ranks were measured. */
static struct measured_part fold_direct(const struct measured *m, int ranks,
					double link_Bps, double latency_s,
					struct comm_tier *out)
{
	static const struct exchange pull = { MEASURED_DIRECT, false, false,
					      false, false };
	const struct measured_curve *c = measured_find(m, pull.op, "nvlink",
						       ranks);

	if (!c || c->ranks < 2 || c->ranks < ranks || !(link_Bps > 0))
		return (struct measured_part){ 0 };
	*out = (struct comm_tier){ 0 };
	fold(c, &pull, link_Bps, latency_s, out);
	fold_contention(m, c->tier, out);
	return (struct measured_part){
		c, c->min_bytes * share_of(&pull, c->ranks),
		c->max_bytes * share_of(&pull, c->ranks),
	};
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

/* ---- limits of CTAs ---- */

/* A tier, as it is measured and as the GPU file has it. */
struct limited_tier {
	struct measured_part part;	/* without a limit */
	double link_Bps, latency_s;
	struct comm_tier file, free;	/* free: folded, without a limit */
	bool used;	/* the cluster has the tier */
};

/* Of the very exchange that the constants without a limit come from. */
static const struct measured_curve *find_limit(const struct measured *m,
					       const struct limited_tier *t,
					       int ctas)
{
	const struct measured_curve *u = t->part.curve, *c;

	if (!u || u->ctas)
		return NULL;
	c = measured_find_limited(m, u->op, u->tier, u->ranks, ctas);
	return c && c->ctas == ctas && c->ranks == u->ranks ? c : NULL;
}

/*
 * Losses were measured under this limit, or: the part of the SMs that a
 * collective holds is what a product loses, comm_sms of them without a limit.
 */
static void limit_contention(const struct measured *m, const char *tier,
			     int ctas, int comm_sms, struct comm_tier *t)
{
	const struct measured_contention *c;

	c = measured_find_contention(m, tier, ctas);
	if (c && c->ctas == ctas) {
		t->product_loss = c->product_loss;
		t->own_loss = c->own_loss;
	} else if (comm_sms > 0) {
		t->product_loss = fmin(t->product_loss * ctas / comm_sms, 1);
	}
}

static const struct exchange *exchange_of(const char *op)
{
	const struct exchange *e = exchanges;

	while (strcmp(e->op, op))
		e++;
	return e;
}

/* False: the tier was not measured under that limit. */
static bool fold_limit(const struct measured *m, const struct limited_tier *t,
		       int ctas, int comm_sms, struct comm_tier *out)
{
	const struct measured_curve *c = find_limit(m, t, ctas);

	*out = t->free;
	if (!t->used)
		return true;
	if (!c)
		return false;
	*out = t->file;
	fold(c, exchange_of(c->op), t->link_Bps, t->latency_s, out);
	out->product_loss = t->free.product_loss;
	out->own_loss = t->free.own_loss;
	limit_contention(m, c->tier, ctas, comm_sms, out);
	return true;
}

/* The smallest limit above `ctas` of any curve; 0: none. */
static int next_limit(const struct measured *m, int ctas)
{
	int i, next = 0;

	for (i = 0; i < m->n_curves; i++) {
		if (m->curve[i].ctas > ctas &&
		    (!next || m->curve[i].ctas < next))
			next = m->curve[i].ctas;
	}
	return next;
}

static void fold_limits(const struct measured *m,
			const struct limited_tier *intra,
			const struct limited_tier *inter, struct gpu *g)
{
	int ctas = 0;

	g->n_limits = 0;
	while (g->n_limits < COMM_LIMITS_MAX &&
	       (ctas = next_limit(m, ctas)) > 0) {
		struct comm_limit *l = &g->limit[g->n_limits];

		l->ctas = ctas;
		if ((intra->used || inter->used) &&
		    fold_limit(m, intra, ctas, g->comm_sms, &l->intra) &&
		    fold_limit(m, inter, ctas, g->comm_sms, &l->inter))
			g->n_limits++;
	}
}

static void limited_tier_set(struct limited_tier *t,
			     const struct measured_part *part, double link_Bps,
			     double latency_s, const struct comm_tier *folded)
{
	t->part = *part;
	t->link_Bps = link_Bps;
	t->latency_s = latency_s;
	t->free = *folded;
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
	double link = c->gpu.nvlink_Bps, nic = nic_Bps(c);
	struct limited_tier intra = { .file = c->gpu.intra,
				      .used = c->gpus_per_node > 1 };
	struct limited_tier inter = { .file = c->gpu.inter,
				      .used = c->nodes > 1 };
	struct measured_fold f = { 0 };

	if (on_pcie || !(link > 0))
		link = c->intra.bandwidth_Bps;
	fold_collectives(m, on_pcie ? pcie : nvlink, c->gpus_per_node, link,
			 c->intra.latency_s, &c->gpu.intra, c->gpu.intra_op);
	f.direct = fold_direct(m, c->gpus_per_node, link,
			       c->intra.latency_s, &c->gpu.direct);
	fold_collectives(m, network, c->nodes, nic, c->nic.latency_s,
			 &c->gpu.inter, c->gpu.inter_op);
	if (intra.used)
		f.intra = fold_tier(m, on_pcie ? pcie : nvlink,
				    c->gpus_per_node, link,
				    c->intra.latency_s, &c->gpu.intra);
	if (inter.used)
		f.inter = fold_tier(m, network, c->nodes, nic,
				    c->nic.latency_s, &c->gpu.inter);
	limited_tier_set(&intra, &f.intra, link, c->intra.latency_s,
			 &c->gpu.intra);
	limited_tier_set(&inter, &f.inter, nic, c->nic.latency_s,
			 &c->gpu.inter);
	fold_limits(m, &intra, &inter, &c->gpu);
	f.memory = fold_memory(m, &c->gpu);
	return f;
}
