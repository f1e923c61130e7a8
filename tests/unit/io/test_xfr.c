/* SPDX-License-Identifier: BSD-2-Clause */
#include "iokit.h"

#include <stdlib.h>

#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/io/xfr.h>
#include <msproto/wire/rdata.h>
#include <msproto/wire/text.h>

#define SETS_MAX 4096

/* How the server of a test answers. */
enum manner {
	SENDS,           /* the zone, by msp_xfr_send */
	STREAMS,         /* the messages of `script`, signed as it says */
	REFUSES,         /* REFUSED, signed when the request was */
	NOT_IMPLEMENTED, /* NOTIMP, never signed */
	SILENT,
	CLOSES,
	TRICKLES /* for ever an SOA and records, a message at a time */
};

struct message {
	const char *records; /* lines */
	bool is_unsigned, flip, wrong_id;
	unsigned rcode;
};

struct rig {
	struct k_loop k;
	struct msp_server *server;
	struct msp_tsig_key *key, *server_key; /* NULL = unsigned */
	enum manner manner;
	bool signs_anyway, forgets_key; /* forgets: as soon as it has handed over what is to be sent */
	const struct message *script;
	size_t script_len, script_at;
	struct msp_tsig_ctx tsig;
	struct msp_msg request;
	uint8_t request_octets[2048];
	struct msp_req *held;
	struct msp_wall now; /* of the server; 0 = real */
	/* the zone */
	struct msp_rrset *soa, *set[SETS_MAX];
	size_t set_count;
	/* the client's outcome */
	struct msp_xfr *x;
	size_t calls;
	bool done, inside_call, is_full, cancel_in_done;
	struct msp_xfr_result result;
	struct msp_buf got; /* lines: begin, records, changes */
	size_t ops_calls, cancel_at, fail_at;
};

static struct msp_rr_scratch scratch;

static const struct msp_tsig_key *find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	struct rig *r = arg;

	(void)alg;
	return r->server_key != NULL && msp_name_equal(msp_tsig_key_name(r->server_key), name) ? r->server_key : NULL;
}

static void reply_error(struct rig *r, struct msp_req *req, unsigned rcode, enum msp_tsig_error error)
{
	uint8_t out[1024];
	struct msp_msgw w;
	struct msp_span octets;
	size_t len;

	msp_msgw_respond(&w, out, sizeof(out), &r->request, rcode, 0);
	T_OK(msp_msgw_finish(&w, &octets));
	len = octets.len;
	if (error != MSP_TSIG_NOERROR)
		T_OK(msp_tsig_sign_error(&r->request, error == MSP_TSIG_BADKEY ? NULL : r->server_key, error,
					 r->now.s != 0 ? r->now : msp_wall_now(), out, &len, sizeof(out)));
	else if (r->tsig.key != NULL && r->manner != NOT_IMPLEMENTED)
		T_OK(msp_tsig_sign_response(&r->tsig, msp_wall_now(), out, &len, sizeof(out)));
	msp_req_reply(&req, msp_span(out, len));
}

static enum msp_err pull_script(void *arg, uint8_t *out, size_t cap, size_t *len, bool *end)
{
	struct rig *r = arg;
	const struct message *m = &r->script[r->script_at];
	const char *line = m->records;
	struct msp_msgw w;
	struct msp_span octets;
	struct msp_buf rdata;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	msp_msgw_init(&w, out, cap, (uint16_t)(r->request.id + m->wrong_id), MSP_OPCODE_QUERY,
		      MSP_FLAG_QR | MSP_FLAG_AA);
	if (r->script_at == 0)
		msp_msgw_question(&w, &r->request.question.name, r->request.question.type, MSP_CLASS_IN);
	msp_msgw_rcode(&w, m->rcode);
	while (*line != '\0') {
		size_t n = strcspn(line, "\n");
		struct msp_rr rr;

		T_OK(msp_rr_scan(msp_span(line, n), NULL, NULL, 60, &rdata, &rr, NULL));
		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
		line += n + (line[n] == '\n');
	}
	T_OK(msp_msgw_finish(&w, &octets));
	*len = octets.len;
	/* An unsigned message within a signed stream is covered by the next MAC, which our signer never leaves to do:
	 * only the last and the first are left unsigned in these tests. */
	if (r->tsig.key != NULL && !m->is_unsigned)
		T_OK(msp_tsig_sign_response(&r->tsig, msp_wall_now(), out, len, cap));
	if (m->flip)
		out[*len / 2] ^= 1;
	msp_buf_fini(&rdata);
	if (r->manner == TRICKLES)
		r->script_at = r->script_at + 1 < r->script_len ? r->script_at + 1 : 1;
	else
		*end = ++r->script_at == r->script_len;
	return MSP_OK;
}

