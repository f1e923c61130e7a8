/* SPDX-License-Identifier: BSD-2-Clause */
#include "auth/evp.h"

#include <msproto/auth/key.h>
#include <msproto/base/mem.h>
#include <msproto/wire/rd.h>
#include <msproto/wire/wr.h>

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

#define EC_PART_MAX      48  /* octets of a coordinate, r or s */
#define EC_DER_MAX       128 /* octets of a DER signature of that size: 2 * (48 + 1 + 2) + 3, rounded up */
#define DER_INTEGER      0x02
#define DER_SEQUENCE     0x30
#define RSA_EXPONENT_MAX 5 /* octets that hold 2^33 */

static const struct msp_evp_alg algs[] = {
	{ MSP_ALG_RSASHA256, "RSASHA256", "RSA", NULL, "SHA256", 0, 0, 0 },
	{ MSP_ALG_ECDSAP256, "ECDSAP256SHA256", "EC", "P-256", "SHA256", 64, 32, 64 },
	{ MSP_ALG_ECDSAP384, "ECDSAP384SHA384", "EC", "P-384", "SHA384", 96, 48, 96 },
	{ MSP_ALG_ED25519, "ED25519", "ED25519", NULL, NULL, 32, 32, 64 },
	{ MSP_ALG_ED448, "ED448", "ED448", NULL, NULL, 57, 57, 114 },
};

/* RSA numbers in the order of the key file and as OpenSSL calls them. */
static const char *const rsa_param[MSP_KF__N] = {
	[MSP_KF_MODULUS] = OSSL_PKEY_PARAM_RSA_N,           [MSP_KF_PUBLIC_EXPONENT] = OSSL_PKEY_PARAM_RSA_E,
	[MSP_KF_PRIVATE_EXPONENT] = OSSL_PKEY_PARAM_RSA_D,  [MSP_KF_PRIME1] = OSSL_PKEY_PARAM_RSA_FACTOR1,
	[MSP_KF_PRIME2] = OSSL_PKEY_PARAM_RSA_FACTOR2,      [MSP_KF_EXPONENT1] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
	[MSP_KF_EXPONENT2] = OSSL_PKEY_PARAM_RSA_EXPONENT2, [MSP_KF_COEFFICIENT] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

const struct msp_evp_alg *msp_evp_alg(uint8_t number)
{
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++)
		if (algs[i].number == number)
			return &algs[i];
	return NULL;
}

static bool is_rsa(const struct msp_evp_alg *alg)
{
	return alg->number == MSP_ALG_RSASHA256;
}

static bool is_ec(const struct msp_evp_alg *alg)
{
	return alg->group != NULL;
}

/* --- from octets ------------------------------------------------------------------------------------------------ */

static enum msp_err from_params(const struct msp_evp_alg *alg, OSSL_PARAM_BLD *bld, int selection, EVP_PKEY **out)
{
	enum msp_err err = MSP_ECRYPTO;
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, alg->type, NULL);

	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1)
		goto out;
	/* What is left to be wrong is in the numbers, above all a point that is not on the curve. */
	err = EVP_PKEY_fromdata(ctx, out, selection, params) == 1 ? MSP_OK : MSP_EVALUE;
out:
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return err;
}

static enum msp_err ec_from(const struct msp_evp_alg *alg, struct msp_span field, struct msp_span secret,
			    EVP_PKEY **out)
{
	enum msp_err err = MSP_ECRYPTO;
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *d = NULL;
	uint8_t point[1 + 2 * EC_PART_MAX];

	point[0] = 0x04; /* uncompressed: DNS carries x | y only (RFC 6605 4) */
	memcpy(point + 1, field.ptr, field.len);
	if (bld == NULL || OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, alg->group, 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + field.len) != 1)
		goto out;
	if (secret.len != 0) {
		d = BN_secure_new(); /* the flag makes the parameter builder wipe its copy too */
		if (d == NULL || BN_bin2bn(secret.ptr, (int)secret.len, d) == NULL ||
		    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) != 1)
			goto out;
	}
	err = from_params(alg, bld, secret.len != 0 ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, out);
out:
	BN_clear_free(d);
	OSSL_PARAM_BLD_free(bld);
	return err;
}

/* Exponent and modulus of RFC 3110 2; leading zeros are prohibited there. */
static enum msp_err rsa_split(struct msp_span field, struct msp_span *e, struct msp_span *n)
{
	size_t head = 1, e_len;

