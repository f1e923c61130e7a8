/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/buf.h>
#include <msproto/base/mem.h>

static void appends_add_up(void **state)
{
	struct msp_buf b;

	(void)state;
	msp_buf_init(&b, 1000);
	assert_string_equal(msp_buf_text(&b), "");
	msp_buf_add(&b, NULL, 0);
	msp_buf_add_str(&b, "one ");
	msp_buf_add_u8(&b, 't');
	msp_buf_add_span(&b, msp_span_str("wo "));
	msp_buf_printf(&b, "%d %s", 3, "four");
	assert_string_equal(msp_buf_text(&b), "one two 3 four");
	assert_int_equal(b.len, 14);
	assert_true(msp_span_equal(msp_buf_span(&b), msp_span_str("one two 3 four")));
	msp_buf_consume(&b, 4);
	assert_string_equal(msp_buf_text(&b), "two 3 four");
	msp_buf_consume(&b, 0);
	msp_buf_consume(&b, b.len);
	assert_int_equal(b.len, 0);
	assert_string_equal(msp_buf_text(&b), "");
	T_OK(b.err);
	msp_buf_fini(&b);
	msp_buf_fini(&b);
}

static void the_cap_is_exact_and_its_error_sticks_until_reset(void **state)
{
	struct msp_buf b;

	(void)state;
	msp_buf_init(&b, 100);
	for (int i = 0; i < 100; i++)
		msp_buf_add_u8(&b, 'x');
	T_OK(b.err);
	assert_int_equal(b.len, 100);
	assert_int_equal(strlen(msp_buf_text(&b)), 100);
	msp_buf_add_u8(&b, 'x');
	T_ERR(b.err, MSP_ELIMIT);
	assert_int_equal(b.len, 100);
	msp_buf_consume(&b, 100);
	msp_buf_add_u8(&b, 'x'); /* would fit, but the row of appends has a hole */
	assert_int_equal(b.len, 0);
	assert_string_equal(msp_buf_text(&b), "");
	msp_buf_reset(&b);
	msp_buf_printf(&b, "%0100d", 1);
	T_OK(b.err);
	msp_buf_printf(&b, "%s", "");
	T_OK(b.err);
	msp_buf_reset(&b);
	msp_buf_printf(&b, "%0101d", 1);
	T_ERR(b.err, MSP_ELIMIT);
	msp_buf_reset(&b);
	msp_buf_add(&b, "x", 1);
	assert_null(msp_buf_reserve(&b, SIZE_MAX));
	T_ERR(b.err, MSP_ELIMIT);
	msp_buf_claim(&b, 5); /* ignored after an error */
	assert_int_equal(b.len, 1);
	msp_buf_fini(&b);
}

static void a_cap_of_everything_does_not_wrap(void **state)
{
	struct msp_buf b;

	(void)state;
	msp_buf_init(&b, SIZE_MAX);
	msp_buf_add_u8(&b, 1);
	assert_null(msp_buf_reserve(&b, SIZE_MAX));
	msp_buf_reset(&b);
	assert_null(msp_buf_reserve(&b, SIZE_MAX / 2));
	msp_buf_reset(&b);
	msp_buf_add_u8(&b, 2);
	T_OK(b.err);
	msp_buf_fini(&b);
	msp_buf_init(&b, 0);
	msp_buf_add(&b, "x", 0);
	T_OK(b.err);
	msp_buf_add_u8(&b, 1);
	T_ERR(b.err, MSP_ELIMIT);
	msp_buf_fini(&b);
}

static void reserved_room_is_the_callers_to_fill(void **state)
{
	struct msp_buf b;
	uint8_t *p;

	(void)state;
	msp_buf_init(&b, 4096);
	p = msp_buf_reserve(&b, 1000);
	assert_non_null(p);
	memset(p, 'a', 1000);
	msp_buf_claim(&b, 400);
	assert_int_equal(b.len, 400);
	p = msp_buf_reserve(&b, 3696);
	assert_non_null(p);
	memset(p, 'b', 3696);
	msp_buf_claim(&b, 3696);
	assert_int_equal(b.len, 4096);
	assert_int_equal(b.ptr[399], 'a');
	assert_int_equal(b.ptr[400], 'b');
	assert_int_equal(strlen(msp_buf_text(&b)), 4096);
	msp_buf_fini(&b);
}

static void allocation_failure_keeps_what_was_there(void **state)
{
	(void)state;
	for (size_t nth = 1;; nth++) {
		struct msp_buf b;
		size_t whole;

		msp_buf_init(&b, 100000);
		msp_mem_fail_at(nth);
		for (int i = 0; i < 1000; i++)
			msp_buf_printf(&b, "%09d\n", i);
		if (!msp_mem_failed()) {
			msp_mem_fail_at(0);
			T_OK(b.err);
			assert_int_equal(b.len, 10000);
			assert_true(nth > 5); /* it did grow in steps */
			msp_buf_fini(&b);
			return;
		}
		msp_mem_fail_at(0);
		T_ERR(b.err, MSP_ENOMEM);
		whole = b.len;
		assert_int_equal(whole % 10, 0);
		if (whole > 0)
			assert_int_equal(b.ptr[whole - 1], '\n');
		msp_buf_reset(&b);
		msp_buf_add_str(&b, "again");
		assert_string_equal(msp_buf_text(&b), "again");
		msp_buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_add_up),
		cmocka_unit_test(the_cap_is_exact_and_its_error_sticks_until_reset),
		cmocka_unit_test(a_cap_of_everything_does_not_wrap),
		cmocka_unit_test(reserved_room_is_the_callers_to_fill),
		cmocka_unit_test(allocation_failure_keeps_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
