/* SPDX-License-Identifier: BSD-2-Clause */
/* What waits and what ends it; the parent zone; operators. PROTOCOL G.4, G.5, G.8. */
#include "prt_desk_build.h"
#include "prt_world.h"

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
	return s;
}

static void leave(struct scene *s)
{
	end(&s->w);
	desk_end(&s->d);
}

/* An UPDATE to the DS of these keys. */
static unsigned ask_ds(struct scene *s, const unsigned *which, size_t count)
{
	struct msp_rrset *set = ds_set(&s->w, MSP_TYPE_DS, which, count);
	struct msp_buf lines;
	unsigned rcode;

	msp_buf_init(&lines, 1 << 16);
	msp_buf_add_str(&lines, NO_DS);
	for (size_t i = 0; i < set->count; i++) {
		struct msp_rr rr = { .owner = set->owner, .type = set->type, .cls = MSP_CLASS_IN, .ttl = 300 };

		rr.rdata = set->rdata[i];
		msp_buf_add_str(&lines, "add ");
		msp_rr_print(&lines, NULL, &rr);
		msp_buf_add_str(&lines, "\n");
	}
	rcode = desk_update(&s->d, msp_buf_text(&lines), KEY_A);
	msp_buf_fini(&lines);
	msp_rrset_free(&set);
	return rcode;
}

static bool has_ds_of(const struct scene *s, const unsigned *which, size_t count)
{
	struct msp_rrset *want = ds_set(&s->w, MSP_TYPE_DS, which, count);
	bool same = msp_rrset_equal(want, prt_delegation_ds(&s->d.c.registered));

	msp_rrset_free(&want);
	return same;
}

static void checked(struct scene *s)
{
	desk_fresh(&s->d);
	T_OK(prt_desk_checked(&s->d.r, &s->d.c, &s->w.e, s->d.now, &s->d.o));
	desk_restart(&s->d);
}

/* --- checks ---------------------------------------------------------------------------------------------------------
 */

static void what_works_at_all_servers_becomes_registered(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	checked(&s);
	assert_true(has_ds_of(&s, all_three, 3));
	assert_true((s.d.o.need & PRT_NEED_PUBLISH) != 0);
	assert_string_equal(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->who, KEY_A);
	checked(&s); /* once more means nothing */
	assert_false(s.d.o.is_changed);
	leave(&s);
}

/* The trail says who, by which message, and on what evidence. */
static void an_acceptance_after_checks_says_who_asked_and_what_was_seen(void **state)
{
	struct scene s = scene();
	const struct prt_audit *a;
	char proof[64];

	(void)state;
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	assert_true(desk_is_by_message(&s.d, desk_entry(&s.d, PRT_VERDICT_WAITS), 1));
	checked(&s);
	a = desk_entry(&s.d, PRT_VERDICT_ACCEPTED);
	assert_true(desk_is_by_message(&s.d, a, 1));
	assert_int_equal(a->source, PRT_SRC_UPDATE);
	assert_non_null(strstr(a->why, "2 of 2 addresses answer"));
	snprintf(proof, sizeof(proof), "DNSKEY validates by DS %u/15, %u/15", msp_key_id(s.w.key[A]),
		 msp_key_id(s.w.key[B]));
	assert_non_null(strstr(a->why, proof));
	assert_non_null(strstr(a->why, "ns1." C " 198.41.0.4"));
	assert_non_null(strstr(a->why, "ns.other.test. 198.41.0.5"));
	leave(&s);
}

static void an_acceptance_says_what_did_not_stand_in_its_way(void **state)
{
	struct scene s = scene();
	const struct prt_audit *a;

	(void)state;
	s.d.r.check.min_servers = 1;
	s.d.r.check.strict_ns = false;
	serve(&s.w, 0, PRT_Q_NS, C " 300 NS ns9.test.", A);
	s.w.e.server[1].answer[PRT_Q_SOA].err = MSP_ETIMEOUT;
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	checked(&s);
	a = desk_entry(&s.d, PRT_VERDICT_ACCEPTED);
	assert_non_null(strstr(a->why, "1 of 2 addresses answer"));
	assert_non_null(strstr(a->why, "but ns1." C " 198.41.0.4:53 has another NS RRset"));
	assert_non_null(strstr(a->why, "but ns.other.test. 198.41.0.5:53: "));
	leave(&s);
}

static void evidence_that_is_too_long_is_cut(void **state)
{
	static const char label[] = "a234567890123456789012345678901234567890123456789012345678901";
	struct scene s = scene();
	char lines[2048], host[256];

	(void)state;
	snprintf(host, sizeof(host), "%s.%s.%s.%s.test.", label, label, label, label + 30);
	snprintf(lines, sizeof(lines), "delrr " C " 0 NS ns.other.test.\nadd " C " 300 NS %s\n", host);
	s.d.r.check.strict_ns = false;
	s.w.e.server[1].host = t_name(host);
	assert_int_equal(desk_update(&s.d, lines, KEY_A), MSP_RCODE_NOERROR);
	checked(&s);
	assert_int_equal(strlen(desk_entry(&s.d, PRT_VERDICT_ACCEPTED)->why), 511);
	leave(&s);
}

