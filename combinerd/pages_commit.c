/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of zones, their history, and the transaction that changes both together with the pages. */
#include "pages_priv.h"

#include <msproto/base/mem.h>

#define RECORD_VERSION 1
#define RECORD_MAX     (16u << 20) /* octets: apex RRsets of one zone, twice */
#define FIXED_MAX      256         /* octets of a record before the apex RRsets */
#define DELTA_HEAD     12          /* octets of an entry of the history before its records */
#define HISTORY_MIN    (64u << 10) /* octets, when the settings leave it to us */
#define DROP_NOW       16          /* pages of the generation before that go in the same transaction */

enum { FLAG_SIGNED = 1, FLAG_NS_APPLIED = 2, FLAG_UNORDERED = 4 };

/* A record as it is stored. Entries of the history are numbered from `first` to head.next_seq - 1. */
struct stored {
	struct cmb_head head;
	struct cmb_layout layout;
	uint32_t pages;
	uint64_t first, history_octets;
	struct msp_span owner, served; /* borrowed: apex RRsets as records */
};

/* --- records ------------------------------------------------------------------------------------------------------ */

static void write_fixed(struct msp_wr *wr, const struct stored *r)
{
	const struct cmb_head *h = &r->head;

	msp_wr_u8(wr, RECORD_VERSION);
	msp_wr_u8(wr, (uint8_t)((h->is_signed ? FLAG_SIGNED : 0) | (h->ns_applied ? FLAG_NS_APPLIED : 0) |
				(r->layout.is_unordered ? FLAG_UNORDERED : 0)));
	msp_wr_u64(wr, (uint64_t)h->confirmed.s);
	msp_wr_u64(wr, h->gen);
	msp_wr_u32(wr, h->owner_serial);
	msp_wr_u32(wr, h->out_serial);
	msp_wr_u32(wr, h->refresh_s);
	msp_wr_u32(wr, h->retry_s);
	msp_wr_u32(wr, h->expire_s);
	msp_wr_u32(wr, h->ceiling);
	msp_wr_u64(wr, h->instructions);
	msp_wr_u64(wr, h->rules);
	msp_wr_u64(wr, h->records);
	msp_wr_u64(wr, h->octets);
	msp_wr_u64(wr, h->next_seq);
	msp_wr_u64(wr, r->first);
	msp_wr_u64(wr, r->history_octets);
	msp_wr_u32(wr, r->pages);
	msp_wr_u8(wr, r->layout.runs);
	for (unsigned i = 0; i < r->layout.runs; i++)
		msp_wr_u64(wr, r->layout.first[i]);
	msp_wr_u32(wr, (uint32_t)r->owner.len);
}

static enum msp_err read_record(struct msp_span octets, struct stored *out)
{
	struct cmb_head *h = &out->head;
	uint8_t version, flags;
	struct msp_rd rd;

	memset(out, 0, sizeof(*out));
	msp_rd_init(&rd, octets);
	version = msp_rd_u8(&rd);
	flags = msp_rd_u8(&rd);
	h->confirmed.s = (int64_t)msp_rd_u64(&rd);
	h->gen = msp_rd_u64(&rd);
	h->owner_serial = msp_rd_u32(&rd);
	h->out_serial = msp_rd_u32(&rd);
	h->refresh_s = msp_rd_u32(&rd);
	h->retry_s = msp_rd_u32(&rd);
	h->expire_s = msp_rd_u32(&rd);
	h->ceiling = msp_rd_u32(&rd);
	h->instructions = msp_rd_u64(&rd);
	h->rules = msp_rd_u64(&rd);
	h->records = msp_rd_u64(&rd);
	h->octets = msp_rd_u64(&rd);
	h->next_seq = msp_rd_u64(&rd);
	out->first = msp_rd_u64(&rd);
	out->history_octets = msp_rd_u64(&rd);
	out->pages = msp_rd_u32(&rd);
	out->layout.runs = msp_rd_u8(&rd);
	if (rd.err != MSP_OK || version != RECORD_VERSION || out->layout.runs > CMB_RUNS_MAX)
		return MSP_ECORRUPT;
	for (unsigned i = 0; i < out->layout.runs; i++)
		out->layout.first[i] = msp_rd_u64(&rd);
	h->is_signed = (flags & FLAG_SIGNED) != 0;
	h->ns_applied = (flags & FLAG_NS_APPLIED) != 0;
	out->layout.is_unordered = (flags & FLAG_UNORDERED) != 0;
	out->owner = msp_rd_take(&rd, msp_rd_u32(&rd));
	out->served = msp_rd_rest(&rd);
	return rd.err == MSP_OK ? MSP_OK : MSP_ECORRUPT;
}

