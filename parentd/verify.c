/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who signed? The cheap part on the loop, the costly part in workers. A worker takes a batch: one hand-over for several
 * requests, as many as came while the others were at work.
 */
#include "receive_priv.h"

#include <msproto/auth/digest.h>
#include <msproto/auth/trust.h>
#include <msproto/base/mem.h>

#include <string.h>
#include <unistd.h>

#define RECORD_MAX (256u << 10) /* a child as stored */
#define RETRY_MS   5

/* --- keys that have verified something ------------------------------------------------------------------------------
 */

/*
 * To find a child's key in the store, and above all to have a worker do that when nothing else is under way, costs as
 * much as a verification. So the keys that have verified something are kept: each name, algorithm and tag has one
 * place, the newest has it. A key from here proves who signed and nothing more: whether it still is the child's, and
 * trusted, the desk decides.
 */
#define CACHE_SLOTS 32768
#define CACHED_MAX  100 /* octets of RDATA: a key of P-384. Those of RSA are not worth it */

struct cached {
	uint64_t whose; /* hash of name, algorithm and tag; two that share one only try a wrong key first */
	uint8_t len;    /* 0: nothing here */
	uint8_t rdata[CACHED_MAX];
};
struct prt_keycache {
	pthread_mutex_t lock; /* of the slots */
	uint8_t secret[PRT_FILTER_KEY];
	struct cached slot[CACHE_SLOTS];
	struct msp_key *p256, *p384; /* owned; curves for the keys here. Never changed */
};

static uint64_t hash_of(const struct prt_keycache *kc, const struct msp_name *owner, uint8_t algorithm, uint16_t tag)
{
	uint8_t octets[MSP_NAME_MAX + 3];
	struct msp_name lower = *owner;

	msp_name_lower(&lower);
	memcpy(octets, lower.oct, lower.len);
	octets[lower.len] = algorithm;
	octets[lower.len + 1] = (uint8_t)(tag >> 8);
	octets[lower.len + 2] = (uint8_t)tag;
	return prt_siphash(kc->secret, msp_span(octets, (size_t)lower.len + 3));
}

/* The key that there is for this claim, to q->key. */
static bool cache_find(struct prt_request *q)
{
	struct prt_keycache *kc = q->call.r->keys;
	uint64_t hash = hash_of(kc, &q->child, q->claim.sig.algorithm, q->claim.sig.tag);
	const struct cached *k = &kc->slot[hash % CACHE_SLOTS];

	pthread_mutex_lock(&kc->lock);
	q->key_len = k->whose == hash ? k->len : 0;
	memcpy(q->key, k->rdata, q->key_len);
	pthread_mutex_unlock(&kc->lock);
	return q->key_len != 0;
}

/* It has verified something: worth a place. */
static void cache_keep(struct prt_keycache *kc, const struct msp_key *key)
{
	uint64_t hash = hash_of(kc, msp_key_owner(key), msp_key_alg(key), msp_key_id(key));
	struct msp_span rdata = msp_key_rdata(key);
	struct cached *k = &kc->slot[hash % CACHE_SLOTS];

	if (rdata.len > CACHED_MAX)
		return;
	pthread_mutex_lock(&kc->lock);
	k->whose = hash;
	k->len = (uint8_t)rdata.len;
	memcpy(k->rdata, rdata.ptr, rdata.len);
	pthread_mutex_unlock(&kc->lock);
}

static enum msp_err cache_new(const struct prt_receiver *r, struct prt_keycache **out)
{
	const struct msp_name *target = &r->app->conf->target;
	struct prt_keycache *kc = *out = msp_alloc(1, sizeof(*kc));
	enum msp_err err;

	if (kc == NULL)
		return MSP_ENOMEM;
	pthread_mutex_init(&kc->lock, NULL);
	memcpy(kc->secret, r->name_secret, sizeof(kc->secret));
	err = msp_key_generate(target, MSP_ALG_ECDSAP256, 0, &kc->p256);
	return err == MSP_OK ? msp_key_generate(target, MSP_ALG_ECDSAP384, 0, &kc->p384) : err;
}

static void cache_free(struct prt_keycache **kc)
{
	if (*kc == NULL)
		return;
	msp_key_free(&(*kc)->p256);
	msp_key_free(&(*kc)->p384);
	pthread_mutex_destroy(&(*kc)->lock);
	msp_free(*kc);
	*kc = NULL;
}

