/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/devices.h"

#include "base/units.h"
#include "scenarios/datadir.h"
#include "scenarios/doc.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE "nvidia"

static int links_max(const struct doc_node *root)
{
	const struct doc_node *node = doc_get(root, "links_max");

	return node && node->kind == DOC_SCALAR ?
	       (int)strtol(node->text, NULL, 10) : 0;
}

static bool is_section(const struct doc_node *root, const char *key)
{
	const struct doc_node *node = doc_get(root, key), *c;

	if (!node || node->kind != DOC_MAPPING)
		return false;
	for (c = node->first; c; c = c->next) {
		if (c->kind != DOC_SCALAR)
			return false;
	}
	return true;
}

static bool is_table(const struct doc_node *root)
{
	return root->kind == DOC_MAPPING && links_max(root) > 0 &&
	       is_section(root, "nvlink") && is_section(root, "device");
}

enum status devices_load(struct devices *d)
{
	struct doc_node *root;
	const char *path;
	enum status st;

	*d = (struct devices){ 0 };
	st = data_find(&d->arena, DATA_DEVICE, TABLE, NULL, &path);
	if (!st)
		st = doc_load(&d->arena, path, &root);
	if (!st && !is_table(root))
		st = err_set(ST_INPUT, "%s: the mappings 'nvlink', 'device' "
			     "and the number 'links_max' were expected", path);
	if (st)
		arena_release(&d->arena);
	else
		d->root = root;
	return st;
}

void devices_release(struct devices *d)
{
	arena_release(&d->arena);
	*d = (struct devices){ 0 };
}

double devices_nvlink_Bps(const struct devices *d, int sm)
{
	const struct doc_node *node;
	double rate = 0;
	char key[16];

	snprintf(key, sizeof(key), "sm%d", sm);
	node = doc_get(doc_get(d->root, "nvlink"), key);
	return node && unit_parse(node->text, U_RATE, &rate) ? rate : 0;
}

int devices_links_max(const struct devices *d)
{
	return links_max(d->root);
}

const char *devices_gpu(const struct devices *d, const char *pci_device)
{
	const struct doc_node *node;

	node = doc_get(doc_get(d->root, "device"), pci_device);
	return node ? node->text : NULL;
}
