/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A small server behind TLS, or one question over TLS, with the library's own code: what the integration tests hold
 * against other people's TLS.
 *
 *   tlstool serve CERT KEY PINS CA            answers every SOA question, and AXFR with a zone of many records; the
 * port goes to stdout; until SIGTERM. SIGHUP reads the files again. tlstool ask ADDRESS PORT NAME CERT KEY PINS CA
 * AUTH-NAME    asks for NAME's SOA; prints the RCODE and the count of answers, or the error's name (exit code 1)
 *
 * "-" stands for nothing; PINS is a comma list of base64.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/io/xfr.h>
#include <msproto/msg/msg.h>
#include <msproto/wire/rdata.h>
#include <msproto/wire/text.h>

#define SETS    100
#define RECORDS 50 /* in each */

struct tool {
	struct msp_log log;
	struct msp_loop *loop;
	struct msp_server *server;
	char **files; /* CERT KEY PINS CA */
	struct msp_rrset *soa, *set[SETS];
	struct msp_rr_scratch scratch;
	int status;
};

static void die(const char *what)
{
	fprintf(stderr, "tlstool: %s\n", what);
	exit(1);
}
static void must(enum msp_err err, const char *what)
{
	if (err != MSP_OK) {
		fprintf(stderr, "tlstool: %s: %s\n", what, msp_err_text(err));
		exit(1);
	}
}

static const char *given(const char *arg)
{
	return strcmp(arg, "-") != 0 ? arg : NULL;
}

/* files: CERT KEY PINS CA */
static struct msp_tls *open_tls(bool is_server, char *const *files, const char *auth_name)
{
	uint8_t pin[MSP_TLS_PINS_MAX][MSP_TLS_PIN_LEN];
	struct msp_tls_params p = { .is_server = is_server,
				    .certificate = given(files[0]),
				    .private_key = given(files[1]),
				    .ca = given(files[3]),
				    .pin = (const uint8_t(*)[MSP_TLS_PIN_LEN])pin,
				    .auth_name = auth_name };
	struct msp_why why = { "" };
	struct msp_tls *tls;
	const char *pins = given(files[2]);

	for (size_t len; pins != NULL && *pins != '\0'; pins += len + (pins[len] == ',')) {
		char one[64];

		len = strcspn(pins, ",");
		snprintf(one, sizeof(one), "%.*s", (int)len, pins);
		must(p.pin_count < MSP_TLS_PINS_MAX ? msp_tls_pin_from_text(one, pin[p.pin_count]) : MSP_ELIMIT, one);
		p.pin_count++;
	}
	if (msp_tls_new(&p, &tls, &why) != MSP_OK)
		die(why.text);
	return tls;
}

/* --- serve --- */

static void reply(struct tool *t, struct msp_req *req, const struct msp_msg *m)
{
	struct msp_rr soa = {
		.type = MSP_TYPE_SOA, .cls = MSP_CLASS_IN, .ttl = t->soa->ttl, .rdata = t->soa->rdata[0]
	};
	bool is_ours = m->question.type == MSP_TYPE_SOA;
	uint8_t out[1024];
	struct msp_span octets;
	struct msp_msgw w;

	soa.owner = t->soa->owner;
	msp_msgw_respond(&w, out, sizeof(out), m, is_ours ? MSP_RCODE_NOERROR : MSP_RCODE_REFUSED, MSP_FLAG_AA);
	if (is_ours)
		msp_msgw_rr(&w, MSP_SEC_ANSWER, &soa);
	must(msp_msgw_finish(&w, &octets), "answer");
	msp_req_reply(&req, octets);
}

static void on_request(void *arg, struct msp_req *req)
{
	struct tool *t = arg;
	const struct msp_tls_peer *peer = msp_req_tls(req);
	struct msp_msg m;

	if (peer == NULL || msp_msg_parse(msp_req_message(req), &t->scratch, &m, NULL) != MSP_OK) {
		msp_req_drop(&req);
		return;
	}
	fprintf(stderr, "peer certificate %d ca %d\n", peer->has_certificate, peer->is_ca_valid);
	if (m.question.type == MSP_TYPE_AXFR)
		msp_xfr_send(&req, t->soa, (const struct msp_rrset *const *)t->set, SETS, NULL);
	else
		reply(t, req, &m);
}

static struct msp_rrset *make_set(int which)
{
	struct msp_rrset *set;
	struct msp_name owner;
	char text[64];

	snprintf(text, sizeof(text), "name-%d.zone.test.", which);
	must(msp_name_from_text(text, &owner), "name");
	must(msp_rrset_new(&owner, MSP_TYPE_TXT, 3600, &set), "zone");
	for (int i = 0; i < RECORDS; i++) {
		snprintf(text, sizeof(text), "?a text much like the one before and after: %d", i);
		text[0] = (char)(strlen(text) - 1);
		must(msp_rrset_add(set, msp_span(text, strlen(text))), "record");
	}
	return set;
}

