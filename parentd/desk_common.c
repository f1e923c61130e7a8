/* SPDX-License-Identifier: BSD-2-Clause */
#include "desk_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DAY_S 86400

void prt_outcome_init(struct prt_outcome *o)
{
	/* the entries are initialised one by one as they come: they are large, and mostly there is one */
	o->is_changed = o->is_repeat = o->has_state = false;
	o->refusal = (struct prt_refusal){ .rcode = MSP_RCODE_NOERROR };
	o->keystate = MSP_KEYSTATE_MALFORMED;
	o->need = 0;
	o->entries = 0;
	o->report_ede = 0;
}

void prt_outcome_fini(struct prt_outcome *o)
{
	for (size_t i = 0; i < o->entries; i++)
		prt_audit_fini(&o->entry[i]);
	o->entries = 0;
}

void prt_desk_text(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

void prt_desk_note(struct prt_child *c, const char *text)
{
	prt_desk_text(c->note, sizeof(c->note), text);
}

bool prt_desk_is_delegated(const struct prt_child *c)
{
	return (c->flags & PRT_CHILD_GONE) == 0 && prt_delegation_ns(&c->registered) != NULL;
}

/* --- time -----------------------------------------------------------------------------------------------------------
 */

static bool heal_past(struct msp_wall *t, struct msp_wall now)
{
	bool is_ahead = t->s > now.s;

	if (is_ahead)
		*t = now;
	return is_ahead;
}

static bool heal_future(struct msp_wall *t, struct msp_wall now)
{
	bool is_ahead = t->s - now.s > PRT_TIME_AHEAD_S;

	if (is_ahead)
		t->s = now.s + DAY_S;
	return is_ahead;
}

void prt_desk_heal(const struct prt_desk *k)
{
	struct prt_child *c = k->c;
	bool any = false;

	for (size_t i = 0; i < c->change_count; i++)
		any |= heal_past(&c->changes[i], k->now);
	for (size_t i = 0; i < PRT_BOOTSTRAPS_PER_H; i++)
		any |= heal_past(&c->keys.bootstraps[i], k->now);
	for (size_t i = 0; i < sizeof(c->scan.started) / sizeof(c->scan.started[0]); i++)
		any |= heal_past(&c->scan.started[i], k->now);
	for (size_t i = 0; i < c->keys.count; i++)
		any |= heal_past(&c->keys.key[i].since, k->now);
	for (size_t i = 0; i < c->keys.count; i++)
		any |= heal_future(&c->boot[i].next, k->now);
	any |= heal_past(&c->pending.since, k->now);
	any |= heal_future(&c->pending.next, k->now);
	any |= heal_future(&c->scan.next, k->now);
	k->out->is_changed |= any;
}

unsigned prt_desk_today(const struct prt_child *c, struct msp_wall now)
{
	unsigned n = 0;

	for (size_t i = 0; i < c->change_count; i++)
		n += now.s - c->changes[i].s < DAY_S;
	return n;
}

static void count_change(struct prt_child *c, struct msp_wall now)
{
	if (c->change_count == PRT_CHANGES_MAX)
		memmove(c->changes, c->changes + 1, --c->change_count * sizeof(c->changes[0]));
	c->changes[c->change_count++] = now;
}

/* --- the audit trail ------------------------------------------------------------------------------------------------
 */

struct prt_asker prt_desk_nobody(enum prt_source source, const char *who)
{
	struct prt_asker a = { .source = source };

	prt_desk_text(a.who, sizeof(a.who), who);
	return a;
}

struct prt_asker prt_desk_asker(const struct prt_pending *p)
{
	struct prt_asker a = prt_desk_nobody(p->source, p->who);

	a.key_tag = p->key_tag;
	a.peer = p->peer;
	a.is_tcp = p->is_tcp;
	memcpy(a.message, p->message, sizeof(a.message));
	return a;
}

struct prt_asker prt_desk_about(const struct prt_asker *by, const struct prt_pending *p)
{
	static const uint8_t none[PRT_HASH_LEN];
	struct prt_asker a = *by;

	if (memcmp(a.message, none, sizeof(none)) == 0)
		memcpy(a.message, p->message, sizeof(a.message));
	return a;
}

void prt_desk_on_word_of(struct prt_pending *p, const struct prt_asker *by)
{
	p->source = by->source;
	p->key_tag = by->key_tag;
	p->peer = by->peer;
	p->is_tcp = by->is_tcp;
	memcpy(p->message, by->message, sizeof(p->message));
	prt_desk_text(p->who, sizeof(p->who), by->who);
}

enum msp_err prt_desk_entry(const struct prt_desk *k, enum prt_verdict verdict, const struct prt_asker *by,
			    const char *rule, const char *why, const struct prt_delegation *before,
			    const struct prt_delegation *after)
{
	struct prt_outcome *out = k->out;
	enum msp_err err = MSP_OK;
	struct prt_audit *a;

	if (out->entries == PRT_ENTRIES_MAX)
		return MSP_ELIMIT;
	a = &out->entry[out->entries];
	prt_audit_init(a);
	a->parent = k->c->parent;
	a->child = k->c->name;
	a->verdict = verdict;
	a->source = by->source;
	a->peer = by->peer;
	a->is_tcp = by->is_tcp;
	a->key_tag = by->key_tag;
	memcpy(a->message, by->message, sizeof(a->message));
	prt_desk_text(a->who, sizeof(a->who), by->who);
	prt_desk_text(a->rule, sizeof(a->rule), rule != NULL ? rule : "");
	prt_desk_text(a->why, sizeof(a->why), why != NULL ? why : "");
	a->rcode = out->refusal.rcode;
	if (out->refusal.has_ede) /* by the default numbers: those in force are for the wire */
		a->ede = out->refusal.is_standard
				 ? out->refusal.ede
				 : msp_ede_code(&msp_numbers_default, (enum msp_ede_own)out->refusal.ede);
	if (before != NULL)
		err = prt_delegation_write(before, &a->before);
	if (err == MSP_OK && after != NULL)
		err = prt_delegation_write(after, &a->after);
	if (err == MSP_OK)
		out->entries++;
	else
		prt_audit_fini(a);
	return err;
}

enum msp_ede_own prt_desk_findings(const struct prt_findings *f, char *out, size_t size)
{
	enum msp_ede_own ede = MSP_EDE_DELEGATION_CHECK;
	bool is_first = true;
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < f->count && i < PRT_FINDINGS_MAX; i++) {
		if (!f->item[i].is_fatal)
			continue;
		if (is_first)
			ede = f->item[i].ede;
		if (len < size)
			len += (size_t)snprintf(out + len, size - len, "%s%s", is_first ? "" : "; ",
						f->item[i].why.text);
		is_first = false;
	}
	return ede;
}

