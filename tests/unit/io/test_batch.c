/* SPDX-License-Identifier: BSD-2-Clause */
/* Several questions over one connection, against a server that the test plays by hand on a plain socket. */
#include "iokit.h"

#include <stdlib.h>

#include <msproto/base/mem.h>
#include <msproto/io/batch.h>
#include <msproto/msg/edns.h>

#define QUESTIONS 4
#define MUTE_MS   30 /* how long is waited for a server of which is known that it says nothing */

static const char *const names[QUESTIONS] = { "a.example.", "b.example.", "c.example.", "d.example." };

struct rig {
	struct k_loop k;
	int listener, fd;
	struct msp_addr addr;
	struct msp_batch *b;
	/* what the server has read: question i, where it got an id */
	uint8_t asked[QUESTIONS][512];
	size_t asked_len[QUESTIONS];
	/* the outcome */
	bool done, is_inside, cancels_inside;
	size_t calls, count;
	enum msp_err err[MSP_BATCH_MAX];
	uint8_t raw[MSP_BATCH_MAX][1024];
	size_t raw_len[MSP_BATCH_MAX];
};

static void on_batch(void *arg, const struct msp_batch_answer *answer, size_t count)
{
	struct rig *r = arg;

	assert_false(r->is_inside);
	r->calls++;
	r->count = count;
	for (size_t i = 0; i < count; i++) {
		r->err[i] = answer[i].err;
		r->raw_len[i] = answer[i].raw.len;
		assert_int_equal(answer[i].err == MSP_OK, answer[i].raw.len != 0);
		if (answer[i].raw.len > 0 && answer[i].raw.len <= sizeof(r->raw[i]))
			memcpy(r->raw[i], answer[i].raw.ptr, answer[i].raw.len);
	}
	r->done = true;
	if (r->cancels_inside)
		msp_batch_cancel(&r->b);
}

static int listen_on(struct msp_addr *addr)
{
	union msp_sockaddr sa;
	socklen_t len = msp_sockaddr_set(&sa, addr);
	int fd = socket(msp_sockaddr_family(addr), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &sa.sa, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, &sa.sa, &len), 0);
	msp_sockaddr_get(&sa, addr);
	return fd;
}

static void unlisten(struct rig *r)
{
	if (r->listener >= 0)
		close(r->listener);
	r->listener = -1;
}

static void rig_open(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = -1;
	r->addr = k_addr("127.0.0.1", 0);
	k_open(&r->k);
	r->listener = listen_on(&r->addr);
}

static void rig_close(struct rig *r)
{
	k_settle(&r->k);
	assert_true(r->calls <= 1);
	if (r->fd >= 0)
		close(r->fd);
	unlisten(r);
	k_close(&r->k);
}

static struct msp_batch_params params(const struct rig *r, struct msp_batch_question *q, size_t count)
{
	for (size_t i = 0; i < count; i++)
		q[i] = (struct msp_batch_question){ t_name(names[i]), MSP_TYPE_SOA, false };
	return (struct msp_batch_params){
		.server = r->addr, .question = q, .count = count, .dnssec_ok = true, .timeout_ms = 2 * K_LIMIT_MS
	};
}

static void start_with(struct rig *r, const struct msp_batch_params *p)
{
	r->is_inside = true;
	T_OK(msp_batch_start(r->k.loop, p, on_batch, r, &r->b));
	r->is_inside = false;
}

static void start(struct rig *r, size_t count)
{
	struct msp_batch_question q[QUESTIONS];
	struct msp_batch_params p = params(r, q, count);

	start_with(r, &p);
	memset(q, 0xff, sizeof(q)); /* copied */
}

static bool has_connection(void *arg)
{
	struct rig *r = arg;

	r->fd = accept(r->listener, NULL, NULL);
	return r->fd >= 0;
}

static void expect_connection(struct rig *r)
{
	assert_true(msp_loop_run_until(r->k.loop, has_connection, r, K_LIMIT_MS));
}

