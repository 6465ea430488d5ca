/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The scenario's `profile:`, a part of struct scenario (scenario.h). */
#ifndef SCENARIOS_PROFILE_SPEC_H
#define SCENARIOS_PROFILE_SPEC_H

/* Costs measured on a machine; cli/ opens the database (scenarios/ cannot). */
struct profile_spec {
	char *db;	/* path; NULL: none */
	enum profile_mode { PROFILE_AUTO, PROFILE_OFF } use;
	/* the tier that stands for what is between nodes */
	enum profile_inter { PROFILE_NETWORK, PROFILE_SOCKET,
			     PROFILE_SHM } inter;
};

#endif
