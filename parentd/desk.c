/* SPDX-License-Identifier: BSD-2-Clause */
/* The desk's other events: servers were looked at, time passes, the parent zone speaks. */
#include "desk_priv.h"

#include <stdio.h>
#include <string.h>

/* --- the servers of a change were looked at -------------------------------------------------------------------------
 */

static bool names_host(const struct msp_rrset *ns, const struct msp_name *host)
{
	struct msp_name name;

	for (size_t i = 0; ns != NULL && i < ns->count; i++)
		if (msp_rdata_name_parse(ns->rdata[i], &name) == MSP_OK && msp_name_equal(&name, host))
			return true;
	return false;
}

static bool holds_address(const struct prt_delegation *d, const struct msp_name *host, const struct msp_addr *a)
{
	bool is_v4 = a->family == MSP_FAMILY_V4;
	const struct msp_rrset *set = prt_delegation_get(d, host, is_v4 ? MSP_TYPE_A : MSP_TYPE_AAAA);

	return set != NULL && msp_rrset_has(set, msp_span(a->oct, is_v4 ? 4 : 16));
}

static bool asked_address(const struct prt_evidence *e, const struct msp_name *host, struct msp_span oct)
{
	for (size_t i = 0; i < e->count; i++)
		if (msp_name_equal(&e->server[i].host, host) &&
		    msp_span_equal(oct, msp_span(e->server[i].addr.oct, oct.len)) &&
		    (e->server[i].addr.family == MSP_FAMILY_V4) == (oct.len == 4))
			return true;
	return false;
}

static bool asked_family(const struct prt_evidence *e, uint16_t type)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->server[i].addr.family == (type == MSP_TYPE_A ? MSP_FAMILY_V4 : MSP_FAMILY_V6))
			return true;
	return false;
}

/*
 * It is this delegation's servers that were looked at, and not those of one that waited before it: each address that
 * was asked below the child is its glue, and its glue was asked, but for a family that is not used here and for more
 * addresses than are asked.
 */
static bool is_of(const struct prt_evidence *e, const struct prt_delegation *d)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);

	if (!msp_name_equal(&e->child, &d->child))
		return false;
	for (size_t i = 0; i < e->count; i++) {
		const struct prt_server *s = &e->server[i];

		if (!names_host(ns, &s->host) ||
		    (s->addr.family != MSP_FAMILY_NONE && msp_name_is_under(&s->host, &d->child) &&
		     !holds_address(d, &s->host, &s->addr)))
			return false;
	}
	for (size_t i = 0; i < d->count; i++) {
		const struct msp_rrset *set = d->set[i];

		if ((set->type != MSP_TYPE_A && set->type != MSP_TYPE_AAAA) || !asked_family(e, set->type) ||
		    !msp_name_is_under(&set->owner, &d->child) || e->count == PRT_SERVERS_MAX)
			continue;
		for (size_t k = 0; k < set->count; k++)
			if (!asked_address(e, &set->owner, set->rdata[k]))
				return false;
	}
	return true;
}

/* Not finished: again later, so and so often. */
static enum msp_err check_again(const struct prt_desk *k, const char *why)
{
	struct prt_pending *p = &k->c->pending;
	size_t steps = sizeof(k->r->scan_retry_s) / sizeof(k->r->scan_retry_s[0]);
	uint32_t wait_s = k->r->scan_retry_s[p->tries < steps ? p->tries : steps - 1];

	if (++p->tries >= k->r->check_tries) {
		(void)prt_refuse_own(&k->out->refusal, MSP_EDE_DELEGATION_CHECK, "G.4: every server answers", "%s",
				     why);
		return prt_desk_drop(k, NULL, k->out->refusal.rule, why, true);
	}
	prt_desk_wait_on(k, PRT_WAIT_CHECKS, (struct msp_wall){ k->now.s + (int64_t)wait_s }, why);
	return MSP_OK;
}

/* Between the first word and the look others may have changed it, or locked it: the first gate again. A change that
 * waits for checks has passed that of two deletions. */
