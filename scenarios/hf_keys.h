/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looks fields up in a Hugging Face config.json under all their spellings.
 * Private to hf_config.c and hf_layers.c.
 */
#ifndef SCENARIOS_HF_KEYS_H
#define SCENARIOS_HF_KEYS_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>

enum hf_key {
	HF_HIDDEN,
	HF_LAYERS,
	HF_HEADS,
	HF_KV_HEADS,
	HF_HEAD_DIM,
	HF_VOCAB,
	HF_POSITIONS,
	HF_EXPERTS,
	HF_TOPK,
	HF_EXPERT_FFN,
	HF_DENSE_FFN,
	HF_SHARED,
	HF_SHARED_FFN,
	/* which layers are MoE layers */
	HF_FIRST_DENSE,
	HF_SPARSE_STEP,
	HF_MOE_START,
	HF_MOE_END,
	HF_MOE_PERIOD,
	HF_MOE_OFFSET,
	/* latent attention */
	HF_Q_RANK,
	HF_KV_RANK,
	HF_QK_NOPE,
	HF_QK_ROPE,
	HF_V_HEAD,
	/* state-space layers */
	HF_ATTN_PERIOD,
	HF_ATTN_OFFSET,
	HF_SSM_EXPAND,
	HF_SSM_STATES,
	HF_SSM_CONV,
	HF_SSM_RANK,
	/* encoder-decoder */
	HF_DECODER_LAYERS,
	HF_ENCODER_MOE,
	HF_DECODER_MOE,
	HF_KEY_N,
};

/* A parsed file: the objects to look in, in order. All borrowed. */
struct hf_doc {
	const char *name;	/* for messages */
	const json_t *scope[2];
	int n_scopes;
};

#define HF_SPELLING_MAX 64	/* of one dotted key, with its NUL */
#define HF_WIDTH_MAX (1 << 24)	/* of a matrix: no model is near it */

/* First of the NULL-ended dotted spellings that is there and not null;
 * *spelling_p (may be NULL) says which. */
const json_t *hf_find(const struct hf_doc *d, const char *const *spellings,
		      const char **spelling_p);
const json_t *hf_find_one(const struct hf_doc *d, const char *spelling);

/* The number (or list of equal numbers) of a field, range-checked. Absent:
 * ST_OK, and *value_p keeps what it was. */
enum status hf_get(const struct hf_doc *d, enum hf_key k, int *value_p);
/* The same, but absent is an error that lists the spellings. */
enum status hf_need(const struct hf_doc *d, enum hf_key k, int *value_p);
bool hf_has(const struct hf_doc *d, enum hf_key k);
const char *const *hf_spellings(enum hf_key k);

/* Absent: *value_p keeps. */
enum status hf_get_bool(const struct hf_doc *d, const char *spelling,
			bool *value_p);
enum status hf_get_text(const struct hf_doc *d, const char *const *spellings,
			const char **value_p);

/* "NAME: WHAT: looked for 'a', 'b'" as ST_INPUT. */
enum status hf_absent(const struct hf_doc *d, const char *what,
		      const char *const *spellings);

/* One number of a list or field: `where` is its key for the message. */
enum status hf_int(const struct hf_doc *d, const char *where,
		   const json_t *v, long long min, long long max,
		   int *value_p);

#endif
