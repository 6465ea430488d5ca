/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules between keys: which are used only with some kind, and defaults that
 * depend on other keys. Shared by the loader, the checker and the printer.
 */
#ifndef SCENARIOS_SCENARIO_RULES_H
#define SCENARIOS_SCENARIO_RULES_H

#include "base/status.h"
#include "scenarios/scenario.h"

#include <stdbool.h>

struct key_rule {
	const char *key;	/* full name; NULL ends the table */
	const char *decider;	/* key whose value decides */
	const char *when;	/* "cluster.fabric.kind leaf-spine" */
	bool (*used)(const struct scenario *s);
	bool required;		/* when used: it has no default */
	double neutral;		/* a value that changes nothing; < 0: none */
};

extern const struct key_rule key_rules[];

/* Has the rule's key its neutral value? */
bool key_rule_neutral(const struct key_rule *r, const struct scenario *s);

/* Is the key used, given the kinds that the scenario has chosen? */
bool key_used(const struct scenario *s, const char *key);

/*
 * Fills what is still 0 from the other fields, as the key table's help
 * says. Runs before scenario_check().
 */
enum status scenario_fill(struct scenario *s);

#endif
