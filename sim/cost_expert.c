/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The FFN of a rank's experts: its products, as padded or one by one. */
#include "sim/cost_layer.h"

#include "scenarios/measured.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

/*
 * The runner's rule (gpu/ffn_rows.h): rows are padded to a multiple of so
 * many, while that makes no more than so many times all rows.
 */
#define PAD_ALIGN 16
#define PAD_MOST 1.6

/*
 * The FFN of a group of experts: rows[i] * share rows through hidden -> ffn
 * [twice when gated, as one product of width 2*ffn] -> hidden, with the
 * activation as a kernel between them.
 */
struct ffn {
	const struct layer *l;
	int n;			/* experts */
	const double *rows;
	double share, inner;
	double total;		/* rows of all experts together */
	double padded;		/* rows of every expert; 0: as they are */
	bool packed;		/* each expert's products by themselves */
	double empty;		/* share of them that are zeros */
	bool adds;		/* to gradients of weights that are there */
};

static struct ffn ffn_make(const struct layer *l, int n, const double *rows,
			   double share, double inner)
{
	struct ffn f = { .l = l, .n = n, .rows = rows, .share = share,
			 .inner = inner };
	int i;

	for (i = 0; i < n; i++)
		f.total += rows[i] * share;
	return f;
}

/* The mean of the largest of n normal numbers (Blom 1958). */
static double normal_most(int n)
{
	return n > 1 ? gsl_cdf_ugaussian_Pinv((n - 0.375) / (n + 0.25)) : 0;
}

/*
 * A chunk of tokens has rows of each expert by chance, so its largest expert
 * has more than its share of the whole's largest.
 */
static void ffn_pad(struct ffn *f)
{
	double most = 0, mean = f->total / f->n, stride;
	int i;

	for (i = 0; i < f->n; i++)
		most = fmax(most, f->rows[i] * f->share);
	most += normal_most(f->n) *
		sqrt(f->l->spread * (1 - f->share) * mean);
	stride = ceil(most / PAD_ALIGN) * PAD_ALIGN;
	if (!f->l->can_pad || !(f->total > 0) ||
	    (f->n > 1 && stride > PAD_MOST * mean)) {
		f->packed = true;
		return;
	}
	f->padded = stride;
	f->empty = 1 - (1 - f->empty) * mean / stride;
}

/* One product for each expert, or one over all of them with padded rows. */
static struct gemm_group ffn_group(const struct ffn *f)
{
	struct gemm_group group = { .n_products = f->n, .repeat = 1,
				    .rows = f->rows, .row_scale = f->share,
				    .packed = f->packed, .empty = f->empty };

	if (f->padded > 0) {
		group.n_products = 1;
		group.repeat = f->n;
		group.rows = &f->padded;
		group.row_scale = 1;
	}
	return group;
}

/*
 * The runner races both ways (gpu/cuda_ffn_tune.c): one product over padded
 * rows, or one after another with each expert's own. In a chunk these are not
 * known.
 */
static void ffn_race(const struct ffn *f, const struct gemm_group *padded,
		     struct work *w)
{
	const struct layer *l = f->l;
	struct gemm_group each = *padded;
	struct work one = { 0 }, other = { 0 };

	work_add_gemms(&one, l->gpu, l->measured, l->model->dtype, padded);
	each.n_products = f->n;
	each.repeat = 1;
	each.rows = f->rows;
	each.row_scale = f->share;
	each.packed = true;
	each.empty = l->empty;
	if (f->padded > 0 && f->n > 1 && f->share == 1 &&
	    work_each_known(l->measured, l->model->dtype, &each)) {
		work_add_gemms(&other, l->gpu, l->measured, l->model->dtype,
			       &each);
		if (other.seconds + other.held_s +
		    (l->dropless ? other.late_s : 0) <
		    one.seconds + one.held_s)
			one = other;
	}
	work_add(w, &one);
}

static void ffn_product(const struct ffn *f, struct work *w, double n,
			double k)
{
	struct gemm_group group = ffn_group(f);

	group.n = n;
	group.k = k;
	ffn_race(f, &group, w);
}