static void make_zone(struct tool *t)
{
	static const char soa_text[] = "zone.test. 3600 IN SOA ns.zone.test. host.zone.test. 7 3600 600 86400 300";
	struct msp_buf rdata;
	struct msp_name owner;
	struct msp_rr rr;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	must(msp_name_from_text("zone.test.", &owner), "name");
	must(msp_rr_scan(msp_span_str(soa_text), NULL, &owner, 3600, &rdata, &rr, NULL), "SOA");
	must(msp_rrset_new(&rr.owner, MSP_TYPE_SOA, 3600, &t->soa), "SOA");
	must(msp_rrset_add(t->soa, rr.rdata), "SOA");
	for (int i = 0; i < SETS; i++)
		t->set[i] = make_set(i);
	msp_buf_fini(&rdata);
}

static void on_term(void *arg)
{
	msp_loop_stop(((struct tool *)arg)->loop);
}

static void on_hup(void *arg)
{
	struct tool *t = arg;
	struct msp_tls *tls = open_tls(true, t->files, NULL);

	msp_server_set_tls(t->server, tls);
	msp_tls_unref(&tls);
	fprintf(stderr, "reloaded\n");
}

static void serve(struct tool *t, char **files)
{
	struct msp_tls *tls = open_tls(true, files, NULL);
	struct msp_signal *term, *hup;
	struct msp_why why = { "" };
	struct msp_addr any;

	t->files = files;
	make_zone(t);
	must(msp_signal_new(t->loop, SIGTERM, on_term, t, &term), "signal");
	must(msp_signal_new(t->loop, SIGHUP, on_hup, t, &hup), "signal");
	must(msp_addr_parse("127.0.0.1", 0, &any), "address");
	if (msp_server_open_tls(t->loop, &any, NULL, tls, on_request, t, &t->server, &why) != MSP_OK)
		die(why.text);
	msp_tls_unref(&tls);
	printf("%u\n", msp_server_addr(t->server)->port);
	fflush(stdout);
	msp_loop_run(t->loop);
	msp_server_close(&t->server);
	msp_signal_close(&term);
	msp_signal_close(&hup);
	msp_rrset_free(&t->soa);
	for (int i = 0; i < SETS; i++)
		msp_rrset_free(&t->set[i]);
}

/* --- ask --- */

static void on_answer(void *arg, enum msp_err err, struct msp_span answer)
{
	struct tool *t = arg;
	struct msp_msg m;

	if (err == MSP_OK)
		err = msp_msg_parse(answer, &t->scratch, &m, NULL);
	t->status = err != MSP_OK;
	if (err == MSP_OK)
		printf("%s %u\n", msp_rcode_name(m.rcode), (unsigned)m.count[MSP_SEC_ANSWER]);
	else
		printf("%s\n", msp_err_name(err));
	msp_loop_stop(t->loop);
}

/* ADDRESS PORT NAME CERT KEY PINS CA AUTH-NAME */
static void ask(struct tool *t, char **arg)
{
	struct msp_xchg_params p = { .timeout_ms = { 5000 } };
	struct msp_name name;
	uint8_t out[512];
	struct msp_msgw w;
	uint64_t port;

	must(msp_u64_parse(msp_span_str(arg[1]), 65535, &port), "port");
	must(msp_addr_parse(arg[0], (uint16_t)port, &p.server), "address");
	must(msp_name_from_text(arg[2], &name), "name");
	msp_msgw_init(&w, out, sizeof(out), 4711, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &name, MSP_TYPE_SOA, MSP_CLASS_IN);
	must(msp_msgw_finish(&w, &p.message), "question");
	p.tls = open_tls(false, arg + 3, given(arg[7]));
	must(msp_xchg_start(t->loop, &p, on_answer, t, NULL), "exchange");
	msp_tls_unref(&p.tls);
	msp_loop_run(t->loop);
}

int main(int argc, char **argv)
{
	static struct tool t;

	msp_log_init_stderr(&t.log, MSP_LOG_DEBUG, false);
	must(msp_loop_new(&t.log, &t.loop), "loop");
	if (argc == 6 && strcmp(argv[1], "serve") == 0)
		serve(&t, argv + 2);
	else if (argc == 10 && strcmp(argv[1], "ask") == 0)
		ask(&t, argv + 2);
	else
		die("usage: serve CERT KEY PINS CA | ask ADDRESS PORT NAME CERT KEY PINS CA AUTH-NAME");
	msp_loop_free(&t.loop);
	return t.status;
}
