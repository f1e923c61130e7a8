/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start, stop, and the commits. The order on disk, which makes kill -9 harmless at any point:
 *   owner data:    pages (fsync) -> zone points at them, with the serial reserved (fsync) -> state: serial, apex
 * (fsync) -> visible instructions:  state: contributions, and serial, apex, history when the version is made at once
 * (one fsync) -> visible At the start the zone is planned anew from what is on disk; when that is not what was served
 * last, it becomes a new version with a new serial before anything is answered.
 */
#include "shell.h"

#include <msproto/base/mem.h>
#include <msproto/zone/serial.h>

#include <stdio.h>
#include <string.h>

#define HOUSE_MS      1000
#define SWEEP_MS      5 /* between transactions that delete old pages */
#define SWEEP_PAGES   256
#define PATH_LEN      4096
#define ERRORS_MAX    65536
#define READERS_SPARE 16
#define LOG_SOURCES   4096
#define LOG_PER_S     20 /* refusals logged, for each source prefix */
#define LOG_BURST     1000
#define STORE_OK_S    10 /* between writes of when the zone was last confirmed */

/* --- small things
 * ----------------------------------------------------------------------------------------------------- */

const struct msp_tsig_key *cmb_app_key(const struct cmb_app *app, const struct msp_name *name)
{
	return msp_tsig_ring_get(app->ring, name);
}

const struct msp_tsig_key *cmb_app_find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	const struct cmb_app *app = arg;
	const struct msp_tsig_key *key = msp_tsig_ring_get(app->ring, name);

	/* A key is a name and an algorithm: with another algorithm it is not ours (RFC 8945 5.2.1). */
	for (size_t i = 0; key != NULL && i < app->conf.tsig_keys.count; i++) {
		const struct msp_conf_tsig *t = (const struct msp_conf_tsig *)app->conf.tsig_keys.item + i;

		if (msp_name_equal(&t->name, name))
			return t->algorithm == (int)alg ? key : NULL;
	}
	return NULL;
}

struct cmb_hosted *cmb_shell_find(struct cmb_app *app, const struct msp_name *zone)
{
	struct msp_name_key k = msp_name_key(zone);

	return msp_map_get(&app->by_name, msp_name_key_span(&k));
}

const char *cmb_hosted_trouble(const struct cmb_hosted *h)
{
	const struct cmb_zone *z = &h->zone;

	if (z->owner == NULL || !z->has_served || z->owner->gen != z->served_gen)
		return "not transferred yet";
	if (h->is_damaged)
		return "stored pages are damaged, fetching anew";
	if (cmb_refresh_is_expired(&h->refresh, msp_mono_now()))
		return "expired";
	return NULL;
}

static void log_notes(struct cmb_hosted *h)
{
	uint32_t news = h->zone.notes & ~h->logged_notes;

	for (unsigned i = 0; i < CMB_NOTE__N; i++)
		if ((news & CMB_NOTE_BIT(i)) != 0)
			msp_log(h->app->log, MSP_LOG_WARNING, "zone-note", MSP_F_STR("zone", MSP_NAME(&h->conf->name)),
				MSP_F_STR("note", cmb_note_name((enum cmb_note)i)),
				MSP_F_STR("text", cmb_note_text((enum cmb_note)i)));
	h->logged_notes = h->zone.notes;
}

/* --- versions
 * --------------------------------------------------------------------------------------------------------- */

static void made_visible(struct cmb_hosted *h, const char *cause)
{
	const struct cmb_zone *z = &h->zone;

	msp_log(h->app->log, MSP_LOG_NOTICE, "version", MSP_F_STR("zone", MSP_NAME(&h->conf->name)),
		MSP_F_U64("serial", z->serials.last_out), MSP_F_U64("owner-serial", z->served_owner_serial),
		MSP_F_STR("cause", cause));
	if (cmb_serials_far(z->serials.last_out, z->served_owner_serial))
		msp_log(h->app->log, MSP_LOG_INFO, "serial-far", MSP_F_STR("zone", MSP_NAME(&h->conf->name)),
			MSP_F_U64("serial", z->serials.last_out), MSP_F_U64("owner-serial", z->served_owner_serial));
	log_notes(h);
	cmb_notify_all(h);
}

