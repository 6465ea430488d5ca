/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast alltoall --matrix: one all-to-all with given traffic. */
#include "base/mem.h"
#include "base/outfile.h"
#include "base/units.h"
#include "cli/alltoall.h"
#include "cli/matrix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct matrix_result {
	double makespan_s, bound_s, merge_error_s, total_bytes, busiest_bytes;
	int busiest_link;
	size_t n_flows;
	struct coll_flow *flow;	/* of each non-zero cell; NULL unless asked */
};

static int by_cell(const void *a, const void *b)
{
	const struct coll_flow *x = a, *y = b;

	return x->src != y->src ? (x->src > y->src) - (x->src < y->src) :
				  (x->dst > y->dst) - (x->dst < y->dst);
}

/*
 * Finish times of a step's flows from its begin, so that the last one is the
 * step's own time: under the low-latency protocol they are stretched.
 */
static void step_finish(const struct coll_step *s, struct coll_flow *out)
{
	double t = coll_step_time(s, 1);
	double simple = s->fixed_s + s->ramp * sqrt(s->busiest_bytes) +
			s->flow_s + s->copy_s;
	double stretch = t < simple ? s->ll_slowdown : 1;
	int i;

	for (i = 0; i < s->n_flows; i++) {
		out[i] = s->flow[i];
		out[i].finish_s = t - stretch *
				  (s->flow_s - s->flow[i].finish_s);
	}
}

static void take_coll(const struct coll *c, bool flows,
		      struct matrix_result *r)
{
	size_t n = 0;
	int i;

	r->makespan_s = coll_time(c, 1);
	r->busiest_link = -1;
	for (i = 0; i < c->n_steps; i++) {
		const struct coll_step *s = &c->step[i];

		r->merge_error_s += s->merge_error_s;
		n += (size_t)s->n_flows;
		if (s->bound_s > r->bound_s) {
			r->bound_s = s->bound_s;
			r->busiest_link = s->busiest_link;
		}
	}
	if (!flows)
		return;
	r->flow = xcalloc(n, sizeof(*r->flow));
	for (i = 0, n = 0; i < c->n_steps; i++) {
		step_finish(&c->step[i], r->flow + n);
		n += (size_t)c->step[i].n_flows;
	}
}

static enum status solve_matrix(struct alltoall_job *j, const struct traffic *t,
				struct matrix_result *r)
{
	struct coll_ideal ideal;
	enum status st;
	struct coll c;

	j->spec.keep_flows = j->o->flows != NULL;
	if (j->o->ideal) {
		st = coll_ideal(&j->spec, t, &ideal);
		if (st)
			return st;
		r->makespan_s = ideal.makespan_s;
		r->bound_s = ideal.bound_s;
		r->merge_error_s = ideal.merge_error_s;
		r->busiest_link = ideal.busiest_link;
		r->flow = ideal.flow;
		return ST_OK;
	}
	st = coll_alltoall(&j->spec, j->o->algorithm, t, false, &c);
	if (st)
		return st;
	take_coll(&c, j->spec.keep_flows, r);
	coll_release(&c);
	return ST_OK;
}

static size_t count_flows(const struct traffic *t)
{
	size_t n = (size_t)t->n_ranks, count = 0, i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < n; k++)
			count += i != k && t->bytes[i * n + k] > 0;
	}
	return count;
}

static enum status write_flows(const char *path,
			       const struct matrix_result *r)
{
	struct outfile f;
	enum status st;
	size_t i;

	st = outfile_open(&f, path);
	if (st)
		return st;
	qsort(r->flow, r->n_flows, sizeof(*r->flow), by_cell);
	fprintf(f.stream, "src,dst,bytes,finish_us\n");
	for (i = 0; i < r->n_flows; i++) {
		const struct coll_flow *c = &r->flow[i];

		fprintf(f.stream, "%d,%d,%.0f,%.6f\n", c->src, c->dst,
			c->bytes, c->finish_s * 1e6);
	}
	return outfile_commit(&f);
}

static enum status print_matrix_json(const struct alltoall_job *j,
				     const struct matrix_result *r,
				     const char *link)
{
	json_t *root = alltoall_head(j);
	json_t *rest = json_pack("{s:f, s:I, s:f, s:f, s:f, s:s?}",
		"makespan_s", r->makespan_s,
		"flows", (json_int_t)r->n_flows,
		"busiest_rank_bytes", r->busiest_bytes,
		"total_bytes", r->total_bytes, "bound_s", r->bound_s,
		"busiest_link", link);

	if (j->o->merge_s > 0)
		json_object_set_new(rest, "merge_error_s",
				    json_real(r->merge_error_s));
	json_object_update(root, rest);
	json_decref(rest);
	return cli_print_json(root);
}

static void print_line(const char *what, double value, enum unit_kind kind)
{
	char text[UNIT_TEXT_MAX];

	printf("%-22s %s\n", what,
	       unit_human(value, kind, text, sizeof(text)));
}

static enum status print_matrix(const struct alltoall_job *j,
				const struct matrix_result *r)
{
	char name[128];
	const char *link = r->busiest_link < 0 ? NULL :
		net_link_name(&j->net, r->busiest_link, name, sizeof(name));

	if (j->o->common.json)
		return print_matrix_json(j, r, link);
	printf("all-to-all (%s), %d GPUs, %zu flows\n",
	       alltoall_algorithm(j->o), j->net.n_ranks, r->n_flows);
	print_line("makespan", r->makespan_s, U_TIME);
	print_line("busiest link alone", r->bound_s, U_TIME);
	printf("%-22s %s\n", "busiest link", link ? link : "none");
	print_line("busiest rank", r->busiest_bytes, U_BYTES);
	print_line("total", r->total_bytes, U_BYTES);
	if (j->o->merge_s > 0)
		print_line("largest merge error", r->merge_error_s, U_TIME);
	return ST_OK;
}

enum status alltoall_matrix(struct alltoall_job *j)
{
	struct traffic t = { .n_ranks = j->net.n_ranks };
	struct matrix_result r = { 0 };
	enum status st;

	st = matrix_load(j->o->matrix, t.n_ranks, t.n_ranks, &t.bytes);
	if (!st && j->o->node_matrix)
		st = matrix_load(j->o->node_matrix, t.n_ranks,
				 j->net.cluster.nodes, &t.node_bytes);
	if (st)
		goto out;
	r.n_flows = count_flows(&t);
	r.total_bytes = traffic_total(&t);
	r.busiest_bytes = traffic_busiest(&t);
	st = solve_matrix(j, &t, &r);
	if (!st && j->o->flows)
		st = write_flows(j->o->flows, &r);
	if (!st)
		st = print_matrix(j, &r);
out:
	free(r.flow);
	traffic_release(&t);
	return st;
}
