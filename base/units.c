/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_TEXT_MAX 64	/* longer than any double needs */
#define EXPONENT_MAX 9999	/* saturates: far beyond a double's range */
#define BITS_PER_BYTE 8

struct prefix {
	const char *text;
	int exp10;
	double scale;	/* a power of two, exact; 1 for decimal prefixes */
};

static const struct prefix big_prefixes[] = {
	{ "Ki", 0, 0x1p10 }, { "Mi", 0, 0x1p20 },
	{ "Gi", 0, 0x1p30 }, { "Ti", 0, 0x1p40 },
	{ "k", 3, 1 }, { "K", 3, 1 }, { "M", 6, 1 }, { "G", 9, 1 },
	{ "T", 12, 1 }, { "P", 15, 1 }, { "", 0, 1 }, { NULL, 0, 0 },
};
static const struct prefix small_prefixes[] = {
	{ "m", -3, 1 }, { "u", -6, 1 }, { "n", -9, 1 }, { "p", -12, 1 },
	{ "", 0, 1 }, { NULL, 0, 0 },
};
static const struct prefix no_prefixes[] = {
	{ "", 0, 1 }, { NULL, 0, 0 },
};

struct suffix {
	const char *text;
	int exp10;
	double divide;	/* a power of two, exact */
};

struct unit {
	const char *name, *expected;
	const char *base;	/* what unit_print() and unit_human() append */
	const struct prefix *prefixes;
	struct suffix suffixes[3];	/* ends with a NULL text */
};

