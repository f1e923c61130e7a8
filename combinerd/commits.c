/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commits: versions of several zones in one transaction, and only then visible. The order on disk makes kill -9
 * harmless at any point: ceilings of serials and instructions (SQLite), then pages, record and history in one
 * transaction (the zone store), then the version is given to others.
 */
#include "commits.h"

#include "inspect.h"

#include <msproto/base/mem.h>

#include <string.h>

#define BATCH_MAX       256 /* zones in one transaction */
#define GATHER_MAX_MS   20
#define AGAIN_MS        1000
#define REFUSED_AGAIN_S 60 /* instructions whose version the verifier refused */
#define HISTORY_MIN     (64u << 10)

/** What became of an offer that never got into a transaction; upstream hears of it from the loop. */
struct outcome {
	struct cmb_hosted *h; /* NULL: gone meanwhile */
	enum msp_err err;
	struct msp_why why;
};
struct cmb_commits {
	struct cmb_app *app;
	struct msp_timer *timer;
	struct cmb_hosted **ready; /* owned array: zones with a version to be committed; NULL = withdrawn */
	size_t ready_count, ready_size;
	struct outcome *told; /* owned array */
	size_t told_count, told_size;
	size_t last_count;      /* of the last round: zones, */
	struct msp_mono gather; /* and until when the next one waits for more when there were many */
};

/* --- the end of a version ----------------------------------------------------------------------------------------- */

static void log_notes(struct cmb_hosted *h)
{
	uint32_t news = h->notes & ~h->logged_notes;

	for (unsigned i = 0; i < CMB_NOTE__N; i++)
		if ((news & CMB_NOTE_BIT(i)) != 0)
			msp_log(h->app->log, MSP_LOG_WARNING, "zone-note", MSP_F_STR("zone", MSP_NAME(&h->name)),
				MSP_F_STR("note", cmb_note_name((enum cmb_note)i)),
				MSP_F_STR("text", cmb_note_text((enum cmb_note)i)));
	h->logged_notes = h->notes;
}

static void made_visible(struct cmb_hosted *h, const char *cause)
{
	const struct cmb_head *head = &h->head;

	h->app->stats.versions++;
	msp_log(h->app->log, MSP_LOG_NOTICE, "version", MSP_F_STR("zone", MSP_NAME(&h->name)),
		MSP_F_U64("serial", head->out_serial), MSP_F_U64("owner-serial", head->owner_serial),
		MSP_F_STR("cause", cause));
	if (cmb_serials_far(head->out_serial, head->owner_serial))
		msp_log(h->app->log, MSP_LOG_INFO, "serial-far", MSP_F_STR("zone", MSP_NAME(&h->name)),
			MSP_F_U64("serial", head->out_serial), MSP_F_U64("owner-serial", head->owner_serial));
	log_notes(h);
	if (h->app->is_running)
		cmb_notify_all(h);
	cmb_catalogs_changed(h);
}

static void log_failure(struct cmb_hosted *h, enum msp_err err, const struct msp_why *why)
{
	msp_log(h->app->log, err == MSP_EREFUSED ? MSP_LOG_WARNING : MSP_LOG_ERROR, "version-failed",
		MSP_F_STR("zone", MSP_NAME(&h->name)), MSP_F_STR("error", msp_err_name(err)),
		MSP_F_STR("why", why->text));
}

void cmb_commits_give_up(struct cmb_hosted *h, enum msp_err err, const struct msp_why *why)
{
	struct msp_why reason = *why;
	bool tell = h->candidate != NULL && !h->candidate->from_hold;

	if (reason.text[0] == '\0')
		(void)msp_fail(&reason, err, "%s", msp_err_text(err));
	if (!tell) /* else upstream says it, with the name of the primary */
		cmb_hosted_set_trouble(h, &reason);
	log_failure(h, err, &reason);
	h->is_committing = false;
	cmb_version_free(&h->version);
	cmb_candidate_free(&h->candidate);
	if (h->is_dirty)
		h->quiet_until =
			msp_mono_add_ms(msp_mono_now(), err == MSP_EREFUSED ? REFUSED_AGAIN_S * 1000 : AGAIN_MS);
	if (tell)
		cmb_upstream_taken(h, err, &reason);
	cmb_hosted_arm(h);
}

static void start_quiet_time(struct cmb_hosted *h)
{
	h->quiet_until = msp_mono_add_ms(msp_mono_now(), h->profile->conf->coalesce_ms);
}

