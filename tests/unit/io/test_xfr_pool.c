/* SPDX-License-Identifier: BSD-2-Clause */
/* Transfers that share connections: when they do, when they must not, and what of it the caller notices (nothing). */
#include "tlskit.h"

#include <msproto/base/mem.h>
#include <msproto/io/xfr.h>
#include <msproto/wire/rdata.h>

#include "io/server_priv.h"

#define SOA_LINE "zone.example. 300 IN SOA ns.zone.example. host.zone.example. 10 1800 900 604800 300"
#define PEERS    64
#define PARALLEL 8

/* What the server does with a request. */
enum manner {
	SENDS,
	REFUSES,
	ENDS_SECOND,    /* as SENDS, but the second request on a connection gets its end */
	ENDS_ALL,       /* nobody gets an answer */
	BREAKS_OFF,     /* the second request on a connection gets the first message and the end */
	ADDS_A_MESSAGE, /* behind the answer */
	OUT_OF_STEP,    /* the second request on a connection gets an answer with another id */
	SILENT
};

struct rig {
	struct k_loop k;
	struct msp_server *server;
	struct msp_xfr_pool *pool;
	enum manner manner;
	struct msp_rrset *soa, *set;
	uint16_t peer[PEERS]; /* ports that a request came from, in order */
	size_t peers;
	uint8_t request[512];
	struct msp_msg m;
	unsigned step;
	struct msp_req *held;
	/* client */
	struct msp_xfr *x[PARALLEL];
	size_t started, done, done_ok, records, chain;
	struct msp_xfr_result last;
	bool all_done;
};

static struct msp_rr_scratch scratch;

static size_t requests_from(const struct rig *r, uint16_t port)
{
	size_t count = 0;

	for (size_t i = 0; i < r->peers; i++)
		count += r->peer[i] == port;
	return count;
}

static size_t connections(const struct rig *r)
{
	return (size_t)msp_server_stats(r->server).tcp_accepted;
}

static struct msp_rr rr_of(const struct msp_rrset *set)
{
	return (struct msp_rr){ set->owner, set->type, MSP_CLASS_IN, set->ttl, set->rdata[0] };
}

