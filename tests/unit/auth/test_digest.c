/* SPDX-License-Identifier: BSD-2-Clause */
#include "authkit.h"

#include <msproto/auth/digest.h>

static void check(struct msp_span got, const char *hex)
{
	struct msp_buf want;

	t_hex(hex, &want);
	kit_assert_octets(got, msp_buf_span(&want));
	msp_buf_fini(&want);
}

/* FIPS 180-4 examples: "abc". */
static void sha256_over_spans_is_sha256_over_their_concatenation(void **state)
{
	static const char want[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	struct msp_span one[] = { msp_span("abc", 3) };
	struct msp_span many[] = { msp_span("a", 1), msp_span(NULL, 0), msp_span("bc", 2) };
	uint8_t out[32];

	(void)state;
	T_OK(msp_sha256(one, 1, out));
	check(msp_span(out, sizeof(out)), want);
	T_OK(msp_sha256(many, 3, out));
	check(msp_span(out, sizeof(out)), want);
	T_OK(msp_sha256(NULL, 0, out));
	check(msp_span(out, sizeof(out)), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void sha384_gives_the_published_example(void **state)
{
	struct msp_span one[] = { msp_span("abc", 3) };
	uint8_t out[48];

	(void)state;
	T_OK(msp_sha384(one, 1, out));
	check(msp_span(out, sizeof(out)), "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
					  "8086072ba1e7cc2358baeca134c825a7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_over_spans_is_sha256_over_their_concatenation),
		cmocka_unit_test(sha384_gives_the_published_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
