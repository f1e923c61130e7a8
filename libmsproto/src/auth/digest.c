/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/auth/digest.h>

#include <msproto/base/mem.h>

#include <openssl/err.h>
#include <openssl/evp.h>

static enum msp_err digest(const EVP_MD *md, const struct msp_span *parts, size_t count, uint8_t *out)
{
	enum msp_err err = MSP_ECRYPTO;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestInit_ex(ctx, md, NULL) != 1)
		goto out;
	for (size_t i = 0; i < count; i++)
		if (parts[i].len != 0 && EVP_DigestUpdate(ctx, parts[i].ptr, parts[i].len) != 1)
			goto out;
	if (EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		goto out;
	err = MSP_OK;
out:
	if (err != MSP_OK)
		ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	return err;
}

enum msp_err msp_sha256(const struct msp_span *parts, size_t count, uint8_t out[32])
{
	return digest(EVP_sha256(), parts, count, out);
}

enum msp_err msp_sha384(const struct msp_span *parts, size_t count, uint8_t out[48])
{
	return digest(EVP_sha384(), parts, count, out);
}

struct msp_digest {
	EVP_MD_CTX *ctx; /* owned */
	bool has_failed;
};

enum msp_err msp_digest_new(enum msp_hash_alg alg, struct msp_digest **out)
{
	struct msp_digest *d = msp_alloc(1, sizeof(*d));

	*out = NULL;
	if (d == NULL)
		return MSP_ENOMEM;
	d->ctx = EVP_MD_CTX_new();
	if (d->ctx == NULL ||
	    EVP_DigestInit_ex(d->ctx, alg == MSP_HASH_SHA512 ? EVP_sha512() : EVP_sha384(), NULL) != 1) {
		ERR_clear_error();
		msp_digest_free(&d);
		return MSP_ECRYPTO;
	}
	*out = d;
	return MSP_OK;
}

void msp_digest_add(struct msp_digest *d, struct msp_span octets)
{
	if (!d->has_failed && octets.len != 0 && EVP_DigestUpdate(d->ctx, octets.ptr, octets.len) != 1)
		d->has_failed = true;
}

enum msp_err msp_digest_final(struct msp_digest *d, uint8_t out[MSP_DIGEST_MAX], size_t *len)
{
	unsigned n = 0;

	if (d->has_failed || EVP_DigestFinal_ex(d->ctx, out, &n) != 1) {
		ERR_clear_error();
		return MSP_ECRYPTO;
	}
	d->has_failed = true; /* it is used up */
	*len = n;
	return MSP_OK;
}

void msp_digest_free(struct msp_digest **d)
{
	if (*d == NULL)
		return;
	EVP_MD_CTX_free((*d)->ctx);
	msp_free(*d);
	*d = NULL;
}
