/* SPDX-License-Identifier: BSD-2-Clause */
#include "discover.h"

#include <stdio.h>
#include <string.h>

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>

#include "actions.h"
#include "peer.h"

#define DNS_PORT      53
#define CACHE_MAX_S   86400
#define HOST_TEXT_MAX 255

enum { LOOK_MAIN, LOOK_KEY, LOOK_A, LOOK_AAAA, LOOK__N };

enum msp_err msa_uri_parse(struct msp_span target, struct msp_name *host, uint16_t *port)
{
	static const char scheme[] = "dns://";
	char text[HOST_TEXT_MAX + 2];
	uint64_t number = DNS_PORT;
	size_t at = 0, end;

	while (at < target.len && target.ptr[at] != ':')
		at++;
	if (at != 3 || at + 3 > target.len || (target.ptr[0] | 0x20) != 'd' || (target.ptr[1] | 0x20) != 'n' ||
	    (target.ptr[2] | 0x20) != 's')
		return MSP_ENOTIMP;
	if (target.len < sizeof(scheme) || target.ptr[4] != '/' || target.ptr[5] != '/' ||
	    target.ptr[target.len - 1] != '/')
		return MSP_EFORMAT;
	at = sizeof(scheme) - 1;
	/* Letters, digits, hyphen, underscore, dot: what a host name has. No user, no brackets, no path, no escapes. */
	for (end = at; end < target.len - 1 && target.ptr[end] != ':'; end++) {
		uint8_t o = target.ptr[end];

		if (!((o >= '0' && o <= '9') || ((o | 0x20) >= 'a' && (o | 0x20) <= 'z') || o == '-' || o == '_' ||
		      o == '.'))
			return MSP_EFORMAT;
	}
	if (end == at || end - at > HOST_TEXT_MAX)
		return MSP_EFORMAT;
	if (end < target.len - 1 &&
	    (msp_u64_parse(msp_span(target.ptr + end + 1, target.len - 1 - end - 1), 65535, &number) != MSP_OK ||
	     number == 0))
		return MSP_EFORMAT;
	memcpy(text, target.ptr + at, end - at);
	text[end - at] = '\0';
	if (msp_name_from_text(text, host) != MSP_OK || msp_name_is_root(host))
		return MSP_EFORMAT;
	*port = (uint16_t)number;
	return MSP_OK;
}

/** The first thing that was missing is what people want to know. */
static void note(struct msa_search *s, const struct msp_name *name, const char *type, const char *what,
		 const char *detail)
{
	if (s->why[0] != '\0')
		return;
	if (detail != NULL && detail[0] != '\0')
		snprintf(s->why, sizeof(s->why), "%.100s %s: %s (%.60s)", MSP_NAME(name), type, what, detail);
	else
		snprintf(s->why, sizeof(s->why), "%.140s %s: %s", MSP_NAME(name), type, what);
}

void msa_discover_stop(struct msa_core *c, struct msa_peer *p)
{
	for (size_t i = 0; i < LOOK__N; i++)
		msa_pend_stop(c, &p->search.look[i]);
	msp_rrset_free(&p->search.keys);
	p->search.is_running = false;
}

static bool host_is_shared(const struct msa_core *c, const struct msa_peer *p)
{
	struct msp_map_it it;

	for (bool more = msp_map_first(&c->peers, msp_span(NULL, 0), &it); more; more = msp_map_next(&c->peers, &it)) {
		const struct msa_peer *other = it.value;

		if (other != p && other->is_located && msp_name_equal(&other->host, &p->host))
			return true;
	}
	return false;
}

void msa_discover_forget(struct msa_core *c, struct msa_peer *p)
{
	if (!p->is_located)
		return;
	if (!host_is_shared(c, p))
		msp_keyring_drop(c->ring, &p->host);
	p->is_located = false;
	p->addr_count = 0;
	msp_rrset_free(&p->keys);
}

static void look(struct msa_core *c, struct msa_peer *p, unsigned slot, const struct msp_name *name, uint16_t type)
{
	struct msa_pend *pend = &p->search.look[slot];

	if (msa_pend_start(c, pend, MSA_PEND_LOOKUP, p))
		msa_act_lookup(c, pend, name, type);
}

static bool is_looking(const struct msa_search *s)
{
	for (size_t i = 0; i < LOOK__N; i++)
		if (s->look[i].id != 0)
			return true;
	return false;
}

