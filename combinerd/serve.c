/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes in: NOTIFY from primaries, UPDATE and QUERY from agents, SOA, AXFR and IXFR from signers. Everybody else,
 * and every other question, is refused; each refusal names its rule in the log. @source PROTOCOL B.1, B.5, C.6, E.2,
 * E.6, E.7
 */
#include "shell.h"

#include "acl.h"

#include <msproto/auth/trust.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/notify.h>
#include <msproto/zone/serial.h>

#include <string.h>

#define UDP_MIN  512
#define OPT_ROOM 32

struct ask {
	struct cmb_app *app;
	struct msp_req *req; /* owned */
	struct msp_msg m;
	struct cmb_hosted *hosted; /* NULL: not our zone */
	struct msp_tsig_ctx tsig;  /* owned; key NULL: the request is unsigned */
	struct msp_authmsg *auth;  /* owned; NULL: the request is unsigned */
	struct cmb_zone *zone;     /* of `hosted`, once it has been loaded */
};

static void ask_end(struct ask *a)
{
	if (a->req != NULL)
		msp_req_drop(&a->req);
	msp_authmsg_free(&a->auth);
	msp_tsig_ctx_fini(&a->tsig);
}

/* --- answering ---------------------------------------------------------------------------------------------------- */

static size_t tsig_room(const struct ask *a)
{
	/* owner, fixed part, algorithm name, time .. other length, MAC */
	return a->auth != NULL ? (size_t)msp_authmsg_signer(a->auth)->len + 10 + 13 + 16 + MSP_TSIG_MAC_MAX : 0;
}

static size_t answer_max(const struct ask *a)
{
	size_t max = MSP_MSG_MAX;

	if (!msp_req_is_tcp(a->req)) {
		max = a->m.edns.present && a->m.edns.payload > UDP_MIN ? a->m.edns.payload : UDP_MIN;
		if (max > MSP_EDNS_PAYLOAD)
			max = MSP_EDNS_PAYLOAD;
	}
	return max - tsig_room(a);
}

static void begin(struct ask *a, struct msp_msgw *w, unsigned rcode, uint16_t flags)
{
	msp_msgw_respond(w, a->app->out, answer_max(a), &a->m, rcode & 0x0f, flags);
}

/* Only when the request had one (PROTOCOL B.1). */
static void add_opt(const struct ask *a, struct msp_msgw *w, unsigned rcode, const uint16_t *ede, const char *text)
{
	struct msp_optw o;

	if (!a->m.edns.present)
		return;
	o = msp_optw_open(w, MSP_EDNS_PAYLOAD, rcode, false);
	if (ede != NULL)
		msp_optw_ede(&o, *ede, text != NULL ? text : "");
	msp_optw_close(&o);
}

/* The OPT, then the TSIG. The request ends. */
static void finish(struct ask *a, struct msp_msgw *w, unsigned rcode, const uint16_t *ede, const char *text)
{
	struct msp_span msg;
	size_t len;
	enum msp_err err;

	add_opt(a, w, rcode, ede, text);
	err = msp_msgw_finish(w, &msg);
	if (err == MSP_ENOSPACE && !msp_req_is_tcp(a->req)) {
		begin(a, w, rcode, MSP_FLAG_TC); /* the client comes back over TCP */
		add_opt(a, w, rcode, NULL, NULL);
		err = msp_msgw_finish(w, &msg);
	}
	len = err == MSP_OK ? msg.len : 0;
	if (err == MSP_OK && a->auth != NULL)
		err = msp_tsig_sign_response(&a->tsig, msp_wall_now(), a->app->out, &len, sizeof(a->app->out));
	if (err == MSP_OK)
		msp_req_reply(&a->req, msp_span(a->app->out, len));
	else
		msp_req_drop(&a->req);
}

static void answer(struct ask *a, unsigned rcode, const uint16_t *ede, const char *text)
{
	struct msp_msgw w;

	begin(a, &w, rcode, 0);
	finish(a, &w, rcode, ede, text);
}

static enum cmb_conf_rule_transport transport_of(const struct msp_req *req)
{
	if (!msp_req_is_tcp(req))
		return CMB_RULE_UDP;
	return msp_req_tls(req) != NULL ? CMB_RULE_TLS : CMB_RULE_TCP;
}

