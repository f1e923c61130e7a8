/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/auth/tsig.h>

#include <msproto/base/mem.h>
#include <msproto/base/rcode.h>

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#define ARCOUNT_AT     10
#define SECRET_MAX     512 /* octets; longer than a block of any of the hashes makes no key stronger */
#define MAC_MIN        10  /* octets a MAC may be cut to, or half of it (RFC 8945 5.2.2.1) */
#define UNSIGNED_MAX   99  /* messages in a row (RFC 8945 5.3.1) */
#define OTHER_TIME_LEN 6   /* server time in a BADTIME answer */
#define TIME_MASK      ((UINT64_C(1) << 48) - 1)

static const struct {
	const char *name;   /* without the final dot */
	const char *digest; /* as OpenSSL calls it */
	size_t mac_len;
} algs[MSP_TSIG__N] = {
	[MSP_TSIG_SHA256] = { "hmac-sha256", "SHA256", 32 },
	[MSP_TSIG_SHA384] = { "hmac-sha384", "SHA384", 48 },
	[MSP_TSIG_SHA512] = { "hmac-sha512", "SHA512", 64 },
};

struct msp_tsig_key {
	struct msp_name name;
	enum msp_tsig_alg alg;
	struct msp_name alg_name;
	EVP_MAC_CTX *keyed; /* owned; holds the secret, duplicated for each MAC, wiped by OpenSSL when freed */
};

struct msp_tsig_run {
	EVP_MAC_CTX *mac; /* owned */
};

/* A TSIG record; spans borrow the message. */
struct tsig {
	struct msp_name key, alg;
	uint64_t time_s;
	uint16_t fudge_s, original_id, error;
	struct msp_span mac, other;
};

/* --- keys ------------------------------------------------------------------------------------------------------- */

const char *msp_tsig_alg_name(enum msp_tsig_alg alg)
{
	return algs[alg].name;
}

static enum msp_err alg_from_name(const struct msp_name *name, enum msp_tsig_alg *out)
{
	struct msp_name known;

	for (int i = 0; i < MSP_TSIG__N; i++)
		if (msp_name_from_text(algs[i].name, &known) == MSP_OK && msp_name_equal(&known, name)) {
			*out = (enum msp_tsig_alg)i;
			return MSP_OK;
		}
	return MSP_EALG;
}

enum msp_err msp_tsig_alg_from_text(const char *text, enum msp_tsig_alg *out)
{
	struct msp_name name;

	if (msp_name_from_text(text, &name) != MSP_OK)
		return MSP_EALG;
	return alg_from_name(&name, out);
}

static EVP_MAC_CTX *keyed_mac(enum msp_tsig_alg alg, struct msp_span secret)
{
	char digest[16];
	OSSL_PARAM params[2];
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);

	EVP_MAC_free(mac); /* the context holds its own reference */
	memcpy(digest, algs[alg].digest, strlen(algs[alg].digest) + 1);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	if (ctx != NULL && EVP_MAC_init(ctx, secret.ptr, secret.len, params) == 1)
		return ctx;
	EVP_MAC_CTX_free(ctx);
	ERR_clear_error();
	return NULL;
}

enum msp_err msp_tsig_key_new(const struct msp_name *name, enum msp_tsig_alg alg, struct msp_span secret,
			      struct msp_tsig_key **out)
{
	struct msp_tsig_key *key;

	*out = NULL;
	if ((unsigned)alg >= MSP_TSIG__N)
		return MSP_EALG;
	if (secret.len == 0 || secret.len > SECRET_MAX)
		return MSP_EVALUE;
	key = msp_alloc(1, sizeof(*key));
	if (key == NULL)
		return MSP_ENOMEM;
	key->name = *name;
	key->alg = alg;
	key->keyed = keyed_mac(alg, secret);
	if (key->keyed == NULL || msp_name_from_text(algs[alg].name, &key->alg_name) != MSP_OK) {
		msp_tsig_key_free(&key);
		return MSP_ECRYPTO;
	}
	*out = key;
	return MSP_OK;
}

