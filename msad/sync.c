/* SPDX-License-Identifier: BSD-2-Clause */
#include "sync.h"

#include <stdio.h>
#include <string.h>

#include <msproto/auth/dnssec.h>
#include <msproto/base/mem.h>

#include "actions.h"
#include "parent.h"

#define COMBINE_RETRY_S     1
#define COMBINE_RETRY_MAX_S 300
#define SIGNER_RETRY_S      10
#define SIGNER_RETRY_MAX_S  600
#define POLL_S              5
#define POLL_MAX_S          600

/** What the combiner should have of us. */
struct desired {
	struct msp_rrset *dnskey, *cds, *cdnskey; /* owned; NULL = nothing */
};

static void desired_fini(struct desired *d)
{
	msp_rrset_free(&d->dnskey);
	msp_rrset_free(&d->cds);
	msp_rrset_free(&d->cdnskey);
}

static const struct msa_group_row *own_row(const struct msa_zone *z)
{
	return z->group.has_hsync && z->group.self < z->group.count ? &z->group.row[z->group.self] : NULL;
}

static bool is_signer(const struct msa_zone *z)
{
	const struct msa_group_row *row = own_row(z);

	return row != NULL && msa_row_signs(row);
}

static enum msp_err add(const struct msa_zone *z, uint16_t type, struct msp_span rdata, struct msp_rrset **set)
{
	enum msp_err err = *set == NULL ? msp_rrset_new(&z->name, type, z->ttl_s, set) : MSP_OK;

	return err == MSP_OK ? msp_rrset_add(*set, rdata) : err;
}

static bool has(const struct msp_rrset *set, struct msp_span rdata)
{
	return set != NULL && msp_rrset_has(set, rdata);
}

/** Whether somebody's verified contribution has this key now: a leaver's keys stay, too. */
static bool is_held(const struct msa_zone *z, struct msp_span key)
{
	for (size_t i = 0; i < z->member_count; i++)
		if (z->member[i]->role != MSA_ROLE_STAGER && has(z->member[i]->held.dnskey, key))
			return true;
	return false;
}

/**
 * Whether every signer's and leaver's contribution is here. Until then (state was lost and read back from the combiner)
 * a key that one peer says is its own, and then drops, may be another's (S14).
 */
static bool all_known(const struct msa_zone *z)
{
	for (size_t i = 0; i < z->member_count; i++) {
		const struct msa_member *m = z->member[i];

		if ((msa_member_is_signer(m) || m->role == MSA_ROLE_LEAVER) && m->held.version == 0)
			return false;
	}
	return true;
}

/**
 * What is there stays, unless the verified contribution of its owner has dropped it (I10: not because a peer is
 * unreachable, HSYNC changed, or something is missing here); what signers contribute is added.
 */
static enum msp_err desire_keys(const struct msa_zone *z, struct msp_rrset **out)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; z->put_dnskey != NULL && i < z->put_dnskey->count && err == MSP_OK; i++)
		if (!has(z->dropping, z->put_dnskey->rdata[i]) || is_held(z, z->put_dnskey->rdata[i]) || !all_known(z))
			err = add(z, MSP_TYPE_DNSKEY, z->put_dnskey->rdata[i], out);
	for (size_t m = 0; m < z->member_count && err == MSP_OK; m++) {
		const struct msp_rrset *held = z->member[m]->held.dnskey;

		if (!msa_member_is_signer(z->member[m]))
			continue;
		for (size_t i = 0; held != NULL && i < held->count && err == MSP_OK; i++)
			if (!has(z->own.dnskey, held->rdata[i]))
				err = add(z, MSP_TYPE_DNSKEY, held->rdata[i], out);
	}
	return err;
}

/** The key in the set that the CDS is a digest of. */
static bool find_key(const struct msa_zone *z, const struct msp_rrset *keys, struct msp_span cds, struct msp_span *key)
{
	for (size_t i = 0; keys != NULL && i < keys->count; i++)
		if (msp_ds_matches(&z->name, cds, keys->rdata[i])) {
			*key = keys->rdata[i];
			return true;
		}
	return false;
}

