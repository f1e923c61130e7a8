/* SPDX-License-Identifier: BSD-2-Clause */
#include "peer.h"

#include <string.h>

#include <msproto/base/mem.h>

#include "actions.h"
#include "discover.h"

#define GREET_JITTER_MS   2000 /* D.4 step 9 */
#define SEARCH_OVERDUE_MS 180000
#define NO_MEMORY_MS      1000 /* then try again */
#define FLAP_MS           1000

static enum msp_err peer_new(struct msa_core *c, const struct msp_name *identity, struct msa_peer **out)
{
	struct msp_name_key key = msp_name_key(identity);
	struct msa_peer *p = msp_alloc(1, sizeof(*p));
	enum msp_err err;

	if (p == NULL)
		return MSP_ENOMEM;
	p->identity = *identity;
	p->link = MSA_LINK_LEGACY; /* not shared yet */
	p->health = MSA_HEALTH_UNKNOWN;
	p->link_since = p->health_since = c->now;
	p->hello_left = MSA_HELLO_BURST;
	p->hello_at = c->now;
	p->legacy_until = MSP_MONO_NEVER;
	p->search_next = MSP_MONO_NEVER;
	p->forced_at = p->search_started = (struct msp_mono){ INT64_MIN / 2 };
	msa_timer_init(&p->timer, MSA_TIMER_PEER, p);
	err = msp_map_put(&c->peers, msp_name_key_span(&key), p, NULL);
	if (err != MSP_OK) {
		msp_free(p);
		return err;
	}
	*out = p;
	return MSP_OK;
}

struct msa_member *msa_member_find(const struct msa_zone *z, const struct msp_name *identity)
{
	for (size_t i = 0; i < z->member_count; i++)
		if (msp_name_equal(&z->member[i]->peer->identity, identity))
			return z->member[i];
	return NULL;
}

static bool room_for_member(struct msa_zone *z)
{
	size_t size = z->member_size == 0 ? 4 : z->member_size * 2;
	struct msa_member **grown;

	if (z->member_count < z->member_size)
		return true;
	grown = msp_realloc(z->member, size, sizeof(struct msa_member *));
	if (grown == NULL)
		return false;
	z->member = grown;
	z->member_size = size;
	return true;
}

enum msp_err msa_member_get(struct msa_core *c, struct msa_zone *z, const struct msp_name *identity,
			    struct msa_member **out)
{
	struct msa_member *m = msa_member_find(z, identity);
	struct msa_peer *p;
	enum msp_err err;

	if (m != NULL) {
		*out = m;
		return MSP_OK;
	}
	if (z->member_count >= MSA_MEMBERS_MAX)
		return MSP_ELIMIT;
	if (!room_for_member(z))
		return MSP_ENOMEM;
	p = msa_core_find_peer(c, identity);
	if (p == NULL) {
		err = peer_new(c, identity, &p);
		if (err != MSP_OK)
			return err;
	}
	m = msp_alloc(1, sizeof(*m));
	if (m == NULL)
		return MSP_ENOMEM;
	m->zone = z;
	m->peer = p;
	m->peer_next = p->first;
	p->first = m;
	p->members++;
	m->state = MSA_MEMBER_UNSEEN;
	m->state_since = m->hello_next = m->beat_next = m->data_next = m->pull_next = c->now;
	msa_timer_init(&m->timer, MSA_TIMER_MEMBER, m);
	z->member[z->member_count++] = m;
	*out = m;
	return MSP_OK;
}

static void stop_member(struct msa_core *c, struct msa_member *m)
{
	msa_pend_stop(c, &m->op);
	for (size_t i = 0; i < MSA_PULLS; i++)
		msa_pend_stop(c, &m->pull[i]);
	msa_contribution_fini(&m->pulled);
	m->hello_done = false;
	m->hello_backoff_s = 0;
	m->hello_tries = 0;
	m->hello_next = c->now;
	m->hello_why[0] = '\0';
	msa_member_raise(c, m, MSA_MEV_GONE);
}

