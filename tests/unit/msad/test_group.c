/* SPDX-License-Identifier: BSD-2-Clause */
/* One test per rule of PROTOCOL A.1. */
#include "support.h"

#include <msproto/auth/digest.h>
#include <msproto/wire/text.h>

#include "group.h"

#define SELF "msa.a.test."

static struct msp_rrset *hsync(const char *const *lines)
{
	struct msp_name zone = t_name("zone.example.");
	struct msp_rrset *set = NULL;

	T_OK(msp_rrset_new(&zone, MSP_TYPE_HSYNC_DEFAULT, 3600, &set));
	for (; *lines != NULL; lines++) {
		struct msp_buf b;
		struct msp_why why = { "" };

		msp_buf_init(&b, 4096);
		if ((*lines)[0] == '!') { /* raw octets */
			t_hex(*lines + 1, &b);
		} else {
			T_OK(msp_rdata_scan(msp_span_str(*lines), NULL, MSP_TYPE_HSYNC_DEFAULT, NULL, &b, &why));
		}
		T_OK(msp_rrset_add(set, msp_buf_span(&b)));
		msp_buf_fini(&b);
	}
	return set;
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void make(const char *const *lines, const struct msa_known *known, size_t count, struct msa_group *g)
{
	struct msp_name self = t_name(SELF);
	struct msp_rrset *set = hsync(lines);

	T_OK(msa_group_make(set, false, &self, known, count, g));
	msp_rrset_free(&set);
}

static const struct msa_group_row *row(const struct msa_group *g, const char *identity)
{
	struct msp_name n = t_name(identity);

	return msa_group_find(g, &n);
}

static void rule_1_no_hsync_is_an_empty_group(void **state)
{
	struct msp_name self = t_name(SELF);
	struct msa_group g;

	(void)state;
	T_OK(msa_group_make(NULL, false, &self, NULL, 0, &g));
	assert_false(g.has_hsync);
	assert_int_equal(g.count, 0);
	assert_int_equal(g.self, g.count);
	msa_group_fini(&g);
}

static void rule_2_a_malformed_record_is_ignored_and_makes_the_group_uncertain(void **state)
{
	struct msa_group g;

	(void)state;
	make(LINES("ON AGENT YES msa.a.test.", "ON AGENT YES msa.b.test.", "!0102"), NULL, 0, &g);
	assert_int_equal(g.count, 2);
	assert_int_equal(g.malformed, 1);
	assert_false(g.is_certain);
	assert_int_equal(g.signers, 2);
	msa_group_fini(&g);
}

static void rule_3_of_two_records_with_one_identity_off_and_no_win(void **state)
{
	struct msa_group g;

	(void)state;
	make(LINES("ON AGENT YES msa.a.test.", "ON AGENT YES msa.b.test.", "OFF AGENT NO MSA.b.TEST."), NULL, 0, &g);
	assert_int_equal(g.count, 2);
	assert_int_equal(g.duplicates, 1);
	assert_false(g.is_certain);
	assert_int_equal(row(&g, "msa.b.test.")->state, MSP_HSYNC_OFF);
	assert_int_equal(row(&g, "msa.b.test.")->sign, MSP_HSYNC_NO);
	msa_group_fini(&g);
}

static void rule_4_agent_needs_every_record_that_is_on(void **state)
{
	struct msa_group g;

	(void)state;
	make(LINES("ON AGENT YES msa.a.test.", "ON AGENT NO msa.b.test.", "OFF OWNER YES msa.c.test."), NULL, 0, &g);
	assert_int_equal(g.nsmgmt, MSP_HSYNC_AGENT); /* OFF does not count */
	assert_false(g.nsmgmt_mixed);
	msa_group_fini(&g);
	make(LINES("ON AGENT YES msa.a.test.", "ON OWNER YES msa.b.test."), NULL, 0, &g);
	assert_int_equal(g.nsmgmt, MSP_HSYNC_OWNER);
	assert_true(g.nsmgmt_mixed);
	msa_group_fini(&g);
}

static void rule_5_without_our_identity_we_take_no_part(void **state)
{
	struct msa_group g;

	(void)state;
	make(LINES("ON AGENT YES msa.b.test.", "ON AGENT YES xmsa.a.test."), NULL, 0, &g);
	assert_int_equal(g.self, g.count);
	msa_group_fini(&g);
	make(LINES("ON AGENT YES msa.b.test.", "ON AGENT YES MSA.A.test."), NULL, 0, &g);
	assert_true(g.self < g.count && g.row[g.self].is_self);
	msa_group_fini(&g);
}

static void rule_6_off_is_leaving_or_staging_by_history(void **state)
{
	struct msp_name b = t_name("msa.b.test."), c = t_name("msa.c.test.");
	struct msa_history was_on = { .ever_on = true, .last = MSA_LAST_OFF }, never = { 0 };
	struct msa_known known[] = { { &b, &was_on }, { &c, &never } };
	struct msa_group g;

	(void)state;
	make(LINES("ON AGENT YES msa.a.test.", "OFF AGENT YES msa.b.test.", "OFF AGENT YES msa.c.test."), known, 2, &g);
	assert_int_equal(row(&g, "msa.b.test.")->role, MSA_ROLE_LEAVER);
	assert_int_equal(row(&g, "msa.c.test.")->role, MSA_ROLE_STAGER);
	assert_int_equal(g.signers, 1);
	msa_group_fini(&g);
}

static void rule_7_a_record_that_vanishes_while_on_counts_as_off(void **state)
{
	struct msp_name b = t_name("msa.b.test.");
	struct msa_history on = {
		.ever_on = true, .last = MSA_LAST_ON, .nsmgmt = MSP_HSYNC_AGENT, .sign = MSP_HSYNC_YES
	};
	struct msa_known known[] = { { &b, &on } };
	struct msa_history after;
	struct msa_group g;

	(void)state;
	make(LINES("ON AGENT YES msa.a.test."), known, 1, &g);
	assert_int_equal(g.vanished, 1);
	assert_true(row(&g, "msa.b.test.")->is_vanished);
	assert_int_equal(row(&g, "msa.b.test.")->role, MSA_ROLE_LEAVER);
	assert_int_equal(row(&g, "msa.b.test.")->sign, MSP_HSYNC_YES); /* remembered */
	after = msa_history_next(&on, row(&g, "msa.b.test."));
	assert_int_equal(after.last, MSA_LAST_VANISHED);
	msa_group_fini(&g);
	/* It stays that way at the next look, too. */
	known[0].history = &after;
	make(LINES("ON AGENT YES msa.a.test."), known, 1, &g);
	assert_int_equal(row(&g, "msa.b.test.")->role, MSA_ROLE_LEAVER);
	msa_group_fini(&g);
	/* A record that was OFF may go: the owner was told that leaving is complete. */
	on.last = MSA_LAST_OFF;
	known[0].history = &on;
	make(LINES("ON AGENT YES msa.a.test."), known, 1, &g);
	assert_null(row(&g, "msa.b.test."));
	msa_group_fini(&g);
}

static void rule_8_undefined_values_are_malformed(void **state)
{
	struct msa_group g;

	(void)state;
	/* STATE 3, NSMGMT 3, SIGN 0 and STATE 200, identity "b." */
	make(LINES("ON AGENT YES msa.a.test.", "!030201016200", "!010301016200", "!010200016200", "!c80201016200"),
	     NULL, 0, &g);
	assert_int_equal(g.count, 1);
	assert_int_equal(g.malformed, 4);
	assert_false(g.is_certain);
	msa_group_fini(&g);
}

static void rule_9_upstream_gives_no_rights(void **state)
{
	struct msa_group g;

	(void)state;
	make(LINES("ON AGENT SIGN msa.a.test. msa.x.test."), NULL, 0, &g);
	assert_int_equal(g.count, 1);
	assert_true(g.is_certain);
	assert_null(row(&g, "msa.x.test."));
	msa_group_fini(&g);
}

static void rule_10_participants_signers_leavers_stagers(void **state)
{
	struct msp_name d = t_name("msa.d.test.");
	struct msa_history was_on = { .ever_on = true, .last = MSA_LAST_ON };
	struct msa_known known[] = { { &d, &was_on } };
	struct msa_group g;

	(void)state;
	make(LINES("ON AGENT YES msa.a.test.", "ON AGENT NO msa.b.test.", "OFF AGENT YES msa.c.test.",
		   "OFF AGENT YES msa.d.test."),
	     known, 1, &g);
	assert_true(msa_row_signs(row(&g, "msa.a.test.")));
	assert_int_equal(row(&g, "msa.b.test.")->role, MSA_ROLE_PARTICIPANT);
	assert_false(msa_row_signs(row(&g, "msa.b.test.")));
	assert_int_equal(row(&g, "msa.c.test.")->role, MSA_ROLE_STAGER);
	assert_int_equal(row(&g, "msa.d.test.")->role, MSA_ROLE_LEAVER);
	assert_int_equal(g.signers, 1);
	msa_group_fini(&g);
}

static void rule_11_the_digest_is_over_canonical_rdata_in_order(void **state)
{
	struct msa_group g, other;
	struct msp_buf b;
	struct msp_span part;
	uint8_t want[32];

	(void)state;
	make(LINES("ON AGENT YES msa.B.test.", "ON AGENT YES MSA.a.test."), NULL, 0, &g);
	msp_buf_init(&b, 4096);
	t_hex("000f 010201 036d7361 0161 0474657374 00"
	      "000f 010201 036d7361 0162 0474657374 00",
	      &b);
	part = msp_buf_span(&b);
	T_OK(msp_sha256(&part, 1, want));
	assert_memory_equal(g.digest, want, 32);
	make(LINES("ON AGENT YES msa.a.TEST.", "ON AGENT YES msa.b.test."), NULL, 0, &other);
	assert_memory_equal(g.digest, other.digest, 32);
	msa_group_fini(&other);
	make(LINES("ON AGENT YES msa.a.test.", "ON AGENT NO msa.b.test."), NULL, 0, &other);
	assert_memory_not_equal(g.digest, other.digest, 32);
	msa_group_fini(&other);
	msa_group_fini(&g);
	msp_buf_fini(&b);
}

static void the_signer_set_has_a_digest_of_its_own(void **state)
{
	struct msa_group g, other;
	uint8_t a[32], b[32];

	(void)state;
	make(LINES("ON AGENT YES msa.a.test.", "ON AGENT YES msa.b.test."), NULL, 0, &g);
	make(LINES("ON OWNER YES MSA.a.test.", "ON AGENT YES msa.b.test.", "ON AGENT NO msa.c.test."), NULL, 0, &other);
	T_OK(msa_group_signers_digest(&g, a));
	T_OK(msa_group_signers_digest(&other, b));
	assert_memory_equal(a, b, 32);
	msa_group_fini(&other);
	make(LINES("ON AGENT YES msa.a.test.", "OFF AGENT YES msa.b.test."), NULL, 0, &other);
	T_OK(msa_group_signers_digest(&other, b));
	assert_memory_not_equal(a, b, 32);
	msa_group_fini(&other);
	msa_group_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_1_no_hsync_is_an_empty_group),
		cmocka_unit_test(rule_2_a_malformed_record_is_ignored_and_makes_the_group_uncertain),
		cmocka_unit_test(rule_3_of_two_records_with_one_identity_off_and_no_win),
		cmocka_unit_test(rule_4_agent_needs_every_record_that_is_on),
		cmocka_unit_test(rule_5_without_our_identity_we_take_no_part),
		cmocka_unit_test(rule_6_off_is_leaving_or_staging_by_history),
		cmocka_unit_test(rule_7_a_record_that_vanishes_while_on_counts_as_off),
		cmocka_unit_test(rule_8_undefined_values_are_malformed),
		cmocka_unit_test(rule_9_upstream_gives_no_rights),
		cmocka_unit_test(rule_10_participants_signers_leavers_stagers),
		cmocka_unit_test(rule_11_the_digest_is_over_canonical_rdata_in_order),
		cmocka_unit_test(the_signer_set_has_a_digest_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
