/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads the text of `nvidia-smi topo -m`: a matrix of GPUs and NICs.
 *
 * Cells are X, NV# (that many NVLinks), PIX, PXB, PHB, NODE, SYS (SOC in old
 * versions). Columns after the devices (CPU and NUMA affinity, GPU NUMA ID)
 * and the legend may be there or not; tabs or any number of blanks; terminal
 * escapes, CR and what stands before or after the matrix do not matter. NICs
 * may be rows or only columns, named NIC# or as their devices.
 *
 * Refused: no matrix, a row of a device that has no column, a missing GPU
 * row, NVLinks that two rows do not agree on. The speeds of links and NICs
 * are never in this text. PCIe switches and sockets are told from the cells:
 * PIX and PXB share a switch, PHB and NODE a socket, and so does an equal
 * NUMA column.
 */
#ifndef SCENARIOS_SMI_TOPO_H
#define SCENARIOS_SMI_TOPO_H

#include "scenarios/node_topo.h"

#include <stddef.h>

#define SMI_TOPO_BYTES_MAX (1 << 20)

/* ST_INPUT: "NAME:line: ...". *rows_p: rows of the matrix. */
enum status smi_topo_read(const char *name, const char *text, size_t len,
			  struct node_topo *out, struct notes *notes,
			  int *rows_p);

#endif
