/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The standard profiles, as jobs. Sizes are those of layers in use, chosen so
 * that what the shipped models need lies within them; the host measures what
 * a processor can.
 */
#include "gpu/suite.h"

#include <string.h>

#define EXCHANGES(range, ctas) \
	"{\"op\": \"alltoall\", \"variant\": \"even\"," range ctas "}," \
	"{\"op\": \"alltoall\", \"variant\": \"uneven\"," range "}," \
	"{\"op\": \"sendrecv\"," range ctas "}," \
	"{\"op\": \"allgather\"," range ctas "}," \
	"{\"op\": \"reducescatter\"," range ctas "}," \
	"{\"op\": \"allreduce\"," range ctas "},"

#define LAYER(range, hidden, experts) \
	"{\"op\": \"gate\", \"n\": [" experts "], \"k\": [" hidden "]," \
	range "}," \
	"{\"op\": \"topk\", \"n\": [" experts "], \"k\": [2]," range "}," \
	"{\"op\": \"sort\", \"n\": [" experts "], \"k\": [2]," range "}," \
	"{\"op\": \"permute\", \"n\": [" hidden "], \"k\": [2]," \
	" \"batch\": [" experts "]," range "}," \
	"{\"op\": \"combine\", \"n\": [" hidden "], \"k\": [2]," \
	" \"batch\": [" experts "]," range "}," \
	"{\"op\": \"stream\"," range "}," \
	"{\"op\": \"copy\"," range "},"

#define PRODUCT(m, n, k, batch) \
	"{\"op\": \"gemm\", \"m\": [" m "], \"n\": [" n "], \"k\": [" k "]," \
	" \"batch\": [" batch "]}"

/* One way to make them; the usual ones are all that there are. */
#define PRODUCT_BY(variant, m, n, k, batch) \
	"{\"op\": \"gemm\", \"variant\": \"" variant "\"," \
	" \"m\": [" m "], \"n\": [" n "], \"k\": [" k "]," \
	" \"batch\": [" batch "]}"

/*
 * What passes between kernels: counts that the host waits for, launches,
 * calls of one product each, and plans of a pass. Few sizes: they are short,
 * and next to straight lines.
 */
#define TURN(sizes, calls) \
	"{\"op\": \"allgather\", \"variant\": \"counts\"," \
	" \"min_bytes\": 128, \"max_bytes\": 131072, \"optional\": true}," \
	"{\"op\": \"launch\", \"variant\": \"kernel\"," sizes "}," \
	"{\"op\": \"launch\", \"variant\": \"stream\"," sizes \
	", \"optional\": true}," \
	"{\"op\": \"launch\", \"variant\": \"graph\"," sizes \
	", \"optional\": true}," \
	"{\"op\": \"launch\", \"variant\": \"product\"," calls \
	", \"optional\": true},"
#define LAUNCHES "\"min_bytes\": 4, \"max_bytes\": 128"
#define CALLS "\"min_bytes\": 8, \"max_bytes\": 256"
#define PLAN(variant, experts, chunks, max) \
	"{\"op\": \"plan\", \"variant\": \"" variant "\", \"n\": [" experts "]," \
	" \"k\": [4], \"batch\": [" chunks "], \"min_bytes\": 65536," \
	" \"max_bytes\": " max ", \"optional\": true},"
#define PLAN_MAX "262144"
#define PLANS \
	PLAN("flat", "16, 128", "1, 8", PLAN_MAX) \
	PLAN("dedup", "64", "1, 4", PLAN_MAX) \
	PLAN("esp", "64, 128", "1, 4", "1048576")

#define HOST_RANGE "\"min_bytes\": 1024, \"max_bytes\": 67108864"
#define HOST_LAYER "\"min_bytes\": 65536, \"max_bytes\": 16777216"
#define HOST_M "1, 4, 16, 64, 256"