/* --- one signature, in a worker -------------------------------------------------------------------------------------
 */

struct candidates {
	struct msp_span rdata[PRT_CANDIDATES_MAX];
	enum msp_keystate_state state[PRT_CANDIDATES_MAX];
	size_t count;
};

static void add_candidate(struct candidates *c, struct msp_span rdata, enum msp_keystate_state state)
{
	if (c->count == PRT_CANDIDATES_MAX)
		return;
	c->rdata[c->count] = rdata;
	c->state[c->count++] = state;
}

/*
 * The one key that a KEY update adds, if it is the one that the signature names (PROTOCOL G.6). Copied to q->key: the
 * record may lie in the scratch.
 */
static bool find_carried(struct prt_request *q, struct msp_rr_scratch *scratch)
{
	enum prt_update_class class;
	struct prt_refusal no;
	struct msp_msg_it it;
	enum msp_upd kind;
	struct msp_rr rr;

	if (!prt_update_classify(&q->call.m, &q->child, scratch, &class, &no) || class != PRT_UPDATE_KEY)
		return false;
	q->key_len = 0;
	msp_msg_it_init(&it, &q->call.m, MSP_SEC_UPDATE, scratch);
	while (msp_msg_next(&it, &rr)) {
		if (msp_upd_classify(&rr, &kind, NULL) != MSP_OK)
			return false;
		if (kind != MSP_UPD_ADD)
			continue;
		if (rr.rdata.len > sizeof(q->key) || rr.rdata.len < 4 || rr.rdata.ptr[3] != q->claim.sig.algorithm ||
		    msp_key_tag(rr.rdata) != q->claim.sig.tag)
			return false;
		if (q->key_len != 0 && !msp_span_equal(rr.rdata, msp_span(q->key, q->key_len)))
			return false;
		memcpy(q->key, rr.rdata.ptr, rr.rdata.len);
		q->key_len = rr.rdata.len;
	}
	return q->key_len != 0;
}

static bool has_key(const struct prt_keyset *keys, struct msp_span rdata)
{
	for (size_t i = 0; i < keys->count; i++)
		if (msp_span_equal(prt_key_rdata(&keys->key[i]), rdata))
			return true;
	return false;
}

/* A key of nobody, which the message brings along: first, since nothing else could have signed an upload of it. */
static void add_carried(struct prt_request *q, const struct prt_keyset *keys, struct candidates *c)
{
	enum msp_keystate_state state = MSP_KEYSTATE_UNKNOWN;
	struct msp_rr_scratch scratch;
	struct msp_why why = { "" };
	struct msp_span rdata;

	if (q->call.m.opcode != MSP_OPCODE_UPDATE || !find_carried(q, &scratch))
		return;
	rdata = msp_span(q->key, q->key_len);
	if (has_key(keys, rdata))
		return;
	if (prt_key_check(&q->child, rdata, &q->rules->keys, &state, &why) != MSP_OK) {
		(void)prt_refuse_std(&q->refusal, MSP_EDE_INVALID_DATA, "G.6: algorithm and strength", "%s", why.text);
		q->key_state = state;
		q->found = MSP_EREFUSED;
		return;
	}
	add_candidate(c, rdata, MSP_KEYSTATE_UNKNOWN);
}

static void add_known(struct prt_request *q, const struct prt_keyset *keys, struct candidates *c)
{
	const struct prt_key *key[PRT_KEYS_MAX];
	size_t count = prt_keyset_by_tag(keys, q->claim.sig.tag, q->claim.sig.algorithm, key);

	for (size_t i = 0; i < count; i++)
		add_candidate(c, prt_key_rdata(key[i]), prt_desk_keystate(keys, prt_key_rdata(key[i])));
}

static enum msp_err try_key(struct prt_request *q, struct msp_span rdata, bool keep)
{
	struct prt_keycache *kc = q->call.r->keys;
	const struct msp_key *model = q->claim.sig.algorithm == MSP_ALG_ECDSAP384 ? kc->p384 : kc->p256;
	struct msp_key *key;
	enum msp_err err = msp_key_from_rdata_like(model, &q->child, rdata, &key);

	if (err != MSP_OK)
		return err;
	q->tries++;
	err = msp_sig0_verify(&q->call.m, &q->claim, key, msp_span(NULL, 0), prt_settings_sig0(q->settings));
	if (err == MSP_OK && keep)
		cache_keep(kc, key);
	msp_key_free(&key);
	return err;
}

