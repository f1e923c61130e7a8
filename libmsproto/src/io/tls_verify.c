/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom we believe (RFC 8310 strict, RFC 9103 9.3). Every means that was given is tried, one is enough; what else holds
 * goes into the peer's record for the rules above.
 */
#include "io/tls_priv.h"

#include <openssl/x509v3.h>

#include <msproto/base/mem.h>
#include <msproto/wire/rdata.h>

#define USAGE_TA 2 /* RFC 7218 */
#define USAGE_EE 3

bool msp_tls_pin_of(const X509 *cert, uint8_t pin[MSP_TLS_PIN_LEN])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	unsigned digest_len = 0;
	bool ok;

	if (len <= 0)
		return false;
	ok = EVP_Digest(der, (size_t)len, pin, &digest_len, EVP_sha256(), NULL) == 1 && digest_len == MSP_TLS_PIN_LEN;
	OPENSSL_free(der);
	return ok;
}

static bool has_pin(const struct msp_tls *tls, const uint8_t pin[MSP_TLS_PIN_LEN])
{
	bool found = false;

	for (size_t i = 0; i < tls->pin_count; i++)
		found |= msp_secret_equal(msp_span(tls->pin[i], MSP_TLS_PIN_LEN), msp_span(pin, MSP_TLS_PIN_LEN));
	return found;
}

/* A chain of its own, up to `ca` and nothing else. A client also wants the certificate to be for the name it asked. */
static bool is_from_ca(const struct msp_tls *tls, X509_STORE_CTX *store, int *error)
{
	X509_STORE_CTX *own = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	bool ok = false;

	*error = X509_V_ERR_OUT_OF_MEM;
	if (own == NULL || X509_STORE_CTX_init(own, tls->ca, X509_STORE_CTX_get0_cert(store),
					       X509_STORE_CTX_get0_untrusted(store)) != 1)
		goto out;
	if (X509_STORE_CTX_set_default(own, tls->is_server ? "ssl_client" : "ssl_server") != 1)
		goto out;
	param = X509_STORE_CTX_get0_param(own);
	if (!tls->is_server) {
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
							       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
		if (X509_VERIFY_PARAM_set1_host(param, tls->auth_name, 0) != 1)
			goto out;
	}
	ok = X509_verify_cert(own) == 1;
	*error = X509_STORE_CTX_get_error(own);
out:
	X509_STORE_CTX_free(own);
	return ok;
}

bool msp_tls_is_usable(struct msp_span rdata)
{
	static const size_t digest_len[] = { 0, 32, 64 }; /* RFC 6698 2.1.3; 0 = the whole */
	struct msp_tlsa t;

	if (msp_tlsa_parse(rdata, &t) != MSP_OK || (t.usage != USAGE_TA && t.usage != USAGE_EE))
		return false;
	if (t.selector > 1 || t.mtype >= sizeof(digest_len) / sizeof(digest_len[0]))
		return false;
	return digest_len[t.mtype] == 0 ? t.data.len > 0 : t.data.len == digest_len[t.mtype];
}

enum msp_err msp_tls_add_tlsa(const struct msp_tls *tls, SSL *ssl)
{
	if (tls->tlsa == NULL)
		return MSP_OK;
	if (SSL_dane_enable(ssl, tls->auth_name) != 1)
		return MSP_ENOMEM;
	/* RFC 7671 5.1: with DANE-EE the key alone counts, neither names nor dates. */
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < tls->tlsa->count; i++) {
		struct msp_tlsa t;

		if (!msp_tls_is_usable(tls->tlsa->rdata[i]) || msp_tlsa_parse(tls->tlsa->rdata[i], &t) != MSP_OK)
			continue;
		/* 0: not usable after all, such as a whole certificate that is none. */
		if (SSL_dane_tlsa_add(ssl, t.usage, t.selector, t.mtype, t.data.ptr, t.data.len) < 0)
			return MSP_ENOMEM;
	}
	return MSP_OK;
}

/* Only when records are there: without, OpenSSL would do what it does by default. */
static bool is_in_tlsa(const struct msp_tls *tls, SSL *ssl, X509_STORE_CTX *store)
{
	return tls->tlsa != NULL && SSL_get0_dane(ssl) != NULL && X509_verify_cert(store) == 1 &&
	       SSL_get0_dane_authority(ssl, NULL, NULL) >= 0;
}

int msp_tls_verify(X509_STORE_CTX *store, void *arg)
{
	const struct msp_tls *tls = arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct msp_tls_conn *c = SSL_get_app_data(ssl);
	const X509 *cert = X509_STORE_CTX_get0_cert(store);
	int ca_error = X509_V_OK;
	bool is_good;

	c->peer.has_certificate = cert != NULL && msp_tls_pin_of(cert, c->peer.pin);
	if (!c->peer.has_certificate) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
		return 0;
	}
	c->peer.is_ca_valid = tls->ca != NULL && is_from_ca(tls, store, &ca_error);
	is_good = c->peer.is_ca_valid || has_pin(tls, c->peer.pin) || is_in_tlsa(tls, ssl, store);
	X509_STORE_CTX_set_error(store, is_good ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
	if (!is_good)
		msp_tls_conn_blame(c, MSP_ENOKEY, "the certificate is not believed:%s%s%s%s%s",
				   tls->pin_count > 0 ? " no pin matches;" : "",
				   tls->use_tlsa
					   ? (tls->tlsa != NULL ? " no TLSA record matches;" : " no TLSA records;")
					   : "",
				   tls->ca != NULL ? " ca: " : "",
				   tls->ca != NULL ? X509_verify_cert_error_string(ca_error) : "",
				   tls->ca != NULL ? ";" : "");
	return is_good;
}
