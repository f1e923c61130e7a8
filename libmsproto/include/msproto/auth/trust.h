/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Keyring, replay memory and the whole verification order; the only maker of a struct msp_authmsg. What is not a
 * msp_authmsg was not verified.
 * @source PROTOCOL C.3 (order), C.5 (replay)
 */
#ifndef MSPROTO_AUTH_TRUST_H
#define MSPROTO_AUTH_TRUST_H

#include <msproto/auth/sig0.h>
#include <msproto/auth/tsig.h>
#include <msproto/base/map.h>
#include <msproto/msg/edns.h>

/** SIG(0) public keys by owner name. At most MSP_KEYRING_SAME_TAG keys of one owner share algorithm and tag. */
#define MSP_KEYRING_PER_OWNER 16
#define MSP_KEYRING_SAME_TAG  4
struct msp_keyring;
MSP_CHECKED enum msp_err msp_keyring_new(size_t max_owners, struct msp_keyring **out);
void msp_keyring_free(struct msp_keyring **ring);
/** Replace all keys of an owner by those in the KEY RDATAs that are usable; *usable says how many. 0 usable removes the
 * owner.
 *  @return MSP_OK, MSP_ELIMIT (too many, or too many with one tag: nothing changed) */
MSP_CHECKED enum msp_err msp_keyring_set(struct msp_keyring *ring, const struct msp_name *owner,
					 const struct msp_span *rdata, size_t count, size_t *usable);
void msp_keyring_drop(struct msp_keyring *ring, const struct msp_name *owner);
bool msp_keyring_has(const struct msp_keyring *ring, const struct msp_name *owner);

/** Replay memory: SHA-256 of accepted signatures until they expire. LRU, at least 65,536 entries (PROTOCOL C.5).
 *  Of an ECDSA signature r | s only r counts: (r, -s) is valid, too, and anybody can compute it. */
struct msp_replay;
MSP_CHECKED enum msp_err msp_replay_new(size_t max, struct msp_replay **out);
void msp_replay_free(struct msp_replay **r);
/** For persistence: entries accepted can be listed and put back. */
typedef void msp_replay_fn(void *arg, const uint8_t digest[32], struct msp_wall until);
void msp_replay_list(const struct msp_replay *r, msp_replay_fn *fn, void *arg);
void msp_replay_restore(struct msp_replay *r, const uint8_t digest[32], struct msp_wall until);

/** Who signed, how; the only proof of verification. Opaque. */
struct msp_authmsg;
enum msp_auth_method { MSP_AUTH_SIG0, MSP_AUTH_TSIG };
const struct msp_msg *msp_authmsg_msg(const struct msp_authmsg *a);
/** Signer name (SIG(0)) or key name (TSIG). */
const struct msp_name *msp_authmsg_signer(const struct msp_authmsg *a);
enum msp_auth_method msp_authmsg_method(const struct msp_authmsg *a);
uint16_t msp_authmsg_key_tag(const struct msp_authmsg *a);
void msp_authmsg_free(struct msp_authmsg **a);

/** What a verification works with. All borrowed. */
struct msp_trust {
	const struct msp_keyring *ring;
	struct msp_replay *replay; /* NULL: no replay check (responses) */
	const struct msp_sig0_policy *policy;
};
/** Outcome when the same message (same signature) was accepted before. */
enum msp_seen { MSP_SEEN_NEW, MSP_SEEN_BEFORE };
/**
 * Verify a SIG(0)-signed request: claim, key known, algorithm, time, public key, replay - in the order of PROTOCOL C.3
 * with the key look-up before any public-key work.
 * @param m borrowed until the authmsg is freed.
 * @return MSP_OK; MSP_EUNSIGNED, MSP_EFORMAT, MSP_EALG, MSP_ETIME, MSP_ENOKEY, MSP_ESIG, MSP_EREPLAY.
 */
MSP_CHECKED enum msp_err msp_trust_request(const struct msp_trust *t, const struct msp_msg *m, struct msp_wall now,
					   struct msp_authmsg **out, struct msp_why *why);
/** Verify a response to `request` (as sent). expect: the signer's name that it must have. */
MSP_CHECKED enum msp_err msp_trust_response(const struct msp_trust *t, const struct msp_msg *m, struct msp_span request,
					    const struct msp_name *expect, struct msp_wall now,
					    struct msp_authmsg **out, struct msp_why *why);
/** A TSIG-verified request. ctx is ready for the answer. error as msp_tsig_verify_request. */
MSP_CHECKED enum msp_err msp_trust_tsig(const struct msp_msg *m, msp_tsig_find_fn *find, void *arg, struct msp_wall now,
					struct msp_tsig_ctx *ctx, enum msp_tsig_error *error, struct msp_authmsg **out);

/** The RCODE and EDE that PROTOCOL B.5 gives for a verification failure. has_edns: the request had an OPT. *ede 0: none
 * of ours. */
void msp_trust_refusal(enum msp_err err, bool has_edns, unsigned *rcode, enum msp_ede_own *ede);

#endif