static enum msp_err judge_again(const struct prt_desk *k, struct prt_ruling *ruling)
{
	struct prt_pending *p = &k->c->pending;

	prt_desk_settle_ttl(k->r, k->c, &p->wanted);
	prt_desk_judge(k->r, k->c, &p->wanted, p->source, true, k->now, ruling);
	if (ruling->decision == PRT_REFUSE) {
		k->out->refusal = ruling->refusal;
		return prt_desk_drop(k, NULL, ruling->rule, ruling->refusal.why.text, true);
	}
	if (ruling->decision == PRT_LATER)
		prt_desk_wait_on(k, PRT_WAIT_TURN, ruling->not_before, ruling->refusal.why.text);
	else if (ruling->decision == PRT_PROPOSE) /* approved before, or it would not wait here */
		ruling->decision = PRT_ALLOW;
	return MSP_OK;
}

enum msp_err prt_desk_checked(const struct prt_rules *r, struct prt_child *c, const struct prt_evidence *e,
			      struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { r, c, now, out };
	struct prt_pending *p = &c->pending;
	struct prt_asker by = prt_desk_asker(p);
	struct prt_findings f = { .count = 0 };
	struct prt_desk_words words = { .len = 0 };
	struct prt_ruling ruling;
	enum msp_ede_own ede;
	char why[512];
	enum msp_err err;

	prt_desk_heal(&k);
	if (p->wait != PRT_WAIT_CHECKS)
		return MSP_OK;
	if (!is_of(e, &p->wanted)) {
		out->need |= PRT_NEED_CHECK;
		return check_again(&k, "other servers were looked at than those of this change");
	}
	prt_check_delegation(e, &p->wanted, &r->check, now, &f);
	prt_check_unseen(e, &c->registered, &p->wanted, &f);
	ede = prt_desk_findings(&f, why, sizeof(why));
	if (f.fatal > 0 && f.fatal == f.passing)
		return check_again(&k, why);
	if (f.fatal > 0) {
		(void)prt_refuse_own(&out->refusal, ede, "G.4: checks on any proposed delegation", "%s", why);
		return prt_desk_drop(&k, NULL, out->refusal.rule, why, true);
	}
	err = judge_again(&k, &ruling);
	if (err != MSP_OK || p->wait != PRT_WAIT_CHECKS)
		return err;
	prt_desk_say_evidence(&words, &f, e);
	return prt_desk_accept(&k, &p->wanted, &by, ruling.rule, words.text);
}

/* --- time passes ----------------------------------------------------------------------------------------------------
 */

static bool is_due(struct msp_wall t, struct msp_wall now)
{
	return t.s != 0 && t.s <= now.s;
}

static enum msp_err tick_turn(const struct prt_desk *k)
{
	struct prt_ruling ruling;
	enum msp_err err = judge_again(k, &ruling);

	if (err != MSP_OK || ruling.decision != PRT_ALLOW)
		return err;
	return prt_desk_go_on(k);
}

static enum msp_err tick_pending(const struct prt_desk *k)
{
	struct prt_pending *p = &k->c->pending;
	bool is_scanned = p->source == PRT_SRC_CDS || p->source == PRT_SRC_DSBOOT || p->source == PRT_SRC_CSYNC;
	struct msp_wall lease = { k->now.s + PRT_LEASE_S };

	if (p->wait == PRT_WAIT_NONE || !is_due(p->next, k->now))
		return MSP_OK;
	switch (p->wait) {
	case PRT_WAIT_CHECKS:
		k->out->need |= PRT_NEED_CHECK;
		prt_desk_wait_on(k, p->wait, lease, NULL);
		return MSP_OK;
	case PRT_WAIT_CONFIRM:
	case PRT_WAIT_TURN:
		if (!is_scanned)
			break;
		k->out->need |= PRT_NEED_SCAN; /* what the child shows by then decides */
		prt_desk_wait_on(k, p->wait, lease, NULL);
		return MSP_OK;
	case PRT_WAIT_OPERATOR:
	case PRT_WAIT_NONE:
	case PRT_WAIT__N:
		p->next.s = 0;
		k->out->is_changed = true;
		return MSP_OK;
	}
	if (p->wait == PRT_WAIT_TURN)
		return tick_turn(k);
	return prt_desk_drop(k, NULL, "confirm-delete", "deletion of all DS was asked for once, not twice", true);
}

