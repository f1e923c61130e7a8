/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Octet streams, and the two-octet length framing of DNS messages on them (RFC 1035 4.2.2).
 *
 * The stream is the narrow place for a filter: its user sees octets come in through one callback and hands octets to
 * one function. TLS goes between those two and the socket (tcp_tls.c), and nobody above notices: the octets are the
 * same, `connected` means that the other side is whom we believe (or that there is no TLS), and the end of the stream
 * is the end that the peer's TLS has told, or that of its socket between two records.
 */
#ifndef MSPROTO_SRC_IO_TCP_H
#define MSPROTO_SRC_IO_TCP_H

#include <msproto/io/tls.h>

#include "io/loop_priv.h"
#include "io/sockaddr.h"

struct msp_tcp;

/** Outcome of a connection attempt. Closing the stream from here is legal. */
typedef void msp_tcp_connected_fn(void *arg, enum msp_err err);
/**
 * Octets (borrowed during the call), or the end, which comes once: MSP_ECLOSED with is_reset false when the peer has
 * finished sending (it may still read), anything else when the connection is gone. Closing from here is legal.
 */
struct msp_tcp_in {
	enum msp_err err;
	bool is_reset;
	struct msp_span octets;
};
typedef void msp_tcp_read_fn(void *arg, const struct msp_tcp_in *in);
/** A write has left for the kernel, or failed (MSP_ECANCEL: the stream was closed). Comes from the loop, once per
 * write, in the order of the writes. */
typedef void msp_tcp_wrote_fn(void *arg, enum msp_err err);

/** Start connecting. @return MSP_OK, MSP_ENOMEM, MSP_ENET; afterwards `connected` comes once unless closed before. */
MSP_CHECKED enum msp_err msp_tcp_connect(struct msp_loop *loop, const struct msp_addr *server,
					 const struct msp_addr *source, msp_tcp_connected_fn *connected,
					 msp_tcp_read_fn *read, void *arg, struct msp_tcp **out);
/**
 * As above with TLS, or without when tls is NULL. A reference to tls is taken. `connected` comes after the handshake,
 * which must not take longer than MSP_TLS_HANDSHAKE_MS: MSP_ENOKEY (not whom we believe), MSP_EREFUSED (the other side
 * ended it), MSP_ETIMEOUT, MSP_ENET; msp_tcp_reason says more. What is written before goes out after the handshake.
 */
#define MSP_TLS_HANDSHAKE_MS 10000
MSP_CHECKED enum msp_err msp_tcp_connect_tls(struct msp_loop *loop, const struct msp_addr *server,
					     const struct msp_addr *source, struct msp_tls *tls,
					     msp_tcp_connected_fn *connected, msp_tcp_read_fn *read, void *arg,
					     struct msp_tcp **out);
/** Take a connection that `listener` reported. */
MSP_CHECKED enum msp_err msp_tcp_accept(struct msp_loop *loop, uv_stream_t *listener, struct msp_tcp **out);
/** As above with TLS, or without when tls is NULL. The handshake begins by itself; when it fails, the reader gets an
 * end with is_reset. */
MSP_CHECKED enum msp_err msp_tcp_accept_tls(struct msp_loop *loop, uv_stream_t *listener, struct msp_tls *tls,
					    struct msp_tcp **out);
/** NULL without TLS, and until the handshake is over. Borrowed until close. */
const struct msp_tls_peer *msp_tcp_tls_peer(const struct msp_tcp *t);
/** What TLS has to say about a failure; "" when nothing. Valid in the callback that brings the failure. */
const char *msp_tcp_reason(const struct msp_tcp *t);
/** Who gets what comes in (accepted streams; connected ones know). */
void msp_tcp_set_reader(struct msp_tcp *t, msp_tcp_read_fn *read, void *arg);
/** Turn reading on or off; off holds the peer back through TCP's window. Off at first. */
void msp_tcp_read(struct msp_tcp *t, bool on);
MSP_CHECKED enum msp_err msp_tcp_peer(const struct msp_tcp *t, struct msp_addr *out);
MSP_CHECKED enum msp_err msp_tcp_local(const struct msp_tcp *t, struct msp_addr *out);

/** At most this many spans in one write. */
#define MSP_TCP_PARTS 256
/**
 * Queue octets. The memory must stay until `wrote` is called. Nothing here limits the queue: look at msp_tcp_queued.
 * @return MSP_OK, or MSP_ENOMEM, MSP_ENET: `wrote` will not come.
 */
MSP_CHECKED enum msp_err msp_tcp_write(struct msp_tcp *t, const struct msp_span *part, size_t count,
				       msp_tcp_wrote_fn *wrote, void *arg);
/** One message with its length in front, copied. `wrote` may be NULL. MSP_ELIMIT over 65535 octets. */
MSP_CHECKED enum msp_err msp_tcp_write_message(struct msp_tcp *t, struct msp_span message, msp_tcp_wrote_fn *wrote,
					       void *arg);
/** Octets handed over and not yet taken by the kernel (with TLS too: octets of the user's). */
size_t msp_tcp_queued(const struct msp_tcp *t);
/** No read or connect callback comes any more; writes under way are told MSP_ECANCEL from the loop. */
void msp_tcp_close(struct msp_tcp **t);

/** Cuts a stream into messages, whatever pieces it arrives in. */
struct msp_tcp_frame {
	uint8_t head[2];
	size_t head_len;
	struct msp_buf body; /* a message that has arrived in part */
	bool is_given;       /* body was handed out: drop it at the next call */
};
void msp_tcp_frame_init(struct msp_tcp_frame *f);
void msp_tcp_frame_fini(struct msp_tcp_frame *f);
/**
 * Take octets from the front of *in until a message is whole.
 * @param[out] message borrows *in's memory or the frame's, until the next call.
 * @return MSP_OK with a message, MSP_ETRUNC (all taken, no whole message yet), MSP_ENOMEM.
 */
MSP_CHECKED enum msp_err msp_tcp_frame_next(struct msp_tcp_frame *f, struct msp_span *in, struct msp_span *message);
/** Whether part of a message is waiting for its rest. */
bool msp_tcp_frame_is_partial(const struct msp_tcp_frame *f);

#endif
