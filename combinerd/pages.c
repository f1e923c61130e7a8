/* SPDX-License-Identifier: BSD-2-Clause */
#include "pages.h"

#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>

#define TSIG_ROOM    160        /* usual TSIG records; a page never gets larger than a message less this */
#define BATCH_MAX    (4u << 20) /* octets of pages gathered before they go to disk in one transaction */
#define META_VERSION 1
#define META_MAX     (8u << 20) /* apex RRsets of one zone */
#define RETIRED_MAX  1024
#define GROW_TIMES   8  /* doublings of the map */
#define KEY_LEN      12 /* generation, page number */
#define SUM_LEN      8
#define PATH_MAX_OWN 4096
#define DBS_MAX      4

struct cmb_pages {
	MDB_env *env;
	MDB_dbi zones, pages;
	uint64_t map_size;
	unsigned grown;
	size_t snaps; /* read transactions open: the map may not be moved */
	struct msp_rand rand;
	uint64_t retired[RETIRED_MAX];
	size_t retired_count;
};

struct cmb_build {
	struct cmb_pages *p; /* borrowed */
	uint64_t gen, records, octets;
	uint32_t page; /* number of the one being filled */
	uint16_t count;
	bool flipped;
	struct msp_wr wr;
	struct msp_buf batch; /* finished pages: length (4 octets, ours) and message, not on disk yet */
	uint32_t batch_first;
	uint8_t mem[MSP_MSG_MAX];
};

struct cmb_snap {
	struct cmb_pages *p; /* borrowed */
	MDB_txn *txn;
	uint64_t gen;
};

static enum msp_err translate(int rc)
{
	switch (rc) {
	case 0:
		return MSP_OK;
	case MDB_NOTFOUND:
		return MSP_ENOTFOUND;
	case MDB_MAP_FULL:
	case ENOSPC:
		return MSP_ENOSPACE;
	case ENOMEM:
		return MSP_ENOMEM;
	case MDB_READERS_FULL:
		return MSP_EBUSY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_PANIC:
		return MSP_ECORRUPT;
	default:
		return MSP_EIO;
	}
}

/* --- checksum: against damage, not against an enemy ----------------------------------------------------------------
 */

static uint64_t mix(uint64_t h, uint64_t w)
{
	h ^= w;
	h = (h << 29) | (h >> 35);
	return h * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t sum64(const uint8_t *ptr, size_t len, uint64_t gen, uint32_t page)
{
	uint64_t h = mix(mix(len, gen), page), w;

	for (; len >= sizeof(w); ptr += sizeof(w), len -= sizeof(w)) {
		memcpy(&w, ptr, sizeof(w)); /* host order: an LMDB file does not travel between machines either */
		h = mix(h, w);
	}
	w = 0;
	if (len > 0)
		memcpy(&w, ptr, len);
	h = mix(h, w);
	return mix(h, h >> 32);
}

static MDB_val page_key(uint8_t mem[KEY_LEN], uint64_t gen, uint32_t page)
{
	struct msp_wr wr;

	msp_wr_init(&wr, mem, KEY_LEN);
	msp_wr_u64(&wr, gen);
	msp_wr_u32(&wr, page);
	return (MDB_val){ KEY_LEN, mem };
}

/* --- environment ----------------------------------------------------------------------------------------------------
 */

static int open_dbs(struct cmb_pages *p)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(p->env, NULL, 0, &txn);

	if (rc == 0)
		rc = mdb_dbi_open(txn, "zones", MDB_CREATE, &p->zones);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "pages", MDB_CREATE, &p->pages);
	if (rc == 0)
		return mdb_txn_commit(txn);
	if (txn != NULL)
		mdb_txn_abort(txn);
	return rc;
}

