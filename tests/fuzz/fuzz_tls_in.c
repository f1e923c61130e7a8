/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Octets into one end of TLS. The first octet says where: 0 a server waiting for a hello, 1 a client waiting for one,
 * 2 a server after the handshake; 3 two ends that talk while the rest of the input cuts, changes and repeats what goes
 * between them: what comes out is what went in, from its beginning on, or nothing.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "io/tls_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Stays in release builds. */
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			abort();                                                                                       \
	} while (0)

#define WIRE_MAX (1u << 20)
#define OUT_MAX  100000 /* nothing that comes in makes us hold more */

struct end {
	struct msp_tls_conn *conn;
	struct msp_buf in; /* on its way to it */
	size_t wrote, got; /* octets of the user's; the nth has the value n */
	bool is_up, is_dead;
};

static struct msp_tls *server_tls, *client_tls;

/* A certificate for this run; the files are gone when we return. */
static void make_contexts(void)
{
	char dir[] = "/tmp/msproto-fuzz-XXXXXX", cert_path[64], key_path[64];
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	uint8_t pin[1][MSP_TLS_PIN_LEN];
	struct msp_tls_params p = { .is_server = true, .certificate = cert_path, .private_key = key_path };
	FILE *f;

	CHECK(mkdtemp(dir) != NULL && key != NULL && cert != NULL);
	snprintf(cert_path, sizeof(cert_path), "%s/cert", dir);
	snprintf(key_path, sizeof(key_path), "%s/key", dir);
	X509_set_version(cert, 2);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
	f = fopen(cert_path, "w");
	CHECK(f != NULL && PEM_write_X509(f, cert) == 1 && fclose(f) == 0);
	f = fopen(key_path, "w");
	CHECK(f != NULL && fchmod(fileno(f), 0600) == 0);
	CHECK(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
	CHECK(msp_tls_new(&p, &server_tls, NULL) == MSP_OK);
	CHECK(msp_tls_pin_of_file(cert_path, pin[0], NULL) == MSP_OK);
	p = (struct msp_tls_params){ .pin = (const uint8_t(*)[MSP_TLS_PIN_LEN])pin, .pin_count = 1 };
	CHECK(msp_tls_new(&p, &client_tls, NULL) == MSP_OK);
	unlink(cert_path);
	unlink(key_path);
	rmdir(dir);
	EVP_PKEY_free(key);
	X509_free(cert);
}

static void open_end(struct end *e, struct msp_tls *tls)
{
	memset(e, 0, sizeof(*e));
	msp_buf_init(&e->in, WIRE_MAX);
	CHECK(msp_tls_conn_new(tls, &e->conn) == MSP_OK);
}

static void close_end(struct end *e)
{
	msp_tls_conn_free(&e->conn);
	msp_buf_fini(&e->in);
}

/* Our end takes what there is, and what it says goes to `peer` (NULL = nowhere). */
static void step(struct end *e, struct end *peer)
{
	static uint8_t plain[MSP_TLS_RECORD_MAX];
	enum msp_tls_step s = MSP_TLS_WAIT;
	size_t before = e->in.len, len;
	struct msp_span out;

	msp_tls_conn_set_input(e->conn, msp_buf_span(&e->in));
	if (!e->is_up && !e->is_dead) {
		s = msp_tls_conn_handshake(e->conn);
		e->is_up = s == MSP_TLS_DONE;
	}
	while (e->is_up && !e->is_dead) {
		s = msp_tls_conn_read(e->conn, plain, sizeof(plain), &len);
		if (s != MSP_TLS_DONE)
			break;
		CHECK(len > 0 && len <= sizeof(plain));
		for (size_t i = 0; i < len; i++)
			CHECK(plain[i] == (uint8_t)e->got++);
		CHECK(peer != NULL && e->got <= peer->wrote);
	}
	e->is_dead = e->is_dead || s == MSP_TLS_FAILED || s == MSP_TLS_END;
	CHECK(s != MSP_TLS_FAILED || msp_tls_conn_error(e->conn) != MSP_OK);
	CHECK(msp_tls_conn_input_left(e->conn) <= before);
	if (e->is_dead)
		msp_buf_reset(&e->in);
	else
		msp_buf_consume(&e->in, before - msp_tls_conn_input_left(e->conn));
	msp_tls_conn_set_input(e->conn, msp_span(NULL, 0));
	out = msp_tls_conn_output(e->conn);
	CHECK(out.len < OUT_MAX);
	if (peer != NULL)
		msp_buf_add_span(&peer->in, out);
	msp_tls_conn_sent(e->conn, out.len);
	(void)msp_tls_conn_is_partial(e->conn);
}

static void shake(struct end *client, struct end *server)
{
	for (int i = 0; i < 4; i++) {
		step(client, server);
		step(server, client);
	}
	CHECK(client->is_up && server->is_up && !client->is_dead && !server->is_dead);
}

static void write_some(struct end *e, size_t len)
{
	static uint8_t plain[MSP_TLS_RECORD_MAX];

	if (len == 0 || !e->is_up || e->is_dead)
		return;
	for (size_t i = 0; i < len; i++)
		plain[i] = (uint8_t)(e->wrote + i);
	if (msp_tls_conn_write(e->conn, msp_span(plain, len)) == MSP_TLS_DONE)
		e->wrote += len;
}

/* What happens to the octets in `in`: chosen by one octet of the input, measured by the next. */
static void disturb(struct end *e, uint8_t how, uint8_t amount)
{
	size_t at = e->in.len > 0 ? amount % e->in.len : 0;

	switch (how & 7) {
	case 0:
		msp_buf_consume(&e->in, at);
		break;
	case 1:
		e->in.len -= e->in.len > 0 ? at : 0;
		break;
	case 2:
		if (e->in.len > 0)
			e->in.ptr[at] ^= (uint8_t)(1 + (how >> 3));
		break;
	case 3:
		msp_buf_add(&e->in, "\x17\x03\x03\x00\x11", 5);
		break;
	default:
		break; /* as it was */
	}
}

static void talk(struct msp_span script)
{
	struct end client, server;

	open_end(&client, client_tls);
	open_end(&server, server_tls);
	if (script.len > 0 && (script.ptr[0] & 1) != 0)
		shake(&client, &server);
	for (size_t i = 0; i + 3 <= script.len && i < 300; i += 3) {
		struct end *from = (script.ptr[i] & 0x80) != 0 ? &client : &server;
		struct end *to = from == &client ? &server : &client;

		write_some(from, ((size_t)script.ptr[i + 1] * 61) % (MSP_TLS_RECORD_MAX + 1));
		if ((script.ptr[i] & 0x78) == 0x78)
			msp_tls_conn_finish(from->conn);
		step(from, to);
		disturb(to, script.ptr[i], script.ptr[i + 2]);
		step(to, from);
	}
	close_end(&client);
	close_end(&server);
}

static void feed(struct msp_span octets, bool is_client, bool is_up)
{
	struct end e, other;
	size_t piece = octets.len > 0 ? 1 + octets.ptr[0] : 1;

	open_end(&e, is_client ? client_tls : server_tls);
	open_end(&other, is_client ? server_tls : client_tls);
	if (is_up)
		shake(&other, &e);
	for (size_t at = 0; at < octets.len && !e.is_dead; at += piece) {
		msp_buf_add_span(&e.in, msp_span(octets.ptr + at, octets.len - at < piece ? octets.len - at : piece));
		step(&e, NULL);
	}
	CHECK(e.got == 0); /* nobody can have encrypted it */
	close_end(&e);
	close_end(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (server_tls == NULL)
		make_contexts();
	if (len == 0)
		return 0;
	if (data[0] % 4 == 3)
		talk(msp_span(data + 1, len - 1));
	else
		feed(msp_span(data + 1, len - 1), data[0] % 4 == 1, data[0] % 4 == 2);
	return 0;
}
