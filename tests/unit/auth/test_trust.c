/* SPDX-License-Identifier: BSD-2-Clause */
#include "authkit.h"

#include "auth/trustint.h"

struct fixture {
	struct msp_keyring *ring;
	struct msp_replay *replay;
	struct msp_sig0_policy policy;
	struct msp_trust trust;
};

static void open_trust(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	T_OK(msp_keyring_new(100, &f->ring));
	T_OK(msp_replay_new(1000, &f->replay));
	f->policy = msp_sig0_policy_default;
	f->trust = (struct msp_trust){ f->ring, f->replay, &f->policy };
}

static void close_trust(struct fixture *f)
{
	msp_keyring_free(&f->ring);
	msp_replay_free(&f->replay);
}

/* Trust these vector keys; they may share an owner. */
static void trust_keys(struct fixture *f, const char *const *bases, size_t count)
{
	struct msp_key *keys[8] = { NULL };
	struct msp_span rdata[8];
	size_t usable;

	for (size_t i = 0; i < count; i++) {
		keys[i] = kit_key(bases[i]);
		rdata[i] = msp_key_rdata(keys[i]);
	}
	T_OK(msp_keyring_set(f->ring, msp_key_owner(keys[0]), rdata, count, &usable));
	assert_int_equal(usable, count);
	for (size_t i = 0; i < count; i++)
		msp_key_free(&keys[i]);
}

static enum msp_err request(struct fixture *f, const char *vector, struct msp_wall now)
{
	struct msp_authmsg *a = NULL;
	struct msp_why why = { "" };
	struct msp_buf raw;
	struct msp_msg m;
	enum msp_err err;

	kit_read(vector, &raw);
	err = msp_msg_parse(msp_buf_span(&raw), kit_scratch(), &m, &why);
	if (err == MSP_OK)
		err = msp_trust_request(&f->trust, &m, now, &a, &why);
	if (err == MSP_OK) {
		assert_ptr_equal(msp_authmsg_msg(a), &m);
		assert_int_equal(msp_authmsg_method(a), MSP_AUTH_SIG0);
	} else {
		assert_null(a);
		assert_true(why.text[0] != '\0');
	}
	msp_authmsg_free(&a);
	msp_buf_fini(&raw);
	return err;
}

static const char *const child_keys[] = { KIT_C15, KIT_C13, KIT_C8, KIT_C14, KIT_C16 };

static void signed_requests_of_known_keys_are_verified_once_each(void **state)
{
	static const char *const vectors[] = { "u1-update-ed25519", "u2-bootstrap-p256", "u3-update-rsasha256-tcp",
					       "u4-update-p384",    "u5-update-ed448",   "q1-keystate-inquiry" };
	struct fixture f;

	(void)state;
	open_trust(&f);
	trust_keys(&f, child_keys, 5);
	for (size_t i = 0; i < 6; i++) {
		uint64_t before = msp_key_verify_count();

		T_OK(request(&f, vectors[i], KIT_NOW));
		assert_int_equal(msp_key_verify_count() - before, 1);
	}
	for (size_t i = 0; i < 6; i++)
		T_ERR(request(&f, vectors[i], KIT_NOW), MSP_EREPLAY);
	close_trust(&f);
}

static void the_verified_message_says_who_signed_it(void **state)
{
	static const char *const keys[] = { KIT_A };
	struct msp_name host = t_name("dns.msa.provider-a.example.");
	struct kit_msg k = kit_vector("n1-hello");
	struct msp_authmsg *a;
	struct fixture f;

	(void)state;
	open_trust(&f);
	trust_keys(&f, keys, 1);
	T_OK(msp_trust_request(&f.trust, &k.m, KIT_NOW, &a, NULL));
	assert_true(msp_name_equal(msp_authmsg_signer(a), &host));
	assert_int_equal(msp_authmsg_key_tag(a), 31175);
	assert_ptr_equal(msp_authmsg_msg(a), &k.m);
	msp_authmsg_free(&a);
	assert_null(a);
	kit_msg_fini(&k);
	close_trust(&f);
}

