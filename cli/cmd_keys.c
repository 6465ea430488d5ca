/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

enum status cmd_keys(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return err_set(ST_UNAVAILABLE, "not built yet");
}
