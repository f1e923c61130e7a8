/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that writes the books. It takes what is in line, up to PRT_GROUP_MAX jobs, does them one after the other
 * in one transaction, and tells the loop when that is durable; meanwhile the next ones gather. Each job's octets are
 * made before any of them goes into the store: a job that fails leaves no trace in the group, and a group whose writing
 * fails has not happened at all.
 */
#include "books_priv.h"

#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HEAD_VERSION  1
#define HEAD_KEY      "head"
#define TRIES_MAX     16   /* of a transaction that others overtake */
#define REVIVE_MS     3000 /* the store is away: for so long those in line are kept waiting for it */
#define REVIVE_MIN_MS 50
#define REVIVE_MAX_MS 1000
#define META_MAX      (1u << 20) /* what is published for a parent, and was before */
#define IDLE_MS       1000       /* nobody in line: what is fresh is tidied away */
#define GATHER_MS     2          /* so long a group waits for those who are expected */
#define IDLE_ROWS     8          /* at a time, so that who comes does not wait long */

enum kind { KIND_CHILD, KIND_MANY, KIND_META, KIND_HOLD };

struct prt_job {
	struct prt_job *next;
	enum kind kind;
	bool is_waited_for; /* lives on the stack of who waits */
	bool is_finished;
	bool is_made; /* a child that did not exist before */
	enum msp_err err;
	struct msp_name parent, child;
	prt_books_fn *fn;
	prt_books_done_fn *done;
	void *arg;
	struct prt_outcome *out;
	/* MANY */
	const struct msp_name *const *children;
	void *const *args;
	size_t count;
	/* META, HOLD */
	const char *what;
	struct msp_span value;
};

/* --- small things --- */

void prt_be64(uint64_t v, uint8_t oct[8])
{
	for (unsigned i = 0; i < 8; i++)
		oct[i] = (uint8_t)(v >> (56 - 8 * i));
}

uint64_t prt_from_be64(const uint8_t oct[8])
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | oct[i];
	return v;
}

/* What the conditions count (init_sync). */
static struct timespec at_mono(struct msp_mono t)
{
	return (struct timespec){ .tv_sec = t.ms / 1000, .tv_nsec = t.ms % 1000 * 1000000 };
}

static void push(struct prt_line *line, struct prt_job *j)
{
	j->next = NULL;
	if (line->last != NULL)
		line->last->next = j;
	else
		line->first = j;
	line->last = j;
}

static struct prt_job *pop(struct prt_line *line)
{
	struct prt_job *j = line->first;

	if (j == NULL)
		return NULL;
	line->first = j->next;
	if (line->first == NULL)
		line->last = NULL;
	return j;
}

