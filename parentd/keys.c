/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys.h"

#include <string.h>

#define VERSION      1
#define HOUR_S       3600
#define RSA_BITS_MIN 2048 /* PROTOCOL C.4 */
#define RSA_BITS_MAX 4096
#define BIT(n)       (UINT32_C(1) << (n))

const struct prt_key_rules prt_key_rules_default = {
	.algorithms = BIT(8) | BIT(13) | BIT(14) | BIT(15) | BIT(16),
	.rollover_by_update = true,
};

static const struct {
	const char *name, *text;
} states[PRT_KEY__N] = {
#define STATE_ROW(id, words) [PRT_KEY_##id] = { #id, words },
	PRT_KEY_STATE_MAP(STATE_ROW)
#undef STATE_ROW
};

const char *prt_key_state_name(enum prt_key_state s)
{
	return s < PRT_KEY__N ? states[s].name : "?";
}

const char *prt_key_state_text(enum prt_key_state s)
{
	return s < PRT_KEY__N ? states[s].text : "?";
}

const char *prt_method_name(enum prt_method m)
{
	static const char *const names[PRT_METHOD__N] = {
		"none", "at-apex", "at-ns", "unsigned", "manual", "rollover"
	};

	return m < PRT_METHOD__N ? names[m] : "?";
}

/* --- the set --------------------------------------------------------------------------------------------------------
 */

enum msp_err prt_keyset_write(const struct prt_keyset *k, struct msp_buf *out)
{
	uint8_t mem[32];
	struct msp_wr wr;

	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_u8(&wr, VERSION);
	msp_wr_u8(&wr, (uint8_t)k->count);
	for (size_t i = 0; i < PRT_BOOTSTRAPS_PER_H; i++)
		msp_wr_u64(&wr, (uint64_t)k->bootstraps[i].s);
	msp_buf_add_span(out, msp_wr_span(&wr));
	for (size_t i = 0; i < k->count; i++) {
		const struct prt_key *key = &k->key[i];

		msp_wr_init(&wr, mem, sizeof(mem));
		msp_wr_u8(&wr, (uint8_t)key->state);
		msp_wr_u8(&wr, (uint8_t)key->method);
		msp_wr_u8(&wr, key->replaces);
		msp_wr_u8(&wr, key->attempts);
		msp_wr_u64(&wr, (uint64_t)key->since.s);
		msp_wr_u64(&wr, (uint64_t)key->used.s);
		msp_wr_u16(&wr, key->rdata_len);
		msp_buf_add_span(out, msp_wr_span(&wr));
		msp_buf_add_span(out, prt_key_rdata(key));
	}
	return out->err;
}

static bool read_key(struct msp_rd *rd, struct prt_key *key)
{
	struct msp_span rdata;
	uint8_t state = msp_rd_u8(rd), method = msp_rd_u8(rd), replaces = msp_rd_u8(rd);

	key->attempts = msp_rd_u8(rd);
	key->since.s = (int64_t)msp_rd_u64(rd);
	key->used.s = (int64_t)msp_rd_u64(rd);
	rdata = msp_rd_take(rd, msp_rd_u16(rd));
	if (rd->err != MSP_OK || state == PRT_KEY_ABSENT || state >= PRT_KEY__N || method >= PRT_METHOD__N ||
	    replaces > 1 || rdata.len > PRT_KEY_RDATA_MAX)
		return false;
	key->state = (enum prt_key_state)state;
	key->method = (enum prt_method)method;
	key->replaces = replaces != 0;
	key->rdata_len = (uint16_t)rdata.len;
	if (rdata.len > 0)
		memcpy(key->rdata, rdata.ptr, rdata.len);
	return true;
}

enum msp_err prt_keyset_read(struct msp_span octets, struct prt_keyset *out)
{
	struct msp_rd rd;
	size_t count;

