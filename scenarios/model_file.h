/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A model on its own, without a scenario: the name of a shipped model, a
 * model file in YAML (the keys under "model." of the key table), or a
 * Hugging Face config.json.
 */
#ifndef SCENARIOS_MODEL_FILE_H
#define SCENARIOS_MODEL_FILE_H

#include "base/status.h"
#include "scenarios/scenario.h"

/*
 * Sets every field of *out but the workload's (sequence, batch_per_gpu);
 * dtype only when the file names it. What the file does not say and the key
 * table can derive is derived. *out must be initialised.
 */
enum status model_load(const char *name_or_path, struct model *out);

#endif
