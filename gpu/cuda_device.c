/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/k.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAKE_LOOKS 50	/* of 2 ms each */

extern char **environ;

/* "cudaMalloc: out of memory": the call without its arguments. */
static enum status failed(const char *call, const char *what)
{
	return err_set(ST_FAIL, "%.*s: %s", (int)strcspn(call, "("), call,
		       what);
}

enum status cuda_status(cudaError_t rc, const char *call)
{
	if (rc == cudaSuccess)
		return ST_OK;
	(void)cudaGetLastError();	/* or the next call reports it again */
	return failed(call, cudaGetErrorString(rc));
}

enum status cuda_status_nccl(ncclResult_t rc, const char *call)
{
	const char *more;

	if (rc == ncclSuccess)
		return ST_OK;
	more = ncclGetLastError(NULL);
	if (!more || !*more)
		return failed(call, ncclGetErrorString(rc));
	return err_set(ST_FAIL, "%.*s: %s: %s", (int)strcspn(call, "("), call,
		       ncclGetErrorString(rc), more);
}

enum status cuda_status_blas(cublasStatus_t rc, const char *call)
{
	return rc == CUBLAS_STATUS_SUCCESS ? ST_OK
		: failed(call, cublasGetStatusString(rc));
}

static enum status open_streams(struct cuda_rank *r)
{
	int low, high, i;
	enum status st;

	/* an exchange beside a product gets the SMs that become free first */
	CUDA_GOTO(out, st, cudaDeviceGetStreamPriorityRange(&low, &high));
	CUDA_GOTO(out, st, cudaStreamCreateWithPriority(
		&r->main, cudaStreamNonBlocking, low));
	CUDA_GOTO(out, st, cudaStreamCreateWithPriority(
		&r->beside, cudaStreamNonBlocking, high));
	CUDA_GOTO(out, st, cudaEventCreateWithFlags(&r->fork,
						    cudaEventDisableTiming));
	for (i = 0; i < CUDA_SIDE_STREAMS; i++) {
		CUDA_GOTO(out, st, cudaStreamCreateWithPriority(
			&r->side[i], cudaStreamNonBlocking, low));
		CUDA_GOTO(out, st, cudaEventCreateWithFlags(
			&r->join[i], cudaEventDisableTiming));
	}
out:
	return st;
}

/* One look at the clock: some milliseconds of work. */
static enum status look_at_clock(struct cuda_rank *r)
{
	unsigned long long seen[2] = { 0, 1 };
	enum status st;

	CUDA_GOTO(out, st, k_clock(r->counter, r->main));
	CUDA_GOTO(out, st, cudaMemcpyAsync(seen, r->counter, sizeof(seen),
					   cudaMemcpyDeviceToHost, r->main));
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
	r->sm_mhz = 1e3 * (double)seen[0] / (double)seen[1];
out:
	return st;
}

/* An idle GPU's clocks are low and take a while to rise; the first case
 * should not pay for that. */
static enum status wake(struct cuda_rank *r)
{
	enum status st = ST_OK;
	int i;

	for (i = 0; i < WAKE_LOOKS && !st; i++)
		st = look_at_clock(r);
	return st;
}

enum status cuda_rank_open(struct cuda_rank *r)
{
	size_t free_bytes, total;
	int l2;
	enum status st;

	CUDA_GOTO(out, st, cudaSetDevice(r->device));
	st = open_streams(r);
	if (st)
		goto out;
	CUDA_GOTO(out, st, cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize,
						  r->device));
	CUDA_GOTO(out, st, cudaDeviceGetAttribute(
		&r->sms, cudaDevAttrMultiProcessorCount, r->device));
	CUDA_GOTO(out, st, cudaMalloc((void **)&r->counter,
				      2 * sizeof(*r->counter)));
	CUDA_GOTO(out, st, cudaMalloc(&r->lt_workspace, CUDA_SIDE_STREAMS *
				      (size_t)CUDA_LT_WORKSPACE_BYTES));
	BLAS_GOTO(out, st, cublasCreate(&r->blas));
	BLAS_GOTO(out, st, cublasLtCreate(&r->lt));
	CUDA_GOTO(out, st, cudaMemGetInfo(&free_bytes, &total));
	r->l2_bytes = (uint64_t)l2;
	r->free_bytes = free_bytes;
	st = wake(r);
out:
	return st;
}

