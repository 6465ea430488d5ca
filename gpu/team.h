/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes that measure together: members each do their part of a backend's
 * work, one coordinator asks them all and puts their answers together: times
 * of the slowest, the sum of wrong elements, the first failure.
 *
 * Requests and replies go over a link: socket pairs to forked processes
 * (team_fork.c, emulated nodes), or MPI (mpi_link.c, where member 0 is a
 * thread of the coordinator's own process). A member that fails or dies makes
 * the coordinator's call fail; the team is of no use after that.
 */
#ifndef GPU_TEAM_H
#define GPU_TEAM_H

#include "gpu/backend.h"

#include <stddef.h>

#define TEAM_MEMBERS_MAX 64
#define TEAM_ID_BYTES 256

/* Exchanges of floats between members, one rank each, for a backend that has
 * none of its own. `lane`: works that run at once each have one. */
struct team_wire {
	bool (*meet)(int lane);
	bool (*alltoallv)(int lane, const float *x, const uint64_t *send,
			  float *y, const uint64_t *receive);
	bool (*sendrecv)(int lane, const float *x, float *y, uint64_t n,
			 int to, int from);
	bool (*allgather)(int lane, const float *x, float *y, uint64_t n);
	bool (*reducescatter)(int lane, const float *x, float *y, uint64_t n);
	bool (*allreduce)(int lane, const float *x, float *y, uint64_t n);
};

#define TEAM_LANES 2

/* Where a member stands. */
struct team_place {
	int member, members;
	int hosts;		/* that the members are on, equally many each */
	int local;		/* which of those on its host */
	bool is_emulated;	/* on one host, and its devices */
	const struct team_wire *wire;	/* NULL: there is none */
};

/* What a backend does on one member: as backend.h says, of its own ranks. */
struct team_part {
	enum status (*open)(const struct backend_options *opt,
			    const struct team_place *at,
			    struct backend **out_p);
	void (*close)(struct backend *b);
	void (*info)(struct backend *b, struct backend_info *out);
	/* made by member 0, for prepare() of all; may be NULL */
	enum status (*ids)(struct backend *b, const struct bench_case *c,
			   void *id);
	enum status (*prepare)(struct backend *b, const struct bench_case *c,
			       const void *id);
	enum status (*run)(struct backend *b, int n, double *seconds,
			   double *beside_s);
	enum status (*check)(struct backend *b, int64_t *wrong_p);
	void (*release)(struct backend *b);
	/* layers; all NULL: there are none */
	enum status (*layer_id)(struct backend *b, void *id);
	enum status (*layer_prepare)(struct backend *b,
				     const struct layer_case *c,
				     const void *id);
	enum status (*layer_run)(struct backend *b, int n, double *forward_s,
				 double *step_s);
	enum status (*layer_check)(struct backend *b,
				   struct layer_check *out);
	void (*layer_release)(struct backend *b);
};

/* Bytes to and from members; a member's own link knows member 0 alone, the
 * coordinator. False: it is gone. */
struct team_link {
	void *arg;
	int members;
	bool (*put)(void *arg, int member, const void *p, size_t n);
	bool (*get)(void *arg, int member, void *p, size_t n);
	/* the next of the wanted[members] that get() has something of, or
	 * that is gone */
	int (*wait)(void *arg, const bool *wanted);
	void (*kill)(void *arg);	/* from any thread */
	/* after the members were told to end, or were killed */
	void (*close)(void *arg);
};

/* A member: serves requests until the coordinator ends it. */
void team_serve(const struct team_link *to, const struct team_part *part,
		const struct backend_options *opt,
		const struct team_place *at);

struct team;

/* The coordinator. Takes `link` over: it is closed when this fails. *info:
 * that of member 0, with the least max_bytes of all. */
enum status team_open(const struct team_link *link, struct backend_info *info,
		      struct team **out_p);
void team_close(struct team *t);	/* NULL is fine */
void team_kill(struct team *t);
enum status team_prepare(struct team *t, const struct bench_case *c);
enum status team_run(struct team *t, int n, double *seconds, double *beside_s);
enum status team_check(struct team *t, int64_t *wrong_p);
void team_release(struct team *t);
enum status team_layer_prepare(struct team *t, const struct layer_case *c);
enum status team_layer_run(struct team *t, int n, double *forward_s,
			   double *step_s);
enum status team_layer_check(struct team *t, struct layer_check *out);
void team_layer_release(struct team *t);

/*
 * team_fork.c: members are forked from here, before anything that does not
 * survive that. Each calls `begin` first.
 */
enum status team_fork(int members, const struct team_part *part,
		      const struct backend_options *opt,
		      void (*begin)(int member), struct team_link *out);

/* Both ends of a socket pair, for links. */
bool team_move(int fd, void *p, size_t n, bool is_write);

#endif
