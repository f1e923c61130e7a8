/* SPDX-License-Identifier: BSD-2-Clause */
/* What operators say: msctl parent approve, reject, lock, unlock, rollback, policy test. */
#include "desk_priv.h"

#include <msproto/auth/digest.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

MSP_PRINTF(3, 4)
static enum msp_err impossible(struct prt_outcome *out, enum msp_err err, const char *text, ...)
{
	va_list ap;

	out->refusal = (struct prt_refusal){ .rcode = MSP_RCODE_REFUSED, .rule = "operator" };
	va_start(ap, text);
	(void)vsnprintf(out->refusal.why.text, sizeof(out->refusal.why.text), text, ap);
	va_end(ap);
	return err;
}

/* --- keys -----------------------------------------------------------------------------------------------------------
 */

static enum msp_err find_key(struct prt_keyset *k, const uint8_t print[PRT_HASH_LEN], struct prt_key **out)
{
	*out = NULL;
	for (size_t i = 0; i < k->count; i++) {
		uint8_t own[PRT_HASH_LEN];
		enum msp_err err = prt_key_print(prt_key_rdata(&k->key[i]), own);

		if (err != MSP_OK)
			return err;
		if (memcmp(own, print, sizeof(own)) == 0)
			*out = &k->key[i];
	}
	return *out != NULL ? MSP_OK : MSP_ENOTFOUND;
}

enum msp_err prt_desk_key(const struct prt_rules *r, struct prt_child *c, enum prt_key_verb verb,
			  const uint8_t print[PRT_HASH_LEN], const struct prt_asker *asker, struct msp_wall now,
			  struct prt_outcome *out)
{
	static const struct {
		enum prt_key_event event;
		const char *rule;
	} verbs[] = {
		[PRT_KEY_APPROVE] = { PRT_KEV_APPROVED, "approved" },
		[PRT_KEY_REJECT] = { PRT_KEV_REJECTED, "rejected" },
		[PRT_KEY_FORGET] = { PRT_KEV_FORGOTTEN, "forgotten" },
	};
	const struct prt_desk k = { r, c, now, out };
	struct prt_keyset before = c->keys;
	struct prt_key *key;
	enum msp_err err;

	prt_desk_heal(&k);
	err = find_key(&c->keys, print, &key);
	if (err != MSP_OK)
		return impossible(out, err, "%s has no key with this fingerprint", MSP_NAME(&c->name));
	if (verb == PRT_KEY_APPROVE && key->state == PRT_KEY_TRUSTED)
		return impossible(out, MSP_ESTATE, "the key is trusted already");
	if (!prt_key_event(&c->keys, key, verbs[verb].event, PRT_METHOD_MANUAL, now))
		return impossible(out, MSP_ESTATE, "a key that is %s cannot be %s", prt_key_state_name(key->state),
				  verbs[verb].rule);
	prt_child_realign(c, &before);
	out->is_changed = true;
	return prt_desk_key_entry(&k, asker, verbs[verb].rule, "", &before);
}

/* --- changes --------------------------------------------------------------------------------------------------------
 */

enum msp_err prt_pending_print(const struct prt_child *c, uint8_t print[PRT_HASH_LEN])
{
	struct msp_buf octets;
	struct msp_span all;
	enum msp_err err;

	if (c->pending.wait == PRT_WAIT_NONE)
		return MSP_ENOTFOUND;
	msp_buf_init(&octets, 2 * PRT_AUDIT_OCTETS_MAX);
	err = prt_delegation_write(&c->pending.wanted, &octets);
	all = msp_buf_span(&octets);
	if (err == MSP_OK)
		err = msp_sha256(&all, 1, print);
	msp_buf_fini(&octets);
	return err;
}

static enum msp_err approve(const struct prt_desk *k, bool force, const struct prt_asker *asker)
{
	struct prt_pending *p = &k->c->pending;
	const struct prt_asker by = prt_desk_about(asker, p);
	struct msp_why why = { "" };
	enum msp_err err;

	if (force)
		return prt_desk_accept(k, &p->wanted, &by, "approved, whatever the servers show", p->who);
	if (p->wait == PRT_WAIT_CHECKS)
		return impossible(k->out, MSP_ESTATE, "its servers are being looked at");
	if (prt_delegation_check(&p->wanted, &k->r->check.shape, &why) != MSP_OK)
		return impossible(k->out, MSP_ESTATE, "%s", why.text);
	err = prt_desk_entry(k, PRT_VERDICT_WAITS, &by, "approved", p->who, &k->c->registered, &p->wanted);
	if (err != MSP_OK)
		return err;
	prt_desk_on_word_of(p, &by);
	return prt_desk_go_on(k);
}

