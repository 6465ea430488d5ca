/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/fit_page.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "reports/page.h"
#include "reports/table.h"
#include "reports/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SVG_BYTES_MAX (8u << 20)

void html_text(struct buf *out, const char *text)
{
	char *clean = text_clean(text);
	const char *s;

	for (s = clean; *s; s++) {
		switch (*s) {
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		case '\'':
			buf_puts(out, "&#39;");
			break;
		default:
			buf_add(out, s, 1);
		}
	}
	free(clean);
}

/* ---- SVG in line ---- */

static const char *starts(const char *s, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - s) >= n && !memcmp(s, word, n) ? s + n : NULL;
}

/* An attribute at `s` that does not stay as it is: what follows it. */
static const char *attribute(struct buf *out, const char *s, const char *end,
			     const char *prefix)
{
	static const struct {
		const char *is, *becomes;
		bool id;
	} rules[] = {
		{ " xlink:href='#", " href='#", true },
		{ " xlink:href=\"#", " href=\"#", true },
		{ " id='", " id='", true },
		{ " id=\"", " id=\"", true },
		{ "url(#", "url(#", true },
	};
	const char *next;
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		next = starts(s, end, rules[i].is);
		if (!next)
			continue;
		buf_addf(out, "%s%s", rules[i].becomes, prefix);
		return next;
	}
	next = starts(s, end, " xmlns");
	if (!next)
		return NULL;
	next = memchr(next, '"', (size_t)(end - next));
	next = next ? memchr(next + 1, '"', (size_t)(end - next - 1)) : NULL;
	return next ? next + 1 : NULL;
}

/* A tag from '<' up to and including its '>'. */
static void put_tag(struct buf *out, const char *s, const char *end,
		    const char *prefix)
{
	const char *next;

	while (s < end) {
		next = attribute(out, s, end, prefix);
		if (!next) {
			buf_add(out, s, 1);
			next = s + 1;
		}
		s = next;
	}
}

void html_svg(struct buf *out, const char *svg, const char *prefix)
{
	const char *s = strstr(svg, "<svg"), *end;

	while (s && *s) {
		end = *s == '<' ? strchr(s, '>') : NULL;
		if (end) {
			put_tag(out, s, end + 1, prefix);
			s = end + 1;
		} else {
			end = strchr(s + 1, '<');
			buf_add(out, s, end ? (size_t)(end - s) : strlen(s));
			s = end;
		}
	}
}

/* ---- tables ---- */

static void put_heads(struct buf *out, const char *const *head, int n,
		      int numbers_from)
{
	int i;

	buf_puts(out, "<div class=\"wide\"><table>\n<thead><tr>");
	for (i = 0; i < n; i++)
		buf_addf(out, "<th%s>%s</th>", i >= numbers_from ?
			 " class=\"n\"" : "", head[i]);
	buf_puts(out, "</tr></thead>\n<tbody>\n");
}

static void put_tail(struct buf *out)
{
	buf_puts(out, "</tbody></table></div>\n");
}

static void put_cell(struct buf *out, const char *text)
{
	buf_puts(out, "<td>");
	html_text(out, text);
	buf_puts(out, "</td>");
}

static void put_value(struct buf *out, double value, enum table_kind kind)
{
	char text[TABLE_VALUE_MAX];

	buf_puts(out, "<td class=\"n\">");
	html_text(out, table_value_text(value, kind, text, sizeof(text)));
	buf_puts(out, "</td>");
}

static void put_runs(const struct fit_page *p, struct buf *out)
{
	static const char *const head[] = {
		"date", "host", "GPU", "driver", "CUDA", "NCCL", "clocks",
		"environment", "by", "backend", "GPUs", "samples",
	};
	int from = p->n_runs > FIT_PAGE_RUNS_MAX ?
		   p->n_runs - FIT_PAGE_RUNS_MAX : 0;
	int i;

	buf_puts(out, "<h2 id=\"runs\">Where the numbers come from</h2>\n");
	if (from)
		buf_addf(out, "<p>The newest %d of %d runs.</p>\n",
			 FIT_PAGE_RUNS_MAX, p->n_runs);
	put_heads(out, head, 12, 10);
	for (i = from; i < p->n_runs; i++) {
		const struct fit_page_run *r = &p->run[i];
		const char *const cell[] = {
			r->date, r->host, r->gpu, r->driver, r->cuda, r->nccl,
			r->clocks, r->environment, r->source, r->backend,
		};
		size_t k;

		buf_puts(out, "<tr>");
		for (k = 0; k < sizeof(cell) / sizeof(cell[0]); k++)
			put_cell(out, cell[k]);
		put_value(out, r->gpus, TABLE_COUNT);
		put_value(out, r->samples, TABLE_COUNT);
		buf_puts(out, "</tr>\n");
	}
	put_tail(out);
}

