/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/mem.h>

static void memory_is_zeroed_and_never_null_for_nothing(void **state)
{
	static const uint8_t zero[1000];
	void *p;

	(void)state;
	for (int round = 0; round < 3; round++) {
		p = msp_alloc(10, 100);
		assert_non_null(p);
		assert_memory_equal(p, zero, sizeof(zero));
		memset(p, 0xff, sizeof(zero));
		msp_free(p);
	}
	p = msp_alloc(0, 100);
	assert_non_null(p);
	p = msp_realloc(p, 0, 1);
	assert_non_null(p);
	msp_free(p);
	msp_free(NULL);
}

static void sizes_that_overflow_are_refused(void **state)
{
	uint8_t *p;
	void *q;

	(void)state;
	assert_null(msp_alloc(SIZE_MAX, 2));
	assert_null(msp_alloc(SIZE_MAX / 2 + 2, 2)); /* wraps to 2 */
	assert_null(msp_alloc((size_t)1 << 32, (size_t)1 << 32));
	assert_null(msp_alloc((size_t)PTRDIFF_MAX + 1, 1));
	assert_null(msp_memdup("x", SIZE_MAX));
	p = msp_alloc(1, 1);
	assert_non_null(p);
	*p = 42;
	q = msp_realloc(p, SIZE_MAX / 2 + 2, 2);
	assert_null(q);
	assert_int_equal(*p, 42); /* still ours */
	msp_free(p);
}

static void copies_end_with_a_zero(void **state)
{
	char *s = msp_strdup("text");
	uint8_t *m = msp_memdup("a\0b", 3), *none = msp_memdup(NULL, 0);

	(void)state;
	assert_string_equal(s, "text");
	assert_memory_equal(m, "a\0b\0", 4);
	assert_int_equal(none[0], 0);
	msp_free(s);
	msp_free(m);
	msp_free(none);
}

static void the_nth_allocation_and_all_later_ones_fail_when_told(void **state)
{
	void *a, *b, *c;

	(void)state;
	msp_mem_fail_at(2);
	a = msp_alloc(1, 1);
	assert_non_null(a);
	assert_false(msp_mem_failed());
	b = msp_realloc(a, 2, 1);
	assert_null(b);
	assert_true(msp_mem_failed());
	assert_null(msp_strdup("x"));
	msp_mem_fail_at(0);
	assert_false(msp_mem_failed());
	c = msp_strdup("x");
	assert_non_null(c);
	msp_free(c);
	msp_free(a);
}

static void secrets_compare_whole_and_wipe_to_zero(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	memset(a, 7, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(msp_secret_equal(msp_span(a, 32), msp_span(b, 32)));
	assert_true(msp_secret_equal(msp_span(NULL, 0), msp_span(a, 0)));
	assert_false(msp_secret_equal(msp_span(a, 32), msp_span(b, 31)));
	for (size_t i = 0; i < 32; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			b[i] ^= (uint8_t)(1u << bit);
			assert_false(msp_secret_equal(msp_span(a, 32), msp_span(b, 32)));
			b[i] ^= (uint8_t)(1u << bit);
		}
	msp_wipe(a, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		assert_int_equal(a[i], 0);
	msp_wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_never_null_for_nothing),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(copies_end_with_a_zero),
		cmocka_unit_test(the_nth_allocation_and_all_later_ones_fail_when_told),
		cmocka_unit_test(secrets_compare_whole_and_wipe_to_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
