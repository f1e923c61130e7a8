/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/wire/rd.h>
#include <msproto/wire/wr.h>

static void reader_gives_big_endian_numbers(void **state)
{
	static const uint8_t oct[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21 };
	struct msp_rd rd;

	(void)state;
	msp_rd_init(&rd, msp_span(oct, sizeof(oct)));
	assert_int_equal(msp_rd_u8(&rd), 0x01);
	assert_int_equal(msp_rd_u16(&rd), 0x0203);
	assert_int_equal(msp_rd_u32(&rd), 0x04050607);
	assert_true(msp_rd_u48(&rd) == 0x08090a0b0c0dull);
	assert_true(msp_rd_u64(&rd) == 0x0e0f101112131415ull);
	T_OK(msp_rd_done(&rd));
}

static void reader_error_sticks_and_everything_after_is_zero(void **state)
{
	static const uint8_t oct[] = { 0xff, 0xff, 0xff };
	struct msp_rd rd, sub;

	(void)state;
	msp_rd_init(&rd, msp_span(oct, sizeof(oct)));
	assert_int_equal(msp_rd_u32(&rd), 0);
	assert_int_equal(rd.err, MSP_ETRUNC);
	assert_int_equal(msp_rd_u8(&rd), 0); /* one octet would be there */
	assert_int_equal(msp_rd_left(&rd), 0);
	assert_int_equal(msp_rd_rest(&rd).len, 0);
	msp_rd_fail(&rd, MSP_EVALUE);
	T_ERR(msp_rd_done(&rd), MSP_ETRUNC); /* the first error stays */
	sub = msp_rd_sub(&rd, 0);
	T_ERR(msp_rd_done(&sub), MSP_ETRUNC);
}

static void reader_length_that_would_wrap_is_refused(void **state)
{
	static const uint8_t oct[4];
	struct msp_rd rd;

	(void)state;
	msp_rd_init(&rd, msp_span(oct, sizeof(oct)));
	(void)msp_rd_u16(&rd);
	assert_int_equal(msp_rd_take(&rd, SIZE_MAX).len, 0);
	T_ERR(msp_rd_done(&rd), MSP_ETRUNC);
}

static void sub_reader_ends_where_it_was_told_and_the_parent_moves_on(void **state)
{
	static const uint8_t oct[] = { 1, 2, 3, 4 };
	struct msp_rd rd, sub;

	(void)state;
	msp_rd_init(&rd, msp_span(oct, sizeof(oct)));
	sub = msp_rd_sub(&rd, 2);
	assert_int_equal(msp_rd_u16(&sub), 0x0102);
	T_OK(msp_rd_done(&sub));
	(void)msp_rd_u8(&sub);
	T_ERR(msp_rd_done(&sub), MSP_ETRUNC);
	T_ERR(msp_rd_done(&rd), MSP_ETRAIL);
	assert_int_equal(msp_rd_u16(&rd), 0x0304);
	T_OK(msp_rd_done(&rd));
	sub = msp_rd_sub(&rd, 1);
	T_ERR(msp_rd_done(&sub), MSP_ETRUNC);
	T_ERR(msp_rd_done(&rd), MSP_ETRUNC);
}

static void reader_of_nothing_is_done_at_once(void **state)
{
	struct msp_rd rd;

	(void)state;
	msp_rd_init(&rd, msp_span(NULL, 0));
	assert_int_equal(msp_rd_rest(&rd).len, 0);
	T_OK(msp_rd_done(&rd));
	(void)msp_rd_u8(&rd);
	T_ERR(msp_rd_done(&rd), MSP_ETRUNC);
}

