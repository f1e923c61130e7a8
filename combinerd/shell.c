/* SPDX-License-Identifier: BSD-2-Clause */
/* Start, stop, reload, housekeeping. Nothing here walks over all zones in one go once the start is over, but a reload.
 */
#include "shell.h"

#include <msproto/base/mem.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#define HOUSE_MS      1000
#define SWEEP_MS      5 /* between transactions that delete old pages, and the like */
#define SWEEP_PAGES   256
#define FORGET_MAX    2 /* zones taken out of the store in one go */
#define TOUR_MS       10
#define TOUR_ZONES    20 /* 2,000 a second */
#define AGENDA_MAX    200
#define SPREAD_PER_MS 2 /* zones that are refreshed after a start */
#define PATH_LEN      4096
#define ERRORS_MAX    65536
#define READERS_SPARE                                                                                                  \
	1024 /* snapshots beside those of transfers: edits that wait for their commit, inspection, catalogs */
#define LOG_SOURCES 4096
#define LOG_PER_S   20 /* lines about what anybody may send, for each source prefix */
#define LOG_BURST   1000
#define LOG_ALL     200 /* ... and for all together */
#define LOG_BURSTS  2000

/** What is done a little at a time. */
struct cmb_chores {
	struct msp_mono armed;    /* what the agenda's timer is set to */
	struct msp_timer *tour;   /* after a start: signers are told again, they may have missed the last time */
	struct msp_name_key next; /* where the tour goes on */
	struct msp_name *forget;  /* owned array: zones that are to be taken out of the store */
	size_t forget_count, forget_size;
};

/* --- small things ------------------------------------------------------------------------------------------------- */

const struct msp_tsig_key *cmb_app_find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	const struct cmb_app *app = arg;

	return cmb_settings_key(app->settings, name, alg);
}

struct cmb_hosted *cmb_shell_find(struct cmb_app *app, const struct msp_name *zone)
{
	struct msp_name_key k = msp_name_key(zone);

	return msp_map_get(&app->by_name, msp_name_key_span(&k));
}

void cmb_shell_arm(struct cmb_app *app)
{
	struct msp_mono next = cmb_agenda_next(&app->agenda);

	if (app->agenda_timer == NULL || next.ms == app->chores->armed.ms)
		return;
	app->chores->armed = next;
	if (next.ms == MSP_MONO_NEVER.ms)
		msp_timer_stop(app->agenda_timer);
	else
		msp_timer_start(app->agenda_timer, (uint64_t)msp_mono_until_ms(msp_mono_now(), next));
}

static void agenda_due(void *arg)
{
	struct cmb_app *app = arg;
	struct msp_mono now = msp_mono_now();

	app->chores->armed = MSP_MONO_NEVER;
	for (unsigned i = 0; i < AGENDA_MAX; i++) {
		struct cmb_agenda_item *item = cmb_agenda_pop(&app->agenda, now);

		if (item == NULL)
			break;
		cmb_hosted_due((struct cmb_hosted *)((char *)item - offsetof(struct cmb_hosted, agenda)));
	}
	cmb_shell_arm(app);
}

void cmb_shell_sweep_soon(struct cmb_app *app)
{
	if (app->house != NULL && app->is_running)
		msp_timer_start(app->house, SWEEP_MS);
}

/* --- zones come and go -------------------------------------------------------------------------------------------- */

/* The store must not be told to forget a zone that is here again. */
static void forget_at_once(struct cmb_app *app, const struct msp_name *zone)
{
	struct cmb_chores *c = app->chores;

	for (size_t i = 0; i < c->forget_count; i++) {
		if (!msp_name_equal(&c->forget[i], zone))
			continue;
		if (cmb_pages_forget(app->pages, zone) != MSP_OK)
			msp_log(app->log, MSP_LOG_WARNING, "store-write-failed", MSP_F_STR("zone", MSP_NAME(zone)));
		c->forget[i] = c->forget[--c->forget_count];
		return;
	}
}

