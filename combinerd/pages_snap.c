/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading: snapshots of a generation and of a zone's history. */
#include "pages_priv.h"

#include <msproto/base/mem.h>

#include <sys/mman.h>
#include <unistd.h>

#define USED_STEP (512u << 10) /* octets used before their mapping is dropped */
#define USED_FROM (1u << 20)   /* octets of a generation from which on it is worth it */

struct cmb_snap {
	struct cmb_pages *p; /* borrowed */
	MDB_txn *txn;        /* owned */
	MDB_cursor *cur;     /* owned: over pages */
	uint64_t gen;
	bool is_moving; /* cur is at a page given out */
	uint64_t given; /* octets of pages, since the beginning */
	struct cmb_used used;
};

enum msp_err cmb_snap_open(struct cmb_pages *p, uint64_t gen, struct cmb_snap **out)
{
	struct cmb_snap *s = msp_alloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (s == NULL)
		return MSP_ENOMEM;
	rc = cmb_pages_begin(p, MDB_RDONLY, &s->txn);
	if (rc == 0)
		rc = mdb_cursor_open(s->txn, p->pages, &s->cur);
	if (rc != 0) {
		if (s->txn != NULL)
			mdb_txn_abort(s->txn);
		msp_free(s);
		return cmb_pages_translate(rc);
	}
	s->p = p;
	s->gen = gen;
	p->snaps++;
	*out = s;
	return MSP_OK;
}

/* Drop the mapping of what was used. Of a file's mapping nothing is lost: who looks again gets it back from the file.
 */
static void drop_used(struct cmb_used *u)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t lo = (uintptr_t)u->lo / page * page, hi = ((uintptr_t)u->hi + page - 1) / page * page;

	if (u->octets > 0)
		(void)madvise((void *)lo, hi - lo, MADV_DONTNEED); // NOLINT(performance-no-int-to-ptr)
	u->octets = 0;
}

/* Pages of a generation are next to each other, but for those that took the place of older ones: one range. */
static void note_used(struct cmb_used *u, const uint8_t *lo, const uint8_t *hi, size_t octets)
{
	if (u->octets == 0 || lo < u->lo)
		u->lo = lo;
	if (u->octets == 0 || hi > u->hi)
		u->hi = hi;
	u->octets += octets;
}

void cmb_snap_close(struct cmb_snap **snap)
{
	struct cmb_snap *s = *snap;
	struct cmb_used *all;

	*snap = NULL;
	if (s == NULL)
		return;
	all = &s->p->used;
	if (s->used.octets > 0)
		note_used(all, s->used.lo, s->used.hi, s->used.octets);
	if (all->octets >= USED_STEP)
		drop_used(all);
	mdb_cursor_close(s->cur);
	mdb_txn_abort(s->txn);
	s->p->snaps--;
	msp_free(s);
}

static enum msp_err damaged(struct cmb_snap *s)
{
	s->p->damaged++;
	return MSP_ECORRUPT;
}

/* Where the cursor was moved to with result rc. */
static enum msp_err at_cursor(struct cmb_snap *s, int rc, MDB_val key, uint64_t *number)
{
	struct cmb_key like;

	if (rc != 0)
		return cmb_pages_translate(rc);
	cmb_key_page(&like, s->gen, 0);
	return cmb_key_number(key, &like, number) ? MSP_OK : MSP_ENOTFOUND;
}

enum msp_err cmb_snap_seek(struct cmb_snap *s, uint64_t from, uint64_t *number)
{
	struct cmb_key key;
	MDB_val val;
	int rc;

	cmb_key_page(&key, s->gen, from);
	rc = mdb_cursor_get(s->cur, &key.val, &val, MDB_SET_RANGE);
	return at_cursor(s, rc, key.val, number);
}

enum msp_err cmb_snap_here(struct cmb_snap *s, struct msp_span *msg)
{
	MDB_val key, val;
	uint64_t number;
	int rc = mdb_cursor_get(s->cur, &key, &val, MDB_GET_CURRENT);
	enum msp_err err = at_cursor(s, rc, key, &number);

	if (err != MSP_OK)
		return err;
	if (cmb_value_check(val, cmb_seed_page(s->gen, number), msg) != MSP_OK || msg->len < MSP_HEADER_LEN ||
	    msg->len > MSP_MSG_MAX)
		return damaged(s);
	return MSP_OK;
}

enum msp_err cmb_snap_last(struct cmb_snap *s, uint64_t *number)
{
	struct cmb_key like, key;
	MDB_val val;
	int rc;

