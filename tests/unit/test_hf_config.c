/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every family's spelling, the published parameter counts, every refusal
 * with its message, and seeded mutations that must not crash.
 *
 * The texts below are facts about the models (sizes), with only the keys
 * that matter. Published counts, in billions, total / active:
 *	Mixtral-8x7B 46.7/12.9, 8x22B 141/39	Mistral AI, release notes
 *	DeepSeek-V3 671/37	technical report, abstract
 *	DeepSeek-V2 236/21, V2-Lite 15.7/2.4	paper, abstract and appendix B
 *	Qwen3-30B-A3B 30.5/3.3, 235B-A22B 235/22	model cards
 *	Qwen2-57B-A14B 57.4/14	technical report, table 1 and model card
 *	gpt-oss-20b 20.91/3.61, 120b 116.83/5.13	model card, table 1
 *	Llama-4-Scout 109/17	model card (the total has the vision tower)
 *	DBRX 132/36	release notes
 *	OLMoE 6.9/1.3	paper, table 1
 *	Phi-3.5-MoE 41.9/6.6	model card
 *	Granite-3.0-3B-A800M 3.3/-, Jamba 52/12, Grok-1 314/-, Arctic 480/17,
 *	ERNIE-4.5-21B-A3B 21.8/-, Switch-Base-128 7.4/-	papers, model cards
 */
#include "base/mem.h"
#include "scenarios/hf_config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* last: it needs the four above */
#include <cmocka.h>

#define TOLERANCE 0.03	/* of the published counts */

struct known {
	const char *name, *text;
	double total, active;	/* billions; 0: not published */
	int layers, moe_layers, experts, topk, ffn, shared, shared_ffn;
	int dense_ffn;
	bool gated;
};

