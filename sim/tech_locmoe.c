/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_locmoe.h"
#include "sim/route.h"

#include "base/mem.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_multimin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status locmoe_scores(const struct tokens *t, int experts, double *score)
{
	if (experts < 1 || experts > t->dim) {
		return err_set(ST_INPUT, "locmoe: %d experts do not have a "
			       "slice of %d features each", experts, t->dim);
	}
	for (int i = 0; i < t->n; i++) {
		const float *x = tokens_at(t, i);

		for (int e = 0; e < experts; e++) {
			int begin = (int)((int64_t)e * t->dim / experts);
			int end = (int)((int64_t)(e + 1) * t->dim / experts);
			double sum = 0;

			for (int d = begin; d < end; d++) {
				sum += x[d];
			}
			*score++ = fmax(0, sum / (end - begin));
		}
	}
	return ST_OK;
}

static int local_experts(const struct locmoe_spec *s, int node)
{
	int n = 0;

	for (int e = 0; e < s->experts; e++) {
		n += locmoe_node(s, e) == node;
	}
	return n;
}

/* D_l of an expert; `local` experts are on the node, at least one. */
static double target(const struct locmoe_spec *s, int node, int local,
		     int expert)
{
	double even = s->epsilon / s->experts;

	return locmoe_node(s, expert) == node ?
		(1 - s->epsilon) / local + even : even;
}

double locmoe_divergence(const struct locmoe_spec *s, int node,
			 const double *share)
{
	int local = local_experts(s, node);
	double sum = 0;

	for (int e = 0; e < s->experts && local > 0; e++) {
		sum += share[e] > 0 ?
			share[e] * log(share[e] /
				       target(s, node, local, e)) : 0;
	}
	return sum;
}

/* ---- J(b) and its gradient ---- */

struct problem {
	const struct locmoe_spec *spec;
	const double *score;
	int tokens;
	double *p0;	/* [tokens * experts] */
	double *p;	/* the same at b */
	double *share;	/* [nodes * experts]: D_v */
	double *mean;	/* [experts]: Pbar */
	double *target;	/* [nodes * experts]: D_l; 0: node has none */
	int *size;	/* [nodes]: tokens */
};

static int node_of(const struct problem *q, int token)
{
	return (int)((int64_t)token * q->spec->nodes / q->tokens);
}

static void softmax(const double *s, const double *shift, int n, double *p)
{
	double most = -INFINITY, sum = 0;

	for (int e = 0; e < n; e++) {
		p[e] = s[e] + (shift ? shift[e] : 0);
		most = fmax(most, p[e]);
	}
	for (int e = 0; e < n; e++) {
		p[e] = exp(p[e] - most);
		sum += p[e];
	}
	for (int e = 0; e < n; e++) {
		p[e] /= sum;
	}
}

static void evaluate(struct problem *q, const gsl_vector *b)
{
	int n = q->spec->experts;
	size_t cells = (size_t)q->spec->nodes * (size_t)n;

	memset(q->share, 0, cells * sizeof(*q->share));
	memset(q->mean, 0, (size_t)n * sizeof(*q->mean));
	for (int t = 0; t < q->tokens; t++) {
		int v = node_of(q, t);
		double *p = q->p + (int64_t)t * n;

		softmax(q->score + (int64_t)t * n,
			b ? b->data + (int64_t)v * n : NULL, n, p);
		for (int e = 0; e < n; e++) {
			q->share[v * n + e] += p[e] / q->size[v];
		}
	}
	for (size_t i = 0; i < cells; i++) {
		q->mean[i % (size_t)n] += q->share[i] / q->spec->nodes;
	}
}

/* ln(p / p_0) without 0/0: both come from softmax, so p_0 = 0 means p ~ 0. */
static double log_ratio(double p, double p0)
{
	return p > 0 && p0 > 0 ? log(p / p0) : 0;
}

static double objective(const gsl_vector *b, void *arg)
{
	struct problem *q = arg;
	const struct locmoe_spec *s = q->spec;
	double task = 0, loc = 0, balance = 0;

	evaluate(q, b);
	for (int t = 0; t < q->tokens; t++) {
		double weight = 1.0 / q->size[node_of(q, t)] / s->nodes;
		int64_t at = (int64_t)t * s->experts;

		for (int e = 0; e < s->experts; e++) {
			task += weight * q->p[at + e] *
				log_ratio(q->p[at + e], q->p0[at + e]);
		}
	}
	for (int v = 0; v < s->nodes; v++) {
		loc += locmoe_divergence(s, v, q->share + v * s->experts) /
			s->nodes;
	}
	for (int e = 0; e < s->experts; e++) {
		balance += q->mean[e] * q->mean[e];
	}
	return s->lambda * task + s->mu * loc + s->alpha * s->experts * balance;
}

/*
 * dJ/db_vj = mean over v's tokens of P_j (w_j - sum_i P_i w_i) / nodes, with
 * w_i = lambda ln(P_i / P_i0) + mu ln(D_i / D_l,i) + 2 alpha n Pbar_i.
 */
