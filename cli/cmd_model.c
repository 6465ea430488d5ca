/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include "base/buf.h"
#include "reports/table.h"
#include "scenarios/model_file.h"

#include <stdio.h>

#define BILLION 1e9

struct opts {
	struct cli_common common;
};

static const struct argp_child children[] = {
	{ .argp = &cli_common_argp }, { 0 } };

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = &o->common;
	return 0;
}

static const struct argp argp = {
	.parser = parse_opt,
	.args_doc = "FILE",
	.doc = "What a model file says: the sizes of its MoE layers and its "
	       "parameter counts. FILE is a Hugging Face config.json, a model "
	       "file in YAML, or the name of a shipped model.",
	.children = children,
};

json_t *cli_model_json(const struct model *m)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", json_string(m->name));
	json_object_set_new(o, "hidden", json_integer(m->hidden));
	json_object_set_new(o, "layers", json_integer(m->layers));
	json_object_set_new(o, "moe_layers", json_integer(m->moe_layers));
	json_object_set_new(o, "experts", json_integer(m->experts));
	json_object_set_new(o, "experts_per_token",
			    json_integer(m->experts_per_token));
	json_object_set_new(o, "expert_ffn", json_integer(m->expert_ffn));
	json_object_set_new(o, "shared_experts",
			    json_integer(m->shared_experts));
	json_object_set_new(o, "shared_ffn", json_integer(m->shared_ffn));
	json_object_set_new(o, "dense_ffn", json_integer(m->dense_ffn));
	json_object_set_new(o, "gated", json_boolean(m->gated));
	json_object_set_new(o, "params_total",
			    json_integer((json_int_t)m->params_total));
	json_object_set_new(o, "params_active",
			    json_integer((json_int_t)m->params_active));
	json_object_set_new(o, "params_other",
			    json_integer((json_int_t)m->params_other));
	if (m->dtype != DT_N)
		json_object_set_new(o, "dtype",
				    json_string(dtype_name(m->dtype)));
	json_object_set_new(o, "provenance", json_string(m->provenance));
	return o;
}

static void print_shape(const struct model *m)
{
	printf("  hidden size      %d\n", m->hidden);
	printf("  layers           %d, %d of them MoE\n", m->layers,
	       m->moe_layers);
	printf("  routed experts   %d a layer, %d per token, inner size %d\n",
	       m->experts, m->experts_per_token, m->expert_ffn);
	if (m->shared_experts > 0)
		printf("  shared experts   %d, inner size %d together\n",
		       m->shared_experts, m->shared_ffn);
	if (m->dense_ffn > 0)
		printf("  dense layers     inner size %d\n", m->dense_ffn);
	printf("  products         %s\n", m->gated ?
	       "three per expert (gated)" : "two per expert");
	if (m->dtype != DT_N)
		printf("  element type     %s\n", dtype_name(m->dtype));
}

static void print_params(const struct model *m)
{
	double routed = m->params_total - m->params_other;

	printf("  parameters       %.2f billion: %.2f in routed experts, "
	       "%.2f elsewhere\n", m->params_total / BILLION,
	       routed / BILLION, m->params_other / BILLION);
	printf("  active           %.2f billion per token, %.1f %%\n",
	       m->params_active / BILLION,
	       100 * m->params_active / m->params_total);
}

void cli_model_print(const struct model *m)
{
	struct buf b = { 0 };

	printf("%.78s\n", m->name);
	print_shape(m);
	print_params(m);
	if (m->provenance[0])
		text_wrap(&b, "  source           ", m->provenance,
			  TABLE_WIDTH);
	fputs(buf_str(&b), stdout);
	buf_release(&b);
}

enum status cmd_model(int argc, char **argv)
{
	struct opts o = { 0 };
	struct model m = { .dtype = DT_N };
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = cli_need_input(&o.common, "model file");
	if (!st && o.common.n_sets > 0)
		st = err_set(ST_INPUT, "--set: a model file has no scenario "
			     "keys to override");
	if (!st)
		st = model_load(o.common.input, &m);
	if (!st && o.common.json)
		st = cli_print_json(cli_model_json(&m));
	else if (!st)
		cli_model_print(&m);
	cli_common_release(&o.common);
	return st;
}
