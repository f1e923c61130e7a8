/* SPDX-License-Identifier: BSD-2-Clause */
#include "pg.h"

#include <msproto/base/clock.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>
#include <msproto/kit/store.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define CONNINFO_MAX       4096
#define TIMEOUT_MS_DEFAULT 5000
#define FENCE              "SELECT pg_advisory_xact_lock($1::bigint)"
#define STOP_LOOK_MS       100 /* how often `stop` is looked at while waiting */

struct prt_pg {
	const struct prt_pg_plan *plan;
	char *conninfo;   /* owned, secret */
	PGconn *conn;     /* owned; NULL: the session is gone */
	PGresult *last;   /* owned: of the last statement settled */
	size_t queued;    /* statements handed over and not settled */
	unsigned prepare; /* of the plan's statements: how many */
	const atomic_bool *stop;
	uint32_t timeout_ms;
	uint8_t fence[8]; /* number of a lock that every transaction of ours has */
	bool is_unsure;   /* a transaction was open when the session was lost: the server may still be at it */
	bool in_transaction;
	enum msp_err broken; /* why the open transaction cannot be committed any more */
	char error[200];
};

/* SQLSTATEs by their first characters, the longest first. @source PostgreSQL documentation, appendix A */
static const struct {
	const char *state;
	enum msp_err err;
} sqlstates[] = {
	{ "25006", MSP_ENET },  /* read only: the server has become a standby, another one takes writes now */
	{ "25P03", MSP_ENET },  /* idle in transaction for too long: it has closed the session */
	{ "40001", MSP_EBUSY }, /* serialization_failure */
	{ "40P01", MSP_EBUSY }, /* deadlock_detected */
	{ "42501", MSP_ECONF }, /* insufficient_privilege */
	{ "53200", MSP_EBUSY }, /* out of memory: also the table of locks, which empties */
	{ "55P03", MSP_EBUSY }, /* lock_not_available */
	{ "57014", MSP_EBUSY }, /* statement_timeout: waited for somebody for too long */
	{ "57P", MSP_ENET },    /* shut down, crashed, cannot connect now */
	{ "08", MSP_ENET },     /* connection exceptions */
	{ "23", MSP_EREFUSED }, /* constraints */
	{ "28", MSP_ECONF },    /* not let in */
	{ "3D", MSP_ECONF },    /* no such database */
	{ "42", MSP_ECORRUPT }, /* no such table or column: they are not ours */
	{ "54", MSP_ELIMIT },   /* too long for an index and the like */
	{ "P0", MSP_EREFUSED }, /* raised by a trigger */
	{ "XX", MSP_ECORRUPT },
};

static enum msp_err translate(const char *state)
{
	for (size_t i = 0; state && i < sizeof(sqlstates) / sizeof(sqlstates[0]); i++) {
		if (strncmp(state, sqlstates[i].state, strlen(sqlstates[i].state)) == 0)
			return sqlstates[i].err;
	}
	return MSP_EIO;
}

