/* SPDX-License-Identifier: BSD-2-Clause */
#include "iokit.h"

#include <stdlib.h>

#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>

/* What the server of a test does with the questions it gets. */
enum manner {
	ECHO,
	SILENT,
	SECOND_ONLY,      /* ignores the first datagram */
	WRONG_THEN_RIGHT, /* ten answers that are none, then the answer */
	WRONG_ONLY,
	TRUNCATES, /* TC by UDP, whole by TCP */
	CLOSES,
	GARBLES
};

struct rig {
	struct k_loop k;
	struct msp_server *server;
	struct msp_addr addr;
	enum manner manner;
	size_t by_udp, by_tcp;
	struct msp_addr peer[8]; /* of the datagrams, in order */
	struct msp_req *held;
	/* the outcome */
	size_t calls;
	bool done, inside_call;
	enum msp_err err;
	uint8_t answer[4096];
	size_t answer_len;
	struct msp_xchg *x;
	bool cancel_inside;
};

static void send_from_server(struct msp_req *req, const uint8_t *octets, size_t len)
{
	/* A request can be answered once; further datagrams come from a socket bound like the server's own. */
	union msp_sockaddr to;
	struct msp_addr from = *msp_req_local(req);
	union msp_sockaddr sa;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t to_len = msp_sockaddr_set(&to, msp_req_peer(req)), len_sa;

	from.port = 0; /* another port: must not be heard */
	len_sa = msp_sockaddr_set(&sa, &from);
	assert_int_equal(bind(fd, &sa.sa, len_sa), 0);
	assert_int_equal(sendto(fd, octets, len, 0, &to.sa, to_len), (ssize_t)len);
	close(fd);
}

static size_t wrong_answer(struct msp_span q, int kind, uint8_t *out, size_t cap)
{
	size_t len = q.len;

	assert_true(len <= cap);
	memcpy(out, q.ptr, len);
	out[2] |= 0x80;
	switch (kind) {
	case 0: /* id */
		out[0] ^= 1;
		break;
	case 1: /* not an answer */
		out[2] &= 0x7f;
		break;
	case 2: /* opcode NOTIFY */
		out[2] |= 4 << 3;
		break;
	case 3: /* type */
		out[len - 3] ^= 1;
		break;
	case 4: /* class */
		out[len - 1] ^= 2;
		break;
	case 5: /* name */
		out[13] ^= 1;
		break;
	case 6: /* does not parse: octets left over */
		out[len++] = 0;
		break;
	case 7: /* ends early */
		len -= 1;
		break;
	default:
		len = 5;
		break;
	}
	return len;
}

static void upper_case_echo(struct msp_req **req)
{
	struct msp_span m = msp_req_message(*req);
	uint8_t out[4096];

	memcpy(out, m.ptr, m.len);
	out[2] |= 0x80;
	for (size_t i = 13; i < m.len; i++)
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] = (uint8_t)(out[i] - 'a' + 'A');
	msp_req_reply(req, msp_span(out, m.len));
}

static void handler(void *arg, struct msp_req *req)
{
	struct rig *r = arg;
	struct msp_span q = msp_req_message(req);
	uint8_t out[4096];
	size_t n;

	if (msp_req_is_tcp(req))
		r->by_tcp++;
	else if (r->by_udp++ < 8)
		r->peer[r->by_udp - 1] = *msp_req_peer(req);
	switch (r->manner) {
	case ECHO:
		upper_case_echo(&req);
		return;
	case SILENT:
		break;
	case SECOND_ONLY:
		if (r->by_udp < 2)
			break;
		upper_case_echo(&req);
		return;
	case WRONG_THEN_RIGHT:
	case WRONG_ONLY:
		/* The nth transmission gets the nth wrong answer from the right place, and the right one from a wrong
		 * place. */
		n = wrong_answer(q, (int)r->by_udp - 1, out, sizeof(out));
		if (r->by_udp == 6 && r->manner == WRONG_THEN_RIGHT) {
			upper_case_echo(&req);
			return;
		}
		msp_req_reply(&req, msp_span(out, n));
		return;
	case TRUNCATES:
		if (msp_req_is_tcp(req)) {
			upper_case_echo(&req);
			return;
		}
		memcpy(out, q.ptr, q.len);
		out[2] |= 0x82;
		msp_req_reply(&req, msp_span(out, q.len));
		return;
	case CLOSES:
		msp_req_drop(&req);
		msp_server_close(&r->server);
		return;
	case GARBLES:
		n = wrong_answer(q, 0, out, sizeof(out));
		msp_req_reply(&req, msp_span(out, n));
		return;
	}
	msp_req_drop(&req);
}

