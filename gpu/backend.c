/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "gpu/backend.h"

#include "base/nearest.h"

#include <string.h>

enum status backend_find(const char *name, const struct backend_ops **out_p)
{
	static const char *const names[] = { "cuda", "host" };
	char hint[64];

	if (!strcmp(name, "host")) {
		*out_p = &backend_host;
		return ST_OK;
	}
	if (strcmp(name, "cuda"))
		return err_set(ST_INPUT, "job: field 'backend': there is no "
			       "backend '%s'%s", name,
			       nearest_hint(name, names, 2, hint,
					    sizeof(hint)));
#ifdef HAVE_CUDA
	*out_p = &backend_cuda;
	return ST_OK;
#else
	return err_set(ST_UNAVAILABLE, "backend 'cuda': this moecast-run was "
		       "built without CUDA and NCCL");
#endif
}