/* A flood does not fill the log: what it was is counted. */
static bool may_log(const struct ask *a)
{
	static const struct msp_addr all = { .family = MSP_FAMILY_NONE };
	struct msp_mono now = msp_mono_now();

	return msp_bucket_take(a->app->log_budget, msp_req_peer(a->req), now) &&
	       msp_bucket_take(a->app->log_total, &all, now);
}

static void log_refusal(struct ask *a, unsigned rcode, const char *rule, const char *why)
{
	a->app->stats.refusals++;
	if (a->hosted != NULL)
		a->hosted->refusals++;
	if (!may_log(a))
		return;
	msp_log(a->app->log, MSP_LOG_NOTICE, "refused",
		MSP_F_STR("zone", a->m.question.name.len ? MSP_NAME(&a->m.question.name) : "-"),
		MSP_F_STR("peer", MSP_ADDR(msp_req_peer(a->req))),
		MSP_F_STR("transport", cmb_acl_transport_name(transport_of(a->req))), MSP_F_U64("opcode", a->m.opcode),
		MSP_F_STR("qtype", MSP_TYPE(a->m.question.type)),
		MSP_F_STR("key", a->auth ? MSP_NAME(msp_authmsg_signer(a->auth)) : "-"),
		MSP_F_STR("rcode", msp_rcode_name(rcode)), MSP_F_STR("rule", rule), MSP_F_STR("why", why));
}

static void refuse(struct ask *a, unsigned rcode, enum msp_ede_std ede, const char *rule, const char *why)
{
	uint16_t code = (uint16_t)ede;

	log_refusal(a, rcode, rule, why);
	answer(a, rcode, &code, why);
}

/* --- who is asking ------------------------------------------------------------------------------------------------ */

/* False: the request has been answered. */
static bool check_tsig(struct ask *a)
{
	static const char *const names[] = { [MSP_TSIG_BADSIG] = "BADSIG",
					     [MSP_TSIG_BADKEY] = "BADKEY",
					     [MSP_TSIG_BADTIME] = "BADTIME",
					     [MSP_TSIG_BADTRUNC] = "BADTRUNC" };
	enum msp_tsig_error error = MSP_TSIG_NOERROR;
	const struct msp_tsig_key *key;
	struct msp_msgw w;
	struct msp_span msg;
	size_t len;
	enum msp_err err;

	if (a->m.tsig_at == 0)
		return true;
	err = msp_trust_tsig(&a->m, cmb_app_find_key, a->app, msp_wall_now(), &a->tsig, &error, &a->auth);
	if (err == MSP_OK)
		return true;
	if (error == MSP_TSIG_NOERROR) {
		log_refusal(a, msp_err_rcode(err), "C.6: TSIG", msp_err_text(err));
		answer(a, msp_err_rcode(err), NULL, NULL);
		return false;
	}
	log_refusal(a, MSP_RCODE_NOTAUTH, "C.6: TSIG", names[error] ? names[error] : msp_err_text(err));
	key = a->tsig.key;
	msp_msgw_respond(&w, a->app->out, sizeof(a->app->out) - MSP_TSIG_RR_MAX, &a->m, MSP_RCODE_NOTAUTH, 0);
	err = msp_msgw_finish(&w, &msg);
	len = err == MSP_OK ? msg.len : 0;
	if (err == MSP_OK)
		err = msp_tsig_sign_error(&a->m, key, error, msp_wall_now(), a->app->out, &len, sizeof(a->app->out));
	if (err == MSP_OK)
		msp_req_reply(&a->req, msp_span(a->app->out, len));
	return false;
}

static struct cmb_asker asker(const struct ask *a)
{
	return (struct cmb_asker){ .peer = msp_req_peer(a->req),
				   .transport = transport_of(a->req),
				   .key = a->auth != NULL ? msp_authmsg_signer(a->auth) : NULL,
				   .tls = msp_req_tls(a->req) };
}

static bool may_transfer(const struct ask *a)
{
	struct cmb_asker who = asker(a);

	return cmb_acl_may_transfer(a->hosted->profile->conf, &who);
}

static bool may_notify(const struct ask *a)
{
	struct cmb_asker who = asker(a);

	return cmb_acl_may_notify(a->hosted->profile->conf, &who);
}

static const struct cmb_conf_agent *agent(const struct ask *a)
{
	struct cmb_asker who = asker(a);

	return cmb_acl_agent(a->hosted->profile->conf, &who);
}

