/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One shape of curve through given samples: robust, weighted for relative
 * error, its break points found by dynamic programming. Private to profiles/fit*.c;
 * doc/model.md, section "Profiles", has the equations.
 */
#ifndef PROFILES_FIT_MODEL_H
#define PROFILES_FIT_MODEL_H

#include "profiles/fit.h"

#include <stdbool.h>

/* Break points and cross-validation look at so many places at most; with
 * more different sizes, neighbours form one block. */
#define FIT_BLOCKS_MAX 64

#define FIT_PIECES_MAX CURVE_PIECES

#define FIT_REPEATS_MIN 3

struct fit_sample {
	double n, t;
	double scale;	/* median time of its size: errors are relative to it */
	double weight;	/* 1; less for outliers among the repeats */
	int block;	/* number of its size (or of its block of sizes) */
	bool repeated;	/* its size has FIT_REPEATS_MIN samples or more */
};

/* Sorted by size, then time. */
struct fit_data {
	int n, n_sizes, n_blocks;
	struct fit_sample *sample;	/* owned */
};

/* n[i] > 0, t[i] > 0. */
void fit_data_init(struct fit_data *d, const double *n, const double *t,
		   int count);
/* Without one block; the others are numbered anew. */
void fit_data_without(const struct fit_data *d, int block,
		      struct fit_data *out);
void fit_data_release(struct fit_data *d);

/* Standard deviation of what |r[n]| are deviations, by their median; sorts
 * them. Tukey's weight of a deviation in units of it. */
double fit_spread(double *r, int n);
double fit_bisquare(double z);

struct fit_shape {
	enum fit_form form;
	int pieces;
	bool joined;	/* pieces meet; else they may jump */
	bool root;	/* c*sqrt(n) in every piece; not with joined */
	int min_sizes;
};

/* False when there are too few sizes, or no such curve has coefficients that
 * are not negative. */
bool fit_model(const struct fit_data *d, const struct fit_shape *shape,
	       struct curve *out);

#endif
