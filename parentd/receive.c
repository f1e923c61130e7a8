/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes in: budgets, shape, who is to look at it; and how it is answered. */
#include "receive_priv.h"

#include <msproto/base/mem.h>

#include <stddef.h>
#include <string.h>

#define SOURCES       32768 /* prefixes, addresses or names with a bucket of their own */
#define RESCUE        10    /* times the budget: messages a second that are read only to look for a cookie */
#define SIGN_ALL      20    /* times the budget of a prefix: signed refusals to all together */
#define LOG_ALL       100   /* lines a second about what anybody may send */
#define LOG_BURST     1000
#define UPLOADS_S     20 /* keys of strangers that are taken in, a second; 3 an hour of each child are allowed (K) */
#define UPLOADS_BURST 500
#define NOTICES_S     5 /* of one child a second that are handed on; the rest is answered, and nothing more */

/* --- budgets --------------------------------------------------------------------------------------------------------
 */

/* A bucket for octets: the tables are keyed by prefixes of 56 bits, and this is one that nobody can choose. */
static struct msp_addr bucket_of(const struct prt_receiver *r, struct msp_span octets)
{
	struct msp_addr q = { .family = MSP_FAMILY_V6 };
	uint64_t hash = prt_siphash(r->name_secret, octets);

	for (size_t i = 0; i < 7; i++)
		q.oct[i] = (uint8_t)(hash >> (8 * i));
	return q;
}

bool prt_name_take(struct prt_receiver *r, struct msp_bucket_table *q, const struct msp_name *name, struct msp_mono now)
{
	struct msp_name lower = *name;
	struct msp_addr bucket;

	msp_name_lower(&lower);
	bucket = bucket_of(r, msp_name_span(&lower));
	return msp_bucket_take(q, &bucket, now);
}

static struct msp_addr bucket_of_peer(const struct prt_call *c)
{
	return bucket_of(c->r, msp_span(c->peer.oct, sizeof(c->peer.oct)));
}

void prt_call_spend(struct prt_call *c)
{
	struct msp_addr own;

	if (!c->is_proven) {
		(void)msp_bucket_take(c->r->requests, &c->peer, c->now);
		return;
	}
	own = bucket_of_peer(c);
	(void)msp_bucket_take(c->r->proven, &own, c->now);
}

static bool has_budget(const struct prt_call *c)
{
	struct msp_addr own;

	if (!c->is_proven)
		return msp_bucket_peek(c->r->requests, &c->peer, c->now);
	own = bucket_of_peer(c);
	return msp_bucket_peek(c->r->proven, &own, c->now);
}

bool prt_call_may_fail(const struct prt_call *c)
{
	struct msp_addr own = bucket_of_peer(c);

	return c->is_proven ? msp_bucket_peek(c->r->failures_proven, &own, c->now)
			    : msp_bucket_peek(c->r->failures, &c->peer, c->now);
}

void prt_call_failed(const struct prt_call *c)
{
	struct msp_addr own = bucket_of_peer(c);

	(void)(c->is_proven ? msp_bucket_take(c->r->failures_proven, &own, c->now)
			    : msp_bucket_take(c->r->failures, &c->peer, c->now));
}

static enum msp_err bucket(int64_t per_s, int64_t burst, struct msp_bucket_table **out)
{
	msp_bucket_free(out);
	return msp_bucket_new(SOURCES, (uint32_t)per_s, (uint32_t)burst, out);
}

static void free_buckets(struct prt_receiver *r)
{
	msp_bucket_free(&r->requests);
	msp_bucket_free(&r->proven);
	msp_bucket_free(&r->rescue);
	msp_bucket_free(&r->failures);
	msp_bucket_free(&r->failures_proven);
	msp_bucket_free(&r->uploads);
	msp_bucket_free(&r->signing);
	msp_bucket_free(&r->signing_all);
	msp_bucket_free(&r->logging_all);
	msp_bucket_free(&r->names);
	msp_bucket_free(&r->names_proven);
	msp_bucket_free(&r->notices);
}

