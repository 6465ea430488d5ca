/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/hf_keys.h"

#include "base/buf.h"
#include "scenarios/hf_config.h"

#include <string.h>

#define SPELLINGS_MAX 12
#define HEADS_MAX (1 << 16)
#define EXPERTS_MAX (1 << 16)

struct hf_field {
	const char *what;
	int min, max;
	const char *spelling[SPELLINGS_MAX];	/* NULL-ended */
};

static const struct hf_field fields[HF_KEY_N] = {
	[HF_HIDDEN] = { "the hidden size", 1, HF_WIDTH_MAX,
			{ "hidden_size", "d_model", "n_embd", "emb_dim" } },
	[HF_LAYERS] = { "the number of layers", 1, HF_LAYERS_MAX,
			{ "num_hidden_layers", "n_layers", "num_layers",
			  "n_layer" } },
	[HF_HEADS] = { "the number of attention heads", 1, HEADS_MAX,
		       { "num_attention_heads", "n_heads", "num_heads",
			 "n_head" } },
	[HF_KV_HEADS] = { "the number of key/value heads", 1, HEADS_MAX,
			  { "num_key_value_heads", "attn_config.kv_n_heads",
			    "num_kv_heads", "n_head_kv" } },
	[HF_HEAD_DIM] = { "the head size", 1, HF_WIDTH_MAX,
			  { "head_dim", "d_kv", "kv_channels",
			    "attention_head_dim" } },
	[HF_VOCAB] = { "the vocabulary size", 1, HF_WIDTH_MAX,
		       { "vocab_size", "padded_vocab_size" } },
	[HF_POSITIONS] = { "the number of positions", 0, HF_WIDTH_MAX,
			   { "n_positions", "n_ctx" } },
	[HF_EXPERTS] = { "the number of experts", 0, EXPERTS_MAX,
			 { "num_local_experts", "num_experts",
			   "n_routed_experts", "moe_num_experts",
			   "num_routed_experts", "ffn_config.moe_num_experts",
			   "n_experts", "num_moe_experts" } },
	[HF_TOPK] = { "the number of experts per token", 1, EXPERTS_MAX,
		      { "num_experts_per_tok", "experts_per_token",
			"num_experts_per_token", "moe_top_k", "moe_topk",
			"moe_k", "ffn_config.moe_top_k",
			"num_selected_experts", "top_k_experts",
			"top_k" } },
	[HF_EXPERT_FFN] = { "the inner size of an expert", 1, HF_WIDTH_MAX,
			    { "moe_intermediate_size",
			      "expert_intermediate_size",
			      "moe_ffn_hidden_size",
			      "expert_ffn_hidden_size",
			      "ffn_config.ffn_hidden_size",
			      "intermediate_size", "ffn_hidden_size",
			      "n_inner", "d_ff" } },
	[HF_DENSE_FFN] = { "the inner size of the dense layers", 1, HF_WIDTH_MAX,
			   { "intermediate_size_mlp",
			     "dense_intermediate_size", "intermediate_size",
			     "ffn_hidden_size", "n_inner", "d_ff" } },
	[HF_SHARED] = { "the number of shared experts", 0, EXPERTS_MAX,
			{ "n_shared_experts", "num_shared_experts",
			  "moe_num_shared_experts", "num_shared_expert" } },
	[HF_SHARED_FFN] = { "the inner size of the shared experts", 0,
			    HF_WIDTH_MAX,
			    { "shared_expert_intermediate_size",
			      "moe_shared_expert_intermediate_size",
			      "shared_intermediate_size" } },
	[HF_FIRST_DENSE] = { "the first dense layers", 0, HF_LAYERS_MAX,
			     { "first_k_dense_replace", "num_dense_layers",
			       "moe_layer_start" } },
	[HF_SPARSE_STEP] = { "the step between MoE layers", 1, HF_LAYERS_MAX,
			     { "decoder_sparse_step",
			       "interleave_moe_layer_step",
			       "moe_layer_interval",
			       "moe_layer_frequency" } },
	[HF_MOE_START] = { "the first MoE layer", 0, HF_LAYERS_MAX,
			   { "moe_layer_start_index" } },
	[HF_MOE_END] = { "the last MoE layer", -1, HF_LAYERS_MAX,
			 { "moe_layer_end_index" } },
	[HF_MOE_PERIOD] = { "the period of MoE layers", 1, HF_LAYERS_MAX,
			    { "expert_layer_period" } },
	[HF_MOE_OFFSET] = { "the offset of MoE layers", 0, HF_LAYERS_MAX,
			    { "expert_layer_offset" } },
	[HF_Q_RANK] = { "the rank of the query projection", 0, HF_WIDTH_MAX,
			{ "q_lora_rank" } },
	[HF_KV_RANK] = { "the rank of the key/value projection", 1, HF_WIDTH_MAX,
			 { "kv_lora_rank" } },
	[HF_QK_NOPE] = { "the head size without position", 0, HF_WIDTH_MAX,
			 { "qk_nope_head_dim" } },
	[HF_QK_ROPE] = { "the head size with position", 0, HF_WIDTH_MAX,
			 { "qk_rope_head_dim" } },
	[HF_V_HEAD] = { "the value head size", 1, HF_WIDTH_MAX,
			{ "v_head_dim" } },
	[HF_ATTN_PERIOD] = { "the period of attention layers", 1,
			     HF_LAYERS_MAX, { "attn_layer_period" } },
	[HF_ATTN_OFFSET] = { "the offset of attention layers", 0,
			     HF_LAYERS_MAX, { "attn_layer_offset" } },
	[HF_SSM_EXPAND] = { "the state-space expansion", 1, 64,
			    { "mamba_expand" } },
	[HF_SSM_STATES] = { "the number of states", 1, HF_WIDTH_MAX,
			    { "mamba_d_state" } },
	[HF_SSM_CONV] = { "the convolution width", 1, HF_WIDTH_MAX,
			  { "mamba_d_conv" } },
	[HF_SSM_RANK] = { "the rank of the step size", 1, HF_WIDTH_MAX,
			  { "mamba_dt_rank" } },
	[HF_DECODER_LAYERS] = { "the number of decoder layers", 0,
				HF_LAYERS_MAX, { "num_decoder_layers" } },
	[HF_ENCODER_MOE] = { "the number of MoE encoder layers", 0,
			     HF_LAYERS_MAX, { "num_sparse_encoder_layers" } },
	[HF_DECODER_MOE] = { "the number of MoE decoder layers", 0,
			     HF_LAYERS_MAX, { "num_sparse_decoder_layers" } },
};

