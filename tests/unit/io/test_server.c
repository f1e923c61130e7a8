/* SPDX-License-Identifier: BSD-2-Clause */
#include "iokit.h"

#include <stdlib.h>

#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

#include "io/tcp.h"

#define HELD_MAX 256

/* A server whose handler echoes, or keeps what it gets. */
struct rig {
	struct k_loop k;
	struct msp_server *server;
	struct msp_addr addr;
	bool holds;
	struct msp_req *held[HELD_MAX];
	size_t held_count, calls;
};

static void handler(void *arg, struct msp_req *req)
{
	struct rig *r = arg;

	r->calls++;
	if (!r->holds) {
		k_echo(&req);
		assert_null(req);
		return;
	}
	assert_true(r->held_count < HELD_MAX);
	r->held[r->held_count++] = req;
}

static void rig_open_at(struct rig *r, const char *address, const struct msp_server_limits *limits)
{
	struct msp_addr a = k_addr(address, 0);
	struct msp_why why = { "" };

	memset(r, 0, sizeof(*r));
	k_open(&r->k);
	T_OK(msp_server_open(r->k.loop, &a, limits, handler, r, &r->server, &why));
	r->addr = *msp_server_addr(r->server);
	assert_int_not_equal(r->addr.port, 0);
}
static void rig_open(struct rig *r, const struct msp_server_limits *limits)
{
	rig_open_at(r, "127.0.0.1", limits);
}
static void rig_close(struct rig *r)
{
	for (size_t i = 0; i < r->held_count; i++)
		if (r->held[i] != NULL)
			msp_req_drop(&r->held[i]);
	msp_server_close(&r->server);
	assert_null(r->server);
	k_close(&r->k);
}

static int ask(struct rig *r, uint16_t id)
{
	uint8_t q[512];
	size_t len = k_question(q, sizeof(q), id, "example.", MSP_TYPE_SOA);
	int fd = k_connect(&r->addr, SOCK_STREAM);

	k_send(fd, q, len);
	return fd;
}

static void expect_id(struct rig *r, int fd, uint16_t id)
{
	uint8_t m[4096];

	assert_true(k_recv_message(&r->k, fd, m, sizeof(m)) >= 12);
	assert_int_equal(k_id(m), id);
	assert_true((m[2] & 0x80) != 0);
}

/* --- UDP --- */

static void check_udp(const char *listen, const char *ask_at)
{
	uint8_t q[512], m[512];
	struct msp_addr to;
	struct rig r;
	size_t len;
	int fd;

	rig_open_at(&r, listen, NULL);
	to = k_addr(ask_at, r.addr.port);
	fd = k_connect(&to, SOCK_DGRAM); /* connected: an answer from another address would not arrive */
	len = k_question(q, sizeof(q), 77, "example.", MSP_TYPE_SOA);
	k_send(fd, q + 2, len - 2);
	assert_int_equal(k_recv_datagram(&r.k, fd, m, sizeof(m)), len - 2);
	assert_int_equal(k_id(m), 77);
	assert_int_equal(msp_server_stats(r.server).udp_in, 1);
	assert_int_equal(msp_server_stats(r.server).replies, 1);
	close(fd);
	rig_close(&r);
}

static void udp_question_is_answered(void **state)
{
	(void)state;
	check_udp("127.0.0.1", "127.0.0.1");
	check_udp("::1", "::1");
}

static void udp_answer_leaves_from_the_address_asked(void **state)
{
	(void)state;
	check_udp("0.0.0.0", "127.0.0.9");
	check_udp("::", "::1");
}

static void request_tells_peer_local_and_transport(void **state)
{
	uint8_t q[512];
	struct msp_addr to, from = k_addr("127.0.0.7", 0);
	struct rig r;
	size_t len;
	int udp, tcp;

	(void)state;
	rig_open_at(&r, "0.0.0.0", NULL);
	r.holds = true;
	to = k_addr("127.0.0.8", r.addr.port);
	len = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_SOA);
	udp = k_connect_from(&to, &from, SOCK_DGRAM, 0);
	k_send(udp, q + 2, len - 2);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	tcp = k_connect_from(&to, &from, SOCK_STREAM, 0);
	k_send(tcp, q, len);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(msp_req_is_tcp(r.held[i]), i == 1);
		assert_true(msp_addr_same_host(msp_req_peer(r.held[i]), &from));
		assert_true(msp_addr_equal(msp_req_local(r.held[i]), &to));
		assert_int_equal(msp_req_message(r.held[i]).len, len - 2);
		assert_memory_equal(msp_req_message(r.held[i]).ptr, q + 2, len - 2);
	}
	close(udp);
	close(tcp);
	rig_close(&r);
}

static void short_datagram_is_counted_and_dropped(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	fd = k_connect(&r.addr, SOCK_DGRAM);
	k_send(fd, "12345678901", 11);
	k_settle(&r.k);
	assert_int_equal(r.calls, 0);
	assert_int_equal(msp_server_stats(r.server).udp_short, 1);
	close(fd);
	rig_close(&r);
}