/* Into `to`, whose tables are empty. */
static enum msp_err make_buckets(const struct prt_conf_limits *l, struct prt_receiver *to)
{
	int64_t all = l->signed_refusals_per_s * SIGN_ALL, rescue = l->requests_per_s * RESCUE;
	enum msp_err err = bucket(l->requests_per_s, l->requests_per_s, &to->requests);

	if (err == MSP_OK)
		err = bucket(l->requests_per_s, l->requests_per_s, &to->proven);
	if (err == MSP_OK)
		err = bucket(rescue, rescue, &to->rescue);
	if (err == MSP_OK)
		err = bucket(l->failures_per_s, l->failures_per_s, &to->failures);
	if (err == MSP_OK)
		err = bucket(l->failures_per_s, l->failures_per_s, &to->failures_proven);
	if (err == MSP_OK)
		err = msp_bucket_new(1, UPLOADS_S, UPLOADS_BURST, &to->uploads);
	if (err == MSP_OK)
		err = bucket(l->signed_refusals_per_s, l->signed_refusals_per_s, &to->signing);
	if (err == MSP_OK)
		err = msp_bucket_new(1, (uint32_t)all, (uint32_t)all, &to->signing_all);
	if (err == MSP_OK)
		err = msp_bucket_new(1, LOG_ALL, LOG_BURST, &to->logging_all);
	if (err == MSP_OK)
		err = bucket(l->verify_per_name_per_s, l->verify_per_name_per_s, &to->names);
	if (err == MSP_OK)
		err = bucket(l->verify_per_name_per_s, l->verify_per_name_per_s, &to->names_proven);
	return err == MSP_OK ? bucket(NOTICES_S, NOTICES_S, &to->notices) : err;
}

/* --- requests
 * -----------------------------------------------------------------------------------------------------------
 */

void prt_request_line_add(struct prt_request_line *l, struct prt_request *q)
{
	q->behind = NULL;
	if (l->last != NULL)
		l->last->behind = q;
	else
		l->first = q;
	l->last = q;
}

struct prt_request *prt_request_line_take(struct prt_request_line *l)
{
	struct prt_request *q = l->first;

	if (q == NULL)
		return NULL;
	l->first = q->behind;
	if (l->first == NULL)
		l->last = NULL;
	return q;
}

void prt_request_line_remove(struct prt_request_line *l, const struct prt_request *q)
{
	struct prt_request *before = NULL;

	for (struct prt_request *at = l->first; at != NULL; before = at, at = at->behind) {
		if (at != q)
			continue;
		*(before != NULL ? &before->behind : &l->first) = at->behind;
		if (l->last == at)
			l->last = before;
		return;
	}
}

/* Requests are large, and come and go all the time: the usual ones are used again. */
static struct prt_request *take_memory(struct prt_receiver *r, size_t len)
{
	size_t room = len > PRT_REQUEST_ROOM ? len : PRT_REQUEST_ROOM;
	struct prt_request *q = len <= PRT_REQUEST_ROOM ? prt_request_line_take(&r->spare) : NULL;

	if (q != NULL) {
		r->spares--;
		memset(q, 0, offsetof(struct prt_request, key));
		return q;
	}
	q = msp_alloc(1, sizeof(*q) + room);
	if (q != NULL)
		q->room = room;
	return q;
}

static void give_memory(struct prt_receiver *r, struct prt_request *q)
{
	if (q->room != PRT_REQUEST_ROOM || r->spares == PRT_SPARE_MAX || r->is_closed) {
		msp_free(q);
		return;
	}
	r->spares++;
	prt_request_line_add(&r->spare, q);
}

static void free_spares(struct prt_receiver *r)
{
	for (struct prt_request *q; (q = prt_request_line_take(&r->spare)) != NULL;)
		msp_free(q);
	r->spares = 0;
}