static void expect_question(struct rig *r, size_t i)
{
	static struct msp_rr_scratch scratch;
	struct msp_name name = t_name(names[i]);
	struct msp_msg m;

	r->asked_len[i] = k_recv_message(&r->k, r->fd, r->asked[i], sizeof(r->asked[i]));
	T_OK(msp_msg_parse(msp_span(r->asked[i], r->asked_len[i]), &scratch, &m, NULL));
	assert_true(msp_name_same(&m.question.name, &name));
	assert_int_equal(m.question.type, MSP_TYPE_SOA);
	assert_int_equal(m.flags, 0); /* no RD */
	assert_true(m.edns.present && m.edns.dnssec_ok);
	assert_int_equal(m.edns.payload, MSP_EDNS_PAYLOAD);
}

static void expect_questions(struct rig *r, size_t count)
{
	expect_connection(r);
	for (size_t i = 0; i < count; i++)
		expect_question(r, i);
}

/* The question as its answer, framed; returns its length with the frame. */
static size_t answer_of(const struct rig *r, size_t i, uint8_t *out)
{
	size_t len = r->asked_len[i];

	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	memcpy(out + 2, r->asked[i], len);
	out[4] |= 0x84; /* QR, AA */
	return len + 2;
}

static void send_answer(const struct rig *r, size_t i)
{
	uint8_t out[600];

	k_send(r->fd, out, answer_of(r, i, out));
}

static void expect_answer(const struct rig *r, size_t i)
{
	struct msp_name name = t_name(names[i]);

	T_ERR(r->err[i], MSP_OK);
	assert_int_equal(r->raw_len[i], r->asked_len[i]);
	assert_int_equal(k_id(r->raw[i]), k_id(r->asked[i]));
	assert_memory_equal(r->raw[i] + MSP_HEADER_LEN, name.oct, name.len);
}

static void expect_all(struct rig *r, size_t count)
{
	K_UNTIL(&r->k, &r->done);
	assert_int_equal(r->count, count);
	for (size_t i = 0; i < count; i++)
		expect_answer(r, i);
}

/* --- what goes well --- */

static void all_questions_are_written_at_once_and_answered_in_order(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	start(&r, QUESTIONS);
	expect_questions(&r, QUESTIONS); /* before any answer */
	for (size_t i = 0; i < QUESTIONS; i++)
		send_answer(&r, i);
	expect_all(&r, QUESTIONS);
	assert_true(k_is_closed(&r.k, r.fd));
	rig_close(&r);
}

static void answers_out_of_order_find_their_questions(void **state)
{
	static const size_t order[QUESTIONS] = { 2, 0, 3, 1 };
	struct rig r;

	(void)state;
	rig_open(&r);
	start(&r, QUESTIONS);
	expect_questions(&r, QUESTIONS);
	for (size_t i = 0; i < QUESTIONS; i++)
		send_answer(&r, order[i]);
	expect_all(&r, QUESTIONS);
	rig_close(&r);
}

static void ipv6_works_as_well(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	unlisten(&r);
	r.addr = k_addr("::1", 0);
	r.listener = listen_on(&r.addr);
	start(&r, 2);
	expect_questions(&r, 2);
	send_answer(&r, 0);
	send_answer(&r, 1);
	expect_all(&r, 2);
	rig_close(&r);
}

static void the_source_address_is_the_one_asked_for(void **state)
{
	struct msp_batch_question q[1];
	struct msp_batch_params p;
	union msp_sockaddr sa;
	socklen_t len = sizeof(sa);
	struct msp_addr peer;
	struct rig r;

	(void)state;
	rig_open(&r);
	p = params(&r, q, 1);
	p.source = k_addr("127.0.0.77", 0);
	start_with(&r, &p);
	expect_questions(&r, 1);
	assert_int_equal(getpeername(r.fd, &sa.sa, &len), 0);
	msp_sockaddr_get(&sa, &peer);
	assert_true(msp_addr_same_host(&peer, &p.source));
	send_answer(&r, 0);
	expect_all(&r, 1);
	rig_close(&r);
}

