/* SPDX-License-Identifier: BSD-2-Clause */
#include "request.h"

#include <string.h>

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>

#include "actions.h"
#include "discover.h"
#include "hello.h"
#include "message.h"
#include "peer.h"

#define UDP_MIN 512

/* ---- answers kept
 * ---------------------------------------------------------------------------------------------------- */

struct msa_answered {
	uint8_t digest[32]; /* of source and octets */
	struct msp_mono at;
	uint8_t *response; /* owned; NULL = free slot */
	size_t len;
};

enum msp_err msa_answered_new(struct msa_core *c)
{
	msp_map_init(&c->answered_by, MSA_ANSWERED_MAX);
	c->answered = msp_alloc(MSA_ANSWERED_MAX, sizeof(*c->answered));
	return c->answered == NULL ? MSP_ENOMEM : MSP_OK;
}

void msa_answered_free(struct msa_core *c)
{
	for (size_t i = 0; c->answered != NULL && i < MSA_ANSWERED_MAX; i++)
		msp_free(c->answered[i].response);
	msp_free(c->answered);
	msp_map_fini(&c->answered_by, NULL);
}

static enum msp_err answered_digest(const struct msa_request *r, uint8_t out[32])
{
	uint8_t head[20] = { 0 };
	struct msp_span part[2];

	head[0] = (uint8_t)r->from.family;
	head[1] = r->is_tcp;
	head[2] = (uint8_t)(r->from.port >> 8);
	head[3] = (uint8_t)r->from.port;
	memcpy(head + 4, r->from.oct, sizeof(r->from.oct));
	part[0] = msp_span(head, sizeof(head));
	part[1] = r->raw;
	return msp_sha256(part, 2, out);
}

/** The same octets from the same source within 30 s: a retransmission of something that was verified and done (C.5). */
static bool answered_again(struct msa_core *c, const struct msa_request *r)
{
	uint8_t digest[32];
	struct msa_answered *a;

	if (answered_digest(r, digest) != MSP_OK)
		return false;
	a = msp_map_get(&c->answered_by, msp_span(digest, sizeof(digest)));
	if (a == NULL || c->now.ms - a->at.ms > MSA_ANSWERED_MS)
		return false;
	msa_act_reply(c, r->id, msp_span(a->response, a->len));
	return true;
}

static void answered_keep(struct msa_core *c, const struct msa_request *r, struct msp_span response)
{
	struct msa_answered *a = &c->answered[c->answered_at];
	uint8_t *copy;

	c->answered_at = (c->answered_at + 1) % MSA_ANSWERED_MAX;
	if (a->response != NULL) {
		msp_map_del(&c->answered_by, msp_span(a->digest, sizeof(a->digest)));
		msp_free(a->response);
		a->response = NULL;
	}
	copy = msp_memdup(response.ptr, response.len);
	if (copy == NULL || answered_digest(r, a->digest) != MSP_OK ||
	    msp_map_put(&c->answered_by, msp_span(a->digest, sizeof(a->digest)), a, NULL) != MSP_OK) {
		msp_free(copy); /* a retransmission will be refused as a replay: costs the peer a retry */
		return;
	}
	a->response = copy;
	a->len = response.len;
	a->at = c->now;
}

/* ---- the answer
 * ------------------------------------------------------------------------------------------------------ */

void msa_refuse(const struct msa_core *c, struct msa_request *r, unsigned rcode, enum msp_ede_own ede)
{
	r->rcode = rcode;
	r->ede = msp_ede_code(&c->numbers, ede);
	r->ede_text = msp_ede_text(ede);
}

static void refuse_std(struct msa_request *r, unsigned rcode, enum msp_ede_std ede, const char *text)
{
	r->rcode = rcode;
	r->ede = (uint16_t)ede;
	r->ede_text = text;
}

static void write_opt(struct msa_core *c, struct msa_request *r, struct msp_msgw *w)
{
	struct msp_optw o;

	if (!r->msg.edns.present)
		return; /* no OPT in the request, none in the answer */
	o = msp_optw_open(w, MSP_EDNS_PAYLOAD, r->rcode, false);
	if (r->has_answer_option) {
		msp_optw_msopt(&o, &c->numbers, &r->answer_option);
	} else if (r->has_option) {
		struct msp_msopt ms = { .operation = r->option.operation };

		msa_fill_common(c, &ms);
		msp_optw_msopt(&o, &c->numbers, &ms);
	}
	if (r->ede_text != NULL)
		msp_optw_ede(&o, r->ede, r->ede_text);
	msp_optw_close(&o);
}

