/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the books beside the thread that writes them: a pool of connections, one for each thread that reads at a
 * time, and the scout, a thread that builds the filter of names.
 */
#include "books_priv.h"

#include <msproto/base/mem.h>

#include <string.h>
#include <time.h>

#define READERS_DEFAULT 4
#define READERS_MAX     64
#define WALK_MAX        4096        /* names between looks at whether the books are being closed */
#define CAPACITY_MIN    (64u << 10) /* of the filter, names */
#define DUE_MAX         (64u << 20) /* octets of names that are due and fresh */
#define NEWS_MS         1000        /* PostgreSQL: how often it is asked what other processes have made */

/* --- the pool --- */

/* One that nobody uses, or else the one whose turn it is. */
static struct prt_reader *enter(struct prt_books *b)
{
	unsigned turn = atomic_fetch_add_explicit(&b->turn, 1, memory_order_relaxed);
	struct prt_reader *r = &b->reader[turn % b->readers];

	for (unsigned i = 0; i < b->readers; i++)
		if (pthread_mutex_trylock(&b->reader[(turn + i) % b->readers].lock) == 0)
			return &b->reader[(turn + i) % b->readers];
	pthread_mutex_lock(&r->lock);
	return r;
}

static void leave(struct prt_reader *r)
{
	pthread_mutex_unlock(&r->lock);
}

/* A connection that broke is opened again, once. */
static bool is_worth_another_try(struct prt_reader *r, enum msp_err err, unsigned tries)
{
	return err == MSP_ENET && tries == 0 && prt_store_revive(r->store, NULL) == MSP_OK;
}

static enum msp_err read_one(struct prt_books *b, const char *bucket, struct msp_span key, struct msp_buf *out)
{
	struct prt_reader *r = enter(b);
	enum msp_err err;

	for (unsigned tries = 0;; tries++) {
		err = prt_store_get(r->store, bucket, key, false, out);
		if (!is_worth_another_try(r, err, tries))
			break;
	}
	leave(r);
	return err;
}

/* Entries that fn has been given are not given again: a walk that broke ends. */
static enum msp_err read_many(struct prt_books *b, const char *bucket, struct msp_span from, size_t max, bool keys_only,
			      prt_store_fn *fn, void *arg)
{
	struct prt_reader *r = enter(b);
	enum msp_err err = prt_store_revive(r->store, NULL); /* a walk that broke off cannot be begun again */

	if (err == MSP_OK)
		err = keys_only ? prt_store_keys(r->store, bucket, from, max, fn, arg)
				: prt_store_each(r->store, bucket, from, max, fn, arg);
	leave(r);
	return err;
}

/* --- children --- */

enum msp_err prt_books_peek_raw(struct prt_books *b, const struct msp_name *child, struct msp_buf *out)
{
	struct msp_name_key key = msp_name_key(child);
	enum msp_err err = MSP_ENOTFOUND;

	atomic_fetch_add_explicit(&b->n.peeks, 1, memory_order_relaxed);
	/* What moves is in the store before it is gone from what is fresh: asked in this order one of them has it. */
	if (!b->is_shared)
		err = prt_fresh_find(&b->fresh, msp_name_key_span(&key), out);
	return err == MSP_ENOTFOUND ? read_one(b, BUCKET_CHILD, msp_name_key_span(&key), out) : err;
}

enum msp_err prt_books_peek(struct prt_books *b, const struct msp_name *child, struct prt_child *out)
{
	struct msp_buf octets;
	enum msp_err err;

	msp_buf_init(&octets, RECORD_MAX);
	err = prt_books_peek_raw(b, child, &octets);
	if (err == MSP_OK)
		err = prt_child_read(msp_buf_span(&octets), out);
	msp_buf_fini(&octets);
	return err;
}

bool prt_books_may_have(const struct prt_books *b, const struct msp_name *child)
{
	const struct prt_filter *f = atomic_load_explicit(&b->filter, memory_order_acquire);
	struct msp_name_key key;

	if (f == NULL)
		return true;
	key = msp_name_key(child);
	return prt_filter_has(f, msp_name_key_span(&key));
}

struct child_walk {
	struct prt_books *books;
	prt_books_child_fn *fn;
	void *arg;
	struct msp_buf fresh;
};

static enum msp_err give_child(void *arg, struct msp_span key, struct msp_span value)
{
	struct child_walk *w = arg;
	struct prt_child c;
	enum msp_err err;

