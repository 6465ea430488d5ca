/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A limit of the CTAs that all-to-all exchanges may hold.
 *
 * A limit is a property of the communicator of the EP group. Dispatch and
 * combine take the constants that were measured under it (gpu.limit) and hold
 * that many SMs; the collectives of ESP groups and of gradients have
 * communicators of their own, without a limit, and keep theirs. Only limits
 * that were measured can be forecast.
 */
#ifndef SIM_LIMIT_H
#define SIM_LIMIT_H

#include "sim/net.h"

/*
 * Puts the limit in force; 0 leaves all as it is. ST_INPUT names the limits
 * that there are. There must be none in force.
 */
enum status limit_gpu(struct gpu *g, int ctas);

/* net_init() at effective rates, under the limit. */
enum status limit_net(const struct cluster *c, int ctas, struct net *out);

#endif
