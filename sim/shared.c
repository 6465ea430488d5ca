/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/shared.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/exec_live.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A step of a job's exchange on the fabric's ranks. */
struct crossing {
	const struct coll_step *of;	/* of the job alone, on its own */
	struct coll_step step;		/* the same flows, ranks renamed */
	double alone_s, with_s;		/* of its flows */
};

struct party {
	struct shared_job *job;
	struct evaluation e;
	int *node;		/* of the fabric, [its nodes] */
	struct crossing *cross;	/* in program order, each once */
	size_t n_cross, cap_cross;
};

struct shared {
	struct party party[SHARED_JOBS_MAX];
	int n;
	struct cluster cluster;	/* all of them */
	struct net net;
};

/* ---- one fabric ---- */

static enum status differ(const char *key, int i)
{
	return err_set(ST_INPUT, "'%s' of scenario %d differs from the "
		       "first's: they are not parts of one fabric", key,
		       i + 1);
}

/* What must be the same; NULL: all is. */
static const char *different(const struct cluster *a, const struct cluster *b)
{
	if (a->gpus_per_node != b->gpus_per_node)
		return "cluster.gpus_per_node";
	if (a->intra.kind != b->intra.kind)
		return "cluster.intra.kind";
	if (a->intra.bandwidth_Bps != b->intra.bandwidth_Bps)
		return "cluster.intra.bandwidth";
	if (a->nic.per_gpu != b->nic.per_gpu)
		return "cluster.nic.per_gpu";
	if (a->nic.per_node != b->nic.per_node)
		return "cluster.nic.per_node";
	if (a->nic.bandwidth_Bps != b->nic.bandwidth_Bps)
		return "cluster.nic.bandwidth";
	if (a->fabric.kind != b->fabric.kind)
		return "cluster.fabric.kind";
	if (a->fabric.oversubscription != b->fabric.oversubscription)
		return "cluster.fabric.oversubscription";
	if (a->fabric.core_oversubscription != b->fabric.core_oversubscription)
		return "cluster.fabric.core_oversubscription";
	if (a->fabric.nodes_per_leaf != b->fabric.nodes_per_leaf)
		return "cluster.fabric.nodes_per_leaf";
	if (a->fabric.leaves_per_pod != b->fabric.leaves_per_pod)
		return "cluster.fabric.leaves_per_pod";
	if (a->fabric.gpus_per_rack != b->fabric.gpus_per_rack)
		return "cluster.fabric.gpus_per_rack";
	if (a->pxn != b->pxn)
		return "cluster.pxn";
	return strcmp(a->gpu.name, b->gpu.name) ? "cluster.gpu" : NULL;
}

static enum status join_clusters(struct shared *x, const struct shared_job *job)
{
	x->cluster = job[0].s->cluster;
	x->cluster.nodes = 0;
	for (int i = 0; i < x->n; i++) {
		const struct cluster *c = &job[i].s->cluster;
		const char *key = different(&job[0].s->cluster, c);

		if (key)
			return differ(key, i);
		if (c->nodes > INT32_MAX - x->cluster.nodes)
			return err_set(ST_INPUT, "too many nodes in all");
		x->cluster.nodes += c->nodes;
	}
	x->cluster.fault = job[0].fault;
	x->cluster.n_faults = job[0].n_faults;
	return net_init(&x->net, &x->cluster, NET_EFFECTIVE);
}

/* The fabric's nodes in order: whose each is, and which of its own. */
struct placing {
	const int *nodes;	/* of each job */
	int n, given[SHARED_JOBS_MAX];
	enum placement place;
	int job, left;		/* that come now */
};

static void placing_next(struct placing *p, int *job_p, int *own_p)
{
	while (!p->left) {
		int rest;

		p->job = (p->job + 1) % p->n;
		rest = p->nodes[p->job] - p->given[p->job];
		p->left = p->place == PLACE_INTERLEAVED && rest > 1 ? 1 : rest;
	}
	p->left--;
	*job_p = p->job;
	*own_p = p->given[p->job]++;
}

static void place_nodes(struct shared *x, enum placement place)
{
	int nodes[SHARED_JOBS_MAX], job, own;
	struct placing p = { .nodes = nodes, .n = x->n, .place = place,
			     .job = -1 };

	for (int i = 0; i < x->n; i++)
		nodes[i] = x->party[i].job->s->cluster.nodes;
	for (int at = 0; at < x->cluster.nodes; at++) {
		placing_next(&p, &job, &own);
		x->party[job].node[own] = at;
	}
}

/* ---- faults ---- */

static bool same_faults(const struct cluster *a, const struct cluster *b)
{
	bool same = a->n_faults == b->n_faults;

	for (int i = 0; same && i < a->n_faults; i++) {
		const struct degraded *f = &a->fault[i], *g = &b->fault[i];

		same = f->kind == g->kind && f->node == g->node &&
			f->index == g->index && f->share == g->share;
	}
	return same;
}

/* Rails are every job's; leaves of nodes are not cut like a job's own. */
static bool is_every_jobs(const struct cluster *c, const struct degraded *f)
{
	return f->kind == FAULT_LEAF && c->fabric.kind == FABRIC_RAIL;
}

