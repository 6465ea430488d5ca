/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random numbers: one Mersenne twister (GSL) for every purpose.
 *
 * GSL's twister takes 32 bits of seed; all 64 of ours and the purpose are
 * mixed into them (splitmix64's finalizer, Steele et al. 2014), so that two
 * purposes with one seed have nothing in common. gsl_rng_free() it.
 *
 * Purposes below RNG_FIRST_TECHNIQUE belong to sim/route_int.h.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <gsl/gsl_rng.h>
#include <stdint.h>

enum rng_purpose {
	RNG_FIRST_TECHNIQUE = 16,
	RNG_TOKENS = RNG_FIRST_TECHNIQUE,	/* synthetic tokens */
	RNG_ROTATION,	/* LSH */
	RNG_SCORES,	/* gate scores from a popularity */
	RNG_GUMBEL,	/* dense-to-sparse */
	RNG_HASH,	/* hash gate's table */
	RNG_SEQUENCES,	/* synthetic sequences */
	RNG_LOCALITY,
};

gsl_rng *rng_new(uint64_t seed, int purpose);

#endif