struct prt_request *prt_request_new(struct prt_call *c)
{
	struct prt_receiver *r = c->r;
	struct msp_span raw = c->m.raw;
	struct prt_request *q;

	if (r->request_count >= PRT_REQUESTS_MAX || r->request_octets + raw.len > PRT_REQUEST_OCTETS_MAX)
		return NULL;
	q = take_memory(r, raw.len);
	if (q == NULL)
		return NULL;
	q->call = *c;
	memcpy(q->octets, raw.ptr, raw.len);
	q->call.m.raw.ptr = q->octets;
	if (c->m.edns.options.len != 0) /* they lie in the message */
		q->call.m.edns.options.ptr = q->octets + (c->m.edns.options.ptr - raw.ptr);
	q->call.child = NULL;
	q->settings = prt_settings_ref(r->app->settings);
	q->next = r->held;
	if (r->held != NULL)
		r->held->prev = q;
	r->held = q;
	r->request_count++;
	r->request_octets += raw.len;
	c->req = NULL; /* the request's now */
	c->tsig = (struct msp_tsig_ctx){ .key = NULL };
	return q;
}

void prt_request_verifies(struct prt_request *q, bool does)
{
	struct prt_receiver *r = q->call.r;

	if (q->is_verifying == does)
		return;
	q->is_verifying = does;
	r->verifying += does ? 1 : (size_t)-1;
	if (r->app->books != NULL)
		prt_books_expect(r->app->books, r->verifying);
}

void prt_request_end(struct prt_request *q)
{
	struct prt_receiver *r = q->call.r;

	if (q->call.req != NULL)
		msp_req_drop(&q->call.req);
	msp_tsig_ctx_fini(&q->call.tsig);
	if (q->has_outcome)
		prt_outcome_fini(&q->outcome);
	prt_request_verifies(q, false);
	r->request_count--;
	r->request_octets -= q->call.m.raw.len;
	*(q->prev != NULL ? &q->prev->next : &r->held) = q->next;
	if (q->next != NULL)
		q->next->prev = q->prev;
	prt_settings_unref(&q->settings);
	give_memory(r, q);
}

/* --- answering ------------------------------------------------------------------------------------------------------
 */

void prt_refuse_no_child(struct prt_refusal *no, const struct msp_name *name)
{
	(void)prt_refuse_own(no, MSP_EDE_NOT_A_DELEGATION, "G.5 step 3: a delegation of the zone", "%s: %s",
			     MSP_NAME(name), msp_ede_text(MSP_EDE_NOT_A_DELEGATION));
}

void prt_refuse_trouble(struct prt_refusal *no, enum msp_err err)
{
	(void)prt_refuse_std(no, err == MSP_EBUSY ? MSP_EDE_BLOCKED : MSP_EDE_OTHER, "temporarily unable", "%s",
			     msp_err_text(err));
	no->rcode = MSP_RCODE_SERVFAIL;
}

bool prt_call_may_log(const struct prt_call *c, enum msp_log_level level)
{
	static const struct msp_addr all = { .family = MSP_FAMILY_NONE };
	const struct prt_app *app = c->r->app;

	return app->log != NULL && app->log->level >= level && msp_bucket_take(app->log_budget, &c->peer, c->now) &&
	       msp_bucket_take(c->r->logging_all, &all, c->now);
}

static void log_refusal(const struct prt_call *c, const struct msp_name *child, const struct prt_refusal *no)
{
	if (!prt_call_may_log(c, MSP_LOG_NOTICE))
		return;
	msp_log(c->r->app->log, MSP_LOG_NOTICE, "refused",
		MSP_F_STR("zone", msp_name_is_set(&c->m.question.name) ? MSP_NAME(&c->m.question.name) : "-"),
		MSP_F_STR("child", child != NULL && msp_name_is_set(child) ? MSP_NAME(child) : "-"),
		MSP_F_STR("peer", MSP_ADDR(&c->peer)), MSP_F_STR("transport", c->is_tcp ? "tcp" : "udp"),
		MSP_F_U64("opcode", c->m.opcode), MSP_F_STR("rcode", msp_rcode_name(no->rcode)),
		MSP_F_STR("rule", no->rule != NULL ? no->rule : "-"), MSP_F_STR("why", no->why.text));
}

