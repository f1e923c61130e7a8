/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The records that children look for at a parent. Pure. @source RFC 9859 2.1, PROTOCOL A.3, G.1 */
#ifndef PRT_RECORDS_H
#define PRT_RECORDS_H

#include <msproto/base/addr.h>
#include <msproto/wire/rrset.h>

#define PRT_RECORD_ADDRESSES 16
#define PRT_RECORD_CHILDREN  256 /* of one parent, with DSYNC records of their own: they fit one UPDATE */

/** RRsets, in canonical order of owner (RFC 4034 6.1), then by type. */
struct prt_records {
	struct msp_rrset **set; /* owned */
	size_t count, room;
};

/**
 * A child to which something else is announced than to the others. Nothing at all is one record of the null scheme: a
 * name without DSYNC would only send the child on to _dsync.<parent> (RFC 9859 4.1, PROTOCOL G.2).
 */
struct prt_dsync_child {
	struct msp_name zone, target; /* zone: below the parent */
	uint16_t port;
	bool update, cds, csync;
};

struct prt_records_in {
	const struct msp_name *parent, *target;
	const struct msp_span *key; /* own KEY RDATAs: all that are published */
	size_t key_count;
	struct msp_addr address[PRT_RECORD_ADDRESSES];
	size_t address_count;
	const char *bootstrap; /* "at-apex,manual"; NULL: no SVCB */
	uint16_t port;
	uint32_t ttl;
	bool update, cds, csync, wildcard, plain;
	const struct prt_dsync_child *child; /* each zone once */
	size_t child_count;
	const struct msp_numbers *numbers;
};
/**
 * Names below _dsync.<parent> that exist keep its wildcard from whatever is at or below them (RFC 4592 2.2.2, 3.3.1):
 * where there are such names (of a child of several labels, of a target below _dsync) the wildcard's records come
 * again.
 * @return MSP_OK, MSP_ENAME (a name gets too long), MSP_ELIMIT
 */
MSP_CHECKED enum msp_err prt_records_make(const struct prt_records_in *in, struct prt_records *out);
void prt_records_fini(struct prt_records *r);
/** Sorted, so that equal content has equal octets: for digests and comparison. */
MSP_CHECKED enum msp_err prt_records_write(const struct prt_records *r, struct msp_buf *out);
/** What prt_records_write has written. No octets: no records, to be filled by prt_records_merge. MSP_ECORRUPT. */
MSP_CHECKED enum msp_err prt_records_read(struct msp_span octets, struct prt_records *out);
/** Those of `from`, too. With an error a part of them may be there. `into` is initialised. */
MSP_CHECKED enum msp_err prt_records_merge(struct prt_records *into, const struct prt_records *from);
/** Records that are in `what` go, whatever their TTL. */
void prt_records_subtract(struct prt_records *from, const struct prt_records *what);
/** NULL = there is none. */
const struct msp_rrset *prt_records_get(const struct prt_records *r, const struct msp_name *owner, uint16_t type);
/** Whether there is something at this name, or below it. */
bool prt_records_has_name(const struct prt_records *r, const struct msp_name *owner);

#endif
