/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/chart_heat.h"

#include "base/buf.h"
#include "base/mem.h"
#include "reports/chart_style.h"
#include "reports/gnuplot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_WIDTH 620
#define PLOT_PT 300		/* high, shared by the rows */
#define CELL_LEAST_PT 14
#define CELL_MOST_PT 44
#define CELL_WIDEST_PT 130
#define TWO_LINES_PT 28		/* a cell that high shows its value too */
#define TIC_MAX_PT 130
#define TILTED_MAX_PT 115
#define TILT_DEGREES 40
#define TILTED_PITCH_PT 19	/* between tilted labels, so that they do not touch */
#define AXIS_TITLE_ROOM_PT 26
#define AXIS_PT 46
#define SHADES 5		/* of the scale above the plot */
#define SHADE_PT 26
#define GAP_PT 6
#define BORDER_WIDTH "2.5"

/* From the lightest to the darkest that black letters are read on. */
static const unsigned char light[3] = { 0xf4, 0xf9, 0xfd };
static const unsigned char dark[3] = { 0x4f, 0x9c, 0xd2 };

struct heat {
	const struct chart_heat *c;
	struct chart_page p;
	int nx, ny;		/* shown */
	double cell_w, cell_h;	/* points */
	double lo, hi;		/* of the values */
	bool tilt;
	char *x_tic[CHART_HEAT_SIDE_MAX], *y_tic[CHART_HEAT_SIDE_MAX];
};

static int letter_of(const struct chart_heat *c, int plan)
{
	return c->letter ? c->letter[plan] : plan;
}

char *chart_heat_letter(int plan, char out[CHART_LETTER_MAX])
{
	char text[CHART_LETTER_MAX];
	int n = 0, i;

	do {
		text[n++] = (char)('A' + plan % 26);
		plan = plan / 26 - 1;
	} while (plan >= 0 && n < CHART_LETTER_MAX - 1);
	for (i = 0; i < n; i++)
		out[i] = text[n - 1 - i];
	out[n] = '\0';
	return out;
}

unsigned chart_heat_shade(double value, double lo, double hi)
{
	double at = lo > 0 && hi > lo && value > 0 ?
		    log(value / lo) / log(hi / lo) : 0;
	unsigned rgb = 0;
	int i;

	at = fmin(fmax(at, 0), 1);
	for (i = 0; i < 3; i++)
		rgb = rgb << 8 |
		      (unsigned)lround(light[i] + at * (dark[i] - light[i]));
	return rgb;
}

static const struct chart_cell *cell_at(const struct heat *h, int x, int y)
{
	return &h->c->cell[y * h->c->n_x + x];
}

static void find_range(struct heat *h)
{
	int x, y;

	h->lo = INFINITY;
	h->hi = 0;
	for (y = 0; y < h->ny; y++) {
		for (x = 0; x < h->nx; x++) {
			const struct chart_cell *k = cell_at(h, x, y);

			if (k->plan < 0 || !(k->value > 0))
				continue;
			h->lo = fmin(h->lo, k->value);
			h->hi = fmax(h->hi, k->value);
		}
	}
}

static double widest(char *const *text, int n, int font)
{
	double most = 0;
	int i;

	for (i = 0; i < n; i++)
		most = fmax(most, chart_text_pt(text[i], font));
	return most;
}

/* Entries of the legend; one more says how many have none. */
static int legend_entries(const struct heat *h)
{
	int n = h->c->n_plans;

	return n > CHART_HEAT_PLANS_MAX ? CHART_HEAT_PLANS_MAX + 1 : n;
}

/* As many equal columns as the longest entry leaves room for. */
static int legend_columns(const struct heat *h)
{
	double most = 1, room = h->p.width - 2 * PAGE_EDGE;
	int n = legend_entries(h), i;

	for (i = 0; i < n && i < CHART_HEAT_PLANS_MAX; i++)
		most = fmax(most, LEGEND_SAMPLE_PT + FONT_BODY +
			    chart_text_pt(h->c->plan[i], FONT_SMALL));
	return (int)fmin(fmax(floor(room / most), 1), fmax(n, 1));
}

static int legend_lines(const struct heat *h)
{
	int columns = legend_columns(h);

	return (legend_entries(h) + columns - 1) / columns;
}

static void cut_tics(struct heat *h)
{
	int i;

	for (i = 0; i < h->nx; i++)
		h->x_tic[i] = chart_cut(h->c->x_tic[i], FONT_SMALL,
					TILTED_MAX_PT);
	for (i = 0; i < h->ny; i++)
		h->y_tic[i] = chart_cut(h->c->y_axis ? h->c->y_tic[i] : "",
					FONT_SMALL, TIC_MAX_PT);
}