static void a_second_look_waits_for_all_answers_before_it(void **state)
{
	struct msp_batch_question q[QUESTIONS];
	struct msp_batch_params p;
	struct rig r;
	uint8_t octet;

	(void)state;
	rig_open(&r);
	p = params(&r, q, QUESTIONS);
	q[2].is_after = true; /* the one after it does not wait */
	start_with(&r, &p);
	expect_connection(&r);
	expect_question(&r, 0);
	expect_question(&r, 1);
	expect_question(&r, 3);
	send_answer(&r, 3);
	send_answer(&r, 1);
	k_settle(&r.k);
	assert_int_equal(recv(r.fd, &octet, 1, MSG_DONTWAIT), -1); /* 0 has not been answered */
	send_answer(&r, 0);
	expect_question(&r, 2);
	assert_false(r.done);
	send_answer(&r, 2);
	expect_all(&r, QUESTIONS);
	rig_close(&r);
}

static void second_looks_follow_one_another(void **state)
{
	struct msp_batch_question q[3];
	struct msp_batch_params p;
	struct rig r;
	uint8_t octet;

	(void)state;
	rig_open(&r);
	p = params(&r, q, 3);
	q[0].is_after = q[1].is_after = q[2].is_after = true; /* nothing is before the first */
	start_with(&r, &p);
	expect_connection(&r);
	for (size_t i = 0; i < 3; i++) {
		expect_question(&r, i);
		k_settle(&r.k);
		assert_int_equal(recv(r.fd, &octet, 1, MSG_DONTWAIT), -1);
		send_answer(&r, i);
	}
	expect_all(&r, 3);
	rig_close(&r);
}

static void segments_may_be_cut_and_merged_anywhere(void **state)
{
	uint8_t all[QUESTIONS * 600];
	struct rig r;

	(void)state;
	for (size_t piece = 1; piece < 90; piece += 7) {
		size_t len = 0;

		rig_open(&r);
		start(&r, QUESTIONS);
		expect_questions(&r, QUESTIONS);
		for (size_t i = 0; i < QUESTIONS; i++)
			len += answer_of(&r, QUESTIONS - 1 - i, all + len);
		for (size_t at = 0; at < len; at += piece) {
			k_send(r.fd, all + at, len - at < piece ? len - at : piece);
			(void)msp_loop_run_until(r.k.loop, k_never, NULL, 1);
		}
		expect_all(&r, QUESTIONS);
		rig_close(&r);
	}
}

static void an_error_rcode_without_question_is_an_answer(void **state)
{
	uint8_t out[2 + MSP_HEADER_LEN] = { 0, MSP_HEADER_LEN };
	struct rig r;

	(void)state;
	rig_open(&r);
	start(&r, 1);
	expect_questions(&r, 1);
	memcpy(out + 2, r.asked[0], 2);
	out[4] = 0x80;
	out[5] = MSP_RCODE_FORMERR;
	k_send(r.fd, out, sizeof(out));
	K_UNTIL(&r.k, &r.done);
	T_ERR(r.err[0], MSP_OK);
	assert_int_equal(r.raw_len[0], MSP_HEADER_LEN);
	rig_close(&r);
}

/* --- servers that lie --- */

/* Question 1 is answered as it is told; 0 and 2 as they should be. */
static void play(struct rig *r, void (*spoil)(uint8_t *framed, size_t *len))
{
	uint8_t out[600];
	size_t len;

	start(r, 3);
	expect_questions(r, 3);
	send_answer(r, 0);
	len = answer_of(r, 1, out);
	spoil(out, &len);
	out[0] = (uint8_t)((len - 2) >> 8);
	out[1] = (uint8_t)(len - 2);
	k_send(r->fd, out, len);
	send_answer(r, 2);
	K_UNTIL(&r->k, &r->done);
	expect_answer(r, 0);
}