/* The port that the system gives for IPv6 may be taken by somebody for IPv4: another one then. */
static void ipv6_socket_leaves_ipv4_alone(void **state)
{
	struct msp_server *other = NULL;
	enum msp_err err = MSP_ENET;

	(void)state;
	for (unsigned tries = 0; err == MSP_ENET && tries < 50; tries++) {
		struct msp_addr v4;
		struct rig r;

		rig_open_at(&r, "::", NULL);
		v4 = k_addr("0.0.0.0", r.addr.port);
		err = msp_server_open(r.k.loop, &v4, NULL, handler, &r, &other, NULL);
		if (err == MSP_OK)
			msp_server_close(&other);
		rig_close(&r);
	}
	T_OK(err);
}

/* --- TCP framing --- */

static void message_in_single_octets_is_put_together(void **state)
{
	uint8_t q[512];
	struct rig r;
	size_t len;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	fd = k_connect(&r.addr, SOCK_STREAM);
	len = k_question(q, sizeof(q), 4711, "example.", MSP_TYPE_SOA);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(r.calls, 0);
		k_send(fd, q + i, 1);
		msp_loop_run_until(r.k.loop, k_never, NULL, 2);
	}
	expect_id(&r, fd, 4711);
	close(fd);
	rig_close(&r);
}

static void pipelined_messages_in_one_segment_are_all_answered_in_order(void **state)
{
	uint8_t q[50 * 64];
	struct rig r;
	size_t len = 0;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	fd = k_connect(&r.addr, SOCK_STREAM);
	for (uint16_t i = 0; i < 50; i++)
		len += k_question(q + len, sizeof(q) - len, i, "example.", MSP_TYPE_SOA);
	k_send(fd, q, len - 5); /* the last one in two parts */
	for (uint16_t i = 0; i < 49; i++)
		expect_id(&r, fd, i);
	k_send(fd, q + len - 5, 5);
	expect_id(&r, fd, 49);
	assert_int_equal(msp_server_stats(r.server).tcp_in, 50);
	close(fd);
	rig_close(&r);
}

/* The cutter alone: any sequence of messages, in any pieces, comes out as it went in. */
static void frames_survive_every_way_of_cutting_the_stream(void **state)
{
	static const size_t size[] = { 0, 1, 12, 65535, 2, 0, 300, 40000, 0 };
	const size_t count = sizeof(size) / sizeof(size[0]);
	static uint8_t stream[200000];
	struct msp_rand rand;
	size_t total = 0;

	(void)state;
	msp_rand_init_seed(&rand, 7);
	for (size_t i = 0; i < count; i++) {
		stream[total] = (uint8_t)(size[i] >> 8);
		stream[total + 1] = (uint8_t)(size[i] & 0xff);
		memset(stream + total + 2, (int)('a' + i), size[i]);
		total += 2 + size[i];
	}
	for (int round = 0; round < 300; round++) {
		size_t most = round < 3 ? (size_t)round + 1 : (size_t)msp_rand_below(&rand, 70000) + 1, at = 0, got = 0;
		struct msp_tcp_frame f;

		msp_tcp_frame_init(&f);
		while (at < total) {
			size_t n = (size_t)msp_rand_below(&rand, most) + 1;
			struct msp_span in = msp_span(stream + at, n < total - at ? n : total - at), message;
			enum msp_err err;

			at += in.len;
			while ((err = msp_tcp_frame_next(&f, &in, &message)) == MSP_OK) {
				assert_true(got < count);
				assert_int_equal(message.len, size[got]);
				for (size_t i = 0; i < message.len; i += 997)
					assert_int_equal(message.ptr[i], 'a' + got);
				got++;
			}
			T_ERR(err, MSP_ETRUNC);
			assert_int_equal(in.len, 0);
		}
		assert_int_equal(got, count);
		assert_false(msp_tcp_frame_is_partial(&f));
		msp_tcp_frame_fini(&f);
	}
}

static void message_of_64_kib_arrives_whole(void **state)
{
	static uint8_t big[2 + 65535];
	struct rig r;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	r.holds = true;
	fd = k_connect(&r.addr, SOCK_STREAM);
	memset(big, 0x5a, sizeof(big));
	big[0] = big[1] = 0xff;
	k_send(fd, big, sizeof(big));
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	assert_int_equal(msp_req_message(r.held[0]).len, 65535);
	assert_memory_equal(msp_req_message(r.held[0]).ptr, big + 2, 65535);
	close(fd);
	rig_close(&r);
}

static void message_shorter_than_a_header_closes_the_connection(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	fd = k_connect(&r.addr, SOCK_STREAM);
	k_send(fd, "\0\3abc", 5);
	assert_true(k_is_closed(&r.k, fd));
	close(fd);
	fd = k_connect(&r.addr, SOCK_STREAM);
	k_send(fd, "\0\0", 2);
	assert_true(k_is_closed(&r.k, fd));
	close(fd);
	assert_int_equal(r.calls, 0);
	assert_int_equal(msp_server_stats(r.server).tcp_framing_errors, 2);
	rig_close(&r);
}

static void end_in_the_middle_of_a_message_is_a_framing_error(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	fd = k_connect(&r.addr, SOCK_STREAM);
	k_send(fd, "\0\40abc", 5);
	shutdown(fd, SHUT_WR);
	assert_true(k_is_closed(&r.k, fd));
	assert_int_equal(msp_server_stats(r.server).tcp_framing_errors, 1);
	close(fd);
	rig_close(&r);
}

