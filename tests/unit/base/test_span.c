/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/span.h>

static void empty_spans_are_equal_whatever_they_point_at(void **state)
{
	(void)state;
	assert_true(msp_span_equal(msp_span(NULL, 0), msp_span("x", 0)));
	assert_int_equal(msp_span_cmp(msp_span(NULL, 0), msp_span("x", 0)), 0);
	assert_int_equal(msp_span_str(NULL).len, 0);
	assert_int_equal(msp_span_str("").len, 0);
	assert_int_equal(msp_span_str("abc").len, 3);
}

static void order_is_by_unsigned_octets_with_a_prefix_first(void **state)
{
	(void)state;
	assert_true(msp_span_cmp(msp_span("\x7f", 1), msp_span("\x80", 1)) < 0);
	assert_true(msp_span_cmp(msp_span("\xff", 1), msp_span("\0", 1)) > 0);
	assert_true(msp_span_cmp(msp_span_str("ab"), msp_span_str("abc")) < 0);
	assert_true(msp_span_cmp(msp_span_str("abc"), msp_span_str("ab")) > 0);
	assert_true(msp_span_cmp(msp_span(NULL, 0), msp_span("\0", 1)) < 0);
	assert_int_equal(msp_span_cmp(msp_span("a\0b", 3), msp_span("a\0b", 3)), 0);
	assert_false(msp_span_equal(msp_span("a\0b", 3), msp_span("a\0c", 3)));
	assert_false(msp_span_equal(msp_span_str("ab"), msp_span_str("abc")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_spans_are_equal_whatever_they_point_at),
		cmocka_unit_test(order_is_by_unsigned_octets_with_a_prefix_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
