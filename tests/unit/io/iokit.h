/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the io tests share: a loop with a watchdog, raw clients on plain sockets, small messages. */
#ifndef TEST_IOKIT_H
#define TEST_IOKIT_H

#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <msproto/io/loop.h>
#include <msproto/io/server.h>
#include <msproto/msg/msg.h>

#include "io/sockaddr.h"

#define K_LIMIT_MS 10000 /* a test that waits longer has failed */

/* A loop that wakes every millisecond, so that plain sockets in the same thread can be looked at. */
struct k_loop {
	struct msp_log log;
	struct msp_loop *loop;
	struct msp_timer *tick;
};

static inline void k_tick(void *arg)
{
	struct k_loop *k = arg;

	msp_timer_start(k->tick, 1);
}

static inline void k_open(struct k_loop *k)
{
	msp_log_init_null(&k->log);
	T_OK(msp_loop_new(&k->log, &k->loop));
	T_OK(msp_timer_new(k->loop, k_tick, k, &k->tick));
	msp_timer_start(k->tick, 1);
}

static inline void k_close(struct k_loop *k)
{
	msp_timer_close(&k->tick);
	msp_loop_free(&k->loop);
}

static inline bool k_is_true(void *arg)
{
	return *(bool *)arg;
}

struct k_count {
	const size_t *have;
	size_t want;
};
static inline bool k_is_count(void *arg)
{
	const struct k_count *c = arg;

	return *c->have >= c->want;
}

#define K_UNTIL(k, flag) assert_true(msp_loop_run_until((k)->loop, k_is_true, (flag), K_LIMIT_MS))
#define K_UNTIL_COUNT(k, counter, n)                                                                                   \
	assert_true(msp_loop_run_until((k)->loop, k_is_count, &(struct k_count){ (counter), (n) }, K_LIMIT_MS))

static inline bool k_never(void *arg)
{
	(void)arg;
	return false;
}
/* Let everything that is ready happen; for claims that something does *not* happen. */
static inline void k_settle(struct k_loop *k)
{
	msp_loop_run_until(k->loop, k_never, NULL, 30);
}

static inline struct msp_addr k_addr(const char *text, uint16_t port)
{
	struct msp_addr a;

	T_OK(msp_addr_parse(text, port, &a));
	return a;
}

/* A connected plain socket; type SOCK_STREAM or SOCK_DGRAM. rcvbuf 0 = the system's. */
static inline int k_connect_from(const struct msp_addr *to, const struct msp_addr *from, int type, int rcvbuf)
{
	union msp_sockaddr sa;
	socklen_t len;
	int fd = socket(msp_sockaddr_family(to), type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (rcvbuf != 0)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
	if (from != NULL) {
		len = msp_sockaddr_set(&sa, from);
		assert_int_equal(bind(fd, &sa.sa, len), 0);
	}
	len = msp_sockaddr_set(&sa, to);
	assert_int_equal(connect(fd, &sa.sa, len), 0);
	return fd;
}
static inline int k_connect(const struct msp_addr *to, int type)
{
	return k_connect_from(to, NULL, type, 0);
}

static inline void k_send(int fd, const void *octets, size_t len)
{
	assert_int_equal(send(fd, octets, len, MSG_NOSIGNAL), (ssize_t)len);
}

struct k_recv {
	int fd;
	uint8_t *to;
	size_t have, want;
	bool has_ended;
};
static inline bool k_recv_done(void *arg)
{
	struct k_recv *r = arg;

	while (r->have < r->want && !r->has_ended) {
		ssize_t n = recv(r->fd, r->to + r->have, r->want - r->have, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n <= 0)
			r->has_ended = true;
		else
			r->have += (size_t)n;
	}
	return true;
}
/* Up to `want` octets, fewer when the other side closes. */
static inline size_t k_recv(struct k_loop *k, int fd, void *to, size_t want)
{
	struct k_recv r = { .fd = fd, .to = to, .want = want };

	assert_true(msp_loop_run_until(k->loop, k_recv_done, &r, K_LIMIT_MS));
	return r.have;
}
/* One framed message; 0 = closed. */
static inline size_t k_recv_message(struct k_loop *k, int fd, uint8_t *to, size_t cap)
{
	uint8_t head[2];
	size_t len;

	if (k_recv(k, fd, head, 2) < 2)
		return 0;
	len = (size_t)head[0] << 8 | head[1];
	assert_true(len <= cap);
	assert_int_equal(k_recv(k, fd, to, len), len);
	return len;
}
static inline bool k_is_closed(struct k_loop *k, int fd)
{
	uint8_t octet;

	return k_recv(k, fd, &octet, 1) == 0;
}
/* One datagram. */
static inline bool k_datagram_done(void *arg)
{
	struct k_recv *r = arg;
	ssize_t n = recv(r->fd, r->to, r->want, MSG_DONTWAIT);

	if (n < 0)
		return false;
	r->have = (size_t)n;
	return true;
}
static inline size_t k_recv_datagram(struct k_loop *k, int fd, void *to, size_t cap)
{
	struct k_recv r = { .fd = fd, .to = to, .want = cap };

	assert_true(msp_loop_run_until(k->loop, k_datagram_done, &r, K_LIMIT_MS));
	return r.have;
}

/* A question with its two octets of length in front: the message is at +2. Returns the length of all. */
static inline size_t k_question(uint8_t *out, size_t cap, uint16_t id, const char *name, uint16_t type)
{
	struct msp_name n = t_name(name);
	struct msp_span octets;
	struct msp_msgw w;

	msp_msgw_init(&w, out + 2, cap - 2, id, MSP_OPCODE_QUERY, MSP_FLAG_RD);
	msp_msgw_question(&w, &n, type, MSP_CLASS_IN);
	T_OK(msp_msgw_finish(&w, &octets));
	out[0] = (uint8_t)(octets.len >> 8);
	out[1] = (uint8_t)(octets.len & 0xff);
	return octets.len + 2;
}

static inline uint16_t k_id(const uint8_t *message)
{
	return (uint16_t)(message[0] << 8 | message[1]);
}

/* The same octets as an answer: QR set. */
static inline void k_echo(struct msp_req **req)
{
	struct msp_span m = msp_req_message(*req);
	uint8_t out[4096];

	assert_true(m.len <= sizeof(out));
	memcpy(out, m.ptr, m.len);
	out[2] |= 0x80;
	msp_req_reply(req, msp_span(out, m.len));
}

#endif
