/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Connections that carry transfers, one at a time, and the pool in which they wait for the next. */
#ifndef MSPROTO_SRC_IO_XFR_CONN_H
#define MSPROTO_SRC_IO_XFR_CONN_H

#include <msproto/io/xfr.h>

#include "io/tcp.h"

/** What happens on a connection while it is somebody's. From the loop; putting it back from inside is legal. */
struct msp_xfr_conn_user {
	msp_tcp_connected_fn *connected; /* not for one that was taken from the pool */
	msp_tcp_read_fn *read;
	msp_void_fn *timeout; /* step or total */
};

struct msp_xfr_conn {
	struct msp_loop *loop;
	struct msp_xfr_pool *pool; /* borrowed; NULL = none, or closed meanwhile */
	struct msp_xfr_conn *next; /* in the pool's list, the longest waiting one first */
	struct msp_addr server, source;
	struct msp_tls *tls; /* a reference; NULL = plain */
	const struct msp_xfr_conn_user *user;
	void *arg; /* the user's, borrowed */
	struct msp_tcp *tcp;
	struct msp_tcp_frame frame;
	struct msp_timer *step, *total; /* owned; for the user to start; of an idle one `step` runs to its end */
	bool is_idle, is_reused;
	struct msp_xfrin in; /* large, and nothing of it is kept: last */
};

/**
 * The one waiting in the pool, connected already and is_reused, or a new one, which `connected` will tell of.
 * @param pool NULL = a new one, which is closed when it is put back
 */
MSP_CHECKED enum msp_err msp_xfr_conn_take(struct msp_loop *loop, struct msp_xfr_pool *pool,
					   const struct msp_addr *server, const struct msp_addr *source,
					   struct msp_tls *tls, const struct msp_xfr_conn_user *user, void *arg,
					   struct msp_xfr_conn **out);
/** A new connection in place of one that was reused and turned out to be of no use. *c is closed in any case. */
MSP_CHECKED enum msp_err msp_xfr_conn_replace(struct msp_xfr_conn **c);
/** is_clean: nothing is under way on it. *c may be NULL. */
void msp_xfr_conn_put(struct msp_xfr_conn **c, bool is_clean);

#endif
