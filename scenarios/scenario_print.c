/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Prints every field in the order of the key table, the GPU's with it, so
 * that the text does not depend on data files any more.
 */
#include "scenarios/scenario.h"

#include "base/buf.h"
#include "scenarios/keys.h"
#include "scenarios/scenario_rules.h"

#include <string.h>

#define INDENT 2

/*
 * Writes the mapping keys of `name` that `last` (the name before) is not in
 * already, then "key: ", at the name's depth.
 */
static void open_key(struct buf *out, const char *last, const char *name)
{
	size_t depth = 0, n;
	bool shared = true;

	for (;; name += n + 1, depth++) {
		n = strcspn(name, ".");
		shared = shared && !strncmp(last, name, n + 1);
		if (!name[n])
			break;
		if (!shared) {
			buf_fill(out, ' ', depth * INDENT);
			buf_addf(out, "%.*s:\n", (int)n, name);
		} else {
			last += n + 1;
		}
	}
	buf_fill(out, ' ', depth * INDENT);
	buf_addf(out, "%s: ", name);
}

static bool is_empty(const struct key_row *k, const void *base)
{
	static const char zero[sizeof(double)];
	const char *field = (const char *)base + k->offset;

	if (k->type == KEY_TEXT)
		return k->size ? !*field : !*(char *const *)(const void *)field;
	return k->def && !*k->def && !memcmp(field, zero, key_field_size(k));
}

static const char *print_gpu(const struct gpu *gpu, const char *prefix,
			     const char *last, struct buf *out)
{
	struct buf name = { 0 }, before = { 0 };
	size_t i;

	buf_puts(&before, last);
	for (i = 0; i < n_gpu_keys; i++) {
		if (is_empty(&gpu_keys[i], gpu))
			continue;
		buf_clear(&name);
		buf_addf(&name, "%s%s", prefix, gpu_keys[i].name);
		open_key(out, buf_str(&before), buf_str(&name));
		key_print(&gpu_keys[i], gpu, out);
		buf_puts(out, "\n");
		buf_clear(&before);
		buf_puts(&before, buf_str(&name));
	}
	buf_release(&name);
	buf_release(&before);
	return prefix;
}

/* Rows that the GPU's own mapping has printed. */
static bool in_gpu(const struct key_row *k)
{
	size_t gpu = offsetof(struct scenario, cluster.gpu);

	return k->offset >= gpu && k->offset < gpu + sizeof(struct gpu);
}

void scenario_print(const struct scenario *s, struct buf *out)
{
	const char *last = "";
	size_t i;

	for (i = 0; i < n_scenario_keys; i++) {
		const struct key_row *k = &scenario_keys[i];

		if (!strcmp(k->name, "cluster.gpu"))
			last = print_gpu(&s->cluster.gpu, "cluster.gpu.",
					 last, out);
		if (k->type == KEY_SOURCE || in_gpu(k) || is_empty(k, s) ||
		    !key_used(s, k->name))
			continue;
		open_key(out, last, k->name);
		key_print(k, s, out);
		buf_puts(out, "\n");
		last = k->name;
	}
}

#define SECTION "cluster."

static bool in_form(const struct scenario *s, const struct key_row *k,
		    enum cluster_form form)
{
	static const char zero[NAME_MAX_LEN];
	const char *field = (const char *)s + k->offset;

	if (k->type == KEY_SOURCE || strncmp(k->name, SECTION,
					     strlen(SECTION)))
		return false;
	if (k->type == KEY_TEXT)
		return *field;
	if (form == CLUSTER_PART && strcmp(k->name, SECTION "intra.kind"))
		return memcmp(field, zero, key_field_size(k));
	return !is_empty(k, s) && key_used(s, k->name);
}

void cluster_print(const struct cluster *c, enum cluster_form form,
		   struct buf *out)
{
	struct scenario s = { .cluster = *c };
	const char *last = "";
	size_t i;

	for (i = 0; i < n_scenario_keys; i++) {
		const struct key_row *k = &scenario_keys[i];
		const char *name = k->name + strlen(SECTION);

		if (!strcmp(k->name, SECTION "gpu") && form == CLUSTER_WHOLE) {
			last = print_gpu(&c->gpu, "gpu.", last, out);
		} else if (!strcmp(k->name, SECTION "gpu") && *c->gpu.type) {
			buf_puts(out, "gpu: ");
			key_quote(c->gpu.type, out);
			buf_puts(out, "\n");
		}
		if (!in_form(&s, k, form))
			continue;
		open_key(out, last, name);
		key_print(k, &s, out);
		buf_puts(out, "\n");
		last = name;
	}
}