	if (field.len < 3)
		return MSP_EFORMAT;
	e_len = field.ptr[0];
	if (e_len == 0) {
		head = 3;
		e_len = (size_t)field.ptr[1] * 256 + field.ptr[2];
	}
	if (e_len == 0 || e_len >= field.len - head)
		return MSP_EFORMAT;
	*e = msp_span(field.ptr + head, e_len);
	*n = msp_span(field.ptr + head + e_len, field.len - head - e_len);
	if (e->ptr[0] == 0 || n->ptr[0] == 0)
		return MSP_EFORMAT;
	return MSP_OK;
}

static size_t bits(struct msp_span number)
{
	size_t count = number.len * 8;

	for (uint8_t top = number.ptr[0]; (top & 0x80) == 0 && count != 0; top = (uint8_t)(top << 1))
		count--;
	return count;
}

/* PROTOCOL C.4: modulus 2048 to 4096 bits; exponent odd, at least 3, at most 2^33. Bounds what one verification costs.
 */
static enum msp_err rsa_check(struct msp_span e, struct msp_span n)
{
	size_t n_bits = bits(n);
	uint64_t exponent = 0;

	if (n_bits < MSP_RSA_BITS_MIN || n_bits > MSP_RSA_BITS_MAX || (n.ptr[n.len - 1] & 1) == 0)
		return MSP_EVALUE;
	if (e.len > RSA_EXPONENT_MAX)
		return MSP_EVALUE;
	for (size_t i = 0; i < e.len; i++)
		exponent = exponent << 8 | e.ptr[i];
	return (exponent & 1) != 0 && exponent >= 3 && exponent <= UINT64_C(1) << 33 ? MSP_OK : MSP_EVALUE;
}

/* numbers[]: indexed as a key file's fields; an empty span is left out. */
static enum msp_err rsa_from(const struct msp_evp_alg *alg, const struct msp_span numbers[MSP_KF__N], EVP_PKEY **out)
{
	enum msp_err err = MSP_ECRYPTO;
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *bn[MSP_KF__N] = { NULL };

	if (bld == NULL)
		goto out;
	for (unsigned i = MSP_KF_MODULUS; i < MSP_KF__N; i++) {
		if (numbers[i].len == 0)
			continue;
		bn[i] = i > MSP_KF_PUBLIC_EXPONENT ? BN_secure_new() : BN_new();
		if (bn[i] == NULL || BN_bin2bn(numbers[i].ptr, (int)numbers[i].len, bn[i]) == NULL ||
		    OSSL_PARAM_BLD_push_BN(bld, rsa_param[i], bn[i]) != 1)
			goto out;
	}
	err = from_params(alg, bld, bn[MSP_KF_PRIVATE_EXPONENT] != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, out);
out:
	for (unsigned i = 0; i < MSP_KF__N; i++)
		BN_clear_free(bn[i]);
	OSSL_PARAM_BLD_free(bld);
	return err;
}

static enum msp_err rsa_public(const struct msp_evp_alg *alg, struct msp_span field, EVP_PKEY **out)
{
	struct msp_span numbers[MSP_KF__N] = { { NULL, 0 } };
	enum msp_err err = rsa_split(field, &numbers[MSP_KF_PUBLIC_EXPONENT], &numbers[MSP_KF_MODULUS]);

	if (err == MSP_OK)
		err = rsa_check(numbers[MSP_KF_PUBLIC_EXPONENT], numbers[MSP_KF_MODULUS]);
	return err != MSP_OK ? err : rsa_from(alg, numbers, out);
}

enum msp_err msp_evp_public(const struct msp_evp_alg *alg, struct msp_span field, EVP_PKEY **out)
{
	enum msp_err err;

	if (is_rsa(alg)) {
		err = rsa_public(alg, field, out);
	} else if (field.len != alg->public_len) {
		err = MSP_EFORMAT;
	} else if (is_ec(alg)) {
		err = ec_from(alg, field, msp_span(NULL, 0), out);
	} else {
		*out = EVP_PKEY_new_raw_public_key_ex(NULL, alg->type, NULL, field.ptr, field.len);
		err = *out != NULL ? MSP_OK : MSP_EVALUE;
	}
	if (err != MSP_OK)
		ERR_clear_error();
	return err;
}

