/* SPDX-License-Identifier: BSD-2-Clause */
/* A server behind TLS, from its listener to its streams, and our own client against it. */
#include "tlskit.h"

#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>

#include "io/server_priv.h"
#include "io/tcp_priv.h"

#define HELD_MAX 256

static struct pki pki;

static int open_pki(void **state)
{
	(void)state;
	pki_open(&pki);
	return 0;
}
static int close_pki(void **state)
{
	(void)state;
	pki_close(&pki);
	return 0;
}

struct rig {
	struct k_loop k;
	struct msp_server *server;
	struct msp_addr addr;
	bool holds;
	struct msp_req *held[HELD_MAX];
	size_t held_count, calls;
	struct msp_tls_peer peer; /* of the last request */
	/* of an exchange */
	bool done;
	enum msp_err err;
	size_t answer_len;
};

static void handler(void *arg, struct msp_req *req)
{
	struct rig *r = arg;

	r->calls++;
	assert_true(msp_req_is_tcp(req));
	assert_non_null(msp_req_tls(req));
	r->peer = *msp_req_tls(req);
	if (!r->holds) {
		k_echo(&req);
		return;
	}
	assert_true(r->held_count < HELD_MAX);
	r->held[r->held_count++] = req;
}

static void rig_open_with(struct rig *r, struct msp_tls *tls, const struct msp_server_limits *limits)
{
	struct msp_addr any = k_addr("127.0.0.1", 0);
	struct msp_why why = { "" };

	memset(r, 0, sizeof(*r));
	k_open(&r->k);
	T_OK(msp_server_open_tls(r->k.loop, &any, limits, tls, handler, r, &r->server, &why));
	msp_tls_unref(&tls); /* the server has its own */
	r->addr = *msp_server_addr(r->server);
}
static void rig_open(struct rig *r, const struct msp_server_limits *limits)
{
	rig_open_with(r, pki_tls(&pki, true, "server", NULL, NULL, NULL, false), limits);
}
static void rig_close(struct rig *r)
{
	for (size_t i = 0; i < r->held_count; i++)
		if (r->held[i] != NULL)
			msp_req_drop(&r->held[i]);
	msp_server_close(&r->server);
	k_close(&r->k);
}

static void raw_open_good(struct raw *raw, struct rig *r)
{
	raw_open(raw, &r->k, &r->addr, "\3dot", TLS1_3_VERSION);
	assert_true(raw_shake(raw));
}

static void raw_ask(struct raw *raw, uint16_t id)
{
	uint8_t q[512];

	raw_write(raw, q, k_question(q, sizeof(q), id, "example.", MSP_TYPE_SOA));
}
static void raw_expect(struct raw *raw, uint16_t id)
{
	uint8_t m[512];
	size_t len;

	assert_int_equal(raw_read(raw, m, 2), 2);
	len = (size_t)m[0] << 8 | m[1];
	assert_in_range(len, 12, sizeof(m));
	assert_int_equal(raw_read(raw, m, len), len);
	assert_int_equal(k_id(m), id);
}

/* Something of the server's to wait for. */
struct watch {
	struct rig *r;
	bool (*is_so)(const struct msp_server *s);
};
static bool watch_step(void *arg)
{
	struct watch *w = arg;

	return w->is_so(w->r->server);
}
static void until(struct rig *r, bool (*is_so)(const struct msp_server *s))
{
	struct watch w = { r, is_so };

	assert_true(msp_loop_run_until(r->k.loop, watch_step, &w, K_LIMIT_MS));
}
static bool has_failed(const struct msp_server *s)
{
	return msp_server_stats(s).tls_failed > 0;
}
static bool has_framing_error(const struct msp_server *s)
{
	return msp_server_stats(s).tcp_framing_errors > 0;
}
static bool has_replied_four_times(const struct msp_server *s)
{
	return msp_server_stats(s).replies == 4;
}
static bool has_no_connection(const struct msp_server *s)
{
	return s->conn_count == 0;
}
static bool has_connection(const struct msp_server *s)
{
	return s->conn_count > 0;
}

/* --- questions and answers --- */

