/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The receiving side of AXFR and IXFR as a pure machine: messages in, records out. Transport, TSIG and time limits are
 * the caller's; it feeds a message only after its TSIG (if any) was verified.
 * @source RFC 5936 2.2, RFC 1995 4, PROTOCOL E.6
 */
#ifndef MSPROTO_ZONE_XFRIN_H
#define MSPROTO_ZONE_XFRIN_H

#include <msproto/msg/msg.h>

enum msp_xfr_kind { MSP_XFR_AXFR, MSP_XFR_IXFR };

/** Calls made while feeding. Any of them may be NULL. An error returned stops the transfer with that error. */
struct msp_xfrin_ops {
	/** The new version's SOA, before anything else. is_full: a whole zone follows, else differences. */
	enum msp_err (*begin)(void *arg, const struct msp_rr *soa, bool is_full);
	/** One record of a whole zone. The framing SOAs are not given. Order as received. Only class IN, names under
	 * the zone. */
	enum msp_err (*record)(void *arg, const struct msp_rr *rr);
	/**
	 * IXFR: half of a difference sequence begins. Each sequence makes two calls, since the new SOA comes only after
	 * the deletions: is_add false with the SOA that is left, its deletions (change), then is_add true with the SOA
	 * that is reached, its additions (change).
	 */
	enum msp_err (*delta)(void *arg, bool is_add, const struct msp_rr *soa);
	/** IXFR: one record deleted or added in the current sequence. SOAs are not given. */
	enum msp_err (*change)(void *arg, bool is_add, const struct msp_rr *rr);
	/** A message, before its records are given (is_over false) and after the last one (true). For a receiver that
	 * can do with the message what it would do with the records. Messages that fail have no end. */
	enum msp_err (*message)(void *arg, const struct msp_msg *m, bool is_over);
};

enum msp_xfrin_state { MSP_XFRIN_MORE, MSP_XFRIN_DONE, MSP_XFRIN_UP_TO_DATE };

struct msp_xfrin_limits {
	uint64_t records, octets; /* 0 = no limit */
};

struct msp_xfrin {
	enum msp_xfr_kind kind;
	struct msp_name zone;
	uint32_t have_serial;            /* IXFR: what we hold */
	uint16_t id;                     /* of the request */
	const struct msp_xfrin_ops *ops; /* borrowed until done */
	void *arg;
	struct msp_xfrin_limits limits;
	/* below: private */
	unsigned phase;
	uint64_t records, octets, messages, out_of_zone;
	unsigned empty_run; /* messages without records since the last record */
	bool is_full;       /* valid once begin was called */
	uint32_t new_serial, delta_from, delta_to;
	struct msp_rr first_soa; /* rdata points into soa_octets: the struct must not move once fed */
	uint8_t soa_octets[2 * MSP_NAME_MAX + 20];
	struct msp_rr_scratch scratch;
};

/** `x` is about 64 KiB: allocate it. */
void msp_xfrin_init(struct msp_xfrin *x, enum msp_xfr_kind kind, const struct msp_name *zone, uint16_t id,
		    uint32_t have_serial, const struct msp_xfrin_limits *limits, const struct msp_xfrin_ops *ops,
		    void *arg);
/** Messages without records, between two records (PROTOCOL C.8: padding). */
#define MSP_XFRIN_EMPTY_MAX 64
/**
 * Feed the next message of the answer. Where messages end makes no difference to what is called. An IXFR answer whose
 * first SOA is not ahead of have_serial is UP_TO_DATE whatever follows. A SOA ahead of ours, alone in its message,
 * gives MORE: over UDP the caller then goes to TCP. That the zone has an apex NS RRset is for the receiver of the
 * records to check.
 * @return MSP_OK with *state; MSP_ERCODE (answer's RCODE in *rcode), MSP_EMISMATCH, MSP_EFORMAT, MSP_ELIMIT, or what
 * ops returned. After an error or DONE nothing more may be fed. Records outside the zone are counted and left out.
 *         rcode may be NULL. MSP_ESTATE when it is fed all the same.
 */
MSP_CHECKED enum msp_err msp_xfrin_feed(struct msp_xfrin *x, struct msp_span message, enum msp_xfrin_state *state,
					unsigned *rcode, struct msp_why *why);
/** The same for a message that msp_msg_parse or msp_msg_frame has accepted. After an error of msp_msg_frame, or of
 * TSIG, `x` is not fed any more. */
MSP_CHECKED enum msp_err msp_xfrin_feed_msg(struct msp_xfrin *x, const struct msp_msg *m, enum msp_xfrin_state *state,
					    unsigned *rcode, struct msp_why *why);

#endif
