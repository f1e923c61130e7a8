/* SPDX-License-Identifier: BSD-2-Clause */
/* What a peer, or somebody who is none, may send; and that what is refused leaves no trace. PROTOCOL B.5, C.3, C.5,
 * D.4, D.6 */
#include "fixture.h"

#define EDE(name) msp_ede_code(&msp_numbers_default, MSP_EDE_##name)

/** Everything an operator can see, as text. */
static char *picture(struct fx *f)
{
	json_t *peers = msa_core_peers(f->core, (struct msp_mono){ f->now_ms });
	json_t *zone = msa_core_zone(f->core, &f->zone, (struct msp_mono){ f->now_ms });
	json_t *both = json_pack("[oo]", peers, zone);
	char *text = json_dumps(both, JSON_COMPACT);

	assert_non_null(text);
	json_decref(both);
	return text;
}

/** Send it; nothing may change, nothing may be stored or sent. */
static struct fx_reply refused(struct fx *f, struct msp_span octets, enum fx_who from)
{
	char *before = picture(f), *after;
	struct fx_reply r = fx_request(f, octets, from);

	after = picture(f);
	assert_string_equal(before, after);
	assert_int_equal(fx_count(f, MSA_ACT_STORE), 0);
	assert_int_equal(fx_count(f, MSA_ACT_SEND), 0);
	assert_int_equal(fx_count(f, MSA_ACT_COMBINE), 0);
	assert_int_equal(fx_count(f, MSA_ACT_SIGNER), 0);
	free(before);
	free(after);
	return r;
}

/** As refused(), and it must not have cost public-key work. */
static struct fx_reply refused_cheaply(struct fx *f, struct msp_span octets, enum fx_who from)
{
	uint64_t before = msp_key_verify_count();
	struct fx_reply r = refused(f, octets, from);

	assert_int_equal(msp_key_verify_count(), before);
	return r;
}

#define MESSAGE(...) fx_build(f, &(struct fx_message){ __VA_ARGS__ })
#define EXPECT(r, code, ede_name)                                                                                      \
	do {                                                                                                           \
		struct fx_reply r_ = (r);                                                                              \
		assert_false(r_.is_dropped);                                                                           \
		assert_int_equal(r_.rcode, code);                                                                      \
		assert_true(r_.has_ede);                                                                               \
		assert_int_equal(r_.ede, EDE(ede_name));                                                               \
	} while (0)

static const uint8_t every_operation[] = { MSP_OP_HELLO, MSP_OP_HEARTBEAT, 128, 132, 133 };

static void forged_messages_are_refused(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	for (size_t i = 0; i < sizeof(every_operation); i++) {
		struct msp_key *right = f->key[FX_B], *wrong = NULL;

		/* Another key under the right name: the tag differs, so no key is known. */
		T_OK(msp_key_generate(&f->host[FX_B], MSP_ALG_ED25519, 0, &wrong));
		f->key[FX_B] = wrong;
		EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = every_operation[i]),
				       FX_B),
		       MSP_RCODE_BADKEY, SIG0_KEY_UNKNOWN);
		msp_key_free(&wrong);
		f->key[FX_B] = right;
	}
	fx_free(&f);
}

static void every_flipped_octet_of_a_hello_is_refused(void **state)
{
	struct fx *f = fx_new();
	struct msp_span good;
	struct msp_msg m;
	uint8_t copy[MSP_EDNS_PAYLOAD];

	(void)state;
	good = MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO);
	assert_true(good.len <= sizeof(copy));
	T_OK(msp_msg_parse(good, &f->scratch, &m, NULL));
	for (size_t i = 0; i < good.len; i++) {
		struct fx_reply r;

		/* CLASS and TTL of the SIG record carry no meaning and are not signed (RFC 2931 3; PROTOCOL C.1). */
		if (i >= m.sig0_at + 3 && i < m.sig0_at + 9)
			continue;
		memcpy(copy, good.ptr, good.len);
		copy[i] ^= 0x20; /* turns the case of names: the octets that were signed count */
		fx_tick(f, 200); /* within the budgets */
		r = refused(f, msp_span(copy, good.len), FX_B);
		assert_true(r.is_dropped || r.rcode != MSP_RCODE_NOERROR);
	}
	fx_free(&f);
}