static void other_name(uint8_t *m, size_t *len)
{
	(void)len;
	m[2 + MSP_HEADER_LEN + 1] ^= 1;
}
static void other_type(uint8_t *m, size_t *len)
{
	(void)len;
	m[2 + MSP_HEADER_LEN + 11 + 1] ^= 3;
}
static void other_class(uint8_t *m, size_t *len)
{
	(void)len;
	m[2 + MSP_HEADER_LEN + 11 + 3] ^= 2;
}
static void no_answer(uint8_t *m, size_t *len)
{
	(void)len;
	m[4] &= 0x7f; /* QR */
}
static void other_opcode(uint8_t *m, size_t *len)
{
	(void)len;
	m[4] |= 4 << 3;
}
static void one_octet_less(uint8_t *m, size_t *len)
{
	(void)m;
	--*len;
}
static void one_octet_more(uint8_t *m, size_t *len)
{
	m[(*len)++] = 0;
}
static void no_question(uint8_t *m, size_t *len)
{
	memset(m + 6, 0, 8);
	*len = 2 + MSP_HEADER_LEN;
}

static void an_answer_that_fits_nothing_but_its_id_costs_that_question_only(void **state)
{
	static void (*const spoils[])(uint8_t *,
				      size_t *) = { other_name,   other_type,     other_class,    no_answer,
						    other_opcode, one_octet_less, one_octet_more, no_question };
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		rig_open(&r);
		play(&r, spoils[i]);
		T_ERR(r.err[1], MSP_EFORMAT);
		expect_answer(&r, 2);
		rig_close(&r);
	}
}

static void other_id(uint8_t *m, size_t *len)
{
	(void)len;
	m[2] ^= 0x80;
}
static void too_short(uint8_t *m, size_t *len)
{
	(void)m;
	*len = 2 + MSP_HEADER_LEN - 1;
}
static void nothing(uint8_t *m, size_t *len)
{
	(void)m;
	*len = 2;
}
static void garbage(uint8_t *m, size_t *len)
{
	memset(m + 2, 0xff, 40);
	m[2] = (uint8_t)(m[2] ^ 0x55);
	*len = 42;
}

static void what_belongs_to_no_question_ends_the_batch(void **state)
{
	static void (*const spoils[])(uint8_t *, size_t *) = { other_id, too_short, nothing, garbage };
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		rig_open(&r);
		play(&r, spoils[i]);
		T_ERR(r.err[1], MSP_EFORMAT);
		T_ERR(r.err[2], MSP_EFORMAT);
		rig_close(&r);
	}
}

static void an_answer_before_its_question_or_twice_ends_the_batch(void **state)
{
	struct msp_batch_question q[2];
	struct msp_batch_params p;
	struct rig r;

	(void)state;
	rig_open(&r);
	start(&r, 2);
	expect_questions(&r, 2);
	send_answer(&r, 0);
	send_answer(&r, 0);
	K_UNTIL(&r.k, &r.done);
	expect_answer(&r, 0);
	T_ERR(r.err[1], MSP_EFORMAT);
	rig_close(&r);

	rig_open(&r);
	p = params(&r, q, 2);
	q[1].is_after = true;
	start_with(&r, &p);
	expect_questions(&r, 1);
	memcpy(r.asked[1], r.asked[0], r.asked_len[0]); /* guessed: the next id, and the name */
	r.asked_len[1] = r.asked_len[0];
	r.asked[1][1]++;
	r.asked[1][0] = (uint8_t)(r.asked[1][0] + (r.asked[1][1] == 0));
	r.asked[1][MSP_HEADER_LEN + 1] = 'b';
	send_answer(&r, 1);
	K_UNTIL(&r.k, &r.done);
	T_ERR(r.err[0], MSP_EFORMAT);
	T_ERR(r.err[1], MSP_EFORMAT);
	rig_close(&r);
}

/* --- servers that go away, and too much of it --- */

static void hang_up(struct rig *r)
{
	close(r->fd);
	r->fd = -1;
}

