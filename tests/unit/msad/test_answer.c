/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes back to what we sent, and whom we believe. PROTOCOL D.4 "Sender on response", D.6, D.7 */
#include "fixture.h"

struct reply {
	enum fx_who signs;
	bool no_signature, no_option, other_request, damage, other_identity;
	unsigned rcode, ede;
	uint16_t answer_type;            /* pull: records of this type ... */
	const struct msp_name *owner;    /* ... under this name */
	const struct msp_rrset *records; /* NULL = none */
};

/** Answer the nth SEND of the last actions, whose copy is in `sent`. */
static void answer(struct fx *f, uint64_t id, struct msp_span sent, const struct reply *how)
{
	struct msa_event ev = { .kind = MSA_EV_ANSWER };
	struct msp_msg req;
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_option option;
	struct msp_span out;
	size_t len;
	uint8_t other[12] = { 0 };

	T_OK(msp_msg_parse(sent, &f->scratch, &req, NULL));
	msp_msgw_respond(&w, f->mem, sizeof(f->mem), &req, how->rcode & 15, MSP_FLAG_AA);
	for (size_t i = 0; how->records != NULL && i < how->records->count; i++) {
		struct msp_rr rr = { .owner = how->owner != NULL ? *how->owner : req.question.name,
				     .type = how->answer_type,
				     .cls = MSP_CLASS_IN,
				     .ttl = how->records->ttl,
				     .rdata = how->records->rdata[i] };

		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
	}
	o = msp_optw_open(&w, 1232, how->rcode, false);
	if (!how->no_option && msp_edns_find(&req.edns, msp_numbers_default.opt_multisigner, &option)) {
		struct msp_msopt ms = { .operation = option.data.ptr[0], .transports = 1, .syncs = 3 };

		ms.has[MSP_TLV_IDENTITY] = true;
		ms.identity = f->identity[how->other_identity ? FX_X : how->signs];
		ms.has[MSP_TLV_GROUP] = true;
		memcpy(ms.group, msa_core_find_zone(f->core, &f->zone)->group.digest, 32);
		msp_optw_msopt(&o, &msp_numbers_default, &ms);
	}
	if (how->ede != 0)
		msp_optw_ede(&o, (uint16_t)how->ede, "test");
	msp_optw_close(&o);
	T_OK(msp_msgw_finish(&w, &out));
	len = out.len;
	if (!how->no_signature)
		T_OK(msp_sig0_sign(f->key[how->signs], (struct msp_wall){ FX_WALL + f->now_ms / 1000 },
				   how->other_request ? msp_span(other, sizeof(other)) : sent, f->mem, &len,
				   sizeof(f->mem)));
	if (how->damage)
		f->mem[len - 1] ^= 1;
	ev.u.answer.id = id;
	ev.u.answer.octets = msp_span(f->mem, len);
	fx_step(f, &ev);
}

static void no_answer(struct fx *f, uint64_t id)
{
	struct msa_event ev = { .kind = MSA_EV_ANSWER };

	ev.u.answer.id = id;
	ev.u.answer.err = MSP_ETIMEOUT;
	fx_step(f, &ev);
}

struct sent {
	uint64_t id;
	struct msp_addr addr;
	uint8_t oct[MSP_EDNS_PAYLOAD];
	size_t len;
};

/** Let time pass until something is sent to `who`; its copy. */
static struct sent next_send(struct fx *f, enum fx_who who, int64_t within_ms)
{
	struct sent s = { 0 };

	for (int64_t t = 0; t <= within_ms; t += 100) {
		for (size_t i = 0; i < f->out.count; i++) {
			const struct msa_action *a = &f->out.item[i];

			if (a->kind != MSA_ACT_SEND || !msp_addr_same_host(&a->addr, &f->addr[who]))
				continue;
			s.id = a->id;
			s.addr = a->addr;
			s.len = a->octets.len;
			memcpy(s.oct, a->octets.ptr, s.len);
			return s;
		}
		fx_tick(f, 100);
	}
	return s;
}

#define NEXT(f, who)      next_send(f, who, 5000)
#define ANSWER(f, s, ...) answer(f, (s).id, msp_span((s).oct, (s).len), &(struct reply){ __VA_ARGS__ })

