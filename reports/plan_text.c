/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/plan_text.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/units.h"
#include "reports/plan_explain.h"
#include "reports/table.h"
#include "scenarios/keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 2
#define HEAD_WIDTH 12	/* "  memory    " */
#define LINKS_SHOWN 3	/* rows of busiest links without --explain */
#define ALIKE 5e-4	/* shares that print alike */
#define BAR_PT 24
#define AS_FAST 1e-9	/* rounding */

/* One "  name      text" paragraph. */
static void put_item(struct buf *out, const char *name, const char *text)
{
	char head[HEAD_WIDTH + 1];

	snprintf(head, sizeof(head), "  %-*s", HEAD_WIDTH - 2, name);
	text_wrap(out, head, text, TABLE_WIDTH);
}

/* The same from a buffer, which it empties. */
static void put_item_buf(struct buf *out, const char *name, struct buf *text)
{
	put_item(out, name, buf_str(text));
	buf_clear(text);
}

static void add_routing(struct buf *out, const struct routing_spec *r)
{
	buf_puts(out, key_enum_name("routing.kind", (int)r->kind));
	if (r->kind == ROUTING_COUNTS || r->kind == ROUTING_TRACE)
		buf_addf(out, " of '%s'", r->file ? r->file : "?");
	else if (r->kind != ROUTING_UNIFORM)
		buf_addf(out, " %.4g", r->skew);
}

void plan_scenario_line(const struct scenario *s, struct buf *out)
{
	const struct cluster *c = &s->cluster;

	buf_addf(out, "%s on %d x %d %s, ", s->model.name, c->nodes,
		 c->gpus_per_node, c->gpu.name);
	add_routing(out, &s->routing);
	buf_puts(out, " routing");
}

static void put_model(const struct scenario *s, struct buf *out)
{
	const struct model *m = &s->model;
	struct buf b = { 0 };

	buf_addf(&b, "%s: hidden %d, %d experts of %d, top-%d", m->name,
		 m->hidden, m->experts, m->expert_ffn, m->experts_per_token);
	if (m->shared_experts)
		buf_addf(&b, ", %d shared", m->shared_experts);
	buf_addf(&b, "; %d MoE layers", m->moe_layers);
	put_item_buf(out, "model", &b);
	buf_addf(&b, "sequence %d x %d per GPU, %s", m->sequence,
		 m->batch_per_gpu, dtype_name(m->dtype));
	put_item_buf(out, "workload", &b);
	buf_release(&b);
}

static void add_nic(struct buf *out, const struct cluster *c)
{
	bool own = c->nic.per_gpu > 0;
	int n = own ? c->nic.per_gpu : c->nic.per_node;

	buf_addf(out, "; %d NIC%s per %s of ", n, n == 1 ? "" : "s",
		 own ? "GPU" : "node");
	table_add_value(out, c->nic.bandwidth_Bps, TABLE_RATE);
	buf_addf(out, "; %s fabric", key_enum_name("cluster.fabric.kind",
					       (int)c->fabric.kind));
	if (c->fabric.kind != FABRIC_NONBLOCKING)
		buf_addf(out, ", %.4g:1 oversubscribed",
			 c->fabric.oversubscription);
	if (c->pxn)
		buf_puts(out, ", PXN");
}

static void put_cluster(const struct scenario *s, struct buf *out)
{
	const struct cluster *c = &s->cluster;
	struct buf b = { 0 };

	buf_addf(&b, "%d node%s of %d x %s; %s ", c->nodes,
		 c->nodes == 1 ? "" : "s", c->gpus_per_node, c->gpu.name,
		 key_enum_name("cluster.intra.kind", (int)c->intra.kind));
	table_add_value(&b, c->intra.kind == INTRA_PCIE ? c->intra.pcie_Bps :
		  c->intra.bandwidth_Bps, TABLE_RATE);
	if (c->nodes > 1)
		add_nic(&b, c);
	put_item_buf(out, "cluster", &b);
	buf_release(&b);
}