	memset(out, 0, sizeof(*out));
	if (octets.len == 0)
		return MSP_OK;
	msp_rd_init(&rd, octets);
	if (msp_rd_u8(&rd) != VERSION)
		return MSP_ECORRUPT;
	count = msp_rd_u8(&rd);
	for (size_t i = 0; i < PRT_BOOTSTRAPS_PER_H; i++)
		out->bootstraps[i].s = (int64_t)msp_rd_u64(&rd);
	if (count > PRT_KEYS_MAX)
		return MSP_ECORRUPT;
	for (; out->count < count; out->count++)
		if (!read_key(&rd, &out->key[out->count]))
			return MSP_ECORRUPT;
	return msp_rd_done(&rd) == MSP_OK ? MSP_OK : MSP_ECORRUPT;
}

struct prt_key *prt_keyset_find(struct prt_keyset *k, struct msp_span rdata)
{
	for (size_t i = 0; i < k->count; i++)
		if (msp_span_equal(prt_key_rdata(&k->key[i]), rdata))
			return &k->key[i];
	return NULL;
}

static bool has_tag(const struct prt_key *key, uint16_t tag, uint8_t algorithm)
{
	return key->rdata_len > 3 && key->rdata[3] == algorithm && msp_key_tag(prt_key_rdata(key)) == tag;
}

size_t prt_keyset_by_tag(const struct prt_keyset *k, uint16_t tag, uint8_t algorithm,
			 const struct prt_key *out[PRT_KEYS_MAX])
{
	static const enum prt_key_state order[] = { PRT_KEY_TRUSTED, PRT_KEY_KNOWN, PRT_KEY_MANUAL, PRT_KEY_FAILED,
						    PRT_KEY_DISTRUSTED };
	size_t n = 0;

	for (size_t o = 0; o < sizeof(order) / sizeof(order[0]); o++)
		for (size_t i = 0; i < k->count; i++)
			if (k->key[i].state == order[o] && has_tag(&k->key[i], tag, algorithm))
				out[n++] = &k->key[i];
	return n;
}

size_t prt_keyset_count(const struct prt_keyset *k, enum prt_key_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < k->count; i++)
		n += k->key[i].state == state;
	return n;
}

enum msp_err prt_keyset_trusted(const struct prt_keyset *k, const struct msp_name *child, struct msp_rrset **out)
{
	enum msp_err err = MSP_OK;

	*out = NULL;
	for (size_t i = 0; err == MSP_OK && i < k->count; i++) {
		if (k->key[i].state != PRT_KEY_TRUSTED)
			continue;
		if (*out == NULL)
			err = msp_rrset_new(child, MSP_TYPE_KEY, 0, out);
		if (err == MSP_OK)
			err = msp_rrset_add(*out, prt_key_rdata(&k->key[i]));
	}
	if (err != MSP_OK)
		msp_rrset_free(out);
	return err;
}

static void remove_key(struct prt_keyset *k, struct prt_key *key)
{
	struct prt_key *last = &k->key[--k->count];

	if (key != last)
		*key = *last;
}

void prt_keyset_sweep(struct prt_keyset *k, struct msp_wall now)
{
	for (size_t i = 0; i < k->count;) {
		struct prt_key *key = &k->key[i];

		if (key->state == PRT_KEY_FAILED && now.s - key->since.s >= PRT_FAILED_KEEP_S)
			(void)prt_key_event(k, key, PRT_KEV_EXPIRED, PRT_METHOD_NONE, now);
		else
			i++;
	}
}

/* --- one key --------------------------------------------------------------------------------------------------------
 */

/* RFC 3110: exponent with its length in front, then the modulus. 0: it is not of that form. */
static size_t rsa_bits(struct msp_span key)
{
	struct msp_span modulus;
	struct msp_rd rd;
	size_t len, bits;

	msp_rd_init(&rd, key);
	len = msp_rd_u8(&rd);
	if (len == 0)
		len = msp_rd_u16(&rd);
	(void)msp_rd_take(&rd, len);
	modulus = msp_rd_rest(&rd);
	if (rd.err != MSP_OK || len == 0 || modulus.len == 0 || modulus.ptr[0] == 0)
		return 0;
	bits = 8 * modulus.len;
	for (unsigned first = modulus.ptr[0]; (first & 0x80) == 0; first <<= 1)
		bits--;
	return bits;
}

