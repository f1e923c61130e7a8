/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmb_build.h"

#define HSYNC_LINE Z "300 HSYNC ON AGENT YES " US "\n"

struct fixture {
	struct cmb_rules rules;
	struct cmb_zone z;
};

static enum msp_err plan(const struct fixture *f, const struct cmb_owner *o, struct cmb_version **v,
			 struct msp_why *why)
{
	struct cmb_news news = { .owner = o };

	return cmb_zone_plan(&f->z, &news, NULL, v, why);
}

static void take_owner(struct fixture *f, struct cmb_owner *o)
{
	struct cmb_version *v = NULL;

	T_OK(plan(f, o, &v, NULL));
	assert_non_null(v);
	assert_null(v->delta);
	cmb_zone_adopt(&f->z, &v, &o);
}

static void begin(struct fixture *f)
{
	f->rules = t_rules();
	cmb_zone_init(&f->z, &f->rules);
	take_owner(f, t_owner(HSYNC_LINE));
}

/* Contribute and plan the version; NULL when there is none to make. The contributions are held from then on. */
static struct cmb_version *plan_change(struct fixture *f, const char *lines)
{
	struct cmb_contrib c;
	struct cmb_version *v = NULL;

	T_OK(cmb_contrib_dup(&f->z.contrib, &c));
	t_contribute(&c, NULL, lines);
	c.number++;
	T_OK(cmb_zone_plan(&f->z, NULL, &c, &v, NULL));
	cmb_zone_set_contrib(&f->z, &c);
	return v;
}

static bool change(struct fixture *f, const char *lines)
{
	struct cmb_version *v = plan_change(f, lines);

	if (v == NULL)
		return false;
	cmb_zone_adopt(&f->z, &v, NULL);
	return true;
}

/* Records as lines, SOA first, against an RRset's octets each. */
static void expect_records(const struct msp_buf *got, const char *const *lines, size_t count)
{
	struct msp_buf want;

	msp_buf_init(&want, 1u << 20);
	for (size_t i = 0; i < count; i++) {
		struct msp_rrset *set = t_rrset(lines[i]);

		T_OK(msp_rrset_write(set, &want));
		msp_rrset_free(&set);
	}
	assert_true(msp_span_equal(msp_buf_span(got), msp_buf_span(&want)));
	msp_buf_fini(&want);
}

static void settings_that_change_while_a_version_is_on_its_way_are_not_taken_for_applied(void **state)
{
	struct cmb_head head;
	struct cmb_version *v;
	struct fixture f;

	(void)state;
	begin(&f);
	f.z.rules.extra_key = false;
	v = plan_change(&f, Z "10 DNSKEY " KEY_A);
	assert_non_null(v);
	f.z.rules.extra_key = true; /* a reload while it is inspected */
	cmb_zone_head(&f.z, v, f.z.owner, (struct msp_wall){ 0 }, &head);
	assert_true(head.rules != cmb_rules_fingerprint(&f.z.rules));
	cmb_zone_adopt(&f.z, &v, NULL);
	assert_true(cmb_zone_is_behind(&f.z));
	cmb_zone_fini(&f.z);
}

static void the_first_version_has_the_owners_serial_and_each_change_one_more(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(f.z.serials.last_out, 1000);
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	assert_int_equal(cmb_apex_serial(&f.z.served), 1001);
	assert_false(change(&f, Z "10 DNSKEY " KEY_A)); /* nothing new: no version */
	assert_true(change(&f, Z "20 DNSKEY " KEY_A));  /* another TTL is a change */
	assert_int_equal(f.z.serials.last_out, 1002);
	cmb_zone_fini(&f.z);
}

