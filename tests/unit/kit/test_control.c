/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <msproto/base/mem.h>
#include <msproto/kit/control.h>

#define WAIT_MS 10000
#define CALL_MS 5000

static char dir[] = "/tmp/test_control.XXXXXX";
static char path[96];

struct bench {
	struct msp_log log;
	struct msp_loop *loop;
	struct msp_control *control;
	unsigned calls;
	pid_t child;
	int child_status;
	struct msp_control_call *later[2]; /* deferred, not answered yet */
	size_t later_count;
};

static enum msp_err cmd_echo(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct bench *b = arg;

	(void)why;
	b->calls++;
	*data = args ? json_deep_copy(args) : NULL;
	return MSP_OK;
}

static enum msp_err cmd_fail(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)arg;
	(void)args;
	(void)data;
	return msp_fail(why, MSP_EREFUSED, "rule 7 says no");
}

static enum msp_err cmd_big(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	size_t len = (size_t)json_integer_value(json_object_get(args, "len"));
	char *text = msp_alloc(len + 1, 1);

	(void)arg;
	(void)why;
	memset(text, 'x', len);
	*data = json_stringn(text, len);
	msp_free(text);
	return MSP_OK;
}

static enum msp_err cmd_close(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct bench *b = arg;

	(void)args;
	(void)why;
	*data = json_true();
	msp_control_close(&b->control);
	return MSP_OK;
}

static enum msp_err cmd_later(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct bench *b = arg;
	struct msp_control_call *again = NULL;

	(void)data;
	T_OK(msp_control_defer(b->control, &b->later[json_object_get(args, "second") != NULL]));
	T_ERR(msp_control_defer(b->control, &again), MSP_ESTATE);
	b->later_count++;
	return msp_fail(why, MSP_EREFUSED, "this does not count any more");
}

static const struct msp_command commands[] = { { "echo args", cmd_echo, "ANY", "Gives back its arguments" },
					       { "fail", cmd_fail, "", "Fails" },
					       { "big", cmd_big, "LEN", "A long answer" },
					       { "close", cmd_close, "", "Closes the socket" },
					       { "later", cmd_later, "", "Answers when it is told to" },
					       { NULL, NULL, NULL, NULL } };

static int set_up(void **state)
{
	struct bench *b = msp_alloc(1, sizeof(*b));
	struct msp_why why = { "" };

	*state = b;
	msp_log_init_null(&b->log);
	if (msp_loop_new(&b->log, &b->loop) != MSP_OK)
		return -1;
	return msp_control_open(b->loop, path, commands, b, &b->control, &why) == MSP_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	msp_control_close(&b->control);
	msp_loop_free(&b->loop);
	msp_free(b);
	return access(path, F_OK) == 0 ? -1 : 0; /* the socket file goes with it */
}

static bool child_is_done(void *arg)
{
	struct bench *b = arg;

	return waitpid(b->child, &b->child_status, WNOHANG) == b->child;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

/* The client blocks, so it runs in a child; it leaves with 0 when all was as it should be. */
static void client_start(struct bench *b, int (*client)(void))
{
	b->child = fork();
	assert_true(b->child >= 0);
	if (b->child == 0)
		_exit(client());
}

static void client_end(struct bench *b)
{
	/* The loop wakes for the socket only: poll for the child in between. */
	for (int i = 0; i < WAIT_MS / 10; i++) {
		if (child_is_done(b)) {
			assert_true(WIFEXITED(b->child_status));
			assert_int_equal(WEXITSTATUS(b->child_status), 0);
			return;
		}
		(void)msp_loop_run_until(b->loop, never, b, 10);
	}
	fail_msg("the client does not end");
}

static void with_client(struct bench *b, int (*client)(void))
{
	client_start(b, client);
	client_end(b);
}

#define WANT(cond)                                                                                                     \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			return __LINE__ % 250 + 1;                                                                     \
	} while (0)