/** Whether the owner of the key, if it is held, still contributes the CDS for it. */
static bool cds_is_wanted(const struct msa_zone *z, struct msp_span key, struct msp_span cds)
{
	bool is_claimed = false;

	for (size_t i = 0; i < z->member_count; i++) {
		const struct msa_contribution *held = &z->member[i]->held;

		if (z->member[i]->role == MSA_ROLE_STAGER || !has(held->dnskey, key))
			continue;
		if (has(held->cds, cds))
			return true;
		is_claimed = true;
	}
	return !is_claimed || !all_known(z);
}

/** CDS of the others: added only while the gate is open and for keys that our signer serves; removed with their keys.
 */
static enum msp_err desire_cds(const struct msa_zone *z, const struct msp_rrset *keys, struct desired *d)
{
	enum msp_err err = MSP_OK;
	struct msp_span key;

	for (size_t i = 0; z->put_cds != NULL && i < z->put_cds->count && err == MSP_OK; i++)
		if (find_key(z, keys, z->put_cds->rdata[i], &key) && cds_is_wanted(z, key, z->put_cds->rdata[i]))
			err = add(z, MSP_TYPE_CDS, z->put_cds->rdata[i], &d->cds);
	for (size_t m = 0; z->gate_open && m < z->member_count && err == MSP_OK; m++) {
		const struct msp_rrset *held = z->member[m]->held.cds;

		if (!msa_member_is_signer(z->member[m]))
			continue;
		for (size_t i = 0; held != NULL && i < held->count && err == MSP_OK; i++)
			if (find_key(z, z->dnskey, held->rdata[i], &key) && has(keys, key))
				err = add(z, MSP_TYPE_CDS, held->rdata[i], &d->cds);
	}
	for (size_t i = 0; z->cdnskey && d->cds != NULL && i < d->cds->count && err == MSP_OK; i++)
		if (find_key(z, keys, d->cds->rdata[i], &key))
			err = add(z, MSP_TYPE_CDNSKEY, key, &d->cdnskey);
	return err;
}

/* ---- the CDS gate
 * ---------------------------------------------------------------------------------------------------- */

static enum msp_err closed(struct msp_why *why, const char *what, const struct msp_name *who)
{
	return msp_fail(why, MSP_ESTATE, "%s%s%.150s", what, who == NULL ? "" : " ", who == NULL ? "" : MSP_NAME(who));
}

/** MSP_OK when every predicate holds; MSP_ESTATE with the first that does not, and by whom. */
static enum msp_err check_gate(const struct msa_zone *z, struct msp_why *why)
{
	if (!is_signer(z))
		return closed(why, "we are no signer of this zone", NULL);
	if (!z->group.is_certain)
		return closed(why, "HSYNC has malformed or duplicate records", NULL);
	if (z->group.signers < 2)
		return closed(why, "only one signer", NULL);
	if (z->own.dnskey == NULL)
		return closed(why, "our signer serves no key of its own", NULL);
	for (size_t i = 0; i < z->member_count; i++) {
		const struct msa_member *m = z->member[i];

		if (!msa_member_is_signer(m))
			continue;
		if (!m->was_member)
			return closed(why, "not a member yet:", &m->peer->identity);
		if (m->held.dnskey == NULL)
			return closed(why, "no keys received yet from", &m->peer->identity);
		if (m->has_announced && !msa_same_digest(m->announced, m->held.digest))
			return closed(why, "newer keys announced and not received yet from", &m->peer->identity);
	}
	for (size_t i = 0; i < z->member_count; i++) {
		const struct msa_member *m = z->member[i];

		if (msa_member_is_signer(m) && !msp_rrset_contains(z->dnskey, m->held.dnskey))
			return closed(why, "our signer does not serve all keys of", &m->peer->identity);
	}
	return msp_rrset_contains(z->dnskey, z->own.dnskey) ? MSP_OK
							    : closed(why, "our signer does not serve our keys", NULL);
}

