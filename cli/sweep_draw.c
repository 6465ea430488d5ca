/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sweep's figures: time, speedup, best plans, memory, slice by slice. */
#include "base/buf.h"
#include "cli/sweep_figures.h"
#include "reports/chart.h"
#include "reports/chart_heat.h"
#include "reports/chart_style.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define Y_LOG_FACTOR 12.0	/* times that differ more: logarithmic */
#define BYTES_PER_GB 1e9
#define BYTES_STEP 1e3	/* GB to MB to kB */
#define LINES_MAX 8		/* more have no colours and marks of their own */

/* ---- files ---- */

void figure_files_remove(const struct figure_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		unlink(f->path[i]);
}

void figure_files_release(struct figure_files *f)
{
	free(f->path);
	arena_release(&f->arena);
	*f = (struct figure_files){ 0 };
}

static const char *file_add(struct figure_files *f, const char *path)
{
	f->path = array_grow(f->path, &f->cap, f->n + 1, sizeof(*f->path));
	return f->path[f->n++] = path;
}

enum status figure_put(const struct figure_sink *s, const char *name,
		       const char *caption, figure_write_fn *write,
		       const void *chart)
{
	struct figure_files *f = s->files;
	const char *svg = arena_printf(&f->arena, "%s/%s%s.svg", s->dir,
				       s->prefix, name);
	const char *png = arena_printf(&f->arena, "%s/%s%s.png", s->dir,
				       s->prefix, name);
	enum status st = write(chart, file_add(f, svg));

	if (!st)
		st = write(chart, file_add(f, png));
	return st ? st : page_figure(s->page, svg, png + strlen(s->dir) + 1,
				     caption);
}

static enum status write_lines(const void *chart, const char *path)
{
	return chart_lines_write(chart, path);
}

static enum status write_bars(const void *chart, const char *path)
{
	return chart_bars_write(chart, path);
}

static enum status write_heat(const void *chart, const char *path)
{
	return chart_heat_write(chart, path);
}

/* ---- what is drawn ---- */

/* One combination of the keys that are not drawn. */
struct slice {
	const struct sweep_view *v;
	int x, y;	/* axes; y: -1 for none */
	long base;	/* the point with index 0 on both */
	char *where;	/* "fabric rail; lane model" */
	int number, n_slices;
};

static long stride_of(const struct sweep_view *v, int axis)
{
	long s = 1;

	for (int i = v->n_axes - 1; i > axis; i--)
		s *= v->axis[i].n;
	return s;
}

static const struct view_point *at(const struct slice *s, int x, int y)
{
	long p = s->base + x * stride_of(s->v, s->x);

	if (s->y >= 0)
		p += y * stride_of(s->v, s->y);
	return &s->v->point[p];
}

static struct slice turned(const struct slice *s)
{
	struct slice out = *s;

	out.x = s->y;
	out.y = s->x;
	return out;
}

/* Of n values at most `room`: every how many-th. */
static int every(int n, int room)
{
	return (n + room - 1) / room;
}

/* ---- lines ---- */

struct lines {
	struct chart_lines chart;
	struct chart_series series[CHART_SERIES_MAX];
	char *label[CHART_SERIES_MAX];
	double *value[CHART_SERIES_MAX];
	double *x;
	struct chart_mark *tic;
};

enum quantity { QUANTITY_TIME, QUANTITY_MEMORY, QUANTITY_DROP };

static double quantity(const struct view_point *p, enum quantity q)
{
	if (p->plan < 0)
		return NAN;
	return q == QUANTITY_TIME ? p->time_s :
		q == QUANTITY_MEMORY ? p->memory_bytes : p->drop_fraction;
}

static void lines_x(const struct slice *s, struct lines *l)
{
	const struct view_axis *x = &s->v->axis[s->x];

	l->x = xcalloc((size_t)x->n, sizeof(*l->x));
	l->tic = xcalloc((size_t)x->n, sizeof(*l->tic));
	for (int i = 0; i < x->n; i++) {
		l->x[i] = x->value[x->order[i]];
		l->tic[i] = (struct chart_mark){ l->x[i],
						 x->label[x->order[i]] };
	}
	l->chart.x_axis = x->name;
	l->chart.x_log = x->log;
	l->chart.x_tic = l->tic;
	l->chart.n_x_tics = x->n;
}

