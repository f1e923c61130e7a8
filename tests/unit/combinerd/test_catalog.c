/* SPDX-License-Identifier: BSD-2-Clause */
/* What a catalog zone says (RFC 9432), from its records. */
#include "support.h"

#include "members.h"

#include <msproto/base/mem.h>

static struct msp_name name(const char *text)
{
	struct msp_name n;

	T_OK(msp_name_from_text(text, &n));
	return n;
}

static enum msp_err add_octets(struct cmb_members *m, const char *owner, uint16_t type, const void *rdata, size_t len)
{
	struct msp_rr rr = { .owner = name(owner), .type = type, .cls = MSP_CLASS_IN, .rdata = msp_span(rdata, len) };

	return cmb_members_add(m, &rr);
}

static void ptr(struct cmb_members *m, const char *owner, const char *to)
{
	struct msp_name n = name(to);

	T_OK(add_octets(m, owner, MSP_TYPE_PTR, n.oct, n.len));
}

static void txt(struct cmb_members *m, const char *owner, const char *text)
{
	uint8_t rdata[256];
	size_t len = strlen(text);

	rdata[0] = (uint8_t)len;
	memcpy(rdata + 1, text, len);
	T_OK(add_octets(m, owner, MSP_TYPE_TXT, rdata, len + 1));
}

static void begin(struct cmb_members *m, const char *version)
{
	struct msp_name catalog = name("catalog.example.");

	cmb_members_init(m, &catalog, 100);
	if (version != NULL)
		txt(m, "version.catalog.example.", version);
}

static const struct cmb_member *member(const struct cmb_members *m, const char *zone)
{
	struct msp_name n = name(zone);
	struct msp_name_key k = msp_name_key(&n);

	return msp_map_get(&m->by_zone, msp_name_key_span(&k));
}

