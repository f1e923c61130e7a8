/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmb_build.h"

enum nsmgmt { OWNER, AGENT, MIXED, GONE };
enum side { OURS_YES, OURS_NO_OTHER_YES, ALL_NO, NOT_LISTED };

static const char *hsync_lines(enum nsmgmt n, enum side s)
{
	static char lines[512];
	const char *sign_us = s == OURS_YES ? "YES" : "NO", *sign_them = s == ALL_NO ? "NO" : "YES";

	if (n == GONE)
		return "";
	snprintf(lines, sizeof(lines), Z "300 HSYNC ON %s %s %s\n" Z "300 HSYNC ON %s %s %s\n",
		 n == OWNER ? "OWNER" : "AGENT", sign_us, s == NOT_LISTED ? "msa.c.test." : US,
		 n == AGENT ? "AGENT" : "OWNER", sign_them, THEM);
	return lines;
}

/* E.3 and E.5 as one table: what becomes of each type for every NSMGMT, every place in the group, signed input or not.
 */
static void every_case_of_the_merge_table_holds(void **state)
{
	const struct cmb_rules rules = t_rules();

	(void)state;
	for (unsigned n = OWNER; n <= GONE; n++)
		for (unsigned s = OURS_YES; s <= NOT_LISTED; s++)
			for (unsigned is_signed = 0; is_signed <= 1; is_signed++) {
				struct cmb_owner *o = t_owner(hsync_lines((enum nsmgmt)n, (enum side)s));
				struct cmb_contrib c = { 0 };
				struct cmb_policy p;
				struct cmb_apex r;
				uint32_t notes = 0;
				/* E.5: NS is the agents' when NSMGMT says so and we sign, or nobody does */
				bool ns = n == AGENT && !is_signed && (s == OURS_YES || s == ALL_NO);

				o->is_signed = is_signed;
				t_owner_add(o, Z "300 DNSKEY " KEY_B "\n" Z "300 CDS 1 13 2 " DIGEST "\n" Z
						 "300 CSYNC 7 1 NS\n");
				t_contribute(&c, NULL, Z "10 DNSKEY " KEY_A);
				t_contribute(&c, NULL, Z "20 CDS 2 13 2 " DIGEST);
				t_contribute(&c, NULL, Z "30 CSYNC 0 1 NS A");
				t_contribute(&c, NULL, Z "40 NS ns.agent.test.");
				cmb_policy_derive(o, &rules, false, &p);
				assert_int_equal(p.ns_applied, ns);
				T_OK(cmb_merge(o, &c, &p, &rules, &r, &notes));
				t_assert_set(r.set[CMB_NS], ns ? Z "40 NS ns.agent.test." : NS_LINES);
				t_assert_set(r.set[CMB_DNSKEY], is_signed ? Z "300 DNSKEY " KEY_B
									  : Z "10 DNSKEY " KEY_A "\n" Z
									      "10 DNSKEY " KEY_B);
				t_assert_set(r.set[CMB_CDS],
					     is_signed ? Z "300 CDS 1 13 2 " DIGEST : Z "20 CDS 2 13 2 " DIGEST);
				t_assert_set(r.set[CMB_CSYNC],
					     is_signed ? Z "300 CSYNC 7 1 NS" : Z "30 CSYNC 0 1 NS A");
				assert_int_equal((p.notes & CMB_NOTE_BIT(CMB_NOTE_PASS_THROUGH)) != 0, is_signed);
				assert_int_equal((p.notes & CMB_NOTE_BIT(CMB_NOTE_STRAY_DNSKEY)) != 0, !is_signed);
				assert_int_equal((notes & CMB_NOTE_BIT(CMB_NOTE_HELD_BACK)) != 0, is_signed || !ns);
				cmb_apex_fini(&r);
				cmb_contrib_fini(&c);
				cmb_owner_free(&o);
			}
}