/* Loads the zone. True: it is not served now, and the request has been answered. */
static bool in_trouble(struct ask *a)
{
	const char *trouble = cmb_hosted_trouble(a->hosted);

	if (trouble == NULL)
		a->zone = cmb_hosted_zone(a->hosted);
	if (trouble == NULL && (a->zone == NULL || !a->zone->has_served || a->zone->owner == NULL))
		trouble = "what is stored could not be loaded";
	if (trouble != NULL)
		refuse(a, MSP_RCODE_SERVFAIL, MSP_EDE_NOT_READY, "E.6: zone not served", trouble);
	return trouble != NULL;
}

/* --- NOTIFY ------------------------------------------------------------------------------------------------------- */

static void serve_notify(struct ask *a)
{
	struct msp_why why = { "" };
	struct msp_addr peer;
	struct msp_msgw w;
	bool has_hint;
	uint32_t hint;

	if (msp_notify_check(&a->m, &a->app->scratch, &has_hint, &hint, &why) != MSP_OK ||
	    a->m.question.type != MSP_TYPE_SOA) {
		log_refusal(a, MSP_RCODE_FORMERR, "RFC 1996: form of a NOTIFY", why.text);
		answer(a, MSP_RCODE_FORMERR, NULL, NULL);
		return;
	}
	if (a->hosted == NULL) {
		refuse(a, MSP_RCODE_NOTAUTH, MSP_EDE_NOT_AUTHORITATIVE, "E.6: unknown zone", "zone not known here");
		return;
	}
	if (!may_notify(a)) {
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED, "E.7: NOTIFY only from a primary",
		       "not a primary of the zone");
		return;
	}
	a->app->stats.notifies_in++;
	if (may_log(a)) /* the address may be forged */
		msp_log(a->app->log, MSP_LOG_INFO, "notify-in", MSP_F_STR("zone", MSP_NAME(&a->hosted->name)),
			MSP_F_STR("peer", MSP_ADDR(msp_req_peer(a->req))));
	peer = *msp_req_peer(a->req);
	begin(a, &w, MSP_RCODE_NOERROR, MSP_FLAG_AA);
	finish(a, &w, MSP_RCODE_NOERROR, NULL, NULL);
	/* the hint may be forged, and proves nothing: the primary is asked in any case */
	cmb_upstream_notify(a->hosted, &peer);
}

/* --- UPDATE ------------------------------------------------------------------------------------------------------- */

static bool may_update(struct ask *a)
{
	struct msp_why why = { "" };

	/* E.2 steps 1 and 2 */
	if (msp_update_check(&a->m, &why) != MSP_OK) {
		log_refusal(a, MSP_RCODE_FORMERR, "E.2 step 1: form of the zone section", why.text);
		answer(a, MSP_RCODE_FORMERR, NULL, NULL);
		return false;
	}
	if (a->hosted == NULL) {
		refuse(a, MSP_RCODE_NOTAUTH, MSP_EDE_NOT_AUTHORITATIVE, "E.2 step 1: unknown zone",
		       "zone not known here");
		return false;
	}
	if (!check_tsig(a))
		return false;
	if (a->auth == NULL) {
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED, "E.2 step 2: TSIG required", "TSIG required");
		return false;
	}
	if (agent(a) == NULL) {
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED, "E.7: key is no agent of the zone",
		       "key may not update this zone");
		return false;
	}
	if (a->hosted->is_frozen) {
		uint16_t code = msp_ede_code(&a->app->conf->numbers, MSP_EDE_ZONE_LOCKED);

		log_refusal(a, MSP_RCODE_REFUSED, "operator: zone frozen", "the zone is frozen by an operator");
		answer(a, MSP_RCODE_REFUSED, &code, "the zone is frozen by an operator");
		return false;
	}
	return true;
}

/* An UPDATE that was seen before: the sender's own repetition gets its answer again, a replay from elsewhere does not.
 * Nothing is carried out. True: answered. */
