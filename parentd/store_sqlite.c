/* SPDX-License-Identifier: BSD-2-Clause */
/* One process, one file: what the kit's store offers, in the shape that parentd's stores have. */
#include "store.h"

#include <msproto/base/mem.h>
#include <msproto/kit/store.h>

/* The writer finds the upper levels of a tree of 1.5 million children in memory, and the pages of a group. */
#define WRITER_CACHE_KIB (24u << 10)
#define READER_CACHE_KIB 2048u
#define WAL_PAGES        8192u

struct sqlite_store {
	struct prt_store base;
	struct msp_store *s; /* owned */
};

static struct msp_store *of(struct prt_store *s)
{
	return ((struct sqlite_store *)s)->s;
}

static enum msp_err begin(struct prt_store *s)
{
	return msp_store_begin(of(s));
}

static enum msp_err commit(struct prt_store *s)
{
	return msp_store_commit(of(s));
}

static void rollback(struct prt_store *s)
{
	msp_store_rollback(of(s));
}

static enum msp_err get(struct prt_store *s, const char *bucket, struct msp_span key, bool lock, struct msp_buf *out)
{
	(void)lock; /* a transaction that writes has the whole file */
	return msp_store_get(of(s), bucket, key, out);
}

static enum msp_err put(struct prt_store *s, const char *bucket, struct msp_span key, struct msp_span value)
{
	return msp_store_put(of(s), bucket, key, value);
}

static enum msp_err del(struct prt_store *s, const char *bucket, struct msp_span key)
{
	return msp_store_del(of(s), bucket, key);
}

static enum msp_err each(struct prt_store *s, const char *bucket, struct msp_span from, size_t max, bool keys_only,
			 prt_store_fn *fn, void *arg)
{
	return msp_store_range(of(s), bucket, from, max, keys_only, fn, arg);
}

static enum msp_err hold(struct prt_store *s, const char *what)
{
	(void)s;
	(void)what;
	return MSP_OK;
}

static enum msp_err revive(struct prt_store *s, struct msp_why *why)
{
	(void)s;
	(void)why;
	return MSP_OK;
}

static void close_store(struct prt_store *s)
{
	msp_store_close(&((struct sqlite_store *)s)->s);
	msp_free(s);
}

static const struct prt_store_ops ops = {
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.get = get,
	.put = put,
	.del = del,
	.each = each,
	.hold = hold,
	.revive = revive,
	.close = close_store,
};

enum msp_err prt_store_open_sqlite(const struct prt_store_where *w, struct prt_store **out, struct msp_why *why)
{
	const struct msp_store_params p = {
		.path = w->path,
		.schema_version = PRT_SCHEMA,
		.cache_kib = w->is_reader ? READER_CACHE_KIB : WRITER_CACHE_KIB,
		.wal_pages = WAL_PAGES,
		.is_large = true, /* 1.5 million children cannot all be looked at before the first answer */
		.is_reader = w->is_reader,
	};
	struct sqlite_store *s = msp_alloc(1, sizeof(*s));
	enum msp_err err;

	*out = NULL;
	if (s == NULL)
		return msp_fail(why, MSP_ENOMEM, "%s: out of memory", w->path);
	s->base.ops = &ops;
	err = msp_store_open_as(&p, &s->s, why);
	if (err == MSP_OK)
		*out = &s->base;
	else
		msp_free(s);
	return err;
}

struct msp_store *prt_store_sqlite_inside(struct prt_store *s)
{
	return s->ops == &ops ? of(s) : NULL;
}
