/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Fetches a zone, or serves one, with the library's own transfer code: what the integration tests compare with others.
 *
 *   xfrtool fetch ADDRESS PORT ZONE KEY            AXFR
 *   xfrtool fetch ADDRESS PORT ZONE KEY "SOA line" IXFR from that version
 *   xfrtool serve ADDRESS PORT ZONE KEY < lines    AXFR to everybody, until SIGTERM; the port goes to stdout
 *   xfrtool again ADDRESS PORT ZONE KEY SOURCE_PORT  AXFR, IXFR, AXFR, ... through a pool: from one port of ours only
 * one connection can be made
 *
 * KEY is "-" or name:algorithm:base64. fetch writes one record a line: "S " the new SOA, "F " of a whole zone, "- " and
 * "+ " of differences; a last line "# ..." says how it ended. Exit code 0: done, 2: up to date, 3: RCODE, 1: all else.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/io/xfr.h>
#include <msproto/wire/text.h>

#define SETS_MAX 200000

struct tool {
	struct msp_log log;
	struct msp_loop *loop;
	struct msp_name zone;
	struct msp_tsig_key *key;
	int status;
	/* again */
	struct msp_xfr_params params;
	struct msp_rr have;
	uint8_t have_rdata[2 * MSP_NAME_MAX + 20];
	unsigned left, up_to_date;
	/* serve */
	struct msp_rrset *soa, **set;
	size_t count;
	struct msp_rr_scratch scratch;
};

static void die(const char *what, enum msp_err err)
{
	fprintf(stderr, "xfrtool: %s: %s\n", what, msp_err_text(err));
	exit(1);
}

static void must(enum msp_err err, const char *what)
{
	if (err != MSP_OK)
		die(what, err);
}

static struct msp_tsig_key *read_key(char *text)
{
	struct msp_tsig_key *key = NULL;
	enum msp_tsig_alg alg;
	struct msp_name name;
	struct msp_buf secret;
	char *a, *s;

	if (strcmp(text, "-") == 0)
		return NULL;
	a = strchr(text, ':');
	s = a != NULL ? strchr(a + 1, ':') : NULL;
	if (s == NULL)
		die("key", MSP_EFORMAT);
	*a++ = '\0';
	*s++ = '\0';
	msp_buf_init(&secret, 1024);
	must(msp_name_from_text(text, &name), "key name");
	must(msp_tsig_alg_from_text(a, &alg), "key algorithm");
	must(msp_b64_parse(msp_span_str(s), &secret), "key secret");
	must(msp_tsig_key_new(&name, alg, msp_buf_span(&secret), &key), "key");
	msp_buf_fini(&secret);
	return key;
}

/* --- fetch --- */

static enum msp_err print(char what, const struct msp_rr *rr)
{
	struct msp_buf line;

	msp_buf_init(&line, 1 << 20);
	msp_rr_print(&line, NULL, rr);
	printf("%c %s\n", what, msp_buf_text(&line));
	msp_buf_fini(&line);
	return MSP_OK;
}
static enum msp_err on_begin(void *arg, const struct msp_rr *soa, bool is_full)
{
	(void)arg;
	(void)is_full;
	return print('S', soa);
}
static enum msp_err on_record(void *arg, const struct msp_rr *rr)
{
	(void)arg;
	return print('F', rr);
}
static enum msp_err on_change(void *arg, bool is_add, const struct msp_rr *rr)
{
	(void)arg;
	return print(is_add ? '+' : '-', rr);
}
static const struct msp_xfrin_ops ops = { .begin = on_begin, .record = on_record, .change = on_change };

static void on_done(void *arg, const struct msp_xfr_result *r)
{
	struct tool *t = arg;

	printf("# err=%s rcode=%u records=%llu messages=%llu out_of_zone=%llu why=%s\n", msp_err_name(r->err), r->rcode,
	       (unsigned long long)r->records, (unsigned long long)r->messages, (unsigned long long)r->out_of_zone,
	       r->why.text);
	t->status = 1;
	if (r->err == MSP_OK)
		t->status = r->state == MSP_XFRIN_UP_TO_DATE ? 2 : 0;
	else if (r->err == MSP_ERCODE)
		t->status = 3;
	msp_loop_stop(t->loop);
}