/* On disk: the zone as others see it from now on. */
static void adopt(struct cmb_hosted *h, const struct cmb_head *head)
{
	struct cmb_candidate *c = h->candidate;

	h->notes = h->version->notes;
	cmb_zone_adopt(h->zone, &h->version, c ? &c->owner : NULL);
	h->head = *head;
	h->has_head = true;
	h->is_committing = false;
	h->is_dirty = cmb_zone_is_behind(h->zone); /* of instructions and settings that came meanwhile */
	if (c == NULL) {
		start_quiet_time(h);
		return;
	}
	h->has_refused = h->was_expired = false;
	h->last_ok = head->confirmed;
	cmb_hosted_set_trouble(h, NULL);
	cmb_hosted_hold(h);
	h->is_damaged = h->is_damaged && c->edit != NULL; /* differences leave most pages as they were */
	h->refresh.is_held = !h->is_damaged;
}

static void finish(struct cmb_hosted *h)
{
	bool is_owner = h->candidate != NULL, tell = is_owner && !h->candidate->from_hold;

	cmb_candidate_free(&h->candidate);
	made_visible(h, is_owner ? "owner" : "instructions");
	if (tell)
		cmb_upstream_taken(h, MSP_OK, NULL);
	cmb_hosted_arm(h);
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static const struct cmb_owner *owner_of(const struct cmb_hosted *h)
{
	return h->candidate ? h->candidate->owner : h->zone->owner;
}

static enum msp_err keep_ceiling(struct cmb_hosted *h, uint32_t ceiling)
{
	if (h->kept == NULL)
		h->kept = msp_alloc(1, sizeof(*h->kept));
	if (h->kept == NULL)
		return MSP_ENOMEM;
	h->kept->has_ceiling = h->zone->serials.has_ceiling = true;
	h->kept->ceiling = h->zone->serials.ceiling = ceiling;
	return MSP_OK;
}

enum msp_err cmb_commits_end_txn(struct cmb_app *app, enum msp_err err)
{
	if (err == MSP_OK)
		err = msp_store_commit(app->store);
	if (err != MSP_OK)
		msp_store_rollback(app->store);
	return err;
}

/* A ceiling that is noted in memory although it did not get to the disk would be trusted: so only afterwards. */
static enum msp_err raise_ceilings(struct cmb_app *app, struct cmb_hosted *const *h, size_t count)
{
	uint32_t ceiling[BATCH_MAX];
	bool needs[BATCH_MAX], any = false;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; i < count; i++) {
		needs[i] = cmb_serials_needs_ceiling(&h[i]->zone->serials, h[i]->version->serial,
						     owner_of(h[i])->is_signed, &ceiling[i]);
		any = any || needs[i];
	}
	if (!any)
		return MSP_OK;
	err = msp_store_begin(app->store);
	if (err != MSP_OK)
		return err;
	for (size_t i = 0; err == MSP_OK && i < count; i++)
		if (needs[i])
			err = cmb_state_put_ceiling(app->store, &h[i]->name, ceiling[i]);
	err = cmb_commits_end_txn(app, err);
	for (size_t i = 0; err == MSP_OK && i < count; i++)
		if (needs[i])
			err = keep_ceiling(h[i], ceiling[i]);
	return err;
}

static void describe(struct cmb_hosted *h, struct cmb_change *change)
{
	const struct cmb_conf_settings *conf = h->profile->conf;
	const struct cmb_owner *o = owner_of(h), *held = h->zone->owner;
	uint64_t quarter = o->octets / 4;

	memset(change, 0, sizeof(*change));
	change->zone = &h->name;
	change->owner = o;
	change->served = &h->version->apex;
	change->delta = h->version->delta;
	change->history_entries = (uint32_t)conf->history_entries;
	change->history_octets = conf->history_octets    ? conf->history_octets
				 : quarter > HISTORY_MIN ? quarter
							 : HISTORY_MIN;
	if (h->candidate != NULL) {
		change->build = h->candidate->build;
		change->edit = h->candidate->edit;
		change->retire = held != NULL && held->gen != o->gen ? held->gen : 0;
	}
	cmb_zone_head(h->zone, h->version, o, h->candidate ? msp_wall_now() : h->last_ok, &change->head);
	change->head.gen = o->gen;
	change->head.records = o->records;
	change->head.octets = o->octets;
	change->head.is_signed = o->is_signed;
}

