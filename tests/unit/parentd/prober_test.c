/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The prober against servers on loopback that say what the test wants. Names outside the child are looked up through
 * the library's resolver, whose worker is this program itself (--resolver-worker).
 */
#include "../io/iokit.h"
#include "prt_build.h"
#include "rrsign.h"

#include "probe.h"

#include <errno.h>
#include <stdlib.h>

#include <msproto/auth/dnssec.h>
#include <msproto/base/mem.h>
#include <msproto/io/batch.h>
#include <msproto/msg/edns.h>

#include "io/resolve_wire.h"
#include "io/sockaddr.h"

#define SERVERS    3
#define RECORDS    16
#define MUTE_MS    50 /* how long is waited for a server of which is known that it says nothing */
#define NOW        ((struct msp_wall){ 1800000000 })
#define INCEPTION  1799990000u
#define EXPIRATION 1800090000u

/* --- the worker of the resolver --------------------------------------------------------------------------------------
 */

/* A net of this process's own (the worker is its child), so that one port is free on all of it. */
static unsigned net;

static const uint8_t *loopback(unsigned last)
{
	static uint8_t oct[4] = { 127 };

	oct[1] = (uint8_t)(64 + (net >> 8 & 0x3f));
	oct[2] = (uint8_t)net;
	oct[3] = (uint8_t)last;
	return oct;
}

/* "one.": server 1; "two.": 1 and 2; "many.": 40; "none." does not exist; "bogus."; "half.": no word of AAAA; "hang.";
 * "late.": server 1, but not before "go.", also server 1, is asked for
 */
static void worker_answer(const struct resolve_ask *ask)
{
	struct resolve_reply reply = { .id = ask->id, .is_open = ask->is_open, .verdict = MSP_LOOKUP_INSECURE };
	unsigned count = 0, first = ask->name.oct[1] == 't' ? 1 : 0;
	struct msp_buf out;

	switch (ask->name.oct[1]) {
	case 'g':
	case 'l':
	case 'o':
	case 't':
		count = 1 + first;
		break;
	case 'm':
		count = 40;
		break;
	case 'b':
		reply.verdict = MSP_LOOKUP_BOGUS;
		break;
	case 'h':
		if (ask->name.oct[3] == 'n')
			return;
		count = ask->type == MSP_TYPE_A;
		reply.verdict = count > 0 ? MSP_LOOKUP_SECURE : MSP_LOOKUP_FAILED;
		break;
	default:
		break;
	}
	if (ask->type == MSP_TYPE_AAAA)
		count = 0;
	if (count > 0 && msp_rrset_new(&ask->name, ask->type, 300, &reply.set) != MSP_OK)
		_exit(1);
	for (unsigned i = 0; i < count; i++)
		if (msp_rrset_add(reply.set, msp_span(loopback(1 + i), 4)) != MSP_OK)
			_exit(1);
	reply.is_negative = count == 0 && reply.verdict == MSP_LOOKUP_INSECURE;
	msp_buf_init(&out, RESOLVE_REPLY_MAX);
	if (resolve_reply_write(&reply, &out) != MSP_OK || write(3, out.ptr, out.len) != (ssize_t)out.len)
		_exit(1);
	msp_buf_fini(&out);
	msp_rrset_free(&reply.set);
}

static void worker_take(const struct resolve_ask *ask)
{
	static struct resolve_ask late;
	static bool has_late;

	if (ask->name.oct[1] == 'l') {
		late = *ask;
		has_late = true;
		return;
	}
	if (ask->name.oct[1] == 'g' && has_late) {
		has_late = false;
		worker_answer(&late);
	}
	worker_answer(ask);
}

static int worker(void)
{
	struct msp_buf in;

	msp_buf_init(&in, 1 << 20);
	for (;;) {
		uint8_t chunk[4096];
		struct resolve_ask ask;
		struct msp_span payload;
		ssize_t n = read(3, chunk, sizeof(chunk));

		if (n <= 0)
			_exit(0);
		msp_buf_add(&in, chunk, (size_t)n);
		while (resolve_frame(msp_buf_span(&in), RESOLVE_ASK_MAX, &payload) == MSP_OK) {
			if (resolve_ask_read(payload, &ask) != MSP_OK)
				_exit(1);
			msp_buf_consume(&in, RESOLVE_FRAME_HEAD + payload.len);
			worker_take(&ask);
		}
	}
}

/* --- servers ---------------------------------------------------------------------------------------------------------
 */

enum manner {
	PROPER,
	NO_AA,
	MUTE,      /* takes questions and says nothing */
	HOLDS,     /* until the test lets it go */
	TRUNCATES, /* TC, by TCP */
	REFUSES,
	CHAOS,        /* all records are of another class */
	OTHERS,       /* all records are of another owner */
	EXTRA,        /* the right ones and one more of another owner */
	SIGNS_OTHERS, /* with signatures over another type */
	MALFORMED,    /* a record whose RDATA its type does not allow */
	HUGE,         /* a thousand records */
	ENDLESS,      /* the most that a message holds */
	GARBLES,      /* the answer ends within a record */
	NXDOMAIN
};

struct server {
	struct msp_server *s;
	struct msp_addr addr;
	enum manner manner, udp; /* over TCP, over UDP */
	uint16_t only;           /* the manner is for this type only; 0 = all */
	const char *lines;
	const struct msp_key *key; /* what it says is signed */
	size_t asked, by_udp;
	struct msp_req *held[32];
	size_t held_count;
	uint32_t serial_step; /* the serial grows by it with each SOA question */
	uint32_t serial;
	struct msp_span option; /* Report-Channel; ptr NULL: none */
	unsigned options;       /* more of it */
};

struct rig {
	struct k_loop k;
	struct server server[SERVERS + 1]; /* 1.. */
	struct msp_resolver *resolver;
	struct prt_prober *prober;
	struct prt_probe_conf conf;
	struct prt_delegation d, known; /* known without NS: not given */
	struct prt_probe *probe;
	/* the outcome */
	bool done, is_inside, frees_prober, cancels;
	size_t calls;
	struct prt_evidence e;
};

static char self[4096];

static void put_rr(struct msp_msgw *w, enum manner manner, struct msp_rr *rr)
{
	if (manner == CHAOS)
		rr->cls = MSP_CLASS_CH;
	if (manner == OTHERS)
		rr->owner = t_name("sibling." P);
	msp_msgw_rr(w, MSP_SEC_ANSWER, rr);
}

static void put_signature(struct msp_msgw *w, const struct server *s, enum manner manner, const struct msp_rrset *set)
{
	struct msp_name child = t_name(C);
	struct msp_buf rdata;
	struct msp_rr rr = { .owner = set->owner, .type = MSP_TYPE_RRSIG, .cls = MSP_CLASS_IN, .ttl = set->ttl };

	msp_buf_init(&rdata, 2048);
	T_OK(rrsign(set, s->key, &child, INCEPTION, EXPIRATION, &rdata));
	rr.rdata = msp_buf_span(&rdata);
	put_rr(w, manner, &rr);
	msp_buf_fini(&rdata);
}

static void put_many(struct msp_msgw *w, const struct msp_question *q, unsigned count)
{
	uint8_t rdata[36] = { 0, 1, 13, 2 };

	for (unsigned i = 0; i < count && w->wr.err == MSP_OK; i++) {
		size_t before = w->wr.pos;

		rdata[4] = (uint8_t)(i >> 8);
		rdata[5] = (uint8_t)i;
		msp_msgw_rr(w, MSP_SEC_ANSWER,
			    &(struct msp_rr){ q->name, q->type, MSP_CLASS_IN, 300, msp_span(rdata, sizeof(rdata)) });
		if (w->wr.err != MSP_OK)
			msp_wr_rewind(&w->wr, before);
	}
}