	cmb_key_page(&like, s->gen, UINT64_MAX);
	key = like;
	key.val.mv_data = key.mem;
	rc = mdb_cursor_get(s->cur, &key.val, &val, MDB_SET_RANGE);
	rc = mdb_cursor_get(s->cur, &key.val, &val, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
	if (rc != 0)
		return cmb_pages_translate(rc);
	return cmb_key_number(key.val, &like, number) ? MSP_OK : MSP_ENOTFOUND;
}

enum msp_err cmb_snap_next(struct cmb_snap *s, struct msp_span *msg)
{
	uint64_t number;
	enum msp_err err;

	if (s->is_moving) {
		MDB_val key, val;
		int rc = mdb_cursor_get(s->cur, &key, &val, MDB_NEXT);

		err = at_cursor(s, rc, key, &number);
	} else {
		err = cmb_snap_seek(s, 0, &number);
	}
	s->is_moving = true;
	if (err == MSP_OK)
		err = cmb_snap_here(s, msg);
	if (err == MSP_OK)
		s->given += msg->len;
	return err;
}

void cmb_snap_rewind(struct cmb_snap *s)
{
	s->is_moving = false;
}

void cmb_snap_used(struct cmb_snap *s, struct msp_span msg)
{
	if (msg.len > 0)
		note_used(&s->used, msg.ptr, msg.ptr + msg.len, msg.len);
	if (s->used.octets >= USED_STEP && s->given > USED_FROM)
		drop_used(&s->used);
}

/* --- history ------------------------------------------------------------------------------------------------------ */

static enum msp_err open_entry(struct cmb_snap *s, MDB_val key, MDB_val val, struct cmb_delta_view *out)
{
	struct msp_span octets;
	struct msp_rd rd;

	if (cmb_value_check(val, cmb_seed_key(key), &octets) != MSP_OK)
		return damaged(s);
	msp_rd_init(&rd, octets);
	out->from = msp_rd_u32(&rd);
	out->to = msp_rd_u32(&rd);
	out->del = msp_rd_take(&rd, msp_rd_u32(&rd));
	out->add = msp_rd_rest(&rd);
	return rd.err == MSP_OK ? MSP_OK : damaged(s);
}

/* Entries from the newest back to the one that begins with `serial`, in that order. */
static enum msp_err walk_back(struct cmb_snap *s, MDB_cursor *cur, const struct msp_name *zone, uint32_t serial,
			      uint32_t out_serial, struct cmb_delta_view *view, size_t *count)
{
	uint32_t expect = out_serial;
	struct cmb_key like, at;
	MDB_val val;
	uint64_t seq;
	int rc;

	cmb_key_entry(&like, zone, UINT64_MAX);
	at = like;
	at.val.mv_data = at.mem;
	rc = mdb_cursor_get(cur, &at.val, &val, MDB_SET_RANGE);
	rc = mdb_cursor_get(cur, &at.val, &val, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
	for (*count = 0; rc == 0 && cmb_key_number(at.val, &like, &seq); (*count)++) {
		enum msp_err err;

		if (*count == CMB_HISTORY_MAX)
			return MSP_ENOTFOUND;
		err = open_entry(s, at.val, val, &view[*count]);
		if (err != MSP_OK)
			return err;
		if (view[*count].to != expect)
			return MSP_ENOTFOUND;
		expect = view[*count].from;
		if (expect == serial) {
			(*count)++;
			return MSP_OK;
		}
		rc = mdb_cursor_get(cur, &at.val, &val, MDB_PREV);
	}
	return rc == 0 ? MSP_ENOTFOUND : cmb_pages_translate(rc);
}

enum msp_err cmb_snap_history(struct cmb_snap *s, const struct msp_name *zone, uint32_t serial, uint32_t out_serial,
			      struct cmb_delta_view *view, size_t *count)
{
	MDB_cursor *cur = NULL;
	enum msp_err err;
	int rc = mdb_cursor_open(s->txn, s->p->history, &cur);

	*count = 0;
	if (rc != 0)
		return cmb_pages_translate(rc);
	err = walk_back(s, cur, zone, serial, out_serial, view, count);
	mdb_cursor_close(cur);
	if (err != MSP_OK) {
		*count = 0;
		return err;
	}
	for (size_t i = 0; i < *count / 2; i++) {
		struct cmb_delta_view swap = view[i];

		view[i] = view[*count - 1 - i];
		view[*count - 1 - i] = swap;
	}
	return MSP_OK;
}