static void a_replayed_message_is_refused(void **state)
{
	struct fx *f = fx_new();
	struct msp_span m;
	uint8_t copy[MSP_EDNS_PAYLOAD];
	size_t len;

	(void)state;
	m = MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HEARTBEAT);
	memcpy(copy, m.ptr, m.len);
	len = m.len;
	assert_int_equal(fx_request(f, msp_span(copy, len), FX_B).rcode, MSP_RCODE_NOERROR);
	EXPECT(refused(f, msp_span(copy, len), FX_C), MSP_RCODE_NOTAUTH, SIG0_REPLAY); /* from elsewhere */
	fx_tick(f, 31000);
	EXPECT(refused(f, msp_span(copy, len), FX_B), MSP_RCODE_NOTAUTH, SIG0_REPLAY); /* from there, but late */
	fx_free(&f);
}

static void a_retransmission_gets_the_same_answer_and_is_not_done_again(void **state)
{
	struct fx *f = fx_new();
	struct msp_span m;
	uint8_t copy[MSP_EDNS_PAYLOAD];
	size_t len, first_len;
	uint8_t first[MSP_EDNS_PAYLOAD];

	(void)state;
	m = MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HEARTBEAT);
	memcpy(copy, m.ptr, m.len);
	len = m.len;
	fx_request(f, msp_span(copy, len), FX_B);
	first_len = fx_find(f, MSA_ACT_REPLY, 0)->octets.len;
	memcpy(first, fx_find(f, MSA_ACT_REPLY, 0)->octets.ptr, first_len);
	fx_tick(f, 5000);
	refused_cheaply(f, msp_span(copy, len), FX_B);
	assert_int_equal(fx_find(f, MSA_ACT_REPLY, 0)->octets.len, first_len);
	assert_memory_equal(fx_find(f, MSA_ACT_REPLY, 0)->octets.ptr, first, first_len);
	fx_free(&f);
}

static void an_older_sequence_is_refused(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	f->sequence = 10;
	assert_int_equal(
		fx_request(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HEARTBEAT), FX_B).rcode,
		MSP_RCODE_NOERROR);
	EXPECT(refused(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HEARTBEAT, .sequence = 10), FX_B),
	       MSP_RCODE_NOTAUTH, SIG0_REPLAY);
	EXPECT(refused(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO, .sequence = 5), FX_B),
	       MSP_RCODE_NOTAUTH, SIG0_REPLAY);
	EXPECT(refused(f,
		       MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO, .epoch = FX_WALL - 1,
			       .sequence = 99),
		       FX_B),
	       MSP_RCODE_NOTAUTH, SIG0_REPLAY);
	/* Who has sent TLV 4 once cannot leave it out. */
	EXPECT(refused(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO, .no_instance = true), FX_B),
	       MSP_RCODE_NOTAUTH, SIG0_REPLAY);
	fx_free(&f);
}

static void expired_and_future_signatures_are_refused(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	EXPECT(refused_cheaply(f,
			       MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO, .wall_offset_s = -311),
			       FX_B),
	       MSP_RCODE_NOTAUTH, SIG0_BAD_TIME);
	EXPECT(refused_cheaply(f,
			       MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO, .wall_offset_s = 311),
			       FX_B),
	       MSP_RCODE_NOTAUTH, SIG0_BAD_TIME);
	assert_int_equal(
		fx_request(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO, .wall_offset_s = -300),
			   FX_B)
			.rcode,
		MSP_RCODE_NOERROR);
	fx_free(&f);
}

