/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * getdns' public event-loop interface on libuv. The extension that Debian 12 ships exports no symbol, and its static
 * twin crashes on pipelined TCP (two polls on one descriptor).
 */
#ifndef IO_GETDNS_LOOP_H
#define IO_GETDNS_LOOP_H

#include <getdns/getdns.h>
#include <getdns/getdns_extra.h>
#include <uv.h>

struct getdns_loop_event;
struct getdns_loop {
	getdns_eventloop base;            /* first: getdns hands it back as this type */
	uv_loop_t *uv;                    /* borrowed */
	struct getdns_loop_event *events; /* scheduled and not cleared */
};

/** `l` is the caller's and must outlive getdns_context_destroy, which still calls into it. */
getdns_return_t getdns_loop_attach(struct getdns_loop *l, getdns_context *ctx, uv_loop_t *uv);
/** After getdns_context_destroy: drop the events that getdns forgot. Then run the loop once for the close callbacks. */
void getdns_loop_detach(struct getdns_loop *l);

#endif
