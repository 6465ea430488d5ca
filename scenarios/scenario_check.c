/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules that need more than one key. Each message names key and place. */
#include "scenarios/scenario.h"

#include "base/buf.h"
#include "scenarios/keys.h"
#include "scenarios/scenario_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum status refuse(const struct scenario *s, const char *key,
			  const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum status refuse(const struct scenario *s, const char *key,
			  const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(ST_INPUT, "%s: key '%s': %s", scenario_where(s, key),
		       key, text);
}

/* Is a field of a rule's key unset? All such keys are int, real or text. */
static bool is_unset(const struct scenario *s, const struct key_row *row)
{
	static const char zero[sizeof(double)];

	return !memcmp((const char *)s + row->offset, zero,
		       key_field_size(row));
}

static enum status check_required(const struct scenario *s)
{
	const struct key_rule *r;

	for (r = key_rules; r->key; r++) {
		if (r->required && r->used(s) &&
		    is_unset(s, key_find(r->key)))
			return err_set(ST_INPUT, "%s: key '%s' is missing: it "
				       "must be given for %s",
				       scenario_where(s, r->decider), r->key,
				       r->when);
	}
	return ST_OK;
}

static enum status check_size(const struct scenario *s)
{
	const struct cluster *c = &s->cluster;

	if ((int64_t)c->nodes * c->gpus_per_node > RANKS_MAX)
		return refuse(s, "cluster.gpus_per_node", "%d nodes x %d GPUs "
			      "are more than %d", c->nodes, c->gpus_per_node,
			      RANKS_MAX);
	return ST_OK;
}

static enum status check_nic(const struct scenario *s)
{
	const struct cluster *c = &s->cluster;

	if (c->nic.per_gpu && c->nic.per_node)
		return refuse(s, "cluster.nic.per_node", "either this or "
			      "cluster.nic.per_gpu, not both");
	if ((int64_t)c->nic.per_gpu * c->gpus_per_node > RANKS_MAX)
		return refuse(s, "cluster.nic.per_gpu", "%d x %d GPUs are "
			      "more than %d NICs of a node", c->nic.per_gpu,
			      c->gpus_per_node, RANKS_MAX);
	if (c->nic.per_node > c->gpus_per_node)
		return refuse(s, "cluster.nic.per_node", "%d is more than the "
			      "node's %d GPUs; several NICs of each GPU are "
			      "cluster.nic.per_gpu", c->nic.per_node,
			      c->gpus_per_node);
	return ST_OK;
}

static enum status check_links(const struct scenario *s)
{
	const struct cluster *c = &s->cluster;

	if (c->intra.kind == INTRA_PCIE &&
	    c->intra.pcie_Bps != c->intra.bandwidth_Bps)
		return refuse(s, "cluster.intra.bandwidth", "kind pcie has one "
			      "rate; it and cluster.intra.pcie differ");
	if (c->fabric.kind == FABRIC_RACK &&
	    c->fabric.gpus_per_rack % c->gpus_per_node)
		return refuse(s, "cluster.fabric.gpus_per_rack", "%d is not a "
			      "multiple of the %d GPUs of a node",
			      c->fabric.gpus_per_rack, c->gpus_per_node);
	if (c->pxn && c->intra.kind != INTRA_NVSWITCH &&
	    c->intra.kind != INTRA_NVLINK_MESH)
		return refuse(s, "cluster.pxn", "needs NVLink between all "
			      "GPUs of a node (cluster.intra.kind nvswitch or "
			      "nvlink-mesh)");
	return ST_OK;
}

static enum status check_dtype(const struct scenario *s)
{
	const struct gpu *gpu = &s->cluster.gpu;
	struct buf known = { 0 };
	enum status st;
	int t;

	if (gpu->flops[s->model.dtype] > 0)
		return ST_OK;
	for (t = 0; t < DT_N; t++) {
		if (gpu->flops[t] > 0)
			buf_addf(&known, "%s%s", known.len ? ", " : "",
				 dtype_name((enum dtype)t));
	}
	st = refuse(s, "model.dtype", "'%s' is not supported by GPU '%s' "
		    "(%s)", dtype_name(s->model.dtype), gpu->name,
		    known.len ? buf_str(&known) : "it names no peak rate");
	buf_release(&known);
	return st;
}

static enum status check_model(const struct scenario *s)
{
	const struct model *m = &s->model;

	if (m->experts_per_token > m->experts)
		return refuse(s, "model.experts_per_token", "%d is more than "
			      "the %d experts", m->experts_per_token,
			      m->experts);
	if ((int64_t)m->sequence * m->batch_per_gpu > ELEMENTS_MAX)
		return refuse(s, "model.batch_per_gpu", "%d sequences of %d "
			      "tokens are more than %d tokens",
			      m->batch_per_gpu, m->sequence, ELEMENTS_MAX);
	if (m->moe_layers > m->layers)
		return refuse(s, "model.moe_layers", "%d is more than the %d "
			      "layers", m->moe_layers, m->layers);
	if (m->shared_ffn && !m->shared_experts)
		return refuse(s, "model.shared_ffn", "%d, but "
			      "model.shared_experts is 0", m->shared_ffn);
	return check_dtype(s);
}

static enum status check_routing(const struct scenario *s)
{
	const struct routing_spec *r = &s->routing;
	bool hot = r->kind == ROUTING_HOT_EXPERT ||
		   r->kind == ROUTING_HOT_RANK;

	if (hot && r->skew > 1)
		return refuse(s, "routing.skew", "%g is not a share in 0..1 "
			      "(hot-expert, hot-rank)", r->skew);
	return ST_OK;
}

enum status scenario_check(const struct scenario *s)
{
	static enum status (*const checks[])(const struct scenario *) = {
		check_required, check_size, check_nic, check_links,
		check_model, check_routing,
	};
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(*checks) && !st; i++) {
		if (s->cluster_only && checks[i] == check_model)
			break;
		st = checks[i](s);
	}
	return st;
}

int dtype_bytes(enum dtype t)
{
	static const int bytes[DT_N] = { [DT_FP32] = 4, [DT_TF32] = 4,
					 [DT_FP16] = 2, [DT_BF16] = 2,
					 [DT_FP8] = 1 };

	return bytes[t];
}

const char *dtype_name(enum dtype t)
{
	static const char *const names[DT_N] = {
		[DT_FP32] = "fp32", [DT_TF32] = "tf32", [DT_FP16] = "fp16",
		[DT_BF16] = "bf16", [DT_FP8] = "fp8",
	};

	return names[t];
}
