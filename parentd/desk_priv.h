/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the parts of the desk share: desk_common.c has what all of them do to a child; nobody else includes this.
 */
#ifndef PRT_DESK_PRIV_H
#define PRT_DESK_PRIV_H

#include "desk.h"

#define PRT_LEASE_S        300     /* a look that was asked for and of which nothing is heard is asked for again */
#define PRT_CONFIRM_KEEP_S 86400   /* how long the first of two UPDATEs that delete all DS waits for the second */
#define PRT_TIME_AHEAD_S   1209600 /* no time that we set lies further ahead than this: the clock was put back */

/** One event at the desk. */
struct prt_desk {
	const struct prt_rules *r; /* NULL where no rule is needed: imports, what backends say */
	struct prt_child *c;
	struct msp_wall now;
	struct prt_outcome *out;
};

/** Times that lie in the future are those of a clock that was put back since: as if they were now, so that every wait
 * begins anew and none is for ever (DESIGN S13). */
void prt_desk_heal(const struct prt_desk *k);
/** There is a delegation that can be changed. */
bool prt_desk_is_delegated(const struct prt_child *c);

/**
 * An audit record with before and after (NULL: none). by NULL: nobody asked.
 * @return MSP_OK; MSP_ENOMEM; MSP_ELIMIT: too many for one event (an error of ours)
 */
MSP_CHECKED enum msp_err prt_desk_entry(const struct prt_desk *k, enum prt_verdict verdict, const struct prt_asker *by,
					const char *rule, const char *why, const struct prt_delegation *before,
					const struct prt_delegation *after);
/** Who asked for what waits. */
struct prt_asker prt_desk_asker(const struct prt_pending *p);
/** One who has no message of his own speaks about the one that asked for what waits. */
struct prt_asker prt_desk_about(const struct prt_asker *by, const struct prt_pending *p);
/** It waits on this word now. */
void prt_desk_on_word_of(struct prt_pending *p, const struct prt_asker *by);
/** One who is not a person: "cds". */
struct prt_asker prt_desk_nobody(enum prt_source source, const char *who);

/** The first gate: may `registered` become `wanted` on this word, now? */
void prt_desk_judge(const struct prt_rules *r, const struct prt_child *c, const struct prt_delegation *wanted,
		    enum prt_source source, bool is_confirmed, struct msp_wall now, struct prt_ruling *out);
/** It was asked for before, by an UPDATE or by CDS, long enough ago, and still is (policy: confirm-delete). */
bool prt_desk_is_confirmed(const struct prt_rules *r, const struct prt_child *c, const struct prt_delegation *wanted,
			   struct msp_wall now);
#define PRT_RULE_DELAY "RFC 8078 3.3: accept after delay"
/** The TTL of DS is the parent's matter where it has one to say: a change begins with the short one (G.4 check 8). */
void prt_desk_settle_ttl(const struct prt_rules *r, const struct prt_child *c, struct prt_delegation *wanted);
/** The times of changes that count, and one more. */
unsigned prt_desk_today(const struct prt_child *c, struct msp_wall now);

/** `wanted` becomes what is registered; taken over with MSP_OK. What waited is over. */
MSP_CHECKED enum msp_err prt_desk_accept(const struct prt_desk *k, struct prt_delegation *wanted,
					 const struct prt_asker *by, const char *rule, const char *why);
/** `wanted` waits; taken over with MSP_OK. What waited before is dropped, on record unless it is part of `wanted`. */
MSP_CHECKED enum msp_err prt_desk_wait(const struct prt_desk *k, enum prt_wait wait, struct prt_delegation *wanted,
				       const struct prt_asker *by, struct msp_wall next, const char *rule,
				       const char *why);
/** What waits does so for something else now. */
void prt_desk_wait_on(const struct prt_desk *k, enum prt_wait wait, struct msp_wall next, const char *why);
/** What waits is over. by NULL: as who asked. tell: its sender hears of it at the next UPDATE. */
MSP_CHECKED enum msp_err prt_desk_drop(const struct prt_desk *k, const struct prt_asker *by, const char *rule,
				       const char *why, bool tell);
/** Whether a change from this source may take the place of what waits. */
bool prt_desk_may_displace(const struct prt_child *c, enum prt_source source);
/** What waits came by UPDATE and was accepted: the next UPDATE goes on from there. */
bool prt_desk_is_base(const struct prt_pending *p);
/** What waits goes on to the look at the servers, or without checks becomes registered. */
MSP_CHECKED enum msp_err prt_desk_go_on(const struct prt_desk *k);
/** The fatal ones, "; " between them, cut to fit; the first of them says with which code. */
enum msp_ede_own prt_desk_findings(const struct prt_findings *f, char *out, size_t size);
/** What an audit record says, cut to fit. */
struct prt_desk_words {
	char text[512];
	size_t len; /* more than there is room for: it was cut */
};
MSP_PRINTF(2, 3)
void prt_desk_say(struct prt_desk_words *w, const char *text, ...);
/** What speaks for a change that is accepted: how many answer, by which DS, who was asked. */
void prt_desk_say_evidence(struct prt_desk_words *w, const struct prt_findings *f, const struct prt_evidence *e);
/** Tell the child at its next UPDATE. */
void prt_desk_note(struct prt_child *c, const char *text);
/** Cut to fit. */
void prt_desk_text(char *out, size_t size, const char *text);

/** An UPDATE of class KEY. MSP_EREFUSED: out->refusal says why. *is_changed: the set is another one. */
MSP_CHECKED enum msp_err prt_desk_update_keys(const struct prt_desk *k, const struct prt_update_in *in, bool is_trusted,
					      bool *is_changed);
/** An audit record of a key set that has changed: how, and why ("": nothing more is to be said). */
MSP_CHECKED enum msp_err prt_desk_key_entry(const struct prt_desk *k, const struct prt_asker *by, const char *rule,
					    const char *why, const struct prt_keyset *before);
/** Looks for keys that are KNOWN begin, or begin anew where the child's state leaves another method now. What is due is
 * put off by so much, so that it is not asked for all the time. */
void prt_desk_arrange_looks(const struct prt_desk *k, int64_t lease_s);
/** Keys that failed long ago go. */
MSP_CHECKED enum msp_err prt_desk_sweep_keys(const struct prt_desk *k);

#endif
