/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking: parents, children, keys, backends, what is published. */
#include "ctl.h"

#include "backend.h"
#include "publish.h"

#include <msproto/base/enc.h>
#include <msproto/wire/rdata.h>
#include <msproto/wire/text.h>

#include <string.h>

#define LOOKED_AT_MAX 4000 /* children gone through for one answer; no other command is served: then with `after` */
#define TEXT_MAX      (64u << 10)

/* --- pieces ------------------------------------------------------------------------------------------------------- */

static void put_json(struct msp_put *o, const char *key, enum msp_err err, json_t *v)
{
	struct msp_put part = { v, err };

	msp_put_part(o, key, &part);
}

static void put_delegation(struct msp_put *o, const char *key, const struct prt_delegation *d)
{
	json_t *v = NULL;
	enum msp_err err = prt_delegation_json(d, &v);

	put_json(o, key, err, v);
}

static void put_time(struct msp_put *o, const char *key, struct msp_wall t)
{
	if (t.s != 0)
		msp_put_int(o, key, t.s);
}

static void put_text(struct msp_put *o, const char *key, const char *text)
{
	if (text[0] != '\0')
		msp_put_str(o, key, text);
}

static void put_print(struct msp_put *o, struct msp_span rdata)
{
	uint8_t print[PRT_HASH_LEN];
	struct msp_buf hex;

	msp_buf_init(&hex, 4 * PRT_HASH_LEN);
	if (o->err == MSP_OK)
		o->err = prt_key_print(rdata, print);
	if (o->err == MSP_OK) {
		msp_hex_write(&hex, msp_span(print, sizeof(print)));
		msp_put_str(o, "fingerprint", msp_buf_text(&hex));
	}
	msp_buf_fini(&hex);
}

static void put_key(struct msp_put *list, const struct prt_child *c, size_t i, bool with_child)
{
	const struct prt_key *k = &c->keys.key[i];
	struct msp_span rdata = prt_key_rdata(k);
	struct msp_put one = msp_put_new(json_object());

	if (with_child)
		msp_put_name(&one, "child", &c->name);
	msp_put_int(&one, "tag", msp_key_tag(rdata));
	msp_put_str(&one, "algorithm", msp_alg_name(rdata.len > 3 ? rdata.ptr[3] : 0));
	msp_put_str(&one, "state", prt_key_state_name(k->state));
	msp_put_str(&one, "method", prt_method_name(k->method));
	put_time(&one, "since", k->since);
	put_time(&one, "used", k->used);
	if (prt_key_is_idle(k, msp_wall_now()))
		msp_put_int(&one, "unused_days", (int64_t)prt_key_unused_days(k, msp_wall_now()));
	if (k->attempts > 0)
		msp_put_int(&one, "attempts", k->attempts);
	if (c->boot[i].rounds > 0)
		msp_put_int(&one, "rounds", c->boot[i].rounds);
	put_time(&one, "next_look", c->boot[i].next);
	if (k->replaces)
		msp_put_bool(&one, "replaces", true);
	put_print(&one, rdata);
	msp_put_part(list, NULL, &one);
}

static void put_pending(struct msp_put *o, const struct prt_child *c)
{
	char digest[PRT_DIGEST_DIGITS + 1] = "";
	struct msp_put p;

	if (c->pending.wait == PRT_WAIT_NONE)
		return;
	p = msp_put_new(json_object());
	msp_put_str(&p, "waits_for", prt_wait_name(c->pending.wait));
	msp_put_str(&p, "source", prt_source_name(c->pending.source));
	msp_put_str(&p, "who", c->pending.who);
	put_text(&p, "why", c->pending.why);
	put_time(&p, "since", c->pending.since);
	put_time(&p, "next", c->pending.next);
	if (c->pending.tries > 0)
		msp_put_int(&p, "tries", c->pending.tries);
	put_delegation(&p, "wanted", &c->pending.wanted);
	if (p.err == MSP_OK)
		p.err = prt_ctl_digest(c, digest);
	msp_put_str(&p, "digest", digest);
	msp_put_part(o, "pending", &p);
}

/* --- children ----------------------------------------------------------------------------------------------------- */

static bool is_locked(const struct prt_child *c)
{
	return (c->flags & PRT_CHILD_LOCKED) != 0;
}

static bool is_gone(const struct prt_child *c)
{
	return (c->flags & PRT_CHILD_GONE) != 0;
}

static bool is_waiting(const struct prt_child *c)
{
	return c->pending.wait != PRT_WAIT_NONE;
}

