/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/kit/store.h>

#include <msproto/base/mem.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID  0x6d737072 /* "mspr": a foreign database is refused, not filled with our table */
#define BUSY_TIMEOUT_MS 5000

enum statement { ST_BEGIN, ST_COMMIT, ST_ROLLBACK, ST_PUT, ST_GET, ST_DEL, ST_EACH, ST_RANGE, ST_KEYS, ST__N };
static const char *const statement_sql[ST__N] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	/* not INSERT OR REPLACE: that deletes first, and looks for the place again */
	[ST_PUT] = "INSERT INTO kv VALUES (?1, ?2, ?3) ON CONFLICT (bucket, key) DO UPDATE SET value = ?3",
	[ST_GET] = "SELECT value FROM kv WHERE bucket = ?1 AND key = ?2",
	[ST_DEL] = "DELETE FROM kv WHERE bucket = ?1 AND key = ?2",
	[ST_EACH] = "SELECT key, value FROM kv WHERE bucket = ?1 AND key >= ?2 ORDER BY key",
	[ST_RANGE] = "SELECT key, value FROM kv WHERE bucket = ?1 AND key >= ?2 ORDER BY key LIMIT ?3",
	[ST_KEYS] = "SELECT key, x'' FROM kv WHERE bucket = ?1 AND key >= ?2 ORDER BY key LIMIT ?3",
};

struct msp_store {
	sqlite3 *db;                    /* owned */
	sqlite3_stmt *statement[ST__N]; /* owned; from ST_EACH on: prepared for each walk, walks nest */
	bool in_transaction;
	bool broken;           /* SQLite rolled the open transaction back by itself: commit must not claim success */
	atomic_size_t fail_in; /* tests: 0 = off; set while another thread is at work */
};

static enum msp_err translate(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return MSP_OK;
	case SQLITE_NOMEM:
		return MSP_ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return MSP_EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return MSP_ECORRUPT;
	case SQLITE_TOOBIG:
		return MSP_ELIMIT;
	default:
		return MSP_EIO;
	}
}

static enum msp_err store_fail(struct msp_store *s, int rc, const char *path, struct msp_why *why)
{
	return msp_fail(why, translate(rc), "%s: %s", path, s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
}

static bool injected(struct msp_store *s)
{
	return atomic_load(&s->fail_in) > 0 && atomic_fetch_sub(&s->fail_in, 1) == 1;
}

void msp_store_fail_at(struct msp_store *s, size_t nth)
{
	atomic_store(&s->fail_in, nth);
}

/* ---- opening ---- */

static int run(struct msp_store *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

static int query_int(struct msp_store *s, const char *sql, int64_t *out)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*out = sqlite3_column_int64(st, 0);
		rc = SQLITE_OK;
	}
	(void)sqlite3_finalize(st);
	return rc;
}

static enum msp_err check_integrity(struct msp_store *s, const char *path, struct msp_why *why)
{
	sqlite3_stmt *st = NULL;
	enum msp_err err = MSP_OK;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc != SQLITE_ROW) {
		err = store_fail(s, rc, path, why);
	} else {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		if (!text || strcmp(text, "ok") != 0)
			err = msp_fail(why, MSP_ECORRUPT, "%s: damaged: %.160s", path, text ? text : "");
	}
	(void)sqlite3_finalize(st);
	return err;
}

static enum msp_err set_number(struct msp_store *s, const char *pragma, uint32_t v)
{
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "PRAGMA %s%u", pragma, v);
	return translate(run(s, sql));
}

static enum msp_err prepare_all(struct msp_store *s, const char *path, struct msp_why *why)
{
	for (int i = 0; i < ST_EACH; i++) {
		int rc = sqlite3_prepare_v3(s->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statement[i],
					    NULL);

		if (rc != SQLITE_OK)
			return store_fail(s, rc, path, why);
	}
	return MSP_OK;
}

