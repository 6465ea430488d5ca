/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A layer's case as JSON: a task of a job (gpu/job.h). */
#ifndef GPU_LAYER_JSON_H
#define GPU_LAYER_JSON_H

#include "gpu/layer.h"

#include <jansson.h>

/*
 * Reads and checks; unknown fields are refused. Needed: tokens hidden ffn
 * experts k plan; left out: gated false, shared_ffn 0, dtype bf16, nodes 1,
 * gpus_per_node what the plan needs, capacity the plan's, seed `seed`, graph
 * true, counts none. Messages: "field 'ffn': is missing".
 */
enum status layer_case_from_json(const json_t *j, uint64_t seed,
				 struct layer_case *out);
json_t *layer_case_json(const struct layer_case *c);

#endif
