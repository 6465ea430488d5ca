/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pipeline parallelism: m micro-batches through p stages, GPipe (Huang et
 * al. 2019: all forward passes, then all backward ones) and 1F1B (Narayanan
 * et al. 2019, PipeDream-flush: each stage alternates as soon as it can and
 * holds at most p - s micro-batches). Every stage takes forward_s and
 * backward_s, a hand-over to the next stage hop_s.
 */
#ifndef SIM_STAGES_H
#define SIM_STAGES_H

enum stages_kind { STAGES_GPIPE, STAGES_1F1B };

struct stages {
	enum stages_kind kind;
	int stages, batches;
	double forward_s, backward_s, hop_s;
};

/* Closed form; doc/model.md says where it comes from. */
double stages_time(const struct stages *s);
/* The same by running every pass. */
double stages_simulate(const struct stages *s);
/* Micro-batches whose activations the first stage holds at most. */
int stages_in_flight(const struct stages *s);

#endif
