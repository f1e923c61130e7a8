/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_build.h"

#include "audit.h"

#include <msproto/base/mem.h>

static struct msp_buf octets[4];

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++)
		msp_buf_init(&octets[i], PRT_AUDIT_OCTETS_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++)
		msp_buf_fini(&octets[i]);
	return 0;
}

static void put_delegation(struct msp_buf *out, const char *lines)
{
	struct prt_delegation d;

	t_delegation(&d, lines);
	T_OK(prt_delegation_write(&d, out));
	prt_delegation_clear(&d);
}

static void make(struct prt_audit *a, uint64_t seq)
{
	prt_audit_init(a);
	a->seq = seq;
	a->at.s = 1800000000;
	a->parent = t_name(P);
	a->child = t_name(C);
	a->verdict = PRT_VERDICT_ACCEPTED;
	a->source = PRT_SRC_UPDATE;
	T_OK(msp_addr_parse("2001:db8::1", 5353, &a->peer));
	a->is_tcp = true;
	a->key_tag = 4711;
	memset(a->message, 0xab, sizeof(a->message));
	(void)snprintf(a->who, sizeof(a->who), "key 4711");
	(void)snprintf(a->rule, sizeof(a->rule), "update by a trusted key");
	(void)snprintf(a->why, sizeof(a->why), "all servers agree");
	a->rcode = 5;
	a->ede = 49160;
	put_delegation(&a->before, USUAL);
	put_delegation(&a->after, C " 300 NS a.test.\n" C " 300 NS b.test.\n");
}

static void same(const struct prt_audit *a, const struct prt_audit *b)
{
	assert_true(a->seq == b->seq);
	assert_int_equal(a->at.s, b->at.s);
	assert_true(msp_name_same(&a->parent, &b->parent));
	assert_true(msp_name_same(&a->child, &b->child));
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->source, b->source);
	assert_int_equal(a->peer.family, b->peer.family);
	assert_memory_equal(a->peer.oct, b->peer.oct, 16);
	assert_int_equal(a->peer.port, b->peer.port);
	assert_int_equal(a->is_tcp, b->is_tcp);
	assert_int_equal(a->key_tag, b->key_tag);
	assert_memory_equal(a->message, b->message, PRT_HASH_LEN);
	assert_string_equal(a->who, b->who);
	assert_string_equal(a->rule, b->rule);
	assert_string_equal(a->why, b->why);
	assert_int_equal(a->rcode, b->rcode);
	assert_int_equal(a->ede, b->ede);
	assert_true(msp_span_equal(msp_buf_span(&a->before), msp_buf_span(&b->before)));
	assert_true(msp_span_equal(msp_buf_span(&a->after), msp_buf_span(&b->after)));
	assert_memory_equal(a->previous, b->previous, PRT_HASH_LEN);
}

static void back_and_forth(const struct prt_audit *a)
{
	struct prt_audit b;

	msp_buf_reset(&octets[0]);
	T_OK(prt_audit_write(a, &octets[0]));
	T_OK(prt_audit_read(msp_buf_span(&octets[0]), &b));
	same(a, &b);
	prt_audit_fini(&b);
}

static void a_record_comes_back_as_it_was(void **state)
{
	struct prt_audit a;

	(void)state;
	make(&a, 1);
	back_and_forth(&a);
	assert_true(octets[0].len < 420); /* the records in it take half of what they take as written */
	memset(a.message, 0, sizeof(a.message));
	memset(&a.peer, 0, sizeof(a.peer));
	a.is_tcp = false;
	msp_buf_reset(&a.before);
	memset(a.previous, 7, sizeof(a.previous));
	back_and_forth(&a);
	memset(&a.child, 0, sizeof(a.child));
	back_and_forth(&a);
	prt_audit_fini(&a);
}

static void what_parentd_does_by_itself_is_on_nobodys_word(void **state)
{
	struct prt_audit a, b;
	json_t *o = NULL;

	(void)state;
	make(&a, 1);
	a.source = PRT_SRC_NONE;
	(void)snprintf(a.who, sizeof(a.who), "backend knot");
	back_and_forth(&a);
	T_OK(prt_audit_json(&a, &o));
	assert_true(json_is_null(json_object_get(o, "source")));
	assert_string_equal(msp_json_str(o, "who"), "backend knot");
	json_decref(o);
	a.source = PRT_SRC__N; /* nothing that there is */
	msp_buf_reset(&octets[0]);
	T_OK(prt_audit_write(&a, &octets[0]));
	T_ERR(prt_audit_read(msp_buf_span(&octets[0]), &b), MSP_ECORRUPT);
	prt_audit_fini(&a);
}

