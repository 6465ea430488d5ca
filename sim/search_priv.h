/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside the planner: what its files share. search.c is the loop,
 * search_groups.c makes groups and their bounds, search_limit.c the network
 * under every limit of CTAs, search_final.c runs the finalists and the
 * baselines in the flow model.
 */
#ifndef SIM_SEARCH_PRIV_H
#define SIM_SEARCH_PRIV_H

#include "sim/cost_shared.h"
#include "sim/search_list.h"
#include "sim/step.h"
#include "sim/tech_apply.h"

struct group {
	int layout;		/* index into search.layout */
	double factor;
	enum a2a_alg alg;
	int ctas;
	unsigned tech;		/* technique_mask of its plans */
	double bound_s;		/* of its best pair of degrees */
	double weighted_s;	/* what they count at least: search_value() */
	double whole_s;		/* what its plan in one chunk does, at least */
	bool least;		/* there may be a better bound, see
				   search_queue.c */
	double drop, padding;
	struct memory_use memory;
	const char *why_not;	/* NULL: may be costed */
	bool tech_broken;	/* because of its techniques: the rest of it
				   is not known */
};

#define MEMOS_MAX 6

struct search_memo {
	struct group group;
	struct workload work;
	struct tech_effect effect;
	struct cost *cost;	/* NULL: free place */
	uint64_t used;		/* clock of the last use */
};

struct search {
	const struct scenario *s;
	const struct search_options *o;
	/* limits of CTAs: the list, then 0 if that lacks it (baselines) */
	int ctas[KNOB_MAX + 1], n_ctas, n_limits;
	struct net *net;	/* [n_limits], each under its limit */
	/* the scenario's n_layouts, then those that a rival came to */
	struct layout *layout;
	int n_layouts, n_all_layouts;
	struct step_share *share;	/* [n_layouts] */
	bool by_step;	/* layouts of several pp compete */
	int degree[KNOB_MAX], n_degrees;
	unsigned tech[TECH_SETS_MAX];
	int n_techs;
	struct group *group;	/* lowest bound first, once sorted */
	size_t n_groups, cap_groups;
	size_t *queue, n_queue;	/* heap of indices into group */
	struct candidate_list top, rejected;
	/* the workload that was made last, and what for */
	struct routing routing;
	struct workload work;
	int at_layout;		/* -1: no routing */
	double at_factor;	/* negative: no workload */
	struct cost_shared *shared;	/* of all groups */
	unsigned at_tech;
	struct tech_effect effect;	/* of the techniques, on the workload */
	struct tech_cache cache;
	bool layers_only;	/* no block may be the plan */
	struct search_memo memo[MEMOS_MAX];
	uint64_t memo_clock;
};

/* Lane times of the forward and the backward pass at every degree. */
struct degree_times {
	double forward_s[KNOB_MAX], backward_s[KNOB_MAX];
};

/*
 * Of each pass at every degree, in the best order (technique `order`): least
 * time that any order can have, time and order found; [0] forward.
 */
struct order_times {
	double bound_s[2][KNOB_MAX], best_bound_s;
	double time_s[2][KNOB_MAX];	/* INFINITY: cannot win */
	struct pass_order order[2][KNOB_MAX];
};

/*
 * Fills x->ctas, of which the first n_ctas are the list's, and x->net; what
 * is there after an error is to be released too.
 */
enum status search_limits_init(struct search *x);
void search_limits_release(struct search *x);
bool search_limit_listed(const struct search *x, int ctas);
const struct net *search_net(const struct search *x, int ctas);

/* The least of n; INFINITY of none. */
double search_least(const double *v, int n);

/* Fills x->degree and x->group. */
enum status search_bound_groups(struct search *x);
/* Sets the bound; the group's workload must be current. least: that of
 * coll_least(). */
enum status search_bound(struct search *x, struct group *g, bool least);

/* Is the exchange among those to try? `auto` is all of them: then direct only
 * where it can be done. */
bool search_tries(const struct search *x, int layout, unsigned tech,
		  enum a2a_alg alg);

/* search_queue.c: the groups that may be costed, lowest bound first. Do not
 * sort them before all that are wanted are out. */
void search_queue_init(struct search *x);
/* NULL: none is left with a bound below limit_s. */
enum status search_queue_next(struct search *x, double limit_s,
			      struct group **out_p);
void search_sort_groups(struct search *x);

/*
 * search_value.c: what times of a layer count when layouts compete. With one
 * pp, per token: a rank brings sequence * batch / tp of them, so times are
 * multiplied by tp. With several, the step of the whole model: else a bubble
 * would cost nothing. sums_s: what of a block's time its sums are
 * (sim/block.h), which are there once a step and wait for no other stage; 0 of
 * a layer.
 */
enum status search_value_init(struct search *x);
double search_value(const struct search *x, int layout, double layer_s,
		    double forward_s, double sums_s);