static uint8_t operation_of(struct fx *f, const struct sent *s)
{
	struct msp_msg m;
	struct msp_option o;

	T_OK(msp_msg_parse(msp_span(s->oct, s->len), &f->scratch, &m, NULL));
	assert_true(m.sig0_at != 0); /* every message of ours is signed */
	return msp_edns_find(&m.edns, msp_numbers_default.opt_multisigner, &o) ? o.data.ptr[0] : 0;
}

static void our_hello_has_the_tlvs_of_the_protocol(void **state)
{
	struct fx *f = fx_new();
	struct sent s = NEXT(f, FX_C);
	struct msp_msg m;
	struct msp_option o;
	struct msp_msopt ms;

	(void)state;
	T_OK(msp_msg_parse(msp_span(s.oct, s.len), &f->scratch, &m, NULL));
	assert_int_equal(m.opcode, MSP_OPCODE_NOTIFY);
	assert_int_equal(m.flags & (MSP_FLAG_QR | MSP_FLAG_AA), MSP_FLAG_AA);
	assert_true(msp_name_equal(&m.question.name, &f->zone));
	assert_int_equal(m.question.type, MSP_TYPE_SOA);
	assert_true(msp_edns_find(&m.edns, msp_numbers_default.opt_multisigner, &o));
	T_OK(msp_msopt_parse(o.data, &ms));
	assert_int_equal(ms.operation, MSP_OP_HELLO);
	for (int t = 1; t <= 17; t++)
		assert_int_equal(ms.has[t], t == 1 || t == 2 || t == 3 || t == 4 || t == 5 || t == 15 || t == 17);
	assert_true(msp_name_equal(&ms.identity, &f->identity[FX_A]));
	assert_true(msp_name_equal(&ms.peer_identity, &f->identity[FX_C]));
	assert_true(s.addr.port == 5399);
	fx_free(&f);
}

static void a_signed_noerror_makes_the_peer_operational(void **state)
{
	struct fx *f = fx_new();
	struct sent s = NEXT(f, FX_C);

	(void)state;
	ANSWER(f, s, .signs = FX_C);
	assert_int_equal(fx_peer(f, FX_C)->link, MSA_LINK_OPERATIONAL);
	assert_int_equal(fx_member(f, FX_C)->state, MSA_MEMBER_MEMBER);
	s = NEXT(f, FX_C);
	assert_int_equal(operation_of(f, &s), 128); /* DATA, then heartbeats */
	ANSWER(f, s, .signs = FX_C);
	s = NEXT(f, FX_C);
	assert_int_equal(operation_of(f, &s), MSP_OP_HEARTBEAT);
	fx_free(&f);
}

static void an_answer_that_does_not_verify_is_no_answer(void **state)
{
	static const struct reply bad[] = {
		{ .signs = FX_C, .no_signature = true },
		{ .signs = FX_C, .no_signature = true, .rcode = MSP_RCODE_REFUSED },
		{ .signs = FX_C, .no_signature = true, .rcode = MSP_RCODE_FORMERR },
		{ .signs = FX_C, .no_signature = true, .rcode = MSP_RCODE_NOTAUTH },
		{ .signs = FX_B },                        /* a peer, but not this one */
		{ .signs = FX_X },                        /* a stranger */
		{ .signs = FX_C, .other_request = true }, /* moved here from another question */
		{ .signs = FX_C, .damage = true },
		{ .signs = FX_C, .damage = true, .rcode = MSP_RCODE_NOTIMP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fx *f = fx_new();
		struct sent s = NEXT(f, FX_C);

		answer(f, s.id, msp_span(s.oct, s.len), &bad[i]);
		assert_int_equal(fx_peer(f, FX_C)->link, MSA_LINK_KNOWN);
		assert_int_equal(fx_member(f, FX_C)->state, MSA_MEMBER_UNSEEN);
		s = next_send(f, FX_C,
			      80 * 1000); /* back-off as after a timeout: 60 s +-20 %, not the hour of a NOTIMP */
		assert_true(s.id != 0);
		assert_in_range(f->now_ms, 47 * 1000, 76 * 1000);
		assert_int_equal(operation_of(f, &s), MSP_OP_HELLO);
		fx_free(&f);
	}
}

static void refused_is_waited_out_with_growing_pauses(void **state)
{
	struct fx *f = fx_new();
	struct sent s = NEXT(f, FX_C);
	int64_t pause = 0, before;

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		int64_t base = 60000ll << i;

		base = base > 1800000 ? 1800000 : base;
		ANSWER(f, s, .signs = FX_C, .rcode = MSP_RCODE_REFUSED, .ede = 49152 + 29);
		assert_int_equal(fx_peer(f, FX_C)->link, MSA_LINK_KNOWN);
		assert_string_equal(fx_member(f, FX_C)->hello_why, "REFUSED MSA_ZONE_UNKNOWN");
		before = f->now_ms;
		s = next_send(f, FX_C, 2400 * 1000);
		assert_true(s.id != 0);
		pause = f->now_ms - before;
		assert_in_range(pause, base * 79 / 100, base * 121 / 100);
	}
	/* Its own HELLO ends the waiting. */
	ANSWER(f, s, .signs = FX_C, .rcode = MSP_RCODE_REFUSED);
	fx_request(f, fx_build(f, &(struct fx_message){ .claims = FX_C, .signs = FX_C, .operation = MSP_OP_HELLO }),
		   FX_C);
	s = NEXT(f, FX_C);
	assert_true(s.id != 0);
	fx_free(&f);
}

