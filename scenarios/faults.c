/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/faults.h"

#include "base/units.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 32

static const struct {
	const char *name;
	bool has_node;
} kinds[FAULT_KIND_N] = {
	[FAULT_NIC] = { "nic", true },
	[FAULT_NVLINK] = { "nvlink", true },
	[FAULT_PCIE] = { "pcie", true },
	[FAULT_LEAF] = { "leaf", false },
	[FAULT_GPU] = { "gpu", true },
};

const char *fault_kind_name(enum fault_kind k)
{
	return kinds[k].name;
}

static enum status wrong(const char *item, int len)
{
	return err_set(ST_INPUT, "'%.*s' is not 'nic NODE:PORT SHARE', "
		       "'nvlink NODE:GPU SHARE', 'pcie NODE:GPU SHARE', "
		       "'leaf LEAF SHARE' or 'gpu NODE:GPU SHARE', with SHARE "
		       "such as 50%% or gone", len > 80 ? 80 : len, item);
}

static bool find_kind(const char *word, enum fault_kind *out)
{
	for (int k = 0; k < FAULT_KIND_N; k++) {
		if (!strcmp(word, kinds[k].name)) {
			*out = (enum fault_kind)k;
			return true;
		}
	}
	return false;
}

/* "3:1" or, without a node, "3". */
static bool read_place(const char *word, struct degraded *f)
{
	char extra;

	if (!kinds[f->kind].has_node)
		return sscanf(word, "%9d%c", &f->index, &extra) == 1 &&
			f->index >= 0;
	return sscanf(word, "%9d:%9d%c", &f->node, &f->index, &extra) == 2 &&
		f->node >= 0 && f->index >= 0;
}

static bool read_share(const char *word, double *share_p)
{
	if (!strcmp(word, "gone")) {
		*share_p = 0;
		return true;
	}
	return unit_parse(word, U_FRACTION, share_p) && *share_p >= 0 &&
		*share_p <= 1;
}

static bool read_item(const char *item, size_t len, struct degraded *f)
{
	char text[4 * WORD_MAX], kind[WORD_MAX], place[WORD_MAX],
		share[WORD_MAX], extra;

	*f = (struct degraded){ 0 };
	if (len >= sizeof(text))
		return false;
	memcpy(text, item, len);
	text[len] = '\0';
	return sscanf(text, " %31s %31s %31s %c", kind, place, share,
		      &extra) == 3 &&
		find_kind(kind, &f->kind) && read_place(place, f) &&
		read_share(share, &f->share);
}

enum status faults_parse(const char *text, struct arena *a,
			 const struct degraded **out_p, int *n_p)
{
	struct degraded *list = NULL;
	size_t cap = 0, len;
	enum status st = ST_OK;
	int n = 0;

	for (; !st && text && *text; text += len + (text[len] == ',')) {
		struct degraded f;

		len = strcspn(text, ",");
		if (n == FAULTS_MAX)
			st = err_set(ST_INPUT, "more than %d faults",
				     FAULTS_MAX);
		else if (!read_item(text, len, &f))
			st = wrong(text, (int)len);
		if (st)
			break;
		list = array_grow(list, &cap, (size_t)n + 1, sizeof(*list));
		list[n++] = f;
	}
	if (!st && n) {
		struct degraded *kept = arena_alloc(a, (size_t)n * sizeof(*kept));

		memcpy(kept, list, (size_t)n * sizeof(*kept));
		*out_p = kept;
		*n_p = n;
	}
	free(list);
	return st;
}