/* A layer's time, not a block's, at most, of what counts less than
 * `value_s`. */
double search_value_limit(const struct search *x, int layout, double value_s);

/* Bytes per GPU that a plan may need: the smaller of what the scenario allows
 * and what the GPU has; 0: no limit is known. */
double search_memory_room(const struct scenario *s);

/* Which limit the current techniques break, or why they cannot be used; NULL:
 * none. Static text. */
const char *search_tech_broken(const struct search *x);

/* Makes routing and workload current, techniques and all. */
enum status search_at(struct search *x, int layout, double factor,
		      unsigned tech);
void search_drop_routing(struct search *x);

/* All but workload and effect are the group's. */
struct cost_spec search_cost_spec(const struct search *x,
				  const struct group *g);

/* The group's exact cost with flows, the search's own; its routing must be
 * current. Valid until MEMOS_MAX other groups have been asked for. */
enum status search_memo_cost(struct search *x, const struct group *g,
			     struct cost **out_p);
void search_memo_release(struct search *x);

/* The group's workload must be current. */
enum status search_group_cost(struct search *x, const struct group *g,
			      struct cost **out_p);
enum status search_time_degrees(struct search *x, const struct group *g,
				const struct cost *c, struct degree_times *t);
struct candidate search_candidate(const struct search *x,
				  const struct group *g, int f, int b);

/* search_order.c. Is the technique to be tried? */
bool search_orders(const struct search *x);
/* The group's workload must be current; bounds only. */
enum status search_order_bounds(struct search *x, const struct group *g,
				const struct cost *c, struct order_times *t);
/* All of it, of passes that may be part of a plan faster than limit_s. */
enum status search_order_times(struct search *x, const struct group *g,
			       const struct cost *c, double limit_s,
			       struct order_times *t);
/* Gives the plan orders, overlap, and the technique's bit; takes them away. */
void search_set_order(struct candidate *k, const struct pass_order *forward,
		      const struct pass_order *backward);
void search_clear_order(struct plan *p);
/* The plan in its best order, if that is faster than without the technique. */
enum status search_order_plan(struct search *x, struct candidate *k);

/*
 * Of each pass in every number of chunks under the technique
 * `attention-pipeline`, less what runs apart; [0] forward.
 */
struct attention_times {
	double time_s[2][KNOB_MAX];	/* INFINITY: cannot be, cannot win */
	double bound_s[KNOB_MAX];	/* of the backward pass */
	double sums_s[KNOB_MAX], bound_sums_s[KNOB_MAX];	/* of these */
	double best_bound_s, best_value_s;
	int pieces[KNOB_MAX];
	struct pass_order order[KNOB_MAX];
};

/* search_block.c. Is the technique to be tried; in this group? */
bool search_attends(const struct search *x);
bool search_attends_group(const struct search *x, const struct group *g);
/* Why the group can have no attention in its pipeline; NULL: it can. */
const char *search_attention_cannot(const struct search *x,
				    const struct group *g);
/* The group's workload must be current: forward passes and bounds. */
enum status search_attention_bounds(const struct search *x,
				    const struct group *g,
				    const struct cost *c,
				    struct attention_times *t);
/* All of it, of passes that may be part of a plan that counts less than the
 * limit: a value. */
enum status search_attention_times(const struct search *x,
				   const struct group *g,
				   const struct cost *c, double limit,
				   struct attention_times *t);
/* Degrees f and b of the list: plan, lane time and what that counts. */
void search_set_attention(const struct search *x, const struct group *g,
			  const struct attention_times *t, int f, int b,
			  struct candidate *k);
/* The plan of a group that can have it, with its best degrees for it. */
enum status search_attention_plan(struct search *x, struct candidate *k);

/* search_final.c */

struct group search_plan_group(const struct search *x, const struct plan *p);
/* Runs k->plan in the flow model and fills in both of its times. */
enum status search_flow_time(struct search *x, struct candidate *k);
/*
 * A plan that the user's space allows becomes the best if it counts less. Else
 * returns why it is not allowed: static text.
 */
const char *search_competes(struct search *x, const struct candidate *k,
			    struct search_result *out);
/* k->memory of k->plan; its workload must be current. */
void search_memory(struct search *x, struct candidate *k);

/* search_block.c: the rival's plan of a layer becomes one of a block; its time
 * is not set. */
enum status search_block(struct search *x, const struct rival_row *r,
			 struct candidate *best);

/* search_rivals.c: published systems, with the layout and the capacity of
 * `like`; and what each technique gains. */
enum status search_rivals(struct search *x, const struct candidate *like,
			  struct search_result *out);
enum status search_gains(struct search *x, struct search_result *r);

/* Chooses among x->top and the baselines; fills best, baselines, program. */
enum status search_choose(struct search *x, struct search_result *out);

#endif
