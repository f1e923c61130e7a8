/* SPDX-License-Identifier: BSD-2-Clause */
#include "contribution.h"

#include <string.h>

#include <msproto/auth/digest.h>
#include <msproto/auth/dnssec.h>
#include <msproto/auth/key.h>
#include <msproto/base/mem.h>

#define CONTRIBUTION_OCTETS_MAX (256 * 1024)
#define STORED_FORM             1

void msa_contribution_fini(struct msa_contribution *c)
{
	msp_rrset_free(&c->dnskey);
	msp_rrset_free(&c->cds);
	msp_rrset_free(&c->ns);
	msp_rrset_free(&c->key);
	*c = (struct msa_contribution){ 0 };
}

static void add_u16(struct msp_buf *b, size_t v)
{
	msp_buf_add_u8(b, (uint8_t)(v >> 8));
	msp_buf_add_u8(b, (uint8_t)v);
}

static void add_u32(struct msp_buf *b, uint32_t v)
{
	add_u16(b, v >> 16);
	add_u16(b, v & 0xffff);
}

static void add_u64(struct msp_buf *b, uint64_t v)
{
	add_u32(b, (uint32_t)(v >> 32));
	add_u32(b, (uint32_t)v);
}

static enum msp_err add_canonical(struct msp_buf *b, const struct msp_name *zone, const struct msp_rrset *set)
{
	for (size_t i = 0; set != NULL && i < set->count; i++) {
		uint8_t *canonical = msp_alloc(set->rdata[i].len + 1, 1);

		if (canonical == NULL)
			return MSP_ENOMEM;
		msp_rdata_canon(set->type, set->rdata[i], canonical);
		msp_buf_add_span(b, msp_name_span(zone));
		add_u16(b, set->type);
		add_u16(b, MSP_CLASS_IN);
		add_u32(b, set->ttl);
		add_u16(b, set->rdata[i].len);
		msp_buf_add(b, canonical, set->rdata[i].len);
		msp_free(canonical);
	}
	return b->err;
}

enum msp_err msa_contribution_digest(const struct msp_name *zone, const struct msa_contribution *c, uint8_t out[32])
{
	struct msp_name owner = *zone;
	struct msp_buf b;
	struct msp_span all;
	enum msp_err err;

	msp_name_lower(&owner);
	msp_buf_init(&b, CONTRIBUTION_OCTETS_MAX);
	/* Sorted by type; an RRset keeps its RDATAs in canonical order. */
	err = add_canonical(&b, &owner, c->ns);
	if (err == MSP_OK)
		err = add_canonical(&b, &owner, c->key);
	if (err == MSP_OK)
		err = add_canonical(&b, &owner, c->dnskey);
	if (err == MSP_OK)
		err = add_canonical(&b, &owner, c->cds);
	if (err == MSP_OK) {
		all = msp_buf_span(&b);
		err = msp_sha256(&all, 1, out);
	}
	msp_buf_fini(&b);
	return err;
}

static enum msp_err add_set(struct msp_buf *out, const struct msp_rrset *set)
{
	struct msp_buf b;
	enum msp_err err = MSP_OK;

	msp_buf_init(&b, CONTRIBUTION_OCTETS_MAX);
	if (set != NULL)
		err = msp_rrset_write(set, &b);
	add_u32(out, (uint32_t)b.len);
	msp_buf_add_span(out, msp_buf_span(&b));
	if (err == MSP_OK)
		err = b.err != MSP_OK ? b.err : out->err;
	msp_buf_fini(&b);
	return err;
}

enum msp_err msa_contribution_write(const struct msa_contribution *c, struct msp_buf *out)
{
	const struct msp_rrset *const set[4] = { c->dnskey, c->cds, c->ns, c->key };
	enum msp_err err = MSP_OK;

	msp_buf_add_u8(out, STORED_FORM);
	add_u64(out, c->version);
	msp_buf_add(out, c->digest, sizeof(c->digest));
	for (size_t i = 0; i < (c->key == NULL ? 3 : 4) && err == MSP_OK; i++)
		err = add_set(out, set[i]);
	return err == MSP_OK ? out->err : err;
}

static enum msp_err read_set(struct msp_rd *rd, uint16_t type, struct msp_rrset **out)
{
	uint32_t len = msp_rd_u32(rd);
	struct msp_span octets = msp_rd_take(rd, len);
	enum msp_err err;

	if (rd->err != MSP_OK)
		return MSP_ECORRUPT;
	err = msp_rrset_read(octets, out);
	if (err == MSP_ENOMEM)
		return err;
	return err != MSP_OK || (*out != NULL && (*out)->type != type) ? MSP_ECORRUPT : MSP_OK;
}

