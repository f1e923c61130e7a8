/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Where every decision about a child is made: an event and the child in, the changed child and what follows out. Called
 * inside the store's transaction, on its thread: reads nothing but its arguments. Whatever path a change comes by, it
 * passes the same three gates here in this order: may this be asked (policy.h), is it of a shape that works
 * (delegation.h), does it work at the servers (evidence.h). Pure.
 * @source PROTOCOL G.3 to G.6, G.8
 */
#ifndef PRT_DESK_H
#define PRT_DESK_H

#include "audit.h"
#include "child.h"
#include "evidence.h"
#include "update.h"

/** What holds for one child; built from settings, never changed while used (settings.h). */
struct prt_rules {
	struct prt_policy policy;
	struct prt_key_rules keys;
	struct prt_boot_rules boot;
	struct prt_check_rules check;
	bool no_checks;           /* servers are not looked at: for operators who do that elsewhere */
	uint32_t confirm_s;       /* between the two looks at a deletion of all DS; default 600 (G.4 check 6) */
	uint32_t scan_retry_s[4]; /* 300, 600, 1200, 2400 (G.4 check 3) */
	uint32_t check_tries;     /* of checks that cannot be finished before they count as failed; default 4 */
	uint32_t ds_ttl, ds_ttl_changed, ds_ttl_hold_s; /* normal; after a change; for how long. 0 = leave TTLs alone */
	enum prt_dsboot { PRT_DSBOOT_NONE, PRT_DSBOOT_RFC9615, PRT_DSBOOT_DELAY } dsboot;
	uint32_t dsboot_delay_s; /* with DELAY: looks that agree over this time (RFC 8078 3.3) */
	bool keystate_compat_02; /* PROTOCOL B.2 */
};

/** What has to be done outside, bits. */
#define PRT_NEED_CHECK   1u  /* look at the servers of pending.wanted */
#define PRT_NEED_LOOK    2u  /* a round of bootstrap looks for keys that are due */
#define PRT_NEED_SCAN    4u  /* CDS and CSYNC */
#define PRT_NEED_PUBLISH 8u  /* the backend has work */
#define PRT_NEED_REPORT  16u /* report `report_ede` to the child's server (RFC 9567) */

#define PRT_ENTRIES_MAX 4
struct prt_outcome {
	bool is_changed;            /* the child is to be stored */
	struct prt_refusal refusal; /* rcode NOERROR: granted */
	bool is_repeat;             /* a retransmission: refusal is what was answered then */
	bool has_state;             /* keystate is meant */
	enum msp_keystate_state keystate;
	unsigned need;
	struct prt_audit entry[PRT_ENTRIES_MAX]; /* to be appended; seq, previous and at are filled in by the books */
	size_t entries;
	uint16_t report_ede; /* with NEED_REPORT: enum msp_ede_own */
};
void prt_outcome_init(struct prt_outcome *o);
void prt_outcome_fini(struct prt_outcome *o);

/** Who asks, in all verbs that a message or a person starts. */
struct prt_asker {
	enum prt_source source;
	struct msp_addr peer;
	bool is_tcp;
	uint16_t key_tag;
	uint8_t message[PRT_HASH_LEN];
	char who[PRT_TEXT_MAX];
};

/** An UPDATE whose signature has been verified, and whose name was found to be this child. */
struct prt_update_in {
	const struct msp_msg *msg;
	struct msp_rr_scratch *scratch;
	struct msp_span
		key;       /* KEY RDATA that verified it: must still be in the set, or be the one that it adds (G.6) */
	bool is_tsig;      /* by a registrar's key instead: `key` empty */
	bool has_keystate; /* the request carried a KeyState inquiry */
	uint8_t digest[PRT_SEEN_DIGEST];
	struct msp_wall until; /* signature expiration + skew */
	struct prt_asker asker;
};
/**
 * G.5 steps 4 to 9 and 11. With MSP_OK `out` says what to answer. Without rules.no_checks an accepted change waits for
 * its checks (pending, NEED_CHECK): it is the base of the next UPDATE of the child.
 * @return MSP_OK; MSP_ENOMEM, MSP_ECRYPTO: nothing has changed
 */
