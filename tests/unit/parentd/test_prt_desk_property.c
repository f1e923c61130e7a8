/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random lives of one child. After each event an independent model, which knows nothing of the desk's rules but what is
 * written here, says whether what has changed was allowed to. Arguments: seed, runs; the seed of each life is printed.
 */
#include "prt_desk_build.h"
#include "prt_world.h"

#include <stdlib.h>

#define EVENTS    60
#define RUNS      120
#define MESSAGES  512
#define COOLDOWN  300
#define PER_DAY   3
#define CONFIRM_S 600
#define DELAY_S   1200 /* of the first DS, where it proves itself by time */

/* --- a delegation as the model sees it ------------------------------------------------------------------------------
 */

#define NS1      1u /* ns1.child.example., with glue 198.41.0.(4 + glue) */
#define NS_OTHER 2u
#define NS_3RD   4u
struct state {
	unsigned ns, ds, glue;
	bool is_broken; /* of a shape that cannot work */
};

struct life {
	struct desk d;
	struct world w;
	uint64_t random;
	char ds_text[KEYS][256];
	unsigned long seed;
	bool is_well;  /* servers of this child seldom fail */
	bool is_quiet; /* it asks for its first DS, and for little else */
	/* the model's own memory */
	struct msp_wall counted[4096], confirm_at;
	size_t counts;
	struct {
		unsigned ds; /* 0: nothing that could be the first DS was shown last */
		struct msp_wall since;
	} shown; /* by all servers at each look since, while the child has no DS */
	struct message {
		char lines[2048];
		const char *key;
		bool is_remembered, was_refused;
		struct msp_wall until;
	} message[MESSAGES];
	size_t messages;
	/* what was there before the event */
	struct prt_delegation registered, published, wanted;
	struct prt_pending pending;
	struct prt_keyset keys;
	unsigned flags;
	unsigned accepted[PRT_SRC__N]; /* so that a test of nothing shows */
	unsigned trusted, refused, dropped, replays, delayed;
};

static const char *const sig_keys[] = { KEY_A, KEY_B, KEY_C };

static unsigned roll(struct life *l, unsigned n)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return (unsigned)((l->random >> 33) % n);
}

static void to_delegation(const struct life *l, const struct state *s, struct prt_delegation *out)
{
	struct msp_buf lines;

	msp_buf_init(&lines, 1 << 16);
	if ((s->ns & NS1) != 0)
		msp_buf_printf(&lines, C " 300 NS ns1." C "\nns1." C " 300 A 198.41.0.%u\n", 4 + s->glue);
	if ((s->ns & NS_OTHER) != 0)
		msp_buf_add_str(&lines, C " 300 NS ns.other.test.\n");
	if ((s->ns & NS_3RD) != 0)
		msp_buf_add_str(&lines, C " 300 NS ns3.other.test.\n");
	for (unsigned i = 0; i < KEYS; i++)
		if ((s->ds & 1u << i) != 0)
			msp_buf_printf(&lines, C " 300 %s\n", l->ds_text[i]);
	t_delegation(out, msp_buf_text(&lines));
	msp_buf_fini(&lines);
}

static bool is_state(const struct life *l, const struct state *s, const struct prt_delegation *d)
{
	struct prt_delegation want;
	bool same;

	to_delegation(l, s, &want);
	same = prt_delegation_equal(&want, d);
	prt_delegation_clear(&want);
	return same;
}

static struct state to_state(const struct life *l, const struct prt_delegation *d)
{
	struct state s = { 0 };

	for (s.ns = 0; s.ns < 8; s.ns++)
		for (s.ds = 0; s.ds < 8; s.ds++)
			for (s.glue = 0; s.glue < 3; s.glue++)
				if (is_state(l, &s, d))
					return s;
	fail_msg("a delegation that nobody asked for");
	return s;
}

static unsigned bits(unsigned v)
{
	unsigned n = 0;

	for (; v != 0; v &= v - 1)
		n++;
	return n;
}

/* --- what an UPDATE asks for ----------------------------------------------------------------------------------------
 */

static void op(struct life *l, char *lines, size_t size, struct state *s)
{
	size_t len = strlen(lines);
	unsigned i = roll(l, KEYS), v = roll(l, 8);
	bool had_ns1 = (s->ns & NS1) != 0;

#define SAY(...) (void)snprintf(lines + len, size - len, __VA_ARGS__)
	switch (roll(l, 12)) {
	case 0:
	case 1:
		SAY("del " C " DS\n");
		for (i = 0; i < KEYS; i++) {
			len = strlen(lines);
			if ((v & 1u << i) != 0)
				SAY("add " C " 300 %s\n", l->ds_text[i]);
		}
		s->ds = v;
		break;
	case 2:
		SAY("add " C " 300 %s\n", l->ds_text[i]);
		s->ds |= 1u << i;
		break;
	case 3:
	case 4:
		SAY("delrr " C " 0 %s\n", l->ds_text[i]);
		s->ds &= ~(1u << i);
		break;
	case 5:
		SAY("del " C " DS\n");
		s->ds = 0;
		break;
	case 6:
		SAY("add " C " 300 NS ns3.other.test.\n");
		s->ns |= NS_3RD;
		break;
	case 7:
		SAY("delrr " C " 0 NS ns3.other.test.\n");
		s->ns &= ~NS_3RD;
		break;
	case 8:
		v %= 3;
		SAY("del ns1." C " A\nadd ns1." C " 300 A 198.41.0.%u\n", 4 + v);
		s->glue = had_ns1 ? v : s->glue;
		break;
	case 9:
		SAY("delrr " C " 0 NS ns.other.test.\n");
		s->ns &= ~NS_OTHER;
		break;
	case 10:
		SAY("add " C " 300 NS ns.other.test.\n");
		s->ns |= NS_OTHER;
		break;
	default:
		if (roll(l, 3) != 0)
			break;
		if (roll(l, 2) == 0) {
			SAY("del " C " NS\n");
			s->ns = 0;
			break;
		}
		SAY("%s", roll(l, 2) == 0 ? "add sister.example. 300 NS ns.test.\n" : "add " C " 300 TXT x\n");
		s->is_broken = true;
		break;
	}
#undef SAY
}

/* --- before and after -----------------------------------------------------------------------------------------------
 */