static bool answer_seen(struct ask *a, struct msp_span id)
{
	const struct cmb_seen *s = cmb_seen_get(a->app, id);
	uint16_t code = msp_ede_code(&a->app->conf->numbers, MSP_EDE_SIG0_REPLAY);

	if (s == NULL)
		return false;
	if (s->peer.family != MSP_FAMILY_NONE && msp_addr_equal(&s->peer, msp_req_peer(a->req))) {
		answer(a, s->rcode, NULL, NULL);
		return true;
	}
	log_refusal(a, MSP_RCODE_NOTAUTH, "C.5: replay", msp_ede_text(MSP_EDE_SIG0_REPLAY));
	answer(a, MSP_RCODE_NOTAUTH, &code, msp_ede_text(MSP_EDE_SIG0_REPLAY));
	return true;
}

static enum msp_err store(struct ask *a, struct cmb_verdict *v, struct msp_span id, struct msp_wall until)
{
	struct cmb_audit audit = { .at = msp_wall_now(),
				   .key = *msp_authmsg_signer(a->auth),
				   .originator = v->originator };

	cmb_instruct_tell(&a->zone->contrib, &v->result, &v->originator, audit.what, sizeof(audit.what));
	msp_log(a->app->log, MSP_LOG_INFO, "instructions", MSP_F_STR("zone", MSP_NAME(&a->hosted->name)),
		MSP_F_STR("originator", MSP_NAME(&v->originator)), MSP_F_STR("what", audit.what));
	return cmb_hosted_take_contrib(a->hosted, v, &audit, id, until, &v->why);
}

static unsigned instruct(struct ask *a, struct cmb_verdict *v, struct msp_span id, struct msp_wall until)
{
	struct cmb_instruct in = { .msg = &a->m, .scope = cmb_acl_scope(agent(a)), .scratch = &a->app->scratch };
	enum msp_err err = MSP_EIO;

	a->zone = cmb_hosted_zone(a->hosted);
	if (a->zone != NULL) {
		in.rules = &a->zone->rules;
		in.owner = a->zone->owner;
		in.policy = &a->zone->policy;
		in.held = &a->zone->contrib;
		err = cmb_instruct(&in, v);
	}
	if (err == MSP_OK && v->rcode == MSP_RCODE_NOERROR && v->changed)
		err = store(a, v, id, until);
	cmb_contrib_fini(&v->result);
	if (err == MSP_OK)
		return v->rcode;
	v->rule = "not stored";
	v->has_ede = true;
	v->ede = MSP_EDE_OTHER;
	if (v->why.text[0] == '\0')
		(void)msp_fail(&v->why, err, "%s", msp_err_text(err));
	return MSP_RCODE_SERVFAIL;
}

static void serve_update(struct ask *a)
{
	struct cmb_verdict v = { 0 };
	uint8_t id_mem[CMB_SEEN_ID_MAX];
	struct msp_wall until;
	struct msp_span id;
	unsigned rcode;
	size_t len = 0;

	if (!may_update(a))
		return;
	if (!cmb_seen_identity(a->app, &a->m, id_mem, &len, &until)) {
		answer(a, MSP_RCODE_FORMERR, NULL, NULL);
		return;
	}
	id = msp_span(id_mem, len);
	if (answer_seen(a, id))
		return;
	/* Room to remember it must be there before it is carried out. */
	if (cmb_seen_put(a->app, id, until, msp_req_peer(a->req), MSP_RCODE_SERVFAIL) != MSP_OK) {
		refuse(a, MSP_RCODE_SERVFAIL, MSP_EDE_BLOCKED, "limit of remembered UPDATEs",
		       "too many UPDATEs in a short time");
		return;
	}
	a->hosted->updates++;
	a->app->stats.updates++;
	rcode = instruct(a, &v, id, until);
	if (cmb_seen_put(a->app, id, until, msp_req_peer(a->req), rcode) != MSP_OK)
		rcode = MSP_RCODE_SERVFAIL; /* cannot be: the entry is there */
	if (rcode != MSP_RCODE_NOERROR)
		log_refusal(a, rcode, v.rule, v.why.text);
	else
		msp_log(a->app->log, MSP_LOG_NOTICE, "update", MSP_F_STR("zone", MSP_NAME(&a->hosted->name)),
			MSP_F_STR("key", MSP_NAME(msp_authmsg_signer(a->auth))),
			MSP_F_STR("originator", MSP_NAME(&v.originator)),
			MSP_F_STR("changed", v.changed ? "yes" : "no"));
	answer(a, rcode, v.has_ede ? &v.ede : NULL, v.why.text);
}

/* --- QUERY -------------------------------------------------------------------------------------------------------- */