static void fetch(struct tool *t, const struct msp_addr *server, const char *have)
{
	struct msp_xfr_params p = { .server = *server, .zone = t->zone, .tsig = t->key };
	struct msp_buf rdata;
	struct msp_rr soa;

	msp_buf_init(&rdata, 1024);
	if (have != NULL) {
		must(msp_rr_scan(msp_span_str(have), NULL, NULL, 60, &rdata, &soa, NULL), "SOA");
		p.kind = MSP_XFR_IXFR;
		p.have_soa = &soa;
	}
	must(msp_xfr_start(t->loop, &p, &ops, t, on_done, t, NULL), "start");
	msp_loop_run(t->loop);
	msp_buf_fini(&rdata);
}

/* --- again --- */

#define TRANSFERS 10

static enum msp_err keep_soa(void *arg, const struct msp_rr *soa, bool is_full)
{
	struct tool *t = arg;

	(void)is_full;
	t->have = *soa;
	memcpy(t->have_rdata, soa->rdata.ptr, soa->rdata.len);
	t->have.rdata.ptr = t->have_rdata;
	return MSP_OK;
}
static const struct msp_xfrin_ops soa_ops = { .begin = keep_soa };

static void next_transfer(struct tool *t);

static void on_one_done(void *arg, const struct msp_xfr_result *r)
{
	struct tool *t = arg;

	if (r->err != MSP_OK)
		on_done(t, r);
	t->up_to_date += r->state == MSP_XFRIN_UP_TO_DATE;
	if (r->err == MSP_OK && --t->left > 0) {
		next_transfer(t);
		return;
	}
	printf("# left=%u up_to_date=%u\n", t->left, t->up_to_date);
	t->status = t->left > 0;
	msp_loop_stop(t->loop);
}

static void next_transfer(struct tool *t)
{
	t->params.kind = t->left % 2 != 0 ? MSP_XFR_IXFR : MSP_XFR_AXFR;
	t->params.have_soa = t->left % 2 != 0 ? &t->have : NULL;
	must(msp_xfr_start(t->loop, &t->params, &soa_ops, t, on_one_done, t, NULL), "start");
}

static void again(struct tool *t, const struct msp_addr *server, const char *source_port)
{
	uint64_t port;

	must(msp_u64_parse(msp_span_str(source_port), 65535, &port), "source port");
	t->params = (struct msp_xfr_params){ .server = *server, .zone = t->zone, .tsig = t->key, .source = *server };
	t->params.source.port = (uint16_t)port;
	t->left = TRANSFERS;
	must(msp_xfr_pool_new(t->loop, 1, 60000, &t->params.pool), "pool");
	next_transfer(t);
	msp_loop_run(t->loop);
	msp_xfr_pool_close(&t->params.pool);
}

/* --- serve --- */

static const struct msp_tsig_key *find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	struct tool *t = arg;

	(void)alg;
	return t->key != NULL && msp_name_equal(msp_tsig_key_name(t->key), name) ? t->key : NULL;
}

static void reply(struct tool *t, struct msp_req *req, const struct msp_msg *m, unsigned rcode,
		  enum msp_tsig_error error, struct msp_tsig_ctx *ctx)
{
	uint8_t out[2048];
	struct msp_msgw w;
	struct msp_span octets;
	struct msp_rr soa = { .owner = t->zone, .type = MSP_TYPE_SOA, .cls = MSP_CLASS_IN, .ttl = t->soa->ttl };
	size_t len;

	soa.rdata = t->soa->rdata[0];
	msp_msgw_respond(&w, out, sizeof(out) - MSP_TSIG_RR_MAX, m, rcode, MSP_FLAG_AA);
	if (rcode == MSP_RCODE_NOERROR)
		msp_msgw_rr(&w, MSP_SEC_ANSWER, &soa);
	must(msp_msgw_finish(&w, &octets), "answer");
	len = octets.len;
	if (error != MSP_TSIG_NOERROR)
		must(msp_tsig_sign_error(m, t->key, error, msp_wall_now(), out, &len, sizeof(out)), "sign");
	else if (ctx->key != NULL)
		must(msp_tsig_sign_response(ctx, msp_wall_now(), out, &len, sizeof(out)), "sign");
	msp_req_reply(&req, msp_span(out, len));
}

