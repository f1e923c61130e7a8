/* SPDX-License-Identifier: BSD-2-Clause */
/* UPDATE: PROTOCOL G.5 steps 1 to 3 here, the rest at the desk; then the checks, for as long as an answer may wait. */
#include "receive_priv.h"

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>

#include <stdio.h>
#include <string.h>

#define TSIG_DIGEST 16 /* octets of a MAC that tell messages apart: child.h */

/* --- the answer -----------------------------------------------------------------------------------------------------
 */

static void log_granted(const struct prt_request *q)
{
	const struct prt_call *c = &q->call;

	if (c->r->app->log->level < MSP_LOG_INFO) /* before all the text is made */
		return;
	msp_log(c->r->app->log, MSP_LOG_INFO, "update", MSP_F_STR("child", MSP_NAME(&q->child)),
		MSP_F_U64("key", q->claim.sig.tag), MSP_F_STR("peer", MSP_ADDR(&c->peer)),
		MSP_F_STR("repeated", q->outcome.is_repeat ? "yes" : "no"),
		MSP_F_STR("waits", (q->outcome.need & PRT_NEED_CHECK) != 0 ? "yes" : "no"));
}

static bool is_replay(const struct prt_refusal *no)
{
	return no->has_ede && !no->is_standard && no->ede == MSP_EDE_SIG0_REPLAY;
}

/* q->refusal is what it has come to. */
static void finish(struct prt_request *q)
{
	struct prt_stats *stats = &q->call.r->app->stats;

	if (q->refusal.rcode == MSP_RCODE_NOERROR) {
		stats->updates_accepted++;
		log_granted(q);
		prt_request_answer(q, true);
		return;
	}
	if (!is_replay(&q->refusal)) {
		prt_request_refuse(q, true);
		return;
	}
	/* Anybody can send it again: it is as good as a bad signature. */
	stats->replays++;
	prt_call_failed(&q->call);
	prt_request_refuse(q, false);
}

static void finish_trouble(struct prt_request *q, enum msp_err err)
{
	prt_refuse_trouble(&q->refusal, err);
	if (q->call.inquiry != PRT_INQUIRY_NONE) {
		q->has_state = true;
		q->state = MSP_KEYSTATE_TEMPORARY_FAILURE;
	}
	finish(q);
}

/* --- answers that wait for the checks (G.5, sync-limit) -------------------------------------------------------------
 */

static enum msp_err hash_of(const struct prt_delegation *d, uint8_t hash[PRT_HASH_LEN])
{
	struct msp_buf buf;
	struct msp_span all;
	enum msp_err err;

	msp_buf_init(&buf, PRT_AUDIT_OCTETS_MAX);
	err = prt_delegation_write(d, &buf);
	all = msp_buf_span(&buf);
	if (err == MSP_OK)
		err = msp_sha256(&all, 1, hash);
	msp_buf_fini(&buf);
	return err;
}

static struct prt_asker asker(const struct prt_request *q)
{
	const struct prt_call *c = &q->call;
	struct prt_asker a = { .source = c->tsig.key != NULL ? PRT_SRC_TSIG : PRT_SRC_UPDATE,
			       .peer = c->peer,
			       .is_tcp = c->is_tcp };

	memcpy(a.message, q->message, sizeof(a.message));
	if (c->tsig.key != NULL) {
		(void)snprintf(a.who, sizeof(a.who), "%.90s", MSP_NAME(msp_tsig_key_name(c->tsig.key)));
		return a;
	}
	a.key_tag = q->claim.sig.tag;
	(void)snprintf(a.who, sizeof(a.who), "key %u", a.key_tag);
	return a;
}

static bool is_ours(const struct prt_request *q, const struct prt_delegation *d)
{
	uint8_t hash[PRT_HASH_LEN];

	return hash_of(d, hash) == MSP_OK &&
	       msp_span_equal(msp_span(hash, sizeof(hash)), msp_span(q->wanted, sizeof(hash)));
}

