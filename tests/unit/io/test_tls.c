/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom we believe, and the machine of one connection, without a socket: two ends and the octets between them. */
#include "tlskit.h"

#include <msproto/base/mem.h>

#include "io/tls_conn.h"

static struct pki pki;

static int open_pki(void **state)
{
	(void)state;
	pki_open(&pki);
	return 0;
}
static int close_pki(void **state)
{
	(void)state;
	pki_close(&pki);
	return 0;
}

/* Two ends. */
struct pair {
	struct msp_tls *client_tls, *server_tls;
	struct msp_tls_conn *client, *server;
	enum msp_tls_step client_step, server_step;
	struct msp_buf to_client, to_server; /* what an end has not taken yet */
};

static void carry(struct msp_tls_conn *from, struct msp_buf *wire)
{
	struct msp_span out = msp_tls_conn_output(from);

	msp_buf_add_span(wire, out);
	assert_int_equal(wire->err, MSP_OK);
	msp_tls_conn_sent(from, out.len);
}

static enum msp_tls_step shake(struct msp_tls_conn *c, struct msp_buf *in)
{
	enum msp_tls_step step;
	size_t before = in->len;

	msp_tls_conn_set_input(c, msp_buf_span(in));
	step = msp_tls_conn_handshake(c);
	msp_buf_consume(in, before - msp_tls_conn_input_left(c));
	msp_tls_conn_set_input(c, msp_span(NULL, 0));
	return step;
}

static enum msp_tls_step take(struct msp_tls_conn *c, struct msp_buf *in, uint8_t *to, size_t cap, size_t *len)
{
	enum msp_tls_step step;
	size_t before = in->len;

	msp_tls_conn_set_input(c, msp_buf_span(in));
	step = msp_tls_conn_read(c, to, cap, len);
	msp_buf_consume(in, before - msp_tls_conn_input_left(c));
	msp_tls_conn_set_input(c, msp_span(NULL, 0));
	return step;
}

static void pair_open(struct pair *p, struct msp_tls *client, struct msp_tls *server)
{
	memset(p, 0, sizeof(*p));
	p->client_tls = client;
	p->server_tls = server;
	msp_buf_init(&p->to_client, 1 << 20);
	msp_buf_init(&p->to_server, 1 << 20);
	T_OK(msp_tls_conn_new(client, &p->client));
	T_OK(msp_tls_conn_new(server, &p->server));
	p->client_step = p->server_step = MSP_TLS_WAIT;
	for (int i = 0; i < 10; i++) {
		if (p->client_step == MSP_TLS_WAIT)
			p->client_step = shake(p->client, &p->to_client);
		carry(p->client, &p->to_server);
		if (p->server_step == MSP_TLS_WAIT)
			p->server_step = shake(p->server, &p->to_server);
		carry(p->server, &p->to_client);
	}
}

static void pair_close(struct pair *p)
{
	msp_tls_conn_free(&p->client);
	msp_tls_conn_free(&p->server);
	msp_tls_unref(&p->client_tls);
	msp_tls_unref(&p->server_tls);
	msp_buf_fini(&p->to_client);
	msp_buf_fini(&p->to_server);
}

static struct msp_tls *plain_server(void)
{
	return pki_tls(&pki, true, "server", NULL, NULL, NULL, false);
}

/* --- a client and what it believes --- */

static void check_client(struct msp_tls *client, const char *server_is, bool is_believed)
{
	struct pair p;

	pair_open(&p, client, pki_tls(&pki, true, server_is, NULL, NULL, NULL, false));
	if (is_believed) {
		assert_int_equal(p.client_step, MSP_TLS_DONE);
		assert_int_equal(p.server_step, MSP_TLS_DONE);
		assert_true(msp_tls_conn_peer(p.client)->has_certificate);
		assert_false(msp_tls_conn_peer(p.server)->has_certificate);
	} else {
		assert_int_equal(p.client_step, MSP_TLS_FAILED);
		T_ERR(msp_tls_conn_error(p.client), MSP_ENOKEY);
		assert_int_not_equal(msp_tls_conn_reason(p.client)[0], '\0');
		assert_null(msp_tls_conn_peer(p.client));
		assert_int_equal(p.server_step, MSP_TLS_FAILED); /* it was told: an alert */
		T_ERR(msp_tls_conn_error(p.server), MSP_EREFUSED);
	}
	pair_close(&p);
}

