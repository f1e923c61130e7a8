/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "turns.h"

#include <msproto/base/mem.h>

#define MANY 100

struct fixture {
	struct cmb_turns t;
	struct cmb_turns_limits limits;
	struct msp_mono now;
	struct cmb_turn turn[MANY];
};

static void begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	cmb_turns_init(&f->t);
	f->limits = (struct cmb_turns_limits){ { 10, 4 }, { 5, 2 } };
	f->now.ms = 1000;
}

static void end(struct fixture *f)
{
	for (size_t i = 0; i < MANY; i++)
		cmb_turns_end(&f->t, &f->turn[i], CMB_TURN_UNKNOWN, f->now);
	cmb_turns_fini(&f->t);
}

static struct msp_addr addr(const char *text)
{
	struct msp_addr a;

	T_OK(msp_addr_parse(text, 53, &a));
	return a;
}

static void join(struct fixture *f, size_t i, const char *where, enum cmb_turn_kind kind)
{
	struct msp_addr a = addr(where);

	T_OK(cmb_turns_join(&f->t, &f->turn[i], &a, kind, false, f->now));
}

/* Which one begins; -1: none. */
static int next(struct fixture *f)
{
	struct cmb_turn *t = cmb_turns_next(&f->t, &f->limits, f->now);

	return t != NULL ? (int)(t - f->turn) : -1;
}

static void over(struct fixture *f, size_t i, enum cmb_turn_outcome outcome)
{
	cmb_turns_end(&f->t, &f->turn[i], outcome, f->now);
}

static void turns_are_limited_for_each_address_and_in_all(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < 6; i++)
		join(&f, i, "192.0.2.1", CMB_TURN_FETCH);
	assert_int_equal(next(&f), 0);
	assert_int_equal(next(&f), 1);
	assert_int_equal(next(&f), -1);
	for (size_t i = 10; i < 16; i++)
		join(&f, i, "192.0.2.2", CMB_TURN_FETCH);
	for (size_t i = 20; i < 26; i++)
		join(&f, i, "192.0.2.3", CMB_TURN_FETCH);
	for (size_t i = 0; i < 2; i++)
		assert_in_range(next(&f), 10, 25);
	assert_int_equal(next(&f), -1); /* four in all */
	over(&f, 0, CMB_TURN_ANSWERED);
	assert_int_not_equal(next(&f), -1);
	assert_int_equal(next(&f), -1);
	end(&f);
}

static void addresses_take_turns(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	f.limits.per_peer[CMB_TURN_ASK] = 10;
	for (size_t i = 0; i < 5; i++)
		join(&f, i, "192.0.2.1", CMB_TURN_ASK);
	for (size_t i = 10; i < 15; i++)
		join(&f, i, "192.0.2.2", CMB_TURN_ASK);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(next(&f), i);
		assert_int_equal(next(&f), 10 + i);
	}
	end(&f);
}

static void the_two_kinds_do_not_wait_for_each_other(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < 5; i++)
		join(&f, i, "192.0.2.1", CMB_TURN_FETCH);
	while (next(&f) >= 0)
		;
	join(&f, 9, "192.0.2.1", CMB_TURN_ASK);
	assert_int_equal(next(&f), 9);
	end(&f);
}

static void a_silent_address_is_tried_by_one_at_a_time_with_waits_that_double_up_to_a_bound(void **state)
{
	static const int64_t want[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
	struct msp_addr a = addr("192.0.2.1");
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < 20; i++)
		join(&f, i, "192.0.2.1", CMB_TURN_ASK);
	assert_int_equal(next(&f), 0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		over(&f, i, CMB_TURN_SILENT);
		assert_int_equal(next(&f), -1);
		assert_true(cmb_turns_is_silent(&f.t, &a, f.now));
		assert_int_equal(cmb_turns_due(&f.t).ms, f.now.ms + want[i]);
		f.now.ms += want[i] - 1;
		assert_int_equal(next(&f), -1);
		f.now.ms++;
		assert_int_equal(next(&f), (int)i + 1);
		assert_int_equal(next(&f), -1); /* one at a time */
		assert_true(cmb_turns_is_silent(&f.t, &a, f.now));
	}
	/* it lives again: all the others, at once */
	over(&f, sizeof(want) / sizeof(want[0]), CMB_TURN_ANSWERED);
	assert_false(cmb_turns_is_silent(&f.t, &a, f.now));
	for (int i = 0; i < 5; i++)
		assert_int_not_equal(next(&f), -1);
	assert_int_equal(next(&f), -1);
	end(&f);
}

