/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

#define MSG_MAX 2048

static _Thread_local char message[MSG_MAX];

enum status err_set(enum status st, const char *fmt, ...)
{
	char text[MSG_MAX];	/* the arguments may point into `message` */
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(message, sizeof(message), "%s", text);
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