static struct msp_tls *with_pins(const char *pins)
{
	return pki_tls(&pki, false, NULL, pins, NULL, NULL, false);
}
static struct msp_tls *with_ca(const char *ca, const char *name)
{
	return pki_tls(&pki, false, NULL, NULL, ca, name, false);
}

static void server_with_a_pinned_key_is_believed_and_no_other(void **state)
{
	(void)state;
	check_client(with_pins("server"), "server", true);
	check_client(with_pins("client,server"), "server", true);
	check_client(with_pins("client"), "server", false);
	check_client(with_pins("ca"), "server", false); /* the end certificate's only */
	check_client(with_pins("other"), "other", true);
	check_client(with_pins("old"), "old", true); /* a pin asks for no date */
}

static void server_of_the_authority_is_believed_under_its_name_only(void **state)
{
	(void)state;
	check_client(with_ca("ca", "ns.example.test"), "server", true);
	check_client(with_ca("ca", "ns.example.test."), "server", true);
	check_client(with_ca("ca", "NS.example.TEST"), "server", true);
	check_client(with_ca("ca", "other.example.test"), "server", false);
	check_client(with_ca("ca", "example.test"), "server", false);
	check_client(with_ca("other", "ns.example.test"), "server", false);
	check_client(with_ca("ca", "ns.example.test"), "other", false);
	check_client(with_ca("ca", "ns.example.test"), "old", false);
	check_client(with_ca("ca", "a server"), "server", false); /* a subject's common name is not a host name */
	check_client(with_ca("ca", "a client"), "client", false);
}

static void check_tlsa(const char *server_is, const char *name, const char *record_of, uint8_t usage, uint8_t selector,
		       uint8_t mtype, bool is_believed)
{
	struct msp_tls *tls = pki_tls(&pki, false, NULL, NULL, NULL, name, true);
	struct msp_rrset *set = pki_tlsa(&pki, record_of, usage, selector, mtype);

	T_OK(msp_tls_set_tlsa(tls, set, NULL));
	msp_rrset_free(&set);
	check_client(tls, server_is, is_believed);
}

static void server_is_believed_by_its_tlsa_record(void **state)
{
	(void)state;
	check_tlsa("server", "ns.example.test", "server", 3, 1, 1, true);
	check_tlsa("server", "ns.example.test", "server", 3, 1, 2, true);
	check_tlsa("server", "ns.example.test", "server", 3, 0, 1, true);
	check_tlsa("server", "ns.example.test", "server", 3, 1, 0, true);
	check_tlsa("server", "ns.example.test", "server", 3, 0, 0, true);
	check_tlsa("server", "ns.example.test", "other", 3, 1, 1, false);
	check_tlsa("server", "ns.example.test", "ca", 3, 1, 1, false);
	/* RFC 7671 5.1: neither name nor date. */
	check_tlsa("server", "somebody.else.test", "server", 3, 1, 1, true);
	check_tlsa("old", "ns.example.test", "old", 3, 1, 1, true);
}

static void server_is_believed_by_the_tlsa_record_of_its_authority(void **state)
{
	(void)state;
	check_tlsa("server", "ns.example.test", "ca", 2, 1, 1, true);
	check_tlsa("server", "ns.example.test", "ca", 2, 0, 1, true);
	check_tlsa("server", "ns.example.test", "other", 2, 1, 1, false);
	/* RFC 7671 5.2: here name and date count. */
	check_tlsa("server", "somebody.else.test", "ca", 2, 1, 1, false);
	check_tlsa("old", "ns.example.test", "ca", 2, 1, 1, false);
}

static void without_tlsa_records_nobody_is_believed(void **state)
{
	struct msp_tls *tls = pki_tls(&pki, false, NULL, NULL, NULL, "ns.example.test", true);
	struct msp_rrset *set = pki_tlsa(&pki, "server", 3, 1, 1);

	(void)state;
	check_client(msp_tls_ref(tls), "server", false);
	T_OK(msp_tls_set_tlsa(tls, set, NULL));
	check_client(msp_tls_ref(tls), "server", true);
	T_OK(msp_tls_set_tlsa(tls, NULL, NULL));
	check_client(tls, "server", false);
	msp_rrset_free(&set);
}

