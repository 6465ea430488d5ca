/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From bottom to top: what joins a node's GPUs, the GPUs, their NICs, leaves
 * or rails, and the tier above them.
 */
#include "reports/draw.h"

#include "base/mem.h"
#include "base/units.h"
#include "reports/chart_style.h"
#include "reports/draw_fault.h"
#include "reports/table.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES_SHOWN 3	/* the last of them is the cluster's last */
#define GPUS_SHOWN 8
#define GPU_PT 26
#define GPU_PITCH 31
#define NODE_PAD 12
#define NODE_GAP 14
#define MORE_PT 84	/* "... 12,496 more" between nodes */
#define EDGE 18
#define ROW_INTRA 64	/* below the GPUs */
#define ROW_GPU 22
#define ROW_NIC 18
#define ROW_TIER 24	/* a leaf, a spine */
#define ROW_GAP 34	/* where lines run */
#define HEAD_PT 56

#define FILL_NODE 0xf5f5f5u
#define FILL_GPU 0xcfe8d8u
#define FILL_NIC 0xffe3b3u
#define FILL_LINK 0xcfe3f3u	/* switches inside a node */
#define FILL_LEAF 0xf3d9e6u
#define FILL_SPINE 0xe5d4ecu
#define RGB_WIRE 0x8a8a8au

struct view {
	struct drawing *d;
	const struct cluster *c;
	const struct draw_rates *rates;
	int node[NODES_SHOWN];	/* which nodes are drawn */
	double node_x[NODES_SHOWN];	/* left edges */
	int n_nodes;
	int gpu[GPUS_SHOWN];	/* which local ranks are drawn */
	int n_gpus;
	double node_width, top;	/* top: upper edge of the nodes' boxes */
	double y_gpu, y_nic;	/* lower edges */
};

/* The first ones and the last of n. */
static int pick(int n, int max, int *out)
{
	int shown = n < max ? n : max, i;

	for (i = 0; i < shown; i++)
		out[i] = i == shown - 1 ? n - 1 : i;
	return shown;
}

static double gpu_x(const struct view *v, int i, int k)
{
	return v->node_x[i] + NODE_PAD + k * GPU_PITCH + GPU_PT / 2.0;
}

/* A text cut to `room`, or left out when nothing useful fits. */
static void put_text(struct view *v, double x, double y, int size,
		     double room, const char *text)
{
	char *cut = chart_cut(text, size, room);

	if (room > 2 * size)
		drawing_text(v->d, x, y, size, cut);
	free(cut);
}

static void put_box(struct view *v, double x0, double y0, double x1,
		    double y1, unsigned fill, const char *text)
{
	drawing_rect(v->d, x0, y0, x1, y1, fill);
	put_text(v, (x0 + x1) / 2, (y0 + y1) / 2, FONT_SMALL, x1 - x0 - 4,
		 text);
}

static void put_wire(struct view *v, double x0, double y0, double x1,
		     double y1)
{
	drawing_line(v->d, x0, y0, x1, y1)->edge = RGB_WIRE;
}

static char *rate_text(const char *before, double rate_Bps, const char *after)
{
	char text[UNIT_TEXT_MAX];

	return xasprintf("%s%s%s", before,
			 unit_human(rate_Bps, U_RATE, text, sizeof(text)),
			 after);
}

/* "NVSwitch, 450 GB/s per GPU", or the beginning of it that fits. */
static void put_rate_box(struct view *v, double x0, double y0, double x1,
			 double y1, unsigned fill, const char *name,
			 double rate_Bps, const char *after)
{
	char *text = rate_Bps > 0 ? rate_text(name, rate_Bps, after) :
		     xstrdup(name);

	if (rate_Bps > 0 && chart_text_pt(text, FONT_SMALL) > x1 - x0 - 4) {
		free(text);
		text = rate_text(name, rate_Bps, "");
	}
	put_box(v, x0, y0, x1, y1, fill, text);
	free(text);
}

static double inner_left(const struct view *v, int i)
{
	return v->node_x[i] + NODE_PAD;
}

static double inner_right(const struct view *v, int i)
{
	return v->node_x[i] + v->node_width - NODE_PAD;
}

