/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The apex RRsets that the combiner sets apart: the SOA, those that may be contributed (PROTOCOL E.1), and ZONEMD,
 * which goes wrong as soon as one of the others changes (PROTOCOL E.6). Everything else of a zone lives in pages and is
 * not touched.
 */
#ifndef CMB_APEX_H
#define CMB_APEX_H

#include <msproto/wire/rdata.h>
#include <msproto/wire/rrset.h>

/** name, RR type. Those before ZONEMD may be contributed (CDNSKEY and KEY only as extra-types). */
#define CMB_SLOT_MAP(X)                                                                                                \
	X(NS, NS)                                                                                                      \
	X(DNSKEY, DNSKEY)                                                                                              \
	X(CDS, CDS)                                                                                                    \
	X(CSYNC, CSYNC)                                                                                                \
	X(CDNSKEY, CDNSKEY)                                                                                            \
	X(KEY, KEY)                                                                                                    \
	X(ZONEMD, ZONEMD)
enum cmb_slot {
#define CMB_SLOT_ENUM(name, type) CMB_##name,
	CMB_SLOT_MAP(CMB_SLOT_ENUM)
#undef CMB_SLOT_ENUM
		CMB_SLOT__N
};
#define CMB_CONTRIB_SLOTS CMB_ZONEMD

uint16_t cmb_slot_type(enum cmb_slot slot);
/** False when the type is not set apart. */
bool cmb_slot_of(uint16_t type, enum cmb_slot *out);

struct cmb_apex {
	struct msp_rrset *soa;              /* owned; NULL = none */
	struct msp_rrset *set[CMB_SLOT__N]; /* owned; NULL = no such RRset */
};

/** Legal on a zeroed apex, which it leaves. */
void cmb_apex_fini(struct cmb_apex *a);
/** Add a record of a type that is set apart, or the SOA. An RRset gets the smallest of its TTLs; *ttl_differs says that
 * there were several. */
MSP_CHECKED enum msp_err cmb_apex_add(struct cmb_apex *a, const struct msp_rr *rr, bool *ttl_differs);
MSP_CHECKED enum msp_err cmb_apex_dup(const struct cmb_apex *a, struct cmb_apex *out);
/** As uncompressed records, and back. Reading: records of other types go to `other` (one RRset; NULL = they are an
 * error). */
MSP_CHECKED enum msp_err cmb_apex_write(const struct cmb_apex *a, struct msp_buf *out);
MSP_CHECKED enum msp_err cmb_apex_read(struct msp_span octets, struct cmb_apex *out, struct msp_rrset **other);
/** Same RRsets with the same TTLs in all slots that may be contributed. SOA and ZONEMD are not compared. */
bool cmb_apex_equal(const struct cmb_apex *a, const struct cmb_apex *b);
/** 0 when there is no SOA. */
uint32_t cmb_apex_serial(const struct cmb_apex *a);
/** A copy of a SOA RRset with another serial. */
MSP_CHECKED enum msp_err cmb_soa_with_serial(const struct msp_rrset *soa, uint32_t serial, struct msp_rrset **out);

/** NULL and empty count as the same, TTL included in the comparison. */
bool cmb_rrset_same(const struct msp_rrset *a, const struct msp_rrset *b);
static inline bool cmb_rrset_empty(const struct msp_rrset *s)
{
	return s == NULL || s->count == 0;
}

/** Where the pages of a generation are: runs of page numbers in which owner names are in canonical order. */
#define CMB_RUNS_MAX 8
struct cmb_layout {
	uint64_t first[CMB_RUNS_MAX]; /* number of each run's first page, ascending */
	uint8_t runs;
	bool is_unordered; /* more runs than that: records are found by looking at every page */
};

/** What is held of the owner: the apex as received, and where the pages are. */
struct cmb_owner {
	struct cmb_apex apex;
	struct msp_rrset *hsync; /* owned; NULL = none. They are in the pages too: this is a copy to read */
	bool is_signed;          /* RRSIG over SOA or DNSKEY at the apex: pass-through (PROTOCOL E.4 fence 1) */
	uint64_t gen;            /* generation of the pages */
	struct cmb_layout layout;
	uint32_t pages;
	uint64_t records, octets; /* in the pages */
};
void cmb_owner_free(struct cmb_owner **o);
/** Apex, HSYNC and flags: what a version made by differences begins with. */
MSP_CHECKED enum msp_err cmb_owner_dup(const struct cmb_owner *o, struct cmb_owner **out);

#endif
