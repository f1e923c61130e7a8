/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/auth/sig0.h>

#include <msproto/base/mem.h>

#include <assert.h>
#include <string.h>

#define ARCOUNT_AT 10 /* offset in the header (RFC 1035 4.1.1) */
/* RDATA*, a whole other message, and the message itself (PROTOCOL C.2). */
#define TBS_MAX (18 + MSP_NAME_MAX + 2 * MSP_MSG_MAX)

const struct msp_sig0_policy msp_sig0_policy_default = {
	.skew_s = 10,
	.max_window_s = 900,
	.algorithms = 1u << MSP_ALG_RSASHA256 | 1u << MSP_ALG_ECDSAP256 | 1u << MSP_ALG_ECDSAP384 |
		      1u << MSP_ALG_ED25519 | 1u << MSP_ALG_ED448,
	.response_omits_request = false,
};

/* --- what is signed (PROTOCOL C.2) ------------------------------------------------------------------------------ */

/* The message as it was before its SIG record: raw octets, only ARCOUNT differs. */
static void add_unsigned(struct msp_buf *out, const struct msp_msg *m)
{
	uint8_t arcount[2];
	struct msp_wr wr;

	msp_wr_init(&wr, arcount, sizeof(arcount));
	msp_wr_u16(&wr, (uint16_t)(m->count[MSP_SEC_ADDITIONAL] - 1));
	msp_buf_add(out, m->raw.ptr, ARCOUNT_AT);
	msp_buf_add(out, arcount, sizeof(arcount));
	msp_buf_add(out, m->raw.ptr + MSP_HEADER_LEN, m->sig0_at - MSP_HEADER_LEN);
}

/* The SIG RDATA as received, without the signature. */
static struct msp_span rdata_star(const struct msp_sig0_claim *c)
{
	return msp_span(c->sig.signature.ptr - c->sig.signature_at, c->sig.signature_at);
}

enum msp_err msp_sig0_tbs(const struct msp_msg *m, const struct msp_sig0_claim *c, struct msp_span request,
			  struct msp_buf *out)
{
	assert(m->sig0_at != 0);
	msp_buf_add_span(out, rdata_star(c));
	msp_buf_add_span(out, request);
	add_unsigned(out, m);
	return out->err;
}

/* Second and later messages of a stream: the other message comes last here (RFC 2931 3.1). */
static enum msp_err tbs_next(const struct msp_msg *m, const struct msp_sig0_claim *c, struct msp_span prior,
			     struct msp_buf *out)
{
	assert(m->sig0_at != 0);
	msp_buf_add_span(out, rdata_star(c));
	add_unsigned(out, m);
	msp_buf_add_span(out, prior);
	return out->err;
}

/* --- signing ---------------------------------------------------------------------------------------------------- */

static void write_rdata_star(struct msp_wr *wr, const struct msp_key *key, struct msp_wall now)
{
	msp_wr_u16(wr, 0); /* type covered: a transaction */
	msp_wr_u8(wr, msp_key_alg(key));
	msp_wr_u8(wr, 0);  /* labels */
	msp_wr_u32(wr, 0); /* original TTL */
	msp_wr_u32(wr, (uint32_t)(now.s + MSP_SIG0_BRACKET_S));
	msp_wr_u32(wr, (uint32_t)(now.s - MSP_SIG0_BRACKET_S));
	msp_wr_u16(wr, msp_key_id(key));
	msp_wr_octets(wr, msp_name_span(msp_key_owner(key)));
}

static enum msp_err append(struct msp_span star, struct msp_span signature, uint8_t *msg, size_t *len, size_t cap)
{
	struct msp_rd rd;
	struct msp_wr wr;
	uint16_t arcount;