static size_t answer(struct rig *r, uint8_t *out, size_t cap, unsigned soas, uint16_t id)
{
	struct msp_rr soa = rr_of(r->soa);
	struct msp_msgw w;
	struct msp_span octets;

	msp_msgw_init(&w, out, cap, id, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
	msp_msgw_question(&w, &r->soa->owner, r->m.question.type, MSP_CLASS_IN);
	while (soas-- > 0)
		msp_msgw_rr(&w, MSP_SEC_ANSWER, &soa);
	T_OK(msp_msgw_finish(&w, &octets));
	return octets.len;
}

static enum msp_err pull(void *arg, uint8_t *out, size_t cap, size_t *len, bool *end)
{
	struct rig *r = arg;

	switch (r->manner) {
	case BREAKS_OFF:
		if (r->step++ > 0)
			return MSP_EIO;
		*len = answer(r, out, cap, 1, r->m.id);
		return MSP_OK;
	case ADDS_A_MESSAGE:
		*len = answer(r, out, cap, 2, r->m.id);
		*end = r->step++ > 0;
		return MSP_OK;
	case OUT_OF_STEP:
		*len = answer(r, out, cap, 2, (uint16_t)(r->m.id + 1));
		*end = true;
		return MSP_OK;
	default:
		return MSP_EIO; /* closes the connection, nothing sent */
	}
}

static void stream_over(void *arg, enum msp_err err)
{
	(void)arg;
	(void)err;
}

static void handler(void *arg, struct msp_req *req)
{
	struct rig *r = arg;
	struct msp_span octets = msp_req_message(req);
	bool is_second;

	assert_true(octets.len <= sizeof(r->request) && r->peers < PEERS);
	memcpy(r->request, octets.ptr, octets.len);
	T_OK(msp_msg_parse(msp_span(r->request, octets.len), &scratch, &r->m, NULL));
	r->peer[r->peers++] = msp_req_peer(req)->port;
	is_second = requests_from(r, msp_req_peer(req)->port) > 1;
	r->step = 0;
	if (r->manner == SILENT) {
		r->held = req;
	} else if (r->manner == REFUSES) {
		uint8_t out[512];
		struct msp_msgw w;

		msp_msgw_respond(&w, out, sizeof(out), &r->m, MSP_RCODE_REFUSED, 0);
		T_OK(msp_msgw_finish(&w, &octets));
		msp_req_reply(&req, octets);
	} else if (r->manner == ENDS_ALL || r->manner == ADDS_A_MESSAGE || (r->manner != SENDS && is_second)) {
		msp_req_stream(&req, pull, stream_over, r);
	} else {
		const struct msp_rrset *sets[] = { r->set };

		msp_xfr_send(&req, r->soa, sets, 1, NULL);
	}
}

static enum msp_err on_record(void *arg, const struct msp_rr *rr)
{
	struct rig *r = arg;

	(void)rr;
	r->records++;
	return MSP_OK;
}
static const struct msp_xfrin_ops ops = { .record = on_record };

static struct msp_xfr_params params(struct rig *r)
{
	return (struct msp_xfr_params){ .server = *msp_server_addr(r->server),
					.zone = t_name("zone.example."),
					.pool = r->pool };
}

static void on_done(void *arg, const struct msp_xfr_result *result);

static void begin_with(struct rig *r, const struct msp_xfr_params *p)
{
	T_OK(msp_xfr_start(r->k.loop, p, &ops, r, on_done, r, &r->x[r->started % PARALLEL]));
	r->started++;
}

static void begin(struct rig *r)
{
	struct msp_xfr_params p = params(r);

	begin_with(r, &p);
}

static void on_done(void *arg, const struct msp_xfr_result *result)
{
	struct rig *r = arg;

	r->last = *result;
	r->done++;
	r->done_ok += result->err == MSP_OK;
	if (r->chain > 0) {
		r->chain--;
		begin(r);
	}
	r->all_done = r->done == r->started;
}

static void wait_all(struct rig *r)
{
	K_UNTIL(&r->k, &r->all_done);
	r->all_done = false;
}

static void transfer(struct rig *r)
{
	begin(r);
	wait_all(r);
}

static struct rig *rig_open_idle(enum manner manner, size_t max, uint32_t server_idle_ms, uint32_t idle_ms)
{
	struct msp_server_limits limits = { .idle_ms = server_idle_ms };
	struct msp_addr any = k_addr("127.0.0.1", 0);
	struct rig *r = msp_alloc(1, sizeof(*r));

	assert_non_null(r);
	r->manner = manner;
	k_open(&r->k);
	T_OK(msp_server_open(r->k.loop, &any, &limits, handler, r, &r->server, NULL));
	T_OK(msp_xfr_pool_new(r->k.loop, max, idle_ms, &r->pool));
	r->soa = t_rrset(SOA_LINE);
	r->set = t_rrset("a.zone.example. 60 IN A 192.0.2.1");
	return r;
}

static struct rig *rig_open(enum manner manner, size_t max)
{
	return rig_open_idle(manner, max, 0, 60000);
}

static void rig_close(struct rig *r)
{
	if (r->held != NULL)
		msp_req_drop(&r->held);
	msp_xfr_pool_close(&r->pool);
	assert_null(r->pool);
	msp_server_close(&r->server);
	k_close(&r->k);
	msp_rrset_free(&r->soa);
	msp_rrset_free(&r->set);
	msp_free(r);
}

static void transfers_one_after_the_other_share_a_connection(void **state)
{
	struct rig *r = rig_open(SENDS, 4);

	(void)state;
	r->chain = 20; /* each begun from inside the end of the one before */
	transfer(r);
	transfer(r); /* and one begun later */
	assert_int_equal(r->done_ok, 22);
	assert_int_equal(r->records, 22);
	assert_true(r->last.is_full);
	assert_int_equal(r->last.records, 3);
	assert_int_equal(connections(r), 1);
	rig_close(r);
}

/* Whom one context believes need not be believed by another: they do not share. */
static void transfers_over_tls_share_a_connection_of_the_same_context(void **state)
{
	struct rig *r = rig_open(SENDS, 4);
	struct msp_addr any = k_addr("127.0.0.1", 0);
	struct msp_tls *server, *first, *second, *wrong;
	struct msp_xfr_params p;
	struct pki pki;

	(void)state;
	pki_open(&pki);
	server = pki_tls(&pki, true, "server", NULL, NULL, NULL, false);
	first = pki_tls(&pki, false, NULL, "server", NULL, NULL, false);
	second = pki_tls(&pki, false, NULL, NULL, "ca", "ns.example.test", false);
	wrong = pki_tls(&pki, false, NULL, "client", NULL, NULL, false);
	msp_server_close(&r->server);
	T_OK(msp_server_open_tls(r->k.loop, &any, NULL, server, handler, r, &r->server, NULL));
	p = params(r);
	for (size_t i = 0; i < 6; i++) {
		p.tls = i < 3 ? first : second;
		begin_with(r, &p);
		wait_all(r);
		assert_int_equal(connections(r), 1 + i / 3);
	}
	assert_int_equal(r->done_ok, 6);
	p.tls = wrong;
	begin_with(r, &p);
	wait_all(r);
	T_ERR(r->last.err, MSP_ENOKEY);
	assert_non_null(strstr(r->last.why.text, "connect"));
	p.tls = first; /* the others are where they were */
	begin_with(r, &p);
	wait_all(r);
	assert_int_equal(r->done_ok, 7);
	assert_int_equal(connections(r), 3);
	msp_tls_unref(&server);
	msp_tls_unref(&first);
	msp_tls_unref(&second);
	msp_tls_unref(&wrong);
	rig_close(r);
	pki_close(&pki);
}

static void a_tls_connection_that_ends_before_the_answer_is_replaced(void **state)
{
	struct rig *r = rig_open(ENDS_SECOND, 4);
	struct msp_addr any = k_addr("127.0.0.1", 0);
	struct msp_tls *server, *client;
	struct msp_xfr_params p;
	struct pki pki;

	(void)state;
	pki_open(&pki);
	server = pki_tls(&pki, true, "server", NULL, NULL, NULL, false);
	client = pki_tls(&pki, false, NULL, "server", NULL, NULL, false);
	msp_server_close(&r->server);
	T_OK(msp_server_open_tls(r->k.loop, &any, NULL, server, handler, r, &r->server, NULL));
	p = params(r);
	p.tls = client;
	for (size_t n = 1; n <= 4; n++) {
		begin_with(r, &p);
		wait_all(r);
		T_ERR(r->last.err, MSP_OK);
		assert_int_equal(connections(r), n);
	}
	msp_tls_unref(&server);
	msp_tls_unref(&client);
	rig_close(r);
	pki_close(&pki);
}

static void without_a_pool_each_has_its_own(void **state)
{
	struct rig *r = rig_open(SENDS, 4);
	struct msp_xfr_params p = params(r);

	(void)state;
	p.pool = NULL;
	for (size_t i = 0; i < 3; i++) {
		begin_with(r, &p);
		wait_all(r);
	}
	assert_int_equal(r->done_ok, 3);
	assert_int_equal(connections(r), 3);
	rig_close(r);
}

static void one_transfer_at_a_time_is_on_a_connection_and_few_are_kept(void **state)
{
	struct rig *r = rig_open(SENDS, 2);

	(void)state;
	for (size_t i = 0; i < 4; i++)
		begin(r);
	wait_all(r);
	assert_int_equal(connections(r), 4);
	for (size_t i = 0; i < 4; i++)
		begin(r);
	wait_all(r);
	assert_int_equal(r->done_ok, 8);
	assert_int_equal(connections(r), 6); /* two were kept */
	rig_close(r);
}

static void a_pool_of_nothing_keeps_nothing(void **state)
{
	struct rig *r = rig_open(SENDS, 0);

	(void)state;
	transfer(r);
	transfer(r);
	assert_int_equal(connections(r), 2);
	rig_close(r);
}

static void another_source_or_server_is_another_connection(void **state)
{
	struct rig *r = rig_open(SENDS, 8);
	struct msp_xfr_params p = params(r);

	(void)state;
	transfer(r);
	p.source = k_addr("127.0.0.1", 0);
	begin_with(r, &p);
	wait_all(r);
	assert_int_equal(connections(r), 2);
	p.source = k_addr("127.0.0.2", 0);
	begin_with(r, &p);
	wait_all(r);
	assert_int_equal(connections(r), 3);
	begin_with(r, &p); /* the same again */
	wait_all(r);
	transfer(r);
	assert_int_equal(r->done_ok, 5);
	assert_int_equal(connections(r), 3);
	rig_close(r);
}

static bool has_no_connection(void *arg)
{
	const struct rig *r = arg;

	return r->server->conn_count == 0;
}

static void a_connection_closed_while_it_waited_is_not_used(void **state)
{
	struct rig *r = rig_open_idle(SENDS, 4, 1, 60000); /* the server closes it */

	(void)state;
	transfer(r);
	assert_true(msp_loop_run_until(r->k.loop, has_no_connection, r, K_LIMIT_MS));
	transfer(r);
	assert_int_equal(r->done_ok, 2);
	assert_int_equal(connections(r), 2);
	rig_close(r);

	r = rig_open_idle(SENDS, 4, 60000, 1); /* we close it */
	transfer(r);
	assert_true(msp_loop_run_until(r->k.loop, has_no_connection, r, K_LIMIT_MS));
	transfer(r);
	assert_int_equal(r->done_ok, 2);
	assert_int_equal(connections(r), 2);
	rig_close(r);
}

static void a_reused_connection_that_ends_before_the_answer_is_replaced(void **state)
{
	static const enum manner manners[] = { ENDS_SECOND, OUT_OF_STEP };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct rig *r = rig_open(manners[i], 4);

		for (size_t n = 1; n <= 5; n++) {
			transfer(r);
			assert_int_equal(r->last.err, MSP_OK);
			assert_int_equal(r->done, n); /* told once */
			assert_int_equal(r->records, n);
			assert_int_equal(connections(r), n);
		}
		rig_close(r);
	}
}

