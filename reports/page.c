/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/page.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "reports/fit_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF_PAGE_MAX 700.0	/* of a figure's width */

/* In print a figure stays on one sheet, and a table's head is repeated. */
const char page_style[] =
	"body{font:15px/1.45 'DejaVu Sans',Helvetica,Arial,sans-serif;"
	"color:#000;background:#fff;max-width:87em;margin:1.5em auto;"
	"padding:0 1em}\n"
	"table{border-collapse:collapse;font-size:13px}\n"
	"th,td{padding:.2em .7em;text-align:left;border-bottom:1px solid "
	"#d9d9d9;overflow-wrap:break-word;vertical-align:top}\n"
	"td.n,th.n{text-align:right;white-space:nowrap}\n"
	"figure{display:inline-block;margin:.5em .3em 1em 0;"
	"vertical-align:top;max-width:100%}\n"
	"figure svg{max-width:100%;height:auto}\n"
	"@media(min-width:1200px){figure{max-width:49%}"
	"figure.wide{max-width:100%}}\n"
	"figcaption{font-size:13px;color:#555;max-width:48em}\n"
	"pre{font-size:12px;background:#f7f7f7;padding:.7em;"
	"white-space:pre-wrap;overflow-wrap:anywhere}\n"
	"div.wide{overflow-x:auto}\n"
	"@media print{figure{display:block}figure svg{max-width:80%}"
	"figure,tr{break-inside:avoid}h2,h3{break-after:avoid}"
	"body{max-width:none;margin:0}thead{display:table-header-group}"
	"table{font-size:9px}th,td{padding:.1em .4em}div.wide{overflow:visible}"
	"pre{font-size:9px}}\n";

void page_begin(struct page *p, const char *title)
{
	buf_puts(&p->out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
		 "<meta charset=\"utf-8\"/>\n<meta http-equiv=\""
		 "Content-Security-Policy\" content=\"default-src 'none'; "
		 "style-src 'unsafe-inline'\"/>\n<title>");
	html_text(&p->out, title);
	buf_addf(&p->out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n",
		 page_style);
	page_heading(p, 1, title);
}

void page_end(struct page *p)
{
	buf_puts(&p->out, "</body>\n</html>\n");
}

void page_release(struct page *p)
{
	buf_release(&p->out);
}

static void put_element(struct page *p, const char *tag, const char *text)
{
	buf_addf(&p->out, "<%s>", tag);
	html_text(&p->out, text);
	buf_addf(&p->out, "</%s>\n", tag);
}

void page_heading(struct page *p, int level, const char *text)
{
	const char tag[] = { 'h', (char)('0' + level + p->deeper),
			     '\0' };

	put_element(p, tag, text);
}

void page_text(struct page *p, const char *text)
{
	put_element(p, "p", text);
}

/* Line by line: html_text() makes blanks of line ends. */
void page_pre(struct page *p, const char *text)
{
	char *copy = xstrdup(text), *line = copy, *end;

	buf_puts(&p->out, "<pre>");
	for (; *line; line = end + 1) {
		end = line;
		while (*end && *end != '\n')
			end++;
		if (!*end) {
			html_text(&p->out, line);
			break;
		}
		*end = '\0';
		html_text(&p->out, line);
		buf_puts(&p->out, "\n");
	}
	buf_puts(&p->out, "</pre>\n");
	free(copy);
}

void page_list_begin(struct page *p)
{
	buf_puts(&p->out, "<ul>\n");
}

void page_item(struct page *p, const char *text)
{
	put_element(p, "li", text);
}

void page_list_end(struct page *p)
{
	buf_puts(&p->out, "</ul>\n");
}

void page_table_begin(struct page *p, const char *const *head, int n,
		      int texts)
{
	int i;

	buf_puts(&p->out, "<div class=\"wide\"><table>\n<thead><tr>");
	for (i = 0; i < n; i++) {
		buf_puts(&p->out, i < texts ? "<th>" : "<th class=\"n\">");
		html_text(&p->out, head[i]);
		buf_puts(&p->out, "</th>");
	}
	buf_puts(&p->out, "</tr></thead>\n<tbody>\n");
}

void page_row(struct page *p)
{
	buf_puts(&p->out, "<tr>");
}

void page_cell(struct page *p, const char *text)
{
	buf_puts(&p->out, "<td>");
	html_text(&p->out, text);
	buf_puts(&p->out, "</td>");
}

void page_value(struct page *p, double value, enum table_kind kind)
{
	char text[TABLE_VALUE_MAX];

	buf_puts(&p->out, "<td class=\"n\">");
	html_text(&p->out, isnan(value) ? "-" :
		  table_value_text(value, kind, text, sizeof(text)));
	buf_puts(&p->out, "</td>");
}

void page_row_end(struct page *p)
{
	buf_puts(&p->out, "</tr>\n");
}

void page_table_end(struct page *p)
{
	buf_puts(&p->out, "</tbody></table></div>\n");
}

/* Too wide for two in a row. */
static bool is_wide(const char *svg)
{
	const char *box = strstr(svg, "viewBox=\"0 0 ");

	return box && strtod(box + 13, NULL) > HALF_PAGE_MAX;
}

enum status page_figure(struct page *p, const char *svg_path,
			const char *png_name, const char *caption)
{
	char *svg, *prefix;
	size_t len;
	enum status st = infile_read(svg_path, PAGE_SVG_MAX, &svg, &len);

	if (st)
		return st;
	prefix = xasprintf("%s%d_", p->prefix ? p->prefix : "f",
			   ++p->n_figures);
	buf_puts(&p->out, is_wide(svg) ? "<figure class=\"wide\">\n" :
		 "<figure>\n");
	html_svg(&p->out, svg, prefix);
	buf_puts(&p->out, "<figcaption>");
	html_text(&p->out, caption);
	buf_puts(&p->out, " (<a href=\"");
	html_text(&p->out, png_name);
	buf_puts(&p->out, "\">PNG</a>)</figcaption>\n</figure>\n");
	free(prefix);
	free(svg);
	return ST_OK;
}