void msa_discover_start(struct msa_core *c, struct msa_peer *p)
{
	struct msp_name name;

	msa_discover_stop(c, p);
	p->search.target_count = p->search.at = 0;
	p->search.why[0] = '\0';
	p->search.ttl_s = CACHE_MAX_S;
	p->search.is_running = true;
	p->search_started = c->now;
	msa_core_touch_peer(c, p);
	if (msp_name_prepend("_dns._tcp", &p->identity, &name) != MSP_OK) {
		note(&p->search, &p->identity, "URI", "identity too long", NULL);
		msa_discover_abandon(c, p);
		return;
	}
	look(c, p, LOOK_MAIN, &name, MSP_TYPE_URI);
	if (!is_looking(&p->search))
		msa_discover_abandon(c, p);
}

static void fail(struct msa_core *c, struct msa_peer *p)
{
	bool is_news = strcmp(p->search.why, p->search_why) != 0;

	msa_discover_stop(c, p);
	memcpy(p->search_why, p->search.why, sizeof(p->search_why));
	p->search_next = msp_mono_add_ms(c->now, msa_core_backoff_ms(c, &p->search_backoff_s, c->discovery_retry_s,
								     c->discovery_retry_max_s));
	msp_log(c->log, is_news ? MSP_LOG_NOTICE : MSP_LOG_INFO, "discovery-failed",
		MSP_F_STR("peer", MSP_NAME(&p->identity)), MSP_F_STR("reason", p->search_why),
		MSP_F_I64("retry_s", msp_mono_until_ms(c->now, p->search_next) / 1000));
	msa_core_touch_peer(c, p);
}

void msa_discover_abandon(struct msa_core *c, struct msa_peer *p)
{
	note(&p->search, &p->identity, "look-up", "no answer from the resolver", NULL);
	fail(c, p);
}

void msa_discover_force(struct msa_core *c, struct msa_peer *p)
{
	if (p->search.is_running || c->now.ms - p->forced_at.ms < MSA_FORCED_MS)
		return;
	p->forced_at = c->now;
	if (msa_act(c, MSA_ACT_FLUSH) != NULL)
		msa_discover_start(c, p);
}

void msa_discover_hurry(struct msa_core *c, struct msa_peer *p)
{
	if (p->shared > 0 && !p->search.is_running &&
	    c->now.ms - p->search_started.ms >= (int64_t)c->discovery_retry_s * 1000)
		msa_discover_start(c, p);
}

void msa_discover_rotate(struct msa_core *c, struct msa_peer *p)
{
	if (p->search.is_running || c->now.ms - p->search_started.ms < MSA_FORCED_MS)
		return;
	p->rotate++;
	p->search_next = c->now;
	msa_core_touch_peer(c, p);
}

static bool uri_before(const struct msa_endpoint *a, const struct msa_endpoint *b)
{
	return a->priority < b->priority;
}

/** RFC 7553 5.2: by priority; among equals a random order in which weight counts. */
static void order_targets(struct msa_core *c, struct msa_search *s)
{
	for (size_t i = 0; i + 1 < s->target_count; i++) {
		struct msa_endpoint t;
		size_t best = i, same = 0;
		uint64_t sum = 0, pick;

		for (size_t k = i + 1; k < s->target_count; k++)
			if (uri_before(&s->target[k], &s->target[best]))
				best = k;
		for (size_t k = i; k < s->target_count; k++) {
			if (s->target[k].priority != s->target[best].priority)
				continue;
			sum += (uint64_t)s->target[k].weight + 1;
			same++;
		}
		pick = same > 1 ? msp_rand_below(c->rand, sum) : 0;
		for (size_t k = i, at = best; same > 1 && k < s->target_count; k++) {
			if (s->target[k].priority != s->target[at].priority)
				continue;
			best = k;
			if (pick <= s->target[k].weight)
				break;
			pick -= (uint64_t)s->target[k].weight + 1;
		}
		t = s->target[i];
		s->target[i] = s->target[best];
		s->target[best] = t;
	}
}

static void start_target(struct msa_core *c, struct msa_peer *p)
{
	struct msa_search *s = &p->search;
	const struct msp_name *host = &s->target[(s->at + p->rotate) % s->target_count].host;

	msp_rrset_free(&s->keys);
	s->host_addr_count = 0;
	s->svcb_port = 0;
	look(c, p, LOOK_MAIN, host, MSP_TYPE_SVCB);
	look(c, p, LOOK_KEY, host, MSP_TYPE_KEY);
	if (!is_looking(s))
		msa_discover_abandon(c, p);
}

static void take_ttl(struct msa_search *s, const struct msp_rrset *set)
{
	if (set->ttl < s->ttl_s)
		s->ttl_s = set->ttl;
}

