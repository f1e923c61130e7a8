/* SPDX-License-Identifier: BSD-2-Clause */
#include "authkit.h"

#include <msproto/auth/tsig.h>

#include <openssl/hmac.h>

/* Times signed in the vectors. */
#define T1 ((struct msp_wall){ 1795493971 })
#define T2 ((struct msp_wall){ 1795493973 })

static struct msp_tsig_key *vector_key(void)
{
	struct msp_name name = t_name("msa-combiner.");
	struct msp_tsig_key *key;
	uint8_t secret[32];

	for (uint8_t i = 0; i < sizeof(secret); i++)
		secret[i] = i;
	T_OK(msp_tsig_key_new(&name, MSP_TSIG_SHA256, msp_span(secret, sizeof(secret)), &key));
	assert_true(msp_name_equal(msp_tsig_key_name(key), &name));
	return key;
}

static struct msp_tsig_key *new_key(const char *name_text, enum msp_tsig_alg alg, const char *secret)
{
	struct msp_name name = t_name(name_text);
	struct msp_tsig_key *key;

	T_OK(msp_tsig_key_new(&name, alg, msp_span_str(secret), &key));
	return key;
}

/* Knows one key, whatever is asked for: the module must check name and algorithm itself. */
static const struct msp_tsig_key *find_any(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	(void)name;
	(void)alg;
	return arg;
}

static struct msp_msg parse(const uint8_t *msg, size_t len)
{
	struct msp_why why = { "" };
	struct msp_msg m;

	if (msp_msg_parse(msp_span(msg, len), kit_scratch(), &m, &why) != MSP_OK)
		fail_msg("%s", why.text);
	return m;
}

/* A message with one question; returns its length. */
static size_t question(uint8_t *msg, size_t cap, uint16_t id, uint16_t flags)
{
	struct msp_name name = t_name("zone.example.");
	struct msp_span out;
	struct msp_msgw w;

	msp_msgw_init(&w, msg, cap, id, MSP_OPCODE_QUERY, flags);
	msp_msgw_question(&w, &name, MSP_TYPE_AXFR, MSP_CLASS_IN);
	T_OK(msp_msgw_finish(&w, &out));
	return out.len;
}

static size_t without_tsig(const struct msp_msg *m, uint8_t *out)
{
	memcpy(out, m->raw.ptr, m->tsig_at);
	out[11]--;
	return m->tsig_at;
}

static void algorithm_names_are_read_in_any_case_with_and_without_dot(void **state)
{
	enum msp_tsig_alg alg = MSP_TSIG__N;

	(void)state;
	for (int i = 0; i < MSP_TSIG__N; i++) {
		T_OK(msp_tsig_alg_from_text(msp_tsig_alg_name((enum msp_tsig_alg)i), &alg));
		assert_int_equal(alg, i);
	}
	T_OK(msp_tsig_alg_from_text("HMAC-SHA384.", &alg));
	assert_int_equal(alg, MSP_TSIG_SHA384);
	T_ERR(msp_tsig_alg_from_text("hmac-sha1", &alg), MSP_EALG);
	T_ERR(msp_tsig_alg_from_text("hmac-md5.sig-alg.reg.int", &alg), MSP_EALG);
	T_ERR(msp_tsig_alg_from_text("", &alg), MSP_EALG);
}

static void update_and_answer_captured_from_bind_verify_and_are_reproduced(void **state)
{
	struct msp_tsig_key *key = vector_key();
	struct kit_msg req = kit_vector("t1-tsig-update-request"), resp = kit_vector("t1-tsig-update-response");
	struct msp_tsig_ctx server, client;
	enum msp_tsig_error error;
	struct msp_why why = { "" };
	uint8_t msg[512];
	size_t len;

	(void)state;
	T_OK(msp_tsig_verify_request(&req.m, find_any, key, T1, &server, &error));
	assert_int_equal(error, MSP_TSIG_NOERROR);
	len = without_tsig(&resp.m, msg);
	T_OK(msp_tsig_sign_response(&server, T1, msg, &len, sizeof(msg)));
	kit_assert_octets(msp_span(msg, len), msp_buf_span(&resp.raw));

	len = without_tsig(&req.m, msg);
	T_OK(msp_tsig_sign_request(key, T1, msg, &len, sizeof(msg), &client));
	kit_assert_octets(msp_span(msg, len), msp_buf_span(&req.raw));
	assert_false(msp_tsig_complete(&client));
	T_OK(msp_tsig_verify_response(&client, &resp.m, true, T1, &why));
	assert_true(msp_tsig_complete(&client));

	msp_tsig_ctx_fini(&server);
	msp_tsig_ctx_fini(&client);
	kit_msg_fini(&req);
	kit_msg_fini(&resp);
	msp_tsig_key_free(&key);
	assert_null(key);
}

