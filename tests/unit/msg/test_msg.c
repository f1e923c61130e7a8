/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <dirent.h>
#include <stdlib.h>

#include <msproto/msg/msg.h>

static struct msp_rr_scratch scratch;

static enum msp_err parse(struct msp_span raw, struct msp_msg *m)
{
	struct msp_why why = { "" };
	enum msp_err err = msp_msg_parse(raw, &scratch, m, &why);

	assert_true((err == MSP_OK) == (why.text[0] == '\0')); /* a reason for every failure */
	return err;
}

static bool ends_with(const char *s, const char *end)
{
	return strlen(s) >= strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

static void vector_parses(const char *file)
{
	bool is_stream = strncmp(file, "t2-", 3) == 0;
	bool is_broken = strncmp(file, "x3-", 3) == 0 || strncmp(file, "x4-", 3) == 0;
	struct msp_buf buf;
	struct msp_msg m;
	struct msp_rd rd;
	char path[300];

	snprintf(path, sizeof(path), "vectors/%s", file);
	t_hex_file(path, &buf);
	msp_rd_init(&rd, msp_buf_span(&buf));
	do {
		struct msp_span raw = is_stream ? msp_rd_take(&rd, msp_rd_u16(&rd)) : msp_rd_rest(&rd);

		if (parse(raw, &m) != (is_broken ? MSP_EFORMAT : MSP_OK))
			fail_msg("%s", file);
		if (file[0] == 't')
			assert_int_not_equal(m.tsig_at, 0);
		else if (!is_broken)
			assert_int_not_equal(m.sig0_at, 0);
	} while (msp_rd_left(&rd) > 0);
	assert_int_equal(msp_rd_done(&rd), MSP_OK);
	msp_buf_fini(&buf);
}

static void every_vector_parses_but_those_with_a_misplaced_signature(void **state)
{
	DIR *dir = opendir(TEST_DATA "/vectors");
	struct dirent *e;
	int count = 0;

	(void)state;
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL) {
		if (!ends_with(e->d_name, ".hex") || ends_with(e->d_name, ".tbs.hex"))
			continue;
		vector_parses(e->d_name);
		count++;
	}
	closedir(dir);
	assert_int_equal(count, 23);
}

static void a_message_that_parses_has_the_same_frame(void **state)
{
	static const char *const files[] = { "u1-update-ed25519", "t1-tsig-update-request", "t1-tsig-update-response" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct msp_msg whole, frame;
		struct msp_buf buf;
		char path[64];

		snprintf(path, sizeof(path), "vectors/%s.hex", files[i]);
		t_hex_file(path, &buf);
		T_OK(parse(msp_buf_span(&buf), &whole));
		T_OK(msp_msg_frame(msp_buf_span(&buf), &scratch, &frame, NULL));
		assert_memory_equal(whole.section_at, frame.section_at, sizeof(whole.section_at));
		assert_int_equal(whole.tsig_at, frame.tsig_at);
		assert_int_equal(whole.sig0_at, frame.sig0_at);
		assert_true(whole.tsig_at != 0 || whole.sig0_at != 0);
		assert_int_equal(whole.rcode, frame.rcode);
		assert_true(msp_name_same(&whole.question.name, &frame.question.name));
		/* One octet less and nothing is at its end. */
		T_ERR(msp_msg_frame(msp_span(buf.ptr, buf.len - 1), &scratch, &frame, NULL), MSP_ETRUNC);
		assert_int_equal(frame.tsig_at + frame.sig0_at, 0);
		msp_buf_fini(&buf);
	}
}

