/* SPDX-License-Identifier: BSD-2-Clause */
/* UPDATE at the desk: PROTOCOL G.5 steps 4 to 9 and 11, C.5. */
#include "prt_desk_build.h"

#define USUAL_DS_2                                                                                                     \
	C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\n"                                                           \
	  "ns1." C " 300 A 198.41.0.4\nns1." C " 300 AAAA 2001:503:ba3e::2:30\n" C " 300 DS " DS_2 "\n"

/* --- what is granted ------------------------------------------------------------------------------------------------
 */

static void a_granted_change_waits_for_its_checks(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_true(d.o.is_changed && (d.o.need & PRT_NEED_CHECK) != 0 && (d.o.need & PRT_NEED_PUBLISH) == 0);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_CHECKS);
	assert_true(t_is(&d.c.pending.wanted, USUAL_DS_2));
	assert_true(t_is(&d.c.registered, USUAL));
	assert_int_equal(d.o.entries, 1);
	assert_int_equal(d.o.entry[0].verdict, PRT_VERDICT_WAITS);
	desk_end(&d);
}

static void without_checks_it_is_registered_at_once(void **state)
{
	struct desk d = desk_begin();
	const struct prt_audit *a;

	(void)state;
	d.r.no_checks = true;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_true(t_is(&d.c.registered, USUAL_DS_2));
	assert_true((d.o.need & PRT_NEED_PUBLISH) != 0);
	assert_int_equal(d.c.change_count, 1);
	a = desk_entry(&d, PRT_VERDICT_ACCEPTED);
	assert_non_null(a);
	assert_true(a->before.len > 0 && a->after.len > 0);
	assert_string_equal(a->rule, "apply");
	assert_true(msp_addr_same_host(&a->peer, &d.peer));
	desk_end(&d);
}

static void what_is_there_already_is_granted_and_only_remembered(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.policy.cooldown_s = 300;
	d.c.changes[d.c.change_count++] = d.now; /* not even the cool-down speaks against it */
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.o.entries, 0);
	assert_int_equal(d.o.need, 0);
	assert_int_equal(d.c.change_count, 1);
	assert_int_equal(d.c.seen_count, 1);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	desk_end(&d);
}

static void the_next_update_goes_on_from_the_one_that_waits(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	/* its prerequisites too: NOERROR has said that it is so */
	assert_int_equal(desk_update(&d, "eq " C " 0 DS " DS_2 "\n" NS_3, KEY_A), MSP_RCODE_NOERROR);
	assert_true(t_is(&d.c.pending.wanted, USUAL_DS_2 C " 300 NS ns3.other.test.\n"));
	assert_null(desk_entry(&d, PRT_VERDICT_DROPPED));
	desk_end(&d);
}

static void a_change_sent_again_while_it_waits_is_granted_once_more(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	d.now.s += 5;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.o.entries, 0);
	assert_int_equal(d.c.pending.since.s, d.now.s - 5);
	desk_end(&d);
}

static void a_change_taken_back_while_it_waits_is_dropped(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	assert_non_null(desk_entry(&d, PRT_VERDICT_DROPPED));
	desk_end(&d);
}

static void only_prerequisites_ask_for_nothing(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, "yx " C " NS", KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.seen_count, 0);
	assert_int_equal(desk_update(&d, "nx " C " NS", KEY_A), MSP_RCODE_YXRRSET);
	desk_end(&d);
}

static void propose_means_that_an_operator_decides(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.policy.propose = true;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_OPERATOR);
	assert_int_equal(d.c.pending.next.s, 0);
	assert_int_equal(desk_update(&d, NS_3, KEY_A), MSP_RCODE_NOERROR);
	assert_true(t_is(&d.c.pending.wanted, USUAL_DS_2 C " 300 NS ns3.other.test.\n"));
	desk_end(&d);
}

static void a_registrar_with_tsig_may_where_it_is_open(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_TSIG), MSP_RCODE_NOERROR);
	assert_true(t_is(&d.c.registered, USUAL_DS_2));
	assert_false(d.o.has_state);
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_B), KEY_TSIG), MSP_RCODE_REFUSED);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_TRUSTED);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_ABSENT);
	d.r.policy.sources &= ~(1u << PRT_SRC_TSIG);
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_TSIG), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_SCHEME_NOT_ADVERTISED));
	desk_end(&d);
}

/* --- what is refused ------------------------------------------------------------------------------------------------
 */

