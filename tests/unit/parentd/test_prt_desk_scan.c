/* SPDX-License-Identifier: BSD-2-Clause */
/* What looks at CDS, CDNSKEY and CSYNC lead to: RFC 7344, 7477, 8078, 9615; PROTOCOL G.3, G.4. */
#include "prt_desk_build.h"
#include "prt_world.h"

/* A child that is signed by A and B, and what its servers show. */
struct scene {
	struct desk d;
	struct world w;
};

static struct scene scene(void)
{
	struct scene s = { .d = desk_begin(), .w = begin() };

	prt_delegation_clear(&s.d.c.registered);
	prt_delegation_clear(&s.d.c.published);
	T_OK(prt_delegation_dup(&s.w.present, &s.d.c.registered));
	T_OK(prt_delegation_dup(&s.w.present, &s.d.c.published));
	s.d.r.policy.cooldown_s = 0;
	return s;
}

static void leave(struct scene *s)
{
	end(&s->w);
	desk_end(&s->d);
}

static void scan_seen(struct scene *s, const struct prt_dsboot_seen *seen, size_t count)
{
	desk_fresh(&s->d);
	T_OK(prt_desk_scanned(&s->d.r, &s->d.c, &s->w.e, seen, count, s->d.now, &s->d.o));
	desk_restart(&s->d);
}

static void scan(struct scene *s)
{
	scan_seen(s, NULL, 0);
}

static void cds_of(struct scene *s, const unsigned *which, size_t count)
{
	serve_cds(&s->w, 0, which, count, A);
	serve_cds(&s->w, 1, which, count, B);
}

static void sentinel(struct scene *s)
{
	serve_all(&s->w, PRT_Q_CDS, C " 300 CDS 0 0 0 00");
}

static bool has_ds_of(const struct scene *s, const unsigned *which, size_t count)
{
	struct msp_rrset *want = ds_set(&s->w, MSP_TYPE_DS, which, count);
	bool same = msp_rrset_equal(want, prt_delegation_ds(&s->d.c.registered));

	msp_rrset_free(&want);
	return same;
}

/* --- CDS ------------------------------------------------------------------------------------------------------------
 */

static void what_all_servers_ask_for_is_registered_at_once(void **state)
{
	struct scene s = scene();
	char why[512];

	(void)state;
	cds_of(&s, all_three, 3);
	scan(&s);
	assert_true(has_ds_of(&s, all_three, 3));
	assert_true((s.d.o.need & PRT_NEED_PUBLISH) != 0 && (s.d.o.need & PRT_NEED_CHECK) == 0);
	assert_string_equal(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->who, "cds");
	snprintf(why, sizeof(why),
		 "signed at 2027-01-15T05:13:20Z; shown by all that answer; 2 of 2 addresses answer; "
		 "DNSKEY validates by DS %u/15, %u/15; ns1." C " 198.41.0.4:53; ns.other.test. 198.41.0.5:53",
		 msp_key_id(s.w.key[A]), msp_key_id(s.w.key[B]));
	assert_string_equal(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->why, why);
	assert_int_equal(s.d.c.scan.inception, INCEPTION);
	assert_int_equal(s.d.c.change_count, 1);
	scan(&s); /* and then there is nothing to do */
	assert_int_equal(s.d.o.entries, 0);
	assert_int_equal(s.d.o.need, 0);
	leave(&s);
}

static void nothing_shown_is_nothing_asked(void **state)
{
	struct scene s = scene();

	(void)state;
	scan(&s);
	assert_int_equal(s.d.o.entries, 0);
	assert_int_equal(s.d.c.scan.failures, 0);
	assert_int_equal(s.d.c.scan.next.s, 0);
	/* a server that is dead does not make it a matter of ours */
	s.w.e.server[1].answer[PRT_Q_CDS].err = MSP_ETIMEOUT;
	scan(&s);
	assert_int_equal(s.d.c.scan.failures, 0);
	leave(&s);
}