static void a_peer_that_does_not_speak_the_option_is_tried_every_hour(void **state)
{
	static const struct reply deaf[] = { { .signs = FX_C, .rcode = MSP_RCODE_FORMERR },
					     { .signs = FX_C, .rcode = MSP_RCODE_NOTIMP },
					     { .signs = FX_C, .no_option = true } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fx *f = fx_new();
		struct sent s = NEXT(f, FX_C);

		answer(f, s.id, msp_span(s.oct, s.len), &deaf[i]);
		assert_int_equal(fx_peer(f, FX_C)->link, MSA_LINK_KNOWN);
		s = next_send(f, FX_C, 3590 * 1000);
		assert_int_equal(s.id, 0);
		s = next_send(f, FX_C, 20 * 1000);
		assert_true(s.id != 0);
		fx_free(&f);
	}
}

static void notauth_refreshes_the_key_and_tries_again_in_a_minute(void **state)
{
	struct fx *f = fx_new();
	struct sent s = NEXT(f, FX_C);

	(void)state;
	ANSWER(f, s, .signs = FX_C, .rcode = MSP_RCODE_NOTAUTH, .ede = 49152 + 14);
	assert_int_equal(fx_count(f, MSA_ACT_FLUSH), 1);
	assert_true(fx_count(f, MSA_ACT_LOOKUP) >= 1);
	s = next_send(f, FX_C, 80 * 1000);
	assert_true(s.id != 0);
	fx_free(&f);
}

static void an_answer_under_another_identity_is_not_accepted(void **state)
{
	struct fx *f = fx_new();
	struct sent s = NEXT(f, FX_C);

	(void)state;
	ANSWER(f, s, .signs = FX_C, .other_identity = true);
	assert_int_equal(fx_member(f, FX_C)->state, MSA_MEMBER_UNSEEN);
	assert_int_equal(fx_peer(f, FX_C)->link, MSA_LINK_KNOWN);
	fx_free(&f);
}

static void every_address_is_tried_in_turn(void **state)
{
	struct fx *f = fx_new();
	struct sent s = NEXT(f, FX_C);
	struct msp_addr second = f->addr[FX_C];

	(void)state;
	/* A second address, as discovery would have found it; c's list is its own. */
	second.oct[3] = 77;
	fx_peer(f, FX_C)->addr[1] = second;
	fx_peer(f, FX_C)->addr_count = 2;
	no_answer(f, s.id);
	assert_int_equal(fx_count(f, MSA_ACT_SEND), 1);
	assert_true(msp_addr_equal(&fx_find(f, MSA_ACT_SEND, 0)->addr, &second)); /* at once */
	memcpy(s.oct, fx_find(f, MSA_ACT_SEND, 0)->octets.ptr, fx_find(f, MSA_ACT_SEND, 0)->octets.len);
	s.len = fx_find(f, MSA_ACT_SEND, 0)->octets.len;
	s.id = fx_find(f, MSA_ACT_SEND, 0)->id;
	ANSWER(f, s, .signs = FX_C);
	assert_int_equal(fx_member(f, FX_C)->state, MSA_MEMBER_MEMBER);
	assert_int_equal(fx_peer(f, FX_C)->addr_best, 1); /* and it is the one used from now on */
	fx_free(&f);
}

