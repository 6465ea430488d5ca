/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/cuda_direct_int.h"

#include "base/mem.h"
#include "gpu/cuda.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPERTS_MAX FFN_EXPERTS_MAX	/* of a group */
#define K_MAX 32			/* a lane for each of a token's experts */
#define ROW_UNIT 16			/* bytes that kernels move */
#define NS_PER_S 1e9
#define HOST_NAME 64

/* What the ranks tell each other. */
struct card {
	char host[HOST_NAME];
	int64_t pid;
	int device;
	void *window, *ctl;
	cudaIpcMemHandle_t window_handle, ctl_handle;
};

static enum status make_card(struct cuda_direct *d, void *window,
			     struct card *c)
{
	enum status st;

	memset(c, 0, sizeof(*c));
	gethostname(c->host, HOST_NAME - 1);
	c->pid = getpid();
	c->window = window;
	c->ctl = d->k.ctl[d->g.rank];
	CUDA_GOTO(out, st, cudaGetDevice(&c->device));
	/* that they cannot be had matters only to other processes, which
	 * then cannot open them */
	if (cudaIpcGetMemHandle(&c->window_handle, window) != cudaSuccess ||
	    cudaIpcGetMemHandle(&c->ctl_handle, c->ctl) != cudaSuccess)
		(void)cudaGetLastError();
out:
	return st;
}

/* Another rank of this process. */
static enum status reach_thread(struct cuda_direct *d, const struct card *own,
				const struct card *c, int p)
{
	int can = own->device == c->device;
	cudaError_t rc;

	if (!can && (cudaDeviceCanAccessPeer(&can, own->device, c->device) !=
		     cudaSuccess || !can))
		return err_set(ST_UNAVAILABLE, "device %d cannot reach the "
			       "memory of device %d", own->device, c->device);
	if (own->device != c->device) {
		rc = cudaDeviceEnablePeerAccess(c->device, 0);
		if (rc != cudaSuccess &&
		    rc != cudaErrorPeerAccessAlreadyEnabled)
			return cuda_status(rc, "cudaDeviceEnablePeerAccess()");
		(void)cudaGetLastError();
	}
	d->k.window[p] = c->window;
	d->k.ctl[p] = c->ctl;
	return ST_OK;
}

static enum status map(struct cuda_direct *d, cudaIpcMemHandle_t handle,
		       void **out_p)
{
	cudaError_t rc = cudaIpcOpenMemHandle(
		out_p, handle, cudaIpcMemLazyEnablePeerAccess);

	if (rc != cudaSuccess) {
		(void)cudaGetLastError();
		return err_set(ST_UNAVAILABLE, "the memory of another process "
			       "cannot be reached: %s",
			       cudaGetErrorString(rc));
	}
	d->mapped[d->n_mapped++] = *out_p;
	return ST_OK;
}

static enum status reach(struct cuda_direct *d, const struct card *own,
			 const struct card *c, int p)
{
	void *window, *ctl;
	enum status st;

	if (p == d->g.rank) {
		d->k.window[p] = own->window;
		return ST_OK;
	}
	if (strcmp(own->host, c->host))
		return err_set(ST_UNAVAILABLE, "rank %d is on another host",
			       p);
	if (own->pid == c->pid)
		return reach_thread(d, own, c, p);
	st = map(d, c->window_handle, &window);
	if (!st)
		st = map(d, c->ctl_handle, &ctl);
	if (st)
		return st;
	d->k.window[p] = window;
	d->k.ctl[p] = ctl;
	return ST_OK;
}

/* Every rank, or none. */
static enum status reach_all(struct cuda_direct *d, void *window)
{
	int n = d->g.ranks, p, fine, *all = xcalloc((size_t)n, sizeof(*all));
	struct card own, *cards = xcalloc((size_t)n, sizeof(*cards));
	enum status st = make_card(d, window, &own), st_all;

