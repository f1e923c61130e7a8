/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * An RRset as a value on the heap: owner, type, TTL and a set of RDATAs, kept sorted in canonical order without
 * duplicates. Class is IN. Not shared: whoever holds one owns it.
 */
#ifndef MSPROTO_WIRE_RRSET_H
#define MSPROTO_WIRE_RRSET_H

#include <msproto/wire/rr.h>

struct msp_rrset {
	struct msp_name owner;
	uint16_t type;
	uint32_t ttl;           /* seconds */
	size_t count, size;     /* RDATAs held, slots allocated */
	struct msp_span *rdata; /* owned, each with its own octets */
};
#define MSP_RRSET_MAX 65536 /* RDATAs */

MSP_CHECKED enum msp_err msp_rrset_new(const struct msp_name *owner, uint16_t type, uint32_t ttl,
				       struct msp_rrset **out);
void msp_rrset_free(struct msp_rrset **set);
/** Copy the RDATA in. A duplicate (msp_rdata_equal) is MSP_OK and changes nothing. */
MSP_CHECKED enum msp_err msp_rrset_add(struct msp_rrset *set, struct msp_span rdata);
/** True when it was there. */
bool msp_rrset_del(struct msp_rrset *set, struct msp_span rdata);
bool msp_rrset_has(const struct msp_rrset *set, struct msp_span rdata);
MSP_CHECKED enum msp_err msp_rrset_dup(const struct msp_rrset *set, struct msp_rrset **out);
/** Same owner, type and RDATAs; TTL not compared. NULL equals NULL and an empty set. */
bool msp_rrset_equal(const struct msp_rrset *a, const struct msp_rrset *b);
/** Add all of `from` (NULL = empty). */
MSP_CHECKED enum msp_err msp_rrset_merge(struct msp_rrset *into, const struct msp_rrset *from);
/** Remove all of `what` (NULL = empty) from `from`. */
void msp_rrset_subtract(struct msp_rrset *from, const struct msp_rrset *what);
/** Every RDATA of `part` (NULL = empty) is in `whole`. */
bool msp_rrset_contains(const struct msp_rrset *whole, const struct msp_rrset *part);
/** Serialise as uncompressed records (owner type class ttl rdlength rdata), and back: for the store and digests. */
MSP_CHECKED enum msp_err msp_rrset_write(const struct msp_rrset *set, struct msp_buf *out);
/** Reads all records in the octets into one set; they must share owner and type. Empty octets: *out = NULL. */
MSP_CHECKED enum msp_err msp_rrset_read(struct msp_span octets, struct msp_rrset **out);

#endif