static void planning_changes_nothing_until_adopted(void **state)
{
	struct fixture f;
	struct cmb_contrib c = { 0 };
	struct cmb_version *v = NULL;

	(void)state;
	begin(&f);
	t_contribute(&c, NULL, Z "10 DNSKEY " KEY_A);
	T_OK(cmb_zone_plan(&f.z, NULL, &c, &v, NULL));
	assert_int_equal(v->serial, 1001);
	assert_int_equal(f.z.serials.last_out, 1000);
	assert_null(f.z.served.set[CMB_DNSKEY]);
	cmb_version_free(&v);
	cmb_contrib_fini(&c);
	cmb_zone_fini(&f.z);
}

#define SOA_OF(serial) Z "300 SOA ns.test. host.test. " #serial " 3600 600 86400 60"

static void a_change_is_a_difference_with_both_soas(void **state)
{
	static const char *const del[] = { SOA_OF(1001), Z "10 DNSKEY " KEY_A };
	static const char *const add[] = { SOA_OF(1002), Z "10 DNSKEY " KEY_B };
	struct fixture f;
	struct cmb_version *v;

	(void)state;
	begin(&f);
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	v = plan_change(&f, Z "10 DNSKEY " KEY_B);
	assert_true(v->delta->from == 1001 && v->delta->to == 1002);
	expect_records(&v->delta->del, del, 2);
	expect_records(&v->delta->add, add, 2);
	cmb_version_free(&v);
	cmb_zone_fini(&f.z);
}

static void an_incremental_version_is_a_difference_of_pages_and_apex(void **state)
{
	static const char *const del[] = { SOA_OF(1001), Z "300 NS ns2.owner.test.", "a.zone.test. 5 A 192.0.2.1" };
	static const char *const add[] = { SOA_OF(2000), "a.zone.test. 5 A 192.0.2.2" };
	struct msp_rrset *gone = t_rrset(del[2]), *come = t_rrset(add[1]);
	struct cmb_news news = { .is_incremental = true };
	struct cmb_owner *o = t_owner(HSYNC_LINE);
	struct cmb_version *v = NULL;
	struct msp_buf gone_octets, come_octets;
	struct fixture f;

	(void)state;
	begin(&f);
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	cmb_apex_fini(&o->apex);
	t_owner_add(o, SOA_OF(2000) "\n" Z "300 NS ns1.owner.test.\n");
	msp_buf_init(&gone_octets, 1000);
	msp_buf_init(&come_octets, 1000);
	T_OK(msp_rrset_write(gone, &gone_octets));
	T_OK(msp_rrset_write(come, &come_octets));
	news.owner = o;
	news.del = msp_buf_span(&gone_octets);
	news.add = msp_buf_span(&come_octets);
	T_OK(cmb_zone_plan(&f.z, &news, NULL, &v, NULL));
	expect_records(&v->delta->del, del, 3);
	expect_records(&v->delta->add, add, 2);
	cmb_zone_adopt(&f.z, &v, &o);
	assert_int_equal(f.z.next_seq, 3); /* after two differences */
	assert_int_equal(f.z.serials.last_owner, 2000);
	t_assert_set(f.z.served.set[CMB_DNSKEY], Z "10 DNSKEY " KEY_A);
	msp_buf_fini(&gone_octets);
	msp_buf_fini(&come_octets);
	msp_rrset_free(&gone);
	msp_rrset_free(&come);
	cmb_zone_fini(&f.z);
}

static void a_difference_too_large_for_a_history_is_said_to_be(void **state)
{
	struct msp_buf octets;
	struct cmb_owner *o = t_owner(HSYNC_LINE);
	struct cmb_news news = { .owner = o, .is_incremental = true };
	struct cmb_version *v = NULL;
	struct fixture f;

	(void)state;
	begin(&f);
	msp_buf_init(&octets, 64u << 20);
	assert_non_null(msp_buf_reserve(&octets, 40u << 20));
	msp_buf_claim(&octets, 40u << 20);
	news.add = msp_buf_span(&octets);
	T_ERR(cmb_zone_plan(&f.z, &news, NULL, &v, NULL), MSP_ELIMIT);
	assert_null(v);
	news.is_incremental = false;
	T_OK(cmb_zone_plan(&f.z, &news, NULL, &v, NULL));
	assert_null(v->delta);
	cmb_version_free(&v);
	msp_buf_fini(&octets);
	cmb_owner_free(&o);
	cmb_zone_fini(&f.z);
}