static enum status faults_check(const struct scenario *const *s, int n,
				int *nodes)
{
	const struct cluster *first = &s[0]->cluster;
	long all = 0;

	for (int i = 0; i < n; i++) {
		if (!same_faults(first, &s[i]->cluster))
			return differ("faults.degraded", i);
		nodes[i] = s[i]->cluster.nodes;
		all += nodes[i];
	}
	for (int i = 0; i < first->n_faults; i++) {
		const struct degraded *f = &first->fault[i];

		if (f->kind != FAULT_LEAF && f->node >= all)
			return err_set(ST_INPUT, "key 'faults.degraded': %s "
				       "%d:%d: the jobs have %ld nodes in all",
				       fault_kind_name(f->kind), f->node,
				       f->index, all);
	}
	return ST_OK;
}

enum status shared_own_faults(const struct scenario *const *s, int n,
			      enum placement place, int which,
			      struct degraded **out_p, int *n_p)
{
	const struct cluster *c = &s[0]->cluster;
	int nodes[SHARED_JOBS_MAX], n_own = 0;
	struct degraded *own;
	enum status st = faults_check(s, n, nodes);

	if (st)
		return st;
	own = xcalloc((size_t)c->n_faults + 1, sizeof(*own));
	for (int i = 0; i < c->n_faults; i++) {
		struct placing p = { .nodes = nodes, .n = n, .place = place,
				     .job = -1 };
		struct degraded f = c->fault[i];
		int job = which, at = f.node;

		for (int k = 0; f.kind != FAULT_LEAF && k <= at; k++)
			placing_next(&p, &job, &f.node);
		if (f.kind == FAULT_LEAF ? is_every_jobs(c, &f) :
					   job == which)
			own[n_own++] = f;
	}
	*out_p = own;
	*n_p = n_own;
	return ST_OK;
}

/* ---- exchanges ---- */

static bool leaves_node(const struct coll_step *s, int gpus)
{
	for (int i = 0; i < s->n_flows; i++) {
		if (s->flow[i].src / gpus != s->flow[i].dst / gpus)
			return true;
	}
	return false;
}

static struct crossing *find(struct party *p, const struct coll_step *s)
{
	for (size_t i = 0; i < p->n_cross; i++) {
		if (p->cross[i].of == s)
			return &p->cross[i];
	}
	return NULL;
}

static void rename_ranks(const struct party *p, struct crossing *c)
{
	int g = p->job->s->cluster.gpus_per_node, n = c->of->n_flows;
	struct coll_flow *f = xcalloc((size_t)n, sizeof(*f));

	for (int i = 0; i < n; i++) {
		f[i] = c->of->flow[i];
		f[i].src = p->node[f[i].src / g] * g + f[i].src % g;
		f[i].dst = p->node[f[i].dst / g] * g + f[i].dst % g;
	}
	c->step = *c->of;
	c->step.flow = f;
}

static enum status find_crossings(struct party *p)
{
	int g = p->job->s->cluster.gpus_per_node;

	for (int i = 0; i < p->e.program.n_ops; i++) {
		const struct op *op = &p->e.program.op[i];
		const struct coll_step *s = op_kind_is_comm(op->kind) ?
			cost_op_step(p->e.cost, op) : NULL;

		if (!s || find(p, s) || s->lane != LANE_INTER ||
		    !(s->flow_s > 0))
			continue;
		if (!exec_live_takes(s))
			return err_set(ST_INPUT, "an exchange between the %d "
				       "GPUs of a job makes more than %d "
				       "flows: too many to share a fabric",
				       p->e.net.n_ranks, EXEC_LIVE_FLOWS_MAX);
		if (!leaves_node(s, g))
			continue;
		p->cross = array_grow(p->cross, &p->cap_cross, p->n_cross + 1,
				      sizeof(*p->cross));
		p->cross[p->n_cross] = (struct crossing){ .of = s };
		rename_ranks(p, &p->cross[p->n_cross++]);
	}
	return ST_OK;
}

/* One of the others begins its next exchange. */
static void next_of(const struct shared *x, struct exec_live *l, int who,
		    size_t *turn)
{
	const struct party *p = &x->party[who];

	exec_live_join(l, who, &p->cross[turn[who]++ % p->n_cross].step, 1);
}

/* Its flows with the others exchanging all the while; `from`: where in
 * their order the others begin. */
static double solve_with(const struct shared *x, int mine,
			 const struct crossing *c, size_t from)
{
	struct exec_live *l = exec_live_new(&x->net);
	size_t turn[SHARED_JOBS_MAX];
	unsigned done = 0;
	double first, t;

	exec_live_join(l, mine, &c->step, 1);
	for (int i = 0; i < x->n; i++) {
		turn[i] = from;
		if (i != mine && x->party[i].n_cross)
			next_of(x, l, i, turn);
	}
	while (!(done & 1u << mine)) {
		done = exec_live_run(l, INFINITY, &first);
		for (int i = 0; i < x->n; i++) {
			if (i != mine && done & 1u << i)
				next_of(x, l, i, turn);
		}
	}
	t = exec_live_finish(l, mine);
	exec_live_free(l);
	return t;
}