static void the_last_usable_ds_of_a_provider_stays_and_the_child_is_told(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(ask_ds(&s, a_only, 1), MSP_RCODE_NOERROR);
	checked(&s);
	assert_true(has_ds_of(&s, both, 2));
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	assert_non_null(strstr(desk_entry(&s.d, PRT_VERDICT_DROPPED)->why, "ns.other.test."));
	assert_true(desk_is_by_message(&s.d, desk_entry(&s.d, PRT_VERDICT_DROPPED), 1));
	assert_true(desk_is_own(&s.d, MSP_EDE_CHAIN_WOULD_BREAK));
	s.d.now.s += 300;
	assert_int_equal(ask_ds(&s, both, 2), MSP_RCODE_NOERROR);
	assert_true(desk_is_own(&s.d, MSP_EDE_DELEGATION_CHECK));
	assert_non_null(strstr(s.d.o.refusal.why.text, "ns.other.test."));
	leave(&s);
}

static void servers_out_of_reach_are_tried_four_times(void **state)
{
	struct scene s = scene();

	(void)state;
	s.w.e.server[1].answer[PRT_Q_SOA].err = MSP_ETIMEOUT;
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	for (unsigned i = 0; i < 3; i++) {
		checked(&s);
		assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CHECKS);
		assert_int_equal(s.d.c.pending.next.s, s.d.now.s + (int64_t)s.d.r.scan_retry_s[i]);
		desk_tick(&s.d, s.d.r.scan_retry_s[i]);
		assert_true((s.d.o.need & PRT_NEED_CHECK) != 0);
	}
	checked(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	assert_true(s.d.c.note[0] != '\0');
	assert_true(has_ds_of(&s, both, 2));
	leave(&s);
}

static void a_key_that_was_not_told_may_come_later(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	msp_rrset_free(&s.w.e.server[0].answer[PRT_Q_DNSKEY].set);
	s.w.e.server[0].answer[PRT_Q_DNSKEY].err = MSP_ETIMEOUT;
	checked(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CHECKS);
	leave(&s);
}

static void the_servers_of_another_change_prove_nothing(void **state)
{
	static const char *const lines[] = {
		"delrr " C " 0 NS ns.other.test.\nadd " C " 300 NS ns.new.test.\n", /* another server */
		"del ns1." C " A\nadd ns1." C " 300 A 198.41.0.9\n",                /* another address */
		"add ns1." C " 300 A 198.41.0.9\n",                                 /* one address more */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct scene s = scene();

		s.d.r.check.strict_ns = false;
		assert_int_equal(desk_update(&s.d, lines[i], KEY_A), MSP_RCODE_NOERROR);
		checked(&s);
		assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CHECKS);
		assert_true((s.d.o.need & PRT_NEED_CHECK) != 0);
		for (unsigned n = 0; n < 3; n++) /* not for ever */
			checked(&s);
		assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
		assert_true(prt_delegation_equal(&s.d.c.registered, &s.w.present));
		leave(&s);
	}
}

static void a_family_that_is_not_used_here_needs_no_evidence(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(desk_update(&s.d, "add ns1." C " 300 AAAA 2001:503:ba3e::2:30\n", KEY_A), MSP_RCODE_NOERROR);
	checked(&s); /* all that was asked is IPv4 */
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	assert_int_equal(s.d.c.change_count, 1);
	leave(&s);
}

static void a_lock_that_came_meanwhile_holds(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	s.d.c.flags |= PRT_CHILD_LOCKED;
	checked(&s);
	assert_true(has_ds_of(&s, both, 2));
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_NONE);
	leave(&s);
}

static void a_change_that_others_were_faster_than_waits_for_its_turn(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	s.d.c.changes[s.d.c.change_count++] = s.d.now;
	checked(&s);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_TURN);
	desk_tick(&s.d, 299);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_TURN);
	desk_tick(&s.d, 1);
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CHECKS); /* what was seen then is old */
	assert_true((s.d.o.need & PRT_NEED_CHECK) != 0);
	checked(&s);
	assert_true(has_ds_of(&s, all_three, 3));
	leave(&s);
}

static void a_confirmed_deletion_is_done_after_its_checks(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(desk_update(&s.d, NO_DS, KEY_A), MSP_RCODE_REFUSED);
	checked(&s); /* means nothing yet */
	assert_true(has_ds_of(&s, both, 2));
	s.d.now.s += 600;
	assert_int_equal(desk_update(&s.d, NO_DS, KEY_A), MSP_RCODE_NOERROR);
	checked(&s);
	assert_null(prt_delegation_ds(&s.d.c.registered));
	leave(&s);
}

static void a_look_of_which_nothing_is_heard_is_asked_for_again(void **state)
{
	struct scene s = scene();

	(void)state;
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	desk_tick(&s.d, 299);
	assert_int_equal(s.d.o.need, 0);
	desk_tick(&s.d, 1);
	assert_true((s.d.o.need & PRT_NEED_CHECK) != 0);
	desk_tick(&s.d, 299);
	assert_int_equal(s.d.o.need, 0);
	leave(&s);
}

/* --- every state and every event ------------------------------------------------------------------------------------
 */

/* What waits, for whom; and what is there after each event: N nothing, C checks, F confirm, T turn, O operator.
 * Capital: the same change; small: another one. '+' behind it: the change that waited is registered. */
