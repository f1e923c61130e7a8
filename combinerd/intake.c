/* SPDX-License-Identifier: BSD-2-Clause */
#include "intake.h"

#include <msproto/base/mem.h>
#include <msproto/wire/rdata.h>

#include <string.h>

#define ONCE_LINEAR     16u         /* records of a name that are simply looked through */
#define ONCE_OCTETS_MAX (16u << 20) /* RDATA at one owner name */
#define ONCE_COUNT_MAX  (1u << 20)

/* --- records that come twice ---------------------------------------------------------------------------------------
 *
 * In an AXFR duplicates collapse (RFC 5936 2.2). The pages must not hold a record twice, or differences that delete it
 * would leave one behind. They are found where a zone has them in practice: among the records of an owner name that
 * arrive together.
 */

struct cmb_once_rr {
	uint32_t at, hash; /* where its RDATA is; hash only while there is a table */
	uint16_t len, type;
};

static void once_fini(struct cmb_once *o)
{
	msp_buf_fini(&o->octets);
	msp_free(o->item);
	msp_free(o->table);
	memset(o, 0, sizeof(*o));
}

static bool is_same_name(const struct msp_name *a, const struct msp_name *b)
{
	return a->len == b->len && (memcmp(a->oct, b->oct, a->len) == 0 || msp_name_equal(a, b));
}

static void once_begin(struct cmb_once *o, const struct msp_name *owner)
{
	o->owner.len = owner->len;
	memcpy(o->owner.oct, owner->oct, owner->len);
	msp_buf_reset(&o->octets);
	o->count = 0;
	msp_free(o->table);
	o->table = NULL;
	o->table_size = 0;
}

/* Of the octets as if all were letters of names: what is equal as RDATA hashes alike. */
static uint32_t rdata_hash(uint16_t type, struct msp_span rdata)
{
	uint32_t h = 2166136261u ^ type;

	for (size_t i = 0; i < rdata.len; i++) {
		uint8_t c = rdata.ptr[i];

		h = (h ^ (c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c)) * 16777619u;
	}
	return h;
}

static struct msp_span rdata_of(const struct cmb_once *o, const struct cmb_once_rr *item)
{
	return msp_span(o->octets.ptr + item->at, item->len);
}

static bool is_same_rr(const struct cmb_once *o, const struct cmb_once_rr *item, const struct msp_rr *rr)
{
	return item->type == rr->type && item->len == rr->rdata.len &&
	       msp_rdata_equal(rr->type, rdata_of(o, item), rr->rdata);
}

/* Where the record is in the table, or the free place for it. */
static size_t table_slot(const struct cmb_once *o, const struct msp_rr *rr, uint32_t hash)
{
	size_t at = hash & (o->table_size - 1);

	while (o->table[at] != 0) {
		const struct cmb_once_rr *item = &o->item[o->table[at] - 1];

		if (item->hash == hash && is_same_rr(o, item, rr))
			break;
		at = (at + 1) & (o->table_size - 1);
	}
	return at;
}

static enum msp_err table_grow(struct cmb_once *o)
{
	size_t size = o->table_size != 0 ? o->table_size * 2 : ONCE_LINEAR * 4;
	uint32_t *table = msp_alloc(size, sizeof(*table));

	if (table == NULL)
		return MSP_ENOMEM;
	msp_free(o->table);
	o->table = table;
	o->table_size = size;
	for (size_t i = 0; i < o->count; i++) {
		struct cmb_once_rr *item = &o->item[i];
		size_t at;

		item->hash = rdata_hash(item->type, rdata_of(o, item));
		at = item->hash & (size - 1);
		while (table[at] != 0)
			at = (at + 1) & (size - 1);
		table[at] = (uint32_t)i + 1;
	}
	return MSP_OK;
}

static enum msp_err once_append(struct cmb_once *o, const struct msp_rr *rr, uint32_t hash)
{
	if (o->count == o->size) {
		size_t size = o->size != 0 ? o->size * 2 : 8;
		struct cmb_once_rr *item = msp_realloc(o->item, size, sizeof(*item));

		if (item == NULL)
			return MSP_ENOMEM;
		o->item = item;
		o->size = size;
	}
	o->item[o->count] = (struct cmb_once_rr){ (uint32_t)o->octets.len, hash, (uint16_t)rr->rdata.len, rr->type };
	msp_buf_add_span(&o->octets, rr->rdata);
	if (o->octets.err != MSP_OK)
		return o->octets.err;
	o->count++;
	return MSP_OK;
}