/* The stream of length-prefixed messages: calls verify for each; returns the first error. */
static enum msp_err walk_stream(struct msp_tsig_ctx *client, struct msp_tsig_ctx *server, struct msp_span stream,
				size_t skip)
{
	struct msp_rd rd;
	enum msp_err err = MSP_OK;
	size_t n = 0;

	msp_rd_init(&rd, stream);
	while (msp_rd_left(&rd) > 0 && err == MSP_OK) {
		struct msp_span one = msp_rd_take(&rd, msp_rd_u16(&rd));
		struct msp_msg m = parse(one.ptr, one.len);
		uint8_t msg[512];
		size_t len;

		if (n++ == skip)
			continue;
		err = msp_tsig_verify_response(client, &m, msp_rd_left(&rd) == 0, T2, NULL);
		if (server == NULL)
			continue;
		len = without_tsig(&m, msg);
		T_OK(msp_tsig_sign_response(server, T2, msg, &len, sizeof(msg)));
		kit_assert_octets(msp_span(msg, len), one);
	}
	return err;
}

static void transfer_captured_from_bind_verifies_and_is_reproduced(void **state)
{
	struct msp_tsig_key *key = vector_key();
	struct msp_tsig_ctx client, server;
	struct msp_buf raw, stream;
	enum msp_tsig_error error;
	struct msp_msg m;
	uint8_t msg[512];

	(void)state;
	kit_read("t2-tsig-axfr-request", &raw);
	kit_read("t2-tsig-axfr-response-stream", &stream);
	m = parse(raw.ptr + 2, raw.len - 2); /* after the TCP length */
	for (size_t skip = 0; skip <= 6; skip++) {
		size_t len = without_tsig(&m, msg);

		T_OK(msp_tsig_verify_request(&m, find_any, key, T2, &server, &error));
		T_OK(msp_tsig_sign_request(key, T2, msg, &len, sizeof(msg), &client));
		kit_assert_octets(msp_span(msg, len), m.raw);
		/* With a message missing, the next one does not verify, or (the last) nothing says that it was the end.
		 */
		if (skip == 6)
			T_OK(walk_stream(&client, &server, msp_buf_span(&stream), skip));
		else if (skip < 5)
			T_ERR(walk_stream(&client, NULL, msp_buf_span(&stream), skip), MSP_ESIG);
		msp_tsig_ctx_fini(&client);
		msp_tsig_ctx_fini(&server);
	}
	msp_buf_fini(&raw);
	msp_buf_fini(&stream);
	msp_tsig_key_free(&key);
}

static void all_algorithms_sign_and_verify_both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < MSP_TSIG__N; i++) {
		struct msp_tsig_key *key = new_key("K.Example.", (enum msp_tsig_alg)i, "a secret of some length");
		struct msp_tsig_key *wrong = new_key("k.example.", (enum msp_tsig_alg)i, "another secret");
		struct msp_tsig_ctx client, server, spare;
		enum msp_tsig_error error;
		uint8_t req[512], resp[512];
		size_t len = question(req, sizeof(req), 7, 0), resp_len = question(resp, sizeof(resp), 7, MSP_FLAG_QR);
		size_t bare = len;
		struct msp_msg m;

		T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
		assert_true(len - bare <= MSP_TSIG_RR_MAX);
		m = parse(req, len);
		T_OK(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error));
		T_ERR(msp_tsig_verify_request(&m, find_any, wrong, T1, &spare, &error), MSP_ESIG);
		assert_int_equal(error, MSP_TSIG_BADSIG);
		/* A forwarder may change the ID: the original one is in the record. */
		req[0] ^= 0xff;
		m = parse(req, len);
		T_OK(msp_tsig_verify_request(&m, find_any, key, T1, &spare, &error));
		for (size_t at = 2; at < len; at++) { /* everything else is covered */
			enum msp_err err;

			req[at] ^= 1;
			err = msp_msg_parse(msp_span(req, len), kit_scratch(), &m, NULL);
			if (err == MSP_OK)
				err = msp_tsig_verify_request(&m, find_any, key, T1, &spare, &error);
			if (err == MSP_OK)
				fail_msg("octet %zu changed and nobody noticed", at);
			req[at] ^= 1;
		}
		T_OK(msp_tsig_sign_response(&server, T1, resp, &resp_len, sizeof(resp)));
		m = parse(resp, resp_len);
		T_OK(msp_tsig_verify_response(&client, &m, true, T1, NULL));
		/* The answer to another request does not verify. */
		len = question(req, sizeof(req), 8, 0);
		T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
		T_ERR(msp_tsig_verify_response(&client, &m, true, T1, NULL), MSP_ESIG);
		msp_tsig_ctx_fini(&client);
		msp_tsig_ctx_fini(&server);
		msp_tsig_key_free(&key);
		msp_tsig_key_free(&wrong);
	}
}

