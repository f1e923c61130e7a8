/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands for msctl: the zones, and what an operator may do to them. */
#include "ctl.h"

#include "census.h"

#include <msproto/kit/daemon.h>

#include <string.h>

/* Rows of one answer: msctl asks for the rest when it gets so many. With the longest names and reasons they stay below
 * MSP_CONTROL_LINE_MAX. */
#define ROWS_MAX 1000

enum msp_err cmb_ctl_zone(struct cmb_app *app, const json_t *args, struct cmb_hosted **out, struct msp_why *why)
{
	struct msp_name name;
	enum msp_err err = msp_arg_name(args, "zone", &name, why);

	if (err != MSP_OK)
		return err;
	*out = cmb_shell_find(app, &name);
	return *out != NULL ? MSP_OK : msp_fail(why, MSP_ENOTFOUND, "zone %s is not configured", MSP_NAME(&name));
}

/* --- all zones ---------------------------------------------------------------------------------------------------- */

/* What `state` of zone list may say: a condition, a mark, or "trouble": not served, or marked with something bad. */
struct filter {
	bool any, trouble;
	int condition, mark; /* -1 = not asked for */
	bool has_under;
	struct msp_name under;
};

static enum msp_err read_filter(const json_t *args, struct filter *f, struct msp_why *why)
{
	const char *state = msp_json_str(args, "state");

	*f = (struct filter){ .any = state == NULL || state[0] == '\0', .condition = -1, .mark = -1 };
	f->has_under = msp_json_str(args, "under") != NULL;
	if (f->has_under) {
		enum msp_err err = msp_arg_name(args, "under", &f->under, why);

		if (err != MSP_OK)
			return err;
	}
	if (f->any)
		return MSP_OK;
	f->trouble = strcmp(state, "trouble") == 0;
	for (int i = 0; i < CMB_CONDITION__N; i++)
		if (strcmp(state, cmb_condition_word((enum cmb_condition)i)) == 0)
			f->condition = i;
	for (int i = 0; i < CMB_MARK__N; i++)
		if (strcmp(state, cmb_mark_word((enum cmb_mark)i)) == 0)
			f->mark = i;
	if (f->trouble || f->condition >= 0 || f->mark >= 0)
		return MSP_OK;
	return msp_fail(
		why, MSP_EVALUE,
		"state: serving, never, expired, damaged, other, frozen, held, failing, busy, untold, loaded or "
		"trouble, not %.30s",
		state);
}

static bool passes(const struct cmb_hosted *h, const struct filter *f)
{
	if (f->has_under && !msp_name_is_under(&h->name, &f->under))
		return false;
	if (f->any)
		return true;
	if (f->trouble)
		return cmb_census_condition(h) != CMB_IS_SERVING || cmb_census_has(h, CMB_HAS_FROZEN) ||
		       cmb_census_has(h, CMB_HAS_HELD) || cmb_census_has(h, CMB_HAS_FAILING);
	if (f->condition >= 0)
		return cmb_census_condition(h) == (enum cmb_condition)f->condition;
	return cmb_census_has(h, (enum cmb_mark)f->mark);
}

/* In canonical order, beginning after the zone named `after`; at most `limit` rows. */
static enum msp_err zone_list(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_app *app = arg;
	struct msp_name after = { 0 };
	struct msp_name_key key = { 0 };
	struct filter filter;
	struct msp_map_it it;
	struct msp_put list;
	uint64_t limit = ROWS_MAX, rows = 0;
	enum msp_err err = read_filter(args, &filter, why);

	if (err == MSP_OK && json_object_get(args, "after") != NULL) {
		err = msp_arg_name(args, "after", &after, why);
		key = msp_name_key(&after);
	}
	if (err == MSP_OK)
		err = msp_arg_number(args, "limit", ROWS_MAX, ROWS_MAX, &limit, why);
	if (err != MSP_OK)
		return err;
	list = msp_put_new(json_array());
	for (bool more = msp_map_first(&app->by_name, key.len != 0 ? msp_name_key_span(&key) : msp_span(NULL, 0), &it);
	     more && rows < limit && list.err == MSP_OK; more = msp_map_next(&app->by_name, &it)) {
		const struct cmb_hosted *h = it.value;
		struct msp_put one;

		if (!passes(h, &filter) || msp_name_equal(&h->name, &after))
			continue;
		one = msp_put_new(json_object());
		cmb_ctl_summary(h, &one);
		msp_put_part(&list, NULL, &one);
		rows++;
	}
	return msp_put_end(&list, data);
}