static int client_commands(void)
{
	struct msp_why why = { "" };
	json_t *data = NULL, *args = json_pack("{s:s, s:i}", "zone", "a.example.", "n", 5);

	WANT(msp_control_call(path, "echo args", args, CALL_MS, &data, &why) == MSP_OK);
	WANT(json_equal(data, args));
	json_decref(data);
	WANT(msp_control_call(path, "echo args", NULL, CALL_MS, &data, &why) == MSP_OK && !data);
	WANT(msp_control_call(path, "fail", NULL, CALL_MS, &data, &why) == MSP_EREFUSED);
	WANT(strcmp(why.text, "rule 7 says no") == 0 && !data);
	WANT(msp_control_call(path, "nonsense", NULL, CALL_MS, &data, &why) == MSP_ENOTFOUND);
	WANT(msp_control_call(path, "ping", NULL, CALL_MS, &data, &why) == MSP_OK);
	WANT(strcmp(json_string_value(data), "pong") == 0);
	json_decref(data);
	WANT(msp_control_call(path, "help", NULL, CALL_MS, &data, &why) == MSP_OK);
	WANT(json_array_size(data) == 7);
	WANT(strcmp(msp_json_str(json_array_get(data, 0), "cmd"), "echo args") == 0);
	json_decref(data);
	json_decref(args);
	WANT(msp_control_call("/nonexistent/socket", "ping", NULL, CALL_MS, &data, &why) == MSP_ENET);
	return 0;
}

static void commands_are_run_and_answered(void **state)
{
	struct bench *b = *state;

	with_client(b, client_commands);
	assert_int_equal(b->calls, 2);
}

static int client_big(void)
{
	struct msp_why why = { "" };
	json_t *data = NULL, *args = json_pack("{s:i}", "len", 8 << 20);

	WANT(msp_control_call(path, "big", args, CALL_MS, &data, &why) == MSP_OK);
	WANT(json_string_length(data) == 8 << 20);
	json_decref(data);
	json_object_set_new(args, "len", json_integer(17 << 20)); /* over the answers' limit: an error, not silence */
	WANT(msp_control_call(path, "big", args, CALL_MS, &data, &why) == MSP_ELIMIT);
	json_decref(args);
	return 0;
}

static void long_answers_arrive_and_too_long_ones_are_an_error(void **state)
{
	with_client(*state, client_big);
}

static int raw_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	return connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0 ? fd : -1;
}

/* Reads until `lines` newlines or the end; the number of newlines read. */
static size_t raw_read(int fd, char *out, size_t len, size_t lines)
{
	size_t at = 0, found = 0;

	while (found < lines && at + 1 < len) {
		ssize_t n = read(fd, out + at, 1);

		if (n <= 0)
			break;
		found += out[at] == '\n';
		at += (size_t)n;
	}
	out[at] = '\0';
	return found;
}

static int client_raw(void)
{
	static const char bad[] =
		"not json\n{\"cmd\":1}\n{\"cmd\":\"fail\",\"args\":[]}\n{}\n{\"cmd\":\"ping\",\"cmd\":\"ping\"}\n";
	static const char good[] = "{\"cmd\":\"ping\"}\n{\"cmd\":\"ping\"}\n{\"cmd\":\"pi";
	char out[4096];
	int fd = raw_connect();

	WANT(fd >= 0);
	WANT(write(fd, bad, sizeof(bad) - 1) == (ssize_t)sizeof(bad) - 1);
	WANT(raw_read(fd, out, sizeof(out), 5) == 5);
	WANT(strstr(out, "EFORMAT") && !strstr(out, "\"ok\":true"));
	WANT(write(fd, good, sizeof(good) - 1) == (ssize_t)sizeof(good) - 1); /* pipelined, the third in two parts */
	WANT(raw_read(fd, out, sizeof(out), 2) == 2);
	WANT(write(fd, "ng\"}\n", 5) == 5);
	WANT(raw_read(fd, out, sizeof(out), 1) == 1);
	WANT(strcmp(out, "{\"ok\":true,\"data\":\"pong\"}\n") == 0);
	(void)close(fd);
	return 0;
}

static void malformed_requests_are_told_so_and_the_connection_goes_on(void **state)
{
	with_client(*state, client_raw);
}

static int client_too_long(void)
{
	static char junk[70000];
	char out[4096];
	int fd = raw_connect();

	memset(junk, 'a', sizeof(junk));
	WANT(fd >= 0);
	(void)!write(fd, junk, sizeof(junk));
	WANT(raw_read(fd, out, sizeof(out), 1) == 1);
	WANT(strstr(out, "ELIMIT") != NULL);
	WANT(raw_read(fd, out, sizeof(out), 1) == 0); /* closed */
	return 0;
}

