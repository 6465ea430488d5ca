/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exchanges that are one another's mirror image, solved once.
 *
 * A combine turns the flows of the dispatch round. Where every link of their
 * ways has a link of the same capacity on the ways back, flows that share the
 * one share the other: the max-min rates of the image are those of the flows,
 * and so are the finish times. That is looked at flow by flow and link by
 * link, so that faults, or ways that lead elsewhere back (pxn), are not taken
 * for an image.
 */
#ifndef SIM_COLL_MIRROR_H
#define SIM_COLL_MIRROR_H

#include "sim/coll.h"

struct coll_mirror;

struct coll_mirror *coll_mirror_new(void);
void coll_mirror_free(struct coll_mirror *m);

/* Remembers what flows that start together took; without any when m is
 * NULL. */
void coll_mirror_keep(struct coll_mirror *m, const struct coll_flow *f,
		      size_t n, double merge_s, double took_s, double error_s);

/*
 * Are the flows the image, in the same order, of some that were kept, on this
 * network? Then they get their finish times; NULL for m: no.
 */
bool coll_mirror_find(const struct coll_mirror *m, const struct net *net,
		      struct coll_flow *f, size_t n, double merge_s,
		      double *took_s, double *error_s);

#endif