static void move_gate(struct msa_core *c, struct msa_zone *z)
{
	uint8_t signers[32];
	struct msp_why why = { "" };
	bool was_open = z->gate_open, is_same, is_open;
	enum msp_err err = msa_group_signers_digest(&z->group, signers);

	if (err != MSP_OK) {
		msa_core_note(c, err);
		return;
	}
	is_same = memcmp(signers, z->gate_signers, sizeof(signers)) == 0;
	/* Once open for this set of signers it stays open: that a peer is unreachable changes nothing (I10). */
	is_open = (was_open && is_same && is_signer(z)) || check_gate(z, &why) == MSP_OK;
	snprintf(z->gate_why, sizeof(z->gate_why), "%s", is_open ? "" : why.text);
	if (is_open == was_open && (!is_open || is_same))
		return;
	z->gate_open = is_open;
	memcpy(z->gate_signers, signers, sizeof(signers));
	msa_store_zone(c, z);
	msp_log(c->log, MSP_LOG_NOTICE, "cds-gate", MSP_F_STR("zone", MSP_NAME(&z->name)),
		MSP_F_STR("state", is_open ? "open" : "closed"), MSP_F_U64("signers", z->group.signers),
		MSP_F_STR("reason", is_open ? "every signer's keys are served" : z->gate_why));
}

/* ---- combiner
 * -------------------------------------------------------------------------------------------------------- */

static void attach(struct msa_core *c, struct msa_action *a, uint16_t type, const struct msp_rrset *set)
{
	a->combine[a->combine_count].type = type;
	a->combine[a->combine_count].set = NULL;
	if (set != NULL)
		msa_core_note(c, msp_rrset_dup(set, &a->combine[a->combine_count].set));
	a->combine_count++;
}

static void send_put(struct msa_core *c, struct msa_zone *z)
{
	struct msa_action *a;
	enum msp_err before = c->err;

	if (z->parent != NULL && z->parent->combine.id != 0)
		return; /* one message at a time: the next look sends it */
	/* Before the combiner hears of it: a restart must not take a foreign key for an own one. */
	if (!z->put_stored)
		z->put_stored = msa_store_put(c, z);
	if (!z->put_stored || !msa_pend_start(c, &z->combine, MSA_PEND_COMBINE, z))
		return;
	a = msa_act(c, MSA_ACT_COMBINE);
	if (a == NULL) {
		msa_pend_stop(c, &z->combine);
		return;
	}
	a->id = z->combine.id;
	a->name = z->name;
	c->err = MSP_OK;
	attach(c, a, MSP_TYPE_DNSKEY, z->put_dnskey);
	attach(c, a, MSP_TYPE_CDS, z->put_cds);
	if (z->cdnskey)
		attach(c, a, MSP_TYPE_CDNSKEY, z->put_cdnskey);
	if (c->err != MSP_OK) { /* half a message would withdraw keys */
		for (size_t i = 0; i < a->combine_count; i++)
			msp_rrset_free(&a->combine[i].set);
		c->out->count--;
		msa_pend_stop(c, &z->combine);
	}
	c->err = before != MSP_OK ? before : c->err;
}

/** Keys that leave are remembered as foreign; keys that are (again) contributed are not withdrawn. */
static enum msp_err move_withdrawn(struct msa_core *c, struct msa_zone *z, const struct desired *d)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; z->put_dnskey != NULL && i < z->put_dnskey->count && err == MSP_OK; i++) {
		if (has(d->dnskey, z->put_dnskey->rdata[i]))
			continue;
		err = add(z, MSP_TYPE_DNSKEY, z->put_dnskey->rdata[i], &z->withdrawn);
		z->withdrawn_s = c->wall.s;
	}
	if (err == MSP_OK && z->withdrawn != NULL)
		msp_rrset_subtract(z->withdrawn, d->dnskey);
	return err;
}

static void replace(struct msp_rrset **have, struct msp_rrset **want)
{
	msp_rrset_free(have);
	*have = *want;
	*want = NULL;
}

