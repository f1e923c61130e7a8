/* SPDX-License-Identifier: BSD-2-Clause */
#include "state.h"

#include <msproto/base/mem.h>

#include <string.h>

#define SCHEMA_VERSION 2
#define VALUE_MAX      (16u << 20)
#define KEYS_MAX       (64u << 20) /* octets of keys gathered before they are deleted */
#define KEY_MAX        (2 * MSP_NAME_MAX + 16)

/* number, ceiling, frozen and audit_next: by zone; contrib: by zone, originator, type; audit: by zone, sequence number
 */
static const char bucket_contrib[] = "contrib", bucket_number[] = "number", bucket_ceiling[] = "ceiling",
		  bucket_frozen[] = "frozen", bucket_audit[] = "audit", bucket_audit_next[] = "audit_next",
		  bucket_seen[] = "seen";

struct key {
	struct msp_wr wr;
	uint8_t mem[KEY_MAX];
};

/* Names in wire form end in a zero octet and none is the beginning of another: they can be joined to keys. */
static void key_begin(struct key *k, const struct msp_name *zone)
{
	struct msp_name lower = *zone;

	msp_name_lower(&lower);
	msp_wr_init(&k->wr, k->mem, sizeof(k->mem));
	msp_wr_octets(&k->wr, msp_name_span(&lower));
}

static struct msp_span key_span(const struct key *k)
{
	return msp_wr_span(&k->wr);
}

static void contrib_key(struct key *k, const struct msp_name *zone, const struct msp_name *originator,
			enum cmb_slot slot)
{
	struct msp_name lower = *originator;

	msp_name_lower(&lower);
	key_begin(k, zone);
	msp_wr_octets(&k->wr, msp_name_span(&lower));
	msp_wr_u16(&k->wr, cmb_slot_type(slot));
}

static void audit_key(struct key *k, const struct msp_name *zone, uint64_t seq)
{
	key_begin(k, zone);
	msp_wr_u64(&k->wr, seq);
}

/* The zone's name at the start of a key; rd stands behind it. */
static enum msp_err read_zone(struct msp_span key, struct msp_rd *rd, struct msp_name *zone)
{
	msp_rd_init(rd, key);
	msp_name_read(rd, MSP_NAME_PLAIN, zone);
	return rd->err == MSP_OK ? MSP_OK : MSP_ECORRUPT;
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static enum msp_err put_u64(struct msp_store *s, const char *bucket, struct msp_span key, uint64_t v)
{
	uint8_t oct[8];
	struct msp_wr wr;

	msp_wr_init(&wr, oct, sizeof(oct));
	msp_wr_u64(&wr, v);
	return msp_store_put(s, bucket, key, msp_wr_span(&wr));
}

static enum msp_err read_u64(struct msp_span value, uint64_t *out)
{
	struct msp_rd rd;

	msp_rd_init(&rd, value);
	*out = msp_rd_u64(&rd);
	return msp_rd_done(&rd) == MSP_OK ? MSP_OK : MSP_ECORRUPT;
}

/* *has is false when there is none. */
static enum msp_err get_u64(struct msp_store *s, const char *bucket, const struct key *k, uint64_t *out, bool *has)
{
	struct msp_buf value;
	enum msp_err err;

	msp_buf_init(&value, VALUE_MAX);
	err = msp_store_get(s, bucket, key_span(k), &value);
	*has = err == MSP_OK;
	*out = 0;
	if (err == MSP_OK)
		err = read_u64(msp_buf_span(&value), out);
	msp_buf_fini(&value);
	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

/* --- deleting by prefix ------------------------------------------------------------------------------------------- */

static enum msp_err gather_key(void *arg, struct msp_span key, struct msp_span value)
{
	struct msp_buf *keys = arg;
	uint8_t len[2];
	struct msp_wr wr;

	(void)value;
	msp_wr_init(&wr, len, sizeof(len));
	msp_wr_u16(&wr, (uint16_t)key.len);
	msp_buf_add_span(keys, msp_wr_span(&wr));
	msp_buf_add_span(keys, key);
	return keys->err;
}

static enum msp_err drop_all(struct msp_store *s, const char *bucket, struct msp_span prefix)
{
	struct msp_buf keys;
	struct msp_rd rd;
	enum msp_err err;

	msp_buf_init(&keys, KEYS_MAX);
	err = msp_store_each(s, bucket, prefix, gather_key, &keys);
	msp_rd_init(&rd, msp_buf_span(&keys));
	while (err == MSP_OK && msp_rd_left(&rd) > 0)
		err = msp_store_del(s, bucket, msp_rd_take(&rd, msp_rd_u16(&rd)));
	msp_buf_fini(&keys);
	return err;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/*
 * Version 1 kept the serial handed out last, the apex served and a journal. The serial is all of it that must not be
 * lost; the rest is made anew by the next transfer.
 */
static const char v1_zone[] = "zone", v1_journal[] = "journal", v1_refreshed[] = "refreshed";

static enum msp_err migrate_zone(void *arg, struct msp_span key, struct msp_span value)
{
	struct msp_rd rd;
	uint32_t last_out;

