/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/profile_use.h"

#include "base/buf.h"
#include "base/curve.h"
#include "base/units.h"
#include "cli/cli.h"
#include "profiles/fit.h"
#include "scenarios/keys.h"
#include "scenarios/measured_json.h"
#include "scenarios/sample.h"
#include "sim/search.h"

#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- loading ---- */

static void drop_tier(struct measured *m, const char *tier)
{
	int i, n = 0;

	for (i = 0; i < m->n_curves; i++) {
		if (strcmp(m->curve[i].tier, tier))
			m->curve[n++] = m->curve[i];
	}
	m->n_curves = n;
}

static void shm_contention_is_network(struct measured *m)
{
	struct measured_contention *all;
	int i, n = m->n_contention;

	all = xcalloc((size_t)n * 2 + 1, sizeof(*all));
	for (i = 0; i < m->n_contention; i++) {
		all[i] = m->contention[i];
		if (strcmp(all[i].tier, "shm"))
			continue;
		all[n] = all[i];
		snprintf(all[n].tier, sizeof(all[n].tier), "network");
		n++;
	}
	free(m->contention);
	m->contention = all;
	m->n_contention = n;
}

/* One host's shared memory stands for the network, too. */
static void shm_is_network(struct measured *m)
{
	struct measured_curve *all = xcalloc((size_t)m->n_curves * 2 + 1,
					     sizeof(*all));
	int i, n = 0;

	for (i = 0; i < m->n_curves; i++)
		all[n++] = m->curve[i];
	for (i = 0; i < m->n_curves; i++) {
		if (strcmp(m->curve[i].tier, "shm"))
			continue;
		all[n] = m->curve[i];
		snprintf(all[n].tier, sizeof(all[n].tier), "network");
		n++;
	}
	free(m->curve);
	m->curve = all;
	m->n_curves = n;
	shm_contention_is_network(m);
}

/* The tier that profile.inter names is what is between the nodes. */
static void choose_inter(struct measured *m, enum profile_inter inter)
{
	if (inter != PROFILE_SOCKET)
		drop_tier(m, "socket");
	if (inter != PROFILE_NETWORK)
		drop_tier(m, "network");
	if (inter == PROFILE_SHM)
		shm_is_network(m);
}

static bool between_nodes(const char *tier)
{
	return !strcmp(tier, "network") || !strcmp(tier, "socket");
}

/*
 * Of shipped measurements: an exchange of few ranks does not say what more
 * of them cost (messages, rings, uplinks), and the GPU file's constants were
 * fitted to whole hosts. Curves of fewer ranks than the group has go.
 */
static void drop_smaller(struct measured *m, const struct cluster *c)
{
	int i, n = 0;

	for (i = 0; i < m->n_curves; i++) {
		const struct measured_curve *curve = &m->curve[i];
		int group = between_nodes(curve->tier) ? c->nodes :
			c->gpus_per_node;

		if (!sample_op_is_exchange(curve->op) || curve->ranks >= group)
			m->curve[n++] = *curve;
	}
	m->n_curves = n;
}

/* Keys comm.intra.* and comm.inter.* that the user set come back. */
static void restore_set_keys(struct scenario *s, const struct scenario *was)
{
	size_t i;

	for (i = 0; i < n_scenario_keys; i++) {
		const struct key_row *row = &scenario_keys[i];

		if (strncmp(row->name, "comm.int", strlen("comm.int")) ||
		    !strcmp(scenario_where(s, row->name), "default"))
			continue;
		memcpy((char *)s + row->offset,
		       (const char *)was + row->offset, key_field_size(row));
		/* they are for all collectives of the tier */
		if (!strncmp(row->name, "comm.intra", strlen("comm.intra")))
			memset(s->cluster.gpu.intra_op, 0,
			       sizeof(s->cluster.gpu.intra_op));
		else
			memset(s->cluster.gpu.inter_op, 0,
			       sizeof(s->cluster.gpu.inter_op));
	}
}

static bool has_database(const struct scenario *s)
{
	return s->profile.db && *s->profile.db;
}

/* The database, else what the GPU's file names; "": neither. */
static const char *source_name(const struct scenario *s)
{
	return has_database(s) ? s->profile.db : s->cluster.gpu.measured;
}

static void note_part(struct buf *out, bool there, const char *what)
{
	if (there)
		buf_addf(out, "%s%s", out->len ? ", " : "", what);
}