static enum msp_err get_record(MDB_txn *txn, struct cmb_pages *p, const struct msp_name *zone, struct stored *out)
{
	struct cmb_key key;
	struct msp_span octets;
	MDB_val val;
	int rc;

	cmb_key_zone(&key, zone);
	rc = mdb_get(txn, p->zones, &key.val, &val);
	if (rc != 0)
		return cmb_pages_translate(rc);
	if (cmb_value_check(val, cmb_seed_key(key.val), &octets) == MSP_OK && read_record(octets, out) == MSP_OK)
		return MSP_OK;
	p->damaged++;
	return MSP_ECORRUPT;
}

static int put_record(MDB_txn *txn, struct cmb_pages *p, const struct msp_name *zone, const struct stored *r,
		      struct msp_span apexes)
{
	uint8_t fixed[FIXED_MAX];
	struct cmb_key key;
	struct msp_wr wr;

	msp_wr_init(&wr, fixed, sizeof(fixed));
	write_fixed(&wr, r);
	cmb_key_zone(&key, zone);
	return cmb_value_put(txn, p->zones, &key.val, cmb_seed_key(key.val), msp_wr_span(&wr), apexes);
}

enum msp_err cmb_pages_head(struct cmb_pages *p, const struct msp_name *zone, struct cmb_head *out)
{
	MDB_txn *txn = NULL;
	struct stored r;
	enum msp_err err;
	int rc = cmb_pages_begin(p, MDB_RDONLY, &txn);

	if (rc != 0)
		return cmb_pages_translate(rc);
	err = get_record(txn, p, zone, &r);
	mdb_txn_abort(txn);
	if (err == MSP_OK)
		*out = r.head;
	return err;
}

void cmb_record_fini(struct cmb_record *r)
{
	cmb_owner_free(&r->owner);
	cmb_apex_fini(&r->served);
}

static enum msp_err parse_apexes(const struct stored *r, struct cmb_record *out)
{
	enum msp_err err = cmb_apex_read(r->owner, &out->owner->apex, &out->owner->hsync);

	if (err == MSP_OK)
		err = cmb_apex_read(r->served, &out->served, NULL);
	if (err == MSP_OK && (cmb_rrset_empty(out->owner->apex.soa) || cmb_rrset_empty(out->served.soa)))
		err = MSP_ECORRUPT;
	return err == MSP_OK || err == MSP_ENOMEM ? err : MSP_ECORRUPT;
}

static enum msp_err expand(const struct stored *r, struct cmb_record *out)
{
	enum msp_err err;

	memset(out, 0, sizeof(*out));
	out->head = r->head;
	out->owner = msp_alloc(1, sizeof(*out->owner));
	if (out->owner == NULL)
		return MSP_ENOMEM;
	out->owner->is_signed = r->head.is_signed;
	out->owner->gen = r->head.gen;
	out->owner->layout = r->layout;
	out->owner->pages = r->pages;
	out->owner->records = r->head.records;
	out->owner->octets = r->head.octets;
	err = parse_apexes(r, out);
	if (err != MSP_OK)
		cmb_record_fini(out);
	return err;
}

enum msp_err cmb_pages_load(struct cmb_pages *p, const struct msp_name *zone, struct cmb_record *out,
			    struct msp_why *why)
{
	MDB_txn *txn = NULL;
	struct stored r;
	enum msp_err err;
	int rc = cmb_pages_begin(p, MDB_RDONLY, &txn);

	if (rc != 0)
		return cmb_pages_translate(rc);
	err = get_record(txn, p, zone, &r);
	if (err == MSP_OK)
		err = expand(&r, out);
	mdb_txn_abort(txn);
	if (err == MSP_ECORRUPT)
		return msp_fail(why, err, "%.200s: stored zone is damaged", MSP_NAME(zone));
	return err;
}

struct confirm {
	const struct cmb_confirmed *zone;
	size_t count;
};

static int confirm(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	const struct confirm *c = arg;
	struct msp_buf copy;
	int rc = 0;

	msp_buf_init(&copy, RECORD_MAX);
	for (size_t i = 0; rc == 0 && i < c->count; i++) {
		struct stored r;
		enum msp_err err = get_record(txn, p, c->zone[i].zone, &r);

		if (err != MSP_OK) /* gone, or damaged: that shows when it is needed */
			continue;
		msp_buf_reset(&copy);
		msp_buf_add_span(&copy, r.owner);
		msp_buf_add_span(&copy, r.served);
		r.head.confirmed = c->zone[i].at;
		r.head.instructions = c->zone[i].instructions;
		r.head.rules = c->zone[i].rules;
		rc = copy.err != MSP_OK ? cmb_pages_rc(copy.err)
					: put_record(txn, p, c->zone[i].zone, &r, msp_buf_span(&copy));
	}
	msp_buf_fini(&copy);
	return rc;
}