/* What is inside a record shows when it is walked; where special records stand shows at once. */
static void a_frame_says_nothing_about_the_records_in_it(void **state)
{
	struct msp_msg_it it;
	struct msp_buf buf;
	struct msp_msg m;
	struct msp_rr rr;

	(void)state;
	t_hex("1234 8000 0000 0002 0000 0000"
	      "0161 00 0001 0001 00000000 0004 01020304"
	      "c00c 0001 0001 00000000 0003 010203",
	      &buf);
	T_ERR(parse(msp_buf_span(&buf), &m), MSP_ETRUNC);
	T_OK(msp_msg_frame(msp_buf_span(&buf), &scratch, &m, NULL));
	msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, &scratch);
	assert_true(msp_msg_next(&it, &rr));
	T_OK(it.rd.err);
	assert_false(msp_msg_next(&it, &rr));
	assert_int_equal(it.rd.err, MSP_ETRUNC);
	msp_buf_fini(&buf);

	t_hex("1234 8000 0000 0001 0000 0000 00 0029 0400 00000000 0000", &buf); /* an OPT in the answer */
	T_ERR(msp_msg_frame(msp_buf_span(&buf), &scratch, &m, NULL), MSP_EFORMAT);
	msp_buf_fini(&buf);
	t_hex("1234 8000 0000 0000 0000 0001 00 00fa 00ff 00000000 0000", &buf); /* a TSIG of class ANY without RDATA */
	T_OK(msp_msg_frame(msp_buf_span(&buf), &scratch, &m, NULL));
	assert_int_equal(m.tsig_at, 12);
	msp_buf_fini(&buf);
	t_hex("1234 8000 0000 0000 0000 0002 00 00fa 00ff 00000000 0000 00 0001 0001 00000000 0004 01020304", &buf);
	T_ERR(msp_msg_frame(msp_buf_span(&buf), &scratch, &m, NULL), MSP_EFORMAT); /* which is not the last */
	msp_buf_fini(&buf);
	t_hex("1234 8000 0000 0000 0000 0001 00 0001 0001 00000000 0004 0102030405", &buf);
	T_ERR(msp_msg_frame(msp_buf_span(&buf), &scratch, &m, NULL), MSP_ETRAIL);
	msp_buf_fini(&buf);
}

static void update_vector_is_read_field_by_field(void **state)
{
	static const uint16_t types[] = { MSP_TYPE_NS, MSP_TYPE_NS, MSP_TYPE_NS, MSP_TYPE_A, MSP_TYPE_AAAA };
	struct msp_name zone = t_name("parent.example."), child = t_name("child.parent.example.");
	struct msp_msg_it it;
	struct msp_buf buf;
	struct msp_msg m;
	struct msp_rr rr;
	size_t n = 0;

	(void)state;
	t_hex_file("vectors/u1-update-ed25519.hex", &buf);
	T_OK(parse(msp_buf_span(&buf), &m));
	assert_int_equal(m.id, 0x7584);
	assert_int_equal(m.opcode, MSP_OPCODE_UPDATE);
	assert_int_equal(m.rcode, 0);
	assert_int_equal(m.count[MSP_SEC_UPDATE], 5);
	assert_true(msp_name_same(&m.question.name, &zone));
	assert_int_equal(m.question.type, MSP_TYPE_SOA);
	assert_false(m.edns.present);
	assert_int_equal(m.tsig_at, 0);
	assert_int_equal(buf.ptr[m.sig0_at], 0);
	assert_int_equal(buf.ptr[m.sig0_at + 2], MSP_TYPE_SIG);
	assert_int_equal(m.sig0_at, m.section_at[MSP_SEC_ADDITIONAL]);

	msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &scratch);
	while (msp_msg_next(&it, &rr)) {
		assert_int_equal(rr.type, types[n]);
		if (n < 3)
			assert_true(msp_name_same(&rr.owner, &child));
		assert_int_equal(rr.cls, n == 0 ? MSP_CLASS_ANY : MSP_CLASS_IN);
		n++;
	}
	assert_int_equal(n, 5);
	msp_msg_it_init(&it, &m, MSP_SEC_ADDITIONAL, &scratch);
	assert_true(msp_msg_next(&it, &rr));
	assert_int_equal(rr.type, MSP_TYPE_SIG);
	assert_false(msp_msg_next(&it, &rr));
	msp_msg_it_init(&it, &m, MSP_SEC_PREREQ, &scratch);
	assert_false(msp_msg_next(&it, &rr));
	msp_msg_it_init(&it, &m, MSP_SEC_QUESTION, &scratch);
	assert_false(msp_msg_next(&it, &rr));
	msp_buf_fini(&buf);
}