static const struct {
	enum prt_wait wait;
	enum prt_source source;
	const char *after[9];
} table[] = {
	/* checked good, bad, silent; tick; approve, force, reject; imported by others; locked and checked */
	{ PRT_WAIT_NONE, PRT_SRC_UPDATE, { "N", "N", "N", "N", "N", "N", "N", "N", "N" } },
	{ PRT_WAIT_CHECKS, PRT_SRC_UPDATE, { "N+", "N", "C", "C", "C", "N+", "N", "N", "N" } },
	{ PRT_WAIT_CHECKS, PRT_SRC_TSIG, { "N+", "N", "C", "C", "C", "N+", "N", "N", "N" } },
	{ PRT_WAIT_CHECKS, PRT_SRC_OPERATOR, { "N+", "N", "C", "C", "C", "N+", "N", "N", "N+" } },
	{ PRT_WAIT_CONFIRM, PRT_SRC_UPDATE, { "F", "F", "F", "N", "C", "N+", "N", "N", "F" } },
	{ PRT_WAIT_CONFIRM, PRT_SRC_CDS, { "F", "F", "F", "F", "C", "N+", "N", "N", "F" } },
	{ PRT_WAIT_TURN, PRT_SRC_UPDATE, { "T", "T", "T", "C", "C", "N+", "N", "N", "T" } },
	{ PRT_WAIT_TURN, PRT_SRC_CDS, { "T", "T", "T", "T", "C", "N+", "N", "N", "T" } },
	{ PRT_WAIT_TURN, PRT_SRC_CSYNC, { "T", "T", "T", "T", "C", "N+", "N", "N", "T" } },
	{ PRT_WAIT_OPERATOR, PRT_SRC_UPDATE, { "O", "O", "O", "O", "C", "N+", "N", "N", "O" } },
	{ PRT_WAIT_OPERATOR, PRT_SRC_CDS, { "O", "O", "O", "O", "C", "N+", "N", "N", "O" } },
	{ PRT_WAIT_OPERATOR, PRT_SRC_CSYNC, { "O", "O", "O", "O", "C", "N+", "N", "N", "O" } },
};

static void happen(struct scene *s, unsigned event)
{
	struct prt_asker by = desk_asker(&s->d, PRT_SRC_OPERATOR, "operator anna");
	struct prt_delegation other;
	enum msp_err err = MSP_OK;

	desk_fresh(&s->d);
	switch (event) {
	case 1:
		s->w.e.server[1].answer[PRT_Q_SOA].is_authoritative = false;
		break;
	case 2:
		s->w.e.server[1].answer[PRT_Q_SOA].err = MSP_ETIMEOUT;
		break;
	case 3:
		s->d.now.s += 86400;
		T_OK(prt_desk_tick(&s->d.r, &s->d.c, s->d.now, &s->d.o));
		return;
	case 4:
	case 5:
	case 6:
		err = prt_desk_pending(&s->d.r, &s->d.c, event != 6, event == 5, &by, s->d.now, &s->d.o);
		assert_true(err == MSP_OK || err == MSP_ESTATE || err == MSP_ENOTFOUND);
		assert_true(err == MSP_OK || s->d.o.refusal.why.text[0] != '\0');
		return;
	case 7:
		t_delegation(&other, USUAL);
		T_OK(prt_desk_imported(&s->d.c, &other, s->d.now, &s->d.o));
		prt_delegation_clear(&other);
		return;
	case 8:
		s->d.c.flags |= PRT_CHILD_LOCKED;
		break;
	default:
		break;
	}
	T_OK(prt_desk_checked(&s->d.r, &s->d.c, &s->w.e, s->d.now, &s->d.o));
}

static void every_wait_answers_every_event(void **state)
{
	static const char letters[PRT_WAIT__N + 1] = "NCFTO";

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (unsigned e = 0; e < 9; e++) {
			struct scene s = scene();
			struct prt_pending *p = &s.d.c.pending;
			struct prt_delegation wanted;
			const char *want = table[i].after[e];
			struct msp_rrset *ds = ds_set(&s.w, MSP_TYPE_DS, all_three, 3);
			bool registered;

			T_OK(prt_delegation_dup(&s.d.c.registered, &wanted));
			T_OK(prt_delegation_put(&wanted, &s.w.child, MSP_TYPE_DS, ds));
			msp_rrset_free(&ds);
			if (table[i].wait != PRT_WAIT_NONE) {
				p->wait = table[i].wait;
				p->source = table[i].source;
				T_OK(prt_delegation_dup(&wanted, &p->wanted));
				p->since = s.d.now;
				p->next.s = table[i].wait == PRT_WAIT_OPERATOR ? 0 : s.d.now.s + 600;
				snprintf(p->who, sizeof(p->who), "key 1");
			}
			happen(&s, e);
			registered = prt_delegation_equal(&s.d.c.registered, &wanted);
			if (letters[p->wait] != want[0] || registered != (want[1] == '+'))
				fail_msg("%s of %s, event %u: %c%s, wanted %s", prt_wait_name(table[i].wait),
					 prt_source_name(table[i].source), e, letters[p->wait], registered ? "+" : "",
					 want);
			/* nothing ends without a record */
			if (table[i].wait != PRT_WAIT_NONE && p->wait == PRT_WAIT_NONE)
				assert_true(s.d.o.entries > 0 && s.d.o.is_changed);
			desk_restart(&s.d);
			prt_delegation_clear(&wanted);
			leave(&s);
		}
	}
}

/* --- the parent zone ------------------------------------------------------------------------------------------------
 */

static void import(struct desk *d, const char *lines)
{
	struct prt_delegation z;

	t_delegation(&z, lines);
	desk_fresh(d);
	T_OK(prt_desk_imported(&d->c, &z, d->now, &d->o));
	desk_restart(d);
	prt_delegation_clear(&z);
}

