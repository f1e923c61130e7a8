/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Few octets for what is stored a million times: numbers of seven bits an octet, texts, and the records of a delegation
 * relative to its child. What reads is a msp_rd, whose first error stays. Pure.
 */
#ifndef PRT_PACK_H
#define PRT_PACK_H

#include <msproto/base/addr.h>
#include <msproto/base/clock.h>
#include <msproto/wire/rr.h>

void prt_pack_number(struct msp_buf *out, uint64_t v);
uint64_t prt_unpack_number(struct msp_rd *rd);
/** As above; MSP_EVALUE over max. */
uint64_t prt_unpack_up_to(struct msp_rd *rd, uint64_t max);
/** Seconds; sums of a few of them do not overflow. */
#define PRT_TIME_MAX (UINT64_C(1) << 48)
void prt_pack_time(struct msp_buf *out, struct msp_wall t);
struct msp_wall prt_unpack_time(struct msp_rd *rd);
/** With their length in front. */
void prt_pack_octets(struct msp_buf *out, struct msp_span octets);
struct msp_span prt_unpack_octets(struct msp_rd *rd);
void prt_pack_text(struct msp_buf *out, const char *text);
/** size with the terminating zero; MSP_EVALUE when it does not fit. */
void prt_unpack_text(struct msp_rd *rd, char *out, size_t size);

/** With its family, which may be NONE. */
void prt_pack_addr(struct msp_buf *out, const struct msp_addr *a);
struct msp_addr prt_unpack_addr(struct msp_rd *rd);

/** Records one after the other. What a record shares with the one before, or with the child's name, is not repeated. */
struct prt_packer {
	struct msp_buf *out;          /* borrowed; holds the error */
	const struct msp_name *child; /* borrowed */
	struct msp_name owner;        /* of the record before; not set = none */
	uint32_t ttl;
};
void prt_packer_init(struct prt_packer *p, const struct msp_name *child, struct msp_buf *out);
void prt_packer_add(struct prt_packer *p, const struct msp_name *owner, uint16_t type, uint32_t ttl,
		    struct msp_span rdata);

struct prt_unpacker {
	struct msp_rd rd;
	const struct msp_name *child; /* borrowed */
	struct msp_name owner;
	uint32_t ttl;
	struct msp_name name; /* RDATA of the last NS */
};
void prt_unpacker_init(struct prt_unpacker *u, const struct msp_name *child, struct msp_span octets);
/** rr->rdata is borrowed from the octets, or from u until the next call. RDATA is not checked but for A, AAAA and NS.
 * @return false: no more, or an error in u->rd.err */
bool prt_unpacker_next(struct prt_unpacker *u, struct msp_rr *rr);

#endif
