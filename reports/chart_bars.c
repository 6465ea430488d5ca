/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/chart.h"

#include "base/buf.h"
#include "base/mem.h"
#include "reports/chart_style.h"
#include "reports/gnuplot.h"
#include "reports/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_WIDTH 620
#define BAR_PITCH_PT 30		/* horizontal: one bar and its gap */
#define SLOT_LEAST_PT 44	/* vertical: the same */
#define VERTICAL_PLOT_PT 230
#define BAR_HALF 0.34		/* half a bar, in pitches */
#define LABEL_MAX_PT 220
#define TILTED_MAX_PT 115
#define LEFT_PT 76	/* vertical: tics and the axis title */
#define AXIS_PT 46		/* tics and the axis title */
#define VALUE_GAP_PT 4
#define HEADROOM 0.04

struct bars_text {	/* what is shown, cut to size */
	char *label[CHART_BARS_MAX], *value[CHART_BARS_MAX];
	double label_pt, value_pt;	/* the widest */
};

static int bars_shown(const struct chart_bars *c)
{
	return c->n_bars < CHART_BARS_MAX ? c->n_bars : CHART_BARS_MAX;
}

static void bars_measure(const struct chart_bars *c, struct bars_text *t)
{
	char number[32];
	int i;

	t->label_pt = t->value_pt = 0;
	for (i = 0; i < bars_shown(c); i++) {
		snprintf(number, sizeof(number), "%.3g", c->bar[i].value);
		t->label[i] = chart_cut(c->bar[i].label, FONT_BODY,
					c->vertical ? TILTED_MAX_PT :
					LABEL_MAX_PT);
		t->value[i] = chart_cut(c->bar[i].value_text ?
					c->bar[i].value_text : number,
					FONT_BODY, LABEL_MAX_PT);
		t->label_pt = fmax(t->label_pt,
				   chart_text_pt(t->label[i], FONT_BODY));
		t->value_pt = fmax(t->value_pt,
				   chart_text_pt(t->value[i], FONT_BODY));
	}
}

static void bars_release(const struct chart_bars *c, struct bars_text *t)
{
	int i;

	for (i = 0; i < bars_shown(c); i++) {
		free(t->label[i]);
		free(t->value[i]);
	}
}

static double bars_max(const struct chart_bars *c)
{
	double max = c->reference;
	int i;

	for (i = 0; i < bars_shown(c); i++) {
		if (isfinite(c->bar[i].value))
			max = fmax(max, c->bar[i].value);
	}
	return max > 0 ? max : 1;
}

static bool bars_tilt(const struct chart_bars *c, const struct bars_text *t,
		      double plot_pt)
{
	return t->label_pt > plot_pt / bars_shown(c) - VALUE_GAP_PT;
}

static void bars_page(const struct chart_bars *c, const struct bars_text *t,
		      struct chart_page *p)
{
	int n = bars_shown(c);
	double head, plot;

	p->width = PAGE_WIDTH;
	p->left = c->vertical ? LEFT_PT : PAGE_EDGE + t->label_pt + 8;
	if (c->vertical && p->left + n * SLOT_LEAST_PT > p->width)
		p->width = (int)p->left + n * SLOT_LEAST_PT;
	p->right = p->width - PAGE_EDGE;
	head = chart_head_pt(&c->head, p->width);
	plot = c->vertical ? VERTICAL_PLOT_PT : n * BAR_PITCH_PT;
	p->bottom = AXIS_PT;
	if (c->vertical)	/* tilted labels hang down by sin 40 degrees */
		p->bottom = bars_tilt(c, t, p->right - p->left) ?
			    PAGE_EDGE + 20 + t->label_pt * 0.65 : 34;
	p->top = p->bottom + plot;
	p->height = (int)ceil(p->top + head);
}

