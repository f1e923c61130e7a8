/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"

#include "netdiff.h"

#include <msproto/base/mem.h>
#include <msproto/zone/diff.h>
#include <msproto/zone/serial.h>

#include <string.h>

#define DELTA_MAX     (CMB_EDIT_MAX + (4u << 20)) /* octets of deletions or additions: an edit's, and the apex */
#define CONDENSE_WORK (16u << 20)                 /* octets of memory while entries are joined */

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
}

void cmb_zone_fini(struct cmb_zone *z)
{
	cmb_apex_fini(&z->served);
	cmb_contrib_fini(&z->contrib);
	cmb_owner_free(&z->owner);
}

void cmb_zone_restore(struct cmb_zone *z, struct cmb_record *r, struct cmb_contrib *c)
{
	cmb_zone_set_contrib(z, c);
	if (r == NULL)
		return;
	z->owner = r->owner;
	z->served = r->served;
	z->has_served = true;
	z->served_gen = r->head.gen;
	z->served_instructions = r->head.instructions;
	z->served_rules = r->head.rules;
	z->served_owner_serial = r->head.owner_serial;
	z->next_seq = r->head.next_seq;
	z->ns_applied = r->head.ns_applied;
	z->serials = (struct cmb_serials){ .has_owner = true,
					   .has_out = true,
					   .last_owner = r->head.owner_serial,
					   .last_out = r->head.out_serial,
					   .has_ceiling = r->head.ceiling != 0,
					   .ceiling = r->head.ceiling };
	cmb_policy_derive(z->owner, &z->rules, z->ns_applied, &z->policy);
	z->notes = z->policy.notes;
	memset(r, 0, sizeof(*r));
}

