/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_migrate.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct gpu_load {
	int sequences;	/* B */
	int longest;	/* L */
};

struct controller {
	const struct migrate_spec *spec;
	const struct sequences *s;
	struct gpu_load *load;	/* [gpus] */
	int *candidate;		/* [q], smallest f first */
	int n_candidates;
	double budget;		/* padded tokens of one GPU */
};

static double attention_s(const struct migrate_spec *m, double batch,
			  double length)
{
	double d = m->hidden;

	return (3 * batch * length * d * d + 2 * batch * length * length * d) /
		m->attention_macs;
}

static enum status spec_check(const struct migrate_spec *m)
{
	if (m->candidates < 1) {
		return err_set(ST_INPUT, "migration: %d candidates are not at "
			       "least 1", m->candidates);
	}
	if (!(m->slack >= 1)) {
		return err_set(ST_INPUT, "migration: slack '%g' is below 1",
			       m->slack);
	}
	if (!(m->attention_macs > 0 && m->link_Bps > 0 && m->row_bytes >= 0 &&
	      m->hidden >= 0)) {
		return err_set(ST_INPUT, "migration: rates must be positive");
	}
	return ST_OK;
}

static int larger(int a, int b)
{
	return a > b ? a : b;
}

/* Is GPU a a better home for sequence i than b, by what must be pulled? */
static bool pulls_less(const struct sequences *s, const int *row, int i, int a,
		       int b)
{
	if (row[a] != row[b]) {
		return row[a] > row[b];	/* more copies there: smaller f */
	}
	if (a == s->origin[i] || b == s->origin[i]) {
		return a == s->origin[i] && a != b;
	}
	return a < b;
}

/* The q best GPUs for sequence i, best first. */
static void list_candidates(struct controller *c, int i)
{
	const int *row = c->s->copies + (long)i * c->s->gpus;
	int q = c->spec->candidates < c->s->gpus ? c->spec->candidates :
		c->s->gpus;
	int n = 0;

	for (int j = 0; j < c->s->gpus; j++) {
		int at;

		/* most GPUs are worse than the last of a full list */
		if (n == q && row[j] < row[c->candidate[q - 1]]) {
			continue;
		}
		if (n == q && !pulls_less(c->s, row, i, j,
					  c->candidate[q - 1])) {
			continue;
		}
		n += n < q;
		for (at = n - 1; at > 0 && pulls_less(c->s, row, i, j,
					c->candidate[at - 1]); at--) {
			c->candidate[at] = c->candidate[at - 1];
		}
		c->candidate[at] = j;
	}
	c->n_candidates = n;
}

static double padded(const struct controller *c, int i, int j)
{
	const struct gpu_load *l = &c->load[j];

	return (l->sequences + 1.0) * larger(l->longest, c->s->length[i]);
}

static double growth(const struct controller *c, int i, int j)
{
	const struct gpu_load *l = &c->load[j];

	return attention_s(c->spec, l->sequences + 1,
			   larger(l->longest, c->s->length[i])) -
		attention_s(c->spec, l->sequences, l->longest);
}

/* Among the candidates with room, least growth; the first one on ties. */
static int choose_candidate(const struct controller *c, int i)
{
	double least = INFINITY;
	int best = -1;

	for (int n = 0; n < c->n_candidates; n++) {
		int j = c->candidate[n];
		double g;

		if (padded(c, i, j) > c->budget) {
			continue;
		}
		g = growth(c, i, j);
		if (g < least) {
			least = g;
			best = j;
		}
	}
	return best;
}

/* The next best GPU that has room; -1: none has. */
static int choose_any(const struct controller *c, int i)
{
	const int *row = c->s->copies + (long)i * c->s->gpus;
	int best = -1;

	for (int j = 0; j < c->s->gpus; j++) {
		if (padded(c, i, j) <= c->budget &&
		    (best < 0 || pulls_less(c->s, row, i, j, best))) {
			best = j;
		}
	}
	return best;
}

static int choose_emptiest(const struct controller *c, int i)
{
	int best = 0;

	for (int j = 1; j < c->s->gpus; j++) {
		best = padded(c, i, j) < padded(c, i, best) ? j : best;
	}
	return best;
}

static void assign(struct controller *c, struct migrate_result *r)
{
	for (int i = 0; i < c->s->n; i++) {
		int j;

		list_candidates(c, i);
		j = choose_candidate(c, i);
		if (j < 0) {
			j = choose_any(c, i);
		}
		if (j < 0) {
			j = choose_emptiest(c, i);
			r->overflow++;
		}
		r->home[i] = j;
		r->moved += j != c->s->origin[i];
		c->load[j].sequences++;
		c->load[j].longest = larger(c->load[j].longest,
					    c->s->length[i]);
	}
}