static void unusable_tlsa_records_replace_usable_ones(void **state)
{
	struct msp_tls *tls = pki_tls(&pki, false, NULL, NULL, NULL, "ns.example.test", true);
	struct msp_rrset *good = pki_tlsa(&pki, "server", 3, 1, 1);
	static const uint8_t bad[][3] = { { 0, 1, 1 }, { 1, 1, 1 }, { 4, 1, 1 }, { 3, 2, 1 }, { 3, 1, 3 } };
	struct msp_why why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct msp_name owner = t_name("_853._tcp.ns.example.test.");
		struct msp_rrset *set;
		uint8_t rdata[35];

		T_OK(msp_tls_set_tlsa(tls, good, &why));
		memcpy(rdata, good->rdata[0].ptr, sizeof(rdata));
		memcpy(rdata, bad[i], 3);
		T_OK(msp_rrset_new(&owner, MSP_TYPE_TLSA, 300, &set));
		T_OK(msp_rrset_add(set, msp_span(rdata, sizeof(rdata))));
		T_ERR(msp_tls_set_tlsa(tls, set, &why), MSP_EVALUE);
		check_client(msp_tls_ref(tls), "server", false);
		/* Beside a usable one they do no harm. */
		T_OK(msp_rrset_merge(set, good));
		T_OK(msp_tls_set_tlsa(tls, set, &why));
		check_client(msp_tls_ref(tls), "server", true);
		msp_rrset_free(&set);
	}
	msp_tls_unref(&tls);
	tls = with_pins("server");
	T_ERR(msp_tls_set_tlsa(tls, good, &why), MSP_ESTATE);
	msp_tls_unref(&tls);
	msp_rrset_free(&good);
}

static void of_several_means_one_is_enough(void **state)
{
	struct msp_rrset *good = pki_tlsa(&pki, "server", 3, 1, 1), *bad = pki_tlsa(&pki, "other", 3, 1, 1);

	(void)state;
	for (unsigned mask = 0; mask < 8; mask++) {
		bool by_pin = mask & 1, by_ca = mask & 2, by_tlsa = mask & 4;
		struct msp_tls *tls = pki_tls(&pki, false, NULL, by_pin ? "server" : "client", by_ca ? "ca" : "other",
					      "ns.example.test", true);

		T_OK(msp_tls_set_tlsa(tls, by_tlsa ? good : bad, NULL));
		check_client(tls, "server", by_pin || by_ca || by_tlsa);
	}
	msp_rrset_free(&good);
	msp_rrset_free(&bad);
}

static void what_the_peer_is_comes_out_whatever_convinced_us(void **state)
{
	uint8_t pin[MSP_TLS_PIN_LEN];
	struct pair p;

	(void)state;
	T_OK(msp_tls_pin_of_file(pki_path(&pki, "server.pem"), pin, NULL));
	pair_open(&p, pki_tls(&pki, false, NULL, "server", "ca", "ns.example.test", false), plain_server());
	assert_int_equal(p.client_step, MSP_TLS_DONE);
	assert_true(msp_tls_conn_peer(p.client)->is_ca_valid);
	assert_memory_equal(msp_tls_conn_peer(p.client)->pin, pin, sizeof(pin));
	pair_close(&p);
	pair_open(&p, pki_tls(&pki, false, NULL, "server", "other", "ns.example.test", false), plain_server());
	assert_int_equal(p.client_step, MSP_TLS_DONE);
	assert_false(msp_tls_conn_peer(p.client)->is_ca_valid);
	pair_close(&p);
}

/* --- a server and what it believes --- */

