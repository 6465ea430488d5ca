/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast topo: the cluster as a tree in text, as JSON, as a drawing. */
#include "base/buf.h"
#include "base/units.h"
#include "cli/cli.h"
#include "reports/draw.h"
#include "reports/gnuplot.h"
#include "reports/table.h"
#include "scenarios/keys.h"
#include "sim/net_fault.h"

#include <math.h>
#include <stdio.h>

struct opts {
	struct cli_common common;
	const char *figure;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "also draw the cluster into FILE.svg or FILE.png", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'o':
		o->figure = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 },
					      { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SCENARIO",
	.doc = "Shows the scenario's cluster: its links with their rates.",
	.children = children,
};

/* Of one link of a class; of the fastest where some are degraded. */
static double class_Bps(const struct net *net, int k)
{
	double most = 0;

	for (int i = 0; i < net->count[k]; i++)
		most = fmax(most, net->capacity_Bps[net->first[k] + i]);
	return most;
}

static double class_sum_Bps(const struct net *net, int k)
{
	double sum = 0;

	for (int i = 0; net->uneven && i < net->count[k]; i++) {
		int link = net->first[k] + i;

		sum += net_link_gone(net, link) ? 0 : net->capacity_Bps[link];
	}
	return net->uneven ? sum : class_Bps(net, k) * net->count[k];
}

/* ---- JSON ---- */

static json_t *json_tiers(const struct net *net)
{
	json_t *out = json_array();
	int k;

	for (k = 0; k < LINK_CLASS_N; k++) {
		if (!net->count[k])
			continue;
		json_array_append_new(out, json_pack("{s:s, s:i, s:f}",
			"tier", link_class_name((enum link_class)k),
			"links", net->count[k],
			"capacity_Bps", class_Bps(net, k)));
	}
	return out;
}

static json_t *json_degraded(const struct cluster *c)
{
	json_t *out = json_array();

	for (int i = 0; i < c->n_faults; i++) {
		const struct degraded *f = &c->fault[i];
		json_t *row = json_pack("{s:s, s:i, s:f}",
					"part", fault_kind_name(f->kind),
					"index", f->index, "share", f->share);

		if (f->kind != FAULT_LEAF)
			json_object_set_new(row, "node", json_integer(f->node));
		json_array_append_new(out, row);
	}
	return out;
}

static enum status print_json(const struct net *net)
{
	const struct cluster *c = &net->cluster;
	json_t *root = json_pack(
		"{s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:o}",
		"schema", "moecast.topo/1",
		"gpu", c->gpu.name,
		"gpus", net->n_ranks,
		"nodes", c->nodes,
		"gpus_per_node", c->gpus_per_node,
		"links", net->n_links,
		"bisection_Bps", net_bisection_Bps(net),
		"intra_latency_s", c->intra.latency_s,
		"nic_latency_s", c->nodes > 1 ? c->nic.latency_s : 0.0,
		"tiers", json_tiers(net));

	if (c->n_faults)
		json_object_set_new(root, "degraded", json_degraded(c));
	return cli_print_json(root);
}

/* ---- text ---- */

static void put_line(struct buf *out, const char *head, struct buf *text)
{
	text_wrap(out, head, buf_str(text), TABLE_WIDTH);
	buf_clear(text);
}

/* What a node's GPUs are joined by, one line per class of links. */
static void put_intra(const struct net *net, const char *head,
		      struct buf *out)
{
	const struct cluster *c = &net->cluster;
	struct buf b = { 0 };
	int k;

	for (k = 0; k < LINK_NIC_UP; k++) {
		if (!net->count[k])
			continue;
		buf_addf(&b, "%d x %s: ", net->count[k] / c->nodes,
			 link_class_name((enum link_class)k));
		table_add_value(&b, class_Bps(net, k), TABLE_RATE);
		put_line(out, head, &b);
	}
	if (c->gpus_per_node > 1) {
		buf_puts(&b, "latency ");
		table_add_value(&b, c->intra.latency_s, TABLE_TIME);
		buf_puts(&b, " from GPU to GPU");
		put_line(out, head, &b);
	}
	buf_release(&b);
}

