/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One MoE layer on one machine in one line: all that a forecast of it needs,
 * beside the plan. Rows of op "layer" carry it, so that what was measured can
 * be predicted afresh anywhere.
 *
 *	gpu=h200-sxm nodes=2 gpus=1 tier=shm tokens=4096 hidden=4096 ffn=14336
 *	experts=8 k=2 gated=true dtype=bf16 routing=zipf skew=1.2 seed=1
 *	name=mixtral-4k
 *
 * (shared=F after gated: the inner size of all shared experts together.)
 * NAME=VALUE words in any order, separated by blanks; each is a key of the
 * scenario with that key's range (layer_text.c has the table), but tier: what
 * joins the GPUs: nvlink, shm, socket or network. Between nodes it is the
 * tier whose measurements stand for the network (profile.inter).
 */
#ifndef SCENARIOS_LAYER_TEXT_H
#define SCENARIOS_LAYER_TEXT_H

#include "base/status.h"
#include "scenarios/sample.h"
#include "scenarios/scenario.h"

#define LAYER_WORD_MAX 64	/* bytes of a word's value */

/* ST_INPUT: routing from a file, or more text than `size`: a line cannot say
 * it. */
enum status layer_text_print(const struct scenario *s, const char *tier,
			     char *out, size_t size);

/*
 * The scenario of such a line, with --set options above it. The tier's name
 * goes to tier[SAMPLE_TEXT] (may be NULL). Messages: "layer: ..." naming the
 * word.
 */
enum status layer_text_scenario(const char *text,
				const struct scenario_set *sets, int n_sets,
				struct scenario *out, char *tier);

#endif
