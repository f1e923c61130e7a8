/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_build.h"

#include "probe_dead.h"

#include <msproto/base/mem.h>

static const struct msp_mono start = { 1000000 };

static struct msp_mono at(int64_t ms)
{
	return msp_mono_add_ms(start, ms);
}

static struct msp_addr addr(unsigned n)
{
	uint8_t oct[4] = { 192, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
	struct msp_addr a;

	T_OK(msp_addr_from_octets(msp_span(oct, 4), 53, &a));
	return a;
}

static struct prt_dead *dead_new(uint64_t seed)
{
	struct prt_dead *d = msp_alloc(1, sizeof(*d));

	assert_non_null(d);
	prt_dead_init(d, seed);
	return d;
}

static void fail_at(struct prt_dead *d, const struct msp_addr *a, int64_t ms)
{
	prt_dead_note(d, a, false, at(ms));
}

static void an_address_that_fails_twice_in_a_row_is_left_alone_for_half_a_minute(void **state)
{
	struct prt_dead *d = dead_new(7);
	struct msp_addr a = addr(1), other = addr(2);

	(void)state;
	assert_true(prt_dead_may_ask(d, &a, at(0)));
	fail_at(d, &a, 0);
	assert_true(prt_dead_may_ask(d, &a, at(0)));
	prt_dead_note(d, &a, true, at(1)); /* so they were not in a row */
	fail_at(d, &a, 2);
	assert_true(prt_dead_may_ask(d, &a, at(2)));
	fail_at(d, &a, 3);
	assert_false(prt_dead_may_ask(d, &a, at(3)));
	assert_false(prt_dead_may_ask(d, &a, at(30002)));
	assert_true(prt_dead_may_ask(d, &other, at(3)));
	assert_true(prt_dead_may_ask(d, &a, at(30003)));
	msp_free(d);
}

static void then_one_is_let_through_and_its_outcome_counts_for_all(void **state)
{
	struct prt_dead *d = dead_new(7);
	struct msp_addr a = addr(1);

	(void)state;
	fail_at(d, &a, 0);
	fail_at(d, &a, 0);
	assert_true(prt_dead_may_ask(d, &a, at(30000)));
	for (int i = 0; i < 500; i++)
		assert_false(prt_dead_may_ask(d, &a, at(30001)));
	prt_dead_note(d, &a, true, at(30100));
	for (int i = 0; i < 500; i++)
		assert_true(prt_dead_may_ask(d, &a, at(30100)));
	fail_at(d, &a, 30200); /* from the beginning */
	assert_true(prt_dead_may_ask(d, &a, at(30200)));
	msp_free(d);
}

static void one_that_never_comes_back_is_replaced(void **state)
{
	struct prt_dead *d = dead_new(7);
	struct msp_addr a = addr(1);

	(void)state;
	fail_at(d, &a, 0);
	fail_at(d, &a, 0);
	assert_true(prt_dead_may_ask(d, &a, at(30000)));
	assert_false(prt_dead_may_ask(d, &a, at(30000 + 60000)));
	assert_true(prt_dead_may_ask(d, &a, at(30000 + 90000)));
	msp_free(d);
}

static void each_failure_doubles_the_time_up_to_ten_minutes(void **state)
{
	static const int64_t want_s[] = { 30, 60, 120, 240, 480, 600, 600, 600, 600, 600, 600, 600 };
	struct prt_dead *d = dead_new(7);
	struct msp_addr a = addr(1);
	int64_t t = 0;

	(void)state;
	fail_at(d, &a, t);
	for (size_t i = 0; i < sizeof(want_s) / sizeof(want_s[0]); i++) {
		fail_at(d, &a, t);
		assert_false(prt_dead_may_ask(d, &a, at(t + want_s[i] * 1000 - 1)));
		t += want_s[i] * 1000;
		assert_true(prt_dead_may_ask(d, &a, at(t)));
	}
	msp_free(d);
}

static void what_was_under_way_when_it_was_found_dead_counts_once(void **state)
{
	struct prt_dead *d = dead_new(7);
	struct msp_addr a = addr(1);

	(void)state;
	for (int i = 0; i < 500; i++)
		fail_at(d, &a, i);
	assert_true(prt_dead_may_ask(d, &a, at(30001))); /* since the second one, and not for ten minutes */
	msp_free(d);
}

static void an_address_in_use_is_not_forgotten_for_others(void **state)
{
	enum { MANY = 20000 };
	struct prt_dead *d = dead_new(7);
	size_t left_alone = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		struct msp_addr a = addr(i);

		fail_at(d, &a, 0);
		fail_at(d, &a, 0);
		assert_true(i > 0 || !prt_dead_may_ask(d, &a, at(0)));
	}
	for (unsigned i = 0; i < MANY; i++) {
		struct msp_addr a = addr(i);

		left_alone += !prt_dead_may_ask(d, &a, at(0));
		assert_true(i > 0 || left_alone == 1);
	}
	assert_true(left_alone > PRT_DEAD_SLOTS * 9 / 10 && left_alone <= PRT_DEAD_SLOTS);
	for (unsigned i = MANY; i < 2 * MANY; i++) { /* whose time is over makes room */
		struct msp_addr a = addr(i);

		fail_at(d, &a, 30000);
		fail_at(d, &a, 30000);
		assert_true(i > MANY || !prt_dead_may_ask(d, &a, at(30000)));
	}
	msp_free(d);
}

static void ipv4_and_ipv6_and_another_port_are_others(void **state)
{
	struct prt_dead *d = dead_new(7);
	struct msp_addr a, b, c;

	(void)state;
	T_OK(msp_addr_parse("2001:db8::1", 53, &a));
	T_OK(msp_addr_parse("2001:db8::2", 53, &b));
	T_OK(msp_addr_parse("2001:db8::1", 54, &c));
	fail_at(d, &a, 0);
	fail_at(d, &a, 0);
	assert_false(prt_dead_may_ask(d, &a, at(0)));
	assert_true(prt_dead_may_ask(d, &b, at(0)));
	assert_true(prt_dead_may_ask(d, &c, at(0)));
	msp_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_that_fails_twice_in_a_row_is_left_alone_for_half_a_minute),
		cmocka_unit_test(then_one_is_let_through_and_its_outcome_counts_for_all),
		cmocka_unit_test(one_that_never_comes_back_is_replaced),
		cmocka_unit_test(each_failure_doubles_the_time_up_to_ten_minutes),
		cmocka_unit_test(what_was_under_way_when_it_was_found_dead_counts_once),
		cmocka_unit_test(an_address_in_use_is_not_forgotten_for_others),
		cmocka_unit_test(ipv4_and_ipv6_and_another_port_are_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
