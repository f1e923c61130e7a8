/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What comes in from the peers' side: the order of checks, and the answer. Nothing of a message changes anything before
 * its signature has verified, except budgets and the look-up of a peer that HSYNC names.
 * @source PROTOCOL B.5, C.3, C.5, D.4, D.6
 */
#ifndef MSAD_REQUEST_H
#define MSAD_REQUEST_H

#include "state.h"

/** One request on its way to an answer. */
struct msa_request {
	uint64_t id;
	struct msp_addr from;
	bool is_tcp;
	struct msp_span raw; /* borrowed from the event */
	struct msp_msg msg;
	struct msp_authmsg *auth; /* owned; NULL until verified */
	bool has_option;
	struct msp_msopt option;
	/* the answer */
	unsigned rcode;
	uint16_t ede; /* 0 = none */
	const char *ede_text;
	bool is_silent; /* no answer at all */
	bool is_plain;  /* never sign it: junk, or over budget */
	bool has_answer_option;
	struct msp_msopt answer_option;
	const struct msp_rrset *answer; /* borrowed: records, renamed to the question's name */
};

void msa_request(struct msa_core *c, uint64_t id, const struct msp_addr *from, bool is_tcp, struct msp_span octets);

/** A refusal with one of our codes. */
void msa_refuse(const struct msa_core *c, struct msa_request *r, unsigned rcode, enum msp_ede_own ede);
/** Verify as coming from `m`'s peer; on false the refusal is filled in. */
bool msa_request_verify(struct msa_core *c, struct msa_request *r, struct msa_member *m);
/** Whose message this claims to be by its SIG: the member whose HOST is the signer. NULL when there is none. */
struct msa_member *msa_request_signer(struct msa_zone *z, const struct msp_msg *msg);

/** A QUERY: somebody pulls our contribution (ident.c). */
void msa_ident_query(struct msa_core *c, struct msa_request *r);
/** The zone that `{zone}.{identity}` asks about. False when the name is not of that form. */
bool msa_ident_zone(const struct msp_name *name, const struct msp_name *identity, struct msp_name *zone);

/** Answers kept for retransmissions. */
MSP_CHECKED enum msp_err msa_answered_new(struct msa_core *c);
void msa_answered_free(struct msa_core *c);

#endif
