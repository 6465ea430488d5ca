/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A struct cost in place of sim/cost.c's, whose ops take what the test says.
 * For one file of a test program: it defines cost_op() and its like.
 */
#ifndef TESTS_UNIT_EXEC_STUB_H
#define TESTS_UNIT_EXEC_STUB_H

#include "sim/cost_load.h"
#include "sim/exec.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINKS 4

struct cost {
	double s[OP_KIND_N];	/* of one chunk */
	double hbm[OP_KIND_N];
	double first[OP_KIND_N];
	struct op_host host[OP_KIND_N];
	struct coll_step step[OP_KIND_N];	/* comm: s is its flow part */
	struct step_load load[OP_KIND_N];
	struct net net;
	double capacity[LINKS];
	double bytes[OP_KIND_N][LINKS];
	const struct coll_step *second;	/* of OP_DISPATCH, NULL: as the first */
	const struct step_load *second_load;
};

static inline bool is_second(const struct cost *c, const struct op *op)
{
	return c->second && op->kind == OP_DISPATCH && op->step == 1;
}

double cost_op(const struct cost *c, const struct op *op)
{
	const struct coll_step *st = is_second(c, op) ? c->second :
		&c->step[op->kind];

	if (!op_kind_is_comm(op->kind))
		return c->s[op->kind];
	return st->fixed_s + (st->flow_s + st->copy_s) / op->n_chunks;
}

double cost_op_queued(const struct cost *c, const struct op *op,
		      struct op_host *out)
{
	*out = c->host[op->kind];
	return cost_op(c, op);
}

double cost_op_first(const struct cost *c, const struct op *op)
{
	return c->first[op->kind];
}

double cost_op_hbm_bytes(const struct cost *c, const struct op *op)
{
	return c->hbm[op->kind];
}

const struct coll_step *cost_op_step(const struct cost *c, const struct op *op)
{
	if (is_second(c, op))
		return c->second;
	return op_kind_is_comm(op->kind) ? &c->step[op->kind] : NULL;
}

const struct step_load *cost_op_load(const struct cost *c, const struct op *op)
{
	if (is_second(c, op))
		return c->second_load;
	return op_kind_is_comm(op->kind) ? &c->load[op->kind] : NULL;
}

/* Every link by itself. */
const struct link_set *cost_links(const struct cost *c)
{
	static struct link_set all;
	static int number[64];

	assert_true(c->net.n_links < 64);
	for (int i = 0; i < 64; i++)
		number[i] = i;
	all = (struct link_set){ .n = c->net.n_links, .n_kinds = 1,
				 .begin = number, .link = number };
	return &all;
}

const struct net *cost_net(const struct cost *c)
{
	return &c->net;
}

/* 1 byte/s links, memory of 1 byte/s, 10 SMs of which a collective holds 2. */
static inline void cost_init(struct cost *c)
{
	int i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < LINKS; i++)
		c->capacity[i] = 1;
	c->net.n_links = LINKS;
	c->net.capacity_Bps = c->capacity;
	c->net.cluster.gpu.hbm_Bps = 1;
	c->net.cluster.gpu.hbm_efficiency = 1;
	c->net.cluster.gpu.sms = 10;
	c->net.cluster.gpu.comm_sms = 2;
	for (i = 0; i < OP_KIND_N; i++) {
		c->load[i].link_bytes = c->bytes[i];
		c->step[i].ll_fixed_s = INFINITY;
	}
}

/* A chunk of n takes `s`. */
static inline void set_comm(struct cost *c, enum op_kind k, double s, int n)
{
	c->step[k].flow_s = s * n;
}

static inline void lower(struct program *p, int ep, int esp, enum a2a_alg a, int rf,
		  int rb)
{
	struct cluster cl = { .nodes = 4, .gpus_per_node = 4 };
	struct model m = { .hidden = 8, .experts = 16,
			   .experts_per_token = 2 };
	struct plan plan = {
		.layout = { .ep = ep, .esp = esp, .tp = 1,
			    .dp = 16 / ep / esp, .pp = 1 },
		.alltoall = a, .degree_forward = rf, .degree_backward = rb,
		.technique_mask = 1,
	};

	assert_int_equal(program_lower(&plan, &cl, &m, p), ST_OK);
}

static inline void run(const struct program *p, const struct cost *c,
		enum exec_model model, struct exec_result *r)
{
	assert_int_equal(exec_run(p, c, model, r), ST_OK);
	exec_check(p, r);
}

#endif
