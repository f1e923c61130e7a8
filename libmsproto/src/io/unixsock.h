/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Unix sockets for kit: a line server on the loop, a blocking line client, and a single datagram. Knows lines, not
 * their meaning.
 */
#ifndef IO_UNIXSOCK_H
#define IO_UNIXSOCK_H

#include <msproto/base/buf.h>
#include <msproto/io/loop.h>

struct msp_usock;      /* a listening socket and its connections */
struct msp_usock_conn; /* borrowed during the line callback */

/** One line without its newline. Borrowed during the call. Answer with msp_usock_reply, at most once per line, now or
 * later (msp_usock_defer). */
typedef void msp_usock_line_fn(void *arg, struct msp_usock_conn *conn, struct msp_span line);

struct msp_usock_conf {
	unsigned mode;        /* of the socket file */
	size_t conn_max;      /* one more is told `busy` and closed */
	size_t line_max;      /* octets of a request; beyond it the peer is told `too_long` and closed */
	size_t reply_max;     /* octets of an answer, at most UINT32_MAX */
	uint64_t idle_ms;     /* a connection without progress is closed */
	const char *busy;     /* static; with newline */
	const char *too_long; /* static; with newline */
};

/**
 * Listen. A socket file nobody listens on is replaced; one that somebody does is MSP_EEXIST, another kind of file too.
 * @param conf copied.
 */
MSP_CHECKED enum msp_err msp_usock_open(struct msp_loop *loop, const char *path, const struct msp_usock_conf *conf,
					msp_usock_line_fn *cb, void *arg, struct msp_usock **out, struct msp_why *why);
/** Removes the socket file and closes every connection; legal inside the line callback. No callback follows. */
void msp_usock_close(struct msp_usock **u);
/** Queue an answer (copied), newline included by the caller. No further line is read before it has been written. */
MSP_CHECKED enum msp_err msp_usock_reply(struct msp_usock_conn *conn, struct msp_span line);
/**
 * Inside the line callback: the answer comes later, by msp_usock_reply(*ref). *ref is cleared when it has come, and
 * when the connection ends before (idle_ms goes on). No further line is read meanwhile.
 */
void msp_usock_defer(struct msp_usock_conn *conn, struct msp_usock_conn **ref);
/** Instead of an answer: the connection ends. */
void msp_usock_end(struct msp_usock_conn *conn);

/**
 * Blocking client: send `line` (newline included), read one line back into `out` (newline removed).
 * @return MSP_OK, MSP_ENET (cannot connect, connection broke), MSP_ETIMEOUT, MSP_ELIMIT (over out's cap)
 */
MSP_CHECKED enum msp_err msp_usock_call(const char *path, struct msp_span line, uint32_t timeout_ms,
					struct msp_buf *out, struct msp_why *why);
/** One datagram; a leading '@' is the abstract name space. Never blocks; callers may ignore the outcome. */
enum msp_err msp_usock_datagram(const char *path, const char *text);

#endif
