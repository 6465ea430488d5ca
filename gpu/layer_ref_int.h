/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files gpu/layer_ref*.c share. */
#ifndef GPU_LAYER_REF_INT_H
#define GPU_LAYER_REF_INT_H

#include "gpu/layer_ref.h"

#define REF_SHARED (-1)		/* in place of an expert */

/* What is known of one FFN: routed or shared. */
struct ref_ffn {
	int expert, ffn;
	int hidden;
	bool gated;
	uint32_t key1, key2;
	double scale1, scale2;	/* of products of bytes */
};

void ref_ffn_init(const struct layer_case *c, int expert, struct ref_ffn *f);

/* Column c of w1 (gated: and of w3), row c of w2, as bytes. */
void ref_ffn_vectors(const struct ref_ffn *f, int column, int16_t *w1,
		     int16_t *w3, int16_t *w2);

/* One token in one inner column. */
struct ref_point {
	double a;	/* activation */
	double da;	/* dy . w2 row */
	double d1, d3;	/* slopes of da's way back: to w1's column, w3's */
};

void ref_point_make(const struct ref_ffn *f, const int16_t *x,
		    const int16_t *dy, const int16_t *w1, const int16_t *w3,
		    const int16_t *w2, struct ref_point *out);

/* A token in an FFN; the results are without the gate's weight. */
struct ref_copy {
	const int16_t *x, *dy;	/* [hidden], bytes */
	const int *column;	/* [n_columns] of hidden */
	int n_columns;
	double g;		/* dy . FFN(x) */
	double *y, *dx;		/* [n_columns] */
};

struct ref_job {
	int expert;
	struct ref_copy *copy;
	int n;
};

/* All jobs, in pieces of inner columns, on threads. */
void ref_ffn_run(const struct layer_case *c, struct ref_job *job, int n,
		 int threads);

/* x (LAYER_X) or dy of a token, as bytes. */
void ref_token_bytes(const struct layer_case *c, enum layer_tensor t,
		     int rank, int token, int16_t *out);

/* g of all kept copies of all ranks, [ranks * tokens * k], 0 of dropped. */
double *ref_all_g(const struct layer_case *c, const struct layer_route *r,
		  int threads);

/* dlogit of one token from g and the weights. */
void ref_dlogit(const double *g, const double *w, int k, double *out);

/* Fills `want` of samples of dw1, dw2, dws1, dws2. */
void ref_weights(const struct layer_case *c, const struct layer_route *r,
		 struct layer_sample *s, int n, int threads);

/* Fills `want` of samples of dwg from dlogit of all copies. */
void ref_gate(const struct layer_case *c, const struct layer_route *r,
	      const double *dlogit, struct layer_sample *s, int n);

#endif
