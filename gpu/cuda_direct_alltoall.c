/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/cuda_direct_alltoall.h"

#include "gpu/cuda.h"
#include "gpu/cuda_direct_int.h"

/*
 * An all-to-all by size of a rank's block for each other: microseconds of
 * `bench_gpu alltoall`, 2 x H200 over 18 NVLinks, graph to 4 MB:
 *
 *	block	  32K 128K 512K   2M    8M   32M  128M  512M
 *	16 CTAs	  6.4  7.0  8.1 12.6  35.6 112.9 415.8  1625
 *	128 CTAs  6.4  7.1  8.8 13.2  33.9 104.0 381.1  1499
 *	bulk, 64  7.8  9.1 10.2 14.7  35.9 109.2 397.7  1553
 *	engines	 25.8 25.7 26.9 30.2  42.1 115.4 373.4  1403
 *	NCCL	  7.7  7.9 12.4 19.4  50.0 137.1 473.2  1620
 */
#define FEW_BYTES (4ull << 20)		/* to here few CTAs, */
#define STORE_BYTES (96ull << 20)	/* to here many, then engines */
#define FEW_CTAS 16
#define STORE_CTAS 128
#define STORE_CTA_BYTES 8192	/* of a block that one CTA moves at once */
#define BULK_CTA_BYTES 65536
#define BULK_CTAS 64

static enum status open_engines(struct cuda_direct *d)
{
	enum status st = ST_OK;
	int i;

	if (!d->fork)
		CUDA_GOTO(out, st, cudaEventCreateWithFlags(
			&d->fork, cudaEventDisableTiming));
	for (i = 0; i < d->g.ranks; i++) {
		if (d->join[i])
			continue;
		CUDA_GOTO(out, st, cudaEventCreateWithFlags(
			&d->join[i], cudaEventDisableTiming));
		CUDA_GOTO(out, st, cudaStreamCreateWithFlags(
			&d->side[i], cudaStreamNonBlocking));
	}
out:
	return st;
}

/* Copies of all blocks at once, each on a stream; barriers around them. */
static enum status by_engines(struct cuda_direct *d, uint64_t send,
			      uint64_t receive, uint64_t bytes, int channel,
			      cudaStream_t s)
{
	uint64_t own = (uint64_t)d->g.rank;
	enum status st = open_engines(d);
	int i, p;

	if (!st)
		st = cuda_direct_barrier(d, channel, s);
	if (st)
		return st;
	CUDA_GOTO(out, st, cudaEventRecord(d->fork, s));
	for (i = 1; i <= d->g.ranks; i++) {
		p = (d->g.rank + i) % d->g.ranks;
		CUDA_GOTO(out, st, cudaStreamWaitEvent(d->side[p], d->fork, 0));
		CUDA_GOTO(out, st, cudaMemcpyAsync(
			d->k.window[p] + receive + own * bytes,
			d->k.window[own] + send + (uint64_t)p * bytes, bytes,
			cudaMemcpyDefault, d->side[p]));
		CUDA_GOTO(out, st, cudaEventRecord(d->join[p], d->side[p]));
		CUDA_GOTO(out, st, cudaStreamWaitEvent(s, d->join[p], 0));
	}
	st = cuda_direct_barrier(d, channel, s);
out:
	return st;
}

/* At most `most`, no more than it takes to give each `unit` bytes. */
static int ctas_for(const struct cuda_direct *d, uint64_t bytes,
		    uint64_t unit, int most)
{
	uint64_t n = (bytes + unit - 1) / unit;

	if (d->ctas)
		most = d->ctas;
	if (most > K_DIRECT_BLOCKS)
		most = K_DIRECT_BLOCKS;
	return n < 1 ? 1 : n > (uint64_t)most ? most : (int)n;
}

enum status cuda_direct_alltoall(struct cuda_direct *d, uint64_t send,
				 uint64_t receive, uint64_t bytes,
				 enum direct_way way, int channel,
				 cudaStream_t s)
{
	bool bulk = way == DIRECT_BULK && d->has_bulk;
	int ctas;

	if (bytes % 16)
		return err_set(ST_INPUT, "blocks of %llu bytes: the direct "
			       "exchange wants multiples of 16",
			       (unsigned long long)bytes);
	if (way == DIRECT_ENGINE || (way == DIRECT_AUTO && !d->ctas &&
				     bytes > STORE_BYTES))
		return by_engines(d, send, receive, bytes, channel, s);
	ctas = bulk ? ctas_for(d, bytes, BULK_CTA_BYTES, BULK_CTAS)
		    : ctas_for(d, bytes, STORE_CTA_BYTES,
			       bytes > FEW_BYTES ? STORE_CTAS : FEW_CTAS);
	return cuda_status(k_direct_alltoall(&d->k, send, receive, bytes,
					     ctas, bulk, s),
			   "k_direct_alltoall()");
}
