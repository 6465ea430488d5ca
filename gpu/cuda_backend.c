/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/ref.h"
#include "gpu/turn.h"

#include <stdlib.h>
#include <string.h>

/* Of the free memory, for the buffers of a case. */
#define MEMORY_SHARE 0.9
#define FAULT 0x55	/* what plant_fault writes into an element */

/*
 * The transport is NCCL's choice when a process starts; the host's other
 * tiers are measured by taking the faster transport away.
 */
static const char *const shm_env[] = { "NCCL_P2P_DISABLE=1", NULL };
static const char *const socket_env[] = {
	"NCCL_P2P_DISABLE=1", "NCCL_SHM_DISABLE=1", "NCCL_NET=Socket",
	"NCCL_SOCKET_IFNAME=lo", NULL
};

static const char *const *cuda_tier_env(const char *tier)
{
	if (!strcmp(tier, "shm"))
		return shm_env;
	return strcmp(tier, "socket") ? NULL : socket_env;
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value && !strcmp(value, "1");
}

/* NVLink does native atomics between GPUs, PCIe does not. */
static bool all_nvlink(int n)
{
	int i, j, ok;

	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++) {
			ok = i == j;
			if (i != j && cudaDeviceGetP2PAttribute(
				&ok, cudaDevP2PAttrNativeAtomicSupported, i,
				j) != cudaSuccess)
				return false;
			if (!ok)
				return false;
		}
	}
	return true;
}

/* Exchanges go by one tier in a process, and by none on a single GPU. */
static const char *tier_here(int ranks)
{
	if (ranks < 2)
		return NULL;
	if (is_set("NCCL_P2P_DISABLE"))
		return is_set("NCCL_SHM_DISABLE") ? "socket" : "shm";
	return all_nvlink(ranks) ? "nvlink" : NULL;
}

/* Ranks of this process: of MPI's one each, unless more are asked for; else
 * every device. */
static enum status count_ranks(int ranks, const struct team_place *at, int *n_p,
			       int *devices_p)
{
	int devices = 0, n;
	cudaError_t rc = cudaGetDeviceCount(&devices);

	if (rc != cudaSuccess || devices < 1) {
		(void)cudaGetLastError();
		return err_set(ST_UNAVAILABLE, "backend 'cuda': no device (%s)",
			       rc == cudaSuccess ? "none is visible"
						 : cudaGetErrorString(rc));
	}
	if (ranks % at->members)
		return err_set(ST_INPUT, "backend 'cuda': %d ranks cannot be "
			       "%d equal nodes", ranks, at->members);
	n = ranks / at->members;
	if (!ranks)
		n = at->members > 1 && !at->is_emulated ? 1 : devices;
	if (n * (at->local + 1) > devices)
		return err_set(ST_UNAVAILABLE, "backend 'cuda': %d ranks on a "
			       "node, but only %d devices",
			       n * (at->local + 1), devices);
	if (n * at->members > CUDA_RANKS_MAX)
		return err_set(ST_INPUT, "backend 'cuda' has at most %d ranks, "
			       "not %d", CUDA_RANKS_MAX, n * at->members);
	*devices_p = devices;
	*n_p = n;
	return ST_OK;
}

static enum status open_rank(void *arg, int rank)
{
	struct backend *b = arg;

	b->rank[rank].device = b->first_device + rank;
	b->rank[rank].rank = b->at.member * ranks_count(b->ranks) + rank;
	return cuda_rank_open(&b->rank[rank]);
}

static enum status close_rank(void *arg, int rank)
{
	struct backend *b = arg;

	cudaSetDevice(b->rank[rank].device);
	cuda_rank_close(&b->rank[rank], true);
	return ST_OK;
}

/* Between emulated nodes there are sockets only, between others a network. */
static const char *tier_of(const struct team_place *at, int ranks)
{
	if (at->hosts > 1)
		return at->is_emulated ? "socket" : "network";
	return tier_here(ranks);
}

static void fill_info(struct backend *b, int n)
{
	const char *tier = tier_of(&b->at, n * b->at.members);
	uint64_t least = b->rank[0].free_bytes;
	int i;

	for (i = 1; i < n; i++)
		least = b->rank[i].free_bytes < least ? b->rank[i].free_bytes
						      : least;
	b->info.ranks = n * b->at.members;
	b->info.nodes = b->at.hosts;
	b->info.max_bytes = (uint64_t)((double)least * MEMORY_SHARE);
	if (b->info.shares_devices)
		b->info.max_bytes /= (uint64_t)b->at.members;
	if (tier)
		b->info.tier[b->info.n_tiers++] = tier;
	cuda_describe(b);
}

