/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pieces of an nccl-tests log: what one line says. import_nccl.c puts them
 * together; nobody else includes this.
 */
#ifndef PROFILES_NCCL_LOG_H
#define PROFILES_NCCL_LOG_H

#include "scenarios/sample.h"

#include <stdbool.h>

#define LOG_WORD 64
#define LOG_HOSTS_MAX 1024
#define LOG_RANKS_MAX 65536

/* Columns of a table, from its header. */
struct log_columns {
	int left;	/* before the first "time"; 0: no table is open */
	int type;	/* column of the element type, or -1 */
	int width;	/* of one group: time, algbw, busbw [, #wrong] */
	int groups;	/* 1: out-of-place; 2: in-place too */
	bool wrong_counts;	/* the 4th is "#wrong", not an error size */
	double unit_s;	/* of the times */
};

/* "#   Rank  0 Group  0 Pid 1 on HOST device  0 [0000:1b:00] NAME" */
struct log_rank {
	int rank, group;
	char host[LOG_WORD], gpu[LOG_WORD];
};

/* What a launcher puts before a line: "[1,0]<stdout>: ", "0: ". */
char *log_strip(char *line);

bool log_is_header(char **words, int n);
/* False when it has no shape that we know. */
bool log_header(char **words, int n, struct log_columns *out);
/* "(us)" of the line below a header; false: no such line. */
bool log_unit(char **words, int n, double *unit_s_p);

bool log_rank(const char *line, struct log_rank *out);

/*
 * The word before "_perf" in a line that starts a program or names one;
 * false: none.
 */
bool log_op(const char *line, char op[LOG_WORD]);
/* The only exchange that a file's name names, or NULL. */
const char *log_op_of_name(const char *name);

/* "nccl-library=22902", "NCCL version 2.18.5+cuda12.2": versions. */
bool log_nccl(const char *line, char *nccl, char *cuda, int size);

/* "NCCL_X set by environment to Y." as "NCCL_X=Y"; false: not that. */
bool log_environment(const char *line, char *out, int size);

/* Number after `label` in the line; -1: not there. */
long log_number(const char *line, const char *label);

#endif
