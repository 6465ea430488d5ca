/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One node as a topology file shows it, and the cluster that it makes.
 *
 * The readers (nccl_xml.h, smi_topo.h) fill struct node_topo with what their
 * file says and nothing else; node_topo_cluster() decides what kind of node
 * that is. What a file does not say stays 0 in the cluster and is noted: it
 * comes from the GPU's data sheet or from the user.
 */
#ifndef SCENARIOS_NODE_TOPO_H
#define SCENARIOS_NODE_TOPO_H

#include "base/status.h"
#include "scenarios/notes.h"
#include "scenarios/scenario.h"

#define TOPO_GPUS_MAX 128
#define TOPO_NICS_MAX 256

struct topo_nic {
	double Bps;	/* 0: not said */
	int line;
};

struct node_topo {
	char source[256];	/* provenance: what was read */
	int n_gpus;
	/* NVLinks of a pair of GPUs (symmetric), and to an NVSwitch */
	int pair_links[TOPO_GPUS_MAX][TOPO_GPUS_MAX];
	int switch_links[TOPO_GPUS_MAX];
	bool nvlink_said;	/* false: the file cannot know of NVLink */
	int sm;			/* compute capability, 90; 0: not said */
	char device[16];	/* PCI id of all GPUs, "0x2330", or "" */
	/* number of the PCIe switch and of the socket above each GPU */
	int pcie_switch[TOPO_GPUS_MAX], socket[TOPO_GPUS_MAX];
	bool pcie_said;		/* false: those two are not known */
	double pcie_Bps;	/* slowest GPU's link; 0: not said */
	int n_nics;
	struct topo_nic nic[TOPO_NICS_MAX];
};

/*
 * nvswitch: every GPU has links to a switch, or every pair shows more links
 * than a GPU could have to each peer. nvlink-mesh: every GPU has links to
 * peers; a hybrid mesh (some pairs without) is noted. nvlink-pairs: one peer
 * each. pcie: some GPU has none. No GPU at all is ST_INPUT.
 *
 * Sets nodes (1), gpus_per_node, gpu.type, intra.kind and what is known of
 * intra.bandwidth (links x rate of one link), the PCIe tree and the NICs
 * (those of the speed that carries most). All else of *out is 0.
 */
enum status node_topo_cluster(const struct node_topo *t, struct cluster *out,
			      struct notes *notes);

#endif