static void put_nvswitch(struct view *v, int i)
{
	double y = v->y_gpu - 36;
	int k;

	for (k = 0; k < v->n_gpus; k++)
		put_wire(v, gpu_x(v, i, k), v->y_gpu, gpu_x(v, i, k), y);
	put_rate_box(v, inner_left(v, i), y - ROW_GPU, inner_right(v, i), y,
		     FILL_LINK, "NVSwitch, ", v->c->intra.bandwidth_Bps,
		     " per GPU");
}

/* Every pair: two lines that meet below, deeper the farther apart. */
static void put_mesh(struct view *v, int i)
{
	char *text = rate_text("NVLink mesh, ", v->c->intra.bandwidth_Bps,
			       " per GPU");
	double a, b, y;
	int j, k;

	for (j = 0; j < v->n_gpus; j++) {
		for (k = j + 1; k < v->n_gpus; k++) {
			a = gpu_x(v, i, j);
			b = gpu_x(v, i, k);
			y = v->y_gpu - 8 - 32.0 * (k - j) / v->n_gpus;
			put_wire(v, a, v->y_gpu, (a + b) / 2, y);
			put_wire(v, b, v->y_gpu, (a + b) / 2, y);
		}
	}
	put_text(v, (inner_left(v, i) + inner_right(v, i)) / 2,
		 v->y_gpu - ROW_INTRA + 12, FONT_SMALL,
		 inner_right(v, i) - inner_left(v, i), text);
	free(text);
}

static void put_pairs(struct view *v, int i)
{
	double y = v->y_gpu + ROW_GPU / 2.0;
	int k;

	for (k = 0; k + 1 < v->n_gpus; k++) {
		if (v->gpu[k] % 2 == 0 && v->gpu[k + 1] == v->gpu[k] + 1)
			drawing_line(v->d, gpu_x(v, i, k), y,
				     gpu_x(v, i, k + 1), y)->line_width = 4;
	}
}

/* Switches that join neighbouring GPUs, and one bar for what joins them. */
static void put_pcie(struct view *v, int i)
{
	int per = v->c->intra.gpus_per_switch, k, from = 0;
	double y = v->y_gpu - 12, x0, x1;
	bool pairs = v->c->intra.kind == INTRA_NVLINK_PAIRS;

	per = per > 0 ? per : v->c->gpus_per_node;
	for (k = 0; k < v->n_gpus; k++) {
		put_wire(v, gpu_x(v, i, k), v->y_gpu, gpu_x(v, i, k), y);
		if (k + 1 < v->n_gpus &&
		    v->gpu[k + 1] / per == v->gpu[from] / per)
			continue;
		x0 = gpu_x(v, i, from) - GPU_PT / 2.0;
		x1 = gpu_x(v, i, k) + GPU_PT / 2.0;
		put_wire(v, (x0 + x1) / 2, y - 16, (x0 + x1) / 2, y - 26);
		put_box(v, x0, y - 16, x1, y, FILL_LINK, x1 - x0 > 60 ?
			"PCIe switch" : "sw");
		from = k + 1;
	}
	put_rate_box(v, inner_left(v, i), y - 44, inner_right(v, i), y - 26,
		     FILL_LINK, pairs ? "hosts; PCIe " : "host sockets; PCIe ",
		     v->c->intra.pcie_Bps, " per GPU");
}

static void put_intra(struct view *v, int i)
{
	switch (v->c->intra.kind) {
	case INTRA_NVSWITCH:
		put_nvswitch(v, i);
		break;
	case INTRA_NVLINK_MESH:
		put_mesh(v, i);
		break;
	case INTRA_NVLINK_PAIRS:
		put_pairs(v, i);
		put_pcie(v, i);
		break;
	case INTRA_PCIE:
		put_pcie(v, i);
		break;
	}
}

/* Boxes of NICs: one per shown GPU, or the node's own. */
static int n_nics(const struct view *v)
{
	int per_node = v->c->nic.per_node;

	if (v->c->nodes == 1)
		return 0;
	return per_node && per_node < v->n_gpus ? per_node : v->n_gpus;
}

static double nic_x(const struct view *v, int i, int k)
{
	double width = v->n_gpus * GPU_PITCH;
	int n = n_nics(v);

	return n == v->n_gpus ? gpu_x(v, i, k) :
	       inner_left(v, i) + width * (k + 0.5) / n;
}

static int nic_of(const struct view *v, int k)
{
	return k * n_nics(v) / v->n_gpus;
}

/* Its number among the node's NIC ports. */
static int port_of(const struct view *v, int k)
{
	return n_nics(v) == v->n_gpus ? v->gpu[k] : k;
}

