/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens into rows and back, the gate's gradients. */
#include "gpu/host_layer.h"

#include <string.h>

static double *row_of(double *rows, int32_t row, int width)
{
	return rows + (size_t)row * (size_t)width;
}

/* Copies of this rank's tokens begin here in the routing's arrays. */
static int64_t first_copy(const struct host_layer *l, int rank)
{
	return (int64_t)rank * l->c.tokens * l->c.k;
}

static void weights_in(struct host_layer *l, int rank, struct host_chunk *k)
{
	const double *w = l->route.weight + first_copy(l, rank);
	double *in = host_flow_rows(&k->weight, XCHG_IN);
	int i;

	memset(in, 0, (size_t)k->to.rows[XCHG_IN] * sizeof(*in));
	for (i = 0; i < l->c.tokens * l->c.k; i++) {
		if (k->row[i] >= 0)
			in[k->row[i]] = w[i];
	}
}

/* Rows of IN: a tensor's tokens, weighted or not; empty slots are zero. */
static void rows_in(struct host_layer *l, int rank, struct host_chunk *k,
		    enum layer_tensor t, bool weighted)
{
	const double *w = l->route.weight + first_copy(l, rank);
	double *in = host_flow_rows(&k->go, XCHG_IN);
	int hidden = l->c.hidden, i, h;

	memset(in, 0, (size_t)k->to.rows[XCHG_IN] * (size_t)hidden *
	       sizeof(*in));
	for (i = 0; i < l->c.tokens * l->c.k; i++) {
		const double *from = row_of(l->rank[rank].t[t], i / l->c.k,
					    hidden);
		double *to = row_of(in, k->row[i], hidden);

		for (h = 0; k->row[i] >= 0 && h < hidden; h++) {
			to[h] = host_store(l, weighted ? w[i] * from[h] :
							 from[h]);
		}
	}
	if (l->dedup)
		weights_in(l, rank, k);
}

void host_permute(struct host_layer *l, int rank)
{
	struct host_pass *p = &l->rank[rank].pass[0];
	int i;

	for (i = 0; i < p->n; i++)
		rows_in(l, rank, &p->chunk[i], LAYER_X, false);
}

/* out[t] += weight * the rows that came back; dedup: lead rows, weight 1. */
static void add_rows(struct host_layer *l, struct host_chunk *k,
		     const double *w, double *out)
{
	const double *in = host_flow_rows(&k->come, XCHG_IN);
	int hidden = l->c.hidden, i, h;

	for (i = 0; i < l->c.tokens * l->c.k; i++) {
		int32_t row = k->row[i];
		double weight = w && !l->dedup ? w[i] : 1;
		double *to = row_of(out, i / l->c.k, hidden);

		if (row < 0 || (l->dedup && !k->to.lead[row]))
			continue;
		for (h = 0; h < hidden; h++) {
			to[h] += weight * in[(size_t)row * (size_t)hidden +
					     (size_t)h];
		}
	}
}

static void store_tokens(const struct host_layer *l, double *v)
{
	size_t n = (size_t)l->c.tokens * (size_t)l->c.hidden, i;

	for (i = 0; i < n; i++)
		v[i] = host_store(l, v[i]);
}

void host_unpermute(struct host_layer *l, int rank)
{
	struct host_layer_rank *r = &l->rank[rank];
	size_t n = (size_t)l->c.tokens * (size_t)l->c.hidden;
	int i;

	if (l->c.shared_ffn)
		memcpy(r->t[LAYER_Y], r->shared_y, n * sizeof(double));
	else
		memset(r->t[LAYER_Y], 0, n * sizeof(double));
	for (i = 0; i < r->pass[0].n; i++) {
		add_rows(l, &r->pass[0].chunk[i],
			 l->route.weight + first_copy(l, rank), r->t[LAYER_Y]);
	}
	store_tokens(l, r->t[LAYER_Y]);
}

/* g = dy . the expert's output, which came back in the forward pass. */
static void dots(struct host_layer *l, int rank, struct host_chunk *k)
{
	struct host_layer_rank *r = &l->rank[rank];
	double *in = host_flow_rows(&k->come, XCHG_IN);
	int hidden = l->c.hidden, i, h;

	for (i = 0; i < l->c.tokens * l->c.k; i++) {
		const double *dy = row_of(r->t[LAYER_DY], i / l->c.k, hidden);
		const double *out = row_of(in, k->row[i], hidden);
		double sum = 0;

		if (k->row[i] < 0)
			continue;
		for (h = 0; h < hidden; h++)
			sum += dy[h] * out[h];
		r->g[i] = sum;
	}
}

void host_unpermute_back(struct host_layer *l, int rank)
{
	struct host_layer_rank *r = &l->rank[rank];
	int i;

	memset(r->g, 0, (size_t)l->c.tokens * (size_t)l->c.k *
	       sizeof(*r->g));
	for (i = 0; !l->dedup && i < r->pass[0].n; i++)
		dots(l, rank, &r->pass[0].chunk[i]);
	for (i = 0; i < r->pass[1].n; i++)
		rows_in(l, rank, &r->pass[1].chunk[i], LAYER_DY, !l->dedup);
}

void host_permute_back(struct host_layer *l, int rank)
{
	struct host_layer_rank *r = &l->rank[rank];
	size_t n = (size_t)l->c.tokens * (size_t)l->c.hidden;
	int i, j;

	if (l->c.shared_ffn)
		memcpy(r->t[LAYER_DX], r->shared_dx, n * sizeof(double));
	else
		memset(r->t[LAYER_DX], 0, n * sizeof(double));
	for (i = 0; i < r->pass[1].n; i++) {
		struct host_chunk *k = &r->pass[1].chunk[i];

		add_rows(l, k, NULL, r->t[LAYER_DX]);
		for (j = 0; l->dedup && j < l->c.tokens * l->c.k; j++) {
			if (k->row[j] >= 0)
				r->g[j] = host_flow_rows(&k->g,
							 XCHG_IN)[k->row[j]];
		}
	}
}

static void token_dlogit(const struct host_layer *l, int rank, int t)
{
	const double *w = l->route.weight + first_copy(l, rank) + t * l->c.k;
	const double *g = l->rank[rank].g + t * l->c.k;
	double *d = l->rank[rank].t[LAYER_DLOGIT] + t * l->c.k, mean = 0;
	int j;

	for (j = 0; j < l->c.k; j++)
		mean += w[j] * g[j];
	for (j = 0; j < l->c.k; j++)
		d[j] = w[j] * (g[j] - mean);
}

void host_gate_back(struct host_layer *l, int rank)
{
	const int32_t *id = l->route.id + first_copy(l, rank);
	double *const *t = l->rank[rank].t;
	size_t experts = (size_t)l->c.experts;
	int hidden = l->c.hidden, i, h;

	memset(t[LAYER_DWG], 0, (size_t)hidden * experts * sizeof(double));
	for (i = 0; i < l->c.tokens; i++)
		token_dlogit(l, rank, i);
	for (i = 0; i < l->c.tokens * l->c.k; i++) {
		const double *x = row_of(t[LAYER_X], i / l->c.k, hidden);
		double *dx = row_of(t[LAYER_DX], i / l->c.k, hidden);

		for (h = 0; h < hidden; h++) {
			size_t at = (size_t)h * experts + (size_t)id[i];

			t[LAYER_DWG][at] += x[h] * t[LAYER_DLOGIT][i];
			dx[h] += t[LAYER_DLOGIT][i] * t[LAYER_WG][at];
		}
	}
	store_tokens(l, t[LAYER_DX]);
}