/* On the books' thread. */
static enum msp_err withdraw(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	struct prt_request *q = arg;
	struct prt_asker by = asker(q);

	q->is_accepted = false;
	if (exists && c->pending.wait != PRT_WAIT_NONE && is_ours(q, &c->pending.wanted))
		return prt_desk_withdraw(q->rules, c, q->digest, &by, now, out);
	q->is_accepted = exists && is_ours(q, &c->registered); /* meanwhile */
	return MSP_OK;
}

static void withdrawn(void *arg, enum msp_err err)
{
	struct prt_request *q = arg;

	q->phase = PRT_PHASE_LOOP;
	if (q->call.r->is_closed) {
		prt_request_end(q);
		return;
	}
	if (err != MSP_OK || !q->is_accepted) {
		(void)prt_refuse_std(&q->refusal, PRT_EDE_NETWORK, "G.5: sync-limit",
				     "the servers could not be looked at in time%s",
				     err == MSP_OK ? "; nothing was changed" : "");
		q->refusal.rcode = MSP_RCODE_SERVFAIL;
	}
	finish(q);
}

static void once_more(struct prt_request *q, prt_books_fn *fn, prt_books_done_fn *done)
{
	enum msp_err err;

	prt_outcome_fini(&q->outcome);
	prt_outcome_init(&q->outcome);
	q->phase = PRT_PHASE_BOOKS;
	err = prt_books_do(q->call.r->app->books, &q->parent->zone, &q->child, fn, done, q, &q->outcome);
	if (err != MSP_OK)
		done(q, err);
}

/* The checks have not come to an end, and the answer waits no longer. */
static void give_up(struct prt_request *q)
{
	q->phase = PRT_PHASE_LOOP;
	if (prt_settings_conf(q->settings)->limits.defer || !q->has_wanted) {
		finish(q); /* accepted; what becomes of it is told at the next UPDATE */
		return;
	}
	once_more(q, withdraw, withdrawn);
}

/* The timer is the receiver's: the oldest of those that wait is due first. */
static void arm(struct prt_receiver *r, struct msp_mono now)
{
	if (r->checks.first != NULL)
		msp_timer_start(r->timer, (uint64_t)msp_mono_until_ms(now, r->checks.first->deadline));
}

void prt_update_overdue(struct prt_receiver *r, struct msp_mono now)
{
	while (r->checks.first != NULL && msp_mono_reached(now, r->checks.first->deadline)) {
		struct prt_request *q = prt_request_line_take(&r->checks);

		prt_follow_forget(&q->watch);
		give_up(q);
	}
	arm(r, now);
}

/* What became of the change: prt_desk_checked has put it on record. False: it is not decided. */
static bool read_outcome(const struct prt_outcome *out, struct prt_refusal *no)
{
	const struct prt_audit *last = out->entries > 0 ? &out->entry[out->entries - 1] : NULL;

	*no = out->refusal;
	if (no->rcode != MSP_RCODE_NOERROR || last == NULL || last->verdict != PRT_VERDICT_DROPPED)
		return no->rcode != MSP_RCODE_NOERROR || (last != NULL && last->verdict == PRT_VERDICT_ACCEPTED);
	(void)prt_refuse_own(no, MSP_EDE_DELEGATION_CHECK, "G.5 step 10: checks of the result", "%.250s", last->why);
	return true;
}

/* On the books' thread: a retransmission hears what this answer says. */
static enum msp_err tell(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_request *q = arg;

	(void)now;
	if (exists)
		prt_desk_told(c, q->digest, &q->refusal, out);
	return MSP_OK;
}

static void told(void *arg, enum msp_err err)
{
	struct prt_request *q = arg;

	(void)err; /* the answer is right all the same */
	q->phase = PRT_PHASE_LOOP;
	if (q->call.r->is_closed)
		prt_request_end(q);
	else
		finish(q);
}