static void check_server(const char *pins, const char *ca, const char *client_is, bool is_believed)
{
	struct pair p;
	uint8_t pin[MSP_TLS_PIN_LEN], octets[16];
	char file[32];
	size_t len;

	pair_open(&p, pki_tls(&pki, false, client_is, "server", NULL, NULL, false),
		  pki_tls(&pki, true, "server", pins, ca, NULL, false));
	/* In TLS 1.3 the client is through before the server has looked at its certificate. */
	assert_int_equal(p.client_step, MSP_TLS_DONE);
	if (is_believed) {
		snprintf(file, sizeof(file), "%s.pem", client_is);
		T_OK(msp_tls_pin_of_file(pki_path(&pki, file), pin, NULL));
		assert_int_equal(p.server_step, MSP_TLS_DONE);
		assert_true(msp_tls_conn_peer(p.server)->has_certificate);
		assert_memory_equal(msp_tls_conn_peer(p.server)->pin, pin, sizeof(pin));
		assert_int_equal(msp_tls_conn_peer(p.server)->is_ca_valid,
				 ca != NULL && strcmp(ca, "ca") == 0 && strcmp(client_is, "other") != 0);
	} else {
		assert_int_equal(p.server_step, MSP_TLS_FAILED);
		T_ERR(msp_tls_conn_error(p.server), client_is != NULL ? MSP_ENOKEY : MSP_ENET);
		/* The client learns of it when it reads, and says so. */
		assert_int_equal(take(p.client, &p.to_client, octets, sizeof(octets), &len), MSP_TLS_FAILED);
		T_ERR(msp_tls_conn_error(p.client), MSP_EREFUSED);
		assert_non_null(strstr(msp_tls_conn_reason(p.client), "alert"));
	}
	pair_close(&p);
}

static void client_is_believed_by_pin_or_authority_when_the_server_asks(void **state)
{
	(void)state;
	check_server("client", NULL, "client", true);
	check_server("other", NULL, "client", false);
	check_server("other,client", NULL, "client", true);
	check_server(NULL, "ca", "client", true); /* without a name: there is none to check */
	check_server(NULL, "other", "client", false);
	check_server(NULL, "ca", "other", false);
	check_server(NULL, "ca", "old", false);
	check_server("other", "ca", "client", true);
	check_server("other", "ca", "other", true);
	check_server("client", "other", "client", true);
}

static void client_without_a_certificate_is_cut_off_when_the_server_asks(void **state)
{
	(void)state;
	check_server("client", NULL, NULL, false);
	check_server(NULL, "ca", NULL, false);
}

static void client_certificate_nobody_asked_for_is_not_looked_at(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, pki_tls(&pki, false, "other", "server", NULL, NULL, false), plain_server());
	assert_int_equal(p.server_step, MSP_TLS_DONE);
	assert_false(msp_tls_conn_peer(p.server)->has_certificate);
	pair_close(&p);
}

/* --- the version and the application: against an end that is not ours --- */

static enum msp_tls_step foreign(bool server_is_ours, const char *alpn, int version, enum msp_err *err)
{
	struct msp_tls *tls = server_is_ours ? plain_server() : with_pins("server");
	SSL_CTX *ctx = SSL_CTX_new(server_is_ours ? TLS_client_method() : TLS_server_method());
	SSL *ssl;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	struct msp_tls_conn *c;
	enum msp_tls_step step = MSP_TLS_WAIT;
	struct msp_buf wire;

	SSL_CTX_set_max_proto_version(ctx, version);
	if (!server_is_ours) {
		SSL_CTX_use_certificate_chain_file(ctx, pki_path(&pki, "server.pem"));
		SSL_CTX_use_PrivateKey_file(ctx, pki_path(&pki, "server.key"), SSL_FILETYPE_PEM);
	}
	ssl = SSL_new(ctx);
	if (alpn != NULL)
		SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
	SSL_set_bio(ssl, in, out);
	if (server_is_ours)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	T_OK(msp_tls_conn_new(tls, &c));
	msp_buf_init(&wire, 1 << 20);
	for (int i = 0; i < 10 && step == MSP_TLS_WAIT; i++) {
		struct msp_span octets;
		uint8_t chunk[4096];
		int n;

		ERR_clear_error();
		(void)SSL_do_handshake(ssl);
		while ((n = BIO_read(out, chunk, sizeof(chunk))) > 0)
			msp_buf_add(&wire, chunk, (size_t)n);
		step = shake(c, &wire);
		octets = msp_tls_conn_output(c);
		if (octets.len > 0)
			assert_int_equal(BIO_write(in, octets.ptr, (int)octets.len), (int)octets.len);
		msp_tls_conn_sent(c, octets.len);
	}
	*err = msp_tls_conn_error(c);
	msp_tls_conn_free(&c);
	msp_tls_unref(&tls);
	msp_buf_fini(&wire);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return step;
}

