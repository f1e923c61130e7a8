/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Two kinds of time that do not convert into each other: monotonic for waiting, wall for signatures.
 * clock.c is the only reader of the system's clocks; everything else is handed a time.
 */
#ifndef MSPROTO_BASE_CLOCK_H
#define MSPROTO_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct msp_mono {
	int64_t ms; /* milliseconds since an arbitrary start; never goes back */
};
struct msp_wall {
	int64_t s; /* seconds since 1970-01-01 UTC; may jump */
};

struct msp_mono msp_mono_now(void);
struct msp_wall msp_wall_now(void);

/** Never: later than every real time. */
#define MSP_MONO_NEVER ((struct msp_mono){ INT64_MAX })

static inline struct msp_mono msp_mono_add_ms(struct msp_mono t, int64_t ms)
{
	if (t.ms == INT64_MAX || (ms > 0 && t.ms > INT64_MAX - ms))
		return MSP_MONO_NEVER;
	return (struct msp_mono){ t.ms + ms };
}
static inline bool msp_mono_reached(struct msp_mono now, struct msp_mono deadline)
{
	return now.ms >= deadline.ms;
}
static inline struct msp_mono msp_mono_min(struct msp_mono a, struct msp_mono b)
{
	return a.ms < b.ms ? a : b;
}
/** Milliseconds from now until t; 0 when t has passed. */
static inline int64_t msp_mono_until_ms(struct msp_mono now, struct msp_mono t)
{
	return t.ms <= now.ms ? 0 : t.ms - now.ms;
}

#endif
