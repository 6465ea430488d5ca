/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/node_topo.h"

#include "base/units.h"
#include "scenarios/devices.h"

#include <stdio.h>
#include <string.h>

/* ---- NVLink ---- */

/* What the matrix of links looks like. */
struct shape {
	int n;			/* GPUs */
	int with_switch;	/* GPUs with links to a switch */
	int min_peers, max_peers;	/* GPUs that a GPU has links to */
	int min_links, max_links;	/* of a GPU */
	int pair_min, pair_max;	/* links of one pair */
};

static void add_gpu(struct shape *s, const struct node_topo *t, int i)
{
	int j, peers = 0, links = t->switch_links[i];

	for (j = 0; j < t->n_gpus; j++) {
		int pair = t->pair_links[i][j];

		if (i == j)
			continue;
		peers += pair > 0;
		links += pair;
		s->pair_min = pair < s->pair_min ? pair : s->pair_min;
		s->pair_max = pair > s->pair_max ? pair : s->pair_max;
	}
	s->with_switch += t->switch_links[i] > 0;
	s->min_peers = peers < s->min_peers ? peers : s->min_peers;
	s->max_peers = peers > s->max_peers ? peers : s->max_peers;
	s->min_links = links < s->min_links ? links : s->min_links;
	s->max_links = links > s->max_links ? links : s->max_links;
}

static struct shape shape_of(const struct node_topo *t)
{
	struct shape s = { .n = t->n_gpus, .min_peers = INT32_MAX,
			   .min_links = INT32_MAX, .pair_min = INT32_MAX };
	int i;

	for (i = 0; i < t->n_gpus; i++) {
		add_gpu(&s, t, i);
	}
	return s;
}

/* nvidia-smi shows a GPU's links to its switch at every pair. */
static bool through_switch(const struct shape *s, int links_max)
{
	return s->n > 1 && s->pair_min == s->pair_max &&
	       s->pair_min * (s->n - 1) > links_max;
}

static enum intra_kind kind_of(const struct node_topo *t,
			       const struct shape *s, int links_max)
{
	if (!t->nvlink_said || s->n == 1 || s->with_switch == s->n ||
	    through_switch(s, links_max))
		return INTRA_NVSWITCH;
	if (s->min_links == 0)
		return INTRA_PCIE;
	if (s->n > 2 && s->max_peers == 1)
		return INTRA_NVLINK_PAIRS;
	return INTRA_NVLINK_MESH;
}

/* Pairs of GPUs that no NVLink joins. */
static int open_pairs(const struct node_topo *t)
{
	int i, j, n = 0;

	for (i = 0; i < t->n_gpus; i++) {
		for (j = 0; j < i; j++) {
			n += !t->pair_links[i][j];
		}
	}
	return n;
}

static void note_mesh(const struct node_topo *t, const struct shape *s,
		      struct notes *notes)
{
	int open = open_pairs(t);

	if (open > 0)
		notes_add(notes, 0, "hybrid mesh: %d of %d pairs have no "
			  "NVLink; nvlink-mesh spreads a GPU's links over all "
			  "peers evenly", open, s->n * (s->n - 1) / 2);
	else if (s->pair_min != s->pair_max)
		notes_add(notes, 0, "pairs have %d to %d NVLinks; nvlink-mesh "
			  "spreads a GPU's links over all peers evenly",
			  s->pair_min, s->pair_max);
}

/* The model joins GPUs 2i and 2i + 1. */
static void note_pairs(const struct node_topo *t, struct notes *notes)
{
	int i;

	for (i = 0; i + 1 < t->n_gpus; i += 2) {
		if (t->pair_links[i][i + 1] > 0)
			continue;
		notes_add(notes, 0, "GPUs %d and %d have no NVLink between "
			  "them; nvlink-pairs joins neighbours, so number the "
			  "GPUs so", i, i + 1);
		return;
	}
}

static void note_kind(const struct node_topo *t, const struct shape *s,
		      enum intra_kind kind, struct notes *notes)
{
	if (!t->nvlink_said && s->n > 1)
		notes_add(notes, 0, "NVLink is not in this file (those of "
			  "virtual machines leave it out); nvswitch is "
			  "assumed: --set cluster.intra.kind");
	if (t->nvlink_said && s->n > 1 && s->min_links != s->max_links)
		notes_add(notes, 0, "GPUs have %d to %d NVLinks; the smaller "
			  "number is taken for all", s->min_links,
			  s->max_links);
	if (kind == INTRA_NVLINK_MESH)
		note_mesh(t, s, notes);
	if (kind == INTRA_NVLINK_PAIRS)
		note_pairs(t, notes);
}

/* NVLinks of one GPU. */
static int links_of(const struct shape *s, int links_max)
{
	if (s->n == 1)
		return s->min_links;
	return through_switch(s, links_max) ? s->pair_min : s->min_links;
}

static void set_nvlink(const struct node_topo *t, const struct shape *s,
		       const struct devices *d, struct cluster *out,
		       struct notes *notes)
{
	int links = links_of(s, devices_links_max(d));
	double rate = devices_nvlink_Bps(d, t->sm);