static void put_malformed(struct msp_msgw *w, const struct msp_question *q)
{
	msp_msgw_rr(w, MSP_SEC_ANSWER, &(struct msp_rr){ q->name, q->type, MSP_CLASS_IN, 300, msp_span("", 1) });
}

static void put_line(struct msp_msgw *w, const char *line)
{
	struct msp_buf rdata;
	struct msp_rr rr;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	T_OK(msp_rr_scan(msp_span_str(line), NULL, NULL, 300, &rdata, &rr, NULL));
	msp_msgw_rr(w, MSP_SEC_ANSWER, &rr);
	msp_buf_fini(&rdata);
}

/* The records of the server's lines that have the question's name and type, or a CNAME. */
static void put_records(struct msp_msgw *w, struct server *s, enum manner manner, const struct msp_question *q)
{
	const char *at = s->lines;
	struct msp_rrset *set = NULL;
	struct msp_buf rdata;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	while (*at != '\0') {
		size_t len = strcspn(at, "\n");
		struct msp_rr rr;

		T_OK(msp_rr_scan(msp_span(at, len), NULL, NULL, 300, &rdata, &rr, NULL));
		at += len + (at[len] == '\n');
		if (!msp_name_equal(&rr.owner, &q->name) || (rr.type != q->type && rr.type != MSP_TYPE_CNAME))
			continue;
		if (set == NULL)
			T_OK(msp_rrset_new(&rr.owner, rr.type, rr.ttl, &set));
		if (rr.type == MSP_TYPE_SOA) {
			uint8_t soa[600];

			s->serial += s->serial_step;
			memcpy(soa, rr.rdata.ptr, rr.rdata.len);
			soa[rr.rdata.len - 17] = (uint8_t)s->serial;
			rr.rdata.ptr = soa;
			T_OK(msp_rrset_add(set, rr.rdata));
			put_rr(w, manner, &rr);
			continue;
		}
		T_OK(msp_rrset_add(set, rr.rdata));
		put_rr(w, manner, &rr);
	}
	if (set != NULL && s->key != NULL)
		put_signature(w, s, manner, set);
	if (manner == EXTRA || manner == SIGNS_OTHERS)
		put_line(w, manner == EXTRA ? "sibling." P " 300 A 192.0.2.4"
					    : C " 300 RRSIG NS 13 2 300 20300101000000 20200101000000 1 " C " AAAA");
	msp_rrset_free(&set);
	msp_buf_fini(&rdata);
}

static unsigned rcode_of(enum manner manner)
{
	return manner == REFUSES ? MSP_RCODE_REFUSED : (manner == NXDOMAIN ? MSP_RCODE_NXDOMAIN : MSP_RCODE_NOERROR);
}

static void put_option(struct msp_msgw *w, const struct server *s)
{
	struct msp_optw o = msp_optw_open(w, MSP_EDNS_PAYLOAD, MSP_RCODE_NOERROR, true);

	for (unsigned i = 0; i <= s->options; i++)
		msp_optw_add(&o, MSP_OPT_REPORT_CHANNEL, s->option);
	msp_optw_close(&o);
}

static void respond(struct server *s, struct msp_req **req)
{
	static struct msp_rr_scratch scratch;
	static uint8_t mem[MSP_MSG_MAX];
	enum manner manner = msp_req_is_tcp(*req) ? s->manner : s->udp;
	struct msp_span out;
	struct msp_msgw w;
	struct msp_msg m;

	T_OK(msp_msg_parse(msp_req_message(*req), &scratch, &m, NULL));
	assert_true(m.edns.present);
	assert_int_equal(m.edns.dnssec_ok, msp_req_is_tcp(*req));
	assert_int_equal(m.flags & MSP_FLAG_RD, 0);
	if (s->only != 0 && s->only != m.question.type)
		manner = PROPER;
	msp_msgw_respond(&w, mem, sizeof(mem), &m, rcode_of(manner),
			 (uint16_t)((manner == NO_AA ? 0 : MSP_FLAG_AA) | (manner == TRUNCATES ? MSP_FLAG_TC : 0)));
	if (manner == HUGE || manner == ENDLESS)
		put_many(&w, &m.question, manner == HUGE ? 1000 : 65535);
	else if (manner == MALFORMED)
		put_malformed(&w, &m.question);
	else if (manner != REFUSES && manner != NXDOMAIN)
		put_records(&w, s, manner, &m.question);
	if (manner == ENDLESS)
		w.wr.err = MSP_OK;
	if (s->option.ptr != NULL)
		put_option(&w, s);
	T_OK(msp_msgw_finish(&w, &out));
	if (manner == GARBLES)
		out.len -= 3;
	msp_req_reply(req, out);
}

static void on_request(void *arg, struct msp_req *req)
{
	struct server *s = arg;

	s->by_udp += !msp_req_is_tcp(req);
	s->asked++;
	if (!msp_req_is_tcp(req) && s->udp == MUTE)
		msp_req_drop(&req);
	else if (!msp_req_is_tcp(req))
		respond(s, &req);
	else if (s->manner == HOLDS && s->held_count < 32)
		s->held[s->held_count++] = req;
	else if (s->manner == MUTE)
		msp_req_drop(&req);
	else
		respond(s, &req);
}

static void let_go(struct server *s)
{
	s->manner = PROPER;
	for (size_t i = s->held_count; i > 0; i--) /* the other way round */
		respond(s, &s->held[i - 1]);
	s->held_count = 0;
}

/* --- the rig ---------------------------------------------------------------------------------------------------------
 */

#define SOA_SET   C " 300 SOA ns1." C " h.test. 7 1 2 3 4\n"
#define NS_SET    C " 300 NS ns1." C "\n" C " 300 NS ns2." C "\n"
#define CDS_SET   C " 300 CDS 1 13 2 " DIGEST_1 "\n" C " 200 CDS 1 13 2 " DIGEST_2 "\n"
#define CSYNC_SET C " 300 CSYNC 7 1 A NS AAAA\n"
#define KEY_SET   C " 300 DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n"
#define HOST_SETS "ns1." C " 300 A 192.0.2.1\nns2." C " 300 A 192.0.2.2\nns2." C " 300 AAAA 2001:db8::2\n"
#define ALL_SETS  SOA_SET NS_SET CDS_SET CSYNC_SET KEY_SET HOST_SETS

static const struct msp_addr *server_addr(const struct rig *r, unsigned n)
{
	return &r->server[n].addr;
}

static void open_servers(struct rig *r)
{
	struct msp_addr a;

	for (unsigned n = 1; n <= SERVERS; n++) {
		struct server *s = &r->server[n];

		s->lines = ALL_SETS;
		s->serial = 7;
		T_OK(msp_addr_from_octets(msp_span(loopback(n), 4), n == 1 ? 0 : r->conf.port, &a));
		T_OK(msp_server_open(r->k.loop, &a, NULL, on_request, s, &s->s, NULL));
		s->addr = *msp_server_addr(s->s);
		r->conf.port = s->addr.port;
	}
}