static int open_env(struct cmb_pages *p, const struct cmb_pages_conf *conf)
{
	/* NOTLS: a snapshot belongs to a transfer, not to the thread. */
	int rc = mdb_env_create(&p->env), dead;

	if (rc == 0)
		rc = mdb_env_set_mapsize(p->env, (size_t)conf->map_size);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(p->env, conf->readers_max);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(p->env, DBS_MAX);
	if (rc == 0)
		rc = mdb_env_open(p->env, conf->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (rc == 0)
		rc = mdb_reader_check(p->env, &dead); /* slots of a process that was killed */
	if (rc == 0)
		rc = open_dbs(p);
	if (rc != 0 && p->env != NULL) {
		mdb_env_close(p->env);
		p->env = NULL;
	}
	return rc;
}

static bool move_aside(const char *path)
{
	char to[PATH_MAX_OWN];
	int n = snprintf(to, sizeof(to), "%s.damaged", path);

	return n > 0 && (size_t)n < sizeof(to) && rename(path, to) == 0;
}

enum msp_err cmb_pages_open(const struct cmb_pages_conf *conf, struct cmb_pages **out, bool *started_anew,
			    struct msp_why *why)
{
	struct cmb_pages *p = msp_alloc(1, sizeof(*p));
	int rc;

	*started_anew = false;
	*out = NULL;
	if (p == NULL)
		return MSP_ENOMEM;
	msp_rand_init_system(&p->rand);
	p->map_size = conf->map_size;
	rc = open_env(p, conf);
	if (translate(rc) == MSP_ECORRUPT && move_aside(conf->path)) {
		*started_anew = true;
		rc = open_env(p, conf);
	}
	if (rc != 0) {
		msp_free(p);
		return msp_fail(why, translate(rc), "%s: %s", conf->path, mdb_strerror(rc));
	}
	*out = p;
	return MSP_OK;
}

void cmb_pages_close(struct cmb_pages **p)
{
	if (*p == NULL)
		return;
	mdb_env_close((*p)->env);
	msp_free(*p);
	*p = NULL;
}

/* The map is address space; growing it moves it, which no reader may see. */
static bool grow(struct cmb_pages *p)
{
	if (p->snaps != 0 || p->grown == GROW_TIMES || p->map_size > UINT64_MAX / 2 ||
	    mdb_env_set_mapsize(p->env, (size_t)(p->map_size * 2)) != 0)
		return false;
	p->map_size *= 2;
	p->grown++;
	return true;
}

/* A write transaction begins and ends within one call: another zone's must never wait for it in the same thread. */
typedef int write_fn(MDB_txn *txn, struct cmb_pages *p, void *arg);
static enum msp_err write_txn(struct cmb_pages *p, write_fn *fn, void *arg)
{
	int rc;

	do {
		MDB_txn *txn = NULL;

		rc = mdb_txn_begin(p->env, NULL, 0, &txn);
		if (rc != 0)
			break;
		rc = fn(txn, p, arg);
		if (rc == 0)
			rc = mdb_txn_commit(txn); /* with fsync */
		else
			mdb_txn_abort(txn);
	} while (rc == MDB_MAP_FULL && grow(p));
	return translate(rc);
}

/* --- what is held of a zone ------------------------------------------------------------------------------------------
 */

static uint64_t zone_sum(const struct msp_name *zone, const uint8_t *ptr, size_t len)
{
	struct msp_name n = *zone;

	msp_name_lower(&n);
	return sum64(ptr, len, sum64(n.oct, n.len, 0, 0), 0);
}

static MDB_val zone_key(struct msp_name *zone)
{
	msp_name_lower(zone);
	return (MDB_val){ zone->len, zone->oct };
}

static enum msp_err read_meta(struct msp_span s, struct cmb_owner **out, uint32_t *out_serial)
{
	struct cmb_owner *o = msp_alloc(1, sizeof(*o));
	struct msp_rd rd;
	enum msp_err err;
	uint8_t version;

	if (o == NULL)
		return MSP_ENOMEM;
	msp_rd_init(&rd, s);
	version = msp_rd_u8(&rd);
	o->is_signed = msp_rd_u8(&rd) != 0;
	o->gen = msp_rd_u64(&rd);
	o->pages = msp_rd_u32(&rd);
	o->records = msp_rd_u64(&rd);
	o->octets = msp_rd_u64(&rd);
	*out_serial = msp_rd_u32(&rd);
	err = rd.err != MSP_OK || version != META_VERSION ? MSP_ECORRUPT
							  : cmb_apex_read(msp_rd_rest(&rd), &o->apex, &o->hsync);
	if (err == MSP_OK && cmb_rrset_empty(o->apex.soa))
		err = MSP_ECORRUPT;
	if (err != MSP_OK)
		cmb_owner_free(&o);
	*out = o;
	return err == MSP_OK || err == MSP_ENOMEM ? err : MSP_ECORRUPT;
}

enum msp_err cmb_pages_load(struct cmb_pages *p, const struct msp_name *zone, struct cmb_owner **out,
			    uint32_t *out_serial, struct msp_why *why)
{
	struct msp_name lower = *zone;
	MDB_val key = zone_key(&lower), val;
	MDB_txn *txn = NULL;
	enum msp_err err;
	uint64_t sum;
	int rc = mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn);

	*out = NULL;
	if (rc != 0)
		return translate(rc);
	err = translate(mdb_get(txn, p->zones, &key, &val));
	if (err == MSP_OK) {
		const uint8_t *at = val.mv_data;

		err = val.mv_size < SUM_LEN ? MSP_ECORRUPT : MSP_OK;
		if (err == MSP_OK)
			memcpy(&sum, at, SUM_LEN);
		if (err == MSP_OK && sum != zone_sum(zone, at + SUM_LEN, val.mv_size - SUM_LEN))
			err = MSP_ECORRUPT;
		if (err == MSP_OK)
			err = read_meta(msp_span(at + SUM_LEN, val.mv_size - SUM_LEN), out, out_serial);
	}
	mdb_txn_abort(txn);
	if (err == MSP_ECORRUPT)
		return msp_fail(why, err, "%s: stored zone is damaged", MSP_NAME(zone));
	return err;
}