MSP_CHECKED enum msp_err prt_desk_update(const struct prt_rules *r, struct prt_child *c, const struct prt_update_in *in,
					 struct msp_wall now, struct prt_outcome *out);
/** What a KeyState inquiry about the key with this tag and algorithm is told; keys signing it came first in `c`. */
enum msp_keystate_state prt_desk_keystate(const struct prt_keyset *keys, struct msp_span key);

/** The servers of pending.wanted were looked at. Nothing happens when it does not wait for that, or is another one. A
 * change that ends here has its reason in out->refusal. */
MSP_CHECKED enum msp_err prt_desk_checked(const struct prt_rules *r, struct prt_child *c, const struct prt_evidence *e,
					  struct msp_wall now, struct prt_outcome *out);
/** RFC 9615: what was seen at the signal names of one name server outside the child. */
struct prt_dsboot_seen {
	struct msp_name ns;
	enum msp_lookup verdict;               /* of both look-ups, the worse one */
	const struct msp_rrset *cds, *cdnskey; /* NULL = none */
};
/** A NOTIFY, or the sweep, has come to its turn. seen: NULL unless the child has no DS and its policy is RFC 9615. */
MSP_CHECKED enum msp_err prt_desk_scanned(const struct prt_rules *r, struct prt_child *c, const struct prt_evidence *e,
					  const struct prt_dsboot_seen *seen, size_t seen_count, struct msp_wall now,
					  struct prt_outcome *out);
/** A scan could not be done at all (resolver down, too many in line): like one that failed. */
MSP_CHECKED enum msp_err prt_desk_scan_failed(const struct prt_rules *r, struct prt_child *c, const char *why,
					      struct msp_wall now, struct prt_outcome *out);
/** Whether a NOTIFY leads to a scan now: 1 in 60 s, 10 an hour (G.3). Notes it when true: the caller sees to the scan;
 * one that is lost is due again after five minutes. */
bool prt_desk_may_scan(struct prt_child *c, struct msp_wall now);
/** A round of looks for the key with this RDATA. */
MSP_CHECKED enum msp_err prt_desk_looked(const struct prt_rules *r, struct prt_child *c, struct msp_span key,
					 const struct prt_boot_seen *seen, struct msp_wall now,
					 struct prt_outcome *out);
/** Something is due: cool-down over, a second look, a round of looks, the DS TTL, keys that failed long ago. */
MSP_CHECKED enum msp_err prt_desk_tick(const struct prt_rules *r, struct prt_child *c, struct msp_wall now,
				       struct prt_outcome *out);

/** The parent zone shows this delegation (empty: none). An accepted change that is not published yet stands, unless the
 * delegation is gone: then the child's keys are not trusted any more either, it may come back with another owner. */
MSP_CHECKED enum msp_err prt_desk_imported(struct prt_child *c, const struct prt_delegation *d, struct msp_wall now,
					   struct prt_outcome *out);
/** An operator says that the parent has this delegation, of a child that had none: nothing is asked of a backend. */
MSP_CHECKED enum msp_err prt_desk_added(struct prt_child *c, const struct prt_delegation *d,
					const struct prt_asker *asker, struct msp_wall now, struct prt_outcome *out);
/** The backend of this name ("": it has none) has made `d` true, or refused it for good (why). */
MSP_CHECKED enum msp_err prt_desk_published_by(struct prt_child *c, const char *backend, const struct prt_delegation *d,
					       struct msp_wall now, struct prt_outcome *out);
MSP_CHECKED enum msp_err prt_desk_refused_by(struct prt_child *c, const char *backend, const char *why,
					     struct msp_wall now, struct prt_outcome *out);