static const json_t *member(const json_t *object, const char *dotted)
{
	char part[HF_SPELLING_MAX];
	const char *dot;

	while ((dot = strchr(dotted, '.')) &&
	       (size_t)(dot - dotted) < sizeof(part)) {
		memcpy(part, dotted, (size_t)(dot - dotted));
		part[dot - dotted] = '\0';
		object = json_object_get(object, part);
		dotted = dot + 1;
	}
	return json_object_get(object, dotted);
}

const json_t *hf_find(const struct hf_doc *d, const char *const *spellings,
		      const char **spelling_p)
{
	const char *const *s;
	const json_t *v;
	int i;

	for (i = 0; i < d->n_scopes; i++) {
		for (s = spellings; *s; s++) {
			v = member(d->scope[i], *s);
			if (!v || json_is_null(v))
				continue;
			if (spelling_p)
				*spelling_p = *s;
			return v;
		}
	}
	return NULL;
}

const json_t *hf_find_one(const struct hf_doc *d, const char *spelling)
{
	const char *const one[] = { spelling, NULL };

	return hf_find(d, one, NULL);
}

enum status hf_absent(const struct hf_doc *d, const char *what,
		      const char *const *spellings)
{
	struct buf list = { 0 };
	const char *const *s;
	enum status st;

	for (s = spellings; *s; s++)
		buf_addf(&list, "%s'%s'", s == spellings ? "" : ", ", *s);
	st = err_set(ST_INPUT, "%s: %s: looked for %s", d->name, what,
		     buf_str(&list));
	buf_release(&list);
	return st;
}

static const char *json_kind(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "text";
	case JSON_REAL:
		return "a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	default:
		return "a number";
	}
}

static enum status bad_kind(const struct hf_doc *d, const char *where,
			    const json_t *v, const char *wanted)
{
	return err_set(ST_INPUT, "%s: '%s' is %s, not %s", d->name, where,
		       json_kind(v), wanted);
}

enum status hf_int(const struct hf_doc *d, const char *where,
		   const json_t *v, long long min, long long max,
		   int *value_p)
{
	long long n;

	if (!json_is_integer(v))
		return bad_kind(d, where, v, "a whole number");
	n = json_integer_value(v);
	if (n < min || n > max)
		return err_set(ST_INPUT, "%s: '%s': %lld is not in %lld..%lld",
			       d->name, where, n, min, max);
	*value_p = (int)n;
	return ST_OK;
}

/* Some families give one value per layer; only equal ones have a meaning
 * here. An empty list counts as absent. */
static enum status same_ints(const struct hf_doc *d, const char *where,
			     const json_t *list, const struct hf_field *f,
			     int *value_p)
{
	int first, v;
	enum status st;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		st = hf_int(d, where, json_array_get(list, i), f->min, f->max,
			    &v);
		if (st)
			return st;
		if (i == 0)
			first = v;
		else if (v != first)
			return err_set(ST_INPUT, "%s: '%s': layers differ (%d "
				       "and %d), only equal ones are known",
				       d->name, where, first, v);
	}
	if (i)
		*value_p = first;
	return ST_OK;
}

enum status hf_get(const struct hf_doc *d, enum hf_key k, int *value_p)
{
	const struct hf_field *f = &fields[k];
	const char *where;
	const json_t *v = hf_find(d, f->spelling, &where);

	if (!v)
		return ST_OK;
	if (json_is_array(v))
		return same_ints(d, where, v, f, value_p);
	return hf_int(d, where, v, f->min, f->max, value_p);
}

enum status hf_need(const struct hf_doc *d, enum hf_key k, int *value_p)
{
	char what[128];

	if (hf_has(d, k))
		return hf_get(d, k, value_p);
	snprintf(what, sizeof(what), "%s is missing", fields[k].what);
	return hf_absent(d, what, fields[k].spelling);
}

bool hf_has(const struct hf_doc *d, enum hf_key k)
{
	const json_t *v = hf_find(d, fields[k].spelling, NULL);

	return v && !(json_is_array(v) && json_array_size(v) == 0);
}

const char *const *hf_spellings(enum hf_key k)
{
	return fields[k].spelling;
}

enum status hf_get_bool(const struct hf_doc *d, const char *spelling,
			bool *value_p)
{
	const json_t *v = hf_find_one(d, spelling);

	if (!v)
		return ST_OK;
	if (!json_is_boolean(v))
		return bad_kind(d, spelling, v, "true or false");
	*value_p = json_is_true(v);
	return ST_OK;
}

enum status hf_get_text(const struct hf_doc *d, const char *const *spellings,
			const char **value_p)
{
	const char *where;
	const json_t *v = hf_find(d, spellings, &where);

	if (!v)
		return ST_OK;
	if (!json_is_string(v))
		return bad_kind(d, where, v, "text");
	*value_p = json_string_value(v);
	return ST_OK;
}
