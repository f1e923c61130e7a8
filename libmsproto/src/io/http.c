/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/io/http.h>

#include <string.h>
#include <time.h>

#include <msproto/base/mem.h>

#include "io/http_parse.h"
#include "io/tcp.h"

#define BACKLOG 16
#define DRAIN_MAX                                                                                                      \
	(64u << 10)  /* octets that a client which sent too much may still send, so that it reads the answer           \
		      */
#define HEAD_MAX 512 /* of an answer */
#define TEXT     "text/plain; charset=utf-8"

enum hstate { H_READING, H_ANSWERING, H_DRAINING };

struct hconn {
	struct msp_http *http;
	struct hconn *next;  /* oldest first */
	struct msp_tcp *tcp; /* NULL: closed; the rest stays until the write is over */
	struct msp_timer *timer;
	enum hstate state;
	bool is_writing, has_more; /* has_more: the client sends what nobody reads */
	size_t drained;
	struct msp_buf in, head, body;
};

struct msp_http {
	uv_tcp_t listener;
	struct msp_loop *loop;
	msp_http_fn *handler;
	void *arg; /* borrowed until close */
	size_t body_max;
	uint32_t time_ms;
	struct msp_addr addr;
	struct hconn *first; /* open ones */
	bool is_closed;
	size_t refs; /* the owner, the listener, connections */
	struct msp_http_stats stats;
};

static void unref(struct msp_http *h)
{
	if (--h->refs == 0)
		msp_free(h);
}

/* --- a connection's end ------------------------------------------------------------------------------------------- */

static void conn_free(struct hconn *c)
{
	msp_buf_fini(&c->in);
	msp_buf_fini(&c->head);
	msp_buf_fini(&c->body);
	unref(c->http);
	msp_free(c);
}

