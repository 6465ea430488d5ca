/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the techniques are told (keys technique.*): what is not known of a
 * model's tokens before it runs, and each technique's own settings. A rate of
 * 0 is measured, by running the technique on synthetic tokens.
 */
#ifndef SCENARIOS_TECH_SPEC_H
#define SCENARIOS_TECH_SPEC_H

#include <stdbool.h>

struct tech_spec {
	/* synthetic tokens: sim/tokens.h */
	double similarity, clustered;
	int cluster_size;
	struct {
		int hashes, buckets;
		double rate, error;
	} lsh;
	struct {
		double threshold, rate, error;
	} condensation;
	struct {
		int candidates, hot;
		double focus;
		bool post_norm;	/* the residual is where the result is */
	} migration;
	struct {
		int experts;	/* that a rank's tokens need; 0: all */
		bool keep;	/* fetched experts stay for the backward pass */
		double slowdown;	/* of a rank's experts by each more */
	} fetch;
	double locality;	/* share of leaving copies that stay; 0: from
				   LocMoE's loss */
	double topology;	/* copies that may leave the node, of all; 0:
				   NIC rate by NVLink rate */
	bool one_hot;		/* rows are moved by products with a mask */
	int words;		/* of the vocabulary that gate-hash hashes, as
				   frequent as in a text; 0: all ids differ */
	int shadows;		/* most experts that are copied */
};

#endif
