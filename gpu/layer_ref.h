/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The CPU twin of a layer: what any element has to be, without any
 * communication, and the comparison that every backend uses.
 *
 * Exact integers: routing of all ranks. In double: y, dx and dlogit of
 * sampled tokens, and sampled elements of the weight gradients, each summed
 * over all tokens of all ranks that its expert has. Products are sums of
 * products of bytes, hence exact in integers; only activations, weights and
 * sums over them are in floating point.
 *
 * dwg needs dlogit of every token, that is the whole forward pass: where that
 * is more than LAYER_REF_FULL_MACS, dlogit is compared for the sampled tokens
 * and dwg with the sum over the backend's own dlogits.
 *
 * Samples are drawn by the case's seed: LAYER_REF_TOKENS tokens over all
 * ranks (fewer when they cost more than LAYER_REF_SAMPLE_MACS), among them
 * the first and last of each rank where there is room, LAYER_REF_COLUMNS
 * elements of each of their rows; LAYER_REF_WEIGHTS elements of each weight
 * gradient on every rank.
 */
#ifndef GPU_LAYER_REF_H
#define GPU_LAYER_REF_H

#include "gpu/layer.h"
#include "gpu/layer_route.h"

#define LAYER_REF_TOKENS 64
#define LAYER_REF_COLUMNS 16
#define LAYER_REF_WEIGHTS 32
#define LAYER_REF_FULL_BYTES 2e9	/* of x and dy, in the full pass */
#define LAYER_REF_FULL_MACS 4e9
#define LAYER_REF_SAMPLE_MACS 2e10

/*
 * How the comparison gets at a backend's results, of the last step.
 *
 * elements(): values at `index` of a rank's tensor; index NULL: the first n
 * (dlogit whole). Indices are row-major in what the rank holds: y, dx
 * [tokens][hidden]; dlogit [tokens][k]; dwg [hidden][experts]; dw1
 * [local experts][hidden][F' or 2 F'], dw2 [local experts][F'][hidden]
 * (layer.h); dws1 [hidden][shared_ffn or twice], dws2 [shared_ffn][hidden].
 * Gradients after their all-reduces, the same on all holders. LAYER_DENSE:
 * gpu/layer_dense.h.
 *
 * routing(): ids and positions of a rank as it used them, [tokens * k];
 * pos as struct layer_route's, of dropped copies too.
 */
struct layer_fetch {
	void *arg;
	enum status (*elements)(void *arg, enum layer_tensor t, int rank,
				const int64_t *index, int n, double *out);
	enum status (*routing)(void *arg, int rank, int32_t *id, int32_t *pos);
	/* something moves; called from this thread; may be NULL */
	void (*beat)(void *arg);
};

/*
 * Compares ranks [first, first + n). Where those are not all ranks (emulated
 * nodes) and dwg is over LAYER_REF_FULL_MACS, dwg is not compared. The case's
 * plant_fault changes one fetched element of y: must end incorrect. threads
 * 0: as many as there are processors. One thread at a time; the twin's results
 * are kept for the next plan of the same layer.
 */
enum status layer_ref_check(const struct layer_case *c,
			    const struct layer_fetch *f, int first, int n,
			    int threads, struct layer_check *out);

/* Joins the results of several processes. */
void layer_check_join(struct layer_check *all, const struct layer_check *one);

/* The samples themselves, with what they have to be. */
struct layer_sample {
	enum layer_tensor tensor;
	int rank;
	int64_t index;		/* as in struct layer_fetch */
	double want;
};

struct layer_ref {
	struct layer_route route;
	struct layer_sample *sample;	/* by tensor, then rank */
	int n;
	bool full;	/* false: `want` of dwg is not known, see above */
};

enum status layer_ref_make(const struct layer_case *c, int first, int n,
			   int threads, struct layer_ref *out);
void layer_ref_release(struct layer_ref *r);

#endif
