/* SPDX-License-Identifier: BSD-2-Clause */
/* A whole version coming in: pages one after the other. */
#include "pages_priv.h"

#include <msproto/base/mem.h>

#include <malloc.h>

#define BATCH_MAX  (2u << 20) /* octets of pages gathered before they go to disk in one transaction */
#define BATCH_HEAD 12         /* octets before each page of a batch: number, length */

struct cmb_build {
	struct cmb_pages *p;    /* borrowed */
	struct cmb_build *next; /* in the store's list, borrowed */
	uint64_t gen, records, octets;
	uint64_t number; /* of the page being filled */
	uint32_t pages;
	struct cmb_layout layout;
	bool is_on_disk, is_committed;
	struct msp_name last;  /* owner of the record before; len 0 = there was none */
	struct msp_name first; /* owner of the first record of a message that may become a page */
	struct cmb_pagew w;
	struct msp_buf batch; /* owned: finished pages that are not on disk yet */
	uint8_t *mem, *big;   /* owned: where pages are written; big: for records larger than a page, or NULL */
};

/* --- pages -------------------------------------------------------------------------------------------------------- */

void cmb_pagew_begin(struct cmb_pagew *w, uint8_t *mem, size_t cap)
{
	msp_wr_init(&w->wr, mem, cap);
	msp_wr_u16(&w->wr, 0);
	msp_wr_u16(&w->wr, MSP_FLAG_QR | MSP_FLAG_AA);
	for (int i = 0; i < 4; i++)
		msp_wr_u16(&w->wr, 0);
	w->count = 0;
}

enum msp_err cmb_pagew_add(struct cmb_pagew *w, const struct msp_rr *rr, size_t target)
{
	size_t before = w->wr.pos;

	msp_rr_write(&w->wr, rr, true);
	if (w->wr.err == MSP_ENOSPACE || (w->count > 0 && w->wr.pos > target) || w->count == UINT16_MAX) {
		msp_wr_rewind(&w->wr, before);
		return MSP_ENOSPACE;
	}
	w->count++;
	return w->wr.err;
}

struct msp_span cmb_pagew_end(struct cmb_pagew *w)
{
	msp_wr_patch_u16(&w->wr, 6, w->count);
	return w->count > 0 ? msp_wr_span(&w->wr) : msp_span(NULL, 0);
}

/* --- building ----------------------------------------------------------------------------------------------------- */

static void begin_page(struct cmb_build *b)
{
	cmb_pagew_begin(&b->w, b->mem, CMB_PAGE_TARGET);
}

enum msp_err cmb_build_new(struct cmb_pages *p, struct cmb_build **out)
{
	struct cmb_build *b = msp_alloc(1, sizeof(*b));

	*out = NULL;
	if (b == NULL)
		return MSP_ENOMEM;
	b->mem = msp_alloc(1, CMB_PAGE_TARGET);
	if (b->mem == NULL) {
		msp_free(b);
		return MSP_ENOMEM;
	}
	b->p = p;
	do
		b->gen = msp_rand_u64(&p->rand);
	while (b->gen == 0 || b->gen == UINT64_MAX);
	b->number = CMB_PAGE_GAP;
	msp_buf_init(&b->batch, BATCH_MAX + MSP_MSG_MAX + BATCH_HEAD);
	begin_page(b);
	b->next = p->builds;
	p->builds = b;
	*out = b;
	return MSP_OK;
}

uint64_t cmb_build_gen(const struct cmb_build *b)
{
	return b->gen;
}

struct cmb_build *cmb_build_next(const struct cmb_build *b)
{
	return b->next;
}

int cmb_build_put(MDB_txn *txn, struct cmb_pages *p, const struct cmb_build *b)
{
	struct msp_rd rd;
	int rc = 0;

	msp_rd_init(&rd, msp_buf_span(&b->batch));
	while (rc == 0 && msp_rd_left(&rd) > 0) {
		uint64_t number = msp_rd_u64(&rd);

		rc = cmb_page_put(txn, p, b->gen, number, msp_rd_take(&rd, msp_rd_u32(&rd)));
	}
	return rc;
}

void cmb_build_committed(struct cmb_build *b)
{
	b->is_committed = true;
	msp_buf_fini(&b->batch);
}

static int put_batch(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	return cmb_build_put(txn, p, arg);
}

static enum msp_err flush_batch(struct cmb_build *b)
{
	enum msp_err err = b->batch.err;

	if (err != MSP_OK || b->batch.len == 0)
		return err;
	/* Nobody points at these pages yet: what a crash takes away with the last transaction is not missed. */
	err = cmb_pages_write(b->p, MDB_NOMETASYNC, put_batch, b);
	b->is_on_disk = true;
	msp_buf_reset(&b->batch);
	return err;
}

/* A finished page, in two parts. */
static enum msp_err put_page(struct cmb_build *b, struct msp_span head, struct msp_span rest)
{
	uint8_t place[BATCH_HEAD];
	size_t len = head.len + rest.len;
	struct msp_wr wr;

