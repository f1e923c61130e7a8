/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The child's side of the parent, per zone: what the delegation should be, how the parent takes changes, our key there,
 * sending, and asking every server of the parent afterwards (PSYNC, PROTOCOL F.3).
 *
 * One run goes through the phases below from top to bottom; whatever fails ends in HELD (tried again from the top) or
 * STOPPED (a person must act). Every sender is idempotent: a run starts with what the parent shows, and ends at once
 * when that is what is wanted, whoever brought it about; but for our key: where the parent takes UPDATE, it is made to
 * trust ours before the day when the provider who used to be first is gone (H.3). At most one message to the receiver
 * is outstanding (C.5).
 * @source PROTOCOL B.2, F.3, G.2 .. G.7, H.3, H.4, K
 */
#ifndef MSAD_PARENT_H
#define MSAD_PARENT_H

#include "dsync.h"
#include "parent_ask.h"
#include "state.h"

#define MSA_PARENT_RUNS_MAX 1024 /* zones that are at their parent at one time, 25 KB each; the others wait */
#define MSA_SERVERS_MAX     64   /* addresses of one zone's servers */
#define MSA_SERVER_NAMES    (2 * MSA_NS_MAX)
#define MSA_ROUND_WIDTH     8 /* questions under way at one time */
#define MSA_ROUND_TYPES     3
#define MSA_TARGETS_MAX     8

/* name, what it is doing, for people */
#define MSA_PHASE_MAP(X)                                                                                               \
	X(IDLE, "idle", "nothing to do")                                                                               \
	X(ZONE, "zone", "looking up which zone is the parent")                                                         \
	X(SERVERS, "servers", "looking up the parent's servers")                                                       \
	X(ADDRESSES, "addresses", "looking up the addresses of the parent's servers")                                  \
	X(OWN_ADDRESSES, "own-addresses", "looking up the addresses of the zone's servers")                            \
	X(SHOWN, "shown", "asking the parent's servers what they show")                                                \
	X(PUBLISHED, "published", "asking the zone's servers whether all show the same")                               \
	X(DSYNC, "dsync", "looking up where the parent takes changes")                                                 \
	X(TARGET, "target", "looking up the receiver's addresses and key")                                             \
	X(KEY, "key", "making or loading our key")                                                                     \
	X(INQUIRE, "inquire", "asking for the state of our key")                                                       \
	X(KEY_PUBLISHED, "key-published", "waiting for our KEY at all servers of the zone")                            \
	X(UPLOAD, "upload", "handing in our key")                                                                      \
	X(TRUST, "trust", "waiting for the parent to trust our key")                                                   \
	X(ROLL_MAKE, "roll-make", "making the next key")                                                               \
	X(ROLL_PUBLISHED, "roll-published", "waiting for the next KEY at all servers of the zone")                     \
	X(ROLL_ADD, "roll-add", "handing in the next key, signed by the present one")                                  \
	X(ROLL_PROVE, "roll-prove", "waiting for the parent to trust the next key")                                    \
	X(ROLL_DEL, "roll-del", "taking the old key away, signed by the new one")                                      \
	X(COMPARE, "compare", "asking the parent's servers once more")                                                 \
	X(UPDATE, "update", "sending the change")                                                                      \
	X(NOTIFY, "notify", "sending a NOTIFY")                                                                        \
	X(CONFIRM, "confirm", "waiting for all servers of the parent to show it")                                      \
	X(HELD, "held", "waiting before the next try")                                                                 \
	X(BY_HAND, "by-hand", "the parent takes no message: to be handed in by a person")                              \
	X(STOPPED, "stopped", "a person must act")
enum msa_phase {
#define MSA_PHASE_ENUM(name, word, text) MSA_PHASE_##name,
	MSA_PHASE_MAP(MSA_PHASE_ENUM)
#undef MSA_PHASE_ENUM
		MSA_PHASE__N
};
const char *msa_phase_name(enum msa_phase phase);
const char *msa_phase_text(enum msa_phase phase);

/** Servers of one zone, and their addresses as they are found. */
struct msa_servers {
	struct msp_name ns[MSA_SERVER_NAMES];
	size_t ns_count, ns_at; /* at: the name being looked up */
	struct msp_addr addr[MSA_SERVERS_MAX];
	uint8_t addr_ns[MSA_SERVERS_MAX]; /* whose it is */
	size_t addr_count;
};

/** The parent's servers show, per question: [0] DS, [1] NS and glue. */
enum { MSA_SHOWN_DS, MSA_SHOWN_NS, MSA_SHOWN__N };

