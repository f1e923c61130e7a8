/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * One question and its answer: retransmission, TCP fall-back, matching (PROTOCOL C.7). Authentication is the caller's.
 */
#ifndef MSPROTO_IO_XCHG_H
#define MSPROTO_IO_XCHG_H

#include <msproto/base/addr.h>
#include <msproto/io/loop.h>
#include <msproto/io/tls.h>

enum msp_transport { MSP_UDP_THEN_TCP, MSP_TCP_ONLY, MSP_UDP_ONLY };

struct msp_xchg_params {
	struct msp_addr server;
	struct msp_addr source;       /* family NONE = any; port 0 = random */
	enum msp_transport transport; /* UDP_THEN_TCP: TCP when over 1232 octets or when the answer has TC */
	struct msp_tls *tls;          /* not NULL: over TLS, whatever `transport` says; a reference is taken */
	struct msp_span message;      /* copied */
	/**
	 * The answer has a signature, which the caller looks at: by UDP the exchange may share its port with others.
	 * Else every exchange has a random port of its own (RFC 5452 9.2).
	 */
	bool is_signed;
	uint32_t timeout_ms[6]; /* UDP: one per transmission, 0 ends the list; TCP: the sum is the limit. All 0: 5, 10,
				   20 s */
};
/** err MSP_OK: `answer` matched id, QR, opcode and question, from the server's address. Borrowed during the callback.
 */
typedef void msp_xchg_fn(void *arg, enum msp_err err, struct msp_span answer);

struct msp_xchg;
/**
 * Outstanding exchanges per loop are limited (4096): MSP_EBUSY. The callback fires exactly once unless cancelled;
 * network errors come through it too. The handle (out may be NULL) is dead when the callback returns.
 * @return MSP_OK, MSP_EBUSY, MSP_ENOMEM, MSP_EVALUE (no server address), or why the message does not parse.
 */
MSP_CHECKED enum msp_err msp_xchg_start(struct msp_loop *loop, const struct msp_xchg_params *p, msp_xchg_fn *cb,
					void *arg, struct msp_xchg **out);
/** No callback will come. */
void msp_xchg_cancel(struct msp_xchg **x);

#endif