/* G.4 check 8: the short TTL has done its service. */
static enum msp_err tick_ttl(const struct prt_desk *k)
{
	struct prt_child *c = k->c;
	const struct prt_asker by = prt_desk_nobody(PRT_SRC_NONE, "parentd");
	struct prt_delegation before;
	enum msp_err err;

	if (!is_due(c->ttl_back, k->now))
		return MSP_OK;
	err = prt_delegation_dup(&c->registered, &before);
	if (err != MSP_OK)
		return err;
	for (size_t i = 0; k->r->ds_ttl != 0 && i < c->registered.count; i++)
		if (c->registered.set[i]->type == MSP_TYPE_DS)
			c->registered.set[i]->ttl = k->r->ds_ttl;
	if (!prt_delegation_equal(&before, &c->registered))
		err = prt_desk_entry(k, PRT_VERDICT_ACCEPTED, &by, "G.4 check 8", "TTL of DS is the usual one again",
				     &before, &c->registered);
	prt_delegation_clear(&before);
	if (err != MSP_OK)
		return err;
	c->ttl_back.s = 0;
	k->out->is_changed = true;
	if (prt_child_is_unpublished(c))
		k->out->need |= PRT_NEED_PUBLISH;
	return MSP_OK;
}

enum msp_err prt_desk_tick(const struct prt_rules *r, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { r, c, now, out };
	enum msp_err err;

	prt_desk_heal(&k);
	if (!prt_desk_is_delegated(c))
		return MSP_OK;
	err = prt_desk_sweep_keys(&k);
	if (err == MSP_OK)
		err = tick_pending(&k);
	if (err == MSP_OK)
		err = tick_ttl(&k);
	if (err != MSP_OK)
		return err;
	if (is_due(c->scan.next, now)) {
		out->need |= PRT_NEED_SCAN;
		c->scan.next.s = now.s + PRT_LEASE_S;
		out->is_changed = true;
	}
	prt_desk_arrange_looks(&k, PRT_LEASE_S);
	return MSP_OK;
}

/* --- the parent zone ------------------------------------------------------------------------------------------------
 */

static enum msp_err replace(struct prt_delegation *d, const struct prt_delegation *by)
{
	struct prt_delegation copy;
	enum msp_err err = prt_delegation_dup(by, &copy);

	if (err != MSP_OK)
		return err;
	prt_delegation_clear(d);
	*d = copy;
	return MSP_OK;
}

/* A delegation that is gone may come back with another owner: nothing of the old one may speak for it. */
static enum msp_err leave(const struct prt_desk *k, const struct prt_asker *by)
{
	struct prt_child *c = k->c;
	struct prt_keyset before = c->keys;
	enum msp_err err;

	c->flags |= PRT_CHILD_GONE;
	c->note[0] = '\0';
	c->ttl_back.s = 0;
	memset(&c->scan, 0, sizeof(c->scan));
	c->keys.count = 0;
	memset(c->boot, 0, sizeof(c->boot));
	err = prt_desk_drop(k, by, "import", "the parent zone has no such delegation any more", false);
	if (err == MSP_OK && before.count > 0)
		err = prt_desk_key_entry(k, by, "import", "the delegation is gone, its keys speak for nobody", &before);
	return err;
}

