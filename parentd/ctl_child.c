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

/* Through the books, then see to what follows. */
static enum msp_err give(struct prt_app *app, struct order *o, const struct prt_conf_parent *parent,
			 const struct msp_name *child, struct msp_put *answer, struct msp_why *why)
{
	struct prt_outcome out;
	enum msp_err err;

	prt_outcome_init(&out);
	o->rules = prt_settings_rules(app->settings, parent, child);
	err = prt_books_do_now(app->books, &parent->zone, child, carry_out, o, &out);
	if (err != MSP_OK || out.refusal.rcode != MSP_RCODE_NOERROR) {
		err = msp_fail(why, err != MSP_OK ? err : MSP_EREFUSED, "%s: %s", MSP_NAME(child),
			       out.refusal.why.text[0] != '\0' ? out.refusal.why.text : msp_err_text(err));
	} else {
		prt_app_count(app, &out);
		prt_follow_needs(app, child, out.need);
		if (out.need & PRT_NEED_PUBLISH)
			prt_backends_poke(app);
		if (answer != NULL) {
			msp_put_bool(answer, "changed", out.is_changed);
			msp_put_bool(answer, "waits_for_checks", (out.need & PRT_NEED_CHECK) != 0);
		}
	}
	prt_outcome_fini(&out);
	return err;
}