static void script_done(void *arg, enum msp_err err)
{
	struct rig *r = arg;

	(void)err;
	msp_tsig_ctx_fini(&r->tsig);
}

static void handler(void *arg, struct msp_req *req)
{
	struct rig *r = arg;
	enum msp_tsig_error error = MSP_TSIG_NOERROR;
	struct msp_span m = msp_req_message(req);
	enum msp_err err;

	assert_true(m.len <= sizeof(r->request_octets));
	memcpy(r->request_octets, m.ptr, m.len);
	T_OK(msp_msg_parse(msp_span(r->request_octets, m.len), &scratch, &r->request, NULL));
	msp_tsig_ctx_fini(&r->tsig);
	memset(&r->tsig, 0, sizeof(r->tsig));
	if (r->request.tsig_at != 0) {
		err = msp_tsig_verify_request(&r->request, find_key, r, r->now.s != 0 ? r->now : msp_wall_now(),
					      &r->tsig, &error);
		if (err != MSP_OK) {
			reply_error(r, req, MSP_RCODE_NOTAUTH, error);
			return;
		}
	}
	if (r->signs_anyway)
		r->tsig.key = r->server_key;
	switch (r->manner) {
	case SENDS:
		msp_xfr_send(&req, r->soa, (const struct msp_rrset *const *)r->set, r->set_count,
			     r->tsig.key != NULL ? &r->tsig : NULL);
		assert_null(req);
		if (r->forgets_key)
			msp_tsig_key_free(&r->server_key);
		break;
	case STREAMS:
	case TRICKLES:
		r->script_at = 0;
		msp_req_stream(&req, pull_script, script_done, r);
		break;
	case REFUSES:
		reply_error(r, req, MSP_RCODE_REFUSED, MSP_TSIG_NOERROR);
		break;
	case NOT_IMPLEMENTED:
		reply_error(r, req, MSP_RCODE_NOTIMP, MSP_TSIG_NOERROR);
		break;
	case SILENT:
		assert_null(r->held);
		r->held = req;
		break;
	case CLOSES:
		msp_req_drop(&req);
		msp_server_close(&r->server);
		break;
	}
}

/* --- the client's ops --- */

static enum msp_err count_call(struct rig *r)
{
	assert_false(r->inside_call);
	assert_false(r->done);
	r->ops_calls++;
	if (r->ops_calls == r->cancel_at) {
		msp_xfr_cancel(&r->x);
		assert_null(r->x);
	}
	return r->ops_calls == r->fail_at ? MSP_ECORRUPT : MSP_OK;
}
static void note(struct rig *r, const char *what, const struct msp_rr *rr)
{
	msp_buf_add_str(&r->got, what);
	msp_rr_print(&r->got, NULL, rr);
	msp_buf_add_str(&r->got, "\n");
}
static enum msp_err on_begin(void *arg, const struct msp_rr *soa, bool is_full)
{
	struct rig *r = arg;

	r->is_full = is_full;
	note(r, "= ", soa);
	return count_call(r);
}
static enum msp_err on_record(void *arg, const struct msp_rr *rr)
{
	note(arg, "", rr);
	return count_call(arg);
}
static enum msp_err on_change(void *arg, bool is_add, const struct msp_rr *rr)
{
	note(arg, is_add ? "+ " : "- ", rr);
	return count_call(arg);
}
static const struct msp_xfrin_ops ops = { .begin = on_begin, .record = on_record, .change = on_change };

static void on_done(void *arg, const struct msp_xfr_result *result)
{
	struct rig *r = arg;

	assert_false(r->inside_call);
	r->calls++;
	assert_int_equal(r->calls, 1);
	r->result = *result;
	r->done = true;
	if (r->cancel_in_done)
		msp_xfr_cancel(&r->x);
}

static struct msp_tsig_key *new_key(const char *name, const char *secret)
{
	struct msp_name n = t_name(name);
	struct msp_tsig_key *key;

	T_OK(msp_tsig_key_new(&n, MSP_TSIG_SHA256, msp_span_str(secret), &key));
	return key;
}

static struct rig *rig_open(enum manner manner, bool is_signed)
{
	struct msp_addr any = k_addr("127.0.0.1", 0);
	struct rig *r = msp_alloc(1, sizeof(*r));

	assert_non_null(r);
	r->manner = manner;
	k_open(&r->k);
	T_OK(msp_server_open(r->k.loop, &any, NULL, handler, r, &r->server, NULL));
	if (is_signed) {
		r->key = new_key("transfer.key.", "0123456789abcdef0123456789abcdef");
		r->server_key = new_key("transfer.key.", "0123456789abcdef0123456789abcdef");
	}
	msp_buf_init(&r->got, 64 << 20);
	r->soa = t_rrset("zone.example. 300 IN SOA ns.zone.example. host.zone.example. 10 1800 900 604800 300");
	return r;
}

