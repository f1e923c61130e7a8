/* SPDX-License-Identifier: BSD-2-Clause */
/* The PostgreSQL store against a real server: run by tests/integration/parentd/test_store_pg.py, which does with the
 * server what a line "@word" on the standard output asks for, and answers with a line.
 *
 *     store_pg_test CONNECTION-FILE
 */
#include "pg_server.h"
#include "store_cases.h"

#include <msproto/base/mem.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUICK_MS 1000

static const char *conn_file;

static struct prt_store *open_with(uint32_t timeout_ms)
{
	const struct prt_store_where w = { .kind = PRT_STORE_POSTGRESQL, .path = conn_file, .timeout_ms = timeout_ms };
	struct prt_store *s = NULL;
	struct msp_why why = { "" };
	enum msp_err err = prt_store_open(&w, &s, &why);

	if (err != MSP_OK)
		fail_msg("open: %s: %s", msp_err_name(err), why.text);
	return s;
}

static enum msp_err get(struct prt_store *s, const char *bucket, const char *key, bool lock, char text[32])
{
	struct msp_buf b;
	enum msp_err err;

	msp_buf_init(&b, 31);
	err = prt_store_get(s, bucket, msp_span_str(key), lock, &b);
	(void)snprintf(text, 32, "%s", err == MSP_OK ? msp_buf_text(&b) : "");
	msp_buf_fini(&b);
	return err;
}

static enum msp_err put(struct prt_store *s, const char *bucket, const char *key, const char *value)
{
	return prt_store_put(s, bucket, msp_span_str(key), msp_span_str(value));
}

static void expect(struct prt_store *s, const char *bucket, const char *key, const char *value)
{
	char text[32];

	if (value) {
		T_OK(get(s, bucket, key, false, text));
		assert_string_equal(text, value);
	} else {
		T_ERR(get(s, bucket, key, false, text), MSP_ENOTFOUND);
	}
}

/* ---- one connection ---- */

static void it_does_what_every_store_does(void **state)
{
	struct prt_store *s;

	(void)state;
	t_ask("fresh");
	s = open_with(0);
	t_store_cases(s);
	prt_store_close(&s);
}

static void values_of_any_octets_come_back_as_they_were(void **state)
{
	struct prt_store *s = open_with(0);
	uint8_t all[256];
	struct msp_buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	msp_buf_init(&b, 1024);
	T_OK(prt_store_put(s, "any", msp_span(all, 255), msp_span(all, sizeof(all))));
	T_OK(prt_store_put(s, "any", msp_span(NULL, 0), msp_span(NULL, 0)));
	T_OK(prt_store_get(s, "any", msp_span(NULL, 0), false, &b));
	assert_int_equal(b.len, 0);
	msp_buf_add_u8(&b, 7);
	T_OK(prt_store_get(s, "any", msp_span(all, 255), false, &b)); /* appends */
	assert_int_equal(b.len, 257);
	assert_memory_equal(b.ptr + 1, all, sizeof(all));
	T_ERR(prt_store_get(s, "other", msp_span(all, 255), false, &b), MSP_ENOTFOUND);
	T_OK(put(s, "any", "k", "one"));
	T_OK(put(s, "any", "k", "two"));
	expect(s, "any", "k", "two");
	T_OK(prt_store_del(s, "any", msp_span_str("k")));
	T_OK(prt_store_del(s, "any", msp_span_str("k")));
	expect(s, "any", "k", NULL);
	msp_buf_fini(&b);
	prt_store_close(&s);
}

struct walk {
	struct msp_buf keys; /* each behind its length */
	size_t count, stop_at;
};

static enum msp_err note_key(void *arg, struct msp_span key, struct msp_span value)
{
	struct walk *w = arg;

	(void)value;
	msp_buf_add_u8(&w->keys, (uint8_t)key.len);
	msp_buf_add_span(&w->keys, key);
	return ++w->count == w->stop_at ? MSP_ECANCEL : MSP_OK;
}

