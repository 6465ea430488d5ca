/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_lsh.h"
#include "tests/unit/route_help.h"

static const struct lsh_spec fast = { .hashes = 1, .rounds = 3, .seed = 5 };

static void make(int n, int dim, double clustered, int clusters, double s,
		 struct tokens *out)
{
	struct tokens_spec spec = { .n = n, .dim = dim, .clusters = clusters,
				    .clustered = clustered, .similarity = s,
				    .seed = 11 };

	if (tokens_make(&spec, out)) {
		fail_msg("%s", err_msg());
	}
}

static struct lsh *hash(const struct lsh_spec *spec, int dim)
{
	struct lsh *l = NULL;

	if (lsh_new(spec, dim, &l)) {
		fail_msg("%s", err_msg());
	}
	return l;
}

static int equal_codes(const int *a, const int *b, int n)
{
	int same = 0;

	for (int i = 0; i < n; i++) {
		same += a[i] == b[i];
	}
	return same;
}

/* ---- tokens ---- */

/*
 * Mean cosine inside a cluster is s, elsewhere 0; with 300 tokens in 4
 * clusters of 256 dimensions the mean of 11,000 pairs is within 0.005.
 */
static void synthetic_cosines(void **state)
{
	double in = 0, out = 0;
	int n_in = 0, n_out = 0;
	struct tokens t;

	(void)state;
	make(300, 256, 0.7, 4, 0.8, &t);
	for (int i = 0; i < t.n; i++) {
		double norm = 0;

		for (int j = 0; j < i; j++) {
			double c = tokens_cosine(tokens_at(&t, i),
						 tokens_at(&t, j), t.dim);

			if (t.cluster[i] >= 0 &&
			    t.cluster[i] == t.cluster[j]) {
				in += c;
				n_in++;
			} else {
				out += c;
				n_out++;
			}
		}
		for (int d = 0; d < t.dim; d++) {
			norm += pow(tokens_at(&t, i)[d], 2);
		}
		help_close(norm, t.dim, 1e-3);	/* sqrt(dim) squared */
	}
	/* 210 tokens in 4 clusters: 4 * 52.5 * 51.5 / 2 pairs */
	assert_in_range(n_in, 4500, 6500);
	help_close(in / n_in, 0.8, 0.01);
	help_close(out / n_out, 0, 0.02);
	tokens_release(&t);
}

static void file_of(const char *text, size_t len, int dim,
		    const char *want)
{
	char *path = help_file(text, len);
	struct tokens t = { 0 };

	err_clear();
	if (want) {
		assert_int_equal(tokens_read(path, dim, &t), ST_INPUT);
		if (!strstr(err_msg(), want)) {
			fail_msg("'%s' does not say '%s'", err_msg(), want);
		}
	} else {
		assert_int_equal(tokens_read(path, dim, &t), ST_OK);
		assert_int_equal(t.n, 2);
		assert_int_equal(t.dim, 3);
		help_close(tokens_at(&t, 1)[2], -6.5, 0);
		tokens_release(&t);
	}
	unlink(path);
}

static void token_files(void **state)
{
	static const float raw[] = { 1, 2, 3, 4, 5, -6.5f };
	static const float bad[] = { 1, INFINITY };

	(void)state;
#define TEXT(text, want) file_of(text, sizeof(text) - 1, 0, want)
	TEXT("# two\n1 2,3\n\n4\t5 -6.5 # last", NULL);
	TEXT("1 2\n3\n", ":2: 1 numbers, the first token has 2");
	TEXT("1 2\n3 x7\n", ":2: 'x7' is not a finite number");
	TEXT("1 nan\n", ":1: 'nan' is not a finite number");
	TEXT("1 2z\n", ":1: '2z' is not");
	TEXT("# none\n", "no tokens");
	TEXT("1\0002", "is not text");
#undef TEXT
	file_of((const char *)raw, sizeof(raw), 3, NULL);
	file_of((const char *)raw, sizeof(raw), 4, "no whole number");
	file_of((const char *)bad, sizeof(bad), 1, "token 2, number 1");
}

/* ---- codes ---- */

/* The negative vector has the other vertex of the same axis; scale does not
 * matter. */