void msa_member_free(struct msa_core *c, struct msa_member **m)
{
	struct msa_member *gone = *m;

	if (gone == NULL)
		return;
	msa_pend_stop(c, &gone->op);
	for (size_t i = 0; i < MSA_PULLS; i++)
		msa_pend_stop(c, &gone->pull[i]);
	msa_contribution_fini(&gone->pulled);
	msa_contribution_fini(&gone->held);
	msa_timer_cancel(&c->heap, &gone->timer);
	msp_free(gone);
	*m = NULL;
}

void msa_peer_free(struct msa_core *c, struct msa_peer **p)
{
	if (*p == NULL)
		return;
	msa_discover_stop(c, *p);
	msp_rrset_free(&(*p)->keys);
	msa_timer_cancel(&c->heap, &(*p)->timer);
	msp_free(*p);
	*p = NULL;
}

void msa_member_role(struct msa_core *c, struct msa_member *m, enum msa_role role, bool signs)
{
	m->role = role;
	m->signs = signs;
	msa_core_touch_member(c, m);
	if (role != MSA_ROLE_NONE && !m->is_listed) {
		m->is_listed = true;
		m->hello_next = c->now;
		m->peer->shared++;
		msa_link_raise(c, m->peer, MSA_LEV_SHARED);
	} else if (role == MSA_ROLE_NONE && m->is_listed) {
		m->is_listed = false;
		m->peer->shared--;
		stop_member(c, m);
		if (m->peer->shared == 0)
			msa_link_raise(c, m->peer, MSA_LEV_UNSHARED);
	}
}

static void greet_all(struct msa_core *c, struct msa_peer *p)
{
	for (struct msa_member *m = p->first; m != NULL; m = m->peer_next)
		if (m->is_listed)
			msa_member_greet(c, m);
}

static void touch_members(struct msa_core *c, struct msa_peer *p)
{
	for (struct msa_member *m = p->first; m != NULL; m = m->peer_next)
		if (m->is_listed)
			msa_core_touch_member(c, m);
}

static void raise_health(struct msa_core *c, struct msa_peer *p, enum msa_health_event ev)
{
	enum msa_health before = p->health;
	uint32_t actions = msa_health_step(&p->health, ev);

	if (actions == MSA_ACT_UNEXPECTED) {
		c->count.unexpected++;
		return;
	}
	if (p->health != before) {
		bool is_bad = p->health == MSA_HEALTH_INTERRUPTED && !(c->now.ms < p->bye_until.ms);

		p->health_since = c->now;
		msp_log(c->log, is_bad ? MSP_LOG_WARNING : MSP_LOG_NOTICE, "peer-health",
			MSP_F_STR("peer", MSP_NAME(&p->identity)), MSP_F_STR("from", msa_health_name(before)),
			MSP_F_STR("to", msa_health_name(p->health)), MSP_F_STR("cause", msa_health_event_name(ev)));
	}
	if ((actions & MSA_HACT_SEARCH) != 0)
		msa_link_raise(c, p, MSA_LEV_SILENT);
}

static void perform_link(struct msa_core *c, struct msa_peer *p, uint32_t actions)
{
	if ((actions & MSA_LACT_STOP) != 0)
		for (struct msa_member *m = p->first; m != NULL; m = m->peer_next)
			stop_member(c, m);
	if ((actions & MSA_LACT_DISCOVER) != 0) {
		p->search_next = c->now;
		p->search_backoff_s = 0;
	}
	if ((actions & MSA_LACT_GREET) != 0)
		touch_members(c, p);
	if ((actions & MSA_LACT_GREET_ALL) != 0)
		greet_all(c, p);
	if ((actions & MSA_LACT_BEAT) != 0)
		touch_members(c, p);
	if ((actions & MSA_LACT_KEEP) != 0) {
		p->legacy_until = msp_mono_add_ms(c->now, MSA_LEGACY_MS);
		msa_discover_stop(c, p);
	}
	msa_core_touch_peer(c, p);
}

