/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include <msproto/auth/key.h>
#include <msproto/base/enc.h>
#include <msproto/base/mem.h>

#include "peer.h"
#include "sync.h"
#include "view.h"

/* ---- peers
 * ----------------------------------------------------------------------------------------------------------- */

static json_t *addresses(const struct msa_peer *p)
{
	struct view w = array();

	for (size_t i = 0; p->is_located && i < p->addr_count; i++)
		append(&w, json_string(MSP_ADDR(&p->addr[(p->addr_best + i) % p->addr_count])));
	return done(&w);
}

static json_t *key_tags(const struct msa_peer *p)
{
	struct view w = array();

	for (size_t i = 0; p->is_located && p->keys != NULL && i < p->keys->count; i++)
		append(&w, json_integer(msp_key_tag(p->keys->rdata[i])));
	return done(&w);
}

static json_t *shared_zones(const struct msa_peer *p)
{
	struct view w = array();

	for (const struct msa_member *m = p->first; m != NULL; m = m->peer_next) {
		struct view z = object();

		if (!m->is_listed) {
			json_decref(z.v);
			continue;
		}
		set_name(&z, "zone", &m->zone->name);
		set_str(&z, "membership", msa_member_name(m->state));
		append(&w, done(&z));
	}
	return done(&w);
}

/** The earliest thing that will be done about the peer. */
static void set_next(struct view *w, const struct msa_peer *p, struct msp_mono now)
{
	const char *what = "none";
	struct msp_mono at = MSP_MONO_NEVER;

	if (p->link == MSA_LINK_LEGACY) {
		what = "forget";
		at = p->legacy_until;
	} else if (!p->is_located) {
		what = "discovery";
		at = p->search.is_running ? now : p->search_next;
	} else {
		what = "refresh";
		at = p->search_next;
		for (const struct msa_member *m = p->first; m != NULL; m = m->peer_next) {
			if (m->is_listed && !m->hello_done && m->hello_next.ms < at.ms) {
				what = "hello";
				at = m->hello_next;
			}
			if (m->is_listed && m->state != MSA_MEMBER_UNSEEN && m->beat_next.ms < at.ms) {
				what = "heartbeat";
				at = m->beat_next;
			}
		}
	}
	set_str(w, "next_action", what);
	set_until(w, "next_in_s", at, now);
}

static json_t *peer_view(const struct msa_peer *p, struct msp_mono now)
{
	struct view w = object();

	set_name(&w, "identity", &p->identity);
	set_str(&w, "state", msa_link_name(p->link));
	set_age(&w, "state_for_s", true, p->link_since, now);
	set_str(&w, "health", msa_health_name(p->health));
	set_age(&w, "health_for_s", true, p->health_since, now);
	set_int(&w, "shared_zones", (int64_t)p->shared);
	set(&w, "zones", shared_zones(p));
	set(&w, "host", p->is_located ? json_string(MSP_NAME(&p->host)) : json_null());
	set(&w, "addresses", addresses(p));
	set(&w, "key_tags", key_tags(p));
	set_age(&w, "located_for_s", p->is_located, p->located_at, now);
	set_str(&w, "discovery_error", p->search_why);
	set(&w, "interval_s", p->interval_s == 0 ? json_null() : json_integer(p->interval_s));
	set_int(&w, "transports", p->transports);
	set_int(&w, "synchronization", p->syncs);
	set_int(&w, "capabilities", p->caps);
	set_age(&w, "beat_received_s", p->has_beat_in, p->beat_in, now);
	set_age(&w, "beat_answered_s", p->has_beat_out, p->beat_out, now);
	set_next(&w, p, now);
	return done(&w);
}

json_t *msa_core_peers(const struct msa_core *core, struct msp_mono now)
{
	struct view w = array();
	struct msp_map_it it;

	for (bool more = msp_map_first(&core->peers, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&core->peers, &it))
		append(&w, peer_view(it.value, now));
	return done(&w);
}

json_t *msa_core_peer(const struct msa_core *core, const struct msp_name *identity, struct msp_mono now)
{
	const struct msa_peer *p = msa_core_find_peer(core, identity);

	return p == NULL ? json_null() : peer_view(p, now);
}