static void writer_writes_what_the_reader_reads(void **state)
{
	uint8_t mem[32];
	struct msp_wr wr;
	struct msp_rd rd;

	(void)state;
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_u8(&wr, 0xfe);
	msp_wr_u16(&wr, 0xfedc);
	msp_wr_u32(&wr, 0xfedcba98);
	msp_wr_u48(&wr, 0xfedcba987654ull);
	msp_wr_u64(&wr, 0xfedcba9876543210ull);
	msp_wr_octets(&wr, msp_span("xyz", 3));
	msp_wr_octets(&wr, msp_span(NULL, 0));
	msp_wr_patch_u16(&wr, 1, 0x0102);
	msp_rd_init(&rd, msp_wr_span(&wr));
	assert_int_equal(msp_rd_u8(&rd), 0xfe);
	assert_int_equal(msp_rd_u16(&rd), 0x0102);
	assert_true(msp_rd_u32(&rd) == 0xfedcba98);
	assert_true(msp_rd_u48(&rd) == 0xfedcba987654ull);
	assert_true(msp_rd_u64(&rd) == 0xfedcba9876543210ull);
	assert_memory_equal(msp_rd_take(&rd, 3).ptr, "xyz", 3);
	T_OK(msp_rd_done(&rd));
}

static void writer_without_room_keeps_its_error_until_it_is_rewound(void **state)
{
	uint8_t mem[4] = { 0 };
	struct msp_wr wr;

	(void)state;
	msp_wr_init(&wr, mem, 3);
	msp_wr_u16(&wr, 0x0102);
	msp_wr_u16(&wr, 0x0304);
	assert_int_equal(wr.err, MSP_ENOSPACE);
	msp_wr_u8(&wr, 5); /* would fit, but errors stick */
	assert_int_equal(msp_wr_span(&wr).len, 0);
	assert_int_equal(mem[2], 0);
	msp_wr_rewind(&wr, 2);
	assert_int_equal(wr.err, MSP_OK);
	msp_wr_u8(&wr, 5);
	assert_int_equal(msp_wr_span(&wr).len, 3);
	msp_wr_patch_u16(&wr, 2, 0xffff); /* reaches past what is written: ignored */
	assert_int_equal(mem[2], 5);
	assert_int_equal(mem[3], 0);
}

static void name(struct msp_wr *wr, const char *text)
{
	struct msp_name n = t_name(text);

	msp_wr_name_comp(wr, &n);
}

static void writer_compresses_suffixes_and_keeps_case(void **state)
{
	uint8_t mem[512] = { 0 };
	struct msp_wr wr;

	(void)state;
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_octets(&wr, msp_span(mem, 12)); /* a header */
	name(&wr, "a.example.");
	assert_int_equal(wr.pos, 12 + 11);
	name(&wr, "a.example.");
	assert_int_equal(wr.pos, 23 + 2);
	assert_memory_equal(mem + 23, "\xc0\x0c", 2);
	name(&wr, "b.example.");
	assert_int_equal(wr.pos, 25 + 4);
	assert_memory_equal(mem + 25,
			    "\x01"
			    "b\xc0\x0e",
			    4);
	name(&wr, "A.example."); /* other case: only the rest is shared */
	assert_int_equal(wr.pos, 29 + 4);
	name(&wr, "a.Example.");
	assert_int_equal(wr.pos, 33 + 11);
	name(&wr, "x.b.example."); /* a pointer to a name that ends in a pointer */
	assert_memory_equal(mem + 44, "\x01x\xc0\x19", 4);
	name(&wr, ".");
	assert_int_equal(wr.pos, 49);
	assert_int_equal(mem[48], 0);
}

static void writer_does_not_point_behind_the_first_16_kib_nor_before_the_message(void **state)
{
	static uint8_t mem[40000];
	struct msp_wr wr;
	size_t at;

	(void)state;
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_u16(&wr, 0); /* length of the frame */
	wr.comp_from = 2;
	msp_wr_octets(&wr, msp_span(mem + 100, 12));
	name(&wr, "a.");
	at = wr.pos;
	name(&wr, "a.");
	assert_memory_equal(mem + at, "\xc0\x0c", 2); /* counted from the message */
	msp_wr_octets(&wr, msp_span(mem + 20000, 16384 + 2 - 2 - wr.pos));
	name(&wr, "bb.cc."); /* bb at 16382 can be reached, cc at 16385 cannot */
	at = wr.pos;
	name(&wr, "bb.cc.");
	assert_memory_equal(mem + at, "\xff\xfe", 2);
	at = wr.pos;
	name(&wr, "cc.");
	assert_int_equal(wr.pos - at, 4);
	at = wr.pos;
	name(&wr, "cc.");
	assert_int_equal(wr.pos - at, 4);
}