enum msp_err prt_desk_pending(const struct prt_rules *r, struct prt_child *c, bool is_approved, bool force,
			      const struct prt_asker *asker, struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { r, c, now, out };

	prt_desk_heal(&k);
	if (c->pending.wait == PRT_WAIT_NONE)
		return impossible(out, MSP_ENOTFOUND, "nothing waits");
	if (is_approved)
		return approve(&k, force, asker);
	return prt_desk_drop(&k, asker, "rejected", "rejected by an operator", true);
}

enum msp_err prt_desk_lock(struct prt_child *c, bool lock, const char *why, const struct prt_asker *asker,
			   struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { NULL, c, now, out };
	bool is_locked = (c->flags & PRT_CHILD_LOCKED) != 0;

	if (lock == is_locked)
		return impossible(out, MSP_ESTATE, "%s is %s", MSP_NAME(&c->name),
				  lock ? "locked already" : "not locked");
	c->flags ^= PRT_CHILD_LOCKED;
	prt_desk_text(c->lock_why, sizeof(c->lock_why), lock && why != NULL ? why : "");
	out->is_changed = true;
	return prt_desk_entry(&k, PRT_VERDICT_LOCK, asker, lock ? "lock" : "unlock", why, NULL, NULL);
}

enum msp_err prt_desk_set(const struct prt_rules *r, struct prt_child *c, const struct prt_delegation *wanted,
			  bool force, const struct prt_asker *asker, struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { r, c, now, out };
	struct msp_wall next = { now.s + PRT_LEASE_S };
	struct prt_delegation copy;
	struct msp_why why = { "" };
	enum msp_err err;

	prt_desk_heal(&k);
	if (!prt_desk_is_delegated(c))
		return impossible(out, MSP_ESTATE, "%s is not delegated", MSP_NAME(&c->name));
	if (!msp_name_equal(&wanted->child, &c->name) || prt_delegation_ns(wanted) == NULL)
		return impossible(out, MSP_ESTATE, "not a delegation of %s", MSP_NAME(&c->name));
	if (!force && prt_delegation_check(wanted, &r->check.shape, &why) != MSP_OK)
		return impossible(out, MSP_ESTATE, "%s", why.text);
	err = prt_delegation_dup(wanted, &copy);
	if (err != MSP_OK)
		return err;
	prt_desk_settle_ttl(r, c, &copy);
	if (prt_touches(&c->registered, &copy) == 0)
		err = prt_desk_drop(&k, asker, "set", "an operator wants what is registered", true);
	else if (force || r->no_checks)
		err = prt_desk_accept(&k, &copy, asker, force ? "set, whatever the servers show" : "set", "");
	else
		err = prt_desk_wait(&k, PRT_WAIT_CHECKS, &copy, asker, next, "set", "its servers are to be looked at");
	prt_delegation_clear(&copy);
	return err;
}

/* --- what would happen ---------------------------------------------------------------------------------------------
 */

static bool is_scan(enum prt_source s)
{
	return s == PRT_SRC_CDS || s == PRT_SRC_DSBOOT || s == PRT_SRC_CSYNC;
}

/* Why nobody can ask for this in that way at all; NULL: somebody can. */
static const char *cannot_be_said(const struct prt_rules *r, const struct prt_child *c, unsigned touch,
				  enum prt_source source)
{
	bool is_secure = prt_delegation_ds(&c->registered) != NULL;

	if (!prt_desk_is_delegated(c))
		return "the child is not delegated";
	if ((touch & ~prt_source_may_touch(source)) != 0)
		return source == PRT_SRC_CSYNC ? "CSYNC is about NS and glue alone" : "CDS is about DS alone";
	if (source == PRT_SRC_CDS && !is_secure)
		return "a child without DS asks for the first one: dsboot";
	if (source == PRT_SRC_DSBOOT && is_secure)
		return "there are DS already: cds";
	if (source == PRT_SRC_DSBOOT && r->dsboot == PRT_DSBOOT_NONE)
		return "the first DS is not taken from CDS here";
	if (source == PRT_SRC_CSYNC && !is_secure)
		return "CSYNC is followed in secure children alone";
	return NULL;
}

