/* SPDX-License-Identifier: BSD-2-Clause */
#include "shell.h"

#include "combiner_client.h"
#include "ident_serve.h"
#include "key_file.h"
#include "zone_fetch.h"

#include <msproto/base/bucket.h>
#include <msproto/base/map.h>
#include <msproto/base/mem.h>
#include <msproto/io/resolve.h>
#include <msproto/io/server.h>
#include <msproto/io/xchg.h>
#include <msproto/kit/daemon.h>
#include <msproto/kit/store.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/notify.h>

#include <stdio.h>
#include <string.h>

#define STORE_SCHEMA      1
#define STORE_BUCKET      "core"
#define SENDS_MAX         4096
#define LOOKUPS_MAX       10240
#define LOG_SOURCES       1024
#define LOG_PER_S         1
#define LOG_BURST         10
#define FAILURES_MAX      4096
#define READ_RETRY_MS     500
#define READ_RETRY_MAX_MS 60000

/* A zone's hands: what fetches it, what instructs its combiner, what commands its signer. */
struct zone {
	struct msa_shell *shell;          /* borrowed */
	const struct msa_conf_zone *conf; /* borrowed from the configuration */
	struct msa_fetch *fetch;
	struct msa_combiner *combiner;
	struct msa_signer_job *job; /* under way */
	uint64_t job_id;
	struct msp_timer *read_timer; /* until the combiner was read back; NULL when there is no need */
	uint64_t read_retry_ms;
};

/* A message under way to a peer. */
struct send {
	struct msa_shell *shell;
	struct msp_xchg *xchg;
	uint64_t id;
};

struct lookup {
	struct msa_shell *shell;
	uint64_t id;
};

/* What could not be done at all, or was done at once: told to the core when the present list of actions is through. */
struct failure {
	enum msa_action_kind kind;
	uint64_t id;
	struct msp_name zone;
	enum msp_err err;
	struct msp_key *key; /* owned: of MSA_ACT_KEY, with MSP_OK */
	char *file;          /* owned: the same */
};

struct msa_shell {
	struct msp_loop *loop;
	const struct msp_log *log;
	const struct msa_conf *conf;
	struct msp_rand rand;
	struct msp_tsig_ring *ring;
	struct msp_key *key;
	struct msp_store *store;
	struct msa_core *core;
	struct msa_actions actions;
	struct msp_resolver *resolver;
	struct msp_timer *tick;
	struct msp_server *peer_server[MSA_LISTEN_MAX], *zone_server[MSA_LISTEN_MAX];
	struct msa_ident *ident;
	struct zone *zones;                     /* owned, conf->zones.count of them */
	struct msp_map by_name, sends, lookups; /* -> struct zone; id -> struct send, struct lookup (owned) */
	struct msp_req *req;                    /* the request being answered in this step; owned until replied to */
	struct failure *failures;               /* ring of FAILURES_MAX */
	size_t failure_count;
	struct msp_bucket_table *log_budget; /* lines about strangers */
	struct msp_rr_scratch scratch;
	uint64_t store_failures, notifies_in, notifies_refused;
};

static struct zone *zone_of(const struct msa_shell *s, const struct msp_name *name)
{
	struct msp_name_key key = msp_name_key(name);

	return msp_map_get(&s->by_name, msp_name_key_span(&key));
}

static struct msp_span id_key(const uint64_t *id)
{
	return msp_span(id, sizeof(*id));
}

static void feed(struct msa_shell *s, const struct msa_event *ev);

/* ---- performing actions */

static void fail_later(struct msa_shell *s, const struct msa_action *a, enum msp_err err)
{
	if (s->failure_count == FAILURES_MAX) {
		msp_log(s->log, MSP_LOG_ERROR, "too-many-failures", MSP_F_U64("id", a->id));
		return;
	}
	s->failures[s->failure_count++] = (struct failure){ .kind = a->kind, .id = a->id, .zone = a->name, .err = err };
}

static void send_done(void *arg, enum msp_err err, struct msp_span answer)
{
	struct send *send = arg;
	struct msa_shell *s = send->shell;
	struct msa_event ev = { .kind = MSA_EV_ANSWER, .u.answer = { send->id, err, answer } };

	(void)msp_map_del(&s->sends, id_key(&send->id));
	msp_free(send);
	feed(s, &ev);
}

static enum msp_err do_send(struct msa_shell *s, const struct msa_action *a)
{
	struct msp_xchg_params p = { .server = a->addr,
				     .transport = a->tcp_only ? MSP_TCP_ONLY : MSP_UDP_THEN_TCP,
				     .message = a->octets,
				     .timeout_ms = { 5000, 10000, 20000 } };
	struct send *send = msp_alloc(1, sizeof(*send));
	enum msp_err err;

