/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/server_priv.h"

#include <assert.h>
#include <string.h>

#include <msproto/base/mem.h>

#define HEADER_LEN         12
#define PULLS_PER_ROUND    16   /* a client that reads as fast as we write must not keep the loop to itself */
#define WIND_DOWN_STALL_MS 2000 /* a client that takes nothing does not hold up our end */

static void on_work(void *arg);

static void conn_ref(struct conn *c)
{
	c->refs++;
}

void msp_conn_unref(struct conn *c)
{
	assert(c->refs > 0);
	if (--c->refs > 0)
		return;
	assert(c->tcp == NULL && c->row == NULL && c->timer == NULL);
	msp_tcp_frame_fini(&c->frame);
	msp_buf_fini(&c->pending);
	msp_server_unref(c->server);
	msp_free(c);
}

/* The task holds the connection while it waits. */
static void post(struct conn *c)
{
	if (c->work.queued)
		return;
	conn_ref(c);
	msp_loop_post(c->server->loop, &c->work, on_work, c);
}

/* --- the server's list, in order of last activity --- */

static void list_remove(struct conn *c)
{
	struct msp_server *s = c->server;

	*(c->prev != NULL ? &c->prev->next : &s->first) = c->next;
	*(c->next != NULL ? &c->next->prev : &s->last) = c->prev;
	c->prev = c->next = NULL;
}

static void list_append(struct conn *c)
{
	struct msp_server *s = c->server;

	c->prev = s->last;
	*(s->last != NULL ? &s->last->next : &s->first) = c;
	s->last = c;
}

static void touch(struct conn *c)
{
	list_remove(c);
	list_append(c);
}

bool msp_conn_is_idle(const struct conn *c)
{
	return c->outstanding == 0 && c->writes == 0;
}

/* --- time --- */

static uint64_t taken_by_kernel(const struct conn *c)
{
	return c->submitted - msp_tcp_queued(c->tcp);
}

static void start_timer(struct conn *c, enum conn_timer timing)
{
	const struct msp_server_limits *l = &c->server->limits;
	uint32_t ms = l->idle_ms;

	c->timing = timing;
	if (timing == CONN_TIMER_OFF) {
		msp_timer_stop(c->timer);
		return;
	}
	if (timing == CONN_TIMER_STALL) {
		c->progress = taken_by_kernel(c);
		ms = c->server->is_closed && l->stall_ms > WIND_DOWN_STALL_MS ? WIND_DOWN_STALL_MS : l->stall_ms;
	}
	msp_timer_start(c->timer, ms);
}

/* Idle time runs only while nothing is outstanding (C.7); while octets wait for the client, it must take some. */
static void set_timer(struct conn *c, bool was_active)
{
	enum conn_timer want = CONN_TIMER_OFF;

	if (c->tcp == NULL)
		return;
	if (c->writes > 0)
		want = CONN_TIMER_STALL;
	else if (c->outstanding == 0)
		want = CONN_TIMER_IDLE;
	if (want != c->timing || (want == CONN_TIMER_IDLE && was_active))
		start_timer(c, want);
}

static void on_timer(void *arg)
{
	struct conn *c = arg;

	/* When the server is closing there is one term for all: a client that reads slowly must not hold that up. */
	if (c->timing == CONN_TIMER_STALL && !c->server->is_closed && taken_by_kernel(c) > c->progress)
		start_timer(c, CONN_TIMER_STALL);
	else
		msp_conn_end(c, c->timing == CONN_TIMER_STALL ? MSP_ETIMEOUT : MSP_ECLOSED);
}

/* --- the row of answers --- */

static void row_append(struct conn *c, struct msp_req *req)
{
	*(c->row_last != NULL ? &c->row_last->next : &c->row) = req;
	c->row_last = req;
	c->held += req->out_len;
}

static void row_pop(struct conn *c)
{
	struct msp_req *req = c->row;

	c->row = req->next;
	if (c->row == NULL)
		c->row_last = NULL;
	c->held -= req->out_len;
	req->next = NULL;
}

static bool is_stream(const struct msp_req *req)
{
	return req->kind == REQ_STREAM || req->kind == REQ_CHUNKS;
}

/* Everything of this answer is written, or never will be. Only from the loop: it calls back. */
static void finish(struct conn *c, struct msp_req *req)
{
	assert(req->has_ended && req->writes == 0);
	assert(c->outstanding > 0);
	c->outstanding--;
	if (req->err == MSP_OK)
		c->server->stats.replies++;
	if (is_stream(req))
		req->done(req->arg, req->err);
	msp_req_free(req);
}