/* What waits on a stronger word is not displaced: an UPDATE is refused, a look comes again. */
static void give_way(const struct prt_child *c, enum prt_source source, struct prt_ruling *ruling)
{
	if (prt_desk_may_displace(c, source))
		return;
	*ruling = (struct prt_ruling){ .decision = is_scan(source) ? PRT_LATER : PRT_REFUSE,
				       .rule = "one change at a time" };
	(void)prt_refuse_std(&ruling->refusal, MSP_EDE_BLOCKED, ruling->rule, "another change waits");
}

/* A sender cannot wait: what a look would come back for it has to send again. */
static void answer(const struct prt_rules *r, struct prt_ruling *ruling)
{
	if (ruling->decision == PRT_CONFIRM)
		(void)prt_refuse_std(&ruling->refusal, MSP_EDE_NOT_READY, ruling->rule,
				     "deletion of all DS: asked again after %u s it is confirmed",
				     (unsigned)r->confirm_s);
	if (ruling->decision == PRT_CONFIRM || ruling->decision == PRT_LATER)
		ruling->decision = PRT_REFUSE;
}

/* TTLs are those that it would have: a look brings none, and that of DS is the parent's matter. */
static void settle_ttls(const struct prt_rules *r, const struct prt_child *c, enum prt_source source,
			struct prt_delegation *d)
{
	for (size_t i = 0; is_scan(source) && i < d->count; i++) {
		const struct msp_rrset *before = prt_delegation_get(&c->registered, &d->set[i]->owner, d->set[i]->type);

		if (before != NULL)
			d->set[i]->ttl = before->ttl;
	}
	prt_desk_settle_ttl(r, c, d);
}

static void try_settled(const struct prt_rules *r, const struct prt_child *c, const struct prt_delegation *wanted,
			enum prt_source source, struct msp_wall now, struct prt_trial *out)
{
	bool is_open = source == PRT_SRC_OPERATOR || (r->policy.sources & 1u << source) != 0;
	struct prt_ruling *ruling = &out->ruling;
	const char *why;

	out->touch = prt_touches(&c->registered, wanted);
	out->losses = prt_delegation_losses(&c->registered, wanted);
	out->may_touch = prt_source_may_touch(source);
	if (source != PRT_SRC_OPERATOR)
		out->may_touch &= is_open ? r->policy.touch : 0;
	out->shape = prt_delegation_check(wanted, &r->check.shape, &out->shape_why);
	out->is_checked = is_scan(source) || !r->no_checks;
	why = cannot_be_said(r, c, out->touch, source);
	if (why != NULL) {
		ruling->decision = PRT_REFUSE;
		ruling->rule = "cannot be asked for";
		(void)prt_refuse_std(&ruling->refusal, MSP_EDE_PROHIBITED, ruling->rule, "%s", why);
		return;
	}
	prt_desk_judge(r, c, wanted, source, prt_desk_is_confirmed(r, c, wanted, now), now, ruling);
	if (ruling->decision == PRT_REFUSE || out->touch == 0)
		return;
	give_way(c, source, ruling);
	if (source == PRT_SRC_DSBOOT && r->dsboot == PRT_DSBOOT_DELAY &&
	    (ruling->decision == PRT_ALLOW || ruling->decision == PRT_PROPOSE)) {
		ruling->decision = PRT_CONFIRM;
		ruling->rule = PRT_RULE_DELAY;
	}
	if (out->shape == MSP_OK && (source == PRT_SRC_UPDATE || source == PRT_SRC_TSIG))
		answer(r, ruling);
}

void prt_desk_try(const struct prt_rules *r, const struct prt_child *c, const struct prt_delegation *wanted,
		  enum prt_source source, struct msp_wall now, struct prt_trial *out)
{
	struct prt_delegation copy;

	memset(out, 0, sizeof(*out)); /* refused */
	out->ruling.rule = "none";
	out->shape = prt_delegation_dup(wanted, &copy);
	if (out->shape != MSP_OK) {
		(void)msp_fail(&out->ruling.refusal.why, out->shape, "%s", msp_err_text(out->shape));
		return;
	}
	settle_ttls(r, c, source, &copy);
	try_settled(r, c, &copy, source, now, out);
	prt_delegation_clear(&copy);
}
