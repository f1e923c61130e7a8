/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "refresh.h"

static const struct cmb_refresh_limits limits = { 60, 1209600, 60, 1209600, 60, 1209600 };
static const struct msp_soa soa = { .serial = 1, .refresh_s = 3600, .retry_s = 600, .expire_s = 86400 };

struct fixture {
	struct cmb_refresh r;
	struct msp_rand rand;
	struct msp_mono now;
};

static void begin(struct fixture *f, size_t primaries, bool held)
{
	f->now.ms = 1000000;
	msp_rand_init_seed(&f->rand, 1);
	cmb_refresh_init(&f->r, &limits, primaries, f->now);
	if (held)
		cmb_refresh_hold(&f->r, &soa, f->now, 0);
}

static enum cmb_refresh_do step(struct fixture *f, enum cmb_refresh_event ev)
{
	return cmb_refresh_step(&f->r, ev, f->now, &f->rand);
}

static void assert_due_in(const struct fixture *f, int64_t s)
{
	int64_t ms = f->r.next.ms - f->now.ms;

	assert_in_range(ms, s * 950, s * 1050); /* 5 % jitter */
}

static void nothing_held_is_fetched_without_asking(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1, false);
	assert_int_equal(f.r.next.ms, f.now.ms);
	assert_int_equal(step(&f, CMB_REV_TIMER), CMB_DO_FETCH);
	assert_true(f.r.next.ms == INT64_MAX);
}

static void failures_with_nothing_held_double_up_to_a_minute(void **state)
{
	static const int64_t want[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
	struct fixture f;

	(void)state;
	begin(&f, 1, false);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(step(&f, CMB_REV_TIMER), CMB_DO_FETCH);
		assert_int_equal(step(&f, CMB_REV_FETCH_FAILED), CMB_DO_NOTHING);
		assert_due_in(&f, want[i]);
	}
}

static void an_unchanged_serial_waits_for_the_refresh_time(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1, true);
	assert_int_equal(step(&f, CMB_REV_TIMER), CMB_DO_ASK);
	f.now.ms += 5000;
	assert_int_equal(step(&f, CMB_REV_SAME), CMB_DO_NOTHING);
	assert_due_in(&f, 3600);
	assert_int_equal(f.r.expires.ms, f.now.ms + 86400 * 1000LL);
}

static void a_serial_ahead_is_fetched_from_the_same_primary(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2, true);
	assert_int_equal(step(&f, CMB_REV_NOTIFY), CMB_DO_ASK);
	assert_int_equal(step(&f, CMB_REV_AHEAD), CMB_DO_FETCH);
	assert_int_equal(f.r.primary, 0);
	assert_int_equal(step(&f, CMB_REV_FETCHED), CMB_DO_NOTHING);
	assert_int_equal(f.r.state, CMB_RF_WAITING);
}

static void failure_goes_to_the_next_primary_then_waits_for_the_retry_time(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 3, true);
	assert_int_equal(step(&f, CMB_REV_TIMER), CMB_DO_ASK);
	assert_int_equal(step(&f, CMB_REV_ASK_FAILED), CMB_DO_ASK);
	assert_int_equal(f.r.primary, 1);
	assert_int_equal(step(&f, CMB_REV_AHEAD), CMB_DO_FETCH);
	assert_int_equal(step(&f, CMB_REV_FETCH_FAILED), CMB_DO_ASK);
	assert_int_equal(f.r.primary, 2);
	assert_int_equal(step(&f, CMB_REV_ASK_FAILED), CMB_DO_NOTHING);
	assert_due_in(&f, 600);
	assert_int_equal(f.r.failures, 1);
}

static void a_primary_that_confirms_keeps_the_zone_alive_though_the_others_are_silent(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2, true);
	f.now.ms += 5000;
	assert_int_equal(step(&f, CMB_REV_NOTIFY), CMB_DO_ASK);
	assert_int_equal(step(&f, CMB_REV_SAME), CMB_DO_ASK);
	assert_int_equal(step(&f, CMB_REV_ASK_FAILED), CMB_DO_NOTHING);
	assert_int_equal(f.r.expires.ms, f.now.ms + 86400 * 1000LL);
}

static void a_notify_asks_all_primaries_before_it_believes_in_nothing_new(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2, true);
	assert_int_equal(step(&f, CMB_REV_NOTIFY), CMB_DO_ASK);
	assert_int_equal(step(&f, CMB_REV_SAME), CMB_DO_ASK);
	assert_int_equal(f.r.primary, 1);
	assert_int_equal(step(&f, CMB_REV_AHEAD), CMB_DO_FETCH);
}

static void many_notifies_in_flight_make_one_more_round(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1, true);
	assert_int_equal(step(&f, CMB_REV_NOTIFY), CMB_DO_ASK);
	for (int i = 0; i < 100; i++)
		assert_int_equal(step(&f, CMB_REV_NOTIFY), CMB_DO_NOTHING);
	assert_int_equal(step(&f, CMB_REV_SAME), CMB_DO_ASK);
	assert_int_equal(step(&f, CMB_REV_SAME), CMB_DO_NOTHING);
	assert_due_in(&f, 3600);
}

