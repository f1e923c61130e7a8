/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/io/batch.h>

#include <msproto/base/mem.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/msg.h>

#include "io/tcp.h"

#define TIMEOUT_MS    5000
#define OCTETS_MAX    (256u << 10)
#define QUESTION_ROOM (MSP_HEADER_LEN + MSP_NAME_MAX + 4 + 11) /* a question and an OPT without options */

struct item {
	struct msp_batch_question q;
	bool is_sent, is_over;
	enum msp_err err; /* when it is over */
	size_t at, len;   /* its answer in `got` */
};

struct msp_batch {
	struct msp_loop *loop;
	struct msp_addr server, source;
	msp_batch_fn *cb;
	void *arg; /* borrowed until the callback or cancel */
	struct msp_tcp *tcp;
	struct msp_tcp_frame frame;
	struct msp_timer *timer; /* owned */
	enum msp_err last;       /* what the timer's end means */
	struct msp_buf got;
	bool dnssec_ok, is_over, was_connected;
	uint16_t first_id; /* of item[0]; the others count on from there */
	size_t open;       /* items without an answer */
	size_t gained;     /* answers that this connection brought */
	size_t count;
	struct item item[];
};

/* --- the end --- */

static void release(struct msp_batch *b)
{
	msp_tcp_close(&b->tcp);
	msp_timer_close(&b->timer);
	b->loop->batch_count--;
}

static void batch_free(struct msp_batch *b)
{
	msp_tcp_frame_fini(&b->frame);
	msp_buf_fini(&b->got);
	msp_free(b);
}

/* What has not been answered gets `err`. */
static void finish(struct msp_batch *b, enum msp_err err)
{
	struct msp_batch_answer answer[MSP_BATCH_MAX];

	b->is_over = true;
	release(b);
	for (size_t i = 0; i < b->count; i++) {
		const struct item *it = &b->item[i];

		answer[i].err = it->is_over ? it->err : err;
		answer[i].was_connected = b->was_connected;
		answer[i].raw = answer[i].err == MSP_OK ? msp_span(b->got.ptr + it->at, it->len) : msp_span(NULL, 0);
	}
	b->cb(b->arg, answer, b->count);
	batch_free(b);
}

/* --- asking --- */

static void write_question(const struct msp_batch *b, size_t i, struct msp_buf *out)
{
	const struct msp_batch_question *q = &b->item[i].q;
	uint8_t *at = msp_buf_reserve(out, 2 + QUESTION_ROOM);
	struct msp_span octets;
	struct msp_msgw w;

	if (at == NULL)
		return;
	msp_msgw_init(&w, at + 2, QUESTION_ROOM, (uint16_t)(b->first_id + i), MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &q->name, q->type, MSP_CLASS_IN);
	if (b->dnssec_ok) {
		struct msp_optw o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, MSP_RCODE_NOERROR, true);

		msp_optw_close(&o);
	}
	if (msp_msgw_finish(&w, &octets) != MSP_OK) {
		out->err = MSP_ENOSPACE;
		return;
	}
	at[0] = (uint8_t)(octets.len >> 8);
	at[1] = (uint8_t)octets.len;
	msp_buf_claim(out, 2 + octets.len);
}

static void wrote(void *arg, enum msp_err err)
{
	struct msp_buf *out = arg;

	(void)err; /* a failure shows on the reading side, too */
	msp_buf_fini(out);
	msp_free(out);
}

/* One write for all that can be asked now. */
static enum msp_err ask(struct msp_batch *b)
{
	struct msp_buf *out = NULL; /* on its own: the write may outlive the batch */
	size_t answered = 0;
	struct msp_span part;
	enum msp_err err;

	for (size_t i = 0; i < b->count; i++) {
		struct item *it = &b->item[i];

		if (!it->is_sent && (!it->q.is_after || answered == i)) {
			if (out == NULL) {
				out = msp_alloc(1, sizeof(*out));
				if (out == NULL)
					return MSP_ENOMEM;
				msp_buf_init(out, MSP_BATCH_MAX * (2 + QUESTION_ROOM));
			}
			write_question(b, i, out);
			it->is_sent = true;
		}
		answered += it->is_over;
	}
	if (out == NULL)
		return MSP_OK;
	part = msp_buf_span(out);
	err = out->err;
	if (err == MSP_OK)
		err = msp_tcp_write(b->tcp, &part, 1, wrote, out);
	if (err != MSP_OK)
		wrote(out, err);
	return err;
}

static void on_connected(void *arg, enum msp_err err)
{
	struct msp_batch *b = arg;

	b->was_connected |= err == MSP_OK;
	if (err == MSP_OK)
		err = ask(b);
	if (err != MSP_OK)
		finish(b, err);
	else
		msp_tcp_read(b->tcp, true);
}

/* --- listening --- */

/* By its id an answer belongs to one question; if nothing else of it fits, that question is answered with nonsense. */
static enum msp_err check(const struct item *it, const struct msp_msg *m, enum msp_err err)
{
	struct msp_msg asked = { .id = m->id, .opcode = MSP_OPCODE_QUERY };