static enum msp_err check_size(const struct msp_dnskey *k, struct msp_why *why)
{
	static const size_t octets[] = { [13] = 64, [14] = 96, [15] = 32, [16] = 57 }; /* RFC 6605, 8080 */
	size_t bits, want = k->algorithm < sizeof(octets) / sizeof(octets[0]) ? octets[k->algorithm] : 0;

	if (want != 0 && k->key.len != want)
		return msp_fail(why, MSP_EVALUE, "a key of algorithm %u has %zu octets, not %zu", k->algorithm, want,
				k->key.len);
	if (k->algorithm != MSP_ALG_RSASHA256)
		return MSP_OK;
	bits = rsa_bits(k->key);
	if (bits == 0)
		return msp_fail(why, MSP_EVALUE, "no RSA key can be read from it");
	return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX
		       ? MSP_OK
		       : msp_fail(why, MSP_EVALUE, "an RSA key of %zu bits: %d to %d are taken", bits, RSA_BITS_MIN,
				  RSA_BITS_MAX);
}

enum msp_err prt_key_glance(struct msp_span rdata, const struct prt_key_rules *rules, enum msp_keystate_state *state,
			    struct msp_why *why)
{
	struct msp_dnskey k;

	*state = MSP_KEYSTATE_INVALID;
	if (rdata.len > PRT_KEY_RDATA_MAX || msp_dnskey_parse(rdata, &k) != MSP_OK)
		return msp_fail(why, MSP_EVALUE, "KEY RDATA of %zu octets cannot be read", rdata.len);
	if ((k.flags & MSP_DNSKEY_ZONE) != 0)
		return msp_fail(why, MSP_EVALUE, "a zone key signs no messages (RFC 3445)");
	if (k.protocol != 3)
		return msp_fail(why, MSP_EVALUE, "protocol %u, not 3", k.protocol);
	if (!msp_alg_known(k.algorithm) || (rules->algorithms & BIT(k.algorithm)) == 0) {
		*state = MSP_KEYSTATE_REFUSED;
		return msp_fail(why, MSP_EVALUE, "algorithm %u is not taken", k.algorithm);
	}
	return check_size(&k, why);
}

enum msp_err prt_key_check(const struct msp_name *child, struct msp_span rdata, const struct prt_key_rules *rules,
			   enum msp_keystate_state *state, struct msp_why *why)
{
	struct msp_key *key = NULL;
	enum msp_err err = prt_key_glance(rdata, rules, state, why);

	if (err != MSP_OK)
		return err;
	err = msp_key_from_rdata(child, rdata, &key);
	msp_key_free(&key);
	return err == MSP_OK || err == MSP_ENOMEM ? err
						  : msp_fail(why, MSP_EVALUE, "no public key of algorithm %u: %s",
							     rdata.ptr[3], msp_err_text(err));
}

enum msp_keystate_state prt_key_keystate(const struct prt_key *key)
{
	if (key == NULL)
		return MSP_KEYSTATE_UNKNOWN;
	switch (key->state) {
	case PRT_KEY_KNOWN:
		return MSP_KEYSTATE_BOOTSTRAP_AUTO;
	case PRT_KEY_MANUAL:
		return MSP_KEYSTATE_BOOTSTRAP_MANUAL;
	case PRT_KEY_TRUSTED:
		return MSP_KEYSTATE_TRUSTED;
	case PRT_KEY_FAILED:
		return MSP_KEYSTATE_VALIDATION_FAILED;
	case PRT_KEY_DISTRUSTED:
		return MSP_KEYSTATE_REFUSED;
	case PRT_KEY_ABSENT:
	case PRT_KEY__N:
		break;
	}
	return MSP_KEYSTATE_UNKNOWN;
}