static enum msp_err private_key(const struct msp_evp_alg *alg, const struct msp_keyfile *kf, struct msp_span field,
				EVP_PKEY **out)
{
	struct msp_span numbers[MSP_KF__N] = { { NULL, 0 } }, e, n;
	enum msp_err err;

	for (unsigned i = 0; i < MSP_KF__N; i++)
		numbers[i] = msp_span(kf->oct[i], kf->len[i]);
	if (is_rsa(alg)) {
		err = rsa_split(field, &e, &n);
		if (err == MSP_OK)
			err = rsa_check(e, n);
		if (err == MSP_OK && (!msp_span_equal(e, numbers[MSP_KF_PUBLIC_EXPONENT]) ||
				      !msp_span_equal(n, numbers[MSP_KF_MODULUS])))
			err = MSP_EVALUE;
		return err != MSP_OK ? err : rsa_from(alg, numbers, out);
	}
	if (field.len != alg->public_len)
		return MSP_EFORMAT;
	if (is_ec(alg)) {
		/* Older files leave out leading zeros. */
		if (kf->len[MSP_KF_PRIVATE] > alg->private_len)
			return MSP_EFORMAT;
		return ec_from(alg, field, numbers[MSP_KF_PRIVATE], out);
	}
	if (kf->len[MSP_KF_PRIVATE] != alg->private_len)
		return MSP_EFORMAT;
	*out = EVP_PKEY_new_raw_private_key_ex(NULL, alg->type, NULL, numbers[MSP_KF_PRIVATE].ptr,
					       numbers[MSP_KF_PRIVATE].len);
	return *out != NULL ? MSP_OK : MSP_EVALUE;
}

/* What the private half signs, the public half verifies: the one check that is the same for all algorithms. */
static enum msp_err check_pair(const struct msp_evp_alg *alg, EVP_PKEY *pair, struct msp_span field)
{
	static const char text[] = "do the halves of this key belong together?";
	struct msp_span data = msp_span(text, sizeof(text) - 1);
	uint8_t sig[MSP_SIGNATURE_MAX];
	size_t len = sizeof(sig);
	EVP_PKEY *pub = NULL;
	enum msp_err err = msp_evp_public(alg, field, &pub);

	if (err == MSP_OK && msp_evp_sign(alg, pair, NULL, data, sig, &len) != MSP_OK)
		err = MSP_EVALUE;
	if (err == MSP_OK && msp_evp_verify(alg, pub, NULL, data, msp_span(sig, len)) != MSP_OK)
		err = MSP_EVALUE;
	EVP_PKEY_free(pub);
	return err;
}

enum msp_err msp_evp_private(const struct msp_evp_alg *alg, const struct msp_keyfile *kf, struct msp_span field,
			     EVP_PKEY **out)
{
	enum msp_err err = private_key(alg, kf, field, out);

	if (err == MSP_OK)
		err = check_pair(alg, *out, field);
	if (err != MSP_OK) {
		ERR_clear_error();
		EVP_PKEY_free(*out);
		*out = NULL;
	}
	return err;
}

enum msp_err msp_evp_generate(const struct msp_evp_alg *alg, EVP_PKEY **out)
{
	if (is_rsa(alg))
		*out = EVP_RSA_gen(MSP_RSA_BITS_MIN);
	else if (is_ec(alg))
		*out = EVP_EC_gen(alg->group);
	else
		*out = EVP_PKEY_Q_keygen(NULL, NULL, alg->type);
	if (*out != NULL)
		return MSP_OK;
	ERR_clear_error();
	return MSP_ECRYPTO;
}

/* --- to octets -------------------------------------------------------------------------------------------------- */

/* One number, without leading zeros when pad is 0. */
static enum msp_err export_number(const EVP_PKEY *pkey, const char *name, size_t pad, uint8_t *out, size_t cap,
				  size_t *len)
{
	enum msp_err err = MSP_ECRYPTO;
	BIGNUM *bn = NULL;
	int want;

	if (EVP_PKEY_get_bn_param(pkey, name, &bn) != 1)
		goto out;
	want = pad != 0 ? (int)pad : BN_num_bytes(bn);
	if (want < 0 || (size_t)want > cap || BN_bn2binpad(bn, out, want) != want)
		goto out;
	*len = (size_t)want;
	err = MSP_OK;
out:
	BN_clear_free(bn);
	return err;
}

static enum msp_err rsa_export_public(const EVP_PKEY *pkey, uint8_t *out, size_t *len)
{
	size_t e_len, n_len;
	enum msp_err err = export_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, out + 1, RSA_EXPONENT_MAX, &e_len);

	if (err != MSP_OK)
		return err;
	out[0] = (uint8_t)e_len; /* RFC 3110 2: one octet, as it is far below 256 */
	err = export_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, out + 1 + e_len, MSP_RSA_BITS_MAX / 8, &n_len);
	*len = 1 + e_len + n_len;
	return err;
}