static void on_answer(void *arg, enum msp_err err, struct msp_span answer)
{
	struct rig *r = arg;

	assert_false(r->inside_call);
	assert_int_equal(r->calls, 0);
	r->calls++;
	r->err = err;
	assert_true(answer.len <= sizeof(r->answer));
	if (answer.len > 0)
		memcpy(r->answer, answer.ptr, answer.len);
	r->answer_len = answer.len;
	r->done = true;
	if (r->cancel_inside)
		msp_xchg_cancel(&r->x);
}

static void rig_open(struct rig *r, enum manner manner)
{
	struct msp_addr any = k_addr("127.0.0.1", 0);

	memset(r, 0, sizeof(*r));
	r->manner = manner;
	k_open(&r->k);
	T_OK(msp_server_open(r->k.loop, &any, NULL, handler, r, &r->server, NULL));
	r->addr = *msp_server_addr(r->server);
}
static void rig_close(struct rig *r)
{
	k_settle(&r->k);
	assert_true(r->calls <= 1);
	msp_server_close(&r->server);
	k_close(&r->k);
}

static struct msp_xchg_params params(struct rig *r, enum msp_transport transport, uint8_t *q, size_t cap)
{
	struct msp_xchg_params p = { .server = r->addr, .transport = transport, .timeout_ms = { 30, 30, 30 } };
	size_t len = k_question(q, cap, 0x1234, "question.example.", MSP_TYPE_SOA);

	p.message = msp_span(q + 2, len - 2);
	return p;
}

static void start(struct rig *r, const struct msp_xchg_params *p)
{
	r->inside_call = true;
	T_OK(msp_xchg_start(r->k.loop, p, on_answer, r, &r->x));
	r->inside_call = false;
	assert_false(r->done);
}

static void expect_answer(struct rig *r)
{
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->err, MSP_OK);
	assert_int_equal(k_id(r->answer), 0x1234);
	assert_true((r->answer[2] & 0x80) != 0);
	assert_memory_equal(r->answer + 13, "QUESTION", 8); /* names compare without case */
}

static void expect_error(struct rig *r, enum msp_err err)
{
	K_UNTIL(&r->k, &r->done);
	T_ERR(r->err, err);
	assert_int_equal(r->answer_len, 0);
}

static void udp_question_gets_its_answer(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	p = params(&r, MSP_UDP_THEN_TCP, q, sizeof(q));
	start(&r, &p);
	memset(q, 0, sizeof(q)); /* it was copied */
	expect_answer(&r);
	assert_int_equal(r.by_udp, 1);
	assert_int_equal(r.by_tcp, 0);
	rig_close(&r);
}

static void tcp_question_gets_its_answer(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	p = params(&r, MSP_TCP_ONLY, q, sizeof(q));
	start(&r, &p);
	expect_answer(&r);
	assert_int_equal(r.by_udp, 0);
	assert_int_equal(r.by_tcp, 1);
	rig_close(&r);
}

static void ipv6_works_as_well(void **state)
{
	struct msp_addr any = k_addr("::1", 0);
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		rig_open(&r, ECHO);
		msp_server_close(&r.server);
		T_OK(msp_server_open(r.k.loop, &any, NULL, handler, &r, &r.server, NULL));
		r.addr = *msp_server_addr(r.server);
		p = params(&r, tcp ? MSP_TCP_ONLY : MSP_UDP_ONLY, q, sizeof(q));
		start(&r, &p);
		expect_answer(&r);
		rig_close(&r);
	}
}

static void lost_datagram_is_sent_again_from_the_same_port(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, SECOND_ONLY);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	start(&r, &p);
	expect_answer(&r);
	assert_int_equal(r.by_udp, 2);
	assert_true(msp_addr_equal(&r.peer[0], &r.peer[1]));
	rig_close(&r);
}