static void put_scenario(const struct scenario *s, struct buf *out)
{
	struct buf b = { 0 };

	put_model(s, out);
	put_cluster(s, out);
	add_routing(&b, &s->routing);
	if (s->routing.kind < ROUTING_HOT_EXPERT)
		buf_addf(&b, ", seed %llu",
			 (unsigned long long)s->routing.seed);
	put_item_buf(out, "routing", &b);
	buf_puts(&b, "drop at most ");
	table_add_value(&b, s->constraints.max_drop, TABLE_PERCENT);
	buf_puts(&b, " of the routed tokens; at most ");
	table_add_value(&b, s->constraints.memory_bytes > 0 ?
		  s->constraints.memory_bytes : s->cluster.gpu.hbm_bytes,
		  TABLE_BYTES);
	buf_puts(&b, " per GPU");
	put_item_buf(out, "limits", &b);
	buf_release(&b);
}

static void add_layout_words(struct buf *out, const struct layout *l)
{
	buf_addf(out, "Spread the experts over %d rank%s", l->ep,
		 l->ep == 1 ? "" : "s");
	if (l->esp > 1)
		buf_addf(out, ", cut each expert into %d shards", l->esp);
	if (l->dp > 1)
		buf_addf(out, ", keep %d copies of the set", l->dp);
	if (l->tp > 1)
		buf_addf(out, ", shard attention over %d", l->tp);
	if (l->pp > 1)
		buf_addf(out, ", cut the layers into %d pipeline stages",
			 l->pp);
	buf_puts(out, ". ");
}

static void add_degree_words(struct buf *out, const struct plan *p)
{
	int forward = p->degree_forward, backward = p->degree_backward;

	if (p->dense == DENSE_CHUNKS) {
		buf_addf(out, "Cut attention and the layer into %d chunks "
			 "forward and %d backward: a chunk's attention begins "
			 "as soon as its rows are back from the layer before. ",
			 forward, backward);
		return;
	}
	if (forward == 1 && backward == 1) {
		buf_puts(out, "Run the layer in one piece: no pipelining. ");
		return;
	}
	buf_addf(out, "Cut the exchange and the experts' work into %d "
		 "chunk%s forward and %d backward, so that they overlap. ",
		 forward, forward == 1 ? "" : "s", backward);
}

static void add_pieces_words(struct buf *out, int pieces)
{
	buf_puts(out, "Sum attention's gradients ");
	if (pieces > 1)
		buf_addf(out, "in %d pieces ", pieces);
	buf_puts(out, "where the exchanges leave room. ");
}

void plan_words(const struct plan *p, struct buf *out)
{
	const struct a2a_row *a = &a2a_table[p->alltoall];

	add_layout_words(out, &p->layout);
	buf_addf(out, "Exchange tokens with the '%s' all-to-all: %s. ",
		 a->name, a->help);
	if (p->ctas)
		buf_addf(out, "It may hold %d SMs of a GPU at most. ",
			 p->ctas);
	add_degree_words(out, p);
	if (p->overlap == OVERLAP_WEIGHT)
		buf_puts(out, "With one chunk, too, weight gradients and "
			 "shared experts run beside the exchange. ");
	if (p->dense)
		add_pieces_words(out, p->dense_pieces);
	else if (!order_is_default(p->order))
		buf_puts(out, "Lay the ops in the order below, the best for "
			 "these times. ");
	if (p->capacity_factor > 0)
		buf_addf(out, "Give every expert room for %.4g times its "
			 "even share of the tokens.", p->capacity_factor);
	else
		buf_puts(out, "Send exact counts: nothing is dropped, "
			 "nothing padded.");
}

