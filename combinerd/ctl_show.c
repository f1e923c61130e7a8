/* SPDX-License-Identifier: BSD-2-Clause */
/* One zone: what is served and why, what agents have set, what is waited for; owner's beside served. */
#include "ctl.h"

#include "census.h"

#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#include <string.h>

#define TEXT_MAX (1u << 20)

/* --- records as text ---------------------------------------------------------------------------------------------- */

static void put_set(const struct cmb_app *app, struct msp_put *p, const char *key, const struct msp_rrset *set)
{
	struct msp_put list = msp_put_new(json_array());
	struct msp_buf text;

	msp_buf_init(&text, TEXT_MAX);
	for (size_t i = 0; list.err == MSP_OK && !cmb_rrset_empty(set) && i < set->count; i++) {
		struct msp_rr rr = { .owner = set->owner,
				     .type = set->type,
				     .cls = MSP_CLASS_IN,
				     .ttl = set->ttl,
				     .rdata = set->rdata[i] };

		msp_buf_reset(&text);
		msp_rr_print(&text, &app->conf->numbers, &rr);
		list.err = text.err == MSP_OK ? msp_json_append(list.v, json_string(msp_buf_text(&text))) : text.err;
	}
	msp_buf_fini(&text);
	msp_put_part(p, key, &list);
}

static void put_apex(const struct cmb_app *app, struct msp_put *p, const char *key, const struct cmb_apex *apex)
{
	struct msp_put sets = msp_put_new(json_object());

	if (apex->soa != NULL)
		put_set(app, &sets, "SOA", apex->soa);
	for (unsigned i = 0; i < CMB_SLOT__N; i++)
		if (!cmb_rrset_empty(apex->set[i]))
			put_set(app, &sets, MSP_TYPE(cmb_slot_type((enum cmb_slot)i)), apex->set[i]);
	msp_put_part(p, key, &sets);
}

/* --- who set what when: from the audit ---------------------------------------------------------------------------- */

/* The newest entry about each contribution: one that names its type, or else any of its originator. */
struct setter {
	struct msp_wall at;
	struct msp_name key;
	bool has, names_type;
};
struct setters {
	const struct cmb_contrib *contrib;
	struct setter *of; /* owned: one for each of contrib->entry */
};

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += len) {
		bool begins = at == text || strchr(" ,=:", at[-1]) != NULL;

		if (begins && (at[len] == '\0' || strchr(" ,=:", at[len]) != NULL))
			return true;
	}
	return false;
}

static enum msp_err note_setter(void *arg, const struct cmb_audit *a)
{
	struct setters *s = arg;

	for (size_t i = 0; i < s->contrib->count; i++) {
		const struct cmb_contrib_entry *e = &s->contrib->entry[i];
		bool names_type = has_word(a->what, MSP_TYPE(cmb_slot_type(e->slot)));

		if (!msp_name_is_set(&a->originator) || !msp_name_equal(&a->originator, &e->originator) ||
		    (s->of[i].names_type && !names_type))
			continue;
		s->of[i] = (struct setter){ a->at, a->key, true, names_type };
	}
	return MSP_OK;
}

static void put_contributions(const struct cmb_hosted *h, const struct cmb_contrib *c, struct msp_put *into)
{
	struct setters s = { .contrib = c };
	struct msp_put list = msp_put_new(json_array());

	if (c->count > 0) {
		s.of = msp_alloc(c->count, sizeof(*s.of));
		if (list.err == MSP_OK)
			list.err = s.of != NULL ? cmb_state_each_audit(h->app->store, &h->name, 0, note_setter, &s)
						: MSP_ENOMEM;
	}
	for (size_t i = 0; list.err == MSP_OK && i < c->count; i++) {
		struct msp_put one = msp_put_new(json_object());

		msp_put_str(&one, "originator", MSP_NAME(&c->entry[i].originator));
		msp_put_str(&one, "type", MSP_TYPE(c->entry[i].set->type));
		if (s.of[i].has) {
			msp_put_int(&one, "set_at", s.of[i].at.s);
			msp_put_str(&one, "set_by",
				    msp_name_is_set(&s.of[i].key) ? MSP_NAME(&s.of[i].key) : "operator");
		}
		put_set(h->app, &one, "records", c->entry[i].set);
		msp_put_part(&list, NULL, &one);
	}
	msp_free(s.of);
	msp_put_part(into, "contributions", &list);
}

/* --- a zone ------------------------------------------------------------------------------------------------------- */

static void put_waiting(const struct cmb_hosted *h, struct msp_put *o)
{
	struct msp_mono until;
	const char *what;

	if (!cmb_census_waits(h, &what, &until))
		return;
	msp_put_str(o, "waiting_for", what);
	msp_put_until(o, "waiting_s", until);
}

