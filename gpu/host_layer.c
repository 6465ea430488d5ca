/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/host_layer.h"

#include "base/mem.h"
#include "gpu/layer_ref.h"
#include "gpu/ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Of the machine's memory, for one case. */
#define MEMORY_SHARE 0.5

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double host_store(const struct host_layer *l, double v)
{
	return l->is_bf16 ? (double)ref_from_bf16(ref_bf16((float)v)) : v;
}

size_t host_layer_size(const struct host_layer *l, enum layer_tensor t)
{
	const struct layer_case *c = &l->c;
	size_t hidden = (size_t)c->hidden, parts = (size_t)layer_w1_parts(c);
	size_t tokens = (size_t)c->tokens;
	size_t expert = (size_t)layer_local_experts(c) * hidden *
			(size_t)layer_shard_ffn(c);
	size_t shared = hidden * (size_t)c->shared_ffn;

	switch (t) {
	case LAYER_X:
	case LAYER_DY:
	case LAYER_Y:
	case LAYER_DX:
		return tokens * hidden;
	case LAYER_DLOGIT:
		return tokens * (size_t)c->k;
	case LAYER_WG:
	case LAYER_DWG:
		return hidden * (size_t)c->experts;
	case LAYER_W1:
	case LAYER_DW1:
		return expert * parts;
	case LAYER_W2:
	case LAYER_DW2:
		return expert;
	case LAYER_WS1:
	case LAYER_DWS1:
		return shared * parts;
	default:
		return shared;
	}
}

/* Tokens and weights of one rank; weights are the rank's shard. */
static double input(const struct host_layer *l, int rank,
		    enum layer_tensor t, size_t i)
{
	const struct layer_case *c = &l->c;
	int shard = layer_shard_ffn(c), parts = layer_w1_parts(c);
	size_t hidden = (size_t)c->hidden;
	size_t row = t == LAYER_W1 ? (size_t)(shard * parts) : hidden;
	size_t expert = (size_t)shard * hidden *
			(t == LAYER_W1 ? (size_t)parts : 1);
	double scale = 1;
	uint64_t at = i;

	if (t == LAYER_WG)
		scale = LAYER_GATE_SCALE;
	else if (t == LAYER_W1 || t == LAYER_WS1)
		scale = layer_weight_scale(c->hidden);
	else if (t == LAYER_W2)
		scale = layer_weight_scale(c->ffn);
	else if (t == LAYER_WS2)
		scale = layer_weight_scale(c->shared_ffn);
	if (t == LAYER_W1)
		at = layer_w1_index(c, rank, (int)(i / expert),
				    (int)(i % expert / row), (int)(i % row));
	else if (t == LAYER_W2)
		at = layer_w2_index(c, rank, (int)(i / expert),
				    (int)(i % expert / row), (int)(i % row));
	return scale * (double)fill_value(layer_key(c->seed, rank, t), at);
}

/* The sums are no numbers until they are made. */
static void fill_dense(struct host_layer *l, int rank)
{
	struct host_layer_rank *r = &l->rank[rank];
	size_t n = (size_t)layer_dense_of(&l->c).n, i;
	uint32_t key = layer_dense_key(&l->c, rank);

	r->dense = xcalloc(n + 1, sizeof(double));
	r->dense_sum = xcalloc(n + 1, sizeof(double));
	for (i = 0; i < n; i++) {
		r->dense[i] = (double)fill_value(key, i);
		r->dense_sum[i] = NAN;
	}
}

static enum status fill_rank(void *arg, int rank)
{
	struct host_layer *l = arg;
	struct host_layer_rank *r = &l->rank[rank];
	size_t tokens = (size_t)l->c.tokens, i, n;
	size_t rows = tokens * (size_t)l->c.hidden;
	enum layer_tensor t;

