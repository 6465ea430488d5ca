/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/report_sweeps.h"

#include "base/buf.h"

#include <stdlib.h>

struct ids {
	int64_t id[REPORT_SWEEPS_MAX];	/* a ring: the newest */
	int n;
};

static enum status see(void *arg, const struct store_sweep_row *s)
{
	struct ids *ids = arg;

	if (s->points)
		ids->id[ids->n++ % REPORT_SWEEPS_MAX] = s->sweep;
	return ST_OK;
}

enum status report_sweeps_count(struct store *db, int *n_p)
{
	struct ids ids = { .n = 0 };
	enum status st = store_each_sweep(db, see, &ids);

	*n_p = ids.n;
	return st;
}

/* A sweep that cannot be read is a line of the page. */
static enum status draw_one(struct store *db, const char *dir, int64_t sweep,
			    struct report_sweeps *r)
{
	char *prefix = xasprintf("sweep%lld-", (long long)sweep), *heading;
	const struct figure_sink sink = { dir, prefix, &r->files, &r->page };
	struct sweep_view v;
	enum status st = sweep_view_load(db, sweep, &v);

	heading = xasprintf("Sweep %lld%s%s", (long long)sweep, st ? "" :
			    ": ", st ? "" : v.text);
	page_heading(&r->page, 1, heading);
	if (!st) {
		st = sweep_section(&sink, &v);
		sweep_view_release(&v);
	} else if (st == ST_INPUT) {
		page_text(&r->page, err_msg());
		err_clear();
		st = ST_OK;
	}
	free(heading);
	free(prefix);
	return st;
}

enum status report_sweeps_draw(struct store *db, const char *dir,
			       struct report_sweeps *out)
{
	struct ids ids = { .n = 0 };
	enum status st = store_each_sweep(db, see, &ids);
	int from = ids.n > REPORT_SWEEPS_MAX ? ids.n - REPORT_SWEEPS_MAX : 0;
	const struct figure_sink sink = { dir, "", &out->files, &out->page };
	char *text;

	*out = (struct report_sweeps){ .page = { .prefix = "s",
						 .deeper = 1 } };
	if (!st)
		st = report_products_draw(db, &sink);
	for (int i = from; i < ids.n && !st; i++)
		st = draw_one(db, dir, ids.id[i % REPORT_SWEEPS_MAX], out);
	if (!st && from) {
		text = xasprintf("Of %d sweeps the newest %d are shown.",
				 ids.n, REPORT_SWEEPS_MAX);
		page_text(&out->page, text);
		free(text);
	}
	return st;
}

void report_sweeps_list(const struct report_sweeps *r, json_t *files)
{
	for (size_t i = 0; i < r->files.n; i++)
		json_array_append_new(files, json_string(r->files.path[i]));
}

void report_sweeps_release(struct report_sweeps *r)
{
	page_release(&r->page);
	figure_files_release(&r->files);
	*r = (struct report_sweeps){ 0 };
}
