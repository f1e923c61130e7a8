/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_build.h"

#include "keys.h"

#define KEY_ED   "0 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
#define KEY_ED2  "512 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs="
#define KEY_P256 "0 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
#define ADD(k)   "add " C " 300 KEY " k "\n"
#define DEL(k)   "delrr " C " 0 KEY " k "\n"
#define DEL_ALL  "del " C " KEY\n"

static struct msp_rr_scratch scratch; /* 64 KiB: not on the stack */
static uint8_t mem[65535];
static const struct msp_wall noon = { 1800000000 };

static struct msp_wall later(int64_t s)
{
	return (struct msp_wall){ noon.s + s };
}

/* RDATA of a key, in memory of the test's own. */
static struct msp_span rdata(const char *text)
{
	static uint8_t pool[512][PRT_KEY_RDATA_MAX];
	static size_t used;
	char line[1024];
	struct msp_rrset *set;
	size_t len;

	snprintf(line, sizeof(line), C " 0 KEY %s", text);
	set = t_rrset(line);
	len = set->rdata[0].len;
	assert_true(used < 512 && len <= sizeof(pool[0]));
	memcpy(pool[used], set->rdata[0].ptr, len);
	msp_rrset_free(&set);
	return msp_span(pool[used++], len);
}

static enum msp_err update(struct prt_keyset *k, const char *lines, const char *signer, struct msp_wall now,
			   struct prt_refusal *no)
{
	struct msp_name child = t_name(C);
	struct msp_msg m;

	memset(no, 0, sizeof(*no));
	t_update(P, lines, mem, sizeof(mem), &scratch, &m);
	return prt_keys_update(k, &m, &child, rdata(signer), &prt_key_rules_default, now, &scratch, no);
}

static enum prt_key_state state_of(struct prt_keyset *k, const char *key)
{
	const struct prt_key *found = prt_keyset_find(k, rdata(key));

	return found != NULL ? found->state : PRT_KEY_ABSENT;
}

static void event(struct prt_keyset *k, const char *key, enum prt_key_event ev)
{
	struct prt_key *found = prt_keyset_find(k, rdata(key));

	assert_non_null(found);
	assert_true(prt_key_event(k, found, ev, PRT_METHOD_APEX, noon));
}

/* An upload that is validated at once. */
static void trust(struct prt_keyset *k, const char *key)
{
	char lines[1024];
	struct prt_refusal no;

	snprintf(lines, sizeof(lines), "add " C " 300 KEY %s\n", key);
	T_OK(update(k, lines, key, noon, &no));
	event(k, key, PRT_KEV_VALIDATED);
	memset(k->bootstraps, 0, sizeof(k->bootstraps));
}

static void an_upload_shows_possession_and_no_more(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	T_OK(update(&k, DEL_ALL ADD(KEY_ED), KEY_ED, noon, &no));
	assert_int_equal(k.count, 1);
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_KNOWN);
	assert_int_equal(prt_key_keystate(&k.key[0]), MSP_KEYSTATE_BOOTSTRAP_AUTO);
	/* sent again it changes nothing, and costs nothing of the budget */
	for (int i = 0; i < 10; i++)
		T_OK(update(&k, DEL_ALL ADD(KEY_ED), KEY_ED, later(i), &no));
	assert_int_equal(k.count, 1);
	event(&k, KEY_ED, PRT_KEV_VALIDATED);
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_TRUSTED);
}

static void a_trusted_key_is_not_lost_to_an_upload(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	T_OK(update(&k, DEL_ALL ADD(KEY_P256), KEY_P256, noon, &no));
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_TRUSTED);
	assert_int_equal(state_of(&k, KEY_P256), PRT_KEY_KNOWN);
	/* not even when it fails; only when it is trusted */
	event(&k, KEY_P256, PRT_KEV_ATTEMPT);
	event(&k, KEY_P256, PRT_KEV_ATTEMPT);
	assert_int_equal(state_of(&k, KEY_P256), PRT_KEY_KNOWN);
	event(&k, KEY_P256, PRT_KEV_ATTEMPT);
	assert_int_equal(state_of(&k, KEY_P256), PRT_KEY_FAILED);
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_TRUSTED);
	T_OK(update(&k, DEL_ALL ADD(KEY_P256), KEY_P256, noon, &no));
	event(&k, KEY_P256, PRT_KEV_VALIDATED);
	assert_int_equal(state_of(&k, KEY_P256), PRT_KEY_TRUSTED);
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_ABSENT);
}