/* The whole model: what a step takes, and what of it is not the experts'. */
static void put_step(const struct report_step *s, struct buf *out)
{
	const struct {
		const char *name;
		double seconds;
	} part[] = {
		{ "MoE layers", s->moe_s }, { "dense parts", s->dense_s },
		{ "gradients", s->gradient_s },
		{ "optimizer", s->optimizer_s }, { "bubble", s->bubble_s },
	};
	struct buf b = { 0 };
	const char *comma = "";

	if (!(s->time_s > 0))
		return;
	table_add_value(&b, s->time_s, TABLE_TIME);
	buf_addf(&b, " for the whole model and %d micro-batch%s (", s->batches,
		 s->batches == 1 ? "" : "es");
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		if (!(part[i].seconds > 0))
			continue;
		buf_addf(&b, "%s%s ", comma, part[i].name);
		table_add_value(&b, part[i].seconds, TABLE_TIME);
		comma = ", ";
	}
	buf_puts(&b, "): ");
	table_add_value(&b, s->tokens_per_s, TABLE_COUNT);
	buf_puts(&b, " tokens/s");
	put_item_buf(out, "step", &b);
	buf_release(&b);
}

static void put_times(const struct plan_report *r, struct buf *out)
{
	struct buf b = { 0 };

	table_add_value(&b, r->time_s, TABLE_TIME);
	buf_puts(&b, " per layer: forward ");
	table_add_value(&b, r->forward_s, TABLE_TIME);
	buf_puts(&b, ", backward ");
	table_add_value(&b, r->time_s - r->forward_s, TABLE_TIME);
	put_item_buf(out, "time", &b);
	if (r->block_s > 0) {
		table_add_value(&b, r->block_s, TABLE_TIME);
		buf_puts(&b, " per block of attention and layer, one among "
			 "many; the layer's time is without attention and "
			 "what sticks out of its gradients, run apart");
		put_item_buf(out, "block", &b);
	}
	if (r->tokens_per_s > 0) {
		table_add_value(&b, r->tokens_per_s, TABLE_COUNT);
		buf_puts(&b, " tokens/s through the layer, all GPUs");
		put_item_buf(out, "speed", &b);
	}
	put_step(&r->step, out);
	table_add_value(&b, r->drop_fraction, TABLE_PERCENT);
	buf_puts(&b, " of the routed tokens dropped, ");
	table_add_value(&b, r->padding_fraction, TABLE_PERCENT);
	buf_puts(&b, " of the experts' rows are padding");
	put_item_buf(out, "tokens", &b);
	buf_release(&b);
}

static void put_memory(const struct plan_report *r, struct buf *out)
{
	const struct report_memory *m = &r->memory;
	const struct {
		const char *name;
		double bytes;
	} part[] = {
		{ "parameters", m->parameters },
		{ "gradients", m->gradients },
		{ "optimizer", m->optimizer },
		{ "activations", m->activations },
		{ "buffers", m->buffers },
	};
	struct buf b = { 0 };
	size_t i;

	if (!(m->total > 0))
		return;
	table_add_value(&b, m->total, TABLE_BYTES);
	buf_puts(&b, " per GPU:");
	for (i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		buf_addf(&b, "%s %s ", i ? "," : "", part[i].name);
		table_add_value(&b, part[i].bytes, TABLE_BYTES);
	}
	put_item_buf(out, "memory", &b);
	buf_release(&b);
}

static void put_plan(const struct plan_report *r, struct buf *out)
{
	struct buf b = { 0 };

	buf_puts(out, "\nPlan\n");
	plan_words(&r->plan, &b);
	text_wrap(out, "  ", buf_str(&b), TABLE_WIDTH);
	buf_clear(&b);
	buf_puts(out, "\n");
	plan_print(&r->plan, &b);
	put_item_buf(out, "knobs", &b);
	put_times(r, out);
	put_memory(r, out);
	buf_release(&b);
}

/* Time by what the ops do, most first. */
struct part {
	const char *name;
	double s;
	int order;
};

static int by_time(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->s != y->s)
		return x->s < y->s ? 1 : -1;
	return x->order - y->order;
}

static int sum_parts(const struct plan_report *r, struct part *part)
{
	const char *name;
	int i, k, n = 0;

	for (i = 0; i < OP_KIND_N; i++) {
		if (!r->kind_ps[i])
			continue;
		name = op_kind_breakdown((enum op_kind)i);
		for (k = 0; k < n && strcmp(part[k].name, name); k++)
			;
		if (k == n)
			part[n++] = (struct part){ name, 0, k };
		part[k].s += s_from_ps(r->kind_ps[i]);
	}
	qsort(part, (size_t)n, sizeof(*part), by_time);
	return n;
}

