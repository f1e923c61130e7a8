/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A minimal, strict HTTP/1.1 server: GET and HEAD, no request bodies, one request per connection. For metrics and
 * health, on an address that the operator's own network reaches; everything a client may do is bounded all the same.
 * @source RFC 9110, RFC 9112
 */
#ifndef MSPROTO_IO_HTTP_H
#define MSPROTO_IO_HTTP_H

#include <msproto/base/addr.h>
#include <msproto/io/loop.h>

#define MSP_HTTP_CONNS_MAX  32   /* at one time; more wait in the kernel's queue */
#define MSP_HTTP_HEADER_MAX 8192 /* octets of request line and header; longer ones are answered with 431 */
#define MSP_HTTP_TIME_MS    5000 /* for the request to arrive, and again for the answer to be taken */

struct msp_http_request {
	bool is_head;         /* the server leaves the body out by itself */
	struct msp_span path; /* as sent, without the query; borrowed during the call */
};
/** The answer. The server sets Content-Length, Connection: close and Cache-Control. */
struct msp_http_answer {
	const char *type;     /* static; "text/plain; charset=utf-8" at first */
	struct msp_buf *body; /* append to it; its cap is the server's body_max */
};
/** @return the status: 200, 404, 500, 503. From the loop. */
typedef unsigned msp_http_fn(void *arg, const struct msp_http_request *req, struct msp_http_answer *answer);

struct msp_http;
/** @return MSP_OK, or MSP_ENET with the reason. */
MSP_CHECKED enum msp_err msp_http_open(struct msp_loop *loop, const struct msp_addr *addr, size_t body_max,
				       msp_http_fn *handler, void *arg, struct msp_http **out, struct msp_why *why);
/** The address bound (port filled in when 0 was asked for). */
const struct msp_addr *msp_http_addr(const struct msp_http *h);
/** Closes all connections. Not from inside the handler. NULL allowed. */
void msp_http_close(struct msp_http **h);

struct msp_http_stats {
	uint64_t accepted, requests, refused, timeouts; /* refused: answered with 4xx or 5xx by the server itself */
	size_t open;
};
struct msp_http_stats msp_http_stats(const struct msp_http *h);

#endif
