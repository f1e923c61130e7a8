/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/wire/name.h>

/* A message whose first octets are `hex`; reads one name at `at`. */
static enum msp_err read_at(const char *hex, size_t at, enum msp_name_comp comp, struct msp_name *out, size_t *end)
{
	struct msp_buf b;
	struct msp_rd rd;

	t_hex(hex, &b);
	msp_rd_init(&rd, msp_buf_span(&b));
	(void)msp_rd_take(&rd, at);
	msp_name_read(&rd, comp, out);
	if (end != NULL)
		*end = rd.pos;
	msp_buf_fini(&b);
	return rd.err;
}

static void name_is_read_with_and_without_pointers(void **state)
{
	struct msp_name n;
	size_t end;

	(void)state;
	T_OK(read_at("03777777 07 6578616d706c65 00", 0, MSP_NAME_PLAIN, &n, &end));
	assert_string_equal(MSP_NAME(&n), "www.example.");
	assert_int_equal(end, 13);
	T_OK(read_at("07 6578616d706c65 00 03777777 c000 ff", 9, MSP_NAME_COMP, &n, &end));
	assert_string_equal(MSP_NAME(&n), "www.example.");
	assert_int_equal(end, 15); /* behind the first pointer, wherever it led */
	T_OK(read_at("00 c000", 1, MSP_NAME_COMP, &n, &end));
	assert_true(msp_name_is_root(&n));
}

static void pointers_that_loop_or_go_forward_are_refused(void **state)
{
	struct msp_name n;

	(void)state;
	T_ERR(read_at("c000", 0, MSP_NAME_COMP, &n, NULL), MSP_EFORMAT);              /* to itself */
	T_ERR(read_at("c002 00", 0, MSP_NAME_COMP, &n, NULL), MSP_EFORMAT);           /* forward */
	T_ERR(read_at("c002 c000", 2, MSP_NAME_COMP, &n, NULL), MSP_EFORMAT);         /* in a circle */
	T_ERR(read_at("0161 c000", 0, MSP_NAME_COMP, &n, NULL), MSP_EFORMAT);         /* to its own first label */
	T_ERR(read_at("0161 0162 c002 00", 0, MSP_NAME_COMP, &n, NULL), MSP_EFORMAT); /* into its own middle */
	T_ERR(read_at("00 c000", 1, MSP_NAME_PLAIN, &n, NULL), MSP_EFORMAT);
	assert_true(msp_name_is_root(&n));
	T_ERR(read_at("40", 0, MSP_NAME_COMP, &n, NULL), MSP_EFORMAT); /* label types 01 and 10 */
	T_ERR(read_at("80", 0, MSP_NAME_COMP, &n, NULL), MSP_EFORMAT);
	T_ERR(read_at("c0", 0, MSP_NAME_COMP, &n, NULL), MSP_ETRUNC);
	T_ERR(read_at("0361", 0, MSP_NAME_COMP, &n, NULL), MSP_ETRUNC);
	T_ERR(read_at("0161", 0, MSP_NAME_COMP, &n, NULL), MSP_ETRUNC);
}

static void pointer_hops_are_limited(void **state)
{
	uint8_t oct[1 + 2 * 130] = { 0 };
	struct msp_name n;
	struct msp_rd rd;

	(void)state;
	for (size_t i = 0; i < 130; i++) { /* each pointer points at the one before it */
		size_t to = i == 0 ? 0 : 1 + 2 * (i - 1);

		oct[1 + 2 * i] = (uint8_t)(0xC0 | to >> 8);
		oct[2 + 2 * i] = (uint8_t)to;
	}
	for (size_t hops = 1; hops <= 130; hops++) {
		msp_rd_init(&rd, msp_span(oct, sizeof(oct)));
		(void)msp_rd_take(&rd, 1 + 2 * (hops - 1));
		msp_name_read(&rd, MSP_NAME_COMP, &n);
		assert_int_equal(rd.err, hops <= MSP_NAME_LABELS_MAX ? MSP_OK : MSP_EFORMAT);
	}
}

