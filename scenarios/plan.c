/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/plan.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 1024		/* bytes of one word of a plan */
#define DEGREES_MAX 1048576	/* of a layout degree; layout_check() knows */
#define CAPACITY_MAX 1e6	/* of a capacity factor */
#define GRADIENT_MAX 1e15	/* bytes */

enum word_id {
	WORD_EP, WORD_ESP, WORD_TP, WORD_DP, WORD_PP,
	WORD_ALLTOALL, WORD_DEGREE, WORD_CAPACITY, WORD_TECHNIQUES,
	WORD_REQUIRED_N,
	WORD_CTAS = WORD_REQUIRED_N, WORD_OVERLAP,
	WORD_ORDER, WORD_GRADIENT, WORD_DENSE,
	WORD_N,
};

static const char *const word_names[WORD_N] = {
	"ep", "esp", "tp", "dp", "pp",
	"alltoall", "degree", "capacity", "techniques", "ctas",
	"overlap", "order", "gradient", "dense",
};

static const char *const dense_names[DENSE_N] = {
	[DENSE_APART] = "apart", [DENSE_WHOLE] = "whole",
	[DENSE_CHUNKS] = "chunks",
};

static const char *const overlap_names[OVERLAP_N] = {
	[OVERLAP_NONE] = "none", [OVERLAP_WEIGHT] = "weight",
};

static int *layout_field(struct layout *l, enum word_id w)
{
	int *const field[] = { &l->ep, &l->esp, &l->tp, &l->dp, &l->pp };

	return field[w];
}

bool plan_same(const struct plan *p, const struct plan *q)
{
	return !memcmp(&p->layout, &q->layout, sizeof(p->layout)) &&
		p->alltoall == q->alltoall &&
		p->degree_forward == q->degree_forward &&
		p->degree_backward == q->degree_backward &&
		p->capacity_factor == q->capacity_factor &&
		p->technique_mask == q->technique_mask &&
		p->ctas == q->ctas && p->overlap == q->overlap &&
		!order_compare(&p->order[0], &q->order[0]) &&
		!order_compare(&p->order[1], &q->order[1]) &&
		p->gradient_bytes == q->gradient_bytes &&
		p->gradient_pieces == q->gradient_pieces &&
		p->dense == q->dense && p->dense_pieces == q->dense_pieces;
}

static void print_techniques(unsigned mask, struct buf *out)
{
	const char *comma = "";
	int i;

	for (i = 0; i < TECH_N; i++) {
		if (mask & 1u << i) {
			buf_addf(out, "%s%s", comma, technique_table[i].name);
			comma = ",";
		}
	}
}

void plan_print(const struct plan *p, struct buf *out)
{
	const struct layout *l = &p->layout;
	char number[UNIT_TEXT_MAX] = "none";

	if (p->capacity_factor > 0) {
		unit_print(p->capacity_factor, U_NUMBER, number,
			   sizeof(number));
	}
	buf_addf(out, "ep=%d esp=%d tp=%d dp=%d pp=%d alltoall=%s ", l->ep,
		 l->esp, l->tp, l->dp, l->pp, a2a_table[p->alltoall].name);
	if (p->ctas)
		buf_addf(out, "ctas=%d ", p->ctas);
	buf_addf(out, "degree=%d/%d capacity=%s techniques=",
		 p->degree_forward, p->degree_backward, number);
	print_techniques(p->technique_mask, out);
	if (p->overlap)
		buf_addf(out, " overlap=%s", overlap_names[p->overlap]);
	if (!order_is_default(p->order)) {
		buf_puts(out, " order=");
		order_print(p->order, out);
	}
	if (p->gradient_bytes > 0) {
		unit_print(p->gradient_bytes, U_BYTES, number, sizeof(number));
		buf_addf(out, " gradient=%s", number);
	}
	if (p->gradient_bytes > 0 && p->gradient_pieces > 1)
		buf_addf(out, "/%d", p->gradient_pieces);
	if (p->dense)
		buf_addf(out, " dense=%s", dense_names[p->dense]);
	if (p->dense && p->dense_pieces > 1)
		buf_addf(out, "/%d", p->dense_pieces);
}

char *plan_exchange_text(const struct plan *p, char out[PLAN_EXCHANGE_MAX])
{
	char limit[16] = "";

	if (p->ctas)
		snprintf(limit, sizeof(limit), " ctas=%d", p->ctas);
	snprintf(out, PLAN_EXCHANGE_MAX, "%s%s%s%s%s",
		 a2a_table[p->alltoall].name, limit,
		 p->overlap ? " overlap=" : "",
		 p->overlap ? overlap_names[p->overlap] : "",
		 p->dense ? " block" :
		 order_is_default(p->order) ? "" : " ordered");
	return out;
}

