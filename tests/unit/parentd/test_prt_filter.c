/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "filter.h"

#include <msproto/base/mem.h>
#include <pthread.h>

#define NAMES 100000u

static const uint8_t key[PRT_FILTER_KEY] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static struct msp_span numbered(char text[32], unsigned i)
{
	(void)snprintf(text, 32, "name%u", i);
	return msp_span_str(text);
}

/* The reference vectors of its authors: key 00..0f, input 00 01 02 ... of length n. */
static void hashes_are_those_of_the_reference(void **state)
{
	static const struct {
		size_t len;
		uint64_t want;
	} vectors[] = { { 0, 0x726fdb47dd0e0e31u }, { 1, 0x74f839c593dc67fdu },  { 7, 0xab0200f58b01d137u },
			{ 8, 0x93f5f5799a932462u }, { 15, 0xa129ca6149be45e5u }, { 63, 0x958a324ceb064572u } };
	uint8_t in[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(prt_siphash(key, msp_span(in, vectors[i].len)) == vectors[i].want);
}

static void what_was_added_is_there_and_little_else(void **state)
{
	struct prt_filter *f = NULL;
	unsigned wrong = 0;
	char text[32];

	(void)state;
	T_OK(prt_filter_new(NAMES, key, &f));
	assert_int_equal(prt_filter_capacity(f), NAMES);
	for (unsigned i = 0; i < NAMES; i++)
		prt_filter_add(f, numbered(text, i));
	for (unsigned i = 0; i < NAMES; i++)
		assert_true(prt_filter_has(f, numbered(text, i)));
	for (unsigned i = NAMES; i < 2 * NAMES; i++)
		wrong += prt_filter_has(f, numbered(text, i));
	assert_true(wrong < NAMES / 500);
	prt_filter_free(&f);
	assert_null(f);
}

static void the_key_decides_which_names_collide(void **state)
{
	static const uint8_t other[PRT_FILTER_KEY] = { 1 };
	struct prt_filter *a = NULL, *b = NULL;
	unsigned in_a = 0, in_both = 0;
	char text[32];

	(void)state;
	T_OK(prt_filter_new(1000, key, &a));
	T_OK(prt_filter_new(1000, other, &b));
	for (unsigned i = 0; i < 4000; i++) { /* too many: every third name collides */
		prt_filter_add(a, numbered(text, i));
		prt_filter_add(b, numbered(text, i));
	}
	for (unsigned i = 4000; i < 24000; i++) {
		bool has = prt_filter_has(a, numbered(text, i));

		in_a += has;
		in_both += has && prt_filter_has(b, numbered(text, i));
	}
	assert_true(in_a > 1000);
	assert_true(in_both < in_a * 3 / 4); /* who has found names for one process has not found them for another */
	prt_filter_free(&a);
	prt_filter_free(&b);
}

static void an_empty_filter_has_nothing(void **state)
{
	struct prt_filter *f = NULL;
	char text[32];

	(void)state;
	T_OK(prt_filter_new(0, key, &f));
	for (unsigned i = 0; i < 1000; i++)
		assert_false(prt_filter_has(f, numbered(text, i)));
	prt_filter_free(&f);
	prt_filter_free(&f);
}

static void memory_and_limits(void **state)
{
	struct prt_filter *f = NULL;

	(void)state;
	T_ERR(prt_filter_new((size_t)UINT32_MAX + 1, key, &f), MSP_ELIMIT);
	for (size_t n = 1; n <= 2; n++) {
		msp_mem_fail_at(n);
		T_ERR(prt_filter_new(10, key, &f), MSP_ENOMEM);
		msp_mem_fail_at(0);
		assert_null(f);
	}
}

struct half {
	struct prt_filter *f;
	unsigned from;
};

static void *add_half(void *arg)
{
	const struct half *h = arg;
	char text[32];

	for (unsigned i = h->from; i < NAMES; i += 2)
		prt_filter_add(h->f, numbered(text, i));
	return NULL;
}

static void two_threads_add_and_nothing_is_lost(void **state)
{
	struct prt_filter *f = NULL;
	struct half half[2];
	pthread_t thread[2];
	char text[32];

	(void)state;
	T_OK(prt_filter_new(NAMES, key, &f));
	for (unsigned i = 0; i < 2; i++) {
		half[i] = (struct half){ f, i };
		assert_int_equal(pthread_create(&thread[i], NULL, add_half, &half[i]), 0);
	}
	for (unsigned i = 0; i < NAMES; i++) /* asking meanwhile is allowed */
		(void)prt_filter_has(f, numbered(text, i));
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (unsigned i = 0; i < NAMES; i++)
		assert_true(prt_filter_has(f, numbered(text, i)));
	prt_filter_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_those_of_the_reference),
		cmocka_unit_test(what_was_added_is_there_and_little_else),
		cmocka_unit_test(the_key_decides_which_names_collide),
		cmocka_unit_test(an_empty_filter_has_nothing),
		cmocka_unit_test(memory_and_limits),
		cmocka_unit_test(two_threads_add_and_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