/* Clear text: the option without a signature. */
static void unsigned_messages_are_refused(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	for (size_t i = 0; i < sizeof(every_operation); i++) {
		EXPECT(refused_cheaply(f,
				       MESSAGE(.claims = FX_B, .no_signature = true, .operation = every_operation[i]),
				       FX_B),
		       MSP_RCODE_REFUSED, SIG0_REQUIRED);
		EXPECT(refused_cheaply(f,
				       MESSAGE(.no_identity = true, .no_signature = true,
					       .operation = every_operation[i]),
				       FX_B),
		       MSP_RCODE_REFUSED, SIG0_REQUIRED);
	}
	fx_free(&f);
}

static void content_before_authentication_changes_nothing(void **state)
{
	struct fx *f = fx_new();
	uint8_t option[60000];
	size_t n = 4;

	(void)state;
	/* An unsigned DATA with every TLV that could matter. */
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_B, .no_signature = true, .operation = 128, .other_group = true),
			       FX_B),
	       MSP_RCODE_REFUSED, SIG0_REQUIRED);
	/* Unknown TLVs, as many as fit: ignored, then the missing signature. */
	memset(option, 0, sizeof(option));
	option[0] = MSP_OP_HELLO;
	for (uint16_t t = 100; n + 40 < sizeof(option); t++, n += 40) {
		option[n] = (uint8_t)(t >> 8);
		option[n + 1] = (uint8_t)t;
		option[n + 3] = 36;
	}
	assert_int_not_equal(
		refused_cheaply(f, MESSAGE(.no_signature = true, .raw_option = msp_span(option, n)), FX_B).rcode,
		MSP_RCODE_NOERROR);
	/* Malformed: a length that runs over the end; a TLV of the wrong size; a critical unknown one; operation 0; too
	 * short. */
	assert_int_equal(refused_cheaply(f,
					 MESSAGE(.no_signature = true, .raw_option = msp_span("\1\1\1\0\0\1\0\xff", 8)),
					 FX_B)
				 .rcode,
			 MSP_RCODE_FORMERR);
	assert_int_equal(refused_cheaply(f,
					 MESSAGE(.no_signature = true, .raw_option = msp_span("\1\1\1\0\0\3\0\1\1", 9)),
					 FX_B)
				 .rcode,
			 MSP_RCODE_FORMERR);
	assert_int_equal(
		refused_cheaply(f, MESSAGE(.no_signature = true, .raw_option = msp_span("\1\1\1\0\x80\x63\0\0", 8)),
				FX_B)
			.rcode,
		MSP_RCODE_FORMERR);
	assert_int_equal(refused_cheaply(f, MESSAGE(.signs = FX_B, .raw_option = msp_span("\0\1\1\0", 4)), FX_B).rcode,
			 MSP_RCODE_FORMERR);
	assert_int_equal(refused_cheaply(f, MESSAGE(.signs = FX_B, .raw_option = msp_span("\1\1", 2)), FX_B).rcode,
			 MSP_RCODE_FORMERR);
	fx_free(&f);
}

static void a_zone_we_do_not_have_is_refused(void **state)
{
	struct fx *f = fx_new();
	static const char *const names[] = { "other.example.", "xzone.example.", "example.", "sub.zone.example.", "." };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct msp_name n = t_name(names[i]);

		EXPECT(refused_cheaply(f,
				       MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO, .qname = &n),
				       FX_B),
		       MSP_RCODE_REFUSED, MSA_ZONE_UNKNOWN);
	}
	fx_free(&f);
}

static void an_identity_outside_hsync_is_refused_without_a_lookup(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_X, .signs = FX_X, .operation = MSP_OP_HELLO), FX_X),
	       MSP_RCODE_REFUSED, MSA_NOT_DESIGNATED);
	assert_int_equal(fx_count(f, MSA_ACT_LOOKUP), 0);
	EXPECT(refused_cheaply(f, MESSAGE(.no_identity = true, .signs = FX_X, .operation = MSP_OP_HELLO), FX_X),
	       MSP_RCODE_REFUSED, MSA_NOT_DESIGNATED);
	assert_int_equal(fx_count(f, MSA_ACT_LOOKUP), 0);
	fx_free(&f);
}

