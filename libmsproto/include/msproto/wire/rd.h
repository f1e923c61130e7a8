/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Bounds-checked read cursor over one message (or a part of it). Errors stick: after the first failure every read gives
 * zero and the error stays in rd->err, so a parser checks once, before it uses what it read.
 */
#ifndef MSPROTO_WIRE_RD_H
#define MSPROTO_WIRE_RD_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>

struct msp_rd {
	const uint8_t *base; /* start of the whole message: compression pointers count from here; borrowed */
	size_t pos;          /* next octet */
	size_t end;          /* one past the last octet that may be read */
	size_t floor; /* lowest offset that a compression pointer may name: 0, or the header's length in a message */
	enum msp_err err;
};

void msp_rd_init(struct msp_rd *rd, struct msp_span octets);
uint8_t msp_rd_u8(struct msp_rd *rd);
uint16_t msp_rd_u16(struct msp_rd *rd);
uint32_t msp_rd_u32(struct msp_rd *rd);
uint64_t msp_rd_u48(struct msp_rd *rd);
uint64_t msp_rd_u64(struct msp_rd *rd);
/** The next n octets, borrowed; empty on error. */
struct msp_span msp_rd_take(struct msp_rd *rd, size_t n);
/** All octets up to the end. */
struct msp_span msp_rd_rest(struct msp_rd *rd);
static inline size_t msp_rd_left(const struct msp_rd *rd)
{
	return rd->err == MSP_OK ? rd->end - rd->pos : 0;
}
/** A reader of exactly the next n octets (same base); the parent moves past them. On failure the sub-reader carries the
 * error. */
struct msp_rd msp_rd_sub(struct msp_rd *rd, size_t n);
/** MSP_OK only if there was no error and nothing is left over (MSP_ETRAIL). */
MSP_CHECKED enum msp_err msp_rd_done(const struct msp_rd *rd);
/** Record an error found by the caller; the first one stays. */
void msp_rd_fail(struct msp_rd *rd, enum msp_err err);

#endif