static void what_can_be_refused_without_public_key_work_costs_none(void **state)
{
	static const char *const strangers[] = { KIT_A };
	uint64_t before = msp_key_verify_count();
	struct fixture f;

	(void)state;
	open_trust(&f);
	T_ERR(request(&f, "u1-update-ed25519", KIT_NOW), MSP_ENOKEY);
	trust_keys(&f, strangers, 1);
	T_ERR(request(&f, "u1-update-ed25519", KIT_NOW), MSP_ENOKEY);
	trust_keys(&f, child_keys + 1, 4); /* same owner, other keys */
	T_ERR(request(&f, "u1-update-ed25519", KIT_NOW), MSP_ENOKEY);
	T_ERR(request(&f, "t1-tsig-update-request", KIT_NOW), MSP_EUNSIGNED);
	T_ERR(request(&f, "x3-opt-after-sig", KIT_NOW), MSP_EFORMAT);
	T_ERR(request(&f, "x4-two-sigs", KIT_NOW), MSP_EFORMAT);
	trust_keys(&f, child_keys, 5);
	T_ERR(request(&f, "x2-expired", KIT_NOW), MSP_ETIME);
	T_ERR(request(&f, "x5-window-24h", KIT_NOW), MSP_ETIME);
	T_ERR(request(&f, "u1-update-ed25519", (struct msp_wall){ KIT_NOW.s + 10000 }), MSP_ETIME);
	f.policy.algorithms &= ~(1u << MSP_ALG_ED25519);
	T_ERR(request(&f, "u1-update-ed25519", KIT_NOW), MSP_EALG);
	T_ERR(request(&f, "x2-expired", KIT_NOW), MSP_EALG); /* in the order of the checklist */
	assert_int_equal(msp_key_verify_count(), before);
	T_ERR(request(&f, "u2-bootstrap-p256", (struct msp_wall){ KIT_NOW.s - 10000 }), MSP_ETIME);
	T_OK(request(&f, "u2-bootstrap-p256", KIT_NOW));
	close_trust(&f);
}

static void a_bad_signature_does_not_enter_the_replay_memory(void **state)
{
	struct fixture f;

	(void)state;
	open_trust(&f);
	trust_keys(&f, child_keys, 5);
	T_ERR(request(&f, "x1-bitflip", KIT_NOW), MSP_ESIG); /* carries the signature of u1 */
	T_OK(request(&f, "u1-update-ed25519", KIT_NOW));
	T_ERR(request(&f, "x1-bitflip", KIT_NOW), MSP_ESIG);
	close_trust(&f);
}

/* order - s, the other s with which an ECDSA signature verifies. */
static void negate_p256(uint8_t s[32])
{
	struct msp_buf order;
	int borrow = 0;

	t_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", &order);
	for (int i = 31; i >= 0; i--) {
		int d = order.ptr[i] - s[i] - borrow;

		borrow = d < 0;
		s[i] = (uint8_t)(d & 0xff);
	}
	assert_int_equal(borrow, 0);
	msp_buf_fini(&order);
}

static void the_twin_of_an_ecdsa_signature_is_a_replay(void **state)
{
	struct kit_msg k = kit_vector("u2-bootstrap-p256"), twin = kit_vector("u2-bootstrap-p256");
	struct msp_key *key = kit_public(KIT_C13);
	struct msp_sig0_claim c;
	struct msp_authmsg *a;
	struct fixture f;

	(void)state;
	open_trust(&f);
	trust_keys(&f, child_keys, 5);
	negate_p256(twin.raw.ptr + twin.raw.len - 32);
	T_OK(msp_sig0_claim(&twin.m, &c));
	T_OK(msp_sig0_verify(&twin.m, &c, key, msp_span(NULL, 0),
			     &f.policy)); /* anybody can make it, and it is valid */
	T_OK(msp_trust_request(&f.trust, &k.m, KIT_NOW, &a, NULL));
	msp_authmsg_free(&a);
	T_ERR(msp_trust_request(&f.trust, &twin.m, KIT_NOW, &a, NULL), MSP_EREPLAY);
	close_trust(&f);
	msp_key_free(&key);
	kit_msg_fini(&k);
	kit_msg_fini(&twin);
}

