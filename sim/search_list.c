/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/search_list.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

static int compare_double(double a, double b)
{
	return a < b ? -1 : a > b;
}

int candidate_compare(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;
	const struct plan *p = &a->plan, *q = &b->plan;
	int c = compare_double(a->value_s, b->value_s);

	if (!c)
		c = p->degree_forward + p->degree_backward -
			q->degree_forward - q->degree_backward;
	if (!c)
		c = (int)p->alltoall - (int)q->alltoall;
	if (!c)
		c = p->ctas - q->ctas;
	if (!c)
		c = compare_double(p->capacity_factor, q->capacity_factor);
	if (!c)
		c = (p->technique_mask > q->technique_mask) -
			(p->technique_mask < q->technique_mask);
	if (!c)
		c = order_compare(&p->order[0], &q->order[0]);
	if (!c)
		c = order_compare(&p->order[1], &q->order[1]);
	if (!c)
		c = (int)p->dense - (int)q->dense;
	if (!c)
		c = p->dense_pieces - q->dense_pieces;
	if (!c)
		c = p->degree_forward - q->degree_forward;
	if (!c)
		c = memcmp(&p->layout, &q->layout, sizeof(p->layout));
	return c;
}

void candidate_list_add(struct candidate_list *l, const struct candidate *k)
{
	int at;

	if (l->max <= 0)
		return;
	if (!l->item)
		l->item = xcalloc((size_t)l->max, sizeof(*l->item));
	if (l->n == l->max && candidate_compare(k, &l->item[l->n - 1]) >= 0)
		return;
	at = l->n < l->max ? l->n++ : l->n - 1;
	for (; at > 0 && candidate_compare(k, &l->item[at - 1]) < 0; at--)
		l->item[at] = l->item[at - 1];
	l->item[at] = *k;
}

double candidate_list_limit(const struct candidate_list *l)
{
	return l->n < l->max || !l->n ? INFINITY : l->item[l->n - 1].value_s;
}