/* Close it if it has nothing left to do, else see to its timer. The caller holds a reference. */
static void settle(struct conn *c, bool was_active)
{
	if (c->tcp == NULL)
		return;
	if (msp_conn_is_idle(c) && (c->has_eof || c->server->is_closed)) {
		msp_conn_end(c, MSP_ECLOSED);
		return;
	}
	if (was_active)
		touch(c);
	set_timer(c, was_active);
}

/* As above, and go on pumping and reading from the loop. */
static void review(struct conn *c, bool was_active)
{
	settle(c, was_active);
	if (c->tcp != NULL)
		post(c);
}

static void wrote(struct conn *c, struct msp_req *req, enum msp_err err)
{
	conn_ref(c);
	c->writes--;
	req->writes--;
	if (err != MSP_OK && req->err == MSP_OK)
		req->err = c->tcp == NULL ? c->gone : MSP_ECLOSED;
	if (req->has_ended && req->writes == 0)
		finish(c, req);
	if (err != MSP_OK)
		msp_conn_end(c, MSP_ECLOSED);
	review(c, err == MSP_OK);
	msp_conn_unref(c);
}

static void on_message_written(void *arg, enum msp_err err)
{
	struct msp_req *req = arg;

	wrote(req->conn, req, err);
}

static enum msp_err submit(struct conn *c, struct msp_req *req, const struct msp_span *part, size_t count,
			   msp_tcp_wrote_fn *cb, void *arg)
{
	enum msp_err err = msp_tcp_write(c->tcp, part, count, cb, arg);
	size_t queued;

	if (err != MSP_OK)
		return err;
	req->writes++;
	c->writes++;
	for (size_t i = 0; i < count; i++)
		c->submitted += part[i].len;
	queued = msp_tcp_queued(c->tcp);
	if (queued > c->server->stats.queued_max)
		c->server->stats.queued_max = queued;
	return MSP_OK;
}

static enum msp_err send_message(struct conn *c, struct msp_req *req)
{
	struct msp_span all = msp_span(req->out, req->out_len);

	req->has_ended = true;
	if (req->out == NULL)
		return MSP_ENOMEM;
	return submit(c, req, &all, 1, on_message_written, req);
}

/* What one pull gave, until it is written. */
struct pulled {
	struct msp_req *req; /* borrowed: it waits for this write */
	void *token;
	uint8_t octets[]; /* REQ_STREAM: length and message */
};

static void on_pulled_written(void *arg, enum msp_err err)
{
	struct pulled *p = arg;
	struct msp_req *req = p->req;

	if (req->kind == REQ_CHUNKS)
		req->sent(req->arg, p->token);
	msp_free(p);
	wrote(req->conn, req, err);
}

static enum msp_err pull_message(struct conn *c, struct msp_req *req)
{
	struct pulled *p = msp_alloc(1, sizeof(*p) + 2 + UINT16_MAX), *small;
	struct msp_span all;
	size_t len = 0;
	enum msp_err err;

	if (p == NULL)
		return MSP_ENOMEM;
	p->req = req;
	err = req->pull(req->arg, p->octets + 2, UINT16_MAX, &len, &req->has_ended);
	if (err == MSP_OK && len == 0 && !req->has_ended)
		err = MSP_ESTATE;
	assert(len <= UINT16_MAX);
	if (err != MSP_OK || len == 0 || c->tcp == NULL) {
		msp_free(p);
		return err;
	}
	p->octets[0] = (uint8_t)(len >> 8);
	p->octets[1] = (uint8_t)(len & 0xff);
	small = msp_realloc(p, 1, sizeof(*p) + 2 + len);
	if (small != NULL)
		p = small;
	all = msp_span(p->octets, 2 + len);
	err = submit(c, req, &all, 1, on_pulled_written, p);
	if (err != MSP_OK)
		msp_free(p);
	return err;
}

static enum msp_err pull_chunk(struct conn *c, struct msp_req *req)
{
	struct pulled *p = msp_alloc(1, sizeof(*p));
	struct msp_stream_chunk chunk;
	enum msp_err err;

	if (p == NULL)
		return MSP_ENOMEM;
	chunk.count = 0;
	chunk.token = NULL;
	chunk.end = false;
	p->req = req;
	err = req->pull_chunk(req->arg, &chunk);
	if (err != MSP_OK) {
		msp_free(p);
		return err;
	}
	assert(chunk.count <= MSP_STREAM_PARTS);
	req->has_ended = chunk.end;
	p->token = chunk.token;
	if (chunk.count > 0 && c->tcp != NULL)
		err = submit(c, req, chunk.part, chunk.count, on_pulled_written, p);
	else if (!chunk.end)
		err = MSP_ESTATE;
	if (err == MSP_OK && chunk.count > 0 && c->tcp != NULL)
		return MSP_OK;
	/* It was handed out and no write will tell of it. */
	if (chunk.count > 0 || chunk.token != NULL)
		req->sent(req->arg, chunk.token);
	msp_free(p);
	return err;
}

