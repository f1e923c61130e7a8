/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/server_priv.h"

#include <assert.h>
#include <string.h>

#include <msproto/base/mem.h>

#define BACKLOG         512
#define PORT_TRIES      16   /* port 0: a port free for TCP may be taken for UDP */
#define ACCEPT_AGAIN_MS 1000 /* after running out of memory */
#define HEADER_LEN      12

const struct msp_server_limits msp_server_limits_default = {
	.tcp_connections = 512,
	.tcp_per_client = 10,
	.outstanding_per_conn = 100,
	.idle_ms = 10000,
	.write_watermark = 1 << 20,
	.stall_ms = 60000,
};

void msp_server_ref(struct msp_server *s)
{
	s->refs++;
}

void msp_server_unref(struct msp_server *s)
{
	assert(s->refs > 0);
	if (--s->refs > 0)
		return;
	msp_tls_unref(&s->tls);
	msp_free(s);
}

/* --- requests --- */

struct msp_span msp_req_message(const struct msp_req *req)
{
	return msp_span(req->octets, req->len);
}

const struct msp_addr *msp_req_peer(const struct msp_req *req)
{
	return &req->peer;
}

const struct msp_addr *msp_req_local(const struct msp_req *req)
{
	return &req->local;
}

bool msp_req_is_tcp(const struct msp_req *req)
{
	return req->conn != NULL;
}

const struct msp_tls_peer *msp_req_tls(const struct msp_req *req)
{
	return req->conn != NULL && req->conn->is_secured ? &req->conn->tls : NULL;
}

void msp_req_free(struct msp_req *req)
{
	if (req->conn != NULL)
		msp_conn_unref(req->conn);
	else
		req->server->udp_held--;
	msp_server_unref(req->server);
	msp_free(req->out);
	msp_free(req);
}

void msp_req_reply(struct msp_req **req, struct msp_span message)
{
	struct msp_req *r = *req;

	*req = NULL;
	assert(r->kind == REQ_HELD);
	if (r->conn == NULL) {
		if (r->server->udp != NULL && msp_udp_reply(r->server->udp, &r->path, message) == MSP_OK)
			r->server->stats.replies++;
		msp_req_free(r);
		return;
	}
	r->kind = REQ_MESSAGE;
	if (message.len <= UINT16_MAX)
		r->out = msp_alloc(1, 2 + message.len);
	if (r->out != NULL) {
		r->out_len = 2 + message.len;
		r->out[0] = (uint8_t)(message.len >> 8);
		r->out[1] = (uint8_t)(message.len & 0xff);
		if (message.len > 0)
			memcpy(r->out + 2, message.ptr, message.len);
	}
	msp_conn_answer(r->conn, r);
}

void msp_req_drop(struct msp_req **req)
{
	struct msp_req *r = *req;

	*req = NULL;
	if (r == NULL)
		return;
	assert(r->kind == REQ_HELD);
	if (r->conn != NULL)
		msp_conn_drop(r->conn);
	msp_req_free(r);
}

static void refuse_stream(void *arg)
{
	struct msp_req *r = arg;

	r->done(r->arg, MSP_ESTATE);
	msp_req_free(r);
}

static void begin_stream(struct msp_req *r)
{
	if (r->conn == NULL)
		msp_loop_post(r->server->loop, &r->refuse, refuse_stream, r);
	else
		msp_conn_answer(r->conn, r);
}

void msp_req_stream(struct msp_req **req, msp_pull_fn *pull, msp_stream_done_fn *done, void *arg)
{
	struct msp_req *r = *req;

	*req = NULL;
	assert(r->kind == REQ_HELD);
	r->kind = REQ_STREAM;
	r->pull = pull;
	r->done = done;
	r->arg = arg;
	begin_stream(r);
}

void msp_req_stream_chunks(struct msp_req **req, msp_pull_chunk_fn *pull, msp_chunk_sent_fn *sent,
			   msp_stream_done_fn *done, void *arg)
{
	struct msp_req *r = *req;

	*req = NULL;
	assert(r->kind == REQ_HELD);
	r->kind = REQ_CHUNKS;
	r->pull_chunk = pull;
	r->sent = sent;
	r->done = done;
	r->arg = arg;
	begin_stream(r);
}

void msp_req_stream_abort(struct msp_req *stream, enum msp_err err)
{
	assert(stream->kind == REQ_STREAM || stream->kind == REQ_CHUNKS);
	if (stream->conn != NULL)
		msp_conn_end(stream->conn, err);
}

/* --- sockets --- */