/* D.4 step 2: what the other side would refuse is not sent. */
static void hellos_for_many_zones_are_spread(void **state)
{
	enum { ZONES = 100 };
	static struct msa_zone_conf zones[ZONES];
	struct fx *f = fx_new_bare();
	struct msa_core_conf conf = { .identity = f->identity[FX_A],
				      .host = f->host[FX_A],
				      .key = f->key[FX_A],
				      .numbers = msp_numbers_default,
				      .zones = zones,
				      .zone_count = ZONES,
				      .heartbeat_s = 60 };
	struct msp_name uri;
	uint64_t id = 0;
	size_t total = 0, worst = 0, in_second[60] = { 0 };

	(void)state;
	for (size_t i = 0; i < ZONES; i++) {
		char text[40];

		snprintf(text, sizeof(text), "z%zu.example.", i);
		zones[i] = (struct msa_zone_conf){ .zone = t_name(text), .dnskey_ttl_s = 300 };
	}
	msa_core_free(&f->core);
	T_OK(msa_core_new(&conf, (struct msp_wall){ FX_WALL }, &f->rand, &f->log, &f->core));
	fx_hsync(f, "ON AGENT YES", FX_A);
	fx_hsync(f, "ON AGENT YES", FX_B);
	T_OK(msp_name_prepend("_dns._tcp", &f->identity[FX_B], &uri));
	for (size_t i = 0; i < ZONES; i++) {
		f->zone = zones[i].zone;
		fx_view(f);
		if (id == 0)
			id = fx_lookup_id(f, &uri, MSP_TYPE_URI);
	}
	fx_locate(f, FX_B, id);
	for (size_t ms = 0; ms < 30000; ms += 20) {
		size_t n;

		fx_tick(f, 20);
		n = fx_count(f, MSA_ACT_SEND);
		total += n;
		in_second[ms / 1000] += n;
	}
	for (size_t i = 0; i < 30; i++)
		worst = in_second[i] > worst ? in_second[i] : worst;
	assert_int_equal(total, ZONES);
	assert_in_range(worst, 1, 20);
	assert_int_equal(in_second[20], 0); /* and it does not take longer than needed */
	fx_free(&f);
}

static void a_refused_heartbeat_goes_back_to_hello(void **state)
{
	struct fx *f = fx_new();
	struct sent s;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		s = next_send(f, FX_B, 70 * 1000);
		assert_true(s.id != 0);
		if (operation_of(f, &s) == MSP_OP_HEARTBEAT && fx_member(f, FX_B)->hello_done && i > 2)
			break;
		ANSWER(f, s, .signs = FX_B);
	}
	ANSWER(f, s, .signs = FX_B, .no_signature = true, .rcode = MSP_RCODE_REFUSED);
	assert_int_equal(fx_member(f, FX_B)->state, MSA_MEMBER_MEMBER); /* anybody could have written that */
	s = next_send(f, FX_B, 70 * 1000);
	assert_int_equal(operation_of(f, &s), MSP_OP_HEARTBEAT);
	ANSWER(f, s, .signs = FX_B, .rcode = MSP_RCODE_REFUSED, .ede = 49152 + 31);
	assert_int_equal(fx_member(f, FX_B)->state, MSA_MEMBER_UNSEEN);
	s = NEXT(f, FX_B);
	assert_int_equal(operation_of(f, &s), MSP_OP_HELLO);
	fx_free(&f);
}

/* ---- pull
 * ------------------------------------------------------------------------------------------------------------ */

