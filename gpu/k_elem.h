/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Vectors of elements for kernels over rows: 16 bytes where a row is a
 * multiple of that, else one element, so that a kernel is written once. V is
 * what a lane loads, N its elements.
 */
#ifndef GPU_K_ELEM_H
#define GPU_K_ELEM_H

#include "gpu/k_common.h"

struct wide_f32 : vec_f32 {
	typedef uint4 V;
};

struct wide_bf16 : vec_bf16 {
	typedef uint4 V;
};

struct lone_f32 {
	typedef float V;
	static const int N = 1;

	static __device__ inline void load(const V &v, float *f)
	{
		f[0] = v;
	}

	static __device__ inline V pack(const float *f)
	{
		return f[0];
	}
};

struct lone_bf16 {
	typedef uint16_t V;
	static const int N = 1;

	static __device__ inline void load(const V &v, float *f)
	{
		f[0] = bf16_to_f32(v);
	}

	static __device__ inline V pack(const float *f)
	{
		return (V)f32_to_bf16(f[0]);
	}
};

/* CALL(E) with the vector that rows of n elements allow. */
#define K_BY_ELEM(bf16, n, CALL) \
	do { \
		if ((bf16) && (n) % wide_bf16::N == 0) { \
			CALL(wide_bf16); \
		} else if (bf16) { \
			CALL(lone_bf16); \
		} else if ((n) % wide_f32::N == 0) { \
			CALL(wide_f32); \
		} else { \
			CALL(lone_f32); \
		} \
	} while (0)

/* CALL(V) with the vector that rows of so many bytes allow. */
#define K_BY_BYTES(row_bytes, CALL) \
	do { \
		if ((row_bytes) % sizeof(uint4) == 0) { \
			CALL(uint4); \
		} else if ((row_bytes) % sizeof(uint32_t) == 0) { \
			CALL(uint32_t); \
		} else { \
			CALL(uint16_t); \
		} \
	} while (0)

/*
 * Rows are cut into pieces of a few warps' width, and warps take pieces: a
 * few long rows fill the GPU as well as many short ones. `at` and `end` are
 * in vectors of the row.
 */
struct k_piece {
	uint64_t row, at, end;
};

static inline __host__ __device__ unsigned k_pieces(uint64_t row,
						    unsigned width)
{
	return (unsigned)((row + width - 1) / width);
}

static __device__ inline struct k_piece k_piece_of(uint64_t unit, uint64_t row,
						   unsigned width)
{
	unsigned pieces = k_pieces(row, width);
	struct k_piece p;

	p.row = unit / pieces;
	p.at = unit % pieces * width;
	p.end = p.at + width < row ? p.at + width : row;
	return p;
}

#define EACH_UNIT(unit, n_units) \
	uint64_t unit = (uint64_t)blockIdx.x * WARPS + threadIdx.x / WARP; \
	unit < (n_units); unit += (uint64_t)gridDim.x * WARPS

#endif
