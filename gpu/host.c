/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "gpu/host.h"

#include "base/mem.h"
#include "gpu/host_layer.h"
#include "gpu/ref.h"
#include "gpu/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_CBLAS
#include <cblas.h>
#define PRODUCTS "OpenBLAS"
#else
#define PRODUCTS "a C loop"
#endif

/* Of the machine's memory, for the buffers of all ranks. */
#define MEMORY_SHARE 0.25

struct backend {
	struct team *team;	/* that does it all; then only info: */
	struct backend_info team_info;
	struct team_place at;	/* of this process */
	int n;			/* ranks of this process */
	struct backend_options options;	/* ranks: of all */
	/* threads of the main work, and of the one beside it */
	struct ranks *ranks, *beside_ranks;
	struct host_work work, beside;
	struct host_layer *layer;	/* or NULL: a layer is prepared */
};

void *host_alloc(uint64_t n, size_t size)
{
	size_t bytes = n ? (size_t)n * size : 1;
	void *p = xmalloc(bytes);

	memset(p, 0, bytes);
	return p;
}

int64_t host_differ(const float *got, const float *want, uint64_t n)
{
	int64_t bad = 0;
	uint64_t i;

	for (i = 0; i < n; i++)
		bad += !(got[i] == want[i]);
	return bad;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const struct host_op *find_op(const struct bench_work *w,
				     bool is_wired)
{
	const struct host_op *op = host_kernels;
	size_t i;

	if (sample_op_is_exchange(w->op))
		op = is_wired ? host_wire_exchanges : host_exchanges;

	while (op->name && strcmp(op->name, w->op))
		op++;
	for (i = 0; op->name && i < 3 && op->variants[i]; i++) {
		if (!strcmp(op->variants[i], w->variant))
			return op;
	}
	return NULL;
}

static enum status start_both(struct backend *b)
{
	enum status st = ranks_start(b->n, &b->ranks);

	if (!st)
		st = ranks_start(b->n, &b->beside_ranks);
	return st;
}

static enum status check_options(const struct backend_options *opt,
				 const struct team_place *at)
{
	if (opt->emulate_nodes)
		return err_set(ST_INPUT, "backend 'host' cannot emulate nodes: "
			       "its ranks are threads of one process");
	if (opt->ranks > HOST_RANKS_MAX)
		return err_set(ST_INPUT, "backend 'host' has at most %d ranks, "
			       "not %d", HOST_RANKS_MAX, opt->ranks);
	if (at->members > 1 && opt->ranks && opt->ranks != at->members)
		return err_set(ST_INPUT, "backend 'host' has one rank in each "
			       "of mpirun's %d processes, not %d in all",
			       at->members, opt->ranks);
	return ST_OK;
}

static enum status part_open(const struct backend_options *opt,
			     const struct team_place *at,
			     struct backend **out_p)
{
	enum status st = check_options(opt, at);
	struct backend *b;

	if (st)
		return st;
	b = xcalloc(1, sizeof(*b));
	b->options = *opt;
	b->at = *at;
	if (at->members > 1)
		b->options.ranks = at->members;
	else if (!b->options.ranks)
		b->options.ranks = HOST_RANKS_DEFAULT;
	b->n = b->options.ranks / at->members;
#ifdef HAVE_CBLAS
	openblas_set_num_threads(1);	/* a rank is a thread */
#endif
	st = start_both(b);
	if (st) {
		ranks_stop(b->ranks);
		free(b);
		return st;
	}
	*out_p = b;
	return ST_OK;
}

static enum status host_open(const struct backend_options *opt,
			     struct backend **out_p)
{
	static const struct team_place alone = { .members = 1, .hosts = 1 };
	struct backend *b;
	enum status st;

	if (!opt->team)
		return part_open(opt, &alone, out_p);
	b = xcalloc(1, sizeof(*b));
	st = team_open(opt->team, &b->team_info, &b->team);
	if (st)
		free(b);
	else
		*out_p = b;
	return st;
}

static void host_close(struct backend *b)
{
	if (!b)
		return;
	host_layer_release(b->layer);
	if (b->team) {
		team_close(b->team);
	} else {
		ranks_stop(b->beside_ranks);
		ranks_stop(b->ranks);
	}
	free(b);
}

static void processor_name(char *out, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256], *value;

	snprintf(out, size, "processor");
	while (f && fgets(line, sizeof(line), f)) {
		value = strchr(line, ':');
		if (strncmp(line, "model name", 10) || !value)
			continue;
		value += 1 + strspn(value + 1, " ");
		snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
		break;
	}
	if (f)
		fclose(f);
}