enum msp_err msp_evp_export_public(const struct msp_evp_alg *alg, const EVP_PKEY *pkey, uint8_t *out, size_t *len)
{
	enum msp_err err = MSP_ECRYPTO;
	uint8_t point[1 + 2 * EC_PART_MAX];
	size_t got = MSP_PUBLIC_MAX;

	if (is_rsa(alg)) {
		err = rsa_export_public(pkey, out, len);
		goto out;
	}
	if (!is_ec(alg)) {
		if (EVP_PKEY_get_raw_public_key(pkey, out, &got) != 1 || got != alg->public_len)
			goto out;
	} else {
		if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &got) != 1 ||
		    got != 1 + alg->public_len || point[0] != 0x04)
			goto out;
		memcpy(out, point + 1, alg->public_len);
	}
	*len = alg->public_len;
	err = MSP_OK;
out:
	if (err != MSP_OK)
		ERR_clear_error();
	return err;
}

enum msp_err msp_evp_export_private(const struct msp_evp_alg *alg, const EVP_PKEY *pkey, struct msp_keyfile *out)
{
	enum msp_err err = MSP_OK;
	size_t len = MSP_KEYFILE_FIELD_MAX;

	memset(out, 0, sizeof(*out));
	out->alg = alg->number;
	if (is_rsa(alg)) {
		for (unsigned i = MSP_KF_MODULUS; i < MSP_KF__N && err == MSP_OK; i++)
			err = export_number(pkey, rsa_param[i], 0, out->oct[i], MSP_KEYFILE_FIELD_MAX, &out->len[i]);
	} else if (is_ec(alg)) {
		err = export_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, alg->private_len, out->oct[MSP_KF_PRIVATE],
				    MSP_KEYFILE_FIELD_MAX, &out->len[MSP_KF_PRIVATE]);
	} else {
		err = EVP_PKEY_get_raw_private_key(pkey, out->oct[MSP_KF_PRIVATE], &len) == 1 ? MSP_OK : MSP_ECRYPTO;
		out->len[MSP_KF_PRIVATE] = len;
	}
	if (err != MSP_OK) {
		ERR_clear_error();
		msp_wipe(out, sizeof(*out));
	}
	return err;
}

/* --- signatures ------------------------------------------------------------------------------------------------- */

/*
 * An INTEGER of ECDSA's DER (RFC 3279 2.2.3, X.690 8.3): tag, length, the number without needless zeros, but with one
 * in front where the first bit is set, so that it is not negative. All lengths here are below 128: one octet each.
 */
static void put_integer(struct msp_wr *wr, const uint8_t *number, size_t len)
{
	for (; len > 1 && number[0] == 0; len--)
		number++;
	msp_wr_u8(wr, DER_INTEGER);
	msp_wr_u8(wr, (uint8_t)(len + (number[0] >> 7)));
	if (number[0] >> 7 != 0)
		msp_wr_u8(wr, 0);
	msp_wr_octets(wr, msp_span(number, len));
}

static void take_integer(struct msp_rd *rd, uint8_t *out, size_t size)
{
	uint8_t tag = msp_rd_u8(rd), len = msp_rd_u8(rd);
	struct msp_span number = msp_rd_take(rd, len);

	for (; number.len > size && number.ptr[0] == 0; number.len--)
		number.ptr++;
	if (rd->err != MSP_OK || tag != DER_INTEGER || number.len > size) {
		msp_rd_fail(rd, MSP_ECRYPTO);
		return;
	}
	memset(out, 0, size - number.len);
	memcpy(out + size - number.len, number.ptr, number.len);
}

/* DER to r | s (RFC 6605 4). */
static enum msp_err der_to_wire(const struct msp_evp_alg *alg, const uint8_t *der, size_t der_len, uint8_t *out)
{
	size_t half = alg->signature_len / 2;
	struct msp_rd rd;

	msp_rd_init(&rd, msp_span(der, der_len));
	if (msp_rd_u8(&rd) != DER_SEQUENCE || msp_rd_u8(&rd) != der_len - 2)
		return MSP_ECRYPTO;
	take_integer(&rd, out, half);
	take_integer(&rd, out + half, half);
	return msp_rd_done(&rd) == MSP_OK ? MSP_OK : MSP_ECRYPTO;
}

