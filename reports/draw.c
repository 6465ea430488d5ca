/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/draw.h"

#include "base/buf.h"
#include "base/mem.h"
#include "reports/gnuplot.h"

#include <math.h>
#include <stdlib.h>

#define RGB_EDGE 0x555555u

void drawing_init(struct drawing *d)
{
	*d = (struct drawing){ 0 };
}

void drawing_release(struct drawing *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		free(d->shape[i].text);
	free(d->shape);
	*d = (struct drawing){ 0 };
}

static struct shape *add(struct drawing *d, enum shape_kind kind, double x0,
			 double y0, double x1, double y1)
{
	struct shape *s;

	d->shape = array_grow(d->shape, &d->cap, d->n + 1, sizeof(*s));
	s = &d->shape[d->n++];
	*s = (struct shape){ .kind = kind, .x0 = x0, .y0 = y0, .x1 = x1,
			     .y1 = y1, .fill = SHAPE_NO_FILL,
			     .edge = RGB_EDGE, .line_width = 0.8 };
	return s;
}

struct shape *drawing_rect(struct drawing *d, double x0, double y0, double x1,
			   double y1, unsigned fill)
{
	struct shape *s = add(d, SHAPE_RECT, x0, y0, x1, y1);

	s->fill = fill;
	return s;
}

struct shape *drawing_line(struct drawing *d, double x0, double y0, double x1,
			   double y1)
{
	return add(d, SHAPE_LINE, x0, y0, x1, y1);
}

struct shape *drawing_text(struct drawing *d, double x, double y, int size,
			   const char *text)
{
	struct shape *s = add(d, SHAPE_TEXT, x, y, x, y);

	s->edge = 0;
	s->font_size = size;
	s->text = xstrdup(text);
	return s;
}

static void put_point(struct buf *out, double x, double y)
{
	buf_puts(out, "first ");
	gnuplot_number(out, x);
	buf_puts(out, ", first ");
	gnuplot_number(out, y);
}

/*
 * Lines are polygons of two corners: gnuplot paints objects in the order of
 * their definition, but arrows apart from them.
 */
static void put_area(const struct shape *s, struct buf *out)
{
	buf_puts(out, s->kind == SHAPE_LINE ? "set object polygon from " :
		 "set object rectangle from ");
	put_point(out, s->x0, s->y0);
	buf_puts(out, " to ");
	put_point(out, s->x1, s->y1);
	if (s->kind == SHAPE_LINE) {
		buf_puts(out, " to ");
		put_point(out, s->x0, s->y0);
	}
	if (s->fill == SHAPE_NO_FILL)
		buf_puts(out, " back fillstyle empty");
	else
		buf_addf(out, " back fillcolor rgb '#%06x' fillstyle solid",
			 s->fill & 0xffffffu);
	buf_addf(out, " border lc rgb '#%06x' lw %.2f%s\n",
		 s->edge & 0xffffffu, s->line_width, s->dashed ? " dt 2" : "");
}

static void put_text(const struct shape *s, struct buf *out)
{
	static const char *const align[] = { "center", "left", "right" };

	buf_puts(out, "set label ");
	if (s->bold)
		gnuplot_bold_string(out, s->text);
	else
		gnuplot_string(out, s->text);
	buf_puts(out, " at ");
	put_point(out, s->x0, s->y0);
	buf_addf(out, " %s front %s font ',%d' textcolor rgb '#%06x'\n",
		 align[s->align], s->bold ? "enhanced" : "noenhanced",
		 s->font_size, s->edge & 0xffffffu);
}

enum status drawing_write(const struct drawing *d, const char *path)
{
	struct buf out = { 0 };
	enum status st;
	size_t i;

	buf_puts(&out, "unset border\nunset tics\nunset key\n"
		 "set margins 0, 0, 0, 0\nset xrange [0:");
	gnuplot_number(&out, d->width);
	buf_puts(&out, "]\nset yrange [0:");
	gnuplot_number(&out, d->height);
	buf_puts(&out, "]\n");
	for (i = 0; i < d->n; i++) {
		if (d->shape[i].kind == SHAPE_TEXT)
			put_text(&d->shape[i], &out);
		else
			put_area(&d->shape[i], &out);
	}
	buf_puts(&out, "plot NaN notitle\n");
	st = gnuplot_run(&out, (int)ceil(d->width), (int)ceil(d->height),
			 path);
	buf_release(&out);
	return st;
}