static void message_cut_anywhere_is_refused(void **state)
{
	struct msp_buf buf;
	struct msp_msg m;

	(void)state;
	t_hex_file("vectors/u1-update-ed25519.hex", &buf);
	for (size_t len = 0; len < buf.len; len++) {
		uint8_t *exact = malloc(len != 0 ? len : 1); /* reading past the cut is seen */

		assert_non_null(exact);
		memcpy(exact, buf.ptr, len);
		assert_int_not_equal(parse(msp_span(exact, len), &m), MSP_OK);
		assert_int_equal(m.sig0_at, 0);
		assert_int_equal(m.id, len < MSP_HEADER_LEN ? 0 : 0x7584);
		assert_int_equal(m.opcode, len < MSP_HEADER_LEN ? 0 : MSP_OPCODE_UPDATE);
		assert_int_equal(msp_name_is_set(&m.question.name), len >= 32); /* header 12, question 20 */
		free(exact);
	}
	msp_buf_fini(&buf);
}

static void octets_left_over_are_refused(void **state)
{
	struct msp_buf buf;
	struct msp_msg m;

	(void)state;
	t_hex_file("vectors/u1-update-ed25519.hex", &buf);
	msp_buf_add_u8(&buf, 0);
	T_ERR(parse(msp_buf_span(&buf), &m), MSP_ETRAIL);
	assert_int_equal(m.sig0_at, 0);
	msp_buf_fini(&buf);
}

static void message_over_65535_octets_is_refused(void **state)
{
	static uint8_t big[MSP_MSG_MAX + 1];
	struct msp_msg m;

	(void)state;
	T_ERR(parse(msp_span(big, sizeof(big)), &m), MSP_ELIMIT);
}

/* ---- placement of OPT, TSIG and SIG(0) ---- */

static const uint8_t sig0_rdata[] = { 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 7, 0, 0xAA, 0xBB };
static const uint8_t tsig_rdata[] = { 0, 0, 0, 0, 0, 0, 1, 1, 44, 0, 0, 0, 9, 0, 0, 0, 0 };
static const uint8_t a_rdata[] = { 192, 0, 2, 1 };

enum item { END, OPT, OPT_NAMED, TSIG, SIG0, SIG_A, A };

static struct msp_rr item_rr(enum item i)
{
	struct msp_rr rr = { .cls = MSP_CLASS_IN, .ttl = 0 };

	msp_name_root(&rr.owner);
	switch (i) {
	case OPT_NAMED:
		rr.owner = t_name("x.example.");
		/* fall through */
	case OPT:
		rr.type = MSP_TYPE_OPT;
		rr.cls = 1232;
		break;
	case TSIG:
		rr.owner = t_name("key.");
		rr.type = MSP_TYPE_TSIG;
		rr.cls = MSP_CLASS_ANY;
		rr.rdata = msp_span(tsig_rdata, sizeof(tsig_rdata));
		break;
	case SIG0:
		rr.type = MSP_TYPE_SIG;
		rr.cls = MSP_CLASS_ANY;
		rr.rdata = msp_span(sig0_rdata, sizeof(sig0_rdata));
		break;
	case SIG_A:
		rr.type = MSP_TYPE_SIG;
		rr.rdata = msp_span("\0\1\17\0\0\0\0\0\0\0\0\2\0\0\0\1\0\7\0\xAA\xBB", 21);
		break;
	default:
		rr.owner = t_name("a.example.");
		rr.type = MSP_TYPE_A;
		rr.rdata = msp_span(a_rdata, sizeof(a_rdata));
		break;
	}
	return rr;
}

/** Put the items into one section of a query and parse it. */
static enum msp_err placed(enum msp_section section, const enum item *items, struct msp_msg *m)
{
	static uint8_t mem[2048];
	struct msp_name name = t_name("example.");
	struct msp_span raw;
	struct msp_msgw w;