static void unknown_key_and_algorithm_are_badkey_and_the_unsigned_error_is_understood(void **state)
{
	struct msp_tsig_key *key = vector_key(), *other = new_key("other.", MSP_TSIG_SHA256, "x");
	struct msp_tsig_key *longer = new_key("msa-combiner.", MSP_TSIG_SHA512, "x");
	struct msp_tsig_ctx client, server;
	struct msp_why why = { "" };
	enum msp_tsig_error error;
	uint8_t req[512], resp[512], *letter;
	size_t len = question(req, sizeof(req), 7, 0), resp_len = question(resp, sizeof(resp), 7, MSP_FLAG_QR);
	struct msp_msg m, answer;

	(void)state;
	T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
	m = parse(req, len);
	T_ERR(msp_tsig_verify_request(&m, find_any, NULL, T1, &server, &error), MSP_ENOKEY);
	assert_int_equal(error, MSP_TSIG_BADKEY);
	T_ERR(msp_tsig_verify_request(&m, find_any, other, T1, &server, &error), MSP_ENOKEY);
	T_ERR(msp_tsig_verify_request(&m, find_any, longer, T1, &server, &error), MSP_ENOKEY);
	T_OK(msp_tsig_sign_error(&m, NULL, MSP_TSIG_BADKEY, T1, resp, &resp_len, sizeof(resp)));
	answer = parse(resp, resp_len);
	T_ERR(msp_tsig_verify_response(&client, &answer, true, T1, &why), MSP_ENOKEY);
	assert_non_null(strstr(why.text, "BADKEY"));
	assert_non_null(strstr(why.text, "msa-combiner."));

	letter = memmem(req, len, "hmac", 4);
	assert_non_null(letter);
	*letter ^= 0x20; /* case of the algorithm name does not matter */
	m = parse(req, len);
	T_OK(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error));
	*letter ^= 0x01;
	m = parse(req, len);
	T_ERR(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error), MSP_EALG);
	assert_int_equal(error, MSP_TSIG_BADKEY);
	msp_tsig_ctx_fini(&client);
	msp_tsig_ctx_fini(&server);
	msp_tsig_key_free(&key);
	msp_tsig_key_free(&other);
	msp_tsig_key_free(&longer);
}

static void a_clock_off_by_more_than_the_fudge_is_badtime_signed_with_the_servers_time(void **state)
{
	static const int64_t offs[] = { -300, 300, -301, 301 };
	struct msp_tsig_key *key = vector_key();

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct msp_tsig_ctx client, server;
		struct msp_wall there = { T1.s + offs[i] };
		struct msp_why why = { "" };
		enum msp_tsig_error error;
		uint8_t req[512], resp[512];
		size_t len = question(req, sizeof(req), 7, 0), resp_len = question(resp, sizeof(resp), 7, MSP_FLAG_QR);
		struct msp_msg m, answer;
		char text[32];

		T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
		m = parse(req, len);
		if (i < 2) {
			T_OK(msp_tsig_verify_request(&m, find_any, key, there, &server, &error));
			continue;
		}
		T_ERR(msp_tsig_verify_request(&m, find_any, key, there, &server, &error), MSP_ETIME);
		assert_int_equal(error, MSP_TSIG_BADTIME);
		assert_ptr_equal(server.key, key);
		T_OK(msp_tsig_sign_error(&m, server.key, error, there, resp, &resp_len, sizeof(resp)));
		answer = parse(resp, resp_len);
		T_ERR(msp_tsig_verify_response(&client, &answer, true, T1, &why), MSP_ETIME);
		snprintf(text, sizeof(text), "%lld", (long long)there.s);
		assert_non_null(strstr(why.text, text)); /* what the server's clock says reached us, verified */
		resp[resp_len - 1] ^= 1;
		len = question(req, sizeof(req), 7, 0);
		T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
		answer = parse(resp, resp_len);
		T_ERR(msp_tsig_verify_response(&client, &answer, true, T1, &why), MSP_ESIG);
	}
	msp_tsig_key_free(&key);
}