void prt_key_refusal(const struct prt_key *key, bool has_edns, struct prt_refusal *no)
{
	static const char rule[] = "G.5 step 5: a trusted key of the child";
	enum msp_ede_own ede = MSP_EDE_KEY_NOT_TRUSTED;

	if (key == NULL) {
		(void)prt_refuse_own(no, MSP_EDE_SIG0_KEY_UNKNOWN, rule, "%s", msp_ede_text(MSP_EDE_SIG0_KEY_UNKNOWN));
		no->rcode = has_edns ? MSP_RCODE_BADKEY : MSP_RCODE_NOTAUTH;
		return;
	}
	if (key->state == PRT_KEY_FAILED)
		ede = MSP_EDE_KEY_VALIDATION_FAILED;
	else if (key->state == PRT_KEY_MANUAL)
		ede = MSP_EDE_MANUAL_BOOTSTRAP;
	(void)prt_refuse_own(no, ede, rule, "key %u: %s", msp_key_tag(prt_key_rdata(key)),
			     prt_key_state_text(key->state));
}

/* --- the table ------------------------------------------------------------------------------------------------------
 */

/* No row: the event makes no sense in that state. ABSENT as the next state: the key goes. */
static const struct {
	bool is_legal;
	enum prt_key_state next;
} table[PRT_KEY__N][PRT_KEV__N] = {
	[PRT_KEY_ABSENT] = {
		[PRT_KEV_UPLOADED] = { true, PRT_KEY_KNOWN },
		[PRT_KEV_ADDED] = { true, PRT_KEY_TRUSTED },
	},
	[PRT_KEY_KNOWN] = {
		[PRT_KEV_UPLOADED] = { true, PRT_KEY_KNOWN }, /* sent again */
		[PRT_KEV_ADDED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_VALIDATED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_NEEDS_HUMAN] = { true, PRT_KEY_MANUAL },
		[PRT_KEV_ATTEMPT] = { true, PRT_KEY_KNOWN }, /* FAILED at the last one */
		[PRT_KEV_APPROVED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_REJECTED] = { true, PRT_KEY_DISTRUSTED },
		[PRT_KEV_DELETED] = { true, PRT_KEY_ABSENT },
		[PRT_KEV_FORGOTTEN] = { true, PRT_KEY_ABSENT },
	},
	[PRT_KEY_MANUAL] = {
		[PRT_KEV_UPLOADED] = { true, PRT_KEY_MANUAL },
		[PRT_KEV_ADDED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_APPROVED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_REJECTED] = { true, PRT_KEY_DISTRUSTED },
		[PRT_KEV_DELETED] = { true, PRT_KEY_ABSENT },
		[PRT_KEV_FORGOTTEN] = { true, PRT_KEY_ABSENT },
	},
	[PRT_KEY_TRUSTED] = {
		[PRT_KEV_UPLOADED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_ADDED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_APPROVED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_REJECTED] = { true, PRT_KEY_DISTRUSTED },
		[PRT_KEV_DELETED] = { true, PRT_KEY_ABSENT },
		[PRT_KEV_FORGOTTEN] = { true, PRT_KEY_ABSENT },
	},
	[PRT_KEY_FAILED] = {
		[PRT_KEV_UPLOADED] = { true, PRT_KEY_KNOWN }, /* tried anew */
		[PRT_KEV_ADDED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_APPROVED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_REJECTED] = { true, PRT_KEY_DISTRUSTED },
		[PRT_KEV_DELETED] = { true, PRT_KEY_ABSENT },
		[PRT_KEV_EXPIRED] = { true, PRT_KEY_ABSENT },
		[PRT_KEV_FORGOTTEN] = { true, PRT_KEY_ABSENT },
	},
	[PRT_KEY_DISTRUSTED] = { /* nobody but an operator brings it back */
		[PRT_KEV_APPROVED] = { true, PRT_KEY_TRUSTED },
		[PRT_KEV_REJECTED] = { true, PRT_KEY_DISTRUSTED },
		[PRT_KEV_FORGOTTEN] = { true, PRT_KEY_ABSENT },
	},
};