static void each_exchange_has_its_own_port(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	for (int i = 0; i < 3; i++) {
		p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
		r.calls = 0;
		r.done = false;
		start(&r, &p);
		expect_answer(&r);
	}
	assert_false(msp_addr_equal(&r.peer[0], &r.peer[1]) && msp_addr_equal(&r.peer[1], &r.peer[2]));
	rig_close(&r);
}

#define SIGNED 6

struct one_of_many {
	size_t calls;
	enum msp_err err;
	uint16_t id;
	char name; /* first letter of the answer's question */
	struct msp_xchg *x;
	size_t *all;
};

static void on_one_answer(void *arg, enum msp_err err, struct msp_span answer)
{
	struct one_of_many *o = arg;

	o->calls++;
	o->err = err;
	if (err == MSP_OK) {
		o->id = k_id(answer.ptr);
		o->name = (char)answer.ptr[13];
	}
	++*o->all;
}

static void signed_exchanges_share_a_port_and_get_their_own_answers(void **state)
{
	/* The same id with other questions, and ids that differ in the high octet only. */
	static const uint16_t id[SIGNED] = { 0x1234, 0x1234, 0x2234, 0x1235, 0x1234, 0x3234 };
	struct one_of_many o[SIGNED] = { { 0 } };
	size_t answers = 0;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	for (int round = 0; round < 2; round++) {
		r.by_udp = answers = 0;
		memset(o, 0, sizeof(o));
		for (int i = 0; i < SIGNED; i++) {
			char name[] = "question.example.";
			struct msp_xchg_params p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
			size_t len;

			name[0] = (char)('a' + i);
			len = k_question(q, sizeof(q), id[i], name, MSP_TYPE_SOA);
			p.message = msp_span(q + 2, len - 2);
			p.timeout_ms[0] = 5000;
			p.is_signed = true;
			o[i].all = &answers;
			T_OK(msp_xchg_start(r.k.loop, &p, on_one_answer, &o[i], &o[i].x));
		}
		msp_xchg_cancel(&o[2].x);
		K_UNTIL_COUNT(&r.k, &answers, SIGNED - 1);
		k_settle(&r.k);
		for (int i = 0; i < SIGNED; i++) {
			assert_int_equal(o[i].calls, i != 2);
			if (i == 2)
				continue;
			T_ERR(o[i].err, MSP_OK);
			assert_int_equal(o[i].id, id[i]);
			assert_int_equal(o[i].name, 'A' + i);
		}
		for (int i = 1; i < SIGNED; i++)
			assert_true(msp_addr_equal(&r.peer[0], &r.peer[i]));
	}
	rig_close(&r);
}

static void a_shared_port_hears_nobody_else_and_keeps_to_the_schedule(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	/* Each transmission gets another wrong answer; the sixth is right. */
	rig_open(&r, WRONG_THEN_RIGHT);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	p.is_signed = true;
	for (int i = 0; i < 6; i++)
		p.timeout_ms[i] = 20;
	start(&r, &p);
	expect_answer(&r);
	assert_int_equal(r.by_udp, 6);
	for (int i = 1; i < 6; i++)
		assert_true(msp_addr_equal(&r.peer[0], &r.peer[i]));
	rig_close(&r);
	rig_open(&r, SILENT);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	p.is_signed = true;
	start(&r, &p);
	expect_error(&r, MSP_ETIMEOUT);
	assert_int_equal(r.by_udp, 3);
	rig_close(&r);
	rig_open(&r, TRUNCATES);
	p = params(&r, MSP_UDP_THEN_TCP, q, sizeof(q));
	p.is_signed = true;
	p.source = k_addr("127.0.0.5", 0);
	start(&r, &p);
	expect_answer(&r);
	assert_int_equal(r.by_tcp, 1);
	assert_true(msp_addr_same_host(&r.peer[0], &p.source));
	rig_close(&r);
}

static void source_address_is_used(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	p.source = k_addr("127.0.0.5", 0);
	start(&r, &p);
	expect_answer(&r);
	assert_true(msp_addr_same_host(&r.peer[0], &p.source));
	rig_close(&r);
}

static void silence_ends_with_the_schedule(void **state)
{
	struct msp_xchg_params p;
	struct msp_mono before;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, SILENT);
	p = params(&r, MSP_UDP_THEN_TCP, q, sizeof(q));
	before = msp_mono_now();
	start(&r, &p);
	expect_error(&r, MSP_ETIMEOUT);
	assert_true(msp_mono_now().ms - before.ms >= 90);
	assert_int_equal(r.by_udp, 3);
	rig_close(&r);
}

