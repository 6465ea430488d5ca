/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A model's config.json is a file that scenarios name: it is checked here,
 * there is nothing of it to store.
 */
#include "profiles/import.h"

#include "scenarios/hf_config.h"

enum status import_model(const char *name, const char *text, size_t len,
			 struct import *out)
{
	enum status st = hf_config_parse(name, text, len, &out->model);

	out->has_model = !st;
	out->rows = !st;
	return st;
}