static void a_peer_that_left_hsync_is_refused(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	for (unsigned look = 0; look < 2; look++) { /* OFF first, then gone */
		msp_rrset_free(&f->hsync);
		T_OK(msp_rrset_new(&f->zone, MSP_TYPE_HSYNC_DEFAULT, 300, &f->hsync));
		fx_hsync(f, "ON AGENT YES", FX_A);
		fx_hsync(f, "ON AGENT YES", FX_C);
		if (look == 0)
			fx_hsync(f, "OFF AGENT YES", FX_B);
		fx_view(f);
		if (look == 0)
			assert_int_equal(fx_request(f,
						    MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO),
						    FX_B)
						 .rcode,
					 MSP_RCODE_NOERROR); /* a leaver is still spoken to (D.8) */
	}
	assert_int_equal(fx_peer(f, FX_B)->link, MSA_LINK_LEGACY);
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO), FX_B),
	       MSP_RCODE_REFUSED, MSA_NOT_DESIGNATED);
	EXPECT(refused_cheaply(f, MESSAGE(.no_identity = true, .signs = FX_B, .operation = MSP_OP_HELLO), FX_B),
	       MSP_RCODE_REFUSED, MSA_NOT_DESIGNATED);
	fx_free(&f);
}

static void a_suffix_without_a_label_boundary_is_another_name(void **state)
{
	struct fx *f = fx_new();
	static const char *const names[] = { "evil-msa.b.test.", "xmsa.b.test.", "sub.msa.b.test.", "b.test.",
					     "msa.b.test.evil." };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct msp_name n = t_name(names[i]);

		EXPECT(refused_cheaply(f, MESSAGE(.identity = &n, .signs = FX_B, .operation = MSP_OP_HELLO), FX_B),
		       MSP_RCODE_REFUSED, MSA_NOT_DESIGNATED);
	}
	fx_free(&f);
}

static void an_identity_is_not_taken_from_the_body(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	/* c is a peer with a good key, and says that it is b; then the other way round. */
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_B, .signs = FX_C, .operation = MSP_OP_HELLO), FX_C),
	       MSP_RCODE_BADKEY, SIG0_KEY_UNKNOWN);
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_C, .signs = FX_B, .operation = MSP_OP_HELLO), FX_B),
	       MSP_RCODE_BADKEY, SIG0_KEY_UNKNOWN);
	/* A stranger as b. */
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_B, .signs = FX_X, .operation = 128), FX_X), MSP_RCODE_BADKEY,
	       SIG0_KEY_UNKNOWN);
	/* We ourselves, reflected. */
	assert_int_equal(
		refused_cheaply(f, MESSAGE(.claims = FX_A, .signs = FX_A, .operation = MSP_OP_HELLO), FX_B).rcode,
		MSP_RCODE_REFUSED);
	fx_free(&f);
}

static void a_peer_whose_key_is_not_known_is_told_so_and_looked_up(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_D, .signs = FX_D, .operation = MSP_OP_HELLO), FX_D),
	       MSP_RCODE_REFUSED, MSA_NOT_READY);
	f->now_ms += 20000;
	EXPECT(fx_request(f, MESSAGE(.claims = FX_D, .signs = FX_D, .operation = MSP_OP_HELLO), FX_D),
	       MSP_RCODE_REFUSED, MSA_NOT_READY);
	assert_true(fx_count(f, MSA_ACT_LOOKUP) >= 1); /* D.4 step 5 */
	EXPECT(fx_request(f, MESSAGE(.claims = FX_D, .signs = FX_D, .operation = MSP_OP_HELLO), FX_D),
	       MSP_RCODE_REFUSED, MSA_NOT_READY);
	assert_int_equal(fx_count(f, MSA_ACT_LOOKUP), 0); /* and not once per message */
	fx_free(&f);
}

static void a_heartbeat_before_hello_is_refused(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	EXPECT(refused(f, MESSAGE(.claims = FX_C, .signs = FX_C, .operation = MSP_OP_HEARTBEAT), FX_C),
	       MSP_RCODE_REFUSED, MSA_NOT_READY);
	EXPECT(refused(f, MESSAGE(.claims = FX_C, .signs = FX_C, .operation = 128), FX_C), MSP_RCODE_REFUSED,
	       MSA_NOT_READY);
	fx_free(&f);
}