static struct msp_rr soa_rr(const struct cmb_zone *z)
{
	const struct msp_rrset *s = z->served.soa;

	return (struct msp_rr){
		.owner = s->owner, .type = MSP_TYPE_SOA, .cls = MSP_CLASS_IN, .ttl = s->ttl, .rdata = s->rdata[0]
	};
}

static void answer_set(struct ask *a, const struct msp_rrset *set)
{
	struct msp_rr soa = soa_rr(a->zone);
	struct msp_msgw w;

	a->app->stats.queries++;
	begin(a, &w, MSP_RCODE_NOERROR, MSP_FLAG_AA);
	for (size_t i = 0; !cmb_rrset_empty(set) && i < set->count; i++) {
		struct msp_rr rr = { .owner = set->owner,
				     .type = set->type,
				     .cls = MSP_CLASS_IN,
				     .ttl = set->ttl,
				     .rdata = set->rdata[i] };

		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
	}
	if (cmb_rrset_empty(set))
		msp_msgw_rr(&w, MSP_SEC_AUTHORITY, &soa);
	finish(a, &w, MSP_RCODE_NOERROR, NULL, NULL);
}

static void describe(const struct ask *a, struct cmb_xfr_request *q)
{
	*q = (struct cmb_xfr_request){ .id = a->m.id,
				       .qtype = a->m.question.type,
				       .flags = a->m.flags & MSP_FLAG_RD,
				       .qname = a->m.question.name,
				       .has_edns = a->m.edns.present };
}

static void serve_axfr(struct ask *a)
{
	struct cmb_xfr_request q;
	enum msp_err err;

	if (!msp_req_is_tcp(a->req)) {
		refuse(a, MSP_RCODE_FORMERR, MSP_EDE_OTHER, "RFC 5936 4.2: AXFR over UDP", "AXFR needs TCP");
		return;
	}
	describe(a, &q);
	err = cmb_xfrout_axfr(a->hosted, &a->req, &q, &a->tsig);
	if (err != MSP_OK)
		refuse(a, MSP_RCODE_SERVFAIL, MSP_EDE_OTHER, "limit of transfers", msp_err_text(err));
}

/* The client's serial: the SOA in the authority section (RFC 1995 3). */
static bool client_serial(struct ask *a, uint32_t *serial)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	msp_msg_it_init(&it, &a->m, MSP_SEC_AUTHORITY, &a->app->scratch);
	while (msp_msg_next(&it, &rr)) {
		if (rr.type != MSP_TYPE_SOA || !msp_name_equal(&rr.owner, &a->m.question.name))
			continue;
		*serial = msp_soa_serial(rr.rdata);
		return true;
	}
	return false;
}

static void answer_soa(struct ask *a)
{
	answer_set(a, a->zone->served.soa);
}

/* RFC 1995 2: over UDP the differences when they fit, else the SOA alone. */
static void ixfr_over_udp(struct ask *a, uint32_t serial)
{
	struct msp_buf records;
	struct msp_msgw w;
	struct msp_rd rd;
	struct msp_rr rr;
	bool fits;

	msp_buf_init(&records, UINT16_MAX);
	fits = cmb_xfrout_history(a->hosted, serial, UINT16_MAX, &records) == MSP_OK;
	begin(a, &w, MSP_RCODE_NOERROR, MSP_FLAG_AA);
	msp_rd_init(&rd, msp_buf_span(&records));
	while (fits && msp_rd_left(&rd) > 0) {
		msp_rr_read(&rd, &a->app->scratch, &rr);
		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
		fits = rd.err == MSP_OK && w.wr.err == MSP_OK && w.wr.pos + OPT_ROOM < answer_max(a);
	}
	msp_buf_fini(&records);
	if (!fits) {
		answer_soa(a);
		return;
	}
	a->app->stats.ixfr_out++;
	finish(a, &w, MSP_RCODE_NOERROR, NULL, NULL);
}

