/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmb_build.h"

#define HSYNC_LINE Z "300 HSYNC ON AGENT YES " US "\n"

struct fixture {
	struct cmb_rules rules;
	struct cmb_zone z;
};

static void take_owner(struct fixture *f, struct cmb_owner *o)
{
	struct cmb_version *v = NULL;

	T_OK(cmb_zone_plan(&f->z, o, NULL, &v, NULL));
	assert_non_null(v);
	cmb_zone_adopt(&f->z, &v, &o);
}

static void begin(struct fixture *f)
{
	f->rules = t_rules();
	cmb_zone_init(&f->z, &f->rules);
	take_owner(f, t_owner(HSYNC_LINE));
}

/* Contribute and make the version; false when there was none to make. */
static bool change(struct fixture *f, const char *lines)
{
	struct cmb_contrib c;
	struct cmb_version *v = NULL;
	bool made;

	T_OK(cmb_contrib_dup(&f->z.contrib, &c));
	t_contribute(&c, NULL, lines);
	T_OK(cmb_zone_plan(&f->z, NULL, &c, &v, NULL));
	made = v != NULL;
	cmb_zone_set_contrib(&f->z, &c);
	if (made)
		cmb_zone_adopt(&f->z, &v, NULL);
	return made;
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

static void history_leads_from_any_kept_serial_to_the_last(void **state)
{
	char line[64];
	struct fixture f;
	size_t from;

	(void)state;
	begin(&f);
	for (int i = 0; i < 3; i++) {
		snprintf(line, sizeof(line), Z "%d CSYNC 0 1 NS", i);
		assert_true(change(&f, line));
	}
	for (uint32_t s = 1000; s < 1003; s++) {
		assert_true(cmb_zone_history(&f.z, s, &from));
		assert_int_equal(from, s - 1000);
	}
	assert_false(cmb_zone_history(&f.z, 1003, &from));
	assert_false(cmb_zone_history(&f.z, 999, &from));
	cmb_zone_fini(&f.z);
}

static void history_is_bounded_and_drops_the_oldest(void **state)
{
	char line[64];
	struct fixture f;
	size_t from;

	(void)state;
	begin(&f);
	for (int i = 0; i < CMB_JOURNAL_MAX + 20; i++) {
		snprintf(line, sizeof(line), Z "%d CSYNC 0 1 NS", i);
		assert_true(change(&f, line));
	}
	assert_int_equal(f.z.journal_count, CMB_JOURNAL_MAX);
	assert_false(cmb_zone_history(&f.z, 1019, &from));
	assert_true(cmb_zone_history(&f.z, 1020, &from));
	assert_int_equal(cmb_zone_oldest_seq(&f.z), 21);
	cmb_zone_fini(&f.z);
}

static void new_owner_data_ends_the_history_and_keeps_the_contributions(void **state)
{
	struct fixture f;
	struct cmb_owner *o;
	size_t from;

	(void)state;
	begin(&f);
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	o = t_owner(HSYNC_LINE);
	o->gen = 2;
	take_owner(&f, o); /* the same serial once more: ours goes on */
	assert_int_equal(f.z.serials.last_out, 1002);
	assert_int_equal(f.z.journal_count, 0);
	assert_false(cmb_zone_history(&f.z, 1000, &from));
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
	T_ERR(cmb_zone_plan(&f.z, o, NULL, &v, &why), MSP_ESTALE); /* 1001 is out, the SOA says 1000 */
	assert_null(v);
	assert_true(why.text[0] != '\0');
	f.z.serials.last_out = 1000; /* the same signed version again, after its pages were lost */
	T_OK(cmb_zone_plan(&f.z, o, NULL, &v, NULL));
	assert_int_equal(v->serial, 1000);
	cmb_version_free(&v);
	cmb_owner_free(&o);
	cmb_zone_fini(&f.z);
}

static void zonemd_passes_only_while_nothing_is_changed(void **state)
{
	static const char zonemd[] =
		Z "300 ZONEMD 1000 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425"
		  "262728292a2b2c2d2e2f";
	struct fixture f;
	struct cmb_owner *o;

	(void)state;
	begin(&f);
	o = t_owner(HSYNC_LINE);
	cmb_apex_fini(&o->apex);
	t_owner_add(o, Z "300 SOA ns.test. host.test. 2000 3600 600 86400 60\n" NS_LINES);
	t_owner_add(o, zonemd);
	o->gen = 2;
	take_owner(&f, o);
	t_assert_set(f.z.served.set[CMB_ZONEMD], zonemd);
	assert_true(change(&f, Z "10 DNSKEY " KEY_A));
	assert_null(f.z.served.set[CMB_ZONEMD]);
	assert_true((f.z.notes & CMB_NOTE_BIT(CMB_NOTE_ZONEMD_STRIPPED)) != 0);
	assert_true(f.z.journal[0]->del.len > 0); /* its removal is in the history */
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
		cmocka_unit_test(the_first_version_has_the_owners_serial_and_each_change_one_more),
		cmocka_unit_test(planning_changes_nothing_until_adopted),
		cmocka_unit_test(history_leads_from_any_kept_serial_to_the_last),
		cmocka_unit_test(history_is_bounded_and_drops_the_oldest),
		cmocka_unit_test(new_owner_data_ends_the_history_and_keeps_the_contributions),
		cmocka_unit_test(a_signed_zone_keeps_its_serial_or_is_held),
		cmocka_unit_test(zonemd_passes_only_while_nothing_is_changed),
		cmocka_unit_test(contributions_come_back_to_light_when_ns_are_handed_to_the_agents),
		cmocka_unit_test(memory_failures_while_planning_leave_no_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