static void part_close(struct backend *b)
{
	int i;

	if (!b)
		return;
	/* threads of a run that failed do nothing more: from here, then */
	if (ranks_call(b->ranks, close_rank, b)) {
		for (i = 0; i < ranks_count(b->ranks); i++) {
			cudaSetDevice(b->rank[i].device);
			cuda_rank_close(&b->rank[i], false);
		}
	}
	ranks_stop(b->ranks);
	free(b->rank);
	free(b);
}

static enum status part_open(const struct backend_options *opt,
			     const struct team_place *at,
			     struct backend **out_p)
{
	struct backend *b;
	enum status st;
	int n = 0, devices = 0;

	/* NVLink multicast stays off, before NCCL looks: what goes wrong
	 * with it can take a host's GPUs from everyone on it */
	setenv("NCCL_NVLS_ENABLE", "0", 1);
	st = count_ranks(opt->ranks, at, &n, &devices);
	if (st)
		return st;
	b = xcalloc(1, sizeof(*b));
	b->at = *at;
	/* emulated nodes have devices of their own where there are enough */
	b->info.shares_devices = at->is_emulated && n * at->members > devices;
	b->first_device = n * (at->is_emulated && !b->info.shares_devices ?
			       at->member : at->local);
	b->rank = xcalloc((size_t)n, sizeof(*b->rank));
	st = ranks_start(n, &b->ranks);
	if (st) {
		free(b->rank);
		free(b);
		return st;
	}
	st = ranks_call(b->ranks, open_rank, b);
	if (st) {
		part_close(b);
		return st;
	}
	fill_info(b, n);
	*out_p = b;
	return ST_OK;
}

static void cuda_info(struct backend *b, struct backend_info *out)
{
	*out = b->info;
}

bool cuda_is_bf16(const struct bench_work *w)
{
	return !strcmp(w->dtype, "bf16");
}

uint32_t cuda_key(const struct cuda_work *w, int rank, int stream)
{
	return fill_key(w->c.seed, rank, stream);
}

const struct cuda_op *cuda_op_find(const struct bench_work *w)
{
	static const struct cuda_op *const table[] = {
		cuda_exchanges, cuda_products, cuda_kernels, cuda_direct_ops,
		cuda_direct_sums, cuda_turns, cuda_call_ops
	};
	const struct cuda_op *op;
	size_t t, i;

	for (t = 0; t < sizeof(table) / sizeof(table[0]); t++) {
		for (op = table[t]; op->name; op++) {
			if (strcmp(op->name, w->op))
				continue;
			for (i = 0; i < CUDA_VARIANTS && op->variants[i]; i++) {
				if (!strcmp(op->variants[i], w->variant))
					return op;
			}
		}
	}
	return NULL;
}

static bool can_work(const struct backend *b, const struct bench_case *c,
		     const struct bench_work *w)
{
	const struct cuda_op *op = cuda_op_find(w);

	if (!op || !work_element_bytes(w->dtype))
		return false;
	/* emulated nodes take turns on the GPUs: no times of their work */
	if (b->info.shares_devices && !sample_op_is_exchange(w->op))
		return false;
	if (op->is_fp32_only && cuda_is_bf16(w))
		return false;
	if (sample_op_is_exchange(w->op))
		return b->info.n_tiers && !strcmp(c->tier, b->info.tier[0]) &&
		       (op != cuda_direct_ops || cuda_direct_can(b, c));
	if (!strcmp(w->op, "plan"))
		return turn_can(w, c->ranks);
	return !op->can || op->can(w);
}

static bool cuda_can(struct backend *b, const struct bench_case *c)
{
	if (c->ranks != b->info.ranks || !can_work(b, c, &c->work))
		return false;
	if (!*c->beside.op)
		return true;
	/* cuBLAS's handle and workspaces serve one product at a time */
	return can_work(b, c, &c->beside) &&
	       !(work_flops(&c->work) > 0 && work_flops(&c->beside) > 0);
}

static bool has_size(const struct bench_case *c, const struct bench_work *w)
{
	return sample_op_is_exchange(w->op) ?
	       w->bytes >= sizeof(float) * (uint64_t)c->ranks : w->m > 0;
}

struct prepare_call {
	struct backend *b;
	const struct bench_case *c;
	const ncclUniqueId *id;
};

static enum status prepare_rank(void *arg, int rank)
{
	struct prepare_call *p = arg;

	return cuda_rank_prepare(&p->b->rank[rank], p->c,
				 p->b->info.max_bytes, p->id);
}

