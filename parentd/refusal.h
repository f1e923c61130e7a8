/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Why not: what the answer, the log and the audit trail say of a request that is not granted. @source PROTOCOL
 * B.5 */
#ifndef PRT_REFUSAL_H
#define PRT_REFUSAL_H

#include <msproto/msg/edns.h>

struct prt_refusal {
	unsigned rcode; /* NOERROR: nothing is refused */
	bool has_ede;
	uint16_t ede; /* enum msp_ede_own; with is_standard enum msp_ede_std */
	bool is_standard;
	const char *rule;   /* "G.5 step 4: ..."; static */
	struct msp_why why; /* what exactly, escaped */
};

/** Fill it in and return false, so that a check ends with it. text is printf-like. */
MSP_PRINTF(4, 5)
bool prt_refuse(struct prt_refusal *no, unsigned rcode, const char *rule, const char *text, ...);
/** As above with RCODE REFUSED and one of our extended errors, or a standard one. */
MSP_PRINTF(4, 5)
bool prt_refuse_own(struct prt_refusal *no, enum msp_ede_own ede, const char *rule, const char *text, ...);
MSP_PRINTF(4, 5)
bool prt_refuse_std(struct prt_refusal *no, enum msp_ede_std ede, const char *rule, const char *text, ...);

#endif
