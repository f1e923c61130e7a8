/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <msproto/base/rand.h>
#include <msproto/kit/store.h>

#define KILL_ROUNDS 20

static char dir[] = "/tmp/test_store.XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static struct msp_store *open_store(const char *name)
{
	struct msp_store *s = NULL;
	struct msp_why why = { "" };

	if (msp_store_open(in_dir(name), 1, NULL, &s, &why) != MSP_OK)
		fail_msg("%s", why.text);
	return s;
}

static enum msp_err put(struct msp_store *s, const char *key, const char *value)
{
	return msp_store_put(s, "things", msp_span_str(key), msp_span_str(value));
}

static void holds(struct msp_store *s, const char *key, const char *want)
{
	struct msp_buf out;
	enum msp_err err;

	msp_buf_init(&out, 4096);
	err = msp_store_get(s, "things", msp_span_str(key), &out);
	if (want) {
		T_OK(err);
		assert_string_equal(msp_buf_text(&out), want);
	} else {
		T_ERR(err, MSP_ENOTFOUND);
	}
	msp_buf_fini(&out);
}

static void entries_are_put_got_replaced_and_deleted(void **state)
{
	struct msp_store *s = open_store("basic");

	(void)state;
	T_OK(put(s, "a", "1"));
	T_OK(put(s, "a", "2"));
	T_OK(put(s, "", "empty key"));
	T_OK(put(s, "b", ""));
	T_OK(msp_store_put(s, "other", msp_span_str("a"), msp_span_str("elsewhere")));
	holds(s, "a", "2");
	holds(s, "", "empty key");
	holds(s, "b", "");
	holds(s, "c", NULL);
	T_OK(msp_store_del(s, "things", msp_span_str("a")));
	T_OK(msp_store_del(s, "things", msp_span_str("a")));
	holds(s, "a", NULL);
	msp_store_close(&s);
	assert_null(s);
	s = open_store("basic");
	holds(s, "", "empty key");
	holds(s, "a", NULL);
	msp_store_close(&s);
}

struct seen {
	char text[256];
	struct msp_store *store;
	size_t calls, stop_at;
};

static enum msp_err note(void *arg, struct msp_span key, struct msp_span value)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	(void)snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s=%.*s ", (int)key.len, (const char *)key.ptr,
		       (int)value.len, (const char *)value.ptr);
	if (seen->store) /* a callback may read and write */
		T_OK(msp_store_put(seen->store, "copies", key, value));
	return ++seen->calls == seen->stop_at ? MSP_ESTATE : MSP_OK;
}

static void entries_are_walked_in_key_order_by_prefix(void **state)
{
	struct msp_store *s = open_store("each");
	struct seen all = { "", NULL, 0, 0 }, some = { "", s, 0, 0 }, none = { "", NULL, 0, 0 },
		    stop = { "", NULL, 0, 2 };
	struct seen high = { "", NULL, 0, 0 };

	(void)state;
	T_OK(put(s, "b2", "3"));
	T_OK(put(s, "a", "1"));
	T_OK(put(s, "b1", "2"));
	T_OK(put(s, "b", "0"));
	T_OK(put(s, "c", "4"));
	T_OK(put(s, "\xff\xff", "5"));
	T_OK(msp_store_put(s, "thingz", msp_span_str("b3"), msp_span_str("9")));
	T_OK(msp_store_each(s, "things", msp_span_str(""), note, &all));
	assert_string_equal(all.text, "a=1 b=0 b1=2 b2=3 c=4 \xff\xff=5 ");
	T_OK(msp_store_each(s, "things", msp_span_str("b"), note, &some));
	assert_string_equal(some.text, "b=0 b1=2 b2=3 ");
	T_OK(msp_store_each(s, "things", msp_span_str("bb"), note, &none));
	assert_int_equal(none.calls, 0);
	T_OK(msp_store_each(s, "things", msp_span_str("\xff"), note, &high));
	assert_int_equal(high.calls, 1);
	T_ERR(msp_store_each(s, "things", msp_span_str(""), note, &stop), MSP_ESTATE);
	assert_int_equal(stop.calls, 2);
	none = (struct seen){ "", NULL, 0, 0 };
	T_OK(msp_store_each(s, "copies", msp_span_str(""), note, &none));
	assert_string_equal(none.text, "b=0 b1=2 b2=3 ");
	msp_store_close(&s);
}

