/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tcp_priv.h"

#include <assert.h>
#include <string.h>

#include <msproto/base/mem.h>

struct write_op {
	uv_write_t uv;
	msp_tcp_wrote_fn *wrote;
	void *arg;
	uint8_t copy[]; /* msp_tcp_write_message: length and message */
};

static void on_closed(uv_handle_t *h)
{
	struct msp_tcp *t = h->data;

	if (t->tls != NULL)
		msp_tcp_tls_gone(t);
	else
		msp_free(t);
}

static enum msp_err tcp_new(struct msp_loop *loop, unsigned flags, struct msp_tcp **out)
{
	struct msp_tcp *t = msp_alloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return MSP_ENOMEM;
	t->loop = loop;
	rc = uv_tcp_init_ex(&loop->uv, &t->uv, flags);
	if (rc != 0) {
		msp_free(t);
		return msp_err_from_uv(rc);
	}
	t->uv.data = t;
	*out = t;
	return MSP_OK;
}

/* A message is written in one piece: waiting for more to send (Nagle) would only add delay. */
static void no_delay(struct msp_tcp *t)
{
	if (uv_tcp_nodelay(&t->uv, 1) != 0)
		msp_log(t->loop->log, MSP_LOG_DEBUG, "tcp-nodelay-refused", MSP_F_STR("effect", "delay"));
}

static void on_connected(uv_connect_t *req, int status)
{
	struct msp_tcp *t = req->data;

	if (t->is_closing)
		return;
	if (t->tls != NULL && status == 0)
		msp_tcp_tls_begin(t); /* and `connected` comes when it is over */
	else
		t->connected(t->arg, msp_err_from_uv(status));
}

enum msp_err msp_tcp_connect(struct msp_loop *loop, const struct msp_addr *server, const struct msp_addr *source,
			     msp_tcp_connected_fn *connected, msp_tcp_read_fn *read, void *arg, struct msp_tcp **out)
{
	return msp_tcp_connect_tls(loop, server, source, NULL, connected, read, arg, out);
}

enum msp_err msp_tcp_connect_tls(struct msp_loop *loop, const struct msp_addr *server, const struct msp_addr *source,
				 struct msp_tls *tls, msp_tcp_connected_fn *connected, msp_tcp_read_fn *read, void *arg,
				 struct msp_tcp **out)
{
	struct msp_tcp *t = NULL;
	union msp_sockaddr sa;
	enum msp_err err;

	if (server->family == MSP_FAMILY_NONE)
		return MSP_ENET;
	err = tcp_new(loop, (unsigned)msp_sockaddr_family(server), &t);
	if (err != MSP_OK)
		return err;
	no_delay(t);
	t->connected = connected;
	t->connect.data = t;
	msp_tcp_set_reader(t, read, arg);
	if (tls != NULL)
		err = msp_tcp_tls_new(t, tls);
	if (err != MSP_OK)
		goto out;
	err = MSP_ENET;
	if (msp_sockaddr_set(&sa, source) != 0 && uv_tcp_bind(&t->uv, &sa.sa, 0) != 0)
		goto out;
	msp_sockaddr_set(&sa, server);
	if (uv_tcp_connect(&t->connect, &t->uv, &sa.sa, on_connected) != 0)
		goto out;
	*out = t;
	return MSP_OK;
out:
	msp_tcp_close(&t);
	return err;
}

enum msp_err msp_tcp_accept(struct msp_loop *loop, uv_stream_t *listener, struct msp_tcp **out)
{
	return msp_tcp_accept_tls(loop, listener, NULL, out);
}

enum msp_err msp_tcp_accept_tls(struct msp_loop *loop, uv_stream_t *listener, struct msp_tls *tls, struct msp_tcp **out)
{
	struct msp_tcp *t = NULL;
	enum msp_err err = tcp_new(loop, AF_UNSPEC, &t);
	int rc;

	if (err != MSP_OK)
		return err;
	rc = uv_accept(listener, (uv_stream_t *)&t->uv);
	if (rc != 0) {
		msp_tcp_close(&t);
		return msp_err_from_uv(rc);
	}
	no_delay(t);
	if (tls != NULL) {
		err = msp_tcp_tls_new(t, tls);
		if (err != MSP_OK) {
			msp_tcp_close(&t);
			return err;
		}
		msp_tcp_tls_begin(t);
	}
	*out = t;
	return MSP_OK;
}

void msp_tcp_set_reader(struct msp_tcp *t, msp_tcp_read_fn *read, void *arg)
{
	t->read = read;
	t->arg = arg;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct msp_tcp *t = h->data;

	(void)suggested;
	*buf = uv_buf_init((char *)t->loop->octets, sizeof(t->loop->octets));
}

void msp_tcp_deliver(struct msp_tcp *t, const struct msp_tcp_in *in)
{
	if (!t->is_closing)
		t->read(t->arg, in);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct msp_tcp *t = stream->data;
	struct msp_tcp_in in = { .err = MSP_OK };

	if (n == 0)
		return;
	if (n > 0) {
		in.octets = msp_span(buf->base, (size_t)n);
	} else {
		uv_read_stop(stream);
		in.err = msp_err_from_uv((int)n);
		in.is_reset = n != UV_EOF;
	}
	if (t->tls != NULL) {
		msp_tcp_tls_input(t, &in);
		return;
	}
	t->has_ended = in.err != MSP_OK;
	msp_tcp_deliver(t, &in);
}

