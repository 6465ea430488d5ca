/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host that queues a step's ops (doc/model.md, "The host's lead"). */
#include "sim/exec_int.h"

#include "base/units.h"

#include <math.h>

double host_delay(const struct host_clock *h, const struct op_host *o,
		  uint64_t start_ps)
{
	double ahead_s = s_from_ps(start_ps) - s_from_ps(h->begin_ps) -
		h->queued_s;

	return o->host_s > 0 ? fmax(o->late_s - ahead_s, 0) : 0;
}

void host_queue(struct host_clock *h, const struct op_host *o,
		uint64_t end_ps)
{
	h->queued_s += o->host_s;
	if (o->is_met)
		*h = (struct host_clock){ .begin_ps = end_ps };
}