	if (send == NULL)
		return MSP_ENOMEM;
	if (a->timeout_ms != 0) { /* the core sends again by itself, signed anew */
		memset(p.timeout_ms, 0, sizeof(p.timeout_ms));
		p.timeout_ms[0] = a->timeout_ms;
	}
	send->shell = s;
	send->id = a->id;
	err = msp_map_put(&s->sends, id_key(&send->id), send, NULL);
	if (err == MSP_OK) {
		err = msp_xchg_start(s->loop, &p, send_done, send, &send->xchg);
		if (err != MSP_OK)
			(void)msp_map_del(&s->sends, id_key(&send->id));
	}
	if (err != MSP_OK)
		msp_free(send);
	return err;
}

static void lookup_done(void *arg, enum msp_lookup verdict, struct msp_secure_rrset *secure, const char *why)
{
	struct lookup *l = arg;
	struct msa_event ev = { .kind = MSA_EV_LOOKUP, .u.lookup = { l->id, verdict, secure, why } };
	struct msa_shell *s = l->shell;

	(void)msp_map_del(&s->lookups, id_key(&l->id));
	msp_free(l);
	feed(s, &ev);
	msp_secure_free(&secure);
}

static enum msp_err do_lookup(struct msa_shell *s, const struct msa_action *a)
{
	struct lookup *l = msp_alloc(1, sizeof(*l));
	enum msp_err err;

	if (l == NULL)
		return MSP_ENOMEM;
	l->shell = s;
	l->id = a->id;
	err = msp_map_put(&s->lookups, id_key(&l->id), l, NULL);
	if (err == MSP_OK) {
		err = msp_resolver_ask(s->resolver, &a->name, a->type, lookup_done, l);
		if (err != MSP_OK)
			(void)msp_map_del(&s->lookups, id_key(&l->id));
	}
	if (err != MSP_OK)
		msp_free(l);
	return err;
}

static void open_done(void *arg, const struct msp_open_answer *answer)
{
	struct lookup *l = arg;
	struct msa_event ev = { .kind = MSA_EV_LOOKUP_OPEN };
	struct msa_shell *s = l->shell;

	ev.u.open.id = l->id;
	ev.u.open.verdict = answer->verdict;
	ev.u.open.is_negative = answer->is_negative;
	ev.u.open.set = answer->set;
	ev.u.open.soa_owner = answer->soa_owner;
	ev.u.open.why = answer->why;
	(void)msp_map_del(&s->lookups, id_key(&l->id));
	msp_free(l);
	feed(s, &ev);
}

static enum msp_err do_lookup_open(struct msa_shell *s, const struct msa_action *a)
{
	struct lookup *l = msp_alloc(1, sizeof(*l));
	enum msp_err err;

	if (l == NULL)
		return MSP_ENOMEM;
	l->shell = s;
	l->id = a->id;
	err = msp_map_put(&s->lookups, id_key(&l->id), l, NULL);
	if (err == MSP_OK) {
		err = msp_resolver_ask_open(s->resolver, &a->name, a->type, open_done, l);
		if (err != MSP_OK)
			(void)msp_map_del(&s->lookups, id_key(&l->id));
	}
	if (err != MSP_OK)
		msp_free(l);
	return err;
}

/* A file is short work: what came of it is told after the present list of actions, as the core expects of every action.
 */
static enum msp_err do_key(struct msa_shell *s, const struct msa_action *a)
{
	struct failure done = { .kind = a->kind, .id = a->id, .zone = a->name };
	struct msp_why why = { "" };
	enum msp_err err = MSP_OK;

	switch (a->key_verb) {
	case MSA_KEY_MAKE:
		err = msa_key_file_make(s->conf->state_dir, &a->name, &done.key, &done.file, &why);
		break;
	case MSA_KEY_LOAD:
		err = msa_key_file_load(s->conf->state_dir, a->octets, &done.key, &done.file, &why);
		break;
	case MSA_KEY_REMOVE:
		msa_key_file_remove(s->conf->state_dir, a->octets);
		return MSP_OK;
	}
	if (err == MSP_OK && s->failure_count == FAILURES_MAX)
		err = MSP_ENOMEM;
	if (err != MSP_OK) {
		msp_log(s->log, MSP_LOG_ERROR, "parent-key-file", MSP_F_STR("zone", MSP_NAME(&a->name)),
			MSP_F_STR("error", msp_err_text(err)), MSP_F_STR("why", why.text));
		msp_key_free(&done.key);
		msp_free(done.file);
		return err;
	}
	s->failures[s->failure_count++] = done;
	return MSP_OK;
}

static void combined(void *arg, const struct msp_name *zone, uint64_t id, enum msp_err err, const char *why)
{
	struct msa_event ev = { .kind = MSA_EV_COMBINED, .u.combined = { *zone, id, err, why } };

	feed(arg, &ev);
}

