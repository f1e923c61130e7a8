/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The inside of a stream: tcp.c has the socket, tcp_tls.c the filter on it. */
#ifndef MSPROTO_SRC_IO_TCP_PRIV_H
#define MSPROTO_SRC_IO_TCP_PRIV_H

#include "io/tcp.h"
#include "io/tls_conn.h"

struct tls_op;

/** TLS between the user and the socket. */
struct msp_tcp_tls {
	struct msp_tls_conn *conn;   /* owned */
	struct msp_timer *timer;     /* owned; until the handshake is over */
	struct msp_task work;        /* tell of writes, take what waits in `pending` */
	struct msp_buf pending;      /* ciphertext not looked at yet */
	struct tls_op *first, *last; /* owned, in order: writes not told of */
	struct tls_op *at;           /* borrowed: the first that is not all encrypted, and where in it */
	size_t at_part, at_octet;
	uint64_t submitted, encrypted, written; /* octets of the user's */
	uv_write_t flush;
	size_t flushing; /* octets of the output under way */
	enum msp_err write_err;
	const char *reason; /* static; NULL = ask conn */
	bool is_client, is_secured, has_failed, wants_read;
};

struct msp_tcp {
	uv_tcp_t uv;
	uv_connect_t connect;
	struct msp_loop *loop;
	msp_tcp_connected_fn *connected;
	msp_tcp_read_fn *read;
	void *arg;               /* borrowed until close */
	struct msp_tcp_tls *tls; /* owned; NULL = plain */
	bool is_closing, has_ended;
};

/** What the peer sent, on its way up. */
void msp_tcp_deliver(struct msp_tcp *t, const struct msp_tcp_in *in);
/** Turn the socket's reading on or off. */
void msp_tcp_read_socket(struct msp_tcp *t, bool on);

/**
 * The filter. Functions without a note may be called from anywhere; none of those calls back from the inside.
 * `tls` gets a reference of the filter's.
 */
MSP_CHECKED enum msp_err msp_tcp_tls_new(struct msp_tcp *t, struct msp_tls *tls);
/** The socket is connected (from the loop, or right after accepting): the handshake begins. */
void msp_tcp_tls_begin(struct msp_tcp *t);
/** What came from the socket. From the loop: calls back. */
void msp_tcp_tls_input(struct msp_tcp *t, const struct msp_tcp_in *in);
void msp_tcp_tls_read(struct msp_tcp *t, bool on);
/** As msp_tcp_write. With `copy` the octets are one part, copied behind two octets of length. */
MSP_CHECKED enum msp_err msp_tcp_tls_write(struct msp_tcp *t, const struct msp_span *part, size_t count,
					   msp_tcp_wrote_fn *wrote, void *arg);
MSP_CHECKED enum msp_err msp_tcp_tls_write_message(struct msp_tcp *t, struct msp_span message, msp_tcp_wrote_fn *wrote,
						   void *arg);
size_t msp_tcp_tls_queued(const struct msp_tcp *t);
/** Before the socket is closed: say goodbye if nothing is missing. */
void msp_tcp_tls_close(struct msp_tcp *t);
/** The socket is closed (from the loop): tells the writes that are left, and lets go of t->tls and t. */
void msp_tcp_tls_gone(struct msp_tcp *t);

#endif
