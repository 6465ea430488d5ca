/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/fill.h"

#include "base/mem.h"
#include "base/buf.h"
#include "base/units.h"

#include <string.h>

struct report_op *fill_ops(const struct program *p,
			   const struct exec_result *run)
{
	struct report_op *out = xcalloc((size_t)p->n_ops, sizeof(*out));

	for (int i = 0; i < p->n_ops; i++) {
		const struct op *op = &p->op[i];

		out[i] = (struct report_op){
			.kind = op->kind,
			.lane = op->lane,
			.chunk = op->chunk,
			.n_chunks = op->n_chunks,
			.backward = op->backward,
			.start_ps = run->op[i].start_ps,
			.finish_ps = run->op[i].finish_ps,
		};
	}
	return out;
}

int fill_links(const struct net *net, const struct exec_result *run,
	       struct arena *names, struct report_link *out)
{
	char name[128];

	for (int i = 0; i < run->n_links; i++) {
		net_link_name(net, run->link[i].link, name, sizeof(name));
		out[i].name = arena_strdup(names, name);
		out[i].utilisation = run->link[i].utilisation;
	}
	return run->n_links;
}

/* Knobs that a plan's line leaves out where they say nothing. */
static void add_schedule(const struct plan *p, json_t *out)
{
	struct buf order = { 0 };

	if (p->overlap == OVERLAP_WEIGHT)
		json_object_set_new(out, "overlap", json_string("weight"));
	if (!order_is_default(p->order)) {
		order_print(p->order, &order);
		json_object_set_new(out, "order",
				    json_string(buf_str(&order)));
		buf_release(&order);
	}
	if (p->gradient_bytes > 0)
		json_object_set_new(out, "gradient_bytes",
				    json_real(p->gradient_bytes));
	if (p->dense) {
		json_object_set_new(out, "dense", json_string(
			p->dense == DENSE_WHOLE ? "whole" : "chunks"));
		json_object_set_new(out, "dense_pieces", json_integer(
			p->dense_pieces > 1 ? p->dense_pieces : 1));
	}
}

json_t *json_knobs(const struct plan *p)
{
	const struct layout *l = &p->layout;
	json_t *techniques = json_array(), *out;

	for (int i = 0; i < TECH_N; i++) {
		if (p->technique_mask & 1u << i)
			json_array_append_new(techniques,
				json_string(technique_table[i].name));
	}
	out = json_pack("{s:s, s:i, s:i, s:i, s:f, s:b, s:{s:i,s:i,s:i,s:i,s:i}, "
			 "s:o}",
			 "alltoall", a2a_table[p->alltoall].name,
			 "ctas", p->ctas,
			 "degree_forward", p->degree_forward,
			 "degree_backward", p->degree_backward,
			 "capacity_factor", p->capacity_factor,
			 "dropless", p->capacity_factor == 0,
			 "layout", "ep", l->ep, "esp", l->esp, "tp", l->tp,
			 "dp", l->dp, "pp", l->pp,
			 "techniques", techniques);
	add_schedule(p, out);
	return out;
}

json_t *json_breakdown(const struct exec_result *run)
{
	json_t *out = json_object();

	for (int i = 0; i < OP_KIND_N; i++) {
		if (run->kind_ps[i])
			json_object_set_new(out,
				op_kind_name((enum op_kind)i),
				json_real(s_from_ps(run->kind_ps[i])));
	}
	return out;
}

json_t *json_lanes(const struct exec_result *run)
{
	json_t *out = json_array();

	for (int i = 0; i < LANES_ALL; i++) {
		if (i == LANE_HOST && !run->lane_busy_ps[i])
			continue;
		json_array_append_new(out, json_pack("{s:s, s:f}",
			"lane", lane_name((enum lane)i),
			"busy_s", s_from_ps(run->lane_busy_ps[i])));
	}
	return out;
}

json_t *json_links(const struct net *net, const struct exec_result *run)
{
	json_t *out = json_array();
	char name[128];

	for (int i = 0; i < run->n_links; i++) {
		net_link_name(net, run->link[i].link, name, sizeof(name));
		json_array_append_new(out, json_pack("{s:s, s:f}",
			"name", name,
			"utilisation", run->link[i].utilisation));
	}
	return out;
}

json_t *json_step(const struct step_time *t)
{
	json_t *partition = json_array(), *out;

	for (int i = 0; i < t->n_partition; i++)
		json_array_append_new(partition, json_real(t->partition[i]));
	out = json_pack("{s:f, s:f, s:f, s:i, s:i, s:{s:f, s:f, s:f, s:f, "
			 "s:f, s:f}, s:{s:f, s:f, s:f, s:f}}",
			 "time_s", t->time_s, "tokens", t->tokens,
			 "tokens_per_s", t->tokens_per_s,
			 "micro_batches", t->batches, "stages", t->stages,
			 "breakdown", "moe", t->moe_s, "dense", t->dense_s,
			 "tensor", t->tensor_s, "gradients", t->gradient_s,
			 "optimizer", t->optimizer_s, "bubble", t->bubble_s,
			 "gradients", "at_end_s", t->at_end_s,
			 "in_windows_s", t->in_windows_s,
			 "two_step_s", t->two_step_s,
			 "searched_s", t->searched_s);
	if (t->n_partition)
		json_object_set(out, "partition_bytes", partition);
	json_decref(partition);
	return out;
}

void fill_step(const struct step_time *t, struct report_step *out)
{
	*out = (struct report_step){
		.time_s = t->time_s, .tokens_per_s = t->tokens_per_s,
		.moe_s = t->moe_s, .dense_s = t->dense_s + t->tensor_s,
		.gradient_s = t->gradient_s, .optimizer_s = t->optimizer_s,
		.bubble_s = t->bubble_s, .batches = t->batches,
	};
}