static void question_over_tls_is_answered(void **state)
{
	uint8_t pin[MSP_TLS_PIN_LEN] = { 0 };
	struct raw raw;
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	raw_open_good(&raw, &r);
	for (uint16_t i = 1; i < 5; i++) {
		raw_ask(&raw, i);
		raw_expect(&raw, i);
	}
	assert_false(r.peer.has_certificate);
	assert_memory_equal(r.peer.pin, pin, sizeof(pin));
	until(&r, has_replied_four_times);
	assert_int_equal(msp_server_stats(r.server).tls_failed, 0);
	raw_close(&raw);
	rig_close(&r);
}

static void tls_listener_has_no_udp(void **state)
{
	struct msp_addr any = k_addr("127.0.0.1", 0);
	struct msp_server *plain;
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	any.port = r.addr.port;
	assert_null(r.server->udp);
	T_ERR(msp_server_open(r.k.loop, &any, NULL, handler, &r, &plain, NULL),
	      MSP_ENET); /* the stream port is taken */
	rig_close(&r);
}

static void request_tells_who_the_client_is(void **state)
{
	uint8_t pin[MSP_TLS_PIN_LEN];
	struct raw raw;
	struct rig r;

	(void)state;
	T_OK(msp_tls_pin_of_file(pki_path(&pki, "client.pem"), pin, NULL));
	rig_open_with(&r, pki_tls(&pki, true, "server", NULL, "ca", NULL, false), NULL);
	raw_open(&raw, &r.k, &r.addr, "\3dot", TLS1_3_VERSION);
	raw_identify(&raw, &pki, "client");
	assert_true(raw_shake(&raw));
	raw_ask(&raw, 1);
	raw_expect(&raw, 1);
	assert_true(r.peer.has_certificate);
	assert_true(r.peer.is_ca_valid);
	assert_memory_equal(r.peer.pin, pin, sizeof(pin));
	raw_close(&raw);
	rig_close(&r);
}

static void on_answer(void *arg, enum msp_err err, struct msp_span answer)
{
	struct rig *r = arg;

	r->done = true;
	r->err = err;
	r->answer_len = answer.len;
}

/* Takes the reference to tls. */
static void check_exchange(struct rig *r, struct msp_tls *tls, enum msp_err want)
{
	uint8_t q[512];
	size_t len = k_question(q, sizeof(q), 4711, "example.", MSP_TYPE_SOA);
	struct msp_xchg_params p = { .server = r->addr, .tls = tls, .message = msp_span(q + 2, len - 2) };

	r->done = false;
	T_OK(msp_xchg_start(r->k.loop, &p, on_answer, r, NULL));
	msp_tls_unref(&tls); /* the exchange has its own */
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->err, want);
	if (want == MSP_OK)
		assert_int_equal(r->answer_len, len - 2);
}

static void exchange_goes_over_tls_to_whom_we_believe(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	check_exchange(&r, pki_tls(&pki, false, NULL, "server", NULL, NULL, false), MSP_OK);
	check_exchange(&r, pki_tls(&pki, false, NULL, NULL, "ca", "ns.example.test", false), MSP_OK);
	assert_int_equal(r.calls, 2);
	check_exchange(&r, pki_tls(&pki, false, NULL, "client", NULL, NULL, false), MSP_ENOKEY);
	check_exchange(&r, pki_tls(&pki, false, NULL, NULL, "ca", "other.test", false), MSP_ENOKEY);
	assert_int_equal(r.calls, 2); /* not a word was said to it */
	until(&r, has_no_connection);
	assert_int_equal(msp_server_stats(r.server).tls_failed, 2);
	rig_close(&r);
}

static void exchange_shows_a_certificate_when_it_is_asked(void **state)
{
	struct rig r;

	(void)state;
	rig_open_with(&r, pki_tls(&pki, true, "server", "client", NULL, NULL, false), NULL);
	check_exchange(&r, pki_tls(&pki, false, "client", "server", NULL, NULL, false), MSP_OK);
	assert_int_equal(r.calls, 1);
	for (int i = 0; i < 2; i++) { /* a wrong one, and none: told by an alert, or by the end of the connection */
		uint8_t q[512];
		size_t len = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_SOA);
		struct msp_tls *tls = pki_tls(&pki, false, i == 0 ? "other" : NULL, "server", NULL, NULL, false);
		struct msp_xchg_params p = { .server = r.addr, .tls = tls, .message = msp_span(q + 2, len - 2) };

		r.done = false;
		T_OK(msp_xchg_start(r.k.loop, &p, on_answer, &r, NULL));
		msp_tls_unref(&tls);
		K_UNTIL(&r.k, &r.done);
		assert_int_not_equal(r.err, MSP_OK);
		assert_int_not_equal(r.err, MSP_ETIMEOUT);
	}
	assert_int_equal(r.calls, 1);
	until(&r, has_no_connection);
	assert_int_equal(msp_server_stats(r.server).tls_failed, 2);
	rig_close(&r);
}