static void describe(const struct prt_call *c, const struct prt_refusal *no, const struct msp_numbers *numbers,
		     uint16_t flags, struct prt_reply *out)
{
	*out = (struct prt_reply){ .request = &c->m,
				   .refusal = no,
				   .numbers = numbers,
				   .flags = flags,
				   .is_tcp = c->is_tcp,
				   .key_id = c->key_id,
				   .cookie_len = c->cookie_len };
	memcpy(out->cookie, c->cookie, c->cookie_len);
}

static void send_now(struct prt_call *c, const struct prt_reply *reply)
{
	struct prt_seal seal = { .tsig = c->tsig.key != NULL ? &c->tsig : NULL, .now = c->wall };
	uint8_t out[PRT_REPLY_MAX];
	bool is_signed;
	size_t len;

	if (prt_reply_write(reply, &seal, out, sizeof(out), &len, &is_signed) == MSP_OK)
		msp_req_reply(&c->req, msp_span(out, len));
	else
		msp_req_drop(&c->req);
}

void prt_call_answer(struct prt_call *c, const struct prt_refusal *no, uint16_t flags)
{
	struct prt_reply reply;

	describe(c, no, &c->r->app->conf->numbers, flags, &reply);
	send_now(c, &reply);
}

/* Whether the answer to something that was not verified may cost a signature (PROTOCOL G.7). */
static bool may_sign(struct prt_call *c)
{
	static const struct msp_addr all = { .family = MSP_FAMILY_NONE };

	return c->m.sig0_at != 0 && msp_bucket_peek(c->r->signing_all, &all, c->now) &&
	       msp_bucket_take(c->r->signing, &c->peer, c->now) && msp_bucket_take(c->r->signing_all, &all, c->now);
}

static void refuse(struct prt_call *c, const struct prt_refusal *no, bool has_state, enum msp_keystate_state state)
{
	struct prt_request *q = NULL;

	prt_call_spend(c);
	c->r->app->stats.updates_refused += c->m.opcode == MSP_OPCODE_UPDATE;
	log_refusal(c, c->child, no);
	if (may_sign(c))
		q = prt_request_new(c);
	if (q == NULL) {
		prt_call_answer(c, no, 0);
		return;
	}
	q->refusal = *no;
	q->has_state = has_state;
	q->state = state;
	prt_request_answer(q, true); /* the token has been taken */
}

void prt_call_refuse(struct prt_call *c, const struct prt_refusal *no)
{
	refuse(c, no, false, MSP_KEYSTATE_UNKNOWN);
}

void prt_call_refuse_state(struct prt_call *c, const struct prt_refusal *no, enum msp_keystate_state state)
{
	refuse(c, no, c->inquiry != PRT_INQUIRY_NONE, state);
}

void prt_call_refuse_unknown(struct prt_call *c, const struct prt_refusal *no)
{
	bool is_unknown = no->has_ede && !no->is_standard && no->ede == MSP_EDE_NOT_A_DELEGATION;

	if (is_unknown && c->m.sig0_at != 0)
		c->inquiry = prt_inquiry_read(&c->m.edns, &c->r->app->conf->numbers, false, &c->key_id);
	prt_call_refuse_state(c, no,
			      c->inquiry == PRT_INQUIRY_MALFORMED ? MSP_KEYSTATE_MALFORMED : MSP_KEYSTATE_UNKNOWN);
}