enum msp_err msp_tsig_key_dup(const struct msp_tsig_key *key, struct msp_tsig_key **out)
{
	*out = msp_memdup(key, sizeof(*key));
	if (*out == NULL)
		return MSP_ENOMEM;
	(*out)->keyed = EVP_MAC_CTX_dup(key->keyed);
	if ((*out)->keyed != NULL)
		return MSP_OK;
	msp_tsig_key_free(out);
	return MSP_ECRYPTO;
}

void msp_tsig_key_free(struct msp_tsig_key **key)
{
	if (*key == NULL)
		return;
	EVP_MAC_CTX_free((*key)->keyed);
	msp_free(*key);
	*key = NULL;
}

const struct msp_name *msp_tsig_key_name(const struct msp_tsig_key *key)
{
	return &key->name;
}

/* --- running MAC: errors stick as NULL -------------------------------------------------------------------------- */

static void mac_add(EVP_MAC_CTX **mac, struct msp_span s)
{
	if (*mac == NULL || s.len == 0 || EVP_MAC_update(*mac, s.ptr, s.len) == 1)
		return;
	EVP_MAC_CTX_free(*mac);
	*mac = NULL;
}

static void mac_add_wr(EVP_MAC_CTX **mac, const struct msp_wr *wr)
{
	assert(wr->err == MSP_OK); /* the callers' buffers are sized for what they write */
	mac_add(mac, msp_span(wr->base, wr->pos));
}

static void put_u16(uint8_t *at, uint16_t v)
{
	struct msp_wr wr;

	msp_wr_init(&wr, at, 2);
	msp_wr_u16(&wr, v);
}

/* The MAC of the message before: length and octets as they were sent (RFC 8945 4.3.1). */
static void mac_add_prior(EVP_MAC_CTX **mac, struct msp_span prior)
{
	uint8_t len[2];

	put_u16(len, (uint16_t)prior.len);
	mac_add(mac, msp_span(len, sizeof(len)));
	mac_add(mac, prior);
}

/* The message without its TSIG record: original ID, ARCOUNT without the TSIG (RFC 8945 4.3.2). */
static void mac_add_message(EVP_MAC_CTX **mac, const struct msp_span *part, size_t count, uint16_t original_id,
			    uint16_t arcount)
{
	uint8_t header[MSP_HEADER_LEN];

	memcpy(header, part[0].ptr, MSP_HEADER_LEN);
	put_u16(header, original_id);
	put_u16(header + ARCOUNT_AT, arcount);
	mac_add(mac, msp_span(header, sizeof(header)));
	mac_add(mac, msp_span(part[0].ptr + MSP_HEADER_LEN, part[0].len - MSP_HEADER_LEN));
	for (size_t i = 1; i < count; i++)
		mac_add(mac, part[i]);
}

/* All TSIG variables (RFC 8945 4.3.3), or the timers only for the later messages of a stream (5.3.1). */
static void mac_add_variables(EVP_MAC_CTX **mac, const struct tsig *t, bool timers_only)
{
	uint8_t oct[2 * MSP_NAME_MAX + 32];
	struct msp_name key = t->key, alg = t->alg;
	struct msp_wr wr;

	msp_name_lower(&key);
	msp_name_lower(&alg);
	msp_wr_init(&wr, oct, sizeof(oct));
	if (!timers_only) {
		msp_wr_octets(&wr, msp_name_span(&key));
		msp_wr_u16(&wr, MSP_CLASS_ANY);
		msp_wr_u32(&wr, 0); /* TTL */
		msp_wr_octets(&wr, msp_name_span(&alg));
	}
	msp_wr_u48(&wr, t->time_s);
	msp_wr_u16(&wr, t->fudge_s);
	if (!timers_only) {
		msp_wr_u16(&wr, t->error);
		msp_wr_u16(&wr, (uint16_t)t->other.len);
	}
	mac_add_wr(mac, &wr);
	if (!timers_only)
		mac_add(mac, t->other);
}