	if (!st)
		st = d->g.gather(d->g.arg, &own, sizeof(own), cards);
	if (st)
		goto out;	/* nobody can go on */
	for (p = 0; p < n && !st; p++)
		st = reach(d, &own, &cards[p], p);
	fine = !st;
	st_all = d->g.gather(d->g.arg, &fine, sizeof(fine), all);
	for (p = 0; p < n && !st; p++) {
		if (st_all)
			st = st_all;
		else if (!all[p])
			st = err_set(ST_UNAVAILABLE, "rank %d cannot reach the "
				     "memory of all others", p);
	}
out:
	free(cards);
	free(all);
	return st;
}

static enum status open_memory(struct cuda_direct *d)
{
	size_t counts = (size_t)DIRECT_CHANNELS * (size_t)d->g.ranks *
			EXPERTS_MAX * sizeof(int32_t);
	struct k_direct_ctl *ctl;
	enum status st;
	int i;

	CUDA_GOTO(out, st, cudaMalloc((void **)&ctl, sizeof(*ctl)));
	d->k.ctl[d->g.rank] = ctl;
	CUDA_GOTO(out, st, cudaMemset(ctl, 0, sizeof(*ctl)));
	CUDA_GOTO(out, st, cudaHostAlloc((void **)&d->error,
					 sizeof(*d->error),
					 cudaHostAllocMapped));
	*d->error = 0;
	CUDA_GOTO(out, st, cudaHostGetDevicePointer((void **)&d->k.error,
						    d->error, 0));
	CUDA_GOTO(out, st, cudaHostAlloc((void **)&d->counts, counts,
					 cudaHostAllocMapped));
	memset(d->counts, 0, counts);
	CUDA_GOTO(out, st, cudaHostGetDevicePointer((void **)&d->counts_dev,
						    d->counts, 0));
	for (i = 0; i < DIRECT_CHANNELS; i++)
		CUDA_GOTO(out, st, cudaEventCreateWithFlags(
			&d->counted[i], cudaEventDisableTiming));
	CUDA_GOTO(out, st, cudaDeviceSynchronize());
out:
	return st;
}

/* A kernel that is loaded while another waits for a peer may wait for it. */
static enum status load_kernels(struct cuda_direct *d)
{
	int device, major;
	enum status st;

	CUDA_GOTO(out, st, cudaGetDevice(&device));
	CUDA_GOTO(out, st, cudaDeviceGetAttribute(
		&major, cudaDevAttrComputeCapabilityMajor, device));
	d->has_bulk = major >= 9;
	CUDA_GOTO(out, st, k_direct_load());
	CUDA_GOTO(out, st, k_direct_load_cells());
	CUDA_GOTO(out, st, k_direct_load_sums());
	if (d->has_bulk) {
		CUDA_GOTO(out, st, k_direct_load_rows());
		CUDA_GOTO(out, st, k_direct_load_copy());
	}
out:
	return st;
}

enum status cuda_direct_open(const struct direct_group *g, void *window,
			     struct cuda_direct **out_p)
{
	double timeout_s = g->timeout_s > 0 ? g->timeout_s : DIRECT_TIMEOUT_S;
	struct cuda_direct *d;
	enum status st;

	if (g->ranks < 1 || g->ranks > DIRECT_RANKS_MAX)
		return err_set(ST_INPUT, "a direct exchange of %d ranks, not "
			       "1 to %d", g->ranks, DIRECT_RANKS_MAX);
	d = xcalloc(1, sizeof(*d));
	d->g = *g;
	d->k.rank = g->rank;
	d->k.ranks = g->ranks;
	d->k.timeout_ns = (uint64_t)(timeout_s * NS_PER_S);
	st = open_memory(d);
	if (!st)
		st = load_kernels(d);
	if (!st)
		st = reach_all(d, window);
	if (st) {
		cuda_direct_close(d, false);
		return st;
	}
	*out_p = d;
	return ST_OK;
}

