/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/keys.h"

#include "scenarios/plan.h"
#include "scenarios/scenario.h"

#include <string.h>

#define AT(field) offsetof(struct scenario, field)
#define ROOM(field) sizeof(((struct scenario *)NULL)->field)

#define INT(name, field, min, max, def, help) \
	{ name, KEY_INT, U_NUMBER, AT(field), 0, min, max, def, NULL, help }
#define REAL(name, field, unit, min, max, def, help) \
	{ name, KEY_REAL, unit, AT(field), 0, min, max, def, NULL, help }
#define BOOL(name, field, def, help) \
	{ name, KEY_BOOL, U_NUMBER, AT(field), 0, 0, 1, def, NULL, help }
#define ENUM(name, field, names, def, help) \
	{ name, KEY_ENUM, U_NUMBER, AT(field), 0, 0, 0, def, names, help }
#define MASK(name, field, names, def, help) \
	{ name, KEY_MASK, U_NUMBER, AT(field), 0, 0, 0, def, names, help }
#define TEXT(name, field, def, help) \
	{ name, KEY_TEXT, U_NUMBER, AT(field), ROOM(field), 0, 0, def, NULL, \
	  help }
#define POINTER(name, field, def, help) \
	{ name, KEY_TEXT, U_NUMBER, AT(field), 0, 0, 0, def, NULL, help }
#define SOURCE(name, def, help) \
	{ name, KEY_SOURCE, U_NUMBER, 0, 0, 0, 0, def, NULL, help }
#define KNOB(name, field, min, max, def, help) \
	{ name, KEY_KNOB_INT, U_NUMBER, AT(field), 0, min, max, def, NULL, \
	  help }

/* Ranges that keep every size finite; none is a limit of real hardware. */
#define RATE_MIN 1e3	/* bytes per second */
#define RATE_MAX 1e15
#define TIME_MAX 10.0	/* s */
#define MEMORY_MAX 1e15	/* bytes */
#define PARAMS_MAX 1e18
#define LAYERS_MAX 10000
#define EXPERTS_MAX 65536
#define DEGREE_MAX 1024
#define SEED_MAX 18446744073709551615.0

static const char *intra_kind_at(int i)
{
	static const char *const names[] = {
		[INTRA_NVSWITCH] = "nvswitch",
		[INTRA_NVLINK_PAIRS] = "nvlink-pairs",
		[INTRA_NVLINK_MESH] = "nvlink-mesh",
		[INTRA_PCIE] = "pcie",
	};

	return i < (int)(sizeof(names) / sizeof(*names)) ? names[i] : NULL;
}

static const char *fabric_kind_at(int i)
{
	static const char *const names[] = {
		[FABRIC_NONBLOCKING] = "nonblocking",
		[FABRIC_RAIL] = "rail",
		[FABRIC_LEAF_SPINE] = "leaf-spine",
		[FABRIC_FAT_TREE] = "fat-tree",
		[FABRIC_RACK] = "rack",
	};

	return i < (int)(sizeof(names) / sizeof(*names)) ? names[i] : NULL;
}

static const char *routing_kind_at(int i)
{
	static const char *const names[] = {
		[ROUTING_UNIFORM] = "uniform",
		[ROUTING_ZIPF] = "zipf",
		[ROUTING_DIRICHLET] = "dirichlet",
		[ROUTING_POWER_LAW] = "power-law",
		[ROUTING_LOG_NORMAL] = "log-normal",
		[ROUTING_HOT_EXPERT] = "hot-expert",
		[ROUTING_HOT_RANK] = "hot-rank",
		[ROUTING_COUNTS] = "counts",
		[ROUTING_TRACE] = "trace",
	};

	return i < (int)(sizeof(names) / sizeof(*names)) ? names[i] : NULL;
}

static const char *dtype_at(int i)
{
	return i < DT_N ? dtype_name((enum dtype)i) : NULL;
}

static const char *a2a_at(int i)
{
	return i < A2A_N ? a2a_table[i].name : NULL;
}

static const char *technique_at(int i)
{
	return i < TECH_N ? technique_table[i].name : NULL;
}

static const char *use_at(int i)
{
	static const char *const names[] = { "auto", "off" };

	return i < (int)(sizeof(names) / sizeof(*names)) ? names[i] : NULL;
}

