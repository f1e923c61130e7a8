/* SPDX-License-Identifier: BSD-2-Clause */
#include "auth/trustint.h"

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>

#include <string.h>

struct msp_authmsg {
	const struct msp_msg *msg; /* borrowed from the caller until freed */
	struct msp_name signer;
	enum msp_auth_method method;
	uint16_t tag;
};

const struct msp_msg *msp_authmsg_msg(const struct msp_authmsg *a)
{
	return a->msg;
}

const struct msp_name *msp_authmsg_signer(const struct msp_authmsg *a)
{
	return &a->signer;
}

enum msp_auth_method msp_authmsg_method(const struct msp_authmsg *a)
{
	return a->method;
}

uint16_t msp_authmsg_key_tag(const struct msp_authmsg *a)
{
	return a->tag;
}

void msp_authmsg_free(struct msp_authmsg **a)
{
	msp_free(*a);
	*a = NULL;
}

static enum msp_err new_authmsg(const struct msp_msg *m, const struct msp_name *signer, enum msp_auth_method method,
				uint16_t tag, struct msp_authmsg **out)
{
	struct msp_authmsg *a = msp_alloc(1, sizeof(*a));

	if (a == NULL)
		return MSP_ENOMEM;
	a->msg = m;
	a->signer = *signer;
	a->method = method;
	a->tag = tag;
	*out = a;
	return MSP_OK;
}

/* --- SIG(0) in the order of PROTOCOL C.3 ------------------------------------------------------------------------ */

static enum msp_err claim_and_time(const struct msp_msg *m, const struct msp_sig0_policy *policy, struct msp_wall now,
				   struct msp_sig0_claim *claim, struct msp_why *why)
{
	enum msp_err err = msp_sig0_claim(m, claim);

	if (err != MSP_OK)
		return msp_fail(why, err, "SIG(0): %s", msp_err_text(err));
	err = msp_sig0_check_time(claim, policy, now);
	if (err == MSP_EALG)
		return msp_fail(why, err, "SIG(0) by %s: algorithm %s not allowed", MSP_NAME(&claim->sig.signer),
				msp_alg_name(claim->sig.algorithm));
	if (err != MSP_OK)
		return msp_fail(why, err, "SIG(0) by %s: window %u to %u, our clock says %lld",
				MSP_NAME(&claim->sig.signer), claim->sig.inception, claim->sig.expiration,
				(long long)now.s);
	return MSP_OK;
}

/* Up to MSP_KEYRING_SAME_TAG keys may share the tag: any of them will do. */
static enum msp_err try_keys(const struct msp_trust *t, const struct msp_msg *m, const struct msp_sig0_claim *claim,
			     struct msp_span request, struct msp_why *why)
{
	const struct msp_key *keys[MSP_KEYRING_SAME_TAG];
	size_t count = msp_keyring_find(t->ring, &claim->sig.signer, claim->sig.algorithm, claim->sig.tag, keys);
	enum msp_err err = MSP_ENOKEY;

	for (size_t i = 0; i < count; i++) {
		err = msp_sig0_verify(m, claim, keys[i], request, t->policy);
		if (err != MSP_ESIG)
			break;
	}
	if (err != MSP_OK)
		return msp_fail(why, err, "SIG(0) by %s, algorithm %s, tag %u: %s", MSP_NAME(&claim->sig.signer),
				msp_alg_name(claim->sig.algorithm), claim->sig.tag, msp_err_text(err));
	return MSP_OK;
}

/*
 * What of a signature tells it from all others. An ECDSA signature (r, s) has a twin (r, -s) that anybody can compute
 * and that verifies as well; r alone names both, and no honest signer uses an r twice.
 */
static struct msp_span signature_identity(const struct msp_rrsig *s)
{
	bool is_ecdsa = s->algorithm == MSP_ALG_ECDSAP256 || s->algorithm == MSP_ALG_ECDSAP384;

	return msp_span(s->signature.ptr, is_ecdsa ? s->signature.len / 2 : s->signature.len);
}

static enum msp_err replay_digest(const struct msp_rrsig *s, uint8_t out[32])
{
	struct msp_name signer = s->signer;
	uint8_t tag[2];
	struct msp_wr wr;

	msp_name_lower(&signer);
	msp_wr_init(&wr, tag, sizeof(tag));
	msp_wr_u16(&wr, s->tag);
	return msp_sha256((struct msp_span[]){ msp_name_span(&signer), msp_wr_span(&wr), signature_identity(s) }, 3,
			  out);
}

