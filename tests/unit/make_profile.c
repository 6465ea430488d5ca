/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For the shell tests: a profile database from lines on stdin.
 *
 *	make_profile DB GPU [fit] <<END
 *	alltoall even nvlink bf16 8 1048576 1.5e-5
 *	gemm grouped compute bf16 128 4096 14336 8 4.1e-5
 *	END
 *
 * that is: op variant tier dtype, then ranks bytes seconds [ctas], or for gemm
 * m n k batch seconds. With `fit` the fits are stored too.
 */
#include "profiles/fit.h"

#include <stdio.h>
#include <string.h>

static int parse(const char *line, struct sample *s)
{
	int used = 0;

	*s = (struct sample){ .ranks = 1, .nodes = 1, .count = 1 };
	if (sscanf(line, "%31s %31s %31s %31s %n", s->op, s->variant, s->tier,
		   s->dtype, &used) != 4)
		return 0;
	if (!strcmp(s->op, "gemm"))
		return sscanf(line + used, "%lf %lf %lf %lf %lf", &s->m,
			      &s->n, &s->k, &s->batch, &s->median_s) == 5;
	return sscanf(line + used, "%d %lf %lf %d", &s->ranks, &s->bytes,
		      &s->median_s, &s->ctas) >= 3;
}

static enum status fill(struct store *db, const char *gpu)
{
	struct run_info info = { .backend = "import", .gpus = 1,
				 .source = "test",
				 .date = "2026-11-22T15:04:05Z" };
	struct sample s;
	char line[512];
	int64_t run;
	enum status st;

	snprintf(info.gpu, sizeof(info.gpu), "%s", gpu);
	st = store_run(db, &info, NULL, &run);
	while (!st && fgets(line, sizeof(line), stdin)) {
		if (!parse(line, &s))
			return err_set(ST_INPUT, "cannot read '%s'", line);
		st = store_add(db, run, &s, 1);
	}
	return st;
}

int main(int argc, char **argv)
{
	struct store *db;
	enum status st;
	int n;

	if (argc < 3)
		return ST_INPUT;
	st = store_open(argv[1], STORE_WRITE, &db);
	if (!st) {
		st = fill(db, argv[2]);
		if (!st && argc > 3)
			st = fit_database(db, &n);
		store_close(db);
	}
	if (st)
		fprintf(stderr, "make_profile: %s\n", err_msg());
	return (int)st;
}