/** What has left; what is to leave and could not yet stays noted. */
static void forget_dropped(struct msa_zone *z)
{
	size_t i = 0;

	while (z->dropping != NULL && i < z->dropping->count) {
		if (has(z->put_dnskey, z->dropping->rdata[i]))
			i++;
		else
			msp_rrset_del(z->dropping, z->dropping->rdata[i]);
	}
	if (z->dropping != NULL && z->dropping->count == 0)
		msp_rrset_free(&z->dropping);
}

static void change_put(struct msa_core *c, struct msa_zone *z, struct desired *d)
{
	enum msp_err err = move_withdrawn(c, z, d);

	if (err != MSP_OK) {
		msa_core_note(c, err);
		return;
	}
	msp_log(c->log, MSP_LOG_NOTICE, "contribute", MSP_F_STR("zone", MSP_NAME(&z->name)),
		MSP_F_U64("dnskey", d->dnskey == NULL ? 0 : d->dnskey->count),
		MSP_F_U64("cds", d->cds == NULL ? 0 : d->cds->count),
		MSP_F_U64("cdnskey", d->cdnskey == NULL ? 0 : d->cdnskey->count));
	replace(&z->put_dnskey, &d->dnskey);
	replace(&z->put_cds, &d->cds);
	replace(&z->put_cdnskey, &d->cdnskey);
	forget_dropped(z);
	z->has_put = true;
	z->put_acked = z->put_stored = false;
	send_put(c, z);
}

static bool ttl_differs(const struct msp_rrset *a, const struct msp_rrset *b)
{
	return a != NULL && b != NULL && a->ttl != b->ttl;
}

/** When to look again. */
static struct msp_mono look_at_combiner(struct msa_core *c, struct msa_zone *z)
{
	struct desired d = { 0 };
	struct msp_mono next = MSP_MONO_NEVER;
	bool is_change;
	enum msp_err err;

	if (z->combine.id != 0 && c->now.ms - z->combine.since.ms > MSA_OVERDUE_MS)
		msa_combined(c, z, MSP_ETIMEOUT, "no answer");
	if (z->combine.id != 0)
		return msp_mono_add_ms(z->combine.since, MSA_OVERDUE_MS + 1);
	if (!is_signer(z)) {
		/* Not (any more) a signer: what is there stays. Leaving is a process of its own. */
		if (z->has_put && !z->put_acked && msp_mono_reached(c->now, z->combine_next))
			send_put(c, z);
		if (z->combine.id != 0)
			return msp_mono_add_ms(z->combine.since, MSA_OVERDUE_MS + 1);
		if (!z->has_put || z->put_acked)
			return MSP_MONO_NEVER;
		return msp_mono_reached(c->now, z->combine_next) ? msp_mono_add_ms(c->now, COMBINE_RETRY_S * 1000)
								 : z->combine_next;
	}
	err = desire_keys(z, &d.dnskey);
	if (err == MSP_OK)
		err = desire_cds(z, d.dnskey, &d);
	if (err != MSP_OK) {
		msa_core_note(c, err);
		desired_fini(&d);
		return msp_mono_add_ms(c->now, COMBINE_RETRY_S * 1000);
	}
	is_change = !msp_rrset_equal(d.dnskey, z->put_dnskey) || !msp_rrset_equal(d.cds, z->put_cds) ||
		    !msp_rrset_equal(d.cdnskey, z->put_cdnskey) || ttl_differs(d.dnskey, z->put_dnskey) ||
		    ttl_differs(d.cds, z->put_cds);
	if (!is_change && (z->put_acked || !z->has_put)) {
		desired_fini(&d); /* nothing to do; a lone signer never gets further */
		return MSP_MONO_NEVER;
	}
	if (!msp_mono_reached(c->now, z->combine_next)) {
		next = z->combine_next;
	} else if (is_change) {
		change_put(c, z, &d);
	} else {
		send_put(c, z);
	}
	desired_fini(&d);
	if (z->combine.id != 0)
		return msp_mono_add_ms(z->combine.since, MSA_OVERDUE_MS + 1);
	return next.ms != INT64_MAX ? next : msp_mono_add_ms(c->now, COMBINE_RETRY_S * 1000); /* no memory */
}

