/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

typedef void write_fn(struct msp_buf *out, struct msp_span in);
typedef enum msp_err parse_fn(struct msp_span text, struct msp_buf *out);

static enum msp_err parse(parse_fn *fn, const char *text)
{
	struct msp_buf b;
	enum msp_err err;

	msp_buf_init(&b, 1000);
	err = fn(msp_span_str(text), &b);
	msp_buf_fini(&b);
	return err;
}

static void check_pair(write_fn *write, parse_fn *parse_text, const char *octets, size_t len, const char *text)
{
	struct msp_buf b;

	msp_buf_init(&b, 1000);
	write(&b, msp_span(octets, len));
	assert_string_equal(msp_buf_text(&b), text);
	msp_buf_reset(&b);
	T_OK(parse_text(msp_span_str(text), &b));
	assert_true(msp_span_equal(msp_buf_span(&b), msp_span(octets, len)));
	msp_buf_fini(&b);
}

/* spec: rfc4648#10 */
static void the_vectors_of_rfc_4648_hold(void **state)
{
	static const char *const b64[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	static const char *const b32hex[] = { "", "CO", "CPNG", "CPNMU", "CPNMUOG", "CPNMUOJ1", "CPNMUOJ1E8" };
	static const char *const hex[] = { "", "66", "666f", "666f6f", "666f6f62", "666f6f6261", "666f6f626172" };

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		check_pair(msp_b64_write, msp_b64_parse, "foobar", i, b64[i]);
		check_pair(msp_b32hex_write, msp_b32hex_parse, "foobar", i, b32hex[i]);
		check_pair(msp_hex_write, msp_hex_parse, "foobar", i, hex[i]);
	}
}

static void random_octets_survive_the_round_trip(void **state)
{
	write_fn *const write[] = { msp_hex_write, msp_b64_write, msp_b32hex_write };
	parse_fn *const parse_text[] = { msp_hex_parse, msp_b64_parse, msp_b32hex_parse };
	struct msp_buf text, back;
	struct msp_rand r;
	uint8_t in[300];

	(void)state;
	msp_rand_init_seed(&r, 5);
	msp_buf_init(&text, 1000);
	msp_buf_init(&back, 1000);
	for (size_t len = 0; len < sizeof(in); len++)
		for (size_t k = 0; k < 3; k++) {
			msp_rand_bytes(&r, in, len);
			msp_buf_reset(&text);
			msp_buf_reset(&back);
			write[k](&text, msp_span(in, len));
			T_OK(text.err);
			T_OK(parse_text[k](msp_buf_span(&text), &back));
			assert_true(msp_span_equal(msp_buf_span(&back), msp_span(in, len)));
		}
	msp_buf_fini(&text);
	msp_buf_fini(&back);
}

static void sloppy_text_is_refused(void **state)
{
	static const char *const bad64[] = { "Zg",   "Zg=",  "Zg===",    "Z===",  "====",      "=",
					     "Zh==", "Zm9=", "Zg==Zg==", "Zm 9v", "Zm9v\n",    "Zm9-",
					     "Zm9_", "Z=9v", "Zm=v",     "Zm9vZ", "\xc3\xa4==" };
	static const char *const bad32[] = { "C", "COO", "COOOOO", "CP", "CO======", "CPNMUW", "CO ", "CPNG=", "-O" };
	static const char *const bad_hex[] = { "0", "0g", "0x00", "00 11", "001", " 00", "0\xff" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad64) / sizeof(bad64[0]); i++)
		T_ERR(parse(msp_b64_parse, bad64[i]), MSP_EFORMAT);
	for (size_t i = 0; i < sizeof(bad32) / sizeof(bad32[0]); i++)
		T_ERR(parse(msp_b32hex_parse, bad32[i]), MSP_EFORMAT);
	for (size_t i = 0; i < sizeof(bad_hex) / sizeof(bad_hex[0]); i++)
		T_ERR(parse(msp_hex_parse, bad_hex[i]), MSP_EFORMAT);
	T_OK(parse(msp_b32hex_parse, "cpnmuoj1"));
	T_OK(parse(msp_hex_parse, "dEaDbEeF"));
}

static void limits_and_lack_of_memory_are_reported(void **state)
{
	struct msp_buf b;

	(void)state;
	msp_buf_init(&b, 3);
	T_ERR(msp_hex_parse(msp_span_str("00112233"), &b), MSP_ELIMIT);
	T_ERR(msp_hex_parse(msp_span_str("00"), &b), MSP_ELIMIT); /* sticks */
	msp_buf_reset(&b);
	T_OK(msp_b64_parse(msp_span_str("Zm9v"), &b));
	T_ERR(msp_b64_parse(msp_span_str("Zm9v"), &b), MSP_ELIMIT);
	msp_buf_reset(&b);
	msp_hex_write(&b, msp_span("ab", 2));
	T_ERR(b.err, MSP_ELIMIT);
	msp_buf_reset(&b);
	msp_b64_write(&b, msp_span("a", 1));
	T_ERR(b.err, MSP_ELIMIT);
	msp_buf_reset(&b);
	msp_buf_fini(&b);
	msp_mem_fail_at(1);
	T_ERR(msp_hex_parse(msp_span_str("00"), &b), MSP_ENOMEM);
	msp_buf_reset(&b);
	msp_hex_write(&b, msp_span("a", 1));
	T_ERR(b.err, MSP_ENOMEM);
	msp_mem_fail_at(0);
	msp_buf_fini(&b);
}

static void numbers_are_digits_and_within_the_maximum(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x1", "1e3", "1.0", "\xd9\xa1" };
	uint64_t v = 99;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		T_ERR(msp_u64_parse(msp_span_str(bad[i]), UINT64_MAX, &v), MSP_EFORMAT);
	T_ERR(msp_u64_parse(msp_span_str("65536"), 65535, &v), MSP_EVALUE);
	T_ERR(msp_u64_parse(msp_span_str("18446744073709551616"), UINT64_MAX, &v), MSP_EVALUE);
	T_ERR(msp_u64_parse(msp_span_str("99999999999999999999999"), UINT64_MAX, &v), MSP_EVALUE);
	T_ERR(msp_u64_parse(msp_span_str("99999999999999999999999x"), UINT64_MAX, &v), MSP_EFORMAT);
	assert_true(v == 99); /* untouched by failures */
	T_OK(msp_u64_parse(msp_span_str("18446744073709551615"), UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	T_OK(msp_u64_parse(msp_span_str("65535"), 65535, &v));
	assert_true(v == 65535);
	T_OK(msp_u64_parse(msp_span_str("0"), 0, &v));
	assert_true(v == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_rfc_4648_hold),
		cmocka_unit_test(random_octets_survive_the_round_trip),
		cmocka_unit_test(sloppy_text_is_refused),
		cmocka_unit_test(limits_and_lack_of_memory_are_reported),
		cmocka_unit_test(numbers_are_digits_and_within_the_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
