/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message as received: claim, time, verification. And whatever parses and is not signed yet: signed by us it must
 * parse, claim and verify again, and must not once an octet before the signature has changed.
 */
#include <msproto/auth/sig0.h>
#include <msproto/base/buf.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Not assert: it must hold in optimised builds, too. */
#define CHECK(claim)                                                                                                   \
	do {                                                                                                           \
		if (!(claim))                                                                                          \
			abort();                                                                                       \
	} while (0)

static struct msp_rr_scratch scratch;
static uint8_t out[MSP_MSG_MAX];

static const struct msp_key *fixed_key(void)
{
	static struct msp_key *key; /* lives as long as the process */
	struct msp_name owner;

	if (key == NULL) {
		enum msp_err err = msp_name_from_text("signer.example.", &owner);

		CHECK(err == MSP_OK);
		err = msp_key_generate(&owner, MSP_ALG_ED25519, 0, &key);
		CHECK(err == MSP_OK);
	}
	return key;
}

static void check_received(const struct msp_msg *m, struct msp_span request)
{
	struct msp_sig0_policy p = msp_sig0_policy_default;
	struct msp_wall now = { 1795493200 };
	struct msp_sig0_claim c;
	struct msp_buf tbs;

	p.response_omits_request = true;
	if (msp_sig0_claim(m, &c) != MSP_OK)
		return;
	(void)!msp_sig0_check_time(&c, &p, now);
	CHECK(msp_sig0_verify(m, &c, fixed_key(), request, &p) != MSP_OK);
	CHECK(msp_sig0_verify_next(m, &c, fixed_key(), request) != MSP_OK);
	msp_buf_init(&tbs, 4 * MSP_MSG_MAX);
	if (msp_sig0_tbs(m, &c, request, &tbs) == MSP_OK)
		CHECK(tbs.len == c.sig.signature_at + request.len + m->sig0_at);
	msp_buf_fini(&tbs);
}

static enum msp_err verify(size_t len, struct msp_span request)
{
	struct msp_sig0_claim c;
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(msp_span(out, len), &scratch, &m, NULL);

	if (err == MSP_OK)
		err = msp_sig0_claim(&m, &c);
	if (err == MSP_OK)
		err = msp_sig0_verify(&m, &c, fixed_key(), request, &msp_sig0_policy_default);
	return err;
}

static void check_own(const struct msp_msg *m, struct msp_span request)
{
	size_t len = m->raw.len, at;

	struct msp_msg signed_m;

	memcpy(out, m->raw.ptr, len);
	if (msp_sig0_sign(fixed_key(), (struct msp_wall){ 1000 }, request, out, &len, sizeof(out)) != MSP_OK)
		return;
	CHECK(msp_msg_parse(msp_span(out, len), &scratch, &signed_m, NULL) == MSP_OK);
	CHECK(verify(len, request) == MSP_OK);
	at = (m->raw.ptr[0] * 256u + m->raw.ptr[1]) % m->raw.len;
	out[at] ^= 0x10;
	CHECK(verify(len, request) != MSP_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_span request = msp_span("what this answers", 17);
	struct msp_msg m;

	if (len == 0 || msp_msg_parse(msp_span(data, len), &scratch, &m, NULL) != MSP_OK)
		return 0;
	if ((m.flags & MSP_FLAG_QR) == 0)
		request.len = 0;
	check_received(&m, request);
	if (m.sig0_at == 0 && m.tsig_at == 0)
		check_own(&m, request);
	return 0;
}