static void a_message_for_somebody_else_is_refused(void **state)
{
	struct fx *f = fx_new();

	(void)state;
	EXPECT(refused(f,
		       MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO,
			       .peer_identity = &f->identity[FX_C]),
		       FX_B),
	       MSP_RCODE_REFUSED, MSA_STATE_CONFLICT);
	fx_free(&f);
}

static void another_group_is_answered_but_no_membership(void **state)
{
	struct fx *f = fx_new();
	struct fx_reply r;

	(void)state;
	r = fx_request(f, MESSAGE(.claims = FX_C, .signs = FX_C, .operation = MSP_OP_HELLO, .other_group = true), FX_C);
	assert_int_equal(r.rcode, MSP_RCODE_NOERROR);
	assert_int_equal(r.ede, EDE(MSA_GROUP_MISMATCH));
	assert_true(r.option.has[MSP_TLV_GROUP]);
	assert_memory_equal(r.option.group, msa_core_find_zone(f->core, &f->zone)->group.digest, 32);
	assert_int_equal(fx_member(f, FX_C)->state, MSA_MEMBER_GREETED_IN);
	r = fx_request(f, MESSAGE(.claims = FX_C, .signs = FX_C, .operation = MSP_OP_HEARTBEAT), FX_C);
	assert_int_equal(r.rcode, MSP_RCODE_NOERROR);
	assert_int_equal(fx_member(f, FX_C)->state, MSA_MEMBER_MEMBER);
	fx_free(&f);
}

static void unknown_operations_opcodes_and_questions_have_their_rcodes(void **state)
{
	struct fx *f = fx_new();
	uint8_t copy[600];
	struct msp_span m;

	(void)state;
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = 3), FX_B), MSP_RCODE_NOTIMP,
	       MSA_UNKNOWN_OPERATION);
	EXPECT(refused_cheaply(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = 129), FX_B), MSP_RCODE_NOTIMP,
	       MSA_UNKNOWN_OPERATION);
	assert_int_equal(refused_cheaply(f,
					 MESSAGE(.claims = FX_B, .signs = FX_B, .operation = 1, .qtype = MSP_TYPE_NS),
					 FX_B)
				 .rcode,
			 MSP_RCODE_FORMERR);
	assert_int_equal(refused_cheaply(f, MESSAGE(.signs = FX_B, .no_option = true), FX_B).rcode, MSP_RCODE_REFUSED);
	m = MESSAGE(.claims = FX_B, .no_signature = true, .operation = 1);
	memcpy(copy, m.ptr, m.len);
	copy[2] = 0x28; /* UPDATE */
	assert_int_not_equal(refused_cheaply(f, msp_span(copy, m.len), FX_B).rcode, MSP_RCODE_NOERROR);
	copy[2] = 0x20 | 0x80; /* a response */
	assert_true(refused_cheaply(f, msp_span(copy, m.len), FX_B).is_dropped);
	fx_free(&f);
}

static void junk_gets_formerr_at_most_and_is_never_signed(void **state)
{
	struct fx *f = fx_new();
	uint8_t junk[200];

	(void)state;
	assert_true(refused_cheaply(f, msp_span("short", 5), FX_X).is_dropped);
	assert_true(refused_cheaply(f, msp_span(NULL, 0), FX_X).is_dropped);
	for (unsigned i = 0; i < 2000; i++) {
		struct fx_reply r;

		msp_rand_bytes(&f->rand, junk, sizeof(junk));
		junk[2] &= 0x7f;
		r = refused_cheaply(f, msp_span(junk, 12 + msp_rand_below(&f->rand, sizeof(junk) - 12)), FX_X);
		assert_true(r.is_dropped || (r.rcode != MSP_RCODE_NOERROR && !r.is_signed));
	}
	fx_free(&f);
}

