/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/nccl_log.h"

#include "profiles/import.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MIN 3	/* time algbw busbw */
#define GROUP_MAX 4	/* ... #wrong */
#define LEFT_MIN 2	/* size count */
#define LEFT_MAX 6

static bool in_set(char c, const char *more)
{
	return isalnum((unsigned char)c) || (c && strchr(more, c));
}

/* "[1,0]<stdout>:" of mpirun --tag-output; NULL: none. */
static char *after_tag(char *line)
{
	char *end;

	if (*line != '[')
		return NULL;
	end = strchr(line, ']');
	if (!end || end[1] != '<')
		return NULL;
	end = strchr(end, '>');
	if (!end)
		return NULL;
	return end[1] == ':' ? end + 2 : end + 1;
}

/*
 * "12: " of srun --label, "host-0: " of others, "host 12: " of PALS' mpiexec,
 * before '#' or a row.
 */
static char *after_label(char *line)
{
	char *at = line;

	while (in_set(*at, "._-")) {
		at++;
	}
	if (at > line && *at == ' ' && isdigit((unsigned char)at[1]))
		at += 1 + strspn(at + 1, "0123456789");
	if (at == line || at[0] != ':' || at[1] != ' ')
		return NULL;
	at += 1 + strspn(at + 1, " ");
	return *at == '#' || isdigit((unsigned char)*at) ? at : NULL;
}

char *log_strip(char *line)
{
	char *at = after_tag(line);

	if (!at)
		at = after_label(line);
	at = at ? at : line;
	return at + strspn(at, " ");
}

/* ---- tables ---- */

static bool is_any(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (!strcmp(word, *words))
			return true;
	}
	return false;
}

static int find(char **words, int n, int from, const char *word)
{
	int i;

	for (i = from; i < n; i++) {
		if (!strcmp(words[i], word))
			return i;
	}
	return -1;
}

bool log_is_header(char **words, int n)
{
	static const char *const sizes[] = { "size", "bytes", NULL };

	return n > 0 && is_any(words[0], sizes) &&
	       find(words, n, 0, "time") > 0 && find(words, n, 0, "busbw") > 0;
}

bool log_header(char **words, int n, struct log_columns *out)
{
	int first = find(words, n, 0, "time");
	int second = find(words, n, first + 1, "time");
	struct log_columns c = { .left = first, .unit_s = 1e-6 };

	c.width = (second < 0 ? n : second) - first;
	c.groups = second < 0 ? 1 : 2;
	c.type = find(words, n, 0, "type");
	if (first < LEFT_MIN || first > LEFT_MAX || c.width < GROUP_MIN ||
	    c.width > GROUP_MAX || n != first + c.groups * c.width ||
	    strcmp(words[first + 1], "algbw") ||
	    strcmp(words[first + 2], "busbw"))
		return false;
	c.wrong_counts = c.width == GROUP_MAX &&
			 !strcmp(words[first + GROUP_MIN], "#wrong");
	*out = c;
	return true;
}

bool log_unit(char **words, int n, double *unit_s_p)
{
	static const struct {
		const char *word;
		double unit_s;
	} units[] = { { "(us)", 1e-6 }, { "(ms)", 1e-3 }, { "(s)", 1 } };
	size_t i;

	if (n < 2 || strcmp(words[0], "(B)"))
		return false;
	for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (find(words, n, 0, units[i].word) > 0)
			*unit_s_p = units[i].unit_s;
	}
	return true;
}

/* ---- devices ---- */

static void copy_word(const char *from, size_t n, char *out)
{
	snprintf(out, LOG_WORD, "%.*s", n < LOG_WORD ? (int)n : LOG_WORD - 1,
		 from);
}