static void count(atomic_uint_fast64_t *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

/* --- the head --- */

enum msp_err prt_head_load(struct prt_store *s, bool lock, struct msp_buf *octets, struct prt_head *out)
{
	struct msp_span hash;
	struct msp_rd rd;
	enum msp_err err;
	uint8_t version;

	memset(out, 0, sizeof(*out));
	msp_buf_reset(octets);
	err = prt_store_get(s, BUCKET_META, msp_span_str(HEAD_KEY), lock, octets);
	if (err != MSP_OK)
		return err == MSP_ENOTFOUND ? MSP_OK : err;
	msp_rd_init(&rd, msp_buf_span(octets));
	version = msp_rd_u8(&rd);
	out->seq = msp_rd_u64(&rd);
	hash = msp_rd_take(&rd, PRT_HASH_LEN);
	out->children = msp_rd_u64(&rd);
	if (msp_rd_done(&rd) != MSP_OK || version != HEAD_VERSION)
		return MSP_ECORRUPT;
	memcpy(out->hash, hash.ptr, PRT_HASH_LEN);
	return MSP_OK;
}

static enum msp_err head_store(struct prt_store *s, const struct prt_head *head)
{
	uint8_t oct[1 + 8 + PRT_HASH_LEN + 8];

	oct[0] = HEAD_VERSION;
	prt_be64(head->seq, oct + 1);
	memcpy(oct + 9, head->hash, PRT_HASH_LEN);
	prt_be64(head->children, oct + 9 + PRT_HASH_LEN);
	return prt_store_put(s, BUCKET_META, msp_span_str(HEAD_KEY), msp_span(oct, sizeof(oct)));
}

/* --- one job: its octets --- */

/* Entries of the trail, one behind the other in b->trail; ends[i] is where the i-th ends. */
static enum msp_err write_trail(struct prt_books *b, struct prt_outcome *out, struct msp_wall now,
				struct prt_head *head, size_t ends[PRT_ENTRIES_MAX])
{
	enum msp_err err = MSP_OK;

	msp_buf_reset(&b->trail);
	for (size_t i = 0; err == MSP_OK && i < out->entries; i++) {
		struct prt_audit *a = &out->entry[i];
		size_t start = b->trail.len;

		a->seq = ++head->seq;
		a->at = now;
		memcpy(a->previous, head->hash, PRT_HASH_LEN);
		err = prt_audit_write(a, &b->trail);
		ends[i] = b->trail.len;
		if (err == MSP_OK)
			err = prt_audit_hash(msp_span(b->trail.ptr + start, b->trail.len - start), head->hash);
	}
	return err;
}

static enum msp_err store_trail(struct prt_books *b, const struct prt_outcome *out, const size_t *ends)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0, at = 0; err == MSP_OK && i < out->entries; at = ends[i++]) {
		uint8_t key[8];

		prt_be64(out->entry[i].seq, key);
		err = prt_store_put(b->store, BUCKET_AUDIT, msp_span(key, 8),
				    msp_span(b->trail.ptr + at, ends[i] - at));
	}
	return err;
}

enum msp_err prt_due_move(struct prt_store *s, struct msp_span name, struct msp_wall before, struct msp_wall after)
{
	uint8_t key[8 + MSP_NAME_KEY_MAX];
	struct msp_span k = msp_span(key, 8 + name.len);
	enum msp_err err = MSP_OK;

	if (before.s == after.s)
		return MSP_OK;
	memcpy(key + 8, name.ptr, name.len);
	if (before.s != 0) {
		prt_be64((uint64_t)before.s, key);
		err = prt_store_del(s, BUCKET_DUE, k);
	}
	if (err == MSP_OK && after.s != 0) {
		prt_be64((uint64_t)after.s, key);
		err = prt_store_put(s, BUCKET_DUE, k, msp_span(NULL, 0));
	}
	return err;
}

/* PostgreSQL: other processes have filters, too. */
static enum msp_err tell_made(struct prt_books *b, uint64_t number, struct msp_span name)
{
	uint8_t key[8];
	enum msp_err err;

	prt_be64(number, key);
	err = prt_store_put(b->store, BUCKET_MADE, msp_span(key, 8), name);
	if (err != MSP_OK || number <= MADE_KEEP)
		return err;
	prt_be64(number - MADE_KEEP, key);
	return prt_store_del(b->store, BUCKET_MADE, msp_span(key, 8));
}

/* The child, in b->octets, to its place. */
static enum msp_err place(struct prt_books *b, struct msp_span key, bool exists, struct msp_wall due_before,
			  struct prt_head *head)
{
	enum msp_err err = prt_store_put(b->store, BUCKET_CHILD, key, msp_buf_span(&b->octets));

	if (err == MSP_OK)
		err = prt_due_move(b->store, key, due_before, prt_child_due(&b->child));
	if (err != MSP_OK || exists)
		return err;
	head->children++;
	return b->is_shared ? tell_made(b, head->children, key) : MSP_OK;
}

/*
 * What fn has decided goes into the store.
 * @param[out] own an error of this job alone, before anything has been written
 * @return an error of the store: the transaction is lost
 */
static enum msp_err save(struct prt_books *b, struct msp_span key, bool exists, struct msp_wall due_before,
			 struct prt_outcome *out, struct msp_wall now, enum msp_err *own)
{
	/* A new child goes to its place at once: who lists names finds it there. */
	bool is_fresh = exists && !b->is_direct;
	struct prt_head head = b->head;
	size_t ends[PRT_ENTRIES_MAX];
	enum msp_err err = MSP_OK;

