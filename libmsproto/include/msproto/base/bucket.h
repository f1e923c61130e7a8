/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Token buckets per source prefix: a budget for unauthenticated work (PROTOCOL C.3 step 6, D.4 step 2). Bounded
 * memory. */
#ifndef MSPROTO_BASE_BUCKET_H
#define MSPROTO_BASE_BUCKET_H

#include <msproto/base/addr.h>
#include <msproto/base/clock.h>

struct msp_bucket_table;
/** @param slots fixed number of buckets; when full, the one idle longest is reused.
 * @return MSP_OK, MSP_ENOMEM, MSP_EVALUE (no slots), or MSP_ELIMIT (over 2^24). */
MSP_CHECKED enum msp_err msp_bucket_new(size_t slots, uint32_t per_s, uint32_t burst, struct msp_bucket_table **out);
void msp_bucket_free(struct msp_bucket_table **t);
/** Take one token of the source's prefix; false when none is left. */
bool msp_bucket_take(struct msp_bucket_table *t, const struct msp_addr *src, struct msp_mono now);
/** Whether a token is there, without taking it. */
bool msp_bucket_peek(struct msp_bucket_table *t, const struct msp_addr *src, struct msp_mono now);

#endif