static void make_note(struct profile_use *u, const struct scenario *s)
{
	struct buf parts = { 0 };
	char *copy = xstrdup(source_name(s));

	note_part(&parts,
		  measured_has_products(&u->measured, s->model.dtype),
		  "products");
	note_part(&parts, u->fold.intra.curve, "exchanges inside a node");
	note_part(&parts, u->fold.inter.curve, "exchanges between nodes");
	note_part(&parts, u->fold.memory.curve, "memory");
	if (!parts.len)
		buf_puts(&parts, "nothing that this scenario needs");
	snprintf(u->note, sizeof(u->note), "measured (%s: %s): %s; the rest: "
		 "GPU data sheet and named efficiencies", basename(copy),
		 u->measured.source, buf_str(&parts));
	free(copy);
	buf_release(&parts);
}

static const char *gpu_name(const struct scenario *s)
{
	const struct gpu *g = &s->cluster.gpu;

	return *g->name ? g->name : g->type;
}

static enum status read_database(const struct scenario *s,
				 struct measured *out)
{
	struct store *db;
	enum status st = store_open(s->profile.db, STORE_READ, &db);

	if (st)
		return err_prefix(st, "%s: profile.db",
				  scenario_where(s, "profile.db"));
	st = fit_measured_gpu(db, gpu_name(s), out);
	store_close(db);
	return st ? err_prefix(st, "%s", s->profile.db) : ST_OK;
}

static enum status read_shipped(const struct scenario *s,
				struct measured *out)
{
	enum status st = measured_load(s->cluster.gpu.measured, out);

	return st ? err_prefix(st, "GPU '%.60s': measured", gpu_name(s)) :
		ST_OK;
}

static enum status read_source(const struct scenario *s, struct measured *out)
{
	return has_database(s) ? read_database(s, out) : read_shipped(s, out);
}

/* A copy that borrows the tables: they are large and never change. */
static void borrow(struct profile_use *u, const struct measured *m)
{
	size_t curves = (size_t)m->n_curves, pairs = (size_t)m->n_contention;

	u->measured = *m;
	u->borrows = true;
	u->measured.curve = xcalloc(curves + 1, sizeof(*m->curve));
	u->measured.contention = xcalloc(pairs + 1, sizeof(*m->contention));
	if (curves)
		memcpy(u->measured.curve, m->curve,
		       curves * sizeof(*m->curve));
	if (pairs)
		memcpy(u->measured.contention, m->contention,
		       pairs * sizeof(*m->contention));
}

static enum status read_cached(struct profile_use *u,
			       const struct scenario *s,
			       struct profile_cache *c)
{
	char *name = xasprintf("%s: %s", source_name(s), gpu_name(s));
	enum status st = ST_OK;

	if (!c->name) {
		st = read_source(s, &c->measured);
		if (!st)
			c->name = xstrdup(name);
	}
	if (!st && !strcmp(c->name, name))
		borrow(u, &c->measured);
	else if (!st)
		st = read_source(s, &u->measured);
	free(name);
	return st;
}

void profile_cache_release(struct profile_cache *c)
{
	measured_release(&c->measured);
	free(c->name);
	*c = (struct profile_cache){ 0 };
}

enum status profile_use_load(struct profile_use *u, struct scenario *s)
{
	return profile_use_load_cached(u, s, NULL);
}

enum status profile_use_load_cached(struct profile_use *u, struct scenario *s,
				    struct profile_cache *cache)
{
	const struct scenario was = *s;
	enum status st;

	*u = (struct profile_use){ 0 };
	if (!*source_name(s) || s->profile.use == PROFILE_OFF)
		return ST_OK;
	st = cache ? read_cached(u, s, cache) : read_source(s, &u->measured);
	if (st)
		return st;
	u->active = true;
	choose_inter(&u->measured, s->profile.inter);
	if (!has_database(s))
		drop_smaller(&u->measured, &s->cluster);
	if (!fit_gpu_matches(gpu_name(s), u->measured.gpu))
		cli_warn("'%s' was measured on '%s', the scenario's GPU is "
			 "'%s'", source_name(s), u->measured.gpu, gpu_name(s));
	u->fold = measured_apply(&u->measured, &s->cluster);
	restore_set_keys(s, &was);
	u->measured.use = &u->seen;
	s->measured = &u->measured;
	make_note(u, s);
	return ST_OK;
}

