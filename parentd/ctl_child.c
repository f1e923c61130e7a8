/* SPDX-License-Identifier: BSD-2-Clause */
/* What an operator may do to a child. Each order is a decision of the desk, in the books, in the audit trail. */
#include "ctl.h"

#include "backend.h"
#include "follow.h"

#include <msproto/base/enc.h>

#include <stdio.h>
#include <string.h>

/* One order: what it needs, and what the desk does with it. */
struct order {
	const struct prt_rules *rules;
	struct prt_asker asker;
	enum msp_err (*decide)(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out);
	bool may_make; /* the child need not exist */
	/* for some of them */
	enum prt_key_verb verb;
	uint8_t print[PRT_HASH_LEN];
	bool approve, force, lock;
	const char *text; /* why; of a change: the digest that it must have, NULL = whichever it is */
	const struct prt_delegation *wanted;
};

static enum msp_err carry_out(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	struct order *o = arg;

	if (!exists && !o->may_make) {
		(void)msp_fail(&out->refusal.why, MSP_ENOTFOUND, "no such child");
		return MSP_ENOTFOUND;
	}
	return o->decide(o, c, now, out);
}

/* Through the books. */
static enum msp_err give(struct prt_ctl_call *c, struct order *o, const struct prt_conf_parent *parent)
{
	const struct prt_refusal *no = &c->out.refusal;
	enum msp_err err;

	prt_ctl_asker(c->args, &o->asker);
	o->rules = prt_settings_rules(c->settings, parent, &c->child);
	err = prt_books_do_now(c->books, &parent->zone, &c->child, carry_out, o, &c->out);
	if (err == MSP_OK && no->rcode == MSP_RCODE_NOERROR)
		return MSP_OK;
	return msp_fail(&c->why, err != MSP_OK ? err : MSP_EREFUSED, "%s: %s", MSP_NAME(&c->child),
			no->why.text[0] != '\0' ? no->why.text : msp_err_text(err));
}

/* What follows from it. */
static enum msp_err given(struct prt_app *app, struct prt_ctl_call *c)
{
	struct msp_put answer = msp_put_new(json_object());

	prt_app_count(app, &c->out);
	prt_follow_needs(app, &c->child, c->out.need);
	if (c->out.is_changed) /* backends that have all children hear of what is true already, too */
		prt_backends_poke(app);
	msp_put_bool(&answer, "changed", c->out.is_changed);
	msp_put_bool(&answer, "waits_for_checks", (c->out.need & PRT_NEED_CHECK) != 0);
	return msp_put_end(&answer, &c->data);
}

static enum msp_err read_how(const json_t *args, bool *force, struct msp_why *why)
{
	const char *how = msp_json_str(args, "how");

	*force = how != NULL && strcmp(how, "force") == 0;
	return how == NULL || how[0] == '\0' || *force ? MSP_OK : msp_fail(why, MSP_EVALUE, "force, not %.30s", how);
}

/* --- keys and changes that wait ----------------------------------------------------------------------------------- */

static enum msp_err decide_key(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	return prt_desk_key(o->rules, c, o->verb, o->print, &o->asker, now, out);
}

static enum msp_err decide_pending(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	char digest[PRT_DIGEST_DIGITS + 1] = "";
	enum msp_err err = MSP_OK;

	if (o->text != NULL && c->pending.wait != PRT_WAIT_NONE)
		err = prt_ctl_digest(c, digest);
	if (err == MSP_OK && o->text != NULL && !msp_span_equal(msp_span_str(digest), msp_span_str(o->text)))
		err = msp_fail(&out->refusal.why, MSP_ESTATE,
			       "no change with the digest %.16s waits: it may be another one now", o->text);
	return err != MSP_OK ? err : prt_desk_pending(o->rules, c, o->approve, o->force, &o->asker, now, out);
}

/* A fingerprint is SHA-256 in hex; colons as people write them are left out. */
static enum msp_err read_print(const char *what, uint8_t print[PRT_HASH_LEN], struct msp_why *why)
{
	char hex[2 * PRT_HASH_LEN + 1];
	size_t n = 0;
	struct msp_buf b;
	enum msp_err err;