static void forget_later(struct cmb_app *app, const struct msp_name *zone)
{
	struct cmb_chores *c = app->chores;

	if (c->forget_count == c->forget_size) {
		size_t size = c->forget_size ? c->forget_size * 2 : 16;
		struct msp_name *grown = msp_realloc(c->forget, size, sizeof(*grown));

		if (grown == NULL)
			return; /* its record stays: a version that may be served again when the zone is back */
		c->forget = grown;
		c->forget_size = size;
	}
	c->forget[c->forget_count++] = *zone;
	cmb_shell_sweep_soon(app);
}

static bool forget_some(struct cmb_app *app)
{
	struct cmb_chores *c = app->chores;

	for (unsigned i = 0; i < FORGET_MAX && c->forget_count > 0; i++) {
		if (cmb_pages_forget(app->pages, &c->forget[c->forget_count - 1]) != MSP_OK)
			return false; /* again in a second */
		c->forget_count--;
	}
	if (c->forget_count == 0) {
		msp_free(c->forget);
		c->forget = NULL;
		c->forget_size = 0;
	}
	return c->forget_count > 0;
}

/* The first refreshes of zones that are held already are spread, but none until it expires. */
static void spread(struct cmb_hosted *h)
{
	struct msp_mono now = msp_mono_now();
	int64_t ms = (int64_t)(h->app->by_name.count / SPREAD_PER_MS);
	int64_t most = msp_mono_until_ms(now, h->refresh.expires) / 2;

	if (!h->has_head || h->refresh.next.ms == MSP_MONO_NEVER.ms)
		return;
	h->refresh.next = msp_mono_add_ms(now, ms < most ? ms : most);
}

/* *found is NULL when nothing is kept of the zone; `mem` is for what is not in the map. */
static enum msp_err find_kept(struct cmb_app *app, const struct msp_name *zone, struct cmb_state_zone *mem,
			      const struct cmb_state_zone **found)
{
	struct msp_name_key k = msp_name_key(zone);
	enum msp_err err;

	*found = msp_map_get(&app->kept, msp_name_key_span(&k));
	if (*found != NULL || app->kept_has_all)
		return MSP_OK;
	err = cmb_state_get_zone(app->store, zone, mem);
	if (err == MSP_OK && (mem->instructions != 0 || mem->has_ceiling || mem->is_frozen))
		*found = mem;
	return err;
}

enum msp_err cmb_shell_add(struct cmb_app *app, const struct msp_name *zone, const struct cmb_profile *profile,
			   struct cmb_hosted **out, struct msp_why *why)
{
	struct msp_name_key k = msp_name_key(zone);
	const struct cmb_state_zone *kept = NULL;
	struct cmb_state_zone mem;
	struct cmb_hosted *h = NULL;
	enum msp_err err;

	*out = NULL;
	if (msp_map_get(&app->by_name, msp_name_key_span(&k)) != NULL)
		return msp_fail(why, MSP_EEXIST, "the zone is here already");
	if (app->by_name.count >= (size_t)app->conf->zones_max)
		return msp_fail(why, MSP_ELIMIT, "zones-max is reached");
	forget_at_once(app, zone);
	err = find_kept(app, zone, &mem, &kept);
	if (err != MSP_OK)
		return msp_fail(why, err, "zone %.150s: its state: %s", MSP_NAME(zone), msp_err_text(err));
	err = cmb_hosted_new(app, zone, profile, kept, &h, why);
	if (err == MSP_OK)
		err = msp_map_put(&app->by_name, msp_name_key_span(&k), h, NULL);
	if (err != MSP_OK) {
		cmb_hosted_free(&h);
		return err;
	}
	msp_free(msp_map_del(&app->kept, msp_name_key_span(&k)));
	spread(h);
	cmb_hosted_arm(h);
	*out = h;
	return MSP_OK;
}

static void keep_for_later(struct cmb_hosted *h, bool reset)
{
	struct msp_name_key k = msp_name_key(&h->name);
	struct cmb_app *app = h->app;
	void *old = NULL;

	if (h->kept == NULL)
		return;
	if (reset && cmb_state_forget(app->store, &h->name) != MSP_OK)
		msp_log(app->log, MSP_LOG_WARNING, "state-write-failed", MSP_F_STR("zone", MSP_NAME(&h->name)));
	else if (reset)
		*h->kept = (struct cmb_state_zone){ .has_ceiling = h->kept->has_ceiling, .ceiling = h->kept->ceiling };
	if (msp_map_put(&app->kept, msp_name_key_span(&k), h->kept, &old) == MSP_OK)
		h->kept = NULL;
	else
		app->kept_has_all = false;
	msp_free(old);
}