struct memory {
	uint8_t digest[16][32];
	struct msp_wall until[16];
	size_t count;
};

static void remember(void *arg, const uint8_t digest[32], struct msp_wall until)
{
	struct memory *m = arg;

	memcpy(m->digest[m->count], digest, 32);
	m->until[m->count++] = until;
}

static void replays_are_known_after_a_restart(void **state)
{
	struct memory kept = { .count = 0 };
	struct fixture f;

	(void)state;
	open_trust(&f);
	trust_keys(&f, child_keys, 5);
	T_OK(request(&f, "u1-update-ed25519", KIT_NOW));
	T_OK(request(&f, "u2-bootstrap-p256", KIT_NOW));
	msp_replay_list(f.replay, remember, &kept);
	assert_int_equal(kept.count, 2);
	assert_int_equal(kept.until[0].s, 1795493415 + 10); /* expiration and skew */
	close_trust(&f);

	open_trust(&f);
	trust_keys(&f, child_keys, 5);
	for (size_t i = 0; i < kept.count; i++)
		msp_replay_restore(f.replay, kept.digest[i], kept.until[i]);
	T_ERR(request(&f, "u1-update-ed25519", KIT_NOW), MSP_EREPLAY);
	T_ERR(request(&f, "u2-bootstrap-p256", KIT_NOW), MSP_EREPLAY);
	T_OK(request(&f, "u5-update-ed448", KIT_NOW));
	close_trust(&f);
}

/* The memory against a plain list that does the same. */
static void the_replay_memory_forgets_the_oldest_and_only_that(void **state)
{
	enum { MAX = 16, DIGESTS = 40 };
	struct {
		int64_t until;
		uint64_t used;
	} model[DIGESTS] = { { 0, 0 } };
	struct msp_replay *r;
	uint64_t x = 12345;

	(void)state;
	T_ERR(msp_replay_new(0, &r), MSP_ELIMIT);
	T_ERR(msp_replay_new(SIZE_MAX, &r), MSP_ELIMIT);
	T_OK(msp_replay_new(MAX, &r));
	for (uint64_t step = 1; step < 20000; step++) {
		uint8_t digest[32] = { 0 };
		size_t i, held = 0, oldest = DIGESTS;
		struct msp_wall now = { (int64_t)step }, until = { (int64_t)step + 30 };
		enum msp_seen want;

		x = x * 6364136223846793005u + 1442695040888963407u;
		i = (size_t)(x >> 33) % DIGESTS;
		digest[0] = (uint8_t)(i % 3); /* few slots, long chains */
		digest[31] = (uint8_t)i;
		want = model[i].used != 0 && model[i].until >= now.s ? MSP_SEEN_BEFORE : MSP_SEEN_NEW;
		if (msp_replay_note(r, digest, now, until) != want)
			fail_msg("step %llu", (unsigned long long)step);
		if (want == MSP_SEEN_NEW) {
			for (size_t k = 0; k < DIGESTS; k++) {
				held += model[k].used != 0;
				if (model[k].used != 0 && (oldest == DIGESTS || model[k].used < model[oldest].used))
					oldest = k;
			}
			if (model[i].used == 0 && held == MAX)
				model[oldest].used = 0;
			model[i].until = until.s;
		}
		model[i].used = step;
	}
	msp_replay_free(&r);
	assert_null(r);
}