static void rig_open(struct rig *r)
{
	struct msp_resolver_conf conf = { .worker_path = self };
	struct msp_why why = { "" };

	memset(r, 0, sizeof(*r));
	r->conf = (struct prt_probe_conf){ .ipv4 = true, .timeout_ms = 2 * K_LIMIT_MS };
	k_open(&r->k);
	open_servers(r);
	T_OK(msp_resolver_open(r->k.loop, &conf, &r->resolver, &why));
	T_OK(prt_prober_new(r->k.loop, r->resolver, &r->conf, &r->prober));
}

static void rig_close(struct rig *r)
{
	prt_prober_free(&r->prober);
	msp_resolver_close(&r->resolver);
	for (unsigned n = 1; n <= SERVERS; n++) {
		for (size_t i = 0; i < r->server[n].held_count; i++)
			msp_req_drop(&r->server[n].held[i]);
		msp_server_close(&r->server[n].s);
	}
	prt_evidence_fini(&r->e);
	prt_delegation_clear(&r->d);
	prt_delegation_clear(&r->known);
	k_settle(&r->k);
	k_close(&r->k);
}

static void set_conf(struct rig *r)
{
	prt_prober_set(r->prober, &r->conf);
}

/* "NS1 NS2 ...": name servers; those below the child that are "ns<number>" have the address of that server as glue. */
static void delegate(struct rig *r, const char *names)
{
	char text[4096] = "", word[300];
	size_t len = 0;
	int n;

	while (sscanf(names, "%299s%n", word, &n) == 1) {
		unsigned number;

		len += (size_t)snprintf(text + len, sizeof(text) - len, C " 300 NS %s\n", word);
		if (strstr(word, "." C) != NULL && sscanf(word, "ns%u.", &number) == 1) {
			struct msp_addr_text a;
			struct msp_addr addr;

			T_OK(msp_addr_from_octets(msp_span(loopback(number), 4), 0, &addr));
			a = msp_addr_text(&addr);
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s 300 A %s\n", word, a.s);
		}
		names += n;
	}
	prt_delegation_clear(&r->d);
	t_delegation(&r->d, text);
}

static void on_probe(void *arg, struct prt_evidence *e)
{
	struct rig *r = arg;

	assert_false(r->is_inside);
	r->calls++;
	prt_evidence_fini(&r->e);
	r->e = *e;
	r->done = true;
	if (r->cancels)
		prt_probe_cancel(&r->probe);
	if (r->frees_prober)
		prt_prober_free(&r->prober);
}

static void start(struct rig *r, unsigned questions)
{
	r->done = false;
	r->is_inside = true;
	T_OK(prt_probe_start(r->prober, &r->d, prt_delegation_ns(&r->known) != NULL ? &r->known : NULL,
			     questions ^ PRT_PROBE_PRIVATE, on_probe, r, &r->probe)); /* loopback */
	r->is_inside = false;
	assert_false(r->done);
}

static void probe(struct rig *r, const char *names, unsigned questions)
{
	delegate(r, names);
	start(r, questions);
	K_UNTIL(&r->k, &r->done);
	assert_int_equal(prt_prober_load(r->prober), 0);
}

/* What server i of the evidence answered. */
static const struct prt_answer *answer(const struct rig *r, size_t i, enum prt_question q)
{
	assert_true(i < r->e.count);
	return &r->e.server[i].answer[q];
}

static void expect_set(const struct prt_answer *a, const char *lines)
{
	struct msp_rrset *want = t_rrset(lines);

	T_ERR(a->err, MSP_OK);
	assert_true(a->is_asked);
	assert_true(msp_rrset_equal(a->set, want));
	msp_rrset_free(&want);
}

static void expect_none(const struct prt_answer *a)
{
	assert_true(a->is_asked && a->is_authoritative);
	T_ERR(a->err, MSP_OK);
	assert_null(a->set);
	assert_null(a->sigs);
}

static void expect_error(const struct prt_answer *a, enum msp_err err)
{
	assert_true(a->is_asked);
	T_ERR(a->err, err);
	assert_null(a->set);
	assert_null(a->sigs);
}

static void expect_server(const struct rig *r, size_t i, const char *host, unsigned n)
{
	struct msp_name name = t_name(host);

	assert_true(i < r->e.count);
	assert_true(msp_name_equal(&r->e.server[i].host, &name));
	if (n == 0)
		assert_int_equal(r->e.server[i].addr.family, MSP_FAMILY_NONE);
	else
		assert_true(msp_addr_equal(&r->e.server[i].addr, server_addr(r, n)));
}

/* --- what is seen ----------------------------------------------------------------------------------------------------
 */

static void every_address_is_asked_all_questions_over_one_connection(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[2].lines = SOA_SET NS_SET;
	probe(&r, "ns1." C " ns2." C, PRT_PROBE_CDS);
	assert_int_equal(r.e.count, 2);
	for (unsigned n = 1; n <= 2; n++) {
		char host[64];

		snprintf(host, sizeof(host), "ns%u." C, n);
		expect_server(&r, n - 1, host, n);
		expect_set(answer(&r, n - 1, PRT_Q_SOA), SOA_SET);
		expect_set(answer(&r, n - 1, PRT_Q_NS), NS_SET);
		expect_set(answer(&r, n - 1, PRT_Q_SOA_AGAIN), SOA_SET);
		assert_false(answer(&r, n - 1, PRT_Q_CSYNC)->is_asked);
		assert_int_equal(r.server[n].asked, 6);
		assert_int_equal(r.server[n].by_udp, 0);
		assert_int_equal(msp_server_stats(r.server[n].s).tcp_accepted, 1);
	}
	expect_set(answer(&r, 0, PRT_Q_DNSKEY), KEY_SET);
	expect_set(answer(&r, 0, PRT_Q_CDS), CDS_SET);
	assert_int_equal(answer(&r, 0, PRT_Q_CDS)->set->ttl, 200); /* the lowest */
	expect_none(answer(&r, 0, PRT_Q_CDNSKEY));
	expect_none(answer(&r, 1, PRT_Q_DNSKEY));
	expect_none(answer(&r, 1, PRT_Q_CDS));
	rig_close(&r);
}

static void a_glance_asks_three_questions(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	probe(&r, "ns1." C, PRT_PROBE_GLANCE);
	assert_int_equal(r.server[1].asked, 3);
	expect_set(answer(&r, 0, PRT_Q_CDS), CDS_SET);
	expect_none(answer(&r, 0, PRT_Q_CDNSKEY));
	expect_set(answer(&r, 0, PRT_Q_CSYNC), CSYNC_SET);
	assert_false(answer(&r, 0, PRT_Q_SOA)->is_asked);
	rig_close(&r);
}

static void a_zone_that_changes_meanwhile_shows_two_serials(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].serial_step = 1;
	probe(&r, "ns1." C, PRT_PROBE_CDS);
	assert_int_equal(msp_soa_serial(answer(&r, 0, PRT_Q_SOA)->set->rdata[0]) & 0xff, 8);
	assert_int_equal(msp_soa_serial(answer(&r, 0, PRT_Q_SOA_AGAIN)->set->rdata[0]) & 0xff, 9);
	rig_close(&r);
}

static void the_second_look_comes_after_slow_answers_in_any_order(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].manner = HOLDS;
	delegate(&r, "ns1." C);
	start(&r, PRT_PROBE_CDS);
	K_UNTIL_COUNT(&r.k, &r.server[1].held_count, 5);
	k_settle(&r.k);
	assert_int_equal(r.server[1].asked, 5);
	assert_false(r.done);
	let_go(&r.server[1]);
	K_UNTIL(&r.k, &r.done);
	assert_int_equal(r.server[1].asked, 6);
	expect_set(answer(&r, 0, PRT_Q_CDS), CDS_SET);
	expect_set(answer(&r, 0, PRT_Q_SOA_AGAIN), SOA_SET);
	rig_close(&r);
}

