/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Octets are events at the desk of one child: UPDATEs of any content, looks with any answers, time that jumps,
 * operators. After each one the child is stored and read again, and what must hold for every life holds.
 */
#undef NDEBUG /* the properties are checked in every build */
#include <assert.h>

#include "desk.h"

#include <msproto/base/mem.h>

#include <stdio.h>
#include <string.h>

#define EVENTS_MAX 64
#define KEYS       3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct msp_rr_scratch scratch;
static uint8_t message[65535];

static void must(enum msp_err err)
{
	assert(err == MSP_OK);
}

struct life {
	struct msp_rd rd;
	struct prt_rules r;
	struct prt_child c;
	struct prt_outcome o;
	struct msp_wall now;
	struct msp_name parent, child;
	/* before the event */
	struct prt_delegation registered, wanted;
	struct prt_pending pending;
	struct prt_keyset keys;
	struct msp_wall confirm_at; /* since when the deletion that waits has waited, whatever the clock did */
	bool is_trusted;            /* who sent the UPDATE */
};

static void name(const char *text, struct msp_name *out)
{
	must(msp_name_from_text(text, out));
}

static struct msp_span key(unsigned i)
{
	static const uint8_t keys[KEYS][36] = {
		{ 0,    0,    3,    15,   0x97, 0x4d, 0x96, 0xa2, 0x2d, 0x22, 0x4b, 0xc0,
		  0x1a, 0xdb, 0x91, 0x50, 0x91, 0x47, 0x7d, 0x44, 0xcc, 0xd9, 0x1c, 0x9a,
		  0x41, 0xa1, 0x14, 0x30, 0x01, 0x01, 0x17, 0xd5, 0x2c, 0x59, 0x24, 0x0e },
		{ 2,    0,    3,    15,   0xcc, 0xf9, 0xd9, 0xfd, 0x04, 0x1e, 0xed, 0x2f,
		  0x02, 0xe4, 0xa3, 0xf3, 0x63, 0x9f, 0x4b, 0x45, 0x1e, 0x34, 0x00, 0x13,
		  0x93, 0xfb, 0x62, 0x7d, 0xc4, 0xc4, 0x72, 0x08, 0x8a, 0x33, 0x00, 0x00 },
		{ 0,  0,  3,  15, 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
		  15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32 },
	};

	return msp_span(keys[i % KEYS], sizeof(keys[0]));
}

/* --- material -------------------------------------------------------------------------------------------------------
 */

static const char *const owners[] = { "child.example.",  "ns1.child.example.", "ns2.child.example.",   "CHILD.example.",
				      "sister.example.", "example.",           "a.ns1.child.example.", "ample." };
static const uint16_t types[] = { MSP_TYPE_NS,  MSP_TYPE_DS,  MSP_TYPE_A,   MSP_TYPE_AAAA,
				  MSP_TYPE_KEY, MSP_TYPE_CDS, MSP_TYPE_TXT, MSP_TYPE_ANY };

static struct msp_span rdata(struct life *l, uint16_t type, uint8_t mem[300])
{
	unsigned i = msp_rd_u8(&l->rd);
	struct msp_name host;

	memset(mem, 0, 64);
	switch (type) {
	case MSP_TYPE_NS:
		name(i % 4 < 3 ? owners[i % 4] : "ns.other.test.", &host);
		memcpy(mem, host.oct, host.len);
		return msp_span(mem, host.len);
	case MSP_TYPE_DS:
	case MSP_TYPE_CDS:
		if (i == 0)
			return msp_span(mem, 5); /* the sentinel, of CDS */
		mem[1] = (uint8_t)(i & 7);
		mem[2] = 13;
		mem[3] = (uint8_t)(2 + (i >> 6) % 2);
		return msp_span(mem, 36);
	case MSP_TYPE_A:
		memcpy(mem, (const uint8_t[]){ (uint8_t)(i > 200 ? 127 : 198), 41, 0, (uint8_t)i }, 4);
		return msp_span(mem, 4);
	case MSP_TYPE_AAAA:
		memcpy(mem, (const uint8_t[]){ 0x20, 1, 5, 3, 0xba, 0x3e }, 6);
		mem[15] = (uint8_t)i;
		return msp_span(mem, 16);
	case MSP_TYPE_KEY:
		return key(i);
	default:
		mem[0] = 1;
		return msp_span(mem, 2);
	}
}