static void keys_that_share_a_tag_are_all_tried_up_to_four(void **state)
{
	struct msp_key *key = kit_key(KIT_C15);
	struct msp_span real = msp_key_rdata(key), rdata[6];
	uint8_t fake[5][36];
	struct fixture f;
	size_t usable;
	uint64_t before;

	(void)state;
	open_trust(&f);
	/* The tag is a sum of 16-bit words: swapping words of the key keeps it. */
	for (size_t i = 0; i < 5; i++) {
		memcpy(fake[i], real.ptr, 36);
		memcpy(fake[i] + 4, real.ptr + 6 + 2 * i, 2);
		memcpy(fake[i] + 6 + 2 * i, real.ptr + 4, 2);
		rdata[i] = msp_span(fake[i], 36);
		assert_int_equal(msp_key_tag(rdata[i]), msp_key_id(key));
	}
	rdata[3] = real;
	T_OK(msp_keyring_set(f.ring, msp_key_owner(key), rdata, 4, &usable));
	assert_int_equal(usable, 4);
	before = msp_key_verify_count();
	T_OK(request(&f, "u1-update-ed25519", KIT_NOW));
	assert_int_equal(msp_key_verify_count() - before, 4);
	before = msp_key_verify_count();
	T_ERR(request(&f, "x1-bitflip", KIT_NOW), MSP_ESIG);
	assert_int_equal(msp_key_verify_count() - before, 4); /* never more */
	/* A fifth is refused when it is put in, and nothing changes. */
	T_ERR(msp_keyring_set(f.ring, msp_key_owner(key), rdata, 5, &usable), MSP_ELIMIT);
	T_ERR(request(&f, "u1-update-ed25519", KIT_NOW), MSP_EREPLAY);
	/* The same key twice is one key. */
	rdata[4] = real;
	T_OK(msp_keyring_set(f.ring, msp_key_owner(key), rdata, 5, &usable));
	assert_int_equal(usable, 4);
	msp_key_free(&key);
	close_trust(&f);
}

static void the_keyring_replaces_drops_and_keeps_its_limits(void **state)
{
	struct msp_name owner = t_name("Host.example."), same = t_name("hOST.eXAMPLE."), other = t_name("b.example.");
	uint8_t oct[20][36];
	struct msp_span rdata[20];
	struct msp_keyring *ring;
	const struct msp_key *found[MSP_KEYRING_SAME_TAG];
	size_t usable;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		memset(oct[i], 0, 36);
		memcpy(oct[i], "\x02\x00\x03\x0f", 4);
		oct[i][35] = (uint8_t)(i + 1);
		rdata[i] = msp_span(oct[i], 36);
	}
	T_OK(msp_keyring_new(1, &ring));
	T_OK(msp_keyring_set(ring, &owner, rdata, 16, &usable));
	assert_int_equal(usable, 16);
	assert_true(msp_keyring_has(ring, &same));
	assert_int_equal(msp_keyring_find(ring, &same, 15, msp_key_tag(rdata[3]), found), 1);
	kit_assert_octets(msp_key_rdata(found[0]), rdata[3]);
	T_ERR(msp_keyring_set(ring, &owner, rdata, 17, &usable), MSP_ELIMIT);
	assert_int_equal(msp_keyring_find(ring, &same, 15, msp_key_tag(rdata[3]), found), 1);
	T_ERR(msp_keyring_set(ring, &other, rdata, 1, &usable), MSP_ELIMIT); /* one owner only */
	T_OK(msp_keyring_set(ring, &owner, rdata + 4, 1, &usable));          /* replaces all */
	assert_int_equal(msp_keyring_find(ring, &same, 15, msp_key_tag(rdata[3]), found), 0);
	assert_int_equal(msp_keyring_find(ring, &same, 15, msp_key_tag(rdata[4]), found), 1);
	assert_int_equal(msp_keyring_find(ring, &same, 16, msp_key_tag(rdata[4]), found), 0);
	/* Unusable: a zone key, an unknown algorithm, another protocol, a short key. */
	memcpy(oct[0], "\x01\x00\x03\x0f", 4);
	memcpy(oct[1], "\x00\x00\x03\x05", 4);
	memcpy(oct[2], "\x00\x00\x02\x0f", 4);
	rdata[3].len = 35;
	T_OK(msp_keyring_set(ring, &owner, rdata, 5, &usable));
	assert_int_equal(usable, 1);
	T_OK(msp_keyring_set(ring, &owner, rdata, 4, &usable));
	assert_int_equal(usable, 0);
	assert_false(msp_keyring_has(ring, &owner));
	T_OK(msp_keyring_set(ring, &other, rdata + 5, 1, &usable));
	msp_keyring_drop(ring, &owner); /* not there: nothing happens */
	msp_keyring_drop(ring, &other);
	assert_false(msp_keyring_has(ring, &other));
	msp_keyring_free(&ring);
	assert_null(ring);
}

