/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS between a stream's user and its socket. What the user writes waits here in the clear (it is the user's memory, or
 * one copied message) and is encrypted a few records at a time, as the kernel takes them: however much is queued, the
 * ciphertext is bounded. What the peer sends is decrypted as the user takes it; while reading is off, at most one read
 * of the socket waits, and the socket is left alone.
 */
#include "io/tcp_priv.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <string.h>

#include <msproto/base/mem.h>

struct tls_op {
	struct tls_op *next;
	msp_tcp_wrote_fn *wrote;
	void *arg;
	uint64_t end; /* octets written to this stream up to its end */
	size_t count;
	struct msp_span part[]; /* the user's, or one that lies behind it */
};

static void on_work(void *arg);

static void post(struct msp_tcp *t)
{
	msp_loop_post(t->loop, &t->tls->work, on_work, t);
}

/* --- down --- */

/* Tell of what is through; with is_over, of everything that is left. From the loop only. */
static void tell(struct msp_tcp *t, bool is_over)
{
	struct msp_tcp_tls *f = t->tls;
	struct tls_op *op;

	while ((op = f->first) != NULL && (is_over || f->write_err != MSP_OK || op->end <= f->written)) {
		enum msp_err err = MSP_OK;

		if (op->end > f->written)
			err = f->write_err != MSP_OK ? f->write_err : MSP_ECANCEL;
		f->first = op->next;
		if (f->first == NULL)
			f->last = NULL;
		if (f->at == op) { /* left over: parts without octets, or a failure */
			f->at = op->next;
			f->at_part = f->at_octet = 0;
		}
		if (op->wrote != NULL)
			op->wrote(op->arg, err);
		msp_free(op);
	}
}

/* One record's worth of what waits: where it lies if that is in one piece, else gathered in `stage`. */
static struct msp_span next_piece(struct msp_tcp_tls *f, uint8_t *stage)
{
	struct msp_span piece = msp_span(stage, 0);

	while (f->at != NULL && piece.len < MSP_TLS_RECORD_MAX) {
		struct msp_span part = f->at->part[f->at_part];
		size_t n = part.len - f->at_octet;

		if (n > MSP_TLS_RECORD_MAX - piece.len)
			n = MSP_TLS_RECORD_MAX - piece.len;
		if (n == MSP_TLS_RECORD_MAX)
			piece.ptr = part.ptr + f->at_octet;
		else if (n > 0)
			memcpy(stage + piece.len, part.ptr + f->at_octet, n);
		piece.len += n;
		f->at_octet += n;
		if (f->at_octet < part.len)
			break;
		f->at_octet = 0;
		if (++f->at_part < f->at->count)
			continue;
		f->at_part = 0;
		f->at = f->at->next;
	}
	return piece;
}

static void fail_writes(struct msp_tcp *t, enum msp_err err)
{
	t->tls->write_err = err;
	post(t);
}

static void on_flushed(uv_write_t *req, int status)
{
	struct msp_tcp *t = req->data;
	struct msp_tcp_tls *f = t->tls;

	if (t->is_closing)
		return;
	msp_tls_conn_sent(f->conn, f->flushing);
	f->flushing = 0;
	if (status != 0)
		fail_writes(t, msp_err_from_uv(status));
	else
		post(t);
}

static uv_buf_t as_buf(struct msp_span s)
{
	uv_buf_t buf;

	/* libuv only reads what it writes out, but its buffers have no const. */
	memcpy(&buf.base, &s.ptr, sizeof(buf.base));
	buf.len = s.len;
	return buf;
}