/* What was stored of a version makes the same zone again. */
static void a_zone_is_made_again_from_its_record(void **state)
{
	struct fixture f;
	struct cmb_record r = { .owner = NULL };
	struct cmb_contrib c;
	struct cmb_version *v;
	struct cmb_zone back;

	(void)state;
	begin(&f);
	f.z.serials.has_ceiling = true;
	f.z.serials.ceiling = 1100;
	v = plan_change(&f, Z "10 NS ns.agent.test.");
	cmb_zone_head(&f.z, v, f.z.owner, (struct msp_wall){ 99 }, &r.head);
	assert_true(r.head.confirmed.s == 99 && r.head.refresh_s == 3600 && r.head.retry_s == 600 &&
		    r.head.expire_s == 86400 && r.head.next_seq == 2 && r.head.ns_applied);
	T_OK(cmb_apex_dup(&v->apex, &r.served));
	T_OK(cmb_owner_dup(f.z.owner, &r.owner));
	r.owner->gen = f.z.owner->gen;
	T_OK(cmb_contrib_dup(&f.z.contrib, &c));
	cmb_zone_adopt(&f.z, &v, NULL);
	cmb_zone_init(&back, &f.rules);
	cmb_zone_restore(&back, &r, &c);
	assert_true(r.owner == NULL && c.entry == NULL); /* taken */
	assert_true(back.has_served && back.served_gen == f.z.served_gen && back.ns_applied &&
		    back.served_owner_serial == 1000 && back.next_seq == f.z.next_seq &&
		    back.served_instructions == 1 && back.served_rules == f.z.served_rules);
	assert_true(back.serials.last_out == 1001 && back.serials.last_owner == 1000 && back.serials.has_owner &&
		    back.serials.has_out && back.serials.has_ceiling && back.serials.ceiling == 1100);
	assert_true(cmb_apex_equal(&back.served, &f.z.served));
	assert_int_equal(back.policy.ns_applied, f.z.policy.ns_applied);
	assert_false(cmb_zone_is_behind(&back));
	T_OK(cmb_zone_plan(&back, NULL, NULL, &v, NULL));
	assert_null(v);
	cmb_zone_fini(&back);
	cmb_zone_fini(&f.z);
}

static void a_zone_is_behind_when_instructions_or_settings_have_changed(void **state)
{
	struct fixture f;
	struct cmb_contrib c;

	(void)state;
	begin(&f);
	assert_false(cmb_zone_is_behind(&f.z));
	T_OK(cmb_contrib_dup(&f.z.contrib, &c));
	c.number++;
	cmb_zone_set_contrib(&f.z, &c);
	assert_true(cmb_zone_is_behind(&f.z));
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	assert_false(cmb_zone_is_behind(&f.z));
	f.z.rules.extra_key = true;
	assert_true(cmb_zone_is_behind(&f.z));
	f.z.rules.extra_key = false;
	f.z.rules.zonemd = CMB_ZONEMD_KEEP;
	assert_true(cmb_zone_is_behind(&f.z));
	cmb_zone_fini(&f.z);
}

static void after_a_loss_serials_go_on_beyond_what_was_handed_out(void **state)
{
	struct fixture f;
	struct cmb_owner *o = t_owner(HSYNC_LINE);
	struct cmb_version *v = NULL;

	(void)state;
	f.rules = t_rules();
	cmb_zone_init(&f.z, &f.rules);
	cmb_serials_restore(&f.z.serials, 1100);
	T_OK(plan(&f, o, &v, NULL)); /* the owner says 1000 */
	assert_int_equal(v->serial, 1101);
	cmb_version_free(&v);
	o->is_signed = true; /* may not be changed */
	T_ERR(plan(&f, o, &v, NULL), MSP_ESTALE);
	cmb_serials_restore(&f.z.serials, 1000);
	T_OK(plan(&f, o, &v, NULL)); /* the same signed version again */
	assert_int_equal(v->serial, 1000);
	cmb_version_free(&v);
	cmb_owner_free(&o);
	cmb_zone_fini(&f.z);
}

