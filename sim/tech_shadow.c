/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shadowing (He et al., FasterMoE, 2022): experts that get many copies are
 * sent to all ranks, which then compute their own copies for them. With the
 * busiest rank's rows B, before (0) and after copying the r most popular,
 *
 *	T(r) = 3 c B_r + 4 f B_r + 2 r p
 *
 * c: an expert's seconds per row, f: a row's on the link, p: an expert's
 * parameters on the link (there and, as gradients, back). r grows while T
 * falls.
 */
#include "sim/tech_apply.h"

#include "base/mem.h"
#include "sim/cost_layer.h"
#include "sim/world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct popular {
	int expert;
	int64_t copies;
};

struct shadow {
	const struct tech_place *at;
	struct world world;
	struct popular *list;	/* most copies first */
	double row_s, link_s, expert_s;	/* c, f, p */
};

static int by_copies(const void *va, const void *vb)
{
	const struct popular *a = va, *b = vb;

	if (a->copies != b->copies)
		return a->copies > b->copies ? -1 : 1;
	return a->expert - b->expert;
}

/* What one rank's link to the group reaches. */
static double link_Bps(const struct tech_place *at)
{
	const struct cluster *c = &at->s->cluster;
	double nics = c->nic.per_gpu ? c->nic.per_gpu :
		(double)c->nic.per_node / c->gpus_per_node;

	if (group_in_domain(c, at->layout->ep, at->layout->esp))
		return c->intra.bandwidth_Bps * c->gpu.intra.efficiency;
	return nics * c->nic.bandwidth_Bps * c->gpu.inter.efficiency;
}

static void shadow_init(struct shadow *x, const struct tech_place *at)
{
	const struct routing *r = at->routing;
	const struct model *m = &at->s->model;
	const struct gpu *g = &at->s->cluster.gpu;
	double params = layer_expert_params(m, (double)m->expert_ffn /
					    at->layout->esp);
	double link = link_Bps(at);

	*x = (struct shadow){ .at = at };
	x->world = (struct world){
		.routing = r, .n = r->ranks, .nodes = at->s->cluster.nodes,
		.gpus_per_node = at->s->cluster.gpus_per_node,
		.ep = at->layout->ep, .esp = at->layout->esp,
		.local = 1, .replicas = 1,
	};
	if (at->layout->ep > r->experts)
		x->world.replicas = at->layout->ep / r->experts;
	else
		x->world.local = r->experts / at->layout->ep;
	x->row_s = 2 * params / (g->flops[m->dtype] * g->gemm_efficiency);
	x->link_s = (double)m->hidden * dtype_bytes(m->dtype) / link;
	x->expert_s = params * dtype_bytes(m->dtype) / link;
	x->list = xcalloc((size_t)r->experts, sizeof(*x->list));
	for (int e = 0; e < r->experts; e++) {
		x->list[e].expert = e;
		for (int rank = 0; rank < r->ranks; rank++)
			x->list[e].copies += routing_count(r, rank, e);
	}
	qsort(x->list, (size_t)r->experts, sizeof(*x->list), by_copies);
}

/* Rows of the fullest EP index when the first r experts are at home. */
static double busiest(const struct shadow *x, int r)
{
	const struct world *w = &x->world;
	double groups = (double)w->n / w->ep, most = 0, home = 0;
	double *rows = xcalloc((size_t)w->ep, sizeof(*rows));

	for (int i = 0; i < w->routing->experts; i++) {
		double copies = (double)x->list[i].copies / groups;

		if (i < r) {
			home += copies / w->ep;
			continue;
		}
		for (int j = 0; j < w->replicas; j++)
			rows[world_ep_of(w, x->list[i].expert, j)] +=
				copies / w->replicas;
	}
	for (int i = 0; i < w->ep; i++)
		most = fmax(most, rows[i] + home);
	free(rows);
	return most;
}

static double latency_s(const struct shadow *x, int r)
{
	double rows = busiest(x, r);

	return 3 * x->row_s * rows + 4 * x->link_s * rows +
		2 * r * x->expert_s;
}

static int choose(const struct shadow *x)
{
	int most = x->at->s->technique.shadows, r = 0;
	double now = latency_s(x, 0);

	if (most > x->world.routing->experts)
		most = x->world.routing->experts;
	while (r < most) {
		double next = latency_s(x, r + 1);

		if (next >= now)
			break;
		now = next;
		r++;
	}
	return r;
}

static void add_rows(const struct shadow *x, int rank, int slot, double n,
		     struct workload *w)
{
	int esp = x->world.esp, base = rank / esp * esp;

	for (int s = 0; s < esp; s++)
		w->rows[(base + s) * w->local_experts + slot] += n;
}

/* One source's copies for one expert stay at home. */
static void bring_home(const struct shadow *x, int src, int expert,
		       struct workload *w)
{
	const struct world *at = &x->world;
	double *row = w->dispatch.bytes + (size_t)src * (size_t)at->n;

	for (int j = 0; j < at->replicas; j++) {
		double n = (double)world_copies(at, src, expert, j);
		int dst = world_peer(at, src, world_ep_of(at, expert, j));

		row[dst] = fmax(0, row[dst] - n * w->token_bytes);
		row[src] += n * w->token_bytes;
		add_rows(x, dst, expert % at->local, -n, w);
		add_rows(x, src, expert % at->local, n, w);
	}
}

/* Distinct tokens for other nodes fall as the copies for them do. */
static void scale_node_bytes(struct workload *w, int src, double by,
			     int nodes)
{
	for (int m = 0; w->dispatch.node_bytes && m < nodes; m++)
		w->dispatch.node_bytes[src * nodes + m] *= by;
}

static double away(const struct workload *w, int src)
{
	const double *row = w->dispatch.bytes + (size_t)src *
		(size_t)w->ranks;
	double sum = 0;

	for (int dst = 0; dst < w->ranks; dst++)
		sum += dst == src ? 0 : row[dst];
	return sum;
}

int tech_shadow(const struct tech_place *at, struct workload *w,
		struct tech_effect *e)
{
	struct shadow x;
	int n;

	shadow_init(&x, at);
	n = choose(&x);
	for (int src = 0; n && src < w->ranks; src++) {
		double before = away(w, src);

		for (int i = 0; i < n; i++)
			bring_home(&x, src, x.list[i].expert, w);
		if (before > 0)
			scale_node_bytes(w, src, away(w, src) / before,
					 at->s->cluster.nodes);
	}
	for (int i = 0; i < w->ranks * w->local_experts; i++)
		w->rows[i] = fmax(0, w->rows[i]);
	if (n) {
		traffic_release(&w->combine);
		traffic_transpose(&w->dispatch, at->s->cluster.nodes,
				  &w->combine);
		e->shadow_bytes = n * x.expert_s * link_Bps(at);
		e->memory_bytes += e->shadow_bytes;
	}
	free(x.list);
	return n;
}
