/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/jitter.h"

#include "base/units.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>

double jitter_largest(double u, int n)
{
	/* u^(1/n) = 1 - q; q by expm1, for n so large that it is near 0 */
	return gsl_cdf_ugaussian_Qinv(-expm1(log(u) / n));
}

static double factor(double sigma, double u, int ranks)
{
	return exp(sigma * jitter_largest(u, ranks) - sigma * sigma / 2);
}

/* One draw for every op, whatever it is used for: a run's numbers do not
 * depend on which jitter is on. */
static void draw(const struct fault_spec *f, gsl_rng *rng, int ranks,
		 struct program *p)
{
	for (int i = 0; i < p->n_ops; i++) {
		double u = gsl_rng_uniform_pos(rng);

		p->op[i].slow = op_kind_is_comm(p->op[i].kind) ?
			factor(f->comm_jitter, u, 1) :
			factor(f->compute_jitter, u, ranks);
	}
}

/* A generator for run i: seeds of neighbours are far apart (splitmix64). */
static unsigned long run_seed(uint64_t seed, int i)
{
	uint64_t z = seed + 0x9e3779b97f4a7c15u * ((uint64_t)i + 1);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (unsigned long)((z ^ (z >> 31)) >> 32);
}

enum status jitter_run(const struct fault_spec *f, struct evaluation *e,
		       enum exec_model model, int first, int step, int n,
		       double *time_s)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	enum status st = ST_OK;
	int i;

	for (i = first; !st && i < n; i += step) {
		struct exec_result r;

		gsl_rng_set(rng, run_seed(f->seed, i));
		draw(f, rng, e->net.n_ranks, &e->program);
		st = exec_run(&e->program, e->cost, model, &r);
		if (st)
			break;
		time_s[i] = s_from_ps(r.time_ps);
		exec_release(&r);
	}
	for (i = 0; i < e->program.n_ops; i++)
		e->program.op[i].slow = 0;
	gsl_rng_free(rng);
	return st;
}

struct jitter_stats jitter_sum_up(double *t, int n)
{
	size_t m = (size_t)n;

	gsl_sort(t, 1, m);
	return (struct jitter_stats){
		.n = n,
		.mean_s = gsl_stats_mean(t, 1, m),
		.min_s = t[0],
		.p50_s = gsl_stats_quantile_from_sorted_data(t, 1, m, 0.5),
		.p95_s = gsl_stats_quantile_from_sorted_data(t, 1, m, 0.95),
		.p99_s = gsl_stats_quantile_from_sorted_data(t, 1, m, 0.99),
		.max_s = t[m - 1],
	};
}