/* The catalog is refused, and the reason says so. */
static void is_broken(struct cmb_members *m, const char *reason)
{
	struct msp_why why = { "" };

	T_ERR(cmb_members_finish(m, &why), MSP_EFORMAT);
	if (strstr(why.text, reason) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", why.text, reason);
	cmb_members_fini(m);
}

static void members_are_the_PTR_records_below_zones(void **state)
{
	struct cmb_members m;

	(void)state;
	begin(&m, "2");
	ptr(&m, "a1.zones.catalog.example.", "one.example.");
	ptr(&m, "B2.ZONES.catalog.example.", "Two.Example.");
	ptr(&m, "deep.er.zones.catalog.example.", "no.example."); /* a property that nobody knows */
	ptr(&m, "a3.zone.catalog.example.", "no.example.");       /* not "zones" */
	ptr(&m, "a4.zones.other.example.", "no.example.");        /* not below the catalog */
	ptr(&m, "a.b.c.zones.catalog.example.", "no.example.");   /* too deep */
	txt(&m, "a1.zones.catalog.example.", "whatever");         /* not PTR */
	txt(&m, "color.a1.zones.catalog.example.", "red");        /* unknown property */
	txt(&m, "ext.catalog.example.", "x");                     /* unknown, at the catalog */
	T_OK(cmb_members_finish(&m, NULL));
	assert_int_equal(m.by_zone.count, 2);
	assert_non_null(member(&m, "one.example."));
	assert_non_null(member(&m, "two.example."));
	cmb_members_fini(&m);
}

static void a_catalog_without_version_2_is_broken(void **state)
{
	struct cmb_members m;

	(void)state;
	begin(&m, NULL);
	is_broken(&m, "no version");
	begin(&m, "1");
	is_broken(&m, "other than 2");
	begin(&m, "22");
	is_broken(&m, "other than 2");
	begin(&m, "2");
	txt(&m, "version.catalog.example.", "3");
	is_broken(&m, "more than one version");
}

static void two_members_at_one_label_break_the_catalog(void **state)
{
	struct cmb_members m;

	(void)state;
	begin(&m, "2");
	ptr(&m, "a1.zones.catalog.example.", "one.example.");
	ptr(&m, "a1.zones.catalog.example.", "two.example.");
	is_broken(&m, "more than one PTR");
}

static void a_member_listed_twice_breaks_the_catalog(void **state)
{
	struct cmb_members m;

	(void)state;
	begin(&m, "2");
	ptr(&m, "a1.zones.catalog.example.", "one.example.");
	ptr(&m, "a2.zones.catalog.example.", "ONE.example.");
	is_broken(&m, "listed twice");
}

static void another_unique_label_is_another_id_and_its_case_does_not_count(void **state)
{
	struct cmb_members a, b, c;

	(void)state;
	begin(&a, "2");
	begin(&b, "2");
	begin(&c, "2");
	ptr(&a, "a1.zones.catalog.example.", "one.example.");
	ptr(&b, "a2.zones.catalog.example.", "one.example.");
	ptr(&c, "A1.zones.catalog.example.", "one.example.");
	T_OK(cmb_members_finish(&a, NULL));
	T_OK(cmb_members_finish(&b, NULL));
	T_OK(cmb_members_finish(&c, NULL));
	assert_true(member(&a, "one.example.")->id != member(&b, "one.example.")->id);
	assert_true(member(&a, "one.example.")->id == member(&c, "one.example.")->id);
	cmb_members_fini(&a);
	cmb_members_fini(&b);
	cmb_members_fini(&c);
}

static void properties_belong_to_their_member_in_any_order(void **state)
{
	struct cmb_members m;
	const struct cmb_member *one;
	struct msp_name to = name("other-catalog.example.");

	(void)state;
	begin(&m, "2");
	txt(&m, "group.a1.zones.catalog.example.", "signed");
	ptr(&m, "a1.zones.catalog.example.", "one.example.");
	txt(&m, "group.a1.zones.catalog.example.", "operator-y");
	ptr(&m, "coo.a1.zones.catalog.example.", "other-catalog.example.");
	ptr(&m, "a2.zones.catalog.example.", "two.example.");
	txt(&m, "group.a9.zones.catalog.example.", "of no member");
	T_OK(cmb_members_finish(&m, NULL));
	assert_int_equal(m.by_zone.count, 2);
	one = member(&m, "one.example.");
	assert_true(cmb_member_in_group(one, "signed"));
	assert_true(cmb_member_in_group(one, "operator-y"));
	assert_false(cmb_member_in_group(one, "Signed"));
	assert_false(cmb_member_in_group(one, ""));
	assert_true(msp_span_equal(one->coo, msp_name_span(&to)));
	assert_false(cmb_member_in_group(member(&m, "two.example."), "signed"));
	assert_int_equal(member(&m, "two.example.")->coo.len, 0);
	cmb_members_fini(&m);
}

static void two_changes_of_ownership_of_one_member_break_the_catalog(void **state)
{
	struct cmb_members m;

	(void)state;
	begin(&m, "2");
	ptr(&m, "a1.zones.catalog.example.", "one.example.");
	ptr(&m, "coo.a1.zones.catalog.example.", "x.example.");
	ptr(&m, "coo.a1.zones.catalog.example.", "y.example.");
	is_broken(&m, "more than one PTR");
}

static void groups_beyond_the_limit_are_left_out(void **state)
{
	struct cmb_members m;
	char text[200];

	(void)state;
	begin(&m, "2");
	ptr(&m, "a1.zones.catalog.example.", "one.example.");
	for (unsigned i = 0; i < 20; i++) {
		memset(text, 'a' + (int)i, sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		txt(&m, "group.a1.zones.catalog.example.", text);
	}
	T_OK(cmb_members_finish(&m, NULL));
	assert_true(member(&m, "one.example.")->groups_len <= CMB_MEMBER_GROUPS_MAX);
	memset(text, 'a', sizeof(text) - 1);
	assert_true(cmb_member_in_group(member(&m, "one.example."), text));
	memset(text, 'a' + 19, sizeof(text) - 1);
	assert_false(cmb_member_in_group(member(&m, "one.example."), text));
	cmb_members_fini(&m);
}

static void more_members_than_the_limit_are_an_error(void **state)
{
	struct msp_name catalog = name("catalog.example."), to = name("x.example.");
	struct cmb_members m;

	(void)state;
	cmb_members_init(&m, &catalog, 1);
	T_OK(add_octets(&m, "a1.zones.catalog.example.", MSP_TYPE_PTR, to.oct, to.len));
	T_ERR(add_octets(&m, "a2.zones.catalog.example.", MSP_TYPE_PTR, to.oct, to.len), MSP_ELIMIT);
	cmb_members_fini(&m);
}

static void without_memory_nothing_is_lost(void **state)
{
	(void)state;
	for (size_t n = 1;; n++) {
		struct msp_name to = name("one.example."), other = name("c2.example.");
		struct cmb_members m;
		enum msp_err err;

		begin(&m, "2");
		msp_mem_fail_at(n);
		err = add_octets(&m, "a1.zones.catalog.example.", MSP_TYPE_PTR, to.oct, to.len);
		if (err == MSP_OK)
			err = add_octets(&m, "group.a1.zones.catalog.example.", MSP_TYPE_TXT, "\1x", 2);
		if (err == MSP_OK)
			err = add_octets(&m, "coo.a1.zones.catalog.example.", MSP_TYPE_PTR, other.oct, other.len);
		if (err == MSP_OK)
			err = cmb_members_finish(&m, NULL);
		msp_mem_fail_at(0);
		cmb_members_fini(&m);
		if (err == MSP_OK)
			return;
		T_ERR(err, MSP_ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_the_PTR_records_below_zones),
		cmocka_unit_test(a_catalog_without_version_2_is_broken),
		cmocka_unit_test(two_members_at_one_label_break_the_catalog),
		cmocka_unit_test(a_member_listed_twice_breaks_the_catalog),
		cmocka_unit_test(another_unique_label_is_another_id_and_its_case_does_not_count),
		cmocka_unit_test(properties_belong_to_their_member_in_any_order),
		cmocka_unit_test(two_changes_of_ownership_of_one_member_break_the_catalog),
		cmocka_unit_test(groups_beyond_the_limit_are_left_out),
		cmocka_unit_test(more_members_than_the_limit_are_an_error),
		cmocka_unit_test(without_memory_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
