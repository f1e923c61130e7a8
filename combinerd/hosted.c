/* SPDX-License-Identifier: BSD-2-Clause */
/* A zone's life: created from its head alone, loaded when it is used, put to rest again, timers, expiry. */
#include "shell.h"

#include <msproto/base/mem.h>

#include <malloc.h>
#include <string.h>

#define CONFIRMED_MAX 500 /* zones in one transaction */
#define AGAIN_MS      1000
#define REST_MS       500 /* a zone that nobody has used for so long is no longer kept loaded: it is loaded in no time */
#define REST_SOME     256 /* zones at a time */

/* --- small things ------------------------------------------------------------------------------------------------- */

void cmb_candidate_free(struct cmb_candidate **c)
{
	struct cmb_candidate *gone = *c;

	*c = NULL;
	if (gone == NULL)
		return;
	cmb_build_free(&gone->build);
	cmb_edit_free(&gone->edit);
	cmb_owner_free(&gone->owner);
	msp_buf_fini(&gone->del);
	msp_buf_fini(&gone->add);
	msp_free(gone);
}

void cmb_hosted_set_trouble(struct cmb_hosted *h, const struct msp_why *why)
{
	if (why == NULL || why->text[0] == '\0') {
		msp_free(h->trouble);
		h->trouble = NULL;
		return;
	}
	if (h->trouble == NULL)
		h->trouble = msp_alloc(1, sizeof(*h->trouble));
	if (h->trouble == NULL)
		return; /* it is in the log */
	h->trouble->at = msp_wall_now();
	h->trouble->why = *why;
}

const char *cmb_hosted_trouble(const struct cmb_hosted *h)
{
	if (!h->has_head)
		return "not transferred yet";
	if (h->is_damaged)
		return "stored pages are damaged, fetching anew";
	if (cmb_refresh_is_expired(&h->refresh, msp_mono_now()))
		return "expired";
	return NULL;
}

static uint64_t age_s(const struct cmb_hosted *h)
{
	struct msp_wall now = msp_wall_now();

	return h->last_ok.s != 0 && now.s > h->last_ok.s ? (uint64_t)(now.s - h->last_ok.s) : 0;
}

void cmb_hosted_hold(struct cmb_hosted *h)
{
	struct msp_soa soa = { .serial = h->head.owner_serial,
			       .refresh_s = h->head.refresh_s,
			       .retry_s = h->head.retry_s,
			       .expire_s = h->head.expire_s };

	cmb_refresh_hold(&h->refresh, &soa, msp_mono_now(), age_s(h));
}

/* --- timers ------------------------------------------------------------------------------------------------------- */

void cmb_hosted_arm(struct cmb_hosted *h)
{
	struct msp_mono due = h->refresh.next;

	if (h->has_head && !h->was_expired)
		due = msp_mono_min(due, h->refresh.expires);
	if (h->is_dirty && h->has_head && !h->is_frozen && h->version == NULL && h->candidate == NULL)
		due = msp_mono_min(due, h->quiet_until);
	if (cmb_agenda_set(&h->app->agenda, &h->agenda, due) != MSP_OK)
		msp_log(h->app->log, MSP_LOG_ERROR, "no-timer", MSP_F_STR("zone", MSP_NAME(&h->name)));
	cmb_shell_arm(h->app);
}

static void look_at_expiry(struct cmb_hosted *h, struct msp_mono now)
{
	if (!h->has_head || h->was_expired || !cmb_refresh_is_expired(&h->refresh, now))
		return;
	h->was_expired = true;
	msp_log(h->app->log, MSP_LOG_ERROR, "zone-expired", MSP_F_STR("zone", MSP_NAME(&h->name)),
		MSP_F_STR("last-error", h->trouble ? h->trouble->why.text : ""));
}

void cmb_hosted_due(struct cmb_hosted *h)
{
	struct msp_mono now = msp_mono_now();

	look_at_expiry(h, now);
	if (h->is_dirty && msp_mono_reached(now, h->quiet_until))
		cmb_hosted_publish(h);
	if (msp_mono_reached(now, h->refresh.next))
		cmb_upstream_event(h, CMB_REV_TIMER);
	if (msp_mono_reached(now, h->refresh.next)) /* it could not even begin: not in a circle */
		h->refresh.next = msp_mono_add_ms(now, AGAIN_MS);
	cmb_hosted_arm(h);
}

/* --- in memory or at rest ----------------------------------------------------------------------------------------- */

bool cmb_hosted_is_busy(const struct cmb_hosted *h)
{
	return h->candidate != NULL || h->version != NULL || h->inspect != NULL || h->fetch != NULL || h->is_committing;
}