static void only_tls_1_3_with_alpn_dot_is_spoken(void **state)
{
	enum msp_err err;

	(void)state;
	assert_int_equal(foreign(true, "\3dot", TLS1_3_VERSION, &err), MSP_TLS_DONE);
	assert_int_equal(foreign(true, "\2h2\3dot", TLS1_3_VERSION, &err), MSP_TLS_DONE);
	assert_int_equal(foreign(true, "\3dot", TLS1_2_VERSION, &err), MSP_TLS_FAILED);
	T_ERR(err, MSP_ENET);
	assert_int_equal(foreign(true, NULL, TLS1_3_VERSION, &err), MSP_TLS_FAILED);
	T_ERR(err, MSP_ENOKEY);
	assert_int_equal(foreign(true, "\2h2", TLS1_3_VERSION, &err), MSP_TLS_FAILED);
	T_ERR(err, MSP_ENOKEY);
	assert_int_equal(foreign(true, "\4dots\2do", TLS1_3_VERSION, &err), MSP_TLS_FAILED);
	/* A server that knows nothing of ALPN, and one of yesterday. */
	assert_int_equal(foreign(false, NULL, TLS1_3_VERSION, &err), MSP_TLS_FAILED);
	T_ERR(err, MSP_ENOKEY);
	assert_int_equal(foreign(false, NULL, TLS1_2_VERSION, &err), MSP_TLS_FAILED);
	T_ERR(err, MSP_EREFUSED);
}

/* --- the machine --- */

#define RECORD (5 + 128 + 16) /* a small one of a client: header, octets padded, tag */

static void open_plain_pair(struct pair *p)
{
	pair_open(p, with_pins("server"), plain_server());
	assert_int_equal(p->client_step, MSP_TLS_DONE);
	assert_int_equal(p->server_step, MSP_TLS_DONE);
}

static void octets_go_both_ways_in_records(void **state)
{
	static uint8_t plain[MSP_TLS_RECORD_MAX], got[MSP_TLS_RECORD_MAX];
	struct pair p;
	size_t len;

	(void)state;
	open_plain_pair(&p);
	memset(plain, 'x', sizeof(plain));
	assert_int_equal(msp_tls_conn_write(p.client, msp_span(plain, sizeof(plain))), MSP_TLS_DONE);
	assert_int_equal(msp_tls_conn_write(p.server, msp_span("y", 1)), MSP_TLS_DONE);
	carry(p.client, &p.to_server);
	carry(p.server, &p.to_client);
	assert_int_equal(take(p.server, &p.to_server, got, sizeof(got), &len), MSP_TLS_DONE);
	assert_int_equal(len, sizeof(plain));
	assert_memory_equal(got, plain, sizeof(plain));
	assert_int_equal(take(p.client, &p.to_client, got, sizeof(got), &len), MSP_TLS_DONE);
	assert_int_equal(len, 1);
	assert_int_equal(got[0], 'y');
	assert_int_equal(take(p.client, &p.to_client, got, sizeof(got), &len), MSP_TLS_WAIT);
	pair_close(&p);
}

/* RFC 8467, by TLS's own means. */
static void sizes_of_small_messages_do_not_show(void **state)
{
	static const size_t size[] = { 1, 30, 100, 120 }, large[] = { 128, 200, 220, 247 };
	static uint8_t plain[512];
	struct pair p;

	(void)state;
	open_plain_pair(&p);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(msp_tls_conn_write(p.client, msp_span(plain, size[i])), MSP_TLS_DONE);
		assert_int_equal(msp_tls_conn_output(p.client).len, RECORD);
		carry(p.client, &p.to_server);
		assert_int_equal(msp_tls_conn_write(p.client, msp_span(plain, large[i] + 8)), MSP_TLS_DONE);
		assert_int_equal(msp_tls_conn_output(p.client).len, RECORD + 128);
		carry(p.client, &p.to_server);
		assert_int_equal(msp_tls_conn_write(p.server, msp_span(plain, size[i] * 3)), MSP_TLS_DONE);
		assert_int_equal(msp_tls_conn_output(p.server).len, RECORD - 128 + 468);
		carry(p.server, &p.to_client);
	}
	pair_close(&p);
}

