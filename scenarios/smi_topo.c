/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/smi_topo.h"

#include "base/mem.h"
#include "scenarios/lines.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX (TOPO_GPUS_MAX + TOPO_NICS_MAX)
#define DEVICE_NAME 32
#define NVLINKS_MAX 1000	/* of one cell */

/* How near two devices are: what their path shares. */
enum near { FAR, SAME_SOCKET, SAME_SWITCH, SELF };

struct device {
	char name[DEVICE_NAME];
	bool is_gpu;
	int index;	/* among the GPUs or the NICs */
	int line;	/* of its row; 0: none */
	char numa[16];	/* column "NUMA Affinity", or "" */
	int on_switch, on_socket;	/* lowest device there: union-find */
};

struct reader {
	const char *name;
	struct notes *notes;
	struct node_topo *out;
	struct device device[DEVICES_MAX];
	int n, n_gpus, n_nics;	/* columns */
	int rows;
	int links_line[TOPO_GPUS_MAX][TOPO_GPUS_MAX];	/* cell was read at */
};

static bool is_gpu_name(const char *s)
{
	return !strncmp(s, "GPU", 3) && s[3] &&
	       !s[3 + strspn(s + 3, "0123456789")];
}

static int find(const struct reader *r, const char *name)
{
	int i;

	for (i = 0; i < r->n; i++) {
		if (!strcmp(r->device[i].name, name))
			return i;
	}
	return -1;
}

/* ---- the header ---- */

/* Where the columns of affinities start. */
static bool is_affinity(const char *word)
{
	return !strcmp(word, "CPU") || !strcmp(word, "NUMA") ||
	       !strcmp(word, "GPU") || !strcmp(word, "Affinity");
}

static enum status add_column(struct reader *r, const char *name, int line)
{
	bool is_gpu = is_gpu_name(name);
	struct device *d;

	if (find(r, name) >= 0)
		return err_set(ST_INPUT, "%s:%d: column '%.31s' is there "
			       "twice", r->name, line, name);
	if (strlen(name) >= DEVICE_NAME ||
	    (is_gpu ? r->n_gpus == TOPO_GPUS_MAX : r->n_nics == TOPO_NICS_MAX))
		return err_set(ST_INPUT, "%s:%d: column '%.31s': too long, or "
			       "too many", r->name, line, name);
	d = &r->device[r->n];
	*d = (struct device){ .is_gpu = is_gpu, .on_switch = r->n,
			      .on_socket = r->n };
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->index = is_gpu ? r->n_gpus++ : r->n_nics++;
	r->n++;
	return ST_OK;
}

static enum status read_header(struct reader *r, char **words, int n,
			       int line)
{
	enum status st = ST_OK;
	int i;

	for (i = 0; i < n && !is_affinity(words[i]) && !st; i++) {
		st = add_column(r, words[i], line);
	}
	return st;
}

/* ---- cells ---- */

static int root(struct reader *r, int i, bool on_switch)
{
	for (;;) {
		const struct device *d = &r->device[i];
		int up = on_switch ? d->on_switch : d->on_socket;

		if (up == i)
			return i;
		i = up;
	}
}

static void join(struct reader *r, int a, int b, bool on_switch)
{
	int x = root(r, a, on_switch), y = root(r, b, on_switch);
	int low = x < y ? x : y, high = x < y ? y : x;

	if (on_switch)
		r->device[high].on_switch = low;
	else
		r->device[high].on_socket = low;
}

static const struct {
	const char *word;
	enum near near;
} cells[] = {
	{ "X", SELF },
	{ "PIX", SAME_SWITCH },
	{ "PXB", SAME_SWITCH },
	{ "PHB", SAME_SOCKET },
	{ "NODE", SAME_SOCKET },
	{ "SYS", FAR },
	{ "SOC", FAR },
};

static int nvlinks(const char *word)
{
	char *end;
	long n;

	if (strncmp(word, "NV", 2) || !isdigit((unsigned char)word[2]))
		return 0;
	n = strtol(word + 2, &end, 10);
	return !*end && n > 0 && n <= NVLINKS_MAX ? (int)n : 0;
}

/* -1: no cell of such a matrix. NVLinks: FAR, and *links_p. */
static int cell_near(const char *word, int *links_p)
{
	size_t i;

	*links_p = nvlinks(word);
	for (i = 0; i < sizeof(cells) / sizeof(*cells); i++) {
		if (!strcmp(cells[i].word, word))
			return cells[i].near;
	}
	return *links_p ? FAR : -1;
}

static enum status put_links(struct reader *r, int a, int b, int links,
			     int line)
{
	int i = r->device[a].index, j = r->device[b].index;

	if (r->links_line[j][i] && r->out->pair_links[j][i] != links)
		return err_set(ST_INPUT, "%s:%d: %s has %d NVLinks to %s, "
			       "but line %d says %d", r->name, line,
			       r->device[a].name, links, r->device[b].name,
			       r->links_line[j][i],
			       r->out->pair_links[j][i]);
	r->out->pair_links[i][j] = links;
	r->links_line[i][j] = line;
	return ST_OK;
}