void cmb_shell_remove(struct cmb_hosted **out, bool reset)
{
	struct cmb_hosted *h = *out;
	struct cmb_app *app = h->app;
	struct msp_name_key k = msp_name_key(&h->name);

	*out = NULL;
	(void)msp_map_del(&app->by_name, msp_name_key_span(&k));
	keep_for_later(h, reset);
	forget_later(app, &h->name);
	cmb_hosted_free(&h);
}

/* --- housekeeping ------------------------------------------------------------------------------------------------- */

static void housekeeping(void *arg)
{
	struct cmb_app *app = arg;
	bool more = false;

	if (cmb_pages_sweep(app->pages, SWEEP_PAGES, &more) != MSP_OK) {
		msp_log(app->log, MSP_LOG_WARNING, "sweep-failed", MSP_F_STR("what", "old pages could not be deleted"));
		more = false;
	}
	if (forget_some(app))
		more = true;
	if (!cmb_hosted_flush_confirmed(app))
		more = true;
	if (cmb_hosted_rest_idle(app))
		more = true;
	cmb_xfrout_expire(app);
	if (!more)
		cmb_seen_sweep(app);
	msp_timer_start(app->house, more ? SWEEP_MS : HOUSE_MS);
}

static void tour(void *arg)
{
	struct cmb_app *app = arg;
	struct cmb_chores *c = app->chores;
	struct msp_map_it it;
	bool more = msp_map_first(&app->by_name, msp_name_key_span(&c->next), &it);

	for (unsigned i = 0; more && i < TOUR_ZONES; i++) {
		struct cmb_hosted *h = it.value;

		if (h->has_head && h->transfers_in == 0) /* what came since the start has been told */
			cmb_notify_all(h);
		more = msp_map_next(&app->by_name, &it);
	}
	if (!more) {
		msp_timer_close(&c->tour);
		return;
	}
	c->next.len = (uint16_t)it.key.len;
	memcpy(c->next.oct, it.key.ptr, it.key.len);
	msp_timer_start(c->tour, TOUR_MS);
}

/* --- start -------------------------------------------------------------------------------------------------------- */

enum msp_err cmb_shell_check(const char *conf_path, struct msp_buf *errors)
{
	struct cmb_conf conf;
	enum msp_err err = cmb_conf_load(conf_path, &conf, errors);

	if (err == MSP_OK)
		cmb_conf_fini(&conf);
	return err;
}

static enum msp_err load_settings(const char *path, struct cmb_settings **out, struct msp_why *why)
{
	struct msp_buf errors;
	enum msp_err err;

	msp_buf_init(&errors, ERRORS_MAX);
	err = cmb_settings_load(path, out, &errors);
	if (err != MSP_OK)
		err = msp_fail(why, err, "%.*s", (int)strcspn(msp_buf_text(&errors), "\n"), msp_buf_text(&errors));
	msp_buf_fini(&errors);
	return err;
}

static void use_settings(struct cmb_app *app, struct cmb_settings *s)
{
	app->settings = s;
	app->conf = cmb_settings_conf(s);
	app->log->level = (enum msp_log_level)app->conf->log_level;
	app->by_name.max = app->kept.max = (size_t)app->conf->zones_max;
}

static enum msp_err join_path(char *out, size_t len, const char *dir, const char *file)
{
	int n = snprintf(out, len, "%s/%s", dir, file);

	return n > 0 && (size_t)n < len ? MSP_OK : MSP_ECONF;
}

/* What is kept of zones comes in pieces. */
static enum msp_err note_kept(void *arg, const struct msp_name *zone, const struct cmb_state_zone *z)
{
	struct cmb_app *app = arg;
	struct msp_name_key k = msp_name_key(zone);
	struct cmb_state_zone *all = msp_map_get(&app->kept, msp_name_key_span(&k));
	enum msp_err err = MSP_OK;

