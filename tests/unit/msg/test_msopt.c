/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/msg/msopt.h>

static struct msp_rr_scratch scratch;

static enum msp_err parse_hex(const char *hex, struct msp_msopt *out)
{
	static struct msp_buf buf; /* spans in *out borrow it until the next call */
	struct msp_span exact;

	msp_buf_fini(&buf);
	t_hex(hex, &buf);
	exact = msp_buf_span(&buf);
	return msp_msopt_parse(exact, out);
}

static void hello_vectors_are_decoded(void **state)
{
	static const struct {
		const char *path, *identity;
		uint8_t syncs;
	} rows[] = { { "vectors/n1-hello.hex", "msa.provider-a.example.", 3 },
		     { "vectors/nr1-hello-response.hex", "msa.provider-b.example.", 1 } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct msp_name want = t_name(rows[i].identity);
		struct msp_option opt;
		struct msp_msopt ms;
		struct msp_buf buf;
		struct msp_msg m;

		t_hex_file(rows[i].path, &buf);
		T_OK(msp_msg_parse(msp_buf_span(&buf), &scratch, &m, NULL));
		assert_true(msp_edns_find(&m.edns, msp_numbers_default.opt_multisigner, &opt));
		T_OK(msp_msopt_parse(opt.data, &ms));
		assert_int_equal(ms.operation, MSP_OP_HELLO);
		assert_int_equal(ms.transports, MSP_TRANSPORT_DNS | MSP_TRANSPORT_API);
		assert_int_equal(ms.syncs, rows[i].syncs);
		for (size_t t = 0; t < 18; t++)
			assert_int_equal(ms.has[t], t == MSP_TLV_IDENTITY);
		assert_true(msp_name_same(&ms.identity, &want));
		msp_buf_fini(&buf);
	}
}

static void three_octets_are_enough_and_the_fourth_is_ignored(void **state)
{
	struct msp_msopt ms;

	(void)state;
	T_ERR(parse_hex("", &ms), MSP_ETRUNC);
	T_ERR(parse_hex("01", &ms), MSP_ETRUNC);
	T_ERR(parse_hex("0103", &ms), MSP_ETRUNC);
	T_OK(parse_hex("010301", &ms));
	assert_int_equal(ms.transports, 3);
	T_OK(parse_hex("02010200", &ms));
	assert_int_equal(ms.operation, MSP_OP_HEARTBEAT);
	assert_int_equal(ms.syncs, 2);
	T_OK(parse_hex("020102ff", &ms));
	T_OK(parse_hex("02010277 0003 0004 0000003c", &ms));
	assert_int_equal(ms.interval_s, 60);
}

static void operation_zero_is_refused(void **state)
{
	struct msp_msopt ms;

	(void)state;
	T_ERR(parse_hex("00010100", &ms), MSP_EVALUE);
	T_OK(parse_hex("4d010100", &ms)); /* unassigned: the caller answers NOTIMP */
	assert_int_equal(ms.operation, 77);
}

static void unknown_tlv_is_ignored_unless_critical(void **state)
{
	struct msp_msopt ms;

	(void)state;
	T_OK(parse_hex("01010100 0012 0001 aa 0000 0000 7fff 0002 bbbb 0012 0000 000b 0008 0000000000000005", &ms));
	assert_int_equal(ms.term, 5);
	T_ERR(parse_hex("01010100 8012 0001 aa", &ms), MSP_ENOTIMP);
	T_ERR(parse_hex("01010100 8000 0000", &ms), MSP_ENOTIMP);
	T_OK(parse_hex("01010100 8003 0004 00000001", &ms)); /* critical and known */
	assert_true(ms.has[MSP_TLV_INTERVAL]);
}

static void duplicate_tlv_is_refused_also_when_one_is_critical(void **state)
{
	struct msp_msopt ms;

	(void)state;
	T_ERR(parse_hex("01010100 0003 0004 00000001 0003 0004 00000001", &ms), MSP_EFORMAT);
	T_ERR(parse_hex("01010100 0003 0004 00000001 8003 0004 00000001", &ms), MSP_EFORMAT);
}

static void error_leaves_the_fixed_fields_and_no_tlv(void **state)
{
	struct msp_msopt ms;

	(void)state;
	T_ERR(parse_hex("82010200 0003 0004 00000001 0004 0001 00", &ms), MSP_EFORMAT);
	assert_int_equal(ms.operation, 130);
	assert_int_equal(ms.syncs, 2);
	assert_false(ms.has[MSP_TLV_INTERVAL]);
}