/* Four labels of the given lengths. */
static struct msp_span four(uint8_t oct[300], const uint8_t len[4])
{
	size_t at = 0;

	for (size_t i = 0; i < 4; i++) {
		oct[at++] = len[i];
		memset(oct + at, 'a', len[i]);
		at += len[i];
	}
	oct[at++] = 0;
	return msp_span(oct, at);
}

static void names_of_255_octets_are_the_longest(void **state)
{
	static const uint8_t fits[4] = { 63, 63, 63, 61 }, over[4] = { 63, 63, 63, 62 };
	struct msp_name n, back;
	uint8_t oct[300];

	(void)state;
	T_OK(msp_name_from_wire(four(oct, fits), &n));
	assert_int_equal(n.len, 255);
	T_OK(msp_name_from_text(MSP_NAME(&n), &back));
	assert_true(msp_name_same(&n, &back));
	T_ERR(msp_name_from_wire(four(oct, over), &n), MSP_ENAME);
}

static void names_have_at_most_127_labels(void **state)
{
	uint8_t oct[257];
	struct msp_name n;

	(void)state;
	for (size_t i = 0; i < 256; i++)
		oct[i] = i % 2 == 0 ? 1 : 'x';
	oct[254] = 0;
	T_OK(msp_name_from_wire(msp_span(oct, 255), &n));
	assert_int_equal(msp_name_labels(&n), 127);
	oct[254] = 1;
	oct[256] = 0;
	T_ERR(msp_name_from_wire(msp_span(oct, 257), &n), MSP_ENAME);
}

static void from_wire_wants_the_whole_span(void **state)
{
	struct msp_name n = t_name("keep.");

	(void)state;
	T_ERR(msp_name_from_wire(msp_span("\0\0", 2), &n), MSP_ETRAIL);
	T_ERR(msp_name_from_wire(msp_span("\1x", 2), &n), MSP_ETRUNC);
	T_ERR(msp_name_from_wire(msp_span("\xc0\0", 2), &n), MSP_EFORMAT);
	T_ERR(msp_name_from_wire(msp_span(NULL, 0), &n), MSP_ETRUNC);
	assert_string_equal(MSP_NAME(&n), "keep.");
}

static void all_octets_survive_text(void **state)
{
	for (unsigned c = 0; c < 256; c++) {
		uint8_t oct[] = { 3, 'a', (uint8_t)c, 'b', 0 };
		struct msp_name n, back;

		T_OK(msp_name_from_wire(msp_span(oct, sizeof(oct)), &n));
		T_OK(msp_name_from_text(MSP_NAME(&n), &back));
		assert_true(msp_name_same(&n, &back));
	}
	(void)state;
}

static void longest_text_fits(void **state)
{
	static const uint8_t len[4] = { 63, 63, 63, 61 };
	struct msp_name n, back;
	uint8_t oct[300];

	(void)state;
	(void)four(oct, len);
	for (size_t i = 0; i < 254; i++)
		if (oct[i] == 'a')
			oct[i] = 0xff;
	T_OK(msp_name_from_wire(msp_span(oct, 255), &n));
	assert_int_equal(strlen(MSP_NAME(&n)), 250 * 4 + 4);
	T_OK(msp_name_from_text(MSP_NAME(&n), &back));
	assert_true(msp_name_same(&n, &back));
}

static void text_forms_are_read(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
		{ ".", "." },
		{ "example", "example." },
		{ "Example.", "Example." },
		{ "a\\.b.c.", "a\\.b.c." },
		{ "\\065.", "A." },
		{ "a\\046b.", "a\\.b." },
		{ "\\\"x.", "\\\"x." },
		{ "\\@.", "\\@." },
		{ "a b.", "a\\032b." },
		{ "*.example.", "*.example." },
		{ "", NULL },
		{ "@", NULL },
		{ "..", NULL },
		{ ".a", NULL },
		{ "a..b", NULL },
		{ "a\\", NULL },
		{ "a\\25.", NULL },
		{ "a\\256.", NULL },
		{ "123456789012345678901234567890123456789012345678901234567890123.",
		  "12345678901234567890123456789012345"
		  "6789012345678901234567890123." },
		{ "1234567890123456789012345678901234567890123456789012345678901234.", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_name n = { 0 };
		enum msp_err err = msp_name_from_text(rows[i].text, &n);

		if (rows[i].want == NULL) {
			assert_int_equal(err, MSP_ENAME);
		} else {
			T_OK(err);
			assert_string_equal(MSP_NAME(&n), rows[i].want);
		}
	}
}

