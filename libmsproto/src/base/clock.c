/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/clock.h>

#include <stdlib.h>
#include <time.h>

static struct timespec read_clock(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		abort(); /* cannot happen on Linux for these two clocks; to go on with a wrong time would be worse */
	return ts;
}

struct msp_mono msp_mono_now(void)
{
	struct timespec ts = read_clock(CLOCK_MONOTONIC);

	return (struct msp_mono){ (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 };
}

struct msp_wall msp_wall_now(void)
{
	return (struct msp_wall){ (int64_t)read_clock(CLOCK_REALTIME).tv_sec };
}