static const struct known known[] = {
	{ "mixtral-8x22b",
	  "{\"model_type\": \"mixtral\", \"hidden_size\": 6144,"
	  "\"intermediate_size\": 16384, \"num_hidden_layers\": 56,"
	  "\"num_attention_heads\": 48, \"num_key_value_heads\": 8,"
	  "\"num_local_experts\": 8, \"num_experts_per_tok\": 2,"
	  "\"vocab_size\": 32768, \"tie_word_embeddings\": false}",
	  141, 39, 56, 56, 8, 2, 16384, 0, 0, 0, true },
	{ "qwen3-235b-a22b",
	  "{\"model_type\": \"qwen3_moe\", \"hidden_size\": 4096,"
	  "\"moe_intermediate_size\": 1536, \"intermediate_size\": 12288,"
	  "\"num_hidden_layers\": 94, \"num_attention_heads\": 64,"
	  "\"num_key_value_heads\": 4, \"head_dim\": 128,"
	  "\"num_experts\": 128, \"num_experts_per_tok\": 8,"
	  "\"decoder_sparse_step\": 1, \"mlp_only_layers\": [],"
	  "\"vocab_size\": 151936, \"hidden_act\": \"silu\"}",
	  235, 22, 94, 94, 128, 8, 1536, 0, 0, 0, true },
	{ "qwen2-57b-a14b",
	  "{\"model_type\": \"qwen2_moe\", \"hidden_size\": 3584,"
	  "\"moe_intermediate_size\": 2560, \"intermediate_size\": 18944,"
	  "\"shared_expert_intermediate_size\": 20480,"
	  "\"num_hidden_layers\": 28, \"num_attention_heads\": 28,"
	  "\"num_key_value_heads\": 4, \"num_experts\": 64,"
	  "\"num_experts_per_tok\": 8, \"vocab_size\": 151936}",
	  57.4, 14, 28, 28, 64, 8, 2560, 1, 20480, 0, true },
	{ "gpt-oss-120b",
	  "{\"model_type\": \"gpt_oss\", \"hidden_size\": 2880,"
	  "\"intermediate_size\": 2880, \"num_hidden_layers\": 36,"
	  "\"num_attention_heads\": 64, \"num_key_value_heads\": 8,"
	  "\"head_dim\": 64, \"num_local_experts\": 128,"
	  "\"experts_per_token\": 4, \"vocab_size\": 201088,"
	  "\"attention_bias\": true}",
	  116.83, 5.13, 36, 36, 128, 4, 2880, 0, 0, 0, true },
	{ "dbrx",
	  "{\"model_type\": \"dbrx\", \"d_model\": 6144, \"n_layers\": 40,"
	  "\"n_heads\": 48, \"attn_config\": {\"kv_n_heads\": 8},"
	  "\"ffn_config\": {\"ffn_hidden_size\": 10752,"
	  "\"moe_num_experts\": 16, \"moe_top_k\": 4},"
	  "\"vocab_size\": 100352, \"tie_word_embeddings\": false}",
	  132, 36, 40, 40, 16, 4, 10752, 0, 0, 0, true },
	{ "olmoe",
	  "{\"model_type\": \"olmoe\", \"hidden_size\": 2048,"
	  "\"intermediate_size\": 1024, \"num_hidden_layers\": 16,"
	  "\"num_attention_heads\": 16, \"num_key_value_heads\": 16,"
	  "\"num_experts\": 64, \"num_experts_per_tok\": 8,"
	  "\"vocab_size\": 50304, \"hidden_act\": \"silu\"}",
	  6.9, 1.3, 16, 16, 64, 8, 1024, 0, 0, 0, true },
	{ "deepseek-v2-lite",
	  "{\"model_type\": \"deepseek_v2\", \"hidden_size\": 2048,"
	  "\"intermediate_size\": 10944, \"moe_intermediate_size\": 1408,"
	  "\"num_hidden_layers\": 27, \"num_attention_heads\": 16,"
	  "\"num_key_value_heads\": 16, \"q_lora_rank\": null,"
	  "\"kv_lora_rank\": 512, \"qk_nope_head_dim\": 128,"
	  "\"qk_rope_head_dim\": 64, \"v_head_dim\": 128,"
	  "\"n_routed_experts\": 64, \"n_shared_experts\": 2,"
	  "\"num_experts_per_tok\": 6, \"first_k_dense_replace\": 1,"
	  "\"moe_layer_freq\": 1, \"vocab_size\": 102400}",
	  15.7, 2.4, 27, 26, 64, 6, 1408, 2, 2816, 10944, true },
	{ "deepseek-v2",
	  "{\"model_type\": \"deepseek_v2\", \"hidden_size\": 5120,"
	  "\"intermediate_size\": 12288, \"moe_intermediate_size\": 1536,"
	  "\"num_hidden_layers\": 60, \"num_attention_heads\": 128,"
	  "\"q_lora_rank\": 1536, \"kv_lora_rank\": 512,"
	  "\"qk_nope_head_dim\": 128, \"qk_rope_head_dim\": 64,"
	  "\"v_head_dim\": 128, \"n_routed_experts\": 160,"
	  "\"n_shared_experts\": 2, \"num_experts_per_tok\": 6,"
	  "\"first_k_dense_replace\": 1, \"vocab_size\": 102400}",
	  236, 21, 60, 59, 160, 6, 1536, 2, 3072, 12288, true },
	{ "phi-3.5-moe",
	  "{\"model_type\": \"phimoe\", \"hidden_size\": 4096,"
	  "\"intermediate_size\": 6400, \"num_hidden_layers\": 32,"
	  "\"num_attention_heads\": 32, \"num_key_value_heads\": 8,"
	  "\"num_local_experts\": 16, \"num_experts_per_tok\": 2,"
	  "\"attention_bias\": true, \"vocab_size\": 32064}",
	  41.9, 6.6, 32, 32, 16, 2, 6400, 0, 0, 0, true },
	{ "granite-3b-a800m",
	  "{\"model_type\": \"granitemoe\", \"hidden_size\": 1536,"
	  "\"intermediate_size\": 512, \"num_hidden_layers\": 32,"
	  "\"num_attention_heads\": 24, \"num_key_value_heads\": 8,"
	  "\"num_local_experts\": 40, \"num_experts_per_tok\": 8,"
	  "\"tie_word_embeddings\": true, \"vocab_size\": 49155}",
	  3.3, 0, 32, 32, 40, 8, 512, 0, 0, 0, true },
	{ "jamba",	/* one layer in 8 has attention, one in 2 experts */
	  "{\"model_type\": \"jamba\", \"hidden_size\": 4096,"
	  "\"intermediate_size\": 14336, \"num_hidden_layers\": 32,"
	  "\"num_attention_heads\": 32, \"num_key_value_heads\": 8,"
	  "\"num_experts\": 16, \"num_experts_per_tok\": 2,"
	  "\"expert_layer_period\": 2, \"expert_layer_offset\": 1,"
	  "\"attn_layer_period\": 8, \"attn_layer_offset\": 4,"
	  "\"mamba_expand\": 2, \"mamba_d_state\": 16, \"mamba_d_conv\": 4,"
	  "\"mamba_dt_rank\": 256, \"vocab_size\": 65536}",
	  52, 12, 32, 16, 16, 2, 14336, 0, 0, 14336, true },
	{ "grok-1",
	  "{\"model_type\": \"grok-1\", \"hidden_size\": 6144,"
	  "\"intermediate_size\": 32768, \"num_hidden_layers\": 64,"
	  "\"num_attention_heads\": 48, \"num_key_value_heads\": 8,"
	  "\"num_experts\": 8, \"num_experts_per_token\": 2,"
	  "\"hidden_act\": \"gelu\", \"vocab_size\": 131072}",
	  314, 0, 64, 64, 8, 2, 32768, 0, 0, 0, true },
	{ "arctic",	/* a dense network of inner size h beside the experts */
	  "{\"model_type\": \"arctic\", \"hidden_size\": 7168,"
	  "\"intermediate_size\": 4864, \"num_hidden_layers\": 35,"
	  "\"num_attention_heads\": 56, \"num_key_value_heads\": 8,"
	  "\"num_local_experts\": 128, \"num_experts_per_tok\": 2,"
	  "\"moe_layer_frequency\": 1, \"use_residual\": true,"
	  "\"vocab_size\": 32000}",
	  480, 17, 35, 35, 128, 2, 4864, 1, 7168, 0, true },
	{ "ernie-4.5-21b-a3b",
	  "{\"model_type\": \"ernie4_5_moe\", \"hidden_size\": 2560,"
	  "\"intermediate_size\": 12288, \"moe_intermediate_size\": 1536,"
	  "\"num_hidden_layers\": 28, \"num_attention_heads\": 20,"
	  "\"num_key_value_heads\": 4, \"moe_num_experts\": 64,"
	  "\"moe_k\": 6, \"moe_num_shared_experts\": 2,"
	  "\"moe_layer_start_index\": 1, \"moe_layer_interval\": 1,"
	  "\"vocab_size\": 103424, \"tie_word_embeddings\": true}",
	  21.8, 0, 28, 27, 64, 6, 1536, 2, 3072, 12288, true },
	{ "switch-base-128",	/* 12 + 12 layers, every second one sparse */
	  "{\"model_type\": \"switch_transformers\", \"d_model\": 768,"
	  "\"d_ff\": 3072, \"num_layers\": 12, \"num_decoder_layers\": 12,"
	  "\"num_heads\": 12, \"d_kv\": 64, \"num_experts\": 128,"
	  "\"num_sparse_encoder_layers\": 6,"
	  "\"num_sparse_decoder_layers\": 6, \"vocab_size\": 32128,"
	  "\"feed_forward_proj\": \"relu\", \"is_gated_act\": false}",
	  7.4, 0, 24, 12, 128, 1, 3072, 0, 0, 3072, false },
	{ "gpt2-moe",	/* of this project: no published count */
	  "{\"model_type\": \"gpt2_moe\", \"n_embd\": 1600, \"n_layer\": 48,"
	  "\"n_head\": 25, \"n_inner\": null, \"n_positions\": 1024,"
	  "\"activation_function\": \"gelu_new\", \"num_experts\": 6,"
	  "\"top_k\": 2, \"vocab_size\": 50257}",
	  0, 0, 48, 48, 6, 2, 6400, 0, 0, 0, false },
	{ "hunyuan-a13b-like",	/* one value per layer, all the same */
	  "{\"hidden_size\": 4096, \"num_layers\": 3,"
	  "\"num_attention_heads\": 32, \"num_key_value_heads\": 8,"
	  "\"num_experts\": 64, \"moe_topk\": [8, 8, 8],"
	  "\"moe_intermediate_size\": [3072, 3072, 3072],"
	  "\"num_shared_expert\": [1, 1, 1], \"vocab_size\": 128167}",
	  0, 0, 3, 3, 64, 8, 3072, 1, 3072, 0, true },
	{ "maverick-like",	/* every second layer: 1, 3, 5 */
	  "{\"model_type\": \"llama4\", \"text_config\": {"
	  "\"hidden_size\": 5120, \"num_hidden_layers\": 6,"
	  "\"num_attention_heads\": 40, \"num_key_value_heads\": 8,"
	  "\"num_local_experts\": 128, \"num_experts_per_tok\": 1,"
	  "\"intermediate_size\": 8192, \"intermediate_size_mlp\": 16384,"
	  "\"interleave_moe_layer_step\": 2, \"vocab_size\": 202048}}",
	  0, 0, 6, 3, 128, 1, 8192, 1, 8192, 16384, true },
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static enum status parse(const char *text, struct model *m)
{
	return hf_config_parse("x.json", text, strlen(text), m);
}

static void near_published(const char *name, const char *what, double got,
			   double billions)
{
	double error = got / (billions * 1e9) - 1;

	if (billions > 0 && fabs(error) > TOLERANCE)
		fail_msg("%s: %s %.4g, published %.4gB: %+.1f %%", name, what,
			 got, billions, 100 * error);
}

static void test_families(void **state)
{
	const struct known *k;
	struct model m = { 0 };

	(void)state;
	for (k = known; k < known + N_OF(known); k++) {
		if (parse(k->text, &m))
			fail_msg("%s: %s", k->name, err_msg());
		if (m.layers != k->layers || m.moe_layers != k->moe_layers ||
		    m.experts != k->experts || m.experts_per_token != k->topk ||
		    m.expert_ffn != k->ffn || m.gated != k->gated ||
		    m.shared_experts != k->shared ||
		    m.shared_ffn != k->shared_ffn ||
		    m.dense_ffn != k->dense_ffn)
			fail_msg("%s: %d layers %d moe %dx%d top %d, shared "
				 "%d of %d, dense %d, gated %d", k->name,
				 m.layers, m.moe_layers, m.experts,
				 m.expert_ffn, m.experts_per_token,
				 m.shared_experts, m.shared_ffn, m.dense_ffn,
				 m.gated);
		near_published(k->name, "total", m.params_total, k->total);
		near_published(k->name, "active", m.params_active, k->active);
	}
}

/*
 * h 8, f 3, 4 experts, top 2, 2 layers (1 dense of 5), vocabulary 10, heads 2
 * of 4, one key/value head, gated:
 *	embeddings 2*10*8 = 160; attention 2*(8*8 + 8*8 + 2*8*4) = 384
 *	dense 3*8*5 = 120; router 8*4 = 32; norms (2*2 + 1)*8 = 40
 *	other 736; experts 4*3*8*3 = 288, active 2*72 = 144
 */
static void test_counts_by_hand(void **state)
{
	static const char text[] =
		"{\"hidden_size\": 8, \"num_hidden_layers\": 2,"
		"\"num_attention_heads\": 2, \"num_key_value_heads\": 1,"
		"\"vocab_size\": 10, \"num_experts\": 4,"
		"\"num_experts_per_tok\": 2, \"moe_intermediate_size\": 3,"
		"\"intermediate_size\": 5, \"mlp_only_layers\": [0],"
		"\"torch_dtype\": \"float16\"}";
	struct model m = { .sequence = 77, .batch_per_gpu = 3 };

	(void)state;
	assert_int_equal(parse(text, &m), ST_OK);
	assert_true(m.params_other == 736);
	assert_true(m.params_total == 736 + 288);
	assert_true(m.params_active == 736 + 144);
	assert_int_equal(m.dtype, DT_FP16);
	assert_int_equal(m.sequence, 77);
	assert_int_equal(m.batch_per_gpu, 3);
	assert_string_equal(m.name, "x");
	assert_true(m.provenance[0] != '\0');
}

/* Which of 6 layers remain; the rest of the text is the same. */
static void test_layer_patterns(void **state)
{
	static const struct { const char *keys; int moe; } rows[] = {
		{ "\"first_k_dense_replace\": 2", 4 },
		{ "\"first_k_dense_replace\": 1, \"moe_layer_freq\": 2", 2 },
		{ "\"moe_layer_freq\": [0, 1, 1, 0, 1, 1]", 4 },
		{ "\"decoder_sparse_step\": 2", 3 },
		{ "\"decoder_sparse_step\": 4", 1 },
		{ "\"decoder_sparse_step\": 2, \"mlp_only_layers\": [1]", 2 },
		{ "\"interleave_moe_layer_step\": 3", 2 },
		{ "\"moe_layers\": [1, 3]", 2 },
		{ "\"expert_layer_period\": 4, \"expert_layer_offset\": 1", 2 },
		{ "\"moe_layer_start_index\": 1, \"moe_layer_end_index\": 3",
		  3 },
		{ "\"moe_layer_start_index\": 1, \"moe_layer_end_index\": -1",
		  5 },
		{ "\"mlp_layer_types\": [\"dense\", \"sparse\", \"sparse\","
		  "\"dense\", \"moe\", \"dense\"]", 3 },
	};
	struct model m = { 0 };
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(rows); i++) {
		text = xasprintf("{\"hidden_size\": 8, \"n_layers\": 6,"
				 "\"n_heads\": 2, \"vocab_size\": 10,"
				 "\"num_experts\": 4, \"moe_top_k\": 2,"
				 "\"intermediate_size\": 5, %s}", rows[i].keys);
		if (parse(text, &m))
			fail_msg("%s: %s", rows[i].keys, err_msg());
		if (m.moe_layers != rows[i].moe)
			fail_msg("%s: %d MoE layers", rows[i].keys,
				 m.moe_layers);
		free(text);
	}
}

