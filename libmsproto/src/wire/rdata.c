/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/wire/rdata.h>

#include "wire/layout.h"

#include <string.h>

/* The parse functions share their ending: all octets used, and only then is the result handed out. */
#define FINISH(rd, value, out)                                                                                         \
	do {                                                                                                           \
		enum msp_err finish_err = msp_rd_done(rd);                                                             \
		if (finish_err == MSP_OK)                                                                              \
			*(out) = (value);                                                                              \
		return finish_err;                                                                                     \
	} while (0)

/* ---- SOA ---- */

enum msp_err msp_soa_parse(struct msp_span rdata, struct msp_soa *out)
{
	struct msp_soa soa;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	msp_name_read(&rd, MSP_NAME_PLAIN, &soa.mname);
	msp_name_read(&rd, MSP_NAME_PLAIN, &soa.rname);
	soa.serial = msp_rd_u32(&rd);
	soa.refresh_s = msp_rd_u32(&rd);
	soa.retry_s = msp_rd_u32(&rd);
	soa.expire_s = msp_rd_u32(&rd);
	soa.minimum_s = msp_rd_u32(&rd);
	FINISH(&rd, soa, out);
}

void msp_soa_write(struct msp_wr *wr, const struct msp_soa *soa)
{
	msp_wr_name(wr, &soa->mname);
	msp_wr_name(wr, &soa->rname);
	msp_wr_u32(wr, soa->serial);
	msp_wr_u32(wr, soa->refresh_s);
	msp_wr_u32(wr, soa->retry_s);
	msp_wr_u32(wr, soa->expire_s);
	msp_wr_u32(wr, soa->minimum_s);
}

uint32_t msp_soa_serial(struct msp_span rdata)
{
	return rdata.len >= 22 ? msp_get_u32(rdata.ptr + rdata.len - 20) : 0;
}

/* ---- keys, digests, signatures ---- */

enum msp_err msp_dnskey_parse(struct msp_span rdata, struct msp_dnskey *out)
{
	struct msp_dnskey k;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	k.flags = msp_rd_u16(&rd);
	k.protocol = msp_rd_u8(&rd);
	k.algorithm = msp_rd_u8(&rd);
	k.key = msp_rd_rest(&rd);
	FINISH(&rd, k, out);
}

void msp_dnskey_write(struct msp_wr *wr, const struct msp_dnskey *k)
{
	msp_wr_u16(wr, k->flags);
	msp_wr_u8(wr, k->protocol);
	msp_wr_u8(wr, k->algorithm);
	msp_wr_octets(wr, k->key);
}

uint16_t msp_key_tag(struct msp_span rdata)
{
	uint64_t sum = 0; /* 64 KiB of octets cannot overflow it */

	if (rdata.len >= 7 && rdata.ptr[3] == 1) /* RFC 4034 B.1: RSAMD5 takes it from the modulus */
		return msp_get_u16(rdata.ptr + rdata.len - 3);
	for (size_t i = 0; i < rdata.len; i++)
		sum += (i & 1) != 0 ? rdata.ptr[i] : (uint32_t)rdata.ptr[i] << 8;
	sum += sum >> 16 & 0xFFFF;
	return (uint16_t)sum;
}

enum msp_err msp_ds_parse(struct msp_span rdata, struct msp_ds *out)
{
	struct msp_ds ds;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	ds.tag = msp_rd_u16(&rd);
	ds.algorithm = msp_rd_u8(&rd);
	ds.digest_type = msp_rd_u8(&rd);
	ds.digest = msp_rd_rest(&rd);
	FINISH(&rd, ds, out);
}

void msp_ds_write(struct msp_wr *wr, const struct msp_ds *ds)
{
	msp_wr_u16(wr, ds->tag);
	msp_wr_u8(wr, ds->algorithm);
	msp_wr_u8(wr, ds->digest_type);
	msp_wr_octets(wr, ds->digest);
}