static void delegation(struct life *l, struct prt_delegation *out)
{
	uint8_t mem[300];

	prt_delegation_init(out, &l->parent, &l->child);
	for (unsigned n = msp_rd_u8(&l->rd) % 8; n > 0; n--) {
		struct msp_rr rr = { .cls = MSP_CLASS_IN, .ttl = 300 };

		name(owners[msp_rd_u8(&l->rd) % 3], &rr.owner);
		rr.type = types[msp_rd_u8(&l->rd) % 4];
		rr.rdata = rdata(l, rr.type, mem);
		(void)!prt_delegation_add(out, &rr);
	}
}

static void records(struct life *l, struct msp_msgw *w)
{
	uint8_t mem[300];

	for (unsigned n = msp_rd_u8(&l->rd) % 8; n > 0; n--) {
		unsigned kind = msp_rd_u8(&l->rd);
		uint16_t type = types[msp_rd_u8(&l->rd) % 8];
		struct msp_span octets = rdata(l, type, mem);
		struct msp_name owner;

		name(owners[(kind >> 3) % 8], &owner);
		switch (kind & 7) {
		case 0:
		case 1:
			msp_updw_add(w, &owner, type, 300, octets);
			break;
		case 2:
			msp_updw_del_rr(w, &owner, type, octets);
			break;
		case 3:
			msp_updw_del_rrset(w, &owner, type);
			break;
		case 4:
			msp_updw_del_name(w, &owner);
			break;
		default:
			if (w->count[MSP_SEC_UPDATE] == 0)
				msp_updw_prereq(w, (enum msp_prereq)(kind % 5), &owner, type,
						kind % 5 == MSP_PREREQ_RRSET_EQUALS ? octets : msp_span(NULL, 0));
		}
	}
}

/* --- events ---------------------------------------------------------------------------------------------------------
 */

static void update(struct life *l)
{
	unsigned head = msp_rd_u8(&l->rd), who = head % (KEYS + 1);
	struct prt_update_in in = { .scratch = &scratch,
				    .key = who < KEYS ? key(who) : msp_span(NULL, 0),
				    .is_tsig = who == KEYS,
				    .has_keystate = (head & 0x80) != 0,
				    .until = { l->now.s + 310 },
				    .asker = { .source = who == KEYS ? PRT_SRC_TSIG : PRT_SRC_UPDATE } };
	struct msp_span raw;
	struct msp_msg m;
	bool is_again;

	in.digest[0] = msp_rd_u8(&l->rd) % 48;
	in.asker.peer.family = MSP_FAMILY_V4;
	in.asker.peer.oct[3] = (head >> 4) & 1;
	if ((head & 0x40) != 0) {
		raw = msp_rd_take(&l->rd, msp_rd_u16(&l->rd) % 2048);
	} else {
		struct msp_msgw w;

		msp_updw_init(&w, message, sizeof(message), 1, &l->parent);
		records(l, &w);
		if (msp_msgw_finish(&w, &raw) != MSP_OK)
			return;
	}
	if (msp_msg_parse(raw, &scratch, &m, NULL) != MSP_OK)
		return;
	in.msg = &m;
	l->is_trusted = in.is_tsig;
	for (size_t i = 0; !in.is_tsig && i < l->c.keys.count; i++)
		if (msp_span_equal(prt_key_rdata(&l->c.keys.key[i]), in.key))
			l->is_trusted = l->c.keys.key[i].state == PRT_KEY_TRUSTED;
	is_again = false;
	for (size_t i = 0; i < l->c.seen_count; i++)
		is_again |= l->c.seen[i].until.s >= l->now.s &&
			    msp_span_equal(msp_span(l->c.seen[i].digest, PRT_SEEN_DIGEST),
					   msp_span(in.digest, PRT_SEEN_DIGEST));
	must(prt_desk_update(&l->r, &l->c, &in, l->now, &l->o));
	assert(l->o.has_state == (in.has_keystate && !in.is_tsig));
	if (is_again)
		assert(l->o.entries == 0 && l->o.need == 0);
	if (is_again || !l->is_trusted)
		assert(prt_delegation_equal(&l->registered, &l->c.registered) && l->pending.wait == l->c.pending.wait);
	if (l->is_trusted && l->o.refusal.rcode != MSP_RCODE_NOERROR && !is_again &&
	    prt_delegation_ns(&l->registered) != NULL)
		assert(l->o.entries > 0 || (l->o.refusal.is_standard && l->o.refusal.ede == MSP_EDE_BLOCKED));
}

