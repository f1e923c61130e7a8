/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The only source of randomness: the system's, or a seeded sequence in tests and in the simulator. */
#ifndef MSPROTO_BASE_RAND_H
#define MSPROTO_BASE_RAND_H

#include <msproto/base/span.h>

#define MSP_RAND_AHEAD 32

/** For one thread, and not to be used on in a child process. */
struct msp_rand {
	uint64_t state[4];
	bool seeded;                    /* false: the system's */
	unsigned ahead_count;           /* numbers that getrandom(2) gave and nobody has got yet */
	uint64_t ahead[MSP_RAND_AHEAD]; /* each is wiped when it is given out */
};

void msp_rand_init_system(struct msp_rand *r);
void msp_rand_init_seed(struct msp_rand *r, uint64_t seed);
/** Nothing of them is kept: also for keys. */
void msp_rand_bytes(struct msp_rand *r, void *out, size_t len);
uint16_t msp_rand_u16(struct msp_rand *r);
uint64_t msp_rand_u64(struct msp_rand *r);
/** Uniform in [0, bound); bound 0 gives 0. */
uint64_t msp_rand_below(struct msp_rand *r, uint64_t bound);
/** `base` changed by up to +-percent per cent. */
int64_t msp_rand_jitter(struct msp_rand *r, int64_t base, unsigned percent);

#endif