static int forget(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	struct msp_name lower = *(const struct msp_name *)arg;
	MDB_val key = zone_key(&lower);
	int rc = mdb_del(txn, p->zones, &key, NULL);

	return rc == MDB_NOTFOUND ? 0 : rc;
}

enum msp_err cmb_pages_forget(struct cmb_pages *p, const struct msp_name *zone)
{
	struct msp_name copy = *zone;

	return write_txn(p, forget, &copy);
}

/* --- building --------------------------------------------------------------------------------------------------------
 */

static void begin_page(struct cmb_build *b)
{
	msp_wr_init(&b->wr, b->mem, sizeof(b->mem) - TSIG_ROOM);
	msp_wr_u16(&b->wr, 0);
	msp_wr_u16(&b->wr, MSP_FLAG_QR | MSP_FLAG_AA);
	for (int i = 0; i < 4; i++)
		msp_wr_u16(&b->wr, 0);
	b->count = 0;
}

enum msp_err cmb_build_new(struct cmb_pages *p, struct cmb_build **out)
{
	struct cmb_build *b = msp_alloc(1, sizeof(*b));

	*out = b;
	if (b == NULL)
		return MSP_ENOMEM;
	b->p = p;
	do
		b->gen = msp_rand_u64(&p->rand);
	while (b->gen == 0);
	msp_buf_init(&b->batch, BATCH_MAX + MSP_MSG_MAX + 4);
	begin_page(b);
	return MSP_OK;
}

static int put_batch(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	const struct cmb_build *b = arg;
	uint32_t page = b->batch_first;
	struct msp_rd rd;

	msp_rd_init(&rd, msp_buf_span(&b->batch));
	while (msp_rd_left(&rd) > 0) {
		struct msp_span msg = msp_rd_take(&rd, msp_rd_u32(&rd));
		uint64_t sum = sum64(msg.ptr, msg.len, b->gen, page);
		uint8_t mem[KEY_LEN];
		MDB_val key = page_key(mem, b->gen, page++), val = { SUM_LEN + msg.len, NULL };
		int rc = mdb_put(txn, p->pages, &key, &val, MDB_RESERVE);

		if (rc != 0)
			return rc;
		memcpy(val.mv_data, &sum, SUM_LEN);
		memcpy((uint8_t *)val.mv_data + SUM_LEN, msg.ptr, msg.len);
	}
	return 0;
}

static enum msp_err flush_batch(struct cmb_build *b)
{
	enum msp_err err;

	if (b->batch.len == 0)
		return MSP_OK;
	err = b->batch.err != MSP_OK ? b->batch.err : write_txn(b->p, put_batch, b);
	msp_buf_reset(&b->batch);
	b->batch_first = b->page;
	return err;
}

static enum msp_err end_page(struct cmb_build *b)
{
	uint8_t len[4];
	struct msp_wr wr;

	if (b->count == 0)
		return MSP_OK;
	msp_wr_patch_u16(&b->wr, 6, b->count);
	msp_wr_init(&wr, len, sizeof(len));
	msp_wr_u32(&wr, (uint32_t)b->wr.pos);
	msp_buf_add(&b->batch, len, sizeof(len));
	msp_buf_add(&b->batch, b->mem, b->wr.pos);
	b->octets += b->wr.pos;
	b->page++;
	begin_page(b);
	if (b->page == UINT32_MAX)
		return MSP_ELIMIT;
	return b->batch.len >= BATCH_MAX ? flush_batch(b) : b->batch.err;
}

enum msp_err cmb_build_add(struct cmb_build *b, const struct msp_rr *rr)
{
	size_t before = b->wr.pos;
	enum msp_err err;