enum msp_err cmb_pages_confirm(struct cmb_pages *p, const struct cmb_confirmed *zones, size_t count)
{
	struct confirm c = { zones, count };

	return cmb_pages_write(p, 0, confirm, &c);
}

/* --- history ------------------------------------------------------------------------------------------------------ */

static int drop_history(MDB_txn *txn, struct cmb_pages *p, const struct msp_name *zone)
{
	size_t left = SIZE_MAX; /* all: a history has a maximum of its own */
	struct cmb_key like;
	bool done;

	cmb_key_entry(&like, zone, 0);
	return cmb_values_drop(txn, p->history, &like, &left, &done);
}

static uint64_t octets_allowed(const struct cmb_change *c)
{
	uint64_t quarter = c->owner->octets / 4;

	if (c->history_octets != 0)
		return c->history_octets;
	return quarter > HISTORY_MIN ? quarter : HISTORY_MIN;
}

static uint64_t entry_octets(const struct cmb_delta *d)
{
	return CMB_SUM_LEN + DELTA_HEAD + d->del.len + d->add.len;
}

static int put_entry(MDB_txn *txn, struct cmb_pages *p, const struct msp_name *zone, uint64_t seq,
		     const struct cmb_delta *d)
{
	uint8_t fixed[DELTA_HEAD];
	struct cmb_key key;
	MDB_val val = { entry_octets(d), NULL };
	uint8_t *at;
	struct msp_wr wr;
	uint64_t sum;
	int rc;

	msp_wr_init(&wr, fixed, sizeof(fixed));
	msp_wr_u32(&wr, d->from);
	msp_wr_u32(&wr, d->to);
	msp_wr_u32(&wr, (uint32_t)d->del.len);
	cmb_key_entry(&key, zone, seq);
	rc = mdb_put(txn, p->history, &key.val, &val, MDB_RESERVE);
	if (rc != 0)
		return rc;
	at = val.mv_data;
	memcpy(at + CMB_SUM_LEN, fixed, DELTA_HEAD);
	if (d->del.len > 0)
		memcpy(at + CMB_SUM_LEN + DELTA_HEAD, d->del.ptr, d->del.len);
	if (d->add.len > 0)
		memcpy(at + CMB_SUM_LEN + DELTA_HEAD + d->del.len, d->add.ptr, d->add.len);
	sum = cmb_pages_sum(cmb_value_octets(val), cmb_seed_key(key.val));
	memcpy(at, &sum, CMB_SUM_LEN);
	return 0;
}

static int drop_oldest(MDB_txn *txn, struct cmb_pages *p, const struct msp_name *zone, struct stored *r)
{
	struct cmb_key key;
	MDB_val val;
	int rc;

	cmb_key_entry(&key, zone, r->first++);
	rc = mdb_get(txn, p->history, &key.val, &val);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	r->history_octets -= val.mv_size < r->history_octets ? val.mv_size : r->history_octets;
	return mdb_del(txn, p->history, &key.val, NULL);
}

/* @param r  the record to be written: next_seq is that after this change, first and history_octets those before */
static int change_history(MDB_txn *txn, struct cmb_pages *p, const struct cmb_change *c, struct stored *r,
			  bool is_continued)
{
	uint32_t entries = c->history_entries < CMB_HISTORY_MAX ? c->history_entries : CMB_HISTORY_MAX;
	uint64_t octets = octets_allowed(c), seq = r->head.next_seq - 1;
	int rc = 0;

	if (c->delta == NULL || !is_continued || entries == 0 || entry_octets(c->delta) > octets) {
		rc = drop_history(txn, p, c->zone);
		r->first = r->head.next_seq;
		r->history_octets = 0;
	}
	if (rc != 0 || c->delta == NULL || entries == 0 || entry_octets(c->delta) > octets)
		return rc;
	if (!is_continued)
		r->first = seq;
	rc = put_entry(txn, p, c->zone, seq, c->delta);
	r->history_octets += entry_octets(c->delta);
	while (rc == 0 && r->first < seq && (r->head.next_seq - r->first > entries || r->history_octets > octets))
		rc = drop_oldest(txn, p, c->zone, r);
	return rc;
}

/* --- committing --------------------------------------------------------------------------------------------------- */

struct commit {
	struct cmb_change *change;
	struct msp_buf *apexes; /* owned array: owner's and served, as records */
	size_t *owner_len;      /* owned array: octets of the owner's */
	bool *is_dropped;       /* owned array: the generation before is gone already */
	size_t count;
};

