/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FSMoE (Pan et al., ASPLOS 2025). Measures:
 *
 *	grid BED POLICY			mean over the grid of Tutel's time by
 *					the policy's
 *	layer BED MODEL PASS PART	ms of one part (table 2)
 *	model BED MODEL POLICY BASE	BASE's time by POLICY's, whole model
 *	models POLICY BASE STAGES	geometric mean over all models
 *	least|most POLICY BASE		slowest and fastest of them
 *	length|nodes N POLICY BASE	one model, other length or cluster
 *	degrees BED			configurations of the grid whose best
 *					degrees differ between the passes
 */
#include "sim/repro.h"

#include "base/units.h"
#include "scenarios/keys.h"
#include "sim/fsmoe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_PER_MS 1e-3
#define BEDS 2
#define MODELS 3
#define BATCHES_MAX 1000000
#define GRID 1458	/* 3^6 2 */

struct model_shape {
	double hidden, ffn, heads, products, attention, layers_a, layers_b;
};

static const char *const model_names[MODELS] = { "gpt2-xl", "mixtral-7b",
						 "mixtral-22b" };

struct repro {
	struct fsmoe_testbed bed[BEDS];
	struct model_shape model[MODELS];
	double length[BEDS];	/* tokens of a model's sequence */
	double copies, batch, table_batch, table_length, batches;
	double no_drop;
	struct fsmoe_times *grid[BEDS][FSMOE_POLICY_N];	/* [GRID], owned */
};

static enum status get_fit(const struct paper *p, const char *bed,
			   const char *op, double scale, struct curve *out)
{
	char prefix[64];
	double a = 0, b = 0;
	const struct repro_want want[] = {
		{ ".alpha_ms", &a, 0 }, { ".beta_ms", &b, 0 },
	};
	enum status st;

	snprintf(prefix, sizeof(prefix), "%s.%s", bed, op);
	st = repro_get(p, prefix, want, 2);
	if (!st)
		*out = curve_make(a * S_PER_MS, b * S_PER_MS * scale, 0,
				  CURVE_PUBLISHED);
	return st;
}

/* The fits, with the assumptions that say what their sizes mean. */
static enum status get_bed(const struct paper *p, const char *bed,
			   struct fsmoe_testbed *t)
{
	double nodes = 0, gpus = 0, node_scale = 0, ag_slip = 0, ar_slip = 0;
	double gemm_scale = 0;
	const struct repro_want want[] = {
		{ ".nodes", &nodes, 2 }, { ".gpus", &gpus, 1 },
		{ ".node_elements", &node_scale, 0 },
		{ ".ag.slip", &ag_slip, 0 }, { ".ar.slip", &ar_slip, 0 },
		{ ".memory_Bps", &t->memory_Bps, 1 },
	};
	const struct repro_want all[] = {
		{ "gemm_scale", &gemm_scale, 0 },
		{ "interference", &t->interference, 0 },
		{ "score_passes", &t->score_passes, 0 },
	};
	enum status st = repro_get(p, bed, want, 6);

	if (!st)
		st = repro_get(p, "", all, 3);
	if (!st)
		st = get_fit(p, bed, "gemm", gemm_scale, &t->gemm);
	if (!st)
		st = get_fit(p, bed, "a2a", 1, &t->a2a);
	if (!st)
		st = get_fit(p, bed, "ag", node_scale * ag_slip, &t->ag);
	if (!st)
		st = get_fit(p, bed, "rs", node_scale, &t->rs);
	if (!st)
		st = get_fit(p, bed, "ar", ar_slip, &t->ar);
	if (!st && (nodes > RANKS_MAX || gpus > RANKS_MAX))
		st = err_set(ST_INPUT, "%s: testbed '%s' has too many nodes "
			     "or GPUs", p->path, bed);
	if (st)
		return st;
	t->nodes = (int)nodes;
	t->gpus = (int)gpus;
	t->duplicates = gpus;
	return st;
}