static enum msp_err answered(struct prt_app *app, struct order *o, const struct prt_conf_parent *parent,
			     const struct msp_name *child, json_t **data, struct msp_why *why)
{
	struct msp_put answer = msp_put_new(json_object());
	enum msp_err err = give(app, o, parent, child, &answer, why);

	if (err == MSP_OK)
		return msp_put_end(&answer, data);
	json_decref(answer.v);
	return err;
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

static enum msp_err judge(void *arg, const json_t *args, bool approve, json_t **data, struct msp_why *why)
{
	struct prt_app *app = arg;
	const struct prt_conf_parent *parent;
	const char *what = msp_json_str(args, "what");
	struct order o = { .decide = decide_pending, .approve = approve };
	struct msp_name child;
	enum msp_err err = prt_ctl_child(app, args, &child, &parent, why);

	if (err != MSP_OK)
		return err;
	prt_ctl_asker(args, &o.asker);
	err = read_how(args, &o.force, why);
	if (what != NULL && strlen(what) == PRT_DIGEST_DIGITS) {
		o.text = what;
	} else if (approve || (what != NULL && what[0] != '\0')) {
		o.decide = decide_key;
		o.verb = approve ? PRT_KEY_APPROVE : PRT_KEY_REJECT;
		if (err == MSP_OK)
			err = read_print(what != NULL ? what : "", o.print, why);
	}
	return err == MSP_OK ? answered(app, &o, parent, &child, data, why) : err;
}

enum msp_err prt_ctl_approve(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	return judge(arg, args, true, data, why);
}

enum msp_err prt_ctl_reject(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	return judge(arg, args, false, data, why);
}

enum msp_err prt_ctl_forget(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct prt_app *app = arg;
	const struct prt_conf_parent *parent;
	const char *what = msp_json_str(args, "what");
	struct order o = { .decide = decide_key, .verb = PRT_KEY_FORGET };
	struct msp_name child;
	enum msp_err err = prt_ctl_child(app, args, &child, &parent, why);

	if (err == MSP_OK)
		err = read_print(what != NULL ? what : "", o.print, why);
	prt_ctl_asker(args, &o.asker);
	return err == MSP_OK ? answered(app, &o, parent, &child, data, why) : err;
}

/* --- locks -------------------------------------------------------------------------------------------------------- */

static enum msp_err decide_lock(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	return prt_desk_lock(c, o->lock, o->text, &o->asker, now, out);
}

static enum msp_err set_lock(struct prt_app *app, const json_t *args, bool lock, json_t **data, struct msp_why *why)
{
	const struct prt_conf_parent *parent;
	const char *text = msp_json_str(args, "why");
	struct order o = { .decide = decide_lock, .lock = lock, .text = text != NULL ? text : "" };
	struct msp_name child;
	enum msp_err err = prt_ctl_child(app, args, &child, &parent, why);

	prt_ctl_asker(args, &o.asker);
	return err == MSP_OK ? answered(app, &o, parent, &child, data, why) : err;
}

enum msp_err prt_ctl_lock(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	return set_lock(arg, args, true, data, why);
}

enum msp_err prt_ctl_unlock(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	return set_lock(arg, args, false, data, why);
}

/* --- delegations -------------------------------------------------------------------------------------------------- */

/* A child that is there is changed through the gates, by `set`: nothing is overwritten by adding it once more. */
static enum msp_err decide_import(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	if (c->registered.count > 0)
		return msp_fail(&out->refusal.why, MSP_ESTATE, "it is there already: set its delegation");
	return prt_desk_imported(c, o->wanted, now, out);
}

static enum msp_err decide_set(struct order *o, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	return prt_desk_set(o->rules, c, o->wanted, o->force, &o->asker, now, out);
}

static enum msp_err with_records(struct prt_app *app, const json_t *args, struct order *o, json_t **data,
				 struct msp_why *why)
{
	const struct prt_conf_parent *parent = NULL;
	struct prt_delegation wanted;
	struct msp_name child;
	enum msp_err err = prt_ctl_child(app, args, &child, &parent, why);

	if (err == MSP_OK)
		err = prt_ctl_records(app, args, &parent->zone, &child, &wanted, why);
	if (err != MSP_OK)
		return err;
	o->wanted = &wanted;
	prt_ctl_asker(args, &o->asker);
	err = answered(app, o, parent, &child, data, why);
	prt_delegation_clear(&wanted);
	return err;
}

enum msp_err prt_ctl_add(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct order o = { .decide = decide_import, .may_make = true };

	return with_records(arg, args, &o, data, why);
}

enum msp_err prt_ctl_set(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct order o = { .decide = decide_set };
	enum msp_err err = read_how(args, &o.force, why);

	return err == MSP_OK ? with_records(arg, args, &o, data, why) : err;
}

enum msp_err prt_ctl_rollback(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct prt_app *app = arg;
	struct order o = { .decide = decide_set };
	const struct prt_conf_parent *parent;
	struct prt_delegation before;
	struct prt_audit a;
	uint64_t seq = 0;
	enum msp_err err = msp_arg_number(args, "seq", 0, INT64_MAX, &seq, why);

	if (err == MSP_OK)
		err = read_how(args, &o.force, why);
	if (err == MSP_OK)
		err = prt_ctl_audit_get(app, seq, &a, why);
	if (err != MSP_OK)
		return err;
	parent = prt_settings_parent(app->settings, &a.parent);
	if (parent == NULL || (a.verdict != PRT_VERDICT_ACCEPTED && a.verdict != PRT_VERDICT_IMPORTED))
		err = msp_fail(why, MSP_ESTATE, "record %llu did not change a delegation", (unsigned long long)seq);
	if (err == MSP_OK) {
		prt_delegation_init(&before, &a.parent, &a.child);
		err = prt_delegation_read(msp_buf_span(&a.before), &before);
	}
	if (err == MSP_OK) {
		o.wanted = &before;
		prt_ctl_asker(args, &o.asker);
		err = answered(app, &o, parent, &a.child, data, why);
		prt_delegation_clear(&before);
	}
	prt_audit_fini(&a);
	return err;
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

enum msp_err prt_ctl_scan(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct prt_app *app = arg;
	const struct prt_conf_parent *parent;
	struct prt_child c;
	enum msp_err err = prt_ctl_peek(app, args, &c, &parent, why);

	(void)data;
	if (err != MSP_OK)
		return err;
	err = prt_follow_scan(app, &c.name);
	prt_child_fini(&c);
	return err;
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
	bool is_good = t->shape == MSP_OK;

	msp_put_str(o, "decision", is_good ? decision_name(t->ruling.decision) : "refused");
	msp_put_str(o, "rule", is_good ? t->ruling.rule : "shape");
	if (!is_good)
		msp_put_str(o, "why", t->shape_why.text);
	else if (t->ruling.refusal.why.text[0] != '\0')
		msp_put_str(o, "why", t->ruling.refusal.why.text);
	if (t->ruling.not_before.s != 0)
		msp_put_int(o, "not_before", t->ruling.not_before.s);
	put_words(o, "touches", t->touch, touch, sizeof(touch) / sizeof(touch[0]));
	put_words(o, "loses", t->losses, loss, sizeof(loss) / sizeof(loss[0]));
}

enum msp_err prt_ctl_policy(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct prt_app *app = arg;
	const char *what = msp_json_str(args, "what");
	const struct prt_conf_parent *parent = NULL;
	struct prt_delegation wanted;
	struct prt_child c;
	struct prt_trial trial;
	struct msp_put o;
	enum prt_source source = PRT_SRC_UPDATE;
	enum msp_err err =
		what != NULL && strcmp(what, "test") == 0 ? MSP_OK : msp_fail(why, MSP_EVALUE, "policy test");

	if (err == MSP_OK)
		err = read_source(args, &source, why);
	if (err == MSP_OK)
		err = prt_ctl_peek(app, args, &c, &parent, why);
	if (err != MSP_OK)
		return err;
	err = prt_ctl_records(app, args, &parent->zone, &c.name, &wanted, why);
	if (err == MSP_OK) {
		const struct prt_rules *rules = prt_settings_rules(app->settings, parent, &c.name);

		prt_desk_try(rules, &c, &wanted, source, msp_wall_now(), &trial);
		o = msp_put_new(json_object());
		msp_put_str(&o, "policy", prt_settings_policy_name(app->settings, parent, &c.name));
		put_trial(&o, &trial);
		if (trial.ruling.decision != PRT_REFUSE && trial.shape == MSP_OK)
			msp_put_bool(&o, "servers_are_checked", !rules->no_checks);
		err = msp_put_end(&o, data);
		prt_delegation_clear(&wanted);
	}
	prt_child_fini(&c);
	return err;
}
