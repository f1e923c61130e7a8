/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * One zone as the combiner sees it, pure: owner + contributions -> versions with serials of our own. Nothing becomes
 * visible in two steps at once: a version is planned here, committed by the shell, then adopted here. A zone at rest is
 * not in memory: it is made from what is stored when it is needed. @source PROTOCOL E.3, E.6; DESIGN 2
 */
#ifndef CMB_CORE_H
#define CMB_CORE_H

#include "instruct.h"
#include "pages.h" /* struct cmb_head, cmb_delta: plain values */
#include "refresh.h"
#include "serials.h"

/** A planned version. */
struct cmb_version {
	struct cmb_apex apex; /* with SOA, serial set */
	uint32_t serial, owner_serial, notes;
	uint64_t gen, instructions; /* made from these pages and contributions */
	uint64_t rules; /* fingerprint of the settings it was made with: a reload may come before its commit */
	bool ns_applied;
	struct cmb_delta *delta; /* owned; NULL: the history begins anew */
};
void cmb_version_free(struct cmb_version **v);

struct cmb_zone {
	struct cmb_rules rules;
	struct cmb_owner *owner; /* owned; NULL until transferred */
	struct cmb_contrib contrib;
	struct cmb_policy policy; /* from owner */
	struct cmb_serials serials;
	bool ns_applied;
	/* what is served */
	bool has_served;
	struct cmb_apex served;
	uint64_t served_gen, served_instructions, served_rules;
	uint32_t served_owner_serial, notes;
	uint64_t next_seq;
};

void cmb_zone_init(struct cmb_zone *z, const struct cmb_rules *rules);
void cmb_zone_fini(struct cmb_zone *z);
/** Fill in what was stored. Takes the contents of *r (NULL: nothing is stored) and *c. */
void cmb_zone_restore(struct cmb_zone *z, struct cmb_record *r, struct cmb_contrib *c);
/** The version served is not what the instructions and settings ask for now: plan a new one. */
bool cmb_zone_is_behind(const struct cmb_zone *z);

/** New owner data to plan with. Borrowed. */
struct cmb_news {
	const struct cmb_owner *owner;
	bool is_incremental;      /* the pages differ from those held by exactly del and add */
	struct msp_span del, add; /* uncompressed records, without SOA and the apex RRsets that are set apart */
};
/**
 * Plan the next version from `news` (NULL: owner data held) and `contrib` (NULL: those held).
 * @param[out] out NULL when what is served is what it should be.
 * @return MSP_OK; MSP_ENOMEM; MSP_ESTATE (no owner data); MSP_ELIMIT (the difference is too large for a history: only
 * with is_incremental; plan without); MSP_ESTALE: a signed zone whose serial is behind ours cannot be passed on, since
 * its SOA may not be changed.
 */
MSP_CHECKED enum msp_err cmb_zone_plan(const struct cmb_zone *z, const struct cmb_news *news,
				       const struct cmb_contrib *contrib, struct cmb_version **out,
				       struct msp_why *why);
/** What is to be stored of a version (all but gen, records, octets, is_signed, which the store takes from the owner).
 */
void cmb_zone_head(const struct cmb_zone *z, const struct cmb_version *v, const struct cmb_owner *owner,
		   struct msp_wall confirmed, struct cmb_head *out);
/** The version is on disk: make it the one that is served. Takes *v, and *owner when the version was planned from it.
 */
void cmb_zone_adopt(struct cmb_zone *z, struct cmb_version **v, struct cmb_owner **owner);
/** Contributions are on disk: make them the ones held. Takes the contents of *c. */
void cmb_zone_set_contrib(struct cmb_zone *z, struct cmb_contrib *c);

/**
 * Join entries of a history into one net difference: what was added and deleted again, or the other way round, is left
 * out. @return MSP_OK, MSP_ENOMEM, MSP_ELIMIT (over max octets: send them one after the other).
 */
MSP_CHECKED enum msp_err cmb_history_condense(const struct cmb_delta_view *view, size_t count, size_t max,
					      struct cmb_delta **out);

#endif
