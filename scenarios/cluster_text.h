/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A cluster in one line:
 *
 *	nodes=8(nic=8x400Gb/s,latency=3us) gpu=8:h100-sxm(nvlink=450GB/s)
 *	fabric=rail(oversubscription=2) pxn=yes
 *
 * Items are separated by blanks; ITEM=VALUE, then in parentheses what
 * belongs to it, separated by commas. Any order; only nodes and gpu must be
 * there, the rest has the key table's defaults:
 *
 *	name=NAME
 *	nodes=N		(nic=CxRATE, latency=TIME, shared=yes|no)
 *	gpu=G[:TYPE]	(nvlink=RATE, kind=KIND, latency=TIME, pcie=RATE,
 *			 gpus_per_switch=N, switches_per_socket=N,
 *			 socket=RATE)
 *	fabric=KIND	(oversubscription=X, nodes_per_leaf=N, radix=N,
 *			 leaves_per_pod=N, core_oversubscription=X,
 *			 gpus_per_rack=N)
 *	pxn=yes|no
 *
 * nic=CxRATE is C NICs of that rate per node: C/G of each GPU when G divides
 * C and not shared=yes, else C shared by all GPUs of the node. nic=RATE is
 * one per GPU. Everything has the key of the YAML form that it stands for,
 * with that key's unit and range; nvlink is cluster.intra.bandwidth.
 *
 * Not in one line: cluster.base, provenance, and the keys of a GPU that is
 * not in a file.
 */
#ifndef SCENARIOS_CLUSTER_TEXT_H
#define SCENARIOS_CLUSTER_TEXT_H

#include "scenarios/doc.h"
#include "scenarios/scenario.h"

/*
 * The line in the scalar `node` as the mapping that `cluster:` would hold;
 * names are checked here, values by whoever reads the mapping. Message:
 * "WHERE: cluster: ..." naming the item, its value and what is allowed.
 */
enum status cluster_text_parse(struct arena *a, const struct doc_node *node,
			       struct doc_node **mapping_p);

/* Does the text look like a line and not like a name or path? */
bool cluster_text_is(const char *text);

/*
 * The canonical line; reading it back gives the same struct cluster but for
 * provenance, and for gpu when that is no file (an inline mapping, or a file
 * with keys overridden). A name or path with a blank or one of ()=, cannot
 * stand in a line: the name is left out, the path would not read back.
 */
void cluster_text_print(const struct cluster *c, struct buf *out);

/* The same for a cluster of which only what is not 0 is known; read back,
 * the rest has defaults. */
void cluster_text_print_part(const struct cluster *c, struct buf *out);

#endif
