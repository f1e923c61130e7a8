/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages to the parent's receiver: what is in them, whose answers are believed, what each means. PROTOCOL B.2, B.5,
 * G.5, G.6, G.7 */
#include "support.h"

#include <msproto/auth/key.h>
#include <msproto/msg/update.h>

#include "parent_ask.h"

#define NOW 1900000000

struct fx {
	struct msp_key *key, *receiver, *stranger;
	struct msp_keyring *ring;
	struct msp_name child, parent, name;
	struct msp_rr_scratch scratch;
	uint8_t mem[MSP_MSG_MAX], answer[MSP_MSG_MAX], ours[MSP_MSG_MAX];
	size_t ours_len;
};

static struct fx f;

static struct msa_draft draft(void)
{
	return (struct msa_draft){ .mem = f.mem, .id = 0x1234, .numbers = &msp_numbers_default };
}

static int setup(void **state)
{
	struct msp_span rdata;
	size_t usable;

	(void)state;
	f.child = t_name("child.example.");
	f.parent = t_name("example.");
	f.name = t_name("recv.example.");
	T_OK(msp_key_generate(&f.child, MSP_ALG_ECDSAP256, 0, &f.key));
	T_OK(msp_key_generate(&f.name, MSP_ALG_ED25519, 0, &f.receiver));
	T_OK(msp_key_generate(&f.name, MSP_ALG_ED25519, 0, &f.stranger));
	T_OK(msp_keyring_new(1, &f.ring));
	rdata = msp_key_rdata(f.receiver);
	T_OK(msp_keyring_set(f.ring, &f.name, &rdata, 1, &usable));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	msp_key_free(&f.key);
	msp_key_free(&f.receiver);
	msp_key_free(&f.stranger);
	msp_keyring_free(&f.ring);
	return 0;
}

/** Whoever gets it can verify it with the key that it is about. */
static void verify(struct msp_span octets, const struct msp_key *key, struct msp_msg *m)
{
	struct msp_sig0_claim claim;

	T_OK(msp_msg_parse(octets, &f.scratch, m, NULL));
	T_OK(msp_sig0_claim(m, &claim));
	assert_true(msp_name_equal(&claim.sig.signer, &f.child));
	T_OK(msp_sig0_verify(m, &claim, key, msp_span(NULL, 0), &msp_sig0_policy_default));
}

static void an_inquiry_asks_for_key_with_keystate_two_about_the_key_that_signs(void **state)
{
	struct msa_draft d = draft();
	struct msp_keystate ks;
	struct msp_option o;
	struct msp_span out;
	struct msp_msg m;

	(void)state;
	T_OK(msa_ask_keystate(&d, f.key, (struct msp_wall){ NOW }, &out));
	verify(out, f.key, &m);
	assert_int_equal(m.opcode, MSP_OPCODE_QUERY);
	assert_int_equal(m.question.type, MSP_TYPE_KEY);
	assert_true(msp_name_equal(&m.question.name, &f.child));
	assert_true(msp_edns_find(&m.edns, msp_numbers_default.opt_keystate, &o));
	T_OK(msp_keystate_parse(o.data, &ks));
	assert_int_equal(ks.state, MSP_KEYSTATE_INQUIRE);
	assert_int_equal(ks.key_id, msp_key_id(f.key));
	assert_int_equal(ks.data, 0);
}

static void an_upload_adds_one_key_and_deletes_nothing(void **state)
{
	struct msa_draft d = draft();
	struct msp_span out;
	struct msp_msg_it it;
	struct msp_msg m;
	struct msp_rr rr;

	(void)state;
	T_OK(msa_ask_upload(&d, &f.parent, 3600, f.key, (struct msp_wall){ NOW }, &out));
	verify(out, f.key, &m);
	assert_int_equal(m.opcode, MSP_OPCODE_UPDATE);
	assert_true(msp_name_equal(&m.question.name, &f.parent));
	assert_int_equal(m.question.type, MSP_TYPE_SOA);
	assert_int_equal(m.count[MSP_SEC_UPDATE], 1);
	msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &f.scratch);
	assert_true(msp_msg_next(&it, &rr));
	assert_int_equal(rr.cls, MSP_CLASS_IN);
	assert_int_equal(rr.type, MSP_TYPE_KEY);
	assert_true(msp_span_equal(rr.rdata, msp_key_rdata(f.key)));
}

