/* SPDX-License-Identifier: BSD-2-Clause */
#include "iokit.h"

#include <msproto/base/mem.h>
#include <msproto/io/http.h>

#include "io/http_parse.h"

/* --- parser ------------------------------------------------------------------------------------------------------- */

#define HOST "Host: x\r\n"

static unsigned parse(const char *head, struct msp_http_request *out)
{
	/* Memory of exactly the size, so that a sanitizer sees one octet too many. */
	size_t len = strlen(head);
	uint8_t *copy = len > 0 ? msp_alloc(len, 1) : NULL;
	unsigned status;

	if (len > 0) {
		assert_non_null(copy);
		memcpy(copy, head, len);
	}
	status = msp_http_parse(msp_span(copy, len), out);
	if (status == 200)
		out->path.ptr = (const uint8_t *)head + (out->path.ptr - copy);
	msp_free(copy);
	return status;
}

static void good_requests_are_taken(void **state)
{
	static const struct {
		const char *head, *path;
		bool is_head;
	} row[] = {
		{ "GET / HTTP/1.1\r\n" HOST "\r\n", "/", false },
		{ "HEAD /metrics HTTP/1.1\r\n" HOST "\r\n", "/metrics", true },
		{ "GET /metrics?name[]=x&y=? HTTP/1.1\r\nhost:x\r\n\r\n", "/metrics", false },
		{ "GET /a HTTP/1.0\r\n\r\n", "/a", false },
		{ "GET /a HTTP/1.9\r\nHOST: \t x \t\r\nAccept: */*\r\nX-Empty:\r\n\r\n", "/a", false },
		{ "GET /a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "/a", false },
		{ "GET /%00%2e. HTTP/1.1\r\n" HOST "X: \xc3\xa4\r\n\r\n", "/%00%2e.", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct msp_http_request r;

		assert_int_equal(parse(row[i].head, &r), 200);
		assert_int_equal(r.path.len, strlen(row[i].path));
		assert_memory_equal(r.path.ptr, row[i].path, r.path.len);
		assert_int_equal(r.is_head, row[i].is_head);
	}
}

static void bad_requests_are_told_apart(void **state)
{
	static const struct {
		unsigned status;
		const char *head;
	} row[] = {
		{ 400, "" },
		{ 400, "\r\n\r\n" },
		{ 400, "GET\r\n\r\n" },
		{ 400, "GET /\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n\r\n" },              /* no Host */
		{ 400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n" }, /* two */
		{ 400, "GET  / HTTP/1.1\r\n" HOST "\r\n" },     /* two blanks */
		{ 400, " GET / HTTP/1.1\r\n" HOST "\r\n" },
		{ 400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n" },
		{ 400, "GET / HTTP/1.1 \r\n" HOST "\r\n" },
		{ 400, "GET / HTTP/1.10\r\n" HOST "\r\n" },
		{ 400, "GET / http/1.1\r\n" HOST "\r\n" },
		{ 400, "GET / HTTP/a.1\r\n" HOST "\r\n" },
		{ 400, "GET /a\x01 HTTP/1.1\r\n" HOST "\r\n" },
		{ 400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n" },
		{ 400, "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n" },
		{ 400, "GET http://x/ HTTP/1.1\r\n" HOST "\r\n" }, /* we are no proxy */
		{ 400, "GET * HTTP/1.1\r\n" HOST "\r\n" },
		{ 400, "G=T / HTTP/1.1\r\n" HOST "\r\n" },
		{ 400, "GET / HTTP/1.1\n" HOST "\r\n" }, /* bare line feed */
		{ 400, "GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n: x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" HOST "nonsense\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" },
		{ 405, "POST / HTTP/1.1\r\n" HOST "\r\n" },
		{ 405, "get / HTTP/1.1\r\n" HOST "\r\n" },
		{ 405, "GETT / HTTP/1.1\r\n" HOST "\r\n" },
		{ 405, "CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n" },
		{ 405, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n" },
		{ 413, "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n" },
		{ 413, "GET / HTTP/1.1\r\n" HOST "Content-Length: 00\r\n\r\n" },
		{ 413, "GET / HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\n" },
		{ 505, "GET / HTTP/2.0\r\n" HOST "\r\n" },
		{ 505, "PRI * HTTP/2.0\r\n\r\n" },
		{ 505, "GET / HTTP/0.9\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct msp_http_request r = { true, { NULL, 77 } };
		unsigned status = parse(row[i].head, &r);

		if (status != row[i].status)
			fail_msg("row %zu (%s): %u, wanted %u", i, row[i].head, status, row[i].status);
		assert_int_equal(r.path.len, 77); /* untouched */
	}
}

static void a_long_target_is_414(void **state)
{
	char head[3000];
	struct msp_http_request r;

	(void)state;
	snprintf(head, sizeof(head), "GET /%02000d HTTP/1.1\r\n" HOST "\r\n", 0);
	assert_int_equal(parse(head, &r), 414);
}

static void the_end_of_a_head_is_its_empty_line(void **state)
{
	(void)state;
	assert_int_equal(msp_http_head_end(msp_span(NULL, 0)), 0);
	assert_int_equal(msp_http_head_end(msp_span_str("GET / HTTP/1.1\r\n\r")), 0);
	assert_int_equal(msp_http_head_end(msp_span_str("GET / HTTP/1.1\r\n\r\n")), 18);
	assert_int_equal(msp_http_head_end(msp_span_str("a\r\n\r\nb\r\n\r\n")), 5);
}

/* --- server ------------------------------------------------------------------------------------------------------- */

#define BODY_MAX 300000

struct rig {
	struct k_loop k;
	struct msp_http *http;
	struct msp_addr addr;
	unsigned calls;
	size_t body; /* octets to answer with */
};
static struct rig g;

static unsigned on_request(void *arg, const struct msp_http_request *req, struct msp_http_answer *answer)
{
	struct rig *r = arg;

	r->calls++;
	if (msp_span_equal(req->path, msp_span_str("/none")))
		return 404;
	answer->type = "text/x-test";
	for (size_t i = 0; i < r->body; i++)
		msp_buf_add_u8(answer->body, 'b');
	return 200;
}

static int setup(void **state)
{
	struct msp_addr any = k_addr("127.0.0.1", 0);
	struct msp_why why = { "" };

	(void)state;
	memset(&g, 0, sizeof(g));
	k_open(&g.k);
	T_OK(msp_http_open(g.k.loop, &any, BODY_MAX, on_request, &g, &g.http, &why));
	g.addr = *msp_http_addr(g.http);
	assert_int_not_equal(g.addr.port, 0);
	g.body = 5;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	msp_http_close(&g.http);
	msp_http_close(&g.http);
	k_close(&g.k);
	return 0;
}

/* Everything until the server closes. */
static size_t answer_of(int fd, char *out, size_t cap)
{
	size_t n = k_recv(&g.k, fd, out, cap - 1);

	out[n] = '\0';
	return n;
}

static int say(const char *text)
{
	int fd = k_connect(&g.addr, SOCK_STREAM);

	k_send(fd, text, strlen(text));
	return fd;
}

static unsigned status_of(int fd)
{
	char text[4096];
	unsigned status = 0;

	answer_of(fd, text, sizeof(text));
	close(fd);
	if (sscanf(text, "HTTP/1.1 %u ", &status) != 1)
		return 0;
	return status;
}

static void a_request_is_answered_and_the_connection_closed(void **state)
{
	char text[4096];
	int fd = say("GET /x HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	answer_of(fd, text, sizeof(text));
	close(fd);
	assert_ptr_equal(strstr(text, "HTTP/1.1 200 OK\r\n"), text);
	assert_non_null(strstr(text, "\r\nContent-Length: 5\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Type: text/x-test\r\n"));
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(text, "\r\nDate: "));
	assert_non_null(strstr(text, "\r\n\r\nbbbbb"));
	assert_int_equal(msp_http_stats(g.http).requests, 1);
	assert_int_equal(msp_http_stats(g.http).open, 0);
}

static void head_has_the_length_and_no_body(void **state)
{
	char text[4096];
	int fd = say("HEAD /x HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	answer_of(fd, text, sizeof(text));
	close(fd);
	assert_non_null(strstr(text, "\r\nContent-Length: 5\r\n"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

static void a_request_may_arrive_octet_by_octet(void **state)
{
	static const char text[] = "GET /x HTTP/1.1\r\n" HOST "\r\n";
	int fd = k_connect(&g.addr, SOCK_STREAM);

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		k_send(fd, text + i, 1);
		msp_loop_run_until(g.k.loop, k_never, NULL, 1);
	}
	assert_int_equal(status_of(fd), 200);
}

static void a_large_body_arrives_whole(void **state)
{
	static char text[BODY_MAX + 1000];
	int fd;
	size_t n;

	(void)state;
	g.body = BODY_MAX;
	fd = say("GET /x HTTP/1.1\r\n" HOST "\r\n");
	n = answer_of(fd, text, sizeof(text));
	close(fd);
	assert_int_equal(n, (size_t)(strstr(text, "\r\n\r\n") + 4 - text) + BODY_MAX);
}

static void a_body_over_its_limit_is_500_and_not_cut(void **state)
{
	(void)state;
	g.body = BODY_MAX + 1;
	assert_int_equal(status_of(say("GET /x HTTP/1.1\r\n" HOST "\r\n")), 500);
}

static void the_handler_says_404(void **state)
{
	(void)state;
	assert_int_equal(status_of(say("GET /none HTTP/1.1\r\n" HOST "\r\n")), 404);
}

/* The client ends its side, as one that reads an answer does in the end. */
static unsigned refused(const char *text)
{
	int fd = say(text);

	shutdown(fd, SHUT_WR);
	return status_of(fd);
}

static void what_is_refused_is_told_so_and_not_handled(void **state)
{
	(void)state;
	assert_int_equal(refused("POST /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"), 405);
	assert_int_equal(refused("GET /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"), 413);
	assert_int_equal(refused("\x16\x03\x01\r\n\r\n"), 400);
	assert_int_equal(refused("GET /x HTTP/3.0\r\n\r\n"), 505);
	assert_int_equal(g.calls, 0);
	assert_int_equal(msp_http_stats(g.http).refused, 4);
}

static void a_second_request_in_the_same_breath_is_not_handled(void **state)
{
	char text[4096];
	int fd = say("GET /x HTTP/1.1\r\n" HOST "\r\nGET /none HTTP/1.1\r\n" HOST "\r\n");
	const char *first;

	(void)state;
	shutdown(fd, SHUT_WR);
	answer_of(fd, text, sizeof(text));
	close(fd);
	first = strstr(text, "HTTP/1.1 200");
	assert_ptr_equal(first, text);
	assert_null(strstr(text + 1, "HTTP/1.1"));
	assert_int_equal(g.calls, 1);
}

static void a_huge_header_is_431(void **state)
{
	static char text[MSP_HTTP_HEADER_MAX * 4];
	int fd = k_connect(&g.addr, SOCK_STREAM);

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /x HTTP/1.1\r\nX: ", 20);
	k_send(fd, text, sizeof(text));
	shutdown(fd, SHUT_WR);
	assert_int_equal(status_of(fd), 431);
	assert_int_equal(g.calls, 0);
}

static void a_client_that_never_stops_sending_is_cut_off(void **state)
{
	static char text[65536];
	int fd = k_connect(&g.addr, SOCK_STREAM);
	ssize_t n = 0;

	(void)state;
	memset(text, 'a', sizeof(text));
	for (int i = 0; i < 1000 && n >= 0; i++) {
		n = send(fd, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			n = 0;
		msp_loop_run_until(g.k.loop, k_never, NULL, 1);
	}
	assert_true(n < 0); /* reset */
	close(fd);
	assert_int_equal(msp_http_stats(g.http).open, 0);
}

static void a_slow_header_does_not_keep_others_out(void **state)
{
	int slow[MSP_HTTP_CONNS_MAX + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
		slow[i] = say("GET /x HTTP/1.1\r\nX: ");
		msp_loop_run_until(g.k.loop, k_never, NULL, 3);
	}
	assert_int_equal(msp_http_stats(g.http).open, MSP_HTTP_CONNS_MAX);
	assert_int_equal(status_of(say("GET /x HTTP/1.1\r\n" HOST "\r\n")), 200);
	assert_true(k_is_closed(&g.k, slow[0])); /* the one that has taken longest */
	for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++)
		close(slow[i]);
}

static void a_slow_header_is_408_in_the_end_and_silence_is_closed(void **state)
{
	int slow, silent;

	(void)state;
	msp_http_set_time(g.http, 50);
	slow = say("GET /x HTTP/1.1\r\n");
	silent = k_connect(&g.addr, SOCK_STREAM);
	assert_int_equal(status_of(slow), 408);
	assert_true(k_is_closed(&g.k, silent));
	close(silent);
	assert_int_equal(msp_http_stats(g.http).timeouts, 2);
}

static void a_client_that_does_not_read_is_given_up(void **state)
{
	int fd = k_connect_from(&g.addr, NULL, SOCK_STREAM, 4096);
	static const char text[] = "GET /x HTTP/1.1\r\n" HOST "\r\n";
	struct msp_http_stats s;

	(void)state;
	msp_http_set_time(g.http, 50);
	g.body = BODY_MAX;
	k_send(fd, text, sizeof(text) - 1);
	/* Either the kernel takes it all, or the connection ends at its time: nothing is left either way. */
	for (int i = 0; i < 400; i++) {
		msp_loop_run_until(g.k.loop, k_never, NULL, 5);
		s = msp_http_stats(g.http);
		if (s.requests == 1 && s.open == 0)
			break;
	}
	assert_int_equal(msp_http_stats(g.http).open, 0);
	close(fd);
}

static void a_client_that_goes_away_leaves_nothing(void **state)
{
	int fd = say("GET /x HT");

	(void)state;
	k_settle(&g.k);
	close(fd);
	k_settle(&g.k);
	assert_int_equal(msp_http_stats(g.http).open, 0);
}

static void closing_with_connections_in_every_state_is_safe(void **state)
{
	int half = say("GET /x HT"), whole, more;

	(void)state;
	g.body = BODY_MAX;
	whole = k_connect_from(&g.addr, NULL, SOCK_STREAM, 4096);
	k_send(whole, "GET /x HTTP/1.0\r\n\r\n", 19);
	more = say("POST /x HTTP/1.1\r\n" HOST "\r\nxx");
	k_settle(&g.k);
	msp_http_close(&g.http);
	k_settle(&g.k);
	close(half);
	close(whole);
	close(more);
}

static void an_address_in_use_is_told(void **state)
{
	struct msp_http *second = NULL;
	struct msp_why why = { "" };

	(void)state;
	T_ERR(msp_http_open(g.k.loop, &g.addr, 10, on_request, &g, &second, &why), MSP_ENET);
	assert_null(second);
	assert_non_null(strstr(why.text, "in use"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests_are_taken),
		cmocka_unit_test(bad_requests_are_told_apart),
		cmocka_unit_test(a_long_target_is_414),
		cmocka_unit_test(the_end_of_a_head_is_its_empty_line),
		TEST(a_request_is_answered_and_the_connection_closed),
		TEST(head_has_the_length_and_no_body),
		TEST(a_request_may_arrive_octet_by_octet),
		TEST(a_large_body_arrives_whole),
		TEST(a_body_over_its_limit_is_500_and_not_cut),
		TEST(the_handler_says_404),
		TEST(what_is_refused_is_told_so_and_not_handled),
		TEST(a_second_request_in_the_same_breath_is_not_handled),
		TEST(a_huge_header_is_431),
		TEST(a_client_that_never_stops_sending_is_cut_off),
		TEST(a_slow_header_does_not_keep_others_out),
		TEST(a_slow_header_is_408_in_the_end_and_silence_is_closed),
		TEST(a_client_that_does_not_read_is_given_up),
		TEST(a_client_that_goes_away_leaves_nothing),
		TEST(closing_with_connections_in_every_state_is_safe),
		TEST(an_address_in_use_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