bool msp_cds_is_delete(struct msp_span rdata)
{
	static const uint8_t sentinel[] = { 0, 0, 0, 0, 0 }; /* RFC 8078 4: CDS 0 0 0 00 */

	return msp_span_equal(rdata, msp_span(sentinel, sizeof(sentinel)));
}

bool msp_cdnskey_is_delete(struct msp_span rdata)
{
	static const uint8_t sentinel[] = { 0, 0, 3, 0, 0 }; /* RFC 8078 4: CDNSKEY 0 3 0 AA== */

	return msp_span_equal(rdata, msp_span(sentinel, sizeof(sentinel)));
}

enum msp_err msp_rrsig_parse(struct msp_span rdata, struct msp_rrsig *out)
{
	struct msp_rrsig sig;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	sig.covered = msp_rd_u16(&rd);
	sig.algorithm = msp_rd_u8(&rd);
	sig.labels = msp_rd_u8(&rd);
	sig.original_ttl = msp_rd_u32(&rd);
	sig.expiration = msp_rd_u32(&rd);
	sig.inception = msp_rd_u32(&rd);
	sig.tag = msp_rd_u16(&rd);
	msp_name_read(&rd, MSP_NAME_PLAIN, &sig.signer);
	sig.signature_at = rd.pos;
	sig.signature = msp_rd_rest(&rd);
	FINISH(&rd, sig, out);
}

void msp_rrsig_write(struct msp_wr *wr, const struct msp_rrsig *sig)
{
	msp_wr_u16(wr, sig->covered);
	msp_wr_u8(wr, sig->algorithm);
	msp_wr_u8(wr, sig->labels);
	msp_wr_u32(wr, sig->original_ttl);
	msp_wr_u32(wr, sig->expiration);
	msp_wr_u32(wr, sig->inception);
	msp_wr_u16(wr, sig->tag);
	msp_wr_name(wr, &sig->signer);
	msp_wr_octets(wr, sig->signature);
}

/* ---- type bitmaps ---- */

bool msp_bitmap_has(struct msp_span bitmap, uint16_t type)
{
	size_t pos = 0;

	while (bitmap.len - pos >= 2) {
		uint8_t window = bitmap.ptr[pos], len = bitmap.ptr[pos + 1];
		unsigned octet = (type & 0xFFu) / 8;

		pos += 2;
		if (len > bitmap.len - pos)
			return false;
		if (window == type >> 8)
			return octet < len && (bitmap.ptr[pos + octet] & 0x80 >> (type & 7)) != 0;
		pos += len;
	}
	return false;
}

enum msp_err msp_bitmap_check(struct msp_span bitmap)
{
	size_t pos = 0;
	int last = -1;

	while (pos < bitmap.len) {
		uint8_t window, len;

		if (bitmap.len - pos < 2)
			return MSP_ETRUNC;
		window = bitmap.ptr[pos];
		len = bitmap.ptr[pos + 1];
		pos += 2;
		if (window <= last || len == 0 || len > 32)
			return MSP_EFORMAT;
		if (len > bitmap.len - pos)
			return MSP_ETRUNC;
		pos += len;
		if (bitmap.ptr[pos - 1] == 0) /* RFC 4034 4.1.2: no trailing zero octets; BIND refuses them too */
			return MSP_EFORMAT;
		last = window;
	}
	return MSP_OK;
}

/* The smallest type of `types` that is at least `from` and lies in the window, or -1. */
static int32_t next_window(const uint16_t *types, size_t count, int32_t after)
{
	int32_t best = -1;

	for (size_t i = 0; i < count; i++)
		if (types[i] >> 8 > after && (best < 0 || types[i] >> 8 < best))
			best = types[i] >> 8;
	return best;
}

