/* SPDX-License-Identifier: BSD-2-Clause */
#include "bootstrap.h"

#include <string.h>

#define VERSION 1
#define DAY_S   86400

const struct prt_boot_rules prt_boot_rules_default = {
	.methods = 1u << PRT_METHOD_APEX | 1u << PRT_METHOD_NS | 1u << PRT_METHOD_MANUAL,
	.vantages = 3,
	.rounds = 5,
	.span_s = DAY_S,
	.retry_s = 3600,
};

enum msp_err prt_boot_write(const struct prt_boot *b, struct msp_buf *out)
{
	uint8_t mem[32];
	struct msp_wr wr;

	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_u8(&wr, VERSION);
	msp_wr_u8(&wr, (uint8_t)b->method);
	msp_wr_u32(&wr, b->rounds);
	msp_wr_u64(&wr, (uint64_t)b->first.s);
	msp_wr_u64(&wr, (uint64_t)b->next.s);
	msp_buf_add_span(out, msp_wr_span(&wr));
	return out->err;
}

enum msp_err prt_boot_read(struct msp_span octets, struct prt_boot *b)
{
	struct msp_rd rd;
	uint8_t version, method;

	memset(b, 0, sizeof(*b));
	if (octets.len == 0)
		return MSP_OK;
	msp_rd_init(&rd, octets);
	version = msp_rd_u8(&rd);
	method = msp_rd_u8(&rd);
	b->rounds = msp_rd_u32(&rd);
	b->first.s = (int64_t)msp_rd_u64(&rd);
	b->next.s = (int64_t)msp_rd_u64(&rd);
	if (msp_rd_done(&rd) != MSP_OK || version != VERSION || method >= PRT_METHOD__N)
		return MSP_ECORRUPT;
	b->method = (enum prt_method)method;
	return MSP_OK;
}

/* --- which method ---------------------------------------------------------------------------------------------------
 */

enum prt_method prt_boot_method(const struct prt_boot_rules *r, const struct prt_boot_child *c)
{
	static const enum prt_method insecure[] = { PRT_METHOD_NS, PRT_METHOD_UNSIGNED };

	if (c->is_secure) /* what DNSSEC can decide nothing weaker decides */
		return (r->methods & 1u << PRT_METHOD_APEX) != 0 ? PRT_METHOD_APEX : PRT_METHOD_MANUAL;
	for (size_t i = 0; i < sizeof(insecure) / sizeof(insecure[0]); i++) {
		if ((r->methods & 1u << insecure[i]) == 0 || (insecure[i] == PRT_METHOD_NS && c->outside_ns == 0))
			continue;
		return insecure[i];
	}
	return PRT_METHOD_MANUAL;
}

enum prt_boot_step prt_boot_begin(struct prt_boot *b, const struct prt_boot_rules *r, const struct prt_boot_child *c,
				  struct msp_wall now)
{
	memset(b, 0, sizeof(*b));
	b->method = prt_boot_method(r, c);
	b->next = now;
	return prt_boot_due(b, now);
}

enum prt_boot_step prt_boot_due(const struct prt_boot *b, struct msp_wall now)
{
	if (b->method == PRT_METHOD_MANUAL || b->method == PRT_METHOD_NONE)
		return PRT_BOOT_HUMAN;
	return now.s >= b->next.s ? PRT_BOOT_LOOK : PRT_BOOT_WAIT;
}

/* --- what a round saw -----------------------------------------------------------------------------------------------
 */

static bool holds(const struct msp_rrset *keys, struct msp_span key)
{
	for (size_t i = 0; keys != NULL && i < keys->count; i++)
		if (msp_span_equal(keys->rdata[i], key)) /* to the octet: flags decide the tag (PROTOCOL A.4) */
			return true;
	return false;
}

/* A resolver that did not answer has said nothing about the key. */
static bool says_nothing(enum msp_lookup v)
{
	return v == MSP_LOOKUP_TIMEOUT || v == MSP_LOOKUP_FAILED || v == MSP_LOOKUP_INDETERMINATE;
}

static enum prt_boot_outcome again(struct prt_boot *b, const struct prt_boot_rules *r, struct msp_wall now)
{
	b->next.s = now.s + (int64_t)r->retry_s;
	return PRT_BOOT_AGAIN;
}

static enum prt_boot_outcome missed(struct prt_boot *b, const struct prt_boot_rules *r, struct msp_wall now)
{
	b->rounds = 0; /* any difference begins the count anew */
	(void)again(b, r, now);
	return PRT_BOOT_MISSED;
}

/* What was seen may be from the resolver's cache, looked up for another provider's key a moment ago (H.3): the next
 * look is not before it has gone from there. */
static enum prt_boot_outcome missed_in(struct prt_boot *b, const struct prt_boot_rules *r, const struct msp_rrset *seen,
				       struct msp_wall now)
{
	int64_t fresh_s = seen == NULL ? 0 : seen->ttl < DAY_S ? (int64_t)seen->ttl + 1 : DAY_S;

	(void)missed(b, r, now);
	if (b->next.s < now.s + fresh_s)
		b->next.s = now.s + fresh_s;
	return PRT_BOOT_MISSED;
}

static enum prt_boot_outcome look_apex(struct prt_boot *b, const struct prt_boot_rules *r, struct msp_span key,
				       const struct prt_boot_secure *apex, struct msp_wall now, struct msp_why *why)
{
	if (says_nothing(apex->verdict)) {
		(void)msp_fail(why, MSP_ETIMEOUT, "KEY at the apex: %s", msp_lookup_name(apex->verdict));
		return again(b, r, now);
	}
	if (apex->verdict == MSP_LOOKUP_SECURE && holds(apex->keys, key))
		return PRT_BOOT_VALIDATED;
	(void)msp_fail(why, MSP_EBOGUS, "KEY at the apex: %s",
		       apex->verdict == MSP_LOOKUP_SECURE ? "not this key" : msp_lookup_name(apex->verdict));
	return missed_in(b, r, apex->keys, now);
}