static void keys_are_walked_in_order_of_their_octets(void **state)
{
	static const char *const key[] = { "",   "\x01", "\x01\x01", "A",    "Z",    "a",       "a-",
					   "a0", "b",    "\x7f",     "\x80", "\xff", "\xff\xff" };
	const size_t count = sizeof(key) / sizeof(key[0]);
	struct prt_store *s = open_with(0);
	struct walk w = { .count = 0 };
	size_t at = 0;

	(void)state;
	for (size_t i = count; i-- > 0;)
		T_OK(put(s, "order", key[i], "x"));
	T_OK(put(s, "orde", "A1", "x"));
	T_OK(put(s, "orders", "A1", "x"));
	msp_buf_init(&w.keys, 4096);
	T_OK(prt_store_each(s, "order", msp_span(NULL, 0), 100, note_key, &w));
	assert_int_equal(w.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(w.keys.ptr[at], strlen(key[i]));
		assert_memory_equal(w.keys.ptr + at + 1, key[i], strlen(key[i]));
		at += 1 + strlen(key[i]);
	}
	msp_buf_fini(&w.keys);
	prt_store_close(&s);
}

static void long_walks_miss_nothing_at_the_seams(void **state)
{
	static const size_t max[] = { 0, 1, 255, 256, 257, 511, 512, 513, 600, 1000 };
	struct prt_store *s = open_with(0);
	struct walk w = { .count = 0 };

	(void)state;
	T_OK(prt_store_begin(s));
	for (int i = 0; i < 600; i++) { /* more than fit into the pipeline */
		char key[8];

		(void)snprintf(key, sizeof(key), "%04d", i);
		T_OK(put(s, "long", key, key));
	}
	T_OK(prt_store_commit(s));
	msp_buf_init(&w.keys, 1 << 16);
	for (size_t i = 0; i < sizeof(max) / sizeof(max[0]); i++) {
		msp_buf_reset(&w.keys);
		w.count = 0;
		T_OK(prt_store_keys(s, "long", msp_span_str("0000"), max[i], note_key, &w));
		assert_int_equal(w.count, max[i] < 600 ? max[i] : 600);
		for (size_t k = 0; k < w.count; k++)
			assert_int_equal(strtoul((const char *)w.keys.ptr + 5 * k + 1, NULL, 10), k);
	}
	w = (struct walk){ .keys = w.keys, .stop_at = 300 };
	T_ERR(prt_store_each(s, "long", msp_span_str("0100"), 1000, note_key, &w), MSP_ECANCEL);
	assert_int_equal(w.count, 300);
	msp_buf_fini(&w.keys);
	prt_store_close(&s);
}

static void what_is_rolled_back_has_not_happened(void **state)
{
	struct prt_store *s = open_with(0);

	(void)state;
	T_OK(put(s, "tx", "a", "1"));
	T_OK(prt_store_begin(s));
	T_OK(put(s, "tx", "a", "2"));
	T_OK(put(s, "tx", "b", "2"));
	expect(s, "tx", "a", "2");
	prt_store_rollback(s);
	expect(s, "tx", "a", "1");
	expect(s, "tx", "b", NULL);
	T_OK(prt_store_begin(s));
	T_OK(put(s, "tx", "a", "3"));
	T_OK(prt_store_commit(s));
	T_OK(prt_store_begin(s));
	prt_store_close(&s); /* in the middle of one */
	s = open_with(0);
	expect(s, "tx", "a", "3");
	prt_store_close(&s);
}

static void write_file(char *path, const char *text, mode_t mode)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

static void what_cannot_be_opened_says_why(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		enum msp_err err;
	} row[] = {
		{ "host=/nonexistent dbname=x", 0644, MSP_ECONF }, /* others may read it */
		{ "", 0600, MSP_ECONF },
		{ "hopst=/nonexistent password=hidden", 0600, MSP_ECONF },
		{ "host=/nonexistent dbname=x password=hidden", 0600, MSP_ENET },
		{ "postgresql://u:hidden@127.0.0.1:1/x", 0600, MSP_ENET },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char path[] = "/tmp/store_pg_test.XXXXXX";
		const struct prt_store_where w = { .kind = PRT_STORE_POSTGRESQL, .path = path };
		struct prt_store *s = NULL;
		struct msp_why why = { "" };

		write_file(path, row[i].text, row[i].mode);
		T_ERR(prt_store_open(&w, &s, &why), row[i].err);
		assert_null(s);
		assert_true(why.text[0] != '\0');
		assert_null(strstr(why.text, "hidden"));
		(void)unlink(path);
	}
}

