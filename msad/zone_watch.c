/* SPDX-License-Identifier: BSD-2-Clause */
#include "zone_watch.h"

#include <stdio.h>
#include <string.h>

#include <msproto/base/mem.h>

#include "actions.h"
#include "parent.h"
#include "peer.h"

#define VIEW_AGAIN_MS 5000

enum msp_err msa_zone_new(struct msa_core *c, const struct msa_zone_conf *conf)
{
	struct msp_name_key key = msp_name_key(&conf->zone);
	struct msa_zone *z = msp_alloc(1, sizeof(*z));
	enum msp_err err = MSP_OK;

	if (z == NULL)
		return MSP_ENOMEM;
	z->name = conf->zone;
	z->signer_mode = conf->signer_mode;
	z->ttl_s = conf->dnskey_ttl_s;
	z->cdnskey = conf->cdnskey;
	z->unseen_since = z->poll_next = z->view_again = MSP_MONO_NEVER;
	snprintf(z->waiting, sizeof(z->waiting), "first transfer from the signer");
	msa_timer_init(&z->timer, MSA_TIMER_ZONE, z);
	if (conf->ns_count > 0)
		err = msp_rrset_new(&conf->zone, MSP_TYPE_NS, conf->dnskey_ttl_s, &z->ns);
	for (size_t i = 0; i < conf->ns_count && i < MSA_NS_MAX && err == MSP_OK; i++)
		err = msp_rrset_add(z->ns, msp_name_span(&conf->ns[i]));
	if (err == MSP_OK)
		err = msp_map_get(&c->zones, msp_name_key_span(&key)) != NULL
			      ? MSP_ECONF
			      : msp_map_put(&c->zones, msp_name_key_span(&key), z, NULL);
	if (err == MSP_OK && conf->parent_sync != MSA_PARENT_OFF)
		err = msa_parent_new(c, z, conf);
	if (err != MSP_OK)
		msa_zone_free(c, &z);
	return err;
}

void msa_zone_free(struct msa_core *c, struct msa_zone **zp)
{
	struct msa_zone *z = *zp;

	if (z == NULL)
		return;
	for (size_t i = 0; i < z->member_count; i++)
		msa_member_free(c, &z->member[i]);
	msp_free(z->member);
	msa_pend_stop(c, &z->combine);
	msa_pend_stop(c, &z->signer);
	msa_timer_cancel(&c->heap, &z->timer);
	msa_parent_free(c, &z->parent);
	msp_rrset_free(&z->apex_ns);
	msp_rrset_free(&z->apex_key);
	msp_rrset_free(&z->csync);
	msp_rrset_free(&z->ns);
	msp_rrset_free(&z->dnskey);
	msp_rrset_free(&z->cds);
	msp_rrset_free(&z->put_dnskey);
	msp_rrset_free(&z->put_cds);
	msp_rrset_free(&z->put_cdnskey);
	msp_rrset_free(&z->withdrawn);
	msp_rrset_free(&z->dropping);
	msa_contribution_fini(&z->own);
	msa_group_fini(&z->group);
	msp_free(z);
	*zp = NULL;
}

/** Swap in a copy; `from` NULL = empty. */
static enum msp_err copy_set(const struct msp_rrset *from, struct msp_rrset **to)
{
	struct msp_rrset *copy = NULL;
	enum msp_err err = from == NULL || from->count == 0 ? MSP_OK : msp_rrset_dup(from, &copy);

	if (err != MSP_OK)
		return err;
	msp_rrset_free(to);
	*to = copy;
	return MSP_OK;
}

static enum msp_err make_group(struct msa_core *c, struct msa_zone *z, const struct msp_rrset *hsync,
			       struct msa_group *out)
{
	struct msa_known *known = msp_alloc(z->member_count + 1, sizeof(*known));
	size_t count = 0;
	enum msp_err err;

	if (known == NULL)
		return MSP_ENOMEM;
	known[count++] = (struct msa_known){ .identity = &c->identity, .history = &z->self };
	for (size_t i = 0; i < z->member_count; i++)
		known[count++] = (struct msa_known){ .identity = &z->member[i]->peer->identity,
						     .history = &z->member[i]->history };
	err = msa_group_make(hsync, c->numbers.hsync_compat_zero, &c->identity, known, count, out);
	msp_free(known);
	return err;
}

static bool same_history(const struct msa_history *a, const struct msa_history *b)
{
	return a->ever_on == b->ever_on && a->ever_signed == b->ever_signed && a->last == b->last &&
	       a->nsmgmt == b->nsmgmt && a->sign == b->sign;
}