static void close_engines(struct cuda_direct *d)
{
	int i;

	for (i = 0; i < DIRECT_RANKS_MAX; i++) {
		if (d->join[i])
			cudaEventDestroy(d->join[i]);
		if (d->side[i])
			cudaStreamDestroy(d->side[i]);
	}
	if (d->fork)
		cudaEventDestroy(d->fork);
}

void cuda_direct_close(struct cuda_direct *d, bool is_sound)
{
	int i, mine = 0, *all;

	if (!d)
		return;
	while (d->n_mapped > 0)
		cudaIpcCloseMemHandle(d->mapped[--d->n_mapped]);
	if (is_sound) {
		/* nobody frees what another may still map */
		all = xcalloc((size_t)d->g.ranks, sizeof(*all));
		(void)d->g.gather(d->g.arg, &mine, sizeof(mine), all);
		free(all);
	}
	close_engines(d);
	for (i = 0; i < DIRECT_CHANNELS; i++) {
		if (d->counted[i])
			cudaEventDestroy(d->counted[i]);
	}
	cudaFree(d->k.ctl[d->g.rank]);
	cudaFreeHost(d->error);
	cudaFreeHost(d->counts);
	free(d);
}

enum status cuda_direct_error(struct cuda_direct *d)
{
	uint32_t word = *(volatile uint32_t *)d->error;
	int detail = (int)(word & 0xffff);

	switch (word >> 16) {
	case K_DIRECT_FINE:
		return ST_OK;
	case K_DIRECT_SILENT:
		return err_set(ST_FAIL, "rank %d: no answer from rank %d "
			       "within %g s", d->g.rank, detail,
			       (double)d->k.timeout_ns / NS_PER_S);
	default:
		return err_set(ST_FAIL, "rank %d: expert %d has more rows than "
			       "its buffer", d->g.rank, detail);
	}
}

void cuda_direct_limit(struct cuda_direct *d, int ctas)
{
	d->ctas = ctas > 0 ? ctas : 0;
}

uint64_t cuda_direct_slot_bytes(const struct direct_route *r, int ranks)
{
	uint64_t here = (uint64_t)(r->experts / ranks);

	return 2 * ((uint64_t)ranks + 1) * here * sizeof(int32_t);
}

enum status direct_check(const struct cuda_direct *d,
			 const struct direct_route *r)
{
	if (r->experts < 1 || r->experts > EXPERTS_MAX ||
	    r->experts % d->g.ranks)
		return err_set(ST_INPUT, "%d experts over %d ranks: the direct "
			       "exchange wants equal shares of at most %d",
			       r->experts, d->g.ranks, EXPERTS_MAX);
	if (r->k < 1 || r->k > K_MAX || r->tokens < 0)
		return err_set(ST_INPUT, "%d experts of each of %d tokens: "
			       "the direct exchange takes 1 to %d", r->k,
			       r->tokens, K_MAX);
	return ST_OK;
}

static int32_t *counts_of(const struct cuda_direct *d, int32_t *base,
			  int channel)
{
	return base + (size_t)channel * (size_t)d->g.ranks * EXPERTS_MAX;
}

static struct k_direct_route kernel_route(const struct cuda_direct *d,
					  const struct direct_route *r,
					  int channel)
{
	return (struct k_direct_route){
		.tokens = r->tokens, .k = r->k, .experts = r->experts,
		.stride = r->stride, .capacity = r->capacity,
		.rows_max = r->rows_max, .ids = r->ids, .pos = r->pos,
		.weights = r->weights, .counts = r->counts,
		.place = r->place, .slot = r->slot, .kept = r->kept,
		.tail = r->tail ? r->tail : r->slot + 2 * r->experts,
		.row_weight = r->row_weight,
		.host_counts = counts_of(d, d->counts_dev, channel)
	};
}

