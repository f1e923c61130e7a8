/* SPDX-License-Identifier: BSD-2-Clause */
/* The zone _dsync below a parent, as its hidden primary: transfers with TSIG, and plain questions about it. */
#include "publish_priv.h"

#include <msproto/base/mem.h>
#include <msproto/io/xfr.h>
#include <msproto/msg/edns.h>

#define ANSWER_MAX 4096
#define PLAIN_MAX  512
#define TSIG_ROOM  (10 + 13 + 16 + MSP_TSIG_MAC_MAX) /* beside the key's name */

static const struct prt_publish_job *job_for(const struct prt_publisher *p, const struct msp_name *name)
{
	for (size_t i = 0; p->now != NULL && i < p->now->count; i++)
		if (p->now->job[i].soa != NULL && msp_name_is_under(name, &p->now->job[i].apex))
			return &p->now->job[i];
	return NULL;
}

/* It is to be served, and the books have not said yet with which serial. */
static bool is_to_come(const struct prt_app *app, const struct msp_name *name)
{
	for (size_t i = 0; app->publisher->now == NULL && i < app->conf->parents.count; i++) {
		const struct prt_conf_parent *p = prt_conf_parent_at(app->conf, i);
		struct msp_name apex;

		if (p->publish.how == PRT_PUBLISH_PRIMARY && msp_name_is_under(name, &p->zone) &&
		    msp_name_prepend("_dsync", &p->zone, &apex) == MSP_OK && msp_name_is_under(name, &apex))
			return true;
	}
	return false;
}

/* --- transfers ---------------------------------------------------------------------------------------------------- */

static bool is_downstream(const struct prt_publish_job *j, const struct msp_tsig_key *key)
{
	for (size_t i = 0; i < j->down_count; i++)
		if (msp_name_equal(&j->down[i].remote.tsig_key, msp_tsig_key_name(key)))
			return true;
	return false;
}

static void reply(struct msp_req **req, struct msp_msgw *w, struct msp_tsig_ctx *ctx)
{
	struct msp_span s;
	enum msp_err err = msp_msgw_finish(w, &s);
	size_t len = s.len;

	if (err == MSP_OK && ctx != NULL && ctx->key != NULL)
		err = msp_tsig_sign_response(ctx, msp_wall_now(), w->wr.base, &len, w->wr.cap);
	if (err == MSP_OK)
		msp_req_reply(req, msp_span(w->wr.base, len));
	else
		msp_req_drop(req);
}

static void refuse(struct msp_req **req, const struct msp_msg *m, unsigned rcode, struct msp_tsig_ctx *ctx)
{
	uint8_t mem[ANSWER_MAX];
	struct msp_msgw w;

	msp_msgw_respond(&w, mem, sizeof(mem), m, rcode, 0);
	reply(req, &w, ctx);
}

/* A request whose TSIG is not good: RFC 8945 5.2. */
static void refuse_tsig(struct msp_req **req, const struct msp_msg *m, const struct msp_tsig_ctx *ctx, enum msp_err why,
			enum msp_tsig_error error)
{
	uint8_t mem[ANSWER_MAX];
	struct msp_msgw w;
	struct msp_span s;
	size_t len;

	msp_msgw_respond(&w, mem, sizeof(mem), m, msp_err_rcode(why), 0);
	if (msp_msgw_finish(&w, &s) != MSP_OK) {
		msp_req_drop(req);
		return;
	}
	len = s.len;
	if (error != MSP_TSIG_NOERROR &&
	    msp_tsig_sign_error(m, ctx->key, error, msp_wall_now(), mem, &len, sizeof(mem)) != MSP_OK)
		len = s.len;
	msp_req_reply(req, msp_span(mem, len));
}

/* The zone: what is at or below its apex. */
static void transfer(const struct prt_publish_job *j, struct msp_req **req, const struct msp_msg *m,
		     struct msp_tsig_ctx *ctx)
{
	const struct msp_rrset **sets = msp_alloc(j->records.count + 1, sizeof(struct msp_rrset *));
	size_t count = 0;

	if (sets == NULL) {
		refuse(req, m, MSP_RCODE_SERVFAIL, ctx);
		return;
	}
	sets[count++] = j->ns;
	for (size_t i = 0; i < j->records.count; i++)
		if (msp_name_is_under(&j->records.set[i]->owner, &j->apex))
			sets[count++] = j->records.set[i];
	msp_xfr_send(req, j->soa, sets, count, ctx);
	msp_free(sets);
}

/* --- plain questions ---------------------------------------------------------------------------------------------- */

static void add_set(struct msp_msgw *w, enum msp_section section, const struct msp_rrset *set,
		    const struct msp_name *owner)
{
	struct msp_rr rr = { .owner = *owner, .type = set->type, .cls = MSP_CLASS_IN, .ttl = set->ttl };

	for (size_t i = 0; i < set->count; i++) {
		rr.rdata = set->rdata[i];
		msp_msgw_rr(w, section, &rr);
	}
}