static enum msp_err do_combine(struct msa_shell *s, const struct msa_action *a)
{
	struct msa_combine_set sets[MSA_COMBINE_TYPES];
	struct zone *z = zone_of(s, &a->name);

	if (z == NULL)
		return MSP_ENOTFOUND;
	for (size_t i = 0; i < a->combine_count; i++)
		sets[i] = (struct msa_combine_set){ a->combine[i].type, a->combine[i].set };
	return msa_combiner_send(z->combiner, a->id, sets, a->combine_count);
}

static void signer_done(void *arg, enum msp_err err, const char *why)
{
	struct zone *z = arg;
	struct msa_event ev = { .kind = MSA_EV_SIGNER, .u.signer = { z->conf->name, z->job_id, err, why } };

	z->job = NULL;
	feed(z->shell, &ev);
	if (z->fetch != NULL)
		msa_fetch_kick(z->fetch, false, 0); /* only the served zone tells whether it obeyed */
}

static enum msp_err do_signer(struct msa_shell *s, const struct msa_action *a)
{
	struct zone *z = zone_of(s, &a->name);
	struct msa_signer_plan *plan;
	enum msp_err err;

	if (z == NULL)
		return MSP_ENOTFOUND;
	if (z->job != NULL)
		return MSP_EBUSY;
	plan = msp_alloc(1, sizeof(*plan));
	if (plan == NULL)
		return MSP_ENOMEM;
	err = msa_signer_plan_make((enum msa_adapter)z->conf->signer.adapter, &z->conf->signer.tools, &a->name, a->verb,
				   a->signer_keys, z->conf->cdnskey, plan);
	if (err == MSP_OK)
		err = msa_signer_run(s->loop, plan, signer_done, z, &z->job);
	z->job_id = a->id;
	msp_free(plan);
	return err;
}

static enum msp_err do_transfer(struct msa_shell *s, const struct msa_action *a)
{
	struct zone *z = zone_of(s, &a->name);

	if (z == NULL)
		return MSP_ENOTFOUND;
	if (z->fetch != NULL)
		msa_fetch_kick(z->fetch, false, 0);
	return MSP_OK;
}

static enum msp_err do_reply(struct msa_shell *s, const struct msa_action *a)
{
	if (s->req == NULL)
		return MSP_ENOTFOUND;
	if (a->octets.len == 0)
		msp_req_drop(&s->req);
	else
		msp_req_reply(&s->req, a->octets);
	return MSP_OK;
}

static enum msp_err do_flush(struct msa_shell *s, const struct msa_action *a)
{
	(void)a;
	msp_resolver_flush(s->resolver);
	return MSP_OK;
}

static enum msp_err do_store(struct msa_shell *s, const struct msa_action *a)
{
	return msp_store_put(s->store, STORE_BUCKET, a->key, a->octets);
}

static enum msp_err do_unstore(struct msa_shell *s, const struct msa_action *a)
{
	return msp_store_del(s->store, STORE_BUCKET, a->key);
}

static const struct {
	enum msp_err (*fn)(struct msa_shell *s, const struct msa_action *a);
	bool is_store;    /* joins a transaction with its neighbours */
	bool wants_event; /* the core waits for an outcome */
} performers[] = {
	[MSA_ACT_REPLY] = { do_reply, false, false },
	[MSA_ACT_SEND] = { do_send, false, true },
	[MSA_ACT_LOOKUP] = { do_lookup, false, true },
	[MSA_ACT_FLUSH] = { do_flush, false, false },
	[MSA_ACT_COMBINE] = { do_combine, false, true },
	[MSA_ACT_SIGNER] = { do_signer, false, true },
	[MSA_ACT_STORE] = { do_store, true, false },
	[MSA_ACT_UNSTORE] = { do_unstore, true, false },
	[MSA_ACT_TRANSFER] = { do_transfer, false, false },
	[MSA_ACT_LOOKUP_OPEN] = { do_lookup_open, false, true },
	[MSA_ACT_KEY] = { do_key, false, true },
};

/* One transaction for a run of stores. */
static enum msp_err perform_stores(struct msa_shell *s, size_t *at)
{
	enum msp_err err = msp_store_begin(s->store);
	bool begun = err == MSP_OK;

	for (; *at < s->actions.count && performers[s->actions.item[*at].kind].is_store; (*at)++)
		if (err == MSP_OK)
			err = performers[s->actions.item[*at].kind].fn(s, &s->actions.item[*at]);
	if (err == MSP_OK)
		return msp_store_commit(s->store);
	if (begun)
		msp_store_rollback(s->store);
	return err;
}

/* In order. After a store that failed nothing else is done: what it was to make durable has not happened (fail closed).
 */