static void published(struct desk *d)
{
	struct prt_delegation z;

	T_OK(prt_delegation_dup(&d->c.registered, &z));
	desk_fresh(d);
	T_OK(prt_desk_published_by(&d->c, "knot", &z, d->now, &d->o));
	desk_restart(d);
	prt_delegation_clear(&z);
}

static void what_others_change_in_the_parent_zone_is_taken_over(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	import(&d, USUAL);
	assert_false(d.o.is_changed);
	import(&d, USUAL C " 300 NS ns3.other.test.\n");
	assert_true(t_is(&d.c.registered, USUAL C " 300 NS ns3.other.test.\n"));
	assert_false(prt_child_is_unpublished(&d.c));
	assert_int_equal(d.o.need, 0);
	assert_non_null(desk_entry(&d, PRT_VERDICT_IMPORTED));
	assert_int_equal(d.c.change_count, 0); /* it is not the child's */
	desk_end(&d);
}

static void a_child_that_is_seen_for_the_first_time_is_taken_over(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	prt_delegation_clear(&d.c.registered);
	prt_delegation_clear(&d.c.published);
	import(&d, "");
	assert_false(d.o.is_changed);
	import(&d, USUAL);
	assert_true(d.o.is_changed && t_is(&d.c.registered, USUAL));
	assert_string_equal(desk_entry(&d, PRT_VERDICT_IMPORTED)->who, "parent zone");
	assert_int_equal(desk_entry(&d, PRT_VERDICT_IMPORTED)->source, PRT_SRC_NONE);
	assert_int_equal(d.o.need, 0);
	desk_end(&d);
}

static void who_adds_a_child_is_on_record(void **state)
{
	struct desk d = desk_begin();
	struct prt_asker by = { .source = PRT_SRC_OPERATOR, .who = "operator anna" };
	struct prt_delegation z;

	(void)state;
	prt_delegation_clear(&d.c.registered);
	prt_delegation_clear(&d.c.published);
	t_delegation(&z, USUAL);
	T_OK(prt_desk_added(&d.c, &z, &by, d.now, &d.o));
	prt_delegation_clear(&z);
	desk_restart(&d);
	assert_true(d.o.is_changed && t_is(&d.c.registered, USUAL) && !prt_child_is_unpublished(&d.c));
	assert_int_equal(d.o.entries, 1);
	assert_string_equal(desk_entry(&d, PRT_VERDICT_IMPORTED)->who, "operator anna");
	assert_int_equal(desk_entry(&d, PRT_VERDICT_IMPORTED)->source, PRT_SRC_OPERATOR);
	assert_string_equal(desk_entry(&d, PRT_VERDICT_IMPORTED)->rule, "add");
	desk_end(&d);
}

static void what_was_accepted_and_is_not_published_yet_stands(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	import(&d, USUAL C " 300 NS ns3.other.test.\n");
	assert_null(desk_entry(&d, PRT_VERDICT_IMPORTED));
	assert_true(prt_child_is_unpublished(&d.c));
	assert_true((d.o.need & PRT_NEED_PUBLISH) != 0);
	published(&d);
	assert_false(prt_child_is_unpublished(&d.c));
	assert_string_equal(desk_entry(&d, PRT_VERDICT_PUBLISHED)->who, "backend knot");
	assert_int_equal(desk_entry(&d, PRT_VERDICT_PUBLISHED)->source, PRT_SRC_NONE);
	published(&d);
	assert_false(d.o.is_changed);
	desk_end(&d);
}

static void a_change_that_was_meant_for_another_delegation_is_dropped(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	import(&d, USUAL C " 300 NS ns3.other.test.\n");
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	assert_non_null(desk_entry(&d, PRT_VERDICT_DROPPED));
	assert_true(d.c.note[0] != '\0');
	desk_end(&d);
}

static void a_delegation_that_is_gone_takes_trust_with_it(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	d.c.flags |= PRT_CHILD_LOCKED;
	import(&d, "");
	assert_true((d.c.flags & PRT_CHILD_GONE) != 0);
	assert_int_equal(d.c.keys.count, 0);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	assert_int_equal(d.c.registered.count, 0);
	assert_non_null(desk_entry(&d, PRT_VERDICT_KEY));
	assert_int_equal(prt_child_due(&d.c).s, 0);
	import(&d, "");
	assert_false(d.o.is_changed);
	/* it comes back, perhaps to another owner */
	import(&d, USUAL);
	assert_int_equal(d.c.flags, PRT_CHILD_LOCKED);
	assert_true(t_is(&d.c.registered, USUAL));
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOTAUTH);
	desk_end(&d);
}

static void even_an_accepted_change_does_not_bring_back_what_is_gone(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	import(&d, "");
	assert_int_equal(d.c.registered.count, 0);
	assert_false(prt_child_is_unpublished(&d.c));
	desk_end(&d);
}

/* Others removed it while the backend was putting our change there: an import between the two saw nothing. */
static void what_the_backend_has_put_back_is_there_again(void **state)
{
	struct desk d = desk_begin();
	struct prt_delegation accepted;

	(void)state;
	d.r.no_checks = true;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	T_OK(prt_delegation_dup(&d.c.registered, &accepted));
	import(&d, "");
	desk_fresh(&d);
	T_OK(prt_desk_published_by(&d.c, "", &accepted, d.now, &d.o));
	desk_fresh(&d);
	T_OK(prt_desk_imported(&d.c, &accepted, d.now, &d.o));
	assert_int_equal(d.c.flags & PRT_CHILD_GONE, 0);
	assert_true(prt_delegation_equal(&d.c.registered, &accepted));
	prt_delegation_clear(&accepted);
	desk_end(&d);
}

