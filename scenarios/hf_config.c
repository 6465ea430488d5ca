/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/hf_config.h"

#include "base/buf.h"
#include "base/outfile.h"
#include "scenarios/hf_keys.h"
#include "scenarios/hf_layers.h"
#include "scenarios/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPERTS_MIN 2	/* one expert is a dense layer */

enum gating { GATING_BY_ACT, GATING_YES, GATING_NO };

enum family_flag {
	FAM_QKV_BIAS = 1 << 0,
	FAM_EXPERT_BIAS = 1 << 1,
	FAM_SHARED_GATE = 1 << 2,
	FAM_ONE_SHARED = 1 << 3,	/* one shared expert in each MoE layer */
	FAM_RESIDUAL = 1 << 4,	/* a dense network of inner size h beside */
	FAM_TIED = 1 << 5,	/* unless the file says otherwise */
	FAM_NO_LOOKUP = 1 << 6,	/* "active" leaves out the input embedding */
	FAM_POSITIONS = 1 << 7,	/* learned position embeddings */
	FAM_TWO_STACKS = 1 << 8,	/* encoder and decoder */
	FAM_ROUTER_BIAS = 1 << 9,	/* or a correction that balances */
	FAM_QK_NORM = 1 << 10,	/* of queries and keys, one weight per element */
	FAM_SINKS = 1 << 11,	/* one learned logit per head */
};

/* What a model_type implies and its file does not say. */
struct family {
	const char *type;	/* all of model_type */
	unsigned flags;
	enum gating gating;
	int topk;		/* 0: the file must say */
	int ffn_multiple;	/* inner size / hidden when absent; 0: needed */
};

static const struct family families[] = {
	{ "mixtral", 0, GATING_YES, 0, 0 },
	{ "dbrx", 0, GATING_YES, 0, 0 },
	{ "grok-1", 0, GATING_YES, 0, 0 },
	{ "jamba", 0, GATING_YES, 0, 0 },
	{ "qwen2_moe", FAM_QKV_BIAS | FAM_SHARED_GATE, GATING_YES, 0, 0 },
	{ "qwen3_moe", FAM_QK_NORM, GATING_YES, 0, 0 },
	{ "qwen3_next", FAM_SHARED_GATE, GATING_YES, 0, 0 },
	{ "deepseek_v2", FAM_NO_LOOKUP, GATING_YES, 0, 0 },
	{ "deepseek_v3", FAM_NO_LOOKUP | FAM_ROUTER_BIAS, GATING_YES, 0, 0 },
	{ "kimi_k2", FAM_NO_LOOKUP | FAM_ROUTER_BIAS, GATING_YES, 0, 0 },
	{ "gpt_oss", FAM_NO_LOOKUP | FAM_QKV_BIAS | FAM_EXPERT_BIAS |
	  FAM_ROUTER_BIAS | FAM_SINKS, GATING_YES, 0, 0 },
	{ "llama4", FAM_ONE_SHARED, GATING_YES, 0, 0 },
	{ "llama4_text", FAM_ONE_SHARED, GATING_YES, 0, 0 },
	{ "arctic", FAM_RESIDUAL, GATING_YES, 0, 0 },
	{ "ernie4_5_moe", FAM_TIED, GATING_YES, 0, 0 },
	{ "gemma4_text", FAM_TIED, GATING_YES, 0, 0 },
	{ "switch_transformers", FAM_TIED | FAM_TWO_STACKS, GATING_BY_ACT,
	  1, 0 },
	{ "gpt2_moe", FAM_TIED | FAM_POSITIONS | FAM_EXPERT_BIAS |
	  FAM_QKV_BIAS, GATING_NO, 0, 4 },
};

/* Activations of networks with a gate; others have two products. */
static const char *const gated_acts[] = { "silu", "swish", "swiglu", "geglu",
					  "gated-gelu", "gated-silu",
					  "swigluoai" };

static const char *const act_spelling[] = {
	"hidden_act", "hidden_activation", "activation_function",
	"ffn_config.ffn_act_fn.name", "dense_act_fn", "feed_forward_proj",
	"activation", NULL };
static const char *const dtype_spelling[] = { "torch_dtype", "dtype", NULL };
static const char *const type_spelling[] = { "model_type", NULL };
/* Objects that hold the language model of a multi-modal one. */
static const char *const nested[] = { "text_config", "language_config",
				      "llm_config" };

struct dtype_word {
	const char *word;
	enum dtype dtype;
};