	msp_msgw_init(&w, mem, sizeof(mem), 7, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &name, MSP_TYPE_SOA, MSP_CLASS_IN);
	for (; *items != END; items++) {
		struct msp_rr rr = item_rr(*items);

		msp_msgw_rr(&w, section, &rr);
	}
	T_OK(msp_msgw_finish(&w, &raw));
	return parse(raw, m);
}
#define PLACED(section, m, ...) placed((section), (const enum item[]){ __VA_ARGS__, END }, (m))

static void opt_and_one_signature_in_order_are_accepted(void **state)
{
	struct msp_msg m;

	(void)state;
	T_OK(PLACED(MSP_SEC_ADDITIONAL, &m, A, OPT, A, SIG0));
	assert_true(m.edns.present);
	assert_int_not_equal(m.sig0_at, 0);
	assert_int_equal(m.tsig_at, 0);
	T_OK(PLACED(MSP_SEC_ADDITIONAL, &m, OPT, TSIG));
	assert_int_equal(m.sig0_at, 0);
	assert_memory_equal(m.raw.ptr + m.tsig_at, "\3key\0\0\372\0\377", 9); /* the owner's first octet */
}

static void misplaced_opt_is_refused(void **state)
{
	struct msp_msg m;

	(void)state;
	T_ERR(PLACED(MSP_SEC_ADDITIONAL, &m, OPT, OPT), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ADDITIONAL, &m, OPT_NAMED), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ANSWER, &m, OPT), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_AUTHORITY, &m, OPT), MSP_EFORMAT);
	assert_int_equal(m.id, 7);
	assert_true(msp_name_is_set(&m.question.name));
}

static void misplaced_signature_is_refused(void **state)
{
	struct msp_msg m;

	(void)state;
	T_ERR(PLACED(MSP_SEC_ADDITIONAL, &m, SIG0, SIG0), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ADDITIONAL, &m, TSIG, TSIG), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ADDITIONAL, &m, TSIG, SIG0), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ADDITIONAL, &m, SIG0, TSIG), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ADDITIONAL, &m, SIG0, OPT), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ADDITIONAL, &m, TSIG, A), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ANSWER, &m, SIG0), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_AUTHORITY, &m, SIG0), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_ANSWER, &m, TSIG), MSP_EFORMAT);
	T_ERR(PLACED(MSP_SEC_AUTHORITY, &m, TSIG), MSP_EFORMAT);
}

static void sig_that_covers_a_type_is_ordinary_data(void **state)
{
	struct msp_msg m;

	(void)state;
	T_OK(PLACED(MSP_SEC_ANSWER, &m, A, SIG_A));
	assert_int_equal(m.sig0_at, 0);
	T_OK(PLACED(MSP_SEC_ADDITIONAL, &m, SIG_A, OPT, SIG0));
	assert_int_not_equal(m.sig0_at, 0);
}

static void options_that_do_not_fill_the_opt_are_refused(void **state)
{
	struct msp_buf buf;
	struct msp_msg m;

	(void)state;
	t_hex("0007 0000 0000 0000 0000 0001  00 0029 04d0 00000000 0005 000a 0002 00", &buf);
	assert_int_not_equal(parse(msp_buf_span(&buf), &m), MSP_OK);
	msp_buf_fini(&buf);
}

static void opt_fields_are_decoded(void **state)
{
	struct msp_buf buf;
	struct msp_msg m;

	(void)state;
	/* RCODE 1 in the header, 1 in the OPT: 17; version 5; DO; payload 100 reads as 512 */
	t_hex("0007 8001 0000 0000 0000 0001  00 0029 0064 01058000 0000", &buf);
	T_OK(parse(msp_buf_span(&buf), &m));
	assert_true(m.edns.present);
	assert_int_equal(m.rcode, MSP_RCODE_BADKEY);
	assert_int_equal(m.edns.version, 5);
	assert_true(m.edns.dnssec_ok);
	assert_int_equal(m.edns.payload, 512);
	assert_int_equal(m.edns.options.len, 0);
	assert_false(msp_name_is_set(&m.question.name));
	msp_buf_fini(&buf);
}

