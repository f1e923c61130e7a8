/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A zone in the shell: what a zone at rest needs (less than 1 KiB, there may be 100,000), and, while something happens
 * to it, the pure zone of core.h, transfers, NOTIFYs, a version on its way. hosted.c has its life and its versions.
 */
#ifndef CMB_HOSTED_H
#define CMB_HOSTED_H

#include "agenda.h"
#include "core.h"
#include "settings.h"

struct cmb_app;
struct cmb_audit; /* state.h */
struct cmb_catalog;
struct cmb_fetch;   /* upstream.c: SOA query or transfer under way, or waiting for its turn */
struct cmb_notify;  /* notify.c: NOTIFYs not answered yet */
struct cmb_inspect; /* inspect.h */

/** A version of the owner's zone that has come in whole and verified, not served yet. */
struct cmb_candidate {
	struct cmb_owner *owner; /* owned: new apex and layout; pages and counts are filled in (sealed) */
	struct cmb_build *build; /* owned: whole zone; NULL for differences */
	struct cmb_edit *edit;   /* owned: differences; NULL for a whole zone */
	struct msp_buf del, add; /* owned: net difference, with edit */
	bool ttl_differs;
	bool is_forced;   /* an operator wants it whatever its serial */
	bool is_accepted; /* an operator has seen that it is much smaller */
	bool from_hold;   /* has been told of to upstream already, when it was held */
};
void cmb_candidate_free(struct cmb_candidate **c);

/** Trouble of the last refresh or version, for people. */
struct cmb_trouble {
	struct msp_wall at;
	struct msp_why why;
};

struct cmb_hosted {
	struct cmb_app *app;               /* borrowed */
	const struct cmb_profile *profile; /* borrowed from the app's present settings */
	struct msp_name name;
	struct cmb_catalog *catalog; /* the zone is one of its members; NULL: configured */
	uint64_t member;             /* catalog: which entry made it (hash of its unique label) */
	uint64_t seen_round;         /* reload and catalogs: still wanted */
	struct cmb_agenda_item agenda;
	/* at rest */
	bool has_head;
	struct cmb_head head;        /* of the version served */
	struct cmb_state_zone *kept; /* state.h: what is kept beside the store; owned, NULL = nothing */
	struct cmb_refresh refresh;
	struct msp_wall last_ok;     /* when a primary last confirmed what is held */
	struct cmb_trouble *trouble; /* owned; NULL = none */
	bool is_damaged, was_expired, is_frozen,
		is_dirty;            /* is_dirty: contributions committed that no version holds yet */
	bool is_unconfirmed_on_disk; /* last_ok, or what is applied, is newer than what is stored: in the app's list */
	struct cmb_hosted *unconfirmed_next;
	struct msp_mono quiet_until; /* changes before this are gathered (PROTOCOL E.2 step 7) */
	bool has_refused;        /* the verifier, or our serial, kept the owner's version with this serial from being */
	uint32_t refused_serial; /* served: it would again, so that it is not fetched again unless somebody asks */
	uint32_t logged_notes, notes;
	uint32_t transfers_in, transfers_out, updates, refusals;
	/* while something happens */
	struct cmb_zone *zone;                  /* owned; NULL: not loaded */
	struct cmb_hosted *hot_prev, *hot_next; /* loaded ones, by last use */
	struct msp_mono used;                   /* that last use */
	struct cmb_fetch *fetch;                /* upstream.c; NULL = none */
	struct cmb_notify *notify;              /* notify.c; NULL = all answered */
	struct cmb_candidate *candidate;        /* owned: being planned, inspected, committed */
	struct cmb_candidate *held;             /* owned: waits for an operator (guards) */
	struct cmb_version *version;            /* owned: being inspected or committed */
	struct cmb_inspect *inspect;
	bool is_committing;
};

/* --- life (hosted.c) --- */

/** Create, from what is stored. Not in the app's map yet. A version that is behind what the instructions or settings
 * ask for is planned at once (no NOTIFY before the app runs). */