static void checked(void *arg, enum msp_err err, const struct prt_outcome *outcome)
{
	struct prt_request *q = arg;

	q->watch = NULL;
	prt_request_line_remove(&q->call.r->checks, q);
	q->phase = PRT_PHASE_LOOP;
	if (err != MSP_OK || !read_outcome(outcome, &q->refusal)) {
		q->refusal = (struct prt_refusal){ .rcode = MSP_RCODE_NOERROR };
		give_up(q);
	} else if (q->refusal.rcode == MSP_RCODE_NOERROR) {
		finish(q);
	} else {
		once_more(q, tell, told);
	}
}

static void wait_for_checks(struct prt_request *q)
{
	struct prt_receiver *r = q->call.r;
	struct prt_app *app = r->app;
	bool is_first = r->checks.first == NULL;

	if ((q->outcome.need & ~PRT_NEED_CHECK) != 0)
		prt_follow_needs(app, &q->child, q->outcome.need & ~PRT_NEED_CHECK);
	if (prt_follow_check(app, &q->child, checked, q, &q->watch) != MSP_OK) {
		give_up(q);
		return;
	}
	q->phase = PRT_PHASE_CHECKS;
	q->deadline = msp_mono_add_ms(msp_mono_now(), prt_settings_conf(q->settings)->limits.sync_limit_ms);
	prt_request_line_add(&r->checks, q);
	if (is_first)
		arm(r, msp_mono_now());
}

/* --- the decision ---------------------------------------------------------------------------------------------------
 */

static bool is_register(const struct prt_conf_parent *p)
{
	return p->backends.count == 0 && p->primary.addr.family == MSP_FAMILY_NONE;
}

/* On the books' thread. */
static enum msp_err decide(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	struct prt_request *q = arg;
	struct msp_rr_scratch scratch;
	struct prt_update_in in = { .msg = &q->call.m,
				    .scratch = &scratch,
				    .key = msp_span(q->key, q->key_len),
				    .is_tsig = q->call.tsig.key != NULL,
				    .has_keystate = q->call.inquiry == PRT_INQUIRY_KEY,
				    .asker = asker(q) };
	enum msp_err err;

	q->has_wanted = false;
	if (!exists) {
		prt_refuse_no_child(&out->refusal, &q->child);
		return MSP_OK;
	}
	memcpy(in.digest, q->digest, sizeof(in.digest));
	in.until = now;
	if (in.is_tsig)
		in.until.s += 2 * MSP_TSIG_FUDGE_S;
	else /* RFC 1982: the 32 bits of the signature lie near now */
		in.until.s += (int32_t)(q->claim.sig.expiration - (uint32_t)now.s) +
			      (int64_t)prt_settings_sig0(q->settings)->skew_s;
	err = prt_desk_update(q->rules, c, &in, now, out);
	if (err == MSP_OK && (out->need & PRT_NEED_CHECK) != 0)
		q->has_wanted = c->pending.wait == PRT_WAIT_CHECKS && hash_of(&c->pending.wanted, q->wanted) == MSP_OK;
	q->is_published = err == MSP_OK && (out->need & PRT_NEED_PUBLISH) != 0 && is_register(q->parent);
	return q->is_published ? prt_desk_is_register(c, out) : err;
}

static void decided(void *arg, enum msp_err err)
{
	struct prt_request *q = arg;
	struct prt_app *app = q->call.r->app;

	q->phase = PRT_PHASE_LOOP;
	if (q->call.r->is_closed) {
		prt_request_end(q);
		return;
	}
	if (err != MSP_OK) {
		finish_trouble(q, err);
		return;
	}
	prt_app_count(app, &q->outcome);
	app->stats.published += q->is_published;
	q->refusal = q->outcome.refusal;
	if (q->outcome.has_state) {
		q->has_state = true;
		q->state = q->outcome.keystate;
	}
	if ((q->outcome.need & PRT_NEED_CHECK) != 0 && q->refusal.rcode == MSP_RCODE_NOERROR &&
	    prt_settings_conf(q->settings)->limits.sync_limit_ms > 0) {
		wait_for_checks(q);
		return;
	}
	if (q->outcome.need != 0)
		prt_follow_needs(app, &q->child, q->outcome.need);
	finish(q);
}

