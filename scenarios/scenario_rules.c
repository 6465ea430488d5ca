/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/scenario_rules.h"

#include "scenarios/keys.h"
#include "scenarios/params.h"

#include <stdio.h>
#include <string.h>

static bool has_pcie(const struct scenario *s)
{
	return s->cluster.intra.kind == INTRA_PCIE ||
	       s->cluster.intra.kind == INTRA_NVLINK_PAIRS;
}

static bool has_fabric(const struct scenario *s)
{
	return s->cluster.fabric.kind != FABRIC_NONBLOCKING;
}

static bool has_leaves(const struct scenario *s)
{
	return s->cluster.fabric.kind == FABRIC_LEAF_SPINE ||
	       s->cluster.fabric.kind == FABRIC_FAT_TREE;
}

static bool has_pods(const struct scenario *s)
{
	return s->cluster.fabric.kind == FABRIC_FAT_TREE;
}

static bool has_racks(const struct scenario *s)
{
	return s->cluster.fabric.kind == FABRIC_RACK;
}

static bool has_file(const struct scenario *s)
{
	return s->routing.kind == ROUTING_COUNTS ||
	       s->routing.kind == ROUTING_TRACE;
}

static bool has_skew(const struct scenario *s)
{
	return !has_file(s) && s->routing.kind != ROUTING_UNIFORM;
}

static bool has_domain(const struct scenario *s)
{
	return s->routing.kind == ROUTING_COUNTS;
}

#define PCIE_KINDS "cluster.intra.kind pcie and nvlink-pairs"
#define LEAF_KINDS "cluster.fabric.kind leaf-spine and fat-tree"

const struct key_rule key_rules[] = {
	{ "cluster.intra.pcie", "cluster.intra.kind", PCIE_KINDS, has_pcie,
	  true, -1 },
	{ "cluster.intra.gpus_per_switch", "cluster.intra.kind", PCIE_KINDS,
	  has_pcie, false, -1 },
	{ "cluster.intra.switches_per_socket", "cluster.intra.kind",
	  PCIE_KINDS, has_pcie, false, -1 },
	{ "cluster.intra.socket", "cluster.intra.kind", PCIE_KINDS, has_pcie,
	  false, -1 },
	{ "cluster.fabric.oversubscription", "cluster.fabric.kind",
	  "every cluster.fabric.kind but nonblocking", has_fabric, false, 1 },
	{ "cluster.fabric.nodes_per_leaf", "cluster.fabric.kind", LEAF_KINDS,
	  has_leaves, false, -1 },
	{ "cluster.fabric.radix", "cluster.fabric.kind", LEAF_KINDS,
	  has_leaves, false, -1 },
	{ "cluster.fabric.leaves_per_pod", "cluster.fabric.kind",
	  "cluster.fabric.kind fat-tree", has_pods, true, -1 },
	{ "cluster.fabric.core_oversubscription", "cluster.fabric.kind",
	  "cluster.fabric.kind fat-tree", has_pods, false, 1 },
	{ "cluster.fabric.gpus_per_rack", "cluster.fabric.kind",
	  "cluster.fabric.kind rack", has_racks, true, -1 },
	{ "routing.skew", "routing.kind", "every generated routing.kind but "
	  "uniform", has_skew, false, 0 },
	{ "routing.file", "routing.kind", "routing.kind counts and trace",
	  has_file, true, -1 },
	{ "routing.layer", "routing.kind", "routing.kind counts and trace",
	  has_file, false, -1 },
	{ "routing.domain", "routing.kind", "routing.kind counts",
	  has_domain, false, -1 },
	{ 0 },
};

bool key_rule_neutral(const struct key_rule *r, const struct scenario *s)
{
	const struct key_row *row = key_find(r->key);
	double v;

	if (row->type != KEY_REAL)
		return false;
	memcpy(&v, (const char *)s + row->offset, sizeof(v));
	return v == r->neutral;
}

bool key_used(const struct scenario *s, const char *key)
{
	const struct key_rule *r;

	for (r = key_rules; r->key; r++) {
		if (!strcmp(r->key, key))
			return r->used(s);
	}
	return true;
}

