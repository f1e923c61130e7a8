/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/arena.h>
#include <msproto/base/mem.h>

#include <stdalign.h>

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
	uint8_t *piece[200];
	struct msp_arena a;

	(void)state;
	msp_arena_init(&a, 1 << 20);
	for (size_t i = 0; i < 200; i++) {
		piece[i] = msp_arena_alloc(&a, i, 7);
		assert_non_null(piece[i]);
		assert_int_equal((uintptr_t)piece[i] % alignof(max_align_t), 0);
		for (size_t k = 0; k < 7 * i; k++)
			assert_int_equal(piece[i][k], 0);
		memset(piece[i], (int)i, 7 * i);
	}
	for (size_t i = 0; i < 200; i++)
		for (size_t k = 0; k < 7 * i; k++)
			assert_int_equal(piece[i][k], i);
	msp_arena_fini(&a);
}

static void the_cap_is_hard_and_comes_back_after_a_reset(void **state)
{
	struct msp_arena a;
	size_t count = 0;

	(void)state;
	msp_arena_init(&a, 1024);
	assert_null(msp_arena_alloc(&a, 1025, 1));
	while (msp_arena_alloc(&a, 10, 1) != NULL)
		count++;
	assert_in_range(count, 1024 / 32, 1024 / 10);
	assert_true(a.used <= 1024);
	msp_arena_reset(&a);
	assert_int_equal(a.used, 0);
	assert_non_null(msp_arena_alloc(&a, 1024, 1));
	assert_null(msp_arena_alloc(&a, 1, 1));
	assert_null(msp_arena_alloc(&a, 0, 1)); /* even nothing takes room, as pointers are distinct */
	msp_arena_fini(&a);
	msp_arena_init(&a, 0);
	assert_null(msp_arena_alloc(&a, 1, 1));
	msp_arena_fini(&a);
}

static void sizes_that_overflow_are_refused(void **state)
{
	struct msp_arena a;

	(void)state;
	msp_arena_init(&a, SIZE_MAX);
	assert_null(msp_arena_alloc(&a, SIZE_MAX / 2 + 2, 2));
	assert_null(msp_arena_alloc(&a, SIZE_MAX, 1));
	assert_null(msp_arena_alloc(&a, (size_t)1 << 63, 1));
	assert_int_equal(a.used, 0);
	msp_arena_fini(&a);
}

static void a_copy_holds_the_octets(void **state)
{
	struct msp_arena a;
	struct msp_span s;
	char text[] = "octets";

	(void)state;
	msp_arena_init(&a, 64);
	s = msp_arena_dup(&a, msp_span_str(text));
	text[0] = 'X';
	assert_true(msp_span_equal(s, msp_span_str("octets")));
	s = msp_arena_dup(&a, msp_span(NULL, 0));
	assert_non_null(s.ptr);
	assert_int_equal(s.len, 0);
	s = msp_arena_dup(&a, msp_span("0123456789012345678901234567890123456789", 40));
	assert_null(s.ptr);
	assert_int_equal(s.len, 0);
	msp_arena_fini(&a);
}

static void allocation_failure_leaves_the_arena_usable(void **state)
{
	(void)state;
	for (size_t nth = 1;; nth++) {
		struct msp_arena a;
		size_t got = 0;

		msp_arena_init(&a, 1 << 20);
		msp_mem_fail_at(nth);
		for (int i = 0; i < 50; i++)
			got += msp_arena_alloc(&a, (size_t)i, 100) != NULL;
		if (!msp_mem_failed()) {
			msp_mem_fail_at(0);
			assert_int_equal(got, 50);
			assert_true(nth > 10);
			msp_arena_fini(&a);
			return;
		}
		assert_true(got < 50);
		msp_mem_fail_at(0);
		assert_non_null(msp_arena_alloc(&a, 5000, 1));
		msp_arena_fini(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
		cmocka_unit_test(the_cap_is_hard_and_comes_back_after_a_reset),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(a_copy_holds_the_octets),
		cmocka_unit_test(allocation_failure_leaves_the_arena_usable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