static void tlv_that_ends_early_is_refused(void **state)
{
	struct msp_msopt ms;

	(void)state;
	T_ERR(parse_hex("01010100 00", &ms), MSP_ETRUNC);
	T_ERR(parse_hex("01010100 0003", &ms), MSP_ETRUNC);
	T_ERR(parse_hex("01010100 0003 00", &ms), MSP_ETRUNC);
	T_ERR(parse_hex("01010100 0003 0004 000000", &ms), MSP_ETRUNC);
	T_ERR(parse_hex("01010100 7777 0004 000000", &ms), MSP_ETRUNC);
}

/** Every type with a value of every length up to 80 octets of zeros: only the right sizes pass. */
static void values_of_the_wrong_size_are_refused(void **state)
{
	static const struct {
		uint8_t type;
		uint8_t size;   /* of zeros that is right */
		uint8_t repeat; /* 0: only that; n: and any number n more */
	} rows[] = {
		{ 1, 1, 0 },  { 2, 1, 0 },  { 3, 4, 0 },   { 4, 16, 0 },  { 5, 32, 0 }, { 6, 4, 0 },
		{ 7, 8, 0 },  { 8, 32, 0 }, { 9, 13, 0 },  { 10, 8, 0 },  { 11, 8, 0 }, { 12, 1, 0 },
		{ 13, 2, 1 }, { 14, 0, 5 }, { 15, 24, 0 }, { 16, 72, 0 }, { 17, 4, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (uint8_t len = 0; len <= 80; len++) {
			uint8_t data[4 + 4 + 80] = { 1, 1, 1, 0, 0, rows[i].type, 0, len };
			bool is_right = len == rows[i].size || (rows[i].repeat != 0 && len > rows[i].size &&
								(len - rows[i].size) % rows[i].repeat == 0);
			struct msp_msopt ms;
			enum msp_err err = msp_msopt_parse(msp_span(data, 8u + len), &ms);

			if (is_right != (err == MSP_OK))
				fail_msg("TLV %u with %u octets: %s", rows[i].type, len, msp_err_name(err));
			if (!is_right)
				assert_true(err == MSP_EFORMAT || err == MSP_ETRAIL);
			assert_int_equal(ms.has[rows[i].type], is_right);
		}
	}
}

static void names_in_tlvs_are_not_compressed(void **state)
{
	struct msp_msopt ms;

	(void)state;
	T_ERR(parse_hex("01010100 0001 0002 c000", &ms), MSP_EFORMAT);
	T_OK(parse_hex("01010100 0001 0003 016100", &ms));
	T_ERR(parse_hex("01010100 0001 0003 026100", &ms), MSP_EFORMAT);
	T_ERR(parse_hex("01010100 0009 000e 01000000 0000000000000001 c000", &ms), MSP_EFORMAT);
}

static void whole_option_round_trips(void **state)
{
	static uint8_t mem[2048];
	struct msp_msopt in = { .operation = 128, .transports = 1, .syncs = 2 }, out;
	struct msp_option opt;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_msg m;

	(void)state;
	for (size_t t = 1; t < 18; t++)
		in.has[t] = true;
	in.identity = t_name("Msa.a.example.");
	in.peer_identity = t_name("msa.b.example.");
	in.leader = t_name("msa.c.example.");
	in.interval_s = 1;
	in.owner_serial = 2;
	in.caps = MSP_CAP_PUSH | MSP_CAP_SHARE_KSK;
	in.epoch = UINT64_C(0x0102030405060708);
	in.sequence = 9;
	memset(in.group, 0xA1, 32);
	memset(in.data_digest, 0xA2, 32);
	in.data_version = 10;
	in.term = 11;
	in.timing = (struct msp_timing){ 1, 2, 3, 4, 5, 6 };
	in.result_code = 49186;
	in.result_text = msp_span_str("why");
	in.process = msp_span("\1\0\0\0\0\0\0\0\0\0\0\7\1x\0", 15);
	in.pstate = msp_span("\0\1\0\2\0\0\0\3", 8);
	in.keyinfo = msp_span("\15\1\2\1\3\17\1\2\2\1", 10);
	in.parent_view = msp_span(in.group, 0);
	in.has[MSP_TLV_PARENT_VIEW] = false;

	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_NOTIFY, 0);
	o = msp_optw_open(&w, 1232, 0, false);
	msp_optw_msopt(&o, &msp_numbers_default, &in);
	msp_optw_close(&o);
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(msp_msg_parse(raw, &scratch, &m, NULL));
	assert_true(msp_edns_find(&m.edns, 65006, &opt));
	T_OK(msp_msopt_parse(opt.data, &out));
	assert_int_equal(out.operation, 128);
	assert_int_equal(out.transports, 1);
	assert_int_equal(out.syncs, 2);
	assert_int_equal(opt.data.ptr[3], 0);
	assert_memory_equal(in.has, out.has, sizeof(in.has));
	assert_true(msp_name_same(&in.identity, &out.identity));
	assert_true(msp_name_same(&in.peer_identity, &out.peer_identity));
	assert_true(msp_name_same(&in.leader, &out.leader));
	assert_int_equal(out.interval_s, 1);
	assert_int_equal(out.owner_serial, 2);
	assert_int_equal(out.caps, 0x12);
	assert_int_equal(out.epoch, in.epoch);
	assert_int_equal(out.sequence, 9);
	assert_memory_equal(in.group, out.group, 32);
	assert_memory_equal(in.data_digest, out.data_digest, 32);
	assert_int_equal(out.data_version, 10);
	assert_int_equal(out.term, 11);
	assert_memory_equal(&in.timing, &out.timing, sizeof(in.timing));
	assert_int_equal(out.result_code, 49186);
	assert_true(msp_span_equal(in.result_text, out.result_text));
	assert_true(msp_span_equal(in.process, out.process));
	assert_true(msp_span_equal(in.pstate, out.pstate));
	assert_true(msp_span_equal(in.keyinfo, out.keyinfo));
}