static const char *inter_at(int i)
{
	static const char *const names[] = { "network", "socket", "shm" };

	return i < (int)(sizeof(names) / sizeof(*names)) ? names[i] : NULL;
}

const struct key_row scenario_keys[] = {
	TEXT("cluster.name", cluster.name, "", "name for reports"),
	SOURCE("cluster.base", "", "cluster file that gives the keys not "
	       "written here: a shipped name or a path"),
	INT("cluster.nodes", cluster.nodes, 1, RANKS_MAX, NULL,
	    "number of nodes"),
	INT("cluster.gpus_per_node", cluster.gpus_per_node, 1, RANKS_MAX,
	    NULL, "number of GPUs of one node"),
	SOURCE("cluster.gpu", "h100-sxm", "GPU type: a shipped name, the "
	       "path of a GPU file, or a mapping of its keys"),
	ENUM("cluster.intra.kind", cluster.intra.kind, intra_kind_at,
	     "nvswitch", "how the GPUs of a node are joined"),
	REAL("cluster.intra.bandwidth", cluster.intra.bandwidth_Bps, U_RATE,
	     RATE_MIN, RATE_MAX, "", "per GPU and direction (default: the "
	     "GPU's NVLink; kind pcie: intra.pcie)"),
	REAL("cluster.intra.latency", cluster.intra.latency_s, U_TIME, 0,
	     TIME_MAX, "1us", "one way, GPU to GPU of a node"),
	REAL("cluster.intra.pcie", cluster.intra.pcie_Bps, U_RATE, RATE_MIN,
	     RATE_MAX, "", "PCIe, GPU to its switch, per direction (kind "
	     "pcie, default intra.bandwidth; nvlink-pairs, no default)"),
	INT("cluster.intra.gpus_per_switch", cluster.intra.gpus_per_switch,
	    1, RANKS_MAX, "2", "GPUs under one PCIe switch (kinds pcie, "
	    "nvlink-pairs)"),
	INT("cluster.intra.switches_per_socket",
	    cluster.intra.switches_per_socket, 1, RANKS_MAX, "2",
	    "PCIe switches of one CPU socket (kinds pcie, nvlink-pairs)"),
	REAL("cluster.intra.socket", cluster.intra.socket_Bps, U_RATE,
	     RATE_MIN, RATE_MAX, "", "link between sockets, per direction "
	     "(kinds pcie, nvlink-pairs; default intra.pcie)"),
	INT("cluster.nic.per_gpu", cluster.nic.per_gpu, 1, RANKS_MAX, "",
	    "NICs of each GPU (default 1 unless nic.per_node is given)"),
	INT("cluster.nic.per_node", cluster.nic.per_node, 1, RANKS_MAX, "",
	    "NICs of a node, shared by its GPUs; instead of nic.per_gpu"),
	REAL("cluster.nic.bandwidth", cluster.nic.bandwidth_Bps, U_RATE,
	     RATE_MIN, RATE_MAX, "", "one NIC, per direction; must be given "
	     "when there is more than one node"),
	REAL("cluster.nic.latency", cluster.nic.latency_s, U_TIME, 0,
	     TIME_MAX, "3us", "one way, NIC to NIC"),
	ENUM("cluster.fabric.kind", cluster.fabric.kind, fabric_kind_at,
	     "nonblocking", "network between the nodes"),
	REAL("cluster.fabric.oversubscription",
	     cluster.fabric.oversubscription, U_NUMBER, 1, 1e6, "1",
	     "leaf (or rack) downlinks over uplinks (all kinds but "
	     "nonblocking)"),
	INT("cluster.fabric.nodes_per_leaf", cluster.fabric.nodes_per_leaf,
	    1, RANKS_MAX, "", "nodes of one leaf switch (leaf-spine, "
	    "fat-tree; default: half of fabric.radix ports go to nodes, one "
	    "to each NIC)"),
	INT("cluster.fabric.radix", cluster.fabric.radix, 2, RANKS_MAX, "64",
	    "ports of a leaf switch, each at a NIC's rate (leaf-spine, "
	    "fat-tree); used where fabric.nodes_per_leaf is not given"),
	INT("cluster.fabric.leaves_per_pod", cluster.fabric.leaves_per_pod,
	    1, RANKS_MAX, "", "leaves of one pod; must be given for "
	    "fat-tree"),
	REAL("cluster.fabric.core_oversubscription",
	     cluster.fabric.core_oversubscription, U_NUMBER, 1, 1e6, "1",
	     "pod downlinks over uplinks (fat-tree)"),
	INT("cluster.fabric.gpus_per_rack", cluster.fabric.gpus_per_rack, 1,
	    RANKS_MAX, "", "GPUs of one NVLink domain; must be given for "
	    "rack"),
	BOOL("cluster.pxn", cluster.pxn, "false", "cross-rail traffic first "
	     "hops over NVLink to the GPU on the destination's rail"),
	TEXT("cluster.provenance", cluster.provenance, "",
	     "where the numbers come from"),

	SOURCE("model.config", "", "model: a shipped name, a model file or "
	       "a Hugging Face config.json; keys beside it override it"),
	TEXT("model.name", model.name, "", "name for reports"),
	INT("model.hidden", model.hidden, 1, ELEMENTS_MAX, NULL,
	    "hidden size, elements"),
	INT("model.layers", model.layers, 1, LAYERS_MAX, "1",
	    "transformer layers"),
	INT("model.moe_layers", model.moe_layers, 1, LAYERS_MAX, "",
	    "layers with experts (default: all)"),
	INT("model.experts", model.experts, 1, EXPERTS_MAX, NULL,
	    "routed experts of a layer"),
	INT("model.experts_per_token", model.experts_per_token, 1,
	    EXPERTS_MAX, NULL, "experts that a token is routed to (top-k)"),
	INT("model.expert_ffn", model.expert_ffn, 1, ELEMENTS_MAX, NULL,
	    "inner size of one routed expert"),
	INT("model.shared_experts", model.shared_experts, 0, EXPERTS_MAX,
	    "0", "experts that every token takes"),
	INT("model.shared_ffn", model.shared_ffn, 0, ELEMENTS_MAX, "",
	    "inner size of all shared experts together (default: "
	    "shared_experts x expert_ffn)"),
	INT("model.dense_ffn", model.dense_ffn, 0, ELEMENTS_MAX, "0",
	    "inner size of the layers without experts; 0: none"),
	BOOL("model.gated", model.gated, "true",
	     "three products (SwiGLU) instead of two"),
	REAL("model.params_total", model.params_total, U_NUMBER, 0,
	     PARAMS_MAX, "", "parameters of the whole model (default: "
	     "counted from the sizes, without embeddings)"),
	REAL("model.params_active", model.params_active, U_NUMBER, 0,
	     PARAMS_MAX, "", "parameters that one token uses (default: "
	     "counted likewise)"),
	REAL("model.params_other", model.params_other, U_NUMBER, 0,
	     PARAMS_MAX, "", "parameters but the routed experts (default: "
	     "counted likewise)"),
	INT("model.sequence", model.sequence, 1, ELEMENTS_MAX, "4096",
	    "tokens of a sequence"),
	INT("model.batch_per_gpu", model.batch_per_gpu, 1, ELEMENTS_MAX, "1",
	    "sequences per GPU"),
	ENUM("model.dtype", model.dtype, dtype_at, "bf16",
	     "element type of activations and weights"),
	TEXT("model.provenance", model.provenance, "",
	     "where the numbers come from"),

	KNOB("layout.ep", layout.ep, 1, RANKS_MAX, "auto",
	     "expert parallel degree"),
	KNOB("layout.esp", layout.esp, 1, RANKS_MAX, "auto",
	     "expert sharding degree: GPUs that split one expert"),
	KNOB("layout.tp", layout.tp, 1, RANKS_MAX, "1",
	     "tensor parallel degree of attention"),
	KNOB("layout.dp", layout.dp, 1, RANKS_MAX, "auto",
	     "replicas of the expert set; auto: what the others leave"),
	KNOB("layout.pp", layout.pp, 1, RANKS_MAX, "1",
	     "pipeline parallel degree"),

	ENUM("routing.kind", routing.kind, routing_kind_at, "uniform",
	     "how tokens choose experts"),
	REAL("routing.skew", routing.skew, U_NUMBER, 0, 100, "0.5",
	     "zipf, power-law: exponent; dirichlet: 1/alpha; log-normal: "
	     "sigma; hot-expert, hot-rank: share of the hot one"),
	{ "routing.seed", KEY_UINT64, U_NUMBER, AT(routing.seed), 0, 0,
	  SEED_MAX, "1", NULL, "of the random numbers" },
	POINTER("routing.file", routing.file, "",
		"counts or trace file; must be given for these kinds"),
	INT("routing.layer", routing.layer, -1, LAYERS_MAX, "-1",
	    "layer of the file to use; -1: all (counts) or first (trace)"),
	POINTER("routing.domain", routing.domain, "",
		"text domain of the file to use (counts; default: all)"),

	REAL("constraints.max_drop", constraints.max_drop, U_FRACTION, 0, 1,
	     "0", "routed token copies that may be dropped"),
	REAL("constraints.memory", constraints.memory_bytes, U_BYTES, 1,
	     MEMORY_MAX, "", "memory per GPU, at most the GPU's own (its default)"),
	REAL("constraints.max_error", constraints.max_error, U_FRACTION, 0,
	     1, "20%", "relative error that compressing tokens may cause"),
	REAL("constraints.max_reroute", constraints.max_reroute, U_FRACTION,
	     0, 1, "20%",
	     "token copies that a gate may send to other experts"),

	MASK("search.alltoall", search.alltoall_mask, a2a_at, "auto",
	     "all-to-all algorithms to try"),
	KNOB("search.degree", search.degree, 1, DEGREE_MAX, "[1, 2, 4, 8]",
	     "pipeline degrees to try, forward and backward"),
	{ "search.capacity", KEY_KNOB_REAL, U_NUMBER, AT(search.capacity), 0,
	  0, 1e6, "auto", NULL,
	  "capacity factors to try; none or 0: dropless" },
	MASK("search.techniques", search.technique_mask, technique_at,
	     "baseline", "techniques to try"),
	KNOB("search.ctas", search.ctas, 0, PLAN_CTAS_MAX, "[0]",
	     "limits of an exchange's CTAs to try, as far as measured; 0: none"),
	INT("search.finalists", search.finalists, 0, 1000, "8",
	    "plans to evaluate again in the flow model"),
	REAL("search.flow_tolerance", search.flow_tolerance, U_NUMBER, 0,
	     0.1, "1e-3", "completions merged in the flow model, as a share "
	     "of a collective's time"),

	REAL("technique.similarity", technique.similarity, U_FRACTION, 0, 1,
	     "0.9", "cosine of tokens that are alike (synthetic tokens)"),
	REAL("technique.clustered", technique.clustered, U_FRACTION, 0, 1,
	     "0.8", "tokens that are like others"),
	INT("technique.cluster_size", technique.cluster_size, 1, 65536, "16",
	    "tokens of one expert that are alike"),
	INT("technique.lsh.hashes", technique.lsh.hashes, 1, 64, "6",
	    "hash functions; a cluster agrees in all"),
	INT("technique.lsh.buckets", technique.lsh.buckets, 0, 131072, "16",
	    "buckets of a hash, even; 0: twice the hidden size"),
	REAL("technique.lsh.rate", technique.lsh.rate, U_FRACTION, 0, 1, "0",
	     "share of copies that is sent; 0: measured on tokens"),
	REAL("technique.lsh.error", technique.lsh.error, U_FRACTION, 0, 1,
	     "0", "its error, with technique.lsh.rate"),
	REAL("technique.condensation.threshold",
	     technique.condensation.threshold, U_FRACTION, 1e-3, 1, "0.8",
	     "similarity from which one token stands for another"),
	REAL("technique.condensation.rate", technique.condensation.rate,
	     U_FRACTION, 0, 1, "0",
	     "share of copies that is sent; 0: measured on tokens"),
	REAL("technique.condensation.error", technique.condensation.error,
	     U_FRACTION, 0, 1, "0", "its error, with its rate"),
	INT("technique.migration.candidates", technique.migration.candidates,
	    1, 1024, "3", "GPUs that a sequence chooses from"),
	INT("technique.migration.hot", technique.migration.hot, 1, 1024, "2",
	    "GPUs whose experts a sequence favours"),
	REAL("technique.migration.focus", technique.migration.focus,
	     U_FRACTION, 0, 1, "0.5", "share of its copies that they get"),
	BOOL("technique.migration.post_norm", technique.migration.post_norm,
	     "false", "norms stand after the sums, so that residuals need no "
	     "move (Transformer-XL, BERT)"),
	INT("technique.fetch.experts", technique.fetch.experts, 0, 65536, "0",
	    "experts that a rank's tokens need (expert-fetch); 0: all"),
	BOOL("technique.fetch.keep", technique.fetch.keep, "false",
	     "fetched experts stay in memory for the backward pass"),
	REAL("technique.fetch.slowdown", technique.fetch.slowdown, U_FRACTION,
	     0, 1, "0", "by which each fetched expert makes a rank's products "
	     "slower"),
	REAL("technique.locality", technique.locality, U_FRACTION, 0, 1,
	     "0", "share of the copies leaving the node that LocMoE's gate "
	     "keeps; 0: what its loss gives, within constraints.max_reroute"),
	REAL("technique.topology", technique.topology, U_FRACTION, 0, 1, "0",
	     "share of copies that may leave the node; 0: NIC by NVLink rate"),
	BOOL("technique.one_hot", technique.one_hot, "false", "rows are moved "
	     "by products with a mask, not by permutations (GShard)"),
	INT("technique.words", technique.words, 0, ELEMENTS_MAX, "0",
	    "vocabulary that gate-hash hashes, by the law of Zipf and "
	    "Mandelbrot; 0: no word comes twice"),
	INT("technique.shadows", technique.shadows, 0, 65536, "8",
	    "most experts that shadowing copies"),

	INT("comm.window", comm.window, 0, RANKS_MAX, "0",
	    "peers that a rank exchanges with at once; 0: all"),
	REAL("comm.ll_bytes", comm.ll_bytes, U_BYTES, 0, 1e12, "256KiB",
	     "largest message of the low-latency protocol"),
	BOOL("comm.replicated", comm.replicated, "false", "every rank of a "
	     "tensor group sends all its rows (MindSpore), not its share"),
#define TIER(tier, where) \
	REAL("comm." #tier ".efficiency", cluster.gpu.tier.efficiency, \
	     U_FRACTION, 1e-3, 1, "", "of the link rate, large messages " \
	     where " (default, as below: the GPU file's)"), \
	REAL("comm." #tier ".launch", cluster.gpu.tier.launch_s, U_TIME, 0, \
	     TIME_MAX, "", "start of a collective " where), \
	REAL("comm." #tier ".message", cluster.gpu.tier.message_s, U_TIME, \
	     0, TIME_MAX, "", "each message of a rank " where), \
	REAL("comm." #tier ".ramp", cluster.gpu.tier.ramp, U_NUMBER, 0, 1, \
	     "", "seconds per square root of the busiest rank's bytes"), \
	REAL("comm." #tier ".ll_launch", cluster.gpu.tier.ll_launch_s, \
	     U_TIME, 0, TIME_MAX, "", "low-latency protocol: start"), \
	REAL("comm." #tier ".ll_efficiency", \
	     cluster.gpu.tier.ll_efficiency, U_FRACTION, 1e-3, 1, "", \
	     "low-latency protocol: of the link rate"), \
	REAL("comm." #tier ".product_loss", \
	     cluster.gpu.tier.product_loss, U_FRACTION, 0, 0.99, "", \
	     "of its speed, that a product loses beside a collective; 0: " \
	     "gpu.comm_sms / sms"), \
	REAL("comm." #tier ".own_loss", cluster.gpu.tier.own_loss, \
	     U_FRACTION, 0, 0.99, "", \
	     "of its speed, that a collective loses beside a product")
	TIER(intra, "inside a node"),
	TIER(inter, "between nodes"),
#define DIRECT(name, field, unit, max, help) \
	REAL("comm.direct." name, cluster.gpu.direct.field, unit, 0, max, \
	     "", help)
	DIRECT("efficiency", efficiency, U_FRACTION, 1, "of the link rate, "
	       "direct exchange; 0: there is none (default, as below: the "
	       "GPU file's)"),
	DIRECT("launch", launch_s, U_TIME, TIME_MAX,
	       "start of a direct exchange, its barriers included"),
	DIRECT("message", message_s, U_TIME, TIME_MAX,
	       "each peer of a rank, direct exchange"),
	DIRECT("ramp", ramp, U_NUMBER, 1,
	       "seconds per square root of the busiest rank's bytes"),
	DIRECT("product_loss", product_loss, U_FRACTION, 0.99, "of its "
	       "speed, that a product loses beside a direct exchange; 0: "
	       "gpu.comm_sms / sms"),
	DIRECT("own_loss", own_loss, U_FRACTION, 0.99,
	       "of its speed, that a direct exchange loses beside a product"),

	POINTER("profile.db", profile.db, "",
		"database of measured costs; what it lacks, and all without "
		"one, comes from the GPU file"),
	ENUM("profile.use", profile.use, use_at, "auto",
	     "auto: costs from profile.db when it is given, else from the "
	     "measurements that the GPU's file names; off: data sheet"),
	ENUM("profile.inter", profile.inter, inter_at, "network",
	     "tier of the measurements that stands for the network between "
	     "nodes; socket: for clusters of sockets; socket and shm: one "
	     "host's GPUs as several nodes"),

	POINTER("faults.degraded", faults.degraded, "",
		"parts at a share of their speed or gone: 'nic NODE:PORT 50%, "
		"nvlink NODE:GPU 50%, pcie NODE:GPU 50%, leaf LEAF gone, "
		"gpu NODE:GPU 80%'"),
	REAL("faults.compute_jitter", faults.compute_jitter, U_FRACTION, 0, 2,
	     "0", "spread of compute times: standard deviation of their "
	     "logarithm"),
	REAL("faults.comm_jitter", faults.comm_jitter, U_FRACTION, 0, 2,
	     "0", "the same of communication times"),
	INT("faults.repeats", faults.repeats, 1, 1000000, "1000",
	    "runs that simulate draws when there is jitter"),
	{ "faults.seed", KEY_UINT64, U_NUMBER, AT(faults.seed), 0, 0,
	  SEED_MAX, "1", NULL, "of the jitter" },

	BOOL("training.recompute", training.recompute, "true",
	     "keep only the inputs of layers for the backward pass"),
	INT("training.zero", training.zero, 0, 1, "1",
	    "1: the optimizer's state is sharded over dp"),
	INT("training.micro_batches", training.micro_batches, 1, 1000000, "8",
	    "micro-batches of a step, model.batch_per_gpu each"),
	BOOL("training.gpipe", training.gpipe, "false",
	     "pipeline of layout.pp stages: GPipe instead of 1F1B"),
};

