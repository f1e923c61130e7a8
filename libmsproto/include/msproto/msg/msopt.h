/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Multi-Signer EDNS(0) option and its TLV body. @source MSA-00, PROTOCOL B.3 */
#ifndef MSPROTO_MSG_MSOPT_H
#define MSPROTO_MSG_MSOPT_H

#include <msproto/msg/edns.h>

#define MSP_OP_HELLO     1
#define MSP_OP_HEARTBEAT 2
/* DATA, STATE, ...: numbers are settings, see struct msp_numbers */

#define MSP_TRANSPORT_DNS 0x01
#define MSP_TRANSPORT_API 0x02
#define MSP_SYNC_LEADER   0x01
#define MSP_SYNC_PEER     0x02

enum msp_tlv {
	MSP_TLV_IDENTITY = 1,
	MSP_TLV_PEER_IDENTITY = 2,
	MSP_TLV_INTERVAL = 3,
	MSP_TLV_INSTANCE = 4,
	MSP_TLV_GROUP = 5,
	MSP_TLV_OWNER_SERIAL = 6,
	MSP_TLV_DATA_VERSION = 7,
	MSP_TLV_DATA_DIGEST = 8,
	MSP_TLV_PROCESS = 9,
	MSP_TLV_PSTATE = 10,
	MSP_TLV_TERM = 11,
	MSP_TLV_LEADER = 12,
	MSP_TLV_RESULT = 13,
	MSP_TLV_KEYINFO = 14,
	MSP_TLV_TIMING = 15,
	MSP_TLV_PARENT_VIEW = 16,
	MSP_TLV_CAPS = 17
};
#define MSP_TLV_CRITICAL 0x8000

#define MSP_CAP_PEER_SCOPE     0x01u
#define MSP_CAP_PUSH           0x02u
#define MSP_CAP_PULL           0x04u
#define MSP_CAP_EXTERNAL_CLOCK 0x08u
#define MSP_CAP_SHARE_KSK      0x10u

struct msp_timing { /* TLV 15, seconds */
	uint32_t dnskey_ttl, max_zone_ttl, ns_ttl, publication, resign, validity;
};

/** All TLVs of one body, decoded. has[t] says whether TLV t was there. */
struct msp_msopt {
	uint8_t operation, transports, syncs;
	bool has[18]; /* indexed by enum msp_tlv */
	struct msp_name identity, peer_identity, leader;
	uint32_t interval_s, owner_serial, caps;
	uint64_t epoch, sequence; /* TLV 4 */
	uint8_t group[32], data_digest[32];
	uint64_t data_version, term;
	struct msp_timing timing;
	uint16_t result_code;
	struct msp_span result_text; /* borrowed, unescaped */
	/* TLVs 9, 10, 14, 16 are kept as octets until the processes that use them exist */
	struct msp_span process, pstate, keyinfo, parent_view;
};

/**
 * Parse OPTION-DATA. 3 octets = no body; 4 or more: fourth ignored. A TLV with the critical bit that is unknown:
 * MSP_ENOTIMP; duplicates: MSP_EFORMAT; operation 0: MSP_EVALUE; short: MSP_ETRUNC; a value of the wrong size:
 * MSP_EFORMAT or MSP_ETRAIL. On failure, if three octets were there, *out has the fixed fields and no TLV, so that an
 * error answer can repeat them.
 */
MSP_CHECKED enum msp_err msp_msopt_parse(struct msp_span data, struct msp_msopt *out);
/** Add the option: four fixed octets, then a TLV for every has[]. */
void msp_optw_msopt(struct msp_optw *o, const struct msp_numbers *n, const struct msp_msopt *ms);
/** "HELLO", "HEARTBEAT", "DATA", ... or "OP77" (static or via buf). */
const char *msp_op_name(const struct msp_numbers *n, uint8_t op);

#endif