static void codes_are_vertices(void **state)
{
	struct lsh_spec spec[] = { fast, fast };
	struct tokens t;

	(void)state;
	spec[1].rotation = LSH_DENSE;
	make(50, 96, 0, 1, 0, &t);	/* 96: padded to 128 */
	for (int s = 0; s < 2; s++) {
		int a[50 * 4], b[50 * 4];
		struct lsh *l;

		spec[s].hashes = 4;
		l = hash(&spec[s], t.dim);
		lsh_codes(l, t.x, t.n, a);
		for (int i = 0; i < t.n * t.dim; i++) {
			t.x[i] *= -2.5f;
		}
		lsh_codes(l, t.x, t.n, b);
		for (int i = 0; i < t.n * 4; i++) {
			assert_in_range(a[i], 0, 2 * 96 - 1);
			assert_int_equal(a[i] ^ 1, b[i]);
		}
		/* the hashes differ: four equal ones would agree always */
		assert_true(equal_codes(a, a + 1, 199) < 20);
		lsh_free(l);
	}
	tokens_release(&t);
}

static void probability_by_hand(void **state)
{
	(void)state;
	/* one coordinate: the hyperplane hash, 1 - angle / pi */
	help_close(lsh_collision_probability(2, 0), 0.5, 1e-6);
	help_close(lsh_collision_probability(2, 0.5), 2.0 / 3, 1e-6);
	help_close(lsh_collision_probability(2, -0.5), 1.0 / 3, 1e-6);
	help_close(lsh_collision_probability(2, cos(0.3)), 1 - 0.3 / M_PI,
		   1e-6);
	/* no correlation: any of the b vertices */
	help_close(lsh_collision_probability(16, 0), 1.0 / 16, 1e-6);
	help_close(lsh_collision_probability(2048, 0), 1.0 / 2048, 1e-7);
	help_close(lsh_collision_probability(64, 1), 1, 0);
	help_close(lsh_collision_probability(64, -1), 0, 0);
}

/*
 * Andoni et al. 2015, theorem 1: ln 1/p = w ln d + O(ln ln d), w = tau^2 / (4
 * - tau^2), tau^2 = 2 - 2 s. Three points give the three unknowns of ln 1/p =
 * w ln d + c ln ln d + e; a linear system for w, solved by differences.
 */
static double log_inverse(int bits, double s)
{
	return -log(lsh_collision_probability(2 << bits, s));
}

static void probability_falls_as_in_theorem(void **state)
{
	static const double s[] = { 0.3, 0.5, 0.8 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		double tau2 = 2 - 2 * s[i], want = tau2 / (4 - tau2);
		double a = log_inverse(8, s[i]), b = log_inverse(14, s[i]);
		double c = log_inverse(22, s[i]);
		/* differences of ln d, and of ln ln d = ln bits + const */
		double d1 = 6 * M_LN2, d2 = 8 * M_LN2;
		double l1 = log(14 / 8.0), l2 = log(22 / 14.0);
		double w = ((b - a) * l2 - (c - b) * l1) / (d1 * l2 - d2 * l1);

		if (fabs(w / want - 1) > 0.05) {
			fail_msg("s = %g: %g, theorem %g", s[i], w, want);
		}
	}
}

/* 400 pairs, 16 hashes: 6,400 trials; standard error below 0.0063. */
static void codes_collide_as_computed(void **state)
{
	static const double s[] = { 0, 0.4, 0.8, 0.95 };
	static const int buckets[] = { 16, 128 };

	(void)state;
	for (int i = 0; i < 16; i++) {
		struct lsh_spec spec = { .hashes = 16, .seed = (uint64_t)i,
					 .rounds = LSH_ROUNDS_DEFAULT,
					 .rotation = i % 2 ? LSH_DENSE :
					 LSH_HADAMARD,
					 .buckets = buckets[i / 2 % 2] };
		double want = lsh_collision_probability(spec.buckets,
							s[i / 4]);
		struct lsh *l = hash(&spec, 256);
		int *code = xcalloc(800 * 16, sizeof(*code)), same = 0;
		struct tokens t;

		make(800, 256, 0, 1, 0, &t);
		for (int p = 0; p < 400; p++) {	/* the second by the first */
			float *x = t.x + (int64_t)2 * p * 256, *y = x + 256;
			double c = tokens_cosine(x, y, 256), n = 0;

			for (int d = 0; d < 256; d++) {
				y[d] = y[d] - (float)c * x[d];
				n += y[d] * y[d];
			}
			for (int d = 0; d < 256; d++) {
				y[d] = (float)(s[i / 4] * x[d] +
					sqrt((1 - s[i / 4] * s[i / 4]) *
					     256 / n) * y[d]);
			}
		}
		lsh_codes(l, t.x, t.n, code);
		for (int p = 0; p < 400; p++) {
			same += equal_codes(code + 32 * p, code + 32 * p + 16,
					    16);
		}
		if (fabs(same / 6400.0 - want) > 0.02) {
			fail_msg("%s, s = %g, %d buckets: %g, not %g",
				 lsh_rotation_name(spec.rotation), s[i / 4],
				 spec.buckets, same / 6400.0, want);
		}
		free(code);
		tokens_release(&t);
		lsh_free(l);
	}
}