const size_t n_scenario_keys = sizeof(scenario_keys) / sizeof(*scenario_keys);

#undef AT
#undef ROOM
#undef TIER
#undef DIRECT
#define AT(field) offsetof(struct gpu, field)
#define ROOM(field) sizeof(((struct gpu *)NULL)->field)

#define FLOPS(type, index) \
	REAL("flops." type, flops[index], U_FLOPS, 0, 1e20, "0", \
	     "dense peak in " type "; 0: not supported")
#define TIER(tier, where) \
	REAL(#tier ".efficiency", tier.efficiency, U_FRACTION, 1e-3, 1, \
	     NULL, "of the link rate, large messages " where), \
	REAL(#tier ".launch", tier.launch_s, U_TIME, 0, TIME_MAX, NULL, \
	     "start of a collective " where), \
	REAL(#tier ".message", tier.message_s, U_TIME, 0, TIME_MAX, NULL, \
	     "each message of a rank " where), \
	REAL(#tier ".ramp", tier.ramp, U_NUMBER, 0, 1, NULL, \
	     "seconds per square root of the busiest rank's bytes"), \
	REAL(#tier ".ll_launch", tier.ll_launch_s, U_TIME, 0, TIME_MAX, \
	     NULL, "low-latency protocol: start"), \
	REAL(#tier ".ll_efficiency", tier.ll_efficiency, U_FRACTION, 1e-3, \
	     1, NULL, "low-latency protocol: of the link rate"), \
	REAL(#tier ".product_loss", tier.product_loss, U_FRACTION, 0, 0.99, \
	     "0", "of its speed, that a product loses beside a collective; " \
	     "0: comm_sms / sms"), \
	REAL(#tier ".own_loss", tier.own_loss, U_FRACTION, 0, 0.99, "0", \
	     "of its speed, that a collective loses beside a product")