/* ---- zones
 * ----------------------------------------------------------------------------------------------------------- */

static const char *zone_state(const struct msa_zone *z)
{
	const struct msa_group *g = &z->group;

	if (!z->has_view)
		return "no-transfer";
	if (z->is_frozen)
		return "frozen";
	if (!g->has_hsync)
		return "no-hsync";
	if (g->self == g->count)
		return "not-listed";
	if (g->row[g->self].role != MSA_ROLE_PARTICIPANT)
		return msa_role_name(g->row[g->self].role);
	return z->waiting[0] == '\0' ? "in-sync" : "working";
}

static size_t members_now(const struct msa_zone *z)
{
	size_t n = 0;

	for (size_t i = 0; i < z->member_count; i++)
		n += z->member[i]->state == MSA_MEMBER_MEMBER;
	return n;
}

static void zone_head(struct view *w, const struct msa_zone *z, struct msp_mono now)
{
	set_name(w, "zone", &z->name);
	set_str(w, "state", zone_state(z));
	set(w, "serial", z->has_view ? json_integer(z->serial) : json_null());
	set_age(w, "seen_s", z->has_view, z->view_at, now);
	set_str(w, "transfer_error", z->failed_why);
	set_int(w, "identities", (int64_t)z->group.count);
	set_int(w, "signers", (int64_t)z->group.signers);
	set_int(w, "members", (int64_t)members_now(z));
	set_str(w, "cds_gate", z->gate_open ? "open" : "closed");
	set_str(w, "waiting_for", z->waiting);
	set_age(w, "waiting_s", z->waiting[0] != '\0', z->waiting_since, now);
}

json_t *msa_core_zones(const struct msa_core *core, struct msp_mono now)
{
	struct view w = array();
	struct msp_map_it it;

	for (bool more = msp_map_first(&core->zones, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&core->zones, &it)) {
		struct view z = object();

		zone_head(&z, it.value, now);
		append(&w, done(&z));
	}
	return done(&w);
}

static const char *yes_no(uint8_t v, uint8_t first, const char *a, const char *b)
{
	return v == first ? a : b;
}

static void set_contribution(struct view *w, const struct msa_contribution *c)
{
	struct view k;

	if (c->version == 0) {
		set(w, "contribution", json_null());
		return;
	}
	k = object();
	set_int(&k, "version", (int64_t)c->version);
	set_digest(&k, "digest", c->digest);
	set_int(&k, "dnskey", c->dnskey == NULL ? 0 : (int64_t)c->dnskey->count);
	set_int(&k, "cds", c->cds == NULL ? 0 : (int64_t)c->cds->count);
	set_int(&k, "ns", c->ns == NULL ? 0 : (int64_t)c->ns->count);
	set(w, "contribution", done(&k));
}

static json_t *group_row(const struct msa_zone *z, const struct msa_group_row *row, struct msp_mono now)
{
	struct view w = object();
	const struct msa_member *m = row->is_self ? NULL : msa_member_find(z, &row->identity);

	set_name(&w, "identity", &row->identity);
	set_bool(&w, "self", row->is_self);
	set_str(&w, "state", yes_no(row->state, MSP_HSYNC_ON, "ON", "OFF"));
	set_str(&w, "nsmgmt", yes_no(row->nsmgmt, MSP_HSYNC_AGENT, "AGENT", "OWNER"));
	set_str(&w, "sign", yes_no(row->sign, MSP_HSYNC_YES, "YES", "NO"));
	set_str(&w, "role", msa_role_name(row->role));
	set_bool(&w, "removed_without_offboarding", row->is_vanished);
	if (row->is_self) {
		set_contribution(&w, &z->own);
		return done(&w);
	}
	if (m == NULL)
		return done(&w);
	set_str(&w, "membership", msa_member_name(m->state));
	set_age(&w, "membership_for_s", true, m->state_since, now);
	set_bool(&w, "was_member", m->was_member);
	set_str(&w, "link", msa_link_name(m->peer->link));
	set_str(&w, "health", msa_health_name(m->peer->health));
	set(&w, "group_equal", !m->has_group ? json_null() : json_boolean(msa_same_digest(m->group, z->group.digest)));
	set(&w, "serial", m->owner_serial == 0 ? json_null() : json_integer(m->owner_serial));
	set_str(&w, "hello_error", m->hello_why);
	set_str(&w, "pull_error", m->pull_why);
	set(&w, "announced_version", m->has_announced ? json_integer((json_int_t)m->announced_version) : json_null());
	set_contribution(&w, &m->held);
	return done(&w);
}