static enum msp_err create_schema(struct msp_store *s, uint32_t version, const char *path, struct msp_why *why)
{
	enum msp_err err;
	int rc = run(s,
		     "BEGIN IMMEDIATE; CREATE TABLE kv (bucket TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, "
		     "PRIMARY KEY (bucket, key)) WITHOUT ROWID;");

	if (rc != SQLITE_OK)
		return store_fail(s, rc, path, why);
	err = set_number(s, "application_id = ", APPLICATION_ID);
	if (err == MSP_OK)
		err = set_number(s, "user_version = ", version);
	if (err == MSP_OK)
		err = translate(run(s, "COMMIT"));
	return err == MSP_OK ? MSP_OK : msp_fail(why, err, "%s: cannot create the table", path);
}

static enum msp_err migrate_from(struct msp_store *s, uint32_t from, uint32_t to, msp_migrate_fn *migrate,
				 const char *path, struct msp_why *why)
{
	enum msp_err err;

	if (!migrate)
		return msp_fail(why, MSP_ECORRUPT, "%s: has the older version %u and there is no migration", path,
				from);
	err = msp_store_begin(s);
	if (err != MSP_OK)
		return msp_fail(why, err, "%s: %s", path, sqlite3_errmsg(s->db));
	err = migrate(s, from, why);
	if (err == MSP_OK)
		err = set_number(s, "user_version = ", to); /* inside the transaction: all or nothing */
	if (err == MSP_OK)
		err = msp_store_commit(s);
	msp_store_rollback(s);
	return err;
}

static enum msp_err check_version(struct msp_store *s, const struct msp_store_params *p, struct msp_why *why)
{
	int64_t app = 0, found = 0, tables = 0;
	enum msp_err err;
	int rc = query_int(s, "PRAGMA application_id", &app);

	if (rc == SQLITE_OK)
		rc = query_int(s, "PRAGMA user_version", &found);
	if (rc == SQLITE_OK)
		rc = query_int(s, "SELECT count(*) FROM sqlite_schema", &tables);
	if (rc != SQLITE_OK)
		return store_fail(s, rc, p->path, why);
	if (tables == 0 && app == 0 && !p->is_reader) {
		err = create_schema(s, p->schema_version, p->path, why);
		return err == MSP_OK ? prepare_all(s, p->path, why) : err;
	}
	if (app != APPLICATION_ID)
		return msp_fail(why, MSP_ECORRUPT, "%s: a database of another program", p->path);
	if (found > p->schema_version)
		return msp_fail(why, MSP_ECORRUPT, "%s: version %lld is newer than this program's %u", p->path,
				(long long)found, p->schema_version);
	err = prepare_all(s, p->path, why);
	if (err == MSP_OK && found < p->schema_version)
		err = migrate_from(s, (uint32_t)found, p->schema_version, p->is_reader ? NULL : p->migrate, p->path,
				   why);
	return err;
}

/* SQLite would create the file with the umask's mode, and WAL files inherit it. */
static enum msp_err touch(const char *path, struct msp_why *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return msp_fail(why, MSP_EIO, "%s: %s", path, strerror(errno));
	(void)close(fd);
	return MSP_OK;
}

