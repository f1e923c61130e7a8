/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>
#include <string.h>

#include <msproto/base/mem.h>

#include "actions.h"
#include "beat.h"
#include "discover.h"
#include "parent.h"
#include "peer.h"
#include "request.h"
#include "sync.h"
#include "zone_watch.h"

#define PENDS_MAX  (8u * MSA_ZONES_MAX)
#define REPLAY_MAX 65536
#define BUCKETS    4096
#define LOOKS_MAX  10000000 /* per step: our own bug, not input, would make a step endless */

void msa_core_touch_zone(struct msa_core *c, struct msa_zone *z)
{
	msa_timer_soon(&c->heap, &z->timer, c->now);
}

void msa_core_touch_peer(struct msa_core *c, struct msa_peer *p)
{
	msa_timer_soon(&c->heap, &p->timer, c->now);
}

void msa_core_touch_member(struct msa_core *c, struct msa_member *m)
{
	msa_timer_soon(&c->heap, &m->timer, c->now);
}

struct msa_zone *msa_core_find_zone(const struct msa_core *c, const struct msp_name *name)
{
	struct msp_name_key key = msp_name_key(name);

	return msp_map_get(&c->zones, msp_name_key_span(&key));
}

struct msa_peer *msa_core_find_peer(const struct msa_core *c, const struct msp_name *identity)
{
	struct msp_name_key key = msp_name_key(identity);

	return msp_map_get(&c->peers, msp_name_key_span(&key));
}

int64_t msa_core_backoff_ms(struct msa_core *c, uint32_t *current_s, uint32_t base_s, uint32_t max_s)
{
	*current_s = *current_s == 0 ? base_s : *current_s > max_s / 2 ? max_s : *current_s * 2;
	return msp_rand_jitter(c->rand, (int64_t)*current_s * 1000, 20);
}

static enum msp_err new_parts(struct msa_core *c)
{
	enum msp_err err = msp_keyring_new(MSA_PEERS_MAX, &c->ring);

	if (err == MSP_OK)
		err = msp_replay_new(REPLAY_MAX, &c->replay);
	if (err == MSP_OK)
		err = msp_bucket_new(BUCKETS, MSA_HELLO_PER_S, MSA_HELLO_BURST, &c->hello_budget); /* D.4 step 2 */
	if (err == MSP_OK)
		err = msp_bucket_new(BUCKETS, 20, 20, &c->failure_budget); /* C.3 step 6 */
	if (err == MSP_OK)
		err = msp_bucket_new(BUCKETS, 10, 10, &c->sign_budget); /* as G.7 */
	if (err == MSP_OK)
		err = msp_bucket_new(BUCKETS, 5, 20, &c->log_budget);
	if (err == MSP_OK)
		err = msa_answered_new(c);
	if (err != MSP_OK)
		return err;
	c->scratch = msp_alloc(1, sizeof(*c->scratch));
	c->message = msp_alloc(1, MSP_MSG_MAX);
	return c->scratch == NULL || c->message == NULL ? MSP_ENOMEM : MSP_OK;
}

static void take_parent_conf(struct msa_core *c, const struct msa_parent_conf *conf)
{
	struct msa_parent_conf *p = &c->parent;

	*p = *conf;
	p->observe_s = p->observe_s == 0 ? 30 : p->observe_s;
	p->poll_s = p->poll_s == 0 ? 60 : p->poll_s;
	p->poll_max_s = p->poll_max_s == 0 ? 900 : p->poll_max_s;
	p->state_s = p->state_s == 0 ? 60 : p->state_s;
	p->state_max_s = p->state_max_s == 0 ? 3600 : p->state_max_s;
	if (p->fingerprint_count > MSA_FINGERPRINTS_MAX)
		p->fingerprint_count = MSA_FINGERPRINTS_MAX;
	for (size_t i = 0; i < p->fingerprint_count; i++)
		memcpy(c->fingerprint[i], conf->fingerprint[i], sizeof(c->fingerprint[i]));
	p->fingerprint = NULL; /* the caller's */
}