static bool exists(const struct prt_publish_job *j, const struct msp_name *name)
{
	return msp_name_equal(name, &j->apex) || prt_records_has_name(&j->records, name);
}

/* RFC 4592 3.3.1: the wildcard directly below the closest name above that exists. It is at or below the apex. */
static enum msp_err wildcard_for(const struct prt_publish_job *j, const struct msp_name *name, struct msp_name *out)
{
	enum msp_err err = msp_name_parent(name, 1, out);

	while (err == MSP_OK && !exists(j, out))
		err = msp_name_parent(out, 1, out);
	return err == MSP_OK ? msp_name_prepend("*", out, out) : err;
}

/* The set asked for; NULL: there is none, and *is_there says whether there is the name at least. */
static const struct msp_rrset *find(const struct prt_publish_job *j, const struct msp_name *name, uint16_t type,
				    bool *is_there)
{
	struct msp_name at = *name;

	*is_there = exists(j, name);
	if (!*is_there)
		*is_there = wildcard_for(j, name, &at) == MSP_OK && exists(j, &at);
	if (msp_name_equal(name, &j->apex)) {
		if (type == MSP_TYPE_SOA || type == MSP_TYPE_IXFR)
			return j->soa;
		if (type == MSP_TYPE_NS)
			return j->ns;
	}
	return *is_there ? prt_records_get(&j->records, &at, type) : NULL;
}

/* What the asker takes, less what the TSIG will need. */
static size_t room_for(const struct msp_req *req, const struct msp_msg *m, const struct msp_tsig_ctx *ctx)
{
	size_t most = ANSWER_MAX;

	if (!msp_req_is_tcp(req)) {
		most = m->edns.present && m->edns.payload > PLAIN_MAX ? m->edns.payload : PLAIN_MAX;
		if (most > MSP_EDNS_PAYLOAD)
			most = MSP_EDNS_PAYLOAD;
	}
	return ctx->key == NULL ? most : most - TSIG_ROOM - msp_tsig_key_name(ctx->key)->len;
}

static void answer(const struct prt_publish_job *j, struct msp_req **req, const struct msp_msg *m,
		   struct msp_tsig_ctx *ctx)
{
	size_t most = room_for(*req, m, ctx);
	bool is_there = false;
	const struct msp_rrset *set = find(j, &m->question.name, m->question.type, &is_there);
	uint8_t mem[ANSWER_MAX];
	struct msp_msgw w;

	msp_msgw_respond(&w, mem, sizeof(mem), m, is_there ? MSP_RCODE_NOERROR : MSP_RCODE_NXDOMAIN, MSP_FLAG_AA);
	if (set != NULL)
		add_set(&w, MSP_SEC_ANSWER, set, &m->question.name);
	else
		add_set(&w, MSP_SEC_AUTHORITY, j->soa, &j->apex);
	if (m->edns.present) {
		struct msp_optw opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);

		msp_optw_close(&opt);
	}
	if (w.wr.err != MSP_OK || w.wr.pos > most) { /* only over UDP */
		msp_msgw_respond(&w, mem, sizeof(mem), m, MSP_RCODE_NOERROR, MSP_FLAG_AA | MSP_FLAG_TC);
		if (m->edns.present) {
			struct msp_optw opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);

			msp_optw_close(&opt);
		}
	}
	reply(req, &w, ctx);
}

bool prt_publisher_serve(struct prt_app *app, struct msp_req **req, const struct msp_msg *m)
{
	const struct prt_publish_job *j =
		m->count[MSP_SEC_QUESTION] == 1 ? job_for(app->publisher, &m->question.name) : NULL;
	bool is_transfer = m->question.type == MSP_TYPE_AXFR || m->question.type == MSP_TYPE_IXFR;
	enum msp_tsig_error error = MSP_TSIG_NOERROR;
	struct msp_tsig_ctx ctx = { 0 };
	enum msp_err err;

	if (m->count[MSP_SEC_QUESTION] != 1 || m->question.cls != MSP_CLASS_IN)
		return false;
	if (j == NULL && !is_to_come(app, &m->question.name))
		return false;
	if (j == NULL) {
		refuse(req, m, MSP_RCODE_SERVFAIL, NULL);
		return true;
	}
	err = msp_tsig_verify_request(m, prt_settings_find_tsig, app->settings, msp_wall_now(), &ctx, &error);
	if (err != MSP_OK && err != MSP_EUNSIGNED)
		refuse_tsig(req, m, &ctx, err, error);
	else if (!is_transfer || (m->question.type == MSP_TYPE_IXFR && !msp_req_is_tcp(*req)))
		answer(j, req, m, &ctx); /* IXFR over UDP: a single SOA sends the client to TCP (RFC 1995 2) */
	else if (err == MSP_OK && msp_name_equal(&m->question.name, &j->apex) && msp_req_is_tcp(*req) &&
		 is_downstream(j, ctx.key))
		transfer(j, req, m, &ctx);
	else
		refuse(req, m, MSP_RCODE_REFUSED, &ctx);
	msp_tsig_ctx_fini(&ctx);
	return true;
}