/* --- what an operator does ---------------------------------------------------------------------------------------- */

static void log_order(const struct cmb_hosted *h, const char *order)
{
	msp_log(h->app->log, MSP_LOG_NOTICE, order, MSP_F_STR("zone", MSP_NAME(&h->name)),
		MSP_F_STR("cause", "operator"));
}

static enum msp_err retransfer(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	const char *how = msp_json_str(args, "how");
	enum msp_err err = cmb_ctl_zone(arg, args, &h, why);

	(void)data;
	if (err != MSP_OK)
		return err;
	if (how != NULL && strcmp(how, "force") != 0)
		return msp_fail(why, MSP_EVALUE, "retransfer ZONE [force], not %.30s", how);
	if (h->is_frozen)
		return msp_fail(why, MSP_ESTATE, "%s is frozen: thaw it first", MSP_NAME(&h->name));
	if (how != NULL && h->fetch != NULL && h->candidate == NULL) /* what has come in is left to its end */
		cmb_upstream_cancel(h);
	log_order(h, "retransfer");
	cmb_upstream_event(h, CMB_REV_FORCE);
	return MSP_OK;
}

static enum msp_err set_frozen(struct cmb_app *app, const json_t *args, bool freeze, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	enum msp_err err = cmb_ctl_zone(app, args, &h, why);

	if (err != MSP_OK)
		return err;
	if (h->is_frozen == freeze)
		return msp_fail(why, MSP_ESTATE, "%s is %s", MSP_NAME(&h->name),
				freeze ? "frozen already" : "not frozen");
	err = cmb_hosted_freeze(h, freeze, why);
	if (err == MSP_OK)
		log_order(h, freeze ? "freeze" : "thaw");
	return err;
}

static enum msp_err freeze_zone(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return set_frozen(arg, args, true, why);
}

static enum msp_err thaw_zone(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return set_frozen(arg, args, false, why);
}

static enum msp_err accept_held(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	enum msp_err err = cmb_ctl_zone(arg, args, &h, why);

	(void)data;
	if (err != MSP_OK)
		return err;
	if (h->held == NULL)
		return msp_fail(why, MSP_ESTATE, "no version of %s is held back", MSP_NAME(&h->name));
	err = cmb_hosted_accept(h, why);
	if (err == MSP_OK)
		log_order(h, "accept");
	return err;
}

static enum msp_err drop(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	const char *who = msp_json_str(args, "originator");
	const struct cmb_zone *z;
	struct msp_name name = { 0 };
	bool is_all = who != NULL && strcmp(who, "*") == 0;
	enum msp_err err = cmb_ctl_zone(arg, args, &h, why);

	(void)data;
	if (err == MSP_OK && !is_all)
		err = msp_arg_name(args, "originator", &name, why);
	if (err != MSP_OK)
		return err;
	err = cmb_ctl_loaded(h, &z, why);
	if (err != MSP_OK)
		return err;
	if (is_all ? z->contrib.count == 0 : !cmb_contrib_has(&z->contrib, &name))
		return msp_fail(why, MSP_ENOTFOUND, "nothing of %.100s is held for %s",
				is_all ? "anybody" : MSP_NAME(&name), MSP_NAME(&h->name));
	err = cmb_hosted_drop_contrib(h, is_all ? NULL : &name, why);
	if (err == MSP_OK)
		msp_log(h->app->log, MSP_LOG_NOTICE, "drop", MSP_F_STR("zone", MSP_NAME(&h->name)),
			MSP_F_STR("originator", is_all ? "*" : MSP_NAME(&name)), MSP_F_STR("cause", "operator"));
	return err;
}

/* --- audit -------------------------------------------------------------------------------------------------------- */

static enum msp_err put_audit(void *arg, const struct cmb_audit *a)
{
	struct msp_put *list = arg, one = msp_put_new(json_object());

	msp_put_int(&one, "seq", (int64_t)a->seq);
	msp_put_int(&one, "at", a->at.s);
	msp_put_str(&one, "who", msp_name_is_set(&a->key) ? MSP_NAME(&a->key) : "operator");
	msp_put_name(&one, "originator", &a->originator);
	msp_put_str(&one, "what", a->what);
	msp_put_part(list, NULL, &one);
	return list->err;
}