	assert(out->entries <= PRT_ENTRIES_MAX);
	*own = write_trail(b, out, now, &head, ends);
	if (*own == MSP_OK && out->is_changed) {
		if (out->entries > 0)
			b->child.last_seq = head.seq;
		msp_buf_reset(&b->octets);
		*own = prt_child_write(&b->child, now, &b->octets);
		if (*own == MSP_OK && is_fresh)
			*own = prt_fresh_stage(&b->fresh, key, msp_buf_span(&b->octets), due_before,
					       prt_child_due(&b->child));
	}
	if (*own != MSP_OK)
		return MSP_OK;
	if (out->is_changed && !is_fresh)
		err = place(b, key, exists, due_before, &head);
	if (err == MSP_OK)
		err = store_trail(b, out, ends);
	b->head = head;
	return err;
}

/* The child as stored, or a new one. */
static enum msp_err load(struct prt_books *b, const struct msp_name *parent, const struct msp_name *child,
			 struct msp_span key, bool *exists, enum msp_err *own)
{
	enum msp_err err;

	msp_buf_reset(&b->in);
	err = b->is_direct ? MSP_ENOTFOUND : prt_fresh_get(&b->fresh, key, &b->in);
	if (err == MSP_ENOTFOUND)
		err = prt_store_get(b->store, BUCKET_CHILD, key, false, &b->in);
	*own = MSP_OK;
	*exists = err == MSP_OK;
	if (err == MSP_ENOTFOUND) {
		prt_child_init(&b->child, parent, child);
		return MSP_OK;
	}
	if (err == MSP_OK)
		*own = prt_child_read(msp_buf_span(&b->in), &b->child);
	return err;
}

/* One decision. *changes: whether there is anything to commit. */
static enum msp_err decide(struct prt_books *b, const struct msp_name *parent, const struct msp_name *child,
			   prt_books_fn *fn, void *arg, struct msp_wall now, struct prt_outcome *out, bool *is_made,
			   bool *changes, enum msp_err *own)
{
	struct msp_name_key key = msp_name_key(child);
	struct msp_span k = msp_name_key_span(&key);
	struct msp_wall due;
	enum msp_err err;
	bool exists = false;

	*is_made = false;
	err = load(b, parent, child, k, &exists, own);
	if (err != MSP_OK || *own != MSP_OK)
		return err;
	due = exists ? prt_child_due(&b->child) : (struct msp_wall){ 0 };
	*own = fn(arg, &b->child, exists, now, out);
	if (*own == MSP_OK && (out->is_changed || out->entries > 0)) {
		err = save(b, k, exists, due, out, now, own);
		if (*own == MSP_OK)
			*changes = true;
		*is_made = *own == MSP_OK && out->is_changed && !exists;
	}
	prt_child_fini(&b->child);
	return err;
}

static enum msp_err run_many(struct prt_books *b, struct prt_job *j, struct msp_wall now, bool *changes)
{
	const struct prt_head before = b->head;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && j->err == MSP_OK && i < j->count; i++) {
		struct prt_outcome out;
		bool is_made;

		prt_outcome_init(&out);
		err = decide(b, &j->parent, j->children[i], j->fn, j->args[i], now, &out, &is_made, changes, &j->err);
		prt_outcome_fini(&out);
	}
	if (j->err != MSP_OK) { /* one transaction for all of them: all or none */
		*changes = false;
		b->head = before;
	}
	return err;
}

static enum msp_err run_job(struct prt_books *b, struct prt_job *j, struct msp_wall now, bool *changes)
{
	j->err = MSP_OK;
	switch (j->kind) {
	case KIND_CHILD:
		prt_outcome_fini(j->out);
		prt_outcome_init(j->out);
		return decide(b, &j->parent, &j->child, j->fn, j->arg, now, j->out, &j->is_made, changes, &j->err);
	case KIND_MANY:
		return run_many(b, j, now, changes);
	case KIND_META:
		*changes = true;
		return prt_store_put(b->store, BUCKET_META, msp_span_str(j->what), j->value);
	case KIND_HOLD:
		break;
	}
	return MSP_OK;
}

