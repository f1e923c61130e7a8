/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Owner's apex + contributions -> combined apex, with the fences that hold whatever an agent asks.
 * @source PROTOCOL A.1 (receiver rules), E.3 (merge), E.4 (fences), E.5 (cases)
 */
#ifndef CMB_MERGE_H
#define CMB_MERGE_H

#include "contrib.h"

/** What becomes of the owner's ZONEMD when it no longer fits (PROTOCOL E.6). */
enum cmb_zonemd { CMB_ZONEMD_STRIP, CMB_ZONEMD_KEEP, CMB_ZONEMD_RECOMPUTE };

/** A zone's settings that decide anything. All borrowed or plain. */
struct cmb_rules {
	struct msp_name zone, identity;
	const struct msp_numbers *numbers; /* borrowed */
	bool extra_cdnskey, extra_key;     /* extra-types */
	enum cmb_zonemd zonemd;
};
/** A number that differs when any setting that decides about the combined zone does. */
uint64_t cmb_rules_fingerprint(const struct cmb_rules *r);
/** Whether contributions of this type are in the licence. */
bool cmb_rules_permit(const struct cmb_rules *r, enum cmb_slot slot);

/** Things that a person should know about a zone. name, text */
#define CMB_NOTE_MAP(X)                                                                                                \
	X(STRAY_DNSKEY, "the owner's zone has DNSKEY records of its own: passed on")                                   \
	X(NO_HSYNC, "no HSYNC RRset: nothing new is accepted, what is held stays applied")                             \
	X(HSYNC_MALFORMED, "malformed HSYNC record ignored")                                                           \
	X(HSYNC_DUPLICATE, "two HSYNC records with one identity: OFF and NO win")                                      \
	X(NSMGMT_MIXED, "NSMGMT differs between HSYNC records: taken as OWNER")                                        \
	X(NOT_LISTED, "this provider's identity is not in the HSYNC RRset")                                            \
	X(PASS_THROUGH, "the zone arrives signed: passed on as it is")                                                 \
	X(HELD_BACK, "contributions are stored, but not applied")                                                      \
	X(CDS_MIXED, "CDS delete record beside others from another originator: delete left out")                       \
	X(ZONEMD_STRIPPED, "the owner's ZONEMD would be wrong: removed")                                               \
	X(TTL_MIXED, "different TTLs in one apex RRset: smallest taken")
enum cmb_note {
#define CMB_NOTE_ENUM(name, text) CMB_NOTE_##name,
	CMB_NOTE_MAP(CMB_NOTE_ENUM)
#undef CMB_NOTE_ENUM
		CMB_NOTE__N
};
const char *cmb_note_name(enum cmb_note n);
const char *cmb_note_text(enum cmb_note n);
#define CMB_NOTE_BIT(n) (1u << (n))

enum cmb_own_sign { CMB_SIGN_ABSENT, CMB_SIGN_YES, CMB_SIGN_NO };

/** What the HSYNC RRset and the look of the zone say. */
struct cmb_policy {
	bool pass_through;     /* the input is signed */
	bool has_hsync;        /* at least one well-formed record */
	bool ns_agent;         /* effective NSMGMT */
	bool any_signer;       /* some provider is ON and YES */
	enum cmb_own_sign own; /* our record's SIGN; ABSENT: not listed */
	bool ns_applied;       /* contributed NS replace the owner's */
	uint32_t notes;        /* CMB_NOTE_BIT(...) */
};
/** @param ns_before whether contributed NS were applied in the version before: kept while there is no HSYNC RRset. */
void cmb_policy_derive(const struct cmb_owner *owner, const struct cmb_rules *rules, bool ns_before,
		       struct cmb_policy *out);
/** Whether the identity is listed, in any state. */
bool cmb_policy_lists(const struct cmb_owner *owner, const struct cmb_rules *rules, const struct msp_name *identity);

/**
 * The combined apex RRsets of all slots that may be contributed; the SOA and ZONEMD are left out (cmb_zone_plan adds
 * them when the serial is known). Notes are added to *notes.
 */
MSP_CHECKED enum msp_err cmb_merge(const struct cmb_owner *owner, const struct cmb_contrib *contrib,
				   const struct cmb_policy *policy, const struct cmb_rules *rules, struct cmb_apex *out,
				   uint32_t *notes);

#endif