static void rig_close(struct rig *r)
{
	if (r->held != NULL)
		msp_req_drop(&r->held);
	msp_server_close(&r->server);
	k_close(&r->k); /* lets the sender end */
	msp_tsig_ctx_fini(&r->tsig);
	for (size_t i = 0; i < r->set_count; i++)
		msp_rrset_free(&r->set[i]);
	msp_rrset_free(&r->soa);
	msp_tsig_key_free(&r->key);
	msp_tsig_key_free(&r->server_key);
	msp_buf_fini(&r->got);
	msp_free(r);
}

static void add_set(struct rig *r, struct msp_rrset *set)
{
	assert_true(r->set_count < SETS_MAX);
	r->set[r->set_count++] = set;
}

static void big_zone(struct rig *r, size_t names)
{
	uint8_t txt[256];
	char line[256];
	struct msp_rrset *fat;

	add_set(r, t_rrset("zone.example. 300 IN NS ns.zone.example.\nzone.example. 300 IN NS ns2.zone.example."));
	for (size_t i = 0; i < names; i++) {
		snprintf(line, sizeof(line),
			 "h%zu.zone.example. 60 IN AAAA 2001:db8::%zx\nh%zu.zone.example. 60 IN AAAA 2001:db8:1::%zx",
			 i, i, i, i);
		add_set(r, t_rrset(line));
	}
	/* An RRset of about 64 KiB. */
	fat = t_rrset("fat.zone.example. 60 IN TXT \"x\"");
	memset(txt, 'y', sizeof(txt));
	txt[0] = 255;
	for (int i = 0; i < 255; i++) {
		txt[1] = (uint8_t)i;
		T_OK(msp_rrset_add(fat, msp_span(txt, sizeof(txt))));
	}
	add_set(r, fat);
}

static struct msp_xfr_params params(struct rig *r, enum msp_xfr_kind kind)
{
	struct msp_xfr_params p = {
		.server = *msp_server_addr(r->server), .zone = t_name("zone.example."), .kind = kind, .tsig = r->key
	};

	return p;
}

static void start(struct rig *r, const struct msp_xfr_params *p)
{
	r->inside_call = true;
	T_OK(msp_xfr_start(r->k.loop, p, &ops, r, on_done, r, &r->x));
	r->inside_call = false;
	assert_false(r->done);
}

static struct msp_rr have_soa(uint32_t serial, struct msp_buf *rdata)
{
	struct msp_rr rr;
	char line[128];

	snprintf(line, sizeof(line),
		 "zone.example. 300 IN SOA ns.zone.example. host.zone.example. %u 1800 900 604800 300", serial);
	msp_buf_init(rdata, 1024);
	T_OK(msp_rr_scan(msp_span_str(line), NULL, NULL, 60, rdata, &rr, NULL));
	return rr;
}

static void transfer(struct rig *r, enum msp_xfr_kind kind, uint32_t have)
{
	struct msp_xfr_params p = params(r, kind);
	struct msp_buf rdata;
	struct msp_rr soa = have_soa(have, &rdata);

	if (kind == MSP_XFR_IXFR)
		p.have_soa = &soa;
	start(r, &p);
	msp_buf_fini(&rdata); /* it was copied */
	K_UNTIL(&r->k, &r->done);
	k_settle(&r->k);
	assert_int_equal(r->calls, 1);
}

/* The lines received are the SOA and the sets, in the order given. */
static void expect_zone(struct rig *r)
{
	struct msp_buf want;
	size_t records = 0;

	msp_buf_init(&want, 64 << 20);
	for (size_t i = 0; i <= r->set_count; i++) {
		const struct msp_rrset *set = i == 0 ? r->soa : r->set[i - 1];

		for (size_t j = 0; j < set->count; j++) {
			struct msp_rr rr = { .owner = set->owner,
					     .type = set->type,
					     .cls = MSP_CLASS_IN,
					     .ttl = set->ttl,
					     .rdata = set->rdata[j] };

			msp_buf_add_str(&want, i == 0 ? "= " : "");
			msp_rr_print(&want, NULL, &rr);
			msp_buf_add_str(&want, "\n");
			records++;
		}
	}
	T_ERR(r->result.err, MSP_OK);
	assert_int_equal(r->result.state, MSP_XFRIN_DONE);
	assert_true(r->is_full);
	assert_string_equal(msp_buf_text(&r->got), msp_buf_text(&want));
	assert_true(r->result.records >= records);
	msp_buf_fini(&want);
}

