/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/auth/key.h>

static const uint8_t algs[] = { MSP_ALG_RSASHA256, MSP_ALG_ECDSAP256, MSP_ALG_ECDSAP384, MSP_ALG_ED25519,
				MSP_ALG_ED448 };
#define ALGS (sizeof(algs) / sizeof(algs[0]))

static struct msp_key *make(uint8_t alg)
{
	struct msp_name owner = t_name("child.example.");
	struct msp_key *key;

	T_OK(msp_key_generate(&owner, alg, 0, &key));
	return key;
}

static void a_key_made_like_any_other_verifies_its_own_signatures_alone(void **state)
{
	struct msp_name owner = t_name("child.example.");
	struct msp_span data = msp_span("octets", 6);

	(void)state;
	for (size_t i = 0; i < ALGS; i++)
		for (size_t k = 0; k < ALGS; k++) {
			struct msp_key *key = make(algs[i]), *model = make(algs[k]), *public;
			uint8_t sig[MSP_SIGNATURE_MAX], theirs[MSP_SIGNATURE_MAX];
			size_t len = sizeof(sig), their_len = sizeof(theirs);

			T_OK(msp_key_sign(key, data, sig, &len));
			T_OK(msp_key_sign(model, data, theirs, &their_len));
			T_OK(msp_key_from_rdata_like(model, &owner, msp_key_rdata(key), &public));
			assert_false(msp_key_is_private(public));
			assert_int_equal(msp_key_id(public), msp_key_id(key));
			T_OK(msp_key_verify(public, data, msp_span(sig, len)));
			T_ERR(msp_key_verify(public, data, msp_span(theirs, their_len)), MSP_ESIG);
			sig[len / 2] ^= 1;
			T_ERR(msp_key_verify(public, data, msp_span(sig, len)), MSP_ESIG);
			/* The model is as it was. */
			T_OK(msp_key_verify(model, data, msp_span(theirs, their_len)));
			msp_key_free(&key);
			msp_key_free(&model);
			msp_key_free(&public);
		}
}

/* They are used again for others: nothing of one may be left in the next, whoever is in use at the same time. */
static void many_one_after_another_are_each_their_own(void **state)
{
	struct msp_name owner = t_name("child.example.");
	struct msp_span data = msp_span("octets", 6);
	struct msp_key *model = make(MSP_ALG_ECDSAP256), *key[6], *public[6];
	uint8_t sig[6][MSP_SIGNATURE_MAX], rdata[256] = { 0 };
	size_t len[6];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		key[i] = make(MSP_ALG_ECDSAP256);
		len[i] = sizeof(sig[i]);
		T_OK(msp_key_sign(key[i], data, sig[i], &len[i]));
	}
	memcpy(rdata, msp_key_rdata(key[0]).ptr, msp_key_rdata(key[0]).len);
	memset(rdata + 4, 0xff, 64);
	for (size_t round = 0; round < 3; round++) {
		struct msp_key *none;

		for (size_t i = 0; i < 6; i++)
			T_OK(msp_key_from_rdata_like(model, &owner, msp_key_rdata(key[(i + round) % 6]), &public[i]));
		for (size_t i = 0; i < 6; i++)
			for (size_t k = 0; k < 6; k++)
				assert_int_equal(msp_key_verify(public[i], data, msp_span(sig[k], len[k])),
						 k == (i + round) % 6 ? MSP_OK : MSP_ESIG);
		for (size_t i = 0; i < 6; i++)
			msp_key_free(&public[i]);
		/* one that is no key takes nothing with it */
		T_ERR(msp_key_from_rdata_like(model, &owner, msp_span(rdata, 68), &none), MSP_EVALUE);
	}
	for (size_t i = 0; i < 6; i++)
		msp_key_free(&key[i]);
	msp_key_free(&model);
}

static void what_is_not_on_the_curve_is_no_key(void **state)
{
	struct msp_name owner = t_name("child.example.");

	(void)state;
	for (size_t i = 1; i <= 2; i++) {
		struct msp_key *model = make(algs[i]), *public = NULL;
		struct msp_span good = msp_key_rdata(model);
		uint8_t rdata[256];

		for (size_t k = 0; k < 3; k++) {
			memcpy(rdata, good.ptr, good.len);
			if (k == 0)
				rdata[good.len - 1] ^= 1;
			else if (k == 1)
				memset(rdata + 4, 0, good.len - 4);
			else
				memset(rdata + 4, 0xff, good.len - 4);
			T_ERR(msp_key_from_rdata_like(model, &owner, msp_span(rdata, good.len), &public), MSP_EVALUE);
			assert_null(public);
		}
		T_ERR(msp_key_from_rdata_like(model, &owner, msp_span(good.ptr, good.len - 1), &public), MSP_EFORMAT);
		msp_key_free(&model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_made_like_any_other_verifies_its_own_signatures_alone),
		cmocka_unit_test(many_one_after_another_are_each_their_own),
		cmocka_unit_test(what_is_not_on_the_curve_is_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
