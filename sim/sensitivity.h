/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which resource pays next.
 *
 * A resource is what money buys more of: a rate that may grow or a latency
 * that may shrink. Its elasticity is how many per cent the best plan's step
 * time falls for 1 % more of it (rates) or 1 % less (latencies):
 *
 *	e = ln(T(1) / T(f)) / ln f,  f = SENSITIVITY_STEP
 *
 * where T(f) is the time of the best plan, searched again, with the resource
 * f times better and everything else as it is. A step that is bound by one
 * rate alone has e = 1 for it and 0 for the others; over all resources that
 * time is proportional to, elasticities add to 1.
 *
 * The path answers "the next dollar": from the scenario on, improve the
 * resource with the largest elasticity until another one's is 10 % larger,
 * then that one, and so on. Where they cross is found by bisection; since plans
 * change on the way elasticities jump, and the crossing is one where they
 * change places.
 */
#ifndef SIM_SENSITIVITY_H
#define SIM_SENSITIVITY_H

#include "base/progress.h"
#include "scenarios/scenario.h"

#define SENSITIVITY_STEP 1.01
#define SENSITIVITY_FACTOR_MAX 16.0	/* improvements looked at */
#define SENSITIVITY_PRECISION 1.005	/* of a crossing */
#define SENSITIVITY_PATH_MAX 8
#define SENSITIVITY_LEAST 1e-3	/* elasticities below pay nothing */

enum resource {
	RESOURCE_NVLINK,	/* intra.bandwidth */
	RESOURCE_NIC,		/* nic.bandwidth */
	RESOURCE_UPLINK,	/* leaf uplinks: 1 / oversubscription */
	RESOURCE_HBM,
	RESOURCE_FLOPS,
	RESOURCE_INTRA_LATENCY,
	RESOURCE_NIC_LATENCY,
	RESOURCE_LAUNCH,	/* kernels and collectives: fixed costs */
	RESOURCE_N,
};

const char *resource_name(enum resource r);	/* "nvlink", ... */
const char *resource_unit(enum resource r);	/* "bytes/s", "s", ... */
bool resource_is_latency(enum resource r);

/* Has the scenario that resource (a fabric with uplinks, a latency > 0)? */
bool resource_there(const struct scenario *s, enum resource r);

/* Its value: of the launch, the GPU's kernel launch; of uplinks, their share
 * of full bisection. */
double resource_value(const struct scenario *s, enum resource r);

struct sensitivity_row {
	enum resource resource;
	double value;		/* now */
	double elasticity;
};

struct sensitivity_step {
	enum resource resource;
	double from, until;	/* values; until: INFINITY when it leads up to
				   SENSITIVITY_FACTOR_MAX times better */
	double time_s;		/* at `until` (or at the last looked at) */
};

struct sensitivity {
	double time_s;		/* best plan of the scenario as it is */
	struct sensitivity_row row[RESOURCE_N];	/* largest first */
	int n_rows;
	struct sensitivity_step path[SENSITIVITY_PATH_MAX];
	int n_path;
};

/* steps: of the path, 0 .. SENSITIVITY_PATH_MAX. */
enum status sensitivity_run(const struct scenario *s, int steps,
			    const struct progress *progress,
			    struct sensitivity *out);

#endif