void msa_combined(struct msa_core *c, struct msa_zone *z, enum msp_err err, const char *why)
{
	msa_pend_stop(c, &z->combine);
	msa_core_touch_zone(c, z);
	if (err == MSP_OK) {
		z->put_acked = true;
		z->combine_why[0] = '\0';
		z->combine_backoff_s = 0;
		z->combine_next = c->now;
		z->unseen_since = MSP_MONO_NEVER; /* counted from here */
		z->poll_backoff_s = 0;
		return;
	}
	snprintf(z->combine_why, sizeof(z->combine_why), "%s%s%.150s", msp_err_text(err), why == NULL ? "" : ": ",
		 why == NULL ? "" : why);
	z->combine_next = msp_mono_add_ms(c->now, msa_core_backoff_ms(c, &z->combine_backoff_s, COMBINE_RETRY_S,
								      COMBINE_RETRY_MAX_S));
	msp_log(c->log, MSP_LOG_WARNING, "combiner-failed", MSP_F_STR("zone", MSP_NAME(&z->name)),
		MSP_F_STR("reason", z->combine_why),
		MSP_F_I64("retry_s", msp_mono_until_ms(c->now, z->combine_next) / 1000));
}

/* ---- signer
 * ---------------------------------------------------------------------------------------------------------- */

/** Did the signer obey? Only its zone says so. When it is time to fetch it again. */
static struct msp_mono look_at_published(struct msa_core *c, struct msa_zone *z, bool own_cds_missing)
{
	bool keys_missing = z->put_acked && !msp_rrset_contains(z->dnskey, z->put_dnskey);
	bool cds_missing = own_cds_missing || (z->put_acked && !msp_rrset_contains(z->cds, z->put_cds));

	if (!keys_missing) {
		if (z->is_disobeyed)
			msp_log(c->log, MSP_LOG_NOTICE, "signer-publishes-foreign-keys",
				MSP_F_STR("zone", MSP_NAME(&z->name)));
		z->is_disobeyed = false;
		z->unseen_since = MSP_MONO_NEVER;
	} else if (z->unseen_since.ms == INT64_MAX) {
		z->unseen_since = c->now;
		z->poll_next = msp_mono_add_ms(c->now, POLL_S * 1000);
		z->poll_backoff_s = 0;
	} else if (!z->is_disobeyed && c->now.ms - z->unseen_since.ms >= MSA_OBEY_MS) {
		z->is_disobeyed = true;
		msp_log(c->log, MSP_LOG_WARNING, "signer-drops-foreign-keys", MSP_F_STR("zone", MSP_NAME(&z->name)),
			MSP_F_U64("serial", z->serial), MSP_F_U64("contributed", z->put_dnskey->count),
			MSP_F_U64("served", z->dnskey == NULL ? 0 : z->dnskey->count));
	}
	if (!keys_missing && !cds_missing) {
		z->poll_next = MSP_MONO_NEVER;
		return MSP_MONO_NEVER;
	}
	if (z->poll_next.ms == INT64_MAX)
		z->poll_next = msp_mono_add_ms(c->now, POLL_S * 1000);
	if (msp_mono_reached(c->now, z->poll_next)) {
		/* A signer that changes keys without a NOTIFY (SIGNERS 4.2) is found out by asking. */
		msa_act_transfer(c, &z->name);
		z->poll_next = msp_mono_add_ms(c->now, msa_core_backoff_ms(c, &z->poll_backoff_s, POLL_S, POLL_MAX_S));
	}
	if (keys_missing && !z->is_disobeyed)
		return msp_mono_min(z->poll_next, msp_mono_add_ms(z->unseen_since, MSA_OBEY_MS));
	return z->poll_next;
}

