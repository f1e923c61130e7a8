/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The HSYNC family: the zone owner's word about who does what.
 * @source PROTOCOL A.1 (four and five fields), A.2 (HSYNC3 and HSYNCPARAM, read only)
 */
#ifndef MSPROTO_WIRE_HSYNC_H
#define MSPROTO_WIRE_HSYNC_H

#include <msproto/wire/rr.h>

enum msp_hsync_state { MSP_HSYNC_ON = 1, MSP_HSYNC_OFF = 2 };
enum msp_hsync_nsmgmt { MSP_HSYNC_OWNER = 1, MSP_HSYNC_AGENT = 2 };
enum msp_hsync_sign { MSP_HSYNC_YES = 1, MSP_HSYNC_NO = 2 };

struct msp_hsync {
	uint8_t state, nsmgmt, sign; /* as on the wire, except that compat-zero has been mapped; use the enums above */
	struct msp_name identity;
	bool has_upstream; /* five-field form */
	struct msp_name upstream;
};

/**
 * Octets to fields, any field values (for display). @return MSP_OK, or MSP_ETRUNC, MSP_ETRAIL, MSP_EFORMAT.
 * @param compat_zero read STATE 0 as OFF and SIGN 0 as NO (PROTOCOL A.1, compatibility trap).
 */
MSP_CHECKED enum msp_err msp_hsync_parse(struct msp_span rdata, bool compat_zero, struct msp_hsync *out);
/** Whether all three fields hold defined values; a record that does not is malformed (A.1 rules 2 and 8). */
bool msp_hsync_valid(const struct msp_hsync *h);
/** Four fields unless has_upstream. A zero is never written: MSP_EVALUE sticks in wr. */
void msp_hsync_write(struct msp_wr *wr, const struct msp_hsync *h);
/** "ON AGENT YES msa.example." ; SIGN/NOSIGN in the five-field form; undefined values as numbers. */
void msp_hsync_print(struct msp_buf *out, const struct msp_hsync *h);
/** Accepts mnemonics in any case, integers, YES/NO/SIGN/NOSIGN. Names relative to origin (may be NULL). */
MSP_CHECKED enum msp_err msp_hsync_scan(struct msp_span text, const struct msp_name *origin, struct msp_hsync *out,
					struct msp_why *why);

/** HSYNC3 (type 65285 by default), read only. */
struct msp_hsync3 {
	uint8_t state;                   /* OFF=0 ON=1 here */
	struct msp_span label, upstream; /* one trailing dot stripped */
	struct msp_name identity;
};
MSP_CHECKED enum msp_err msp_hsync3_parse(struct msp_span rdata, struct msp_hsync3 *out);
void msp_hsync3_print(struct msp_buf *out, const struct msp_hsync3 *h);

/** HSYNCPARAM: keys must be strictly increasing. Prints `servers="fox,hare"` with the draft's or the reference's key
 * names. */
MSP_CHECKED enum msp_err msp_hsyncparam_check(struct msp_span rdata);
MSP_CHECKED enum msp_err msp_hsyncparam_print(struct msp_buf *out, struct msp_span rdata, bool reference_keys);

#endif
