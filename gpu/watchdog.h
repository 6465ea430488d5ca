/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thread that ends the program when nothing has moved for too long: a hung
 * collective cannot be interrupted, only left.
 */
#ifndef GPU_WATCHDOG_H
#define GPU_WATCHDOG_H

#include "base/status.h"

/* Calls `late` (once, from its own thread) when there was no kick for
 * `deadline_s` seconds; `late` is expected not to return. */
enum status watchdog_start(double deadline_s, void (*late)(void));
void watchdog_kick(void);
void watchdog_stop(void);

#endif