static const char host_tasks[] =
	EXCHANGES(HOST_RANGE, "") TURN(LAUNCHES, CALLS) PLANS
	LAYER(HOST_LAYER, "1024", "64")
	PRODUCT(HOST_M, "256", "256", "1, 8") ","
	PRODUCT(HOST_M, "1024", "512", "1") ","
	PRODUCT(HOST_M, "512", "1024", "1") ","
	"{\"op\": \"gemm\", \"m\": [256], \"n\": [512], \"k\": [512],"
	" \"beside\": \"alltoall\"}";

/* One product each way and one plan, so that all have their first sizes soon
 * even where the processor has much else to do. */
static const char host_quick_tasks[] =
	EXCHANGES(HOST_RANGE, "") TURN(LAUNCHES, CALLS)
	PLAN("flat", "16", "8", PLAN_MAX)
	LAYER(HOST_LAYER, "1024", "64")
	PRODUCT(HOST_M, "1024", "512", "1") ","
	PRODUCT(HOST_M, "512", "1024", "1") ","
	"{\"op\": \"gemm\", \"m\": [256], \"n\": [512], \"k\": [512],"
	" \"beside\": \"alltoall\"}";

#define CUDA_RANGE "\"min_bytes\": 1024, \"max_bytes\": 1073741824"
#define CUDA_MEMORY "\"min_bytes\": 1048576, \"max_bytes\": 1073741824"
#define CUDA_CTAS ", \"ctas\": [0, 4, 8, 24]"

/* Through the peers' memory, where they reach it. */
#define CUDA_DIRECT \
	"{\"op\": \"alltoall\", \"variant\": \"direct\"," CUDA_RANGE "," \
	" \"optional\": true},"

/* What a layer does besides its products and exchanges, at several shapes. */
#define CUDA_LAYER \
	"{\"op\": \"gate\", \"n\": [8, 64, 256], \"k\": [2048, 7168]," \
	CUDA_MEMORY "}," \
	"{\"op\": \"topk\", \"n\": [8, 128], \"k\": [2, 8]," CUDA_MEMORY "}," \
	"{\"op\": \"sort\", \"n\": [8, 128], \"k\": [2, 8]," CUDA_MEMORY "}," \
	"{\"op\": \"permute\", \"n\": [2048, 7168], \"k\": [2, 8]," \
	" \"batch\": [128]," CUDA_MEMORY "}," \
	"{\"op\": \"combine\", \"n\": [2048, 7168], \"k\": [2, 8]," \
	" \"batch\": [128]," CUDA_MEMORY "}," \
	"{\"op\": \"combine\", \"variant\": \"direct\"," \
	" \"n\": [2048, 4096], \"k\": [2, 8], \"batch\": [128]," \
	" \"min_bytes\": 4194304, \"max_bytes\": 1073741824," \
	" \"optional\": true}," \
	"{\"op\": \"stream\"," CUDA_MEMORY "}," \
	"{\"op\": \"copy\"," CUDA_MEMORY "},"

/* Rows of an expert; of one that has many beside it; of a rank's only one. */
#define CUDA_M "1, 8, 32, 64, 128, 256, 512, 1024, 2048, 4096"
#define CUDA_M_SMALL "1, 8, 32, 64, 128, 256, 512, 1024, 2048"
#define CUDA_M_FEW "128, 256, 512, 1024"
#define CUDA_M_ONE "1, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 32768"

#define STRIDED(m, n, k, batch) \
	PRODUCT_BY("strided-batched", m, n, k, batch)
/* Slower or as fast at every shape: few rows, the way forward only; one call
 * of all groups has not been the fastest at any and is there to be seen. */
