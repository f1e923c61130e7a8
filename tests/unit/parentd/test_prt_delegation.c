/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_build.h"

static void what_has_a_place_in_a_delegation(void **state)
{
	static const struct {
		const char *owner;
		uint16_t type;
		bool has_place;
	} cases[] = {
		{ C, MSP_TYPE_NS, true },
		{ "CHILD.Example.", MSP_TYPE_DS, true },
		{ C, MSP_TYPE_A, true },
		{ "a.b." C, MSP_TYPE_AAAA, true },
		{ "a." C, MSP_TYPE_NS, false },
		{ "a." C, MSP_TYPE_DS, false },
		{ "xchild.example.", MSP_TYPE_A, false }, /* a suffix without a label boundary is another name */
		{ "example.", MSP_TYPE_A, false },
		{ "sister.example.", MSP_TYPE_NS, false },
		{ C, MSP_TYPE_TXT, false },
		{ C, MSP_TYPE_CNAME, false },
		{ C, MSP_TYPE_KEY, false },
		{ C, MSP_TYPE_SOA, false },
	};
	struct msp_name child = t_name(C);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_name owner = t_name(cases[i].owner);

		if (prt_delegation_has_place(&child, &owner, cases[i].type) != cases[i].has_place)
			fail_msg("%s %u", cases[i].owner, cases[i].type);
	}
}

static void records_go_in_and_out(void **state)
{
	struct prt_delegation d;
	struct msp_name ns1 = t_name("ns1." C), child = t_name(C);
	struct msp_rrset *a = t_rrset("ns1." C " 300 A 198.41.0.4");

	(void)state;
	t_delegation(&d, USUAL);
	assert_int_equal(d.count, 4);
	assert_true(prt_delegation_del(&d, &ns1, MSP_TYPE_A, a->rdata[0]));
	assert_false(prt_delegation_del(&d, &ns1, MSP_TYPE_A, a->rdata[0]));
	assert_null(prt_delegation_get(&d, &ns1, MSP_TYPE_A));
	assert_true(prt_delegation_del_set(&d, &child, MSP_TYPE_ANY));
	assert_null(prt_delegation_ns(&d));
	assert_null(prt_delegation_ds(&d));
	prt_delegation_drop_idle_glue(&d);
	assert_int_equal(d.count, 0);
	msp_rrset_free(&a);
	prt_delegation_clear(&d);
}

static void it_survives_being_stored(void **state)
{
	struct prt_delegation d, back;
	struct msp_buf b;

	(void)state;
	msp_buf_init(&b, 1 << 16);
	t_delegation(&d, USUAL);
	T_OK(prt_delegation_write(&d, &b));
	prt_delegation_init(&back, &d.parent, &d.child);
	T_OK(prt_delegation_read(msp_buf_span(&b), &back));
	assert_true(prt_delegation_equal(&d, &back));
	/* cut anywhere it is damaged, or ends between two records */
	for (size_t cut = 0; cut < b.len; cut++) {
		enum msp_err err = prt_delegation_read(msp_span(b.ptr, cut), &back);

		assert_true(err != MSP_OK || !prt_delegation_equal(&d, &back));
		assert_true(err == MSP_OK || back.count == 0);
	}
	msp_buf_fini(&b);
	prt_delegation_clear(&d);
	prt_delegation_clear(&back);
}

static enum msp_err play(void *arg, bool is_add, const struct msp_rr *rr)
{
	struct prt_delegation *d = arg;

	if (is_add)
		return prt_delegation_add(d, rr);
	return prt_delegation_del(d, &rr->owner, rr->type, rr->rdata) ? MSP_OK : MSP_ENOTFOUND;
}

static void the_difference_leads_from_one_to_the_other(void **state)
{
	static const char *const all[] = {
		"",
		USUAL,
		C " 300 NS ns.other.test.\n",
		C " 600 NS ns.other.test.\n" C " 600 NS ns2.other.test.\n",
		C " 300 NS ns1." C "\nns1." C " 300 A 198.41.0.5\n" C " 300 DS 1 13 2 " DIGEST_1 "\n" C
		  " 300 DS 2 13 2 " DIGEST_2 "\n",
	};
	size_t n = sizeof(all) / sizeof(all[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			struct prt_delegation a, b;

			t_delegation(&a, all[i]);
			t_delegation(&b, all[k]);
			{
				struct prt_delegation copy;

				T_OK(prt_delegation_dup(&a, &copy));
				T_OK(prt_delegation_diff(&a, &b, play, &copy));
				assert_true(prt_delegation_equal(&copy, &b));
				prt_delegation_clear(&copy);
			}
			prt_delegation_clear(&a);
			prt_delegation_clear(&b);
		}
	}
}

static void losses_are_named(void **state)
{
	static const struct {
		const char *after;
		unsigned losses;
	} cases[] = {
		{ USUAL, 0 },
		{ USUAL C " 300 NS ns3.other.test.\n", 0 },
		{ C " 300 NS ns.other.test.\n" C " 300 DS 1 13 2 " DIGEST_1 "\n", PRT_LOSS_SOME_NS },
		{ C " 300 NS ns9.other.test.\n" C " 300 DS 1 13 2 " DIGEST_1 "\n", PRT_LOSS_SOME_NS | PRT_LOSS_ALL_NS },
		{ C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\n" C
		    " 300 DS 1 13 2 " DIGEST_1 "\n",
		  PRT_LOSS_GLUE },
		{ C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\nns1." C
		    " 300 AAAA 2001:503:ba3e::2:30\n",
		  PRT_LOSS_SOME_DS | PRT_LOSS_LAST_DS },
		{ C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\nns1." C
		    " 300 AAAA 2001:503:ba3e::2:30\n" C " 300 DS 2 13 2 " DIGEST_2 "\n",
		  PRT_LOSS_SOME_DS },
	};
	struct prt_delegation before, after;

	(void)state;
	t_delegation(&before, USUAL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t_delegation(&after, cases[i].after);
		assert_int_equal(prt_delegation_losses(&before, &after), cases[i].losses);
		prt_delegation_clear(&after);
	}
	prt_delegation_clear(&before);
}