static enum msp_err open_db(struct msp_store *s, const struct msp_store_params *p, struct msp_why *why)
{
	enum msp_err err = MSP_OK;
	int rc = sqlite3_open_v2(p->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_extended_result_codes(s->db, 1);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	if (rc == SQLITE_OK)
		rc = run(s, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
			    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
	if (rc == SQLITE_OK && p->is_reader)
		rc = run(s, "PRAGMA query_only = ON");
	if (rc != SQLITE_OK)
		return store_fail(s, rc, p->path, why);
	if (p->cache_kib != 0)
		err = set_number(s, "cache_size = -", p->cache_kib); /* negative: KiB, not pages */
	if (err == MSP_OK && p->wal_pages != 0)
		err = set_number(s, "wal_autocheckpoint = ", p->wal_pages);
	if (err != MSP_OK)
		return msp_fail(why, err, "%s: %s", p->path, sqlite3_errmsg(s->db));
	return p->is_large || p->is_reader ? MSP_OK : check_integrity(s, p->path, why);
}

enum msp_err msp_store_open_as(const struct msp_store_params *p, struct msp_store **out, struct msp_why *why)
{
	struct msp_store *s;
	enum msp_err err = p->is_reader ? MSP_OK : touch(p->path, why);

	assert(p->schema_version > 0 && p->schema_version <= INT32_MAX);
	*out = NULL;
	if (err != MSP_OK)
		return err;
	s = msp_alloc(1, sizeof(*s));
	if (!s)
		return msp_fail(why, MSP_ENOMEM, "%s: out of memory", p->path);
	err = open_db(s, p, why);
	if (err == MSP_OK)
		err = check_version(s, p, why);
	if (err == MSP_OK)
		*out = s;
	else
		msp_store_close(&s);
	return err;
}

enum msp_err msp_store_open(const char *path, uint32_t schema_version, msp_migrate_fn *migrate, struct msp_store **out,
			    struct msp_why *why)
{
	const struct msp_store_params p = { .path = path, .schema_version = schema_version, .migrate = migrate };

	return msp_store_open_as(&p, out, why);
}

void msp_store_close(struct msp_store **s)
{
	if (!*s)
		return;
	msp_store_rollback(*s);
	for (int i = 0; i < ST__N; i++)
		(void)sqlite3_finalize((*s)->statement[i]);
	(void)sqlite3_close((*s)->db);
	msp_free(*s);
	*s = NULL;
}

/* ---- reading and writing ---- */

/* A transaction that SQLite ended by itself (disk full, I/O error) must not be committed in part. */
static void notice_rollback(struct msp_store *s)
{
	if (s->in_transaction && sqlite3_get_autocommit(s->db))
		s->broken = true;
}

static enum msp_err step_done(struct msp_store *s, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);
	enum msp_err err = rc == SQLITE_DONE ? MSP_OK : rc == SQLITE_ROW ? MSP_EIO : translate(rc);

	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	notice_rollback(s);
	return err;
}

enum msp_err msp_store_begin(struct msp_store *s)
{
	enum msp_err err;

	assert(!s->in_transaction);
	err = step_done(s, s->statement[ST_BEGIN]);
	s->in_transaction = err == MSP_OK;
	s->broken = false;
	return err;
}

enum msp_err msp_store_commit(struct msp_store *s)
{
	enum msp_err err = MSP_EIO;

	assert(s->in_transaction);
	if (!injected(s) && !s->broken)
		err = step_done(s, s->statement[ST_COMMIT]);
	if (err == MSP_OK)
		s->in_transaction = false;
	else
		msp_store_rollback(s);
	return err;
}

void msp_store_rollback(struct msp_store *s)
{
	if (!s->in_transaction)
		return;
	if (!sqlite3_get_autocommit(s->db))
		(void)step_done(s, s->statement[ST_ROLLBACK]);
	s->in_transaction = false;
	s->broken = false;
}

static bool bucket_is_good(const char *bucket)
{
	return bucket[0] != '\0' && bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}

static int bind_span(sqlite3_stmt *st, int at, struct msp_span v)
{
	/* A NULL pointer would bind NULL, which is not the empty blob. */
	return v.len == 0 ? sqlite3_bind_zeroblob(st, at, 0) : sqlite3_bind_blob64(st, at, v.ptr, v.len, SQLITE_STATIC);
}

static int bind_key(sqlite3_stmt *st, const char *bucket, struct msp_span key)
{
	bool good = bucket_is_good(bucket);
	int rc = good ? sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC) : SQLITE_MISUSE;

	assert(good);
	return rc == SQLITE_OK ? bind_span(st, 2, key) : rc;
}