static void log_group(struct msa_core *c, const struct msa_zone *z)
{
	const struct msa_group *g = &z->group;
	bool is_alarm = !g->is_certain || g->vanished > 0 || g->nsmgmt_mixed;

	msp_log(c->log, is_alarm ? MSP_LOG_WARNING : MSP_LOG_NOTICE, "zone-group",
		MSP_F_STR("zone", MSP_NAME(&z->name)), MSP_F_U64("identities", g->count),
		MSP_F_U64("signers", g->signers), MSP_F_STR("listed", g->self < g->count ? "yes" : "no"),
		MSP_F_STR("role", g->self < g->count ? msa_role_name(g->row[g->self].role) : "none"),
		MSP_F_STR("nsmgmt", g->nsmgmt == MSP_HSYNC_AGENT ? "agent" : "owner"),
		MSP_F_U64("malformed", g->malformed), MSP_F_U64("duplicates", g->duplicates),
		MSP_F_U64("removed_without_offboarding", g->vanished),
		MSP_F_STR("nsmgmt_mixed", g->nsmgmt_mixed ? "yes" : "no"));
	for (size_t i = 0; i < g->count; i++)
		if (g->row[i].is_vanished)
			msp_log(c->log, MSP_LOG_WARNING, "removed-without-offboarding",
				MSP_F_STR("zone", MSP_NAME(&z->name)),
				MSP_F_STR("identity", MSP_NAME(&g->row[i].identity)));
}

/** Histories move on, members get their roles. */
static enum msp_err apply_group(struct msa_core *c, struct msa_zone *z)
{
	const struct msa_group *g = &z->group;
	const struct msa_group_row *own = msa_group_find(g, &c->identity);
	struct msa_history next = msa_history_next(&z->self, own);
	enum msp_err err;

	if (!same_history(&next, &z->self)) {
		z->self = next;
		msa_store_self(c, z);
	}
	for (size_t i = 0; i < g->count; i++) {
		struct msa_member *m;

		if (g->row[i].is_self)
			continue;
		err = msa_member_get(c, z, &g->row[i].identity, &m);
		if (err == MSP_ELIMIT) {
			msp_log(c->log, MSP_LOG_WARNING, "too-many-identities", MSP_F_STR("zone", MSP_NAME(&z->name)),
				MSP_F_STR("identity", MSP_NAME(&g->row[i].identity)));
			continue;
		}
		if (err != MSP_OK)
			return err;
	}
	for (size_t i = 0; i < z->member_count; i++) {
		struct msa_member *m = z->member[i];
		const struct msa_group_row *row = msa_group_find(g, &m->peer->identity);

		next = msa_history_next(&m->history, row);
		if (!same_history(&next, &m->history)) {
			m->history = next;
			msa_store_member(c, m);
		}
		/* Own identity not listed: we take part in nothing, so nobody is a peer on behalf of this zone (rule
		 * 5). */
		if (row == NULL || g->self == g->count)
			msa_member_role(c, m, MSA_ROLE_NONE, false);
		else
			msa_member_role(c, m, row->role, row->sign == MSP_HSYNC_YES);
	}
	return MSP_OK;
}

/** A new HSYNC RRset: what failed before may work now. */
static void hurry_peers(struct msa_core *c, struct msa_zone *z)
{
	for (size_t i = 0; i < z->member_count; i++) {
		struct msa_member *m = z->member[i];

		msa_member_compare_group(c, m);
		if (!m->is_listed || m->peer->link != MSA_LINK_NEEDED)
			continue;
		m->peer->search_next = c->now;
		m->peer->search_backoff_s = 0;
		msa_core_touch_peer(c, m->peer);
	}
}

static void freeze(struct msa_core *c, struct msa_zone *z)
{
	if (z->is_frozen)
		return;
	z->is_frozen = true;
	msp_log(c->log, MSP_LOG_WARNING, "zone-frozen", MSP_F_STR("zone", MSP_NAME(&z->name)),
		MSP_F_STR("reason", "the HSYNC RRset is gone; nothing is sent or changed, contributions stay"));
	for (size_t i = 0; i < z->member_count; i++) {
		msa_pend_stop(c, &z->member[i]->op);
		for (size_t k = 0; k < MSA_PULLS; k++)
			msa_pend_stop(c, &z->member[i]->pull[k]);
	}
}

static enum msp_err take_hsync(struct msa_core *c, struct msa_zone *z, const struct msp_rrset *hsync)
{
	struct msa_group g = { 0 };
	bool is_new, was_frozen = z->is_frozen;
	enum msp_err err;

