/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tls_priv.h"

#include <assert.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <msproto/base/mem.h>

#define RECORD_ROOM (MSP_TLS_RECORD_MAX + 256) /* RFC 8446 5.2: what encryption may add */
#define OUT_MAX     (4 * RECORD_ROOM)

static const unsigned char dot[] = { 3, 'd', 'o', 't' };

void msp_tls_conn_blame(struct msp_tls_conn *c, enum msp_err err, const char *fmt, ...)
{
	va_list ap;

	if (c->err != MSP_OK)
		return;
	c->err = err;
	va_start(ap, fmt);
	(void)vsnprintf(c->reason, sizeof(c->reason), fmt, ap);
	va_end(ap);
}

/* --- the octets --- */

static int bio_read(BIO *bio, char *to, int len)
{
	struct msp_tls_conn *c = BIO_get_data(bio);
	size_t n = len < 0 ? 0 : (size_t)len;

	BIO_clear_retry_flags(bio);
	if (c->in.len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > c->in.len)
		n = c->in.len;
	memcpy(to, c->in.ptr, n);
	c->in = msp_span(c->in.ptr + n, c->in.len - n);
	return (int)n;
}

static int bio_write(BIO *bio, const char *from, int len)
{
	struct msp_tls_conn *c = BIO_get_data(bio);
	size_t n = len < 0 ? 0 : (size_t)len;

	BIO_clear_retry_flags(bio);
	if (c->out == NULL)
		c->out = msp_alloc(1, OUT_MAX);
	if (c->out == NULL)
		return -1; /* no retry: it fails */
	if (n > OUT_MAX - c->out_len)
		n = OUT_MAX - c->out_len;
	if (n == 0) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(c->out + c->out_len, from, n);
	c->out_len += n;
	return (int)n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *msp_tls_bio_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "msproto");

	if (m != NULL && BIO_meth_set_read(m, bio_read) == 1 && BIO_meth_set_write(m, bio_write) == 1 &&
	    BIO_meth_set_ctrl(m, bio_ctrl) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

struct msp_span msp_tls_conn_output(const struct msp_tls_conn *c)
{
	return msp_span(c->out != NULL ? c->out + c->out_at : NULL, c->out_len - c->out_at);
}

void msp_tls_conn_sent(struct msp_tls_conn *c, size_t len)
{
	assert(len <= c->out_len - c->out_at);
	c->out_at += len;
	if (c->out_at < c->out_len)
		return;
	c->out_at = c->out_len = 0;
	msp_free(c->out);
	c->out = NULL;
}

void msp_tls_conn_set_input(struct msp_tls_conn *c, struct msp_span octets)
{
	c->in = octets;
}

size_t msp_tls_conn_input_left(const struct msp_tls_conn *c)
{
	return c->in.len;
}

/* --- the machine --- */

/* What OpenSSL says after a call that gave rc. */
static enum msp_tls_step outcome(struct msp_tls_conn *c, int rc)
{
	unsigned long e;

	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_NONE:
		return MSP_TLS_DONE;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return MSP_TLS_WAIT;
	case SSL_ERROR_ZERO_RETURN:
		return MSP_TLS_END;
	default:
		break;
	}
	c->has_failed = true;
	e = ERR_peek_error();
	if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) > SSL_AD_REASON_OFFSET)
		msp_tls_conn_blame(c, MSP_EREFUSED, "the other side refused: alert \"%s\"",
				   SSL_alert_desc_string_long(ERR_GET_REASON(e) - SSL_AD_REASON_OFFSET));
	else if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
		msp_tls_conn_blame(c, MSP_ENOMEM, "out of memory");
	else
		msp_tls_conn_blame(c, MSP_ENET, "TLS: %s",
				   e != 0 ? ERR_reason_error_string(e) : "the library gives no reason");
	ERR_clear_error();
	return MSP_TLS_FAILED;
}

/* RFC 9103 9.3.1: without ALPN "dot" there is nothing to talk about. */
static bool is_dot(const SSL *ssl)
{
	const unsigned char *alpn = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	return len == sizeof(dot) - 1 && memcmp(alpn, dot + 1, len) == 0;
}

enum msp_tls_step msp_tls_conn_handshake(struct msp_tls_conn *c)
{
	enum msp_tls_step step;