	msp_rd_init(&rd, msp_span(msg + ARCOUNT_AT, 2));
	arcount = msp_rd_u16(&rd);
	if (arcount == UINT16_MAX)
		return MSP_ENOSPACE;
	msp_wr_init(&wr, msg, cap < MSP_MSG_MAX ? cap : MSP_MSG_MAX);
	wr.pos = *len;
	msp_wr_u8(&wr, 0); /* owner: root */
	msp_wr_u16(&wr, MSP_TYPE_SIG);
	msp_wr_u16(&wr, MSP_CLASS_ANY);
	msp_wr_u32(&wr, 0); /* TTL */
	msp_wr_u16(&wr, (uint16_t)(star.len + signature.len));
	msp_wr_octets(&wr, star);
	msp_wr_octets(&wr, signature);
	if (wr.err != MSP_OK)
		return wr.err;
	msp_wr_patch_u16(&wr, ARCOUNT_AT, (uint16_t)(arcount + 1));
	*len = wr.pos;
	return MSP_OK;
}

/* first | msg | last is what gets signed after RDATA*; one of first and last is empty. */
static enum msp_err sign(const struct msp_key *key, struct msp_wall now, struct msp_span first, struct msp_span last,
			 uint8_t *msg, size_t *len, size_t cap)
{
	uint8_t star[18 + MSP_NAME_MAX], sig[MSP_SIGNATURE_MAX];
	size_t sig_len = sizeof(sig), need = 11 + 18 + msp_key_owner(key)->len + msp_key_sig_len(key);
	struct msp_buf tbs;
	struct msp_wr wr;
	enum msp_err err;

	assert(*len >= MSP_HEADER_LEN && *len <= cap);
	if (!msp_key_is_private(key))
		return MSP_ECRYPTO;
	if (cap - *len < need || *len + need > MSP_MSG_MAX) /* before the costly part */
		return MSP_ENOSPACE;
	msp_wr_init(&wr, star, sizeof(star));
	write_rdata_star(&wr, key, now);
	msp_buf_init(&tbs, TBS_MAX);
	msp_buf_add_span(&tbs, msp_wr_span(&wr));
	msp_buf_add_span(&tbs, first);
	msp_buf_add(&tbs, msg, *len);
	msp_buf_add_span(&tbs, last);
	err = tbs.err;
	if (err == MSP_OK)
		err = msp_key_sign(key, msp_buf_span(&tbs), sig, &sig_len);
	if (err == MSP_OK)
		err = append(msp_wr_span(&wr), msp_span(sig, sig_len), msg, len, cap);
	msp_buf_fini(&tbs);
	return err;
}

enum msp_err msp_sig0_sign(const struct msp_key *key, struct msp_wall now, struct msp_span request, uint8_t *msg,
			   size_t *len, size_t cap)
{
	return sign(key, now, request, msp_span(NULL, 0), msg, len, cap);
}

enum msp_err msp_sig0_sign_next(const struct msp_key *key, struct msp_wall now, struct msp_span prior, uint8_t *msg,
				size_t *len, size_t cap)
{
	return sign(key, now, msp_span(NULL, 0), prior, msg, len, cap);
}

/* --- verifying -------------------------------------------------------------------------------------------------- */

/* PROTOCOL C.3 step 3 with the lengths of C.4; an algorithm that we do not know is turned away in step 4. */
static bool is_signature_length(uint8_t alg, size_t len)
{
	switch (alg) {
	case MSP_ALG_RSASHA256:
		return len >= 256 && len <= 512;
	case MSP_ALG_ECDSAP256:
	case MSP_ALG_ED25519:
		return len == 64;
	case MSP_ALG_ECDSAP384:
		return len == 96;
	case MSP_ALG_ED448:
		return len == 114;
	default:
		return len != 0;
	}
}

enum msp_err msp_sig0_claim(const struct msp_msg *m, struct msp_sig0_claim *out)
{
	struct msp_name owner;
	struct msp_span rdata;
	struct msp_rd rd;

