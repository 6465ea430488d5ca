/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/exec_flow.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/exec_share.h"
#include "sim/link_rows.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Speeds nearer to 1 than this count as full speed. */
#define FULL_SPEED (1 - 1e-12)
/* An exchange with less of its flows left than this is as good as done. */
#define LEFT_MIN_S 1e-12

static const struct gpu *run_gpu(const struct flow_run *f)
{
	return &cost_net(f->c)->cluster.gpu;
}

/* Next op of the lane from index i on. */
static int lane_next(const struct flow_run *f, int lane, int i)
{
	while (i < f->p->n_ops && (int)f->p->op[i].lane != lane)
		i++;
	return i;
}

static bool is_ready(const struct flow_run *f, const struct op *op)
{
	int d;

	for (d = 0; d < op->n_deps; d++) {
		if (!f->done[op->dep[d]])
			return false;
	}
	return true;
}

/*
 * Loads at full speed: bytes / (capacity * seconds alone). Chunks scale bytes
 * and seconds alike; the low-latency protocol puts ll_slowdown bytes on the
 * wire for each one.
 */
static void start_load(struct flow_run *f, struct running *r, int lane)
{
	double share = 1.0 / r->o->n_chunks, flows = r->part_s[PART_FLOWS];
	int l, n = f->n_links;

	r->scale = flows > 0 ? r->factor / flows : 0;
	r->memory = flows > 0 ?
		fmin(1, r->load->hbm_bytes * share / (flows * f->hbm_Bps)) : 0;
	if (!r->load->link_bytes)
		return;
	for (l = 0; l < n; l++)
		f->use[lane][l] = r->load->link_bytes[l] * f->rate[l];
}

static void start_comm(struct flow_run *f, struct running *r, int lane)
{
	const struct coll_step *step = cost_op_step(f->c, r->o);
	double share = 1.0 / r->o->n_chunks;
	double slow = r->o->slow > 0 ? r->o->slow : 1;

	if (!step)
		return;
	r->step = step;
	r->factor = share * slow;
	if (coll_step_low_latency(step, share))
		r->factor *= step->ll_slowdown;
	r->part_s[PART_FLOWS] = r->factor * step->flow_s;
	r->part_s[PART_COPIES] = share * slow * step->copy_s;
	r->part_s[PART_DELAY] = fmax(0, r->total_s - r->part_s[PART_FLOWS] -
				     r->part_s[PART_COPIES]);
	r->load = cost_op_load(f->c, r->o);
	start_load(f, r, lane);
}

static void start_compute(struct flow_run *f, struct running *r)
{
	r->part_s[PART_FLOWS] = r->total_s;
	if (r->total_s > 0 && r->o->lane != LANE_HOST) {
		r->memory = fmin(1, cost_op_hbm_bytes(f->c, r->o) /
				 (r->total_s * f->hbm_Bps));
	}
	exec_wait_kernels(f, r);
}

/* The first part from `part` on that takes time. */
static void enter_part(struct running *r, enum part part)
{
	while (part < r->last && r->part_s[part] <= 0)
		part++;
	r->part = part;
	r->left_s = r->part_s[part];
}

/* The lane's part begins, or waits without an event. */
static void begin_part(struct flow_run *f, int lane)
{
	struct running *r = &f->lane[lane];

	r->waits = exec_wait_must(f, lane);
	r->slowed |= r->waits;
	if (!r->waits)
		r->handle = evq_push(f->q, f->now_ps + ps_from_s(r->left_s),
				     (uint64_t)lane);
}

/* The gate that the host waited for has ended: it stands before the op on the
 * same lane. So has the forward pass when the other one begins. */
static double wait_for_host(const struct flow_run *f, int i)
{
	const struct host_turn *t = &f->host[i];
	const struct host_clock clock = {
		.begin_ps = t->gate >= 0 ? f->out->op[t->gate].finish_ps :
			i < f->p->n_forward ? 0 : f->forward_ps,
		.queued_s = t->queued_s,
	};

	return host_delay(&clock, &t->op, f->now_ps);
}

