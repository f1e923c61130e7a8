/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A DNS server socket pair (UDP and TCP on one address) that turns datagrams and framed stream messages into requests.
 * @source RFC 7766, PROTOCOL C.7
 */
#ifndef MSPROTO_IO_SERVER_H
#define MSPROTO_IO_SERVER_H

#include <msproto/base/addr.h>
#include <msproto/io/loop.h>
#include <msproto/io/tls.h>

struct msp_server_limits {
	size_t tcp_connections;      /* in all; the connection idle longest is closed for a new one. Default 512 */
	size_t tcp_per_client;       /* per address, default 10 */
	size_t outstanding_per_conn; /* requests, default 100; reading stops there */
	uint32_t idle_ms;            /* while nothing is outstanding, default 10 000 */
	size_t write_watermark;      /* octets queued at which a stream stops pulling, default 1 MiB; also the most that
					one stream pulls before others have their turn */
	uint32_t stall_ms; /* a client that takes nothing of what is queued for this long is cut off, default 60 000 */
};
/** A member that is 0 means its default. */
extern const struct msp_server_limits msp_server_limits_default;

/** One request. Owned by the handler from the call on until it replies or drops it. */
struct msp_req;
/** The raw message. Borrowed from the request. */
struct msp_span msp_req_message(const struct msp_req *req);
const struct msp_addr *msp_req_peer(const struct msp_req *req);
const struct msp_addr *msp_req_local(const struct msp_req *req);
/** A stream: TCP, with or without TLS. */
bool msp_req_is_tcp(const struct msp_req *req);
/** NULL when the request did not come over TLS. */
const struct msp_tls_peer *msp_req_tls(const struct msp_req *req);
/** Send one message and end the request. Also legal after the client has gone (nothing is sent). Copies the octets. */
void msp_req_reply(struct msp_req **req, struct msp_span message);
/** End it without an answer. */
void msp_req_drop(struct msp_req **req);

/**
 * Answer with a stream of messages (TCP only). `pull` writes the next message into out[0..cap) (cap is 65535) and
 * returns its length; 0 with *end set ends the stream (an end may come together with a last message). An error closes
 * the connection. `done` is called exactly once, from the loop, also when the client goes away (err then MSP_ECLOSED),
 * takes nothing for stall_ms (MSP_ETIMEOUT) or the server is closed (MSP_ECANCEL); the request ends then. A request
 * that came by UDP gets MSP_ESTATE. Neither 0 octets nor an end is MSP_ESTATE too. Other answers on the connection wait
 * until the stream has ended.
 */
typedef enum msp_err msp_pull_fn(void *arg, uint8_t *out, size_t cap, size_t *len, bool *end);
typedef void msp_stream_done_fn(void *arg, enum msp_err err);
void msp_req_stream(struct msp_req **req, msp_pull_fn *pull, msp_stream_done_fn *done, void *arg);
/**
 * As above, but the pull hands out ready memory: *parts (at most MSP_STREAM_PARTS spans, each stays valid until `sent`
 * is called with the same token) that already hold length prefixes. For senders with mapped pages: no copy is made.
 * `sent` comes exactly once for each chunk that pull handed out with MSP_OK, before `done`; for an end without parts
 * only if it has a token. Above the watermark one chunk is kept in reserve behind the one under way.
 */
#define MSP_STREAM_PARTS 256
struct msp_stream_chunk {
	struct msp_span part[MSP_STREAM_PARTS];
	size_t count;
	void *token;
	bool end;
};
typedef enum msp_err msp_pull_chunk_fn(void *arg, struct msp_stream_chunk *out);
typedef void msp_chunk_sent_fn(void *arg, void *token);
void msp_req_stream_chunks(struct msp_req **req, msp_pull_chunk_fn *pull, msp_chunk_sent_fn *sent,
			   msp_stream_done_fn *done, void *arg);

/** Handler: takes the request (must reply, stream or drop it, now or later). Messages shorter than 12 octets never
 * arrive here. Called from the loop. */
typedef void msp_request_fn(void *arg, struct msp_req *req);

struct msp_server;
/**
 * Open both sockets. Replies to UDP leave from the address the request came to, on the wildcard address too.
 * @return MSP_OK, or MSP_ENET with the reason (address in use, no permission).
 */
MSP_CHECKED enum msp_err msp_server_open(struct msp_loop *loop, const struct msp_addr *addr,
					 const struct msp_server_limits *limits, msp_request_fn *handler, void *arg,
					 struct msp_server **out, struct msp_why *why);
/** As above for TLS only: one stream socket, no UDP. Takes a reference to `tls`. @source RFC 9103 9.3 */
MSP_CHECKED enum msp_err msp_server_open_tls(struct msp_loop *loop, const struct msp_addr *addr,
					     const struct msp_server_limits *limits, struct msp_tls *tls,
					     msp_request_fn *handler, void *arg, struct msp_server **out,
					     struct msp_why *why);
/** New certificates for connections to come. */
void msp_server_set_tls(struct msp_server *s, struct msp_tls *tls);
/** Other limits from now on; connections that stand are not closed by it. */
void msp_server_set_limits(struct msp_server *s, const struct msp_server_limits *limits);
/** The address bound (port filled in when 0 was asked for). */
const struct msp_addr *msp_server_addr(const struct msp_server *s);
/**
 * Stops accepting, closes idle connections, ends streams; requests still held stay valid until replied to or dropped.
 * The addresses are free at once: late answers go out on connections that still stand, those to UDP requests are
 * dropped. Every request must have ended before the loop is freed.
 */
void msp_server_close(struct msp_server **s);
struct msp_server_stats {
	uint64_t udp_in, udp_short, tcp_accepted, tcp_refused, tcp_in, tcp_framing_errors, replies;
	uint64_t udp_overrun; /* dropped: too many requests that came by UDP are still held (MSP_UDP_HELD_MAX) */
	uint64_t tls_failed;  /* handshakes that did not come to an end, for whatever reason */
	uint64_t queued_max;  /* the most octets ever queued on one connection */
};
#define MSP_UDP_HELD_MAX 4096 /* per server */
struct msp_server_stats msp_server_stats(const struct msp_server *s);

/**
 * Break off a stream from outside of its callbacks: the connection is closed, nothing that was handed out is written
 * any more, and `done` follows from the loop. `stream` is what *req was before msp_req_stream*; legal until `done`.
 */
void msp_req_stream_abort(struct msp_req *stream, enum msp_err err);

#endif