	msp_rr_write(&b->wr, rr, true);
	if (b->count > 0 && (b->wr.err == MSP_ENOSPACE || b->wr.pos > CMB_PAGE_TARGET || b->count == UINT16_MAX)) {
		msp_wr_rewind(&b->wr, before);
		err = end_page(b);
		if (err != MSP_OK)
			return err;
		msp_rr_write(&b->wr, rr, true);
	}
	if (b->wr.err != MSP_OK)
		return b->wr.err == MSP_ENOSPACE ? MSP_ELIMIT : b->wr.err;
	b->count++;
	b->records++;
	return MSP_OK;
}

enum msp_err cmb_build_seal(struct cmb_build *b, struct cmb_owner *owner)
{
	enum msp_err err = end_page(b);

	if (err == MSP_OK)
		err = flush_batch(b);
	owner->gen = b->gen;
	owner->pages = b->page;
	owner->records = b->records;
	owner->octets = b->octets;
	return err;
}

struct flip {
	const struct msp_name *zone;
	struct msp_span meta;
};

static int put_meta(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	const struct flip *f = arg;
	uint64_t sum = zone_sum(f->zone, f->meta.ptr, f->meta.len);
	struct msp_name lower = *f->zone;
	MDB_val key = zone_key(&lower), val = { SUM_LEN + f->meta.len, NULL };
	int rc = mdb_put(txn, p->zones, &key, &val, MDB_RESERVE);

	if (rc != 0)
		return rc;
	memcpy(val.mv_data, &sum, SUM_LEN);
	memcpy((uint8_t *)val.mv_data + SUM_LEN, f->meta.ptr, f->meta.len);
	return 0;
}

enum msp_err cmb_build_flip(struct cmb_build *b, const struct msp_name *zone, const struct cmb_owner *owner,
			    uint32_t out_serial)
{
	struct flip f = { .zone = zone };
	uint8_t fixed[64];
	struct msp_buf meta;
	struct msp_wr wr;
	enum msp_err err;

	msp_wr_init(&wr, fixed, sizeof(fixed));
	msp_wr_u8(&wr, META_VERSION);
	msp_wr_u8(&wr, owner->is_signed);
	msp_wr_u64(&wr, owner->gen);
	msp_wr_u32(&wr, owner->pages);
	msp_wr_u64(&wr, owner->records);
	msp_wr_u64(&wr, owner->octets);
	msp_wr_u32(&wr, out_serial);
	msp_buf_init(&meta, META_MAX);
	msp_buf_add_span(&meta, msp_wr_span(&wr));
	err = cmb_apex_write(&owner->apex, &meta);
	if (err == MSP_OK && owner->hsync != NULL)
		err = msp_rrset_write(owner->hsync, &meta);
	if (err == MSP_OK)
		err = meta.err;
	f.meta = msp_buf_span(&meta);
	if (err == MSP_OK)
		err = write_txn(b->p, put_meta, &f);
	b->flipped = b->flipped || err == MSP_OK;
	msp_buf_fini(&meta);
	return err;
}

void cmb_build_free(struct cmb_build **b)
{
	if (*b == NULL)
		return;
	if (!(*b)->flipped)
		cmb_pages_retire((*b)->p, (*b)->gen);
	msp_buf_fini(&(*b)->batch);
	msp_free(*b);
	*b = NULL;
}

/* --- reading ---------------------------------------------------------------------------------------------------------
 */

enum msp_err cmb_snap_open(struct cmb_pages *p, uint64_t gen, struct cmb_snap **out)
{
	struct cmb_snap *s = msp_alloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (s == NULL)
		return MSP_ENOMEM;
	rc = mdb_txn_begin(p->env, NULL, MDB_RDONLY, &s->txn);
	if (rc != 0) {
		msp_free(s);
		return translate(rc);
	}
	s->p = p;
	s->gen = gen;
	p->snaps++;
	*out = s;
	return MSP_OK;
}

void cmb_snap_close(struct cmb_snap **s)
{
	if (*s == NULL)
		return;
	mdb_txn_abort((*s)->txn);
	(*s)->p->snaps--;
	msp_free(*s);
	*s = NULL;
}

enum msp_err cmb_snap_page(struct cmb_snap *s, uint32_t number, struct msp_span *msg)
{
	uint8_t mem[KEY_LEN];
	MDB_val key = page_key(mem, s->gen, number), val;
	enum msp_err err = translate(mdb_get(s->txn, s->p->pages, &key, &val));
	const uint8_t *at = val.mv_data;
	uint64_t sum;

