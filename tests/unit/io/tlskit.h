/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the tests of TLS share: certificates made on the spot, and a foreign TLS client on a plain socket. */
#ifndef TEST_TLSKIT_H
#define TEST_TLSKIT_H

#include "iokit.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <msproto/base/enc.h>
#include <msproto/io/tls.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* One authority, a server and a client of it, and somebody whom nobody knows. Each in NAME.pem and NAME.key. */
struct pki {
	char dir[64];
};

struct pki_who {
	EVP_PKEY *key;
	X509 *cert;
};

static inline const char *pki_path(const struct pki *p, const char *name)
{
	static char path[8][128];
	static unsigned at;
	char *out = path[at++ % 8];

	snprintf(out, sizeof(path[0]), "%s/%s", p->dir, name);
	return out;
}

static inline void pki_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

/* issuer NULL: signed by itself. san NULL: none. from/to: days from now. */
static inline struct pki_who pki_make(const struct pki_who *issuer, const char *cn, const char *san, bool is_ca,
				      int from, int to)
{
	static long serial = 1;
	struct pki_who w = { .key = EVP_EC_gen("P-256"), .cert = X509_new() };
	X509_NAME *name = X509_get_subject_name(w.cert);

	assert_non_null(w.key);
	assert_int_equal(X509_set_version(w.cert, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(w.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(w.cert), from * 86400L);
	X509_gmtime_adj(X509_getm_notAfter(w.cert), to * 86400L);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(w.cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : name);
	X509_set_pubkey(w.cert, w.key);
	pki_extension(w.cert, issuer != NULL ? issuer->cert : w.cert, NID_basic_constraints,
		      is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (san != NULL)
		pki_extension(w.cert, w.cert, NID_subject_alt_name, san);
	assert_true(X509_sign(w.cert, issuer != NULL ? issuer->key : w.key, EVP_sha256()) > 0);
	return w;
}

/* The key, and the certificate followed by its issuer's. */
static inline void pki_store(const struct pki *p, const char *name, const struct pki_who *w,
			     const struct pki_who *issuer)
{
	char file[64];
	FILE *f;

	snprintf(file, sizeof(file), "%s.pem", name);
	f = fopen(pki_path(p, file), "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, w->cert), 1);
	if (issuer != NULL)
		assert_int_equal(PEM_write_X509(f, issuer->cert), 1);
	fclose(f);
	snprintf(file, sizeof(file), "%s.key", name);
	f = fopen(pki_path(p, file), "w");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(PEM_write_PrivateKey(f, w->key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

static inline void pki_free(struct pki_who *w)
{
	EVP_PKEY_free(w->key);
	X509_free(w->cert);
}

static inline void pki_open(struct pki *p)
{
	struct pki_who ca, server, client, other, old;

	snprintf(p->dir, sizeof(p->dir), "/tmp/msproto-tls-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	ca = pki_make(NULL, "authority", NULL, true, -1, 10);
	server = pki_make(&ca, "a server", "DNS:ns.example.test", false, -1, 10);
	client = pki_make(&ca, "a client", NULL, false, -1, 10);
	other = pki_make(NULL, "nobody", "DNS:ns.example.test", true, -1, 10);
	old = pki_make(&ca, "a server of yesterday", "DNS:ns.example.test", false, -10, -1);
	pki_store(p, "ca", &ca, NULL);
	pki_store(p, "server", &server, &ca);
	pki_store(p, "client", &client, &ca);
	pki_store(p, "other", &other, NULL);
	pki_store(p, "old", &old, &ca);
	pki_free(&ca);
	pki_free(&server);
	pki_free(&client);
	pki_free(&other);
	pki_free(&old);
}

static inline void pki_close(struct pki *p)
{
	static const char *const names[] = { "ca", "server", "client", "other", "old" };
	char file[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(file, sizeof(file), "%s.pem", names[i]);
		unlink(pki_path(p, file));
		snprintf(file, sizeof(file), "%s.key", names[i]);
		unlink(pki_path(p, file));
	}
	assert_int_equal(rmdir(p->dir), 0);
}

/* Certificate and key called `name`, the pins of the names in `pins` (comma between), the authority `ca`: NULL = none.
 */
static inline struct msp_tls *pki_tls(const struct pki *p, bool is_server, const char *name, const char *pins,
				      const char *ca, const char *auth_name, bool use_tlsa)
{
	uint8_t pin[4][MSP_TLS_PIN_LEN];
	char file[4][80];
	struct msp_tls_params params = { .is_server = is_server,
					 .auth_name = auth_name,
					 .use_tlsa = use_tlsa,
					 .pin = (const uint8_t(*)[MSP_TLS_PIN_LEN])pin };
	struct msp_why why = { "" };
	struct msp_tls *tls = NULL;

	if (name != NULL) {
		snprintf(file[0], sizeof(file[0]), "%s/%s.pem", p->dir, name);
		snprintf(file[1], sizeof(file[1]), "%s/%s.key", p->dir, name);
		params.certificate = file[0];
		params.private_key = file[1];
	}
	if (ca != NULL) {
		snprintf(file[2], sizeof(file[2]), "%s/%s.pem", p->dir, ca);
		params.ca = file[2];
	}
	for (size_t len; pins != NULL && *pins != '\0'; pins += len + (pins[len] == ',')) {
		len = strcspn(pins, ",");
		snprintf(file[3], sizeof(file[3]), "%s/%.*s.pem", p->dir, (int)len, pins);
		T_OK(msp_tls_pin_of_file(file[3], pin[params.pin_count++], NULL));
	}
	if (msp_tls_new(&params, &tls, &why) != MSP_OK)
		fail_msg("%s", why.text);
	return tls;
}

/* TLSA records of `name`: each "usage selector mtype" with the data worked out here, by OpenSSL alone. */
static inline struct msp_rrset *pki_tlsa(const struct pki *p, const char *name, uint8_t usage, uint8_t selector,
					 uint8_t mtype)
{
	char file[80];
	uint8_t rdata[3 + 4096], *der = NULL;
	struct msp_name owner = t_name("_853._tcp.ns.example.test.");
	struct msp_rrset *set;
	unsigned digest_len = 0;
	X509 *cert;
	FILE *f;
	int len;

	snprintf(file, sizeof(file), "%s/%s.pem", p->dir, name);
	f = fopen(file, "r");
	assert_non_null(f);
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(cert);
	len = selector == 0 ? i2d_X509(cert, &der) : i2d_PUBKEY(X509_get0_pubkey(cert), &der);
	assert_true(len > 0 && len < 4096);
	rdata[0] = usage;
	rdata[1] = selector;
	rdata[2] = mtype;
	if (mtype == 0) {
		memcpy(rdata + 3, der, (size_t)len);
		digest_len = (unsigned)len;
	} else {
		assert_int_equal(EVP_Digest(der, (size_t)len, rdata + 3, &digest_len,
					    mtype == 1 ? EVP_sha256() : EVP_sha512(), NULL),
				 1);
	}
	OPENSSL_free(der);
	X509_free(cert);
	T_OK(msp_rrset_new(&owner, MSP_TYPE_TLSA, 300, &set));
	T_OK(msp_rrset_add(set, msp_span(rdata, 3 + digest_len)));
	return set;
}

/* --- a client that is not ours, on a plain socket --- */

struct raw {
	struct k_loop *k;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	int rc, error; /* of the last call */
	uint8_t *to;
	size_t want, have;
};

static inline void raw_open(struct raw *r, struct k_loop *k, const struct msp_addr *to, const char *alpn, int version)
{
	memset(r, 0, sizeof(*r));
	r->k = k;
	r->fd = k_connect(to, SOCK_STREAM);
	assert_int_equal(fcntl(r->fd, F_SETFL, O_NONBLOCK), 0);
	r->ctx = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_set_max_proto_version(r->ctx, version), 1);
	r->ssl = SSL_new(r->ctx);
	SSL_set_fd(r->ssl, r->fd);
	if (alpn != NULL)
		assert_int_equal(SSL_set_alpn_protos(r->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn)), 0);
}

static inline void raw_identify(struct raw *r, const struct pki *p, const char *name)
{
	char file[2][80];

	snprintf(file[0], sizeof(file[0]), "%s/%s.pem", p->dir, name);
	snprintf(file[1], sizeof(file[1]), "%s/%s.key", p->dir, name);
	assert_int_equal(SSL_use_certificate_file(r->ssl, file[0], SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_use_PrivateKey_file(r->ssl, file[1], SSL_FILETYPE_PEM), 1);
}

static inline bool raw_is_waiting(struct raw *r)
{
	r->error = r->rc > 0 ? SSL_ERROR_NONE : SSL_get_error(r->ssl, r->rc);
	return r->error == SSL_ERROR_WANT_READ || r->error == SSL_ERROR_WANT_WRITE;
}

static inline bool raw_shake_step(void *arg)
{
	struct raw *r = arg;

	ERR_clear_error();
	r->rc = SSL_connect(r->ssl);
	return !raw_is_waiting(r);
}
static inline bool raw_shake(struct raw *r)
{
	assert_true(msp_loop_run_until(r->k->loop, raw_shake_step, r, K_LIMIT_MS));
	return r->rc == 1;
}

static inline bool raw_read_step(void *arg)
{
	struct raw *r = arg;

	while (r->have < r->want) {
		ERR_clear_error();
		r->rc = SSL_read(r->ssl, r->to + r->have, (int)(r->want - r->have));
		if (r->rc <= 0)
			return !raw_is_waiting(r);
		r->have += (size_t)r->rc;
	}
	return true;
}
/* Up to `want` octets, fewer when it ends; then r->error says how: SSL_ERROR_ZERO_RETURN is close_notify. */
static inline size_t raw_read(struct raw *r, void *to, size_t want)
{
	r->to = to;
	r->want = want;
	r->have = 0;
	assert_true(msp_loop_run_until(r->k->loop, raw_read_step, r, K_LIMIT_MS));
	return r->have;
}

static inline void raw_write(struct raw *r, const void *octets, size_t len)
{
	assert_int_equal(SSL_write(r->ssl, octets, (int)len), (int)len);
}

static inline void raw_close(struct raw *r)
{
	SSL_free(r->ssl);
	SSL_CTX_free(r->ctx);
	close(r->fd);
}

#endif