static void half_closed_client_still_gets_its_answers(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	r.holds = true;
	fd = ask(&r, 9);
	shutdown(fd, SHUT_WR);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	k_settle(&r.k);
	k_echo(&r.held[0]);
	expect_id(&r, fd, 9);
	assert_true(k_is_closed(&r.k, fd)); /* nothing more can come */
	close(fd);
	rig_close(&r);
}

static void answers_may_come_in_another_order(void **state)
{
	uint8_t q[512];
	struct rig r;
	size_t len;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	r.holds = true;
	fd = k_connect(&r.addr, SOCK_STREAM);
	len = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_SOA);
	len += k_question(q + len, sizeof(q) - len, 2, "example.", MSP_TYPE_SOA);
	k_send(fd, q, len);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	k_echo(&r.held[1]);
	expect_id(&r, fd, 2);
	k_echo(&r.held[0]);
	expect_id(&r, fd, 1);
	close(fd);
	rig_close(&r);
}

/* --- limits --- */

static void outstanding_requests_stop_the_reading_until_answered(void **state)
{
	struct msp_server_limits limits = { .outstanding_per_conn = 3 };
	uint8_t q[20 * 64];
	struct rig r;
	size_t len = 0;
	int fd;

	(void)state;
	rig_open(&r, &limits);
	r.holds = true;
	fd = k_connect(&r.addr, SOCK_STREAM);
	for (uint16_t i = 0; i < 20; i++)
		len += k_question(q + len, sizeof(q) - len, i, "example.", MSP_TYPE_SOA);
	k_send(fd, q, len);
	K_UNTIL_COUNT(&r.k, &r.held_count, 3);
	k_settle(&r.k);
	assert_int_equal(r.held_count, 3);
	msp_req_drop(&r.held[1]); /* a drop makes room as well */
	K_UNTIL_COUNT(&r.k, &r.held_count, 4);
	k_settle(&r.k);
	assert_int_equal(r.held_count, 4);
	for (size_t i = 0; i < 20; i++) {
		K_UNTIL_COUNT(&r.k, &r.held_count, i + 1);
		if (r.held[i] != NULL)
			k_echo(&r.held[i]);
		if (i != 1)
			expect_id(&r, fd, (uint16_t)i);
	}
	k_settle(&r.k);
	assert_int_equal(r.calls, 20);
	close(fd);
	rig_close(&r);
}

static void client_that_reads_no_answers_is_not_read_from(void **state)
{
	struct msp_server_limits limits = { .write_watermark = 65536, .outstanding_per_conn = 1000000 };
	static uint8_t q[64];
	struct rig r;
	size_t len, sent = 0, stuck_at = 0;
	ssize_t n;
	int fd;

	(void)state;
	rig_open(&r, &limits);
	fd = k_connect_from(&r.addr, NULL, SOCK_STREAM, 4096);
	len = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_SOA);
	/* Until neither side moves any more. */
	for (;;) {
		n = send(fd, q + sent % len, len - sent % len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		k_settle(&r.k);
		if (stuck_at == sent)
			break;
		stuck_at = sent;
	}
	assert_true(msp_server_stats(r.server).queued_max <= 65536 + 2 * len);
	assert_true(r.calls < sent / len);
	close(fd);
	rig_close(&r);
}

static void one_client_is_held_to_its_connections_and_the_idle_longest_goes(void **state)
{
	struct msp_server_limits limits = { .tcp_per_client = 2 };
	struct msp_addr other = k_addr("127.0.0.3", 0);
	struct rig r;
	int a, b, c, d;

	(void)state;
	rig_open(&r, &limits);
	d = k_connect_from(&r.addr, &other, SOCK_STREAM, 0); /* idle longest of all, but another client */
	k_settle(&r.k);
	a = ask(&r, 1);
	expect_id(&r, a, 1);
	b = ask(&r, 2);
	expect_id(&r, b, 2);
	k_send(a, "\0\14\0\7\0\0\0\0\0\0\0\0\0\0", 14); /* now b is idle longest */
	expect_id(&r, a, 7);
	c = ask(&r, 3);
	expect_id(&r, c, 3);
	assert_true(k_is_closed(&r.k, b));
	k_send(a, "\0\14\0\10\0\0\0\0\0\0\0\0\0\0", 14);
	expect_id(&r, a, 8);
	k_send(d, "\0\14\0\11\0\0\0\0\0\0\0\0\0\0", 14);
	expect_id(&r, d, 9);
	close(a);
	close(b);
	close(c);
	close(d);
	rig_close(&r);
}

static void client_whose_connections_are_all_at_work_gets_no_more(void **state)
{
	struct msp_server_limits limits = { .tcp_per_client = 2 };
	struct rig r;
	int a, b, c;

	(void)state;
	rig_open(&r, &limits);
	r.holds = true;
	a = ask(&r, 1);
	b = ask(&r, 2);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	c = k_connect(&r.addr, SOCK_STREAM);
	assert_true(k_is_closed(&r.k, c));
	assert_int_equal(msp_server_stats(r.server).tcp_refused, 1);
	k_echo(&r.held[0]);
	k_echo(&r.held[1]);
	expect_id(&r, a, 1);
	expect_id(&r, b, 2);
	close(a);
	close(b);
	close(c);
	rig_close(&r);
}

