/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 2136 to the parent's primary, over TCP, signed with TSIG. Each child is replaced whole (its RRsets deleted, what
 * is wanted added), so that it makes no difference what was there, or whether it is done twice. Glue that goes away is
 * known by what the primary had; nothing else at or below a child is touched. Several children share a message, which
 * the primary carries out as one (RFC 2136 3.4.2). @source RFC 2136, PROTOCOL C.6, E.2
 */
#include "backend.h"

#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/update.h>

#define BATCH     256
#define OPT_ROOM  64
#define TIMEOUT_S 10

struct updater {
	struct prt_backend base;
	struct prt_app *app;
	struct prt_settings *settings; /* owned reference: the key is in there */
	struct msp_addr addr;
	struct msp_name zone, key;
	uint32_t timeout_s;
	/* under way */
	struct prt_backend_job *job; /* owned copy; what it points to is the caller's */
	size_t count, at, until;     /* at..until-1 are in the message that is on its way */
	prt_backend_done_fn *done;
	void *arg;
	struct msp_xchg *xchg;
	struct msp_timer *soon; /* never from inside apply */
	enum msp_err err;       /* for `soon` */
	struct msp_why why;
	struct msp_tsig_ctx tsig;
	uint8_t message[MSP_MSG_MAX];
	struct msp_rr_scratch scratch;
};

/* --- one child in the message --------------------------------------------------------------------------------------
 */

static bool is_address(uint16_t type)
{
	return type == MSP_TYPE_A || type == MSP_TYPE_AAAA;
}

/* Both families of each name: what the other side has of them is not known better than this. */
static void delete_addresses(struct msp_msgw *w, const struct prt_delegation *d, const struct prt_delegation *later)
{
	for (size_t i = 0; d != NULL && i < d->count; i++) {
		const struct msp_rrset *s = d->set[i];
		uint16_t other = s->type == MSP_TYPE_A ? MSP_TYPE_AAAA : MSP_TYPE_A;

		if (!is_address(s->type))
			continue;
		if (later != NULL && (prt_delegation_get(later, &s->owner, MSP_TYPE_A) != NULL ||
				      prt_delegation_get(later, &s->owner, MSP_TYPE_AAAA) != NULL))
			continue; /* comes there */
		if (s->type == MSP_TYPE_AAAA && prt_delegation_get(d, &s->owner, other) != NULL)
			continue; /* came with its A */
		msp_updw_del_rrset(w, &s->owner, MSP_TYPE_A);
		msp_updw_del_rrset(w, &s->owner, MSP_TYPE_AAAA);
	}
}

static void add_sets(struct msp_msgw *w, const struct prt_delegation *d, bool addresses, uint16_t type)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct msp_rrset *s = d->set[i];

		if (addresses ? !is_address(s->type) : s->type != type)
			continue;
		for (size_t n = 0; n < s->count; n++)
			msp_updw_add(w, &s->owner, s->type, s->ttl, s->rdata[n]);
	}
}

/* DS last out and first after NS: some primaries take no DS where there is no NS. */
static enum msp_err write_child(struct msp_msgw *w, const struct prt_backend_job *j)
{
	const struct msp_name *child = &j->want->child;

	delete_addresses(w, j->maybe, j->have);
	delete_addresses(w, j->have, j->want);
	delete_addresses(w, j->want, NULL);
	msp_updw_del_rrset(w, child, MSP_TYPE_DS);
	msp_updw_del_rrset(w, child, MSP_TYPE_NS);
	add_sets(w, j->want, false, MSP_TYPE_NS);
	add_sets(w, j->want, false, MSP_TYPE_DS);
	add_sets(w, j->want, true, 0);
	return w->wr.err;
}

/* --- a message -----------------------------------------------------------------------------------------------------
 */

static void finish(struct updater *u, enum msp_err err, const struct msp_why *why)
{
	prt_backend_done_fn *done = u->done;
	struct msp_why copy = { "" };

	if (why != NULL)
		copy = *why;
	msp_free(u->job);
	u->job = NULL;
	u->done = NULL;
	done(u->arg, err, &copy);
}

/* As many children as fit, at least one. */
static enum msp_err build(struct updater *u, size_t *len, struct msp_why *why)
{
	struct msp_msgw w;
	struct msp_optw opt;
	struct msp_span s;
	enum msp_err err;

	msp_updw_init(&w, u->message, sizeof(u->message) - MSP_TSIG_RR_MAX - OPT_ROOM, msp_rand_u16(&u->app->rand),
		      &u->zone);
	for (u->until = u->at; u->until < u->count; u->until++) {
		struct msp_msgw before = w;

		err = write_child(&w, &u->job[u->until]);
		if (err == MSP_OK)
			continue;
		w = before; /* counts, and the place behind the last child that fitted */
		if (err != MSP_ENOSPACE)
			return err;
		break;
	}
	if (u->until == u->at)
		return msp_fail(why, MSP_EREFUSED, "does not fit into a message");
	w.wr.cap += OPT_ROOM;
	opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false); /* so that a refusal can say why */
	msp_optw_close(&opt);
	err = msp_msgw_finish(&w, &s);
	*len = s.len;
	return err;
}

/* What its RCODE means for us. */
static enum msp_err meaning(unsigned rcode)
{
	switch (rcode) {
	case MSP_RCODE_NOERROR:
		return MSP_OK;
	case MSP_RCODE_FORMERR: /* it will be the same next time */
	case MSP_RCODE_NOTZONE:
	case MSP_RCODE_YXDOMAIN:
	case MSP_RCODE_YXRRSET:
	case MSP_RCODE_NXRRSET:
		return MSP_EREFUSED;
	case MSP_RCODE_NOTAUTH: /* not its zone, or not our key: nobody's child is to blame */
	case MSP_RCODE_NOTIMP:
		return MSP_ENET;
	default:
		return MSP_ERCODE;
	}
}