static void snapshot(struct life *l)
{
	const struct prt_child *c = &l->d.c;

	prt_delegation_clear(&l->registered);
	prt_delegation_clear(&l->published);
	prt_delegation_clear(&l->wanted);
	T_OK(prt_delegation_dup(&c->registered, &l->registered));
	T_OK(prt_delegation_dup(&c->published, &l->published));
	l->pending = c->pending;
	if (c->pending.wait != PRT_WAIT_NONE)
		T_OK(prt_delegation_dup(&c->pending.wanted, &l->wanted));
	l->keys = c->keys;
	l->flags = c->flags;
	for (size_t i = 0; i < l->counts; i++) {
		if (l->counted[i].s > l->d.now.s) /* a clock that was put back: waits begin anew */
			l->counted[i] = l->d.now;
		if (l->d.now.s - l->counted[i].s >= 86400) /* over, even should the clock be put back again */
			l->counted[i--] = l->counted[--l->counts];
	}
	if (l->confirm_at.s > l->d.now.s)
		l->confirm_at = l->d.now;
	if (l->shown.since.s > l->d.now.s)
		l->shown.since = l->d.now;
	for (size_t i = 0; i < l->messages; i++) /* its time is over: the receiver would not let it pass */
		l->message[i].is_remembered &= l->d.now.s <= l->message[i].until.s;
}

static bool is_registered_as_before(const struct life *l)
{
	return prt_delegation_equal(&l->registered, &l->d.c.registered);
}

static bool is_pending_as_before(const struct life *l)
{
	const struct prt_pending *p = &l->d.c.pending;

	return p->wait == l->pending.wait &&
	       (p->wait == PRT_WAIT_NONE ||
		(p->source == l->pending.source && prt_delegation_equal(&p->wanted, &l->wanted)));
}

static enum prt_key_state was(const struct life *l, const struct prt_key *key)
{
	for (size_t i = 0; i < l->keys.count; i++)
		if (msp_span_equal(prt_key_rdata(&l->keys.key[i]), prt_key_rdata(key)))
			return l->keys.key[i].state;
	return PRT_KEY_ABSENT;
}

static enum prt_key_state is(const struct life *l, const struct prt_key *key)
{
	for (size_t i = 0; i < l->d.c.keys.count; i++)
		if (msp_span_equal(prt_key_rdata(&l->d.c.keys.key[i]), prt_key_rdata(key)))
			return l->d.c.keys.key[i].state;
	return PRT_KEY_ABSENT;
}

/* Trust is as it was. */
static bool is_trust_as_before(const struct life *l)
{
	for (size_t i = 0; i < l->keys.count; i++)
		if ((l->keys.key[i].state == PRT_KEY_TRUSTED) != (is(l, &l->keys.key[i]) == PRT_KEY_TRUSTED))
			return false;
	for (size_t i = 0; i < l->d.c.keys.count; i++)
		if (l->d.c.keys.key[i].state == PRT_KEY_TRUSTED && was(l, &l->d.c.keys.key[i]) != PRT_KEY_TRUSTED)
			return false;
	return true;
}

static bool was_trusted(const struct life *l, const char *key)
{
	for (size_t i = 0; i < l->keys.count; i++)
		if (msp_span_equal(prt_key_rdata(&l->keys.key[i]), desk_key(key)))
			return l->keys.key[i].state == PRT_KEY_TRUSTED;
	return false;
}

/* --- the model: may this have happened? -----------------------------------------------------------------------------
 */

static bool cool(const struct life *l)
{
	size_t today = 0;

	for (size_t i = 0; i < l->counts; i++) {
		if (l->d.now.s - l->counted[i].s < COOLDOWN)
			return false;
		today += l->d.now.s - l->counted[i].s < 86400;
	}
	return today < PER_DAY;
}

static bool open_to_the_child(const struct life *l)
{
	return (l->flags & (PRT_CHILD_LOCKED | PRT_CHILD_GONE)) == 0 && cool(l);
}

/* What a change is about, and whether that may be changed here. */
static bool may_touch(const struct life *l, const struct state *before, const struct state *after)
{
	unsigned was = before->ns & NS1 ? 1 + before->glue : 0, is_now = after->ns & NS1 ? 1 + after->glue : 0;
	unsigned touch = (before->ns != after->ns ? PRT_TOUCH_NS : 0) | (before->ds != after->ds ? PRT_TOUCH_DS : 0) |
			 (was != is_now ? PRT_TOUCH_GLUE : 0);

	return (touch & ~l->d.r.policy.touch) == 0;
}

static bool would_empty_ds(const struct life *l, const struct prt_delegation *after)
{
	return prt_delegation_ds(&l->registered) != NULL && prt_delegation_ds(after) == NULL;
}

/* The same deletion was asked for long enough ago, and nothing else was in between. */
static bool is_confirmed(const struct life *l, const struct prt_delegation *after)
{
	return !would_empty_ds(l, after) ||
	       (l->pending.wait == PRT_WAIT_CONFIRM && prt_delegation_equal(&l->wanted, after) &&
		l->d.now.s - l->confirm_at.s >= CONFIRM_S);
}

static void count(struct life *l, enum prt_source source)
{
	assert_true(l->counts < sizeof(l->counted) / sizeof(l->counted[0]));
	l->counted[l->counts++] = l->d.now;
	l->accepted[source]++;
}