static void records(struct msa_records *r, const char *lines)
{
	struct msp_rrset *set = t_rrset(lines);

	T_OK(msa_records_add_set(r, set));
	msp_rrset_free(&set);
}

#define DS1 "child.example. 60 DS 1 13 2 " D32 "01"
#define DS2 "child.example. 60 DS 2 13 2 " D32 "02"
#define DS3 "child.example. 60 DS 3 13 2 " D32 "03"
#define D32 "00000000000000000000000000000000000000000000000000000000000000"

static void an_update_is_the_difference_to_what_the_servers_show(void **state)
{
	struct msa_records want = { 0 }, any = { 0 }, all = { 0 };
	struct msa_draft d = draft();
	struct msp_span out;
	struct msp_msg_it it;
	struct msp_msg m;
	struct msp_rr rr;
	size_t changes, adds = 0, dels = 0;

	(void)state;
	records(&want, DS1 "\n" DS2);
	records(&any, DS2 "\n" DS3); /* one server shows 2 and 3, the other 3 alone */
	records(&all, DS3);
	T_OK(msa_ask_update(&d, &f.parent, &want, &any, &all, f.key, (struct msp_wall){ NOW }, &changes, &out));
	verify(out, f.key, &m);
	assert_int_equal(changes, 3);
	assert_int_equal(m.count[MSP_SEC_UPDATE], 3);
	msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &f.scratch);
	while (msp_msg_next(&it, &rr)) {
		struct msp_ds ds;

		T_OK(msp_ds_parse(rr.rdata, &ds));
		adds += rr.cls == MSP_CLASS_IN && (ds.tag == 1 || ds.tag == 2);
		dels += rr.cls == MSP_CLASS_NONE && ds.tag == 3;
	}
	assert_int_equal(adds, 2);
	assert_int_equal(dels, 1);
	T_OK(msa_ask_update(&d, &f.parent, &want, &want, &want, f.key, (struct msp_wall){ NOW }, &changes, &out));
	assert_int_equal(changes, 0);
	msa_records_fini(&want);
	msa_records_fini(&any);
	msa_records_fini(&all);
}

static void a_rollover_adds_with_the_old_key_and_deletes_with_the_new(void **state)
{
	struct msa_draft d = draft();
	struct msp_key *next = NULL;
	struct msp_span out;
	struct msp_msg_it it;
	struct msp_msg m;
	struct msp_rr rr;

	(void)state;
	T_OK(msp_key_generate(&f.child, MSP_ALG_ECDSAP256, 0, &next));
	T_OK(msa_ask_roll(&d, &f.parent, 60, next, NULL, f.key, (struct msp_wall){ NOW }, &out));
	verify(out, f.key, &m);
	msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &f.scratch);
	assert_true(msp_msg_next(&it, &rr));
	assert_true(rr.cls == MSP_CLASS_IN && msp_span_equal(rr.rdata, msp_key_rdata(next)));
	assert_false(msp_msg_next(&it, &rr));
	T_OK(msa_ask_roll(&d, &f.parent, 60, NULL, f.key, next, (struct msp_wall){ NOW }, &out));
	verify(out, next, &m);
	msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &f.scratch);
	assert_true(msp_msg_next(&it, &rr));
	assert_true(rr.cls == MSP_CLASS_NONE && msp_span_equal(rr.rdata, msp_key_rdata(f.key)));
	assert_false(msp_msg_next(&it, &rr));
	msp_key_free(&next);
}