static enum msp_err response(struct fixture *f, const char *vector, const char *request_vector, const char *expect_text)
{
	struct kit_msg k = kit_vector(vector);
	struct msp_name expect = t_name(expect_text);
	struct msp_buf req;
	struct msp_authmsg *a;
	enum msp_err err;

	kit_read(request_vector, &req);
	err = msp_trust_response(&f->trust, &k.m, msp_buf_span(&req), &expect, KIT_NOW, &a, NULL);
	msp_authmsg_free(&a);
	msp_buf_fini(&req);
	kit_msg_fini(&k);
	return err;
}

static void responses_are_tied_to_request_and_signer(void **state)
{
	static const char *const keys[] = { KIT_UPDATER };
	struct fixture f;
	uint64_t before;

	(void)state;
	open_trust(&f);
	trust_keys(&f, keys, 1);
	f.trust.replay = NULL;
	T_OK(response(&f, "r1-update-response", "u1-update-ed25519", "UPDATER.parent.example."));
	T_OK(response(&f, "r1-update-response", "u1-update-ed25519", "updater.parent.example."));
	T_ERR(response(&f, "r1-update-response", "u5-update-ed448", "updater.parent.example."), MSP_ESIG);
	before = msp_key_verify_count();
	T_ERR(response(&f, "r1-update-response", "u1-update-ed25519", "updater2.parent.example."), MSP_ENOKEY);
	assert_int_equal(msp_key_verify_count(), before);
	T_OK(response(&f, "r2-keystate-response", "q1-keystate-inquiry", "updater.parent.example."));
	T_ERR(response(&f, "x6-response-without-query", "u1-update-ed25519", "updater.parent.example."), MSP_ESIG);
	f.policy.response_omits_request = true;
	T_OK(response(&f, "x6-response-without-query", "u1-update-ed25519", "updater.parent.example."));
	close_trust(&f);
}

static const struct msp_tsig_key *find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	(void)name;
	(void)alg;
	return arg;
}

static void tsig_requests_become_verified_messages_too(void **state)
{
	struct kit_msg k = kit_vector("t1-tsig-update-request");
	struct msp_name name = t_name("msa-combiner.");
	struct msp_wall now = { 1795493971 };
	struct msp_tsig_key *key;
	struct msp_tsig_ctx ctx;
	enum msp_tsig_error error;
	struct msp_authmsg *a;
	uint8_t secret[32];

	(void)state;
	for (uint8_t i = 0; i < 32; i++)
		secret[i] = i;
	T_OK(msp_tsig_key_new(&name, MSP_TSIG_SHA256, msp_span(secret, 32), &key));
	T_OK(msp_trust_tsig(&k.m, find_key, key, now, &ctx, &error, &a));
	assert_int_equal(msp_authmsg_method(a), MSP_AUTH_TSIG);
	assert_true(msp_name_equal(msp_authmsg_signer(a), &name));
	msp_authmsg_free(&a);
	T_ERR(msp_trust_tsig(&k.m, find_key, NULL, now, &ctx, &error, &a), MSP_ENOKEY);
	assert_null(a);
	assert_int_equal(error, MSP_TSIG_BADKEY);
	msp_tsig_key_free(&key);
	kit_msg_fini(&k);
}

