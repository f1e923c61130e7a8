/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend_pg.h"

#include "pg.h"

#include <msproto/base/json.h>
#include <msproto/base/mem.h>
#include <msproto/wire/text.h>
#include <msproto/wire/wr.h>

#define WANT_OCTETS_MAX (1u << 20)
#define VERSION         1

/* No unique index over whole rows: names can be longer than an index entry. The rows of a child are few. */
static const char *const create[] = {
	"CREATE TABLE msproto_delegation_child (parent text COLLATE \"C\" NOT NULL, child text COLLATE \"C\" NOT NULL, "
	"version bigint NOT NULL, changed timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (parent, child))",
	"CREATE TABLE msproto_delegation (parent text COLLATE \"C\" NOT NULL, child text COLLATE \"C\" NOT NULL, "
	"owner text COLLATE \"C\" NOT NULL, type text NOT NULL, ttl bigint NOT NULL, rdata text NOT NULL, "
	"version bigint NOT NULL)",
	"CREATE INDEX ON msproto_delegation (parent, child)",
	"CREATE TABLE msproto_delegation_change (change bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
	"version bigint NOT NULL, parent text NOT NULL, child text NOT NULL, "
	"action text NOT NULL CHECK (action IN ('add', 'delete')), owner text NOT NULL, type text NOT NULL, "
	"ttl bigint NOT NULL, rdata text NOT NULL, at timestamptz NOT NULL DEFAULT now())",
	NULL,
};

#define WANT                                                                                                           \
	"WITH want AS (SELECT * FROM json_to_recordset($4::text::json) "                                               \
	"AS w (owner text, type text, ttl bigint, rdata text)), done AS ("
#define SAME                                                                                                           \
	"d.parent = $1::text AND d.child = $2::text AND d.owner = w.owner AND d.type = w.type AND d.rdata = w.rdata "  \
	"AND d.ttl = w.ttl"
#define NOTE(action)                                                                                                   \
	") INSERT INTO msproto_delegation_change (version, parent, child, action, owner, type, ttl, rdata) "           \
	"SELECT $3::bigint, $1::text, $2::text, '" action "', owner, type, ttl, rdata FROM done "                      \
	"ORDER BY owner, type, rdata"

/* ST_VERSION comes first: its row is locked until the commit, and it says whether somebody newer was here. A TTL that
 * changes is a record taken out and put in again. */
enum { ST_VERSION, ST_DELETE, ST_ADD, ST__N };
static const char *const statement[ST__N + 1] = {
	[ST_VERSION] = "INSERT INTO msproto_delegation_child AS c (parent, child, version) "
		       "VALUES ($1::text, $2::text, $3::bigint) ON CONFLICT (parent, child) DO UPDATE "
		       "SET version = EXCLUDED.version, changed = now() WHERE c.version <= EXCLUDED.version "
		       "RETURNING version",
	[ST_DELETE] = WANT "DELETE FROM msproto_delegation d WHERE d.parent = $1::text AND d.child = $2::text "
			   "AND NOT EXISTS (SELECT FROM want w WHERE " SAME ") "
			   "RETURNING d.owner, d.type, d.ttl, d.rdata" NOTE("delete"),
	[ST_ADD] = WANT "INSERT INTO msproto_delegation (parent, child, owner, type, ttl, rdata, version) "
			"SELECT $1::text, $2::text, w.owner, w.type, w.ttl, w.rdata, $3::bigint FROM want w "
			"WHERE NOT EXISTS (SELECT FROM msproto_delegation d WHERE " SAME ") "
			"RETURNING owner, type, ttl, rdata" NOTE("add"),
};
static const struct prt_pg_plan plan = {
	.name = "delegation",
	.version = VERSION,
	.create = create,
	.statement = statement,
};

struct prt_tables {
	char *path;        /* owned */
	struct prt_pg *pg; /* owned; NULL: there was no connection yet */
	uint32_t timeout_ms;
	const atomic_bool *stop;
};

enum msp_err prt_tables_new(const char *path, uint32_t timeout_ms, const atomic_bool *stop, struct prt_tables **out)
{
	struct prt_tables *t = msp_alloc(1, sizeof(*t));

	if (!t)
		return MSP_ENOMEM;
	t->timeout_ms = timeout_ms;
	t->stop = stop;
	t->path = msp_strdup(path);
	if (!t->path)
		prt_tables_free(&t);
	*out = t;
	return t ? MSP_OK : MSP_ENOMEM;
}

