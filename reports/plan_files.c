/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/plan_files.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/units.h"
#include "reports/chart.h"
#include "reports/gnuplot.h"
#include "reports/table.h"

#include <stdlib.h>

/* The Gantt chart's legend; both passes share a colour. */
enum box_kind {
	BOX_GATE, BOX_PERMUTE, BOX_DISPATCH, BOX_EXPERT, BOX_WEIGHT,
	BOX_COMBINE, BOX_SHARED, BOX_ESP, BOX_ALLREDUCE, BOX_TECHNIQUE,
	BOX_DENSE, BOX_N,
};

static const char *const box_names[BOX_N] = {
	[BOX_GATE] = "gate",
	[BOX_PERMUTE] = "permute",
	[BOX_DISPATCH] = "dispatch",
	[BOX_EXPERT] = "expert",
	[BOX_WEIGHT] = "expert, weight gradient",
	[BOX_COMBINE] = "combine",
	[BOX_SHARED] = "shared expert",
	[BOX_ESP] = "ESP gather/scatter",
	[BOX_ALLREDUCE] = "gradient all-reduce",
	[BOX_TECHNIQUE] = "technique's own work",
	[BOX_DENSE] = "attention, dense networks",
};

static const enum box_kind box_of_op[OP_KIND_N] = {
	[OP_GATE] = BOX_GATE,
	[OP_PERMUTE] = BOX_PERMUTE,
	[OP_DISPATCH] = BOX_DISPATCH,
	[OP_ALLGATHER] = BOX_ESP,
	[OP_EXPERT] = BOX_EXPERT,
	[OP_REDUCESCATTER] = BOX_ESP,
	[OP_COMBINE] = BOX_COMBINE,
	[OP_UNPERMUTE] = BOX_PERMUTE,
	[OP_SHARED] = BOX_SHARED,
	[OP_UNPERMUTE_BWD] = BOX_PERMUTE,
	[OP_COMBINE_BWD] = BOX_COMBINE,
	[OP_EXPERT_BWD_DATA] = BOX_EXPERT,
	[OP_EXPERT_BWD_WEIGHT] = BOX_WEIGHT,
	[OP_DISPATCH_BWD] = BOX_DISPATCH,
	[OP_PERMUTE_BWD] = BOX_PERMUTE,
	[OP_GATE_BWD] = BOX_GATE,
	[OP_SHARED_BWD] = BOX_SHARED,
	[OP_ALLREDUCE_GATE] = BOX_ALLREDUCE,
	[OP_ALLREDUCE_EXPERT] = BOX_ALLREDUCE,
	[OP_COMPRESS] = BOX_TECHNIQUE,
	[OP_RESTORE] = BOX_TECHNIQUE,
	[OP_COMPRESS_BWD] = BOX_TECHNIQUE,
	[OP_RESTORE_BWD] = BOX_TECHNIQUE,
	[OP_MIGRATE] = BOX_TECHNIQUE,
	[OP_SHADOW] = BOX_TECHNIQUE,
	[OP_SHADOW_BWD] = BOX_TECHNIQUE,
	[OP_SHUFFLE] = BOX_TECHNIQUE,
	[OP_UNSHUFFLE] = BOX_TECHNIQUE,
	[OP_DENSE] = BOX_DENSE,
	[OP_DENSE_BWD] = BOX_DENSE,
};

/* Scenario and provenance: what every figure says below its title. */
static char *subtitle(const struct plan_report *r)
{
	struct buf b = { 0 };

	plan_scenario_line(r->scenario, &b);
	buf_puts(&b, "; ");
	plan_provenance(r, &b);
	return buf_take(&b);
}

enum status plan_speedup_write(const struct plan_report *r, const char *path)
{
	struct chart_bar bar[CHART_BARS_MAX];
	char *text[CHART_BARS_MAX], value[TABLE_VALUE_MAX];
	struct chart_bars c = { .axis = "time of the system / time of the "
				"chosen plan", .bar = bar, .reference = 1 };
	enum status st;
	int i;