	if (all == NULL) {
		all = msp_alloc(1, sizeof(*all));
		err = all != NULL ? msp_map_put(&app->kept, msp_name_key_span(&k), all, NULL) : MSP_ENOMEM;
		if (err != MSP_OK) {
			msp_free(all);
			app->kept_has_all = app->kept_has_all && err != MSP_ELIMIT;
			return err == MSP_ELIMIT ? MSP_OK : err;
		}
	}
	if (z->instructions > all->instructions)
		all->instructions = z->instructions;
	all->is_frozen = all->is_frozen || z->is_frozen;
	if (z->has_ceiling) {
		all->has_ceiling = true;
		all->ceiling = z->ceiling;
	}
	return MSP_OK;
}

static enum msp_err open_stores(struct cmb_app *app, struct msp_why *why)
{
	char path[PATH_LEN];
	struct cmb_pages_conf pc = { .path = path, .map_size = app->conf->map_size };
	bool anew = false;
	enum msp_err err = join_path(path, sizeof(path), app->conf->state_dir, "combinerd.db");

	if (err == MSP_OK)
		err = cmb_state_open(path, &app->store, why);
	if (err == MSP_OK)
		err = join_path(path, sizeof(path), app->conf->state_dir, "zones.lmdb");
	pc.readers_max = 2 * CMB_TRANSFERS_MAX + READERS_SPARE; /* a reload may raise what is configured now */
	if (err == MSP_OK)
		err = cmb_pages_open(&pc, &app->pages, &anew, why);
	if (err == MSP_OK && anew)
		msp_log(app->log, MSP_LOG_ERROR, "zone-store-damaged", MSP_F_STR("path", path),
			MSP_F_STR("what", "moved aside, zones will be transferred again"));
	if (err == MSP_OK)
		err = cmb_seen_load(app);
	app->kept_has_all = true;
	return err == MSP_OK ? cmb_state_each_zone(app->store, note_kept, app) : err;
}

struct opening {
	struct cmb_app *app;
	struct msp_why *why;
};

static enum msp_err open_zone(void *arg, const struct msp_name *zone, const struct cmb_profile *profile)
{
	struct opening *o = arg;
	struct cmb_hosted *h;
	enum msp_err err = cmb_shell_add(o->app, zone, profile, &h, o->why);

	return err;
}

static enum msp_err open_zones(struct cmb_app *app, struct msp_why *why)
{
	struct opening o = { app, why };
	enum msp_err err = cmb_settings_take_zones(app->settings, open_zone, &o);

	if (err == MSP_OK)
		cmb_commits_flush(app);
	return err == MSP_OK ? cmb_pages_find_garbage(app->pages) : err;
}

static enum msp_err open_parts(struct cmb_app *app)
{
	enum msp_err err = cmb_commits_open(app);

	if (err == MSP_OK)
		err = cmb_upstream_open(app);
	if (err == MSP_OK)
		err = cmb_notifier_open(app);
	return err;
}

static enum msp_err open_chores(struct cmb_app *app)
{
	enum msp_err err;

	app->chores = msp_alloc(1, sizeof(*app->chores));
	if (app->chores == NULL)
		return MSP_ENOMEM;
	app->chores->armed = MSP_MONO_NEVER;
	err = msp_timer_new(app->loop, agenda_due, app, &app->agenda_timer);
	if (err == MSP_OK)
		err = msp_timer_new(app->loop, tour, app, &app->chores->tour);
	return err == MSP_OK ? msp_timer_new(app->loop, housekeeping, app, &app->house) : err;
}

static enum msp_err open_outside(struct cmb_app *app, struct msp_why *why)
{
	enum msp_err err = cmb_listeners_open(app, app->settings, why);

	if (err == MSP_OK && app->conf->control != NULL)
		err = msp_control_open(app->loop, app->conf->control, cmb_commands, app, &app->control, why);
	return err == MSP_OK ? cmb_metrics_open(app, why) : err;
}

/* Everything is known before the first socket is open: nothing is served, not even an error, from half of the truth. */
static enum msp_err start(struct cmb_app *app, struct msp_why *why)
{
	struct cmb_settings *settings = NULL;
	enum msp_err err = load_settings(app->conf_path, &settings, why);