	for (; *what != '\0' && n < sizeof(hex); what++)
		if (*what != ':')
			hex[n++] = *what;
	if (n != 2 * PRT_HASH_LEN)
		return msp_fail(
			why, MSP_EVALUE,
			"a key's fingerprint: 64 hexadecimal digits; or the digest of the change that waits: 16");
	hex[n] = '\0';
	msp_buf_init(&b, PRT_HASH_LEN);
	err = msp_hex_parse(msp_span_str(hex), &b);
	if (err == MSP_OK && b.len == PRT_HASH_LEN)
		memcpy(print, b.ptr, PRT_HASH_LEN);
	else
		err = msp_fail(why, MSP_EVALUE, "not hexadecimal");
	msp_buf_fini(&b);
	return err;
}

static enum msp_err judge(struct prt_ctl_call *c, bool approve)
{
	const struct prt_conf_parent *parent;
	const char *what = msp_json_str(c->args, "what");
	struct order o = { .decide = decide_pending, .approve = approve };
	enum msp_err err = prt_ctl_child(c, &parent);

	if (err != MSP_OK)
		return err;
	err = read_how(c->args, &o.force, &c->why);
	if (what != NULL && strlen(what) == PRT_DIGEST_DIGITS) {
		o.text = what;
	} else if (approve || (what != NULL && what[0] != '\0')) {
		o.decide = decide_key;
		o.verb = approve ? PRT_KEY_APPROVE : PRT_KEY_REJECT;
		if (err == MSP_OK)
			err = read_print(what != NULL ? what : "", o.print, &c->why);
	}
	return err == MSP_OK ? give(c, &o, parent) : err;
}

static enum msp_err approve(struct prt_ctl_call *c)
{
	return judge(c, true);
}

static enum msp_err reject(struct prt_ctl_call *c)
{
	return judge(c, false);
}

static enum msp_err forget(struct prt_ctl_call *c)
{
	const struct prt_conf_parent *parent;
	const char *what = msp_json_str(c->args, "what");
	struct order o = { .decide = decide_key, .verb = PRT_KEY_FORGET };
	enum msp_err err = prt_ctl_child(c, &parent);

	if (err == MSP_OK)
		err = read_print(what != NULL ? what : "", o.print, &c->why);
	return err == MSP_OK ? give(c, &o, parent) : err;
}

enum msp_err prt_ctl_approve(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, approve, given, why);
}

enum msp_err prt_ctl_reject(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, reject, given, why);
}

enum msp_err prt_ctl_forget(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, forget, given, why);
}

/* --- locks -------------------------------------------------------------------------------------------------------- */

static enum msp_err decide_lock(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	return prt_desk_lock(c, o->lock, o->text, &o->asker, now, out);
}

static enum msp_err set_lock(struct prt_ctl_call *c, bool is_on)
{
	const struct prt_conf_parent *parent;
	const char *text = msp_json_str(c->args, "why");
	struct order o = { .decide = decide_lock, .lock = is_on, .text = text != NULL ? text : "" };
	enum msp_err err = prt_ctl_child(c, &parent);

	return err == MSP_OK ? give(c, &o, parent) : err;
}

static enum msp_err lock(struct prt_ctl_call *c)
{
	return set_lock(c, true);
}

static enum msp_err unlock(struct prt_ctl_call *c)
{
	return set_lock(c, false);
}

enum msp_err prt_ctl_lock(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, lock, given, why);
}

enum msp_err prt_ctl_unlock(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, unlock, given, why);
}

/* --- delegations -------------------------------------------------------------------------------------------------- */

/* A child that is there is changed through the gates, by `set`: nothing is overwritten by adding it once more. */
static enum msp_err decide_import(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	if (c->registered.count > 0)
		return msp_fail(&out->refusal.why, MSP_ESTATE, "it is there already: set its delegation");
	return prt_desk_added(c, o->wanted, &o->asker, now, out);
}

