/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The text of nvidia-smi topo -m: the cluster of one such node. */
#include "profiles/import.h"

#include "base/mem.h"
#include "scenarios/smi_topo.h"

#include <stdlib.h>

enum status import_smi(const char *name, const char *text, size_t len,
		       struct import *out)
{
	struct node_topo *t = xcalloc(1, sizeof(*t));
	enum status st;

	st = smi_topo_read(name, text, len, t, &out->skip, &out->rows);
	if (!st)
		st = node_topo_cluster(t, &out->cluster, &out->skip);
	out->has_cluster = !st;
	free(t);
	return st;
}
