/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/rand.h>

#include "timer.h"

#define N 500

static void timers_come_out_in_order_whatever_was_done_to_them(void **state)
{
	struct msa_timer t[N], *heap = NULL, *out;
	struct msp_rand r;
	size_t armed = 0;
	int64_t last = 0;

	(void)state;
	msp_rand_init_seed(&r, 7);
	for (size_t i = 0; i < N; i++)
		msa_timer_init(&t[i], 1, &t[i]);
	for (size_t i = 0; i < 20 * N; i++) {
		struct msa_timer *x = &t[msp_rand_below(&r, N)];
		struct msp_mono at = { (int64_t)msp_rand_below(&r, 1000) };

		if (msp_rand_below(&r, 4) == 0)
			msa_timer_cancel(&heap, x);
		else if (msp_rand_below(&r, 3) == 0)
			msa_timer_soon(&heap, x, at);
		else
			msa_timer_set(&heap, x, at);
	}
	for (size_t i = 0; i < N; i++)
		armed += t[i].is_armed;
	assert_null(msa_timer_take(&heap, (struct msp_mono){ -1 }));
	while ((out = msa_timer_take(&heap, (struct msp_mono){ 1000 })) != NULL) {
		assert_true(out->at.ms >= last);
		assert_false(out->is_armed);
		last = out->at.ms;
		armed--;
	}
	assert_int_equal(armed, 0);
	assert_null(heap);
}

static void never_disarms_and_soon_never_delays(void **state)
{
	struct msa_timer t, *heap = NULL;

	(void)state;
	msa_timer_init(&t, 1, NULL);
	msa_timer_set(&heap, &t, (struct msp_mono){ 5 });
	msa_timer_soon(&heap, &t, (struct msp_mono){ 9 });
	assert_int_equal(heap->at.ms, 5);
	msa_timer_soon(&heap, &t, (struct msp_mono){ 3 });
	assert_int_equal(heap->at.ms, 3);
	msa_timer_set(&heap, &t, MSP_MONO_NEVER);
	assert_null(heap);
	assert_false(t.is_armed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_come_out_in_order_whatever_was_done_to_them),
		cmocka_unit_test(never_disarms_and_soon_never_delays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
