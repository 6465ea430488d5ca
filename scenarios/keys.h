/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The key table: one row for every scenario key. The YAML reader, --set, the
 * printer, defaults, ranges, `moecast keys` and the man page's table all
 * come from it. Adding a key is adding a row (and the field in scenario.h).
 *
 * GPU files (scenarios/data/gpus) have the table gpu_keys, with the same row
 * type, relative to struct gpu; a mapping under `cluster.gpu:` takes the same
 * keys ("cluster.gpu.memory"). Cluster files and the `cluster:` section use
 * the rows under "cluster."; model files and `model:` those under "model.".
 *
 * Names are a path of mappings: "cluster.nic.bandwidth" is `bandwidth` in
 * `nic` in `cluster`. No row's name is the section of another row, except
 * that of a KEY_SOURCE (cluster.gpu).
 */
#ifndef SCENARIOS_KEYS_H
#define SCENARIOS_KEYS_H

#include "base/mem.h"
#include "base/status.h"
#include "base/units.h"

#include <stdbool.h>
#include <stddef.h>

struct scenario;
struct buf;
struct doc_node;

enum key_type {
	KEY_INT,	/* int */
	KEY_UINT64,	/* uint64_t */
	KEY_REAL,	/* double, with a unit */
	KEY_BOOL,	/* bool */
	KEY_ENUM,	/* int-sized enum; names[] */
	KEY_TEXT,	/* char[NAME_MAX_LEN] or char *; see `size` */
	KEY_KNOB_INT,	/* struct knob_int: number, list or auto */
	KEY_KNOB_REAL,	/* struct knob_real */
	KEY_MASK,	/* unsigned: name, list of names, or auto/all */
	KEY_SOURCE,	/* no field: a shipped name or a file that gives the
			   other keys of its section; never printed */
};

struct key_row {
	const char *name;	/* "cluster.nic.bandwidth" */
	enum key_type type;
	enum unit_kind unit;
	size_t offset;		/* in struct scenario (or struct gpu) */
	size_t size;		/* KEY_TEXT: of the array; 0: char * */
	double min, max;	/* inclusive, SI */
	const char *def;	/* default as text; NULL: must be given;
				   "": comes from a data file or is derived,
				   as the help says */
	const char *(*names)(int i);	/* KEY_ENUM, KEY_MASK: name of value
				   (or bit) i; NULL after the last */
	const char *help;	/* one line, no full stop */
};

extern const struct key_row scenario_keys[];
extern const size_t n_scenario_keys;
extern const struct key_row gpu_keys[];
extern const size_t n_gpu_keys;

/* Bounds that several rows and checks share. */
#define RANKS_MAX 1048576	/* nodes * gpus_per_node */
#define ELEMENTS_MAX 16777216	/* sizes in elements, tokens of a sequence */

/* Row by full name, or NULL. */
const struct key_row *key_find(const char *name);

/* The name of an enum's value as scenarios spell it; "?" when unknown. */
const char *key_enum_name(const char *key, int value);
const struct key_row *gpu_key_find(const char *name);

/* "a whole number in 1..1024", "one of a, b, c", ...: what is allowed. */
void key_allowed(const struct key_row *k, struct buf *out);

/*
 * Reads `v` into the row's field of `base` (struct scenario, struct gpu);
 * texts go to the arena. `name` is what the message calls the key, which is
 * "WHERE: key 'NAME': 'TEXT' is not ALLOWED". Not for KEY_SOURCE.
 */
enum status key_set(const struct key_row *k, void *base, struct arena *a,
		    const char *name, const struct doc_node *v);

/* The field as YAML that key_set() reads back: "[1, 2]", "450GB/s". */
void key_print(const struct key_row *k, const void *base, struct buf *out);

/* A text as a YAML scalar, in quotes where they are needed. */
void key_quote(const char *text, struct buf *out);

/* Bytes of the field in its struct. */
size_t key_field_size(const struct key_row *k);

/* "int", "real", ...: the column of `moecast keys`. */
const char *key_type_name(enum key_type t);

#endif