static void lay_out(struct heat *h)
{
	struct chart_page *p = &h->p;
	double room, label;

	h->nx = h->c->n_x < CHART_HEAT_SIDE_MAX ? h->c->n_x :
		CHART_HEAT_SIDE_MAX;
	h->ny = h->c->n_y < CHART_HEAT_SIDE_MAX ? h->c->n_y :
		CHART_HEAT_SIDE_MAX;
	cut_tics(h);
	find_range(h);
	p->width = PAGE_WIDTH;
	p->left = PAGE_EDGE + (h->c->y_axis ? AXIS_TITLE_ROOM_PT : 0) +
		  widest(h->y_tic, h->ny, FONT_SMALL) + GAP_PT;
	room = p->width - PAGE_EDGE - p->left;
	h->cell_w = fmin(room / h->nx, CELL_WIDEST_PT);
	p->right = p->left + h->cell_w * h->nx;
	h->cell_h = fmin(fmax(PLOT_PT / (double)h->ny, CELL_LEAST_PT),
			 CELL_MOST_PT);
	label = widest(h->x_tic, h->nx, FONT_SMALL);
	h->tilt = label > h->cell_w - GAP_PT;
	p->bottom = h->tilt ? PAGE_EDGE + 24 + label * 0.65 : AXIS_PT;
	p->top = p->bottom + h->cell_h * h->ny;
	p->height = (int)ceil(p->top + GAP_PT + LEGEND_LINE_PT *
			      (legend_lines(h) + 1) +
			      chart_head_pt(&h->c->head, p->width));
}

/* ---- cells ---- */

static void put_text(const struct heat *h, int x, double y, int font,
		     bool bold, const char *text, struct buf *out)
{
	struct chart_place at = { .x = h->p.left + (x + 0.5) * h->cell_w,
				  .y = y, .align = CHART_CENTRE, .font = font,
				  .bold = bold };

	chart_label(out, &h->p, &at, text);
}

static void put_line(const struct heat *h, double x0, double y0, double x1,
		     double y1, const char *width, unsigned rgb,
		     struct buf *out)
{
	const struct chart_page *p = &h->p;

	buf_addf(out, "set arrow from screen %.6f, screen %.6f to screen "
		 "%.6f, screen %.6f nohead front lc rgb '#%06x' lw %s\n",
		 (p->left + x0 * h->cell_w) / p->width,
		 (p->bottom + y0 * h->cell_h) / p->height,
		 (p->left + x1 * h->cell_w) / p->width,
		 (p->bottom + y1 * h->cell_h) / p->height, rgb, width);
}

static void put_cell(const struct heat *h, int x, int y, struct buf *out)
{
	const struct chart_cell *k = cell_at(h, x, y);
	double x0 = h->p.left + x * h->cell_w;
	double y0 = h->p.bottom + y * h->cell_h, mid = y0 + h->cell_h / 2;
	char letter[CHART_LETTER_MAX], value[TABLE_VALUE_MAX];
	bool both;

	chart_swatch(out, &h->p, x0, y0, x0 + h->cell_w, y0 + h->cell_h,
		     k->plan < 0 ? 0xffffff :
		     chart_heat_shade(k->value, h->lo, h->hi));
	if (k->plan < 0) {
		put_line(h, x, y, x + 1, y + 1, "0.7", RGB_SOFT, out);
		put_line(h, x, y + 1, x + 1, y, "0.7", RGB_SOFT, out);
		return;
	}
	chart_heat_letter(letter_of(h->c, k->plan), letter);
	table_value_text(k->value, h->c->kind, value, sizeof(value));
	both = h->cell_h >= TWO_LINES_PT &&
	       chart_text_pt(value, FONT_SMALL) <= h->cell_w - 2;
	if (chart_text_pt(letter, FONT_SMALL) <= h->cell_w)
		put_text(h, x, both ? mid + 7 : mid, both ? FONT_BODY :
			 FONT_SMALL, true, letter, out);
	if (both)
		put_text(h, x, mid - 7, FONT_SMALL, false, value, out);
}

/* Thick lines between cells of different plans. */
static void put_borders(const struct heat *h, struct buf *out)
{
	int x, y;

	for (y = 0; y < h->ny; y++) {
		for (x = 0; x < h->nx; x++) {
			int plan = cell_at(h, x, y)->plan;

			if (x + 1 < h->nx &&
			    cell_at(h, x + 1, y)->plan != plan)
				put_line(h, x + 1, y, x + 1, y + 1,
					 BORDER_WIDTH, RGB_TEXT, out);
			if (y + 1 < h->ny &&
			    cell_at(h, x, y + 1)->plan != plan)
				put_line(h, x, y + 1, x + 1, y + 1,
					 BORDER_WIDTH, RGB_TEXT, out);
		}
	}
}

/* ---- around them ---- */