static void an_upload_without_a_deletion_leaves_the_other_providers_key(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	T_OK(update(&k, ADD(KEY_P256), KEY_P256, noon, &no));
	event(&k, KEY_P256, PRT_KEV_VALIDATED);
	assert_int_equal(prt_keyset_count(&k, PRT_KEY_TRUSTED), 2);
}

static void an_upload_can_do_nothing_for_or_against_other_keys(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	T_ERR(update(&k, ADD(KEY_ED2), KEY_P256, noon, &no), MSP_EREFUSED);
	T_ERR(update(&k, ADD(KEY_P256) ADD(KEY_ED2), KEY_P256, noon, &no), MSP_EREFUSED);
	T_ERR(update(&k, DEL_ALL, KEY_P256, noon, &no), MSP_EREFUSED);
	T_ERR(update(&k, DEL(KEY_ED), KEY_P256, noon, &no), MSP_EREFUSED);
	assert_int_equal(no.rcode, MSP_RCODE_REFUSED);
	assert_int_equal(k.count, 1);
}

static void uploads_have_a_budget(void **state)
{
	static const char *const keys[] = { KEY_ED, KEY_ED2, KEY_P256 };
	struct prt_keyset k = { 0 };
	struct prt_refusal no;
	char lines[1024];

	(void)state;
	for (int i = 0; i < PRT_BOOTSTRAPS_PER_H; i++) {
		snprintf(lines, sizeof(lines), "add " C " 300 KEY %s\n", keys[i]);
		T_OK(update(&k, lines, keys[i], later(i), &no));
	}
	for (unsigned i = 0; i < PRT_ATTEMPTS_MAX; i++)
		event(&k, KEY_ED, PRT_KEV_ATTEMPT);
	T_ERR(update(&k, ADD(KEY_ED), KEY_ED, later(100), &no), MSP_EREFUSED); /* fourth within the hour */
	assert_true(no.is_standard && no.ede == MSP_EDE_BLOCKED);
	T_ERR(update(&k, ADD(KEY_ED), KEY_ED, later(-100), &no), MSP_EREFUSED); /* a clock set back does not help */
	T_OK(update(&k, ADD(KEY_ED), KEY_ED, later(3700), &no));
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_KNOWN);
}

/* Uploads of keys that nobody publishes, made by anybody. */
static void junk(struct prt_keyset *k, unsigned n, enum prt_key_state state, unsigned attempts)
{
	struct prt_key *key = &k->key[k->count++];

	memset(key, 0, sizeof(*key));
	key->rdata_len = 36;
	key->rdata[2] = 3;
	key->rdata[3] = 15;
	key->rdata[4] = (uint8_t)n;
	key->state = state;
	key->attempts = (uint8_t)attempts;
	key->since = later((int64_t)n);
}

static void keys_that_failed_give_way_to_new_ones(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	for (unsigned i = 1; i < PRT_KEYS_MAX; i++)
		junk(&k, i, PRT_KEY_FAILED, 3);
	T_OK(update(&k, ADD(KEY_P256), KEY_P256, noon, &no));
	assert_int_equal(k.count, PRT_KEYS_MAX);
	assert_int_equal(state_of(&k, KEY_P256), PRT_KEY_KNOWN);
	T_OK(update(&k, ADD(KEY_ED2), KEY_ED, noon, &no)); /* the same for a rollover */
	assert_int_equal(state_of(&k, KEY_ED2), PRT_KEY_TRUSTED);
	assert_int_equal(prt_keyset_count(&k, PRT_KEY_FAILED), PRT_KEYS_MAX - 3);
	for (unsigned i = 0; i < k.count; i++)
		assert_true(k.key[i].state != PRT_KEY_FAILED || k.key[i].rdata[4] > 2); /* the oldest went */
}

static void a_key_that_is_not_published_gives_its_place_to_the_next(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	for (unsigned i = 0; i < PRT_PENDING_MAX; i++)
		junk(&k, i + 1, PRT_KEY_KNOWN, 0);
	T_ERR(update(&k, ADD(KEY_ED), KEY_ED, noon, &no), MSP_EREFUSED);
	k.key[2].attempts = 1; /* a look has missed it */
	T_OK(update(&k, ADD(KEY_ED), KEY_ED, noon, &no));
	assert_int_equal(k.count, PRT_PENDING_MAX);
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_KNOWN);
}