	msp_rd_init(&rd, value);
	(void)msp_rd_take(&rd, 2); /* version, flags */
	(void)msp_rd_u32(&rd);     /* the owner's serial */
	last_out = msp_rd_u32(&rd);
	return rd.err == MSP_OK ? put_u64(arg, bucket_ceiling, key, last_out) : MSP_ECORRUPT;
}

static enum msp_err migrate_contrib(void *arg, struct msp_span key, struct msp_span value)
{
	struct msp_name zone;
	struct msp_rd rd;
	enum msp_err err = read_zone(key, &rd, &zone);

	(void)value;
	return err == MSP_OK ? put_u64(arg, bucket_number, msp_name_span(&zone), 1) : err;
}

static enum msp_err migrate(struct msp_store *s, uint32_t from, struct msp_why *why)
{
	static const char *const gone[] = { v1_zone, v1_journal, v1_refreshed };
	enum msp_err err;

	(void)from; /* there is only version 1 */
	err = msp_store_each(s, v1_zone, msp_span(NULL, 0), migrate_zone, s);
	if (err == MSP_OK)
		err = msp_store_each(s, bucket_contrib, msp_span(NULL, 0), migrate_contrib, s);
	for (size_t i = 0; err == MSP_OK && i < sizeof(gone) / sizeof(gone[0]); i++)
		err = drop_all(s, gone[i], msp_span(NULL, 0));
	return err == MSP_OK ? err : msp_fail(why, err, "state of version 1: %s", msp_err_text(err));
}

enum msp_err cmb_state_open(const char *path, struct msp_store **out, struct msp_why *why)
{
	return msp_store_open(path, SCHEMA_VERSION, migrate, out, why);
}

/* --- contributions ------------------------------------------------------------------------------------------------ */

struct get_contrib {
	struct cmb_contrib *contrib;
	size_t zone_len;
};

static enum msp_err load_contrib(void *arg, struct msp_span key, struct msp_span value)
{
	const struct get_contrib *g = arg;
	struct msp_name originator;
	struct msp_rrset *set = NULL;
	enum cmb_slot slot;
	struct msp_rd rd;
	enum msp_err err;
	uint16_t type;

	msp_rd_init(&rd, key);
	(void)msp_rd_take(&rd, g->zone_len);
	msp_name_read(&rd, MSP_NAME_PLAIN, &originator);
	type = msp_rd_u16(&rd);
	if (msp_rd_done(&rd) != MSP_OK || !cmb_slot_of(type, &slot) || slot >= CMB_CONTRIB_SLOTS)
		return MSP_ECORRUPT;
	err = msp_rrset_read(value, &set);
	if (err != MSP_OK)
		return err == MSP_ENOMEM ? err : MSP_ECORRUPT;
	return cmb_contrib_set(g->contrib, &originator, slot, &set);
}

enum msp_err cmb_state_get_contrib(struct msp_store *s, const struct msp_name *zone, struct cmb_contrib *out,
				   struct msp_why *why)
{
	struct cmb_contrib c = { .number = 0 };
	struct get_contrib g = { &c, zone->len };
	struct key k;
	enum msp_err err;
	bool has;

	key_begin(&k, zone);
	err = get_u64(s, bucket_number, &k, &c.number, &has);
	if (err == MSP_OK)
		err = msp_store_each(s, bucket_contrib, key_span(&k), load_contrib, &g);
	if (err != MSP_OK) {
		cmb_contrib_fini(&c);
		return msp_fail(why, err, "state of %s: %s", MSP_NAME(zone), msp_err_text(err));
	}
	*out = c;
	return MSP_OK;
}

static enum msp_err put_set(struct msp_store *s, const struct key *k, const struct msp_rrset *set)
{
	struct msp_buf value;
	enum msp_err err;

