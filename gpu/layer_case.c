/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_dense.h"

#include "base/buf.h"
#include "base/mem.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* as sim/capacity.c: a factor that stands for n slots gives n */
#define ROUNDING 1e-12

_Static_assert((int)LAYER_WS2 < (int)FILL_STREAM_N, "keys run into another rank's");

void layer_case_release(struct layer_case *c)
{
	free(c->count);
	*c = (struct layer_case){ 0 };
}

static enum status check_range(const char *name, int64_t v, int64_t min,
			       int64_t max)
{
	if (v >= min && v <= max)
		return ST_OK;
	return err_set(ST_INPUT, "field '%s': %lld is not in %lld..%lld", name,
		       (long long)v, (long long)min, (long long)max);
}

static enum status check_ranges(const struct layer_case *c)
{
	const struct {
		const char *name;
		int64_t v, min, max;
	} field[] = {
		{ "tokens", c->tokens, 1, LAYER_TOKENS_MAX },
		{ "hidden", c->hidden, 1, LAYER_HIDDEN_MAX },
		{ "ffn", c->ffn, 1, LAYER_FFN_MAX },
		{ "experts", c->experts, 1, LAYER_EXPERTS_MAX },
		{ "k", c->k, 1, LAYER_K_MAX },
		{ "shared_ffn", c->shared_ffn, 0, LAYER_FFN_MAX },
		{ "nodes", c->nodes, 1, LAYER_RANKS_MAX },
		{ "gpus_per_node", c->gpus_per_node, 1, LAYER_RANKS_MAX },
		{ "capacity", c->capacity, 0, INT_MAX },
	};
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < sizeof(field) / sizeof(field[0]) && !st; i++) {
		st = check_range(field[i].name, field[i].v, field[i].min,
				 field[i].max);
	}
	if (!st && layer_ranks(c) > LAYER_RANKS_MAX)
		st = err_set(ST_INPUT, "field 'nodes': %d x %d ranks are more "
			     "than %d", c->nodes, c->gpus_per_node,
			     LAYER_RANKS_MAX);
	if (!st && c->k > c->experts)
		st = err_set(ST_INPUT, "field 'k': %d is above 'experts', %d",
			     c->k, c->experts);
	if (!st && c->dtype != DT_BF16 && c->dtype != DT_FP32)
		st = err_set(ST_INPUT, "field 'dtype': is not bf16 or fp32");
	return st;
}

/* scenarios/layout.h's rules, here with the layer's ranks. */
static enum status check_layout(const struct layer_case *c)
{
	const struct layout *l = &c->plan.layout;
	int64_t used;

	if (l->ep < 1 || l->esp < 1 || l->dp < 1 || l->tp < 1)
		return err_set(ST_INPUT, "field 'plan': a degree is below 1");
	used = (int64_t)l->ep * l->esp * l->dp;
	if (l->pp != 1)
		return err_set(ST_INPUT, "field 'plan': pp is %d, but one "
			       "layer has 1 stage", l->pp);
	if (l->ep > LAYER_RANKS_MAX || l->esp > LAYER_RANKS_MAX ||
	    used != layer_ranks(c))
		return err_set(ST_INPUT, "field 'plan': ep %d x esp %d x dp %d "
			       "is not the number of ranks, %d (%d nodes x "
			       "%d)", l->ep, l->esp, l->dp, layer_ranks(c),
			       c->nodes, c->gpus_per_node);
	if (c->experts % l->ep && l->ep % c->experts)
		return err_set(ST_INPUT, "field 'plan': ep %d neither divides "
			       "the %d experts nor is a multiple of them",
			       l->ep, c->experts);
	if (c->gpus_per_node % l->esp || c->ffn % l->esp)
		return err_set(ST_INPUT, "field 'plan': esp %d does not divide "
			       "the %d GPUs of a node and 'ffn', %d", l->esp,
			       c->gpus_per_node, c->ffn);
	if (layer_ranks(c) % l->tp)
		return err_set(ST_INPUT, "field 'plan': tp %d does not divide "
			       "the %d ranks", l->tp, layer_ranks(c));
	return ST_OK;
}

static enum status check_capacity(const struct layer_case *c)
{
	int64_t rows = (int64_t)layer_ranks(c) *
		       (c->capacity ? c->capacity * c->experts :
				      (int64_t)c->tokens * c->k);

	if (!(c->plan.capacity_factor > 0) != !c->capacity)
		return err_set(ST_INPUT, "field 'capacity': is %lld, but the "
			       "plan is %s", (long long)c->capacity,
			       c->capacity ? "dropless" : "not dropless");
	if (rows > INT_MAX)
		return err_set(ST_INPUT, "field '%s': the exchange has %lld "
			       "rows, more than %d", c->capacity ?
			       "capacity" : "tokens", (long long)rows,
			       INT_MAX);
	return ST_OK;
}