/* "set object rect" from 0 to the value at place i. */
static void put_bar(const struct chart_bars *c, int i, struct buf *out)
{
	const struct chart_bar *b = &c->bar[i];
	double v = isfinite(b->value) && b->value > 0 ? b->value : 0;
	double lo[2] = { i - BAR_HALF, 0 }, hi[2] = { i + BAR_HALF, v };
	int x = c->vertical ? 0 : 1;

	buf_puts(out, "set object rect from first ");
	gnuplot_number(out, lo[x]);
	buf_puts(out, ", first ");
	gnuplot_number(out, lo[!x]);
	buf_puts(out, " to first ");
	gnuplot_number(out, hi[x]);
	buf_puts(out, ", first ");
	gnuplot_number(out, hi[!x]);
	buf_addf(out, " front fillcolor rgb '#%06x' fillstyle solid border "
		 "lc rgb '#%06x' lw 0.5\n",
		 b->chosen ? RGB_VERMILLION : RGB_SKY, RGB_SOFT);
}

static void put_texts(const struct chart_bars *c, const struct bars_text *t,
		      const struct chart_page *p, int i, struct buf *out)
{
	bool tilt = c->vertical && bars_tilt(c, t, p->right - p->left);
	struct chart_place label = {
		.x = p->left - 8, .y = i, .y_data = true,
		.align = CHART_RIGHT, .bold = c->bar[i].chosen,
	};
	struct chart_place value = {
		.x = c->bar[i].value, .y = i, .x_data = true, .y_data = true,
		.dx_pt = VALUE_GAP_PT, .bold = c->bar[i].chosen,
	};

	if (c->vertical) {
		label.x = i;
		label.y = p->bottom - (tilt ? 8 : 12);
		label.x_data = true;
		label.y_data = false;
		label.align = tilt ? CHART_RIGHT : CHART_CENTRE;
		label.rotate = tilt ? 40 : 0;
		value.x = i;
		/* half a line above the bar's end */
		value.y = c->bar[i].value + bars_max(c) * 10 /
			  VERTICAL_PLOT_PT;
		value.align = CHART_CENTRE;
		value.dx_pt = 0;
	}
	chart_label(out, p, &label, t->label[i]);
	chart_label(out, p, &value, t->value[i]);
}

static void put_reference(const struct chart_bars *c, struct buf *out)
{
	if (!(c->reference > 0))
		return;
	buf_puts(out, "set arrow from ");
	buf_puts(out, c->vertical ? "graph 0, first " : "first ");
	gnuplot_number(out, c->reference);
	buf_puts(out, c->vertical ? " to graph 1, first " :
		 ", graph 0 to first ");
	gnuplot_number(out, c->reference);
	buf_puts(out, c->vertical ? "" : ", graph 1");
	buf_addf(out, " nohead front lc rgb '#%06x' lw 1 dt 2\n", RGB_TEXT);
}

void chart_bars_script(const struct chart_bars *c, struct buf *out,
		       int *width_p, int *height_p)
{
	char v = c->vertical ? 'y' : 'x', k = c->vertical ? 'x' : 'y';
	struct chart_page p;
	struct bars_text t;
	double room;
	int i;

	bars_measure(c, &t);
	bars_page(c, &t, &p);
	chart_page_begin(out, &p, &c->head);
	room = c->vertical ? 1 + 24.0 / VERTICAL_PLOT_PT :
	       1 / (1 - (t.value_pt + 2 * VALUE_GAP_PT) /
		    (p.right - p.left));
	buf_addf(out, "set %crange [0:", v);
	gnuplot_number(out, bars_max(c) * (room + HEADROOM));
	buf_addf(out, "]\nunset %ctics\n", k);
	chart_axis_label(out, &p, v, c->axis);
	for (i = 0; i < bars_shown(c); i++) {
		put_bar(c, i, out);
		put_texts(c, &t, &p, i, out);
	}
	put_reference(c, out);
	/* the first bar is the uppermost, or the leftmost */
	if (c->vertical)
		buf_addf(out, "set xrange [-0.5:%d.5]\n", i - 1);
	else
		buf_addf(out, "set yrange [%d.5:-0.5]\n", i - 1);
	buf_puts(out, "plot NaN notitle\n");
	*width_p = p.width;
	*height_p = p.height;
	bars_release(c, &t);
}

enum status chart_bars_write(const struct chart_bars *c, const char *path)
{
	struct buf script = { 0 };
	enum status st;
	int w, h;

	chart_bars_script(c, &script, &w, &h);
	st = gnuplot_run(&script, w, h, path);
	buf_release(&script);
	return st;
}