/* Consumes *mac in any case. */
static enum msp_err mac_finish(EVP_MAC_CTX **mac, uint8_t out[MSP_TSIG_MAC_MAX], size_t *len)
{
	enum msp_err err = MSP_ECRYPTO;

	if (*mac != NULL && EVP_MAC_final(*mac, out, len, MSP_TSIG_MAC_MAX) == 1)
		err = MSP_OK;
	if (err != MSP_OK)
		ERR_clear_error();
	EVP_MAC_CTX_free(*mac);
	*mac = NULL;
	return err;
}

/* --- the record ------------------------------------------------------------------------------------------------- */

static enum msp_err read_tsig(const struct msp_msg *m, struct tsig *t)
{
	struct msp_rd rd, in;
	uint16_t type, cls;
	uint32_t ttl;

	if (m->tsig_at == 0)
		return MSP_EUNSIGNED;
	msp_rd_init(&rd, m->raw);
	rd.pos = m->tsig_at;
	msp_name_read(&rd, MSP_NAME_COMP, &t->key);
	type = msp_rd_u16(&rd);
	cls = msp_rd_u16(&rd);
	ttl = msp_rd_u32(&rd);
	in = msp_rd_sub(&rd, msp_rd_u16(&rd));
	msp_name_read(&in, MSP_NAME_PLAIN, &t->alg);
	t->time_s = msp_rd_u48(&in);
	t->fudge_s = msp_rd_u16(&in);
	t->mac = msp_rd_take(&in, msp_rd_u16(&in));
	t->original_id = msp_rd_u16(&in);
	t->error = msp_rd_u16(&in);
	t->other = msp_rd_take(&in, msp_rd_u16(&in));
	if (msp_rd_done(&in) != MSP_OK || msp_rd_done(&rd) != MSP_OK)
		return MSP_EFORMAT;
	/* They go into the digest as constants: another value would be an octet that nobody vouches for. */
	return type == MSP_TYPE_TSIG && cls == MSP_CLASS_ANY && ttl == 0 ? MSP_OK : MSP_EFORMAT;
}

/* The record, at the writer's position. */
static void write_record(const struct tsig *t, struct msp_wr *wr)
{
	size_t rdlen_at;

	msp_wr_octets(wr, msp_name_span(&t->key));
	msp_wr_u16(wr, MSP_TYPE_TSIG);
	msp_wr_u16(wr, MSP_CLASS_ANY);
	msp_wr_u32(wr, 0);
	rdlen_at = wr->pos;
	msp_wr_u16(wr, 0);
	msp_wr_octets(wr, msp_name_span(&t->alg));
	msp_wr_u48(wr, t->time_s);
	msp_wr_u16(wr, t->fudge_s);
	msp_wr_u16(wr, (uint16_t)t->mac.len);
	msp_wr_octets(wr, t->mac);
	msp_wr_u16(wr, t->original_id);
	msp_wr_u16(wr, t->error);
	msp_wr_u16(wr, (uint16_t)t->other.len);
	msp_wr_octets(wr, t->other);
	msp_wr_patch_u16(wr, rdlen_at, (uint16_t)(wr->pos - rdlen_at - 2));
}

static enum msp_err append_record(const struct tsig *t, uint8_t *msg, size_t *len, size_t cap, uint16_t arcount)
{
	struct msp_wr wr;

	if (arcount == UINT16_MAX)
		return MSP_ENOSPACE;
	msp_wr_init(&wr, msg, cap < MSP_MSG_MAX ? cap : MSP_MSG_MAX);
	wr.pos = *len;
	write_record(t, &wr);
	if (wr.err != MSP_OK)
		return wr.err;
	msp_wr_patch_u16(&wr, ARCOUNT_AT, (uint16_t)(arcount + 1));
	*len = wr.pos;
	return MSP_OK;
}