static void first_of_several_questions_is_kept(void **state)
{
	struct msp_name first = t_name("a.");
	struct msp_buf buf;
	struct msp_msg m;

	(void)state;
	t_hex("0007 0000 0002 0000 0000 0000  0161 00 0001 0001  0162 00 0006 0003", &buf);
	T_OK(parse(msp_buf_span(&buf), &m));
	assert_int_equal(m.count[MSP_SEC_QUESTION], 2);
	assert_true(msp_name_same(&m.question.name, &first));
	assert_int_equal(m.question.type, MSP_TYPE_A);
	assert_int_equal(m.question.cls, MSP_CLASS_IN);
	assert_int_equal(m.section_at[MSP_SEC_ANSWER], buf.len);
	msp_buf_fini(&buf);
}

/* ---- builder ---- */

static struct msp_rr ns_rr(void)
{
	static struct msp_name target;
	struct msp_rr rr = { .owner = t_name("Zone.example."), .type = MSP_TYPE_NS, .cls = MSP_CLASS_IN, .ttl = 300 };

	target = t_name("ns.Zone.example.");
	rr.rdata = msp_name_span(&target);
	return rr;
}

static void built_message_reads_back(void **state)
{
	struct msp_name zone = t_name("Zone.example.");
	struct msp_rr in = ns_rr(), out;
	struct msp_msg_it it;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_msg m;
	uint8_t mem[512];

	(void)state;
	msp_msgw_init(&w, mem, sizeof(mem), 0xBEEF, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
	msp_msgw_question(&w, &zone, MSP_TYPE_NS, MSP_CLASS_IN);
	msp_msgw_rr(&w, MSP_SEC_ANSWER, &in);
	msp_msgw_rr(&w, MSP_SEC_ADDITIONAL, &in);
	msp_msgw_rcode(&w, MSP_RCODE_REFUSED);
	T_OK(msp_msgw_finish(&w, &raw));
	/* header, question 18, then twice: pointer 2, fixed 10, "ns" and pointer 5; the last NS name is one pointer */
	assert_int_equal(raw.len, 12 + 18 + (2 + 10 + 5) + (2 + 10 + 2));
	T_OK(parse(raw, &m));
	assert_int_equal(m.id, 0xBEEF);
	assert_int_equal(m.flags, MSP_FLAG_QR | MSP_FLAG_AA | MSP_RCODE_REFUSED);
	assert_int_equal(m.count[MSP_SEC_AUTHORITY], 0);
	for (int s = MSP_SEC_ANSWER; s <= MSP_SEC_ADDITIONAL; s += 2) {
		msp_msg_it_init(&it, &m, (enum msp_section)s, &scratch);
		assert_true(msp_msg_next(&it, &out));
		assert_true(msp_name_same(&out.owner, &in.owner));
		assert_int_equal(out.ttl, 300);
		assert_true(msp_span_equal(out.rdata, in.rdata));
		assert_false(msp_msg_next(&it, &out));
	}
}

static void update_is_written_without_compression(void **state)
{
	struct msp_name zone = t_name("Zone.example.");
	struct msp_rr in = ns_rr();
	struct msp_span raw;
	struct msp_msgw w;
	uint8_t mem[512];

	(void)state;
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_UPDATE, 0);
	msp_msgw_question(&w, &zone, MSP_TYPE_SOA, MSP_CLASS_IN);
	msp_msgw_rr(&w, MSP_SEC_UPDATE, &in);
	T_OK(msp_msgw_finish(&w, &raw));
	assert_int_equal(raw.len, 12 + 18 + 14 + 10 + 17);
}