#define OTHERS_M "1, 32, 64, 128, 256, 512, 1024, 2048"
#define EACH(m, n, k, batch) PRODUCT_BY("per-expert", m, n, k, batch) ","
#define GROUPED(m, n, k, batch) PRODUCT_BY("grouped", m, n, k, batch) ","
#define CUDA_OTHERS \
	EACH(OTHERS_M, "28672", "4096", "8") \
	EACH(OTHERS_M, "4096", "14336", "8") \
	EACH(OTHERS_M, "4096", "7168", "32") \
	EACH(OTHERS_M, "7168", "2048", "32") \
	EACH(OTHERS_M, "1536", "2048", "16, 128") \
	EACH(OTHERS_M, "2048", "768", "16, 128") \
	EACH(OTHERS_M, "2816", "2048", "8, 64") \
	EACH(OTHERS_M, "2048", "1408", "8, 64") \
	EACH(OTHERS_M, "5760", "2880", "16") \
	EACH(OTHERS_M, "16384", "5120", "2") \
	/* experts that are not exchanged, narrow ones too */ \
	EACH(OTHERS_M, "1024", "1024", "32") \
	GROUPED(OTHERS_M, "28672", "4096", "8") \
	GROUPED(OTHERS_M, "1536", "2048", "16, 128")

/*
 * Products of layers in use, forward and of data gradients: hidden -> ffn
 * (twice as wide when gated) and ffn -> hidden, and the way back.
 */
#define CUDA_EXPERTS \
	/* Mixtral 8x7B: 4096, 14336 */ \
	STRIDED(CUDA_M_ONE, "28672", "4096", "1") "," \
	STRIDED(CUDA_M_ONE, "4096", "14336", "1") "," \
	STRIDED(CUDA_M, "28672", "4096", "8") "," \
	STRIDED(CUDA_M, "4096", "14336", "8") "," \
	STRIDED(CUDA_M, "14336", "4096", "8") "," \
	STRIDED(CUDA_M, "4096", "28672", "8") "," \
	/* DeepSeek-V3: 7168, 2048, and its shared expert */ \
	STRIDED(CUDA_M, "4096", "7168", "1, 32") "," \
	STRIDED(CUDA_M, "7168", "2048", "32") "," \
	STRIDED(CUDA_M, "2048", "7168", "32") "," \
	STRIDED(CUDA_M, "7168", "4096", "32") "," \
	/* Qwen3-30B: 2048, 768 */ \
	STRIDED(CUDA_M_SMALL, "1536", "2048", "16, 128") "," \
	STRIDED(CUDA_M_SMALL, "2048", "768", "16, 128") "," \
	STRIDED(CUDA_M_SMALL, "768", "2048", "64") "," \
	STRIDED(CUDA_M_SMALL, "2048", "1536", "64") "," \
	/* DeepSeek-V2-Lite: 2048, 1408 */ \
	STRIDED(CUDA_M_SMALL, "2816", "2048", "8, 64") "," \
	STRIDED(CUDA_M_SMALL, "2048", "1408", "8, 64") "," \
	/* gpt-oss: 2880, 2880 */ \
	STRIDED(CUDA_M_SMALL, "5760", "2880", "16") "," \
	STRIDED(CUDA_M_SMALL, "2880", "2880", "16") "," \
	STRIDED(CUDA_M_SMALL, "2880", "5760", "16") "," \
	/* Llama 4 Scout: 5120, 8192; Mixtral 8x22B: 6144, 16384 */ \
	STRIDED(CUDA_M, "16384", "5120", "2") "," \
	STRIDED(CUDA_M, "5120", "8192", "2") "," \
	STRIDED(CUDA_M, "6144", "16384", "1") "," \
	/* Switch: 1024, 4096, few experts, in chunks */ \
	STRIDED(CUDA_M_FEW, "4096", "1024", "4") "," \
	STRIDED(CUDA_M_FEW, "1024", "4096", "4") ","