static void hellos_of_one_source_have_a_budget(void **state)
{
	struct fx *f = fx_new();
	unsigned blocked = 0;

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		struct fx_reply r =
			refused_cheaply(f, MESSAGE(.claims = FX_X, .signs = FX_X, .operation = MSP_OP_HELLO), FX_X);

		blocked += r.ede == MSP_EDE_BLOCKED;
		assert_true(r.ede != MSP_EDE_BLOCKED || !r.is_signed);
	}
	assert_int_equal(blocked, 40); /* burst 20 */
	/* Others are not hurt. */
	assert_int_equal(fx_request(f, MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO), FX_B).rcode,
			 MSP_RCODE_NOERROR);
	fx_free(&f);
}

static void failed_verifications_of_one_source_have_a_budget(void **state)
{
	struct fx *f = fx_new();
	struct msp_span m;
	uint64_t before, work;
	uint8_t copy[MSP_EDNS_PAYLOAD];

	(void)state;
	before = msp_key_verify_count();
	for (unsigned i = 0; i < 200; i++) {
		m = MESSAGE(.claims = FX_B, .signs = FX_B, .operation = MSP_OP_HEARTBEAT);
		memcpy(copy, m.ptr, m.len);
		copy[m.len - 1] ^= 1;
		assert_int_not_equal(refused(f, msp_span(copy, m.len), FX_X).rcode, MSP_RCODE_NOERROR);
	}
	work = msp_key_verify_count() - before;
	assert_in_range(work, 1, 20);
	fx_free(&f);
}

static void answers_to_the_unverified_are_signed_within_a_budget(void **state)
{
	struct fx *f = fx_new();
	unsigned is_signed = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		is_signed +=
			refused_cheaply(f, MESSAGE(.claims = FX_B, .no_signature = true, .operation = MSP_OP_HEARTBEAT),
					FX_X)
				.is_signed;
	assert_int_equal(is_signed, 10);
	fx_free(&f);
}

static void without_edns_there_is_no_edns_in_the_answer(void **state)
{
	struct fx *f = fx_new();
	struct fx_reply r;
	struct msp_msgw w;
	struct msp_span m;

	(void)state;
	msp_msgw_init(&w, f->mem, sizeof(f->mem), 1, MSP_OPCODE_NOTIFY, 0);
	msp_msgw_question(&w, &f->zone, MSP_TYPE_SOA, MSP_CLASS_IN);
	T_OK(msp_msgw_finish(&w, &m));
	r = refused_cheaply(f, m, FX_B);
	assert_int_equal(r.rcode, MSP_RCODE_REFUSED);
	assert_false(r.msg.edns.present);
	fx_free(&f);
}

/* ---- pull
 * ------------------------------------------------------------------------------------------------------------ */