/** The same questions to all servers of a zone, over TCP. */
struct msa_round {
	bool is_running, is_parent;
	struct msa_servers *servers; /* borrowed */
	uint16_t type[MSA_ROUND_TYPES];
	size_t types, next; /* next: questions handed out, address by address */
	struct {
		struct msa_pend pend;
		uint8_t addr, type;
	} slot[MSA_ROUND_WIDTH];
	unsigned answers[MSA_SERVER_NAMES]; /* good ones, by server */
	bool has_shown[MSA_SHOWN__N];
	size_t unreachable;
	bool disagrees;
	char why[MSA_TEXT_MAX]; /* the first that is not as it should be */
};

enum msa_method { MSA_METHOD_APEX = 1, MSA_METHOD_NS = 2, MSA_METHOD_UNSIGNED = 4, MSA_METHOD_MANUAL = 8 };

/** What the delegation should be, and what it is: kept when the run is over, for people. */
struct msa_parent_seen {
	bool has_ds, has_ns; /* what we have a say in */
	struct msa_records want[MSA_SHOWN__N], any[MSA_SHOWN__N], all[MSA_SHOWN__N];
	struct msp_name parent; /* unset: not found yet */
	size_t servers;
};

/** What is needed while it goes on; whoever waits for long gives it up, and begins again from the top. */
struct msa_parent_run {
	uint8_t digest[32]; /* of what is wanted */
	struct msa_servers above, below;
	struct msa_pend look[4];
	struct msa_round round;
	unsigned good_rounds;
	bool is_settled; /* the delegation is as wanted: only our key is seen to, and all pauses grow to a day */
	struct msa_dsync_walk walk;
	struct msa_dsync dsync;
	bool dsync_secure;
	enum msa_dsync_kind kind; /* used now */
	size_t endpoint;
	struct msp_addr target[MSA_TARGETS_MAX];
	size_t target_count, target_at;
	struct msp_keyring *ring;   /* owned: the receiver's keys */
	struct msp_rrset *receiver; /* owned: the same, for views */
	bool has_receiver, by_fingerprint;
	unsigned methods;     /* advertised; 0 = nothing is */
	unsigned notify_left; /* bit per enum msa_dsync_kind */
	bool notified;
	enum msa_phase after_notify;
	struct msa_pend talk;
	unsigned talk_tries;
	struct msp_mono talk_at;
};

enum msa_roll { MSA_ROLL_NONE, MSA_ROLL_WANTED, MSA_ROLL_ADDED, MSA_ROLL_SWITCHED };

struct msa_parent {
	struct msa_zone *zone; /* borrowed */
	enum msa_parent_mode mode;
	bool publish_key;
	enum msa_phase phase;
	struct msp_mono phase_since, due; /* due: the phase's own deadline */
	struct msa_timer timer;
	struct msa_parent_run *run; /* owned; NULL between runs */
	struct msa_parent_seen seen;
	bool is_forced;
	bool is_outdated; /* the wish has changed under an UPDATE that is under way */

	struct msp_key *key, *next_key; /* owned; private; owner is the zone */
	char *key_file, *next_file;     /* owned, persisted */
	struct msp_rrset *pub;          /* owned, persisted: the KEY records of both; what the other agents are told */
	enum msa_roll roll;             /* persisted */
	struct msa_pend key_job;
	bool load_failed;

	/* KEY records of all providers, contributed to our combiner in a message of their own */
	struct msp_rrset *put_key; /* owned */
	bool has_put_key, put_key_acked;
	struct msa_pend combine;
	struct msp_mono combine_next;
	uint32_t combine_backoff_s;
	char combine_why[MSA_TEXT_MAX];

	/* persisted: what became of which wish */
	uint8_t digest[32];
	bool is_done, is_stopped;
	int64_t sent_s, uploaded_s, refused_s; /* wall; 0 = never */
	uint32_t sends, refused;
	struct msp_mono done_at;

	bool has_state;
	uint8_t key_state;
	bool uploaded_again; /* once, after BADKEY */
	uint32_t backoff_s, confirm_backoff_s, state_backoff_s;
	char why[MSA_TEXT_MAX];     /* what keeps it */
	char answer[MSA_TEXT_MAX];  /* the receiver's last */
	char key_why[MSA_TEXT_MAX]; /* why the parent does not trust our key though nothing else is amiss */
	char no_ns_why[MSA_TEXT_MAX];
	struct msp_mono answer_at;
};

