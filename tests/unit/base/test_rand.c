/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/rand.h>

static void the_same_seed_gives_the_same_sequence(void **state)
{
	struct msp_rand a, b, c;
	uint8_t x[100], y[100];

	(void)state;
	msp_rand_init_seed(&a, 1);
	msp_rand_init_seed(&b, 1);
	msp_rand_init_seed(&c, 2);
	msp_rand_bytes(&a, x, sizeof(x));
	msp_rand_bytes(&b, y, sizeof(y));
	assert_memory_equal(x, y, sizeof(x));
	msp_rand_bytes(&c, y, sizeof(y));
	assert_memory_not_equal(x, y, sizeof(x));
	assert_true(msp_rand_u64(&a) == msp_rand_u64(&b));
	assert_true(msp_rand_u16(&a) == msp_rand_u16(&b));
}

static void the_generator_is_xoshiro256_starstar(void **state)
{
	struct msp_rand r = { .state = { 1, 2, 3, 4 }, .seeded = true };

	(void)state;
	/* By hand from the definition: rotl(s[1] * 5, 7) * 9, then the state update. */
	assert_true(msp_rand_u64(&r) == 11520);
	assert_true(msp_rand_u64(&r) == 0);
	assert_true(msp_rand_u64(&r) == 1509978240);
}

static void the_system_does_not_repeat(void **state)
{
	uint8_t a[64] = { 0 }, b[64] = { 0 }, zero[64] = { 0 };
	struct msp_rand r;

	(void)state;
	msp_rand_init_system(&r);
	msp_rand_bytes(&r, a, sizeof(a));
	msp_rand_bytes(&r, b, sizeof(b));
	msp_rand_bytes(&r, NULL, 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, zero, sizeof(a));
	assert_true(msp_rand_u64(&r) != msp_rand_u64(&r));
}

static void numbers_of_the_system_are_given_out_once(void **state)
{
	uint64_t seen[3 * MSP_RAND_AHEAD];
	struct msp_rand r;

	(void)state;
	msp_rand_init_system(&r);
	for (size_t i = 0; i < 3 * MSP_RAND_AHEAD; i++) {
		seen[i] = msp_rand_u64(&r);
		for (size_t j = 0; j < i; j++)
			assert_true(seen[j] != seen[i]);
		for (size_t j = 0; j < MSP_RAND_AHEAD; j++)
			assert_true(r.ahead[j] != seen[i]);
	}
}

static void below_is_uniform_and_within_its_bound(void **state)
{
	unsigned seen[7] = { 0 };
	struct msp_rand r;

	(void)state;
	msp_rand_init_seed(&r, 3);
	assert_true(msp_rand_below(&r, 0) == 0);
	assert_true(msp_rand_below(&r, 1) == 0);
	for (int i = 0; i < 70000; i++)
		seen[msp_rand_below(&r, 7)]++; /* out of range would be caught by the sanitizer, and by the sum below */
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 9500, 10500);
	for (int i = 0; i < 100; i++)
		assert_true(msp_rand_below(&r, UINT64_MAX / 2 + 2) <= UINT64_MAX / 2 + 1);
}

static void jitter_stays_within_its_per_cent(void **state)
{
	bool low = false, high = false;
	struct msp_rand r;

	(void)state;
	msp_rand_init_seed(&r, 4);
	for (int i = 0; i < 2000; i++) {
		int64_t v = msp_rand_jitter(&r, 1000, 10);

		assert_true(v >= 900 && v <= 1100);
		low = low || v < 910;
		high = high || v > 1090;
	}
	assert_true(low && high);
	assert_true(msp_rand_jitter(&r, 1000, 0) == 1000);
	assert_true(msp_rand_jitter(&r, 0, 50) == 0);
	for (int i = 0; i < 100; i++) {
		int64_t v = msp_rand_jitter(&r, -1000, 10);

		assert_true(v >= -1100 && v <= -900);
		(void)msp_rand_jitter(&r, INT64_MAX, 100);
		(void)msp_rand_jitter(&r, INT64_MIN, 100);
		(void)msp_rand_jitter(&r, INT64_MAX - 5, 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_sequence),
		cmocka_unit_test(the_generator_is_xoshiro256_starstar),
		cmocka_unit_test(the_system_does_not_repeat),
		cmocka_unit_test(numbers_of_the_system_are_given_out_once),
		cmocka_unit_test(below_is_uniform_and_within_its_bound),
		cmocka_unit_test(jitter_stays_within_its_per_cent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
