/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logs of nccl-tests in all the shapes that people have. Times and
 * bandwidths in the texts are made up but agree: 1 MiB in 100 us is
 * 10.49 GB/s; on 4 ranks all-to-all's busbw is 3/4 of it, 7.86.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/unit/import_help.h"

#define START(op) \
	"# nccl-tests version 2.17.8 nccl-headers=22902 nccl-library=22903\n" \
	"# Collective test starting: " op "\n"
#define NTHREAD "# nThread 1 nGpus 1 minBytes 8 maxBytes 64 step: 2(factor) " \
	"warmup iters: 5 iters: 20 agg iters: 1 validation: 1 graph: 0\n#\n" \
	"# Using devices\n"
#define RANK(n, host) \
	"#  Rank  " #n " Group  0 Pid 22" #n " on " host " device  " #n \
	" [0000:1b:00] NVIDIA H100 80GB HBM3\n"
#define RANKS4 RANK(0, "a1") RANK(1, "a1") RANK(2, "a1") RANK(3, "a1")
#define TABLE \
	"#                 out-of-place            in-place\n" \
	"#       size         count      type   redop    root     time   algbw" \
	"   busbw  #wrong     time   algbw   busbw  #wrong \n" \
	"#        (B)    (elements)                               (us)  (GB/s)" \
	"  (GB/s)             (us)  (GB/s)  (GB/s)         \n"
#define ROW \
	"     1048576        262144     float    none      -1   100.00   10.49" \
	"    7.86       0   200.00    5.24    3.93    N/A\n"
#define HEAD START("alltoall_perf") NTHREAD RANKS4 TABLE

static void read_log(const char *text, struct import *im)
{
	help_read_ok("nccl-tests", "log.txt", text, im);
}

static void current_layout(void **state)
{
	const struct sample *s;
	struct import im;

	(void)state;
	read_log(HEAD ROW "# Out of bounds values : 0 OK\n"
		 "# Avg bus bandwidth    : 5.9\n#\n", &im);
	assert_int_equal(im.rows, 1);
	assert_int_equal(im.n_samples, 2);
	assert_int_equal(im.skip.n, 0);
	s = im.sample;
	assert_string_equal(s[0].op, "alltoall");
	assert_string_equal(s[0].variant, "even");
	assert_string_equal(s[0].tier, "nvlink");
	assert_string_equal(s[0].dtype, "fp32");
	assert_int_equal(s[0].ranks, 4);
	assert_int_equal(s[0].nodes, 1);
	assert_int_equal(s[0].count, 20);
	assert_true(s[0].bytes == 1048576);
	assert_true(fabs(s[0].median_s - 100e-6) < 1e-15);
	assert_true(s[0].min_s == 0 && s[0].p95_s == 0);
	assert_int_equal(s[0].wrong, 0);
	assert_string_equal(s[1].variant, "in-place");
	assert_true(fabs(s[1].median_s - 200e-6) < 1e-15);
	assert_int_equal(s[1].wrong, -1);	/* N/A: not checked */
	assert_int_equal(im.n_runs, 1);
	assert_string_equal(im.run[0].info.gpu, "NVIDIA H100 80GB HBM3");
	assert_string_equal(im.run[0].info.host, "a1");
	assert_string_equal(im.run[0].info.nccl, "2.29.3");
	assert_string_equal(im.run[0].info.backend, "import");
	assert_string_equal(im.run[0].info.source, "nccl-tests, file log.txt");
	assert_int_equal(im.run[0].info.gpus, 4);
	import_release(&im);
}

/*
 * 2.0-2.9: no version line, no op, "error" instead of "#wrong", Rank lines
 * without Group; the op from the command line. all-reduce on 2 ranks: factor
 * 2 * 1/2 = 1. 4 MiB in 1000 us: 4.19 GB/s.
 */
