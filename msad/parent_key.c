/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include <msproto/base/mem.h>

#include "actions.h"
#include "parent.h"
#include "zone_watch.h"

#define COMBINE_RETRY_S     2
#define COMBINE_RETRY_MAX_S 600

/* ---- our key, and its file
 * -------------------------------------------------------------------------------------------- */

static void job(struct msa_core *c, struct msa_parent *p, enum msa_key_verb verb, const char *file)
{
	if (msa_pend_start(c, &p->key_job, MSA_PEND_PARENT_KEY, p))
		msa_act_key(c, &p->key_job, &p->zone->name, verb, file);
}

static void key_ready(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;

	if (!r->has_receiver && p->roll == MSA_ROLL_WANTED) {
		p->roll = MSA_ROLL_NONE;
		msa_store_parent(c, p);
		msp_log(c->log, MSP_LOG_WARNING, "parent-key-roll-refused", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
			MSP_F_STR("reason", "the receiver's KEY is not secure: its answers could not be believed"));
	}
	if (r->has_receiver)
		msa_parent_enter(c, p, MSA_PHASE_INQUIRE);
	else if (p->roll != MSA_ROLL_NONE)
		msa_parent_hold(c, p, "in the middle of a key rollover, and the receiver's KEY is not secure any more");
	else if (p->uploaded_s == 0)
		msa_parent_enter(c, p, MSA_PHASE_KEY_PUBLISHED); /* no KeyState could be believed: hand it in */
	else
		msa_parent_key_done(c, p, NULL);
}

void msa_parent_begin_key(struct msa_core *c, struct msa_parent *p)
{
	if (p->key != NULL)
		key_ready(c, p);
	else if (p->key_file != NULL && !p->load_failed)
		job(c, p, MSA_KEY_LOAD, p->key_file);
	else
		job(c, p, MSA_KEY_MAKE, NULL);
}

void msa_parent_begin_roll_make(struct msa_core *c, struct msa_parent *p)
{
	static const enum msa_phase next[] = { [MSA_ROLL_NONE] = MSA_PHASE_COMPARE,
					       [MSA_ROLL_WANTED] = MSA_PHASE_ROLL_PUBLISHED,
					       [MSA_ROLL_ADDED] = MSA_PHASE_ROLL_PROVE,
					       [MSA_ROLL_SWITCHED] = MSA_PHASE_ROLL_DEL };

	if (p->next_key == NULL && p->roll == MSA_ROLL_SWITCHED && (p->next_file == NULL || p->load_failed)) {
		p->load_failed = false;
		msa_parent_drop_old_key(c, p); /* its file is gone; at the parent it stays until a person removes it */
	}
	if (p->next_key != NULL || p->roll == MSA_ROLL_NONE)
		msa_parent_enter(c, p, next[p->roll]);
	else if (p->next_file != NULL && !p->load_failed)
		job(c, p, MSA_KEY_LOAD, p->next_file);
	else
		job(c, p, MSA_KEY_MAKE, NULL);
}

static enum msp_err make_pub(struct msa_parent *p)
{
	struct msp_rrset *set = NULL;
	enum msp_err err = msp_rrset_new(&p->zone->name, MSP_TYPE_KEY, p->zone->ttl_s, &set);

	if (err == MSP_OK && p->key != NULL)
		err = msp_rrset_add(set, msp_key_rdata(p->key));
	if (err == MSP_OK && p->next_key != NULL)
		err = msp_rrset_add(set, msp_key_rdata(p->next_key));
	if (err != MSP_OK) {
		msp_rrset_free(&set);
		return err;
	}
	msp_rrset_free(&p->pub);
	p->pub = set;
	return MSP_OK;
}

/** After a change of keys: stored first, then told to the combiner and the other agents. */
static void publish(struct msa_core *c, struct msa_parent *p)
{
	msa_core_note(c, make_pub(p));
	msa_store_parent(c, p);
	msa_zone_own_again(c, p->zone);
	msa_parent_touch(c, p->zone);
}