/* Give the output to the kernel. True when all of it is taken. */
static bool flush(struct msp_tcp *t)
{
	struct msp_tcp_tls *f = t->tls;
	struct msp_span out = msp_tls_conn_output(f->conn);
	uv_buf_t buf = as_buf(out);
	int rc;

	if (f->flushing > 0 || f->write_err != MSP_OK)
		return false;
	if (out.len == 0)
		return true;
	rc = uv_try_write((uv_stream_t *)&t->uv, &buf, 1);
	if (rc > 0) {
		msp_tls_conn_sent(f->conn, (size_t)rc);
		out = msp_span(out.ptr + rc, out.len - (size_t)rc);
		if (out.len == 0)
			return true;
	} else if (rc != UV_EAGAIN) {
		fail_writes(t, msp_err_from_uv(rc));
		return false;
	}
	buf = as_buf(out);
	f->flush.data = t;
	rc = uv_write(&f->flush, (uv_stream_t *)&t->uv, &buf, 1, on_flushed);
	if (rc != 0)
		fail_writes(t, msp_err_from_uv(rc));
	else
		f->flushing = out.len;
	return false;
}

/* Records until there is no room or nothing more to send. */
static void encrypt(struct msp_tcp_tls *f)
{
	uint8_t stage[MSP_TLS_RECORD_MAX];
	struct tls_op *at;
	size_t part, octet;
	struct msp_span piece;

	while (f->encrypted < f->submitted) {
		at = f->at;
		part = f->at_part;
		octet = f->at_octet;
		piece = next_piece(f, stage);
		if (piece.len > 0 && msp_tls_conn_write(f->conn, piece) != MSP_TLS_DONE) {
			f->at = at;
			f->at_part = part;
			f->at_octet = octet;
			return;
		}
		f->encrypted += piece.len;
	}
}

/* Move what waits towards the kernel, as far as it goes. Calls nobody back. */
static void push(struct msp_tcp *t)
{
	struct msp_tcp_tls *f = t->tls;

	while (flush(t)) {
		/* New records are made only when all earlier ones are sent: that bounds them, and says what is
		 * through. */
		f->written = f->encrypted;
		if (!f->is_secured || f->has_failed || f->encrypted == f->submitted)
			break;
		encrypt(f);
		if (msp_tls_conn_output(f->conn).len == 0)
			break;
	}
	if (f->first != NULL && f->first->end <= f->written)
		post(t);
}

static enum msp_err append(struct msp_tcp *t, struct tls_op *op, msp_tcp_wrote_fn *wrote, void *arg)
{
	struct msp_tcp_tls *f = t->tls;

	op->wrote = wrote;
	op->arg = arg;
	for (size_t i = 0; i < op->count; i++)
		f->submitted += op->part[i].len;
	op->end = f->submitted;
	*(f->last != NULL ? &f->last->next : &f->first) = op;
	f->last = op;
	if (f->at == NULL)
		f->at = op;
	push(t);
	if (f->write_err != MSP_OK)
		post(t); /* it is told like all others */
	return MSP_OK;
}

enum msp_err msp_tcp_tls_write(struct msp_tcp *t, const struct msp_span *part, size_t count, msp_tcp_wrote_fn *wrote,
			       void *arg)
{
	struct tls_op *op = msp_alloc(1, sizeof(*op) + count * sizeof(op->part[0]));

	assert(count > 0 && count <= MSP_TCP_PARTS);
	if (op == NULL)
		return MSP_ENOMEM;
	op->count = count;
	memcpy(op->part, part, count * sizeof(op->part[0]));
	return append(t, op, wrote, arg);
}

enum msp_err msp_tcp_tls_write_message(struct msp_tcp *t, struct msp_span message, msp_tcp_wrote_fn *wrote, void *arg)
{
	struct tls_op *op = msp_alloc(1, sizeof(*op) + sizeof(op->part[0]) + 2 + message.len);
	uint8_t *copy;

	if (op == NULL)
		return MSP_ENOMEM;
	copy = (uint8_t *)&op->part[1];
	copy[0] = (uint8_t)(message.len >> 8);
	copy[1] = (uint8_t)(message.len & 0xff);
	if (message.len > 0)
		memcpy(copy + 2, message.ptr, message.len);
	op->count = 1;
	op->part[0] = msp_span(copy, 2 + message.len);
	return append(t, op, wrote, arg);
}