bool log_rank(const char *line, struct log_rank *out)
{
	const char *on, *end, *gpu;
	long rank = log_number(line, "Rank "), group;

	on = strstr(line, " on ");
	if (rank < 0 || rank >= LOG_RANKS_MAX || !on)
		return false;
	on += 4 + strspn(on + 4, " ");
	end = strstr(on, " device ");
	gpu = end ? strchr(end, ']') : NULL;
	if (!gpu)
		return false;
	*out = (struct log_rank){ .rank = (int)rank };
	copy_word(on, strcspn(on, " "), out->host);
	gpu += 1 + strspn(gpu + 1, " ");
	end = gpu + strlen(gpu);
	while (end > gpu && end[-1] == ' ') {
		end--;
	}
	copy_word(gpu, (size_t)(end - gpu), out->gpu);
	group = log_number(line, " Group ");
	out->group = group > 0 ? (int)group : 0;
	return *out->host;
}

/* ---- names and versions ---- */

bool log_op(const char *line, char op[LOG_WORD])
{
	const char *perf = strstr(line, "_perf"), *start = perf;

	if (!perf || strstr(line, "concluded"))
		return false;
	while (start > line && in_set(start[-1], "_")) {
		start--;
	}
	if (start == perf)
		return false;
	copy_word(start, (size_t)(perf - start), op);
	return true;
}

const char *log_op_of_name(const char *name)
{
	static const char *const parts[] = {
		"all_to_all", "alltoall", "all_gather", "allgather",
		"reduce_scatter", "reducescatter", "all_reduce", "allreduce",
		"send_recv", "sendrecv",
	};
	const char *slash = strrchr(name, '/'), *op = NULL;
	size_t i;

	name = slash ? slash + 1 : name;
	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const char *at = strcasestr(name, parts[i]);

		if (!at || tolower((unsigned char)at[strlen(parts[i])]) == 'v')
			continue;
		if (op && op != import_op(parts[i]))
			return NULL;
		op = import_op(parts[i]);
	}
	return op;
}

long log_number(const char *line, const char *label)
{
	const char *at = strstr(line, label);
	char *end;
	long v;

	if (!at)
		return -1;
	at += strlen(label);
	v = strtol(at, &end, 10);
	return end != at && v >= 0 && v <= INT_MAX ? v : -1;
}

/*
 * NCCL_VERSION_CODE (nccl.h): major * 1000 + minor * 100 + patch up to 2.8,
 * then major * 10000 + minor * 100 + patch.
 */
#define NEW_CODE 10000
static void version_of_code(long code, char *out, int size)
{
	long major = code >= NEW_CODE ? NEW_CODE : NEW_CODE / 10;

	snprintf(out, (size_t)size, "%ld.%ld.%ld", code / major,
		 code % major / 100, code % 100);
}

bool log_nccl(const char *line, char *nccl, char *cuda, int size)
{
	long code = log_number(line, "nccl-library=");
	const char *at = strstr(line, "NCCL version "), *plus;
	size_t n;

	if (code > 0) {
		version_of_code(code, nccl, size);
		return true;
	}
	if (!at)
		return false;
	at += strlen("NCCL version ");
	n = strspn(at, "0123456789.");
	if (!n || n >= (size_t)size)
		return false;
	snprintf(nccl, (size_t)size, "%.*s", (int)n, at);
	plus = at + n;
	n = strncmp(plus, "+cuda", 5) ? 0 : strspn(plus + 5, "0123456789.");
	if (n && n < (size_t)size)
		snprintf(cuda, (size_t)size, "%.*s", (int)n, plus + 5);
	return true;
}

bool log_environment(const char *line, char *out, int size)
{
	static const char middle[] = " set by environment to ";
	const char *at = strstr(line, middle), *start = at, *value;
	size_t n;

	while (at && start > line && in_set(start[-1], "_")) {
		start--;
	}
	if (!at || strncmp(start, "NCCL_", 5))
		return false;
	value = at + strlen(middle);
	n = strcspn(value, " ");
	if (n && value[n - 1] == '.')
		n--;
	return snprintf(out, (size_t)size, "%.*s=%.*s", (int)(at - start),
			start, (int)n, value) < size;
}