struct place {
	double x0, y0, x1, y1;
};

/* A box that may be degraded; then its name makes room for the share. */
static void put_part(struct view *v, enum fault_kind kind, int node,
		     int index, const struct place *at, unsigned fill,
		     const char *text)
{
	double share = draw_fault_share(v->c, kind, node, index);
	char name[64] = "";

	if (share == 1) {
		put_box(v, at->x0, at->y0, at->x1, at->y1, fill, text);
		return;
	}
	if (kind == FAULT_LEAF)
		snprintf(name, sizeof(name), "%.50s: ", text);
	draw_fault_box(v->d, at->x0, at->y0, at->x1, at->y1, name, share);
}

static void put_nics(struct view *v, int i)
{
	int n = n_nics(v), k, many = v->c->nic.per_gpu;
	char text[32];

	snprintf(text, sizeof(text), many > 1 ? "%dx" : "NIC", many);
	for (k = 0; n && k < v->n_gpus; k++)
		put_wire(v, gpu_x(v, i, k), v->y_gpu + ROW_GPU,
			 nic_x(v, i, nic_of(v, k)), v->y_nic);
	for (k = 0; k < n; k++)
		put_part(v, FAULT_NIC, v->node[i], port_of(v, k),
			 &(struct place){ nic_x(v, i, k) - GPU_PT / 2.0,
					  v->y_nic,
					  nic_x(v, i, k) + GPU_PT / 2.0,
					  v->y_nic + ROW_NIC }, FILL_NIC,
			 text);
}

static void put_gpus(struct view *v, int i)
{
	char text[32];
	double x;
	int k;

	for (k = 0; k < v->n_gpus; k++) {
		x = gpu_x(v, i, k);
		snprintf(text, sizeof(text), "%d", v->gpu[k]);
		put_part(v, FAULT_GPU, v->node[i], v->gpu[k],
			 &(struct place){ x - GPU_PT / 2.0, v->y_gpu,
					  x + GPU_PT / 2.0,
					  v->y_gpu + ROW_GPU }, FILL_GPU,
			 text);
	}
}

/* Of the wires between GPUs and what joins them. */
static void put_port_faults(struct view *v, int i)
{
	static const struct {
		enum fault_kind kind;
		double below_pt;	/* the GPUs; PCIe switches are near */
	} ports[] = { { FAULT_NVLINK, 16 }, { FAULT_PCIE, 6 } };

	for (int k = 0; k < 2 * v->n_gpus; k++) {
		int at = k / 2, p = k % 2;
		double share = draw_fault_share(v->c, ports[p].kind,
						v->node[i], v->gpu[at]);

		if (share < 1)
			draw_fault_mark(v->d, gpu_x(v, i, at), v->y_gpu -
					ports[p].below_pt, share);
	}
}

static void put_node(struct view *v, int i)
{
	double x = v->node_x[i], bottom = v->y_gpu - ROW_INTRA - 24;
	char *text = xasprintf("node %d%s", v->node[i], v->n_gpus <
			       v->c->gpus_per_node ? " (first GPUs and the "
			       "last)" : "");

	drawing_rect(v->d, x, bottom, x + v->node_width, v->top, FILL_NODE);
	put_text(v, x + v->node_width / 2, bottom + 12, FONT_BODY,
		 v->node_width - 8, text);
	free(text);
	put_intra(v, i);
	put_port_faults(v, i);
	put_gpus(v, i);
	put_nics(v, i);
}

static void put_more(struct view *v)
{
	double x = v->node_x[v->n_nodes - 1] - NODE_GAP - MORE_PT / 2.0;
	char number[TABLE_VALUE_MAX], text[TABLE_VALUE_MAX + 8];

	if (v->c->nodes <= v->n_nodes)
		return;
	table_value_text(v->c->nodes - v->n_nodes, TABLE_COUNT, number,
			 sizeof(number));
	snprintf(text, sizeof(text), "%s more", number);
	drawing_text(v->d, x, v->y_gpu + 18, FONT_TITLE, ". . .");
	drawing_text(v->d, x, v->y_gpu, FONT_BODY, text);
}

static double fabric_left(const struct view *v)
{
	return v->node_x[0];
}

static double fabric_right(const struct view *v)
{
	return v->node_x[v->n_nodes - 1] + v->node_width;
}

