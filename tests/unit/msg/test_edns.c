/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/msg/edns.h>

static struct msp_rr_scratch scratch;
static uint8_t mem[MSP_MSG_MAX + 100];

static struct msp_msgw start(uint16_t flags)
{
	struct msp_name name = t_name("example.");
	struct msp_msgw w;

	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_QUERY, flags);
	msp_msgw_question(&w, &name, MSP_TYPE_SOA, MSP_CLASS_IN);
	return w;
}

static struct msp_msg finish(struct msp_msgw *w)
{
	struct msp_why why = { "" };
	struct msp_span raw;
	struct msp_msg m;

	T_OK(msp_msgw_finish(w, &raw));
	if (msp_msg_parse(raw, &scratch, &m, &why) != MSP_OK)
		fail_msg("%s", why.text);
	return m;
}

static void options_are_walked_in_order(void **state)
{
	struct msp_msgw w = start(0);
	struct msp_optw o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, true);
	struct msp_option opt;
	struct msp_msg m;
	size_t pos = 0;

	(void)state;
	msp_optw_add(&o, MSP_OPT_PADDING, msp_span("\0\0\0", 3));
	msp_optw_add(&o, MSP_OPT_TCP_KEEPALIVE, msp_span(NULL, 0));
	msp_optw_add(&o, MSP_OPT_PADDING, msp_span("x", 1));
	msp_optw_close(&o);
	m = finish(&w);
	assert_true(m.edns.present && m.edns.dnssec_ok);
	assert_int_equal(m.edns.payload, 1232);
	assert_int_equal(m.edns.version, 0);
	assert_true(msp_edns_next(&m.edns, &pos, &opt));
	assert_int_equal(opt.code, MSP_OPT_PADDING);
	assert_int_equal(opt.data.len, 3);
	assert_true(msp_edns_next(&m.edns, &pos, &opt));
	assert_int_equal(opt.code, MSP_OPT_TCP_KEEPALIVE);
	assert_int_equal(opt.data.len, 0);
	assert_true(msp_edns_next(&m.edns, &pos, &opt));
	assert_false(msp_edns_next(&m.edns, &pos, &opt));

	assert_int_equal(msp_edns_count(&m.edns, MSP_OPT_PADDING), 2);
	assert_int_equal(msp_edns_count(&m.edns, MSP_OPT_EDE), 0);
	assert_true(msp_edns_find(&m.edns, MSP_OPT_PADDING, &opt));
	assert_int_equal(opt.data.len, 3); /* the first one */
	assert_false(msp_edns_find(&m.edns, MSP_OPT_EDE, &opt));
}

static void message_without_opt_has_no_options(void **state)
{
	struct msp_msgw w = start(0);
	struct msp_msg m = finish(&w);
	struct msp_option opt;

	(void)state;
	assert_false(m.edns.present);
	assert_false(msp_edns_find(&m.edns, MSP_OPT_EDE, &opt));
}

static void extended_rcode_is_split_over_header_and_opt(void **state)
{
	struct msp_msgw w = start(MSP_FLAG_QR);
	struct msp_optw o;
	struct msp_msg m;

	(void)state;
	msp_msgw_rcode(&w, MSP_RCODE_BADCOOKIE);
	o = msp_optw_open(&w, 4096, MSP_RCODE_BADCOOKIE, false);
	msp_optw_close(&o);
	m = finish(&w);
	assert_int_equal(m.rcode, MSP_RCODE_BADCOOKIE);
	assert_int_equal(m.flags & 0xf, 7);
	assert_false(m.edns.dnssec_ok);
	assert_int_equal(m.edns.payload, 4096);
}

static void opt_that_does_not_fit_is_an_error(void **state)
{
	struct msp_span raw;

	(void)state;
	for (size_t cap = 12; cap < 12 + 11 + 4 + 2; cap++) {
		struct msp_msgw w;
		struct msp_optw o;

		msp_msgw_init(&w, mem, cap, 1, MSP_OPCODE_QUERY, 0);
		o = msp_optw_open(&w, 1232, 0, false);
		msp_optw_add(&o, 5, msp_span("ab", 2));
		msp_optw_close(&o);
		T_ERR(msp_msgw_finish(&w, &raw), MSP_ENOSPACE);
	}
}

static void option_longer_than_a_message_is_an_error(void **state)
{
	static uint8_t data[70000];
	struct msp_msgw w = start(0);
	struct msp_optw o = msp_optw_open(&w, 1232, 0, false);
	struct msp_span raw;

	(void)state;
	msp_optw_add(&o, 5, msp_span(data, sizeof(data)));
	msp_optw_close(&o);
	T_ERR(msp_msgw_finish(&w, &raw), MSP_ENOSPACE);
}