	msp_wr_init(&wr, place, sizeof(place));
	msp_wr_u64(&wr, b->number);
	msp_wr_u32(&wr, (uint32_t)len);
	msp_buf_add_span(&b->batch, msp_wr_span(&wr));
	msp_buf_add_span(&b->batch, head);
	msp_buf_add_span(&b->batch, rest);
	b->octets += len;
	b->number += CMB_PAGE_GAP;
	if (++b->pages == UINT32_MAX)
		return MSP_ELIMIT;
	return b->batch.len >= BATCH_MAX ? flush_batch(b) : b->batch.err;
}

static enum msp_err end_page(struct cmb_build *b)
{
	struct msp_span msg = cmb_pagew_end(&b->w);
	enum msp_err err;

	if (msg.len == 0)
		return MSP_OK;
	err = put_page(b, msg, msp_span(NULL, 0));
	begin_page(b);
	return err;
}

static enum msp_err begin_run(struct cmb_build *b)
{
	struct cmb_layout *l = &b->layout;
	enum msp_err err = end_page(b);

	if (l->runs == CMB_RUNS_MAX) {
		l->is_unordered = true;
		return err;
	}
	if (l->runs > 0) /* room for what is added to the end of the run before */
		b->number = (b->number / CMB_RUN_GAP + 1) * CMB_RUN_GAP;
	l->first[l->runs++] = b->number;
	return err;
}

static void copy_name(struct msp_name *to, const struct msp_name *from)
{
	to->len = from->len;
	memcpy(to->oct, from->oct, from->len);
}

static enum msp_err note_order(struct cmb_build *b, const struct msp_name *owner)
{
	enum msp_err err = MSP_OK;

	if (b->layout.is_unordered || msp_name_same(owner, &b->last))
		return MSP_OK;
	if (b->last.len == 0 || cmb_name_order(owner, &b->last) < 0)
		err = begin_run(b);
	copy_name(&b->last, owner);
	return err;
}

/* A record that is larger than a page should be gets one of its own. */
static enum msp_err add_big(struct cmb_build *b, const struct msp_rr *rr)
{
	enum msp_err err;

	if (b->big == NULL)
		b->big = msp_alloc(1, CMB_PAGE_MAX);
	if (b->big == NULL)
		return MSP_ENOMEM;
	cmb_pagew_begin(&b->w, b->big, CMB_PAGE_MAX);
	err = cmb_pagew_add(&b->w, rr, CMB_PAGE_TARGET);
	return err == MSP_ENOSPACE ? MSP_ELIMIT : err;
}

enum msp_err cmb_build_add(struct cmb_build *b, const struct msp_rr *rr)
{
	enum msp_err err = note_order(b, &rr->owner);

	if (err != MSP_OK)
		return err;
	err = cmb_pagew_add(&b->w, rr, CMB_PAGE_TARGET);
	if (err == MSP_ENOSPACE && b->w.count > 0) {
		err = end_page(b);
		if (err != MSP_OK)
			return err;
		err = cmb_pagew_add(&b->w, rr, CMB_PAGE_TARGET);
	}
	if (err == MSP_ENOSPACE)
		err = add_big(b, rr);
	b->records += err == MSP_OK;
	return err;
}

enum msp_err cmb_build_follows(struct cmb_build *b, const struct msp_name *owner, bool is_first, bool *follows)
{
	*follows = true;
	if (is_first) {
		copy_name(&b->first, owner);
		return note_order(b, owner);
	}
	if (b->layout.is_unordered || msp_name_same(owner, &b->last))
		return MSP_OK;
	*follows = cmb_name_order(owner, &b->last) >= 0;
	if (*follows)
		copy_name(&b->last, owner);
	return MSP_OK;
}

void cmb_build_retract(struct cmb_build *b)
{
	copy_name(&b->last, &b->first);
}

enum msp_err cmb_build_add_page(struct cmb_build *b, struct msp_span msg, uint16_t count)
{
	uint8_t header[MSP_HEADER_LEN];
	enum msp_err err = end_page(b);
	struct cmb_pagew w;

	if (err != MSP_OK)
		return err;
	cmb_pagew_begin(&w, header, sizeof(header));
	w.count = count;
	b->records += count;
	return put_page(b, cmb_pagew_end(&w), msp_span(msg.ptr + MSP_HEADER_LEN, msg.len - MSP_HEADER_LEN));
}

static void free_mem(struct cmb_build *b)
{
	msp_free(b->mem);
	msp_free(b->big);
	b->mem = b->big = NULL;
}

enum msp_err cmb_build_seal(struct cmb_build *b, struct cmb_owner *owner, bool to_disk)
{
	enum msp_err err = end_page(b);

	if (err == MSP_OK && to_disk)
		err = flush_batch(b);
	free_mem(b);
	owner->gen = b->gen;
	owner->layout = b->layout;
	owner->pages = b->pages;
	owner->records = b->records;
	owner->octets = b->octets;
	return err;
}

void cmb_build_free(struct cmb_build **build)
{
	struct cmb_build *b = *build, **at;
	bool is_large;

	*build = NULL;
	if (b == NULL)
		return;
	for (at = &b->p->builds; *at != b; at = &(*at)->next)
		;
	*at = b->next;
	is_large = b->is_on_disk;
	if (!b->is_committed && b->is_on_disk)
		cmb_pages_retire(b->p, b->gen);
	msp_buf_fini(&b->batch);
	free_mem(b);
	msp_free(b);
	if (is_large)
		(void)malloc_trim(0); /* several batches, in pieces */
}