static void command_cds(struct msa_core *c, struct msa_zone *z)
{
	struct msp_rrset *keys = NULL;
	struct msa_action *a;
	enum msp_err err = MSP_OK;

	z->signer_next = msp_mono_add_ms(c->now, msa_core_backoff_ms(c, &z->signer_backoff_s, SIGNER_RETRY_S,
								     SIGNER_RETRY_MAX_S));
	for (size_t i = 0; i < z->own.dnskey->count && err == MSP_OK; i++) {
		struct msp_dnskey k;

		if (msp_dnskey_parse(z->own.dnskey->rdata[i], &k) == MSP_OK && (k.flags & MSP_DNSKEY_SEP) != 0)
			err = add(z, MSP_TYPE_DNSKEY, z->own.dnskey->rdata[i], &keys);
	}
	msa_core_note(c, err);
	a = err == MSP_OK && msa_pend_start(c, &z->signer, MSA_PEND_SIGNER, z) ? msa_act(c, MSA_ACT_SIGNER) : NULL;
	if (a == NULL) {
		msa_pend_stop(c, &z->signer);
		msp_rrset_free(&keys);
		return;
	}
	a->id = z->signer.id;
	a->name = z->name;
	a->verb = MSA_SIGNER_CDS_ON;
	a->signer_keys = keys;
	msp_log(c->log, MSP_LOG_NOTICE, "signer-command", MSP_F_STR("zone", MSP_NAME(&z->name)),
		MSP_F_STR("verb", "cds-on"), MSP_F_U64("keys", keys == NULL ? 0 : keys->count));
}

/** Our own CDS comes from our signer (SIGNERS 2.2): told until it is seen. */
static struct msp_mono look_at_signer(struct msa_core *c, struct msa_zone *z, bool *is_missing)
{
	*is_missing = z->gate_open && z->own.cds != NULL && !msp_rrset_contains(z->cds, z->own.cds);
	z->cds_seen = z->own.cds != NULL && msp_rrset_contains(z->cds, z->own.cds);
	if (!*is_missing) {
		z->signer_backoff_s = 0;
		z->signer_next = c->now;
		z->signer_why[0] = '\0';
		return MSP_MONO_NEVER;
	}
	if (z->signer_mode != MSA_SIGNER_COMMAND)
		return MSP_MONO_NEVER;
	if (z->signer.id != 0 && c->now.ms - z->signer.since.ms > MSA_OVERDUE_MS)
		msa_signed(c, z, MSP_ETIMEOUT, "no answer");
	if (z->signer.id == 0 && msp_mono_reached(c->now, z->signer_next))
		command_cds(c, z);
	return z->signer.id != 0 ? msp_mono_add_ms(z->signer.since, MSA_OVERDUE_MS + 1) : z->signer_next;
}

void msa_signed(struct msa_core *c, struct msa_zone *z, enum msp_err err, const char *why)
{
	msa_pend_stop(c, &z->signer);
	msa_core_touch_zone(c, z);
	if (err == MSP_OK) {
		z->signer_why[0] = '\0';
		z->poll_backoff_s = 0;
		z->poll_next = msp_mono_add_ms(c->now, POLL_S * 1000);
		return;
	}
	snprintf(z->signer_why, sizeof(z->signer_why), "%s%s%.150s", msp_err_text(err), why == NULL ? "" : ": ",
		 why == NULL ? "" : why);
	msp_log(c->log, MSP_LOG_WARNING, "signer-failed", MSP_F_STR("zone", MSP_NAME(&z->name)),
		MSP_F_STR("reason", z->signer_why),
		MSP_F_I64("retry_s", msp_mono_until_ms(c->now, z->signer_next) / 1000));
}

/* ---- why is it waiting?
 * ---------------------------------------------------------------------------------------------- */

static void wait_for(struct msa_core *c, struct msa_zone *z, const char *what, const struct msp_name *who,
		     const char *detail)
{
	char text[MSA_TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s%.80s%s%.100s", what, who == NULL ? "" : " ",
		 who == NULL ? "" : MSP_NAME(who), detail == NULL || detail[0] == '\0' ? "" : ": ",
		 detail == NULL ? "" : detail);
	if (strcmp(text, z->waiting) == 0)
		return;
	memcpy(z->waiting, text, sizeof(text));
	z->waiting_since = c->now;
	msp_log(c->log, MSP_LOG_DEBUG, "zone-waits", MSP_F_STR("zone", MSP_NAME(&z->name)), MSP_F_STR("for", text));
}

