/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/rng.h"

gsl_rng *rng_new(uint64_t seed, int purpose)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	uint64_t z = seed + ((uint64_t)purpose + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	gsl_rng_set(rng, (unsigned long)(z & 0xffffffffu));
	return rng;
}