static void all_connections_together_are_limited(void **state)
{
	struct msp_server_limits limits = { .tcp_connections = 3 };
	struct msp_addr from;
	char text[32];
	struct rig r;
	int fd[4];

	(void)state;
	rig_open(&r, &limits);
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "127.0.0.%d", i + 1);
		from = k_addr(text, 0);
		fd[i] = k_connect_from(&r.addr, &from, SOCK_STREAM, 0);
		k_settle(&r.k);
	}
	assert_true(k_is_closed(&r.k, fd[0]));
	k_send(fd[3], "\0\14\0\7\0\0\0\0\0\0\0\0\0\0", 14);
	expect_id(&r, fd[3], 7);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	rig_close(&r);
}

static void idle_connection_is_closed_in_time(void **state)
{
	struct msp_server_limits limits = { .idle_ms = 30 };
	struct rig r;
	int fd;

	(void)state;
	rig_open(&r, &limits);
	fd = k_connect(&r.addr, SOCK_STREAM);
	assert_true(k_is_closed(&r.k, fd));
	close(fd);
	fd = ask(&r, 5);
	expect_id(&r, fd, 5);
	assert_true(k_is_closed(&r.k, fd));
	close(fd);
	rig_close(&r);
}

static void octets_that_trickle_in_do_not_keep_a_connection_open(void **state)
{
	struct msp_server_limits limits = { .idle_ms = 40 };
	struct msp_mono before;
	struct rig r;
	bool closed = false;
	int fd;

	(void)state;
	rig_open(&r, &limits);
	fd = k_connect(&r.addr, SOCK_STREAM);
	k_send(fd, "\1\0", 2);
	before = msp_mono_now();
	while (!closed) {
		uint8_t octet;

		assert_true(msp_mono_now().ms - before.ms < K_LIMIT_MS);
		msp_loop_run_until(r.k.loop, k_never, NULL, 5);
		closed = send(fd, "x", 1, MSG_NOSIGNAL) < 0 || recv(fd, &octet, 1, MSG_DONTWAIT) == 0;
	}
	assert_int_equal(r.calls, 0);
	close(fd);
	rig_close(&r);
}

static void idle_time_does_not_run_while_a_request_is_held(void **state)
{
	struct msp_server_limits limits = { .idle_ms = 20 };
	struct rig r;
	int fd;

	(void)state;
	rig_open(&r, &limits);
	r.holds = true;
	fd = ask(&r, 6);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	msp_loop_run_until(r.k.loop, k_never, NULL, 80);
	k_echo(&r.held[0]);
	expect_id(&r, fd, 6);
	assert_true(k_is_closed(&r.k, fd));
	close(fd);
	rig_close(&r);
}

static void address_in_use_is_told_with_a_reason(void **state)
{
	struct msp_server *second = NULL;
	struct msp_why why = { "" };
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	T_ERR(msp_server_open(r.k.loop, &r.addr, NULL, handler, &r, &second, &why), MSP_ENET);
	assert_non_null(strstr(why.text, "127.0.0.1"));
	assert_non_null(strstr(why.text, "in use"));
	rig_close(&r);
}

static void address_is_free_again_at_once_after_close(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	fd = ask(&r, 1);
	expect_id(&r, fd, 1);
	msp_server_close(&r.server);
	T_OK(msp_server_open(r.k.loop, &r.addr, NULL, handler, &r, &r.server, NULL));
	assert_true(k_is_closed(&r.k, fd));
	close(fd);
	fd = ask(&r, 2);
	expect_id(&r, fd, 2);
	close(fd);
	rig_close(&r);
}

/* --- lifetimes --- */

static void request_outlives_the_server(void **state)
{
	uint8_t q[512];
	struct rig r;
	size_t len;
	int udp, tcp;

	(void)state;
	rig_open(&r, NULL);
	r.holds = true;
	udp = k_connect(&r.addr, SOCK_DGRAM);
	len = k_question(q, sizeof(q), 3, "example.", MSP_TYPE_SOA);
	k_send(udp, q + 2, len - 2);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	tcp = ask(&r, 4);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	msp_server_close(&r.server);
	k_settle(&r.k);
	assert_int_equal(msp_req_message(r.held[0]).len, len - 2);
	k_echo(&r.held[0]); /* nobody hears it */
	k_echo(&r.held[1]); /* the connection still stands */
	expect_id(&r, tcp, 4);
	assert_true(k_is_closed(&r.k, tcp));
	close(udp);
	close(tcp);
	rig_close(&r);
}

static void answer_to_a_client_that_has_gone_is_dropped(void **state)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };
	struct rig r;
	int a, b;

	(void)state;
	rig_open(&r, NULL);
	r.holds = true;
	a = ask(&r, 1);
	b = ask(&r, 2);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	assert_int_equal(setsockopt(a, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), 0);
	close(a); /* reset */
	close(b); /* in order, but it reads no more */
	k_settle(&r.k);
	k_echo(&r.held[0]);
	k_echo(&r.held[1]);
	k_settle(&r.k);
	assert_null(r.held[0]);
	rig_close(&r);
}

