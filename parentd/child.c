/* SPDX-License-Identifier: BSD-2-Clause */
#include "child.h"

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>

#include <string.h>

void prt_child_init(struct prt_child *c, const struct msp_name *parent, const struct msp_name *name)
{
	memset(c, 0, sizeof(*c));
	c->parent = *parent;
	c->name = *name;
	prt_delegation_init(&c->registered, parent, name);
	prt_delegation_init(&c->published, parent, name);
}

void prt_child_fini(struct prt_child *c)
{
	prt_delegation_clear(&c->registered);
	prt_delegation_clear(&c->published);
	if (c->pending.wait != PRT_WAIT_NONE)
		prt_delegation_clear(&c->pending.wanted);
	c->pending.wait = PRT_WAIT_NONE;
}

static void earlier(struct msp_wall *due, struct msp_wall t)
{
	if (t.s != 0 && (due->s == 0 || t.s < due->s))
		*due = t;
}

/* Of a key, and of the looks for it. */
static struct msp_wall key_due(const struct prt_key *key, const struct prt_boot *boot)
{
	if (key->state == PRT_KEY_KNOWN)
		return boot->next;
	if (key->state == PRT_KEY_FAILED)
		return (struct msp_wall){ key->since.s + PRT_FAILED_KEEP_S };
	return (struct msp_wall){ 0 };
}

struct msp_wall prt_child_due(const struct prt_child *c)
{
	struct msp_wall due = { 0 };

	if (c->pending.wait != PRT_WAIT_NONE)
		earlier(&due, c->pending.next);
	earlier(&due, c->scan.next);
	earlier(&due, c->ttl_back);
	for (size_t i = 0; i < c->keys.count; i++)
		earlier(&due, key_due(&c->keys.key[i], &c->boot[i]));
	return due;
}

void prt_child_realign(struct prt_child *c, const struct prt_keyset *before)
{
	struct prt_boot old[PRT_KEYS_MAX];

	memcpy(old, c->boot, sizeof(old));
	memset(c->boot, 0, sizeof(c->boot));
	for (size_t i = 0; i < c->keys.count; i++)
		for (size_t j = 0; j < before->count; j++)
			if (msp_span_equal(prt_key_rdata(&c->keys.key[i]), prt_key_rdata(&before->key[j])))
				c->boot[i] = old[j];
}

const char *prt_wait_name(enum prt_wait w)
{
	static const char *const names[PRT_WAIT__N] = { "none", "checks", "confirm", "turn", "operator" };

	return w < PRT_WAIT__N ? names[w] : "?";
}

/* --- messages seen --- */

enum msp_err prt_seen_digest(uint8_t algorithm, struct msp_span signature, uint8_t digest[PRT_SEEN_DIGEST])
{
	uint8_t hash[32];
	enum msp_err err;

	switch (algorithm) {
	case PRT_SEEN_TSIG: /* a truncated MAC is the same message's */
		if (signature.len > 16)
			signature.len = 16;
		break;
	case MSP_ALG_ECDSAP256:
	case MSP_ALG_ECDSAP384: /* (r, -s) is valid, too, and anybody can compute it */
		signature.len /= 2;
		break;
	default:
		break;
	}
	err = msp_sha256(&signature, 1, hash);
	if (err == MSP_OK)
		memcpy(digest, hash, PRT_SEEN_DIGEST);
	return err;
}

void prt_seen_source(const struct msp_addr *peer, uint8_t source[8])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* ::ffff:0:0/96 is the IPv4 host */
	bool is_v4 = peer->family == MSP_FAMILY_V4, is_mapped = !is_v4 && memcmp(peer->oct, mapped, 12) == 0;
	struct msp_span oct = msp_span(peer->oct + (is_mapped ? 12 : 0), is_v4 || is_mapped ? 4 : 16);
	uint8_t hash[32] = {
		0
	}; /* should hashing fail, all sources look alike: a repeat is answered again, not done */

	if (msp_sha256(&oct, 1, hash) != MSP_OK)
		memset(hash, 0, sizeof(hash));
	memcpy(source, hash, 8);
}

const struct prt_seen *prt_child_seen(const struct prt_child *c, const uint8_t digest[PRT_SEEN_DIGEST])
{
	for (size_t i = 0; i < c->seen_count; i++)
		if (msp_span_equal(msp_span(c->seen[i].digest, PRT_SEEN_DIGEST), msp_span(digest, PRT_SEEN_DIGEST)))
			return &c->seen[i];
	return NULL;
}