static void a_new_connection_that_ends_is_an_error(void **state)
{
	struct rig *r = rig_open(ENDS_ALL, 4);

	(void)state;
	transfer(r);
	T_ERR(r->last.err, MSP_ECLOSED);
	assert_int_equal(connections(r), 1);
	r->manner = SENDS;
	transfer(r);
	r->manner = ENDS_ALL; /* the reused one ends, and the new one too: tried once more, not for ever */
	transfer(r);
	T_ERR(r->last.err, MSP_ECLOSED);
	assert_int_equal(r->done, 3);
	assert_int_equal(connections(r), 3);
	rig_close(r);
}

static void an_answer_that_has_begun_is_not_asked_for_again(void **state)
{
	struct rig *r = rig_open(BREAKS_OFF, 4);

	(void)state;
	transfer(r);
	transfer(r);
	T_ERR(r->last.err, MSP_ECLOSED);
	assert_int_equal(r->last.messages, 1);
	assert_int_equal(connections(r), 1);
	rig_close(r);
}

static void a_refusal_leaves_the_connection_in_step_and_other_errors_do_not(void **state)
{
	struct rig *r = rig_open(REFUSES, 4);
	struct msp_xfr_params p = params(r);

	(void)state;
	transfer(r);
	T_ERR(r->last.err, MSP_ERCODE);
	r->manner = SENDS;
	transfer(r);
	assert_int_equal(r->done_ok, 1);
	assert_int_equal(connections(r), 1);
	p.limits.records = 2;
	begin_with(r, &p);
	wait_all(r);
	T_ERR(r->last.err, MSP_ELIMIT);
	transfer(r);
	assert_int_equal(r->done_ok, 2);
	assert_int_equal(connections(r), 2);
	rig_close(r);
}