static void a_glance_is_enough_to_see_that_nothing_is_asked(void **state)
{
	struct scene s = scene();

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (unsigned q = 0; q < PRT_Q__N; q++)
			if (q != PRT_Q_CDS && q != PRT_Q_CDNSKEY && q != PRT_Q_CSYNC)
				s.w.e.server[i].answer[q].is_asked = false;
	scan(&s);
	assert_int_equal(s.d.c.scan.failures, 0);
	assert_string_equal(s.d.c.scan.result, "cds: no change; csync: no change");
	/* but nothing is ever accepted by it */
	cds_of(&s, all_three, 3);
	scan(&s);
	assert_true(has_ds_of(&s, both, 2));
	leave(&s);
}

static void servers_that_differ_are_looked_at_again_and_again_then_reported(void **state)
{
	static const int64_t pause[] = { 300, 600, 1200, 2400 };
	struct scene s = scene();

	(void)state;
	serve_cds(&s.w, 0, all_three, 3, A);
	for (size_t i = 0; i < 4; i++) {
		scan(&s);
		assert_int_equal(s.d.c.scan.next.s, s.d.now.s + pause[i]);
		assert_int_equal(s.d.o.need, 0);
		desk_tick(&s.d, pause[i]);
		assert_true((s.d.o.need & PRT_NEED_SCAN) != 0);
	}
	scan(&s);
	assert_true((s.d.o.need & PRT_NEED_REPORT) != 0);
	assert_int_equal(s.d.o.report_ede, MSP_EDE_CDS_INCONSISTENT);
	assert_non_null(desk_entry(&s.d, PRT_VERDICT_REFUSED));
	assert_int_equal(s.d.c.scan.next.s, 0);
	scan(&s); /* the next NOTIFY begins anew */
	assert_int_equal(s.d.c.scan.next.s, s.d.now.s + pause[0]);
	assert_true(has_ds_of(&s, both, 2));
	leave(&s);
}

static void a_look_that_could_not_be_done_counts_as_failed(void **state)
{
	struct scene s = scene();

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		desk_fresh(&s.d);
		T_OK(prt_desk_scan_failed(&s.d.r, &s.d.c, "resolver is down", s.d.now, &s.d.o));
		assert_int_equal((s.d.o.need & PRT_NEED_REPORT) != 0, i == 4);
	}
	leave(&s);
}

static void what_would_break_is_refused_reported_and_on_record_once(void **state)
{
	struct scene s = scene();

	(void)state;
	cds_of(&s, a_only, 1); /* B's server signs with B alone */
	scan(&s);
	assert_true(has_ds_of(&s, both, 2));
	assert_non_null(desk_entry(&s.d, PRT_VERDICT_REFUSED));
	assert_true((s.d.o.need & PRT_NEED_REPORT) != 0);
	assert_int_equal(s.d.o.report_ede, MSP_EDE_CHAIN_WOULD_BREAK);
	assert_int_equal(s.d.c.scan.next.s, 0);
	scan(&s); /* anybody may send NOTIFYs: the trail does not grow by them */
	assert_int_equal(s.d.o.entries, 0);
	assert_int_equal(s.d.o.need, 0);
	leave(&s);
}

static void older_data_is_not_acted_on_but_signers_are_not_compared(void **state)
{
	struct scene s = scene();

	(void)state;
	/* B has signed a week before A */
	cds_of(&s, all_three, 3);
	msp_rrset_free(&s.w.e.server[1].answer[PRT_Q_CDS].sigs);
	s.w.e.server[1].answer[PRT_Q_CDS].sigs =
		sign_at(s.w.e.server[1].answer[PRT_Q_CDS].set, s.w.key[B], &s.w.child, INCEPTION - 86400);
	s.d.c.scan.inception = INCEPTION;
	scan(&s);
	assert_true(has_ds_of(&s, all_three, 3));
	assert_int_equal(s.d.c.scan.inception, INCEPTION);
	/* a week later both servers show what was there before */
	cds_of(&s, both, 2);
	s.d.c.scan.inception = INCEPTION + 1;
	scan(&s);
	assert_true(has_ds_of(&s, all_three, 3));
	assert_int_equal(s.d.c.scan.failures, 1);
	leave(&s);
}