static void another_upload_of_a_key_that_waits_may_say_otherwise_within_the_budget(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	T_OK(update(&k, DEL_ALL ADD(KEY_ED), KEY_ED, noon, &no));
	assert_true(k.key[0].replaces);
	T_OK(update(&k, ADD(KEY_ED), KEY_ED, noon, &no));
	assert_false(k.key[0].replaces);
	T_OK(update(&k, DEL_ALL ADD(KEY_ED), KEY_ED, noon, &no));
	T_ERR(update(&k, ADD(KEY_ED), KEY_ED, noon, &no), MSP_EREFUSED);
	T_OK(update(&k, DEL_ALL ADD(KEY_ED), KEY_ED, noon, &no)); /* nothing new costs nothing */
	assert_true(k.key[0].replaces);
}

static void a_key_that_was_distrusted_replaces_nothing_when_it_is_approved_later(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	T_OK(update(&k, DEL_ALL ADD(KEY_P256), KEY_P256, noon, &no));
	event(&k, KEY_P256, PRT_KEV_REJECTED);
	event(&k, KEY_P256, PRT_KEV_APPROVED);
	assert_int_equal(prt_keyset_count(&k, PRT_KEY_TRUSTED), 2);
	event(&k, KEY_P256, PRT_KEV_FORGOTTEN);
	assert_int_equal(k.count, 1);
}

static void a_trusted_key_rolls_over(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	T_OK(update(&k, ADD(KEY_P256), KEY_ED, noon, &no));
	assert_int_equal(prt_keyset_count(&k, PRT_KEY_TRUSTED), 2);
	T_OK(update(&k, DEL(KEY_ED), KEY_P256, noon, &no));
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_ABSENT);
	/* replace in one go */
	T_OK(update(&k, DEL_ALL ADD(KEY_ED2), KEY_P256, noon, &no));
	assert_int_equal(prt_keyset_count(&k, PRT_KEY_TRUSTED), 1);
	assert_int_equal(state_of(&k, KEY_ED2), PRT_KEY_TRUSTED);
}

static void the_last_trusted_key_stays(void **state)
{
	struct prt_keyset k = { 0 }, before;
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	T_OK(update(&k, ADD(KEY_P256), KEY_P256, noon, &no)); /* waits, and does not count */
	before = k;
	T_ERR(update(&k, DEL_ALL, KEY_ED, noon, &no), MSP_EREFUSED);
	T_ERR(update(&k, DEL(KEY_ED), KEY_ED, noon, &no), MSP_EREFUSED);
	T_ERR(update(&k, ADD(KEY_ED2) DEL_ALL, KEY_ED, noon, &no), MSP_EREFUSED);
	assert_memory_equal(&k, &before, sizeof(k));
}

