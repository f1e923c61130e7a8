/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The maker of secure RRsets. Not installed: io/resolve.c includes it after validation, and so may tests; nobody
 * else. */
#ifndef MSPROTO_ZONE_SECURE_MAKE_H
#define MSPROTO_ZONE_SECURE_MAKE_H

#include <msproto/zone/secure.h>

/**
 * Wrap an RRset whose DNSSEC validation succeeded.
 * @param[in,out] steal not NULL inside; taken over and cleared on MSP_OK, left alone otherwise.
 * @return MSP_OK or MSP_ENOMEM
 */
MSP_CHECKED enum msp_err msp_secure_make(struct msp_rrset **steal, struct msp_secure_rrset **out);

#endif
