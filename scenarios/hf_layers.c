/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/hf_layers.h"

#include "scenarios/hf_config.h"

#include <string.h>

struct pattern {
	const struct hf_doc *doc;
	int layers;
	bool moe[HF_LAYERS_MAX];
};

static void keep_range(struct pattern *p, int first, int last)
{
	int i;

	for (i = 0; i < p->layers; i++)
		p->moe[i] = p->moe[i] && i >= first && i <= last;
}

/* Keeps layers with i mod period == phase. */
static void keep_period(struct pattern *p, int period, int phase)
{
	int i;

	for (i = 0; i < p->layers; i++)
		p->moe[i] = p->moe[i] && i % period == phase;
}

static enum status want_list(const struct pattern *p, const char *key,
			     const json_t *v)
{
	if (json_is_array(v))
		return ST_OK;
	return err_set(ST_INPUT, "%s: '%s' is not a list of layers",
		       p->doc->name, key);
}

/* A list of layer numbers: only those stay (or: those go). */
static enum status keep_listed(struct pattern *p, const char *key, bool listed)
{
	const json_t *v = hf_find_one(p->doc, key);
	bool mark[HF_LAYERS_MAX] = { false };
	enum status st;
	size_t n;
	int i;

	if (!v)
		return ST_OK;
	st = want_list(p, key, v);
	for (n = 0; !st && n < json_array_size(v); n++) {
		st = hf_int(p->doc, key, json_array_get(v, n), 0,
			    HF_LAYERS_MAX - 1, &i);
		if (!st)
			mark[i] = true;
	}
	for (i = 0; !st && i < p->layers; i++)
		p->moe[i] = p->moe[i] && mark[i] == listed;
	return st;
}

static enum status short_list(const struct pattern *p, const char *key,
			      size_t n)
{
	return err_set(ST_INPUT, "%s: '%s' has %zu entries for %d layers",
		       p->doc->name, key, n, p->layers);
}

static enum status keep_frequency(struct pattern *p)
{
	static const char key[] = "moe_layer_freq";
	const json_t *v = hf_find_one(p->doc, key);
	enum status st;
	int i, n;

	if (!v)
		return ST_OK;
	if (!json_is_array(v)) {
		st = hf_int(p->doc, key, v, 1, HF_LAYERS_MAX, &n);
		if (!st)
			keep_period(p, n, 0);
		return st;
	}
	if (json_array_size(v) < (size_t)p->layers)
		return short_list(p, key, json_array_size(v));
	for (i = 0; i < p->layers; i++) {
		st = hf_int(p->doc, key, json_array_get(v, (size_t)i), 0, 1,
			    &n);
		if (st)
			return st;
		p->moe[i] = p->moe[i] && n;
	}
	return ST_OK;
}

static enum status keep_types(struct pattern *p)
{
	static const char key[] = "mlp_layer_types";
	const json_t *v = hf_find_one(p->doc, key);
	const char *type;
	enum status st;
	int i;

	if (!v)
		return ST_OK;
	st = want_list(p, key, v);
	if (st)
		return st;
	if (json_array_size(v) < (size_t)p->layers)
		return short_list(p, key, json_array_size(v));
	for (i = 0; i < p->layers; i++) {
		type = json_string_value(json_array_get(v, (size_t)i));
		p->moe[i] = p->moe[i] && type &&
			    (!strcmp(type, "sparse") || !strcmp(type, "moe"));
	}
	return ST_OK;
}

static enum status keep_numbers(struct pattern *p)
{
	int step = 1, period = 1, offset = 0;
	int dense = 0, first = 0, last = -1;
	const struct hf_doc *d = p->doc;
	enum status st;

	if ((st = hf_get(d, HF_FIRST_DENSE, &dense)) ||
	    (st = hf_get(d, HF_SPARSE_STEP, &step)) ||
	    (st = hf_get(d, HF_MOE_START, &first)) ||
	    (st = hf_get(d, HF_MOE_END, &last)) ||
	    (st = hf_get(d, HF_MOE_PERIOD, &period)) ||
	    (st = hf_get(d, HF_MOE_OFFSET, &offset)))
		return st;
	if (offset >= period)
		return err_set(ST_INPUT, "%s: 'expert_layer_offset': %d is not "
			       "below 'expert_layer_period' %d", d->name,
			       offset, period);
	keep_range(p, dense, p->layers);
	keep_range(p, first, last < 0 ? p->layers : last);
	keep_period(p, step, step - 1);
	keep_period(p, period, offset);
	return ST_OK;
}

enum status hf_moe_layers(const struct hf_doc *d, int layers, int *n_p)
{
	struct pattern p = { .doc = d, .layers = layers };
	enum status st;
	int i, n = 0;

	memset(p.moe, true, sizeof(p.moe));
	if ((st = keep_numbers(&p)) || (st = keep_frequency(&p)) ||
	    (st = keep_types(&p)) ||
	    (st = keep_listed(&p, "mlp_only_layers", false)) ||
	    (st = keep_listed(&p, "moe_layers", true)))
		return st;
	for (i = 0; i < layers; i++)
		n += p.moe[i];
	*n_p = n;
	return ST_OK;
}