static void new_owner_data_ends_the_history_and_keeps_the_contributions(void **state)
{
	struct fixture f;
	struct cmb_owner *o;

	(void)state;
	begin(&f);
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	o = t_owner(HSYNC_LINE);
	o->gen = 2;
	take_owner(&f, o); /* the same serial once more: ours goes on */
	assert_int_equal(f.z.serials.last_out, 1002);
	assert_int_equal(f.z.next_seq, 2);
	t_assert_set(f.z.served.set[CMB_DNSKEY], Z "10 DNSKEY " KEY_A);
	cmb_zone_fini(&f.z);
}

static void a_signed_zone_keeps_its_serial_or_is_held(void **state)
{
	struct fixture f;
	struct cmb_owner *o;
	struct cmb_version *v = NULL;
	struct msp_why why = { "" };

	(void)state;
	begin(&f);
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	o = t_owner(HSYNC_LINE);
	o->gen = 2;
	o->is_signed = true;
	T_ERR(plan(&f, o, &v, &why), MSP_ESTALE); /* 1001 is out, the SOA says 1000 */
	assert_null(v);
	assert_true(why.text[0] != '\0');
	f.z.serials.last_out = 1000; /* the same signed version again, after its pages were lost */
	T_OK(plan(&f, o, &v, NULL));
	assert_int_equal(v->serial, 1000);
	cmb_version_free(&v);
	cmb_owner_free(&o);
	cmb_zone_fini(&f.z);
}

#define ZONEMD                                                                                                         \
	Z "300 ZONEMD 1000 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425"           \
	  "262728292a2b2c2d2e2f"

static void take_owner_with_zonemd(struct fixture *f)
{
	struct cmb_owner *o = t_owner(HSYNC_LINE);

	cmb_apex_fini(&o->apex);
	t_owner_add(o, SOA_OF(2000) "\n" NS_LINES);
	t_owner_add(o, ZONEMD);
	o->gen = 2;
	take_owner(f, o);
}

static void zonemd_passes_only_while_nothing_is_changed(void **state)
{
	static const char *const del[] = { SOA_OF(2000), ZONEMD };
	struct cmb_version *v;
	struct fixture f;

	(void)state;
	begin(&f);
	take_owner_with_zonemd(&f);
	t_assert_set(f.z.served.set[CMB_ZONEMD], ZONEMD);
	v = plan_change(&f, Z "10 DNSKEY " KEY_A);
	expect_records(&v->delta->del, del, 2); /* its removal is in the history */
	cmb_zone_adopt(&f.z, &v, NULL);
	assert_null(f.z.served.set[CMB_ZONEMD]);
	assert_true((f.z.notes & CMB_NOTE_BIT(CMB_NOTE_ZONEMD_STRIPPED)) != 0);
	cmb_zone_fini(&f.z);
}

