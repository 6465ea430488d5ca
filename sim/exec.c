/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/exec.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/cost_load.h"
#include "sim/exec_int.h"
#include "sim/link_rows.h"

#include <assert.h>
#include <stdlib.h>

const struct exec_sharing exec_share_all = { true, true, true };
const struct exec_sharing exec_share_nothing = { false, false, false };

_Static_assert(EXEC_LINKS <= LINK_LIKE_MAX, "links that are listed");

static uint64_t op_span(const struct exec_op *o)
{
	return o->finish_ps - o->start_ps;
}

static void sum_up(const struct program *p, struct exec_result *r)
{
	int i;

	for (i = 0; i < p->n_ops; i++) {
		r->lane_busy_ps[p->op[i].lane] += op_span(&r->op[i]);
		r->kind_ps[p->op[i].kind] += op_span(&r->op[i]);
		if (r->op[i].finish_ps > r->time_ps)
			r->time_ps = r->op[i].finish_ps;
		if (i < p->n_forward && r->op[i].finish_ps > r->forward_ps)
			r->forward_ps = r->op[i].finish_ps;
	}
}

/* A link by itself: the busiest of exchanges that keep no flows. */
struct lone_link {
	int link, number;	/* number: in the set */
	double bytes;
};

struct lone_links {
	struct lone_link *l;
	size_t n, cap;
};

static const struct lone_link *find_lone(const struct lone_links *x, int link)
{
	for (size_t i = 0; i < x->n; i++) {
		if (x->l[i].link == link)
			return &x->l[i];
	}
	return NULL;
}

static void list_lone(const struct program *p, const struct cost *c,
		      struct lone_links *x)
{
	for (int i = 0; i < p->n_ops; i++) {
		const struct step_load *load = cost_op_load(c, &p->op[i]);

		if (!load || load->link_bytes || load->busiest_link < 0 ||
		    find_lone(x, load->busiest_link))
			continue;
		x->l = array_grow(x->l, &x->cap, x->n + 1, sizeof(*x->l));
		x->l[x->n++] = (struct lone_link){ load->busiest_link,
			link_set_find(cost_links(c), cost_net(c),
				      load->busiest_link), 0 };
	}
}

/* Bytes that the whole program carries over the set's links, and those that
 * stand alone. */
static void add_links(const struct program *p, const struct cost *c,
		      double *bytes, struct lone_links *x)
{
	int n_links = cost_links(c)->n, i, l;

	for (i = 0; i < p->n_ops; i++) {
		const struct step_load *load = cost_op_load(c, &p->op[i]);
		int n = p->op[i].n_chunks;

		if (!load)
			continue;
		for (size_t k = 0; k < x->n; k++) {
			struct lone_link *o = &x->l[k];

			if (load->link_bytes)
				o->bytes += load->link_bytes[o->number] / n;
			else if (o->link == load->busiest_link)
				o->bytes += load->busiest_bytes / n;
		}
		for (l = 0; l < n_links && load->link_bytes; l++)
			bytes[l] += load->link_bytes[l] / n;
	}
}

static bool is_busier(const struct exec_link *a, const struct exec_link *b)
{
	return a->utilisation > b->utilisation ||
		(a->utilisation == b->utilisation && a->link < b->link);
}

/* Keeps the EXEC_LINKS busiest; of equal ones the lower link number. */
static void insert_link(struct exec_result *r, struct exec_link x)
{
	int i = r->n_links;

	if (i == EXEC_LINKS) {
		if (!is_busier(&x, &r->link[i - 1]))
			return;
		i--;
	} else {
		r->n_links++;
	}
	for (; i > 0 && is_busier(&x, &r->link[i - 1]); i--)
		r->link[i] = r->link[i - 1];
	r->link[i] = x;
}

static void find_links(const struct program *p, const struct cost *c,
		       struct exec_result *r)
{
	const struct link_set *set = cost_links(c);
	const double *capacity = cost_net(c)->capacity_Bps;
	double seconds = s_from_ps(r->time_ps), *bytes;
	struct lone_links lone = { 0 };
	int l, k;

	if (!r->time_ps)
		return;
	bytes = xcalloc((size_t)set->n + 1, sizeof(*bytes));
	list_lone(p, c, &lone);
	add_links(p, c, bytes, &lone);
	for (size_t i = 0; i < lone.n; i++) {
		const struct lone_link *o = &lone.l[i];

		if (o->bytes > 0) {
			insert_link(r, (struct exec_link){ o->link, o->bytes /
				    (capacity[o->link] * seconds) });
		}
	}
	for (l = 0; l < set->n; l++) {
		for (k = set->begin[l]; k < set->begin[l + 1] && bytes[l] > 0;
		     k++) {
			int link = set->link[k];

			if (find_lone(&lone, link))
				continue;
			insert_link(r, (struct exec_link){ link, bytes[l] /
				    (capacity[link] * seconds) });
		}
	}
	free(lone.l);
	free(bytes);
}

enum status exec_run_sharing(const struct program *p, const struct cost *c,
			     const struct exec_sharing *sharing,
			     struct exec_result *out)
{
	struct exec_result r = { 0 };
	enum status st;

	r.op = xcalloc((size_t)p->n_ops, sizeof(*r.op));
	st = sharing ? exec_flow_run(p, c, sharing, &r) :
		exec_lane_run(p, c, &r);
	if (st) {
		exec_release(&r);
		return st;
	}
	r.links_shared = sharing && sharing->links;
	sum_up(p, &r);
	find_links(p, c, &r);
	*out = r;
	return ST_OK;
}

enum status exec_run(const struct program *p, const struct cost *c,
		     enum exec_model model, struct exec_result *out)
{
	return exec_run_sharing(p, c, model == EXEC_FLOW ? &exec_share_all :
				NULL, out);
}

void exec_release(struct exec_result *r)
{
	free(r->op);
	*r = (struct exec_result){ 0 };
}

static void check_busy(const struct program *p, const struct exec_result *r)
{
	uint64_t lanes = 0, kinds = 0;
	int i;

	for (i = 0; i < LANES_ALL; i++) {
		assert(r->lane_busy_ps[i] <= r->time_ps);
		lanes += r->lane_busy_ps[i];
	}
	for (i = 0; i < OP_KIND_N; i++)
		kinds += r->kind_ps[i];
	assert(lanes == kinds);
	assert(r->forward_ps <= r->time_ps);
	assert(r->op[p->n_forward].start_ps >= r->forward_ps);
}

static void check_links(const struct exec_result *r)
{
	/* rounding of the sums of bytes and of picoseconds */
	const double slack = 1e-6;
	int i;

	for (i = 0; i < r->n_links; i++) {
		assert(!r->links_shared || r->link[i].utilisation <= 1 + slack);
		assert(i == 0 || r->link[i].utilisation <=
		       r->link[i - 1].utilisation);
	}
}

void exec_check(const struct program *p, const struct exec_result *r)
{
	uint64_t lane[LANES_ALL] = { 0 };
	int i;

	for (i = 0; i < p->n_ops; i++) {
		assert(r->op[i].finish_ps >= r->op[i].start_ps);
		assert(r->op[i].start_ps >= lane[p->op[i].lane]);
		assert(r->op[i].start_ps >= exec_deps_ready(&p->op[i],
							    r->op));
		lane[p->op[i].lane] = r->op[i].finish_ps;
	}
	check_busy(p, r);
	check_links(r);
}