static bool take_key(struct msa_core *c, struct msa_parent *p, struct msp_key **key, const char *file, bool is_next)
{
	struct msp_key **into = is_next ? &p->next_key : &p->key;
	char **name = is_next ? &p->next_file : &p->key_file, *copy = msp_strdup(file);

	if (copy == NULL) {
		msa_core_note(c, MSP_ENOMEM);
		return false;
	}
	msp_free(*name);
	*name = copy;
	msp_key_free(into);
	*into = *key;
	*key = NULL;
	return true;
}

void msa_parent_keyed(struct msa_core *c, struct msa_pend *pend, enum msp_err err, struct msp_key **key,
		      const char *file, const char *why)
{
	struct msa_parent *p = pend->owner;
	bool is_next = p->phase == MSA_PHASE_ROLL_MAKE, was_load = (is_next ? p->next_file : p->key_file) != NULL;
	char text[MSA_TEXT_MAX];

	msa_pend_stop(c, pend);
	if (p->run == NULL || (p->phase != MSA_PHASE_KEY && !is_next))
		return;
	if (err == MSP_OK && (*key == NULL || !msp_name_equal(msp_key_owner(*key), &p->zone->name)))
		err = MSP_ECORRUPT;
	if (err == MSP_OK && !take_key(c, p, key, file, is_next))
		err = MSP_ENOMEM;
	if (err != MSP_OK) {
		snprintf(text, sizeof(text), "key file %.100s: %s%s%.80s", file == NULL ? "" : file, msp_err_text(err),
			 why == NULL ? "" : ": ", why == NULL ? "" : why);
		if (was_load && !p->load_failed) {
			/* Lost: a new key is bootstrapped like the first (G.6). */
			p->load_failed = true;
			p->uploaded_s = is_next ? p->uploaded_s : 0;
			msp_log(c->log, MSP_LOG_ERROR, "parent-key-lost", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
				MSP_F_STR("reason", text));
		}
		msa_parent_hold(c, p, text);
		return;
	}
	p->load_failed = false;
	publish(c, p);
	if (is_next)
		msa_parent_begin_roll_make(c, p);
	else
		key_ready(c, p);
}

/* ---- rollover
 * -------------------------------------------------------------------------------------------------------- */

void msa_parent_roll(struct msa_core *c, struct msa_zone *z)
{
	if (z->parent == NULL)
		return;
	if (z->parent->roll == MSA_ROLL_NONE && z->parent->key_file != NULL)
		z->parent->roll = MSA_ROLL_WANTED;
	msa_parent_sync(c, z);
}

void msa_parent_switch_key(struct msa_core *c, struct msa_parent *p)
{
	struct msp_key *old = p->key;
	char *old_file = p->key_file;

	p->key = p->next_key;
	p->key_file = p->next_file;
	p->next_key = old; /* until the parent has forgotten it */
	p->next_file = old_file;
	p->roll = MSA_ROLL_SWITCHED;
	msa_store_parent(c, p);
	msp_log(c->log, MSP_LOG_NOTICE, "parent-key-rolled", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
		MSP_F_U64("key_tag", msp_key_id(p->key)));
}

void msa_parent_drop_old_key(struct msa_core *c, struct msa_parent *p)
{
	char *file = p->next_file;

	msp_key_free(&p->next_key);
	p->next_file = NULL;
	p->roll = MSA_ROLL_NONE;
	publish(c, p);
	if (file != NULL)
		msa_act_key(c, NULL, &p->zone->name, MSA_KEY_REMOVE, file);
	msp_free(file);
}

/* ---- KEY records at the apex
 * ----------------------------------------------------------------------------------------- */

enum msp_err msa_parent_own_keys(const struct msa_zone *z, struct msp_rrset **out)
{
	const struct msa_parent *p = z->parent;

	*out = NULL;
	return p == NULL || p->pub == NULL || !p->publish_key ? MSP_OK : msp_rrset_dup(p->pub, out);
}

