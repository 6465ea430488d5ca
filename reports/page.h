/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A page for people: one HTML file that needs nothing else (no script, no
 * network), put together from the top down. Figures are SVG in line. Texts
 * may hold anything; they stay texts.
 *
 *	page_begin(&p, "What to buy");
 *	page_heading(&p, 2, "The question");
 *	page_text(&p, "...");
 *	st = page_figure(&p, "out/time.svg", "time.png", "caption");
 *	page_end(&p);
 *	st = outfile_write(path, buf_str(&p.out), p.out.len);
 *	page_release(&p);
 *
 * A part for another page is made the same way without page_begin() and
 * page_end(), on a zeroed struct with a prefix of its own.
 */
#ifndef REPORTS_PAGE_H
#define REPORTS_PAGE_H

#include "base/buf.h"
#include "base/status.h"
#include "reports/table.h"

#include <stdbool.h>

struct page {
	struct buf out;
	const char *prefix;	/* of the figures' ids; NULL: "f" */
	int deeper;	/* added to the level of every heading */
	int n_figures;
};

extern const char page_style[];	/* the sheet of every page, CSS */

void page_begin(struct page *p, const char *title);
void page_end(struct page *p);
void page_release(struct page *p);

void page_heading(struct page *p, int level, const char *text);
void page_text(struct page *p, const char *text);	/* a paragraph */
void page_pre(struct page *p, const char *text);	/* lines as they are */
/* Entries of one list: begin, item .., end. */
void page_list_begin(struct page *p);
void page_item(struct page *p, const char *text);
void page_list_end(struct page *p);

/* The first `texts` columns stand left, the others are numbers. */
void page_table_begin(struct page *p, const char *const *head, int n,
		      int texts);
void page_row(struct page *p);
void page_cell(struct page *p, const char *text);
void page_value(struct page *p, double value, enum table_kind kind);
void page_row_end(struct page *p);
void page_table_end(struct page *p);

/* Reads the SVG; `png_name` is a link to the file beside the page. */
#define PAGE_SVG_MAX (8u << 20)
enum status page_figure(struct page *p, const char *svg_path,
			const char *png_name, const char *caption);

#endif