/* End the transaction that `err` says the outcome of so far. */
static enum msp_err end_txn(struct cmb_app *app, enum msp_err err)
{
	if (err == MSP_OK)
		err = msp_store_commit(app->store);
	if (err != MSP_OK)
		msp_store_rollback(app->store);
	return err;
}

static enum msp_err commit_version(struct cmb_hosted *h, const struct cmb_version *v, bool refreshed)
{
	struct cmb_app *app = h->app;
	enum msp_err err = msp_store_begin(app->store);

	if (err != MSP_OK)
		return err;
	err = cmb_state_put_version(app->store, &h->zone, v);
	if (err == MSP_OK && refreshed)
		err = cmb_state_put_refreshed(app->store, &h->conf->name, msp_wall_now());
	return end_txn(app, err);
}

static void sweep_soon(struct cmb_app *app)
{
	msp_timer_start(app->house, SWEEP_MS);
}

static void hold_from_soa(struct cmb_hosted *h, uint64_t age_s)
{
	struct msp_soa soa;

	if (msp_soa_parse(h->zone.owner->apex.soa->rdata[0], &soa) == MSP_OK)
		cmb_refresh_hold(&h->refresh, &soa, msp_mono_now(), age_s);
}

/* The state could not follow: back to the pages that it knows, or each attempt would leave a whole zone behind. */
static void flip_back(struct cmb_hosted *h)
{
	struct cmb_intake *in = &h->intake;
	enum msp_err err = h->zone.owner == NULL
				   ? cmb_pages_forget(h->app->pages, &h->conf->name)
				   : cmb_build_flip(in->build, &h->conf->name, h->zone.owner, h->zone.serials.last_out);

	if (err == MSP_OK) /* else the next start clears up */
		cmb_pages_retire(h->app->pages, in->owner->gen);
}

enum msp_err cmb_hosted_take_owner(struct cmb_hosted *h, struct msp_why *why)
{
	struct cmb_intake *in = &h->intake;
	struct cmb_version *v = NULL;
	uint64_t old_gen = h->zone.owner ? h->zone.owner->gen : 0;
	enum msp_err err = cmb_zone_plan(&h->zone, in->owner, NULL, &v, why);

	if (err != MSP_OK)
		return err;
	if (in->ttl_differs)
		v->notes |= CMB_NOTE_BIT(CMB_NOTE_TTL_MIXED);
	err = cmb_build_flip(in->build, &h->conf->name, in->owner, v->serial);
	if (err == MSP_OK) {
		err = commit_version(h, v, true);
		if (err != MSP_OK)
			flip_back(h);
	}
	if (err != MSP_OK) {
		cmb_version_free(&v);
		return msp_fail(why, err, "storing the zone: %s", msp_err_text(err));
	}
	cmb_zone_adopt(&h->zone, &v, &in->owner);
	h->is_damaged = h->was_expired = false;
	h->last_ok = h->stored_ok = msp_wall_now();
	hold_from_soa(h, 0);
	if (old_gen != 0)
		cmb_pages_retire(h->app->pages, old_gen);
	sweep_soon(h->app);
	made_visible(h, "owner");
	return MSP_OK;
}

/* Each NOTIFY, which anybody may forge, leads to a refresh: not each refresh to an fsync. What is on disk is a little
 * too old then, so that after a restart the zone expires early rather than late. */
static bool is_stored_lately(const struct cmb_hosted *h)
{
	int64_t age = h->last_ok.s - h->stored_ok.s, most = h->refresh.expire_s / 20;

	return age >= 0 && age < (most < STORE_OK_S ? most : STORE_OK_S);
}

void cmb_hosted_refreshed(struct cmb_hosted *h)
{
	h->last_ok = msp_wall_now();
	h->last_error.text[0] = '\0';
	if (h->was_expired)
		msp_log(h->app->log, MSP_LOG_NOTICE, "zone-unexpired", MSP_F_STR("zone", MSP_NAME(&h->conf->name)));
	h->was_expired = false;
	if (is_stored_lately(h))
		return;
	if (cmb_state_put_refreshed(h->app->store, &h->conf->name, h->last_ok) == MSP_OK)
		h->stored_ok = h->last_ok;
	else
		msp_log(h->app->log, MSP_LOG_WARNING, "state-write-failed",
			MSP_F_STR("zone", MSP_NAME(&h->conf->name)));
}