static enum status put_cell(struct reader *r, int a, int b, const char *word,
			    int line)
{
	int links, near = cell_near(word, &links);

	if (near < 0 || (near == SELF) != (a == b))
		return err_set(ST_INPUT, "%s:%d: '%.20s' is no cell for %s "
			       "and %s: X, NV#, PIX, PXB, PHB, NODE, SYS",
			       r->name, line, word, r->device[a].name,
			       r->device[b].name);
	if (near == SAME_SWITCH)
		join(r, a, b, true);
	if (near == SAME_SWITCH || near == SAME_SOCKET)
		join(r, a, b, false);
	if (r->device[a].is_gpu && r->device[b].is_gpu && a != b)
		return put_links(r, a, b, links, line);
	return ST_OK;
}

/* CPU affinity, then the NUMA node: "0-63,128-191 0 N/A". */
static void put_affinity(struct device *d, char **words, int n)
{
	const char *numa = n > 1 ? words[1] : "";

	if (n > 0 && isdigit((unsigned char)*numa))
		snprintf(d->numa, sizeof(d->numa), "%.15s", numa);
}

static enum status read_row(struct reader *r, int a, char **words, int n,
			    int line)
{
	struct device *d = &r->device[a];
	enum status st = ST_OK;
	int i;

	if (d->line)
		return err_set(ST_INPUT, "%s:%d: row '%s' is there twice",
			       r->name, line, d->name);
	if (n < r->n)
		return err_set(ST_INPUT, "%s:%d: row '%s' has %d cells where "
			       "%d were expected", r->name, line, d->name, n,
			       r->n);
	d->line = line;
	r->rows++;
	for (i = 0; i < r->n && !st; i++) {
		st = put_cell(r, a, i, words[i], line);
	}
	put_affinity(d, words + r->n, n - r->n);
	return st;
}

/* "GPU0 GPU1 ... NIC0 ... CPU Affinity ...": no cell after the first. */
static bool is_header(const struct reader *r, char **words, int n)
{
	int links;

	if (!is_gpu_name(words[0]) ||
	    (n > 1 && cell_near(words[1], &links) >= 0))
		return false;
	return !r->n || !strcmp(words[0], r->device[0].name);
}

static enum status read_line(struct reader *r, struct lines *l)
{
	char *words[WORDS_MAX];
	int n = line_words(l->line, words, WORDS_MAX), a;

	if (n == 0)
		return ST_OK;
	if (is_header(r, words, n)) {
		if (!r->n)
			return read_header(r, words, n, l->number);
		notes_add(r->notes, l->number, "a second matrix: only the "
			  "first is read");
		l->at = l->len;
		return ST_OK;
	}
	a = r->n ? find(r, words[0]) : -1;
	if (a >= 0)
		return read_row(r, a, words + 1, n - 1, l->number);
	if (r->n && is_gpu_name(words[0]) && n > 1)
		return err_set(ST_INPUT, "%s:%d: row '%.20s' has no column",
			       r->name, l->number, words[0]);
	return ST_OK;
}

/* ---- the node ---- */

static void join_numa(struct reader *r)
{
	int i, j;

	for (i = 0; i < r->n; i++) {
		for (j = 0; j < i; j++) {
			if (*r->device[i].numa && !strcmp(r->device[i].numa,
							  r->device[j].numa))
				join(r, i, j, false);
		}
	}
}

static enum status finish(struct reader *r)
{
	struct node_topo *t = r->out;
	int i;

	if (!r->n_gpus)
		return err_set(ST_INPUT, "%s: no line of columns 'GPU0 GPU1 "
			       "...' as nvidia-smi topo -m prints it",
			       r->name);
	join_numa(r);
	for (i = 0; i < r->n; i++) {
		const struct device *d = &r->device[i];

		if (d->is_gpu && !d->line)
			return err_set(ST_INPUT, "%s: row '%s' is missing",
				       r->name, d->name);
		if (!d->is_gpu) {
			t->nic[d->index].line = d->line;
			continue;
		}
		t->pcie_switch[d->index] = root(r, i, true);
		t->socket[d->index] = root(r, i, false);
	}
	t->n_gpus = r->n_gpus;
	t->n_nics = r->n_nics;
	t->nvlink_said = true;
	t->pcie_said = true;
	return ST_OK;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

enum status smi_topo_read(const char *name, const char *text, size_t len,
			  struct node_topo *out, struct notes *notes,
			  int *rows_p)
{
	struct lines l = { .text = text, .len = len };
	struct reader *r;
	enum status st = ST_OK;

	if (len > SMI_TOPO_BYTES_MAX)
		return err_set(ST_INPUT, "%s: larger than %d bytes", name,
			       SMI_TOPO_BYTES_MAX);
	*out = (struct node_topo){ 0 };
	r = xcalloc(1, sizeof(*r));
	r->name = name;
	r->notes = notes;
	r->out = out;
	while (!st && lines_next(&l)) {
		st = read_line(r, &l);
	}
	if (!st)
		st = finish(r);
	*rows_p = r->rows;
	snprintf(out->source, sizeof(out->source), "nvidia-smi topo -m, "
		 "'%.100s'", base_name(name));
	free(r);
	return st;
}