static void octets_that_are_no_records_are_kept_all_the_same(void **state)
{
	struct prt_audit a;

	(void)state;
	make(&a, 1);
	msp_buf_reset(&a.before);
	msp_buf_add_str(&a.before, "anything");
	back_and_forth(&a);
	a.verdict = PRT_VERDICT_KEY;
	back_and_forth(&a);
	prt_audit_fini(&a);
}

static void too_long_a_record_is_refused(void **state)
{
	struct prt_audit a;
	struct msp_buf out;

	(void)state;
	make(&a, 1);
	msp_buf_reset(&a.after);
	for (unsigned i = 0; i < PRT_AUDIT_OCTETS_MAX; i++)
		msp_buf_add_u8(&a.after, 0xff);
	msp_buf_init(&out, 4 * PRT_AUDIT_OCTETS_MAX);
	T_ERR(prt_audit_write(&a, &out), MSP_ELIMIT);
	msp_buf_fini(&out);
	prt_audit_fini(&a);
}

static void cut_records_are_corrupt(void **state)
{
	struct prt_audit a, b;

	(void)state;
	make(&a, 1);
	T_OK(prt_audit_write(&a, &octets[0]));
	for (size_t len = 0; len < octets[0].len; len++)
		T_ERR(prt_audit_read(msp_span(octets[0].ptr, len), &b), MSP_ECORRUPT);
	msp_buf_add_u8(&octets[0], 0);
	T_ERR(prt_audit_read(msp_buf_span(&octets[0]), &b), MSP_ECORRUPT);
	prt_audit_fini(&a);
}

static void a_failing_allocation_anywhere_is_reported(void **state)
{
	struct prt_audit a, b;
	size_t n;

	(void)state;
	make(&a, 1);
	for (n = 1; n < 100; n++) {
		enum msp_err err;

		msp_buf_fini(&octets[0]);
		msp_buf_init(&octets[0], PRT_AUDIT_OCTETS_MAX);
		msp_mem_fail_at(n);
		err = prt_audit_write(&a, &octets[0]);
		if (err == MSP_OK) {
			err = prt_audit_read(msp_buf_span(&octets[0]), &b);
			if (err == MSP_OK)
				break;
		}
		assert_int_equal(err, MSP_ENOMEM);
	}
	msp_mem_fail_at(0);
	assert_true(n > 3 && n < 100);
	prt_audit_fini(&a);
	prt_audit_fini(&b);
}

/* Four records, each made after the one before. */
static void make_chain(void)
{
	uint8_t link[PRT_HASH_LEN] = { 0 };

	for (unsigned i = 0; i < 4; i++) {
		struct prt_audit a;

		make(&a, i + 1);
		memcpy(a.previous, link, PRT_HASH_LEN);
		msp_buf_reset(&octets[i]);
		T_OK(prt_audit_write(&a, &octets[i]));
		T_OK(prt_audit_hash(msp_buf_span(&octets[i]), link));
		prt_audit_fini(&a);
	}
}

/* @return how many records follow; the reason goes to why */
static unsigned follow(struct msp_why *why)
{
	uint8_t link[PRT_HASH_LEN] = { 0 };
	uint64_t seq = 0;
	unsigned i = 0;

	while (i < 4 && (octets[i].len == 0 || prt_audit_follow(msp_buf_span(&octets[i]), link, &seq, why) == MSP_OK))
		i++;
	return i;
}

static void an_untouched_trail_follows(void **state)
{
	struct msp_why why = { "" };

	(void)state;
	make_chain();
	assert_int_equal(follow(&why), 4);
	assert_string_equal(why.text, "");
}

static void a_changed_octet_shows_at_the_next_record(void **state)
{
	struct msp_why why = { "" };
	size_t len;

	(void)state;
	make_chain();
	len = octets[1].len;
	for (size_t i = 0; i < len; i++) {
		octets[1].ptr[i] ^= 1;
		assert_true(follow(&why) <
			    3); /* it cannot be read, is out of place, or the next one belongs to another */
		octets[1].ptr[i] ^= 1;
	}
	assert_int_equal(follow(&why), 4);
}

static void a_record_taken_out_shows(void **state)
{
	struct msp_why why = { "" };

	(void)state;
	make_chain();
	msp_buf_reset(&octets[1]);
	assert_int_equal(follow(&why), 2);
	assert_non_null(strstr(why.text, "missing"));
}

