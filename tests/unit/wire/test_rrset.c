/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

static struct msp_span a4(const uint8_t *oct)
{
	return msp_span(oct, 4);
}

static void rdatas_are_kept_in_order_without_duplicates(void **state)
{
	struct msp_rrset *set =
		t_rrset("a. A 192.0.2.9\na. A 192.0.2.1\na. A 192.0.2.9\na. A 192.0.2.3\na. A 10.0.0.1");

	(void)state;
	assert_int_equal(set->count, 4);
	for (size_t i = 1; i < set->count; i++)
		assert_true(memcmp(set->rdata[i - 1].ptr, set->rdata[i].ptr, 4) < 0);
	assert_int_equal(set->rdata[0].ptr[0], 10);
	msp_rrset_free(&set);
	assert_null(set);
	msp_rrset_free(&set);
}

static void names_differing_in_case_are_one_rdata(void **state)
{
	struct msp_rrset *set = t_rrset("a. NS Ns.Example.\na. NS nS.eXample.\na. NS b.");
	struct msp_rrset *txt = t_rrset("a. TXT A\na. TXT a");

	(void)state;
	assert_int_equal(set->count, 2);
	assert_memory_equal(set->rdata[1].ptr, "\2Ns\7Example", 11); /* the first spelling stays */
	assert_int_equal(txt->count, 2);
	msp_rrset_free(&set);
	msp_rrset_free(&txt);
}

static void shorter_rdata_sorts_first(void **state)
{
	struct msp_rrset *set =
		t_rrset("a. TYPE4711 \\# 2 0100\na. TYPE4711 \\# 1 01\na. TYPE4711 \\# 0\na. TYPE4711 \\# 1 02");

	(void)state;
	assert_int_equal(set->count, 4);
	assert_int_equal(set->rdata[0].len, 0);
	assert_int_equal(set->rdata[1].len, 1);
	assert_int_equal(set->rdata[2].len, 2);
	assert_int_equal(set->rdata[3].ptr[0], 2);
	msp_rrset_free(&set);
}

static void adding_and_deleting_many_keeps_order(void **state)
{
	struct msp_rrset *set = NULL;
	struct msp_name owner = t_name("a.");
	bool in[256] = { false };
	uint32_t seed = 3;

	(void)state;
	T_OK(msp_rrset_new(&owner, MSP_TYPE_A, 1, &set));
	for (unsigned round = 0; round < 5000; round++) {
		uint8_t oct[4] = { 1, 2, 3, 0 };
		size_t count = 0;

		seed = seed * 1103515245 + 12345;
		oct[3] = (uint8_t)(seed >> 16);
		if ((seed >> 24 & 1) != 0) {
			T_OK(msp_rrset_add(set, a4(oct)));
			in[oct[3]] = true;
		} else {
			assert_int_equal(msp_rrset_del(set, a4(oct)), in[oct[3]]);
			in[oct[3]] = false;
		}
		assert_int_equal(msp_rrset_has(set, a4(oct)), in[oct[3]]);
		for (size_t i = 0; i < 256; i++)
			if (in[i])
				assert_int_equal(set->rdata[count++].ptr[3], i);
		assert_int_equal(set->count, count);
	}
	msp_rrset_free(&set);
}

static void sets_are_compared_by_owner_type_and_rdata_but_not_ttl(void **state)
{
	struct msp_rrset *a = t_rrset("A. 1 NS x.\na. NS y."), *b = t_rrset("a. 2 NS Y.\na. NS x.");
	struct msp_rrset *c = t_rrset("b. NS x.\nb. NS y."), *d = t_rrset("a. CNAME x."), *e = t_rrset("a. NS x.");
	struct msp_rrset *empty = NULL;

	(void)state;
	T_OK(msp_rrset_new(&a->owner, MSP_TYPE_A, 1, &empty));
	assert_true(msp_rrset_equal(a, b));
	assert_false(msp_rrset_equal(a, c));
	assert_false(msp_rrset_equal(e, d));
	assert_false(msp_rrset_equal(a, e));
	assert_true(msp_rrset_equal(NULL, empty));
	assert_true(msp_rrset_equal(NULL, NULL));
	assert_false(msp_rrset_equal(NULL, a));
	assert_true(msp_rrset_contains(a, e));
	assert_false(msp_rrset_contains(e, a));
	assert_false(msp_rrset_contains(a, c));
	assert_true(msp_rrset_contains(a, NULL));
	assert_true(msp_rrset_contains(NULL, empty));
	assert_false(msp_rrset_contains(NULL, a));
	msp_rrset_free(&a);
	msp_rrset_free(&b);
	msp_rrset_free(&c);
	msp_rrset_free(&d);
	msp_rrset_free(&e);
	msp_rrset_free(&empty);
}