static void tables_of_others_and_newer_ones_are_left_alone(void **state)
{
	static const char *const word[] = { "newer", "foreign" };
	const struct prt_store_where w = { .kind = PRT_STORE_POSTGRESQL, .path = conn_file };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct prt_store *s = NULL;
		struct msp_why why = { "" };

		t_ask(word[i]);
		T_ERR(prt_store_open(&w, &s, &why), MSP_ECORRUPT);
		assert_true(why.text[0] != '\0');
	}
	t_ask("fresh");
}

static void without_memory_opening_fails_and_leaves_nothing(void **state)
{
	const struct prt_store_where w = { .kind = PRT_STORE_POSTGRESQL, .path = conn_file };
	enum msp_err err = MSP_ENOMEM;
	bool has_failed = true;

	(void)state;
	for (size_t nth = 1; has_failed; nth++) {
		struct prt_store *s = NULL;
		struct msp_why why;

		msp_mem_fail_at(nth);
		err = prt_store_open(&w, &s, &why);
		has_failed = msp_mem_failed();
		msp_mem_fail_at(0);
		if (has_failed)
			T_ERR(err, MSP_ENOMEM);
		prt_store_close(&s);
	}
	T_OK(err);
}

/* ---- two connections ---- */

struct task {
	struct prt_store *s;
	const char *bucket, *first, *second;
	char seen[32];
	enum msp_err err;
	atomic_int *gate; /* counts who has the first lock */
	pthread_t thread;
};

static void run_task(struct task *t, void *(*fn)(void *))
{
	assert_int_equal(pthread_create(&t->thread, NULL, fn, t), 0);
}

static void *lock_and_read(void *arg)
{
	struct task *t = arg;

	t->err = prt_store_begin(t->s);
	if (t->err == MSP_OK)
		t->err = get(t->s, t->bucket, t->first, true, t->seen);
	atomic_fetch_add(t->gate, 1);
	if (t->err == MSP_OK || t->err == MSP_ENOTFOUND)
		t->err = prt_store_commit(t->s);
	else
		prt_store_rollback(t->s);
	return NULL;
}

/* Asks the server: nothing here depends on how long anything takes. */
static void wait_until_somebody_waits(void)
{
	t_ask("waiting");
}

static void a_lock_waits_and_then_sees_what_the_other_wrote(void **state)
{
	static const char *const before[] = { NULL, "old" }; /* absent keys are locked too */

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *bucket = before[i] ? "lock_there" : "lock_absent";
		atomic_int gate = 0;
		struct prt_store *a = open_with(0);
		struct task t = { .s = open_with(0), .bucket = bucket, .first = "k", .gate = &gate };
		char text[32];

		if (before[i])
			T_OK(put(a, bucket, "k", before[i]));
		T_OK(prt_store_begin(a));
		T_ERR(get(a, bucket, "k", true, text), before[i] ? MSP_OK : MSP_ENOTFOUND);
		run_task(&t, lock_and_read);
		wait_until_somebody_waits();
		assert_int_equal(atomic_load(&gate), 0);
		T_OK(put(a, bucket, "k", "new"));
		T_OK(prt_store_commit(a));
		(void)pthread_join(t.thread, NULL);
		T_OK(t.err);
		assert_string_equal(t.seen, "new");
		prt_store_close(&a);
		prt_store_close(&t.s);
	}
}

static void *count_up(void *arg)
{
	struct task *t = arg;

	for (int i = 0; i < 100 && t->err == MSP_OK;) {
		char text[32], next[32];
		enum msp_err err = prt_store_begin(t->s);

		if (err == MSP_OK)
			err = get(t->s, t->bucket, t->first, true, text);
		if (err == MSP_ENOTFOUND)
			err = MSP_OK;
		if (err == MSP_OK) {
			(void)snprintf(next, sizeof(next), "%lu", strtoul(text, NULL, 10) + 1);
			err = put(t->s, t->bucket, t->first, next);
		}
		if (err == MSP_OK)
			err = prt_store_commit(t->s);
		else
			prt_store_rollback(t->s);
		if (err == MSP_OK)
			i++;
		else if (err != MSP_EBUSY)
			t->err = err;
	}
	return NULL;
}