static void close_server_in_handler(void *arg, struct msp_req *req)
{
	struct rig *r = arg;

	r->calls++;
	msp_server_close(&r->server);
	k_echo(&req);
}
static void server_may_be_closed_by_its_handler(void **state)
{
	struct msp_addr any = k_addr("127.0.0.1", 0);
	uint8_t q[512];
	struct rig r;
	size_t len;
	int fd;

	(void)state;
	for (int type = 0; type < 2; type++) {
		memset(&r, 0, sizeof(r));
		k_open(&r.k);
		T_OK(msp_server_open(r.k.loop, &any, NULL, close_server_in_handler, &r, &r.server, NULL));
		r.addr = *msp_server_addr(r.server);
		len = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_SOA);
		len += k_question(q + len, sizeof(q) - len, 2, "example.", MSP_TYPE_SOA);
		fd = k_connect(&r.addr, type == 0 ? SOCK_STREAM : SOCK_DGRAM);
		k_send(fd, q + (type == 0 ? 0 : 2), len - (type == 0 ? 0 : 2));
		K_UNTIL_COUNT(&r.k, &r.calls, 1);
		k_settle(&r.k);
		assert_int_equal(r.calls, 1);
		if (type == 0)
			expect_id(&r, fd, 1);
		close(fd);
		rig_close(&r);
	}
}

/* --- streams --- */

struct source {
	size_t total, given; /* messages */
	size_t size;         /* of each */
	enum msp_err fail_at_end;
	bool end_apart, inside_call;
	size_t pulls, sent, done_calls;
	enum msp_err err;
	bool done;
	uint8_t *seen; /* per token: how often sent */
	uint8_t *memory;
	struct msp_server **close_at_pull; /* close the server in the 3rd pull */
};

static enum msp_err pull(void *arg, uint8_t *out, size_t cap, size_t *len, bool *end)
{
	struct source *s = arg;

	assert_false(s->inside_call);
	assert_false(s->done);
	assert_int_equal(cap, 65535);
	s->pulls++;
	if (s->given == s->total) {
		if (s->fail_at_end != MSP_OK)
			return s->fail_at_end;
		*end = true;
		*len = 0;
		return MSP_OK;
	}
	if (s->close_at_pull != NULL && s->pulls == 3)
		msp_server_close(s->close_at_pull);
	memset(out, (int)(s->given & 0xff), s->size);
	*len = s->size;
	s->given++;
	*end = s->given == s->total && !s->end_apart && s->fail_at_end == MSP_OK;
	return MSP_OK;
}

static void done(void *arg, enum msp_err err)
{
	struct source *s = arg;

	assert_false(s->inside_call);
	s->done_calls++;
	assert_int_equal(s->done_calls, 1);
	s->err = err;
	s->done = true;
}

static void start_stream(struct rig *r, size_t i, struct source *s)
{
	s->inside_call = true;
	msp_req_stream(&r->held[i], pull, done, s);
	s->inside_call = false;
	assert_null(r->held[i]);
	assert_false(s->done);
}

static void expect_stream(struct rig *r, int fd, size_t total, size_t size)
{
	static uint8_t m[65535];

	for (size_t i = 0; i < total; i++) {
		assert_int_equal(k_recv_message(&r->k, fd, m, sizeof(m)), size);
		assert_int_equal(m[0], i & 0xff);
		assert_int_equal(m[size - 1], i & 0xff);
	}
}

static int rig_with_request(struct rig *r, const struct msp_server_limits *limits, int rcvbuf)
{
	uint8_t q[512];
	size_t len = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_AXFR);
	int fd;

	rig_open(r, limits);
	r->holds = true;
	fd = k_connect_from(&r->addr, NULL, SOCK_STREAM, rcvbuf);
	k_send(fd, q, len);
	K_UNTIL_COUNT(&r->k, &r->held_count, 1);
	return fd;
}

static void stream_arrives_whole_and_in_order(void **state)
{
	struct source s = { .total = 300, .size = 60000 }, apart = { .total = 5, .size = 100, .end_apart = true };
	struct rig r;
	int fd = rig_with_request(&r, NULL, 0);

	(void)state;
	start_stream(&r, 0, &s);
	expect_stream(&r, fd, 300, 60000);
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_OK);
	/* The connection goes on afterwards, with a stream whose end comes alone. */
	k_send(fd, "\0\14\0\7\0\0\0\0\0\0\0\0\0\0", 14);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	start_stream(&r, 1, &apart);
	expect_stream(&r, fd, 5, 100);
	K_UNTIL(&r.k, &apart.done);
	T_ERR(apart.err, MSP_OK);
	r.holds = false;
	k_send(fd, "\0\14\0\7\0\0\0\0\0\0\0\0\0\0", 14);
	expect_id(&r, fd, 7);
	close(fd);
	rig_close(&r);
}

static void other_answers_wait_until_the_stream_has_ended(void **state)
{
	struct source s = { .total = 20, .size = 60000 }, second = { .total = 3, .size = 50 };
	struct rig r;
	int fd = rig_with_request(&r, NULL, 0);

	(void)state;
	k_send(fd, "\0\14\0\7\0\0\0\0\0\0\0\0\0\0\0\14\0\10\0\0\0\0\0\0\0\0\0\0", 28);
	K_UNTIL_COUNT(&r.k, &r.held_count, 3);
	start_stream(&r, 0, &s);
	k_echo(&r.held[1]);
	start_stream(&r, 2, &second);
	expect_stream(&r, fd, 20, 60000);
	expect_id(&r, fd, 7);
	expect_stream(&r, fd, 3, 50);
	K_UNTIL(&r.k, &second.done);
	assert_true(s.done);
	close(fd);
	rig_close(&r);
}

