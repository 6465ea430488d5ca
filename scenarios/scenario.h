/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scenario: everything the user says, as plain values in SI units.
 *
 * One struct per section of the YAML file (see keys.h for the table that
 * names every field, its unit, range, default and help). scenario_load()
 * reads the file, the shipped data files that it names (gpu, cluster, model)
 * and --set overrides, fills in defaults and checks what can be checked
 * without simulating: after it has returned ST_OK every field is valid, in
 * range, and consistent (scenario_check()).
 *
 * Where a key may be a list or `auto`, the struct holds a `struct knob_*`:
 * the candidates that the planner may choose from.
 */
#ifndef SCENARIOS_SCENARIO_H
#define SCENARIOS_SCENARIO_H

#include "base/mem.h"
#include "base/status.h"
#include "scenarios/faults.h"
#include "scenarios/gpu.h"
#include "scenarios/layout.h"
#include "scenarios/profile_spec.h"
#include "scenarios/routing_spec.h"
#include "scenarios/tech_spec.h"
#include "scenarios/technique.h"

#include <stdbool.h>
#include <stdint.h>

#define KNOB_MAX 32	/* values of one list */

/* Candidates for an integer knob. */
struct knob_int {
	bool is_auto;	/* the planner makes the list; n is then 0 */
	int n;
	int v[KNOB_MAX];
};

struct knob_real {
	bool is_auto;
	int n;
	double v[KNOB_MAX];
};

enum intra_kind {
	INTRA_NVSWITCH,
	INTRA_NVLINK_PAIRS,	/* GPUs 2i and 2i+1 are joined; others: PCIe */
	INTRA_NVLINK_MESH,	/* every pair joined by bandwidth/(G-1) */
	INTRA_PCIE,
};

enum fabric_kind {
	FABRIC_NONBLOCKING,
	FABRIC_RAIL,
	FABRIC_LEAF_SPINE,
	FABRIC_FAT_TREE,
	FABRIC_RACK,
};

struct cluster {
	char name[NAME_MAX_LEN];
	int nodes, gpus_per_node;
	struct gpu gpu;
	struct {
		enum intra_kind kind;
		double bandwidth_Bps;	/* per GPU and direction */
		double latency_s;
		/* nvlink-pairs and pcie: the PCIe tree */
		double pcie_Bps;	/* GPU to its switch, per direction */
		int gpus_per_switch;	/* share one switch uplink */
		int switches_per_socket;
		double socket_Bps;	/* between sockets, per direction */
	} intra;
	struct {
		int per_gpu;	/* exactly one of the two is not 0 */
		int per_node;
		double bandwidth_Bps;	/* of one NIC, per direction */
		double latency_s;
	} nic;
	struct {
		enum fabric_kind kind;
		double oversubscription;	/* leaf (or rail leaf) uplinks */
		int nodes_per_leaf;	/* leaf-spine, fat-tree */
		int radix;	/* ports of their leaf switches */
		int leaves_per_pod;	/* fat-tree */
		double core_oversubscription;	/* fat-tree: pod uplinks */
		int gpus_per_rack;	/* rack: one NVLink domain */
	} fabric;
	bool pxn;
	const struct degraded *fault;	/* borrowed: scenario's arena */
	int n_faults;
	char provenance[512];
};

/* A model's MoE layers. hidden etc. in elements; see hf_config.h. */
struct model {
	char name[NAME_MAX_LEN];
	int hidden;
	int layers, moe_layers;
	int experts, experts_per_token;
	int expert_ffn;		/* inner size of one routed expert */
	int shared_experts;	/* always active, beside the routed ones */
	int shared_ffn;		/* inner size of all shared experts together */
	int dense_ffn;		/* inner size of the non-MoE layers; 0: none */
	bool gated;		/* three products (SwiGLU) instead of two */
	double params_total, params_active;	/* whole model */
	double params_other;	/* all but the routed experts */
	/* the workload */
	int sequence, batch_per_gpu;
	enum dtype dtype;
	char provenance[512];
};

struct constraints {
	double max_drop;	/* fraction of routed copies that may drop */
	double memory_bytes;	/* per GPU; 0: what the GPU has */
	double max_error;	/* relative, of tokens that are compressed */
	double max_reroute;	/* of copies, to another expert than theirs */
};

struct search_space {
	unsigned alltoall_mask;	/* bit 1 << enum a2a_alg; auto: all */
	struct knob_int degree;
	struct knob_real capacity;	/* 0 in the list: dropless */
	unsigned technique_mask;
	struct knob_int ctas;	/* 0 in the list: no limit; auto: 0 and all
				   that were measured (gpu.limit) */
	int finalists;		/* re-evaluated in the flow model */
	double flow_tolerance;	/* completions merged in the flow model,
				   as a fraction of a collective's time */
};