static void without_contributions_the_owner_passes(void **state)
{
	const struct cmb_rules rules = t_rules();
	struct cmb_owner *o =
		t_owner(Z "300 HSYNC ON AGENT YES " US "\n" Z "300 CDNSKEY " KEY_A "\n" Z "300 KEY 0 3 15 AQID\n");
	struct cmb_contrib c = { 0 };
	struct cmb_policy p;
	struct cmb_apex r;
	uint32_t notes = 0;

	(void)state;
	cmb_policy_derive(o, &rules, false, &p);
	T_OK(cmb_merge(o, &c, &p, &rules, &r, &notes));
	assert_true(cmb_apex_equal(&r, &o->apex));
	assert_int_equal(notes, 0);
	cmb_apex_fini(&r);
	cmb_owner_free(&o);
}

static void extra_types_are_applied_only_where_the_configuration_says_so(void **state)
{
	struct cmb_rules rules = t_rules();
	struct cmb_owner *o = t_owner(Z "300 HSYNC ON AGENT YES " US "\n" Z "300 CDNSKEY " KEY_A "\n");
	struct cmb_contrib c = { 0 };
	struct cmb_policy p;
	struct cmb_apex r;
	uint32_t notes = 0;

	(void)state;
	t_contribute(&c, NULL, Z "10 CDNSKEY " KEY_B);
	cmb_policy_derive(o, &rules, false, &p);
	T_OK(cmb_merge(o, &c, &p, &rules, &r, &notes));
	t_assert_set(r.set[CMB_CDNSKEY], Z "300 CDNSKEY " KEY_A);
	cmb_apex_fini(&r);
	rules.extra_cdnskey = true;
	T_OK(cmb_merge(o, &c, &p, &rules, &r, &notes));
	t_assert_set(r.set[CMB_CDNSKEY], Z "10 CDNSKEY " KEY_B);
	cmb_apex_fini(&r);
	cmb_contrib_fini(&c);
	cmb_owner_free(&o);
}

static void originators_are_united_and_a_lone_delete_stays_alone(void **state)
{
	const struct cmb_rules rules = t_rules();
	struct cmb_owner *o = t_owner(Z "300 HSYNC ON AGENT YES " US "\n");
	struct cmb_contrib c = { 0 };
	struct cmb_policy p;
	struct cmb_apex r;
	uint32_t notes = 0;

	(void)state;
	t_contribute(&c, US, Z "30 DNSKEY " KEY_A);
	t_contribute(&c, THEM, Z "10 DNSKEY " KEY_A "\n" Z "10 DNSKEY " KEY_B);
	t_contribute(&c, US, Z "10 CDS 0 0 0 00");
	cmb_policy_derive(o, &rules, false, &p);
	T_OK(cmb_merge(o, &c, &p, &rules, &r, &notes));
	t_assert_set(r.set[CMB_DNSKEY], Z "10 DNSKEY " KEY_A "\n" Z "10 DNSKEY " KEY_B);
	t_assert_set(r.set[CMB_CDS], Z "10 CDS 0 0 0 00");
	assert_int_equal(notes, 0);
	cmb_apex_fini(&r);
	t_contribute(&c, THEM, Z "10 CDS 2 13 2 " DIGEST);
	T_OK(cmb_merge(o, &c, &p, &rules, &r, &notes));
	t_assert_set(r.set[CMB_CDS], Z "10 CDS 2 13 2 " DIGEST);
	assert_int_equal(notes, CMB_NOTE_BIT(CMB_NOTE_CDS_MIXED));
	cmb_apex_fini(&r);
	cmb_contrib_fini(&c);
	cmb_owner_free(&o);
}

static void ns_stay_as_they_were_when_hsync_vanishes(void **state)
{
	const struct cmb_rules rules = t_rules();
	struct cmb_owner *o = t_owner("");
	struct cmb_policy p;

	(void)state;
	cmb_policy_derive(o, &rules, true, &p);
	assert_true(p.ns_applied);
	assert_true((p.notes & CMB_NOTE_BIT(CMB_NOTE_NO_HSYNC)) != 0);
	cmb_policy_derive(o, &rules, false, &p);
	assert_false(p.ns_applied);
	cmb_owner_free(&o);
}