/** One KEY RRset at every provider: ours, and those of all the others who take part (H.3). */
static enum msp_err desired(const struct msa_parent *p, struct msp_rrset **out)
{
	const struct msa_zone *z = p->zone;
	struct msp_rrset *set = NULL;
	enum msp_err err = msp_rrset_new(&z->name, MSP_TYPE_KEY, z->ttl_s, &set);

	if (err == MSP_OK)
		err = msp_rrset_merge(set, p->pub);
	for (size_t i = 0; i < z->member_count && err == MSP_OK; i++)
		if (z->member[i]->role == MSA_ROLE_PARTICIPANT)
			err = msp_rrset_merge(set, z->member[i]->held.key);
	if (err != MSP_OK || set->count == 0)
		msp_rrset_free(&set);
	*out = set;
	return err;
}

static void send_keys(struct msa_core *c, struct msa_parent *p)
{
	struct msa_action *a;

	if (!msa_pend_start(c, &p->combine, MSA_PEND_PARENT_COMBINE, p))
		return;
	a = msa_act(c, MSA_ACT_COMBINE);
	if (a != NULL && p->put_key != NULL && msp_rrset_dup(p->put_key, &a->combine[0].set) != MSP_OK) {
		c->out->count--;
		msa_core_note(c, MSP_ENOMEM);
		a = NULL;
	}
	if (a == NULL) {
		msa_pend_stop(c, &p->combine);
		return;
	}
	a->id = p->combine.id;
	a->name = p->zone->name;
	a->combine[0].type = MSP_TYPE_KEY;
	a->combine_count = 1;
}

struct msp_mono msa_parent_look_at_keys(struct msa_core *c, struct msa_parent *p)
{
	struct msa_zone *z = p->zone;
	struct msp_rrset *set = NULL;
	enum msp_err err;

	if (!p->publish_key || !z->has_view || z->is_frozen || !z->group.has_hsync || p->combine.id != 0)
		return MSP_MONO_NEVER;
	err = desired(p, &set);
	if (err != MSP_OK) {
		msa_core_note(c, err);
		return msp_mono_add_ms(c->now, COMBINE_RETRY_S * 1000);
	}
	if (!msp_rrset_equal(set, p->put_key)) {
		msp_rrset_free(&p->put_key);
		p->put_key = set;
		set = NULL;
		p->has_put_key = true;
		p->put_key_acked = false;
		if (p->combine_why[0] == '\0')
			p->combine_next = c->now;
	}
	msp_rrset_free(&set);
	if (!p->has_put_key || p->put_key_acked)
		return MSP_MONO_NEVER;
	if (!msp_mono_reached(c->now, p->combine_next))
		return p->combine_next;
	if (z->combine.id == 0) /* the combiner takes one message at a time */
		send_keys(c, p);
	return p->combine.id != 0 ? MSP_MONO_NEVER : msp_mono_add_ms(c->now, COMBINE_RETRY_S * 1000);
}

void msa_parent_combined(struct msa_core *c, struct msa_parent *p, enum msp_err err, const char *why)
{
	msa_pend_stop(c, &p->combine);
	msa_parent_touch(c, p->zone);
	if (err == MSP_OK) {
		p->put_key_acked = true;
		p->combine_why[0] = '\0';
		p->combine_backoff_s = 0;
		return;
	}
	p->combine_next = msp_mono_add_ms(c->now, msa_core_backoff_ms(c, &p->combine_backoff_s, COMBINE_RETRY_S,
								      COMBINE_RETRY_MAX_S));
	if (err == MSP_EBUSY)
		return;
	snprintf(p->combine_why, sizeof(p->combine_why), "%s%s%.180s", msp_err_text(err), why == NULL ? "" : ": ",
		 why == NULL ? "" : why);
	msp_log(c->log, MSP_LOG_WARNING, "parent-key-not-combined", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
		MSP_F_STR("reason", p->combine_why),
		MSP_F_I64("retry_s", msp_mono_until_ms(c->now, p->combine_next) / 1000));
}
