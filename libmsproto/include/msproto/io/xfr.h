/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Zone transfers over TCP: the client side drives zone/xfrin.h with TSIG; the server side sends small zones.
 * (combinerd has its own sender for large ones.)
 * @source RFC 5936, RFC 1995, RFC 8945 5.3, PROTOCOL E.6
 */
#ifndef MSPROTO_IO_XFR_H
#define MSPROTO_IO_XFR_H

#include <msproto/auth/tsig.h>
#include <msproto/base/addr.h>
#include <msproto/io/loop.h>
#include <msproto/io/server.h>
#include <msproto/wire/rrset.h>
#include <msproto/zone/xfrin.h>

/**
 * Connections that have carried a transfer and wait for the next one to the same server, source and TLS context
 * (RFC 7766 6.2.1, RFC 9103 6.6.1): one transfer at a time on each. Idle ones are closed after idle_ms, the oldest when
 * there are more than `max`.
 */
struct msp_xfr_pool;
MSP_CHECKED enum msp_err msp_xfr_pool_new(struct msp_loop *loop, size_t max, uint32_t idle_ms,
					  struct msp_xfr_pool **out);
/** Closes what is idle; transfers under way go on and close their connections themselves. */
void msp_xfr_pool_close(struct msp_xfr_pool **pool);

struct msp_xfr_params {
	struct msp_addr server, source; /* source.family NONE = any */
	struct msp_name zone;
	enum msp_xfr_kind kind;
	const struct msp_rr *have_soa;   /* IXFR: SOA we hold (copied); NULL for AXFR */
	struct msp_tls *tls;             /* not NULL: XFR over TLS (RFC 9103); a reference is taken */
	struct msp_xfr_pool *pool;       /* NULL = a connection of its own */
	const struct msp_tsig_key *tsig; /* NULL = unsigned; borrowed until done */
	struct msp_xfrin_limits limits;
	uint32_t connect_timeout_ms; /* default 10 000 */
	uint32_t idle_timeout_ms;    /* between messages, default 30 000 */
	uint32_t total_timeout_ms;   /* default 0 = none */
};
struct msp_xfr_result {
	enum msp_err err;           /* MSP_OK, or why it failed */
	enum msp_xfrin_state state; /* DONE or UP_TO_DATE when MSP_OK */
	bool is_full;               /* DONE: a whole zone came, not differences */
	unsigned rcode;             /* when err is MSP_ERCODE */
	struct msp_why why;
	uint64_t records, octets, messages, out_of_zone;
};
/** With a pool, a transfer started from inside `done` may take the connection of the one that is over. */
typedef void msp_xfr_done_fn(void *arg, const struct msp_xfr_result *result);
struct msp_xfr;
/**
 * Records are given to ops->... as they arrive, *before* the last message's TSIG is known: whoever stores them keeps
 * them aside until `done` says MSP_OK. `done` fires exactly once, unless cancelled.
 */
MSP_CHECKED enum msp_err msp_xfr_start(struct msp_loop *loop, const struct msp_xfr_params *p,
				       const struct msp_xfrin_ops *ops, void *ops_arg, msp_xfr_done_fn *done,
				       void *done_arg, struct msp_xfr **out);
void msp_xfr_cancel(struct msp_xfr **x);

/**
 * Send a small zone as an AXFR answer: SOA, the sets, SOA. tsig (may be NULL): ready for the answer; moved from the
 * caller. Its key, `soa` and `sets` are copied before the call returns. The request ends.
 */
void msp_xfr_send(struct msp_req **req, const struct msp_rrset *soa, const struct msp_rrset *const *sets, size_t count,
		  struct msp_tsig_ctx *tsig);

#endif
