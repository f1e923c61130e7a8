/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message as received, taken as request and as answer. And whatever parses and is not signed yet: signed by us it
 * must verify, as request, as first answer and as later answer, and must not once an octet has changed. Signed in
 * pieces it gets the same record as in one.
 */
#include <msproto/auth/tsig.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Not assert: it must hold in optimised builds, too. */
#define CHECK(claim)                                                                                                   \
	do {                                                                                                           \
		if (!(claim))                                                                                          \
			abort();                                                                                       \
	} while (0)

static const struct msp_wall now = { 1795493971 };
static struct msp_rr_scratch scratch;
static uint8_t out[MSP_MSG_MAX], saved[MSP_MSG_MAX];

static const struct msp_tsig_key *fixed_key(void)
{
	static struct msp_tsig_key *key; /* lives as long as the process */
	struct msp_name name;

	if (key == NULL) {
		enum msp_err err = msp_name_from_text("msa-combiner.", &name);

		CHECK(err == MSP_OK);
		err = msp_tsig_key_new(&name, MSP_TSIG_SHA256, msp_span("the fuzzer does not know this", 29), &key);
		CHECK(err == MSP_OK);
	}
	return key;
}

static const struct msp_tsig_key *find(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	(void)arg;
	(void)name;
	(void)alg;
	return fixed_key();
}

/* An error answer to it must be one that the other side can parse and does not take for a success. */
static void check_error(const struct msp_msg *req, enum msp_tsig_error error)
{
	size_t len = MSP_HEADER_LEN;
	struct msp_tsig_ctx ctx;
	struct msp_msg m;

	memset(out, 0, MSP_HEADER_LEN);
	out[2] = 0x80;
	memset(&ctx, 0, sizeof(ctx));
	ctx.key = fixed_key();
	if (msp_tsig_sign_error(req, ctx.key, error, now, out, &len, sizeof(out)) != MSP_OK)
		return;
	if (msp_msg_parse(msp_span(out, len), &scratch, &m, NULL) != MSP_OK)
		abort();
	CHECK(msp_tsig_verify_response(&ctx, &m, true, now, NULL) != MSP_OK);
	msp_tsig_ctx_fini(&ctx);
}

static void check_received(const struct msp_msg *m)
{
	struct msp_tsig_ctx ctx;
	enum msp_tsig_error error;

	CHECK(msp_tsig_verify_request(m, find, NULL, now, &ctx, &error) != MSP_OK);
	msp_tsig_ctx_fini(&ctx);
	ctx.key = fixed_key();
	ctx.mac_len = 32;
	if (msp_tsig_verify_response(&ctx, m, false, now, NULL) == MSP_OK)
		abort();
	msp_tsig_ctx_fini(&ctx);
	ctx.key = fixed_key();
	ctx.mac_len = 32;
	ctx.first_done = true;
	if (msp_tsig_verify_response(&ctx, m, false, now, NULL) == MSP_OK)
		CHECK(m->tsig_at == 0 && !msp_tsig_complete(&ctx));
	if (msp_tsig_verify_response(&ctx, m, true, now, NULL) == MSP_OK)
		abort();
	msp_tsig_ctx_fini(&ctx);
	if (m->tsig_at != 0) {
		check_error(m, MSP_TSIG_BADKEY);
		check_error(m, MSP_TSIG_BADSIG);
		check_error(m, MSP_TSIG_BADTIME);
	}
}

/* `whole` is what signing m by the context `server` has made; m's first octet says where to cut. */
static void check_pieces(struct msp_tsig_ctx server, const struct msp_msg *m, struct msp_span whole)
{
	size_t len = 0, cut = MSP_HEADER_LEN + m->raw.ptr[0] % (m->raw.len - MSP_HEADER_LEN + 1);
	struct msp_span part[2] = { msp_span(m->raw.ptr, cut), msp_span(m->raw.ptr + cut, m->raw.len - cut) };
	uint8_t rr[MSP_TSIG_RR_MAX];

	CHECK(msp_tsig_sign_parts(&server, now, part, 2, m->id, rr, &len, sizeof(rr)) == MSP_OK);
	CHECK(len == whole.len - m->raw.len && memcmp(rr, whole.ptr + m->raw.len, len) == 0);
}

static void check_answer(struct msp_tsig_ctx *server, struct msp_tsig_ctx *client, const struct msp_msg *m)
{
	struct msp_tsig_ctx before = *server;
	size_t len = m->raw.len;
	struct msp_msg signed_m;

	memcpy(out, m->raw.ptr, len);
	if (msp_tsig_sign_response(server, now, out, &len, sizeof(out)) != MSP_OK)
		abort();
	check_pieces(before, m, msp_span(out, len));
	if (msp_msg_parse(msp_span(out, len), &scratch, &signed_m, NULL) != MSP_OK ||
	    msp_tsig_verify_response(client, &signed_m, false, now, NULL) != MSP_OK)
		abort();
	CHECK(msp_tsig_complete(client));
}

static void check_own(const struct msp_msg *m)
{
	size_t len = m->raw.len, at;
	struct msp_tsig_ctx client, server, spare;
	enum msp_tsig_error error;
	struct msp_msg signed_m;

	memcpy(saved, m->raw.ptr, len);
	if (msp_tsig_sign_request(fixed_key(), now, saved, &len, sizeof(saved), &client) != MSP_OK)
		return;
	CHECK(msp_msg_parse(msp_span(saved, len), &scratch, &signed_m, NULL) == MSP_OK);
	CHECK(msp_tsig_verify_request(&signed_m, find, NULL, now, &server, &error) == MSP_OK);
	for (unsigned i = 0; i < 3; i++)
		check_answer(&server, &client, m);
	msp_tsig_ctx_fini(&client);
	msp_tsig_ctx_fini(&server);
	at = 2 + (m->raw.ptr[0] * 256u + m->raw.ptr[1]) %
			 (m->raw.len - 2); /* the ID may change: the original one is kept */
	saved[at] ^= 0x10;
	if (msp_msg_parse(msp_span(saved, len), &scratch, &signed_m, NULL) == MSP_OK)
		CHECK(msp_tsig_verify_request(&signed_m, find, NULL, now, &spare, &error) != MSP_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_msg m;

	if (len == 0 || msp_msg_parse(msp_span(data, len), &scratch, &m, NULL) != MSP_OK)
		return 0;
	check_received(&m);
	if (m.sig0_at == 0 && m.tsig_at == 0)
		check_own(&m);
	return 0;
}
