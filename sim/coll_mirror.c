/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/coll_mirror.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define NO_LINK (-1)

struct solved {
	struct coll_flow *flow;	/* owned */
	size_t n;
	double merge_s, took_s, error_s;
};

/* As many as one exchange has steps. */
struct coll_mirror {
	struct solved item[A2A_STEPS_MAX];
	int n;
};

struct coll_mirror *coll_mirror_new(void)
{
	return xcalloc(1, sizeof(struct coll_mirror));
}

void coll_mirror_free(struct coll_mirror *m)
{
	if (!m)
		return;
	for (int i = 0; i < m->n; i++)
		free(m->item[i].flow);
	free(m);
}

void coll_mirror_keep(struct coll_mirror *m, const struct coll_flow *f,
		      size_t n, double merge_s, double took_s, double error_s)
{
	struct solved *s;

	if (!m || m->n == A2A_STEPS_MAX)
		return;
	s = &m->item[m->n++];
	*s = (struct solved){ xcalloc(n, sizeof(*f)), n, merge_s, took_s,
			      error_s };
	memcpy(s->flow, f, n * sizeof(*f));
}

static bool flows_turned(const struct solved *s, const struct coll_flow *f,
			 size_t n, double merge_s)
{
	if (s->n != n || s->merge_s != merge_s)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct coll_flow *g = &s->flow[i];

		if (f[i].src != g->dst || f[i].dst != g->src ||
		    f[i].bytes != g->bytes)
			return false;
	}
	return true;
}

/* Is every link the image of one, always the same and as wide? */
static bool links_turned(const struct net *net, const struct coll_flow *f,
			 size_t n)
{
	size_t links = (size_t)net->n_links;
	int *image = xmalloc((2 * links + 1) * sizeof(*image));
	int *of = image + links;
	struct route there, back;
	bool ok = true;

	for (size_t i = 0; i < 2 * links; i++)
		image[i] = NO_LINK;
	for (size_t i = 0; i < n && ok; i++) {
		net_route(net, f[i].src, f[i].dst, &there);
		net_route(net, f[i].dst, f[i].src, &back);
		ok = there.n == back.n;
		for (int k = 0; k < there.n && ok; k++) {
			int a = there.link[k], b = back.link[back.n - 1 - k];

			if (image[a] == NO_LINK && of[b] == NO_LINK) {
				image[a] = b;
				of[b] = a;
			}
			ok = image[a] == b && of[b] == a &&
				net->capacity_Bps[a] == net->capacity_Bps[b];
		}
	}
	free(image);
	return ok;
}

bool coll_mirror_find(const struct coll_mirror *m, const struct net *net,
		      struct coll_flow *f, size_t n, double merge_s,
		      double *took_s, double *error_s)
{
	for (int i = 0; m && i < m->n; i++) {
		const struct solved *s = &m->item[i];

		if (!flows_turned(s, f, n, merge_s))
			continue;
		if (!links_turned(net, f, n))
			return false;
		for (size_t k = 0; k < n; k++)
			f[k].finish_s = s->flow[k].finish_s;
		*took_s = s->took_s;
		*error_s = s->error_s;
		return true;
	}
	return false;
}
