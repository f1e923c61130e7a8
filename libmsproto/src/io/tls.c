/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tls_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>

#define HOST_NAME_MAX_LEN 253
#define QUERY_BLOCK       128 /* RFC 8467 4.1 */
#define RESPONSE_BLOCK    468

static const char *ssl_reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "unknown reason";
}

/* --- what every connection of a context has in common --- */

/* RFC 9103 9.3.1. A client that does not say "dot" is turned away before anything is computed for it. */
static int on_hello(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *ext;
	size_t len;

	(void)arg;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &ext, &len) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	msp_tls_conn_blame(SSL_get_app_data(ssl), MSP_ENOKEY, "the client does not offer ALPN");
	return SSL_CLIENT_HELLO_ERROR;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		   unsigned in_len, void *arg)
{
	(void)arg;
	for (unsigned at = 0; at < in_len && in[at] < in_len - at; at += 1u + in[at]) {
		if (in[at] == 3 && memcmp(in + at + 1, "dot", 3) == 0) {
			*out = in + at + 1;
			*out_len = 3;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	msp_tls_conn_blame(SSL_get_app_data(ssl), MSP_ENOKEY, "the client does not offer ALPN \"dot\"");
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A key with a passphrase is an error, not a question at the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static bool has_means(const struct msp_tls *tls)
{
	return tls->ca != NULL || tls->pin_count > 0 || tls->use_tlsa;
}

static enum msp_err prepare_context(struct msp_tls *tls, struct msp_why *why)
{
	tls->bio = msp_tls_bio_new();
	tls->ctx = SSL_CTX_new(tls->is_server ? TLS_server_method() : TLS_client_method());
	if (tls->bio == NULL || tls->ctx == NULL || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_3_VERSION) != 1)
		return msp_fail(why, MSP_ENOMEM, "TLS: %s", ssl_reason());
	/* Every connection shows who it is: no tickets, no resumption, no early data. */
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_default_passwd_cb(tls->ctx, no_passphrase);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Padding is done by TLS itself (RFC 8446 5.4): it covers every message, with EDNS or without. */
	if (SSL_CTX_set_num_tickets(tls->ctx, 0) != 1 ||
	    SSL_CTX_set_block_padding(tls->ctx, tls->is_server ? RESPONSE_BLOCK : QUERY_BLOCK) != 1)
		return msp_fail(why, MSP_ENOMEM, "TLS: %s", ssl_reason());
	if (tls->is_server) {
		SSL_CTX_set_client_hello_cb(tls->ctx, on_hello, NULL);
		SSL_CTX_set_alpn_select_cb(tls->ctx, on_alpn, NULL);
	}
	if (tls->use_tlsa && SSL_CTX_dane_enable(tls->ctx) != 1)
		return msp_fail(why, MSP_ENOMEM, "TLS: %s", ssl_reason());
	if (has_means(tls)) {
		SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		SSL_CTX_set_cert_verify_callback(tls->ctx, msp_tls_verify, tls);
	}
	return MSP_OK;
}

/* --- files --- */

static enum msp_err load_key(struct msp_tls *tls, const char *path, struct msp_why *why)
{
	EVP_PKEY *key = NULL;
	FILE *file = NULL;
	struct stat st;
	enum msp_err err = MSP_ECONF;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return msp_fail(why, MSP_EIO, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		err = msp_fail(why, MSP_ECONF, "%s: not a file", path);
		goto out;
	}
	if ((st.st_mode & 077) != 0) {
		err = msp_fail(why, MSP_ECONF, "%s: others may read it: must be 0600 or stricter", path);
		goto out;
	}
	file = fdopen(fd, "r");
	if (file == NULL) {
		err = msp_fail(why, MSP_ENOMEM, "%s: %s", path, strerror(errno));
		goto out;
	}
	key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	if (key == NULL)
		err = msp_fail(why, MSP_ECONF, "%s: no private key in PEM (or one with a passphrase)", path);
	else if (SSL_CTX_use_PrivateKey(tls->ctx, key) != 1 || SSL_CTX_check_private_key(tls->ctx) != 1)
		err = msp_fail(why, MSP_ECONF, "%s: does not belong to the certificate: %s", path, ssl_reason());
	else
		err = MSP_OK;
out:
	EVP_PKEY_free(key);
	if (file != NULL)
		(void)fclose(file);
	else
		(void)close(fd);
	return err;
}

static enum msp_err check_readable(const char *path, struct msp_why *why)
{
	return access(path, R_OK) == 0 ? MSP_OK : msp_fail(why, MSP_EIO, "%s: %s", path, strerror(errno));
}

static enum msp_err load_identity(struct msp_tls *tls, const struct msp_tls_params *p, struct msp_why *why)
{
	enum msp_err err;

	if ((p->certificate == NULL) != (p->private_key == NULL))
		return msp_fail(why, MSP_ECONF, "certificate and private key: both or none");
	if (p->certificate == NULL)
		return p->is_server ? msp_fail(why, MSP_ECONF, "a server needs a certificate") : MSP_OK;
	err = check_readable(p->certificate, why);
	if (err != MSP_OK)
		return err;
	if (SSL_CTX_use_certificate_chain_file(tls->ctx, p->certificate) != 1)
		return msp_fail(why, MSP_ECONF, "%s: no certificate in PEM: %s", p->certificate, ssl_reason());
	return load_key(tls, p->private_key, why);
}

static enum msp_err load_ca(struct msp_tls *tls, const char *path, struct msp_why *why)
{
	enum msp_err err = check_readable(path, why);

	if (err != MSP_OK)
		return err;
	tls->ca = X509_STORE_new();
	if (tls->ca == NULL)
		return msp_fail(why, MSP_ENOMEM, "out of memory");
	if (X509_STORE_load_file(tls->ca, path) != 1)
		return msp_fail(why, MSP_ECONF, "%s: no certificate in PEM: %s", path, ssl_reason());
	return MSP_OK;
}

/* --- means --- */

static enum msp_err take_name(struct msp_tls *tls, const char *name, struct msp_why *why)
{
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '.') /* neither SNI (RFC 6066 3) nor certificates have the final dot */
		len--;
	if (len == 0 || len > HOST_NAME_MAX_LEN)
		return msp_fail(why, MSP_ECONF, "auth-name: not a host name");
	tls->auth_name = msp_memdup(name, len);
	return tls->auth_name != NULL ? MSP_OK : msp_fail(why, MSP_ENOMEM, "out of memory");
}

static enum msp_err take_means(struct msp_tls *tls, const struct msp_tls_params *p, struct msp_why *why)
{
	enum msp_err err = MSP_OK;

	if (p->pin_count > MSP_TLS_PINS_MAX)
		return msp_fail(why, MSP_ECONF, "more than %d pins", MSP_TLS_PINS_MAX);
	if (p->pin_count > 0)
		memcpy(tls->pin, p->pin, p->pin_count * sizeof(tls->pin[0]));
	tls->pin_count = p->pin_count;
	tls->use_tlsa = p->use_tlsa;
	if (p->is_server && p->use_tlsa)
		return msp_fail(why, MSP_ECONF, "TLSA records tell of servers: a client asks for them");
	if (!p->is_server && p->auth_name == NULL && (p->ca != NULL || p->use_tlsa))
		return msp_fail(why, MSP_ECONF, "ca and tlsa need an auth-name");
	if (!p->is_server && p->ca == NULL && p->pin_count == 0 && !p->use_tlsa)
		return msp_fail(why, MSP_ECONF, "nothing to know the server by: pins, ca or tlsa");
	if (p->auth_name != NULL)
		err = take_name(tls, p->auth_name, why);
	if (err == MSP_OK && p->ca != NULL)
		err = load_ca(tls, p->ca, why);
	return err;
}

enum msp_err msp_tls_new(const struct msp_tls_params *p, struct msp_tls **out, struct msp_why *why)
{
	struct msp_tls *tls = msp_alloc(1, sizeof(*tls));
	enum msp_err err;

	*out = NULL;
	if (tls == NULL)
		return msp_fail(why, MSP_ENOMEM, "out of memory");
	tls->refs = 1;
	tls->is_server = p->is_server;
	ERR_clear_error();
	err = take_means(tls, p, why);
	if (err == MSP_OK)
		err = prepare_context(tls, why);
	if (err == MSP_OK)
		err = load_identity(tls, p, why);
	ERR_clear_error();
	if (err == MSP_OK)
		*out = tls;
	else
		msp_tls_unref(&tls);
	return err;
}

struct msp_tls *msp_tls_ref(struct msp_tls *tls)
{
	if (tls != NULL)
		tls->refs++;
	return tls;
}

void msp_tls_unref(struct msp_tls **tls)
{
	struct msp_tls *old = *tls;

	*tls = NULL;
	if (old == NULL)
		return;
	assert(old->refs > 0);
	if (--old->refs > 0)
		return;
	SSL_CTX_free(old->ctx);
	BIO_meth_free(old->bio);
	X509_STORE_free(old->ca);
	msp_free(old->auth_name);
	msp_rrset_free(&old->tlsa);
	msp_free(old);
}

enum msp_err msp_tls_set_tlsa(struct msp_tls *tls, const struct msp_rrset *tlsa, struct msp_why *why)
{
	enum msp_err err;
	size_t usable = 0;

	if (!tls->use_tlsa)
		return msp_fail(why, MSP_ESTATE, "this context does not go by TLSA records");
	/* What is no longer said does not hold, even if we cannot use what is said instead. */
	msp_rrset_free(&tls->tlsa);
	if (tlsa == NULL)
		return MSP_OK;
	for (size_t i = 0; i < tlsa->count; i++)
		usable += msp_tls_is_usable(tlsa->rdata[i]);
	if (tlsa->type != MSP_TYPE_TLSA || usable == 0)
		return msp_fail(why, MSP_EVALUE, "no TLSA record of usage 2 or 3 that can be used");
	err = msp_rrset_dup(tlsa, &tls->tlsa);
	return err == MSP_OK ? MSP_OK : msp_fail(why, err, "%s", msp_err_text(err));
}

/* --- pins --- */

enum msp_err msp_tls_pin_from_text(const char *text, uint8_t pin[MSP_TLS_PIN_LEN])
{
	enum msp_err err = MSP_EVALUE;
	struct msp_buf octets;

	msp_buf_init(&octets, MSP_TLS_PIN_LEN + 2);
	if (msp_b64_parse(msp_span_str(text), &octets) == MSP_OK && octets.len == MSP_TLS_PIN_LEN) {
		memcpy(pin, octets.ptr, MSP_TLS_PIN_LEN);
		err = MSP_OK;
	}
	msp_buf_fini(&octets);
	return err;
}

enum msp_err msp_tls_pin_of_file(const char *path, uint8_t pin[MSP_TLS_PIN_LEN], struct msp_why *why)
{
	enum msp_err err = MSP_OK;
	X509 *cert = NULL;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return msp_fail(why, MSP_EIO, "%s: %s", path, strerror(errno));
	cert = PEM_read_X509(file, NULL, no_passphrase, NULL);
	if (cert == NULL)
		err = msp_fail(why, MSP_ECONF, "%s: no certificate in PEM", path);
	else if (!msp_tls_pin_of(cert, pin))
		err = msp_fail(why, MSP_ENOMEM, "out of memory");
	X509_free(cert);
	(void)fclose(file);
	ERR_clear_error();
	return err;
}