static void the_childs_own_name_servers_are_asked_for_in_a_second_round(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].serial_step = 1;
	r.server[1].lines = SOA_SET C " 300 NS ns2." C "\n" C " 300 NS ns.other.test.\n" C " 300 NS ns9." C
				      "\n" CSYNC_SET KEY_SET HOST_SETS;
	probe(&r, "ns1." C, PRT_PROBE_CSYNC);
	assert_int_equal(r.e.server[0].hosts, 2); /* and not the one outside */
	for (size_t i = 0; i < 2; i++) {
		const struct prt_host *h = &r.e.server[0].at[i];
		struct msp_name ns2 = t_name("ns2." C);

		if (msp_name_equal(&h->name, &ns2)) {
			expect_set(&h->a, "ns2." C " 300 A 192.0.2.2");
			expect_set(&h->aaaa, "ns2." C " 300 AAAA 2001:db8::2");
		} else {
			expect_none(&h->a);
			expect_none(&h->aaaa);
		}
	}
	assert_int_equal(r.server[1].asked, 4 + 4 + 1);
	/* the zone's second serial was seen after the hosts, with one look at it before */
	assert_int_equal(msp_soa_serial(answer(&r, 0, PRT_Q_SOA_AGAIN)->set->rdata[0]) & 0xff, 9);
	rig_close(&r);
}

static void hosts_are_asked_for_even_if_the_ns_rrset_was_not_wanted_and_none_is_fine(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].lines = SOA_SET C " 300 NS ns.other.test.\n";
	probe(&r, "ns1." C, (1u << PRT_Q_SOA) | PRT_Q_HOSTS);
	assert_int_equal(r.e.server[0].hosts, 0);
	assert_true(answer(&r, 0, PRT_Q_NS)->is_asked);
	assert_int_equal(r.server[1].asked, 2);
	r.server[1].lines = SOA_SET;
	probe(&r, "ns1." C, PRT_PROBE_CSYNC);
	expect_none(answer(&r, 0, PRT_Q_NS));
	expect_set(answer(&r, 0, PRT_Q_SOA_AGAIN), SOA_SET);
	rig_close(&r);
}

static void without_an_ns_rrset_there_is_no_second_round(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].manner = REFUSES;
	probe(&r, "ns1." C, PRT_PROBE_CSYNC);
	expect_error(answer(&r, 0, PRT_Q_NS), MSP_ERCODE);
	expect_error(answer(&r, 0, PRT_Q_SOA_AGAIN), MSP_ERCODE);
	assert_int_equal(r.server[1].asked, 4);
	rig_close(&r);
}

/* --- signatures, and what the judge makes of it all ------------------------------------------------------------------
 */

static void signatures_over_the_set_come_with_it_and_the_judge_believes_them(void **state)
{
	struct msp_name child = t_name(C);
	struct prt_check_rules rules = { .shape = prt_shape_rules_default, .ds_ttl = 300 };
	struct msp_rrset *ds = NULL, *cds;
	char lines[4096], key_text[1024];
	struct prt_findings found = { .count = 0 };
	struct prt_delegation asked;
	struct msp_key *key;
	struct msp_buf text;
	uint8_t mem[MSP_DS_MAX];
	size_t len = sizeof(mem);
	uint32_t inception = 0;
	enum prt_ask ask;
	struct rig r;

	(void)state;
	rig_open(&r);
	rules.shape.private_addresses = true;
	T_OK(msp_key_generate(&child, MSP_ALG_ECDSAP256, MSP_DNSKEY_ZONE | MSP_DNSKEY_SEP, &key));
	msp_buf_init(&text, 1024);
	msp_rdata_print(&text, NULL, MSP_TYPE_DNSKEY, msp_key_rdata(key));
	snprintf(key_text, sizeof(key_text), "%s", msp_buf_text(&text));
	T_OK(msp_ds_from_dnskey(&child, msp_key_rdata(key), MSP_DIGEST_SHA256, mem, &len));
	msp_buf_reset(&text);
	msp_rdata_print(&text, NULL, MSP_TYPE_CDS, msp_span(mem, len));
	snprintf(lines, sizeof(lines), SOA_SET NS_SET C " 300 DNSKEY %s\n" C " 300 CDNSKEY %s\n" C " 300 CDS %s\n",
		 key_text, key_text, msp_buf_text(&text));
	for (unsigned n = 1; n <= 2; n++) {
		r.server[n].lines = lines;
		r.server[n].key = key;
	}
	delegate(&r, "ns1." C " ns2." C);
	/* It has that DS, and another one which is to go. */
	T_OK(msp_rrset_new(&child, MSP_TYPE_DS, 300, &ds));
	T_OK(msp_rrset_add(ds, msp_span(mem, len)));
	cds = t_rrset(C " 300 DS 1 13 2 " DIGEST_1);
	T_OK(msp_rrset_merge(ds, cds));
	T_OK(prt_delegation_put(&r.d, &child, MSP_TYPE_DS, ds));
	start(&r, PRT_PROBE_CDS);
	K_UNTIL(&r.k, &r.done);
	assert_int_equal(answer(&r, 0, PRT_Q_CDS)->sigs->count, 1);
	assert_int_equal(answer(&r, 1, PRT_Q_SOA)->sigs->count, 1);
	T_OK(prt_ask_cds(&r.e, &r.d, &rules, 0, NOW, &ask, &asked, &inception, &found));
	if (ask != PRT_ASK_CHANGE)
		fail_msg("%zu findings, the first: %s", found.count, found.item[0].why.text);
	assert_int_equal(inception, INCEPTION);
	assert_int_equal(prt_delegation_ds(&asked)->count, 1);
	assert_true(msp_rrset_has(prt_delegation_ds(&asked), msp_span(mem, len)));
	prt_delegation_clear(&asked);
	msp_rrset_free(&ds);
	msp_rrset_free(&cds);
	msp_buf_fini(&text);
	msp_key_free(&key);
	rig_close(&r);
}

static void signatures_over_other_types_are_left_out(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].manner = SIGNS_OTHERS;
	probe(&r, "ns1." C, PRT_PROBE_CHECK);
	assert_null(answer(&r, 0, PRT_Q_SOA)->sigs);
	expect_set(answer(&r, 0, PRT_Q_SOA), SOA_SET);
	rig_close(&r);
}

/* --- servers that lie ------------------------------------------------------------------------------------------------
 */

static void lies_are_errors_and_never_records(void **state)
{
	static const struct {
		enum manner manner;
		enum msp_err err;
	} row[] = {
		{ TRUNCATES, MSP_ETRUNC }, { REFUSES, MSP_ERCODE },    { CHAOS, MSP_EFORMAT },
		{ OTHERS, MSP_EFORMAT },   { EXTRA, MSP_EFORMAT },     { HUGE, MSP_ELIMIT },
		{ GARBLES, MSP_EFORMAT },  { MALFORMED, MSP_EFORMAT },
	};
	struct rig r;

	(void)state;
	rig_open(&r);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		r.server[1].manner = row[i].manner;
		r.server[1].only = MSP_TYPE_CDS; /* the others are not touched by it */
		probe(&r, "ns1." C, PRT_PROBE_CDS);
		expect_error(answer(&r, 0, PRT_Q_CDS), row[i].err);
		expect_set(answer(&r, 0, PRT_Q_SOA), SOA_SET);
		expect_set(answer(&r, 0, PRT_Q_SOA_AGAIN), SOA_SET);
	}
	rig_close(&r);
}

