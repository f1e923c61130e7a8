/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The ZONEMD digest of a combined zone, from its pages, without holding the zone in memory. Pure; runs in any thread.
 * Scheme SIMPLE with SHA-384 and SHA-512. @source RFC 8976 3.1, 3.3, 3.4; RFC 4034 6
 */
#ifndef CMB_ZONEMD_H
#define CMB_ZONEMD_H

#include "apex.h"

/** RFC 8976 5.2, 5.3 */
#define CMB_ZONEMD_SIMPLE 1
enum cmb_zonemd_hash { CMB_ZONEMD_SHA384 = 1, CMB_ZONEMD_SHA512 = 2 };
#define CMB_ZONEMD_HASH_BIT(h) (1u << (h))

/** Records of one owner name, in canonical form, are gathered in memory: at most so many octets. */
#define CMB_ZONEMD_NAME_MAX (64u << 20)
/** Zones whose names arrive in no order at all are sorted in memory, 16 octets a record: at most so many records. */
#define CMB_ZONEMD_SORT_MAX (8u << 20)

/** The next page: a message as in pages.h. Valid until cmb_zonemd_digest has returned. MSP_ENOTFOUND: that was all. */
typedef enum msp_err cmb_zonemd_page_fn(void *arg, struct msp_span *msg);
/** Asked now and then; true: stop with MSP_ECANCEL. */
typedef bool cmb_zonemd_stop_fn(void *arg);

struct cmb_zonemd_params {
	struct msp_name zone;
	struct msp_span apex; /* uncompressed records that are not in the pages: SOA and so on, without ZONEMD */
	cmb_zonemd_page_fn *page;
	cmb_zonemd_stop_fn *stop; /* NULL = never */
	void *arg;                /* of both */
	unsigned hashes;          /* CMB_ZONEMD_HASH_BIT(...) of those wanted */
};
struct cmb_zonemd_result {
	uint64_t records; /* digested */
	uint8_t sha384[48], sha512[64];
};
/** @return MSP_OK; MSP_ELIMIT with the reason; MSP_ECORRUPT, MSP_ENOMEM, MSP_ECRYPTO, MSP_ECANCEL */
MSP_CHECKED enum msp_err cmb_zonemd_digest(const struct cmb_zonemd_params *p, struct cmb_zonemd_result *out,
					   struct msp_why *why);

/** The hashes of the owner's ZONEMD RRset (NULL = none) that can be made here, as bits. */
unsigned cmb_zonemd_hashes(const struct msp_rrset *zonemd);
/** The RRset with one record for each hash; owner name and TTL as in `like`. */
MSP_CHECKED enum msp_err cmb_zonemd_make(const struct msp_rrset *like, uint32_t serial, unsigned hashes,
					 const struct cmb_zonemd_result *r, struct msp_rrset **out);

#endif
