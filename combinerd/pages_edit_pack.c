/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages packed again, as they are to be stored. */
#include "pages_edit.h"

#include <msproto/base/mem.h>

#define SLACK 512 /* octets that a page may get larger when its first record is another one */

static enum msp_err put_out(struct cmb_edit *e, uint64_t number, struct msp_span msg)
{
	struct cmb_page_out o = { .number = number, .len = msg.len };

	if (e->out_count == e->out_size) {
		size_t size = e->out_size ? 2 * e->out_size : 8;
		void *grown = msp_realloc(e->out, size, sizeof(*e->out));

		if (grown == NULL)
			return MSP_ENOMEM;
		e->out = grown;
		e->out_size = size;
	}
	if (msg.len > 0) {
		o.msg = msp_memdup(msg.ptr, msg.len);
		if (o.msg == NULL)
			return MSP_ENOMEM;
	}
	e->out[e->out_count++] = o;
	return MSP_OK;
}

void cmb_edit_drop_out(struct cmb_edit *e, size_t from)
{
	while (e->out_count > from)
		msp_free(e->out[--e->out_count].msg);
}

/* Messages of at most `target` octets, not numbered yet. */
static enum msp_err pack(struct cmb_edit *e, const struct cmb_page *pg, size_t target, uint8_t *mem, size_t *octets)
{
	struct cmb_pagew w;
	enum msp_err err = MSP_OK;

	*octets = 0;
	cmb_pagew_begin(&w, mem, CMB_PAGE_MAX);
	for (size_t i = 0; err == MSP_OK && i < pg->count; i++) {
		struct msp_rr rr;

		cmb_rec_rr(&pg->rec[i], &rr);
		err = cmb_pagew_add(&w, &rr, target);
		if (err == MSP_ENOSPACE && w.count > 0) {
			*octets += w.wr.pos;
			err = put_out(e, 0, cmb_pagew_end(&w));
			cmb_pagew_begin(&w, mem, CMB_PAGE_MAX);
			if (err == MSP_OK)
				err = cmb_pagew_add(&w, &rr, target);
		}
	}
	if (err == MSP_OK) {
		*octets += w.wr.pos;
		err = put_out(e, 0, cmb_pagew_end(&w));
	}
	return err == MSP_ENOSPACE ? MSP_ELIMIT : err;
}

/* Distance between the numbers of the pages that one became: as far apart as those of a new generation, if there is
 * room before the next one. */
static enum msp_err number_step(struct cmb_edit *e, uint64_t number, size_t count, uint64_t *step)
{
	struct cmb_number_key k = cmb_number_key(number + 1);
	uint64_t limit = UINT64_MAX, found;
	struct msp_map_it it;
	enum msp_err err = cmb_snap_seek(e->snap, number + 1, &found);

	if (err != MSP_OK && err != MSP_ENOTFOUND)
		return err;
	if (err == MSP_OK)
		limit = found;
	if (msp_map_first(&e->pages, msp_span(k.oct, sizeof(k.oct)), &it)) {
		const struct cmb_page *next = it.value;

		limit = next->number < limit ? next->number : limit;
	}
	for (unsigned i = 0; i < e->layout.runs; i++)
		if (e->layout.first[i] > number && e->layout.first[i] < limit)
			limit = e->layout.first[i];
	*step = (limit - number) / count;
	if (*step > CMB_PAGE_GAP)
		*step = CMB_PAGE_GAP;
	return *step > 0 ? MSP_OK : MSP_ELIMIT;
}

static enum msp_err pack_page(struct cmb_edit *e, const struct cmb_page *pg, uint8_t *mem)
{
	size_t from = e->out_count, octets = 0, count;
	uint64_t step = 0;
	enum msp_err err =
		pg->count > 0 ? pack(e, pg, CMB_PAGE_TARGET, mem, &octets) : put_out(e, pg->number, msp_span(NULL, 0));

	count = e->out_count - from;
	if (err == MSP_OK && count > 1 && octets / count + SLACK < CMB_PAGE_TARGET) { /* of equal size, then */
		cmb_edit_drop_out(e, from);
		err = pack(e, pg, octets / count + SLACK, mem, &octets);
		count = e->out_count - from;
	}
	if (err == MSP_OK && count > 1)
		err = number_step(e, pg->number, count, &step);
	if (err != MSP_OK)
		return err;
	for (size_t i = 0; i < count; i++)
		e->out[from + i].number = pg->number + i * step;
	e->page_count += (int64_t)(pg->count > 0 ? count : 0) - (pg->old_octets > 0);
	e->octets += octets;
	e->octets -= pg->old_octets;
	return MSP_OK;
}

enum msp_err cmb_edit_pack(struct cmb_edit *e)
{
	uint8_t *mem = msp_alloc(1, CMB_PAGE_MAX);
	enum msp_err err = mem != NULL ? MSP_OK : MSP_ENOMEM;
	struct msp_map_it it;

	for (bool more = msp_map_first(&e->pages, msp_span(NULL, 0), &it); err == MSP_OK && more;
	     more = msp_map_next(&e->pages, &it)) {
		const struct cmb_page *pg = it.value;

		if (pg->is_touched && (pg->count > 0 || pg->old_octets > 0))
			err = pack_page(e, pg, mem);
	}
	msp_free(mem);
	return err;
}
