/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logs of nccl-tests (https://github.com/NVIDIA/nccl-tests). A program's
 * output starts with its parameters ("# nThread ..."), lists the devices,
 * then prints a table; a log may have several, with anything in between and
 * inside. Rows are checked against themselves: algbw is size / time and
 * busbw is algbw times the op's factor (doc/PERFORMANCE.md there), so that a
 * row with columns of another layout is skipped, not believed.
 */
#include "profiles/import.h"

#include "base/mem.h"
#include "profiles/nccl_log.h"
#include "scenarios/lines.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_BYTES 1e15
#define TIME_MAX_S 1e6
#define GBps 1e9
/* Bandwidths are printed with two digits, times with at least three. */
#define ROUNDING_GBps 0.006
#define ROUNDING 0.01

/* One program's output. */
struct test {
	char op[LOG_WORD];	/* as the log says it, or "" */
	int iters;
	int ranks, top_rank, groups;
	int n_hosts;
	char host[LOG_HOSTS_MAX][LOG_WORD];
	char gpu[LOG_WORD];
	struct log_columns columns;
};

struct reader {
	struct import *im;
	const char *name;
	int line;
	char mention[LOG_WORD];	/* op named since the last parameters */
	char only_op[LOG_WORD];	/* the one op that the log names; or "" */
	bool is_log;	/* something of nccl-tests was in it */
	struct run_info info;	/* versions and environment so far */
	struct test test;
};

/* ---- which op, where ---- */

static void find_only_op(struct reader *r, const char *text, size_t len)
{
	struct lines l = { .text = text, .len = len };
	char op[LOG_WORD];

	while (lines_next(&l)) {
		if (!log_op(l.line, op))
			continue;
		if (*r->only_op && strcmp(r->only_op, op)) {
			*r->only_op = '\0';
			return;
		}
		snprintf(r->only_op, sizeof(r->only_op), "%s", op);
	}
}

/* The op of the rows here, or NULL with a reason. */
static const char *op_here(const struct reader *r, char *why, size_t size)
{
	const char *said = *r->test.op ? r->test.op : r->only_op;
	const char *op = *said ? import_op(said) : log_op_of_name(r->name);

	if (!op && *said)
		snprintf(why, size, "'%.40s' is no exchange that a forecast "
			 "uses", said);
	else if (!op)
		snprintf(why, size, "neither the log nor its name says which "
			 "op this is");
	return op;
}

static bool disabled(const struct run_info *info, const char *name)
{
	const char *at = strstr(info->environment, name);

	return at && strtol(at + strlen(name), NULL, 10) > 0;
}

static const char *tier_here(const struct reader *r)
{
	if (r->test.n_hosts > 1)
		return "network";
	if (!disabled(&r->info, "NCCL_P2P_DISABLE="))
		return "nvlink";
	return disabled(&r->info, "NCCL_SHM_DISABLE=") ? "socket" : "shm";
}

static bool ranks_known(const struct test *t, char *why, size_t size)
{
	if (t->ranks == 0)
		snprintf(why, size, "no 'Rank' lines before this table: ranks "
			 "and hosts are not known");
	else if (t->top_rank + 1 != t->ranks)
		snprintf(why, size, "%d 'Rank' lines for %d ranks: cut, or "
			 "several programs at once", t->ranks,
			 t->top_rank + 1);
	else if (t->groups > 0)
		snprintf(why, size, "ranks are split into groups that run at "
			 "once");
	else if (t->ranks == 1)
		snprintf(why, size, "one rank exchanges nothing");
	else if (t->n_hosts >= LOG_HOSTS_MAX)
		snprintf(why, size, "more than %d hosts", LOG_HOSTS_MAX - 1);
	else
		return true;
	return false;
}

static void join_hosts(const struct test *t, char *out, size_t size)
{
	size_t n = 0;
	int i;

	*out = '\0';
	for (i = 0; i < t->n_hosts; i++) {
		int m = snprintf(out + n, size - n, "%s%s", i ? "," : "",
				 t->host[i]);

		if (m < 0 || (size_t)m >= size - n) {
			snprintf(out + size - 4, 4, "...");
			return;
		}
		n += (size_t)m;
	}
}

static struct run_info info_here(const struct reader *r)
{
	struct run_info info = r->info;

	join_hosts(&r->test, info.host, sizeof(info.host));
	snprintf(info.gpu, sizeof(info.gpu), "%s", r->test.gpu);
	info.gpus = r->test.ranks;
	return info;
}

/* ---- rows ---- */

static bool number(const char *word, double *v_p)
{
	char *end;

	if (!isdigit((unsigned char)*word))
		return false;
	*v_p = strtod(word, &end);
	return !*end && isfinite(*v_p);
}

/* busbw / algbw, nccl-tests doc/PERFORMANCE.md. */
static double bus_factor(const char *op, int ranks)
{
	double share = (double)(ranks - 1) / ranks;

	if (!strcmp(op, "sendrecv"))
		return 1;
	return strcmp(op, "allreduce") ? share : 2 * share;
}

static bool close_to(double printed, double value)
{
	return fabs(printed - value) <= ROUNDING_GBps + ROUNDING * value;
}

static const char *dtype_of(const char *type)
{
	static const struct {
		const char *nccl, *ours;
	} names[] = {
		{ "float", "fp32" }, { "half", "fp16" }, { "double", "fp64" },
		{ "bfloat16", "bf16" },
		{ "f8e4m3", "fp8" }, { "f8e5m2", "fp8" },
		{ "fp8_e4m3", "fp8" }, { "fp8_e5m2", "fp8" },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(names[i].nccl, type))
			return names[i].ours;
	}
	return type;
}