static void hot_out(struct cmb_hosted *h)
{
	struct cmb_app *app = h->app;

	*(h->hot_prev ? &h->hot_prev->hot_next : &app->hot_first) = h->hot_next;
	*(h->hot_next ? &h->hot_next->hot_prev : &app->hot_last) = h->hot_prev;
	h->hot_prev = h->hot_next = NULL;
	app->hot_count--;
}

static void hot_in(struct cmb_hosted *h)
{
	struct cmb_app *app = h->app;

	h->hot_prev = app->hot_last;
	*(app->hot_last ? &app->hot_last->hot_next : &app->hot_first) = h;
	app->hot_last = h;
	app->hot_count++;
	h->used = msp_mono_now();
}

void cmb_hosted_rest(struct cmb_hosted *h)
{
	if (h->zone == NULL || cmb_hosted_is_busy(h))
		return;
	hot_out(h);
	cmb_zone_fini(h->zone);
	msp_free(h->zone);
	h->zone = NULL;
}

/* The zones that were not used for longest go; busy ones get to the other end. Whoever has a zone in his hands has
 * touched it just now: it is far from the end that goes (zones-loaded-max is at least 16). */
static void make_room(struct cmb_app *app)
{
	size_t max = (size_t)app->conf->zones_loaded_max;

	for (size_t tries = 8; tries > 0 && app->hot_count > max; tries--) {
		struct cmb_hosted *h = app->hot_first;

		if (!cmb_hosted_is_busy(h)) {
			cmb_hosted_rest(h);
			continue;
		}
		hot_out(h);
		hot_in(h);
	}
}

bool cmb_hosted_rest_idle(struct cmb_app *app)
{
	struct msp_mono now = msp_mono_now();

	for (size_t i = 0; i < REST_SOME; i++) {
		struct cmb_hosted *h = app->hot_first;

		if (h == NULL || !msp_mono_reached(now, msp_mono_add_ms(h->used, REST_MS))) {
			if (i > 0)
				malloc_trim(0); /* a burst of zones is over: give its memory back */
			return false;
		}
		if (!cmb_hosted_is_busy(h)) {
			cmb_hosted_rest(h);
			continue;
		}
		hot_out(h);
		hot_in(h);
	}
	return true;
}

/* What is stored of the zone cannot be read: as if it had never been transferred. The ceiling of its serials is kept
 * elsewhere, so that they go on. */
static void forget_damaged(struct cmb_hosted *h)
{
	msp_log(h->app->log, MSP_LOG_ERROR, "pages-damaged", MSP_F_STR("zone", MSP_NAME(&h->name)),
		MSP_F_STR("what", "its record: fetching anew"));
	h->app->stats.pages_damaged++;
	if (cmb_pages_forget(h->app->pages, &h->name) != MSP_OK)
		msp_log(h->app->log, MSP_LOG_ERROR, "store-write-failed", MSP_F_STR("zone", MSP_NAME(&h->name)));
	h->has_head = false;
	memset(&h->head, 0, sizeof(h->head));
	h->refresh.is_held = false;
	h->refresh.expires = MSP_MONO_NEVER;
	if (h->refresh.next.ms != MSP_MONO_NEVER.ms) {
		h->refresh.next = msp_mono_now();
		cmb_hosted_arm(h);
	}
}

static void restore(struct cmb_hosted *h, struct cmb_zone *z, struct cmb_record *r, struct cmb_contrib *c)
{
	struct cmb_rules rules = h->profile->rules;

	rules.zone = h->name;
	cmb_zone_init(z, &rules);
	cmb_zone_restore(z, r, c);
	/* What is not in the state any more, an older copy perhaps, is written there again with the next version. */
	z->serials.has_ceiling = h->kept != NULL && h->kept->has_ceiling;
	z->serials.ceiling = z->serials.has_ceiling ? h->kept->ceiling : 0;
	if (r == NULL && z->serials.has_ceiling)
		cmb_serials_restore(&z->serials, h->kept->ceiling);
}

static enum msp_err load(struct cmb_hosted *h, struct cmb_zone *z, struct msp_why *why)
{
	struct cmb_record record = { .owner = NULL };
	struct cmb_contrib contrib = { .entry = NULL };
	enum msp_err err = MSP_ENOTFOUND;

	if (h->kept != NULL && h->kept->instructions != 0) {
		err = cmb_state_get_contrib(h->app->store, &h->name, &contrib, why);
		if (err != MSP_OK)
			return err;
	}
	err = h->has_head ? cmb_pages_load(h->app->pages, &h->name, &record, why) : MSP_ENOTFOUND;
	if (err == MSP_ECORRUPT) {
		forget_damaged(h);
		err = MSP_ENOTFOUND;
	}
	if (err == MSP_OK || err == MSP_ENOTFOUND)
		restore(h, z, err == MSP_OK ? &record : NULL, &contrib);
	cmb_record_fini(&record);
	cmb_contrib_fini(&contrib);
	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

struct cmb_zone *cmb_hosted_zone(struct cmb_hosted *h)
{
	struct msp_why why = { "" };
	struct cmb_zone *z;
	enum msp_err err;

