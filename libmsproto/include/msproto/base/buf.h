/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Growable octets; the cap is fixed at init. Errors stick, so that a row of appends needs one check. */
#ifndef MSPROTO_BASE_BUF_H
#define MSPROTO_BASE_BUF_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>

struct msp_buf {
	uint8_t *ptr;     /* owned */
	size_t len, size; /* octets used, octets allocated */
	size_t cap;       /* octets allowed */
	enum msp_err err; /* MSP_OK, MSP_ENOMEM, or MSP_ELIMIT */
};

void msp_buf_init(struct msp_buf *b, size_t cap);
void msp_buf_fini(struct msp_buf *b);
/** Empty it, keep the memory, clear the error. */
void msp_buf_reset(struct msp_buf *b);
void msp_buf_add(struct msp_buf *b, const void *ptr, size_t len);
void msp_buf_add_span(struct msp_buf *b, struct msp_span s);
void msp_buf_add_str(struct msp_buf *b, const char *s);
void msp_buf_add_u8(struct msp_buf *b, uint8_t v);
void msp_buf_printf(struct msp_buf *b, const char *fmt, ...) MSP_PRINTF(2, 3);
/** Room for `len` more octets, to be filled by the caller and then claimed with msp_buf_claim; NULL on failure. */
uint8_t *msp_buf_reserve(struct msp_buf *b, size_t len);
void msp_buf_claim(struct msp_buf *b, size_t len);
/** Drop `len` octets from the front. */
void msp_buf_consume(struct msp_buf *b, size_t len);
struct msp_span msp_buf_span(const struct msp_buf *b);
/** The text with a terminating zero (not counted in len); "" on failure. Borrowed until the next change. */
const char *msp_buf_text(struct msp_buf *b);

#endif