	for (t = 0; t < LAYER_TENSOR_N; t++) {
		n = host_layer_size(l, t);
		r->t[t] = xcalloc(n + 1, sizeof(double));
		for (i = 0; t <= LAYER_WS2 && i < n; i++)
			r->t[t][i] = input(l, rank, t, i);
	}
	r->g = xcalloc(tokens * (size_t)l->c.k, sizeof(*r->g));
	fill_dense(l, rank);
	if (l->c.shared_ffn) {
		r->shared_y = xcalloc(rows, sizeof(double));
		r->shared_dx = xcalloc(rows, sizeof(double));
		r->shared_pre = xcalloc(tokens * (size_t)l->c.shared_ffn *
					(size_t)layer_w1_parts(&l->c),
					sizeof(double));
	}
	return ST_OK;
}

static enum status check_memory(const struct host_layer *l)
{
	const struct layer_case *c = &l->c;
	double have = (double)sysconf(_SC_PHYS_PAGES) *
		      (double)sysconf(_SC_PAGESIZE) * MEMORY_SHARE;
	double rows = (double)l->c.tokens * l->c.k, need = 0;
	enum layer_tensor t;

	if (l->c.capacity)
		rows = (double)l->c.capacity * l->c.experts;
	for (t = 0; t < LAYER_TENSOR_N; t++)
		need += (double)host_layer_size(l, t);
	need += 2 * (double)layer_dense_of(c).n;
	/* rows on each step there and back, both passes, and the FFN's */
	need += rows * l->c.plan.layout.esp *
		(16.0 * l->c.hidden + 8.0 * layer_shard_ffn(&l->c));
	need *= sizeof(double) * l->n_ranks;
	if (need <= have)
		return ST_OK;
	return err_set(ST_INPUT, "backend 'host' needs about %.0f MB for this "
		       "layer and may take %.0f MB", need / 1e6, have / 1e6);
}

static void route_init(struct host_layer *l)
{
	const struct layer_case *c = &l->c;
	size_t copies = (size_t)l->n_ranks * (size_t)c->tokens * (size_t)c->k;
	struct layer_route *r = &l->route;

	*r = (struct layer_route){ .ranks = l->n_ranks, .tokens = c->tokens,
				   .k = c->k, .experts = c->experts,
				   .capacity = c->capacity };
	r->id = xcalloc(copies, sizeof(*r->id));
	r->pos = xcalloc(copies, sizeof(*r->pos));
	r->weight = xcalloc(copies, sizeof(*r->weight));
	r->count = xcalloc((size_t)l->n_ranks * (size_t)c->experts,
			   sizeof(*r->count));
	l->wg = layer_gate_bytes(c);
}

static void case_copy(const struct layer_case *c, struct layer_case *out)
{
	size_t n = (size_t)layer_ranks(c) * (size_t)c->experts;

	*out = *c;
	if (c->count) {
		out->count = xcalloc(n, sizeof(*out->count));
		memcpy(out->count, c->count, n * sizeof(*out->count));
	}
}

enum status host_layer_prepare(const struct layer_case *c,
			       struct host_layer **out_p)
{
	struct host_layer *l;
	enum status st = layer_case_check(c);

	if (st)
		return st;
	l = xcalloc(1, sizeof(*l));
	case_copy(c, &l->c);
	l->n_ranks = layer_ranks(c);
	l->is_bf16 = c->dtype == DT_BF16;
	l->dedup = c->plan.alltoall == A2A_DEDUP && c->plan.layout.ep > 1;
	st = check_memory(l);
	if (!st)
		st = layer_program(c, &l->program);
	if (!st)
		st = ranks_start(l->n_ranks, &l->ranks);
	if (!st) {
		route_init(l);
		l->rank = xcalloc((size_t)l->n_ranks, sizeof(*l->rank));
		st = ranks_call(l->ranks, fill_rank, l);
	}
	if (st)
		host_layer_release(l);
	else
		*out_p = l;
	return st;
}

static void rank_release(struct host_layer *l, int rank)
{
	struct host_layer_rank *r = &l->rank[rank];
	enum layer_tensor t;

	host_chunks_close(l, rank);
	for (t = 0; t < LAYER_TENSOR_N; t++)
		free(r->t[t]);
	free(r->g);
	free(r->shared_pre);
	free(r->shared_y);
	free(r->shared_dx);
	free(r->dense);
	free(r->dense_sum);
	free(r->forward_s);
	free(r->step_s);
}

