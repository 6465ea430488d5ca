/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/validate.h"

#include "base/accuracy.h"
#include "base/buf.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Times side by side of what was measured. */
struct times {
	double *predicted, *measured;	/* owned */
	int *trial;	/* owned: which one */
	int n;
};

static struct times times_new(size_t cap)
{
	return (struct times){
		xcalloc(cap + 1, sizeof(double)),
		xcalloc(cap + 1, sizeof(double)),
		xcalloc(cap + 1, sizeof(int)), 0
	};
}

static void times_release(struct times *t)
{
	free(t->predicted);
	free(t->measured);
	free(t->trial);
}

/* Steps; of plans that drop no more than they may; forward passes. */
enum times_of { TIMES_STEP, TIMES_ALLOWED, TIMES_FORWARD };

static void times_add(const struct contest *c, enum times_of of,
		      struct times *t)
{
	bool forward = of == TIMES_FORWARD;
	const struct trial *k;
	double measured;
	size_t i;

	for (i = 0; i < c->n; i++) {
		k = &c->trial[i];
		measured = forward ? k->measured_forward_s :
			k->measured_step_s;
		if (!(measured > 0) || (of == TIMES_ALLOWED && !k->allowed))
			continue;
		t->predicted[t->n] = forward ? k->forward_s : k->step_s;
		t->measured[t->n] = measured;
		t->trial[t->n++] = (int)i;
	}
}

static bool is_plan(const struct trial *t, const char *text)
{
	struct buf plan = { 0 };
	bool is;

	plan_print(&t->plan, &plan);
	is = !strcmp(buf_str(&plan), text);
	buf_release(&plan);
	return is;
}

/* The row of the planner's own choice; -1: it was not run. */
static int planned_row(const struct contest *c, const struct times *t)
{
	int i;

	for (i = 0; *c->chosen && i < t->n; i++) {
		if (is_plan(&c->trial[t->trial[i]], c->chosen))
			return i;
	}
	return -1;
}

/* What the choice costs; the planner's own, else the least foretold. */
static void judge_choice(const struct contest *c, const struct times *t,
			 struct verdict *out)
{
	int chosen = planned_row(c, t), fastest;

	if (!t->n)
		return;
	if (chosen < 0)
		chosen = accuracy_least(t->predicted, t->n);
	fastest = accuracy_least(t->measured, t->n);
	out->chosen = t->trial[chosen];
	out->fastest = t->trial[fastest];
	out->regret = t->measured[chosen] / t->measured[fastest] - 1;
	out->chosen_fastest = chosen == fastest;
}

void contest_judge(const struct contest *c, struct verdict *out)
{
	struct times t = times_new(c->n), allowed = times_new(c->n);
	int i;

	*out = (struct verdict){ .chosen = -1, .fastest = -1 };
	times_add(c, TIMES_STEP, &t);
	times_add(c, TIMES_ALLOWED, &allowed);
	out->n = t.n;
	out->mean = accuracy_mean(t.predicted, t.measured, t.n);
	out->p95 = accuracy_quantile(t.predicted, t.measured, t.n, 0.95);
	out->tau = accuracy_tau(t.predicted, t.measured, t.n, 0);
	out->tau_apart = accuracy_tau(t.predicted, t.measured, t.n,
				      TAU_APART);
	for (i = 0; i < t.n; i++)
		out->wrong += c->trial[t.trial[i]].wrong > 0;
	judge_choice(c, &allowed, out);
	times_release(&t);
	times_release(&allowed);
}

static void judge_rows(const struct contests *all, struct summary *out)
{
	size_t i, cap = 0;
	struct times t, f;
	int r;

	for (i = 0; i < all->n; i++)
		cap += all->c[i]->n;
	t = times_new(cap);
	f = times_new(cap);
	for (i = 0; i < all->n; i++) {
		times_add(all->c[i], TIMES_STEP, &t);
		times_add(all->c[i], TIMES_FORWARD, &f);
	}
	out->n = t.n;
	out->mean = accuracy_mean(t.predicted, t.measured, t.n);
	out->p95 = accuracy_quantile(t.predicted, t.measured, t.n, 0.95);
	out->forward_mean = accuracy_mean(f.predicted, f.measured, f.n);
	for (r = 0; r < t.n; r++)
		out->worst = fmax(out->worst, fabs(accuracy_error(
			t.predicted[r], t.measured[r])));
	times_release(&t);
	times_release(&f);
}

/* Mean of what is a number; NAN when nothing is. */
struct mean {
	double sum, least, most;
	int n;
};

static void mean_add(struct mean *m, double v)
{
	if (isnan(v))
		return;
	m->least = m->n ? fmin(m->least, v) : v;
	m->most = m->n ? fmax(m->most, v) : v;
	m->sum += v;
	m->n++;
}

static double mean_of(const struct mean *m)
{
	return m->n ? m->sum / m->n : NAN;
}

void validate_judge(const struct contests *all, struct summary *out)
{
	struct mean tau = { 0 }, apart = { 0 }, regret = { 0 }, hit = { 0 };
	struct verdict *v;
	size_t i;

	*out = (struct summary){ 0 };
	out->each = xcalloc(all->n + 1, sizeof(*out->each));
	for (i = 0; i < all->n; i++) {
		v = &out->each[i];
		contest_judge(all->c[i], v);
		out->wrong += v->wrong;
		if (!v->n)
			continue;
		mean_add(&tau, v->tau);
		mean_add(&apart, v->tau_apart);
		mean_add(&regret, v->regret);
		mean_add(&hit, v->chosen_fastest);
	}
	judge_rows(all, out);
	out->tau = mean_of(&tau);
	out->tau_least = tau.n ? tau.least : NAN;
	out->tau_apart = mean_of(&apart);
	out->regret = regret.n ? mean_of(&regret) : 0;
	out->regret_most = regret.most;
	out->chosen_fastest = hit.n ? mean_of(&hit) : 0;
}

void summary_release(struct summary *s)
{
	free(s->each);
	*s = (struct summary){ 0 };
}