static void answer(struct life *l, struct prt_answer *a, uint16_t type, const struct prt_delegation *of, unsigned what)
{
	static const uint8_t soa[22] = { 0 };
	uint8_t mem[300];

	a->err = what > 250 ? MSP_ETIMEOUT : MSP_OK;
	if (type == MSP_TYPE_NS && what % 4 != 0 && prt_delegation_ns(of) != NULL) {
		must(msp_rrset_dup(prt_delegation_ns(of), &a->set));
		return;
	}
	if (what % 4 == 0 && type != MSP_TYPE_SOA)
		return;
	must(msp_rrset_new(&l->child, type, 300, &a->set));
	if (type == MSP_TYPE_CDS || type == MSP_TYPE_NS)
		(void)!msp_rrset_add(a->set, rdata(l, type, mem));
	else if (type == MSP_TYPE_SOA)
		(void)!msp_rrset_add(a->set, msp_span(soa, sizeof(soa)));
	else
		(void)!msp_rrset_add(a->set, msp_rd_take(&l->rd, what % 40));
}

/* Sets without signatures: nothing that needs a proof may come of them. Mostly it is the right servers that are asked.
 */
static void evidence(struct life *l, struct prt_evidence *e)
{
	static const uint16_t asked[PRT_Q__N] = { MSP_TYPE_SOA,     MSP_TYPE_NS,    MSP_TYPE_DNSKEY, MSP_TYPE_CDS,
						  MSP_TYPE_CDNSKEY, MSP_TYPE_CSYNC, MSP_TYPE_SOA };
	unsigned mood = msp_rd_u8(&l->rd);
	bool waits = l->c.pending.wait != PRT_WAIT_NONE && (mood & 1) == 0;
	const struct prt_delegation *of = waits ? &l->c.pending.wanted : &l->c.registered;
	const struct msp_rrset *ns = prt_delegation_ns(of), *a;

	must(prt_evidence_new(&l->child, ns != NULL ? ns->count : 0, e));
	for (size_t i = 0; i < e->count; i++) {
		struct prt_server *s = &e->server[i];

		must(msp_rdata_name_parse(ns->rdata[i], &s->host));
		a = prt_delegation_get(of, &s->host, MSP_TYPE_A);
		must(msp_addr_from_octets(a != NULL ? a->rdata[0] : msp_span((const uint8_t *)"\306\051\0\0", 4), 53,
					  &s->addr));
		for (size_t q = 0; q < PRT_Q__N; q++) {
			s->answer[q].is_asked = (mood & 0x80) == 0 || q >= PRT_Q_CDS;
			s->answer[q].is_authoritative = (mood & 0x40) == 0;
			answer(l, &s->answer[q], asked[q], of, msp_rd_u8(&l->rd));
		}
	}
}

static void look(struct life *l)
{
	unsigned i = msp_rd_u8(&l->rd);
	struct prt_boot_secure signal = { .verdict = (enum msp_lookup)(i % (MSP_LOOKUP_FAILED + 1)) };
	struct prt_boot_seen seen = { .apex = signal, .signal = &signal, .signals = 1 };
	struct msp_rrset *set = NULL;

	must(msp_rrset_new(&l->child, MSP_TYPE_KEY, 300, &set));
	must(msp_rrset_add(set, key(i >> 4)));
	signal.keys = seen.apex.keys = set;
	must(prt_desk_looked(&l->r, &l->c, key(msp_rd_u8(&l->rd)), &seen, l->now, &l->o));
	msp_rrset_free(&set);
}

enum kind {
	UPDATE,
	CHECKED,
	SCANNED,
	TICK,
	LOOKED,
	PENDING,
	LOCK,
	KEY,
	SET,
	IMPORTED,
	PUBLISHED,
	FAILED,
	NOTIFIED,
	KINDS
};

