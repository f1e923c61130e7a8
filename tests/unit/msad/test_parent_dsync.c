/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the parent takes changes. RFC 9859 4.1, PROTOCOL A.3, G.2 */
#include "support.h"

#include "dsync.h"

static const struct msp_name unset = { 0 };

static void expect(const struct msa_dsync_walk *w, const char *name)
{
	struct msp_name n = t_name(name);

	assert_true(msp_name_equal(msa_dsync_name(w), &n));
}

static void the_example_of_the_protocol_takes_three_forms(void **state)
{
	struct msp_name child = t_name("a.b.child.example."), soa = t_name("example.");
	struct msa_dsync_walk w;

	(void)state;
	T_OK(msa_dsync_first(&w, &child));
	expect(&w, "a._dsync.b.child.example.");
	assert_true(msa_dsync_next(&w, &soa, &soa));
	expect(&w, "a.b.child._dsync.example.");
	assert_true(msa_dsync_next(&w, &soa, &soa));
	expect(&w, "_dsync.example.");
	assert_false(msa_dsync_next(&w, &soa, &soa));
}

static void the_usual_child_takes_two(void **state)
{
	struct msp_name child = t_name("child.example."), soa = t_name("EXAMPLE.");
	struct msa_dsync_walk w;

	(void)state;
	T_OK(msa_dsync_first(&w, &child));
	expect(&w, "child._dsync.example.");
	assert_true(msa_dsync_next(&w, &soa, &unset));
	expect(&w, "_dsync.example.");
	assert_false(msa_dsync_next(&w, &soa, &unset));
}

static void a_top_level_domain_asks_the_root(void **state)
{
	struct msp_name child = t_name("example."), root = t_name(".");
	struct msa_dsync_walk w;

	(void)state;
	T_OK(msa_dsync_first(&w, &child));
	expect(&w, "example._dsync.");
	assert_true(msa_dsync_next(&w, &root, &root));
	expect(&w, "_dsync.");
	assert_false(msa_dsync_next(&w, &root, &root));
	T_ERR(msa_dsync_first(&w, &root), MSP_ENAME);
}

static void a_dsync_subtree_that_is_a_zone_of_its_own_is_not_taken_for_the_parent(void **state)
{
	struct msp_name child = t_name("a.b.example."), soa = t_name("_dsync.b.example."), parent = t_name("example.");
	struct msa_dsync_walk w;

	(void)state;
	T_OK(msa_dsync_first(&w, &child));
	expect(&w, "a._dsync.b.example.");
	assert_true(msa_dsync_next(&w, &soa, &parent));
	expect(&w, "a.b._dsync.example.");
	assert_true(msa_dsync_next(&w, &unset, &parent)); /* no SOA at all: the same */
	expect(&w, "_dsync.example.");
}

static void no_sequence_of_answers_makes_more_than_three_questions(void **state)
{
	static const char *const soa[] = { "example.", "child.example.",     "b.child.example.", ".",
					   "other.",   "a.b.child.example.", "_dsync.example." };
	const size_t n = sizeof(soa) / sizeof(soa[0]);

	(void)state;
	for (size_t x = 0; x < n * n * n * n; x++) {
		struct msp_name child = t_name("a.b.child.example."), parent = t_name("example.");
		struct msa_dsync_walk w;
		size_t asked = 1, left = x;

		T_OK(msa_dsync_first(&w, &child));
		for (; asked < 10; asked++, left /= n) {
			struct msp_name s = t_name(soa[left % n]);

			if (!msa_dsync_next(&w, &s, &parent))
				break;
		}
		assert_true(asked <= 3);
		for (size_t i = 0; i < w.count; i++)
			for (size_t k = i + 1; k < w.count; k++)
				assert_false(msp_name_equal(&w.asked[i], &w.asked[k]));
	}
}

static void a_name_that_grows_too_long_is_refused(void **state)
{
	char text[300];
	struct msp_name child;
	struct msa_dsync_walk w;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[60] = text[121] = text[182] = '.';
	text[248] = '\0'; /* 250 octets: with _dsync over 255 */
	text[243] = '.';
	T_OK(msp_name_from_text(text, &child));
	T_ERR(msa_dsync_first(&w, &child), MSP_ENAME);
}

static void update_prefers_type_any_and_useless_records_are_ignored(void **state)
{
	struct msp_rrset *set = t_rrset("p. 60 DSYNC CDS 2 53 second.test.\n"
					"p. 60 DSYNC ANY 2 53 first.test.\n"
					"p. 60 DSYNC ANY 2 0 noport.test.\n"
					"p. 60 DSYNC ANY 77 53 unknown.test.\n"
					"p. 60 DSYNC ANY 0 53 null.test.\n"
					"p. 60 DSYNC A 2 53 othertype.test.\n"
					"p. 60 DSYNC CDS NOTIFY 54 scan.test.\n"
					"p. 60 DSYNC CSYNC NOTIFY 55 scan.test.\n"
					"p. 60 DSYNC CDS NOTIFY 0 noport.test.");
	struct msp_name first = t_name("first.test."), second = t_name("second.test."), scan = t_name("scan.test.");
	struct msa_dsync d;

	(void)state;
	msa_dsync_read(set, &msp_numbers_default, &d);
	assert_int_equal(d.kind[MSA_DSYNC_UPDATE].count, 2);
	assert_true(msp_name_equal(&d.kind[MSA_DSYNC_UPDATE].at[0].target, &first));
	assert_true(msp_name_equal(&d.kind[MSA_DSYNC_UPDATE].at[1].target, &second));
	assert_int_equal(d.kind[MSA_DSYNC_CDS].count, 1);
	assert_int_equal(d.kind[MSA_DSYNC_CDS].at[0].port, 54);
	assert_true(msp_name_equal(&d.kind[MSA_DSYNC_CSYNC].at[0].target, &scan));
	assert_int_equal(d.kind[MSA_DSYNC_CSYNC].at[0].port, 55);
	msp_rrset_free(&set);
}

static void the_scheme_number_of_update_is_a_setting(void **state)
{
	struct msp_rrset *set = t_rrset("p. 60 DSYNC ANY 2 53 two.test.\np. 60 DSYNC ANY 130 53 other.test.");
	struct msp_numbers n = msp_numbers_default;
	struct msp_name other = t_name("other.test.");
	struct msa_dsync d;

	(void)state;
	n.dsync_update = 130;
	msa_dsync_read(set, &n, &d);
	assert_int_equal(d.kind[MSA_DSYNC_UPDATE].count, 1);
	assert_true(msp_name_equal(&d.kind[MSA_DSYNC_UPDATE].at[0].target, &other));
	n.dsync_update = 0;
	msa_dsync_read(set, &n, &d);
	assert_int_equal(d.kind[MSA_DSYNC_UPDATE].count, 0);
	msp_rrset_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_protocol_takes_three_forms),
		cmocka_unit_test(the_usual_child_takes_two),
		cmocka_unit_test(a_top_level_domain_asks_the_root),
		cmocka_unit_test(a_dsync_subtree_that_is_a_zone_of_its_own_is_not_taken_for_the_parent),
		cmocka_unit_test(no_sequence_of_answers_makes_more_than_three_questions),
		cmocka_unit_test(a_name_that_grows_too_long_is_refused),
		cmocka_unit_test(update_prefers_type_any_and_useless_records_are_ignored),
		cmocka_unit_test(the_scheme_number_of_update_is_a_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
