/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Our own messages: built in the core's buffer, signed with our key. @source PROTOCOL B.3, C.2, D.4 */
#ifndef MSAD_MESSAGE_H
#define MSAD_MESSAGE_H

#include "state.h"

/** It answers questions for its KEY records towards the parent (H.3). */
#define MSA_CAP_SHARE_KEY 0x20u

/** Capability octets, and TLV 1. */
void msa_fill_common(const struct msa_core *c, struct msp_msopt *ms);
/** The TLVs of a zone that an operation carries, as sender or in a NOERROR answer: INTERVAL, GROUP, DATA-VERSION and so
 * on. */
void msa_fill_zone(const struct msa_core *c, const struct msa_zone *z, uint8_t operation, struct msp_msopt *ms);
/** A signed NOTIFY with the option. *out borrows the core's buffer. TLV 2 and 4 are filled in here. */
MSP_CHECKED enum msp_err msa_notify_build(struct msa_core *c, const struct msa_member *m, uint8_t operation,
					  struct msp_span *out);
/** A signed QUERY for one type of the peer's contribution. MSP_ENAME when {zone}.{identity} is too long. */
MSP_CHECKED enum msp_err msa_query_build(struct msa_core *c, const struct msa_member *m, uint16_t type,
					 struct msp_span *out);
/** `{zone}.{identity}`. */
MSP_CHECKED enum msp_err msa_contribution_name(const struct msp_name *zone, const struct msp_name *identity,
					       struct msp_name *out);

/**
 * An answer to one of ours: parsed and verified, or what was wrong with it. The sender of an answer that does not
 * verify is not the peer, whatever it says: callers treat every error as "no answer".
 * @param m filled; *auth must be freed after the last use of m.
 */
MSP_CHECKED enum msp_err msa_answer_verify(struct msa_core *c, struct msa_peer *p, const struct msa_pend *pend,
					   struct msp_span octets, struct msp_msg *m, struct msp_authmsg **auth);
/** The Multi-Signer option of a verified message. MSP_ENOTFOUND when there is none. */
MSP_CHECKED enum msp_err msa_option_get(const struct msa_core *c, const struct msp_msg *m, struct msp_msopt *out);
/** "REFUSED MSA_NOT_READY" for logs and views. */
void msa_answer_text(const struct msa_core *c, const struct msp_msg *m, char text[MSA_TEXT_MAX]);

#endif