bool cmb_zone_is_behind(const struct cmb_zone *z)
{
	if (!z->has_served)
		return z->owner != NULL;
	return z->served_instructions != z->contrib.number || z->served_rules != cmb_rules_fingerprint(&z->rules);
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

static enum msp_err delta_new(uint32_t from, uint32_t to, struct cmb_delta **out)
{
	struct cmb_delta *d = msp_alloc(1, sizeof(*d));

	*out = d;
	if (d == NULL)
		return MSP_ENOMEM;
	msp_buf_init(&d->del, DELTA_MAX);
	msp_buf_init(&d->add, DELTA_MAX);
	d->from = from;
	d->to = to;
	return MSP_OK;
}

static enum msp_err make_delta(const struct cmb_apex *before, const struct cmb_apex *after, const struct cmb_news *news,
			       struct cmb_delta **out)
{
	struct cmb_delta *d;
	enum msp_err err = delta_new(cmb_apex_serial(before), cmb_apex_serial(after), &d);

	if (err != MSP_OK)
		return err;
	err = msp_rrset_write(before->soa, &d->del);
	if (err == MSP_OK)
		err = msp_rrset_write(after->soa, &d->add);
	for (unsigned i = 0; err == MSP_OK && i < CMB_SLOT__N; i++)
		if (!cmb_rrset_same(before->set[i], after->set[i]))
			err = msp_rrset_diff(before->set[i], after->set[i], note_change, d);
	if (news != NULL) {
		msp_buf_add_span(&d->del, news->del);
		msp_buf_add_span(&d->add, news->add);
	}
	if (err == MSP_OK)
		err = d->del.err != MSP_OK ? d->del.err : d->add.err;
	if (err != MSP_OK)
		cmb_delta_free(&d);
	*out = d;
	return err;
}

/* The signed version that was served last, once more (its pages were lost, or all of the store): it may carry no other
 * serial, and needs none. */
static bool is_same_signed(const struct cmb_serials *s, const struct cmb_owner *o)
{
	uint32_t theirs = cmb_apex_serial(&o->apex);

	return o->is_signed && s->has_out && theirs == s->last_out && (!s->has_owner || theirs == s->last_owner);
}

static uint32_t choose_serial(const struct cmb_zone *z, const struct cmb_owner *o, bool is_news)
{
	if (!is_news)
		return cmb_serials_for_change(&z->serials);
	return is_same_signed(&z->serials, o) ? z->serials.last_out
					      : cmb_serials_for_owner(&z->serials, cmb_apex_serial(&o->apex));
}

/* RFC 8976: the digest covers the SOA and the whole apex. It is right only while nothing at all has been changed. */
static bool zonemd_fits(const struct cmb_apex *apex, uint32_t serial, const struct cmb_owner *o)
{
	return serial == cmb_apex_serial(&o->apex) && cmb_apex_equal(apex, &o->apex);
}

static enum msp_err add_zonemd(struct cmb_version *v, const struct cmb_owner *o, const struct cmb_rules *rules)
{
	const struct msp_rrset *zonemd = o->apex.set[CMB_ZONEMD];

	if (cmb_rrset_empty(zonemd) || (rules->zonemd == CMB_ZONEMD_RECOMPUTE && !o->is_signed))
		return MSP_OK; /* what is to be recomputed is added when the version is inspected */
	if (rules->zonemd == CMB_ZONEMD_KEEP || zonemd_fits(&v->apex, v->serial, o))
		return msp_rrset_dup(zonemd, &v->apex.set[CMB_ZONEMD]);
	v->notes |= CMB_NOTE_BIT(CMB_NOTE_ZONEMD_STRIPPED);
	return MSP_OK;
}

/* Whether the ZONEMD that is served is what the settings ask for; `apex` is the one served but for SOA and ZONEMD. */
static bool zonemd_is_right(const struct cmb_zone *z, const struct cmb_owner *o, const struct cmb_apex *apex)
{
	const struct msp_rrset *theirs = o->apex.set[CMB_ZONEMD], *ours = z->served.set[CMB_ZONEMD];

	if (cmb_rrset_empty(theirs))
		return cmb_rrset_empty(ours);
	if (z->rules.zonemd == CMB_ZONEMD_RECOMPUTE && !o->is_signed)
		return !cmb_rrset_empty(ours) && z->served_rules == cmb_rules_fingerprint(&z->rules);
	if (z->rules.zonemd == CMB_ZONEMD_KEEP || zonemd_fits(apex, z->serials.last_out, o))
		return cmb_rrset_same(ours, theirs);
	return cmb_rrset_empty(ours);
}

static enum msp_err finish_version(const struct cmb_zone *z, const struct cmb_owner *o, const struct cmb_news *news,
				   struct cmb_version *v, struct msp_why *why)
{
	bool is_anew = !z->has_served || (news != NULL ? !news->is_incremental : o->gen != z->served_gen);
	enum msp_err err;

	v->gen = o->gen;
	v->owner_serial = cmb_apex_serial(&o->apex);
	v->serial = choose_serial(z, o, news != NULL || is_anew);
	if (o->is_signed && v->serial != v->owner_serial)
		return msp_fail(why, MSP_ESTALE,
				"the zone arrives signed with serial %u, but %u has been handed out already: the owner "
				"must go beyond",
				(unsigned)v->owner_serial, (unsigned)z->serials.last_out);
	err = cmb_soa_with_serial(o->apex.soa, v->serial, &v->apex.soa);
	if (err == MSP_OK)
		err = add_zonemd(v, o, &z->rules);
	if (err == MSP_OK && !is_anew)
		err = make_delta(&z->served, &v->apex, news, &v->delta);
	return err;
}

enum msp_err cmb_zone_plan(const struct cmb_zone *z, const struct cmb_news *news, const struct cmb_contrib *contrib,
			   struct cmb_version **out, struct msp_why *why)
{
	const struct cmb_owner *o = news ? news->owner : z->owner;
	const struct cmb_contrib *c = contrib ? contrib : &z->contrib;
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
	v->instructions = c->number;
	v->rules = cmb_rules_fingerprint(&z->rules);
	err = cmb_merge(o, c, &policy, &z->rules, &v->apex, &v->notes);
	if (err == MSP_OK && news == NULL && z->has_served && o->gen == z->served_gen &&
	    cmb_apex_equal(&v->apex, &z->served) && zonemd_is_right(z, o, &v->apex)) {
		cmb_version_free(&v);
		return MSP_OK;
	}
	if (err == MSP_OK)
		err = finish_version(z, o, news, v, why);
	if (err != MSP_OK)
		cmb_version_free(&v);
	*out = v;
	return err;
}

void cmb_zone_head(const struct cmb_zone *z, const struct cmb_version *v, const struct cmb_owner *owner,
		   struct msp_wall confirmed, struct cmb_head *out)
{
	struct msp_soa soa = { .serial = 0 };

	/* An SOA that cannot be read gives zeros: the timers' minima hold then. */
	if (cmb_rrset_empty(owner->apex.soa) || msp_soa_parse(owner->apex.soa->rdata[0], &soa) != MSP_OK)
		memset(&soa, 0, sizeof(soa));
	*out = (struct cmb_head){ .gen = v->gen,
				  .owner_serial = v->owner_serial,
				  .out_serial = v->serial,
				  .refresh_s = soa.refresh_s,
				  .retry_s = soa.retry_s,
				  .expire_s = soa.expire_s,
				  .ceiling = z->serials.has_ceiling ? z->serials.ceiling : 0,
				  .instructions = v->instructions,
				  .rules = v->rules,
				  .next_seq = z->next_seq + (v->delta != NULL),
				  .confirmed = confirmed,
				  .ns_applied = v->ns_applied };
}

/* --- taking over -------------------------------------------------------------------------------------------------- */

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
	z->served_instructions = v->instructions;
	z->served_rules = v->rules;
	z->served_owner_serial = v->owner_serial;
	z->next_seq += v->delta != NULL;
	z->serials.has_out = true;
	z->serials.last_out = v->serial;
	z->ns_applied = v->ns_applied;
	z->notes = v->notes;
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

/* --- history ------------------------------------------------------------------------------------------------------ */

/* Records of one side of an entry. Its SOA is copied to `soa` when that is not NULL. */
static enum msp_err note_side(struct cmb_netdiff *net, struct msp_span side, bool is_add, struct msp_buf *soa,
			      struct msp_rr_scratch *scratch)
{
	enum msp_err err = MSP_OK;
	struct msp_rd rd;

	msp_rd_init(&rd, side);
	for (bool is_first = true; err == MSP_OK && msp_rd_left(&rd) > 0; is_first = false) {
		size_t from = rd.pos;
		struct msp_span wire;
		struct msp_rr rr;

		msp_rr_read(&rd, scratch, &rr);
		if (rd.err != MSP_OK)
			return MSP_ECORRUPT;
		wire = msp_span(side.ptr + from, rd.pos - from);
		if (!is_first)
			err = is_add ? cmb_netdiff_add(net, &rr, wire) : cmb_netdiff_del(net, &rr, wire);
		else if (soa != NULL)
			msp_buf_add_span(soa, wire);
	}
	return err;
}

static enum msp_err condense(struct cmb_netdiff *net, const struct cmb_delta_view *view, size_t count,
			     struct cmb_delta *d, struct msp_rr_scratch *scratch)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		err = note_side(net, view[i].del, false, i == 0 ? &d->del : NULL, scratch);
		if (err == MSP_OK)
			err = note_side(net, view[i].add, true, i == count - 1 ? &d->add : NULL, scratch);
	}
	return err == MSP_OK ? cmb_netdiff_write(net, &d->del, &d->add) : err;
}

enum msp_err cmb_history_condense(const struct cmb_delta_view *view, size_t count, size_t max, struct cmb_delta **out)
{
	struct msp_rr_scratch *scratch = msp_alloc(1, sizeof(*scratch));
	struct cmb_delta *d = NULL;
	struct cmb_netdiff net;
	enum msp_err err;

	*out = NULL;
	cmb_netdiff_init(&net, CONDENSE_WORK);
	err = scratch != NULL && count > 0 ? delta_new(view[0].from, view[count - 1].to, &d) : MSP_ENOMEM;
	if (err == MSP_OK) {
		d->del.cap = d->add.cap = max < DELTA_MAX ? max : DELTA_MAX;
		err = condense(&net, view, count, d, scratch);
	}
	if (err == MSP_OK && d->del.len + d->add.len > max)
		err = MSP_ELIMIT;
	if (err != MSP_OK)
		cmb_delta_free(&d);
	cmb_netdiff_fini(&net);
	msp_free(scratch);
	*out = d;
	return err;
}