/* r | s to DER; `der` holds EC_DER_MAX octets. */
static size_t wire_to_der(struct msp_span wire, uint8_t *der)
{
	size_t half = wire.len / 2;
	struct msp_wr wr;

	msp_wr_init(&wr, der, EC_DER_MAX);
	msp_wr_u8(&wr, DER_SEQUENCE);
	msp_wr_u8(&wr, 0);
	put_integer(&wr, wire.ptr, half);
	put_integer(&wr, wire.ptr + half, half);
	assert(wr.err == MSP_OK && wr.pos - 2 < 128);
	der[1] = (uint8_t)(wr.pos - 2);
	return wr.pos;
}

static size_t signature_len(const struct msp_evp_alg *alg, const EVP_PKEY *pkey)
{
	return is_rsa(alg) ? (size_t)EVP_PKEY_get_size(pkey) : alg->signature_len;
}

static const EVP_MD *digest_of(const struct msp_evp_alg *alg)
{
	return alg->number == MSP_ALG_ECDSAP384 ? EVP_sha384() : EVP_sha256();
}

static EVP_PKEY_CTX *take_spare(struct msp_evp_spares *spares)
{
	EVP_PKEY_CTX *ctx = NULL;

	for (size_t i = 0; spares != NULL && ctx == NULL && i < MSP_EVP_SPARES; i++)
		ctx = atomic_exchange(&spares->ctx[i], NULL);
	return ctx;
}

static void give_spare(struct msp_evp_spares *spares, EVP_PKEY_CTX *ctx)
{
	for (size_t i = 0; spares != NULL && ctx != NULL && i < MSP_EVP_SPARES; i++)
		ctx = atomic_exchange(&spares->ctx[i], ctx);
	EVP_PKEY_CTX_free(ctx);
}

void msp_evp_spares_fini(struct msp_evp_spares *spares)
{
	for (size_t i = 0; i < MSP_EVP_SPARES; i++)
		EVP_PKEY_CTX_free(atomic_exchange(&spares->ctx[i], NULL));
}

/* --- moulds ----------------------------------------------------------------------------------------------------- */

static void mould_free(struct msp_evp_mould *m)
{
	if (m == NULL)
		return;
	msp_evp_spares_fini(&m->verifying);
	EVP_PKEY_free(m->pkey);
	msp_free(m);
}

static struct msp_evp_mould *mould_new(const EVP_PKEY *model)
{
	struct msp_evp_mould *m = msp_alloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->pkey = EVP_PKEY_new();
	if (m->pkey != NULL && EVP_PKEY_copy_parameters(m->pkey, model) == 1)
		return m;
	mould_free(m);
	return NULL;
}

struct msp_evp_moulds *msp_evp_moulds_new(void)
{
	struct msp_evp_moulds *moulds = msp_alloc(1, sizeof(*moulds));

	if (moulds != NULL)
		atomic_init(&moulds->holders, 1);
	return moulds;
}

void msp_evp_moulds_leave(struct msp_evp_moulds *moulds)
{
	if (moulds == NULL || atomic_fetch_sub(&moulds->holders, 1) != 1)
		return;
	for (size_t i = 0; i < MSP_EVP_SPARES; i++)
		mould_free(atomic_exchange(&moulds->spare[i], NULL));
	msp_free(moulds);
}

enum msp_err msp_evp_mould_take(const struct msp_evp_alg *alg, const EVP_PKEY *model, struct msp_evp_moulds *moulds,
				struct msp_span field, struct msp_evp_mould **out)
{
	uint8_t point[1 + 2 * EC_PART_MAX];
	struct msp_evp_mould *m = NULL;

	*out = NULL;
	if (field.len != alg->public_len)
		return MSP_EFORMAT;
	for (size_t i = 0; m == NULL && i < MSP_EVP_SPARES; i++)
		m = atomic_exchange(&moulds->spare[i], NULL);
	if (m == NULL)
		m = mould_new(model);
	if (m == NULL)
		return MSP_ENOMEM;
	point[0] = 0x04; /* as in ec_from */
	memcpy(point + 1, field.ptr, field.len);
	if (EVP_PKEY_set1_encoded_public_key(m->pkey, point, 1 + field.len) != 1) {
		ERR_clear_error();
		mould_free(m); /* who knows what is in it now */
		return MSP_EVALUE;
	}
	atomic_fetch_add(&moulds->holders, 1);
	*out = m;
	return MSP_OK;
}

void msp_evp_mould_give(struct msp_evp_moulds *moulds, struct msp_evp_mould *mould)
{
	for (size_t i = 0; mould != NULL && i < MSP_EVP_SPARES; i++)
		mould = atomic_exchange(&moulds->spare[i], mould);
	mould_free(mould);
	msp_evp_moulds_leave(moulds);
}