/** The unsigned answer in the core's buffer. */
static enum msp_err write_answer(struct msa_core *c, struct msa_request *r, bool is_truncated, size_t *len)
{
	struct msp_msgw w;
	struct msp_span out;
	unsigned rcode = r->rcode > 15 && !r->msg.edns.present ? MSP_RCODE_NOTAUTH : r->rcode;
	enum msp_err err;

	msp_msgw_respond(&w, c->message, MSP_MSG_MAX, &r->msg, rcode & 15,
			 (uint16_t)(MSP_FLAG_AA | (is_truncated ? MSP_FLAG_TC : 0)));
	for (size_t i = 0; r->answer != NULL && !is_truncated && i < r->answer->count; i++) {
		struct msp_rr rr = { .owner = r->msg.question.name,
				     .type = r->answer->type,
				     .cls = MSP_CLASS_IN,
				     .ttl = r->answer->ttl,
				     .rdata = r->answer->rdata[i] };

		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
	}
	if (!is_truncated)
		write_opt(c, r, &w);
	err = msp_msgw_finish(&w, &out);
	*len = err == MSP_OK ? out.len : 0;
	return err;
}

static void answer(struct msa_core *c, struct msa_request *r)
{
	size_t len, limit = MSP_MSG_MAX;
	bool is_signed = r->auth != NULL || (!r->is_plain && msp_bucket_take(c->sign_budget, &r->from, c->now));
	enum msp_err err = write_answer(c, r, false, &len);

	if (!r->is_tcp) {
		limit = r->msg.edns.present ? r->msg.edns.payload : UDP_MIN;
		limit = limit > MSP_EDNS_PAYLOAD ? MSP_EDNS_PAYLOAD : limit;
	}
	if (err == MSP_OK && is_signed)
		err = msp_sig0_sign(c->key, c->wall, r->raw, c->message, &len, MSP_MSG_MAX);
	if (err == MSP_ENOSPACE || (err == MSP_OK && len > limit)) {
		/* Header, question and SIG only (RFC 2931 3). */
		err = write_answer(c, r, true, &len);
		if (err == MSP_OK && is_signed)
			err = msp_sig0_sign(c->key, c->wall, r->raw, c->message, &len, MSP_MSG_MAX);
	}
	if (err != MSP_OK) {
		msa_core_note(c, err == MSP_ENOMEM || err == MSP_ECRYPTO ? err : MSP_OK);
		msa_act_reply(c, r->id, msp_span(NULL, 0));
		return;
	}
	if (r->auth != NULL)
		answered_keep(c, r, msp_span(c->message, len));
	msa_act_reply(c, r->id, msp_span(c->message, len));
}

static void log_refusal(struct msa_core *c, const struct msa_request *r)
{
	c->count.refused++;
	if (!msp_bucket_take(c->log_budget, &r->from, c->now))
		return;
	msp_log(c->log, MSP_LOG_INFO, "request-refused", MSP_F_STR("from", MSP_ADDR(&r->from)),
		MSP_F_STR("operation", r->has_option ? msp_op_name(&c->numbers, r->option.operation) : "-"),
		MSP_F_STR("name", msp_name_is_set(&r->msg.question.name) ? MSP_NAME(&r->msg.question.name) : "-"),
		MSP_F_STR("rcode", msp_rcode_name(r->rcode)),
		MSP_F_STR("rule", r->ede_text == NULL ? "-" : r->ede_text));
}

/* ---- verification
 * ---------------------------------------------------------------------------------------------------- */

struct msa_member *msa_request_signer(struct msa_zone *z, const struct msp_msg *msg)
{
	struct msp_sig0_claim claim;

	if (msp_sig0_claim(msg, &claim) != MSP_OK)
		return NULL;
	for (size_t i = 0; i < z->member_count; i++) {
		struct msa_member *m = z->member[i];

		if (m->is_listed && m->peer->is_located && msp_name_equal(&m->peer->host, &claim.sig.signer))
			return m;
	}
	return NULL;
}