static void extended_errors_round_trip(void **state)
{
	struct msp_msgw w = start(MSP_FLAG_QR);
	struct msp_optw o = msp_optw_open(&w, 1232, 0, false);
	struct msp_option opt;
	struct msp_msg m;
	struct msp_ede e;
	size_t pos = 0;

	(void)state;
	msp_optw_ede(&o, msp_ede_code(&msp_numbers_default, MSP_EDE_MSA_NOT_READY), "wait");
	msp_optw_ede(&o, MSP_EDE_BLOCKED, NULL);
	msp_optw_close(&o);
	m = finish(&w);
	assert_true(msp_edns_next(&m.edns, &pos, &opt));
	T_OK(msp_ede_parse(opt.data, &e));
	assert_int_equal(e.code, 49183);
	assert_int_equal(e.text.len, 4);
	assert_memory_equal(e.text.ptr, "wait", 4);
	assert_true(msp_edns_next(&m.edns, &pos, &opt));
	T_OK(msp_ede_parse(opt.data, &e));
	assert_int_equal(e.code, 15);
	assert_int_equal(e.text.len, 0);
}

static void extended_error_text_loses_its_final_zero(void **state)
{
	struct msp_ede e;

	(void)state;
	T_OK(msp_ede_parse(msp_span("\0\17ab\0", 5), &e));
	assert_int_equal(e.text.len, 2);
	T_OK(msp_ede_parse(msp_span("\0\17\0", 3), &e));
	assert_int_equal(e.text.len, 0);
	T_ERR(msp_ede_parse(msp_span("\0", 1), &e), MSP_ETRUNC);
}

static void extended_errors_have_the_numbers_and_names_of_the_protocol(void **state)
{
	static const struct {
		uint16_t code;
		const char *name;
	} rows[] = {
		/* PROTOCOL B.5; our names say the same as the table's */
		{ 49161, "SIG0_KEY_UNKNOWN" },
		{ 49162, "KEY_NOT_TRUSTED" },
		{ 49163, "KEY_VALIDATION_FAILED" },
		{ 49164, "MANUAL_BOOTSTRAP" },
		{ 49165, "SIG0_BAD_SIGNATURE" },
		{ 49166, "SIG0_BAD_TIME" },
		{ 49167, "SIG0_REPLAY" },
		{ 49168, "SIG0_REQUIRED" },
		{ 49169, "SIG0_ALGORITHM" },
		{ 49171, "UPDATE_TYPE" },
		{ 49172, "UPDATE_NAME" },
		{ 49173, "NOT_A_DELEGATION" },
		{ 49174, "DELEGATION_CHECK" },
		{ 49175, "KEY_MIXED" },
		{ 49176, "SCHEME_NOT_ADVERTISED" },
		{ 49177, "CDS_INCONSISTENT" },
		{ 49178, "CHAIN_WOULD_BREAK" },
		{ 49179, "ZONE_LOCKED" },
		{ 49181, "MSA_ZONE_UNKNOWN" },
		{ 49182, "MSA_NOT_DESIGNATED" },
		{ 49183, "MSA_NOT_READY" },
		{ 49184, "MSA_GROUP_MISMATCH" },
		{ 49185, "MSA_STATE_CONFLICT" },
		{ 49186, "MSA_UNKNOWN_OPERATION" },
		{ 49191, "COMBINER_NSMGMT_OWNER" },
		{ 49192, "COMBINER_ZONE_SIGNED" },
		{ 49193, "COMBINER_STORED" },
		{ 49194, "COMBINER_EMPTY_NS" },
		{ 0, "OTHER" },
		{ 6, "DNSSEC_BOGUS" },
		{ 9, "DNSKEY_MISSING" },
		{ 10, "RRSIGS_MISSING" },
		{ 14, "NOT_READY" },
		{ 15, "BLOCKED" },
		{ 18, "PROHIBITED" },
		{ 20, "NOT_AUTHORITATIVE" },
		{ 21, "NOT_SUPPORTED" },
		{ 22, "NO_REACHABLE_AUTHORITY" },
		{ 23, "NETWORK_ERROR" },
		{ 24, "INVALID_DATA" },
	};
	struct msp_numbers n = msp_numbers_default;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(msp_ede_name(&n, rows[i].code), rows[i].name);
	assert_null(msp_ede_name(&n, 49152));
	assert_null(msp_ede_name(&n, 49170));
	assert_null(msp_ede_name(&n, 49195));
	assert_null(msp_ede_name(&n, 25));
	assert_null(msp_ede_name(&n, 65535));
	assert_string_equal(msp_ede_text(MSP_EDE_ZONE_LOCKED), "zone locked");
	assert_string_equal(msp_ede_text(MSP_EDE_OWN__END), "");

	n.ede_base = 50000;
	assert_int_equal(msp_ede_code(&n, MSP_EDE_SIG0_KEY_UNKNOWN), 50009);
	assert_string_equal(msp_ede_name(&n, 50009), "SIG0_KEY_UNKNOWN");
	assert_null(msp_ede_name(&n, 49161));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_walked_in_order),
		cmocka_unit_test(message_without_opt_has_no_options),
		cmocka_unit_test(extended_rcode_is_split_over_header_and_opt),
		cmocka_unit_test(opt_that_does_not_fit_is_an_error),
		cmocka_unit_test(option_longer_than_a_message_is_an_error),
		cmocka_unit_test(extended_errors_round_trip),
		cmocka_unit_test(extended_error_text_loses_its_final_zero),
		cmocka_unit_test(extended_errors_have_the_numbers_and_names_of_the_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