static const struct dtype_word dtype_words[] = {
	{ "bfloat16", DT_BF16 },
	{ "float16", DT_FP16 },
	{ "float32", DT_FP32 },
	{ "float8_e4m3fn", DT_FP8 },
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Everything that is being put together from one file. */
struct reader {
	struct hf_doc doc;
	struct family family;
	struct model m;
	struct arch arch;
	int decoder_layers;	/* FAM_TWO_STACKS; else 0 */
};

static struct family find_family(const struct hf_doc *d)
{
	const char *type;
	size_t i;
	int s;

	for (s = 0; s < d->n_scopes; s++) {
		type = json_string_value(json_object_get(d->scope[s],
							 "model_type"));
		for (i = 0; type && i < N_OF(families); i++) {
			if (!strcmp(families[i].type, type))
				return families[i];
		}
	}
	return (struct family){ 0 };
}

static bool has_flag(const struct reader *r, unsigned flag)
{
	return r->family.flags & flag;
}

static enum status read_gated(struct reader *r)
{
	const char *act = "silu";	/* most families' default */
	bool gated = false;
	enum status st;
	size_t i;

	st = hf_get_text(&r->doc, act_spelling, &act);
	for (i = 0; !st && i < N_OF(gated_acts); i++)
		gated = gated || !strcmp(act, gated_acts[i]);
	if (!st && r->family.gating != GATING_BY_ACT)
		gated = r->family.gating == GATING_YES;
	if (!st)
		st = hf_get_bool(&r->doc, "is_gated_act", &gated);
	r->m.gated = gated;
	r->arch.dense_gated = gated;
	return st;
}

static enum status read_experts(struct reader *r)
{
	struct model *m = &r->m;
	enum status st;

	if (!hf_has(&r->doc, HF_EXPERTS))
		return hf_absent(&r->doc, "no MoE layer",
				 hf_spellings(HF_EXPERTS));
	if ((st = hf_need(&r->doc, HF_EXPERTS, &m->experts)))
		return st;
	if (m->experts < EXPERTS_MIN)
		return err_set(ST_INPUT, "%s: no MoE layer: the number of "
			       "experts is %d, at least %d are needed",
			       r->doc.name, m->experts, EXPERTS_MIN);
	m->experts_per_token = r->family.topk;
	st = r->family.topk ?
		hf_get(&r->doc, HF_TOPK, &m->experts_per_token) :
		hf_need(&r->doc, HF_TOPK, &m->experts_per_token);
	if (!st && m->experts_per_token > m->experts)
		st = err_set(ST_INPUT, "%s: %d experts per token of %d experts",
			     r->doc.name, m->experts_per_token, m->experts);
	return st;
}

static enum status read_ffn(struct reader *r, enum hf_key key, int *value_p)
{
	if (!r->family.ffn_multiple || hf_has(&r->doc, key))
		return hf_need(&r->doc, key, value_p);
	*value_p = r->family.ffn_multiple * r->m.hidden;
	return ST_OK;
}

static enum status read_shared(struct reader *r)
{
	struct model *m = &r->m;
	int n = has_flag(r, FAM_ONE_SHARED) ? 1 : 0;
	int ffn = -1;
	long long total;
	bool residual = has_flag(r, FAM_RESIDUAL);
	enum status st;

	if ((st = hf_get(&r->doc, HF_SHARED, &n)) ||
	    (st = hf_get(&r->doc, HF_SHARED_FFN, &ffn)) ||
	    (st = hf_get_bool(&r->doc, "use_residual", &residual)))
		return st;
	if (residual && has_flag(r, FAM_RESIDUAL)) {
		n = 1;
		ffn = m->hidden;
	}
	if (ffn > 0 && n == 0)
		n = 1;
	total = ffn >= 0 ? ffn : (long long)n * m->expert_ffn;
	if (total > HF_WIDTH_MAX)
		return err_set(ST_INPUT, "%s: %d shared experts of inner size "
			       "%d are more than %d together", r->doc.name, n,
			       m->expert_ffn, HF_WIDTH_MAX);
	m->shared_experts = total > 0 ? n : 0;
	m->shared_ffn = (int)total;
	r->arch.shared_gate = has_flag(r, FAM_SHARED_GATE) && total > 0;
	return ST_OK;
}

/* Encoder and decoder, each with a number of MoE layers (Switch). */
static enum status read_two_stacks(struct reader *r)
{
	int decoder = r->m.layers, encoder_moe = 0, decoder_moe = 0;
	enum status st;

	if ((st = hf_get(&r->doc, HF_DECODER_LAYERS, &decoder)) ||
	    (st = hf_get(&r->doc, HF_ENCODER_MOE, &encoder_moe)) ||
	    (st = hf_get(&r->doc, HF_DECODER_MOE, &decoder_moe)))
		return st;
	if (encoder_moe > r->m.layers || decoder_moe > decoder)
		return err_set(ST_INPUT, "%s: more MoE layers (%d and %d) than "
			       "layers (%d and %d)", r->doc.name, encoder_moe,
			       decoder_moe, r->m.layers, decoder);
	r->decoder_layers = decoder;
	r->m.layers += decoder;
	r->m.moe_layers = encoder_moe + decoder_moe;
	return ST_OK;
}

static enum status read_layers(struct reader *r)
{
	struct model *m = &r->m;
	enum status st = hf_need(&r->doc, HF_LAYERS, &m->layers);

	if (!st && has_flag(r, FAM_TWO_STACKS))
		st = read_two_stacks(r);
	else if (!st)
		st = hf_moe_layers(&r->doc, m->layers, &m->moe_layers);
	if (!st && m->moe_layers == 0)
		st = err_set(ST_INPUT, "%s: no MoE layer: the layer pattern "
			     "makes all %d layers dense", r->doc.name,
			     m->layers);
	return st;
}

static enum status read_shape(struct reader *r)
{
	struct model *m = &r->m;
	enum status st;

	/* first: what a dense model lacks */
	if ((st = read_experts(r)) ||
	    (st = hf_need(&r->doc, HF_HIDDEN, &m->hidden)) ||
	    (st = read_layers(r)) ||
	    (st = read_ffn(r, HF_EXPERT_FFN, &m->expert_ffn)) ||
	    (st = read_gated(r)) || (st = read_shared(r)))
		return st;
	if (m->moe_layers < m->layers)
		st = read_ffn(r, HF_DENSE_FFN, &m->dense_ffn);
	return st;
}

static enum status read_latent(struct reader *r)
{
	struct arch *a = &r->arch;
	enum status st;

	if ((st = hf_get(&r->doc, HF_KV_RANK, &a->kv_rank)) || !a->kv_rank)
		return st;
	if ((st = hf_get(&r->doc, HF_Q_RANK, &a->q_rank)) ||
	    (st = hf_need(&r->doc, HF_QK_NOPE, &a->qk_nope)) ||
	    (st = hf_need(&r->doc, HF_QK_ROPE, &a->qk_rope)))
		return st;
	return hf_need(&r->doc, HF_V_HEAD, &a->v_head);
}

static enum status read_head_dim(struct reader *r)
{
	struct arch *a = &r->arch;

	if (a->kv_rank)
		return ST_OK;	/* latent attention has its own sizes */
	if (hf_has(&r->doc, HF_HEAD_DIM))
		return hf_get(&r->doc, HF_HEAD_DIM, &a->head_dim);
	if (r->m.hidden % a->heads)
		return err_set(ST_INPUT, "%s: %d attention heads do not divide "
			       "the hidden size %d, and 'head_dim' is missing",
			       r->doc.name, a->heads, r->m.hidden);
	a->head_dim = r->m.hidden / a->heads;
	return ST_OK;
}

/* Jamba: one layer in `period` has attention, the others a state space. */
static enum status read_state_space(struct reader *r)
{
	struct arch *a = &r->arch;
	int period = 1, offset = 0, n;
	enum status st;

	if ((st = hf_get(&r->doc, HF_ATTN_PERIOD, &period)) || period == 1)
		return st;
	if ((st = hf_get(&r->doc, HF_ATTN_OFFSET, &offset)) ||
	    (st = hf_need(&r->doc, HF_SSM_EXPAND, &a->ssm_expand)) ||
	    (st = hf_need(&r->doc, HF_SSM_STATES, &a->ssm_states)) ||
	    (st = hf_need(&r->doc, HF_SSM_CONV, &a->ssm_conv)) ||
	    (st = hf_need(&r->doc, HF_SSM_RANK, &a->ssm_rank)))
		return st;
	if (offset >= period)
		return err_set(ST_INPUT, "%s: 'attn_layer_offset': %d is not "
			       "below 'attn_layer_period' %d", r->doc.name,
			       offset, period);
	n = r->m.layers > offset ?
		(r->m.layers - offset + period - 1) / period : 0;
	a->ssm_layers = r->m.layers - n;
	a->attention_blocks = n;
	return ST_OK;
}

static enum status read_arch(struct reader *r)
{
	struct arch *a = &r->arch;
	bool bias = false;
	enum status st;

	a->tied = has_flag(r, FAM_TIED);
	a->lookup_inactive = has_flag(r, FAM_NO_LOOKUP);
	a->expert_bias = has_flag(r, FAM_EXPERT_BIAS);
	a->router_bias = has_flag(r, FAM_ROUTER_BIAS);
	a->qk_norm = has_flag(r, FAM_QK_NORM);
	a->sinks = has_flag(r, FAM_SINKS);
	/* a decoder layer has self- and cross-attention */
	a->attention_blocks = r->m.layers + r->decoder_layers;
	if ((st = hf_need(&r->doc, HF_VOCAB, &a->vocab)) ||
	    (st = hf_need(&r->doc, HF_HEADS, &a->heads)))
		return st;
	a->kv_heads = a->heads;
	if ((st = hf_get(&r->doc, HF_KV_HEADS, &a->kv_heads)) ||
	    (st = read_latent(r)) || (st = read_head_dim(r)) ||
	    (st = read_state_space(r)) ||
	    (st = hf_get_bool(&r->doc, "tie_word_embeddings", &a->tied)))
		return st;
	st = hf_get_bool(&r->doc, "attention_bias", &bias);
	a->qkv_bias = bias || has_flag(r, FAM_QKV_BIAS);
	a->out_bias = bias;
	if (!st && has_flag(r, FAM_POSITIONS))
		st = hf_get(&r->doc, HF_POSITIONS, &a->positions);
	return st;
}

static enum status read_dtype(struct reader *r)
{
	const char *word = NULL;
	enum status st = hf_get_text(&r->doc, dtype_spelling, &word);
	size_t i;

	for (i = 0; !st && word && i < N_OF(dtype_words); i++) {
		if (!strcmp(word, dtype_words[i].word))
			r->m.dtype = dtype_words[i].dtype;
	}
	return st;
}

/* "models/x.json" and "x/config.json" are x. */
static void set_name(struct model *m, const char *path)
{
	const char *end = path + strlen(path), *base = path, *p;
	size_t i, n;

	if (end - path >= 12 && !strcmp(end - 12, "/config.json"))
		end -= 12;
	else if (end - path > 5 && !strcmp(end - 5, ".json"))
		end -= 5;
	for (p = path; p < end; p++) {
		if (*p == '/')
			base = p + 1;
	}
	n = (size_t)(end - base);
	if (n >= sizeof(m->name))
		n = sizeof(m->name) - 1;
	for (i = 0; i < n; i++)
		m->name[i] = base[i] > ' ' && base[i] < 127 ? base[i] : '_';
	m->name[n] = '\0';
}

static enum status read_model(struct reader *r)
{
	const char *type = "unnamed";
	enum status st;

	if ((st = hf_get_text(&r->doc, type_spelling, &type)))
		return st;
	r->family = find_family(&r->doc);
	if ((st = read_shape(r)) || (st = read_arch(r)) ||
	    (st = read_dtype(r)))
		return st;
	params_count(&r->arch, &r->m);
	set_name(&r->m, r->doc.name);
	snprintf(r->m.provenance, sizeof(r->m.provenance),
		 "shape from a Hugging Face config.json of type '%.64s'; "
		 "parameters counted from the shape", type);
	return ST_OK;
}

static void add_scopes(struct hf_doc *d, const json_t *root)
{
	const json_t *inner;
	size_t i;

	for (i = 0; i < N_OF(nested); i++) {
		inner = json_object_get(root, nested[i]);
		if (json_is_object(inner) && d->n_scopes == 0)
			d->scope[d->n_scopes++] = inner;
	}
	d->scope[d->n_scopes++] = root;
}

/* The library quotes the input, which may be binary. */
static enum status syntax_error(const char *name, const json_error_t *e)
{
	char text[JSON_ERROR_TEXT_LENGTH];
	size_t i;

	snprintf(text, sizeof(text), "%s", e->text);
	for (i = 0; text[i]; i++) {
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	}
	return err_set(ST_INPUT, "%s:%d:%d: not JSON: %s", name, e->line,
		       e->column, text);
}

static enum status parse_root(const char *name, const char *text, size_t len,
			      json_t **root_p)
{
	json_error_t e;
	json_t *root;

	if (len > HF_CONFIG_MAX_BYTES)
		return err_set(ST_INPUT, "%s: %zu bytes, at most %d are read",
			       name, len, HF_CONFIG_MAX_BYTES);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES |
			  JSON_DECODE_ANY, &e);
	if (!root)
		return syntax_error(name, &e);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(ST_INPUT, "%s: not a JSON object", name);
	}
	*root_p = root;
	return ST_OK;
}

enum status hf_config_parse(const char *name, const char *text, size_t len,
			    struct model *out)
{
	struct reader r = { .doc = { .name = name } };
	json_t *root = NULL;
	enum status st = parse_root(name, text, len, &root);

	if (st)
		return st;
	add_scopes(&r.doc, root);
	r.m.sequence = out->sequence;
	r.m.batch_per_gpu = out->batch_per_gpu;
	r.m.dtype = out->dtype;
	st = read_model(&r);
	if (!st)
		*out = r.m;
	json_decref(root);
	return st;
}

enum status hf_config_load(const char *path, struct model *out)
{
	enum status st;
	size_t len;
	char *text;

	st = infile_read(path, HF_CONFIG_MAX_BYTES, &text, &len);
	if (st)
		return st;
	st = hf_config_parse(path, text, len, out);
	free(text);
	return st;
}