static void a_sender_cannot_ask_for_more_tolerance_than_usual(void **state)
{
	static const uint8_t digested[] = "\x01k\x00\x00\xff\x00\x00\x00\x00\x0bhmac-sha256\x00" /* name, class, TTL */
					  "\x00\x00\x6b\x05\x10\x53\xff\xff\x00\x00\x00";        /* T1, fudge 65535 */
	struct msp_tsig_key *key = new_key("k.", MSP_TSIG_SHA256, "secret");
	struct msp_tsig_ctx client, server;
	enum msp_tsig_error error;
	uint8_t req[512], in[512];
	size_t len = question(req, sizeof(req), 7, 0), plain = len;
	struct msp_msg m;

	(void)state;
	memcpy(in, req, plain);
	memcpy(in + plain, digested, sizeof(digested)); /* with the final zero of the other length */
	T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
	memset(req + len - 6 - 32 - 2 - 2, 0xff, 2);
	assert_non_null(HMAC(EVP_sha256(), "secret", 6, in, plain + sizeof(digested), req + len - 6 - 32, NULL));
	m = parse(req, len);
	T_OK(msp_tsig_verify_request(&m, find_any, key, (struct msp_wall){ T1.s + 300 }, &server, &error));
	T_OK(msp_tsig_verify_request(&m, find_any, key, (struct msp_wall){ T1.s - 300 }, &server, &error));
	T_ERR(msp_tsig_verify_request(&m, find_any, key, (struct msp_wall){ T1.s + 301 }, &server, &error), MSP_ETIME);
	assert_int_equal(error, MSP_TSIG_BADTIME);
	T_ERR(msp_tsig_verify_request(&m, find_any, key, (struct msp_wall){ T1.s - 301 }, &server, &error), MSP_ETIME);
	msp_tsig_key_free(&key);
}

/* The signed message with its MAC cut (or, with zeros, stretched) to n octets. */
static size_t cut_mac(const uint8_t *msg, size_t len, size_t mac_len, size_t n, uint8_t *out)
{
	size_t tail = 6, mac_at = len - tail - mac_len, rdlen_at = mac_at - 10 - 13 - 2;

	memset(out, 0, 1024);
	memcpy(out, msg, mac_at);
	memcpy(out + mac_at, msg + mac_at, n < mac_len ? n : mac_len);
	memcpy(out + mac_at + n, msg + len - tail, tail);
	out[mac_at - 1] = (uint8_t)n;
	out[rdlen_at + 1] = (uint8_t)(13 + 10 + n + tail);
	return len - mac_len + n;
}

static void macs_may_be_cut_to_half_and_no_further(void **state)
{
	static const size_t full[] = { 32, 48, 64 };

	(void)state;
	for (int i = 0; i < MSP_TSIG__N; i++) {
		struct msp_tsig_key *key = new_key("k.", (enum msp_tsig_alg)i, "secret");
		struct msp_tsig_ctx client, server;
		enum msp_tsig_error error;
		uint8_t req[512], cut[1024];
		size_t len = question(req, sizeof(req), 7, 0), n;
		struct msp_msg m;

		T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
		for (n = full[i] / 2; n <= full[i]; n++) {
			m = parse(cut, cut_mac(req, len, full[i], n, cut));
			T_OK(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error));
			assert_int_equal(server.mac_len, n); /* the answer covers what was sent */
		}
		m = parse(cut, cut_mac(req, len, full[i], full[i] / 2 - 1, cut));
		T_ERR(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error), MSP_EFORMAT);
		m = parse(cut, cut_mac(req, len, full[i], 0, cut));
		T_ERR(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error), MSP_EFORMAT);
		m = parse(cut, cut_mac(req, len, full[i], full[i] + 1, cut));
		T_ERR(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error), MSP_EFORMAT);
		msp_tsig_key_free(&key);
	}
}

/* --- streams with unsigned messages: the MAC is computed here with HMAC(), independently of the module --- */

