/* SPDX-License-Identifier: BSD-2-Clause */
#include "state.h"

#include <msproto/base/mem.h>

#include <string.h>

#define SCHEMA_VERSION  1
#define ZONE_VERSION    1
#define VALUE_MAX       (16u << 20)
#define KEY_MAX         (2 * MSP_NAME_MAX + 16)
#define FLAG_HAS_OWNER  1
#define FLAG_NS_APPLIED 2

static const char bucket_contrib[] = "contrib", bucket_zone[] = "zone", bucket_journal[] = "journal",
		  bucket_refresh[] = "refreshed", bucket_seen[] = "seen";

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

static void journal_key(struct key *k, const struct msp_name *zone, uint64_t seq)
{
	key_begin(k, zone);
	msp_wr_u64(&k->wr, seq);
}

enum msp_err cmb_state_open(const char *path, struct msp_store **out, struct msp_why *why)
{
	return msp_store_open(path, SCHEMA_VERSION, NULL, out, why);
}

/* --- reading
 * ---------------------------------------------------------------------------------------------------------- */

static enum msp_err load_contrib(void *arg, struct msp_span key, struct msp_span value)
{
	struct cmb_zone *z = arg;
	struct msp_name originator;
	struct msp_rrset *set = NULL;
	enum cmb_slot slot;
	struct msp_rd rd;
	enum msp_err err;
	uint16_t type;

	msp_rd_init(&rd, key);
	(void)msp_rd_take(&rd, z->rules.zone.len);
	msp_name_read(&rd, MSP_NAME_PLAIN, &originator);
	type = msp_rd_u16(&rd);
	if (msp_rd_done(&rd) != MSP_OK || !cmb_slot_of(type, &slot) || slot >= CMB_CONTRIB_SLOTS)
		return MSP_ECORRUPT;
	err = msp_rrset_read(value, &set);
	if (err != MSP_OK)
		return err == MSP_ENOMEM ? err : MSP_ECORRUPT;
	return cmb_contrib_set(&z->contrib, &originator, slot, &set);
}

static enum msp_err load_delta(void *arg, struct msp_span key, struct msp_span value)
{
	struct cmb_zone *z = arg;
	struct cmb_delta *d = msp_alloc(1, sizeof(*d));
	enum msp_err err = MSP_ENOMEM;
	struct msp_rd rd, kd;

	if (d == NULL)
		return err;
	msp_buf_init(&d->del, VALUE_MAX);
	msp_buf_init(&d->add, VALUE_MAX);
	msp_rd_init(&kd, key);
	(void)msp_rd_take(&kd, z->rules.zone.len);
	d->seq = msp_rd_u64(&kd);
	msp_rd_init(&rd, value);
	d->from = msp_rd_u32(&rd);
	d->to = msp_rd_u32(&rd);
	msp_buf_add_span(&d->del, msp_rd_take(&rd, msp_rd_u32(&rd)));
	msp_buf_add_span(&d->add, msp_rd_rest(&rd));
	err = rd.err != MSP_OK || msp_rd_done(&kd) != MSP_OK ? MSP_ECORRUPT : d->del.err;
	if (err == MSP_OK)
		err = d->add.err;
	if (err == MSP_OK)
		cmb_zone_push_delta(z, &d);
	cmb_delta_free(&d);
	return err;
}

static enum msp_err parse_zone(struct cmb_zone *z, struct msp_span value)
{
	struct msp_rd rd;
	enum msp_err err;
	uint8_t version, flags;

	msp_rd_init(&rd, value);
	version = msp_rd_u8(&rd);
	flags = msp_rd_u8(&rd);
	z->serials.last_owner = msp_rd_u32(&rd);
	z->serials.last_out = msp_rd_u32(&rd);
	z->served_gen = msp_rd_u64(&rd);
	z->served_owner_serial = msp_rd_u32(&rd);
	if (rd.err != MSP_OK || version != ZONE_VERSION)
		return MSP_ECORRUPT;
	err = cmb_apex_read(msp_rd_rest(&rd), &z->served, NULL);
	if (err != MSP_OK)
		return err == MSP_ENOMEM ? err : MSP_ECORRUPT;
	z->serials.has_out = z->has_served = true;
	z->serials.has_owner = (flags & FLAG_HAS_OWNER) != 0;
	z->ns_applied = (flags & FLAG_NS_APPLIED) != 0;
	return MSP_OK;
}

static enum msp_err get(struct msp_store *s, const char *bucket, const struct key *k, struct msp_buf *out)
{
	enum msp_err err = msp_store_get(s, bucket, key_span(k), out);

	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

enum msp_err cmb_state_load(struct msp_store *s, struct cmb_zone *z, struct msp_wall *refreshed, struct msp_why *why)
{
	struct msp_buf value;
	struct key k;
	enum msp_err err;