static void keys_that_cannot_be_used_are_not_taken(void **state)
{
	static const struct {
		const char *key;
		enum msp_keystate_state state;
		bool costs; /* a public-key operation, to find out */
		const char *why;
	} bad[] = {
		{ "256 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", MSP_KEYSTATE_INVALID, false, "a zone key" },
		{ "0 2 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", MSP_KEYSTATE_INVALID, false,
		  "protocol 2, not 3" },
		{ "0 3 15 l02Woi0i", MSP_KEYSTATE_INVALID, false, "algorithm 15 has 32 octets, not 6" },
		{ "0 3 13 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", MSP_KEYSTATE_INVALID, false,
		  "algorithm 13 has 64 octets, not 32" },
		{ "0 3 13 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
		  MSP_KEYSTATE_INVALID, true, "no public key of algorithm 13" }, /* not a point of the curve */
		{ "0 3 8 AwEAAcFcGsaxxdKk", MSP_KEYSTATE_INVALID, false, "an RSA key of 64 bits: 2048 to 4096" },
		{ "0 3 8 AwEAAT8=", MSP_KEYSTATE_INVALID, false, "an RSA key of 6 bits" },
		{ "0 3 8 AwEAAQA=", MSP_KEYSTATE_INVALID, false, "no RSA key" }, /* a leading zero: RFC 3110 2 */
		{ "0 3 8 AAAJAQ==", MSP_KEYSTATE_INVALID, false, "no RSA key" }, /* an exponent of nine octets */
		{ "0 3 8 AwEAAQ==", MSP_KEYSTATE_INVALID, false, "no RSA key" }, /* no modulus */
		{ "0 3 5 AwEAAcFcGsaxxdKk", MSP_KEYSTATE_REFUSED, false, "algorithm 5 is not taken" },
		{ "0 3 253 AwEAAcFcGsaxxdKk", MSP_KEYSTATE_REFUSED, false, "algorithm 253 is not taken" },
	};
	struct msp_name child = t_name(C);
	struct prt_keyset k = { 0 };
	struct prt_refusal no;
	char lines[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		enum msp_keystate_state keystate;
		struct msp_why why = { "" };

		T_ERR(prt_key_check(&child, rdata(bad[i].key), &prt_key_rules_default, &keystate, &why), MSP_EVALUE);
		if (keystate != bad[i].state || strstr(why.text, bad[i].why) == NULL)
			fail_msg("%s: %s", bad[i].key, why.text);
		if (bad[i].costs)
			T_OK(prt_key_glance(rdata(bad[i].key), &prt_key_rules_default, &keystate, &why));
		else
			T_ERR(prt_key_glance(rdata(bad[i].key), &prt_key_rules_default, &keystate, &why), MSP_EVALUE);
		snprintf(lines, sizeof(lines), "add " C " 300 KEY %s\n", bad[i].key);
		T_ERR(update(&k, lines, bad[i].key, noon, &no), MSP_EREFUSED);
		assert_non_null(strstr(no.why.text, bad[i].why));
		trust(&k, KEY_ED);
		T_ERR(update(&k, lines, KEY_ED, noon, &no), MSP_EREFUSED); /* not from a trusted key either */
		assert_true(no.has_ede && no.is_standard && no.ede == MSP_EDE_INVALID_DATA);
		assert_non_null(strstr(no.why.text, bad[i].why));
		assert_int_equal(k.count, 1);
		k.count = 0;
	}
}

/* The signature cannot be read, since the key that makes it is of no use. */
static void a_key_that_is_at_fault_for_its_signature_is_named(void **state)
{
	static const struct {
		const char *lines, *signer;
		bool is_at_fault;
	} cases[] = {
		{ ADD("0 3 8 AwEAAcFcGsaxxdKk"), "0 3 8 AwEAAcFcGsaxxdKk", true },
		{ DEL_ALL ADD(KEY_ED) ADD("0 3 8 AwEAAcFcGsaxxdKk"), "0 3 8 AwEAAcFcGsaxxdKk", true },
		{ ADD(KEY_ED), KEY_ED, false },                                     /* it is good */
		{ ADD("0 3 8 AwEAAcFcGsaxxdKk"), KEY_ED, false },                   /* another one has signed */
		{ DEL("0 3 8 AwEAAcFcGsaxxdKk"), "0 3 8 AwEAAcFcGsaxxdKk", false }, /* it is not brought in */
		{ "add sister." P " 300 KEY 0 3 8 AwEAAcFcGsaxxdKk\n", "0 3 8 AwEAAcFcGsaxxdKk", false },
		{ "add " C " 300 NS ns.test.\n", "0 3 8 AwEAAcFcGsaxxdKk", false },
	};
	struct msp_name child = t_name(C);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_span signer = rdata(cases[i].signer);
		enum msp_keystate_state keystate = MSP_KEYSTATE_UNKNOWN;
		struct prt_refusal no = { .rcode = MSP_RCODE_FORMERR };
		struct msp_msg m;

		t_update(P, cases[i].lines, mem, sizeof(mem), &scratch, &m);
		if (prt_key_refuse_carried(&m, &child, msp_key_tag(signer), signer.ptr[3], &prt_key_rules_default,
					   &scratch, &keystate, &no) != cases[i].is_at_fault)
			fail_msg("%s", cases[i].lines);
		assert_int_equal(no.rcode, cases[i].is_at_fault ? MSP_RCODE_REFUSED : MSP_RCODE_FORMERR);
		assert_true(!cases[i].is_at_fault ||
			    (no.ede == MSP_EDE_INVALID_DATA && keystate == MSP_KEYSTATE_INVALID));
	}
}

