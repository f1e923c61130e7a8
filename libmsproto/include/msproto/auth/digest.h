/* SPDX-License-Identifier: BSD-2-Clause */
/** @file SHA-256 and SHA-384 over a list of spans; SHA-384 and SHA-512 over octets that come bit by bit. */
#ifndef MSPROTO_AUTH_DIGEST_H
#define MSPROTO_AUTH_DIGEST_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>

MSP_CHECKED enum msp_err msp_sha256(const struct msp_span *parts, size_t count, uint8_t out[32]);
MSP_CHECKED enum msp_err msp_sha384(const struct msp_span *parts, size_t count, uint8_t out[48]);

/** Incremental, for what is too large to be held at once. May be used by one thread at a time. */
enum msp_hash_alg { MSP_HASH_SHA384, MSP_HASH_SHA512 };
#define MSP_DIGEST_MAX 64 /* octets of the longest */
struct msp_digest;
/** @return MSP_OK, MSP_ENOMEM, MSP_ECRYPTO */
MSP_CHECKED enum msp_err msp_digest_new(enum msp_hash_alg alg, struct msp_digest **out);
/** An error sticks until msp_digest_final. */
void msp_digest_add(struct msp_digest *d, struct msp_span octets);
/** Writes *len octets (48 or 64). Once. @return MSP_OK, MSP_ECRYPTO */
MSP_CHECKED enum msp_err msp_digest_final(struct msp_digest *d, uint8_t out[MSP_DIGEST_MAX], size_t *len);
/** NULL allowed. */
void msp_digest_free(struct msp_digest **d);

#endif
