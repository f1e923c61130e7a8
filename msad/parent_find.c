/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include <msproto/auth/digest.h>

#include "actions.h"
#include "parent.h"

#define DNS_PORT 53

enum { LOOK_A, LOOK_AAAA, LOOK_KEY, LOOK_SVCB, LOOK__N };

static bool is_answer(const struct msa_looked *l)
{
	return l->verdict == MSP_LOOKUP_SECURE || l->verdict == MSP_LOOKUP_INSECURE;
}

static bool has_records(const struct msa_looked *l, uint16_t type)
{
	return is_answer(l) && !l->is_negative && l->set != NULL && l->set->type == type && l->set->count > 0;
}

static void failed(struct msa_core *c, struct msa_parent *p, const struct msp_name *name, const char *type,
		   const struct msa_looked *l)
{
	char text[MSA_TEXT_MAX];

	snprintf(text, sizeof(text), "%.120s %s: %s%s%.60s", MSP_NAME(name), type,
		 l->is_negative ? "does not exist" : msp_lookup_name(l->verdict),
		 l->why == NULL || l->why[0] == '\0' ? "" : ": ", l->why == NULL ? "" : l->why);
	msa_parent_hold(c, p, text);
}

/** slot: of the look-ups that may be under way together. */
static void look_open(struct msa_core *c, struct msa_parent *p, unsigned slot, const struct msp_name *name,
		      uint16_t type)
{
	struct msa_pend *pend = &p->run->look[slot];

	if (msa_pend_start(c, pend, MSA_PEND_PARENT_LOOK, p))
		msa_act_lookup_open(c, pend, name, type);
}

static bool is_looking(const struct msa_parent_run *r)
{
	for (size_t i = 0; i < LOOK__N; i++)
		if (r->look[i].id != 0)
			return true;
	return false;
}

/* ---- the parent and its servers
 * --------------------------------------------------------------------------------- */

static void above_child(const struct msa_parent *p, struct msp_name *out)
{
	if (msp_name_parent(&p->zone->name, 1, out) != MSP_OK)
		msp_name_root(out);
}

/** The zone that has the label above the child in it: the one that delegates. */
void msa_parent_begin_zone(struct msa_core *c, struct msa_parent *p)
{
	struct msp_name name;

	above_child(p, &name);
	look_open(c, p, LOOK_A, &name, MSP_TYPE_SOA);
}

static void zone_looked(struct msa_core *c, struct msa_parent *p, const struct msa_looked *l)
{
	struct msp_name name;

	above_child(p, &name);
	if (has_records(l, MSP_TYPE_SOA)) {
		p->seen.parent = name;
	} else if (is_answer(l) && l->is_negative && l->soa_owner != NULL && msp_name_is_set(l->soa_owner) &&
		   msp_name_is_under(&name, l->soa_owner)) {
		p->seen.parent = *l->soa_owner;
	} else {
		failed(c, p, &name, "SOA", l);
		return;
	}
	msa_parent_enter(c, p, MSA_PHASE_SERVERS);
}

static void add_servers(struct msa_servers *s, const struct msp_rrset *set)
{
	struct msp_name name;

	for (size_t i = 0; set != NULL && i < set->count && s->ns_count < MSA_SERVER_NAMES; i++) {
		bool is_known = false;

		if (msp_rdata_name_parse(set->rdata[i], &name) != MSP_OK)
			continue;
		for (size_t k = 0; k < s->ns_count; k++)
			is_known = is_known || msp_name_equal(&s->ns[k], &name);
		if (!is_known)
			s->ns[s->ns_count++] = name;
	}
}

void msa_parent_begin_servers(struct msa_core *c, struct msa_parent *p)
{
	look_open(c, p, LOOK_A, &p->seen.parent, MSP_TYPE_NS);
}

static void servers_looked(struct msa_core *c, struct msa_parent *p, const struct msa_looked *l)
{
	if (!has_records(l, MSP_TYPE_NS)) {
		failed(c, p, &p->seen.parent, "NS", l);
		return;
	}
	add_servers(&p->run->above, l->set);
	add_servers(&p->run->below, p->zone->apex_ns);
	p->seen.servers = p->run->above.ns_count;
	msa_parent_enter(c, p, MSA_PHASE_ADDRESSES);
}