size_t msp_tcp_tls_queued(const struct msp_tcp *t)
{
	const struct msp_tcp_tls *f = t->tls;
	size_t unsent = msp_tls_conn_output(f->conn).len, plain = (size_t)(f->encrypted - f->written);

	if (f->flushing > 0)
		unsent -= f->flushing - uv_stream_get_write_queue_size((const uv_stream_t *)&t->uv);
	/* Records are a little larger than what is in them; the user counts in octets of its own. */
	return (size_t)(f->submitted - f->encrypted) + (unsent < plain ? unsent : plain);
}

/* --- up --- */

static void update_reading(struct msp_tcp *t)
{
	const struct msp_tcp_tls *f = t->tls;

	if (!t->is_closing)
		msp_tcp_read_socket(t, f->pending.len == 0 && (!f->is_secured || f->wants_read));
}

/* The end, told once: to who waits for the handshake, or to the reader. */
static void end(struct msp_tcp *t, enum msp_err err, bool is_reset)
{
	struct msp_tcp_tls *f = t->tls;
	struct msp_tcp_in in = { .err = err, .is_reset = is_reset };

	if (t->has_ended)
		return;
	t->has_ended = true;
	msp_timer_stop(f->timer);
	update_reading(t);
	push(t); /* an alert says why */
	if (f->is_client && !f->is_secured)
		t->connected(t->arg, err);
	else
		msp_tcp_deliver(t, &in);
}

static void fail(struct msp_tcp *t, enum msp_err err, const char *reason)
{
	t->tls->has_failed = true;
	t->tls->reason = reason;
	end(t, err, true);
}

/* The client's Finished gets no answer (there are no tickets). A client whose kernel holds its question back until that
 * is acknowledged (Nagle) would wait for our delayed acknowledgement: some 40 ms. */
