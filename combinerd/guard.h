/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Guards against transfers that cannot be meant: limits that refuse, and a shrinking that is held for an
 * operator. Pure. */
#ifndef CMB_GUARD_H
#define CMB_GUARD_H

#include "apex.h"

struct cmb_guard_limits { /* 0 = no limit */
	uint64_t records, names, rrset_octets;
	unsigned shrink_percent; /* records that may go in one version */
};
/** Watches records as they come in. */
struct cmb_guard {
	struct cmb_guard_limits limits;
	uint64_t records, names, rrset_octets;
	struct msp_name owner; /* of the last record */
	uint16_t type;
};
void cmb_guard_init(struct cmb_guard *g, const struct cmb_guard_limits *limits);
/** One record of a whole zone, in order of arrival. RRsets that arrive in pieces are counted piece by piece. MSP_ELIMIT
 * with the reason. */
MSP_CHECKED enum msp_err cmb_guard_record(struct cmb_guard *g, const struct msp_rr *rr, struct msp_why *why);
/**
 * The complete version beside the one held (NULL = none). Counted is everything but the SOA. A zone with less than 10
 * records has shrunk too much only when nothing but its SOA and apex NS is left.
 * @return MSP_OK; MSP_ELIMIT (a limit: refused); MSP_EREFUSED: shrinks too much, to be held for an operator.
 */
MSP_CHECKED enum msp_err cmb_guard_version(const struct cmb_guard_limits *limits, const struct cmb_owner *held,
					   const struct cmb_owner *news, struct msp_why *why);

#endif