static void refuse_err(struct msa_core *c, struct msa_request *r, enum msp_err err)
{
	enum msp_ede_own ede = MSP_EDE_SIG0_BAD_SIGNATURE;
	unsigned rcode = MSP_RCODE_NOTAUTH;

	msp_trust_refusal(err, r->msg.edns.present, &rcode, &ede);
	if (ede != 0)
		msa_refuse(c, r, rcode, ede);
	else
		refuse_std(r, rcode, MSP_EDE_OTHER, msp_err_text(err));
}

bool msa_request_verify(struct msa_core *c, struct msa_request *r, struct msa_member *m)
{
	struct msp_trust trust = { .ring = c->ring, .replay = c->replay, .policy = &msp_sig0_policy_default };
	struct msa_peer *p = m->peer;
	struct msp_sig0_claim claim;
	struct msp_why why = { "" };
	enum msp_err err = msp_sig0_claim(&r->msg, &claim);

	if (!msp_bucket_peek(c->failure_budget, &r->from, c->now)) {
		refuse_std(r, MSP_RCODE_REFUSED, MSP_EDE_BLOCKED, "too many failed verifications");
		r->is_plain = true;
		return false;
	}
	/* The identity is bound to the discovered HOST: who signs as somebody else is somebody else, whatever the body
	 * says. */
	if (err == MSP_OK && !msp_name_equal(&claim.sig.signer, &p->host))
		err = MSP_ENOKEY;
	if (err == MSP_OK)
		err = msp_trust_request(&trust, &r->msg, c->wall, &r->auth, &why);
	if (err == MSP_OK)
		return true;
	if (err == MSP_ENOMEM || err == MSP_ECRYPTO) {
		msa_core_note(c, err);
		refuse_std(r, MSP_RCODE_SERVFAIL, MSP_EDE_OTHER, msp_err_text(err));
		return false;
	}
	if (!msp_bucket_take(c->failure_budget, &r->from, c->now))
		r->is_plain = true;
	refuse_err(c, r, err);
	if ((err == MSP_ESIG || err == MSP_ENOKEY) && p->link == MSA_LINK_OPERATIONAL)
		msa_discover_force(c, p);
	return false;
}

/* ---- operations
 * ------------------------------------------------------------------------------------------------------ */

static bool operation_known(const struct msa_core *c, uint8_t op)
{
	return op == MSP_OP_HELLO || op == MSP_OP_HEARTBEAT || op == c->numbers.op_data || op == c->numbers.op_ping ||
	       op == c->numbers.op_bye;
}

/** D.4 step 4: TLV 1, else the HOST that signed. */
static struct msa_member *claimed_member(struct msa_zone *z, const struct msa_request *r)
{
	struct msa_member *m;

	if (!r->option.has[MSP_TLV_IDENTITY])
		return msa_request_signer(z, &r->msg);
	m = msa_member_find(z, &r->option.identity);
	return m != NULL && m->is_listed ? m : NULL;
}

/** C.5: TLV 4 must grow. One message per zone and peer is on its way at a time, so the pair is kept per zone and peer.
 */
static bool is_fresh(struct msa_core *c, struct msa_request *r, struct msa_member *m)
{
	const struct msp_msopt *ms = &r->option;

	if (!ms->has[MSP_TLV_INSTANCE]) {
		if (m->epoch == 0)
			return true; /* a plain peer: the replay memory is what there is */
	} else if (ms->epoch > m->epoch || (ms->epoch == m->epoch && ms->sequence > m->sequence)) {
		m->epoch = ms->epoch;
		m->sequence = ms->sequence;
		return true;
	}
	msa_refuse(c, r, MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_REPLAY);
	return false;
}

static void accept_answer(struct msa_core *c, struct msa_request *r, struct msa_zone *z)
{
	r->rcode = MSP_RCODE_NOERROR;
	r->has_answer_option = true;
	r->answer_option = (struct msp_msopt){ .operation = r->option.operation };
	msa_fill_common(c, &r->answer_option);
	msa_fill_zone(c, z, r->option.operation, &r->answer_option);
}

/**
 * Each HELLO done is a write to the store. A listed peer can sign as many as it likes and send them from as many
 * sources, so the budget that holds for a source (D.4 step 2) holds for an identity, too.
 */
