/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * One zone as the combiner sees it, pure: owner + contributions -> versions with serials of our own, and the history of
 * apex changes. Nothing becomes visible in two steps at once: a version is planned here, committed by the shell, then
 * adopted here. @source PROTOCOL E.3, E.6; DESIGN 2
 */
#ifndef CMB_CORE_H
#define CMB_CORE_H

#include "instruct.h"
#include "refresh.h"
#include "serials.h"

#define CMB_JOURNAL_MAX 100 /* versions, PROTOCOL E.6 */

/** Serial `from` -> `to` by apex changes alone; the records are in uncompressed wire form. */
struct cmb_delta {
	uint32_t from, to;
	uint64_t seq;            /* grows; names the entry on disk */
	struct msp_buf del, add; /* owned */
};

/** A planned version. */
struct cmb_version {
	struct cmb_apex apex; /* with SOA, serial set */
	uint32_t serial, owner_serial, notes;
	uint64_t gen;
	bool ns_applied;
	bool new_owner;          /* made from new owner data: history starts anew */
	struct cmb_delta *delta; /* owned; NULL when new_owner */
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
	uint64_t served_gen;
	uint32_t served_owner_serial, notes;
	struct cmb_delta *journal[CMB_JOURNAL_MAX]; /* owned, oldest first */
	size_t journal_count;
	uint64_t next_seq;
	/* coalescing (PROTOCOL E.2 step 7) */
	struct msp_mono quiet_until; /* changes before this are gathered */
	bool dirty;                  /* contributions committed that no version holds yet */
};

void cmb_zone_init(struct cmb_zone *z, const struct cmb_rules *rules);
void cmb_zone_fini(struct cmb_zone *z);

/**
 * Plan the next version from `owner` (NULL: the one held) and `contrib` (NULL: those held).
 * @param[out] out NULL when what is served is what it should be.
 * @return MSP_OK; MSP_ENOMEM; MSP_ESTATE (no owner data); MSP_ESTALE: a signed zone whose serial is behind ours cannot
 * be passed on, since its SOA may not be changed.
 */
MSP_CHECKED enum msp_err cmb_zone_plan(const struct cmb_zone *z, const struct cmb_owner *owner,
				       const struct cmb_contrib *contrib, struct cmb_version **out,
				       struct msp_why *why);
/** The version is on disk: make it the one that is served. Takes *v, and *owner when the version was planned from it.
 */
void cmb_zone_adopt(struct cmb_zone *z, struct cmb_version **v, struct cmb_owner **owner);
/** Contributions are on disk: make them the ones held. Takes the contents of *c. */
void cmb_zone_set_contrib(struct cmb_zone *z, struct cmb_contrib *c);
/** From disk, at the start, in order. Takes *d; the oldest goes when there are too many. */
void cmb_zone_push_delta(struct cmb_zone *z, struct cmb_delta **d);
void cmb_delta_free(struct cmb_delta **d);
/** Number of the oldest entry of the journal that a client with `serial` needs; false when it must take the whole zone.
 */
bool cmb_zone_history(const struct cmb_zone *z, uint32_t serial, size_t *from);
/** Sequence number below which journal entries have gone. */
uint64_t cmb_zone_oldest_seq(const struct cmb_zone *z);

#endif