static void client_that_speaks_no_tls_gets_nothing(void **state)
{
	uint8_t q[512], got[512];
	struct rig r;
	size_t len = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_SOA);
	int fd;

	(void)state;
	rig_open(&r, NULL);
	fd = k_connect(&r.addr, SOCK_STREAM);
	k_send(fd, q, len);
	len = k_recv(&r.k, fd, got, sizeof(got));
	assert_true(len == 0 || got[0] == 21); /* an alert at most */
	assert_int_equal(r.calls, 0);
	until(&r, has_failed);
	close(fd);
	rig_close(&r);
}

static void client_without_alpn_or_of_yesterday_is_refused(void **state)
{
	struct raw raw;
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	raw_open(&raw, &r.k, &r.addr, NULL, TLS1_3_VERSION);
	assert_false(raw_shake(&raw));
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
	raw_close(&raw);
	raw_open(&raw, &r.k, &r.addr, "\3dot", TLS1_2_VERSION);
	assert_false(raw_shake(&raw));
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	raw_close(&raw);
	ERR_clear_error();
	until(&r, has_no_connection);
	assert_int_equal(msp_server_stats(r.server).tls_failed, 2);
	assert_int_equal(r.calls, 0);
	rig_close(&r);
}

/* --- time and limits --- */

static void handshake_that_stalls_is_cut_off(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	/* The idle time of a connection runs, whatever trickles in. */
	rig_open(&r, &(struct msp_server_limits){ .idle_ms = 30 });
	fd = k_connect(&r.addr, SOCK_STREAM);
	k_send(fd, "\x16\x03\x01\x02\x00\x01", 6);
	assert_true(k_is_closed(&r.k, fd));
	assert_int_equal(msp_server_stats(r.server).tls_failed, 1);
	close(fd);
	rig_close(&r);
	/* And where that is longer, the handshake has a term of its own. */
	rig_open(&r, &(struct msp_server_limits){ .idle_ms = 1000000 });
	fd = k_connect(&r.addr, SOCK_STREAM);
	k_send(fd, "\x16\x03\x01\x02\x00\x01", 6);
	until(&r, has_connection);
	msp_timer_start(r.server->first->tcp->tls->timer, 1); /* as if its time were nearly over */
	assert_true(k_is_closed(&r.k, fd));
	assert_int_equal(msp_server_stats(r.server).tls_failed, 1);
	close(fd);
	rig_close(&r);
}

static void handshakes_under_way_count_against_the_limits(void **state)
{
	struct msp_server_limits limits = { .tcp_per_client = 3, .tcp_connections = 100 };
	struct raw raw;
	struct rig r;
	int fd[5];

	(void)state;
	rig_open(&r, &limits);
	for (int i = 0; i < 5; i++)
		fd[i] = k_connect(&r.addr, SOCK_STREAM);
	/* They have done nothing: they go, the oldest first, for who comes after them. */
	assert_true(k_is_closed(&r.k, fd[0]));
	assert_true(k_is_closed(&r.k, fd[1]));
	raw_open_good(&raw, &r);
	raw_ask(&raw, 7);
	raw_expect(&raw, 7);
	assert_int_equal(r.server->conn_count, 3);
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	raw_close(&raw);
	rig_close(&r);
}

static void limits_may_change_while_it_runs(void **state)
{
	struct msp_server_limits limits = { .tcp_per_client = 1 };
	struct raw a, b;
	struct rig r;

	(void)state;
	rig_open(&r, &limits);
	r.holds = true;
	raw_open_good(&a, &r);
	raw_ask(&a, 1);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	raw_open(&b, &r.k, &r.addr, "\3dot", TLS1_3_VERSION);
	assert_false(raw_shake(&b)); /* one client, one connection, and that is at work */
	raw_close(&b);
	msp_server_set_limits(r.server, &(struct msp_server_limits){ .tcp_per_client = 2 });
	raw_open_good(&b, &r);
	raw_ask(&b, 2);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	k_echo(&r.held[1]);
	raw_expect(&b, 2);
	k_echo(&r.held[0]);
	raw_expect(&a, 1);
	raw_close(&a);
	raw_close(&b);
	rig_close(&r);
}

