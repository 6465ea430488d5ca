/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the kernels share: bf16 by its bits (the CUDA header for it costs
 * more compile time than all kernels), 16-byte vectors, launch shapes.
 */
#ifndef GPU_K_COMMON_H
#define GPU_K_COMMON_H

#define FILL_FN static __host__ __device__ inline
#include "gpu/fill.h"
#include "gpu/k.h"

#define WARP 32
#define BLOCK 256	/* threads; enough warps to hide memory latency */
#define WARPS (BLOCK / WARP)
/* Blocks of grid-stride kernels: more than any GPU holds at once, few
 * enough that starting them costs nothing. */
#define GRID_MAX 8192

/* for (i = first of this thread; i < n; i += all threads) */
#define EACH(i, n) \
	uint64_t i = (uint64_t)blockIdx.x * BLOCK + threadIdx.x; \
	i < (n); i += (uint64_t)gridDim.x * BLOCK

static inline unsigned k_grid(uint64_t work, uint64_t per_block)
{
	uint64_t n = (work + per_block - 1) / per_block;

	return (unsigned)(n < 1 ? 1 : n > GRID_MAX ? GRID_MAX : n);
}

static __device__ inline float bf16_to_f32(uint32_t bits)
{
	return __uint_as_float(bits << 16);
}

/* Round to nearest, ties to even; NaN stays NaN. */
static __device__ inline uint32_t f32_to_bf16(float f)
{
	uint32_t u = __float_as_uint(f);

	if (f != f) {
		return 0x7fff;
	}
	return (u + 0x7fff + ((u >> 16) & 1)) >> 16;
}

/* Two at once, `lo` in the lower half; one instruction where there is one. */
static __device__ inline uint32_t f32_to_bf16x2(float lo, float hi)
{
#if __CUDA_ARCH__ >= 800
	uint32_t both;

	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(hi), "f"(lo));
	return both;
#else
	return f32_to_bf16(lo) | f32_to_bf16(hi) << 16;
#endif
}

/* 16 bytes as floats, for either element. */
struct vec_f32 {
	static const int N = 4;

	static __device__ inline void load(const uint4 &v, float *f)
	{
		f[0] = __uint_as_float(v.x);
		f[1] = __uint_as_float(v.y);
		f[2] = __uint_as_float(v.z);
		f[3] = __uint_as_float(v.w);
	}

	static __device__ inline uint4 pack(const float *f)
	{
		return make_uint4(__float_as_uint(f[0]), __float_as_uint(f[1]),
				  __float_as_uint(f[2]), __float_as_uint(f[3]));
	}
};

struct vec_bf16 {
	static const int N = 8;

	static __device__ inline void load(const uint4 &v, float *f)
	{
		const uint32_t w[4] = { v.x, v.y, v.z, v.w };

		for (int i = 0; i < 4; i++) {
			f[2 * i] = bf16_to_f32(w[i] & 0xffff);
			f[2 * i + 1] = bf16_to_f32(w[i] >> 16);
		}
	}

	static __device__ inline uint4 pack(const float *f)
	{
		return make_uint4(f32_to_bf16x2(f[0], f[1]),
				  f32_to_bf16x2(f[2], f[3]),
				  f32_to_bf16x2(f[4], f[5]),
				  f32_to_bf16x2(f[6], f[7]));
	}
};

/* One element of either kind, for what is left of a vector. */
static __device__ inline float elem_load(const void *p, uint64_t i, bool bf16)
{
	return bf16 ? bf16_to_f32(((const uint16_t *)p)[i])
		    : ((const float *)p)[i];
}

static __device__ inline void elem_store(void *p, uint64_t i, bool bf16,
					 float f)
{
	if (bf16) {
		((uint16_t *)p)[i] = (uint16_t)f32_to_bf16(f);
	} else {
		((float *)p)[i] = f;
	}
}

#endif