static void happen(struct life *l, enum kind kind, unsigned how)
{
	struct prt_asker by = { .source = PRT_SRC_OPERATOR, .who = "operator" };
	struct prt_dsboot_seen seen = { .verdict = (enum msp_lookup)(how % 3) };
	struct prt_delegation d = { .count = 0 };
	uint8_t print[PRT_HASH_LEN];
	struct prt_evidence e;

	switch (kind) {
	case UPDATE:
		update(l);
		break;
	case CHECKED:
	case SCANNED:
		evidence(l, &e);
		name("ns.other.test.", &seen.ns);
		seen.cds = e.count > 0 ? e.server[0].answer[PRT_Q_CDS].set : NULL;
		(void)!(kind == CHECKED ? prt_desk_checked(&l->r, &l->c, &e, l->now, &l->o)
					: prt_desk_scanned(&l->r, &l->c, &e, &seen, how & 1, l->now, &l->o));
		prt_evidence_fini(&e);
		break;
	case TICK:
		(void)!prt_desk_tick(&l->r, &l->c, l->now, &l->o);
		break;
	case LOOKED:
		look(l);
		break;
	case PENDING:
		(void)!prt_desk_pending(&l->r, &l->c, (how & 1) != 0, (how & 2) != 0, &by, l->now, &l->o);
		break;
	case LOCK:
		(void)!prt_desk_lock(&l->c, (how & 1) != 0, "why", &by, l->now, &l->o);
		break;
	case KEY:
		(void)!prt_key_print(key(how >> 2), print);
		(void)!prt_desk_key(&l->r, &l->c, (enum prt_key_verb)(how % 3), print, &by, l->now, &l->o);
		break;
	case SET:
	case IMPORTED:
		delegation(l, &d);
		(void)!(kind == SET ? prt_desk_set(&l->r, &l->c, &d, (how & 1) != 0, &by, l->now, &l->o)
				    : prt_desk_imported(&l->c, &d, l->now, &l->o));
		prt_delegation_clear(&d);
		break;
	case PUBLISHED:
		(void)!prt_desk_published_by(&l->c, "", &l->registered, l->now, &l->o);
		break;
	case FAILED:
		(void)!prt_desk_refused_by(&l->c, "", "never", l->now, &l->o);
		break;
	case NOTIFIED:
		(void)prt_desk_may_scan(&l->c, l->now);
		break;
	case KINDS:
		break;
	}
}

/* --- what always holds ----------------------------------------------------------------------------------------------
 */

static void before(struct life *l)
{
	prt_delegation_clear(&l->registered);
	prt_delegation_clear(&l->wanted);
	must(prt_delegation_dup(&l->c.registered, &l->registered));
	l->pending = l->c.pending;
	if (l->pending.wait != PRT_WAIT_NONE)
		must(prt_delegation_dup(&l->c.pending.wanted, &l->wanted));
	l->keys = l->c.keys;
	if (l->confirm_at.s > l->now.s)
		l->confirm_at = l->now;
	prt_outcome_fini(&l->o);
	prt_outcome_init(&l->o);
}

static bool has_verdict(const struct life *l, enum prt_verdict v)
{
	for (size_t i = 0; i < l->o.entries; i++)
		if (l->o.entry[i].verdict == v)
			return true;
	return false;
}

static size_t trusted_of(const struct prt_keyset *then, const struct prt_keyset *now)
{
	size_t lost = 0;

	for (size_t i = 0; i < then->count; i++) {
		bool kept = then->key[i].state != PRT_KEY_TRUSTED;

		for (size_t k = 0; k < now->count; k++)
			kept |= now->key[k].state == PRT_KEY_TRUSTED &&
				msp_span_equal(prt_key_rdata(&then->key[i]), prt_key_rdata(&now->key[k]));
		lost += !kept;
	}
	return lost;
}

static void after(struct life *l, enum kind kind, bool was_locked)
{
	const struct prt_child *c = &l->c;
	const struct prt_delegation *d = &c->registered;
	bool is_changed = !prt_delegation_equal(&l->registered, d);
	bool is_child = kind == UPDATE || kind == CHECKED || kind == SCANNED || kind == TICK;

	assert(c->seen_count <= PRT_SEEN_MAX && c->change_count <= PRT_CHANGES_MAX && c->keys.count <= PRT_KEYS_MAX);
	assert(l->o.entries <= PRT_ENTRIES_MAX);
	assert(prt_keyset_count(&c->keys, PRT_KEY_KNOWN) + prt_keyset_count(&c->keys, PRT_KEY_MANUAL) <=
	       PRT_PENDING_MAX);
	if (c->pending.wait == PRT_WAIT_CONFIRM &&
	    (l->pending.wait != PRT_WAIT_CONFIRM || !prt_delegation_equal(&c->pending.wanted, &l->wanted)))
		l->confirm_at = l->now;
	if (trusted_of(&l->keys, &c->keys) > 0)
		assert((kind == UPDATE && l->is_trusted) || kind == LOOKED || kind == KEY || kind == IMPORTED);
	if (kind == UPDATE && prt_keyset_count(&l->keys, PRT_KEY_TRUSTED) > 0)
		assert(prt_keyset_count(&c->keys, PRT_KEY_TRUSTED) > 0);
	if (!is_changed)
		return;
	assert(l->o.is_changed);
	assert(has_verdict(l, PRT_VERDICT_ACCEPTED) || has_verdict(l, PRT_VERDICT_IMPORTED) ||
	       has_verdict(l, PRT_VERDICT_FAILED));
	assert(kind != LOOKED && kind != LOCK && kind != KEY && kind != PUBLISHED && kind != NOTIFIED);
	if (!is_child)
		return;
	assert(prt_delegation_ns(d) != NULL && !(was_locked && l->pending.source != PRT_SRC_OPERATOR));
	/* no server has proved anything: no DS that needs a proof, but where checks are off */
	assert(kind != SCANNED || prt_delegation_ds(d) == NULL);
	if (prt_delegation_ds(&l->registered) != NULL && prt_delegation_ds(d) == NULL &&
	    l->pending.source != PRT_SRC_OPERATOR && (kind == UPDATE || kind == SCANNED))
		assert(l->pending.wait == PRT_WAIT_CONFIRM && prt_delegation_equal(&l->wanted, d) &&
		       l->now.s - l->confirm_at.s >= (int64_t)l->r.confirm_s);
}