static void gradient(const gsl_vector *b, void *arg, gsl_vector *g)
{
	struct problem *q = arg;
	const struct locmoe_spec *s = q->spec;
	int n = s->experts;
	double *w = xcalloc((size_t)n, sizeof(*w));

	evaluate(q, b);
	gsl_vector_set_zero(g);
	for (int t = 0; t < q->tokens; t++) {
		int v = node_of(q, t);
		const double *p = q->p + (int64_t)t * n, *d = q->share + v * n;
		double scale = 1.0 / q->size[v] / s->nodes, mean = 0;

		for (int e = 0; e < n; e++) {
			double l = q->target[v * n + e];

			w[e] = s->lambda * log_ratio(p[e], q->p0[(int64_t)t * n +
								 e]) +
				s->mu * (l > 0 ? log_ratio(d[e], l) : 0) +
				2 * s->alpha * n * q->mean[e];
			mean += p[e] * w[e];
		}
		for (int e = 0; e < n; e++) {
			g->data[v * n + e] += scale * p[e] * (w[e] - mean);
		}
	}
	free(w);
}

static void both(const gsl_vector *b, void *arg, double *f, gsl_vector *g)
{
	*f = objective(b, arg);
	gradient(b, arg, g);
}

/* ---- the minimum ---- */

/*
 * Parameters of the search, not of the model: the first step in units of a
 * score, how exact line searches are, when the gradient is small enough.
 */
#define FIRST_STEP 1.0
#define LINE_TOLERANCE 0.1
#define GRADIENT_SMALL 1e-7
#define ITERATIONS_MAX 500

static enum status minimise(struct problem *q, gsl_vector *b, int *iterations)
{
	gsl_multimin_function_fdf f = { objective, gradient, both, b->size, q };
	gsl_multimin_fdfminimizer *m = gsl_multimin_fdfminimizer_alloc(
		gsl_multimin_fdfminimizer_vector_bfgs2, b->size);
	int failed = gsl_multimin_fdfminimizer_set(m, &f, b, FIRST_STEP,
						   LINE_TOLERANCE);
	enum status st = ST_OK;
	int i = 0;

	while (!failed && i < ITERATIONS_MAX &&
	       gsl_multimin_test_gradient(m->gradient, GRADIENT_SMALL) ==
	       GSL_CONTINUE) {
		failed = gsl_multimin_fdfminimizer_iterate(m);
		i++;
	}
	/* no progress: as low as rounding allows */
	if (failed && failed != GSL_ENOPROG) {
		st = err_set(ST_FAIL, "locmoe: minimum: %s",
			     gsl_strerror(failed));
	}
	gsl_vector_memcpy(b, m->x);
	*iterations = i;
	gsl_multimin_fdfminimizer_free(m);
	return st;
}

static int winner(const double *p, int n)
{
	int best = 0;

	for (int e = 1; e < n; e++) {
		best = p[e] > p[best] ? e : best;
	}
	return best;
}

/* Share of p's winners that are on their token's node; counts per expert. */
static double local_winners(const struct problem *q, const double *p,
			    int64_t *count)
{
	int n = q->spec->experts;
	double share = 0;

	for (int t = 0; t < q->tokens; t++) {
		int v = node_of(q, t), e = winner(p + (int64_t)t * n, n);

		count[e]++;
		share += locmoe_node(q->spec, e) == v ?
			1.0 / q->size[v] / q->spec->nodes : 0;
	}
	return share;
}

static void report(struct problem *q, struct locmoe_result *r)
{
	const struct locmoe_spec *s = q->spec;
	int64_t *count = xcalloc((size_t)s->experts, sizeof(*count));
	double even = (double)q->tokens / s->experts, over = 0;

	r->task_share = local_winners(q, q->p0, count);
	memset(count, 0, (size_t)s->experts * sizeof(*count));
	r->local_share = local_winners(q, q->p, count);
	for (int e = 0; e < s->experts; e++) {
		double c = (double)count[e];

		r->imbalance = fmax(r->imbalance, c / even);
		over += fmax(0, c - ceil(even));
		r->aux_loss += s->alpha * s->experts * c / q->tokens *
			q->mean[e];
	}
	for (int v = 0; v < s->nodes; v++) {
		const double *d = q->share + v * s->experts;

		r->loc_loss += s->mu * locmoe_divergence(s, v, d) / s->nodes;
		for (int e = 0; e < s->experts; e++) {
			r->soft_share += locmoe_node(s, e) == v ?
				d[e] / s->nodes : 0;
		}
	}
	r->drop = over / q->tokens;
	free(count);
}