static void look_addresses(struct msa_core *c, struct msa_parent *p, const struct msp_name *name)
{
	look_open(c, p, LOOK_A, name, MSP_TYPE_A);
	look_open(c, p, LOOK_AAAA, name, MSP_TYPE_AAAA);
}

static struct msa_servers *servers_of(struct msa_parent *p)
{
	return p->phase == MSA_PHASE_ADDRESSES ? &p->run->above : &p->run->below;
}

/** Our own servers below the zone need glue: the addresses that they resolve to. */
static bool glue_is_complete(const struct msa_parent *p, struct msp_name *missing)
{
	const struct msa_parent_run *r = p->run;

	for (size_t i = 0; i < r->below.ns_count; i++) {
		bool has = !msp_name_is_under(&r->below.ns[i], &p->zone->name);

		for (size_t k = 0; k < r->below.addr_count; k++)
			has = has || r->below.addr_ns[k] == i;
		if (!has) {
			*missing = r->below.ns[i];
			return false;
		}
	}
	return true;
}

static void addresses_done(struct msa_core *c, struct msa_parent *p)
{
	struct msp_name missing;

	if (p->phase == MSA_PHASE_ADDRESSES) {
		msa_parent_enter(c, p, MSA_PHASE_OWN_ADDRESSES);
		return;
	}
	if (p->seen.has_ns && !glue_is_complete(p, &missing)) {
		p->seen.has_ns = false;
		snprintf(p->no_ns_why, sizeof(p->no_ns_why), "no address of %.180s, which needs glue",
			 MSP_NAME(&missing));
		if (!p->seen.has_ds) {
			msa_parent_hold(c, p, p->no_ns_why);
			return;
		}
	}
	msa_parent_enter(c, p, MSA_PHASE_SHOWN);
}

void msa_parent_begin_addresses(struct msa_core *c, struct msa_parent *p)
{
	struct msa_servers *s = servers_of(p);

	if (s->ns_at < s->ns_count)
		look_addresses(c, p, &s->ns[s->ns_at]);
	else
		addresses_done(c, p);
}

static void add_address(struct msa_servers *s, struct msp_span octets)
{
	struct msp_addr a;

	if (s->addr_count == MSA_SERVERS_MAX || msp_addr_from_octets(octets, DNS_PORT, &a) != MSP_OK)
		return;
	for (size_t i = 0; i < s->addr_count; i++)
		if (msp_addr_equal(&s->addr[i], &a) && s->addr_ns[i] == s->ns_at)
			return;
	s->addr[s->addr_count] = a;
	s->addr_ns[s->addr_count++] = (uint8_t)s->ns_at;
}

/** A name that does not resolve has no address: the round over the servers says so. */
static void address_looked(struct msa_core *c, struct msa_parent *p, uint16_t type, const struct msa_looked *l)
{
	struct msa_servers *s = servers_of(p);
	const struct msp_name *name = &s->ns[s->ns_at];
	bool is_glue = s == &p->run->below && p->seen.has_ns && msp_name_is_under(name, &p->zone->name);

	for (size_t i = 0; has_records(l, type) && i < l->set->count; i++) {
		add_address(s, l->set->rdata[i]);
		if (is_glue)
			msa_core_note(c, msa_records_add(&p->seen.want[MSA_SHOWN_NS], name, type, l->set->ttl,
							 l->set->rdata[i]) == MSP_ENOMEM
						 ? MSP_ENOMEM
						 : MSP_OK);
	}
	if (is_looking(p->run))
		return;
	s->ns_at++;
	msa_parent_begin_addresses(c, p);
}

/* ---- DSYNC
 * ------------------------------------------------------------------------------------------------------------ */

void msa_parent_begin_dsync(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;

	if (msa_dsync_first(&r->walk, &p->zone->name) != MSP_OK) {
		msa_parent_by_hand(c, p, "the name for the DSYNC look-up is too long");
		return;
	}
	look_open(c, p, LOOK_A, msa_dsync_name(&r->walk), MSP_TYPE_DSYNC);
}