static void requests_over_64_kib_end_the_connection(void **state)
{
	with_client(*state, client_too_long);
}

static int client_many(void)
{
	char out[4096];
	int fd[17], extra;

	for (int i = 0; i < 16; i++) {
		fd[i] = raw_connect();
		WANT(fd[i] >= 0);
		WANT(write(fd[i], "{\"cmd\":\"ping\"}\n", 15) == 15);
		WANT(raw_read(fd[i], out, sizeof(out), 1) == 1);
	}
	extra = raw_connect();
	WANT(raw_read(extra, out, sizeof(out), 1) == 1);
	WANT(strstr(out, "EBUSY") != NULL);
	WANT(raw_read(extra, out, sizeof(out), 1) == 0);
	(void)close(fd[3]);
	for (int i = 0; i < 100; i++) { /* the freed place is found free once the server has noticed */
		fd[16] = raw_connect();
		WANT(write(fd[16], "{\"cmd\":\"ping\"}\n", 15) == 15);
		WANT(raw_read(fd[16], out, sizeof(out), 1) == 1);
		if (strstr(out, "pong"))
			return 0;
		(void)close(fd[16]);
	}
	return 1;
}

static void the_17th_connection_is_turned_away(void **state)
{
	with_client(*state, client_many);
}

static int client_close(void)
{
	char out[64];
	int fd = raw_connect();

	WANT(write(fd, "{\"cmd\":\"close\"}\n", 16) == 16);
	WANT(raw_read(fd, out, sizeof(out), 1) == 0);
	return 0;
}

static void a_command_may_close_the_socket_it_came_by(void **state)
{
	struct bench *b = *state;

	with_client(b, client_close);
	assert_null(b->control);
}

static bool one_waits(void *arg)
{
	return ((struct bench *)arg)->later_count == 1;
}

static bool two_wait(void *arg)
{
	return ((struct bench *)arg)->later_count == 2;
}

static int client_later(void)
{
	static const char lines[] = "{\"cmd\":\"later\"}\n{\"cmd\":\"ping\"}\n";
	static const char second[] = "{\"cmd\":\"later\",\"args\":{\"second\":true}}\n";
	char out[4096];
	int fd = raw_connect(), other = raw_connect();

	WANT(fd >= 0 && other >= 0);
	WANT(write(fd, lines, sizeof(lines) - 1) == (ssize_t)sizeof(lines) - 1);
	WANT(write(other, second, sizeof(second) - 1) == (ssize_t)sizeof(second) - 1);
	WANT(raw_read(other, out, sizeof(out), 1) == 1);
	WANT(strcmp(out, "{\"ok\":false,\"error\":\"EREFUSED\",\"why\":\"no\"}\n") == 0);
	WANT(raw_read(fd, out, sizeof(out), 2) == 2); /* in order */
	WANT(strcmp(out, "{\"ok\":true,\"data\":\"at last\"}\n{\"ok\":true,\"data\":\"pong\"}\n") == 0);
	return 0;
}

static void an_answer_may_come_later_while_others_are_served(void **state)
{
	struct bench *b = *state;
	struct msp_control_call *none = NULL;
	struct msp_why why = { "no" };

	T_ERR(msp_control_defer(b->control, &none), MSP_ESTATE); /* not inside a command */
	client_start(b, client_later);
	assert_true(msp_loop_run_until(b->loop, two_wait, b, WAIT_MS));
	msp_control_answer(&b->later[1], MSP_EREFUSED, NULL, &why);
	msp_control_answer(&b->later[0], MSP_OK, json_string("at last"), &why);
	assert_null(b->later[0]);
	client_end(b);
}

static int client_gone(void)
{
	int fd = raw_connect();

	WANT(fd >= 0 && write(fd, "{\"cmd\":\"later\"}\n", 16) == 16);
	return 0;
}

static void an_answer_for_which_nobody_waits_is_dropped(void **state)
{
	struct bench *b = *state;
	struct msp_why why = { "" };

	client_start(b, client_gone);
	assert_true(msp_loop_run_until(b->loop, one_waits, b, WAIT_MS));
	client_end(b);
	msp_control_answer(&b->later[0], MSP_OK, json_string("for nobody"), &why);
	(void)msp_loop_run_until(b->loop, never, b, 20);
}

