/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Several questions to one server over one TCP connection of its own, all written at once; for looking at many servers
 * from outside, where a connection for each question would cost more than the answers. Answers may come in any order.
 * A server that closes after some answers is connected to again for the rest. Nothing is authenticated here.
 * @source RFC 7766 6.2.1 (pipelining), 6.2.4 (a server that closes), 7 (order)
 */
#ifndef MSPROTO_IO_BATCH_H
#define MSPROTO_IO_BATCH_H

#include <msproto/base/addr.h>
#include <msproto/io/loop.h>
#include <msproto/wire/name.h>

#define MSP_BATCH_MAX   32   /* questions of one batch */
#define MSP_BATCHES_MAX 4096 /* of one loop: MSP_EBUSY */

struct msp_batch_question {
	struct msp_name name;
	uint16_t type;
	bool is_after; /* asked only when all before it have been answered: a second look */
};
struct msp_batch_params {
	struct msp_addr server, source;            /* source.family NONE = any */
	const struct msp_batch_question *question; /* copied */
	size_t count;
	bool dnssec_ok;           /* OPT with DO=1 (RFC 3225); RD is never set */
	uint32_t timeout_ms;      /* for all of it, connecting included; 0 = 5 000 */
	size_t answer_octets_max; /* of all answers; 0 = 256 KiB */
};
struct msp_batch_answer {
	enum msp_err err;   /* MSP_OK; MSP_ETIMEOUT, MSP_ENET, MSP_ECLOSED, MSP_EFORMAT, MSP_ELIMIT */
	bool was_connected; /* the server has taken a connection of this batch, whatever it said then */
	struct msp_span
		raw; /* with MSP_OK: matched by id, QR, opcode and question; parse it; borrowed during the call */
};
/** Exactly once, when all have been answered or the rest is given up. answer[i] belongs to question[i]. */
typedef void msp_batch_fn(void *arg, const struct msp_batch_answer *answer, size_t count);

struct msp_batch;
MSP_CHECKED enum msp_err msp_batch_start(struct msp_loop *loop, const struct msp_batch_params *p, msp_batch_fn *cb,
					 void *arg, struct msp_batch **out);
/** No callback will come. */
void msp_batch_cancel(struct msp_batch **b);

#endif
