/* SPDX-License-Identifier: BSD-2-Clause */
/* Versions: guarded, planned, inspected; commits.c puts them on disk and makes them visible. Instructions; what
 * operators order. */
#include "commits.h"

#include "guard.h"
#include "inspect.h"

#include <msproto/base/mem.h>

#include <stdio.h>
#include <string.h>

#define AGAIN_MS 1000
#define TEXT_MAX 160

/* --- inspection --------------------------------------------------------------------------------------------------- */

/* What the owner has under this serial would fare no better the next time. */
static void note_refused(struct cmb_hosted *h)
{
	if (h->candidate == NULL)
		return;
	h->has_refused = true;
	h->refused_serial = cmb_apex_serial(&h->candidate->owner->apex);
}

static void inspected(void *arg, enum msp_err err, const struct msp_why *why)
{
	struct cmb_hosted *h = arg;
	/* Pages that were there before: of the version served, or those that differences were applied to. */
	bool are_old = h->has_head && (h->candidate == NULL || h->candidate->edit != NULL);

	h->inspect = NULL;
	if (err == MSP_OK) {
		cmb_commits_add(h);
		return;
	}
	h->app->stats.refused_versions += err == MSP_EREFUSED;
	if (err == MSP_EREFUSED)
		note_refused(h);
	cmb_commits_give_up(h, err, why);
	if (err == MSP_ECORRUPT && are_old)
		cmb_hosted_damaged(h);
}

/* h->version is planned. */
static enum msp_err go_on(struct cmb_hosted *h, struct msp_why *why)
{
	enum msp_err err;

	if (!h->profile->needs_inspection) {
		cmb_commits_add(h);
		return MSP_OK;
	}
	err = cmb_inspect_start(h, h->version, inspected, h, &h->inspect);
	return err == MSP_OK ? MSP_OK : msp_fail(why, err, "the version cannot be inspected: %s", msp_err_text(err));
}

/* --- the owner's data --------------------------------------------------------------------------------------------- */

static void hold(struct cmb_hosted *h, const struct msp_why *why)
{
	struct cmb_candidate *c = h->candidate;
	bool is_again = c->from_hold;

	msp_log(h->app->log, MSP_LOG_WARNING, "version-held", MSP_F_STR("zone", MSP_NAME(&h->name)),
		MSP_F_U64("owner-serial", cmb_apex_serial(&c->owner->apex)), MSP_F_STR("why", why->text));
	h->app->stats.held_back += !is_again;
	if (c->edit != NULL) { /* it would keep a snapshot open, for days perhaps */
		cmb_commits_refuse(h, MSP_EREFUSED, why);
		return;
	}
	cmb_candidate_free(&h->held);
	h->candidate = NULL;
	h->held = c;
	cmb_hosted_set_trouble(h, why);
	if (!is_again)
		cmb_commits_refuse(h, MSP_EREFUSED, why);
	c->from_hold = true;
}

static enum msp_err guard(const struct cmb_hosted *h, const struct cmb_zone *z, struct msp_why *why)
{
	const struct cmb_conf_settings *conf = h->profile->conf;
	struct cmb_guard_limits limits = { .records = (uint64_t)conf->max_records,
					   .names = (uint64_t)conf->max_names,
					   .rrset_octets = conf->max_rrset,
					   .shrink_percent = (unsigned)conf->max_shrink };

	if (h->candidate->is_accepted)
		limits.shrink_percent = 0;
	return cmb_guard_version(&limits, z->owner, h->candidate->owner, why);
}

static enum msp_err plan_owner(struct cmb_hosted *h, const struct cmb_zone *z, struct msp_why *why)
{
	const struct cmb_candidate *c = h->candidate;
	struct cmb_news news = { .owner = c->owner,
				 .is_incremental = c->edit != NULL,
				 .del = msp_buf_span(&c->del),
				 .add = msp_buf_span(&c->add) };
	enum msp_err err = cmb_zone_plan(z, &news, NULL, &h->version, why);

	if (err == MSP_ELIMIT && news.is_incremental) { /* too much for a history: it begins anew */
		news.is_incremental = false;
		err = cmb_zone_plan(z, &news, NULL, &h->version, why);
	}
	if (err == MSP_OK && h->version == NULL)
		return msp_fail(why, MSP_ESTATE, "no version could be made of it");
	if (err == MSP_OK && c->ttl_differs)
		h->version->notes |= CMB_NOTE_BIT(CMB_NOTE_TTL_MIXED);
	return err;
}

/* What is being made of instructions, or of what was held, gives way: the owner's data are newer. */
static void make_way(struct cmb_hosted *h)
{
	if (h->is_committing)
		cmb_commits_flush(h->app);
	if (h->version != NULL || h->candidate != NULL)
		cmb_hosted_withdraw(h);
}