static enum msp_err once_by_table(struct cmb_once *o, const struct msp_rr *rr, bool *is_new)
{
	uint32_t hash = rdata_hash(rr->type, rr->rdata);
	enum msp_err err = o->table_size < 2 * (o->count + 1) ? table_grow(o) : MSP_OK;
	size_t at;

	if (err != MSP_OK)
		return err;
	at = table_slot(o, rr, hash);
	*is_new = o->table[at] == 0;
	if (!*is_new)
		return MSP_OK;
	err = once_append(o, rr, hash);
	if (err == MSP_OK)
		o->table[at] = (uint32_t)o->count;
	return err;
}

/** MSP_ELIMIT: too much at one name to be told apart. */
static enum msp_err once(struct cmb_once *o, const struct msp_rr *rr, bool *is_new)
{
	if (!is_same_name(&o->owner, &rr->owner))
		once_begin(o, &rr->owner);
	if (o->count >= ONCE_COUNT_MAX)
		return MSP_ELIMIT;
	if (o->count >= ONCE_LINEAR)
		return once_by_table(o, rr, is_new);
	*is_new = true;
	for (size_t i = 0; *is_new && i < o->count; i++)
		*is_new = !is_same_rr(o, &o->item[i], rr);
	return *is_new ? once_append(o, rr, 0) : MSP_OK;
}

/* --- beginning and end -------------------------------------------------------------------------------------------- */

static enum msp_err dup_base(const struct cmb_owner *from, struct cmb_owner **out)
{
	enum msp_err err = cmb_owner_dup(from, out);

	if (err != MSP_OK)
		return err;
	(*out)->gen = from->gen;
	(*out)->layout = from->layout;
	(*out)->pages = from->pages;
	(*out)->records = from->records;
	(*out)->octets = from->octets;
	return MSP_OK;
}

enum msp_err cmb_intake_open(struct cmb_pages *pages, const struct msp_name *zone, const struct msp_numbers *numbers,
			     const struct cmb_guard_limits *limits, const struct cmb_owner *base,
			     struct cmb_intake **out)
{
	struct cmb_intake *in = msp_alloc(1, sizeof(*in));
	enum msp_err err = MSP_OK;

	if (in == NULL)
		return MSP_ENOMEM;
	in->pages = pages;
	in->zone = *zone;
	in->numbers = numbers;
	in->limits = *limits;
	cmb_guard_init(&in->guard, limits);
	msp_buf_init(&in->once.octets, ONCE_OCTETS_MAX);
	msp_buf_init(&in->del, CMB_INTAKE_DIFF_MAX);
	msp_buf_init(&in->add, CMB_INTAKE_DIFF_MAX);
	if (base != NULL)
		err = dup_base(base, &in->base);
	if (err != MSP_OK)
		cmb_intake_close(&in);
	*out = in;
	return err;
}

void cmb_intake_close(struct cmb_intake **intake)
{
	struct cmb_intake *in = *intake;

	*intake = NULL;
	if (in == NULL)
		return;
	cmb_build_free(&in->build);
	cmb_edit_free(&in->edit);
	cmb_owner_free(&in->owner);
	cmb_owner_free(&in->base);
	msp_buf_fini(&in->del);
	msp_buf_fini(&in->add);
	once_fini(&in->once);
	msp_free(in->as_is.scratch);
	msp_free(in);
}

static enum msp_err begin_whole(struct cmb_intake *in, const struct msp_rr *soa)
{
	enum msp_err err;

	cmb_owner_free(&in->base);
	in->owner = msp_alloc(1, sizeof(*in->owner));
	err = in->owner != NULL ? cmb_build_new(in->pages, &in->build) : MSP_ENOMEM;
	return err == MSP_OK ? cmb_apex_add(&in->owner->apex, soa, &in->ttl_differs) : err;
}

static enum msp_err begin_differences(struct cmb_intake *in)
{
	enum msp_err err = dup_base(in->base, &in->owner);

	in->guard.limits.records = 0; /* looked at when the result is known */
	return err == MSP_OK ? cmb_edit_new(in->pages, in->base, &in->edit) : err;
}