static void start_quiet_time(struct cmb_hosted *h)
{
	h->zone.quiet_until = msp_mono_add_ms(msp_mono_now(), h->conf->coalesce_ms);
}

/* Changes gathered since the last version. */
static void publish_gathered(void *arg)
{
	struct cmb_hosted *h = arg;
	struct cmb_version *v = NULL;
	struct msp_why why = { "" };
	enum msp_err err;

	if (!h->zone.dirty || h->zone.owner == NULL)
		return;
	err = cmb_zone_plan(&h->zone, NULL, NULL, &v, &why);
	if (err == MSP_OK && v == NULL) {
		h->zone.dirty = false; /* the changes cancelled each other */
		return;
	}
	if (err == MSP_OK)
		err = commit_version(h, v, false);
	if (err != MSP_OK) {
		cmb_version_free(&v);
		msp_log(h->app->log, MSP_LOG_ERROR, "version-failed", MSP_F_STR("zone", MSP_NAME(&h->conf->name)),
			MSP_F_STR("error", msp_err_text(err)), MSP_F_STR("why", why.text));
		msp_timer_start(h->coalesce_timer, HOUSE_MS); /* the contributions are safe: try again */
		return;
	}
	cmb_zone_adopt(&h->zone, &v, NULL);
	start_quiet_time(h);
	made_visible(h, "instructions");
}

enum msp_err cmb_hosted_take_contrib(struct cmb_hosted *h, struct cmb_verdict *verdict, struct msp_span seen_id,
				     struct msp_wall seen_until, struct msp_why *why)
{
	struct cmb_app *app = h->app;
	struct msp_mono now = msp_mono_now();
	bool at_once = h->zone.owner != NULL && h->zone.has_served && msp_mono_reached(now, h->zone.quiet_until);
	struct cmb_version *v = NULL;
	enum msp_err err = at_once ? cmb_zone_plan(&h->zone, NULL, &verdict->result, &v, why) : MSP_OK;

	if (err == MSP_OK)
		err = msp_store_begin(app->store);
	if (err == MSP_OK) {
		err = cmb_state_put_contrib(app->store, &h->conf->name, &h->zone.contrib, &verdict->result);
		if (err == MSP_OK)
			err = cmb_state_put_seen(app->store, seen_id, seen_until);
		if (err == MSP_OK && v != NULL)
			err = cmb_state_put_version(app->store, &h->zone, v);
		err = end_txn(app, err);
	}
	if (err != MSP_OK) {
		cmb_version_free(&v);
		return err;
	}
	cmb_zone_set_contrib(&h->zone, &verdict->result);
	if (v != NULL) {
		cmb_zone_adopt(&h->zone, &v, NULL);
		start_quiet_time(h);
		made_visible(h, "instructions");
	} else if (!at_once) {
		if (!h->zone.dirty && h->zone.owner != NULL)
			msp_timer_start(h->coalesce_timer, (uint64_t)msp_mono_until_ms(now, h->zone.quiet_until));
		h->zone.dirty = true;
	}
	return MSP_OK;
}

void cmb_hosted_damaged(struct cmb_hosted *h)
{
	if (h->is_damaged)
		return;
	h->is_damaged = true;
	h->refresh.is_held = false; /* fetch until it succeeds: asking for the serial would find nothing new */
	msp_log(h->app->log, MSP_LOG_ERROR, "pages-damaged", MSP_F_STR("zone", MSP_NAME(&h->conf->name)));
	cmb_upstream_event(h, CMB_REV_FORCE);
}

/* --- housekeeping
 * ------------------------------------------------------------------------------------------------------ */