void cmb_hosted_offer(struct cmb_hosted *h, struct cmb_candidate **c)
{
	struct cmb_zone *z;
	struct msp_why why = { "" };
	enum msp_err err;

	make_way(h);
	h->candidate = *c;
	*c = NULL;
	if (h->is_frozen) {
		(void)msp_fail(&why, MSP_EREFUSED, "the zone is frozen");
		hold(h, &why);
		return;
	}
	z = cmb_hosted_zone(h);
	if (z == NULL) {
		(void)msp_fail(&why, MSP_EIO, "what is stored could not be loaded");
		cmb_commits_refuse(h, MSP_EIO, &why);
		return;
	}
	err = guard(h, z, &why);
	if (err == MSP_EREFUSED) {
		hold(h, &why);
		return;
	}
	h->app->stats.refused_versions += err == MSP_ELIMIT;
	if (err == MSP_OK)
		err = plan_owner(h, z, &why);
	if (err == MSP_OK)
		err = go_on(h, &why);
	if (err == MSP_ESTALE)
		note_refused(h);
	if (err != MSP_OK) {
		cmb_commits_refuse(h, err, &why);
		return;
	}
	cmb_candidate_free(&h->held); /* a newer one goes on */
}

/* --- instructions ------------------------------------------------------------------------------------------------- */

void cmb_hosted_publish(struct cmb_hosted *h)
{
	struct msp_why why = { "" };
	struct cmb_zone *z;
	enum msp_err err;

	if (!h->is_dirty || !h->has_head || h->is_frozen || h->candidate != NULL || h->version != NULL)
		return;
	/* Settings may have changed for a hundred thousand zones: those that wait do so at rest. */
	z = h->profile->needs_inspection && !cmb_inspect_has_room(h->app) ? NULL : cmb_hosted_zone(h);
	if (z == NULL || !h->has_head || z->owner == NULL) {
		h->quiet_until = msp_mono_add_ms(msp_mono_now(), AGAIN_MS);
		return;
	}
	err = cmb_zone_plan(z, NULL, NULL, &h->version, &why);
	if (err == MSP_OK && h->version == NULL) {
		cmb_hosted_applied(h); /* the changes cancelled each other, or the settings make no difference */
		return;
	}
	if (err == MSP_OK)
		err = go_on(h, &why);
	if (err == MSP_OK)
		return;
	/* Only new owner data can help when a signed zone's serial is behind. */
	h->is_dirty = err != MSP_ESTALE;
	cmb_commits_give_up(h, err, &why);
}

/* Contributions are on disk. */
static void contrib_changed(struct cmb_hosted *h, struct cmb_contrib *c)
{
	struct msp_mono now = msp_mono_now();

	h->kept->instructions = c->number;
	h->has_refused = false; /* it would be another version */
	cmb_zone_set_contrib(h->zone, c);
	h->is_dirty = true;
	if (!h->has_head)
		return; /* they are part of the first version */
	if (h->is_committing)
		cmb_commits_flush(h->app);
	h->is_dirty = true; /* the version just made was planned without them */
	if (h->version == NULL && h->candidate == NULL && msp_mono_reached(now, h->quiet_until)) {
		cmb_hosted_publish(h);
		if (h->is_committing)
			cmb_commits_flush(h->app);
	}
	cmb_hosted_arm(h);
}

struct contrib_change {
	struct cmb_contrib *after;
	const struct cmb_audit *audit;
	struct msp_span seen_id; /* empty: none */
	struct msp_wall seen_until;
};

static enum msp_err store_contrib(struct cmb_hosted *h, const struct contrib_change *change)
{
	struct msp_store *s = h->app->store;
	enum msp_err err = msp_store_begin(s);

	if (err != MSP_OK)
		return err;
	err = cmb_state_put_contrib(s, &h->name, &h->zone->contrib, change->after);
	if (err == MSP_OK)
		err = cmb_state_put_audit(s, &h->name, change->audit);
	if (err == MSP_OK && change->seen_id.len > 0)
		err = cmb_state_put_seen(s, change->seen_id, change->seen_until);
	return cmb_commits_end_txn(h->app, err);
}

static enum msp_err change_contrib(struct cmb_hosted *h, const struct contrib_change *change, struct msp_why *why)
{
	enum msp_err err;

	if (h->kept == NULL)
		h->kept = msp_alloc(1, sizeof(*h->kept));
	if (h->kept == NULL)
		return MSP_ENOMEM;
	change->after->number = h->zone->contrib.number + 1;
	err = store_contrib(h, change);
	if (err != MSP_OK)
		return msp_fail(why, err, "storing instructions: %s", msp_err_text(err));
	contrib_changed(h, change->after);
	return MSP_OK;
}

enum msp_err cmb_hosted_take_contrib(struct cmb_hosted *h, struct cmb_verdict *v, const struct cmb_audit *audit,
				     struct msp_span seen_id, struct msp_wall seen_until, struct msp_why *why)
{
	struct contrib_change change = { &v->result, audit, seen_id, seen_until };

	if (h->is_frozen)
		return msp_fail(why, MSP_EREFUSED, "the zone is frozen");
	if (cmb_hosted_zone(h) == NULL)
		return msp_fail(why, MSP_EIO, "what is stored could not be loaded");
	return change_contrib(h, &change, why);
}

/* --- operators ---------------------------------------------------------------------------------------------------- */