static enum status spec_check(const struct locmoe_spec *s, int tokens)
{
	if (s->experts < 1 || s->nodes < 1 ||
	    (int64_t)s->experts * s->nodes > LOCMOE_SHIFTS_MAX) {
		return err_set(ST_INPUT, "locmoe: %d experts on %d nodes are "
			       "not in 1..%d together", s->experts, s->nodes,
			       LOCMOE_SHIFTS_MAX);
	}
	if (tokens < s->nodes) {
		return err_set(ST_INPUT, "locmoe: %d tokens are fewer than %d "
			       "nodes", tokens, s->nodes);
	}
	if (!(s->mu >= 0 && s->alpha >= 0 && s->lambda > 0 && s->epsilon > 0 &&
	      s->epsilon <= 1)) {
		return err_set(ST_INPUT, "locmoe: mu '%g' and alpha '%g' must "
			       "not be negative, lambda '%g' and epsilon '%g' "
			       "above 0, epsilon at most 1", s->mu, s->alpha,
			       s->lambda, s->epsilon);
	}
	return ST_OK;
}

static void problem_init(struct problem *q)
{
	size_t n = (size_t)q->spec->experts, nodes = (size_t)q->spec->nodes;
	size_t cells = (size_t)q->tokens * n;

	q->p0 = xcalloc(cells, sizeof(*q->p0));
	q->p = xcalloc(cells, sizeof(*q->p));
	q->share = xcalloc(nodes * n, sizeof(*q->share));
	q->target = xcalloc(nodes * n, sizeof(*q->target));
	q->mean = xcalloc(n, sizeof(*q->mean));
	q->size = xcalloc(nodes, sizeof(*q->size));
	for (int t = 0; t < q->tokens; t++) {
		q->size[node_of(q, t)]++;
	}
	for (int v = 0; v < q->spec->nodes; v++) {
		int local = local_experts(q->spec, v);

		for (int e = 0; e < q->spec->experts && local; e++) {
			q->target[(size_t)v * n + (size_t)e] =
				target(q->spec, v, local, e);
		}
	}
	evaluate(q, NULL);
	memcpy(q->p0, q->p, cells * sizeof(*q->p0));
}

static void problem_release(struct problem *q)
{
	free(q->p0);
	free(q->p);
	free(q->share);
	free(q->target);
	free(q->mean);
	free(q->size);
}

enum status locmoe_run(const struct locmoe_spec *spec, const double *score,
		       int tokens, struct locmoe_result *out)
{
	struct problem q = { .spec = spec, .score = score, .tokens = tokens };
	enum status st = spec_check(spec, tokens);
	struct locmoe_result r = { 0 };
	gsl_vector *b;

	if (st) {
		return st;
	}
	problem_init(&q);
	b = gsl_vector_calloc((size_t)spec->experts * (size_t)spec->nodes);
	st = minimise(&q, b, &r.iterations);
	if (!st) {
		evaluate(&q, b);
		report(&q, &r);
		*out = r;
	}
	gsl_vector_free(b);
	problem_release(&q);
	return st;
}

/* ---- closed form, effect ---- */

double locmoe_local_share(const struct locmoe_spec *s, int local)
{
	double w = s->mu / (s->lambda + s->mu), n = s->experts;
	double own, other;

	if (local == 0) {
		return 0;
	}
	own = local * pow((1 - s->epsilon) / local + s->epsilon / n, w);
	other = (n - local) * pow(s->epsilon / n, w);
	return own / (own + other);
}

#define MU_MAX 1e6	/* in units of lambda */

double locmoe_mu_for(const struct locmoe_spec *s, int local, double share)
{
	struct locmoe_spec at = *s;
	double low = 0, high = MU_MAX * s->lambda;

	at.mu = 0;
	if (locmoe_local_share(&at, local) >= share) {
		return 0;
	}
	at.mu = high;
	if (locmoe_local_share(&at, local) < share) {
		return high;
	}
	while (high - low > 1e-12 * high) {
		at.mu = (low + high) / 2;
		if (locmoe_local_share(&at, local) < share) {
			low = at.mu;
		} else {
			high = at.mu;
		}
	}
	return high;
}

double locmoe_mean_share(const struct locmoe_spec *s)
{
	double sum = 0;

	for (int v = 0; v < s->nodes; v++) {
		sum += locmoe_local_share(s, local_experts(s, v));
	}
	return sum / s->nodes;
}

void locmoe_effect_make(const struct locmoe_spec *s, double local_share,
			double tokens, int dim, int element_bytes,
			double delta, struct locmoe_effect *out)
{
	double values = tokens * dim, cells = tokens * s->experts;
	double uniform = 1.0 / s->nodes;
	struct locmoe_effect e = { .local_share = local_share,
				   .uniform_share = uniform };

	e.inter_factor = s->nodes > 1 ? (1 - local_share) / (1 - uniform) : 1;
	e.capacity_floor = fmax(1, ceil(capacity_lower_bound(s->experts, dim,
							     delta)));
	/* slice sums, softmax and top-1 in one kernel, then the sort */
	e.forward.vector_flop = values + 4 * cells;
	e.forward.hbm_bytes = values * element_bytes + 4 * cells + 8 * tokens +
		12 * tokens;
	e.forward.kernels = 2;
	/* the score's gradient spread over its slice */
	e.backward.vector_flop = values + 4 * cells;
	e.backward.hbm_bytes = values * element_bytes + 4 * cells;
	e.backward.kernels = 1;
	*out = e;
}