	if (err != MSP_OK)
		return err == MSP_ENOTFOUND ? MSP_ECORRUPT : err;
	if (val.mv_size < SUM_LEN + MSP_HEADER_LEN || val.mv_size > SUM_LEN + MSP_MSG_MAX)
		return MSP_ECORRUPT;
	memcpy(&sum, at, SUM_LEN);
	*msg = msp_span(at + SUM_LEN, val.mv_size - SUM_LEN);
	return sum == sum64(msg->ptr, msg->len, s->gen, number) ? MSP_OK : MSP_ECORRUPT;
}

/* --- garbage ---------------------------------------------------------------------------------------------------------
 */

void cmb_pages_retire(struct cmb_pages *p, uint64_t gen)
{
	if (p->retired_count < RETIRED_MAX) /* beyond: found at the next start */
		p->retired[p->retired_count++] = gen;
}

static bool is_live(MDB_txn *txn, struct cmb_pages *p, uint64_t gen)
{
	MDB_cursor *cur = NULL;
	MDB_val key, val;
	bool found = false;

	if (mdb_cursor_open(txn, p->zones, &cur) != 0)
		return true; /* in doubt keep it */
	for (int rc = mdb_cursor_get(cur, &key, &val, MDB_FIRST); rc == 0 && !found;
	     rc = mdb_cursor_get(cur, &key, &val, MDB_NEXT)) {
		struct msp_rd rd;

		msp_rd_init(&rd, msp_span(val.mv_data, val.mv_size));
		(void)msp_rd_take(&rd, SUM_LEN + 2);
		found = msp_rd_u64(&rd) == gen && rd.err == MSP_OK;
	}
	mdb_cursor_close(cur);
	return found;
}

enum msp_err cmb_pages_find_garbage(struct cmb_pages *p)
{
	MDB_cursor *cur = NULL;
	MDB_txn *txn = NULL;
	MDB_val key = { 0, NULL }, val;
	uint8_t mem[KEY_LEN];
	int rc = mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return translate(rc);
	rc = mdb_cursor_open(txn, p->pages, &cur);
	if (rc == 0)
		rc = mdb_cursor_get(cur, &key, &val, MDB_FIRST);
	while (rc == 0 && p->retired_count < RETIRED_MAX) {
		struct msp_rd rd;
		uint64_t gen;

		msp_rd_init(&rd, msp_span(key.mv_data, key.mv_size));
		gen = msp_rd_u64(&rd);
		if (rd.err == MSP_OK && !is_live(txn, p, gen))
			cmb_pages_retire(p, gen);
		if (gen == UINT64_MAX)
			break;
		key = page_key(mem, gen + 1, 0); /* jump over the rest of this generation */
		rc = mdb_cursor_get(cur, &key, &val, MDB_SET_RANGE);
	}
	if (cur != NULL)
		mdb_cursor_close(cur);
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? MSP_OK : translate(rc);
}

struct sweep {
	size_t max;
	bool generation_done;
};

static int sweep_some(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	struct sweep *s = arg;
	uint64_t gen = p->retired[p->retired_count - 1];
	uint8_t mem[KEY_LEN];
	MDB_val key = page_key(mem, gen, 0), val;
	MDB_cursor *cur = NULL;
	int rc = mdb_cursor_open(txn, p->pages, &cur);

	if (rc != 0)
		return rc;
	s->generation_done = false;
	rc = mdb_cursor_get(cur, &key, &val, MDB_SET_RANGE);
	for (size_t i = 0; rc == 0 && i < s->max; i++) {
		uint8_t want[KEY_LEN];

		(void)page_key(want, gen, 0);
		if (key.mv_size != KEY_LEN || memcmp(key.mv_data, want, sizeof(gen)) != 0) {
			rc = MDB_NOTFOUND;
			break;
		}
		rc = mdb_cursor_del(cur, 0);
		if (rc == 0)
			rc = mdb_cursor_get(cur, &key, &val, MDB_NEXT);
	}
	mdb_cursor_close(cur);
	s->generation_done = rc == MDB_NOTFOUND;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

enum msp_err cmb_pages_sweep(struct cmb_pages *p, size_t max, bool *more)
{
	struct sweep s = { .max = max };
	enum msp_err err;

	*more = false;
	if (p->retired_count == 0)
		return MSP_OK;
	err = write_txn(p, sweep_some, &s);
	if (err == MSP_OK && s.generation_done)
		p->retired_count--;
	*more = p->retired_count > 0;
	return err;
}
