/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The records that children look for at a parent. Pure. @source RFC 9859 2.1, PROTOCOL A.3, G.1 */
#ifndef PRT_RECORDS_H
#define PRT_RECORDS_H

#include <msproto/base/addr.h>
#include <msproto/wire/rrset.h>

#define PRT_RECORD_ADDRESSES 16

/** The records of one parent as RRsets, sorted by owner and type. */
struct prt_records {
	struct msp_rrset **set; /* owned */
	size_t count;
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
	const struct msp_numbers *numbers;
};
MSP_CHECKED enum msp_err prt_records_make(const struct prt_records_in *in, struct prt_records *out);
void prt_records_fini(struct prt_records *r);
/** Sorted, so that equal content has equal octets: for digests and comparison. */
MSP_CHECKED enum msp_err prt_records_write(const struct prt_records *r, struct msp_buf *out);
/** NULL = there is none. */
const struct msp_rrset *prt_records_get(const struct prt_records *r, const struct msp_name *owner, uint16_t type);
/** Whether there is something at this name, or below it. */
bool prt_records_has_name(const struct prt_records *r, const struct msp_name *owner);

#endif