static void try_all(struct prt_request *q, const struct candidates *c, struct msp_span tried)
{
	q->found = c->count != 0 ? MSP_ESIG : MSP_ENOKEY;
	for (size_t i = 0; i < c->count && q->tries < PRT_CANDIDATES_MAX; i++) {
		enum msp_err err = MSP_ESIG;

		if (!msp_span_equal(c->rdata[i], tried))
			err = try_key(q, c->rdata[i], true);
		if (err == MSP_ENOMEM || err == MSP_ECRYPTO) {
			q->found = err;
			return;
		}
		if (err != MSP_OK)
			continue; /* also a stored key that is not usable */
		if (c->rdata[i].ptr != q->key)
			memcpy(q->key, c->rdata[i].ptr, c->rdata[i].len);
		q->key_len = c->rdata[i].len;
		q->key_state = c->state[i];
		q->found = MSP_OK;
		return;
	}
}

static enum msp_err digests(struct prt_request *q)
{
	enum msp_err err = msp_sha256(&q->call.m.raw, 1, q->message);

	return err == MSP_OK ? prt_seen_digest(q->claim.sig.algorithm, q->claim.sig.signature, q->digest) : err;
}

/* By what the store has. */
static void look_up(struct prt_request *q, struct msp_buf *raw, struct msp_span tried)
{
	struct candidates c = { .count = 0 };
	struct prt_keyset keys;
	unsigned flags;

	msp_buf_reset(raw);
	q->found = prt_books_peek_raw(q->call.r->app->books, &q->child, raw);
	if (q->found == MSP_OK)
		q->found = prt_child_read_keys(msp_buf_span(raw), &keys, &flags);
	if (q->found != MSP_OK)
		return;
	if ((flags & PRT_CHILD_GONE) != 0) {
		q->found = MSP_ENOTFOUND;
		return;
	}
	add_carried(q, &keys, &c);
	if (q->found != MSP_OK)
		return;
	add_known(q, &keys, &c);
	try_all(q, &c, tried);
}

/*
 * With a key that has verified something for this name before, if there is one: the store need not be read. Not for
 * inquiries, which are about what the store says. What was tried is left in q->key.
 */
static bool try_cached(struct prt_request *q)
{
	if (q->call.m.opcode != MSP_OPCODE_UPDATE || !cache_find(q))
		return false;
	q->found = try_key(q, msp_span(q->key, q->key_len), false);
	if (q->found == MSP_OK)
		q->found = digests(q);
	return q->found == MSP_OK;
}

/* In a worker. */
static void verify(struct prt_request *q, struct msp_buf *raw)
{
	uint8_t tried[PRT_KEY_RDATA_MAX];
	size_t len;

	if (q->tries == 0 && try_cached(q))
		return;
	len = q->key_len;
	memcpy(tried, q->key, len);
	look_up(q, raw, msp_span(tried, len));
	if (q->found == MSP_OK)
		q->found = digests(q);
}

/* --- the crew -------------------------------------------------------------------------------------------------------
 */

static bool enter(struct prt_receiver *r)
{
	bool ok;

	pthread_mutex_lock(&r->lock);
	ok = !r->is_stopped;
	r->working += ok;
	pthread_mutex_unlock(&r->lock);
	return ok;
}

static void leave(struct prt_receiver *r)
{
	pthread_mutex_lock(&r->lock);
	if (--r->working == 0)
		pthread_cond_signal(&r->idle);
	pthread_mutex_unlock(&r->lock);
}

static void work(void *arg)
{
	struct prt_crew_batch *b = arg;

	if (!enter(b->r))
		return;
	for (size_t i = 0; i < b->count; i++) {
		if (b->request[i]->work == NULL)
			verify(b->request[i], &b->raw);
		else
			b->request[i]->work(b->request[i]);
	}
	leave(b->r);
}

static void maybe_free(struct prt_receiver *r)
{
	for (size_t i = 0; i < PRT_CREW_MAX; i++)
		if (r->batch[i].is_busy)
			return;
	for (size_t i = 0; i < PRT_CREW_MAX; i++)
		msp_buf_fini(&r->batch[i].raw);
	cache_free(&r->keys);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->idle);
	msp_free(r);
}