/* by: who says that the parent has it. */
static enum msp_err import(const struct prt_desk *k, const struct prt_delegation *d, const struct prt_asker *by,
			   const char *rule, const char *why)
{
	struct prt_child *c = k->c;
	bool is_gone = d->count == 0, was_gone = (c->flags & PRT_CHILD_GONE) != 0;
	bool stands = prt_child_is_unpublished(c) && !is_gone && !was_gone;
	enum msp_err err = MSP_OK;

	if (prt_delegation_equal(d, &c->published) && (is_gone == was_gone || (is_gone && c->registered.count == 0)))
		return MSP_OK;
	if (!stands && !prt_delegation_equal(d, &c->registered)) {
		err = prt_desk_entry(k, PRT_VERDICT_IMPORTED, by, rule, why, &c->registered, d);
		if (err == MSP_OK && !is_gone) /* it was meant for another delegation */
			err = prt_desk_drop(k, NULL, "import", "the parent zone was changed by others", true);
		if (err == MSP_OK)
			err = replace(&c->registered, d);
	}
	if (err == MSP_OK && is_gone && !was_gone)
		err = leave(k, by);
	if (err == MSP_OK)
		err = replace(&c->published, d);
	if (err != MSP_OK)
		return err;
	if (!is_gone)
		c->flags &= ~PRT_CHILD_GONE;
	if (prt_child_is_unpublished(c))
		k->out->need |= PRT_NEED_PUBLISH;
	k->out->is_changed = true;
	return MSP_OK;
}

enum msp_err prt_desk_imported(struct prt_child *c, const struct prt_delegation *d, struct msp_wall now,
			       struct prt_outcome *out)
{
	const struct prt_desk k = { NULL, c, now, out };
	const struct prt_asker by = prt_desk_nobody(PRT_SRC_NONE, "parent zone");

	return import(&k, d, &by, "import", "the parent zone shows another delegation");
}

enum msp_err prt_desk_added(struct prt_child *c, const struct prt_delegation *d, const struct prt_asker *asker,
			    struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { NULL, c, now, out };

	return import(&k, d, asker, "add", "an operator says that the parent has it");
}

static struct prt_asker backend_asker(const char *name)
{
	char who[PRT_TEXT_MAX];

	(void)snprintf(who, sizeof(who), "backend%s%.80s", name[0] != '\0' ? " " : "", name);
	return prt_desk_nobody(PRT_SRC_NONE, who);
}

enum msp_err prt_desk_published_by(struct prt_child *c, const char *backend, const struct prt_delegation *d,
				   struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { NULL, c, now, out };
	const struct prt_asker by = backend_asker(backend);
	enum msp_err err;

	if (prt_delegation_equal(d, &c->published))
		return MSP_OK;
	err = prt_desk_entry(&k, PRT_VERDICT_PUBLISHED, &by, "G.5 step 11", "", &c->published, d);
	if (err == MSP_OK)
		err = replace(&c->published, d);
	if (err != MSP_OK)
		return err;
	out->is_changed = true;
	if (prt_child_is_unpublished(c))
		out->need |= PRT_NEED_PUBLISH;
	return MSP_OK;
}

enum msp_err prt_desk_is_register(struct prt_child *c, struct prt_outcome *out)
{
	if ((out->need & PRT_NEED_PUBLISH) == 0)
		return MSP_OK;
	out->need &= ~(unsigned)PRT_NEED_PUBLISH;
	return replace(&c->published, &c->registered);
}

/* What the backend never takes is not registered: the books show what the parent has. */
enum msp_err prt_desk_refused_by(struct prt_child *c, const char *backend, const char *why, struct msp_wall now,
				 struct prt_outcome *out)
{
	const struct prt_desk k = { NULL, c, now, out };
	const struct prt_asker by = backend_asker(backend);
	char text[2 * PRT_TEXT_MAX];
	enum msp_err err;

	if (!prt_child_is_unpublished(c))
		return MSP_OK;
	(void)snprintf(text, sizeof(text), "the parent's backend refused it: %s", why);
	err = prt_desk_entry(&k, PRT_VERDICT_FAILED, &by, "G.5 step 11", text, &c->registered, &c->published);
	/* what waits was meant for what is not to be */
	if (err == MSP_OK)
		err = prt_desk_drop(&k, NULL, "G.5 step 11", "the change before it was refused by the backend", true);
	if (err == MSP_OK)
		err = replace(&c->registered, &c->published);
	if (err != MSP_OK)
		return err;
	prt_desk_note(c, text);
	c->ttl_back.s = 0;
	out->is_changed = true;
	return MSP_OK;
}