static void put_nics(const struct net *net, const char *head, struct buf *out)
{
	const struct cluster *c = &net->cluster;
	struct buf b = { 0 };

	if (c->nodes == 1)
		return;
	buf_addf(&b, "%d x NIC port: ", net->count[LINK_NIC_UP] / c->nodes);
	table_add_value(&b, class_Bps(net, LINK_NIC_UP), TABLE_RATE);
	buf_puts(&b, " up and down, latency ");
	table_add_value(&b, c->nic.latency_s, TABLE_TIME);
	put_line(out, head, &b);
	buf_release(&b);
}

static void put_nodes(const struct net *net, struct buf *out)
{
	const struct cluster *c = &net->cluster;
	bool last = c->nodes == 1;
	const char *head = last ? "    |-- " : "|   |-- ";
	struct buf b = { 0 };

	buf_addf(out, "%s-- node 0\n", last ? "`" : "|");
	buf_addf(&b, "%d x %s, ", c->gpus_per_node, c->gpu.name);
	table_add_value(&b, c->gpu.hbm_bytes, TABLE_BYTES);
	buf_puts(&b, " each");
	put_line(out, head, &b);
	put_nics(net, head, out);
	buf_addf(&b, "inside: %s", key_enum_name("cluster.intra.kind",
					     (int)c->intra.kind));
	put_line(out, last ? "    `-- " : "|   `-- ", &b);
	put_intra(net, last ? "        " : "|       ", out);
	if (c->nodes == 2)
		buf_puts(out, "|-- node 1: the same\n");
	else if (c->nodes > 2)
		buf_addf(out, "|-- nodes 1..%d: the same\n", c->nodes - 1);
	buf_release(&b);
}

static void add_oversubscription(const struct cluster *c, struct buf *b)
{
	if (c->fabric.kind == FABRIC_NONBLOCKING)
		return;
	buf_addf(b, ", %.4g:1 oversubscribed", c->fabric.oversubscription);
	if (c->fabric.kind == FABRIC_FAT_TREE)
		buf_addf(b, " at the leaves, %.4g:1 at the pods",
			 c->fabric.core_oversubscription);
}

static void put_fabric(const struct net *net, struct buf *out)
{
	static const struct {
		enum link_class up;
		const char *name;
	} tiers[] = { { LINK_LEAF_UP, NULL }, { LINK_POD_UP, "pod" } };
	static const char *const leaf_names[] = {
		[FABRIC_NONBLOCKING] = "leaf", [FABRIC_RAIL] = "rail",
		[FABRIC_LEAF_SPINE] = "leaf", [FABRIC_FAT_TREE] = "leaf",
		[FABRIC_RACK] = "rack",
	};
	const struct cluster *c = &net->cluster;
	struct buf b = { 0 };
	size_t i;

	if (c->nodes == 1)
		return;
	buf_addf(&b, "fabric: %s", key_enum_name("cluster.fabric.kind",
					     (int)c->fabric.kind));
	add_oversubscription(c, &b);
	if (c->pxn)
		buf_puts(&b, "; PXN");
	put_line(out, "`-- ", &b);
	for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
		if (!net->count[tiers[i].up])
			continue;
		buf_addf(&b, "%d x %s: ", net->count[tiers[i].up],
			 tiers[i].name ? tiers[i].name :
			 leaf_names[c->fabric.kind]);
		table_add_value(&b, class_Bps(net, (int)tiers[i].up), TABLE_RATE);
		buf_puts(&b, " up and down");
		put_line(out, "    ", &b);
	}
	buf_release(&b);
}