/** Who contributes the key: a peer's identity, or NULL. */
static const struct msp_name *key_owner(const struct msa_zone *z, struct msp_span key)
{
	for (size_t i = 0; i < z->member_count; i++)
		if (z->member[i]->held.dnskey != NULL && msp_rrset_has(z->member[i]->held.dnskey, key))
			return &z->member[i]->peer->identity;
	return NULL;
}

static bool in_set(const struct msp_rrset *s, struct msp_span rdata)
{
	return s != NULL && msp_rrset_has(s, rdata);
}

static void set_base64(struct view *w, const char *key, struct msp_span octets)
{
	struct msp_buf text;

	msp_buf_init(&text, 4 * octets.len / 3 + 8);
	msp_b64_write(&text, octets);
	set_str(w, key, msp_buf_text(&text));
	msp_buf_fini(&text);
}

static json_t *key_view(const struct msa_core *c, const struct msa_zone *z, struct msp_span key, bool is_own)
{
	struct view w = object();
	const struct msp_name *owner = is_own ? &c->identity : key_owner(z, key);
	struct msp_dnskey k = { 0 };

	if (msp_dnskey_parse(key, &k) != MSP_OK)
		k = (struct msp_dnskey){ 0 };
	set(&w, "owner", owner == NULL ? json_null() : json_string(MSP_NAME(owner)));
	set_bool(&w, "own", is_own);
	set_int(&w, "tag", msp_key_tag(key));
	set_str(&w, "algorithm", msp_alg_name(k.algorithm));
	set_int(&w, "flags", k.flags);
	set_str(&w, "kind", (k.flags & MSP_DNSKEY_SEP) != 0 ? "KSK" : "ZSK");
	set_bool(&w, "served", in_set(z->dnskey, key));
	set_bool(&w, "contributed", in_set(z->put_dnskey, key));
	set_bool(&w, "withdrawn", in_set(z->withdrawn, key) || in_set(z->dropping, key));
	set_base64(&w, "key", k.key); /* the whole of it: a tag identifies nothing (DESIGN 9) */
	return done(&w);
}

static json_t *keys_view(const struct msa_core *c, const struct msa_zone *z)
{
	struct view w = array();
	struct msp_rrset *foreign = NULL;
	enum msp_err err = msp_rrset_new(&z->name, MSP_TYPE_DNSKEY, z->ttl_s, &foreign);

	for (size_t i = 0; i < z->member_count && err == MSP_OK; i++)
		err = msp_rrset_merge(foreign, z->member[i]->held.dnskey);
	if (err == MSP_OK)
		err = msp_rrset_merge(foreign, z->put_dnskey);
	if (err == MSP_OK)
		err = msp_rrset_merge(foreign, z->withdrawn);
	for (size_t i = 0; z->own.dnskey != NULL && i < z->own.dnskey->count; i++)
		append(&w, key_view(c, z, z->own.dnskey->rdata[i], true));
	for (size_t i = 0; err == MSP_OK && i < foreign->count; i++)
		append(&w, key_view(c, z, foreign->rdata[i], false));
	if (w.err == MSP_OK)
		w.err = err;
	msp_rrset_free(&foreign);
	return done(&w);
}

static json_t *contributed_view(const struct msa_zone *z, struct msp_mono now)
{
	struct view w = object();

	set_int(&w, "dnskey", z->put_dnskey == NULL ? 0 : (int64_t)z->put_dnskey->count);
	set_int(&w, "cds", z->put_cds == NULL ? 0 : (int64_t)z->put_cds->count);
	set_int(&w, "cdnskey", z->put_cdnskey == NULL ? 0 : (int64_t)z->put_cdnskey->count);
	set_bool(&w, "confirmed", z->put_acked);
	set_str(&w, "error", z->combine_why);
	set_until(&w, "retry_in_s", z->combine_why[0] != '\0' ? z->combine_next : MSP_MONO_NEVER, now);
	set_bool(&w, "signer_drops_foreign_keys", z->is_disobeyed);
	set_age(&w, "not_served_s", z->unseen_since.ms != INT64_MAX, z->unseen_since, now);
	return done(&w);
}

