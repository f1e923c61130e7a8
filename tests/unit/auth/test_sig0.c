/* SPDX-License-Identifier: BSD-2-Clause */
#include "authkit.h"

#include <msproto/auth/sig0.h>

static const struct vector {
	const char *name, *key, *request; /* request: vector that it answers, NULL for a request */
} vectors[] = {
	{ "u1-update-ed25519", KIT_C15, NULL },
	{ "u2-bootstrap-p256", KIT_C13, NULL },
	{ "u3-update-rsasha256-tcp", KIT_C8, NULL },
	{ "u4-update-p384", KIT_C14, NULL },
	{ "u5-update-ed448", KIT_C16, NULL },
	{ "q1-keystate-inquiry", KIT_C15, NULL },
	{ "n1-hello", KIT_A, NULL },
	{ "r1-update-response", KIT_UPDATER, "u1-update-ed25519" },
	{ "r2-keystate-response", KIT_UPDATER, "q1-keystate-inquiry" },
	{ "nr1-hello-response", KIT_B, "n1-hello" },
	{ "m0-axfr-request", KIT_C15, NULL },
	{ "m1-tcp-first", KIT_UPDATER, "m0-axfr-request" },
};
#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

/* The request of a vector as octets; empty for requests. */
static struct msp_span request_of(const struct vector *v, struct msp_buf *buf)
{
	if (v->request == NULL) {
		msp_buf_init(buf, 1);
		return msp_span(NULL, 0);
	}
	kit_read(v->request, buf);
	return msp_buf_span(buf);
}

static void all_positive_vectors_verify(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct kit_msg k = kit_vector(vectors[i].name);
		struct msp_key *key = kit_public(vectors[i].key);
		struct msp_buf buf;
		struct msp_span request = request_of(&vectors[i], &buf);
		struct msp_sig0_claim c;
		enum msp_err err;

		T_OK(msp_sig0_claim(&k.m, &c));
		T_OK(msp_sig0_check_time(&c, &msp_sig0_policy_default, KIT_NOW));
		err = msp_sig0_verify(&k.m, &c, key, request, &msp_sig0_policy_default);
		if (err != MSP_OK)
			fail_msg("%s: %s", vectors[i].name, msp_err_name(err));
		/* A response is bound to its request; a request to nothing. */
		if (request.len != 0)
			T_ERR(msp_sig0_verify(&k.m, &c, key, msp_span(NULL, 0), &msp_sig0_policy_default), MSP_ESIG);
		msp_buf_fini(&buf);
		msp_key_free(&key);
		kit_msg_fini(&k);
	}
}

static void octets_to_be_signed_are_those_of_the_vectors(void **state)
{
	unsigned compared = 0;

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct kit_msg k = kit_vector(vectors[i].name);
		struct msp_buf buf, tbs, want;
		struct msp_span request = request_of(&vectors[i], &buf);
		struct msp_sig0_claim c;
		char name[128];

		if (vectors[i].name[0] != 'm') {
			snprintf(name, sizeof(name), "%s.tbs", vectors[i].name);
			kit_read(name, &want);
			msp_buf_init(&tbs, 4096);
			T_OK(msp_sig0_claim(&k.m, &c));
			T_OK(msp_sig0_tbs(&k.m, &c, request, &tbs));
			kit_assert_octets(msp_buf_span(&tbs), msp_buf_span(&want));
			msp_buf_fini(&tbs);
			msp_buf_fini(&want);
			compared++;
		}
		msp_buf_fini(&buf);
		kit_msg_fini(&k);
	}
	assert_int_equal(compared, 10);
}

