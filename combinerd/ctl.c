/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands for msctl: what is served, why, and what agents have set. */
#include "shell.h"

#include <msproto/wire/text.h>

#include <string.h>

#define TEXT_MAX (1u << 20)

static enum msp_err find_zone(struct cmb_app *app, const json_t *args, struct cmb_hosted **out, struct msp_why *why)
{
	const char *text = msp_json_str(args, "zone");
	struct msp_name name;

	if (text == NULL)
		return msp_fail(why, MSP_EVALUE, "which zone?");
	if (msp_name_from_text(text, &name) != MSP_OK)
		return msp_fail(why, MSP_ENAME, "not a domain name: %.100s", text);
	*out = cmb_shell_find(app, &name);
	return *out != NULL ? MSP_OK : msp_fail(why, MSP_ENOTFOUND, "zone %s is not configured", MSP_NAME(&name));
}

/* --- records as text
 * ----------------------------------------------------------------------------------------------------- */

static enum msp_err set_json(const struct cmb_app *app, const struct msp_rrset *set, json_t **out)
{
	json_t *list = json_array();
	struct msp_buf text;
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;

	msp_buf_init(&text, TEXT_MAX);
	for (size_t i = 0; err == MSP_OK && !cmb_rrset_empty(set) && i < set->count; i++) {
		struct msp_rr rr = { .owner = set->owner,
				     .type = set->type,
				     .cls = MSP_CLASS_IN,
				     .ttl = set->ttl,
				     .rdata = set->rdata[i] };

		msp_buf_reset(&text);
		msp_rr_print(&text, &app->conf.numbers, &rr);
		err = text.err == MSP_OK ? msp_json_append(list, json_string(msp_buf_text(&text))) : text.err;
	}
	msp_buf_fini(&text);
	if (err != MSP_OK) {
		json_decref(list);
		list = NULL;
	}
	*out = list;
	return err;
}

static enum msp_err put_set(const struct cmb_app *app, json_t *obj, const char *key, const struct msp_rrset *set)
{
	json_t *list = NULL;
	enum msp_err err = set_json(app, set, &list);

	return err == MSP_OK ? msp_json_set(obj, key, list) : err;
}

static enum msp_err contributions(const struct cmb_app *app, const struct cmb_contrib *c, json_t *into)
{
	json_t *list = json_array();
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;

	for (size_t i = 0; err == MSP_OK && i < c->count; i++) {
		json_t *one = json_object();

		err = msp_json_set_str(one, "originator", MSP_NAME(&c->entry[i].originator));
		if (err == MSP_OK)
			err = msp_json_set_str(one, "type", MSP_TYPE(c->entry[i].set->type));
		if (err == MSP_OK)
			err = put_set(app, one, "records", c->entry[i].set);
		if (err == MSP_OK)
			err = msp_json_append(list, one);
		else
			json_decref(one);
	}
	if (err != MSP_OK) {
		json_decref(list);
		return err;
	}
	return msp_json_set(into, "contributions", list);
}

static enum msp_err notes(const struct cmb_zone *z, json_t *into)
{
	json_t *list = json_array();
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;

	for (unsigned i = 0; err == MSP_OK && i < CMB_NOTE__N; i++)
		if ((z->notes & CMB_NOTE_BIT(i)) != 0)
			err = msp_json_append(list, json_string(cmb_note_text((enum cmb_note)i)));
	if (err != MSP_OK) {
		json_decref(list);
		return err;
	}
	return msp_json_set(into, "notes", list);
}

static enum msp_err signers(const struct cmb_hosted *h, json_t *into)
{
	json_t *list = json_array();
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;

	for (size_t i = 0; err == MSP_OK && i < h->notify_count; i++) {
		const struct cmb_notify *n = &h->notify[i];
		json_t *one = json_object();

		err = msp_json_set_str(one, "address", MSP_ADDR(&n->to->addr));
		if (err == MSP_OK)
			err = msp_json_set_int(one, "notified_serial", n->serial);
		if (err == MSP_OK)
			err = msp_json_set_bool(one, "acknowledged", n->acked);
		if (err == MSP_OK)
			err = msp_json_set_int(one, "tries", n->tries);
		if (err == MSP_OK && n->last.text[0] != '\0')
			err = msp_json_set_str(one, "last_error", n->last.text);
		if (err == MSP_OK)
			err = msp_json_append(list, one);
		else
			json_decref(one);
	}
	if (err != MSP_OK) {
		json_decref(list);
		return err;
	}
	return msp_json_set(into, "signers", list);
}

/* --- a zone
 * ---------------------------------------------------------------------------------------------------------------- */

