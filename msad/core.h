/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The agent's core: everything msad decides, and nothing it does. Events and a time go in, actions come out. No clock,
 * no socket, no file: fifty of these run in one process on a fake clock (tests/sim).
 *
 * The core speaks the whole protocol itself: it is handed raw messages, and hands out raw signed messages. It verifies
 * every message (auth/trust.h) before it believes a word of it.
 *
 * Level-triggered: on every look it recomputes what should be from the HSYNC RRset last seen, the contributions held
 * and what is observed to be served. A lost message, or a lost action, costs time and nothing else.
 * @source PROTOCOL A.1, B.3, D, E.2; DESIGN 3
 */
#ifndef MSAD_CORE_H
#define MSAD_CORE_H

#include <msproto/auth/key.h>
#include <msproto/base/addr.h>
#include <msproto/base/clock.h>
#include <msproto/base/json.h>
#include <msproto/base/log.h>
#include <msproto/base/rand.h>
#include <msproto/wire/rrset.h>
#include <msproto/zone/secure.h>

#define MSA_ZONES_MAX  1000000
#define MSA_NS_MAX     13
#define MSA_LISTEN_MAX 8

/** What the signer behind a zone can be told to do (SIGNERS 5). */
enum msa_signer_mode {
	MSA_SIGNER_OBSERVE, /* nothing: watched only; its CDS is not switched by us */
	MSA_SIGNER_COMMAND  /* cds-on / cds-off through an adapter */
};

/** What is done about the parent (PROTOCOL G, F.3 PSYNC). */
enum msa_parent_mode {
	MSA_PARENT_OFF,    /* nothing */
	MSA_PARENT_AUTO,   /* UPDATE where it is offered, NOTIFY where only that is */
	MSA_PARENT_UPDATE, /* UPDATE or nothing */
	MSA_PARENT_NOTIFY  /* NOTIFY or nothing */
};
#define MSA_FINGERPRINTS_MAX 16

struct msa_zone_conf {
	struct msp_name zone;
	enum msa_signer_mode signer_mode;
	uint32_t dnskey_ttl_s; /* TTL of injected DNSKEY and CDS; must equal what the signer uses (SIGNERS 2.1) */
	bool cdnskey;          /* contribute CDNSKEY beside CDS; the combiner must have it in extra-types */
	struct msp_name ns[MSA_NS_MAX]; /* our name servers for it: our NS contribution */
	size_t ns_count;
	enum msa_parent_mode parent_sync;
	bool publish_key; /* our KEY for the parent goes to the combiner (extra-types KEY); else the owner publishes it
			   */
};

struct msa_parent_conf {
	bool update_insecure;          /* dsync-require-secure off for UPDATE; default: secure DSYNC only */
	bool notify_secure;            /* dsync-require-secure on for NOTIFY; default: any */
	bool accept_unsigned;          /* unsigned answers of a receiver whose KEY is known count: tests of others */
	uint8_t (*fingerprint)[32];    /* copied: SHA-256 of receivers' KEY RDATA, for parents that are not signed */
	size_t fingerprint_count;      /* at most MSA_FINGERPRINTS_MAX */
	uint32_t delay_s;              /* up to so long after agreement; another provider's sender may be first; 5 */
	uint32_t observe_s;            /* between two rounds over our servers; 30 */
	uint32_t poll_s, poll_max_s;   /* parent's servers afterwards; 60, 900 */
	uint32_t state_s, state_max_s; /* KeyState while waiting; 60, 3600 */
};

struct msa_core_conf {
	struct msp_name identity;  /* our name in HSYNC RRsets */
	struct msp_name host;      /* owner of our KEY: the signer name of our messages, the target of our URI */
	const struct msp_key *key; /* private SIG(0) key; borrowed for the core's lifetime */
	struct msp_numbers numbers;
	const struct msa_zone_conf *zones; /* copied */
	size_t zone_count;
	/* timers, PROTOCOL K */
	uint32_t heartbeat_s; /* 60; 15..1800 (the lab uses less: the range is checked by conf.c, not here) */
	uint32_t hello_retry_s, hello_retry_max_s;         /* 60, 1800 */
	uint32_t discovery_retry_s, discovery_retry_max_s; /* 15, 1800 */
	uint32_t discovery_cache_min_s;                    /* 60 */
	bool svcb_port_override;                           /* PROTOCOL D.2; default false */
	struct msa_parent_conf parent;
};

struct msa_core;
struct msa_actions;

/**
 * @param saved what an earlier life stored: called back through msa_core_restore, entry by entry, before the first
 * step. log and rand are borrowed for the core's lifetime. epoch: the wall clock at start; raised above the stored one
 * if need be.
 */