#define REST "\"hidden_size\": 8, \"num_hidden_layers\": 2," \
	"\"num_attention_heads\": 2, \"vocab_size\": 10," \
	"\"num_experts_per_tok\": 2, \"intermediate_size\": 5"

static const struct { const char *text, *message; } refused[] = {
	{ "{" REST "}",
	  "x.json: no MoE layer: looked for 'num_local_experts', "
	  "'num_experts', 'n_routed_experts', 'moe_num_experts'" },
	{ "{" REST ", \"num_experts\": 1}", "number of experts is 1" },
	{ "{" REST ", \"num_experts\": 0}", "no MoE layer" },
	{ "{" REST ", \"num_experts\": null}", "no MoE layer: looked for" },
	{ "{" REST ", \"num_experts\": -3}",
	  "'num_experts': -3 is not in 0..65536" },
	{ "{" REST ", \"num_experts\": 4000000000}", "is not in 0..65536" },
	{ "{" REST ", \"num_experts\": 99999999999999999999}",
	  "too big integer" },
	{ "{" REST ", \"num_experts\": 4.5}",
	  "'num_experts' is a fraction, not a whole number" },
	{ "{" REST ", \"num_experts\": \"8\"}",
	  "'num_experts' is text, not a whole number" },
	{ "{" REST ", \"num_experts\": {}}", "is an object" },
	{ "{" REST ", \"num_experts\": [4, 8]}", "layers differ (4 and 8)" },
	{ "{" REST ", \"num_experts\": []}", "no MoE layer: looked for" },
	{ "{" REST ", \"num_experts\": 4, \"num_experts\": 8}",
	  "duplicate object key" },
	{ "{" REST ", \"num_experts\": 4", "x.json:1:" },
	{ "{\n\"num_experts\":\n  oops}", "x.json:3:" },
	{ "", "x.json:1:0: not JSON" },
	{ "[1, 2]", "x.json: not a JSON object" },
	{ "3", "x.json: not a JSON object" },
	{ "\"text\"", "x.json: not a JSON object" },
	{ "\x89PNG\r\n\x1a\n", "not JSON" },
	{ "{\"num_experts\": 4}",
	  "the number of experts per token is missing: looked for "
	  "'num_experts_per_tok', 'experts_per_token'" },
	{ "{\"num_experts\": 4, \"top_k\": 2}",
	  "the hidden size is missing: looked for 'hidden_size', 'd_model'" },
	{ "{\"num_experts\": 4, \"top_k\": 2, \"d_model\": 8}",
	  "the number of layers is missing: looked for" },
	{ "{\"num_experts\": 4, \"top_k\": 2, \"d_model\": 8,"
	  "\"n_layers\": 2}",
	  "the inner size of an expert is missing: looked for "
	  "'moe_intermediate_size'" },
	{ "{\"num_experts\": 4, \"top_k\": 2, \"d_model\": 8,"
	  "\"n_layers\": 2, \"d_ff\": 9}", "the vocabulary size is missing" },
	{ "{\"num_experts\": 4, \"top_k\": 2, \"d_model\": 8,"
	  "\"n_layers\": 2, \"d_ff\": 9, \"vocab_size\": 5}",
	  "attention heads is missing" },
	{ "{\"num_experts\": 4, \"top_k\": 5}",
	  "5 experts per token of 4 experts" },
	{ "{" REST ", \"num_experts\": 4, \"num_heads\": 3,"
	  "\"num_attention_heads\": 3}", "duplicate object key" },
	{ "{\"num_experts\": 4, \"top_k\": 2, \"d_model\": 8,"
	  "\"n_layers\": 2, \"d_ff\": 9, \"vocab_size\": 5, \"n_heads\": 3}",
	  "3 attention heads do not divide the hidden size 8" },
	{ "{" REST ", \"num_experts\": 4, \"kv_lora_rank\": 4}",
	  "the head size without position is missing" },
	{ "{" REST ", \"num_experts\": 4, \"decoder_sparse_step\": 3}",
	  "no MoE layer: the layer pattern makes all 2 layers dense" },
	{ "{" REST ", \"num_experts\": 4, \"decoder_sparse_step\": 0}",
	  "'decoder_sparse_step': 0 is not in 1..4096" },
	{ "{" REST ", \"num_experts\": 4, \"expert_layer_period\": 2,"
	  "\"expert_layer_offset\": 2}", "is not below" },
	{ "{" REST ", \"num_experts\": 4, \"mlp_only_layers\": 3}",
	  "'mlp_only_layers' is not a list" },
	{ "{" REST ", \"num_experts\": 4, \"mlp_only_layers\": [-1]}",
	  "'mlp_only_layers': -1 is not in 0..4095" },
	{ "{" REST ", \"num_experts\": 4, \"moe_layer_freq\": [1]}",
	  "'moe_layer_freq' has 1 entries for 2 layers" },
	{ "{" REST ", \"num_experts\": 4, \"tie_word_embeddings\": 1}",
	  "'tie_word_embeddings' is a number, not true or false" },
	{ "{" REST ", \"num_experts\": 4, \"hidden_act\": 1}",
	  "'hidden_act' is a number, not text" },
	{ "{" REST ", \"num_experts\": 4, \"n_shared_experts\": 65536,"
	  "\"moe_intermediate_size\": 16777216}", "are more than" },
};