enum msp_err msa_contribution_read(struct msp_span octets, struct msa_contribution *out)
{
	struct msa_contribution c = { 0 };
	struct msp_rd rd;
	struct msp_span digest;
	enum msp_err err;

	msp_rd_init(&rd, octets);
	if (msp_rd_u8(&rd) != STORED_FORM)
		return MSP_ECORRUPT;
	c.version = msp_rd_u64(&rd);
	digest = msp_rd_take(&rd, sizeof(c.digest));
	if (rd.err != MSP_OK)
		return MSP_ECORRUPT;
	memcpy(c.digest, digest.ptr, sizeof(c.digest));
	err = read_set(&rd, MSP_TYPE_DNSKEY, &c.dnskey);
	if (err == MSP_OK)
		err = read_set(&rd, MSP_TYPE_CDS, &c.cds);
	if (err == MSP_OK)
		err = read_set(&rd, MSP_TYPE_NS, &c.ns);
	if (err == MSP_OK && rd.pos < rd.end)
		err = read_set(&rd, MSP_TYPE_KEY, &c.key);
	if (err == MSP_OK && msp_rd_done(&rd) != MSP_OK)
		err = MSP_ECORRUPT;
	if (err != MSP_OK) {
		msa_contribution_fini(&c);
		return err;
	}
	*out = c;
	return MSP_OK;
}

static bool is_sep(struct msp_span rdata)
{
	struct msp_dnskey k;

	return msp_dnskey_parse(rdata, &k) == MSP_OK && (k.flags & MSP_DNSKEY_SEP) != 0;
}

enum msp_err msa_cds_of(const struct msp_name *zone, const struct msp_rrset *dnskey, uint32_t ttl_s,
			struct msp_rrset **out)
{
	struct msp_rrset *set = NULL;
	enum msp_err err = MSP_OK;

	*out = NULL;
	for (size_t i = 0; dnskey != NULL && i < dnskey->count && err == MSP_OK; i++) {
		uint8_t ds[MSP_DS_MAX];
		size_t len = sizeof(ds);

		if (!is_sep(dnskey->rdata[i]))
			continue;
		if (set == NULL)
			err = msp_rrset_new(zone, MSP_TYPE_CDS, ttl_s, &set);
		if (err == MSP_OK)
			err = msp_ds_from_dnskey(zone, dnskey->rdata[i], MSP_DIGEST_SHA256, ds, &len);
		if (err == MSP_OK)
			err = msp_rrset_add(set, msp_span(ds, len));
	}
	if (err != MSP_OK)
		msp_rrset_free(&set);
	*out = set;
	return err;
}

enum msp_err msa_cdnskey_of(const struct msp_name *zone, const struct msp_rrset *dnskey, uint32_t ttl_s,
			    struct msp_rrset **out)
{
	struct msp_rrset *set = NULL;
	enum msp_err err = MSP_OK;

	*out = NULL;
	for (size_t i = 0; dnskey != NULL && i < dnskey->count && err == MSP_OK; i++) {
		if (!is_sep(dnskey->rdata[i]))
			continue;
		if (set == NULL)
			err = msp_rrset_new(zone, MSP_TYPE_CDNSKEY, ttl_s, &set);
		if (err == MSP_OK)
			err = msp_rrset_add(set, dnskey->rdata[i]);
	}
	if (err != MSP_OK)
		msp_rrset_free(&set);
	*out = set;
	return err;
}

static enum msp_err refuse(struct msp_why *why, const char *what)
{
	return msp_fail(why, MSP_EREFUSED, "%s", what);
}

/** I9: a key tag is shared with nobody. The same key claimed by two is the same violation. */
static enum msp_err check_collisions(const struct msp_dnskey *key, uint16_t tag, const struct msa_foreign *others,
				     size_t other_count, struct msp_why *why)
{
	for (size_t o = 0; o < other_count; o++) {
		const struct msp_rrset *set = others[o].dnskey;

		for (size_t i = 0; set != NULL && i < set->count; i++) {
			struct msp_dnskey other;

			if (msp_key_tag(set->rdata[i]) != tag || msp_dnskey_parse(set->rdata[i], &other) != MSP_OK ||
			    other.algorithm != key->algorithm)
				continue;
			return msp_fail(why, MSP_EREFUSED, "key tag %u, algorithm %u is used by %.150s already", tag,
					key->algorithm, MSP_NAME(others[o].identity));
		}
	}
	return MSP_OK;
}

