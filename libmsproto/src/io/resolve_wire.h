/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What resolver and worker say to each other: frames of a 32-bit length and that many octets. Pure. */
#ifndef IO_RESOLVE_WIRE_H
#define IO_RESOLVE_WIRE_H

#include <msproto/base/buf.h>
#include <msproto/wire/rrset.h>
#include <msproto/zone/secure.h>

#define RESOLVE_ASK_MAX 512u
/* A 64 KiB message may hold about 4700 records whose compressed names grow to 255 octets each. */
#define RESOLVE_REPLY_MAX  (4u << 20)
#define RESOLVE_WHY_MAX    240u
#define RESOLVE_FRAME_HEAD 4u

struct resolve_ask {
	uint32_t id;
	uint16_t type;
	bool is_open; /* an insecure answer is of use as well, and so is a denial: the reply is an open one */
	struct msp_name name;
};

/**
 * Two kinds that never pass for one another: the parent knows which it has asked for. Records come in a secure reply
 * (is_open false) with MSP_LOOKUP_SECURE only; in an open one with SECURE and INSECURE, or else it is negative.
 */
struct resolve_reply {
	uint32_t id;
	enum msp_lookup verdict;
	bool is_open;
	bool is_negative; /* open ones only */
	char why[RESOLVE_WHY_MAX + 1];
	struct msp_rrset *set;     /* owned */
	struct msp_name soa_owner; /* unset unless negative */
};

/** Append one frame. */
MSP_CHECKED enum msp_err resolve_ask_write(const struct resolve_ask *ask, struct msp_buf *out);
MSP_CHECKED enum msp_err resolve_ask_read(struct msp_span payload, struct resolve_ask *out);
MSP_CHECKED enum msp_err resolve_reply_write(const struct resolve_reply *reply, struct msp_buf *out);
/** Records where there must be none, none where there must be some, and RDATA that its type does not allow are errors.
 */
MSP_CHECKED enum msp_err resolve_reply_read(struct msp_span payload, struct resolve_reply *out);
/**
 * Whether `in` starts with a whole frame.
 * @return MSP_OK (payload borrows in; consume RESOLVE_FRAME_HEAD + its length afterwards), MSP_ETRUNC (more is needed)
 * or MSP_ELIMIT (longer than max)
 */
MSP_CHECKED enum msp_err resolve_frame(struct msp_span in, size_t max, struct msp_span *payload);

#endif