void cmb_ctl_summary(const struct cmb_hosted *h, struct msp_put *o)
{
	const char *trouble = cmb_hosted_trouble(h);

	msp_put_str(o, "zone", MSP_NAME(&h->name));
	msp_put_str(o, "state", trouble == NULL ? "serving" : trouble);
	if (h->has_head) {
		msp_put_int(o, "serial", h->head.out_serial);
		msp_put_int(o, "owner_serial", h->head.owner_serial);
		msp_put_int(o, "records", (int64_t)h->head.records);
	}
	msp_put_int(o, "instructions", h->kept != NULL ? (int64_t)h->kept->instructions : 0);
	if (h->is_frozen)
		msp_put_bool(o, "frozen", true);
	if (h->held != NULL)
		msp_put_bool(o, "held_back", true);
	put_waiting(h, o);
	if (h->trouble != NULL && h->trouble->why.text[0] != '\0') {
		msp_put_str(o, "last_error", h->trouble->why.text);
		msp_put_int(o, "last_error_at", h->trouble->at.s);
	}
}

static void put_policy(const struct cmb_zone *z, struct msp_put *o)
{
	static const char *const own[] = {
		[CMB_SIGN_ABSENT] = "not listed", [CMB_SIGN_YES] = "yes", [CMB_SIGN_NO] = "no"
	};

	msp_put_str(o, "identity", MSP_NAME(&z->rules.identity));
	msp_put_str(o, "sign", own[z->policy.own]);
	msp_put_str(o, "nsmgmt", z->policy.ns_agent ? "agent" : "owner");
	msp_put_bool(o, "pass_through", z->policy.pass_through);
	msp_put_bool(o, "ns_applied", z->policy.ns_applied);
}

static void put_remote(struct msp_put *o, const struct cmb_target *t)
{
	msp_put_str(o, "address", MSP_ADDR(&t->conf->addr));
	msp_put_str(o, "transport", t->conf->transport == MSP_TRANSPORT_TLS ? "tls" : "dns");
	msp_put_str(o, "tls", t->conf->tls);
	msp_put_name(o, "key", &t->conf->tsig_key);
	msp_put_name(o, "key_next", &t->conf->tsig_key_next);
}

static void put_refresh(const struct cmb_hosted *h, struct msp_put *o)
{
	const struct cmb_refresh *r = &h->refresh;
	struct msp_put list = msp_put_new(json_array());

	msp_put_str(o, "refresh_state", cmb_refresh_state_name(r->state));
	msp_put_str(o, "refresh", cmb_upstream_text(h));
	msp_put_until(o, "next_refresh_s", r->next);
	if (r->is_held)
		msp_put_until(o, "expires_s", r->expires);
	msp_put_int(o, "refresh_failures", r->failures);
	msp_put_int(o, "last_ok", h->last_ok.s);
	for (size_t i = 0; i < h->profile->primary_count; i++) {
		struct msp_put one = msp_put_new(json_object());

		put_remote(&one, &h->profile->primary[i]);
		msp_put_bool(&one, "in_use", i == r->primary);
		msp_put_part(&list, NULL, &one);
		if (i == r->primary)
			msp_put_str(o, "primary", MSP_ADDR(&h->profile->primary[i].conf->addr));
	}
	msp_put_part(o, "primaries", &list);
}

static void put_numbers(const struct cmb_hosted *h, struct msp_put *o)
{
	msp_put_int(o, "transfers_in", h->transfers_in);
	msp_put_int(o, "transfers_out", h->transfers_out);
	msp_put_int(o, "updates", h->updates);
	msp_put_int(o, "refusals", h->refusals);
	if (h->has_head) {
		msp_put_int(o, "octets", (int64_t)h->head.octets);
		msp_put_int(o, "expire_s", h->head.expire_s);
	}
}

static void put_notes(const struct cmb_hosted *h, struct msp_put *o)
{
	struct msp_put list = msp_put_new(json_array());

	for (unsigned i = 0; list.err == MSP_OK && i < CMB_NOTE__N; i++)
		if ((h->notes & CMB_NOTE_BIT(i)) != 0)
			list.err = msp_json_append(list.v, json_string(cmb_note_text((enum cmb_note)i)));
	msp_put_part(o, "notes", &list);
}

/* Signers that have not answered. */
struct untold {
	const struct cmb_target *signer;
	struct msp_put *one;
	bool is_untold;
};

static enum msp_err note_untold(void *arg, const struct cmb_target *signer, uint32_t serial, unsigned tries,
				const struct msp_why *last)
{
	struct untold *u = arg;

	if (!msp_addr_equal(&signer->conf->addr, &u->signer->conf->addr))
		return MSP_OK;
	u->is_untold = true;
	msp_put_int(u->one, "notified_serial", serial);
	msp_put_bool(u->one, "acknowledged", false);
	msp_put_int(u->one, "tries", tries);
	if (last != NULL && last->text[0] != '\0')
		msp_put_str(u->one, "last_error", last->text);
	return MSP_OK;
}