static enum msp_err check_replay(const struct msp_trust *t, const struct msp_sig0_claim *claim, struct msp_wall now,
				 struct msp_why *why)
{
	const struct msp_rrsig *s = &claim->sig;
	int32_t left = (int32_t)(s->expiration - (uint32_t)now.s); /* RFC 1982: the window was checked before */
	struct msp_wall until = { now.s + left + (int64_t)t->policy->skew_s };
	uint8_t digest[32];
	enum msp_err err;

	if (t->replay == NULL)
		return MSP_OK;
	err = replay_digest(s, digest);
	if (err != MSP_OK)
		return msp_fail(why, err, "digest of the signature");
	if (msp_replay_note(t->replay, digest, now, until) == MSP_SEEN_BEFORE)
		return msp_fail(why, MSP_EREPLAY, "SIG(0) by %s, tag %u: message seen before", MSP_NAME(&s->signer),
				s->tag);
	return MSP_OK;
}

static enum msp_err verify(const struct msp_trust *t, const struct msp_msg *m, struct msp_span request,
			   const struct msp_name *expect, struct msp_wall now, struct msp_authmsg **out,
			   struct msp_why *why)
{
	struct msp_sig0_claim claim;
	struct msp_authmsg *a = NULL;
	enum msp_err err;

	*out = NULL;
	err = claim_and_time(m, t->policy, now, &claim, why);
	if (err != MSP_OK)
		return err;
	if (expect != NULL && !msp_name_equal(expect, &claim.sig.signer))
		return msp_fail(why, MSP_ENOKEY, "SIG(0) by %s, another signer was expected",
				MSP_NAME(&claim.sig.signer));
	err = try_keys(t, m, &claim, request, why);
	if (err != MSP_OK)
		return err;
	/* Memory first: a message must not count as seen when it was not handed out. */
	err = new_authmsg(m, &claim.sig.signer, MSP_AUTH_SIG0, claim.sig.tag, &a);
	if (err == MSP_OK)
		err = check_replay(t, &claim, now, why);
	if (err != MSP_OK)
		msp_authmsg_free(&a);
	*out = a;
	return err;
}

enum msp_err msp_trust_request(const struct msp_trust *t, const struct msp_msg *m, struct msp_wall now,
			       struct msp_authmsg **out, struct msp_why *why)
{
	return verify(t, m, msp_span(NULL, 0), NULL, now, out, why);
}

enum msp_err msp_trust_response(const struct msp_trust *t, const struct msp_msg *m, struct msp_span request,
				const struct msp_name *expect, struct msp_wall now, struct msp_authmsg **out,
				struct msp_why *why)
{
	return verify(t, m, request, expect, now, out, why);
}

enum msp_err msp_trust_tsig(const struct msp_msg *m, msp_tsig_find_fn *find, void *arg, struct msp_wall now,
			    struct msp_tsig_ctx *ctx, enum msp_tsig_error *error, struct msp_authmsg **out)
{
	enum msp_err err = msp_tsig_verify_request(m, find, arg, now, ctx, error);

	*out = NULL;
	return err != MSP_OK ? err : new_authmsg(m, msp_tsig_key_name(ctx->key), MSP_AUTH_TSIG, 0, out);
}

/* --- refusals --------------------------------------------------------------------------------------------------- */

void msp_trust_refusal(enum msp_err err, bool has_edns, unsigned *rcode, enum msp_ede_own *ede)
{
	/* The first table of PROTOCOL B.5. */
	static const struct {
		enum msp_err err;
		unsigned with_edns, without_edns;
		enum msp_ede_own ede;
	} rows[] = {
		{ MSP_ENOKEY, MSP_RCODE_BADKEY, MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_KEY_UNKNOWN },
		{ MSP_ESIG, MSP_RCODE_NOTAUTH, MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_BAD_SIGNATURE },
		{ MSP_ETIME, MSP_RCODE_NOTAUTH, MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_BAD_TIME },
		{ MSP_EREPLAY, MSP_RCODE_NOTAUTH, MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_REPLAY },
		{ MSP_EUNSIGNED, MSP_RCODE_REFUSED, MSP_RCODE_REFUSED, MSP_EDE_SIG0_REQUIRED },
		{ MSP_EALG, MSP_RCODE_NOTAUTH, MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_ALGORITHM },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].err == err) {
			*rcode = has_edns ? rows[i].with_edns : rows[i].without_edns;
			*ede = rows[i].ede;
			return;
		}
	*rcode = msp_err_rcode(err);
	*ede = (enum msp_ede_own)0; /* none of ours says more than the RCODE */
}