static void start_op(struct flow_run *f, int lane, int i)
{
	struct running *r = &f->lane[lane];

	*r = (struct running){ .op = i, .o = &f->p->op[i], .speed = 1,
			       .passes = -1 };
	r->total_s = f->host[i].seconds + wait_for_host(f, i);
	if (op_kind_is_comm(r->o->kind))
		start_comm(f, r, lane);
	else
		start_compute(f, r);
	for (r->last = PART_COPIES; r->last > PART_DELAY; r->last--) {
		if (r->part_s[r->last] > 0)
			break;
	}
	enter_part(r, PART_DELAY);
	f->out->op[i].start_ps = f->now_ps;
	f->next[lane] = lane_next(f, lane, i + 1);
	begin_part(f, lane);
}

static void start_ready(struct flow_run *f)
{
	int lane, i;

	for (lane = 0; lane < LANES_ALL; lane++) {
		i = f->next[lane];
		if (f->lane[lane].op < 0 && i < f->p->n_ops &&
		    is_ready(f, &f->p->op[i]))
			start_op(f, lane, i);
	}
}

/* ---- exchanges that meet on links ---- */

static bool in_flows(const struct running *r)
{
	return r->op >= 0 && !r->waits && r->part == PART_FLOWS && r->load &&
	       r->load->link_bytes;
}

/* Both in the pool: then they are one activity. */
static bool are_paired(const struct flow_run *f)
{
	return f->lane[LANE_INTRA].pooled && f->lane[LANE_INTER].pooled;
}

static bool share_link(const struct flow_run *f, const struct running *a,
		       const struct running *b)
{
	int l, n = f->n_links;

	for (l = 0; l < n; l++) {
		if (a->load->link_bytes[l] > 0 && b->load->link_bytes[l] > 0)
			return true;
	}
	return false;
}

/* Has flows that can still meet others. */
static bool can_meet(const struct flow_run *f, int lane)
{
	const struct running *r = &f->lane[lane];

	if (!in_flows(r) || !exec_live_takes(r->step))
		return false;
	return r->pooled ? exec_pool_has(f->pool, lane) :
		r->left_s > LEFT_MIN_S;
}

/*
 * Memory that the two use together: the mean of each alone, less what they
 * slow one another down, by their mean loads on links.
 */
static double pair_memory(const struct flow_run *f)
{
	struct share_activity a[2];
	double memory = 0;
	int i;

	for (i = 0; i < 2; i++) {
		a[i] = (struct share_activity){ .bound = 1,
			.use = f->use[LANE_INTRA + i],
			.scale = f->lane[LANE_INTRA + i].scale };
	}
	share_solve(a, 2, f->n_links);
	for (i = 0; i < 2; i++)
		memory += a[i].speed * f->lane[LANE_INTRA + i].memory;
	return memory;
}

static double pool_time(const struct flow_run *f, uint64_t ps)
{
	return f->at_s + s_from_ps(ps - f->at_ps) * f->speed;
}

/* The pool's clock goes at another speed from now on. */
static void set_pool_speed(struct flow_run *f, double speed)
{
	if (speed == f->speed)
		return;
	f->at_s = pool_time(f, f->now_ps);
	f->at_ps = f->now_ps;
	f->speed = speed;
}

static void join(struct flow_run *f, int lane)
{
	struct running *r = &f->lane[lane];

	exec_pool_join(f->pool, lane, r->step, r->factor);
	evq_cancel(f->q, r->handle);
	r->pooled = r->slowed = true;
}

/*
 * Fills the pool with what is left of an exchange that ran alone: it runs
 * again from its start. False: nothing is left.
 */
