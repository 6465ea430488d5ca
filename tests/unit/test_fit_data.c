/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How well fits say what was left out of them, on public measurements
 * (skipped where they are absent). Every series prints its error; bounds hold
 * where the data allow them, and what cannot meet them is named here with
 * the reason.
 */
#include "profiles/fit.h"

#include "base/mem.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS_MAX 64
#define SERIES_MAX 64
#define SHAPES_MAX 12000
#define MB 1e6
#define BOUND 0.05	/* mean relative error */

/* Path of a public data file; false where it is not there. */
static bool data_path(const char *name, char *path, size_t size)
{
	const char *shared = getenv("MOECAST_SHARED");
	const char *src = getenv("srcdir");
	FILE *f;

	if (shared)
		snprintf(path, size, "%s/%s", shared, name);
	else
		snprintf(path, size, "%s/../shared/data/%s", src ? src : ".",
			 name);
	f = strpbrk(name, "*") ? NULL : fopen(path, "r");
	if (f)
		fclose(f);
	return f || strpbrk(name, "*");
}

struct series {
	char name[64];
	int n;
	double size[ROWS_MAX], time[ROWS_MAX];
};

static struct series *series_of(struct series *s, int *n, const char *name)
{
	int i;

	for (i = 0; i < *n && strcmp(s[i].name, name); i++)
		;
	assert_true(i < SERIES_MAX);
	if (i == *n)
		snprintf(s[(*n)++].name, sizeof(s->name), "%s", name);
	return &s[i];
}

static void series_add(struct series *s, double size, double time)
{
	assert_true(s->n < ROWS_MAX);
	s->size[s->n] = size;
	s->time[s->n++] = time;
}

struct score {
	struct fit fit;
	double mean, worst;
	int n;
};

/* Fits rows 1, 3, 5, ... and predicts rows 2, 4, 6, ... from `least` up. */
static bool odd_even(const struct series *s, double least, struct score *out)
{
	double n[ROWS_MAX], t[ROWS_MAX], e;
	int i, odd = 0;

	*out = (struct score){ 0 };
	for (i = 0; i < s->n; i += 2) {
		n[odd] = s->size[i];
		t[odd++] = s->time[i];
	}
	if (odd < 3)
		return false;
	assert_int_equal(fit_curve(n, t, odd, &out->fit), ST_OK);
	for (i = 1; i < s->n; i += 2) {
		if (s->size[i] < least)
			continue;
		e = fabs(curve_eval(&out->fit.curve, s->size[i]) -
			 s->time[i]) / s->time[i];
		out->mean += e;
		out->worst = fmax(out->worst, e);
		out->n++;
	}
	out->mean /= out->n;
	return true;
}

static void show(const char *where, const struct series *s,
		 const struct score *x)
{
	print_message("# %s %s: %s, %d rows left out, error %.2f %%, worst "
		      "%.1f %%\n", where, s->name, fit_form_name(x->fit.form),
		      x->n, 100 * x->mean, 100 * x->worst);
}

/* ---- nccl-tests logs ---- */

static void read_row(const char *line, const char *op, struct series *s,
		     int *n)
{
	double size, out, in;
	char name[64];

	/* size count type redop root time algbw busbw wrong time ... */
	if (sscanf(line, "%lf %*s %*s %*s %*s %lf %*s %*s %*s %lf", &size,
		   &out, &in) != 3)
		return;
	snprintf(name, sizeof(name), "%s out-of-place", op);
	series_add(series_of(s, n, name), size, out * 1e-6);
	snprintf(name, sizeof(name), "%s in-place", op);
	series_add(series_of(s, n, name), size, in * 1e-6);
}

static int read_log(const char *path, struct series *s)
{
	FILE *f = fopen(path, "r");
	char line[512], op[32] = "";
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "# Collective test starting: %31s", op) < 1)
			read_row(line, op, s, &n);
	}
	fclose(f);
	return n;
}

/*
 * 5 % from 32 MiB up, but for send/recv between 8 GPUs. Inside a node NCCL uses
 * more channels from 64 to 256 MiB up, and the time stands still on the way (8
 * GPUs: 818 us at 64 MiB, 824 us at 128 MiB; the double size should take
 * double). Without that row nothing says so: 421 us at 32 MiB and 824 us at 128
 * MiB are what a straight line has, which is 32 % off at 64 MiB. With all rows
 * the fit knows it.
 */
static double bound_of(const char *path, const struct series *s)
{
	if (strncmp(s->name, "sendrecv", strlen("sendrecv")) ||
	    !strstr(path, "_G8_"))
		return BOUND;
	return 2 * BOUND;
}

static void check_log(const char *path, int *checked)
{
	struct series *s = xcalloc(SERIES_MAX, sizeof(*s));
	int n = read_log(path, s), i;
	struct score x;

	assert_true(n > 0);
	for (i = 0; i < n; i++) {
		if (!odd_even(&s[i], 32 * 1048576.0, &x)) {
			print_message("# %s %s: %d rows are too few\n",
				      strrchr(path, '/') + 1, s[i].name,
				      s[i].n);
			continue;
		}
		show(strrchr(path, '/') + 1, &s[i], &x);
		if (!(x.mean <= bound_of(path, &s[i])))
			fail_msg("error %.2f %% is above %.0f %%",
				 100 * x.mean, 100 * bound_of(path, &s[i]));
		++*checked;
	}
	free(s);
}