static bool is_full(const struct conn *c, const struct msp_req *req)
{
	if (msp_tcp_queued(c->tcp) < c->server->limits.write_watermark)
		return false;
	/* Chunks are somebody's memory that is there anyway: one in reserve keeps the socket from running dry. */
	return req->kind != REQ_CHUNKS || req->writes > 1;
}

/* Pull until the stream ends, enough is queued (we are back when a write is through) or the round's share is used up.
 */
static enum msp_err pump_stream(struct conn *c, struct msp_req *req)
{
	const uint64_t share = c->submitted + c->server->limits.write_watermark;
	enum msp_err err = MSP_OK;

	for (int i = 0; i < PULLS_PER_ROUND && !req->has_ended && err == MSP_OK && c->tcp != NULL; i++) {
		if (c->submitted >= share || is_full(c, req))
			break;
		err = req->kind == REQ_STREAM ? pull_message(c, req) : pull_chunk(c, req);
	}
	if (!req->has_ended && err == MSP_OK && c->tcp != NULL && !is_full(c, req))
		post(c);
	return err;
}

/* Write answers from the row's front. Streams call back, so they move only in the loop. */
static void pump(struct conn *c, bool in_loop)
{
	struct msp_req *req;
	enum msp_err err;

	if (c->is_busy)
		return; /* called by a pull of this very connection; the outer call goes on */
	c->is_busy = true;
	while ((req = c->row) != NULL && c->tcp != NULL) {
		if (is_stream(req) && !in_loop) {
			post(c);
			break;
		}
		err = is_stream(req) ? pump_stream(c, req) : send_message(c, req);
		if (err != MSP_OK && c->tcp != NULL) {
			req->err = err;
			msp_conn_end(c, err);
			break;
		}
		if (!req->has_ended || c->tcp == NULL)
			break; /* goes on when a write is through */
		row_pop(c);
		if (req->writes == 0) /* a stream whose end came alone, its last octets long written */
			finish(c, req);
	}
	c->is_busy = false;
}

void msp_conn_answer(struct conn *c, struct msp_req *req)
{
	conn_ref(c);
	row_append(c, req);
	if (c->tcp != NULL)
		pump(c, false);
	else
		post(c); /* the client has gone: end it from the loop */
	set_timer(c, false);
	msp_conn_unref(c);
}

void msp_conn_drop(struct conn *c)
{
	conn_ref(c);
	assert(c->outstanding > 0);
	c->outstanding--;
	review(c, true);
	msp_conn_unref(c);
}

/* --- reading --- */

static bool may_take(const struct conn *c)
{
	const struct msp_server_limits *l = &c->server->limits;

	return c->tcp != NULL && !c->server->is_closed && c->outstanding < l->outstanding_per_conn &&
	       c->held + msp_tcp_queued(c->tcp) < l->write_watermark;
}

/* The first message: the handshake is over, and who the client is will not change. */
static void note_peer(struct conn *c)
{
	const struct msp_tls_peer *peer = msp_tcp_tls_peer(c->tcp);

	c->is_secured = peer != NULL;
	if (peer != NULL)
		c->tls = *peer;
}

static enum msp_err hand_over(struct conn *c, struct msp_span message)
{
	struct msp_req *req;

	if (message.len < HEADER_LEN) {
		c->server->stats.tcp_framing_errors++;
		return MSP_EFORMAT;
	}
	req = msp_alloc(1, sizeof(*req) + message.len);
	if (req == NULL)
		return MSP_ENOMEM;
	if (c->is_tls && !c->is_secured)
		note_peer(c);
	req->server = c->server;
	msp_server_ref(c->server);
	req->conn = c;
	conn_ref(c);
	req->peer = c->peer;
	req->local = c->local;
	req->len = message.len;
	memcpy(req->octets, message.ptr, message.len);
	c->outstanding++;
	c->server->stats.tcp_in++;
	touch(c);
	c->server->handler(c->server->arg, req);
	return MSP_OK;
}

/* Take messages while we may. What is left in *octets afterwards waits. */
static void consume(struct conn *c, struct msp_span *octets)
{
	struct msp_span message;
	bool was_active = false;
	enum msp_err err = MSP_OK;

	while (err == MSP_OK && octets->len > 0 && may_take(c)) {
		err = msp_tcp_frame_next(&c->frame, octets, &message);
		if (err == MSP_OK) {
			was_active = true;
			err = hand_over(c, message);
		}
	}
	if (err != MSP_OK && err != MSP_ETRUNC)
		msp_conn_end(c, MSP_ECLOSED);
	/* Only a whole message counts as activity: octets that trickle in do not keep a connection open. */
	set_timer(c, was_active);
}

