/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Borrowed octets: a pointer and a length that belong to somebody else. */
#ifndef MSPROTO_BASE_SPAN_H
#define MSPROTO_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msp_span {
	const uint8_t *ptr; /* borrowed; may be NULL when len is 0 */
	size_t len;         /* octets */
};

static inline struct msp_span msp_span(const void *ptr, size_t len)
{
	return (struct msp_span){ (const uint8_t *)ptr, len };
}

/** Span over a C string, without the terminator. */
struct msp_span msp_span_str(const char *s);
/** Not constant time: never for secrets (use msp_secret_equal, mem.h). */
bool msp_span_equal(struct msp_span a, struct msp_span b);
/** Octet order, a shorter prefix first: <0, 0, >0 (RFC 4034 6.3 order for RDATA). */
int msp_span_cmp(struct msp_span a, struct msp_span b);

#endif
