/* SPDX-License-Identifier: BSD-2-Clause */
/** @file From a message that a validator has judged to what the worker says of it. Pure. */
#ifndef IO_RESOLVE_JUDGE_H
#define IO_RESOLVE_JUDGE_H

#include "io/resolve_wire.h"

/** A verdict without records; what the reply has held goes. */
void resolve_judge(struct resolve_reply *r, enum msp_lookup verdict, const char *why);
/**
 * An answer or a denial (RCODE NOERROR or NXDOMAIN) that is secure, or else insecure. Records are those of the asked
 * type at the end of the message's own CNAME chain. A secure reply gets none that are not; an open one gets them
 * anyway, and the owner of the SOA record when there are none.
 */
void resolve_judge_answer(struct resolve_reply *r, const struct resolve_ask *ask, bool is_secure, struct msp_span raw,
			  struct msp_rr_scratch *scratch);

#endif