static bool has_hello_left(const struct msa_core *c, struct msa_peer *p)
{
	int64_t refill = (c->now.ms - p->hello_at.ms) * MSA_HELLO_PER_S / 1000;

	if (refill >= MSA_HELLO_BURST - p->hello_left) {
		p->hello_left = MSA_HELLO_BURST;
		p->hello_at = c->now;
	} else if (refill > 0) {
		p->hello_left += refill;
		p->hello_at = msp_mono_add_ms(p->hello_at, refill * 1000 / MSA_HELLO_PER_S);
	}
	if (p->hello_left == 0)
		return false;
	p->hello_left--;
	return true;
}

static void perform(struct msa_core *c, struct msa_request *r, struct msa_zone *z, struct msa_member *m)
{
	const struct msp_msopt *ms = &r->option;
	struct msa_peer *p = m->peer;

	if (ms->operation == MSP_OP_HELLO) {
		if (!has_hello_left(c, p)) {
			refuse_std(r, MSP_RCODE_REFUSED, MSP_EDE_BLOCKED, "too many HELLOs");
			return;
		}
		msa_hello_received(c, m, ms);
		msa_store_member(c, m);
		accept_answer(c, r, z);
		if (ms->has[MSP_TLV_GROUP] && !msa_same_digest(ms->group, z->group.digest)) {
			r->ede = msp_ede_code(&c->numbers, MSP_EDE_MSA_GROUP_MISMATCH);
			r->ede_text = msp_ede_text(MSP_EDE_MSA_GROUP_MISMATCH);
		}
		return;
	}
	if (ms->operation == c->numbers.op_ping) {
		accept_answer(c, r, z);
		return;
	}
	if (ms->operation == c->numbers.op_bye) {
		uint32_t quiet_s =
			ms->has[MSP_TLV_INTERVAL] && ms->interval_s < 86400 ? ms->interval_s : 10 * c->heartbeat_s;

		if (!(c->now.ms < p->bye_until.ms)) /* said once: a peer that goes on saying it fills no log */
			msp_log(c->log, MSP_LOG_NOTICE, "peer-bye", MSP_F_STR("peer", MSP_NAME(&p->identity)),
				MSP_F_U64("quiet_s", quiet_s));
		p->bye_until = msp_mono_add_ms(c->now, (int64_t)quiet_s * 1000);
		accept_answer(c, r, z);
		return;
	}
	if (m->state == MSA_MEMBER_UNSEEN) { /* not greeted for this zone: back to HELLO (D.6) */
		msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_MSA_NOT_READY);
		return;
	}
	if (ms->operation == MSP_OP_HEARTBEAT) {
		p->beat_in = c->now;
		p->has_beat_in = true;
		msa_core_touch_peer(c, p);
	}
	msa_learn(c, m, ms);
	accept_answer(c, r, z);
}

static void operation(struct msa_core *c, struct msa_request *r)
{
	struct msa_zone *z = msa_core_find_zone(c, &r->msg.question.name);
	struct msa_member *m;

	if (z == NULL || !z->has_view || !z->group.has_hsync || z->is_frozen || z->group.self == z->group.count ||
	    !z->has_own) {
		msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_MSA_ZONE_UNKNOWN);
		return;
	}
	m = claimed_member(z, r);
	if (m == NULL) {
		if (!r->option.has[MSP_TLV_IDENTITY] && r->msg.sig0_at == 0)
			msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_SIG0_REQUIRED);
		else
			msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_MSA_NOT_DESIGNATED);
		return;
	}
	if (!m->peer->is_located) {
		msa_discover_hurry(c, m->peer); /* HSYNC names it, so it is looked up anyway; now rather than later */
		msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_MSA_NOT_READY);
		return;
	}
	if (!msa_request_verify(c, r, m) || !is_fresh(c, r, m))
		return;
	if (r->option.has[MSP_TLV_PEER_IDENTITY] && !msp_name_equal(&r->option.peer_identity, &c->identity)) {
		msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_MSA_STATE_CONFLICT);
		r->ede_text = "PEER-IDENTITY is not this agent";
		return;
	}
	perform(c, r, z, m);
}