static void part_release(struct backend *b)
{
	int i;

	for (i = 0; i < ranks_count(b->ranks); i++) {
		cuda_work_release(&b->rank[i].work);
		cuda_work_release(&b->rank[i].other);
	}
}

static enum status part_prepare(struct backend *b, const struct bench_case *c,
				const void *id)
{
	struct prepare_call p = { .b = b, .c = c, .id = id };
	enum status st = ranks_call(b->ranks, prepare_rank, &p);

	if (st)
		part_release(b);
	return st;
}

static enum status check_case(struct backend *b, const struct bench_case *c)
{
	if (!cuda_can(b, c))
		return err_set(ST_INPUT, "backend 'cuda' cannot run '%s' "
			       "variant '%s' of '%s' on tier '%s'",
			       c->work.op, c->work.variant, c->work.dtype,
			       c->tier);
	if (!has_size(c, &c->work) ||
	    (*c->beside.op && !has_size(c, &c->beside)))
		return err_set(ST_INPUT, "backend 'cuda': '%s' of %g bytes has "
			       "nothing for each rank", c->work.op,
			       (double)c->work.bytes);
	return ST_OK;
}

/* Only of what has to be made: each id is a listening thread of NCCL's,
 * which goes away when all ranks have called. */
static enum status part_ids(struct backend *b, const struct bench_case *c,
			    void *ids)
{
	const struct bench_work *w[2] = { &c->work, &c->beside };
	ncclUniqueId *id = ids;	/* two */
	enum status st = ST_OK;
	int i;

	for (i = 0; i < 2 && !st; i++) {
		if (sample_op_is_exchange(w[i]->op) &&
		    cuda_comm_need(&b->rank[0], w[i]->ctas) &&
		    !(i && sample_op_is_exchange(w[0]->op) &&
		      w[0]->ctas == w[1]->ctas))
			st = cuda_comm_id(&id[i]);
	}
	return st;
}

static enum status cuda_prepare(struct backend *b, const struct bench_case *c)
{
	enum status st = check_case(b, c);
	ncclUniqueId id[2];

	if (!st && b->team)
		return team_prepare(b->team, c);
	if (!st)
		st = part_ids(b, c, id);
	return st ? st : part_prepare(b, c, id);
}

struct run_call {
	struct backend *b;
	int n;
};

static enum status run_rank(void *arg, int rank)
{
	struct run_call *call = arg;

	return cuda_rank_run(&call->b->rank[rank], call->b->ranks, call->n);
}

/* Of the slowest rank. */
static enum status part_run(struct backend *b, int n, double *seconds,
			    double *beside_s)
{
	struct run_call call = { b, n };
	enum status st = ranks_call(b->ranks, run_rank, &call);
	int i, j;

	if (st)
		return st;
	for (j = 0; j < ranks_count(b->ranks); j++) {
		const struct cuda_rank *r = &b->rank[j];

		for (i = 0; i < n; i++) {
			if (!j || r->seconds[i] > seconds[i])
				seconds[i] = r->seconds[i];
			if (r->other.op &&
			    (!j || r->beside_s[i] > beside_s[i]))
				beside_s[i] = r->beside_s[i];
		}
	}
	return ST_OK;
}

/* In an element that is looked at: for products not every one is. */
static enum status plant_fault(struct cuda_rank *r, struct cuda_work *w)
{
	uint64_t at = 0;
	size_t e = (size_t)work_element_bytes(w->c.work.dtype);

	if (work_flops(&w->c.work) > 0)
		at = ref_product_index(&w->c, r->rank, 0);
	if (!strcmp(w->c.work.op, "gate"))
		e = sizeof(float);
	return cuda_status(cudaMemset((char *)cuda_buffer(w, w->last_set,
							  w->op->result) +
				      at * e, FAULT, e), "cudaMemset()");
}

static enum status check_rank(void *arg, int rank)
{
	struct backend *b = arg;
	struct cuda_rank *r = &b->rank[rank];
	enum status st;

	r->wrong = 0;
	CUDA_GOTO(out, st, cudaSetDevice(r->device));
	if (r->work.c.plant_fault)
		st = plant_fault(r, &r->work);
	if (!st)
		st = r->work.op->check(r, &r->work, r->work.last_set,
				       &r->wrong);
	if (!st && r->other.op)
		st = r->other.op->check(r, &r->other, r->other.last_set,
					&r->wrong);
out:
	return st;
}

static enum status part_check(struct backend *b, int64_t *wrong_p)
{
	enum status st = ranks_call(b->ranks, check_rank, b);
	int64_t wrong = 0;
	int i;