	if (m->sig0_at == 0)
		return MSP_EUNSIGNED;
	msp_rd_init(&rd, m->raw);
	rd.pos = m->sig0_at;
	/* Owner, class and TTL mean nothing and are not signed (RFC 2931 3): any value will do. */
	msp_name_read(&rd, MSP_NAME_COMP, &owner);
	if (msp_rd_u16(&rd) != MSP_TYPE_SIG)
		return MSP_EFORMAT;
	(void)msp_rd_u16(&rd);
	(void)msp_rd_u32(&rd);
	rdata = msp_rd_take(&rd, msp_rd_u16(&rd));
	if (msp_rd_done(&rd) != MSP_OK) /* something after it: not the last record */
		return MSP_EFORMAT;
	if (msp_rrsig_parse(rdata, &out->sig) != MSP_OK || out->sig.covered != 0)
		return MSP_EFORMAT;
	return is_signature_length(out->sig.algorithm, out->sig.signature.len) ? MSP_OK : MSP_EFORMAT;
}

/* a - b as RFC 1982 serials of 32 bits. */
static int64_t serial_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

enum msp_err msp_sig0_check_time(const struct msp_sig0_claim *c, const struct msp_sig0_policy *p, struct msp_wall now)
{
	const struct msp_rrsig *s = &c->sig;
	uint32_t now32 = (uint32_t)now.s;

	if (s->algorithm >= 32 || (p->algorithms >> s->algorithm & 1) == 0 || !msp_alg_known(s->algorithm))
		return MSP_EALG;
	if (serial_diff(s->expiration, s->inception) <= 0 ||
	    serial_diff(s->expiration, s->inception) > (int64_t)p->max_window_s)
		return MSP_ETIME;
	if (serial_diff(now32, s->inception) < -(int64_t)p->skew_s ||
	    serial_diff(s->expiration, now32) < -(int64_t)p->skew_s)
		return MSP_ETIME;
	return MSP_OK;
}

static enum msp_err check_key(const struct msp_sig0_claim *c, const struct msp_key *key)
{
	struct msp_dnskey k;
	enum msp_err err = msp_dnskey_parse(msp_key_rdata(key), &k);

	if (err != MSP_OK)
		return err;
	if (msp_key_alg(key) != c->sig.algorithm || msp_key_id(key) != c->sig.tag ||
	    !msp_name_equal(msp_key_owner(key), &c->sig.signer))
		return MSP_ENOKEY;
	/* spec: rfc3445#4 a zone key signs zone data and nothing else */
	return (k.flags & MSP_DNSKEY_ZONE) != 0 ? MSP_EVALUE : MSP_OK;
}

enum msp_err msp_sig0_verify(const struct msp_msg *m, const struct msp_sig0_claim *c, const struct msp_key *key,
			     struct msp_span request, const struct msp_sig0_policy *p)
{
	struct msp_buf tbs;
	enum msp_err err = check_key(c, key);

	if (err != MSP_OK)
		return err;
	msp_buf_init(&tbs, TBS_MAX);
	err = msp_sig0_tbs(m, c, request, &tbs);
	if (err == MSP_OK)
		err = msp_key_verify(key, msp_buf_span(&tbs), c->sig.signature);
	if (err == MSP_ESIG && request.len != 0 && p->response_omits_request) {
		msp_buf_reset(&tbs);
		err = msp_sig0_tbs(m, c, msp_span(NULL, 0), &tbs);
		if (err == MSP_OK)
			err = msp_key_verify(key, msp_buf_span(&tbs), c->sig.signature);
	}
	msp_buf_fini(&tbs);
	return err;
}

enum msp_err msp_sig0_verify_next(const struct msp_msg *m, const struct msp_sig0_claim *c, const struct msp_key *key,
				  struct msp_span prior)
{
	struct msp_buf tbs;
	enum msp_err err = check_key(c, key);

	if (err != MSP_OK)
		return err;
	msp_buf_init(&tbs, TBS_MAX);
	err = tbs_next(m, c, prior, &tbs);
	if (err == MSP_OK)
		err = msp_key_verify(key, msp_buf_span(&tbs), c->sig.signature);
	msp_buf_fini(&tbs);
	return err;
}