static void no_update_of_four_connections_is_lost(void **state)
{
	struct task t[4];
	struct prt_store *s = open_with(0);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		t[i] = (struct task){ .s = open_with(0), .bucket = "count", .first = "n" };
		run_task(&t[i], count_up);
	}
	for (size_t i = 0; i < 4; i++) {
		(void)pthread_join(t[i].thread, NULL);
		T_OK(t[i].err);
		prt_store_close(&t[i].s);
	}
	expect(s, "count", "n", "400");
	prt_store_close(&s);
}

static void *lock_two(void *arg)
{
	struct task *t = arg;
	char text[32];

	t->err = prt_store_begin(t->s);
	if (t->err == MSP_OK)
		t->err = get(t->s, t->bucket, t->first, true, text);
	atomic_fetch_add(t->gate, 1);
	while (atomic_load(t->gate) < 2)
		(void)sched_yield();
	if (t->err == MSP_ENOTFOUND)
		t->err = get(t->s, t->bucket, t->second, true, text);
	if (t->err == MSP_ENOTFOUND)
		t->err = put(t->s, t->bucket, "winner", t->first);
	if (t->err == MSP_OK) {
		t->err = prt_store_commit(t->s);
	} else {
		/* It sticks: half a transaction is not committed by somebody who did not look. */
		assert_int_equal(put(t->s, t->bucket, "loser", t->first), t->err);
		assert_int_equal(prt_store_commit(t->s), t->err);
	}
	return NULL;
}

static void of_two_in_a_deadlock_one_is_busy_and_the_other_goes_on(void **state)
{
	atomic_int gate = 0;
	struct task t[2] = { { .bucket = "dead", .first = "1", .second = "2", .gate = &gate },
			     { .bucket = "dead", .first = "2", .second = "1", .gate = &gate } };
	size_t loser;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		t[i].s = open_with(0);
		run_task(&t[i], lock_two);
	}
	for (size_t i = 0; i < 2; i++)
		(void)pthread_join(t[i].thread, NULL);
	loser = t[0].err == MSP_OK ? 1 : 0;
	T_ERR(t[loser].err, MSP_EBUSY);
	T_OK(t[1 - loser].err);
	expect(t[loser].s, "dead", "winner", t[1 - loser].first);
	expect(t[loser].s, "dead", "loser", NULL);
	T_OK(put(t[loser].s, "dead", "again", "yes")); /* the connection is as good as before */
	prt_store_close(&t[0].s);
	prt_store_close(&t[1].s);
}

static void who_waits_for_too_long_is_busy(void **state)
{
	struct prt_store *a = open_with(0), *b = open_with(QUICK_MS);
	char text[32];

	(void)state;
	T_OK(prt_store_begin(a));
	T_ERR(get(a, "slow", "k", true, text), MSP_ENOTFOUND);
	T_OK(prt_store_begin(b));
	T_ERR(get(b, "slow", "k", true, text), MSP_EBUSY);
	T_ERR(prt_store_commit(b), MSP_EBUSY);
	T_OK(prt_store_commit(a));
	T_OK(prt_store_begin(b));
	T_ERR(get(b, "slow", "k", true, text), MSP_ENOTFOUND);
	T_OK(prt_store_commit(b));
	prt_store_close(&a);
	prt_store_close(&b);
}

static void who_stops_in_the_middle_loses_its_locks(void **state)
{
	struct prt_store *idle = open_with(QUICK_MS), *b = open_with(0);
	struct msp_why why;
	char text[32];

	(void)state;
	T_OK(prt_store_begin(idle));
	T_ERR(get(idle, "idle", "k", true, text), MSP_ENOTFOUND);
	T_OK(put(idle, "idle", "k", "half"));
	T_OK(prt_store_begin(b));
	T_ERR(get(b, "idle", "k", true, text), MSP_ENOTFOUND); /* waits for idle's session to be closed */
	T_OK(prt_store_commit(b));
	T_ERR(prt_store_commit(idle), MSP_ENET);
	T_OK(prt_store_revive(idle, &why));
	expect(idle, "idle", "k", NULL);
	prt_store_close(&idle);
	prt_store_close(&b);
}

