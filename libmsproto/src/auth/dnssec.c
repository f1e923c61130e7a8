/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/auth/dnssec.h>

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>

#include <string.h>

#define SIGNED_MAX (16u << 20) /* octets of one RRset with owners; a message holds 64 KiB */

enum msp_err msp_ds_from_dnskey(const struct msp_name *owner, struct msp_span dnskey_rdata, uint8_t digest_type,
				uint8_t *out, size_t *len)
{
	struct msp_name canon = *owner;
	struct msp_dnskey key;
	struct msp_span parts[2];
	struct msp_wr wr;
	enum msp_err err = msp_dnskey_parse(dnskey_rdata, &key);

	if (err != MSP_OK)
		return MSP_EVALUE;
	msp_name_lower(&canon);
	parts[0] = msp_name_span(&canon);
	parts[1] = dnskey_rdata;
	msp_wr_init(&wr, out, MSP_DS_MAX);
	msp_wr_u16(&wr, msp_key_tag(dnskey_rdata));
	msp_wr_u8(&wr, key.algorithm);
	msp_wr_u8(&wr, digest_type);
	switch (digest_type) {
	case MSP_DIGEST_SHA256:
		*len = wr.pos + 32;
		return msp_sha256(parts, 2, out + wr.pos);
	case MSP_DIGEST_SHA384:
		*len = wr.pos + 48;
		return msp_sha384(parts, 2, out + wr.pos);
	default:
		return MSP_EVALUE; /* SHA-1 among them: PROTOCOL A.5 */
	}
}

bool msp_ds_matches(const struct msp_name *owner, struct msp_span ds_rdata, struct msp_span dnskey_rdata)
{
	uint8_t own[MSP_DS_MAX];
	size_t len;
	struct msp_ds ds;

	return msp_ds_parse(ds_rdata, &ds) == MSP_OK &&
	       msp_ds_from_dnskey(owner, dnskey_rdata, ds.digest_type, own, &len) == MSP_OK &&
	       msp_span_equal(ds_rdata, msp_span(own, len));
}

/* --- RRSIG ------------------------------------------------------------------------------------------------------ */

static bool is_wildcard(const struct msp_name *n)
{
	return n->oct[0] == 1 && n->oct[1] == '*';
}

/*
 * The owner that was signed: for an answer made from a wildcard, "*." and as many labels as the signer counted
 * (RFC 4034 3.1.3 and RFC 4035 5.3.2). In lower case.
 */
static enum msp_err signed_owner(const struct msp_name *owner, uint8_t labels, struct msp_name *out)
{
	unsigned have = msp_name_labels(owner) - (is_wildcard(owner) ? 1 : 0);
	struct msp_name closest;
	enum msp_err err;

	*out = *owner;
	msp_name_lower(out);
	if (labels > have)
		return MSP_EFORMAT;
	if (labels == have)
		return MSP_OK;
	err = msp_name_parent(out, msp_name_labels(owner) - labels, &closest);
	return err != MSP_OK ? err : msp_name_prepend("*", &closest, out);
}

/* RFC 4034 3.1.8.1: RRSIG_RDATA | RR(1) | RR(2) ... in canonical form and order; the set is kept in that order. */
static enum msp_err add_signed(struct msp_buf *out, const struct msp_rrset *set, struct msp_span rrsig_rdata,
			       const struct msp_rrsig *sig)
{
	struct msp_name owner, signer = sig->signer;
	uint8_t fixed[10], *canon;
	struct msp_wr wr;
	enum msp_err err = signed_owner(&set->owner, sig->labels, &owner);

	if (err != MSP_OK)
		return err;
	msp_name_lower(&signer);
	msp_buf_add(out, rrsig_rdata.ptr, sig->signature_at - signer.len);
	msp_buf_add_span(out, msp_name_span(&signer));
	for (size_t i = 0; i < set->count && out->err == MSP_OK; i++) {
		struct msp_span rdata = set->rdata[i];

		msp_wr_init(&wr, fixed, sizeof(fixed));
		msp_wr_u16(&wr, set->type);
		msp_wr_u16(&wr, MSP_CLASS_IN);
		msp_wr_u32(&wr, sig->original_ttl);
		msp_wr_u16(&wr, (uint16_t)rdata.len);
		msp_buf_add_span(out, msp_name_span(&owner));
		msp_buf_add(out, fixed, sizeof(fixed));
		canon = rdata.len != 0 ? msp_buf_reserve(out, rdata.len) : NULL;
		if (canon != NULL) {
			msp_rdata_canon(set->type, rdata, canon);
			msp_buf_claim(out, rdata.len);
		}
	}
	return out->err;
}

static enum msp_err check_rrsig(const struct msp_rrset *set, const struct msp_rrsig *sig, const struct msp_name *zone,
				struct msp_wall now)
{
	uint32_t now32 = (uint32_t)now.s;

	if (sig->covered != set->type || set->count == 0 || !msp_name_is_under(&set->owner, zone))
		return MSP_EFORMAT;
	if (sig->labels < msp_name_labels(zone)) /* a wildcard above the zone is not the zone's to sign */
		return MSP_EFORMAT;
	if (!msp_name_equal(&sig->signer, zone))
		return MSP_ENOKEY;
	if ((int32_t)(now32 - sig->inception) < 0 || (int32_t)(sig->expiration - now32) < 0)
		return MSP_ETIME;
	return MSP_OK;
}

enum msp_err msp_rrsig_verify(const struct msp_rrset *set, struct msp_span rrsig_rdata, const struct msp_name *zone,
			      struct msp_span dnskey_rdata, struct msp_wall now)
{
	struct msp_rrsig sig;
	struct msp_dnskey dnskey;
	struct msp_key *key = NULL;
	struct msp_buf octets;
	enum msp_err err;

	if (msp_rrsig_parse(rrsig_rdata, &sig) != MSP_OK || msp_dnskey_parse(dnskey_rdata, &dnskey) != MSP_OK)
		return MSP_EFORMAT;
	err = check_rrsig(set, &sig, zone, now);
	if (err != MSP_OK)
		return err;
	/* RFC 4034 2.1.1: only a zone key signs zone data. */
	if ((dnskey.flags & MSP_DNSKEY_ZONE) == 0 || dnskey.algorithm != sig.algorithm ||
	    msp_key_tag(dnskey_rdata) != sig.tag)
		return MSP_ENOKEY;
	msp_buf_init(&octets, SIGNED_MAX);
	err = add_signed(&octets, set, rrsig_rdata, &sig);
	if (err == MSP_OK)
		err = msp_key_from_rdata(zone, dnskey_rdata, &key);
	if (err == MSP_OK)
		err = msp_key_verify(key, msp_buf_span(&octets), sig.signature);
	msp_key_free(&key);
	msp_buf_fini(&octets);
	return err;
}