/* What is stored is all there is. */
static void restart(struct life *l)
{
	struct msp_buf octets;
	struct prt_child c;

	msp_buf_init(&octets, 1 << 20);
	must(prt_child_write(&l->c, l->now, &octets));
	must(prt_child_read(msp_buf_span(&octets), &c));
	msp_buf_fini(&octets);
	prt_child_fini(&l->c);
	l->c = c;
}

static void begin(struct life *l, unsigned how)
{
	struct prt_key *k;

	l->r = (struct prt_rules){
		.policy = { .sources = 0x3f,
			    .touch = PRT_TOUCH_ALL,
			    .allow_delete = (how & 1) != 0,
			    .propose = (how & 2) != 0,
			    .cooldown_s = (how & 4) != 0 ? 300 : 0,
			    .changes_per_day = 10,
			    .methods = (how & 8) != 0 ? 0x3f : 0 },
		.keys = prt_key_rules_default,
		.boot = prt_boot_rules_default,
		.check = { .shape = prt_shape_rules_default },
		.no_checks = (how & 16) != 0,
		.confirm_s = 600,
		.scan_retry_s = { 300, 600, 1200, 2400 },
		.check_tries = 4,
		.dsboot = (enum prt_dsboot)((how >> 5) % 3),
		.dsboot_delay_s = 3600,
		.ds_ttl = (how & 128) != 0 ? 86400 : 0,
		.ds_ttl_changed = 600,
		.ds_ttl_hold_s = 86400,
	};
	l->now.s = 1800000000;
	name("example.", &l->parent);
	name("child.example.", &l->child);
	prt_child_init(&l->c, &l->parent, &l->child);
	delegation(l, &l->c.registered);
	k = &l->c.keys.key[l->c.keys.count++];
	memcpy(k->rdata, key(0).ptr, key(0).len);
	k->rdata_len = (uint16_t)key(0).len;
	k->state = PRT_KEY_TRUSTED;
	prt_outcome_init(&l->o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t pass[] = { 0, 0, 1, 31, 300, 600, 3600, 90000, -1, -600, -90000, 30 * 86400 };
	static struct life l;

	memset(&l, 0, sizeof(l));
	msp_rd_init(&l.rd, msp_span(data, size));
	begin(&l, msp_rd_u8(&l.rd));
	for (unsigned n = 0; n < EVENTS_MAX && msp_rd_left(&l.rd) > 0 && l.rd.err == MSP_OK; n++) {
		unsigned what = msp_rd_u8(&l.rd), how = msp_rd_u8(&l.rd);
		enum kind kind = what % 2 == 0 ? UPDATE : (enum kind)(what / 2 % KINDS);
		bool was_locked = (l.c.flags & PRT_CHILD_LOCKED) != 0;

		l.now.s += pass[how % (sizeof(pass) / sizeof(pass[0]))];
		before(&l);
		happen(&l, kind, how >> 2);
		after(&l, kind, was_locked);
		restart(&l);
	}
	prt_delegation_clear(&l.registered);
	prt_delegation_clear(&l.wanted);
	prt_outcome_fini(&l.o);
	prt_child_fini(&l.c);
	return 0;
}
