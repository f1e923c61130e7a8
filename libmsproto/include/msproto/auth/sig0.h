/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * SIG(0): sign and verify whole messages with public keys.
 * @source RFC 2931 3, PROTOCOL C.1, C.2, C.3
 */
#ifndef MSPROTO_AUTH_SIG0_H
#define MSPROTO_AUTH_SIG0_H

#include <msproto/auth/key.h>
#include <msproto/base/clock.h>
#include <msproto/msg/msg.h>

#define MSP_SIG0_BRACKET_S 300
#define MSP_SIG0_RR_MAX    (11 + 18 + MSP_NAME_MAX + MSP_SIGNATURE_MAX)

/** Limits of the receiver (PROTOCOL C.3 step 5). */
struct msp_sig0_policy {
	uint32_t skew_s;             /* default 10 */
	uint32_t max_window_s;       /* default 900 */
	uint32_t algorithms;         /* bit n = algorithm n allowed; default 8, 13, 14, 15, 16 */
	bool response_omits_request; /* compat: try the form without the request too (PROTOCOL C.2) */
};
extern const struct msp_sig0_policy msp_sig0_policy_default;

/**
 * Append a SIG(0) to the finished message msg[0..*len); ARCOUNT goes up by one.
 * @param request what this message answers, exactly as received; empty span for a request. It must have parsed: a
 * signed answer to a malformed message could be cut so that request and answer together read as one request of ours.
 * Signed window: now-300 .. now+300. @return MSP_OK, MSP_ENOSPACE, MSP_ECRYPTO
 */
MSP_CHECKED enum msp_err msp_sig0_sign(const struct msp_key *key, struct msp_wall now, struct msp_span request,
				       uint8_t *msg, size_t *len, size_t cap);
/** For a TCP answer stream from the second message on: covers the prior message as sent (PROTOCOL C.2; unconfirmed by
 * others). */
MSP_CHECKED enum msp_err msp_sig0_sign_next(const struct msp_key *key, struct msp_wall now, struct msp_span prior,
					    uint8_t *msg, size_t *len, size_t cap);

/** What the SIG(0) of a message claims; nothing here is verified. */
struct msp_sig0_claim {
	struct msp_rrsig sig; /* signer, tag, algorithm, times, signature; spans borrow the message */
};
/** Cheap checks: present (else MSP_EUNSIGNED), RDATA well-formed, signature length fits the algorithm. */
MSP_CHECKED enum msp_err msp_sig0_claim(const struct msp_msg *m, struct msp_sig0_claim *out);
/** Steps 4 and 5 of PROTOCOL C.3: algorithm allowed (MSP_EALG), time (MSP_ETIME). No public-key work. */
MSP_CHECKED enum msp_err msp_sig0_check_time(const struct msp_sig0_claim *c, const struct msp_sig0_policy *p,
					     struct msp_wall now);
/**
 * Step 9: the public-key check with one candidate key (owner, algorithm and tag must match: MSP_ENOKEY; zone-key flag
 * set: MSP_EVALUE).
 * @param request for a response: the request as sent; else empty.
 */
MSP_CHECKED enum msp_err msp_sig0_verify(const struct msp_msg *m, const struct msp_sig0_claim *c,
					 const struct msp_key *key, struct msp_span request,
					 const struct msp_sig0_policy *p);
/** As above for the nth (n >= 2) message of a stream. */
MSP_CHECKED enum msp_err msp_sig0_verify_next(const struct msp_msg *m, const struct msp_sig0_claim *c,
					      const struct msp_key *key, struct msp_span prior);
/** Exactly the octets that are signed (tests compare them with the vectors). */
MSP_CHECKED enum msp_err msp_sig0_tbs(const struct msp_msg *m, const struct msp_sig0_claim *c, struct msp_span request,
				      struct msp_buf *out);

#endif