static void a_server_that_closes_without_an_answer_has_not_answered(void **state)
{
	struct rig r;

	(void)state;
	for (size_t octets = 0; octets < 3; octets++) {
		uint8_t out[600];

		rig_open(&r);
		start(&r, 2);
		expect_questions(&r, 2);
		(void)answer_of(&r, 0, out);
		k_send(r.fd, out, octets); /* within a length, even */
		hang_up(&r);
		K_UNTIL(&r.k, &r.done);
		T_ERR(r.err[0], MSP_ECLOSED);
		T_ERR(r.err[1], MSP_ECLOSED);
		rig_close(&r);
	}
}

static void a_server_that_closes_after_each_answer_is_connected_to_again(void **state)
{
	struct msp_batch_question q[QUESTIONS];
	struct msp_batch_params p;
	struct rig r;

	(void)state;
	rig_open(&r);
	p = params(&r, q, QUESTIONS);
	q[3].is_after = true;
	start_with(&r, &p);
	for (size_t i = 0; i < QUESTIONS; i++) {
		expect_connection(&r);
		for (size_t k = i; k < (i < 3 ? 3 : 4); k++)
			expect_question(&r, k); /* only what has no answer */
		send_answer(&r, i);
		assert_false(r.done);
		if (i == 0)
			k_send(r.fd, "\0\47\1", 3); /* it begins another answer */
		k_settle(&r.k);
		hang_up(&r);
	}
	expect_all(&r, QUESTIONS);
	rig_close(&r);
}

static void the_second_connection_has_to_bring_an_answer_too(void **state)
{
	struct rig r;

	(void)state;
	for (int is_there = 0; is_there < 2; is_there++) {
		rig_open(&r);
		start(&r, 2);
		expect_questions(&r, 2);
		send_answer(&r, 1);
		k_settle(&r.k);
		if (!is_there)
			unlisten(&r);
		hang_up(&r);
		if (is_there) {
			expect_connection(&r);
			expect_question(&r, 0);
			hang_up(&r);
		}
		K_UNTIL(&r.k, &r.done);
		expect_answer(&r, 1);
		T_ERR(r.err[0], is_there ? MSP_ECLOSED : MSP_ENET);
		rig_close(&r);
	}
}

static void a_stream_that_ends_within_an_answer_has_not_answered(void **state)
{
	uint8_t out[600];
	struct rig r;

	(void)state;
	rig_open(&r);
	start(&r, 1);
	expect_questions(&r, 1);
	k_send(r.fd, out, answer_of(&r, 0, out) - 1);
	close(r.fd);
	r.fd = -1;
	K_UNTIL(&r.k, &r.done);
	T_ERR(r.err[0], MSP_ECLOSED);
	rig_close(&r);
}

static void nobody_listening_is_a_network_error_told_from_the_loop(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	unlisten(&r);
	start(&r, 2);
	assert_false(r.done);
	K_UNTIL(&r.k, &r.done);
	T_ERR(r.err[0], MSP_ENET);
	T_ERR(r.err[1], MSP_ENET);
	rig_close(&r);
}

static void a_source_that_is_not_ours_is_a_network_error_told_from_the_loop(void **state)
{
	struct msp_batch_question q[1];
	struct msp_batch_params p;
	struct rig r;

	(void)state;
	rig_open(&r);
	p = params(&r, q, 1);
	p.source = k_addr("192.0.2.1", 0);
	start_with(&r, &p);
	K_UNTIL(&r.k, &r.done);
	T_ERR(r.err[0], MSP_ENET);
	rig_close(&r);
}

static void a_mute_server_is_a_timeout_for_what_it_has_not_answered(void **state)
{
	struct msp_batch_question q[2];
	struct msp_batch_params p;
	struct rig r;

	(void)state;
	rig_open(&r);
	p = params(&r, q, 2);
	p.timeout_ms = MUTE_MS;
	start_with(&r, &p); /* the kernel connects, nobody accepts */
	K_UNTIL(&r.k, &r.done);
	T_ERR(r.err[0], MSP_ETIMEOUT);
	T_ERR(r.err[1], MSP_ETIMEOUT);
	rig_close(&r);
}