static bool is_proposed(const struct prt_child *c)
{
	return c->pending.wait == PRT_WAIT_OPERATOR || prt_keyset_count(&c->keys, PRT_KEY_MANUAL) > 0;
}

static bool is_keyed(const struct prt_child *c)
{
	return c->keys.count > 0;
}

/* A key of it is (PROTOCOL G.6). */
static bool is_idle(const struct prt_child *c)
{
	struct msp_wall now = msp_wall_now();

	for (size_t i = 0; i < c->keys.count; i++)
		if (prt_key_is_idle(&c->keys.key[i], now))
			return true;
	return false;
}

static const struct {
	const char *word;
	bool (*is)(const struct prt_child *c);
} states[] = { { "locked", is_locked },     { "gone", is_gone },   { "waiting", is_waiting },
	       { "operator", is_proposed }, { "keyed", is_keyed }, { "unpublished", prt_child_is_unpublished },
	       { "idle", is_idle } };
#define STATES (sizeof(states) / sizeof(states[0]))

/* A walk over children that stops at enough rows, or after enough of them. */
struct walk {
	struct msp_put list;
	bool (*passes)(const struct prt_child *c);
	bool has_under, with_keys;
	int key_state; /* -1 = any */
	struct msp_name under, after, last;
	uint64_t limit, rows, looked;
	bool is_over; /* behind all that are below `under` */
};

static void put_child(struct walk *w, const struct prt_child *c)
{
	struct msp_put one = msp_put_new(json_object());
	const struct msp_rrset *ns = prt_delegation_ns(&c->registered), *ds = prt_delegation_ds(&c->registered);
	struct msp_put are = msp_put_new(json_array());

	msp_put_name(&one, "child", &c->name);
	for (size_t i = 0; i < STATES; i++)
		if (are.err == MSP_OK && states[i].is(c))
			are.err = msp_json_append(are.v, json_string(states[i].word));
	msp_put_part(&one, "states", &are);
	msp_put_int(&one, "ns", ns != NULL ? (int64_t)ns->count : 0);
	msp_put_int(&one, "ds", ds != NULL ? (int64_t)ds->count : 0);
	msp_put_int(&one, "keys", (int64_t)c->keys.count);
	msp_put_int(&one, "trusted", (int64_t)prt_keyset_count(&c->keys, PRT_KEY_TRUSTED));
	if (is_waiting(c))
		msp_put_str(&one, "waits_for", prt_wait_name(c->pending.wait));
	put_text(&one, "note", c->note);
	msp_put_part(&w->list, NULL, &one);
	w->rows++;
}

static void put_keys(struct walk *w, const struct prt_child *c)
{
	for (size_t i = 0; i < c->keys.count; i++) {
		if (w->key_state >= 0 && c->keys.key[i].state != (enum prt_key_state)w->key_state)
			continue;
		put_key(&w->list, c, i, true);
		w->rows++;
	}
}

static enum msp_err visit(void *arg, const struct prt_child *c)
{
	struct walk *w = arg;

	w->looked++;
	w->last = c->name;
	if (w->has_under && !msp_name_is_under(&c->name, &w->under)) { /* canonical order: they stand together */
		w->is_over = msp_name_cmp(&c->name, &w->under) > 0;
		return w->is_over ? MSP_ELIMIT : MSP_OK;
	}
	if (msp_name_equal(&c->name, &w->after))
		return MSP_OK;
	if (w->with_keys)
		put_keys(w, c);
	else if (w->passes == NULL || w->passes(c))
		put_child(w, c);
	return w->list.err != MSP_OK ? w->list.err : w->rows >= w->limit ? MSP_ELIMIT : MSP_OK;
}

static enum msp_err walk(struct prt_ctl_call *c, struct walk *w)
{
	const struct msp_name *from = NULL;
	struct msp_put answer;
	enum msp_err err = msp_arg_number(c->args, "limit", PRT_ROWS_MAX, PRT_ROWS_MAX, &w->limit, &c->why);

	if (err == MSP_OK && msp_json_str(c->args, "after") != NULL) {
		err = msp_arg_name(c->args, "after", &w->after, &c->why);
		from = &w->after;
	}
	if (err == MSP_OK && msp_json_str(c->args, "under") != NULL) {
		err = msp_arg_name(c->args, "under", &w->under, &c->why);
		w->has_under = true;
		from = from != NULL ? from : &w->under;
	}
	if (err != MSP_OK)
		return err;
	w->list = msp_put_new(json_array());
	err = prt_books_each(c->books, from, LOOKED_AT_MAX, visit, w);
	answer = msp_put_new(json_object());
	if (answer.err == MSP_OK && err != MSP_ELIMIT)
		answer.err = err;
	msp_put_part(&answer, "rows", &w->list);
	if (!w->is_over && (err == MSP_ELIMIT || w->looked >= LOOKED_AT_MAX))
		msp_put_name(&answer, "after", &w->last); /* there may be more */
	return msp_put_end(&answer, &c->data);
}