static void refusals_follow_the_table(void **state)
{
	static const struct {
		enum msp_err err;
		unsigned with, without, ede;
	} rows[] = {
		{ MSP_ENOKEY, 17, 9, 49161 }, { MSP_ESIG, 9, 9, 49165 },      { MSP_ETIME, 9, 9, 49166 },
		{ MSP_EREPLAY, 9, 9, 49167 }, { MSP_EUNSIGNED, 5, 5, 49168 }, { MSP_EALG, 9, 9, 49169 },
		{ MSP_EFORMAT, 1, 1, 49152 }, { MSP_ETRUNC, 1, 1, 49152 },    { MSP_ENOMEM, 2, 2, 49152 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum msp_ede_own ede;
		unsigned rcode;

		msp_trust_refusal(rows[i].err, true, &rcode, &ede);
		assert_int_equal(rcode, rows[i].with);
		assert_int_equal(49152 + (unsigned)ede, rows[i].ede);
		msp_trust_refusal(rows[i].err, false, &rcode, &ede);
		assert_int_equal(rcode, rows[i].without);
		assert_int_equal(49152 + (unsigned)ede, rows[i].ede);
	}
}

static void running_out_of_memory_never_counts_a_message_as_seen(void **state)
{
	struct kit_msg k = kit_vector("u1-update-ed25519");
	struct fixture f;
	struct msp_authmsg *a = NULL;
	enum msp_err err = MSP_ENOMEM;
	size_t n;

	(void)state;
	open_trust(&f);
	trust_keys(&f, child_keys, 5);
	for (n = 1; err != MSP_OK; n++) {
		assert_true(n < 50);
		msp_mem_fail_at(n);
		err = msp_trust_request(&f.trust, &k.m, KIT_NOW, &a, NULL);
		msp_mem_fail_at(0);
		assert_true(err == MSP_OK || err == MSP_ENOMEM);
	}
	assert_true(n > 2);
	msp_authmsg_free(&a);
	close_trust(&f);
	kit_msg_fini(&k);
}

static void running_out_of_memory_leaves_the_keyring_as_it_was(void **state)
{
	struct msp_key *old = kit_public(KIT_C15), *new = kit_public(KIT_C13);
	struct msp_span rdata = msp_key_rdata(old);
	enum msp_err err = MSP_ENOMEM;
	struct fixture f;
	size_t usable;

	(void)state;
	open_trust(&f);
	T_OK(msp_keyring_set(f.ring, msp_key_owner(old), &rdata, 1, &usable));
	rdata = msp_key_rdata(new);
	for (size_t n = 1; err != MSP_OK; n++) {
		const struct msp_key *found[MSP_KEYRING_SAME_TAG];

		assert_true(n < 50);
		msp_mem_fail_at(n);
		err = msp_keyring_set(f.ring, msp_key_owner(old), &rdata, 1, &usable);
		msp_mem_fail_at(0);
		assert_int_equal(msp_keyring_find(f.ring, msp_key_owner(old), 15, msp_key_id(old), found),
				 err != MSP_OK);
		assert_int_equal(msp_keyring_find(f.ring, msp_key_owner(old), 13, msp_key_id(new), found),
				 err == MSP_OK);
	}
	msp_key_free(&old);
	msp_key_free(&new);
	close_trust(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_requests_of_known_keys_are_verified_once_each),
		cmocka_unit_test(the_verified_message_says_who_signed_it),
		cmocka_unit_test(what_can_be_refused_without_public_key_work_costs_none),
		cmocka_unit_test(a_bad_signature_does_not_enter_the_replay_memory),
		cmocka_unit_test(the_twin_of_an_ecdsa_signature_is_a_replay),
		cmocka_unit_test(replays_are_known_after_a_restart),
		cmocka_unit_test(the_replay_memory_forgets_the_oldest_and_only_that),
		cmocka_unit_test(keys_that_share_a_tag_are_all_tried_up_to_four),
		cmocka_unit_test(the_keyring_replaces_drops_and_keeps_its_limits),
		cmocka_unit_test(responses_are_tied_to_request_and_signer),
		cmocka_unit_test(tsig_requests_become_verified_messages_too),
		cmocka_unit_test(refusals_follow_the_table),
		cmocka_unit_test(running_out_of_memory_never_counts_a_message_as_seen),
		cmocka_unit_test(running_out_of_memory_leaves_the_keyring_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