static void zone_arrives_as_it_was_sent_signed_and_unsigned(void **state)
{
	(void)state;
	for (int is_signed = 0; is_signed < 2; is_signed++) {
		struct rig *r = rig_open(SENDS, is_signed == 1);

		big_zone(r, 2000);
		transfer(r, MSP_XFR_AXFR, 0);
		expect_zone(r);
		assert_true(r->result.messages >= 5);
		assert_true(r->result.messages < 30); /* filled, not one record each */
		rig_close(r);
	}
}

/* A new configuration may come while a slow client still reads. */
static void transfer_that_has_begun_does_not_need_its_key_any_more(void **state)
{
	struct rig *r = rig_open(SENDS, true);

	(void)state;
	r->forgets_key = true;
	big_zone(r, 2000);
	transfer(r, MSP_XFR_AXFR, 0);
	expect_zone(r);
	assert_null(r->server_key);
	rig_close(r);
}

static void zone_of_an_soa_alone_arrives(void **state)
{
	struct rig *r = rig_open(SENDS, true);

	(void)state;
	transfer(r, MSP_XFR_AXFR, 0);
	expect_zone(r);
	assert_int_equal(r->result.messages, 1);
	rig_close(r);
}

static void record_of_nearly_64_kib_gets_a_message_of_its_own(void **state)
{
	struct rig *r = rig_open(SENDS, true);
	static uint8_t rdata[65000];
	struct msp_name owner = t_name("null.zone.example.");
	struct msp_rrset *set;

	(void)state;
	for (int i = 0; i < 2; i++) {
		T_OK(msp_rrset_new(&owner, MSP_TYPE_NULL, 60, &set));
		memset(rdata, 7 + i, sizeof(rdata));
		/* 12 header, 20 owner and fixed part, the TSIG's reserve, no room for another */
		T_OK(msp_rrset_add(set, msp_span(rdata, i == 0 ? 64950 : 64000)));
		add_set(r, set);
	}
	transfer(r, MSP_XFR_AXFR, 0);
	expect_zone(r);
	assert_int_equal(r->result.messages, 3);
	rig_close(r);
}

static void record_too_large_for_any_message_ends_the_transfer(void **state)
{
	struct rig *r = rig_open(SENDS, true);
	static uint8_t rdata[65535];
	struct msp_name owner = t_name("null.zone.example.");
	struct msp_rrset *set;

	(void)state;
	T_OK(msp_rrset_new(&owner, MSP_TYPE_NULL, 60, &set));
	T_OK(msp_rrset_add(set, msp_span(rdata, 65530)));
	add_set(r, set);
	transfer(r, MSP_XFR_AXFR, 0);
	T_ERR(r->result.err, MSP_ECLOSED);
	rig_close(r);
}

static void unknown_key_is_reported_as_badkey(void **state)
{
	struct rig *r = rig_open(SENDS, true);

	(void)state;
	msp_tsig_key_free(&r->key);
	r->key = new_key("unknown.key.", "0123456789abcdef0123456789abcdef");
	transfer(r, MSP_XFR_AXFR, 0);
	T_ERR(r->result.err, MSP_ERCODE);
	assert_int_equal(r->result.rcode, MSP_RCODE_NOTAUTH);
	assert_non_null(strstr(r->result.why.text, "BADKEY"));
	assert_int_equal(r->ops_calls, 0);
	rig_close(r);
}

static void wrong_secret_is_reported_as_badsig(void **state)
{
	struct rig *r = rig_open(SENDS, true);

	(void)state;
	msp_tsig_key_free(&r->key);
	r->key = new_key("transfer.key.", "another secret, of the same name");
	transfer(r, MSP_XFR_AXFR, 0);
	T_ERR(r->result.err, MSP_ERCODE);
	assert_int_equal(r->result.rcode, MSP_RCODE_NOTAUTH);
	assert_non_null(strstr(r->result.why.text, "BADSIG"));
	rig_close(r);
}

static void wrong_clock_is_reported_as_badtime(void **state)
{
	struct rig *r = rig_open(SENDS, true);

	(void)state;
	r->now = (struct msp_wall){ msp_wall_now().s + 100000 };
	transfer(r, MSP_XFR_AXFR, 0);
	T_ERR(r->result.err, MSP_ERCODE);
	assert_int_equal(r->result.rcode, MSP_RCODE_NOTAUTH);
	assert_non_null(strstr(r->result.why.text, "BADTIME"));
	rig_close(r);
}

static void refusal_is_reported_with_its_rcode(void **state)
{
	(void)state;
	for (int is_signed = 0; is_signed < 2; is_signed++) {
		struct rig *r = rig_open(REFUSES, is_signed == 1);

		transfer(r, MSP_XFR_AXFR, 0);
		T_ERR(r->result.err, MSP_ERCODE);
		assert_int_equal(r->result.rcode, MSP_RCODE_REFUSED);
		assert_non_null(strstr(r->result.why.text, "REFUSED"));
		rig_close(r);
	}
}

