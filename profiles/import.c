/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/import.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OP_MAX 64

const struct import_row import_table[] = {
	{ "nccl-tests", "log of nccl-tests' *_perf programs", true,
	  import_nccl },
	{ "csv", "table with the columns op, ranks, bytes, seconds", true,
	  import_csv },
	{ "nccl-topo", "NCCL topology file (XML): gives a cluster", false,
	  import_topo_xml },
	{ "nvidia-smi", "output of nvidia-smi topo -m: gives a cluster", false,
	  import_smi },
	{ "model", "Hugging Face config.json: checked, nothing to store",
	  false, import_model },
	{ 0 },
};

const struct import_row *import_find(const char *kind)
{
	const struct import_row *row;

	for (row = import_table; row->kind; row++) {
		if (!strcmp(row->kind, kind))
			return row;
	}
	return NULL;
}

/* Letters in lower case, without '_', '-' and blanks. */
static void squeeze(const char *text, char *out)
{
	size_t n = 0;

	for (; *text && n < OP_MAX - 1; text++) {
		if (!strchr("_- ", *text))
			out[n++] = (char)tolower((unsigned char)*text);
	}
	out[n] = '\0';
}

const char *import_op(const char *text)
{
	static const struct {
		const char *squeezed, *op;
	} names[] = {
		{ "alltoall", "alltoall" },
		{ "allgather", "allgather" },
		{ "reducescatter", "reducescatter" },
		{ "allreduce", "allreduce" },
		{ "sendrecv", "sendrecv" },
	};
	char word[OP_MAX], *perf;
	size_t i;

	squeeze(text, word);
	perf = strstr(word, "perf");
	if (perf && !perf[4])
		*perf = '\0';
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(names[i].squeezed, word))
			return names[i].op;
	}
	return NULL;
}

struct run_info import_info(const char *kind, const char *name)
{
	struct run_info info = { .backend = "import" };
	const char *slash = strrchr(name, '/');
	char *s;

	snprintf(info.source, sizeof(info.source), "%s, file %.80s", kind,
		 slash ? slash + 1 : name);
	for (s = info.source; *s; s++) {
		if (*s < ' ' || *s > '~')
			*s = '?';
	}
	return info;
}

static void start_run(struct import *im, const struct run_info *info)
{
	struct import_run *last = im->run + im->n_runs;

	if (im->n_runs && !memcmp(&last[-1].info, info, sizeof(*info)))
		return;
	im->run = array_grow(im->run, &im->cap_runs, im->n_runs + 1,
			     sizeof(*im->run));
	im->run[im->n_runs++] = (struct import_run){ *info, im->n_samples };
}

bool import_sample(struct import *im, int line, const struct run_info *info,
		   const struct sample *s)
{
	if (sample_check(s) || run_info_check(info)) {
		notes_add(&im->skip, line, "%s", err_msg());
		err_clear();
		return false;
	}
	if (im->n_samples == IMPORT_SAMPLES_MAX) {
		notes_add(&im->skip, line, "more than %d samples in one file",
			  IMPORT_SAMPLES_MAX);
		return false;
	}
	start_run(im, info);
	im->sample = array_grow(im->sample, &im->cap_samples,
				im->n_samples + 1, sizeof(*im->sample));
	im->sample[im->n_samples++] = *s;
	return true;
}

void import_release(struct import *im)
{
	free(im->run);
	free(im->sample);
	notes_release(&im->skip);
	*im = (struct import){ 0 };
}