MSP_CHECKED enum msp_err msa_core_new(const struct msa_core_conf *conf, struct msp_wall epoch, struct msp_rand *rand,
				      const struct msp_log *log, struct msa_core **out);
/** One stored entry (see MSA_ACT_STORE). Unknown keys are ignored with a log line; damaged values are MSP_ECORRUPT. */
MSP_CHECKED enum msp_err msa_core_restore(struct msa_core *core, struct msp_span key, struct msp_span value);
void msa_core_free(struct msa_core **core);

/* ---- events
 * ---------------------------------------------------------------------------------------------------------- */

/** The apex of a zone as our signer serves it, taken from one complete transfer. Sets are NULL when absent. All
 * borrowed. */
struct msa_zone_view {
	struct msp_name zone;
	uint32_t serial; /* the signer's */
	const struct msp_rrset *soa, *hsync, *dnskey, *cds, *cdnskey, *csync, *ns;
	const struct msp_rrset *key;
	const struct msp_rrset *dnskey_rrsig; /* RRSIGs that cover DNSKEY */
	const uint16_t *data_tags;            /* key tags seen in RRSIGs over other types than DNSKEY, CDS, CDNSKEY */
	size_t data_tag_count;
	uint32_t max_ttl_s;           /* largest TTL in the zone */
	uint32_t earliest_expiration; /* of all RRSIGs; 0 = unsigned */
	uint64_t records;
};

enum msa_event_kind {
	MSA_EV_TICK,        /* a deadline passed (msa_core_deadline) */
	MSA_EV_REQUEST,     /* a message came in on the peers' side */
	MSA_EV_ANSWER,      /* what came of MSA_ACT_SEND */
	MSA_EV_LOOKUP,      /* what came of MSA_ACT_LOOKUP */
	MSA_EV_ZONE,        /* our signer's zone was transferred */
	MSA_EV_ZONE_FAILED, /* it could not be */
	MSA_EV_READBACK,    /* what the combiner has of us, asked when nothing is stored about it (msa_core_has_put) */
	MSA_EV_COMBINED,    /* what came of MSA_ACT_COMBINE */
	MSA_EV_SIGNER,      /* what came of MSA_ACT_SIGNER */
	MSA_EV_LOOKUP_OPEN, /* what came of MSA_ACT_LOOKUP_OPEN */
	MSA_EV_KEY,         /* what came of MSA_ACT_KEY */
	MSA_EV_PARENT_SYNC, /* an operator wants the parent looked at now */
	MSA_EV_PARENT_ROLL  /* an operator wants a new key towards the parent */
};
struct msa_event {
	enum msa_event_kind kind;
	union {
		struct {
			uint64_t id; /* of the request: comes back in MSA_ACT_REPLY */
			struct msp_addr peer;
			bool is_tcp;
			struct msp_span octets;
		} request;
		struct {
			uint64_t id; /* of MSA_ACT_SEND */
			enum msp_err err;
			struct msp_span octets; /* empty unless MSP_OK; matched to the question, not verified */
		} answer;
		struct {
			uint64_t id; /* of MSA_ACT_LOOKUP */
			enum msp_lookup verdict;
			const struct msp_secure_rrset *secure; /* only with MSP_LOOKUP_SECURE; borrowed */
			const char *why;
		} lookup;
		struct msa_zone_view zone;
		struct {
			struct msp_name zone;
			const char *why;
		} zone_failed;
		struct {
			struct msp_name zone;
			const struct msp_rrset *dnskey, *cds, *cdnskey; /* NULL = none; borrowed */
		} readback;
		struct {
			struct msp_name zone;
			uint64_t id; /* of MSA_ACT_COMBINE */
			enum msp_err err;
			const char *why;
		} combined;
		struct {
			struct msp_name zone;
			uint64_t id; /* of MSA_ACT_SIGNER */
			enum msp_err err;
			const char *why;
		} signer;
		struct {
			uint64_t id;                 /* of MSA_ACT_LOOKUP_OPEN */
			enum msp_lookup verdict;     /* SECURE, INSECURE: an answer; else there is none */
			bool is_negative;            /* of SECURE, INSECURE: it does not exist */
			const struct msp_rrset *set; /* NULL when negative; borrowed */
			struct msp_name soa_owner;   /* when negative: of the SOA that came with it; unset: none */
			const char *why;
		} open;
		struct {
			uint64_t id; /* of MSA_ACT_KEY */
			enum msp_err err;
			struct msp_key **key; /* the core takes it, and leaves NULL */
			const char *file;     /* its file name, without a directory */
			const char *why;
		} key;
		struct {
			struct msp_name zone;
		} parent;
	} u;
};

/* ---- actions
 * --------------------------------------------------------------------------------------------------------- */

