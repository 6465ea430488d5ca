/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which layers of a Hugging Face model are MoE layers. */
#ifndef SCENARIOS_HF_LAYERS_H
#define SCENARIOS_HF_LAYERS_H

#include "scenarios/hf_keys.h"

/*
 * Number of MoE layers among `layers`; all rules that the file has must
 * agree on a layer (0-based i):
 *	mlp_only_layers		i is not listed
 *	moe_layers		i is listed
 *	mlp_layer_types		"sparse" or "moe" at i
 *	first_k_dense_replace	i >= it
 *	moe_layer_freq		i mod it == 0, or 1 at i of the list
 *	decoder_sparse_step, interleave_moe_layer_step, moe_layer_interval,
 *	moe_layer_frequency	(i + 1) mod it == 0
 *	moe_layer_start_index, moe_layer_end_index	between them
 *	expert_layer_period, expert_layer_offset	i mod period == offset
 */
enum status hf_moe_layers(const struct hf_doc *d, int layers, int *n_p);

#endif