	if (hsync == NULL || hsync->count == 0) {
		if (z->is_managed)
			freeze(c, z);
		return MSP_OK;
	}
	z->is_frozen = false;
	err = make_group(c, z, hsync, &g);
	if (err != MSP_OK)
		return err;
	is_new = !z->group.has_hsync || !msa_same_digest(g.digest, z->group.digest);
	msa_group_fini(&z->group);
	z->group = g;
	if (is_new || was_frozen)
		log_group(c, z);
	err = apply_group(c, z);
	if (err != MSP_OK)
		return err;
	if (!z->is_managed && g.self < g.count) {
		z->is_managed = true;
		msa_store_zone(c, z);
	}
	if (is_new)
		hurry_peers(c, z);
	return MSP_OK;
}

/** Own keys: what is served, less everything that we have contributed or withdrawn; by full RDATA (F.3, SIGNERS 2.4).
 */
static enum msp_err make_own(const struct msa_zone *z, struct msa_contribution *own)
{
	enum msp_err err = copy_set(z->ns, &own->ns);

	if (err == MSP_OK)
		err = msa_parent_own_keys(z, &own->key);
	if (err != MSP_OK || !z->self.ever_signed)
		return err;
	if (z->dnskey != NULL) {
		err = msp_rrset_dup(z->dnskey, &own->dnskey);
		if (err != MSP_OK)
			return err;
		own->dnskey->ttl = z->ttl_s;
		msp_rrset_subtract(own->dnskey, z->put_dnskey);
		msp_rrset_subtract(own->dnskey, z->withdrawn);
		msp_rrset_subtract(own->dnskey, z->dropping);
		if (own->dnskey->count == 0)
			msp_rrset_free(&own->dnskey);
	}
	/* We are to sign, have signed, and no key of ours is served: a fault at the signer, not a wish to withdraw. The
	 * others would drop keys that caches everywhere still need. */
	if (own->dnskey == NULL && z->own.dnskey != NULL && z->group.self < z->group.count &&
	    msa_row_signs(&z->group.row[z->group.self]))
		err = msp_rrset_dup(z->own.dnskey, &own->dnskey);
	if (err != MSP_OK)
		return err;
	return msa_cds_of(&z->name, own->dnskey, z->ttl_s, &own->cds);
}

static enum msp_err take_own(struct msa_core *c, struct msa_zone *z)
{
	struct msa_contribution own = { .version = z->own.version };
	enum msp_err err = make_own(z, &own);

	if (err == MSP_OK)
		err = msa_contribution_digest(&z->name, &own, own.digest);
	if (err != MSP_OK) {
		msa_contribution_fini(&own);
		return err;
	}
	if (own.version == 0 || !msa_same_digest(own.digest, z->own.digest)) {
		own.version++;
		msa_contribution_fini(&z->own);
		z->own = own;
		msa_store_own(c, z); /* before any message tells of it */
		msp_log(c->log, MSP_LOG_NOTICE, "contribution", MSP_F_STR("zone", MSP_NAME(&z->name)),
			MSP_F_STR("peer", MSP_NAME(&c->identity)), MSP_F_U64("version", z->own.version),
			MSP_F_U64("dnskey", z->own.dnskey == NULL ? 0 : z->own.dnskey->count),
			MSP_F_U64("cds", z->own.cds == NULL ? 0 : z->own.cds->count),
			MSP_F_U64("ns", z->own.ns == NULL ? 0 : z->own.ns->count));
	} else {
		msa_contribution_fini(&z->own);
		z->own = own;
	}
	z->has_own = true;
	if (z->own.dnskey != NULL && !msp_rrset_contains(z->dnskey, z->own.dnskey))
		msp_log(c->log, MSP_LOG_WARNING, "own-keys-missing", MSP_F_STR("zone", MSP_NAME(&z->name)),
			MSP_F_STR("reason", "the signer serves none of our keys; the contribution stays as it was"));
	return MSP_OK;
}

/** A withdrawn key that is no longer served is forgotten only after a day: a late combiner or signer may still bring it
 * back. */
static void forget_withdrawn(struct msa_core *c, struct msa_zone *z)
{
	size_t i = 0, before;

	if (z->withdrawn == NULL || !z->put_acked || c->wall.s - z->withdrawn_s < MSA_WITHDRAWN_S)
		return;
	before = z->withdrawn->count;
	while (i < z->withdrawn->count) {
		if (z->dnskey != NULL && msp_rrset_has(z->dnskey, z->withdrawn->rdata[i]))
			i++;
		else
			msp_rrset_del(z->withdrawn, z->withdrawn->rdata[i]);
	}
	if (z->withdrawn->count == before)
		return;
	if (z->withdrawn->count == 0)
		msp_rrset_free(&z->withdrawn);
	z->put_stored = msa_store_put(c, z);
}