/* What holds after every event. */
static void always(struct life *l, const char *event)
{
	const struct prt_child *c = &l->d.c;
	const struct prt_audit *a = NULL;
	struct msp_buf before, after;

	assert_true(c->seen_count <= PRT_SEEN_MAX && c->change_count <= PRT_CHANGES_MAX &&
		    c->keys.count <= PRT_KEYS_MAX);
	assert_true(prt_keyset_count(&c->keys, PRT_KEY_KNOWN) + prt_keyset_count(&c->keys, PRT_KEY_MANUAL) <=
		    PRT_PENDING_MAX);
	for (size_t i = 0; i < c->seen_count; i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(c->seen[i].digest, c->seen[k].digest, PRT_SEEN_DIGEST);
	if (c->pending.wait == PRT_WAIT_CONFIRM &&
	    (l->pending.wait != PRT_WAIT_CONFIRM || !prt_delegation_equal(&c->pending.wanted, &l->wanted)))
		l->confirm_at = l->d.now;
	l->refused += desk_entry(&l->d, PRT_VERDICT_REFUSED) != NULL;
	l->dropped += desk_entry(&l->d, PRT_VERDICT_DROPPED) != NULL;
	if (!is_trust_as_before(l)) {
		if (desk_entry(&l->d, PRT_VERDICT_KEY) == NULL)
			fail_msg("%s: trust has changed without a record", event);
		l->trusted++;
	}
	if (is_registered_as_before(l))
		return;
	l->shown.ds = 0;
	if (!l->d.o.is_changed)
		fail_msg("%s: changed, and not to be stored", event);
	for (size_t i = 0; i < l->d.o.entries; i++)
		if (l->d.o.entry[i].verdict == PRT_VERDICT_ACCEPTED ||
		    l->d.o.entry[i].verdict == PRT_VERDICT_IMPORTED || l->d.o.entry[i].verdict == PRT_VERDICT_FAILED)
			a = &l->d.o.entry[i];
	if (a == NULL)
		fail_msg("%s: changed without a record", event);
	msp_buf_init(&before, 1 << 20);
	msp_buf_init(&after, 1 << 20);
	T_OK(prt_delegation_write(&l->registered, &before));
	T_OK(prt_delegation_write(&c->registered, &after));
	assert_true(a->before.len == before.len && a->after.len == after.len);
	msp_buf_fini(&before);
	msp_buf_fini(&after);
	if (prt_child_is_unpublished(c))
		assert_true((l->d.o.need & PRT_NEED_PUBLISH) != 0);
}

/* --- events: UPDATE -------------------------------------------------------------------------------------------------
 */

static bool is_accepted_update(const struct prt_pending *p)
{
	return (p->source == PRT_SRC_UPDATE || p->source == PRT_SRC_TSIG) &&
	       (p->wait == PRT_WAIT_CHECKS || p->wait == PRT_WAIT_TURN || p->wait == PRT_WAIT_OPERATOR);
}

static void deliver(struct life *l, const char *key, const char *lines)
{
	struct message *m = &l->message[l->messages];
	bool is_trusted = strcmp(key, KEY_TSIG) == 0 || was_trusted(l, key);
	unsigned number = (unsigned)l->messages;
	uint8_t digest[PRT_SEEN_DIGEST] = { 0 };

	assert_true(l->messages < MESSAGES);
	snprintf(m->lines, sizeof(m->lines), "%s", lines);
	m->key = key;
	m->until.s = l->d.now.s + 310;
	l->messages++;
	(void)desk_send(&l->d, lines, key, number);
	memcpy(digest, &number, sizeof(number));
	m->is_remembered = prt_child_seen(&l->d.c, digest) != NULL;
	m->was_refused = l->d.o.refusal.rcode != MSP_RCODE_NOERROR;
	if (l->d.c.seen_count == PRT_SEEN_MAX) /* refusals give way */
		for (size_t i = 0; i < l->messages; i++)
			l->message[i].is_remembered &= !l->message[i].was_refused;
	if (!is_trusted)
		return;
	/* what a trusted key has signed counts once, and is on record when it is refused; for want of room alone it is
	 * neither done nor remembered */
	if (!m->is_remembered && lines[0] != '\0' && !m->was_refused)
		fail_msg("granted, and not remembered: %s", lines);
	if (!m->is_remembered && lines[0] != '\0' && desk_entry(&l->d, PRT_VERDICT_REFUSED) == NULL)
		assert_true(desk_is_std(&l->d, MSP_EDE_BLOCKED) && !l->d.o.is_changed);
	if (l->d.o.refusal.rcode != MSP_RCODE_NOERROR && m->is_remembered)
		assert_true(l->d.o.entries > 0);
}

static void update_delegation(struct life *l)
{
	const char *key = roll(l, 8) == 0 ? KEY_TSIG : sig_keys[roll(l, 3)];
	bool is_base = is_accepted_update(&l->pending), is_tsig = strcmp(key, KEY_TSIG) == 0;
	struct state want = to_state(l, is_base ? &l->wanted : &l->registered), present = to_state(l, &l->registered);
	char lines[2048] = "";
	bool may;

	for (unsigned n = 1 + roll(l, 3); n > 0; n--)
		op(l, lines, sizeof(lines), &want);
	if ((want.ns & NS1) == 0)
		want.glue = 0;
	deliver(l, key, lines);
	may = (is_tsig || was_trusted(l, key)) && open_to_the_child(l) && !want.is_broken && bits(want.ns) >= 2 &&
	      may_touch(l, &present, &want) &&
	      (l->d.r.policy.sources & 1u << (is_tsig ? PRT_SRC_TSIG : PRT_SRC_UPDATE)) != 0;
	if (!is_registered_as_before(l)) {
		assert_true(may && l->d.r.no_checks && !l->d.r.policy.propose);
		assert_int_equal(l->d.o.refusal.rcode, MSP_RCODE_NOERROR);
		assert_true(is_state(l, &want, &l->d.c.registered));
		assert_true(is_confirmed(l, &l->d.c.registered));
		count(l, is_tsig ? PRT_SRC_TSIG : PRT_SRC_UPDATE);
	} else if (!is_pending_as_before(l) && l->d.c.pending.wait != PRT_WAIT_NONE) {
		assert_true(may && is_state(l, &want, &l->d.c.pending.wanted));
		assert_true(l->pending.wait == PRT_WAIT_NONE || l->pending.source != PRT_SRC_OPERATOR);
		assert_true(l->d.c.pending.wait == PRT_WAIT_CONFIRM || is_confirmed(l, &l->d.c.pending.wanted));
		assert_int_equal(l->d.c.pending.wait == PRT_WAIT_CONFIRM, l->d.o.refusal.rcode != MSP_RCODE_NOERROR);
	} else if (!is_pending_as_before(l)) {
		assert_true((is_base || l->pending.wait == PRT_WAIT_CONFIRM) &&
			    is_state(l, &want, &l->registered)); /* taken back */
	}
	assert_true(is_trust_as_before(l));
	always(l, "update");
}

static void update_keys(struct life *l)
{
	const char *key = sig_keys[roll(l, 3)], *added = sig_keys[roll(l, 3)], *gone = sig_keys[roll(l, 3)];
	bool signer_trusted = was_trusted(l, key), all = false, one = false, adds = false;
	char lines[2048] = "";

	if (roll(l, 2) == 0) {
		all = true;
		snprintf(lines, sizeof(lines), "%s", DEL_KEYS);
	}
	if (roll(l, 4) == 0) {
		one = true;
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "delrr " C " 0 KEY %s\n", gone);
	}
	if (roll(l, 4) != 0 || lines[0] == '\0') {
		adds = true;
		if (!signer_trusted && roll(l, 4) != 0)
			added = key;
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "add " C " 300 KEY %s\n", added);
	}
	deliver(l, key, lines);
	assert_true(is_registered_as_before(l) && is_pending_as_before(l));
	for (size_t i = 0; i < 3; i++) {
		bool before = was_trusted(l, sig_keys[i]), after = desk_state(&l->d, sig_keys[i]) == PRT_KEY_TRUSTED;

		if (before && !after) /* only by a trusted key that says so */
			assert_true(signer_trusted && (all || (one && gone == sig_keys[i])));
		if (!before && after)
			assert_true(signer_trusted && adds && added == sig_keys[i]);
		if (before != after)
			assert_true((l->flags & (PRT_CHILD_LOCKED | PRT_CHILD_GONE)) == 0);
	}
	if (prt_keyset_count(&l->keys, PRT_KEY_TRUSTED) > 0)
		assert_true(prt_keyset_count(&l->d.c.keys, PRT_KEY_TRUSTED) > 0);
	always(l, "keys");
}

