/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The one error enum, made from one table: name, text, retry policy, RCODE.
 * Codes of libuv, OpenSSL, getdns, SQLite and errno are translated where the call is made.
 */
#ifndef MSPROTO_BASE_ERR_H
#define MSPROTO_BASE_ERR_H

#include <msproto/base/rcode.h>

#define MSP_CHECKED           __attribute__((warn_unused_result))
#define MSP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/** When the same request may be tried again. */
enum msp_retry { MSP_RETRY_NEVER, MSP_RETRY_BACKOFF };

#define MSP_ERR_MAP(X)                                                                                                 \
	/* name       text                                          retry    rcode */                                  \
	X(OK, "ok", NEVER, NOERROR)                                                                                    \
	X(ETRUNC, "ends early", NEVER, FORMERR)                                                                        \
	X(ETRAIL, "octets left over", NEVER, FORMERR)                                                                  \
	X(EFORMAT, "malformed", NEVER, FORMERR)                                                                        \
	X(EVALUE, "value not defined", NEVER, FORMERR)                                                                 \
	X(ENAME, "not a domain name", NEVER, FORMERR)                                                                  \
	X(ELIMIT, "over a configured limit", NEVER, REFUSED)                                                           \
	X(ENOSPACE, "does not fit", NEVER, SERVFAIL)                                                                   \
	X(ENOMEM, "out of memory", BACKOFF, SERVFAIL)                                                                  \
	X(EUNSIGNED, "signature required, none present", NEVER, REFUSED)                                               \
	X(ENOKEY, "not signed by a known key", NEVER, NOTAUTH)                                                         \
	X(ESIG, "signature does not verify", NEVER, NOTAUTH)                                                           \
	X(ETIME, "signature outside its time window", NEVER, NOTAUTH)                                                  \
	X(EREPLAY, "message seen before", NEVER, NOTAUTH)                                                              \
	X(EALG, "algorithm not allowed", NEVER, NOTAUTH)                                                               \
	X(EREFUSED, "refused by a rule", NEVER, REFUSED)                                                               \
	X(ENOTAUTH, "not authoritative for the zone", NEVER, NOTAUTH)                                                  \
	X(ENOTZONE, "name outside the zone", NEVER, NOTZONE)                                                           \
	X(ENOTIMP, "not implemented", NEVER, NOTIMP)                                                                   \
	X(EYXDOMAIN, "prerequisite: name exists", NEVER, YXDOMAIN)                                                     \
	X(EYXRRSET, "prerequisite: RRset exists", NEVER, YXRRSET)                                                      \
	X(ENXDOMAIN, "prerequisite: name does not exist", NEVER, NXDOMAIN)                                             \
	X(ENXRRSET, "prerequisite: RRset does not exist", NEVER, NXRRSET)                                              \
	X(ENOTFOUND, "not found", NEVER, NXDOMAIN)                                                                     \
	X(EEXIST, "exists already", NEVER, SERVFAIL)                                                                   \
	X(EINSECURE, "answer is not DNSSEC-secure", BACKOFF, SERVFAIL)                                                 \
	X(EBOGUS, "answer is bogus", BACKOFF, SERVFAIL)                                                                \
	X(ERCODE, "the other side answered with an error", BACKOFF, SERVFAIL)                                          \
	X(EMISMATCH, "answer does not belong to the question", BACKOFF, SERVFAIL)                                      \
	X(ETIMEOUT, "no answer in time", BACKOFF, SERVFAIL)                                                            \
	X(ENET, "network error", BACKOFF, SERVFAIL)                                                                    \
	X(ECLOSED, "connection closed", BACKOFF, SERVFAIL)                                                             \
	X(ECANCEL, "cancelled", NEVER, SERVFAIL)                                                                       \
	X(EBUSY, "too much work outstanding", BACKOFF, SERVFAIL)                                                       \
	X(EIO, "file system error", BACKOFF, SERVFAIL)                                                                 \
	X(ECORRUPT, "stored data is damaged", NEVER, SERVFAIL)                                                         \
	X(ECRYPTO, "crypto library failure", BACKOFF, SERVFAIL)                                                        \
	X(ESTALE, "older than what is held", NEVER, SERVFAIL)                                                          \
	X(ESTATE, "not possible in this state", NEVER, SERVFAIL)                                                       \
	X(ECONF, "configuration error", NEVER, SERVFAIL)

enum msp_err {
#define MSP_ERR_ENUM(name, text, retry, rcode) MSP_##name,
	MSP_ERR_MAP(MSP_ERR_ENUM)
#undef MSP_ERR_ENUM
		MSP_ERR__N
};

/** "ETRUNC" and so on. Static storage, never NULL. */
const char *msp_err_name(enum msp_err err);
/** Text for people. Static storage, never NULL. */
const char *msp_err_text(enum msp_err err);
enum msp_retry msp_err_retry(enum msp_err err);
enum msp_rcode msp_err_rcode(enum msp_err err);

/** Where a person must act: what, where, which rule. Fixed size, always terminated. */
struct msp_why {
	char text[256];
};

/**
 * Fill `why` (NULL allowed) and hand back `err`, so that a failure reads `return msp_fail(why, MSP_EVALUE, "...",
 * ...)`. Octets from the network must have been escaped by the caller (msp_name_text and the like do).
 */
enum msp_err msp_fail(struct msp_why *why, enum msp_err err, const char *fmt, ...) MSP_PRINTF(3, 4);

#endif
