/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Faults for tests: MOECAST_GPU_FAULT=KIND:RANK, with KIND one of
 *
 *	kill	the rank's process ends, without a word
 *	hang	the rank does nothing more
 *	call	a CUDA call of the rank fails
 *	address	a kernel of the rank writes where nothing is
 *	memory	the rank allocates more than there is
 *
 * in the middle of a step.
 */
#include "gpu/cuda_layer.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAULT_VARIABLE "MOECAST_GPU_FAULT"
#define NOWHERE ((void *)256)
#define TOO_MUCH (1ull << 42)
#define ROWS 256

static enum status fault_call(struct cuda_layer *l)
{
	return cuda_status(cudaMemsetAsync(NULL, 0, ROWS,
					   l->lane[LANE_COMPUTE]),
			   "cudaMemsetAsync()");
}

static enum status fault_address(struct cuda_layer *l)
{
	const struct k_fill_part f = { .rows = 1, .cols = ROWS, .ld = ROWS,
				       .pitch = ROWS, .scale = 1 };

	return cuda_status(k_layer_fill(NOWHERE, false, &f,
					l->lane[LANE_COMPUTE]),
			   "k_layer_fill()");
}

static enum status fault_memory(struct cuda_layer *l)
{
	void *p;

	return cuda_layer_alloc(l, &p, TOO_MUCH);
}

static enum status fault_kill(struct cuda_layer *l)
{
	(void)l;
	raise(SIGKILL);
	return ST_OK;
}

static enum status fault_hang(struct cuda_layer *l)
{
	(void)l;
	for (;;)
		pause();
	return ST_OK;
}

enum status cuda_layer_fault(struct cuda_layer *l)
{
	static const struct {
		const char *name;
		enum status (*fn)(struct cuda_layer *l);
	} table[] = {
		{ "kill", fault_kill }, { "hang", fault_hang },
		{ "call", fault_call }, { "address", fault_address },
		{ "memory", fault_memory },
	};
	const char *text = getenv(FAULT_VARIABLE);
	size_t n = text ? strcspn(text, ":") : 0, i;

	if (!n || !text[n] || strtol(text + n + 1, NULL, 10) != l->rank->rank)
		return ST_OK;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strlen(table[i].name) == n &&
		    !strncmp(text, table[i].name, n))
			return table[i].fn(l);
	}
	return err_set(ST_INPUT, FAULT_VARIABLE ": no fault '%s'", text);
}