void prt_desk_say(struct prt_desk_words *w, const char *text, ...)
{
	va_list ap;

	va_start(ap, text);
	if (w->len < sizeof(w->text))
		w->len += (size_t)vsnprintf(w->text + w->len, sizeof(w->text) - w->len, text, ap);
	va_end(ap);
}

/* The numbers first, the addresses last: what does not fit is the least. */
void prt_desk_say_evidence(struct prt_desk_words *w, const struct prt_findings *f, const struct prt_evidence *e)
{
	const struct prt_server *before = NULL;

	prt_desk_say(w, "%zu of %zu addresses answer", f->answered, f->asked);
	for (size_t i = 0; i < f->proofs; i++)
		prt_desk_say(w, "%s%u/%u", i == 0 ? "; DNSKEY validates by DS " : ", ", f->proof[i].tag,
			     f->proof[i].algorithm);
	if (f->proofs == 0)
		prt_desk_say(w, "; without DS");
	for (size_t i = 0; i < f->count && i < PRT_FINDINGS_MAX; i++) /* what has not stood in the way */
		prt_desk_say(w, "; but %s", f->item[i].why.text);
	for (size_t i = 0; i < e->count; before = &e->server[i++]) {
		const struct prt_server *s = &e->server[i];

		if (before == NULL || !msp_name_equal(&before->host, &s->host))
			prt_desk_say(w, "; %s", MSP_NAME(&s->host));
		if (s->addr.family != MSP_FAMILY_NONE)
			prt_desk_say(w, " %s", MSP_ADDR(&s->addr));
	}
}

/* --- the first gate -------------------------------------------------------------------------------------------------
 */

void prt_desk_judge(const struct prt_rules *r, const struct prt_child *c, const struct prt_delegation *wanted,
		    enum prt_source source, bool is_confirmed, struct msp_wall now, struct prt_ruling *out)
{
	struct prt_case q = {
		.source = source,
		.touch = prt_touches(&c->registered, wanted),
		.losses = prt_delegation_losses(&c->registered, wanted),
		.is_locked = (c->flags & PRT_CHILD_LOCKED) != 0,
		.is_confirmed = is_confirmed,
		.today = prt_desk_today(c, now),
	};