static void a_listed_peer_can_pull_and_nobody_else(void **state)
{
	struct fx *f = fx_new();
	struct msp_name name, other;
	struct fx_reply r;

	(void)state;
	T_OK(msp_name_concat(&f->zone, &f->identity[FX_A], &name));
	r = fx_request(f, MESSAGE(.signs = FX_B, .opcode_query = 1, .qname = &name, .qtype = MSP_TYPE_DNSKEY), FX_B);
	assert_int_equal(r.rcode, MSP_RCODE_NOERROR);
	assert_int_equal(r.msg.count[MSP_SEC_ANSWER], 2);
	assert_true(r.is_signed);
	r = fx_request(f, MESSAGE(.signs = FX_C, .opcode_query = 1, .qname = &name, .qtype = MSP_TYPE_CDS), FX_C);
	assert_int_equal(r.msg.count[MSP_SEC_ANSWER], 1);
	r = fx_request(f, MESSAGE(.signs = FX_C, .opcode_query = 1, .qname = &name, .qtype = MSP_TYPE_NS), FX_C);
	assert_int_equal(r.rcode, MSP_RCODE_NOERROR); /* nothing configured: NODATA */
	assert_int_equal(r.msg.count[MSP_SEC_ANSWER], 0);
	EXPECT(refused_cheaply(f, MESSAGE(.signs = FX_X, .opcode_query = 1, .qname = &name, .qtype = MSP_TYPE_DNSKEY),
			       FX_X),
	       MSP_RCODE_REFUSED, MSA_NOT_READY); /* it could be d, whose HOST is not known */
	EXPECT(refused_cheaply(f,
			       MESSAGE(.no_signature = true, .opcode_query = 1, .qname = &name,
				       .qtype = MSP_TYPE_DNSKEY),
			       FX_B),
	       MSP_RCODE_REFUSED, SIG0_REQUIRED);
	assert_int_equal(
		refused_cheaply(f, MESSAGE(.signs = FX_B, .opcode_query = 1, .qname = &name, .qtype = MSP_TYPE_SOA),
				FX_B)
			.rcode,
		MSP_RCODE_REFUSED);
	/* Wrong names: another zone, another agent, no label boundary. */
	T_OK(msp_name_concat(&f->zone, &f->identity[FX_B], &other));
	EXPECT(refused_cheaply(f, MESSAGE(.signs = FX_B, .opcode_query = 1, .qname = &other, .qtype = MSP_TYPE_DNSKEY),
			       FX_B),
	       MSP_RCODE_REFUSED, MSA_ZONE_UNKNOWN);
	other = t_name("xzone.example.msa.a.test.");
	EXPECT(refused_cheaply(f, MESSAGE(.signs = FX_B, .opcode_query = 1, .qname = &other, .qtype = MSP_TYPE_DNSKEY),
			       FX_B),
	       MSP_RCODE_REFUSED, MSA_ZONE_UNKNOWN);
	other = t_name("zone.examplemsa.a.test.");
	EXPECT(refused_cheaply(f, MESSAGE(.signs = FX_B, .opcode_query = 1, .qname = &other, .qtype = MSP_TYPE_DNSKEY),
			       FX_B),
	       MSP_RCODE_REFUSED, MSA_ZONE_UNKNOWN);
	EXPECT(refused_cheaply(f,
			       MESSAGE(.signs = FX_B, .opcode_query = 1, .qname = &f->identity[FX_A],
				       .qtype = MSP_TYPE_DNSKEY),
			       FX_B),
	       MSP_RCODE_REFUSED, MSA_ZONE_UNKNOWN);
	fx_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_messages_are_refused),
		cmocka_unit_test(every_flipped_octet_of_a_hello_is_refused),
		cmocka_unit_test(a_replayed_message_is_refused),
		cmocka_unit_test(a_retransmission_gets_the_same_answer_and_is_not_done_again),
		cmocka_unit_test(an_older_sequence_is_refused),
		cmocka_unit_test(expired_and_future_signatures_are_refused),
		cmocka_unit_test(unsigned_messages_are_refused),
		cmocka_unit_test(content_before_authentication_changes_nothing),
		cmocka_unit_test(a_zone_we_do_not_have_is_refused),
		cmocka_unit_test(an_identity_outside_hsync_is_refused_without_a_lookup),
		cmocka_unit_test(a_peer_that_left_hsync_is_refused),
		cmocka_unit_test(a_suffix_without_a_label_boundary_is_another_name),
		cmocka_unit_test(an_identity_is_not_taken_from_the_body),
		cmocka_unit_test(a_peer_whose_key_is_not_known_is_told_so_and_looked_up),
		cmocka_unit_test(a_heartbeat_before_hello_is_refused),
		cmocka_unit_test(a_message_for_somebody_else_is_refused),
		cmocka_unit_test(another_group_is_answered_but_no_membership),
		cmocka_unit_test(unknown_operations_opcodes_and_questions_have_their_rcodes),
		cmocka_unit_test(junk_gets_formerr_at_most_and_is_never_signed),
		cmocka_unit_test(hellos_of_one_source_have_a_budget),
		cmocka_unit_test(failed_verifications_of_one_source_have_a_budget),
		cmocka_unit_test(answers_to_the_unverified_are_signed_within_a_budget),
		cmocka_unit_test(without_edns_there_is_no_edns_in_the_answer),
		cmocka_unit_test(a_listed_peer_can_pull_and_nobody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
