/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_plan: how long `moecast plan` searches, for every ready scenario, as
 * it is and with all techniques (aim on the default one: 5 s): wall-clock and
 * processor time of search_run(), plans evaluated and pruned, and the best
 * time, which changes when a result does.
 */
#include "sim/search.h"

#include <stdio.h>
#include <time.h>

static const char *const scenarios[] = {
	"default", "deepseek-v3-h100", "mixtral-v100", "qwen3-hgx-h200",
};

#define N_SCENARIOS (int)(sizeof(scenarios) / sizeof(*scenarios))

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum status run(const char *name, bool all)
{
	const struct scenario_set sets[] = { { "search.techniques=all" } };
	struct search_options o = { .top = 8 };
	struct search_result r;
	struct scenario s;
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	enum status st = scenario_load(&s, name, sets, all);

	if (st)
		return st;
	st = search_run(&s, &o, &r);
	if (!st) {
		cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		printf("%-18s %-4s %5d %9.3f %9.3f %9llu %9llu %12.6g\n", name,
		       all ? "all" : "", cluster_gpus(&s.cluster), r.search_s, cpu,
		       (unsigned long long)r.evaluated,
		       (unsigned long long)r.pruned, 1e3 * r.best_s);
		search_release(&r);
	}
	scenario_release(&s);
	return st;
}

int main(void)
{
	printf("%-18s %-4s %5s %9s %9s %9s %9s %12s\n", "scenario", "", "GPUs",
	       "wall (s)", "CPU (s)", "evaluated", "pruned", "best (ms)");
	for (int i = 0; i < 2 * N_SCENARIOS; i++) {
		enum status st = run(scenarios[i / 2], i % 2);

		if (st) {
			fprintf(stderr, "%s: %s\n", scenarios[i / 2],
				err_msg());
			return (int)st;
		}
	}
	return 0;
}
