/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/work.h"

#include <string.h>

#define EXCHANGE_ELEMENT 4	/* fp32 */
/*
 * Bytes. Rows of tokens are whole vectors, and NCCL takes up to three times
 * as long for parts that do not start at one.
 */
#define VECTOR 16
/* What is copied are rows of tokens too: of so many bytes at least. Copies of
 * 2.5 MB that are not whole vectors take 7.6 us, of 4.2 MB that are 6.4; of
 * 24 MB in rows of 512 bytes 12.2 us, of 34 MB in larger ones 11.8. */
#define ROW 512
#define ROW_LARGE 65536	/* from LARGE bytes up */
#define LARGE 1000000

int work_element_bytes(const char *dtype)
{
	if (!strcmp(dtype, "fp32"))
		return 4;
	return strcmp(dtype, "bf16") ? 0 : 2;
}

uint64_t work_round_bytes(uint64_t bytes, int ranks)
{
	uint64_t unit = (uint64_t)ranks * VECTOR;
	uint64_t n = (bytes + unit / 2) / unit;

	return (n ? n : 1) * unit;
}

/*
 * Traffic of an op as a sum: per token (m) and fixed. One row for each op;
 * E is the element size, the rest is fp32 or int32.
 */
struct traffic {
	uint64_t per_m, fixed;
};

static bool is_sums(const struct bench_work *w)
{
	return !strcmp(w->op, "combine") && !strcmp(w->variant, "direct");
}

/* Copies are by chance on either rank: half of them are here, and a row has
 * come from the other unless all are. */
static uint64_t sums_bytes(uint64_t row, uint64_t k)
{
	return row * k / 2 + (k < 32 ? row - (row >> k) : row) + row;
}

static struct traffic traffic_of(const struct bench_work *w)
{
	uint64_t e = (uint64_t)work_element_bytes(w->dtype);
	uint64_t n = w->n, k = w->k;
	struct traffic t = { 0, 0 };

	if (!strcmp(w->op, "gemm"))
		t = (struct traffic){ w->batch * (k + n) * e,
				      w->batch * k * n * e };
	else if (!strcmp(w->op, "gate"))
		t = (struct traffic){ k * e + n * 4, k * n * e };
	else if (!strcmp(w->op, "topk"))
		t = (struct traffic){ n * 4 + k * 8, n * 4 };
	else if (!strcmp(w->op, "sort"))
		t = (struct traffic){ k * 8, 0 };
	else if (!strcmp(w->op, "permute"))
		t = (struct traffic){ (1 + k) * n * e + k * 4, 0 };
	else if (is_sums(w))
		t = (struct traffic){ sums_bytes(n * e, k) + k * 8, 0 };
	else if (!strcmp(w->op, "combine"))
		t = (struct traffic){ (1 + k) * n * e + k * 8, 0 };
	else if (!strcmp(w->op, "stream") || !strcmp(w->op, "copy"))
		t = (struct traffic){ 2 * e, 0 };
	else if (!strcmp(w->op, "launch"))
		t = (struct traffic){ 1, 0 };
	else if (!strcmp(w->op, "plan"))
		t = (struct traffic){ k * sizeof(int32_t), 0 };
	return t;
}

void work_set_bytes(struct bench_work *w)
{
	struct traffic t = traffic_of(w);

	if (t.per_m)
		w->bytes = t.per_m * w->m + t.fixed;
}

/* Of one m, of what is rows put together; 0: an m is a row or more. */
static uint64_t row_bytes(const struct bench_work *w)
{
	return !strcmp(w->op, "stream") || !strcmp(w->op, "copy") ?
		(uint64_t)work_element_bytes(w->dtype) : 0;
}

void work_set_size(struct bench_work *w, uint64_t bytes)
{
	struct traffic t = traffic_of(w);
	uint64_t rest = bytes > t.fixed ? bytes - t.fixed : 0, unit;

	if (!t.per_m)
		return;
	unit = row_bytes(w) ? (bytes < LARGE ? ROW : ROW_LARGE) /
		row_bytes(w) : 1;
	w->m = (rest + t.per_m * unit / 2) / (t.per_m * unit) * unit;
	if (!w->m)
		w->m = unit;
	work_set_bytes(w);
}

double work_flops(const struct bench_work *w)
{
	double batch = !strcmp(w->op, "gemm") ? (double)w->batch : 1;

	if (strcmp(w->op, "gemm") && strcmp(w->op, "gate"))
		return 0;
	return 2 * batch * (double)w->m * (double)w->n * (double)w->k;
}

static bool uneven(const struct bench_work *w)
{
	return !strcmp(w->op, "alltoall") && !strcmp(w->variant, "uneven");
}

/* An uneven alltoall brings rank 0 at most ranks x bytes. */
static uint64_t one_memory(const struct bench_work *w, int ranks)
{
	if (!*w->op)
		return 0;
	if (sample_op_is_exchange(w->op))
		return w->bytes * (uneven(w) ? 1 + (uint64_t)ranks : 2);
	/* the traffic counts each buffer once, positions come on top; half of
	 * a direct combine's rows are not read */
	return w->bytes + w->m * (w->k + 1) * 8 +
	       (is_sums(w) ? w->m * w->k * w->n *
			     (uint64_t)work_element_bytes(w->dtype) : 0);
}

uint64_t work_memory(const struct bench_case *c)
{
	return one_memory(&c->work, c->ranks) +
	       one_memory(&c->beside, c->ranks);
}

/* Shares 1 / (d + 1), rounded down to vectors; what is left goes to rank
 * 0. */
static void uneven_counts(uint64_t total, int ranks, uint64_t *per_dst)
{
	uint64_t left = total;
	double sum = 0;
	int d;

	for (d = 0; d < ranks; d++)
		sum += 1.0 / (d + 1);
	for (d = 0; d < ranks; d++) {
		per_dst[d] = (uint64_t)((double)total / (sum * (d + 1)));
		per_dst[d] -= per_dst[d] % (VECTOR / EXCHANGE_ELEMENT);
		left -= per_dst[d];
	}
	per_dst[0] += left;
}

void work_counts(const struct bench_case *c, int src, uint64_t *per_dst)
{
	uint64_t total = c->work.bytes / EXCHANGE_ELEMENT;
	int d;

	(void)src;	/* the same for all: that makes rank 0 hot */
	if (uneven(&c->work)) {
		uneven_counts(total, c->ranks, per_dst);
		return;
	}
	for (d = 0; d < c->ranks; d++)
		per_dst[d] = total / (uint64_t)c->ranks;
}

double work_busiest_bytes(const struct bench_case *c)
{
	uint64_t count[WORK_RANKS_MAX], total = 0, most = 0;
	int r;

	if (!uneven(&c->work))
		return 0;
	work_counts(c, 0, count);
	for (r = 0; r < c->ranks; r++)
		total += count[r];
	for (r = 0; r < c->ranks; r++) {
		uint64_t sent = total - count[r];
		uint64_t received = count[r] * (uint64_t)(c->ranks - 1);

		most = sent > most ? sent : most;
		most = received > most ? received : most;
	}
	return (double)most * EXCHANGE_ELEMENT;
}
