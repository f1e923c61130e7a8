/* SPDX-License-Identifier: BSD-2-Clause */
/* Which kind of store it is, and calls to its methods. */
#include "store.h"

enum msp_err prt_store_open(const struct prt_store_where *w, struct prt_store **out, struct msp_why *why)
{
	*out = NULL;
	return w->kind == PRT_STORE_POSTGRESQL ? prt_store_open_pg(w, out, why) : prt_store_open_sqlite(w, out, why);
}

void prt_store_close(struct prt_store **s)
{
	if (*s == NULL)
		return;
	(*s)->ops->close(*s);
	*s = NULL;
}

enum msp_err prt_store_begin(struct prt_store *s)
{
	return s->ops->begin(s);
}

enum msp_err prt_store_commit(struct prt_store *s)
{
	return s->ops->commit(s);
}

void prt_store_rollback(struct prt_store *s)
{
	s->ops->rollback(s);
}

enum msp_err prt_store_get(struct prt_store *s, const char *bucket, struct msp_span key, bool lock, struct msp_buf *out)
{
	return s->ops->get(s, bucket, key, lock, out);
}

enum msp_err prt_store_put(struct prt_store *s, const char *bucket, struct msp_span key, struct msp_span value)
{
	return s->ops->put(s, bucket, key, value);
}

enum msp_err prt_store_del(struct prt_store *s, const char *bucket, struct msp_span key)
{
	return s->ops->del(s, bucket, key);
}

enum msp_err prt_store_each(struct prt_store *s, const char *bucket, struct msp_span from, size_t max, prt_store_fn *fn,
			    void *arg)
{
	return s->ops->each(s, bucket, from, max, false, fn, arg);
}

enum msp_err prt_store_keys(struct prt_store *s, const char *bucket, struct msp_span from, size_t max, prt_store_fn *fn,
			    void *arg)
{
	return s->ops->each(s, bucket, from, max, true, fn, arg);
}

enum msp_err prt_store_hold(struct prt_store *s, const char *what)
{
	return s->ops->hold(s, what);
}

enum msp_err prt_store_revive(struct prt_store *s, struct msp_why *why)
{
	return s->ops->revive(s, why);
}