static enum msp_err take_begin(void *arg, const struct msp_rr *soa, bool is_full)
{
	struct cmb_intake *in = arg;

	in->has_begun = true;
	in->serial = msp_soa_serial(soa->rdata);
	if (is_full)
		return begin_whole(in, soa);
	if (in->base == NULL)
		return msp_fail(&in->why, MSP_EFORMAT, "differences in answer to a request for the whole zone");
	return begin_differences(in);
}

/* --- a record of a whole zone ------------------------------------------------------------------------------------- */

static enum msp_err guard(struct cmb_intake *in, const struct msp_rr *rr)
{
	enum msp_err err = cmb_guard_record(&in->guard, rr, &in->why);

	in->is_final = err != MSP_OK;
	return err;
}

static enum msp_err add_hsync(struct cmb_owner *o, const struct msp_rr *rr)
{
	enum msp_err err = o->hsync == NULL ? msp_rrset_new(&rr->owner, rr->type, rr->ttl, &o->hsync) : MSP_OK;

	return err == MSP_OK ? msp_rrset_add(o->hsync, rr->rdata) : err;
}

/* PROTOCOL E.4 fence 1 */
static bool says_signed(const struct msp_rr *rr)
{
	struct msp_rrsig sig;

	return rr->type == MSP_TYPE_RRSIG && msp_rrsig_parse(rr->rdata, &sig) == MSP_OK &&
	       (sig.covered == MSP_TYPE_SOA || sig.covered == MSP_TYPE_DNSKEY);
}

static enum msp_err too_large(struct cmb_intake *in, const struct msp_rr *rr)
{
	in->is_final = true;
	return msp_fail(&in->why, MSP_ELIMIT, "%.150s %s: too large to be passed on with TSIG", MSP_NAME(&rr->owner),
			MSP_TYPE(rr->type));
}

static enum msp_err take_apex(struct cmb_intake *in, const struct msp_rr *rr, bool *is_apart)
{
	enum cmb_slot slot;

	*is_apart = cmb_slot_of(rr->type, &slot);
	if (*is_apart)
		return cmb_apex_add(&in->owner->apex, rr, &in->ttl_differs);
	if (says_signed(rr))
		in->owner->is_signed = true;
	return rr->type == in->numbers->type_hsync ? add_hsync(in->owner, rr) : MSP_OK;
}

static enum msp_err add_record(struct cmb_intake *in, const struct msp_rr *rr)
{
	enum msp_err err = cmb_build_add(in->build, rr);

	return err == MSP_ELIMIT ? too_large(in, rr) : err;
}

/* --- messages that are pages as they are ---------------------------------------------------------------------------
 *
 * Primaries send messages of about the size of a page: most of a large zone need not be packed again. Every record is
 * looked at all the same, and at the first one that has no place in the page, or another one than it was sent in, those
 * before it in the message are read once more and added one by one.
 */

static size_t answer_end(const struct msp_msg *m)
{
	return m->section_at[MSP_SEC_AUTHORITY];
}

static bool is_page(const struct msp_msg *m)
{
	return m->count[MSP_SEC_QUESTION] == 0 && m->count[MSP_SEC_ANSWER] > 0 && m->count[MSP_SEC_AUTHORITY] == 0 &&
	       answer_end(m) >= CMB_PAGE_WORTH && answer_end(m) <= CMB_PAGE_TARGET;
}

/* Pages have names compressed in the types where we do (PROTOCOL A.0); RFC 1035 allows it in some more. */
static bool is_as_written(uint16_t type)
{
	const struct msp_type_row *row = msp_type_row(type);

	return row == NULL || !row->comp_read || row->comp_write;
}

/* The message is no page. */
static enum msp_err add_taken(struct cmb_intake *in)
{
	struct cmb_as_is *a = &in->as_is;
	struct msp_msg_it it;
	struct msp_rr rr;
	enum msp_err err = MSP_OK;

	if (a->msg == NULL)
		return MSP_OK;
	if (a->scratch == NULL)
		a->scratch = msp_alloc(1, sizeof(*a->scratch));
	if (a->scratch == NULL)
		return MSP_ENOMEM;
	msp_msg_it_init(&it, a->msg, MSP_SEC_ANSWER, a->scratch);
	a->msg = NULL;
	if (a->taken > 0)
		cmb_build_retract(in->build);
	while (err == MSP_OK && a->taken > 0 && msp_msg_next(&it, &rr)) {
		if (!msp_name_is_under(&rr.owner, &in->zone)) /* was not given to us */
			continue;
		err = add_record(in, &rr);
		a->taken--;
	}
	return err;
}