void msp_bitmap_write(struct msp_wr *wr, const uint16_t *types, size_t count)
{
	for (int32_t w = next_window(types, count, -1); w >= 0; w = next_window(types, count, w)) {
		uint8_t bits[32] = { 0 };
		uint8_t len = 0;

		for (size_t i = 0; i < count; i++) {
			unsigned octet = (types[i] & 0xFFu) / 8;

			if (types[i] >> 8 != w)
				continue;
			bits[octet] = (uint8_t)(bits[octet] | 0x80 >> (types[i] & 7));
			if (octet + 1 > len)
				len = (uint8_t)(octet + 1);
		}
		msp_wr_u8(wr, (uint8_t)w);
		msp_wr_u8(wr, len);
		msp_wr_octets(wr, msp_span(bits, len));
	}
}

enum msp_err msp_csync_parse(struct msp_span rdata, struct msp_csync *out)
{
	struct msp_csync c;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	c.serial = msp_rd_u32(&rd);
	c.flags = msp_rd_u16(&rd);
	c.bitmap = msp_rd_rest(&rd);
	if (rd.err == MSP_OK)
		rd.err = msp_bitmap_check(c.bitmap);
	FINISH(&rd, c, out);
}

void msp_csync_write(struct msp_wr *wr, const struct msp_csync *c)
{
	msp_wr_u32(wr, c->serial);
	msp_wr_u16(wr, c->flags);
	msp_wr_octets(wr, c->bitmap);
}

/* ---- pointers to services ---- */

enum msp_err msp_dsync_parse(struct msp_span rdata, struct msp_dsync *out)
{
	struct msp_dsync d;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	d.rrtype = msp_rd_u16(&rd);
	d.scheme = msp_rd_u8(&rd);
	d.port = msp_rd_u16(&rd);
	msp_name_read(&rd, MSP_NAME_PLAIN, &d.target);
	FINISH(&rd, d, out);
}

void msp_dsync_write(struct msp_wr *wr, const struct msp_dsync *d)
{
	msp_wr_u16(wr, d->rrtype);
	msp_wr_u8(wr, d->scheme);
	msp_wr_u16(wr, d->port);
	msp_wr_name(wr, &d->target);
}

enum msp_err msp_uri_parse(struct msp_span rdata, struct msp_uri *out)
{
	struct msp_uri u;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	u.priority = msp_rd_u16(&rd);
	u.weight = msp_rd_u16(&rd);
	u.target = msp_rd_rest(&rd);
	if (u.target.len == 0) /* RFC 7553 4.4: not empty */
		msp_rd_fail(&rd, MSP_ETRUNC);
	FINISH(&rd, u, out);
}

void msp_uri_write(struct msp_wr *wr, const struct msp_uri *u)
{
	msp_wr_u16(wr, u->priority);
	msp_wr_u16(wr, u->weight);
	msp_wr_octets(wr, u->target);
}

enum msp_err msp_tlsa_parse(struct msp_span rdata, struct msp_tlsa *out)
{
	struct msp_tlsa t;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	t.usage = msp_rd_u8(&rd);
	t.selector = msp_rd_u8(&rd);
	t.mtype = msp_rd_u8(&rd);
	t.data = msp_rd_rest(&rd);
	FINISH(&rd, t, out);
}

void msp_tlsa_write(struct msp_wr *wr, const struct msp_tlsa *t)
{
	msp_wr_u8(wr, t->usage);
	msp_wr_u8(wr, t->selector);
	msp_wr_u8(wr, t->mtype);
	msp_wr_octets(wr, t->data);
}

enum msp_err msp_rdata_name_parse(struct msp_span rdata, struct msp_name *out)
{
	return msp_name_from_wire(rdata, out);
}

/* ---- SVCB ---- */

/* RFC 9460 8: a list of keys, not empty, strictly increasing, itself not among them. */
static bool mandatory_ok(struct msp_span v)
{
	int last = 0;

	if (v.len == 0 || v.len % 2 != 0)
		return false;
	for (size_t i = 0; i < v.len; i += 2) {
		int key = msp_get_u16(v.ptr + i);

		if (key <= last)
			return false;
		last = key;
	}
	return true;
}