static void a_transaction_is_all_or_nothing(void **state)
{
	struct msp_store *s = open_store("txn");

	(void)state;
	T_OK(msp_store_begin(s));
	T_OK(put(s, "a", "1"));
	T_OK(put(s, "b", "1"));
	msp_store_rollback(s);
	holds(s, "a", NULL);
	T_OK(msp_store_begin(s));
	T_OK(put(s, "a", "2"));
	T_OK(msp_store_commit(s));
	holds(s, "a", "2");
	T_OK(msp_store_begin(s));
	T_OK(put(s, "c", "3"));
	msp_store_close(&s); /* not committed */
	s = open_store("txn");
	holds(s, "a", "2");
	holds(s, "c", NULL);
	msp_store_close(&s);
}

/* Every write and commit of a group fails in turn: what was there before is there after. */
static void a_failure_anywhere_changes_nothing(void **state)
{
	struct msp_store *s = open_store("fail");
	size_t n;

	(void)state;
	T_OK(put(s, "a", "old"));
	for (n = 1; n < 10; n++) {
		enum msp_err err;

		msp_store_fail_at(s, n);
		T_OK(msp_store_begin(s));
		err = put(s, "a", "new");
		if (err == MSP_OK)
			err = put(s, "b", "new");
		if (err == MSP_OK)
			err = msp_store_del(s, "things", msp_span_str("c"));
		if (err == MSP_OK)
			err = msp_store_commit(s);
		if (err == MSP_OK)
			break;
		T_ERR(err, MSP_EIO);
		msp_store_rollback(s);
		msp_store_fail_at(s, 0);
		holds(s, "a", "old");
		holds(s, "b", NULL);
	}
	assert_int_equal(n, 5); /* three writes and the commit can fail */
	msp_store_fail_at(s, 0);
	holds(s, "b", "new");
	msp_store_close(&s);
}