static void refusals_say_why_change_nothing_and_are_on_record(void **state)
{
	static const struct {
		const char *lines;
		unsigned rcode;
		int own, std; /* -1: none */
	} cases[] = {
		{ "add sister.example. 300 NS ns.test.", MSP_RCODE_REFUSED, MSP_EDE_UPDATE_NAME, -1 },
		{ "add example. 300 NS ns.test.", MSP_RCODE_REFUSED, MSP_EDE_UPDATE_NAME, -1 },
		{ "add *.example. 300 NS ns.test.", MSP_RCODE_REFUSED, MSP_EDE_UPDATE_NAME, -1 },
		{ "add a.child.example. 300 NS ns.test.", MSP_RCODE_REFUSED, MSP_EDE_UPDATE_TYPE, -1 },
		{ "add a.child.example. 300 DS " DS_2, MSP_RCODE_REFUSED, MSP_EDE_UPDATE_TYPE, -1 },
		{ "add ns.other.test. 300 A 198.41.0.9", MSP_RCODE_REFUSED, MSP_EDE_UPDATE_NAME, -1 },
		{ "add " C " 300 TXT x", MSP_RCODE_REFUSED, MSP_EDE_UPDATE_TYPE, -1 },
		{ "add " C " 300 CDS " DS_2, MSP_RCODE_REFUSED, MSP_EDE_UPDATE_TYPE, -1 },
		{ "del " C " ANY", MSP_RCODE_REFUSED, MSP_EDE_UPDATE_TYPE, -1 },
		{ SET_DS(DS_2) ADD_KEY(KEY_B), MSP_RCODE_REFUSED, MSP_EDE_KEY_MIXED, -1 },
		{ "del " C " NS\n", MSP_RCODE_REFUSED, MSP_EDE_DELEGATION_CHECK, -1 },
		{ "delrr " C " 0 NS ns.other.test.\n", MSP_RCODE_REFUSED, MSP_EDE_DELEGATION_CHECK, -1 },
		{ "del ns1." C " ANY", MSP_RCODE_REFUSED, MSP_EDE_DELEGATION_CHECK, -1 },
		{ "add ns1." C " 300 A 127.0.0.1\n", MSP_RCODE_REFUSED, MSP_EDE_DELEGATION_CHECK, -1 },
		{ "add " C " 300 DS 9 13 1 00112233445566778899aabbccddeeff00112233\n", MSP_RCODE_REFUSED,
		  MSP_EDE_DELEGATION_CHECK, -1 },
		{ "nx " C " DS\n" SET_DS(DS_2), MSP_RCODE_YXRRSET, -1, -1 },
		{ "eq " C " 0 DS " DS_2 "\n" SET_DS(DS_1), MSP_RCODE_NXRRSET, -1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct desk d = desk_begin();

		if (desk_update(&d, cases[i].lines, KEY_A) != cases[i].rcode ||
		    (cases[i].own >= 0 && !desk_is_own(&d, (enum msp_ede_own)cases[i].own)) ||
		    (cases[i].std >= 0 && !desk_is_std(&d, (enum msp_ede_std)cases[i].std)))
			fail_msg("%s: %u %u %s", cases[i].lines, d.o.refusal.rcode, d.o.refusal.ede,
				 d.o.refusal.why.text);
		assert_true(t_is(&d.c.registered, USUAL));
		assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
		assert_int_equal(d.o.entries, 1);
		assert_int_equal(d.o.entry[0].verdict, PRT_VERDICT_REFUSED);
		assert_int_equal(d.o.entry[0].rcode, cases[i].rcode);
		assert_true(strlen(d.o.entry[0].why) > 0);
		assert_true(d.o.is_changed); /* so that the refusal and the message are stored */
		desk_end(&d);
	}
}

static void policy_closes_sources_types_and_locked_children(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.policy.touch = PRT_TOUCH_NS;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_UPDATE_TYPE));
	d.r.policy.touch = PRT_TOUCH_ALL;
	d.r.policy.sources = 0;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_SCHEME_NOT_ADVERTISED));
	d.c.flags |= PRT_CHILD_LOCKED;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_ZONE_LOCKED));
	desk_end(&d);
}