static void a_cname_at_the_apex_is_no_denial(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].lines = C " 300 CNAME other.test.\n";
	probe(&r, "ns1." C, PRT_PROBE_CDS);
	expect_error(answer(&r, 0, PRT_Q_SOA), MSP_EFORMAT);
	expect_error(answer(&r, 0, PRT_Q_CDS), MSP_EFORMAT);
	rig_close(&r);
}

static void who_is_not_authoritative_may_show_records_but_not_deny(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].manner = NO_AA;
	probe(&r, "ns1." C, PRT_PROBE_CDS);
	expect_set(answer(&r, 0, PRT_Q_SOA), SOA_SET);
	assert_false(answer(&r, 0, PRT_Q_SOA)->is_authoritative);
	expect_error(answer(&r, 0, PRT_Q_CDNSKEY), MSP_ENOTAUTH);
	assert_false(answer(&r, 0, PRT_Q_CDNSKEY)->is_authoritative);
	rig_close(&r);
}

#define AGENT_WIRE "\2er\3ns1\4test"

static void where_a_server_wants_reports_is_taken_from_any_answer(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
		unsigned more;
		enum manner manner;
		bool is_taken;
	} row[] = {
		{ AGENT_WIRE, sizeof(AGENT_WIRE), 0, PROPER, true },
		{ AGENT_WIRE, sizeof(AGENT_WIRE), 0, REFUSES, true }, /* it is what is to be reported */
		{ AGENT_WIRE, sizeof(AGENT_WIRE), 0, TRUNCATES, true },
		{ AGENT_WIRE, sizeof(AGENT_WIRE), 0, GARBLES, false },
		{ AGENT_WIRE, sizeof(AGENT_WIRE), 1, PROPER, false },     /* one at most */
		{ AGENT_WIRE, sizeof(AGENT_WIRE) - 1, 0, PROPER, false }, /* cut */
		{ AGENT_WIRE "\0", sizeof(AGENT_WIRE) + 1, 0, PROPER, false },
		{ "\2er\xc0\x0c", 5, 0, PROPER, false }, /* compressed */
		{ "", 1, 0, PROPER, false },             /* the root */
		{ "", 0, 0, PROPER, false },
	};
	struct msp_name agent = t_name("er.ns1.test.");

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct rig r;

		rig_open(&r);
		r.server[1].option = msp_span((const uint8_t *)row[i].octets, row[i].len);
		r.server[1].options = row[i].more;
		r.server[1].manner = row[i].manner;
		probe(&r, "ns1." C " ns2." C, PRT_PROBE_CDS);
		assert_int_equal(msp_name_is_set(&r.e.server[0].agent), row[i].is_taken);
		assert_true(!row[i].is_taken || msp_name_equal(&r.e.server[0].agent, &agent));
		assert_false(msp_name_is_set(&r.e.server[1].agent));
		rig_close(&r);
	}
}

static void a_name_that_does_not_exist_has_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].manner = NXDOMAIN;
	probe(&r, "ns1." C, PRT_PROBE_GLANCE);
	expect_none(answer(&r, 0, PRT_Q_CDS));
	rig_close(&r);
}

static void answers_that_fill_the_room_of_an_address_end_it(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].manner = ENDLESS;
	probe(&r, "ns1." C " ns2." C, (1u << PRT_Q_CDS) | (1u << PRT_Q_CDNSKEY));
	for (enum prt_question q = PRT_Q_CDS; q <= PRT_Q_CDNSKEY; q++)
		expect_error(answer(&r, 0, q), MSP_ELIMIT);
	expect_set(answer(&r, 1, PRT_Q_CDS), CDS_SET); /* the other server is judged on its own */
	rig_close(&r);
}

static void a_server_that_is_not_there_is_out_of_reach(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	msp_server_close(&r.server[2].s);
	probe(&r, "ns1." C " ns2." C, PRT_PROBE_CSYNC);
	expect_set(answer(&r, 0, PRT_Q_SOA), SOA_SET);
	for (enum prt_question q = 0; q < PRT_Q__N; q++)
		if (q != PRT_Q_CDS && q != PRT_Q_CDNSKEY)
			expect_error(answer(&r, 1, q), MSP_ENET);
	rig_close(&r);
}

static void a_server_that_closes_has_not_answered(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].manner = HOLDS;
	delegate(&r, "ns1." C);
	start(&r, PRT_PROBE_CDS);
	K_UNTIL_COUNT(&r.k, &r.server[1].held_count, 5);
	respond(&r.server[1], &r.server[1].held[4]); /* CDNSKEY: none. Then it goes. */
	r.server[1].manner = MUTE;
	for (size_t i = 0; i < 4; i++)
		msp_req_drop(&r.server[1].held[i]);
	r.server[1].held_count = 0;
	msp_server_close(&r.server[1].s);
	K_UNTIL(&r.k, &r.done);
	expect_none(answer(&r, 0, PRT_Q_CDNSKEY));
	expect_error(answer(&r, 0, PRT_Q_SOA), MSP_ENET); /* it was not there any more to be asked again */
	expect_error(answer(&r, 0, PRT_Q_SOA_AGAIN), MSP_ENET);
	rig_close(&r);
}

static void a_mute_server_is_a_timeout_and_the_others_are_seen(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.conf.timeout_ms = MUTE_MS;
	set_conf(&r);
	r.server[1].manner = HOLDS;
	delegate(&r, "ns1." C " ns2." C);
	start(&r, PRT_PROBE_CSYNC);
	K_UNTIL(&r.k, &r.done);
	expect_error(answer(&r, 0, PRT_Q_SOA), MSP_ETIMEOUT);
	expect_error(answer(&r, 0, PRT_Q_NS), MSP_ETIMEOUT);
	expect_error(answer(&r, 0, PRT_Q_SOA_AGAIN), MSP_ETIMEOUT);
	rig_close(&r);
}

/* --- addresses -------------------------------------------------------------------------------------------------------
 */

static void names_outside_the_child_are_looked_up(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	probe(&r, "two.test. ns3." C, PRT_PROBE_GLANCE);
	assert_int_equal(r.e.count, 3);
	for (unsigned n = 1; n <= 3; n++)
		assert_int_equal(r.server[n].asked, 3);
	rig_close(&r);
}

static void a_name_without_address_is_one_server_that_was_not_found(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	probe(&r, "none.test. ns1." C " nsx." C, PRT_PROBE_CSYNC);
	assert_int_equal(r.e.count, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct prt_server *s = &r.e.server[i];

		if (s->addr.family != MSP_FAMILY_NONE)
			continue;
		for (enum prt_question q = 0; q < PRT_Q__N; q++)
			if (q != PRT_Q_CDS && q != PRT_Q_CDNSKEY)
				expect_error(&s->answer[q], MSP_ENOTFOUND);
			else
				assert_false(s->answer[q].is_asked);
	}
	rig_close(&r);
}