static void the_second_message_of_a_stream_covers_the_one_before(void **state)
{
	struct kit_msg m1 = kit_vector("m1-tcp-first"), m2 = kit_vector("m2-tcp-second");
	struct msp_key *key = kit_public(KIT_UPDATER), *pair = kit_key(KIT_UPDATER);
	struct msp_sig0_claim c;
	uint8_t msg[512];
	size_t len;
	struct msp_span want = msp_buf_span(&m2.raw);

	(void)state;
	T_OK(msp_sig0_claim(&m2.m, &c));
	T_OK(msp_sig0_verify_next(&m2.m, &c, key, msp_buf_span(&m1.raw)));
	T_ERR(msp_sig0_verify_next(&m2.m, &c, key, want), MSP_ESIG);
	T_ERR(msp_sig0_verify(&m2.m, &c, key, msp_buf_span(&m1.raw), &msp_sig0_policy_default), MSP_ESIG);

	/* And we sign the very same octets. */
	len = m2.m.sig0_at;
	memcpy(msg, want.ptr, len);
	msg[11]--; /* ARCOUNT */
	T_OK(msp_sig0_sign_next(pair, (struct msp_wall){ (int64_t)c.sig.inception + 300 }, msp_buf_span(&m1.raw), msg,
				&len, sizeof(msg)));
	kit_assert_octets(msp_span(msg, len), want);
	msp_key_free(&key);
	msp_key_free(&pair);
	kit_msg_fini(&m1);
	kit_msg_fini(&m2);
}

/* Strip the SIG(0) off a vector and sign again with the clock at inception + 300. */
static void sign_again(const struct vector *v, uint8_t *msg, size_t *len, size_t cap, struct kit_msg *k)
{
	struct msp_key *pair = kit_key(v->key);
	struct msp_buf buf;
	struct msp_span request = request_of(v, &buf);
	struct msp_sig0_claim c;

	*k = kit_vector(v->name);
	T_OK(msp_sig0_claim(&k->m, &c));
	assert_int_equal(c.sig.expiration - c.sig.inception, 600);
	*len = k->m.sig0_at;
	memcpy(msg, k->raw.ptr, *len);
	msg[11]--; /* ARCOUNT */
	T_OK(msp_sig0_sign(pair, (struct msp_wall){ (int64_t)c.sig.inception + 300 }, request, msg, len, cap));
	msp_buf_fini(&buf);
	msp_key_free(&pair);
}

static void deterministic_vectors_are_reproduced_octet_for_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		bool is_random = strcmp(vectors[i].key, KIT_C13) == 0 || strcmp(vectors[i].key, KIT_C14) == 0;
		struct kit_msg k;
		uint8_t msg[1024];
		size_t len;

		sign_again(&vectors[i], msg, &len, sizeof(msg), &k);
		if (!is_random) {
			kit_assert_octets(msp_span(msg, len), msp_buf_span(&k.raw));
		} else { /* ECDSA: all but the signature */
			assert_int_equal(len, k.raw.len);
			assert_memory_equal(msg, k.raw.ptr, len - (vectors[i].key == vectors[1].key ? 64 : 96));
		}
		kit_msg_fini(&k);
	}
}

static void every_changed_octet_is_noticed(void **state)
{
	struct msp_key *key = kit_public(KIT_C15);
	struct msp_buf raw;

	(void)state;
	kit_read("u1-update-ed25519", &raw);
	for (size_t i = 0; i < raw.len; i++) {
		struct msp_msg m;
		struct msp_sig0_claim c;
		enum msp_err err;

		raw.ptr[i] ^= 0x01;
		err = msp_msg_parse(msp_buf_span(&raw), kit_scratch(), &m, NULL);
		if (err == MSP_OK)
			err = msp_sig0_claim(&m, &c);
		if (err == MSP_OK)
			err = msp_sig0_verify(&m, &c, key, msp_span(NULL, 0), &msp_sig0_policy_default);
		/* Class and TTL of the SIG record itself are not signed and mean nothing (RFC 2931 3). */
		if (err == MSP_OK && !(i >= 147 + 3 && i < 147 + 9))
			fail_msg("octet %zu changed and nobody noticed", i);
		raw.ptr[i] ^= 0x01;
	}
	msp_buf_fini(&raw);
	msp_key_free(&key);
}

