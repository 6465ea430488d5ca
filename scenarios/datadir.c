/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/datadir.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "scenarios/doc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOTS_MAX 4
#define NAMES_MAX 256	/* files of one kind that hints look at */
#define YAML ".yaml"

static const struct {
	const char *folder;	/* "" : the root itself */
	const char *noun;
	const char *suffix;
} kinds[] = {
	[DATA_GPU] = { "/gpus", "gpu", YAML },
	[DATA_CLUSTER] = { "/clusters", "cluster", YAML },
	[DATA_MODEL] = { "/models", "model", YAML },
	[DATA_SCENARIO] = { "", "scenario", YAML },
	[DATA_DEVICE] = { "/devices", "device table", YAML },
	[DATA_PROFILE] = { "/profiles", "profile", ".fit.json" },
	[DATA_PAPER] = { "/papers", "paper", YAML },
};

/* "DIR/../share/moecast" of the running program, or NULL. */
static const char *own_share(struct arena *a)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return arena_printf(a, "%s/../share/moecast", exe);
}

static int find_roots(struct arena *a, const char **roots)
{
	const char *env = getenv("MOECAST_DATA"), *own = own_share(a);
	int n = 0;

	if (env && *env)
		roots[n++] = env;
	if (own)
		roots[n++] = own;
	roots[n++] = SRCDATADIR;
	roots[n++] = PKGDATADIR;
	return n;
}

static bool is_file(const char *path)
{
	return access(path, R_OK) == 0;
}

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);

	return n > m && !strcmp(s + n - m, tail);
}

bool data_is_path(const char *name)
{
	return strchr(name, '/') || ends_with(name, YAML) ||
	       ends_with(name, ".yml") || ends_with(name, ".json");
}

char *data_beside(struct arena *a, const char *path, const char *beside)
{
	const char *slash = beside ? strrchr(beside, '/') : NULL;
	char *near;

	if (*path == '/' || !slash)
		return arena_strdup(a, path);
	near = arena_printf(a, "%.*s/%s", (int)(slash - beside), beside,
			    path);
	return is_file(near) ? near : arena_strdup(a, path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Shipped names in all roots, sorted, without repeats. */
static int list_names(struct arena *a, enum data_kind kind,
		      const char *names[NAMES_MAX])
{
	const char *roots[ROOTS_MAX], *suffix = kinds[kind].suffix;
	int i, n = 0, kept = 0, n_roots = find_roots(a, roots);

	for (i = 0; i < n_roots; i++) {
		DIR *d = opendir(arena_printf(a, "%s%s", roots[i],
					      kinds[kind].folder));
		struct dirent *e;

		while (d && n < NAMES_MAX && (e = readdir(d))) {
			char *name = arena_strdup(a, e->d_name);

			if (!ends_with(name, suffix))
				continue;
			name[strlen(name) - strlen(suffix)] = '\0';
			names[n++] = name;
		}
		if (d)
			closedir(d);
	}
	qsort(names, (size_t)n, sizeof(*names), by_name);
	for (i = 0; i < n; i++) {
		if (!kept || strcmp(names[kept - 1], names[i]))
			names[kept++] = names[i];
	}
	return kept;
}

static enum status refuse(struct arena *a, enum data_kind kind,
			  const char *name)
{
	const char *names[NAMES_MAX];
	int n = list_names(a, kind, names);
	struct buf known = { 0 };
	char hint[192];

	nearest_hint(name, names, (size_t)n, hint, sizeof(hint));
	if (!*hint)
		data_names(kind, &known);
	err_set(ST_INPUT, "unknown %s '%s'%s%s%.400s%s", kinds[kind].noun,
		doc_shown(a, name), hint, known.len ? " (shipped: " : "",
		buf_str(&known), known.len ? "; or give a file)" : "");
	buf_release(&known);
	return ST_INPUT;
}

static enum status find_shipped(struct arena *a, enum data_kind kind,
				const char *name, const char **path_p)
{
	const char *roots[ROOTS_MAX];
	int i, n = find_roots(a, roots);

	for (i = 0; i < n; i++) {
		const char *path = arena_printf(a, "%s%s/%.200s%s", roots[i],
						kinds[kind].folder, name,
						kinds[kind].suffix);

		if (is_file(path)) {
			*path_p = path;
			return ST_OK;
		}
	}
	return ST_INPUT;
}

enum status data_find(struct arena *a, enum data_kind kind, const char *name,
		      const char *beside, const char **path_p)
{
	const char *path;

	if (!data_is_path(name) && !find_shipped(a, kind, name, path_p))
		return ST_OK;
	path = data_beside(a, name, beside);
	if (!*name || (!data_is_path(name) && !is_file(path)))
		return refuse(a, kind, name);
	*path_p = path;
	return ST_OK;
}

void data_names(enum data_kind kind, struct buf *out)
{
	const char *names[NAMES_MAX];
	struct arena a = { 0 };
	int i, n = list_names(&a, kind, names);

	for (i = 0; i < n; i++) {
		buf_addf(out, "%s%s", i ? " " : "", names[i]);
	}
	arena_release(&a);
}