static bool replay(struct flow_run *f, int lane)
{
	const struct running *r = &f->lane[lane];
	double gone = r->part_s[PART_FLOWS] - r->left_s;

	exec_pool_reset(f->pool);
	exec_pool_join(f->pool, lane, r->step, r->factor);
	if (gone > 0 && exec_pool_run(f->pool, gone))
		return false;
	evq_cancel(f->q, r->handle);
	f->lane[lane].pooled = f->lane[lane].slowed = true;
	f->at_s = exec_pool_now(f->pool);
	f->at_ps = f->now_ps;
	f->speed = 1;
	return true;
}

/* Two exchanges that share a link, one of which has just begun, go on flow
 * by flow. */
static void meet(struct flow_run *f)
{
	struct running *a = &f->lane[LANE_INTRA], *b = &f->lane[LANE_INTER];
	int old = b->left_s < b->part_s[PART_FLOWS] ? LANE_INTER : LANE_INTRA;
	int new = old == LANE_INTER ? LANE_INTRA : LANE_INTER;

	if (!f->sharing->links || are_paired(f) || !can_meet(f, LANE_INTRA) ||
	    !can_meet(f, LANE_INTER) || !share_link(f, a, b))
		return;
	if (a->pooled || b->pooled)
		join(f, a->pooled ? LANE_INTER : LANE_INTRA);
	else if (replay(f, old))
		join(f, new);
	if (are_paired(f))
		f->pair_memory = pair_memory(f);
}

/* Runs the pool to the next event; who is done there gets one. */
static void run_pool(struct flow_run *f)
{
	double until_s = INFINITY;
	struct evq_event e;
	unsigned set;
	uint64_t end;
	int lane;

	if (!exec_pool_has(f->pool, LANE_INTRA) &&
	    !exec_pool_has(f->pool, LANE_INTER))
		return;
	if (evq_peek(f->q, &e))
		until_s = pool_time(f, e.time_ps);
	set = exec_pool_run(f->pool, until_s);
	for (lane = 0; lane < LANE_N; lane++) {
		if (!(set & 1u << lane))
			continue;
		end = f->at_ps + ps_from_s(fmax(0, exec_pool_finish(f->pool,
						lane) - f->at_s) / f->speed);
		evq_push(f->q, end > f->now_ps ? end : f->now_ps,
			 (uint64_t)lane);
	}
}

/* ---- speeds ---- */

/* Products and running collectives slow one another down. */
static bool needs_sms(enum op_kind k)
{
	switch (k) {
	case OP_GATE:
	case OP_GATE_BWD:
	case OP_EXPERT:
	case OP_EXPERT_BWD_DATA:
	case OP_EXPERT_BWD_WEIGHT:
	case OP_SHARED:
	case OP_SHARED_BWD:
	case OP_DENSE:
	case OP_DENSE_BWD:
		return true;
	default:
		return false;
	}
}

/* Is the lane's collective under the limit of CTAs (sim/limit.h)? */
static bool is_limited(const struct flow_run *f, int lane)
{
	return run_gpu(f)->ctas && op_kind_is_exchange(f->lane[lane].o->kind);
}

static const struct comm_tier *lane_tier(const struct flow_run *f, int lane)
{
	const struct gpu *g = run_gpu(f);
	const struct running *r = &f->lane[lane];

	if (f->p->plan.alltoall == A2A_DIRECT && r->op >= 0 &&
	    op_kind_is_exchange(r->o->kind) && g->direct.efficiency > 0)
		return &g->direct;
	if (g->ctas && !is_limited(f, lane))
		return lane == LANE_INTRA ? &g->unlimited.intra :
			&g->unlimited.inter;
	return lane == LANE_INTRA ? &g->intra : &g->inter;
}

static bool is_busy(const struct flow_run *f, int lane)
{
	return f->lane[lane].op >= 0 && !f->lane[lane].waits &&
	       f->lane[lane].total_s > 0;
}

/* What a product loses beside the collective of a lane: the SMs that this
 * holds, or what was measured. */
