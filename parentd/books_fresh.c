/* SPDX-License-Identifier: BSD-2-Clause */
#include "books_fresh.h"

#include "books_priv.h"
#include "pack.h"

#include <msproto/base/mem.h>

#include <string.h>

#define ENTRIES_MAX (1u << 20)
#define MOVE_ROWS   4u /* at a time, for each that comes */
#define ROW_MAX     (PRT_GROUP_MAX * RECORD_MAX)

struct octets {
	uint8_t *ptr; /* owned; NULL = none */
	size_t len;
};

struct prt_fresh_entry {
	struct octets committed, staged;
	struct msp_wall due, due_staged;
	struct msp_wall due_stored; /* what the store's index says */
	uint64_t row, since;        /* of what is committed; of the first in an unbroken series */
	struct prt_fresh_entry *older, *newer;
	struct prt_fresh_entry *next_staged;
	size_t key_len;
	uint8_t key[];
};

void prt_fresh_init(struct prt_fresh *f)
{
	pthread_rwlockattr_t attr;

	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	pthread_rwlockattr_init(&attr);
	/* Walks that overlap without end must not keep what is fresh from moving. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&f->walks, &attr);
	pthread_rwlockattr_destroy(&attr);
	msp_map_init(&f->map, ENTRIES_MAX);
	msp_map_init(&f->due, 2 * ENTRIES_MAX);
	msp_buf_init(&f->row, ROW_MAX);
	f->first = 1;
	f->rows_max = PRT_FRESH_ROWS_MAX;
}

static void drop_entry(void *entry)
{
	struct prt_fresh_entry *e = entry;

	msp_free(e->committed.ptr);
	msp_free(e->staged.ptr);
	msp_free(e);
}

void prt_fresh_fini(struct prt_fresh *f)
{
	msp_map_fini(&f->due, NULL);
	msp_map_fini(&f->map, drop_entry);
	msp_buf_fini(&f->row);
	pthread_rwlock_destroy(&f->walks);
	pthread_mutex_destroy(&f->lock);
}

/* --- entries --- */

static struct msp_span key_of(const struct prt_fresh_entry *e)
{
	return msp_span(e->key, e->key_len);
}

static struct msp_span span_of(const struct octets *o)
{
	return msp_span(o->ptr, o->len);
}

static void append(struct prt_fresh *f, struct prt_fresh_entry *e)
{
	e->older = f->newest;
	e->newer = NULL;
	if (f->newest != NULL)
		f->newest->newer = e;
	else
		f->oldest = e;
	f->newest = e;
}

static void take_out(struct prt_fresh *f, struct prt_fresh_entry *e)
{
	if (e->older != NULL)
		e->older->newer = e->newer;
	else
		f->oldest = e->newer;
	if (e->newer != NULL)
		e->newer->older = e->older;
	else
		f->newest = e->older;
}

/* With the lock: nothing is known of it any more. */
static void remove_entry(struct prt_fresh *f, struct prt_fresh_entry *e)
{
	(void)msp_map_del(&f->map, key_of(e));
	drop_entry(e);
}

/* The entry of a name; a new one has nothing to say yet. NULL: no memory. */
static struct prt_fresh_entry *entry_of(struct prt_fresh *f, struct msp_span key)
{
	struct prt_fresh_entry *e = msp_map_get(&f->map, key);
	enum msp_err err;

	if (e != NULL)
		return e;
	e = msp_alloc(1, sizeof(*e) + key.len);
	if (e == NULL)
		return NULL;
	e->key_len = key.len;
	memcpy(e->key, key.ptr, key.len);
	pthread_mutex_lock(&f->lock);
	err = msp_map_put(&f->map, key, e, NULL);
	pthread_mutex_unlock(&f->lock);
	if (err == MSP_OK)
		return e;
	msp_free(e);
	return NULL;
}

/* --- what is due --- */

static struct msp_span due_key(const struct prt_fresh_entry *e, struct msp_wall due, uint8_t key[8 + MSP_NAME_KEY_MAX])
{
	prt_be64((uint64_t)due.s, key);
	memcpy(key + 8, e->key, e->key_len);
	return msp_span(key, 8 + e->key_len);
}

static enum msp_err note_due(struct prt_fresh *f, struct prt_fresh_entry *e, struct msp_wall due)
{
	uint8_t key[8 + MSP_NAME_KEY_MAX];
	enum msp_err err;

	if (due.s == 0)
		return MSP_OK;
	pthread_mutex_lock(&f->lock);
	err = msp_map_put(&f->due, due_key(e, due, key), e, NULL);
	pthread_mutex_unlock(&f->lock);
	return err == MSP_OK ? err : MSP_ENOMEM;
}

/* With the lock. Unless the other version of the entry says the same. */
static void drop_due(struct prt_fresh *f, struct prt_fresh_entry *e, struct msp_wall due, bool has_other,
		     struct msp_wall other)
{
	uint8_t key[8 + MSP_NAME_KEY_MAX];

	if (due.s != 0 && !(has_other && due.s == other.s))
		(void)msp_map_del(&f->due, due_key(e, due, key));
}

/* With the lock. */
static void forget_committed(struct prt_fresh *f, struct prt_fresh_entry *e)
{
	drop_due(f, e, e->due, e->staged.ptr != NULL, e->due_staged);
	take_out(f, e);
	f->octets -= e->committed.len;
	msp_free(e->committed.ptr);
	e->committed = (struct octets){ 0 };
}

enum msp_err prt_fresh_due(struct prt_fresh *f, struct msp_span from, size_t max, struct msp_buf *out, uint64_t *row)
{
	struct msp_map_it it;
	bool more;

	pthread_mutex_lock(&f->lock);
	*row = f->last;
	for (more = msp_map_first(&f->due, from, &it); more && max > 0; more = msp_map_next(&f->due, &it)) {
		const struct prt_fresh_entry *e = it.value;

		if (e->committed.ptr == NULL || (uint64_t)e->due.s != prt_from_be64(it.key.ptr))
			continue; /* of the transaction under way */
		msp_buf_add(out, it.key.ptr, 8);
		msp_buf_add_u8(out, (uint8_t)(e->key_len >> 8));
		msp_buf_add_u8(out, (uint8_t)e->key_len);
		msp_buf_add(out, e->key, e->key_len);
		max--;
	}
	pthread_mutex_unlock(&f->lock);
	return out->err;
}

bool prt_fresh_was_there(struct prt_fresh *f, struct msp_span key, uint64_t row)
{
	const struct prt_fresh_entry *e;
	bool was;

	pthread_mutex_lock(&f->lock);
	e = msp_map_get(&f->map, key);
	was = e != NULL && e->committed.ptr != NULL && e->since <= row;
	pthread_mutex_unlock(&f->lock);
	return was;
}

/* --- asking --- */

enum msp_err prt_fresh_get(const struct prt_fresh *f, struct msp_span key, struct msp_buf *out)
{
	const struct prt_fresh_entry *e = msp_map_get(&f->map, key);
	const struct octets *o;

	if (e == NULL)
		return MSP_ENOTFOUND;
	o = e->staged.ptr != NULL ? &e->staged : &e->committed;
	if (o->ptr == NULL)
		return MSP_ENOTFOUND;
	msp_buf_add_span(out, span_of(o));
	return out->err;
}

enum msp_err prt_fresh_find(struct prt_fresh *f, struct msp_span key, struct msp_buf *out)
{
	const struct prt_fresh_entry *e;
	enum msp_err err = MSP_ENOTFOUND;

	pthread_mutex_lock(&f->lock);
	e = msp_map_get(&f->map, key);
	if (e != NULL && e->committed.ptr != NULL) {
		msp_buf_add_span(out, span_of(&e->committed));
		err = out->err;
	}
	pthread_mutex_unlock(&f->lock);
	return err;
}

/* --- a transaction --- */

/* With the lock: as if it had not been staged. */
static void unstage(struct prt_fresh *f, struct prt_fresh_entry *e)
{
	drop_due(f, e, e->due_staged, e->committed.ptr != NULL, e->due);
	msp_free(e->staged.ptr);
	e->staged = (struct octets){ 0 };
}

enum msp_err prt_fresh_stage(struct prt_fresh *f, struct msp_span key, struct msp_span octets,
			     struct msp_wall due_before, struct msp_wall due)
{
	uint8_t *copy = msp_memdup(octets.ptr, octets.len);
	struct prt_fresh_entry *e = copy != NULL ? entry_of(f, key) : NULL;

	/* The index first: its entry means nothing without the rest. */
	if (e == NULL || note_due(f, e, due) != MSP_OK) {
		if (e != NULL && e->committed.ptr == NULL && e->staged.ptr == NULL) {
			pthread_mutex_lock(&f->lock);
			remove_entry(f, e);
			pthread_mutex_unlock(&f->lock);
		}
		msp_free(copy);
		return MSP_ENOMEM;
	}
	if (e->staged.ptr == NULL) {
		e->next_staged = f->staged;
		f->staged = e;
		if (e->committed.ptr == NULL)
			e->due_stored = due_before;
	} else {
		pthread_mutex_lock(&f->lock);
		if (e->due_staged.s != due.s)
			unstage(f, e);
		pthread_mutex_unlock(&f->lock);
		msp_free(e->staged.ptr);
	}
	e->staged = (struct octets){ copy, octets.len };
	e->due_staged = due;
	return MSP_OK;
}

uint64_t prt_fresh_excess(const struct prt_fresh *f)
{
	uint64_t rows = f->last + 1 - f->first;

	return rows > f->rows_max || f->octets > PRT_FRESH_OCTETS_MAX ? MOVE_ROWS : 0;
}

static enum msp_err delete_row(struct prt_store *s, uint64_t row)
{
	uint8_t key[8];

	prt_be64(row, key);
	return prt_store_del(s, BUCKET_FRESH, msp_span(key, 8));
}

static enum msp_err move_entry(struct prt_store *s, const struct prt_fresh_entry *e)
{
	enum msp_err err = prt_store_put(s, BUCKET_CHILD, key_of(e), span_of(&e->committed));

	return err == MSP_OK ? prt_due_move(s, key_of(e), e->due_stored, e->due) : err;
}

/* What a later row has again stays where it is: only the newest of each child counts. */
enum msp_err prt_fresh_move(struct prt_fresh *f, struct prt_store *s, uint64_t rows, bool must)
{
	struct prt_fresh_entry *e = f->oldest;
	enum msp_err err = MSP_OK;
	uint64_t row = f->first;

	if (rows == 0 || prt_fresh_is_empty(f))
		return MSP_OK;
	if (must)
		pthread_rwlock_wrlock(&f->walks);
	else if (pthread_rwlock_trywrlock(&f->walks) != 0)
		return MSP_OK;
	f->holds_walks = true;
	for (; err == MSP_OK && rows > 0 && row <= f->last; rows--) {
		for (; err == MSP_OK && e != NULL && e->row <= row; e = e->newer)
			err = move_entry(s, e);
		if (err == MSP_OK)
			err = delete_row(s, row++);
	}
	f->moved_to = row;
	return err;
}

/* The transaction under way takes what is committed of it to its place. */
static bool is_moving(const struct prt_fresh *f, const struct prt_fresh_entry *e)
{
	return e->committed.ptr != NULL && e->row < f->moved_to;
}

enum msp_err prt_fresh_store(struct prt_fresh *f, struct prt_store *s)
{
	uint8_t key[8];

	if (f->staged == NULL)
		return MSP_OK;
	msp_buf_reset(&f->row);
	for (const struct prt_fresh_entry *e = f->staged; e != NULL; e = e->next_staged) {
		prt_pack_octets(&f->row, key_of(e));
		prt_pack_octets(&f->row, span_of(&e->staged));
		prt_pack_time(&f->row, is_moving(f, e) ? e->due : e->due_stored);
		prt_pack_time(&f->row, e->due_staged);
	}
	prt_be64(f->last + 1, key);
	return f->row.err == MSP_OK ? prt_store_put(s, BUCKET_FRESH, msp_span(key, 8), msp_buf_span(&f->row))
				    : f->row.err;
}

static void end_walk_pause(struct prt_fresh *f)
{
	if (f->holds_walks)
		pthread_rwlock_unlock(&f->walks);
	f->holds_walks = false;
	f->moved_to = 0;
}

void prt_fresh_commit(struct prt_fresh *f)
{
	struct prt_fresh_entry *e;

	pthread_mutex_lock(&f->lock);
	while ((e = f->oldest) != NULL && is_moving(f, e)) {
		e->due_stored = e->due;
		forget_committed(f, e);
		if (e->staged.ptr == NULL)
			remove_entry(f, e);
	}
	if (f->moved_to != 0)
		f->first = f->moved_to;
	f->last += f->staged != NULL;
	while ((e = f->staged) != NULL) {
		f->staged = e->next_staged;
		if (e->committed.ptr != NULL)
			forget_committed(f, e);
		else
			e->since = f->last;
		e->committed = e->staged;
		e->staged = (struct octets){ 0 };
		e->due = e->due_staged;
		e->row = f->last;
		f->octets += e->committed.len;
		append(f, e);
	}
	pthread_mutex_unlock(&f->lock);
	end_walk_pause(f);
}

void prt_fresh_rollback(struct prt_fresh *f)
{
	struct prt_fresh_entry *e;

	pthread_mutex_lock(&f->lock);
	while ((e = f->staged) != NULL) {
		f->staged = e->next_staged;
		unstage(f, e);
		if (e->committed.ptr == NULL)
			remove_entry(f, e);
	}
	pthread_mutex_unlock(&f->lock);
	end_walk_pause(f);
}

/* --- after a start --- */

static enum msp_err recover_row(void *arg, struct msp_span key, struct msp_span value)
{
	struct prt_fresh *f = arg;
	enum msp_err err = MSP_OK;
	struct msp_rd rd;

	if (key.len != 8)
		return MSP_ECORRUPT;
	f->last = prt_from_be64(key.ptr) - 1;
	if (f->oldest == NULL)
		f->first = f->last + 1;
	msp_rd_init(&rd, value);
	while (err == MSP_OK && msp_rd_left(&rd) > 0) {
		struct msp_span name = prt_unpack_octets(&rd), octets = prt_unpack_octets(&rd);
		struct msp_wall stored = prt_unpack_time(&rd), due = prt_unpack_time(&rd);

		err = rd.err == MSP_OK && name.len <= MSP_NAME_KEY_MAX && octets.len > 0
			      ? prt_fresh_stage(f, name, octets, stored, due)
			      : MSP_ECORRUPT;
	}
	if (err == MSP_OK)
		prt_fresh_commit(f);
	else
		prt_fresh_rollback(f);
	return err;
}

enum msp_err prt_fresh_recover(struct prt_fresh *f, struct prt_store *s)
{
	return prt_store_each(s, BUCKET_FRESH, msp_span(NULL, 0), SIZE_MAX, recover_row, f);
}
