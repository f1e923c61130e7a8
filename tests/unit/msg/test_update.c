/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/msg/update.h>

static struct msp_rr_scratch scratch;
static const uint8_t a_data[] = { 192, 0, 2, 1 };
#define A_DATA  msp_span(a_data, sizeof(a_data))
#define NO_DATA msp_span(NULL, 0)
#define REFUSED 99

static void zone_section_is_one_soa_of_class_in(void **state)
{
	struct msp_msg m = { .opcode = MSP_OPCODE_UPDATE };
	struct msp_why why = { "" };

	(void)state;
	m.count[MSP_SEC_ZONE] = 1;
	m.question = (struct msp_question){ t_name("example."), MSP_TYPE_SOA, MSP_CLASS_IN };
	T_OK(msp_update_check(&m, &why));
	m.question.type = MSP_TYPE_NS;
	T_ERR(msp_update_check(&m, &why), MSP_EFORMAT);
	assert_string_not_equal(why.text, "");
	m.question.type = MSP_TYPE_SOA;
	m.question.cls = MSP_CLASS_CH;
	T_ERR(msp_update_check(&m, NULL), MSP_EFORMAT);
	m.question.cls = MSP_CLASS_IN;
	m.count[MSP_SEC_ZONE] = 2;
	T_ERR(msp_update_check(&m, NULL), MSP_EFORMAT);
	m.count[MSP_SEC_ZONE] = 0;
	T_ERR(msp_update_check(&m, NULL), MSP_EFORMAT);
}

struct row {
	uint16_t cls, type;
	uint32_t ttl;
	bool has_data;
	int want; /* kind, or REFUSED */
};

static struct msp_rr row_rr(const struct row *r)
{
	return (struct msp_rr){ .owner = t_name("a.example."),
				.type = r->type,
				.cls = r->cls,
				.ttl = r->ttl,
				.rdata = r->has_data ? A_DATA : NO_DATA };
}

#define IN    MSP_CLASS_IN
#define ANY   MSP_CLASS_ANY
#define NONE  MSP_CLASS_NONE
#define T_A   MSP_TYPE_A
#define T_ANY MSP_TYPE_ANY