struct stream {
	struct msp_tsig_key *key;
	struct msp_tsig_ctx client, server;
	struct msp_buf since; /* length | prior MAC | unsigned messages */
};

static void stream_open(struct stream *s, uint8_t *first, size_t *first_len)
{
	uint8_t req[512];
	size_t len = question(req, sizeof(req), 7, 0);
	enum msp_tsig_error error;
	struct msp_msg m;

	s->key = vector_key();
	T_OK(msp_tsig_sign_request(s->key, T1, req, &len, sizeof(req), &s->client));
	m = parse(req, len);
	T_OK(msp_tsig_verify_request(&m, find_any, s->key, T1, &s->server, &error));
	*first_len = question(first, 512, 7, MSP_FLAG_QR);
	T_OK(msp_tsig_sign_response(&s->server, T1, first, first_len, 512));
	msp_buf_init(&s->since, 1 << 20);
	msp_buf_add_u8(&s->since, 0);
	msp_buf_add_u8(&s->since, 32);
	msp_buf_add(&s->since, s->server.mac, 32);
}

static void stream_close(struct stream *s)
{
	msp_tsig_ctx_fini(&s->client);
	msp_tsig_ctx_fini(&s->server);
	msp_buf_fini(&s->since);
	msp_tsig_key_free(&s->key);
}

static enum msp_err send_unsigned(struct stream *s, bool is_last)
{
	uint8_t msg[512];
	size_t len = question(msg, sizeof(msg), 7, MSP_FLAG_QR);
	struct msp_msg m = parse(msg, len);

	msp_buf_add(&s->since, msg, len);
	return msp_tsig_verify_response(&s->client, &m, is_last, T1, NULL);
}

static enum msp_err send_signed(struct stream *s)
{
	uint8_t msg[512], secret[32], mac[32];
	size_t len = question(msg, sizeof(msg), 7, MSP_FLAG_QR);
	struct msp_tsig_ctx later = s->server;
	struct msp_msg m;
	enum msp_err err;

	for (uint8_t i = 0; i < sizeof(secret); i++)
		secret[i] = i;
	msp_buf_add(&s->since, msg, len);
	msp_buf_add(&s->since, "\x00\x00\x6b\x05\x10\x53\x01\x2c", 8); /* time T1, fudge 300 */
	assert_non_null(HMAC(EVP_sha256(), secret, 32, s->since.ptr, s->since.len, mac, NULL));
	T_OK(msp_tsig_sign_response(&later, T1, msg, &len, sizeof(msg))); /* for its shape; the MAC is ours */
	memcpy(msg + len - 6 - 32, mac, 32);
	m = parse(msg, len);
	err = msp_tsig_verify_response(&s->client, &m, false, T1, NULL);
	msp_buf_reset(&s->since);
	msp_buf_add_u8(&s->since, 0);
	msp_buf_add_u8(&s->since, 32);
	msp_buf_add(&s->since, mac, 32);
	return err;
}

static void up_to_99_messages_in_a_row_may_go_unsigned(void **state)
{
	static const unsigned runs[] = { 0, 1, 2, 99, 0, 50, 99, 99 };
	struct stream s;
	uint8_t first[512];
	size_t len;
	struct msp_msg m;

	(void)state;
	stream_open(&s, first, &len);
	m = parse(first, len);
	T_OK(msp_tsig_verify_response(&s.client, &m, false, T1, NULL));
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		for (unsigned n = 0; n < runs[i]; n++) {
			T_OK(send_unsigned(&s, false));
			assert_false(msp_tsig_complete(&s.client));
		}
		T_OK(send_signed(&s));
		assert_true(msp_tsig_complete(&s.client));
	}
	for (unsigned n = 0; n < 99; n++)
		T_OK(send_unsigned(&s, false));
	T_ERR(send_unsigned(&s, false), MSP_EUNSIGNED);
	stream_close(&s);
}