	if (h->zone != NULL) {
		hot_out(h);
		hot_in(h);
		return h->zone;
	}
	z = msp_alloc(1, sizeof(*z));
	err = z != NULL ? load(h, z, &why) : MSP_ENOMEM;
	if (err != MSP_OK) {
		msp_free(z);
		if (why.text[0] == '\0')
			(void)msp_fail(&why, err, "%s", msp_err_text(err));
		cmb_hosted_set_trouble(h, &why);
		msp_log(h->app->log, MSP_LOG_ERROR, "zone-not-loaded", MSP_F_STR("zone", MSP_NAME(&h->name)),
			MSP_F_STR("why", why.text));
		return NULL;
	}
	h->app->stats.zones_loaded++;
	h->zone = z;
	hot_in(h);
	make_room(h->app);
	return z;
}

/* --- confirmed ---------------------------------------------------------------------------------------------------- */

static void unconfirmed_in(struct cmb_hosted *h)
{
	if (h->is_unconfirmed_on_disk || !h->has_head)
		return;
	h->is_unconfirmed_on_disk = true;
	h->unconfirmed_next = h->app->unconfirmed;
	h->app->unconfirmed = h;
}

void cmb_hosted_refreshed(struct cmb_hosted *h)
{
	h->last_ok = msp_wall_now();
	cmb_hosted_set_trouble(h, NULL);
	if (h->was_expired)
		msp_log(h->app->log, MSP_LOG_NOTICE, "zone-unexpired", MSP_F_STR("zone", MSP_NAME(&h->name)));
	h->was_expired = false;
	unconfirmed_in(h);
}

/* Else the zone would be behind, and be loaded, at each start. */
void cmb_hosted_applied(struct cmb_hosted *h)
{
	struct cmb_zone *z = h->zone;

	h->is_dirty = false;
	h->head.instructions = z->served_instructions = z->contrib.number;
	h->head.rules = z->served_rules = cmb_rules_fingerprint(&z->rules);
	unconfirmed_in(h);
}

static void unconfirmed_out(struct cmb_hosted *h)
{
	struct cmb_hosted **at = &h->app->unconfirmed;

	if (!h->is_unconfirmed_on_disk)
		return;
	while (*at != h)
		at = &(*at)->unconfirmed_next;
	*at = h->unconfirmed_next;
	h->unconfirmed_next = NULL;
	h->is_unconfirmed_on_disk = false;
}

/* Each NOTIFY, which anybody may forge, leads to a refresh: not each refresh to an fsync. What is on disk may be a
 * little too old: after a crash the zone expires early rather than late. */
bool cmb_hosted_flush_confirmed(struct cmb_app *app)
{
	struct cmb_confirmed c[CONFIRMED_MAX];
	size_t count = 0;
	enum msp_err err;

	while (app->unconfirmed != NULL && count < CONFIRMED_MAX) {
		struct cmb_hosted *h = app->unconfirmed;

		app->unconfirmed = h->unconfirmed_next;
		h->unconfirmed_next = NULL;
		h->is_unconfirmed_on_disk = false;
		if (h->has_head)
			c[count++] =
				(struct cmb_confirmed){ &h->name, h->last_ok, h->head.instructions, h->head.rules };
	}
	err = count > 0 ? cmb_pages_confirm(app->pages, c, count) : MSP_OK;
	if (err != MSP_OK)
		msp_log(app->log, MSP_LOG_WARNING, "store-write-failed", MSP_F_STR("what", "confirmed times"),
			MSP_F_STR("error", msp_err_text(err)));
	return app->unconfirmed == NULL;
}

void cmb_hosted_damaged(struct cmb_hosted *h)
{
	if (h->is_damaged)
		return;
	h->is_damaged = true;
	h->app->stats.pages_damaged++;
	h->refresh.is_held = false; /* fetch until it succeeds: asking for the serial would find nothing new */
	msp_log(h->app->log, MSP_LOG_ERROR, "pages-damaged", MSP_F_STR("zone", MSP_NAME(&h->name)));
	cmb_upstream_event(h, CMB_REV_FORCE);
}

/* --- beginning and end -------------------------------------------------------------------------------------------- */

static uint64_t fingerprint(const struct cmb_hosted *h)
{
	struct cmb_rules rules = h->profile->rules;

	rules.zone = h->name;
	return cmb_rules_fingerprint(&rules);
}

static bool is_behind(const struct cmb_hosted *h)
{
	return h->has_head &&
	       (h->head.instructions != (h->kept ? h->kept->instructions : 0) || h->head.rules != fingerprint(h));
}

static enum msp_err read_head(struct cmb_hosted *h)
{
	enum msp_err err = cmb_pages_head(h->app->pages, &h->name, &h->head);

