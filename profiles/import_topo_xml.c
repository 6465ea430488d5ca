/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An NCCL topology file: the cluster of one such node. */
#include "profiles/import.h"

#include "base/mem.h"
#include "scenarios/nccl_xml.h"

#include <stdlib.h>

enum status import_topo_xml(const char *name, const char *text, size_t len,
			    struct import *out)
{
	struct node_topo *t = xcalloc(1, sizeof(*t));
	enum status st;

	st = nccl_xml_read(name, text, len, t, &out->skip, &out->rows);
	if (!st)
		st = node_topo_cluster(t, &out->cluster, &out->skip);
	out->has_cluster = !st;
	free(t);
	return st;
}