static void changes_come_slowly(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(desk_update(&d, i % 2 == 0 ? SET_DS(DS_2) : SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
		assert_int_equal(desk_update(&d, i % 2 == 0 ? SET_DS(DS_1) : SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED);
		assert_true(desk_is_std(&d, MSP_EDE_BLOCKED));
		d.now.s += 300;
	}
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED); /* the eleventh of a day */
	assert_true(desk_is_std(&d, MSP_EDE_BLOCKED));
	d.now.s += 86400;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	desk_end(&d);
}

static void a_clock_that_was_put_back_locks_nobody_out_for_ever(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	d.now.s -= 100 * 86400;
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_REFUSED);
	d.now.s += 299;
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_REFUSED);
	d.now.s += 1;
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	desk_end(&d);
}

static void a_key_that_is_not_trusted_changes_no_delegation(void **state)
{
	static const struct {
		enum prt_key_state state;
		unsigned rcode;
		enum msp_ede_own ede;
		enum msp_keystate_state says;
	} cases[] = {
		{ PRT_KEY_ABSENT, MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_KEY_UNKNOWN,
		  MSP_KEYSTATE_UNKNOWN }, /* without EDNS */
		{ PRT_KEY_KNOWN, MSP_RCODE_REFUSED, MSP_EDE_KEY_NOT_TRUSTED, MSP_KEYSTATE_BOOTSTRAP_AUTO },
		{ PRT_KEY_MANUAL, MSP_RCODE_REFUSED, MSP_EDE_MANUAL_BOOTSTRAP, MSP_KEYSTATE_BOOTSTRAP_MANUAL },
		{ PRT_KEY_FAILED, MSP_RCODE_REFUSED, MSP_EDE_KEY_VALIDATION_FAILED, MSP_KEYSTATE_VALIDATION_FAILED },
		{ PRT_KEY_DISTRUSTED, MSP_RCODE_REFUSED, MSP_EDE_KEY_NOT_TRUSTED, MSP_KEYSTATE_REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct desk d = desk_begin();

		if (cases[i].state != PRT_KEY_ABSENT) {
			desk_trust(&d, KEY_B);
			d.c.keys.key[1].state = cases[i].state;
		}
		assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_B), cases[i].rcode);
		assert_true(desk_is_own(&d, cases[i].ede));
		assert_true(d.o.has_state);
		assert_int_equal(d.o.keystate, cases[i].says);
		/* anybody can make a key: nothing of it is stored */
		assert_false(d.o.is_changed);
		assert_int_equal(d.o.entries, 0);
		assert_int_equal(d.c.seen_count, 0);
		desk_end(&d);
	}
}

static void a_key_that_was_deleted_since_it_was_looked_up_changes_nothing(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.c.keys.count = 0;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOTAUTH);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	desk_end(&d);
}

static void what_is_not_delegated_is_not_changed(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.c.flags |= PRT_CHILD_GONE;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_NOT_A_DELEGATION));
	d.c.flags = 0;
	prt_delegation_clear(&d.c.registered);
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_B), MSP_RCODE_REFUSED);
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_NOT_A_DELEGATION));
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_ABSENT);
	/* not even a registrar makes a child of it, or a record of one */
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_TSIG), MSP_RCODE_REFUSED);
	assert_false(d.o.is_changed);
	desk_end(&d);
}

/* --- replay ---------------------------------------------------------------------------------------------------------
 */

static void the_same_message_within_30_s_from_there_is_a_retransmission(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	d.now.s += 30;
	assert_int_equal(desk_send(&d, SET_DS(DS_2), KEY_A, 1), MSP_RCODE_NOERROR);
	assert_true(d.o.is_repeat);
	assert_false(d.o.is_changed);
	assert_int_equal(d.o.entries, 0);
	/* a refusal is told again as it was */
	assert_int_equal(desk_update(&d, "del " C " NS\n", KEY_A), MSP_RCODE_REFUSED);
	assert_int_equal(desk_send(&d, "del " C " NS\n", KEY_A, 2), MSP_RCODE_REFUSED);
	assert_true(d.o.is_repeat && desk_is_own(&d, MSP_EDE_DELEGATION_CHECK));
	desk_end(&d);
}

static void later_or_from_elsewhere_it_is_a_replay(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	d.now.s += 31;
	assert_int_equal(desk_send(&d, SET_DS(DS_2), KEY_A, 1), MSP_RCODE_NOTAUTH);
	assert_true(desk_is_own(&d, MSP_EDE_SIG0_REPLAY));
	assert_false(d.o.is_repeat);
	d.now.s -= 30;
	T_OK(msp_addr_parse("192.0.2.78", 4711, &d.peer));
	assert_int_equal(desk_send(&d, SET_DS(DS_2), KEY_A, 1), MSP_RCODE_NOTAUTH);
	assert_true(desk_is_own(&d, MSP_EDE_SIG0_REPLAY));
	desk_end(&d);
}

