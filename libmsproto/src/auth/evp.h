/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The DNSSEC algorithms on OpenSSL's EVP interface: one row per algorithm. Internal to auth.
 * @source RFC 3110, RFC 5702, RFC 6605, RFC 8080, PROTOCOL C.4
 */
#ifndef AUTH_EVP_H
#define AUTH_EVP_H

#include "auth/keyfile.h"

#include <openssl/evp.h>
#include <stdatomic.h>

struct msp_evp_alg {
	uint8_t number;
	const char *name;
	const char *type;     /* key type as OpenSSL calls it */
	const char *group;    /* curve; NULL when the type says all */
	const char *digest;   /* NULL: one-shot algorithm without a digest of its own */
	size_t public_len;    /* octets of the public key field; 0: variable (RSA) */
	size_t private_len;   /* octets of PrivateKey */
	size_t signature_len; /* octets on the wire; 0: as the modulus */
};

#define MSP_RSA_BITS_MIN 2048
#define MSP_RSA_BITS_MAX 4096
#define MSP_PUBLIC_MAX   (3 + 5 + MSP_RSA_BITS_MAX / 8) /* octets of the longest public key field */

/** NULL when not one of the five. */
const struct msp_evp_alg *msp_evp_alg(uint8_t number);

/** @return MSP_OK, MSP_EFORMAT, MSP_EVALUE (size, exponent, point not on the curve), MSP_ECRYPTO, MSP_ENOMEM */
MSP_CHECKED enum msp_err msp_evp_public(const struct msp_evp_alg *alg, struct msp_span field, EVP_PKEY **out);
/** `field`: the public half, which the private key must fit (MSP_EVALUE otherwise). */
MSP_CHECKED enum msp_err msp_evp_private(const struct msp_evp_alg *alg, const struct msp_keyfile *kf,
					 struct msp_span field, EVP_PKEY **out);
MSP_CHECKED enum msp_err msp_evp_generate(const struct msp_evp_alg *alg, EVP_PKEY **out);
/** The public key field of KEY and DNSKEY; `out` holds MSP_PUBLIC_MAX octets. */
MSP_CHECKED enum msp_err msp_evp_export_public(const struct msp_evp_alg *alg, const EVP_PKEY *pkey, uint8_t *out,
					       size_t *len);
MSP_CHECKED enum msp_err msp_evp_export_private(const struct msp_evp_alg *alg, const EVP_PKEY *pkey,
						struct msp_keyfile *out);
/**
 * What was set up for signatures with one key, or for verifying them, and can be used for more: that costs as much as a
 * third of a signature. Any thread; one that finds nothing makes its own. Start zeroed.
 */
#define MSP_EVP_SPARES 4
struct msp_evp_spares {
	_Atomic(EVP_PKEY_CTX *) ctx[MSP_EVP_SPARES]; /* owned */
};
void msp_evp_spares_fini(struct msp_evp_spares *spares);

/** A public ECDSA key that becomes another one of the same curve by putting another point in. */
struct msp_evp_mould {
	EVP_PKEY *pkey; /* owned */
	struct msp_evp_spares verifying;
};
/** Those that are not in use. Any thread. Lives as long as somebody holds it. */
struct msp_evp_moulds {
	atomic_uint holders;
	_Atomic(struct msp_evp_mould *) spare[MSP_EVP_SPARES]; /* owned */
};
/** NULL: no memory. Held once. */
struct msp_evp_moulds *msp_evp_moulds_new(void);
/** NULL allowed. */
void msp_evp_moulds_leave(struct msp_evp_moulds *moulds);
/** ECDSA only. As msp_evp_public. `model`: any key of this curve. Holds `moulds` until it is given back. */
MSP_CHECKED enum msp_err msp_evp_mould_take(const struct msp_evp_alg *alg, const EVP_PKEY *model,
					    struct msp_evp_moulds *moulds, struct msp_span field,
					    struct msp_evp_mould **out);
void msp_evp_mould_give(struct msp_evp_moulds *moulds, struct msp_evp_mould *mould);

/** Signature in DNS form. spares: of this very key; NULL allowed. *len in: space, out: octets written.
 * @return MSP_OK, MSP_ENOSPACE, MSP_ECRYPTO */
MSP_CHECKED enum msp_err msp_evp_sign(const struct msp_evp_alg *alg, EVP_PKEY *pkey, struct msp_evp_spares *spares,
				      struct msp_span data, uint8_t *sig, size_t *len);
/** spares: of this very key, for verifying alone; NULL allowed. @return MSP_OK, MSP_ESIG, MSP_ECRYPTO */
MSP_CHECKED enum msp_err msp_evp_verify(const struct msp_evp_alg *alg, EVP_PKEY *pkey, struct msp_evp_spares *spares,
					struct msp_span data, struct msp_span sig);

#endif
