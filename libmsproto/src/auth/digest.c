/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/auth/digest.h>

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
