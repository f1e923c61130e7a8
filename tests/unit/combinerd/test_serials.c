/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "serials.h"

static void owner_serials_are_taken_when_ahead_and_outrun_otherwise(void **state)
{
	static const struct {
		bool has_out;
		uint32_t out, owner, want;
	} rows[] = {
		{ false, 0, 1000, 1000 },            /* nothing handed out yet */
		{ false, 0, 0, 1 },                  /* 0 is skipped */
		{ true, 1000, 1001, 1001 },          /* ahead */
		{ true, 1000, 5000, 5000 },          /* far ahead */
		{ true, 1005, 1001, 1006 },          /* behind what contributions have used up */
		{ true, 1005, 1005, 1006 },          /* equal */
		{ true, 0xffffffff, 5, 5 },          /* ahead across the wrap */
		{ true, 0xffffffff, 0xfffffff0, 1 }, /* behind at the wrap: 0 is skipped */
		{ true, 0xffffffff, 0, 1 },          /* 0 itself never */
		{ true, 5, 0xfffffff0, 6 },          /* behind across the wrap */
		{ true, 1, 0x80000001, 2 },          /* the undefined distance counts as behind */
		{ true, 1, 0x80000000, 0x80000000 }, /* the largest step forward */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cmb_serials s = { .has_out = rows[i].has_out, .last_out = rows[i].out };

		assert_int_equal(cmb_serials_for_owner(&s, rows[i].owner), rows[i].want);
	}
}

static void changes_step_by_one_and_skip_zero(void **state)
{
	struct cmb_serials s = { .has_out = true, .last_out = 7 };

	(void)state;
	assert_int_equal(cmb_serials_for_change(&s), 8);
	s.last_out = 0xffffffff;
	assert_int_equal(cmb_serials_for_change(&s), 1);
}

static void news_is_judged_against_the_owners_last_serial(void **state)
{
	struct cmb_serials s = { 0 };

	(void)state;
	assert_true(cmb_serials_is_news(&s, 1));
	s.has_owner = true;
	s.last_owner = 10;
	assert_true(cmb_serials_is_news(&s, 11));
	assert_false(cmb_serials_is_news(&s, 10));
	assert_false(cmb_serials_is_news(&s, 9));
}

static void far_apart_means_over_a_thousand_either_way(void **state)
{
	(void)state;
	assert_false(cmb_serials_far(1000, 0));
	assert_true(cmb_serials_far(1001, 0));
	assert_false(cmb_serials_far(0, 1000));
	assert_true(cmb_serials_far(0, 1001));
}

static void ceiling_is_raised_in_steps_and_for_signed_zones_exactly(void **state)
{
	static const struct {
		bool has;
		uint32_t ceiling, serial;
		bool is_signed, want;
		uint32_t raised;
	} rows[] = {
		{ false, 0, 1000, false, true, 1100 },
		{ false, 0, 1000, true, true, 1000 },
		{ true, 1100, 1001, false, false, 0 },
		{ true, 1100, 1100, false, false, 0 },
		{ true, 1100, 1101, false, true, 1201 },
		{ true, 1100, 1101, true, true, 1101 },
		{ true, 1100, 1050, true, false, 0 },
		{ true, 0xfffffffa, 0xfffffffb, false, true, 0x5f }, /* across the wrap */
		{ true, 0x5f, 0xffffffff, false, false, 0 },
		{ true, 0xffffff9b, 0xffffff9c, false, true, 1 }, /* 0 means none */
		{ true, 5, 0x80000005, false, true, 0x80000069 }, /* the undefined distance */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cmb_serials s = { .has_ceiling = rows[i].has, .ceiling = rows[i].ceiling };
		uint32_t raised = 0;

		assert_int_equal(cmb_serials_needs_ceiling(&s, rows[i].serial, rows[i].is_signed, &raised),
				 rows[i].want);
		assert_int_equal(raised, rows[i].raised);
	}
}

static void restored_serials_go_on_beyond_the_ceiling(void **state)
{
	struct cmb_serials s = { .has_owner = true, .last_owner = 7, .last_out = 8, .has_out = true };

	(void)state;
	cmb_serials_restore(&s, 1100);
	assert_int_equal(cmb_serials_for_owner(&s, 1050), 1101);
	assert_int_equal(cmb_serials_for_owner(&s, 1100), 1101);
	assert_int_equal(cmb_serials_for_owner(&s, 2000), 2000);
	assert_int_equal(cmb_serials_for_change(&s), 1101);
	assert_true(cmb_serials_is_news(&s, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_serials_are_taken_when_ahead_and_outrun_otherwise),
		cmocka_unit_test(changes_step_by_one_and_skip_zero),
		cmocka_unit_test(news_is_judged_against_the_owners_last_serial),
		cmocka_unit_test(ceiling_is_raised_in_steps_and_for_signed_zones_exactly),
		cmocka_unit_test(restored_serials_go_on_beyond_the_ceiling),
		cmocka_unit_test(far_apart_means_over_a_thousand_either_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