/* What the ops are shares of. */
static double whole_s(const struct plan_report *r)
{
	return r->block_s > 0 ? r->block_s : r->time_s;
}

static void put_shares(const struct plan_report *r, const char *title,
		       const struct part *part, int n, struct buf *out)
{
	const struct table_column columns[] = {
		{ title, TABLE_TEXT, 0, 0 },
		{ "time", TABLE_TIME, 0, 0 },
		{ r->block_s > 0 ? "of block" : "of layer", TABLE_PERCENT, 0,
		  0 },
		{ "", TABLE_BAR, 0, BAR_PT },
	};
	double whole = whole_s(r) > 0 ? whole_s(r) : 1;
	struct table t;
	int i;

	table_init(&t, columns, 4);
	for (i = 0; i < n; i++) {
		table_text(&t, part[i].name);
		table_value(&t, part[i].s);
		table_value(&t, part[i].s / whole);
		table_value(&t, part[i].s / whole);
	}
	table_print(&t, out, INDENT, TABLE_WIDTH);
	table_release(&t);
}

static enum lane busiest_lane(const struct plan_report *r)
{
	enum lane best = LANE_COMPUTE;
	int i;

	for (i = 0; i < LANE_N; i++) {
		if (r->lane_busy_ps[i] > r->lane_busy_ps[best])
			best = (enum lane)i;
	}
	return best;
}

static void put_limit(const struct plan_report *r, struct buf *out)
{
	enum lane lane = busiest_lane(r);
	struct buf b = { 0 };

	if (!r->lane_busy_ps[lane] || !(r->time_s > 0))
		return;
	buf_addf(&b, "What limits it: the %s lane, busy ", lane_name(lane));
	table_add_value(&b, s_from_ps(r->lane_busy_ps[lane]) / whole_s(r),
		  TABLE_PERCENT);
	buf_puts(&b, " of the time");
	if (r->n_links) {
		buf_puts(&b, "; the busiest link or unit is ");
		buf_puts(&b, r->link[0].name);
		buf_puts(&b, ", ");
		table_add_value(&b, r->link[0].utilisation, TABLE_PERCENT);
		buf_puts(&b, r->block_s > 0 ? " used over the block" :
			 " used over the layer");
	}
	buf_puts(&b, ".");
	text_wrap(out, "  ", buf_str(&b), TABLE_WIDTH);
	buf_release(&b);
}

/* How many links from i on show the same share: a balanced exchange. */
static int count_alike(const struct plan_report *r, int i)
{
	int n = 1;

	while (i + n < r->n_links &&
	       fabs(r->link[i + n].utilisation - r->link[i].utilisation) <
	       ALIKE)
		n++;
	return n;
}

static void put_links(const struct plan_report *r, int rows, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "busiest links", TABLE_TEXT, 0, 0 },
		{ "used", TABLE_PERCENT, 0, 0 },
		{ "", TABLE_BAR, 0, BAR_PT },
	};
	struct table t;
	char *name;
	int i, n;

	if (!r->n_links)
		return;
	buf_puts(out, "\n");
	table_init(&t, columns, 3);
	for (i = 0; i < r->n_links && rows--; i += n) {
		n = count_alike(r, i);
		name = n > 1 ? xasprintf("%s, and %d more", r->link[i].name,
					 n - 1) : xstrdup(r->link[i].name);
		table_text(&t, name);
		free(name);
		table_value(&t, r->link[i].utilisation);
		table_value(&t, r->link[i].utilisation);
	}
	table_print(&t, out, INDENT, TABLE_WIDTH);
	table_release(&t);
}

static void put_why(const struct plan_report *r, bool explain,
		    struct buf *out)
{
	struct part part[OP_KIND_N], lane[LANES_ALL];
	int i, n = sum_parts(r, part);
	int lanes = r->lane_busy_ps[LANE_HOST] ? LANES_ALL : LANE_N;