struct comm_spec {
	int window;	/* concurrent peers per rank; 0: all at once */
	bool replicated;	/* every rank of a tensor group sends all rows
				   of the group, not its share */
	double ll_bytes;	/* messages up to this size may use the
				   low-latency protocol */
};

/*
 * What the memory estimate assumes; by default what a team does when memory
 * is tight, so that only plans that cannot be are refused.
 */
struct training {
	bool recompute;	/* keep only layer inputs */
	int zero;	/* 0: replicated optimizer; 1: sharded over dp */
	int micro_batches;	/* of a step, batch_per_gpu each */
	bool gpipe;	/* else 1F1B */
};

struct measured;

struct scenario {
	char *path;	/* file it came from; owned by the arena */
	struct cluster cluster;
	struct model model;
	struct {
		struct knob_int ep, esp, tp, dp, pp;
	} layout;
	struct routing_spec routing;
	struct constraints constraints;
	struct search_space search;
	struct tech_spec technique;
	struct comm_spec comm;
	struct training training;
	struct fault_spec faults;
	struct profile_spec profile;
	/* what the profile said; NULL: data sheet costs. Not owned, not
	 * printed; set after loading (measured.h) */
	const struct measured *measured;
	bool cluster_only;	/* see scenario_load_cluster() */
	struct arena arena;
	/* where each key was set, or NULL: scenario_where(); in the arena */
	const char **where;
};

struct scenario_set {	/* one --set KEY=VALUE */
	const char *text;
};

/*
 * Loads the file (a path or a shipped name such as "default"), applies sets
 * in order, fills defaults, checks. On error the scenario is released and
 * the message says file:line:column and key (for --set: "--set
 * 'cluster.nodes=0'").
 *
 * Beside the keys of the table it takes
 *	cluster: NAME | FILE | "nodes=8 gpu=8 ..." (cluster_text.h)
 *	cluster.gpu: NAME | FILE | {base: NAME | FILE, KEY: ...} (gpu_keys)
 *	model: NAME | FILE, the same as model.config
 * A key that is null is as if it were not there. Precedence, lowest first:
 * defaults, the named data files, the scenario file, --set in order; a
 * --set of the whole cluster by name or line replaces the file's section.
 * Paths are relative to the file that names them, else to the working
 * directory.
 */
enum status scenario_load(struct scenario *s, const char *path,
			  const struct scenario_set *sets, int n_sets);
/* The same for a text in YAML, which messages call `source`. */
enum status scenario_parse(struct scenario *s, const char *source,
			   const char *text, size_t len,
			   const struct scenario_set *sets, int n_sets);
/*
 * The same for what looks at the cluster alone: keys of the other sections
 * may be absent, and rules that join them are not checked. `path` may then
 * also be a shipped cluster, a cluster file, or a cluster in one line.
 */
enum status scenario_load_cluster(struct scenario *s, const char *path,
				  const struct scenario_set *sets, int n_sets);
/* The same for a text in YAML, which messages call `source`. */
enum status scenario_parse_cluster(struct scenario *s, const char *source,
				   const char *text, size_t len,
				   const struct scenario_set *sets,
				   int n_sets);
void scenario_release(struct scenario *s);

/* Canonical YAML that scenario_load() reads back to the same values. */
struct buf;
void scenario_print(const struct scenario *s, struct buf *out);

/*
 * A cluster as the YAML of a cluster file (keys without "cluster."), that
 * `cluster: FILE` and `base: FILE` read back. PART: only what is not 0, and
 * the GPU by its type if it has one. BY_NAME: all, the GPU by its type.
 * WHOLE: all, the GPU's own keys too, so that it needs no data file.
 */
enum cluster_form { CLUSTER_PART, CLUSTER_BY_NAME, CLUSTER_WHOLE };
void cluster_print(const struct cluster *c, enum cluster_form form,
		   struct buf *out);

/* Cross-field rules; scenario_load() has called it. */
enum status scenario_check(const struct scenario *s);

/*
 * Where a key was set, for messages: "file.yaml:3:9", "--set
 * 'layout.ep=3'", "default" (also for a scenario that was not loaded).
 */
const char *scenario_where(const struct scenario *s, const char *key);

static inline int cluster_gpus(const struct cluster *c)
{
	return c->nodes * c->gpus_per_node;
}

#endif
