/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One training step of the whole model around a MoE layer: attention, dense
 * parts and the tensor group's collectives of all layers, gradients reduced
 * beside the backward pass (sim/gradient.h), the optimizer, and the pipeline
 * (sim/stages.h). Equations: doc/model.md, section "Whole models".
 */
#ifndef SIM_STEP_H
#define SIM_STEP_H

#include "sim/exec.h"
#include "sim/stages.h"

struct step_spec {
	const struct scenario *s;
	const struct net *net;		/* NET_EFFECTIVE */
	const struct plan *plan;
	const struct program *program;	/* of the MoE layer, and its run */
	const struct exec_result *exec;
	double optimizer_bytes;		/* per GPU: struct memory_use */
	double parameter_bytes;
};

struct step_time {
	double moe_s;		/* MoE layers of a stage, both passes */
	double dense_s;		/* attention, dense networks, head */
	double tensor_s;	/* collectives of the tensor group */
	double gradient_s;	/* all-reduce that nothing hides */
	double optimizer_s;
	double bubble_s;	/* pipeline: filling, draining, hand-over */
	int batches, stages;
	double time_s;		/* of a step */
	double tokens;		/* of a step, all GPUs */
	double tokens_per_s;
};

enum status step_run(const struct step_spec *spec, struct step_time *out);

#endif
