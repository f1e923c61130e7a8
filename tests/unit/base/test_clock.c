/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/clock.h>

static void monotonic_time_does_not_go_back(void **state)
{
	struct msp_mono last = msp_mono_now();

	(void)state;
	assert_true(last.ms >= 0);
	for (int i = 0; i < 1000; i++) {
		struct msp_mono now = msp_mono_now();

		assert_true(now.ms >= last.ms);
		last = now;
	}
	assert_true(msp_wall_now().s > 1700000000);
}

static void never_stays_never(void **state)
{
	struct msp_mono never = MSP_MONO_NEVER, late = { INT64_MAX - 10 };

	(void)state;
	assert_true(msp_mono_add_ms(never, -1000).ms == INT64_MAX);
	assert_true(msp_mono_add_ms(late, 11).ms == INT64_MAX);
	assert_true(msp_mono_add_ms(late, INT64_MAX).ms == INT64_MAX);
	assert_true(msp_mono_add_ms(late, 9).ms == INT64_MAX - 1);
	assert_false(msp_mono_reached(msp_mono_now(), never));
	assert_true(msp_mono_reached(late, late));
	assert_true(msp_mono_min(late, never).ms == late.ms);
	assert_true(msp_mono_until_ms(never, late) == 0);
	assert_true(msp_mono_until_ms(late, never) == 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monotonic_time_does_not_go_back),
		cmocka_unit_test(never_stays_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