/* False: add it; what came before it in the message was added. */
static enum msp_err take_as_is(struct cmb_intake *in, const struct msp_rr *rr, bool *is_taken)
{
	struct cmb_as_is *a = &in->as_is;
	enum msp_err err = MSP_OK;

	*is_taken = a->msg != NULL && is_as_written(rr->type);
	if (*is_taken)
		err = cmb_build_follows(in->build, &rr->owner, a->taken == 0, is_taken);
	if (err != MSP_OK)
		return err;
	if (!*is_taken)
		return add_taken(in);
	a->taken++;
	return MSP_OK;
}

static enum msp_err take_message(void *arg, const struct msp_msg *m, bool is_over)
{
	struct cmb_intake *in = arg;
	struct cmb_as_is *a = &in->as_is;

	if (!is_over) {
		a->msg = in->build != NULL && is_page(m) ? m : NULL;
		a->taken = 0;
		return MSP_OK;
	}
	if (a->msg == NULL || a->taken < m->count[MSP_SEC_ANSWER])
		return add_taken(in);
	a->msg = NULL;
	return cmb_build_add_page(in->build, msp_span(m->raw.ptr, answer_end(m)), a->taken);
}

static enum msp_err take_record(void *arg, const struct msp_rr *rr)
{
	struct cmb_intake *in = arg;
	bool is_new = false, is_apart = false, is_taken = false;
	enum msp_err err = once(&in->once, rr, &is_new);

	if (err == MSP_ELIMIT) {
		in->is_final = true;
		return msp_fail(&in->why, err, "%.150s: too many records at one name", MSP_NAME(&rr->owner));
	}
	if (err != MSP_OK)
		return err;
	if (!is_new)
		return add_taken(in);
	err = guard(in, rr);
	if (err == MSP_OK && is_same_name(&rr->owner, &in->zone))
		err = take_apex(in, rr, &is_apart);
	if (err != MSP_OK)
		return err;
	if (is_apart)
		return add_taken(in);
	err = take_as_is(in, rr, &is_taken);
	return err == MSP_OK && !is_taken ? add_record(in, rr) : err;
}

/* --- differences -------------------------------------------------------------------------------------------------- */

static enum msp_err not_there(struct cmb_intake *in, const struct msp_rr *rr)
{
	return msp_fail(&in->why, MSP_ENOTFOUND, "IXFR deletes a %s record of %.150s that is not there",
			MSP_TYPE(rr->type), MSP_NAME(&rr->owner));
}

static enum msp_err there_already(struct cmb_intake *in, const struct msp_rr *rr)
{
	return msp_fail(&in->why, MSP_EEXIST, "IXFR adds a %s record to %.150s that is there already",
			MSP_TYPE(rr->type), MSP_NAME(&rr->owner));
}

/* Half of a sequence begins: the SOA that is left must be ours, octet by octet but for the case of its names. */
static enum msp_err take_delta(void *arg, bool is_add, const struct msp_rr *soa)
{
	struct cmb_intake *in = arg;
	struct cmb_apex *apex = &in->owner->apex;

	if (is_add)
		return cmb_apex_add(apex, soa, &in->ttl_differs);
	if (cmb_rrset_empty(apex->soa) || !msp_rdata_equal(MSP_TYPE_SOA, apex->soa->rdata[0], soa->rdata))
		return msp_fail(&in->why, MSP_ENOTFOUND, "IXFR deletes a SOA with serial %u that is not ours",
				(unsigned)msp_soa_serial(soa->rdata));
	msp_rrset_free(&apex->soa);
	return MSP_OK;
}

static enum msp_err change_set(struct cmb_intake *in, struct msp_rrset **set, bool is_add, const struct msp_rr *rr)
{
	if (is_add)
		return *set != NULL && msp_rrset_has(*set, rr->rdata) ? there_already(in, rr) : MSP_OK;
	if (*set == NULL || !msp_rrset_del(*set, rr->rdata))
		return not_there(in, rr);
	if ((*set)->count == 0)
		msp_rrset_free(set);
	return MSP_OK;
}

