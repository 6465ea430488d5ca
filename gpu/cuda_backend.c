/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/ref.h"

#include <stdlib.h>
#include <string.h>

/* Of the free memory, for the buffers of a case. */
#define MEMORY_SHARE 0.9
#define ALIGN 256ull	/* of buffers; what cudaMalloc gives */
/* Sets of buffers: together more than the L2 cache, by this much. */
#define CACHE_TIMES 2
#define SETS_MAX 16
#define POISON 0xff	/* bytes; a NaN in either type, a negative id */
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

static enum status check_options(const struct backend_options *opt, int *n_p)
{
	cudaError_t rc = cudaGetDeviceCount(n_p);

	if (rc != cudaSuccess || *n_p < 1) {
		(void)cudaGetLastError();
		return err_set(ST_UNAVAILABLE, "backend 'cuda': no device (%s)",
			       rc == cudaSuccess ? "none is visible"
						 : cudaGetErrorString(rc));
	}
	if (opt->emulate_nodes)
		return err_set(ST_INPUT, "backend 'cuda' does not emulate "
			       "nodes inside one process");
	if (opt->ranks > *n_p)
		return err_set(ST_UNAVAILABLE, "backend 'cuda': %d ranks, but "
			       "only %d devices", opt->ranks, *n_p);
	if (opt->ranks)
		*n_p = opt->ranks;
	if (*n_p > CUDA_RANKS_MAX)
		*n_p = CUDA_RANKS_MAX;
	return ST_OK;
}

static enum status open_rank(void *arg, int rank)
{
	struct backend *b = arg;

	b->rank[rank].rank = b->rank[rank].device = rank;
	return cuda_rank_open(&b->rank[rank]);
}

static enum status close_rank(void *arg, int rank)
{
	struct backend *b = arg;

	cudaSetDevice(rank);
	cuda_rank_close(&b->rank[rank], true);
	return ST_OK;
}

static void fill_info(struct backend *b, int n)
{
	const char *tier = tier_here(n);
	uint64_t least = b->rank[0].free_bytes;
	int i;

	for (i = 1; i < n; i++) {
		if (b->rank[i].free_bytes < least)
			least = b->rank[i].free_bytes;
	}
	b->info.ranks = n;
	b->info.nodes = 1;
	b->info.max_bytes = (uint64_t)((double)least * MEMORY_SHARE);
	if (tier)
		b->info.tier[b->info.n_tiers++] = tier;
	cuda_describe(b);
}

static void cuda_close(struct backend *b)
{
	int i;

	if (!b)
		return;
	/* threads of a run that failed do nothing more: from here, then */
	if (ranks_call(b->ranks, close_rank, b)) {
		for (i = 0; i < ranks_count(b->ranks); i++) {
			cudaSetDevice(i);
			cuda_rank_close(&b->rank[i], false);
		}
	}
	ranks_stop(b->ranks);
	free(b->rank);
	free(b);
}

static enum status cuda_open(const struct backend_options *opt,
			     struct backend **out_p)
{
	struct backend *b;
	enum status st;
	int n = 0;

