/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong with a cluster: parts at a fraction of their speed, or gone.
 *
 * The key faults.degraded is a list with commas between its items:
 *
 *	nic NODE:PORT SHARE	a NIC port of a node, both directions
 *	nvlink NODE:GPU SHARE	a GPU's NVLinks, both directions
 *	pcie NODE:GPU SHARE	a GPU's PCIe port, both directions
 *	leaf LEAF SHARE		a leaf's (rail's, rack's) uplinks
 *	gpu NODE:GPU SHARE	a GPU's arithmetic and memory
 *
 * SHARE: "50%", "0.5", or "gone". Places count from 0. A NIC that is gone is
 * gone round: its GPUs' traffic goes over the local link to a GPU whose NIC
 * works and out there (sim/net_fault.c), and likewise a rail whose leaf is
 * gone. Anything else that is gone cuts ranks off and is refused.
 */
#ifndef SCENARIOS_FAULTS_H
#define SCENARIOS_FAULTS_H

#include "base/mem.h"
#include "base/status.h"

#include <stdint.h>

#define FAULTS_MAX 4096

enum fault_kind {
	FAULT_NIC, FAULT_NVLINK, FAULT_PCIE, FAULT_LEAF, FAULT_GPU,
	FAULT_KIND_N,
};

struct degraded {
	enum fault_kind kind;
	int node;		/* 0 for leaves */
	int index;		/* port, GPU or leaf */
	double share;		/* of its speed, 0 .. 1; 0: gone */
};

/* A part of struct scenario: the section `faults:`. */
struct fault_spec {
	char *degraded;		/* the text; NULL or "": nothing is */
	/* Standard deviation of the logarithm of an op's time, see
	 * sim/jitter.h; 0: none */
	double compute_jitter, comm_jitter;
	int repeats;		/* runs of `simulate` with other draws */
	uint64_t seed;
};

/*
 * The list, in the arena; the message says which item and what it must be.
 * Whether the places exist is seen by sim/ (net_init()).
 */
enum status faults_parse(const char *text, struct arena *a,
			 const struct degraded **out_p, int *n_p);

const char *fault_kind_name(enum fault_kind k);

#endif
