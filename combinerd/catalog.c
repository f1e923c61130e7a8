/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Catalog zones as their consumer: the members that a catalog names are hosted like configured zones. After each new
 * version of a catalog a pass compares what it says with what is there, a little in each round of the loop: read all
 * of it; add and change; remove what it no longer names. A broken catalog changes nothing. @source RFC 9432
 */
#include "shell.h"

#include "members.h"

#include <msproto/base/mem.h>

#include <string.h>

#define READ_PAGES   8 /* in one round of the loop */
#define ADD_MAX      1000
#define RESET_COST   50 /* a reset writes to the disk */
#define LOOK_MAX     5000
#define REMOVE_MAX   100
#define REFUSALS_LOG 20 /* lines in one pass */
#define AGAIN_MS     1000

enum phase { IDLE, READ, ADD, REMOVE };

struct cmb_catalog {
	struct cmb_catalog *next;
	struct cmb_app *app; /* borrowed */
	struct msp_name zone;
	enum phase phase;
	bool is_due;     /* something has changed: another pass */
	bool is_stalled; /* the pass could not go on, for want of something: once more, later */
	bool is_leaving; /* no longer configured: its members go, and then itself */
	uint64_t pass;
	struct cmb_snap *snap; /* READ */
	uint64_t pages, pages_wanted;
	struct cmb_members members;
	struct msp_name_key at; /* ADD, REMOVE: where it goes on */
	uint64_t added, removed, changed, refused;
	struct msp_map leave; /* owned struct msp_name by name key: members that may go to another catalog, and which */
};
struct cmb_catalogs {
	struct cmb_catalog *first;
	struct msp_timer *timer;
};

/* --- small things ------------------------------------------------------------------------------------------------- */

static const struct cmb_conf_catalog *conf_of(const struct cmb_catalog *c)
{
	const struct cmb_conf_catalog *list = c->app->conf->catalogs.item;

	for (size_t i = 0; i < c->app->conf->catalogs.count; i++)
		if (msp_name_equal(&list[i].zone, &c->zone))
			return &list[i];
	return NULL;
}

/* The first group of the configuration that the member is in says its template. */
static const struct cmb_profile *profile_for(const struct cmb_catalog *c, const struct cmb_member *m)
{
	const struct cmb_conf_catalog *conf = conf_of(c);
	const char *template = conf->template;

	for (size_t i = conf->groups.count; i-- > 0;) {
		const struct cmb_conf_group *g = (const struct cmb_conf_group *)conf->groups.item + i;

		if (cmb_member_in_group(m, g->group))
			template = g->template;
	}
	return cmb_settings_profile(c->app->settings, template);
}

static void copy_key(struct msp_name_key *to, struct msp_span key)
{
	to->len = (uint16_t)key.len;
	memcpy(to->oct, key.ptr, key.len);
}

static void log_member(const struct cmb_catalog *c, enum msp_log_level level, const char *event,
		       const struct msp_name *zone, const char *what)
{
	msp_log(c->app->log, level, event, MSP_F_STR("catalog", MSP_NAME(&c->zone)), MSP_F_STR("zone", MSP_NAME(zone)),
		MSP_F_STR("what", what));
}