static void what_comes_behind_an_answer_ends_the_connection(void **state)
{
	struct rig *r = rig_open(ADDS_A_MESSAGE, 4);

	(void)state;
	for (size_t n = 1; n <= 3; n++) {
		transfer(r);
		T_ERR(r->last.err, MSP_OK);
		k_settle(&r->k);
		assert_int_equal(connections(r), n);
	}
	rig_close(r);
}

static void a_pool_may_be_closed_under_a_transfer(void **state)
{
	struct rig *r = rig_open(SENDS, 4);

	(void)state;
	transfer(r);
	begin(r);
	begin(r);
	msp_xfr_pool_close(&r->pool);
	wait_all(r);
	assert_int_equal(r->done_ok, 3);
	rig_close(r);
}

static void a_cancelled_transfer_takes_its_connection_along(void **state)
{
	struct rig *r = rig_open(SENDS, 4);

	(void)state;
	transfer(r);
	r->manner = SILENT;
	begin(r);
	K_UNTIL_COUNT(&r->k, &r->peers, 2);
	msp_xfr_cancel(&r->x[1]);
	k_settle(&r->k);
	assert_int_equal(r->done, 1);
	r->started = 1;
	msp_req_drop(&r->held);
	r->manner = SENDS;
	transfer(r);
	assert_int_equal(r->done_ok, 2);
	assert_int_equal(connections(r), 2);
	rig_close(r);
}