static void worked(void *arg)
{
	struct prt_crew_batch *b = arg;
	struct prt_receiver *r = b->r;

	/* Free for more before the callbacks, which may have something to be done at once. */
	struct prt_request *request[PRT_CREW_BATCH];
	size_t count = b->count;

	memcpy(request, b->request, count * sizeof(request[0]));
	if (!r->is_closed)
		b->is_busy = false;
	for (size_t i = 0; i < count; i++) {
		request[i]->phase = PRT_PHASE_LOOP;
		if (r->is_closed)
			prt_request_end(request[i]);
		else
			request[i]->after(request[i]);
	}
	if (!r->is_closed) {
		prt_crew_kick(r);
		return;
	}
	b->is_busy = false;
	if (r->is_freed)
		maybe_free(r);
}

static struct prt_crew_batch *idle_batch(struct prt_receiver *r)
{
	for (size_t i = 0; i < r->crew; i++)
		if (!r->batch[i].is_busy)
			return &r->batch[i];
	return NULL;
}

void prt_crew_kick(struct prt_receiver *r)
{
	struct prt_crew_batch *b;

	while (r->line.first != NULL && (b = idle_batch(r)) != NULL) {
		struct prt_request_line before = r->line;

		b->count = 0;
		while (b->count < PRT_CREW_BATCH && r->line.first != NULL) {
			struct prt_request *q = prt_request_line_take(&r->line);

			q->phase = PRT_PHASE_CREW;
			b->request[b->count++] = q;
		}
		if (msp_loop_work(r->app->loop, work, worked, b) == MSP_OK) {
			b->is_busy = true;
			continue;
		}
		for (size_t i = 0; i < b->count; i++)
			b->request[i]->phase = PRT_PHASE_QUEUE;
		r->line = before; /* the links are still as they were */
		msp_timer_start(r->timer, RETRY_MS);
		return;
	}
}

/*
 * To hand something to a worker and back costs two waking threads. When there is nothing else to do, it is quicker to
 * do on the loop what takes less than that, or not much more.
 */
bool prt_is_cheap_here(const struct prt_receiver *r, uint8_t algorithm)
{
	return r->request_count == 1 && (algorithm == MSP_ALG_ECDSAP256 || algorithm == MSP_ALG_ED25519);
}

void prt_crew_add(struct prt_receiver *r, struct prt_request *q)
{
	q->phase = PRT_PHASE_QUEUE;
	prt_request_line_add(&r->line, q);
	prt_crew_kick(r);
}

enum msp_err prt_crew_open(struct prt_receiver *r)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	r->crew = cores < 1 ? 1 : (size_t)cores;
	if (r->crew > PRT_CREW_MAX)
		r->crew = PRT_CREW_MAX;
	for (size_t i = 0; i < PRT_CREW_MAX; i++) {
		r->batch[i].r = r;
		msp_buf_init(&r->batch[i].raw, RECORD_MAX);
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->idle, NULL);
	return cache_new(r, &r->keys);
}