	if (err != MSP_OK)
		return err;
	use_settings(app, settings);
	err = msp_bucket_new(LOG_SOURCES, LOG_PER_S, LOG_BURST, &app->log_budget);
	if (err == MSP_OK)
		err = msp_bucket_new(1, LOG_ALL, LOG_BURSTS, &app->log_total);
	if (err == MSP_OK)
		err = open_chores(app);
	if (err == MSP_OK)
		err = cmb_trust_open(app, why);
	if (err == MSP_OK)
		err = open_stores(app, why);
	if (err == MSP_OK)
		err = open_parts(app);
	if (err == MSP_OK)
		err = open_zones(app, why);
	if (err == MSP_OK)
		err = cmb_catalogs_open(app, why);
	return err == MSP_OK ? open_outside(app, why) : err;
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
	msp_map_init(&app->by_name, 0);
	msp_map_init(&app->kept, 0);
	msp_map_init(&app->seen, CMB_SEEN_MAX);
	app->conf_path = msp_strdup(conf_path);
	err = app->conf_path != NULL ? start(app, why) : MSP_ENOMEM;
	if (err != MSP_OK) {
		if (why->text[0] == '\0')
			(void)msp_fail(why, err, "%s", msp_err_text(err));
		cmb_shell_stop(app);
		cmb_shell_free((void **)&app);
		return err;
	}
	app->is_running = true;
	(void)malloc_trim(0); /* the configuration file's tree may have been large */
	msp_timer_start(app->chores->tour, 0);
	cmb_shell_arm(app);
	housekeeping(app);
	*out = app;
	return MSP_OK;
}

/* --- reload ------------------------------------------------------------------------------------------------------- */

static void say_needs_restart(struct cmb_app *app, const struct cmb_conf *conf)
{
	if (strcmp(app->conf->state_dir, conf->state_dir) != 0)
		msp_log(app->log, MSP_LOG_WARNING, "needs-restart", MSP_F_STR("setting", "state-dir"));
	if (app->conf->map_size != conf->map_size)
		msp_log(app->log, MSP_LOG_WARNING, "needs-restart", MSP_F_STR("setting", "map-size"));
	if (conf->transfers_out_max > app->conf->transfers_out_max ||
	    conf->transfers_in_max > app->conf->transfers_in_max)
		msp_log(app->log, MSP_LOG_WARNING, "needs-restart",
			MSP_F_STR("setting", "more transfers than the store has been opened for"));
}

static enum msp_err reload_zone(void *arg, const struct msp_name *zone, const struct cmb_profile *profile)
{
	struct cmb_app *app = arg;
	struct cmb_hosted *h = cmb_shell_find(app, zone);
	struct msp_why why = { "" };

	if (h != NULL) {
		h->catalog = NULL; /* a catalog's member that is configured now belongs to the configuration */
		cmb_hosted_set_profile(h, profile);
	} else if (cmb_shell_add(app, zone, profile, &h, &why) == MSP_OK) {
		msp_log(app->log, MSP_LOG_NOTICE, "zone-added", MSP_F_STR("zone", MSP_NAME(zone)));
	} else {
		msp_log(app->log, MSP_LOG_ERROR, "zone-not-added", MSP_F_STR("zone", MSP_NAME(zone)),
			MSP_F_STR("why", why.text));
		return MSP_OK;
	}
	h->seen_round = app->round;
	return MSP_OK;
}

static void remove_zone(struct cmb_hosted *h)
{
	msp_log(h->app->log, MSP_LOG_NOTICE, "zone-removed", MSP_F_STR("zone", MSP_NAME(&h->name)));
	cmb_shell_remove(&h, false);
}

/* Those that the new configuration does not name; members of catalogs are the catalogs' business. */
static void remove_unseen(struct cmb_app *app)
{
	struct cmb_hosted **gone = NULL;
	size_t count = 0;
	struct msp_map_it it;

	for (bool more = msp_map_first(&app->by_name, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&app->by_name, &it)) {
		struct cmb_hosted *h = it.value;

		if (h->catalog != NULL || h->seen_round == app->round)
			continue;
		if (gone == NULL)
			gone = msp_alloc(app->by_name.count, sizeof(struct cmb_hosted *));
		if (gone != NULL)
			gone[count++] = h;
	}
	for (size_t i = 0; i < count; i++)
		remove_zone(gone[i]);
	msp_free(gone);
}