	msp_buf_reset(&w->fresh);
	err = prt_fresh_find(&w->books->fresh, key, &w->fresh);
	if (err == MSP_OK)
		value = msp_buf_span(&w->fresh);
	else if (err != MSP_ENOTFOUND)
		return err;
	err = prt_child_read(value, &c);
	if (err != MSP_OK)
		return err;
	err = w->fn(w->arg, &c);
	prt_child_fini(&c);
	return err;
}

enum msp_err prt_books_each(struct prt_books *b, const struct msp_name *from, size_t max, prt_books_child_fn *fn,
			    void *arg)
{
	struct msp_name_key key = { 0 };
	struct child_walk w = { .books = b, .fn = fn, .arg = arg };
	enum msp_err err;

	if (from != NULL)
		key = msp_name_key(from);
	msp_buf_init(&w.fresh, RECORD_MAX);
	pthread_rwlock_rdlock(&b->fresh.walks); /* the walk sees the store as it is now: nothing may move into it */
	err = read_many(b, BUCKET_CHILD, msp_name_key_span(&key), max, false, give_child, &w);
	pthread_rwlock_unlock(&b->fresh.walks);
	msp_buf_fini(&w.fresh);
	return err;
}

/* The inverse of msp_name_key: labels from the root down, each ended by a zero octet, 0 and 1 as 1 1 and 1 2. */
static enum msp_err name_of_key(struct msp_span key, struct msp_name *out)
{
	uint8_t oct[MSP_NAME_MAX]; /* filled from its end */
	size_t at = MSP_NAME_MAX - 1, pos = 0;

	oct[at] = 0;
	while (pos < key.len) {
		uint8_t label[MSP_LABEL_MAX];
		size_t len = 0;

		for (; pos < key.len && key.ptr[pos] != 0; pos++) {
			uint8_t c = key.ptr[pos];

			if (c == 1 && pos + 1 < key.len)
				c = (uint8_t)(key.ptr[++pos] - 1);
			if (len == MSP_LABEL_MAX)
				return MSP_ECORRUPT;
			label[len++] = c;
		}
		pos++;
		if (len == 0 || at < len + 1)
			return MSP_ECORRUPT;
		at -= len + 1;
		oct[at] = (uint8_t)len;
		memcpy(oct + at + 1, label, len);
	}
	return msp_name_from_wire(msp_span(oct + at, MSP_NAME_MAX - at), out) == MSP_OK ? MSP_OK : MSP_ECORRUPT;
}

struct name_walk {
	prt_books_name_fn *fn;
	void *arg;
};

static enum msp_err give_name(void *arg, struct msp_span key, struct msp_span value)
{
	const struct name_walk *w = arg;
	struct msp_name name;
	enum msp_err err = name_of_key(key, &name);

	(void)value;
	return err == MSP_OK ? w->fn(w->arg, &name) : err;
}

enum msp_err prt_books_names(struct prt_books *b, const struct msp_name *from, size_t max, prt_books_name_fn *fn,
			     void *arg)
{
	struct msp_name_key key = { 0 };
	struct name_walk w = { .fn = fn, .arg = arg };

	if (from != NULL)
		key = msp_name_key(from);
	return read_many(b, BUCKET_CHILD, msp_name_key_span(&key), max, true, give_name, &w);
}

/* Two lists in order, the store's and that of what is fresh, become one. */
struct due_walk {
	struct prt_books *books;
	struct name_walk names;
	struct msp_wall now;
	struct prt_due next;
	size_t left;
	struct msp_rd fresh; /* prt_fresh_due */
	uint64_t row;
	uint8_t time[8]; /* the next of them */
	struct msp_span key;
	bool has_fresh;
};

static void next_fresh(struct due_walk *w)
{
	struct msp_span time;

	w->has_fresh = msp_rd_left(&w->fresh) > 0;
	if (!w->has_fresh)
		return;
	time = msp_rd_take(&w->fresh, 8);
	w->key = msp_rd_take(&w->fresh, msp_rd_u16(&w->fresh));
	memcpy(w->time, time.ptr, 8);
}

/* MSP_ECANCEL: enough seen. */
static enum msp_err tell_due(struct due_walk *w, const uint8_t time[8], struct msp_span key)
{
	struct msp_wall at = { (int64_t)prt_from_be64(time) };

	if (at.s > w->now.s || w->left == 0) {
		w->next.at = at;
		w->next.name.len = (uint16_t)key.len;
		memcpy(w->next.name.oct, key.ptr, key.len);
		return MSP_ECANCEL;
	}
	w->left--;
	return give_name(&w->names, key, msp_span(NULL, 0));
}