/* A line where no point has a plan would only be in the legend. */
static bool row_has_plan(const struct slice *s, int y)
{
	for (int x = 0; x < s->v->axis[s->x].n; x++) {
		if (at(s, x, y)->plan >= 0)
			return true;
	}
	return false;
}

static void lines_add(const struct slice *s, enum quantity q, int y,
		      struct lines *l)
{
	const struct view_axis *x = &s->v->axis[s->x];
	const struct view_axis *rows = s->y < 0 ? NULL : &s->v->axis[s->y];
	int k = l->chart.n_series++;

	l->value[k] = xcalloc((size_t)x->n, sizeof(double));
	for (int i = 0; i < x->n; i++)
		l->value[k][i] = quantity(at(s, x->order[i], y), q);
	l->label[k] = rows ? xasprintf("%s %s", rows->name, rows->label[y]) :
		      xstrdup("best plan");
	l->series[k] = (struct chart_series){
		.label = l->label[k], .x = l->x, .y = l->value[k], .n = x->n,
		.points_only = !x->numeric,
	};
}

/* "GB", or what small models need. */
static const char *memory_unit(double most_bytes, double *unit_p)
{
	static const char *const name[] = { "GB", "MB", "kB" };
	int i = 0;

	for (*unit_p = BYTES_PER_GB; i < 2 && most_bytes < *unit_p; i++)
		*unit_p /= BYTES_STEP;
	return name[i];
}

/* Into a unit that the axis can name; the range decides the scale. */
static void lines_scale(struct lines *l, enum quantity q, char *axis,
			size_t size)
{
	static const char *const what[] = {
		"step of one MoE layer", "memory per GPU",
		"routed copies dropped",
	};
	double lo = INFINITY, hi = 0;
	double unit = 0.01;
	const char *name = "%";
	int k, i;

	for (k = 0; k < l->chart.n_series; k++) {
		for (i = 0; i < l->series[k].n; i++) {
			lo = fmin(lo, l->value[k][i]);
			hi = fmax(hi, l->value[k][i]);
		}
	}
	if (q == QUANTITY_TIME)
		name = chart_time_unit(hi, &unit);
	else if (q == QUANTITY_MEMORY)
		name = memory_unit(hi, &unit);
	for (k = 0; k < l->chart.n_series; k++) {
		for (i = 0; i < l->series[k].n; i++)
			l->value[k][i] /= unit;
	}
	l->chart.y_log = q != QUANTITY_DROP && hi / lo > Y_LOG_FACTOR;
	snprintf(axis, size, "%s (%s)", what[q], name);
	l->chart.y_axis = axis;
}

static void lines_release(struct lines *l)
{
	for (int k = 0; k < l->chart.n_series; k++) {
		free(l->label[k]);
		free(l->value[k]);
	}
	free(l->x);
	free(l->tic);
}

static char *file_name(const struct slice *s, const char *what)
{
	return s->n_slices > 1 ? xasprintf("%s-%d", what, s->number) :
	       xstrdup(what);
}

static enum status draw_lines(const struct figure_sink *sink,
			      const struct slice *s, enum quantity q,
			      const char *file)
{
	static const char *const title[] = { "Step time of the best plan",
					     "Memory of the best plan",
					     "Tokens that the best plan "
					     "drops" };
	const struct view_axis *y = s->y < 0 ? NULL : &s->v->axis[s->y];
	int n = y ? y->n : 1, step = every(n, LINES_MAX);
	char axis[64], *name = file_name(s, file), *caption;
	struct lines l = { 0 };
	enum status st;

	l.chart.head = (struct chart_head){ title[q], s->where };
	l.chart.series = l.series;
	lines_x(s, &l);
	for (int i = 0; i < n; i += step) {
		int row = y ? y->order[i] : 0;

		if (row_has_plan(s, row))
			lines_add(s, q, row, &l);
	}
	lines_scale(&l, q, axis, sizeof(axis));
	caption = xasprintf("%s against %s%s%s%s.", title[q],
			    s->v->axis[s->x].name, y ? ", a line for each " :
			    "", y ? y->name : "", step > 1 ?
			    " (some left out)" : "");
	st = figure_put(sink, name, caption, write_lines, &l.chart);
	lines_release(&l);
	free(caption);
	free(name);
	return st;
}

/* ---- speedup ---- */