static enum status get_model(const struct paper *p, const char *name,
			     struct model_shape *m)
{
	const struct repro_want want[] = {
		{ ".hidden", &m->hidden, 1 }, { ".ffn", &m->ffn, 1 },
		{ ".heads", &m->heads, 1 }, { ".products", &m->products, 2 },
		{ ".attention", &m->attention, 0 },
		{ ".layers_a", &m->layers_a, 0 },
		{ ".layers_b", &m->layers_b, 0 },
	};

	enum status st = repro_get(p, name, want, 7);

	if (!st && (m->layers_a > GRADIENT_LAYERS_MAX ||
		    m->layers_b > GRADIENT_LAYERS_MAX || m->products > 3))
		st = err_set(ST_INPUT, "%s: '%s' has more than %d layers, or "
			     "more than 3 products", p->path, name,
			     GRADIENT_LAYERS_MAX);
	return st;
}

enum status repro_fsmoe_open(const struct paper *p, struct repro **out_p)
{
	struct repro *r = xcalloc(1, sizeof(*r));
	const struct repro_want want[] = {
		{ "copies", &r->copies, 1 }, { "batch", &r->batch, 1 },
		{ "table.batch", &r->table_batch, 1 },
		{ "table.length", &r->table_length, 1 },
		{ "a.length", &r->length[0], 1 },
		{ "b.length", &r->length[1], 1 },
		{ "micro_batches", &r->batches, 1 },
		{ "grid.no_drop", &r->no_drop, 0 },
	};
	enum status st = get_bed(p, "a", &r->bed[0]);

	if (!st)
		st = get_bed(p, "b", &r->bed[1]);
	for (int i = 0; i < MODELS && !st; i++)
		st = get_model(p, model_names[i], &r->model[i]);
	if (!st)
		st = repro_get(p, "", want, 8);
	if (!st && r->batches > BATCHES_MAX)
		st = err_set(ST_INPUT, "%s: 'micro_batches' is above %d",
			     p->path, BATCHES_MAX);
	if (st)
		free(r);
	else
		*out_p = r;
	return st;
}

void repro_fsmoe_close(struct repro *r)
{
	for (int i = 0; i < BEDS * FSMOE_POLICY_N; i++)
		free(r->grid[i / FSMOE_POLICY_N][i % FSMOE_POLICY_N]);
	free(r);
}

/* A whole number of 1 or more; else 0. */
static int size_find(const char *text)
{
	double v;

	return unit_parse(text, U_NUMBER, &v) && v >= 1 && v < 1e6 ?
		(int)v : 0;
}

static int bed_find(const char *name)
{
	return !strcmp(name, "a") ? 0 : !strcmp(name, "b") ? 1 : -1;
}

static int model_find(const char *name)
{
	for (int i = 0; i < MODELS; i++) {
		if (!strcmp(model_names[i], name))
			return i;
	}
	return -1;
}

/* ---- the grid of 3^6 2 = 1,458 layers ---- */

/* The six dimensions with three values, and the two kinds of experts. */
static struct fsmoe_layer grid_layer(const struct repro *r, int bed,
				     int code)
{
	const double factor[3] = { 1.2, 2.4, r->no_drop };
	double first = bed == 0 ? 512 : 256;
	struct fsmoe_layer l;
	int d[6], rest = code / 2;

	for (int i = 0; i < 6; i++, rest /= 3)
		d[i] = rest % 3;
	l = (struct fsmoe_layer){
		.batch = 1 << d[0], .heads = 8 << d[1],
		.sequence = first * (1 << d[2]),
		.hidden = 1024 << d[3],
		.copies = 2 * factor[d[5]],
		.products = 2 + code % 2,
	};
	l.ffn = l.hidden * (2 + d[4]);
	l.attention = 4 * l.hidden * l.hidden;
	return l;
}

/* The policy's times of all layers; made when first asked for. */
static const struct fsmoe_times *grid_times(struct repro *r, int bed,
					    int policy)
{
	struct fsmoe_times **t = &r->grid[bed][policy];

	if (*t)
		return *t;
	*t = xcalloc(GRID, sizeof(**t));
	for (int i = 0; i < GRID; i++) {
		struct fsmoe_layer l = grid_layer(r, bed, i);

		fsmoe_layer_time(&r->bed[bed], &l, (enum fsmoe_policy)policy,
				 &(*t)[i]);
	}
	return *t;
}