static void perform(struct msa_shell *s)
{
	bool stopped = false;
	size_t i = 0;

	while (i < s->actions.count) {
		const struct msa_action *a = &s->actions.item[i];
		enum msp_err err;

		if (performers[a->kind].is_store && !stopped) {
			err = perform_stores(s, &i);
			if (err == MSP_OK)
				continue;
			stopped = true;
			s->store_failures++;
			msp_log(s->log, MSP_LOG_ERROR, "store-failed", MSP_F_STR("error", msp_err_text(err)));
			continue;
		}
		err = stopped ? MSP_EIO : performers[a->kind].fn(s, a);
		if (err != MSP_OK && performers[a->kind].wants_event)
			fail_later(s, a, err);
		i++;
	}
	msa_actions_clear(&s->actions);
}

static void step(struct msa_shell *s, const struct msa_event *ev)
{
	enum msp_err err = msa_core_step(s->core, ev, msp_mono_now(), msp_wall_now(), &s->actions);

	if (err != MSP_OK)
		msp_log(s->log, MSP_LOG_ERROR, "core-step-failed", MSP_F_STR("error", msp_err_text(err)));
	perform(s);
}

static struct msa_event event_of(struct failure *f)
{
	const char *why = msp_err_text(f->err);
	struct msa_event ev = { .kind = MSA_EV_TICK };

	switch (f->kind) {
	case MSA_ACT_SEND:
		ev = (struct msa_event){ .kind = MSA_EV_ANSWER, .u.answer = { f->id, f->err, { NULL, 0 } } };
		break;
	case MSA_ACT_LOOKUP:
		ev = (struct msa_event){ .kind = MSA_EV_LOOKUP, .u.lookup = { f->id, MSP_LOOKUP_FAILED, NULL, why } };
		break;
	case MSA_ACT_LOOKUP_OPEN:
		ev.kind = MSA_EV_LOOKUP_OPEN;
		ev.u.open.id = f->id;
		ev.u.open.verdict = MSP_LOOKUP_FAILED;
		ev.u.open.why = why;
		break;
	case MSA_ACT_KEY:
		ev.kind = MSA_EV_KEY;
		ev.u.key.id = f->id;
		ev.u.key.err = f->err;
		ev.u.key.key = &f->key;
		ev.u.key.file = f->file;
		ev.u.key.why = f->err == MSP_OK ? "" : why;
		break;
	case MSA_ACT_COMBINE:
		ev = (struct msa_event){ .kind = MSA_EV_COMBINED, .u.combined = { f->zone, f->id, f->err, why } };
		break;
	case MSA_ACT_SIGNER:
		ev = (struct msa_event){ .kind = MSA_EV_SIGNER, .u.signer = { f->zone, f->id, f->err, why } };
		break;
	default:
		break;
	}
	return ev;
}

static void arm_tick(struct msa_shell *s)
{
	struct msp_mono due = msa_core_deadline(s->core);

	if (due.ms == INT64_MAX)
		msp_timer_stop(s->tick);
	else
		msp_timer_start(s->tick, (uint64_t)msp_mono_until_ms(msp_mono_now(), due) + 1);
}

static void feed(struct msa_shell *s, const struct msa_event *ev)
{
	step(s, ev);
	for (size_t rounds = 0; s->failure_count > 0 && rounds < FAILURES_MAX; rounds++) {
		struct failure f = s->failures[--s->failure_count];
		struct msa_event failed = event_of(&f);

		step(s, &failed);
		msp_key_free(&f.key);
		msp_free(f.file);
	}
	if (s->req != NULL) /* the core owes every request an answer within its step */
		msp_req_drop(&s->req);
	arm_tick(s);
}

/* ---- events from outside */

static void on_tick(void *arg)
{
	struct msa_event ev = { .kind = MSA_EV_TICK };

	feed(arg, &ev);
}

static void on_peer_request(void *arg, struct msp_req *req)
{
	struct msa_shell *s = arg;
	struct msa_event ev = { .kind = MSA_EV_REQUEST,
				.u.request = { 1, *msp_req_peer(req), msp_req_is_tcp(req), msp_req_message(req) } };

	s->req = req;
	feed(s, &ev);
}

static void on_view(void *arg, const struct msa_zone_view *view)
{
	struct msa_event ev = { .kind = MSA_EV_ZONE, .u.zone = *view };

	feed(arg, &ev);
}

static void on_view_failed(void *arg, const struct msp_name *zone, const char *why)
{
	struct msa_event ev = { .kind = MSA_EV_ZONE_FAILED, .u.zone_failed = { *zone, why } };

	feed(arg, &ev);
}

static const struct msp_tsig_key *find_signer_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	const struct msa_fetch_conf *c = arg;

	(void)alg;
	return msp_name_equal(msp_tsig_key_name(c->tsig), name) ? c->tsig : NULL;
}