	if (!t->nvlink_said || links == 0)
		return;
	out->intra.bandwidth_Bps = links * rate;
	if (!(rate > 0) && t->sm)
		notes_add(notes, 0, "the rate of an NVLink of sm %d is not "
			  "known: the GPU's data sheet, or --set "
			  "cluster.intra.bandwidth", t->sm);
	else if (!(rate > 0))
		notes_add(notes, 0, "%d NVLinks a GPU, but not their rate: "
			  "the GPU's data sheet, or --set "
			  "cluster.intra.bandwidth", links);
}

/* ---- PCIe ---- */

/* Different numbers in id[0..n), and the size of the largest group. */
static int groups(const int *id, int n, int *largest_p)
{
	int i, j, count = 0;

	*largest_p = 0;
	for (i = 0; i < n; i++) {
		int size = 0, first = 1;

		for (j = 0; j < n; j++) {
			size += id[j] == id[i];
			first &= !(j < i && id[j] == id[i]);
		}
		count += first;
		*largest_p = size > *largest_p ? size : *largest_p;
	}
	return count;
}

static void set_pcie(const struct node_topo *t, struct cluster *out,
		     struct notes *notes)
{
	int switches, sockets, largest, n = t->n_gpus;

	out->intra.pcie_Bps = t->pcie_Bps;
	if (!(t->pcie_Bps > 0))
		notes_add(notes, 0, "the rate of PCIe is not in this file: "
			  "--set cluster.intra.pcie");
	if (!t->pcie_said)
		return;
	switches = groups(t->pcie_switch, n, &largest);
	out->intra.gpus_per_switch = largest;
	if (largest * switches != n)
		notes_add(notes, 0, "PCIe switches with different numbers of "
			  "GPUs; the largest, %d, is taken for all", largest);
	sockets = groups(t->socket, n, &largest);
	out->intra.switches_per_socket = (switches + sockets - 1) / sockets;
	if (largest * sockets != n)
		notes_add(notes, 0, "sockets with different numbers of GPUs; "
			  "the model has them even");
}

/* ---- NICs ---- */

static int nics_of(const struct node_topo *t, double Bps)
{
	int i, n = 0;

	for (i = 0; i < t->n_nics; i++) {
		n += t->nic[i].Bps == Bps;
	}
	return n;
}

/* The speed that carries most; of equals the faster. */
static double main_speed(const struct node_topo *t)
{
	double best = 0, best_total = 0;
	int i;

	for (i = 0; i < t->n_nics; i++) {
		double Bps = t->nic[i].Bps, total = Bps * nics_of(t, Bps);

		if (total > best_total || (total == best_total && Bps > best)) {
			best = Bps;
			best_total = total;
		}
	}
	return best;
}

static void note_slow_nics(const struct node_topo *t, double speed,
			   struct notes *notes)
{
	char slow[UNIT_TEXT_MAX], taken[UNIT_TEXT_MAX];
	int i;

	unit_print(speed, U_RATE, taken, sizeof(taken));
	for (i = 0; i < t->n_nics; i++) {
		const struct topo_nic *nic = &t->nic[i];

		if (nic->Bps == speed)
			continue;
		unit_print(nic->Bps, U_RATE, slow, sizeof(slow));
		notes_add(notes, nic->line, "NIC of %s: only those of %s are "
			  "taken", nic->Bps > 0 ? slow : "unknown speed",
			  taken);
	}
}

static void set_nics(const struct node_topo *t, struct cluster *out,
		     struct notes *notes)
{
	double speed = main_speed(t);
	int n = nics_of(t, speed);

	note_slow_nics(t, speed, notes);
	out->nic.bandwidth_Bps = speed;
	if (n > 0 && n % t->n_gpus == 0)
		out->nic.per_gpu = n / t->n_gpus;
	else
		out->nic.per_node = n;
	if (n == 0)
		notes_add(notes, 0, "no NIC in this file: --set "
			  "cluster.nic.per_gpu and cluster.nic.bandwidth");
	else if (!(speed > 0))
		notes_add(notes, 0, "%d NICs, but not their speed: --set "
			  "cluster.nic.bandwidth", n);
}

enum status node_topo_cluster(const struct node_topo *t, struct cluster *out,
			      struct notes *notes)
{
	struct shape s = shape_of(t);
	struct cluster c = { .nodes = 1, .gpus_per_node = t->n_gpus };
	const char *gpu;
	struct devices d;
	enum status st;

	if (t->n_gpus == 0)
		return err_set(ST_INPUT, "%s: no GPU in it", t->source);
	st = devices_load(&d);
	if (st)
		return st;
	c.intra.kind = kind_of(t, &s, devices_links_max(&d));
	note_kind(t, &s, c.intra.kind, notes);
	if (c.intra.kind != INTRA_PCIE)
		set_nvlink(t, &s, &d, &c, notes);
	if (c.intra.kind == INTRA_PCIE || c.intra.kind == INTRA_NVLINK_PAIRS)
		set_pcie(t, &c, notes);
	set_nics(t, &c, notes);
	gpu = devices_gpu(&d, t->device);
	if (gpu)
		snprintf(c.gpu.type, sizeof(c.gpu.type), "%s", gpu);
	else
		notes_add(notes, 0, "the GPU's type is not in this file: "
			  "--set cluster.gpu");
	snprintf(c.provenance, sizeof(c.provenance), "%s", t->source);
	devices_release(&d);
	*out = c;
	return ST_OK;
}