void msa_link_raise(struct msa_core *c, struct msa_peer *p, enum msa_link_event ev)
{
	enum msa_link before = p->link;
	uint32_t actions = msa_link_step(&p->link, ev);

	if (actions == MSA_ACT_UNEXPECTED) {
		c->count.unexpected++;
		return;
	}
	if (p->link != before) {
		p->link_since = c->now;
		msp_log(c->log, MSP_LOG_NOTICE, "peer-state", MSP_F_STR("peer", MSP_NAME(&p->identity)),
			MSP_F_STR("from", msa_link_name(before)), MSP_F_STR("to", msa_link_name(p->link)),
			MSP_F_STR("cause", msa_link_event_name(ev)));
		if (p->link == MSA_LINK_OPERATIONAL) {
			p->operational_at = c->now;
			p->has_beat_in = p->has_beat_out = false;
		} else if (before == MSA_LINK_OPERATIONAL) {
			raise_health(c, p, MSA_HEV_DOWN);
		}
	}
	perform_link(c, p, actions);
	if (ev == MSA_LEV_SHARED && p->link == MSA_LINK_KNOWN && !p->is_located)
		msa_link_raise(c, p, MSA_LEV_LOST); /* back from LEGACY, or from the store: nothing known any more */
}

void msa_member_raise(struct msa_core *c, struct msa_member *m, enum msa_member_event ev)
{
	enum msa_member_state before = m->state;
	uint32_t actions = msa_member_step(&m->state, ev);

	if (actions == MSA_ACT_UNEXPECTED) {
		c->count.unexpected++;
		return;
	}
	if (m->state != before) {
		/* A peer that names another group at every turn may do so, but not in everybody's log. */
		bool is_flap = m->was_member && (ev == MSA_MEV_SAME_GROUP || ev == MSA_MEV_OTHER_GROUP) &&
			       c->now.ms - m->state_since.ms < FLAP_MS;

		m->state_since = c->now;
		msp_log(c->log, is_flap ? MSP_LOG_DEBUG : MSP_LOG_NOTICE, "member-state",
			MSP_F_STR("zone", MSP_NAME(&m->zone->name)), MSP_F_STR("peer", MSP_NAME(&m->peer->identity)),
			MSP_F_STR("from", msa_member_name(before)), MSP_F_STR("to", msa_member_name(m->state)),
			MSP_F_STR("cause", msa_member_event_name(ev)));
	}
	if ((actions & MSA_MACT_REGREET) != 0)
		msa_member_greet(c, m);
	if ((actions & MSA_MACT_JOINED) != 0 && !m->was_member) {
		m->was_member = true;
		msa_store_member(c, m);
	}
	if (m->state != before) {
		msa_core_touch_member(c, m);
		msa_core_touch_zone(c, m->zone);
	}
}

void msa_member_compare_group(struct msa_core *c, struct msa_member *m)
{
	const struct msa_group *g = &m->zone->group;
	bool is_same;

	if (!m->has_group || !g->has_hsync || m->state == MSA_MEMBER_UNSEEN)
		return;
	is_same = msa_same_digest(m->group, g->digest);
	msa_member_raise(c, m, is_same ? MSA_MEV_SAME_GROUP : MSA_MEV_OTHER_GROUP);
}

void msa_member_group(struct msa_core *c, struct msa_member *m, const uint8_t digest[32])
{
	m->has_group = true;
	memcpy(m->group, digest, sizeof(m->group));
	msa_member_compare_group(c, m);
}