static void put_x_tics(const struct heat *h, struct buf *out)
{
	struct chart_place at = { .y = h->p.bottom - (h->tilt ? 8 : 12),
				  .font = FONT_SMALL,
				  .align = h->tilt ? CHART_RIGHT :
					   CHART_CENTRE,
				  .rotate = h->tilt ? TILT_DEGREES : 0 };
	int step = h->tilt ? (int)ceil(TILTED_PITCH_PT / h->cell_w) : 1, i;

	for (i = 0; i < h->nx; i += step) {
		at.x = h->p.left + (i + 0.5) * h->cell_w;
		chart_label(out, &h->p, &at, h->x_tic[i]);
	}
}

static void put_y_tics(const struct heat *h, struct buf *out)
{
	struct chart_place at = { .x = h->p.left - GAP_PT,
				  .font = FONT_SMALL, .align = CHART_RIGHT };
	int i;

	for (i = 0; i < h->ny; i++) {
		at.y = h->p.bottom + (i + 0.5) * h->cell_h;
		chart_label(out, &h->p, &at, h->y_tic[i]);
	}
}

/* "step time  1.2 ms [     ] 9.9 ms    x no plan" right above the plot. */
static void put_scale(const struct heat *h, struct buf *out)
{
	struct chart_place at = { .x = h->p.left, .font = FONT_SMALL,
				  .y = h->p.top + GAP_PT +
				       LEGEND_LINE_PT / 2.0 };
	char value[TABLE_VALUE_MAX], *text;
	double x;
	int i;

	if (!(h->lo <= h->hi))
		return;
	table_value_text(h->lo, h->c->kind, value, sizeof(value));
	text = xasprintf("%s  %s", h->c->value_name, value);
	chart_label(out, &h->p, &at, text);
	x = at.x + chart_text_pt(text, FONT_SMALL) + GAP_PT;
	free(text);
	for (i = 0; i < SHADES && h->hi > h->lo; i++, x += SHADE_PT)
		chart_swatch(out, &h->p, x, at.y - 5, x + SHADE_PT, at.y + 5,
			     chart_heat_shade(h->lo * pow(h->hi / h->lo, i /
					      (SHADES - 1.0)), h->lo, h->hi));
	at.x = x + GAP_PT;
	if (h->hi > h->lo)
		chart_label(out, &h->p, &at, table_value_text(h->hi,
			    h->c->kind, value, sizeof(value)));
}

/* Column by column. */
static void put_legend(const struct heat *h, struct buf *out)
{
	int lines = legend_lines(h), n = legend_entries(h), i;
	double width = (double)(h->p.width - 2 * PAGE_EDGE) /
		       legend_columns(h);
	struct chart_place at = { .font = FONT_SMALL };
	char letter[CHART_LETTER_MAX], *text;

	for (i = 0; i < n; i++) {
		bool last = i == CHART_HEAT_PLANS_MAX;

		at.x = PAGE_EDGE + i / lines * width;
		at.y = h->p.top + GAP_PT + LEGEND_LINE_PT *
		       (lines - i % lines + 0.5);
		at.bold = !last;
		chart_label(out, &h->p, &at, last ? ".." :
			    chart_heat_letter(letter_of(h->c, i), letter));
		at.x += LEGEND_SAMPLE_PT;
		at.bold = false;
		text = last ? xasprintf("%d others", h->c->n_plans - i) :
		       chart_cut(h->c->plan[i], FONT_SMALL,
				 width - LEGEND_SAMPLE_PT);
		chart_label(out, &h->p, &at, text);
		free(text);
	}
}

static void heat_release(struct heat *h)
{
	int i;

	for (i = 0; i < h->nx; i++)
		free(h->x_tic[i]);
	for (i = 0; i < h->ny; i++)
		free(h->y_tic[i]);
}

void chart_heat_script(const struct chart_heat *c, struct buf *out,
		       int *width_p, int *height_p)
{
	struct heat h = { .c = c };
	int x, y;

	lay_out(&h);
	chart_page_begin(out, &h.p, &c->head);
	buf_puts(out, "unset border\nunset tics\nunset grid\n");
	for (y = 0; y < h.ny; y++) {
		for (x = 0; x < h.nx; x++)
			put_cell(&h, x, y, out);
	}
	put_borders(&h, out);
	put_x_tics(&h, out);
	put_y_tics(&h, out);
	chart_axis_label(out, &h.p, 'x', c->x_axis);
	if (c->y_axis)
		chart_axis_label(out, &h.p, 'y', c->y_axis);
	put_scale(&h, out);
	put_legend(&h, out);
	buf_puts(out, "set xrange [0:1]\nset yrange [0:1]\n"
		 "plot NaN notitle\n");
	*width_p = h.p.width;
	*height_p = h.p.height;
	heat_release(&h);
}

enum status chart_heat_write(const struct chart_heat *c, const char *path)
{
	struct buf script = { 0 };
	enum status st;
	int w, h;

	chart_heat_script(c, &script, &w, &h);
	st = gnuplot_run(&script, w, h, path);
	buf_release(&script);
	return st;
}