static void each_retry_has_a_fresh_signature(void **state)
{
	struct msa_draft d = draft();
	struct msp_span out;
	uint8_t first[4096];
	size_t len;

	(void)state;
	T_OK(msa_ask_upload(&d, &f.parent, 3600, f.key, (struct msp_wall){ NOW }, &out));
	len = out.len;
	memcpy(first, out.ptr, len);
	T_OK(msa_ask_upload(&d, &f.parent, 3600, f.key, (struct msp_wall){ NOW + 5 }, &out));
	assert_false(msp_span_equal(out, msp_span(first, len)));
}

static void a_notify_is_plain_and_authoritative(void **state)
{
	struct msa_draft d = draft();
	struct msp_span out;
	struct msp_msg m;

	(void)state;
	T_OK(msa_ask_notify(&d, &f.child, MSP_TYPE_CDS, &out));
	T_OK(msp_msg_parse(out, &f.scratch, &m, NULL));
	assert_int_equal(m.opcode, MSP_OPCODE_NOTIFY);
	assert_int_equal(m.question.type, MSP_TYPE_CDS);
	assert_true((m.flags & MSP_FLAG_AA) != 0 && m.sig0_at == 0);
}

/* ---- reading */

enum who { RECEIVER, STRANGER, NOBODY };
struct say {
	unsigned rcode;
	int ede; /* offset; -1 = none */
	int state;
	enum who signs;
	bool damaged, other_request, is_query, other_tag, late;
};

static struct msa_reading hear(const struct msp_keyring *ring, const struct say *s)
{
	struct msa_draft d = draft();
	struct msa_reading r;
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_span out, request;
	struct msp_msg q;
	size_t len;
	uint8_t other[12] = { 0 };

	T_OK(msa_ask_keystate(&d, f.key, (struct msp_wall){ NOW }, &out));
	memcpy(f.ours, out.ptr, out.len);
	f.ours_len = out.len;
	request = msp_span(f.ours, f.ours_len);
	T_OK(msp_msg_parse(request, &f.scratch, &q, NULL));
	msp_msgw_respond(&w, f.answer, sizeof(f.answer), &q, s->rcode & 15, 0);
	o = msp_optw_open(&w, 1232, s->rcode, false);
	if (s->ede >= 0)
		msp_optw_ede(&o, (uint16_t)(msp_numbers_default.ede_base + s->ede), "so\x07 there");
	if (s->state >= 0) {
		struct msp_keystate ks = { .key_id = (uint16_t)(msp_key_id(f.key) + s->other_tag),
					   .state = (uint8_t)s->state };

		msp_optw_keystate(&o, &msp_numbers_default, &ks);
	}
	msp_optw_close(&o);
	T_OK(msp_msgw_finish(&w, &out));
	len = out.len;
	if (s->signs != NOBODY)
		T_OK(msp_sig0_sign(s->signs == RECEIVER ? f.receiver : f.stranger,
				   (struct msp_wall){ NOW - (s->late ? 5000 : 0) },
				   s->other_request ? msp_span(other, sizeof(other)) : request, f.answer, &len,
				   sizeof(f.answer)));
	if (s->damaged)
		f.answer[len - 1] ^= 1;
	T_OK(msa_ask_read(ring, &f.name, &msp_numbers_default, request, msp_span(f.answer, len), msp_key_id(f.key),
			  (struct msp_wall){ NOW + 1 }, &f.scratch, &r));
	return r;
}

