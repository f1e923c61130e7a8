/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Base16, Base32hex (RFC 4648 7, no padding, as NSEC3) and Base64 (RFC 4648 4). Strict on input.
 * Written in lower (Base16) and upper case (Base32hex). After an error the buffer may hold part of the octets. */
#ifndef MSPROTO_BASE_ENC_H
#define MSPROTO_BASE_ENC_H

#include <msproto/base/buf.h>

void msp_hex_write(struct msp_buf *out, struct msp_span in);
void msp_b64_write(struct msp_buf *out, struct msp_span in);
void msp_b32hex_write(struct msp_buf *out, struct msp_span in);
/** Either case, even count. @return MSP_OK, MSP_EFORMAT, or the buffer's error. */
MSP_CHECKED enum msp_err msp_hex_parse(struct msp_span text, struct msp_buf *out);
/** Padding required, no white space. */
MSP_CHECKED enum msp_err msp_b64_parse(struct msp_span text, struct msp_buf *out);
MSP_CHECKED enum msp_err msp_b32hex_parse(struct msp_span text, struct msp_buf *out);
/** Decimal digits only, at most `max`. @return MSP_OK, MSP_EFORMAT (not a number), or MSP_EVALUE (over max). */
MSP_CHECKED enum msp_err msp_u64_parse(struct msp_span text, uint64_t max, uint64_t *out);

#endif