static enum msp_err decide_set(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	return prt_desk_set(o->rules, c, o->wanted, o->force, &o->asker, now, out);
}

static enum msp_err with_records(struct prt_ctl_call *c, struct order *o)
{
	const struct prt_conf_parent *parent = NULL;
	struct prt_delegation wanted;
	enum msp_err err = prt_ctl_child(c, &parent);

	if (err == MSP_OK)
		err = prt_ctl_records(c, &parent->zone, &wanted);
	if (err != MSP_OK)
		return err;
	o->wanted = &wanted;
	err = give(c, o, parent);
	prt_delegation_clear(&wanted);
	return err;
}

static enum msp_err add(struct prt_ctl_call *c)
{
	struct order o = { .decide = decide_import, .may_make = true };

	return with_records(c, &o);
}

static enum msp_err set(struct prt_ctl_call *c)
{
	struct order o = { .decide = decide_set };
	enum msp_err err = read_how(c->args, &o.force, &c->why);

	return err == MSP_OK ? with_records(c, &o) : err;
}

static enum msp_err roll_back(struct prt_ctl_call *c)
{
	struct order o = { .decide = decide_set };
	const struct prt_conf_parent *parent;
	struct prt_delegation before;
	struct prt_audit a;
	uint64_t seq = 0;
	enum msp_err err = msp_arg_number(c->args, "seq", 0, INT64_MAX, &seq, &c->why);

	if (err == MSP_OK)
		err = read_how(c->args, &o.force, &c->why);
	if (err == MSP_OK)
		err = prt_ctl_audit_get(c, seq, &a);
	if (err != MSP_OK)
		return err;
	c->child = a.child;
	parent = prt_settings_parent(c->settings, &a.parent);
	if (parent == NULL || (a.verdict != PRT_VERDICT_ACCEPTED && a.verdict != PRT_VERDICT_IMPORTED))
		err = msp_fail(&c->why, MSP_ESTATE, "record %llu did not change a delegation", (unsigned long long)seq);
	if (err == MSP_OK) {
		prt_delegation_init(&before, &a.parent, &a.child);
		err = prt_delegation_read(msp_buf_span(&a.before), &before);
	}
	if (err == MSP_OK) {
		o.wanted = &before;
		err = give(c, &o, parent);
		prt_delegation_clear(&before);
	}
	prt_audit_fini(&a);
	return err;
}

enum msp_err prt_ctl_add(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, add, given, why);
}

enum msp_err prt_ctl_set(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, set, given, why);
}

enum msp_err prt_ctl_rollback(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, roll_back, given, why);
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

static enum msp_err is_there(struct prt_ctl_call *c)
{
	const struct prt_conf_parent *parent;
	struct prt_child child;
	enum msp_err err = prt_ctl_peek(c, &child, &parent);

	if (err == MSP_OK)
		prt_child_fini(&child);
	return err;
}

static enum msp_err scan(struct prt_app *app, struct prt_ctl_call *c)
{
	return prt_follow_scan(app, &c->child);
}

enum msp_err prt_ctl_scan(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, is_there, scan, why);
}

enum msp_err prt_ctl_import(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct prt_app *app = arg;
	const char *text = msp_json_str(args, "parent");
	bool force = false, any = false;
	struct msp_name zone = { 0 };
	enum msp_err err = read_how(args, &force, why);

	(void)data;
	if (err == MSP_OK && text != NULL && text[0] != '\0')
		err = msp_arg_name(args, "parent", &zone, why);
	for (size_t i = 0; err == MSP_OK && i < app->conf->parents.count; i++) {
		const struct prt_conf_parent *p = prt_conf_parent_at(app->conf, i);

		if (!msp_name_is_set(&zone) || msp_name_equal(&zone, &p->zone))
			any = prt_importer_start(app, &p->zone, force) || any;
	}
	if (err == MSP_OK && !any)
		err = msp_fail(why, MSP_ENOTFOUND, "no parent zone with a primary by that name");
	return err;
}

/* --- policy test -------------------------------------------------------------------------------------------------- */