enum msp_err msp_store_put(struct msp_store *s, const char *bucket, struct msp_span key, struct msp_span value)
{
	sqlite3_stmt *st = s->statement[ST_PUT];
	int rc;

	if (injected(s))
		return MSP_EIO;
	rc = bind_key(st, bucket, key);
	if (rc == SQLITE_OK)
		rc = bind_span(st, 3, value);
	if (rc != SQLITE_OK) {
		(void)sqlite3_clear_bindings(st);
		return translate(rc);
	}
	return step_done(s, st);
}

enum msp_err msp_store_del(struct msp_store *s, const char *bucket, struct msp_span key)
{
	sqlite3_stmt *st = s->statement[ST_DEL];
	int rc;

	if (injected(s))
		return MSP_EIO;
	rc = bind_key(st, bucket, key);
	if (rc != SQLITE_OK) {
		(void)sqlite3_clear_bindings(st);
		return translate(rc);
	}
	return step_done(s, st);
}

static struct msp_span column_span(sqlite3_stmt *st, int column)
{
	const void *ptr = sqlite3_column_blob(st, column);

	return msp_span(ptr, (size_t)sqlite3_column_bytes(st, column));
}

enum msp_err msp_store_get(struct msp_store *s, const char *bucket, struct msp_span key, struct msp_buf *out)
{
	sqlite3_stmt *st = s->statement[ST_GET];
	enum msp_err err;
	int rc = bind_key(st, bucket, key);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		msp_buf_add_span(out, column_span(st, 0));
		err = out->err;
	} else {
		err = rc == SQLITE_DONE ? MSP_ENOTFOUND : translate(rc);
	}
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return err;
}

/* A statement for one walk: the one that is kept, unless a walk around this one is using it. */
static int take_walk(struct msp_store *s, enum statement which, sqlite3_stmt **out)
{
	*out = s->statement[which];
	s->statement[which] = NULL;
	if (*out)
		return SQLITE_OK;
	return sqlite3_prepare_v3(s->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

static void end_walk(struct msp_store *s, enum statement which, sqlite3_stmt *st)
{
	if (!st || s->statement[which]) {
		(void)sqlite3_finalize(st);
		return;
	}
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	s->statement[which] = st;
}

enum msp_err msp_store_each(struct msp_store *s, const char *bucket, struct msp_span prefix, msp_store_fn *fn,
			    void *arg)
{
	sqlite3_stmt *st = NULL;
	enum msp_err err = MSP_OK;
	int rc = take_walk(s, ST_EACH, &st);

	if (rc == SQLITE_OK)
		rc = bind_key(st, bucket, prefix);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	for (; rc == SQLITE_ROW && err == MSP_OK; rc = err == MSP_OK ? sqlite3_step(st) : rc) {
		struct msp_span key = column_span(st, 0);

		if (key.len < prefix.len || (prefix.len && memcmp(key.ptr, prefix.ptr, prefix.len) != 0))
			break;
		err = fn(arg, key, column_span(st, 1));
	}
	if (err == MSP_OK)
		err = translate(rc);
	end_walk(s, ST_EACH, st);
	return err;
}

enum msp_err msp_store_range(struct msp_store *s, const char *bucket, struct msp_span from, size_t max, bool keys_only,
			     msp_store_fn *fn, void *arg)
{
	enum statement which = keys_only ? ST_KEYS : ST_RANGE;
	sqlite3_stmt *st = NULL;
	enum msp_err err = MSP_OK;
	int rc = take_walk(s, which, &st);

	if (rc == SQLITE_OK)
		rc = bind_key(st, bucket, from);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(st, 3, max > INT32_MAX ? INT32_MAX : (sqlite3_int64)max);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	for (; rc == SQLITE_ROW && err == MSP_OK; rc = err == MSP_OK ? sqlite3_step(st) : rc)
		err = fn(arg, column_span(st, 0), column_span(st, 1));
	if (err == MSP_OK)
		err = translate(rc);
	end_walk(s, which, st);
	return err;
}