static enum msp_err take_view(struct msa_core *c, struct msa_zone *z, const struct msa_zone_view *v)
{
	enum msp_err err = copy_set(v->dnskey, &z->dnskey);

	if (err == MSP_OK)
		err = copy_set(v->cds, &z->cds);
	if (err == MSP_OK && z->parent != NULL)
		err = copy_set(v->ns, &z->apex_ns);
	if (err == MSP_OK && z->parent != NULL)
		err = copy_set(v->key, &z->apex_key);
	if (err == MSP_OK && z->parent != NULL)
		err = copy_set(v->csync, &z->csync);
	if (err != MSP_OK)
		return err;
	z->serial = v->serial;
	z->max_ttl_s = v->max_ttl_s;
	z->earliest_expiration = v->earliest_expiration;
	z->records = v->records;
	z->ns_ttl_s = v->ns == NULL ? 0 : v->ns->ttl;
	z->view_at = c->now;
	z->failed_why[0] = '\0';
	z->has_view = true;
	err = take_hsync(c, z, v->hsync);
	if (err != MSP_OK || z->is_frozen || !z->group.has_hsync)
		return err;
	forget_withdrawn(c, z);
	return take_own(c, z);
}

void msa_zone_view(struct msa_core *c, const struct msa_zone_view *v)
{
	struct msa_zone *z = msa_core_find_zone(c, &v->zone);
	enum msp_err err;

	if (z == NULL) {
		msp_log(c->log, MSP_LOG_INFO, "zone-not-configured", MSP_F_STR("zone", MSP_NAME(&v->zone)));
		return;
	}
	err = take_view(c, z, v);
	msa_core_note(c, err);
	z->view_again = err == MSP_OK ? MSP_MONO_NEVER : msp_mono_add_ms(c->now, VIEW_AGAIN_MS);
	msa_core_touch_zone(c, z);
	for (size_t i = 0; i < z->member_count; i++)
		msa_core_touch_member(c, z->member[i]);
}

void msa_zone_own_again(struct msa_core *c, struct msa_zone *z)
{
	if (!z->has_view || z->is_frozen || !z->group.has_hsync)
		return;
	msa_core_note(c, take_own(c, z));
	msa_core_touch_zone(c, z);
	for (size_t i = 0; i < z->member_count; i++)
		msa_core_touch_member(c, z->member[i]);
}

void msa_zone_view_lost(struct msa_core *c, const struct msp_name *zone)
{
	struct msa_zone *z = msa_core_find_zone(c, zone);

	if (z == NULL)
		return;
	z->view_again = msp_mono_add_ms(c->now, VIEW_AGAIN_MS);
	msa_timer_soon(&c->heap, &z->timer, z->view_again);
}

void msa_zone_failed(struct msa_core *c, const struct msp_name *zone, const char *why)
{
	struct msa_zone *z = msa_core_find_zone(c, zone);

	if (z == NULL)
		return;
	if (strncmp(z->failed_why, why == NULL ? "" : why, sizeof(z->failed_why) - 1) != 0 || z->failed_why[0] == '\0')
		msp_log(c->log, MSP_LOG_WARNING, "zone-transfer-failed", MSP_F_STR("zone", MSP_NAME(zone)),
			MSP_F_STR("reason", why));
	snprintf(z->failed_why, sizeof(z->failed_why), "%s", why == NULL || why[0] == '\0' ? "failed" : why);
	msa_core_touch_zone(c, z);
}

void msa_zone_readback(struct msa_core *c, const struct msp_name *zone, const struct msp_rrset *dnskey,
		       const struct msp_rrset *cds, const struct msp_rrset *cdnskey)
{
	struct msa_zone *z = msa_core_find_zone(c, zone);
	enum msp_err err;

	if (z == NULL || z->has_put || (dnskey == NULL && cds == NULL && cdnskey == NULL))
		return;
	err = copy_set(dnskey, &z->put_dnskey);
	if (err == MSP_OK)
		err = copy_set(cds, &z->put_cds);
	if (err == MSP_OK)
		err = copy_set(cdnskey, &z->put_cdnskey);
	if (err != MSP_OK) {
		msa_core_note(c, err); /* has_put stays false: asked again at the next start */
		return;
	}
	z->has_put = z->put_acked = true;
	z->put_stored = msa_store_put(c, z);
	msp_log(c->log, MSP_LOG_WARNING, "contributed-read-back", MSP_F_STR("zone", MSP_NAME(zone)),
		MSP_F_U64("dnskey", z->put_dnskey == NULL ? 0 : z->put_dnskey->count),
		MSP_F_U64("cds", z->put_cds == NULL ? 0 : z->put_cds->count),
		MSP_F_STR("reason", "the combiner has contributions that are not in our store"));
}