	/* NVLink multicast stays off, before NCCL looks: what goes wrong
	 * with it can take a host's GPUs from everyone on it */
	setenv("NCCL_NVLS_ENABLE", "0", 1);
	st = check_options(opt, &n);
	if (st)
		return st;
	b = xcalloc(1, sizeof(*b));
	b->options = *opt;
	b->rank = xcalloc((size_t)n, sizeof(*b->rank));
	st = ranks_start(n, &b->ranks);
	if (st) {
		free(b->rank);
		free(b);
		return st;
	}
	st = ranks_call(b->ranks, open_rank, b);
	if (st) {
		cuda_close(b);
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

static const struct cuda_op *find_op(const struct bench_work *w)
{
	static const struct cuda_op *const table[] = {
		cuda_exchanges, cuda_products, cuda_kernels
	};
	const struct cuda_op *op;
	size_t t;
	int i;

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
	const struct cuda_op *op = find_op(w);

	if (!op || !work_element_bytes(w->dtype))
		return false;
	if (op->is_fp32_only && cuda_is_bf16(w))
		return false;
	if (sample_op_is_exchange(w->op))
		return b->info.n_tiers && !strcmp(c->tier, b->info.tier[0]);
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

static void lay_out(struct cuda_rank *r, struct cuda_work *w, uint64_t room)
{
	uint64_t want;
	int i;

	w->op->sizes(&w->c, r->rank, w->size);
	w->set_bytes = 0;
	for (i = 0; i < CUDA_BUFFERS; i++) {
		w->offset[i] = w->set_bytes;
		w->set_bytes += (w->size[i] + ALIGN - 1) / ALIGN * ALIGN;
	}
	want = !w->op->rotates ? 1
		: (CACHE_TIMES * r->l2_bytes + w->set_bytes - 1) / w->set_bytes;
	if (want > SETS_MAX)
		want = SETS_MAX;
	if (want > room / w->set_bytes)
		want = room / w->set_bytes;
	w->n_sets = want < 1 ? 1 : (int)want;
}

static enum status grow_arena(struct cuda_rank *r, uint64_t need)
{
	enum status st;

	if (need <= r->arena_bytes)
		return ST_OK;
	CUDA_GOTO(out, st, cudaFree(r->arena));
	r->arena = NULL;
	r->arena_bytes = 0;
	CUDA_GOTO(out, st, cudaMalloc((void **)&r->arena, need));
	r->arena_bytes = need;
out:
	return st;
}

static enum status fill_work(struct cuda_rank *r, struct cuda_work *w)
{
	enum status st;
	int set;

	CUDA_GOTO(out, st, cudaMemsetAsync(w->base, POISON,
					   w->set_bytes * (uint64_t)w->n_sets,
					   r->main));
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
	if (w->op->plan)
		st = w->op->plan(r, w);
	for (set = 0; set < w->n_sets && !st; set++)
		st = w->op->fill(r, w, set);
	if (!st)
		CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
out:
	return st;
}

struct prepare_call {
	struct backend *b;
	const struct bench_case *c;
	ncclUniqueId id[2];	/* of the main work, of the other */
};

static enum status make_comm(struct prepare_call *p, struct cuda_rank *r,
			     const struct bench_work *w,
			     const ncclUniqueId *id)
{
	if (!sample_op_is_exchange(w->op) || !cuda_comm_need(r, w->ctas))
		return ST_OK;
	return cuda_comm_make(r, p->c->ranks, w->ctas, id);
}

static void set_work(struct cuda_rank *r, struct cuda_work *w,
		     const struct bench_case *c, uint64_t room)
{
	*w = (struct cuda_work){ .c = *c, .op = find_op(&c->work) };
	if (w->op)
		lay_out(r, w, room);
}

/*
 * Beside an exchange with a limit on CTAs a product leaves as many
 * multiprocessors free: its kernels stay until they are done, and an exchange
 * that finds none free waits for the whole product. Without a limit it is
 * measured as it comes.
 */
static int leave_room(const struct cuda_rank *r, const struct bench_case *c)
{
	int ctas = c->beside.ctas + c->work.ctas;

	return *c->beside.op && ctas && ctas < r->sms ? r->sms - ctas : 0;
}

static uint64_t work_bytes(const struct cuda_work *w)
{
	return w->set_bytes * (uint64_t)w->n_sets;
}

static enum status prepare_rank(void *arg, int rank)
{
	struct prepare_call *p = arg;
	struct cuda_rank *r = &p->b->rank[rank];
	struct bench_case other = ref_beside(p->c);
	enum status st;

	CUDA_GOTO(out, st, cudaSetDevice(r->device));
	set_work(r, &r->work, p->c, p->b->info.max_bytes);
	set_work(r, &r->other, &other,
		 p->b->info.max_bytes - work_bytes(&r->work));
	st = make_comm(p, r, &p->c->work, &p->id[0]);
	if (!st)
		st = make_comm(p, r, &p->c->beside, &p->id[1]);
	if (!st)
		st = grow_arena(r, work_bytes(&r->work) +
				work_bytes(&r->other));
	if (st)
		goto out;
	r->sm_target = leave_room(r, p->c);
	r->work.base = r->arena;
	r->other.base = r->arena + work_bytes(&r->work);
	st = fill_work(r, &r->work);
	if (!st && r->other.op)
		st = fill_work(r, &r->other);
out:
	return st;
}

static void cuda_release(struct backend *b)
{
	int i;

	for (i = 0; i < b->info.ranks; i++) {
		cuda_product_free(b->rank[i].work.product);
		cuda_product_free(b->rank[i].other.product);
		b->rank[i].work = b->rank[i].other = (struct cuda_work){ 0 };
	}
}

static enum status cuda_prepare(struct backend *b, const struct bench_case *c)
{
	struct prepare_call p = { .b = b, .c = c };
	enum status st = ST_OK;

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
	if (b->info.n_tiers)
		st = cuda_comm_id(&p.id[0]);
	if (!st && b->info.n_tiers && *c->beside.op)
		st = cuda_comm_id(&p.id[1]);
	if (!st)
		st = ranks_call(b->ranks, prepare_rank, &p);
	if (st)
		cuda_release(b);
	return st;
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
static enum status cuda_run(struct backend *b, int n, double *seconds,
			    double *beside_s)
{
	struct run_call call = { b, n };
	enum status st = ranks_call(b->ranks, run_rank, &call);
	int i, j;

	if (st)
		return st;
	for (i = 0; i < n; i++) {
		seconds[i] = b->rank[0].seconds[i];
		for (j = 1; j < b->info.ranks; j++) {
			if (b->rank[j].seconds[i] > seconds[i])
				seconds[i] = b->rank[j].seconds[i];
		}
		if (!b->rank[0].other.op)
			continue;
		beside_s[i] = b->rank[0].beside_s[i];
		for (j = 1; j < b->info.ranks; j++) {
			if (b->rank[j].beside_s[i] > beside_s[i])
				beside_s[i] = b->rank[j].beside_s[i];
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

static enum status cuda_check(struct backend *b, int64_t *wrong_p)
{
	enum status st = ranks_call(b->ranks, check_rank, b);
	int64_t wrong = 0;
	int i;

	for (i = 0; i < b->info.ranks; i++)
		wrong += b->rank[i].wrong;
	if (!st)
		*wrong_p = wrong;
	return st;
}

const struct backend_ops backend_cuda = {
	.name = "cuda",
	.open = cuda_open,
	.close = cuda_close,
	.info = cuda_info,
	.tier_env = cuda_tier_env,
	.can = cuda_can,
	.prepare = cuda_prepare,
	.run = cuda_run,
	.check = cuda_check,
	.release = cuda_release,
};
