/* SPDX-License-Identifier: BSD-2-Clause */
#include "records.h"

#include <msproto/base/mem.h>
#include <msproto/wire/rdata.h>

#include <stdlib.h>
#include <string.h>

#define SETS_MAX      (8 * PRT_RECORD_CHILDREN) /* of what was published before, too */
#define ROOM_FIRST    16
#define BOOTSTRAP_MAX 200

/* What a set of DSYNC records says. */
struct announcement {
	bool update, cds, csync;
	const struct msp_name *target; /* borrowed */
	uint16_t port;
};

/* While they are not in order. */
static struct msp_rrset *set_of(const struct prt_records *r, const struct msp_name *owner, uint16_t type)
{
	for (size_t i = r->count; i-- > 0;) /* what comes together stands together */
		if (r->set[i]->type == type && msp_name_equal(&r->set[i]->owner, owner))
			return r->set[i];
	return NULL;
}

static enum msp_err make_room(struct prt_records *r)
{
	size_t room = r->room > 0 ? 2 * r->room : ROOM_FIRST;
	struct msp_rrset **set;

	if (r->count < r->room)
		return MSP_OK;
	if (room > SETS_MAX)
		return MSP_ELIMIT;
	set = msp_realloc(r->set, room, sizeof(struct msp_rrset *));
	if (set == NULL)
		return MSP_ENOMEM;
	r->set = set;
	r->room = room;
	return MSP_OK;
}

static enum msp_err add(struct prt_records *r, const struct msp_name *owner, uint16_t type, uint32_t ttl,
			struct msp_span rdata)
{
	struct msp_rrset *set = set_of(r, owner, type);
	enum msp_err err = MSP_OK;

	if (set == NULL) {
		err = make_room(r);
		if (err == MSP_OK)
			err = msp_rrset_new(owner, type, ttl, &set);
		if (err == MSP_OK)
			r->set[r->count++] = set;
	}
	return err == MSP_OK ? msp_rrset_add(set, rdata) : err;
}

/* --- DSYNC -------------------------------------------------------------------------------------------------------- */

static enum msp_err add_dsync(const struct prt_records_in *in, struct prt_records *r, const struct msp_name *owner,
			      const struct msp_dsync *d)
{
	uint8_t mem[MSP_NAME_MAX + 8];
	struct msp_wr wr;

	msp_wr_init(&wr, mem, sizeof(mem));
	msp_dsync_write(&wr, d);
	return wr.err == MSP_OK ? add(r, owner, MSP_TYPE_DSYNC, in->ttl, msp_wr_span(&wr)) : wr.err;
}

static enum msp_err add_dsyncs(const struct prt_records_in *in, struct prt_records *r, const struct msp_name *owner,
			       const struct announcement *a)
{
	struct msp_dsync d = { .port = a->port, .target = *a->target };
	const struct {
		bool is_wanted;
		uint16_t type;
		uint8_t scheme;
	} kind[] = { { a->cds, MSP_TYPE_CDS, MSP_DSYNC_NOTIFY },
		     { a->csync, MSP_TYPE_CSYNC, MSP_DSYNC_NOTIFY },
		     { a->update, MSP_TYPE_ANY, in->numbers->dsync_update } };
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < sizeof(kind) / sizeof(kind[0]); i++) {
		d.rrtype = kind[i].type;
		d.scheme = kind[i].scheme;
		if (kind[i].is_wanted)
			err = add_dsync(in, r, owner, &d);
	}
	return err;
}

static struct announcement common(const struct prt_records_in *in)
{
	return (struct announcement){ in->update, in->cds, in->csync, in->target, in->port };
}

static enum msp_err add_common(const struct prt_records_in *in, struct prt_records *r, const char *labels,
			       const struct msp_name *above)
{
	struct announcement a = common(in);
	struct msp_name owner;
	enum msp_err err = msp_name_prepend(labels, above, &owner);

	if (err == MSP_OK && set_of(r, &owner, MSP_TYPE_DSYNC) == NULL) /* a child's own goes before */
		err = add_dsyncs(in, r, &owner, &a);
	return err;
}

/* The wildcard again, at the names between this one and _dsync: they exist now. */
static enum msp_err uncover(const struct prt_records_in *in, struct prt_records *r, const struct msp_name *name,
			    const struct msp_name *apex)
{
	struct msp_name up;
	enum msp_err err = msp_name_parent(name, 1, &up);

	while (err == MSP_OK && in->wildcard && !msp_name_equal(&up, apex)) {
		err = add_common(in, r, "*", &up);
		if (err == MSP_OK)
			err = msp_name_parent(&up, 1, &up);
	}
	return err;
}

