/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A step of a chunk's way (gpu/layer_exchange.h) on the stream of its lane, or
 * its ESP collective.
 *
 * Without ESP shards, the moves behind this rank's last messages to the
 * experts and before its first ones from them are the experts' op's: arrive()
 * and depart(), on the COMPUTE lane. There the forecast has them, too. Between
 * the messages of two chunks is then no kernel that waits for a product's end:
 * they follow one another at once.
 */
#ifndef GPU_CUDA_LAYER_EXCHANGE_H
#define GPU_CUDA_LAYER_EXCHANGE_H

#include "gpu/cuda_layer.h"

enum status cuda_layer_exchange(struct cuda_layer *l, const struct op *op,
				enum cuda_direction d, cudaStream_t s);
enum status cuda_layer_esp(struct cuda_layer *l, const struct op *op,
			   enum cuda_direction d, cudaStream_t s);

/* Before and after the products of an experts' op (not weight gradients). */
enum status cuda_layer_arrive(struct cuda_layer *l, const struct op *expert);
enum status cuda_layer_depart(struct cuda_layer *l, const struct op *expert);

#endif
