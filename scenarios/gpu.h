/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One type of GPU and its cost constants. scenario.h includes this. */
#ifndef SCENARIOS_GPU_H
#define SCENARIOS_GPU_H

#define NAME_MAX_LEN 128	/* bytes of a name or a path's last part */

enum dtype { DT_FP32, DT_TF32, DT_FP16, DT_BF16, DT_FP8, DT_N };

/* Cost constants of one tier (inside a node, between nodes). See coll.h. */
struct comm_tier {
	double efficiency;	/* share of the nominal link rate that large
				   messages reach with the simple protocol */
	double launch_s;	/* fixed cost of a collective that uses it */
	double message_s;	/* per message that one rank sends */
	double ramp;		/* s per sqrt(byte) of the busiest rank */
	double ll_launch_s;	/* the same two with the low-latency */
	double ll_efficiency;	/*   protocol (no ramp) */
	/* shares of their speeds that a product and a collective lose while
	 * they run side by side; product_loss 0: comm_sms / sms */
	double product_loss, own_loss;
};

/* Collectives that may have constants of their own (all-to-all: the tier's). */
enum comm_op { COMM_SENDRECV, COMM_ALLGATHER, COMM_REDUCESCATTER,
	       COMM_ALLREDUCE, COMM_OP_N };

/* One GPU type: data sheet values and named efficiencies. gpus/<name>.yaml */
struct gpu {
	char name[NAME_MAX_LEN];
	char type[NAME_MAX_LEN];	/* what cluster.gpu said: a shipped
					   name or a path; "": inline */
	double flops[DT_N];	/* dense peak, FLOP/s; 0: not supported */
	double hbm_bytes;
	double hbm_Bps;
	int sms;		/* SMs, or cores */
	double nvlink_Bps;	/* per GPU and direction; 0: none */
	double gemm_efficiency;	/* of peak, large products */
	double hbm_efficiency;	/* of hbm_Bps, streaming kernels */
	int tile_m, tile_n;	/* output tile of one SM's product kernel */
	double kernel_s;	/* launch of one kernel, seen by the stream */
	int comm_sms;		/* SMs that a collective holds */
	struct comm_tier intra, inter;
	/* of one collective, when measured; efficiency 0: the tier's */
	struct comm_tier intra_op[COMM_OP_N], inter_op[COMM_OP_N];
	char measured[512];	/* measurements of this type: a shipped
					   name or a path; "": none */
	char provenance[512];	/* of the data sheet numbers */
};

/* Bytes of one element. */
int dtype_bytes(enum dtype t);
const char *dtype_name(enum dtype t);

#endif