static void questions_that_time_out_together_count_as_one(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < 5; i++)
		join(&f, i, "192.0.2.1", CMB_TURN_ASK);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(next(&f), i);
	f.now.ms += 6000;
	for (size_t i = 0; i < 5; i++)
		over(&f, i, CMB_TURN_SILENT);
	assert_int_equal(cmb_turns_due(&f.t).ms, f.now.ms + 1000);
	end(&f);
}

static void a_lost_question_says_nothing_when_another_was_answered_since(void **state)
{
	struct msp_addr a = addr("192.0.2.1");
	struct fixture f;

	(void)state;
	begin(&f);
	join(&f, 0, "192.0.2.1", CMB_TURN_ASK);
	join(&f, 1, "192.0.2.1", CMB_TURN_ASK);
	assert_int_equal(next(&f), 0);
	assert_int_equal(next(&f), 1);
	f.now.ms += 10;
	over(&f, 1, CMB_TURN_ANSWERED);
	f.now.ms += 6000;
	over(&f, 0, CMB_TURN_SILENT);
	assert_false(cmb_turns_is_silent(&f.t, &a, f.now));
	end(&f);
}

static void others_are_not_kept_from_their_addresses_by_a_silent_one(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < 10; i++)
		join(&f, i, "192.0.2.1", CMB_TURN_FETCH);
	assert_int_equal(next(&f), 0);
	over(&f, 0, CMB_TURN_SILENT);
	join(&f, 20, "192.0.2.2", CMB_TURN_FETCH);
	assert_int_equal(next(&f), 20);
	end(&f);
}

static void whoever_comes_after_the_back_off_tries(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	join(&f, 0, "192.0.2.1", CMB_TURN_ASK);
	assert_int_equal(next(&f), 0);
	over(&f, 0, CMB_TURN_SILENT);
	f.now.ms += 5000;
	assert_int_equal(next(&f), -1); /* nobody wants it */
	join(&f, 1, "192.0.2.1", CMB_TURN_ASK);
	join(&f, 2, "192.0.2.1", CMB_TURN_ASK);
	assert_int_equal(next(&f), 1);
	assert_int_equal(next(&f), -1);
	over(&f, 1, CMB_TURN_UNKNOWN);
	assert_int_equal(next(&f), 2);
	end(&f);
}

static void who_waits_for_an_address_can_be_seen_in_order(void **state)
{
	struct msp_addr a = addr("192.0.2.1");
	struct fixture f;

	(void)state;
	begin(&f);
	assert_null(cmb_turns_waiting(&f.t, &a, CMB_TURN_ASK));
	for (size_t i = 0; i < 3; i++)
		join(&f, i, "192.0.2.1", CMB_TURN_ASK);
	join(&f, 3, "192.0.2.1", CMB_TURN_FETCH);
	assert_int_equal(next(&f), 0);
	assert_ptr_equal(cmb_turns_waiting(&f.t, &a, CMB_TURN_ASK), &f.turn[1]);
	assert_ptr_equal(f.turn[1].next, &f.turn[2]);
	assert_ptr_equal(cmb_turns_waiting(&f.t, &a, CMB_TURN_FETCH), &f.turn[3]);
	assert_null(f.turn[3].next);
	end(&f);
}

