/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/map.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

static struct msp_span key_of(unsigned n, uint8_t oct[4])
{
	oct[0] = (uint8_t)(n >> 24);
	oct[1] = (uint8_t)(n >> 16);
	oct[2] = (uint8_t)(n >> 8);
	oct[3] = (uint8_t)n;
	return msp_span(oct, 4);
}

static void put(struct msp_map *m, const char *key, void *value)
{
	T_OK(msp_map_put(m, msp_span_str(key), value, NULL));
}

static void keys_are_copied_and_values_borrowed(void **state)
{
	struct msp_map m;
	char key[] = "key";
	void *old = &m;
	int a, b;

	(void)state;
	msp_map_init(&m, 10);
	T_OK(msp_map_put(&m, msp_span_str(key), &a, &old));
	assert_null(old);
	key[0] = 'X';
	assert_ptr_equal(msp_map_get(&m, msp_span_str("key")), &a);
	assert_null(msp_map_get(&m, msp_span_str(key)));
	T_OK(msp_map_put(&m, msp_span_str("key"), &b, &old));
	assert_ptr_equal(old, &a);
	assert_int_equal(m.count, 1);
	assert_null(msp_map_del(&m, msp_span_str("none")));
	assert_ptr_equal(msp_map_del(&m, msp_span_str("key")), &b);
	assert_int_equal(m.count, 0);
	T_OK(msp_map_put(&m, msp_span(NULL, 0), &a, NULL)); /* the empty key is a key */
	assert_ptr_equal(msp_map_get(&m, msp_span("", 0)), &a);
	msp_map_fini(&m, NULL);
	msp_map_fini(&m, NULL);
}

static void the_maximum_holds_but_replacing_still_works(void **state)
{
	struct msp_map m;
	int a;

	(void)state;
	msp_map_init(&m, 2);
	put(&m, "a", &a);
	put(&m, "b", &a);
	T_ERR(msp_map_put(&m, msp_span_str("c"), &a, NULL), MSP_ELIMIT);
	put(&m, "a", &m);
	assert_ptr_equal(msp_map_get(&m, msp_span_str("a")), &m);
	assert_ptr_equal(msp_map_del(&m, msp_span_str("b")), &a);
	put(&m, "c", &a);
	msp_map_fini(&m, NULL);
	msp_map_init(&m, 0);
	T_ERR(msp_map_put(&m, msp_span_str("c"), &a, NULL), MSP_ELIMIT);
	msp_map_fini(&m, NULL);
}

static void the_cursor_walks_in_order_from_anywhere(void **state)
{
	static const char *const keys[] = { "m", "b", "ab", "z", "a", "abc", "y", "" };
	static const char *const sorted[] = { "", "a", "ab", "abc", "b", "m", "y", "z" };
	struct msp_map_it it;
	struct msp_map m;
	size_t i = 0;
	int v;

	(void)state;
	msp_map_init(&m, 100);
	assert_false(msp_map_first(&m, msp_span(NULL, 0), &it));
	assert_false(msp_map_next(&m, &it));
	for (size_t k = 0; k < 8; k++)
		put(&m, keys[k], &v);
	for (bool more = msp_map_first(&m, msp_span(NULL, 0), &it); more; more = msp_map_next(&m, &it)) {
		assert_true(msp_span_equal(it.key, msp_span_str(sorted[i])));
		assert_ptr_equal(it.value, &v);
		i++;
	}
	assert_int_equal(i, 8);
	assert_false(msp_map_next(&m, &it)); /* the end stays the end */
	assert_true(msp_map_first(&m, msp_span_str("abc"), &it));
	assert_true(msp_span_equal(it.key, msp_span_str("abc")));
	assert_true(msp_map_first(&m, msp_span_str("abd"), &it));
	assert_true(msp_span_equal(it.key, msp_span_str("b")));
	assert_true(msp_map_first(&m, msp_span_str(""), &it));
	assert_int_equal(it.key.len, 0);
	assert_false(msp_map_first(&m, msp_span_str("zz"), &it));
	msp_map_fini(&m, NULL);
}

#define MODEL 512