static void put_tiers(const struct net *net, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "links", TABLE_TEXT, 0, 0 },
		{ "number", TABLE_COUNT, 0, 0 },
		{ "rate of one", TABLE_RATE, 0, 0 },
		{ "all together", TABLE_RATE, 0, 0 },
	};
	struct table t;
	int k;

	table_init(&t, columns, 4);
	for (k = 0; k < LINK_CLASS_N; k++) {
		if (!net->count[k])
			continue;
		table_text(&t, link_class_name((enum link_class)k));
		table_value(&t, net->count[k]);
		table_value(&t, class_Bps(net, k));
		table_value(&t, class_sum_Bps(net, k));
	}
	if (t.n_cells) {
		buf_puts(out, "\n");
		table_print(&t, out, 2, TABLE_WIDTH);
	}
	table_release(&t);
}

/* Parts that faults.degraded names, and where their traffic goes. */
static void put_degraded(const struct net *net, struct buf *out)
{
	const struct cluster *c = &net->cluster;

	for (int i = 0; i < c->n_faults; i++) {
		const struct degraded *f = &c->fault[i];

		buf_addf(out, "%s  %s ", i ? "" : "\ndegraded\n",
			 fault_kind_name(f->kind));
		if (f->kind != FAULT_LEAF)
			buf_addf(out, "%d:", f->node);
		buf_addf(out, "%d: ", f->index);
		if (f->share > 0)
			buf_addf(out, "at %.4g %% of its speed\n",
				 100 * f->share);
		else if (f->kind == FAULT_NIC)
			buf_addf(out, "gone; its traffic by nic %d:%d\n",
				 f->node, net_fault_port(net, f->node,
							 f->index));
		else if (f->kind == FAULT_LEAF && net->port_gone)
			buf_addf(out, "gone; its traffic by rail %d\n",
				 net_fault_port(net, 0, f->index));
		else
			buf_puts(out, "gone\n");
	}
}

static void print_text(const struct net *net)
{
	const struct cluster *c = &net->cluster;
	struct buf out = { 0 }, b = { 0 };

	table_add_value(&b, net->n_ranks, TABLE_COUNT);
	buf_addf(&b, " GPU%s in ", net->n_ranks == 1 ? "" : "s");
	table_add_value(&b, c->nodes, TABLE_COUNT);
	buf_addf(&b, " node%s, ", c->nodes == 1 ? "" : "s");
	table_add_value(&b, net->n_links, TABLE_COUNT);
	buf_addf(&b, " directed link%s, bisection ",
		 net->n_links == 1 ? "" : "s");
	table_add_value(&b, net_bisection_Bps(net), TABLE_RATE);
	buf_puts(&b, " each way (data sheet rates)");
	put_line(&out, "", &b);
	put_nodes(net, &out);
	put_fabric(net, &out);
	put_tiers(net, &out);
	put_degraded(net, &out);
	fputs(buf_str(&out), stdout);
	buf_release(&out);
	buf_release(&b);
}

static enum status draw(const struct net *net, const char *path)
{
	const struct draw_rates rates = {
		.leaf_Bps = class_Bps(net, LINK_LEAF_UP),
		.pod_Bps = class_Bps(net, LINK_POD_UP),
	};
	struct drawing d;
	enum status st;

	drawing_init(&d);
	draw_cluster(&d, &net->cluster, &rates);
	st = drawing_write(&d, path);
	drawing_release(&d);
	return st;
}

static enum status show(const struct opts *o, const struct cluster *c)
{
	struct net net;
	enum status st = net_init(&net, c, NET_NOMINAL);

	if (st)
		return st;
	if (o->figure)
		st = draw(&net, o->figure);
	if (!st && o->common.json)
		st = print_json(&net);
	else if (!st)
		print_text(&net);
	net_release(&net);
	return st;
}

enum status cmd_topo(int argc, char **argv)
{
	struct opts o = { 0 };
	enum figure_format format;
	struct scenario s;
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st && o.figure)
		st = figure_format_find(o.figure, &format);
	if (!st)
		st = cli_load_cluster(&o.common, &s);
	if (!st) {
		st = show(&o, &s.cluster);
		scenario_release(&s);
	}
	cli_common_release(&o.common);
	return st;
}
