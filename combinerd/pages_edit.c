/* SPDX-License-Identifier: BSD-2-Clause */
/* Differences coming in. */
#include "pages_edit.h"

#include <msproto/base/mem.h>

#define PAGES_MAX 65536

/* A record that came in; where it is does not change. */
struct cmb_added {
	struct cmb_added *next;
	uint8_t oct[];
};

enum msp_err cmb_edit_new(struct cmb_pages *p, const struct cmb_owner *owner, struct cmb_edit **out)
{
	struct cmb_edit *e = msp_alloc(1, sizeof(*e));
	enum msp_err err;

	*out = NULL;
	if (e == NULL)
		return MSP_ENOMEM;
	e->p = p;
	e->gen = owner->gen;
	e->page_count = owner->pages;
	e->records = owner->records;
	e->octets = owner->octets;
	e->layout = owner->layout;
	msp_map_init(&e->pages, PAGES_MAX);
	cmb_netdiff_init(&e->net, CMB_EDIT_MAX);
	e->scratch = msp_alloc(1, sizeof(*e->scratch));
	err = e->scratch != NULL ? cmb_snap_open(p, owner->gen, &e->snap) : MSP_ENOMEM;
	if (err == MSP_OK)
		err = cmb_snap_last(e->snap, &e->last);
	if (err == MSP_ENOTFOUND) /* no pages at all */
		err = MSP_OK;
	if (err != MSP_OK)
		cmb_edit_free(&e);
	*out = e;
	return err;
}

static enum msp_err del_record(struct cmb_edit *e, const struct msp_rr *rr)
{
	struct cmb_search s;
	struct cmb_page *pg;
	enum msp_err err = cmb_edit_find(e, rr, &s);

	if (err != MSP_OK)
		return err;
	if (!s.is_found)
		return MSP_ENOTFOUND;
	err = cmb_page_load(e, s.found_page, &pg);
	if (err == MSP_OK)
		err = cmb_netdiff_del(&e->net, rr, msp_span(pg->rec[s.found_at].ptr, pg->rec[s.found_at].len));
	if (err != MSP_OK)
		return err;
	cmb_page_remove(pg, s.found_at);
	e->records--;
	return MSP_OK;
}

static enum msp_err keep(struct cmb_edit *e, const struct msp_rr *rr, struct cmb_rec *out)
{
	size_t len = sizeof(struct cmb_added) + rr->owner.len + CMB_REC_HEAD + rr->rdata.len;
	struct cmb_added *a;
	enum msp_err err = cmb_edit_spend(e, len);

	if (err != MSP_OK)
		return err;
	a = msp_alloc(1, len);
	if (a == NULL)
		return MSP_ENOMEM;
	a->next = e->added;
	e->added = a;
	*out = cmb_rec_write(a->oct, rr);
	return MSP_OK;
}

/* The place of a name that is new. Without any page the zone begins where its first page was, or would have been. */
static enum msp_err place_new(struct cmb_edit *e, const struct cmb_search *s, struct cmb_page **pg, size_t *at)
{
	uint64_t number = s->page;
	enum msp_err err;

	if (s->fit == CMB_FIT_NONE) {
		if (e->layout.runs == 0)
			e->layout.first[e->layout.runs++] = CMB_PAGE_GAP;
		number = e->layout.first[0];
		if (number > e->last)
			e->last = number;
	}
	err = cmb_page_load(e, number, pg);
	if (err == MSP_OK)
		*at = e->layout.is_unordered ? (*pg)->count : cmb_page_lower_bound(*pg, &s->rr->owner);
	return err;
}

static enum msp_err add_record(struct cmb_edit *e, const struct msp_rr *rr)
{
	struct cmb_search s;
	struct cmb_page *pg = NULL;
	struct cmb_rec r;
	size_t at;
	enum msp_err err;

	if (rr->rdata.len + rr->owner.len > (size_t)CMB_PAGE_MAX - MSP_HEADER_LEN - CMB_REC_HEAD)
		return MSP_ELIMIT;
	err = cmb_edit_find(e, rr, &s);
	if (err != MSP_OK)
		return err;
	if (s.is_found)
		return MSP_EEXIST;
	at = s.at;
	err = s.fit >= CMB_FIT_NAME ? cmb_page_load(e, s.page, &pg) : place_new(e, &s, &pg, &at);
	if (err == MSP_OK)
		err = keep(e, rr, &r);
	if (err == MSP_OK)
		err = cmb_netdiff_add(&e->net, rr, msp_span(r.ptr, r.len));
	if (err == MSP_OK)
		err = cmb_page_insert(e, pg, at, r);
	e->records += err == MSP_OK;
	return err;
}

typedef enum msp_err change_fn(struct cmb_edit *e, const struct msp_rr *rr);
static enum msp_err change(struct cmb_edit *e, const struct msp_rr *rr, change_fn *fn)
{
	enum msp_err err = e->err == MSP_OK ? fn(e, rr) : e->err;

	if (err != MSP_ENOTFOUND && err != MSP_EEXIST)
		e->err = err;
	return err;
}

enum msp_err cmb_edit_del(struct cmb_edit *e, const struct msp_rr *rr)
{
	return change(e, rr, del_record);
}

enum msp_err cmb_edit_add(struct cmb_edit *e, const struct msp_rr *rr)
{
	return change(e, rr, add_record);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* All but what is to be written. */
static void drop_work(struct cmb_edit *e)
{
	cmb_netdiff_fini(&e->net);
	msp_map_fini(&e->pages, cmb_page_free);
	while (e->added != NULL) {
		struct cmb_added *next = e->added->next;

		msp_free(e->added);
		e->added = next;
	}
	msp_free(e->scratch);
	e->scratch = NULL;
	cmb_snap_close(&e->snap);
}

enum msp_err cmb_edit_seal(struct cmb_edit *e, struct cmb_owner *owner, struct msp_buf *del, struct msp_buf *add)
{
	enum msp_err err = e->err == MSP_OK ? cmb_netdiff_write(&e->net, del, add) : e->err;

	if (err == MSP_OK)
		err = cmb_edit_pack(e);
	drop_work(e);
	owner->gen = e->gen;
	owner->layout = e->layout;
	owner->pages = (uint32_t)e->page_count;
	owner->records = e->records;
	owner->octets = e->octets;
	return err;
}

void cmb_edit_free(struct cmb_edit **e)
{
	if (*e == NULL)
		return;
	drop_work(*e);
	cmb_edit_drop_out(*e, 0);
	msp_free((*e)->out);
	msp_free(*e);
	*e = NULL;
}

int cmb_edit_put(MDB_txn *txn, struct cmb_pages *p, const struct cmb_edit *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < e->out_count; i++) {
		const struct cmb_page_out *o = &e->out[i];
		struct cmb_key key;

		cmb_key_page(&key, e->gen, o->number);
		rc = o->len > 0 ? cmb_page_put(txn, p, e->gen, o->number, msp_span(o->msg, o->len))
				: mdb_del(txn, p->pages, &key.val, NULL);
	}
	return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}