static enum msp_err commit(struct cmb_app *app, struct cmb_hosted *const *h, struct cmb_change *change, size_t count)
{
	enum msp_err err = raise_ceilings(app, h, count);

	for (size_t i = 0; err == MSP_OK && i < count; i++)
		describe(h[i], &change[i]);
	if (err == MSP_OK)
		err = cmb_pages_commit(app->pages, change, count);
	app->stats.commits += err == MSP_OK;
	return err;
}

/* A disk error at the very end of a transaction leaves open whether it took place. When it did, another one, which
 * changes nothing, makes sure of it; when even that fails, what is in memory is not what is on disk. */
static enum msp_err look_after(struct cmb_hosted *h, const struct cmb_change *change, enum msp_err err, bool *lost)
{
	struct cmb_confirmed c = { &h->name, change->head.confirmed, change->head.instructions, change->head.rules };
	struct cmb_head found;

	if (change->zone == NULL || cmb_pages_head(h->app->pages, &h->name, &found) != MSP_OK ||
	    found.out_serial != change->head.out_serial || found.gen != change->head.gen ||
	    (h->has_head && found.out_serial == h->head.out_serial && found.gen == h->head.gen))
		return err;
	if (cmb_pages_confirm(h->app->pages, &c, 1) == MSP_OK)
		return MSP_OK;
	*lost = h->has_head;
	return err;
}

/* One that went wrong must not take the others with it. */
static void commit_apart(struct cmb_app *app, struct cmb_hosted **h, struct cmb_change *change, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool lost = false;
		enum msp_err err = change[i].zone != NULL ? look_after(h[i], &change[i], MSP_EIO, &lost) : MSP_EIO;
		struct msp_why why = { "" };

		if (err != MSP_OK)
			err = commit(app, &h[i], &change[i], 1);
		if (err != MSP_OK)
			err = look_after(h[i], &change[i], err, &lost);
		if (err == MSP_OK) {
			adopt(h[i], &change[i].head);
			continue;
		}
		(void)msp_fail(&why, err, "storing the zone: %s", msp_err_text(err));
		cmb_commits_give_up(h[i], err, &why);
		if (lost)
			cmb_hosted_damaged(h[i]);
		h[i] = NULL;
	}
}

static void commit_batch(struct cmb_app *app, struct cmb_hosted **h, size_t count)
{
	struct cmb_change *change = msp_alloc(count, sizeof(*change));
	struct msp_why why = { "out of memory" };

	if (change == NULL) {
		for (size_t i = 0; i < count; i++)
			cmb_commits_give_up(h[i], MSP_ENOMEM, &why);
		return;
	}
	if (count > 1 && commit(app, h, change, count) == MSP_OK)
		for (size_t i = 0; i < count; i++)
			adopt(h[i], &change[i].head);
	else
		commit_apart(app, h, change, count);
	msp_free(change);
	for (size_t i = 0; i < count; i++)
		if (h[i] != NULL)
			finish(h[i]);
	cmb_shell_sweep_soon(app);
}

/* Callbacks may make more versions ready: they wait for the next round. */
static void tell_outcomes(struct cmb_commits *q)
{
	struct outcome *told = q->told;
	size_t count = q->told_count;

	q->told = NULL;
	q->told_count = q->told_size = 0;
	for (size_t i = 0; i < count; i++)
		if (told[i].h != NULL)
			cmb_upstream_taken(told[i].h, told[i].err, &told[i].why);
	msp_free(told);
}

/* A disk that takes its time for each transaction is better used by larger ones: in a burst the next round waits twice
 * as long as this one took. A change that comes alone never waits. */
static void note_round(struct cmb_commits *q, struct msp_mono began, size_t count)
{
	struct msp_mono now = msp_mono_now();
	int64_t ms = 2 * (now.ms - began.ms);

	q->last_count = count;
	q->gather = msp_mono_add_ms(now, ms < GATHER_MAX_MS ? ms : GATHER_MAX_MS);
}

static uint64_t gather_ms(const struct cmb_commits *q)
{
	if (q->last_count <= 1 || q->ready_count >= BATCH_MAX)
		return 0;
	if (cmb_upstream_has_line(q->app)) /* more are sure to come */
		return GATHER_MAX_MS;
	return (uint64_t)msp_mono_until_ms(msp_mono_now(), q->gather);
}

