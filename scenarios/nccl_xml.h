/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads an NCCL topology file (NCCL_TOPO_FILE, NCCL_TOPO_DUMP_FILE): the PCIe
 * tree of one node with its GPUs, NVLinks and NICs.
 *
 *	<system version="1">
 *	  <cpu numaid="0" host_hash="...">
 *	    <pci busid="..." class="0x060400">			a PCIe switch
 *	      <pci class="0x0302.." device="0x2330" link_speed="32.0 GT/s PCIe"
 *		   link_width="16">
 *	        <gpu sm="90"> <nvlink target="BUSID" count="5" tclass="..."/>
 *	      <pci class="0x02...."> <nic> <net name="..." speed="400000"/>
 *
 * `speed` is in Mb/s. A GPU is a pci of class 03 or 12; when the file has
 * gpu elements, only those with one. A NIC is a net element; when it has
 * none, a pci of class 02 (of unknown speed). A file without gpu elements
 * is one of a virtual machine and says nothing of NVLink. Elements of a
 * second host are passed over and noted.
 *
 * Safe on any input: DOCTYPE (and with it entities) is refused, depth,
 * size and numbers are bounded.
 */
#ifndef SCENARIOS_NCCL_XML_H
#define SCENARIOS_NCCL_XML_H

#include "scenarios/node_topo.h"

#include <stddef.h>

#define NCCL_XML_BYTES_MAX (16 << 20)
#define NCCL_XML_DEPTH_MAX 64

/* ST_INPUT: "NAME:line:col: ...". *rows_p: GPUs, links and NICs read. */
enum status nccl_xml_read(const char *name, const char *text, size_t len,
			  struct node_topo *out, struct notes *notes,
			  int *rows_p);

#endif