static void notify(struct msa_core *c, struct msa_request *r)
{
	struct msp_option o;
	enum msp_err err;

	if (r->msg.question.type != MSP_TYPE_SOA) {
		refuse_std(r, MSP_RCODE_FORMERR, MSP_EDE_INVALID_DATA, "QTYPE is not SOA");
		return;
	}
	if (!r->msg.edns.present || !msp_edns_find(&r->msg.edns, c->numbers.opt_multisigner, &o)) {
		refuse_std(r, MSP_RCODE_REFUSED, MSP_EDE_NOT_SUPPORTED, "only NOTIFY with the Multi-Signer option");
		return;
	}
	if (msp_edns_count(&r->msg.edns, c->numbers.opt_multisigner) != 1) {
		refuse_std(r, MSP_RCODE_FORMERR, MSP_EDE_INVALID_DATA, "Multi-Signer option repeated");
		return;
	}
	err = msp_msopt_parse(o.data, &r->option);
	r->has_option = o.data.len >= 3 && r->option.operation != 0;
	if (err != MSP_OK) {
		refuse_std(r, MSP_RCODE_FORMERR, MSP_EDE_INVALID_DATA, msp_err_text(err));
		return;
	}
	if (!operation_known(c, r->option.operation)) {
		msa_refuse(c, r, MSP_RCODE_NOTIMP, MSP_EDE_MSA_UNKNOWN_OPERATION);
		return;
	}
	if (r->option.operation == MSP_OP_HELLO && !msp_bucket_take(c->hello_budget, &r->from, c->now)) {
		refuse_std(r, MSP_RCODE_REFUSED, MSP_EDE_BLOCKED, "too many HELLOs");
		r->is_plain = true;
		return;
	}
	operation(c, r);
}

static void dispatch(struct msa_core *c, struct msa_request *r)
{
	if (r->msg.edns.present && r->msg.edns.version != 0) {
		r->rcode = MSP_RCODE_BADVERS;
		r->is_plain = true;
		return;
	}
	if (r->msg.opcode != MSP_OPCODE_NOTIFY && r->msg.opcode != MSP_OPCODE_QUERY) {
		refuse_std(r, MSP_RCODE_NOTIMP, MSP_EDE_NOT_SUPPORTED, "only NOTIFY and QUERY");
		return;
	}
	if (r->msg.count[MSP_SEC_QUESTION] != 1 || r->msg.question.cls != MSP_CLASS_IN ||
	    r->msg.count[MSP_SEC_ANSWER] != 0) {
		refuse_std(r, MSP_RCODE_FORMERR, MSP_EDE_INVALID_DATA, "one question of class IN, nothing else");
		return;
	}
	if (r->msg.opcode == MSP_OPCODE_NOTIFY)
		notify(c, r);
	else
		msa_ident_query(c, r);
}

void msa_request(struct msa_core *c, uint64_t id, const struct msp_addr *from, bool is_tcp, struct msp_span octets)
{
	struct msa_request *r = msp_alloc(1, sizeof(*r));
	struct msp_why why;
	enum msp_err err;

	c->count.requests++;
	if (r == NULL) {
		msa_core_note(c, MSP_ENOMEM);
		msa_act_reply(c, id, msp_span(NULL, 0));
		return;
	}
	r->id = id;
	r->from = *from;
	r->is_tcp = is_tcp;
	r->raw = octets;
	if (octets.len < MSP_HEADER_LEN) {
		msa_act_reply(c, id, msp_span(NULL, 0));
		goto out;
	}
	err = msp_msg_parse(octets, c->scratch, &r->msg, &why);
	if ((r->msg.flags & MSP_FLAG_QR) != 0) { /* an answer nobody waits for: never answered */
		msa_act_reply(c, id, msp_span(NULL, 0));
		goto out;
	}
	if (err != MSP_OK) {
		r->rcode = MSP_RCODE_FORMERR;
		r->is_plain = true;
		r->msg.edns.present = false; /* nothing of it is to be relied on */
	} else if (answered_again(c, r)) {
		goto out;
	} else {
		dispatch(c, r);
	}
	if (r->rcode != MSP_RCODE_NOERROR)
		log_refusal(c, r);
	answer(c, r);
out:
	msp_authmsg_free(&r->auth);
	msp_free(r);
}
