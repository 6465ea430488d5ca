/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Functions that this program does not call: they overflow, hide errors or
 * keep hidden state. The build includes this file before every source file;
 * any use is then a compile error. Instead: snprintf or base/buf.h, strtod
 * and strtol with an end pointer, strsep or a hand-written scan.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/* Their own declarations have to come first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy stpcpy strcat strncat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll atof
#pragma GCC poison localtime gmtime ctime asctime

#endif
