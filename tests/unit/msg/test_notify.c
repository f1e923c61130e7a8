/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/msg/notify.h>
#include <msproto/wire/rdata.h>

static struct msp_rr_scratch scratch;
static uint8_t mem[1024];

static struct msp_rr soa_rr(const char *owner, uint32_t serial)
{
	static uint8_t rdata[22];
	struct msp_soa soa = { .serial = serial };
	struct msp_wr wr;

	msp_name_root(&soa.mname);
	msp_name_root(&soa.rname);
	msp_wr_init(&wr, rdata, sizeof(rdata));
	msp_soa_write(&wr, &soa);
	assert_int_equal(wr.err, MSP_OK);
	return (struct msp_rr){
		.owner = t_name(owner), .type = MSP_TYPE_SOA, .cls = MSP_CLASS_IN, .rdata = msp_wr_span(&wr)
	};
}

static struct msp_msg built(uint16_t type, const struct msp_rr *soa)
{
	struct msp_name zone = t_name("example.");
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_msg m;

	msp_notifyw_init(&w, mem, sizeof(mem), 4242, &zone, type, soa);
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(msp_msg_parse(raw, &scratch, &m, NULL));
	return m;
}

static void plain_notify_has_one_question_and_no_opt(void **state)
{
	struct msp_msg m = built(MSP_TYPE_CDS, NULL);
	uint32_t hint;
	bool has;

	(void)state;
	assert_int_equal(m.id, 4242);
	assert_int_equal(m.opcode, MSP_OPCODE_NOTIFY);
	assert_int_equal(m.flags, MSP_FLAG_AA | MSP_OPCODE_NOTIFY << 11);
	assert_int_equal(m.question.type, MSP_TYPE_CDS);
	assert_int_equal(m.raw.len, 12 + 9 + 4);
	T_OK(msp_notify_check(&m, &scratch, &has, &hint, NULL));
	assert_false(has);
}

static void serial_hint_is_read_from_the_soa_of_the_zone(void **state)
{
	struct msp_rr soa = soa_rr("EXAMPLE.", 2026112401);
	struct msp_msg m = built(MSP_TYPE_SOA, &soa);
	uint32_t hint = 0;
	bool has;

	(void)state;
	T_OK(msp_notify_check(&m, &scratch, &has, &hint, NULL));
	assert_true(has);
	assert_int_equal(hint, 2026112401);
	soa = soa_rr("other.", 7);
	m = built(MSP_TYPE_SOA, &soa);
	T_OK(msp_notify_check(&m, &scratch, &has, &hint, NULL));
	assert_false(has);
}

static void anything_but_a_notify_request_is_refused(void **state)
{
	struct msp_msg good = built(MSP_TYPE_SOA, NULL), m;
	struct msp_why why = { "" };
	uint32_t hint;
	bool has;

	(void)state;
	m = good;
	m.opcode = MSP_OPCODE_QUERY;
	T_ERR(msp_notify_check(&m, &scratch, &has, &hint, &why), MSP_EFORMAT);
	assert_string_not_equal(why.text, "");
	m = good;
	m.flags |= MSP_FLAG_QR;
	T_ERR(msp_notify_check(&m, &scratch, &has, &hint, NULL), MSP_EFORMAT);
	m = good;
	m.count[MSP_SEC_QUESTION] = 2;
	T_ERR(msp_notify_check(&m, &scratch, &has, &hint, NULL), MSP_EFORMAT);
	m.count[MSP_SEC_QUESTION] = 0;
	T_ERR(msp_notify_check(&m, &scratch, &has, &hint, NULL), MSP_EFORMAT);
	m = good;
	m.question.cls = MSP_CLASS_CH;
	T_ERR(msp_notify_check(&m, &scratch, &has, &hint, NULL), MSP_EFORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_notify_has_one_question_and_no_opt),
		cmocka_unit_test(serial_hint_is_read_from_the_soa_of_the_zone),
		cmocka_unit_test(anything_but_a_notify_request_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