static json_t *gate_view(const struct msa_zone *z, struct msp_mono now)
{
	struct view w = object();

	set_str(&w, "state", z->gate_open ? "open" : "closed");
	set_str(&w, "not_met", z->gate_why);
	set_str(&w, "signer_mode", z->signer_mode == MSA_SIGNER_COMMAND ? "command" : "observe");
	set_bool(&w, "own_cds_served", z->cds_seen);
	set_int(&w, "served_cds", z->cds == NULL ? 0 : (int64_t)z->cds->count);
	set_str(&w, "signer_error", z->signer_why);
	set_until(&w, "retry_in_s", z->signer_why[0] != '\0' ? z->signer_next : MSP_MONO_NEVER, now);
	return done(&w);
}

json_t *msa_core_zone(const struct msa_core *core, const struct msp_name *zone, struct msp_mono now)
{
	const struct msa_zone *z = msa_core_find_zone(core, zone);
	struct view w, rows;

	if (z == NULL)
		return json_null();
	w = object();
	rows = array();
	zone_head(&w, z, now);
	set(&w, "max_ttl_s", json_integer(z->max_ttl_s));
	set(&w, "records", json_integer((json_int_t)z->records));
	set(&w, "earliest_expiration",
	    z->earliest_expiration == 0 ? json_null() : json_integer(z->earliest_expiration));
	set_str(&w, "nsmgmt", z->group.nsmgmt == MSP_HSYNC_AGENT ? "AGENT" : "OWNER");
	set_bool(&w, "nsmgmt_mixed", z->group.nsmgmt_mixed);
	set_bool(&w, "group_certain", z->group.is_certain);
	set_int(&w, "malformed", z->group.malformed);
	set_int(&w, "duplicates", z->group.duplicates);
	if (z->group.has_hsync)
		set_digest(&w, "group_digest", z->group.digest);
	for (size_t i = 0; i < z->group.count; i++)
		append(&rows, group_row(z, &z->group.row[i], now));
	set(&w, "group", done(&rows));
	set(&w, "keys", keys_view(core, z));
	set(&w, "contributed", contributed_view(z, now));
	set(&w, "cds", gate_view(z, now));
	return done(&w);
}

json_t *msa_core_status(const struct msa_core *core, struct msp_mono now)
{
	struct view w = object();
	struct msp_map_it it;
	int64_t operational = 0, green = 0, in_sync = 0;

	for (bool more = msp_map_first(&core->peers, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&core->peers, &it)) {
		const struct msa_peer *p = it.value;

		operational += p->link == MSA_LINK_OPERATIONAL;
		green += p->health == MSA_HEALTH_GREEN;
	}
	for (bool more = msp_map_first(&core->zones, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&core->zones, &it)) {
		const struct msa_zone *z = it.value;

		in_sync += strcmp(zone_state(z), "in-sync") == 0;
	}
	set_name(&w, "identity", &core->identity);
	set_name(&w, "host", &core->host);
	set_int(&w, "key_tag", msp_key_id(core->key));
	set_int(&w, "epoch", (int64_t)core->epoch);
	set_int(&w, "zones", (int64_t)core->zones.count);
	set_int(&w, "zones_in_sync", in_sync);
	set_int(&w, "peers", (int64_t)core->peers.count);
	set_int(&w, "peers_operational", operational);
	set_int(&w, "peers_green", green);
	set_int(&w, "outstanding", (int64_t)core->pends.count);
	set_int(&w, "requests", (int64_t)core->count.requests);
	set_int(&w, "requests_refused", (int64_t)core->count.refused);
	set_int(&w, "answers_not_believed", (int64_t)core->count.failed_answers);
	set_int(&w, "messages_sent", (int64_t)core->count.sent);
	set_int(&w, "lookups", (int64_t)core->count.lookups);
	set_int(&w, "unexpected_events", (int64_t)core->count.unexpected);
	set_until(&w, "next_in_s", msa_core_deadline(core), now);
	return done(&w);
}