static void server_without_ixfr_is_reported_so_that_axfr_can_follow(void **state)
{
	struct rig *r = rig_open(NOT_IMPLEMENTED, true);

	(void)state;
	transfer(r, MSP_XFR_IXFR, 5);
	T_ERR(r->result.err, MSP_ERCODE);
	assert_int_equal(r->result.rcode, MSP_RCODE_NOTIMP);
	rig_close(r);
}

#define SOA(serial)   "zone.example. 300 IN SOA ns.zone.example. host.zone.example. " serial " 1800 900 604800 300\n"
#define A(name, last) name ".zone.example. 60 IN A 192.0.2." last "\n"

static void run_script(struct rig *r, const struct message *script, size_t len, enum msp_xfr_kind kind)
{
	r->script = script;
	r->script_len = len;
	transfer(r, kind, 7);
}

static void unsigned_answer_to_a_signed_request_is_refused(void **state)
{
	static const struct message script[] = { { .records = SOA("10") A("a", "1") SOA("10"), .is_unsigned = true } };
	struct rig *r = rig_open(STREAMS, true);

	(void)state;
	run_script(r, script, 1, MSP_XFR_AXFR);
	T_ERR(r->result.err, MSP_EUNSIGNED);
	assert_int_equal(r->ops_calls, 0);
	rig_close(r);
}

static void signed_answer_to_an_unsigned_request_is_refused(void **state)
{
	static const struct message script[] = { { .records = SOA("10") SOA("10") } };
	struct rig *r = rig_open(STREAMS, true);
	struct msp_tsig_key *key = r->key;
	struct msp_xfr_params p;

	(void)state;
	r->script = script;
	r->script_len = 1;
	r->key = NULL;
	r->signs_anyway = true;
	p = params(r, MSP_XFR_AXFR);
	start(r, &p);
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->result.err, MSP_ENOKEY);
	assert_int_equal(r->ops_calls, 0);
	r->key = key;
	rig_close(r);
}

static void unsigned_last_message_is_refused(void **state)
{
	static const struct message script[] = { { .records = SOA("10") A("a", "1") },
						 { .records = A("b", "2") SOA("10"), .is_unsigned = true } };
	struct rig *r = rig_open(STREAMS, true);

	(void)state;
	run_script(r, script, 2, MSP_XFR_AXFR);
	T_ERR(r->result.err, MSP_EUNSIGNED);
	assert_non_null(strstr(r->result.why.text, "last message"));
	rig_close(r);
}

static void changed_octet_in_a_later_message_is_noticed(void **state)
{
	static const struct message script[] = {
		{ .records = SOA("10") A("a", "1") },
		{ .records = A("b", "2") A("c", "3") A("d", "4") A("e", "5") A("f", "6"), .flip = true },
		{ .records = SOA("10") }
	};
	struct rig *r = rig_open(STREAMS, true);

	(void)state;
	run_script(r, script, 3, MSP_XFR_AXFR);
	assert_int_not_equal(r->result.err, MSP_OK);
	assert_int_equal(r->ops_calls, 2); /* begin and a: nothing of the message that was changed */
	rig_close(r);
}

static void message_with_another_id_is_refused(void **state)
{
	static const struct message script[] = { { .records = SOA("10") A("a", "1") },
						 { .records = SOA("10"), .wrong_id = true } };
	struct rig *r = rig_open(STREAMS, false);

	(void)state;
	run_script(r, script, 2, MSP_XFR_AXFR);
	T_ERR(r->result.err, MSP_EMISMATCH);
	rig_close(r);
}

static void error_in_the_middle_is_reported(void **state)
{
	static const struct message script[] = { { .records = SOA("10") A("a", "1") },
						 { .records = "", .rcode = MSP_RCODE_SERVFAIL } };
	struct rig *r = rig_open(STREAMS, true);

	(void)state;
	run_script(r, script, 2, MSP_XFR_AXFR);
	T_ERR(r->result.err, MSP_ERCODE);
	assert_int_equal(r->result.rcode, MSP_RCODE_SERVFAIL);
	rig_close(r);
}

static void records_outside_the_zone_are_counted_and_left_out(void **state)
{
	static const struct message script[] = {
		{ .records = SOA("10") A("a", "1") "evil.example. 60 IN A 192.0.2.66\n" SOA("10") }
	};
	struct rig *r = rig_open(STREAMS, true);

	(void)state;
	run_script(r, script, 1, MSP_XFR_AXFR);
	T_ERR(r->result.err, MSP_OK);
	assert_int_equal(r->result.out_of_zone, 1);
	assert_null(strstr(msp_buf_text(&r->got), "evil"));
	rig_close(r);
}

