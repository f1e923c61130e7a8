/* SPDX-License-Identifier: BSD-2-Clause */
/* The books in PostgreSQL: one table, shared by several processes.
 *
 * Who reads a key to change it locks it first (get with lock), with an advisory lock on its hash that lasts as long as
 * the transaction; this works for absent keys too. In READ COMMITTED the SELECT behind it is a statement of its own
 * and sees what the holder before committed: a lock taken inside the SELECT would be waited for with a picture of the
 * table from before. Keys that share a hash wait for each other and are none the worse for it. Two processes that
 * lock in different orders deadlock; the server finds out and one gets MSP_EBUSY.
 *
 * put and del are sent without waiting: their errors show at the next get, or at the commit.
 */
#include "store.h"

#include "pg.h"

#include <msproto/base/mem.h>
#include <msproto/wire/wr.h>

#include <string.h>

#define PAGE     256  /* rows fetched at once: at most this many values in memory */
#define KEY_OVER 1024 /* octets; an index entry holds some 2 600 */

/* bytea compares octet by octet, a shorter prefix first: canonical order, if the keys are made for it.
 * Room is left in the pages, since a child is changed in place (HOT), and dead rows are collected early: "due" is a
 * queue whose front is read all the time. */
static const char *const create[] = {
	"CREATE TABLE msproto_store (bucket text COLLATE \"C\" NOT NULL, key bytea NOT NULL, value bytea NOT NULL, "
	"PRIMARY KEY (bucket, key)) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)",
	NULL,
};

enum { ST_LOCK, ST_GET, ST_PUT, ST_DEL, ST_EACH, ST_KEYS, ST_HOLD, ST__N };
/* Lock numbers are mixed with the table's own: several schemas of one database do not get in each other's way. */
#define LOCK_NUMBER "$1::bigint # ('msproto_store'::regclass::bigint << 31)"
static const char *const statement[ST__N + 1] = {
	[ST_LOCK] = "SELECT pg_advisory_xact_lock(" LOCK_NUMBER ")",
	[ST_GET] = "SELECT value FROM msproto_store WHERE bucket = $1::text AND key = $2::bytea",
	[ST_PUT] = "INSERT INTO msproto_store (bucket, key, value) VALUES ($1::text, $2::bytea, $3::bytea) "
		   "ON CONFLICT (bucket, key) DO UPDATE SET value = EXCLUDED.value",
	[ST_DEL] = "DELETE FROM msproto_store WHERE bucket = $1::text AND key = $2::bytea",
	[ST_EACH] = "SELECT key, value FROM msproto_store WHERE bucket = $1::text AND key >= $2::bytea "
		    "ORDER BY key LIMIT $3::bigint",
	[ST_KEYS] = "SELECT key FROM msproto_store WHERE bucket = $1::text AND key >= $2::bytea "
		    "ORDER BY key LIMIT $3::bigint",
	[ST_HOLD] = "SELECT pg_try_advisory_lock(" LOCK_NUMBER ")",
};
static const struct prt_pg_plan plan = {
	.name = "parentd",
	.version = PRT_SCHEMA,
	.create = create,
	.statement = statement,
};

struct store_pg {
	struct prt_store store;
	struct prt_pg *pg; /* owned */
	bool in_transaction;
};

static struct store_pg *self(struct prt_store *s)
{
	return (struct store_pg *)s;
}

static struct msp_span number(uint64_t v, uint8_t octets[8])
{
	struct msp_wr wr;

	msp_wr_init(&wr, octets, 8);
	msp_wr_u64(&wr, v);
	return msp_wr_span(&wr);
}

/* FNV-1a. Who finds two names with one number has made two children wait for each other. */
static uint64_t mix(uint64_t h, struct msp_span s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.ptr[i]) * 0x100000001b3u;
	return (h ^ 0xff) * 0x100000001b3u;
}

static uint64_t lock_number(const char *bucket, struct msp_span key)
{
	return mix(mix(0xcbf29ce484222325u, msp_span_str(bucket)), key);
}

/* Outside a transaction each call is one, and over when it returns. */
static enum msp_err finish(struct store_pg *s, enum msp_err err)
{
	return err == MSP_OK && !s->in_transaction ? prt_pg_settle(s->pg) : err;
}

static enum msp_err pg_begin(struct prt_store *store)
{
	struct store_pg *s = self(store);
	enum msp_err err = prt_pg_begin(s->pg);

	s->in_transaction = err == MSP_OK;
	return err;
}

static enum msp_err pg_commit(struct prt_store *store)
{
	self(store)->in_transaction = false;
	return prt_pg_commit(self(store)->pg);
}

static void pg_rollback(struct prt_store *store)
{
	self(store)->in_transaction = false;
	prt_pg_rollback(self(store)->pg);
}

static enum msp_err pg_get(struct prt_store *store, const char *bucket, struct msp_span key, bool lock,
			   struct msp_buf *out)
{
	struct store_pg *s = self(store);
	const struct msp_span value[] = { msp_span_str(bucket), key };
	uint8_t octets[8];
	enum msp_err err = MSP_OK;