static void slow_reader_holds_the_stream_at_the_watermark(void **state)
{
	struct msp_server_limits limits = { .write_watermark = 200000 };
	struct source s = { .total = 2000, .size = 50000 }; /* 100 MB */
	struct rig r;
	size_t stuck_at;
	int fd = rig_with_request(&r, &limits, 16384);

	(void)state;
	start_stream(&r, 0, &s);
	do {
		stuck_at = s.pulls;
		msp_loop_run_until(r.k.loop, k_never, NULL, 50);
	} while (stuck_at != s.pulls);
	assert_false(s.done);
	assert_true(s.pulls < 1000);
	assert_true(msp_server_stats(r.server).queued_max < 200000 + 50002);
	assert_true(msp_server_stats(r.server).queued_max >= 150000); /* it does use what it is given */
	expect_stream(&r, fd, 2000, 50000);                           /* and goes on when the reader does */
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_OK);
	assert_true(msp_server_stats(r.server).queued_max < 200000 + 50002);
	close(fd);
	rig_close(&r);
}

static void client_that_vanishes_mid_stream_ends_it_once(void **state)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };

	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		struct source s = { .total = 100000, .size = 50000 };
		struct rig r;
		int fd = rig_with_request(&r, NULL, 16384);

		start_stream(&r, 0, &s);
		expect_stream(&r, fd, 10, 50000);
		if (reset)
			assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), 0);
		close(fd);
		K_UNTIL(&r.k, &s.done);
		T_ERR(s.err, MSP_ECLOSED);
		k_settle(&r.k);
		rig_close(&r);
	}
}

static void stream_to_a_client_already_gone_ends_at_once(void **state)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };
	struct source s = { .total = 10, .size = 100 };
	struct rig r;
	int fd = rig_with_request(&r, NULL, 0);

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), 0);
	close(fd);
	k_settle(&r.k);
	start_stream(&r, 0, &s);
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_ECLOSED);
	assert_int_equal(s.pulls, 0);
	rig_close(&r);
}

static void client_that_takes_nothing_is_cut_off(void **state)
{
	struct msp_server_limits limits = { .stall_ms = 40 };
	struct source s = { .total = 100000, .size = 50000 };
	struct rig r;
	int fd = rig_with_request(&r, &limits, 16384);

	(void)state;
	start_stream(&r, 0, &s);
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_ETIMEOUT);
	close(fd);
	rig_close(&r);
}

static void failing_pull_closes_the_connection(void **state)
{
	struct source s = { .total = 3, .size = 100, .fail_at_end = MSP_ECORRUPT };
	struct rig r;
	int fd = rig_with_request(&r, NULL, 0);

	(void)state;
	start_stream(&r, 0, &s);
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_ECORRUPT);
	close(fd);
	rig_close(&r);
}

static void stream_by_udp_is_refused_from_the_loop(void **state)
{
	struct source s = { .total = 3, .size = 100 };
	uint8_t q[512];
	struct rig r;
	size_t len;
	int fd;

	(void)state;
	rig_open(&r, NULL);
	r.holds = true;
	fd = k_connect(&r.addr, SOCK_DGRAM);
	len = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_AXFR);
	k_send(fd, q + 2, len - 2);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	start_stream(&r, 0, &s);
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_ESTATE);
	assert_int_equal(s.pulls, 0);
	close(fd);
	rig_close(&r);
}

static void closing_the_server_ends_its_streams(void **state)
{
	struct source s = { .total = 100000, .size = 50000 }, t = s;
	struct rig r;
	int fd = rig_with_request(&r, NULL, 16384);

	(void)state;
	start_stream(&r, 0, &s);
	k_settle(&r.k);
	assert_false(s.done);
	msp_server_close(&r.server);
	assert_false(s.done); /* from the loop */
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_ECANCEL);
	close(fd);
	rig_close(&r);

	fd = rig_with_request(&r, NULL, 16384);
	t.close_at_pull = &r.server;
	start_stream(&r, 0, &t);
	K_UNTIL(&r.k, &t.done);
	T_ERR(t.err, MSP_ECANCEL);
	assert_int_equal(t.pulls, 3);
	close(fd);
	rig_close(&r);
}

/* --- chunks --- */

static enum msp_err pull_chunk(void *arg, struct msp_stream_chunk *out)
{
	struct source *s = arg;

	assert_false(s->inside_call);
	assert_false(s->done);
	s->pulls++;
	if (s->given == s->total) {
		if (s->fail_at_end != MSP_OK)
			return s->fail_at_end;
		out->end = true;
		return MSP_OK;
	}
	/* One message in three parts: its length, an octet, the rest. */
	memset(s->memory + s->given * (s->size + 2) + 2, (int)(s->given & 0xff), s->size);
	s->memory[s->given * (s->size + 2)] = (uint8_t)(s->size >> 8);
	s->memory[s->given * (s->size + 2) + 1] = (uint8_t)(s->size & 0xff);
	out->part[0] = msp_span(s->memory + s->given * (s->size + 2), 2);
	out->part[1] = msp_span(out->part[0].ptr + 2, 1);
	out->part[2] = msp_span(out->part[0].ptr + 3, s->size - 1);
	out->count = 3;
	out->token = s->seen + s->given;
	s->given++;
	out->end = s->given == s->total && !s->end_apart && s->fail_at_end == MSP_OK;
	return MSP_OK;
}

