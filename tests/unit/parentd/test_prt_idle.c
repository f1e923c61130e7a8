/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys that nobody uses are told of, and stay (PROTOCOL G.6). */
#include "support.h"

#include "keys.h"

#define DAY 86400

static const struct msp_wall now = { 1800000000 };

static struct msp_wall days_ago(int64_t days, int64_t more_s)
{
	return (struct msp_wall){ now.s - days * DAY - more_s };
}

static void a_trusted_key_is_idle_after_400_days_without_use(void **state)
{
	static const struct {
		int64_t since, used; /* days ago; 0: never */
		int64_t more_s;
		unsigned days;
		bool is_idle;
	} cases[] = {
		{ 400, 0, 0, 400, true },     { 400, 0, -1, 399, false },  { 399, 0, DAY - 1, 399, false },
		{ 5000, 399, 0, 399, false }, { 5000, 400, 0, 400, true }, { 5000, 0, 0, 5000, true },
		{ 30, 500, 0, 30, false }, /* trusted again since */
		{ 0, 0, 0, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prt_key key = { .state = PRT_KEY_TRUSTED, .since = days_ago(cases[i].since, cases[i].more_s) };

		if (cases[i].used != 0)
			key.used = days_ago(cases[i].used, cases[i].more_s);
		if (prt_key_unused_days(&key, now) != cases[i].days || prt_key_is_idle(&key, now) != cases[i].is_idle)
			fail_msg("case %zu: %u days", i, prt_key_unused_days(&key, now));
	}
}

static void only_trusted_keys_are_idle(void **state)
{
	struct prt_key key = { .since = days_ago(1000, 0) };

	(void)state;
	for (int s = PRT_KEY_ABSENT; s < PRT_KEY__N; s++) {
		key.state = (enum prt_key_state)s;
		assert_int_equal(prt_key_is_idle(&key, now), s == PRT_KEY_TRUSTED);
	}
}

static void a_clock_that_went_back_makes_nothing_idle(void **state)
{
	struct prt_key key = { .state = PRT_KEY_TRUSTED, .since = { now.s + 500 * DAY } };

	(void)state;
	assert_int_equal(prt_key_unused_days(&key, now), 0);
	assert_false(prt_key_is_idle(&key, now));
}

static void an_idle_key_stays(void **state)
{
	static struct prt_keyset set = { .count = 1 };

	(void)state;
	set.key[0].state = PRT_KEY_TRUSTED;
	set.key[0].since = days_ago(4000, 0);
	prt_keyset_sweep(&set, now);
	assert_int_equal(set.count, 1);
	assert_int_equal(set.key[0].state, PRT_KEY_TRUSTED);
	assert_true(prt_key_is_idle(&set.key[0], now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trusted_key_is_idle_after_400_days_without_use),
		cmocka_unit_test(only_trusted_keys_are_idle),
		cmocka_unit_test(a_clock_that_went_back_makes_nothing_idle),
		cmocka_unit_test(an_idle_key_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