static double product_loss(const struct flow_run *f, int lane)
{
	const struct gpu *g = run_gpu(f);
	double loss = lane_tier(f, lane)->product_loss;
	int held = is_limited(f, lane) ? g->ctas : g->comm_sms;

	if (exec_wait_excludes(f, lane))
		return 1;
	return loss > 0 ? loss : fmin((double)held / g->sms, 1);
}

static double product_bound(const struct flow_run *f, const struct running *r)
{
	double lost = 0;
	int lane;

	if (!f->sharing->sms || !needs_sms(r->o->kind))
		return 1;
	for (lane = LANE_INTRA; lane < LANE_N; lane++) {
		if (is_busy(f, lane))
			lost += product_loss(f, lane);
	}
	return fmax(1 - lost, 1.0 / run_gpu(f)->sms);
}

static double collective_bound(const struct flow_run *f, int lane)
{
	const struct running *r = &f->lane[LANE_COMPUTE];

	if (!f->sharing->sms || !is_busy(f, LANE_COMPUTE) ||
	    !needs_sms(r->o->kind) || f->lane[lane].part == PART_DELAY ||
	    exec_wait_excludes(f, lane))
		return 1;
	return 1 - lane_tier(f, lane)->own_loss;
}

static struct share_activity activity_of(const struct flow_run *f, int lane)
{
	const struct running *r = &f->lane[lane];
	struct share_activity a = { .bound = lane == LANE_COMPUTE ?
		product_bound(f, r) : collective_bound(f, lane) };

	if (r->part == PART_COPIES && !r->kernels)
		a.memory = 1;	/* copies run at the memory's rate */
	else if (r->part != PART_DELAY)
		a.memory = r->memory;
	if (lane == LANE_INTRA && are_paired(f)) {
		a.memory = f->pair_memory;
		a.bound = fmin(a.bound, collective_bound(f, LANE_INTER));
	}
	if (!f->sharing->memory)
		a.memory = 0;
	if (r->part == PART_FLOWS && r->load && r->load->link_bytes &&
	    f->sharing->links) {
		a.use = f->use[lane];
		a.scale = r->scale;
	}
	return a;
}

/* A part that nobody slows down ends where the lane model has it. */
static uint64_t part_end(const struct flow_run *f, const struct running *r)
{
	uint64_t end = f->now_ps + ps_from_s(r->left_s / r->speed);
	uint64_t alone = f->out->op[r->op].start_ps + ps_from_s(r->total_s);

	if (r->part == r->last && !r->slowed && r->speed >= FULL_SPEED)
		end = alone > f->now_ps ? alone : f->now_ps;
	return end;
}

/* Activities by lane (the host shares nothing); two lanes in the pool are
 * one. Returns how many, with
 * how many of them use links. */
static int list_activities(const struct flow_run *f, struct share_activity *a,
			   int *who, int *links)
{
	int lane, n = 0;

	*links = 0;
	for (lane = 0; lane < LANE_N; lane++) {
		if (f->lane[lane].op < 0 || f->lane[lane].waits ||
		    (lane == LANE_INTER && are_paired(f)))
			continue;
		a[n] = activity_of(f, lane);
		*links += a[n].use != NULL;
		who[n++] = lane;
	}
	return n;
}

static void set_speeds(struct flow_run *f)
{
	struct share_activity a[SHARE_MAX];
	int n, links, who[SHARE_MAX], i;
	struct running *r;

	n = list_activities(f, a, who, &links);
	share_solve(a, n, links > 1 ? f->n_links : 0);
	for (i = 0; i < n; i++) {
		r = &f->lane[who[i]];
		r->speed = a[i].speed < FULL_SPEED ? a[i].speed : 1;
		if (r->pooled) {
			set_pool_speed(f, r->speed);
			continue;
		}
		evq_cancel(f->q, r->handle);
		r->handle = evq_push(f->q, part_end(f, r),
				     (uint64_t)who[i]);
	}
}