static void zonemd_follows_its_setting(void **state)
{
	struct cmb_version *v = NULL;
	struct fixture f;

	(void)state;
	begin(&f);
	take_owner_with_zonemd(&f);
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	f.z.rules.zonemd = CMB_ZONEMD_KEEP;
	T_OK(cmb_zone_plan(&f.z, NULL, NULL, &v, NULL));
	assert_non_null(v);
	t_assert_set(v->apex.set[CMB_ZONEMD], ZONEMD);
	cmb_zone_adopt(&f.z, &v, NULL);
	T_OK(cmb_zone_plan(&f.z, NULL, NULL, &v, NULL));
	assert_null(v);
	f.z.rules.zonemd = CMB_ZONEMD_RECOMPUTE; /* added by who computes it */
	T_OK(cmb_zone_plan(&f.z, NULL, NULL, &v, NULL));
	assert_non_null(v);
	assert_null(v->apex.set[CMB_ZONEMD]);
	assert_int_equal(v->notes & CMB_NOTE_BIT(CMB_NOTE_ZONEMD_STRIPPED), 0);
	v->apex.set[CMB_ZONEMD] = t_rrset(ZONEMD);
	cmb_zone_adopt(&f.z, &v, NULL);
	T_OK(cmb_zone_plan(&f.z, NULL, NULL, &v, NULL));
	assert_null(v);
	f.z.rules.zonemd = CMB_ZONEMD_STRIP;
	T_OK(cmb_zone_plan(&f.z, NULL, NULL, &v, NULL));
	assert_non_null(v);
	assert_null(v->apex.set[CMB_ZONEMD]);
	cmb_version_free(&v);
	cmb_zone_fini(&f.z);
}

static void contributions_come_back_to_light_when_ns_are_handed_to_the_agents(void **state)
{
	struct fixture f;
	struct cmb_owner *o;

	(void)state;
	begin(&f);
	assert_true(change(&f, Z "10 NS ns.agent.test."));
	o = t_owner(Z "300 HSYNC ON OWNER YES " US "\n");
	o->gen = 2;
	take_owner(&f, o);
	t_assert_set(f.z.served.set[CMB_NS], NS_LINES);
	assert_true((f.z.notes & CMB_NOTE_BIT(CMB_NOTE_HELD_BACK)) != 0);
	o = t_owner(HSYNC_LINE);
	o->gen = 3;
	take_owner(&f, o);
	t_assert_set(f.z.served.set[CMB_NS], Z "10 NS ns.agent.test.");
	cmb_zone_fini(&f.z);
}

static void memory_failures_while_planning_leave_no_trace(void **state)
{
	struct fixture f;
	struct cmb_contrib c = { 0 };
	struct cmb_version *v = NULL;
	enum msp_err err = MSP_ENOMEM;

	(void)state;
	begin(&f);
	t_contribute(&c, NULL, Z "10 DNSKEY " KEY_A);
	for (size_t n = 1; err == MSP_ENOMEM && n < 1000; n++) {
		msp_mem_fail_at(n);
		err = cmb_zone_plan(&f.z, NULL, &c, &v, NULL);
		msp_mem_fail_at(0);
		if (err != MSP_OK)
			assert_null(v);
	}
	assert_int_equal(err, MSP_OK);
	cmb_version_free(&v);
	cmb_contrib_fini(&c);
	cmb_zone_fini(&f.z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_that_change_while_a_version_is_on_its_way_are_not_taken_for_applied),
		cmocka_unit_test(the_first_version_has_the_owners_serial_and_each_change_one_more),
		cmocka_unit_test(planning_changes_nothing_until_adopted),
		cmocka_unit_test(a_change_is_a_difference_with_both_soas),
		cmocka_unit_test(an_incremental_version_is_a_difference_of_pages_and_apex),
		cmocka_unit_test(a_difference_too_large_for_a_history_is_said_to_be),
		cmocka_unit_test(a_zone_is_made_again_from_its_record),
		cmocka_unit_test(a_zone_is_behind_when_instructions_or_settings_have_changed),
		cmocka_unit_test(after_a_loss_serials_go_on_beyond_what_was_handed_out),
		cmocka_unit_test(new_owner_data_ends_the_history_and_keeps_the_contributions),
		cmocka_unit_test(a_signed_zone_keeps_its_serial_or_is_held),
		cmocka_unit_test(zonemd_passes_only_while_nothing_is_changed),
		cmocka_unit_test(zonemd_follows_its_setting),
		cmocka_unit_test(contributions_come_back_to_light_when_ns_are_handed_to_the_agents),
		cmocka_unit_test(memory_failures_while_planning_leave_no_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