static void host_info(struct backend *b, struct backend_info *out)
{
	char name[128];
	double memory = (double)sysconf(_SC_PHYS_PAGES) *
			(double)sysconf(_SC_PAGESIZE);

	if (b->team) {
		*out = b->team_info;
		return;
	}
	*out = (struct backend_info){
		.ranks = b->options.ranks,
		.nodes = b->at.hosts,
		.tier = { b->at.hosts > 1 ? "network" : "shm" },
		.n_tiers = 1,
		.max_bytes = (uint64_t)(memory * MEMORY_SHARE) /
			     (uint64_t)b->options.ranks,
	};
	snprintf(out->run.backend, sizeof(out->run.backend), "host");
	/* no gpu: nothing of this is ever shown as one */
	processor_name(name, sizeof(name));
	snprintf(out->run.environment, sizeof(out->run.environment),
		 "%ld processors %s, products by %s",
		 sysconf(_SC_NPROCESSORS_ONLN), name, PRODUCTS);
}

static bool can_work(const char *tier, const struct bench_case *c,
		     const struct bench_work *w)
{
	if (sample_op_is_exchange(w->op) && strcmp(c->tier, tier))
		return false;
	if (!strcmp(w->op, "plan") && !turn_can(w, c->ranks))
		return false;
	return !w->ctas && !strcmp(w->dtype, "fp32") && find_op(w, false);
}

static bool host_can(struct backend *b, const struct bench_case *c)
{
	struct backend_info info;

	host_info(b, &info);
	return c->ranks == info.ranks && can_work(info.tier[0], c, &c->work) &&
	       (!*c->beside.op || can_work(info.tier[0], c, &c->beside));
}

static enum status fill_rank(void *arg, int rank)
{
	struct host_work *hw = arg;

	hw->op->fill(hw, hw->first + rank);
	return ST_OK;
}

static enum status prepare_work(const struct backend *b, struct host_work *hw,
				struct ranks *ranks, const struct bench_case *c)
{
	hw->c = *c;
	hw->op = find_op(&c->work, b->at.wire != NULL);
	hw->ranks = ranks;
	hw->first = b->at.member * b->n;
	hw->n = b->n;
	hw->wire = b->at.wire;
	hw->lane = hw == &b->beside;
	hw->rank = xcalloc((size_t)c->ranks, sizeof(*hw->rank));
	hw->wrong = xcalloc((size_t)c->ranks, sizeof(*hw->wrong));
	return ranks_call(ranks, fill_rank, hw);
}

static void release_work(struct host_work *hw)
{
	int r;

	for (r = 0; hw->rank && r < hw->c.ranks; r++) {
		struct host_buffers *b = &hw->rank[r];

		free(b->x);
		free(b->w);
		free(b->y);
		free(b->ids);
		free(b->pos);
		free(b->counts);
		free(b->seconds);
		turn_free(b->turn);
	}
	free(hw->rank);
	free(hw->wrong);
	*hw = (struct host_work){ 0 };
}

static void part_release(struct backend *b)
{
	release_work(&b->beside);
	release_work(&b->work);
}

static enum status part_prepare(struct backend *b, const struct bench_case *c,
				const void *id)
{
	struct bench_case other = ref_beside(c);
	enum status st;

	(void)id;
	if (!host_can(b, c))
		return err_set(ST_INPUT, "backend 'host' cannot run '%s' "
			       "variant '%s' of '%s' on tier '%s'",
			       c->work.op, c->work.variant, c->work.dtype,
			       c->tier);
	st = prepare_work(b, &b->work, b->ranks, c);
	if (!st && *other.work.op)
		st = prepare_work(b, &b->beside, b->beside_ranks, &other);
	if (st)
		part_release(b);
	return st;
}

static bool meet(struct host_work *hw)
{
	return ranks_barrier(hw->ranks) &&
	       (!hw->wire || hw->wire->meet(hw->lane));
}

static enum status repeat_rank(void *arg, int thread)
{
	struct host_work *hw = arg;
	int rank = hw->first + thread, i;
	double *seconds = hw->rank[rank].seconds, start;

	for (i = 0; i < hw->repetitions; i++) {
		if (!meet(hw))
			return err_set(ST_FAIL, "rank %d was alone", rank);
		start = now_s();
		if (!hw->op->step(hw, rank))
			return err_set(ST_FAIL, "rank %d was alone", rank);
		seconds[i] = now_s() - start;
	}
	return ST_OK;
}

static void make_room(struct host_work *hw, int n)
{
	int r;

	hw->repetitions = n;
	for (r = hw->first; r < hw->first + hw->n; r++) {
		hw->rank[r].seconds = xrealloc_array(hw->rank[r].seconds,
						     (size_t)n,
						     sizeof(double));
	}
}