/* --- one group: a transaction --- */

static struct msp_span group_key(const struct prt_books *b, char text[32])
{
	(void)snprintf(text, 32, "group.%016llx", (unsigned long long)b->group_id);
	return msp_span_str(text);
}

/* PostgreSQL: a note in the transaction itself, by which it is recognised should its commit not be answered. */
static enum msp_err leave_mark(struct prt_books *b)
{
	uint8_t number[8];
	char text[32];

	if (!b->leaves_marks)
		return MSP_OK;
	prt_be64(++b->group_number, number);
	return prt_store_put(b->store, BUCKET_META, group_key(b, text), msp_span(number, 8));
}

static enum msp_err find_mark(struct prt_books *b, bool *has_happened)
{
	struct msp_buf octets;
	char text[32];
	enum msp_err err;

	msp_buf_init(&octets, 64);
	err = prt_store_get(b->store, BUCKET_META, group_key(b, text), false, &octets);
	*has_happened = err == MSP_OK && octets.len == 8 && prt_from_be64(octets.ptr) == b->group_number;
	msp_buf_fini(&octets);
	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

/* Very many at once go to their places, behind whatever is fresh: memory is for what changes now and then. */
static enum msp_err tidy_first(struct prt_books *b, const struct prt_job *first)
{
	bool is_many = first->kind == KIND_MANY && first->count > PRT_GROUP_MAX;

	b->is_direct = b->is_shared || is_many;
	return b->is_shared ? MSP_OK
			    : prt_fresh_move(&b->fresh, b->store, is_many ? UINT64_MAX : prt_fresh_excess(&b->fresh),
					     is_many);
}

static enum msp_err finish(struct prt_books *b, bool *is_unsure)
{
	enum msp_err err = head_store(b->store, &b->head);

	if (err == MSP_OK)
		err = leave_mark(b);
	if (err == MSP_OK)
		err = prt_fresh_store(&b->fresh, b->store);
	if (err != MSP_OK) {
		prt_store_rollback(b->store);
		return err;
	}
	err = prt_store_commit(b->store);
	*is_unsure = err == MSP_ENET;
	return err;
}

/* @param[out] is_unsure the commit was under way when the connection broke: what is staged stays so */
/* Before the commit: whoever can see the child must not be told that there certainly is none. */
static void note_made(struct prt_books *b, const struct prt_job *j)
{
	if (j->err != MSP_OK)
		return;
	if (j->kind == KIND_CHILD && j->is_made)
		prt_books_note_made(b, &j->child);
	else if (j->kind == KIND_MANY)
		for (size_t i = 0; i < j->count; i++)
			prt_books_note_made(b, j->children[i]);
}

static enum msp_err attempt(struct prt_books *b, struct prt_line *group, bool *is_unsure)
{
	struct msp_wall now = msp_wall_now();
	bool changes = false;
	enum msp_err err = prt_store_begin(b->store);