static void relative_text_needs_an_origin(void **state)
{
	struct msp_name origin = t_name("example."), n;

	(void)state;
	T_OK(msp_name_from_text_rel(msp_span_str("www"), &origin, &n));
	assert_string_equal(MSP_NAME(&n), "www.example.");
	T_OK(msp_name_from_text_rel(msp_span_str("www."), &origin, &n));
	assert_string_equal(MSP_NAME(&n), "www.");
	T_OK(msp_name_from_text_rel(msp_span_str("www\\."), &origin, &n)); /* an escaped dot ends nothing */
	assert_string_equal(MSP_NAME(&n), "www\\..example.");
	T_OK(msp_name_from_text_rel(msp_span_str("@"), &origin, &n));
	assert_true(msp_name_equal(&n, &origin));
	T_ERR(msp_name_from_text_rel(msp_span_str("www"), NULL, &n), MSP_ENAME);
	T_ERR(msp_name_from_text_rel(msp_span_str("@"), NULL, &n), MSP_ENAME);
}

static void names_compare_without_case_and_by_whole_labels(void **state)
{
	struct msp_name a = t_name("WWW.Example."), b = t_name("www.eXAMPLE."), ample = t_name("ample.");
	struct msp_name xample = t_name("xample."), ex = t_name("example."), root = t_name(".");
	struct msp_name hidden = t_name("x\\007example.");

	(void)state;
	assert_true(msp_name_equal(&a, &b));
	assert_false(msp_name_same(&a, &b));
	assert_true(msp_name_is_under(&a, &ex));
	assert_true(msp_name_is_under(&ex, &ex));
	assert_false(msp_name_is_under(&ex, &a));
	assert_false(msp_name_is_under(&xample, &ample));
	assert_false(msp_name_is_under(&ex, &xample));
	assert_false(msp_name_is_under(&hidden, &ex)); /* the octets "\7example\0" are there, the label is not */
	assert_true(msp_name_is_under(&ex, &root));
	assert_true(msp_name_is_under(&root, &root));
}

static void case_is_ascii_only(void **state)
{
	struct msp_name a = t_name("\\192."), b = t_name("\\224."), at = t_name("\\@."), grave = t_name("`.");
	struct msp_name bracket = t_name("[."), brace = t_name("{.");

	(void)state;
	assert_false(msp_name_equal(&a, &b));
	assert_false(msp_name_equal(&at, &grave));
	assert_false(msp_name_equal(&bracket, &brace));
}

/* RFC 4034 6.1, its example; and octets 0 and 1 where an unescaped key would go wrong. */
static const char *const ordered[] = {
	".",
	"example.",
	"a.example.",
	"yljkjljk.a.example.",
	"Z.a.example.",
	"zABC.a.EXAMPLE.",
	"z.example.",
	"\\001.z.example.",
	"*.z.example.",
	"\\200.z.example.",
	"z\\000.example.",
	"z\\000\\000.example.",
	"z\\000\\001.example.",
	"x.z\\000\\001.example.",
	"z\\001.example.",
	"z\\001\\000.example.",
	"z\\002.example.",
	"za.example.",
};

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void canonical_order_holds_for_names_and_for_keys(void **state)
{
	const size_t count = sizeof(ordered) / sizeof(ordered[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < count; k++) {
			struct msp_name a = t_name(ordered[i]), b = t_name(ordered[k]);
			struct msp_name_key ka = msp_name_key(&a), kb = msp_name_key(&b);
			int want = (i > k) - (i < k);

			assert_int_equal(sign(msp_name_cmp(&a, &b)), want);
			assert_int_equal(sign(msp_span_cmp(msp_name_key_span(&ka), msp_name_key_span(&kb))), want);
		}
	}
}