static double grid_speedup(struct repro *r, int bed, int policy)
{
	const struct fsmoe_times *a = grid_times(r, bed, FSMOE_TUTEL);
	const struct fsmoe_times *b = grid_times(r, bed, policy);
	double sum = 0;

	for (int i = 0; i < GRID; i++)
		sum += (a[i].forward_s + a[i].backward_s) /
			(b[i].forward_s + b[i].backward_s);
	return sum / GRID;
}

static double grid_differ(struct repro *r, int bed)
{
	const struct fsmoe_times *t = grid_times(r, bed, FSMOE_FSMOE);
	int n = 0;

	for (int i = 0; i < GRID; i++)
		n += t[i].degree_forward != t[i].degree_backward;
	return n;
}

static enum status measure_grid(struct repro *r, int n,
				const char *const *word, double *value_p)
{
	int bed = n > 1 ? bed_find(word[1]) : -1;
	int policy = n > 2 ? fsmoe_policy_find(word[2]) : -1;
	bool differ = !strcmp(word[0], "degrees");

	if (bed < 0 || (policy < 0 && !differ))
		return repro_unknown(n, word);
	*value_p = differ ? grid_differ(r, bed) :
		grid_speedup(r, bed, policy);
	return ST_OK;
}

/* ---- table 2 ---- */

static struct fsmoe_layer model_layer(const struct repro *r, int model,
				      double batch, double length)
{
	const struct model_shape *m = &r->model[model];

	return (struct fsmoe_layer){
		.batch = batch, .sequence = length, .heads = m->heads,
		.hidden = m->hidden, .ffn = m->ffn,
		.products = (int)m->products, .copies = r->copies,
		.attention = m->attention * m->hidden * m->hidden,
	};
}

static enum status measure_layer(struct repro *r, int n,
				 const char *const *word, double *value_p)
{
	int bed = n == 5 ? bed_find(word[1]) : -1;
	int model = n == 5 ? model_find(word[2]) : -1;
	struct fsmoe_parts parts;
	struct fsmoe_layer l;
	const struct {
		const char *name;
		const double *value;
	} part[] = {
		{ "a2a", &parts.a2a }, { "ag", &parts.ag },
		{ "rs", &parts.rs }, { "experts", &parts.experts },
		{ "attention", &parts.attention }, { "ar", &parts.ar },
	};

	if (bed < 0 || model < 0)
		return repro_unknown(n, word);
	l = model_layer(r, model, r->table_batch, r->table_length);
	fsmoe_parts(&r->bed[bed], &l, !strcmp(word[3], "backward"), &parts);
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		if (strcmp(part[i].name, word[4]))
			continue;
		*value_p = *part[i].value / S_PER_MS;
		return ST_OK;
	}
	return repro_unknown(n, word);
}

/* ---- whole models ---- */

struct case_of {	/* one model on one testbed */
	int bed, model, stages;
	double length;
	int nodes;
};

static int case_layers(const struct repro *r, const struct case_of *c)
{
	const struct model_shape *m = &r->model[c->model];

	return (int)(c->bed == 0 ? m->layers_a : m->layers_b);
}

/*
 * A testbed with fewer nodes: an all-to-all of N nodes sends (N-1)/N of its
 * bytes over the network, an all-reduce twice that.
 */
static struct fsmoe_testbed resized(const struct fsmoe_testbed *t, int nodes)
{
	struct fsmoe_testbed s = *t;
	double share = (nodes - 1.0) / nodes * t->nodes / (t->nodes - 1.0);

	s.nodes = nodes;
	s.a2a.piece[0].b *= share;
	s.ar.piece[0].b *= share;
	return s;
}