/* Gradients of weights: the rows are summed over, so they are the depth. */
#define CUDA_DEPTHS "16, 128, 256, 512, 1024, 2048, 4096, 8192"
#define CUDA_WEIGHTS \
	STRIDED("14336", "4096", CUDA_DEPTHS, "8") "," \
	STRIDED("4096", "28672", CUDA_DEPTHS, "8") "," \
	STRIDED("2048", "7168", CUDA_DEPTHS, "32") "," \
	STRIDED("7168", "4096", CUDA_DEPTHS, "32") "," \
	STRIDED("768", "2048", CUDA_DEPTHS, "16, 128") "," \
	STRIDED("2048", "1536", CUDA_DEPTHS, "16, 128") "," \
	STRIDED("2880", "5760", CUDA_DEPTHS, "16") "," \
	STRIDED("1408", "2048", CUDA_DEPTHS, "32") "," \
	STRIDED("2048", "2816", CUDA_DEPTHS, "32") "," \
	STRIDED("4096", "1024", CUDA_M_FEW, "4") "," \
	STRIDED("1024", "4096", CUDA_M_FEW, "4") ","
/* Of every chunk but the first they are added to. */
#define ADDING(m, n, k, batch) PRODUCT_BY("adding", m, n, k, batch)
#define CUDA_DEPTHS_ADDED "16, 128, 256, 512, 2048"
#define CUDA_ADDED \
	ADDING("14336", "4096", CUDA_DEPTHS_ADDED, "4, 8") "," \
	ADDING("4096", "28672", CUDA_DEPTHS_ADDED, "4, 8") "," \
	ADDING("8192", "2048", CUDA_DEPTHS_ADDED, "8") "," \
	ADDING("1408", "2048", CUDA_DEPTHS_ADDED, "32") "," \
	ADDING("2048", "2816", CUDA_DEPTHS_ADDED, "32") "," \
	ADDING("768", "2048", CUDA_DEPTHS_ADDED, "16, 64") "," \
	ADDING("2048", "1536", CUDA_DEPTHS_ADDED, "16, 64") ","

/* With other rows for each expert each has a call: Mixtral cut over two
 * ranks, DeepSeek-V2-Lite, Qwen3-30B. */
#define CUDA_DEPTHS_EACH "16, 64, 128, 256, 512, 1024"
#define WEIGHTS_EACH(m, n, batch) \
	PRODUCT_BY("weights-each", m, n, CUDA_DEPTHS_EACH, batch) "," \
	PRODUCT_BY("adding-each", m, n, CUDA_DEPTHS_EACH, batch) ","
#define CUDA_WEIGHTS_EACH \
	WEIGHTS_EACH("7168", "4096", "8") \
	WEIGHTS_EACH("4096", "14336", "8") \
	WEIGHTS_EACH("1408", "2048", "32") \
	WEIGHTS_EACH("2048", "2816", "32") \
	WEIGHTS_EACH("768", "2048", "64") \
	WEIGHTS_EACH("2048", "1536", "64")

/* The gate's: logits, gradients of tokens and of weights, by experts. */
#define CUDA_TOKENS \
	"16, 128, 512, 1024, 2048, 4096, 8192, 32768, 131072"
#define CUDA_GATES \
	STRIDED(CUDA_TOKENS, "8, 64, 256", "2048, 7168", "1") "," \
	STRIDED(CUDA_TOKENS, "2048, 7168", "8, 64, 256", "1") "," \
	STRIDED("2048", "8, 64, 256", CUDA_TOKENS, "1") "," \
	STRIDED("7168", "8, 64, 256", CUDA_TOKENS, "1") ","

/* At the clock that the power allows, when nothing else is done. */
#define SUSTAINED(m, n, k, batch) PRODUCT_BY("sustained", m, n, k, batch)
#define CUDA_SUSTAINED \
	SUSTAINED("2048", "28672", "4096", "8") "," \
	SUSTAINED("2048", "4096", "14336", "8") "," \
	SUSTAINED("14336", "4096", "2048", "8") "," \
	SUSTAINED("1024", "4096", "7168", "32") "," \
	SUSTAINED("1024", "7168", "2048", "32") "," \
	SUSTAINED("1024", "1536", "2048", "128") "," \
	SUSTAINED("1024", "2048", "768", "128") "," \
	SUSTAINED("1024", "2816", "2048", "64") "," \
	SUSTAINED("1024", "2048", "1408", "64") "," \
	SUSTAINED("4096", "8192", "2048", "8") ","