static void to_the_books(struct prt_request *q)
{
	enum msp_err err;

	prt_outcome_init(&q->outcome);
	q->has_outcome = true;
	q->phase = PRT_PHASE_BOOKS;
	err = prt_books_do(q->call.r->app->books, &q->parent->zone, &q->child, decide, decided, q, &q->outcome);
	if (err == MSP_OK)
		return;
	q->phase = PRT_PHASE_LOOP;
	finish_trouble(q, err);
}

/* --- who asks -------------------------------------------------------------------------------------------------------
 */

static void verified(struct prt_request *q)
{
	if (prt_verify_done(q)) {
		to_the_books(q);
		return;
	}
	/* PROTOCOL B.2: nothing is said of a key whose tag somebody else has used. */
	if (q->call.inquiry != PRT_INQUIRY_NONE && q->found != MSP_ESIG) {
		q->has_state = true;
		q->state = prt_verify_state(q);
	}
	prt_request_refuse(q, false);
}

/*
 * A registrar does not sign as the child: the child is what the records are about. NS, DS and KEY are at it, addresses
 * at it or below.
 */
static bool find_child(struct prt_call *c, const struct prt_conf_parent *parent, struct msp_name *child)
{
	struct msp_msg_it it;
	struct msp_rr rr;
	unsigned labels;

	msp_msg_it_init(&it, &c->m, MSP_SEC_UPDATE, &c->r->scratch);
	if (!msp_msg_next(&it, &rr) || !prt_may_be_child(&parent->zone, &rr.owner))
		return false;
	*child = rr.owner;
	if (rr.type != MSP_TYPE_A && rr.type != MSP_TYPE_AAAA && rr.type != MSP_TYPE_ANY)
		return true;
	labels =
		msp_name_labels(&rr.owner) - msp_name_labels(&parent->zone) - 1; /* below the shortest that may be it */
	for (unsigned i = 0; i <= labels; i++)
		if (msp_name_parent(&rr.owner, labels - i, child) == MSP_OK &&
		    prt_books_may_have(c->r->app->books, child))
			return true;
	return false;
}

/* G.5 step 2, "alternative authorisation scheme". The TSIG has been verified. */
static void registrar(struct prt_call *c, const struct prt_conf_parent *parent)
{
	struct prt_app *app = c->r->app;
	const struct msp_name *key = msp_tsig_key_name(c->tsig.key);
	size_t mac_len = c->tsig.mac_len < TSIG_DIGEST ? c->tsig.mac_len : TSIG_DIGEST;
	struct prt_refusal no;
	struct msp_name child;
	struct prt_request *q;
	enum msp_err err;

	if (!find_child(c, parent, &child) || !prt_books_may_have(app->books, &child)) {
		prt_refuse_no_child(&no, &c->m.question.name);
		prt_call_refuse(c, &no);
		return;
	}
	c->child = &child;
	if (!prt_settings_registrar(app->settings, key, &child)) {
		(void)prt_refuse_std(&no, MSP_EDE_PROHIBITED, "G.5 step 2: registrars' keys",
				     "key %s does not speak for %s", MSP_NAME(key), MSP_NAME(&child));
		prt_call_refuse(c, &no);
		return;
	}
	q = prt_request_new(c);
	if (q == NULL) {
		prt_refuse_trouble(&no, MSP_EBUSY);
		prt_call_answer(c, &no, 0);
		return;
	}
	q->parent = parent;
	q->child = child;
	q->rules = prt_settings_rules(q->settings, parent, &child);
	err = msp_sha256(&q->call.m.raw, 1, q->message);
	if (err == MSP_OK)
		err = prt_seen_digest(0, msp_span(q->call.tsig.mac, mac_len), q->digest);
	if (err == MSP_OK)
		to_the_books(q);
	else
		finish_trouble(q, err);
}

static bool may_be_child(const struct prt_call *c, const struct prt_conf_parent *parent, const struct msp_name *name)
{
	const struct prt_app *app = c->r->app;

	return prt_may_be_child(&parent->zone, name) && prt_settings_parent_of(app->settings, name) == parent &&
	       prt_books_may_have(app->books, name);
}