static struct tsig new_tsig(const struct msp_tsig_key *key, struct msp_wall now, uint16_t id)
{
	return (struct tsig){
		.key = key->name,
		.alg = key->alg_name,
		.time_s = (uint64_t)now.s & TIME_MASK,
		.fudge_s = MSP_TSIG_FUDGE_S,
		.original_id = id,
	};
}

static void read_id_arcount(const uint8_t *msg, size_t len, uint16_t *id, uint16_t *arcount)
{
	struct msp_rd rd;

	assert(len >= MSP_HEADER_LEN);
	msp_rd_init(&rd, msp_span(msg, len));
	*id = msp_rd_u16(&rd);
	rd.pos = ARCOUNT_AT;
	*arcount = msp_rd_u16(&rd);
}

/* --- signing ---------------------------------------------------------------------------------------------------- */

void msp_tsig_ctx_fini(struct msp_tsig_ctx *ctx)
{
	if (ctx->run != NULL) {
		EVP_MAC_CTX_free(ctx->run->mac);
		msp_free(ctx->run);
	}
	memset(ctx, 0, sizeof(*ctx));
}

/* MAC over [prior] message variables, put into mac and t. */
static enum msp_err compute(const struct msp_tsig_key *key, struct tsig *t, struct msp_span prior,
			    const struct msp_span *part, size_t count, uint16_t arcount, bool timers_only,
			    uint8_t mac[MSP_TSIG_MAC_MAX])
{
	EVP_MAC_CTX *run = EVP_MAC_CTX_dup(key->keyed);
	size_t mac_len = 0;
	enum msp_err err;

	if (prior.len != 0)
		mac_add_prior(&run, prior);
	mac_add_message(&run, part, count, t->original_id, arcount);
	mac_add_variables(&run, t, timers_only);
	err = mac_finish(&run, mac, &mac_len);
	t->mac = msp_span(mac, mac_len);
	return err;
}

/* The same for a message in one piece, the record appended. */
static enum msp_err sign(const struct msp_tsig_key *key, struct tsig *t, struct msp_span prior, bool timers_only,
			 uint8_t mac[MSP_TSIG_MAC_MAX], uint8_t *msg, size_t *len, size_t cap)
{
	struct msp_span whole = msp_span(msg, *len);
	uint16_t id, arcount;
	enum msp_err err;

	read_id_arcount(msg, *len, &id, &arcount);
	err = compute(key, t, prior, &whole, 1, arcount, timers_only, mac);
	return err == MSP_OK ? append_record(t, msg, len, cap, arcount) : err;
}

enum msp_err msp_tsig_sign_request(const struct msp_tsig_key *key, struct msp_wall now, uint8_t *msg, size_t *len,
				   size_t cap, struct msp_tsig_ctx *ctx)
{
	uint16_t id, arcount;
	struct tsig t;
	enum msp_err err;

	memset(ctx, 0, sizeof(*ctx));
	read_id_arcount(msg, *len, &id, &arcount);
	t = new_tsig(key, now, id);
	ctx->key = key;
	err = sign(key, &t, msp_span(NULL, 0), false, ctx->mac, msg, len, cap);
	ctx->mac_len = t.mac.len;
	return err;
}

/* The answer message went out with this MAC. Nothing was changed before: a caller may try a smaller message again. */
static void signed_with(struct msp_tsig_ctx *ctx, struct msp_span mac)
{
	memcpy(ctx->mac, mac.ptr, mac.len);
	ctx->mac_len = mac.len;
	ctx->first_done = true;
}

enum msp_err msp_tsig_sign_response(struct msp_tsig_ctx *ctx, struct msp_wall now, uint8_t *msg, size_t *len,
				    size_t cap)
{
	uint8_t mac[MSP_TSIG_MAC_MAX];
	uint16_t id, arcount;
	struct tsig t;
	enum msp_err err;

	read_id_arcount(msg, *len, &id, &arcount);
	t = new_tsig(ctx->key, now, id);
	err = sign(ctx->key, &t, msp_span(ctx->mac, ctx->mac_len), ctx->first_done, mac, msg, len, cap);
	if (err == MSP_OK)
		signed_with(ctx, t.mac);
	return err;
}