/* What was trusted before a key that replaces it. Distrust is kept: it is an operator's word. */
static void supersede(struct prt_keyset *k, struct msp_span survivor)
{
	for (size_t i = 0; i < k->count;) {
		if (k->key[i].state == PRT_KEY_TRUSTED && !msp_span_equal(prt_key_rdata(&k->key[i]), survivor))
			remove_key(k, &k->key[i]);
		else
			i++;
	}
}

bool prt_key_event(struct prt_keyset *k, struct prt_key *key, enum prt_key_event ev, enum prt_method method,
		   struct msp_wall now)
{
	enum prt_key_state next = table[key->state][ev].next;
	struct prt_key copy;

	if (!table[key->state][ev].is_legal)
		return false;
	if (ev == PRT_KEV_ATTEMPT && ++key->attempts >= PRT_ATTEMPTS_MAX)
		next = PRT_KEY_FAILED;
	if (next == PRT_KEY_ABSENT) {
		remove_key(k, key);
		return true;
	}
	if (next == PRT_KEY_DISTRUSTED)
		key->replaces = false; /* what it asked for is not asked for any more */
	if (next != key->state) {
		key->since = now;
		key->state = next;
		key->method = method;
		if (next == PRT_KEY_KNOWN)
			key->attempts = 0;
	}
	if (next != PRT_KEY_TRUSTED || !key->replaces)
		return true;
	key->replaces = false;
	copy = *key;
	supersede(k, prt_key_rdata(&copy));
	return true;
}

/* --- KEY updates ----------------------------------------------------------------------------------------------------
 */

/* An upload: possession of one key is shown, and nothing more. */
struct upload {
	struct msp_span key;
	bool has_add, deletes;
};

static bool read_upload(const struct msp_msg *m, struct msp_span signer, struct msp_rr_scratch *scratch,
			struct upload *u, struct prt_refusal *no)
{
	static const char rule[] = "G.6: an upload adds the key that signed it";
	struct msp_msg_it it;
	enum msp_upd kind;
	struct msp_rr rr;

	*u = (struct upload){ .key = signer };
	msp_msg_it_init(&it, m, MSP_SEC_UPDATE, scratch);
	while (msp_msg_next(&it, &rr)) {
		if (msp_upd_classify(&rr, &kind, NULL) != MSP_OK)
			return prt_refuse(no, MSP_RCODE_FORMERR, rule, "malformed update record");
		if (kind == MSP_UPD_DEL_RR) /* it may not mean the keys of all others by naming one */
			return prt_refuse_own(no, MSP_EDE_KEY_NOT_TRUSTED, rule,
					      "a key that is not trusted deletes a single one");
		if (kind != MSP_UPD_ADD)
			u->deletes = true;
		else if (!msp_span_equal(rr.rdata, signer))
			return prt_refuse_own(no, MSP_EDE_KEY_NOT_TRUSTED, rule,
					      "a key that is not trusted adds another one");
		else
			u->has_add = true;
	}
	if (!u->has_add)
		return prt_refuse_own(no, MSP_EDE_KEY_NOT_TRUSTED, rule, "a key that is not trusted only deletes");
	return true;
}

bool prt_key_refuse_carried(const struct msp_msg *m, const struct msp_name *child, uint16_t tag, uint8_t algorithm,
			    const struct prt_key_rules *rules, struct msp_rr_scratch *scratch,
			    enum msp_keystate_state *state, struct prt_refusal *no)
{
	struct msp_why why = { "" };
	struct msp_msg_it it;
	enum msp_upd kind;
	struct msp_rr rr;