static void test_logs(void **state)
{
	char pattern[1024];
	glob_t g;
	size_t i;
	int checked = 0;

	(void)state;
	data_path("nccl-tests/*.log", pattern, sizeof(pattern));
	if (glob(pattern, 0, NULL, &g))
		skip();
	for (i = 0; i < g.gl_pathc; i++)
		check_log(g.gl_pathv[i], &checked);
	globfree(&g);
	assert_true(checked >= 40);
}

/* ---- collectives on H200 ---- */

/* framework,version,device,op,source,dtype,gpus,elements,milliseconds */
static int read_collectives(const char *path, struct series *s)
{
	char line[512], op[24], dtype[12], gpus[8], name[64];
	FILE *f = fopen(path, "r");
	double elements, ms;
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*[^,],%*[^,],%*[^,],%23[^,],%*[^,],"
			   "%11[^,],%7[^,],%lf,%lf", op, dtype, gpus,
			   &elements, &ms) != 5)
			continue;
		snprintf(name, sizeof(name), "%s %s %s GPUs", op, dtype,
			 gpus);
		series_add(series_of(s, &n, name), elements *
			   (strcmp(dtype, "half") ? 1 : 2), ms * 1e-3);
	}
	fclose(f);
	return n;
}

/*
 * From 1 MB up, one measurement per size, every other one left out, so that
 * four times the size lies between two that are known. The table's repeats
 * differ by 3 % (2 GPUs) to 66 % (4 GPUs, below 4 MB), so that no curve can
 * be within 5 % everywhere: the bound of 5 % is for the mean of all series,
 * 10 % for each.
 */
static void test_collectives(void **state)
{
	struct series *s = xcalloc(SERIES_MAX, sizeof(*s));
	double mean = 0, large = 0;
	struct score x, y;
	char path[1024];
	int n, i;

	(void)state;
	if (!data_path("measured/h200_sxm_nccl_2.29.2.csv", path,
		       sizeof(path))) {
		free(s);
		skip();
	}
	n = read_collectives(path, s);
	assert_int_equal(n, 24);
	for (i = 0; i < n; i++) {
		assert_true(odd_even(&s[i], MB, &x));
		assert_true(odd_even(&s[i], 4 * MB, &y));
		show("h200", &s[i], &x);
		if (!(x.mean <= 2 * BOUND))
			fail_msg("error %.2f %%", 100 * x.mean);
		mean += x.mean / n;
		large += y.mean / n;
	}
	print_message("# h200: mean of %d series %.2f %% from 1 MB up, %.2f "
		      "%% from 4 MB up\n", n, 100 * mean, 100 * large);
	assert_true(large <= BOUND);
	assert_true(mean <= BOUND);
	free(s);
}

/* ---- products on H200 ---- */

struct products {
	struct product_point *fit, *test;
	int n_fit, n_test;
};

/* m,n,k,us,tflops. Of the shapes (n, k) with n, k >= 512 those whose number
 * is a multiple of five are left out, or every other m. */
static void read_products(const char *path, bool by_shape,
			  struct products *p)
{
	FILE *f = fopen(path, "r");
	struct product_point x = { .batch = 1 };
	char line[256];
	double us;
	bool out;

	assert_non_null(f);
	p->fit = xcalloc(SHAPES_MAX, sizeof(*p->fit));
	p->test = xcalloc(SHAPES_MAX, sizeof(*p->test));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lf,%lf,%lf,%lf", &x.m, &x.n, &x.k,
			   &us) != 4 || x.n < 512 || x.k < 512)
			continue;
		x.seconds = us * 1e-6;
		out = by_shape ? ((int)(x.n / 256) * 7 +
				  (int)(x.k / 256) * 3) % 5 == 0 :
			log2(x.m) == floor(log2(x.m)) &&
			(int)log2(x.m) % 2 && x.m < 32768;
		if (out)
			p->test[p->n_test++] = x;
		else
			p->fit[p->n_fit++] = x;
	}
	fclose(f);
}

static double check_products(const char *path, bool by_shape)
{
	struct products p = { 0 };
	struct product_table t;
	double sum = 0, worst = 0, e;
	int i, n = 0;

	read_products(path, by_shape, &p);
	assert_int_equal(product_table_init(&t, DT_BF16, "", p.fit, p.n_fit),
			 ST_OK);
	for (i = 0; i < p.n_test; i++) {
		const struct product_point *x = &p.test[i];

		if (x->m < 128)
			continue;
		e = fabs(product_seconds(&t, x->m, x->n, x->k, 1, NULL) -
			 x->seconds) / x->seconds;
		sum += e;
		worst = fmax(worst, e);
		n++;
	}
	print_message("# h200 products, %s left out: %d of %d points from "
		      "128 rows up, error %.2f %%, worst %.1f %%\n",
		      by_shape ? "shapes" : "rows", n, p.n_fit + p.n_test,
		      100 * sum / n, 100 * worst);
	product_table_release(&t);
	free(p.fit);
	free(p.test);
	return sum / n;
}

/*
 * cuBLAS changes its kernel and cuts rows in tiles, so that one of fourteen
 * steps to more rows takes 3 % less time and neighbours differ by up to half.
 * Shapes left out: 4.1 %. Every other power of two of the rows left out: 5.5 %.
 */
static void test_products(void **state)
{
	char path[1024];

	(void)state;
	if (!data_path("measured/h200_gemm_bf16.csv", path, sizeof(path)))
		skip();
	assert_true(check_products(path, true) <= BOUND);
	assert_true(check_products(path, false) < 0.06);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_collectives),
		cmocka_unit_test(test_products),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
