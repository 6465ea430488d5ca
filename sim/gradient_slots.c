/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/gradient_slots.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/order_search.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of pieces that are tried. */
static const int pieces_tried[] = { 1, 2, 4 };
#define PIECES_TRIED 3
#define BISECTIONS 40
/* Looked at for one size where all ops may move: there are many sizes. */
#define SLOTS_NODES 200

/*
 * A backward pass with pieces of a reduction. line[]: ops in the plan's order
 * without the pieces; op and piece numbers are the program's. prog has both
 * passes, the backward one dispatch-first.
 */
struct slots_program {
	struct program prog;
	uint64_t *time_ps;	/* of its ops; the pieces' are set for a size */
	int *line, n_line;
	int piece[PLAN_PIECES_MAX], n_pieces, lane;
};

struct gradient_slots {
	double alpha_s, plain_s, step_s;
	struct slots_program with[PIECES_TRIED];
	/* at multiples of step_s: the best place, FSMoE's */
	double table[GRADIENT_SLOTS + 1], fsmoe[GRADIENT_SLOTS + 1];
	double hides_s;
	bool has_slots;		/* else nothing is summed beside a layer */
	bool may_move, has_table;
};

static int pieces_of(const struct program *p, int *piece)
{
	int n = 0;

	for (int i = p->n_forward; i < p->n_ops; i++) {
		if (p->op[i].kind == OP_ALLREDUCE_GATE &&
		    p->op[i].step == ALLREDUCE_DENSE)
			piece[n++] = i;
	}
	return n;
}

/* The op of p that does what `o` does; -1: none. */
static int same_op(const struct program *p, const struct op *o)
{
	for (int i = 0; i < p->n_ops; i++) {
		const struct op *q = &p->op[i];

		if (q->kind == o->kind && q->step == o->step &&
		    q->chunk == o->chunk && q->backward == o->backward)
			return i;
	}
	return -1;
}

/* The plan with pieces, dispatch-first; times and order from its run. */
static enum status slots_lower(const struct gradient_slots_spec *spec,
			       int pieces, struct slots_program *s)
{
	const struct program *from = spec->program;
	struct plan plan = from->plan;
	enum status st;

	plan.order[0] = plan.order[1] = (struct pass_order){ 0 };
	plan.gradient_bytes = 1;	/* times are set by hand */
	plan.gradient_pieces = pieces > 1 ? pieces : 0;
	st = program_lower(&plan, spec->cluster, spec->model, &s->prog);
	if (st)
		return st;
	s->n_pieces = pieces_of(&s->prog, s->piece);
	s->lane = s->n_pieces ? (int)s->prog.op[s->piece[0]].lane : -1;
	s->time_ps = xcalloc((size_t)s->prog.n_ops, sizeof(*s->time_ps));
	s->line = xcalloc((size_t)s->prog.n_ops, sizeof(*s->line));
	for (int i = 0; i < from->n_ops; i++) {
		int at = same_op(&s->prog, &from->op[i]);

		if (at < 0 || (from->op[i].kind == OP_ALLREDUCE_GATE &&
			       from->op[i].step == ALLREDUCE_DENSE))
			continue;
		s->time_ps[at] = spec->exec->op[i].finish_ps -
			spec->exec->op[i].start_ps;
		if (i >= from->n_forward)
			s->line[s->n_line++] = at;
	}
	return ST_OK;
}

/* ---- places in the plan's order ---- */

/* The pass in the order of `line`, its lanes free when it begins. */
static uint64_t run_line(const struct slots_program *s, const int *line,
			 int n, uint64_t *end)
{
	uint64_t lane[LANES_ALL] = { 0 }, last = 0;

	for (int k = 0; k < n; k++) {
		const struct op *o = &s->prog.op[line[k]];
		uint64_t at = lane[o->lane];

		for (int d = 0; d < o->n_deps; d++) {
			if (o->dep[d] >= s->prog.n_forward &&
			    end[o->dep[d]] > at)
				at = end[o->dep[d]];
		}
		at += s->time_ps[line[k]];
		end[line[k]] = lane[o->lane] = at;
		if (at > last)
			last = at;
	}
	return last;
}

