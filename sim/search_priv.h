/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside the planner: what its three files share. search.c is the loop,
 * search_groups.c makes groups and their bounds, search_final.c runs the
 * finalists and the baselines in the flow model.
 */
#ifndef SIM_SEARCH_PRIV_H
#define SIM_SEARCH_PRIV_H

#include "sim/cost_shared.h"
#include "sim/search_list.h"

struct group {
	int layout;		/* index into search.layout */
	double factor;
	enum a2a_alg alg;
	double bound_s;		/* of its best pair of degrees */
	double weighted_s;	/* the bound times search_weight() */
	double drop, padding;
	struct memory_use memory;
	const char *why_not;	/* NULL: may be costed */
};

struct search {
	const struct scenario *s;
	const struct search_options *o;
	struct net net;
	struct layout *layout;
	int n_layouts;
	int degree[KNOB_MAX], n_degrees;
	struct group *group;	/* lowest bound first */
	size_t n_groups, cap_groups;
	struct candidate_list top, rejected;
	/* the workload that was made last, and what for */
	struct routing routing;
	struct workload work;
	int at_layout;		/* -1: no routing */
	double at_factor;	/* negative: no workload */
	struct cost_shared *shared;	/* of all groups */
	/* of the last run in the flow model, and what for */
	struct cost *flow_cost;	/* NULL: none, or its workload is gone */
	struct group flow_group;
};

/* Lane times of the forward and the backward pass at every degree. */
struct degree_times {
	double forward_s[KNOB_MAX], backward_s[KNOB_MAX];
};

/* Fills x->degree and x->group, in the order of their bounds. */
enum status search_bound_groups(struct search *x);

/* Bytes per GPU that a plan may need: the smaller of what the scenario allows
 * and what the GPU has; 0: no limit is known. */
double search_memory_room(const struct scenario *s);

/* Makes routing and workload current. */
enum status search_at(struct search *x, int layout, double factor);
void search_drop_routing(struct search *x);

/* The group's workload must be current. */
enum status search_group_cost(struct search *x, const struct group *g,
			      bool bound_only, bool keep_flows,
			      struct cost **out_p);
enum status search_time_degrees(struct search *x, const struct group *g,
				const struct cost *c, struct degree_times *t);
struct candidate search_candidate(const struct search *x,
				  const struct group *g, int f, int b);

/* Chooses among x->top and the baselines; fills best, baselines, program. */
enum status search_choose(struct search *x, struct search_result *out);

#endif