/* --- signing, verifying ----------------------------------------------------------------------------------------- */

static enum msp_err ec_sign(const struct msp_evp_alg *alg, EVP_PKEY *pkey, struct msp_evp_spares *spares,
			    struct msp_span data, uint8_t *sig)
{
	enum msp_err err = MSP_ECRYPTO;
	uint8_t hash[EVP_MAX_MD_SIZE], der[EC_DER_MAX];
	size_t got = sizeof(der);
	unsigned hash_len = 0;
	EVP_PKEY_CTX *ctx = take_spare(spares);

	if (ctx == NULL) {
		ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
		if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1)
			goto out;
	}
	if (EVP_Digest(data.ptr, data.len, hash, &hash_len, digest_of(alg), NULL) == 1 &&
	    EVP_PKEY_sign(ctx, der, &got, hash, hash_len) == 1)
		err = der_to_wire(alg, der, got, sig);
out:
	if (err == MSP_OK)
		give_spare(spares, ctx);
	else
		EVP_PKEY_CTX_free(ctx);
	return err;
}

static enum msp_err other_sign(const struct msp_evp_alg *alg, EVP_PKEY *pkey, struct msp_span data, uint8_t *sig,
			       size_t cap, size_t want)
{
	enum msp_err err = MSP_ECRYPTO;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx != NULL && EVP_DigestSignInit_ex(ctx, NULL, alg->digest, NULL, NULL, pkey, NULL) == 1 &&
	    EVP_DigestSign(ctx, sig, &cap, data.ptr, data.len) == 1 && cap == want)
		err = MSP_OK;
	EVP_MD_CTX_free(ctx);
	return err;
}

enum msp_err msp_evp_sign(const struct msp_evp_alg *alg, EVP_PKEY *pkey, struct msp_evp_spares *spares,
			  struct msp_span data, uint8_t *sig, size_t *len)
{
	size_t want = signature_len(alg, pkey);
	enum msp_err err;

	if (*len < want)
		return MSP_ENOSPACE;
	err = is_ec(alg) ? ec_sign(alg, pkey, spares, data, sig) : other_sign(alg, pkey, data, sig, *len, want);
	*len = want;
	if (err != MSP_OK)
		ERR_clear_error();
	return err;
}

/* 0 and negative are not told apart: a signature of nonsense numbers comes back as an error, too. */
static enum msp_err ec_verify(const struct msp_evp_alg *alg, EVP_PKEY *pkey, struct msp_evp_spares *spares,
			      struct msp_span data, struct msp_span sig)
{
	enum msp_err err = MSP_ECRYPTO;
	uint8_t hash[EVP_MAX_MD_SIZE], der[EC_DER_MAX];
	unsigned hash_len = 0;
	EVP_PKEY_CTX *ctx = take_spare(spares);

	if (ctx == NULL) {
		ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
		if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1)
			goto out;
	}
	if (EVP_Digest(data.ptr, data.len, hash, &hash_len, digest_of(alg), NULL) == 1)
		err = EVP_PKEY_verify(ctx, der, wire_to_der(sig, der), hash, hash_len) == 1 ? MSP_OK : MSP_ESIG;
out:
	if (err == MSP_ECRYPTO)
		EVP_PKEY_CTX_free(ctx);
	else
		give_spare(spares, ctx);
	return err;
}

static enum msp_err other_verify(const struct msp_evp_alg *alg, EVP_PKEY *pkey, struct msp_span data,
				 struct msp_span sig)
{
	enum msp_err err = MSP_ECRYPTO;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, alg->digest, NULL, NULL, pkey, NULL) == 1)
		err = EVP_DigestVerify(ctx, sig.ptr, sig.len, data.ptr, data.len) == 1 ? MSP_OK : MSP_ESIG;
	EVP_MD_CTX_free(ctx);
	return err;
}

enum msp_err msp_evp_verify(const struct msp_evp_alg *alg, EVP_PKEY *pkey, struct msp_evp_spares *spares,
			    struct msp_span data, struct msp_span sig)
{
	enum msp_err err;

	if (sig.len != signature_len(alg, pkey))
		return MSP_ESIG;
	err = is_ec(alg) ? ec_verify(alg, pkey, spares, data, sig) : other_verify(alg, pkey, data, sig);
	if (err != MSP_OK)
		ERR_clear_error();
	return err;
}