static void answers_over_the_limit_of_octets_end_the_batch(void **state)
{
	struct msp_batch_question q[3];
	struct msp_batch_params p;
	struct rig r;

	(void)state;
	rig_open(&r);
	p = params(&r, q, 3);
	p.answer_octets_max = 60; /* an answer has 39 */
	start_with(&r, &p);
	expect_questions(&r, 3);
	assert_true(r.asked_len[0] <= 60 && 2 * r.asked_len[0] > 60);
	send_answer(&r, 0);
	send_answer(&r, 1);
	send_answer(&r, 2);
	K_UNTIL(&r.k, &r.done);
	expect_answer(&r, 0);
	T_ERR(r.err[1], MSP_ELIMIT);
	T_ERR(r.err[2], MSP_ELIMIT);
	rig_close(&r);
}

/* --- cancelling, limits --- */

static void a_cancelled_batch_is_silent_whatever_its_state(void **state)
{
	struct rig r;

	(void)state;
	for (int stage = 0; stage < 5; stage++) {
		rig_open(&r);
		if (stage == 4)
			unlisten(&r); /* it has failed, and is about to say so */
		start(&r, 2);
		if (stage > 0 && stage < 4)
			expect_connection(&r);
		if (stage > 1 && stage < 4)
			expect_question(&r, 0);
		if (stage == 3) {
			uint8_t out[600];

			k_send(r.fd, out, answer_of(&r, 0, out) - 3);
			k_settle(&r.k);
		}
		msp_batch_cancel(&r.b);
		assert_null(r.b);
		msp_batch_cancel(&r.b);
		k_settle(&r.k);
		assert_int_equal(r.calls, 0);
		rig_close(&r);
	}
}

static void cancelling_from_inside_the_callback_does_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	r.cancels_inside = true;
	start(&r, 1);
	expect_questions(&r, 1);
	send_answer(&r, 0);
	expect_all(&r, 1);
	assert_null(r.b);
	rig_close(&r);
}

static void unsound_parameters_are_refused(void **state)
{
	struct msp_batch_question q[MSP_BATCH_MAX + 1];
	struct msp_batch_params p;
	struct rig r;

	(void)state;
	rig_open(&r);
	p = params(&r, q, 1);
	p.count = 0;
	T_ERR(msp_batch_start(r.k.loop, &p, on_batch, &r, &r.b), MSP_EVALUE);
	for (size_t i = 0; i <= MSP_BATCH_MAX; i++)
		q[i] = q[0];
	p.count = MSP_BATCH_MAX + 1;
	T_ERR(msp_batch_start(r.k.loop, &p, on_batch, &r, &r.b), MSP_EVALUE);
	p.count = 1;
	q[0].name.len = 0;
	T_ERR(msp_batch_start(r.k.loop, &p, on_batch, &r, &r.b), MSP_EVALUE);
	p = params(&r, q, 1);
	p.server.family = MSP_FAMILY_NONE;
	T_ERR(msp_batch_start(r.k.loop, &p, on_batch, &r, &r.b), MSP_EVALUE);
	rig_close(&r);
}

static void the_most_questions_of_the_longest_names_fit(void **state)
{
	struct msp_batch_question q[MSP_BATCH_MAX];
	struct msp_batch_params p;
	struct msp_buf text;
	struct rig r;
	uint8_t m[512];

	(void)state;
	msp_buf_init(&text, 512);
	for (int i = 0; i < 127; i++)
		msp_buf_add_str(&text, "x.");
	rig_open(&r);
	p = params(&r, q, 1);
	for (size_t i = 0; i < MSP_BATCH_MAX; i++)
		q[i] = (struct msp_batch_question){ t_name(msp_buf_text(&text)), MSP_TYPE_A, false };
	assert_int_equal(q[0].name.len, MSP_NAME_MAX);
	p.count = MSP_BATCH_MAX;
	start_with(&r, &p);
	expect_connection(&r);
	for (size_t i = 0; i < MSP_BATCH_MAX; i++)
		assert_int_equal(k_recv_message(&r.k, r.fd, m, sizeof(m)), MSP_HEADER_LEN + MSP_NAME_MAX + 4 + 11);
	msp_batch_cancel(&r.b);
	msp_buf_fini(&text);
	rig_close(&r);
}

