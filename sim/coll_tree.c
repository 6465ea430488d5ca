/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/coll_tree.h"

#include "base/mem.h"

#include <stdlib.h>

int tree_parent(int i, int n)
{
	int bit = i & -i, up = (i ^ bit) | bit << 1;

	if (i == 0)
		return -1;
	return up < n ? up : i ^ bit;
}

int tree_second(int i, int n)
{
	return n % 2 ? (i + 1) % n : n - 1 - i;
}

/* Edges of both trees at each node. */
static void count_edges(int n, int *edges)
{
	int i;

	for (i = 1; i < n; i++) {
		int up = tree_parent(i, n);

		edges[i]++;
		edges[up]++;
		edges[tree_second(i, n)]++;
		edges[tree_second(up, n)]++;
	}
}

void tree_pick(int n, bool *pick)
{
	int *edges = xcalloc((size_t)n, sizeof(*edges)), i;
	bool *first = xcalloc((size_t)n, sizeof(*first));
	bool seen[TREE_KINDS_MAX] = { false };

	count_edges(n, edges);
	for (i = 0; i < n; i++) {
		pick[i] = first[i] = !seen[edges[i]];
		seen[edges[i]] = true;
	}
	for (i = 1; i < n; i++) {
		int up = tree_parent(i, n);

		pick[i] |= first[i] || first[up] || first[tree_second(i, n)] ||
			first[tree_second(up, n)];
	}
	free(first);
	free(edges);
}

int tree_kinds(int n, bool tree, int *kind)
{
	int number[TREE_KINDS_MAX], n_kinds = 0, i;

	count_edges(n, kind);
	for (i = 0; i < TREE_KINDS_MAX; i++)
		number[i] = -1;
	for (i = 0; i < n; i++) {
		int *k = &number[tree ? kind[i] : i % 2];

		if (*k < 0)
			*k = n_kinds++;
		kind[i] = *k;
	}
	return n_kinds;
}
