/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The standard profiles, as jobs. Sizes are those of layers in use: hidden
 * and ffn of Mixtral (4096, 14336), DeepSeek-V2-Lite (2048, 1408) and
 * Qwen3-30B (2048, 768); the host measures what a processor can.
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

#define HOST_RANGE "\"min_bytes\": 1024, \"max_bytes\": 67108864"
#define HOST_LAYER "\"min_bytes\": 65536, \"max_bytes\": 16777216"
#define HOST_M "1, 4, 16, 64, 256"

static const char host_tasks[] =
	EXCHANGES(HOST_RANGE, "")
	LAYER(HOST_LAYER, "1024", "64")
	PRODUCT(HOST_M, "256", "256", "1, 8") ","
	PRODUCT(HOST_M, "1024", "512", "1") ","
	PRODUCT(HOST_M, "512", "1024", "1") ","
	"{\"op\": \"gemm\", \"m\": [256], \"n\": [512], \"k\": [512],"
	" \"beside\": \"alltoall\"}";

#define CUDA_RANGE "\"min_bytes\": 1024, \"max_bytes\": 1073741824"
#define CUDA_LAYER "\"min_bytes\": 1048576, \"max_bytes\": 1073741824"
#define CUDA_CTAS ", \"ctas\": [0, 4, 8, 24]"
#define CUDA_M "16, 64, 128, 256, 512, 1024, 2048, 4096"
#define CUDA_M_SMALL "16, 32, 64, 128, 256, 512, 1024"

static const char cuda_tasks[] =
	EXCHANGES(CUDA_RANGE, CUDA_CTAS)
	LAYER(CUDA_LAYER, "4096", "8, 128")
	PRODUCT(CUDA_M, "14336", "4096", "1, 8") ","
	PRODUCT(CUDA_M, "4096", "14336", "1, 8") ","
	PRODUCT(CUDA_M_SMALL, "1408", "2048", "32, 64") ","
	PRODUCT(CUDA_M_SMALL, "2048", "1408", "32, 64") ","
	PRODUCT(CUDA_M_SMALL, "768", "2048", "64, 128") ","
	PRODUCT(CUDA_M_SMALL, "2048", "768", "64, 128") ","
	"{\"op\": \"gemm\", \"m\": [512, 2048], \"n\": [14336],"
	" \"k\": [4096], \"batch\": [8], \"ctas\": [0, 8],"
	" \"beside\": \"alltoall\"}";

/* Budgets leave time to start, check and fit: under 100 s, 15 s in all. */
static const struct {
	const char *backend, *tasks;
	const char *budget_s, *quick_budget_s;
} profiles[] = {
	{ "host", host_tasks, "30", "10" },
	{ "cuda", cuda_tasks, "85", "9" },
};

const char *suite_standard(const char *backend, bool quick)
{
	static char text[16384];
	size_t i;

	for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (strcmp(profiles[i].backend, backend))
			continue;
		snprintf(text, sizeof(text),
			 "{\"backend\": \"%s\", \"budget_s\": %s, "
			 "\"tasks\": [%s]}", backend,
			 quick ? profiles[i].quick_budget_s
			       : profiles[i].budget_s, profiles[i].tasks);
		return text;
	}
	return NULL;
}