static void reply(struct msp_req *req, const struct msp_msg *m, unsigned rcode, uint16_t flags,
		  struct msp_tsig_ctx *ctx)
{
	uint8_t mem[2048];
	struct msp_msgw w;
	struct msp_span span;
	size_t len;

	msp_msgw_respond(&w, mem, sizeof(mem), m, rcode, flags);
	if (msp_msgw_finish(&w, &span) != MSP_OK) {
		msp_req_drop(&req);
		return;
	}
	len = span.len;
	if (ctx != NULL && msp_tsig_sign_response(ctx, msp_wall_now(), mem, &len, sizeof(mem)) != MSP_OK)
		len = span.len;
	msp_req_reply(&req, msp_span(mem, len));
}

/* NOTIFY from the signer: it must come from the signer's address, or be signed with its key (PROTOCOL D.1). */
static void on_notify(struct msa_shell *s, struct msp_req *req, const struct msp_msg *m)
{
	struct zone *z = zone_of(s, &m->question.name);
	struct msp_tsig_ctx ctx = { 0 };
	struct msa_fetch_conf fetch;
	enum msp_tsig_error error;
	struct msp_why why = { "" };
	bool has_hint = false, is_signed = false, is_allowed = false;
	uint32_t hint = 0;

	if (z != NULL && z->fetch != NULL && msp_notify_check(m, &s->scratch, &has_hint, &hint, &why) == MSP_OK &&
	    m->question.type == MSP_TYPE_SOA) {
		fetch = *msa_fetch_conf(z->fetch);
		is_signed = m->tsig_at != 0 &&
			    msp_tsig_verify_request(m, find_signer_key, &fetch, msp_wall_now(), &ctx, &error) == MSP_OK;
		is_allowed = is_signed || (m->tsig_at == 0 && msp_addr_same_host(msp_req_peer(req), &fetch.signer));
	}
	s->notifies_in++;
	if (is_allowed)
		msa_fetch_kick(z->fetch, has_hint, hint);
	else if (msp_bucket_take(s->log_budget, msp_req_peer(req), msp_mono_now()))
		msp_log(s->log, MSP_LOG_INFO, "notify-refused", MSP_F_STR("zone", MSP_NAME(&m->question.name)),
			MSP_F_STR("from", MSP_ADDR(msp_req_peer(req))),
			MSP_F_STR("rule", z == NULL          ? "zone is not configured"
					  : z->fetch == NULL ? "not ready: the combiner has not been read back yet"
							     : "neither the signer's address nor its TSIG key"));
	s->notifies_refused += !is_allowed;
	reply(req, m, is_allowed ? MSP_RCODE_NOERROR : MSP_RCODE_REFUSED, MSP_FLAG_AA, is_signed ? &ctx : NULL);
	msp_tsig_ctx_fini(&ctx);
}

static void on_zone_request(void *arg, struct msp_req *req)
{
	struct msa_shell *s = arg;
	struct msp_why why = { "" };
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(msp_req_message(req), &s->scratch, &m, &why);

	if ((m.flags & MSP_FLAG_QR) != 0)
		msp_req_drop(&req); /* an answer to nothing we asked here */
	else if (err != MSP_OK)
		reply(req, &m, MSP_RCODE_FORMERR, 0, NULL);
	else if (m.opcode == MSP_OPCODE_NOTIFY)
		on_notify(s, req, &m);
	else if (m.opcode == MSP_OPCODE_QUERY && s->ident != NULL && m.count[MSP_SEC_QUESTION] == 1 &&
		 msp_name_equal(&m.question.name, msa_ident_apex(s->ident)))
		msa_ident_answer(s->ident, req, &m);
	else
		reply(req, &m, m.opcode == MSP_OPCODE_QUERY ? MSP_RCODE_REFUSED : MSP_RCODE_NOTIMP, 0, NULL);
}

/* ---- opening, in order; closing, in reverse */

static enum msp_err restore_entry(void *arg, struct msp_span key, struct msp_span value)
{
	struct msa_shell *s = arg;

	return msa_core_restore(s->core, key, value);
}