static void differences_arrive_in_order(void **state)
{
	static const struct message script[] = {
		{ .records = SOA("9") SOA("7") A("a", "1") SOA("8") A("a", "2") },
		{ .records = SOA("8") A("b", "1") SOA("9") A("b", "2") A("c", "3") SOA("9") },
	};
	struct rig *r = rig_open(STREAMS, true);

	(void)state;
	run_script(r, script, 2, MSP_XFR_IXFR);
	T_ERR(r->result.err, MSP_OK);
	assert_int_equal(r->result.state, MSP_XFRIN_DONE);
	assert_false(r->is_full);
	assert_string_equal(msp_buf_text(&r->got), "= " SOA("9") "- " A("a", "1") "+ " A("a", "2") "- " A(
							   "b", "1") "+ " A("b", "2") "+ " A("c", "3"));
	rig_close(r);
}

static void ixfr_may_be_answered_by_the_whole_zone_or_up_to_date(void **state)
{
	struct rig *r = rig_open(SENDS, true);

	(void)state;
	add_set(r, t_rrset("a.zone.example. 60 IN A 192.0.2.1"));
	transfer(r, MSP_XFR_IXFR, 9);
	expect_zone(r);
	rig_close(r);

	r = rig_open(STREAMS, true);
	{
		static const struct message script[] = { { .records = SOA("7") } };

		run_script(r, script, 1, MSP_XFR_IXFR);
	}
	T_ERR(r->result.err, MSP_OK);
	assert_int_equal(r->result.state, MSP_XFRIN_UP_TO_DATE);
	rig_close(r);
}

static void ixfr_request_carries_our_soa_and_no_opt(void **state)
{
	struct rig *r = rig_open(REFUSES, false);
	struct msp_msg_it it;
	struct msp_rr rr;

	(void)state;
	transfer(r, MSP_XFR_IXFR, 4242);
	assert_int_equal(r->request.question.type, MSP_TYPE_IXFR);
	assert_false(r->request.edns.present);
	assert_int_equal(r->request.count[MSP_SEC_AUTHORITY], 1);
	msp_msg_it_init(&it, &r->request, MSP_SEC_AUTHORITY, &scratch);
	assert_true(msp_msg_next(&it, &rr));
	assert_int_equal(rr.type, MSP_TYPE_SOA);
	assert_int_equal(msp_soa_serial(rr.rdata), 4242);
	rig_close(r);
}

static void connection_closed_early_is_reported(void **state)
{
	static const struct message script[] = { { .records = SOA("10") A("a", "1") } };
	struct rig *r = rig_open(CLOSES, true);

	(void)state;
	transfer(r, MSP_XFR_AXFR, 0);
	T_ERR(r->result.err, MSP_ECLOSED);
	rig_close(r);
	/* In the middle: the server goes when the first message is out. */
	r = rig_open(STREAMS, true);
	{
		struct msp_xfr_params p = params(r, MSP_XFR_AXFR);

		r->script = script;
		r->script_len = 1;
		start(r, &p);
		K_UNTIL_COUNT(&r->k, &r->ops_calls, 2);
		assert_false(r->done);
		msp_server_close(&r->server);
		K_UNTIL(&r->k, &r->done);
	}
	T_ERR(r->result.err, MSP_ECLOSED);
	assert_non_null(strstr(r->result.why.text, "1 messages"));
	rig_close(r);
}

static void server_that_is_not_there_is_reported(void **state)
{
	struct rig *r = rig_open(SENDS, true);
	struct msp_xfr_params p = params(r, MSP_XFR_AXFR);

	(void)state;
	msp_server_close(&r->server);
	start(r, &p);
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->result.err, MSP_ENET);
	assert_non_null(strstr(r->result.why.text, "connect"));
	rig_close(r);

	r = rig_open(SENDS, true);
	p = params(r, MSP_XFR_AXFR);
	p.source = k_addr("192.0.2.77", 0); /* not ours */
	start(r, &p);
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->result.err, MSP_ENET);
	rig_close(r);

	r = rig_open(SENDS, true);
	p = params(r, MSP_XFR_AXFR);
	p.source = k_addr("192.0.2.77", 0);
	start(r, &p);
	msp_xfr_cancel(&r->x);
	k_settle(&r->k);
	assert_int_equal(r->calls, 0);
	rig_close(r);
}

static void silent_server_runs_into_the_idle_time(void **state)
{
	struct rig *r = rig_open(SILENT, true);
	struct msp_xfr_params p = params(r, MSP_XFR_AXFR);

	(void)state;
	p.idle_timeout_ms = 30;
	start(r, &p);
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->result.err, MSP_ETIMEOUT);
	rig_close(r);
}