static double solve_alone(const struct shared *x, const struct crossing *c)
{
	struct exec_live *l = exec_live_new(&x->net);
	double first, t;

	exec_live_join(l, 0, &c->step, 1);
	exec_live_run(l, INFINITY, &first);
	t = exec_live_finish(l, 0);
	exec_live_free(l);
	return t;
}

static void solve(struct shared *x)
{
	for (int i = 0; i < x->n; i++) {
		struct party *p = &x->party[i];

		for (size_t k = 0; k < p->n_cross; k++) {
			p->cross[k].alone_s = solve_alone(x, &p->cross[k]);
			p->cross[k].with_s = fmax(p->cross[k].alone_s,
				solve_with(x, i, &p->cross[k], k));
		}
	}
}

/* ---- steps ---- */

/* The op takes its time with its flows' part changed to `flows_s`. */
static double slow_of(const struct party *p, const struct op *op,
		      const struct crossing *c, double flows_s)
{
	double share = 1.0 / op->n_chunks;
	double ll = coll_step_low_latency(c->of, share) ?
		c->of->ll_slowdown : 1;
	double now = cost_op(p->e.cost, op);

	return (now + share * ll * (flows_s - c->of->flow_s)) / now;
}

/* `met`: the share of an exchange's time in which it meets the others. */
static enum status run(struct party *p, double met, double *time_p)
{
	struct exec_result r;
	enum status st;

	for (int i = 0; i < p->e.program.n_ops; i++) {
		struct op *op = &p->e.program.op[i];
		const struct crossing *c = op_kind_is_comm(op->kind) ?
			find(p, cost_op_step(p->e.cost, op)) : NULL;

		op->slow = 0;
		if (c)
			op->slow = slow_of(p, op, c, c->alone_s + met *
					   (c->with_s - c->alone_s));
	}
	st = exec_run(&p->e.program, p->e.cost, EXEC_FLOW, &r);
	for (int i = 0; i < p->e.program.n_ops; i++)
		p->e.program.op[i].slow = 0;
	if (st)
		return st;
	*time_p = s_from_ps(r.time_ps);
	exec_release(&r);
	return ST_OK;
}

/* The flows of its exchanges between nodes in one step. */
static void sum_exchanges(const struct party *p, double *alone_p,
			  double *with_p)
{
	*alone_p = *with_p = 0;
	for (int i = 0; i < p->e.program.n_ops; i++) {
		const struct op *op = &p->e.program.op[i];
		const struct crossing *c = op_kind_is_comm(op->kind) ?
			find((struct party *)p, cost_op_step(p->e.cost, op)) :
			NULL;

		if (c) {
			*alone_p += c->alone_s / op->n_chunks;
			*with_p += c->with_s / op->n_chunks;
		}
	}
}

/*
 * Independent jobs: at a moment at which one exchanges, another does so with
 * its own share of time, so that one of the others at least does with
 * 1 - prod (1 - share).
 */
static double met_share(const struct shared *x, int mine)
{
	double none = 1;

	for (int i = 0; i < x->n; i++)
		none *= i == mine ? 1 :
			1 - x->party[i].job->exchange_share;
	return 1 - none;
}

static enum status run_steps(struct shared *x)
{
	double alone, with;
	enum status st = ST_OK;

	for (int i = 0; !st && i < x->n; i++) {
		struct party *p = &x->party[i];

		st = run(p, 0, &p->job->alone_s);
		if (!st)
			st = run(p, 1, &p->job->worst_s);
		sum_exchanges(p, &alone, &with);
		p->job->exchange_slowdown = alone > 0 ? with / alone : 1;
		if (!st)
			p->job->exchange_share =
				fmin(1, alone / p->job->alone_s);
	}
	for (int i = 0; !st && i < x->n; i++)
		st = run(&x->party[i], met_share(x, i),
			 &x->party[i].job->mean_s);
	return st;
}

static void release(struct shared *x)
{
	for (int i = 0; i < x->n; i++) {
		struct party *p = &x->party[i];

		for (size_t k = 0; k < p->n_cross; k++)
			free(p->cross[k].step.flow);
		free(p->cross);
		free(p->node);
		evaluation_release(&p->e);
	}
	net_release(&x->net);
	free(x);
}

enum status shared_run(struct shared_job *job, int n, enum placement place)
{
	struct shared *x = xcalloc(1, sizeof(*x));
	enum status st;

	x->n = n;
	st = join_clusters(x, job);
	for (int i = 0; !st && i < n; i++) {
		struct party *p = &x->party[i];

		p->job = &job[i];
		p->node = xcalloc((size_t)job[i].s->cluster.nodes,
				  sizeof(*p->node));
		st = evaluate_plan(job[i].s, &job[i].plan, EXEC_FLOW, NULL,
				   &p->e);
	}
	if (!st)
		place_nodes(x, place);
	for (int i = 0; !st && i < n; i++)
		st = find_crossings(&x->party[i]);
	if (!st) {
		solve(x);
		st = run_steps(x);
	}
	release(x);
	return st;
}