	if (lock && s->in_transaction) {
		struct msp_span id = number(lock_number(bucket, key), octets);

		err = prt_pg_add(s->pg, ST_LOCK, &id, 1);
	}
	if (err == MSP_OK)
		err = prt_pg_add(s->pg, ST_GET, value, 2);
	if (err == MSP_OK)
		err = prt_pg_settle(s->pg);
	if (err != MSP_OK)
		return err;
	if (prt_pg_rows(s->pg) == 0)
		return MSP_ENOTFOUND;
	msp_buf_add_span(out, prt_pg_cell(s->pg, 0, 0));
	return out->err;
}

static enum msp_err pg_put(struct prt_store *store, const char *bucket, struct msp_span key, struct msp_span value)
{
	struct store_pg *s = self(store);
	const struct msp_span values[] = { msp_span_str(bucket), key, value };

	if (key.len > KEY_OVER)
		return MSP_ELIMIT;
	return finish(s, prt_pg_add(s->pg, ST_PUT, values, 3));
}

static enum msp_err pg_del(struct prt_store *store, const char *bucket, struct msp_span key)
{
	struct store_pg *s = self(store);
	const struct msp_span values[] = { msp_span_str(bucket), key };

	return finish(s, prt_pg_add(s->pg, ST_DEL, values, 2));
}

/* One page; *rows how many there were, `next` where to go on: the last key and a zero octet, which is the smallest key
 * behind it. */
static enum msp_err page(struct store_pg *s, const char *bucket, struct msp_buf *next, size_t want, bool keys_only,
			 prt_store_fn *fn, void *arg, size_t *rows)
{
	uint8_t octets[8];
	const struct msp_span values[] = { msp_span_str(bucket), msp_buf_span(next), number(want, octets) };
	enum msp_err err = prt_pg_add(s->pg, keys_only ? ST_KEYS : ST_EACH, values, 3);
	struct msp_span last;

	if (err == MSP_OK)
		err = prt_pg_settle(s->pg);
	*rows = err == MSP_OK ? prt_pg_rows(s->pg) : 0;
	for (size_t i = 0; err == MSP_OK && i < *rows; i++)
		err = fn(arg, prt_pg_cell(s->pg, i, 0), keys_only ? msp_span(NULL, 0) : prt_pg_cell(s->pg, i, 1));
	if (err != MSP_OK || *rows == 0)
		return err;
	last = prt_pg_cell(s->pg, *rows - 1, 0);
	msp_buf_reset(next);
	msp_buf_add_span(next, last);
	msp_buf_add_u8(next, 0);
	return next->err;
}

static enum msp_err pg_each(struct prt_store *store, const char *bucket, struct msp_span from, size_t max,
			    bool keys_only, prt_store_fn *fn, void *arg)
{
	struct store_pg *s = self(store);
	enum msp_err err = MSP_OK;
	struct msp_buf next;
	size_t rows = PAGE, want = PAGE;

	msp_buf_init(&next, KEY_OVER + 1);
	msp_buf_add_span(&next, from);
	err = next.err;
	while (err == MSP_OK && max > 0 && rows == want) {
		want = max < PAGE ? max : PAGE;
		err = page(s, bucket, &next, want, keys_only, fn, arg, &rows);
		max -= rows;
	}
	msp_buf_fini(&next);
	return err;
}

/* Of the session: gone with it, however it ends. Asking again is harmless and tells whether it is still ours. */
static enum msp_err pg_hold(struct prt_store *store, const char *what)
{
	struct store_pg *s = self(store);
	uint8_t octets[8];
	struct msp_span id = number(lock_number("hold", msp_span_str(what)), octets), got;
	enum msp_err err = prt_pg_add(s->pg, ST_HOLD, &id, 1);

	if (err == MSP_OK)
		err = prt_pg_settle(s->pg);
	if (err != MSP_OK)
		return err;
	got = prt_pg_cell(s->pg, 0, 0);
	return got.len == 1 && got.ptr[0] == 1 ? MSP_OK : MSP_EBUSY;
}

static enum msp_err pg_revive(struct prt_store *store, struct msp_why *why)
{
	return prt_pg_revive(self(store)->pg, why);
}

static void pg_close(struct prt_store *store)
{
	struct store_pg *s = self(store);

	prt_pg_close(&s->pg);
	msp_free(s);
}

static const struct prt_store_ops ops = {
	.begin = pg_begin,
	.commit = pg_commit,
	.rollback = pg_rollback,
	.get = pg_get,
	.put = pg_put,
	.del = pg_del,
	.each = pg_each,
	.hold = pg_hold,
	.revive = pg_revive,
	.close = pg_close,
};

enum msp_err prt_store_open_pg(const struct prt_store_where *w, struct prt_store **out, struct msp_why *why)
{
	struct store_pg *s = msp_alloc(1, sizeof(*s));
	enum msp_err err;

	if (!s)
		return msp_fail(why, MSP_ENOMEM, "out of memory");
	s->store.ops = &ops;
	err = prt_pg_open(&plan, w->path, w->timeout_ms, NULL, &s->pg, why);
	if (err == MSP_OK)
		*out = &s->store;
	else
		msp_free(s);
	return err;
}