static void what_the_backend_never_takes_is_taken_back_and_told(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.no_checks = true;
	d.r.policy.cooldown_s = 0;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	desk_fresh(&d);
	T_OK(prt_desk_refused_by(&d.c, "epp", "EPP 2306", d.now, &d.o));
	desk_restart(&d);
	assert_true(t_is(&d.c.registered, USUAL));
	assert_string_equal(desk_entry(&d, PRT_VERDICT_FAILED)->who, "backend epp");
	assert_int_equal(desk_entry(&d, PRT_VERDICT_FAILED)->source, PRT_SRC_NONE);
	assert_int_equal(desk_update(&d, SET_DS(DS_1), KEY_A), MSP_RCODE_NOERROR);
	assert_non_null(strstr(d.o.refusal.why.text, "EPP 2306"));
	desk_fresh(&d);
	T_OK(prt_desk_refused_by(&d.c, "epp", "again", d.now, &d.o)); /* nothing is unpublished */
	assert_false(d.o.is_changed);
	desk_end(&d);
}

/* --- operators ------------------------------------------------------------------------------------------------------
 */

static enum msp_err set(struct desk *d, const char *lines, bool force)
{
	struct prt_asker by = desk_asker(d, PRT_SRC_OPERATOR, "operator anna");
	struct prt_delegation wanted;
	enum msp_err err;

	t_delegation(&wanted, lines);
	desk_fresh(d);
	err = prt_desk_set(&d->r, &d->c, &wanted, force, &by, d->now, &d->o);
	desk_restart(d);
	prt_delegation_clear(&wanted);
	return err;
}

static void an_operator_sets_what_works(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.c.flags |= PRT_CHILD_LOCKED; /* does not hold for operators, nor does the cool-down */
	d.c.changes[d.c.change_count++] = d.now;
	T_OK(set(&d, USUAL C " 300 NS ns3.other.test.\n", false));
	assert_int_equal(d.c.pending.wait, PRT_WAIT_CHECKS);
	assert_int_equal(d.c.pending.source, PRT_SRC_OPERATOR);
	T_ERR(set(&d, C " 300 NS ns1." C "\n", false), MSP_ESTATE); /* of no shape that works */
	assert_true(d.o.refusal.why.text[0] != '\0');
	T_OK(set(&d, C " 300 NS ns1." C "\n", true)); /* "force" is his responsibility */
	assert_true(t_is(&d.c.registered, C " 300 NS ns1." C "\n"));
	T_ERR(set(&d, "", true), MSP_ESTATE); /* but there is no delegation without NS */
	d.c.flags |= PRT_CHILD_GONE;
	T_ERR(set(&d, USUAL, true), MSP_ESTATE);
	desk_end(&d);
}

/* He approves what he has seen, not what has taken its place since. */
static void each_change_that_waits_has_a_print_of_its_own(void **state)
{
	struct desk d = desk_begin();
	uint8_t first[PRT_HASH_LEN], second[PRT_HASH_LEN], again[PRT_HASH_LEN];

	(void)state;
	T_ERR(prt_pending_print(&d.c, first), MSP_ENOTFOUND);
	d.r.policy.propose = true;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.pending.wait, PRT_WAIT_OPERATOR);
	T_OK(prt_pending_print(&d.c, first));
	desk_restart(&d);
	T_OK(prt_pending_print(&d.c, again));
	assert_memory_equal(first, again, sizeof(first));
	assert_int_equal(desk_update(&d, NS_3, KEY_A), MSP_RCODE_NOERROR);
	T_OK(prt_pending_print(&d.c, second));
	assert_memory_not_equal(first, second, sizeof(first));
	desk_end(&d);
}

static void an_update_does_not_displace_what_an_operator_has_set(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	T_OK(set(&d, USUAL C " 300 NS ns3.other.test.\n", false));
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_std(&d, MSP_EDE_BLOCKED));
	assert_int_equal(d.c.pending.source, PRT_SRC_OPERATOR);
	desk_end(&d);
}

static void an_operator_takes_the_place_of_an_update_and_its_sender_is_told(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	T_OK(set(&d, USUAL C " 300 NS ns3.other.test.\n", false));
	assert_non_null(desk_entry(&d, PRT_VERDICT_DROPPED));
	assert_true(d.c.note[0] != '\0');
	T_OK(set(&d, USUAL, false)); /* what is registered: nothing waits any more */
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	desk_end(&d);
}

static void approved_changes_are_checked_all_the_same(void **state)
{
	struct scene s = scene();
	struct prt_asker by = { .source = PRT_SRC_OPERATOR, .who = "operator anna" };
	const struct prt_audit *accepted;
	uint8_t message[PRT_HASH_LEN];

	(void)state;
	s.d.r.policy.propose = true;
	assert_int_equal(ask_ds(&s, a_only, 1), MSP_RCODE_NOERROR);
	desk_fresh(&s.d);
	T_OK(prt_desk_pending(&s.d.r, &s.d.c, true, false, &by, s.d.now, &s.d.o));
	assert_int_equal(s.d.c.pending.wait, PRT_WAIT_CHECKS);
	assert_int_equal(s.d.c.pending.source, PRT_SRC_OPERATOR);
	assert_true((s.d.o.need & PRT_NEED_CHECK) != 0);
	checked(&s);
	assert_true(has_ds_of(&s, both, 2));
	assert_int_equal(ask_ds(&s, all_three, 3), MSP_RCODE_NOERROR);
	desk_fresh(&s.d);
	T_OK(prt_desk_pending(&s.d.r, &s.d.c, true, false, &by, s.d.now, &s.d.o));
	s.d.c.flags |= PRT_CHILD_LOCKED; /* on the operator's word now */
	checked(&s);
	assert_true(has_ds_of(&s, all_three, 3));
	/* on his word, about the message of the child */
	accepted = desk_entry(&s.d, PRT_VERDICT_ACCEPTED);
	memset(message, 3, sizeof(message));
	assert_string_equal(accepted->who, "operator anna");
	assert_int_equal(accepted->source, PRT_SRC_OPERATOR);
	assert_int_equal(accepted->key_tag, 0);
	assert_int_equal(accepted->peer.family, MSP_FAMILY_NONE);
	assert_memory_equal(accepted->message, message, sizeof(message));
	leave(&s);
}