static void sections_out_of_order_are_an_error(void **state)
{
	struct msp_name zone = t_name("example.");
	struct msp_rr rr = ns_rr();
	struct msp_span raw;
	struct msp_msgw w;
	uint8_t mem[512];

	(void)state;
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_QUERY, 0);
	msp_msgw_rr(&w, MSP_SEC_AUTHORITY, &rr);
	msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
	T_ERR(msp_msgw_finish(&w, &raw), MSP_ESTATE);
	assert_int_equal(raw.len, 0);
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_QUERY, 0);
	msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
	msp_msgw_question(&w, &zone, MSP_TYPE_SOA, MSP_CLASS_IN);
	T_ERR(msp_msgw_finish(&w, &raw), MSP_ESTATE);
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_QUERY, 0);
	msp_msgw_rr(&w, MSP_SEC_QUESTION, &rr);
	T_ERR(msp_msgw_finish(&w, &raw), MSP_ESTATE);
}

static void message_without_room_fails_at_every_size(void **state)
{
	struct msp_name zone = t_name("Zone.example.");
	struct msp_rr rr = ns_rr();
	struct msp_span raw;

	(void)state;
	for (size_t cap = 0; cap <= 47; cap++) {
		uint8_t *mem = malloc(cap != 0 ? cap : 1);
		struct msp_msgw w;

		assert_non_null(mem);
		msp_msgw_init(&w, mem, cap, 1, MSP_OPCODE_QUERY, 0);
		msp_msgw_question(&w, &zone, MSP_TYPE_NS, MSP_CLASS_IN);
		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
		msp_msgw_rcode(&w, 5);
		T_ERR(msp_msgw_finish(&w, &raw), cap < 47 ? MSP_ENOSPACE : MSP_OK);
		free(mem);
	}
}

static void record_that_did_not_fit_can_be_taken_back(void **state)
{
	struct msp_rr rr = ns_rr();
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_msg m;
	uint8_t mem[100];
	unsigned count = 0;
	size_t at;

	(void)state;
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_UPDATE, 0);
	do {
		at = w.wr.pos;
		msp_msgw_rr(&w, MSP_SEC_UPDATE, &rr);
	} while (w.wr.err == MSP_OK && ++count < 100);
	assert_int_equal(w.wr.err, MSP_ENOSPACE);
	assert_int_equal(count, 2);
	msp_wr_rewind(&w.wr, at);
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(parse(raw, &m));
	assert_int_equal(m.count[MSP_SEC_UPDATE], 2);
}

static void response_repeats_id_opcode_question_and_rd(void **state)
{
	struct msp_msg req, resp;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_buf buf;
	uint8_t mem[512];

	(void)state;
	t_hex_file("vectors/x3-opt-after-sig.hex", &buf);
	buf.ptr[2] |= MSP_FLAG_RD >> 8;
	T_ERR(parse(msp_buf_span(&buf), &req), MSP_EFORMAT); /* failed, and can be answered all the same */
	msp_msgw_respond(&w, mem, sizeof(mem), &req, MSP_RCODE_FORMERR, MSP_FLAG_AA);
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(parse(raw, &resp));
	assert_int_equal(resp.flags,
			 MSP_FLAG_QR | MSP_FLAG_AA | MSP_FLAG_RD | MSP_OPCODE_UPDATE << 11 | MSP_RCODE_FORMERR);
	assert_int_equal(resp.count[MSP_SEC_QUESTION], 1);
	assert_true(msp_name_same(&resp.question.name, &req.question.name));
	assert_true(msp_msg_answers(&resp, &req));
	msp_buf_fini(&buf);

	/* cut before the end of the question: header only */
	t_hex_file("vectors/q1-keystate-inquiry.hex", &buf);
	assert_int_not_equal(parse(msp_span(buf.ptr, 20), &req), MSP_OK);
	msp_msgw_respond(&w, mem, sizeof(mem), &req, MSP_RCODE_FORMERR, 0);
	T_OK(msp_msgw_finish(&w, &raw));
	assert_int_equal(raw.len, MSP_HEADER_LEN);
	msp_buf_fini(&buf);
}