static void on_datagram(void *arg, enum msp_err err, struct msp_span octets, const struct msp_udp_path *path)
{
	struct msp_server *s = arg;
	struct msp_req *req;

	if (err != MSP_OK)
		return; /* somebody's ICMP error for an answer of ours */
	s->stats.udp_in++;
	if (octets.len < HEADER_LEN) {
		s->stats.udp_short++;
		return;
	}
	req = s->udp_held < MSP_UDP_HELD_MAX ? msp_alloc(1, sizeof(*req) + octets.len) : NULL;
	if (req == NULL) {
		s->stats.udp_overrun++;
		return;
	}
	req->server = s;
	msp_server_ref(s);
	s->udp_held++;
	req->path = *path;
	req->local = path->local;
	msp_sockaddr_get(&path->peer, &req->peer);
	req->len = octets.len;
	memcpy(req->octets, octets.ptr, octets.len);
	s->handler(s->arg, req);
}

/* The idle one whose last activity is longest ago; of one client when `client` is given. NULL: all are at work. */
static struct conn *idle_longest(struct msp_server *s, const struct msp_addr *client)
{
	for (struct conn *c = s->first; c != NULL; c = c->next)
		if (msp_conn_is_idle(c) && (client == NULL || msp_addr_same_host(&c->peer, client)))
			return c;
	return NULL;
}

static bool make_room(struct msp_server *s, const struct msp_addr *client)
{
	struct conn *victim;
	size_t same = 0;

	for (const struct conn *c = s->first; c != NULL; c = c->next)
		same += msp_addr_same_host(&c->peer, client);
	if (same < s->limits.tcp_per_client && s->conn_count < s->limits.tcp_connections)
		return true;
	victim = idle_longest(s, same >= s->limits.tcp_per_client ? client : NULL);
	if (victim == NULL)
		return false;
	msp_log(s->loop->log, MSP_LOG_DEBUG, "tcp-idle-closed", MSP_F_STR("peer", MSP_ADDR(&victim->peer)),
		MSP_F_STR("for", MSP_ADDR(client)));
	msp_conn_end(victim, MSP_ECLOSED);
	return true;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct msp_server *s = listener->data;
	struct msp_tcp *tcp = NULL;
	struct msp_addr peer;
	struct conn *c;
	enum msp_err err;

	if (status != 0 || s->is_closed)
		return;
	err = msp_tcp_accept_tls(s->loop, listener, s->tls, &tcp);
	if (err == MSP_ENOMEM)
		msp_timer_start(s->accept_again, ACCEPT_AGAIN_MS); /* libuv waits until this one is taken */
	if (err != MSP_OK)
		return;
	s->stats.tcp_accepted++;
	if (msp_tcp_peer(tcp, &peer) != MSP_OK) { /* gone already */
		msp_tcp_close(&tcp);
		return;
	}
	if (!make_room(s, &peer)) {
		s->stats.tcp_refused++;
		msp_log(s->loop->log, MSP_LOG_DEBUG, "tcp-refused", MSP_F_STR("peer", MSP_ADDR(&peer)));
		msp_tcp_close(&tcp);
		return;
	}
	if (msp_conn_new(s, tcp, &peer, &c) != MSP_OK)
		s->stats.tcp_refused++;
}

static void on_accept_again(void *arg)
{
	struct msp_server *s = arg;

	on_connection((uv_stream_t *)&s->listener, 0);
}

static void on_listener_closed(uv_handle_t *h)
{
	msp_server_unref(h->data);
}

static void close_listener(struct msp_server *s)
{
	uv_close((uv_handle_t *)&s->listener, on_listener_closed);
}

/* On failure the listener is being closed, and will let go of s. */
static enum msp_err open_listener(struct msp_server *s, const struct msp_addr *addr, struct msp_why *why)
{
	union msp_sockaddr sa;
	int len = sizeof(sa);
	int rc = uv_tcp_init_ex(&s->loop->uv, &s->listener, (unsigned)msp_sockaddr_family(addr));

	if (rc != 0)
		return msp_fail(why, MSP_ENET, "TCP socket for %s: %s", MSP_ADDR(addr), uv_strerror(rc));
	s->listener.data = s;
	msp_server_ref(s);
	msp_sockaddr_set(&sa, addr);
	/* libuv sets SO_REUSEADDR: connections of an earlier run in TIME_WAIT do not keep us out. */
	rc = uv_tcp_bind(&s->listener, &sa.sa, addr->family == MSP_FAMILY_V6 ? UV_TCP_IPV6ONLY : 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
	if (rc == 0)
		rc = uv_tcp_getsockname(&s->listener, &sa.sa, &len);
	if (rc != 0) {
		close_listener(s);
		return msp_fail(why, MSP_ENET, "TCP %s: %s", MSP_ADDR(addr), uv_strerror(rc));
	}
	msp_sockaddr_get(&sa, &s->addr);
	return MSP_OK;
}

static enum msp_err open_pair(struct msp_server *s, const struct msp_addr *addr, struct msp_why *why)
{
	enum msp_err err = open_listener(s, addr, why);

