/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What an UPDATE does to the contributions: all of it or nothing. Pure; the caller has checked the zone and the TSIG.
 * @source RFC 2136 2.4, 2.5, 3.2 .. 3.4; PROTOCOL E.2, E.4
 */
#ifndef CMB_INSTRUCT_H
#define CMB_INSTRUCT_H

#include "merge.h"

#include <msproto/msg/edns.h>
#include <msproto/msg/update.h>

#define CMB_DNSKEY_MAX 32
#define CMB_NS_MAX     20
#define CMB_OTHER_MAX  64 /* CDS, CDNSKEY, KEY */

struct cmb_instruct {
	const struct msp_msg *msg;
	const struct cmb_rules *rules;
	const struct cmb_owner *owner;   /* NULL: nothing has been transferred yet */
	const struct cmb_policy *policy; /* as derived from owner; ignored when that is NULL */
	const struct cmb_contrib *held;
	uint32_t scope; /* what the key that signed may change: a bit for each enum cmb_slot */
	struct msp_rr_scratch *scratch;
};
#define CMB_SCOPE_ALL UINT32_MAX

/** Outcome. Everything but `result` is for the answer and the log. */
struct cmb_verdict {
	unsigned rcode;
	bool has_ede;
	uint16_t ede;
	const char *rule;   /* which rule refused, e.g. "E.4 fence 2"; static, NULL when NOERROR */
	struct msp_why why; /* what exactly, escaped */
	struct msp_name originator;
	bool changed;              /* result differs from what was held */
	struct cmb_contrib result; /* owned; empty unless NOERROR and changed */
};
/** @return MSP_OK with a verdict, or MSP_ENOMEM. Never changes `held`. */
MSP_CHECKED enum msp_err cmb_instruct(const struct cmb_instruct *in, struct cmb_verdict *out);

/**
 * One line about what differs between two states of an originator's contributions, for people: "DNSKEY +2 -1, CDS set
 * (4), NS deleted". Cut to fit.
 */
void cmb_instruct_tell(const struct cmb_contrib *before, const struct cmb_contrib *after,
		       const struct msp_name *originator, char *out, size_t size);

/** Whether a record may be contributed (fence 5). The reason goes to why. */
MSP_CHECKED enum msp_err cmb_contribution_check(enum cmb_slot slot, struct msp_span rdata, struct msp_why *why);

#endif