static const char old_log[] =
	"$ mpirun -np 2 ./build/all_reduce_perf -b 4M -e 4M\n"
	"# nThread 1 nGpus 2 minBytes 4194304 maxBytes 4194304 step: 2(factor) "
	"warmup iters: 5 iters: 15 validation: 1 \n#\n# Using devices\n"
	"#   Rank  0 Pid  12345 on    old1 device  0 [0x06] Tesla V100-SXM2-16GB\n"
	"#   Rank  1 Pid  12345 on    old1 device  1 [0x07] Tesla V100-SXM2-16GB\n"
	"#\n"
	"#       size         count    type   redop     time   algbw   busbw  "
	"error     time   algbw   busbw  error\n"
	"#        (B)    (elements)                     (us)  (GB/s)  (GB/s)  "
	"          (us)  (GB/s)  (GB/s)       \n"
	"     4194304       1048576   float     sum   1000.0    4.19    4.19  "
	"2e-07   1000.0    4.19    4.19  0e+00\n";

static void old_layout(void **state)
{
	struct import im;

	(void)state;
	read_log(old_log, &im);
	assert_int_equal(im.rows, 1);
	assert_int_equal(im.skip.n, 0);
	assert_string_equal(im.sample[0].op, "allreduce");
	assert_string_equal(im.sample[0].variant, "");
	assert_string_equal(im.sample[0].dtype, "fp32");
	assert_int_equal(im.sample[0].count, 15);
	assert_int_equal(im.sample[0].wrong, -1);	/* a size, no count */
	assert_string_equal(im.run[0].info.gpu, "Tesla V100-SXM2-16GB");
	import_release(&im);
}

/* Without redop and root, without #wrong; half of the columns alone. */
static void fewer_columns(void **state)
{
	static const char *const tables[] = {
		"# size count type time algbw busbw time algbw busbw\n"
		"1048576 262144 half 100.00 10.49 7.86 100.00 10.49 7.86\n",
		"# size count type time algbw busbw #wrong\n"
		"1048576 262144 half 100.00 10.49 7.86 3\n",
		"# bytes N type op root time algbw busbw res time algbw busbw res\n"
		"1048576 262144 half sum 0 100.00 10.49 7.86 0e+00 100.00 10.49 "
		"7.86 0e+00\n",
		/* a header with redop and root over rows that lack them */
		"# size count type redop root time algbw busbw error time algbw "
		"busbw error\n"
		"1048576 262144 half 100.00 10.49 7.86 0 100.00 10.49 7.86 0\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		char *text = xasprintf("%s%s", START("all_gather_perf") NTHREAD
				       RANKS4, tables[i]);
		struct import im;

		read_log(text, &im);
		assert_int_equal(im.rows, 1);
		assert_int_equal(im.n_samples, i == 1 ? 1 : 2);
		assert_int_equal(im.sample[0].wrong, i == 1 ? 3 : -1);
		assert_string_equal(im.sample[0].op, "allgather");
		assert_string_equal(im.sample[0].dtype, "fp16");
		assert_true(im.sample[0].median_s == 100 * 1e-6);
		import_release(&im);
		free(text);
	}
}

/* Every line of `text` with `before` and ended by `end`. */
static char *wrap(const char *text, const char *before, const char *end)
{
	char *out = xstrdup("");

	while (*text) {
		int n = (int)strcspn(text, "\n");
		char *more = xasprintf("%s%s%.*s%s", out, before, n, text,
				       end);

		free(out);
		out = more;
		text += n + (text[n] == '\n');
	}
	return out;
}