static void a_name_that_cannot_be_resolved_is_one_server_out_of_reach(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	probe(&r, "bogus.test.", PRT_PROBE_CHECK);
	assert_int_equal(r.e.count, 1);
	expect_server(&r, 0, "bogus.test.", 0);
	expect_error(answer(&r, 0, PRT_Q_SOA), MSP_ENET);
	/* One family known, no word of the other: what is known is asked, and the doubt is told. */
	r.conf.ipv6 = true;
	set_conf(&r);
	probe(&r, "half.test.", PRT_PROBE_CHECK);
	assert_int_equal(r.e.count, 2);
	expect_server(&r, 0, "half.test.", 1);
	expect_set(answer(&r, 0, PRT_Q_SOA), SOA_SET);
	expect_server(&r, 1, "half.test.", 0);
	expect_error(answer(&r, 1, PRT_Q_SOA), MSP_ENET);
	rig_close(&r);
}

static void what_lies_in_our_own_network_is_never_asked(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	/* Whatever gives the address: the delegation's glue, or the zone of a name outside of the child. */
	probe(&r, "two.test. ns3." C, PRT_PROBE_CHECK | PRT_PROBE_PRIVATE);
	assert_int_equal(r.e.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(r.e.server[i].addr.family, MSP_FAMILY_NONE);
		expect_error(answer(&r, i, PRT_Q_SOA), MSP_EREFUSED);
	}
	for (unsigned n = 1; n <= SERVERS; n++)
		assert_int_equal(r.server[n].asked, 0);
	rig_close(&r);
}

static void without_a_resolver_only_glue_is_asked(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	prt_prober_free(&r.prober);
	T_OK(prt_prober_new(r.k.loop, NULL, &r.conf, &r.prober));
	probe(&r, "one.test. ns2." C, PRT_PROBE_CHECK);
	assert_int_equal(r.e.count, 2);
	for (size_t i = 0; i < 2; i++)
		if (r.e.server[i].addr.family == MSP_FAMILY_NONE)
			expect_error(answer(&r, i, PRT_Q_SOA), MSP_ENET);
		else
			expect_set(answer(&r, i, PRT_Q_SOA), SOA_SET);
	assert_int_equal(r.server[1].asked, 0);
	rig_close(&r);
}

static void a_family_that_is_off_is_not_asked(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.conf.ipv4 = false;
	r.conf.ipv6 = true;
	set_conf(&r);
	probe(&r, "ns1." C " one.test.", PRT_PROBE_CHECK);
	assert_int_equal(r.e.count, 2);
	for (size_t i = 0; i < 2; i++)
		expect_error(answer(&r, i, PRT_Q_SOA), MSP_ENOTFOUND);
	assert_int_equal(r.server[1].asked, 0);
	r.conf.ipv6 = false; /* neither */
	set_conf(&r);
	probe(&r, "ns1." C " one.test.", PRT_PROBE_CHECK);
	expect_error(answer(&r, 0, PRT_Q_SOA), MSP_ENOTFOUND);
	rig_close(&r);
}

static void of_too_many_addresses_the_first_of_each_name_are_asked(void **state)
{
	struct rig r;
	size_t of_one = 0;

	(void)state;
	rig_open(&r);
	r.conf.timeout_ms = MUTE_MS;
	set_conf(&r);
	probe(&r, "many.test. many.a.test. many.b.test. many.c.test. one.test.", 1u << PRT_Q_SOA);
	assert_true(r.e.count <= PRT_SERVERS_MAX && r.e.count > PRT_SERVERS_MAX - 5);
	for (size_t i = 0; i < r.e.count; i++)
		of_one += r.e.server[i].host.oct[1] == 'o';
	assert_int_equal(of_one, 1);
	rig_close(&r);
}

/* --- over UDP, too ---------------------------------------------------------------------------------------------------
 */

/* What is there already. */
static void know(struct rig *r, const char *names)
{
	delegate(r, names);
	prt_delegation_clear(&r->known);
	T_OK(prt_delegation_dup(&r->d, &r->known));
}

static void new_servers_are_asked_over_udp_and_no_others(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	know(&r, "ns1." C " ns2." C);
	probe(&r, "ns1." C " ns2." C " ns3." C, PRT_PROBE_CHECK);
	assert_int_equal(r.e.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(r.e.server[i].udp.is_asked, i == 2);
		assert_int_equal(r.server[i + 1].by_udp, i == 2);
	}
	expect_set(&r.e.server[2].udp, SOA_SET);
	assert_true(r.e.server[2].udp.is_authoritative);
	expect_set(answer(&r, 2, PRT_Q_SOA), SOA_SET);
	rig_close(&r);
}

static void another_address_of_a_server_that_was_there_is_new(void **state)
{
	char moved[192];
	struct msp_addr addr;
	struct rig r;

	(void)state;
	rig_open(&r);
	T_OK(msp_addr_from_octets(msp_span(loopback(3), 4), 0, &addr));
	snprintf(moved, sizeof(moved), C " 300 NS ns1." C "\nns1." C " 300 A %s\n", MSP_ADDR(&addr));
	t_delegation(&r.known, moved);
	probe(&r, "ns1." C, PRT_PROBE_CHECK);
	assert_int_equal(r.server[1].by_udp, 1);
	rig_close(&r);
}

static void addresses_of_a_new_name_elsewhere_are_all_asked_over_udp(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	know(&r, "one.test. ns3." C);
	probe(&r, "two.test. one.test.", PRT_PROBE_CHECK);
	assert_int_equal(r.e.count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(r.e.server[i].udp.is_asked, r.e.server[i].host.oct[1] == 't');
	assert_int_equal(r.server[1].by_udp + r.server[2].by_udp, 2);
	rig_close(&r);
}

static void what_a_new_server_does_over_udp_is_told_apart(void **state)
{
	static const struct {
		enum manner udp;
		enum msp_err err;
		size_t asked;
	} row[] = { { REFUSES, MSP_ERCODE, 1 },
		    { TRUNCATES, MSP_ETRUNC, 1 },
		    { OTHERS, MSP_EFORMAT, 1 },
		    { NXDOMAIN, MSP_OK, 1 },
		    { MUTE, MSP_ETIMEOUT, 2 } };

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct rig r;

		rig_open(&r);
		if (row[i].udp == MUTE) {
			r.conf.timeout_ms = 10 * MUTE_MS;
			set_conf(&r);
		}
		know(&r, "ns1." C);
		r.server[2].udp = row[i].udp;
		probe(&r, "ns1." C " ns2." C, PRT_PROBE_CSYNC);
		assert_true(r.e.server[1].udp.is_asked);
		T_ERR(r.e.server[1].udp.err, row[i].err);
		assert_null(r.e.server[1].udp.set);
		assert_int_equal(r.server[2].by_udp, row[i].asked); /* once, and once more */
		expect_set(answer(&r, 1, PRT_Q_SOA_AGAIN), SOA_SET);
		rig_close(&r);
	}
}

static void a_new_server_that_is_not_there_is_out_of_reach_over_udp(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.conf.timeout_ms = MUTE_MS;
	set_conf(&r);
	know(&r, "ns1." C);
	msp_server_close(&r.server[2].s);
	probe(&r, "ns1." C " ns2." C " nsx." C, PRT_PROBE_CHECK);
	assert_int_equal(r.e.count, 3);
	assert_true(r.e.server[1].udp.err == MSP_ENET || r.e.server[1].udp.err == MSP_ETIMEOUT);
	assert_null(r.e.server[1].udp.set);
	assert_false(r.e.server[2].udp.is_asked); /* it has no address */
	rig_close(&r);
}