/** The first peer that keeps the zone from being complete. */
static bool wait_for_peer(struct msa_core *c, struct msa_zone *z)
{
	for (size_t i = 0; i < z->member_count; i++) {
		const struct msa_member *m = z->member[i];
		const struct msa_peer *p = m->peer;

		if (m->role != MSA_ROLE_PARTICIPANT)
			continue;
		if (!p->is_located)
			wait_for(c, z, "discovery of", &p->identity, p->search_why);
		else if (m->state == MSA_MEMBER_UNSEEN)
			wait_for(c, z, "HELLO with", &p->identity, m->hello_why);
		else if (m->state != MSA_MEMBER_MEMBER)
			wait_for(c, z, "same HSYNC RRset at", &p->identity, NULL);
		else if (m->signs && m->held.dnskey == NULL)
			wait_for(c, z, "keys of", &p->identity, m->pull_why);
		else
			continue;
		return true;
	}
	return false;
}

static void explain(struct msa_core *c, struct msa_zone *z, bool cds_missing)
{
	const struct msa_group_row *own = own_row(z);

	if (!z->has_view)
		wait_for(c, z, "first transfer from the signer", NULL, z->failed_why);
	else if (z->is_frozen)
		wait_for(c, z, "frozen: the HSYNC RRset is gone", NULL, NULL);
	else if (!z->group.has_hsync)
		wait_for(c, z, "no HSYNC RRset", NULL, NULL);
	else if (own == NULL)
		wait_for(c, z, "our identity is not in the HSYNC RRset", NULL, NULL);
	else if (own->role != MSA_ROLE_PARTICIPANT)
		wait_for(c, z, own->role == MSA_ROLE_LEAVER ? "leaving: OFF in HSYNC" : "staging: OFF in HSYNC", NULL,
			 NULL);
	else if (z->combine_why[0] != '\0')
		wait_for(c, z, "combiner", NULL, z->combine_why);
	else if (z->is_disobeyed)
		wait_for(c, z, "the signer does not publish the foreign keys", NULL, NULL);
	else if (wait_for_peer(c, z))
		return;
	else if (z->combine.id != 0)
		wait_for(c, z, "the combiner's answer", NULL, NULL);
	else if (is_signer(z) && z->group.signers > 1 && !z->gate_open)
		wait_for(c, z, "CDS", NULL, z->gate_why);
	else if (cds_missing)
		wait_for(c, z, "the signer's own CDS", NULL, z->signer_why);
	else if (!msp_rrset_contains(z->dnskey, z->put_dnskey) || !msp_rrset_contains(z->cds, z->put_cds))
		wait_for(c, z, "the signer to publish what was contributed", NULL, NULL);
	else
		wait_for(c, z, "", NULL, NULL);
}

void msa_zone_look(struct msa_core *c, struct msa_zone *z)
{
	struct msp_mono next = MSP_MONO_NEVER;
	bool cds_missing = false;

	if (z->has_view && !z->is_frozen && z->group.has_hsync && z->has_own && own_row(z) != NULL) {
		move_gate(c, z);
		next = look_at_combiner(c, z);
		next = msp_mono_min(next, look_at_signer(c, z, &cds_missing));
		next = msp_mono_min(next, look_at_published(c, z, cds_missing));
	}
	if (msp_mono_reached(c->now, z->view_again)) {
		z->view_again = msp_mono_add_ms(c->now, 2 * POLL_S * 1000);
		msa_act_transfer(c, &z->name);
	}
	next = msp_mono_min(next, z->view_again);
	explain(c, z, cds_missing);
	msa_parent_touch(c, z);
	if (next.ms <= c->now.ms)
		next = msp_mono_add_ms(c->now, 1);
	msa_timer_set(&c->heap, &z->timer, next);
}
