/* SPDX-License-Identifier: BSD-2-Clause */
/** @file EDNS(0): OPT record, option walk, extended errors. @source RFC 6891, RFC 8914, PROTOCOL B.1, B.4, B.5 */
#ifndef MSPROTO_MSG_EDNS_H
#define MSPROTO_MSG_EDNS_H

#include <msproto/msg/msg.h>

#define MSP_OPT_COOKIE         10
#define MSP_OPT_TCP_KEEPALIVE  11
#define MSP_OPT_PADDING        12
#define MSP_OPT_EDE            15
#define MSP_OPT_REPORT_CHANNEL 18
#define MSP_EDNS_PAYLOAD       1232 /* what we advertise (PROTOCOL B.1) */

struct msp_option {
	uint16_t code;
	struct msp_span data;
};
/** Walk: start with *pos = 0. False at the end. */
bool msp_edns_next(const struct msp_edns *e, size_t *pos, struct msp_option *out);
/** First option with the code; false when there is none. */
bool msp_edns_find(const struct msp_edns *e, uint16_t code, struct msp_option *out);
size_t msp_edns_count(const struct msp_edns *e, uint16_t code);

/** Add an OPT record in the additional section: open, options, close. ext_rcode = rcode >> 4. */
struct msp_optw {
	struct msp_msgw *w;
	size_t rdlen_at;
};
struct msp_optw msp_optw_open(struct msp_msgw *w, uint16_t payload, unsigned rcode, bool dnssec_ok);
void msp_optw_add(struct msp_optw *o, uint16_t code, struct msp_span data);
void msp_optw_close(struct msp_optw *o);

/** Extended DNS error (RFC 8914). */
struct msp_ede {
	uint16_t code;
	struct msp_span text; /* UTF-8, may be empty */
};
MSP_CHECKED enum msp_err msp_ede_parse(struct msp_span data, struct msp_ede *out);
void msp_optw_ede(struct msp_optw *o, uint16_t code, const char *text);

/** Standard codes in use (PROTOCOL B.5). */
enum msp_ede_std {
	MSP_EDE_OTHER = 0,
	MSP_EDE_NOT_READY = 14,
	MSP_EDE_BLOCKED = 15,
	MSP_EDE_PROHIBITED = 18,
	MSP_EDE_NOT_AUTHORITATIVE = 20,
	MSP_EDE_NOT_SUPPORTED = 21,
	MSP_EDE_INVALID_DATA = 24
};

/** Our codes: offsets from numbers->ede_base (PROTOCOL B.5 table: 49161 = base + 9). name, offset, text for EXTRA-TEXT
 */
#define MSP_EDE_MAP(X)                                                                                                 \
	X(SIG0_KEY_UNKNOWN, 9, "SIG(0) key not known")                                                                 \
	X(KEY_NOT_TRUSTED, 10, "SIG(0) key known, not trusted")                                                        \
	X(KEY_VALIDATION_FAILED, 11, "SIG(0) key validation failed")                                                   \
	X(MANUAL_BOOTSTRAP, 12, "manual bootstrap required")                                                           \
	X(SIG0_BAD_SIGNATURE, 13, "SIG(0) signature does not verify")                                                  \
	X(SIG0_BAD_TIME, 14, "outside the SIG(0) time window")                                                         \
	X(SIG0_REPLAY, 15, "message seen before")                                                                      \
	X(SIG0_REQUIRED, 16, "SIG(0) signature required")                                                              \
	X(SIG0_ALGORITHM, 17, "SIG(0) algorithm not supported")                                                        \
	X(UPDATE_TYPE, 19, "RR type not allowed in this UPDATE")                                                       \
	X(UPDATE_NAME, 20, "name not allowed in this UPDATE")                                                          \
	X(NOT_A_DELEGATION, 21, "not a delegation of this zone")                                                       \
	X(DELEGATION_CHECK, 22, "delegation check failed")                                                             \
	X(KEY_MIXED, 23, "KEY mixed with delegation records")                                                          \
	X(SCHEME_NOT_ADVERTISED, 24, "scheme not advertised")                                                          \
	X(CDS_INCONSISTENT, 25, "CDS differs between servers")                                                         \
	X(CHAIN_WOULD_BREAK, 26, "chain of trust would break")                                                         \
	X(ZONE_LOCKED, 27, "zone locked")                                                                              \
	X(MSA_ZONE_UNKNOWN, 29, "zone not known here")                                                                 \
	X(MSA_NOT_DESIGNATED, 30, "sender is not in the HSYNC RRset")                                                  \
	X(MSA_NOT_READY, 31, "not ready: cannot verify you yet")                                                       \
	X(MSA_GROUP_MISMATCH, 32, "HSYNC RRsets differ")                                                               \
	X(MSA_STATE_CONFLICT, 33, "state conflict")                                                                    \
	X(MSA_UNKNOWN_OPERATION, 34, "unknown operation")                                                              \
	X(COMBINER_NSMGMT_OWNER, 39, "NS is managed by the owner")                                                     \
	X(COMBINER_ZONE_SIGNED, 40, "zone arrives signed: pass-through")                                               \
	X(COMBINER_STORED, 41, "stored, not applied")                                                                  \
	X(COMBINER_EMPTY_NS, 42, "NS RRset would be empty")

enum msp_ede_own {
#define MSP_EDE_ENUM(name, off, text) MSP_EDE_##name = (off),
	MSP_EDE_MAP(MSP_EDE_ENUM)
#undef MSP_EDE_ENUM
		MSP_EDE_OWN__END = 64
};
/** INFO-CODE of one of ours: ede_base + offset. */
uint16_t msp_ede_code(const struct msp_numbers *n, enum msp_ede_own e);
/** Name for logs and msctl: "MSA_NOT_READY", or a standard one's name, or NULL. */
const char *msp_ede_name(const struct msp_numbers *n, uint16_t code);
const char *msp_ede_text(enum msp_ede_own e);

#endif