/* ---- clusters ---- */

/* Brute force: two copies share a cluster exactly when expert and all codes
 * agree; sizes, owners and centroids follow. */
static void clusters_by_brute_force(void **state)
{
	struct lsh_spec spec = { .hashes = 2, .buckets = 4, .rounds = 3,
				 .seed = 3 };
	struct lsh_groups g;
	struct tokens t;
	struct lsh *l = hash(&spec, 24);
	int expert[2 * 60], code[2 * 60], total = 0;

	(void)state;
	make(60, 24, 0.5, 3, 0.9, &t);
	for (int i = 0; i < 120; i++) {
		expert[i] = i % 7 == 0 ? -1 : i * i % 5;
	}
	lsh_codes(l, t.x, t.n, code);
	lsh_group(l, &t, expert, 2, 5, &g);
	assert_int_equal(g.copies, 120 - 18);
	for (int i = 0; i < 120; i++) {
		int size = 0;
		double mean = 0;

		assert_int_equal(g.of[i] < 0, expert[i] < 0);
		for (int j = 0; j < 120 && expert[i] >= 0; j++) {
			int same = expert[i] == expert[j] &&
				equal_codes(code + i / 2 * 2,
					    code + j / 2 * 2, 2) == 2;

			assert_int_equal(g.of[i] == g.of[j], same);
			size += same;
			mean += same ? tokens_at(&t, j / 2)[17] : 0;
		}
		if (expert[i] >= 0) {
			assert_int_equal(g.size[g.of[i]], size);
			assert_int_equal(g.expert[g.of[i]], expert[i]);
			help_close(g.centroid[g.of[i] * 24 + 17], mean / size,
				   1e-5);
		}
	}
	for (int e = 0; e < 5; e++) {
		total += g.per_expert[e];
	}
	assert_int_equal(total, g.clusters);
	assert_true(g.clusters < g.copies);
	help_close(lsh_rate(&g), g.clusters / 102.0, 0);
	lsh_groups_release(&g);
	tokens_release(&t);
	lsh_free(l);
}

/*
 * An expert y = W x. Restored = W c + x - c; the gradient of sum(y * r) by
 * the formula is exact for a linear expert up to the approximation dE/dx = I
 * around the centroid, that is, it is the exact derivative of the restored
 * output: checked by finite differences of the whole chain.
 */
static void gradient_of_restore(void **state)
{
	struct lsh_spec spec = { .hashes = 1, .buckets = 2, .rounds = 1,
				 .seed = 8 };
	struct lsh *l = hash(&spec, 4);
	float w[16], r[20], sum[20], h[20], dx[20], e[20], y[20];
	struct lsh_groups g;
	struct tokens t;

	(void)state;
	make(5, 4, 1, 1, 0.9, &t);
	lsh_group(l, &t, NULL, 1, 1, &g);
	assert_true(g.clusters < 5);
	for (int i = 0; i < 20; i++) {
		w[i % 16] = (float)sin(3 * i + 1);
		r[i] = (float)cos(5 * i);
	}
	lsh_gradient_sum(&g, r, sum);
	for (int c = 0; c < g.clusters; c++) {
		for (int j = 0; j < 4; j++) {
			h[4 * c + j] = 0;
			for (int i = 0; i < 4; i++) {
				h[4 * c + j] += w[4 * i + j] * sum[4 * c + i];
			}
		}
	}
	lsh_gradient_restore(&g, r, sum, h, dx);
	for (int v = 0; v < 20; v++) {
		double value[2], step = 0.25;	/* linear: any step will do */

		for (int side = 0; side < 2; side++) {
			struct lsh_groups moved;
			float keep = t.x[v];

			t.x[v] += (float)(side ? step : -step);
			/* the same clusters, new centroids */
			moved = g;
			moved.centroid = xcalloc((size_t)g.clusters * 4,
						 sizeof(float));
			for (int i = 0; i < 20; i++) {
				int c = g.of[i / 4];

				moved.centroid[4 * c + i % 4] +=
					t.x[i] / (float)g.size[c];
			}
			for (int i = 0; i < 4 * g.clusters; i++) {
				e[i] = 0;
				for (int j = 0; j < 4; j++) {
					e[i] += w[4 * (i % 4) + j] *
						moved.centroid[i / 4 * 4 + j];
				}
			}
			lsh_restore(&moved, &t, e, y);
			value[side] = 0;
			for (int i = 0; i < 20; i++) {
				value[side] += (double)r[i] * y[i];
			}
			free(moved.centroid);
			t.x[v] = keep;
		}
		help_close(dx[v], (value[1] - value[0]) / (2 * step), 1e-4);
	}
	lsh_groups_release(&g);
	tokens_release(&t);
	lsh_free(l);
}