static enum msp_err whole(const char *vector, const char *key_name, const char *request_name,
			  const struct msp_sig0_policy *p)
{
	struct msp_key *key = kit_public(key_name);
	struct msp_buf raw, buf;
	struct msp_span request = request_of(&(struct vector){ vector, key_name, request_name }, &buf);
	struct msp_msg m;
	struct msp_sig0_claim c;
	enum msp_err err;

	kit_read(vector, &raw);
	err = msp_msg_parse(msp_buf_span(&raw), kit_scratch(), &m, NULL);
	if (err == MSP_OK)
		err = msp_sig0_claim(&m, &c);
	if (err == MSP_OK)
		err = msp_sig0_check_time(&c, p, KIT_NOW);
	if (err == MSP_OK)
		err = msp_sig0_verify(&m, &c, key, request, p);
	msp_buf_fini(&raw);
	msp_buf_fini(&buf);
	msp_key_free(&key);
	return err;
}

static void negative_vectors_fail_as_they_say(void **state)
{
	struct msp_sig0_policy wide = msp_sig0_policy_default, compat = msp_sig0_policy_default;

	(void)state;
	wide.max_window_s = 86400;
	compat.response_omits_request = true;
	T_ERR(whole("x1-bitflip", KIT_C15, NULL, &msp_sig0_policy_default), MSP_ESIG);
	T_ERR(whole("x2-expired", KIT_C15, NULL, &msp_sig0_policy_default), MSP_ETIME);
	T_ERR(whole("x3-opt-after-sig", KIT_C15, NULL, &msp_sig0_policy_default), MSP_EFORMAT);
	T_ERR(whole("x4-two-sigs", KIT_C15, NULL, &msp_sig0_policy_default), MSP_EFORMAT);
	T_ERR(whole("x5-window-24h", KIT_C15, NULL, &msp_sig0_policy_default), MSP_ETIME);
	T_OK(whole("x5-window-24h", KIT_C15, NULL, &wide)); /* the signature itself is good */
	T_ERR(whole("x6-response-without-query", KIT_UPDATER, "u1-update-ed25519", &msp_sig0_policy_default), MSP_ESIG);
	T_OK(whole("x6-response-without-query", KIT_UPDATER, "u1-update-ed25519", &compat));
	/* Compat accepts the RFC form all the same, and does not weaken requests. */
	T_OK(whole("r1-update-response", KIT_UPDATER, "u1-update-ed25519", &compat));
	T_ERR(whole("x1-bitflip", KIT_C15, NULL, &compat), MSP_ESIG);
}

static void compat_mode_tries_the_rfc_form_first(void **state)
{
	struct msp_sig0_policy compat = msp_sig0_policy_default;
	uint64_t before;

	(void)state;
	compat.response_omits_request = true;
	before = msp_key_verify_count();
	T_OK(whole("r1-update-response", KIT_UPDATER, "u1-update-ed25519", &compat));
	assert_int_equal(msp_key_verify_count() - before, 1);
	before = msp_key_verify_count();
	T_OK(whole("x6-response-without-query", KIT_UPDATER, "u1-update-ed25519", &compat));
	assert_int_equal(msp_key_verify_count() - before, 2);
}

