/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Presentation format, both ways, driven by the layouts of rr.c; RFC 3597 generic form for everything else.
 * Used by msctl, logs and tests; not on the transfer path.
 * @source RFC 1035 5.1, RFC 3597 5, RFC 9460 2.1 and App. A, PROTOCOL A.0
 */
#ifndef MSPROTO_WIRE_TEXT_H
#define MSPROTO_WIRE_TEXT_H

#include <msproto/wire/rr.h>

/** RDATA text. HSYNC types are printed by name when `numbers` (NULL = defaults) gives their number. Never fails on
 * checked RDATA: octets that do not fit the layout come out in generic form. */
void msp_rdata_print(struct msp_buf *out, const struct msp_numbers *numbers, uint16_t type, struct msp_span rdata);
/** "owner TTL CLASS TYPE rdata", no newline, single spaces. */
void msp_rr_print(struct msp_buf *out, const struct msp_numbers *numbers, const struct msp_rr *rr);

/**
 * RDATA from text; quotes, escapes, parentheses and comments as in zone files; `\# n hex` for any type (then checked
 * against the layout).
 * @param out cleared, then filled with wire RDATA.
 * @return MSP_OK, or MSP_EFORMAT, MSP_EVALUE, MSP_ENAME, MSP_ELIMIT with the reason in why.
 */
MSP_CHECKED enum msp_err msp_rdata_scan(struct msp_span text, const struct msp_numbers *numbers, uint16_t type,
					const struct msp_name *origin, struct msp_buf *out, struct msp_why *why);
/**
 * One record on one logical line: owner [TTL] [CLASS] TYPE rdata, in either TTL/CLASS order. TTL absent: default_ttl.
 * @param[out] out its rdata borrows `rdata`.
 */
MSP_CHECKED enum msp_err msp_rr_scan(struct msp_span line, const struct msp_numbers *numbers,
				     const struct msp_name *origin, uint32_t default_ttl, struct msp_buf *rdata,
				     struct msp_rr *out, struct msp_why *why);

#endif