/* ---- rate and errors ---- */

static struct lsh_point measure(int hashes, int buckets, double s)
{
	struct lsh_spec spec = { .hashes = hashes, .buckets = buckets,
				 .rounds = 3, .seed = 1 };
	struct tokens_spec tokens = { .n = 512, .dim = 128, .clustered = 1,
				      .clusters = 8, .similarity = s,
				      .seed = 2 };
	struct lsh_point p;

	if (lsh_measure(&spec, &tokens, &p)) {
		fail_msg("%s", err_msg());
	}
	return p;
}

/* More hashes: more clusters, less error. More similar: fewer clusters. */
static void rate_goes_the_right_way(void **state)
{
	struct lsh_point last = { 0, 2 };

	(void)state;
	for (int q = 1; q <= 8; q++) {
		struct lsh_point p = measure(q, 0, 0.9);

		assert_true(p.rate > last.rate);
		assert_true(p.centroid_error < last.centroid_error);
		last = p;
	}
	assert_true(measure(4, 0, 0.95).rate < measure(4, 0, 0.8).rate);
	assert_true(measure(4, 8, 0.8).rate < measure(4, 256, 0.8).rate);
	/* identical tokens: one cluster for each of the 8 centres */
	help_close(measure(6, 0, 1).rate, 8 / 512.0, 1e-12);
	help_close(measure(6, 0, 1).centroid_error, 0, 1e-6);
}

/* 64 tokens of one cluster; p^q n^2 pairs share a bucket on average. */
static void rate_keeps_its_bound(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++) {
		struct lsh_spec spec = { .hashes = 1 + i % 3, .rounds = 3 };
		struct tokens_spec tokens = { .n = 64, .dim = 128,
					      .clustered = 1, .clusters = 1,
					      .similarity = 0.5 + 0.2 * (i / 3)
		};
		double mean = 0, bound = lsh_rate_bound(64, spec.hashes,
			lsh_collision_probability(256, tokens.similarity));

		for (uint64_t seed = 0; seed < 20; seed++) {
			struct lsh_point p;

			spec.seed = tokens.seed = seed;
			assert_int_equal(lsh_measure(&spec, &tokens, &p), 0);
			mean += p.rate / 20;
		}
		if (mean < 0.95 * bound || mean > 1) {
			fail_msg("q = %d, s = %g: %g, bound %g", spec.hashes,
				 tokens.similarity, mean, bound);
		}
	}
}

/*
 * Residuals make the identity exact; for a I + sqrt(1 - a^2) Q the output is
 * wrong by sqrt(2 (1 - a)) of what the centroids miss. Q: swap neighbours
 * with a sign, a rotation whose diagonal is 0.
 */
static void errors_of_the_restored(void **state)
{
	struct lsh_spec spec = { .hashes = 3, .buckets = 8, .rounds = 3 };
	struct lsh *l = hash(&spec, 64);
	double a = 0.6, b = 0.8, off = 0, all = 0, c;
	struct lsh_groups g;
	struct tokens t;
	float *e, *y;

	(void)state;
	make(200, 64, 0.8, 5, 0.9, &t);
	lsh_group(l, &t, NULL, 1, 1, &g);
	c = lsh_centroid_error(&g, &t);
	assert_true(c > 0.1 && c < 1);
	assert_true(lsh_identity_error(&g, &t) < 1e-6);
	e = xcalloc((size_t)g.clusters * 64, sizeof(*e));
	y = xcalloc(200 * 64, sizeof(*y));
#define EXPERT(v, i) (a * (v)[i] + ((i) % 2 ? b : -b) * (v)[(i) ^ 1])
	for (int i = 0; i < g.clusters * 64; i++) {
		e[i] = (float)EXPERT(g.centroid, i);
	}
	lsh_restore(&g, &t, e, y);
	for (int i = 0; i < 200 * 64; i++) {
		double right = EXPERT(t.x, i);

		off += (y[i] - right) * (y[i] - right);
		all += right * right;
	}
#undef EXPERT
	help_close(sqrt(off / all), lsh_output_error(c, a), 1e-5);
	help_close(lsh_output_error(c, 0.5), c, 1e-12);
	free(e);
	free(y);
	lsh_groups_release(&g);
	tokens_release(&t);
	lsh_free(l);
}

