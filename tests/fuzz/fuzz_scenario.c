/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mutates scenario texts and --set options with a seeded generator: every
 * one must load, or be refused with one line. What loads must print, and
 * load again to the same print. Arguments: [ITERATIONS [SEED]].
 */
#include "base/buf.h"
#include "base/mem.h"
#include "scenarios/cluster_text.h"
#include "scenarios/scenario.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ITERATIONS 6000	/* about two seconds */
#define SEED 1
#define TEXT_MAX 16384
#define MUTATIONS_MAX 6

static const char *const corpus[] = {
	"cluster:\n  nodes: 8\n  gpus_per_node: 8\n  gpu: h100-sxm\n"
	"  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}\n"
	"  nic: {per_gpu: 1, bandwidth: 400Gb/s, latency: 3us}\n"
	"  fabric: {kind: rail, oversubscription: 1}\n  pxn: false\n"
	"model: {config: mixtral-8x7b, sequence: 4096, dtype: bf16}\n"
	"layout: {ep: 64, esp: 1, tp: 1, dp: 1, pp: 1}\n"
	"routing: {kind: zipf, skew: 0.5, seed: 1}\n"
	"constraints: {max_drop: 1%, memory: 80GB}\n"
	"search: {alltoall: auto, degree: [1, 2], capacity: auto}\n",
	"cluster: \"nodes=4(nic=4x100Gb/s) gpu=8:h200-sxm(nvlink=450GB/s) "
	"fabric=leaf-spine(nodes_per_leaf=2,oversubscription=2) pxn=yes\"\n"
	"model: {hidden: 64, experts: 8, experts_per_token: 2, expert_ffn: "
	"128, shared_experts: 1}\nrouting: {kind: counts, file: x.csv}\n",
	"cluster: {base: dgx-h100-superpod, nodes: 2, gpu: {base: h200-sxm, "
	"memory: 1GB, flops: {bf16: 1TFLOPS}, intra: {ramp: 0}}}\n"
	"model: deepseek-v3\nlayout: {ep: [8, 16], esp: auto, tp: auto}\n"
	"comm: {window: 8, ll_bytes: 64KiB, inter: {launch: 9us}}\n"
	"training: {recompute: true, zero: 1}\n",
};

static const char *const tokens[] = {
	"0", "-1", "1e999", "nan", "18446744073709551616", "1048576", "null",
	"~", "auto", "none", "all", "[", "]", "{", "}", ":", ": ", ",", "\n",
	"\n  ", "&a ", "*a", "!!int ", "'", "\"", "\\", "|\n", ">\n", "#",
	"---\n", "? ", "- ", "\t", "\xff", "\xc3\xa9", "\x1b", "1%", "8x",
	"GB/s", "us", "cluster", "cluster.gpu", "nodes", "gpu: ", "base: ",
	"config: ", "kind: ", "fat-tree", "rack", "pcie", "nvlink-pairs",
	"hot-rank", "trace", "per_node: ", "(", ")", "=", "nodes_per_leaf: 4",
};

static uint64_t random_state;

/* xorshift64*: only has to be the same everywhere */
static uint32_t draw(uint32_t n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 2685821657736338717u) >> 33) % n;
}

static void replace(struct buf *b, size_t at, size_t cut, const char *s,
		    size_t len)
{
	struct buf out = { 0 };

	buf_add(&out, buf_str(b), at);
	buf_add(&out, s, len);
	buf_add(&out, b->s + at + cut, b->len - at - cut);
	buf_release(b);
	*b = out;
}

static void mutate(struct buf *b)
{
	size_t at = draw((uint32_t)b->len + 1), left = b->len - at;
	size_t n = left ? draw(left < 12 ? (uint32_t)left : 12) : 0;
	const char *token = tokens[draw(sizeof(tokens) / sizeof(*tokens))];
	char byte = (char)draw(256);
	char *copy;

	switch (draw(5)) {
	case 0:
		replace(b, at, left ? 1 : 0, &byte, 1);
		break;
	case 1:
		replace(b, at, n, "", 0);
		break;
	case 2:
		replace(b, at, n, token, strlen(token));
		break;
	case 3:
		replace(b, at, 0, token, strlen(token));
		break;
	default:
		copy = xstrndup(b->s + at, n);
		replace(b, draw((uint32_t)b->len + 1), 0, copy, strlen(copy));
		free(copy);
		break;
	}
}