static void sent(void *arg, void *token)
{
	struct source *s = arg;
	uint8_t *count = token;

	assert_false(s->inside_call);
	assert_false(s->done); /* all tokens before done */
	assert_int_equal(*count, 0);
	++*count;
	s->sent++;
	/* It is ours again: whoever still read it would read this. */
	memset(s->memory + (size_t)(count - s->seen) * (s->size + 2), 0xee, s->size + 2);
}

static void start_chunks(struct rig *r, struct source *s)
{
	s->seen = msp_alloc(s->total, 1);
	s->memory = msp_alloc(s->total, s->size + 2);
	assert_non_null(s->seen);
	assert_non_null(s->memory);
	s->inside_call = true;
	msp_req_stream_chunks(&r->held[0], pull_chunk, sent, done, s);
	s->inside_call = false;
	assert_false(s->done);
}

static void end_chunks(struct source *s)
{
	assert_int_equal(s->sent, s->given);
	for (size_t i = 0; i < s->given; i++)
		assert_int_equal(s->seen[i], 1);
	msp_free(s->seen);
	msp_free(s->memory);
}

static void chunks_arrive_whole_and_every_token_comes_back_once(void **state)
{
	struct msp_server_limits limits = { .write_watermark = 100000 };

	(void)state;
	for (int apart = 0; apart < 2; apart++) {
		struct source s = { .total = 400, .size = 30000, .end_apart = apart == 1 };
		struct rig r;
		int fd = rig_with_request(&r, &limits, 0);

		start_chunks(&r, &s);
		expect_stream(&r, fd, 400, 30000);
		K_UNTIL(&r.k, &s.done);
		T_ERR(s.err, MSP_OK);
		assert_int_equal(s.given, 400);
		assert_true(msp_server_stats(r.server).queued_max < 100000 + 30002);
		end_chunks(&s);
		close(fd);
		rig_close(&r);
	}
}

static void tokens_come_back_once_when_the_client_vanishes(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		struct source s = { .total = 2000, .size = 30000 };
		struct rig r;
		int fd = rig_with_request(&r, NULL, 16384);

		start_chunks(&r, &s);
		if (how > 0)
			expect_stream(&r, fd, 10, 30000);
		if (how == 2)
			msp_server_close(&r.server);
		close(fd);
		K_UNTIL(&r.k, &s.done);
		T_ERR(s.err, how == 2 ? MSP_ECANCEL : MSP_ECLOSED);
		assert_true(s.given < s.total);
		end_chunks(&s);
		rig_close(&r);
	}
}

static void tokens_come_back_once_when_a_pull_fails(void **state)
{
	struct source s = { .total = 5, .size = 30000, .fail_at_end = MSP_EIO };
	struct rig r;
	int fd = rig_with_request(&r, NULL, 16384);

	(void)state;
	start_chunks(&r, &s);
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_EIO);
	end_chunks(&s);
	close(fd);
	rig_close(&r);
}

/* --- memory --- */

/* Every allocation of a conversation fails once: nothing leaks, hangs or is called twice. */
/* Which stream was pulled, in order. */
struct turns {
	char order[64];
	size_t count;
};
struct turn_source {
	struct turns *turns;
	char name;
	size_t left;
	bool done;
};
static enum msp_err pull_turn(void *arg, struct msp_stream_chunk *out)
{
	static uint8_t chunk[50000] = { (50000 - 2) >> 8, (50000 - 2) & 0xff };
	struct turn_source *s = arg;

	if (s->turns->count < sizeof(s->turns->order))
		s->turns->order[s->turns->count++] = s->name;
	out->part[out->count++] = msp_span(chunk, sizeof(chunk));
	out->token = s;
	out->end = --s->left == 0;
	return MSP_OK;
}
static void turn_sent(void *arg, void *token)
{
	assert_ptr_equal(arg, token);
}
static void turn_done(void *arg, enum msp_err err)
{
	(void)err;
	((struct turn_source *)arg)->done = true;
}
static void no_stream_takes_more_than_a_watermark_in_a_round(void **state)
{
	struct msp_server_limits limits = { .write_watermark = 300000 };
	struct turns turns = { .count = 0 };
	struct turn_source a = { &turns, 'a', 40, false }, b = { &turns, 'b', 40, false };
	struct rig r;
	int fd[2];

	(void)state;
	rig_open(&r, &limits);
	r.holds = true;
	fd[0] = ask(&r, 1);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	fd[1] = ask(&r, 2);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	k_settle(&r.k);
	msp_req_stream_chunks(&r.held[0], pull_turn, turn_sent, turn_done, &a);
	msp_req_stream_chunks(&r.held[1], pull_turn, turn_sent, turn_done, &b);
	K_UNTIL_COUNT(&r.k, &turns.count, 12);
	/* Even though the kernel takes far more than that from each. */
	assert_memory_equal(turns.order, "aaaaaabbbbbb", 12);
	close(fd[0]);
	close(fd[1]);
	K_UNTIL(&r.k, &a.done);
	K_UNTIL(&r.k, &b.done);
	rig_close(&r);
}