/* Wires from every drawn NIC of node i straight up. */
static void put_uplinks(struct view *v, int i, double y)
{
	int k;

	for (k = 0; k < n_nics(v); k++)
		put_wire(v, nic_x(v, i, k), v->y_nic + ROW_NIC,
			 nic_x(v, i, k), y);
}

/* One bar over everything; returns its upper edge. */
static double put_bar(struct view *v, double y, const char *name,
		      double rate_Bps, const char *after)
{
	put_rate_box(v, fabric_left(v), y, fabric_right(v), y + ROW_TIER,
		     FILL_SPINE, name, rate_Bps, after);
	return y + ROW_TIER;
}

static double put_nonblocking(struct view *v)
{
	double y = v->top + ROW_GAP;
	int i;

	for (i = 0; i < v->n_nodes; i++)
		put_uplinks(v, i, y);
	return put_bar(v, y, "nonblocking network; NIC ",
		       v->c->nic.bandwidth_Bps, " each way");
}

/* Rail r joins the NICs r of all nodes. */
static double put_rails(struct view *v)
{
	double y = v->top + 2 * ROW_GAP, left = fabric_left(v), x;
	int n = n_nics(v), i, k;
	double pitch = (fabric_right(v) - left) / n;
	char text[32];

	for (k = 0; k < n; k++) {
		x = left + (k + 0.5) * pitch;
		for (i = 0; i < v->n_nodes; i++)
			put_wire(v, nic_x(v, i, k), v->y_nic + ROW_NIC, x, y);
		put_wire(v, x, y + ROW_TIER, x, y + ROW_TIER + ROW_GAP);
	}
	for (k = 0; k < n; k++) {
		x = left + k * pitch;
		snprintf(text, sizeof(text), "rail %d", port_of(v, k));
		put_part(v, FAULT_LEAF, 0, port_of(v, k),
			 &(struct place){ x + 4, y, x + pitch - 4,
					  y + ROW_TIER }, FILL_LEAF, text);
	}
	return put_bar(v, y + ROW_TIER + ROW_GAP, "spine; every rail "
		       "reaches it with ", v->rates->leaf_Bps, " each way");
}

/*
 * Boxes of groups of `per` nodes each, at height y over the drawn nodes, with
 * wires up; leaves: which faults may name. Returns the upper edge.
 */
static double put_groups(struct view *v, double y, int per, bool leaves,
			 const char *name, const char *after)
{
	double x0, x1;
	char text[96];
	int i, from = 0;

	per = per > 0 ? per : 1;
	for (i = 0; i < v->n_nodes; i++) {
		if (i + 1 < v->n_nodes &&
		    v->node[i + 1] / per == v->node[from] / per)
			continue;
		x0 = v->node_x[from];
		x1 = v->node_x[i] + v->node_width;
		snprintf(text, sizeof(text), "%s %d%s", name,
			 v->node[from] / per, after);
		put_wire(v, (x0 + x1) / 2, y + ROW_TIER, (x0 + x1) / 2,
			 y + ROW_TIER + ROW_GAP);
		if (leaves)
			put_part(v, FAULT_LEAF, 0, v->node[from] / per,
				 &(struct place){ x0, y, x1, y + ROW_TIER },
				 FILL_LEAF, text);
		else
			put_box(v, x0, y, x1, y + ROW_TIER, FILL_LEAF, text);
		from = i + 1;
	}
	return y + ROW_TIER;
}

static double put_leaves(struct view *v)
{
	bool pods = v->c->fabric.kind == FABRIC_FAT_TREE;
	double y = v->top + ROW_GAP;
	int per = v->c->fabric.nodes_per_leaf, i;

	for (i = 0; i < v->n_nodes; i++)
		put_uplinks(v, i, y);
	y = put_groups(v, y, per, true, "leaf", "");
	if (!pods)
		return put_bar(v, y + ROW_GAP, "spine; every leaf reaches it "
			       "with ", v->rates->leaf_Bps, " each way");
	y = put_groups(v, y + ROW_GAP, per * v->c->fabric.leaves_per_pod,
		       false, "pod", "");
	return put_bar(v, y + ROW_GAP, "core; every pod reaches it with ",
		       v->rates->pod_Bps, " each way");
}