void host_layer_release(struct host_layer *l)
{
	int r;

	if (!l)
		return;
	ranks_stop(l->ranks);
	for (r = 0; l->rank && r < l->n_ranks; r++)
		rank_release(l, r);
	free(l->rank);
	free(l->wg);
	layer_route_release(&l->route);
	program_release(&l->program);
	layer_case_release(&l->c);
	free(l);
}

/* Routes this rank; then all meet, and the plans can be made. */
static enum status run_gate(struct host_layer *l, int rank)
{
	host_chunks_close(l, rank);
	layer_route_rank(&l->c, l->wg, rank, &l->route);
	if (!ranks_barrier(l->ranks))
		return err_set(ST_FAIL, "rank %d was alone", rank);
	return host_chunks_open(l, rank);
}

static bool run_dispatch(struct host_layer *l, int rank,
			 struct host_chunk *k, int step)
{
	/* dedup's scalars travel with the first step */
	return host_exchange(l, rank, &k->go, step) &&
	       (!l->dedup || step > 0 || host_exchange(l, rank, &k->weight, step));
}

static bool run_combine(struct host_layer *l, int rank, struct host_chunk *k,
			const struct op *op)
{
	return host_exchange(l, rank, &k->come, op->step) &&
	       (!l->dedup || !op->backward || op->step > 0 ||
		host_exchange(l, rank, &k->g, op->step));
}

/* All-gather, reduce-scatter over the ESP group. */
static bool run_esp(struct host_layer *l, int rank, struct host_chunk *k,
		    const struct op *op)
{
	if (op->kind == OP_ALLGATHER)
		return host_exchange(l, rank, &k->go, -1) &&
		       (!l->dedup || host_exchange(l, rank, &k->weight, -1));
	return host_exchange(l, rank, &k->come, -1) &&
	       (!l->dedup || !op->backward ||
		host_exchange(l, rank, &k->g, -1));
}

static bool run_allreduce(struct host_layer *l, int rank, const struct op *op)
{
	const struct layout *o = &l->c.plan.layout;
	int block = o->ep * o->esp, copies = layer_copies(&l->c), base, ep;

	if (op->kind == OP_ALLREDUCE_GATE && op->step == ALLREDUCE_ROUTER)
		return host_allreduce(l, rank, LAYER_DWG, 0, l->n_ranks, 1);
	if (op->kind == OP_ALLREDUCE_GATE && op->step == ALLREDUCE_DENSE)
		return host_allreduce_dense(l, rank, op);
	if (op->kind == OP_ALLREDUCE_GATE)
		return host_allreduce(l, rank, LAYER_DWS1, 0, l->n_ranks, 1) &&
		       host_allreduce(l, rank, LAYER_DWS2, 0, l->n_ranks, 1);
	if (op->step == ALLREDUCE_DP)
		return host_allreduce(l, rank, LAYER_DW1, rank % block, o->dp,
				      block) &&
		       host_allreduce(l, rank, LAYER_DW2, rank % block, o->dp,
				      block);
	ep = rank / o->esp % o->ep;
	base = rank - ep % copies * o->esp;
	return host_allreduce(l, rank, LAYER_DW1, base, copies, o->esp) &&
	       host_allreduce(l, rank, LAYER_DW2, base, copies, o->esp);
}

static void run_compute(struct host_layer *l, int rank, const struct op *op)
{
	struct host_pass *p = &l->rank[rank].pass[op->backward];

	switch (op->kind) {
	case OP_PERMUTE:
		host_permute(l, rank);
		break;
	case OP_EXPERT:
		host_expert(l, rank, &p->chunk[op->chunk]);
		break;
	case OP_UNPERMUTE:
		host_unpermute(l, rank);
		break;
	case OP_SHARED:
		host_shared(l, rank);
		break;
	case OP_UNPERMUTE_BWD:
		host_unpermute_back(l, rank);
		break;
	case OP_EXPERT_BWD_DATA:
		host_expert_data(l, rank, op->chunk);
		break;
	case OP_EXPERT_BWD_WEIGHT:
		host_expert_weight(l, rank, op->chunk);
		break;
	case OP_PERMUTE_BWD:
		host_permute_back(l, rank);
		break;
	case OP_GATE_BWD:
		host_gate_back(l, rank);
		break;
	case OP_SHARED_BWD:
		host_shared_back(l, rank);
		break;
	default:
		break;
	}
}

