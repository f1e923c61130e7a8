/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What scan.c and scan_svcb.c share. Each function appends to sc->out, or tells why not in sc->w->why. */
#ifndef WIRE_SCAN_H
#define WIRE_SCAN_H

#include "wire/token.h"

struct scan {
	struct msp_words *w;
	const struct msp_numbers *numbers;
	const struct msp_name *origin; /* may be NULL */
	struct msp_buf *out;
	struct msp_buf tmp;
};

/** Hand back err with the text in question, made printable. */
enum msp_err msp_scan_fail(const struct scan *sc, enum msp_err err, const char *what, struct msp_span s);
void msp_scan_put(struct scan *sc, uint64_t v, size_t octets);
/** Overwrite octets put earlier. */
void msp_scan_patch(struct scan *sc, size_t at, size_t octets, size_t v);
/** Resolve all escapes of s. */
MSP_CHECKED enum msp_err msp_scan_unescape(struct scan *sc, struct msp_span s, struct msp_buf *out);
MSP_CHECKED enum msp_err msp_scan_number(struct scan *sc, struct msp_span s, size_t octets);
/** @param size 4 or 16: the family wanted. */
MSP_CHECKED enum msp_err msp_scan_address(struct scan *sc, struct msp_span s, size_t size);
typedef enum msp_err (*msp_scan_decoder)(struct msp_span, struct msp_buf *);
MSP_CHECKED enum msp_err msp_scan_encoded(struct scan *sc, struct msp_span s, msp_scan_decoder parse);
/** SVCB parameters up to the end of the words (RFC 9460 2.1). */
MSP_CHECKED enum msp_err msp_scan_svcb(struct scan *sc);

#endif
