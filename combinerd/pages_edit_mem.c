/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages unpacked to records. */
#include "pages_edit.h"

#include <msproto/base/mem.h>

/* --- records ------------------------------------------------------------------------------------------------------ */

void cmb_rec_name(const struct cmb_rec *r, struct msp_name *out)
{
	out->len = r->name_len;
	memcpy(out->oct, r->ptr, r->name_len);
}

/* Our own octets: they were written from a record. */
void cmb_rec_rr(const struct cmb_rec *r, struct msp_rr *out)
{
	struct msp_rd rd;

	cmb_rec_name(r, &out->owner);
	msp_rd_init(&rd, msp_span(r->ptr + r->name_len, r->len - r->name_len));
	out->type = msp_rd_u16(&rd);
	out->cls = msp_rd_u16(&rd);
	out->ttl = msp_rd_u32(&rd);
	(void)msp_rd_u16(&rd);
	out->rdata = msp_rd_rest(&rd);
}

struct cmb_rec cmb_rec_write(uint8_t *mem, const struct msp_rr *rr)
{
	size_t len = rr->owner.len + CMB_REC_HEAD + rr->rdata.len;
	struct msp_wr wr;

	msp_wr_init(&wr, mem, len);
	msp_rr_write(&wr, rr, false);
	return (struct cmb_rec){ mem, (uint32_t)len, rr->owner.len };
}

enum msp_err cmb_edit_spend(struct cmb_edit *e, size_t octets)
{
	if (octets > CMB_EDIT_MAX - e->memory)
		return MSP_ELIMIT;
	e->memory += octets;
	return MSP_OK;
}

/* --- pages in memory ---------------------------------------------------------------------------------------------- */

struct cmb_number_key cmb_number_key(uint64_t number)
{
	struct cmb_number_key k;
	struct msp_wr wr;

	msp_wr_init(&wr, k.oct, sizeof(k.oct)); /* in network order, so that the map's order is that of the numbers */
	msp_wr_u64(&wr, number);
	return k;
}

struct cmb_page *cmb_page_get(const struct cmb_edit *e, uint64_t number)
{
	struct cmb_number_key k = cmb_number_key(number);

	return msp_map_get(&e->pages, msp_span(k.oct, sizeof(k.oct)));
}

void cmb_page_free(void *value)
{
	struct cmb_page *pg = value;

	msp_free(pg->block);
	msp_free(pg->rec);
	msp_free(pg);
}

static enum msp_err page_new(struct cmb_edit *e, uint64_t number, struct cmb_page **out)
{
	struct cmb_number_key k = cmb_number_key(number);
	enum msp_err err = cmb_edit_spend(e, sizeof(**out));
	struct cmb_page *pg;

	if (err != MSP_OK)
		return err;
	pg = msp_alloc(1, sizeof(*pg));
	if (pg == NULL)
		return MSP_ENOMEM;
	pg->number = number;
	err = msp_map_put(&e->pages, msp_span(k.oct, sizeof(k.oct)), pg, NULL);
	if (err != MSP_OK)
		cmb_page_free(pg);
	else
		*out = pg;
	return err;
}

static enum msp_err page_room(struct cmb_edit *e, struct cmb_page *pg)
{
	size_t size = pg->size ? 2 * pg->size : 16;
	struct cmb_rec *grown;
	enum msp_err err;

	if (pg->count < pg->size)
		return MSP_OK;
	err = cmb_edit_spend(e, (size - pg->size) * sizeof(*grown));
	if (err != MSP_OK)
		return err;
	grown = msp_realloc(pg->rec, size, sizeof(*grown));
	if (grown == NULL)
		return MSP_ENOMEM;
	pg->rec = grown;
	pg->size = size;
	return MSP_OK;
}

/* The header of a page, and a reader of its records. */
enum msp_err cmb_page_open(struct msp_span msg, struct msp_rd *rd, uint16_t *count)
{
	uint16_t questions, others;