#define DIRECT(name, field, unit, max, help) \
	REAL("direct." name, direct.field, unit, 0, max, "0", help)

const struct key_row gpu_keys[] = {
	TEXT("name", name, "", "name for reports (default: the file's)"),
	TEXT("type", type, "", "shipped name or path that the values came "
	     "from (set by the reader)"),
	FLOPS("fp32", DT_FP32),
	FLOPS("tf32", DT_TF32),
	FLOPS("fp16", DT_FP16),
	FLOPS("bf16", DT_BF16),
	FLOPS("fp8", DT_FP8),
	REAL("memory", hbm_bytes, U_BYTES, 1, MEMORY_MAX, NULL,
	     "memory of one GPU"),
	REAL("memory_bandwidth", hbm_Bps, U_RATE, RATE_MIN, RATE_MAX, NULL,
	     "of that memory"),
	INT("sms", sms, 1, RANKS_MAX, NULL, "SMs, or cores"),
	REAL("nvlink", nvlink_Bps, U_RATE, 0, RATE_MAX, "0",
	     "NVLink (or the like) per direction; 0: none"),
	REAL("gemm_efficiency", gemm_efficiency, U_FRACTION, 1e-3, 1, NULL,
	     "of the peak, large products"),
	REAL("hbm_efficiency", hbm_efficiency, U_FRACTION, 1e-3, 1, NULL,
	     "of memory_bandwidth, streaming kernels"),
	REAL("exchange_power", exchange_power, U_FRACTION, 0, 1, "0.5",
	     "of the power limit, drawn by a GPU that only exchanges"),
	INT("tile_m", tile_m, 1, 65536, NULL,
	    "rows of the output tile of one SM's product kernel"),
	INT("tile_n", tile_n, 1, 65536, NULL, "columns of that tile"),
	REAL("kernel_launch", kernel_s, U_TIME, 0, TIME_MAX, NULL,
	     "launch of one kernel, seen by the stream"),
	INT("comm_sms", comm_sms, 0, RANKS_MAX, NULL,
	    "SMs that a running collective holds"),
	TIER(intra, "inside a node"),
	TIER(inter, "between nodes"),
	DIRECT("efficiency", efficiency, U_FRACTION, 1, "of the link rate, "
	       "direct exchange; 0: there is none"),
	DIRECT("launch", launch_s, U_TIME, TIME_MAX,
	       "start of a direct exchange, its barriers included"),
	DIRECT("message", message_s, U_TIME, TIME_MAX,
	       "each peer of a rank, direct exchange"),
	DIRECT("ramp", ramp, U_NUMBER, 1,
	       "seconds per square root of the busiest rank's bytes"),
	DIRECT("product_loss", product_loss, U_FRACTION, 0.99, "of its "
	       "speed, that a product loses beside a direct exchange; 0: "
	       "comm_sms / sms"),
	DIRECT("own_loss", own_loss, U_FRACTION, 0.99,
	       "of its speed, that a direct exchange loses beside a product"),
	TEXT("measured", measured, "", "measurements of this type, when "
	     "profile.db names none: shipped name or file of moecast db "
	     "--fits"),
	TEXT("provenance", provenance, "", "where the numbers come from"),
};

const size_t n_gpu_keys = sizeof(gpu_keys) / sizeof(*gpu_keys);

static const struct key_row *find(const struct key_row *rows, size_t n,
				  const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	}
	return NULL;
}

const struct key_row *key_find(const char *name)
{
	return find(scenario_keys, n_scenario_keys, name);
}

const struct key_row *gpu_key_find(const char *name)
{
	return find(gpu_keys, n_gpu_keys, name);
}

const char *key_enum_name(const char *key, int value)
{
	const struct key_row *row = key_find(key);
	const char *name = row && row->names ? row->names(value) : NULL;

	return name ? name : "?";
}