static void what_an_operator_distrusts_only_an_operator_brings_back(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	trust(&k, KEY_P256);
	event(&k, KEY_ED, PRT_KEV_REJECTED);
	assert_int_equal(prt_key_keystate(prt_keyset_find(&k, rdata(KEY_ED))), MSP_KEYSTATE_REFUSED);
	T_ERR(update(&k, ADD(KEY_ED), KEY_ED, noon, &no), MSP_EREFUSED);
	T_ERR(update(&k, ADD(KEY_ED), KEY_P256, noon, &no), MSP_EREFUSED);
	T_OK(update(&k, DEL(KEY_ED), KEY_P256, noon, &no)); /* nothing to delete: the distrust stays */
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_DISTRUSTED);
	T_OK(update(&k, DEL_ALL ADD(KEY_ED2), KEY_P256, noon, &no));
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_DISTRUSTED);
	event(&k, KEY_ED, PRT_KEV_APPROVED);
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_TRUSTED);
}

static void a_key_with_the_tag_of_another_is_another_key(void **state)
{
	/* swapping two 16-bit words of the key leaves the tag as it is (RFC 4034 appendix B) */
	struct prt_keyset k = { 0 };
	const struct prt_key *found[PRT_KEYS_MAX];
	uint8_t twin[PRT_KEY_RDATA_MAX];
	struct msp_span one = rdata(KEY_ED);
	uint16_t tag = msp_key_tag(one);

	(void)state;
	trust(&k, KEY_ED);
	memcpy(twin, one.ptr, one.len);
	memcpy(twin + 4, one.ptr + 6, 2);
	memcpy(twin + 6, one.ptr + 4, 2);
	assert_int_equal(msp_key_tag(msp_span(twin, one.len)), tag);
	assert_null(prt_keyset_find(&k, msp_span(twin, one.len)));
	k.key[1] = k.key[0];
	memcpy(k.key[1].rdata, twin, one.len);
	k.count = 2;
	assert_int_equal(prt_keyset_by_tag(&k, tag, 15, found), 2);
	assert_int_equal(prt_keyset_by_tag(&k, tag, 13, found), 0);
	assert_ptr_equal(prt_keyset_find(&k, msp_span(twin, one.len)), &k.key[1]);
}

/* Another key with this one's tag: two of its words change places (RFC 4034 appendix B). */
static void twin(struct prt_keyset *k, const char *text, unsigned n, enum prt_key_state state)
{
	struct msp_span one = rdata(text);
	struct prt_key *key = &k->key[k->count++];

	memset(key, 0, sizeof(*key));
	key->rdata_len = (uint16_t)one.len;
	memcpy(key->rdata, one.ptr, one.len);
	memcpy(key->rdata + 4, one.ptr + 6 + 2 * n, 2);
	memcpy(key->rdata + 6 + 2 * n, one.ptr + 4, 2);
	key->state = state;
	key->attempts = state == PRT_KEY_FAILED ? PRT_ATTEMPTS_MAX : 0;
	key->since = later((int64_t)n);
}

static void keys_made_to_have_the_tag_of_a_trusted_one_do_not_shut_it_out(void **state)
{
	struct prt_keyset k = { 0 };
	const struct prt_key *found[PRT_KEYS_MAX];

	(void)state;
	for (unsigned i = 0; i < PRT_SAME_TAG_MAX + 2; i++)
		twin(&k, KEY_ED, i, i % 2 == 0 ? PRT_KEY_FAILED : PRT_KEY_KNOWN);
	twin(&k, KEY_ED, PRT_SAME_TAG_MAX + 2, PRT_KEY_TRUSTED); /* the last of all */
	assert_int_equal(prt_keyset_by_tag(&k, msp_key_tag(rdata(KEY_ED)), 15, found), PRT_SAME_TAG_MAX + 3);
	assert_ptr_equal(found[0], &k.key[PRT_SAME_TAG_MAX + 2]); /* who verifies tries the first ones only */
}