enum msp_err msp_tsig_sign_parts(struct msp_tsig_ctx *ctx, struct msp_wall now, const struct msp_span *part,
				 size_t count, uint16_t id_original, uint8_t *rr, size_t *len, size_t cap)
{
	uint8_t mac[MSP_TSIG_MAC_MAX];
	uint16_t id, arcount;
	struct msp_wr wr;
	struct tsig t = new_tsig(ctx->key, now, id_original);
	enum msp_err err;

	assert(count > 0);
	read_id_arcount(part[0].ptr, part[0].len, &id, &arcount);
	if (arcount == UINT16_MAX)
		return MSP_ENOSPACE;
	err = compute(ctx->key, &t, msp_span(ctx->mac, ctx->mac_len), part, count, arcount, ctx->first_done, mac);
	if (err != MSP_OK)
		return err;
	msp_wr_init(&wr, rr, cap);
	write_record(&t, &wr);
	if (wr.err != MSP_OK)
		return wr.err;
	*len = wr.pos;
	signed_with(ctx, t.mac);
	return MSP_OK;
}

enum msp_err msp_tsig_sign_error(const struct msp_msg *req, const struct msp_tsig_key *key, enum msp_tsig_error error,
				 struct msp_wall now, uint8_t *msg, size_t *len, size_t cap)
{
	uint8_t mac[MSP_TSIG_MAC_MAX], other[OTHER_TIME_LEN];
	struct tsig t, in;
	struct msp_wr wr;
	uint16_t id, arcount;
	enum msp_err err = read_tsig(req, &in);

	if (err != MSP_OK)
		return err;
	read_id_arcount(msg, *len, &id, &arcount);
	t = in;
	t.original_id = in.original_id;
	t.error = (uint16_t)error;
	t.mac = t.other = msp_span(NULL, 0);
	if (error == MSP_TSIG_BADKEY || error == MSP_TSIG_BADSIG) {
		t.time_s = (uint64_t)now.s & TIME_MASK;
		t.fudge_s = MSP_TSIG_FUDGE_S;
		return append_record(&t, msg, len, cap, arcount);
	}
	/* BADTIME: the client's time stays in the field, ours goes into Other Data (RFC 8945 5.2.3). */
	if (error == MSP_TSIG_BADTIME) {
		msp_wr_init(&wr, other, sizeof(other));
		msp_wr_u48(&wr, (uint64_t)now.s & TIME_MASK);
		t.other = msp_wr_span(&wr);
	}
	assert(key != NULL);
	return sign(key, &t, in.mac, false, mac, msg, len, cap);
}

/* --- verifying -------------------------------------------------------------------------------------------------- */

/* RFC 8945 5.2.2.1: never longer than the hash, never shorter than ten octets or half of it. */
static bool is_mac_length(const struct msp_tsig_key *key, size_t len)
{
	size_t full = algs[key->alg].mac_len, least = full / 2 > MAC_MIN ? full / 2 : MAC_MIN;

	return len >= least && len <= full;
}

/* A sender may ask for less tolerance than usual, but not for more: replays are remembered for as long as we accept. */
static bool is_in_time(const struct tsig *t, struct msp_wall now)
{
	int64_t diff = now.s - (int64_t)t->time_s, fudge = t->fudge_s;

	if (fudge > MSP_TSIG_FUDGE_S)
		fudge = MSP_TSIG_FUDGE_S;
	return diff <= fudge && -diff <= fudge;
}

/* Finishes *run, into which prior MAC and earlier messages went, with m; compares what the sender sent of the MAC. */
static enum msp_err check_mac(EVP_MAC_CTX **run, const struct msp_msg *m, const struct tsig *t, bool timers_only)
{
	struct msp_span unsigned_part = msp_span(m->raw.ptr, m->tsig_at);
	uint8_t mac[MSP_TSIG_MAC_MAX];
	size_t len = 0;
	enum msp_err err;