/* Of the slowest rank. */
static void collect(const struct host_work *hw, int n, double *seconds)
{
	int i, r;

	for (i = 0; i < n; i++) {
		seconds[i] = 0;
		for (r = hw->first; r < hw->first + hw->n; r++) {
			if (hw->rank[r].seconds[i] > seconds[i])
				seconds[i] = hw->rank[r].seconds[i];
		}
	}
}

/* Both works once, n times, so that each pair starts together. */
static enum status run_pairs(struct backend *b, int n, double *seconds,
			     double *beside_s)
{
	enum status st = ST_OK, other;
	int i;

	make_room(&b->work, 1);
	make_room(&b->beside, 1);
	for (i = 0; i < n && !st; i++) {
		ranks_begin(b->beside_ranks, repeat_rank, &b->beside);
		st = ranks_call(b->ranks, repeat_rank, &b->work);
		other = ranks_wait(b->beside_ranks);
		st = st ? st : other;
		collect(&b->work, 1, seconds + i);
		collect(&b->beside, 1, beside_s + i);
	}
	return st;
}

static enum status part_run(struct backend *b, int n, double *seconds,
			    double *beside_s)
{
	enum status st;

	if (b->beside.op)
		return run_pairs(b, n, seconds, beside_s);
	make_room(&b->work, n);
	st = ranks_call(b->ranks, repeat_rank, &b->work);
	if (!st)
		collect(&b->work, n, seconds);
	return st;
}

static void plant_fault(struct host_work *hw)
{
	struct host_buffers *b = &hw->rank[0];
	uint64_t at = 0;

	if (hw->first)
		return;	/* another process has rank 0 */

	if (work_flops(&hw->c.work) > 0)
		at = ref_product_index(&hw->c, 0, 0);
	if (b->y)
		b->y[at] += 1;
	else
		b->pos[0]++;
}

static enum status check_rank(void *arg, int rank)
{
	struct host_work *hw = arg;

	rank += hw->first;
	hw->wrong[rank] = hw->op->wrong(hw, rank);
	return ST_OK;
}

static enum status check_work(struct host_work *hw, int64_t *wrong_p)
{
	enum status st;
	int r;

	if (!hw->op)
		return ST_OK;
	st = ranks_call(hw->ranks, check_rank, hw);
	for (r = 0; !st && r < hw->c.ranks; r++)
		*wrong_p += hw->wrong[r];
	return st;
}

static enum status part_check(struct backend *b, int64_t *wrong_p)
{
	int64_t wrong = 0;
	enum status st;

	if (b->work.c.plant_fault)
		plant_fault(&b->work);
	st = check_work(&b->work, &wrong);
	if (!st)
		st = check_work(&b->beside, &wrong);
	if (!st)
		*wrong_p = wrong;
	return st;
}

static const struct team_part part = {
	.open = part_open,
	.close = host_close,
	.info = host_info,
	.prepare = part_prepare,
	.run = part_run,
	.check = part_check,
	.release = part_release,
};

/* From here: this process, or those of a team. */

static enum status host_prepare(struct backend *b, const struct bench_case *c)
{
	return b->team ? team_prepare(b->team, c) : part_prepare(b, c, NULL);
}

static enum status host_run(struct backend *b, int n, double *seconds,
			    double *beside_s)
{
	return b->team ? team_run(b->team, n, seconds, beside_s)
		       : part_run(b, n, seconds, beside_s);
}

static enum status host_check(struct backend *b, int64_t *wrong_p)
{
	return b->team ? team_check(b->team, wrong_p)
		       : part_check(b, wrong_p);
}

static void host_release(struct backend *b)
{
	if (b->team)
		team_release(b->team);
	else
		part_release(b);
}

static void host_abort(struct backend *b)
{
	if (b->team)
		team_kill(b->team);
}

static enum status prepare_layer(struct backend *b, const struct layer_case *c)
{
	if (b->team)
		return err_set(ST_INPUT, "backend 'host' runs a layer in one "
			       "process, not under mpirun");
	return host_layer_prepare(c, &b->layer);
}

static void release_layer(struct backend *b)
{
	host_layer_release(b->layer);
	b->layer = NULL;
}

static enum status run_layer(struct backend *b, int n, double *forward_s,
			     double *step_s)
{
	return host_layer_run(b->layer, n, forward_s, step_s);
}

static enum status check_layer(struct backend *b, struct layer_check *out)
{
	return host_layer_check(b->layer, out);
}

const struct backend_ops backend_host = {
	.name = "host",
	.open = host_open,
	.close = host_close,
	.info = host_info,
	.can = host_can,
	.prepare = host_prepare,
	.run = host_run,
	.check = host_check,
	.release = host_release,
	.abort = host_abort,
	.part = &part,
	.layer_prepare = prepare_layer,
	.layer_run = run_layer,
	.layer_check = check_layer,
	.layer_release = release_layer,
};