	msp_msg_it_init(&it, m, MSP_SEC_UPDATE, scratch);
	while (msp_msg_next(&it, &rr)) {
		if (rr.type != MSP_TYPE_KEY || !msp_name_equal(&rr.owner, child) ||
		    msp_upd_classify(&rr, &kind, NULL) != MSP_OK || kind != MSP_UPD_ADD || rr.rdata.len < 4 ||
		    rr.rdata.ptr[3] != algorithm || msp_key_tag(rr.rdata) != tag)
			continue;
		if (prt_key_glance(rr.rdata, rules, state, &why) == MSP_OK)
			continue;
		(void)prt_refuse_std(no, MSP_EDE_INVALID_DATA, "G.6: algorithm and strength", "%s", why.text);
		return true;
	}
	return false;
}

/* The oldest of the last few gives way; false when even that is not an hour ago. */
static bool take_bootstrap(struct prt_keyset *k, struct msp_wall now)
{
	size_t oldest = 0;

	for (size_t i = 1; i < PRT_BOOTSTRAPS_PER_H; i++)
		if (k->bootstraps[i].s < k->bootstraps[oldest].s)
			oldest = i;
	/* A clock that was set back must not lock the child out, nor let it in. */
	if (k->bootstraps[oldest].s != 0 && now.s - k->bootstraps[oldest].s < HOUR_S)
		return false;
	k->bootstraps[oldest] = now;
	return true;
}

static struct prt_key *append(struct prt_keyset *k, struct msp_span rdata)
{
	struct prt_key *key = &k->key[k->count++];

	memset(key, 0, sizeof(*key));
	key->rdata_len = (uint16_t)rdata.len;
	memcpy(key->rdata, rdata.ptr, rdata.len);
	return key; /* state ABSENT until the event */
}

/* The oldest key in this state, of which a look has shown that it is not published; NULL = none. */
static struct prt_key *oldest_missed(struct prt_keyset *k, enum prt_key_state state)
{
	struct prt_key *oldest = NULL;

	for (size_t i = 0; i < k->count; i++)
		if (k->key[i].state == state && k->key[i].attempts > 0 &&
		    (oldest == NULL || k->key[i].since.s < oldest->since.s))
			oldest = &k->key[i];
	return oldest;
}

/* A FAILED key is kept for information alone. */
static bool has_room(struct prt_keyset *k)
{
	struct prt_key *failed = oldest_missed(k, PRT_KEY_FAILED);

	if (k->count == PRT_KEYS_MAX && failed != NULL)
		remove_key(k, failed);
	return k->count < PRT_KEYS_MAX;
}

/* How much a key that has the tag of a new one is worth: 0, it stays. On the word of a trusted key what only waits
 * goes, too. */
static unsigned cheapness(const struct prt_key *key, bool is_vouched_for)
{
	if (key->state == PRT_KEY_FAILED)
		return 3;
	if (key->state == PRT_KEY_KNOWN && key->attempts > 0)
		return 2;
	return is_vouched_for && (key->state == PRT_KEY_KNOWN || key->state == PRT_KEY_MANUAL);
}

/* PROTOCOL C.3 step 7: what is held with one tag can be tried for one signature. Keys that nobody vouches for, and that
 * were made to have this tag, give way. */
static bool has_room_for_tag(struct prt_keyset *k, struct msp_span rdata, bool is_vouched_for)
{
	const struct prt_key *same[PRT_KEYS_MAX];
	size_t count = prt_keyset_by_tag(k, msp_key_tag(rdata), rdata.ptr[3], same), cheapest = 0;

	if (count < PRT_SAME_TAG_MAX)
		return true;
	for (size_t i = 1; i < count; i++)
		if (cheapness(same[i], is_vouched_for) > cheapness(same[cheapest], is_vouched_for))
			cheapest = i;
	if (cheapness(same[cheapest], is_vouched_for) == 0)
		return false;
	remove_key(k, &k->key[same[cheapest] - k->key]);
	return true;
}