enum msa_signer_verb { MSA_SIGNER_CDS_ON, MSA_SIGNER_CDS_OFF };

enum msa_action_kind {
	MSA_ACT_REPLY,   /* answer a request; empty octets = drop it without an answer */
	MSA_ACT_SEND,    /* send a message, report its answer */
	MSA_ACT_LOOKUP,  /* DNSSEC-validated look-up */
	MSA_ACT_FLUSH,   /* forget the resolver's cache: a peer has re-keyed */
	MSA_ACT_COMBINE, /* hand RRsets to the combiner of the zone: each replaces what was contributed of its type */
	MSA_ACT_SIGNER,  /* command the signer of the zone */
	MSA_ACT_STORE,   /* make durable before anything after it in the list is done */
	MSA_ACT_UNSTORE,
	MSA_ACT_TRANSFER,    /* fetch the zone from the signer now */
	MSA_ACT_LOOKUP_OPEN, /* look-up for what may be believed unsigned, and for what does not exist */
	MSA_ACT_KEY          /* make, load or remove a private key of a zone */
};
enum msa_key_verb { MSA_KEY_MAKE, MSA_KEY_LOAD, MSA_KEY_REMOVE /* no event */ };
#define MSA_COMBINE_TYPES 5 /* DNSKEY, CDS, CDNSKEY, CSYNC, NS */
struct msa_action {
	enum msa_action_kind kind;
	uint64_t id;          /* REPLY: the request's; SEND, LOOKUP, COMBINE, SIGNER: fresh, comes back in the event */
	struct msp_addr addr; /* SEND */
	bool tcp_only;        /* SEND: else UDP first, TCP when too large or truncated */
	uint32_t timeout_ms;  /* SEND: this one, and no retransmission; 0: the usual ones, with retransmission by UDP */
	struct msp_span octets;     /* REPLY, SEND: message; STORE: value; KEY: file name. Owned by the action list */
	struct msp_span key;        /* STORE, UNSTORE. Owned by the action list */
	struct msp_name name;       /* LOOKUP, LOOKUP_OPEN: name; COMBINE, SIGNER, TRANSFER, KEY: zone */
	uint16_t type;              /* LOOKUP, LOOKUP_OPEN */
	enum msa_key_verb key_verb; /* KEY */
	struct {
		uint16_t type;
		struct msp_rrset *set; /* owned by the action list; NULL = contribute nothing of this type */
	} combine[MSA_COMBINE_TYPES];
	size_t combine_count;
	enum msa_signer_verb verb;     /* SIGNER */
	struct msp_rrset *signer_keys; /* SIGNER: the own KSKs meant, DNSKEY RDATA. Owned by the action list */
};

/** Filled by a step, performed in order, then cleared. */
struct msa_actions {
	struct msa_action *item; /* owned */
	size_t count, size;
};
void msa_actions_init(struct msa_actions *a);
void msa_actions_clear(struct msa_actions *a);
void msa_actions_fini(struct msa_actions *a);

/**
 * One event. Appends to `out`. Only MSP_ENOMEM and MSP_ECRYPTO are possible failures; the state is then as before or
 * ahead, never wrong, and the next step goes on.
 */
MSP_CHECKED enum msp_err msa_core_step(struct msa_core *core, const struct msa_event *ev, struct msp_mono now,
				       struct msp_wall wall, struct msa_actions *out);
/** When the next MSA_EV_TICK is due; MSP_MONO_NEVER when nothing waits. */
struct msp_mono msa_core_deadline(const struct msa_core *core);

/**
 * Whether it is known what this zone's combiner was given. When not (a first start, or the store was lost), the shell
 * reads it back and hands it in as MSA_EV_READBACK before the first MSA_EV_ZONE: a foreign key that sits in the
 * combiner must never be taken for one of our own signer's.
 */
bool msa_core_has_put(const struct msa_core *core, const struct msp_name *zone);

/* ---- views for msctl and tests: each returns a new reference, NULL when out of memory
 * --------------------------------- */

json_t *msa_core_status(const struct msa_core *core, struct msp_mono now);
json_t *msa_core_zones(const struct msa_core *core, struct msp_mono now);
/** With keys and whose they are, peers' membership, what is waited for. NULL data when the zone is unknown (json null).
 */
json_t *msa_core_zone(const struct msa_core *core, const struct msp_name *zone, struct msp_mono now);
/** Where a zone's parent stands: json null when the zone is unknown. */
json_t *msa_core_parent(const struct msa_core *core, const struct msp_name *zone, struct msp_mono now);
json_t *msa_core_peers(const struct msa_core *core, struct msp_mono now);
json_t *msa_core_peer(const struct msa_core *core, const struct msp_name *identity, struct msp_mono now);

#endif