void msa_member_greet(struct msa_core *c, struct msa_member *m)
{
	m->hello_done = false;
	m->hello_backoff_s = 0;
	m->hello_tries = 0;
	m->hello_next = msp_mono_add_ms(c->now, (int64_t)msp_rand_below(c->rand, GREET_JITTER_MS));
	msa_core_touch_member(c, m);
}

bool msa_member_is_active(const struct msa_member *m)
{
	const struct msa_zone *z = m->zone;

	return z->has_view && z->has_own && !z->is_frozen && z->group.has_hsync && z->group.self < z->group.count &&
	       m->is_listed && m->peer->is_located &&
	       (m->peer->link == MSA_LINK_KNOWN || m->peer->link == MSA_LINK_OPERATIONAL);
}

/** D.3: GREEN needs both directions; the thresholds are 2 and 10 of the peer's intervals. */
static struct msp_mono look_at_health(struct msa_core *c, struct msa_peer *p)
{
	int64_t in_ms = (int64_t)(p->interval_s != 0 ? p->interval_s : c->heartbeat_s) * 1000;
	int64_t own_ms = (int64_t)c->heartbeat_s * 1000;
	int64_t out_ms = in_ms > own_ms ? in_ms : own_ms; /* we ask at our pace, it answers at ours */
	struct msp_mono in = p->has_beat_in ? p->beat_in : p->operational_at;
	struct msp_mono sent = p->has_beat_out ? p->beat_out : p->operational_at;
	int64_t age_in = c->now.ms - in.ms, age_out = c->now.ms - sent.ms;
	struct msp_mono next = MSP_MONO_NEVER;

	if (p->link != MSA_LINK_OPERATIONAL)
		return MSP_MONO_NEVER;
	if (age_in > 10 * in_ms || age_out > 10 * out_ms)
		raise_health(c, p, MSA_HEV_SILENT);
	else if (age_in > 2 * in_ms || age_out > 2 * out_ms)
		raise_health(c, p, MSA_HEV_LATE);
	else if (p->has_beat_in && p->has_beat_out)
		raise_health(c, p, MSA_HEV_ALIVE);
	for (int64_t n = 2; n <= 10; n += 8) {
		if (age_in <= n * in_ms)
			next = msp_mono_min(next, msp_mono_add_ms(in, n * in_ms + 1));
		if (age_out <= n * out_ms)
			next = msp_mono_min(next, msp_mono_add_ms(sent, n * out_ms + 1));
	}
	return next;
}

void msa_peer_look(struct msa_core *c, struct msa_peer *p)
{
	struct msp_mono next = MSP_MONO_NEVER;

	if (p->shared == 0) {
		if (msp_mono_reached(c->now, p->legacy_until)) {
			msa_discover_forget(c, p);
			p->legacy_until = MSP_MONO_NEVER;
			msp_log(c->log, MSP_LOG_NOTICE, "peer-forgotten", MSP_F_STR("peer", MSP_NAME(&p->identity)));
		}
		msa_timer_set(&c->heap, &p->timer, p->legacy_until);
		return;
	}
	if (p->is_located && msp_mono_reached(c->now, p->dead_at)) {
		msa_discover_forget(c, p);
		msa_link_raise(c, p, MSA_LEV_LOST);
	}
	if (p->search.is_running && c->now.ms - p->search_started.ms > SEARCH_OVERDUE_MS)
		msa_discover_abandon(c, p);
	if (!p->search.is_running && msp_mono_reached(c->now, p->search_next))
		msa_discover_start(c, p);
	next = p->search.is_running ? msp_mono_add_ms(p->search_started, SEARCH_OVERDUE_MS + 1) : p->search_next;
	if (p->is_located)
		next = msp_mono_min(next, p->dead_at);
	next = msp_mono_min(next, look_at_health(c, p));
	if (next.ms <= c->now.ms)
		next = msp_mono_add_ms(c->now, c->err == MSP_OK ? 1 : NO_MEMORY_MS);
	msa_timer_set(&c->heap, &p->timer, next);
}