static void tcp_silence_ends_with_the_sum(void **state)
{
	struct msp_xchg_params p;
	struct msp_mono before;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, SILENT);
	p = params(&r, MSP_TCP_ONLY, q, sizeof(q));
	before = msp_mono_now();
	start(&r, &p);
	expect_error(&r, MSP_ETIMEOUT);
	assert_true(msp_mono_now().ms - before.ms >= 90);
	assert_int_equal(r.by_tcp, 1);
	rig_close(&r);
}

static void answers_that_do_not_match_are_ignored(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	/* Each transmission gets another wrong answer: id, QR, opcode, type, class; the sixth is right. */
	rig_open(&r, WRONG_THEN_RIGHT);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	for (int i = 0; i < 6; i++)
		p.timeout_ms[i] = 20;
	start(&r, &p);
	expect_answer(&r);
	assert_int_equal(r.by_udp, 6);
	rig_close(&r);
	/* Name, left-over octets, truncated octets, less than a header. */
	rig_open(&r, WRONG_ONLY);
	r.by_udp = 5;
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	p.timeout_ms[0] = p.timeout_ms[1] = p.timeout_ms[2] = p.timeout_ms[3] = 20;
	start(&r, &p);
	expect_error(&r, MSP_ETIMEOUT);
	assert_int_equal(r.by_udp, 9);
	rig_close(&r);
}

static void hold(void *arg, struct msp_req *req)
{
	struct rig *r = arg;

	r->by_udp++;
	r->held = req;
}

static void ignore_another_source(bool is_signed)
{
	struct msp_addr any = k_addr("127.0.0.1", 0);
	struct msp_xchg_params p;
	uint8_t q[512], a[512];
	struct rig r;

	rig_open(&r, ECHO);
	msp_server_close(&r.server);
	T_OK(msp_server_open(r.k.loop, &any, NULL, hold, &r, &r.server, NULL));
	r.addr = *msp_server_addr(r.server);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	p.timeout_ms[0] = 5000;
	p.is_signed = is_signed;
	start(&r, &p);
	K_UNTIL_COUNT(&r.k, &r.by_udp, 1);
	memcpy(a, p.message.ptr, p.message.len);
	a[2] |= 0x80;
	send_from_server(r.held, a, p.message.len); /* right address, another port */
	k_settle(&r.k);
	assert_false(r.done);
	upper_case_echo(&r.held);
	expect_answer(&r);
	rig_close(&r);
}

static void answer_from_another_source_is_ignored(void **state)
{
	(void)state;
	ignore_another_source(false);
	ignore_another_source(true);
}

static void truncated_answer_goes_to_tcp(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, TRUNCATES);
	p = params(&r, MSP_UDP_THEN_TCP, q, sizeof(q));
	start(&r, &p);
	expect_answer(&r);
	assert_int_equal(r.by_udp, 1);
	assert_int_equal(r.by_tcp, 1);
	assert_int_equal(r.answer[2] & 2, 0);
	rig_close(&r);
	/* With UDP_ONLY the caller gets it as it is. */
	rig_open(&r, TRUNCATES);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	start(&r, &p);
	K_UNTIL(&r.k, &r.done);
	T_ERR(r.err, MSP_OK);
	assert_int_equal(r.answer[2] & 2, 2);
	assert_int_equal(r.by_tcp, 0);
	rig_close(&r);
}

/* A question with `pad` octets of an unknown option. */
static size_t padded_question(uint8_t *out, size_t cap, size_t len)
{
	struct msp_name n = t_name("question.example.");
	uint8_t rdata[2048] = { 0xff, 0x00 };
	struct msp_rr opt = { .type = MSP_TYPE_OPT, .cls = 1232 };
	struct msp_span octets;
	struct msp_msgw w;
	size_t pad = len - 12 - n.len - 4 - 11;

	msp_name_root(&opt.owner);
	rdata[2] = (uint8_t)((pad - 4) >> 8);
	rdata[3] = (uint8_t)((pad - 4) & 0xff);
	opt.rdata = msp_span(rdata, pad);
	msp_msgw_init(&w, out, cap, 0x1234, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &n, MSP_TYPE_SOA, MSP_CLASS_IN);
	msp_msgw_rr(&w, MSP_SEC_ADDITIONAL, &opt);
	T_OK(msp_msgw_finish(&w, &octets));
	assert_int_equal(octets.len, len);
	return len;
}