void msp_tcp_read_socket(struct msp_tcp *t, bool on)
{
	int rc;

	if (!on || t->has_ended) {
		uv_read_stop((uv_stream_t *)&t->uv);
		return;
	}
	rc = uv_read_start((uv_stream_t *)&t->uv, on_alloc, on_read);
	assert(rc == 0 || rc == UV_EALREADY);
	(void)rc;
}

void msp_tcp_read(struct msp_tcp *t, bool on)
{
	if (t->tls != NULL)
		msp_tcp_tls_read(t, on);
	else
		msp_tcp_read_socket(t, on);
}

static enum msp_err address(const struct msp_tcp *t, int (*get)(const uv_tcp_t *, struct sockaddr *, int *),
			    struct msp_addr *out)
{
	union msp_sockaddr sa;
	int len = sizeof(sa);

	if (get(&t->uv, &sa.sa, &len) != 0)
		return MSP_ENET;
	msp_sockaddr_get(&sa, out);
	return MSP_OK;
}

enum msp_err msp_tcp_peer(const struct msp_tcp *t, struct msp_addr *out)
{
	return address(t, uv_tcp_getpeername, out);
}

enum msp_err msp_tcp_local(const struct msp_tcp *t, struct msp_addr *out)
{
	return address(t, uv_tcp_getsockname, out);
}

static void on_written(uv_write_t *req, int status)
{
	struct write_op *op = req->data;

	if (op->wrote != NULL)
		op->wrote(op->arg, msp_err_from_uv(status));
	msp_free(op);
}

/* Octets on their way down. Owns op on success. */
static enum msp_err submit(struct msp_tcp *t, struct write_op *op, const struct msp_span *part, size_t count)
{
	uv_buf_t buf[MSP_TCP_PARTS];
	int rc;

	assert(count > 0 && count <= MSP_TCP_PARTS);
	op->uv.data = op;
	for (size_t i = 0; i < count; i++) {
		/* libuv only reads what it writes out, but its buffers have no const. */
		memcpy(&buf[i].base, &part[i].ptr, sizeof(buf[i].base));
		buf[i].len = part[i].len;
	}
	rc = uv_write(&op->uv, (uv_stream_t *)&t->uv, buf, (unsigned)count, on_written);
	return msp_err_from_uv(rc);
}

enum msp_err msp_tcp_write(struct msp_tcp *t, const struct msp_span *part, size_t count, msp_tcp_wrote_fn *wrote,
			   void *arg)
{
	struct write_op *op;
	enum msp_err err;

	if (t->tls != NULL)
		return msp_tcp_tls_write(t, part, count, wrote, arg);
	op = msp_alloc(1, sizeof(*op));
	if (op == NULL)
		return MSP_ENOMEM;
	op->wrote = wrote;
	op->arg = arg;
	err = submit(t, op, part, count);
	if (err != MSP_OK)
		msp_free(op);
	return err;
}

/* What the socket takes at once when nothing is queued: no request, no copy, no word of it from the loop. */
static size_t write_now(struct msp_tcp *t, const uint8_t len[2], struct msp_span message)
{
	const struct msp_span part[] = { msp_span(len, 2), message };
	uv_buf_t buf[2];
	int n;

	for (size_t i = 0; i < 2; i++) {
		memcpy(&buf[i].base, &part[i].ptr, sizeof(buf[i].base));
		buf[i].len = part[i].len;
	}
	n = uv_try_write((uv_stream_t *)&t->uv, buf, 2);
	return n > 0 ? (size_t)n : 0; /* an error shows again when the rest is written */
}

enum msp_err msp_tcp_write_message(struct msp_tcp *t, struct msp_span message, msp_tcp_wrote_fn *wrote, void *arg)
{
	const uint8_t len[2] = { (uint8_t)(message.len >> 8), (uint8_t)(message.len & 0xff) };
	struct write_op *op;
	struct msp_span rest;
	enum msp_err err;
	size_t written;

	if (message.len > 65535)
		return MSP_ELIMIT;
	if (t->tls != NULL)
		return msp_tcp_tls_write_message(t, message, wrote, arg);
	written = wrote == NULL ? write_now(t, len, message) : 0;
	if (written == sizeof(len) + message.len)
		return MSP_OK;
	op = msp_alloc(1, sizeof(*op) + sizeof(len) + message.len);
	if (op == NULL)
		return MSP_ENOMEM;
	op->wrote = wrote;
	op->arg = arg;
	memcpy(op->copy, len, sizeof(len));
	memcpy(op->copy + sizeof(len), message.ptr, message.len);
	rest = msp_span(op->copy + written, sizeof(len) + message.len - written);
	err = submit(t, op, &rest, 1);
	if (err != MSP_OK)
		msp_free(op);
	return err;
}

size_t msp_tcp_queued(const struct msp_tcp *t)
{
	if (t->tls != NULL)
		return msp_tcp_tls_queued(t);
	return uv_stream_get_write_queue_size((const uv_stream_t *)&t->uv);
}

void msp_tcp_close(struct msp_tcp **t)
{
	struct msp_tcp *old = *t;

	if (old == NULL)
		return;
	*t = NULL;
	old->is_closing = true;
	if (old->tls != NULL)
		msp_tcp_tls_close(old);
	uv_close((uv_handle_t *)&old->uv, on_closed);
}