/* parent.c */
MSP_CHECKED enum msp_err msa_parent_new(struct msa_core *c, struct msa_zone *z, const struct msa_zone_conf *conf);
void msa_parent_free(struct msa_core *c, struct msa_parent **p);
void msa_parent_touch(struct msa_core *c, struct msa_zone *z);
void msa_parent_look(struct msa_core *c, struct msa_parent *p);
void msa_parent_sync(struct msa_core *c, struct msa_zone *z);
void msa_parent_enter(struct msa_core *c, struct msa_parent *p, enum msa_phase phase);
void msa_parent_hold(struct msa_core *c, struct msa_parent *p, const char *why);
/** why NULL: it was stopped before, and looks now and then whether the delegation has come right by itself. */
void msa_parent_stop(struct msa_core *c, struct msa_parent *p, const char *why);
void msa_parent_by_hand(struct msa_core *c, struct msa_parent *p, const char *why);
void msa_parent_done(struct msa_core *c, struct msa_parent *p);
/** The delegation is as wanted: done, once the parent trusts our key, too. */
void msa_parent_settle(struct msa_core *c, struct msa_parent *p);
/** What there was to do about our key is done (why NULL), or it cannot be; goes on with the delegation. */
void msa_parent_key_done(struct msa_core *c, struct msa_parent *p, const char *why);
/** Wait in this phase, longer each time; its turn comes again then. */
void msa_parent_wait(struct msa_core *c, struct msa_parent *p, uint32_t *backoff_s, uint32_t first_s, uint32_t max_s);
/** Wait in this phase; `ms` from now its turn comes again. */
void msa_parent_again(struct msa_core *c, struct msa_parent *p, int64_t ms);
/** The delegation is shown by all as it should be. */
bool msa_parent_is_shown(const struct msa_parent *p);

/* parent_want.c */
/**
 * What the delegation should be, as far as we have a say in it (H.4).
 * @return false: not the time to tell the parent anything, why says what is missing
 */
bool msa_parent_want(struct msa_core *c, const struct msa_zone *z, struct msp_rrset **ds, struct msp_rrset **ns,
		     char no_ns_why[MSA_TEXT_MAX], char why[MSA_TEXT_MAX]);

/* parent_find.c: look-ups */
void msa_parent_begin_zone(struct msa_core *c, struct msa_parent *p);
void msa_parent_begin_servers(struct msa_core *c, struct msa_parent *p);
void msa_parent_begin_addresses(struct msa_core *c, struct msa_parent *p);
void msa_parent_begin_dsync(struct msa_core *c, struct msa_parent *p);
void msa_parent_begin_target(struct msa_core *c, struct msa_parent *p);
/** One that was asked for here is over. secure: what came of MSA_ACT_LOOKUP; else NULL. */
struct msa_looked {
	enum msp_lookup verdict;
	bool is_negative;
	const struct msp_rrset *set; /* borrowed; NULL when there is none */
	const struct msp_name *soa_owner;
	const char *why;
};
void msa_parent_looked(struct msa_core *c, struct msa_pend *pend, const struct msa_looked *l);
/** Whether the NOTIFY that could be sent instead of, or beside, an UPDATE is of use. */
bool msa_parent_can_notify(const struct msa_core *c, const struct msa_parent *p);
void msa_parent_start_notify(struct msa_core *c, struct msa_parent *p, enum msa_phase after);
void msa_parent_next_notify(struct msa_core *c, struct msa_parent *p);

/* parent_round.c: questions to servers */
void msa_parent_begin_round(struct msa_core *c, struct msa_parent *p);
void msa_parent_asked(struct msa_core *c, struct msa_pend *pend, enum msp_err err, struct msp_span octets);
void msa_round_stop(struct msa_core *c, struct msa_round *r);

/* parent_talk.c: messages to the receiver */
void msa_parent_begin_talk(struct msa_core *c, struct msa_parent *p);
void msa_parent_talked(struct msa_core *c, struct msa_pend *pend, enum msp_err err, struct msp_span octets);
/** The phase's pause is over. */
void msa_parent_talk_due(struct msa_core *c, struct msa_parent *p);
void msa_parent_trust_due(struct msa_core *c, struct msa_parent *p);

/* parent_key.c: our key */
void msa_parent_begin_key(struct msa_core *c, struct msa_parent *p);
void msa_parent_begin_roll_make(struct msa_core *c, struct msa_parent *p);
void msa_parent_keyed(struct msa_core *c, struct msa_pend *pend, enum msp_err err, struct msp_key **key,
		      const char *file, const char *why);
/** Our KEY records, for the contribution. *out NULL: none, or not ours to publish. */
MSP_CHECKED enum msp_err msa_parent_own_keys(const struct msa_zone *z, struct msp_rrset **out);
/** What the combiner should have; when to look again. */
struct msp_mono msa_parent_look_at_keys(struct msa_core *c, struct msa_parent *p);
void msa_parent_combined(struct msa_core *c, struct msa_parent *p, enum msp_err err, const char *why);
void msa_parent_roll(struct msa_core *c, struct msa_zone *z);
/** The next key is trusted: it is ours now. */
void msa_parent_switch_key(struct msa_core *c, struct msa_parent *p);
void msa_parent_drop_old_key(struct msa_core *c, struct msa_parent *p);

/* actions.c */
void msa_store_parent(struct msa_core *c, const struct msa_parent *p);

#endif