static void no_ticket_is_left_behind(void **state)
{
	struct pair p;

	(void)state;
	open_plain_pair(&p);
	assert_int_equal(p.to_client.len, 0); /* tickets would have come right after the handshake */
	pair_close(&p);
}

static void output_is_bounded_and_who_finds_no_room_waits(void **state)
{
	static uint8_t plain[MSP_TLS_RECORD_MAX], got[MSP_TLS_RECORD_MAX];
	struct pair p;
	size_t len, most, records = 0;

	(void)state;
	open_plain_pair(&p);
	for (size_t n = 0; n < 100 && msp_tls_conn_write(p.server, msp_span(plain, sizeof(plain))) == MSP_TLS_DONE; n++)
		records++;
	assert_in_range(records, 1, 10);
	most = msp_tls_conn_output(p.server).len;
	assert_in_range(most, records * sizeof(plain), 100000);
	assert_int_equal(msp_tls_conn_write(p.server, msp_span(plain, 1)), MSP_TLS_WAIT);
	assert_int_equal(msp_tls_conn_output(p.server).len, most);
	carry(p.server, &p.to_client);
	assert_int_equal(msp_tls_conn_write(p.server, msp_span(plain, 1)), MSP_TLS_DONE);
	for (size_t i = 0; i < records; i++) {
		assert_int_equal(take(p.client, &p.to_client, got, sizeof(got), &len), MSP_TLS_DONE);
		assert_int_equal(len, sizeof(plain));
	}
	pair_close(&p);
}

static void end_is_told_and_a_part_of_a_record_is_noticed(void **state)
{
	uint8_t got[16];
	struct pair p;
	size_t len;

	(void)state;
	open_plain_pair(&p);
	msp_tls_conn_finish(p.client);
	carry(p.client, &p.to_server);
	assert_int_equal(take(p.server, &p.to_server, got, sizeof(got), &len), MSP_TLS_END);
	/* The other direction is still open (RFC 8446 6.1). */
	assert_int_equal(msp_tls_conn_write(p.server, msp_span("z", 1)), MSP_TLS_DONE);
	pair_close(&p);
	for (size_t cut = 1; cut < RECORD; cut++) {
		open_plain_pair(&p);
		assert_int_equal(msp_tls_conn_write(p.client, msp_span("0", 1)), MSP_TLS_DONE);
		carry(p.client, &p.to_server);
		assert_int_equal(p.to_server.len, RECORD);
		p.to_server.len = cut;
		assert_false(msp_tls_conn_is_partial(p.server));
		assert_int_equal(take(p.server, &p.to_server, got, sizeof(got), &len), MSP_TLS_WAIT);
		assert_true(msp_tls_conn_is_partial(p.server));
		pair_close(&p);
	}
}

static void changed_record_ends_the_connection(void **state)
{
	uint8_t got[16];
	struct pair p;
	size_t len;

	(void)state;
	for (size_t at = 0; at < RECORD; at += 2) {
		open_plain_pair(&p);
		assert_int_equal(msp_tls_conn_write(p.client, msp_span("0", 1)), MSP_TLS_DONE);
		carry(p.client, &p.to_server);
		p.to_server.ptr[at] ^= 0x10;
		if (take(p.server, &p.to_server, got, sizeof(got), &len) == MSP_TLS_WAIT)
			assert_int_equal(at, 4); /* a longer record: its rest is awaited */
		else
			T_ERR(msp_tls_conn_error(p.server), MSP_ENET);
		assert_int_equal(len, 0);
		pair_close(&p);
	}
}

static void garbage_in_place_of_a_hello_fails(void **state)
{
	struct msp_tls *tls = plain_server();
	struct msp_tls_conn *c;
	struct msp_buf in;

	(void)state;
	msp_buf_init(&in, 4096);
	msp_buf_add_str(&in, "GET / HTTP/1.1\r\nHost: ns.example.test\r\n\r\n");
	T_OK(msp_tls_conn_new(tls, &c));
	assert_int_equal(shake(c, &in), MSP_TLS_FAILED);
	T_ERR(msp_tls_conn_error(c), MSP_ENET);
	assert_int_equal(shake(c, &in), MSP_TLS_FAILED); /* and stays so */
	msp_tls_conn_free(&c);
	msp_tls_unref(&tls);
	msp_buf_fini(&in);
}

