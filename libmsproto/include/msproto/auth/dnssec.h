/* SPDX-License-Identifier: BSD-2-Clause */
/** @file DS digests and RRSIG verification. @source RFC 4034 5.1.4 and 3.1.8.1, RFC 4509, RFC 6605, PROTOCOL A.5 */
#ifndef MSPROTO_AUTH_DNSSEC_H
#define MSPROTO_AUTH_DNSSEC_H

#include <msproto/auth/key.h>
#include <msproto/base/clock.h>
#include <msproto/wire/rrset.h>

#define MSP_DIGEST_SHA256 2
#define MSP_DIGEST_SHA384 4
#define MSP_DS_MAX        (4 + 48)

/** DS/CDS RDATA for a DNSKEY. out holds MSP_DS_MAX octets. @return MSP_OK, MSP_EVALUE (digest type), MSP_ECRYPTO */
MSP_CHECKED enum msp_err msp_ds_from_dnskey(const struct msp_name *owner, struct msp_span dnskey_rdata,
					    uint8_t digest_type, uint8_t *out, size_t *len);
/** Whether the DS/CDS RDATA names this DNSKEY (tag, algorithm, digest). */
bool msp_ds_matches(const struct msp_name *owner, struct msp_span ds_rdata, struct msp_span dnskey_rdata);
/**
 * Verify one RRSIG over an RRset with one DNSKEY: signer = zone, times, labels (wildcards), canonical form.
 * @return MSP_OK, MSP_ETIME, MSP_ENOKEY (tag or algorithm differ), MSP_ESIG, MSP_EFORMAT
 */
MSP_CHECKED enum msp_err msp_rrsig_verify(const struct msp_rrset *set, struct msp_span rrsig_rdata,
					  const struct msp_name *zone, struct msp_span dnskey_rdata,
					  struct msp_wall now);

#endif
