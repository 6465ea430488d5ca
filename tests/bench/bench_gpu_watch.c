/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_gpu's data, and the clock and the power of a GPU that works. */
#include "bench_gpu.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define TABLE 4194301		/* random numbers; no multiple of any row */
#define NVML_CLOCK_SM 1

/* NVML, as far as it is there. */
static struct {
	int (*init)(void);
	int (*device)(const char *pci, void **out);
	int (*clock)(void *device, int type, unsigned *mhz);
	int (*power)(void *device, unsigned *mw);
	int (*limit)(void *device, unsigned *mw);
	int (*reasons)(void *device, unsigned long long *bits);
} nvml;

void *bench_watch_open(int device)
{
	static const char *const name[] = {
		"nvmlInit_v2", "nvmlDeviceGetHandleByPciBusId_v2",
		"nvmlDeviceGetClockInfo", "nvmlDeviceGetPowerUsage",
		"nvmlDeviceGetEnforcedPowerLimit",
		"nvmlDeviceGetCurrentClocksThrottleReasons"
	};
	void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW), *p, *out = NULL;
	char pci[32];
	size_t i;

	for (i = 0; lib && i < COUNT(name); i++) {
		p = dlsym(lib, name[i]);
		if (!p)
			return NULL;
		memcpy((char *)&nvml + i * sizeof(p), &p, sizeof(p));
	}
	if (!lib || cudaDeviceGetPCIBusId(pci, sizeof(pci), device) ||
	    nvml.init() || nvml.device(pci, &out))
		return NULL;
	return out;
}

/* Clock and power while the stream works. */
void bench_watch(struct bench_rank *r, void *device)
{
	unsigned mhz = 0, mw = 0, limit = 0, n = 0;
	unsigned long long why = 0, all = 0;
	double sum_mhz = 0, sum_mw = 0;

	while (cudaEventQuery(r->stop) == cudaErrorNotReady) {
		usleep(50000);
		if (!device || nvml.clock(device, NVML_CLOCK_SM, &mhz) ||
		    nvml.power(device, &mw) || nvml.reasons(device, &why))
			continue;
		sum_mhz += mhz;
		sum_mw += mw;
		all |= why;
		n++;
	}
	if (!n)
		return;
	nvml.limit(device, &limit);
	printf("  [rank %d: %.0f MHz, %.0f of %u W, slowed by %llx]\n",
	       r->rank, sum_mhz / n, sum_mw / n / 1e3, limit / 1000, all);
}

static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint16_t to_bf16(double v)
{
	float f = (float)v;
	uint32_t bits;

	memcpy(&bits, &f, 4);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Four 16-bit uniforms: near enough to normal. */
double bench_normal(uint64_t *state)
{
	uint64_t z = next(state);
	double sum = (double)(z & 0xffff) + (double)(z >> 16 & 0xffff) +
		     (double)(z >> 32 & 0xffff) + (double)(z >> 48);

	return (sum / 65536 - 2) * 1.7320508;
}

enum status bench_fill(struct bench_rank *r, void *to, uint64_t n_elements,
		       double scale)
{
	uint64_t bytes = n_elements * 2, table = TABLE * 2ull, at, n;
	uint64_t state = (uint64_t)(uintptr_t)to;
	char *p = to;
	uint16_t *host = xcalloc(TABLE, sizeof(*host));
	enum status st;
	int i;

	for (i = 0; i < TABLE; i++)
		host[i] = to_bf16(bench_normal(&state) * scale);
	n = bytes < table ? bytes : table;
	CUDA_GOTO(out, st, cudaMemcpy(p, host, n, cudaMemcpyHostToDevice));
	for (at = n; at < bytes; at += n) {
		n = bytes - at < table ? bytes - at : table;
		CUDA_GOTO(out, st, cudaMemcpyAsync(
			p + at, p, n, cudaMemcpyDeviceToDevice, r->s));
	}
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->s));
out:
	free(host);
	return st;
}
