/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes over the links of a network, of nodes that are alike only once.
 *
 * Each node has the same number of links of its own, NVLink to NIC; the
 * fabric's are above them. A row is one node's. In a balanced cluster of
 * thousands of nodes a step has a few different rows, and all steps of a plan
 * together have few kinds of nodes: the flow model looks at one link of each.
 */
#ifndef SIM_LINK_ROWS_H
#define SIM_LINK_ROWS_H

#include "sim/net.h"

struct coll_flow;

struct link_rows {
	int n_rows;	/* 0: not known */
	int *row;	/* [nodes]: which each node has; owned; NULL: row 0 */
	double *bytes;	/* [n_rows][links of a node], then the fabric's; owned */
};

/* Where links are in link_rows.bytes. */
struct link_grid {
	int per_node, fabric;
	/* [LINK_CLASS_N]: the class in a row, or in the fabric's, and how many
	 * of them a node has */
	int at[LINK_CLASS_N], per[LINK_CLASS_N];
};

struct link_grid link_grid_of(const struct net *net);

/* Sums of the flows' bytes; flows from a rank to itself are none. */
void link_rows_add_flows(struct link_rows *out, const struct net *net,
			 const struct coll_flow *f, size_t n);
void link_rows_release(struct link_rows *r);

/* Links listed of each that stands for many. */
#define LINK_LIKE_MAX 16

/*
 * Links that carry the same in all of some rows, and have the same capacity,
 * are one, number 0 .. n - 1. Those that it stands for, the lowest first and
 * LINK_LIKE_MAX at most, are link[begin[i]] .. link[begin[i + 1] - 1].
 */
struct link_set {
	int n;
	int *begin;	/* [n + 1], owned */
	int *link;	/* owned */
	int n_kinds;
	int *kind;	/* of each node, owned; NULL: of one kind, number i is
			   link i */
};

void link_set_init(struct link_set *s, const struct net *net,
		   const struct link_rows *rows, int n);
void link_set_release(struct link_set *s);
/* The number of a link. */
int link_set_find(const struct link_set *s, const struct net *net, int link);
/* The rows' bytes by number, [s->n], the caller's. */
double *link_set_bytes(const struct link_set *s, const struct net *net,
		       const struct link_rows *rows);

#endif