	mac_add_message(run, &unsigned_part, 1, t->original_id, (uint16_t)(m->count[MSP_SEC_ADDITIONAL] - 1));
	mac_add_variables(run, t, timers_only);
	err = mac_finish(run, mac, &len);
	if (err != MSP_OK)
		return err;
	assert(t->mac.len <= len);
	return msp_secret_equal(msp_span(mac, t->mac.len), t->mac) ? MSP_OK : MSP_ESIG;
}

static void keep_mac(struct msp_tsig_ctx *ctx, const struct tsig *t)
{
	memcpy(ctx->mac, t->mac.ptr, t->mac.len); /* as sent, cut or not (RFC 8945 4.3.1) */
	ctx->mac_len = t->mac.len;
}

enum msp_err msp_tsig_verify_request(const struct msp_msg *req, msp_tsig_find_fn *find, void *arg, struct msp_wall now,
				     struct msp_tsig_ctx *ctx, enum msp_tsig_error *error)
{
	const struct msp_tsig_key *key;
	enum msp_tsig_alg alg;
	EVP_MAC_CTX *run;
	struct tsig t;
	enum msp_err err;

	memset(ctx, 0, sizeof(*ctx));
	*error = MSP_TSIG_NOERROR;
	err = read_tsig(req, &t);
	if (err != MSP_OK)
		return err;
	*error = MSP_TSIG_BADKEY;
	if (alg_from_name(&t.alg, &alg) != MSP_OK)
		return MSP_EALG;
	key = find(arg, &t.key, alg);
	if (key == NULL || key->alg != alg || !msp_name_equal(&key->name, &t.key))
		return MSP_ENOKEY;
	if (!is_mac_length(key, t.mac.len)) {
		*error = MSP_TSIG_NOERROR;
		return MSP_EFORMAT;
	}
	run = EVP_MAC_CTX_dup(key->keyed);
	err = check_mac(&run, req, &t, false);
	*error = err == MSP_ESIG ? MSP_TSIG_BADSIG : MSP_TSIG_NOERROR;
	if (err != MSP_OK)
		return err;
	ctx->key = key;
	keep_mac(ctx, &t);
	if (is_in_time(&t, now))
		return MSP_OK;
	*error = MSP_TSIG_BADTIME;
	return MSP_ETIME;
}

/* A message without TSIG between signed ones: it is covered by the next MAC (RFC 8945 5.3.1). */
static enum msp_err take_unsigned(struct msp_tsig_ctx *ctx, const struct msp_msg *resp, bool is_last,
				  struct msp_why *why)
{
	if (!ctx->first_done)
		return msp_fail(why, MSP_EUNSIGNED, "first answer message carries no TSIG");
	if (is_last)
		return msp_fail(why, MSP_EUNSIGNED, "last answer message carries no TSIG");
	if (ctx->unsigned_run >= UNSIGNED_MAX)
		return msp_fail(why, MSP_EUNSIGNED, "over %d messages in a row without TSIG", UNSIGNED_MAX);
	if (ctx->run == NULL) {
		ctx->run = msp_alloc(1, sizeof(*ctx->run));
		if (ctx->run == NULL)
			return MSP_ENOMEM;
		ctx->run->mac = EVP_MAC_CTX_dup(ctx->key->keyed);
		mac_add_prior(&ctx->run->mac, msp_span(ctx->mac, ctx->mac_len));
	}
	mac_add(&ctx->run->mac, resp->raw);
	if (ctx->run->mac == NULL)
		return MSP_ECRYPTO;
	ctx->unsigned_run++;
	return MSP_OK;
}

/* The running MAC so far; ctx has none afterwards. */
static EVP_MAC_CTX *take_run(struct msp_tsig_ctx *ctx)
{
	EVP_MAC_CTX *mac;

	if (ctx->run == NULL) {
		mac = EVP_MAC_CTX_dup(ctx->key->keyed);
		mac_add_prior(&mac, msp_span(ctx->mac, ctx->mac_len));
		return mac;
	}
	mac = ctx->run->mac;
	msp_free(ctx->run);
	ctx->run = NULL;
	return mac;
}