static void take_uri(struct msa_core *c, struct msa_peer *p, const struct msp_rrset *set, const struct msp_name *name)
{
	struct msa_search *s = &p->search;

	take_ttl(s, set);
	for (size_t i = 0; i < set->count && s->target_count < MSA_URIS_MAX; i++) {
		struct msa_endpoint *t = &s->target[s->target_count];
		struct msp_uri uri;

		if (msp_uri_parse(set->rdata[i], &uri) != MSP_OK ||
		    msa_uri_parse(uri.target, &t->host, &t->port) != MSP_OK)
			continue;
		t->priority = uri.priority;
		t->weight = uri.weight;
		s->target_count++;
	}
	if (s->target_count == 0) {
		note(s, name, "URI", "no target of the form dns://HOST[:PORT]/", NULL);
		fail(c, p);
		return;
	}
	order_targets(c, s);
	start_target(c, p);
}

static void add_addr(struct msa_search *s, struct msp_span octets)
{
	struct msp_addr a;

	if (s->host_addr_count == MSA_ADDRS_MAX || msp_addr_from_octets(octets, 0, &a) != MSP_OK)
		return;
	for (size_t i = 0; i < s->host_addr_count; i++)
		if (msp_addr_same_host(&a, &s->host_addr[i]))
			return;
	s->host_addr[s->host_addr_count++] = a;
}

static void add_hints(struct msa_search *s, const struct msp_svcb *svcb, uint16_t key, size_t each)
{
	struct msp_span v;

	if (!msp_svcb_param(svcb, key, &v))
		return;
	for (size_t at = 0; at + each <= v.len; at += each)
		add_addr(s, msp_span(v.ptr + at, each));
}

static void take_svcb(struct msa_search *s, const struct msp_rrset *set, const struct msp_name *host)
{
	bool is_used = false;

	for (size_t i = 0; i < set->count; i++) {
		struct msp_svcb svcb;
		struct msp_span port;

		if (msp_svcb_parse(set->rdata[i], &svcb) != MSP_OK || svcb.priority == 0 || !msp_svcb_usable(&svcb))
			continue;
		if (!msp_name_is_root(&svcb.target) && !msp_name_equal(&svcb.target, host))
			continue; /* hints of another host are not ours to use */
		add_hints(s, &svcb, MSP_SVCB_IPV6HINT, 16);
		add_hints(s, &svcb, MSP_SVCB_IPV4HINT, 4);
		if (s->svcb_port == 0 && msp_svcb_param(&svcb, MSP_SVCB_PORT, &port) && port.len == 2)
			s->svcb_port = (uint16_t)(port.ptr[0] << 8 | port.ptr[1]);
		is_used = true;
	}
	if (is_used)
		take_ttl(s, set);
}

/** Every port of every URI record that names the host, in the order of preference. */
static void make_addresses(const struct msa_core *c, struct msa_peer *p, const struct msp_name *host)
{
	const struct msa_search *s = &p->search;

	p->addr_count = 0;
	for (size_t t = 0; t < s->target_count; t++) {
		const struct msa_endpoint *e = &s->target[(t + p->rotate) % s->target_count];
		uint16_t port = c->svcb_port_override && s->svcb_port != 0 ? s->svcb_port : e->port;

		if (!msp_name_equal(&e->host, host))
			continue;
		for (size_t i = 0; i < s->host_addr_count && p->addr_count < MSA_ADDRS_MAX; i++) {
			struct msp_addr a = s->host_addr[i];
			bool is_known = false;

			a.port = port;
			for (size_t k = 0; k < p->addr_count; k++)
				is_known = is_known || msp_addr_equal(&p->addr[k], &a);
			if (!is_known)
				p->addr[p->addr_count++] = a;
		}
	}
}

static bool usable_keys(struct msa_core *c, struct msa_peer *p, const struct msp_name *host)
{
	struct msa_search *s = &p->search;
	size_t usable = 0;
	enum msp_err err = msp_keyring_set(c->ring, host, s->keys->rdata, s->keys->count, &usable);

	if (err == MSP_OK && usable > 0)
		return true;
	if (err == MSP_ENOMEM || err == MSP_ECRYPTO)
		msa_core_note(c, err);
	note(s, host, "KEY", err == MSP_ELIMIT ? "too many keys" : "no usable key", NULL);
	if (err == MSP_OK && p->is_located && msp_name_equal(host, &p->host)) /* the old ones stay until they expire */
		msa_core_note(c, msp_keyring_set(c->ring, host, p->keys->rdata, p->keys->count, &usable));
	return false;
}