static void test_refusals(void **state)
{
	struct model m = { .hidden = 17 };
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(refused); i++) {
		if (parse(refused[i].text, &m) != ST_INPUT)
			fail_msg("accepted: %s", refused[i].text);
		if (!strstr(err_msg(), refused[i].message))
			fail_msg("'%s' lacks '%s'", err_msg(),
				 refused[i].message);
		assert_int_equal(m.hidden, 17);	/* untouched */
	}
}

static void test_refuse_size_and_depth(void **state)
{
	size_t n = HF_CONFIG_MAX_BYTES + 1, i;
	struct model m = { 0 };
	char *text = xmalloc(n);

	(void)state;
	for (i = 0; i < n; i++)
		text[i] = '[';
	assert_int_equal(hf_config_parse("x", text, n, &m), ST_INPUT);
	assert_non_null(strstr(err_msg(), "at most 1048576 are read"));
	assert_int_equal(hf_config_parse("x", text, n - 1, &m), ST_INPUT);
	assert_non_null(strstr(err_msg(), "maximum parsing depth"));
	free(text);
}

static void test_names(void **state)
{
	static const char *const rows[][2] = {
		{ "a/b/mixtral.json", "mixtral" },
		{ "a/mixtral/config.json", "mixtral" },
		{ "config.json", "config" },
		{ "odd \xff name", "odd___name" },
		{ ".json", ".json" },
	};
	static const char text[] = "{" REST ", \"num_experts\": 4}";
	struct model m = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(rows); i++) {
		assert_int_equal(hf_config_parse(rows[i][0], text,
						 strlen(text), &m), ST_OK);
		assert_string_equal(m.name, rows[i][1]);
	}
}