/* Some of them with empty slots, which need less power. */
#define HALF_EMPTY(m, n, k, batch) PRODUCT_BY("half-empty", m, n, k, batch)
#define CUDA_HALF_EMPTY \
	HALF_EMPTY("2048", "28672", "4096", "8") "," \
	HALF_EMPTY("2048", "4096", "14336", "8") "," \
	HALF_EMPTY("1024", "1536", "2048", "128") "," \
	HALF_EMPTY("1024", "2816", "2048", "64") "," \
	HALF_EMPTY("4096", "8192", "2048", "8") ","

/* Bound by the SMs, by memory, by memory alone; beside exchanges. */
#define BESIDE \
	"\"beside\": \"alltoall\", \"ctas\": [0, 4, 8, 16]," \
	" \"beside_bytes\": [4194304, 33554432, 268435456]"
#define CUDA_CONTENTION \
	"{\"op\": \"gemm\", \"m\": [512, 2048], \"n\": [14336]," \
	" \"k\": [4096], \"batch\": [8]," BESIDE "}," \
	"{\"op\": \"gemm\", \"m\": [16], \"n\": [14336], \"k\": [4096]," \
	" \"batch\": [8]," BESIDE "}," \
	"{\"op\": \"stream\", \"min_bytes\": 2147483648," \
	" \"max_bytes\": 2147483648," BESIDE "}"

static const char cuda_tasks[] =
	EXCHANGES(CUDA_RANGE, CUDA_CTAS)
	CUDA_DIRECT CUDA_LAYER TURN(LAUNCHES, CALLS) PLANS
	CUDA_EXPERTS CUDA_WEIGHTS CUDA_ADDED CUDA_GATES
	CUDA_OTHERS CUDA_WEIGHTS_EACH
	CUDA_SUSTAINED CUDA_HALF_EMPTY CUDA_CONTENTION;

#define QUICK_M "16, 128, 512, 2048"

/* What fits into a few seconds: one product each way, no limits on CTAs. */
static const char cuda_quick_tasks[] =
	EXCHANGES(CUDA_RANGE, "")
	LAYER(CUDA_MEMORY, "4096", "128") TURN(LAUNCHES, CALLS)
	PRODUCT(QUICK_M, "28672", "4096", "1, 8") ","
	PRODUCT(QUICK_M, "4096", "14336", "1, 8") ","
	PRODUCT(QUICK_M, "1536", "2048", "128") ","
	PRODUCT(QUICK_M, "2048", "768", "128") ","
	PRODUCT("768", "2048", "128, 2048", "128") ","
	PRODUCT("128, 8192", "128", "2048", "1") ","
	"{\"op\": \"gemm\", \"m\": [512], \"n\": [14336], \"k\": [4096],"
	" \"batch\": [8], \"ctas\": [0, 8], \"beside\": \"alltoall\"}";

/* Budgets leave time to start, check and fit: at most 95 s, 15 s in all. */
static const struct {
	const char *backend, *tasks, *quick_tasks;
	const char *budget_s, *quick_budget_s;
} profiles[] = {
	{ "host", host_tasks, host_quick_tasks, "30", "10" },
	{ "cuda", cuda_tasks, cuda_quick_tasks, "88", "10" },
};

const char *suite_standard(const char *backend, bool quick)
{
	static char text[32768];
	size_t i;

	for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (strcmp(profiles[i].backend, backend))
			continue;
		snprintf(text, sizeof(text),
			 "{\"backend\": \"%s\", \"budget_s\": %s, "
			 "\"tasks\": [%s]}", backend,
			 quick ? profiles[i].quick_budget_s
			       : profiles[i].budget_s,
			 quick ? profiles[i].quick_tasks
			       : profiles[i].tasks);
		return text;
	}
	return NULL;
}
