/* SPDX-License-Identifier: BSD-2-Clause */
/** @file TSIG. @source RFC 8945, PROTOCOL C.6 */
#ifndef MSPROTO_AUTH_TSIG_H
#define MSPROTO_AUTH_TSIG_H

#include <msproto/base/clock.h>
#include <msproto/msg/msg.h>

#define MSP_TSIG_FUDGE_S 300 /* what is sent, and the most that is accepted */
#define MSP_TSIG_MAC_MAX 64
#define MSP_TSIG_RR_MAX  512 /* room to leave for one TSIG record (names up to 255 uncompressed + MAC 64) */

enum msp_tsig_alg { MSP_TSIG_SHA256, MSP_TSIG_SHA384, MSP_TSIG_SHA512, MSP_TSIG__N };
enum msp_tsig_error {
	MSP_TSIG_NOERROR = 0,
	MSP_TSIG_BADSIG = 16,
	MSP_TSIG_BADKEY = 17,
	MSP_TSIG_BADTIME = 18,
	MSP_TSIG_BADTRUNC = 22
};

struct msp_tsig_key; /* opaque: name, algorithm, secret (wiped on free) */
MSP_CHECKED enum msp_err msp_tsig_key_new(const struct msp_name *name, enum msp_tsig_alg alg, struct msp_span secret,
					  struct msp_tsig_key **out);
/** For what goes on when the configuration that the key is from has gone. @return MSP_OK, MSP_ENOMEM, MSP_ECRYPTO */
MSP_CHECKED enum msp_err msp_tsig_key_dup(const struct msp_tsig_key *key, struct msp_tsig_key **out);
void msp_tsig_key_free(struct msp_tsig_key **key);
const struct msp_name *msp_tsig_key_name(const struct msp_tsig_key *key);
/** "hmac-sha256" ..., with or without final dot, any case. */
MSP_CHECKED enum msp_err msp_tsig_alg_from_text(const char *text, enum msp_tsig_alg *out);
const char *msp_tsig_alg_name(enum msp_tsig_alg alg);

/** State between the messages of one transaction (request -> response, or a transfer's stream). Plain value. */
struct msp_tsig_ctx {
	const struct msp_tsig_key *key; /* borrowed */
	uint8_t mac[MSP_TSIG_MAC_MAX];  /* the prior MAC */
	size_t mac_len;
	bool first_done;          /* a response message has been signed or verified */
	unsigned unsigned_run;    /* received without TSIG since the last signed one (at most 99) */
	struct msp_tsig_run *run; /* owned: running HMAC over unsigned messages; NULL when none */
};
/** Release what ctx owns. Legal on a zeroed ctx. */
void msp_tsig_ctx_fini(struct msp_tsig_ctx *ctx);

/**
 * Append a TSIG to a request at msg[0..*len), cap octets available; *len grows. ctx is initialised for the answer.
 * @return MSP_OK, MSP_ENOSPACE, MSP_ECRYPTO
 */
MSP_CHECKED enum msp_err msp_tsig_sign_request(const struct msp_tsig_key *key, struct msp_wall now, uint8_t *msg,
					       size_t *len, size_t cap, struct msp_tsig_ctx *ctx);
/** Append a TSIG to the next answer message (the first one covers the request's MAC, later ones the prior MAC). */
MSP_CHECKED enum msp_err msp_tsig_sign_response(struct msp_tsig_ctx *ctx, struct msp_wall now, uint8_t *msg,
						size_t *len, size_t cap);
/**
 * The same for a message that lies in pieces, e.g. a memory map, and is sent from there: compute the TSIG of the next
 * answer message, which is the concatenation of `part`, and write only the TSIG record to rr.
 *
 * @param part  part[0] holds at least the header, as it will be sent but with ARCOUNT as *before* the TSIG is added
 *              (RFC 8945 4.3.2); the caller adds one to it when it sends. Borrowed. count >= 1.
 * @param id_original  what goes into Original ID: the ID of the message as the requester will know it.
 * @param[out] len     octets written to rr; set on MSP_OK only. MSP_TSIG_RR_MAX is always room enough.
 * @return MSP_OK, MSP_ENOSPACE (cap, or ARCOUNT is full), MSP_ECRYPTO; ctx is unchanged unless MSP_OK.
 */
MSP_CHECKED enum msp_err msp_tsig_sign_parts(struct msp_tsig_ctx *ctx, struct msp_wall now, const struct msp_span *part,
					     size_t count, uint16_t id_original, uint8_t *rr, size_t *len, size_t cap);
/**
 * Append the error TSIG of RFC 8945 5.2/5.3: BADKEY and BADSIG unsigned with empty MAC, BADTIME signed with the
 * server's time. `req` is the request that failed. key NULL for BADKEY.
 */
MSP_CHECKED enum msp_err msp_tsig_sign_error(const struct msp_msg *req, const struct msp_tsig_key *key,
					     enum msp_tsig_error error, struct msp_wall now, uint8_t *msg, size_t *len,
					     size_t cap);

/** Look-up of a key by name and algorithm; NULL = unknown. */
typedef const struct msp_tsig_key *msp_tsig_find_fn(void *arg, const struct msp_name *name, enum msp_tsig_alg alg);
/**
 * Verify a request (order: key, MAC, time, truncation).
 * @return MSP_OK (ctx ready for signing the answer), MSP_EUNSIGNED, MSP_ENOKEY, MSP_ESIG, MSP_ETIME (ctx->key set),
 *         MSP_EALG (algorithm not known: BADKEY on the wire), MSP_EFORMAT; *error is what the answer's TSIG must carry.
 */
MSP_CHECKED enum msp_err msp_tsig_verify_request(const struct msp_msg *req, msp_tsig_find_fn *find, void *arg,
						 struct msp_wall now, struct msp_tsig_ctx *ctx,
						 enum msp_tsig_error *error);
/**
 * Verify the next answer message of a transaction started with msp_tsig_sign_request. The first must be signed; later
 * ones may go unsigned up to 99 in a row.
 * @param is_last the caller knows that no message follows: it must be signed.
 */
MSP_CHECKED enum msp_err msp_tsig_verify_response(struct msp_tsig_ctx *ctx, const struct msp_msg *resp, bool is_last,
						  struct msp_wall now, struct msp_why *why);
/**
 * The end of a transaction that has one answer: `err` is what the exchange came to. With MSP_OK the answer is parsed
 * and verified, and an RCODE other than NOERROR is MSP_ERCODE with its name in why. Releases ctx in any case.
 */
MSP_CHECKED enum msp_err msp_tsig_conclude(struct msp_tsig_ctx *ctx, enum msp_err err, struct msp_span answer,
					   struct msp_rr_scratch *scratch, struct msp_wall now, struct msp_why *why);
/** True when the last message verified was signed: what a transfer must check at its end. */
bool msp_tsig_complete(const struct msp_tsig_ctx *ctx);

#endif
