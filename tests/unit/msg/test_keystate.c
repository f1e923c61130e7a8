/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/msg/keystate.h>

static struct msp_rr_scratch scratch;

static struct msp_keystate from_vector(const char *path, struct msp_buf *buf)
{
	struct msp_keystate ks;
	struct msp_option opt;
	struct msp_msg m;

	t_hex_file(path, buf);
	T_OK(msp_msg_parse(msp_buf_span(buf), &scratch, &m, NULL));
	assert_int_equal(msp_edns_count(&m.edns, msp_numbers_default.opt_keystate), 1);
	assert_true(msp_edns_find(&m.edns, msp_numbers_default.opt_keystate, &opt));
	T_OK(msp_keystate_parse(opt.data, &ks));
	return ks;
}

static void inquiry_vector_is_decoded(void **state)
{
	struct msp_buf buf;
	struct msp_keystate ks = from_vector("vectors/q1-keystate-inquiry.hex", &buf);

	(void)state;
	assert_int_equal(ks.key_id, 0x5677);
	assert_int_equal(ks.state, MSP_KEYSTATE_INQUIRE);
	assert_int_equal(ks.data, 0);
	assert_int_equal(ks.text.len, 0);
	msp_buf_fini(&buf);
}

static void response_vector_is_decoded(void **state)
{
	struct msp_buf buf;
	struct msp_keystate ks = from_vector("vectors/r2-keystate-response.hex", &buf);

	(void)state;
	assert_int_equal(ks.key_id, 0x5677);
	assert_int_equal(ks.state, MSP_KEYSTATE_TRUSTED);
	assert_int_equal(ks.text.len, 7);
	assert_memory_equal(ks.text.ptr, "trusted", 7);
	msp_buf_fini(&buf);
}

static void short_option_is_refused(void **state)
{
	struct msp_keystate ks;

	(void)state;
	for (size_t len = 0; len < 4; len++)
		T_ERR(msp_keystate_parse(msp_span("\1\2\4\0", len), &ks), MSP_ETRUNC);
	T_OK(msp_keystate_parse(msp_span("\1\2\4\0", 4), &ks));
}

static void unassigned_state_is_refused_with_the_key_id_known(void **state)
{
	static const char *const names[] = { "MALFORMED",         "TEMPORARY_FAILURE", "INQUIRE",         "?",
					     "TRUSTED",           "UNKNOWN",           "INVALID",         "REFUSED",
					     "VALIDATION_FAILED", "BOOTSTRAP_AUTO",    "BOOTSTRAP_MANUAL" };

	(void)state;
	for (unsigned s = 0; s < 256; s++) {
		uint8_t data[] = { 0x12, 0x34, (uint8_t)s, 9 };
		bool is_known = s != 3 && s <= 10;
		struct msp_keystate ks = { 0 };

		T_ERR(msp_keystate_parse(msp_span(data, 4), &ks), is_known ? MSP_OK : MSP_EVALUE);
		assert_int_equal(ks.key_id, 0x1234);
		assert_int_equal(ks.state, s);
		assert_int_equal(ks.data, 9);
		assert_int_equal(msp_keystate_assigned((uint8_t)s), is_known);
		assert_string_equal(msp_keystate_name((uint8_t)s), s <= 10 ? names[s] : "?");
	}
}

static void text_is_limited_to_1024_octets(void **state)
{
	static uint8_t data[4 + 1025] = { 0, 1, 4, 0 };
	struct msp_keystate ks;

	(void)state;
	T_OK(msp_keystate_parse(msp_span(data, 4 + 1024), &ks));
	assert_int_equal(ks.text.len, 1024);
	T_ERR(msp_keystate_parse(msp_span(data, 4 + 1025), &ks), MSP_ELIMIT);
	assert_int_equal(ks.key_id, 1);
}

/** Write, read back. */
static struct msp_keystate written(const struct msp_keystate *ks)
{
	static uint8_t mem[2048];
	struct msp_keystate out;
	struct msp_option opt;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_msg m;

	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_QUERY, 0);
	o = msp_optw_open(&w, 1232, 0, false);
	msp_optw_keystate(&o, &msp_numbers_default, ks);
	msp_optw_close(&o);
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(msp_msg_parse(raw, &scratch, &m, NULL));
	assert_true(msp_edns_find(&m.edns, 65002, &opt));
	T_OK(msp_keystate_parse(opt.data, &out));
	return out;
}

static void option_round_trips(void **state)
{
	struct msp_keystate ks = {
		.key_id = 22135, .state = MSP_KEYSTATE_INVALID, .data = 3, .text = msp_span_str("no good")
	};
	struct msp_keystate out = written(&ks);

	(void)state;
	assert_int_equal(out.key_id, 22135);
	assert_int_equal(out.state, MSP_KEYSTATE_INVALID);
	assert_int_equal(out.data, 3);
	assert_true(msp_span_equal(out.text, ks.text));
}

static void our_text_is_cut_at_128_octets_between_characters(void **state)
{
	struct msp_keystate ks = { .state = MSP_KEYSTATE_REFUSED };
	char text[200];

	(void)state;
	memset(text, 'x', sizeof(text));
	ks.text = msp_span(text, 128);
	assert_int_equal(written(&ks).text.len, 128);
	ks.text = msp_span(text, 129);
	assert_int_equal(written(&ks).text.len, 128);
	memcpy(text + 126, "\xe2\x82\xac", 3); /* a three-octet character over the limit */
	assert_int_equal(written(&ks).text.len, 126);
	memset(text, 'x', sizeof(text));
	memcpy(text + 125, "\xe2\x82\xac", 3); /* ends exactly at the limit */
	assert_int_equal(written(&ks).text.len, 128);
	memset(text, 0x80, sizeof(text)); /* no UTF-8 at all: nothing is sent rather than looping */
	assert_int_equal(written(&ks).text.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inquiry_vector_is_decoded),
		cmocka_unit_test(response_vector_is_decoded),
		cmocka_unit_test(short_option_is_refused),
		cmocka_unit_test(unassigned_state_is_refused_with_the_key_id_known),
		cmocka_unit_test(text_is_limited_to_1024_octets),
		cmocka_unit_test(option_round_trips),
		cmocka_unit_test(our_text_is_cut_at_128_octets_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
