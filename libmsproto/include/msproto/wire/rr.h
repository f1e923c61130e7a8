/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Resource records and the registry: one row per RR type, whose layout string drives decoding, canonical form and
 * presentation. What has no row is opaque (RFC 3597).
 * @source RFC 1035 3.2 and 4.1.3, RFC 3597, RFC 4034 6.2 with RFC 6840 5.1, PROTOCOL A.0
 */
#ifndef MSPROTO_WIRE_RR_H
#define MSPROTO_WIRE_RR_H

#include <msproto/base/buf.h>
#include <msproto/wire/name.h>
#include <msproto/wire/rd.h>
#include <msproto/wire/wr.h>

enum msp_type {
	MSP_TYPE_A = 1,
	MSP_TYPE_NS = 2,
	MSP_TYPE_CNAME = 5,
	MSP_TYPE_SOA = 6,
	MSP_TYPE_NULL = 10,
	MSP_TYPE_PTR = 12,
	MSP_TYPE_MX = 15,
	MSP_TYPE_TXT = 16,
	MSP_TYPE_SIG = 24,
	MSP_TYPE_KEY = 25,
	MSP_TYPE_AAAA = 28,
	MSP_TYPE_DNAME = 39,
	MSP_TYPE_OPT = 41,
	MSP_TYPE_DS = 43,
	MSP_TYPE_RRSIG = 46,
	MSP_TYPE_NSEC = 47,
	MSP_TYPE_DNSKEY = 48,
	MSP_TYPE_NSEC3 = 50,
	MSP_TYPE_NSEC3PARAM = 51,
	MSP_TYPE_TLSA = 52,
	MSP_TYPE_CDS = 59,
	MSP_TYPE_CDNSKEY = 60,
	MSP_TYPE_CSYNC = 62,
	MSP_TYPE_ZONEMD = 63,
	MSP_TYPE_SVCB = 64,
	MSP_TYPE_DSYNC = 66,
	MSP_TYPE_TKEY = 249,
	MSP_TYPE_TSIG = 250,
	MSP_TYPE_IXFR = 251,
	MSP_TYPE_AXFR = 252,
	MSP_TYPE_ANY = 255,
	MSP_TYPE_URI = 256,
	/* No IANA number: defaults of PROTOCOL B.5; the number in force is in struct msp_numbers. */
	MSP_TYPE_HSYNC_DEFAULT = 65282,
	MSP_TYPE_HSYNC3_DEFAULT = 65285,
	MSP_TYPE_HSYNCPARAM_DEFAULT = 65286
};

enum msp_class { MSP_CLASS_IN = 1, MSP_CLASS_CH = 3, MSP_CLASS_NONE = 254, MSP_CLASS_ANY = 255 };

/** Every protocol number without IANA assignment (PROTOCOL B.5). A configuration value: handed to whoever needs it. */
struct msp_numbers {
	uint16_t type_hsync, type_hsync3, type_hsyncparam;
	uint16_t opt_keystate, opt_multisigner;
	uint8_t dsync_update, dsync_scanner, dsync_api;
	uint16_t svcb_bootstrap, svcb_interval;
	uint16_t ede_base;
	uint8_t op_data, op_state, op_proc, op_elect, op_ping, op_bye, op_keyreq;
	bool hsync_compat_zero; /* PROTOCOL A.1, compatibility trap */
};
extern const struct msp_numbers msp_numbers_default;

/** One record. All spans are borrowed. RDATA is uncompressed wire form, case kept. */
struct msp_rr {
	struct msp_name owner;
	uint16_t type, cls;
	uint32_t ttl; /* seconds */
	struct msp_span rdata;
};

#define MSP_RDATA_MAX 65535

/** Memory that msp_rr_read decompresses into; holds one record's RDATA until the next read with the same scratch. */
struct msp_rr_scratch {
	uint8_t oct[MSP_RDATA_MAX];
};

/**
 * Read one record (not a question) and check its RDATA against the type's layout.
 * Pointers inside RDATA are accepted for the RFC 1035 types only (PROTOCOL A.0). Empty RDATA is accepted as it is for
 * class ANY and NONE (RFC 2136); class NONE and IN with RDATA are checked alike. OPT, TSIG and SIG pass with their own
 * layouts. On failure the error sticks in rd.
 * @param[out] out rdata borrows the message, or scratch where names had to be decompressed.
 */
void msp_rr_read(struct msp_rd *rd, struct msp_rr_scratch *scratch, struct msp_rr *out);
/** The owner of the record before: the next one's often is a pointer to it, and need not be unpacked again. */
struct msp_rr_last {
	size_t at; /* where in the message its labels begin; 0 = there is none */
	struct msp_name owner;
};
/** As msp_rr_read, for records of one message read in order with one reader. `last` is {0} before the first. */
void msp_rr_read_next(struct msp_rd *rd, struct msp_rr_scratch *scratch, struct msp_rr_last *last, struct msp_rr *out);
/** Step over one record without looking into its RDATA, nor where a pointer leads. @return its type */
uint16_t msp_rr_skip(struct msp_rd *rd);
/** Write one record. With comp, the owner and the names in RDATA of RFC 1035 types are compressed. */
void msp_rr_write(struct msp_wr *wr, const struct msp_rr *rr, bool comp);

/** Check RDATA octets (uncompressed) against the type's layout. @return MSP_OK, MSP_ETRUNC, MSP_ETRAIL, MSP_EFORMAT,
 * MSP_ENAME */
MSP_CHECKED enum msp_err msp_rdata_check(uint16_t type, struct msp_span rdata);
/** Canonical RDATA (RFC 4034 6.2): names of the listed types in lower case. Copies into out (cap >= rdata.len); same
 * length. */
void msp_rdata_canon(uint16_t type, struct msp_span rdata, uint8_t *out);
/** Equal as RRs go: names inside compare case-insensitively where the canonical form says so, other octets exactly. */
bool msp_rdata_equal(uint16_t type, struct msp_span a, struct msp_span b);

/** Mnemonic ("DNSKEY") or "TYPE123". */
struct msp_type_text {
	char s[16];
};
struct msp_type_text msp_type_text(uint16_t type);
#define MSP_TYPE(t) (msp_type_text(t).s)
/** Mnemonic or TYPEnnn, any case; HSYNC by msp_numbers (NULL = defaults). @return MSP_OK or MSP_EVALUE */
MSP_CHECKED enum msp_err msp_type_from_text(struct msp_span text, const struct msp_numbers *numbers, uint16_t *out);
/** Question-only or pseudo types that never sit in a zone: OPT, TKEY, TSIG, IXFR, AXFR, MAILB, MAILA, ANY (RFC
 * 6895 3.1). */
bool msp_type_is_meta(uint16_t type);

/** One field of an RDATA layout; what the layout string's letters mean is told in rr.c beside the table. */
struct msp_type_row {
	uint16_t type;
	const char *name;
	const char *layout; /* see rr.c */
	bool comp_read;     /* pointers accepted in received RDATA: RFC 1035 types */
	bool comp_write;    /* names compressed when written: NS CNAME SOA PTR MX */
	bool canon_lower;   /* names lower-cased in canonical form (RFC 4034 6.2 list) */
};
/** NULL when the type has no row. */
const struct msp_type_row *msp_type_row(uint16_t type);
size_t msp_type_rows(const struct msp_type_row **rows);

#endif