static void launchers_and_line_ends(void **state)
{
	static const struct {
		const char *before, *end;
	} cases[] = {
		{ "[1,0]<stdout>:", "\n" }, { "[1,0]<stdout>: ", "\n" },
		{ "[1,12]<stderr>", "\n" }, { "0: ", "\n" },
		{ "worker-0.pod: ", "\n" }, { "", "\r\n" },
		{ "x3005c0s13b0n0 0: ", "\n" },
		{ "[1,0]<stdout>:", "\r\n" }, { "\033[0m", "\033[K\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = wrap(HEAD ROW, cases[i].before, cases[i].end);
		struct import im;

		read_log(text, &im);
		if (im.rows != 1 || im.skip.n)
			fail_msg("case %zu: %d rows, %zu notes", i, im.rows,
				 im.skip.n);
		assert_string_equal(im.run[0].info.gpu,
				    "NVIDIA H100 80GB HBM3");
		import_release(&im);
		free(text);
	}
}

/* 8 lines of head (2 + 3 + 4 ranks = 9), 3 of the table: rows from 13 on. */
static void noise_is_listed(void **state)
{
	struct import im;

	(void)state;
	read_log(HEAD ROW
		 "a1:22:30 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1]\n"
		 "a1:22:30 [0] transport/net_ib.cc:1 NCCL WARN timeout\n"
		 "  2097152  524288  a1:22:30 [0] NCCL WARN broken row\n"
		 "  4194304  1048576  float  none  -1  100.00  10.49\n"
		 "  1048576  262144  float none -1 N/A N/A N/A N/A N/A N/A N/A "
		 "N/A\n"
		 "  1048576  262144  float none -1 100.00 20.00 15.00 0 100.00 "
		 "10.49 7.86 0\n"
		 "  1048576  262144  float none -1 100.00 10.49 10.49 0 100.00 "
		 "10.49 7.86 0\n"
		 "  0  0  float none -1 1.00 0.00 0.00 0 1.00 0.00 0.00 0\n"
		 "# Out of bounds values : 3 FAILED\n" ROW
		 "a1: Test NCCL failure common.cu:958 'unhandled cuda error'\n"
		 " .. a1 pid 22: Test failure common.cu:842\n", &im);
	help_note(&im, 14, "message of NCCL");
	help_note(&im, 15, "warning of NCCL");
	help_note(&im, 16, "columns");
	help_note(&im, 17, "columns");
	help_note(&im, 18, "out-of-place: time 'N/A'");
	help_note(&im, 18, "in-place: time 'N/A'");
	help_note(&im, 19, "out-of-place: algbw 20.00 is not size / time");
	help_note(&im, 20, "out-of-place: busbw 10.49 is not that of alltoall");
	help_note(&im, 21, "size '0'");
	help_note(&im, 22, "3 FAILED");
	help_note(&im, 24, "the test failed");
	help_note(&im, 25, "the test failed");
	/* 2 whole rows, 2 with an in-place time that is right */
	assert_int_equal(im.rows, 4);
	assert_int_equal(im.n_samples, 6);
	assert_int_equal(im.skip.n, 12);
	import_release(&im);
}

static void several_runs(void **state)
{
	static const char row2[] = "1048576 262144 float sum -1 100.00 10.49 "
		"10.49 0 100.00 10.49 10.49 0\n";
	struct import im;
	char *text;

	(void)state;
	/* 2 hosts: 2 ranks, factor 1 for all-reduce; then broadcast */
	text = xasprintf("%s%s%s%s%s", HEAD ROW
			 "# Collective test concluded: alltoall_perf\n",
			 START("all_reduce_perf") NTHREAD RANK(0, "b1")
			 RANK(1, "b2") TABLE, row2,
			 START("broadcast_perf") NTHREAD RANKS4 TABLE, row2);
	read_log(text, &im);
	assert_int_equal(im.rows, 2);
	assert_int_equal(im.n_runs, 2);
	assert_int_equal((int)im.run[1].first, 2);
	assert_string_equal(im.run[1].info.host, "b1,b2");
	assert_string_equal(im.sample[2].op, "allreduce");
	assert_string_equal(im.sample[2].tier, "network");
	assert_int_equal(im.sample[2].nodes, 2);
	assert_int_equal(im.skip.n, 1);
	help_note(&im, im.skip.note[0].line, "'broadcast' is no exchange");
	import_release(&im);
	free(text);
}

/* The log does not name its op: the file's name does, or nothing. */
static void op_by_file_name(void **state)
{
	static const char text[] = NTHREAD RANKS4 TABLE ROW;
	struct import im;

	(void)state;
	help_read_ok("nccl-tests", "/x/all_reduce/alltoall-4gpu.log", text,
		     &im);
	assert_int_equal(im.rows, 1);
	assert_string_equal(im.sample[0].op, "alltoall");
	import_release(&im);
	/* busbw gives a wrong name away */
	help_read_ok("nccl-tests", "all_reduce.log", text, &im);
	assert_int_equal(im.rows, 0);
	help_note(&im, 11, "busbw 7.86 is not that of allreduce");
	import_release(&im);
	help_read_ok("nccl-tests", "alltoall_and_allreduce.log", text, &im);
	assert_int_equal(im.rows, 0);
	help_note(&im, 11, "neither the log nor its name");
	import_release(&im);
}

static void ranks_must_be_known(void **state)
{
	struct import im;

	(void)state;
	read_log(START("alltoall_perf") NTHREAD TABLE ROW, &im);
	assert_int_equal(im.rows, 0);
	help_note(&im, 9, "no 'Rank' lines");
	import_release(&im);
	read_log(START("alltoall_perf") NTHREAD RANK(0, "a") RANK(3, "a")
		 TABLE ROW, &im);
	help_note(&im, 11, "2 'Rank' lines for 4 ranks");
	import_release(&im);
	read_log(START("alltoall_perf") NTHREAD RANK(0, "a") TABLE ROW, &im);
	help_note(&im, 10, "one rank exchanges nothing");
	import_release(&im);
	/* a row with no header in this run is not read with the last one's */
	read_log(HEAD ROW NTHREAD RANKS4 ROW, &im);
	assert_int_equal(im.rows, 1);
	help_note(&im, 21, "without a table's header");
	import_release(&im);
}

static void environment_and_tier(void **state)
{
	struct import im;

	(void)state;
	read_log(START("alltoall_perf") NTHREAD RANKS4
		 "NCCL version 2.28.3+cuda13.0\n"
		 "a:1:1 [0] NCCL INFO NCCL_P2P_DISABLE set by environment to "
		 "1.\n"
		 "a:2:2 [1] NCCL INFO NCCL_P2P_DISABLE set by environment to "
		 "1.\n" TABLE ROW, &im);
	assert_int_equal(im.rows, 1);
	assert_string_equal(im.sample[0].tier, "shm");
	assert_string_equal(im.run[0].info.environment, "NCCL_P2P_DISABLE=1");
	assert_string_equal(im.run[0].info.nccl, "2.28.3");
	assert_string_equal(im.run[0].info.cuda, "13.0");
	assert_int_equal(im.skip.n, 0);
	import_release(&im);
}

static void other_texts(void **state)
{
	struct import im;

	(void)state;
	help_refused("nccl-tests", "", "neither the parameters");
	help_refused("nccl-tests", "hello\n1 2 3 4\n", "neither the param");
	/* it failed before the first row: a log all the same */
	read_log(START("alltoall_perf") NTHREAD RANKS4
		 "a1: Test NCCL failure\n", &im);
	assert_int_equal(im.rows, 0);
	assert_int_equal(im.skip.n, 1);
	import_release(&im);
}

static void notes_are_bounded(void **state)
{
	struct import im;
	size_t n = 3 * NOTES_MAX, i;
	struct buf text = { 0 };

	(void)state;
	buf_puts(&text, HEAD);
	for (i = 0; i < n; i++) {
		buf_puts(&text, "noise\n");
	}
	read_log(buf_str(&text), &im);
	assert_int_equal(im.skip.n, NOTES_MAX + 1);
	assert_int_equal(im.skip.left_out, n - NOTES_MAX);
	help_note(&im, 13 + NOTES_MAX, "and 2000 more");
	import_release(&im);
	buf_release(&text);
}

static void csv_tables(void **state)
{
	struct import im;

	(void)state;
	help_read_ok("csv", "t.csv",
		     "# gpu: NVIDIA H200\n# note: no field\n"
		     "seconds, bytes ,ranks,op,\"tier\",sedonds\n"
		     "1e-4,1048576,8,alltoall,nvlink,x\r\n"
		     "2e-4,2097152,8,All_Reduce,,\n\n"
		     "3e-4,1,8,alltoal,nvlink,\n"
		     "-3e-4,1,8,alltoall,nvlink,\n"
		     "3e-4,1,8,alltoall\n"
		     "0,1,8,alltoall,nvlink,\n"
		     "1e-4,1048576,8.5,alltoall,nvlink,x\n"
		     "nan,1048576,8,alltoall,nvlink,x\n", &im);
	assert_int_equal(im.rows, 2);
	assert_string_equal(im.run[0].info.gpu, "NVIDIA H200");
	assert_string_equal(im.sample[0].tier, "nvlink");
	assert_true(im.sample[0].median_s == 1e-4);
	assert_int_equal(im.sample[0].wrong, -1);
	assert_string_equal(im.sample[1].op, "allreduce");
	help_note(&im, 3, "column 'sedonds' is not used (did you mean 'seconds'");
	help_note(&im, 7, "did you mean 'alltoall'");
	help_note(&im, 8, "seconds '-3e-4'");
	help_note(&im, 9, "4 cells where the header has 6");
	help_note(&im, 10, "above 0");
	help_note(&im, 11, "ranks '8.5'");
	help_note(&im, 12, "seconds 'nan'");
	assert_int_equal(im.skip.n, 7);
	import_release(&im);
	help_refused("csv", "", "no header");
	help_refused("csv", "op,ranks,bytes\n", "no column 'seconds'");
	help_refused("csv", "op,op,ranks,bytes,seconds\n", "twice");
}

/* Every row of the public logs, and what their columns say. */
static void public_logs(void **state)
{
	static const struct {
		const char *file;
		int rows, ranks, nodes;
	} logs[] = {
		{ "nccl-tests/nccl_N1_G4_cnode3-002.log", 50, 4, 1 },
		{ "nccl-tests/nccl_N1_G8_cnode3-003.log", 50, 8, 1 },
		{ "nccl-tests/nccl_N2_G1_cnode3-002_cnode3-003.log", 6, 2, 2 },
	};
	size_t i, j, len;

	(void)state;
	for (i = 0; i < sizeof(logs) / sizeof(*logs); i++) {
		char *text = help_shared(logs[i].file, &len);
		struct import im = { 0 };

		if (!text)
			skip();
		assert_int_equal(import_nccl("F", text, len, &im), ST_OK);
		assert_int_equal(im.rows, logs[i].rows);
		assert_int_equal(im.n_samples, 2 * logs[i].rows);
		assert_int_equal(im.skip.n, 0);
		for (j = 0; j < im.n_samples; j++) {
			assert_int_equal(im.sample[j].ranks, logs[i].ranks);
			assert_int_equal(im.sample[j].nodes, logs[i].nodes);
			assert_string_equal(im.sample[j].tier,
					    logs[i].nodes > 1 ? "network" :
					    "nvlink");
		}
		assert_string_equal(im.run[0].info.nccl, "2.29.2");
		import_release(&im);
		free(text);
	}
}

static void fuzzed_logs(void **state)
{
	(void)state;
	help_fuzz("nccl-tests", HEAD ROW ROW "NCCL version 2.28.3+cuda13.0\n"
		  "a:1:1 [0] NCCL INFO NCCL_P2P_DISABLE set by environment to "
		  "1.\n" ROW);
	help_fuzz("csv", "# gpu: NVIDIA H200\nop,ranks,bytes,seconds,tier,"
		  "wrong\nalltoall,8,1048576,1e-4,nvlink,0\n"
		  "allreduce,8,2097152,2e-4,nvlink,-1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(current_layout),
		cmocka_unit_test(old_layout),
		cmocka_unit_test(fewer_columns),
		cmocka_unit_test(launchers_and_line_ends),
		cmocka_unit_test(noise_is_listed),
		cmocka_unit_test(several_runs),
		cmocka_unit_test(op_by_file_name),
		cmocka_unit_test(ranks_must_be_known),
		cmocka_unit_test(environment_and_tier),
		cmocka_unit_test(other_texts),
		cmocka_unit_test(notes_are_bounded),
		cmocka_unit_test(csv_tables),
		cmocka_unit_test(public_logs),
		cmocka_unit_test(fuzzed_logs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