MSP_CHECKED enum msp_err cmb_hosted_new(struct cmb_app *app, const struct msp_name *name,
					const struct cmb_profile *profile, const struct cmb_state_zone *kept,
					struct cmb_hosted **out, struct msp_why *why);
/** Stops everything under way. The stored zone stays. */
void cmb_hosted_free(struct cmb_hosted **h);
/** Another configuration: what is under way goes on with the old one. */
void cmb_hosted_set_profile(struct cmb_hosted *h, const struct cmb_profile *profile);
/** Something that keeps it in memory is under way. */
bool cmb_hosted_is_busy(const struct cmb_hosted *h);
/** Write down for all zones that were confirmed lately when that was, in one transaction. False: some are left. */
bool cmb_hosted_flush_confirmed(struct cmb_app *app);
/** The timers of the version held, from its head. */
void cmb_hosted_hold(struct cmb_hosted *h);
/** The pure zone, loaded when it is not; valid until control returns to the loop. NULL: could not be loaded (said why
 * in trouble). */
struct cmb_zone *cmb_hosted_zone(struct cmb_hosted *h);
/** Give the memory of a zone at rest back. */
void cmb_hosted_rest(struct cmb_hosted *h);
/** The same for all zones that nobody has used for a while, some at a time. @return whether there may be more */
bool cmb_hosted_rest_idle(struct cmb_app *app);
/** Why the zone cannot be served now; NULL when it can. Does not load it. */
const char *cmb_hosted_trouble(const struct cmb_hosted *h);
/** Something with a time has changed: tell the agenda. */
void cmb_hosted_arm(struct cmb_hosted *h);
/** The agenda says that something is due. */
void cmb_hosted_due(struct cmb_hosted *h);
void cmb_hosted_set_trouble(struct cmb_hosted *h, const struct msp_why *why);

/* --- versions (version.c) --- */

/** A version that holds what the instructions and settings ask for now, when nothing keeps it from being made. */
void cmb_hosted_publish(struct cmb_hosted *h);
/** No version is to be made any more of what is under way; what was taken from it is released. */
void cmb_hosted_withdraw(struct cmb_hosted *h);

/**
 * Owner data is complete and verified: guard, plan, inspect, commit (gathered with other zones'), serve, tell the
 * signers. Nothing is visible before all of it is on disk. Takes *c. cmb_upstream_taken follows exactly once, from the
 * loop, unless the zone is freed.
 */
void cmb_hosted_offer(struct cmb_hosted *h, struct cmb_candidate **c);
/** The owner has confirmed the version held. */
void cmb_hosted_refreshed(struct cmb_hosted *h);
/** The version served is what instructions and settings of now ask for. The zone is loaded. */
void cmb_hosted_applied(struct cmb_hosted *h);
/**
 * Accepted instructions: durable, with their audit entry, when this returns MSP_OK; at once or after the quiet time a
 * version holds them. Takes v->result.
 */
MSP_CHECKED enum msp_err cmb_hosted_take_contrib(struct cmb_hosted *h, struct cmb_verdict *v,
						 const struct cmb_audit *audit, struct msp_span seen_id,
						 struct msp_wall seen_until, struct msp_why *why);
/** A page does not match its checksum: stop serving, fetch anew. */
void cmb_hosted_damaged(struct cmb_hosted *h);
/** Operator: nothing new is served until thawed (expiry goes on; instructions are refused). Durable, audited. */
MSP_CHECKED enum msp_err cmb_hosted_freeze(struct cmb_hosted *h, bool freeze, struct msp_why *why);
/** Operator: take the version that was held back by a guard. MSP_ESTATE: there is none. */
MSP_CHECKED enum msp_err cmb_hosted_accept(struct cmb_hosted *h, struct msp_why *why);
/** Operator: forget all instructions of one originator (NULL: of all); a version follows. */
MSP_CHECKED enum msp_err cmb_hosted_drop_contrib(struct cmb_hosted *h, const struct msp_name *originator,
						 struct msp_why *why);

#endif