static enum msp_err summary(const struct cmb_hosted *h, json_t *o)
{
	const struct cmb_zone *z = &h->zone;
	const char *trouble = cmb_hosted_trouble(h);
	enum msp_err err = msp_json_set_str(o, "zone", MSP_NAME(&h->conf->name));

	if (err == MSP_OK)
		err = msp_json_set_str(o, "state", trouble == NULL ? "serving" : trouble);
	if (err == MSP_OK && z->serials.has_out)
		err = msp_json_set_int(o, "serial", z->serials.last_out);
	if (err == MSP_OK && z->serials.has_owner)
		err = msp_json_set_int(o, "owner_serial", z->serials.last_owner);
	if (err == MSP_OK && z->owner != NULL)
		err = msp_json_set_int(o, "records", (int64_t)z->owner->records);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "contributions_count", (int64_t)z->contrib.count);
	if (err == MSP_OK && h->last_error.text[0] != '\0')
		err = msp_json_set_str(o, "last_error", h->last_error.text);
	return err;
}

static enum msp_err policy(const struct cmb_zone *z, json_t *o)
{
	static const char *const own[] = {
		[CMB_SIGN_ABSENT] = "not listed", [CMB_SIGN_YES] = "yes", [CMB_SIGN_NO] = "no"
	};
	enum msp_err err = msp_json_set_str(o, "identity", MSP_NAME(&z->rules.identity));

	if (err == MSP_OK)
		err = msp_json_set_str(o, "sign", own[z->policy.own]);
	if (err == MSP_OK)
		err = msp_json_set_str(o, "nsmgmt", z->policy.ns_agent ? "agent" : "owner");
	if (err == MSP_OK)
		err = msp_json_set_bool(o, "pass_through", z->policy.pass_through);
	if (err == MSP_OK)
		err = msp_json_set_bool(o, "ns_applied", z->policy.ns_applied);
	return err;
}

static enum msp_err refresh(const struct cmb_hosted *h, json_t *o)
{
	const struct cmb_refresh *r = &h->refresh;
	struct msp_mono now = msp_mono_now();
	enum msp_err err = msp_json_set_str(o, "refresh_state", cmb_refresh_state_name(r->state));

	if (err == MSP_OK && r->next.ms != INT64_MAX)
		err = msp_json_set_int(o, "next_refresh_s", msp_mono_until_ms(now, r->next) / 1000);
	if (err == MSP_OK && r->is_held)
		err = msp_json_set_int(o, "expires_s", msp_mono_until_ms(now, r->expires) / 1000);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "refresh_failures", r->failures);
	if (err == MSP_OK)
		err = msp_json_set_str(o, "primary",
				       MSP_ADDR(&cmb_conf_remote_at(&h->conf->primaries, r->primary)->addr));
	if (err == MSP_OK)
		err = msp_json_set_int(o, "last_ok", h->last_ok.s);
	return err;
}

static enum msp_err numbers(const struct cmb_hosted *h, json_t *o)
{
	const struct cmb_zone *z = &h->zone;
	enum msp_err err = msp_json_set_int(o, "transfers_in", (int64_t)h->transfers_in);

	if (err == MSP_OK)
		err = msp_json_set_int(o, "transfers_out", (int64_t)h->transfers_out);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "updates", (int64_t)h->updates);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "refusals", (int64_t)h->refusals);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "history_versions", (int64_t)z->journal_count);
	if (err == MSP_OK && z->owner != NULL)
		err = msp_json_set_int(o, "pages", z->owner->pages);
	if (err == MSP_OK && z->owner != NULL)
		err = msp_json_set_int(o, "octets", (int64_t)z->owner->octets);
	return err;
}

static enum msp_err served(const struct cmb_hosted *h, json_t *o)
{
	const struct cmb_zone *z = &h->zone;
	json_t *sets = json_object();
	enum msp_err err = sets != NULL ? MSP_OK : MSP_ENOMEM;

	if (err == MSP_OK && z->has_served)
		err = put_set(h->app, sets, "SOA", z->served.soa);
	for (unsigned i = 0; err == MSP_OK && z->has_served && i < CMB_SLOT__N; i++)
		if (!cmb_rrset_empty(z->served.set[i]))
			err = put_set(h->app, sets, MSP_TYPE(cmb_slot_type((enum cmb_slot)i)), z->served.set[i]);
	if (err != MSP_OK) {
		json_decref(sets);
		return err;
	}
	return msp_json_set(o, "served", sets);
}