static void a_replay_does_not_bring_back_what_was_changed_since(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	d.r.policy.cooldown_s = 0;
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR); /* of no effect, but seen */
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	d.now.s += 60;
	assert_int_equal(desk_send(&d, SET_DS(DS_1), KEY_A, 1), MSP_RCODE_NOTAUTH);
	assert_true(t_is(&d.c.registered, USUAL_DS_2));
	desk_end(&d);
}

static void a_refused_message_cannot_be_kept_for_a_better_moment(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, "eq " C " 0 DS " DS_2 "\n" NS_3, KEY_A), MSP_RCODE_NXRRSET);
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR); /* now it would be met */
	d.now.s += 31;
	assert_int_equal(desk_send(&d, "eq " C " 0 DS " DS_2 "\n" NS_3, KEY_A, 1), MSP_RCODE_NOTAUTH);
	desk_end(&d);
}

static void what_cannot_be_remembered_is_not_done(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	for (unsigned i = 0; i < PRT_SEEN_MAX; i++)
		assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.seen_count, PRT_SEEN_MAX);
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_std(&d, MSP_EDE_BLOCKED));
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	assert_int_equal(d.o.entries, 0);
	d.now.s += 311 + 60; /* their signatures are over, by any clock */
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.seen_count, 1);
	desk_end(&d);
}

static void refusals_give_way_to_what_changes_something(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	for (unsigned i = 0; i < 2 * PRT_SEEN_MAX; i++)
		assert_int_equal(desk_update(&d, "del " C " NS\n", KEY_A), MSP_RCODE_REFUSED);
	assert_int_equal(d.c.seen_count, PRT_SEEN_MAX);
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	desk_end(&d);
}

/* Each record is kept for a year. */
static void who_is_refused_all_the_time_does_not_fill_the_trail(void **state)
{
	struct desk d = desk_begin();
	size_t entries = 0;

	(void)state;
	for (unsigned i = 0; i < 4 * PRT_SEEN_MAX; i++) {
		assert_int_equal(desk_update(&d, "del " C " NS\n", KEY_A), MSP_RCODE_REFUSED);
		entries += d.o.entries;
		d.now.s++;
	}
	assert_int_equal(entries, PRT_SEEN_MAX);
	d.now.s += 600;
	assert_int_equal(desk_update(&d, "del " C " NS\n", KEY_A), MSP_RCODE_REFUSED);
	assert_int_equal(d.o.entries, 1);
	desk_end(&d);
}

static void a_message_counts_once_even_where_the_clock_is_a_little_slow(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	d.now.s += 340; /* its signature was good until 310: here */
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	d.now.s -= 35; /* but not there: another process on the same books */
	assert_int_equal(desk_send(&d, SET_DS(DS_1), KEY_A, 1), MSP_RCODE_NOTAUTH);
	desk_end(&d);
}

static void a_cool_down_may_be_longer_than_a_day(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	d.r.policy.cooldown_s = 7 * 86400;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	desk_tick(&d, 3 * 86400);
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_std(&d, MSP_EDE_BLOCKED));
	desk_tick(&d, 4 * 86400);
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	desk_end(&d);
}

/* --- deletion of all DS ---------------------------------------------------------------------------------------------
 */

static void all_ds_go_only_when_asked_twice(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_std(&d, MSP_EDE_NOT_READY));
	assert_int_equal(d.c.pending.wait, PRT_WAIT_CONFIRM);
	assert_int_equal(d.o.entries, 1);
	assert_int_equal(d.o.entry[0].verdict, PRT_VERDICT_WAITS);
	d.now.s += 599;
	assert_int_equal(desk_update(&d, "delrr " C " 0 DS " DS_1 "\n", KEY_A), MSP_RCODE_REFUSED);
	assert_non_null(prt_delegation_ds(&d.c.registered));
	d.now.s += 1;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_NOERROR);
	assert_null(prt_delegation_ds(&d.c.registered));
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	desk_end(&d);
}

static void a_confirmed_deletion_waits_for_its_checks_too(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	d.now.s += 600;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_CHECKS);
	assert_non_null(prt_delegation_ds(&d.c.registered));
	desk_end(&d);
}