/* Digits in [min, max] up to `*end_p`; false otherwise. */
static bool parse_count(const char *s, long min, long max, int *out,
			const char **end_p)
{
	char *end;
	long v;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || v < min || v > max)
		return false;
	*out = (int)v;
	*end_p = end;
	return true;
}

static enum status parse_layout(enum word_id w, const char *value,
				struct plan *p)
{
	const char *end;

	if (parse_count(value, 1, DEGREES_MAX, layout_field(&p->layout, w),
			&end) && !*end)
		return ST_OK;
	return err_set(ST_INPUT, "plan: '%s' is '%s', must be a number in "
		       "1..%d", word_names[w], value, DEGREES_MAX);
}

/* "4/2", or "4" for both passes. */
static enum status parse_degree(const char *value, struct plan *p)
{
	const char *end;
	int f, b;

	if (!parse_count(value, 1, PLAN_DEGREE_MAX, &f, &end))
		goto err;
	b = f;
	if (*end == '/' &&
	    !parse_count(end + 1, 1, PLAN_DEGREE_MAX, &b, &end))
		goto err;
	if (*end)
		goto err;
	p->degree_forward = f;
	p->degree_backward = b;
	return ST_OK;
err:
	return err_set(ST_INPUT, "plan: 'degree' is '%s', must be "
		       "FORWARD/BACKWARD, both in 1..%d", value,
		       PLAN_DEGREE_MAX);
}

static enum status parse_ctas(const char *value, struct plan *p)
{
	const char *end;

	if (parse_count(value, 0, PLAN_CTAS_MAX, &p->ctas, &end) && !*end)
		return ST_OK;
	return err_set(ST_INPUT, "plan: 'ctas' is '%s', must be a number in "
		       "0..%d (0: no limit)", value, PLAN_CTAS_MAX);
}

static enum status parse_capacity(const char *value, struct plan *p)
{
	double v;

	if (!strcmp(value, "none")) {
		p->capacity_factor = 0;
		return ST_OK;
	}
	if (!unit_parse(value, U_NUMBER, &v) || !(v > 0) || v > CAPACITY_MAX) {
		return err_set(ST_INPUT, "plan: 'capacity' is '%s', must be "
			       "'none' or a number above 0, up to %g", value,
			       CAPACITY_MAX);
	}
	p->capacity_factor = v;
	return ST_OK;
}

/* "plan: 'x' has 'value', allowed: a, b, c (did you mean 'b'?)" */
static enum status fail_name(const char *word, const char *value,
			     const char *const *names, int n)
{
	struct buf list = { 0 };
	char hint[WORD_MAX];
	int i;

	for (i = 0; i < n; i++)
		buf_addf(&list, "%s%s", i ? ", " : "", names[i]);
	nearest_hint(value, names, (size_t)n, hint, sizeof(hint));
	err_set(ST_INPUT, "plan: '%s' has '%s', allowed: %s%s", word, value,
		buf_str(&list), hint);
	buf_release(&list);
	return ST_INPUT;
}

static enum status parse_alltoall(const char *value, struct plan *p)
{
	const char *names[A2A_N];
	int i, found = a2a_find(value);

	if (found >= 0) {
		p->alltoall = (enum a2a_alg)found;
		return ST_OK;
	}
	for (i = 0; i < A2A_N; i++)
		names[i] = a2a_table[i].name;
	return fail_name("alltoall", value, names, A2A_N);
}

static enum status parse_overlap(const char *value, struct plan *p)
{
	int i;

	for (i = 0; i < OVERLAP_N; i++) {
		if (!strcmp(value, overlap_names[i])) {
			p->overlap = (enum plan_overlap)i;
			return ST_OK;
		}
	}
	return fail_name("overlap", value, overlap_names, OVERLAP_N);
}

/* "20MB", or "20MB/4": in four pieces. */
static enum status parse_gradient(char *value, struct plan *p)
{
	char *slash = strchr(value, '/');
	const char *end = "";
	int pieces = 1;
	double v;

	if (slash)
		*slash = '\0';
	if (!unit_parse(value, U_BYTES, &v) || !(v >= 0) || v > GRADIENT_MAX ||
	    (slash && (!parse_count(slash + 1, 1, PLAN_PIECES_MAX, &pieces,
				    &end) || *end)))
		return err_set(ST_INPUT, "plan: 'gradient' is '%s%s%s', must "
			       "be BYTES or BYTES/PIECES, at most %g and %d",
			       value, slash ? "/" : "", slash ? slash + 1 : "",
			       GRADIENT_MAX, PLAN_PIECES_MAX);
	p->gradient_bytes = v;
	p->gradient_pieces = v > 0 && pieces > 1 ? pieces : 0;
	return ST_OK;
}

