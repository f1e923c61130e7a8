/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * May this change be made, now, for this child, on this authority? One table of rules; the first that matches decides,
 * and when none does the answer is no: nothing happens without a rule that allows it. Every decision names its rule.
 * Pure.
 * @source PROTOCOL G.1 (deny by default), G.4, G.5 step 8, G.6; RFC 3007 3
 */
#ifndef PRT_POLICY_H
#define PRT_POLICY_H

#include "delegation.h"
#include "keys.h"

#define PRT_HASH_LEN 32 /* SHA-256: of messages, of keys, of records of the trail */

/** On whose word. */
enum prt_source {
	PRT_SRC_UPDATE, /* UPDATE by a trusted key of the child */
	PRT_SRC_TSIG,   /* UPDATE by a registrar's TSIG key */
	PRT_SRC_CDS,    /* CDS, CDNSKEY at a child that is secure */
	PRT_SRC_DSBOOT, /* the first DS: RFC 9615, or after a delay */
	PRT_SRC_CSYNC,
	PRT_SRC_OPERATOR, /* msctl */
	PRT_SRC__N,
	PRT_SRC_NONE = 255 /* on nobody's: what parentd sees, and does by itself. In the audit trail alone */
};
const char *prt_source_name(enum prt_source s);

/** What may change, as bits. */
#define PRT_TOUCH_NS   1u
#define PRT_TOUCH_DS   2u
#define PRT_TOUCH_GLUE 4u
#define PRT_TOUCH_KEY  8u
#define PRT_TOUCH_ALL  15u
/** What a word of this kind can be about at all, whatever the policy: CDS says nothing of name servers. */
unsigned prt_source_may_touch(enum prt_source s);

struct prt_policy {
	unsigned sources;  /* bit n = enum prt_source n is open */
	unsigned touch;    /* PRT_TOUCH_ bits that may change */
	bool allow_delete; /* a child may become insecure */
	bool propose;      /* every change waits for an operator */
	uint32_t cooldown_s;
	unsigned changes_per_day; /* 0 = no limit */
	unsigned methods;         /* bit n = enum prt_method n may make a key trusted */
	bool keys_need_human;     /* validated keys wait for an operator all the same */
};
/** Nothing is open: what holds where nothing is configured. */
extern const struct prt_policy prt_policy_closed;

/** The change, and what is known of the child. */
struct prt_case {
	enum prt_source source;
	unsigned touch;       /* PRT_TOUCH_ bits: what it changes; 0 = nothing */
	unsigned losses;      /* enum prt_loss bits */
	bool is_locked;       /* registry lock */
	bool is_confirmed;    /* a deletion of all DS was asked for twice, some time apart */
	struct msp_wall last; /* change accepted last; s 0 = never */
	unsigned today;       /* changes accepted in the last 24 hours */
};

enum prt_decision {
	PRT_REFUSE,
	PRT_ALLOW,
	PRT_PROPOSE, /* an operator decides */
	PRT_CONFIRM, /* ask again later: a second look must agree */
	PRT_LATER    /* cool-down: not before `not_before` */
};
struct prt_ruling {
	enum prt_decision decision;
	const char *rule;           /* name of the row; static */
	struct prt_refusal refusal; /* with PRT_REFUSE; with PRT_LATER what a sender who cannot wait is told */
	struct msp_wall not_before; /* with PRT_LATER */
};
void prt_policy_change(const struct prt_policy *p, const struct prt_case *c, struct msp_wall now,
		       struct prt_ruling *out);
/** A key has been validated by `method`: ALLOW, PROPOSE (a human says so) or REFUSE. */
void prt_policy_key(const struct prt_policy *p, enum prt_method method, struct prt_ruling *out);
/** What of a delegation differs, as PRT_TOUCH_ bits. */
unsigned prt_touches(const struct prt_delegation *before, const struct prt_delegation *after);

#endif
