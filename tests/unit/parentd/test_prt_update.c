/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_build.h"

#include "update.h"

static struct msp_rr_scratch scratch; /* 64 KiB: not on the stack */
static uint8_t mem[65535];

static void only_what_is_below_by_labels_may_be_a_child(void **state)
{
	static const struct {
		const char *parent, *name;
		bool may;
	} cases[] = {
		{ "example.", "child.example.", true },
		{ "example.", "CHILD.EXAMPLE.", true },
		{ "example.", "a.b.example.", true },
		{ "example.", "example.", false },
		{ "example.", "ample.", false },
		{ "ample.", "example.", false },
		{ "example.", "childexample.", false },
		{ "example.", "child.ample.", false },
		{ "example.", "child.example.test.", false },
		{ ".", "test.", true },
		{ ".", ".", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_name parent = t_name(cases[i].parent), name = t_name(cases[i].name);

		if (prt_may_be_child(&parent, &name) != cases[i].may)
			fail_msg("%s %s", cases[i].parent, cases[i].name);
	}
}

static bool classify(const char *lines, enum prt_update_class *out, struct prt_refusal *no)
{
	struct msp_name child = t_name(C);
	struct msp_msg m;

	t_update(P, lines, mem, sizeof(mem), &scratch, &m);
	memset(no, 0, sizeof(*no));
	return prt_update_classify(&m, &child, &scratch, out, no);
}

#define KEY_1 "0 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="

static void updates_fall_into_classes(void **state)
{
	static const struct {
		const char *lines;
		enum prt_update_class class;
	} good[] = {
		{ "", PRT_UPDATE_NOTHING },
		{ "yx " C " NS", PRT_UPDATE_NOTHING },
		{ "add " C " 300 NS ns1." C, PRT_UPDATE_DELEGATION },
		{ "del " C " NS\nadd " C " 300 NS ns.test.\nadd ns1." C " 300 A 198.41.0.4", PRT_UPDATE_DELEGATION },
		{ "delrr " C " 0 DS 1 13 2 " DIGEST_1, PRT_UPDATE_DELEGATION },
		{ "del ns1." C " ANY", PRT_UPDATE_DELEGATION },
		{ "add CHILD.EXAMPLE. 300 DS 1 13 2 " DIGEST_1, PRT_UPDATE_DELEGATION },
		{ "del " C " KEY\nadd " C " 300 KEY " KEY_1, PRT_UPDATE_KEY },
		{ "nx " C " KEY\nadd " C " 300 KEY " KEY_1, PRT_UPDATE_KEY },
	};
	struct prt_refusal no;
	enum prt_update_class class;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!classify(good[i].lines, &class, &no) || class != good[i].class)
			fail_msg("%s: %s %s", good[i].lines, no.rule, no.why.text);
}

