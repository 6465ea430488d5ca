/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plans and launches on the host: here a launch is one call of a function. */
#include "gpu/host.h"

#include "gpu/turn.h"

#include <assert.h>
#include <stddef.h>

/* Through a pointer that the compiler cannot follow: calls stay calls. */
static void tick(int32_t *to, const int32_t *from)
{
	*to = (from ? *from : 0) + 1;
}

static void (*volatile call)(int32_t *to, const int32_t *from) = tick;

void host_fill_launch(struct host_work *hw, int rank)
{
	hw->rank[rank].pos = host_alloc(hw->c.work.m,
					sizeof(*hw->rank[rank].pos));
}

bool host_step_launch(struct host_work *hw, int rank)
{
	int32_t *at = hw->rank[rank].pos;
	uint64_t i;

	for (i = 0; i < hw->c.work.m; i++)
		call(at + i, i ? at + i - 1 : NULL);
	return true;
}

int64_t host_wrong_launch(struct host_work *hw, int rank)
{
	int64_t wrong = 0;
	uint64_t i;

	for (i = 0; i < hw->c.work.m; i++)
		wrong += hw->rank[rank].pos[i] != (int32_t)i + 1;
	return wrong;
}

void host_fill_plan(struct host_work *hw, int rank)
{
	/* a shape that turn_can() has takes memory alone, which never fails */
	enum status st = turn_make(&hw->c, rank, &hw->rank[rank].turn);

	assert(!st);
	(void)st;
	hw->rank[rank].pos = host_alloc(1, sizeof(int32_t));
}

bool host_step_plan(struct host_work *hw, int rank)
{
	return !turn_plan(hw->rank[rank].turn);
}

/* pos[0]: where a planted fault goes. */
int64_t host_wrong_plan(struct host_work *hw, int rank)
{
	return turn_wrong(hw->rank[rank].turn) + (hw->rank[rank].pos[0] != 0);
}