static int by_float(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The slice's speedups over one system, ascending; free() them. */
static float *speedups(const struct slice *s, int system, int *n_p)
{
	int nx = s->v->axis[s->x].n;
	int ny = s->y < 0 ? 1 : s->v->axis[s->y].n, n = 0;
	float *out = xcalloc((size_t)nx * (size_t)ny, sizeof(*out));

	for (int y = 0; y < ny; y++) {
		for (int x = 0; x < nx; x++) {
			const struct view_point *p = at(s, x, y);

			if (p->plan >= 0 && p->speedup[system] > 0)
				out[n++] = p->speedup[system];
		}
	}
	qsort(out, (size_t)n, sizeof(*out), by_float);
	*n_p = n;
	return out;
}

static enum status draw_speedup(const struct figure_sink *sink,
				const struct slice *s)
{
	struct chart_bar bar[VIEW_SYSTEMS_MAX];
	char *text[VIEW_SYSTEMS_MAX], *name = file_name(s, "speedup");
	struct chart_bars c = {
		.head = { "Speedup of the best plan over each baseline",
			  s->where },
		.axis = "time of the baseline / time of the best plan, "
			"median (least .. most)",
		.bar = bar, .reference = 1,
	};
	enum status st = ST_OK;
	float *v;
	int n;

	for (int i = 0; i < s->v->n_systems; i++) {
		v = speedups(s, i, &n);
		if (n) {
			text[c.n_bars] = xasprintf("%.2fx (%.2f .. %.2f)",
				(double)v[n / 2], (double)v[0],
				(double)v[n - 1]);
			bar[c.n_bars] = (struct chart_bar){
				.label = s->v->system[i],
				.value = (double)v[n / 2],
				.value_text = text[c.n_bars],
			};
			c.n_bars++;
		}
		free(v);
	}
	if (c.n_bars)
		st = figure_put(sink, name, "Speedup over the baselines: "
				"median of the points, and the range.",
				write_bars, &c);
	for (int i = 0; i < c.n_bars; i++)
		free(text[i]);
	free(name);
	return st;
}

/* ---- best plans ---- */

struct heat {
	struct chart_heat chart;
	int x[CHART_HEAT_SIDE_MAX], y[CHART_HEAT_SIDE_MAX];	/* chosen */
	const char *x_tic[CHART_HEAT_SIDE_MAX], *y_tic[CHART_HEAT_SIDE_MAX];
	int letter[VIEW_PLANS_MAX];	/* of the sweep's plans; 0: none yet */
	const char *plan[VIEW_PLANS_MAX];
	int of_page[VIEW_PLANS_MAX];	/* the letters that the page's tables
					   have */
	struct chart_cell *cell;	/* owned */
};

static int heat_axis(const struct view_axis *a, int *index, const char **tic)
{
	int step = every(a->n, CHART_HEAT_SIDE_MAX), n = 0;

	for (int i = 0; i < a->n; i += step) {
		index[n] = a->order[i];
		tic[n++] = a->label[a->order[i]];
	}
	return n;
}

static int heat_letter(const struct slice *s, struct heat *h, int plan)
{
	if (plan < 0)
		return -1;
	if (!h->letter[plan]) {
		h->of_page[h->chart.n_plans] = plan;
		h->plan[h->chart.n_plans++] = s->v->plan[plan];
		h->letter[plan] = h->chart.n_plans;
	}
	return h->letter[plan] - 1;
}

static void heat_cells(const struct slice *s, struct heat *h)
{
	struct chart_heat *c = &h->chart;

	h->cell = xcalloc((size_t)(c->n_x * c->n_y), sizeof(*h->cell));
	for (int y = 0; y < c->n_y; y++) {
		for (int x = 0; x < c->n_x; x++) {
			const struct view_point *p = at(s, h->x[x], h->y[y]);

			h->cell[y * c->n_x + x] = (struct chart_cell){
				p->time_s, heat_letter(s, h, p->plan)
			};
		}
	}
	c->cell = h->cell;
}

static enum status draw_heat(const struct figure_sink *sink,
			     const struct slice *s)
{
	const struct view_axis *x = &s->v->axis[s->x];
	struct heat *h = xcalloc(1, sizeof(*h));
	struct chart_heat *c = &h->chart;
	char *name = file_name(s, "plans");
	enum status st;

	*c = (struct chart_heat){
		.head = { "Best plan, and where it changes", s->where },
		.x_axis = x->name, .x_tic = h->x_tic, .y_tic = h->y_tic,
		.n_y = 1, .value_name = "step time", .kind = TABLE_TIME,
		.plan = h->plan, .letter = h->of_page,
	};
	c->n_x = heat_axis(x, h->x, h->x_tic);
	if (s->y >= 0) {
		c->y_axis = s->v->axis[s->y].name;
		c->n_y = heat_axis(&s->v->axis[s->y], h->y, h->y_tic);
	}
	heat_cells(s, h);
	st = figure_put(sink, name, "The best plan of each point: letters as "
			"above the map (exchange, layout, chunks forward / "
			"backward), thick lines where it changes; darker is "
			"slower, crossed out has no plan.",
			write_heat, c);
	free(h->cell);
	free(h);
	free(name);
	return st;
}

/* ---- slices ---- */

static bool drops(const struct slice *s)
{
	for (int y = 0; y < (s->y < 0 ? 1 : s->v->axis[s->y].n); y++) {
		for (int x = 0; x < s->v->axis[s->x].n; x++) {
			if (at(s, x, y)->plan >= 0 &&
			    at(s, x, y)->drop_fraction > 0)
				return true;
		}
	}
	return false;
}

static enum status draw_slice(const struct figure_sink *sink,
			      const struct slice *s)
{
	struct slice other;
	enum status st = draw_lines(sink, s, QUANTITY_TIME, "time");

	if (!st && s->y >= 0 && s->v->axis[s->y].numeric &&
	    s->n_slices <= SLICES_FULL) {
		other = turned(s);
		st = draw_lines(sink, &other, QUANTITY_TIME, "time-other");
	}
	if (!st)
		st = draw_heat(sink, s);
	if (s->n_slices > SLICES_FULL)
		return st;
	if (!st)
		st = draw_speedup(sink, s);
	if (!st)
		st = draw_lines(sink, s, QUANTITY_MEMORY, "memory");
	if (!st && drops(s))
		st = draw_lines(sink, s, QUANTITY_DROP, "drop");
	return st;
}

static bool first_of_slice(const struct slice *s)
{
	return !view_index(s->v, s->base, s->x) &&
	       (s->y < 0 || !view_index(s->v, s->base, s->y));
}

static bool slice_has_plan(const struct slice *s)
{
	int ny = s->y < 0 ? 1 : s->v->axis[s->y].n;

	for (int y = 0; y < ny; y++) {
		if (row_has_plan(s, y))
			return true;
	}
	return false;
}

static char *slice_name(const struct slice *s)
{
	bool skip[SWEEP_AXES_MAX] = { false };
	struct buf b = { 0 };

	skip[s->x] = true;
	if (s->y >= 0)
		skip[s->y] = true;
	view_name(s->v, s->base, skip, &b);
	return buf_take(&b);
}

static enum status put_slice(const struct figure_sink *sink, struct slice *s)
{
	char *name = slice_name(s);
	enum status st = ST_OK;

	page_heading(sink->page, 2, *name ? name : "Figures");
	s->where = xasprintf("%s%s%s; simulated, %s model", s->v->path,
			     *name ? "; " : "", name, s->v->model);
	if (slice_has_plan(s))
		st = draw_slice(sink, s);
	else
		page_text(sink->page, "No point here has a plan; the table "
			  "says why.");
	free(s->where);
	free(name);
	return st;
}

enum status sweep_draw_slices(const struct figure_sink *sink,
			      const struct sweep_view *v)
{
	struct slice s = { .v = v };
	enum status st = ST_OK;
	char *more;

	view_axes_shown(v, &s.x, &s.y);
	s.n_slices = 1;
	for (int i = 0; i < v->n_axes; i++) {
		if (i != s.x && i != s.y)
			s.n_slices *= v->axis[i].n;
	}
	for (; s.base < v->n_points && s.number < SLICES_MAX && !st;
	     s.base++) {
		if (!first_of_slice(&s))
			continue;
		s.number++;
		st = put_slice(sink, &s);
	}
	if (!st && s.n_slices > SLICES_MAX) {
		more = xasprintf("Of %d combinations of the other keys the "
				 "first %d are drawn.", s.n_slices,
				 SLICES_MAX);
		page_text(sink->page, more);
		free(more);
	}
	return st;
}