static void one_alone_holds_until_its_connection_ends(void **state)
{
	struct prt_store *a = open_with(0), *b = open_with(0);
	enum msp_err err;

	(void)state;
	T_OK(prt_store_hold(a, "backend"));
	T_OK(prt_store_hold(a, "backend"));
	T_ERR(prt_store_hold(b, "backend"), MSP_EBUSY);
	T_OK(prt_store_hold(b, "sweep"));
	T_ERR(prt_store_hold(a, "sweep"), MSP_EBUSY);
	T_OK(prt_store_begin(a)); /* not of a transaction */
	prt_store_rollback(a);
	T_ERR(prt_store_hold(b, "backend"), MSP_EBUSY);
	prt_store_close(&a);
	do /* the server hears of the end when it gets to it */
		err = prt_store_hold(b, "backend");
	while (err == MSP_EBUSY);
	T_OK(err);
	prt_store_close(&b);
}

static void *open_one(void *arg)
{
	struct task *t = arg;
	const struct prt_store_where w = { .kind = PRT_STORE_POSTGRESQL, .path = conn_file };
	struct msp_why why;

	t->err = prt_store_open(&w, &t->s, &why);
	return NULL;
}

static void of_many_that_start_at_once_one_creates_the_tables(void **state)
{
	struct task t[8] = { { .err = MSP_OK } };

	(void)state;
	t_ask("fresh");
	for (size_t i = 0; i < 8; i++)
		run_task(&t[i], open_one);
	for (size_t i = 0; i < 8; i++) {
		(void)pthread_join(t[i].thread, NULL);
		T_OK(t[i].err);
		T_OK(put(t[i].s, "start", "k", "v"));
		prt_store_close(&t[i].s);
	}
}

/* ---- the server goes away ---- */

static void a_server_killed_in_the_middle_of_a_transaction_has_done_nothing_of_it(void **state)
{
	struct prt_store *s = open_with(0);
	struct msp_why why = { "" };
	char text[32];

	(void)state;
	T_OK(put(s, "killed", "before", "1"));
	T_OK(prt_store_begin(s));
	T_ERR(get(s, "killed", "k", true, text), MSP_ENOTFOUND);
	T_OK(put(s, "killed", "k", "half"));
	T_OK(get(s, "killed", "k", true, text)); /* the server has it */
	t_ask("kill");
	T_OK(put(s, "killed", "k2", "half")); /* only handed over */
	T_ERR(get(s, "killed", "k", true, text), MSP_ENET);
	T_ERR(put(s, "killed", "k3", "half"), MSP_ENET);
	T_ERR(prt_store_commit(s), MSP_ENET);
	T_ERR(prt_store_begin(s), MSP_ENET);
	T_ERR(prt_store_revive(s, &why), MSP_ENET);
	assert_true(why.text[0] != '\0');
	t_ask("start");
	T_OK(prt_store_revive(s, &why));
	T_OK(prt_store_revive(s, &why));
	expect(s, "killed", "before", "1");
	expect(s, "killed", "k", NULL);
	expect(s, "killed", "k2", NULL);
	prt_store_close(&s);
}

struct counter {
	struct task t;
	atomic_ulong done;
	atomic_bool is_over;
};

/* 1, 2, 3, ... each in a transaction, until the server is gone. */
static void *count_until_lost(void *arg)
{
	struct counter *c = arg;

	while (c->t.err == MSP_OK) {
		char next[32];

		(void)snprintf(next, sizeof(next), "%lu", atomic_load(&c->done) + 1);
		c->t.err = prt_store_begin(c->t.s);
		if (c->t.err == MSP_OK)
			c->t.err = put(c->t.s, "commit", "n", next);
		if (c->t.err == MSP_OK)
			c->t.err = put(c->t.s, "commit", "twin", next);
		if (c->t.err == MSP_OK)
			c->t.err = prt_store_commit(c->t.s);
		else
			prt_store_rollback(c->t.s);
		if (c->t.err == MSP_OK)
			atomic_fetch_add(&c->done, 1);
	}
	return NULL;
}

static void what_was_committed_when_the_server_was_killed_is_there(void **state)
{
	struct prt_store *s = open_with(0);
	struct msp_why why;

	(void)state;
	for (int round = 0; round < 5; round++) {
		struct counter c = { .t = { .s = open_with(0) } };
		unsigned long stored;
		char n[32], twin[32];

		T_OK(put(s, "commit", "n", "0"));
		T_OK(put(s, "commit", "twin", "0"));
		run_task(&c.t, count_until_lost);
		while (atomic_load(&c.done) < 20)
			(void)sched_yield();
		t_ask("kill");
		(void)pthread_join(c.t.thread, NULL);
		T_ERR(c.t.err, MSP_ENET);
		t_ask("start");
		T_OK(prt_store_revive(c.t.s, &why));
		T_OK(prt_store_revive(s, &why)); /* was idle: notices by itself */
		T_OK(get(s, "commit", "n", false, n));
		T_OK(get(s, "commit", "twin", false, twin));
		assert_string_equal(n, twin);
		stored = strtoul(n, NULL, 10);
		/* The one under way may have happened. */
		assert_in_range(stored, atomic_load(&c.done), atomic_load(&c.done) + 1);
		prt_store_close(&c.t.s);
	}
	prt_store_close(&s);
}

