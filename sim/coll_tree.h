/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two binary trees of an all-reduce over n nodes, and which nodes of them,
 * or of a ring, are alike. */
#ifndef SIM_COLL_TREE_H
#define SIM_COLL_TREE_H

#include <stdbool.h>

/* Edges of a node, both trees: of a parent and two children each, or none. */
#define TREE_KINDS_MAX (2 * 3 + 1)

/* Parent in the binary tree over 0..n-1 rooted at 0; -1 for the root. */
int tree_parent(int i, int n);
/* Node i's place in the second tree and back. */
int tree_second(int i, int n);

/* The first node with as many edges stands for all of them: its own, and
 * those that list an edge to it. */
void tree_pick(int n, bool *pick);

/*
 * Which kind each node is of: by its edges in the trees, in a ring even or
 * odd. Numbered in the order of their first nodes; returns how many.
 */
int tree_kinds(int n, bool tree, int *kind);

#endif
