/* SPDX-License-Identifier: BSD-2-Clause */
#include "beat.h"

#include "actions.h"
#include "hello.h"
#include "message.h"
#include "peer.h"
#include "pull.h"

#define HELLO_PACE_MS  125
#define HELLO_BURST_MS (10 * HELLO_PACE_MS)
#define NO_MEMORY_MS   1000 /* then try again */

static void send_operation(struct msa_core *c, struct msa_member *m, enum msa_pend_kind kind, uint8_t operation)
{
	struct msa_peer *p = m->peer;
	struct msp_span message;
	enum msp_err err;

	if (!msa_pend_start(c, &m->op, kind, m))
		return;
	err = msa_notify_build(c, m, operation, &message);
	if (err != MSP_OK) {
		msa_core_note(c, err);
		msa_pend_stop(c, &m->op);
		return;
	}
	msa_act_send(c, &m->op, &p->addr[p->addr_best % p->addr_count], false, message);
}

static void drop_overdue(struct msa_core *c, struct msa_member *m)
{
	if (m->op.id != 0 && c->now.ms - m->op.since.ms > MSA_OVERDUE_MS)
		msa_pend_stop(c, &m->op);
	for (size_t i = 0; i < MSA_PULLS; i++)
		if (m->pull[i].id != 0 && c->now.ms - m->pull[i].since.ms > MSA_OVERDUE_MS)
			msa_pend_stop(c, &m->pull[i]);
}

/**
 * HELLOs to one peer are spread: it takes 10 a second from a source, 20 in a burst (D.4 step 2), and after a start
 * there is one to send for every zone that is shared.
 */
static void hello(struct msa_core *c, struct msa_member *m)
{
	struct msp_mono *slot = &m->peer->hello_slot;
	bool had_slot = m->has_hello_slot;

	if (slot->ms < c->now.ms)
		*slot = c->now;
	if (!had_slot && slot->ms - c->now.ms > HELLO_BURST_MS) {
		m->hello_next = msp_mono_add_ms(*slot, -HELLO_BURST_MS);
		m->has_hello_slot = true;
		*slot = msp_mono_add_ms(*slot, HELLO_PACE_MS);
		return;
	}
	m->has_hello_slot = false;
	msa_hello_send(c, m);
	if (!had_slot && m->op.id != 0)
		*slot = msp_mono_add_ms(*slot, HELLO_PACE_MS);
}

void msa_member_look(struct msa_core *c, struct msa_member *m)
{
	bool is_greeted = m->state != MSA_MEMBER_UNSEEN;
	struct msp_mono next = MSP_MONO_NEVER;

	drop_overdue(c, m);
	if (!msa_member_is_active(m)) {
		msa_timer_set(&c->heap, &m->timer, MSP_MONO_NEVER); /* whatever makes it active touches it */
		return;
	}
	if (m->op.id == 0) {
		if (!m->hello_done && msp_mono_reached(c->now, m->hello_next)) {
			hello(c, m);
		} else if (is_greeted && m->told_version != m->zone->own.version &&
			   msp_mono_reached(c->now, m->data_next)) {
			/* Once: a heartbeat repairs what is lost (D.6). */
			m->told_version = m->zone->own.version;
			send_operation(c, m, MSA_PEND_DATA, c->numbers.op_data);
		} else if (is_greeted && msp_mono_reached(c->now, m->beat_next)) {
			m->beat_next =
				msp_mono_add_ms(c->now, msp_rand_jitter(c->rand, (int64_t)c->heartbeat_s * 1000, 10));
			send_operation(c, m, MSA_PEND_BEAT, MSP_OP_HEARTBEAT);
		}
	}
	msa_pull_look(c, m);
	if (m->op.id != 0) {
		next = msp_mono_add_ms(m->op.since, MSA_OVERDUE_MS + 1);
	} else {
		if (!m->hello_done)
			next = m->hello_next;
		if (is_greeted)
			next = msp_mono_min(next, m->beat_next);
		if (is_greeted && m->told_version != m->zone->own.version)
			next = msp_mono_min(next, m->data_next);
	}
	next = msp_mono_min(next, msa_pull_next(m));
	if (next.ms <= c->now.ms)
		next = msp_mono_add_ms(c->now, c->err == MSP_OK ? 1 : NO_MEMORY_MS);
	msa_timer_set(&c->heap, &m->timer, next);
}

static void beat_answer(struct msa_core *c, struct msa_member *m, enum msa_pend_kind kind, enum msp_err err,
			const struct msp_msg *msg)
{
	struct msa_peer *p = m->peer;
	struct msp_msopt ms;
	char text[MSA_TEXT_MAX];

	if (err != MSP_OK) {
		if (p->addr_count > 1)
			p->addr_best = (p->addr_best + 1) % p->addr_count;
		return;
	}
	if (msg->rcode == MSP_RCODE_NOERROR) {
		if (kind == MSA_PEND_BEAT) {
			p->beat_out = c->now;
			p->has_beat_out = true;
			msa_core_touch_peer(c, p);
		}
		if (msa_option_get(c, msg, &ms) == MSP_OK)
			msa_learn(c, m, &ms);
		return;
	}
	msa_answer_text(c, msg, text);
	msp_log(c->log, MSP_LOG_INFO, kind == MSA_PEND_BEAT ? "heartbeat-refused" : "data-refused",
		MSP_F_STR("zone", MSP_NAME(&m->zone->name)), MSP_F_STR("peer", MSP_NAME(&p->identity)),
		MSP_F_STR("answer", text));
	if (msg->rcode == MSP_RCODE_REFUSED)
		msa_member_raise(c, m, MSA_MEV_REFUSED); /* it does not know us (any more): HELLO */
}

void msa_member_answer(struct msa_core *c, struct msa_pend *pend, enum msp_err err, struct msp_span octets)
{
	struct msa_member *m = pend->owner;
	enum msa_pend_kind kind = pend->kind;
	struct msp_authmsg *auth = NULL;
	struct msp_msg msg = { 0 };
	uint16_t type = pend->type;

	if (err == MSP_OK)
		err = msa_answer_verify(c, m->peer, pend, octets, &msg, &auth);
	if (err == MSP_OK && msg.opcode != (kind == MSA_PEND_PULL ? MSP_OPCODE_QUERY : MSP_OPCODE_NOTIFY))
		err = MSP_EMISMATCH;
	if (err == MSP_ENOMEM || err == MSP_ECRYPTO)
		msa_core_note(c, err);
	msa_pend_stop(c, pend);
	switch (kind) {
	case MSA_PEND_HELLO:
		msa_hello_answer(c, m, err, &msg);
		break;
	case MSA_PEND_PULL:
		msa_pull_answer(c, m, type, err, &msg);
		break;
	default:
		beat_answer(c, m, kind, err, &msg);
		break;
	}
	msp_authmsg_free(&auth);
	msa_core_touch_member(c, m);
}
