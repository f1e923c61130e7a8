/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/bucket.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

static struct msp_addr source(unsigned n)
{
	struct msp_addr a = { .family = MSP_FAMILY_V4,
			      .oct = { 10, (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)(n * 7) },
			      .port = (uint16_t)n };

	return a;
}

static unsigned take_all(struct msp_bucket_table *t, unsigned n, int64_t ms)
{
	struct msp_addr a = source(n);
	unsigned got = 0;

	while (msp_bucket_take(t, &a, (struct msp_mono){ ms }))
		assert_true(++got < 1000000);
	return got;
}

static void a_burst_passes_and_then_the_rate(void **state)
{
	struct msp_bucket_table *t;
	struct msp_addr a = source(1);
	unsigned got = 0;

	(void)state;
	T_OK(msp_bucket_new(8, 10, 20, &t)); /* HELLO: 10 a second, burst 20 (PROTOCOL D.4) */
	assert_true(msp_bucket_peek(t, &a, (struct msp_mono){ 0 }));
	assert_int_equal(take_all(t, 1, 0), 20);
	assert_false(msp_bucket_peek(t, &a, (struct msp_mono){ 99 }));
	assert_int_equal(take_all(t, 1, 99), 0);
	assert_true(msp_bucket_peek(t, &a, (struct msp_mono){ 100 }));
	assert_true(msp_bucket_peek(t, &a, (struct msp_mono){ 100 })); /* looking takes nothing */
	assert_int_equal(take_all(t, 1, 100), 1);
	assert_int_equal(take_all(t, 1, 1100), 10);
	assert_int_equal(take_all(t, 1, 1000000), 20); /* no more than the burst is saved up */
	for (int64_t ms = 1000000; ms < 1010000; ms++)
		got += msp_bucket_take(t, &a, (struct msp_mono){ ms }) ? 1 : 0;
	assert_int_equal(got, 99); /* asking all the time costs nothing: 9.999 s of 10 a second */
	msp_bucket_free(&t);
	assert_null(t);
	msp_bucket_free(&t);
}

static void slow_rates_keep_the_fractions(void **state)
{
	struct msp_bucket_table *t;
	unsigned got = 0;

	(void)state;
	T_OK(msp_bucket_new(1, 1, 1, &t));
	for (int64_t ms = 0; ms < 10000; ms += 7)
		got += take_all(t, 1, ms);
	assert_in_range(got, 10, 10);
	msp_bucket_free(&t);
	T_OK(msp_bucket_new(1, 0, 3, &t));
	assert_int_equal(take_all(t, 1, 0), 3);
	assert_int_equal(take_all(t, 1, INT64_MAX), 0);
	msp_bucket_free(&t);
	T_OK(msp_bucket_new(1, 5, 0, &t));
	assert_int_equal(take_all(t, 1, 0), 0);
	assert_int_equal(take_all(t, 1, 100000), 0);
	msp_bucket_free(&t);
}

static void a_clock_that_stands_or_jumps_does_no_harm(void **state)
{
	struct msp_bucket_table *t;

	(void)state;
	T_OK(msp_bucket_new(4, UINT32_MAX, 5, &t));
	assert_int_equal(take_all(t, 1, 1000), 5);
	assert_int_equal(take_all(t, 1, 0), 0);
	assert_int_equal(take_all(t, 1, 1000), 0); /* going back and forth refills nothing */
	assert_int_equal(take_all(t, 1, INT64_MAX), 5);
	msp_bucket_free(&t);
}

static void prefixes_have_their_own_budget(void **state)
{
	struct msp_bucket_table *t;
	struct msp_addr a = source(1), neighbour, six = { .family = MSP_FAMILY_V6, .oct = { 10, 0, 1 } };
	struct msp_addr none = { .family = MSP_FAMILY_NONE };

	(void)state;
	T_OK(msp_bucket_new(100, 1, 2, &t));
	neighbour = a;
	neighbour.oct[3] ^= 0xff;
	neighbour.port = 9;
	assert_true(msp_bucket_take(t, &a, (struct msp_mono){ 0 }));
	assert_true(msp_bucket_take(t, &neighbour, (struct msp_mono){ 0 }));
	assert_false(msp_bucket_take(t, &a, (struct msp_mono){ 0 })); /* same /24 */
	assert_true(msp_bucket_take(t, &six, (struct msp_mono){ 0 }));
	assert_true(msp_bucket_take(t, &none, (struct msp_mono){ 0 }));
	assert_int_equal(take_all(t, 2, 0), 2);
	msp_bucket_free(&t);
}

/* Against a table that remembers everybody, as long as no more than the slots are in use. */
static void the_one_idle_longest_is_forgotten(void **state)
{
	struct msp_bucket_table *t;
	struct msp_addr a = source(0);

	(void)state;
	T_OK(msp_bucket_new(3, 0, 1, &t));
	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(take_all(t, n, 0), 1);
	assert_int_equal(take_all(t, 0, 0), 0); /* 0 was used last now, 1 is idle longest */
	assert_int_equal(take_all(t, 3, 0), 1); /* takes the place of 1 */
	assert_false(msp_bucket_peek(t, &a, (struct msp_mono){ 0 }));
	assert_int_equal(take_all(t, 0, 0), 0);
	assert_int_equal(take_all(t, 2, 0), 0);
	assert_int_equal(take_all(t, 1, 0), 1); /* forgotten, so it starts anew, in the place of 3 */
	assert_int_equal(take_all(t, 3, 0), 1);
	msp_bucket_free(&t);
}

static void many_sources_stay_within_the_slots(void **state)
{
	struct msp_bucket_table *t;
	struct msp_rand r;

	(void)state;
	msp_rand_init_seed(&r, 7);
	T_OK(msp_bucket_new(1000, 0, 1, &t));
	for (int i = 0; i < 200000; i++) {
		struct msp_addr a = source((unsigned)msp_rand_below(&r, 60000));

		if (msp_bucket_take(t, &a, (struct msp_mono){ i }))
			assert_false(msp_bucket_peek(t, &a, (struct msp_mono){ i }));
	}
	for (unsigned n = 0; n < 1000; n++)
		take_all(t, n, 200000);
	for (unsigned n = 0; n < 1000; n++)
		assert_int_equal(take_all(t, n, 200000), 0); /* all of the last 1000 are remembered */
	msp_bucket_free(&t);
}

static void bad_sizes_and_lack_of_memory_are_reported(void **state)
{
	struct msp_bucket_table *t = NULL;

	(void)state;
	T_ERR(msp_bucket_new(0, 1, 1, &t), MSP_EVALUE);
	T_ERR(msp_bucket_new(SIZE_MAX, 1, 1, &t), MSP_ELIMIT);
	for (size_t nth = 1; nth <= 3; nth++) {
		msp_mem_fail_at(nth);
		T_ERR(msp_bucket_new(10, 1, 1, &t), MSP_ENOMEM);
		assert_null(t);
	}
	msp_mem_fail_at(4);
	T_OK(msp_bucket_new(10, 1, 1, &t));
	assert_false(msp_mem_failed());
	msp_mem_fail_at(0);
	msp_bucket_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_passes_and_then_the_rate),
		cmocka_unit_test(slow_rates_keep_the_fractions),
		cmocka_unit_test(a_clock_that_stands_or_jumps_does_no_harm),
		cmocka_unit_test(prefixes_have_their_own_budget),
		cmocka_unit_test(the_one_idle_longest_is_forgotten),
		cmocka_unit_test(many_sources_stay_within_the_slots),
		cmocka_unit_test(bad_sizes_and_lack_of_memory_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