static void make_text(struct buf *b)
{
	uint32_t n = draw(MUTATIONS_MAX);

	buf_clear(b);
	buf_puts(b, corpus[draw(sizeof(corpus) / sizeof(*corpus))]);
	while (n-- && b->len < TEXT_MAX) {
		mutate(b);
	}
}

/* Half of the texts come with an option made of tokens. */
static int make_set(struct buf *b)
{
	static const char *const keys[] = {
		"cluster=", "cluster.nodes=", "cluster.gpu=", "model=",
		"cluster.fabric.kind=", "routing.kind=", "layout.ep=",
		"cluster.gpu.sms=", "search.capacity=", "", "cluster.nic=",
	};
	uint32_t n = 1 + draw(3);

	buf_clear(b);
	buf_puts(b, keys[draw(sizeof(keys) / sizeof(*keys))]);
	while (n--) {
		buf_puts(b, tokens[draw(sizeof(tokens) / sizeof(*tokens))]);
	}
	return draw(2) ? 1 : 0;
}

static _Noreturn void die(const char *what, const struct buf *text,
			  const char *set)
{
	printf("not ok 1 - %s\n# message: %s\n", what, err_msg());
	fprintf(stderr, "%s\n--set %s\n", buf_str(text), set ? set : "(none)");
	exit(1);
}

static void write_file(const char *path, const struct buf *text)
{
	FILE *f;

	/* a new file: some systems write a truncated one to disk at once */
	unlink(path);
	f = fopen(path, "w");
	if (!f || fwrite(buf_str(text), 1, text->len, f) != text->len ||
	    fclose(f)) {
		perror(path);
		exit(99);
	}
}

static bool is_one_line(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	}
	return true;
}

static void check_loaded(struct scenario *s, const char *path,
			 const struct buf *text, const char *set)
{
	struct buf first = { 0 }, second = { 0 };
	struct layout *list = NULL;
	struct scenario again;
	enum status st;
	int n;

	scenario_print(s, &first);
	write_file(path, &first);
	if (scenario_load(&again, path, NULL, 0))
		die("what was printed does not load", text, set);
	scenario_print(&again, &second);
	if (strcmp(first.s, second.s))
		die("printed, loaded and printed again: not the same", text,
		    set);
	buf_clear(&second);
	cluster_text_print(&again.cluster, &second);
	st = layout_enumerate(&again, &list, &n);
	if (st && (st != ST_INPUT || !*err_msg()))
		die("layouts refused without a message", text, set);
	free(list);
	scenario_release(&again);
	buf_release(&first);
	buf_release(&second);
}

static bool run(const char *path, const struct buf *text, const char *set)
{
	struct scenario_set sets[] = { { set } };
	struct scenario s;
	enum status st;

	write_file(path, text);
	err_clear();
	st = scenario_load(&s, path, sets, set ? 1 : 0);
	if (st && (st != ST_INPUT || !*err_msg()))
		die("neither loaded nor refused as input", text, set);
	if (st && !is_one_line(err_msg()))
		die("the message is not one line", text, set);
	if (st)
		return false;
	check_loaded(&s, path, text, set);
	scenario_release(&s);
	return true;
}

int main(int argc, char **argv)
{
	long i, loaded = 0, n = ITERATIONS;
	char path[] = "/tmp/moecast-fuzz-XXXXXX";
	struct buf text = { 0 }, set = { 0 };
	int fd = mkstemp(path);

	if (argc > 1)
		n = strtol(argv[1], NULL, 10);
	random_state = argc > 2 ? strtoull(argv[2], NULL, 10) : SEED;
	random_state += !random_state;	/* 0 would stay 0 */
	if (fd < 0) {
		perror(path);
		return 99;
	}
	close(fd);
	puts("1..1");
	for (i = 0; i < n; i++) {
		bool with_set;

		make_text(&text);
		with_set = make_set(&set);
		loaded += run(path, &text, with_set ? set.s : NULL);
	}
	unlink(path);
	printf("# %ld texts, %ld loaded\n", n, loaded);
	/* a corpus that never loads would test nothing */
	puts(loaded > n / 50 ? "ok 1 - loaded or refused" :
			       "not ok 1 - hardly any text loads");
	buf_release(&text);
	buf_release(&set);
	return loaded <= n / 50;
}