static void prerequisites_are_classified_by_rfc2136_3_2_4(void **state)
{
	static const struct row rows[] = {
		{ ANY, T_ANY, 0, false, MSP_PREREQ_NAME_IN_USE },
		{ ANY, T_A, 0, false, MSP_PREREQ_RRSET_EXISTS },
		{ NONE, T_ANY, 0, false, MSP_PREREQ_NAME_UNUSED },
		{ NONE, T_A, 0, false, MSP_PREREQ_RRSET_ABSENT },
		{ IN, T_A, 0, true, MSP_PREREQ_RRSET_EQUALS },
		{ IN, 65400, 0, false, MSP_PREREQ_RRSET_EQUALS }, /* an opaque type may be empty */
		{ ANY, 65400, 0, false, MSP_PREREQ_RRSET_EXISTS },
		/* TTL not 0 */
		{ ANY, T_ANY, 1, false, REFUSED },
		{ ANY, T_A, 1, false, REFUSED },
		{ NONE, T_ANY, 1, false, REFUSED },
		{ NONE, T_A, 1, false, REFUSED },
		{ IN, T_A, 1, true, REFUSED },
		/* RDATA where none belongs, none where some does */
		{ ANY, T_ANY, 0, true, REFUSED },
		{ ANY, T_A, 0, true, REFUSED },
		{ NONE, T_ANY, 0, true, REFUSED },
		{ NONE, T_A, 0, true, REFUSED },
		{ IN, T_A, 0, false, REFUSED },
		/* types and classes */
		{ IN, T_ANY, 0, true, REFUSED },
		{ IN, MSP_TYPE_AXFR, 0, true, REFUSED },
		{ ANY, MSP_TYPE_AXFR, 0, false, REFUSED },
		{ NONE, MSP_TYPE_OPT, 0, false, REFUSED },
		{ ANY, 0, 0, false, REFUSED },
		{ MSP_CLASS_CH, T_A, 0, true, REFUSED },
		{ 0, T_A, 0, true, REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_rr rr = row_rr(&rows[i]);
		enum msp_prereq kind = MSP_PREREQ_NAME_IN_USE;
		struct msp_why why = { "" };
		enum msp_err err = msp_prereq_classify(&rr, &kind, &why);

		if (err != (rows[i].want == REFUSED ? MSP_EFORMAT : MSP_OK))
			fail_msg("row %zu: %s %s", i, msp_err_name(err), why.text);
		if (err == MSP_OK)
			assert_int_equal(kind, rows[i].want);
		else
			assert_string_not_equal(why.text, "");
	}
}

static void updates_are_classified_by_rfc2136_3_4_1_2(void **state)
{
	static const struct row rows[] = {
		{ IN, T_A, 0, true, MSP_UPD_ADD },
		{ IN, T_A, 3600, true, MSP_UPD_ADD },
		{ IN, 65400, 3600, false, MSP_UPD_ADD },
		{ ANY, T_A, 0, false, MSP_UPD_DEL_RRSET },
		{ ANY, T_ANY, 0, false, MSP_UPD_DEL_NAME },
		{ NONE, T_A, 0, true, MSP_UPD_DEL_RR },
		/* TTL of a deletion */
		{ ANY, T_A, 1, false, REFUSED },
		{ ANY, T_ANY, 1, false, REFUSED },
		{ NONE, T_A, 1, true, REFUSED },
		/* RDATA */
		{ ANY, T_A, 0, true, REFUSED },
		{ ANY, T_ANY, 0, true, REFUSED },
		{ NONE, T_A, 0, false, REFUSED },
		{ IN, T_A, 0, false, REFUSED },
		/* types and classes */
		{ IN, T_ANY, 0, true, REFUSED },
		{ IN, MSP_TYPE_AXFR, 0, true, REFUSED },
		{ IN, 253, 0, true, REFUSED },
		{ IN, MSP_TYPE_TSIG, 0, true, REFUSED },
		{ IN, MSP_TYPE_OPT, 0, true, REFUSED },
		{ IN, 0, 0, true, REFUSED },
		{ NONE, T_ANY, 0, true, REFUSED },
		{ NONE, MSP_TYPE_IXFR, 0, true, REFUSED },
		{ ANY, MSP_TYPE_AXFR, 0, false, REFUSED },
		{ ANY, MSP_TYPE_TKEY, 0, false, REFUSED },
		{ MSP_CLASS_CH, T_A, 0, true, REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_rr rr = row_rr(&rows[i]);
		enum msp_upd kind = MSP_UPD_ADD;
		struct msp_why why = { "" };
		enum msp_err err = msp_upd_classify(&rr, &kind, &why);

		if (err != (rows[i].want == REFUSED ? MSP_EFORMAT : MSP_OK))
			fail_msg("row %zu: %s %s", i, msp_err_name(err), why.text);
		if (err == MSP_OK)
			assert_int_equal(kind, rows[i].want);
		else
			assert_string_not_equal(why.text, "");
	}
}

static void built_update_is_classified_as_what_it_was_built_as(void **state)
{
	static uint8_t mem[2048];
	static const enum msp_upd upds[] = { MSP_UPD_DEL_RRSET, MSP_UPD_ADD, MSP_UPD_DEL_NAME, MSP_UPD_DEL_RR };
	struct msp_name zone = t_name("example."), name = t_name("a.example.");
	struct msp_msg_it it;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_msg m;
	struct msp_rr rr;
	unsigned n = 0;

	(void)state;
	msp_updw_init(&w, mem, sizeof(mem), 0x1234, &zone);
	for (int k = MSP_PREREQ_NAME_IN_USE; k <= MSP_PREREQ_RRSET_EQUALS; k++)
		msp_updw_prereq(&w, (enum msp_prereq)k, &name, MSP_TYPE_A, A_DATA);
	msp_updw_del_rrset(&w, &name, MSP_TYPE_A);
	msp_updw_add(&w, &name, MSP_TYPE_A, 300, A_DATA);
	msp_updw_del_name(&w, &name);
	msp_updw_del_rr(&w, &name, MSP_TYPE_A, A_DATA);
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(msp_msg_parse(raw, &scratch, &m, NULL));
	T_OK(msp_update_check(&m, NULL));
	assert_int_equal(m.id, 0x1234);
	assert_int_equal(m.opcode, MSP_OPCODE_UPDATE);
	assert_true(msp_name_same(&m.question.name, &zone));

	msp_msg_it_init(&it, &m, MSP_SEC_PREREQ, &scratch);
	for (n = 0; msp_msg_next(&it, &rr); n++) {
		enum msp_prereq kind;

		T_OK(msp_prereq_classify(&rr, &kind, NULL));
		assert_int_equal(kind, n);
		assert_true(msp_name_same(&rr.owner, &name));
	}
	assert_int_equal(n, 5);
	msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &scratch);
	for (n = 0; msp_msg_next(&it, &rr); n++) {
		enum msp_upd kind;

		T_OK(msp_upd_classify(&rr, &kind, NULL));
		assert_int_equal(kind, upds[n]);
		assert_int_equal(rr.ttl, kind == MSP_UPD_ADD ? 300 : 0);
	}
	assert_int_equal(n, 4);
}

static void prerequisite_after_an_update_is_an_error(void **state)
{
	static uint8_t mem[2048];
	struct msp_name zone = t_name("example.");
	struct msp_span raw;
	struct msp_msgw w;

	(void)state;
	msp_updw_init(&w, mem, sizeof(mem), 1, &zone);
	msp_updw_del_name(&w, &zone);
	msp_updw_prereq(&w, MSP_PREREQ_NAME_IN_USE, &zone, 0, NO_DATA);
	T_ERR(msp_msgw_finish(&w, &raw), MSP_ESTATE);
}

/* PROTOCOL E.2: the octets that BIND's nsupdate made are classified. */
static void update_vectors_are_classified(void **state)
{
	static const char *const files[] = { "u1-update-ed25519", "u2-bootstrap-p256", "u3-update-rsasha256-tcp",
					     "u4-update-p384",    "u5-update-ed448",   "t1-tsig-update-request" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct msp_msg_it it;
		struct msp_buf buf;
		struct msp_msg m;
		struct msp_rr rr;
		char path[100];
		int n = 0;

		snprintf(path, sizeof(path), "vectors/%s.hex", files[i]);
		t_hex_file(path, &buf);
		T_OK(msp_msg_parse(msp_buf_span(&buf), &scratch, &m, NULL));
		T_OK(msp_update_check(&m, NULL));
		msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &scratch);
		while (msp_msg_next(&it, &rr)) {
			enum msp_upd kind;

			T_OK(msp_upd_classify(&rr, &kind, NULL));
			n++;
		}
		assert_int_equal(n, m.count[MSP_SEC_UPDATE]);
		assert_true(n > 0);
		msp_buf_fini(&buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zone_section_is_one_soa_of_class_in),
		cmocka_unit_test(prerequisites_are_classified_by_rfc2136_3_2_4),
		cmocka_unit_test(updates_are_classified_by_rfc2136_3_4_1_2),
		cmocka_unit_test(built_update_is_classified_as_what_it_was_built_as),
		cmocka_unit_test(prerequisite_after_an_update_is_an_error),
		cmocka_unit_test(update_vectors_are_classified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