static enum msp_err open_core(struct msa_shell *s, struct msp_why *why)
{
	const struct msa_conf *c = s->conf;
	const struct msa_conf_zone *zones = c->zones.item;
	struct msa_core_conf core = { .identity = c->identity,
				      .host = c->host,
				      .key = s->key,
				      .numbers = c->numbers,
				      .zone_count = c->zones.count,
				      .heartbeat_s = c->heartbeat_s,
				      .hello_retry_s = c->hello_retry_s,
				      .hello_retry_max_s = c->hello_retry_max_s,
				      .discovery_retry_s = c->discovery_retry_s,
				      .discovery_retry_max_s = c->discovery_retry_max_s,
				      .discovery_cache_min_s = c->discovery_cache_min_s,
				      .svcb_port_override = c->svcb_port_override,
				      .parent = { .update_insecure = c->parent.dsync_require_secure == MSA_SECURE_NONE,
						  .notify_secure = c->parent.dsync_require_secure == MSA_SECURE_ALL,
						  .accept_unsigned = c->parent.accept_unsigned,
						  .fingerprint_count = c->parent.fingerprints.count,
						  .delay_s = c->parent.delay_s,
						  .observe_s = c->parent.observe_s,
						  .poll_s = c->parent.poll_s,
						  .poll_max_s = c->parent.poll_max_s,
						  .state_s = c->parent.state_s,
						  .state_max_s = c->parent.state_max_s } };
	uint8_t fingerprint[MSA_FINGERPRINTS_MAX][32];
	struct msa_zone_conf *list = msp_alloc(c->zones.count + 1, sizeof(*list));
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;

	for (size_t i = 0; err == MSP_OK && i < c->zones.count; i++) {
		struct msa_zone_conf *z = &list[i];

		z->zone = zones[i].name;
		z->signer_mode =
			zones[i].signer.adapter == MSA_ADAPTER_OBSERVE ? MSA_SIGNER_OBSERVE : MSA_SIGNER_COMMAND;
		z->dnskey_ttl_s = zones[i].dnskey_ttl_s;
		z->cdnskey = zones[i].cdnskey;
		z->parent_sync = (enum msa_parent_mode)zones[i].parent_sync;
		z->publish_key = zones[i].publish_parent_key;
		z->ns_count = zones[i].ns.count;
		for (size_t n = 0; err == MSP_OK && n < z->ns_count; n++)
			err = msp_name_from_text(zones[i].ns.item[n], &z->ns[n]);
	}
	core.zones = list;
	core.parent.fingerprint = fingerprint;
	for (size_t i = 0; err == MSP_OK && i < c->parent.fingerprints.count && i < MSA_FINGERPRINTS_MAX; i++)
		err = msa_conf_fingerprint(c->parent.fingerprints.item[i], fingerprint[i]);
	if (err == MSP_OK)
		err = msa_core_new(&core, msp_wall_now(), &s->rand, s->log, &s->core);
	msp_free(list);
	if (err == MSP_OK)
		err = msp_store_each(s->store, STORE_BUCKET, msp_span(NULL, 0), restore_entry, s);
	return err == MSP_OK ? MSP_OK : msp_fail(why, err, "stored state: %s", msp_err_text(err));
}

static enum msp_err open_store(struct msa_shell *s, struct msp_why *why)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/msad.db", s->conf->state_dir);
	return msp_store_open(path, STORE_SCHEMA, NULL, &s->store, why);
}

static enum msp_err open_resolver(struct msa_shell *s, struct msp_why *why)
{
	const struct msa_conf_resolver *r = &s->conf->resolver;
	struct msp_resolver_conf c = { .trust_anchor_file = r->trust_anchor_file, .timeout_ms = r->timeout_s * 1000 };
	char self[4096];
	enum msp_err err = msp_daemon_self_path(self, sizeof(self));

	c.worker_path = self;
	for (size_t i = 0; err == MSP_OK && i < r->root_servers.count; i++)
		err = msp_addr_parse(r->root_servers.item[i], 53, &c.root_server[c.root_server_count++]);
	return err == MSP_OK ? msp_resolver_open(s->loop, &c, &s->resolver, why) : err;
}

static enum msp_err open_servers(struct msa_shell *s, const struct msp_conf_list *list, msp_request_fn *fn,
				 struct msp_server **out, struct msp_why *why)
{
	const struct msp_conf_listen *listen = list->item;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < list->count && i < MSA_LISTEN_MAX; i++)
		err = msp_server_open(s->loop, &listen[i].addr, &msp_server_limits_default, fn, s, &out[i], why);
	return err;
}

static enum msp_err start_fetch(struct zone *z)
{
	struct msa_shell *s = z->shell;
	struct msa_fetch_conf fetch = { .zone = z->conf->name,
					.signer = z->conf->signer.addr,
					.type_hsync = s->conf->numbers.type_hsync,
					.tsig = msp_tsig_ring_get(s->ring, &z->conf->signer.tsig_key),
					.poll_max_s = s->conf->zone_poll_max_s };

	return msa_fetch_new(s->loop, &fetch, &s->rand, on_view, on_view_failed, s, &z->fetch);
}

/* Nothing is known of what the combiner was given: ask it first, and look at the zone only then (MSA_EV_READBACK). */
static void read_later(struct zone *z, const char *why)
{
	struct msa_event ev = { .kind = MSA_EV_ZONE_FAILED, .u.zone_failed = { z->conf->name, why } };

	z->read_retry_ms = z->read_retry_ms == 0 ? READ_RETRY_MS : z->read_retry_ms * 2;
	if (z->read_retry_ms > READ_RETRY_MAX_MS)
		z->read_retry_ms = READ_RETRY_MAX_MS;
	msp_timer_start(z->read_timer, (uint64_t)msp_rand_jitter(&z->shell->rand, (int64_t)z->read_retry_ms, 20));
	feed(z->shell, &ev);
}