static void acknowledge_now(struct msp_tcp *t)
{
#ifdef TCP_QUICKACK
	uv_os_fd_t fd;
	int on = 1;

	if (uv_fileno((uv_handle_t *)&t->uv, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
#else
	(void)t;
#endif
}

static void handshake(struct msp_tcp *t)
{
	struct msp_tcp_tls *f = t->tls;
	enum msp_tls_step step = msp_tls_conn_handshake(f->conn);

	if (step == MSP_TLS_DONE) {
		f->is_secured = true;
		msp_timer_stop(f->timer);
		push(t);
		if (f->is_client)
			t->connected(t->arg, MSP_OK);
		else
			acknowledge_now(t);
	} else if (step == MSP_TLS_WAIT) {
		push(t);
	} else {
		fail(t, step == MSP_TLS_FAILED ? msp_tls_conn_error(f->conn) : MSP_ECLOSED, NULL);
	}
}

static void take_records(struct msp_tcp *t)
{
	struct msp_tcp_tls *f = t->tls;
	uint8_t plain[MSP_TLS_RECORD_MAX];
	struct msp_tcp_in in = { .err = MSP_OK };
	enum msp_tls_step step;
	size_t len = 0;

	while (f->wants_read && !t->is_closing && !t->has_ended) {
		step = msp_tls_conn_read(f->conn, plain, sizeof(plain), &len);
		if (step == MSP_TLS_WAIT)
			break;
		if (step == MSP_TLS_END) {
			end(t, MSP_ECLOSED, false);
		} else if (step == MSP_TLS_FAILED) {
			fail(t, msp_tls_conn_error(f->conn), NULL);
		} else {
			in.octets = msp_span(plain, len);
			msp_tcp_deliver(t, &in);
		}
	}
}

/* Take from `pending` as much as goes. From the loop only. */
static void advance(struct msp_tcp *t)
{
	struct msp_tcp_tls *f = t->tls;
	size_t before = f->pending.len;

	if (t->is_closing || t->has_ended)
		return;
	msp_tls_conn_set_input(f->conn, msp_buf_span(&f->pending));
	if (!f->is_secured)
		handshake(t);
	if (f->is_secured)
		take_records(t);
	msp_buf_consume(&f->pending, before - msp_tls_conn_input_left(f->conn));
	msp_tls_conn_set_input(f->conn, msp_span(NULL, 0));
	if (f->pending.len == 0) { /* connections that rest cost little */
		msp_buf_fini(&f->pending);
		msp_buf_init(&f->pending, MSP_LOOP_OCTETS);
	}
	if (t->is_closing)
		return;
	push(t); /* answers of TLS itself */
	update_reading(t);
}

void msp_tcp_tls_input(struct msp_tcp *t, const struct msp_tcp_in *in)
{
	struct msp_tcp_tls *f = t->tls;

	if (in->err == MSP_OK) {
		msp_buf_add_span(&f->pending, in->octets);
		if (f->pending.err != MSP_OK)
			fail(t, MSP_ENOMEM, "out of memory");
		else
			advance(t);
	} else if (!f->is_secured) {
		fail(t, in->err, "TLS: the connection ended in the handshake");
	} else if (in->is_reset) {
		fail(t, in->err, NULL);
	} else if (msp_tls_conn_is_partial(f->conn)) {
		fail(t, in->err, "TLS: the connection ended in the middle of a record");
	} else {
		/* No close_notify. Whoever cut it could only do so between two records; the messages say whether one is
		 * missing. */
		end(t, in->err, false);
	}
}

void msp_tcp_tls_read(struct msp_tcp *t, bool on)
{
	struct msp_tcp_tls *f = t->tls;

	f->wants_read = on;
	update_reading(t);
	if (on && f->pending.len > 0)
		post(t);
}

/* --- life --- */

static void on_late(void *arg)
{
	fail(arg, MSP_ETIMEOUT, "TLS: no handshake in time");
}

static void free_all(struct msp_tcp *t)
{
	msp_buf_fini(&t->tls->pending);
	msp_tls_conn_free(&t->tls->conn);
	msp_free(t->tls);
	msp_free(t);
}

static void on_work(void *arg)
{
	struct msp_tcp *t = arg;

	if (t->tls->conn == NULL) { /* closed meanwhile */
		free_all(t);
		return;
	}
	tell(t, false);
	if (!t->is_closing)
		advance(t);
}

enum msp_err msp_tcp_tls_new(struct msp_tcp *t, struct msp_tls *tls)
{
	struct msp_tcp_tls *f = msp_alloc(1, sizeof(*f));
	enum msp_err err;

	if (f == NULL)
		return MSP_ENOMEM;
	err = msp_tls_conn_new(tls, &f->conn);
	if (err == MSP_OK)
		err = msp_timer_new(t->loop, on_late, t, &f->timer);
	if (err != MSP_OK) {
		msp_tls_conn_free(&f->conn);
		msp_free(f);
		return err;
	}
	msp_buf_init(&f->pending, MSP_LOOP_OCTETS);
	f->is_client = t->connected != NULL;
	t->tls = f;
	return MSP_OK;
}

void msp_tcp_tls_begin(struct msp_tcp *t)
{
	msp_timer_start(t->tls->timer, MSP_TLS_HANDSHAKE_MS);
	post(t); /* a client speaks first */
	update_reading(t);
}

void msp_tcp_tls_close(struct msp_tcp *t)
{
	struct msp_tcp_tls *f = t->tls;

	if (f->is_secured && !f->has_failed && f->written == f->submitted && f->flushing == 0) {
		msp_tls_conn_finish(f->conn);
		flush(t); /* what the kernel does not take now is lost, and with it only politeness */
	}
	msp_timer_close(&f->timer);
}

void msp_tcp_tls_gone(struct msp_tcp *t)
{
	tell(t, true);
	msp_tls_conn_free(&t->tls->conn);
	if (!t->tls->work.queued) /* otherwise the task is the last to look */
		free_all(t);
}

const struct msp_tls_peer *msp_tcp_tls_peer(const struct msp_tcp *t)
{
	return t->tls != NULL ? msp_tls_conn_peer(t->tls->conn) : NULL;
}

const char *msp_tcp_reason(const struct msp_tcp *t)
{
	if (t->tls == NULL)
		return "";
	return t->tls->reason != NULL ? t->tls->reason : msp_tls_conn_reason(t->tls->conn);
}
