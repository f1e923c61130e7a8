/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/zone/serial.h>

static void serials_are_ordered_by_rfc1982(void **state)
{
	static const struct {
		uint32_t a, b;
		bool is_ahead;
	} rows[] = {
		{ 0, 0, false },
		{ 1, 0, true },
		{ 0, 1, false },
		{ 0, UINT32_MAX, true },
		{ UINT32_MAX, 0, false },
		{ 0x7fffffff, 0, true },
		{ 0, 0x7fffffff, false },
		{ 0x80000000, 0, false }, /* undefined: neither is ahead */
		{ 0, 0x80000000, false },
		{ 0x80000001, 0, false },
		{ 0, 0x80000001, true },
		{ 0x80000000, 0x7fffffff, true },
		{ 44, 0xffffff00, true },
		{ 2026112402, 2026112401, true },
		{ 1795493971, 1795493971, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(msp_serial_gt(rows[i].a, rows[i].b), rows[i].is_ahead);
}

static void next_serial_is_ahead_and_never_zero(void **state)
{
	static const uint32_t s[] = { 0, 1, 0x7fffffff, 0x80000000, UINT32_MAX - 1, UINT32_MAX };

	(void)state;
	assert_int_equal(msp_serial_next(5), 6);
	assert_int_equal(msp_serial_next(UINT32_MAX), 1);
	for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
		assert_true(msp_serial_gt(msp_serial_next(s[i]), s[i]));
		assert_int_not_equal(msp_serial_next(s[i]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serials_are_ordered_by_rfc1982),
		cmocka_unit_test(next_serial_is_ahead_and_never_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