static void on_read(void *arg, const struct msp_name *zone, enum msp_err err, const struct msp_rrset *dnskey,
		    const struct msp_rrset *cds, const struct msp_rrset *cdnskey, const char *why)
{
	struct msa_event ev = { .kind = MSA_EV_READBACK, .u.readback = { *zone, dnskey, cds, cdnskey } };
	struct zone *z = zone_of(arg, zone);
	char text[400];

	if (err == MSP_OK) {
		feed(arg, &ev);
		/* Not taken in (out of memory): looking at the zone now would make foreign keys ours. */
		if ((dnskey != NULL || cds != NULL || cdnskey != NULL) && !msa_core_has_put(z->shell->core, zone))
			err = MSP_ENOMEM;
	}
	if (err == MSP_OK) {
		err = start_fetch(z);
	}
	if (err == MSP_OK) {
		msp_timer_close(&z->read_timer);
		return;
	}
	snprintf(text, sizeof(text), "reading the combiner back: %.300s", why[0] != '\0' ? why : msp_err_text(err));
	read_later(z, text);
}

static void start_read(void *arg)
{
	struct zone *z = arg;
	enum msp_err err = msa_combiner_read(z->combiner, z->conf->cdnskey, on_read);

	if (err != MSP_OK)
		read_later(z, msp_err_text(err));
}

static enum msp_err open_zone(struct msa_shell *s, struct zone *z, const struct msa_conf_zone *conf)
{
	const struct msp_tsig_key *tsig = msp_tsig_ring_get(s->ring, &conf->combiner.tsig_key);
	struct msp_name_key key = msp_name_key(&conf->name);
	enum msp_err err;

	z->shell = s;
	z->conf = conf;
	if (msp_tsig_ring_get(s->ring, &conf->signer.tsig_key) == NULL || tsig == NULL)
		return MSP_ECONF;
	err = msp_map_put(&s->by_name, msp_name_key_span(&key), z, NULL);
	if (err == MSP_OK)
		err = msa_combiner_new(s->loop, &conf->name, &conf->combiner.addr, tsig, &s->rand, combined, s,
				       &z->combiner);
	if (err != MSP_OK || msa_core_has_put(s->core, &conf->name))
		return err == MSP_OK ? start_fetch(z) : err;
	err = msp_timer_new(s->loop, start_read, z, &z->read_timer);
	if (err == MSP_OK)
		msp_timer_start(z->read_timer, 0);
	return err;
}

static enum msp_err open_zones(struct msa_shell *s)
{
	const struct msa_conf_zone *zones = s->conf->zones.item;
	enum msp_err err = MSP_OK;

	s->zones = msp_alloc(s->conf->zones.count + 1, sizeof(*s->zones));
	if (s->zones == NULL)
		return MSP_ENOMEM;
	for (size_t i = 0; err == MSP_OK && i < s->conf->zones.count; i++)
		err = open_zone(s, &s->zones[i], &zones[i]);
	return err;
}

static enum msp_err open_all(struct msa_shell *s, struct msp_why *why)
{
	enum msp_err err = msp_tsig_ring_load(&s->conf->tsig_keys, &s->ring, why);

	if (err == MSP_OK)
		err = msp_key_load(s->conf->sig0_key, &s->key, why);
	if (err == MSP_OK && !msp_name_equal(msp_key_owner(s->key), &s->conf->host))
		err = msp_fail(why, MSP_ECONF, "sig0-key is named %s, host is %s: they must be the same",
			       MSP_NAME(msp_key_owner(s->key)), MSP_NAME(&s->conf->host));
	if (err == MSP_OK)
		err = open_store(s, why);
	if (err == MSP_OK)
		err = msp_timer_new(s->loop, on_tick, s, &s->tick);
	if (err == MSP_OK)
		err = open_core(s, why);
	if (err == MSP_OK)
		err = open_resolver(s, why);
	if (err == MSP_OK)
		err = open_servers(s, &s->conf->zone_listen, on_zone_request, s->zone_server, why);
	if (err == MSP_OK)
		err = open_servers(s, &s->conf->listen, on_peer_request, s->peer_server, why);
	if (err == MSP_OK && msp_name_is_set(&s->conf->identity_zone.name))
		err = msa_ident_new(s->loop, s->conf, s->ring, s->key, s->store, &s->rand, &s->ident, why);
	if (err == MSP_OK)
		err = open_zones(s);
	if (err == MSP_OK)
		arm_tick(s);
	return err;
}

