/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the rows of a rank's experts lie. One rule for the host and for the
 * kernels that place rows (define FILL_FN before, as in gpu/fill.h).
 *
 * Padded is the layout of one product over all experts; it costs products of
 * zeros. Packed is taken when that would be more than FFN_WASTE of the rows.
 */
#ifndef GPU_FFN_ROWS_H
#define GPU_FFN_ROWS_H

#include <stdint.h>

#ifndef FILL_FN
#define FILL_FN static inline
#endif

#define FFN_EXPERTS_MAX 1024	/* of one rank */
#define FFN_ALIGN 16		/* rows; stride is a multiple of it */
#define FFN_WASTE_PERCENT 60	/* of all rows, that may be padding */

struct ffn_rows {
	int experts;
	const int32_t *count;	/* on the host, [experts] */
	int64_t stride;		/* 0: packed */
};

/* The stride for experts of `total` rows together, `most` at most; 0: packed. */
FILL_FN int64_t ffn_stride(int experts, int64_t most, int64_t total)
{
	int64_t stride = (most + FFN_ALIGN - 1) / FFN_ALIGN * FFN_ALIGN;

	return stride * experts * 100 <= total * (100 + FFN_WASTE_PERCENT) ||
	       experts == 1 ? stride : 0;
}

/* A rank's rows with the stride of ffn_stride(). */
FILL_FN struct ffn_rows ffn_rows_of(const int32_t *count, int experts)
{
	struct ffn_rows r;
	int64_t most = 0, total = 0;
	int e;

	for (e = 0; e < experts; e++) {
		total += count[e];
		most = count[e] > most ? count[e] : most;
	}
	r.experts = experts;
	r.count = count;
	r.stride = ffn_stride(experts, most, total);
	return r;
}

/* First row of expert e; of e = experts: how many rows a buffer has. */
FILL_FN int64_t ffn_rows_first(const struct ffn_rows *r, int e)
{
	int64_t first = 0;
	int i;

	if (r->stride) {
		return e * r->stride;
	}
	for (i = 0; i < e; i++) {
		first += r->count[i];
	}
	return first;
}

#endif