	if (c->change_count > 0)
		q.last = c->changes[c->change_count - 1];
	prt_policy_change(&r->policy, &q, now, out);
}

bool prt_desk_is_confirmed(const struct prt_rules *r, const struct prt_child *c, const struct prt_delegation *wanted,
			   struct msp_wall now)
{
	const struct prt_pending *p = &c->pending;

	return p->wait == PRT_WAIT_CONFIRM && prt_delegation_equal(wanted, &p->wanted) &&
	       now.s - p->since.s >= (int64_t)r->confirm_s;
}

static struct msp_rrset *ds_of(const struct prt_delegation *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->set[i]->type == MSP_TYPE_DS)
			return d->set[i];
	return NULL;
}

static bool lowers_ttl(const struct prt_rules *r)
{
	return r->ds_ttl != 0 && r->ds_ttl_changed != 0 && r->ds_ttl_hold_s != 0;
}

void prt_desk_settle_ttl(const struct prt_rules *r, const struct prt_child *c, struct prt_delegation *wanted)
{
	const struct msp_rrset *before = ds_of(&c->registered);
	struct msp_rrset *ds = ds_of(wanted);

	if (r->ds_ttl == 0 || ds == NULL)
		return;
	if (before != NULL && msp_rrset_equal(before, ds))
		ds->ttl = before->ttl;
	else
		ds->ttl = lowers_ttl(r) ? r->ds_ttl_changed : r->ds_ttl;
}

/* --- what waits -----------------------------------------------------------------------------------------------------
 */

bool prt_desk_is_base(const struct prt_pending *p)
{
	return (p->source == PRT_SRC_UPDATE || p->source == PRT_SRC_TSIG) &&
	       (p->wait == PRT_WAIT_CHECKS || p->wait == PRT_WAIT_TURN || p->wait == PRT_WAIT_OPERATOR);
}

/* Whose word stands against whose. What was not confirmed is nobody's yet. */
static unsigned rank(enum prt_source s)
{
	switch (s) {
	case PRT_SRC_OPERATOR:
		return 3;
	case PRT_SRC_UPDATE:
	case PRT_SRC_TSIG:
		return 2;
	case PRT_SRC_CDS:
	case PRT_SRC_DSBOOT:
		return 1;
	case PRT_SRC_CSYNC:
	case PRT_SRC__N:
	case PRT_SRC_NONE:
		break;
	}
	return 0;
}

bool prt_desk_may_displace(const struct prt_child *c, enum prt_source source)
{
	return c->pending.wait == PRT_WAIT_NONE || c->pending.wait == PRT_WAIT_CONFIRM ||
	       rank(source) >= rank(c->pending.source);
}

/* Scans find again what is still asked for. */
static bool is_seen_again(enum prt_source s)
{
	return s == PRT_SRC_CDS || s == PRT_SRC_DSBOOT || s == PRT_SRC_CSYNC;
}

static void clear_pending(struct prt_child *c)
{
	if (c->pending.wait != PRT_WAIT_NONE)
		prt_delegation_clear(&c->pending.wanted);
	memset(&c->pending, 0, sizeof(c->pending));
}

enum msp_err prt_desk_drop(const struct prt_desk *k, const struct prt_asker *by, const char *rule, const char *why,
			   bool tell)
{
	struct prt_child *c = k->c;
	struct prt_asker was = prt_desk_asker(&c->pending);
	enum msp_err err;

	if (c->pending.wait == PRT_WAIT_NONE)
		return MSP_OK;
	if (by != NULL)
		was = prt_desk_about(by, &c->pending);
	err = prt_desk_entry(k, PRT_VERDICT_DROPPED, &was, rule, why, &c->registered, &c->pending.wanted);
	if (err != MSP_OK)
		return err;
	if (tell && rank(c->pending.source) == 2)
		prt_desk_note(c, why);
	clear_pending(c);
	k->out->is_changed = true;
	return MSP_OK;
}

/* Something else takes the place of what waits: on record, unless it is the same or goes on from there. What can fail
 * comes first. */
static enum msp_err record_displaced(const struct prt_desk *k, const struct prt_delegation *wanted,
				     const struct prt_asker *by, bool *is_lost)
{
	const struct prt_pending *p = &k->c->pending;
	struct prt_asker was = prt_desk_asker(p);

	*is_lost = p->wait != PRT_WAIT_NONE && !(prt_desk_is_base(p) && rank(by->source) == 2) &&
		   !prt_delegation_equal(wanted, &p->wanted);
	if (!*is_lost)
		return MSP_OK;
	return prt_desk_entry(k, PRT_VERDICT_DROPPED, &was, "one change at a time", "a newer change takes its place",
			      &k->c->registered, &p->wanted);
}

