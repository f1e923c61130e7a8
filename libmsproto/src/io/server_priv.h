/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The inside of a server: server.c has the sockets and the limits, server_conn.c one connection and what is written to
 * it.
 *
 * Lifetimes are counted: a server is held by its owner, its listener, its connections and its requests; a connection by
 * its socket, its requests and the calls that are looking at it. Nothing is freed while anybody may still come back to
 * it.
 */
#ifndef MSPROTO_SRC_IO_SERVER_PRIV_H
#define MSPROTO_SRC_IO_SERVER_PRIV_H

#include <msproto/io/server.h>

#include "io/tcp.h"
#include "io/udp.h"

struct conn;

struct msp_server {
	struct msp_loop *loop;
	struct msp_addr addr;
	struct msp_server_limits limits;
	msp_request_fn *handler;
	void *arg; /* borrowed until close */
	struct msp_server_stats stats;
	uv_tcp_t listener;
	struct msp_tls *tls;            /* shared; NULL = plain */
	struct msp_udp *udp;            /* owned; NULL with TLS, and once closed */
	struct msp_timer *accept_again; /* owned; for when there was no memory to accept with */
	struct conn *first, *last;      /* by last activity, idle longest first */
	size_t conn_count, udp_held;
	bool is_closed;
	unsigned refs;
};

enum req_kind { REQ_HELD, REQ_MESSAGE, REQ_STREAM, REQ_CHUNKS };

struct msp_req {
	struct msp_server *server; /* shared (refs) */
	struct conn *conn;         /* shared (refs); NULL = came by UDP */
	struct msp_udp_path path;  /* UDP */
	struct msp_addr peer, local;

	/* From the answer on; a request is its own place in the connection's row of answers. */
	enum req_kind kind;
	struct msp_req *next;
	uint8_t *out; /* owned: REQ_MESSAGE, with its length in front */
	size_t out_len;
	msp_pull_fn *pull;
	msp_pull_chunk_fn *pull_chunk;
	msp_chunk_sent_fn *sent;
	msp_stream_done_fn *done;
	void *arg;              /* borrowed until done */
	size_t writes;          /* under way */
	bool has_ended;         /* nothing more will be written for it */
	enum msp_err err;       /* of the stream */
	struct msp_task refuse; /* UDP: done() from the loop */

	size_t len;
	uint8_t octets[];
};

enum conn_timer { CONN_TIMER_OFF, CONN_TIMER_IDLE, CONN_TIMER_STALL };

struct conn {
	struct msp_server *server; /* shared (refs) */
	struct conn *prev, *next;  /* in the server's list */
	struct msp_tcp *tcp;       /* owned; NULL once the connection is gone */
	struct msp_addr peer, local;
	struct msp_tcp_frame frame;
	struct msp_buf pending;  /* read before reading was stopped, not looked at yet */
	struct msp_timer *timer; /* owned */
	enum conn_timer timing;
	struct msp_task work;           /* take pending octets, pump streams, end what is left */
	struct msp_req *row, *row_last; /* answers in the order in which they are written; owned */
	size_t outstanding;             /* requests received and not finished */
	size_t held;                    /* octets of messages in the row */
	size_t writes;                  /* under way */
	uint64_t submitted,
		progress;  /* octets: given to the stream; taken by the kernel when the stall timer last looked */
	enum msp_err gone; /* why, once tcp is NULL */
	bool has_eof, is_busy;
	bool is_tls, is_secured; /* is_secured: the handshake is over, `tls` is valid */
	struct msp_tls_peer tls;
	unsigned refs;
};

void msp_server_ref(struct msp_server *s);
void msp_server_unref(struct msp_server *s);

/** Take over an accepted stream; the list and the count of the server are updated. Owns tcp in any case. */
MSP_CHECKED enum msp_err msp_conn_new(struct msp_server *s, struct msp_tcp *tcp, const struct msp_addr *peer,
				      struct conn **out);
/** Close it now; requests outstanding live on, streams end with `why`. */
void msp_conn_end(struct conn *c, enum msp_err why);
/** Nothing outstanding, nothing to write. */
bool msp_conn_is_idle(const struct conn *c);
/** The server closes: no more reading; streams end, what is being answered may finish. */
void msp_conn_wind_down(struct conn *c);
/** The answer to req (kind REQ_MESSAGE, STREAM or CHUNKS) takes its place in the row. */
void msp_conn_answer(struct conn *c, struct msp_req *req);
/** A request of this connection ended without an answer. */
void msp_conn_drop(struct conn *c);
void msp_conn_unref(struct conn *c);
void msp_req_free(struct msp_req *req);

#endif