void prt_crew_stop(struct prt_receiver *r)
{
	pthread_mutex_lock(&r->lock);
	r->is_stopped = true;
	while (r->working != 0)
		pthread_cond_wait(&r->idle, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

void prt_crew_free(struct prt_receiver *r)
{
	r->is_freed = true;
	maybe_free(r);
}

/* --- on the loop ----------------------------------------------------------------------------------------------------
 */

static void refuse_err(enum msp_err err, bool has_edns, struct prt_refusal *no)
{
	static const char *const rules[MSP_ERR__N] = {
		[MSP_ENOKEY] = "G.5 step 5: a key of the child",
		[MSP_ESIG] = "C.3 step 9: signature",
		[MSP_ETIME] = "C.3 step 5: time",
		[MSP_EALG] = "C.3 step 4: algorithm",
		[MSP_EUNSIGNED] = "G.5 step 2: signed",
		[MSP_EFORMAT] = "C.3 step 3: form of the SIG(0)",
	};
	enum msp_ede_own ede = (enum msp_ede_own)0;
	unsigned rcode;

	msp_trust_refusal(err, has_edns, &rcode, &ede);
	(void)prt_refuse(no, rcode, rules[err] != NULL ? rules[err] : "C.3", "%s",
			 ede != 0 ? msp_ede_text(ede) : msp_err_text(err));
	no->has_ede = ede != 0;
	no->ede = (uint16_t)ede;
}

/* What may be begun at all: limits of the source, of the name, of everybody. */
static bool may_verify(struct prt_call *c, const struct msp_name *child, struct prt_refusal *no)
{
	struct prt_receiver *r = c->r;
	const struct prt_conf_limits *l = &r->app->conf->limits;

	if (!prt_call_may_fail(c))
		return prt_refuse_std(no, MSP_EDE_BLOCKED, "C.3 step 6: failed verifications of a source",
				      "too many failed verifications");
	if (r->verifying >= (size_t)l->verify_in_flight ||
	    !prt_name_take(r, c->is_proven ? r->names_proven : r->names, child, c->now)) {
		(void)prt_refuse_std(no, MSP_EDE_BLOCKED, "limits of verification", "too many requests for this name");
		no->rcode = MSP_RCODE_SERVFAIL;
		return false;
	}
	return true;
}

void prt_verify(struct prt_call *c, const struct msp_sig0_claim *claim, const struct prt_conf_parent *parent,
		const struct msp_name *child, prt_request_fn *after)
{
	struct prt_app *app = c->r->app;
	enum msp_err err = msp_sig0_check_time(claim, prt_settings_sig0(app->settings), c->wall);
	const uint8_t *raw = c->m.raw.ptr;
	struct prt_refusal no;
	struct prt_request *q;

	if (err != MSP_OK) {
		refuse_err(err, c->m.edns.present, &no);
		if (err == MSP_EALG) /* G.6: whatever the key */
			prt_call_refuse_state(c, &no, MSP_KEYSTATE_REFUSED);
		else
			prt_call_refuse(c, &no);
		return;
	}
	if (!may_verify(c, child, &no)) {
		app->stats.over_budget++;
		prt_call_spend(c);
		prt_call_answer(c, &no, 0);
		return;
	}
	q = prt_request_new(c);
	if (q == NULL) {
		prt_refuse_trouble(&no, MSP_EBUSY);
		prt_call_answer(c, &no, 0);
		return;
	}
	q->claim = *claim;
	q->claim.sig.signature.ptr = q->octets + (claim->sig.signature.ptr - raw);
	q->parent = parent;
	q->child = *child;
	q->rules = prt_settings_rules(q->settings, parent, child);
	prt_request_verifies(q, true);
	q->work = NULL; /* verify */
	q->after = after;
	if (prt_is_cheap_here(q->call.r, claim->sig.algorithm) && try_cached(q))
		after(q);
	else
		prt_crew_add(q->call.r, q);
}

/* Anybody can make keys, and each that is taken in is stored, looked for and on record: together they have a budget. */
static bool may_upload(struct prt_request *q)
{
	const struct msp_addr all = { .family = MSP_FAMILY_NONE };

	if (q->key_state != MSP_KEYSTATE_UNKNOWN || msp_bucket_take(q->call.r->uploads, &all, q->call.now))
		return true;
	(void)prt_refuse_std(&q->refusal, MSP_EDE_BLOCKED, "limits of uploads", "too many new keys at this time");
	q->refusal.rcode = MSP_RCODE_SERVFAIL;
	q->found = MSP_EREFUSED;
	return false;
}

bool prt_verify_done(struct prt_request *q)
{
	struct prt_call *c = &q->call;
	struct prt_stats *stats = &c->r->app->stats;

	prt_request_verifies(q, false);
	c->now = msp_mono_now();
	stats->verifications += q->tries;
	if (q->found == MSP_OK)
		return may_upload(q);
	if (q->found == MSP_ESIG) {
		stats->bad_signatures++;
		prt_call_failed(c);
	}
	stats->unknown_keys += q->found == MSP_ENOKEY || q->found == MSP_ENOTFOUND;
	if (q->found == MSP_ENOTFOUND)
		prt_refuse_no_child(&q->refusal, &q->child);
	else if (q->found == MSP_ENOKEY || q->found == MSP_ESIG)
		refuse_err(q->found, c->m.edns.present, &q->refusal);
	else if (q->found != MSP_EREFUSED)
		prt_refuse_trouble(&q->refusal, q->found);
	return false;
}

enum msp_keystate_state prt_verify_state(const struct prt_request *q)
{
	switch (q->found) {
	case MSP_EREFUSED:
		return q->key_state;
	case MSP_ENOKEY:
	case MSP_ENOTFOUND:
		return MSP_KEYSTATE_UNKNOWN;
	default:
		return MSP_KEYSTATE_TEMPORARY_FAILURE;
	}
}
