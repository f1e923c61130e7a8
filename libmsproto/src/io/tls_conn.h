/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * TLS of one connection as a machine between octets and octets: ciphertext of the peer goes in, ours comes out, and
 * nobody here knows a socket. What comes out is bounded; who finds no room waits until the caller has sent it.
 */
#ifndef MSPROTO_SRC_IO_TLS_CONN_H
#define MSPROTO_SRC_IO_TLS_CONN_H

#include <msproto/io/tls.h>

#define MSP_TLS_RECORD_MAX 16384 /* octets of ours in one record (RFC 8446 5.1) */
#define MSP_TLS_REASON_MAX 160

enum msp_tls_step {
	MSP_TLS_DONE,
	MSP_TLS_WAIT,  /* for octets of the peer, or for room: send the output, then call again */
	MSP_TLS_END,   /* the peer has told that it sends no more (close_notify) */
	MSP_TLS_FAILED /* for good; the output may hold an alert for the peer */
};

struct msp_tls_conn;
MSP_CHECKED enum msp_err msp_tls_conn_new(struct msp_tls *tls, struct msp_tls_conn **out);
void msp_tls_conn_free(struct msp_tls_conn **c);

/** What the peer sent: borrowed until it is used up or replaced. Calls below take from its front. */
void msp_tls_conn_set_input(struct msp_tls_conn *c, struct msp_span octets);
size_t msp_tls_conn_input_left(const struct msp_tls_conn *c);

enum msp_tls_step msp_tls_conn_handshake(struct msp_tls_conn *c);
/** After the handshake. Writes at most `cap` octets; a record at a time when cap is MSP_TLS_RECORD_MAX. */
enum msp_tls_step msp_tls_conn_read(struct msp_tls_conn *c, uint8_t *to, size_t cap, size_t *len);
/** One record of at most MSP_TLS_RECORD_MAX octets, not empty. DONE: all of it is in the output; WAIT: nothing is. */
enum msp_tls_step msp_tls_conn_write(struct msp_tls_conn *c, struct msp_span plain);
/** Tell the peer that no more comes. Nothing happens before the handshake is over or after a failure. */
void msp_tls_conn_finish(struct msp_tls_conn *c);
/** The peer sent part of a record and nothing more yet. */
bool msp_tls_conn_is_partial(const struct msp_tls_conn *c);

/** To be sent; stays where it is while calls above add to its end. */
struct msp_span msp_tls_conn_output(const struct msp_tls_conn *c);
/** `len` octets from its front are sent. When nothing is left, its memory is given up. */
void msp_tls_conn_sent(struct msp_tls_conn *c, size_t len);

/** NULL until the handshake is over. */
const struct msp_tls_peer *msp_tls_conn_peer(const struct msp_tls_conn *c);
/** After MSP_TLS_FAILED: MSP_ENOKEY (not whom we believe), MSP_EREFUSED (the peer's alert), MSP_ENET, MSP_ENOMEM. */
enum msp_err msp_tls_conn_error(const struct msp_tls_conn *c);
const char *msp_tls_conn_reason(const struct msp_tls_conn *c);

#endif
