/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/chart_style.h"

#include "base/buf.h"
#include "base/mem.h"
#include "reports/gnuplot.h"
#include "reports/text.h"

#include <stdlib.h>
#include <string.h>

#define CHAR_EM 0.60	/* mean width of DejaVu Sans, in font sizes */
#define LINE_EM 1.45	/* line height */
#define HEAD_GAP_PT 8
#define HEAD_LINES_MAX 4	/* of the title, and of what is below it */
#define AXIS_TITLE_PT 13	/* from the edge to its middle */
#define ABOVE_MAX_PT 200
#define BOLD_EM 1.15	/* how much wider bold letters are */

static const unsigned fills[] = {
	RGB_YELLOW, 0xbbbbbb, RGB_BLUE, RGB_ORANGE, RGB_VERMILLION, RGB_SKY,
	RGB_PURPLE, RGB_GREEN, 0x333333, 0x8c6d31, 0xe7cb94, 0x637939,
	0xc7e9c0, 0x843c39, 0x9e9ac8, 0x6baed6,
};

static const unsigned inks[] = {
	RGB_BLUE, RGB_VERMILLION, RGB_GREEN, RGB_BLACK, RGB_ORANGE, RGB_SKY,
	RGB_PURPLE, 0x777777,
};

unsigned chart_fill(int kind)
{
	return fills[(size_t)kind % (sizeof(fills) / sizeof(fills[0]))];
}

unsigned chart_ink(int series)
{
	return inks[(size_t)series % (sizeof(inks) / sizeof(inks[0]))];
}

/* Relative brightness as a grey print shows it (ITU-R BT.601 weights). */
unsigned chart_text_on(unsigned rgb)
{
	double grey = 0.299 * (rgb >> 16 & 255) + 0.587 * (rgb >> 8 & 255) +
		      0.114 * (rgb & 255);

	return grey > 125 ? 0x000000 : 0xffffff;
}

double chart_text_pt(const char *text, int font)
{
	return (double)text_width(text) * CHAR_EM * font;
}

char *chart_cut(const char *text, int font, double room_pt)
{
	char *clean = text_clean(text), *cut;
	double chars = room_pt / (CHAR_EM * font);
	size_t room = chars > 3 ? (size_t)chars : 3;

	if (text_width(clean) <= room)
		return clean;
	cut = xasprintf("%.*s..", (int)text_bytes(clean, room - 2), clean);
	free(clean);
	return cut;
}

static double line_pt(int font)
{
	return font * LINE_EM;
}

/*
 * Breaks the text at blanks into lines of at most `chars` characters; emits
 * them as labels below y when `out` is given. Returns the number of lines.
 */
static int head_lines(struct buf *out, const struct chart_page *p, double y,
		      int font, const char *text, int width)
{
	double em = font == FONT_TITLE ? CHAR_EM * BOLD_EM : CHAR_EM;
	size_t chars = (size_t)((width - 2 * PAGE_EDGE) / (em * font));
	struct chart_place at = { .x = PAGE_EDGE, .font = font,
				  .bold = font == FONT_TITLE,
				  .rgb = font == FONT_TITLE ? RGB_TEXT :
					 RGB_SOFT };
	char *clean = text_clean(text), *s = clean, save;
	size_t n, k;
	int lines = 0;

	while (*s && lines < HEAD_LINES_MAX) {
		n = text_bytes(s, chars);
		for (k = n; s[n] && k && s[k] != ' '; k--)
			;
		if (s[n] && k)
			n = k;
		save = s[n];
		s[n] = '\0';
		at.y = y - line_pt(font) * (lines + 0.5);
		if (out)
			chart_label(out, p, &at, s);
		s[n] = save;
		for (s += n; *s == ' '; s++)
			;
		lines++;
	}
	free(clean);
	return lines;
}

double chart_head_pt(const struct chart_head *h, int width)
{
	int title = h->title ? head_lines(NULL, NULL, 0, FONT_TITLE, h->title,
					  width) : 0;
	int sub = h->subtitle ? head_lines(NULL, NULL, 0, FONT_SMALL,
					   h->subtitle, width) : 0;

	return PAGE_EDGE + title * line_pt(FONT_TITLE) +
	       sub * line_pt(FONT_SMALL) + HEAD_GAP_PT;
}

void chart_page_begin(struct buf *out, const struct chart_page *p,
		      const struct chart_head *h)
{
	double y = p->height - PAGE_EDGE;

	buf_addf(out, "set lmargin at screen %.6f\n"
		 "set rmargin at screen %.6f\n"
		 "set bmargin at screen %.6f\n"
		 "set tmargin at screen %.6f\n",
		 p->left / p->width, p->right / p->width,
		 p->bottom / p->height, p->top / p->height);
	buf_addf(out, "unset key\nset border 3 lc rgb '#%06x'\n"
		 "set tics nomirror noenhanced textcolor rgb '#%06x' font ',%d'\n"
		 "set grid lc rgb '#%06x' lt 1 lw 0.5 back\n", RGB_SOFT,
		 RGB_TEXT, FONT_SMALL, RGB_GRID);
	if (h->title)
		y -= line_pt(FONT_TITLE) * head_lines(out, p, y, FONT_TITLE,
						      h->title, p->width);
	if (h->subtitle)
		head_lines(out, p, y, FONT_SMALL, h->subtitle, p->width);
}

