/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The zone store as a list of records in memory, for tests of what stands in front of it. Included once. */
#ifndef TEST_FAKE_PAGES_H
#define TEST_FAKE_PAGES_H

#include "pages.h"

#include <msproto/base/mem.h>

#include <string.h>

#define FAKE_RECORDS_MAX 4096

struct fake_rr {
	struct msp_name owner;
	uint16_t type;
	struct msp_span rdata; /* of the list's octets, by place */
	size_t at;
};
struct fake_list {
	struct fake_rr *item;
	size_t count, size;
	struct msp_buf octets;
};
struct cmb_pages {
	struct fake_list held; /* pages of the version held */
	struct fake_list news; /* of what was sealed last */
	size_t builds, edits;  /* alive */
	enum msp_err add_err;  /* what the store answers to the next record */
};
struct cmb_build {
	struct cmb_pages *pages;
	struct fake_list list;
};
struct cmb_edit {
	struct cmb_pages *pages;
	struct fake_list list;
};

static inline void fake_fini(struct fake_list *l)
{
	msp_free(l->item);
	msp_buf_fini(&l->octets);
	memset(l, 0, sizeof(*l));
}

static inline struct msp_span fake_rdata(const struct fake_list *l, size_t i)
{
	return msp_span(l->octets.ptr + l->item[i].at, l->item[i].rdata.len);
}

/** Where it is, or count. */
static inline size_t fake_find(const struct fake_list *l, const struct msp_rr *rr)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->item[i].type == rr->type && msp_name_equal(&l->item[i].owner, &rr->owner) &&
		    msp_rdata_equal(rr->type, fake_rdata(l, i), rr->rdata))
			return i;
	return l->count;
}

static inline enum msp_err fake_add(struct fake_list *l, const struct msp_rr *rr)
{
	if (l->count == l->size) {
		size_t size = l->size != 0 ? 2 * l->size : 16;
		struct fake_rr *item = msp_realloc(l->item, size, sizeof(*item));

		if (item == NULL)
			return MSP_ENOMEM;
		if (l->size == 0)
			msp_buf_init(&l->octets, 64u << 20);
		l->item = item;
		l->size = size;
	}
	if (l->count >= FAKE_RECORDS_MAX)
		return MSP_ENOSPACE;
	l->item[l->count] = (struct fake_rr){ rr->owner, rr->type, rr->rdata, l->octets.len };
	msp_buf_add_span(&l->octets, rr->rdata);
	if (l->octets.err != MSP_OK)
		return l->octets.err;
	l->count++;
	return MSP_OK;
}

static inline enum msp_err fake_copy(struct fake_list *to, const struct fake_list *from)
{
	enum msp_err err = MSP_OK;

	fake_fini(to);
	for (size_t i = 0; err == MSP_OK && i < from->count; i++) {
		struct msp_rr rr = { .owner = from->item[i].owner, .type = from->item[i].type };

		rr.rdata = fake_rdata(from, i);
		err = fake_add(to, &rr);
	}
	return err;
}

enum msp_err cmb_build_new(struct cmb_pages *p, struct cmb_build **out)
{
	*out = msp_alloc(1, sizeof(**out));
	if (*out == NULL)
		return MSP_ENOMEM;
	(*out)->pages = p;
	p->builds++;
	return MSP_OK;
}

enum msp_err cmb_build_add(struct cmb_build *b, const struct msp_rr *rr)
{
	return b->pages->add_err == MSP_OK ? fake_add(&b->list, rr) : b->pages->add_err;
}

enum msp_err cmb_build_follows(struct cmb_build *b, const struct msp_name *owner, bool is_first, bool *follows)
{
	(void)owner;
	(void)is_first;
	*follows = true;
	return b->pages->add_err == MSP_ELIMIT ? MSP_OK : b->pages->add_err;
}

void cmb_build_retract(struct cmb_build *b)
{
	(void)b;
}

enum msp_err cmb_build_add_page(struct cmb_build *b, struct msp_span msg, uint16_t count)
{
	struct msp_rr_scratch *scratch = msp_alloc(1, sizeof(*scratch));
	enum msp_err err = scratch != NULL ? b->pages->add_err : MSP_ENOMEM;
	struct msp_rr rr;
	struct msp_rd rd;

	msp_rd_init(&rd, msg);
	rd.pos = MSP_HEADER_LEN;
	while (err == MSP_OK && count-- > 0) {
		msp_rr_read(&rd, scratch, &rr);
		err = rd.err == MSP_OK ? fake_add(&b->list, &rr) : rd.err;
	}
	msp_free(scratch);
	return err == MSP_OK ? msp_rd_done(&rd) : err;
}

enum msp_err cmb_build_seal(struct cmb_build *b, struct cmb_owner *owner, bool to_disk)
{
	(void)to_disk;
	owner->gen = 2;
	owner->records = b->list.count;
	return fake_copy(&b->pages->news, &b->list);
}

void cmb_build_free(struct cmb_build **b)
{
	if (*b == NULL)
		return;
	(*b)->pages->builds--;
	fake_fini(&(*b)->list);
	msp_free(*b);
	*b = NULL;
}

enum msp_err cmb_edit_new(struct cmb_pages *p, const struct cmb_owner *owner, struct cmb_edit **out)
{
	if (owner->records != p->held.count)
		return MSP_ECORRUPT;
	*out = msp_alloc(1, sizeof(**out));
	if (*out == NULL)
		return MSP_ENOMEM;
	(*out)->pages = p;
	p->edits++;
	return fake_copy(&(*out)->list, &p->held);
}

enum msp_err cmb_edit_del(struct cmb_edit *e, const struct msp_rr *rr)
{
	size_t at = fake_find(&e->list, rr);

	if (at == e->list.count)
		return MSP_ENOTFOUND;
	e->list.item[at] = e->list.item[--e->list.count];
	return MSP_OK;
}

enum msp_err cmb_edit_add(struct cmb_edit *e, const struct msp_rr *rr)
{
	if (e->pages->add_err != MSP_OK)
		return e->pages->add_err;
	return fake_find(&e->list, rr) != e->list.count ? MSP_EEXIST : fake_add(&e->list, rr);
}

enum msp_err cmb_edit_seal(struct cmb_edit *e, struct cmb_owner *owner, struct msp_buf *del, struct msp_buf *add)
{
	(void)del;
	(void)add;
	owner->gen = 3;
	owner->records = e->list.count;
	return fake_copy(&e->pages->news, &e->list);
}

void cmb_edit_free(struct cmb_edit **e)
{
	if (*e == NULL)
		return;
	(*e)->pages->edits--;
	fake_fini(&(*e)->list);
	msp_free(*e);
	*e = NULL;
}

#endif