static void malformed_hsync_records_are_left_out_and_off_ones_do_not_vote(void **state)
{
	const struct cmb_rules rules = t_rules();
	struct cmb_owner *o = t_owner(Z "300 HSYNC ON AGENT YES " US "\n" Z "300 HSYNC OFF OWNER YES " THEM "\n" Z
					"300 TYPE65282 \\# 4 03010100\n");
	struct cmb_policy p;

	(void)state;
	cmb_policy_derive(o, &rules, false, &p);
	assert_true(p.ns_agent);
	assert_int_equal(p.own, CMB_SIGN_YES);
	assert_int_equal(p.notes, CMB_NOTE_BIT(CMB_NOTE_HSYNC_MALFORMED));
	cmb_owner_free(&o);
}

static void of_twin_hsync_records_no_wins_over_yes(void **state)
{
	const struct cmb_rules rules = t_rules();
	struct cmb_owner *o = t_owner(Z "300 HSYNC ON AGENT YES " US "\n" Z "300 HSYNC ON AGENT NO " US "\n");
	struct cmb_policy p;

	(void)state;
	cmb_policy_derive(o, &rules, false, &p);
	assert_int_equal(p.own, CMB_SIGN_NO);
	assert_false(p.any_signer);
	assert_true((p.notes & CMB_NOTE_BIT(CMB_NOTE_HSYNC_DUPLICATE)) != 0);
	cmb_owner_free(&o);
}

static void identity_is_compared_whole_not_by_suffix(void **state)
{
	const struct cmb_rules rules = t_rules();
	struct cmb_owner *o = t_owner(Z "300 HSYNC ON AGENT YES evil" US "\n");
	struct msp_name us = t_name("MSA.A.TEST."), evil = t_name("evilmsa.a.test.");
	struct cmb_policy p;

	(void)state;
	cmb_policy_derive(o, &rules, false, &p);
	assert_int_equal(p.own, CMB_SIGN_ABSENT);
	assert_false(cmb_policy_lists(o, &rules, &us));
	assert_true(cmb_policy_lists(o, &rules, &evil));
	cmb_owner_free(&o);
}

static void fingerprint_differs_with_every_setting_that_decides(void **state)
{
	struct msp_numbers numbers = msp_numbers_default;
	struct cmb_rules rules = t_rules(), same = rules;
	uint64_t seen[8];
	size_t count = 0;

	(void)state;
	rules.numbers = &numbers;
	seen[count++] = cmb_rules_fingerprint(&rules);
	same.identity = t_name("MSA.a.TEST.");
	assert_true(seen[0] == cmb_rules_fingerprint(&same));
	rules.extra_key = true;
	seen[count++] = cmb_rules_fingerprint(&rules);
	rules.extra_key = false;
	rules.extra_cdnskey = true;
	seen[count++] = cmb_rules_fingerprint(&rules);
	rules.extra_cdnskey = false;
	rules.zonemd = CMB_ZONEMD_KEEP;
	seen[count++] = cmb_rules_fingerprint(&rules);
	rules.zonemd = CMB_ZONEMD_RECOMPUTE;
	seen[count++] = cmb_rules_fingerprint(&rules);
	rules.zonemd = CMB_ZONEMD_STRIP;
	numbers.type_hsync++;
	seen[count++] = cmb_rules_fingerprint(&rules);
	numbers.type_hsync--;
	numbers.hsync_compat_zero = !numbers.hsync_compat_zero;
	seen[count++] = cmb_rules_fingerprint(&rules);
	numbers.hsync_compat_zero = !numbers.hsync_compat_zero;
	rules.identity = t_name("msa.b.test.");
	seen[count++] = cmb_rules_fingerprint(&rules);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			assert_true(seen[i] != seen[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_of_the_merge_table_holds),
		cmocka_unit_test(without_contributions_the_owner_passes),
		cmocka_unit_test(extra_types_are_applied_only_where_the_configuration_says_so),
		cmocka_unit_test(originators_are_united_and_a_lone_delete_stays_alone),
		cmocka_unit_test(ns_stay_as_they_were_when_hsync_vanishes),
		cmocka_unit_test(malformed_hsync_records_are_left_out_and_off_ones_do_not_vote),
		cmocka_unit_test(of_twin_hsync_records_no_wins_over_yes),
		cmocka_unit_test(identity_is_compared_whole_not_by_suffix),
		cmocka_unit_test(fingerprint_differs_with_every_setting_that_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