static void no_more_keys_with_one_tag_are_held_than_are_tried(void **state)
{
	struct prt_keyset k = { 0 };
	const struct prt_key *found[PRT_KEYS_MAX];
	struct prt_refusal no;
	uint16_t tag = msp_key_tag(rdata(KEY_ED));

	(void)state;
	/* what failed gives way to an upload */
	for (unsigned i = 0; i < PRT_SAME_TAG_MAX; i++)
		twin(&k, KEY_ED, i, PRT_KEY_FAILED);
	T_OK(update(&k, ADD(KEY_ED), KEY_ED, noon, &no));
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_KNOWN);
	assert_int_equal(prt_keyset_by_tag(&k, tag, 15, found), PRT_SAME_TAG_MAX);
	/* what waits does so for the word of a trusted key alone */
	memset(&k, 0, sizeof(k));
	trust(&k, KEY_P256);
	for (unsigned i = 0; i < PRT_SAME_TAG_MAX; i++)
		twin(&k, KEY_ED, i, i == 0 ? PRT_KEY_MANUAL : PRT_KEY_TRUSTED);
	T_ERR(update(&k, ADD(KEY_ED), KEY_ED, noon, &no), MSP_EREFUSED);
	assert_true(no.is_standard && no.ede == MSP_EDE_BLOCKED);
	T_OK(update(&k, ADD(KEY_ED), KEY_P256, noon, &no));
	assert_int_equal(state_of(&k, KEY_ED), PRT_KEY_TRUSTED);
	assert_int_equal(prt_keyset_by_tag(&k, tag, 15, found), PRT_SAME_TAG_MAX);
	assert_int_equal(prt_keyset_count(&k, PRT_KEY_MANUAL), 0);
	/* what is trusted never does */
	prt_keyset_find(&k, rdata(KEY_ED))->rdata[35] ^= 1;
	k.key[1].rdata_len = 36;
	twin(&k, KEY_ED, 8, PRT_KEY_TRUSTED);
	T_ERR(update(&k, ADD(KEY_ED), KEY_P256, noon, &no), MSP_EREFUSED);
	assert_int_equal(prt_keyset_count(&k, PRT_KEY_TRUSTED), PRT_SAME_TAG_MAX + 2);
}

static void an_upload_that_deletes_one_key_does_not_mean_all_of_them(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	trust(&k, KEY_ED);
	trust(&k, KEY_ED2);
	T_ERR(update(&k, DEL(KEY_ED) ADD(KEY_P256), KEY_P256, noon, &no), MSP_EREFUSED);
	assert_true(!no.is_standard && no.ede == MSP_EDE_KEY_NOT_TRUSTED);
	assert_int_equal(prt_keyset_count(&k, PRT_KEY_TRUSTED), 2);
	assert_int_equal(state_of(&k, KEY_P256), PRT_KEY_ABSENT);
}

static void every_state_answers_every_event(void **state)
{
	/* rows: state; columns: UPLOADED ADDED VALIDATED NEEDS_HUMAN ATTEMPT APPROVED REJECTED DELETED EXPIRED
	 * FORGOTTEN; '-' = no */
	static const char *const want[PRT_KEY__N] = {
		[PRT_KEY_KNOWN] = "KTTMKTDA-A",  [PRT_KEY_MANUAL] = "MT---TDA-A",     [PRT_KEY_TRUSTED] = "TT---TDA-A",
		[PRT_KEY_FAILED] = "KT---TDAAA", [PRT_KEY_DISTRUSTED] = "-----TD--A",
	};
	static const char letters[PRT_KEY__N + 1] = "AKMTFD";

	(void)state;
	for (unsigned s = PRT_KEY_KNOWN; s < PRT_KEY__N; s++) {
		for (unsigned e = 0; e < PRT_KEV__N; e++) {
			struct prt_keyset k = { .count = 1 };
			struct msp_span rd = rdata(KEY_ED);
			char got = '-';

			memcpy(k.key[0].rdata, rd.ptr, rd.len);
			k.key[0].rdata_len = (uint16_t)rd.len;
			k.key[0].state = (enum prt_key_state)s;
			if (prt_key_event(&k, &k.key[0], (enum prt_key_event)e, PRT_METHOD_MANUAL, noon))
				got = k.count == 0 ? 'A' : letters[k.key[0].state];
			if (got != want[s][e])
				fail_msg("%s, event %u: %c", prt_key_state_name((enum prt_key_state)s), e, got);
		}
	}
}

static void failed_keys_are_forgotten_after_a_month(void **state)
{
	struct prt_keyset k = { 0 };
	struct prt_refusal no;

	(void)state;
	T_OK(update(&k, ADD(KEY_ED), KEY_ED, noon, &no));
	for (unsigned i = 0; i < PRT_ATTEMPTS_MAX; i++)
		event(&k, KEY_ED, PRT_KEV_ATTEMPT);
	prt_keyset_sweep(&k, later(PRT_FAILED_KEEP_S - 1));
	assert_int_equal(k.count, 1);
	prt_keyset_sweep(&k, later(PRT_FAILED_KEEP_S));
	assert_int_equal(k.count, 0);
}