/* RFC 9460 7.1.1: at least one identifier, none of them empty. */
static bool alpn_ok(struct msp_span v)
{
	size_t pos = 0;

	while (pos < v.len) {
		size_t n = v.ptr[pos++];

		if (n == 0 || n > v.len - pos)
			return false;
		pos += n;
	}
	return v.len != 0;
}

static bool value_ok(uint16_t key, struct msp_span v)
{
	switch (key) {
	case MSP_SVCB_MANDATORY:
		return mandatory_ok(v);
	case MSP_SVCB_ALPN:
		return alpn_ok(v);
	case MSP_SVCB_NO_DEFAULT_ALPN:
		return v.len == 0;
	case MSP_SVCB_PORT:
		return v.len == 2;
	case MSP_SVCB_IPV4HINT:
		return v.len != 0 && v.len % 4 == 0;
	case MSP_SVCB_IPV6HINT:
		return v.len != 0 && v.len % 16 == 0;
	default:
		return true;
	}
}

enum msp_err msp_svcb_params_check(struct msp_span params, bool values)
{
	struct msp_rd rd;
	int last = -1;

	msp_rd_init(&rd, params);
	while (msp_rd_left(&rd) > 0) {
		uint16_t key = msp_rd_u16(&rd);
		struct msp_span v = msp_rd_take(&rd, msp_rd_u16(&rd));

		if (rd.err == MSP_OK && (key <= last || (values && !value_ok(key, v))))
			msp_rd_fail(&rd, MSP_EFORMAT);
		last = key;
	}
	return rd.err;
}

enum msp_err msp_svcb_parse(struct msp_span rdata, struct msp_svcb *out)
{
	struct msp_svcb s;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	s.priority = msp_rd_u16(&rd);
	msp_name_read(&rd, MSP_NAME_PLAIN, &s.target);
	s.params = msp_rd_rest(&rd);
	if (rd.err == MSP_OK)
		rd.err = msp_svcb_params_check(s.params, true);
	FINISH(&rd, s, out);
}

void msp_svcb_write(struct msp_wr *wr, const struct msp_svcb *s)
{
	msp_wr_u16(wr, s->priority);
	msp_wr_name(wr, &s->target);
	msp_wr_octets(wr, s->params);
}

void msp_svcb_param_write(struct msp_wr *wr, uint16_t key, struct msp_span value)
{
	msp_wr_u16(wr, key);
	msp_wr_u16(wr, (uint16_t)value.len);
	msp_wr_octets(wr, value);
	if (value.len > UINT16_MAX && wr->err == MSP_OK)
		wr->err = MSP_ENOSPACE;
}

bool msp_svcb_param(const struct msp_svcb *s, uint16_t key, struct msp_span *value)
{
	struct msp_rd rd;

	msp_rd_init(&rd, s->params);
	while (msp_rd_left(&rd) > 0) {
		uint16_t k = msp_rd_u16(&rd);
		struct msp_span v = msp_rd_take(&rd, msp_rd_u16(&rd));

		if (rd.err == MSP_OK && k == key) {
			*value = v;
			return true;
		}
	}
	return false;
}

bool msp_svcb_usable(const struct msp_svcb *s)
{
	struct msp_span v, dummy;

	if (!msp_svcb_param(s, MSP_SVCB_MANDATORY, &v))
		return true;
	for (size_t i = 0; i + 2 <= v.len; i += 2) {
		uint16_t key = msp_get_u16(v.ptr + i);

		/* RFC 9460 8: a listed key that is absent makes the record malformed; we do not use that either. */
		if (key > MSP_SVCB_IPV6HINT || !msp_svcb_param(s, key, &dummy))
			return false;
	}
	return true;
}