static void housekeeping(void *arg)
{
	struct cmb_app *app = arg;
	struct msp_mono now = msp_mono_now();
	bool more = false;

	if (cmb_pages_sweep(app->pages, SWEEP_PAGES, &more) != MSP_OK) {
		msp_log(app->log, MSP_LOG_WARNING, "sweep-failed", MSP_F_STR("what", "old pages could not be deleted"));
		more = false;
	}
	cmb_xfrout_expire(app);
	if (!more)
		cmb_seen_sweep(app);
	for (size_t i = 0; i < app->hosted_count; i++) {
		struct cmb_hosted *h = &app->hosted[i];

		if (h->was_expired || !cmb_refresh_is_expired(&h->refresh, now))
			continue;
		h->was_expired = true;
		msp_log(app->log, MSP_LOG_ERROR, "zone-expired", MSP_F_STR("zone", MSP_NAME(&h->conf->name)),
			MSP_F_STR("last-error", h->last_error.text));
	}
	msp_timer_start(app->house, more ? SWEEP_MS : HOUSE_MS);
}

/* --- start
 * ------------------------------------------------------------------------------------------------------------- */

static enum msp_err join_path(char *out, size_t len, const char *dir, const char *file)
{
	int n = snprintf(out, len, "%s/%s", dir, file);

	return n > 0 && (size_t)n < len ? MSP_OK : MSP_ECONF;
}

static enum msp_err open_stores(struct cmb_app *app, struct msp_why *why)
{
	char path[PATH_LEN];
	struct cmb_pages_conf pc = { .path = path, .map_size = app->conf.map_size };
	bool anew = false;
	enum msp_err err = join_path(path, sizeof(path), app->conf.state_dir, "combinerd.db");

	if (err == MSP_OK)
		err = cmb_state_open(path, &app->store, why);
	if (err == MSP_OK)
		err = join_path(path, sizeof(path), app->conf.state_dir, "zones.lmdb");
	pc.readers_max = (unsigned)app->conf.transfers_out_max + READERS_SPARE;
	if (err == MSP_OK)
		err = cmb_pages_open(&pc, &app->pages, &anew, why);
	if (err == MSP_OK && anew)
		msp_log(app->log, MSP_LOG_ERROR, "zone-store-damaged", MSP_F_STR("path", path),
			MSP_F_STR("what", "moved aside, zones will be transferred again"));
	if (err == MSP_OK)
		err = cmb_seen_load(app);
	return err;
}

/* What the pages say about the serial reserved for them: never fall behind it, should the state be an older copy. */
static void catch_up_serial(struct cmb_zone *z, uint32_t reserved)
{
	if (reserved != 0 && (!z->serials.has_out || msp_serial_gt(reserved, z->serials.last_out))) {
		z->serials.has_out = true;
		z->serials.last_out = reserved;
	}
}

/* The version that should be served by what is on disk; a new one when that is not the one served last. */
static enum msp_err resume(struct cmb_hosted *h, struct cmb_owner **owner, uint32_t reserved, struct msp_why *why)
{
	struct cmb_zone *z = &h->zone;
	struct cmb_version *v = NULL;
	enum msp_err err;

	/* A signed version that was to be served with the owner's own serial needs that very serial, and it may have
	 * it: whoever was given it before was given the same content. */
	if ((!z->has_served || (*owner)->gen != z->served_gen) &&
	    !((*owner)->is_signed && reserved == cmb_apex_serial(&(*owner)->apex)))
		catch_up_serial(z, reserved);
	z->owner = *owner;
	*owner = NULL;
	err = cmb_zone_plan(z, NULL, NULL, &v, why);
	if (err == MSP_OK && v != NULL)
		err = commit_version(h, v, false);
	if (err == MSP_OK) {
		z->serials.has_owner = true;
		z->serials.last_owner = cmb_apex_serial(&z->owner->apex);
		cmb_policy_derive(z->owner, &z->rules, z->ns_applied, &z->policy);
	}
	if (err == MSP_OK && v != NULL)
		cmb_zone_adopt(z, &v, NULL);
	else if (err == MSP_OK)
		z->notes = z->policy.notes;
	cmb_version_free(&v);
	return err;
}

static enum msp_err load_zone(struct cmb_hosted *h, struct msp_why *why)
{
	struct cmb_app *app = h->app;
	struct cmb_owner *owner = NULL;
	struct msp_wall refreshed, now = msp_wall_now();
	uint32_t reserved = 0;
	enum msp_err err = cmb_state_load(app->store, &h->zone, &refreshed, why);