static void question_over_1232_octets_goes_by_tcp(void **state)
{
	static const size_t size[] = { 1232, 1233 };
	struct msp_xchg_params p;
	uint8_t q[2048];
	struct rig r;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		rig_open(&r, ECHO);
		p = params(&r, MSP_UDP_THEN_TCP, q, sizeof(q));
		p.message = msp_span(q, padded_question(q, sizeof(q), size[i]));
		start(&r, &p);
		expect_answer(&r);
		assert_int_equal(r.by_udp, i == 0);
		assert_int_equal(r.by_tcp, i == 1);
		rig_close(&r);
	}
}

static void refused_port_is_a_network_error_after_the_schedule(void **state)
{
	struct msp_xchg_params p;
	struct msp_mono before;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	msp_server_close(&r.server); /* nobody there now */
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	before = msp_mono_now();
	start(&r, &p);
	expect_error(&r, MSP_ENET);
	assert_true(msp_mono_now().ms - before.ms >= 90);
	rig_close(&r);
}

static void server_that_comes_back_within_the_schedule_is_heard(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	msp_server_close(&r.server);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	start(&r, &p);
	msp_loop_run_until(r.k.loop, k_never, NULL, 10); /* the ICMP error has come */
	assert_false(r.done);
	T_OK(msp_server_open(r.k.loop, &r.addr, NULL, handler, &r, &r.server, NULL));
	expect_answer(&r);
	rig_close(&r);
}

static void refused_tcp_connection_is_told_at_once(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	msp_server_close(&r.server);
	p = params(&r, MSP_TCP_ONLY, q, sizeof(q));
	p.timeout_ms[0] = 60000;
	start(&r, &p);
	expect_error(&r, MSP_ENET);
	rig_close(&r);
}

static void tcp_connection_closed_without_an_answer_is_told(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, CLOSES);
	p = params(&r, MSP_TCP_ONLY, q, sizeof(q));
	p.timeout_ms[0] = 60000;
	start(&r, &p);
	expect_error(&r, MSP_ECLOSED);
	rig_close(&r);
	rig_open(&r, GARBLES); /* a wrong id over TCP: waits for the right one */
	p = params(&r, MSP_TCP_ONLY, q, sizeof(q));
	start(&r, &p);
	expect_error(&r, MSP_ETIMEOUT);
	rig_close(&r);
}

static void source_that_is_not_ours_is_told_from_the_loop(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		rig_open(&r, ECHO);
		p = params(&r, tcp ? MSP_TCP_ONLY : MSP_UDP_ONLY, q, sizeof(q));
		p.source = k_addr("192.0.2.1", 0);
		start(&r, &p);
		expect_error(&r, MSP_ENET);
		rig_close(&r);
	}
}

static void cancelled_exchange_stays_silent(void **state)
{
	static const enum msp_transport transport[] = { MSP_UDP_ONLY, MSP_TCP_ONLY, MSP_UDP_THEN_TCP };
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	/* After every number of rounds of the loop, up to when it would be over. */
	for (size_t t = 0; t < 3; t++) {
		bool over = false;

		for (size_t rounds = 0; !over; rounds++) {
			assert_true(rounds < 10000);
			rig_open(&r, t == 2 ? TRUNCATES : ECHO);
			p = params(&r, transport[t], q, sizeof(q));
			p.timeout_ms[0] = 60000;
			start(&r, &p);
			for (size_t i = 0; i < rounds && !r.done; i++)
				msp_loop_run_until(r.k.loop, k_never, NULL, 0);
			over = r.done;
			if (!over) {
				msp_xchg_cancel(&r.x);
				assert_null(r.x);
			}
			k_settle(&r.k);
			assert_int_equal(r.calls, over);
			rig_close(&r);
		}
	}
}

static void cancelling_from_inside_the_callback_is_harmless(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	r.cancel_inside = true;
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	start(&r, &p);
	expect_answer(&r);
	assert_null(r.x);
	rig_close(&r);
}