	if (err != MSP_OK || s->tls != NULL)
		return err;
	err = msp_udp_bind(s->loop, &s->addr, on_datagram, s, &s->udp, why);
	if (err != MSP_OK)
		close_listener(s);
	return err;
}

static void fill_defaults(struct msp_server_limits *l)
{
	const struct msp_server_limits *d = &msp_server_limits_default;

	l->tcp_connections = l->tcp_connections != 0 ? l->tcp_connections : d->tcp_connections;
	l->tcp_per_client = l->tcp_per_client != 0 ? l->tcp_per_client : d->tcp_per_client;
	l->outstanding_per_conn = l->outstanding_per_conn != 0 ? l->outstanding_per_conn : d->outstanding_per_conn;
	l->idle_ms = l->idle_ms != 0 ? l->idle_ms : d->idle_ms;
	l->write_watermark = l->write_watermark != 0 ? l->write_watermark : d->write_watermark;
	l->stall_ms = l->stall_ms != 0 ? l->stall_ms : d->stall_ms;
}

void msp_server_set_limits(struct msp_server *s, const struct msp_server_limits *limits)
{
	s->limits = *limits;
	fill_defaults(&s->limits);
}

void msp_server_set_tls(struct msp_server *s, struct msp_tls *tls)
{
	struct msp_tls *old = s->tls;

	assert(old != NULL && tls != NULL);
	s->tls = msp_tls_ref(tls);
	msp_tls_unref(&old);
}

static enum msp_err open_once(struct msp_loop *loop, const struct msp_addr *addr,
			      const struct msp_server_limits *limits, struct msp_tls *tls, msp_request_fn *handler,
			      void *arg, struct msp_server **out, struct msp_why *why)
{
	struct msp_server *s = msp_alloc(1, sizeof(*s));
	enum msp_err err;

	if (s == NULL)
		return msp_fail(why, MSP_ENOMEM, "out of memory");
	s->loop = loop;
	s->handler = handler;
	s->arg = arg;
	s->refs = 1;
	s->tls = msp_tls_ref(tls);
	msp_server_set_limits(s, limits != NULL ? limits : &msp_server_limits_default);
	err = msp_timer_new(loop, on_accept_again, s, &s->accept_again);
	if (err == MSP_OK)
		err = open_pair(s, addr, why);
	if (err != MSP_OK) {
		s->is_closed = true;
		msp_timer_close(&s->accept_again);
		msp_server_unref(s);
		return err;
	}
	*out = s;
	return MSP_OK;
}

static enum msp_err open_some(struct msp_loop *loop, const struct msp_addr *addr,
			      const struct msp_server_limits *limits, struct msp_tls *tls, msp_request_fn *handler,
			      void *arg, struct msp_server **out, struct msp_why *why)
{
	enum msp_err err = MSP_ENET;

	if (addr->family == MSP_FAMILY_NONE)
		return msp_fail(why, MSP_EVALUE, "no address to listen on");
	for (int i = 0; i < (addr->port == 0 ? PORT_TRIES : 1) && err == MSP_ENET; i++)
		err = open_once(loop, addr, limits, tls, handler, arg, out, why);
	return err;
}

enum msp_err msp_server_open(struct msp_loop *loop, const struct msp_addr *addr, const struct msp_server_limits *limits,
			     msp_request_fn *handler, void *arg, struct msp_server **out, struct msp_why *why)
{
	return open_some(loop, addr, limits, NULL, handler, arg, out, why);
}

enum msp_err msp_server_open_tls(struct msp_loop *loop, const struct msp_addr *addr,
				 const struct msp_server_limits *limits, struct msp_tls *tls, msp_request_fn *handler,
				 void *arg, struct msp_server **out, struct msp_why *why)
{
	assert(tls != NULL);
	return open_some(loop, addr, limits, tls, handler, arg, out, why);
}

const struct msp_addr *msp_server_addr(const struct msp_server *s)
{
	return &s->addr;
}

struct msp_server_stats msp_server_stats(const struct msp_server *s)
{
	return s->stats;
}

void msp_server_close(struct msp_server **s)
{
	struct msp_server *old = *s;
	struct conn *next;

	if (old == NULL)
		return;
	*s = NULL;
	old->is_closed = true;
	close_listener(old);
	msp_udp_close(&old->udp);
	msp_timer_close(&old->accept_again);
	for (struct conn *c = old->first; c != NULL; c = next) {
		next = c->next;
		msp_conn_wind_down(c);
	}
	msp_server_unref(old);
}