static void check_against_model(const struct msp_map *m, char *const model[MODEL])
{
	bool more;
	struct msp_map_it it;
	uint8_t oct[4];
	size_t count = 0;

	more = msp_map_first(m, msp_span(NULL, 0), &it);
	for (unsigned n = 0; n < MODEL; n++) {
		struct msp_span key = key_of(n, oct);

		assert_ptr_equal(msp_map_get(m, key), model[n]);
		if (model[n] == NULL)
			continue;
		assert_true(more);
		assert_true(msp_span_equal(it.key, key));
		assert_ptr_equal(it.value, model[n]);
		more = msp_map_next(m, &it);
		count++;
	}
	assert_false(more);
	assert_int_equal(m->count, count);
}

static void random_changes_match_a_plain_array(void **state)
{
	char values[16], *model[MODEL] = { NULL };
	struct msp_rand r;
	struct msp_map m;

	(void)state;
	msp_rand_init_seed(&r, 8);
	msp_map_init(&m, MODEL);
	for (int i = 0; i < 40000; i++) {
		unsigned n = (unsigned)msp_rand_below(&r, MODEL);
		/* Waves: mostly puts, then mostly deletes. */
		bool add = msp_rand_below(&r, 10) < (i / 4000 % 2 == 0 ? 7u : 2u);
		char *value = &values[msp_rand_below(&r, sizeof(values))];
		uint8_t oct[4];
		void *old;

		if (add) {
			T_OK(msp_map_put(&m, key_of(n, oct), value, &old));
			assert_ptr_equal(old, model[n]);
			model[n] = value;
		} else {
			assert_ptr_equal(msp_map_del(&m, key_of(n, oct)), model[n]);
			model[n] = NULL;
		}
		if (i % 97 == 0)
			check_against_model(&m, model);
	}
	for (unsigned n = 0; n < MODEL; n++) {
		uint8_t oct[4];

		assert_ptr_equal(msp_map_del(&m, key_of(n, oct)), model[n]);
		model[n] = NULL;
		if (n % 16 == 0)
			check_against_model(&m, model);
	}
	assert_null(m.root);
	msp_map_fini(&m, NULL);
}

static void drop_one(void *value)
{
	++*(unsigned *)value;
}

/* Keys in order are the worst case of a tree that does not balance: 10^10 steps, which nobody would wait for. */
static void keys_in_order_do_not_unbalance_it(void **state)
{
	enum { COUNT = 100000 };
	unsigned dropped = 0, seen = 0;
	struct msp_map_it it;
	struct msp_map m;
	uint8_t oct[4];

	(void)state;
	msp_map_init(&m, COUNT);
	for (unsigned n = 0; n < COUNT; n++)
		T_OK(msp_map_put(&m, key_of(n, oct), &dropped, NULL));
	for (unsigned n = 0; n < COUNT; n += 2)
		assert_ptr_equal(msp_map_del(&m, key_of(n, oct)), &dropped);
	for (bool more = msp_map_first(&m, msp_span(NULL, 0), &it); more; more = msp_map_next(&m, &it))
		assert_true(msp_span_equal(it.key, key_of(2 * seen++ + 1, oct)));
	assert_int_equal(seen, COUNT / 2);
	msp_map_fini(&m, drop_one);
	assert_int_equal(dropped, COUNT / 2);
}

static void allocation_failure_changes_nothing(void **state)
{
	(void)state;
	for (size_t nth = 1; nth <= 21; nth++) {
		unsigned dropped = 0, stored = 0;
		struct msp_map m;
		uint8_t oct[4];

		msp_map_init(&m, 100);
		msp_mem_fail_at(nth);
		for (unsigned n = 0; n < 20; n++) {
			enum msp_err err = msp_map_put(&m, key_of(n * 7 % 20, oct), &dropped, NULL);

			T_ERR(err, n < nth - 1 ? MSP_OK : MSP_ENOMEM);
			stored += err == MSP_OK;
			assert_int_equal(m.count, stored);
			if (stored > 0) /* replacing needs no memory */
				T_OK(msp_map_put(&m, key_of(0, oct), &dropped, NULL));
		}
		assert_int_equal(msp_mem_failed(), nth <= 20);
		msp_mem_fail_at(0);
		assert_int_equal(stored, nth - 1);
		msp_map_fini(&m, drop_one);
		assert_int_equal(dropped, stored);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_copied_and_values_borrowed),
		cmocka_unit_test(the_maximum_holds_but_replacing_still_works),
		cmocka_unit_test(the_cursor_walks_in_order_from_anywhere),
		cmocka_unit_test(random_changes_match_a_plain_array),
		cmocka_unit_test(keys_in_order_do_not_unbalance_it),
		cmocka_unit_test(allocation_failure_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
