/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tcp.h"

#include <assert.h>
#include <string.h>

#include <msproto/base/mem.h>

struct msp_tcp {
	uv_tcp_t uv;
	uv_connect_t connect;
	struct msp_loop *loop;
	msp_tcp_connected_fn *connected;
	msp_tcp_read_fn *read;
	void *arg; /* borrowed until close */
	bool is_closing, has_ended;
};

struct write_op {
	uv_write_t uv;
	msp_tcp_wrote_fn *wrote;
	void *arg;
	uint8_t copy[]; /* msp_tcp_write_message: length and message */
};

static void on_closed(uv_handle_t *h)
{
	msp_free(h->data);
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

	if (!t->is_closing)
		t->connected(t->arg, msp_err_from_uv(status));
}

enum msp_err msp_tcp_connect(struct msp_loop *loop, const struct msp_addr *server, const struct msp_addr *source,
			     msp_tcp_connected_fn *connected, msp_tcp_read_fn *read, void *arg, struct msp_tcp **out)
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

/* What the peer sent, on its way up. */
static void deliver(struct msp_tcp *t, const struct msp_tcp_in *in)
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
		t->has_ended = true;
		in.err = msp_err_from_uv((int)n);
		in.is_reset = n != UV_EOF;
	}
	deliver(t, &in);
}

void msp_tcp_read(struct msp_tcp *t, bool on)
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
	struct write_op *op = msp_alloc(1, sizeof(*op));
	enum msp_err err;

	if (op == NULL)
		return MSP_ENOMEM;
	op->wrote = wrote;
	op->arg = arg;
	err = submit(t, op, part, count);
	if (err != MSP_OK)
		msp_free(op);
	return err;
}

enum msp_err msp_tcp_write_message(struct msp_tcp *t, struct msp_span message, msp_tcp_wrote_fn *wrote, void *arg)
{
	struct write_op *op;
	struct msp_span all;
	enum msp_err err;

	if (message.len > 65535)
		return MSP_ELIMIT;
	op = msp_alloc(1, sizeof(*op) + 2 + message.len);
	if (op == NULL)
		return MSP_ENOMEM;
	op->wrote = wrote;
	op->arg = arg;
	op->copy[0] = (uint8_t)(message.len >> 8);
	op->copy[1] = (uint8_t)(message.len & 0xff);
	memcpy(op->copy + 2, message.ptr, message.len);
	all = msp_span(op->copy, 2 + message.len);
	err = submit(t, op, &all, 1);
	if (err != MSP_OK)
		msp_free(op);
	return err;
}

size_t msp_tcp_queued(const struct msp_tcp *t)
{
	return uv_stream_get_write_queue_size((const uv_stream_t *)&t->uv);
}

void msp_tcp_close(struct msp_tcp **t)
{
	struct msp_tcp *old = *t;

	if (old == NULL)
		return;
	*t = NULL;
	old->is_closing = true;
	uv_close((uv_handle_t *)&old->uv, on_closed);
}