static void one_chunk_waits_behind_the_one_under_way(void **state)
{
	struct msp_server_limits limits = { .write_watermark = 10000 };
	struct source s = { .total = 400, .size = 60000 };
	struct rig r;
	int fd = rig_with_request(&r, &limits, 4096);
	size_t given;

	(void)state;
	start_chunks(&r, &s);
	do {
		given = s.given;
		k_settle(&r.k);
	} while (s.given != given);
	assert_true(s.given < s.total);
	assert_int_equal(s.given - s.sent, 2); /* each is more than the watermark alone */
	close(fd);
	K_UNTIL(&r.k, &s.done);
	end_chunks(&s);
	rig_close(&r);
}

static void every_allocation_may_fail(void **state)
{
	bool failed = true;

	(void)state;
	for (size_t nth = 1; failed && nth < 200; nth++) {
		struct msp_addr any = k_addr("127.0.0.1", 0);
		struct source s = { .total = 3, .size = 1000 };
		uint8_t q[512];
		struct rig r;
		int fd;

		memset(&r, 0, sizeof(r));
		k_open(&r.k);
		r.holds = true;
		msp_mem_fail_at(nth);
		if (msp_server_open(r.k.loop, &any, NULL, handler, &r, &r.server, NULL) == MSP_OK) {
			fd = k_connect(msp_server_addr(r.server), SOCK_STREAM);
			k_send(fd, q, k_question(q, sizeof(q), 1, "example.", MSP_TYPE_AXFR));
			k_settle(&r.k);
			if (r.held_count == 1) {
				msp_req_stream(&r.held[0], pull, done, &s);
				k_settle(&r.k);
				assert_true(s.done);
			}
			close(fd);
		}
		failed = msp_mem_failed();
		msp_mem_fail_at(0);
		if (!failed)
			T_ERR(s.err, MSP_OK);
		rig_close(&r);
	}
	assert_false(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_question_is_answered),
		cmocka_unit_test(udp_answer_leaves_from_the_address_asked),
		cmocka_unit_test(request_tells_peer_local_and_transport),
		cmocka_unit_test(short_datagram_is_counted_and_dropped),
		cmocka_unit_test(ipv6_socket_leaves_ipv4_alone),
		cmocka_unit_test(message_in_single_octets_is_put_together),
		cmocka_unit_test(pipelined_messages_in_one_segment_are_all_answered_in_order),
		cmocka_unit_test(frames_survive_every_way_of_cutting_the_stream),
		cmocka_unit_test(message_of_64_kib_arrives_whole),
		cmocka_unit_test(message_shorter_than_a_header_closes_the_connection),
		cmocka_unit_test(end_in_the_middle_of_a_message_is_a_framing_error),
		cmocka_unit_test(half_closed_client_still_gets_its_answers),
		cmocka_unit_test(answers_may_come_in_another_order),
		cmocka_unit_test(outstanding_requests_stop_the_reading_until_answered),
		cmocka_unit_test(client_that_reads_no_answers_is_not_read_from),
		cmocka_unit_test(one_client_is_held_to_its_connections_and_the_idle_longest_goes),
		cmocka_unit_test(client_whose_connections_are_all_at_work_gets_no_more),
		cmocka_unit_test(all_connections_together_are_limited),
		cmocka_unit_test(idle_connection_is_closed_in_time),
		cmocka_unit_test(octets_that_trickle_in_do_not_keep_a_connection_open),
		cmocka_unit_test(idle_time_does_not_run_while_a_request_is_held),
		cmocka_unit_test(address_in_use_is_told_with_a_reason),
		cmocka_unit_test(address_is_free_again_at_once_after_close),
		cmocka_unit_test(request_outlives_the_server),
		cmocka_unit_test(answer_to_a_client_that_has_gone_is_dropped),
		cmocka_unit_test(server_may_be_closed_by_its_handler),
		cmocka_unit_test(stream_arrives_whole_and_in_order),
		cmocka_unit_test(other_answers_wait_until_the_stream_has_ended),
		cmocka_unit_test(slow_reader_holds_the_stream_at_the_watermark),
		cmocka_unit_test(client_that_vanishes_mid_stream_ends_it_once),
		cmocka_unit_test(stream_to_a_client_already_gone_ends_at_once),
		cmocka_unit_test(client_that_takes_nothing_is_cut_off),
		cmocka_unit_test(failing_pull_closes_the_connection),
		cmocka_unit_test(stream_by_udp_is_refused_from_the_loop),
		cmocka_unit_test(closing_the_server_ends_its_streams),
		cmocka_unit_test(chunks_arrive_whole_and_every_token_comes_back_once),
		cmocka_unit_test(tokens_come_back_once_when_the_client_vanishes),
		cmocka_unit_test(tokens_come_back_once_when_a_pull_fails),
		cmocka_unit_test(no_stream_takes_more_than_a_watermark_in_a_round),
		cmocka_unit_test(one_chunk_waits_behind_the_one_under_way),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