static void put_signers(const struct cmb_hosted *h, struct msp_put *o)
{
	struct msp_put list = msp_put_new(json_array());

	for (size_t i = 0; i < h->profile->signer_count; i++) {
		struct msp_put one = msp_put_new(json_object());
		struct untold u = { .signer = &h->profile->signer[i], .one = &one };

		put_remote(&one, u.signer);
		if (one.err == MSP_OK)
			one.err = cmb_notify_each(h, note_untold, &u);
		if (!u.is_untold && h->has_head) {
			msp_put_int(&one, "notified_serial", h->head.out_serial);
			msp_put_bool(&one, "acknowledged", true);
		}
		msp_put_part(&list, NULL, &one);
	}
	msp_put_part(o, "signers", &list);
}

static void put_held(const struct cmb_hosted *h, struct msp_put *o)
{
	struct msp_put held;

	if (h->held == NULL)
		return;
	held = msp_put_new(json_object());
	msp_put_int(&held, "owner_serial", cmb_apex_serial(&h->held->owner->apex));
	msp_put_int(&held, "records", (int64_t)h->held->owner->records);
	msp_put_int(&held, "records_served", h->has_head ? (int64_t)h->head.records : 0);
	msp_put_str(&held, "reason", h->trouble != NULL ? h->trouble->why.text : "a guard holds it back");
	msp_put_part(o, "held", &held);
}

static void put_loaded(const struct cmb_hosted *h, const struct cmb_zone *z, struct msp_put *o)
{
	put_policy(z, o);
	msp_put_int(o, "contributions_count", (int64_t)z->contrib.count);
	put_contributions(h, &z->contrib, o);
	if (z->owner != NULL) {
		msp_put_int(o, "pages", z->owner->pages);
		put_apex(h->app, o, "owner", &z->owner->apex);
	}
	if (z->has_served)
		put_apex(h->app, o, "served", &z->served);
}

enum msp_err cmb_ctl_show(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	const struct cmb_zone *z;
	struct msp_put o;
	enum msp_err err = cmb_ctl_zone(arg, args, &h, why);

	if (err != MSP_OK)
		return err;
	z = cmb_hosted_zone(h); /* first: when it cannot be loaded, the summary says why */
	o = msp_put_new(json_object());
	cmb_ctl_summary(h, &o);
	msp_put_bool(&o, "from_catalog", h->catalog != NULL);
	put_refresh(h, &o);
	put_numbers(h, &o);
	put_held(h, &o);
	put_notes(h, &o);
	put_signers(h, &o);
	if (z != NULL)
		put_loaded(h, z, &o);
	return msp_put_end(&o, data);
}

/* --- owner's beside served ---------------------------------------------------------------------------------------- */

static void put_contributed(const struct cmb_hosted *h, const struct cmb_contrib *c, enum cmb_slot slot,
			    struct msp_put *into)
{
	struct msp_put list = msp_put_new(json_array());

	for (size_t i = 0; i < c->count; i++) {
		struct msp_put one;

		if (c->entry[i].slot != slot)
			continue;
		one = msp_put_new(json_object());
		msp_put_str(&one, "originator", MSP_NAME(&c->entry[i].originator));
		put_set(h->app, &one, "records", c->entry[i].set);
		msp_put_part(&list, NULL, &one);
	}
	msp_put_part(into, "contributed", &list);
}

enum msp_err cmb_ctl_loaded(struct cmb_hosted *h, const struct cmb_zone **out, struct msp_why *why)
{
	*out = cmb_hosted_zone(h);
	if (*out != NULL)
		return MSP_OK;
	return msp_fail(why, MSP_ESTATE, "%.200s", h->trouble != NULL ? h->trouble->why.text : "cannot be loaded");
}

/* RRsets that are not the owner's any more, and those that somebody has contributed to. */
enum msp_err cmb_ctl_diff(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	const struct cmb_zone *z;
	struct msp_put list;
	enum msp_err err = cmb_ctl_zone(arg, args, &h, why);

	if (err != MSP_OK)
		return err;
	err = cmb_ctl_loaded(h, &z, why);
	if (err != MSP_OK)
		return err;
	if (z->owner == NULL || !z->has_served)
		return msp_fail(why, MSP_ESTATE, "not transferred yet");
	list = msp_put_new(json_array());
	for (unsigned i = 0; i < CMB_SLOT__N; i++) {
		const struct msp_rrset *before = z->owner->apex.set[i], *after = z->served.set[i];
		struct msp_put one;

		if (cmb_rrset_same(before, after))
			continue;
		one = msp_put_new(json_object());
		msp_put_str(&one, "type", MSP_TYPE(cmb_slot_type((enum cmb_slot)i)));
		put_set(h->app, &one, "owner", before);
		put_set(h->app, &one, "served", after);
		put_contributed(h, &z->contrib, (enum cmb_slot)i, &one);
		msp_put_part(&list, NULL, &one);
	}
	return msp_put_end(&list, data);
}