static int client_ended(void)
{
	char out[16];
	int fd = raw_connect();

	WANT(fd >= 0 && write(fd, "{\"cmd\":\"later\"}\n", 16) == 16);
	WANT(raw_read(fd, out, sizeof(out), 1) == 0);
	return 0;
}

static int client_hears(void)
{
	char out[4096];
	int fd = raw_connect();

	WANT(fd >= 0 && write(fd, "{\"cmd\":\"later\"}\n", 16) == 16);
	(void)raw_read(fd, out, sizeof(out), 1); /* or the end of the connection */
	return 0;
}

static void who_waits_for_an_answer_that_there_is_no_memory_for_waits_no_longer(void **state)
{
	struct bench *b = *state;
	struct msp_why why = { "no" };
	bool has_failed = true;

	for (size_t nth = 1; has_failed; nth++) {
		b->later_count = 0;
		client_start(b, client_hears);
		assert_true(msp_loop_run_until(b->loop, one_waits, b, WAIT_MS));
		msp_mem_fail_at(nth);
		msp_control_answer(&b->later[0], MSP_EREFUSED, NULL, &why);
		has_failed = msp_mem_failed();
		msp_mem_fail_at(0);
		client_end(b);
	}
}

static void an_answer_may_come_when_the_socket_is_closed(void **state)
{
	struct bench *b = *state;
	struct msp_why why = { "" };

	client_start(b, client_ended);
	assert_true(msp_loop_run_until(b->loop, one_waits, b, WAIT_MS));
	msp_control_close(&b->control);
	client_end(b);
	msp_control_answer(&b->later[0], MSP_OK, json_string("too late"), &why);
}

static void a_stale_socket_is_replaced_a_live_one_and_a_file_are_not(void **state)
{
	struct bench *b = *state;
	struct msp_control *second = NULL;
	struct msp_why why = { "" };
	char other[96];
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	FILE *f;
	int fd;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	T_ERR(msp_control_open(b->loop, path, commands, b, &second, &why), MSP_EEXIST);
	assert_non_null(strstr(why.text, "another process"));
	assert_int_equal(access(path, F_OK), 0); /* and the first one's file is still there */

	(void)snprintf(other, sizeof(other), "%s/stale", dir);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", other);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	(void)close(fd); /* as a killed process leaves it */
	T_OK(msp_control_open(b->loop, other, commands, b, &second, &why));
	msp_control_close(&second);

	f = fopen(other, "w");
	assert_non_null(f);
	(void)fclose(f);
	T_ERR(msp_control_open(b->loop, other, commands, b, &second, &why), MSP_EEXIST);
	assert_int_equal(unlink(other), 0);
	T_ERR(msp_control_open(b->loop, "/nonexistent/x", commands, b, &second, &why), MSP_EIO);
}

static int client_mute(void)
{
	struct msp_why why = { "" };
	json_t *data = NULL;

	return msp_control_call(path, "ping", NULL, 50, &data, &why) == MSP_ETIMEOUT ? 0 : 1;
}

static void the_client_gives_up_after_its_timeout(void **state)
{
	(void)state; /* the loop does not run, so nobody answers */
	assert_int_equal(client_mute(), 0);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/control", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(commands_are_run_and_answered),
		TEST(long_answers_arrive_and_too_long_ones_are_an_error),
		TEST(malformed_requests_are_told_so_and_the_connection_goes_on),
		TEST(requests_over_64_kib_end_the_connection),
		TEST(the_17th_connection_is_turned_away),
		TEST(a_command_may_close_the_socket_it_came_by),
		TEST(a_stale_socket_is_replaced_a_live_one_and_a_file_are_not),
		TEST(an_answer_may_come_later_while_others_are_served),
		TEST(an_answer_for_which_nobody_waits_is_dropped),
		TEST(an_answer_may_come_when_the_socket_is_closed),
		TEST(who_waits_for_an_answer_that_there_is_no_memory_for_waits_no_longer),
		TEST(the_client_gives_up_after_its_timeout),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