/* In a worker. */
static void write_answer(struct prt_request *q)
{
	struct prt_seal seal = { .key = q->is_signed ? prt_settings_key(q->settings, 0) : NULL, .now = msp_wall_now() };
	struct prt_reply reply;

	describe(&q->call, &q->refusal, &prt_settings_conf(q->settings)->numbers, q->flags, &reply);
	reply.has_state = q->has_state;
	reply.state = q->state;
	if (prt_reply_write(&reply, &seal, q->reply, sizeof(q->reply), &q->reply_len, &q->is_signed) != MSP_OK)
		q->reply_len = 0;
}

static void send_answer(struct prt_request *q)
{
	struct prt_app *app = q->call.r->app;

	app->stats.signatures += q->is_signed;
	if (q->reply_len == 0)
		msp_req_drop(&q->call.req);
	else
		msp_req_reply(&q->call.req, msp_span(q->reply, q->reply_len));
	app->stats.keystates += q->is_signed && q->has_state;
	prt_request_end(q);
}

void prt_request_answer(struct prt_request *q, bool is_verified)
{
	struct prt_call *c = &q->call;

	if (c->tsig.key != NULL) { /* an HMAC: cheap */
		prt_call_answer(c, &q->refusal, q->flags);
		prt_request_end(q);
		return;
	}
	q->is_signed = is_verified || may_sign(c);
	if (!q->is_signed || prt_is_cheap_here(c->r, msp_key_alg(prt_settings_key(q->settings, 0)))) {
		write_answer(q);
		send_answer(q);
		return;
	}
	q->work = write_answer;
	q->after = send_answer;
	prt_crew_add(c->r, q);
}

void prt_request_refuse(struct prt_request *q, bool is_verified)
{
	if (!is_verified)
		prt_call_spend(&q->call);
	q->call.r->app->stats.updates_refused += q->call.m.opcode == MSP_OPCODE_UPDATE;
	log_refusal(&q->call, &q->child, &q->refusal);
	prt_request_answer(q, is_verified);
}

/* --- one message ----------------------------------------------------------------------------------------------------
 */

static void answer_malformed(struct prt_call *c, const struct msp_why *why)
{
	struct prt_refusal no;
	struct prt_reply reply;

	prt_call_spend(c);
	(void)prt_refuse(&no, MSP_RCODE_FORMERR, "C.3 step 1: well-formed", "%s", why->text);
	log_refusal(c, NULL, &no);
	c->cookie_len = 0;
	describe(c, &no, &c->r->app->conf->numbers, 0, &reply);
	reply.is_malformed = true;
	send_now(c, &reply);
}

/* False: answered. */
static bool check_tsig(struct prt_call *c)
{
	enum msp_tsig_error error = MSP_TSIG_NOERROR;
	const struct msp_tsig_key *key;
	uint8_t out[PRT_REPLY_MAX];
	struct prt_refusal no;
	struct msp_msgw w;
	struct msp_span msg;
	enum msp_err err;
	size_t len;

	if (c->m.tsig_at == 0)
		return true;
	err = msp_tsig_verify_request(&c->m, prt_settings_find_tsig, c->r->app->settings, c->wall, &c->tsig, &error);
	if (err == MSP_OK)
		return true;
	prt_call_spend(c);
	(void)prt_refuse(&no, msp_err_rcode(err), "C.6: TSIG", "%s", msp_err_text(err));
	log_refusal(c, NULL, &no);
	key = c->tsig.key;
	c->tsig.key = NULL; /* not verified */
	if (error == MSP_TSIG_NOERROR) {
		prt_call_answer(c, &no, 0);
		return false;
	}
	msp_msgw_respond(&w, out, sizeof(out) - MSP_TSIG_RR_MAX, &c->m, MSP_RCODE_NOTAUTH, 0);
	err = msp_msgw_finish(&w, &msg);
	len = err == MSP_OK ? msg.len : 0;
	if (err == MSP_OK)
		err = msp_tsig_sign_error(&c->m, key, error, c->wall, out, &len, sizeof(out));
	if (err == MSP_OK)
		msp_req_reply(&c->req, msp_span(out, len));
	return false;
}

