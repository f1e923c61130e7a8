/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The only source of randomness: the system's, or a seeded sequence in tests and in the simulator. */
#ifndef MSPROTO_BASE_RAND_H
#define MSPROTO_BASE_RAND_H

#include <msproto/base/span.h>

struct msp_rand {
	uint64_t state[4];
	bool seeded; /* false: getrandom(2) every time */
};

void msp_rand_init_system(struct msp_rand *r);
void msp_rand_init_seed(struct msp_rand *r, uint64_t seed);
void msp_rand_bytes(struct msp_rand *r, void *out, size_t len);
uint16_t msp_rand_u16(struct msp_rand *r);
uint64_t msp_rand_u64(struct msp_rand *r);
/** Uniform in [0, bound); bound 0 gives 0. */
uint64_t msp_rand_below(struct msp_rand *r, uint64_t bound);
/** `base` changed by up to +-percent per cent. */
int64_t msp_rand_jitter(struct msp_rand *r, int64_t base, unsigned percent);

#endif