static void refuse_member(struct cmb_catalog *c, const struct msp_name *zone, const char *what)
{
	if (c->refused++ < REFUSALS_LOG)
		log_member(c, MSP_LOG_WARNING, "catalog-member-refused", zone, what);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void end_pass(struct cmb_catalog *c)
{
	cmb_snap_close(&c->snap);
	cmb_members_fini(&c->members);
	memset(&c->members, 0, sizeof(c->members));
	c->phase = IDLE;
}

static void stop_broken(struct cmb_catalog *c, enum msp_err err, const struct msp_why *why)
{
	struct cmb_hosted *h = cmb_shell_find(c->app, &c->zone);

	msp_log(c->app->log, MSP_LOG_ERROR, "catalog-broken", MSP_F_STR("catalog", MSP_NAME(&c->zone)),
		MSP_F_STR("why", why->text), MSP_F_STR("effect", "its members stay as they are"));
	if (h != NULL)
		cmb_hosted_set_trouble(h, why);
	if (h != NULL && err == MSP_ECORRUPT)
		cmb_hosted_damaged(h);
	c->is_stalled = err != MSP_EFORMAT && err != MSP_ELIMIT && err != MSP_ECORRUPT;
	end_pass(c);
}

static void begin(struct cmb_catalog *c)
{
	struct cmb_hosted *h = cmb_shell_find(c->app, &c->zone);
	struct cmb_zone *z = !c->is_leaving && h != NULL && h->has_head ? cmb_hosted_zone(h) : NULL;
	struct msp_why why = { "" };
	enum msp_err err;

	c->is_due = false;
	c->pass = ++c->app->round;
	c->added = c->removed = c->changed = c->refused = c->pages = 0;
	c->at.len = 0;
	if (c->is_leaving) {
		c->phase = REMOVE;
		return;
	}
	if (z == NULL || z->owner == NULL) {
		c->is_stalled = h != NULL && h->has_head;
		return; /* not transferred yet, or not to be had just now */
	}
	cmb_members_init(&c->members, &c->zone, (size_t)c->app->conf->zones_max);
	c->pages_wanted = z->owner->pages;
	err = cmb_snap_open(c->app->pages, z->owner->gen, &c->snap);
	c->phase = READ;
	if (err == MSP_OK)
		return;
	(void)msp_fail(&why, err, "reading the catalog: %s", msp_err_text(err));
	stop_broken(c, err, &why);
}

static enum msp_err read_page(struct cmb_catalog *c, struct msp_span page, struct msp_why *why)
{
	struct msp_msg m;
	struct msp_msg_it it;
	struct msp_rr rr;
	enum msp_err err = msp_msg_parse(page, &c->app->scratch, &m, why);

	if (err != MSP_OK)
		return err;
	msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, &c->app->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr))
		err = cmb_members_add(&c->members, &rr);
	return err;
}

static enum msp_err all_read(struct cmb_catalog *c, struct msp_why *why)
{
	if (c->pages != c->pages_wanted)
		return msp_fail(why, MSP_ECORRUPT, "pages are missing");
	return cmb_members_finish(&c->members, why);
}

static void read_some(struct cmb_catalog *c)
{
	struct msp_why why = { "" };
	enum msp_err err = MSP_OK;

	for (unsigned i = 0; err == MSP_OK && i < READ_PAGES; i++) {
		struct msp_span page;

		err = cmb_snap_next(c->snap, &page);
		if (err == MSP_OK)
			err = read_page(c, page, &why);
		c->pages += err == MSP_OK;
	}
	if (err == MSP_OK)
		return;
	if (err == MSP_ENOTFOUND) {
		err = all_read(c, &why);
		if (err == MSP_OK) {
			cmb_snap_close(&c->snap);
			c->phase = ADD;
			return;
		}
	}
	if (why.text[0] == '\0')
		(void)msp_fail(&why, err, "%s", msp_err_text(err));
	stop_broken(c, err, &why);
}

/* --- adding and changing ------------------------------------------------------------------------------------------ */

static void add_member(struct cmb_catalog *c, const struct msp_name *zone, const struct cmb_member *m)
{
	struct cmb_hosted *h;
	struct msp_why why = { "" };
	enum msp_err err = cmb_shell_add(c->app, zone, profile_for(c, m), &h, &why);

	if (err != MSP_OK) {
		refuse_member(c, zone, why.text[0] ? why.text : msp_err_text(err));
		return;
	}
	h->catalog = c;
	h->member = m->id;
	h->seen_round = c->pass;
	c->added++;
	log_member(c, MSP_LOG_INFO, "catalog-member-added", zone, "");
	if (h->has_head && c->app->is_running)
		cmb_notify_all(h); /* the signer may have missed what was last said */
}

/* RFC 9432 4.4.1: the catalog that has it lets it go to this one. */
static bool may_come(const struct cmb_catalog *c, const struct cmb_hosted *h)
{
	struct msp_name_key k = msp_name_key(&h->name);
	const struct msp_name *to = msp_map_get(&h->catalog->leave, msp_name_key_span(&k));

	return to != NULL && msp_name_equal(to, &c->zone);
}

/* @return what it cost */
static unsigned change_member(struct cmb_catalog *c, struct cmb_hosted *h, const struct cmb_member *m)
{
	struct msp_name zone = h->name;
	const struct cmb_profile *profile = profile_for(c, m);
	bool is_move = h->catalog != c;

	if (is_move && (h->catalog == NULL || !may_come(c, h))) {
		refuse_member(c, &zone, h->catalog ? "another catalog has it" : "it is configured");
		return 1;
	}
	if (h->member != m->id) { /* RFC 9432 5.4: another unique label, nothing of the old zone may stay */
		log_member(c, MSP_LOG_NOTICE, "catalog-member-reset", &zone, "its unique label has changed");
		cmb_shell_remove(&h, true);
		add_member(c, &zone, m);
		return RESET_COST;
	}
	c->changed += is_move || h->profile != profile;
	h->catalog = c;
	h->seen_round = c->pass;
	cmb_hosted_set_profile(h, profile);
	return 1;
}