static void force_fetches_whatever_the_serial_and_is_queued_like_the_rest(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1, true);
	assert_int_equal(step(&f, CMB_REV_FORCE), CMB_DO_FETCH);
	assert_true(f.r.is_forced);
	assert_int_equal(step(&f, CMB_REV_FORCE), CMB_DO_NOTHING);
	assert_int_equal(step(&f, CMB_REV_FETCHED), CMB_DO_FETCH);
	assert_true(f.r.is_forced);
	assert_int_equal(step(&f, CMB_REV_FETCHED), CMB_DO_NOTHING);
	assert_false(f.r.is_forced);
}

static void expiry_counts_from_the_last_confirmation_also_across_restarts(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1, true);
	f.now.ms += 86400 * 1000LL - 1;
	assert_false(cmb_refresh_is_expired(&f.r, f.now));
	f.now.ms++;
	assert_true(cmb_refresh_is_expired(&f.r, f.now));
	begin(&f, 1, false);
	assert_false(cmb_refresh_is_expired(&f.r, f.now)); /* nothing held, nothing expired */
	cmb_refresh_hold(&f.r, &soa, f.now, 86399);
	assert_false(cmb_refresh_is_expired(&f.r, f.now));
	cmb_refresh_hold(&f.r, &soa, f.now, UINT64_MAX);
	assert_true(cmb_refresh_is_expired(&f.r, f.now));
}

static void timers_are_clamped(void **state)
{
	const struct msp_soa low = { .refresh_s = 0, .retry_s = 1, .expire_s = 2 };
	const struct msp_soa high = { .refresh_s = UINT32_MAX, .retry_s = UINT32_MAX, .expire_s = UINT32_MAX };
	struct fixture f;

	(void)state;
	begin(&f, 1, false);
	cmb_refresh_hold(&f.r, &low, f.now, 0);
	assert_int_equal(f.r.refresh_s, 60);
	assert_int_equal(f.r.retry_s, 60);
	assert_int_equal(f.r.expire_s, 60);
	cmb_refresh_hold(&f.r, &high, f.now, 0);
	assert_int_equal(f.r.refresh_s, 1209600);
	assert_int_equal(f.r.retry_s, 1209600);
	assert_int_equal(f.r.expire_s, 1209600);
}

static void events_that_make_no_sense_are_counted_and_change_nothing(void **state)
{
	static const struct {
		enum cmb_refresh_state in;
		enum cmb_refresh_event ev;
	} rows[] = {
		{ CMB_RF_WAITING, CMB_REV_SAME },         { CMB_RF_WAITING, CMB_REV_AHEAD },
		{ CMB_RF_WAITING, CMB_REV_ASK_FAILED },   { CMB_RF_WAITING, CMB_REV_FETCHED },
		{ CMB_RF_WAITING, CMB_REV_FETCH_FAILED }, { CMB_RF_ASKING, CMB_REV_TIMER },
		{ CMB_RF_WAITING, CMB_REV_KEPT_BACK },    { CMB_RF_WAITING, CMB_REV_TAKE_FAILED },
		{ CMB_RF_ASKING, CMB_REV_TAKE_FAILED },   { CMB_RF_ASKING, CMB_REV_FETCHED },
		{ CMB_RF_ASKING, CMB_REV_FETCH_FAILED },  { CMB_RF_FETCHING, CMB_REV_TIMER },
		{ CMB_RF_FETCHING, CMB_REV_SAME },        { CMB_RF_FETCHING, CMB_REV_AHEAD },
		{ CMB_RF_FETCHING, CMB_REV_ASK_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		begin(&f, 1, true);
		f.r.state = rows[i].in;
		assert_int_equal(step(&f, rows[i].ev), CMB_DO_NOTHING);
		assert_int_equal(f.r.state, rows[i].in);
		assert_int_equal(f.r.unexpected, 1);
	}
}

static void what_is_kept_back_confirms_nothing_and_the_other_primaries_are_asked(void **state)
{
	struct fixture f;
	struct msp_mono expires;

	(void)state;
	begin(&f, 2, true);
	expires = f.r.expires;
	f.now.ms += 5000;
	assert_int_equal(step(&f, CMB_REV_TIMER), CMB_DO_ASK);
	assert_int_equal(step(&f, CMB_REV_KEPT_BACK), CMB_DO_ASK);
	assert_int_equal(f.r.primary, 1);
	assert_int_equal(step(&f, CMB_REV_AHEAD), CMB_DO_FETCH);
	assert_int_equal(step(&f, CMB_REV_KEPT_BACK), CMB_DO_NOTHING);
	assert_due_in(&f, 3600);
	assert_int_equal(f.r.expires.ms, expires.ms);
	assert_int_equal(f.r.failures, 0);
}

static void what_is_kept_back_after_a_forced_fetch_is_not_fetched_from_the_next(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2, true);
	assert_int_equal(step(&f, CMB_REV_FORCE), CMB_DO_FETCH);
	assert_int_equal(step(&f, CMB_REV_KEPT_BACK), CMB_DO_NOTHING);
	assert_false(f.r.is_forced);
}