enum msp_err msa_shell_open(struct msp_loop *loop, const struct msp_log *log, const struct msa_conf *conf,
			    struct msa_shell **out, struct msp_why *why)
{
	struct msa_shell *s = msp_alloc(1, sizeof(*s));
	enum msp_err err;

	if (s == NULL)
		return MSP_ENOMEM;
	s->loop = loop;
	s->log = log;
	s->conf = conf;
	msp_rand_init_system(&s->rand);
	msa_actions_init(&s->actions);
	msp_map_init(&s->by_name, MSA_ZONES_MAX);
	msp_map_init(&s->sends, SENDS_MAX);
	msp_map_init(&s->lookups, LOOKUPS_MAX);
	s->failures = msp_alloc(FAILURES_MAX, sizeof(*s->failures));
	err = s->failures != NULL ? msp_bucket_new(LOG_SOURCES, LOG_PER_S, LOG_BURST, &s->log_budget) : MSP_ENOMEM;
	if (err == MSP_OK)
		err = open_all(s, why);
	if (err != MSP_OK) {
		msa_shell_close(&s);
		return err;
	}
	*out = s;
	return MSP_OK;
}

static void drop_send(void *value)
{
	struct send *send = value;

	msp_xchg_cancel(&send->xchg);
	msp_free(send);
}

void msa_shell_close(struct msa_shell **shell)
{
	struct msa_shell *s = *shell;

	if (s == NULL)
		return;
	for (size_t i = 0; i < MSA_LISTEN_MAX; i++) {
		msp_server_close(&s->peer_server[i]);
		msp_server_close(&s->zone_server[i]);
	}
	for (size_t i = 0; s->zones != NULL && i < s->conf->zones.count; i++) {
		msa_fetch_free(&s->zones[i].fetch);
		msp_timer_close(&s->zones[i].read_timer);
		msa_combiner_free(&s->zones[i].combiner);
		msa_signer_cancel(&s->zones[i].job);
	}
	msp_free(s->zones);
	msa_ident_free(&s->ident);
	msp_resolver_close(&s->resolver);
	msp_timer_close(&s->tick);
	msp_map_fini(&s->sends, drop_send);
	msp_map_fini(&s->lookups, msp_free); /* the resolver is closed: nobody calls back */
	msp_map_fini(&s->by_name, NULL);
	msa_core_free(&s->core);
	msa_actions_fini(&s->actions);
	msp_store_close(&s->store);
	msp_key_free(&s->key);
	msp_tsig_ring_free(&s->ring);
	msp_bucket_free(&s->log_budget);
	for (size_t i = 0; i < s->failure_count; i++) {
		msp_key_free(&s->failures[i].key);
		msp_free(s->failures[i].file);
	}
	msp_free(s->failures);
	msp_free(s);
	*shell = NULL;
}

const struct msa_core *msa_shell_core(const struct msa_shell *shell)
{
	return shell->core;
}

json_t *msa_shell_status(const struct msa_shell *s)
{
	json_t *o = json_object();
	enum msp_err err = o != NULL ? MSP_OK : MSP_ENOMEM;

	if (err == MSP_OK)
		err = msp_json_set_int(o, "resolver_restarts", (int64_t)msp_resolver_restarts(s->resolver));
	if (err == MSP_OK)
		err = msp_json_set_int(o, "store_failures", (int64_t)s->store_failures);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "notifies_in", (int64_t)s->notifies_in);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "notifies_refused", (int64_t)s->notifies_refused);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "sends_outstanding", (int64_t)s->sends.count);
	if (err == MSP_OK && s->ident != NULL)
		err = msp_json_set_int(o, "identity_zone_serial", msa_ident_serial(s->ident));
	if (err != MSP_OK) {
		json_decref(o);
		return NULL;
	}
	return o;
}

enum msp_err msa_shell_refresh(struct msa_shell *s, const struct msp_name *zone)
{
	struct zone *z = zone_of(s, zone);

	if (z == NULL)
		return MSP_ENOTFOUND;
	if (z->fetch == NULL)
		return MSP_ESTATE;
	msa_fetch_kick(z->fetch, false, 0);
	return MSP_OK;
}

enum msp_err msa_shell_parent(struct msa_shell *s, const struct msp_name *zone, bool is_roll)
{
	struct msa_event ev = { .kind = is_roll ? MSA_EV_PARENT_ROLL : MSA_EV_PARENT_SYNC, .u.parent = { *zone } };
	struct zone *z = zone_of(s, zone);

	if (z == NULL)
		return MSP_ENOTFOUND;
	if (z->conf->parent_sync == MSA_PARENT_OFF)
		return MSP_ESTATE;
	if (z->fetch != NULL)
		msa_fetch_kick(z->fetch, false, 0); /* what is wanted is what is served now */
	feed(s, &ev);
	return MSP_OK;
}