static void many_connections_at_once_are_all_served(void **state)
{
	enum { N = 60 };
	static struct raw raw[N];
	struct rig r;

	(void)state;
	rig_open(&r, &(struct msp_server_limits){ .tcp_per_client = N });
	for (int i = 0; i < N; i++)
		raw_open(&raw[i], &r.k, &r.addr, "\3dot", TLS1_3_VERSION);
	for (int i = N - 1; i >= 0; i--)
		assert_true(raw_shake(&raw[i]));
	for (int i = 0; i < N; i++)
		raw_ask(&raw[i], (uint16_t)i);
	for (int i = 0; i < N; i++)
		raw_expect(&raw[i], (uint16_t)i);
	assert_int_equal(r.server->conn_count, N);
	for (int i = 0; i < N; i++)
		raw_close(&raw[i]);
	until(&r, has_no_connection);
	assert_int_equal(msp_server_stats(r.server).tls_failed, 0);
	rig_close(&r);
}

static void new_certificate_is_shown_to_new_connections_only(void **state)
{
	struct msp_tls *next;
	struct raw old, new;
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	raw_open_good(&old, &r);
	next = pki_tls(&pki, true, "other", NULL, NULL, NULL, false);
	msp_server_set_tls(r.server, next);
	msp_tls_unref(&next);
	raw_ask(&old, 1); /* the old context lives as long as it */
	raw_expect(&old, 1);
	check_exchange(&r, pki_tls(&pki, false, NULL, "server", NULL, NULL, false), MSP_ENOKEY);
	check_exchange(&r, pki_tls(&pki, false, NULL, "other", NULL, NULL, false), MSP_OK);
	raw_open_good(&new, &r);
	raw_ask(&new, 2);
	raw_expect(&new, 2);
	raw_close(&old);
	raw_close(&new);
	rig_close(&r);
}

/* --- ends --- */

static void client_that_says_goodbye_still_gets_its_answers(void **state)
{
	uint8_t octet;
	struct raw raw;
	struct rig r;

	(void)state;
	for (int how = 0; how < 2; how++) { /* close_notify, or nothing but the end of the socket */
		rig_open(&r, NULL);
		r.holds = true;
		raw_open_good(&raw, &r);
		raw_ask(&raw, 5);
		if (how == 0)
			assert_int_equal(SSL_shutdown(raw.ssl), 0);
		else
			assert_int_equal(shutdown(raw.fd, SHUT_WR), 0);
		K_UNTIL_COUNT(&r.k, &r.held_count, 1);
		k_settle(&r.k);
		k_echo(&r.held[0]);
		raw_expect(&raw, 5);
		assert_int_equal(raw_read(&raw, &octet, 1), 0);
		assert_int_equal(raw.error, SSL_ERROR_ZERO_RETURN); /* and we say goodbye too */
		assert_int_equal(msp_server_stats(r.server).tcp_framing_errors, 0);
		raw_close(&raw);
		rig_close(&r);
	}
}

static void end_in_the_middle_of_a_message_is_an_error(void **state)
{
	struct raw raw;
	struct rig r;

	(void)state;
	for (int how = 0; how < 2; how++) {
		rig_open(&r, NULL);
		raw_open_good(&raw, &r);
		raw_write(&raw, "\0\40abc", 5);
		k_settle(&r.k);
		if (how == 0)
			SSL_shutdown(raw.ssl);
		shutdown(raw.fd, SHUT_WR);
		until(&r, has_framing_error);
		until(&r, has_no_connection);
		assert_int_equal(r.calls, 0);
		raw_close(&raw);
		rig_close(&r);
	}
}

static void end_in_the_middle_of_a_record_ends_it_at_once(void **state)
{
	struct raw raw;
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	r.holds = true;
	raw_open_good(&raw, &r);
	raw_ask(&raw, 5);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	k_send(raw.fd, "\x17\x03\x03\x00\x20", 5);
	shutdown(raw.fd, SHUT_WR);
	until(&r, has_no_connection); /* although a request is outstanding: nobody is there to be believed */
	raw_close(&raw);
	rig_close(&r);
}