	buf_puts(out, "\nWhy\n");
	put_limit(r, out);
	if (n) {
		buf_puts(out, "\n");
		put_shares(r, "work", part, n, out);
	}
	buf_puts(out, "\n");
	for (i = 0; i < lanes; i++)
		lane[i] = (struct part){ lane_name((enum lane)i),
					 s_from_ps(r->lane_busy_ps[i]), i };
	put_shares(r, "lane", lane, lanes, out);
	put_links(r, explain ? r->n_links : LINKS_SHOWN, out);
}

/* Systems that are faster, and why they are not the plan. */
static void put_outside(const struct plan_report *r, struct buf *out)
{
	struct buf b = { 0 };

	for (int i = 0; i < r->n_baselines; i++) {
		const struct report_baseline *l = &r->baseline[i];

		if (!l->outside || !(l->time_s < r->time_s * (1 - AS_FAST)))
			continue;
		buf_addf(&b, "%s is faster, but outside of what may be "
			 "searched: %s.", l->system, l->outside);
		text_wrap(out, "  ", buf_str(&b), TABLE_WIDTH);
		buf_clear(&b);
	}
	buf_release(&b);
}

static void put_gain(const struct plan_report *r, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "system", TABLE_TEXT, 0, 0 },
		{ "time", TABLE_TIME, 0, 0 },
		{ "gain of the plan", TABLE_FACTOR, 0, 0 },
		{ "time against the slowest", TABLE_BAR, 0, BAR_PT },
	};
	double worst = r->time_s;
	struct table t;
	int i;

	if (!r->n_baselines)
		return;
	for (i = 0; i < r->n_baselines; i++) {
		if (r->baseline[i].time_s > worst)
			worst = r->baseline[i].time_s;
	}
	buf_puts(out, "\nGain\n");
	table_init(&t, columns, 4);
	table_text(&t, "this plan");
	table_value(&t, r->time_s);
	table_blank(&t);
	table_value(&t, r->time_s / worst);
	for (i = 0; i < r->n_baselines; i++) {
		table_text(&t, r->baseline[i].system);
		table_value(&t, r->baseline[i].time_s);
		table_value(&t, r->baseline[i].speedup);
		table_value(&t, r->baseline[i].time_s / worst);
	}
	table_print(&t, out, INDENT, TABLE_WIDTH);
	table_release(&t);
	put_outside(r, out);
}

void plan_provenance(const struct plan_report *r, struct buf *out)
{
	buf_puts(out, "simulated; costs: ");
	if (r->cost_note)
		buf_puts(out, r->cost_note);
	else
		buf_addf(out, "GPU data sheet and named efficiencies (%s)",
			 curve_source_name(r->cost_source));
}

static void put_foot(const struct plan_report *r, struct buf *out)
{
	const struct scenario *s = r->scenario;
	struct buf b = { 0 };

	plan_provenance(r, &b);
	buf_puts(out, "\n");
	text_wrap(out, "", buf_str(&b), TABLE_WIDTH);
	if (*s->cluster.gpu.provenance)
		text_wrap(out, "GPU: ", s->cluster.gpu.provenance,
			  TABLE_WIDTH);
	if (*s->model.provenance)
		text_wrap(out, "model: ", s->model.provenance, TABLE_WIDTH);
	buf_release(&b);
}

void plan_text(const struct plan_report *r, bool explain, struct buf *out)
{
	struct buf line = { 0 };

	plan_scenario_line(r->scenario, &line);
	text_wrap(out, "", buf_str(&line), TABLE_WIDTH);
	buf_release(&line);
	put_scenario(r->scenario, out);
	put_plan(r, out);
	put_why(r, explain, out);
	put_gain(r, out);
	plan_explain_candidates(r, explain, out);
	if (explain)
		plan_explain_gains(r, out);
	if (explain)
		plan_explain_search(r, out);
	put_foot(r, out);
}