/* The server's words may have line breaks. */
static void note_error(struct prt_pg *p, const char *text)
{
	(void)snprintf(p->error, sizeof(p->error), "%s", text ? text : "");
	for (char *c = p->error; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
	for (size_t n = strlen(p->error); n > 0 && p->error[n - 1] == ' '; n--)
		p->error[n - 1] = '\0';
}

/* Closed at once, so that the server lets go of what the session holds. */
static enum msp_err lost(struct prt_pg *p, const char *text)
{
	note_error(p, text);
	PQfinish(p->conn);
	p->conn = NULL;
	p->queued = 0;
	if (p->in_transaction) {
		p->broken = MSP_ENET;
		p->is_unsure = true;
	}
	return MSP_ENET;
}

static enum msp_err lost_conn(struct prt_pg *p)
{
	char text[sizeof(p->error)];

	(void)snprintf(text, sizeof(text), "%s", PQerrorMessage(p->conn));
	return lost(p, text);
}

/* ---- waiting ---- */

/* Until PQgetResult does not block. Reads while it writes: neither side can wait for the other to read. */
static enum msp_err wait_result(struct prt_pg *p, struct msp_mono deadline)
{
	for (;;) {
		struct pollfd fd = { .fd = PQsocket(p->conn), .events = POLLIN };
		int flush = PQflush(p->conn), n;
		int64_t left = msp_mono_until_ms(msp_mono_now(), deadline);

		if (flush < 0 || fd.fd < 0)
			return lost_conn(p);
		if (!PQisBusy(p->conn))
			return PQstatus(p->conn) == CONNECTION_OK ? MSP_OK : lost_conn(p);
		if (left == 0 || (p->stop && atomic_load(p->stop)))
			return lost(p, left == 0 ? "the server is silent" : "stopped");
		if (flush > 0)
			fd.events |= POLLOUT;
		n = poll(&fd, 1, (int)(p->stop && left > STOP_LOOK_MS ? STOP_LOOK_MS : left));
		if (n < 0 && errno != EINTR)
			return lost(p, strerror(errno));
		if (n > 0 && (fd.revents & ~POLLOUT) && !PQconsumeInput(p->conn))
			return lost_conn(p);
	}
}

static enum msp_err note_failure(struct prt_pg *p, const PGresult *r)
{
	note_error(p, PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
	if (!p->error[0])
		note_error(p, PQresultErrorMessage(r));
	return translate(PQresultErrorField(r, PG_DIAG_SQLSTATE));
}

enum msp_err prt_pg_settle(struct prt_pg *p)
{
	/* The server's timeout comes first: ours is for when the server does not come at all. */
	int64_t patience = 2 * (int64_t)p->timeout_ms;
	struct msp_mono deadline = msp_mono_add_ms(msp_mono_now(), patience);
	enum msp_err err = MSP_OK;
	bool is_synced = false;

	if (!p->conn)
		return MSP_ENET;
	if (p->queued == 0)
		return p->broken;
	if (!PQpipelineSync(p->conn))
		return lost_conn(p);
	while (!is_synced) {
		PGresult *r;

		if (wait_result(p, deadline) != MSP_OK)
			return MSP_ENET;
		r = PQgetResult(p->conn);
		if (!r) /* between two statements */
			continue;
		deadline = msp_mono_add_ms(msp_mono_now(), patience);
		switch (PQresultStatus(r)) {
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
			PQclear(p->last);
			p->last = r;
			continue;
		case PGRES_PIPELINE_SYNC:
			is_synced = true;
			break;
		case PGRES_PIPELINE_ABORTED: /* behind one that failed */
			break;
		default:
			if (err == MSP_OK)
				err = note_failure(p, r);
		}
		PQclear(r);
	}
	p->queued = 0;
	if (err != MSP_OK) {
		PQclear(p->last);
		p->last = NULL;
	}
	if (err == MSP_ENET)
		return lost(p, p->error);
	if (err != MSP_OK && p->in_transaction)
		p->broken = err;
	return err;
}

/* ---- statements ---- */

static void statement_name(unsigned statement, char name[12])
{
	(void)snprintf(name, 12, "s%u", statement);
}

/* sql NULL: the prepared one. */
static enum msp_err send_values(struct prt_pg *p, const char *sql, unsigned statement, const struct msp_span *value,
				size_t count)
{
	const char *values[PRT_PG_VALUES_MAX];
	int lengths[PRT_PG_VALUES_MAX], formats[PRT_PG_VALUES_MAX], sent;
	char name[12];

	assert(count <= PRT_PG_VALUES_MAX);
	if (!p->conn)
		return MSP_ENET;
	for (size_t i = 0; i < count; i++) {
		if (value[i].len > INT32_MAX / 2)
			return MSP_ELIMIT;
		values[i] = value[i].len > 0 ? (const char *)value[i].ptr : ""; /* NULL would be SQL's */
		lengths[i] = (int)value[i].len;
		formats[i] = 1;
	}
	PQclear(p->last);
	p->last = NULL;
	statement_name(statement, name);
	sent = sql ? PQsendQueryParams(p->conn, sql, (int)count, NULL, values, lengths, formats, 1)
		   : PQsendQueryPrepared(p->conn, name, (int)count, values, lengths, formats, 1);
	if (!sent)
		return lost_conn(p);
	p->queued++;
	return MSP_OK;
}

enum msp_err prt_pg_add(struct prt_pg *p, unsigned statement, const struct msp_span *value, size_t count)
{
	enum msp_err err = p->broken;

	assert(statement < p->prepare);
	if (err == MSP_OK && p->queued >= PRT_PG_QUEUE_MAX)
		err = prt_pg_settle(p);
	return err == MSP_OK ? send_values(p, NULL, statement, value, count) : err;
}

/* One statement, once; the result is in p->last. */
static enum msp_err run(struct prt_pg *p, const char *sql, const struct msp_span *value, size_t count)
{
	enum msp_err err = send_values(p, sql, 0, value, count);

	return err == MSP_OK ? prt_pg_settle(p) : err;
}

size_t prt_pg_rows(const struct prt_pg *p)
{
	return p->last ? (size_t)PQntuples(p->last) : 0;
}

struct msp_span prt_pg_cell(const struct prt_pg *p, size_t row, size_t column)
{
	int r = (int)row, c = (int)column;

	if (row >= prt_pg_rows(p) || c >= PQnfields(p->last) || PQgetisnull(p->last, r, c))
		return msp_span(NULL, 0);
	return msp_span(PQgetvalue(p->last, r, c), (size_t)PQgetlength(p->last, r, c));
}

const char *prt_pg_error(const struct prt_pg *p)
{
	return p->error;
}

/* ---- transactions ---- */

enum msp_err prt_pg_begin(struct prt_pg *p)
{
	const struct msp_span fence = msp_span(p->fence, sizeof(p->fence));
	enum msp_err err = send_values(p, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL, 0);

	assert(!p->in_transaction);
	if (err == MSP_OK)
		err = send_values(p, FENCE, 0, &fence, 1);
	p->in_transaction = err == MSP_OK;
	return err;
}

static void end_transaction(struct prt_pg *p)
{
	p->in_transaction = false;
	p->broken = MSP_OK;
}

/* Who asks what has become of a commit that was not answered must not ask while the server is still at it. */
static enum msp_err wait_for_the_old_one(struct prt_pg *p)
{
	const struct msp_span fence = msp_span(p->fence, sizeof(p->fence));
	enum msp_err err = p->is_unsure ? run(p, FENCE, &fence, 1) : MSP_OK;

	if (err == MSP_OK)
		p->is_unsure = false;
	return err;
}

void prt_pg_rollback(struct prt_pg *p)
{
	enum msp_err err = MSP_OK;

	if (!p->in_transaction)
		return;
	/* What is on its way comes first: behind one that fails, ROLLBACK would be skipped with all the others. */
	if (p->conn && p->queued > 0)
		err = prt_pg_settle(p);
	(void)err;
	end_transaction(p);
	if (p->conn && run(p, "ROLLBACK", NULL, 0) != MSP_OK && p->conn)
		(void)lost(p, p->error);
}

enum msp_err prt_pg_commit(struct prt_pg *p)
{
	enum msp_err err = p->broken;

	assert(p->in_transaction);
	if (err == MSP_OK)
		err = run(p, "COMMIT", NULL, 0);
	/* COMMIT of a failed transaction is carried out as ROLLBACK, and no error. */
	if (err == MSP_OK && strcmp(PQcmdStatus(p->last), "COMMIT") != 0)
		err = MSP_EIO;
	if (err != MSP_OK)
		prt_pg_rollback(p);
	end_transaction(p);
	return err;
}

/* ---- opening ---- */

static void no_notices(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static enum msp_err connect_now(struct prt_pg *p)
{
	char wait_s[16], user_ms[16];
	/* Before dbname, which is the operator's string: defaults. Behind it: not for choosing. libpq gives each of
	 * several hosts connect_timeout, and goes on to the next. */
	const char *const key[] = { "connect_timeout",
				    "tcp_user_timeout",
				    "fallback_application_name",
				    "dbname",
				    "target_session_attrs",
				    "client_encoding",
				    NULL };
	const char *const value[] = { wait_s, user_ms, p->plan->name, p->conninfo, "read-write", "UTF8", NULL };

	(void)snprintf(wait_s, sizeof(wait_s), "%" PRIu32, p->timeout_ms < 2000 ? 2 : p->timeout_ms / 1000);
	(void)snprintf(user_ms, sizeof(user_ms), "%" PRIu32, p->timeout_ms);
	PQfinish(p->conn);
	p->queued = 0;
	p->conn = PQconnectdbParams(key, value, 1);
	if (!p->conn)
		return MSP_ENOMEM;
	if (PQstatus(p->conn) != CONNECTION_OK)
		return lost_conn(p);
	(void)PQsetNoticeProcessor(p->conn, no_notices, NULL);
	if (PQsetnonblocking(p->conn, 1) != 0 || !PQenterPipelineMode(p->conn))
		return lost_conn(p);
	return MSP_OK;
}

static enum msp_err set_session(struct prt_pg *p)
{
	char statement[16], idle[16];
	struct msp_span value[2];

	(void)snprintf(statement, sizeof(statement), "%" PRIu32, p->timeout_ms);
	(void)snprintf(idle, sizeof(idle), "%" PRIu64, 3 * (uint64_t)p->timeout_ms);
	value[0] = msp_span_str(statement);
	value[1] = msp_span_str(idle);
	/* synchronous_commit: what is committed is on the disk before we hear of it, whatever the server's default;
	 * remote_apply is more than that and stays. The idle timeout frees the locks of a process that was stopped in
	 * the middle of a transaction. */
	return run(p,
		   "SELECT set_config('statement_timeout', $1::text, false), "
		   "set_config('idle_in_transaction_session_timeout', $2::text, false), "
		   "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
		   "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)",
		   value, 2);
}

/* MSP_ENOTFOUND: this schema is not there. */
static enum msp_err check_version(struct prt_pg *p, struct msp_why *why)
{
	struct msp_span name = msp_span_str(p->plan->name), cell;
	char text[12] = "";
	enum msp_err err = run(p, "SELECT to_regclass('msproto_schema')::text", NULL, 0);

	if (err == MSP_OK && !prt_pg_cell(p, 0, 0).ptr)
		return MSP_ENOTFOUND;
	if (err == MSP_OK)
		err = run(p, "SELECT version::text FROM msproto_schema WHERE name = $1::text", &name, 1);
	if (err != MSP_OK)
		return err;
	cell = prt_pg_cell(p, 0, 0);
	if (!cell.ptr)
		return MSP_ENOTFOUND;
	(void)snprintf(text, sizeof(text), "%" PRIu32, p->plan->version);
	if (!msp_span_equal(cell, msp_span_str(text)))
		return msp_fail(why, MSP_ECORRUPT, "tables of %s have version %.*s, this program knows %s",
				p->plan->name, (int)cell.len, (const char *)cell.ptr, text);
	return MSP_OK;
}

/* Looks again behind the lock: of several processes that start at the same time one creates the tables. */
static enum msp_err create_schema(struct prt_pg *p, struct msp_why *why)
{
	char version[12];
	struct msp_span value[2] = { msp_span_str(p->plan->name), msp_span_str(version) };
	enum msp_err err = prt_pg_begin(p);

	if (err != MSP_OK)
		return err;
	(void)snprintf(version, sizeof(version), "%" PRIu32, p->plan->version);
	value[1] = msp_span_str(version);
	err = run(p, "SELECT pg_advisory_xact_lock(7021797710541059425)", NULL, 0);
	if (err == MSP_OK)
		err = run(p,
			  "CREATE TABLE IF NOT EXISTS msproto_schema (name text PRIMARY KEY, version integer NOT NULL)",
			  NULL, 0);
	if (err == MSP_OK)
		err = check_version(p, why);
	if (err == MSP_ENOTFOUND) {
		err = MSP_OK;
		for (const char *const *sql = p->plan->create; err == MSP_OK && *sql; sql++)
			err = run(p, *sql, NULL, 0);
		if (err == MSP_OK)
			err = run(p, "INSERT INTO msproto_schema VALUES ($1::text, $2::text::integer)", value, 2);
	}
	if (err == MSP_OK)
		return prt_pg_commit(p);
	prt_pg_rollback(p);
	return err;
}

static enum msp_err prepare_all(struct prt_pg *p)
{
	char name[12];

	for (unsigned i = 0; i < p->prepare; i++) {
		statement_name(i, name);
		if (!PQsendPrepare(p->conn, name, p->plan->statement[i], 0, NULL))
			return lost_conn(p);
		p->queued++;
	}
	return prt_pg_settle(p);
}

static enum msp_err set_up(struct prt_pg *p, struct msp_why *why)
{
	struct msp_why own = { "" };
	enum msp_err err = connect_now(p);

	if (err == MSP_OK)
		err = set_session(p);
	if (err == MSP_OK)
		err = check_version(p, &own);
	if (err == MSP_ENOTFOUND)
		err = create_schema(p, &own);
	if (err == MSP_OK)
		err = prepare_all(p);
	if (err == MSP_OK)
		err = wait_for_the_old_one(p);
	if (err == MSP_OK)
		return MSP_OK;
	if (p->conn) { /* half a session is none */
		char text[sizeof(p->error)];

		(void)snprintf(text, sizeof(text), "%s", p->error);
		(void)lost(p, text);
	}
	return msp_fail(why, err, "PostgreSQL: %s", own.text[0] ? own.text : p->error);
}

static enum msp_err read_conninfo(const char *path, char **out, struct msp_why *why)
{
	PQconninfoOption *parsed = NULL;
	struct msp_buf b;
	char *text = NULL, *problem = NULL;
	enum msp_err err;

	msp_buf_init(&b, CONNINFO_MAX);
	err = msp_file_read(path, CONNINFO_MAX, true, &b, why);
	while (err == MSP_OK && b.len > 0 && strchr(" \t\r\n", b.ptr[b.len - 1]))
		b.len--;
	if (err == MSP_OK && (b.len == 0 || memchr(b.ptr, '\0', b.len)))
		err = msp_fail(why, MSP_ECONF, "%s: no connection string", path);
	if (err == MSP_OK) {
		text = msp_memdup(b.ptr, b.len);
		err = text ? MSP_OK : MSP_ENOMEM;
	}
	/* libpq's complaint may quote the string, which has a password in it: not shown. */
	if (err == MSP_OK && strpbrk(text, "=:")) {
		parsed = PQconninfoParse(text, &problem);
		PQfreemem(problem);
	}
	if (err == MSP_OK && !parsed)
		err = msp_fail(why, MSP_ECONF, "%s: not a connection string of libpq", path);
	PQconninfoFree(parsed);
	if (b.ptr)
		msp_wipe(b.ptr, b.size);
	msp_buf_fini(&b);
	if (err == MSP_OK)
		*out = text;
	else if (text) {
		msp_wipe(text, strlen(text));
		msp_free(text);
	}
	return err;
}

enum msp_err prt_pg_open(const struct prt_pg_plan *plan, const char *path, uint32_t timeout_ms, const atomic_bool *stop,
			 struct prt_pg **out, struct msp_why *why)
{
	struct prt_pg *p = msp_alloc(1, sizeof(*p));
	struct msp_rand rand;
	enum msp_err err = MSP_ENOMEM;

	if (!p)
		return msp_fail(why, err, "out of memory");
	p->plan = plan;
	p->stop = stop;
	p->timeout_ms = timeout_ms > 0 ? timeout_ms : TIMEOUT_MS_DEFAULT;
	msp_rand_init_system(&rand);
	msp_rand_bytes(&rand, p->fence, sizeof(p->fence));
	while (plan->statement[p->prepare])
		p->prepare++;
	err = read_conninfo(path, &p->conninfo, why);
	if (err == MSP_OK)
		err = set_up(p, why);
	if (err == MSP_OK)
		*out = p;
	else
		prt_pg_close(&p);
	return err;
}

void prt_pg_close(struct prt_pg **pp)
{
	struct prt_pg *p = *pp;

	if (!p)
		return;
	*pp = NULL;
	PQclear(p->last);
	PQfinish(p->conn);
	if (p->conninfo)
		msp_wipe(p->conninfo, strlen(p->conninfo));
	msp_free(p->conninfo);
	msp_free(p);
}

/* An idle session hears of a server that went away only by looking; the server's last words come before the end. */
static bool is_alive(struct prt_pg *p)
{
	struct pollfd fd = { .fd = p->conn ? PQsocket(p->conn) : -1, .events = POLLIN };

	while (fd.fd >= 0 && poll(&fd, 1, 0) > 0) {
		if (!PQconsumeInput(p->conn))
			return false;
	}
	return fd.fd >= 0 && PQstatus(p->conn) == CONNECTION_OK;
}

enum msp_err prt_pg_revive(struct prt_pg *p, struct msp_why *why)
{
	assert(!p->in_transaction);
	return is_alive(p) ? MSP_OK : set_up(p, why);
}