static void close_comms(struct cuda_rank *r, bool is_sound)
{
	int i;

	for (i = 0; i < r->n_comms; i++) {
		if (is_sound)
			ncclCommDestroy(r->comm[i].comm);
		else
			ncclCommAbort(r->comm[i].comm);
	}
	r->n_comms = 0;
}

static void close_streams(struct cuda_rank *r)
{
	int i;

	for (i = 0; i < CUDA_SIDE_STREAMS; i++) {
		if (r->join[i])
			cudaEventDestroy(r->join[i]);
		if (r->side[i])
			cudaStreamDestroy(r->side[i]);
	}
	if (r->fork)
		cudaEventDestroy(r->fork);
	if (r->beside)
		cudaStreamDestroy(r->beside);
	if (r->main)
		cudaStreamDestroy(r->main);
}

void cuda_rank_close(struct cuda_rank *r, bool is_sound)
{
	close_comms(r, is_sound);
	cuda_ffn_close_kept(&r->ffn);
	while (r->n_events > 0)
		cudaEventDestroy(r->event[--r->n_events]);
	if (r->lt)
		cublasLtDestroy(r->lt);
	if (r->blas)
		cublasDestroy(r->blas);
	cudaFree(r->arena);
	cudaFree(r->lt_workspace);
	cudaFree(r->counter);
	close_streams(r);
	free(r->event);
	free(r->seconds);
	free(r->beside_s);
}

/* The kernel driver's version; CUDA's own number for it when that is
 * nowhere to be read. */
static void driver_version(char *out, size_t size)
{
	FILE *f = fopen("/sys/module/nvidia/version", "re");
	int version = 0;

	if (f && fgets(out, (int)size, f) && *out > ' ') {
		out[strcspn(out, "\n")] = '\0';
	} else {
		cudaDriverGetVersion(&version);
		snprintf(out, size, "for CUDA %d.%d", version / 1000,
			 version % 1000 / 10);
	}
	if (f)
		fclose(f);
}

/* Does it say where things are or what is installed, not what to do? */
static bool is_place(const char *variable)
{
	static const char *const ends[] = { "_HOME", "_PATH", "_VERSION" };
	size_t name = strcspn(variable, "="), i, n;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		n = strlen(ends[i]);
		if (name >= n && !strncmp(variable + name - n, ends[i], n))
			return true;
	}
	return false;
}

/* NCCL_* and CUDA_* that are set, "A=1 B=2". */
static void environment(char *out, size_t size)
{
	size_t at = 0;
	char **e;

	*out = '\0';
	for (e = environ; *e && at + 1 < size; e++) {
		if ((strncmp(*e, "NCCL_", 5) && strncmp(*e, "CUDA_", 5)) ||
		    is_place(*e))
			continue;
		at += (size_t)snprintf(out + at, size - at, "%s%s",
				       at ? " " : "", *e);
	}
}

static void versions(struct run_info *run)
{
	int cuda = 0, nccl = 0;

	cudaRuntimeGetVersion(&cuda);
	ncclGetVersion(&nccl);
	snprintf(run->cuda, sizeof(run->cuda), "%d.%d", cuda / 1000,
		 cuda % 1000 / 10);
	/* since 2.9: major * 10000 + minor * 100 + patch */
	snprintf(run->nccl, sizeof(run->nccl), "%d.%d.%d", nccl / 10000,
		 nccl % 10000 / 100, nccl % 100);
	driver_version(run->driver, sizeof(run->driver));
}

void cuda_describe(struct backend *b)
{
	struct run_info *run = &b->info.run;
	struct cudaDeviceProp prop;
	int core = 0, memory = 0;

	snprintf(run->backend, sizeof(run->backend), "cuda");
	if (cudaGetDeviceProperties(&prop, 0) == cudaSuccess)
		snprintf(run->gpu, sizeof(run->gpu), "%.63s", prop.name);
	run->gpus = b->info.ranks;
	versions(run);
	environment(run->environment, sizeof(run->environment));
	cudaDeviceGetAttribute(&core, cudaDevAttrClockRate, 0);
	cudaDeviceGetAttribute(&memory, cudaDevAttrMemoryClockRate, 0);
	snprintf(run->clocks, sizeof(run->clocks),
		 "sm %.0f MHz seen, up to %d MHz, memory %d MHz",
		 b->rank[0].sm_mhz, core / 1000, memory / 1000);
}
