/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/report_data.h"

#include "base/mem.h"
#include "profiles/fit.h"
#include "scenarios/curve_json.h"

#include <stdlib.h>
#include <string.h>

static enum status take_run(void *arg, const struct store_run_row *r)
{
	struct report_data *d = arg;

	d->run = array_grow(d->run, &d->cap_runs, d->n_runs + 1,
			    sizeof(*d->run));
	d->run[d->n_runs++] = *r;
	return ST_OK;
}

/* Samples of one group often come one after the other. */
static struct report_group *group_of(struct report_data *d,
				     const struct run_info *info,
				     const struct sample *s)
{
	size_t i;

	if (fit_takes(&d->group[d->last].fit, info, s))
		return &d->group[d->last];
	for (i = 0; i < d->n_groups; i++) {
		if (fit_takes(&d->group[i].fit, info, s)) {
			d->last = i;
			return &d->group[i];
		}
	}
	return NULL;
}

static enum status take_sample(void *arg, int64_t run,
			       const struct run_info *info,
			       const struct sample *s)
{
	struct report_data *d = arg;
	struct report_group *g = group_of(d, info, s);

	(void)run;
	d->samples++;
	if (!g) {
		if (strcmp(s->op, "gemm"))
			d->others++;
		else
			d->products++;
		return ST_OK;
	}
	g->point = array_grow(g->point, &g->cap, g->n + 1, sizeof(*g->point));
	g->point[g->n++] = (struct chart_fit_point){
		.bytes = s->bytes, .median_s = s->median_s,
		.min_s = s->min_s, .p95_s = s->p95_s,
	};
	return ST_OK;
}

static enum status take_fits(struct store *db, struct report_data *d)
{
	struct fit_row *row = NULL;
	size_t i, n;
	enum status st = fit_rows(db, &row, &n);

	if (st)
		return st;
	d->group = xcalloc(n + 1, sizeof(*d->group));
	for (i = 0; i < n && !st; i++) {
		d->group[i].fit = row[i];
		st = curve_json_parse(row[i].pieces, CURVE_MEASURED,
				      &d->group[i].curve);
	}
	d->n_groups = n;
	free(row);
	if (!st && !n)
		st = err_set(ST_INPUT, "no fit to show: a fit takes at least "
			     "3 sizes of one operation");
	return st;
}

enum status report_data_read(struct store *db, struct report_data *out)
{
	struct report_data d = { 0 };
	enum status st = take_fits(db, &d);

	if (!st)
		st = store_each_run(db, take_run, &d);
	if (!st)
		st = store_each(db, take_sample, &d);
	if (st)
		report_data_release(&d);
	else
		*out = d;
	return st;
}

void report_data_release(struct report_data *d)
{
	size_t i;

	for (i = 0; i < d->n_groups; i++)
		free(d->group[i].point);
	free(d->group);
	free(d->run);
	*d = (struct report_data){ 0 };
}

const struct store_run_row *report_data_run(const struct report_data *d,
					    const struct fit_row *f)
{
	const struct run_info *info;
	size_t i;

	for (i = d->n_runs; i--;) {
		info = &d->run[i].info;
		if (!strcmp(*info->gpu ? info->gpu : info->backend, f->gpu))
			return &d->run[i];
	}
	return NULL;
}

/* ---- for the page ---- */

struct fit_page_run *report_data_page_runs(const struct report_data *d)
{
	struct fit_page_run *out = xcalloc(d->n_runs + 1, sizeof(*out));
	size_t i;

	for (i = 0; i < d->n_runs; i++) {
		const struct run_info *info = &d->run[i].info;

		out[i] = (struct fit_page_run){
			.host = info->host, .gpu = info->gpu,
			.driver = info->driver, .cuda = info->cuda,
			.nccl = info->nccl, .date = info->date,
			.backend = info->backend, .source = info->source,
			.clocks = info->clocks,
			.environment = info->environment,
			.gpus = info->gpus,
			.samples = (double)d->run[i].samples,
		};
	}
	return out;
}

struct fit_page_fit *report_data_page_fits(const struct report_data *d)
{
	struct fit_page_fit *out = xcalloc(d->n_groups + 1, sizeof(*out));
	size_t i;

	for (i = 0; i < d->n_groups; i++) {
		const struct fit_row *f = &d->group[i].fit;

		out[i] = (struct fit_page_fit){
			.gpu = f->gpu, .op = f->op, .variant = f->variant,
			.tier = f->tier, .dtype = f->dtype, .form = f->form,
			.ranks = f->ranks, .ctas = f->ctas,
			.alpha_s = f->alpha_s,
			.beta_s_per_byte = f->beta_s_per_byte,
			.gamma_s_per_sqrt_byte = f->gamma_s_per_sqrt_byte,
			.r2 = f->r2, .mape = f->mape,
			.min_bytes = f->min_bytes, .max_bytes = f->max_bytes,
			.samples = f->samples,
		};
	}
	return out;
}
