/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Speeds of a few activities that share resources.
 *
 * Activity i at full speed (1) uses use_i[r] of resource r (0..1). Speeds
 * are max-min fair: all rise together until a resource is full or an
 * activity reaches its bound; those go no further, the others rise on.
 */
#ifndef SIM_EXEC_SHARE_H
#define SIM_EXEC_SHARE_H

#define SHARE_MAX 3	/* activities: one per lane */

struct share_activity {
	double bound;		/* <= 1 */
	const double *use;	/* [n_resources], scaled by: */
	double scale;
	double memory;		/* use of one more resource */
	double speed;		/* out */
};

void share_solve(struct share_activity *a, int n, int n_resources);

#endif