/* A server of the test's own that hands out octets and goes. */
static void answer_that_is_cut_short_is_no_answer(void **state)
{
	struct msp_addr any = k_addr("127.0.0.1", 0);
	union msp_sockaddr sa;
	socklen_t len = msp_sockaddr_set(&sa, &any);
	struct rig r;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), fd = -1;

	(void)state;
	rig_open(&r, NULL);
	assert_int_equal(bind(listener, &sa.sa, len), 0);
	assert_int_equal(listen(listener, 5), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(listener, &sa.sa, &len), 0);
	for (int how = 0; how < 3; how++) { /* at once; after half a record header; with garbage */
		struct msp_tls *tls = pki_tls(&pki, false, NULL, "server", NULL, NULL, false);
		uint8_t q[512];
		size_t n = k_question(q, sizeof(q), 1, "example.", MSP_TYPE_SOA);
		struct msp_xchg_params p = { .tls = tls, .message = msp_span(q + 2, n - 2) };

		msp_sockaddr_get(&sa, &p.server);
		r.done = false;
		T_OK(msp_xchg_start(r.k.loop, &p, on_answer, &r, NULL));
		msp_tls_unref(&tls);
		while ((fd = accept(listener, NULL, NULL)) < 0)
			k_settle(&r.k);
		if (how == 1)
			k_send(fd, "\x16\x03", 2);
		if (how == 2)
			k_send(fd, "SSH-2.0-x\r\n", 11);
		k_settle(&r.k);
		close(fd);
		K_UNTIL(&r.k, &r.done);
		assert_true(r.err == MSP_ECLOSED || r.err == MSP_ENET);
	}
	close(listener);
	rig_close(&r);
}

/* RFC 8446 4.6.3: each asks for an answer, and the client reads none. */
static void flood_of_key_updates_makes_us_hold_nothing(void **state)
{
	struct raw raw;
	struct rig r;

	(void)state;
	rig_open(&r, &(struct msp_server_limits){ .idle_ms = 100 });
	raw_open_good(&raw, &r);
	for (int i = 0; i < 2000; i++) {
		ERR_clear_error();
		if (SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(raw.ssl) != 1)
			break;
		if (i % 50 == 0)
			msp_loop_run_until(r.k.loop, k_never, NULL, 1);
		if (r.server->first != NULL)
			assert_true(msp_tls_conn_output(r.server->first->tcp->tls->conn).len < 70000);
	}
	until(&r, has_no_connection); /* it was no message, so it is idle */
	raw_close(&raw);
	ERR_clear_error();
	rig_close(&r);
}

/* --- streams --- */

struct source {
	size_t total, given, sent, size;
	uint8_t *memory, *seen;
	bool done;
	enum msp_err err;
};

/* Three messages in nine parts. */
static enum msp_err pull_chunk(void *arg, struct msp_stream_chunk *out)
{
	struct source *s = arg;
	uint8_t *m = s->memory + s->given * 3 * (s->size + 2);

	for (int i = 0; i < 3; i++, m += s->size + 2) {
		m[0] = (uint8_t)(s->size >> 8);
		m[1] = (uint8_t)(s->size & 0xff);
		memset(m + 2, (int)((s->given * 3 + (size_t)i) & 0xff), s->size);
		out->part[out->count++] = msp_span(m, 5);
		out->part[out->count++] = msp_span(m + 5, 0); /* nothing is allowed too */
		out->part[out->count++] = msp_span(m + 5, s->size - 3);
	}
	out->token = s->seen + s->given++;
	out->end = s->given == s->total;
	return MSP_OK;
}
static void on_sent(void *arg, void *token)
{
	struct source *s = arg;

	++*(uint8_t *)token;
	s->sent++;
	assert_false(s->done);
}
static void on_done(void *arg, enum msp_err err)
{
	struct source *s = arg;

	assert_false(s->done);
	s->done = true;
	s->err = err;
}
static void begin(struct rig *r, struct source *s)
{
	s->seen = msp_alloc(s->total, 1);
	s->memory = msp_alloc(s->total * 3, s->size + 2);
	assert_true(s->seen != NULL && s->memory != NULL);
	K_UNTIL_COUNT(&r->k, &r->held_count, 1);
	msp_req_stream_chunks(&r->held[0], pull_chunk, on_sent, on_done, s);
}
static void end(struct source *s)
{
	assert_int_equal(s->sent, s->given);
	for (size_t i = 0; i < s->given; i++)
		assert_int_equal(s->seen[i], 1);
	msp_free(s->seen);
	msp_free(s->memory);
}