/* The child's labels below the parent, and `apex` behind them. */
static enum msp_err child_owner(const struct prt_records_in *in, const struct msp_name *zone,
				const struct msp_name *apex, struct msp_name *out)
{
	size_t own = (size_t)zone->len - in->parent->len;
	struct msp_name labels = { 0 };

	if (zone->len <= in->parent->len || !msp_name_is_under(zone, in->parent))
		return MSP_ENAME;
	memcpy(labels.oct, zone->oct, own);
	labels.oct[own] = 0; /* the root */
	labels.len = (uint8_t)(own + 1);
	return msp_name_concat(&labels, apex, out);
}

static enum msp_err add_child(const struct prt_records_in *in, struct prt_records *r, const struct prt_dsync_child *c,
			      const struct msp_name *apex, struct msp_name *owner)
{
	struct announcement a = { c->update, c->cds, c->csync, &c->target, c->port };
	struct msp_dsync none = { .rrtype = MSP_TYPE_ANY };
	enum msp_err err = child_owner(in, &c->zone, apex, owner);

	if (err != MSP_OK)
		return err;
	if (a.update || a.cds || a.csync)
		return add_dsyncs(in, r, owner, &a);
	msp_name_root(&none.target);
	return add_dsync(in, r, owner, &none);
}

/* A child may be called like the target, or like a name between it and _dsync: that exists then without records. */
static enum msp_err add_at_target(const struct prt_records_in *in, struct prt_records *r, const struct msp_name *apex)
{
	struct announcement a = common(in);
	struct msp_name at = *in->target;
	enum msp_err err = MSP_OK;

	if (!in->wildcard || !msp_name_is_under(&at, apex))
		return MSP_OK;
	while (err == MSP_OK && !msp_name_equal(&at, apex)) {
		if (set_of(r, &at, MSP_TYPE_DSYNC) == NULL)
			err = add_dsyncs(in, r, &at, &a);
		if (err == MSP_OK)
			err = add_common(in, r, "*", &at);
		if (err == MSP_OK)
			err = msp_name_parent(&at, 1, &at);
	}
	return err;
}

static enum msp_err add_all_dsyncs(const struct prt_records_in *in, struct prt_records *r)
{
	struct msp_name apex, owner;
	enum msp_err err = msp_name_prepend("_dsync", in->parent, &apex);

	for (size_t i = 0; err == MSP_OK && i < in->child_count; i++)
		err = add_child(in, r, &in->child[i], &apex, &owner);
	for (size_t i = 0; err == MSP_OK && i < in->child_count; i++) {
		err = child_owner(in, &in->child[i].zone, &apex, &owner);
		if (err == MSP_OK)
			err = uncover(in, r, &owner, &apex);
	}
	if (err == MSP_OK && in->wildcard)
		err = add_common(in, r, "*", &apex);
	if (err == MSP_OK && in->plain)
		err = add_common(in, r, "_dsync", in->parent);
	return err == MSP_OK ? add_at_target(in, r, &apex) : err;
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

static enum msp_err add_svcb(const struct prt_records_in *in, struct prt_records *r)
{
	struct msp_svcb svcb = { .priority = 1 };
	uint8_t params[BOOTSTRAP_MAX + 8], mem[BOOTSTRAP_MAX + 16];
	struct msp_wr p, wr;

	msp_wr_init(&p, params, sizeof(params));
	msp_svcb_param_write(&p, in->numbers->svcb_bootstrap, msp_span_str(in->bootstrap));
	if (p.err != MSP_OK)
		return p.err;
	svcb.params = msp_wr_span(&p);
	msp_name_root(&svcb.target); /* "." = the owner itself */
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_svcb_write(&wr, &svcb);
	return wr.err == MSP_OK ? add(r, in->target, MSP_TYPE_SVCB, in->ttl, msp_wr_span(&wr)) : wr.err;
}

static int compare(const void *a, const void *b)
{
	const struct msp_rrset *const *x = a, *const *y = b;
	int c = msp_name_cmp(&(*x)->owner, &(*y)->owner);

	return c != 0 ? c : (int)(*x)->type - (int)(*y)->type;
}

static void sort(struct prt_records *r)
{
	if (r->count > 1)
		qsort(r->set, r->count, sizeof(struct msp_rrset *), compare);
}

enum msp_err prt_records_make(const struct prt_records_in *in, struct prt_records *out)
{
	enum msp_err err;

