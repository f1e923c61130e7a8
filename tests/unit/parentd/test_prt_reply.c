/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "reply.h"

#include <msproto/base/mem.h>

static struct msp_rr_scratch scratch;
static const struct msp_wall now = { 1795493000 };

/* A request and its answer. */
struct pair {
	uint8_t mem[1024], out[PRT_REPLY_MAX];
	struct msp_msg request, answer;
	struct prt_refusal refusal;
	struct prt_reply reply;
	size_t len;
	bool is_signed;
};

static struct msp_key *make_key(uint8_t alg)
{
	struct msp_name name = t_name("updates.example.");
	struct msp_key *key;

	T_OK(msp_key_generate(&name, alg, 0, &key));
	return key;
}

static void ask(struct pair *p, bool has_edns, uint16_t payload, struct msp_span option)
{
	struct msp_name zone = t_name("example.");
	struct msp_msgw w;
	struct msp_span raw;

	memset(p, 0, sizeof(*p));
	msp_msgw_init(&w, p->mem, sizeof(p->mem), 0x1234, MSP_OPCODE_UPDATE, 0);
	msp_msgw_question(&w, &zone, MSP_TYPE_SOA, MSP_CLASS_IN);
	if (has_edns) {
		struct msp_optw o = msp_optw_open(&w, payload, 0, false);

		if (option.len != 0)
			msp_optw_add(&o, msp_numbers_default.opt_keystate, option);
		msp_optw_close(&o);
	}
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(msp_msg_parse(raw, &scratch, &p->request, NULL));
	p->reply.request = &p->request;
	p->reply.refusal = &p->refusal;
	p->reply.numbers = &msp_numbers_default;
}

static void answer(struct pair *p, const struct msp_key *key)
{
	struct prt_seal seal = { .key = key, .now = now };

	T_OK(prt_reply_write(&p->reply, &seal, p->out, sizeof(p->out), &p->len, &p->is_signed));
	T_OK(msp_msg_parse(msp_span(p->out, p->len), &scratch, &p->answer, NULL));
	assert_true(msp_msg_answers(&p->answer, &p->request));
	assert_int_equal(p->is_signed, p->answer.sig0_at != 0);
}

static bool find(const struct pair *p, uint16_t code, struct msp_option *o)
{
	return msp_edns_find(&p->answer.edns, code, o);
}

static const struct msp_span none = { NULL, 0 };

static void who_sends_no_opt_gets_none_and_a_plain_rcode(void **state)
{
	static const struct {
		unsigned rcode, plain;
	} cases[] = {
		{ MSP_RCODE_BADKEY, MSP_RCODE_NOTAUTH },  { MSP_RCODE_BADTIME, MSP_RCODE_NOTAUTH },
		{ MSP_RCODE_BADVERS, MSP_RCODE_FORMERR }, { MSP_RCODE_REFUSED, MSP_RCODE_REFUSED },
		{ MSP_RCODE_NOERROR, MSP_RCODE_NOERROR },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair p;

		ask(&p, false, 0, none);
		(void)prt_refuse_own(&p.refusal, MSP_EDE_SIG0_KEY_UNKNOWN, "rule", "text");
		p.refusal.rcode = cases[i].rcode;
		p.reply.cookie_len = PRT_COOKIE_MAX;
		answer(&p, NULL);
		assert_false(p.answer.edns.present);
		assert_int_equal(p.answer.rcode, cases[i].plain);
		assert_int_equal(prt_reply_rcode(cases[i].rcode, true), cases[i].rcode);
	}
}

static void with_an_opt_the_rcode_is_whole_and_the_error_explained(void **state)
{
	struct pair p;
	struct msp_option o;
	struct msp_ede ede;

	(void)state;
	ask(&p, true, 1232, none);
	(void)prt_refuse_own(&p.refusal, MSP_EDE_SIG0_KEY_UNKNOWN, "rule", "because");
	p.refusal.rcode = MSP_RCODE_BADKEY;
	answer(&p, NULL);
	assert_int_equal(p.answer.rcode, MSP_RCODE_BADKEY);
	assert_true(find(&p, MSP_OPT_EDE, &o));
	T_OK(msp_ede_parse(o.data, &ede));
	assert_int_equal(ede.code, 49161);
	assert_int_equal(ede.text.len, 7);

	(void)prt_refuse_std(&p.refusal, MSP_EDE_BLOCKED, "rule", "%s", "");
	p.refusal.rcode = MSP_RCODE_NOERROR; /* a remark */
	answer(&p, NULL);
	assert_int_equal(p.answer.rcode, MSP_RCODE_NOERROR);
	assert_true(find(&p, MSP_OPT_EDE, &o));
	T_OK(msp_ede_parse(o.data, &ede));
	assert_int_equal(ede.code, MSP_EDE_BLOCKED);
}