static void put_fit(const struct fit_page_fit *f, struct buf *out)
{
	const char *const cell[] = { f->op, f->tier, f->variant, f->dtype,
				     f->gpu, f->form };
	size_t k;

	buf_puts(out, "<tr>");
	for (k = 0; k < sizeof(cell) / sizeof(cell[0]); k++)
		put_cell(out, cell[k]);
	put_value(out, f->ranks, TABLE_COUNT);
	put_value(out, f->ctas, TABLE_COUNT);
	put_value(out, f->alpha_s, TABLE_TIME);
	put_value(out, f->beta_s_per_byte, TABLE_NUMBER);
	put_value(out, f->gamma_s_per_sqrt_byte, TABLE_NUMBER);
	put_value(out, f->r2, TABLE_NUMBER);
	put_value(out, f->mape, TABLE_PERCENT);
	put_value(out, f->min_bytes, TABLE_BYTES);
	put_value(out, f->max_bytes, TABLE_BYTES);
	put_value(out, f->samples, TABLE_COUNT);
	buf_puts(out, "</tr>\n");
}

static void put_fits(const struct fit_page *p, struct buf *out)
{
	static const char *const head[] = {
		"op", "tier", "variant", "type", "GPU", "form", "ranks",
		"CTA limit", "alpha", "beta (s/byte)",
		"gamma (s/&#8730;byte)", "R&#178;", "mean error", "from",
		"to", "samples",
	};
	int n = p->n_fits < FIT_PAGE_FITS_MAX ? p->n_fits : FIT_PAGE_FITS_MAX;
	int i;

	buf_puts(out, "<h2 id=\"fits\">Fits</h2>\n<p>One row per group of "
		 "samples. Time of n bytes: alpha + beta n + gamma "
		 "&#8730;n in one piece; the figures show the chosen form, "
		 "of which R&#178; and mean error (relative, on sizes left "
		 "out of the fit) are.</p>\n");
	if (n < p->n_fits)
		buf_addf(out, "<p>The first %d of %d fits.</p>\n", n,
			 p->n_fits);
	put_heads(out, head, 16, 6);
	for (i = 0; i < n; i++)
		put_fit(&p->fit[i], out);
	put_tail(out);
}

static enum status put_figure(const struct fit_page_figure *f, int number,
			      struct buf *out)
{
	char *svg, *prefix;
	size_t len;
	enum status st = infile_read(f->svg_path, SVG_BYTES_MAX, &svg, &len);

	if (st)
		return st;
	prefix = xasprintf("f%d_", number);
	buf_puts(out, "<figure>\n");
	html_svg(out, svg, prefix);
	buf_puts(out, "<figcaption>");
	html_text(out, f->caption);
	buf_puts(out, " (<a href=\"");
	html_text(out, f->png_name);
	buf_puts(out, "\">PNG</a>)</figcaption>\n</figure>\n");
	free(prefix);
	free(svg);
	return ST_OK;
}

static enum status put_figures(const struct fit_page *p, struct buf *out)
{
	const char *section = NULL;
	enum status st = ST_OK;
	int i;

	for (i = 0; i < p->n_figures && !st; i++) {
		const struct fit_page_figure *f = &p->figure[i];

		if (!section || strcmp(section, f->heading)) {
			section = f->heading;
			buf_puts(out, "<h2>");
			html_text(out, section);
			buf_puts(out, "</h2>\n");
		}
		st = put_figure(f, i + 1, out);
	}
	return st;
}

enum status fit_page_write(const struct fit_page *p, const char *path)
{
	struct buf out = { 0 };
	enum status st;

	buf_puts(&out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
		 "<meta charset=\"utf-8\"/>\n<meta http-equiv=\""
		 "Content-Security-Policy\" content=\"default-src 'none'; "
		 "style-src 'unsafe-inline'\"/>\n<title>Profile report: ");
	html_text(&out, p->title);
	buf_addf(&out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n"
		 "<h1>Profile report: ", page_style);
	html_text(&out, p->title);
	buf_puts(&out, "</h1>\n");
	if (p->n_runs)
		put_runs(p, &out);
	if (p->n_fits)
		put_fits(p, &out);
	if (p->note) {
		buf_puts(&out, "<p><strong>Left out:</strong> ");
		html_text(&out, p->note);
		buf_puts(&out, "</p>\n");
	}
	st = put_figures(p, &out);
	buf_puts(&out, p->more ? p->more : "");
	buf_puts(&out, "</body>\n</html>\n");
	if (!st)
		st = outfile_write(path, buf_str(&out), out.len);
	buf_release(&out);
	return st;
}