static void shapes_that_cannot_work_are_refused(void **state)
{
#define TWO C " 300 NS ns.a.test.\n" C " 300 NS ns.b.test.\n"
	static const struct {
		const char *lines, *reason; /* NULL: good */
	} cases[] = {
		{ USUAL, NULL },
		{ TWO, NULL },
		{ "", "0 NS" },
		{ C " 300 NS ns.a.test.\n", "1 NS" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\n", "has no address" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS " C "\n", "has no address" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS " C "\n" C " 300 A 198.41.0.4\n", NULL },
		{ TWO "ns1." C " 300 A 198.41.0.4\n", "is no NS" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS .\n", "not a host name" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS n_s.test.\n", "not a host name" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS -a.test.\n", "not a host name" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS *.test.\n", "not a host name" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 A 127.0.0.1\n", "leads nowhere" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 A 10.1.2.3\n", "leads nowhere" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 A 224.0.0.1\n", "leads nowhere" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 A 255.255.255.255\n", "leads nowhere" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 A 0.0.0.0\n", "leads nowhere" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 AAAA ::1\n", "leads nowhere" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 AAAA ::ffff:198.41.0.4\n",
		  "leads nowhere" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 AAAA fe80::1\n", "leads nowhere" },
		{ C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 AAAA ff02::1\n", "leads nowhere" },
		{ TWO C " 300 DS 1 13 2 " DIGEST_1 "\n", NULL },
		{ TWO C " 300 DS 1 13 1 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4\n", "digest type 1" },
		{ TWO C " 300 DS 1 13 4 " DIGEST_1 "\n", "digest type 4 with 32 octets" },
		{ TWO C " 300 DS 1 13 77 " DIGEST_1 "\n", "digest type 77" },
		{ TWO C " 300 DS 1 5 2 " DIGEST_1 "\n", "algorithm 5" },
		{ TWO C " 300 DS 1 253 2 " DIGEST_1 "\n", "algorithm 253" },
		{ TWO C " 300 DS 0 0 0 00\n", "digest type 0" }, /* the sentinel of RFC 8078 is no DS */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prt_delegation d;
		struct msp_why why = { "" };
		enum msp_err err;

		t_delegation(&d, cases[i].lines);
		err = prt_delegation_check(&d, &prt_shape_rules_default, &why);
		if (err != (cases[i].reason ? MSP_EVALUE : MSP_OK) ||
		    (cases[i].reason != NULL && strstr(why.text, cases[i].reason) == NULL))
			fail_msg("%s: %s %s", cases[i].lines, msp_err_name(err), why.text);
		prt_delegation_clear(&d);
	}
}

static void limits_hold(void **state)
{
	struct prt_delegation d;
	struct msp_why why = { "" };
	struct msp_rr rr = { .owner = t_name(C), .type = MSP_TYPE_NS, .cls = MSP_CLASS_IN, .ttl = 300 };
	struct msp_name host;
	char text[64];

	(void)state;
	t_delegation(&d, "");
	for (unsigned i = 0; i < PRT_NS_MAX; i++) {
		snprintf(text, sizeof(text), "n%u.test.", i);
		host = t_name(text);
		rr.rdata = msp_name_span(&host);
		T_OK(prt_delegation_add(&d, &rr));
	}
	T_OK(prt_delegation_add(&d, &rr)); /* the same once more */
	T_OK(prt_delegation_check(&d, &prt_shape_rules_default, &why));
	host = t_name("one.more.test.");
	rr.rdata = msp_name_span(&host);
	T_ERR(prt_delegation_add(&d, &rr), MSP_ELIMIT);
	assert_int_equal(prt_delegation_ns(&d)->count, PRT_NS_MAX);
	rr.type = MSP_TYPE_TXT;
	T_ERR(prt_delegation_add(&d, &rr), MSP_EVALUE);
	prt_delegation_clear(&d);
}

static void a_lab_may_use_private_addresses_but_no_multicast(void **state)
{
	struct prt_shape_rules rules = prt_shape_rules_default;
	struct prt_delegation d;
	struct msp_why why = { "" };

	(void)state;
	rules.private_addresses = true;
	t_delegation(&d, C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 A 10.1.2.3\n");
	T_OK(prt_delegation_check(&d, &rules, &why));
	prt_delegation_clear(&d);
	t_delegation(&d, C " 300 NS ns.a.test.\n" C " 300 NS ns1." C "\nns1." C " 300 A 224.0.0.1\n");
	T_ERR(prt_delegation_check(&d, &rules, &why), MSP_EVALUE);
	prt_delegation_clear(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_a_place_in_a_delegation),
		cmocka_unit_test(records_go_in_and_out),
		cmocka_unit_test(it_survives_being_stored),
		cmocka_unit_test(the_difference_leads_from_one_to_the_other),
		cmocka_unit_test(losses_are_named),
		cmocka_unit_test(shapes_that_cannot_work_are_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_lab_may_use_private_addresses_but_no_multicast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