static int commit_one(MDB_txn *txn, struct cmb_pages *p, struct commit *all, size_t i)
{
	const struct cmb_change *c = &all->change[i];
	struct stored before, r = { .head = c->head, .layout = c->owner->layout, .pages = c->owner->pages };
	enum msp_err err = get_record(txn, p, c->zone, &before);
	bool is_continued = err == MSP_OK && before.head.next_seq + 1 == c->head.next_seq;
	size_t left = DROP_NOW;
	int rc = 0;

	if (err != MSP_OK && err != MSP_ENOTFOUND && err != MSP_ECORRUPT)
		return cmb_pages_rc(err);
	r.head.gen = c->owner->gen;
	r.head.records = c->owner->records;
	r.head.octets = c->owner->octets;
	r.head.is_signed = c->owner->is_signed;
	if (is_continued) {
		r.first = before.first;
		r.history_octets = before.history_octets;
	}
	r.owner.len = all->owner_len[i];
	if (c->build != NULL)
		rc = cmb_build_put(txn, p, c->build);
	if (rc == 0 && c->edit != NULL)
		rc = cmb_edit_put(txn, p, c->edit);
	if (rc == 0)
		rc = change_history(txn, p, c, &r, is_continued);
	if (rc == 0)
		rc = put_record(txn, p, c->zone, &r, msp_buf_span(&all->apexes[i]));
	all->is_dropped[i] = false;
	if (rc == 0 && c->retire != 0)
		rc = cmb_page_drop(txn, p, c->retire, &left, &all->is_dropped[i]);
	return rc;
}

static int commit_all(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	struct commit *all = arg;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < all->count; i++)
		rc = commit_one(txn, p, all, i);
	return rc;
}

static enum msp_err write_apexes(const struct cmb_change *c, struct msp_buf *out, size_t *owner_len)
{
	enum msp_err err = cmb_apex_write(&c->owner->apex, out);

	if (err == MSP_OK && c->owner->hsync != NULL)
		err = msp_rrset_write(c->owner->hsync, out);
	*owner_len = out->len;
	if (err == MSP_OK)
		err = cmb_apex_write(c->served, out);
	return err == MSP_OK ? out->err : err;
}

static enum msp_err prepare(struct commit *all)
{
	enum msp_err err = MSP_OK;

	all->apexes = msp_alloc(all->count, sizeof(*all->apexes));
	all->owner_len = msp_alloc(all->count, sizeof(*all->owner_len));
	all->is_dropped = msp_alloc(all->count, sizeof(*all->is_dropped));
	if (all->apexes == NULL || all->owner_len == NULL || all->is_dropped == NULL)
		return MSP_ENOMEM;
	for (size_t i = 0; err == MSP_OK && i < all->count; i++) {
		msp_buf_init(&all->apexes[i], RECORD_MAX);
		err = write_apexes(&all->change[i], &all->apexes[i], &all->owner_len[i]);
	}
	return err;
}

static void commit_fini(struct commit *all)
{
	for (size_t i = 0; all->apexes != NULL && i < all->count; i++)
		msp_buf_fini(&all->apexes[i]);
	msp_free(all->apexes);
	msp_free(all->owner_len);
	msp_free(all->is_dropped);
}

enum msp_err cmb_pages_commit(struct cmb_pages *p, struct cmb_change *change, size_t count)
{
	struct commit all = { .change = change, .count = count };
	enum msp_err err;

	if (count == 0)
		return MSP_OK;
	err = prepare(&all);
	if (err == MSP_OK)
		err = cmb_pages_write(p, 0, commit_all, &all);
	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		if (change[i].build != NULL)
			cmb_build_committed(change[i].build);
		if (change[i].retire != 0 && !all.is_dropped[i])
			cmb_pages_retire(p, change[i].retire);
	}
	commit_fini(&all);
	return err;
}

uint64_t cmb_record_gen(MDB_val val)
{
	struct stored r;

	return read_record(cmb_value_octets(val), &r) == MSP_OK ? r.head.gen : 0;
}

struct forget {
	const struct msp_name *zone;
	uint64_t gen; /* of the pages; 0 = not known */
};

static int forget(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	struct forget *f = arg;
	struct stored r;
	struct cmb_key key;
	int rc;

	f->gen = get_record(txn, p, f->zone, &r) == MSP_OK ? r.head.gen : 0;
	cmb_key_zone(&key, f->zone);
	rc = mdb_del(txn, p->zones, &key.val, NULL);
	return rc == 0 || rc == MDB_NOTFOUND ? drop_history(txn, p, f->zone) : rc;
}

enum msp_err cmb_pages_forget(struct cmb_pages *p, const struct msp_name *zone)
{
	struct forget f = { .zone = zone };
	enum msp_err err = cmb_pages_write(p, 0, forget, &f);

	if (err == MSP_OK && f.gen != 0)
		cmb_pages_retire(p, f.gen);
	return err;
}