void cmb_commits_flush(struct cmb_app *app)
{
	struct cmb_commits *q = app->commits;
	struct cmb_hosted *batch[BATCH_MAX];
	struct msp_mono began = msp_mono_now();
	size_t all = q->ready_count;

	if (all == 0)
		return;
	while (q->ready_count > 0) {
		size_t from = q->ready_count > BATCH_MAX ? q->ready_count - BATCH_MAX : 0, count = 0;

		for (size_t i = from; i < q->ready_count; i++)
			if (q->ready[i] != NULL)
				batch[count++] = q->ready[i];
		q->ready_count = from;
		if (count > 0)
			commit_batch(app, batch, count);
	}
	note_round(q, began, all);
}

static void round_over(void *arg)
{
	struct cmb_commits *q = arg;

	cmb_commits_flush(q->app);
	tell_outcomes(q);
}

enum msp_err cmb_commits_open(struct cmb_app *app)
{
	struct cmb_commits *q = msp_alloc(1, sizeof(*q));
	enum msp_err err = q != NULL ? msp_timer_new(app->loop, round_over, q, &q->timer) : MSP_ENOMEM;

	if (err != MSP_OK) {
		msp_free(q);
		return err;
	}
	q->app = app;
	app->commits = q;
	return MSP_OK;
}

void cmb_commits_close(struct cmb_app *app)
{
	struct cmb_commits *q = app->commits;

	if (q == NULL)
		return;
	app->commits = NULL;
	msp_timer_close(&q->timer);
	msp_free(q->ready);
	msp_free(q->told);
	msp_free(q);
}

/* Room for one more element. */
static void *grow(void *array, size_t count, size_t *size, size_t each)
{
	size_t more = *size ? *size * 2 : 16;
	void *grown;

	if (count < *size)
		return array;
	grown = msp_realloc(array, more, each);
	if (grown != NULL)
		*size = more;
	return grown;
}

/* Everything that gets ready in one round of the loop, at least, goes into one transaction: the timer is due in the
 * next one, which begins at once. */
void cmb_commits_add(struct cmb_hosted *h)
{
	struct cmb_commits *q = h->app->commits;
	struct cmb_hosted **grown = grow(q->ready, q->ready_count, &q->ready_size, sizeof(*q->ready));
	struct msp_why why = { "out of memory" };
	uint64_t wait_ms;

	if (grown == NULL) {
		cmb_commits_give_up(h, MSP_ENOMEM, &why);
		return;
	}
	q->ready = grown;
	q->ready[q->ready_count++] = h;
	h->is_committing = true;
	if (!h->app->is_running && q->ready_count >= BATCH_MAX)
		cmb_commits_flush(h->app);
	wait_ms = gather_ms(q);
	if (q->ready_count == 1 || wait_ms == 0)
		msp_timer_start(q->timer, wait_ms);
}

void cmb_commits_refuse(struct cmb_hosted *h, enum msp_err err, const struct msp_why *why)
{
	struct cmb_commits *q = h->app->commits;
	bool tell = h->candidate == NULL || !h->candidate->from_hold;
	struct outcome *grown;

	cmb_version_free(&h->version);
	cmb_candidate_free(&h->candidate);
	if (!tell) {
		cmb_hosted_set_trouble(h, why);
		log_failure(h, err, why);
		return;
	}
	grown = grow(q->told, q->told_count, &q->told_size, sizeof(*q->told));
	if (grown == NULL) { /* too little memory for two hundred octets: inside the call is better than never */
		cmb_upstream_taken(h, err, why);
		return;
	}
	q->told = grown;
	q->told[q->told_count++] = (struct outcome){ h, err, *why };
	msp_timer_start(q->timer, 0);
}

void cmb_hosted_withdraw(struct cmb_hosted *h)
{
	struct cmb_commits *q = h->app->commits;

	if (h->inspect != NULL)
		cmb_inspect_cancel(&h->inspect);
	for (size_t i = 0; q != NULL && h->is_committing && i < q->ready_count; i++)
		if (q->ready[i] == h)
			q->ready[i] = NULL;
	for (size_t i = 0; q != NULL && i < q->told_count; i++)
		if (q->told[i].h == h)
			q->told[i].h = NULL;
	h->is_committing = false;
	cmb_version_free(&h->version);
	cmb_candidate_free(&h->candidate);
}