static enum status fail_technique(const char *value)
{
	const char *names[TECH_N];
	int i;

	for (i = 0; i < TECH_N; i++)
		names[i] = technique_table[i].name;
	return fail_name("techniques", value, names, TECH_N);
}

static enum status parse_techniques(char *value, struct plan *p)
{
	char *save = NULL, *name;
	int found;

	p->technique_mask = 0;
	for (name = strtok_r(value, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		found = technique_find(name);
		if (found < 0)
			return fail_technique(name);
		p->technique_mask |= 1u << found;
	}
	if (!p->technique_mask)
		return err_set(ST_INPUT, "plan: 'techniques' is empty");
	return ST_OK;
}

/* "whole", or "whole/8": its gradients in eight pieces. */
static enum status parse_dense(char *value, struct plan *p)
{
	char *slash = strchr(value, '/');
	const char *end = "";
	int i = 0, pieces = 1;

	if (slash)
		*slash = '\0';
	while (i < DENSE_N && strcmp(value, dense_names[i]))
		i++;
	if (i == DENSE_N)
		return fail_name("dense", value, dense_names, DENSE_N);
	if (slash && (!parse_count(slash + 1, 1, PLAN_PIECES_MAX, &pieces,
				   &end) || *end))
		return err_set(ST_INPUT, "plan: 'dense' has '%s' pieces, must "
			       "be in 1..%d", slash + 1, PLAN_PIECES_MAX);
	p->dense = (enum plan_dense)i;
	p->dense_pieces = i && pieces > 1 ? pieces : 0;
	return ST_OK;
}

static enum status parse_value(enum word_id w, char *value, struct plan *p)
{
	switch (w) {
	case WORD_ALLTOALL:
		return parse_alltoall(value, p);
	case WORD_DEGREE:
		return parse_degree(value, p);
	case WORD_CAPACITY:
		return parse_capacity(value, p);
	case WORD_TECHNIQUES:
		return parse_techniques(value, p);
	case WORD_CTAS:
		return parse_ctas(value, p);
	case WORD_OVERLAP:
		return parse_overlap(value, p);
	case WORD_ORDER:
		return order_parse(value, p->order);
	case WORD_GRADIENT:
		return parse_gradient(value, p);
	case WORD_DENSE:
		return parse_dense(value, p);
	default:
		return parse_layout(w, value, p);
	}
}

static enum status parse_word(char *word, struct plan *p, unsigned *seen)
{
	char *equal = strchr(word, '=');
	char hint[WORD_MAX];
	int w;

	if (!equal) {
		return err_set(ST_INPUT, "plan: '%s' is not of the form "
			       "NAME=VALUE", word);
	}
	*equal = '\0';
	for (w = 0; w < WORD_N; w++) {
		if (!strcmp(word, word_names[w]))
			break;
	}
	if (w == WORD_N) {
		return err_set(ST_INPUT, "plan: unknown word '%s'%s", word,
			       nearest_hint(word, word_names, WORD_N, hint,
					    sizeof(hint)));
	}
	if (*seen & 1u << w)
		return err_set(ST_INPUT, "plan: '%s' is given twice", word);
	*seen |= 1u << w;
	return parse_value((enum word_id)w, equal + 1, p);
}

/* The next word of *s_p in `word`; false at the end of the text. */
static bool next_word(const char **s_p, char *word, enum status *st)
{
	const char *s = *s_p + strspn(*s_p, " \t\r\n");
	size_t n = strcspn(s, " \t\r\n");

	if (!n)
		return false;
	if (n >= WORD_MAX) {
		*st = err_set(ST_INPUT, "plan: '%.16s...' is longer than %d "
			      "bytes", s, WORD_MAX - 1);
		return false;
	}
	memcpy(word, s, n);
	word[n] = '\0';
	*s_p = s + n;
	return true;
}

enum status plan_parse(const char *text, struct plan *out)
{
	struct plan p = { 0 };
	char word[WORD_MAX];
	enum status st = ST_OK;
	unsigned seen = 0;
	int w;

	while (!st && next_word(&text, word, &st))
		st = parse_word(word, &p, &seen);
	if (st)
		return st;
	for (w = 0; w < WORD_REQUIRED_N; w++) {
		if (!(seen & 1u << w)) {
			return err_set(ST_INPUT, "plan: '%s' is missing",
				       word_names[w]);
		}
	}
	*out = p;
	return ST_OK;
}
