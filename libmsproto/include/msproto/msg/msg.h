/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * DNS messages: header, sections, iteration, builder.
 * @source RFC 1035 4.1, RFC 2136 2, RFC 6891 6.1, PROTOCOL B.1
 */
#ifndef MSPROTO_MSG_MSG_H
#define MSPROTO_MSG_MSG_H

#include <msproto/wire/rr.h>

#define MSP_MSG_MAX    65535
#define MSP_HEADER_LEN 12

enum msp_opcode { MSP_OPCODE_QUERY = 0, MSP_OPCODE_NOTIFY = 4, MSP_OPCODE_UPDATE = 5 };

/** Sections in wire order; UPDATE names them zone, prerequisite, update, additional (RFC 2136 2). */
enum msp_section {
	MSP_SEC_QUESTION,
	MSP_SEC_ANSWER,
	MSP_SEC_AUTHORITY,
	MSP_SEC_ADDITIONAL,
	MSP_SEC_ZONE = MSP_SEC_QUESTION,
	MSP_SEC_PREREQ = MSP_SEC_ANSWER,
	MSP_SEC_UPDATE = MSP_SEC_AUTHORITY
};

/* Header flag bits as in the 16-bit flags word. */
#define MSP_FLAG_QR 0x8000
#define MSP_FLAG_AA 0x0400
#define MSP_FLAG_TC 0x0200
#define MSP_FLAG_RD 0x0100
#define MSP_FLAG_RA 0x0080
#define MSP_FLAG_AD 0x0020
#define MSP_FLAG_CD 0x0010

struct msp_question {
	struct msp_name name;
	uint16_t type, cls;
};

/** What the OPT record says (RFC 6891 6.1.2). */
struct msp_edns {
	bool present;
	uint16_t payload; /* octets; below 512 read as 512 */
	uint8_t ext_rcode, version;
	bool dnssec_ok;
	struct msp_span options; /* option list, checked to be well framed; walk with edns.h */
};

/** A parsed message. Everything borrows `raw`. Every record of every section has been parsed once and is well-formed.
 */
struct msp_msg {
	struct msp_span raw;
	uint16_t id, flags; /* flags word as received, opcode and rcode included */
	uint8_t opcode;
	uint16_t rcode; /* 12 bits with the OPT's upper bits */
	uint16_t count[4];
	struct msp_question question; /* the first one; name unset when count[0] is 0 */
	size_t section_at[4];         /* offset of each section's first record */
	struct msp_edns edns;
	/* Offset of a TSIG record, or of a SIG record with type covered 0; 0 = none. Always the last record (checked).
	 */
	size_t tsig_at, sig0_at;
};

/**
 * Parse and check a whole message: counts match, no trailing octets, at most one OPT and only in additional, OPT owned
 * by the root, at most one TSIG or SIG(0), last in additional, not both (PROTOCOL B.1, C.3 step 2, C.6).
 * @return MSP_OK or the first error found (its RCODE column says what to answer). On failure id, flags, opcode and,
 * where it could be read, the question are set all the same, so that an error answer can be built; raw.len < 12 sets
 * nothing.
 */
MSP_CHECKED enum msp_err msp_msg_parse(struct msp_span raw, struct msp_rr_scratch *scratch, struct msp_msg *out,
				       struct msp_why *why);

/**
 * The same without looking into records other than OPT, TSIG and SIG(0), for messages whose records are walked only
 * once, and many: the walk then meets what is malformed, and ends there with it.rd.err set.
 */
MSP_CHECKED enum msp_err msp_msg_frame(struct msp_span raw, struct msp_rr_scratch *scratch, struct msp_msg *out,
				       struct msp_why *why);

/** Walk one section of a parsed message. */
struct msp_msg_it {
	struct msp_rd rd;
	uint16_t left;
	struct msp_rr_scratch *scratch;
	struct msp_rr_last last;
};
void msp_msg_it_init(struct msp_msg_it *it, const struct msp_msg *m, enum msp_section section,
		     struct msp_rr_scratch *scratch);
/** False at the end. For the additional section OPT, TSIG and SIG(0) are given out too. */
bool msp_msg_next(struct msp_msg_it *it, struct msp_rr *out);

/** Builder. Sections must be filled in order; errors stick in wr.err. */
struct msp_msgw {
	struct msp_wr wr;
	uint16_t count[4];
	enum msp_section section;
};
/** @param flags flags word with opcode 0 and rcode 0; opcode and rcode are or-ed in. rcode above 15 needs msp_msgw_opt.
 */
void msp_msgw_init(struct msp_msgw *w, uint8_t *mem, size_t cap, uint16_t id, enum msp_opcode opcode, uint16_t flags);
void msp_msgw_question(struct msp_msgw *w, const struct msp_name *name, uint16_t type, uint16_t cls);
/**
 * Adds with name compression, except in UPDATE (left plain so that what is signed is easy to reproduce). A record that
 * did not fit (MSP_ENOSPACE) is not counted: msp_wr_rewind(&w->wr, position before) undoes it, and the message can be
 * finished.
 */
void msp_msgw_rr(struct msp_msgw *w, enum msp_section section, const struct msp_rr *rr);
/** The message; MSP_ENOSPACE and the like when something went wrong before. The header counts are written here. */
MSP_CHECKED enum msp_err msp_msgw_finish(struct msp_msgw *w, struct msp_span *out);
/** Set the low 4 bits of the RCODE (before finish). */
void msp_msgw_rcode(struct msp_msgw *w, unsigned rcode);

/**
 * Start a response to `req`: same id and opcode, QR set, RD copied, question section copied (zone section for UPDATE).
 * Works on a message that failed to parse, as far as it was read.
 */
void msp_msgw_respond(struct msp_msgw *w, uint8_t *mem, size_t cap, const struct msp_msg *req, unsigned rcode,
		      uint16_t flags);

/**
 * Whether `resp` answers `req`: QR, id, opcode, first question (name case-insensitively, type, class). The question may
 * be absent from the answer to an UPDATE (RFC 2136 3.8) and from one with an error RCODE.
 */
bool msp_msg_answers(const struct msp_msg *resp, const struct msp_msg *req);

#endif