static double case_speedup(const struct repro *r, const struct case_of *c,
			   int policy, int base)
{
	struct fsmoe_testbed t = resized(&r->bed[c->bed], c->nodes);
	struct fsmoe_layer l = model_layer(r, c->model, r->batch, c->length);
	int layers = case_layers(r, c);
	int batches = c->stages > 1 ? (int)r->batches : 1;

	return fsmoe_model_time(&t, &l, layers, c->stages, batches,
				(enum fsmoe_policy)base) /
		fsmoe_model_time(&t, &l, layers, c->stages, batches,
				 (enum fsmoe_policy)policy);
}

static struct case_of case_make(const struct repro *r, int bed, int model,
				int stages)
{
	return (struct case_of){ bed, model, stages, r->length[bed],
				 r->bed[bed].nodes };
}

struct spread {
	double log_sum, least, most;
	int n;
};

/* Over all models on the testbeds that hold them (layers above 0). */
static struct spread all_models(const struct repro *r, int policy, int base,
				int stages)
{
	struct spread s = { .least = INFINITY };

	for (int i = 0; i < BEDS * MODELS; i++) {
		struct case_of c = case_make(r, i / MODELS, i % MODELS,
					     stages);
		double x;

		if (!case_layers(r, &c))
			continue;
		x = case_speedup(r, &c, policy, base);
		s.log_sum += log(x);
		s.least = fmin(s.least, x);
		s.most = fmax(s.most, x);
		s.n++;
	}
	return s;
}

static enum status measure_models(struct repro *r, int n,
				  const char *const *word, double *value_p)
{
	int policy = n > 2 ? fsmoe_policy_find(word[1]) : -1;
	int base = n > 2 ? fsmoe_policy_find(word[2]) : -1;
	int stages = n > 3 ? size_find(word[3]) : 1;
	struct spread s;

	if (policy < 0 || base < 0 || stages < 1)
		return repro_unknown(n, word);
	s = all_models(r, policy, base, stages);
	*value_p = !strcmp(word[0], "least") ? s.least :
		!strcmp(word[0], "most") ? s.most : exp(s.log_sum / s.n);
	return ST_OK;
}

/* length N POLICY BASE, nodes N POLICY BASE: the first model, testbed A */
static enum status measure_sweep(struct repro *r, int n,
				 const char *const *word, double *value_p)
{
	int policy = n == 4 ? fsmoe_policy_find(word[2]) : -1;
	int base = n == 4 ? fsmoe_policy_find(word[3]) : -1;
	int size = n == 4 ? size_find(word[1]) : 0;
	struct case_of c = case_make(r, 0, 0, 1);

	if (policy < 0 || base < 0 || size < 2 || case_layers(r, &c) < 1)
		return repro_unknown(n, word);
	if (!strcmp(word[0], "length"))
		c.length = size;
	else
		c.nodes = size;
	*value_p = case_speedup(r, &c, policy, base);
	return ST_OK;
}

static enum status measure_model(struct repro *r, int n,
				 const char *const *word, double *value_p)
{
	int bed = n == 5 ? bed_find(word[1]) : -1;
	int model = n == 5 ? model_find(word[2]) : -1;
	int policy = n == 5 ? fsmoe_policy_find(word[3]) : -1;
	int base = n == 5 ? fsmoe_policy_find(word[4]) : -1;
	struct case_of c;

	if (bed < 0 || model < 0 || policy < 0 || base < 0)
		return repro_unknown(n, word);
	c = case_make(r, bed, model, 1);
	if (case_layers(r, &c) < 1)
		return repro_unknown(n, word);
	*value_p = case_speedup(r, &c, policy, base);
	return ST_OK;
}

enum status repro_fsmoe_measure(struct repro *r, int n,
				const char *const *word, double *value_p)
{
	static const struct {
		const char *name;
		enum status (*run)(struct repro *r, int n,
				   const char *const *word, double *value_p);
	} measures[] = {
		{ "grid", measure_grid }, { "degrees", measure_grid },
		{ "layer", measure_layer }, { "model", measure_model },
		{ "models", measure_models }, { "least", measure_models },
		{ "most", measure_models }, { "length", measure_sweep },
		{ "nodes", measure_sweep },
	};

	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
		if (!strcmp(measures[i].name, word[0]))
			return measures[i].run(r, n, word, value_p);
	}
	return repro_unknown(n, word);
}