static void dispatch(struct prt_call *c)
{
	struct prt_refusal no;

	if (c->m.edns.present && c->m.edns.version != 0) {
		(void)prt_refuse(&no, MSP_RCODE_BADVERS, "RFC 6891 6.1.3: version 0", "EDNS version %u",
				 c->m.edns.version);
		prt_call_spend(c);
		prt_call_answer(c, &no, 0);
		return;
	}
	if (c->m.opcode == MSP_OPCODE_QUERY) { /* the publisher looks at the TSIG of transfers itself */
		prt_receive_query(c);
		return;
	}
	if (c->m.opcode != MSP_OPCODE_UPDATE && c->m.opcode != MSP_OPCODE_NOTIFY) {
		(void)prt_refuse(&no, MSP_RCODE_NOTIMP, "UPDATE, NOTIFY and QUERY only", "opcode %u", c->m.opcode);
		prt_call_refuse(c, &no);
		return;
	}
	if (!check_tsig(c))
		return;
	if (c->m.opcode == MSP_OPCODE_UPDATE)
		prt_receive_update(c);
	else
		prt_receive_notify(c);
}

/* False: the option is malformed, and the request is answered. */
static bool check_cookie(struct prt_call *c)
{
	struct prt_refusal no;

	switch (prt_cookie_check(&c->r->jar, &c->m.edns, &c->peer, c->wall, c->cookie)) {
	case PRT_COOKIE_NONE:
		return true;
	case PRT_COOKIE_GOOD:
		c->is_proven = true;
		c->cookie_len = PRT_COOKIE_LEN;
		return true;
	case PRT_COOKIE_CLIENT:
		c->cookie_len = PRT_COOKIE_LEN;
		return true;
	case PRT_COOKIE_MALFORMED:
		break;
	}
	(void)prt_refuse(&no, MSP_RCODE_FORMERR, "RFC 7873 5.2.2: length of a cookie", "malformed cookie");
	prt_call_spend(c);
	prt_call_answer(c, &no, 0);
	return false;
}

/* A prefix that is over its budget is heard on with a cookie: whoever has got one is who he says. */
static bool is_heard(struct prt_call *c, bool *needs_cookie)
{
	*needs_cookie = false;
	if (has_budget(c))
		return true;
	*needs_cookie = true;
	return !c->is_tcp && msp_bucket_take(c->r->rescue, &c->peer, c->now);
}

static void receive(struct prt_call *c)
{
	struct msp_why why = { "" };
	bool needs_cookie;
	enum msp_err err;

	if (!is_heard(c, &needs_cookie))
		return;
	err = msp_msg_parse(msp_req_message(c->req), &c->r->scratch, &c->m, &why);
	if ((c->m.flags & MSP_FLAG_QR) != 0) {
		prt_call_spend(c);
		return; /* an answer that nobody waits for is never answered */
	}
	if (needs_cookie && (err != MSP_OK || !check_cookie(c) || !c->is_proven || !has_budget(c)))
		return;
	if (err != MSP_OK)
		answer_malformed(c, &why);
	else if (needs_cookie || check_cookie(c))
		dispatch(c);
}

void prt_receive(void *arg, struct msp_req *req)
{
	struct prt_app *app = arg;
	struct prt_receiver *r = app->receiver;
	struct prt_call c;

	app->stats.requests++;
	if (r == NULL || r->is_closed) {
		msp_req_drop(&req);
		return;
	}
	c.r = r;
	c.req = req;
	c.peer = *msp_req_peer(req);
	c.is_tcp = c.is_proven = msp_req_is_tcp(req);
	c.now = msp_mono_now();
	c.wall = msp_wall_now();
	c.tsig = (struct msp_tsig_ctx){ .key = NULL };
	c.inquiry = PRT_INQUIRY_NONE;
	c.key_id = 0;
	c.cookie_len = 0;
	c.child = NULL;
	prt_cookie_roll(&r->jar, &app->rand, c.wall);
	receive(&c);
	if (c.req != NULL) {
		app->stats.dropped++;
		msp_req_drop(&c.req);
	}
	msp_tsig_ctx_fini(&c.tsig);
}

