/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What every struct prt_store must do, whatever is behind it: run against each kind, on an empty store. */
#ifndef TEST_STORE_CASES_H
#define TEST_STORE_CASES_H

#include "support.h"

#include "store.h"

#define T_STORE_BIG 60000u

static inline struct msp_span t_sp(const char *text)
{
	return msp_span_str(text);
}

static inline void t_store_put(struct prt_store *s, const char *bucket, const char *key, const char *value)
{
	T_OK(prt_store_put(s, bucket, t_sp(key), t_sp(value)));
}

/** value NULL: it is not there. */
static inline void t_store_holds(struct prt_store *s, const char *bucket, const char *key, const char *value)
{
	struct msp_buf out;
	enum msp_err err;

	msp_buf_init(&out, 4096);
	err = prt_store_get(s, bucket, t_sp(key), false, &out);
	T_ERR(err, value != NULL ? MSP_OK : MSP_ENOTFOUND);
	if (value != NULL)
		assert_string_equal(msp_buf_text(&out), value);
	msp_buf_fini(&out);
}

struct t_store_seen {
	char text[256];
	size_t calls, stop_at;
};

static inline enum msp_err t_store_note(void *arg, struct msp_span key, struct msp_span value)
{
	struct t_store_seen *seen = arg;
	size_t len = strlen(seen->text);

	(void)snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s=%.*s ", (int)key.len, (const char *)key.ptr,
		       (int)value.len, (const char *)value.ptr);
	return ++seen->calls == seen->stop_at ? MSP_ESTATE : MSP_OK;
}

static inline void t_store_entries(struct prt_store *s)
{
	static uint8_t big[T_STORE_BIG];
	uint8_t binary[] = { 0, 255, 0, '\'', '\\', 128 };
	struct msp_buf out;

	T_OK(prt_store_begin(s));
	t_store_put(s, "child", "a", "1");
	t_store_put(s, "child", "a", "2");
	t_store_put(s, "child", "", "empty key");
	t_store_put(s, "child", "b", "");
	t_store_put(s, "meta", "a", "elsewhere");
	T_OK(prt_store_put(s, "child", msp_span(binary, 6), msp_span(binary, 6)));
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	T_OK(prt_store_put(s, "audit", msp_span(binary, 6), msp_span(big, sizeof(big))));
	T_OK(prt_store_commit(s));
	t_store_holds(s, "child", "a", "2");
	t_store_holds(s, "child", "", "empty key");
	t_store_holds(s, "child", "b", "");
	t_store_holds(s, "child", "c", NULL);
	t_store_holds(s, "meta", "a", "elsewhere");
	msp_buf_init(&out, T_STORE_BIG + 16);
	msp_buf_add_str(&out, "x"); /* appended to what is there */
	T_OK(prt_store_get(s, "child", msp_span(binary, 6), false, &out));
	assert_int_equal(out.len, 7);
	assert_memory_equal(out.ptr + 1, binary, 6);
	msp_buf_reset(&out);
	T_OK(prt_store_get(s, "audit", msp_span(binary, 6), false, &out));
	assert_int_equal(out.len, sizeof(big));
	assert_memory_equal(out.ptr, big, sizeof(big));
	msp_buf_fini(&out);
	T_OK(prt_store_begin(s));
	T_OK(prt_store_del(s, "child", t_sp("a")));
	T_OK(prt_store_del(s, "child", t_sp("a")));
	T_OK(prt_store_del(s, "child", t_sp("")));
	T_OK(prt_store_del(s, "child", msp_span(binary, 6)));
	T_OK(prt_store_del(s, "audit", msp_span(binary, 6)));
	T_OK(prt_store_commit(s));
	t_store_holds(s, "child", "a", NULL);
	t_store_holds(s, "meta", "a", "elsewhere");
}

static inline void t_store_transactions(struct prt_store *s)
{
	struct msp_buf out;

	T_OK(prt_store_begin(s));
	t_store_put(s, "child", "t", "1");
	t_store_holds(s, "child", "t", "1"); /* it sees itself */
	prt_store_rollback(s);
	t_store_holds(s, "child", "t", NULL);
	prt_store_rollback(s); /* nothing to roll back */
	T_OK(prt_store_begin(s));
	msp_buf_init(&out, 64);
	T_ERR(prt_store_get(s, "child", t_sp("t"), true, &out), MSP_ENOTFOUND); /* locked though absent */
	t_store_put(s, "child", "t", "2");
	T_OK(prt_store_get(s, "child", t_sp("t"), true, &out));
	assert_string_equal(msp_buf_text(&out), "2");
	msp_buf_fini(&out);
	T_OK(prt_store_commit(s));
	t_store_holds(s, "child", "t", "2");
	T_OK(prt_store_begin(s)); /* an empty one */
	T_OK(prt_store_commit(s));
	T_OK(prt_store_hold(s, "backend"));
	T_OK(prt_store_hold(s, "backend")); /* it has it already */
	T_OK(prt_store_hold(s, "sweep"));
	T_OK(prt_store_revive(s, NULL));
	t_store_holds(s, "child", "t", "2");
}

static inline void t_store_walks(struct prt_store *s)
{
	struct t_store_seen all = { "", 0, 0 }, from = { "", 0, 0 }, some = { "", 0, 0 }, stop = { "", 0, 2 };
	struct t_store_seen keys = { "", 0, 0 }, none = { "", 0, 0 };

	T_OK(prt_store_begin(s));
	t_store_put(s, "walk", "b1", "2");
	t_store_put(s, "walk", "a", "1");
	t_store_put(s, "walk", "\xff", "5");
	t_store_put(s, "walk", "b", "0");
	t_store_put(s, "walk", "B", "6"); /* octets, not letters */
	t_store_put(s, "walk", "c", "4");
	t_store_put(s, "walks", "b0", "9");
	T_OK(prt_store_commit(s));
	T_OK(prt_store_each(s, "walk", t_sp(""), SIZE_MAX, t_store_note, &all));
	assert_string_equal(all.text, "B=6 a=1 b=0 b1=2 c=4 \xff=5 ");
	T_OK(prt_store_each(s, "walk", t_sp("b0"), 100, t_store_note, &from));
	assert_string_equal(from.text, "b1=2 c=4 \xff=5 ");
	T_OK(prt_store_each(s, "walk", t_sp("a"), 2, t_store_note, &some));
	assert_string_equal(some.text, "a=1 b=0 ");
	T_ERR(prt_store_each(s, "walk", t_sp(""), 100, t_store_note, &stop), MSP_ESTATE);
	assert_int_equal(stop.calls, 2);
	T_OK(prt_store_keys(s, "walk", t_sp("b"), 3, t_store_note, &keys));
	assert_string_equal(keys.text, "b= b1= c= ");
	T_OK(prt_store_each(s, "walk", t_sp(""), 0, t_store_note, &none));
	T_OK(prt_store_each(s, "nothing", t_sp(""), 10, t_store_note, &none));
	assert_int_equal(none.calls, 0);
}

/** All of it; `s` is empty. */
static inline void t_store_cases(struct prt_store *s)
{
	t_store_entries(s);
	t_store_transactions(s);
	t_store_walks(s);
}

#endif
