/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/text.h"

#include "base/buf.h"

#include <stdint.h>
#include <string.h>

/*
 * Length of the well-formed sequence at s (RFC 3629, table of section 4) and
 * its code point; 0 when ill-formed.
 */
static int utf8_decode(const unsigned char *s, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	int n, i;

	if (c < 0x80) {
		*cp = c;
		return 1;
	}
	n = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
	if (!n || c >= 0xf8)
		return 0;
	c &= 0x7fu >> n;
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*cp = c;
	return n;
}

/*
 * Controls; separators and marks that reorder or break a line; and what XML
 * does not allow.
 */
static int is_unshowable(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 ||
	       c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || (c & 0xfffe) == 0xfffe;
}

char *text_clean(const char *text)
{
	const unsigned char *s = (const unsigned char *)(text ? text : "");
	struct buf out = { 0 };
	uint32_t cp;
	int n;

	for (; *s; s += n) {
		n = utf8_decode(s, &cp);
		if (!n) {
			buf_puts(&out, "?");
			n = 1;
		} else if (is_unshowable(cp)) {
			buf_puts(&out, " ");
		} else {
			buf_add(&out, (const char *)s, (size_t)n);
		}
	}
	return buf_take(&out);
}

size_t text_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

size_t text_bytes(const char *text, size_t chars)
{
	const char *s = text;

	for (; *s; s++) {
		if (((unsigned char)*s & 0xc0) == 0x80)
			continue;
		if (!chars--)
			break;
	}
	return (size_t)(s - text);
}