static enum msp_err check_keys(const struct msp_name *zone, const struct msa_contribution *c,
			       const struct msa_foreign *others, size_t other_count, struct msp_why *why)
{
	const struct msp_rrset *set = c->dnskey;

	if (set == NULL)
		return MSP_OK;
	if (set->count > MSA_KEYS_MAX)
		return refuse(why, "more than 16 DNSKEYs");
	for (size_t i = 0; i < set->count; i++) {
		struct msp_dnskey k;
		struct msp_key *usable = NULL;
		enum msp_err err;

		if (msp_dnskey_parse(set->rdata[i], &k) != MSP_OK || k.protocol != 3)
			return refuse(why, "DNSKEY with a protocol other than 3");
		if ((k.flags & MSP_DNSKEY_ZONE) == 0)
			return refuse(why, "DNSKEY without the zone flag");
		if ((k.flags & MSP_DNSKEY_REVOKE) != 0)
			return refuse(why, "DNSKEY with the REVOKE flag");
		if (!msp_alg_known(k.algorithm))
			return refuse(why, "DNSKEY of an unknown algorithm");
		err = msp_key_from_rdata(zone, set->rdata[i], &usable); /* sizes; a point on the curve */
		msp_key_free(&usable);
		if (err == MSP_ENOMEM)
			return err;
		if (err != MSP_OK)
			return refuse(why, "DNSKEY that is no usable public key");
		err = check_collisions(&k, msp_key_tag(set->rdata[i]), others, other_count, why);
		if (err != MSP_OK)
			return err;
	}
	return MSP_OK;
}

static enum msp_err check_cds(const struct msp_name *zone, const struct msa_contribution *c, struct msp_why *why)
{
	for (size_t i = 0; c->cds != NULL && i < c->cds->count; i++) {
		struct msp_ds ds;
		bool is_matched = false;

		if (msp_ds_parse(c->cds->rdata[i], &ds) != MSP_OK || ds.digest_type != MSP_DIGEST_SHA256)
			return refuse(why, "CDS with a digest type other than 2");
		for (size_t k = 0; c->dnskey != NULL && k < c->dnskey->count; k++)
			is_matched = is_matched || (is_sep(c->dnskey->rdata[k]) &&
						    msp_ds_matches(zone, c->cds->rdata[i], c->dnskey->rdata[k]));
		if (!is_matched)
			return refuse(why, "CDS that is the digest of no contributed KSK");
	}
	return MSP_OK;
}

/** Keys towards the parent (A.4): what a receiver could use. */
static enum msp_err check_parent_keys(const struct msp_name *zone, const struct msp_rrset *set, struct msp_why *why)
{
	if (set == NULL)
		return MSP_OK;
	if (set->count > MSA_CONTRIB_KEY_MAX)
		return refuse(why, "more than 4 KEYs");
	for (size_t i = 0; i < set->count; i++) {
		struct msp_dnskey k;
		struct msp_key *usable = NULL;
		enum msp_err err;

		if (msp_dnskey_parse(set->rdata[i], &k) != MSP_OK || (k.flags & MSP_DNSKEY_ZONE) != 0)
			return refuse(why, "KEY with the zone flag");
		err = msp_key_from_rdata(zone, set->rdata[i], &usable);
		msp_key_free(&usable);
		if (err == MSP_ENOMEM)
			return err;
		if (err != MSP_OK)
			return refuse(why, "KEY that is no usable public key");
	}
	return MSP_OK;
}

static enum msp_err check_shape(const struct msp_name *zone, const struct msp_rrset *set, uint16_t type,
				struct msp_why *why)
{
	if (set == NULL)
		return MSP_OK;
	if (set->type != type || !msp_name_equal(&set->owner, zone))
		return refuse(why, "RRset of another type or owner");
	if (set->ttl == 0 || set->ttl > MSA_CONTRIB_TTL_MAX)
		return refuse(why, "TTL outside 1..86400");
	return MSP_OK;
}

enum msp_err msa_contribution_check(const struct msp_name *zone, const struct msa_contribution *c, bool may_sign,
				    const struct msa_foreign *others, size_t other_count, struct msp_why *why)
{
	enum msp_err err = check_shape(zone, c->dnskey, MSP_TYPE_DNSKEY, why);

	if (err == MSP_OK)
		err = check_shape(zone, c->cds, MSP_TYPE_CDS, why);
	if (err == MSP_OK)
		err = check_shape(zone, c->ns, MSP_TYPE_NS, why);
	if (err == MSP_OK)
		err = check_shape(zone, c->key, MSP_TYPE_KEY, why);
	if (err == MSP_OK)
		err = check_parent_keys(zone, c->key, why);
	if (err != MSP_OK)
		return err;
	if (!may_sign && (c->dnskey != NULL || c->cds != NULL))
		return refuse(why, "DNSKEY or CDS from an identity that is not a signer"); /* D.8 */
	if (c->ns != NULL && c->ns->count > MSA_CONTRIB_NS_MAX)
		return refuse(why, "more than 13 NS names");
	err = check_keys(zone, c, others, other_count, why);
	return err != MSP_OK ? err : check_cds(zone, c, why);
}
