/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What the core holds: zones, peers, and for each pair that HSYNC joins (or once joined) a member. Seen by the core's
 * own files only; everybody else has core.h.
 *
 * Every object has one timer. A step changes what is known, arms the timers of what it touched for "now", and then
 * looks at every object that is due: a look recomputes what should be done from what is held, does what is missing and
 * re-arms the timer. So no rule is told twice, and nothing depends on having seen a particular event.
 */
#ifndef MSAD_STATE_H
#define MSAD_STATE_H

#include <msproto/auth/trust.h>
#include <msproto/base/bucket.h>
#include <msproto/base/map.h>
#include <msproto/msg/msopt.h>

#include "contribution.h"
#include "core.h"
#include "group.h"
#include "peer_fsm.h"
#include "timer.h"

#define MSA_PEERS_MAX    65536
#define MSA_ADDRS_MAX    16
#define MSA_URIS_MAX     8
#define MSA_ANSWERED_MAX 4096 /* answers kept for retransmitted requests (PROTOCOL C.5) */
#define MSA_ANSWERED_MS  30000
#define MSA_LEGACY_MS    (7 * 86400 * (int64_t)1000)
#define MSA_STALE_MS     (24 * 3600 * (int64_t)1000) /* discovered data outlives its TTL by this (D.2) */
#define MSA_FORCED_MS    60000                       /* one forced refresh of a peer in this time (D.2) */
#define MSA_DEAF_MS      (3600 * (int64_t)1000)      /* a peer that does not speak the option (D.4) */
#define MSA_OBEY_MS      60000                       /* a signer that has not published by then is reported */
#define MSA_WITHDRAWN_S  (24 * 3600)                 /* a withdrawn key counts as foreign at least this long */
#define MSA_OVERDUE_MS   300000 /* an answer of the shell that has not come by then is not waited for any more */
#define MSA_HELLO_PER_S  10     /* accepted of one source, and of one identity (D.4 step 2) */
#define MSA_HELLO_BURST  20
#define MSA_MEMBERS_MAX  512 /* identities remembered in one zone */
#define MSA_TEXT_MAX     256
#define MSA_PULLS        4

/** Digests of public data: no secret, so no constant time. */
static inline bool msa_same_digest(const uint8_t a[32], const uint8_t b[32])
{
	return msp_span_equal(msp_span(a, 32), msp_span(b, 32));
}

enum msa_timer_kind { MSA_TIMER_ZONE, MSA_TIMER_PEER, MSA_TIMER_MEMBER, MSA_TIMER_PARENT };

/** Something asked of the shell, whose answer is waited for. Embedded in what asked; id 0 = nothing outstanding. */
enum msa_pend_kind {
	MSA_PEND_NONE,
	MSA_PEND_HELLO,
	MSA_PEND_BEAT,
	MSA_PEND_DATA,
	MSA_PEND_PULL,
	MSA_PEND_LOOKUP,
	MSA_PEND_COMBINE,
	MSA_PEND_SIGNER,
	MSA_PEND_PARENT_LOOK,   /* both kinds of look-up */
	MSA_PEND_PARENT_ASK,    /* a question to a server */
	MSA_PEND_PARENT_TALK,   /* a message to the receiver */
	MSA_PEND_PARENT_KEY,    /* a key file */
	MSA_PEND_PARENT_COMBINE /* KEY records to the combiner */
};
struct msa_pend {
	uint64_t id;
	enum msa_pend_kind kind;
	void *owner;   /* borrowed: struct msa_member, msa_peer, msa_zone or msa_parent by kind */
	uint16_t type; /* LOOKUP, PULL, PARENT_LOOK: RR type */
	bool is_open;  /* PARENT_LOOK: what may be believed unsigned */
	struct msp_mono since;
	uint8_t *request; /* owned: HELLO, BEAT, DATA, PULL: as sent, the answer's signature covers it */
	size_t request_len;
};

struct msa_endpoint { /* of one URI record */
	struct msp_name host;
	uint16_t port, priority, weight;
};

/** A discovery that runs: URI, then per target SVCB and KEY, then A and AAAA where SVCB gave no address. */
struct msa_search {
	bool is_running;
	struct msa_endpoint target[MSA_URIS_MAX];
	size_t target_count, at; /* at: the target looked at */
	struct msa_pend look[4]; /* by type: URI or SVCB, KEY, A, AAAA */
	struct msp_addr host_addr[MSA_ADDRS_MAX];
	size_t host_addr_count;
	uint16_t svcb_port;     /* 0 = none */
	struct msp_rrset *keys; /* owned */
	uint32_t ttl_s;         /* smallest of what was used */
	char why[MSA_TEXT_MAX]; /* first record that was missing, and how */
};

