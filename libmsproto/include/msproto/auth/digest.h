/* SPDX-License-Identifier: BSD-2-Clause */
/** @file SHA-256 and SHA-384 over a list of spans. */
#ifndef MSPROTO_AUTH_DIGEST_H
#define MSPROTO_AUTH_DIGEST_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>

MSP_CHECKED enum msp_err msp_sha256(const struct msp_span *parts, size_t count, uint8_t out[32]);
MSP_CHECKED enum msp_err msp_sha384(const struct msp_span *parts, size_t count, uint8_t out[48]);

#endif