static enum status run_op(struct host_layer *l, int rank, const struct op *op)
{
	struct host_chunk *k = l->rank[rank].pass[op->backward].chunk;
	bool alive = true;

	switch (op->kind) {
	case OP_GATE:
		return run_gate(l, rank);
	case OP_DISPATCH:
	case OP_COMBINE_BWD:
		alive = run_dispatch(l, rank, k + op->chunk, op->step);
		break;
	case OP_COMBINE:
	case OP_DISPATCH_BWD:
		alive = run_combine(l, rank, k + op->chunk, op);
		break;
	case OP_ALLGATHER:
	case OP_REDUCESCATTER:
		alive = run_esp(l, rank, k + op->chunk, op);
		break;
	case OP_ALLREDUCE_GATE:
	case OP_ALLREDUCE_EXPERT:
		alive = run_allreduce(l, rank, op);
		break;
	default:
		run_compute(l, rank, op);
	}
	return alive ? ST_OK : err_set(ST_FAIL, "rank %d was alone", rank);
}

static enum status run_rank(void *arg, int rank)
{
	struct host_layer *l = arg;
	struct host_layer_rank *r = &l->rank[rank];
	enum status st = ST_OK;
	double start;
	int i, o;

	for (i = 0; i < l->repetitions && !st; i++) {
		if (!ranks_barrier(l->ranks))
			return err_set(ST_FAIL, "rank %d was alone", rank);
		start = now_s();
		for (o = 0; o < l->program.n_ops && !st; o++) {
			if (o == l->program.n_forward)
				r->forward_s[i] = now_s() - start;
			st = run_op(l, rank, &l->program.op[o]);
		}
		r->step_s[i] = now_s() - start;
	}
	return st;
}

enum status host_layer_run(struct host_layer *l, int n, double *forward_s,
			   double *step_s)
{
	enum status st;
	int r, i;

	l->repetitions = n;
	for (r = 0; r < l->n_ranks; r++) {
		struct host_layer_rank *one = &l->rank[r];

		one->forward_s = xrealloc_array(one->forward_s, (size_t)n,
						sizeof(double));
		one->step_s = xrealloc_array(one->step_s, (size_t)n,
					     sizeof(double));
	}
	st = ranks_call(l->ranks, run_rank, l);
	for (i = 0; i < n && !st; i++) {
		forward_s[i] = step_s[i] = 0;
		for (r = 0; r < l->n_ranks; r++) {
			const struct host_layer_rank *one = &l->rank[r];

			if (one->forward_s[i] > forward_s[i])
				forward_s[i] = one->forward_s[i];
			if (one->step_s[i] > step_s[i])
				step_s[i] = one->step_s[i];
		}
	}
	return st;
}

static enum status fetch_elements(void *arg, enum layer_tensor t, int rank,
				  const int64_t *index, int n, double *out)
{
	const struct host_layer *l = arg;
	const double *v = t == LAYER_DENSE ? l->rank[rank].dense_sum
					   : l->rank[rank].t[t];
	int i;

	for (i = 0; i < n; i++)
		out[i] = v[index ? index[i] : i];
	return ST_OK;
}

static enum status fetch_routing(void *arg, int rank, int32_t *id,
				 int32_t *pos)
{
	const struct host_layer *l = arg;
	size_t n = (size_t)l->c.tokens * (size_t)l->c.k;

	memcpy(id, l->route.id + (size_t)rank * n, n * sizeof(*id));
	memcpy(pos, l->route.pos + (size_t)rank * n, n * sizeof(*pos));
	return ST_OK;
}

enum status host_layer_check(struct host_layer *l, struct layer_check *out)
{
	struct layer_fetch f = { l, fetch_elements, fetch_routing, NULL };

	return layer_ref_check(&l->c, &f, 0, l->n_ranks, 0, out);
}