static void cool_down_puts_a_wish_off_and_what_is_shown_then_decides(void **state)
{
	struct scene s = scene();

	(void)state;
	s.d.r.policy.cooldown_s = 300;
	s.d.c.changes[s.d.c.change_count++] = s.d.now;
	cds_of(&s, all_three, 3);
	scan(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_TURN);
	assert_int_equal(s.d.c.pending.next.s, s.d.now.s + 300);
	assert_true(has_ds_of(&s, both, 2));
	scan(&s); /* by another NOTIFY: no second record of it */
	assert_int_equal(s.d.o.entries, 0);
	desk_tick(&s.d, 299);
	assert_int_equal(s.d.o.need & PRT_NEED_SCAN, 0);
	desk_tick(&s.d, 1);
	assert_true((s.d.o.need & PRT_NEED_SCAN) != 0);
	cds_of(&s, both, 2); /* the child has thought better of it */
	scan(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	assert_non_null(desk_entry(&s.d, PRT_VERDICT_DROPPED));
	assert_true(has_ds_of(&s, both, 2));
	leave(&s);
}

static void policy_holds_for_looks_too(void **state)
{
	struct scene s = scene();

	(void)state;
	cds_of(&s, all_three, 3);
	s.d.r.policy.sources &= ~(1u << PRT_SRC_CDS);
	scan(&s);
	assert_true(has_ds_of(&s, both, 2));
	s.d.r.policy.sources = 0x3f;
	s.d.c.flags |= PRT_CHILD_LOCKED;
	scan(&s);
	assert_true(has_ds_of(&s, both, 2));
	assert_non_null(desk_entry(&s.d, PRT_VERDICT_REFUSED));
	s.d.c.flags &= ~PRT_CHILD_LOCKED;
	s.d.r.policy.propose = true;
	scan(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_OPERATOR);
	assert_true(has_ds_of(&s, both, 2));
	leave(&s);
}

/* --- deletion -------------------------------------------------------------------------------------------------------
 */

static void the_sentinel_must_be_seen_twice_ten_minutes_apart(void **state)
{
	struct scene s = scene();

	(void)state;
	sentinel(&s);
	scan(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CONFIRM);
	assert_true(has_ds_of(&s, both, 2));
	desk_tick(&s.d, 300);
	scan(&s); /* a NOTIFY between does not hurry it */
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CONFIRM);
	assert_int_equal(s.d.o.entries, 0);
	desk_tick(&s.d, 299);
	assert_int_equal(s.d.o.need & PRT_NEED_SCAN, 0);
	desk_tick(&s.d, 1);
	assert_true((s.d.o.need & PRT_NEED_SCAN) != 0);
	scan(&s);
	assert_null(prt_delegation_ds(&s.d.c.registered));
	assert_non_null(strstr(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->why, "asked for since 600 s; "));
	assert_non_null(strstr(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->why, "; without DS; "));
	leave(&s);
}

static void a_sentinel_that_is_gone_or_differs_at_the_second_look_does_nothing(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct scene s = scene();

		sentinel(&s);
		scan(&s);
		if (kind == 0)
			serve_all(&s.w, PRT_Q_CDS, NULL);
		else if (kind == 1)
			serve(&s.w, 1, PRT_Q_CDS, NULL, B);
		else if (kind == 2)
			s.w.e.server[1].answer[PRT_Q_CDS].err = MSP_ETIMEOUT;
		else
			cds_of(&s, both, 2);
		s.d.now.s += 600;
		scan(&s);
		assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
		s.w.e.server[1].answer[PRT_Q_CDS].err = MSP_OK;
		sentinel(&s);
		scan(&s); /* it counts anew */
		assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CONFIRM);
		assert_int_equal(s.d.c.pending.since.s, s.d.now.s);
		assert_true(has_ds_of(&s, both, 2));
		leave(&s);
	}
}

static void deletion_may_be_closed(void **state)
{
	struct scene s = scene();

	(void)state;
	s.d.r.policy.allow_delete = false;
	sentinel(&s);
	scan(&s);
	s.d.now.s += 600;
	scan(&s);
	assert_true(has_ds_of(&s, both, 2));
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	leave(&s);
}