static void put_coordinate(struct buf *out, double v, bool data, int page)
{
	buf_puts(out, data ? "first " : "screen ");
	gnuplot_number(out, data ? v : v / page);
}

void chart_label(struct buf *out, const struct chart_page *p,
		 const struct chart_place *at, const char *text)
{
	static const char *const align[] = { "left", "center", "right" };
	int font = at->font ? at->font : FONT_BODY;

	buf_puts(out, "set label ");
	if (at->bold)
		gnuplot_bold_string(out, text);
	else
		gnuplot_string(out, text);
	buf_puts(out, " at ");
	put_coordinate(out, at->x, at->x_data, p->width);
	buf_puts(out, ", ");
	put_coordinate(out, at->y, at->y_data, p->height);
	buf_addf(out, " %s front %s font ',%d' textcolor rgb '#%06x'",
		 align[at->align], at->bold ? "enhanced" : "noenhanced", font,
		 at->rgb);
	if (at->rotate)
		buf_addf(out, " rotate by %d", at->rotate);
	if (at->dx_pt != 0)
		buf_addf(out, " offset screen %.6f, 0",
			 at->dx_pt / p->width);
	buf_puts(out, "\n");
}

void chart_axis_label(struct buf *out, const struct chart_page *p, char axis,
		      const char *text)
{
	struct chart_place at = { .x = (p->left + p->right) / 2,
				  .y = AXIS_TITLE_PT, .align = CHART_CENTRE };
	char *cut;

	if (axis == 'y') {
		at.x = AXIS_TITLE_PT;
		at.y = (p->bottom + p->top) / 2;
		at.rotate = 90;
	}
	cut = chart_cut(text, FONT_BODY, axis == 'y' ? p->top - p->bottom :
			p->right - p->left);
	chart_label(out, p, &at, cut);
	free(cut);
}

void chart_swatch(struct buf *out, const struct chart_page *p, double x0,
		  double y0, double x1, double y1, unsigned rgb)
{
	buf_addf(out, "set object rect from screen %.6f, screen %.6f "
		 "to screen %.6f, screen %.6f front fillcolor rgb '#%06x' "
		 "fillstyle solid border lc rgb '#%06x' lw 0.5\n",
		 x0 / p->width, y0 / p->height, x1 / p->width,
		 y1 / p->height, rgb, RGB_SOFT);
}

int chart_legend_flow(const char *const *text, int n, double x0, double x1,
		      double *x, int *line)
{
	double at = x0, need;
	int lines = 0, i;

	for (i = 0; i < n; i++) {
		need = LEGEND_SAMPLE_PT + chart_text_pt(text[i], FONT_SMALL) +
		       FONT_BODY;
		if (at > x0 && at + need > x1) {
			at = x0;
			lines++;
		}
		x[i] = at;
		line[i] = lines;
		at += need;
	}
	return n ? lines + 1 : 0;
}

void chart_above(struct buf *out, const struct chart_page *p,
		 struct chart_above *a, double x_pt, const char *text)
{
	struct chart_place at = { .x = x_pt + 2, .font = FONT_SMALL,
				  .rgb = RGB_SOFT };
	char *cut = chart_cut(text, FONT_SMALL, ABOVE_MAX_PT);
	double width = chart_text_pt(cut, FONT_SMALL);
	int level = 0;

	if (at.x + width > p->right)	/* at the right edge: left of it */
		at.x = p->right - width;
	while (level < ABOVE_LEVELS - 1 && a->end[level] > at.x)
		level++;
	a->end[level] = at.x + width;
	if (level >= a->levels)
		a->levels = level + 1;
	at.y = p->top + MARK_LINE_PT * (level + 0.5);
	if (out)
		chart_label(out, p, &at, cut);
	free(cut);
}

void chart_mark_line(struct buf *out, double x, const char *layer)
{
	buf_puts(out, "set arrow from first ");
	gnuplot_number(out, x);
	buf_puts(out, ", graph 0 to first ");
	gnuplot_number(out, x);
	buf_addf(out, ", graph 1 nohead %s lc rgb '#%06x' lw 1 dt 2\n",
		 layer, RGB_TEXT);
}

const char *chart_time_unit(double max_s, double *unit_s)
{
	static const struct {
		double least_s, unit_s;
		const char *name;
	} units[] = {
		{ 1, 1, "s" }, { 1e-3, 1e-3, "ms" }, { 1e-6, 1e-6, "µs" },
		{ 0, 1e-9, "ns" },
	};
	size_t i = 0;

	while (max_s < units[i].least_s)
		i++;
	*unit_s = units[i].unit_s;
	return units[i].name;
}