/* The public files, when they are beside the checkout. */
static const struct {
	const char *file;
	double total, active;
} public_files[] = {
	{ "mixtral-8x7b", 46.7, 12.9 },
	{ "deepseek-v3", 671, 37 },
	{ "qwen3-30b-a3b", 30.5, 3.3 },
	{ "gpt-oss-20b", 20.91, 3.61 },
	{ "llama-4-scout", 109, 17 },
};

/* $MOECAST_SHARED is the folder "data" or the one above it. */
static char *public_path(const char *file)
{
	const char *env = getenv("MOECAST_SHARED"), *src = getenv("srcdir");
	char *path;

	if (!env) {
		return xasprintf("%s/../shared/data/models/%s.json",
				 src ? src : ".", file);
	}
	path = xasprintf("%s/models/%s.json", env, file);
	if (!access(path, R_OK))
		return path;
	free(path);
	return xasprintf("%s/data/models/%s.json", env, file);
}

static void test_public_files(void **state)
{
	struct model m = { 0 };
	char *path;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(public_files); i++) {
		path = public_path(public_files[i].file);
		if (access(path, R_OK)) {
			free(path);
			skip();
		}
		if (hf_config_load(path, &m))
			fail_msg("%s", err_msg());
		assert_string_equal(m.name, public_files[i].file);
		near_published(m.name, "total", m.params_total,
			       public_files[i].total);
		near_published(m.name, "active", m.params_active,
			       public_files[i].active);
		free(path);
	}
	path = public_path("llama-3.1-dense");
	assert_int_equal(hf_config_load(path, &m), ST_INPUT);
	assert_non_null(strstr(err_msg(), "no MoE layer: looked for"));
	free(path);
}