static enum msp_err children(struct prt_ctl_call *c)
{
	const char *state = msp_json_str(c->args, "state");
	struct walk w = { .key_state = -1 };

	for (size_t i = 0; state != NULL && i < STATES; i++)
		if (strcmp(states[i].word, state) == 0)
			w.passes = states[i].is;
	if (state != NULL && state[0] != '\0' && w.passes == NULL)
		return msp_fail(&c->why, MSP_EVALUE,
				"state: locked, gone, waiting, operator, keyed, unpublished, idle, not %.30s", state);
	return walk(c, &w);
}

enum msp_err prt_ctl_children(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, children, NULL, why);
}

static enum msp_err keys_of(struct prt_ctl_call *call)
{
	const struct prt_conf_parent *parent;
	struct walk w = { .key_state = -1, .with_keys = true };
	struct msp_put answer;
	struct prt_child c;
	enum msp_err err = prt_ctl_peek(call, &c, &parent);

	if (err != MSP_OK)
		return err;
	w.list = msp_put_new(json_array());
	put_keys(&w, &c);
	prt_child_fini(&c);
	answer = msp_put_new(json_object());
	msp_put_part(&answer, "rows", &w.list);
	return msp_put_end(&answer, &call->data);
}

static enum msp_err keys(struct prt_ctl_call *c)
{
	const char *child = msp_json_str(c->args, "child"), *state = msp_json_str(c->args, "state");
	struct walk w = { .with_keys = true, .key_state = -1 };

	if (child != NULL && child[0] != '\0')
		return keys_of(c);
	for (int s = 0; state != NULL && s < PRT_KEY__N; s++)
		if (strcasecmp(prt_key_state_name((enum prt_key_state)s), state) == 0)
			w.key_state = s;
	if (state != NULL && state[0] != '\0' && w.key_state < 0)
		return msp_fail(&c->why, MSP_EVALUE, "state: known, manual, trusted, failed, distrusted, not %.30s",
				state);
	return walk(c, &w);
}

enum msp_err prt_ctl_keys(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, keys, NULL, why);
}

static enum msp_err show(struct prt_ctl_call *call)
{
	const struct prt_conf_parent *parent = NULL;
	struct msp_put o, of_keys, scan;
	struct prt_child c;
	enum msp_err err = prt_ctl_peek(call, &c, &parent);

	if (err != MSP_OK)
		return err;
	o = msp_put_new(json_object());
	of_keys = msp_put_new(json_array());
	scan = msp_put_new(json_object());
	msp_put_name(&o, "child", &c.name);
	msp_put_name(&o, "parent", &parent->zone);
	msp_put_str(&o, "policy", prt_settings_policy_name(call->settings, parent, &c.name));
	msp_put_bool(&o, "locked", is_locked(&c));
	put_text(&o, "lock_why", c.lock_why);
	msp_put_bool(&o, "gone", is_gone(&c));
	msp_put_bool(&o, "published", !prt_child_is_unpublished(&c));
	put_delegation(&o, "delegation", &c.registered);
	if (prt_child_is_unpublished(&c))
		put_delegation(&o, "delegation_published", &c.published);
	for (size_t i = 0; i < c.keys.count; i++)
		put_key(&of_keys, &c, i, false);
	msp_put_part(&o, "keys", &of_keys);
	put_pending(&o, &c);
	put_time(&scan, "last", c.scan.last);
	put_time(&scan, "next", c.scan.next);
	msp_put_int(&scan, "failures", c.scan.failures);
	put_text(&scan, "result", c.scan.result);
	msp_put_part(&o, "scan", &scan);
	put_text(&o, "note", c.note);
	put_time(&o, "ds_ttl_back", c.ttl_back);
	put_time(&o, "due", prt_child_due(&c));
	msp_put_int(&o, "changes_today", (int64_t)c.change_count);
	msp_put_int(&o, "audit_seq", (int64_t)c.last_seq);
	prt_child_fini(&c);
	return msp_put_end(&o, &call->data);
}

enum msp_err prt_ctl_show(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, show, NULL, why);
}

/* --- parents, backends, records ----------------------------------------------------------------------------------- */