/* Gradient of an m x n weight: the rows are summed over. */
static void ffn_weight_product(const struct ffn *f, struct work *w, double m,
			       double n)
{
	struct gemm_group group = ffn_group(f);

	group.rows_are_depth = true;
	group.m = m;
	group.n = n;
	group.adds = f->adds;
	group.adding_s = f->adds ? f->l->adding_s : 0;
	ffn_race(f, &group, w);
}

/* `streams` vectors of one inner row each, read or written. */
static void ffn_activation(const struct ffn *f, struct work *w, int streams)
{
	work_add_stream(w, f->l->gpu, f->total * f->inner * streams *
			dtype_bytes(f->l->model->dtype));
}

static void ffn_forward(const struct ffn *f, struct work *w)
{
	const struct model *m = f->l->model;

	ffn_product(f, w, (m->gated ? 2 : 1) * f->inner, m->hidden);
	w->first_s = w->seconds;
	/* gated: two in, one out; else one in, one out */
	ffn_activation(f, w, m->gated ? 3 : 2);
	ffn_product(f, w, m->hidden, f->inner);
}

static void ffn_data(const struct ffn *f, struct work *w)
{
	const struct model *m = f->l->model;

	ffn_product(f, w, f->inner, m->hidden);
	w->first_s = w->seconds;
	/* gated: gradient and both factors in, two out; else two in, one
	 * out */
	ffn_activation(f, w, m->gated ? 5 : 3);
	ffn_product(f, w, m->hidden, (m->gated ? 2 : 1) * f->inner);
}

static void ffn_weight(const struct ffn *f, struct work *w)
{
	const struct model *m = f->l->model;

	ffn_weight_product(f, w, f->inner, m->hidden);
	if (!(w->first_s > 0))	/* else those of data came before */
		w->first_s = w->seconds;
	ffn_weight_product(f, w, m->hidden, (m->gated ? 2 : 1) * f->inner);
}

static void ffn_work(const struct ffn *f, enum op_kind kind, struct work *w)
{
	switch (kind) {
	case OP_EXPERT:
	case OP_SHARED:
		ffn_forward(f, w);
		break;
	case OP_EXPERT_BWD_DATA:
		ffn_data(f, w);
		break;
	case OP_EXPERT_BWD_WEIGHT:
		ffn_weight(f, w);
		break;
	default:	/* shared experts have one backward op */
		ffn_data(f, w);
		ffn_weight(f, w);
		break;
	}
}

/*
 * Beside the sorting: a token's row goes to a copy for each expert before
 * these are sorted, and the copies' results are added to one.
 */
static void dedup_work(const struct layer *l, double rows, double share,
		       struct work *out)
{
	work_add_stream(out, l->gpu, 2 * rows * layer_row_bytes(l));
	work_add_stream(out, l->gpu, (rows + share * l->leads) * layer_row_bytes(l));
}

void layer_expert_work(const struct layer *l, enum op_kind kind,
		       const double *rows, double share, bool adds,
		       struct work *out)
{
	struct ffn f = ffn_make(l, l->local_experts, rows, share, l->ffn);

	f.adds = adds;
	f.empty = l->empty;
	if (l->pads)
		ffn_pad(&f);
	*out = (struct work){ 0 };
	ffn_work(&f, kind, out);
	/* sizes known before a step: a graph of it has no host */
	if (!l->dropless)
		out->host_s = out->late_s = 0;
	/* blocks of one source by expert become blocks of one expert, and
	 * back: each row read and written once on either side */
	if (l->regroup && kind != OP_EXPERT_BWD_WEIGHT) {
		work_add_stream(out, l->gpu, 2 * f.total * layer_row_bytes(l));
		work_add_stream(out, l->gpu, 2 * f.total * layer_row_bytes(l));
	}
	if (l->leads > 0 && kind != OP_EXPERT_BWD_WEIGHT)
		dedup_work(l, f.total, share, out);
}

void layer_shared_work(const struct layer *l, enum op_kind kind,
			struct work *w)
{
	struct ffn f = ffn_make(l, 1, &l->tokens, 1, l->model->shared_ffn);

	if (l->model->shared_experts)
		ffn_work(&f, kind, w);
}