/* --- settings --- */

static void expect_refusal(const struct msp_tls_params *p, enum msp_err want, const char *word)
{
	struct msp_why why = { "" };
	struct msp_tls *tls = NULL;

	T_ERR(msp_tls_new(p, &tls, &why), want);
	assert_null(tls);
	if (strstr(why.text, word) == NULL)
		fail_msg("\"%s\" does not name \"%s\"", why.text, word);
}

static void settings_that_cannot_hold_are_refused(void **state)
{
	static const uint8_t pins[MSP_TLS_PINS_MAX + 1][MSP_TLS_PIN_LEN];
	const char *pem = pki_path(&pki, "server.pem"), *key = pki_path(&pki, "server.key"),
		   *none = pki_path(&pki, "absent");

	(void)state;
#define P(...) (&(struct msp_tls_params){ __VA_ARGS__ })
	expect_refusal(P(.is_server = false), MSP_ECONF, "nothing to know the server by");
	expect_refusal(P(.is_server = false, .ca = pem), MSP_ECONF, "auth-name");
	expect_refusal(P(.is_server = false, .use_tlsa = true), MSP_ECONF, "auth-name");
	expect_refusal(P(.is_server = false, .use_tlsa = true, .auth_name = "."), MSP_ECONF, "auth-name");
	expect_refusal(P(.is_server = false, .pin = pins, .pin_count = MSP_TLS_PINS_MAX + 1), MSP_ECONF, "pins");
	expect_refusal(P(.is_server = false, .pin = pins, .pin_count = 1, .certificate = pem), MSP_ECONF, "both");
	expect_refusal(P(.is_server = false, .ca = none, .auth_name = "a"), MSP_EIO, none);
	expect_refusal(P(.is_server = false, .ca = key, .auth_name = "a"), MSP_ECONF, key);
	expect_refusal(P(.is_server = true), MSP_ECONF, "certificate");
	expect_refusal(P(.is_server = true, .certificate = pem), MSP_ECONF, "both");
	expect_refusal(P(.is_server = true, .certificate = none, .private_key = key), MSP_EIO, none);
	expect_refusal(P(.is_server = true, .certificate = key, .private_key = key), MSP_ECONF, key);
	expect_refusal(P(.is_server = true, .certificate = pem, .private_key = none), MSP_EIO, none);
	expect_refusal(P(.is_server = true, .certificate = pem, .private_key = pki.dir), MSP_ECONF, pki.dir);
	expect_refusal(P(.is_server = true, .certificate = pem, .private_key = pki_path(&pki, "client.key")), MSP_ECONF,
		       "does not belong");
	expect_refusal(P(.is_server = true, .certificate = pem, .private_key = key, .use_tlsa = true), MSP_ECONF,
		       "TLSA");
#undef P
}

static void key_that_others_may_read_is_refused(void **state)
{
	struct msp_tls_params p = { .is_server = true,
				    .certificate = pki_path(&pki, "server.pem"),
				    .private_key = pki_path(&pki, "server.key") };
	static const mode_t modes[] = { 0640, 0604, 0620, 0660 };
	struct msp_tls *tls;

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(p.private_key, modes[i]), 0);
		expect_refusal(&p, MSP_ECONF, "0600");
	}
	assert_int_equal(chmod(p.private_key, 0400), 0);
	T_OK(msp_tls_new(&p, &tls, NULL));
	msp_tls_unref(&tls);
	assert_int_equal(chmod(p.private_key, 0600), 0);
}

