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
#include "sim/gradient.h"
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
	/*
	 * All-reduce that nothing hides: beside dense parts, or with the
	 * technique `gradient-partition` the best. All ways: nothing beside
	 * it; beside dense parts; FSMoE's two steps; dynamic programming over
	 * the planner's program (sim/gradient.h, sim/gradient_slots.h)
	 */
	double gradient_s;
	double at_end_s, in_windows_s, two_step_s, searched_s;
	/* with the technique: bytes that each layer reduces, the model's last
	 * first */
	int n_partition;
	double partition[GRADIENT_LAYERS_MAX];
	double optimizer_s;
	double bubble_s;	/* pipeline: filling, draining, hand-over */
	int batches, stages;
	double time_s;		/* of a step */
	double tokens;		/* of a step, all GPUs */
	double tokens_per_s;
};

/*
 * What a layer's time means for the step, so that layouts can be compared
 * before a plan is made: a step takes, per MoE layer and as many GPUs as the
 * tokens of a rank are,
 *
 *	scale * (the layer, both passes, and `again` times its forward pass)
 *	+ offset_s
 *
 * the bubble, dense parts, the tensor group's collectives and hand-overs
 * included; gradients and optimizer are not. step_per_layer(): a step's whole
 * time in the same measure.
 */
struct step_share {
	double scale, offset_s;
	int again;
};

enum status step_share(const struct scenario *s, const struct net *net,
		       const struct layout *l, struct step_share *out);
double step_per_layer(const struct scenario *s, const struct layout *l,
		      double step_s);

enum status step_run(const struct step_spec *spec, struct step_time *out);

#endif
