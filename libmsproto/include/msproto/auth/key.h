/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Public and private keys: from KEY/DNSKEY RDATA, from and to BIND's key files, sign and verify octets.
 * Algorithms: 8 RSASHA256, 13 ECDSAP256SHA256, 14 ECDSAP384SHA384, 15 ED25519, 16 ED448.
 * @source RFC 3110, RFC 5702, RFC 6605, RFC 8080, PROTOCOL C.4
 */
#ifndef MSPROTO_AUTH_KEY_H
#define MSPROTO_AUTH_KEY_H

#include <msproto/base/buf.h>
#include <msproto/wire/rdata.h>

enum msp_alg {
	MSP_ALG_RSASHA256 = 8,
	MSP_ALG_ECDSAP256 = 13,
	MSP_ALG_ECDSAP384 = 14,
	MSP_ALG_ED25519 = 15,
	MSP_ALG_ED448 = 16
};
#define MSP_SIGNATURE_MAX 1024 /* octets, RSA-4096 needs 512 */

struct msp_key; /* opaque: owner name, KEY RDATA, tag, algorithm, and the EVP key; immutable after creation */

/** Whether the algorithm is one of the five. */
bool msp_alg_known(uint8_t alg);
/** "ED25519" or "ALG77"-style static text; and back (also decimal). */
const char *msp_alg_name(uint8_t alg);
MSP_CHECKED enum msp_err msp_alg_from_text(const char *text, uint8_t *out);

/**
 * A public key from KEY or DNSKEY RDATA. Checks protocol 3, algorithm, key size (RSA 2048..4096, exponent odd, <=
 * 2^33).
 * @return MSP_OK, MSP_EALG, MSP_EFORMAT, MSP_EVALUE, MSP_ENOMEM, MSP_ECRYPTO
 */
MSP_CHECKED enum msp_err msp_key_from_rdata(const struct msp_name *owner, struct msp_span rdata, struct msp_key **out);
/**
 * A private key from BIND's file pair: `path` is the .private file; the .key file beside it gives owner and RDATA.
 * The .private file must be mode 0600 or stricter. The public half must match.
 * @return as above, MSP_EIO, MSP_ECONF (mode), with the reason in why.
 */
MSP_CHECKED enum msp_err msp_key_load(const char *path, struct msp_key **out, struct msp_why *why);
/** Make a new key. flags: 0 for SIG(0). */
MSP_CHECKED enum msp_err msp_key_generate(const struct msp_name *owner, uint8_t alg, uint16_t flags,
					  struct msp_key **out);
/** Write K<name>+<alg>+<tag>.key and .private (0600, fsynced, renamed) into `dir`; the .private path goes to `path`
 * (path_len octets). type_name: "KEY" or "DNSKEY". Existing files are not overwritten (MSP_EEXIST). */
MSP_CHECKED enum msp_err msp_key_save(const struct msp_key *key, const char *dir, const char *type_name, char *path,
				      size_t path_len, struct msp_why *why);
void msp_key_free(struct msp_key **key);

const struct msp_name *msp_key_owner(const struct msp_key *key);
struct msp_span msp_key_rdata(const struct msp_key *key);
uint8_t msp_key_alg(const struct msp_key *key);
uint16_t msp_key_id(const struct msp_key *key); /* key tag */
bool msp_key_is_private(const struct msp_key *key);

/** DNS form of the signature (r||s for ECDSA). *len in: space, out: octets written. */
MSP_CHECKED enum msp_err msp_key_sign(const struct msp_key *key, struct msp_span data, uint8_t *sig, size_t *len);
/** Length the signature of this key has on the wire. */
size_t msp_key_sig_len(const struct msp_key *key);
/** @return MSP_OK, MSP_ESIG, MSP_ECRYPTO */
MSP_CHECKED enum msp_err msp_key_verify(const struct msp_key *key, struct msp_span data, struct msp_span sig);
/** Tests: public-key operations (verify) done by this thread since start. "cost no public-key work" is asserted with
 * it. */
uint64_t msp_key_verify_count(void);

/**
 * As msp_key_from_rdata, for keys that are needed for a moment: to set up an ECDSA key costs a tenth of a verification,
 * and is done once for several that follow each other. `model`: a private key of the same algorithm (else, or NULL: the
 * usual way). Nothing but its curve is used of it. Any thread.
 */
MSP_CHECKED enum msp_err msp_key_from_rdata_like(const struct msp_key *model, const struct msp_name *owner,
						 struct msp_span rdata, struct msp_key **out);

#endif