enum msp_err msa_core_new(const struct msa_core_conf *conf, struct msp_wall epoch, struct msp_rand *rand,
			  const struct msp_log *log, struct msa_core **out)
{
	struct msa_core *c = msp_alloc(1, sizeof(*c));
	enum msp_err err;

	if (c == NULL)
		return MSP_ENOMEM;
	c->identity = conf->identity;
	c->host = conf->host;
	c->key = conf->key;
	c->numbers = conf->numbers;
	c->heartbeat_s = conf->heartbeat_s == 0 ? 60 : conf->heartbeat_s;
	c->hello_retry_s = conf->hello_retry_s == 0 ? 60 : conf->hello_retry_s;
	c->hello_retry_max_s = conf->hello_retry_max_s == 0 ? 1800 : conf->hello_retry_max_s;
	c->discovery_retry_s = conf->discovery_retry_s == 0 ? 15 : conf->discovery_retry_s;
	c->discovery_retry_max_s = conf->discovery_retry_max_s == 0 ? 1800 : conf->discovery_retry_max_s;
	c->discovery_cache_min_s = conf->discovery_cache_min_s == 0 ? 60 : conf->discovery_cache_min_s;
	c->svcb_port_override = conf->svcb_port_override;
	take_parent_conf(c, &conf->parent);
	c->rand = rand;
	c->log = log;
	c->epoch = epoch.s > 0 ? (uint64_t)epoch.s : 1;
	msp_map_init(&c->zones, MSA_ZONES_MAX);
	msp_map_init(&c->peers, MSA_PEERS_MAX);
	msp_map_init(&c->pends, PENDS_MAX);
	err = new_parts(c);
	for (size_t i = 0; i < conf->zone_count && err == MSP_OK; i++)
		err = msa_zone_new(c, &conf->zones[i]);
	if (err != MSP_OK) {
		msa_core_free(&c);
		return err;
	}
	*out = c;
	return MSP_OK;
}

void msa_core_free(struct msa_core **core)
{
	struct msa_core *c = *core;
	struct msp_map_it it;

	if (c == NULL)
		return;
	for (bool more = msp_map_first(&c->zones, msp_span(NULL, 0), &it); more; more = msp_map_next(&c->zones, &it)) {
		struct msa_zone *z = it.value;

		msa_zone_free(c, &z);
	}
	for (bool more = msp_map_first(&c->peers, msp_span(NULL, 0), &it); more; more = msp_map_next(&c->peers, &it)) {
		struct msa_peer *p = it.value;

		msa_peer_free(c, &p);
	}
	msp_map_fini(&c->zones, NULL);
	msp_map_fini(&c->peers, NULL);
	msp_map_fini(&c->pends, NULL);
	msp_keyring_free(&c->ring);
	msp_replay_free(&c->replay);
	msp_bucket_free(&c->hello_budget);
	msp_bucket_free(&c->failure_budget);
	msp_bucket_free(&c->sign_budget);
	msp_bucket_free(&c->log_budget);
	msa_answered_free(c);
	msp_free(c->scratch);
	msp_free(c->message);
	msp_free(c);
	*core = NULL;
}

static void lookup_event(struct msa_core *c, const struct msa_event *ev)
{
	struct msa_pend *p = msa_pend_find(c, ev->u.lookup.id);

	if (p != NULL && p->kind == MSA_PEND_LOOKUP)
		msa_discover_answer(c, p, ev->u.lookup.verdict, ev->u.lookup.secure, ev->u.lookup.why);
	if (p != NULL && p->kind == MSA_PEND_PARENT_LOOK) {
		const struct msp_secure_rrset *secure = ev->u.lookup.secure;
		struct msa_looked l = { .verdict = ev->u.lookup.verdict,
					.is_negative = ev->u.lookup.verdict == MSP_LOOKUP_NODATA,
					.set = secure == NULL ? NULL : msp_secure_get(secure),
					.why = ev->u.lookup.why };

		msa_parent_looked(c, p, &l);
	}
}

static void open_event(struct msa_core *c, const struct msa_event *ev)
{
	struct msa_pend *p = msa_pend_find(c, ev->u.open.id);
	struct msa_looked l = { .verdict = ev->u.open.verdict,
				.is_negative = ev->u.open.is_negative,
				.set = ev->u.open.set,
				.soa_owner = &ev->u.open.soa_owner,
				.why = ev->u.open.why };

	if (p != NULL && p->kind == MSA_PEND_PARENT_LOOK)
		msa_parent_looked(c, p, &l);
}

static void key_event(struct msa_core *c, const struct msa_event *ev)
{
	struct msa_pend *p = msa_pend_find(c, ev->u.key.id);

	if (p != NULL && p->kind == MSA_PEND_PARENT_KEY)
		msa_parent_keyed(c, p, ev->u.key.err, ev->u.key.key, ev->u.key.file, ev->u.key.why);
}

static void parent_event(struct msa_core *c, const struct msa_event *ev)
{
	struct msa_zone *z = msa_core_find_zone(c, &ev->u.parent.zone);

	if (z != NULL && ev->kind == MSA_EV_PARENT_SYNC)
		msa_parent_sync(c, z);
	else if (z != NULL)
		msa_parent_roll(c, z);
}