static void an_answer_is_signed_over_the_request(void **state)
{
	struct msp_key *key = make_key(MSP_ALG_ECDSAP256);
	struct msp_sig0_claim claim;
	struct pair p;

	(void)state;
	ask(&p, true, 1232, none);
	answer(&p, key);
	T_OK(msp_sig0_claim(&p.answer, &claim));
	T_OK(msp_sig0_verify(&p.answer, &claim, key, p.request.raw, &msp_sig0_policy_default));
	T_ERR(msp_sig0_verify(&p.answer, &claim, key, none, &msp_sig0_policy_default), MSP_ESIG);
	msp_key_free(&key);
}

static void a_key_state_goes_out_signed_or_not_at_all(void **state)
{
	struct msp_key *key = make_key(MSP_ALG_ED25519), *broken;
	struct msp_keystate ks;
	struct msp_option o;
	struct pair p;

	(void)state;
	ask(&p, true, 1232, none);
	p.reply.has_state = true;
	p.reply.key_id = 4711;
	p.reply.state = MSP_KEYSTATE_TRUSTED;
	answer(&p, key);
	assert_true(find(&p, msp_numbers_default.opt_keystate, &o));
	T_OK(msp_keystate_parse(o.data, &ks));
	assert_int_equal(ks.key_id, 4711);
	assert_int_equal(ks.state, MSP_KEYSTATE_TRUSTED);
	assert_int_equal(ks.data, 0);

	answer(&p, NULL);
	assert_false(find(&p, msp_numbers_default.opt_keystate, &o));
	/* A key that cannot sign. */
	T_OK(msp_key_from_rdata(msp_key_owner(key), msp_key_rdata(key), &broken));
	p.refusal.rcode = MSP_RCODE_REFUSED;
	answer(&p, broken);
	assert_false(p.is_signed);
	assert_int_equal(p.answer.rcode, MSP_RCODE_REFUSED);
	assert_false(find(&p, msp_numbers_default.opt_keystate, &o));
	/* Nor without an OPT to put it in. */
	ask(&p, false, 0, none);
	p.reply.has_state = true;
	answer(&p, key);
	assert_true(p.is_signed);
	assert_false(p.answer.edns.present);
	msp_key_free(&key);
	msp_key_free(&broken);
}

static void what_did_not_parse_is_never_signed(void **state)
{
	struct msp_key *key = make_key(MSP_ALG_ED25519);
	struct pair p;

	(void)state;
	ask(&p, true, 1232, none);
	p.refusal.rcode = MSP_RCODE_FORMERR;
	p.reply.is_malformed = true;
	p.reply.has_state = true;
	answer(&p, key);
	assert_false(p.is_signed);
	assert_false(p.answer.edns.present);
	assert_int_equal(p.answer.rcode, MSP_RCODE_FORMERR);
	msp_key_free(&key);
}