static void replay(struct life *l)
{
	unsigned i;

	if (l->messages == 0)
		return;
	i = roll(l, (unsigned)l->messages);
	if (!l->message[i].is_remembered)
		return;
	(void)desk_send(&l->d, l->message[i].lines, l->message[i].key, i);
	l->replays++;
	assert_true(is_registered_as_before(l) && is_pending_as_before(l) && is_trust_as_before(l));
	always(l, "replay");
}

/* --- events: looks --------------------------------------------------------------------------------------------------
 */

/* What is different at one server of those that show CSYNC. */
enum oddity { ODD_NOT, ODD_FLAGS, ODD_NO_CSYNC, ODD_NS, ODD_BARE_CSYNC, ODD_BARE_NS, ODD_SERIAL, ODD_ADDRESS, ODD__N };
struct show {
	unsigned host;   /* NS1 ... */
	unsigned signer; /* A or B */
	bool is_silent, is_lame, has_wish, is_sentinel, is_unsigned;
	unsigned wish, ns; /* ns: the RRset at the apex */
	enum oddity odd;
	bool signs_all; /* where CSYNC is shown: it costs time */
};

/* What all of them show, but for oddities. */
struct csync {
	bool is_there, has_ns, has_a;
	unsigned flags, serial, ns, glue;
};
#define IMMEDIATE   1u
#define SOAMINIMUM  2u
#define SERIAL_SEEN 7u /* SOA_SET */

static bool is_signed(const struct show *s, enum prt_question q)
{
	if (s->is_unsigned || (q == PRT_Q_CSYNC && s->odd == ODD_BARE_CSYNC) ||
	    (q == PRT_Q_NS && s->odd == ODD_BARE_NS))
		return false;
	return q == PRT_Q_DNSKEY || q == PRT_Q_CDS || s->signs_all;
}

static void answer(struct life *l, size_t i, enum prt_question q, struct msp_rrset *set, const struct show *s)
{
	struct prt_answer *a = &l->w.e.server[i].answer[q];

	msp_rrset_free(&a->set);
	msp_rrset_free(&a->sigs);
	*a = (struct prt_answer){ .is_asked = true, .is_authoritative = !s->is_lame, .set = set };
	if (set != NULL && is_signed(s, q))
		a->sigs = sign_at(set, l->w.key[s->signer], &l->w.child, (uint32_t)(l->d.now.s - 1000));
	if (s->is_silent)
		a->err = MSP_ETIMEOUT;
}

static struct msp_rrset *mask_set(struct life *l, uint16_t type, unsigned mask)
{
	unsigned which[KEYS];
	size_t n = 0;

	for (unsigned i = 0; i < KEYS; i++)
		if ((mask & 1u << i) != 0)
			which[n++] = i;
	return n > 0 ? ds_set(&l->w, type, which, n) : NULL;
}

static void ns_set(struct life *l, unsigned mask, struct msp_rrset **out)
{
	const struct state s = { .ns = mask };
	struct prt_delegation d;

	to_delegation(l, &s, &d);
	T_OK(msp_rrset_dup(prt_delegation_ns(&d), out));
	prt_delegation_clear(&d);
}

/* Its apex and the addresses of ns1, as CSYNC has them taken from here. */
static void stage_csync(struct life *l, size_t i, const struct csync *y, const struct show *s)
{
	struct prt_server *server = &l->w.e.server[i];
	struct prt_host *host = &server->at[0];
	char line[256];

	snprintf(line, sizeof(line), C " 300 CSYNC %u %u%s%s", y->serial,
		 y->flags ^ (s->odd == ODD_FLAGS ? IMMEDIATE : 0), y->has_ns ? " NS" : "", y->has_a ? " A" : "");
	answer(l, i, PRT_Q_CSYNC, y->is_there && s->odd != ODD_NO_CSYNC ? t_rrset(line) : NULL, s);
	if (!y->is_there)
		return;
	if (s->odd == ODD_SERIAL)
		answer(l, i, PRT_Q_SOA_AGAIN, t_rrset(C " 300 SOA ns1." C " h.test. 8 1 2 3 4"), s);
	if (server->hosts > 0) {
		msp_rrset_free(&host->a.set);
		msp_rrset_free(&host->a.sigs);
	}
	server->hosts = 1;
	host->name = t_name("ns1." C);
	snprintf(line, sizeof(line), "ns1." C " 300 A 198.41.0.%u",
		 4 + (s->odd == ODD_ADDRESS ? y->glue + 1 : y->glue));
	host->a = (struct prt_answer){ .is_asked = true, .is_authoritative = true, .set = t_rrset(line) };
	host->aaaa = (struct prt_answer){ .is_asked = true, .is_authoritative = true };
	if (!s->is_unsigned)
		host->a.sigs = sign_at(host->a.set, l->w.key[s->signer], &l->w.child, (uint32_t)(l->d.now.s - 1000));
}

