/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/exec_int.h"

#include "base/units.h"

/* What all lanes share. */
struct shared {
	uint64_t sms;		/* free from then on */
	struct host_clock host;
};

/* When the op ends that could start at *at_p; it may have to wait. */
static uint64_t turn(const struct program *p, const struct cost *c,
		     const struct op *op, uint64_t *at_p, struct shared *s)
{
	bool takes = exec_takes_sms(p, c, op);
	struct op_host host;
	double seconds = cost_op_queued(c, op, &host);
	uint64_t end;

	if (takes && s->sms > *at_p)
		*at_p = s->sms;
	end = *at_p + ps_from_s(seconds +
				host_delay(&s->host, &host, *at_p));
	host_queue(&s->host, &host, end);
	if (takes)
		s->sms = end;
	return end;
}

/*
 * List scheduling in array order. The array is a topological order and each
 * lane runs its ops in that order, so one pass over it is exact: an op starts
 * at the later of its lane's last finish and its dependencies'. Ops that take
 * all SMs are one more lane: they run in turn, in array order too.
 */
uint64_t exec_lane_time(const struct program *p, const struct cost *c,
			uint64_t *end_ps)
{
	uint64_t lane[LANES_ALL] = { 0 }, last = 0, at;
	struct shared shared = { 0 };
	const struct op *op;
	int i, d;

	for (i = 0; i < p->n_ops; i++) {
		op = &p->op[i];
		if (i == p->n_forward)
			shared.host = (struct host_clock){ .begin_ps = last };
		at = lane[op->lane];
		for (d = 0; d < op->n_deps; d++) {
			if (end_ps[op->dep[d]] > at)
				at = end_ps[op->dep[d]];
		}
		end_ps[i] = lane[op->lane] = turn(p, c, op, &at, &shared);
		if (end_ps[i] > last)
			last = end_ps[i];
	}
	return last;
}

uint64_t exec_deps_ready(const struct op *op, const struct exec_op *done)
{
	uint64_t at = 0;
	int d;

	for (d = 0; d < op->n_deps; d++) {
		if (done[op->dep[d]].finish_ps > at)
			at = done[op->dep[d]].finish_ps;
	}
	return at;
}

enum status exec_lane_run(const struct program *p, const struct cost *c,
			  struct exec_result *out)
{
	uint64_t lane[LANES_ALL] = { 0 }, last = 0, at, end;
	struct shared shared = { 0 };
	const struct op *op;
	int i;

	for (i = 0; i < p->n_ops; i++) {
		op = &p->op[i];
		if (i == p->n_forward)
			shared.host = (struct host_clock){ .begin_ps = last };
		at = exec_deps_ready(op, out->op);
		if (lane[op->lane] > at)
			at = lane[op->lane];
		end = turn(p, c, op, &at, &shared);
		out->op[i].start_ps = at;
		out->op[i].finish_ps = lane[op->lane] = end;
		if (end > last)
			last = end;
	}
	out->events = (uint64_t)p->n_ops;
	return ST_OK;
}