static enum msp_err judge(struct updater *u, struct msp_span answer, struct msp_why *why)
{
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(answer, &u->scratch, &m, why), tsig;
	struct msp_option opt;
	struct msp_ede ede = { 0 };

	if (err != MSP_OK)
		return msp_fail(why, MSP_ENET, "%s: answer is malformed", MSP_ADDR(&u->addr));
	tsig = msp_tsig_verify_response(&u->tsig, &m, true, msp_wall_now(), why);
	err = meaning(m.rcode);
	if (tsig != MSP_OK) /* an unsigned refusal is nobody's word: all wait */
		return msp_fail(why, MSP_ENET, "%s: answered %s, signature: %s", MSP_ADDR(&u->addr),
				msp_rcode_name(m.rcode), msp_err_text(tsig));
	if (err == MSP_OK)
		return MSP_OK;
	if (m.edns.present && msp_edns_find(&m.edns, MSP_OPT_EDE, &opt) && msp_ede_parse(opt.data, &ede) != MSP_OK)
		ede = (struct msp_ede){ 0 };
	return msp_fail(why, err, "%s: answered %s%s%.*s", MSP_ADDR(&u->addr), msp_rcode_name(m.rcode),
			ede.text.len > 0 ? ", " : "", (int)(ede.text.len < 100 ? ede.text.len : 100),
			ede.text.len > 0 ? (const char *)ede.text.ptr : "");
}

static enum msp_err send_next(struct updater *u, struct msp_why *why);

static void answered(void *arg, enum msp_err err, struct msp_span answer)
{
	struct updater *u = arg;
	struct msp_why why = { "" };

	u->xchg = NULL;
	if (err == MSP_OK)
		err = judge(u, answer, &why);
	else
		err = msp_fail(&why, MSP_ENET, "%s: %s", MSP_ADDR(&u->addr), msp_err_text(err));
	msp_tsig_ctx_fini(&u->tsig);
	if (err == MSP_OK) {
		u->at = u->until;
		if (u->at < u->count)
			err = send_next(u, &why);
		if (err == MSP_OK && u->xchg != NULL)
			return;
	}
	finish(u, err, &why);
}

static enum msp_err send_next(struct updater *u, struct msp_why *why)
{
	const struct msp_tsig_key *key = prt_settings_tsig_named(u->settings, &u->key);
	struct msp_xchg_params p = {
		.server = u->addr, .transport = MSP_TCP_ONLY, .is_signed = true, .timeout_ms = { u->timeout_s * 1000 }
	};
	enum msp_err err;
	size_t len;

	if (key == NULL)
		return msp_fail(why, MSP_ENET, "there is no key %s", MSP_NAME(&u->key));
	err = build(u, &len, why);
	if (err == MSP_OK)
		err = msp_tsig_sign_request(key, msp_wall_now(), u->message, &len, sizeof(u->message), &u->tsig);
	p.message = msp_span(u->message, len);
	if (err == MSP_OK)
		err = msp_xchg_start(u->app->loop, &p, answered, u, &u->xchg);
	if (err == MSP_OK)
		return MSP_OK;
	msp_tsig_ctx_fini(&u->tsig);
	return err == MSP_EREFUSED ? err /* too large */
				   : msp_fail(why, MSP_ENET, "cannot be sent: %s", msp_err_text(err));
}

/* --- the driver ----------------------------------------------------------------------------------------------------
 */

static void on_soon(void *arg)
{
	struct updater *u = arg;

	finish(u, u->err, &u->why);
}

static enum msp_err update_open(struct prt_app *app, const struct prt_conf_parent *parent,
				const struct prt_conf_backend *conf, struct prt_backend **out, struct msp_why *why)
{
	struct updater *u = msp_alloc(1, sizeof(*u));
	enum msp_err err = u != NULL ? msp_timer_new(app->loop, on_soon, u, &u->soon) : MSP_ENOMEM;

	if (err != MSP_OK) {
		msp_free(u);
		return msp_fail(why, err, "%s", msp_err_text(err));
	}
	u->base.driver = &prt_backend_update;
	u->app = app;
	u->settings = prt_settings_ref(app->settings);
	u->addr = conf->addr;
	u->zone = parent->zone;
	u->key = conf->tsig_key;
	u->timeout_s = conf->timeout_s > 0 ? conf->timeout_s : TIMEOUT_S;
	*out = &u->base;
	return MSP_OK;
}

static enum msp_err update_apply(struct prt_backend *b, const struct prt_backend_job *jobs, size_t count,
				 prt_backend_done_fn *done, void *arg)
{
	struct updater *u = (struct updater *)b;
	enum msp_err err;

	u->job = msp_memdup(jobs, count * sizeof(*jobs));
	if (u->job == NULL)
		return MSP_ENOMEM;
	u->count = count;
	u->at = 0;
	u->done = done;
	u->arg = arg;
	u->why.text[0] = '\0';
	err = send_next(u, &u->why);
	if (err != MSP_OK) {
		u->err = err;
		msp_timer_start(u->soon, 0);
	}
	return MSP_OK;
}

static void update_close(struct prt_backend **b)
{
	struct updater *u = (struct updater *)*b;

	if (u == NULL)
		return;
	*b = NULL;
	if (u->xchg != NULL)
		msp_xchg_cancel(&u->xchg);
	msp_timer_close(&u->soon);
	msp_tsig_ctx_fini(&u->tsig);
	prt_settings_unref(&u->settings);
	msp_free(u->job);
	msp_free(u);
}

const struct prt_backend_driver prt_backend_update = {
	.name = "update", .batch = BATCH, .open = update_open, .apply = update_apply, .close = update_close
};