	*is_unsure = false;
	if (err != MSP_OK)
		return err;
	/* Locked first: of several processes one at a time decides. */
	err = prt_head_load(b->store, true, &b->in, &b->head);
	if (err == MSP_OK)
		err = tidy_first(b, group->first);
	for (struct prt_job *j = group->first; err == MSP_OK && j != NULL; j = j->next)
		err = run_job(b, j, now, &changes);
	for (struct prt_job *j = group->first; err == MSP_OK && j != NULL; j = j->next)
		note_made(b, j);
	if (err == MSP_OK && changes) {
		err = finish(b, is_unsure);
	} else {
		prt_store_rollback(b->store);
		prt_fresh_rollback(&b->fresh);
		return err;
	}
	if (err == MSP_OK)
		prt_fresh_commit(&b->fresh);
	else if (!*is_unsure)
		prt_fresh_rollback(&b->fresh);
	for (struct prt_job *j = group->first; err == MSP_OK && j != NULL; j = j->next)
		note_made(b, j); /* once more: a filter may have been begun meanwhile, and have missed it */
	return err;
}

/* True when the books are being closed. */
static bool pause_ms(struct prt_books *b, uint64_t ms)
{
	struct msp_mono end = msp_mono_add_ms(msp_mono_now(), (int64_t)ms);
	struct timespec until = at_mono(end);
	bool stop;

	pthread_mutex_lock(&b->lock);
	while (!b->stop && msp_mono_until_ms(msp_mono_now(), end) > 0)
		(void)pthread_cond_timedwait(&b->stopping, &b->lock, &until);
	stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	return stop;
}

/* The connection is there again, and it is known what has become of the commit. Without that knowledge nobody may be
 * told anything: it is tried for as long as it takes. */
static enum msp_err revive(struct prt_books *b, bool is_unsure, bool *has_happened)
{
	struct msp_mono limit = msp_mono_add_ms(msp_mono_now(), REVIVE_MS);
	uint64_t pause = REVIVE_MIN_MS;

	*has_happened = false;
	for (;;) {
		enum msp_err err = prt_store_revive(b->store, NULL);

		if (err == MSP_OK && is_unsure)
			err = find_mark(b, has_happened);
		if (err == MSP_OK)
			return MSP_OK;
		if (pause_ms(b, pause) || (!is_unsure && msp_mono_reached(msp_mono_now(), limit)))
			return err;
		pause = pause * 2 < REVIVE_MAX_MS ? pause * 2 : REVIVE_MAX_MS;
	}
}

static enum msp_err run_group(struct prt_books *b, struct prt_line *group)
{
	enum msp_err err = MSP_EBUSY;
	bool has_happened = false;