static void a_first_version_that_is_kept_back_is_tried_again_ever_more_rarely(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2, false);
	for (int64_t wait_s = 1; wait_s < 16; wait_s *= 2) {
		assert_int_equal(step(&f, CMB_REV_TIMER), CMB_DO_FETCH);
		assert_int_equal(step(&f, CMB_REV_KEPT_BACK), CMB_DO_NOTHING);
		assert_due_in(&f, wait_s);
	}
}

static void what_we_cannot_store_is_not_asked_of_the_next_primary(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 3, true);
	assert_int_equal(step(&f, CMB_REV_TIMER), CMB_DO_ASK);
	assert_int_equal(step(&f, CMB_REV_AHEAD), CMB_DO_FETCH);
	assert_int_equal(step(&f, CMB_REV_TAKE_FAILED), CMB_DO_NOTHING);
	assert_due_in(&f, 600);
	assert_int_equal(f.r.failures, 1);
}

static void the_source_of_a_notify_is_asked_first(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 3, true);
	cmb_refresh_prefer(&f.r, 2);
	assert_int_equal(step(&f, CMB_REV_NOTIFY), CMB_DO_ASK);
	assert_int_equal(f.r.primary, 2);
	cmb_refresh_prefer(&f.r, 1); /* while another round is under way: in the next one */
	assert_int_equal(step(&f, CMB_REV_NOTIFY), CMB_DO_NOTHING);
	assert_int_equal(f.r.primary, 2);
	assert_int_equal(step(&f, CMB_REV_AHEAD), CMB_DO_FETCH);
	assert_int_equal(step(&f, CMB_REV_FETCHED), CMB_DO_ASK);
	assert_int_equal(f.r.primary, 1);
}

static void a_round_that_was_stopped_begins_again_at_once(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1, true);
	cmb_refresh_stop(&f.r, f.now); /* nothing to stop: nothing happens */
	assert_int_equal(step(&f, CMB_REV_FORCE), CMB_DO_FETCH);
	f.now.ms += 1000;
	cmb_refresh_stop(&f.r, f.now);
	assert_int_equal(f.r.state, CMB_RF_WAITING);
	assert_int_equal(f.r.next.ms, f.now.ms);
	assert_int_equal(step(&f, CMB_REV_TIMER), CMB_DO_FETCH); /* as it was asked for */
	assert_true(f.r.is_forced);
}

static void frozen_nothing_is_due_but_expiry_goes_on(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1, true);
	cmb_refresh_freeze(&f.r);
	assert_true(f.r.next.ms == INT64_MAX);
	f.now.ms += 86400 * 1000LL;
	assert_true(cmb_refresh_is_expired(&f.r, f.now));
}

static void a_primary_that_a_reload_took_away_is_not_asked(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 3, true);
	cmb_refresh_prefer(&f.r, 2);
	f.r.primaries = 1;
	assert_int_equal(step(&f, CMB_REV_NOTIFY), CMB_DO_ASK);
	assert_int_equal(f.r.primary, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_held_is_fetched_without_asking),
		cmocka_unit_test(failures_with_nothing_held_double_up_to_a_minute),
		cmocka_unit_test(an_unchanged_serial_waits_for_the_refresh_time),
		cmocka_unit_test(a_serial_ahead_is_fetched_from_the_same_primary),
		cmocka_unit_test(failure_goes_to_the_next_primary_then_waits_for_the_retry_time),
		cmocka_unit_test(a_primary_that_confirms_keeps_the_zone_alive_though_the_others_are_silent),
		cmocka_unit_test(a_notify_asks_all_primaries_before_it_believes_in_nothing_new),
		cmocka_unit_test(many_notifies_in_flight_make_one_more_round),
		cmocka_unit_test(force_fetches_whatever_the_serial_and_is_queued_like_the_rest),
		cmocka_unit_test(expiry_counts_from_the_last_confirmation_also_across_restarts),
		cmocka_unit_test(what_is_kept_back_confirms_nothing_and_the_other_primaries_are_asked),
		cmocka_unit_test(what_is_kept_back_after_a_forced_fetch_is_not_fetched_from_the_next),
		cmocka_unit_test(a_first_version_that_is_kept_back_is_tried_again_ever_more_rarely),
		cmocka_unit_test(what_we_cannot_store_is_not_asked_of_the_next_primary),
		cmocka_unit_test(the_source_of_a_notify_is_asked_first),
		cmocka_unit_test(a_round_that_was_stopped_begins_again_at_once),
		cmocka_unit_test(frozen_nothing_is_due_but_expiry_goes_on),
		cmocka_unit_test(a_primary_that_a_reload_took_away_is_not_asked),
		cmocka_unit_test(timers_are_clamped),
		cmocka_unit_test(events_that_make_no_sense_are_counted_and_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