static void plain_option_is_written_with_four_octets(void **state)
{
	uint8_t mem[64];
	struct msp_msopt ms = { .operation = MSP_OP_HELLO, .transports = 1, .syncs = 1 };
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_optw o;

	(void)state;
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_NOTIFY, 0);
	o = msp_optw_open(&w, 1232, 0, false);
	msp_optw_msopt(&o, &msp_numbers_default, &ms);
	msp_optw_close(&o);
	T_OK(msp_msgw_finish(&w, &raw));
	assert_int_equal(raw.len, 12 + 11 + 4 + 4);
	assert_memory_equal(raw.ptr + 23, "\375\356\0\4\1\1\1\0", 8);

	ms.operation = 0;
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_NOTIFY, 0);
	o = msp_optw_open(&w, 1232, 0, false);
	msp_optw_msopt(&o, &msp_numbers_default, &ms);
	msp_optw_close(&o);
	T_ERR(msp_msgw_finish(&w, &raw), MSP_EVALUE);
}

static void operations_have_names(void **state)
{
	struct msp_numbers n = msp_numbers_default;

	(void)state;
	assert_string_equal(msp_op_name(&n, 1), "HELLO");
	assert_string_equal(msp_op_name(&n, 2), "HEARTBEAT");
	assert_string_equal(msp_op_name(&n, 128), "DATA");
	assert_string_equal(msp_op_name(&n, 129), "STATE");
	assert_string_equal(msp_op_name(&n, 130), "PROC");
	assert_string_equal(msp_op_name(&n, 131), "ELECT");
	assert_string_equal(msp_op_name(&n, 132), "PING");
	assert_string_equal(msp_op_name(&n, 133), "BYE");
	assert_string_equal(msp_op_name(&n, 134), "KEYREQ");
	n.op_ping = 3;
	assert_string_equal(msp_op_name(&n, 3), "PING");
	for (unsigned op = 4; op < 256; op++) {
		char want[8];

		snprintf(want, sizeof(want), "OP%u", op);
		if (op < 128 || op == 132 || op > 134)
			assert_string_equal(msp_op_name(&n, (uint8_t)op), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_vectors_are_decoded),
		cmocka_unit_test(three_octets_are_enough_and_the_fourth_is_ignored),
		cmocka_unit_test(operation_zero_is_refused),
		cmocka_unit_test(unknown_tlv_is_ignored_unless_critical),
		cmocka_unit_test(duplicate_tlv_is_refused_also_when_one_is_critical),
		cmocka_unit_test(error_leaves_the_fixed_fields_and_no_tlv),
		cmocka_unit_test(tlv_that_ends_early_is_refused),
		cmocka_unit_test(values_of_the_wrong_size_are_refused),
		cmocka_unit_test(names_in_tlvs_are_not_compressed),
		cmocka_unit_test(whole_option_round_trips),
		cmocka_unit_test(plain_option_is_written_with_four_octets),
		cmocka_unit_test(operations_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
