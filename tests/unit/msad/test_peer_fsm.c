/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "peer_fsm.h"

/* One walk for any table, given as next[state][event]; state 0 is "no cell". */
#define WALK(table, states, events, first, state_name, event_name)                                                     \
	do {                                                                                                           \
		bool reached[states] = { false }, leavable[states] = { false };                                        \
		bool more = true;                                                                                      \
                                                                                                                       \
		reached[first] = true;                                                                                 \
		while (more) {                                                                                         \
			more = false;                                                                                  \
			for (unsigned s = 1; s < (states); s++)                                                        \
				for (unsigned e = 0; e < (events); e++) {                                              \
					unsigned next = (unsigned)table[s][e].next;                                    \
                                                                                                                       \
					assert_in_range(next, 0, (states)-1);                                          \
					if (next == 0) {                                                               \
						assert_int_equal(table[s][e].actions,                                  \
								 0); /* nothing in an empty cell */                    \
						continue;                                                              \
					}                                                                              \
					leavable[s] = leavable[s] || next != s;                                        \
					if (reached[s] && !reached[next]) {                                            \
						reached[next] = true;                                                  \
						more = true;                                                           \
					}                                                                              \
				}                                                                                      \
		}                                                                                                      \
		for (unsigned s = 1; s < (states); s++) {                                                              \
			assert_true(reached[s]);                                                                       \
			assert_true(leavable[s]);                                                                      \
			assert_string_not_equal(state_name(s), "?");                                                   \
		}                                                                                                      \
		for (unsigned e = 0; e < (events); e++)                                                                \
			assert_string_not_equal(event_name(e), "?");                                                   \
	} while (0)

static void every_link_state_is_reachable_leavable_and_named(void **state)
{
	(void)state;
	WALK(msa_link_table, MSA_LINK__N, MSA_LEV__N, MSA_LINK_LEGACY, msa_link_name, msa_link_event_name);
}

static void every_health_state_is_reachable_leavable_and_named(void **state)
{
	(void)state;
	WALK(msa_health_table, MSA_HEALTH__N, MSA_HEV__N, MSA_HEALTH_UNKNOWN, msa_health_name, msa_health_event_name);
}

static void every_member_state_is_reachable_leavable_and_named(void **state)
{
	(void)state;
	WALK(msa_member_table, MSA_MEMBER__N, MSA_MEV__N, MSA_MEMBER_UNSEEN, msa_member_name, msa_member_event_name);
}

static void an_unexpected_event_changes_nothing(void **state)
{
	enum msa_link s = MSA_LINK_LEGACY;
	enum msa_member_state m = MSA_MEMBER_UNSEEN;

	(void)state;
	assert_int_equal(msa_link_step(&s, MSA_LEV_GREETED), MSA_ACT_UNEXPECTED);
	assert_int_equal(s, MSA_LINK_LEGACY);
	assert_int_equal(msa_member_step(&m, MSA_MEV_SAME_GROUP), MSA_ACT_UNEXPECTED);
	assert_int_equal(m, MSA_MEMBER_UNSEEN);
}

/* Silence never ends a link: an unreachable peer stays OPERATIONAL for display (D.3). */
static void silence_keeps_the_link_and_searches(void **state)
{
	enum msa_link s = MSA_LINK_OPERATIONAL;
	enum msa_health h = MSA_HEALTH_GREEN;

	(void)state;
	assert_int_equal(msa_health_step(&h, MSA_HEV_LATE), 0);
	assert_int_equal(h, MSA_HEALTH_DEGRADED);
	assert_int_equal(msa_health_step(&h, MSA_HEV_SILENT), MSA_HACT_SEARCH);
	assert_int_equal(msa_health_step(&h, MSA_HEV_SILENT), 0); /* once */
	assert_int_equal(msa_link_step(&s, MSA_LEV_SILENT), MSA_LACT_DISCOVER | MSA_LACT_GREET_ALL);
	assert_int_equal(s, MSA_LINK_OPERATIONAL);
	assert_int_equal(msa_health_step(&h, MSA_HEV_ALIVE), 0);
	assert_int_equal(h, MSA_HEALTH_GREEN);
}

static void membership_needs_a_greeting_and_the_same_group(void **state)
{
	enum msa_member_state m = MSA_MEMBER_UNSEEN;

	(void)state;
	msa_member_step(&m, MSA_MEV_IN);
	assert_int_equal(m, MSA_MEMBER_GREETED_IN);
	msa_member_step(&m, MSA_MEV_OTHER_GROUP);
	assert_int_equal(m, MSA_MEMBER_GREETED_IN);
	assert_int_equal(msa_member_step(&m, MSA_MEV_SAME_GROUP), MSA_MACT_JOINED);
	assert_int_equal(m, MSA_MEMBER_MEMBER);
	assert_int_equal(msa_member_step(&m, MSA_MEV_REFUSED), MSA_MACT_REGREET);
	assert_int_equal(m, MSA_MEMBER_UNSEEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_link_state_is_reachable_leavable_and_named),
		cmocka_unit_test(every_health_state_is_reachable_leavable_and_named),
		cmocka_unit_test(every_member_state_is_reachable_leavable_and_named),
		cmocka_unit_test(an_unexpected_event_changes_nothing),
		cmocka_unit_test(silence_keeps_the_link_and_searches),
		cmocka_unit_test(membership_needs_a_greeting_and_the_same_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