/* All name servers that can speak, and at least one (PROTOCOL G.6: one careless operator must not be enough). One that
 * says something else outweighs one that says nothing: whoever keeps a server silent must not gain by it. */
static enum prt_boot_outcome look_signal(struct prt_boot *b, const struct prt_boot_rules *r, struct msp_span key,
					 const struct prt_boot_seen *seen, struct msp_wall now, struct msp_why *why)
{
	size_t spoke = 0, silent = 0;

	for (size_t i = 0; i < seen->signals; i++) {
		const struct prt_boot_secure *s = &seen->signal[i];

		if (s->is_zone_unsigned)
			continue;
		if (says_nothing(s->verdict)) {
			silent = i + 1;
			continue;
		}
		if (s->verdict != MSP_LOOKUP_SECURE || !holds(s->keys, key)) {
			(void)msp_fail(why, MSP_EBOGUS, "signal name %zu: %s", i + 1,
				       s->verdict == MSP_LOOKUP_SECURE ? "not this key" : msp_lookup_name(s->verdict));
			return missed_in(b, r, s->keys, now);
		}
		spoke++;
	}
	if (silent > 0) {
		(void)msp_fail(why, MSP_ETIMEOUT, "signal name %zu: %s", silent,
			       msp_lookup_name(seen->signal[silent - 1].verdict));
		return again(b, r, now);
	}
	if (spoke == 0) {
		(void)msp_fail(why, MSP_EINSECURE, "no name server outside the child is in a signed zone");
		return missed(b, r, now);
	}
	/* The child itself must agree; nothing protects its answer, so that it can only say no. */
	if (says_nothing(seen->apex.verdict))
		return again(b, r, now);
	if (!holds(seen->apex.keys, key)) {
		(void)msp_fail(why, MSP_EBOGUS, "the apex does not show this key");
		return missed_in(b, r, seen->apex.keys, now);
	}
	return PRT_BOOT_VALIDATED;
}

static unsigned vantages(const struct prt_boot_seen *seen)
{
	uint64_t set = 0;
	unsigned n = 0;

	for (size_t i = 0; i < seen->plains; i++)
		if (seen->plain[i].vantage < 64)
			set |= UINT64_C(1) << seen->plain[i].vantage;
	for (; set != 0; set &= set - 1)
		n++;
	return n;
}

/* The first that shows something else than the key, or than the one before; none: seen->plains. Also among those of a
 * round in which others are silent. */
static size_t differing(const struct prt_boot_seen *seen, struct msp_span key)
{
	const struct msp_rrset *first = NULL;

	for (size_t i = 0; i < seen->plains; i++) {
		const struct prt_boot_plain *p = &seen->plain[i];

		if (p->err != MSP_OK)
			continue;
		if (!holds(p->keys, key) || (first != NULL && !msp_rrset_equal(p->keys, first)))
			return i;
		first = p->keys;
	}
	return seen->plains;
}

static enum prt_boot_outcome look_plain(struct prt_boot *b, const struct prt_boot_rules *r, struct msp_span key,
					const struct prt_boot_seen *seen, struct msp_wall now, struct msp_why *why)
{
	size_t other = differing(seen, key);

	if (other < seen->plains) {
		(void)msp_fail(why, MSP_EBOGUS, "address %zu, vantage point %u shows something else", other + 1,
			       seen->plain[other].vantage);
		return missed(b, r, now);
	}
	for (size_t i = 0; i < seen->plains; i++) {
		const struct prt_boot_plain *p = &seen->plain[i];

		if (p->err == MSP_OK)
			continue;
		(void)msp_fail(why, p->err, "address %zu, vantage point %u: %s", i + 1, p->vantage,
			       msp_err_text(p->err));
		return again(b, r, now);
	}
	if (vantages(seen) < r->vantages) {
		(void)msp_fail(why, MSP_ELIMIT, "%u vantage points, %u are wanted", vantages(seen), r->vantages);
		return again(b, r, now);
	}
	/* A clock that was set back must not make the span longer than it was. */
	if (b->rounds == 0 || now.s < b->first.s) {
		b->first = now;
		b->rounds = 0;
	}
	b->rounds++;
	if (b->rounds >= r->rounds && now.s - b->first.s >= (int64_t)r->span_s)
		return PRT_BOOT_VALIDATED;
	/* The rounds are spread over the span: five looks within a minute are one look. */
	b->next.s = now.s + (int64_t)(r->rounds > 1 ? r->span_s / (r->rounds - 1) : r->span_s);
	return PRT_BOOT_AGAIN;
}

enum prt_boot_outcome prt_boot_look(struct prt_boot *b, const struct prt_boot_rules *r, struct msp_span key,
				    const struct prt_boot_seen *seen, struct msp_wall now, struct msp_why *why)
{
	switch (b->method) {
	case PRT_METHOD_APEX:
		return look_apex(b, r, key, &seen->apex, now, why);
	case PRT_METHOD_NS:
		return look_signal(b, r, key, seen, now, why);
	case PRT_METHOD_UNSIGNED:
		if (seen->plains > 0)
			return look_plain(b, r, key, seen, now, why);
		(void)msp_fail(why, MSP_ENOTFOUND, "no address of a name server is known");
		return again(b, r, now);
	case PRT_METHOD_NONE:
	case PRT_METHOD_MANUAL:
	case PRT_METHOD_ROLLOVER:
	case PRT_METHOD__N:
		break;
	}
	return PRT_BOOT_MISSED; /* nothing is to be looked at: nothing is shown */
}