static void reload_outside(struct cmb_app *app, const char *old_control)
{
	const char *control = app->conf->control;
	struct msp_why why = { "" };
	bool same = control != NULL && old_control != NULL && strcmp(control, old_control) == 0;

	cmb_listeners_settle(app);
	if (!same && app->control != NULL)
		msp_control_close(&app->control);
	if (!same && control != NULL &&
	    msp_control_open(app->loop, control, cmb_commands, app, &app->control, &why) != MSP_OK)
		msp_log(app->log, MSP_LOG_ERROR, "control-failed", MSP_F_STR("why", why.text));
	if (cmb_trust_open(app, &why) != MSP_OK)
		msp_log(app->log, MSP_LOG_ERROR, "tlsa-failed", MSP_F_STR("why", why.text));
	if (cmb_metrics_open(app, &why) != MSP_OK)
		msp_log(app->log, MSP_LOG_ERROR, "metrics-failed", MSP_F_STR("why", why.text));
}

enum msp_err cmb_shell_reload(void *arg, struct msp_why *why)
{
	struct cmb_app *app = arg;
	struct cmb_settings *old = app->settings, *settings = NULL;
	enum msp_err err = load_settings(app->conf_path, &settings, why);

	if (err == MSP_OK)
		err = cmb_listeners_open(app, settings, why);
	if (err != MSP_OK) {
		cmb_settings_unref(&settings);
		return err;
	}
	say_needs_restart(app, cmb_settings_conf(settings));
	use_settings(app, settings);
	app->round++;
	if (cmb_settings_take_zones(settings, reload_zone, app) == MSP_OK) /* it never fails */
		remove_unseen(app);
	cmb_catalogs_reload(app);
	reload_outside(app, cmb_settings_conf(old)->control);
	cmb_trust_leave(app, old);
	cmb_settings_unref(&old); /* zones and transfers that still need it hold it */
	(void)malloc_trim(0);
	return MSP_OK;
}

/* --- stop --------------------------------------------------------------------------------------------------------- */

static void withdraw_all(struct cmb_app *app)
{
	struct msp_map_it it;

	for (bool more = msp_map_first(&app->by_name, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&app->by_name, &it)) {
		struct cmb_hosted *h = it.value;

		cmb_hosted_withdraw(h);
	}
}

static void stop_timers(struct cmb_app *app)
{
	if (app->chores != NULL && app->chores->tour != NULL)
		msp_timer_close(&app->chores->tour);
	if (app->agenda_timer != NULL)
		msp_timer_close(&app->agenda_timer);
	if (app->house != NULL)
		msp_timer_close(&app->house);
}

void cmb_shell_stop(void *arg)
{
	struct cmb_app *app = arg;

	app->is_running = false;
	cmb_listeners_close(app);
	if (app->control != NULL)
		msp_control_close(&app->control);
	cmb_metrics_close(app);
	cmb_trust_close(app);
	cmb_catalogs_close(app);
	cmb_upstream_close(app);
	cmb_notifier_close(app);
	withdraw_all(app);
	cmb_commits_close(app);
	stop_timers(app);
	while (app->pages != NULL && !cmb_hosted_flush_confirmed(app)) {
	}
}

static void drop_hosted(void *value)
{
	struct cmb_hosted *h = value;

	cmb_hosted_free(&h);
}

void cmb_shell_free(void **arg)
{
	struct cmb_app *app = *arg;

	if (app == NULL)
		return;
	msp_map_fini(&app->by_name, drop_hosted);
	msp_map_fini(&app->kept, msp_free);
	cmb_agenda_fini(&app->agenda);
	cmb_seen_fini(app);
	if (app->pages != NULL)
		cmb_pages_close(&app->pages);
	msp_bucket_free(&app->log_budget);
	msp_bucket_free(&app->log_total);
	if (app->store != NULL)
		msp_store_close(&app->store);
	if (app->chores != NULL)
		msp_free(app->chores->forget);
	msp_free(app->chores);
	cmb_settings_unref(&app->settings);
	msp_free(app->conf_path);
	msp_free(app);
	*arg = NULL;
}