static void updates_about_anything_else_are_refused(void **state)
{
	static const struct {
		const char *lines;
		enum msp_ede_own ede;
	} bad[] = {
		{ "add sister.example. 300 NS ns.test.", MSP_EDE_UPDATE_NAME },
		{ "add example. 300 NS ns.test.", MSP_EDE_UPDATE_NAME },
		{ "add xchild.example. 300 DS 1 13 2 " DIGEST_1, MSP_EDE_UPDATE_NAME },
		{ "add *.example. 300 NS ns.test.", MSP_EDE_UPDATE_NAME },
		{ "add ns.sister.example. 300 A 198.41.0.4", MSP_EDE_UPDATE_NAME },
		{ "del example. ANY", MSP_EDE_UPDATE_NAME },
		{ "yx sister.example. NS", MSP_EDE_UPDATE_NAME },
		{ "nx example. ANY", MSP_EDE_UPDATE_NAME },
		{ "add grand." C " 300 NS ns.test.", MSP_EDE_UPDATE_TYPE },
		{ "add grand." C " 300 DS 1 13 2 " DIGEST_1, MSP_EDE_UPDATE_TYPE },
		{ "add grand." C " 300 KEY " KEY_1, MSP_EDE_UPDATE_TYPE },
		{ "add " C " 300 TXT \"x\"", MSP_EDE_UPDATE_TYPE },
		{ "add " C " 300 CDS 1 13 2 " DIGEST_1, MSP_EDE_UPDATE_TYPE },
		{ "add " C " 300 CNAME x.test.", MSP_EDE_UPDATE_TYPE },
		{ "add " C " 300 DNAME x.test.", MSP_EDE_UPDATE_TYPE },
		{ "add " C " 300 SOA a.test. b.test. 1 2 3 4 5", MSP_EDE_UPDATE_TYPE },
		{ "add " C " 300 TYPE65400 \\# 1 00", MSP_EDE_UPDATE_TYPE },
		{ "del " C " ANY", MSP_EDE_UPDATE_TYPE },
		{ "del " C " TXT", MSP_EDE_UPDATE_TYPE },
		{ "yx " C " TXT", MSP_EDE_UPDATE_TYPE },
		{ "add " C " 300 NS ns.test.\nadd " C " 300 KEY " KEY_1, MSP_EDE_KEY_MIXED },
		{ "del " C " KEY\ndel " C " DS", MSP_EDE_KEY_MIXED },
	};
	struct prt_refusal no;
	enum prt_update_class class;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (classify(bad[i].lines, &class, &no) || no.rcode != MSP_RCODE_REFUSED || !no.has_ede ||
		    no.is_standard || no.ede != bad[i].ede)
			fail_msg("%s: rcode %u ede %u %s", bad[i].lines, no.rcode, no.ede, no.why.text);
	/* RFC 2181 8 */
	assert_false(classify("add " C " 2147483648 NS ns.test.", &class, &no));
	assert_int_equal(no.rcode, MSP_RCODE_FORMERR);
}

static void prerequisites_look_at_what_is_registered(void **state)
{
	static const struct {
		const char *lines;
		unsigned rcode;
	} cases[] = {
		{ "yx " C " ANY", MSP_RCODE_NOERROR },
		{ "nx " C " ANY", MSP_RCODE_YXDOMAIN },
		{ "yx ns1." C " ANY", MSP_RCODE_NOERROR },
		{ "yx ns9." C " ANY", MSP_RCODE_NXDOMAIN },
		{ "nx ns9." C " ANY", MSP_RCODE_NOERROR },
		{ "yx " C " DS", MSP_RCODE_NOERROR },
		{ "nx " C " DS", MSP_RCODE_YXRRSET },
		{ "yx " C " A", MSP_RCODE_NXRRSET },
		{ "yx " C " KEY", MSP_RCODE_NOERROR },
		{ "nx " C " KEY", MSP_RCODE_YXRRSET },
		{ "eq " C " 0 DS 1 13 2 " DIGEST_1, MSP_RCODE_NOERROR },
		{ "eq " C " 0 DS 1 13 2 " DIGEST_2, MSP_RCODE_NXRRSET },
		{ "eq " C " 0 DS 1 13 2 " DIGEST_1 "\neq " C " 0 DS 1 13 2 " DIGEST_2, MSP_RCODE_NXRRSET },
		{ "eq " C " 0 NS ns1." C, MSP_RCODE_NXRRSET },
		{ "eq " C " 0 NS ns.other.test.\neq " C " 0 DS 1 13 2 " DIGEST_1 "\neq " C " 0 NS NS1." C,
		  MSP_RCODE_NOERROR },
		{ "eq " C " 0 KEY " KEY_1, MSP_RCODE_NOERROR },
	};
	struct prt_delegation now;
	struct msp_rrset *keys = t_rrset(C " 0 KEY " KEY_1);

	(void)state;
	t_delegation(&now, USUAL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prt_refusal no = { 0 };
		struct msp_msg m;
		enum msp_err err;

		t_update(P, cases[i].lines, mem, sizeof(mem), &scratch, &m);
		err = prt_update_prerequisites(&m, &now, keys, &scratch, &no);
		if (no.rcode != cases[i].rcode || err != (cases[i].rcode ? MSP_EREFUSED : MSP_OK))
			fail_msg("%s: %s, rcode %u", cases[i].lines, msp_err_name(err), no.rcode);
	}
	msp_rrset_free(&keys);
	prt_delegation_clear(&now);
}