static void a_server_that_says_nothing_is_given_up(void **state)
{
	struct prt_store *s = open_with(QUICK_MS);
	struct msp_why why;
	char text[32];

	(void)state;
	T_OK(put(s, "frozen", "k", "1"));
	t_ask("freeze");
	T_ERR(get(s, "frozen", "k", false, text), MSP_ENET);
	t_ask("thaw");
	T_OK(prt_store_revive(s, &why));
	expect(s, "frozen", "k", "1");
	prt_store_close(&s);
}

static void revived_means_that_the_old_commit_has_happened_or_never_will(void **state)
{
	struct prt_store *s = open_with(QUICK_MS);
	struct msp_why why;
	enum msp_err err;

	(void)state;
	t_ask("slow-commit");
	T_OK(prt_store_begin(s));
	T_OK(put(s, "slow_commit", "k", "1"));
	T_ERR(prt_store_commit(s), MSP_ENET); /* given up here, but not there */
	do
		err = prt_store_revive(s, &why);
	while (err == MSP_EBUSY);
	T_OK(err);
	expect(s, "slow_commit", "k", "1");
	prt_store_close(&s);
}

static void a_server_that_is_shut_down_in_good_order_is_a_lost_connection_too(void **state)
{
	struct prt_store *s = open_with(0);
	struct msp_why why;
	char text[32];

	(void)state;
	T_OK(prt_store_begin(s));
	T_ERR(get(s, "down", "k", true, text), MSP_ENOTFOUND);
	t_ask("stop");
	T_ERR(get(s, "down", "k", true, text), MSP_ENET);
	prt_store_rollback(s);
	t_ask("start");
	T_OK(prt_store_revive(s, &why));
	T_OK(put(s, "down", "k", "1"));
	expect(s, "down", "k", "1");
	prt_store_close(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_does_what_every_store_does),
		cmocka_unit_test(values_of_any_octets_come_back_as_they_were),
		cmocka_unit_test(keys_are_walked_in_order_of_their_octets),
		cmocka_unit_test(long_walks_miss_nothing_at_the_seams),
		cmocka_unit_test(what_is_rolled_back_has_not_happened),
		cmocka_unit_test(what_cannot_be_opened_says_why),
		cmocka_unit_test(without_memory_opening_fails_and_leaves_nothing),
		cmocka_unit_test(a_lock_waits_and_then_sees_what_the_other_wrote),
		cmocka_unit_test(no_update_of_four_connections_is_lost),
		cmocka_unit_test(of_two_in_a_deadlock_one_is_busy_and_the_other_goes_on),
		cmocka_unit_test(who_waits_for_too_long_is_busy),
		cmocka_unit_test(who_stops_in_the_middle_loses_its_locks),
		cmocka_unit_test(one_alone_holds_until_its_connection_ends),
		cmocka_unit_test(a_server_killed_in_the_middle_of_a_transaction_has_done_nothing_of_it),
		cmocka_unit_test(what_was_committed_when_the_server_was_killed_is_there),
		cmocka_unit_test(a_server_that_says_nothing_is_given_up),
		cmocka_unit_test(revived_means_that_the_old_commit_has_happened_or_never_will),
		cmocka_unit_test(a_server_that_is_shut_down_in_good_order_is_a_lost_connection_too),
		cmocka_unit_test(tables_of_others_and_newer_ones_are_left_alone),
		cmocka_unit_test(of_many_that_start_at_once_one_creates_the_tables),
	};

	if (argc != 2) {
		(void)fprintf(stderr, "usage: store_pg_test CONNECTION-FILE\n");
		return 2;
	}
	conn_file = argv[1];
	return cmocka_run_group_tests_name("store_pg", tests, NULL, NULL);
}
