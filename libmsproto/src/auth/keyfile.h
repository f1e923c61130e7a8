/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The text of a private key file ("Private-key-format: v1.3") to octets and back. No file access here.
 * @source the format that BIND's dnssec-keygen writes; PROTOCOL C.4
 */
#ifndef AUTH_KEYFILE_H
#define AUTH_KEYFILE_H

#include <msproto/base/buf.h>

#define MSP_KEYFILE_MAX       (16 * 1024) /* octets of one file; RSA-4096 needs about 3,500 */
#define MSP_KEYFILE_LINE_MAX  1024
#define MSP_KEYFILE_LINES_MAX 64
#define MSP_KEYFILE_FIELD_MAX 512 /* octets: one RSA-4096 number */

enum msp_keyfile_field {
	MSP_KF_PRIVATE, /* the only one for algorithms 13 to 16 */
	MSP_KF_MODULUS,
	MSP_KF_PUBLIC_EXPONENT,
	MSP_KF_PRIVATE_EXPONENT,
	MSP_KF_PRIME1,
	MSP_KF_PRIME2,
	MSP_KF_EXPONENT1,
	MSP_KF_EXPONENT2,
	MSP_KF_COEFFICIENT,
	MSP_KF__N
};

/** Secret: wipe with msp_wipe when done. A field of length 0 is absent. */
struct msp_keyfile {
	uint8_t alg;
	size_t len[MSP_KF__N];
	uint8_t oct[MSP_KF__N][MSP_KEYFILE_FIELD_MAX];
};

/**
 * All fields that the algorithm needs are there and no other; dates and unknown fields are ignored.
 * @return MSP_OK, MSP_EFORMAT, MSP_EALG, MSP_ELIMIT, MSP_ENOMEM. `why` never holds key material.
 */
MSP_CHECKED enum msp_err msp_keyfile_parse(struct msp_span text, struct msp_keyfile *out, struct msp_why *why);
/** @param out initialised; reserve MSP_KEYFILE_MAX first so that no copy of the secret is left in freed memory. */
MSP_CHECKED enum msp_err msp_keyfile_print(const struct msp_keyfile *kf, struct msp_buf *out);

#endif
