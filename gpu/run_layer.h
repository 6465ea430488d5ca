/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The layers of a job, one after the other, on each tier. */
#ifndef GPU_RUN_LAYER_H
#define GPU_RUN_LAYER_H

#include "gpu/bench.h"
#include "gpu/run.h"

struct run_layers {
	const struct job *job;
	const struct run_sink *sink;
	const struct backend_info *info;
	struct bench bench;		/* its cap_s is set here */
	const char *const *tier;	/* that this process measures */
	int n_tiers;
	bool is_pass;	/* for one tier alone: layers of one rank are done */
	double spent_s;		/* of the job's budget, before */
};

bool run_has_layers(const struct job *j);

/* ST_INPUT: a backend without layers, a layer with other ranks. */
enum status run_layers(const struct run_layers *r);

#endif