	for (unsigned tries = 0; tries < TRIES_MAX && !has_happened; tries++) {
		bool is_unsure;

		if (tries > 0)
			count(&b->n.retried);
		err = attempt(b, group, &is_unsure);
		if (err == MSP_ENET) {
			err = revive(b, is_unsure, &has_happened) == MSP_OK ? MSP_EBUSY : MSP_ENET;
			if (has_happened)
				prt_fresh_commit(&b->fresh);
			else
				prt_fresh_rollback(&b->fresh);
		}
		if (err != MSP_EBUSY)
			break;
	}
	if (has_happened)
		err = MSP_OK;
	if (err != MSP_OK)
		count(&b->n.commits_failed);
	return err;
}

static void settle(struct prt_books *b, struct prt_line *group, enum msp_err err)
{
	for (struct prt_job *j = group->first; j != NULL; j = j->next) {
		if (j->err == MSP_OK)
			j->err = err;
		count(&b->n.jobs);
	}
	count(&b->n.groups);
}

static void do_group(struct prt_books *b, struct prt_line *group)
{
	struct prt_job *first = group->first;
	uint64_t children = atomic_load_explicit(&b->n.children, memory_order_relaxed);
	enum msp_err err;

	if (first->kind == KIND_HOLD) {
		first->err = prt_store_hold(b->store, first->what);
		if (first->err == MSP_ENET && prt_store_revive(b->store, NULL) == MSP_OK)
			first->err = prt_store_hold(b->store, first->what);
		return;
	}
	err = run_group(b, group);
	if (err == MSP_OK && b->head.children > children)
		atomic_store_explicit(&b->n.children, b->head.children, memory_order_relaxed);
	if (err == MSP_OK)
		prt_books_note_seq(b, b->head.seq);
	settle(b, group, err);
}

/* --- the line --- */

/*
 * With b->lock, somebody in line. A transaction costs far more than a job in it: it is for as many as are still to
 * come, so that of many who ask half are written down while the other half are verified. Who is alone never waits.
 */
static void gather(struct prt_books *b)
{
	struct timespec until = at_mono(msp_mono_add_ms(msp_mono_now(), GATHER_MS));
	int err = 0;

	while (err == 0 && !b->stop && b->line.first->kind == KIND_CHILD) {
		size_t coming = atomic_load_explicit(&b->coming, memory_order_relaxed);

		b->wanted = coming < PRT_GROUP_MAX ? coming : PRT_GROUP_MAX;
		if (b->in_line >= b->wanted)
			break;
		err = pthread_cond_timedwait(&b->work, &b->lock, &until);
	}
	b->wanted = 1;
}

/* Decisions about single children together; anything else alone. With b->lock. */
static void take_group(struct prt_books *b, struct prt_line *group)
{
	*group = (struct prt_line){ 0 };
	for (size_t i = 0; i < PRT_GROUP_MAX && b->line.first != NULL; i++) {
		bool is_alone = b->line.first->kind != KIND_CHILD;

		if (is_alone && i > 0)
			return;
		push(group, pop(&b->line));
		b->in_line--;
		if (is_alone)
			return;
	}
}

/* With b->lock: those who wait go on, the rest is told on the loop. */
static bool hand_back(struct prt_books *b, struct prt_line *group)
{
	struct prt_job *j;
	bool any = false;

	while ((j = pop(group)) != NULL) {
		if (j->is_waited_for) {
			j->is_finished = true;
		} else {
			push(&b->done, j);
			any = true;
		}
	}
	pthread_cond_broadcast(&b->finished);
	return any;
}

/* Nobody is in line. @return false: that did not work, or there is no more to do */
static bool tidy(struct prt_books *b)
{
	enum msp_err err = prt_store_begin(b->store);

	if (err != MSP_OK)
		return false;
	err = prt_fresh_move(&b->fresh, b->store, IDLE_ROWS, false);
	if (err == MSP_OK && b->fresh.moved_to != 0)
		err = prt_store_commit(b->store);
	else
		err = MSP_ECANCEL;
	if (err == MSP_OK) {
		prt_fresh_commit(&b->fresh);
		return true;
	}
	prt_store_rollback(b->store);
	prt_fresh_rollback(&b->fresh);
	return false;
}

/* With b->lock. Until there is something in line, or the end. */
static void wait_for_work(struct prt_books *b)
{
	bool is_tidying = false;

	while (b->line.first == NULL && !b->stop) {
		struct timespec until = at_mono(msp_mono_add_ms(msp_mono_now(), IDLE_MS));

		if (prt_fresh_is_empty(&b->fresh)) {
			pthread_cond_wait(&b->work, &b->lock);
		} else if (is_tidying || pthread_cond_timedwait(&b->work, &b->lock, &until) != 0) {
			pthread_mutex_unlock(&b->lock);
			is_tidying = tidy(b);
			pthread_mutex_lock(&b->lock);
		}
	}
}

static void *work(void *arg)
{
	struct prt_books *b = arg;
	struct prt_line group;
	bool wake;

	pthread_mutex_lock(&b->lock);
	b->wanted = 1;
	for (;;) {
		wait_for_work(b);
		if (b->line.first == NULL)
			break;
		gather(b);
		take_group(b, &group);
		pthread_mutex_unlock(&b->lock);
		do_group(b, &group);
		pthread_mutex_lock(&b->lock);
		wake = hand_back(b, &group);
		pthread_mutex_unlock(&b->lock);
		if (wake)
			msp_wake_fire(b->wake);
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static void on_wake(void *arg)
{
	struct prt_books *b = arg;
	struct prt_job *j;

	pthread_mutex_lock(&b->lock);
	while ((j = pop(&b->done)) != NULL)
		push(&b->telling, j);
	pthread_mutex_unlock(&b->lock);
	b->is_telling = true;
	while (!b->is_closed && (j = pop(&b->telling)) != NULL) {
		prt_books_done_fn *done = j->done;
		void *done_arg = j->arg;
		enum msp_err err = j->err;

		msp_free(j);
		atomic_fetch_sub_explicit(&b->load, 1, memory_order_relaxed);
		done(done_arg, err);
	}
	b->is_telling = false;
	if (b->is_closed)
		msp_free(b);
}

size_t prt_books_load(const struct prt_books *b)
{
	return atomic_load_explicit(&b->load, memory_order_relaxed);
}

void prt_books_expect(struct prt_books *b, size_t coming)
{
	atomic_store_explicit(&b->coming, coming, memory_order_relaxed);
}

static void queue(struct prt_books *b, struct prt_job *j)
{
	pthread_mutex_lock(&b->lock);
	push(&b->line, j);
	if (++b->in_line >= b->wanted || j->kind != KIND_CHILD)
		pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
}

enum msp_err prt_books_do(struct prt_books *b, const struct msp_name *parent, const struct msp_name *child,
			  prt_books_fn *fn, prt_books_done_fn *done, void *arg, struct prt_outcome *out)
{
	struct prt_job *j;

	if (prt_books_load(b) >= PRT_JOBS_MAX)
		return MSP_EBUSY;
	j = msp_alloc(1, sizeof(*j));
	if (j == NULL)
		return MSP_ENOMEM;
	*j = (struct prt_job){
		.kind = KIND_CHILD, .parent = *parent, .child = *child, .fn = fn, .done = done, .arg = arg, .out = out
	};
	atomic_fetch_add_explicit(&b->load, 1, memory_order_relaxed);
	queue(b, j);
	return MSP_OK;
}

/* Threads that wait are few: they need no limit. */
static enum msp_err wait_for(struct prt_books *b, struct prt_job *j)
{
	j->is_waited_for = true;
	queue(b, j);
	pthread_mutex_lock(&b->lock);
	while (!j->is_finished)
		pthread_cond_wait(&b->finished, &b->lock);
	pthread_mutex_unlock(&b->lock);
	return j->err;
}

enum msp_err prt_books_do_now(struct prt_books *b, const struct msp_name *parent, const struct msp_name *child,
			      prt_books_fn *fn, void *arg, struct prt_outcome *out)
{
	struct prt_job j = { .kind = KIND_CHILD, .parent = *parent, .child = *child, .fn = fn, .arg = arg, .out = out };

	return wait_for(b, &j);
}

enum msp_err prt_books_do_many(struct prt_books *b, const struct msp_name *parent, const struct msp_name *const *child,
			       size_t n, prt_books_fn *fn, void *const *arg)
{
	struct prt_job j = {
		.kind = KIND_MANY, .parent = *parent, .children = child, .count = n, .fn = fn, .args = arg
	};

	return wait_for(b, &j);
}

enum msp_err prt_books_meta_put(struct prt_books *b, const char *key, struct msp_span value)
{
	struct prt_job j = { .kind = KIND_META, .what = key, .value = value };

	if (value.len > META_MAX)
		return MSP_ELIMIT;
	return strcmp(key, HEAD_KEY) != 0 ? wait_for(b, &j) : MSP_EVALUE;
}

enum msp_err prt_books_hold(struct prt_books *b, const char *what)
{
	struct prt_job j = { .kind = KIND_HOLD, .what = what };

	return wait_for(b, &j);
}

/* --- opening, closing --- */

static void init_sync(struct prt_books *b)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* what msp_mono counts */
	pthread_cond_init(&b->work, &attr);
	pthread_cond_init(&b->finished, &attr);
	pthread_cond_init(&b->stopping, &attr);
	pthread_cond_init(&b->grown, &attr);
	pthread_condattr_destroy(&attr);
}

static void fini_sync(struct prt_books *b)
{
	pthread_cond_destroy(&b->work);
	pthread_cond_destroy(&b->finished);
	pthread_cond_destroy(&b->stopping);
	pthread_cond_destroy(&b->grown);
	pthread_mutex_destroy(&b->lock);
}

static enum msp_err open_writer(struct prt_books *b, const struct prt_store_where *w, struct msp_why *why)
{
	struct prt_head head;
	enum msp_err err = prt_store_open(w, &b->store, why);

	if (err != MSP_OK)
		return err;
	err = prt_head_load(b->store, false, &b->in, &head);
	if (err != MSP_OK)
		return msp_fail(why, err, "%s: the head of the books cannot be read: %s", w->path, msp_err_text(err));
	atomic_store(&b->n.children, head.children);
	prt_books_note_seq(b, head.seq);
	err = b->is_shared ? MSP_OK : prt_fresh_recover(&b->fresh, b->store);
	return err == MSP_OK
		       ? err
		       : msp_fail(why, err, "%s: what was changed last cannot be read: %s", w->path, msp_err_text(err));
}

enum msp_err prt_books_open(struct msp_loop *loop, const struct prt_store_where *w, unsigned readers,
			    struct prt_books **out, struct msp_why *why)
{
	struct prt_books *b = msp_alloc(1, sizeof(*b));
	struct msp_rand rand;
	enum msp_err err;

	*out = NULL;
	if (b == NULL)
		return msp_fail(why, MSP_ENOMEM, "%s: out of memory", w->path);
	b->loop = loop;
	b->is_shared = b->leaves_marks = w->kind == PRT_STORE_POSTGRESQL;
	msp_rand_init_system(&rand);
	msp_rand_bytes(&rand, b->filter_key, sizeof(b->filter_key));
	b->group_id = msp_rand_u64(&rand);
	msp_buf_init(&b->in, RECORD_MAX);
	msp_buf_init(&b->octets, RECORD_MAX);
	msp_buf_init(&b->trail, PRT_ENTRIES_MAX * PRT_AUDIT_OCTETS_MAX);
	prt_fresh_init(&b->fresh);
	init_sync(b);
	err = msp_wake_new(loop, on_wake, b, &b->wake);
	if (err == MSP_OK)
		err = open_writer(b, w, why);
	if (err == MSP_OK)
		err = prt_books_open_readers(b, w, readers, why);
	if (err == MSP_OK && pthread_create(&b->thread, NULL, work, b) != 0)
		err = msp_fail(why, MSP_ENOMEM, "no thread for the books");
	if (err == MSP_OK) {
		b->has_thread = true;
		(void)pthread_setname_np(b->thread, "books");
		*out = b;
	} else {
		prt_books_close(&b);
	}
	return err;
}

static void drop_line(struct prt_line *line)
{
	struct prt_job *j;

	while ((j = pop(line)) != NULL)
		msp_free(j);
}

void prt_books_close(struct prt_books **books)
{
	struct prt_books *b = *books;

	if (b == NULL)
		return;
	*books = NULL;
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_broadcast(&b->work);
	pthread_cond_broadcast(&b->stopping);
	pthread_cond_broadcast(&b->grown);
	pthread_mutex_unlock(&b->lock);
	if (b->has_thread)
		pthread_join(b->thread, NULL);
	prt_books_close_readers(b);
	prt_store_close(&b->store); /* last: what SQLite does when the last one leaves, who writes does */
	msp_wake_close(&b->wake);
	drop_line(&b->done);
	drop_line(&b->telling);
	msp_buf_fini(&b->in);
	msp_buf_fini(&b->octets);
	msp_buf_fini(&b->trail);
	prt_fresh_fini(&b->fresh);
	fini_sync(b);
	b->is_closed = true;
	if (!b->is_telling)
		msp_free(b);
}

struct prt_books_stats prt_books_stats(const struct prt_books *b)
{
	return (struct prt_books_stats){
		.jobs = atomic_load_explicit(&b->n.jobs, memory_order_relaxed),
		.groups = atomic_load_explicit(&b->n.groups, memory_order_relaxed),
		.commits_failed = atomic_load_explicit(&b->n.commits_failed, memory_order_relaxed),
		.retried = atomic_load_explicit(&b->n.retried, memory_order_relaxed),
		.peeks = atomic_load_explicit(&b->n.peeks, memory_order_relaxed),
		.children = atomic_load_explicit(&b->n.children, memory_order_relaxed),
		.last_seq = atomic_load_explicit(&b->n.last_seq, memory_order_relaxed),
		.has_filter = atomic_load_explicit(&b->filter, memory_order_acquire) != NULL,
	};
}