bool msa_parent_can_notify(const struct msa_core *c, const struct msa_parent *p)
{
	const struct msa_parent_run *r = p->run;

	if (r == NULL || r->is_settled || r->notified || (p->mode != MSA_PARENT_AUTO && p->mode != MSA_PARENT_NOTIFY))
		return false;
	if (c->parent.notify_secure && !r->dsync_secure)
		return false;
	return (p->seen.has_ds && r->dsync.kind[MSA_DSYNC_CDS].count > 0) ||
	       (p->seen.has_ns && p->zone->csync != NULL && r->dsync.kind[MSA_DSYNC_CSYNC].count > 0);
}

void msa_parent_next_notify(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;

	for (unsigned k = 0; k < MSA_DSYNC__N; k++) {
		if ((r->notify_left & 1u << k) == 0)
			continue;
		r->notify_left &= ~(1u << k);
		r->kind = (enum msa_dsync_kind)k;
		r->endpoint = 0;
		msa_parent_enter(c, p, MSA_PHASE_TARGET);
		return;
	}
	/* Sent. What comes of it, the parent's servers show. */
	msa_parent_enter(c, p, r->after_notify);
	if (r->after_notify == MSA_PHASE_CONFIRM)
		msa_parent_wait(c, p, &p->confirm_backoff_s, c->parent.poll_s, c->parent.poll_max_s);
	else if (r->after_notify == MSA_PHASE_TRUST)
		msa_parent_wait(c, p, &p->state_backoff_s, c->parent.state_s, c->parent.state_max_s);
}

void msa_parent_start_notify(struct msa_core *c, struct msa_parent *p, enum msa_phase after)
{
	struct msa_parent_run *r = p->run;

	r->notified = true;
	r->after_notify = after;
	r->notify_left = 0;
	if (p->seen.has_ds && r->dsync.kind[MSA_DSYNC_CDS].count > 0)
		r->notify_left |= 1u << MSA_DSYNC_CDS;
	if (p->seen.has_ns && p->zone->csync != NULL && r->dsync.kind[MSA_DSYNC_CSYNC].count > 0)
		r->notify_left |= 1u << MSA_DSYNC_CSYNC;
	msa_parent_next_notify(c, p);
}

/** Which of what is offered is used. */
static void choose(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;
	bool has_update = r->dsync.kind[MSA_DSYNC_UPDATE].count > 0 &&
			  (p->mode == MSA_PARENT_AUTO || p->mode == MSA_PARENT_UPDATE);
	bool is_trusted = r->dsync_secure || c->parent.update_insecure;

	r->notified = false;
	if (has_update && is_trusted) {
		r->kind = MSA_DSYNC_UPDATE;
		r->endpoint = 0;
		msa_parent_enter(c, p, MSA_PHASE_TARGET);
	} else if (msa_parent_can_notify(c, p)) {
		msa_parent_start_notify(c, p, MSA_PHASE_CONFIRM);
	} else if (has_update) {
		msa_parent_by_hand(c, p, "the parent's DSYNC records are not DNSSEC-secure (dsync-require-secure)");
	} else {
		msa_parent_by_hand(c, p, "the parent publishes no DSYNC record that we can use");
	}
}

static void dsync_looked(struct msa_core *c, struct msa_parent *p, const struct msa_looked *l)
{
	struct msa_parent_run *r = p->run;

	if (has_records(l, MSP_TYPE_DSYNC)) {
		r->dsync_secure = l->verdict == MSP_LOOKUP_SECURE;
		msa_dsync_read(l->set, &c->numbers, &r->dsync);
		choose(c, p);
	} else if (!is_answer(l) || !l->is_negative) {
		failed(c, p, msa_dsync_name(&r->walk), "DSYNC", l); /* no answer is not a denial (G.2) */
	} else if (msa_dsync_next(&r->walk, l->soa_owner, &p->seen.parent)) {
		look_open(c, p, LOOK_A, msa_dsync_name(&r->walk), MSP_TYPE_DSYNC);
	} else {
		msa_parent_by_hand(c, p, "the parent publishes no DSYNC record");
	}
}

/* ---- the receiver
 * ------------------------------------------------------------------------------------------------------ */

static const struct msa_endpoint_dsync *endpoint(const struct msa_parent_run *r)
{
	return &r->dsync.kind[r->kind].at[r->endpoint];
}

