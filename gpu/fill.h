/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The data of benchmarks: element i of a buffer is a function of (seed,
 * stream, i), so every rank, kernel and CPU twin can make any element alone.
 * Usable from CUDA: define FILL_FN to "static __host__ __device__ inline"
 * before this header.
 *
 * fill_value() is a multiple of 1/128 in [-1, 1): exact in bf16, and sums of
 * up to 2^16 of them are exact in fp32, whatever their order.
 */
#ifndef GPU_FILL_H
#define GPU_FILL_H

#include <stdint.h>

#ifndef FILL_FN
#define FILL_FN static inline
#endif

/* Streams: one for each buffer of a rank. */
enum fill_stream {
	FILL_SEND,	/* what an exchange sends, or reduces */
	FILL_A, FILL_B,	/* products, gate: tokens, weights */
	FILL_X,		/* rows of permute, combine, stream, copy */
	FILL_LOGITS, FILL_IDS, FILL_WEIGHTS,
	FILL_STREAM_N
};

/* The key of a rank's buffer (splitmix64's finaliser). */
FILL_FN uint32_t fill_key(uint64_t seed, int rank, int stream)
{
	uint64_t z = seed + 0x9e3779b97f4a7c15ull *
			    ((uint64_t)rank * FILL_STREAM_N + stream + 1);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ (z >> 31)) >> 16);
}

/* 32 random bits of element i (murmur3's finaliser, twice keyed). */
FILL_FN uint32_t fill_bits(uint32_t key, uint64_t i)
{
	uint32_t h = (uint32_t)i * 0x9e3779b1u + key;

	h ^= (uint32_t)(i >> 32) * 0x85ebca77u;
	h = (h ^ (h >> 16)) * 0x85ebca6bu;
	h = (h ^ (h >> 13)) * 0xc2b2ae35u;
	return h ^ (h >> 16);
}

/* 128 times fill_value(). */
FILL_FN int fill_byte(uint32_t key, uint64_t i)
{
	return (int)(fill_bits(key, i) >> 24) - 128;
}

FILL_FN float fill_value(uint32_t key, uint64_t i)
{
	return (float)fill_byte(key, i) * (1.0f / 128);
}

/* Expert of pair i, all about equally often; n <= 65536. */
FILL_FN int fill_expert(uint32_t key, uint64_t i, int n)
{
	return (int)(((fill_bits(key, i) >> 16) * (uint32_t)n) >> 16);
}

#endif