static void conn_end(struct hconn *c)
{
	struct hconn **at = &c->http->first;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->http->stats.open--;
	msp_timer_close(&c->timer);
	msp_tcp_close(&c->tcp);
	if (!c->is_writing)
		conn_free(c);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void add_date(struct msp_buf *out)
{
	time_t t = (time_t)msp_wall_now().s;
	char text[40];
	struct tm tm;

	/* RFC 9110 6.6.1. Names come out in English: no daemon sets a locale. */
	if (gmtime_r(&t, &tm) != NULL && strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
		msp_buf_printf(out, "Date: %s\r\n", text);
}

static void on_wrote(void *arg, enum msp_err err)
{
	struct hconn *c = arg;

	c->is_writing = false;
	if (c->tcp == NULL) {
		conn_free(c);
		return;
	}
	if (err != MSP_OK || !c->has_more) {
		conn_end(c);
		return;
	}
	/* Closing with unread octets resets the connection, and the client may lose the answer: let it close first. */
	c->state = H_DRAINING;
	msp_timer_start(c->timer, c->http->time_ms);
	msp_tcp_read(c->tcp, true);
}

static void answer(struct hconn *c, unsigned status, const char *type, bool with_body)
{
	struct msp_span part[2];

	msp_buf_printf(&c->head, "HTTP/1.1 %u %s\r\n", status, msp_http_reason(status));
	add_date(&c->head);
	msp_buf_printf(&c->head,
		       "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
		       "X-Content-Type-Options: nosniff\r\nConnection: close\r\n%s\r\n",
		       type, c->body.len, status == 405 ? "Allow: GET, HEAD\r\n" : "");
	c->state = H_ANSWERING;
	msp_tcp_read(c->tcp, false);
	msp_timer_start(c->timer, c->http->time_ms);
	part[0] = msp_buf_span(&c->head);
	part[1] = msp_buf_span(&c->body);
	c->is_writing = true;
	if (c->head.err == MSP_OK &&
	    msp_tcp_write(c->tcp, part, with_body && part[1].len > 0 ? 2 : 1, on_wrote, c) == MSP_OK)
		return;
	c->is_writing = false;
	conn_end(c);
}

/* By the server itself. */
static void refuse(struct hconn *c, unsigned status)
{
	c->http->stats.refused++;
	msp_buf_reset(&c->body);
	msp_buf_printf(&c->body, "%s\n", msp_http_reason(status));
	answer(c, status, TEXT, true);
}

static void handle(struct hconn *c, size_t head_len)
{
	struct msp_http_answer a = { TEXT, &c->body };
	struct msp_http_request req;
	unsigned status = msp_http_parse(msp_span(c->in.ptr, head_len), &req);

	if (status != 200) {
		c->has_more = true; /* a body, most likely */
		refuse(c, status);
		return;
	}
	/* A second request, sent without waiting, is not read: the answer says that the connection ends. */
	c->has_more = c->has_more || c->in.len > head_len;
	c->http->stats.requests++;
	status = c->http->handler(c->http->arg, &req, &a);
	if (c->body.err != MSP_OK)
		refuse(c, 500);
	else
		answer(c, status, a.type, !req.is_head);
}

/* --- octets in ---------------------------------------------------------------------------------------------------- */

static void take(struct hconn *c, struct msp_span octets)
{
	size_t room = c->in.cap - c->in.len, end;

	msp_buf_add(&c->in, octets.ptr, octets.len < room ? octets.len : room);
	if (c->in.err != MSP_OK) {
		conn_end(c);
		return;
	}
	end = msp_http_head_end(msp_buf_span(&c->in));
	if (end > 0) {
		c->has_more = octets.len > room;
		handle(c, end);
	} else if (c->in.len == c->in.cap) {
		c->has_more = true;
		refuse(c, 431);
	}
}

static void on_octets(void *arg, const struct msp_tcp_in *in)
{
	struct hconn *c = arg;

	if (in->err != MSP_OK) {
		conn_end(c);
	} else if (c->state == H_READING) {
		take(c, in->octets);
	} else {
		c->drained += in->octets.len;
		if (c->drained > DRAIN_MAX)
			conn_end(c);
	}
}

static void on_time(void *arg)
{
	struct hconn *c = arg;

	c->http->stats.timeouts += c->state != H_DRAINING;
	if (c->state == H_READING && c->in.len > 0)
		refuse(c, 408);
	else
		conn_end(c);
}

/* --- listener ----------------------------------------------------------------------------------------------------- */

/* A client that is still sending is expected to be done at once: of many, the one that has taken longest goes. */
static bool make_room(struct msp_http *h)
{
	if (h->stats.open < MSP_HTTP_CONNS_MAX)
		return true;
	for (struct hconn *c = h->first; c != NULL; c = c->next) {
		if (c->state == H_ANSWERING)
			continue;
		conn_end(c);
		return true;
	}
	return false;
}

static enum msp_err conn_new(struct msp_http *h, struct msp_tcp **tcp)
{
	struct hconn *c = msp_alloc(1, sizeof(*c)), **at;
	enum msp_err err;

	if (c == NULL)
		return MSP_ENOMEM;
	err = msp_timer_new(h->loop, on_time, c, &c->timer);
	if (err != MSP_OK) {
		msp_free(c);
		return err;
	}
	c->http = h;
	h->refs++;
	h->stats.open++;
	for (at = &h->first; *at != NULL;)
		at = &(*at)->next;
	*at = c;
	c->tcp = *tcp;
	*tcp = NULL;
	msp_buf_init(&c->in, MSP_HTTP_HEADER_MAX);
	msp_buf_init(&c->head, HEAD_MAX);
	msp_buf_init(&c->body, h->body_max);
	msp_timer_start(c->timer, c->http->time_ms);
	msp_tcp_set_reader(c->tcp, on_octets, c);
	msp_tcp_read(c->tcp, true);
	return MSP_OK;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct msp_http *h = listener->data;
	struct msp_tcp *tcp = NULL;

	if (status != 0 || h->is_closed || msp_tcp_accept(h->loop, listener, &tcp) != MSP_OK)
		return;
	h->stats.accepted++;
	if (!make_room(h) || conn_new(h, &tcp) != MSP_OK)
		msp_tcp_close(&tcp);
}

static void on_listener_closed(uv_handle_t *handle_)
{
	unref(handle_->data);
}

static int listen_on(struct msp_http *h, const struct msp_addr *addr)
{
	union msp_sockaddr sa;
	int len = sizeof(sa), rc;

	msp_sockaddr_set(&sa, addr);
	rc = uv_tcp_bind(&h->listener, &sa.sa, addr->family == MSP_FAMILY_V6 ? UV_TCP_IPV6ONLY : 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&h->listener, BACKLOG, on_connection);
	if (rc == 0)
		rc = uv_tcp_getsockname(&h->listener, &sa.sa, &len);
	if (rc == 0)
		msp_sockaddr_get(&sa, &h->addr);
	return rc;
}

enum msp_err msp_http_open(struct msp_loop *loop, const struct msp_addr *addr, size_t body_max, msp_http_fn *handler,
			   void *arg, struct msp_http **out, struct msp_why *why)
{
	struct msp_http *h;
	int rc;

	*out = NULL;
	if (addr->family == MSP_FAMILY_NONE)
		return msp_fail(why, MSP_EVALUE, "HTTP: no address to listen on");
	h = msp_alloc(1, sizeof(*h));
	if (h == NULL)
		return msp_fail(why, MSP_ENOMEM, "out of memory");
	h->loop = loop;
	h->handler = handler;
	h->arg = arg;
	h->body_max = body_max;
	h->time_ms = MSP_HTTP_TIME_MS;
	h->refs = 1;
	rc = uv_tcp_init_ex(&loop->uv, &h->listener, (unsigned)msp_sockaddr_family(addr));
	if (rc != 0) {
		msp_free(h);
		return msp_fail(why, MSP_ENET, "HTTP %s: %s", MSP_ADDR(addr), uv_strerror(rc));
	}
	h->listener.data = h;
	h->refs++;
	rc = listen_on(h, addr);
	*out = h;
	if (rc == 0)
		return MSP_OK;
	msp_http_close(out);
	return msp_fail(why, MSP_ENET, "HTTP %s: %s", MSP_ADDR(addr), uv_strerror(rc));
}

const struct msp_addr *msp_http_addr(const struct msp_http *h)
{
	return &h->addr;
}

struct msp_http_stats msp_http_stats(const struct msp_http *h)
{
	return h->stats;
}

void msp_http_set_time(struct msp_http *h, uint32_t time_ms)
{
	h->time_ms = time_ms;
}

void msp_http_close(struct msp_http **h)
{
	struct msp_http *old = *h;

	if (old == NULL)
		return;
	*h = NULL;
	old->is_closed = true;
	uv_close((uv_handle_t *)&old->listener, on_listener_closed);
	while (old->first != NULL)
		conn_end(old->first);
	unref(old);
}
