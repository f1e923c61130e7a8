/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Sign an RRset as a zone's signer does, for tests and benches. @source RFC 4034 3.1.8.1 */
#ifndef TEST_RRSIGN_H
#define TEST_RRSIGN_H

#include <msproto/auth/key.h>
#include <msproto/wire/rrset.h>

/* RRSIG_RDATA | RR(1) | RR(2) ...; names in `sig` and the owner have to be in lower case. */
static inline void rrsign_octets(const struct msp_rrset *set, const struct msp_rrsig *sig, struct msp_buf *out)
{
	uint8_t head[18 + MSP_NAME_MAX], fixed[10];
	struct msp_wr wr;

	msp_wr_init(&wr, head, sizeof(head));
	msp_rrsig_write(&wr, sig);
	msp_buf_add_span(out, msp_wr_span(&wr));
	for (size_t i = 0; i < set->count; i++) {
		uint8_t *canon;

		msp_wr_init(&wr, fixed, sizeof(fixed));
		msp_wr_u16(&wr, set->type);
		msp_wr_u16(&wr, MSP_CLASS_IN);
		msp_wr_u32(&wr, set->ttl);
		msp_wr_u16(&wr, (uint16_t)set->rdata[i].len);
		msp_buf_add_span(out, msp_name_span(&set->owner));
		msp_buf_add_span(out, msp_wr_span(&wr));
		canon = msp_buf_reserve(out, set->rdata[i].len);
		if (canon == NULL)
			return;
		msp_rdata_canon(set->type, set->rdata[i], canon);
		msp_buf_claim(out, set->rdata[i].len);
	}
}

/** One RRSIG RDATA over `set`, whose owner is in lower case, appended to *out. */
static inline enum msp_err rrsign(const struct msp_rrset *set, const struct msp_key *key, const struct msp_name *zone,
				  uint32_t inception, uint32_t expiration, struct msp_buf *out)
{
	struct msp_rrsig sig = { .covered = set->type,
				 .algorithm = msp_key_alg(key),
				 .labels = (uint8_t)msp_name_labels(&set->owner),
				 .original_ttl = set->ttl,
				 .expiration = expiration,
				 .inception = inception,
				 .tag = msp_key_id(key),
				 .signer = *zone };
	uint8_t rdata[18 + MSP_NAME_MAX + MSP_SIGNATURE_MAX], signature[MSP_SIGNATURE_MAX];
	size_t len = sizeof(signature);
	struct msp_buf octets;
	struct msp_wr wr;
	enum msp_err err;

	msp_buf_init(&octets, 1 << 20);
	rrsign_octets(set, &sig, &octets);
	err = octets.err;
	if (err == MSP_OK)
		err = msp_key_sign(key, msp_buf_span(&octets), signature, &len);
	msp_buf_fini(&octets);
	if (err != MSP_OK)
		return err;
	sig.signature = msp_span(signature, len);
	msp_wr_init(&wr, rdata, sizeof(rdata));
	msp_rrsig_write(&wr, &sig);
	msp_buf_add_span(out, msp_wr_span(&wr));
	return wr.err != MSP_OK ? wr.err : out->err;
}

#endif