static void only_the_receivers_own_answers_to_our_question_are_verified(void **state)
{
	static const struct {
		struct say say;
		enum msa_belief belief;
	} row[] = {
		{ { .ede = -1, .state = 4, .signs = RECEIVER }, MSA_VERIFIED },
		{ { .ede = -1, .state = 4, .signs = STRANGER }, MSA_UNVERIFIED },
		{ { .ede = -1, .state = 4, .signs = NOBODY }, MSA_UNVERIFIED },
		{ { .ede = -1, .state = 4, .signs = RECEIVER, .damaged = true }, MSA_UNVERIFIED },
		{ { .ede = -1, .state = 4, .signs = RECEIVER, .other_request = true }, MSA_UNVERIFIED }, /* replayed */
		{ { .ede = -1, .state = 4, .signs = RECEIVER, .late = true }, MSA_UNVERIFIED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct msa_reading r = hear(f.ring, &row[i].say);

		assert_int_equal(r.belief, row[i].belief);
		assert_int_equal(r.has_state, row[i].belief == MSA_VERIFIED);
	}
	assert_int_equal(hear(NULL, &row[0].say).belief, MSA_UNSIGNABLE);
	assert_false(hear(NULL, &row[0].say).has_state); /* a KeyState that nobody can vouch for is none */
}

static void a_state_of_another_key_or_an_echo_of_ours_is_not_a_state(void **state)
{
	(void)state;
	assert_false(hear(f.ring, &(struct say){ .ede = -1, .state = 4, .other_tag = true }).has_state);
	assert_false(hear(f.ring, &(struct say){ .ede = -1, .state = MSP_KEYSTATE_INQUIRE }).has_state);
	assert_false(hear(f.ring, &(struct say){ .ede = -1, .state = 3 }).has_state);
}

static void the_words_of_the_parent_reach_the_operator_harmlessly(void **state)
{
	struct msa_reading r = hear(f.ring, &(struct say){ .rcode = MSP_RCODE_REFUSED, .ede = 22, .state = -1 });
	char text[300];

	(void)state;
	msa_reading_text(&r, &msp_numbers_default, text, sizeof(text));
	assert_string_equal(text, "REFUSED DELEGATION_CHECK: so. there");
}

/* ---- meaning: every row of G.5 */

static void every_answer_to_an_update_has_its_meaning(void **state)
{
	static const struct {
		unsigned rcode;
		int ede;
		enum msa_meaning verified, unsignable;
	} row[] = {
		{ MSP_RCODE_NOERROR, -1, MSA_MEANS_ACCEPTED, MSA_MEANS_ACCEPTED },
		{ MSP_RCODE_REFUSED, -1, MSA_MEANS_LIMITED, MSA_MEANS_AGAIN },
		{ MSP_RCODE_REFUSED, MSP_EDE_DELEGATION_CHECK, MSA_MEANS_LIMITED, MSA_MEANS_AGAIN },
		{ MSP_RCODE_REFUSED, MSP_EDE_CHAIN_WOULD_BREAK, MSA_MEANS_LIMITED, MSA_MEANS_AGAIN },
		{ MSP_RCODE_REFUSED, MSP_EDE_ZONE_LOCKED, MSA_MEANS_LIMITED, MSA_MEANS_AGAIN },
		{ MSP_RCODE_REFUSED, MSP_EDE_KEY_NOT_TRUSTED, MSA_MEANS_WAIT, MSA_MEANS_AGAIN },
		{ MSP_RCODE_REFUSED, MSP_EDE_KEY_VALIDATION_FAILED, MSA_MEANS_STOP, MSA_MEANS_AGAIN },
		{ MSP_RCODE_REFUSED, MSP_EDE_MANUAL_BOOTSTRAP, MSA_MEANS_PERSON, MSA_MEANS_AGAIN },
		{ MSP_RCODE_BADKEY, -1, MSA_MEANS_NO_KEY, MSA_MEANS_AGAIN },
		{ MSP_RCODE_BADKEY, MSP_EDE_SIG0_KEY_UNKNOWN, MSA_MEANS_NO_KEY, MSA_MEANS_AGAIN },
		{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_BAD_TIME, MSA_MEANS_CLOCK, MSA_MEANS_AGAIN },
		{ MSP_RCODE_BADTIME, -1, MSA_MEANS_CLOCK, MSA_MEANS_AGAIN },
		{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_REPLAY, MSA_MEANS_RESIGN, MSA_MEANS_AGAIN },
		{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_BAD_SIGNATURE, MSA_MEANS_STOP, MSA_MEANS_AGAIN },
		{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_ALGORITHM, MSA_MEANS_STOP, MSA_MEANS_AGAIN },
		{ MSP_RCODE_NOTAUTH, -1, MSA_MEANS_AGAIN, MSA_MEANS_AGAIN },
		{ MSP_RCODE_SERVFAIL, -1, MSA_MEANS_AGAIN, MSA_MEANS_AGAIN },
		{ MSP_RCODE_FORMERR, -1, MSA_MEANS_STOP, MSA_MEANS_AGAIN },
		{ MSP_RCODE_NOTIMP, -1, MSA_MEANS_STOP, MSA_MEANS_AGAIN },
		{ MSP_RCODE_NXRRSET, -1, MSA_MEANS_AGAIN, MSA_MEANS_AGAIN },
		{ MSP_RCODE_NOTZONE, -1, MSA_MEANS_AGAIN, MSA_MEANS_AGAIN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct say s = { .rcode = row[i].rcode, .ede = row[i].ede, .state = -1, .signs = RECEIVER };
		struct msa_reading r = hear(f.ring, &s);

		assert_int_equal(msa_update_meaning(&r, &msp_numbers_default), row[i].verified);
		s.signs = NOBODY;
		r = hear(NULL, &s);
		assert_int_equal(msa_update_meaning(&r, &msp_numbers_default), row[i].unsignable);
		r = hear(f.ring, &s); /* the receiver's key is known, and this is not signed with it */
		assert_int_equal(msa_update_meaning(&r, &msp_numbers_default), MSA_MEANS_AGAIN);
	}
}

static void an_extended_error_of_somebody_else_is_not_taken_for_one_of_ours(void **state)
{
	struct msa_reading r = { .belief = MSA_VERIFIED, .rcode = MSP_RCODE_REFUSED, .has_ede = true, .ede = 10 };

	(void)state;
	assert_int_equal(msa_update_meaning(&r, &msp_numbers_default), MSA_MEANS_LIMITED);
}

static void every_key_state_has_its_meaning(void **state)
{
	static const enum msa_meaning want[12] = {
		[0] = MSA_MEANS_LIMITED,  [1] = MSA_MEANS_AGAIN,  [2] = MSA_MEANS_AGAIN,   [3] = MSA_MEANS_AGAIN,
		[4] = MSA_MEANS_ACCEPTED, [5] = MSA_MEANS_NO_KEY, [6] = MSA_MEANS_STOP,    [7] = MSA_MEANS_STOP,
		[8] = MSA_MEANS_STOP,     [9] = MSA_MEANS_WAIT,   [10] = MSA_MEANS_PERSON, [11] = MSA_MEANS_AGAIN,
	};

	(void)state;
	for (uint8_t s = 0; s < 12; s++)
		assert_int_equal(msa_state_meaning(s), want[s]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_inquiry_asks_for_key_with_keystate_two_about_the_key_that_signs),
		cmocka_unit_test(an_upload_adds_one_key_and_deletes_nothing),
		cmocka_unit_test(an_update_is_the_difference_to_what_the_servers_show),
		cmocka_unit_test(a_rollover_adds_with_the_old_key_and_deletes_with_the_new),
		cmocka_unit_test(each_retry_has_a_fresh_signature),
		cmocka_unit_test(a_notify_is_plain_and_authoritative),
		cmocka_unit_test(only_the_receivers_own_answers_to_our_question_are_verified),
		cmocka_unit_test(a_state_of_another_key_or_an_echo_of_ours_is_not_a_state),
		cmocka_unit_test(the_words_of_the_parent_reach_the_operator_harmlessly),
		cmocka_unit_test(every_answer_to_an_update_has_its_meaning),
		cmocka_unit_test(an_extended_error_of_somebody_else_is_not_taken_for_one_of_ours),
		cmocka_unit_test(every_key_state_has_its_meaning),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