static void text_goes_first_then_everything_where_there_is_no_room(void **state)
{
	struct msp_key *small = make_key(MSP_ALG_ECDSAP256), *large = make_key(MSP_ALG_RSASHA256);
	struct msp_option o;
	struct msp_ede ede;
	struct pair p;
	char text[256];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ask(&p, true, 512, none);
	(void)prt_refuse_own(&p.refusal, MSP_EDE_DELEGATION_CHECK, "rule", "%s", text);
	p.reply.has_state = true;
	p.reply.cookie_len = PRT_COOKIE_MAX;
	answer(&p, NULL);
	assert_true(find(&p, MSP_OPT_EDE, &o));
	T_OK(msp_ede_parse(o.data, &ede));
	assert_int_equal(ede.text.len, 255);
	answer(&p, large);
	assert_true(p.is_signed);
	assert_true(p.len <= 512);
	assert_true(find(&p, MSP_OPT_EDE, &o));
	T_OK(msp_ede_parse(o.data, &ede));
	assert_int_equal(ede.text.len, 0);
	assert_int_equal(p.answer.flags & MSP_FLAG_TC, 0);
	p.reply.is_tcp = true;
	answer(&p, large);
	assert_true(p.len > 512);
	p.reply.is_tcp = false;

	/* A name so long that nothing but the question fits: RFC 2931 3. */
	msp_key_free(&large);
	large = NULL;
	{
		struct msp_name longest;
		uint8_t oct[MSP_NAME_MAX];

		memset(oct, 'a', sizeof(oct));
		for (size_t i = 0; i < 192; i += 64)
			oct[i] = 63;
		oct[192] = 61;
		oct[254] = 0;
		T_OK(msp_name_from_wire(msp_span(oct, sizeof(oct)), &longest));
		T_OK(msp_key_generate(&longest, MSP_ALG_RSASHA256, 0, &large));
	}
	ask(&p, true, 600, none);
	p.refusal.rcode = MSP_RCODE_REFUSED;
	p.reply.cookie_len = PRT_COOKIE_MAX;
	answer(&p, large);
	assert_true(p.is_signed);
	assert_int_equal(p.answer.flags & MSP_FLAG_TC, MSP_FLAG_TC);
	assert_int_equal(p.answer.rcode, MSP_RCODE_NOERROR);
	assert_false(p.answer.edns.present);
	msp_key_free(&small);
	msp_key_free(&large);
}

static void inquiries_are_read_to_the_letter(void **state)
{
	static const struct {
		const char *octets;
		bool compat;
		enum prt_inquiry want;
		uint16_t id;
	} cases[] = {
		{ "12340200", false, PRT_INQUIRY_KEY, 0x1234 },
		{ "1234020068692c206d756d", false, PRT_INQUIRY_KEY, 0x1234 }, /* text is for people */
		{ "12340201", false, PRT_INQUIRY_MALFORMED, 0x1234 },         /* KEY-DATA */
		{ "12340300", false, PRT_INQUIRY_MALFORMED, 0x1234 },         /* unassigned */
		{ "12340400", false, PRT_INQUIRY_MALFORMED, 0x1234 },         /* the receiver's to say */
		{ "12340b00", false, PRT_INQUIRY_MALFORMED, 0x1234 },
		{ "1234ff00", false, PRT_INQUIRY_MALFORMED, 0x1234 },
		{ "12340000", false, PRT_INQUIRY_MALFORMED, 0x1234 },
		{ "12340100", false, PRT_INQUIRY_MALFORMED, 0x1234 },
		{ "12340000", true, PRT_INQUIRY_KEY, 0x1234 },
		{ "12340100", true, PRT_INQUIRY_KEY, 0x1234 },
		{ "12340101", true, PRT_INQUIRY_MALFORMED, 0x1234 },
		{ "123402", false, PRT_INQUIRY_MALFORMED, 0x1234 },
		{ "12", false, PRT_INQUIRY_MALFORMED, 0 },
	};
	struct pair p;
	uint16_t id;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_buf b;

		t_hex(cases[i].octets, &b);
		ask(&p, true, 1232, msp_buf_span(&b));
		if (prt_inquiry_read(&p.request.edns, &msp_numbers_default, cases[i].compat, &id) != cases[i].want ||
		    id != cases[i].id)
			fail_msg("%s", cases[i].octets);
		msp_buf_fini(&b);
	}
	ask(&p, true, 1232, none);
	assert_int_equal(prt_inquiry_read(&p.request.edns, &msp_numbers_default, false, &id), PRT_INQUIRY_NONE);
	ask(&p, false, 0, none);
	assert_int_equal(prt_inquiry_read(&p.request.edns, &msp_numbers_default, false, &id), PRT_INQUIRY_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_sends_no_opt_gets_none_and_a_plain_rcode),
		cmocka_unit_test(with_an_opt_the_rcode_is_whole_and_the_error_explained),
		cmocka_unit_test(an_answer_is_signed_over_the_request),
		cmocka_unit_test(a_key_state_goes_out_signed_or_not_at_all),
		cmocka_unit_test(what_did_not_parse_is_never_signed),
		cmocka_unit_test(text_goes_first_then_everything_where_there_is_no_room),
		cmocka_unit_test(inquiries_are_read_to_the_letter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