static void locks_are_set_and_taken_off_once(void **state)
{
	struct desk d = desk_begin();
	struct prt_asker by = desk_asker(&d, PRT_SRC_OPERATOR, "operator anna");

	(void)state;
	T_OK(prt_desk_lock(&d.c, true, "court order", &by, d.now, &d.o));
	assert_string_equal(d.c.lock_why, "court order");
	assert_non_null(desk_entry(&d, PRT_VERDICT_LOCK));
	T_ERR(prt_desk_lock(&d.c, true, "again", &by, d.now, &d.o), MSP_ESTATE);
	assert_string_equal(d.c.lock_why, "court order");
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_REFUSED);
	desk_fresh(&d);
	T_OK(prt_desk_lock(&d.c, false, NULL, &by, d.now, &d.o));
	assert_string_equal(d.c.lock_why, "");
	T_ERR(prt_desk_lock(&d.c, false, NULL, &by, d.now, &d.o), MSP_ESTATE);
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	desk_end(&d);
}

static void a_trial_says_what_would_happen_and_changes_nothing(void **state)
{
	struct desk d = desk_begin();
	struct prt_delegation wanted;
	struct prt_trial t;

	(void)state;
	t_delegation(&wanted, C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 127.0.0.1\n");
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_UPDATE, d.now, &t);
	assert_int_equal(t.ruling.decision, PRT_CONFIRM); /* if its shape were one that works */
	assert_true((t.losses & PRT_LOSS_LAST_DS) != 0);
	assert_int_equal(t.touch, PRT_TOUCH_DS | PRT_TOUCH_GLUE);
	assert_int_equal(t.shape, MSP_EVALUE);
	assert_true(t.shape_why.text[0] != '\0');
	d.c.flags |= PRT_CHILD_LOCKED;
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_UPDATE, d.now, &t);
	assert_int_equal(t.ruling.decision, PRT_REFUSE);
	assert_string_equal(t.ruling.rule, "locked");
	prt_delegation_clear(&wanted);
	assert_true(t_is(&d.c.registered, USUAL));
	desk_end(&d);
}

#define NS_AND_GLUE (PRT_TOUCH_NS | PRT_TOUCH_GLUE)
#define NO_KEY      (PRT_TOUCH_NS | PRT_TOUCH_DS | PRT_TOUCH_GLUE)
#define AS_IT_IS    C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\n"
#define WITHOUT_NS  C " 300 NS ns1." C "\n" C " 300 NS ns3.other.test.\nns1." C " 300 A 198.41.0.4\n"
#define OTHER_GLUE  C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.5\n"

