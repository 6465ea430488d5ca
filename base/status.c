/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

#define MSG_MAX 2048

static _Thread_local char message[MSG_MAX];

/* The length of the UTF-8 character at `p`; 0 when that is not one. */
static size_t utf8_length(const unsigned char *p)
{
	static const unsigned char lead_min[] = { 0xc2, 0xe0, 0xf0 };
	static const unsigned char lead_max[] = { 0xdf, 0xef, 0xf4 };
	size_t i, more;

	for (more = 1; more <= 3; more++) {
		if (*p >= lead_min[more - 1] && *p <= lead_max[more - 1])
			break;
	}
	/* C2 80 .. C2 9F are control characters too */
	if (more > 3 || (*p == 0xc2 && p[1] < 0xa0))
		return 0;
	for (i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return more + 1;
}

/* Input that a message quotes must not add lines or steer a terminal. */
static void make_printable(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		size_t n = *p >= 0x80 ? utf8_length(p) :
			*p >= ' ' && *p != 0x7f;

		if (!n)
			*p = '?';
		p += n ? n : 1;
	}
}

enum status err_set(enum status st, const char *fmt, ...)
{
	char text[MSG_MAX];	/* the arguments may point into `message` */
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(message, sizeof(message), "%s", text);
	make_printable(message);
	return st;
}

enum status err_prefix(enum status st, const char *fmt, ...)
{
	char head[MSG_MAX / 2], old[MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(head, sizeof(head), fmt, ap);
	va_end(ap);
	snprintf(old, sizeof(old), "%s", message);
	snprintf(message, sizeof(message), "%.1000s: %.1000s", head, old);
	make_printable(message);
	return st;
}

const char *err_msg(void)
{
	return message;
}

void err_clear(void)
{
	message[0] = '\0';
}