/* Each server of `at`, and of what CSYNC asks for, with what it shows. */
static size_t stage(struct life *l, const struct state *at, const struct csync *y, struct show show[3])
{
	static const struct {
		unsigned bit;
		const char *host;
	} hosts[] = { { NS1, "ns1." C }, { NS_OTHER, "ns.other.test." }, { NS_3RD, "ns3.other.test." } };
	unsigned wish = l->is_well ? roll(l, 8) | 3u : roll(l, 8),
		 mood = y->is_there && roll(l, 8) != 0 ? 3 : roll(l, 4);
	size_t n = 0;

	if (l->shown.ds != 0 && roll(l, 4) != 0) { /* as before */
		wish = l->shown.ds;
		mood = 0;
	}
	for (size_t i = 0; i < 3; i++) {
		struct show *s = &show[n];
		struct prt_server *server = &l->w.e.server[n];
		struct msp_rrset *ns = NULL;
		char addr[32];

		if (((at->ns | (y->is_there ? y->ns : 0)) & hosts[i].bit) == 0)
			continue;
		*s = (struct show){ .host = hosts[i].bit,
				    .signer = roll(l, 2),
				    .is_silent = roll(l, l->is_well ? 100 : 12) == 0,
				    .is_lame = roll(l, l->is_well ? 100 : 16) == 0,
				    .is_unsigned = roll(l, l->is_well ? 100 : 16) == 0,
				    .ns = y->is_there ? y->ns : at->ns,
				    .signs_all = y->is_there };
		if (y->is_there && roll(l, l->is_well ? 40 : 8) == 0)
			s->odd = (enum oddity)roll(l, ODD__N);
		if (s->odd == ODD_NS)
			s->ns ^= s->ns == NS_3RD ? NS1 : NS_3RD;
		s->has_wish = mood == 0 || mood == 1;
		s->is_sentinel = mood == 2;
		s->wish = roll(l, l->is_well ? 100 : 12) == 0 ? roll(l, 8) : wish;
		s->has_wish = s->has_wish && s->wish != 0;
		server->host = t_name(hosts[i].host);
		snprintf(addr, sizeof(addr), "198.41.0.%u", i == 0 ? 4 + at->glue : 20 + (unsigned)i);
		T_OK(msp_addr_parse(addr, 53, &server->addr));
		ns_set(l, s->ns, &ns);
		answer(l, n, PRT_Q_SOA, t_rrset(SOA_SET), s);
		answer(l, n, PRT_Q_SOA_AGAIN, t_rrset(SOA_SET), s);
		answer(l, n, PRT_Q_NS, ns, s);
		answer(l, n, PRT_Q_DNSKEY, keys_set(&l->w, all_three, 3), s);
		answer(l, n, PRT_Q_CDS,
		       s->has_wish      ? mask_set(l, MSP_TYPE_CDS, s->wish)
		       : s->is_sentinel ? t_rrset(C " 300 CDS 0 0 0 00")
					: NULL,
		       s);
		answer(l, n, PRT_Q_CDNSKEY, NULL, s);
		stage_csync(l, n, y, s);
		n++;
	}
	l->w.e.count = n;
	return n;
}

/* The servers of this NS RRset. */
static bool works(const struct show *show, size_t n, unsigned ns, unsigned ds)
{
	size_t seen = 0;

	for (size_t i = 0; i < n; i++) {
		if ((show[i].host & ns) == 0)
			continue;
		if (show[i].is_silent || show[i].is_lame || show[i].ns != ns ||
		    (ds != 0 && ((ds & 1u << show[i].signer) == 0 || show[i].is_unsigned)))
			return false;
		seen++;
	}
	return seen == bits(ns) && seen > 0;
}

static void check(struct life *l)
{
	static const struct csync no_csync;
	struct state at, present = to_state(l, &l->registered);
	struct show show[3];
	size_t n;

	if (l->pending.wait == PRT_WAIT_NONE)
		return;
	at = roll(l, 10) == 0 ? present : to_state(l, &l->wanted);
	n = stage(l, &at, &no_csync, show);
	desk_fresh(&l->d);
	T_OK(prt_desk_checked(&l->d.r, &l->d.c, &l->w.e, l->d.now, &l->d.o));
	desk_restart(&l->d);
	if (!is_registered_as_before(l)) {
		struct state after = to_state(l, &l->d.c.registered);

		assert_int_equal(l->pending.wait, PRT_WAIT_CHECKS);
		assert_true(prt_delegation_equal(&l->wanted, &l->d.c.registered));
		assert_int_equal(at.ns, after.ns);
		assert_true((at.ns & NS1) == 0 || at.glue == after.glue);
		assert_true(works(show, n, after.ns, after.ds));
		assert_true(l->pending.source == PRT_SRC_OPERATOR ||
			    (open_to_the_child(l) && may_touch(l, &present, &after)));
		count(l, l->pending.source);
	} else if (!is_pending_as_before(l)) {
		assert_true(l->pending.wait == PRT_WAIT_CHECKS);
		assert_true(l->d.c.pending.wait == PRT_WAIT_NONE || l->d.c.pending.wait == PRT_WAIT_TURN);
	}
	assert_true(is_trust_as_before(l));
	always(l, "check");
}

static struct csync draw_csync(struct life *l, const struct state *at)
{
	struct csync y = { .is_there = roll(l, at->ds != 0 ? 2 : 8) == 0, .glue = roll(l, 3) };
	unsigned what = roll(l, 4);

	y.flags = (roll(l, 4) != 0 ? IMMEDIATE : 0) | (roll(l, 6) == 0 ? SOAMINIMUM : 0);
	y.serial = SERIAL_SEEN - 1 + roll(l, 3);
	y.has_ns = what != 3;
	y.has_a = what != 2;
	y.ns = y.has_ns || roll(l, 8) == 0 ? at->ns ^ 1u << roll(l, 3) : at->ns;
	if (y.ns == 0)
		y.ns = at->ns;
	return y;
}