static void a_sign_of_life_ends_the_wait(void **state)
{
	struct msp_addr a = addr("192.0.2.1");
	struct fixture f;

	(void)state;
	begin(&f);
	join(&f, 0, "192.0.2.1", CMB_TURN_ASK);
	join(&f, 1, "192.0.2.1", CMB_TURN_ASK);
	assert_int_equal(next(&f), 0);
	over(&f, 0, CMB_TURN_SILENT);
	assert_int_equal(next(&f), -1);
	cmb_turns_heard(&f.t, &a, f.now);
	assert_int_equal(next(&f), 1);
	end(&f);
}

static void who_leaves_is_passed_over_and_who_comes_again_is_first(void **state)
{
	struct msp_addr a = addr("192.0.2.1");
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < 4; i++)
		join(&f, i, "192.0.2.1", CMB_TURN_ASK);
	over(&f, 0, CMB_TURN_UNKNOWN);
	over(&f, 2, CMB_TURN_UNKNOWN);
	over(&f, 2, CMB_TURN_UNKNOWN); /* twice is legal */
	T_OK(cmb_turns_join(&f.t, &f.turn[9], &a, CMB_TURN_ASK, true, f.now));
	assert_int_equal(next(&f), 9);
	assert_int_equal(next(&f), 1);
	assert_int_equal(next(&f), 3);
	assert_int_equal(next(&f), -1);
	assert_int_equal(f.t.waiting[CMB_TURN_ASK], 0);
	assert_int_equal(f.t.running[CMB_TURN_ASK], 3);
	end(&f);
}

static void addresses_are_forgotten_when_nobody_needs_them(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	join(&f, 0, "192.0.2.1", CMB_TURN_ASK);
	join(&f, 1, "192.0.2.2", CMB_TURN_ASK);
	assert_int_equal(f.t.peers.count, 2);
	assert_int_equal(next(&f), 0);
	assert_int_equal(next(&f), 1);
	over(&f, 0, CMB_TURN_ANSWERED);
	over(&f, 1, CMB_TURN_SILENT);
	assert_int_equal(f.t.peers.count, 1); /* that it is silent is worth remembering, for a while */
	f.now.ms += 1000;
	assert_int_equal(next(&f), -1);
	f.now.ms += 600000;
	assert_int_equal(next(&f), -1);
	assert_int_equal(f.t.peers.count, 0);
	end(&f);
}

static void no_memory_is_told_and_leaves_nothing_behind(void **state)
{
	struct msp_addr a = addr("192.0.2.1");
	bool is_through = false;

	(void)state;
	for (size_t n = 1; !is_through; n++) {
		struct fixture f;
		enum msp_err err;

		begin(&f);
		msp_mem_fail_at(n);
		err = cmb_turns_join(&f.t, &f.turn[0], &a, CMB_TURN_ASK, false, f.now);
		is_through = !msp_mem_failed();
		msp_mem_fail_at(0);
		assert_int_equal(err, is_through ? MSP_OK : MSP_ENOMEM);
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_are_limited_for_each_address_and_in_all),
		cmocka_unit_test(addresses_take_turns),
		cmocka_unit_test(the_two_kinds_do_not_wait_for_each_other),
		cmocka_unit_test(a_silent_address_is_tried_by_one_at_a_time_with_waits_that_double_up_to_a_bound),
		cmocka_unit_test(questions_that_time_out_together_count_as_one),
		cmocka_unit_test(a_lost_question_says_nothing_when_another_was_answered_since),
		cmocka_unit_test(others_are_not_kept_from_their_addresses_by_a_silent_one),
		cmocka_unit_test(whoever_comes_after_the_back_off_tries),
		cmocka_unit_test(who_waits_for_an_address_can_be_seen_in_order),
		cmocka_unit_test(a_sign_of_life_ends_the_wait),
		cmocka_unit_test(who_leaves_is_passed_over_and_who_comes_again_is_first),
		cmocka_unit_test(addresses_are_forgotten_when_nobody_needs_them),
		cmocka_unit_test(no_memory_is_told_and_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
