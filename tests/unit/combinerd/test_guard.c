/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmb_build.h"

#include "guard.h"

static enum msp_err feed(struct cmb_guard *g, const char *owner, uint16_t type, size_t len, struct msp_why *why)
{
	static const uint8_t octets[1000];
	struct msp_rr rr = { .owner = t_name(owner), .type = type, .cls = MSP_CLASS_IN, .ttl = 300 };

	rr.rdata = msp_span(octets, len);
	return cmb_guard_record(g, &rr, why);
}

static struct cmb_owner *owner_of(uint64_t records)
{
	struct cmb_owner *o = t_owner("");

	o->records = records;
	return o;
}

static void without_limits_everything_passes(void **state)
{
	const struct cmb_guard_limits none = { 0 };
	struct msp_why why = { "" };
	struct cmb_guard g;

	(void)state;
	cmb_guard_init(&g, &none);
	for (int i = 0; i < 1000; i++)
		T_OK(feed(&g, "a.zone.test.", MSP_TYPE_TXT, 1000, &why));
	assert_int_equal(g.records, 1000);
}

static void one_record_too_many_is_refused_with_its_reason(void **state)
{
	const struct cmb_guard_limits l = { .records = 2 };
	struct msp_why why = { "" };
	struct cmb_guard g;

	(void)state;
	cmb_guard_init(&g, &l);
	T_OK(feed(&g, "a.zone.test.", MSP_TYPE_A, 4, &why));
	T_OK(feed(&g, "b.zone.test.", MSP_TYPE_A, 4, &why));
	assert_int_equal(feed(&g, "c.zone.test.", MSP_TYPE_A, 4, &why), MSP_ELIMIT);
	assert_non_null(strstr(why.text, "max-records"));
}

static void names_are_counted_once_for_each_run_whatever_their_case(void **state)
{
	const struct cmb_guard_limits l = { .names = 2 };
	struct msp_why why = { "" };
	struct cmb_guard g;

	(void)state;
	cmb_guard_init(&g, &l);
	T_OK(feed(&g, "a.zone.test.", MSP_TYPE_A, 4, &why));
	T_OK(feed(&g, "A.ZONE.test.", MSP_TYPE_TXT, 4, &why));
	T_OK(feed(&g, "b.zone.test.", MSP_TYPE_A, 4, &why));
	assert_int_equal(feed(&g, "c.zone.test.", MSP_TYPE_A, 4, &why), MSP_ELIMIT);
	assert_non_null(strstr(why.text, "max-names"));
}

static void an_rrset_is_measured_by_its_rdata_and_the_next_one_begins_at_nothing(void **state)
{
	const struct cmb_guard_limits l = { .rrset_octets = 100 };
	struct msp_why why = { "" };
	struct cmb_guard g;

	(void)state;
	cmb_guard_init(&g, &l);
	T_OK(feed(&g, "a.zone.test.", MSP_TYPE_TXT, 60, &why));
	T_OK(feed(&g, "a.zone.test.", MSP_TYPE_TXT, 40, &why));
	T_OK(feed(&g, "a.zone.test.", MSP_TYPE_A, 60, &why));
	T_OK(feed(&g, "b.zone.test.", MSP_TYPE_A, 100, &why));
	assert_int_equal(feed(&g, "b.zone.test.", MSP_TYPE_A, 1, &why), MSP_ELIMIT);
	assert_non_null(strstr(why.text, "b.zone.test. A"));
}

static void the_version_counts_pages_apex_and_soa(void **state)
{
	struct cmb_guard_limits l = { .records = 10 };
	struct cmb_owner *o = owner_of(7); /* and two NS, and the SOA */
	struct msp_why why = { "" };

	(void)state;
	T_OK(cmb_guard_version(&l, NULL, o, &why));
	l.records = 9;
	assert_int_equal(cmb_guard_version(&l, NULL, o, &why), MSP_ELIMIT);
	cmb_owner_free(&o);
}

static void shrinking_beyond_the_share_is_held(void **state)
{
	static const struct {
		uint64_t held, news; /* in the pages; two NS on either side */
		unsigned percent;
		enum msp_err want;
	} rows[] = {
		{ 998, 498, 50, MSP_OK },                            /* exactly half */
		{ 998, 497, 50, MSP_EREFUSED },                      /* one more */
		{ 998, 2000, 50, MSP_OK },                           /* growing */
		{ 998, 998, 1, MSP_OK },                             /* as large */
		{ 998, 988, 1, MSP_OK },                             /* exactly one per cent */
		{ 998, 987, 1, MSP_EREFUSED },                       /* one more */
		{ 998, 0, 0, MSP_OK },                               /* not guarded */
		{ 998, 0, 100, MSP_OK },                             /* everything may go */
		{ 7, 1, 10, MSP_OK },                                /* a small zone may lose most */
		{ 7, 0, 10, MSP_EREFUSED },                          /* but not all */
		{ 0, 0, 10, MSP_OK },                                /* it had nothing */
		{ 8, 7, 10, MSP_OK },                                /* ten records: one of ten */
		{ 8, 6, 10, MSP_EREFUSED },                          /* two of ten */
		{ UINT64_MAX / 2, UINT64_MAX / 2 - 10, 99, MSP_OK }, /* no overflow */
		{ UINT64_MAX / 2, 1, 50, MSP_EREFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct cmb_guard_limits l = { .shrink_percent = rows[i].percent };
		struct cmb_owner *held = owner_of(rows[i].held), *news = owner_of(rows[i].news);
		struct msp_why why = { "" };
		enum msp_err err = cmb_guard_version(&l, held, news, &why);

		if (err != rows[i].want)
			fail_msg("row %zu: %s %s", i, msp_err_name(err), why.text);
		cmb_owner_free(&held);
		cmb_owner_free(&news);
	}
}

static void the_first_version_has_nothing_to_shrink_from(void **state)
{
	const struct cmb_guard_limits l = { .shrink_percent = 1 };
	struct cmb_owner *news = owner_of(0);
	struct msp_why why = { "" };

	(void)state;
	T_OK(cmb_guard_version(&l, NULL, news, &why));
	cmb_owner_free(&news);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_limits_everything_passes),
		cmocka_unit_test(one_record_too_many_is_refused_with_its_reason),
		cmocka_unit_test(names_are_counted_once_for_each_run_whatever_their_case),
		cmocka_unit_test(an_rrset_is_measured_by_its_rdata_and_the_next_one_begins_at_nothing),
		cmocka_unit_test(the_version_counts_pages_apex_and_soa),
		cmocka_unit_test(shrinking_beyond_the_share_is_held),
		cmocka_unit_test(the_first_version_has_nothing_to_shrink_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
