/* SPDX-License-Identifier: BSD-2-Clause */
/* The zone _dsync below a parent, as its hidden primary: transfers with TSIG, and plain questions about it. */
#include "publish_priv.h"

#include <msproto/io/xfr.h>
#include <msproto/msg/edns.h>

#define SETS_MAX   16
#define ANSWER_MAX 4096
#define PLAIN_MAX  512

static const struct prt_publish_job *job_for(const struct prt_publisher *p, const struct msp_name *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->job[i].soa != NULL && msp_name_is_under(name, &p->job[i].apex))
			return &p->job[i];
	return NULL;
}

/* Records of the zone: what is at or below its apex. */
static size_t zone_sets(const struct prt_publish_job *j, const struct msp_rrset *sets[SETS_MAX])
{
	size_t count = 0;

	sets[count++] = j->ns;
	for (size_t i = 0; i < j->records.count && count < SETS_MAX; i++)
		if (msp_name_is_under(&j->records.set[i]->owner, &j->apex))
			sets[count++] = j->records.set[i];
	return count;
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

static void transfer(const struct prt_publish_job *j, struct msp_req **req, struct msp_tsig_ctx *ctx)
{
	const struct msp_rrset *sets[SETS_MAX];
	size_t count = zone_sets(j, sets);

	msp_xfr_send(req, j->soa, sets, count, ctx);
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

static bool is_apex_closest(const struct prt_publish_job *j, const struct msp_name *name)
{
	struct msp_name up;

	for (unsigned labels = 1; msp_name_parent(name, labels, &up) == MSP_OK && !msp_name_equal(&up, &j->apex);
	     labels++)
		if (prt_records_has_name(&j->records, &up))
			return false;
	return true;
}

/* The set asked for: at the name, or at the wildcard where the name does not exist, and nothing between it and the apex
 * does either (RFC 4592 3.3.1: the closest encloser is the apex). */
static const struct msp_rrset *find(const struct prt_publish_job *j, const struct msp_name *name, uint16_t type,
				    bool *exists)
{
	const struct msp_rrset *sets[SETS_MAX];
	size_t count = zone_sets(j, sets);
	struct msp_name wild;
	const struct msp_name *at = name;

	*exists = msp_name_equal(name, &j->apex) || prt_records_has_name(&j->records, name);
	if (!*exists && is_apex_closest(j, name) && msp_name_prepend("*", &j->apex, &wild) == MSP_OK &&
	    prt_records_has_name(&j->records, &wild)) {
		*exists = true;
		at = &wild;
	}
	if ((type == MSP_TYPE_SOA || type == MSP_TYPE_IXFR) && msp_name_equal(name, &j->apex))
		return j->soa;
	for (size_t i = 0; i < count; i++)
		if (sets[i]->type == type && msp_name_equal(&sets[i]->owner, at))
			return sets[i];
	return NULL;
}

static void answer(const struct prt_publish_job *j, struct msp_req **req, const struct msp_msg *m,
		   struct msp_tsig_ctx *ctx)
{
	size_t most = msp_req_is_tcp(*req) ? ANSWER_MAX : m->edns.present ? MSP_EDNS_PAYLOAD : PLAIN_MAX;
	bool exists = false;
	const struct msp_rrset *set = find(j, &m->question.name, m->question.type, &exists);
	uint8_t mem[ANSWER_MAX];
	struct msp_msgw w;

	msp_msgw_respond(&w, mem, sizeof(mem), m, exists ? MSP_RCODE_NOERROR : MSP_RCODE_NXDOMAIN, MSP_FLAG_AA);
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

	if (j == NULL || m->question.cls != MSP_CLASS_IN)
		return false;
	err = msp_tsig_verify_request(m, prt_settings_find_tsig, app->settings, msp_wall_now(), &ctx, &error);
	if (err != MSP_OK && err != MSP_EUNSIGNED)
		refuse_tsig(req, m, &ctx, err, error);
	else if (!is_transfer || (m->question.type == MSP_TYPE_IXFR && !msp_req_is_tcp(*req)))
		answer(j, req, m, &ctx); /* IXFR over UDP: a single SOA sends the client to TCP (RFC 1995 2) */
	else if (err == MSP_OK && msp_name_equal(&m->question.name, &j->apex) && msp_req_is_tcp(*req) &&
		 is_downstream(j, ctx.key))
		transfer(j, req, &ctx);
	else
		refuse(req, m, MSP_RCODE_REFUSED, &ctx);
	msp_tsig_ctx_fini(&ctx);
	return true;
}