/* What each source can ask for at all, and what its sender or its look comes to. The child has DS 1; or none. */
static void a_trial_knows_what_each_source_can_say(void **state)
{
	static const struct {
		bool has_ds;
		const char *wanted, *ds;
		enum prt_dsboot dsboot;
		struct {
			enum prt_decision decision;
			unsigned may_touch;
			const char *why;
		} by[PRT_SRC__N]; /* update, tsig, cds, dsboot, csync, operator */
	} cases[] = {
		{ true,
		  AS_IT_IS,
		  DS_1 "," DS_2,
		  PRT_DSBOOT_RFC9615,
		  { { PRT_ALLOW, PRT_TOUCH_ALL, "" },
		    { PRT_ALLOW, NO_KEY, "" },
		    { PRT_ALLOW, PRT_TOUCH_DS, "" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "there are DS already" },
		    { PRT_REFUSE, NS_AND_GLUE, "NS and glue alone" },
		    { PRT_ALLOW, NO_KEY, "" } } },
		{ true,
		  WITHOUT_NS,
		  DS_1,
		  PRT_DSBOOT_RFC9615,
		  { { PRT_ALLOW, PRT_TOUCH_ALL, "" },
		    { PRT_ALLOW, NO_KEY, "" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "DS alone" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "DS alone" },
		    { PRT_ALLOW, NS_AND_GLUE, "" },
		    { PRT_ALLOW, NO_KEY, "" } } },
		{ true,
		  OTHER_GLUE,
		  DS_1,
		  PRT_DSBOOT_RFC9615,
		  { { PRT_ALLOW, PRT_TOUCH_ALL, "" },
		    { PRT_ALLOW, NO_KEY, "" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "DS alone" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "DS alone" },
		    { PRT_ALLOW, NS_AND_GLUE, "" },
		    { PRT_ALLOW, NO_KEY, "" } } },
		/* all DS: who sends is told to come again, a look does so by itself */
		{ true,
		  AS_IT_IS,
		  "",
		  PRT_DSBOOT_RFC9615,
		  { { PRT_REFUSE, PRT_TOUCH_ALL, "asked again after 600 s" },
		    { PRT_REFUSE, NO_KEY, "asked again" },
		    { PRT_CONFIRM, PRT_TOUCH_DS, "" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "there are DS already" },
		    { PRT_REFUSE, NS_AND_GLUE, "NS and glue alone" },
		    { PRT_ALLOW, NO_KEY, "" } } },
		/* the first DS */
		{ false,
		  AS_IT_IS,
		  DS_1,
		  PRT_DSBOOT_RFC9615,
		  { { PRT_ALLOW, PRT_TOUCH_ALL, "" },
		    { PRT_ALLOW, NO_KEY, "" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "dsboot" },
		    { PRT_ALLOW, PRT_TOUCH_DS, "" },
		    { PRT_REFUSE, NS_AND_GLUE, "NS and glue alone" },
		    { PRT_ALLOW, NO_KEY, "" } } },
		{ false,
		  AS_IT_IS,
		  DS_1,
		  PRT_DSBOOT_DELAY,
		  { { PRT_ALLOW, PRT_TOUCH_ALL, "" },
		    { PRT_ALLOW, NO_KEY, "" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "dsboot" },
		    { PRT_CONFIRM, PRT_TOUCH_DS, "" },
		    { PRT_REFUSE, NS_AND_GLUE, "" },
		    { PRT_ALLOW, NO_KEY, "" } } },
		{ false,
		  WITHOUT_NS,
		  "",
		  PRT_DSBOOT_NONE,
		  { { PRT_ALLOW, PRT_TOUCH_ALL, "" },
		    { PRT_ALLOW, NO_KEY, "" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "DS alone" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "DS alone" },
		    { PRT_REFUSE, NS_AND_GLUE, "secure children" },
		    { PRT_ALLOW, NO_KEY, "" } } },
		{ false,
		  AS_IT_IS,
		  DS_1,
		  PRT_DSBOOT_NONE,
		  { { PRT_ALLOW, PRT_TOUCH_ALL, "" },
		    { PRT_ALLOW, NO_KEY, "" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "dsboot" },
		    { PRT_REFUSE, PRT_TOUCH_DS, "not taken from CDS" },
		    { PRT_REFUSE, NS_AND_GLUE, "" },
		    { PRT_ALLOW, NO_KEY, "" } } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned s = 0; s < PRT_SRC__N; s++) {
			struct desk d = desk_begin();
			struct prt_delegation wanted;
			char lines[1024];
			size_t len;
			struct prt_trial t;

			prt_delegation_clear(&d.c.registered);
			t_delegation(&d.c.registered, cases[i].has_ds ? AS_IT_IS C " 300 DS " DS_1 "\n" : AS_IT_IS);
			len = (size_t)snprintf(lines, sizeof(lines), "%s", cases[i].wanted);
			for (const char *ds = cases[i].ds; *ds != '\0';) {
				int n = (int)strcspn(ds, ",");

				len += (size_t)snprintf(lines + len, sizeof(lines) - len, C " 300 DS %.*s\n", n, ds);
				ds += n + (ds[n] == ',');
			}
			t_delegation(&wanted, lines);
			d.r.dsboot = cases[i].dsboot;
			d.r.no_checks = true;
			prt_desk_try(&d.r, &d.c, &wanted, (enum prt_source)s, d.now, &t);
			if (t.ruling.decision != cases[i].by[s].decision || t.may_touch != cases[i].by[s].may_touch ||
			    strstr(t.ruling.refusal.why.text, cases[i].by[s].why) == NULL)
				fail_msg("case %zu, %s: %d by '%s', %s", i, prt_source_name((enum prt_source)s),
					 t.ruling.decision, t.ruling.rule, t.ruling.refusal.why.text);
			assert_int_equal(t.shape, MSP_OK);
			assert_int_equal(t.is_checked, s == PRT_SRC_CDS || s == PRT_SRC_DSBOOT || s == PRT_SRC_CSYNC);
			/* policy has the last word about what it may be about */
			d.r.policy.sources = 0;
			prt_desk_try(&d.r, &d.c, &wanted, (enum prt_source)s, d.now, &t);
			assert_int_equal(t.may_touch, s == PRT_SRC_OPERATOR ? NO_KEY : 0);
			assert_int_equal(t.ruling.decision == PRT_REFUSE, s != PRT_SRC_OPERATOR);
			prt_delegation_clear(&wanted);
			desk_end(&d);
		}
	}
}

/* TTLs are no wish of a look, and that of DS is nobody's where the parent has one. */
static void a_trial_goes_by_the_ttls_that_would_be(void **state)
{
	static const char ttls[] =
		C " 60 NS ns1." C "\n" C " 60 NS ns.other.test.\nns1." C " 60 A 198.41.0.4\n" C " 60 DS " DS_1 "\n";
	struct desk d = desk_begin();
	struct prt_delegation wanted;
	struct prt_trial t;

	(void)state;
	prt_delegation_clear(&d.c.registered);
	t_delegation(&d.c.registered, AS_IT_IS C " 300 DS " DS_1 "\n");
	t_delegation(&wanted, ttls);
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_CSYNC, d.now, &t);
	assert_int_equal(t.touch, 0);
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_UPDATE, d.now, &t);
	assert_int_equal(t.touch, NO_KEY);
	d.r.ds_ttl = 3600;
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_UPDATE, d.now, &t);
	assert_int_equal(t.touch, NS_AND_GLUE);
	prt_delegation_clear(&wanted);
	desk_end(&d);
}