static void answer_is_matched_to_its_question(void **state)
{
	struct msp_msg req, resp, other;
	struct msp_buf q, r;

	(void)state;
	t_hex_file("vectors/q1-keystate-inquiry.hex", &q);
	t_hex_file("vectors/r2-keystate-response.hex", &r);
	T_OK(parse(msp_buf_span(&q), &req));
	T_OK(parse(msp_buf_span(&r), &resp));
	assert_true(msp_msg_answers(&resp, &req));
	assert_false(msp_msg_answers(&req, &req)); /* QR */
	other = resp;
	other.id++;
	assert_false(msp_msg_answers(&other, &req));
	other = resp;
	other.opcode = MSP_OPCODE_NOTIFY;
	assert_false(msp_msg_answers(&other, &req));
	other = resp;
	other.question.type++;
	assert_false(msp_msg_answers(&other, &req));
	other = resp;
	other.question.cls++;
	assert_false(msp_msg_answers(&other, &req));
	other = resp;
	other.question.name = t_name("CHILD.parent.example.");
	assert_true(msp_msg_answers(&other, &req));
	other.question.name = t_name("child2.parent.example.");
	assert_false(msp_msg_answers(&other, &req));
	msp_buf_fini(&q);
	msp_buf_fini(&r);
}

static void answer_without_question_is_one_only_to_update_or_with_an_error(void **state)
{
	struct msp_msg req, resp;
	struct msp_buf q;

	(void)state;
	t_hex_file("vectors/u1-update-ed25519.hex", &q);
	T_OK(parse(msp_buf_span(&q), &req));
	resp = (struct msp_msg){ .id = req.id, .flags = req.flags | MSP_FLAG_QR, .opcode = req.opcode };
	assert_true(msp_msg_answers(&resp, &req));
	req.opcode = resp.opcode = MSP_OPCODE_QUERY;
	assert_false(msp_msg_answers(&resp, &req));
	resp.rcode = MSP_RCODE_FORMERR;
	assert_true(msp_msg_answers(&resp, &req));
	msp_buf_fini(&q);
}

static void a_name_that_points_into_the_header_is_refused(void **state)
{
	/* ARCOUNT (octets 10 and 11) changes when a signature is added or cut off: the name would change with it. */
	static const uint8_t octets[] = { 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
					  0x00, 0x00, 0x00, 0xc0, 0x0a, 0x00, 0x06, 0x00, 0x01 };
	struct msp_msg m;

	(void)state;
	T_ERR(msp_msg_parse(msp_span(octets, sizeof(octets)), &scratch, &m, NULL), MSP_EFORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_points_into_the_header_is_refused),
		cmocka_unit_test(every_vector_parses_but_those_with_a_misplaced_signature),
		cmocka_unit_test(update_vector_is_read_field_by_field),
		cmocka_unit_test(a_message_that_parses_has_the_same_frame),
		cmocka_unit_test(a_frame_says_nothing_about_the_records_in_it),
		cmocka_unit_test(message_cut_anywhere_is_refused),
		cmocka_unit_test(octets_left_over_are_refused),
		cmocka_unit_test(message_over_65535_octets_is_refused),
		cmocka_unit_test(opt_and_one_signature_in_order_are_accepted),
		cmocka_unit_test(misplaced_opt_is_refused),
		cmocka_unit_test(misplaced_signature_is_refused),
		cmocka_unit_test(sig_that_covers_a_type_is_ordinary_data),
		cmocka_unit_test(options_that_do_not_fill_the_opt_are_refused),
		cmocka_unit_test(opt_fields_are_decoded),
		cmocka_unit_test(first_of_several_questions_is_kept),
		cmocka_unit_test(built_message_reads_back),
		cmocka_unit_test(update_is_written_without_compression),
		cmocka_unit_test(sections_out_of_order_are_an_error),
		cmocka_unit_test(message_without_room_fails_at_every_size),
		cmocka_unit_test(record_that_did_not_fit_can_be_taken_back),
		cmocka_unit_test(response_repeats_id_opcode_question_and_rd),
		cmocka_unit_test(answer_is_matched_to_its_question),
		cmocka_unit_test(answer_without_question_is_one_only_to_update_or_with_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