static void forget_displaced(const struct prt_desk *k, const struct prt_asker *by)
{
	struct prt_pending *p = &k->c->pending;

	if (is_seen_again(p->source) && !is_seen_again(by->source))
		k->c->scan.next.s = k->now.s + PRT_LEASE_S;
	if (rank(p->source) == 2 && rank(by->source) == 3)
		prt_desk_note(k->c, "an operator's change has taken its place");
}

enum msp_err prt_desk_wait(const struct prt_desk *k, enum prt_wait wait, struct prt_delegation *wanted,
			   const struct prt_asker *by, struct msp_wall next, const char *rule, const char *why)
{
	struct prt_child *c = k->c;
	bool is_lost;
	enum msp_err err = record_displaced(k, wanted, by, &is_lost);

	if (err == MSP_OK)
		err = prt_desk_entry(k, PRT_VERDICT_WAITS, by, rule, why, &c->registered, wanted);
	if (err != MSP_OK)
		return err;
	if (is_lost)
		forget_displaced(k, by);
	clear_pending(c);
	c->pending.wait = wait;
	c->pending.wanted = *wanted;
	wanted->count = 0; /* taken over */
	c->pending.since = k->now;
	c->pending.next = next;
	prt_desk_on_word_of(&c->pending, by);
	prt_desk_text(c->pending.why, sizeof(c->pending.why), why);
	if (wait == PRT_WAIT_CHECKS)
		k->out->need |= PRT_NEED_CHECK;
	k->out->is_changed = true;
	return MSP_OK;
}

void prt_desk_wait_on(const struct prt_desk *k, enum prt_wait wait, struct msp_wall next, const char *why)
{
	struct prt_pending *p = &k->c->pending;

	if (p->wait != wait)
		p->tries = 0;
	p->wait = wait;
	p->next = next;
	if (why != NULL)
		prt_desk_text(p->why, sizeof(p->why), why);
	k->out->is_changed = true;
}

/* --- becoming registered --------------------------------------------------------------------------------------------
 */

enum msp_err prt_desk_accept(const struct prt_desk *k, struct prt_delegation *wanted, const struct prt_asker *by,
			     const char *rule, const char *why)
{
	struct prt_child *c = k->c;
	bool other_ds = !msp_rrset_equal(ds_of(&c->registered), ds_of(wanted));
	bool other_ns = !msp_rrset_equal(prt_delegation_ns(&c->registered), prt_delegation_ns(wanted));
	bool is_lost;
	enum msp_err err = record_displaced(k, wanted, by, &is_lost);

	if (err == MSP_OK)
		err = prt_desk_entry(k, PRT_VERDICT_ACCEPTED, by, rule, why, &c->registered, wanted);
	if (err != MSP_OK)
		return err;
	if (is_lost)
		forget_displaced(k, by);
	prt_delegation_clear(&c->registered);
	c->registered = *wanted;
	wanted->count = 0; /* taken over */
	clear_pending(c);
	count_change(c, k->now);
	if (other_ds) {
		c->ttl_back.s = 0;
		if (k->r != NULL && lowers_ttl(k->r) && ds_of(&c->registered) != NULL)
			c->ttl_back.s = k->now.s + (int64_t)k->r->ds_ttl_hold_s;
	}
	/* Signers count signature times each on their own: those of other servers are not to be compared (G.4 check 4)
	 */
	if (other_ns)
		c->scan.inception = 0;
	if (prt_child_is_unpublished(c))
		k->out->need |= PRT_NEED_PUBLISH;
	k->out->is_changed = true;
	return MSP_OK;
}

enum msp_err prt_desk_go_on(const struct prt_desk *k)
{
	struct prt_asker by = prt_desk_asker(&k->c->pending);

	if (k->r->no_checks)
		return prt_desk_accept(k, &k->c->pending.wanted, &by, "no-checks", "servers are not looked at here");
	prt_desk_wait_on(k, PRT_WAIT_CHECKS, (struct msp_wall){ k->now.s + PRT_LEASE_S },
			 "its servers are to be looked at");
	k->out->need |= PRT_NEED_CHECK;
	return MSP_OK;
}