static void a_trial_knows_what_waits_already(void **state)
{
	struct desk d = desk_begin();
	struct prt_delegation wanted;
	struct prt_trial t;

	(void)state;
	t_delegation(&wanted, USUAL C " 300 NS ns3.other.test.\n");
	d.c.changes[d.c.change_count++] = d.now;
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_UPDATE, d.now, &t); /* cool-down: it is refused ... */
	assert_int_equal(t.ruling.decision, PRT_REFUSE);
	assert_int_equal(t.ruling.not_before.s, d.now.s + 300);
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_CSYNC, d.now, &t); /* ... or comes back by itself */
	assert_int_equal(t.ruling.decision, PRT_LATER);
	d.now.s += 300;
	T_OK(set(&d, USUAL C " 300 NS ns4.other.test.\n", false));
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_UPDATE, d.now, &t);
	assert_int_equal(t.ruling.decision, PRT_REFUSE);
	assert_string_equal(t.ruling.rule, "one change at a time");
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_CSYNC, d.now, &t);
	assert_int_equal(t.ruling.decision, PRT_LATER);
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_OPERATOR, d.now, &t);
	assert_int_equal(t.ruling.decision, PRT_ALLOW);
	d.c.flags |= PRT_CHILD_GONE;
	prt_desk_try(&d.r, &d.c, &wanted, PRT_SRC_OPERATOR, d.now, &t);
	assert_int_equal(t.ruling.decision, PRT_REFUSE);
	prt_delegation_clear(&wanted);
	desk_end(&d);
}

/* --- changes that took too long for their sender --------------------------------------------------------------------
 */

static enum msp_err withdraw(struct desk *d, unsigned number)
{
	struct prt_asker by = desk_asker(d, PRT_SRC_UPDATE, "a");
	uint8_t digest[PRT_SEEN_DIGEST] = { 0 };
	enum msp_err err;

	memcpy(digest, &number, sizeof(number));
	desk_fresh(d);
	err = prt_desk_withdraw(&d->r, &d->c, digest, &by, d->now, &d->o);
	desk_restart(d);
	return err;
}

static void a_change_that_took_too_long_is_withdrawn_and_a_retransmission_hears_it(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	T_OK(withdraw(&d, 1));
	assert_int_equal(d.c.pending.wait, PRT_WAIT_NONE);
	assert_non_null(desk_entry(&d, PRT_VERDICT_DROPPED));
	assert_int_equal(desk_send(&d, SET_DS(DS_2), KEY_A, 1), MSP_RCODE_SERVFAIL);
	assert_true(d.o.is_repeat);
	desk_end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_works_at_all_servers_becomes_registered),
		cmocka_unit_test(an_acceptance_after_checks_says_who_asked_and_what_was_seen),
		cmocka_unit_test(an_acceptance_says_what_did_not_stand_in_its_way),
		cmocka_unit_test(evidence_that_is_too_long_is_cut),
		cmocka_unit_test(the_last_usable_ds_of_a_provider_stays_and_the_child_is_told),
		cmocka_unit_test(servers_out_of_reach_are_tried_four_times),
		cmocka_unit_test(a_key_that_was_not_told_may_come_later),
		cmocka_unit_test(the_servers_of_another_change_prove_nothing),
		cmocka_unit_test(a_family_that_is_not_used_here_needs_no_evidence),
		cmocka_unit_test(a_lock_that_came_meanwhile_holds),
		cmocka_unit_test(a_change_that_others_were_faster_than_waits_for_its_turn),
		cmocka_unit_test(a_confirmed_deletion_is_done_after_its_checks),
		cmocka_unit_test(a_look_of_which_nothing_is_heard_is_asked_for_again),
		cmocka_unit_test(every_wait_answers_every_event),
		cmocka_unit_test(what_others_change_in_the_parent_zone_is_taken_over),
		cmocka_unit_test(a_child_that_is_seen_for_the_first_time_is_taken_over),
		cmocka_unit_test(who_adds_a_child_is_on_record),
		cmocka_unit_test(what_was_accepted_and_is_not_published_yet_stands),
		cmocka_unit_test(a_change_that_was_meant_for_another_delegation_is_dropped),
		cmocka_unit_test(a_delegation_that_is_gone_takes_trust_with_it),
		cmocka_unit_test(even_an_accepted_change_does_not_bring_back_what_is_gone),
		cmocka_unit_test(what_the_backend_has_put_back_is_there_again),
		cmocka_unit_test(what_the_backend_never_takes_is_taken_back_and_told),
		cmocka_unit_test(an_operator_sets_what_works),
		cmocka_unit_test(an_update_does_not_displace_what_an_operator_has_set),
		cmocka_unit_test(an_operator_takes_the_place_of_an_update_and_its_sender_is_told),
		cmocka_unit_test(approved_changes_are_checked_all_the_same),
		cmocka_unit_test(locks_are_set_and_taken_off_once),
		cmocka_unit_test(a_trial_says_what_would_happen_and_changes_nothing),
		cmocka_unit_test(a_trial_knows_what_each_source_can_say),
		cmocka_unit_test(a_trial_goes_by_the_ttls_that_would_be),
		cmocka_unit_test(a_trial_knows_what_waits_already),
		cmocka_unit_test(a_change_that_took_too_long_is_withdrawn_and_a_retransmission_hears_it),
		cmocka_unit_test(each_change_that_waits_has_a_print_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