static void on_request(void *arg, struct msp_req *req)
{
	struct tool *t = arg;
	struct msp_tsig_ctx ctx = { .key = NULL };
	enum msp_tsig_error error = MSP_TSIG_NOERROR;
	unsigned rcode = MSP_RCODE_NOERROR;
	enum msp_err err = MSP_OK;
	struct msp_msg m;

	if (msp_msg_parse(msp_req_message(req), &t->scratch, &m, NULL) != MSP_OK) {
		msp_req_drop(&req);
		return;
	}
	if (m.tsig_at != 0)
		err = msp_tsig_verify_request(&m, find_key, t, msp_wall_now(), &ctx, &error);
	if (err != MSP_OK)
		rcode = MSP_RCODE_NOTAUTH;
	else if (t->key != NULL && m.tsig_at == 0)
		rcode = MSP_RCODE_REFUSED;
	if (rcode == MSP_RCODE_NOERROR && (m.question.type == MSP_TYPE_AXFR || m.question.type == MSP_TYPE_IXFR))
		msp_xfr_send(&req, t->soa, (const struct msp_rrset *const *)t->set, t->count,
			     ctx.key != NULL ? &ctx : NULL);
	else
		reply(t, req, &m, rcode, error, &ctx);
	msp_tsig_ctx_fini(&ctx);
}

static void read_zone(struct tool *t)
{
	static char line[1 << 18];
	struct msp_buf rdata;
	struct msp_rrset *set;
	struct msp_rr rr;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	t->set = msp_alloc(SETS_MAX, sizeof(struct msp_rrset *));
	if (t->set == NULL)
		die("zone", MSP_ENOMEM);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		must(msp_rr_scan(msp_span(line, strcspn(line, "\n")), NULL, &t->zone, 3600, &rdata, &rr, NULL), line);
		set = t->count > 0 ? t->set[t->count - 1] : NULL;
		if (set == NULL || set->type != rr.type || !msp_name_same(&set->owner, &rr.owner)) {
			must(msp_rrset_new(&rr.owner, rr.type, rr.ttl, &set), "set");
			if (rr.type == MSP_TYPE_SOA)
				t->soa = set;
			else if (t->count < SETS_MAX)
				t->set[t->count++] = set;
			else
				die("zone", MSP_ELIMIT);
		}
		must(msp_rrset_add(set, rr.rdata), "record");
	}
	if (t->soa == NULL)
		die("zone has no SOA", MSP_EFORMAT);
	msp_buf_fini(&rdata);
}

static void on_term(void *arg)
{
	struct tool *t = arg;

	msp_loop_stop(t->loop);
}

static void serve(struct tool *t, const struct msp_addr *addr)
{
	struct msp_server *server;
	struct msp_signal *term;
	struct msp_why why = { "" };

	read_zone(t);
	must(msp_signal_new(t->loop, SIGTERM, on_term, t, &term), "signal");
	if (msp_server_open(t->loop, addr, NULL, on_request, t, &server, &why) != MSP_OK)
		die(why.text, MSP_ENET);
	printf("%u\n", msp_server_addr(server)->port);
	fflush(stdout);
	msp_loop_run(t->loop);
	msp_server_close(&server);
	msp_signal_close(&term);
}

int main(int argc, char **argv)
{
	static struct tool t;
	struct msp_addr addr;
	uint64_t port;

	if (argc < 6 || argc > 7) {
		fprintf(stderr, "usage: xfrtool fetch|serve|again ADDRESS PORT ZONE KEY [SOA|SOURCE_PORT]\n");
		return 1;
	}
	must(msp_u64_parse(msp_span_str(argv[3]), 65535, &port), "port");
	must(msp_addr_parse(argv[2], (uint16_t)port, &addr), "address");
	must(msp_name_from_text(argv[4], &t.zone), "zone");
	t.key = read_key(argv[5]);
	msp_log_init_stderr(&t.log, MSP_LOG_NOTICE, false);
	must(msp_loop_new(&t.log, &t.loop), "loop");
	if (strcmp(argv[1], "serve") == 0)
		serve(&t, &addr);
	else if (strcmp(argv[1], "again") == 0 && argc == 7)
		again(&t, &addr, argv[6]);
	else
		fetch(&t, &addr, argc == 7 ? argv[6] : NULL);
	msp_loop_free(&t.loop);
	for (size_t i = 0; i < t.count; i++)
		msp_rrset_free(&t.set[i]);
	msp_free(t.set);
	msp_rrset_free(&t.soa);
	msp_tsig_key_free(&t.key);
	return t.status;
}