/**
 * These books alone are the parent: with no backend, and no zone that is read, what is accepted is what the parent has.
 * NEED_PUBLISH is taken back, and the entry of the acceptance stands for that of the publication.
 */
MSP_CHECKED enum msp_err prt_desk_is_register(struct prt_child *c, struct prt_outcome *out);

/* Operators. `asker.who` is "operator NAME". MSP_ENOTFOUND, MSP_ESTATE with the reason in out->refusal.why. */
enum prt_key_verb { PRT_KEY_APPROVE, PRT_KEY_REJECT, PRT_KEY_FORGET };
/** @param print the key's fingerprint, 32 octets: SHA-256 of its RDATA; what the operator has compared */
MSP_CHECKED enum msp_err prt_desk_key(const struct prt_rules *r, struct prt_child *c, enum prt_key_verb verb,
				      const uint8_t print[PRT_HASH_LEN], const struct prt_asker *asker,
				      struct msp_wall now, struct prt_outcome *out);
/** SHA-256 of the change that waits, by which people name what they have seen: a newer one may have taken its place
 * since. MSP_ENOTFOUND: nothing waits. */
MSP_CHECKED enum msp_err prt_pending_print(const struct prt_child *c, uint8_t print[PRT_HASH_LEN]);
/** Approve or reject what waits for an operator. Approved changes are checked all the same unless `force`. */
MSP_CHECKED enum msp_err prt_desk_pending(const struct prt_rules *r, struct prt_child *c, bool approve, bool force,
					  const struct prt_asker *asker, struct msp_wall now, struct prt_outcome *out);
MSP_CHECKED enum msp_err prt_desk_lock(struct prt_child *c, bool lock, const char *why, const struct prt_asker *asker,
				       struct msp_wall now, struct prt_outcome *out);
/** Set the delegation to `wanted` (rollback, correction): passes the gates as source OPERATOR unless `force`. */
MSP_CHECKED enum msp_err prt_desk_set(const struct prt_rules *r, struct prt_child *c,
				      const struct prt_delegation *wanted, bool force, const struct prt_asker *asker,
				      struct msp_wall now, struct prt_outcome *out);

/** What would happen if this change were asked for now in that way: for `msctl parent policy test`. Changes nothing. An
 * UPDATE that would have to wait is refused, a look comes back; what the servers show is not known here. */
struct prt_trial {
	struct prt_ruling ruling;
	enum msp_err shape; /* of prt_delegation_check */
	struct msp_why shape_why;
	unsigned touch, losses;
	unsigned may_touch; /* what this source could change here, PRT_TOUCH_ bits */
	bool is_checked;    /* the servers are looked at before it is done */
};
void prt_desk_try(const struct prt_rules *r, const struct prt_child *c, const struct prt_delegation *wanted,
		  enum prt_source source, struct msp_wall now, struct prt_trial *out);

/* Answers that waited for the checks: desk_withdraw.c. `digest`: of the UPDATE's signature. */
/** Its sender was told this, not what was remembered: so is a retransmission. What was to be told next time has been.
 */
void prt_desk_told(struct prt_child *c, const uint8_t digest[PRT_SEEN_DIGEST], const struct prt_refusal *no,
		   struct prt_outcome *out);
/**
 * The checks took too long (PROTOCOL G.5, `defer no`): what waits for them is dropped, and its sender is told SERVFAIL.
 * The caller has made sure that what waits is this UPDATE's change.
 */
MSP_CHECKED enum msp_err prt_desk_withdraw(const struct prt_rules *r, struct prt_child *c,
					   const uint8_t digest[PRT_SEEN_DIGEST], const struct prt_asker *asker,
					   struct msp_wall now, struct prt_outcome *out);

/** SHA-256 of KEY RDATA. */
MSP_CHECKED enum msp_err prt_key_print(struct msp_span rdata, uint8_t print[PRT_HASH_LEN]);

#endif