static void test_missing_file(void **state)
{
	struct model m = { 0 };

	(void)state;
	assert_int_not_equal(hf_config_load("/nonexistent/x.json", &m), ST_OK);
	assert_non_null(strstr(err_msg(), "/nonexistent/x.json"));
	assert_int_not_equal(hf_config_load("/", &m), ST_OK);
}

#define FUZZ_ROUNDS 40000

static unsigned next_random(unsigned *s)	/* xorshift: same everywhere */
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

/* Overwrites, deletes, repeats or swaps in a few places. */
static size_t mutate(char *text, size_t len, size_t cap, unsigned *s)
{
	static const char bits[] = "{}[]\",:-.0e9 \n\\u\xff";
	unsigned n = 1 + next_random(s) % 4;
	size_t at, span;

	while (n-- > 0 && len > 8) {
		at = next_random(s) % (len - 4);
		span = next_random(s) % 24;
		if (at + span > len)
			span = len - at;
		switch (next_random(s) % 3) {
		case 0:
			text[at] = bits[next_random(s) % (sizeof(bits) - 1)];
			break;
		case 1:
			memmove(text + at, text + at + span, len - at - span);
			len -= span;
			break;
		default:
			if (len + span > cap)
				break;
			memmove(text + at + span, text + at, len - at);
			len += span;
		}
	}
	return len;
}

static void test_fuzz(void **state)
{
	unsigned seed = 2463534242u, i;
	int accepted = 0;
	struct model m = { 0 };
	char text[4096];
	const char *from;
	size_t len;

	(void)state;
	for (i = 0; i < FUZZ_ROUNDS; i++) {
		from = known[next_random(&seed) % N_OF(known)].text;
		len = strlen(from);
		memcpy(text, from, len);
		len = mutate(text, len, sizeof(text), &seed);
		if (hf_config_parse("x", text, len, &m)) {
			assert_true(err_msg()[0] != '\0');
			continue;
		}
		accepted++;
		assert_true(m.moe_layers >= 1 && m.moe_layers <= m.layers);
		assert_true(m.experts_per_token <= m.experts);
		assert_true(isfinite(m.params_total));
		assert_true(m.params_total >= m.params_active);
		assert_true(m.params_active > 0);
		assert_true(m.shared_ffn >= 0 && m.expert_ffn > 0);
	}
	/* both outcomes are exercised */
	assert_in_range(accepted, FUZZ_ROUNDS / 1000, FUZZ_ROUNDS - 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_counts_by_hand),
		cmocka_unit_test(test_layer_patterns),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_refuse_size_and_depth),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_public_files),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