/*
 * 100 tokens, top-2, 8 dimensions of 2 bytes, 2 hashes of 4 rows, rate 1/4.
 * Dense: 2*2*4*8*100 = 12,800 FLOP. Bytes: read 1,600, results 2*2*4*100*2 =
 * 3,200, codes 4*2*100 = 800; sort 200*8*24 = 38,400, borders 2,400; mean
 * 200*16*1.25 = 4,000: 50,400 before the exchange; restore 200*16*2.5 = 8,000
 * after it. Backward 4,000 and 8,000. Fast, 3 rounds: 2*100*(3*8*(3+1) +
 * 4) = 20,000 FLOP, + 200*8 for the means, 2*200*8 to restore.
 */
static void cost_by_hand(void **state)
{
	struct lsh_spec spec = { .rotation = LSH_DENSE, .hashes = 2,
				 .buckets = 8, .rounds = 3 };
	struct lsh_shape shape = { .tokens = 100, .copies = 200, .dim = 8,
				   .element_bytes = 2, .peers = 7,
				   .experts = 16 };
	struct lsh_point p = { .rate = 0.25, .centroid_error = 0.125 };
	struct lsh_effect e;

	(void)state;
	lsh_effect_make(&spec, &shape, p, &e);
	help_close(e.rate, 0.25, 0);
	help_close(e.error, 0.125, 0);
	help_close(e.before[0].gemm_flop, 12800, 1e-9);
	help_close(e.before[0].hbm_bytes, 50400, 1e-9);
	help_close(e.after[0].hbm_bytes, 8000, 1e-9);
	help_close(e.before[1].hbm_bytes, 4000, 1e-9);
	help_close(e.after[1].hbm_bytes, 8000, 1e-9);
	help_close(e.before[0].exchange_bytes, 64, 0);
	help_close(e.before[0].messages, 7, 0);
	help_close(e.after[0].messages, 0, 0);
	spec.rotation = LSH_HADAMARD;
	lsh_effect_make(&spec, &shape, p, &e);
	help_close(e.before[0].gemm_flop, 0, 0);
	help_close(e.before[0].vector_flop, 20000 + 1600, 1e-9);
	help_close(e.after[0].vector_flop, 3200, 1e-9);
	help_close(e.before[0].hbm_bytes, 50400 - 3200, 1e-9);
}

static void refused(struct lsh_spec spec, int dim, const char *want)
{
	struct lsh *l = NULL;

	err_clear();
	assert_int_equal(lsh_new(&spec, dim, &l), ST_INPUT);
	assert_null(l);
	if (!strstr(err_msg(), want)) {
		fail_msg("'%s' does not say '%s'", err_msg(), want);
	}
}

static void wrong_specs(void **state)
{
	struct tokens_spec spec = { .n = 3, .dim = 4, .clusters = 4 };
	struct tokens t;

	(void)state;
	refused((struct lsh_spec){ .hashes = 0, .rounds = 3 }, 8,
		"hashes '0' is not in 1..64");
	refused((struct lsh_spec){ .hashes = 1, .rounds = 3, .buckets = 18 },
		8, "buckets '18' is not in 2..16");
	refused((struct lsh_spec){ .hashes = 1, .rounds = 3, .buckets = 7 }, 8,
		"'7' is odd");
	refused((struct lsh_spec){ .hashes = 1 }, 8, "rounds '0'");
	refused((struct lsh_spec){ .hashes = 64, .rotation = LSH_DENSE },
		32768, "64 dense rotations");
	assert_int_equal(tokens_make(&spec, &t), ST_INPUT);
	spec.clusters = 1;
	spec.similarity = 1.5;
	assert_int_equal(tokens_make(&spec, &t), ST_INPUT);
	spec.similarity = 0;
	spec.n = TOKENS_MAX;
	spec.dim = TOKENS_DIM_MAX;
	assert_int_equal(tokens_make(&spec, &t), ST_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(synthetic_cosines),
		cmocka_unit_test(token_files),
		cmocka_unit_test(codes_are_vertices),
		cmocka_unit_test(probability_by_hand),
		cmocka_unit_test(probability_falls_as_in_theorem),
		cmocka_unit_test(codes_collide_as_computed),
		cmocka_unit_test(clusters_by_brute_force),
		cmocka_unit_test(gradient_of_restore),
		cmocka_unit_test(rate_goes_the_right_way),
		cmocka_unit_test(rate_keeps_its_bound),
		cmocka_unit_test(errors_of_the_restored),
		cmocka_unit_test(cost_by_hand),
		cmocka_unit_test(wrong_specs),
	};

	gsl_set_error_handler_off();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