static enum status check_counts(const struct layer_case *c)
{
	int r, e;

	if (c->counts_known && !c->count)
		return err_set(ST_INPUT, "field 'counts_known': true without "
			       "'counts'");
	for (r = 0; c->count && r < layer_ranks(c); r++) {
		int64_t sum = 0;

		for (e = 0; e < c->experts; e++) {
			int32_t n = c->count[(size_t)r * (size_t)c->experts +
					     (size_t)e];

			if (n < 0 || n > c->tokens)
				return err_set(ST_INPUT, "field 'counts': row "
					       "%d has %d for expert %d, must "
					       "be in 0..tokens, %d", r, n, e,
					       c->tokens);
			sum += n;
		}
		if (sum != (int64_t)c->tokens * c->k)
			return err_set(ST_INPUT, "field 'counts': row %d has "
				       "%lld copies, not tokens x k, %lld", r,
				       (long long)sum,
				       (long long)c->tokens * c->k);
	}
	return ST_OK;
}

enum status layer_case_check(const struct layer_case *c)
{
	const struct plan *p = &c->plan;
	enum status st = check_ranges(c);

	if (!st)
		st = check_layout(c);
	if (!st && (p->degree_forward < 1 || p->degree_backward < 1 ||
		    p->degree_forward > PLAN_DEGREE_MAX ||
		    p->degree_backward > PLAN_DEGREE_MAX))
		st = err_set(ST_INPUT, "field 'plan': degree %d/%d is not in "
			     "1..%d", p->degree_forward, p->degree_backward,
			     PLAN_DEGREE_MAX);
	if (!st && p->technique_mask & ~(1u << TECH_BASELINE |
					 1u << TECH_ORDER))
		st = err_set(ST_INPUT, "field 'plan': the runner has no "
			     "techniques but '%s' and '%s'",
			     technique_table[TECH_BASELINE].name,
			     technique_table[TECH_ORDER].name);
	if (!st && p->dense)
		st = err_set(ST_INPUT, "field 'plan': the runner has no "
			     "attention, which 'dense' has beside the layer");
	if (!st && p->gradient_bytes > (double)LAYER_DENSE_BYTES_MAX)
		st = err_set(ST_INPUT, "field 'plan': gradient of %g bytes is "
			     "above %g", p->gradient_bytes,
			     (double)LAYER_DENSE_BYTES_MAX);
	if (!st)
		st = check_capacity(c);
	if (!st)
		st = check_counts(c);
	return st;
}

int64_t layer_capacity(const struct layer_case *c, double factor)
{
	double slots = ceil((double)c->k * c->tokens / c->experts * factor *
			    (1 - ROUNDING));

	return slots > 1 ? (int64_t)fmin(slots, INT_MAX) : 1;
}

void layer_describe(const struct layer_case *c, char out[LAYER_TEXT])
{
	struct buf b = { 0 };

	if (*c->label)
		buf_addf(&b, "%s ", c->label);
	buf_addf(&b, "%dx%dx%d e%d k%d %s %s", c->tokens, c->hidden, c->ffn,
		 c->experts, c->k, c->gated ? "swiglu" : "gelu",
		 layer_dtype(c));
	if (c->shared_ffn)
		buf_addf(&b, " shared %d", c->shared_ffn);
	if (c->capacity)
		buf_addf(&b, " capacity %lld", (long long)c->capacity);
	else
		buf_puts(&b, " dropless");
	buf_addf(&b, " %s seed %llu", !c->count ? "routed" :
		 c->counts_known ? "known" : "given",
		 (unsigned long long)c->seed);
	snprintf(out, LAYER_TEXT, "%s", buf_str(&b));
	buf_release(&b);
}

enum status layer_program(const struct layer_case *c, struct program *out)
{
	struct cluster cluster = { .nodes = c->nodes,
				   .gpus_per_node = c->gpus_per_node };
	struct model m = { .hidden = c->hidden, .layers = 1, .moe_layers = 1,
			   .experts = c->experts, .experts_per_token = c->k,
			   .expert_ffn = c->ffn,
			   .shared_experts = c->shared_ffn > 0,
			   .shared_ffn = c->shared_ffn, .gated = c->gated,
			   .sequence = c->tokens, .batch_per_gpu = 1,
			   .dtype = c->dtype };

	cluster.fabric.kind = FABRIC_NONBLOCKING;
	return program_lower(&c->plan, &cluster, &m, out);
}