static void sets_are_merged_and_subtracted(void **state)
{
	struct msp_rrset *a = t_rrset("a. A 1.0.0.5\na. A 1.0.0.1\na. A 1.0.0.3");
	struct msp_rrset *b = t_rrset("a. A 1.0.0.3\na. A 1.0.0.0\na. A 1.0.0.9\na. A 1.0.0.4");
	struct msp_rrset *want =
		t_rrset("a. A 1.0.0.0\na. A 1.0.0.1\na. A 1.0.0.3\na. A 1.0.0.4\na. A 1.0.0.5\na. A 1.0.0.9");
	struct msp_rrset *left = t_rrset("a. A 1.0.0.1\na. A 1.0.0.5"), *copy = NULL;

	(void)state;
	T_OK(msp_rrset_merge(a, b));
	assert_true(msp_rrset_equal(a, want));
	T_OK(msp_rrset_merge(a, NULL));
	T_OK(msp_rrset_merge(a, a));
	assert_true(msp_rrset_equal(a, want));
	T_OK(msp_rrset_dup(a, &copy));
	assert_true(msp_rrset_equal(copy, a));
	msp_rrset_subtract(a, b);
	assert_true(msp_rrset_equal(a, left));
	msp_rrset_subtract(a, NULL);
	assert_true(msp_rrset_equal(a, left));
	assert_true(msp_rrset_equal(copy, want)); /* has octets of its own */
	msp_rrset_subtract(copy, copy);
	assert_int_equal(copy->count, 0);
	msp_rrset_free(&a);
	msp_rrset_free(&b);
	msp_rrset_free(&want);
	msp_rrset_free(&left);
	msp_rrset_free(&copy);
}

static void sets_survive_the_store(void **state)
{
	struct msp_rrset *set = t_rrset("A.Example. 300 MX 10 B.example.\nA.Example. MX 20 .\nA.Example. MX 30 c.");
	struct msp_rrset *back = NULL;
	struct msp_buf b;

	(void)state;
	msp_buf_init(&b, 1 << 16);
	T_OK(msp_rrset_write(set, &b));
	T_OK(msp_rrset_read(msp_buf_span(&b), &back));
	assert_true(msp_rrset_equal(set, back));
	assert_true(msp_name_same(&set->owner, &back->owner));
	assert_int_equal(back->ttl, 300);
	msp_rrset_free(&back);
	T_OK(msp_rrset_read(msp_span(NULL, 0), &back));
	assert_null(back);
	for (size_t cut = 1; cut < b.len; cut++) { /* whole records are fine, everything else is refused */
		enum msp_err err = msp_rrset_read(msp_span(b.ptr, cut), &back);

		assert_int_equal(err == MSP_OK, back != NULL);
		msp_rrset_free(&back);
	}
	msp_buf_fini(&b);
	msp_rrset_free(&set);
}

static void reading_refuses_mixed_records(void **state)
{
	static const char *const hex[] = {
		"016100 0001 0001 00000001 0004 01020304 016200 0001 0001 00000001 0004 01020305", /* other owner */
		"016100 0001 0001 00000001 0004 01020304 016100 0010 0001 00000001 0001 00",       /* other type */
		"016100 0001 0003 00000001 0004 01020304",                                         /* other class */
		"016100 0001 0001 00000001 0003 010203",                                           /* not an address */
		"016100 0002 0001 00000001 0002 c000",                                             /* pointers */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hex) / sizeof(hex[0]); i++) {
		struct msp_rrset *set = NULL;
		struct msp_buf b;

		t_hex(hex[i], &b);
		assert_int_not_equal(msp_rrset_read(msp_buf_span(&b), &set), MSP_OK);
		assert_null(set);
		msp_buf_fini(&b);
	}
}