struct row {
	char **words;
	int left;	/* columns before the first time */
	double bytes;
	struct sample base;	/* what both times share */
};

/* One of the two times of a row; false: nothing, with a reason. */
static bool read_time(const struct reader *r, const struct row *row,
		      int group, struct sample *s, char *why, size_t size)
{
	const struct log_columns *c = &r->test.columns;
	char **w = row->words + row->left + group * c->width;
	double time, algbw, busbw, wrong;

	*s = row->base;
	if (!number(w[0], &time) || !number(w[1], &algbw) ||
	    !number(w[2], &busbw)) {
		snprintf(why, size, "time '%.12s', algbw '%.12s', busbw "
			 "'%.12s' are not numbers", w[0], w[1], w[2]);
		return false;
	}
	s->median_s = s->mean_s = time * c->unit_s;
	if (!(time > 0) || s->median_s > TIME_MAX_S ||
	    !close_to(algbw, row->bytes / s->median_s / GBps)) {
		snprintf(why, size, "algbw %.12s is not size / time: a row "
			 "of another layout", w[1]);
		return false;
	}
	if (!close_to(busbw, algbw * bus_factor(s->op, s->ranks))) {
		snprintf(why, size, "busbw %.12s is not that of %s on %d "
			 "ranks", w[2], s->op, s->ranks);
		return false;
	}
	s->wrong = -1;
	if (c->wrong_counts && number(w[3], &wrong) && wrong < SIZE_MAX_BYTES)
		s->wrong = (int64_t)wrong;
	return true;
}

static void read_times(struct reader *r, const struct row *row)
{
	struct run_info info = info_here(r);
	int group, used = 0;

	for (group = 0; group < r->test.columns.groups; group++) {
		char why[NOTE_TEXT];
		struct sample s;
		const char *variant = group ? "in-place" :
			!strcmp(row->base.op, "alltoall") ? "even" : "";

		if (!read_time(r, row, group, &s, why, sizeof(why))) {
			notes_add(&r->im->skip, r->line, "%s: %s", group ?
				  "in-place" : "out-of-place", why);
			continue;
		}
		snprintf(s.variant, sizeof(s.variant), "%s", variant);
		used += import_sample(r->im, r->line, &info, &s);
	}
	r->im->rows += used > 0;
}