/* RFC 7477: what all servers say, securely, and what comes of it. False: nothing may. */
static bool csync_says(const struct csync *y, const struct state *at, const struct show *show, size_t n,
		       struct state *after)
{
	*after = *at;
	if (!y->is_there || at->ds == 0 || (!y->has_ns && !y->has_a))
		return false;
	if ((y->flags & SOAMINIMUM) != 0 && y->serial > SERIAL_SEEN)
		return false;
	if (y->has_ns)
		after->ns = y->ns;
	if ((after->ns & NS1) == 0)
		after->glue = 0;
	else if (y->has_a)
		after->glue = y->glue;
	else if ((at->ns & NS1) == 0)
		return false; /* where it is nobody says */
	for (size_t i = 0; i < n; i++) {
		const struct show *s = &show[i];

		if (s->is_silent || s->is_unsigned || (at->ds & 1u << s->signer) == 0)
			return false;
		if (s->odd != ODD_NOT && (s->odd != ODD_BARE_NS || y->has_ns) && (s->odd != ODD_NS || y->has_ns) &&
		    (s->odd != ODD_ADDRESS || (y->has_a && (after->ns & NS1) != 0)))
			return false;
	}
	return bits(after->ns) >= 2 && works(show, n, after->ns, at->ds);
}

/* All servers show the same first DS, which would work. */
static void remember_shown(struct life *l, const struct state *at, const struct show *show, size_t n)
{
	unsigned ds = at->ds == 0 && n > 0 && show[0].has_wish ? show[0].wish : 0;

	for (size_t i = 0; i < n; i++)
		if (!show[i].has_wish || show[i].wish != ds)
			ds = 0;
	if (ds != 0 && !works(show, n, at->ns, ds))
		ds = 0;
	if (ds != l->shown.ds)
		l->shown.since = l->d.now;
	l->shown.ds = ds;
}

static void accepted_by_csync(struct life *l, const struct csync *y, const struct state *at, const struct show *show,
			      size_t n)
{
	struct state want;

	assert_true(csync_says(y, at, show, n, &want));
	assert_true(is_state(l, &want, &l->d.c.registered));
	assert_true((y->flags & IMMEDIATE) != 0);
	assert_true(open_to_the_child(l) && !l->d.r.policy.propose && may_touch(l, at, &want));
	assert_true((l->d.r.policy.sources & 1u << PRT_SRC_CSYNC) != 0);
	count(l, PRT_SRC_CSYNC);
}

static void accepted_by_cds(struct life *l, const struct state *at, const struct show *show, size_t n,
			    const struct prt_dsboot_seen seen[2], unsigned vouched)
{
	struct state after = to_state(l, &l->d.c.registered);
	bool is_first = at->ds == 0;

	assert_true(open_to_the_child(l) && !l->d.r.policy.propose && may_touch(l, at, &after));
	assert_true((l->d.r.policy.sources & 1u << (is_first ? PRT_SRC_DSBOOT : PRT_SRC_CDS)) != 0);
	assert_int_equal(after.ns, at->ns);
	assert_int_equal(after.glue, at->glue);
	assert_true(works(show, n, at->ns, after.ds) && works(show, n, at->ns, at->ds));
	for (size_t i = 0; i < n; i++) {
		assert_true(after.ds == 0 ? show[i].is_sentinel : show[i].has_wish && show[i].wish == after.ds);
		assert_true(is_first || !show[i].is_unsigned);
	}
	assert_true(is_confirmed(l, &l->d.c.registered));
	if (is_first && l->d.r.dsboot == PRT_DSBOOT_DELAY) {
		assert_int_equal(l->shown.ds, after.ds);
		assert_true(l->d.now.s - l->shown.since.s >= DELAY_S);
		l->delayed++;
	} else if (is_first) {
		assert_true(l->d.r.dsboot == PRT_DSBOOT_RFC9615 && (at->ns & ~NS1) != 0 && vouched == after.ds);
		for (size_t i = 0; i < 2; i++)
			if ((at->ns & (i == 0 ? NS_OTHER : NS_3RD)) != 0)
				assert_int_equal(seen[i].verdict, MSP_LOOKUP_SECURE);
	}
	count(l, is_first ? PRT_SRC_DSBOOT : PRT_SRC_CDS);
}

static void scan(struct life *l)
{
	struct state at = to_state(l, &l->registered), want;
	unsigned vouched = roll(l, 4) == 0 ? roll(l, 8) : 8; /* 8: what the child shows */
	struct prt_dsboot_seen seen[2];
	struct csync y = draw_csync(l, &at);
	struct msp_rrset *cds;
	struct show show[3];
	size_t n;

	if (at.ns == 0)
		return;
	n = stage(l, &at, &y, show);
	if (vouched == 8)
		vouched = show[0].has_wish ? show[0].wish : 0;
	cds = mask_set(l, MSP_TYPE_CDS, vouched);
	for (size_t i = 0; i < 2; i++)
		seen[i] = (struct prt_dsboot_seen){ .ns = t_name(i == 0 ? "ns.other.test." : "ns3.other.test."),
						    .verdict = roll(l, 8) == 0 ? MSP_LOOKUP_BOGUS : MSP_LOOKUP_SECURE,
						    .cds = cds };
	remember_shown(l, &at, show, n);
	desk_fresh(&l->d);
	T_OK(prt_desk_scanned(&l->d.r, &l->d.c, &l->w.e, seen, 2, l->d.now, &l->d.o));
	desk_restart(&l->d);
	if (!is_registered_as_before(l)) {
		if (msp_rrset_equal(prt_delegation_ds(&l->registered), prt_delegation_ds(&l->d.c.registered)))
			accepted_by_csync(l, &y, &at, show, n);
		else
			accepted_by_cds(l, &at, show, n, seen, vouched);
	} else if (l->pending.wait != PRT_WAIT_NONE && l->pending.wait != PRT_WAIT_CONFIRM &&
		   (l->pending.source == PRT_SRC_OPERATOR || is_accepted_update(&l->pending))) {
		assert_true(is_pending_as_before(l)); /* no look takes the place of somebody's word */
	}
	if (l->d.c.pending.wait != PRT_WAIT_NONE && l->d.c.pending.source == PRT_SRC_CSYNC &&
	    !is_pending_as_before(l)) {
		at = to_state(l, &l->d.c.registered); /* CDS comes first */
		assert_true(csync_says(&y, &at, show, n, &want) && is_state(l, &want, &l->d.c.pending.wanted));
		assert_true((l->d.r.policy.sources & 1u << PRT_SRC_CSYNC) != 0 && may_touch(l, &at, &want));
		assert_int_equal(l->flags & (PRT_CHILD_LOCKED | PRT_CHILD_GONE), 0);
	}
	msp_rrset_free(&cds);
	assert_true(is_trust_as_before(l));
	always(l, "scan");
}

