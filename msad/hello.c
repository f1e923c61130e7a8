/* SPDX-License-Identifier: BSD-2-Clause */
#include "hello.h"

#include <stdio.h>
#include <string.h>

#include "actions.h"
#include "discover.h"
#include "message.h"
#include "peer.h"

#define FIRST_BEAT_MS  1000
#define INTERVAL_MAX_S 1800 /* PROTOCOL K */

void msa_hello_send(struct msa_core *c, struct msa_member *m)
{
	struct msa_peer *p = m->peer;
	struct msp_span message;
	enum msp_err err;

	if (!msa_pend_start(c, &m->op, MSA_PEND_HELLO, m))
		return;
	err = msa_notify_build(c, m, MSP_OP_HELLO, &message);
	if (err != MSP_OK) {
		msa_core_note(c, err);
		msa_pend_stop(c, &m->op);
		return;
	}
	msa_act_send(c, &m->op, &p->addr[(p->addr_best + m->hello_tries) % p->addr_count], false, message);
}

void msa_learn(struct msa_core *c, struct msa_member *m, const struct msp_msopt *ms)
{
	struct msa_peer *p = m->peer;

	p->transports = ms->transports;
	p->syncs = ms->syncs;
	if (ms->has[MSP_TLV_INTERVAL] && ms->interval_s > 0)
		p->interval_s = ms->interval_s > INTERVAL_MAX_S ? INTERVAL_MAX_S : ms->interval_s;
	if (ms->has[MSP_TLV_CAPS])
		p->caps = ms->caps;
	if (ms->has[MSP_TLV_OWNER_SERIAL])
		m->owner_serial = ms->owner_serial;
	if (ms->has[MSP_TLV_DATA_VERSION] && ms->has[MSP_TLV_DATA_DIGEST]) {
		bool is_news = !m->has_announced || !msa_same_digest(m->announced, ms->data_digest);

		m->has_announced = true;
		m->announced_version = ms->data_version;
		memcpy(m->announced, ms->data_digest, sizeof(m->announced));
		if (is_news) {
			m->pull_next = c->now;
			m->pull_backoff_s = 0;
		}
	}
	if (ms->has[MSP_TLV_GROUP])
		msa_member_group(c, m, ms->group);
	msa_core_touch_member(c, m);
}

static void beat_soon(struct msa_core *c, struct msa_member *m)
{
	int64_t within = (int64_t)c->heartbeat_s * 500;

	if (within > 2 * FIRST_BEAT_MS)
		within = 2 * FIRST_BEAT_MS;
	m->beat_next = msp_mono_add_ms(c->now, (int64_t)msp_rand_below(c->rand, (uint64_t)within));
}

void msa_hello_received(struct msa_core *c, struct msa_member *m, const struct msp_msopt *ms)
{
	bool was_unseen = m->state == MSA_MEMBER_UNSEEN;

	msa_member_raise(c, m, MSA_MEV_IN);
	msa_link_raise(c, m->peer, MSA_LEV_GREETED);
	msa_learn(c, m, ms);
	if (was_unseen)
		beat_soon(c, m);
	/* Step 9: it is there now. Our own HELLO need not wait for its back-off, nor for one on its way to an old
	 * address. */
	if (!m->hello_done && m->op.kind != MSA_PEND_HELLO)
		msa_member_greet(c, m);
}

static void again_after(struct msa_core *c, struct msa_member *m, int64_t ms)
{
	m->hello_next = msp_mono_add_ms(c->now, ms);
}

/** No believable answer: next address, then another URI target, then back-off. */
static void no_answer(struct msa_core *c, struct msa_member *m, enum msp_err err)
{
	snprintf(m->hello_why, sizeof(m->hello_why), "%s", msp_err_text(err));
	m->hello_tries++;
	if (m->hello_tries < m->peer->addr_count) {
		again_after(c, m, 0);
		return;
	}
	m->hello_tries = 0;
	msa_discover_rotate(c, m->peer);
	again_after(c, m, msa_core_backoff_ms(c, &m->hello_backoff_s, c->hello_retry_s, c->hello_retry_max_s));
}

static void accepted(struct msa_core *c, struct msa_member *m, const struct msp_msg *msg)
{
	struct msa_peer *p = m->peer;
	struct msp_msopt ms;

	if (msa_option_get(c, msg, &ms) != MSP_OK || ms.operation != MSP_OP_HELLO) {
		snprintf(m->hello_why, sizeof(m->hello_why), "NOERROR without the Multi-Signer option");
		msa_link_raise(c, p, MSA_LEV_DEAF);
		again_after(c, m, MSA_DEAF_MS);
		return;
	}
	if (ms.has[MSP_TLV_IDENTITY] && !msp_name_equal(&ms.identity, &p->identity)) {
		snprintf(m->hello_why, sizeof(m->hello_why), "answers as %.150s", MSP_NAME(&ms.identity));
		again_after(c, m, msa_core_backoff_ms(c, &m->hello_backoff_s, c->hello_retry_s, c->hello_retry_max_s));
		return;
	}
	m->hello_done = true;
	m->hello_why[0] = '\0';
	m->hello_backoff_s = 0;
	p->addr_best = (p->addr_best + m->hello_tries) % (p->addr_count == 0 ? 1 : p->addr_count);
	m->hello_tries = 0;
	msa_member_raise(c, m, MSA_MEV_OUT);
	msa_link_raise(c, p, MSA_LEV_GREETED);
	msa_learn(c, m, &ms);
	beat_soon(c, m);
}

void msa_hello_answer(struct msa_core *c, struct msa_member *m, enum msp_err err, const struct msp_msg *msg)
{
	if (err != MSP_OK) {
		no_answer(c, m, err);
		return;
	}
	if (msg->rcode != MSP_RCODE_NOERROR) {
		msa_answer_text(c, msg, m->hello_why);
		msp_log(c->log, MSP_LOG_INFO, "hello-refused", MSP_F_STR("zone", MSP_NAME(&m->zone->name)),
			MSP_F_STR("peer", MSP_NAME(&m->peer->identity)), MSP_F_STR("answer", m->hello_why));
	}
	m->hello_tries = msg->rcode == MSP_RCODE_NOERROR ? m->hello_tries : 0;
	switch (msg->rcode) {
	case MSP_RCODE_NOERROR:
		accepted(c, m, msg);
		return;
	case MSP_RCODE_FORMERR:
	case MSP_RCODE_NOTIMP:
		msa_link_raise(c, m->peer, MSA_LEV_DEAF);
		again_after(c, m, MSA_DEAF_MS);
		return;
	case MSP_RCODE_NOTAUTH:
	case MSP_RCODE_BADKEY:
	case MSP_RCODE_BADTIME:
		msa_discover_force(c, m->peer);
		again_after(c, m, msp_rand_jitter(c->rand, (int64_t)c->hello_retry_s * 1000, 20));
		return;
	default:
		/* REFUSED: it will greet us when it is ready; this is only the safety net. */
		again_after(c, m, msa_core_backoff_ms(c, &m->hello_backoff_s, c->hello_retry_s, c->hello_retry_max_s));
		return;
	}
}