	if (cmb_rrset_empty(set))
		return msp_store_del(s, bucket_contrib, key_span(k));
	msp_buf_init(&value, VALUE_MAX);
	err = msp_rrset_write(set, &value);
	if (err == MSP_OK)
		err = value.err;
	if (err == MSP_OK)
		err = msp_store_put(s, bucket_contrib, key_span(k), msp_buf_span(&value));
	msp_buf_fini(&value);
	return err;
}

enum msp_err cmb_state_put_contrib(struct msp_store *s, const struct msp_name *zone, const struct cmb_contrib *before,
				   const struct cmb_contrib *after)
{
	enum msp_err err = MSP_OK;
	struct key k;

	for (size_t i = 0; err == MSP_OK && i < before->count; i++) {
		const struct cmb_contrib_entry *e = &before->entry[i];

		if (cmb_contrib_get(after, &e->originator, e->slot) != NULL)
			continue;
		contrib_key(&k, zone, &e->originator, e->slot);
		err = put_set(s, &k, NULL);
	}
	for (size_t i = 0; err == MSP_OK && i < after->count; i++) {
		const struct cmb_contrib_entry *e = &after->entry[i];

		if (cmb_rrset_same(e->set, cmb_contrib_get(before, &e->originator, e->slot)))
			continue;
		contrib_key(&k, zone, &e->originator, e->slot);
		err = put_set(s, &k, e->set);
	}
	key_begin(&k, zone);
	return err == MSP_OK ? put_u64(s, bucket_number, key_span(&k), after->number) : err;
}

/* --- zones -------------------------------------------------------------------------------------------------------- */

enum msp_err cmb_state_put_ceiling(struct msp_store *s, const struct msp_name *zone, uint32_t ceiling)
{
	struct key k;

	key_begin(&k, zone);
	return put_u64(s, bucket_ceiling, key_span(&k), ceiling);
}

enum msp_err cmb_state_put_frozen(struct msp_store *s, const struct msp_name *zone, bool is_frozen)
{
	struct key k;

	key_begin(&k, zone);
	return is_frozen ? put_u64(s, bucket_frozen, key_span(&k), 1) : msp_store_del(s, bucket_frozen, key_span(&k));
}

static void set_number(struct cmb_state_zone *z, uint64_t v)
{
	z->instructions = v;
}

static void set_ceiling(struct cmb_state_zone *z, uint64_t v)
{
	z->has_ceiling = true;
	z->ceiling = (uint32_t)v;
}

static void set_frozen(struct cmb_state_zone *z, uint64_t v)
{
	z->is_frozen = v != 0;
}

static const struct {
	const char *bucket;
	void (*set)(struct cmb_state_zone *z, uint64_t v);
} zone_buckets[] = {
	{ bucket_number, set_number },
	{ bucket_ceiling, set_ceiling },
	{ bucket_frozen, set_frozen },
};
#define ZONE_BUCKETS (sizeof(zone_buckets) / sizeof(zone_buckets[0]))

struct each_zone {
	cmb_state_zone_fn *fn;
	void *arg;
	size_t bucket;
};

static enum msp_err give_zone(void *arg, struct msp_span key, struct msp_span value)
{
	const struct each_zone *e = arg;
	struct cmb_state_zone z = { .instructions = 0 };
	struct msp_name zone;
	uint64_t v;

	if (msp_name_from_wire(key, &zone) != MSP_OK || read_u64(value, &v) != MSP_OK)
		return MSP_ECORRUPT;
	zone_buckets[e->bucket].set(&z, v);
	return e->fn(e->arg, &zone, &z);
}

enum msp_err cmb_state_each_zone(struct msp_store *s, cmb_state_zone_fn *fn, void *arg)
{
	struct each_zone e = { fn, arg, 0 };
	enum msp_err err = MSP_OK;

	for (; err == MSP_OK && e.bucket < ZONE_BUCKETS; e.bucket++)
		err = msp_store_each(s, zone_buckets[e.bucket].bucket, msp_span(NULL, 0), give_zone, &e);
	return err;
}

enum msp_err cmb_state_get_zone(struct msp_store *s, const struct msp_name *zone, struct cmb_state_zone *out)
{
	struct cmb_state_zone z = { .instructions = 0 };
	enum msp_err err = MSP_OK;
	struct key k;

	key_begin(&k, zone);
	for (size_t i = 0; err == MSP_OK && i < ZONE_BUCKETS; i++) {
		uint64_t v;
		bool has;

		err = get_u64(s, zone_buckets[i].bucket, &k, &v, &has);
		if (err == MSP_OK && has)
			zone_buckets[i].set(&z, v);
	}
	if (err == MSP_OK)
		*out = z;
	return err;
}

enum msp_err cmb_state_forget(struct msp_store *s, const struct msp_name *zone)
{
	static const char *const buckets[] = { bucket_contrib, bucket_number, bucket_frozen, bucket_audit,
					       bucket_audit_next };
	enum msp_err err = MSP_OK;
	struct key k;

	key_begin(&k, zone);
	for (size_t i = 0; err == MSP_OK && i < sizeof(buckets) / sizeof(buckets[0]); i++)
		err = drop_all(s, buckets[i], key_span(&k));
	return err;
}

/* --- audit -------------------------------------------------------------------------------------------------------- */

static void add_name(struct msp_buf *b, const struct msp_name *n)
{
	msp_buf_add_u8(b, n->len);
	msp_buf_add(b, n->oct, n->len);
}

static enum msp_err put_entry(struct msp_store *s, struct msp_span key, const struct cmb_audit *a)
{
	uint8_t at[8];
	struct msp_buf value;
	struct msp_wr wr;
	enum msp_err err;

