/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Durable state in SQLite (WAL, synchronous=FULL), as an ordered key-value table per bucket; what is committed survives
 * a crash. Keys and values are octets; meaning is the caller's. Files for keys: write, fsync, rename, fsync of the
 * directory.
 */
#ifndef MSPROTO_KIT_STORE_H
#define MSPROTO_KIT_STORE_H

#include <msproto/base/buf.h>

struct msp_store;
/**
 * Open or create `path` (0600). schema_version: the program's; a file with a higher one is refused (MSP_ECORRUPT), a
 * lower one goes through migrate (may be NULL: only equal or new is accepted). A damaged file is MSP_ECORRUPT with the
 * reason.
 */
typedef enum msp_err msp_migrate_fn(struct msp_store *s, uint32_t from, struct msp_why *why);
MSP_CHECKED enum msp_err msp_store_open(const char *path, uint32_t schema_version, msp_migrate_fn *migrate,
					struct msp_store **out, struct msp_why *why);
/** The same with more to say. */
struct msp_store_params {
	const char *path;
	uint32_t schema_version;
	msp_migrate_fn *migrate;
	uint32_t cache_kib; /* pages kept in this process; 0 = SQLite's default, 2 MiB */
	uint32_t wal_pages; /* changed pages before they are moved into the main file; 0 = SQLite's default, 1 000 */
	bool is_large;      /* not every page is read and checked before the file is used */
	bool is_reader;     /* of a file that a writer has open, of this or another process: writing is refused */
};
MSP_CHECKED enum msp_err msp_store_open_as(const struct msp_store_params *p, struct msp_store **out,
					   struct msp_why *why);
void msp_store_close(struct msp_store **s);

/** Group writes: nothing is durable before msp_store_commit says MSP_OK. Nested begin is a bug (assert). */
MSP_CHECKED enum msp_err msp_store_begin(struct msp_store *s);
MSP_CHECKED enum msp_err msp_store_commit(struct msp_store *s);
void msp_store_rollback(struct msp_store *s);

/** Outside begin/commit each call is a transaction of its own. bucket: short static name, [a-z_]+. */
MSP_CHECKED enum msp_err msp_store_put(struct msp_store *s, const char *bucket, struct msp_span key,
				       struct msp_span value);
/** MSP_ENOTFOUND when absent. Appends to out. */
MSP_CHECKED enum msp_err msp_store_get(struct msp_store *s, const char *bucket, struct msp_span key,
				       struct msp_buf *out);
/** Absent is MSP_OK. */
MSP_CHECKED enum msp_err msp_store_del(struct msp_store *s, const char *bucket, struct msp_span key);
/** All entries whose key starts with prefix (may be empty), in key order. Stops at fn's first error and returns it. */
typedef enum msp_err msp_store_fn(void *arg, struct msp_span key, struct msp_span value);
MSP_CHECKED enum msp_err msp_store_each(struct msp_store *s, const char *bucket, struct msp_span prefix,
					msp_store_fn *fn, void *arg);
/** Entries with key >= from, in key order, at most max. keys_only: fn's value is empty. Otherwise as msp_store_each. */
MSP_CHECKED enum msp_err msp_store_range(struct msp_store *s, const char *bucket, struct msp_span from, size_t max,
					 bool keys_only, msp_store_fn *fn, void *arg);

/** Tests: the nth write, commit or sync from now on fails with MSP_EIO; 0 turns it off. */
void msp_store_fail_at(struct msp_store *s, size_t nth);

/** Replace a file durably: temporary file in the same directory, mode, fsync, rename, fsync of the directory. */
MSP_CHECKED enum msp_err msp_file_replace(const char *path, unsigned mode, struct msp_span content,
					  struct msp_why *why);
/** Whole file, at most `max` octets. must_be_private: mode 0600 or stricter, else MSP_ECONF. */
MSP_CHECKED enum msp_err msp_file_read(const char *path, size_t max, bool must_be_private, struct msp_buf *out,
				       struct msp_why *why);

#endif