static void line_insert(int *line, int n, int at, int op)
{
	memmove(line + at + 1, line + at, (size_t)(n - at) * sizeof(*line));
	line[at] = op;
}

/*
 * Puts the piece where the pass is shortest, not before `from` of the line;
 * returns the place. The first op is what all wait for.
 */
static int place_piece(const struct slots_program *s, int *line, int n,
		       int from, int op, uint64_t *best_p, uint64_t *end)
{
	uint64_t best = UINT64_MAX;
	int best_at = from;

	for (int at = from; at <= n; at++) {
		uint64_t t;

		/* places between ops of other lanes are one place */
		if (at < n && (int)s->prog.op[line[at]].lane != s->lane)
			continue;
		line_insert(line, n, at, op);
		t = run_line(s, line, n + 1, end);
		memmove(line + at, line + at + 1,
			(size_t)(n - at) * sizeof(*line));
		if (t < best) {
			best = t;
			best_at = at;
		}
	}
	line_insert(line, n, best_at, op);
	*best_p = best;
	return best_at;
}

static uint64_t in_line(const struct slots_program *s)
{
	int n = s->n_line, from = 1;
	size_t room = (size_t)s->prog.n_ops;
	int *line = xcalloc(room, sizeof(*line));
	uint64_t *end = xcalloc(room, sizeof(*end)), t = 0;

	memcpy(line, s->line, (size_t)n * sizeof(*line));
	for (int i = 0; i < s->n_pieces; i++)
		from = place_piece(s, line, n++, from, s->piece[i], &t, end) +
			1;
	free(end);
	free(line);
	return t;
}

/* After the last exchange to the experts; where there is none, first. */
static uint64_t in_fsmoe_place(const struct slots_program *s)
{
	int n = s->n_line, at = 1;
	size_t room = (size_t)s->prog.n_ops;
	int *line = xcalloc(room, sizeof(*line));
	uint64_t *end = xcalloc(room, sizeof(*end)), t;

	memcpy(line, s->line, (size_t)n * sizeof(*line));
	for (int i = 0; i < n; i++) {
		if (s->prog.op[line[i]].kind == OP_COMBINE_BWD &&
		    (int)s->prog.op[line[i]].lane == s->lane)
			at = i + 1;
	}
	line_insert(line, n, at, s->piece[0]);
	t = run_line(s, line, n + 1, end);
	free(end);
	free(line);
	return t;
}

/* ---- sizes ---- */

static void set_size(const struct gradient_slots *g, struct slots_program *s,
		     double gradient_s)
{
	double each = fmax(0, gradient_s - g->alpha_s) / s->n_pieces +
		fmin(gradient_s, g->alpha_s);

	for (int i = 0; i < s->n_pieces; i++)
		s->time_ps[s->piece[i]] = ps_from_s(each);
}

static double exact(struct gradient_slots *g, double gradient_s,
		    int *pieces_p)
{
	uint64_t best = UINT64_MAX;

	*pieces_p = 0;
	if (!(gradient_s > 0))
		return g->plain_s;
	for (int k = 0; k < PIECES_TRIED; k++) {
		struct slots_program *s = &g->with[k];
		struct order_found f;
		uint64_t t;

		set_size(g, s, gradient_s);
		t = in_line(s);
		if (g->may_move) {
			order_search(&s->prog, 1, s->time_ps, SLOTS_NODES, &f);
			t = f.time_ps < t ? f.time_ps : t;
		}
		if (t < best) {
			best = t;
			*pieces_p = s->n_pieces;
		}
	}
	return s_from_ps(best);
}

double gradient_slots_exact(const void *moe, double gradient_s)
{
	/* only the pieces' times, which every call sets */
	struct gradient_slots *g = (struct gradient_slots *)moe;
	double s;
	int pieces, i;

	if (!g->has_slots)
		return g->plain_s + gradient_s;
	s = exact(g, gradient_s, &pieces);
	if (!g->has_table || !(g->step_s > 0))
		return s;
	/* what was found for a little less, or more, does it too */
	i = (int)fmin(gradient_s / g->step_s, GRADIENT_SLOTS);
	s = fmin(s, g->table[i] + gradient_s - i * g->step_s);
	return i < GRADIENT_SLOTS ? fmin(s, g->table[i + 1]) : s;
}