	refreshed->s = 0;
	msp_buf_init(&value, VALUE_MAX);
	key_begin(&k, &z->rules.zone);
	err = msp_store_each(s, bucket_contrib, key_span(&k), load_contrib, z);
	if (err == MSP_OK)
		err = get(s, bucket_zone, &k, &value);
	if (err == MSP_OK && value.len > 0)
		err = parse_zone(z, msp_buf_span(&value));
	if (err == MSP_OK)
		err = msp_store_each(s, bucket_journal, key_span(&k), load_delta, z);
	msp_buf_reset(&value);
	if (err == MSP_OK)
		err = get(s, bucket_refresh, &k, &value);
	if (err == MSP_OK && value.len > 0) {
		struct msp_rd rd;

		msp_rd_init(&rd, msp_buf_span(&value));
		refreshed->s = (int64_t)msp_rd_u64(&rd);
		err = msp_rd_done(&rd) == MSP_OK ? MSP_OK : MSP_ECORRUPT;
	}
	msp_buf_fini(&value);
	return err == MSP_OK ? err : msp_fail(why, err, "state of %s: %s", MSP_NAME(&z->rules.zone), msp_err_text(err));
}

/* --- writing
 * ---------------------------------------------------------------------------------------------------------- */

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
	return err;
}

static enum msp_err put_delta(struct msp_store *s, const struct cmb_zone *z, const struct cmb_delta *d)
{
	uint8_t fixed[12];
	struct msp_buf value;
	struct msp_wr wr;
	struct key k;
	enum msp_err err;

	msp_wr_init(&wr, fixed, sizeof(fixed));
	msp_wr_u32(&wr, d->from);
	msp_wr_u32(&wr, d->to);
	msp_wr_u32(&wr, (uint32_t)d->del.len);
	msp_buf_init(&value, VALUE_MAX);
	msp_buf_add_span(&value, msp_wr_span(&wr));
	msp_buf_add_span(&value, msp_buf_span(&d->del));
	msp_buf_add_span(&value, msp_buf_span(&d->add));
	journal_key(&k, &z->rules.zone, d->seq);
	err = value.err != MSP_OK ? value.err : msp_store_put(s, bucket_journal, key_span(&k), msp_buf_span(&value));
	msp_buf_fini(&value);
	return err;
}

/* New owner data ends the history; a full history loses its oldest entry, as cmb_zone_push_delta does in memory. */
static enum msp_err drop_deltas(struct msp_store *s, const struct cmb_zone *z, bool all)
{
	enum msp_err err = MSP_OK;
	size_t count = all ? z->journal_count : (size_t)(z->journal_count == CMB_JOURNAL_MAX);
	struct key k;

	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		journal_key(&k, &z->rules.zone, z->journal[i]->seq);
		err = msp_store_del(s, bucket_journal, key_span(&k));
	}
	return err;
}

enum msp_err cmb_state_put_version(struct msp_store *s, const struct cmb_zone *z, const struct cmb_version *v)
{
	uint8_t fixed[32];
	struct msp_buf value;
	struct msp_wr wr;
	struct key k;
	enum msp_err err;

	msp_wr_init(&wr, fixed, sizeof(fixed));
	msp_wr_u8(&wr, ZONE_VERSION);
	msp_wr_u8(&wr, (uint8_t)(FLAG_HAS_OWNER | (v->ns_applied ? FLAG_NS_APPLIED : 0)));
	msp_wr_u32(&wr, v->owner_serial);
	msp_wr_u32(&wr, v->serial);
	msp_wr_u64(&wr, v->gen);
	msp_wr_u32(&wr, v->owner_serial);
	msp_buf_init(&value, VALUE_MAX);
	msp_buf_add_span(&value, msp_wr_span(&wr));
	err = cmb_apex_write(&v->apex, &value);
	if (err == MSP_OK)
		err = value.err;
	key_begin(&k, &z->rules.zone);
	if (err == MSP_OK)
		err = msp_store_put(s, bucket_zone, key_span(&k), msp_buf_span(&value));
	if (err == MSP_OK)
		err = drop_deltas(s, z, v->new_owner);
	if (err == MSP_OK && v->delta != NULL)
		err = put_delta(s, z, v->delta);
	msp_buf_fini(&value);
	return err;
}

static enum msp_err put_time(struct msp_store *s, const char *bucket, struct msp_span key, struct msp_wall t)
{
	uint8_t oct[8];
	struct msp_wr wr;

	msp_wr_init(&wr, oct, sizeof(oct));
	msp_wr_u64(&wr, (uint64_t)t.s);
	return msp_store_put(s, bucket, key, msp_wr_span(&wr));
}

enum msp_err cmb_state_put_refreshed(struct msp_store *s, const struct msp_name *zone, struct msp_wall now)
{
	struct key k;

	key_begin(&k, zone);
	return put_time(s, bucket_refresh, key_span(&k), now);
}

enum msp_err cmb_state_put_seen(struct msp_store *s, struct msp_span id, struct msp_wall until)
{
	return put_time(s, bucket_seen, id, until);
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
	struct msp_wall until;
	struct msp_rd rd;

	msp_rd_init(&rd, value);
	until.s = (int64_t)msp_rd_u64(&rd);
	return msp_rd_done(&rd) == MSP_OK ? e->fn(e->arg, key, until) : MSP_ECORRUPT;
}

enum msp_err cmb_state_each_seen(struct msp_store *s, cmb_seen_fn *fn, void *arg)
{
	struct each_seen e = { fn, arg };

	return msp_store_each(s, bucket_seen, msp_span(NULL, 0), give_seen, &e);
}
