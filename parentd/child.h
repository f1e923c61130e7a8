/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Everything that is known of one child: its delegation, its keys, what waits to be decided, what was seen. One value:
 * loaded, changed by desk.h and stored again in one transaction, so that several processes on one store share its
 * limits and its memory of messages. Pure.
 * @source PROTOCOL C.5 (replay), G.4, G.5, G.6
 */
#ifndef PRT_CHILD_H
#define PRT_CHILD_H

#include "bootstrap.h"
#include "policy.h"

#define PRT_SEEN_MAX    32 /* messages remembered until their signatures expire; more is "try later" */
#define PRT_SEEN_DIGEST 16 /* of SHA-256 */
#define PRT_CHANGES_MAX 16 /* times of changes accepted in the last 24 hours */
#define PRT_TEXT_MAX    96
#define PRT_REPEAT_S    30 /* the same message from the same source: a retransmission (PROTOCOL C.5) */

/** A message that changed something. */
struct prt_seen {
	uint8_t digest[PRT_SEEN_DIGEST]; /* of its signature: of ECDSA's r alone, of a TSIG's first 16 octets */
	uint8_t source[8];               /* of the peer's address, hashed */
	struct msp_wall at, until;
	uint16_t rcode, ede; /* what was answered; ede as in struct prt_refusal, 0 = none */
	bool is_standard_ede;
};

enum prt_wait {
	PRT_WAIT_NONE,
	PRT_WAIT_CHECKS,   /* accepted; the servers have to be looked at (PROTOCOL G.4) */
	PRT_WAIT_CONFIRM,  /* a second look must agree */
	PRT_WAIT_TURN,     /* cool-down */
	PRT_WAIT_OPERATOR, /* mode propose, CSYNC without `immediate` */
	PRT_WAIT__N
};
/** A change that is not decided yet; at most one for each child, the newest. */
struct prt_pending {
	enum prt_wait wait; /* NONE: there is none; the rest is zero then */
	enum prt_source source;
	struct prt_delegation wanted; /* initialised only with a wait */
	struct msp_wall since, next;  /* next: when to go on by itself; s 0 = never */
	unsigned tries;               /* of checks that could not be finished */
	uint16_t key_tag;             /* of the signer; 0 = none */
	struct msp_addr peer;         /* who asked; family NONE: no message did */
	bool is_tcp;
	uint8_t message[PRT_HASH_LEN]; /* SHA-256 of it; zero without */
	char who[PRT_TEXT_MAX];        /* "key 12345", "registrar-key.", "cds", "operator anna" */
	char why[PRT_TEXT_MAX];        /* what it waits for, for people */
};

/** Of looks at the child's CDS, CDNSKEY and CSYNC. */
struct prt_scan {
	struct msp_wall last, next; /* next: a retry, or what a NOTIFY asked for; s 0 = only the sweep */
	uint8_t failures;           /* in a row: 5, 10, 20, 40 min, then a report (G.4 check 3) */
	uint32_t inception;         /* of the CDS signatures acted on last, 0 = none (G.4 check 4) */
	uint32_t csync_serial;      /* SOA serial of the CSYNC acted on last; with has_csync */
	bool has_csync;
	struct msp_wall started[10]; /* scans begun on NOTIFY in the last hour (G.3: 10 an hour) */
	char result[PRT_TEXT_MAX];   /* of the last one, for people */
};

#define PRT_CHILD_LOCKED  1u /* registry lock */
#define PRT_CHILD_GONE    2u /* the parent zone has no such delegation (any more): nothing is accepted */
#define PRT_CHILD_NOTICED 4u /* a NOTIFY has led to a change: the sweep may come more rarely (G.3) */

struct prt_child {
	struct msp_name parent, name;
	unsigned flags;
	char lock_why[PRT_TEXT_MAX];
	struct prt_delegation registered; /* accepted last: what the backend is to make true */
	struct prt_delegation published;  /* what the backend is known to have */
	struct prt_keyset keys;
	struct prt_boot boot[PRT_KEYS_MAX]; /* boot[i] belongs to keys.key[i]: prt_child_boot */
	struct prt_pending pending;
	struct prt_scan scan;
	struct prt_seen seen[PRT_SEEN_MAX];
	size_t seen_count;
	struct msp_wall changes[PRT_CHANGES_MAX]; /* accepted, oldest first */
	size_t change_count;
	struct msp_wall ttl_back;    /* when the DS TTL goes back to normal; s 0 = it is */
	uint64_t last_seq;           /* of its newest audit record */
	char note[2 * PRT_TEXT_MAX]; /* why the last change was not carried out: told at the next UPDATE (G.5, defer) */
};
void prt_child_init(struct prt_child *c, const struct msp_name *parent, const struct msp_name *name);
void prt_child_fini(struct prt_child *c);
/** For the store. What has run out by itself (seen, changes) is left out. The keys come first: see prt_child_read_keys.
 */
MSP_CHECKED enum msp_err prt_child_write(const struct prt_child *c, struct msp_wall now, struct msp_buf *out);
/** @param c initialised by the call with MSP_OK. MSP_ECORRUPT. */
MSP_CHECKED enum msp_err prt_child_read(struct msp_span octets, struct prt_child *c);
/** Only name, flags and keys, without allocating: for who verifies. *flags as PRT_CHILD_*. */
MSP_CHECKED enum msp_err prt_child_read_keys(struct msp_span octets, struct prt_keyset *keys, unsigned *flags);
/** When something is to be done for it by itself; s 0 = never (the sweep aside). */
struct msp_wall prt_child_due(const struct prt_child *c);
/** The backend has something to do. */
static inline bool prt_child_is_unpublished(const struct prt_child *c)
{
	return !prt_delegation_equal(&c->registered, &c->published);
}
/** keys may have been reordered or removed by keys.h: boot[] follows. Call with a copy of the keys from before. */
void prt_child_realign(struct prt_child *c, const struct prt_keyset *before);
const char *prt_wait_name(enum prt_wait w);

#define PRT_SEEN_TSIG 0 /* in place of an algorithm: `signature` is a TSIG's MAC, of which 16 octets count */
/** Identity of a signature for `seen`: PROTOCOL C.5; of ECDSA (algorithms 13, 14) the first half alone. */
MSP_CHECKED enum msp_err prt_seen_digest(uint8_t algorithm, struct msp_span signature, uint8_t digest[PRT_SEEN_DIGEST]);
void prt_seen_source(const struct msp_addr *peer, uint8_t source[8]);
/** NULL = not seen. */
const struct prt_seen *prt_child_seen(const struct prt_child *c, const uint8_t digest[PRT_SEEN_DIGEST]);

#endif