/** b announces a contribution; the three queries that follow. */
static void announce(struct fx *f, const struct msa_contribution *c, struct sent q[3])
{
	struct msa_event ev = { .kind = MSA_EV_REQUEST };
	struct msp_msopt ms = { .operation = 128, .transports = 1, .syncs = 3 };
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_span out;
	size_t len, n = 0;

	ms.has[MSP_TLV_IDENTITY] = ms.has[MSP_TLV_INSTANCE] = ms.has[MSP_TLV_DATA_VERSION] =
		ms.has[MSP_TLV_DATA_DIGEST] = true;
	ms.identity = f->identity[FX_B];
	ms.epoch = FX_WALL;
	ms.sequence = ++f->sequence;
	ms.data_version = c->version;
	memcpy(ms.data_digest, c->digest, 32);
	msp_msgw_init(&w, f->mem, sizeof(f->mem), 9, MSP_OPCODE_NOTIFY, MSP_FLAG_AA);
	msp_msgw_question(&w, &f->zone, MSP_TYPE_SOA, MSP_CLASS_IN);
	o = msp_optw_open(&w, 1232, 0, false);
	msp_optw_msopt(&o, &msp_numbers_default, &ms);
	msp_optw_close(&o);
	T_OK(msp_msgw_finish(&w, &out));
	len = out.len;
	T_OK(msp_sig0_sign(f->key[FX_B], (struct msp_wall){ FX_WALL + f->now_ms / 1000 }, msp_span(NULL, 0), f->mem,
			   &len, sizeof(f->mem)));
	ev.u.request.id = ++f->request_id;
	ev.u.request.peer = f->addr[FX_B];
	ev.u.request.octets = msp_span(f->mem, len);
	fx_step(f, &ev);
	for (size_t i = 0; i < f->out.count; i++) {
		const struct msa_action *a = &f->out.item[i];

		if (a->kind != MSA_ACT_SEND || !a->tcp_only)
			continue;
		assert_true(n < 3);
		q[n].id = a->id;
		q[n].len = a->octets.len;
		memcpy(q[n].oct, a->octets.ptr, a->octets.len);
		n++;
	}
	assert_int_equal(n, 3);
}

static void a_contribution(struct fx *f, struct msa_contribution *c)
{
	struct msp_key *k = NULL;

	*c = (struct msa_contribution){ .version = 5 };
	T_OK(msp_rrset_new(&f->zone, MSP_TYPE_DNSKEY, 300, &c->dnskey));
	for (uint16_t flags = 256; flags <= 257; flags++) {
		T_OK(msp_key_generate(&f->zone, MSP_ALG_ED25519, flags, &k));
		T_OK(msp_rrset_add(c->dnskey, msp_key_rdata(k)));
		msp_key_free(&k);
	}
	T_OK(msa_cds_of(&f->zone, c->dnskey, 300, &c->cds));
	T_OK(msa_contribution_digest(&f->zone, c, c->digest));
}

static void a_pulled_contribution_is_stored_before_the_combiner_hears_of_it(void **state)
{
	struct fx *f = fx_new();
	struct msa_contribution c;
	struct sent q[3];
	size_t store = 0, put = 0, combine = 0;

	(void)state;
	a_contribution(f, &c);
	announce(f, &c, q);
	ANSWER(f, q[2], .signs = FX_B); /* NS: none */
	ANSWER(f, q[1], .signs = FX_B, .answer_type = MSP_TYPE_CDS, .records = c.cds);
	assert_int_equal(fx_member(f, FX_B)->held.version, 0); /* not before all three */
	ANSWER(f, q[0], .signs = FX_B, .answer_type = MSP_TYPE_DNSKEY, .records = c.dnskey);
	assert_int_equal(fx_member(f, FX_B)->held.version, 5);
	for (size_t i = 0; i < f->out.count; i++) {
		const struct msa_action *a = &f->out.item[i];

		if (a->kind == MSA_ACT_STORE && a->key.ptr[0] == 'P')
			store = i + 1;
		if (a->kind == MSA_ACT_STORE && a->key.ptr[0] == 'C')
			put = i + 1;
		if (a->kind == MSA_ACT_COMBINE)
			combine = i + 1;
	}
	assert_true(store > 0 && put > 0 && combine > put && combine > store);
	assert_int_equal(f->out.item[combine - 1].combine[0].set->count, 2);
	assert_null(f->out.item[combine - 1].combine[1].set); /* no CDS: the gate is closed */
	msa_contribution_fini(&c);
	fx_free(&f);
}