void msa_parent_begin_target(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;
	const struct msp_name *name = &endpoint(r)->target;

	r->target_count = r->target_at = 0;
	msp_keyring_free(&r->ring);
	msp_rrset_free(&r->receiver);
	r->has_receiver = r->by_fingerprint = false;
	r->methods = 0;
	look_addresses(c, p, name);
	if (r->kind != MSA_DSYNC_UPDATE)
		return;
	if (msa_pend_start(c, &r->look[LOOK_KEY], MSA_PEND_PARENT_LOOK, p))
		msa_act_lookup(c, &r->look[LOOK_KEY], name, MSP_TYPE_KEY);
	look_open(c, p, LOOK_SVCB, name, MSP_TYPE_SVCB);
	if (r->look[LOOK_KEY].id == 0)
		msa_parent_hold(c, p, msp_err_text(MSP_ENOMEM)); /* not asked is not denied */
}

static void add_target(struct msa_parent_run *r, struct msp_span octets)
{
	struct msp_addr a;

	if (r->target_count < MSA_TARGETS_MAX && msp_addr_from_octets(octets, endpoint(r)->port, &a) == MSP_OK)
		r->target[r->target_count++] = a;
}

static bool word_is(struct msp_span text, size_t from, size_t to, const char *word)
{
	return msp_span_equal(msp_span(text.ptr + from, to - from), msp_span_str(word));
}

/** Tokens separated by commas (DDNS-02). Priority 0 with parameters is not legal, and seen. */
static unsigned read_methods(const struct msp_rrset *set, uint16_t key)
{
	static const struct {
		const char *word;
		unsigned bit;
	} word[] = { { "at-apex", MSA_METHOD_APEX },
		     { "at-ns", MSA_METHOD_NS },
		     { "unsigned", MSA_METHOD_UNSIGNED },
		     { "manual", MSA_METHOD_MANUAL } };
	unsigned bits = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct msp_svcb s;
		struct msp_span v;
		size_t from = 0;

		if (msp_svcb_parse(set->rdata[i], &s) != MSP_OK || !msp_svcb_param(&s, key, &v))
			continue;
		for (size_t at = 0; at <= v.len; at++) {
			if (at < v.len && v.ptr[at] != ',')
				continue;
			for (size_t k = 0; k < sizeof(word) / sizeof(word[0]); k++)
				bits |= word_is(v, from, at, word[k].word) ? word[k].bit : 0;
			from = at + 1;
		}
	}
	return bits;
}

static bool is_configured(const struct msa_core *c, struct msp_span rdata)
{
	uint8_t digest[32];

	if (msp_sha256(&rdata, 1, digest) != MSP_OK)
		return false;
	for (size_t i = 0; i < c->parent.fingerprint_count; i++)
		if (msa_same_digest(digest, c->fingerprint[i]))
			return true;
	return false;
}

/** G.7: a DNSSEC-secure KEY, or of an insecure one those whose fingerprint the operator has set. */
static enum msp_err take_receiver(struct msa_core *c, struct msa_parent *p, const struct msp_rrset *set, bool is_secure)
{
	struct msa_parent_run *r = p->run;
	struct msp_rrset *keys = NULL;
	size_t usable = 0;
	enum msp_err err = msp_rrset_new(&endpoint(r)->target, MSP_TYPE_KEY, set->ttl, &keys);

	for (size_t i = 0; i < set->count && err == MSP_OK; i++)
		if (is_secure || is_configured(c, set->rdata[i]))
			err = msp_rrset_add(keys, set->rdata[i]);
	if (err == MSP_OK && r->ring == NULL)
		err = msp_keyring_new(1, &r->ring);
	if (err == MSP_OK && keys->count > 0)
		err = msp_keyring_set(r->ring, &endpoint(r)->target, keys->rdata, keys->count, &usable);
	r->has_receiver = err == MSP_OK && usable > 0;
	r->by_fingerprint = r->has_receiver && !is_secure;
	msp_rrset_free(&r->receiver);
	if (r->has_receiver)
		r->receiver = keys;
	else
		msp_rrset_free(&keys);
	return err == MSP_ELIMIT ? MSP_OK : err;
}

