/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Typed RDATA for the types that we act on. Each parse has a write; pairs round-trip. Spans borrow the RDATA parsed.
 * Parse functions take uncompressed RDATA (from struct msp_rr) and accept it only if it is used up exactly.
 * All return MSP_OK, MSP_ETRUNC, MSP_ETRAIL, MSP_EFORMAT, MSP_EVALUE or MSP_ENAME.
 */
#ifndef MSPROTO_WIRE_RDATA_H
#define MSPROTO_WIRE_RDATA_H

#include <msproto/wire/rr.h>

/* RFC 1035 3.3.13 */
struct msp_soa {
	struct msp_name mname, rname;
	uint32_t serial, refresh_s, retry_s, expire_s, minimum_s;
};
MSP_CHECKED enum msp_err msp_soa_parse(struct msp_span rdata, struct msp_soa *out);
void msp_soa_write(struct msp_wr *wr, const struct msp_soa *soa);
/** The serial of valid SOA RDATA, read from its tail. 0 when too short. */
uint32_t msp_soa_serial(struct msp_span rdata);

/* DNSKEY, CDNSKEY, KEY: RFC 4034 2.1, RFC 7344 3.2, RFC 3445; PROTOCOL A.4, A.5 */
#define MSP_DNSKEY_ZONE   0x0100
#define MSP_DNSKEY_REVOKE 0x0080
#define MSP_DNSKEY_SEP    0x0001
struct msp_dnskey {
	uint16_t flags;
	uint8_t protocol, algorithm;
	struct msp_span key;
};
MSP_CHECKED enum msp_err msp_dnskey_parse(struct msp_span rdata, struct msp_dnskey *out);
void msp_dnskey_write(struct msp_wr *wr, const struct msp_dnskey *k);
/** Key tag over the whole RDATA (RFC 4034 App. B): a hint for look-up, never an identity. */
uint16_t msp_key_tag(struct msp_span rdata);

/* DS, CDS: RFC 4034 5.1, RFC 7344 3.1 */
struct msp_ds {
	uint16_t tag;
	uint8_t algorithm, digest_type;
	struct msp_span digest;
};
MSP_CHECKED enum msp_err msp_ds_parse(struct msp_span rdata, struct msp_ds *out);
void msp_ds_write(struct msp_wr *wr, const struct msp_ds *ds);
/** The RFC 8078 delete sentinels, exact octets (PROTOCOL A.5). */
bool msp_cds_is_delete(struct msp_span rdata);
bool msp_cdnskey_is_delete(struct msp_span rdata);

/* RRSIG and SIG: RFC 4034 3.1, RFC 2931 3 */
struct msp_rrsig {
	uint16_t covered;
	uint8_t algorithm, labels;
	uint32_t original_ttl, expiration, inception; /* times: RFC 1982 serials of seconds */
	uint16_t tag;
	struct msp_name signer;
	struct msp_span signature;
	size_t signature_at; /* offset of the signature in the RDATA: what precedes it is signed */
};
MSP_CHECKED enum msp_err msp_rrsig_parse(struct msp_span rdata, struct msp_rrsig *out);
void msp_rrsig_write(struct msp_wr *wr, const struct msp_rrsig *sig);

/* NSEC-style type bitmap: RFC 4034 4.1.2 */
bool msp_bitmap_has(struct msp_span bitmap, uint16_t type);
MSP_CHECKED enum msp_err msp_bitmap_check(struct msp_span bitmap);
/** Types in any order, duplicates allowed. */
void msp_bitmap_write(struct msp_wr *wr, const uint16_t *types, size_t count);

/* CSYNC: RFC 7477 2.1.1; PROTOCOL A.6 */
#define MSP_CSYNC_IMMEDIATE  0x0001
#define MSP_CSYNC_SOAMINIMUM 0x0002
struct msp_csync {
	uint32_t serial;
	uint16_t flags;
	struct msp_span bitmap;
};
MSP_CHECKED enum msp_err msp_csync_parse(struct msp_span rdata, struct msp_csync *out);
void msp_csync_write(struct msp_wr *wr, const struct msp_csync *c);

/* DSYNC: RFC 9859 2.1; PROTOCOL A.3. scheme 0 and port 0 are legal octets: the user of the record ignores such records.
 */
struct msp_dsync {
	uint16_t rrtype;
	uint8_t scheme;
	uint16_t port;
	struct msp_name target;
};
#define MSP_DSYNC_NOTIFY 1
MSP_CHECKED enum msp_err msp_dsync_parse(struct msp_span rdata, struct msp_dsync *out);
void msp_dsync_write(struct msp_wr *wr, const struct msp_dsync *d);

/* URI: RFC 7553 4.5 */
struct msp_uri {
	uint16_t priority, weight;
	struct msp_span target; /* not empty */
};
MSP_CHECKED enum msp_err msp_uri_parse(struct msp_span rdata, struct msp_uri *out);
void msp_uri_write(struct msp_wr *wr, const struct msp_uri *u);

/* SVCB: RFC 9460 2.2; PROTOCOL A.7 (strictly increasing keys) */
enum msp_svcb_key {
	MSP_SVCB_MANDATORY = 0,
	MSP_SVCB_ALPN = 1,
	MSP_SVCB_NO_DEFAULT_ALPN = 2,
	MSP_SVCB_PORT = 3,
	MSP_SVCB_IPV4HINT = 4,
	MSP_SVCB_ECH = 5,
	MSP_SVCB_IPV6HINT = 6
};
struct msp_svcb {
	uint16_t priority; /* 0 = AliasMode */
	struct msp_name target;
	struct msp_span params; /* checked: complete, keys strictly increasing, known values well-formed */
};
MSP_CHECKED enum msp_err msp_svcb_parse(struct msp_span rdata, struct msp_svcb *out);
/** params must come from a parse or from msp_svcb_param_write calls in key order. */
void msp_svcb_write(struct msp_wr *wr, const struct msp_svcb *s);
void msp_svcb_param_write(struct msp_wr *wr, uint16_t key, struct msp_span value);
/** Value of a parameter; false when absent. */
bool msp_svcb_param(const struct msp_svcb *s, uint16_t key, struct msp_span *value);
/** False when `mandatory` lists a key that is not one of RFC 9460's 0..6: the record must then be ignored. */
bool msp_svcb_usable(const struct msp_svcb *s);

/* TLSA: RFC 6698 2.1 */
struct msp_tlsa {
	uint8_t usage, selector, mtype;
	struct msp_span data;
};
MSP_CHECKED enum msp_err msp_tlsa_parse(struct msp_span rdata, struct msp_tlsa *out);
void msp_tlsa_write(struct msp_wr *wr, const struct msp_tlsa *t);

/* NS, CNAME, PTR, DNAME: RDATA is one name */
MSP_CHECKED enum msp_err msp_rdata_name_parse(struct msp_span rdata, struct msp_name *out);

#endif
