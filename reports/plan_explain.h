/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of the plan report that are about the search. */
#ifndef REPORTS_PLAN_EXPLAIN_H
#define REPORTS_PLAN_EXPLAIN_H

#include "reports/plan_text.h"

/* Feasible candidates; `explain`: lane times too, and the infeasible ones. */
void plan_explain_candidates(const struct plan_report *r, bool explain,
			     struct buf *out);

/* What each technique gains; nothing when only one was searched. */
void plan_explain_gains(const struct plan_report *r, struct buf *out);

/* How many were evaluated, pruned by which bound, infeasible and why. */
void plan_explain_search(const struct plan_report *r, struct buf *out);

#endif
