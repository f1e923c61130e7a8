/* SPDX-License-Identifier: BSD-2-Clause */
/* Generations that are no longer wanted. */
#include "pages_priv.h"

#include <msproto/base/mem.h>

#include <stdlib.h>

void cmb_pages_retire(struct cmb_pages *p, uint64_t gen)
{
	if (p->retired_count == p->retired_size) {
		size_t size = p->retired_size ? 2 * p->retired_size : 64;
		void *grown = msp_realloc(p->retired, size, sizeof(*p->retired));

		if (grown == NULL)
			return; /* found at the next start */
		p->retired = grown;
		p->retired_size = size;
	}
	p->retired[p->retired_count++] = gen;
}

int cmb_values_drop(MDB_txn *txn, MDB_dbi dbi, const struct cmb_key *like, size_t *left, bool *done)
{
	struct cmb_key at = *like;
	MDB_cursor *cur = NULL;
	MDB_val val;
	uint64_t number;
	int rc = mdb_cursor_open(txn, dbi, &cur);

	if (rc != 0)
		return rc;
	at.val.mv_data = at.mem;
	rc = mdb_cursor_get(cur, &at.val, &val, MDB_SET_RANGE);
	*done = false;
	while (rc == 0) {
		*done = !cmb_key_number(at.val, like, &number);
		if (*done || *left == 0)
			break;
		--*left;
		rc = mdb_cursor_del(cur, 0);
		if (rc == 0)
			rc = mdb_cursor_get(cur, &at.val, &val, MDB_NEXT);
	}
	mdb_cursor_close(cur);
	*done = *done || rc == MDB_NOTFOUND;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int cmb_page_drop(MDB_txn *txn, struct cmb_pages *p, uint64_t gen, size_t *left, bool *done)
{
	struct cmb_key like;

	cmb_key_page(&like, gen, 0);
	return cmb_values_drop(txn, p->pages, &like, left, done);
}

struct sweep {
	size_t max, done; /* pages at most; generations that are gone */
};

static int sweep(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	struct sweep *s = arg;
	size_t left = s->max;
	int rc = 0;

	for (s->done = 0; rc == 0 && left > 0 && s->done < p->retired_count;) {
		bool done;

		rc = cmb_page_drop(txn, p, p->retired[p->retired_count - 1 - s->done], &left, &done);
		if (!done)
			break;
		s->done++;
	}
	return rc;
}

enum msp_err cmb_pages_sweep(struct cmb_pages *p, size_t max, bool *more)
{
	struct sweep s = { .max = max };
	enum msp_err err = MSP_OK;

	if (p->retired_count > 0)
		err = cmb_pages_write(p, MDB_NOMETASYNC, sweep, &s);
	if (err == MSP_OK)
		p->retired_count -= s.done;
	*more = p->retired_count > 0;
	return err;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Generations that zones, or builds, point at. */
static enum msp_err list_live(struct cmb_pages *p, MDB_txn *txn, struct msp_buf *out)
{
	MDB_cursor *cur = NULL;
	MDB_val key, val;
	int rc = mdb_cursor_open(txn, p->zones, &cur);

	for (const struct cmb_build *b = p->builds; b != NULL; b = cmb_build_next(b)) {
		uint64_t gen = cmb_build_gen(b);

		msp_buf_add(out, &gen, sizeof(gen));
	}
	if (rc == 0)
		rc = mdb_cursor_get(cur, &key, &val, MDB_FIRST);
	while (rc == 0) {
		uint64_t gen = cmb_record_gen(val); /* one that is damaged is forgotten anyway */

		msp_buf_add(out, &gen, sizeof(gen));
		rc = mdb_cursor_get(cur, &key, &val, MDB_NEXT);
	}
	if (cur != NULL)
		mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? out->err : cmb_pages_translate(rc);
}

static enum msp_err retire_others(struct cmb_pages *p, MDB_txn *txn, const uint64_t *live, size_t count)
{
	MDB_cursor *cur = NULL;
	MDB_val val;
	struct cmb_key key;
	int rc = mdb_cursor_open(txn, p->pages, &cur);

	if (rc != 0)
		return cmb_pages_translate(rc);
	cmb_key_page(&key, 0, 0);
	rc = mdb_cursor_get(cur, &key.val, &val, MDB_SET_RANGE);
	while (rc == 0) {
		struct msp_rd rd;
		uint64_t gen;

		msp_rd_init(&rd, msp_span(key.val.mv_data, key.val.mv_size));
		gen = msp_rd_u64(&rd);
		if (count == 0 || bsearch(&gen, live, count, sizeof(gen), by_value) == NULL)
			cmb_pages_retire(p, gen);
		if (gen == UINT64_MAX)
			break;
		cmb_key_page(&key, gen + 1, 0); /* jump over the rest of this generation */
		rc = mdb_cursor_get(cur, &key.val, &val, MDB_SET_RANGE);
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? MSP_OK : cmb_pages_translate(rc);
}

enum msp_err cmb_pages_find_garbage(struct cmb_pages *p)
{
	MDB_txn *txn = NULL;
	struct msp_buf live;
	enum msp_err err = cmb_pages_translate(cmb_pages_begin(p, MDB_RDONLY, &txn));

	if (err != MSP_OK)
		return err;
	msp_buf_init(&live, SIZE_MAX / 4);
	err = list_live(p, txn, &live);
	p->retired_count = 0; /* all of them are found again */
	if (err == MSP_OK && live.len > 0)
		qsort(live.ptr, live.len / sizeof(uint64_t), sizeof(uint64_t), by_value);
	if (err == MSP_OK)
		err = retire_others(p, txn, (const uint64_t *)(const void *)live.ptr, live.len / sizeof(uint64_t));
	mdb_txn_abort(txn);
	msp_buf_fini(&live);
	return err;
}