int gradient_slots_pieces(const void *moe, double gradient_s)
{
	struct gradient_slots *g = (struct gradient_slots *)moe;
	int pieces = 0;

	if (g->has_slots)
		exact(g, gradient_s, &pieces);
	return pieces;
}

double gradient_slots_fsmoe_exact(const void *moe, double gradient_s)
{
	struct gradient_slots *g = (struct gradient_slots *)moe;

	if (!(gradient_s > 0))
		return g->plain_s;
	if (!g->has_slots)
		return g->plain_s + gradient_s;
	set_size(g, &g->with[0], gradient_s);
	return s_from_ps(in_fsmoe_place(&g->with[0]));
}

static double look_up(const struct gradient_slots *g, const double *table,
		      double gradient_s)
{
	double over = gradient_s - GRADIENT_SLOTS * g->step_s, at;
	int i;

	/* what is longer than the pass cannot hide any more of itself */
	if (over >= 0)
		return table[GRADIENT_SLOTS] + over;
	at = gradient_s / g->step_s;
	i = (int)fmin(at, GRADIENT_SLOTS - 1);
	return table[i] + (at - i) * (table[i + 1] - table[i]);
}

double gradient_slots_pass(const void *moe, double gradient_s)
{
	const struct gradient_slots *g = moe;

	return look_up(g, g->table, gradient_s);
}

double gradient_slots_fsmoe(const void *moe, double gradient_s)
{
	const struct gradient_slots *g = moe;

	return look_up(g, g->fsmoe, gradient_s);
}

double gradient_slots_hides(const void *moe)
{
	return ((const struct gradient_slots *)moe)->hides_s;
}

/* The largest that FSMoE's place takes for nothing. */
static double find_hidden(const struct gradient_slots *g)
{
	double low = 0, high = g->plain_s;

	for (int i = 0; i < BISECTIONS && g->has_slots; i++) {
		double middle = (low + high) / 2;

		if (gradient_slots_fsmoe_exact(g, middle) <= g->plain_s)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void fill_table(struct gradient_slots *g)
{
	g->step_s = g->plain_s / GRADIENT_SLOTS;
	for (int i = 0; i <= GRADIENT_SLOTS; i++) {
		g->table[i] = gradient_slots_exact(g, i * g->step_s);
		g->fsmoe[i] = gradient_slots_fsmoe_exact(g, i * g->step_s);
	}
	/* less fits into the same places; more is at most so much longer */
	for (int i = GRADIENT_SLOTS - 1; i >= 0; i--)
		g->table[i] = fmin(g->table[i], g->table[i + 1]);
	for (int i = 1; i <= GRADIENT_SLOTS; i++)
		g->table[i] = fmin(g->table[i], g->table[i - 1] + g->step_s);
	g->has_table = true;
	g->hides_s = find_hidden(g);
}

enum status gradient_slots_new(const struct gradient_slots_spec *spec,
			       struct gradient_slots **out_p)
{
	struct gradient_slots *g = xcalloc(1, sizeof(*g));
	const struct exec_result *r = spec->exec;
	enum status st = ST_OK;

	g->alpha_s = spec->alpha_s;
	g->plain_s = s_from_ps(r->time_ps - r->forward_ps);
	g->may_move = spec->program->plan.technique_mask & 1u << TECH_ORDER;
	for (int k = 0; k < PIECES_TRIED && !st; k++)
		st = slots_lower(spec, pieces_tried[k], &g->with[k]);
	if (st) {
		gradient_slots_free(g);
		return st;
	}
	g->has_slots = g->with[0].n_pieces > 0;
	fill_table(g);
	*out_p = g;
	return ST_OK;
}

void gradient_slots_free(struct gradient_slots *g)
{
	for (int k = 0; g && k < PIECES_TRIED; k++) {
		program_release(&g->with[k].prog);
		free(g->with[k].time_ps);
		free(g->with[k].line);
	}
	free(g);
}