/**
 * One of the ways that the receiver advertises is open to this zone (G.6); without an advertisement all may be. Where
 * we have no say in DS, a signed zone may be secure or not.
 */
static bool can_bootstrap(const struct msa_parent *p)
{
	bool has_ds = p->seen.want[MSA_SHOWN_DS].count > 0;
	bool is_signed = p->zone->dnskey != NULL && p->zone->dnskey->count > 0;
	unsigned open = MSA_METHOD_MANUAL | (has_ds || is_signed ? MSA_METHOD_APEX : 0u) |
			(has_ds ? 0u : MSA_METHOD_NS | MSA_METHOD_UNSIGNED);

	return p->run->methods == 0 || (p->run->methods & open) != 0;
}

static void target_done(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;
	char text[MSA_TEXT_MAX];

	if (r->target_count == 0) {
		snprintf(text, sizeof(text), "the receiver %.180s has no address", MSP_NAME(&endpoint(r)->target));
		if (r->endpoint + 1 < r->dsync.kind[r->kind].count) {
			r->endpoint++;
			msa_parent_enter(c, p, MSA_PHASE_TARGET);
		} else if (r->kind != MSA_DSYNC_UPDATE && r->notify_left != 0) {
			msa_parent_next_notify(c, p);
		} else {
			msa_parent_hold(c, p, text);
		}
		return;
	}
	if (r->is_settled && !can_bootstrap(p))
		msa_parent_key_done(c, p, "none of the parent's ways to bootstrap a key can be met");
	else
		msa_parent_enter(c, p, r->kind == MSA_DSYNC_UPDATE ? MSA_PHASE_KEY : MSA_PHASE_NOTIFY);
}

static void target_looked(struct msa_core *c, struct msa_parent *p, uint16_t type, bool was_open,
			  const struct msa_looked *l)
{
	struct msa_parent_run *r = p->run;

	if (type == MSP_TYPE_KEY && l->verdict == MSP_LOOKUP_INSECURE && !was_open && c->parent.fingerprint_count > 0) {
		look_open(c, p, LOOK_KEY, &endpoint(r)->target, MSP_TYPE_KEY);
		return;
	}
	if (type == MSP_TYPE_KEY && has_records(l, type)) {
		enum msp_err err = take_receiver(c, p, l->set, l->verdict == MSP_LOOKUP_SECURE);

		if (err != MSP_OK) { /* there is a key: never go on without */
			msa_core_note(c, err);
			msa_parent_hold(c, p, msp_err_text(err));
			return;
		}
	} else if (type == MSP_TYPE_KEY && l->verdict != MSP_LOOKUP_NODATA && !is_answer(l)) {
		/* There may be a key, and somebody may not want us to see it: never go on without. */
		failed(c, p, &endpoint(r)->target, "KEY", l);
		return;
	} else if (type == MSP_TYPE_SVCB && has_records(l, type)) {
		r->methods = read_methods(l->set, c->numbers.svcb_bootstrap);
	} else if (is_answer(l) && (type == MSP_TYPE_A || type == MSP_TYPE_AAAA)) {
		for (size_t i = 0; has_records(l, type) && i < l->set->count; i++)
			add_target(r, l->set->rdata[i]);
	}
	if (!is_looking(r))
		target_done(c, p);
}

/* ---- answers
 * ---------------------------------------------------------------------------------------------------------- */

void msa_parent_looked(struct msa_core *c, struct msa_pend *pend, const struct msa_looked *l)
{
	struct msa_parent *p = pend->owner;
	uint16_t type = pend->type;
	bool was_open = pend->is_open;

	msa_pend_stop(c, pend);
	if (p->run == NULL)
		return;
	switch (p->phase) {
	case MSA_PHASE_ZONE:
		zone_looked(c, p, l);
		break;
	case MSA_PHASE_SERVERS:
		servers_looked(c, p, l);
		break;
	case MSA_PHASE_ADDRESSES:
	case MSA_PHASE_OWN_ADDRESSES:
		address_looked(c, p, type, l);
		break;
	case MSA_PHASE_DSYNC:
		dsync_looked(c, p, l);
		break;
	case MSA_PHASE_TARGET:
		target_looked(c, p, type, was_open, l);
		break;
	default:
		break;
	}
}