static void look(struct life *l)
{
	const char *key = sig_keys[roll(l, 3)], *shown = roll(l, 3) == 0 ? sig_keys[roll(l, 3)] : key;
	bool is_secure = prt_delegation_ds(&l->registered) != NULL, was_known = desk_state(&l->d, key) == PRT_KEY_KNOWN;
	enum msp_lookup verdict = roll(l, 3) == 0 ? (enum msp_lookup)roll(l, MSP_LOOKUP_FAILED + 1) : MSP_LOOKUP_SECURE;
	struct prt_key *known = prt_keyset_find(&l->d.c.keys, desk_key(key));
	bool replaces = known != NULL && known->replaces;
	struct prt_boot_secure apex = { 0 }, signal[2] = { { 0 }, { 0 } };
	struct msp_rrset *set;
	char line[1024];

	snprintf(line, sizeof(line), C " 300 KEY %s", shown);
	set = t_rrset(line);
	apex.verdict = verdict;
	signal[0].verdict = signal[1].verdict = roll(l, 3) == 0 ? MSP_LOOKUP_BOGUS : MSP_LOOKUP_SECURE;
	apex.keys = verdict == MSP_LOOKUP_SECURE || verdict == MSP_LOOKUP_INSECURE ? set : NULL;
	signal[0].keys = signal[1].keys = signal[0].verdict == MSP_LOOKUP_SECURE ? set : NULL;
	desk_fresh(&l->d);
	T_OK(prt_desk_looked(&l->d.r, &l->d.c, desk_key(key),
			     &(struct prt_boot_seen){ .apex = apex, .signal = signal, .signals = 2 }, l->d.now,
			     &l->d.o));
	desk_restart(&l->d);
	msp_rrset_free(&set);
	assert_true(is_registered_as_before(l) && is_pending_as_before(l));
	if (!is_trust_as_before(l)) {
		unsigned need = is_secure ? PRT_METHOD_APEX : PRT_METHOD_NS;

		assert_true(was_known && shown == key && apex.keys != NULL);
		assert_true(is_secure ? verdict == MSP_LOOKUP_SECURE : signal[0].verdict == MSP_LOOKUP_SECURE);
		assert_true((l->d.r.policy.methods & l->d.r.boot.methods & 1u << need) != 0);
		assert_true(!l->d.r.policy.keys_need_human);
		assert_int_equal(desk_state(&l->d, key), PRT_KEY_TRUSTED);
		for (size_t i = 0; i < 3; i++)
			if (was_trusted(l, sig_keys[i]) && desk_state(&l->d, sig_keys[i]) != PRT_KEY_TRUSTED)
				assert_true(replaces && sig_keys[i] != key);
	}
	always(l, "look");
}

/* --- events: time, operators, the parent ----------------------------------------------------------------------------
 */

static void tick(struct life *l)
{
	desk_tick(&l->d, 0);
	if (!is_registered_as_before(l)) {
		assert_true(l->pending.wait == PRT_WAIT_TURN && is_accepted_update(&l->pending) && l->d.r.no_checks);
		assert_true(open_to_the_child(l) && prt_delegation_equal(&l->wanted, &l->d.c.registered));
		count(l, PRT_SRC_UPDATE);
	}
	assert_true(is_trust_as_before(l));
	always(l, "tick");
}

static void operate(struct life *l)
{
	struct prt_asker by = desk_asker(&l->d, PRT_SRC_OPERATOR, "operator anna");
	const char *key = sig_keys[roll(l, 3)];
	unsigned verb = roll(l, 8);
	bool force = roll(l, 2) == 0;
	uint8_t print[PRT_HASH_LEN];
	struct prt_delegation wanted;
	struct state s = { .ns = 3u | roll(l, 2) << 2, .ds = roll(l, 8) };

	desk_fresh(&l->d);
	to_delegation(l, &s, &wanted);
	T_OK(prt_key_print(desk_key(key), print));
	switch (verb) {
	case 0:
	case 1:
		(void)!prt_desk_pending(&l->d.r, &l->d.c, verb == 0, force, &by, l->d.now, &l->d.o);
		if (!is_registered_as_before(l)) {
			assert_true(verb == 0 && (force || l->d.r.no_checks));
			assert_true(prt_delegation_equal(&l->wanted, &l->d.c.registered));
		}
		break;
	case 2:
		(void)!prt_desk_set(&l->d.r, &l->d.c, &wanted, force, &by, l->d.now, &l->d.o);
		if (!is_registered_as_before(l)) {
			assert_true(force || l->d.r.no_checks);
			assert_true(prt_delegation_equal(&wanted, &l->d.c.registered));
		}
		break;
	case 3:
	case 4:
		(void)!prt_desk_lock(&l->d.c, verb == 3, "why", &by, l->d.now, &l->d.o);
		break;
	default:
		(void)!prt_desk_key(&l->d.r, &l->d.c, (enum prt_key_verb)(verb - 5), print, &by, l->d.now, &l->d.o);
		break;
	}
	desk_restart(&l->d);
	if (!is_registered_as_before(l))
		count(l, PRT_SRC_OPERATOR);
	assert_true(verb >= 5 || is_trust_as_before(l));
	prt_delegation_clear(&wanted);
	always(l, "operator");
}