	for (i = 0; i < ranks_count(b->ranks); i++)
		wrong += b->rank[i].wrong;
	if (!st)
		*wrong_p = wrong;
	return st;
}

_Static_assert(2 * sizeof(ncclUniqueId) <= TEAM_ID_BYTES, "two ids fit");

static const struct team_part part = {
	.open = part_open,
	.close = part_close,
	.info = cuda_info,
	.ids = part_ids,
	.prepare = part_prepare,
	.run = part_run,
	.check = part_check,
	.release = part_release,
	.layer_id = cuda_part_layer_id,
	.layer_prepare = cuda_part_layer_prepare,
	.layer_run = cuda_part_layer_run,
	.layer_check = cuda_part_layer_check,
	.layer_release = cuda_part_layer_release,
};

/* From here: this process, or those of a team. */

static void become_node(int node)
{
	char id[32];

	snprintf(id, sizeof(id), "moecast-node-%d", node);
	setenv("NCCL_HOSTID", id, 1);
	setenv("NCCL_NET", "Socket", 1);
	setenv("NCCL_SOCKET_IFNAME", "lo", 1);
}

static enum status open_team(const struct team_link *link,
			     struct backend **out_p)
{
	struct backend *b = xcalloc(1, sizeof(*b));
	enum status st = team_open(link, &b->info, &b->team);

	if (st)
		free(b);
	else
		*out_p = b;
	return st;
}

/* Forks before this process touches CUDA. */
static enum status open_nodes(const struct backend_options *opt,
			      struct backend **out_p)
{
	struct team_link link;
	enum status st;

	if (opt->emulate_nodes > CUDA_RANKS_MAX)
		return err_set(ST_INPUT, "backend 'cuda' has at most %d ranks, "
			       "not %d nodes", CUDA_RANKS_MAX,
			       opt->emulate_nodes);
	st = team_fork(opt->emulate_nodes, &part, opt, become_node, &link);
	return st ? st : open_team(&link, out_p);
}

static enum status cuda_open(const struct backend_options *opt,
			     struct backend **out_p)
{
	static const struct team_place alone = { .members = 1, .hosts = 1 };

	if (opt->team)
		return open_team(opt->team, out_p);
	return opt->emulate_nodes > 1 ? open_nodes(opt, out_p)
				      : part_open(opt, &alone, out_p);
}

static void cuda_close(struct backend *b)
{
	if (!b || !b->team) {
		part_close(b);
		return;
	}
	team_close(b->team);
	free(b);
}

static enum status cuda_run(struct backend *b, int n, double *seconds,
			    double *beside_s)
{
	return b->team ? team_run(b->team, n, seconds, beside_s)
		       : part_run(b, n, seconds, beside_s);
}

static enum status cuda_check(struct backend *b, int64_t *wrong_p)
{
	return b->team ? team_check(b->team, wrong_p)
		       : part_check(b, wrong_p);
}

static void cuda_release(struct backend *b)
{
	if (b->team)
		team_release(b->team);
	else
		part_release(b);
}

static enum status cuda_layer_prepare(struct backend *b,
				      const struct layer_case *c)
{
	ncclUniqueId id;
	enum status st;

	if (b->team)
		return team_layer_prepare(b->team, c);
	st = cuda_part_layer_id(b, &id);
	return st ? st : cuda_part_layer_prepare(b, c, &id);
}

static enum status cuda_layer_run(struct backend *b, int n, double *forward_s,
				  double *step_s)
{
	return b->team ? team_layer_run(b->team, n, forward_s, step_s)
			: cuda_part_layer_run(b, n, forward_s, step_s);
}

static enum status cuda_layer_check(struct backend *b,
				    struct layer_check *out)
{
	return b->team ? team_layer_check(b->team, out)
			: cuda_part_layer_check(b, out);
}

static void cuda_layer_release(struct backend *b)
{
	if (b->team)
		team_layer_release(b->team);
	else
		cuda_part_layer_release(b);
}

static void cuda_abort(struct backend *b)
{
	if (b->team)
		team_kill(b->team);
}

const struct backend_ops backend_cuda = {
	.name = "cuda",
	.open = cuda_open,
	.close = cuda_close,
	.info = cuda_info,
	.tier_env = cuda_tier_env,
	.emulated_tier = "socket",
	.can = cuda_can,
	.prepare = cuda_prepare,
	.run = cuda_run,
	.check = cuda_check,
	.release = cuda_release,
	.layer_prepare = cuda_layer_prepare,
	.layer_run = cuda_layer_run,
	.layer_check = cuda_layer_check,
	.layer_release = cuda_layer_release,
	.abort = cuda_abort,
	.part = &part,
};
