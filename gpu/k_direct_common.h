/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the kernels of the direct exchange share: flags, bulk copies. */
#ifndef GPU_K_DIRECT_COMMON_H
#define GPU_K_DIRECT_COMMON_H

#include "gpu/k_common.h"
#include "gpu/k_direct.h"

/* cp.async.bulk and mbarrier with a count of bytes: Hopper and later */
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define HAVE_BULK 1
#endif

static __device__ inline void store_release(uint64_t *p, uint64_t v)
{
	asm volatile("st.release.sys.global.u64 [%0], %1;"
		     : : "l"(p), "l"(v) : "memory");
}

static __device__ inline uint64_t load_acquire(const uint64_t *p)
{
	uint64_t v;

	asm volatile("ld.acquire.sys.global.u64 %0, [%1];"
		     : "=l"(v) : "l"(p) : "memory");
	return v;
}

static __device__ inline uint64_t now_ns(void)
{
	uint64_t t;

	asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
	return t;
}

static __device__ inline bool has_failed(const struct k_direct &d)
{
	return *(volatile uint32_t *)&d.ctl[d.rank]->failed != 0;
}

/* The first one stays. */
static __device__ inline void fail(const struct k_direct &d, int what,
				   int detail)
{
	if (!atomicExch(&d.ctl[d.rank]->failed, 1u)) {
		*(volatile uint32_t *)d.error =
			(uint32_t)what << 16 | (uint32_t)detail;
		__threadfence_system();
	}
}

/* Until rank p has written `seq` or more. */
static __device__ inline void await(const struct k_direct &d,
				    const uint64_t *flag, uint64_t seq, int p)
{
	uint64_t start = 0;

	while (load_acquire(flag) < seq) {
		if (!start) {
			start = now_ns();
		} else if (now_ns() - start > d.timeout_ns) {
			fail(d, K_DIRECT_SILENT, p);
			return;
		}
	}
}

/*
 * All threads of one block: what this rank did before is seen by every rank
 * after, and the reverse. `flags` are this block's in each ctl.
 */
#define MEET(d, flags, seq) do { \
	__syncthreads(); \
	if (threadIdx.x < (d).ranks) { \
		int p_ = threadIdx.x; \
		__threadfence_system(); \
		store_release(&(d).ctl[p_]->flags[(d).rank], (seq)); \
		await((d), &(d).ctl[(d).rank]->flags[p_], (seq), p_); \
	} \
	__syncthreads(); \
} while (0)

#ifdef HAVE_BULK
static __device__ inline uint32_t shared_of(const void *p)
{
	return (uint32_t)__cvta_generic_to_shared(p);
}

static __device__ inline void bar_init(uint64_t *bar)
{
	asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;"
		     : : "r"(shared_of(bar)) : "memory");
}

/* The barriers' initial state, before the copy engine sees them. */
static __device__ inline void bar_init_done(void)
{
	asm volatile("fence.mbarrier_init.release.cluster;" : : : "memory");
	asm volatile("fence.proxy.async.shared::cta;" : : : "memory");
}

static __device__ inline void bar_wait(uint64_t *bar, uint32_t parity)
{
	asm volatile("{\n"
		     ".reg .pred done;\n"
		     "again:\n"
		     "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
		     "@!done bra again;\n"
		     "}" : : "r"(shared_of(bar)), "r"(parity) : "memory");
}

/* Global to shared; arrives at `bar`. One thread; 16-byte multiples. */
static __device__ inline void bulk_load(void *to, const void *from,
					uint32_t bytes, uint64_t *bar)
{
	asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
		     : : "r"(shared_of(bar)), "r"(bytes) : "memory");
	asm volatile("cp.async.bulk.shared::cluster.global"
		     ".mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
		     : : "r"(shared_of(to)), "l"(from), "r"(bytes),
		     "r"(shared_of(bar)) : "memory");
}

static __device__ inline void bulk_store(void *to, const void *from,
					 uint32_t bytes)
{
	asm volatile("cp.async.bulk.global.shared::cta.bulk_group "
		     "[%0], [%1], %2;"
		     : : "l"(to), "r"(shared_of(from)), "r"(bytes) : "memory");
}

static __device__ inline void bulk_commit(void)
{
	asm volatile("cp.async.bulk.commit_group;" : : : "memory");
}

/* This thread's stores have read shared memory / are done. */
static __device__ inline void bulk_wait_read(void)
{
	asm volatile("cp.async.bulk.wait_group.read 0;" : : : "memory");
}

static __device__ inline void bulk_wait(void)
{
	asm volatile("cp.async.bulk.wait_group 0;" : : : "memory");
}
#endif

/* The places of a source's token: k of them. */
static __device__ inline const int32_t *places(const struct k_direct_route &r,
					       int source, uint64_t token)
{
	return r.place + ((uint64_t)source * r.tokens + token) * r.k;
}

static inline unsigned limited(unsigned grid, int ctas)
{
	return ctas > 0 && grid > (unsigned)ctas ? (unsigned)ctas : grid;
}

/* The device's multiprocessors, and whether it has bulk copies. */
static inline cudaError_t device_of(int *sms, bool *has_bulk)
{
	int device, major = 0;
	cudaError_t rc = cudaGetDevice(&device);

	if (rc == cudaSuccess) {
		rc = cudaDeviceGetAttribute(
			sms, cudaDevAttrMultiProcessorCount, device);
	}
	if (rc == cudaSuccess) {
		rc = cudaDeviceGetAttribute(
			&major, cudaDevAttrComputeCapabilityMajor, device);
	}
	*has_bulk = major >= 9;
	return rc;
}

#endif