static void first_and_last_message_must_be_signed_and_none_may_be_slipped_in(void **state)
{
	struct stream s;
	uint8_t first[512], extra[512];
	size_t len, extra_len = question(extra, sizeof(extra), 7, MSP_FLAG_QR | MSP_FLAG_AA);
	struct msp_msg m;

	(void)state;
	stream_open(&s, first, &len);
	m = parse(extra, extra_len);
	T_ERR(msp_tsig_verify_response(&s.client, &m, false, T1, NULL), MSP_EUNSIGNED);
	m = parse(first, len);
	T_OK(msp_tsig_verify_response(&s.client, &m, false, T1, NULL));
	T_ERR(send_unsigned(&s, true), MSP_EUNSIGNED);
	msp_buf_consume(&s.since, 0);
	stream_close(&s);

	stream_open(&s, first, &len);
	m = parse(first, len);
	T_OK(msp_tsig_verify_response(&s.client, &m, false, T1, NULL));
	T_OK(send_unsigned(&s, false));
	m = parse(extra, extra_len);
	T_OK(msp_tsig_verify_response(&s.client, &m, false, T1, NULL)); /* not known to be false yet */
	T_ERR(send_signed(&s), MSP_ESIG);
	stream_close(&s);

	stream_open(&s, first, &len); /* a stream that ends in the middle must not leak either */
	m = parse(first, len);
	T_OK(msp_tsig_verify_response(&s.client, &m, false, T1, NULL));
	T_OK(send_unsigned(&s, false));
	stream_close(&s);
}

static void answers_with_another_key_are_refused(void **state)
{
	struct msp_tsig_key *key = vector_key(), *other = new_key("other.", MSP_TSIG_SHA256, "x");
	struct msp_tsig_ctx client, server = { .key = other, .mac_len = 32 };
	struct msp_why why = { "" };
	uint8_t req[512], resp[512];
	size_t len = question(req, sizeof(req), 7, 0), resp_len = question(resp, sizeof(resp), 7, MSP_FLAG_QR);
	struct msp_msg m;

	(void)state;
	T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
	T_OK(msp_tsig_sign_response(&server, T1, resp, &resp_len, sizeof(resp)));
	m = parse(resp, resp_len);
	T_ERR(msp_tsig_verify_response(&client, &m, true, T1, &why), MSP_ENOKEY);
	assert_non_null(strstr(why.text, "other."));
	msp_tsig_key_free(&key);
	msp_tsig_key_free(&other);
}

static void signing_needs_room_and_keys_need_a_secret(void **state)
{
	struct msp_name name = t_name("k.");
	struct msp_tsig_key *key = vector_key(), *none;
	struct msp_tsig_ctx ctx;
	uint8_t msg[512], big[600] = { 1 };
	size_t bare = question(msg, sizeof(msg), 7, 0), len;
	enum msp_err err = MSP_ENOSPACE;

	(void)state;
	for (size_t cap = bare; err != MSP_OK; cap++) {
		len = bare;
		err = msp_tsig_sign_request(key, T1, msg, &len, cap, &ctx);
		if (err == MSP_OK) {
			assert_int_equal(len, cap);
			break;
		}
		assert_int_equal(err, MSP_ENOSPACE);
		assert_int_equal(len, bare);
		assert_int_equal(msg[11], 0); /* ARCOUNT untouched */
	}
	T_ERR(msp_tsig_key_new(&name, MSP_TSIG_SHA256, msp_span(NULL, 0), &none), MSP_EVALUE);
	T_ERR(msp_tsig_key_new(&name, MSP_TSIG_SHA256, msp_span(big, sizeof(big)), &none), MSP_EVALUE);
	T_ERR(msp_tsig_key_new(&name, MSP_TSIG__N, msp_span("x", 1), &none), MSP_EALG);
	assert_null(none);
	msp_tsig_key_free(&none);
	msp_tsig_key_free(&key);
}

/* Three answer messages: in one piece by one context, in pieces by its twin. `cuts` tells where the pieces end. */
static void sign_in_pieces(const struct msp_tsig_ctx *start, const size_t *cuts, size_t count)
{
	struct msp_tsig_ctx whole = *start, pieces = *start;

	for (unsigned n = 0; n < 3; n++) {
		uint8_t msg[512], bare[512], rr[MSP_TSIG_RR_MAX];
		size_t len = question(msg, sizeof(msg), 7, MSP_FLAG_QR), bare_len = len, rr_len = 0, from = 0;
		struct msp_span part[8];

		memcpy(bare, msg, len);
		for (size_t i = 0; i < count; from = cuts[i++])
			part[i] = msp_span(bare + from, cuts[i] - from);
		part[count] = msp_span(bare + from, len - from);
		T_OK(msp_tsig_sign_response(&whole, T1, msg, &len, sizeof(msg)));
		T_OK(msp_tsig_sign_parts(&pieces, T1, part, count + 1, 7, rr, &rr_len, sizeof(rr)));
		kit_assert_octets(msp_span(rr, rr_len), msp_span(msg + bare_len, len - bare_len));
		assert_int_equal(msg[11], bare[11] + 1);
	}
	assert_memory_equal(&whole, &pieces, sizeof(whole));
}