	c.n_bars = r->n_baselines + 1 < CHART_BARS_MAX ? r->n_baselines + 1 :
		   CHART_BARS_MAX;
	for (i = 0; i < c.n_bars; i++) {
		double time_s = i ? r->baseline[i - 1].time_s : r->time_s;
		double over = i ? r->baseline[i - 1].speedup : 1;

		table_value_text(time_s, TABLE_TIME, value, sizeof(value));
		text[i] = xasprintf("%.2fx  (%s)", over, value);
		bar[i] = (struct chart_bar){
			.label = i ? r->baseline[i - 1].system :
				 "chosen plan",
			.value = over, .value_text = text[i], .chosen = !i,
		};
	}
	c.head.title = "What the chosen plan gains over each system";
	c.head.subtitle = subtitle(r);
	st = chart_bars_write(&c, path);
	free((char *)c.head.subtitle);
	for (i = 0; i < c.n_bars; i++)
		free(text[i]);
	return st;
}

static char *box_label(const struct report_op *op)
{
	return op->n_chunks > 1 ? xasprintf("%d", op->chunk + 1) : NULL;
}

static struct chart_box *make_boxes(const struct plan_report *r, int n)
{
	struct chart_box *box = xcalloc((size_t)n, sizeof(*box));
	const struct report_op *op = r->op;
	int i;

	for (i = 0; i < n; i++, op++) {
		box[i] = (struct chart_box){
			.row = (int)op->lane,
			.kind = (int)box_of_op[op->kind],
			.start_s = s_from_ps(op->start_ps),
			.finish_s = s_from_ps(op->finish_ps),
			.label = box_label(op),
		};
	}
	return box;
}

enum status plan_gantt_write(const struct plan_report *r, const char *path)
{
	double forward_s = r->block_s > 0 ? r->block_forward_s : r->forward_s;
	double time_s = r->block_s > 0 ? r->block_s : r->time_s;
	const struct chart_mark mark[] = {
		{ 0, "forward" }, { forward_s, "backward" },
	};
	int lanes = r->lane_busy_ps[LANE_HOST] ? LANES_ALL : LANE_N;
	struct chart_gantt c = { .n_rows = lanes, .kind = box_names,
				 .n_kinds = BOX_N, .mark = mark };
	const char *row[LANES_ALL];
	struct chart_box *box;
	enum status st;
	int i;

	c.n_boxes = r->n_ops < CHART_BOXES_MAX ? r->n_ops : CHART_BOXES_MAX;
	c.n_marks = forward_s > 0 && forward_s < time_s ? 2 : 1;
	for (i = 0; i < lanes; i++)
		row[i] = lane_name((enum lane)i);
	box = make_boxes(r, c.n_boxes);
	c.row = row;
	c.box = box;
	c.head.title = r->block_s > 0 ? "The chosen plan: one block on the "
		       "three lanes of a GPU" :
		       lanes > LANE_N ? "The chosen plan: one layer on the "
		       "lanes of a GPU and its host" :
		       "The chosen plan: one layer on the three lanes of a "
		       "GPU";
	c.head.subtitle = subtitle(r);
	st = chart_gantt_write(&c, path);
	free((char *)c.head.subtitle);
	for (i = 0; i < c.n_boxes; i++)
		free((char *)box[i].label);
	free(box);
	return st;
}

static enum status write_text(const struct plan_report *r, bool explain,
			      const char *dir)
{
	char *path = xasprintf("%s/report.txt", dir);
	struct buf text = { 0 };
	enum status st;

	plan_text(r, explain, &text);
	st = outfile_write(path, text.s, text.len);
	buf_release(&text);
	free(path);
	return st;
}

enum status plan_files_write(const struct plan_report *r, bool explain,
			     const char *dir)
{
	static const struct {
		const char *name;
		bool gantt;
	} figures[] = {
		{ "speedup.svg", false }, { "speedup.png", false },
		{ "gantt.svg", true }, { "gantt.png", true },
	};
	enum status st = outfile_mkdir(dir);
	char *path;
	size_t i;

	if (!st)
		st = write_text(r, explain, dir);
	if (!st)
		st = gnuplot_check();
	for (i = 0; !st && i < sizeof(figures) / sizeof(figures[0]); i++) {
		if (figures[i].gantt ? !r->n_ops : !r->n_baselines)
			continue;
		path = xasprintf("%s/%s", dir, figures[i].name);
		st = figures[i].gantt ? plan_gantt_write(r, path) :
		     plan_speedup_write(r, path);
		free(path);
	}
	return st;
}