static void stream_of_chunks_arrives_whole(void **state)
{
	struct source s = { .total = 100, .size = 16384 };
	static uint8_t got[16384 + 2];
	struct raw raw;
	struct rig r;

	(void)state;
	rig_open(&r, NULL);
	r.holds = true;
	raw_open_good(&raw, &r);
	raw_ask(&raw, 1);
	begin(&r, &s);
	for (size_t i = 0; i < s.total * 3; i++) {
		assert_int_equal(raw_read(&raw, got, s.size + 2), s.size + 2);
		assert_int_equal(got[0] << 8 | got[1], s.size);
		assert_int_equal(got[2], i & 0xff);
		assert_int_equal(got[s.size + 1], i & 0xff);
	}
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_OK);
	raw_ask(&raw, 2);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	k_echo(&r.held[1]);
	raw_expect(&raw, 2);
	end(&s);
	raw_close(&raw);
	rig_close(&r);
}

static void slow_reader_holds_the_stream_and_the_ciphertext_is_bounded(void **state)
{
	struct msp_server_limits limits = { .write_watermark = 300000 };
	struct source s = { .total = 400, .size = 16384 };
	static uint8_t got[3 * (16384 + 2)];
	struct raw raw;
	struct rig r;
	size_t given = 0;

	(void)state;
	rig_open(&r, &limits);
	r.holds = true;
	raw_open_good(&raw, &r);
	raw_ask(&raw, 1);
	begin(&r, &s);
	do { /* until nothing moves */
		given = s.given;
		k_settle(&r.k);
	} while (s.given != given);
	assert_true(s.given < s.total);
	assert_in_range(msp_server_stats(r.server).queued_max, 300000, 300000 + 2 * sizeof(got));
	assert_true(msp_tls_conn_output(r.server->first->tcp->tls->conn).len < 70000);
	for (size_t i = 0; i < s.total; i++)
		assert_int_equal(raw_read(&raw, got, sizeof(got)), sizeof(got));
	K_UNTIL(&r.k, &s.done);
	T_ERR(s.err, MSP_OK);
	end(&s);
	raw_close(&raw);
	rig_close(&r);
}

static void client_that_vanishes_or_stalls_ends_the_stream_once(void **state)
{
	struct raw raw;
	struct rig r;

	(void)state;
	for (int how = 0; how < 3; how++) { /* gone; takes nothing; the server closes */
		struct source s = { .total = 2000, .size = 16384 };

		rig_open(&r, &(struct msp_server_limits){ .stall_ms = 40 });
		r.holds = true;
		raw_open_good(&raw, &r);
		raw_ask(&raw, 1);
		begin(&r, &s);
		if (how == 0)
			close(raw.fd);
		if (how == 2) {
			k_settle(&r.k);
			msp_server_close(&r.server);
		}
		K_UNTIL(&r.k, &s.done);
		T_ERR(s.err, how == 0 ? MSP_ECLOSED : how == 1 ? MSP_ETIMEOUT : MSP_ECANCEL);
		assert_true(s.given < s.total);
		end(&s);
		if (how == 0)
			raw.fd = dup(0);
		raw_close(&raw);
		rig_close(&r);
	}
}

static void outstanding_requests_stop_the_reading_until_answered(void **state)
{
	struct msp_server_limits limits = { .outstanding_per_conn = 3 };
	enum { N = 200 };
	static uint8_t q[N * 64];
	size_t len = 0;
	struct raw raw;
	struct rig r;

	(void)state;
	rig_open(&r, &limits);
	r.holds = true;
	raw_open_good(&raw, &r);
	for (uint16_t i = 0; i < N; i++)
		len += k_question(q + len, sizeof(q) - len, i, "example.", MSP_TYPE_SOA);
	raw_write(&raw, q, len);
	for (size_t i = 0; i < N; i++) {
		K_UNTIL_COUNT(&r.k, &r.held_count, i + 1);
		assert_in_range(r.held_count, i + 1, i + 3);
		if (i % 50 == 0) {
			k_settle(&r.k);
			assert_int_equal(r.held_count, i + 3 < N ? i + 3 : N);
		}
		k_echo(&r.held[i]);
		raw_expect(&raw, (uint16_t)i);
	}
	raw_close(&raw);
	rig_close(&r);
}

