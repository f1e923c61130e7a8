/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_build.h"

#include "policy.h"

static const struct msp_wall now = { 1800000000 };

static void without_configuration_nothing_is_allowed(void **state)
{
	(void)state;
	for (unsigned source = 0; source < PRT_SRC_OPERATOR; source++) {
		for (unsigned touch = 0; touch <= PRT_TOUCH_ALL; touch++) {
			struct prt_case c = { .source = (enum prt_source)source, .touch = touch };
			struct prt_ruling r;

			prt_policy_change(&prt_policy_closed, &c, now, &r);
			assert_int_equal(r.decision, PRT_REFUSE);
			assert_int_equal(r.refusal.rcode, MSP_RCODE_REFUSED);
			assert_true(r.refusal.has_ede);
		}
	}
	for (unsigned m = PRT_METHOD_NONE; m <= PRT_METHOD_UNSIGNED; m++) {
		struct prt_ruling r;

		prt_policy_key(&prt_policy_closed, (enum prt_method)m, &r);
		assert_int_equal(r.decision, PRT_REFUSE);
	}
}

/* What the table should say, said once more in another way. */
static enum prt_decision expected(const struct prt_policy *p, const struct prt_case *c)
{
	bool deletes = (c->losses & PRT_LOSS_LAST_DS) != 0;
	bool recent = c->last.s != 0 && now.s < c->last.s + (int64_t)p->cooldown_s;
	bool often = p->changes_per_day > 0 && c->today >= p->changes_per_day;

	if (c->source == PRT_SRC_OPERATOR)
		return PRT_ALLOW;
	if (c->is_locked || !(p->sources >> c->source & 1))
		return PRT_REFUSE;
	if (c->touch == 0)
		return PRT_ALLOW;
	if ((c->touch | p->touch) != p->touch || (deletes && !p->allow_delete))
		return PRT_REFUSE;
	if (recent || often)
		return PRT_LATER;
	if (deletes && !c->is_confirmed)
		return PRT_CONFIRM;
	return p->propose ? PRT_PROPOSE : PRT_ALLOW;
}

static void the_whole_truth_table(void **state)
{
	static const unsigned losses[] = { 0, PRT_LOSS_SOME_NS, PRT_LOSS_SOME_DS | PRT_LOSS_LAST_DS };
	static const unsigned policies[] = { 0, PRT_TOUCH_NS | PRT_TOUCH_GLUE, PRT_TOUCH_DS, PRT_TOUCH_ALL };
	unsigned allowed = 0, cases = 0;

	(void)state;
	for (unsigned i = 0; i < 4u * 3 * 16 * 2 * 2 * 2 * 2 * 2 * 2 * 2 * PRT_SRC__N; i++) {
		unsigned x = i;
		struct prt_policy p = { .cooldown_s = 300, .changes_per_day = 10 };
		struct prt_case c = { .today = 0 };
		struct prt_ruling r;

		p.touch = policies[x % 4], x /= 4;
		c.losses = losses[x % 3], x /= 3;
		c.touch = x % 16, x /= 16;
		p.sources = x % 2 ? ~0u : 0, x /= 2;
		p.allow_delete = x % 2, x /= 2;
		p.propose = x % 2, x /= 2;
		c.is_locked = x % 2, x /= 2;
		c.is_confirmed = x % 2, x /= 2;
		c.last.s = x % 2 ? now.s - 100 : 0, x /= 2;
		c.today = x % 2 ? 10 : 0, x /= 2;
		c.source = (enum prt_source)(x % PRT_SRC__N);
		prt_policy_change(&p, &c, now, &r);
		if (r.decision != expected(&p, &c))
			fail_msg("case %u: %s decides %d", i, r.rule, r.decision);
		assert_true((r.refusal.rcode != MSP_RCODE_NOERROR) ==
			    (r.decision == PRT_REFUSE || r.decision == PRT_LATER));
		allowed += r.decision == PRT_ALLOW;
		cases++;
	}
	assert_true(allowed > cases / 10 && allowed < cases / 2);
}