static bool has_place(struct prt_keyset *k)
{
	struct prt_key *missed = oldest_missed(k, PRT_KEY_KNOWN);
	size_t waiting = prt_keyset_count(k, PRT_KEY_KNOWN) + prt_keyset_count(k, PRT_KEY_MANUAL);

	if (waiting >= PRT_PENDING_MAX && missed != NULL) {
		remove_key(k, missed);
		waiting--;
	}
	return waiting < PRT_PENDING_MAX;
}

static bool accept_upload(struct prt_keyset *k, const struct upload *u, struct msp_wall now, struct prt_refusal *no)
{
	static const char rule[] = "G.6: limits of uploads";
	struct prt_key *key = prt_keyset_find(k, u->key);
	bool begins = key == NULL || key->state == PRT_KEY_FAILED;
	bool differs = begins || key->replaces != u->deletes;

	if (key != NULL && key->state == PRT_KEY_DISTRUSTED)
		return prt_refuse_own(no, MSP_EDE_KEY_NOT_TRUSTED, "G.6: distrusted by an operator",
				      "key %u is distrusted", msp_key_tag(u->key));
	if (begins && !has_place(k))
		return prt_refuse_std(no, MSP_EDE_BLOCKED, rule, "%d keys of this child wait already", PRT_PENDING_MAX);
	if (key == NULL && !has_room(k))
		return prt_refuse_std(no, MSP_EDE_BLOCKED, rule, "%d keys of this child are held", PRT_KEYS_MAX);
	if (key == NULL && !has_room_for_tag(k, u->key, false))
		return prt_refuse_std(no, MSP_EDE_BLOCKED, rule, "%d keys with this tag are held", PRT_SAME_TAG_MAX);
	if (differs && !take_bootstrap(k, now))
		return prt_refuse_std(no, MSP_EDE_BLOCKED, rule, "%d uploads within an hour", PRT_BOOTSTRAPS_PER_H);
	key = prt_keyset_find(k, u->key); /* others may have gone */
	if (key == NULL)
		key = append(k, u->key);
	key->replaces = u->deletes;
	return prt_key_event(k, key, PRT_KEV_UPLOADED, PRT_METHOD_NONE, now);
}

static enum msp_err to_error(bool is_done)
{
	return is_done ? MSP_OK : MSP_EREFUSED;
}

static enum msp_err add_key(struct prt_keyset *k, struct msp_span rdata, const struct msp_name *child,
			    const struct prt_key_rules *rules, struct msp_wall now, struct prt_refusal *no)
{
	static const char rule[] = "G.6: rollover by a trusted key";
	struct prt_key *key = prt_keyset_find(k, rdata);
	enum msp_keystate_state state;
	struct msp_why why = { "" };
	enum msp_err err = prt_key_check(child, rdata, rules, &state, &why);

	if (err == MSP_EVALUE)
		return to_error(prt_refuse_std(no, MSP_EDE_INVALID_DATA, rule, "%s", why.text));
	if (err != MSP_OK)
		return err;
	if (key == NULL && !has_room(k))
		return to_error(
			prt_refuse_std(no, MSP_EDE_BLOCKED, rule, "%d keys of this child are held", PRT_KEYS_MAX));
	if (key == NULL && !has_room_for_tag(k, rdata, true))
		return to_error(
			prt_refuse_std(no, MSP_EDE_BLOCKED, rule, "%d keys with this tag are held", PRT_SAME_TAG_MAX));
	if (key == NULL)
		key = append(k, rdata);
	key->replaces = false;
	if (!prt_key_event(k, key, PRT_KEV_ADDED, PRT_METHOD_ROLLOVER, now))
		return to_error(prt_refuse_own(no, MSP_EDE_KEY_NOT_TRUSTED, "G.6: distrusted by an operator",
					       "key %u is distrusted", msp_key_tag(rdata)));
	return MSP_OK;
}