	assert(!c->is_secured);
	if (c->has_failed)
		return MSP_TLS_FAILED;
	ERR_clear_error();
	step = outcome(c, SSL_do_handshake(c->ssl));
	if (step != MSP_TLS_DONE)
		return step;
	if (!is_dot(c->ssl)) {
		msp_tls_conn_blame(c, MSP_ENOKEY, "the other side does not speak ALPN \"dot\"");
		c->has_failed = true;
		return MSP_TLS_FAILED;
	}
	c->is_secured = true;
	return MSP_TLS_DONE;
}

enum msp_tls_step msp_tls_conn_read(struct msp_tls_conn *c, uint8_t *to, size_t cap, size_t *len)
{
	assert(c->is_secured);
	*len = 0;
	if (c->has_failed)
		return MSP_TLS_FAILED;
	ERR_clear_error();
	return outcome(c, SSL_read_ex(c->ssl, to, cap, len));
}

enum msp_tls_step msp_tls_conn_write(struct msp_tls_conn *c, struct msp_span plain)
{
	size_t taken = 0;

	assert(c->is_secured && plain.len > 0 && plain.len <= MSP_TLS_RECORD_MAX);
	if (c->has_failed)
		return MSP_TLS_FAILED;
	if (OUT_MAX - c->out_len < RECORD_ROOM)
		return MSP_TLS_WAIT;
	ERR_clear_error();
	return outcome(c, SSL_write_ex(c->ssl, plain.ptr, plain.len, &taken));
}

void msp_tls_conn_finish(struct msp_tls_conn *c)
{
	if (!c->is_secured || c->has_failed)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(c->ssl); /* 0: told, and the peer has not answered yet, which we do not wait for */
	ERR_clear_error();
}

bool msp_tls_conn_is_partial(const struct msp_tls_conn *c)
{
	/* Some octets of a header or of a body, or a whole header alone ("read body"). */
	return SSL_has_pending(c->ssl) == 1 || strcmp(SSL_rstate_string(c->ssl), "RB") == 0;
}

const struct msp_tls_peer *msp_tls_conn_peer(const struct msp_tls_conn *c)
{
	return c->is_secured ? &c->peer : NULL;
}

enum msp_err msp_tls_conn_error(const struct msp_tls_conn *c)
{
	return c->err;
}

const char *msp_tls_conn_reason(const struct msp_tls_conn *c)
{
	return c->reason;
}

static enum msp_err prepare_client(struct msp_tls_conn *c)
{
	char *name = c->tls->auth_name; /* what OpenSSL makes of it casts const away */

	SSL_set_connect_state(c->ssl);
	if (SSL_set_alpn_protos(c->ssl, dot, sizeof(dot)) != 0) /* zero is good */
		return MSP_ENOMEM;
	if (name != NULL && SSL_set_tlsext_host_name(c->ssl, name) != 1)
		return MSP_ENOMEM;
	return msp_tls_add_tlsa(c->tls, c->ssl);
}

enum msp_err msp_tls_conn_new(struct msp_tls *tls, struct msp_tls_conn **out)
{
	struct msp_tls_conn *c = msp_alloc(1, sizeof(*c));
	BIO *bio = NULL;
	enum msp_err err = MSP_ENOMEM;

	if (c == NULL)
		return MSP_ENOMEM;
	c->tls = msp_tls_ref(tls);
	c->ssl = SSL_new(tls->ctx);
	bio = BIO_new(tls->bio);
	if (c->ssl == NULL || bio == NULL || SSL_set_app_data(c->ssl, c) != 1)
		goto out;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio); /* takes the one reference for both */
	bio = NULL;
	err = MSP_OK;
	if (tls->is_server)
		SSL_set_accept_state(c->ssl);
	else
		err = prepare_client(c);
out:
	ERR_clear_error();
	if (err == MSP_OK) {
		*out = c;
	} else {
		BIO_free(bio);
		msp_tls_conn_free(&c);
	}
	return err;
}

void msp_tls_conn_free(struct msp_tls_conn **c)
{
	struct msp_tls_conn *old = *c;

	if (old == NULL)
		return;
	*c = NULL;
	SSL_free(old->ssl);
	msp_free(old->out);
	msp_tls_unref(&old->tls);
	msp_free(old);
}