void profile_use_release(struct profile_use *u)
{
	if (u->borrows) {
		u->measured.table = NULL;
		u->measured.n_tables = 0;
	}
	measured_release(&u->measured);
	*u = (struct profile_use){ 0 };
}

/* ---- range ---- */

struct range {
	int outside;	/* ops */
	double least, most;	/* bytes of them */
};

static void range_add(struct range *r, const struct measured_part *p,
		      double bytes)
{
	if (!p->curve || !(bytes > 0) ||
	    (bytes >= p->min_bytes && bytes <= p->max_bytes))
		return;
	r->least = r->outside ? fmin(r->least, bytes) : bytes;
	r->most = fmax(r->most, bytes);
	r->outside++;
}

static void range_warn(const struct range *r, const struct measured_part *p,
		       const char *what)
{
	char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX], c[UNIT_TEXT_MAX];
	char d[UNIT_TEXT_MAX];

	if (!r->outside)
		return;
	cli_warn("forecast leaves the measured range: %d exchange%s %s of "
		 "%s..%s per rank, measured %s..%s", r->outside,
		 r->outside == 1 ? "" : "s", what,
		 unit_human(r->least, U_BYTES, a, sizeof(a)),
		 unit_human(r->most, U_BYTES, b, sizeof(b)),
		 unit_human(p->min_bytes, U_BYTES, c, sizeof(c)),
		 unit_human(p->max_bytes, U_BYTES, d, sizeof(d)));
}

/* Bytes of the busiest rank; a step without ramp knows only its link's. */
static double step_bytes(const struct net *net, const struct coll_step *s)
{
	if (s->busiest_bytes > 0 || s->busiest_link < 0)
		return s->busiest_bytes;
	return s->bound_s * net->capacity_Bps[s->busiest_link];
}

static void warn_exchanges(const struct profile_use *u,
			   const struct evaluation *e)
{
	struct range intra = { 0 }, inter = { 0 };
	int i;

	for (i = 0; i < e->program.n_ops; i++) {
		const struct op *op = &e->program.op[i];
		const struct coll_step *step = cost_op_step(e->cost, op);
		double bytes;

		if (!step)
			continue;
		bytes = step_bytes(&e->net, step) / op->n_chunks;
		if (op->lane == LANE_INTRA)
			range_add(&intra, &u->fold.intra, bytes);
		else
			range_add(&inter, &u->fold.inter, bytes);
	}
	range_warn(&intra, &u->fold.intra, "inside a node");
	range_warn(&inter, &u->fold.inter, "between nodes");
}

/* Products with less of all ops' time than that do not matter. */
#define OUTSIDE_SHARE 0.05

static void warn_products(const struct profile_use *u,
			  const struct evaluation *e)
{
	const struct product_point *p = &u->seen.worst;
	double all = 0, outside = 0;
	int i;

	for (i = 0; i < e->program.n_ops; i++) {
		all += cost_op(e->cost, &e->program.op[i]);
		outside += cost_op_outside(e->cost, &e->program.op[i]);
	}
	if (outside > OUTSIDE_SHARE * all)
		cli_warn("forecast leaves the measured range: products with "
			 "%.0f %% of the time, most of it %.9g of %.9g x %.9g "
			 "x %.9g; roofline instead", 100 * outside / all,
			 p->batch, p->m, p->n, p->k);
}

enum status profile_use_warn(struct profile_use *u, const struct scenario *s,
			     const struct plan *p)
{
	struct evaluation e;
	enum status st;

	if (!u->active)
		return ST_OK;
	u->seen = (struct measured_use){ 0 };	/* of this plan alone */
	st = evaluate_plan(s, p, EXEC_LANE, NULL, &e);
	if (st)
		return st;
	warn_exchanges(u, &e);
	if (measured_has_products(&u->measured, s->model.dtype))
		warn_products(u, &e);
	evaluation_release(&e);
	return ST_OK;
}

void profile_use_json(const struct profile_use *u, json_t *root)
{
	enum curve_source source = u->active ? CURVE_MEASURED :
		CURVE_DATASHEET;

	json_object_set_new(root, "costs",
			    json_string(curve_source_name(source)));
	if (u->active)
		json_object_set_new(root, "cost_note", json_string(u->note));
}