static void a_message_in_pieces_is_signed_like_the_same_message_in_one(void **state)
{
	static const size_t middle[] = { 12, 12, 13, 20 };
	struct msp_tsig_key *key = vector_key();
	struct msp_tsig_ctx client, server;
	enum msp_tsig_error error;
	uint8_t req[512], rr[MSP_TSIG_RR_MAX];
	size_t len = question(req, sizeof(req), 7, 0), rr_len = 1234;
	struct msp_span part;
	struct msp_msg m;

	(void)state;
	T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
	m = parse(req, len);
	T_OK(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error));
	sign_in_pieces(&server, NULL, 0);
	for (size_t cut = MSP_HEADER_LEN; cut <= 30; cut++)
		sign_in_pieces(&server, &cut, 1);
	sign_in_pieces(&server, middle, 4);

	/* What does not fit leaves the context as it was. */
	client = server;
	part = msp_span(req, 30);
	T_ERR(msp_tsig_sign_parts(&server, T1, &part, 1, 7, rr, &rr_len, 40), MSP_ENOSPACE);
	req[10] = req[11] = 0xff;
	T_ERR(msp_tsig_sign_parts(&server, T1, &part, 1, 7, rr, &rr_len, sizeof(rr)), MSP_ENOSPACE);
	assert_int_equal(rr_len, 1234);
	assert_memory_equal(&client, &server, sizeof(server));
	msp_tsig_ctx_fini(&server);
	msp_tsig_key_free(&key);
}

/* The ID on the wire may be another than the one that was asked with: the record tells (RFC 8945 4.3.2). */
static void a_message_in_pieces_carries_the_original_id(void **state)
{
	struct msp_tsig_key *key = vector_key();
	struct msp_tsig_ctx client, server;
	enum msp_tsig_error error;
	uint8_t req[512], resp[1024];
	size_t len = question(req, sizeof(req), 7, 0), resp_len, rr_len;
	struct msp_span part;
	struct msp_msg m;

	(void)state;
	T_OK(msp_tsig_sign_request(key, T1, req, &len, sizeof(req), &client));
	m = parse(req, len);
	T_OK(msp_tsig_verify_request(&m, find_any, key, T1, &server, &error));
	resp_len = question(resp, sizeof(resp), 99, MSP_FLAG_QR);
	part = msp_span(resp, resp_len);
	T_OK(msp_tsig_sign_parts(&server, T1, &part, 1, 7, resp + resp_len, &rr_len, sizeof(resp) - resp_len));
	resp[11]++;
	m = parse(resp, resp_len + rr_len);
	T_OK(msp_tsig_verify_response(&client, &m, true, T1, NULL));
	msp_tsig_ctx_fini(&client);
	msp_tsig_ctx_fini(&server);
	msp_tsig_key_free(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(algorithm_names_are_read_in_any_case_with_and_without_dot),
		cmocka_unit_test(update_and_answer_captured_from_bind_verify_and_are_reproduced),
		cmocka_unit_test(transfer_captured_from_bind_verifies_and_is_reproduced),
		cmocka_unit_test(all_algorithms_sign_and_verify_both_ways),
		cmocka_unit_test(unknown_key_and_algorithm_are_badkey_and_the_unsigned_error_is_understood),
		cmocka_unit_test(a_clock_off_by_more_than_the_fudge_is_badtime_signed_with_the_servers_time),
		cmocka_unit_test(a_sender_cannot_ask_for_more_tolerance_than_usual),
		cmocka_unit_test(macs_may_be_cut_to_half_and_no_further),
		cmocka_unit_test(up_to_99_messages_in_a_row_may_go_unsigned),
		cmocka_unit_test(first_and_last_message_must_be_signed_and_none_may_be_slipped_in),
		cmocka_unit_test(answers_with_another_key_are_refused),
		cmocka_unit_test(a_message_in_pieces_is_signed_like_the_same_message_in_one),
		cmocka_unit_test(a_message_in_pieces_carries_the_original_id),
		cmocka_unit_test(signing_needs_room_and_keys_need_a_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