	asked.count[MSP_SEC_QUESTION] = 1;
	asked.question = (struct msp_question){ it->q.name, it->q.type, MSP_CLASS_IN };
	return err == MSP_OK && msp_msg_answers(m, &asked) ? MSP_OK : MSP_EFORMAT;
}

/* What belongs to no open question ends the batch: on a stream of its own a server has no excuse for it. */
static enum msp_err take(struct msp_batch *b, struct msp_span octets)
{
	struct msp_msg m = { .id = 0 };
	enum msp_err err = msp_msg_frame(octets, &b->loop->scratch, &m, NULL);
	size_t i = (uint16_t)(m.id - b->first_id);
	struct item *it;

	if (octets.len < MSP_HEADER_LEN || i >= b->count || !b->item[i].is_sent || b->item[i].is_over)
		return MSP_EFORMAT;
	it = &b->item[i];
	it->err = check(it, &m, err);
	if (it->err == MSP_OK) {
		it->at = b->got.len;
		it->len = octets.len;
		msp_buf_add_span(&b->got, octets);
	}
	if (b->got.err != MSP_OK)
		return b->got.err;
	it->is_over = true;
	b->open--;
	b->gained++;
	return MSP_OK;
}

static void on_octets(void *arg, const struct msp_tcp_in *in);

static enum msp_err connect_to(struct msp_batch *b)
{
	b->gained = 0;
	return msp_tcp_connect(b->loop, &b->server, &b->source, on_connected, on_octets, b, &b->tcp);
}

/*
 * RFC 7766 6.2.4: a server may close whenever it likes (some do after each answer); what it has not answered is asked
 * again. Each connection brings an answer or is the last, so there are at most as many as questions.
 */
static enum msp_err connect_again(struct msp_batch *b)
{
	msp_tcp_close(&b->tcp);
	msp_tcp_frame_fini(&b->frame);
	msp_tcp_frame_init(&b->frame);
	for (size_t i = 0; i < b->count; i++)
		b->item[i].is_sent = b->item[i].is_over;
	return connect_to(b);
}

static void on_octets(void *arg, const struct msp_tcp_in *in)
{
	struct msp_batch *b = arg;
	struct msp_span octets = in->octets, message;
	enum msp_err err = in->err;

	while (err == MSP_OK && b->open > 0) {
		err = msp_tcp_frame_next(&b->frame, &octets, &message);
		if (err == MSP_OK)
			err = take(b, message);
	}
	if (err == MSP_ETRUNC)
		err = ask(b); /* what waited for the answers that have come */
	else if (err == MSP_ECLOSED && b->gained > 0)
		err = connect_again(b);
	if (err != MSP_OK || b->open == 0)
		finish(b, err);
}

static void on_timer(void *arg)
{
	struct msp_batch *b = arg;

	finish(b, b->last);
}

/* --- starting --- */

static bool is_sound(const struct msp_batch_params *p)
{
	if (p->server.family == MSP_FAMILY_NONE || p->count == 0 || p->count > MSP_BATCH_MAX)
		return false;
	for (size_t i = 0; i < p->count; i++)
		if (!msp_name_is_set(&p->question[i].name))
			return false;
	return true;
}

enum msp_err msp_batch_start(struct msp_loop *loop, const struct msp_batch_params *p, msp_batch_fn *cb, void *arg,
			     struct msp_batch **out)
{
	struct msp_batch *b;
	enum msp_err err;

	if (!is_sound(p))
		return MSP_EVALUE;
	if (loop->batch_count >= MSP_BATCHES_MAX)
		return MSP_EBUSY;
	b = msp_alloc(1, sizeof(*b) + p->count * sizeof(b->item[0]));
	if (b == NULL)
		return MSP_ENOMEM;
	b->loop = loop;
	b->server = p->server;
	b->source = p->source;
	b->cb = cb;
	b->arg = arg;
	b->dnssec_ok = p->dnssec_ok;
	b->first_id = msp_rand_u16(&loop->rand);
	b->open = b->count = p->count;
	for (size_t i = 0; i < p->count; i++)
		b->item[i].q = p->question[i];
	msp_tcp_frame_init(&b->frame);
	msp_buf_init(&b->got, p->answer_octets_max != 0 ? p->answer_octets_max : OCTETS_MAX);
	err = msp_timer_new(loop, on_timer, b, &b->timer);
	if (err != MSP_OK) {
		batch_free(b);
		return err;
	}
	loop->batch_count++;
	b->last = connect_to(b);
	if (b->last == MSP_OK) {
		b->last = MSP_ETIMEOUT;
		msp_timer_start(b->timer, p->timeout_ms != 0 ? p->timeout_ms : TIMEOUT_MS);
	} else {
		msp_timer_start(b->timer, 0); /* failures too are told from the loop */
	}
	if (out != NULL)
		*out = b;
	return MSP_OK;
}

void msp_batch_cancel(struct msp_batch **b)
{
	struct msp_batch *old = *b;

	*b = NULL;
	if (old == NULL || old->is_over) /* over: called from inside the callback, which frees it */
		return;
	release(old);
	batch_free(old);
}