static void endless_transfer_runs_into_the_total_time_or_a_limit(void **state)
{
	static const struct message script[] = { { .records = SOA("10") }, { .records = A("a", "1") } };
	struct rig *r = rig_open(TRICKLES, true);
	struct msp_xfr_params p = params(r, MSP_XFR_AXFR);

	(void)state;
	r->script = script;
	r->script_len = 2;
	p.total_timeout_ms = 50;
	start(r, &p);
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->result.err, MSP_ETIMEOUT);
	assert_true(r->result.messages > 2);
	rig_close(r);

	r = rig_open(TRICKLES, true);
	r->script = script;
	r->script_len = 2;
	p = params(r, MSP_XFR_AXFR);
	p.limits.records = 100;
	start(r, &p);
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->result.err, MSP_ELIMIT);
	rig_close(r);
}

static void failing_store_stops_the_transfer_with_its_error(void **state)
{
	struct rig *r = rig_open(SENDS, true);

	(void)state;
	big_zone(r, 300);
	r->fail_at = 50;
	transfer(r, MSP_XFR_AXFR, 0);
	T_ERR(r->result.err, MSP_ECORRUPT);
	assert_int_equal(r->ops_calls, 50);
	rig_close(r);
}

static void cancelled_transfer_stays_silent_whenever_it_is_cancelled(void **state)
{
	bool over = false;

	(void)state;
	/* After every number of rounds of the loop, until it would be over. */
	for (size_t rounds = 0; !over; rounds++) {
		struct rig *r = rig_open(SENDS, true);
		struct msp_xfr_params p = params(r, MSP_XFR_AXFR);

		assert_true(rounds < 1000);
		big_zone(r, 200);
		start(r, &p);
		for (size_t i = 0; i < rounds && !r->done; i++)
			msp_loop_run_until(r->k.loop, k_never, NULL, 0);
		over = r->done;
		if (!over) {
			msp_xfr_cancel(&r->x);
			assert_null(r->x);
		}
		k_settle(&r->k);
		assert_int_equal(r->calls, over);
		rig_close(r);
	}
}

static void transfer_may_be_cancelled_from_inside_its_callbacks(void **state)
{
	static const size_t at[] = { 1, 2, 3, 100, 301 };

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct rig *r = rig_open(SENDS, true);
		struct msp_xfr_params p = params(r, MSP_XFR_AXFR);

		big_zone(r, 200);
		r->cancel_at = at[i];
		start(r, &p);
		K_UNTIL_COUNT(&r->k, &r->ops_calls, at[i]);
		k_settle(&r->k);
		assert_int_equal(r->calls, 0);
		rig_close(r);
	}
	{
		struct rig *r = rig_open(SENDS, true);

		r->cancel_in_done = true;
		transfer(r, MSP_XFR_AXFR, 0);
		assert_null(r->x);
		rig_close(r);
	}
}

/* --- by hand --- */

static void every_message_carries_an_opt_when_the_request_did(void **state)
{
	struct rig *r = rig_open(SENDS, false);
	struct msp_name zone = t_name("zone.example.");
	static uint8_t m[65535];
	struct msp_rr opt = { .type = MSP_TYPE_OPT, .cls = 1232 };
	struct msp_span octets;
	struct msp_msg parsed;
	struct msp_msgw w;
	size_t len, messages = 0, soas = 0;
	int fd;

	(void)state;
	big_zone(r, 1000);
	msp_name_root(&opt.owner);
	msp_msgw_init(&w, m + 2, 512, 99, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &zone, MSP_TYPE_AXFR, MSP_CLASS_IN);
	msp_msgw_rr(&w, MSP_SEC_ADDITIONAL, &opt);
	T_OK(msp_msgw_finish(&w, &octets));
	m[0] = 0;
	m[1] = (uint8_t)octets.len;
	fd = k_connect(msp_server_addr(r->server), SOCK_STREAM);
	k_send(fd, m, octets.len + 2);
	while (soas < 2) {
		struct msp_msg_it it;
		struct msp_rr rr;

		len = k_recv_message(&r->k, fd, m, sizeof(m));
		T_OK(msp_msg_parse(msp_span(m, len), &scratch, &parsed, NULL));
		assert_int_equal(parsed.id, 99);
		assert_true((parsed.flags & MSP_FLAG_AA) != 0);
		assert_int_equal(parsed.flags & MSP_FLAG_TC, 0);
		assert_true(parsed.edns.present);
		assert_int_equal(parsed.count[MSP_SEC_QUESTION], messages == 0);
		assert_true(len <= 17000 || parsed.count[MSP_SEC_ANSWER] == 1);
		msp_msg_it_init(&it, &parsed, MSP_SEC_ANSWER, &scratch);
		while (msp_msg_next(&it, &rr))
			soas += rr.type == MSP_TYPE_SOA;
		messages++;
	}
	assert_true(messages > 3);
	close(fd);
	rig_close(r);
}