/** One remote identity. */
struct msa_peer {
	struct msp_name identity;
	enum msa_link link;
	enum msa_health health;
	struct msp_mono link_since, health_since;
	size_t shared;            /* zones that have it in HSYNC now */
	size_t members;           /* members that point here */
	struct msa_member *first; /* list through msa_member.peer_next */
	struct msp_mono legacy_until;

	struct msa_search search;
	bool is_located;
	struct msp_name host;
	struct msp_addr addr[MSA_ADDRS_MAX];
	size_t addr_count, addr_best; /* best: the one that answered last */
	struct msp_rrset *keys;       /* owned: KEY records of host */
	size_t rotate;                /* which URI target comes first: moved on when no address answered */
	struct msp_mono located_at, refresh_at, dead_at;
	struct msp_mono search_next, search_started, forced_at;
	uint32_t search_backoff_s;
	char search_why[MSA_TEXT_MAX]; /* why the last one failed; "" after success */

	uint32_t interval_s; /* announced; 0 = not yet */
	uint32_t caps;
	uint8_t transports, syncs;
	struct msp_mono beat_in, beat_out; /* last heartbeat verified, last of ours answered; valid with has_* */
	bool has_beat_in, has_beat_out;
	struct msp_mono operational_at;
	struct msp_mono hello_slot; /* the next HELLO to it, in whatever zone, not before this (less a burst) */
	struct msp_mono bye_until;
	struct msa_timer timer;
	int64_t hello_left;       /* HELLOs that may be done now, of MSA_HELLO_BURST */
	struct msp_mono hello_at; /* refilled until here */
};

/** A remote identity in one zone. */
struct msa_member {
	struct msa_zone *zone; /* borrowed */
	struct msa_peer *peer; /* borrowed */
	struct msa_member *peer_next;
	struct msa_history history; /* persisted */
	bool was_member;            /* persisted: MEMBER at least once */
	uint64_t epoch, sequence;   /* persisted at HELLO: newest TLV 4 accepted */
	bool is_listed;             /* counted in peer->shared */
	enum msa_role role;
	bool signs;

	enum msa_member_state state;
	struct msp_mono state_since;
	bool has_group;
	uint8_t group[32]; /* the peer's */
	uint32_t owner_serial;

	bool has_hello_slot; /* its turn was reserved: hello_next is that */
	bool hello_done;     /* our HELLO was answered NOERROR */
	struct msp_mono hello_next, beat_next, data_next;
	uint32_t hello_backoff_s;
	size_t hello_tries;    /* addresses tried in this round */
	uint64_t told_version; /* of our contribution, by DATA */
	char hello_why[MSA_TEXT_MAX];
	struct msa_pend op; /* one HELLO, HEARTBEAT or DATA at a time: TLV 4 then arrives in order */

	struct msa_contribution held; /* persisted; verified and checked */
	bool has_announced;
	uint64_t announced_version;
	uint8_t announced[32];
	struct msa_pend pull[MSA_PULLS]; /* DNSKEY, CDS, NS, KEY */
	struct msa_contribution pulled;
	uint8_t pull_digest[32]; /* announced when the pull began */
	struct msp_mono pull_next;
	uint32_t pull_backoff_s;
	char pull_why[MSA_TEXT_MAX];
	struct msa_timer timer;
};

struct msa_zone {
	struct msp_name name;
	enum msa_signer_mode signer_mode;
	uint32_t ttl_s;
	bool cdnskey;
	struct msp_rrset *ns; /* owned: conf's; NULL = none */

	/* as last transferred */
	bool has_view;
	uint32_t serial, ns_ttl_s, max_ttl_s, earliest_expiration;
	uint64_t records;
	struct msp_mono view_at;
	struct msp_mono view_again;     /* a view was not taken whole (memory): fetch it again then; NEVER = it was */
	struct msp_rrset *dnskey, *cds; /* owned: served */
	struct msp_rrset *apex_ns, *apex_key, *csync; /* owned: served; kept for the parent's sake only */
	char failed_why[MSA_TEXT_MAX];                /* "" after a good one */

	struct msa_group group;
	bool is_managed; /* persisted: has had an HSYNC RRset with us in it */
	bool is_frozen;  /* managed, and the RRset is gone (A.1 rule 1) */
	struct msa_history self;
	struct msa_member **member; /* owned, and each one */
	size_t member_count, member_size;

	struct msa_contribution own; /* version and digest persisted */
	bool has_own;

