/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scenarios from texts, for unit tests; include after cmocka.h. */
#ifndef TESTS_UNIT_SCENARIO_HELP_H
#define TESTS_UNIT_SCENARIO_HELP_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "scenarios/keys.h"
#include "scenarios/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELP_SETS_MAX 16

/* A small scenario that needs no model file. */
#define HELP_CLUSTER "cluster: {nodes: 2, gpus_per_node: 4, " \
	"nic: {bandwidth: 400Gb/s}}\n"
#define HELP_MODEL "model: {hidden: 64, experts: 8, experts_per_token: 2, " \
	"expert_ffn: 128}\n"
#define HELP_SCENARIO HELP_CLUSTER HELP_MODEL

/* Writes `text` to a file of its own; unlink() and free() the name. */
static inline char *help_file(const char *text, size_t len)
{
	char *path = xstrdup("/tmp/moecast-test-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(outfile_write(path, text, len), ST_OK);
	return path;
}

/*
 * Loads a text with the --set options in `sets` (NULL-ended, or NULL); a
 * message has "F" for the file's name.
 */
static inline enum status help_load(struct scenario *s, const char *text,
				    const char *const *sets, char *msg,
				    size_t size)
{
	struct scenario_set list[HELP_SETS_MAX];
	char *path = help_file(text, strlen(text)), *at;
	enum status st;
	int n = 0;

	for (; sets && sets[n]; n++) {
		assert_true(n < HELP_SETS_MAX);
		list[n].text = sets[n];
	}
	err_clear();
	st = scenario_load(s, path, list, n);
	snprintf(msg, size, "%s", st ? err_msg() : "");
	while ((at = strstr(msg, path))) {
		at[0] = 'F';
		memmove(at + 1, at + strlen(path),
			strlen(at + strlen(path)) + 1);
	}
	unlink(path);
	free(path);
	return st;
}

/* Loads a text that must be right. */
static inline void help_load_ok(struct scenario *s, const char *text,
				const char *const *sets)
{
	char msg[2048];

	if (help_load(s, text, sets, msg, sizeof(msg)))
		fail_msg("%s\n%s", msg, text);
}

/* The same, of `n` options. */
static inline void help_load_n(struct scenario *s, const char *text,
			       const char *const *sets, int n)
{
	const char *ended[HELP_SETS_MAX + 1] = { NULL };
	int i;

	assert_true(n <= HELP_SETS_MAX);
	for (i = 0; i < n; i++)
		ended[i] = sets[i];
	help_load_ok(s, text, ended);
}

/* Four GPUs on two nodes, and techniques that have what they need. */
#define HELP_TECHNIQUES \
	"cluster:\n" \
	"  nodes: 2\n" \
	"  gpus_per_node: 2\n" \
	"  gpu: h100-sxm\n" \
	"  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}\n" \
	"  nic: {bandwidth: 50Gb/s, latency: 3us}\n" \
	"model: {hidden: 1024, layers: 4, experts: 4,\n" \
	"        experts_per_token: 2, expert_ffn: 2048,\n" \
	"        sequence: 1024, batch_per_gpu: 1}\n" \
	"layout: {ep: 4}\n" \
	"routing: {kind: zipf, skew: 1, seed: 5}\n" \
	"technique: {lsh: {rate: 0.5, error: 10%},\n" \
	"            condensation: {rate: 0.3, error: 50%},\n" \
	"            locality: 0.5}\n" \
	"search: {degree: [1, 2], capacity: [0], flow_tolerance: 0,\n" \
	"         alltoall: [flat, dedup], techniques: all}\n"

/* Every field equal, row by row and bit by bit. */
static inline void help_same_rows(const struct key_row *rows, size_t n,
				  const void *a, const void *b)
{
	struct buf x = { 0 }, y = { 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		const char *p = (const char *)a + rows[i].offset;
		const char *q = (const char *)b + rows[i].offset;

		if (rows[i].type == KEY_SOURCE)
			continue;
		if (rows[i].type == KEY_TEXT && !rows[i].size) {
			const char *s = *(char *const *)(const void *)p;
			const char *t = *(char *const *)(const void *)q;

			assert_true(!s == !t && (!s || !strcmp(s, t)));
			continue;
		}
		if (!memcmp(p, q, key_field_size(&rows[i])))
			continue;
		key_print(&rows[i], a, &x);
		key_print(&rows[i], b, &y);
		fail_msg("%s: %s and %s", rows[i].name, buf_str(&x),
			 buf_str(&y));
	}
}

static inline void help_same(const struct scenario *a,
			     const struct scenario *b)
{
	help_same_rows(scenario_keys, n_scenario_keys, a, b);
	help_same_rows(gpu_keys, n_gpu_keys, &a->cluster.gpu,
		       &b->cluster.gpu);
}

#endif
