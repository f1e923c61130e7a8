/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What tls.c (contexts), tls_verify.c (whom we believe) and tls_conn.c (one connection) share. */
#ifndef MSPROTO_SRC_IO_TLS_PRIV_H
#define MSPROTO_SRC_IO_TLS_PRIV_H

#include "io/tls_conn.h"

#include <openssl/ssl.h>

struct msp_tls {
	unsigned refs;
	bool is_server, use_tlsa;
	SSL_CTX *ctx;           /* owned */
	BIO_METHOD *bio;        /* owned: how connections exchange octets */
	X509_STORE *ca;         /* owned; NULL = none */
	char *auth_name;        /* owned, without a final dot; NULL = none */
	struct msp_rrset *tlsa; /* owned; NULL = none */
	size_t pin_count;
	uint8_t pin[MSP_TLS_PINS_MAX][MSP_TLS_PIN_LEN];
};

struct msp_tls_conn {
	struct msp_tls *tls; /* shared */
	SSL *ssl;            /* owned */
	struct msp_span in;
	uint8_t *out; /* owned; NULL while there is nothing to send */
	size_t out_at, out_len;
	bool is_secured, has_failed;
	struct msp_tls_peer peer;
	enum msp_err err;
	char reason[MSP_TLS_REASON_MAX];
};

/** How a connection of this context reaches its octets; for tls.c. NULL when out of memory. */
BIO_METHOD *msp_tls_bio_new(void);
/** SSL_CTX_set_cert_verify_callback: arg is the struct msp_tls. */
int msp_tls_verify(X509_STORE_CTX *store, void *arg);
/** SHA-256 of the certificate's SubjectPublicKeyInfo. False: out of memory. */
bool msp_tls_pin_of(const X509 *cert, uint8_t pin[MSP_TLS_PIN_LEN]);
/** A record we can use (RFC 7671; usages 2 and 3 only). */
bool msp_tls_is_usable(struct msp_span rdata);
/** Client: the records, into a connection that is to be checked with them. */
MSP_CHECKED enum msp_err msp_tls_add_tlsa(const struct msp_tls *tls, SSL *ssl);
/** Remember why; the first reason stays. */
void msp_tls_conn_blame(struct msp_tls_conn *c, enum msp_err err, const char *fmt, ...) MSP_PRINTF(3, 4);

#endif