static enum msp_err zone_show(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	json_t *o;
	enum msp_err err = find_zone(arg, args, &h, why);

	if (err != MSP_OK)
		return err;
	o = json_object();
	err = o != NULL ? summary(h, o) : MSP_ENOMEM;
	if (err == MSP_OK)
		err = policy(&h->zone, o);
	if (err == MSP_OK)
		err = refresh(h, o);
	if (err == MSP_OK)
		err = numbers(h, o);
	if (err == MSP_OK)
		err = notes(&h->zone, o);
	if (err == MSP_OK)
		err = signers(h, o);
	if (err == MSP_OK)
		err = contributions(h->app, &h->zone.contrib, o);
	if (err == MSP_OK)
		err = served(h, o);
	if (err != MSP_OK)
		json_decref(o);
	else
		*data = o;
	return err;
}

static enum msp_err zone_list(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_app *app = arg;
	json_t *list = json_array();
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;

	(void)args;
	(void)why;
	for (size_t i = 0; err == MSP_OK && i < app->hosted_count; i++) {
		json_t *o = json_object();

		err = o != NULL ? summary(&app->hosted[i], o) : MSP_ENOMEM;
		if (err == MSP_OK)
			err = msp_json_append(list, o);
		else
			json_decref(o);
	}
	if (err != MSP_OK)
		json_decref(list);
	else
		*data = list;
	return err;
}

/* Owner's RRsets beside those served, where they differ. */
static enum msp_err zone_diff(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	json_t *list;
	enum msp_err err = find_zone(arg, args, &h, why);

	if (err != MSP_OK)
		return err;
	if (h->zone.owner == NULL || !h->zone.has_served)
		return msp_fail(why, MSP_ESTATE, "not transferred yet");
	list = json_array();
	err = list != NULL ? MSP_OK : MSP_ENOMEM;
	for (unsigned i = 0; err == MSP_OK && i < CMB_SLOT__N; i++) {
		const struct msp_rrset *before = h->zone.owner->apex.set[i], *after = h->zone.served.set[i];
		json_t *o;

		if (cmb_rrset_same(before, after))
			continue;
		o = json_object();
		err = msp_json_set_str(o, "type", MSP_TYPE(cmb_slot_type((enum cmb_slot)i)));
		if (err == MSP_OK)
			err = put_set(h->app, o, "owner", before);
		if (err == MSP_OK)
			err = put_set(h->app, o, "served", after);
		if (err == MSP_OK)
			err = msp_json_append(list, o);
		else
			json_decref(o);
	}
	if (err != MSP_OK)
		json_decref(list);
	else
		*data = list;
	return err;
}

static enum msp_err retransfer(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	enum msp_err err = find_zone(arg, args, &h, why);

	(void)data;
	if (err != MSP_OK)
		return err;
	msp_log(h->app->log, MSP_LOG_NOTICE, "retransfer", MSP_F_STR("zone", MSP_NAME(&h->conf->name)),
		MSP_F_STR("cause", "operator"));
	cmb_upstream_event(h, CMB_REV_FORCE);
	return MSP_OK;
}

static enum msp_err status(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_app *app = arg;
	struct msp_server_stats sum = { 0 };
	size_t serving = 0;
	json_t *o = json_object();
	enum msp_err err = o != NULL ? msp_json_set_str(o, "daemon", "combinerd") : MSP_ENOMEM;

	(void)args;
	(void)why;
	for (size_t i = 0; i < app->hosted_count; i++)
		serving += cmb_hosted_trouble(&app->hosted[i]) == NULL;
	for (size_t i = 0; i < app->server_count; i++) {
		struct msp_server_stats s = msp_server_stats(app->server[i]);

		sum.udp_in += s.udp_in;
		sum.tcp_in += s.tcp_in;
		sum.replies += s.replies;
	}
	if (err == MSP_OK)
		err = msp_json_set_int(o, "uptime_s", msp_wall_now().s - app->started.s);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "zones", (int64_t)app->hosted_count);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "zones_serving", (int64_t)serving);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "transfers_out_now", (int64_t)app->stream_count);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "udp_in", (int64_t)sum.udp_in);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "tcp_in", (int64_t)sum.tcp_in);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "replies", (int64_t)sum.replies);
	if (err != MSP_OK)
		json_decref(o);
	else
		*data = o;
	return err;
}

const struct msp_command cmb_commands[] = {
	{ "status", status, "", "State of the daemon" },
	{ "zone list", zone_list, "", "Zones with serials and states" },
	{ "zone show", zone_show, "ZONE", "Everything known about a zone" },
	{ "combiner list", zone_list, "", "Zones with serials and states" },
	{ "combiner show", zone_show, "ZONE", "Contributions, served apex RRsets, timers, last error" },
	{ "combiner diff", zone_diff, "ZONE", "Apex RRsets that differ from the owner's" },
	{ "combiner retransfer", retransfer, "ZONE", "Fetch the owner's zone again, whatever its serial" },
	{ .name = NULL }
};
