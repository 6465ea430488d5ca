/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Luffy (2023). Measures, E experts on E GPUs:
 *
 *	cell MODEL SYSTEM E comp|comm	ms (table III)
 *	speedup MODEL SYSTEM E		vanilla's total by the system's
 *
 * Vanilla is a line in E (computation: the fullest GPU's load falls as
 * experts spread) and (E-1)/E (p + q E) (communication: own port, and what
 * all GPUs share); the other systems follow from it and from the model's
 * shape.
 */
#include "sim/repro.h"

#include "base/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MODELS 2

enum system { VANILLA, EXT, HYT, LUFFY, SYSTEMS };

static const char *const system_names[SYSTEMS] = { "vanilla", "ext", "hyt",
						   "luffy" };
static const char *const model_names[MODELS] = { "txl", "bert" };

struct shape {
	double hidden, ffn, length;
	double comp_ms, comp_fall_ms;	/* vanilla: first - fall E */
	double port_ms, shared_ms;	/* vanilla: (E-1)/E (p + q E) */
	double serial[SYSTEMS];		/* cost of one more expert */
	double moved[SYSTEMS];		/* bytes by vanilla's */
};

struct repro {
	struct shape model[MODELS];
	double condensed, experts_per_sequence, top_k;
};

static enum status get_model(const struct paper *p, const char *name,
			     struct shape *m)
{
	const struct repro_want want[] = {
		{ ".hidden", &m->hidden, 0 }, { ".ffn", &m->ffn, 0 },
		{ ".length", &m->length, 0 }, { ".comp_ms", &m->comp_ms, 0 },
		{ ".comp_fall_ms", &m->comp_fall_ms, 0 },
		{ ".port_ms", &m->port_ms, 0 }, { ".shared_ms", &m->shared_ms, 0 },
		{ ".ext.serial", &m->serial[EXT], 0 },
		{ ".hyt.serial", &m->serial[HYT], 0 },
		{ ".ext.moved", &m->moved[EXT], 0 },
		{ ".hyt.moved", &m->moved[HYT], 0 },
	};

	return repro_get(p, name, want, 11);
}

enum status repro_luffy_open(const struct paper *p, struct repro **out_p)
{
	struct repro *r = xcalloc(1, sizeof(*r));
	const struct repro_want want[] = {
		{ "condensed", &r->condensed, 0 },
		{ "experts_per_sequence", &r->experts_per_sequence, 0 },
		{ "top_k", &r->top_k, 0 },
	};
	enum status st = repro_get(p, "", want, 3);

	for (int i = 0; i < MODELS && !st; i++)
		st = get_model(p, model_names[i], &r->model[i]);
	if (st)
		free(r);
	else
		*out_p = r;
	return st;
}

void repro_luffy_close(struct repro *r)
{
	free(r);
}

/* Share of a layer's MACs that is in its experts. */
static double expert_share(const struct repro *r, const struct shape *m)
{
	double attention = 4 * m->hidden * m->hidden +
		2 * m->length * m->hidden;
	double experts = r->top_k * 2 * m->hidden * m->ffn;

	return experts / (attention + experts);
}

static double comp_ms(const struct repro *r, const struct shape *m,
		      enum system s, double e)
{
	double vanilla = m->comp_ms - m->comp_fall_ms * e;
	double share = expert_share(r, m);

	if (s == LUFFY)
		return vanilla * (1 - share * r->condensed);
	return vanilla * (1 + share * m->serial[s] * (e - 1));
}

/*
 * Condensed tokens are not sent. A sequence that moves to the GPU with most
 * of its tokens finds 1/u of them there when it uses u experts evenly, where
 * it would find 1/E by chance; so does the next dispatch.
 */
static double comm_ms(const struct repro *r, const struct shape *m,
		      enum system s, double e)
{
	double remote = (e - 1) / e;
	double vanilla = remote * (m->port_ms + m->shared_ms * e);
	double left = 1 - 1 / r->experts_per_sequence;

	if (s == VANILLA)
		return vanilla;
	if (s == LUFFY)
		return vanilla * (1 - r->condensed) *
			fmin(1, left / remote);
	return vanilla * m->moved[s];
}

static int find(const char *word, const char *const *names, int n)
{
	for (int i = 0; i < n; i++) {
		if (!strcmp(names[i], word))
			return i;
	}
	return -1;
}

enum status repro_luffy_measure(struct repro *r, int n,
				const char *const *word, double *value_p)
{
	int model = n > 3 ? find(word[1], model_names, MODELS) : -1;
	int s = n > 3 ? find(word[2], system_names, SYSTEMS) : -1;
	const struct shape *m = &r->model[model < 0 ? 0 : model];
	double e = 0;

	if (model < 0 || s < 0 || !unit_parse(word[3], U_NUMBER, &e) ||
	    !(e >= 2))
		return repro_unknown(n, word);
	if (!strcmp(word[0], "speedup") && n == 4) {
		*value_p = (comp_ms(r, m, VANILLA, e) +
			    comm_ms(r, m, VANILLA, e)) /
			(comp_ms(r, m, s, e) + comm_ms(r, m, s, e));
		return ST_OK;
	}
	if (strcmp(word[0], "cell") || n != 5)
		return repro_unknown(n, word);
	if (strcmp(word[4], "comp") && strcmp(word[4], "comm"))
		return repro_unknown(n, word);
	*value_p = !strcmp(word[4], "comp") ? comp_ms(r, m, s, e) :
		comm_ms(r, m, s, e);
	return ST_OK;
}
