/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Traffic matrices as text: N lines of N whole numbers, blanks or one comma
 * between them; cell (i, j) is the bytes that rank i sends to rank j (the
 * form of nccl-tests' alltoallv matrix). Empty lines and lines that begin
 * with # are skipped.
 */
#ifndef CLI_MATRIX_H
#define CLI_MATRIX_H

#include "base/status.h"

#define MATRIX_FILE_MAX (256u << 20)	/* bytes */
#define MATRIX_CELL_MAX 1000000000000000.0	/* bytes of one message */

/*
 * Reads `ranks` rows of `columns` cells: `ranks` for pairs, or the number of
 * nodes for bytes from a rank to a node; free() *cells_p, row-major. ST_INPUT
 * names file, line and column.
 */
enum status matrix_load(const char *path, int ranks, int columns,
			double **cells_p);

#endif