static enum msp_err audit(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct cmb_hosted *h = NULL;
	struct msp_put list;
	uint64_t from = 0;
	enum msp_err err = cmb_ctl_zone(arg, args, &h, why);

	if (err == MSP_OK)
		err = msp_arg_number(args, "from", 0, INT64_MAX, &from, why);
	if (err != MSP_OK)
		return err;
	list = msp_put_new(json_array());
	if (list.err == MSP_OK)
		list.err = cmb_state_each_audit(h->app->store, &h->name, from, put_audit, &list);
	return msp_put_end(&list, data);
}

/* --- the daemon --------------------------------------------------------------------------------------------------- */

static void put_census(const struct cmb_census *c, struct msp_put *o)
{
	struct msp_put by = msp_put_new(json_object());

	for (unsigned i = 0; i < CMB_CONDITION__N; i++)
		if (c->condition[i] > 0)
			msp_put_int(&by, cmb_condition_word((enum cmb_condition)i), (int64_t)c->condition[i]);
	for (unsigned i = 0; i < CMB_MARK__N; i++)
		if (c->mark[i] > 0)
			msp_put_int(&by, cmb_mark_word((enum cmb_mark)i), (int64_t)c->mark[i]);
	msp_put_int(o, "zones", (int64_t)c->zones);
	msp_put_int(o, "zones_serving", (int64_t)c->condition[CMB_IS_SERVING]);
	msp_put_part(o, "zones_by_state", &by);
}

static enum msp_err status(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	const struct cmb_app *app = arg;
	struct msp_server_stats s = cmb_shell_server_stats(app);
	struct cmb_pages_stats pages = cmb_pages_stats(app->pages);
	struct msp_put o = msp_put_new(json_object());
	struct cmb_census c;

	(void)args;
	(void)why;
	cmb_census_take(app, &c);
	msp_put_str(&o, "daemon", "combinerd");
	msp_put_str(&o, "version", MSP_VERSION);
	msp_put_int(&o, "uptime_s", msp_wall_now().s - app->started.s);
	msp_put_bool(&o, "running", app->is_running);
	put_census(&c, &o);
	msp_put_int(&o, "transfers_out_now", (int64_t)app->stream_count);
	msp_put_int(&o, "versions", (int64_t)app->stats.versions);
	msp_put_int(&o, "held_back", (int64_t)app->stats.held_back);
	msp_put_int(&o, "refused_versions", (int64_t)app->stats.refused_versions);
	msp_put_int(&o, "refresh_failures", (int64_t)app->stats.refresh_failures);
	msp_put_int(&o, "notifies_failed", (int64_t)app->stats.notifies_failed);
	msp_put_int(&o, "store_octets", (int64_t)pages.file_octets);
	msp_put_int(&o, "store_octets_used", (int64_t)pages.used_octets);
	msp_put_int(&o, "udp_in", (int64_t)s.udp_in);
	msp_put_int(&o, "tcp_in", (int64_t)s.tcp_in);
	msp_put_int(&o, "replies", (int64_t)s.replies);
	return msp_put_end(&o, data);
}

#define LIST_ARGS "[STATE] [AFTER] [LIMIT] [UNDER]"
#define LIST_HELP "Zones with serials and states, at most 1000: ask again with `after`"
#define SHOW_HELP "Contributions, served apex RRsets, timers, what is waited for, last error"
const struct msp_command cmb_commands[] = {
	{ "status", status, "", "State of the daemon" },
	{ "zone list", zone_list, LIST_ARGS, LIST_HELP },
	{ "zone show", cmb_ctl_show, "ZONE", SHOW_HELP },
	{ "combiner list", zone_list, LIST_ARGS, LIST_HELP },
	{ "combiner show", cmb_ctl_show, "ZONE", SHOW_HELP },
	{ "combiner diff", cmb_ctl_diff, "ZONE", "Apex RRsets that differ from the owner's" },
	{ "combiner retransfer", retransfer, "ZONE [HOW]",
	  "Fetch the owner's zone again, whatever its serial; how force: give up what is under way first" },
	{ "combiner freeze", freeze_zone, "ZONE", "Serve nothing new, take no instructions, until thawed" },
	{ "combiner thaw", thaw_zone, "ZONE", "Go on" },
	{ "combiner accept", accept_held, "ZONE", "Take the version that a guard holds back" },
	{ "combiner audit", audit, "ZONE [FROM]", "Who did what when, oldest first, from a sequence number on" },
	{ "combiner drop", drop, "ZONE ORIGINATOR", "Forget all instructions of an originator; *: of all" },
	{ .name = NULL }
};
