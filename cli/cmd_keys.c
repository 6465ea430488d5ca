/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast keys: the key table as text, JSON or the man page's section. */
#include "cli/cli.h"

#include "base/buf.h"
#include "scenarios/keys.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 79
#define NAME_WIDTH 38
#define INDENT 4

enum { KEY_MAN = 0x2000 };

struct opts {
	struct cli_common common;
	bool man;
};

static const struct argp_option options[] = {
	{ "man", KEY_MAN, NULL, 0,
	  "print the table of moecast-scenario(5)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case KEY_MAN:
		o->man = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

typedef void key_fn(const char *name, const struct key_row *k, void *arg);

/* The scenario's keys in order, the GPU's after cluster.gpu. */
static int each_key(const char *prefix, key_fn *fn, void *arg)
{
	char name[NAME_MAX_LEN];
	size_t i, j;
	int n = 0;

	for (i = 0; i < n_scenario_keys; i++) {
		const struct key_row *k = &scenario_keys[i];
		bool gpu = !strcmp(k->name, "cluster.gpu");

		if (!strncmp(k->name, prefix, strlen(prefix))) {
			fn(k->name, k, arg);
			n++;
		}
		for (j = 0; gpu && j < n_gpu_keys; j++) {
			snprintf(name, sizeof(name), "cluster.gpu.%s",
				 gpu_keys[j].name);
			if (!strncmp(name, prefix, strlen(prefix))) {
				fn(name, &gpu_keys[j], arg);
				n++;
			}
		}
	}
	return n;
}

/* Words of `text` in lines of at most WIDTH columns, indented. */
static void print_wrapped(const char *text)
{
	size_t column = 0, n;

	while (*text) {
		n = strcspn(text, " ");
		if (column && column + 1 + n > WIDTH) {
			putchar('\n');
			column = 0;
		}
		column += (size_t)printf("%*s%.*s", column ? 1 : INDENT, "",
					 (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void add_default(const struct key_row *k, struct buf *out)
{
	if (!k->def)
		buf_puts(out, "must be given");
	else if (*k->def)
		buf_addf(out, "default %s", k->def);
}

static void print_text(const char *name, const struct key_row *k, void *arg)
{
	struct buf b = { 0 };

	(void)arg;
	add_default(k, &b);
	if (b.len)
		printf("%-*s %-6s %s\n", NAME_WIDTH, name,
		       key_type_name(k->type), buf_str(&b));
	else
		printf("%-*s %s\n", NAME_WIDTH, name,
		       key_type_name(k->type));
	print_wrapped(k->help);
	buf_clear(&b);
	key_allowed(k, &b);
	print_wrapped(buf_str(&b));
	buf_release(&b);
}

static json_t *number(const struct key_row *k, double v)
{
	switch (k->type) {
	case KEY_INT:
	case KEY_KNOB_INT:
		return json_integer((json_int_t)v);
	case KEY_REAL:
	case KEY_UINT64:	/* beyond JSON's integers */
	case KEY_KNOB_REAL:
		return json_real(v);
	default:
		return json_null();
	}
}

static void add_json(const char *name, const struct key_row *k, void *arg)
{
	struct buf allowed = { 0 };
	json_t *row = json_object();

	key_allowed(k, &allowed);
	json_object_set_new(row, "name", json_string(name));
	json_object_set_new(row, "type", json_string(key_type_name(k->type)));
	json_object_set_new(row, "unit", json_string(unit_name(k->unit)));
	json_object_set_new(row, "min", number(k, k->min));
	json_object_set_new(row, "max", number(k, k->max));
	json_object_set_new(row, "default",
			    k->def ? json_string(k->def) : json_null());
	json_object_set_new(row, "allowed", json_string(buf_str(&allowed)));
	json_object_set_new(row, "help", json_string(k->help));
	json_array_append_new(arg, row);
	buf_release(&allowed);
}

/* Text as troff takes it, within a line. */
static void print_troff(const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

/* A subsection for each top mapping; *last_p is a key of the last one. */
static void print_section(const char *name, const char **last_p)
{
	size_t n = strcspn(name, ".");

	if (!strncmp(*last_p, name, n + 1))
		return;
	printf(".SS %.*s\n", (int)n, name);
	*last_p = key_find(name) ? key_find(name)->name : "";
}

static void print_man(const char *name, const struct key_row *k, void *arg)
{
	struct buf b = { 0 };

	print_section(name, arg);
	fputs(".TP\n.B ", stdout);
	print_troff(name);
	fputs("\nIs ", stdout);
	key_allowed(k, &b);
	if (!k->def || *k->def) {
		buf_puts(&b, "; ");
		add_default(k, &b);
	}
	buf_puts(&b, ".");
	print_troff(buf_str(&b));
	fputs("\n.br\n", stdout);
	putchar(toupper((unsigned char)*k->help));
	print_troff(k->help + 1);
	puts(".");
	buf_release(&b);
}

static enum status print_keys(const struct opts *o, const char *prefix)
{
	json_t *list = NULL;
	const char *last = "";
	int n;

	if (o->common.json)
		n = each_key(prefix, add_json, list = json_array());
	else
		n = each_key(prefix, o->man ? print_man : print_text, &last);
	if (!n) {
		json_decref(list);
		return err_set(ST_INPUT, "no key starts with '%s'", prefix);
	}
	if (o->common.json)
		return cli_print_json(json_pack("{s:o}", "keys", list));
	return ST_OK;
}

enum status cmd_keys(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ .argp = &cli_common_argp }, { 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[PREFIX]",
		.doc = "Lists every scenario key, or those that start with "
		       "PREFIX: type, default, help, what is allowed.",
		.children = children,
	};
	struct opts o = { 0 };
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = print_keys(&o, o.common.input ? o.common.input : "");
	cli_common_release(&o.common);
	return st;
}
