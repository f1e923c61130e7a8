/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"

#include <msproto/base/mem.h>
#include <msproto/zone/diff.h>
#include <msproto/zone/serial.h>

#include <string.h>

#define DELTA_MAX (4u << 20) /* octets of deletions or additions; the counts of instruct.h keep far below */

void cmb_delta_free(struct cmb_delta **d)
{
	if (*d == NULL)
		return;
	msp_buf_fini(&(*d)->del);
	msp_buf_fini(&(*d)->add);
	msp_free(*d);
	*d = NULL;
}

void cmb_version_free(struct cmb_version **v)
{
	if (*v == NULL)
		return;
	cmb_apex_fini(&(*v)->apex);
	cmb_delta_free(&(*v)->delta);
	msp_free(*v);
	*v = NULL;
}

void cmb_zone_init(struct cmb_zone *z, const struct cmb_rules *rules)
{
	memset(z, 0, sizeof(*z));
	z->rules = *rules;
	z->next_seq = 1;
	z->quiet_until = (struct msp_mono){ INT64_MIN };
}

static void clear_journal(struct cmb_zone *z)
{
	for (size_t i = 0; i < z->journal_count; i++)
		cmb_delta_free(&z->journal[i]);
	z->journal_count = 0;
}

void cmb_zone_fini(struct cmb_zone *z)
{
	clear_journal(z);
	cmb_apex_fini(&z->served);
	cmb_contrib_fini(&z->contrib);
	cmb_owner_free(&z->owner);
}

/* --- planning ----------------------------------------------------------------------------------------------------- */

static enum msp_err note_change(void *arg, enum msp_change change, const struct msp_rr *rr)
{
	struct cmb_delta *d = arg;
	struct msp_buf *buf = change == MSP_CHANGE_DEL ? &d->del : &d->add;
	struct msp_rrset one = { .owner = rr->owner, .type = rr->type, .ttl = rr->ttl, .count = 1, .size = 1 };
	struct msp_span rdata = rr->rdata;

	one.rdata = &rdata;
	return msp_rrset_write(&one, buf);
}

static enum msp_err make_delta(const struct cmb_apex *before, const struct cmb_apex *after, uint64_t seq,
			       struct cmb_delta **out)
{
	struct cmb_delta *d = msp_alloc(1, sizeof(*d));
	enum msp_err err = MSP_OK;

	if (d == NULL)
		return MSP_ENOMEM;
	msp_buf_init(&d->del, DELTA_MAX);
	msp_buf_init(&d->add, DELTA_MAX);
	d->from = cmb_apex_serial(before);
	d->to = cmb_apex_serial(after);
	d->seq = seq;
	for (unsigned i = 0; err == MSP_OK && i < CMB_SLOT__N; i++)
		if (!cmb_rrset_same(before->set[i], after->set[i]))
			err = msp_rrset_diff(before->set[i], after->set[i], note_change, d);
	if (err != MSP_OK)
		cmb_delta_free(&d);
	*out = d;
	return err;
}

static uint32_t choose_serial(const struct cmb_zone *z, const struct cmb_owner *o, bool new_owner)
{
	uint32_t theirs = cmb_apex_serial(&o->apex);

	if (!new_owner)
		return cmb_serials_for_change(&z->serials);
	/* The same signed version once more (its pages were lost): it may carry no other serial, and none is needed. */
	if (o->is_signed && z->serials.has_out && theirs == z->serials.last_out && theirs == z->serials.last_owner)
		return theirs;
	return cmb_serials_for_owner(&z->serials, theirs);
}

/* RFC 8976: the digest covers the SOA and the whole apex. It is right only while nothing at all has been changed. */
static enum msp_err add_zonemd(struct cmb_version *v, const struct cmb_owner *o, const struct cmb_rules *rules)
{
	const struct msp_rrset *zonemd = o->apex.set[CMB_ZONEMD];

	if (cmb_rrset_empty(zonemd))
		return MSP_OK;
	if (rules->zonemd_keep || (v->serial == cmb_apex_serial(&o->apex) && cmb_apex_equal(&v->apex, &o->apex)))
		return msp_rrset_dup(zonemd, &v->apex.set[CMB_ZONEMD]);
	v->notes |= CMB_NOTE_BIT(CMB_NOTE_ZONEMD_STRIPPED);
	return MSP_OK;
}

static enum msp_err finish_version(const struct cmb_zone *z, const struct cmb_owner *o, struct cmb_version *v,
				   struct msp_why *why)
{
	enum msp_err err;

