/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/wire/hsync.h>

static enum msp_err parse(const char *hex, bool compat, struct msp_hsync *h)
{
	struct msp_buf b;
	enum msp_err err;

	t_hex(hex, &b);
	err = msp_hsync_parse(msp_buf_span(&b), compat, h);
	msp_buf_fini(&b);
	return err;
}

static void four_and_five_fields_are_told_apart_by_length(void **state)
{
	struct msp_hsync h;

	(void)state;
	T_OK(parse("010201 016100", false, &h));
	assert_false(h.has_upstream);
	assert_true(msp_hsync_valid(&h));
	T_OK(parse("010201 016100 00", false, &h)); /* the root upstream is a fifth field */
	assert_true(h.has_upstream);
	assert_true(msp_name_is_root(&h.upstream));
	T_OK(parse("010201 016100 016200", false, &h));
	assert_string_equal(MSP_NAME(&h.upstream), "b.");
	T_ERR(parse("010201 016100 016200 00", false, &h), MSP_ETRAIL);
	T_ERR(parse("010201 016100 0162", false, &h), MSP_ETRUNC);
	T_ERR(parse("010201", false, &h), MSP_ETRUNC);
	T_ERR(parse("0102", false, &h), MSP_ETRUNC);
	T_ERR(parse("", false, &h), MSP_ETRUNC);
	T_ERR(parse("010201 c000", false, &h), MSP_EFORMAT); /* PROTOCOL A.0: no pointers */
}

static void zero_is_malformed_unless_the_compatibility_knob_is_on(void **state)
{
	struct msp_hsync h;

	(void)state;
	T_OK(parse("000200 016100", false, &h));
	assert_false(msp_hsync_valid(&h));
	T_OK(parse("000200 016100", true, &h));
	assert_int_equal(h.state, MSP_HSYNC_OFF);
	assert_int_equal(h.sign, MSP_HSYNC_NO);
	assert_true(msp_hsync_valid(&h));
	T_OK(parse("010001 016100", true, &h)); /* NSMGMT has no zero in any dialect */
	assert_false(msp_hsync_valid(&h));
}

static void undefined_values_are_kept_for_display_and_are_not_valid(void **state)
{
	static const char *const hex[] = {
		"030101 00", "010301 00", "010103 00", "800101 00", "ff0101 00", "0101ff 00"
	};
	struct msp_hsync h;
	struct msp_buf out;

	(void)state;
	for (size_t i = 0; i < sizeof(hex) / sizeof(hex[0]); i++) {
		T_OK(parse(hex[i], false, &h));
		assert_false(msp_hsync_valid(&h));
	}
	T_OK(parse("80ff07 016100", false, &h));
	msp_buf_init(&out, 1024);
	msp_hsync_print(&out, &h);
	assert_string_equal(msp_buf_text(&out), "128 255 7 a.");
	msp_buf_fini(&out);
}

static void a_zero_is_never_written(void **state)
{
	struct msp_hsync h = { .state = 1, .nsmgmt = 2, .sign = 0 };
	uint8_t mem[600];
	struct msp_wr wr;

	(void)state;
	msp_name_root(&h.identity);
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_hsync_write(&wr, &h);
	assert_int_equal(wr.err, MSP_EVALUE);
	assert_int_equal(msp_wr_span(&wr).len, 0);
	msp_wr_u8(&wr, 1);
	assert_int_equal(wr.err, MSP_EVALUE);
}

static void text_is_read_in_all_its_spellings(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
		{ "ON AGENT YES a.", "ON AGENT YES a." },
		{ "on owner no a.b.", "ON OWNER NO a.b." },
		{ "Off Agent NoSign a", "OFF AGENT NO a.example." },
		{ "ON AGENT YES a. b.", "ON AGENT SIGN a. b." },
		{ "ON AGENT NO a. .", "ON AGENT NOSIGN a. ." },
		{ "1 2 1 a.", "ON AGENT YES a." },
		{ "2 1 2 @ @", "OFF OWNER NOSIGN example. example." },
		{ "128 3 255 a.", "128 3 255 a." },
		{ " ON\tAGENT  YES a. ; comment", "ON AGENT YES a." },
		{ "ON AGENT SIGN a.", "ON AGENT YES a." },
		{ "", NULL },
		{ "ON AGENT YES", NULL },
		{ "YES AGENT ON a.", NULL },
		{ "256 1 1 a.", NULL },
		{ "-1 1 1 a.", NULL },
		{ "ON AGENT YES a..b", NULL },
		{ "ON AGENT YES a. b. c.", NULL },
		{ "ON AGENT YES a. b. c. d. e.", NULL },
	};
	struct msp_name origin = t_name("example.");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_why why = { "" };
		struct msp_hsync h;
		struct msp_buf out;
		enum msp_err err = msp_hsync_scan(msp_span_str(rows[i].text), &origin, &h, &why);

		if ((err == MSP_OK) != (rows[i].want != NULL))
			fail_msg("%s: %s %s", rows[i].text, msp_err_name(err), why.text);
		if (err != MSP_OK) {
			assert_true(why.text[0] != '\0');
			continue;
		}
		msp_buf_init(&out, 1024);
		msp_hsync_print(&out, &h);
		assert_string_equal(msp_buf_text(&out), rows[i].want);
		msp_buf_fini(&out);
	}
}