static void a_sentinel_and_an_update_confirm_each_other(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		struct scene s = scene();

		s.d.r.no_checks = true;
		sentinel(&s);
		for (unsigned i = 0; i < 2; i++) {
			s.d.now.s += i * 600;
			assert_true(has_ds_of(&s, both, 2));
			if (first == i)
				scan(&s);
			else
				(void)desk_update(&s.d, NO_DS, KEY_A);
			assert_true(i == 1 || s.d.c.pending.wait == PRT_WAIT_CONFIRM);
		}
		assert_null(prt_delegation_ds(&s.d.c.registered));
		leave(&s);
	}
}

static void an_update_between_two_looks_does_not_hurry_them(void **state)
{
	struct scene s = scene();

	(void)state;
	sentinel(&s);
	scan(&s);
	s.d.now.s += 599;
	assert_int_equal(desk_update(&s.d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	scan(&s);
	assert_true(has_ds_of(&s, both, 2));
	s.d.now.s += 1;
	scan(&s);
	assert_null(prt_delegation_ds(&s.d.c.registered));
	leave(&s);
}

/* --- one change at a time -------------------------------------------------------------------------------------------
 */

static void looks_give_way_to_an_update_that_waits(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(desk_update(&s.d, NS_3, KEY_A), MSP_RCODE_NOERROR);
	cds_of(&s, all_three, 3);
	scan(&s);
	assert_int_equal(s.d.c.pending.source, PRT_SRC_UPDATE);
	assert_true(has_ds_of(&s, both, 2));
	assert_true(s.d.c.scan.next.s > s.d.now.s); /* it comes to its turn */
	leave(&s);
}

static void an_update_takes_the_place_of_what_a_look_has_put_in_line(void **state)
{
	struct scene s = scene();

	(void)state;
	s.d.r.policy.propose = true;
	cds_of(&s, all_three, 3);
	scan(&s);
	assert_int_equal(s.d.c.pending.source, PRT_SRC_CDS);
	s.d.r.policy.propose = false;
	assert_int_equal(desk_update(&s.d, NS_3, KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(s.d.c.pending.source, PRT_SRC_UPDATE);
	/* what it asks for is its own, without what the look had found */
	assert_true(msp_rrset_equal(prt_delegation_ds(&s.d.c.pending.wanted), prt_delegation_ds(&s.d.c.registered)));
	assert_non_null(desk_entry(&s.d, PRT_VERDICT_DROPPED));
	assert_true(s.d.c.scan.next.s > 0);
	leave(&s);
}

/* --- the first DS ---------------------------------------------------------------------------------------------------
 */

static void without_ds(struct scene *s)
{
	(void)prt_delegation_del_set(&s->d.c.registered, &s->w.child, MSP_TYPE_DS);
	(void)prt_delegation_del_set(&s->d.c.published, &s->w.child, MSP_TYPE_DS);
}

static void rfc9615_believes_what_all_name_servers_outside_vouch_for(void **state)
{
	struct scene s = scene();
	struct msp_rrset *cds = ds_set(&s.w, MSP_TYPE_CDS, both, 2);
	struct prt_dsboot_seen seen = { .ns = t_name("ns.other.test."), .verdict = MSP_LOOKUP_NODATA, .cds = cds };

	(void)state;
	without_ds(&s);
	cds_of(&s, both, 2);
	scan_seen(&s, &seen, 1);
	assert_true(has_ds_of(&s, both, 2));
	assert_string_equal(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->who, "dsboot");
	assert_non_null(strstr(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->why, "vouched for at 1 signal names; "));
	assert_int_equal(prt_delegation_ds(&s.d.c.registered)->ttl, 3600);
	msp_rrset_free(&cds);
	leave(&s);
}

static void rfc9615_believes_nothing_less(void **state)
{
	static const struct {
		const char *what;
		const char *ns;
		enum msp_lookup verdict;
		const unsigned *keys;
		size_t count, seen;
		bool must_retry;
	} cases[] = {
		{ "not looked at", "ns.other.test.", MSP_LOOKUP_SECURE, both, 2, 0, true },
		{ "another name server", "ns.more.test.", MSP_LOOKUP_SECURE, both, 2, 1, true },
		{ "one key only", "ns.other.test.", MSP_LOOKUP_SECURE, a_only, 1, 1, true },
		{ "another key more", "ns.other.test.", MSP_LOOKUP_SECURE, all_three, 3, 1, true },
		{ "insecure", "ns.other.test.", MSP_LOOKUP_INSECURE, both, 2, 1, false },
		{ "bogus", "ns.other.test.", MSP_LOOKUP_BOGUS, both, 2, 1, false },
		{ "timeout", "ns.other.test.", MSP_LOOKUP_TIMEOUT, both, 2, 1, true },
		{ "nothing there", "ns.other.test.", MSP_LOOKUP_NODATA, NULL, 0, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s = scene();
		struct msp_rrset *cds =
			cases[i].count > 0 ? ds_set(&s.w, MSP_TYPE_CDS, cases[i].keys, cases[i].count) : NULL;
		struct prt_dsboot_seen seen = { .ns = t_name(cases[i].ns), .verdict = cases[i].verdict, .cds = cds };

		without_ds(&s);
		cds_of(&s, both, 2);
		scan_seen(&s, &seen, cases[i].seen);
		if (prt_delegation_ds(&s.d.c.registered) != NULL || (s.d.c.scan.failures > 0) != cases[i].must_retry)
			fail_msg("%s: %s", cases[i].what, s.d.c.scan.result);
		msp_rrset_free(&cds);
		leave(&s);
	}
}

static void rfc9615_needs_a_name_server_outside(void **state)
{
	struct scene s = scene();

	(void)state;
	prt_delegation_clear(&s.d.c.registered);
	t_delegation(&s.d.c.registered, C " 300 NS ns1." C "\n" C " 300 NS ns2." C "\nns1." C
					  " 300 A 198.41.0.4\nns2." C " 300 A 198.41.0.5\n");
	s.w.e.server[1].host = t_name("ns2." C);
	serve_all(&s.w, PRT_Q_NS, C " 300 NS ns1." C "\n" C " 300 NS ns2." C);
	cds_of(&s, both, 2);
	scan(&s);
	assert_null(prt_delegation_ds(&s.d.c.registered));
	assert_non_null(strstr(desk_entry(&s.d, PRT_VERDICT_REFUSED)->why, "outside"));
	leave(&s);
}

static void the_first_ds_must_work_at_every_server(void **state)
{
	struct scene s = scene();
	struct msp_rrset *cds = ds_set(&s.w, MSP_TYPE_CDS, a_only, 1);
	struct prt_dsboot_seen seen = { .ns = t_name("ns.other.test."), .verdict = MSP_LOOKUP_SECURE, .cds = cds };

	(void)state;
	without_ds(&s);
	cds_of(&s, a_only, 1);
	scan_seen(&s, &seen, 1);
	assert_null(prt_delegation_ds(&s.d.c.registered));
	msp_rrset_free(&cds);
	leave(&s);
}

static void the_first_ds_may_prove_itself_by_time(void **state)
{
	struct scene s = scene();
	struct msp_wall begun;

	(void)state;
	s.d.r.dsboot = PRT_DSBOOT_DELAY;
	s.d.r.dsboot_delay_s = 3 * 3600;
	without_ds(&s);
	cds_of(&s, both, 2);
	scan(&s);
	begun = s.d.now;
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CONFIRM);
	for (unsigned i = 0; i < 3; i++) {
		assert_null(prt_delegation_ds(&s.d.c.registered));
		assert_int_equal(s.d.c.pending.since.s, begun.s);
		desk_tick(&s.d, 3600);
		assert_true((s.d.o.need & PRT_NEED_SCAN) != 0);
		scan(&s);
	}
	assert_true(has_ds_of(&s, both, 2));
	leave(&s);
}

static void any_difference_begins_the_delay_anew(void **state)
{
	struct scene s = scene();

	(void)state;
	s.d.r.dsboot = PRT_DSBOOT_DELAY;
	s.d.r.dsboot_delay_s = 3 * 3600;
	without_ds(&s);
	cds_of(&s, both, 2);
	scan(&s);
	s.d.now.s += 2 * 3600;
	cds_of(&s, all_three, 3);
	scan(&s);
	s.d.now.s += 2 * 3600;
	scan(&s);
	assert_null(prt_delegation_ds(&s.d.c.registered));
	s.d.now.s += 3600;
	scan(&s);
	assert_true(has_ds_of(&s, all_three, 3));
	leave(&s);
}

static void what_is_not_there_in_between_begins_the_delay_anew(void **state)
{
	struct scene s = scene();

	(void)state;
	s.d.r.dsboot = PRT_DSBOOT_DELAY;
	s.d.r.dsboot_delay_s = 3 * 3600;
	without_ds(&s);
	cds_of(&s, both, 2);
	scan(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CONFIRM);
	/* it is gone, and who made it seem to be there keeps one server from saying so */
	serve_all(&s.w, PRT_Q_CDS, NULL);
	s.w.e.server[1].answer[PRT_Q_CDS].err = MSP_ETIMEOUT;
	s.d.now.s += 3600;
	scan(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	cds_of(&s, both, 2);
	s.d.now.s += 2 * 3600;
	scan(&s);
	assert_null(prt_delegation_ds(&s.d.c.registered));
	leave(&s);
}

/* The child was insecure for a while: what it said to become so is not to be said again by others. */
static void an_old_sentinel_does_nothing_after_the_first_ds(void **state)
{
	struct scene s = scene();
	struct msp_rrset *cds = ds_set(&s.w, MSP_TYPE_CDS, both, 2);
	struct prt_dsboot_seen seen = { .ns = t_name("ns.other.test."), .verdict = MSP_LOOKUP_SECURE, .cds = cds };

	(void)state;
	without_ds(&s);
	cds_of(&s, both, 2);
	scan_seen(&s, &seen, 1);
	assert_true(has_ds_of(&s, both, 2));
	assert_int_equal(s.d.c.scan.inception, INCEPTION);
	sentinel(&s);
	for (size_t i = 0; i < 2; i++) {
		struct prt_answer *a = &s.w.e.server[i].answer[PRT_Q_CDS];

		msp_rrset_free(&a->sigs);
		a->sigs = sign_at(a->set, s.w.key[i == 0 ? A : B], &s.w.child, INCEPTION - 3600);
	}
	for (unsigned i = 0; i < 3; i++) {
		scan(&s);
		s.d.now.s += 600;
	}
	assert_true(has_ds_of(&s, both, 2));
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	msp_rrset_free(&cds);
	leave(&s);
}

/* Where an operator decides the desk accepts on his word, which has no signature. */
static void older_data_than_an_operator_was_shown_is_not_shown_to_him(void **state)
{
	struct scene s = scene();

	(void)state;
	s.d.r.policy.propose = true;
	cds_of(&s, all_three, 3);
	scan(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_OPERATOR);
	assert_int_equal(s.d.c.scan.inception, INCEPTION);
	leave(&s);
}

static void the_first_ds_is_not_taken_where_that_is_closed(void **state)
{
	struct scene s = scene();

	(void)state;
	s.d.r.dsboot = PRT_DSBOOT_NONE;
	without_ds(&s);
	cds_of(&s, both, 2);
	scan(&s);
	assert_null(prt_delegation_ds(&s.d.c.registered));
	assert_int_equal(s.d.c.scan.failures, 0);
	leave(&s);
}

/* --- CSYNC ----------------------------------------------------------------------------------------------------------
 */

#define NS_NEW C " 300 NS ns1." C "\n" C " 300 NS ns.new.test."

/* Both servers, and that of the new name, show CSYNC and the new NS RRset. */
static void csync_to_new(struct scene *s, const char *csync)
{
	serve_all(&s->w, PRT_Q_CSYNC, csync);
	serve_all(&s->w, PRT_Q_NS, NS_NEW);
	s->w.e.server[1].host = t_name("ns.new.test.");
	address(&s->w, 0, "ns1." C, "ns1." C " 300 A 198.41.0.4", NULL);
	address(&s->w, 1, "ns1." C, "ns1." C " 300 A 198.41.0.4", NULL);
}

static bool names_new(const struct prt_delegation *d)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);
	struct msp_rrset *want = t_rrset(NS_NEW);
	bool same = msp_rrset_equal(ns, want);

	msp_rrset_free(&want);
	return same;
}

static void an_immediate_csync_is_registered_at_once(void **state)
{
	struct scene s = scene();

	(void)state;
	csync_to_new(&s, C " 300 CSYNC 5 1 NS A AAAA");
	scan(&s);
	assert_true(names_new(&s.d.c.registered));
	assert_string_equal(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->who, "csync");
	assert_non_null(
		strstr(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->why, "serial 5; shown by all that answer; 2 of 2 "));
	assert_true(has_ds_of(&s, both, 2));
	leave(&s);
}

static void a_csync_without_immediate_is_for_an_operator_once(void **state)
{
	struct scene s = scene();
	struct prt_asker by = desk_asker(&s.d, PRT_SRC_OPERATOR, "operator anna");

	(void)state;
	csync_to_new(&s, C " 300 CSYNC 7 0 NS A AAAA");
	scan(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_OPERATOR);
	assert_false(names_new(&s.d.c.registered));
	desk_fresh(&s.d);
	T_OK(prt_desk_pending(&s.d.r, &s.d.c, false, false, &by, s.d.now, &s.d.o));
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	scan(&s); /* was rejected */
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	serve_all(&s.w, PRT_Q_CSYNC, C " 300 CSYNC 8 0 NS A AAAA");
	scan(&s); /* asked anew */
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_OPERATOR);
	leave(&s);
}

static void soaminimum_is_waited_for(void **state)
{
	struct scene s = scene();

	(void)state;
	csync_to_new(&s, C " 300 CSYNC 8 3 NS A AAAA"); /* the servers are at 7 */
	scan(&s);
	assert_false(names_new(&s.d.c.registered));
	assert_int_equal(s.d.c.scan.failures, 1);
	serve_all(&s.w, PRT_Q_CSYNC, C " 300 CSYNC 7 3 NS A AAAA");
	scan(&s);
	assert_true(names_new(&s.d.c.registered));
	assert_int_equal(s.d.c.scan.failures, 0);
	leave(&s);
}

static void csync_keeps_the_parents_ttl(void **state)
{
	struct scene s = scene();
	struct msp_name ns1 = t_name("ns1." C);

	(void)state;
	for (size_t i = 0; i < s.d.c.registered.count; i++)
		s.d.c.registered.set[i]->ttl = 86400;
	csync_to_new(&s, C " 300 CSYNC 0 1 NS A AAAA");
	scan(&s);
	assert_true(names_new(&s.d.c.registered));
	assert_int_equal(prt_delegation_ns(&s.d.c.registered)->ttl, 86400);
	assert_int_equal(prt_delegation_get(&s.d.c.registered, &ns1, MSP_TYPE_A)->ttl, 86400);
	leave(&s);
}

static void csync_waits_while_another_change_does(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(desk_update(&s.d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	csync_to_new(&s, C " 300 CSYNC 0 1 NS A AAAA");
	scan(&s);
	assert_false(names_new(&s.d.c.registered));
	assert_int_equal(s.d.c.pending.source, PRT_SRC_UPDATE);
	assert_int_equal(s.d.c.scan.next.s, s.d.now.s + 300);
	leave(&s);
}

static void ds_comes_first_and_csync_has_its_turn_after_it(void **state)
{
	struct scene s = scene();

	(void)state;
	s.d.r.policy.cooldown_s = 300;
	cds_of(&s, all_three, 3);
	csync_to_new(&s, C " 300 CSYNC 0 1 NS A AAAA");
	s.w.rules.strict_ns = s.d.r.check.strict_ns = false;
	s.w.e.server[1].host = t_name("ns.other.test.");
	scan(&s);
	assert_true(has_ds_of(&s, all_three, 3));
	assert_false(names_new(&s.d.c.registered));
	leave(&s);
}

/* --- NOTIFY ---------------------------------------------------------------------------------------------------------
 */

static void a_child_is_looked_at_once_a_minute_and_ten_times_an_hour(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_true(prt_desk_may_scan(&d.c, d.now));
		assert_true(d.c.scan.next.s > d.now.s);
		assert_false(prt_desk_may_scan(&d.c, d.now));
		d.now.s += 59;
		assert_false(prt_desk_may_scan(&d.c, d.now));
		d.now.s += 1;
		desk_restart(&d);
	}
	assert_false(prt_desk_may_scan(&d.c, d.now));
	d.now.s += 3000; /* the first was an hour ago */
	assert_true(prt_desk_may_scan(&d.c, d.now));
	assert_false(prt_desk_may_scan(&d.c, (struct msp_wall){ d.now.s - 86400 }));
	assert_true(prt_desk_may_scan(&d.c, (struct msp_wall){ d.now.s - 86400 + 3600 }));
	desk_end(&d);
}

static void who_notifies_is_swept_less_often(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_true(prt_desk_may_scan(&s.d.c, s.d.now));
	cds_of(&s, all_three, 3);
	scan(&s);
	assert_true((s.d.c.flags & PRT_CHILD_NOTICED) != 0);
	s.d.now.s += 86400;
	cds_of(&s, both, 2);
	scan(&s); /* found without */
	assert_true(has_ds_of(&s, both, 2));
	assert_int_equal(s.d.c.flags & PRT_CHILD_NOTICED, 0);
	leave(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_all_servers_ask_for_is_registered_at_once),
		cmocka_unit_test(nothing_shown_is_nothing_asked),
		cmocka_unit_test(a_glance_is_enough_to_see_that_nothing_is_asked),
		cmocka_unit_test(servers_that_differ_are_looked_at_again_and_again_then_reported),
		cmocka_unit_test(a_look_that_could_not_be_done_counts_as_failed),
		cmocka_unit_test(what_would_break_is_refused_reported_and_on_record_once),
		cmocka_unit_test(older_data_is_not_acted_on_but_signers_are_not_compared),
		cmocka_unit_test(cool_down_puts_a_wish_off_and_what_is_shown_then_decides),
		cmocka_unit_test(policy_holds_for_looks_too),
		cmocka_unit_test(the_sentinel_must_be_seen_twice_ten_minutes_apart),
		cmocka_unit_test(a_sentinel_that_is_gone_or_differs_at_the_second_look_does_nothing),
		cmocka_unit_test(deletion_may_be_closed),
		cmocka_unit_test(a_sentinel_and_an_update_confirm_each_other),
		cmocka_unit_test(an_update_between_two_looks_does_not_hurry_them),
		cmocka_unit_test(looks_give_way_to_an_update_that_waits),
		cmocka_unit_test(an_update_takes_the_place_of_what_a_look_has_put_in_line),
		cmocka_unit_test(rfc9615_believes_what_all_name_servers_outside_vouch_for),
		cmocka_unit_test(rfc9615_believes_nothing_less),
		cmocka_unit_test(rfc9615_needs_a_name_server_outside),
		cmocka_unit_test(the_first_ds_must_work_at_every_server),
		cmocka_unit_test(the_first_ds_may_prove_itself_by_time),
		cmocka_unit_test(any_difference_begins_the_delay_anew),
		cmocka_unit_test(the_first_ds_is_not_taken_where_that_is_closed),
		cmocka_unit_test(an_immediate_csync_is_registered_at_once),
		cmocka_unit_test(a_csync_without_immediate_is_for_an_operator_once),
		cmocka_unit_test(soaminimum_is_waited_for),
		cmocka_unit_test(csync_keeps_the_parents_ttl),
		cmocka_unit_test(csync_waits_while_another_change_does),
		cmocka_unit_test(ds_comes_first_and_csync_has_its_turn_after_it),
		cmocka_unit_test(a_child_is_looked_at_once_a_minute_and_ten_times_an_hour),
		cmocka_unit_test(who_notifies_is_swept_less_often),
		cmocka_unit_test(what_is_not_there_in_between_begins_the_delay_anew),
		cmocka_unit_test(an_old_sentinel_does_nothing_after_the_first_ds),
		cmocka_unit_test(older_data_than_an_operator_was_shown_is_not_shown_to_him),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
