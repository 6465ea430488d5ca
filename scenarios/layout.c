/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/layout.h"

#include "scenarios/keys.h"
#include "scenarios/scenario.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYOUTS_MAX 65536	/* of one scenario */
#define DIVISORS_MAX 512	/* numbers up to RANKS_MAX have at most 240 */

int layout_tokens(const struct layout *l, const struct model *m)
{
	int64_t tokens = (int64_t)m->sequence * m->batch_per_gpu;

	return (int)((tokens + l->tp - 1) / l->tp);
}

/* A refusal: which key, and the message without its place. Checks take NULL
 * where only the answer matters. */
struct fault {
	const char *key;
	char text[320];
};

static bool fail(struct fault *f, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool fail(struct fault *f, const char *key, const char *fmt, ...)
{
	va_list ap;

	if (!f)
		return false;
	f->key = key;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return false;
}

static bool experts_fit(int experts, int ep)
{
	return experts % ep == 0 || ep % experts == 0;
}

/* The ep nearest to `ep` that fits the experts and the number of GPUs. */
static int nearest_ep(int experts, int gpus, int ep)
{
	int d, best = 1;

	for (d = 1; d <= gpus; d++) {
		if (gpus % d == 0 && experts_fit(experts, d) &&
		    abs(d - ep) < abs(best - ep))
			best = d;
	}
	return best;
}

static bool fail_experts(struct fault *f, int experts, int gpus, int ep)
{
	if (!f)	/* before nearest_ep(), which takes a while */
		return false;
	return fail(f, "layout.ep", "%d neither divides the %d experts nor "
		    "is a multiple of them; the nearest that does is %d", ep,
		    experts, nearest_ep(experts, gpus, ep));
}

/* a x b, held at RANKS_MAX + 1: larger than any cluster. */
static int times(int a, int b)
{
	int64_t product = (int64_t)a * b;

	return product > RANKS_MAX ? RANKS_MAX + 1 : (int)product;
}

static bool check_product(const struct layout *l, const struct cluster *c,
			  struct fault *f)
{
	int used = times(times(l->pp, l->dp), times(l->ep, l->esp));

	if (used == cluster_gpus(c))
		return true;
	return fail(f, "layout.dp", "pp %d x dp %d x ep %d x esp %d is not "
		    "the number of GPUs, %d (%d nodes x %d)", l->pp, l->dp,
		    l->ep, l->esp, cluster_gpus(c), c->nodes,
		    c->gpus_per_node);
}

static bool check_esp(const struct layout *l, const struct cluster *c,
		      const struct model *m, struct fault *f)
{
	if (c->gpus_per_node % l->esp)
		return fail(f, "layout.esp", "%d does not divide the %d GPUs "
			    "of a node", l->esp, c->gpus_per_node);
	if (m->expert_ffn % l->esp)
		return fail(f, "layout.esp", "%d does not divide "
			    "model.expert_ffn, %d", l->esp, m->expert_ffn);
	return true;
}

static bool check(const struct layout *l, const struct cluster *c,
		  const struct model *m, struct fault *f)
{
	if (l->ep < 1 || l->esp < 1 || l->tp < 1 || l->dp < 1 || l->pp < 1)
		return fail(f, "layout", "a degree is below 1");
	if (!experts_fit(m->experts, l->ep))
		return fail_experts(f, m->experts, cluster_gpus(c), l->ep);
	if (!check_esp(l, c, m, f))
		return false;
	if (l->pp > m->layers)
		return fail(f, "layout.pp", "%d is more than the %d layers",
			    l->pp, m->layers);
	if (!check_product(l, c, f))
		return false;
	if (times(times(l->ep, l->esp), l->dp) % l->tp)
		return fail(f, "layout.tp", "%d does not divide the %d GPUs "
			    "of a pipeline stage", l->tp,
			    times(times(l->ep, l->esp), l->dp));
	return true;
}

enum status layout_check(const struct layout *l, const struct cluster *c,
			 const struct model *m)
{
	struct fault f;

	if (check(l, c, m, &f))
		return ST_OK;
	return err_set(ST_INPUT, "key '%s': %s", f.key, f.text);
}

/* The values of a knob, auto: the divisors of n. */
struct choice {
	int n;
	int v[DIVISORS_MAX];
};

static void choose(const struct knob_int *k, int n, struct choice *out)
{
	int d;

	out->n = 0;
	if (!k->is_auto) {
		memcpy(out->v, k->v, sizeof(k->v));
		out->n = k->n;
		return;
	}
	for (d = 1; d <= n; d++) {
		if (n % d == 0 && out->n < DIVISORS_MAX)
			out->v[out->n++] = d;
	}
}

struct listing {
	const struct scenario *s;
	struct choice pp, esp, ep, tp;	/* dp depends on the others */
	struct layout *found;
	size_t n, cap;
	bool failed;
	struct fault first;	/* when failed */
};

static bool passes(struct listing *ls, const struct layout *l)
{
	const struct scenario *s = ls->s;

	if (check(l, &s->cluster, &s->model, ls->failed ? NULL : &ls->first))
		return true;
	ls->failed = true;
	return false;
}

static enum status add(struct listing *ls, const struct layout *l)
{
	if (!passes(ls, l))
		return ST_OK;
	if (ls->n == LAYOUTS_MAX)
		return err_set(ST_INPUT, "%s: more than %d layouts; give "
			       "layout.tp, layout.pp or layout.ep",
			       ls->s->path ? ls->s->path : "layout",
			       LAYOUTS_MAX);
	ls->found = array_grow(ls->found, &ls->cap, ls->n + 1,
			       sizeof(*ls->found));
	ls->found[ls->n++] = *l;
	return ST_OK;
}

static enum status add_all_tp(struct listing *ls, struct layout *l)
{
	enum status st = ST_OK;
	int i;

	l->tp = 1;
	if (!passes(ls, l))
		return ST_OK;
	for (i = 0; i < ls->tp.n && !st; i++) {
		l->tp = ls->tp.v[i];
		st = add(ls, l);
	}
	return st;
}

/* dp: the list, or what pp, ep and esp leave of the cluster. */
static enum status add_all_dp(struct listing *ls, struct layout *l)
{
	const struct knob_int *dp = &ls->s->layout.dp;
	int used = times(times(l->pp, l->ep), l->esp);
	enum status st = ST_OK;
	int i;

	if (dp->is_auto) {
		l->dp = cluster_gpus(&ls->s->cluster) / used;
		/* 0: too large; 1 says so in the message */
		l->dp = l->dp ? l->dp : 1;
		return add_all_tp(ls, l);
	}
	for (i = 0; i < dp->n && !st; i++) {
		l->dp = dp->v[i];
		st = add_all_tp(ls, l);
	}
	return st;
}

static enum status add_all(struct listing *ls)
{
	struct layout l;
	enum status st = ST_OK;
	int i, j, k;

	for (i = 0; i < ls->pp.n; i++) {
		for (j = 0; j < ls->esp.n; j++) {
			for (k = 0; k < ls->ep.n && !st; k++) {
				l = (struct layout){ .pp = ls->pp.v[i],
						     .esp = ls->esp.v[j],
						     .ep = ls->ep.v[k] };
				st = add_all_dp(ls, &l);
			}
		}
	}
	return st;
}

enum status layout_enumerate(const struct scenario *s, struct layout **out_p,
			     int *n_p)
{
	struct listing ls = { .s = s };
	int gpus = cluster_gpus(&s->cluster);
	enum status st;

	choose(&s->layout.pp, gpus, &ls.pp);
	choose(&s->layout.esp, s->cluster.gpus_per_node, &ls.esp);
	choose(&s->layout.ep, gpus, &ls.ep);
	choose(&s->layout.tp, s->cluster.gpus_per_node, &ls.tp);
	st = add_all(&ls);
	/* dp was what the others left: they are to blame */
	if (ls.failed && s->layout.dp.is_auto &&
	    !strcmp(ls.first.key, "layout.dp"))
		ls.first.key = "layout.ep";
	if (!st && !ls.n)
		st = err_set(ST_INPUT, "%s: key '%s': %s",
			     scenario_where(s, ls.first.key), ls.first.key,
			     ls.first.text);
	if (st) {
		free(ls.found);
		return st;
	}
	*out_p = ls.found;
	*n_p = (int)ls.n;
	return ST_OK;
}