static void parent(struct life *l)
{
	unsigned verb = roll(l, 4);
	struct state s = { .ns = 3u | roll(l, 2) << 2, .ds = roll(l, 8) };
	struct prt_delegation d;

	if (roll(l, 6) == 0)
		s.ns = s.ds = 0;
	to_delegation(l, &s, &d);
	desk_fresh(&l->d);
	if (verb == 0) {
		bool stands = !prt_delegation_equal(&l->registered, &l->published) && (l->flags & PRT_CHILD_GONE) == 0;

		T_OK(prt_desk_imported(&l->d.c, &d, l->d.now, &l->d.o));
		if (!is_registered_as_before(l)) {
			assert_true(prt_delegation_equal(&d, &l->d.c.registered));
			assert_true(!stands || s.ns == 0);
		}
		if (s.ns == 0)
			assert_int_equal(prt_keyset_count(&l->d.c.keys, PRT_KEY_TRUSTED), 0);
		else
			assert_true(is_trust_as_before(l));
	} else if (verb == 1) {
		T_OK(prt_desk_refused_by(&l->d.c, "", "never", l->d.now, &l->d.o));
		assert_true(is_registered_as_before(l) || prt_delegation_equal(&l->published, &l->d.c.registered));
	} else {
		T_OK(prt_desk_published_by(&l->d.c, "", &l->registered, l->d.now, &l->d.o));
		assert_true(is_registered_as_before(l));
	}
	desk_restart(&l->d);
	prt_delegation_clear(&d);
	always(l, "parent");
}

/* --- a life ---------------------------------------------------------------------------------------------------------
 */

static void step(struct life *l)
{
	static const int64_t pass[] = { 0, 1, 5, 29, 60, 299, 300, 600, 700, 3600, 86400, -1, -1000, -90000 };
	unsigned what = roll(l, 100);

	if (roll(l, 2) == 0)
		l->d.now.s += pass[roll(l, sizeof(pass) / sizeof(pass[0]))];
	snapshot(l);
	if (l->is_quiet && what < 56)
		what = 79;
	if (what < 40)
		update_delegation(l);
	else if (what < 48)
		update_keys(l);
	else if (what < 56)
		replay(l);
	else if (what < 70)
		check(l);
	else if (what < 80)
		scan(l);
	else if (what < 86)
		tick(l);
	else if (what < 91)
		look(l);
	else if (what < 96)
		operate(l);
	else
		parent(l);
}

static void begin_life(struct life *l)
{
	struct state s = { .ns = NS1 | NS_OTHER, .ds = roll(l, 3) == 0 ? 0 : 1u << A | 1u << B };

	print_message("seed %lu\n", l->seed);
	l->is_well = roll(l, 2) == 0;
	l->d = desk_begin();
	l->d.r.check.ds_ttl = 300; /* as all others here */
	l->d.r.no_checks = roll(l, 3) == 0;
	l->d.r.policy.propose = roll(l, 6) == 0;
	l->d.r.policy.keys_need_human = roll(l, 6) == 0;
	l->d.r.dsboot = roll(l, 4) == 0 ? PRT_DSBOOT_NONE : roll(l, 2) == 0 ? PRT_DSBOOT_DELAY : PRT_DSBOOT_RFC9615;
	l->d.r.dsboot_delay_s = DELAY_S;
	l->is_quiet = l->d.r.dsboot == PRT_DSBOOT_DELAY && roll(l, 2) == 0;
	if (l->is_quiet) {
		l->is_well = true;
		s.ds = 0;
	}
	if (roll(l, 4) == 0)
		l->d.r.policy.touch = roll(l, PRT_TOUCH_ALL + 1);
	if (roll(l, 4) == 0)
		l->d.r.policy.sources = roll(l, 64);
	assert_int_equal(l->d.r.policy.cooldown_s, COOLDOWN);
	l->d.r.policy.changes_per_day = PER_DAY;
	assert_int_equal(l->d.r.confirm_s, CONFIRM_S);
	prt_delegation_clear(&l->d.c.registered);
	prt_delegation_clear(&l->d.c.published);
	to_delegation(l, &s, &l->d.c.registered);
	to_delegation(l, &s, &l->d.c.published);
	l->counts = l->messages = 0;
	l->shown.ds = 0;
	l->registered.count = l->published.count = l->wanted.count = 0;
}

static void end_life(struct life *l)
{
	prt_delegation_clear(&l->registered);
	prt_delegation_clear(&l->published);
	prt_delegation_clear(&l->wanted);
	desk_end(&l->d);
}

struct lives {
	unsigned long seed, runs;
};

static void nothing_changes_but_what_a_rule_allows(void **state)
{
	static struct life l;
	const struct lives *lives = *state;

	l.w = begin();
	prt_evidence_fini(&l.w.e);
	T_OK(prt_evidence_new(&l.w.child, 3, &l.w.e));
	for (unsigned i = 0; i < KEYS; i++) {
		struct msp_rrset *set = ds_set(&l.w, MSP_TYPE_DS, &i, 1);
		struct msp_buf text;

		msp_buf_init(&text, 1 << 12);
		msp_buf_add_str(&text, "DS ");
		msp_rdata_print(&text, NULL, MSP_TYPE_DS, set->rdata[0]);
		snprintf(l.ds_text[i], sizeof(l.ds_text[i]), "%s", msp_buf_text(&text));
		msp_buf_fini(&text);
		msp_rrset_free(&set);
	}
	for (unsigned long run = 0; run < lives->runs; run++) {
		l.seed = lives->seed + run;
		l.random = l.seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
		begin_life(&l);
		for (unsigned i = 0; i < EVENTS; i++)
			step(&l);
		end_life(&l);
	}
	print_message("accepted: update %u, tsig %u, cds %u, dsboot %u (%u after a delay), csync %u, operator %u; "
		      "trust changed %u, "
		      "refused %u, dropped %u, replays %u\n",
		      l.accepted[PRT_SRC_UPDATE], l.accepted[PRT_SRC_TSIG], l.accepted[PRT_SRC_CDS],
		      l.accepted[PRT_SRC_DSBOOT], l.delayed, l.accepted[PRT_SRC_CSYNC], l.accepted[PRT_SRC_OPERATOR],
		      l.trusted, l.refused, l.dropped, l.replays);
	if (lives->runs >= RUNS) {
		for (unsigned i = 0; i < PRT_SRC__N; i++)
			assert_true(l.accepted[i] > 0);
		assert_true(l.delayed > 0 && l.trusted > 0 && l.refused > 0 && l.dropped > 0 && l.replays > 0);
	}
	l.w.e.count = 3; /* all that were made */
	end(&l.w);
}

/* [SEED [RUNS]] */
int main(int argc, char **argv)
{
	struct lives lives = { .seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1,
			       .runs = argc > 2 ? strtoul(argv[2], NULL, 10) : RUNS };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(nothing_changes_but_what_a_rule_allows, &lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