/* Steps 2 and 3: signed, by a name that can be a child. */
static bool check_signer(struct prt_call *c, const struct prt_conf_parent *parent, struct msp_sig0_claim *claim,
			 struct prt_refusal *no)
{
	struct prt_app *app = c->r->app;
	const struct msp_name *child = &claim->sig.signer;

	if (c->m.sig0_at == 0)
		return prt_refuse_own(no, MSP_EDE_SIG0_REQUIRED, "G.5 step 2: signed", "%s",
				      msp_ede_text(MSP_EDE_SIG0_REQUIRED));
	if (msp_sig0_claim(&c->m, claim) != MSP_OK)
		return prt_refuse(no, MSP_RCODE_FORMERR, "C.3 step 3: form of the SIG(0)", "malformed SIG(0)");
	c->child = child;
	if (may_be_child(c, parent, child))
		return true;
	app->stats.unknown_keys++;
	prt_refuse_no_child(no, child);
	return false;
}

/* The signature of an upload may have the wrong length because its key has: too short an RSA key. */
static void refuse_signer(struct prt_call *c, const struct prt_conf_parent *parent, const struct msp_sig0_claim *claim,
			  struct prt_refusal *no)
{
	const struct msp_name *child = &claim->sig.signer;
	const struct prt_app *app = c->r->app;
	enum msp_keystate_state state;

	if (no->rcode != MSP_RCODE_FORMERR || !msp_name_is_set(child) || !may_be_child(c, parent, child) ||
	    !prt_key_refuse_carried(&c->m, child, claim->sig.tag, claim->sig.algorithm,
				    &prt_settings_rules(app->settings, parent, child)->keys, &c->r->scratch, &state,
				    no)) {
		prt_call_refuse_unknown(c, no);
		return;
	}
	c->child = child;
	c->inquiry = prt_inquiry_read(&c->m.edns, &app->conf->numbers, false, &c->key_id);
	prt_call_refuse_state(c, no, c->inquiry == PRT_INQUIRY_MALFORMED ? MSP_KEYSTATE_MALFORMED : state);
}

void prt_receive_update(struct prt_call *c)
{
	struct prt_app *app = c->r->app;
	const struct prt_conf_parent *parent;
	struct msp_sig0_claim claim = { .sig = { .covered = 0 } }; /* no signer: it could not be read */
	struct msp_why why = { "" };
	struct prt_refusal no;

	app->stats.updates++;
	if (msp_update_check(&c->m, &why) != MSP_OK) {
		(void)prt_refuse(&no, MSP_RCODE_FORMERR, "G.5 step 1: form of the zone section", "%s", why.text);
		prt_call_refuse(c, &no);
		return;
	}
	parent = prt_settings_parent(app->settings, &c->m.question.name);
	if (parent == NULL) {
		(void)prt_refuse_std(&no, MSP_EDE_NOT_AUTHORITATIVE, "G.5 step 1: a zone of ours",
				     "not the parent of anything here");
		no.rcode = MSP_RCODE_NOTAUTH;
		prt_call_refuse(c, &no);
		return;
	}
	if (c->tsig.key != NULL) {
		registrar(c, parent);
		return;
	}
	if (!check_signer(c, parent, &claim, &no)) {
		refuse_signer(c, parent, &claim, &no);
		return;
	}
	c->inquiry =
		prt_inquiry_read(&c->m.edns, &app->conf->numbers,
				 prt_settings_rules(app->settings, parent, c->child)->keystate_compat_02, &c->key_id);
	if (c->inquiry == PRT_INQUIRY_MALFORMED) {
		(void)prt_refuse(&no, MSP_RCODE_FORMERR, "B.2: KeyState", "malformed KeyState option");
		prt_call_refuse_state(c, &no, MSP_KEYSTATE_MALFORMED);
		return;
	}
	prt_verify(c, &claim, parent, c->child, verified);
}