/* A rack is one NVLink domain; its NICs go up to the scale-out network. */
static double put_racks(struct view *v)
{
	double y = v->top + ROW_GAP;
	int per = v->c->fabric.gpus_per_rack / v->c->gpus_per_node, i;

	for (i = 0; i < v->n_nodes; i++)
		put_uplinks(v, i, y);
	y = put_groups(v, y, per, true, "rack", ": one NVLink domain");
	return put_bar(v, y + ROW_GAP, "scale-out network; every rack "
		       "reaches it with ", v->rates->leaf_Bps, " each way");
}

static double put_fabric(struct view *v)
{
	if (v->c->nodes == 1)
		return v->top;
	switch (v->c->fabric.kind) {
	case FABRIC_NONBLOCKING:
		return put_nonblocking(v);
	case FABRIC_RAIL:
		return put_rails(v);
	case FABRIC_LEAF_SPINE:
	case FABRIC_FAT_TREE:
		return put_leaves(v);
	case FABRIC_RACK:
		return put_racks(v);
	}
	return v->top;
}

/* Nodes with faults first, then the cluster's first, last and second. */
static void show_faulty(struct view *v)
{
	const int others[] = { 0, v->c->nodes - 1, 1 };
	int n = draw_fault_nodes(v->c, v->n_nodes, v->node);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		n = draw_fault_node_add(others[i], v->n_nodes, v->node, n);
}

static void view_init(struct view *v)
{
	double x = EDGE;
	int i;

	v->n_nodes = pick(v->c->nodes, NODES_SHOWN, v->node);
	if (v->c->n_faults)
		show_faulty(v);
	v->n_gpus = pick(v->c->gpus_per_node, GPUS_SHOWN, v->gpu);
	v->node_width = v->n_gpus * GPU_PITCH - (GPU_PITCH - GPU_PT) +
			2 * NODE_PAD;
	for (i = 0; i < v->n_nodes; i++) {
		if (i && i == v->n_nodes - 1 && v->c->nodes > v->n_nodes)
			x += MORE_PT + NODE_GAP;
		v->node_x[i] = x;
		x += v->node_width + NODE_GAP;
	}
	v->y_gpu = EDGE + 24 + ROW_INTRA + 20;
	v->y_nic = v->y_gpu + ROW_GPU + 20;
	v->top = v->c->nodes == 1 ? v->y_gpu + ROW_GPU + NODE_PAD :
		 v->y_nic + ROW_NIC + NODE_PAD;
}

static void put_head(struct view *v)
{
	const struct cluster *c = v->c;
	char text[UNIT_TEXT_MAX], *line;
	double room = v->d->width - 2 * EDGE, y = v->d->height - EDGE - 4;
	struct shape *s;

	line = xasprintf("%d node%s of %d x %s", c->nodes,
			 c->nodes == 1 ? "" : "s", c->gpus_per_node,
			 c->gpu.name);
	s = drawing_text(v->d, EDGE, y, FONT_TITLE, line);
	free(line);
	line = s->text;
	s->text = chart_cut(line, FONT_TITLE, room / 1.1);
	s->bold = true;
	s->align = SHAPE_LEFT;
	free(line);
	if (c->nodes == 1)
		return;
	unit_human(c->nic.bandwidth_Bps, U_RATE, text, sizeof(text));
	line = xasprintf("%d NIC%s per %s, %s each way%s",
			 c->nic.per_gpu ? c->nic.per_gpu : c->nic.per_node,
			 (c->nic.per_gpu ? c->nic.per_gpu : c->nic.per_node) ==
			 1 ? "" : "s", c->nic.per_gpu ? "GPU" : "node", text,
			 c->pxn ? "; PXN" : "");
	s = drawing_text(v->d, EDGE, y - 18, FONT_SMALL, line);
	s->align = SHAPE_LEFT;
	s->edge = RGB_SOFT;
	free(line);
}

#define WIDTH_LEAST 320	/* one node with one GPU still has its title */

void draw_cluster(struct drawing *d, const struct cluster *c,
		  const struct draw_rates *r)
{
	struct view v = { .d = d, .c = c, .rates = r };
	double top;
	int i;

	view_init(&v);
	d->width = fabric_right(&v) + EDGE;
	if (d->width < WIDTH_LEAST)
		d->width = WIDTH_LEAST;
	for (i = 0; i < v.n_nodes; i++)
		put_node(&v, i);
	put_more(&v);
	top = put_fabric(&v);
	d->height = top + HEAD_PT + draw_fault_notes_pt(c);
	put_head(&v);
	draw_fault_notes(d, c, EDGE, d->height - HEAD_PT - 4,
			 d->width - 2 * EDGE);
}