/* In the order of the store's index. */
static bool is_fresh_before(const struct due_walk *w, struct msp_span key)
{
	int c = memcmp(w->time, key.ptr, sizeof(w->time));

	return c != 0 ? c < 0 : msp_span_cmp(w->key, msp_span(key.ptr + 8, key.len - 8)) < 0;
}

/* Of those that are fresh all before this place; empty: all. */
static enum msp_err tell_fresh(struct due_walk *w, struct msp_span before)
{
	enum msp_err err = MSP_OK;

	while (err == MSP_OK && w->has_fresh && (before.len == 0 || is_fresh_before(w, before))) {
		err = tell_due(w, w->time, w->key);
		next_fresh(w);
	}
	return err;
}

static enum msp_err give_due(void *arg, struct msp_span key, struct msp_span value)
{
	struct due_walk *w = arg;
	struct msp_span name;
	enum msp_err err;

	(void)value;
	if (key.len < 8 || key.len - 8 > MSP_NAME_KEY_MAX)
		return MSP_ECORRUPT;
	name = msp_span(key.ptr + 8, key.len - 8);
	if (prt_fresh_was_there(&w->books->fresh, name, w->row))
		return MSP_OK;
	err = tell_fresh(w, key);
	return err == MSP_OK ? tell_due(w, key.ptr, name) : err;
}

/* As the store's index and that of what is fresh have it. */
static struct msp_span due_key(const struct prt_due *place, uint8_t key[8 + MSP_NAME_KEY_MAX])
{
	if (place->at.s == 0)
		return msp_span(NULL, 0);
	prt_be64((uint64_t)place->at.s, key);
	memcpy(key + 8, place->name.oct, place->name.len);
	return msp_span(key, 8 + (size_t)place->name.len);
}

enum msp_err prt_books_due(struct prt_books *b, struct msp_wall now, size_t max, prt_books_name_fn *fn, void *arg,
			   struct prt_due *place)
{
	struct due_walk w = { .books = b, .names = { fn, arg }, .now = now, .left = max };
	uint8_t key[8 + MSP_NAME_KEY_MAX];
	struct msp_span from = due_key(place, key);
	struct msp_buf fresh;
	enum msp_err err;

	msp_buf_init(&fresh, DUE_MAX);
	pthread_rwlock_rdlock(&b->fresh.walks);
	err = prt_fresh_due(&b->fresh, from, max < SIZE_MAX ? max + 1 : max, &fresh, &w.row);
	if (err == MSP_OK) {
		msp_rd_init(&w.fresh, msp_buf_span(&fresh));
		next_fresh(&w);
		/* those of the store that are fresh are passed over, however many they are: it ends by itself */
		err = read_many(b, BUCKET_DUE, from, SIZE_MAX, true, give_due, &w);
	}
	if (err == MSP_OK)
		err = tell_fresh(&w, msp_span(NULL, 0));
	pthread_rwlock_unlock(&b->fresh.walks);
	msp_buf_fini(&fresh);
	if (err == MSP_ECANCEL && w.next.at.s != 0)
		err = MSP_OK;
	if (err == MSP_OK)
		*place = w.next;
	return err;
}

/* --- the trail, small facts --- */

struct audit_walk {
	prt_books_audit_fn *fn;
	void *arg;
};

static enum msp_err give_audit(void *arg, struct msp_span key, struct msp_span value)
{
	const struct audit_walk *w = arg;

	return key.len == 8 ? w->fn(w->arg, prt_from_be64(key.ptr), value) : MSP_ECORRUPT;
}

enum msp_err prt_books_audit(struct prt_books *b, uint64_t from, size_t max, prt_books_audit_fn *fn, void *arg)
{
	struct audit_walk w = { fn, arg };
	uint8_t key[8];

	prt_be64(from, key);
	return read_many(b, BUCKET_AUDIT, msp_span(key, 8), max, false, give_audit, &w);
}

enum msp_err prt_books_head(struct prt_books *b, uint64_t *seq, uint8_t hash[PRT_HASH_LEN])
{
	struct prt_reader *r = enter(b);
	struct prt_head head;
	enum msp_err err;

	for (unsigned tries = 0;; tries++) {
		err = prt_head_load(r->store, false, &r->octets, &head);
		if (!is_worth_another_try(r, err, tries))
			break;
	}
	leave(r);
	if (err != MSP_OK)
		return err;
	*seq = head.seq;
	memcpy(hash, head.hash, PRT_HASH_LEN);
	return MSP_OK;
}

