/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/validate.h"

#include "base/mem.h"
#include "base/outfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS_BYTES_MAX (1u << 20)

struct contest *contests_add(struct contests *all)
{
	all->c = array_grow(all->c, &all->cap, all->n + 1, sizeof(*all->c));
	all->c[all->n] = xcalloc(1, sizeof(**all->c));
	return all->c[all->n++];
}

void contests_release(struct contests *all)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		scenario_release(&all->c[i]->s);
		profile_use_release(&all->c[i]->use);
		free(all->c[i]->trial);
		free(all->c[i]);
	}
	free(all->c);
	profile_cache_release(&all->cache);
	*all = (struct contests){ 0 };
}

enum status contest_costs(const struct validate *v, struct contests *all,
			  struct contest *c)
{
	if (v->has_benchmarks && !(c->s.profile.db && *c->s.profile.db))
		c->s.profile.db = arena_strdup(&c->s.arena, v->db);
	return profile_use_load_cached(&c->use, &c->s, &all->cache);
}

/* ---- one scenario ---- */

/* What joins the GPUs of a scenario whose nodes are all this machine. */
static enum status own_tier(const struct validate *v, struct contest *c)
{
	static const char *const inter[] = { "network", "socket", "shm" };
	const struct cluster *k = &c->s.cluster;
	const char *tier = k->nodes > 1 ? inter[c->s.profile.inter] :
		k->intra.kind == INTRA_PCIE ? "shm" : "nvlink";

	if (v->tier)
		tier = v->tier;
	if (!strcmp(tier, "network"))
		return err_set(ST_INPUT, "%s: %d nodes on one machine: what "
			       "stands for the network between them? "
			       "--tier=shm or --tier=socket",
			       scenario_where(&c->s, "cluster.nodes"),
			       k->nodes);
	snprintf(c->tier, sizeof(c->tier), "%s", tier);
	return ST_OK;
}

static void set_inter(struct contest *c)
{
	if (!strcmp(c->tier, "shm"))
		c->s.profile.inter = PROFILE_SHM;
	else if (!strcmp(c->tier, "socket"))
		c->s.profile.inter = PROFILE_SOCKET;
}

/* A line that cannot be told is no fault here: --replay will miss it. */
static void tell_line(struct contest *c)
{
	if (!layer_text_print(&c->s, c->tier, c->line, sizeof(c->line)))
		return;
	cli_warn("recorded rows cannot be replayed: %s", err_msg());
	err_clear();
}

static enum status from_scenario(const struct validate *v,
				 struct contests *all)
{
	struct contest *c = contests_add(all);
	enum status st = cli_load(&v->common, &c->s);

	if (!st)
		st = own_tier(v, c);
	if (st)
		return st;
	if (c->s.cluster.nodes > 1)
		set_inter(c);
	tell_line(c);
	return contest_costs(v, all, c);
}

/* ---- a list ---- */

static enum status add_line(const struct validate *v, const char *text,
			    struct contests *all)
{
	struct contest *c = contests_add(all);
	enum status st = layer_text_scenario(text, v->common.sets,
					     v->common.n_sets, &c->s,
					     c->tier);

	if (!st)
		st = layer_text_print(&c->s, c->tier, c->line,
				      sizeof(c->line));
	if (!st)
		st = contest_costs(v, all, c);
	return st;
}

static bool is_remark(const char *line)
{
	line += strspn(line, " \t\r");
	return !*line || *line == '#';
}

static enum status from_list(const struct validate *v, struct contests *all)
{
	char *text, *line, *save = NULL;
	enum status st;
	size_t len;
	int n = 0;

	st = infile_read(v->layers, LAYERS_BYTES_MAX, &text, &len);
	if (st)
		return st;
	for (line = text; line && !st; line = save) {
		save = strchr(line, '\n');
		if (save)
			*save++ = '\0';
		n++;
		if (is_remark(line))
			continue;
		st = add_line(v, line, all);
		if (st)
			err_prefix(st, "%s:%d", v->layers, n);
	}
	free(text);
	if (!st && !all->n)
		st = err_set(ST_INPUT, "'%s' names no layer", v->layers);
	return st;
}

enum status validate_layers(const struct validate *v, struct contests *all)
{
	return v->layers ? from_list(v, all) : from_scenario(v, all);
}
