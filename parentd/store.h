/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Where the books are kept: an ordered key-value table per bucket, in SQLite (one process) or PostgreSQL (several
 * processes on one parent). One connection each, not shared between threads; every call may block.
 */
#ifndef PRT_STORE_H
#define PRT_STORE_H

#include <msproto/base/buf.h>

enum prt_store_kind { PRT_STORE_SQLITE, PRT_STORE_POSTGRESQL };
struct prt_store_where {
	enum prt_store_kind kind;
	const char *path;    /* SQLite: the file. PostgreSQL: file (0600) with libpq's connection string */
	uint32_t timeout_ms; /* of one statement, PostgreSQL; default 5 000 */
	bool is_reader;      /* only reads, what another connection has created: takes less memory */
};
#define PRT_SCHEMA 1

struct prt_store;
/** The methods, made by store_sqlite.c and store_pg.c; call them through the functions below. */
struct prt_store_ops;

/** Creates what is missing. MSP_ECORRUPT: another program's, or a newer schema; MSP_EIO, MSP_ENET: cannot be reached.
 */
MSP_CHECKED enum msp_err prt_store_open(const struct prt_store_where *w, struct prt_store **out, struct msp_why *why);
void prt_store_close(struct prt_store **s);

/** A transaction. What is not committed with MSP_OK has not happened. Each call in it sees what others have committed
 * by then (PostgreSQL: READ COMMITTED). */
MSP_CHECKED enum msp_err prt_store_begin(struct prt_store *s);
/** Durable with MSP_OK. MSP_EBUSY: nothing has happened, another process was faster: do it all again. MSP_ENET: the
 * connection broke; whether it happened is not known until it is asked (books.c does). */
MSP_CHECKED enum msp_err prt_store_commit(struct prt_store *s);
void prt_store_rollback(struct prt_store *s);

/** `lock`: inside a transaction, others who lock the same key wait until it ends, also for a key that is absent.
 * Appends to out. MSP_ENOTFOUND. */
MSP_CHECKED enum msp_err prt_store_get(struct prt_store *s, const char *bucket, struct msp_span key, bool lock,
				       struct msp_buf *out);
MSP_CHECKED enum msp_err prt_store_put(struct prt_store *s, const char *bucket, struct msp_span key,
				       struct msp_span value);
/** Absent is MSP_OK. */
MSP_CHECKED enum msp_err prt_store_del(struct prt_store *s, const char *bucket, struct msp_span key);
/** Entries with key >= from, in key order, at most max. Stops at fn's first error and returns it. fn may not call the
 * store. */
typedef enum msp_err prt_store_fn(void *arg, struct msp_span key, struct msp_span value);
MSP_CHECKED enum msp_err prt_store_each(struct prt_store *s, const char *bucket, struct msp_span from, size_t max,
					prt_store_fn *fn, void *arg);
/** As above, keys only. */
MSP_CHECKED enum msp_err prt_store_keys(struct prt_store *s, const char *bucket, struct msp_span from, size_t max,
					prt_store_fn *fn, void *arg);
/** One process alone has `what` until this connection ends; MSP_EBUSY: another one has it. SQLite: always MSP_OK. */
MSP_CHECKED enum msp_err prt_store_hold(struct prt_store *s, const char *what);
/** Connection lost: calls have answered MSP_ENET. Opens it again; cheap when all is well. */
MSP_CHECKED enum msp_err prt_store_revive(struct prt_store *s, struct msp_why *why);

/* --- for store_sqlite.c, store_pg.c ------------------------------------------------------------------------------- */
struct prt_store_ops {
	enum msp_err (*begin)(struct prt_store *s);
	enum msp_err (*commit)(struct prt_store *s);
	void (*rollback)(struct prt_store *s);
	enum msp_err (*get)(struct prt_store *s, const char *bucket, struct msp_span key, bool lock,
			    struct msp_buf *out);
	enum msp_err (*put)(struct prt_store *s, const char *bucket, struct msp_span key, struct msp_span value);
	enum msp_err (*del)(struct prt_store *s, const char *bucket, struct msp_span key);
	enum msp_err (*each)(struct prt_store *s, const char *bucket, struct msp_span from, size_t max, bool keys_only,
			     prt_store_fn *fn, void *arg);
	enum msp_err (*hold)(struct prt_store *s, const char *what);
	enum msp_err (*revive)(struct prt_store *s, struct msp_why *why);
	void (*close)(struct prt_store *s);
};
struct prt_store {
	const struct prt_store_ops *ops; /* first member of the makers' own structs */
};
MSP_CHECKED enum msp_err prt_store_open_sqlite(const struct prt_store_where *w, struct prt_store **out,
					       struct msp_why *why);
MSP_CHECKED enum msp_err prt_store_open_pg(const struct prt_store_where *w, struct prt_store **out,
					   struct msp_why *why);

/** Tests: what is behind a store in SQLite, for msp_store_fail_at; NULL for another kind. */
struct msp_store;
struct msp_store *prt_store_sqlite_inside(struct prt_store *s);

#endif