	v->gen = o->gen;
	v->owner_serial = cmb_apex_serial(&o->apex);
	v->serial = choose_serial(z, o, v->new_owner);
	if (o->is_signed && v->serial != v->owner_serial)
		return msp_fail(why, MSP_ESTALE,
				"the zone arrives signed with serial %u, but %u has been handed out already: the owner "
				"must go beyond",
				(unsigned)v->owner_serial, (unsigned)z->serials.last_out);
	err = cmb_soa_with_serial(o->apex.soa, v->serial, &v->apex.soa);
	if (err == MSP_OK)
		err = add_zonemd(v, o, &z->rules);
	if (err == MSP_OK && !v->new_owner)
		err = make_delta(&z->served, &v->apex, z->next_seq, &v->delta);
	return err;
}

enum msp_err cmb_zone_plan(const struct cmb_zone *z, const struct cmb_owner *owner, const struct cmb_contrib *contrib,
			   struct cmb_version **out, struct msp_why *why)
{
	const struct cmb_owner *o = owner ? owner : z->owner;
	struct cmb_version *v;
	struct cmb_policy policy;
	enum msp_err err;

	*out = NULL;
	if (o == NULL)
		return msp_fail(why, MSP_ESTATE, "no owner data");
	v = msp_alloc(1, sizeof(*v));
	if (v == NULL)
		return MSP_ENOMEM;
	cmb_policy_derive(o, &z->rules, z->ns_applied, &policy);
	v->notes = policy.notes;
	v->ns_applied = policy.ns_applied;
	v->new_owner = !z->has_served || o->gen != z->served_gen;
	err = cmb_merge(o, contrib ? contrib : &z->contrib, &policy, &z->rules, &v->apex, &v->notes);
	if (err == MSP_OK && !v->new_owner && cmb_apex_equal(&v->apex, &z->served)) {
		cmb_version_free(&v);
		return MSP_OK;
	}
	if (err == MSP_OK)
		err = finish_version(z, o, v, why);
	if (err != MSP_OK)
		cmb_version_free(&v);
	*out = v;
	return err;
}

/* --- taking over ---------------------------------------------------------------------------------------------------
 */

void cmb_zone_push_delta(struct cmb_zone *z, struct cmb_delta **d)
{
	if (z->journal_count == CMB_JOURNAL_MAX) {
		cmb_delta_free(&z->journal[0]);
		memmove(&z->journal[0], &z->journal[1], (CMB_JOURNAL_MAX - 1) * sizeof(z->journal[0]));
		z->journal_count--;
	}
	if ((*d)->seq >= z->next_seq)
		z->next_seq = (*d)->seq + 1;
	z->journal[z->journal_count++] = *d;
	*d = NULL;
}

void cmb_zone_adopt(struct cmb_zone *z, struct cmb_version **version, struct cmb_owner **owner)
{
	struct cmb_version *v = *version;

	if (owner != NULL) {
		cmb_owner_free(&z->owner);
		z->owner = *owner;
		*owner = NULL;
		z->serials.has_owner = true;
		z->serials.last_owner = v->owner_serial;
	}
	cmb_apex_fini(&z->served);
	z->served = v->apex;
	memset(&v->apex, 0, sizeof(v->apex));
	z->has_served = true;
	z->served_gen = v->gen;
	z->served_owner_serial = v->owner_serial;
	z->serials.has_out = true;
	z->serials.last_out = v->serial;
	z->ns_applied = v->ns_applied;
	z->notes = v->notes;
	z->dirty = false;
	if (v->new_owner)
		clear_journal(z);
	if (v->delta != NULL)
		cmb_zone_push_delta(z, &v->delta);
	if (z->owner != NULL)
		cmb_policy_derive(z->owner, &z->rules, z->ns_applied, &z->policy);
	cmb_version_free(version);
}

void cmb_zone_set_contrib(struct cmb_zone *z, struct cmb_contrib *c)
{
	cmb_contrib_fini(&z->contrib);
	z->contrib = *c;
	memset(c, 0, sizeof(*c));
}

bool cmb_zone_history(const struct cmb_zone *z, uint32_t serial, size_t *from)
{
	uint32_t expect = serial;

	for (size_t i = 0; i < z->journal_count; i++) {
		if (z->journal[i]->from != serial)
			continue;
		*from = i;
		/* a chain without gaps up to what is served, or nothing */
		for (; i < z->journal_count; i++) {
			if (z->journal[i]->from != expect)
				return false;
			expect = z->journal[i]->to;
		}
		return expect == z->serials.last_out;
	}
	return false;
}

uint64_t cmb_zone_oldest_seq(const struct cmb_zone *z)
{
	return z->journal_count > 0 ? z->journal[0]->seq : z->next_seq;
}
