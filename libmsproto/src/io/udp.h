/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Datagram sockets. Our own descriptors on uv_poll: uv_udp_t does not tell which local address a datagram came to, so
 * a server on the wildcard address would answer from the wrong one.
 */
#ifndef MSPROTO_SRC_IO_UDP_H
#define MSPROTO_SRC_IO_UDP_H

#include "io/loop_priv.h"
#include "io/sockaddr.h"

/** Where a datagram came from and which of our addresses it came to: all that is needed to answer it. */
struct msp_udp_path {
	union msp_sockaddr peer;
	socklen_t peer_len;
	struct msp_addr local; /* port filled in */
};

struct msp_udp;
/**
 * One datagram; octets and path are borrowed during the call. err MSP_ENET, octets empty: the kernel reported an ICMP
 * error for something we sent (connected sockets only). Closing the socket from here is legal.
 */
typedef void msp_udp_fn(void *arg, enum msp_err err, struct msp_span octets, const struct msp_udp_path *path);

/** A server's socket. @return MSP_OK, MSP_ENOMEM, MSP_ENET with the reason in why. */
MSP_CHECKED enum msp_err msp_udp_bind(struct msp_loop *loop, const struct msp_addr *addr, msp_udp_fn *cb, void *arg,
				      struct msp_udp **out, struct msp_why *why);
/** A client's socket, which hears `server` only. Without a source port the kernel picks one at random. */
MSP_CHECKED enum msp_err msp_udp_connect(struct msp_loop *loop, const struct msp_addr *server,
					 const struct msp_addr *source, msp_udp_fn *cb, void *arg,
					 struct msp_udp **out);
/**
 * A client's socket for several servers, from an address of this family: whoever uses it looks at who has sent what.
 * Says nothing of ICMP errors.
 */
MSP_CHECKED enum msp_err msp_udp_open(struct msp_loop *loop, enum msp_family family, const struct msp_addr *source,
				      msp_udp_fn *cb, void *arg, struct msp_udp **out);
MSP_CHECKED enum msp_err msp_udp_send_to(struct msp_udp *u, const struct msp_addr *to, struct msp_span octets);
const struct msp_addr *msp_udp_local(const struct msp_udp *u);
/** Connected socket. What the kernel has no room for is lost, as datagrams may be. @return MSP_OK or MSP_ENET. */
MSP_CHECKED enum msp_err msp_udp_send(struct msp_udp *u, struct msp_span octets);
/** Answer along a path, from the address the request came to. */
MSP_CHECKED enum msp_err msp_udp_reply(struct msp_udp *u, const struct msp_udp_path *path, struct msp_span octets);
/** No callback will come; the port is free at once. */
void msp_udp_close(struct msp_udp **u);

#endif