	msp_rd_init(rd, msg);
	rd->floor = MSP_HEADER_LEN;
	(void)msp_rd_u32(rd); /* ID, flags */
	questions = msp_rd_u16(rd);
	*count = msp_rd_u16(rd);
	others = msp_rd_u16(rd);
	others |= msp_rd_u16(rd);
	return rd->err == MSP_OK && questions == 0 && others == 0 && *count > 0 ? MSP_OK : MSP_ECORRUPT;
}

/* Octets move while they are gathered: offsets first, pointers when all are there. */
static enum msp_err unpack(struct cmb_edit *e, struct msp_span msg, struct cmb_page *pg)
{
	struct msp_rr_last last = { .at = 0 };
	struct msp_buf block;
	struct msp_rd rd;
	uint16_t count;
	enum msp_err err = cmb_page_open(msg, &rd, &count);
	size_t at = 0;

	msp_buf_init(&block, CMB_EDIT_MAX);
	for (; err == MSP_OK && count > 0; count--) {
		struct msp_rr rr;
		uint8_t *mem;

		msp_rr_read_next(&rd, e->scratch, &last, &rr);
		if (rd.err != MSP_OK) {
			err = MSP_ECORRUPT;
			break;
		}
		err = page_room(e, pg);
		mem = msp_buf_reserve(&block, rr.owner.len + CMB_REC_HEAD + rr.rdata.len);
		if (mem == NULL)
			err = block.err;
		if (err != MSP_OK)
			break;
		pg->rec[pg->count] = cmb_rec_write(mem, &rr);
		msp_buf_claim(&block, pg->rec[pg->count++].len);
	}
	if (err == MSP_OK && msp_rd_done(&rd) != MSP_OK)
		err = MSP_ECORRUPT;
	if (err == MSP_OK)
		err = cmb_edit_spend(e, block.len);
	if (err != MSP_OK) {
		msp_buf_fini(&block);
		pg->count = 0;
		return err;
	}
	for (size_t i = 0; i < pg->count; at += pg->rec[i++].len)
		pg->rec[i].ptr = block.ptr + at;
	pg->block = block.ptr; /* taken */
	pg->old_octets = msg.len;
	return MSP_OK;
}

/* The page to change it. */
enum msp_err cmb_page_load(struct cmb_edit *e, uint64_t number, struct cmb_page **out)
{
	uint64_t found = 0;
	struct msp_span msg = { NULL, 0 };
	enum msp_err err;

	*out = cmb_page_get(e, number);
	if (*out != NULL)
		return MSP_OK;
	err = cmb_snap_seek(e->snap, number, &found);
	if (err == MSP_OK && found == number)
		err = cmb_snap_here(e->snap, &msg);
	else if (err == MSP_OK)
		err = MSP_ENOTFOUND;
	if (err != MSP_OK && err != MSP_ENOTFOUND)
		return err;
	err = page_new(e, number, out);
	return err == MSP_OK && msg.len > 0 ? unpack(e, msg, *out) : err;
}

enum msp_err cmb_page_insert(struct cmb_edit *e, struct cmb_page *pg, size_t at, struct cmb_rec r)
{
	enum msp_err err = page_room(e, pg);

	if (err != MSP_OK)
		return err;
	memmove(&pg->rec[at + 1], &pg->rec[at], (pg->count - at) * sizeof(r));
	pg->rec[at] = r;
	pg->count++;
	pg->is_touched = true;
	return MSP_OK;
}

void cmb_page_remove(struct cmb_page *pg, size_t at)
{
	pg->count--;
	memmove(&pg->rec[at], &pg->rec[at + 1], (pg->count - at) * sizeof(*pg->rec));
	pg->is_touched = true;
}

/* First record whose name is not before `name`, in a page in order. */
size_t cmb_page_lower_bound(const struct cmb_page *pg, const struct msp_name *name)
{
	size_t lo = 0, hi = pg->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		struct msp_name at;

		cmb_rec_name(&pg->rec[mid], &at);
		if (cmb_name_order(&at, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