void prt_books_note_seq(struct prt_books *b, uint64_t seq)
{
	uint64_t known = atomic_load_explicit(&b->n.last_seq, memory_order_relaxed);

	while (seq > known && !atomic_compare_exchange_weak_explicit(&b->n.last_seq, &known, seq, memory_order_relaxed,
								     memory_order_relaxed))
		; /* another thread was faster */
}

uint64_t prt_books_last_seq(struct prt_books *b)
{
	uint8_t hash[PRT_HASH_LEN];
	uint64_t seq = 0;

	return prt_books_head(b, &seq, hash) == MSP_OK ? seq : 0;
}

enum msp_err prt_books_meta_get(struct prt_books *b, const char *key, struct msp_buf *out)
{
	return read_one(b, BUCKET_META, msp_span_str(key), out);
}

/* --- the filter --- */

/*
 * Called before the commit and after it. `building` is looked at first: the scout makes it known before it begins to
 * walk, and takes it away after it has become `filter`. So a name is in it either because the walk found it, or because
 * it was committed later than that and the second call has seen the new filter in one place or the other.
 */
void prt_books_note_made(struct prt_books *b, const struct msp_name *child)
{
	struct msp_name_key key = msp_name_key(child);
	struct prt_filter *building = atomic_load(&b->building), *filter = atomic_load(&b->filter);

	if (building != NULL)
		prt_filter_add(building, msp_name_key_span(&key));
	if (filter == NULL)
		return;
	prt_filter_add(filter, msp_name_key_span(&key));
	if (building == NULL &&
	    atomic_load_explicit(&b->n.children, memory_order_relaxed) > prt_filter_capacity(filter)) {
		pthread_mutex_lock(&b->lock);
		pthread_cond_signal(&b->grown);
		pthread_mutex_unlock(&b->lock);
	}
}

static bool is_stopped(struct prt_books *b)
{
	bool stop;

	pthread_mutex_lock(&b->lock);
	stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	return stop;
}

struct scout_walk {
	struct prt_filter *filter;
	size_t count;
	struct msp_name_key last;
};

static enum msp_err gather_name(void *arg, struct msp_span key, struct msp_span value)
{
	struct scout_walk *w = arg;

	(void)value;
	if (key.len > MSP_NAME_KEY_MAX)
		return MSP_ECORRUPT;
	prt_filter_add(w->filter, key);
	w->last.len = (uint16_t)key.len;
	memcpy(w->last.oct, key.ptr, key.len);
	w->count++;
	return MSP_OK;
}

static enum msp_err walk_all(struct prt_books *b, struct prt_filter *f)
{
	struct scout_walk w = { .filter = f };
	enum msp_err err = MSP_OK;

	do {
		if (is_stopped(b))
			return MSP_ECANCEL;
		w.count = 0;
		/* From the last one on, which is met again: so the end is a walk that finds nothing but it. */
		err = prt_store_keys(b->scouting.store, BUCKET_CHILD, msp_name_key_span(&w.last), WALK_MAX, gather_name,
				     &w);
	} while (err == MSP_OK && w.count == WALK_MAX);
	return err;
}

/* A filter for twice as many as there are. */
static enum msp_err build_filter(struct prt_books *b)
{
	struct prt_filter *f = NULL, *old = atomic_load(&b->filter);
	struct prt_head head;
	enum msp_err err = prt_head_load(b->scouting.store, false, &b->scouting.octets, &head);
	uint64_t capacity;

	if (err != MSP_OK)
		return err;
	b->made_seen = head.children;
	capacity = head.children * 2 > CAPACITY_MIN ? head.children * 2 : CAPACITY_MIN;
	err = b->retired_count < sizeof(b->retired) / sizeof(b->retired[0]) ? MSP_OK : MSP_ELIMIT;
	if (err == MSP_OK)
		err = prt_filter_new((size_t)capacity, b->filter_key, &f);
	if (err != MSP_OK)
		return err;
	atomic_store(&b->building, f);
	err = walk_all(b, f);
	if (err == MSP_OK) {
		atomic_store(&b->filter, f);
		if (old != NULL)
			b->retired[b->retired_count++] = old;
	} else {
		b->retired[b->retired_count++] = f;
	}
	atomic_store(&b->building, NULL);
	return err;
}

static enum msp_err gather_news(void *arg, struct msp_span key, struct msp_span name)
{
	struct prt_books *b = arg;

	if (key.len != 8)
		return MSP_ECORRUPT;
	prt_filter_add(atomic_load(&b->filter), name);
	b->made_seen = prt_from_be64(key.ptr);
	return MSP_OK;
}

