/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "agenda.h"

#include <msproto/base/mem.h>

#define MANY 1000

static struct msp_mono at(int64_t ms)
{
	return (struct msp_mono){ ms };
}

static void items_come_out_in_the_order_of_their_times(void **state)
{
	static struct cmb_agenda_item item[MANY];
	struct cmb_agenda a = { .entry = NULL };
	int64_t due[MANY], last = -1;
	uint32_t seed = 1;

	(void)state;
	memset(item, 0, sizeof(item));
	for (size_t i = 0; i < MANY; i++) {
		seed = seed * 1664525u + 1013904223u;
		due[i] = (int64_t)(seed >> 8);
		T_OK(cmb_agenda_set(&a, &item[i], at(due[i])));
	}
	for (size_t i = 0; i < MANY; i++) {
		struct cmb_agenda_item *next;

		assert_true(cmb_agenda_next(&a).ms >= last);
		last = cmb_agenda_next(&a).ms;
		assert_null(cmb_agenda_pop(&a, at(last - 1)));
		next = cmb_agenda_pop(&a, at(last));
		assert_non_null(next);
		assert_int_equal(due[next - item], last);
		assert_int_equal(next->at, 0);
	}
	assert_true(cmb_agenda_next(&a).ms == MSP_MONO_NEVER.ms);
	assert_null(cmb_agenda_pop(&a, at(INT64_MAX - 1)));
	cmb_agenda_fini(&a);
}

static void an_item_that_is_set_again_moves(void **state)
{
	struct cmb_agenda_item a = { 0 }, b = { 0 }, c = { 0 };
	struct cmb_agenda agenda = { .entry = NULL };

	(void)state;
	T_OK(cmb_agenda_set(&agenda, &a, at(10)));
	T_OK(cmb_agenda_set(&agenda, &b, at(20)));
	T_OK(cmb_agenda_set(&agenda, &c, at(30)));
	T_OK(cmb_agenda_set(&agenda, &c, at(5)));
	T_OK(cmb_agenda_set(&agenda, &a, at(40)));
	assert_int_equal(agenda.count, 3);
	assert_ptr_equal(cmb_agenda_pop(&agenda, at(100)), &c);
	assert_ptr_equal(cmb_agenda_pop(&agenda, at(100)), &b);
	assert_ptr_equal(cmb_agenda_pop(&agenda, at(100)), &a);
	cmb_agenda_fini(&agenda);
}

static void never_takes_an_item_out(void **state)
{
	static struct cmb_agenda_item item[MANY];
	struct cmb_agenda a = { .entry = NULL };
	int64_t last = -1;

	(void)state;
	memset(item, 0, sizeof(item));
	for (size_t i = 0; i < MANY; i++)
		T_OK(cmb_agenda_set(&a, &item[i], at((int64_t)(i * 7919 % MANY))));
	for (size_t i = 0; i < MANY; i += 2)
		T_OK(cmb_agenda_set(&a, &item[i], MSP_MONO_NEVER));
	T_OK(cmb_agenda_set(&a, &item[0], MSP_MONO_NEVER)); /* again: nothing happens */
	assert_int_equal(a.count, MANY / 2);
	for (size_t i = 0; i < MANY / 2; i++) {
		struct cmb_agenda_item *next = cmb_agenda_pop(&a, at(MANY));

		assert_non_null(next);
		assert_true((next - item) % 2 == 1);
		assert_true((int64_t)((size_t)(next - item) * 7919 % MANY) > last);
		last = (int64_t)((size_t)(next - item) * 7919 % MANY);
	}
	assert_null(cmb_agenda_pop(&a, at(MANY)));
	cmb_agenda_fini(&a);
}

static void without_memory_an_item_stays_out_and_one_that_is_in_still_moves(void **state)
{
	struct cmb_agenda_item a = { 0 }, b = { 0 };
	struct cmb_agenda agenda = { .entry = NULL };

	(void)state;
	msp_mem_fail_at(1);
	T_ERR(cmb_agenda_set(&agenda, &a, at(1)), MSP_ENOMEM);
	msp_mem_fail_at(0);
	assert_int_equal(a.at, 0);
	T_OK(cmb_agenda_set(&agenda, &a, at(1)));
	T_OK(cmb_agenda_set(&agenda, &b, at(2)));
	msp_mem_fail_at(1);
	T_OK(cmb_agenda_set(&agenda, &a, at(3)));
	T_OK(cmb_agenda_set(&agenda, &b, MSP_MONO_NEVER));
	msp_mem_fail_at(0);
	assert_ptr_equal(cmb_agenda_pop(&agenda, at(3)), &a);
	cmb_agenda_fini(&agenda);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_out_in_the_order_of_their_times),
		cmocka_unit_test(an_item_that_is_set_again_moves),
		cmocka_unit_test(never_takes_an_item_out),
		cmocka_unit_test(without_memory_an_item_stays_out_and_one_that_is_in_still_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
