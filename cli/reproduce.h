/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `moecast reproduce` draws beside a paper's table. */
#ifndef CLI_REPRODUCE_H
#define CLI_REPRODUCE_H

#include "base/status.h"

/* DIR/hetumoe-crossover.txt, .svg, .png: times over size and nodes. */
enum status reproduce_crossover(const char *dir);

#endif