static void time_rules_hold_at_their_edges_and_across_the_wrap(void **state)
{
	static const struct {
		uint32_t inception, expiration;
		int64_t now;
		enum msp_err want;
	} rows[] = {
		{ 1000, 1600, 1300, MSP_OK },
		{ 1000, 1600, 990, MSP_OK }, /* skew of 10 */
		{ 1000, 1600, 989, MSP_ETIME },
		{ 1000, 1600, 1610, MSP_OK },
		{ 1000, 1600, 1611, MSP_ETIME },
		{ 1000, 1900, 1300, MSP_OK }, /* window of 900 */
		{ 1000, 1901, 1300, MSP_ETIME },
		{ 1000, 1000, 1000, MSP_ETIME },                            /* empty window */
		{ 1600, 1000, 1300, MSP_ETIME },                            /* backwards */
		{ 0xffffff00u, 0x00000100u, INT64_C(0x100000010), MSP_OK }, /* February 2106 */
		{ 0xffffff00u, 0x00000100u, INT64_C(0xfffffff0), MSP_OK },
		{ 0xffffff00u, 0x00000100u, INT64_C(0x100000200), MSP_ETIME },
		{ 1000, 1600, INT64_C(0x100000000) + 1300, MSP_OK }, /* 32 bits are all there is */
		{ 1000, 0x80000000u + 1000, 1300, MSP_ETIME },
	};
	struct msp_sig0_claim c = { .sig = { .algorithm = 15 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c.sig.inception = rows[i].inception;
		c.sig.expiration = rows[i].expiration;
		if (msp_sig0_check_time(&c, &msp_sig0_policy_default, (struct msp_wall){ rows[i].now }) != rows[i].want)
			fail_msg("row %zu", i);
	}
	c.sig = (struct msp_rrsig){ .algorithm = 15, .inception = 1000, .expiration = 1600 };
	for (unsigned alg = 0; alg < 256; alg++) {
		bool known = alg == 8 || (alg >= 13 && alg <= 16);

		c.sig.algorithm = (uint8_t)alg;
		T_ERR(msp_sig0_check_time(&c, &msp_sig0_policy_default, (struct msp_wall){ 1300 }),
		      known ? MSP_OK : MSP_EALG);
	}
}

/* A SIG record with this RDATA behind an empty message. */
static enum msp_err claim_of(const char *rdata_hex)
{
	uint8_t msg[1024] = { 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 24, 0, 255, 0, 0, 0, 0 };
	struct msp_buf rdata;
	struct msp_msg m = { 0 };
	struct msp_sig0_claim c;
	enum msp_err err;

	t_hex(rdata_hex, &rdata);
	msg[21] = (uint8_t)(rdata.len >> 8);
	msg[22] = (uint8_t)rdata.len;
	memcpy(msg + 23, rdata.ptr, rdata.len);
	err = msp_msg_parse(msp_span(msg, 23 + rdata.len), kit_scratch(), &m, NULL);
	if (err == MSP_OK)
		err = msp_sig0_claim(&m, &c);
	msp_buf_fini(&rdata);
	return err;
}

#define STAR(alg)                                                                                                      \
	"0000" alg "00"                                                                                                \
	"00000000"                                                                                                     \
	"00000100"                                                                                                     \
	"00000000"                                                                                                     \
	"abcd"                                                                                                         \
	"0161 00"
#define OCT16 "000102030405060708090a0b0c0d0e0f"
#define OCT64 OCT16 OCT16 OCT16 OCT16

static void malformed_sig_records_are_refused_before_any_crypto(void **state)
{
	uint64_t before = msp_key_verify_count();
	struct kit_msg k = kit_vector("t1-tsig-update-request");
	struct msp_sig0_claim c;

	(void)state;
	T_OK(claim_of(STAR("0f") OCT64));
	T_OK(claim_of(STAR("0d") OCT64));
	T_OK(claim_of(STAR("0e") OCT64 OCT16 OCT16));
	T_ERR(claim_of(STAR("0f")), MSP_EFORMAT); /* no signature */
	T_ERR(claim_of(STAR("0f") OCT16), MSP_EFORMAT);
	T_ERR(claim_of(STAR("0f") OCT64 "00"), MSP_EFORMAT);
	T_ERR(claim_of(STAR("08") OCT64), MSP_EFORMAT);
	T_ERR(claim_of(STAR("10") OCT64), MSP_EFORMAT);
	T_OK(claim_of(STAR("63") OCT16)); /* unknown algorithm: the next step says so */
	assert_int_not_equal(claim_of("0000 0f 00 00000000 00000100 00000000 abcd c00c" OCT64), MSP_OK); /* pointer */
	assert_int_not_equal(claim_of("0000 0f 00 00000000"), MSP_OK);
	T_ERR(msp_sig0_claim(&k.m, &c), MSP_EUNSIGNED);
	assert_int_equal(msp_key_verify_count(), before);
	kit_msg_fini(&k);
}

static void only_the_key_that_the_signature_names_is_tried(void **state)
{
	struct kit_msg k = kit_vector("u1-update-ed25519");
	struct msp_key *right = kit_public(KIT_C15), *other = NULL, *zone_key = NULL;
	struct msp_name stranger = t_name("child2.parent.example."), upper = t_name("CHILD.parent.EXAMPLE.");
	uint64_t before = msp_key_verify_count();
	uint8_t rdata[36];
	struct msp_sig0_claim c;

	(void)state;
	T_OK(msp_sig0_claim(&k.m, &c));
	T_OK(msp_key_from_rdata(&stranger, msp_key_rdata(right), &other));
	T_ERR(msp_sig0_verify(&k.m, &c, other, msp_span(NULL, 0), &msp_sig0_policy_default), MSP_ENOKEY);
	msp_key_free(&other);
	other = kit_public(KIT_C13);
	T_ERR(msp_sig0_verify(&k.m, &c, other, msp_span(NULL, 0), &msp_sig0_policy_default), MSP_ENOKEY);
	msp_key_free(&other);
	other = kit_public(KIT_A);
	T_ERR(msp_sig0_verify(&k.m, &c, other, msp_span(NULL, 0), &msp_sig0_policy_default), MSP_ENOKEY);
	msp_key_free(&other);
	/* The same key as a zone key has another tag; give the claim that tag to get as far as the flags. */
	memcpy(rdata, msp_key_rdata(right).ptr, sizeof(rdata));
	rdata[0] = 0x01;
	rdata[1] = 0x00;
	T_OK(msp_key_from_rdata(msp_key_owner(right), msp_span(rdata, sizeof(rdata)), &zone_key));
	c.sig.tag = msp_key_id(zone_key);
	T_ERR(msp_sig0_verify(&k.m, &c, zone_key, msp_span(NULL, 0), &msp_sig0_policy_default), MSP_EVALUE);
	assert_int_equal(msp_key_verify_count(), before); /* all of that was free */
	/* Case does not matter. */
	T_OK(msp_sig0_claim(&k.m, &c));
	T_OK(msp_key_from_rdata(&upper, msp_key_rdata(right), &other));
	T_OK(msp_sig0_verify(&k.m, &c, other, msp_span(NULL, 0), &msp_sig0_policy_default));
	msp_key_free(&zone_key);
	msp_key_free(&other);
	msp_key_free(&right);
	kit_msg_fini(&k);
}

static void signing_needs_room_and_leaves_the_message_alone_without(void **state)
{
	struct msp_key *pair = kit_key(KIT_C15), *pub = kit_public(KIT_C15);
	uint8_t msg[512], before[512];
	size_t len, need = 0;
	struct msp_wall now = { 1000 };

	(void)state;
	memset(msg, 0, sizeof(msg));
	memcpy(before, msg, sizeof(msg));
	for (size_t cap = 12; need == 0; cap++) {
		enum msp_err err;

		len = 12;
		err = msp_sig0_sign(pair, now, msp_span(NULL, 0), msg, &len, cap);
		if (err == MSP_OK) {
			need = cap;
			break;
		}
		assert_int_equal(err, MSP_ENOSPACE);
		assert_int_equal(len, 12);
		assert_memory_equal(msg, before, sizeof(msg));
	}
	assert_int_equal(len, need); /* it fits exactly */
	assert_true(len - 12 <= MSP_SIG0_RR_MAX);
	len = 12;
	T_ERR(msp_sig0_sign(pub, now, msp_span(NULL, 0), msg, &len, sizeof(msg)), MSP_ECRYPTO);
	len = 12;
	msg[10] = msg[11] = 0xff; /* ARCOUNT cannot grow */
	T_ERR(msp_sig0_sign(pair, now, msp_span(NULL, 0), msg, &len, sizeof(msg)), MSP_ENOSPACE);
	msp_key_free(&pair);
	msp_key_free(&pub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_positive_vectors_verify),
		cmocka_unit_test(octets_to_be_signed_are_those_of_the_vectors),
		cmocka_unit_test(the_second_message_of_a_stream_covers_the_one_before),
		cmocka_unit_test(deterministic_vectors_are_reproduced_octet_for_octet),
		cmocka_unit_test(every_changed_octet_is_noticed),
		cmocka_unit_test(negative_vectors_fail_as_they_say),
		cmocka_unit_test(compat_mode_tries_the_rfc_form_first),
		cmocka_unit_test(time_rules_hold_at_their_edges_and_across_the_wrap),
		cmocka_unit_test(malformed_sig_records_are_refused_before_any_crypto),
		cmocka_unit_test(only_the_key_that_the_signature_names_is_tried),
		cmocka_unit_test(signing_needs_room_and_leaves_the_message_alone_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