static void pins_are_base64_of_32_octets(void **state)
{
	uint8_t pin[MSP_TLS_PIN_LEN], again[MSP_TLS_PIN_LEN];
	struct msp_buf text;

	(void)state;
	T_OK(msp_tls_pin_of_file(pki_path(&pki, "server.pem"), pin, NULL));
	msp_buf_init(&text, 100);
	msp_b64_write(&text, msp_span(pin, sizeof(pin)));
	T_OK(msp_tls_pin_from_text(msp_buf_text(&text), again));
	assert_memory_equal(pin, again, sizeof(pin));
	msp_buf_fini(&text);
	T_ERR(msp_tls_pin_from_text("", pin), MSP_EVALUE);
	T_ERR(msp_tls_pin_from_text("AAAA", pin), MSP_EVALUE);
	T_ERR(msp_tls_pin_from_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", pin), MSP_EVALUE);
	T_ERR(msp_tls_pin_from_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", pin), MSP_EVALUE);
	T_ERR(msp_tls_pin_from_text("pin-sha256=\"AAAA\"", pin), MSP_EVALUE);
	T_ERR(msp_tls_pin_of_file(pki_path(&pki, "absent"), pin, NULL), MSP_EIO);
	T_ERR(msp_tls_pin_of_file(pki_path(&pki, "server.key"), pin, NULL), MSP_ECONF);
}

static void running_out_of_memory_is_reported_and_leaks_nothing(void **state)
{
	struct msp_rrset *set = pki_tlsa(&pki, "server", 3, 1, 1);
	bool is_through = false;

	(void)state;
	for (size_t n = 1; !is_through && n < 100; n++) {
		uint8_t pin[1][MSP_TLS_PIN_LEN] = { { 0 } };
		struct msp_tls_params p = { .pin = (const uint8_t(*)[MSP_TLS_PIN_LEN])pin,
					    .pin_count = 1,
					    .auth_name = "ns.example.test",
					    .use_tlsa = true };
		struct msp_tls *tls = NULL;
		struct msp_tls_conn *c = NULL;
		enum msp_err err;

		msp_mem_fail_at(n);
		err = msp_tls_new(&p, &tls, NULL);
		if (err == MSP_OK)
			err = msp_tls_set_tlsa(tls, set, NULL);
		if (err == MSP_OK)
			err = msp_tls_conn_new(tls, &c);
		if (err == MSP_OK && msp_tls_conn_handshake(c) == MSP_TLS_FAILED)
			err = MSP_ENOMEM;
		is_through = !msp_mem_failed();
		msp_mem_fail_at(0);
		T_ERR(err, is_through ? MSP_OK : MSP_ENOMEM);
		msp_tls_conn_free(&c);
		msp_tls_unref(&tls);
	}
	assert_true(is_through);
	msp_rrset_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_with_a_pinned_key_is_believed_and_no_other),
		cmocka_unit_test(server_of_the_authority_is_believed_under_its_name_only),
		cmocka_unit_test(server_is_believed_by_its_tlsa_record),
		cmocka_unit_test(server_is_believed_by_the_tlsa_record_of_its_authority),
		cmocka_unit_test(without_tlsa_records_nobody_is_believed),
		cmocka_unit_test(unusable_tlsa_records_replace_usable_ones),
		cmocka_unit_test(of_several_means_one_is_enough),
		cmocka_unit_test(what_the_peer_is_comes_out_whatever_convinced_us),
		cmocka_unit_test(client_is_believed_by_pin_or_authority_when_the_server_asks),
		cmocka_unit_test(client_without_a_certificate_is_cut_off_when_the_server_asks),
		cmocka_unit_test(client_certificate_nobody_asked_for_is_not_looked_at),
		cmocka_unit_test(only_tls_1_3_with_alpn_dot_is_spoken),
		cmocka_unit_test(octets_go_both_ways_in_records),
		cmocka_unit_test(sizes_of_small_messages_do_not_show),
		cmocka_unit_test(no_ticket_is_left_behind),
		cmocka_unit_test(output_is_bounded_and_who_finds_no_room_waits),
		cmocka_unit_test(end_is_told_and_a_part_of_a_record_is_noticed),
		cmocka_unit_test(changed_record_ends_the_connection),
		cmocka_unit_test(garbage_in_place_of_a_hello_fails),
		cmocka_unit_test(settings_that_cannot_hold_are_refused),
		cmocka_unit_test(key_that_others_may_read_is_refused),
		cmocka_unit_test(pins_are_base64_of_32_octets),
		cmocka_unit_test(running_out_of_memory_is_reported_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, open_pki, close_pki);
}