static void smallest_ttl_of_the_stored_records_counts(void **state)
{
	struct msp_rrset *set = NULL;
	struct msp_buf b;

	(void)state;
	t_hex("016100 0001 0001 00000009 0004 01020304 016100 0001 0001 00000005 0004 01020305", &b);
	T_OK(msp_rrset_read(msp_buf_span(&b), &set));
	assert_int_equal(set->ttl, 5);
	assert_int_equal(set->count, 2);
	msp_rrset_free(&set);
	msp_buf_fini(&b);
}

/* What the failing allocations run through: everything that allocates. */
static enum msp_err all_operations(const struct msp_rrset *a, const struct msp_rrset *b, struct msp_rrset *into)
{
	struct msp_rrset *copy = NULL, *back = NULL;
	enum msp_err err;
	struct msp_buf buf;

	msp_buf_init(&buf, 1 << 16);
	err = msp_rrset_dup(a, &copy);
	if (err == MSP_OK)
		err = msp_rrset_merge(copy, b);
	if (err == MSP_OK)
		err = msp_rrset_write(copy, &buf);
	if (err == MSP_OK)
		err = msp_rrset_read(msp_buf_span(&buf), &back);
	if (err == MSP_OK && !msp_rrset_equal(back, copy))
		err = MSP_ECORRUPT;
	if (err == MSP_OK)
		err = msp_rrset_merge(into, b);
	msp_rrset_free(&copy);
	msp_rrset_free(&back);
	msp_buf_fini(&buf);
	return err;
}

static void every_allocation_may_fail_and_nothing_changes_then(void **state)
{
	struct msp_rrset *a = t_rrset("a. NS x.\na. NS y.\na. NS z."),
			 *b = t_rrset("a. NS p.\na. NS y.\na. NS q.\na. NS r.");
	struct msp_rrset *into = NULL;
	bool failed = true;
	size_t n;

	(void)state;
	for (n = 1; failed; n++) {
		enum msp_err err;

		T_OK(msp_rrset_dup(a, &into));
		msp_mem_fail_at(n);
		err = all_operations(a, b, into);
		failed = msp_mem_failed();
		msp_mem_fail_at(0);
		assert_int_equal(err, failed ? MSP_ENOMEM : MSP_OK);
		if (failed)
			assert_true(msp_rrset_equal(into, a));
		else
			assert_int_equal(into->count, 6);
		msp_rrset_free(&into);
	}
	assert_true(n > 15);
	msp_rrset_free(&a);
	msp_rrset_free(&b);
}

static void a_set_has_a_maximum(void **state)
{
	struct msp_name owner = t_name("a.");
	struct msp_rrset *set = NULL;
	static uint8_t big[MSP_RDATA_MAX + 1];

	(void)state;
	T_OK(msp_rrset_new(&owner, MSP_TYPE_A, 1, &set));
	T_ERR(msp_rrset_add(set, msp_span(big, sizeof(big))), MSP_ELIMIT);
	for (uint32_t i = 0; i < MSP_RRSET_MAX; i++) {
		uint8_t oct[4] = { 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };

		T_OK(msp_rrset_add(set, a4(oct)));
	}
	T_ERR(msp_rrset_add(set, a4((const uint8_t *)"\1\1\1\1")), MSP_ELIMIT);
	T_OK(msp_rrset_add(set, a4((const uint8_t *)"\0\0\0\0"))); /* there already */
	assert_int_equal(set->count, MSP_RRSET_MAX);
	msp_rrset_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rdatas_are_kept_in_order_without_duplicates),
		cmocka_unit_test(names_differing_in_case_are_one_rdata),
		cmocka_unit_test(shorter_rdata_sorts_first),
		cmocka_unit_test(adding_and_deleting_many_keeps_order),
		cmocka_unit_test(sets_are_compared_by_owner_type_and_rdata_but_not_ttl),
		cmocka_unit_test(sets_are_merged_and_subtracted),
		cmocka_unit_test(sets_survive_the_store),
		cmocka_unit_test(reading_refuses_mixed_records),
		cmocka_unit_test(smallest_ttl_of_the_stored_records_counts),
		cmocka_unit_test(every_allocation_may_fail_and_nothing_changes_then),
		cmocka_unit_test(a_set_has_a_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
