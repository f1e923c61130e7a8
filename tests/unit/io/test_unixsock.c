/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits of the line server that the control socket's tests cannot reach in a short time. */
#include "support.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <msproto/base/mem.h>

#include "io/unixsock.h"

#define IDLE_MS 50
#define WAIT_MS 10000
#define BIG     (4u << 20)

static char dir[] = "/tmp/test_unixsock.XXXXXX";
static char path[96];

struct bench {
	struct msp_log log;
	struct msp_loop *loop;
	struct msp_usock *sock;
	unsigned lines;
	int client;
};

/* "big": an answer that no socket buffer holds; else the line itself. */
static void on_line(void *arg, struct msp_usock_conn *conn, struct msp_span line)
{
	struct bench *b = arg;
	uint8_t *big = NULL;

	b->lines++;
	if (line.len == 3 && memcmp(line.ptr, "big", 3) == 0) {
		big = msp_alloc(BIG, 1);
		assert_non_null(big);
		line = msp_span(big, BIG);
	}
	T_OK(msp_usock_reply(conn, line));
	T_ERR(msp_usock_reply(conn, line), MSP_ESTATE); /* one answer at a time */
	msp_free(big);
}

static int set_up(void **state)
{
	static const struct msp_usock_conf conf = { .mode = 0600,
						    .conn_max = 2,
						    .line_max = 100,
						    .reply_max = BIG,
						    .idle_ms = IDLE_MS,
						    .busy = "busy\n",
						    .too_long = "too long\n" };
	struct bench *b = msp_alloc(1, sizeof(*b));
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct msp_why why = { "" };

	*state = b;
	msp_log_init_null(&b->log);
	if (msp_loop_new(&b->log, &b->loop) != MSP_OK ||
	    msp_usock_open(b->loop, path, &conf, on_line, b, &b->sock, &why) != MSP_OK)
		return -1;
	b->client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	return connect(b->client, (const struct sockaddr *)&sun, sizeof(sun));
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	(void)close(b->client);
	msp_usock_close(&b->sock);
	msp_loop_free(&b->loop);
	msp_free(b);
	return 0;
}

/* The server has closed: what is unread may be read, then comes the end. */
static bool is_hung_up(void *arg)
{
	struct bench *b = arg;
	struct pollfd p = { b->client, POLLRDHUP, 0 };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP));
}

static bool line_seen(void *arg)
{
	return ((struct bench *)arg)->lines > 0;
}

static void say(struct bench *b, const char *text)
{
	assert_int_equal(write(b->client, text, strlen(text)), strlen(text));
}

static void a_silent_connection_is_closed(void **state)
{
	struct bench *b = *state;

	assert_true(msp_loop_run_until(b->loop, is_hung_up, b, WAIT_MS));
	assert_int_equal(b->lines, 0);
}

static void half_a_line_does_not_keep_a_connection(void **state)
{
	struct bench *b = *state;

	say(b, "half");
	assert_true(msp_loop_run_until(b->loop, is_hung_up, b, WAIT_MS));
	assert_int_equal(b->lines, 0);
}

static void a_peer_that_does_not_read_gets_no_more_lines_served_and_is_closed(void **state)
{
	struct bench *b = *state;

	say(b, "big\nbig\nbig\n");
	assert_true(msp_loop_run_until(b->loop, line_seen, b, WAIT_MS));
	assert_true(msp_loop_run_until(b->loop, is_hung_up, b, WAIT_MS));
	assert_int_equal(b->lines, 1);
}

static void closing_with_an_answer_half_written_is_clean(void **state)
{
	struct bench *b = *state;

	say(b, "big\n");
	assert_true(msp_loop_run_until(b->loop, line_seen, b, WAIT_MS));
	msp_usock_close(&b->sock);
	assert_null(b->sock);
	assert_true(msp_loop_run_until(b->loop, is_hung_up, b, WAIT_MS));
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/socket", dir);
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
		TEST(a_silent_connection_is_closed),
		TEST(half_a_line_does_not_keep_a_connection),
		TEST(a_peer_that_does_not_read_gets_no_more_lines_served_and_is_closed),
		TEST(closing_with_an_answer_half_written_is_clean),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