static void the_file_is_private(void **state)
{
	struct msp_store *s = open_store("mode");
	struct stat st;

	(void)state;
	T_OK(put(s, "a", "1"));
	assert_int_equal(stat(in_dir("mode"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(in_dir("mode-wal"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	msp_store_close(&s);
}

static enum msp_err upgrade(struct msp_store *s, uint32_t from, struct msp_why *why)
{
	(void)why;
	assert_int_equal(from, 1);
	return put(s, "a", "migrated");
}

static enum msp_err upgrade_fails(struct msp_store *s, uint32_t from, struct msp_why *why)
{
	(void)from;
	T_OK(put(s, "a", "half"));
	return msp_fail(why, MSP_ESTATE, "no");
}

static void versions_are_migrated_and_newer_ones_refused(void **state)
{
	struct msp_store *s = open_store("version");
	struct msp_why why = { "" };

	(void)state;
	T_OK(put(s, "a", "old"));
	msp_store_close(&s);
	T_ERR(msp_store_open(in_dir("version"), 2, NULL, &s, &why), MSP_ECORRUPT);
	T_ERR(msp_store_open(in_dir("version"), 2, upgrade_fails, &s, &why), MSP_ESTATE);
	s = open_store("version");
	holds(s, "a", "old");
	msp_store_close(&s);
	T_OK(msp_store_open(in_dir("version"), 2, upgrade, &s, &why));
	holds(s, "a", "migrated");
	msp_store_close(&s);
	T_ERR(msp_store_open(in_dir("version"), 1, NULL, &s, &why), MSP_ECORRUPT);
	assert_non_null(strstr(why.text, "newer"));
	assert_null(s);
}

static void damaged_and_foreign_files_are_refused(void **state)
{
	struct msp_store *s = NULL;
	struct msp_why why = { "" };
	char junk[8192];
	sqlite3 *db;
	int fd;

	(void)state;
	memset(junk, 'x', sizeof(junk));
	T_OK(msp_file_replace(in_dir("junk"), 0600, msp_span(junk, sizeof(junk)), &why));
	T_ERR(msp_store_open(in_dir("junk"), 1, NULL, &s, &why), MSP_ECORRUPT);
	assert_true(strlen(why.text) > 0);

	assert_int_equal(sqlite3_open(in_dir("foreign"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	T_ERR(msp_store_open(in_dir("foreign"), 1, NULL, &s, &why), MSP_ECORRUPT);
	assert_non_null(strstr(why.text, "another program"));

	s = open_store("torn");
	for (int i = 0; i < 500; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "k%d", i);
		T_OK(put(s, key, "a value of some length, so that there are pages to damage"));
	}
	msp_store_close(&s);
	fd = open(in_dir("torn"), O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, junk, 3000, 8192), 3000);
	(void)close(fd);
	T_ERR(msp_store_open(in_dir("torn"), 1, NULL, &s, &why), MSP_ECORRUPT);
	T_ERR(msp_store_open("/nonexistent/x", 1, NULL, &s, &why), MSP_EIO);
}

/* Commits numbered entries as fast as it can and tells each number once commit said so. */
static void committer(const char *name, uint32_t from, int report)
{
	struct msp_store *s = NULL;
	struct msp_why why;

	if (msp_store_open(in_dir(name), 1, NULL, &s, &why) != MSP_OK)
		_exit(1);
	for (uint32_t i = from;; i++) {
		uint8_t key[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };

		if (msp_store_begin(s) != MSP_OK ||
		    msp_store_put(s, "numbers", msp_span(key, 4), msp_span(key, 4)) != MSP_OK ||
		    msp_store_put(s, "twins", msp_span(key, 4), msp_span("", 0)) != MSP_OK ||
		    msp_store_commit(s) != MSP_OK)
			_exit(1);
		if (write(report, &i, sizeof(i)) != (ssize_t)sizeof(i))
			_exit(1);
	}
}

static enum msp_err count_entries(void *arg, struct msp_span key, struct msp_span value)
{
	uint32_t *count = arg;

	(void)value;
	assert_int_equal(key.len, 4);
	(*count)++;
	return MSP_OK;
}

static void what_was_committed_survives_kill_9(void **state)
{
	struct msp_rand rand;
	uint32_t next = 0;

	(void)state;
	msp_rand_init_seed(&rand, 20261124);
	for (int round = 0; round < KILL_ROUNDS; round++) {
		uint32_t goal = next + 1 + (uint32_t)msp_rand_below(&rand, 60), last = next, numbers = 0, twins = 0;
		struct msp_store *s;
		int fds[2], status;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)close(fds[0]);
			committer("killed", next, fds[1]);
		}
		(void)close(fds[1]);
		do {
			if (read(fds[0], &last, sizeof(last)) != (ssize_t)sizeof(last))
				fail_msg("the committing child failed");
		} while (last < goal);
		usleep((useconds_t)msp_rand_below(&rand, 300)); /* somewhere inside the next commit */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		while (read(fds[0], &last, sizeof(last)) == (ssize_t)sizeof(last))
			;
		(void)close(fds[0]);
		s = open_store("killed");
		T_OK(msp_store_each(s, "numbers", msp_span("", 0), count_entries, &numbers));
		T_OK(msp_store_each(s, "twins", msp_span("", 0), count_entries, &twins));
		assert_true(numbers > last);      /* all that was reported: 0..last */
		assert_true(numbers <= last + 2); /* one commit may have got through unreported */
		assert_int_equal(numbers, twins); /* never half a transaction */
		next = numbers;
		msp_store_close(&s);
	}
}

static void files_are_replaced_whole(void **state)
{
	struct msp_buf out;
	struct msp_why why = { "" };
	struct stat st;

	(void)state;
	msp_buf_init(&out, 4096);
	T_OK(msp_file_replace(in_dir("f"), 0640, msp_span_str("first"), &why));
	T_OK(msp_file_replace(in_dir("f"), 0600, msp_span_str("second"), &why));
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(access(in_dir("f.new"), F_OK), -1);
	T_OK(msp_file_read(in_dir("f"), 6, true, &out, &why));
	assert_string_equal(msp_buf_text(&out), "second");
	msp_buf_reset(&out);
	T_ERR(msp_file_read(in_dir("f"), 5, true, &out, &why), MSP_ELIMIT);
	T_ERR(msp_file_replace("/nonexistent/f", 0600, msp_span_str("x"), &why), MSP_EIO);
	T_ERR(msp_file_read(in_dir("nothing"), 5, false, &out, &why), MSP_EIO);
	assert_non_null(strstr(why.text, "No such file"));
	assert_int_equal(symlink("/etc/hostname", in_dir("f.new")), 0); /* a planted link is not followed */
	T_OK(msp_file_replace(in_dir("f"), 0644, msp_span_str("third"), &why));
	msp_buf_reset(&out);
	T_ERR(msp_file_read(in_dir("f"), 5, true, &out, &why), MSP_ECONF);
	T_OK(msp_file_read(in_dir("f"), 5, false, &out, &why));
	assert_string_equal(msp_buf_text(&out), "third");
	msp_buf_fini(&out);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char cmd[64];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_put_got_replaced_and_deleted),
		cmocka_unit_test(entries_are_walked_in_key_order_by_prefix),
		cmocka_unit_test(a_transaction_is_all_or_nothing),
		cmocka_unit_test(a_failure_anywhere_changes_nothing),
		cmocka_unit_test(the_file_is_private),
		cmocka_unit_test(versions_are_migrated_and_newer_ones_refused),
		cmocka_unit_test(damaged_and_foreign_files_are_refused),
		cmocka_unit_test(what_was_committed_survives_kill_9),
		cmocka_unit_test(files_are_replaced_whole),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