static void a_probe_with_a_question_over_udp_can_be_cancelled(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	know(&r, "ns1." C);
	r.server[2].udp = MUTE;
	delegate(&r, "ns2." C);
	start(&r, PRT_PROBE_CHECK);
	K_UNTIL_COUNT(&r.k, &r.server[2].asked, 4);
	prt_probe_cancel(&r.probe);
	k_settle(&r.k);
	assert_int_equal(r.calls, 0);
	assert_int_equal(prt_prober_load(r.prober), 0);
	rig_close(&r);
}

/* --- addresses that take no connections ------------------------------------------------------------------------------
 */

/* A listener whose queue is full: the system drops what comes in. */
struct hole {
	int listener, filler[4];
};

static struct hole hole_open(const struct msp_addr *a)
{
	struct hole h = { .listener = socket(AF_INET, SOCK_STREAM, 0) };
	union msp_sockaddr sa;
	socklen_t len = msp_sockaddr_set(&sa, a);
	int on = 1;

	assert_int_equal(setsockopt(h.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(h.listener, &sa.sa, len), 0);
	assert_int_equal(listen(h.listener, 0), 0);
	for (size_t i = 0; i < 4; i++) {
		h.filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(connect(h.filler[i], &sa.sa, len) == 0 || errno == EINPROGRESS);
	}
	return h;
}

static void hole_close(struct hole *h)
{
	close(h->listener);
	for (size_t i = 0; i < 4; i++)
		close(h->filler[i]);
}

static void expect_silence(struct rig *r, unsigned questions, uint32_t timeout_ms)
{
	r->conf.timeout_ms = timeout_ms;
	set_conf(r);
	probe(r, "ns1." C, questions);
	for (enum prt_question q = 0; q < PRT_Q__N; q++)
		if ((questions & 1u << q) != 0)
			expect_error(answer(r, 0, q), MSP_ETIMEOUT);
}

static void an_address_that_takes_no_connections_is_left_alone_by_idle_probes(void **state)
{
	struct hole h;
	struct rig r;

	(void)state;
	rig_open(&r);
	msp_server_close(&r.server[1].s);
	h = hole_open(server_addr(&r, 1));
	expect_silence(&r, PRT_PROBE_CDS | PRT_PROBE_IDLE, MUTE_MS);
	expect_silence(&r, PRT_PROBE_CDS | PRT_PROBE_IDLE, MUTE_MS);
	/* with much more time than this test has: at once */
	expect_silence(&r, PRT_PROBE_CDS | PRT_PROBE_IDLE, 10 * K_LIMIT_MS);
	expect_silence(&r, PRT_PROBE_CSYNC | PRT_PROBE_IDLE, 10 * K_LIMIT_MS);
	hole_close(&h);
	/* Who is waited for asks all the same, and what is alive again is asked by all. */
	T_OK(msp_server_open(r.k.loop, server_addr(&r, 1), NULL, on_request, &r.server[1], &r.server[1].s, NULL));
	probe(&r, "ns1." C, PRT_PROBE_CDS);
	expect_set(answer(&r, 0, PRT_Q_SOA), SOA_SET);
	r.server[1].asked = 0;
	probe(&r, "ns1." C, PRT_PROBE_CDS | PRT_PROBE_IDLE);
	expect_set(answer(&r, 0, PRT_Q_SOA), SOA_SET);
	assert_int_equal(r.server[1].asked, 6);
	rig_close(&r);
}

static void who_takes_connections_and_is_mute_or_refuses_them_is_asked_by_all(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.server[1].manner = MUTE;
	for (int i = 0; i < 3; i++)
		expect_silence(&r, PRT_PROBE_CDS | PRT_PROBE_IDLE, MUTE_MS);
	assert_int_equal(r.server[1].asked, 3 * 5);
	msp_server_close(&r.server[1].s);
	for (int i = 0; i < 3; i++) {
		probe(&r, "ns1." C, PRT_PROBE_CDS | PRT_PROBE_IDLE);
		expect_error(answer(&r, 0, PRT_Q_SOA), MSP_ENET);
	}
	rig_close(&r);
}

/* --- the line --------------------------------------------------------------------------------------------------------
 */

static void on_one_of_many(void *arg, struct prt_evidence *e)
{
	++*(size_t *)arg;
	assert_int_equal(e->count, 1);
	T_ERR(e->server[0].answer[PRT_Q_CDS].err, MSP_OK);
	prt_evidence_fini(e);
}

static void more_than_may_be_under_way_wait_in_line_and_more_than_that_are_refused(void **state)
{
	struct prt_probe *p[4];
	size_t done = 0;
	struct rig r;

	(void)state;
	rig_open(&r);
	r.conf.in_flight_max = 2;
	r.conf.queue_max = 4;
	set_conf(&r);
	r.server[1].manner = HOLDS;
	delegate(&r, "ns1." C);
	for (size_t i = 0; i < 4; i++)
		T_OK(prt_probe_start(r.prober, &r.d, NULL, 1u << PRT_Q_CDS | PRT_PROBE_PRIVATE, on_one_of_many, &done,
				     &p[i]));
	T_ERR(prt_probe_start(r.prober, &r.d, NULL, 1u << PRT_Q_CDS | PRT_PROBE_PRIVATE, on_one_of_many, &done, NULL),
	      MSP_EBUSY);
	assert_int_equal(prt_prober_load(r.prober), 4);
	K_UNTIL_COUNT(&r.k, &r.server[1].held_count, 2);
	k_settle(&r.k);
	assert_int_equal(r.server[1].asked, 2);
	let_go(&r.server[1]);
	K_UNTIL_COUNT(&r.k, &done, 4);
	assert_int_equal(prt_prober_load(r.prober), 0);
	rig_close(&r);
}

static void five_hundred_at_once_are_all_answered(void **state)
{
	size_t done = 0;
	struct rig r;

	(void)state;
	rig_open(&r);
	msp_server_set_limits(r.server[1].s,
			      &(struct msp_server_limits){ .tcp_connections = 1000, .tcp_per_client = 1000 });
	delegate(&r, "ns1." C);
	r.conf.in_flight_max = 200; /* both ends are in this process, which may have 1,024 descriptors */
	set_conf(&r);
	for (size_t i = 0; i < 500; i++)
		T_OK(prt_probe_start(r.prober, &r.d, NULL, 1u << PRT_Q_CDS | PRT_PROBE_PRIVATE, on_one_of_many, &done,
				     NULL));
	K_UNTIL_COUNT(&r.k, &done, 500);
	rig_close(&r);
}

static void a_cancelled_probe_is_silent_whatever_its_state(void **state)
{
	struct rig r;

	(void)state;
	for (int stage = 0; stage < 5; stage++) {
		rig_open(&r);
		r.server[1].manner = HOLDS;
		if (stage == 0) { /* in line */
			r.conf.in_flight_max = 1;
			set_conf(&r);
			delegate(&r, "ns2." C);
			r.server[2].manner = HOLDS;
			start(&r, PRT_PROBE_CHECK);
		}
		delegate(&r, stage == 2 ? "hang.test. ns1." C : "ns1." C);
		start(&r, stage == 4 ? PRT_PROBE_CSYNC : PRT_PROBE_CDS);
		if (stage >= 3)
			K_UNTIL_COUNT(&r.k, &r.server[1].held_count, 4);
		else if (stage >= 1)
			k_settle(&r.k);
		if (stage == 4) { /* in the second round */
			for (size_t i = 0; i < 4; i++)
				respond(&r.server[1], &r.server[1].held[i]);
			r.server[1].held_count = 0;
			K_UNTIL_COUNT(&r.k, &r.server[1].held_count, 4);
		}
		prt_probe_cancel(&r.probe);
		assert_null(r.probe);
		prt_probe_cancel(&r.probe);
		k_settle(&r.k);
		assert_int_equal(r.calls, 0);
		assert_int_equal(prt_prober_load(r.prober), stage == 0 ? 1 : 0);
		rig_close(&r);
	}
}

static void a_look_up_that_ends_after_its_probe_was_cancelled_is_nobodys(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	delegate(&r, "late.test.");
	start(&r, PRT_PROBE_CHECK);
	k_settle(&r.k);
	prt_probe_cancel(&r.probe);
	probe(&r, "go.test.", PRT_PROBE_CHECK); /* its look-up is answered after the other */
	assert_int_equal(r.calls, 1);
	expect_server(&r, 0, "go.test.", 1);
	rig_close(&r);
}

static void a_cancelled_probe_makes_room_for_the_next(void **state)
{
	struct prt_probe *first;
	struct rig r;

	(void)state;
	rig_open(&r);
	r.conf.in_flight_max = 1;
	set_conf(&r);
	r.server[1].manner = HOLDS;
	delegate(&r, "ns1." C);
	start(&r, PRT_PROBE_CHECK);
	first = r.probe;
	delegate(&r, "ns2." C);
	start(&r, PRT_PROBE_CHECK);
	K_UNTIL_COUNT(&r.k, &r.server[1].held_count, 3);
	prt_probe_cancel(&first);
	K_UNTIL(&r.k, &r.done);
	assert_int_equal(r.server[2].asked, 3);
	rig_close(&r);
}

static void a_callback_may_cancel_its_probe_or_free_the_prober(void **state)
{
	struct rig r;

	(void)state;
	for (int i = 0; i < 4; i++) {
		rig_open(&r);
		r.cancels = (i & 1) != 0;
		r.frees_prober = (i & 2) != 0;
		/* one ends from a server's answer, one has no address and ends where it begins, one waits for a look-up
		 */
		delegate(&r, "hang.test.");
		start(&r, PRT_PROBE_CHECK);
		delegate(&r, i == 2 ? "nsx." C : "ns1." C);
		start(&r, PRT_PROBE_CHECK);
		K_UNTIL(&r.k, &r.done);
		k_settle(&r.k);
		assert_int_equal(r.calls, 1);
		assert_int_equal(r.prober == NULL, r.frees_prober);
		rig_close(&r);
	}
}

static void a_delegation_without_name_servers_is_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	t_delegation(&r.d, "");
	T_ERR(prt_probe_start(r.prober, &r.d, NULL, PRT_PROBE_CHECK, on_probe, &r, NULL), MSP_EVALUE);
	rig_close(&r);
}