static void a_cool_down_says_until_when(void **state)
{
	struct prt_policy p = { .sources = ~0u, .touch = PRT_TOUCH_ALL, .cooldown_s = 300 };
	struct prt_case c = { .source = PRT_SRC_CDS, .touch = PRT_TOUCH_DS, .last = { now.s - 299 } };
	struct prt_ruling r;

	(void)state;
	prt_policy_change(&p, &c, now, &r);
	assert_int_equal(r.decision, PRT_LATER);
	assert_int_equal(r.not_before.s, now.s + 1);
	c.last.s = now.s - 300;
	prt_policy_change(&p, &c, now, &r);
	assert_int_equal(r.decision, PRT_ALLOW);
	c.last.s = now.s + 50; /* the clock was set back */
	prt_policy_change(&p, &c, now, &r);
	assert_int_equal(r.decision, PRT_LATER);
}

static void keys_are_trusted_by_the_methods_that_are_open(void **state)
{
	struct prt_policy p = { .methods = 1u << PRT_METHOD_APEX };
	struct prt_ruling r;

	(void)state;
	prt_policy_key(&p, PRT_METHOD_APEX, &r);
	assert_int_equal(r.decision, PRT_ALLOW);
	prt_policy_key(&p, PRT_METHOD_UNSIGNED, &r);
	assert_int_equal(r.decision, PRT_REFUSE);
	p.keys_need_human = true;
	prt_policy_key(&p, PRT_METHOD_APEX, &r);
	assert_int_equal(r.decision, PRT_PROPOSE);
	prt_policy_key(&p, PRT_METHOD_MANUAL, &r);
	assert_int_equal(r.decision, PRT_ALLOW);
}

static void each_source_speaks_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(prt_source_may_touch(PRT_SRC_UPDATE), PRT_TOUCH_ALL);
	assert_int_equal(prt_source_may_touch(PRT_SRC_CDS), PRT_TOUCH_DS);
	assert_int_equal(prt_source_may_touch(PRT_SRC_DSBOOT), PRT_TOUCH_DS);
	assert_int_equal(prt_source_may_touch(PRT_SRC_CSYNC), PRT_TOUCH_NS | PRT_TOUCH_GLUE);
	assert_int_equal(prt_source_may_touch(PRT_SRC_TSIG) & PRT_TOUCH_KEY, 0);
	assert_int_equal(prt_source_may_touch(PRT_SRC_NONE), 0);
	assert_string_equal(prt_source_name(PRT_SRC_NONE), "none");
	assert_string_equal(prt_source_name(PRT_SRC__N), "?");
}

/* Whatever is open: what parentd does by itself is no source of changes. */
static void nobodys_word_is_no_word(void **state)
{
	struct prt_policy p = { .sources = ~0u, .touch = PRT_TOUCH_ALL };
	struct prt_case c = { .source = PRT_SRC_NONE, .touch = PRT_TOUCH_DS };
	struct prt_ruling r;

	(void)state;
	prt_policy_change(&p, &c, now, &r);
	assert_int_equal(r.decision, PRT_REFUSE);
}

static void what_a_change_touches(void **state)
{
	struct prt_delegation a, b;

	(void)state;
	t_delegation(&a, USUAL);
	t_delegation(&b, USUAL);
	assert_int_equal(prt_touches(&a, &b), 0);
	prt_delegation_clear(&b);
	assert_int_equal(prt_touches(&a, &b), PRT_TOUCH_NS | PRT_TOUCH_DS | PRT_TOUCH_GLUE);
	t_delegation(&b, USUAL C " 300 DS 2 13 2 " DIGEST_2 "\n");
	assert_int_equal(prt_touches(&a, &b), PRT_TOUCH_DS);
	assert_int_equal(prt_touches(&b, &a), PRT_TOUCH_DS);
	prt_delegation_clear(&a);
	prt_delegation_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_configuration_nothing_is_allowed),
		cmocka_unit_test(the_whole_truth_table),
		cmocka_unit_test(a_cool_down_says_until_when),
		cmocka_unit_test(keys_are_trusted_by_the_methods_that_are_open),
		cmocka_unit_test(each_source_speaks_of_its_own),
		cmocka_unit_test(nobodys_word_is_no_word),
		cmocka_unit_test(what_a_change_touches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
