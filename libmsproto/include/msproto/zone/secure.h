/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * An RRset that was validated by DNSSEC: a type of its own, made only by the resolver (io/resolve.c; tests have their
 * maker).
 */
#ifndef MSPROTO_ZONE_SECURE_H
#define MSPROTO_ZONE_SECURE_H

#include <msproto/wire/rrset.h>

struct msp_secure_rrset; /* opaque */

/** The records. Borrowed from the secure RRset. */
const struct msp_rrset *msp_secure_get(const struct msp_secure_rrset *s);
void msp_secure_free(struct msp_secure_rrset **s);

/** What came of a validated look-up. Only MSP_LOOKUP_SECURE carries records. */
enum msp_lookup {
	MSP_LOOKUP_SECURE,        /* records, validated */
	MSP_LOOKUP_NODATA,        /* securely denied: name or type does not exist */
	MSP_LOOKUP_INSECURE,      /* an answer, but from an unsigned zone */
	MSP_LOOKUP_BOGUS,         /* validation failed */
	MSP_LOOKUP_INDETERMINATE, /* no trust anchor covers it */
	MSP_LOOKUP_TIMEOUT,
	MSP_LOOKUP_FAILED /* resolver error, worker died */
};
const char *msp_lookup_name(enum msp_lookup l); /* "secure", "nodata", ... */

#endif