static void silence_on_a_reused_connection_is_a_time_out(void **state)
{
	struct rig *r = rig_open(SENDS, 4);
	struct msp_xfr_params p = params(r);

	(void)state;
	transfer(r);
	r->manner = SILENT;
	p.idle_timeout_ms = 20;
	begin_with(r, &p);
	wait_all(r);
	T_ERR(r->last.err, MSP_ETIMEOUT);
	assert_int_equal(connections(r), 1);
	rig_close(r);
}

static void every_allocation_may_fail(void **state)
{
	bool failed = true;

	(void)state;
	for (size_t nth = 1; failed && nth < 500; nth++) {
		struct rig *r = rig_open(ENDS_SECOND, 4);
		struct msp_xfr_params p = params(r);

		p.idle_timeout_ms = 50;
		begin_with(r, &p);
		wait_all(r);
		msp_mem_fail_at(nth);
		if (msp_xfr_start(r->k.loop, &p, &ops, r, on_done, r, &r->x[1]) == MSP_OK) {
			r->started++;
			assert_true(msp_loop_run_until(r->k.loop, k_is_true, &r->all_done, K_LIMIT_MS));
			assert_int_equal(r->done, 2);
		}
		failed = msp_mem_failed();
		msp_mem_fail_at(0);
		assert_true(failed || r->last.err == MSP_OK);
		rig_close(r);
	}
	assert_false(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transfers_one_after_the_other_share_a_connection),
		cmocka_unit_test(transfers_over_tls_share_a_connection_of_the_same_context),
		cmocka_unit_test(a_tls_connection_that_ends_before_the_answer_is_replaced),
		cmocka_unit_test(without_a_pool_each_has_its_own),
		cmocka_unit_test(one_transfer_at_a_time_is_on_a_connection_and_few_are_kept),
		cmocka_unit_test(a_pool_of_nothing_keeps_nothing),
		cmocka_unit_test(another_source_or_server_is_another_connection),
		cmocka_unit_test(a_connection_closed_while_it_waited_is_not_used),
		cmocka_unit_test(a_reused_connection_that_ends_before_the_answer_is_replaced),
		cmocka_unit_test(a_new_connection_that_ends_is_an_error),
		cmocka_unit_test(an_answer_that_has_begun_is_not_asked_for_again),
		cmocka_unit_test(a_refusal_leaves_the_connection_in_step_and_other_errors_do_not),
		cmocka_unit_test(what_comes_behind_an_answer_ends_the_connection),
		cmocka_unit_test(a_pool_may_be_closed_under_a_transfer),
		cmocka_unit_test(a_cancelled_transfer_takes_its_connection_along),
		cmocka_unit_test(silence_on_a_reused_connection_is_a_time_out),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