static enum status missing(const struct scenario *s, const char *key,
			   const char *why)
{
	return err_set(ST_INPUT, "%s: key '%s' is missing: %s", s->path, key,
		       why);
}

static enum status fill_intra(struct scenario *s)
{
	struct cluster *c = &s->cluster;

	if (c->intra.kind == INTRA_PCIE) {
		if (c->intra.pcie_Bps == 0)
			c->intra.pcie_Bps = c->intra.bandwidth_Bps;
		if (c->intra.bandwidth_Bps == 0)
			c->intra.bandwidth_Bps = c->intra.pcie_Bps;
		if (c->intra.pcie_Bps == 0)
			return missing(s, "cluster.intra.pcie",
				       "cluster.intra.kind is pcie");
	}
	if (c->intra.bandwidth_Bps == 0)
		c->intra.bandwidth_Bps = c->gpu.nvlink_Bps;
	if (c->intra.bandwidth_Bps == 0)
		return missing(s, "cluster.intra.bandwidth",
			       "the GPU has no NVLink");
	if (has_pcie(s) && c->intra.socket_Bps == 0)
		c->intra.socket_Bps = c->intra.pcie_Bps;
	return ST_OK;
}

static enum status fill_nic(struct scenario *s)
{
	struct cluster *c = &s->cluster;

	if (!c->nic.per_gpu && !c->nic.per_node)
		c->nic.per_gpu = 1;
	if (c->nic.bandwidth_Bps > 0)
		return ST_OK;
	if (c->nodes > 1)
		return missing(s, "cluster.nic.bandwidth",
			       "there is more than one node");
	/* one node: no flow takes a NIC; any rate will do */
	c->nic.bandwidth_Bps = c->intra.bandwidth_Bps;
	return ST_OK;
}

/*
 * As many ports down as could go up: at an oversubscription above 1 some of
 * the latter stay empty, so that a leaf has the same nodes at any.
 */
static void fill_leaves(struct cluster *c)
{
	int64_t nics = c->nic.per_node ? c->nic.per_node :
		(int64_t)c->nic.per_gpu * c->gpus_per_node;
	int nodes = (int)(c->fabric.radix / 2 / nics);

	if (!c->fabric.nodes_per_leaf)
		c->fabric.nodes_per_leaf = nodes > 1 ? nodes : 1;
}

static void fill_cluster_name(struct cluster *c)
{
	if (!*c->name)
		snprintf(c->name, sizeof(c->name), "%dx%d-%.90s", c->nodes,
			 c->gpus_per_node, c->gpu.name);
}

static enum status fill_model(struct scenario *s)
{
	struct model *m = &s->model;
	double shared = (double)m->shared_experts * m->expert_ffn;

	if (!*m->name)
		snprintf(m->name, sizeof(m->name), "custom");
	if (!m->moe_layers)
		m->moe_layers = m->layers;
	if (!m->shared_ffn && shared > ELEMENTS_MAX)
		return err_set(ST_INPUT, "%s: key 'model.shared_experts': "
			       "%d x %d (expert_ffn) is more than %d",
			       scenario_where(s, "model.shared_experts"),
			       m->shared_experts, m->expert_ffn,
			       ELEMENTS_MAX);
	if (!m->shared_ffn)
		m->shared_ffn = (int)shared;
	params_estimate(m);
	return ST_OK;
}

static enum status fill_faults(struct scenario *s)
{
	enum status st = faults_parse(s->faults.degraded, &s->arena,
				      &s->cluster.fault, &s->cluster.n_faults);

	return st ? err_prefix(st, "%s: key 'faults.degraded'",
			       scenario_where(s, "faults.degraded")) : ST_OK;
}

enum status scenario_fill(struct scenario *s)
{
	enum status st = fill_intra(s);

	if (!st)
		st = fill_nic(s);
	if (!st && has_leaves(s))
		fill_leaves(&s->cluster);
	if (!st)
		st = fill_faults(s);
	if (!st && !s->cluster_only)
		st = fill_model(s);
	if (st)
		return st;
	fill_cluster_name(&s->cluster);
	if (s->constraints.memory_bytes == 0)
		s->constraints.memory_bytes = s->cluster.gpu.hbm_bytes;
	return ST_OK;
}