/* --- open, close ----------------------------------------------------------------------------------------------------
 */

static void on_timer(void *arg)
{
	struct prt_receiver *r = arg;
	struct msp_mono now = msp_mono_now();

	prt_crew_kick(r);
	prt_update_overdue(r, now);
}

enum msp_err prt_receiver_open(struct prt_app *app, struct prt_receiver **out)
{
	struct prt_receiver *r = msp_alloc(1, sizeof(*r));
	enum msp_err err;

	*out = r;
	if (r == NULL)
		return MSP_ENOMEM;
	r->app = app;
	msp_rand_bytes(&app->rand, r->name_secret, sizeof(r->name_secret));
	prt_cookie_init(&r->jar, &app->rand, msp_wall_now());
	err = prt_crew_open(r);
	if (err == MSP_OK)
		err = make_buckets(&app->conf->limits, r);
	if (err == MSP_OK)
		err = msp_timer_new(app->loop, on_timer, r, &r->timer);
	if (err != MSP_OK)
		prt_receiver_close(out);
	return err;
}

void prt_receiver_renew(struct prt_receiver *r)
{
	struct prt_receiver *next = msp_alloc(1, sizeof(*next)); /* a place for the new tables */

	if (next == NULL || make_buckets(&r->app->conf->limits, next) != MSP_OK) {
		msp_log(r->app->log, MSP_LOG_ERROR, "reload-failed", MSP_F_STR("what", "limits"));
	} else {
#define SWAP(table)                                                                                                    \
	do {                                                                                                           \
		struct msp_bucket_table *old = r->table;                                                               \
		r->table = next->table;                                                                                \
		next->table = old;                                                                                     \
	} while (0)
		SWAP(requests);
		SWAP(proven);
		SWAP(rescue);
		SWAP(failures);
		SWAP(failures_proven);
		SWAP(signing);
		SWAP(signing_all);
		SWAP(names);
		SWAP(names_proven);
#undef SWAP
	}
	if (next != NULL)
		free_buckets(next);
	msp_free(next);
}

/* What nobody else has in hand. The books and the workers call back. */
static void end_all(struct prt_receiver *r, bool with_books)
{
	struct prt_request *next;

	for (struct prt_request *q = r->held; q != NULL; q = next) {
		next = q->next;
		if (q->call.req != NULL)
			msp_req_drop(&q->call.req);
		if (q->watch != NULL)
			prt_follow_forget(&q->watch);
		if (q->phase != PRT_PHASE_CREW && (q->phase != PRT_PHASE_BOOKS || with_books))
			prt_request_end(q);
	}
	r->line = r->checks = (struct prt_request_line){ NULL, NULL };
}

void prt_receiver_close(struct prt_receiver **rp)
{
	struct prt_receiver *r = *rp;
	bool again;

	if (r == NULL)
		return;
	again = r->is_closed;
	if (!again) {
		r->is_closed = true;
		prt_crew_stop(r);
		if (r->timer != NULL)
			msp_timer_close(&r->timer);
	}
	free_spares(r);
	end_all(r, again);
	for (struct prt_request *q = r->held; !again && q != NULL; q = q->next)
		if (q->phase == PRT_PHASE_BOOKS)
			return; /* once more, after the books */
	free_buckets(r);
	*rp = NULL;
	prt_crew_free(r); /* and r with it, when the last batch has come back */
}

size_t prt_receiver_load(const struct prt_receiver *r)
{
	return r->request_count;
}
