/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What one provider contributes to one zone: DNSKEY, CDS and NS, with a version that only grows and a digest.
 * @source PROTOCOL D.7, D.8; SIGNERS 2.2, 2.3
 */
#ifndef MSAD_CONTRIBUTION_H
#define MSAD_CONTRIBUTION_H

#include <msproto/base/buf.h>
#include <msproto/wire/rdata.h>
#include <msproto/wire/rrset.h>

#define MSA_KEYS_MAX        16 /* DNSKEYs of one provider (D.7) */
#define MSA_CONTRIB_NS_MAX  13
#define MSA_CONTRIB_KEY_MAX 4 /* KEYs of one provider: the present one, the next one, and room */
#define MSA_CONTRIB_TTL_MAX 86400

struct msa_contribution {
	uint64_t version; /* 0 = none yet */
	uint8_t digest[32];
	struct msp_rrset *dnskey, *cds, *ns; /* owned; NULL = empty. Owner is the zone's apex */
	struct msp_rrset *key;               /* owned; keys towards the parent, of the one provider (H.3) */
};
void msa_contribution_fini(struct msa_contribution *c);
/** The TTL of injected records is the receiver's setting; the sender's counts only for the digest. */
MSP_CHECKED enum msp_err msa_contribution_digest(const struct msp_name *zone, const struct msa_contribution *c,
						 uint8_t out[32]);
/** For the store; version and digest included. */
MSP_CHECKED enum msp_err msa_contribution_write(const struct msa_contribution *c, struct msp_buf *out);
/** @return MSP_OK, MSP_ECORRUPT, MSP_ENOMEM */
MSP_CHECKED enum msp_err msa_contribution_read(struct msp_span octets, struct msa_contribution *out);

/** CDS (digest type 2) for every DNSKEY with the SEP flag. *out NULL when there is none. */
MSP_CHECKED enum msp_err msa_cds_of(const struct msp_name *zone, const struct msp_rrset *dnskey, uint32_t ttl_s,
				    struct msp_rrset **out);
/** CDNSKEY for the same keys. */
MSP_CHECKED enum msp_err msa_cdnskey_of(const struct msp_name *zone, const struct msp_rrset *dnskey, uint32_t ttl_s,
					struct msp_rrset **out);

/** Keys that belong to somebody else: no key of the contribution may share algorithm and tag with one of them (I9). */
struct msa_foreign {
	const struct msp_rrset *dnskey; /* NULL allowed */
	const struct msp_name *identity;
};
/**
 * The receiver's sanity checks of D.7 and the sender's rights of D.8.
 * @param may_sign the sender is a signer: may contribute DNSKEY and CDS.
 * @return MSP_OK, or MSP_EREFUSED with the rule in why.
 */
MSP_CHECKED enum msp_err msa_contribution_check(const struct msp_name *zone, const struct msa_contribution *c,
						bool may_sign, const struct msa_foreign *others, size_t other_count,
						struct msp_why *why);

#endif