static void no_more_batches_than_allowed_are_under_way(void **state)
{
	struct msp_batch **b = msp_alloc(MSP_BATCHES_MAX, sizeof(struct msp_batch *));
	struct msp_batch_question q[1];
	struct msp_batch_params p;
	struct rig r;

	(void)state;
	assert_non_null(b);
	rig_open(&r);
	p = params(&r, q, 1);
	p.source = k_addr("192.0.2.1", 0); /* fails at once, and is there until the loop says so: no sockets needed */
	for (size_t i = 0; i < MSP_BATCHES_MAX; i++)
		T_OK(msp_batch_start(r.k.loop, &p, on_batch, &r, &b[i]));
	T_ERR(msp_batch_start(r.k.loop, &p, on_batch, &r, &r.b), MSP_EBUSY);
	msp_batch_cancel(&b[0]);
	T_OK(msp_batch_start(r.k.loop, &p, on_batch, &r, &b[0]));
	for (size_t i = 0; i < MSP_BATCHES_MAX; i++)
		msp_batch_cancel(&b[i]);
	msp_free(b);
	rig_close(&r);
	assert_int_equal(r.calls, 0);
}

static void out_of_memory_is_told_and_nothing_is_left(void **state)
{
	struct rig r;

	(void)state;
	for (size_t nth = 1;; nth++) {
		struct msp_batch_question q[2];
		struct msp_batch_params p;
		enum msp_err err;
		bool failed;

		rig_open(&r);
		p = params(&r, q, 2);
		msp_mem_fail_at(nth);
		err = msp_batch_start(r.k.loop, &p, on_batch, &r, &r.b);
		failed = msp_mem_failed();
		msp_mem_fail_at(0);
		if (err == MSP_OK)
			msp_batch_cancel(&r.b);
		else
			T_ERR(err, MSP_ENOMEM);
		rig_close(&r);
		if (!failed)
			break;
		assert_true(nth < 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_questions_are_written_at_once_and_answered_in_order),
		cmocka_unit_test(answers_out_of_order_find_their_questions),
		cmocka_unit_test(ipv6_works_as_well),
		cmocka_unit_test(the_source_address_is_the_one_asked_for),
		cmocka_unit_test(a_second_look_waits_for_all_answers_before_it),
		cmocka_unit_test(second_looks_follow_one_another),
		cmocka_unit_test(segments_may_be_cut_and_merged_anywhere),
		cmocka_unit_test(an_error_rcode_without_question_is_an_answer),
		cmocka_unit_test(an_answer_that_fits_nothing_but_its_id_costs_that_question_only),
		cmocka_unit_test(what_belongs_to_no_question_ends_the_batch),
		cmocka_unit_test(an_answer_before_its_question_or_twice_ends_the_batch),
		cmocka_unit_test(a_server_that_closes_without_an_answer_has_not_answered),
		cmocka_unit_test(a_server_that_closes_after_each_answer_is_connected_to_again),
		cmocka_unit_test(the_second_connection_has_to_bring_an_answer_too),
		cmocka_unit_test(a_stream_that_ends_within_an_answer_has_not_answered),
		cmocka_unit_test(nobody_listening_is_a_network_error_told_from_the_loop),
		cmocka_unit_test(a_source_that_is_not_ours_is_a_network_error_told_from_the_loop),
		cmocka_unit_test(a_mute_server_is_a_timeout_for_what_it_has_not_answered),
		cmocka_unit_test(answers_over_the_limit_of_octets_end_the_batch),
		cmocka_unit_test(a_cancelled_batch_is_silent_whatever_its_state),
		cmocka_unit_test(cancelling_from_inside_the_callback_does_nothing),
		cmocka_unit_test(unsound_parameters_are_refused),
		cmocka_unit_test(the_most_questions_of_the_longest_names_fit),
		cmocka_unit_test(no_more_batches_than_allowed_are_under_way),
		cmocka_unit_test(out_of_memory_is_told_and_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