static void message_that_does_not_parse_is_refused(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, ECHO);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	p.message.len -= 1;
	assert_int_not_equal(msp_xchg_start(r.k.loop, &p, on_answer, &r, &r.x), MSP_OK);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	p.server.family = MSP_FAMILY_NONE;
	T_ERR(msp_xchg_start(r.k.loop, &p, on_answer, &r, &r.x), MSP_EVALUE);
	k_settle(&r.k);
	assert_int_equal(r.calls, 0);
	rig_close(&r);
}

static void ignore_answer(void *arg, enum msp_err err, struct msp_span answer)
{
	(void)arg;
	(void)err;
	(void)answer;
	fail_msg("called although cancelled");
}

static void exchanges_of_a_loop_are_limited(void **state)
{
	static struct msp_xchg *x[4096];
	struct msp_xchg_params p;
	struct msp_xchg *one = NULL;
	uint8_t q[512];
	struct rig r;

	(void)state;
	rig_open(&r, SILENT);
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	/* No socket can be opened for most of them (descriptors are limited too): they wait out their schedule. */
	p.timeout_ms[0] = 60000;
	for (size_t i = 0; i < 4096; i++)
		T_OK(msp_xchg_start(r.k.loop, &p, ignore_answer, NULL, &x[i]));
	T_ERR(msp_xchg_start(r.k.loop, &p, ignore_answer, NULL, &one), MSP_EBUSY);
	for (size_t i = 0; i < 4096; i++)
		msp_xchg_cancel(&x[i]);
	k_settle(&r.k);
	r.manner = ECHO;
	p = params(&r, MSP_UDP_ONLY, q, sizeof(q));
	for (size_t i = 0; i < 3; i++)
		p.timeout_ms[i] = 1000; /* the server may still be busy with the questions of the many */
	start(&r, &p);
	expect_answer(&r);
	rig_close(&r);
}

static void every_allocation_may_fail(void **state)
{
	struct msp_xchg_params p;
	uint8_t q[512];
	struct rig r;
	bool failed = true;

	(void)state;
	for (size_t nth = 1; failed && nth < 100; nth++) {
		rig_open(&r, TRUNCATES);
		p = params(&r, MSP_UDP_THEN_TCP, q, sizeof(q));
		msp_mem_fail_at(nth);
		if (msp_xchg_start(r.k.loop, &p, on_answer, &r, &r.x) == MSP_OK)
			msp_loop_run_until(r.k.loop, k_is_true, &r.done, K_LIMIT_MS);
		failed = msp_mem_failed();
		msp_mem_fail_at(0);
		assert_true(failed || r.err == MSP_OK);
		rig_close(&r);
	}
	assert_false(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_question_gets_its_answer),
		cmocka_unit_test(tcp_question_gets_its_answer),
		cmocka_unit_test(ipv6_works_as_well),
		cmocka_unit_test(lost_datagram_is_sent_again_from_the_same_port),
		cmocka_unit_test(each_exchange_has_its_own_port),
		cmocka_unit_test(signed_exchanges_share_a_port_and_get_their_own_answers),
		cmocka_unit_test(a_shared_port_hears_nobody_else_and_keeps_to_the_schedule),
		cmocka_unit_test(source_address_is_used),
		cmocka_unit_test(silence_ends_with_the_schedule),
		cmocka_unit_test(tcp_silence_ends_with_the_sum),
		cmocka_unit_test(answers_that_do_not_match_are_ignored),
		cmocka_unit_test(answer_from_another_source_is_ignored),
		cmocka_unit_test(truncated_answer_goes_to_tcp),
		cmocka_unit_test(question_over_1232_octets_goes_by_tcp),
		cmocka_unit_test(refused_port_is_a_network_error_after_the_schedule),
		cmocka_unit_test(server_that_comes_back_within_the_schedule_is_heard),
		cmocka_unit_test(refused_tcp_connection_is_told_at_once),
		cmocka_unit_test(tcp_connection_closed_without_an_answer_is_told),
		cmocka_unit_test(source_that_is_not_ours_is_told_from_the_loop),
		cmocka_unit_test(cancelled_exchange_stays_silent),
		cmocka_unit_test(cancelling_from_inside_the_callback_is_harmless),
		cmocka_unit_test(message_that_does_not_parse_is_refused),
		cmocka_unit_test(exchanges_of_a_loop_are_limited),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
