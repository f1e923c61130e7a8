/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The resolver worker as a child process: start it, talk to it, give it up. Knows frames, not look-ups' callers.
 */
#ifndef IO_RESOLVE_CHILD_H
#define IO_RESOLVE_CHILD_H

#include <msproto/base/addr.h>
#include <msproto/io/loop.h>

#include "io/resolve_wire.h"

struct resolve_child; /* goes with its last handle, some time after it was given up */

struct resolve_child_conf { /* all borrowed during the call */
	const char *path, *anchor_file;
	uint32_t timeout_ms;
	const struct msp_addr *root;
	size_t root_count;
};

/** One answer. reply->set is the callee's. */
typedef void resolve_reply_fn(void *arg, struct resolve_reply *reply);
/** It died, broke the protocol, or closed its end. It has been given up and killed: the pointer is dead. Fires once. */
typedef void resolve_lost_fn(void *arg, const char *why);

MSP_CHECKED enum msp_err resolve_child_start(struct msp_loop *loop, const struct resolve_child_conf *conf,
					     resolve_reply_fn *reply, resolve_lost_fn *lost, void *arg,
					     struct resolve_child **out, struct msp_why *why);
MSP_CHECKED enum msp_err resolve_child_send(struct resolve_child *c, const struct resolve_ask *ask);
/** No callback follows. Without `kill` it may end by itself, which it does when its pipe closes; for a while. */
void resolve_child_give_up(struct resolve_child **c, bool kill);

#endif