static void random_keys_order_like_names(void **state)
{
	uint32_t seed = 7;
	struct msp_name n[2];

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct msp_name_key k[2];

		for (unsigned j = 0; j < 2; j++) {
			unsigned at = 0;

			for (unsigned labels = 0; labels < 3; labels++) {
				unsigned len;

				seed = seed * 1103515245 + 12345;
				len = seed >> 16 & 3;
				if (len == 0)
					break;
				n[j].oct[at++] = (uint8_t)len;
				for (unsigned i = 0; i < len; i++)
					n[j].oct[at++] = (uint8_t)("\0\1\2aAb\0\1"[seed >> (18 + 3 * i) & 7]);
			}
			n[j].oct[at] = 0;
			n[j].len = (uint8_t)(at + 1);
			k[j] = msp_name_key(&n[j]);
		}
		assert_int_equal(sign(msp_name_cmp(&n[0], &n[1])),
				 sign(msp_span_cmp(msp_name_key_span(&k[0]), msp_name_key_span(&k[1]))));
	}
}

static void key_of_the_worst_name_fits(void **state)
{
	static const uint8_t len[4] = { 63, 63, 63, 61 };
	struct msp_name_key k;
	struct msp_name n;
	uint8_t oct[300];

	(void)state;
	(void)four(oct, len);
	for (size_t i = 0; i < 254; i++)
		if (oct[i] == 'a')
			oct[i] = 0;
	T_OK(msp_name_from_wire(msp_span(oct, 255), &n));
	k = msp_name_key(&n);
	assert_int_equal(k.len, 2 * 250 + 4);
	assert_true(k.len <= MSP_NAME_KEY_MAX);
}

static void names_are_taken_apart_and_put_together(void **state)
{
	struct msp_name n = t_name("a.b.example."), out, longest;
	char text[256];

	(void)state;
	assert_int_equal(msp_name_labels(&n), 3);
	T_OK(msp_name_parent(&n, 2, &out));
	assert_string_equal(MSP_NAME(&out), "example.");
	T_OK(msp_name_parent(&n, 3, &out));
	assert_true(msp_name_is_root(&out));
	T_ERR(msp_name_parent(&n, 4, &out), MSP_ENAME);
	T_OK(msp_name_parent(&n, 1, &n)); /* in place */
	assert_string_equal(MSP_NAME(&n), "b.example.");
	T_OK(msp_name_prepend("_dns._tcp", &n, &out));
	assert_string_equal(MSP_NAME(&out), "_dns._tcp.b.example.");
	T_OK(msp_name_concat(&out, &n, &n));
	assert_string_equal(MSP_NAME(&n), "_dns._tcp.b.example.b.example.");
	memset(text, 'x', sizeof(text));
	for (size_t i = 50; i < 250; i += 51)
		text[i] = '.';
	text[250] = '\0';
	longest = t_name(text);
	T_ERR(msp_name_concat(&longest, &n, &out), MSP_ENAME);
	n = t_name("ABC.\\192.");
	msp_name_lower(&n);
	assert_string_equal(MSP_NAME(&n), "abc.\\192.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_is_read_with_and_without_pointers),
		cmocka_unit_test(pointers_that_loop_or_go_forward_are_refused),
		cmocka_unit_test(pointer_hops_are_limited),
		cmocka_unit_test(names_of_255_octets_are_the_longest),
		cmocka_unit_test(names_have_at_most_127_labels),
		cmocka_unit_test(from_wire_wants_the_whole_span),
		cmocka_unit_test(all_octets_survive_text),
		cmocka_unit_test(longest_text_fits),
		cmocka_unit_test(text_forms_are_read),
		cmocka_unit_test(relative_text_needs_an_origin),
		cmocka_unit_test(names_compare_without_case_and_by_whole_labels),
		cmocka_unit_test(case_is_ascii_only),
		cmocka_unit_test(canonical_order_holds_for_names_and_for_keys),
		cmocka_unit_test(random_keys_order_like_names),
		cmocka_unit_test(key_of_the_worst_name_fits),
		cmocka_unit_test(names_are_taken_apart_and_put_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
