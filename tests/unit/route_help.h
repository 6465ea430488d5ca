/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of routing, workload and capacity share. */
#ifndef TESTS_UNIT_ROUTE_HELP_H
#define TESTS_UNIT_ROUTE_HELP_H

#include "sim/route.h"
#include "sim/route_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `tokens` per rank, `experts`, `k`; 2 bytes per element. */
static inline struct model help_model(int tokens, int experts, int k)
{
	return (struct model){ .name = "tested", .hidden = 10,
			       .experts = experts, .experts_per_token = k,
			       .sequence = tokens, .batch_per_gpu = 1,
			       .dtype = DT_BF16 };
}

static inline struct layout help_layout(int pp, int dp, int ep, int esp)
{
	return (struct layout){ .ep = ep, .esp = esp, .tp = 1, .dp = dp,
				.pp = pp };
}

static inline struct cluster help_cluster(int nodes, int gpus)
{
	return (struct cluster){ .nodes = nodes, .gpus_per_node = gpus };
}

/* A routing whose counts the test writes down; counts are copied. */
static inline struct routing help_routing(int ranks, int experts, int k,
					  int tokens, const int *count)
{
	struct routing r = { .ranks = ranks, .experts = experts, .k = k,
			     .tokens = tokens };
	int i;

	r.count = xcalloc((size_t)(ranks * experts), sizeof(*r.count));
	for (i = 0; i < ranks * experts; i++) {
		r.count[i] = count[i];
	}
	return r;
}

static inline void help_make(const struct routing_spec *spec, int ranks,
			     int tokens, int experts, int k,
			     struct routing *out)
{
	struct model m = help_model(tokens, experts, k);
	struct layout l = help_layout(1, 1, ranks, 1);

	err_clear();
	if (routing_make(spec, &m, &l, ranks, out)) {
		fail_msg("routing_make: %s", err_msg());
	}
	routing_check(out);
}

#define help_close(got, want, tolerance) \
	help_close_at(got, want, tolerance, #got, __LINE__)

static inline void help_close_at(double got, double want, double tolerance,
				 const char *what, int line)
{
	if (!(fabs(got - want) <= tolerance)) {
		fail_msg("line %d: %s is %.12g, not %.12g", line, what, got,
			 want);
	}
}

/* Writes a file under TMPDIR; returns its path (static). */
static inline char *help_file(const char *text, size_t n)
{
	static char path[256];
	const char *dir = getenv("TMPDIR");
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "%s/route-XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	return path;
}

/* Path of a public measurement, or NULL when the folder is not there. */
static inline const char *help_shared(const char *name)
{
	static char path[512];
	const char *dir = getenv("MOECAST_SHARED"), *src = getenv("srcdir");

	if (dir) {
		snprintf(path, sizeof(path), "%s/data/routing/%s", dir, name);
	} else {
		snprintf(path, sizeof(path), "%s/../shared/data/routing/%s",
			 src ? src : ".", name);
	}
	return access(path, R_OK) ? NULL : path;
}

#endif