static void add_some(struct cmb_catalog *c)
{
	struct msp_map_it it;
	unsigned cost = 0;
	bool more;

	for (more = msp_map_first(&c->members.by_zone, msp_name_key_span(&c->at), &it); more && cost < ADD_MAX;
	     more = msp_map_next(&c->members.by_zone, &it)) {
		const struct cmb_member *m = it.value;
		struct msp_name zone;
		struct cmb_hosted *h;

		cost++;
		if (msp_name_from_wire(m->zone, &zone) != MSP_OK)
			continue;
		h = cmb_shell_find(c->app, &zone);
		if (h == NULL)
			add_member(c, &zone, m);
		else
			cost += change_member(c, h, m);
	}
	if (more) {
		copy_key(&c->at, it.key);
		return;
	}
	c->at.len = 0;
	c->phase = REMOVE;
}

/* --- removing ----------------------------------------------------------------------------------------------------- */

static void note_leave(struct cmb_catalog *c)
{
	struct msp_map_it it;

	msp_map_fini(&c->leave, msp_free);
	msp_map_init(&c->leave, (size_t)c->app->conf->zones_max);
	for (bool more = msp_map_first(&c->members.by_zone, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&c->members.by_zone, &it)) {
		const struct cmb_member *m = it.value;
		struct msp_name *to = m->coo.len > 0 ? msp_alloc(1, sizeof(*to)) : NULL;

		if (to == NULL)
			continue;
		if (msp_name_from_wire(m->coo, to) != MSP_OK || msp_map_put(&c->leave, it.key, to, NULL) != MSP_OK)
			msp_free(to);
	}
}

/* Who waits for a member of this catalog to be let go looks again. */
static void wake_others(struct cmb_catalog *c)
{
	if (c->leave.count == 0 && c->removed == 0)
		return;
	for (struct cmb_catalog *o = c->app->catalogs->first; o != NULL; o = o->next)
		if (o != c && o->refused > 0)
			o->is_due = true;
}

static void finish(struct cmb_catalog *c)
{
	note_leave(c);
	msp_log(c->app->log, c->added + c->removed + c->changed + c->refused > 0 ? MSP_LOG_NOTICE : MSP_LOG_INFO,
		"catalog", MSP_F_STR("catalog", MSP_NAME(&c->zone)), MSP_F_U64("members", c->members.by_zone.count),
		MSP_F_U64("added", c->added), MSP_F_U64("removed", c->removed), MSP_F_U64("changed", c->changed),
		MSP_F_U64("refused", c->refused));
	wake_others(c);
	end_pass(c);
}

