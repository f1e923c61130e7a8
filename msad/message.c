/* SPDX-License-Identifier: BSD-2-Clause */
#include "message.h"

#include <stdio.h>
#include <string.h>

#include "discover.h"

#define PUBLICATION_S 900 /* P, PROTOCOL F.1 */

void msa_fill_common(const struct msa_core *c, struct msp_msopt *ms)
{
	ms->transports = MSP_TRANSPORT_DNS;
	ms->syncs = MSP_SYNC_LEADER | MSP_SYNC_PEER;
	ms->has[MSP_TLV_IDENTITY] = true;
	ms->identity = c->identity;
}

static void fill_timing(const struct msa_zone *z, struct msp_msopt *ms)
{
	ms->has[MSP_TLV_TIMING] = true;
	ms->timing = (struct msp_timing){ .dnskey_ttl = z->ttl_s,
					  .max_zone_ttl = z->max_ttl_s,
					  .ns_ttl = z->ns_ttl_s,
					  .publication = PUBLICATION_S };
}

void msa_fill_zone(const struct msa_core *c, const struct msa_zone *z, uint8_t operation, struct msp_msopt *ms)
{
	bool is_hello = operation == MSP_OP_HELLO, is_beat = operation == MSP_OP_HEARTBEAT;

	if (is_hello || is_beat) {
		ms->has[MSP_TLV_INTERVAL] = true;
		ms->interval_s = c->heartbeat_s;
	}
	if (z->group.has_hsync) {
		ms->has[MSP_TLV_GROUP] = true;
		memcpy(ms->group, z->group.digest, sizeof(ms->group));
	}
	if (is_beat && z->has_view) {
		ms->has[MSP_TLV_OWNER_SERIAL] = true;
		ms->owner_serial = z->serial;
	}
	if ((is_beat || operation == c->numbers.op_data) && z->has_own) {
		ms->has[MSP_TLV_DATA_VERSION] = ms->has[MSP_TLV_DATA_DIGEST] = true;
		ms->data_version = z->own.version;
		memcpy(ms->data_digest, z->own.digest, sizeof(ms->data_digest));
	}
	if (is_hello) {
		fill_timing(z, ms);
		ms->has[MSP_TLV_CAPS] = true;
		ms->caps = MSP_CAP_PULL | MSP_CAP_SHARE_KSK | (z->parent != NULL ? MSA_CAP_SHARE_KEY : 0);
	}
}

/** Finish and sign what `w` holds in the core's buffer. */
static enum msp_err sign(struct msa_core *c, struct msp_msgw *w, struct msp_span *out)
{
	struct msp_span plain;
	enum msp_err err = msp_msgw_finish(w, &plain);
	size_t len;

	if (err != MSP_OK)
		return err;
	len = plain.len;
	err = msp_sig0_sign(c->key, c->wall, msp_span(NULL, 0), c->message, &len, MSP_MSG_MAX);
	if (err == MSP_OK)
		*out = msp_span(c->message, len);
	return err;
}

enum msp_err msa_notify_build(struct msa_core *c, const struct msa_member *m, uint8_t operation, struct msp_span *out)
{
	struct msp_msopt ms = { .operation = operation };
	struct msp_msgw w;
	struct msp_optw o;

	msa_fill_common(c, &ms);
	msa_fill_zone(c, m->zone, operation, &ms);
	if (operation == MSP_OP_HELLO) {
		ms.has[MSP_TLV_PEER_IDENTITY] = true;
		ms.peer_identity = m->peer->identity;
	}
	ms.has[MSP_TLV_INSTANCE] = true;
	ms.epoch = c->epoch;
	ms.sequence = ++c->sequence;
	msp_msgw_init(&w, c->message, MSP_MSG_MAX, msp_rand_u16(c->rand), MSP_OPCODE_NOTIFY, MSP_FLAG_AA);
	msp_msgw_question(&w, &m->zone->name, MSP_TYPE_SOA, MSP_CLASS_IN);
	o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);
	msp_optw_msopt(&o, &c->numbers, &ms);
	msp_optw_close(&o);
	return sign(c, &w, out);
}

enum msp_err msa_contribution_name(const struct msp_name *zone, const struct msp_name *identity, struct msp_name *out)
{
	return msp_name_concat(zone, identity, out);
}

enum msp_err msa_query_build(struct msa_core *c, const struct msa_member *m, uint16_t type, struct msp_span *out)
{
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_name name;
	enum msp_err err = msa_contribution_name(&m->zone->name, &m->peer->identity, &name);

	if (err != MSP_OK)
		return err;
	msp_msgw_init(&w, c->message, MSP_MSG_MAX, msp_rand_u16(c->rand), MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &name, type, MSP_CLASS_IN);
	o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);
	msp_optw_close(&o);
	return sign(c, &w, out);
}

enum msp_err msa_answer_verify(struct msa_core *c, struct msa_peer *p, const struct msa_pend *pend,
			       struct msp_span octets, struct msp_msg *m, struct msp_authmsg **auth)
{
	struct msp_trust trust = { .ring = c->ring, .policy = &msp_sig0_policy_default };
	struct msp_why why = { "" };
	enum msp_err err;

	if (!p->is_located)
		return MSP_ENOKEY;
	err = msp_msg_parse(octets, c->scratch, m, &why);
	if (err == MSP_OK)
		err = msp_trust_response(&trust, m, msp_span(pend->request, pend->request_len), &p->host, c->wall, auth,
					 &why);
	if (err == MSP_OK && (m->flags & MSP_FLAG_QR) == 0) {
		msp_authmsg_free(auth);
		err = MSP_EMISMATCH;
	}
	if (err == MSP_OK)
		return MSP_OK;
	c->count.failed_answers++;
	msp_log(c->log, MSP_LOG_INFO, "answer-not-believed", MSP_F_STR("peer", MSP_NAME(&p->identity)),
		MSP_F_STR("error", msp_err_text(err)), MSP_F_STR("why", why.text));
	if ((err == MSP_ESIG || err == MSP_ENOKEY) && p->link == MSA_LINK_OPERATIONAL)
		msa_discover_force(c, p); /* it may have re-keyed (D.2) */
	return err;
}

enum msp_err msa_option_get(const struct msa_core *c, const struct msp_msg *m, struct msp_msopt *out)
{
	struct msp_option o;

	if (!m->edns.present || !msp_edns_find(&m->edns, c->numbers.opt_multisigner, &o))
		return MSP_ENOTFOUND;
	return msp_msopt_parse(o.data, out);
}

void msa_answer_text(const struct msa_core *c, const struct msp_msg *m, char text[MSA_TEXT_MAX])
{
	struct msp_option o;
	struct msp_ede ede;
	const char *name = NULL;

	if (m->edns.present && msp_edns_find(&m->edns, MSP_OPT_EDE, &o) && msp_ede_parse(o.data, &ede) == MSP_OK)
		name = msp_ede_name(&c->numbers, ede.code);
	snprintf(text, MSA_TEXT_MAX, "%s%s%s", msp_rcode_name(m->rcode), name == NULL ? "" : " ",
		 name == NULL ? "" : name);
}