static void the_set_survives_being_stored(void **state)
{
	struct prt_keyset k = { 0 }, back;
	struct prt_refusal no;
	struct msp_buf b;

	(void)state;
	msp_buf_init(&b, 1 << 16);
	trust(&k, KEY_ED);
	T_OK(update(&k, DEL_ALL ADD(KEY_P256), KEY_P256, noon, &no));
	T_OK(prt_keyset_write(&k, &b));
	T_OK(prt_keyset_read(msp_buf_span(&b), &back));
	assert_int_equal(back.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(back.key[i].state, k.key[i].state);
		assert_int_equal(back.key[i].replaces, k.key[i].replaces);
		assert_true(msp_span_equal(prt_key_rdata(&back.key[i]), prt_key_rdata(&k.key[i])));
	}
	assert_memory_equal(back.bootstraps, k.bootstraps, sizeof(k.bootstraps));
	for (size_t cut = 1; cut < b.len; cut++)
		T_ERR(prt_keyset_read(msp_span(b.ptr, cut), &back), MSP_ECORRUPT);
	msp_buf_fini(&b);
}

static void refusals_tell_the_child_what_to_do(void **state)
{
	struct prt_key key = { .state = PRT_KEY_KNOWN };
	struct prt_refusal no;

	(void)state;
	prt_key_refusal(NULL, true, &no);
	assert_true(no.rcode == MSP_RCODE_BADKEY && no.ede == MSP_EDE_SIG0_KEY_UNKNOWN);
	prt_key_refusal(NULL, false, &no);
	assert_int_equal(no.rcode, MSP_RCODE_NOTAUTH);
	prt_key_refusal(&key, true, &no);
	assert_true(no.rcode == MSP_RCODE_REFUSED && no.ede == MSP_EDE_KEY_NOT_TRUSTED);
	key.state = PRT_KEY_FAILED;
	prt_key_refusal(&key, true, &no);
	assert_int_equal(no.ede, MSP_EDE_KEY_VALIDATION_FAILED);
	key.state = PRT_KEY_MANUAL;
	prt_key_refusal(&key, true, &no);
	assert_int_equal(no.ede, MSP_EDE_MANUAL_BOOTSTRAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_upload_shows_possession_and_no_more),
		cmocka_unit_test(a_trusted_key_is_not_lost_to_an_upload),
		cmocka_unit_test(an_upload_without_a_deletion_leaves_the_other_providers_key),
		cmocka_unit_test(an_upload_can_do_nothing_for_or_against_other_keys),
		cmocka_unit_test(uploads_have_a_budget),
		cmocka_unit_test(keys_that_failed_give_way_to_new_ones),
		cmocka_unit_test(a_key_that_is_not_published_gives_its_place_to_the_next),
		cmocka_unit_test(another_upload_of_a_key_that_waits_may_say_otherwise_within_the_budget),
		cmocka_unit_test(a_key_that_was_distrusted_replaces_nothing_when_it_is_approved_later),
		cmocka_unit_test(a_trusted_key_rolls_over),
		cmocka_unit_test(the_last_trusted_key_stays),
		cmocka_unit_test(keys_that_cannot_be_used_are_not_taken),
		cmocka_unit_test(a_key_that_is_at_fault_for_its_signature_is_named),
		cmocka_unit_test(what_an_operator_distrusts_only_an_operator_brings_back),
		cmocka_unit_test(a_key_with_the_tag_of_another_is_another_key),
		cmocka_unit_test(every_state_answers_every_event),
		cmocka_unit_test(failed_keys_are_forgotten_after_a_month),
		cmocka_unit_test(the_set_survives_being_stored),
		cmocka_unit_test(refusals_tell_the_child_what_to_do),
		cmocka_unit_test(keys_made_to_have_the_tag_of_a_trusted_one_do_not_shut_it_out),
		cmocka_unit_test(no_more_keys_with_one_tag_are_held_than_are_tried),
		cmocka_unit_test(an_upload_that_deletes_one_key_does_not_mean_all_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