static void controller_init(struct controller *c,
			    const struct migrate_spec *spec,
			    const struct sequences *s)
{
	double each = ceil((double)s->n / s->gpus);
	int longest = 0;

	for (int i = 0; i < s->n; i++) {
		longest = larger(longest, s->length[i]);
	}
	*c = (struct controller){ .spec = spec, .s = s };
	c->budget = spec->slack * each * longest;
	c->load = xcalloc((size_t)s->gpus, sizeof(*c->load));
	c->candidate = xcalloc((size_t)(spec->candidates < s->gpus ?
					spec->candidates : s->gpus),
			       sizeof(*c->candidate));
}

/* ---- before and after ---- */

struct tally {
	double *sent, *received;	/* [gpus], rows */
	struct gpu_load *load;
};

static void add_sequence(const struct migrate_spec *m,
			 const struct sequences *s, int i, int home,
			 struct tally *t)
{
	const int *row = s->copies + (long)i * s->gpus;

	for (int j = 0; j < s->gpus; j++) {
		t->sent[j] += row[j];
	}
	t->sent[home] -= row[home];
	t->received[home] += s->total[i] - row[home];
	if (home != s->origin[i] && !m->post_norm) {
		t->sent[s->origin[i]] += s->length[i];
		t->received[home] += s->length[i];
	}
	t->load[home].sequences++;
	t->load[home].longest = larger(t->load[home].longest, s->length[i]);
}

static struct migrate_side measure(const struct migrate_spec *m,
				   const struct sequences *s, const int *home)
{
	size_t n = (size_t)s->gpus;
	struct tally t = {
		.sent = xcalloc(n, sizeof(double)),
		.received = xcalloc(n, sizeof(double)),
		.load = xcalloc(n, sizeof(*t.load)),
	};
	struct migrate_side side = { 0 };

	for (int i = 0; i < s->n; i++) {
		add_sequence(m, s, i, home[i], &t);
	}
	for (int j = 0; j < s->gpus; j++) {
		double a = attention_s(m, t.load[j].sequences,
				       t.load[j].longest);

		side.bytes += m->row_bytes * t.received[j];
		side.busiest_bytes = fmax(side.busiest_bytes, m->row_bytes *
					  fmax(t.sent[j], t.received[j]));
		side.attention_s = fmax(side.attention_s, a);
		side.attention_mean_s += a / s->gpus;
	}
	free(t.sent);
	free(t.received);
	free(t.load);
	return side;
}

enum status migrate_run(const struct migrate_spec *spec,
			const struct sequences *s,
			struct migrate_result *out)
{
	enum status st = spec_check(spec);
	struct migrate_result r = { 0 };
	struct controller c;

	if (st) {
		return st;
	}
	r.home = xcalloc((size_t)s->n, sizeof(*r.home));
	controller_init(&c, spec, s);
	assign(&c, &r);
	free(c.load);
	free(c.candidate);
	for (int i = 0; i < s->n && !spec->post_norm; i++) {
		r.residual_bytes += r.home[i] == s->origin[i] ? 0 :
			spec->row_bytes * s->length[i];
	}
	r.before = measure(spec, s, s->origin);
	r.after = measure(spec, s, r.home);
	r.pays = r.after.busiest_bytes / spec->link_Bps + r.after.attention_s <
		r.before.busiest_bytes / spec->link_Bps + r.before.attention_s;
	*out = r;
	return ST_OK;
}

void migrate_result_release(struct migrate_result *r)
{
	free(r->home);
	*r = (struct migrate_result){ 0 };
}

void migrate_traffic(const struct sequences *s, const int *home,
		     double row_bytes, struct traffic *out)
{
	size_t n = (size_t)s->gpus;

	*out = (struct traffic){ .n_ranks = s->gpus };
	out->bytes = xcalloc(n * n, sizeof(*out->bytes));
	for (int i = 0; i < s->n; i++) {
		const int *row = s->copies + (long)i * s->gpus;

		for (int j = 0; j < s->gpus; j++) {
			out->bytes[(size_t)j * n + (size_t)home[i]] +=
				row_bytes * row[j];
		}
	}
}

/* ---- costs ---- */

#define ID_BYTES 4.0

static double share(double after, double before)
{
	return before > 0 ? after / before : 1;
}

/*
 * Every GPU sends its tokens' sequence and GPUs to one machine, which sends
 * every sequence's home to all. The decision runs beside the experts.
 */
void migrate_effect_make(const struct migrate_spec *spec,
			 const struct sequences *s, double tokens_per_gpu,
			 int k, const struct migrate_result *r,
			 struct migrate_effect *out)
{
	double cells = (double)s->n * s->gpus;

	*out = (struct migrate_effect){
		.combine_share = share(r->after.bytes, r->before.bytes),
		.attention_share = share(r->after.attention_s,
					 r->before.attention_s),
		.controller_s = (cells + (double)s->n * spec->candidates) /
			MIGRATE_CELLS_PER_S,
		.forward = {
			.hbm_bytes = 2 * ID_BYTES * tokens_per_gpu * (k + 1),
			.kernels = 2,	/* fill the tables, apply the homes */
			.host_syncs = 1,
			.exchanges = 2,	/* gather, broadcast */
			.exchange_bytes = ID_BYTES *
				(tokens_per_gpu * (k + 1) + s->n),
			.messages = 2,
		},
	};
}