static void a_pull_that_is_not_what_was_asked_for_changes_nothing(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 8; kind++) {
		struct fx *f = fx_new();
		struct msa_contribution c, other;
		struct sent q[3];
		struct msp_name wrong = t_name("zone.example.");

		a_contribution(f, &c);
		a_contribution(f, &other);
		announce(f, &c, q);
		switch (kind) {
		case 0: /* records of another type than asked for */
			ANSWER(f, q[0], .signs = FX_B, .answer_type = MSP_TYPE_CDNSKEY, .records = c.dnskey);
			break;
		case 1: /* another owner */
			ANSWER(f, q[0], .signs = FX_B, .answer_type = MSP_TYPE_DNSKEY, .records = c.dnskey,
			       .owner = &wrong);
			break;
		case 2: /* unsigned */
			ANSWER(f, q[0], .no_signature = true, .answer_type = MSP_TYPE_DNSKEY, .records = c.dnskey);
			break;
		case 3: /* signed by another peer */
			ANSWER(f, q[0], .signs = FX_C, .answer_type = MSP_TYPE_DNSKEY, .records = c.dnskey);
			break;
		case 4: /* refused */
			ANSWER(f, q[0], .signs = FX_B, .rcode = MSP_RCODE_REFUSED);
			break;
		case 5: /* what was announced is something else */
			ANSWER(f, q[0], .signs = FX_B, .answer_type = MSP_TYPE_DNSKEY, .records = other.dnskey);
			ANSWER(f, q[1], .signs = FX_B, .answer_type = MSP_TYPE_CDS, .records = other.cds);
			ANSWER(f, q[2], .signs = FX_B);
			break;
		case 6: /* answers exchanged between the questions */
			ANSWER(f, q[0], .signs = FX_B, .answer_type = MSP_TYPE_CDS, .records = c.cds);
			break;
		default: /* nothing */
			no_answer(f, q[0].id);
			break;
		}
		assert_int_equal(fx_member(f, FX_B)->held.version, 0);
		assert_string_not_equal(fx_member(f, FX_B)->pull_why, "");
		assert_int_equal(fx_count(f, MSA_ACT_COMBINE), 0);
		for (size_t i = 0; i < f->out.count; i++)
			assert_false(f->out.item[i].kind == MSA_ACT_STORE && f->out.item[i].key.ptr[0] == 'P');
		/* It is tried again. */
		assert_int_equal(fx_member(f, FX_B)->pull[0].id, 0);
		fx_tick(f, 3000);
		assert_true(fx_member(f, FX_B)->pull[0].id != 0);
		msa_contribution_fini(&c);
		msa_contribution_fini(&other);
		fx_free(&f);
	}
}

static void a_contribution_with_our_own_key_is_refused(void **state)
{
	struct fx *f = fx_new();
	struct msa_contribution c;
	struct sent q[3];

	(void)state;
	a_contribution(f, &c);
	T_OK(msp_rrset_merge(c.dnskey, f->own));
	T_OK(msa_contribution_digest(&f->zone, &c, c.digest));
	announce(f, &c, q);
	ANSWER(f, q[0], .signs = FX_B, .answer_type = MSP_TYPE_DNSKEY, .records = c.dnskey);
	ANSWER(f, q[1], .signs = FX_B, .answer_type = MSP_TYPE_CDS, .records = c.cds);
	ANSWER(f, q[2], .signs = FX_B);
	assert_int_equal(fx_member(f, FX_B)->held.version, 0);
	assert_non_null(strstr(fx_member(f, FX_B)->pull_why, "is used by msa.a.test. already"));
	assert_int_equal(fx_count(f, MSA_ACT_COMBINE), 0);
	msa_contribution_fini(&c);
	fx_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_hello_has_the_tlvs_of_the_protocol),
		cmocka_unit_test(a_signed_noerror_makes_the_peer_operational),
		cmocka_unit_test(an_answer_that_does_not_verify_is_no_answer),
		cmocka_unit_test(refused_is_waited_out_with_growing_pauses),
		cmocka_unit_test(a_peer_that_does_not_speak_the_option_is_tried_every_hour),
		cmocka_unit_test(notauth_refreshes_the_key_and_tries_again_in_a_minute),
		cmocka_unit_test(an_answer_under_another_identity_is_not_accepted),
		cmocka_unit_test(every_address_is_tried_in_turn),
		cmocka_unit_test(a_refused_heartbeat_goes_back_to_hello),
		cmocka_unit_test(hellos_for_many_zones_are_spread),
		cmocka_unit_test(a_pulled_contribution_is_stored_before_the_combiner_hears_of_it),
		cmocka_unit_test(a_pull_that_is_not_what_was_asked_for_changes_nothing),
		cmocka_unit_test(a_contribution_with_our_own_key_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