static void hsync3_strips_one_trailing_dot(void **state)
{
	struct msp_hsync3 h;
	struct msp_buf b, out;

	(void)state;
	t_hex("01 07 6e65746e6f642e 056167656e7400 03 666f78", &b);
	msp_buf_init(&out, 1024);
	T_OK(msp_hsync3_parse(msp_buf_span(&b), &h));
	assert_true(msp_span_equal(h.label, msp_span_str("netnod")));
	assert_true(msp_span_equal(h.upstream, msp_span_str("fox")));
	msp_hsync3_print(&out, &h);
	assert_string_equal(msp_buf_text(&out), "ON netnod agent. fox");
	for (size_t cut = 0; cut < b.len; cut++)
		T_ERR(msp_hsync3_parse(msp_span(b.ptr, cut), &h), MSP_ETRUNC);
	msp_buf_add_u8(&b, 0);
	T_ERR(msp_hsync3_parse(msp_buf_span(&b), &h), MSP_ETRAIL);
	msp_buf_fini(&b);
	msp_buf_fini(&out);
	t_hex("00 01 2e 00 03 2e2e20", &b); /* labels that need escapes */
	T_OK(msp_hsync3_parse(msp_buf_span(&b), &h));
	assert_int_equal(h.label.len, 0);
	assert_int_equal(h.upstream.len, 3);
	msp_hsync3_print(&out, &h);
	assert_string_equal(msp_buf_text(&out), "OFF . . ..\\032");
	msp_buf_fini(&b);
	msp_buf_fini(&out);
}

static void hsyncparam_keys_must_increase(void **state)
{
	static const struct {
		const char *hex;
		enum msp_err err;
	} rows[] = {
		{ "", MSP_OK },
		{ "0000 0001 78 0003 0000", MSP_OK },
		{ "0003 0000 0000 0000", MSP_EFORMAT },
		{ "0003 0000 0003 0000", MSP_EFORMAT },
		{ "0003 0001", MSP_ETRUNC },
		{ "0003 00", MSP_ETRUNC },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_buf b, out;

		t_hex(rows[i].hex, &b);
		msp_buf_init(&out, 1024);
		T_ERR(msp_hsyncparam_check(msp_buf_span(&b)), rows[i].err);
		T_ERR(msp_hsyncparam_print(&out, msp_buf_span(&b), false), rows[i].err);
		msp_buf_fini(&b);
		msp_buf_fini(&out);
	}
}

static void hsyncparam_prints_both_number_spaces_and_unknown_keys(void **state)
{
	struct msp_buf b, out;

	(void)state;
	t_hex("0000 0001 02 0003 0005 6f776e6572 0004 0001 01 0063 0003 612262 8000 0000", &b);
	msp_buf_init(&out, 1024);
	T_OK(msp_hsyncparam_print(&out, msp_buf_span(&b), false));
	assert_string_equal(msp_buf_text(&out),
			    "servers=\"\\002\" nsmgmt=\"owner\" parentsync=\"owner\" key99=\"a\\\"b\" key32768");
	msp_buf_reset(&out);
	T_OK(msp_hsyncparam_print(&out, msp_buf_span(&b), true));
	assert_string_equal(msp_buf_text(&out),
			    "nsmgmt=\"agent\" signers=\"owner\" pubkey=\"\\001\" key99=\"a\\\"b\" key32768");
	msp_buf_fini(&b);
	msp_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_and_five_fields_are_told_apart_by_length),
		cmocka_unit_test(zero_is_malformed_unless_the_compatibility_knob_is_on),
		cmocka_unit_test(undefined_values_are_kept_for_display_and_are_not_valid),
		cmocka_unit_test(a_zero_is_never_written),
		cmocka_unit_test(text_is_read_in_all_its_spellings),
		cmocka_unit_test(hsync3_strips_one_trailing_dot),
		cmocka_unit_test(hsyncparam_keys_must_increase),
		cmocka_unit_test(hsyncparam_prints_both_number_spaces_and_unknown_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