enum status cuda_direct_route(struct cuda_direct *d,
			      const struct direct_route *r, int channel,
			      cudaStream_t s)
{
	struct k_direct_route k = kernel_route(d, r, channel);
	enum status st = direct_check(d, r);

	if (st)
		return st;
	CUDA_GOTO(out, st, k_direct_counts(&d->k, &k, channel, s));
	CUDA_GOTO(out, st, cudaEventRecord(d->counted[channel], s));
	CUDA_GOTO(out, st, k_direct_place(&d->k, &k, s));
out:
	return st;
}

enum status cuda_direct_counts(struct cuda_direct *d,
			       const struct direct_route *r, int channel,
			       cudaStream_t s, const int32_t **matrix_p)
{
	enum status st;

	(void)r;
	(void)s;
	CUDA_GOTO(out, st, cudaEventSynchronize(d->counted[channel]));
	st = cuda_direct_error(d);
	*matrix_p = counts_of(d, d->counts, channel);
out:
	return st;
}

enum status cuda_direct_barrier(struct cuda_direct *d, int channel,
				cudaStream_t s)
{
	return cuda_status(k_direct_barrier(&d->k, channel, s),
			   "k_direct_barrier()");
}

static enum status check_row(uint64_t row_bytes)
{
	return !(row_bytes % ROW_UNIT) ? ST_OK :
		err_set(ST_INPUT, "rows of %llu bytes: the direct exchange "
			"wants multiples of %d", (unsigned long long)row_bytes,
			ROW_UNIT);
}

enum status cuda_direct_dispatch(struct cuda_direct *d,
				 const struct direct_route *r, uint64_t from,
				 uint64_t row_bytes, void *to, cudaStream_t s)
{
	struct k_direct_route k = kernel_route(d, r, 0);
	enum status st = check_row(row_bytes);

	return st ? st : cuda_status(
		k_direct_dispatch(&d->k, &k, from, row_bytes, to, d->ctas,
				  d->has_bulk, s), "k_direct_dispatch()");
}

static struct k_direct_sums kernel_sums(const struct direct_combine *c)
{
	return (struct k_direct_sums){
		.rows = c->rows,
		.row_bytes = (uint64_t)c->columns * (c->bf16 ? 2 : 4),
		.bf16 = c->bf16, .stage = c->stage, .out = c->out,
		.pair = c->pair, .out_pair = c->out_pair,
		.add = c->add, .is_marked = c->is_marked,
		.chunks = c->chunks ? c->chunks : 1,
		.place_step = c->place_step, .stage_step = c->stage_step,
		.row_base = c->row_base
	};
}

enum status cuda_direct_send_sums(struct cuda_direct *d,
				  const struct direct_route *r,
				  const struct direct_combine *c,
				  cudaStream_t s)
{
	struct k_direct_route k = kernel_route(d, r, 0);
	struct k_direct_sums sums = kernel_sums(c);
	enum status st = check_row(sums.row_bytes);

	return st ? st : cuda_status(
		k_direct_send_sums(&d->k, &k, &sums, d->ctas, s),
		"k_direct_send_sums()");
}

enum status cuda_direct_add_sums(struct cuda_direct *d,
				 const struct direct_route *r,
				 const struct direct_combine *c,
				 cudaStream_t s)
{
	struct k_direct_route k = kernel_route(d, r, 0);
	struct k_direct_sums sums = kernel_sums(c);

	return cuda_status(k_direct_add_sums(&d->k, &k, &sums, d->ctas, s),
			   "k_direct_add_sums()");
}

enum status cuda_direct_combine(struct cuda_direct *d,
				const struct direct_route *r,
				const struct direct_combine *c, int channel,
				cudaStream_t s)
{
	enum status st = cuda_direct_send_sums(d, r, c, s);

	if (!st)
		st = cuda_direct_barrier(d, channel, s);
	return st ? st : cuda_direct_add_sums(d, r, c, s);
}
