/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The SIG(0) keys of one child: a set, one or more per provider. Who is trusted, who waits for what, and how the set
 * changes. A plain value: loaded from the store, changed here, stored in one transaction. Pure.
 * @source PROTOCOL G.6, B.2
 */
#ifndef PRT_KEYS_H
#define PRT_KEYS_H

#include "refusal.h"

#include <msproto/auth/key.h>
#include <msproto/base/clock.h>
#include <msproto/msg/keystate.h>
#include <msproto/msg/update.h>
#include <msproto/wire/rrset.h>

#define PRT_KEYS_MAX         16 /* of one child, all states */
#define PRT_PENDING_MAX      4  /* KNOWN and MANUAL */
#define PRT_SAME_TAG_MAX     4 /* with one tag and algorithm: no more are tried for a signature (PROTOCOL C.3 step 7) */
#define PRT_BOOTSTRAPS_PER_H 3
#define PRT_ATTEMPTS_MAX     3
#define PRT_FAILED_KEEP_S    (30 * 86400)
#define PRT_KEY_RDATA_MAX    600 /* RSA 4096: 519 */

/** name, text */
#define PRT_KEY_STATE_MAP(X)                                                                                           \
	X(ABSENT, "not in the set")                                                                                    \
	X(KNOWN, "possession shown, automatic validation under way")                                                   \
	X(MANUAL, "waits for an operator")                                                                             \
	X(TRUSTED, "trusted")                                                                                          \
	X(FAILED, "automatic validation was tried and failed")                                                         \
	X(DISTRUSTED, "distrusted by an operator")
enum prt_key_state {
#define PRT_KEY_ENUM(name, text) PRT_KEY_##name,
	PRT_KEY_STATE_MAP(PRT_KEY_ENUM)
#undef PRT_KEY_ENUM
		PRT_KEY__N
};
enum prt_key_event {
	PRT_KEV_UPLOADED,    /* self-signed UPDATE */
	PRT_KEV_ADDED,       /* UPDATE signed by a trusted key of the child */
	PRT_KEV_VALIDATED,   /* a method has succeeded, and policy takes its word */
	PRT_KEV_NEEDS_HUMAN, /* it has, but policy wants an operator; or no automatic method is left */
	PRT_KEV_ATTEMPT,     /* a method has failed: the last of PRT_ATTEMPTS_MAX makes FAILED of it */
	PRT_KEV_APPROVED,    /* by an operator */
	PRT_KEV_REJECTED,    /* by an operator */
	PRT_KEV_DELETED,     /* UPDATE signed by a trusted key */
	PRT_KEV_EXPIRED,     /* long after FAILED */
	PRT_KEV_FORGOTTEN,   /* by an operator: as if it had never been there */
	PRT_KEV__N
};
/** How a key became, or is to become, trusted. */
enum prt_method {
	PRT_METHOD_NONE,
	PRT_METHOD_APEX,     /* DNSSEC-validated KEY at the child's apex */
	PRT_METHOD_NS,       /* _sig0key.<child>._signal.<ns> */
	PRT_METHOD_UNSIGNED, /* many consistent looks over time */
	PRT_METHOD_MANUAL,
	PRT_METHOD_ROLLOVER, /* added by a trusted key */
	PRT_METHOD__N
};

struct prt_key {
	uint8_t rdata[PRT_KEY_RDATA_MAX]; /* KEY RDATA: the identity of a key is all of it, never its tag */
	uint16_t rdata_len;
	enum prt_key_state state; /* never ABSENT */
	enum prt_method method;
	bool replaces;    /* its upload carried DEL child ANY KEY: the keys trusted before go once it is trusted */
	uint8_t attempts; /* of validation that failed */
	struct msp_wall since, used; /* of the state; last signature accepted (s 0 = never) */
};
struct prt_keyset {
	struct prt_key key[PRT_KEYS_MAX];
	size_t count;
	struct msp_wall bootstraps[PRT_BOOTSTRAPS_PER_H]; /* when the last ones began; s 0 = never */
};
/** Serialised for the store, and back. MSP_ECORRUPT. */
MSP_CHECKED enum msp_err prt_keyset_write(const struct prt_keyset *k, struct msp_buf *out);
MSP_CHECKED enum msp_err prt_keyset_read(struct msp_span octets, struct prt_keyset *out);
/** NULL = absent. */
struct prt_key *prt_keyset_find(struct prt_keyset *k, struct msp_span rdata);
static inline struct msp_span prt_key_rdata(const struct prt_key *key)
{
	return msp_span(key->rdata, key->rdata_len);
}
/** Candidates for a signature, at most PRT_KEYS_MAX; several may share tag and algorithm. Trusted ones come first:
 * anybody can make and upload keys with the tag of another one. */