	/* what the combiner has of us: persisted before it is told */
	struct msp_rrset *put_dnskey, *put_cds, *put_cdnskey; /* owned */
	struct msp_rrset *withdrawn; /* owned: DNSKEYs no longer contributed, still counted as foreign */
	int64_t withdrawn_s;         /* wall time of the last withdrawal */
	/* DNSKEYs whose owner's verified contribution no longer has them: to be withdrawn. Persisted with the others.
	 * What is in put_dnskey and not in here stays, even if nobody's contribution held names it (I10). */
	struct msp_rrset *dropping; /* owned */
	bool has_put;               /* something was contributed once */
	bool put_stored;            /* the record handed out for storing is this one */
	bool put_acked;             /* the combiner has confirmed it in this life */
	struct msa_pend combine;
	struct msp_mono combine_next;
	uint32_t combine_backoff_s;
	char combine_why[MSA_TEXT_MAX];

	/* does the signer publish what the combiner was given? */
	struct msp_mono unseen_since; /* NEVER = it does */
	struct msp_mono poll_next;
	uint32_t poll_backoff_s;
	bool is_disobeyed;

	bool gate_open; /* persisted, with the signer set that it holds for */
	uint8_t gate_signers[32];
	char gate_why[MSA_TEXT_MAX]; /* first predicate that does not hold, and by whom */
	bool cds_seen;               /* all own KSKs' CDS are served */
	struct msa_pend signer;
	struct msp_mono signer_next;
	uint32_t signer_backoff_s;
	char signer_why[MSA_TEXT_MAX];

	char waiting[MSA_TEXT_MAX];
	struct msp_mono waiting_since;
	struct msa_timer timer;

	struct msa_parent *parent; /* owned; NULL: parent-sync is off */
};

struct msa_parent;   /* parent.h */
struct msa_answered; /* answers kept: core.c */

struct msa_counters {
	uint64_t requests, refused, unexpected, failed_answers, sent, lookups;
};

struct msa_core {
	struct msp_name identity, host;
	const struct msp_key *key; /* borrowed */
	struct msp_numbers numbers;
	uint32_t heartbeat_s, hello_retry_s, hello_retry_max_s, discovery_retry_s, discovery_retry_max_s,
		discovery_cache_min_s;
	bool svcb_port_override;
	struct msa_parent_conf parent;
	uint8_t fingerprint[MSA_FINGERPRINTS_MAX][32];
	size_t parent_runs;
	struct msp_rand *rand;     /* borrowed */
	const struct msp_log *log; /* borrowed */

	struct msp_map zones; /* msp_name_key -> struct msa_zone, owned */
	struct msp_map peers; /* msp_name_key -> struct msa_peer, owned */
	struct msp_map pends; /* id -> struct msa_pend, borrowed */
	struct msa_timer *heap;
	uint64_t last_id;

	uint64_t epoch, sequence;
	bool epoch_stored;

	struct msp_keyring *ring;                                                          /* owned */
	struct msp_replay *replay;                                                         /* owned */
	struct msp_bucket_table *hello_budget, *failure_budget, *sign_budget, *log_budget; /* owned */
	struct msa_answered *answered; /* owned ring of MSA_ANSWERED_MAX */
	struct msp_map answered_by;    /* digest -> entry */
	size_t answered_at;

	struct msp_rr_scratch *scratch; /* owned */
	uint8_t *message;               /* owned, MSP_MSG_MAX octets: messages are built here */
	struct msa_counters count;

	/* of the step that runs */
	struct msp_mono now;
	struct msp_wall wall;
	struct msa_actions *out;
	enum msp_err err; /* first MSP_ENOMEM or MSP_ECRYPTO of this step */
};

/** Remember the first failure of this step; what failed is done again by the next look. */
static inline void msa_core_note(struct msa_core *c, enum msp_err err)
{
	if (err != MSP_OK && c->err == MSP_OK)
		c->err = err;
}
static inline int64_t msa_age_s(struct msp_mono since, struct msp_mono now)
{
	return (now.ms - since.ms) / 1000;
}

/* core.c */
void msa_core_touch_zone(struct msa_core *c, struct msa_zone *z);
void msa_core_touch_peer(struct msa_core *c, struct msa_peer *p);
void msa_core_touch_member(struct msa_core *c, struct msa_member *m);
struct msa_zone *msa_core_find_zone(const struct msa_core *c, const struct msp_name *name);
struct msa_peer *msa_core_find_peer(const struct msa_core *c, const struct msp_name *identity);
/** `base_s` doubled on each call up to `max_s`, +-20 %: milliseconds. */
int64_t msa_core_backoff_ms(struct msa_core *c, uint32_t *current_s, uint32_t base_s, uint32_t max_s);

#endif