static const char *decision_name(enum prt_decision d)
{
	switch (d) {
	case PRT_ALLOW:
		return "allowed";
	case PRT_PROPOSE:
		return "waits for an operator";
	case PRT_CONFIRM:
		return "waits for a second look";
	case PRT_LATER:
		return "later";
	case PRT_REFUSE:
		break;
	}
	return "refused";
}

static void put_words(struct msp_put *o, const char *key, unsigned bits, const char *const *words, size_t count)
{
	struct msp_put list = msp_put_new(json_array());

	for (size_t i = 0; i < count; i++)
		if (list.err == MSP_OK && (bits & 1u << i) != 0)
			list.err = msp_json_append(list.v, json_string(words[i]));
	msp_put_part(o, key, &list);
}

static enum msp_err read_source(const json_t *args, enum prt_source *out, struct msp_why *why)
{
	const char *text = msp_json_str(args, "source");

	for (unsigned s = 0; text != NULL && s < PRT_SRC__N; s++) {
		if (strcmp(prt_source_name((enum prt_source)s), text) == 0) {
			*out = (enum prt_source)s;
			return MSP_OK;
		}
	}
	return msp_fail(why, MSP_EVALUE, "source: update, tsig, cds, dsboot, csync or operator");
}

static void put_trial(struct msp_put *o, const struct prt_trial *t)
{
	static const char *const touch[] = { "ns", "ds", "glue", "key" };
	static const char *const loss[] = { "a name server", "all name servers", "glue", "a DS", "the last DS" };
	bool is_good = t->shape == MSP_OK || t->ruling.decision == PRT_REFUSE; /* the first word against it counts */

	msp_put_str(o, "decision", is_good ? decision_name(t->ruling.decision) : "refused");
	msp_put_str(o, "rule", is_good ? t->ruling.rule : "shape");
	if (!is_good)
		msp_put_str(o, "why", t->shape_why.text);
	else if (t->ruling.refusal.why.text[0] != '\0')
		msp_put_str(o, "why", t->ruling.refusal.why.text);
	if (t->ruling.not_before.s != 0)
		msp_put_int(o, "not_before", t->ruling.not_before.s);
	put_words(o, "touches", t->touch, touch, sizeof(touch) / sizeof(touch[0]));
	put_words(o, "may_touch", t->may_touch, touch, sizeof(touch) / sizeof(touch[0]));
	put_words(o, "loses", t->losses, loss, sizeof(loss) / sizeof(loss[0]));
}

static enum msp_err try_policy(struct prt_ctl_call *call)
{
	const char *what = msp_json_str(call->args, "what");
	const struct prt_conf_parent *parent = NULL;
	struct prt_delegation wanted;
	struct prt_child c;
	struct prt_trial trial;
	struct msp_put o;
	enum prt_source source = PRT_SRC_UPDATE;
	enum msp_err err =
		what != NULL && strcmp(what, "test") == 0 ? MSP_OK : msp_fail(&call->why, MSP_EVALUE, "policy test");

	if (err == MSP_OK)
		err = read_source(call->args, &source, &call->why);
	if (err == MSP_OK)
		err = prt_ctl_peek(call, &c, &parent);
	if (err != MSP_OK)
		return err;
	err = prt_ctl_records(call, &parent->zone, &wanted);
	if (err == MSP_OK) {
		const struct prt_rules *rules = prt_settings_rules(call->settings, parent, &c.name);

		prt_desk_try(rules, &c, &wanted, source, msp_wall_now(), &trial);
		o = msp_put_new(json_object());
		msp_put_str(&o, "policy", prt_settings_policy_name(call->settings, parent, &c.name));
		put_trial(&o, &trial);
		if (trial.ruling.decision != PRT_REFUSE && trial.shape == MSP_OK)
			msp_put_bool(&o, "servers_are_checked", trial.is_checked);
		err = msp_put_end(&o, &call->data);
		prt_delegation_clear(&wanted);
	}
	prt_child_fini(&c);
	return err;
}

enum msp_err prt_ctl_policy(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, try_policy, NULL, why);
}