static void answer_event(struct msa_core *c, const struct msa_event *ev)
{
	struct msa_pend *p = msa_pend_find(c, ev->u.answer.id);

	if (p != NULL && (p->kind == MSA_PEND_HELLO || p->kind == MSA_PEND_BEAT || p->kind == MSA_PEND_DATA ||
			  p->kind == MSA_PEND_PULL))
		msa_member_answer(c, p, ev->u.answer.err, ev->u.answer.octets);
	else if (p != NULL && p->kind == MSA_PEND_PARENT_ASK)
		msa_parent_asked(c, p, ev->u.answer.err, ev->u.answer.octets);
	else if (p != NULL && p->kind == MSA_PEND_PARENT_TALK)
		msa_parent_talked(c, p, ev->u.answer.err, ev->u.answer.octets);
}

static void event(struct msa_core *c, const struct msa_event *ev)
{
	struct msa_pend *p;

	switch (ev->kind) {
	case MSA_EV_TICK:
		break;
	case MSA_EV_REQUEST:
		msa_request(c, ev->u.request.id, &ev->u.request.peer, ev->u.request.is_tcp, ev->u.request.octets);
		break;
	case MSA_EV_ANSWER:
		answer_event(c, ev);
		break;
	case MSA_EV_LOOKUP:
		lookup_event(c, ev);
		break;
	case MSA_EV_ZONE:
		msa_zone_view(c, &ev->u.zone);
		break;
	case MSA_EV_ZONE_FAILED:
		msa_zone_failed(c, &ev->u.zone_failed.zone, ev->u.zone_failed.why);
		break;
	case MSA_EV_READBACK:
		msa_zone_readback(c, &ev->u.readback.zone, ev->u.readback.dnskey, ev->u.readback.cds,
				  ev->u.readback.cdnskey);
		break;
	case MSA_EV_COMBINED:
		p = msa_pend_find(c, ev->u.combined.id);
		if (p != NULL && p->kind == MSA_PEND_COMBINE)
			msa_combined(c, p->owner, ev->u.combined.err, ev->u.combined.why);
		else if (p != NULL && p->kind == MSA_PEND_PARENT_COMBINE)
			msa_parent_combined(c, p->owner, ev->u.combined.err, ev->u.combined.why);
		break;
	case MSA_EV_SIGNER:
		p = msa_pend_find(c, ev->u.signer.id);
		if (p != NULL && p->kind == MSA_PEND_SIGNER)
			msa_signed(c, p->owner, ev->u.signer.err, ev->u.signer.why);
		break;
	case MSA_EV_LOOKUP_OPEN:
		open_event(c, ev);
		break;
	case MSA_EV_KEY:
		key_event(c, ev);
		break;
	case MSA_EV_PARENT_SYNC:
	case MSA_EV_PARENT_ROLL:
		parent_event(c, ev);
		break;
	}
}

enum msp_err msa_core_step(struct msa_core *core, const struct msa_event *ev, struct msp_mono now, struct msp_wall wall,
			   struct msa_actions *out)
{
	struct msa_timer *t;

	core->now = now;
	core->wall = wall;
	core->out = out;
	core->err = MSP_OK;
	if (!core->epoch_stored) {
		/* Before the first message: a later life then has a larger epoch, and its sequence may start again. */
		msa_store_epoch(core);
		if (core->err != MSP_OK) {
			/* The event is lost. Answers that do not come are not waited for for ever; a view is fetched
			 * again. */
			if (ev->kind == MSA_EV_ZONE)
				msa_zone_view_lost(core, &ev->u.zone.zone);
			return core->err;
		}
		core->epoch_stored = true;
	}
	event(core, ev);
	for (size_t n = 0; (t = msa_timer_take(&core->heap, now)) != NULL; n++) {
		assert(n < LOOKS_MAX);
		switch ((enum msa_timer_kind)t->kind) {
		case MSA_TIMER_ZONE:
			msa_zone_look(core, t->owner);
			break;
		case MSA_TIMER_PEER:
			msa_peer_look(core, t->owner);
			break;
		case MSA_TIMER_MEMBER:
			msa_member_look(core, t->owner);
			break;
		case MSA_TIMER_PARENT:
			msa_parent_look(core, t->owner);
			break;
		}
	}
	core->out = NULL;
	return core->err;
}

struct msp_mono msa_core_deadline(const struct msa_core *core)
{
	return core->heap == NULL ? MSP_MONO_NEVER : core->heap->at;
}

bool msa_core_has_put(const struct msa_core *core, const struct msp_name *zone)
{
	struct msp_name_key key = msp_name_key(zone);
	const struct msa_zone *z = msp_map_get(&core->zones, msp_name_key_span(&key));

	return z != NULL && z->has_put;
}