static void succeed(struct msa_core *c, struct msa_peer *p, const struct msp_name *host)
{
	struct msa_search *s = &p->search;
	bool is_changed = !p->is_located || !msp_name_equal(host, &p->host) || !msp_rrset_equal(p->keys, s->keys);
	struct msp_addr old[MSA_ADDRS_MAX];
	size_t old_count = p->addr_count;
	uint32_t ttl_s = s->ttl_s < c->discovery_cache_min_s ? c->discovery_cache_min_s : s->ttl_s;

	memcpy(old, p->addr, sizeof(old));
	if (p->is_located && !msp_name_equal(host, &p->host) && !host_is_shared(c, p))
		msp_keyring_drop(c->ring, &p->host);
	p->host = *host;
	make_addresses(c, p, host);
	is_changed = is_changed || old_count != p->addr_count;
	for (size_t i = 0; i < p->addr_count && !is_changed; i++)
		is_changed = !msp_addr_equal(&old[i], &p->addr[i]);
	if (is_changed)
		p->addr_best = 0;
	msp_rrset_free(&p->keys);
	p->keys = s->keys;
	s->keys = NULL;
	p->is_located = true;
	p->located_at = c->now;
	p->refresh_at = msp_mono_add_ms(c->now, (int64_t)ttl_s * 900);
	p->dead_at = msp_mono_add_ms(c->now, (int64_t)ttl_s * 1000 + MSA_STALE_MS);
	p->search_next = p->refresh_at;
	p->search_backoff_s = 0;
	p->search_why[0] = '\0';
	msa_discover_stop(c, p);
	if (is_changed)
		msp_log(c->log, MSP_LOG_NOTICE, "peer-located", MSP_F_STR("peer", MSP_NAME(&p->identity)),
			MSP_F_STR("host", MSP_NAME(&p->host)), MSP_F_U64("addresses", p->addr_count),
			MSP_F_U64("keys", p->keys->count), MSP_F_STR("first", MSP_ADDR(&p->addr[0])));
	msa_link_raise(c, p, MSA_LEV_LOCATED);
	for (struct msa_member *m = is_changed ? p->first : NULL; m != NULL; m = m->peer_next)
		if (m->is_listed && !m->hello_done)
			msa_member_greet(c, m); /* what kept it from answering may be over */
	msa_core_touch_peer(c, p);
}

/** All look-ups of the target have answered. */
static void judge_target(struct msa_core *c, struct msa_peer *p)
{
	struct msa_search *s = &p->search;
	struct msp_name host = s->target[(s->at + p->rotate) % s->target_count].host;

	if (s->host_addr_count > 0 && s->keys != NULL && usable_keys(c, p, &host)) {
		succeed(c, p, &host);
		return;
	}
	if (s->host_addr_count == 0)
		note(s, &host, "A/AAAA", "no address", NULL);
	s->at++;
	if (s->at < s->target_count)
		start_target(c, p);
	else
		fail(c, p);
}

void msa_discover_answer(struct msa_core *c, struct msa_pend *pend, enum msp_lookup verdict,
			 const struct msp_secure_rrset *secure, const char *why)
{
	struct msa_peer *p = pend->owner;
	struct msa_search *s = &p->search;
	const struct msp_rrset *set = verdict == MSP_LOOKUP_SECURE && secure != NULL ? msp_secure_get(secure) : NULL;
	uint16_t type = pend->type;
	struct msp_name name;

	msa_pend_stop(c, pend);
	if (set != NULL && (set->type != type || set->count == 0))
		set = NULL;
	if (type == MSP_TYPE_URI) {
		if (msp_name_prepend("_dns._tcp", &p->identity, &name) != MSP_OK)
			name = p->identity;
		if (set == NULL) {
			note(s, &name, "URI", msp_lookup_name(verdict), why);
			fail(c, p);
			return;
		}
		take_uri(c, p, set, &name);
		return;
	}
	name = s->target[(s->at + p->rotate) % s->target_count].host;
	if (set == NULL) {
		/* No SVCB is no fault: addresses can come from A and AAAA; so can one of these two be missing. */
		if (type == MSP_TYPE_KEY || verdict != MSP_LOOKUP_NODATA)
			note(s, &name, MSP_TYPE(type), msp_lookup_name(verdict), why);
	} else if (type == MSP_TYPE_SVCB) {
		take_svcb(s, set, &name);
	} else if (type == MSP_TYPE_KEY) {
		take_ttl(s, set);
		msp_rrset_free(&s->keys);
		msa_core_note(c, msp_rrset_dup(set, &s->keys));
	} else {
		take_ttl(s, set);
		for (size_t i = 0; i < set->count; i++)
			add_addr(s, set->rdata[i]);
	}
	if (type == MSP_TYPE_SVCB && s->host_addr_count == 0) {
		look(c, p, LOOK_A, &name, MSP_TYPE_A);
		look(c, p, LOOK_AAAA, &name, MSP_TYPE_AAAA);
	}
	if (!is_looking(s))
		judge_target(c, p);
}
