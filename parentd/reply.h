/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What is said to whom asked: RCODE, extended error, KeyState and cookie in the OPT, and the signature. One place for
 * what an answer may not do: no OPT without one in the request, no KeyState without a signature, nothing over the
 * client's size. Pure.
 * @source PROTOCOL B.1, B.2, B.5, C.2, G.7
 */
#ifndef PRT_REPLY_H
#define PRT_REPLY_H

#include "refusal.h"

#include <msproto/auth/sig0.h>
#include <msproto/auth/tsig.h>
#include <msproto/msg/keystate.h>

#define PRT_REPLY_MAX   2048                   /* question, OPT with all options, SIG(0) by an RSA key or TSIG */
#define PRT_EDE_NETWORK ((enum msp_ede_std)23) /* RFC 8914 4.24: Network Error */
#define PRT_COOKIE_MAX  24                     /* client cookie, server cookie of RFC 9018 */

/** The RCODE for somebody who does not know extended ones. */
unsigned prt_reply_rcode(unsigned rcode, bool has_edns);

struct prt_reply {
	const struct msp_msg *request;     /* borrowed; parsed, or with is_malformed as far as it was read */
	bool is_malformed;                 /* nothing of it is relied on; never signed */
	const struct prt_refusal *refusal; /* borrowed; RCODE, and EDE if there is one (also with NOERROR: a remark) */
	const struct msp_numbers *numbers; /* borrowed */
	uint16_t flags;                    /* MSP_FLAG_AA */
	bool is_tcp;
	bool has_state; /* goes out with a signature or not at all */
	uint16_t key_id;
	enum msp_keystate_state state;
	uint8_t cookie[PRT_COOKIE_MAX];
	size_t cookie_len; /* 0 = no cookie option */
};
/** Who signs; both NULL: nobody. A TSIG goes by the context of the verified request. */
struct prt_seal {
	const struct msp_key *key; /* borrowed, private */
	struct msp_tsig_ctx *tsig; /* borrowed; used once */
	struct msp_wall now;
};
/**
 * The answer as it is sent. What does not fit the client's size goes in this order: texts, everything but the question
 * (TC=1, RFC 2931 3).
 * @param cap PRT_REPLY_MAX is always enough for what can be signed
 * @param[out] is_signed whether it is; a key that fails costs the signature and the KeyState, not the answer
 * @return MSP_OK, MSP_ENOSPACE, MSP_ECRYPTO (TSIG: it cannot go unsigned)
 */
MSP_CHECKED enum msp_err prt_reply_write(const struct prt_reply *r, const struct prt_seal *seal, uint8_t *out,
					 size_t cap, size_t *len, bool *is_signed);

/** What the KeyState option of a request asks. */
enum prt_inquiry {
	PRT_INQUIRY_NONE, /* there is no such option */
	PRT_INQUIRY_KEY,  /* the state of the key with this tag */
	PRT_INQUIRY_MALFORMED
};
/**
 * @param compat_02 codes 0 and 1 are inquiries, too (PROTOCOL B.2)
 * @param[out] key_id what is to be echoed; 0 where it cannot be read
 */
enum prt_inquiry prt_inquiry_read(const struct msp_edns *e, const struct msp_numbers *n, bool compat_02,
				  uint16_t *key_id);

#endif