/* Size and type; old programs leave columns at the left empty. */
static bool read_left(const struct test *t, struct row *row, int n, char *why,
		      size_t size)
{
	const struct log_columns *c = &t->columns;
	int type = c->type;

	row->left = n - c->groups * c->width;
	if (!c->left)
		snprintf(why, size, "a row without a table's header");
	else if (row->left < 2 || row->left > c->left)
		snprintf(why, size, "%d columns where %d were expected: cut, "
			 "or mixed with other output", n,
			 c->left + c->groups * c->width);
	else if (!number(row->words[0], &row->bytes) || row->bytes < 1 ||
		 row->bytes > SIZE_MAX_BYTES)
		snprintf(why, size, "size '%.24s' is no number of bytes from "
			 "1 up", row->words[0]);
	else if (type >= 0 && type < row->left &&
		 strlen(row->words[type]) >= SAMPLE_TEXT)
		snprintf(why, size, "type '%.24s' is no type",
			 row->words[type]);
	else
		return true;
	return false;
}

static void read_row(struct reader *r, char **words, int n)
{
	struct row row = { .words = words };
	const struct test *t = &r->test;
	int type = t->columns.type;
	char why[NOTE_TEXT];
	const char *op = NULL;

	if (!read_left(t, &row, n, why, sizeof(why)) ||
	    !(op = op_here(r, why, sizeof(why))) ||
	    !ranks_known(t, why, sizeof(why))) {
		notes_add(&r->im->skip, r->line, "%s", why);
		return;
	}
	row.base = (struct sample){ .ranks = t->ranks, .nodes = t->n_hosts,
				    .bytes = row.bytes, .count = t->iters };
	snprintf(row.base.op, SAMPLE_TEXT, "%s", op);
	snprintf(row.base.tier, SAMPLE_TEXT, "%s", tier_here(r));
	if (type >= 0 && type < row.left)
		snprintf(row.base.dtype, SAMPLE_TEXT, "%.31s",
			 dtype_of(words[type]));
	read_times(r, &row);
}

/* ---- the other lines ---- */

static void start_devices(struct test *t)
{
	t->ranks = t->groups = t->n_hosts = 0;
	t->top_rank = -1;
	*t->gpu = '\0';
	t->columns.left = 0;
}

/* "# nThread 1 nGpus 1 ... warmup iters: 5 iters: 20 ..." */
static void start_test(struct reader *r, const char *line)
{
	const char *warmup = strstr(line, "warmup iters:");
	long iters = log_number(warmup ? warmup + 8 : line, " iters:");

	if (warmup)
		iters = log_number(warmup + strlen("warmup iters:"),
				   " iters:");
	r->is_log = true;
	start_devices(&r->test);
	r->test.iters = iters > 0 ? (int)iters : 0;
	snprintf(r->test.op, sizeof(r->test.op), "%s", r->mention);
	*r->mention = '\0';
}

static void add_host(struct test *t, const char *host)
{
	int i;

	for (i = t->n_hosts; i-- > 0;) {	/* mostly the last one */
		if (!strcmp(t->host[i], host))
			return;
	}
	if (t->n_hosts < LOG_HOSTS_MAX)
		snprintf(t->host[t->n_hosts++], LOG_WORD, "%s", host);
}

static void add_rank(struct reader *r, const struct log_rank *rank)
{
	struct test *t = &r->test;

	if (t->ranks == LOG_RANKS_MAX) {
		notes_add(&r->im->skip, r->line, "more than %d ranks",
			  LOG_RANKS_MAX);
		return;
	}
	t->ranks++;
	t->groups |= rank->group;
	if (rank->rank > t->top_rank)
		t->top_rank = rank->rank;
	add_host(t, rank->host);
	if (!*t->gpu)
		snprintf(t->gpu, sizeof(t->gpu), "%s", rank->gpu);
	else if (strcmp(t->gpu, rank->gpu))
		notes_add(&r->im->skip, r->line, "GPU '%.40s' beside '%.40s'",
			  rank->gpu, t->gpu);
}