static void advance(struct flow_run *f, uint64_t to_ps)
{
	double dt = s_from_ps(to_ps - f->now_ps);
	struct running *r;
	int lane;

	for (lane = 0; lane < LANES_ALL; lane++) {
		r = &f->lane[lane];
		if (r->op < 0 || r->pooled || r->waits)
			continue;
		r->left_s = fmax(0, r->left_s - dt * r->speed);
		r->slowed |= dt > 0 && r->speed < 1;
	}
	f->now_ps = to_ps;
}

/* The lane's part is over: on to the next, or the op is done. */
static void end_part(struct flow_run *f, int lane)
{
	struct running *r = &f->lane[lane];

	r->pooled = false;
	if (lane == LANE_COMPUTE)
		exec_wait_release(f);
	if (r->part < r->last) {
		enter_part(r, r->part + 1);
		begin_part(f, lane);
		return;
	}
	f->out->op[r->op].finish_ps = f->now_ps;
	f->done[r->op] = true;
	if (r->op < f->p->n_forward)
		f->forward_ps = f->now_ps;
	r->op = -1;
}

static void run_events(struct flow_run *f)
{
	struct evq_event e;

	start_ready(f);
	meet(f);
	set_speeds(f);
	while (run_pool(f), evq_pop(f->q, &e)) {
		advance(f, e.time_ps);
		end_part(f, (int)e.data);
		start_ready(f);
		meet(f);
		set_speeds(f);
	}
	f->out->events = evq_popped(f->q);
}

/* What the host does before each op, in array order. */
static void host_init(struct flow_run *f)
{
	struct host_clock clock = { 0 };
	int i, gate = -1;

	f->host = xcalloc((size_t)f->p->n_ops, sizeof(*f->host));
	for (i = 0; i < f->p->n_ops; i++) {
		struct host_turn *t = &f->host[i];

		if (i == f->p->n_forward) {
			clock = (struct host_clock){ 0 };
			gate = -1;
		}
		t->seconds = cost_op_queued(f->c, &f->p->op[i], &t->op);
		t->queued_s = clock.queued_s;
		t->gate = gate;
		host_queue(&clock, &t->op, 0);
		if (t->op.is_met)
			gate = i;
	}
}

static void run_init(struct flow_run *f)
{
	const struct net *net = cost_net(f->c);
	const struct link_set *set = cost_links(f->c);
	const struct gpu *g = run_gpu(f);
	size_t n = (size_t)set->n + 1;
	int i;

	f->hbm_Bps = g->hbm_Bps * g->hbm_efficiency;
	f->done = xcalloc((size_t)f->p->n_ops, sizeof(*f->done));
	host_init(f);
	f->n_links = set->n;
	f->rate = xcalloc(n, sizeof(*f->rate));
	for (i = 0; i < f->n_links; i++)
		f->rate[i] = 1 / net->capacity_Bps[set->link[set->begin[i]]];
	for (i = 0; i < LANES_ALL; i++) {
		f->lane[i].op = -1;
		f->next[i] = lane_next(f, i, 0);
		f->use[i] = xcalloc(n, sizeof(*f->use[i]));
	}
	f->q = evq_new();
	f->pool = exec_pool_new(net);
	f->speed = 1;
}

static void run_release(struct flow_run *f)
{
	int i;

	exec_pool_free(f->pool);
	evq_free(f->q);
	for (i = 0; i < LANES_ALL; i++)
		free(f->use[i]);
	free(f->rate);
	free(f->done);
	free(f->host);
}

enum status exec_flow_run(const struct program *p, const struct cost *c,
			  const struct exec_sharing *sharing,
			  struct exec_result *out)
{
	struct flow_run f = { .p = p, .c = c, .sharing = sharing,
			      .out = out };
	int i;

	run_init(&f);
	run_events(&f);
	for (i = 0; i < p->n_ops; i++)
		assert(f.done[i]);
	run_release(&f);
	return ST_OK;
}