void prt_tables_free(struct prt_tables **tt)
{
	struct prt_tables *t = *tt;

	if (!t)
		return;
	*tt = NULL;
	prt_pg_close(&t->pg);
	msp_free(t->path);
	msp_free(t);
}

/* ---- what is wanted, as JSON ---- */

static struct msp_name_text lower_text(const struct msp_name *n)
{
	struct msp_name lower = *n;

	msp_name_lower(&lower);
	return msp_name_text(&lower);
}

static enum msp_err add_record(json_t *records, const struct msp_rrset *set, struct msp_span rdata)
{
	json_t *r = json_object();
	struct msp_buf text;
	enum msp_err err;

	msp_buf_init(&text, MSP_RDATA_MAX * 5u);
	msp_rdata_print(&text, NULL, set->type, rdata);
	err = msp_json_set_str(r, "owner", lower_text(&set->owner).s);
	if (err == MSP_OK)
		err = msp_json_set_str(r, "type", MSP_TYPE(set->type));
	if (err == MSP_OK)
		err = msp_json_set_int(r, "ttl", set->ttl);
	if (err == MSP_OK)
		err = msp_json_set_str(r, "rdata", msp_buf_text(&text));
	if (err == MSP_OK)
		err = text.err;
	msp_buf_fini(&text);
	if (err == MSP_OK)
		return msp_json_append(records, r);
	json_decref(r);
	return err;
}

static enum msp_err write_records(const struct prt_delegation *d, struct msp_buf *out)
{
	json_t *records = json_array();
	enum msp_err err = records ? MSP_OK : MSP_ENOMEM;

	for (size_t i = 0; err == MSP_OK && i < d->count; i++)
		for (size_t k = 0; err == MSP_OK && k < d->set[i]->count; k++)
			err = add_record(records, d->set[i], d->set[i]->rdata[k]);
	if (err == MSP_OK)
		err = msp_json_write(records, out);
	json_decref(records);
	return err;
}

/* ---- carrying it out ---- */

static enum msp_err change(struct prt_pg *pg, const struct msp_span value[4])
{
	enum msp_err err = prt_pg_add(pg, ST_VERSION, value, 3);

	if (err == MSP_OK)
		err = prt_pg_settle(pg);
	if (err == MSP_OK && prt_pg_rows(pg) == 0)
		err = MSP_ESTALE;
	if (err == MSP_OK)
		err = prt_pg_add(pg, ST_DELETE, value, 4);
	return err == MSP_OK ? prt_pg_add(pg, ST_ADD, value, 4) : err;
}

static enum msp_err change_in_transaction(struct prt_pg *pg, const struct msp_span value[4])
{
	enum msp_err err = prt_pg_begin(pg);

	if (err != MSP_OK)
		return err;
	err = change(pg, value);
	if (err == MSP_OK)
		return prt_pg_commit(pg);
	prt_pg_rollback(pg);
	return err;
}

static enum msp_err connected(struct prt_tables *t, struct msp_why *why)
{
	return t->pg ? prt_pg_revive(t->pg, why) : prt_pg_open(&plan, t->path, t->timeout_ms, t->stop, &t->pg, why);
}

enum msp_err prt_tables_apply(struct prt_tables *t, const struct prt_delegation *want, uint64_t seq,
			      struct msp_why *why)
{
	struct msp_name_text parent = lower_text(&want->parent), child = lower_text(&want->child);
	struct msp_span value[4] = { msp_span_str(parent.s), msp_span_str(child.s) };
	struct msp_buf records;
	uint8_t octets[8];
	struct msp_wr wr;
	enum msp_err err;

	msp_wr_init(&wr, octets, sizeof(octets));
	msp_wr_u64(&wr, seq);
	msp_buf_init(&records, WANT_OCTETS_MAX);
	err = write_records(want, &records);
	if (err != MSP_OK) {
		err = msp_fail(why, err, "%.80s: %s", child.s, msp_err_text(err));
		goto out;
	}
	value[2] = msp_wr_span(&wr);
	value[3] = msp_buf_span(&records);
	err = connected(t, why);
	if (err != MSP_OK)
		goto out;
	err = change_in_transaction(t->pg, value);
	if (err == MSP_ELIMIT) /* of PostgreSQL: it will be the same the next time */
		err = MSP_EREFUSED;
	if (err == MSP_ESTALE)
		err = msp_fail(why, err, "%.80s: the tables have a later change than number %llu", child.s,
			       (unsigned long long)seq);
	else if (err != MSP_OK)
		err = msp_fail(why, err, "%.80s: PostgreSQL: %s", child.s, prt_pg_error(t->pg));
out:
	msp_buf_fini(&records);
	return err;
}