static void remove_some(struct cmb_catalog *c)
{
	struct cmb_app *app = c->app;
	struct cmb_hosted *gone[REMOVE_MAX];
	size_t count = 0;
	unsigned looked = 0;
	struct msp_map_it it;
	bool more;

	for (more = msp_map_first(&app->by_name, msp_name_key_span(&c->at), &it);
	     more && count < REMOVE_MAX && looked < LOOK_MAX; more = msp_map_next(&app->by_name, &it), looked++) {
		struct cmb_hosted *h = it.value;

		if (h->catalog == c && h->seen_round != c->pass)
			gone[count++] = h;
	}
	if (more)
		copy_key(&c->at, it.key);
	for (size_t i = 0; i < count; i++) {
		log_member(c, MSP_LOG_INFO, "catalog-member-removed", &gone[i]->name, "");
		cmb_shell_remove(&gone[i], false);
	}
	c->removed += count;
	if (!more)
		finish(c);
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void drop(struct cmb_catalog *c)
{
	end_pass(c);
	msp_map_fini(&c->leave, msp_free);
	msp_free(c);
}

static void step(struct cmb_catalog *c)
{
	switch (c->phase) {
	case IDLE:
		begin(c);
		break;
	case READ:
		read_some(c);
		break;
	case ADD:
		add_some(c);
		break;
	case REMOVE:
		remove_some(c);
		break;
	}
}

/* One step of the first catalog with something to do. False: none has. */
static bool step_one(struct cmb_catalogs *all)
{
	for (struct cmb_catalog **at = &all->first; *at != NULL; at = &(*at)->next) {
		struct cmb_catalog *c = *at;

		if (c->phase == IDLE && !c->is_due)
			continue;
		step(c);
		if (c->is_leaving && c->phase == IDLE && !c->is_due) {
			*at = c->next;
			drop(c);
		}
		return true;
	}
	return false;
}

static bool wake_stalled(struct cmb_catalogs *all)
{
	bool any = false;

	for (struct cmb_catalog *c = all->first; c != NULL; c = c->next) {
		any = any || c->is_stalled;
		c->is_due = c->is_due || c->is_stalled;
		c->is_stalled = false;
	}
	return any;
}

static void go_on(void *arg)
{
	struct cmb_catalogs *all = arg;

	if (step_one(all))
		msp_timer_start(all->timer, 0);
	else if (wake_stalled(all))
		msp_timer_start(all->timer, AGAIN_MS);
}

static enum msp_err open_one(struct cmb_app *app, const struct msp_name *zone)
{
	struct cmb_catalog *c = msp_alloc(1, sizeof(*c));

	if (c == NULL)
		return MSP_ENOMEM;
	c->app = app;
	c->zone = *zone;
	c->is_due = true;
	c->next = app->catalogs->first;
	app->catalogs->first = c;
	return MSP_OK;
}

static struct cmb_catalog *find(struct cmb_catalogs *all, const struct msp_name *zone)
{
	struct cmb_catalog *c = all->first;

	while (c != NULL && !msp_name_equal(&c->zone, zone))
		c = c->next;
	return c;
}

static enum msp_err open_configured(struct cmb_app *app)
{
	const struct cmb_conf_catalog *list = app->conf->catalogs.item;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < app->conf->catalogs.count; i++) {
		struct cmb_catalog *c = find(app->catalogs, &list[i].zone);

		if (c == NULL) {
			err = open_one(app, &list[i].zone);
			continue;
		}
		c->is_leaving = false;
		c->is_due = true;
	}
	return err;
}

/* Before anything is served: members are there from the first answer on, as far as they are known. */
enum msp_err cmb_catalogs_open(struct cmb_app *app, struct msp_why *why)
{
	enum msp_err err;

	app->catalogs = msp_alloc(1, sizeof(*app->catalogs));
	if (app->catalogs == NULL)
		return MSP_ENOMEM;
	err = msp_timer_new(app->loop, go_on, app->catalogs, &app->catalogs->timer);
	if (err == MSP_OK)
		err = open_configured(app);
	if (err != MSP_OK)
		return msp_fail(why, err, "catalogs: %s", msp_err_text(err));
	while (step_one(app->catalogs)) {
	}
	if (wake_stalled(app->catalogs))
		msp_timer_start(app->catalogs->timer, AGAIN_MS);
	cmb_commits_flush(app);
	return MSP_OK;
}

/* Members get their template's new settings at once; their catalog's pass sees to those whose group has changed. */
static void renew_members(struct cmb_app *app)
{
	struct msp_map_it it;

	for (bool more = msp_map_first(&app->by_name, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&app->by_name, &it)) {
		struct cmb_hosted *h = it.value;
		const struct cmb_profile *p =
			h->catalog ? cmb_settings_profile(app->settings, h->profile->template) : NULL;

		if (p != NULL)
			cmb_hosted_set_profile(h, p);
	}
}

void cmb_catalogs_reload(struct cmb_app *app)
{
	struct cmb_catalogs *all = app->catalogs;

	if (all->first != NULL)
		renew_members(app);
	for (struct cmb_catalog *c = all->first; c != NULL; c = c->next) {
		end_pass(c);
		c->is_due = c->is_leaving = true;
	}
	if (open_configured(app) != MSP_OK)
		msp_log(app->log, MSP_LOG_ERROR, "catalog-failed", MSP_F_STR("why", msp_err_text(MSP_ENOMEM)));
	msp_timer_start(all->timer, 0);
}

void cmb_catalogs_changed(struct cmb_hosted *h)
{
	struct cmb_catalogs *all = h->app->catalogs;
	struct cmb_catalog *c = all != NULL ? find(all, &h->name) : NULL;

	if (c == NULL)
		return;
	if (c->phase != IDLE)
		end_pass(c);
	c->is_due = true;
	msp_timer_start(all->timer, 0);
}

void cmb_catalogs_close(struct cmb_app *app)
{
	struct cmb_catalogs *all = app->catalogs;

	if (all == NULL)
		return;
	app->catalogs = NULL;
	if (all->timer != NULL)
		msp_timer_close(&all->timer);
	while (all->first != NULL) {
		struct cmb_catalog *c = all->first;

		all->first = c->next;
		drop(c);
	}
	msp_free(all);
}