static enum msp_err change_apex(struct cmb_intake *in, bool is_add, const struct msp_rr *rr, bool *is_apart)
{
	struct cmb_owner *o = in->owner;
	enum cmb_slot slot;
	enum msp_err err = MSP_OK;

	*is_apart = cmb_slot_of(rr->type, &slot);
	if (*is_apart) {
		err = change_set(in, &o->apex.set[slot], is_add, rr);
		return err == MSP_OK && is_add ? cmb_apex_add(&o->apex, rr, &in->ttl_differs) : err;
	}
	if (rr->type == in->numbers->type_hsync) {
		err = change_set(in, &o->hsync, is_add, rr);
		if (err == MSP_OK && is_add)
			err = add_hsync(o, rr);
	} else if (says_signed(rr)) {
		in->sigs_more += is_add ? 1 : -1;
		o->is_signed = in->base->is_signed || in->sigs_more > 0;
	}
	return err;
}

/* A zone whose names do not arrive in order may hold a record in two places, each of which looks right where it is. */
static enum msp_err delete_once(struct cmb_intake *in, const struct msp_rr *rr)
{
	enum msp_err err = cmb_edit_del(in->edit, rr), again;

	if (err != MSP_OK || in->base->layout.runs < 2)
		return err;
	again = cmb_edit_del(in->edit, rr);
	if (again == MSP_ENOTFOUND)
		return MSP_OK;
	return again != MSP_OK ? again
			       : msp_fail(&in->why, MSP_EFORMAT, "IXFR deletes a %s record of %.150s that came twice",
					  MSP_TYPE(rr->type), MSP_NAME(&rr->owner));
}

static enum msp_err change_pages(struct cmb_intake *in, bool is_add, const struct msp_rr *rr)
{
	enum msp_err err = is_add ? cmb_edit_add(in->edit, rr) : delete_once(in, rr);

	switch (err) {
	case MSP_ENOTFOUND:
		return not_there(in, rr);
	case MSP_EEXIST:
		return there_already(in, rr);
	case MSP_ELIMIT:
		return msp_fail(&in->why, err, "IXFR is too large to be applied");
	default:
		return err;
	}
}

static enum msp_err take_change(void *arg, bool is_add, const struct msp_rr *rr)
{
	struct cmb_intake *in = arg;
	bool is_apart = false;
	/* What is too much for a version on the way need not be in the last one: the whole zone will tell. */
	enum msp_err err = is_add ? cmb_guard_record(&in->guard, rr, &in->why) : MSP_OK;

	if (err == MSP_OK && is_same_name(&rr->owner, &in->zone))
		err = change_apex(in, is_add, rr, &is_apart);
	return err == MSP_OK && !is_apart ? change_pages(in, is_add, rr) : err;
}

const struct msp_xfrin_ops cmb_intake_ops = {
	.begin = take_begin, .record = take_record, .delta = take_delta, .change = take_change, .message = take_message
};

/* --- the end ------------------------------------------------------------------------------------------------------ */

static enum msp_err finish_differences(struct cmb_intake *in)
{
	enum msp_err err;

	/* Whether others are left is not known here. */
	if (in->sigs_more < 0)
		return msp_fail(&in->why, MSP_EREFUSED,
				"IXFR deletes signatures of the apex: whether the zone is "
				"still signed shows in the whole of it");
	err = cmb_edit_seal(in->edit, in->owner, &in->del, &in->add);
	if (err != MSP_OK)
		return err;
	err = cmb_guard_version(&in->limits, in->base, in->owner, &in->why);
	in->is_final = err == MSP_ELIMIT;
	return err;
}

enum msp_err cmb_intake_finish(struct cmb_intake *in, bool to_disk)
{
	if (in->owner == NULL || cmb_rrset_empty(in->owner->apex.soa))
		return msp_fail(&in->why, MSP_EFORMAT, "no SOA");
	if (cmb_rrset_empty(in->owner->apex.set[CMB_NS]))
		return msp_fail(&in->why, MSP_EFORMAT, "no NS RRset at the apex");
	if (in->edit != NULL)
		return finish_differences(in);
	return cmb_build_seal(in->build, in->owner, to_disk);
}