	*out = (struct prt_records){ .set = NULL };
	err = add_all_dsyncs(in, out);
	for (size_t i = 0; err == MSP_OK && i < in->address_count; i++) {
		const struct msp_addr *a = &in->address[i];
		bool is_v6 = a->family == MSP_FAMILY_V6;

		err = add(out, in->target, is_v6 ? MSP_TYPE_AAAA : MSP_TYPE_A, in->ttl,
			  msp_span(a->oct, is_v6 ? 16 : 4));
	}
	for (size_t i = 0; err == MSP_OK && i < in->key_count; i++)
		err = add(out, in->target, MSP_TYPE_KEY, in->ttl, in->key[i]);
	if (err == MSP_OK && in->bootstrap != NULL && in->bootstrap[0] != '\0')
		err = add_svcb(in, out);
	if (err != MSP_OK)
		prt_records_fini(out);
	else
		sort(out);
	return err;
}

void prt_records_fini(struct prt_records *r)
{
	for (size_t i = 0; i < r->count; i++)
		msp_rrset_free(&r->set[i]);
	msp_free(r->set);
	*r = (struct prt_records){ .set = NULL };
}

enum msp_err prt_records_write(const struct prt_records *r, struct msp_buf *out)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < r->count; i++)
		err = msp_rrset_write(r->set[i], out);
	return err;
}

enum msp_err prt_records_read(struct msp_span octets, struct prt_records *out)
{
	struct msp_rd rd;
	enum msp_err err = MSP_OK;

	*out = (struct prt_records){ .set = NULL };
	msp_rd_init(&rd, octets);
	while (err == MSP_OK && msp_rd_left(&rd) > 0) { /* the form of msp_rrset_write */
		struct msp_name owner;
		struct msp_span rdata;
		uint16_t type, cls;
		uint32_t ttl;

		msp_name_read(&rd, MSP_NAME_PLAIN, &owner);
		type = msp_rd_u16(&rd);
		cls = msp_rd_u16(&rd);
		ttl = msp_rd_u32(&rd);
		rdata = msp_rd_take(&rd, msp_rd_u16(&rd));
		if (rd.err != MSP_OK || cls != MSP_CLASS_IN || msp_rdata_check(type, rdata) != MSP_OK)
			err = MSP_ECORRUPT;
		else
			err = add(out, &owner, type, ttl, rdata);
	}
	if (err != MSP_OK)
		prt_records_fini(out);
	else
		sort(out);
	return err;
}

enum msp_err prt_records_merge(struct prt_records *into, const struct prt_records *from)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; i < from->count; i++) {
		const struct msp_rrset *set = from->set[i];

		for (size_t k = 0; err == MSP_OK && k < set->count; k++)
			err = add(into, &set->owner, set->type, set->ttl, set->rdata[k]);
	}
	sort(into);
	return err;
}

void prt_records_subtract(struct prt_records *from, const struct prt_records *what)
{
	size_t kept = 0;

	for (size_t i = 0; i < from->count; i++) {
		struct msp_rrset *set = from->set[i];

		msp_rrset_subtract(set, set_of(what, &set->owner, set->type));
		if (set->count > 0)
			from->set[kept++] = set;
		else
			msp_rrset_free(&set);
	}
	from->count = kept;
}

/* The first one that is not before this owner and type. */
static size_t lower_bound(const struct prt_records *r, const struct msp_name *owner, uint16_t type)
{
	size_t from = 0, to = r->count;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int c = msp_name_cmp(&r->set[mid]->owner, owner);

		if (c < 0 || (c == 0 && r->set[mid]->type < type))
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

const struct msp_rrset *prt_records_get(const struct prt_records *r, const struct msp_name *owner, uint16_t type)
{
	size_t i = lower_bound(r, owner, type);

	return i < r->count && r->set[i]->type == type && msp_name_equal(&r->set[i]->owner, owner) ? r->set[i] : NULL;
}

bool prt_records_has_name(const struct prt_records *r, const struct msp_name *owner)
{
	size_t i = lower_bound(r, owner, 0); /* what is below a name follows it at once */

	return i < r->count && msp_name_is_under(&r->set[i]->owner, owner);
}