static void on_udp_answer(void *arg, enum msp_err err, struct msp_span answer)
{
	struct rig *r = arg;

	T_OK(err);
	msp_buf_add_span(&r->got, answer);
	r->done = true;
}

static void transfer_by_udp_is_sent_to_tcp(void **state)
{
	static const uint16_t type[] = { MSP_TYPE_IXFR, MSP_TYPE_AXFR };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct rig *r = rig_open(SENDS, false);
		struct msp_xchg_params p = { .server = *msp_server_addr(r->server), .transport = MSP_UDP_ONLY };
		struct msp_msg m;
		uint8_t q[512];
		size_t len = k_question(q, sizeof(q), 5, "zone.example.", type[i]);

		big_zone(r, 10);
		p.message = msp_span(q + 2, len - 2);
		T_OK(msp_xchg_start(r->k.loop, &p, on_udp_answer, r, NULL));
		K_UNTIL(&r->k, &r->done);
		T_OK(msp_msg_parse(msp_buf_span(&r->got), &scratch, &m, NULL));
		assert_int_equal(m.count[MSP_SEC_ANSWER], type[i] == MSP_TYPE_IXFR); /* one SOA */
		assert_int_equal(m.rcode, type[i] == MSP_TYPE_IXFR ? MSP_RCODE_NOERROR : MSP_RCODE_FORMERR);
		rig_close(r);
	}
}

static void every_allocation_may_fail(void **state)
{
	bool failed = true;

	(void)state;
	for (size_t nth = 1; failed && nth < 500; nth++) {
		struct rig *r = rig_open(SENDS, false);
		struct msp_xfr_params p = params(r, MSP_XFR_AXFR);

		/* Few records: what is allocated per record is not ours. */
		add_set(r, t_rrset("a.zone.example. 60 IN A 192.0.2.1"));
		p.idle_timeout_ms = 50;
		T_OK(msp_buf_reserve(&r->got, 4096) != NULL ? MSP_OK : MSP_ENOMEM);
		msp_mem_fail_at(nth);
		if (msp_xfr_start(r->k.loop, &p, &ops, r, on_done, r, &r->x) == MSP_OK) {
			assert_true(msp_loop_run_until(r->k.loop, k_is_true, &r->done, K_LIMIT_MS));
			assert_int_equal(r->calls, 1);
		}
		failed = msp_mem_failed();
		msp_mem_fail_at(0);
		assert_true(failed || r->result.err == MSP_OK);
		rig_close(r);
	}
	assert_false(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zone_arrives_as_it_was_sent_signed_and_unsigned),
		cmocka_unit_test(transfer_that_has_begun_does_not_need_its_key_any_more),
		cmocka_unit_test(zone_of_an_soa_alone_arrives),
		cmocka_unit_test(record_of_nearly_64_kib_gets_a_message_of_its_own),
		cmocka_unit_test(record_too_large_for_any_message_ends_the_transfer),
		cmocka_unit_test(unknown_key_is_reported_as_badkey),
		cmocka_unit_test(wrong_secret_is_reported_as_badsig),
		cmocka_unit_test(wrong_clock_is_reported_as_badtime),
		cmocka_unit_test(refusal_is_reported_with_its_rcode),
		cmocka_unit_test(server_without_ixfr_is_reported_so_that_axfr_can_follow),
		cmocka_unit_test(unsigned_answer_to_a_signed_request_is_refused),
		cmocka_unit_test(signed_answer_to_an_unsigned_request_is_refused),
		cmocka_unit_test(unsigned_last_message_is_refused),
		cmocka_unit_test(changed_octet_in_a_later_message_is_noticed),
		cmocka_unit_test(message_with_another_id_is_refused),
		cmocka_unit_test(error_in_the_middle_is_reported),
		cmocka_unit_test(records_outside_the_zone_are_counted_and_left_out),
		cmocka_unit_test(differences_arrive_in_order),
		cmocka_unit_test(ixfr_may_be_answered_by_the_whole_zone_or_up_to_date),
		cmocka_unit_test(ixfr_request_carries_our_soa_and_no_opt),
		cmocka_unit_test(connection_closed_early_is_reported),
		cmocka_unit_test(server_that_is_not_there_is_reported),
		cmocka_unit_test(silent_server_runs_into_the_idle_time),
		cmocka_unit_test(endless_transfer_runs_into_the_total_time_or_a_limit),
		cmocka_unit_test(failing_store_stops_the_transfer_with_its_error),
		cmocka_unit_test(cancelled_transfer_stays_silent_whenever_it_is_cancelled),
		cmocka_unit_test(transfer_may_be_cancelled_from_inside_its_callbacks),
		cmocka_unit_test(every_message_carries_an_opt_when_the_request_did),
		cmocka_unit_test(transfer_by_udp_is_sent_to_tcp),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