static void a_replay_confirms_nothing(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	d.r.confirm_s = 60;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	d.now.s += 60;
	assert_int_equal(desk_send(&d, NO_DS, KEY_A, 1), MSP_RCODE_NOTAUTH);
	assert_non_null(prt_delegation_ds(&d.c.registered));
	desk_end(&d);
}

static void any_other_change_between_begins_the_confirmation_anew(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	d.r.policy.cooldown_s = 0;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_non_null(desk_entry(&d, PRT_VERDICT_DROPPED));
	d.now.s += 600;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	assert_non_null(prt_delegation_ds(&d.c.registered));
	/* another form of the deletion is another question */
	d.now.s += 600;
	assert_int_equal(desk_update(&d, NO_DS NS_3, KEY_A), MSP_RCODE_REFUSED);
	assert_non_null(prt_delegation_ds(&d.c.registered));
	desk_end(&d);
}

static void who_asks_for_the_ds_that_are_there_confirms_nothing(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	assert_non_null(desk_entry(&d, PRT_VERDICT_DROPPED));
	d.now.s += 600;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	assert_non_null(prt_delegation_ds(&d.c.registered));
	desk_end(&d);
}

static void ds_cannot_be_removed_in_two_small_steps(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR); /* waits, and is the base */
	assert_int_equal(desk_update(&d, "delrr " C " 0 DS " DS_2 "\n", KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_std(&d, MSP_EDE_NOT_READY));
	assert_int_equal(d.c.pending.wait, PRT_WAIT_CONFIRM);
	desk_end(&d);
}

static void where_deletion_is_closed_no_number_of_requests_opens_it(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.policy.allow_delete = false;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
		assert_true(desk_is_own(&d, MSP_EDE_CHAIN_WOULD_BREAK));
		d.now.s += 700;
	}
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	desk_end(&d);
}

static void a_deletion_that_nobody_confirms_is_forgotten_after_a_day(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	desk_tick(&d, 86399);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_CONFIRM);
	desk_tick(&d, 1);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	assert_non_null(desk_entry(&d, PRT_VERDICT_DROPPED));
	desk_end(&d);
}

/* --- TTL of DS ------------------------------------------------------------------------------------------------------
 */

static void the_ttl_of_ds_is_low_after_a_change_and_comes_back(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	d.r.ds_ttl = 86400;
	d.r.ds_ttl_changed = 600;
	d.r.ds_ttl_hold_s = 3 * 86400;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A),
			 MSP_RCODE_NOERROR); /* the sender's 300 are not asked for */
	assert_int_equal(prt_delegation_ds(&d.c.registered)->ttl, 600);
	assert_int_equal(desk_update(&d, "del " C " DS\nadd " C " 5 DS " DS_2 "\n", KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.o.entries, 0); /* the same but for the TTL: nothing */
	desk_tick(&d, 3 * 86400 - 1);
	assert_int_equal(prt_delegation_ds(&d.c.registered)->ttl, 600);
	desk_tick(&d, 1);
	assert_int_equal(prt_delegation_ds(&d.c.registered)->ttl, 86400);
	assert_true((d.o.need & PRT_NEED_PUBLISH) != 0);
	assert_non_null(desk_entry(&d, PRT_VERDICT_ACCEPTED));
	assert_int_equal(d.c.change_count, 1); /* the newest is kept; the TTL is nobody's change */
	assert_int_equal(d.c.changes[0].s, d.now.s - 3 * 86400);
	assert_int_equal(d.c.ttl_back.s, 0);
	desk_end(&d);
}

/* --- the note -------------------------------------------------------------------------------------------------------
 */

static void what_became_of_the_change_before_is_told_once(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	snprintf(d.c.note, sizeof(d.c.note), "ns1 does not answer");
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_B), MSP_RCODE_NOTAUTH); /* not to strangers */
	assert_true(d.c.note[0] != '\0');
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	assert_true(desk_is_own(&d, MSP_EDE_DELEGATION_CHECK));
	assert_string_equal(d.o.refusal.why.text, "ns1 does not answer");
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	assert_false(d.o.refusal.has_ede);
	desk_end(&d);
}

/* --- memory ---------------------------------------------------------------------------------------------------------
 */

