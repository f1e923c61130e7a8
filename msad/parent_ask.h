/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Messages to the parent's receiver, and what its answers mean. Pure: octets in, octets out, meanings from two tables.
 * @source PROTOCOL B.2, B.5, C.2, G.3, G.5 ("Child's reaction"), G.6, G.7
 */
#ifndef MSAD_PARENT_ASK_H
#define MSAD_PARENT_ASK_H

#include <msproto/auth/trust.h>
#include <msproto/msg/keystate.h>

#include "records.h"

#define MSA_EXTRA_MAX 160 /* of a receiver's words we keep */

/* ---- building; each signed message has the times of `now`: sent again, it is signed again (C.5) */

/** A place to build in. */
struct msa_draft {
	uint8_t *mem; /* borrowed, MSP_MSG_MAX octets */
	uint16_t id;
	const struct msp_numbers *numbers; /* borrowed */
};
/** QUERY child KEY with KeyState 2 about `key`, signed by it. */
MSP_CHECKED enum msp_err msa_ask_keystate(const struct msa_draft *d, const struct msp_key *key, struct msp_wall now,
					  struct msp_span *out);
/** Self-signed UPDATE that adds `key`, and deletes nothing: the keys of other providers stay (H.3). */
MSP_CHECKED enum msp_err msa_ask_upload(const struct msa_draft *d, const struct msp_name *parent, uint32_t ttl_s,
					const struct msp_key *key, struct msp_wall now, struct msp_span *out);
/** Rollover: `add` and `del` may each be NULL; signed by a trusted key. */
MSP_CHECKED enum msp_err msa_ask_roll(const struct msa_draft *d, const struct msp_name *parent, uint32_t ttl_s,
				      const struct msp_key *add, const struct msp_key *del,
				      const struct msp_key *signer, struct msp_wall now, struct msp_span *out);
/**
 * The difference: what some server shows and is not wanted is deleted, what is wanted and not shown by all is added.
 * @param any what at least one server shows; all: what every one shows. *changes: update records in it; 0: there is
 * nothing to tell.
 */
MSP_CHECKED enum msp_err msa_ask_update(const struct msa_draft *d, const struct msp_name *parent,
					const struct msa_records *want, const struct msa_records *any,
					const struct msa_records *all, const struct msp_key *key, struct msp_wall now,
					size_t *changes, struct msp_span *out);
/** Generalized NOTIFY, unsigned: it only advances a timer. */
MSP_CHECKED enum msp_err msa_ask_notify(const struct msa_draft *d, const struct msp_name *child, uint16_t type,
					struct msp_span *out);
/** A plain question to a server, RD clear, DO set. */
MSP_CHECKED enum msp_err msa_ask_server(const struct msa_draft *d, const struct msp_name *name, uint16_t type,
					struct msp_span *out);

/* ---- reading */

enum msa_belief {
	MSA_VERIFIED,   /* signed by the receiver's key */
	MSA_UNVERIFIED, /* not, though its key is known: not the receiver's answer */
	MSA_UNSIGNABLE  /* the receiver's key is not known: advisory */
};
struct msa_reading {
	enum msa_belief belief;
	unsigned rcode;
	bool has_ede, has_state;
	uint16_t ede; /* as received */
	uint8_t state;
	char extra[MSA_EXTRA_MAX]; /* the receiver's words, escaped */
	char why_not[64];          /* UNVERIFIED: what was wrong with the signature */
};
/**
 * @param ring the receiver's keys; NULL or without them: UNSIGNABLE. request: as sent. key_tag: of the key asked about;
 * a KeyState about another, or in an answer that is not VERIFIED, is not reported.
 * @return MSP_OK, or why this is no answer at all
 */
MSP_CHECKED enum msp_err msa_ask_read(const struct msp_keyring *ring, const struct msp_name *receiver,
				      const struct msp_numbers *numbers, struct msp_span request,
				      struct msp_span answer, uint16_t key_tag, struct msp_wall now,
				      struct msp_rr_scratch *scratch, struct msa_reading *out);
/** "REFUSED KEY_NOT_TRUSTED: words" */
void msa_reading_text(const struct msa_reading *r, const struct msp_numbers *numbers, char *text, size_t len);

/* ---- meaning */

#define MSA_MEANING_MAP(X)                                                                                             \
	X(ACCEPTED, "accepted")                                                                                        \
	X(AGAIN, "not now: asked again later")                                                                         \
	X(LIMITED, "refused: asked again, five times in a day at most")                                                \
	X(WAIT, "our key is not trusted yet: waiting for the parent")                                                  \
	X(PERSON, "waits for a person at the parent")                                                                  \
	X(NO_KEY, "the parent does not know our key")                                                                  \
	X(CLOCK, "the parent finds our time wrong: check the clock")                                                   \
	X(RESIGN, "seen before: sent again with a fresh signature")                                                    \
	X(STOP, "needs a person here")
enum msa_meaning {
#define MSA_MEANING_ENUM(name, text) MSA_MEANS_##name,
	MSA_MEANING_MAP(MSA_MEANING_ENUM)
#undef MSA_MEANING_ENUM
		MSA_MEANS__N
};
const char *msa_meaning_text(enum msa_meaning m);
/** What an answer to an UPDATE means. An answer that is not VERIFIED never means more than AGAIN, unless ACCEPTED. */
enum msa_meaning msa_update_meaning(const struct msa_reading *r, const struct msp_numbers *numbers);
/** What a KeyState means. */
enum msa_meaning msa_state_meaning(uint8_t state);

#endif
