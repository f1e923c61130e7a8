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

/* FIPS 180-4 examples. */
static void a_digest_of_pieces_is_the_digest_of_the_whole(void **state)
{
	static const struct {
		enum msp_hash_alg alg;
		size_t len;
		const char *want;
	} row[] = {
		{ MSP_HASH_SHA384, 48,
		  "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
		{ MSP_HASH_SHA512, 64,
		  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct msp_digest *d = NULL;
		uint8_t out[MSP_DIGEST_MAX];
		size_t len = 0;

		T_OK(msp_digest_new(row[i].alg, &d));
		msp_digest_add(d, msp_span("a", 1));
		msp_digest_add(d, msp_span(NULL, 0));
		msp_digest_add(d, msp_span("bc", 2));
		T_OK(msp_digest_final(d, out, &len));
		assert_int_equal(len, row[i].len);
		check(msp_span(out, len), row[i].want);
		T_ERR(msp_digest_final(d, out, &len), MSP_ECRYPTO);
		msp_digest_free(&d);
		msp_digest_free(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_over_spans_is_sha256_over_their_concatenation),
		cmocka_unit_test(sha384_gives_the_published_example),
		cmocka_unit_test(a_digest_of_pieces_is_the_digest_of_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