size_t prt_keyset_by_tag(const struct prt_keyset *k, uint16_t tag, uint8_t algorithm,
			 const struct prt_key *out[PRT_KEYS_MAX]);
size_t prt_keyset_count(const struct prt_keyset *k, enum prt_key_state state);
/** KEY RRset of the trusted keys, for prerequisites; *out NULL when there is none. */
MSP_CHECKED enum msp_err prt_keyset_trusted(const struct prt_keyset *k, const struct msp_name *child,
					    struct msp_rrset **out);

struct prt_key_rules {
	uint32_t algorithms;     /* bit n = algorithm n is taken */
	bool rollover_by_update; /* `key-rollover update`: a trusted key may add and delete keys; else only uploads */
};
extern const struct prt_key_rules prt_key_rules_default;
/**
 * Whether a key could be used at all: decodable, strong enough, no zone key, algorithm taken.
 * @return MSP_OK; MSP_EVALUE with *state INVALID or REFUSED (what KeyState says of it) and the reason; MSP_ENOMEM
 */
MSP_CHECKED enum msp_err prt_key_check(const struct msp_name *child, struct msp_span rdata,
				       const struct prt_key_rules *rules, enum msp_keystate_state *state,
				       struct msp_why *why);
/** As above as far as it costs nothing: no public-key operation, no memory. */
MSP_CHECKED enum msp_err prt_key_glance(struct msp_span rdata, const struct prt_key_rules *rules,
					enum msp_keystate_state *state, struct msp_why *why);
/**
 * A signature that no key that is taken could make, by a key that the update adds itself: it is the key that is at
 * fault, and its owner is told so. At no cost, since nobody has signed anything.
 * @param tag, algorithm of the signature
 * @return true: *no and *state say what is wrong with the key
 */
bool prt_key_refuse_carried(const struct msp_msg *m, const struct msp_name *child, uint16_t tag, uint8_t algorithm,
			    const struct prt_key_rules *rules, struct msp_rr_scratch *scratch,
			    enum msp_keystate_state *state, struct prt_refusal *no);

/**
 * A KEY update that was signed by the key with RDATA `signer`: a trusted key of the set, or the very key that it adds
 * (an upload). An upload takes nothing away: what it deletes goes when it is trusted. The last trusted key cannot be
 * deleted. Where there is no room, keys that failed give way, and of those that wait one that a look has missed: junk
 * uploads must not keep out for long the key that the child does publish. `k` changes only with MSP_OK.
 * @return MSP_OK; MSP_EREFUSED (*no says why); MSP_ENOMEM
 */
MSP_CHECKED enum msp_err prt_keys_update(struct prt_keyset *k, const struct msp_msg *m, const struct msp_name *child,
					 struct msp_span signer, const struct prt_key_rules *rules, struct msp_wall now,
					 struct msp_rr_scratch *scratch, struct prt_refusal *no);
/**
 * The table: state and event -> state. A key that becomes TRUSTED and `replaces` takes the others that are trusted with
 * it. Pointers into k->key are stale afterwards. @return false: the event makes no sense there, nothing changes.
 */
bool prt_key_event(struct prt_keyset *k, struct prt_key *key, enum prt_key_event ev, enum prt_method method,
		   struct msp_wall now);
/** Drop what failed too long ago. */
void prt_keyset_sweep(struct prt_keyset *k, struct msp_wall now);
#define PRT_KEY_IDLE_DAYS 400
/** Days since its last use, or since it is what it is. */
static inline unsigned prt_key_unused_days(const struct prt_key *key, struct msp_wall now)
{
	int64_t last = key->used.s > key->since.s ? key->used.s : key->since.s;

	return now.s > last ? (unsigned)((now.s - last) / 86400) : 0;
}
/** Trusted, and not used for PRT_KEY_IDLE_DAYS: flagged for an operator, never removed. @source PROTOCOL G.6 */
static inline bool prt_key_is_idle(const struct prt_key *key, struct msp_wall now)
{
	return key->state == PRT_KEY_TRUSTED && prt_key_unused_days(key, now) >= PRT_KEY_IDLE_DAYS;
}
/** What a KeyState inquiry is told of a key; NULL = absent. @source PROTOCOL G.6 */
enum msp_keystate_state prt_key_keystate(const struct prt_key *key);
/** The refusal of a delegation UPDATE by a key that is not trusted. @source PROTOCOL B.5 */
void prt_key_refusal(const struct prt_key *key, bool has_edns, struct prt_refusal *no);
const char *prt_key_state_name(enum prt_key_state s);
const char *prt_key_state_text(enum prt_key_state s);
const char *prt_method_name(enum prt_method m);

#endif