/* PostgreSQL: what other processes have made. */
static enum msp_err hear_news(struct prt_books *b)
{
	struct prt_head head;
	enum msp_err err = prt_head_load(b->scouting.store, false, &b->scouting.octets, &head);
	uint8_t from[8];

	if (err == MSP_OK)
		prt_books_note_seq(b, head.seq);
	if (err != MSP_OK || head.children == b->made_seen)
		return err;
	atomic_store_explicit(&b->n.children, head.children, memory_order_relaxed);
	if (head.children - b->made_seen > MADE_KEEP / 2 ||
	    head.children > prt_filter_capacity(atomic_load(&b->filter)))
		return build_filter(b);
	prt_be64(b->made_seen + 1, from);
	return prt_store_each(b->scouting.store, BUCKET_MADE, msp_span(from, 8), MADE_KEEP, gather_news, b);
}

static bool is_too_small(struct prt_books *b)
{
	const struct prt_filter *f = atomic_load(&b->filter);

	return f == NULL || atomic_load(&b->n.children) > prt_filter_capacity(f);
}

/* Until there is something to look after. */
static bool rest(struct prt_books *b, bool in_a_while)
{
	struct msp_mono end = msp_mono_add_ms(msp_mono_now(), NEWS_MS);
	struct timespec until = { .tv_sec = end.ms / 1000, .tv_nsec = end.ms % 1000 * 1000000 };
	bool stop;

	pthread_mutex_lock(&b->lock);
	if (!b->stop && in_a_while)
		(void)pthread_cond_timedwait(&b->grown, &b->lock, &until);
	while (!b->stop && !in_a_while && !is_too_small(b))
		(void)pthread_cond_wait(&b->grown, &b->lock);
	stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	return stop;
}

static void *scout(void *arg)
{
	struct prt_books *b = arg;
	bool again;

	do {
		enum msp_err err = MSP_OK;

		if (is_too_small(b))
			err = build_filter(b);
		else if (b->is_shared)
			err = hear_news(b);
		if (err == MSP_ENET)
			err = prt_store_revive(b->scouting.store, NULL);
		/* Without a filter everything is looked up: slower, and as right. */
		again = b->is_shared || err != MSP_OK || is_too_small(b);
	} while (!rest(b, again));
	return NULL;
}

/* --- opening, closing --- */

static enum msp_err open_reader(struct prt_reader *r, const struct prt_store_where *w, struct msp_why *why)
{
	struct prt_store_where as_reader = *w;

	as_reader.is_reader = true;
	msp_buf_init(&r->octets, RECORD_MAX);
	return prt_store_open(&as_reader, &r->store, why);
}

enum msp_err prt_books_open_readers(struct prt_books *b, const struct prt_store_where *w, unsigned readers,
				    struct msp_why *why)
{
	enum msp_err err = MSP_OK;

	if (readers == 0)
		readers = READERS_DEFAULT;
	if (readers > READERS_MAX)
		readers = READERS_MAX;
	b->reader = msp_alloc(readers, sizeof(*b->reader));
	if (b->reader == NULL)
		return msp_fail(why, MSP_ENOMEM, "%s: out of memory", w->path);
	for (; err == MSP_OK && b->readers < readers; b->readers++) {
		pthread_mutex_init(&b->reader[b->readers].lock, NULL);
		err = open_reader(&b->reader[b->readers], w, why);
	}
	if (err == MSP_OK)
		err = open_reader(&b->scouting, w, why);
	if (err == MSP_OK && pthread_create(&b->scout, NULL, scout, b) != 0)
		err = msp_fail(why, MSP_ENOMEM, "no thread for the books");
	if (err == MSP_OK) {
		b->has_scout = true;
		(void)pthread_setname_np(b->scout, "books-scout");
	}
	return err;
}

void prt_books_close_readers(struct prt_books *b)
{
	struct prt_filter *f;

	if (b->has_scout)
		pthread_join(b->scout, NULL);
	for (unsigned i = 0; i < b->readers; i++) {
		prt_store_close(&b->reader[i].store);
		msp_buf_fini(&b->reader[i].octets);
		pthread_mutex_destroy(&b->reader[i].lock);
	}
	prt_store_close(&b->scouting.store);
	msp_buf_fini(&b->scouting.octets);
	msp_free(b->reader);
	f = atomic_load(&b->filter);
	prt_filter_free(&f);
	while (b->retired_count > 0)
		prt_filter_free(&b->retired[--b->retired_count]);
}
