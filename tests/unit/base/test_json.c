/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/json.h>
#include <msproto/base/mem.h>

static enum msp_err parse(const char *text, size_t len)
{
	struct msp_why why = { "" };
	json_t *v = NULL;
	enum msp_err err = msp_json_parse(msp_span(text, len), 10000, &v, &why);

	if (err == MSP_OK)
		assert_non_null(v);
	else
		assert_null(v);
	if (err == MSP_EFORMAT)
		assert_true(strlen(why.text) > 4);
	for (const char *s = why.text; *s != '\0'; s++)
		assert_in_range((unsigned char)*s, 0x20, 0x7e);
	json_decref(v);
	return err;
}

static enum msp_err parse_text(const char *text)
{
	return parse(text, strlen(text));
}

static void what_rfc_8259_does_not_allow_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[1,]",
		"{\"a\":1,}",
		"{\"a\":1}x",
		"{}{}",
		"{\"a\":1,\"a\":2}",
		"{'a':1}",
		"{a:1}",
		"[01]",
		"[+1]",
		"[.5]",
		"[1e999]",
		"[18446744073709551615]",
		"[\"\\u0000\"]",
		"[\"\\ud800\"]",
		"[\"\xff\"]",
		"[\"\xc0\x80\"]",
		"[\"\xed\xa0\x80\"]",
		"[\"a\nb\"]",
		"[NaN]",
		"[Infinity]",
		"[tru]",
		"1",
		"\"text\"",
		"null",
		"[\"\\x\"]",
		"// c\n[]",
		"\xef\xbb\xbf[]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_text(bad[i]) != MSP_EFORMAT)
			fail_msg("taken: '%s'", bad[i]);
	T_ERR(parse("[\"a\0b\"]", 7), MSP_EFORMAT);
	T_ERR(parse("[]\0", 3), MSP_EFORMAT);
	T_ERR(parse(NULL, 0), MSP_EFORMAT);
	T_OK(parse_text(" {\"a\":[1,-2,true,null,\"\xc3\xa4\"]} \n"));
}

static void length_and_nesting_are_bounded(void **state)
{
	char text[20000];
	json_t *v = NULL;

	(void)state;
	for (size_t depth = 1; depth < 40; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		T_ERR(parse(text, 2 * depth), depth <= 32 ? MSP_OK : MSP_EFORMAT);
	}
	memset(text, '[', sizeof(text));
	T_ERR(parse(text, 9999), MSP_EFORMAT);
	T_ERR(parse(text, 10001), MSP_ELIMIT);
	T_OK(parse_text("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\"]")); /* brackets in a string are text */
	T_ERR(msp_json_parse(msp_span("[]", 2), 1, &v, NULL), MSP_ELIMIT);
	T_OK(msp_json_parse(msp_span("[]", 2), 2, &v, NULL));
	json_decref(v);
}

static void members_are_written_in_the_order_they_were_set(void **state)
{
	json_t *o = json_object(), *arr = json_array();
	struct msp_buf out;

	(void)state;
	msp_buf_init(&out, 1000);
	T_OK(msp_json_set_str(o, "zone", "example."));
	T_OK(msp_json_set_int(o, "n", INT64_MIN));
	T_OK(msp_json_set_bool(o, "b", true));
	T_OK(msp_json_append(arr, json_integer(1)));
	T_OK(msp_json_set(o, "a", arr));
	T_OK(msp_json_set_bool(o, "n2", false));
	T_OK(msp_json_write(o, &out));
	assert_string_equal(msp_buf_text(&out),
			    "{\"zone\":\"example.\",\"n\":-9223372036854775808,\"b\":true,\"a\":[1],\"n2\":false}");
	assert_string_equal(msp_json_str(o, "zone"), "example.");
	assert_null(msp_json_str(o, "n"));
	assert_null(msp_json_str(o, "absent"));
	assert_null(msp_json_str(NULL, "x"));
	msp_buf_fini(&out);
	msp_buf_init(&out, 10);
	T_ERR(msp_json_write(o, &out), MSP_ELIMIT);
	msp_buf_fini(&out);
	msp_mem_fail_at(1);
	T_ERR(msp_json_write(o, &out), MSP_ENOMEM);
	T_ERR(msp_json_set_str(o, "zone", "other"), MSP_ENOMEM);
	msp_mem_fail_at(0);
	assert_string_equal(msp_json_str(o, "zone"), "example.");
	json_decref(o);
}

static void octets_that_are_not_utf8_are_escaped(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "plain\\ \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "plain\\ \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xff", "\\255" },
		{ "\x80z", "\\128z" },
		{ "\xc3", "\\195" },
		{ "\xc0\x80", "\\192\\128" },
		{ "\xc1\xbf", "\\193\\191" },
		{ "\xe0\x9f\xbf", "\\224\\159\\191" },
		{ "\xed\xa0\x80", "\\237\\160\\128" },
		{ "\xf0\x8f\xbf\xbf", "\\240\\143\\191\\191" },
		{ "\xf4\x90\x80\x80", "\\244\\144\\128\\128" },
		{ "\xf5\x80\x80\x80", "\\245\\128\\128\\128" },
		{ "\xe2\x82", "\\226\\130" },
		{ "\xf0\x9f\x98", "\\240\\159\\152" },
	};
	json_t *o = json_object();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		T_OK(msp_json_set_str(o, "k", rows[i].in));
		assert_string_equal(msp_json_str(o, "k"), rows[i].out);
	}
	/* Every pair and many triples: whatever comes in, jansson takes what comes out. */
	for (unsigned x = 1; x < 0x10000; x++) {
		char s[5] = { (char)(x >> 8), (char)x, (char)0x80, (char)(x % 3 == 0 ? 0x80 : 'a'), '\0' };

		if (s[0] != '\0')
			T_OK(msp_json_set_str(o, "k", s));
	}
	json_decref(o);
}

static void setters_take_the_value_even_when_they_fail(void **state)
{
	json_t *arr = json_array(), *o = json_object();

	(void)state;
	T_ERR(msp_json_set(arr, "k", json_integer(1)), MSP_EVALUE); /* leaks show under the sanitizer */
	T_ERR(msp_json_append(o, json_integer(1)), MSP_EVALUE);
	T_ERR(msp_json_set(NULL, "k", json_string("x")), MSP_EVALUE);
	T_ERR(msp_json_set(o, "k", NULL), MSP_ENOMEM);
	T_ERR(msp_json_append(arr, NULL), MSP_ENOMEM);
	T_ERR(msp_json_set_str(arr, "k", "v"), MSP_EVALUE);
	assert_int_equal(json_object_size(o), 0);
	assert_int_equal(json_array_size(arr), 0);
	json_decref(arr);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_rfc_8259_does_not_allow_is_refused),
		cmocka_unit_test(length_and_nesting_are_bounded),
		cmocka_unit_test(members_are_written_in_the_order_they_were_set),
		cmocka_unit_test(octets_that_are_not_utf8_are_escaped),
		cmocka_unit_test(setters_take_the_value_even_when_they_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
