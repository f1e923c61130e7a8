/* SPDX-License-Identifier: BSD-2-Clause */
/** @file A child with something in every part, for the tests of records and books. */
#ifndef TEST_PRT_CHILD_BUILD_H
#define TEST_PRT_CHILD_BUILD_H

#include "prt_build.h"

#include "child.h"

#define T_NOON 1800000000

static inline void t_key(struct prt_keyset *k, uint8_t fill, enum prt_key_state state)
{
	struct prt_key *key = &k->key[k->count++];

	key->state = state;
	key->method = PRT_METHOD_APEX;
	key->since.s = T_NOON - 500;
	key->rdata_len = 68;
	memset(key->rdata, fill, 68);
	key->rdata[3] = 13;
}

/** One key, USUAL records, published. */
static inline void t_usual_child(struct prt_child *c)
{
	struct msp_name parent = t_name(P), name = t_name(C);

	prt_child_init(c, &parent, &name);
	t_delegation(&c->registered, USUAL);
	T_OK(prt_delegation_dup(&c->registered, &c->published));
	t_key(&c->keys, 1, PRT_KEY_TRUSTED);
}

static inline void t_full_child(struct prt_child *c)
{
	t_usual_child(c);
	c->flags = PRT_CHILD_LOCKED | PRT_CHILD_NOTICED;
	(void)snprintf(c->lock_why, sizeof(c->lock_why), "court order");
	prt_delegation_clear(&c->published);
	t_delegation(&c->published, C " 300 NS a.test.\n" C " 300 NS b.test.\n");
	t_key(&c->keys, 2, PRT_KEY_KNOWN);
	t_key(&c->keys, 3, PRT_KEY_FAILED);
	c->keys.key[1].replaces = true;
	c->keys.key[1].attempts = 2;
	c->keys.key[0].used.s = T_NOON - 1;
	c->keys.bootstraps[0].s = T_NOON - 100;
	c->keys.bootstraps[2].s = T_NOON - 50;
	c->boot[1] = (struct prt_boot){ PRT_METHOD_UNSIGNED, 3, { T_NOON - 4000 }, { T_NOON + 4000 } };
	c->pending = (struct prt_pending){ .wait = PRT_WAIT_CONFIRM,
					   .source = PRT_SRC_CDS,
					   .since = { T_NOON - 3 },
					   .next = { T_NOON + 600 },
					   .tries = 2,
					   .key_tag = 12345,
					   .who = "cds",
					   .why = "all DS would go" };
	t_delegation(&c->pending.wanted, C " 300 NS ns.other.test.\n");
	c->scan = (struct prt_scan){ .last = { T_NOON - 9 },
				     .next = { T_NOON + 300 },
				     .failures = 2,
				     .inception = 77,
				     .csync_serial = 2026112401,
				     .has_csync = true,
				     .result = "differs at ns1" };
	c->scan.started[0].s = T_NOON - 20;
	c->scan.started[3].s = T_NOON - 10;
	for (unsigned i = 0; i < 3; i++) {
		struct prt_seen *s = &c->seen[c->seen_count++];

		memset(s->digest, (int)i + 1, sizeof(s->digest));
		memset(s->source, (int)i + 11, sizeof(s->source));
		s->at.s = T_NOON - i;
		s->until.s = T_NOON + 600 - 601 * (i == 2); /* the last one has run out */
		s->rcode = 5;
		s->ede = (uint16_t)(49152 + i);
		s->is_standard_ede = i == 1;
	}
	c->changes[0].s = T_NOON - 86400; /* has run out */
	c->changes[1].s = T_NOON - 86399;
	c->changes[2].s = T_NOON - 5;
	c->change_count = 3;
	c->ttl_back.s = T_NOON + 86400;
	c->last_seq = 12345678901;
	(void)snprintf(c->note, sizeof(c->note), "the primary said REFUSED");
}

#endif