static void a_record_rewritten_shows(void **state)
{
	struct msp_why why = { "" };
	struct prt_audit a;

	(void)state;
	make_chain();
	T_OK(prt_audit_read(msp_buf_span(&octets[1]), &a));
	(void)snprintf(a.who, sizeof(a.who), "operator eve");
	msp_buf_reset(&octets[1]);
	T_OK(prt_audit_write(&a, &octets[1]));
	prt_audit_fini(&a);
	assert_int_equal(follow(&why), 2);
	assert_non_null(strstr(why.text, "another record 2"));
}

static void json_tells_every_member(void **state)
{
	struct prt_audit a;
	json_t *o = NULL;

	(void)state;
	make(&a, 7);
	T_OK(prt_audit_json(&a, &o));
	assert_int_equal(json_integer_value(json_object_get(o, "seq")), 7);
	assert_int_equal(json_integer_value(json_object_get(o, "at")), 1800000000);
	assert_string_equal(msp_json_str(o, "parent"), P);
	assert_string_equal(msp_json_str(o, "child"), C);
	assert_string_equal(msp_json_str(o, "verdict"), "accepted");
	assert_string_equal(msp_json_str(o, "source"), prt_source_name(PRT_SRC_UPDATE));
	assert_string_equal(msp_json_str(o, "who"), "key 4711");
	assert_string_equal(msp_json_str(o, "peer"), "[2001:db8::1]:5353");
	assert_string_equal(msp_json_str(o, "transport"), "tcp");
	assert_int_equal(json_integer_value(json_object_get(o, "key_tag")), 4711);
	assert_int_equal(strlen(msp_json_str(o, "message")), 64);
	assert_string_equal(msp_json_str(o, "rule"), "update by a trusted key");
	assert_string_equal(msp_json_str(o, "why"), "all servers agree");
	assert_string_equal(msp_json_str(o, "rcode"), "REFUSED");
	assert_int_equal(json_integer_value(json_object_get(o, "ede")), 49160);
	assert_int_equal(json_array_size(json_object_get(o, "before")), 5);
	assert_int_equal(json_array_size(json_object_get(o, "after")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "after"), 0)), C " 300 IN NS a.test.");
	assert_int_equal(strlen(msp_json_str(o, "previous")), 64);
	json_decref(o);
	prt_audit_fini(&a);
}

static void json_of_keys_tells_keys(void **state)
{
	static const uint8_t key[] = { 0, 8, 2, 0, 3, 15, 1, 2, 3, 4 };
	struct prt_audit a;
	json_t *o = NULL;

	(void)state;
	make(&a, 7);
	a.verdict = PRT_VERDICT_KEY;
	msp_buf_reset(&a.before);
	msp_buf_reset(&a.after);
	msp_buf_add(&a.after, key, sizeof(key));
	memset(&a.peer, 0, sizeof(a.peer));
	T_OK(prt_audit_json(&a, &o));
	assert_int_equal(json_array_size(json_object_get(o, "before")), 0);
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "after"), 0)),
			    C " 0 IN KEY 512 3 15 AQIDBA==");
	assert_true(json_is_null(json_object_get(o, "peer")));
	json_decref(o);
	msp_buf_add_u8(&a.after, 9); /* half a length */
	T_ERR(prt_audit_json(&a, &o), MSP_ECORRUPT);
	prt_audit_fini(&a);
}

static void a_delegation_is_an_array_of_records(void **state)
{
	struct prt_delegation d;
	json_t *list = NULL;

	(void)state;
	t_delegation(&d, USUAL);
	T_OK(prt_delegation_json(&d, &list));
	assert_int_equal(json_array_size(list), 5);
	assert_string_equal(json_string_value(json_array_get(list, 2)), "ns1." C " 300 IN A 198.41.0.4");
	json_decref(list);
	prt_delegation_clear(&d);
	T_OK(prt_delegation_json(&d, &list));
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	assert_string_equal(prt_verdict_name(PRT_VERDICT_PUBLISHED), "published");
	assert_string_equal(prt_verdict_name(PRT_VERDICT__N), "?");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_comes_back_as_it_was),
		TEST(what_parentd_does_by_itself_is_on_nobodys_word),
		TEST(octets_that_are_no_records_are_kept_all_the_same),
		TEST(too_long_a_record_is_refused),
		TEST(cut_records_are_corrupt),
		TEST(a_failing_allocation_anywhere_is_reported),
		TEST(an_untouched_trail_follows),
		TEST(a_changed_octet_shows_at_the_next_record),
		TEST(a_record_taken_out_shows),
		TEST(a_record_rewritten_shows),
		TEST(json_tells_every_member),
		TEST(json_of_keys_tells_keys),
		TEST(a_delegation_is_an_array_of_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