	if (err != MSP_OK)
		return err;
	err = cmb_pages_load(app->pages, &h->conf->name, &owner, &reserved, why);
	if (err == MSP_ECORRUPT) {
		msp_log(app->log, MSP_LOG_ERROR, "pages-damaged", MSP_F_STR("zone", MSP_NAME(&h->conf->name)));
		return cmb_pages_forget(app->pages, &h->conf->name);
	}
	if (err != MSP_OK)
		return err == MSP_ENOTFOUND ? MSP_OK : err;
	err = resume(h, &owner, reserved, why);
	if (err == MSP_ESTALE) { /* shown by msctl; the owner must act */
		h->last_error = *why;
		cmb_owner_free(&h->zone.owner);
		return MSP_OK;
	}
	if (err != MSP_OK)
		return err;
	h->last_ok = h->stored_ok = refreshed;
	hold_from_soa(h, refreshed.s != 0 && now.s > refreshed.s ? (uint64_t)(now.s - refreshed.s) : 0);
	log_notes(h);
	return MSP_OK;
}

static enum msp_err open_zone(struct cmb_app *app, struct cmb_hosted *h, const struct cmb_conf_zone *conf,
			      struct msp_why *why)
{
	struct msp_name_key k = msp_name_key(&conf->name);
	struct cmb_rules rules;
	enum msp_err err;

	h->app = app;
	h->conf = conf;
	cmb_conf_rules(&app->conf, conf, &rules);
	cmb_conf_limits(conf, &h->limits);
	cmb_zone_init(&h->zone, &rules);
	cmb_refresh_init(&h->refresh, &h->limits, conf->primaries.count, msp_mono_now());
	err = msp_map_put(&app->by_name, msp_name_key_span(&k), h, NULL);
	if (err == MSP_OK)
		err = cmb_notify_open(h);
	if (err == MSP_OK)
		err = load_zone(h, why);
	if (err == MSP_OK)
		err = msp_timer_new(app->loop, publish_gathered, h, &h->coalesce_timer);
	return err;
}

static enum msp_err open_zones(struct cmb_app *app, struct msp_why *why)
{
	size_t count = app->conf.zones.count;
	enum msp_err err = MSP_OK;

	msp_map_init(&app->by_name, count);
	app->hosted = msp_alloc(count ? count : 1, sizeof(*app->hosted));
	if (app->hosted == NULL)
		return MSP_ENOMEM;
	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		err = open_zone(app, &app->hosted[i], cmb_conf_zone_at(&app->conf, i), why);
		app->hosted_count = i + 1;
	}
	return err == MSP_OK ? cmb_pages_find_garbage(app->pages) : err;
}

static enum msp_err open_servers(struct cmb_app *app, struct msp_why *why)
{
	struct msp_server_limits limits = msp_server_limits_default;
	enum msp_err err = MSP_OK;

	limits.tcp_connections = (size_t)app->conf.tcp_connections_max;
	limits.tcp_per_client = (size_t)app->conf.tcp_per_client_max;
	limits.stall_ms = app->conf.stall_s * 1000;
	for (size_t i = 0; err == MSP_OK && i < app->conf.listen.count && i < CMB_LISTEN_MAX; i++) {
		const struct msp_conf_listen *l = (const struct msp_conf_listen *)app->conf.listen.item + i;

		err = msp_server_open(app->loop, &l->addr, &limits, cmb_serve, app, &app->server[i], why);
		if (err == MSP_OK)
			app->server_count = i + 1;
	}
	return err;
}

enum msp_err cmb_shell_check(const char *conf_path, struct msp_buf *errors)
{
	struct cmb_conf conf;
	enum msp_err err = cmb_conf_load(conf_path, &conf, errors);

	if (err == MSP_OK)
		cmb_conf_fini(&conf);
	return err;
}

enum msp_err cmb_shell_check_keys(const char *conf_path, struct msp_buf *errors)
{
	struct msp_tsig_ring *ring = NULL;
	struct msp_why why = { "" };
	struct cmb_conf conf;
	enum msp_err err = cmb_conf_load(conf_path, &conf, errors);