	if (err == MSP_ECORRUPT) {
		forget_damaged(h);
		return MSP_OK;
	}
	if (err != MSP_OK)
		return err == MSP_ENOTFOUND ? MSP_OK : err;
	h->has_head = true;
	h->last_ok = h->head.confirmed;
	cmb_hosted_hold(h);
	return MSP_OK;
}

static enum msp_err keep(struct cmb_hosted *h, const struct cmb_state_zone *kept)
{
	if (kept == NULL)
		return MSP_OK;
	h->kept = msp_memdup(kept, sizeof(*kept));
	if (h->kept == NULL)
		return MSP_ENOMEM;
	h->is_frozen = kept->is_frozen;
	return MSP_OK;
}

enum msp_err cmb_hosted_new(struct cmb_app *app, const struct msp_name *name, const struct cmb_profile *profile,
			    const struct cmb_state_zone *kept, struct cmb_hosted **out, struct msp_why *why)
{
	struct cmb_hosted *h = msp_alloc(1, sizeof(*h));
	enum msp_err err;

	*out = NULL;
	if (h == NULL)
		return MSP_ENOMEM;
	h->app = app;
	h->profile = profile;
	cmb_settings_ref(profile->settings);
	h->name = *name;
	h->quiet_until = (struct msp_mono){ INT64_MIN };
	cmb_refresh_init(&h->refresh, &profile->limits, profile->primary_count, msp_mono_now());
	err = keep(h, kept);
	if (err == MSP_OK)
		err = read_head(h);
	if (err != MSP_OK) {
		(void)msp_fail(why, err, "zone %.150s: %s", MSP_NAME(name), msp_err_text(err));
		cmb_hosted_free(&h);
		return err;
	}
	if (h->is_frozen)
		cmb_refresh_freeze(&h->refresh);
	if (is_behind(h)) {
		h->is_dirty = true;
		cmb_hosted_publish(h);
	}
	*out = h;
	return MSP_OK;
}

void cmb_hosted_free(struct cmb_hosted **out)
{
	struct cmb_hosted *h = *out;
	struct cmb_settings *settings;

	*out = NULL;
	if (h == NULL)
		return;
	if (h->app->upstream != NULL)
		cmb_upstream_cancel(h);
	if (h->app->notifier != NULL)
		cmb_notify_cancel(h);
	cmb_hosted_withdraw(h);
	cmb_candidate_free(&h->held);
	if (cmb_agenda_set(&h->app->agenda, &h->agenda, MSP_MONO_NEVER) != MSP_OK) {
		/* cannot be: taking out needs no memory */
	}
	unconfirmed_out(h);
	h->fetch = NULL;
	cmb_hosted_rest(h);
	msp_free(h->trouble);
	msp_free(h->kept);
	settings = h->profile->settings;
	cmb_settings_unref(&settings);
	msp_free(h);
}

void cmb_hosted_set_profile(struct cmb_hosted *h, const struct cmb_profile *profile)
{
	struct cmb_settings *old = h->profile->settings;
	struct msp_mono now = msp_mono_now();
	struct cmb_refresh *r = &h->refresh;

	if (h->profile == profile)
		return;
	cmb_settings_ref(profile->settings);
	h->profile = profile;
	cmb_settings_unref(&old);
	r->limits = &profile->limits;
	r->primaries = profile->primary_count;
	r->primary = r->primary < r->primaries ? r->primary : 0;
	r->no_ixfr = r->key_next = 0;
	h->has_refused = false; /* another verifier may see it differently */
	if (h->app->upstream != NULL)
		cmb_upstream_renew(h);
	if (h->has_head && r->is_held)
		cmb_hosted_hold(h);
	if (r->next.ms != MSP_MONO_NEVER.ms) /* other primaries may have what the old ones had not */
		r->next = msp_mono_min(r->next, r->is_held ? msp_mono_add_ms(now, (int64_t)r->refresh_s * 1000) : now);
	if (h->zone != NULL) {
		h->zone->rules = profile->rules;
		h->zone->rules.zone = h->name;
	}
	if (is_behind(h)) {
		h->is_dirty = true;
		h->quiet_until = now; /* through the agenda, which does a few at a time */
	}
	cmb_hosted_arm(h);
}