/* Octets that come while reading is off wait, few of them here, the rest at the sender's. */
static void reading_turned_off_holds_the_peer_back(void **state)
{
	struct msp_server_limits limits = { .outstanding_per_conn = 1 };
	static uint8_t big[2 + 60000];
	struct raw raw;
	struct rig r;
	size_t sent = 0;
	int n;

	(void)state;
	rig_open(&r, &limits);
	r.holds = true;
	raw_open_good(&raw, &r);
	raw_ask(&raw, 1);
	K_UNTIL_COUNT(&r.k, &r.held_count, 1);
	big[0] = 60000 >> 8;
	big[1] = 60000 & 0xff;
	SSL_set_mode(raw.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	for (int idle = 0; idle < 5;) {
		ERR_clear_error();
		n = SSL_write(raw.ssl, big + sent % sizeof(big), (int)(sizeof(big) - sent % sizeof(big)));
		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		} else {
			assert_int_equal(SSL_get_error(raw.ssl, n), SSL_ERROR_WANT_WRITE);
			k_settle(&r.k);
			idle++;
		}
		assert_true(sent < 100000000); /* it is held back some time */
	}
	assert_true(r.server->first->tcp->tls->pending.len <= MSP_LOOP_OCTETS);
	assert_int_equal(r.held_count, 1);
	k_echo(&r.held[0]);
	K_UNTIL_COUNT(&r.k, &r.held_count, 2);
	assert_int_equal(msp_req_message(r.held[1]).len, 60000);
	raw_close(&raw);
	rig_close(&r);
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	for (size_t n = 1; n < 60; n++) {
		struct msp_tls *tls;
		struct rig r;
		uint8_t q[512];
		size_t len = k_question(q, sizeof(q), 4711, "example.", MSP_TYPE_SOA);
		struct msp_xchg_params p = { .message = msp_span(q + 2, len - 2) };

		rig_open(&r, &(struct msp_server_limits){ .idle_ms = 100 });
		tls = pki_tls(&pki, false, NULL, "server", NULL, NULL, false);
		p.server = r.addr;
		p.tls = tls;
		p.timeout_ms[0] = 300;
		T_OK(msp_xchg_start(r.k.loop, &p, on_answer, &r, NULL));
		msp_tls_unref(&tls);
		msp_mem_fail_at(n);
		/* One failure that lasts until the exchange is over or a little longer. */
		for (int i = 0; i < 20 && !r.done; i++)
			msp_loop_run_until(r.k.loop, k_is_true, &r.done, 2);
		msp_mem_fail_at(0);
		K_UNTIL(&r.k, &r.done);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(question_over_tls_is_answered),
		cmocka_unit_test(tls_listener_has_no_udp),
		cmocka_unit_test(request_tells_who_the_client_is),
		cmocka_unit_test(exchange_goes_over_tls_to_whom_we_believe),
		cmocka_unit_test(exchange_shows_a_certificate_when_it_is_asked),
		cmocka_unit_test(client_that_speaks_no_tls_gets_nothing),
		cmocka_unit_test(client_without_alpn_or_of_yesterday_is_refused),
		cmocka_unit_test(handshake_that_stalls_is_cut_off),
		cmocka_unit_test(handshakes_under_way_count_against_the_limits),
		cmocka_unit_test(limits_may_change_while_it_runs),
		cmocka_unit_test(many_connections_at_once_are_all_served),
		cmocka_unit_test(new_certificate_is_shown_to_new_connections_only),
		cmocka_unit_test(client_that_says_goodbye_still_gets_its_answers),
		cmocka_unit_test(end_in_the_middle_of_a_message_is_an_error),
		cmocka_unit_test(end_in_the_middle_of_a_record_ends_it_at_once),
		cmocka_unit_test(answer_that_is_cut_short_is_no_answer),
		cmocka_unit_test(flood_of_key_updates_makes_us_hold_nothing),
		cmocka_unit_test(stream_of_chunks_arrives_whole),
		cmocka_unit_test(slow_reader_holds_the_stream_and_the_ciphertext_is_bounded),
		cmocka_unit_test(client_that_vanishes_or_stalls_ends_the_stream_once),
		cmocka_unit_test(outstanding_requests_stop_the_reading_until_answered),
		cmocka_unit_test(reading_turned_off_holds_the_peer_back),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, open_pki, close_pki);
}