static void writer_forgets_names_it_has_rewound(void **state)
{
	uint8_t mem[64] = { 0 };
	struct msp_wr wr;
	size_t at;

	(void)state;
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_octets(&wr, msp_span(mem, 12));
	name(&wr, "one.");
	at = wr.pos;
	name(&wr, "two.example.");
	msp_wr_rewind(&wr, at);
	name(&wr, "three.example.");
	assert_int_equal(wr.pos - at, 15);
	at = wr.pos;
	name(&wr, "example.");
	assert_int_equal(wr.pos - at, 2);
}

/* What the writer compresses, the reader gives back, for many names that share and differ in all ways. */
static void compressed_names_read_back_the_same(void **state)
{
	static uint8_t mem[65535];
	struct msp_name names[1500], back;
	uint32_t seed = 1;
	struct msp_wr wr;
	struct msp_rd rd;

	(void)state;
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_octets(&wr, msp_span("............", 12));
	for (size_t i = 0; i < 1500; i++) {
		char text[64] = "";
		size_t len = 0;

		do {
			seed = seed * 1103515245 + 12345;
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%c%u.", "abAB"[seed >> 16 & 3],
						seed >> 20 & 7);
		} while ((seed >> 24 & 3) != 0 && len < 40);
		names[i] = t_name(text);
		msp_wr_name_comp(&wr, &names[i]);
	}
	assert_int_equal(wr.err, MSP_OK);
	msp_rd_init(&rd, msp_wr_span(&wr));
	(void)msp_rd_take(&rd, 12);
	for (size_t i = 0; i < 1500; i++) {
		msp_name_read(&rd, MSP_NAME_COMP, &back);
		assert_true(msp_name_same(&back, &names[i]));
	}
	T_OK(msp_rd_done(&rd));
}

/* Among 4096 spellings of one label some share a slot of the table with the first: they must not be taken for it. */
static void spellings_that_share_a_slot_stay_apart(void **state)
{
	(void)state;
	for (unsigned spelling = 1; spelling < 4096; spelling++) {
		struct msp_name lower = t_name("abcdefghijkl."), other = lower, back;
		uint8_t mem[64];
		struct msp_wr wr;
		struct msp_rd rd;

		for (unsigned i = 0; i < 12; i++)
			if ((spelling >> i & 1) != 0)
				other.oct[1 + i] = (uint8_t)(other.oct[1 + i] - 32);
		msp_wr_init(&wr, mem, sizeof(mem));
		msp_wr_octets(&wr, msp_span("............", 12));
		msp_wr_name(&wr, &lower);
		msp_wr_name_comp(&wr, &other);
		msp_rd_init(&rd, msp_wr_span(&wr));
		(void)msp_rd_take(&rd, 12u + lower.len);
		msp_name_read(&rd, MSP_NAME_COMP, &back);
		assert_true(msp_name_same(&back, &other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_gives_big_endian_numbers),
		cmocka_unit_test(reader_error_sticks_and_everything_after_is_zero),
		cmocka_unit_test(reader_length_that_would_wrap_is_refused),
		cmocka_unit_test(sub_reader_ends_where_it_was_told_and_the_parent_moves_on),
		cmocka_unit_test(reader_of_nothing_is_done_at_once),
		cmocka_unit_test(writer_writes_what_the_reader_reads),
		cmocka_unit_test(writer_without_room_keeps_its_error_until_it_is_rewound),
		cmocka_unit_test(writer_compresses_suffixes_and_keeps_case),
		cmocka_unit_test(writer_does_not_point_behind_the_first_16_kib_nor_before_the_message),
		cmocka_unit_test(writer_forgets_names_it_has_rewound),
		cmocka_unit_test(compressed_names_read_back_the_same),
		cmocka_unit_test(spellings_that_share_a_slot_stay_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
