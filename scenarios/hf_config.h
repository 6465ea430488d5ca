/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a Hugging Face config.json of a model with MoE layers.
 *
 * Families spell the same thing differently; hf_config.c has one table of
 * spellings per field, walked in order (the text model's own object first,
 * then the file's), and one table of what a `model_type` implies without
 * saying it. A key that is there must be right: a negative, huge, fractional
 * or textual number is refused with its key, a null counts as absent.
 *
 * Refused with ST_INPUT, "NAME: ...": a file that is no JSON object (with
 * line and column), a dense model, a file without a needed key (with the
 * spellings that were looked for), no MoE layer left by the layer pattern.
 *
 * Not counted: vision and audio towers, multi-token prediction layers.
 */
#ifndef SCENARIOS_HF_CONFIG_H
#define SCENARIOS_HF_CONFIG_H

#include "base/status.h"
#include "scenarios/scenario.h"

#include <stddef.h>

#define HF_CONFIG_MAX_BYTES (1 << 20)
#define HF_LAYERS_MAX 4096

/*
 * Sets every field of *out but the workload's (sequence, batch_per_gpu),
 * which keep their values; *out must be initialised. dtype is set only when
 * the file names one that we know. `name` is for messages and, without
 * directory and ".json", the model's name ("x/config.json": x).
 */
enum status hf_config_parse(const char *name, const char *text, size_t len,
			    struct model *out);

/* The same for a file of at most HF_CONFIG_MAX_BYTES. */
enum status hf_config_load(const char *path, struct model *out);

#endif