static struct cmb_audit operator_audit(const char *what, const char *value)
{
	struct cmb_audit a = { .at = msp_wall_now() };

	(void)snprintf(a.what, sizeof(a.what), "%s%s%.200s", what, value ? " " : "", value ? value : "");
	return a;
}

static enum msp_err remove_originator(struct cmb_contrib *c, const struct msp_name *originator)
{
	enum msp_err err = MSP_OK;

	for (unsigned slot = 0; err == MSP_OK && slot < CMB_CONTRIB_SLOTS; slot++) {
		struct msp_rrset *nothing = NULL;

		err = cmb_contrib_set(c, originator, (enum cmb_slot)slot, &nothing);
	}
	return err;
}

enum msp_err cmb_hosted_drop_contrib(struct cmb_hosted *h, const struct msp_name *originator, struct msp_why *why)
{
	struct cmb_zone *z = cmb_hosted_zone(h);
	struct cmb_contrib after = { .entry = NULL };
	struct cmb_audit audit =
		operator_audit("dropped the instructions of", originator ? MSP_NAME(originator) : "all");
	struct contrib_change change = { .after = &after, .audit = &audit };
	enum msp_err err = MSP_OK;

	if (z == NULL)
		return msp_fail(why, MSP_EIO, "what is stored could not be loaded");
	if (originator != NULL && !cmb_contrib_has(&z->contrib, originator))
		return msp_fail(why, MSP_ENOTFOUND, "no instructions of that originator");
	if (originator != NULL)
		err = cmb_contrib_dup(&z->contrib, &after);
	if (err == MSP_OK && originator != NULL)
		err = remove_originator(&after, originator);
	if (err == MSP_OK)
		err = change_contrib(h, &change, why);
	cmb_contrib_fini(&after);
	return err;
}

static enum msp_err store_frozen(struct cmb_hosted *h, bool freeze)
{
	struct cmb_audit audit = operator_audit(freeze ? "frozen" : "thawed", NULL);
	enum msp_err err = msp_store_begin(h->app->store);

	if (err != MSP_OK)
		return err;
	err = cmb_state_put_frozen(h->app->store, &h->name, freeze);
	if (err == MSP_OK)
		err = cmb_state_put_audit(h->app->store, &h->name, &audit);
	return cmb_commits_end_txn(h->app, err);
}

static void offer_held(struct cmb_hosted *h)
{
	struct cmb_candidate *c = h->held;

	h->held = NULL;
	if (c != NULL)
		cmb_hosted_offer(h, &c);
}

/* What is on its way stops where it is; what is being committed is through. */
static void freeze_now(struct cmb_hosted *h)
{
	struct msp_why why = { "the zone is frozen" };

	if (h->is_committing)
		cmb_commits_flush(h->app);
	if (h->inspect != NULL)
		cmb_inspect_cancel(&h->inspect);
	cmb_version_free(&h->version);
	if (h->candidate != NULL)
		hold(h, &why);
	cmb_upstream_cancel(h);
	cmb_hosted_withdraw(h); /* nobody waits for an outcome any more */
	cmb_refresh_freeze(&h->refresh);
	cmb_hosted_arm(h);
}

static void thaw_now(struct cmb_hosted *h)
{
	h->quiet_until = msp_mono_now();
	offer_held(h);
	cmb_hosted_arm(h);
	cmb_upstream_event(h, CMB_REV_NOTIFY);
}

enum msp_err cmb_hosted_freeze(struct cmb_hosted *h, bool freeze, struct msp_why *why)
{
	enum msp_err err;

	if (h->is_frozen == freeze)
		return msp_fail(why, MSP_ESTATE, freeze ? "the zone is frozen already" : "the zone is not frozen");
	if (h->kept == NULL)
		h->kept = msp_alloc(1, sizeof(*h->kept));
	if (h->kept == NULL)
		return MSP_ENOMEM;
	err = store_frozen(h, freeze);
	if (err != MSP_OK)
		return msp_fail(why, err, "storing it: %s", msp_err_text(err));
	h->is_frozen = h->kept->is_frozen = freeze;
	if (freeze)
		freeze_now(h);
	else
		thaw_now(h);
	return MSP_OK;
}

enum msp_err cmb_hosted_accept(struct cmb_hosted *h, struct msp_why *why)
{
	char text[TEXT_MAX];
	struct cmb_audit audit;
	enum msp_err err;

	if (h->held == NULL)
		return msp_fail(why, MSP_ESTATE, "no version is held back");
	if (h->is_frozen)
		return msp_fail(why, MSP_ESTATE, "the zone is frozen");
	if (h->candidate != NULL)
		return msp_fail(why, MSP_EBUSY, "a newer version is on its way");
	(void)snprintf(text, sizeof(text), "%u", (unsigned)cmb_apex_serial(&h->held->owner->apex));
	audit = operator_audit("accepted the version that was held back, owner's serial", text);
	err = cmb_state_put_audit(h->app->store, &h->name, &audit);
	if (err != MSP_OK)
		return msp_fail(why, err, "storing it: %s", msp_err_text(err));
	h->held->is_accepted = true;
	offer_held(h);
	return MSP_OK;
}
