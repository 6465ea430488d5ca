/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What times of a layer count when layouts compete. */
#include "sim/search_priv.h"

#include "base/mem.h"

enum status search_value_init(struct search *x)
{
	enum status st = ST_OK;

	x->share = xcalloc((size_t)x->n_layouts + 1, sizeof(*x->share));
	for (int i = 1; i < x->n_layouts; i++)
		x->by_step |= x->layout[i].pp != x->layout[0].pp;
	for (int i = 0; i < x->n_layouts && !st; i++) {
		x->share[i].scale = x->layout[i].tp;
		if (x->by_step)
			st = step_share(x->s, search_net(x, 0), &x->layout[i],
					&x->share[i]);
	}
	return st;
}

/* Layouts that a rival came to take part in no comparison of steps. */
static struct step_share share_of(const struct search *x, int layout)
{
	return layout < x->n_layouts ? x->share[layout] :
		(struct step_share){ .scale = x->layout[layout].tp };
}

double search_value(const struct search *x, int layout, double layer_s,
		    double forward_s, double sums_s)
{
	const struct step_share s = share_of(x, layout);

	if (s.again)
		layer_s += s.again * forward_s;
	return s.scale * layer_s + s.offset_s -
		(s.scale - x->layout[layout].tp) * sums_s;
}

double search_value_limit(const struct search *x, int layout, double value_s)
{
	const struct step_share s = share_of(x, layout);

	return (value_s - s.offset_s) / s.scale;
}