enum msp_err prt_ctl_parents(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	const struct prt_app *app = arg;
	struct msp_put list = msp_put_new(json_array());

	(void)args;
	(void)why;
	for (size_t i = 0; i < app->conf->parents.count; i++) {
		const struct prt_conf_parent *p = prt_conf_parent_at(app->conf, i);
		struct msp_put one = msp_put_new(json_object());

		msp_put_name(&one, "parent", &p->zone);
		msp_put_str(&one, "policy", prt_settings_policy_name(app->settings, p, &p->zone));
		msp_put_int(&one, "backends", (int64_t)p->backends.count);
		for (size_t n = 0; n < prt_importer_count(app->importer); n++) {
			struct prt_import_state s;

			prt_importer_state(app->importer, n, &s);
			if (!msp_name_equal(&s.parent->zone, &p->zone))
				continue;
			msp_put_int(&one, "children", (int64_t)s.children);
			if (s.has_serial)
				msp_put_int(&one, "serial", s.serial);
			msp_put_bool(&one, "being_read", s.is_busy);
			put_time(&one, "read_at", s.last_ok);
			put_text(&one, "error", s.last.text);
		}
		msp_put_part(&list, NULL, &one);
	}
	return msp_put_end(&list, data);
}

enum msp_err prt_ctl_backends(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct prt_app *app = arg;
	uint64_t last = prt_books_stats(app->books).last_seq;
	struct msp_put list = msp_put_new(json_array());

	(void)args;
	(void)why;
	prt_backends_poke(app); /* records that concern no backend are gone through when somebody looks */
	for (size_t i = 0; i < prt_backends_count(app->backends); i++) {
		struct prt_backend_state s;
		struct msp_put one = msp_put_new(json_object());

		prt_backends_state(app->backends, i, &s);
		msp_put_name(&one, "parent", &s.parent->zone);
		msp_put_str(&one, "backend", s.conf->name);
		msp_put_int(&one, "place", (int64_t)s.place);
		msp_put_int(&one, "behind", last > s.place ? (int64_t)(last - s.place) : 0);
		msp_put_bool(&one, "busy", s.is_busy);
		msp_put_bool(&one, "down", s.is_down);
		if (s.is_standby) /* another process does it */
			msp_put_bool(&one, "standby", true);
		msp_put_int(&one, "set_aside", (int64_t)s.left);
		put_text(&one, "error", s.last.text);
		put_time(&one, "last_ok", s.last_ok);
		put_time(&one, "next", s.next);
		msp_put_part(&list, NULL, &one);
	}
	return msp_put_end(&list, data);
}

static void put_records(const struct prt_app *app, const struct prt_conf_parent *parent, struct msp_put *list,
			const struct prt_records *r)
{
	struct msp_buf text;

	msp_buf_init(&text, TEXT_MAX);
	for (size_t i = 0; i < r->count; i++) {
		for (size_t k = 0; list->err == MSP_OK && k < r->set[i]->count; k++) {
			struct msp_rr rr = { .owner = r->set[i]->owner,
					     .type = r->set[i]->type,
					     .cls = MSP_CLASS_IN,
					     .ttl = r->set[i]->ttl,
					     .rdata = r->set[i]->rdata[k] };
			struct msp_put one = msp_put_new(json_object());

			msp_buf_reset(&text);
			msp_rr_print(&text, &app->conf->numbers, &rr);
			msp_put_str(&one, "record", msp_buf_text(&text));
			if (!prt_publisher_reaches(parent, &rr.owner))
				msp_put_bool(&one, "left_out", true);
			msp_put_part(list, NULL, &one);
		}
	}
	msp_buf_fini(&text);
}

enum msp_err prt_ctl_published(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct prt_app *app = arg;
	const char *text = msp_json_str(args, "parent");
	struct msp_put list = msp_put_new(json_array());
	struct msp_name zone = { 0 };

	if (text != NULL && text[0] != '\0' && list.err == MSP_OK)
		list.err = msp_arg_name(args, "parent", &zone, why);
	for (size_t i = 0; list.err == MSP_OK && i < app->conf->parents.count; i++) {
		const struct prt_conf_parent *p = prt_conf_parent_at(app->conf, i);
		struct prt_records r;

		if (msp_name_is_set(&zone) && !msp_name_equal(&zone, &p->zone))
			continue;
		list.err = prt_publisher_records(app, p, &r);
		if (list.err != MSP_OK)
			break;
		put_records(app, p, &list, &r);
		prt_records_fini(&r);
	}
	return msp_put_end(&list, data);
}