	if (err != MSP_OK)
		return err;
	err = msp_tsig_ring_load(&conf.tsig_keys, &ring, &why);
	if (err != MSP_OK)
		msp_buf_printf(errors, "%s", why.text);
	msp_tsig_ring_free(&ring);
	cmb_conf_fini(&conf);
	return err;
}

static enum msp_err load_conf(struct cmb_app *app, const char *path, struct msp_why *why)
{
	struct msp_buf errors;
	enum msp_err err;

	msp_buf_init(&errors, ERRORS_MAX);
	err = cmb_conf_load(path, &app->conf, &errors);
	if (err != MSP_OK)
		err = msp_fail(why, err, "%.200s", msp_buf_text(&errors));
	msp_buf_fini(&errors);
	return err;
}

/* Everything is loaded before the first socket is open: nothing is served, not even an error, from half of the truth.
 */
static enum msp_err start(struct cmb_app *app, const char *conf_path, struct msp_why *why)
{
	enum msp_err err = load_conf(app, conf_path, why);

	if (err != MSP_OK)
		return err;
	app->log->level = (enum msp_log_level)app->conf.log_level;
	msp_map_init(&app->seen, CMB_SEEN_MAX);
	err = msp_bucket_new(LOG_SOURCES, LOG_PER_S, LOG_BURST, &app->log_budget);
	if (err != MSP_OK)
		return err;
	err = msp_tsig_ring_load(&app->conf.tsig_keys, &app->ring, why);
	if (err == MSP_OK)
		err = msp_timer_new(app->loop, housekeeping, app, &app->house);
	if (err == MSP_OK)
		err = open_stores(app, why);
	if (err == MSP_OK)
		err = open_zones(app, why);
	if (err == MSP_OK)
		err = open_servers(app, why);
	if (err == MSP_OK && app->conf.control != NULL)
		err = msp_control_open(app->loop, app->conf.control, cmb_commands, app, &app->control, why);
	return err;
}

enum msp_err cmb_shell_start(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **out,
			     struct msp_why *why)
{
	struct cmb_app *app = msp_alloc(1, sizeof(*app));
	enum msp_err err;

	if (app == NULL)
		return MSP_ENOMEM;
	app->loop = loop;
	app->log = log;
	app->started = msp_wall_now();
	msp_rand_init_system(&app->rand);
	err = start(app, conf_path, why);
	if (err != MSP_OK) {
		if (why->text[0] == '\0')
			(void)msp_fail(why, err, "%s", msp_err_text(err));
		cmb_shell_stop(app);
		cmb_shell_free((void **)&app);
		return err;
	}
	for (size_t i = 0; i < app->hosted_count; i++) {
		if (cmb_hosted_trouble(&app->hosted[i]) == NULL)
			cmb_notify_all(&app->hosted[i]); /* the signer may have missed what was last said */
		cmb_upstream_arm(&app->hosted[i]);
	}
	housekeeping(app);
	*out = app;
	return MSP_OK;
}

void cmb_shell_stop(void *arg)
{
	struct cmb_app *app = arg;

	for (size_t i = 0; i < app->server_count; i++)
		if (app->server[i] != NULL)
			msp_server_close(&app->server[i]);
	if (app->control != NULL)
		msp_control_close(&app->control);
	for (size_t i = 0; i < app->hosted_count; i++) {
		cmb_upstream_close(&app->hosted[i]);
		cmb_notify_close(&app->hosted[i]);
		if (app->hosted[i].coalesce_timer != NULL)
			msp_timer_close(&app->hosted[i].coalesce_timer);
	}
	if (app->house != NULL)
		msp_timer_close(&app->house);
}

void cmb_shell_free(void **arg)
{
	struct cmb_app *app = *arg;

	if (app == NULL)
		return;
	for (size_t i = 0; i < app->hosted_count; i++)
		cmb_zone_fini(&app->hosted[i].zone);
	msp_free(app->hosted);
	msp_map_fini(&app->by_name, NULL);
	cmb_seen_fini(app);
	cmb_pages_close(&app->pages);
	msp_bucket_free(&app->log_budget);
	if (app->store != NULL)
		msp_store_close(&app->store);
	if (app->ring != NULL)
		msp_tsig_ring_free(&app->ring);
	cmb_conf_fini(&app->conf);
	msp_free(app);
	*arg = NULL;
}