static void delete_key(struct prt_keyset *k, struct msp_span rdata, struct msp_wall now)
{
	struct prt_key *key = prt_keyset_find(k, rdata);

	if (key != NULL && key->state != PRT_KEY_DISTRUSTED)
		(void)prt_key_event(k, key, PRT_KEV_DELETED, PRT_METHOD_NONE, now);
}

/* Records in order on the set of keys that are to be trusted; the rest of the set follows. */
static enum msp_err roll(struct prt_keyset *k, const struct msp_msg *m, const struct msp_name *child,
			 const struct prt_key_rules *rules, struct msp_wall now, struct msp_rr_scratch *scratch,
			 struct prt_refusal *no)
{
	enum msp_err err = MSP_OK;
	struct msp_msg_it it;
	enum msp_upd kind;
	struct msp_rr rr;

	msp_msg_it_init(&it, m, MSP_SEC_UPDATE, scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr)) {
		if (msp_upd_classify(&rr, &kind, NULL) != MSP_OK)
			err = to_error(prt_refuse(no, MSP_RCODE_FORMERR, "G.6", "malformed update record"));
		else if (kind == MSP_UPD_DEL_RRSET)
			supersede(k, msp_span(NULL, 0));
		else if (kind == MSP_UPD_DEL_RR)
			delete_key(k, rr.rdata, now);
		else
			err = add_key(k, rr.rdata, child, rules, now, no);
	}
	if (err == MSP_OK && prt_keyset_count(k, PRT_KEY_TRUSTED) == 0)
		err = to_error(prt_refuse_std(no, MSP_EDE_PROHIBITED, "G.6: the last trusted key stays",
					      "no trusted key would be left"));
	return err;
}

static enum msp_err upload(struct prt_keyset *k, const struct msp_msg *m, const struct msp_name *child,
			   struct msp_span signer, const struct prt_key_rules *rules, struct msp_wall now,
			   struct msp_rr_scratch *scratch, struct prt_refusal *no)
{
	enum msp_keystate_state state;
	struct msp_why why = { "" };
	struct upload u;
	enum msp_err err = prt_key_check(child, signer, rules, &state, &why);

	if (err == MSP_EVALUE)
		return to_error(
			prt_refuse_std(no, MSP_EDE_INVALID_DATA, "G.6: algorithm and strength", "%s", why.text));
	if (err != MSP_OK)
		return err;
	return to_error(read_upload(m, signer, scratch, &u, no) && accept_upload(k, &u, now, no));
}

/* Where keys are changed by uploads alone: a trusted key that uploads itself again asks for nothing. */
static enum msp_err upload_again(const struct prt_keyset *k, const struct msp_msg *m, struct msp_span signer,
				 struct msp_rr_scratch *scratch, struct prt_refusal *no)
{
	struct upload u;

	if (read_upload(m, signer, scratch, &u, no) && (!u.deletes || prt_keyset_count(k, PRT_KEY_TRUSTED) == 1))
		return MSP_OK;
	return to_error(
		prt_refuse_std(no, MSP_EDE_PROHIBITED, "G.6: key-rollover", "keys are changed by uploads alone here"));
}

enum msp_err prt_keys_update(struct prt_keyset *k, const struct msp_msg *m, const struct msp_name *child,
			     struct msp_span signer, const struct prt_key_rules *rules, struct msp_wall now,
			     struct msp_rr_scratch *scratch, struct prt_refusal *no)
{
	const struct prt_key *by = prt_keyset_find(k, signer);
	struct prt_keyset next = *k;
	enum msp_err err;

	if (by == NULL || by->state != PRT_KEY_TRUSTED)
		err = upload(&next, m, child, signer, rules, now, scratch, no);
	else if (rules->rollover_by_update)
		err = roll(&next, m, child, rules, now, scratch, no);
	else
		err = upload_again(k, m, signer, scratch, no);
	if (err == MSP_OK)
		*k = next;
	return err;
}