static const struct unit units[] = {
	[U_NUMBER] = { "", "a number such as 2.5", "", no_prefixes,
		       { { NULL, 0, 0 } } },
	[U_BYTES] = { "bytes", "a size such as 64KiB or 1MB", "B",
		      big_prefixes, { { "B", 0, 1 }, { NULL, 0, 0 } } },
	[U_RATE] = { "bytes/s", "a rate such as 400Gb/s or 50GB/s", "B/s",
		     big_prefixes, { { "B/s", 0, 1 },
				     { "b/s", 0, BITS_PER_BYTE },
				     { NULL, 0, 0 } } },
	[U_TIME] = { "s", "a time such as 3us", "s", small_prefixes,
		     { { "s", 0, 1 }, { NULL, 0, 0 } } },
	[U_FRACTION] = { "fraction", "a fraction such as 0.01 or 1%", "%",
			 no_prefixes, { { "%", -2, 1 }, { NULL, 0, 0 } } },
	[U_FLOPS] = { "FLOP/s", "a compute rate such as 989TFLOPS", "FLOPS",
		      big_prefixes, { { "FLOPS", 0, 1 }, { "FLOP/s", 0, 1 },
				      { NULL, 0, 0 } } },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t span_digits(const char *s)
{
	size_t n = 0;

	while (is_digit(s[n])) {
		n++;
	}
	return n;
}

struct number {
	const char *digits;	/* mantissa, not terminated */
	size_t len;
	int exp10;
};

static const char *scan_exponent(const char *s, int *exp_p)
{
	const char *p = s + 1;
	bool minus = *p == '-';
	int e = 0;

	if (*p == '-' || *p == '+')
		p++;
	if (!is_digit(*p))
		return s;	/* no exponent: what follows is the unit */
	for (; is_digit(*p); p++) {
		if (e < EXPONENT_MAX)
			e = e * 10 + (*p - '0');
	}
	*exp_p = minus ? -e : e;
	return p;
}

/* digits[.digits][e[+-]digits]; the end, or NULL when no number starts here */
static const char *scan_number(const char *s, struct number *num)
{
	size_t whole = span_digits(s), part = 0;
	const char *p = s + whole;

	if (*p == '.') {
		part = span_digits(p + 1);
		p += 1 + part;
	}
	if (!whole && !part)
		return NULL;
	*num = (struct number){ .digits = s, .len = (size_t)(p - s) };
	if (*p == 'e' || *p == 'E')
		p = scan_exponent(p, &num->exp10);
	return p;
}

/*
 * The decimal exponent of the unit goes into the text before strtod(), so
 * that "2.3us" is the same double as 2.3e-6: one rounding, not two. Too
 * large a number comes out infinite.
 */
static bool number_value(const struct number *num, int exp10, double *value_p)
{
	char text[NUMBER_TEXT_MAX + 16];

	if (num->len > NUMBER_TEXT_MAX)
		return false;
	snprintf(text, sizeof(text), "%.*se%d", (int)num->len, num->digits,
		 num->exp10 + exp10);
	*value_p = strtod(text, NULL);
	return true;
}

static bool match_unit(const struct unit *u, const char *text, int *exp10_p,
		       double *scale_p)
{
	const struct prefix *p;
	const struct suffix *s;

	for (p = u->prefixes; p->text; p++) {
		size_t n = strlen(p->text);

		if (strncmp(text, p->text, n))
			continue;
		for (s = u->suffixes; s->text; s++) {
			if (strcmp(text + n, s->text))
				continue;
			*exp10_p = p->exp10 + s->exp10;
			*scale_p = p->scale / s->divide;
			return true;
		}
	}
	return false;
}

bool unit_parse(const char *text, enum unit_kind kind, double *value_p)
{
	struct number num;
	const char *end = scan_number(text, &num);
	double scale = 1, v;
	int exp10 = 0;

	if (!end)
		return false;
	if (*end) {
		if (*end == ' ')
			end++;
		if (!match_unit(&units[kind], end, &exp10, &scale))
			return false;
	}
	if (!number_value(&num, exp10, &v) || !isfinite(v * scale))
		return false;
	*value_p = v * scale;
	return true;
}

const char *unit_expected(enum unit_kind kind)
{
	return units[kind].expected;
}

const char *unit_name(enum unit_kind kind)
{
	return units[kind].name;
}

/* The largest decimal prefix that leaves at least 1; "" when none does. */
static const struct prefix *pick_prefix(const struct unit *u, double value)
{
	const struct prefix *p, *best = NULL, *least = NULL;

	for (p = u->prefixes; p->text; p++) {
		if (p->scale != 1 || !strcmp(p->text, "K"))
			continue;
		if (!least || p->exp10 < least->exp10)
			least = p;
		if (value >= pow(10, p->exp10) &&
		    (!best || p->exp10 > best->exp10))
			best = p;
	}
	return best ? best : least;
}

static bool reads_back(const char *text, enum unit_kind kind, double value)
{
	double back;

	return unit_parse(text, kind, &back) && back == value;
}

/*
 * With a prefix when 15 digits of the scaled number read back exactly, in
 * the plain SI unit otherwise: 17 digits always do.
 */
char *unit_print(double value, enum unit_kind kind, char *out, size_t size)
{
	const struct unit *u = &units[kind];
	const struct prefix *p = pick_prefix(u, value);
	int digits;

	if (kind != U_NUMBER && kind != U_FRACTION && value > 0) {
		snprintf(out, size, "%.15g%s%s", value / pow(10, p->exp10),
			 p->text, u->base);
		if (reads_back(out, kind, value))
			return out;
	}
	for (digits = 15; digits <= 17; digits++) {
		snprintf(out, size, "%.*g", digits, value);
		if (reads_back(out, kind, value))
			break;
	}
	return out;
}

/* Three digits, and no exponent: 999.6 has to become "1 k", not "1e+03". */
#define HUMAN_DIGITS 3
#define HUMAN_ROUNDS_UP 999.5

char *unit_human(double value, enum unit_kind kind, char *out, size_t size)
{
	const struct unit *u = &units[kind];
	const struct prefix *p;
	double scaled;

	if (kind == U_FRACTION) {
		snprintf(out, size, "%.*g%%", HUMAN_DIGITS, value * 100);
		return out;
	}
	if (kind == U_NUMBER || !(value > 0) || !isfinite(value)) {
		snprintf(out, size, "%.4g%s%s", value, *u->base ? " " : "",
			 u->base);
		return out;
	}
	p = pick_prefix(u, value);
	scaled = value / pow(10, p->exp10);
	if (scaled >= HUMAN_ROUNDS_UP) {
		p = pick_prefix(u, value * (1000 / HUMAN_ROUNDS_UP));
		scaled = value / pow(10, p->exp10);
	}
	snprintf(out, size, "%.*g %s%s", HUMAN_DIGITS, scaled, p->text,
		 u->base);
	return out;
}