static void updates_are_carried_out_in_order(void **state)
{
	static const struct {
		const char *lines, *result; /* NULL: refused */
	} cases[] = {
		{ "", USUAL },
		{ "del " C " NS\nadd " C " 300 NS a.test.\nadd " C " 300 NS b.test.",
		  C " 300 NS a.test.\n" C " 300 NS b.test.\n" C " 300 DS 1 13 2 " DIGEST_1 "\n" }, /* idle glue goes */
		{ "add " C " 300 NS a.test.\ndel " C " NS", NULL },
		{ "del " C " NS", NULL },
		{ "delrr " C " 0 NS ns1." C "\ndelrr " C " 0 NS ns.other.test.", NULL },
		{ "delrr " C " 0 NS NS1.CHILD.EXAMPLE.",
		  C " 300 NS ns.other.test.\n" C " 300 DS 1 13 2 " DIGEST_1 "\n" },
		{ "delrr " C " 0 NS never.test.", USUAL },
		{ "del " C " DS", C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\nns1." C
				    " 300 AAAA 2001:503:ba3e::2:30\n" },
		{ "add " C " 600 DS 2 13 2 " DIGEST_2,
		  C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\nns1." C
		    " 300 AAAA 2001:503:ba3e::2:30\n" C " 600 DS 1 13 2 " DIGEST_1 "\n" C " 600 DS 2 13 2 " DIGEST_2
		    "\n" },
		{ "del ns1." C " ANY\nadd ns1." C " 300 A 198.41.0.5",
		  C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.5\n" C
		    " 300 DS 1 13 2 " DIGEST_1 "\n" },
		{ "add ns9." C " 300 A 198.41.0.5", USUAL }, /* nobody needs it */
	};
	struct prt_delegation now, out;

	(void)state;
	t_delegation(&now, USUAL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prt_refusal no = { 0 };
		struct msp_msg m;
		enum msp_err err;

		t_update(P, cases[i].lines, mem, sizeof(mem), &scratch, &m);
		err = prt_update_apply(&m, &now, &scratch, &out, &no);
		if (err != (cases[i].result ? MSP_OK : MSP_EREFUSED) ||
		    (cases[i].result != NULL && !t_is(&out, cases[i].result)))
			fail_msg("%s: %s %s", cases[i].lines, msp_err_name(err), no.why.text);
		if (err == MSP_OK)
			prt_delegation_clear(&out);
		assert_true(t_is(&now, USUAL));
	}
	prt_delegation_clear(&now);
}

static void more_servers_than_a_delegation_has_room_for_are_refused(void **state)
{
	struct prt_delegation now, out;
	struct prt_refusal no = { 0 };
	struct msp_msg m;
	char lines[2048] = "";

	(void)state;
	for (unsigned i = 0; i < PRT_NS_MAX; i++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "add " C " 300 NS n%u.test.\n", i);
	t_delegation(&now, USUAL);
	t_update(P, lines, mem, sizeof(mem), &scratch, &m);
	T_ERR(prt_update_apply(&m, &now, &scratch, &out, &no), MSP_EREFUSED);
	assert_int_equal(no.ede, MSP_EDE_DELEGATION_CHECK);
	prt_delegation_clear(&now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_below_by_labels_may_be_a_child),
		cmocka_unit_test(updates_fall_into_classes),
		cmocka_unit_test(updates_about_anything_else_are_refused),
		cmocka_unit_test(prerequisites_look_at_what_is_registered),
		cmocka_unit_test(updates_are_carried_out_in_order),
		cmocka_unit_test(more_servers_than_a_delegation_has_room_for_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