static void on_read(void *arg, const struct msp_tcp_in *in)
{
	struct conn *c = arg;
	struct msp_span octets = in->octets;

	conn_ref(c);
	if (in->err == MSP_OK) {
		consume(c, &octets);
		if (c->tcp != NULL && octets.len > 0) {
			msp_buf_add_span(&c->pending, octets);
			if (c->pending.err != MSP_OK)
				msp_conn_end(c, MSP_ECLOSED);
		}
		if (c->tcp != NULL && !may_take(c))
			msp_tcp_read(c->tcp, false);
	} else {
		/* The end of what it sends may come before our answers (half-closed); a reset is the end of both ways.
		 */
		c->has_eof = true;
		c->server->stats.tcp_framing_errors += msp_tcp_frame_is_partial(&c->frame);
		if (msp_tcp_reason(c->tcp)[0] != '\0')
			msp_log(c->server->loop->log, MSP_LOG_DEBUG, "tls-failed",
				MSP_F_STR("peer", MSP_ADDR(&c->peer)), MSP_F_STR("reason", msp_tcp_reason(c->tcp)));
		if (in->is_reset)
			msp_conn_end(c, MSP_ECLOSED);
		review(c, false);
	}
	msp_conn_unref(c);
}

static void take_pending(struct conn *c)
{
	struct msp_span octets = msp_buf_span(&c->pending);
	size_t before = octets.len;

	if (octets.len > 0 && may_take(c)) {
		consume(c, &octets);
		msp_buf_consume(&c->pending, before - octets.len);
	}
	if (c->tcp != NULL)
		msp_tcp_read(c->tcp, !c->has_eof && c->pending.len == 0 && may_take(c));
}

/* --- life --- */

/* The connection has gone: end every answer that has no write left to end it. */
static void end_row(struct conn *c)
{
	struct msp_req *req;

	while ((req = c->row) != NULL) {
		row_pop(c);
		req->has_ended = true;
		if (req->err == MSP_OK)
			req->err = c->gone;
		if (req->writes == 0)
			finish(c, req);
	}
}

static void on_work(void *arg)
{
	struct conn *c = arg;

	if (c->tcp != NULL)
		pump(c, true);
	if (c->tcp != NULL)
		take_pending(c);
	settle(c, false);
	if (c->tcp == NULL)
		end_row(c);
	msp_conn_unref(c);
}

void msp_conn_end(struct conn *c, enum msp_err why)
{
	if (c->tcp == NULL)
		return;
	c->gone = why;
	c->server->stats.tls_failed += c->is_tls && msp_tcp_tls_peer(c->tcp) == NULL;
	list_remove(c);
	c->server->conn_count--;
	msp_tcp_close(&c->tcp);
	msp_timer_close(&c->timer);
	post(c);
	msp_conn_unref(c); /* the socket's */
}

void msp_conn_wind_down(struct conn *c)
{
	conn_ref(c);
	msp_tcp_read(c->tcp, false);
	for (const struct msp_req *req = c->row; req != NULL && c->tcp != NULL; req = req->next)
		if (is_stream(req))
			msp_conn_end(c, MSP_ECANCEL);
	if (c->tcp != NULL && c->timing == CONN_TIMER_STALL)
		start_timer(c, CONN_TIMER_STALL);
	review(c, false);
	msp_conn_unref(c);
}

enum msp_err msp_conn_new(struct msp_server *s, struct msp_tcp *tcp, const struct msp_addr *peer, struct conn **out)
{
	struct conn *c = msp_alloc(1, sizeof(*c));
	enum msp_err err = MSP_ENOMEM;

	if (c == NULL)
		goto out;
	err = msp_timer_new(s->loop, on_timer, c, &c->timer);
	if (err != MSP_OK)
		goto out;
	c->server = s;
	msp_server_ref(s);
	c->refs = 1;
	c->tcp = tcp;
	c->is_tls = s->tls != NULL;
	c->peer = *peer;
	if (msp_tcp_local(tcp, &c->local) != MSP_OK)
		c->local = s->addr;
	msp_tcp_frame_init(&c->frame);
	msp_buf_init(&c->pending, MSP_LOOP_OCTETS);
	list_append(c);
	s->conn_count++;
	msp_tcp_set_reader(tcp, on_read, c);
	msp_tcp_read(tcp, true);
	start_timer(c, CONN_TIMER_IDLE);
	*out = c;
	return MSP_OK;
out:
	msp_tcp_close(&tcp);
	msp_free(c);
	return err;
}