	msp_wr_init(&wr, at, sizeof(at));
	msp_wr_u64(&wr, (uint64_t)a->at.s);
	msp_buf_init(&value, VALUE_MAX);
	msp_buf_add_span(&value, msp_wr_span(&wr));
	add_name(&value, &a->key);
	add_name(&value, &a->originator);
	msp_buf_add(&value, a->what, strnlen(a->what, sizeof(a->what)));
	err = value.err != MSP_OK ? value.err : msp_store_put(s, bucket_audit, key, msp_buf_span(&value));
	msp_buf_fini(&value);
	return err;
}

enum msp_err cmb_state_put_audit(struct msp_store *s, const struct msp_name *zone, const struct cmb_audit *a)
{
	struct key k, next;
	uint64_t seq;
	enum msp_err err;
	bool has;

	key_begin(&next, zone);
	err = get_u64(s, bucket_audit_next, &next, &seq, &has);
	if (!has)
		seq = 1;
	audit_key(&k, zone, seq);
	if (err == MSP_OK)
		err = put_entry(s, key_span(&k), a);
	if (err == MSP_OK)
		err = put_u64(s, bucket_audit_next, key_span(&next), seq + 1);
	if (err != MSP_OK || seq <= CMB_AUDIT_MAX)
		return err;
	audit_key(&k, zone, seq - CMB_AUDIT_MAX);
	return msp_store_del(s, bucket_audit, key_span(&k));
}

struct each_audit {
	cmb_audit_fn *fn;
	void *arg;
	uint64_t from;
	size_t zone_len;
};

/* len 0 = no name */
static void read_name(struct msp_rd *rd, struct msp_name *out)
{
	struct msp_rd one = msp_rd_sub(rd, msp_rd_u8(rd));

	out->len = 0;
	if (msp_rd_left(&one) == 0)
		return;
	msp_name_read(&one, MSP_NAME_PLAIN, out);
	if (msp_rd_done(&one) != MSP_OK)
		msp_rd_fail(rd, MSP_ECORRUPT);
}

static enum msp_err give_audit(void *arg, struct msp_span key, struct msp_span value)
{
	const struct each_audit *e = arg;
	struct cmb_audit a = { .seq = 0 };
	struct msp_span what;
	struct msp_rd rd;

	msp_rd_init(&rd, key);
	(void)msp_rd_take(&rd, e->zone_len);
	a.seq = msp_rd_u64(&rd);
	if (msp_rd_done(&rd) != MSP_OK)
		return MSP_ECORRUPT;
	if (a.seq < e->from)
		return MSP_OK;
	msp_rd_init(&rd, value);
	a.at.s = (int64_t)msp_rd_u64(&rd);
	read_name(&rd, &a.key);
	read_name(&rd, &a.originator);
	what = msp_rd_rest(&rd);
	if (rd.err != MSP_OK || what.len >= sizeof(a.what))
		return MSP_ECORRUPT;
	if (what.len > 0)
		memcpy(a.what, what.ptr, what.len);
	return e->fn(e->arg, &a);
}

enum msp_err cmb_state_each_audit(struct msp_store *s, const struct msp_name *zone, uint64_t from, cmb_audit_fn *fn,
				  void *arg)
{
	struct each_audit e = { fn, arg, from, zone->len };
	struct key k;

	key_begin(&k, zone);
	return msp_store_each(s, bucket_audit, key_span(&k), give_audit, &e);
}

/* --- UPDATEs seen ------------------------------------------------------------------------------------------------- */

enum msp_err cmb_state_put_seen(struct msp_store *s, struct msp_span id, struct msp_wall until)
{
	return put_u64(s, bucket_seen, id, (uint64_t)until.s);
}

enum msp_err cmb_state_del_seen(struct msp_store *s, struct msp_span id)
{
	return msp_store_del(s, bucket_seen, id);
}

struct each_seen {
	cmb_seen_fn *fn;
	void *arg;
};

static enum msp_err give_seen(void *arg, struct msp_span key, struct msp_span value)
{
	const struct each_seen *e = arg;
	uint64_t until;
	enum msp_err err = read_u64(value, &until);

	return err == MSP_OK ? e->fn(e->arg, key, (struct msp_wall){ (int64_t)until }) : err;
}

enum msp_err cmb_state_each_seen(struct msp_store *s, cmb_seen_fn *fn, void *arg)
{
	struct each_seen e = { fn, arg };

	return msp_store_each(s, bucket_seen, msp_span(NULL, 0), give_seen, &e);
}
