/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of devices, scenarios/data/devices/nvidia.yaml: what the numbers
 * of a topology file mean. Nothing of it is in C.
 */
#ifndef SCENARIOS_DEVICES_H
#define SCENARIOS_DEVICES_H

#include "base/mem.h"
#include "base/status.h"

struct doc_node;

struct devices {
	const struct doc_node *root;
	struct arena arena;
};

/* ST_INPUT when the table is missing or has another form. */
enum status devices_load(struct devices *d);
void devices_release(struct devices *d);

/* One NVLink per direction of a GPU with that `sm`; 0: not in the table. */
double devices_nvlink_Bps(const struct devices *d, int sm);

/* The most NVLinks that one GPU has. */
int devices_links_max(const struct devices *d);

/* Shipped name of the GPU with that PCI id ("0x2330"); NULL: not there. */
const char *devices_gpu(const struct devices *d, const char *pci_device);

#endif