/* An unsigned refusal proves nothing, but it is what a person wants to read. */
static enum msp_err unsigned_error(const struct tsig *t, struct msp_why *why)
{
	if (t->error == MSP_TSIG_BADKEY)
		return msp_fail(why, MSP_ENOKEY, "other side answers (unsigned) BADKEY: it does not know TSIG key %s",
				MSP_NAME(&t->key));
	return msp_fail(why, MSP_ESIG, "other side answers (unsigned) TSIG error %u", t->error);
}

static enum msp_err check_times(const struct tsig *t, struct msp_wall now, struct msp_why *why)
{
	struct msp_rd rd;

	if (t->error == MSP_TSIG_BADTIME && t->other.len == OTHER_TIME_LEN) {
		msp_rd_init(&rd, t->other);
		return msp_fail(why, MSP_ETIME, "other side answers BADTIME: its clock says %llu, ours %lld",
				(unsigned long long)msp_rd_u48(&rd), (long long)now.s);
	}
	if (t->error != MSP_TSIG_NOERROR)
		return msp_fail(why, MSP_ESIG, "other side answers TSIG error %u", t->error);
	if (!is_in_time(t, now))
		return msp_fail(why, MSP_ETIME, "TSIG signed at %llu, our clock says %lld",
				(unsigned long long)t->time_s, (long long)now.s);
	return MSP_OK;
}

enum msp_err msp_tsig_verify_response(struct msp_tsig_ctx *ctx, const struct msp_msg *resp, bool is_last,
				      struct msp_wall now, struct msp_why *why)
{
	EVP_MAC_CTX *run;
	struct tsig t;
	enum msp_err err = read_tsig(resp, &t);

	if (err == MSP_EUNSIGNED)
		return take_unsigned(ctx, resp, is_last, why);
	if (err != MSP_OK)
		return msp_fail(why, err, "TSIG record malformed");
	if (!msp_name_equal(&t.key, &ctx->key->name) || !msp_name_equal(&t.alg, &ctx->key->alg_name))
		return msp_fail(why, MSP_ENOKEY, "answer signed with another TSIG key or algorithm: %s",
				MSP_NAME(&t.key));
	if (t.mac.len == 0 && (t.error == MSP_TSIG_BADKEY || t.error == MSP_TSIG_BADSIG))
		return unsigned_error(&t, why);
	if (!is_mac_length(ctx->key, t.mac.len))
		return msp_fail(why, MSP_EFORMAT, "TSIG MAC of %zu octets", t.mac.len);
	run = take_run(ctx);
	err = check_mac(&run, resp, &t, ctx->first_done);
	if (err != MSP_OK)
		return msp_fail(why, err, "TSIG MAC of key %s: %s", MSP_NAME(&t.key), msp_err_text(err));
	err = check_times(&t, now, why);
	if (err != MSP_OK)
		return err;
	keep_mac(ctx, &t);
	ctx->first_done = true;
	ctx->unsigned_run = 0;
	return MSP_OK;
}

bool msp_tsig_complete(const struct msp_tsig_ctx *ctx)
{
	return ctx->first_done && ctx->unsigned_run == 0;
}

enum msp_err msp_tsig_conclude(struct msp_tsig_ctx *ctx, enum msp_err err, struct msp_span answer,
			       struct msp_rr_scratch *scratch, struct msp_wall now, struct msp_why *why)
{
	struct msp_msg m;

	if (err == MSP_OK)
		err = msp_msg_parse(answer, scratch, &m, why);
	if (err == MSP_OK)
		err = msp_tsig_verify_response(ctx, &m, true, now, why);
	if (err == MSP_OK && m.rcode != MSP_RCODE_NOERROR)
		err = msp_fail(why, MSP_ERCODE, "%s", msp_rcode_name(m.rcode));
	msp_tsig_ctx_fini(ctx);
	return err;
}