static void out_of_memory_changes_nothing(void **state)
{
	static const char *const lines[] = { SET_DS(DS_2), NO_DS, "eq " C " 0 DS " DS_1 "\n" SET_DS(DS_2) NS_3,
					     ADD_KEY(KEY_B), DEL_KEYS ADD_KEY(KEY_B) };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(lines) / sizeof(lines[0]); i++) {
		for (size_t n = 1;; n++) {
			struct desk d = desk_begin();
			struct prt_update_in in = { .scratch = &desk_scratch,
						    .key = desk_key(KEY_A),
						    .until = { d.now.s + 310 },
						    .asker = desk_asker(&d, PRT_SRC_UPDATE, "a") };
			struct msp_buf before, after;
			struct msp_msg m;
			enum msp_err err;
			bool failed;

			d.r.no_checks = i % 2 == 0;
			msp_buf_init(&before, 1 << 20);
			msp_buf_init(&after, 1 << 20);
			T_OK(prt_child_write(&d.c, d.now, &before));
			t_update(P, lines[i / 2], desk_mem, sizeof(desk_mem), &desk_scratch, &m);
			in.msg = &m;
			msp_mem_fail_at(n);
			err = prt_desk_update(&d.r, &d.c, &in, d.now, &d.o);
			failed = msp_mem_failed();
			msp_mem_fail_at(0);
			T_OK(prt_child_write(&d.c, d.now, &after));
			if (err != MSP_OK && !msp_span_equal(msp_buf_span(&before), msp_buf_span(&after)))
				fail_msg("%s: the child is another one (allocation %zu)", lines[i / 2], n);
			msp_buf_fini(&before);
			msp_buf_fini(&after);
			desk_end(&d);
			if (!failed)
				break;
			assert_int_not_equal(err, MSP_OK);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_granted_change_waits_for_its_checks),
		cmocka_unit_test(without_checks_it_is_registered_at_once),
		cmocka_unit_test(what_is_there_already_is_granted_and_only_remembered),
		cmocka_unit_test(the_next_update_goes_on_from_the_one_that_waits),
		cmocka_unit_test(a_change_sent_again_while_it_waits_is_granted_once_more),
		cmocka_unit_test(a_change_taken_back_while_it_waits_is_dropped),
		cmocka_unit_test(only_prerequisites_ask_for_nothing),
		cmocka_unit_test(propose_means_that_an_operator_decides),
		cmocka_unit_test(a_registrar_with_tsig_may_where_it_is_open),
		cmocka_unit_test(refusals_say_why_change_nothing_and_are_on_record),
		cmocka_unit_test(policy_closes_sources_types_and_locked_children),
		cmocka_unit_test(changes_come_slowly),
		cmocka_unit_test(a_clock_that_was_put_back_locks_nobody_out_for_ever),
		cmocka_unit_test(a_key_that_is_not_trusted_changes_no_delegation),
		cmocka_unit_test(a_key_that_was_deleted_since_it_was_looked_up_changes_nothing),
		cmocka_unit_test(what_is_not_delegated_is_not_changed),
		cmocka_unit_test(the_same_message_within_30_s_from_there_is_a_retransmission),
		cmocka_unit_test(later_or_from_elsewhere_it_is_a_replay),
		cmocka_unit_test(a_replay_does_not_bring_back_what_was_changed_since),
		cmocka_unit_test(a_refused_message_cannot_be_kept_for_a_better_moment),
		cmocka_unit_test(what_cannot_be_remembered_is_not_done),
		cmocka_unit_test(refusals_give_way_to_what_changes_something),
		cmocka_unit_test(all_ds_go_only_when_asked_twice),
		cmocka_unit_test(a_confirmed_deletion_waits_for_its_checks_too),
		cmocka_unit_test(a_replay_confirms_nothing),
		cmocka_unit_test(any_other_change_between_begins_the_confirmation_anew),
		cmocka_unit_test(who_asks_for_the_ds_that_are_there_confirms_nothing),
		cmocka_unit_test(ds_cannot_be_removed_in_two_small_steps),
		cmocka_unit_test(where_deletion_is_closed_no_number_of_requests_opens_it),
		cmocka_unit_test(a_deletion_that_nobody_confirms_is_forgotten_after_a_day),
		cmocka_unit_test(the_ttl_of_ds_is_low_after_a_change_and_comes_back),
		cmocka_unit_test(what_became_of_the_change_before_is_told_once),
		cmocka_unit_test(out_of_memory_changes_nothing),
		cmocka_unit_test(who_is_refused_all_the_time_does_not_fill_the_trail),
		cmocka_unit_test(a_message_counts_once_even_where_the_clock_is_a_little_slow),
		cmocka_unit_test(a_cool_down_may_be_longer_than_a_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