static void out_of_memory_is_told_or_seen_as_out_of_reach(void **state)
{
	struct rig r;
	size_t nth = 0;
	bool failed;

	(void)state;
	rig_open(&r);
	do {
		enum msp_err err;

		delegate(&r, "ns1." C " ns2." C);
		msp_mem_fail_at(++nth);
		err = prt_probe_start(r.prober, &r.d, NULL, PRT_PROBE_CHECK, on_probe, &r, NULL);
		failed = msp_mem_failed();
		msp_mem_fail_at(0);
		if (failed)
			T_ERR(err, MSP_ENOMEM);
		else
			T_OK(err);
	} while (failed && nth < 50);
	assert_true(nth > 1 && nth < 50);
	K_UNTIL(&r.k, &r.done);
	assert_int_equal(r.calls, 1);
	rig_close(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_address_is_asked_all_questions_over_one_connection),
		cmocka_unit_test(a_glance_asks_three_questions),
		cmocka_unit_test(a_zone_that_changes_meanwhile_shows_two_serials),
		cmocka_unit_test(the_second_look_comes_after_slow_answers_in_any_order),
		cmocka_unit_test(the_childs_own_name_servers_are_asked_for_in_a_second_round),
		cmocka_unit_test(hosts_are_asked_for_even_if_the_ns_rrset_was_not_wanted_and_none_is_fine),
		cmocka_unit_test(without_an_ns_rrset_there_is_no_second_round),
		cmocka_unit_test(signatures_over_the_set_come_with_it_and_the_judge_believes_them),
		cmocka_unit_test(signatures_over_other_types_are_left_out),
		cmocka_unit_test(lies_are_errors_and_never_records),
		cmocka_unit_test(a_cname_at_the_apex_is_no_denial),
		cmocka_unit_test(who_is_not_authoritative_may_show_records_but_not_deny),
		cmocka_unit_test(where_a_server_wants_reports_is_taken_from_any_answer),
		cmocka_unit_test(a_name_that_does_not_exist_has_nothing),
		cmocka_unit_test(answers_that_fill_the_room_of_an_address_end_it),
		cmocka_unit_test(a_server_that_is_not_there_is_out_of_reach),
		cmocka_unit_test(a_server_that_closes_has_not_answered),
		cmocka_unit_test(a_mute_server_is_a_timeout_and_the_others_are_seen),
		cmocka_unit_test(names_outside_the_child_are_looked_up),
		cmocka_unit_test(a_name_without_address_is_one_server_that_was_not_found),
		cmocka_unit_test(a_name_that_cannot_be_resolved_is_one_server_out_of_reach),
		cmocka_unit_test(what_lies_in_our_own_network_is_never_asked),
		cmocka_unit_test(without_a_resolver_only_glue_is_asked),
		cmocka_unit_test(a_family_that_is_off_is_not_asked),
		cmocka_unit_test(of_too_many_addresses_the_first_of_each_name_are_asked),
		cmocka_unit_test(new_servers_are_asked_over_udp_and_no_others),
		cmocka_unit_test(another_address_of_a_server_that_was_there_is_new),
		cmocka_unit_test(addresses_of_a_new_name_elsewhere_are_all_asked_over_udp),
		cmocka_unit_test(what_a_new_server_does_over_udp_is_told_apart),
		cmocka_unit_test(a_new_server_that_is_not_there_is_out_of_reach_over_udp),
		cmocka_unit_test(a_probe_with_a_question_over_udp_can_be_cancelled),
		cmocka_unit_test(an_address_that_takes_no_connections_is_left_alone_by_idle_probes),
		cmocka_unit_test(who_takes_connections_and_is_mute_or_refuses_them_is_asked_by_all),
		cmocka_unit_test(more_than_may_be_under_way_wait_in_line_and_more_than_that_are_refused),
		cmocka_unit_test(five_hundred_at_once_are_all_answered),
		cmocka_unit_test(a_cancelled_probe_is_silent_whatever_its_state),
		cmocka_unit_test(a_look_up_that_ends_after_its_probe_was_cancelled_is_nobodys),
		cmocka_unit_test(a_cancelled_probe_makes_room_for_the_next),
		cmocka_unit_test(a_callback_may_cancel_its_probe_or_free_the_prober),
		cmocka_unit_test(a_delegation_without_name_servers_is_refused),
		cmocka_unit_test(out_of_memory_is_told_or_seen_as_out_of_reach),
	};

	net = (unsigned)getpid();
	if (argc > 1 && strcmp(argv[1], "--resolver-worker") == 0) {
		net = (unsigned)getppid();
		return worker();
	}
	if (!realpath(argv[0], self))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
