/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From fields to text: canonical YAML, what is allowed, type names. */
#include "scenarios/keys.h"

#include "base/buf.h"
#include "scenarios/scenario.h"

#include <inttypes.h>
#include <string.h>

static void add_range(const struct key_row *k, struct buf *out)
{
	char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX];

	buf_addf(out, "%s..%s", unit_print(k->min, k->unit, low, sizeof(low)),
		 unit_print(k->max, k->unit, high, sizeof(high)));
}

static void add_names(const struct key_row *k, struct buf *out)
{
	int i;

	for (i = 0; k->names(i); i++) {
		buf_addf(out, "%s%s", i ? ", " : "", k->names(i));
	}
}

void key_allowed(const struct key_row *k, struct buf *out)
{
	switch (k->type) {
	case KEY_INT:
		buf_addf(out, "a whole number in %.0f..%.0f", k->min, k->max);
		break;
	case KEY_UINT64:
		buf_puts(out, "a whole number in 0..18446744073709551615");
		break;
	case KEY_REAL:
		buf_addf(out, "%s in ", unit_expected(k->unit));
		add_range(k, out);
		break;
	case KEY_BOOL:
		buf_puts(out, "true or false");
		break;
	case KEY_ENUM:
		buf_puts(out, "one of ");
		add_names(k, out);
		break;
	case KEY_TEXT:
		buf_puts(out, "a text");
		if (k->size)
			buf_addf(out, " of at most %zu bytes", k->size - 1);
		break;
	case KEY_KNOB_INT:
		buf_addf(out, "auto, a whole number in %.0f..%.0f, or a list "
			 "of at most %d different ones", k->min, k->max,
			 KNOB_MAX);
		break;
	case KEY_KNOB_REAL:
		buf_puts(out, "auto, none, a number in ");
		add_range(k, out);
		buf_addf(out, ", or a list of at most %d different ones",
			 KNOB_MAX);
		break;
	case KEY_MASK:
		buf_puts(out, "auto, all, or a list of ");
		add_names(k, out);
		break;
	case KEY_SOURCE:
		buf_puts(out, "a shipped name or a path");
		break;
	}
}

const char *key_type_name(enum key_type t)
{
	static const char *const names[] = {
		[KEY_INT] = "int",
		[KEY_UINT64] = "int",
		[KEY_REAL] = "real",
		[KEY_BOOL] = "bool",
		[KEY_ENUM] = "name",
		[KEY_TEXT] = "text",
		[KEY_KNOB_INT] = "ints",
		[KEY_KNOB_REAL] = "reals",
		[KEY_MASK] = "names",
		[KEY_SOURCE] = "source",
	};

	return names[t];
}

/* A word that YAML and every reader of ours take for the same text. */
static bool is_plain_word(const char *s)
{
	static const char *const words[] = { "null", "Null", "NULL", "true",
					     "false", "auto", "all", "none" };
	const char *letters = "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(s, words[i]))
			return false;
	}
	if (!*s || !strchr(letters, *s))
		return false;
	return strlen(s) == strspn(s, "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._/-");
}

/* Code point of well-formed UTF-8 (libyaml has checked it); its length. */
static size_t utf8_next(const unsigned char *s, uint32_t *cp_p)
{
	size_t n = *s < 0xC0 ? 1 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : 4;
	uint32_t cp = n == 1 ? *s : *s & (0xFFu >> (n + 1));
	size_t i;

	for (i = 1; i < n && s[i]; i++) {
		cp = cp << 6 | (s[i] & 0x3Fu);
	}
	*cp_p = cp;
	return i;
}

/* May it stand as it is between double quotes? YAML 1.1, "printable". */
static bool is_printable(uint32_t cp)
{
	return (cp >= 0x20 && cp <= 0x7E) || (cp >= 0xA0 && cp < 0x2028) ||
	       (cp > 0x2029 && cp < 0xD800) || (cp >= 0xE000 && cp < 0xFEFF) ||
	       (cp > 0xFEFF && cp <= 0xFFFD) || cp >= 0x10000;
}

void key_quote(const char *text, struct buf *out)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t cp;
	size_t n;

	if (is_plain_word(text)) {
		buf_puts(out, text);
		return;
	}
	buf_puts(out, "\"");
	for (; *s; s += n) {
		n = utf8_next(s, &cp);
		if (cp == '"' || cp == '\\')
			buf_addf(out, "\\%c", (int)cp);
		else if (is_printable(cp))
			buf_add(out, (const char *)s, n);
		else
			buf_addf(out, "\\U%08" PRIX32, cp);
	}
	buf_puts(out, "\"");
}

static void print_knob_int(const struct knob_int *k, struct buf *out)
{
	int i;

	if (k->is_auto) {
		buf_puts(out, "auto");
		return;
	}
	if (k->n == 1) {
		buf_addf(out, "%d", k->v[0]);
		return;
	}
	for (i = 0; i < k->n; i++) {
		buf_addf(out, "%s%d", i ? ", " : "[", k->v[i]);
	}
	buf_puts(out, "]");
}

static void print_knob_real(const struct knob_real *k, struct buf *out)
{
	char text[UNIT_TEXT_MAX];
	int i;

	if (k->is_auto) {
		buf_puts(out, "auto");
		return;
	}
	for (i = 0; i < k->n; i++) {
		unit_print(k->v[i], U_NUMBER, text, sizeof(text));
		buf_addf(out, "%s%s", i ? ", " : "[",
			 k->v[i] > 0 ? text : "none");
	}
	buf_puts(out, "]");
}

static void print_mask(const struct key_row *k, unsigned mask,
		       struct buf *out)
{
	const char *sep = "[";
	int i;

	for (i = 0; k->names(i); i++) {
		if (mask & 1u << i) {
			buf_addf(out, "%s%s", sep, k->names(i));
			sep = ", ";
		}
	}
	buf_puts(out, "]");
}

static void print_name(const struct key_row *k, const void *field,
		       struct buf *out)
{
	int i;

	memcpy(&i, field, sizeof(i));
	buf_puts(out, k->names(i));
}

void key_print(const struct key_row *k, const void *base, struct buf *out)
{
	const void *field = (const char *)base + k->offset;
	char text[UNIT_TEXT_MAX];

	switch (k->type) {
	case KEY_INT:
		buf_addf(out, "%d", *(const int *)field);
		break;
	case KEY_UINT64:
		buf_addf(out, "%" PRIu64, *(const uint64_t *)field);
		break;
	case KEY_REAL:
		buf_puts(out, unit_print(*(const double *)field, k->unit,
					 text, sizeof(text)));
		break;
	case KEY_BOOL:
		buf_puts(out, *(const bool *)field ? "true" : "false");
		break;
	case KEY_ENUM:
		print_name(k, field, out);
		break;
	case KEY_TEXT:
		key_quote(k->size ? field : *(char *const *)field, out);
		break;
	case KEY_KNOB_INT:
		print_knob_int(field, out);
		break;
	case KEY_KNOB_REAL:
		print_knob_real(field, out);
		break;
	case KEY_MASK:
		print_mask(k, *(const unsigned *)field, out);
		break;
	case KEY_SOURCE:
		break;
	}
}