static void serve_ixfr(struct ask *a)
{
	struct cmb_xfr_request q;
	uint32_t serial;
	enum msp_err err;

	if (!client_serial(a, &serial)) {
		log_refusal(a, MSP_RCODE_FORMERR, "RFC 1995 3: no SOA in IXFR", "no SOA");
		answer(a, MSP_RCODE_FORMERR, NULL, NULL);
		return;
	}
	if (!msp_serial_gt(cmb_apex_serial(&a->zone->served), serial)) {
		answer_soa(a); /* up to date, or ahead of us */
		return;
	}
	if (!msp_req_is_tcp(a->req)) {
		ixfr_over_udp(a, serial);
		return;
	}
	describe(a, &q);
	err = cmb_xfrout_ixfr(a->hosted, &a->req, &q, serial, &a->tsig);
	if (err == MSP_ENOTFOUND)
		serve_axfr(a);
	else if (err != MSP_OK)
		refuse(a, MSP_RCODE_SERVFAIL, MSP_EDE_OTHER, "limit of transfers", msp_err_text(err));
}

static void serve_transfer(struct ask *a)
{
	if (a->hosted == NULL)
		refuse(a, MSP_RCODE_NOTAUTH, MSP_EDE_NOT_AUTHORITATIVE, "E.6: unknown zone", "zone not known here");
	else if (!may_transfer(a) && a->auth == NULL)
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED, "E.7: TSIG required", "TSIG required");
	else if (!may_transfer(a))
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED, "E.7: transfers only for signers",
		       "key may not transfer this zone");
	else if (!in_trouble(a))
		(a->m.question.type == MSP_TYPE_AXFR ? serve_axfr : serve_ixfr)(a);
}

static void serve_lookup(struct ask *a)
{
	enum cmb_slot slot;

	if (a->hosted == NULL) {
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_NOT_AUTHORITATIVE, "E.7: no apex of ours",
		       "not the apex of a zone here");
	} else if (agent(a) == NULL && !may_transfer(a)) {
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED, "E.7: key of a signer or agent required",
		       "key of a signer or agent required");
	} else if (a->m.question.type == MSP_TYPE_SOA) {
		if (!in_trouble(a))
			answer_soa(a);
	} else if (cmb_slot_of(a->m.question.type, &slot) && slot < CMB_CONTRIB_SLOTS) {
		if (!in_trouble(a))
			answer_set(a, a->zone->served.set[slot]);
	} else {
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED, "E.1: only SOA and the apex types are answered",
		       "type not answered here");
	}
}

static void serve_query(struct ask *a)
{
	if (a->m.count[MSP_SEC_QUESTION] != 1) {
		log_refusal(a, MSP_RCODE_FORMERR, "RFC 1035 4.1.2: one question", "number of questions");
		answer(a, MSP_RCODE_FORMERR, NULL, NULL);
	} else if (a->m.question.cls != MSP_CLASS_IN) {
		refuse(a, MSP_RCODE_REFUSED, MSP_EDE_NOT_SUPPORTED, "E.7: class IN only", "class not IN");
	} else if (a->m.question.type == MSP_TYPE_AXFR || a->m.question.type == MSP_TYPE_IXFR) {
		serve_transfer(a);
	} else {
		serve_lookup(a);
	}
}

/* --- entry -------------------------------------------------------------------------------------------------------- */

static void dispatch(struct ask *a)
{
	if (a->m.edns.present && a->m.edns.version != 0) {
		answer(a, MSP_RCODE_BADVERS, NULL, NULL);
		return;
	}
	if (a->m.count[MSP_SEC_QUESTION] > 0)
		a->hosted = cmb_shell_find(a->app, &a->m.question.name);
	if (a->m.opcode == MSP_OPCODE_UPDATE) {
		serve_update(a); /* looks at the zone section before the TSIG */
		return;
	}
	if (!check_tsig(a))
		return;
	if (a->m.opcode == MSP_OPCODE_QUERY)
		serve_query(a);
	else if (a->m.opcode == MSP_OPCODE_NOTIFY)
		serve_notify(a);
	else
		answer(a, MSP_RCODE_NOTIMP, NULL, NULL);
}

void cmb_serve(void *arg, struct msp_req *req)
{
	struct ask a = { .app = arg, .req = req };
	struct msp_why why = { "" };
	enum msp_err err = msp_msg_parse(msp_req_message(req), &a.app->scratch, &a.m, &why);

	if ((a.m.flags & MSP_FLAG_QR) != 0) {
		; /* never answer an answer */
	} else if (err != MSP_OK) {
		a.m.edns.present = false;
		log_refusal(&a, msp_err_rcode(err), "C.3 step 2: shape of the message", why.text);
		answer(&a, msp_err_rcode(err), NULL, NULL);
	} else {
		dispatch(&a);
	}
	ask_end(&a);
}