static void add_environment(struct run_info *info, const char *text)
{
	size_t n = strlen(info->environment);

	if (!strstr(info->environment, text))
		snprintf(info->environment + n, sizeof(info->environment) - n,
			 "%s%s", n ? " " : "", text);
}

/* Lines that say something wherever they stand; true: it was one. */
static bool read_facts(struct reader *r, const char *line)
{
	struct run_info *info = &r->info;
	char text[256];
	bool used = false;

	if (log_op(line, r->mention))
		used = true;
	if (log_nccl(line, info->nccl, info->cuda, SAMPLE_TEXT))
		used = true;
	if (log_environment(line, text, sizeof(text))) {
		add_environment(info, text);
		used = true;
	}
	return used;
}

static void read_header(struct reader *r, char **words, int n)
{
	struct test *t = &r->test;

	r->is_log = true;
	t->columns.left = 0;
	if (!log_header(words, n, &t->columns))
		notes_add(&r->im->skip, r->line, "a header whose columns are "
			  "not known");
	if (!*t->op && *r->mention) {
		snprintf(t->op, sizeof(t->op), "%s", r->mention);
		*r->mention = '\0';
	}
}

static void read_comment(struct reader *r, char *line)
{
	char *words[WORDS_MAX];
	struct log_rank rank;
	int n;

	read_facts(r, line);
	if (strstr(line, "nThread") && strstr(line, "minBytes"))
		start_test(r, line);
	else if (strstr(line, "Using devices"))
		start_devices(&r->test);
	else if (strstr(line, "Out of bounds values") && !strstr(line, "OK"))
		notes_add(&r->im->skip, r->line, "values were wrong: %.80s",
			  line + strspn(line, "# "));
	else if (log_rank(line, &rank))
		add_rank(r, &rank);
	n = line_words(line + 1, words, WORDS_MAX);
	if (log_is_header(words, n))
		read_header(r, words, n);
	else if (r->test.columns.left)
		log_unit(words, n, &r->test.columns.unit_s);
}

static const char *kind_of_noise(const char *line)
{
	static const struct {
		const char *part, *what;
	} kinds[] = {
		{ "NCCL WARN", "a warning of NCCL" },
		{ "NCCL INFO", "a message of NCCL" },
		{ "NCCL ERROR", "an error of NCCL" },
		{ "failure", "the test failed" },
		{ "rror", "an error" },
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strstr(line, kinds[i].part))
			return kinds[i].what;
	}
	return "no row of a table";
}

static bool is_row(const char *line)
{
	size_t n = strspn(line, "0123456789");

	return n > 0 && (line[n] == ' ' || !line[n]);
}

static void read_line(struct reader *r, char *line)
{
	char *words[WORDS_MAX];

	line = log_strip(line);
	if (!*line)
		return;
	if (*line == '#')
		read_comment(r, line);
	else if (is_row(line))
		read_row(r, words, line_words(line, words, WORDS_MAX));
	else if (!read_facts(r, line))
		notes_add(&r->im->skip, r->line, "%s: %.100s",
			  kind_of_noise(line), line);
}

enum status import_nccl(const char *name, const char *text, size_t len,
			struct import *out)
{
	struct lines l = { .text = text, .len = len };
	struct reader *r = xcalloc(1, sizeof(*r));
	enum status st = ST_OK;

	r->im = out;
	r->name = name;
	r->test.top_rank = -1;
	r->info = import_info("nccl-tests", name);
	find_only_op(r, text, len);
	while (lines_next(&l)) {
		r->line = l.number;
		read_line(r, l.line);
	}
	if (!r->is_log)
		st = err_set(ST_INPUT, "%s: neither the parameters nor a "
			     "table of nccl-tests in it", name);
	free(r);
	return st;
}
