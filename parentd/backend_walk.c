/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend_priv.h"

#include <msproto/base/mem.h>

#include <string.h>

#define CHUNK_RECORDS  256
#define CHUNK_CHILDREN 256
#define READ_MAX       20000 /* records or children in one go; more is another piece of work */
#define SAVE_EVERY     4096  /* records of others passed by before that is written down */
#define KEY_MAX        4096
#define VALUE_MAX      (128u << 10)

/* --- what is durable ---------------------------------------------------------------------------------------------- */

/* backend<what>:<parent>[:<name>[:<child>]] */
static enum msp_err make_key(struct msp_buf *key, const char *what, const struct msp_name *parent, const char *name,
			     const struct msp_name *child)
{
	struct msp_name lower = *parent;

	msp_name_lower(&lower);
	msp_buf_reset(key);
	msp_buf_printf(key, "backend%s:%s", what, MSP_NAME(&lower));
	if (name != NULL)
		msp_buf_printf(key, ":%s", name);
	if (child != NULL) {
		lower = *child;
		msp_name_lower(&lower);
		msp_buf_printf(key, ":%s", MSP_NAME(&lower));
	}
	(void)msp_buf_text(key);
	return key->err;
}

/* An absent value reads as empty. */
static enum msp_err get(struct prt_books *b, const char *what, const struct msp_name *parent, const char *name,
			const struct msp_name *child, struct msp_buf *out)
{
	struct msp_buf key;
	enum msp_err err;

	msp_buf_init(&key, KEY_MAX);
	msp_buf_reset(out);
	err = make_key(&key, what, parent, name, child);
	if (err == MSP_OK)
		err = prt_books_meta_get(b, msp_buf_text(&key), out);
	msp_buf_fini(&key);
	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

static enum msp_err put(struct prt_books *b, const char *what, const struct msp_name *parent, const char *name,
			const struct msp_name *child, struct msp_span value)
{
	struct msp_buf key;
	enum msp_err err;

	msp_buf_init(&key, KEY_MAX);
	err = make_key(&key, what, parent, name, child);
	if (err == MSP_OK)
		err = prt_books_meta_put(b, msp_buf_text(&key), value);
	msp_buf_fini(&key);
	return err;
}

static enum msp_err save_place(struct prt_walk *w, uint64_t place)
{
	uint8_t oct[8];
	enum msp_err err;

	for (unsigned i = 0; i < sizeof(oct); i++)
		oct[i] = (uint8_t)(place >> (56 - 8 * i));
	err = put(w->books, "", &w->parent, w->name, NULL, msp_span(oct, sizeof(oct)));
	if (err == MSP_OK)
		w->saved = place;
	return err;
}

static enum msp_err load_left(struct prt_walk *w, struct msp_span octets)
{
	struct msp_rd rd;

	w->left_count = 0;
	msp_rd_init(&rd, octets);
	while (msp_rd_left(&rd) > 0 && w->left_count < PRT_LEFT_MAX) {
		msp_name_read(&rd, MSP_NAME_PLAIN, &w->left[w->left_count]);
		if (rd.err != MSP_OK)
			return msp_fail(&w->why, MSP_ECORRUPT, "list of children set aside by %s", w->name);
		w->left_count++;
	}
	return MSP_OK;
}

static enum msp_err load(struct prt_walk *w)
{
	struct msp_buf value;
	enum msp_err err;

	msp_buf_init(&value, VALUE_MAX);
	err = get(w->books, "-left", &w->parent, w->name, NULL, &value);
	if (err == MSP_OK)
		err = load_left(w, msp_buf_span(&value));
	w->left_turn = w->left_count;
	if (err == MSP_OK)
		err = get(w->books, "", &w->parent, w->name, NULL, &value);
	if (err != MSP_OK)
		goto out;
	w->place = 0;
	for (size_t i = 0; i < value.len; i++)
		w->place = w->place << 8 | value.ptr[i];
	w->saved = w->place;
	w->is_scan = value.len == 0;
	if (w->is_scan)
		w->place = prt_books_last_seq(w->books);
	w->scan_from.len = 0;
	w->is_loaded = true;
out:
	msp_buf_fini(&value);
	return err;
}

enum msp_err prt_walk_set(struct prt_books *books, const struct msp_name *parent, const char *const *name, size_t count)
{
	struct msp_buf now, before;
	enum msp_err err;

	msp_buf_init(&now, VALUE_MAX);
	msp_buf_init(&before, VALUE_MAX);
	for (size_t i = 0; i < count; i++)
		msp_buf_printf(&now, "%s\n", name[i]);
	err = get(books, "-set", parent, NULL, NULL, &before);
	if (err != MSP_OK || msp_span_equal(msp_buf_span(&now), msp_buf_span(&before)))
		goto out;
	for (size_t i = 0; err == MSP_OK && i < count; i++)
		err = put(books, "", parent, name[i], NULL, msp_span(NULL, 0));
	if (err == MSP_OK)
		err = put(books, "-set", parent, NULL, NULL, msp_buf_span(&now));
out:
	msp_buf_fini(&now);
	msp_buf_fini(&before);
	return err;
}

/* --- a batch ------------------------------------------------------------------------------------------------------ */

enum msp_err prt_walk_init(struct prt_walk *w, struct prt_books *books, const struct msp_name *parent, const char *name,
			   pthread_mutex_t *marking)
{
	w->item = msp_alloc(PRT_BATCH_MAX, sizeof(*w->item));
	if (w->item == NULL)
		return MSP_ENOMEM;
	w->books = books;
	w->parent = *parent;
	w->name = name;
	w->marking = marking;
	return MSP_OK;
}

static void item_fini(struct prt_item *i)
{
	prt_delegation_clear(&i->have);
	prt_delegation_clear(&i->want);
	prt_delegation_clear(&i->maybe);
}

void prt_walk_done(struct prt_walk *w)
{
	for (size_t i = 0; i < w->count; i++)
		item_fini(&w->item[i]);
	w->count = 0;
	w->is_dirty = false;
	w->scan_to.len = 0;
	w->is_end = false;
	w->published = w->refused = 0;
}

void prt_walk_fini(struct prt_walk *w)
{
	if (w->item != NULL)
		prt_walk_done(w);
	msp_free(w->item);
	w->item = NULL;
}

/* NULL: the batch is full. */
static struct prt_item *item_for(struct prt_walk *w, const struct msp_name *child, uint64_t seq)
{
	struct prt_item *i;

	for (size_t n = 0; n < w->count; n++) {
		if (!msp_name_equal(&w->item[n].child, child))
			continue;
		w->item[n].seq = seq > w->item[n].seq ? seq : w->item[n].seq;
		return &w->item[n];
	}
	if (w->count >= w->batch)
		return NULL;
	i = &w->item[w->count++];
	i->backend = w->name;
	i->child = *child;
	i->seq = seq;
	i->state = PRT_ITEM_TODO;
	i->is_noted = i->is_true = false;
	i->why.text[0] = '\0';
	prt_delegation_init(&i->have, &w->parent, child);
	prt_delegation_init(&i->want, &w->parent, child);
	prt_delegation_init(&i->maybe, &w->parent, child);
	return i;
}

/* --- the journal -------------------------------------------------------------------------------------------------- */

struct reading {
	struct prt_walk *w;
	size_t seen;
	bool is_full;
};

/* The delegation was another one before: an attempt at that may have come through. What has no room stays behind as
 * addresses that nobody asks for. */
static enum msp_err note_before(struct prt_item *i, const struct prt_audit *a)
{
	struct prt_delegation d;
	enum msp_err err;

	prt_delegation_init(&d, &a->parent, &a->child);
	err = prt_delegation_read(msp_buf_span(&a->before), &d);
	for (size_t s = 0; err == MSP_OK && s < d.count; s++) {
		err = prt_delegation_put(&i->maybe, &d.set[s]->owner, d.set[s]->type, d.set[s]);
		if (err == MSP_ELIMIT)
			err = MSP_OK;
	}
	prt_delegation_clear(&d);
	return err;
}

static bool concerns(const struct prt_walk *w, enum prt_verdict verdict)
{
	switch (verdict) {
	case PRT_VERDICT_ACCEPTED:
	case PRT_VERDICT_FAILED: /* it is no longer to be so: the other backends go back */
		return true;
	case PRT_VERDICT_IMPORTED:
		return w->is_mirror;
	default:
		return false;
	}
}

static enum msp_err take_record(struct reading *r, const struct prt_audit *a)
{
	struct prt_item *i;

	if (!msp_name_equal(&a->parent, &r->w->parent))
		return MSP_OK;
	/* what others have changed is true already, but a backend that writes everything writes that too */
	if (a->verdict == PRT_VERDICT_IMPORTED)
		r->w->is_dirty |= r->w->is_whole;
	if (!concerns(r->w, a->verdict))
		return MSP_OK;
	i = item_for(r->w, &a->child, a->seq);
	if (i == NULL) {
		r->is_full = true;
		return MSP_OK;
	}
	return note_before(i, a);
}

static enum msp_err on_record(void *arg, uint64_t seq, struct msp_span octets)
{
	struct reading *r = arg;
	struct prt_audit a;
	enum msp_err err = MSP_OK;

	r->seen++;
	if (r->is_full)
		return MSP_OK;
	err = prt_audit_read(octets, &a);
	if (err != MSP_OK)
		return msp_fail(&r->w->why, err, "journal record %llu", (unsigned long long)seq);
	a.seq = seq;
	err = take_record(r, &a);
	prt_audit_fini(&a);
	if (err == MSP_OK && !r->is_full)
		r->w->to = seq;
	return err;
}

static enum msp_err read_journal(struct prt_walk *w)
{
	enum msp_err err = MSP_OK;
	size_t total = 0;

	while (err == MSP_OK && !w->is_end && total < READ_MAX) {
		struct reading r = { .w = w };

		err = prt_books_audit(w->books, w->to + 1, CHUNK_RECORDS, on_record, &r);
		total += r.seen;
		w->is_end = r.seen < CHUNK_RECORDS;
		if (r.is_full) {
			w->is_end = false;
			break;
		}
	}
	return err;
}

/* --- all children ------------------------------------------------------------------------------------------------- */

struct scan {
	struct prt_walk *w;
	struct msp_name last;
	size_t seen;
	bool is_full, is_over;
};

static enum msp_err on_child(void *arg, const struct prt_child *c)
{
	struct scan *s = arg;

	s->seen++;
	if (s->is_full || s->is_over)
		return MSP_OK;
	if (!msp_name_is_under(&c->name, &s->w->parent)) { /* canonical order: behind them all */
		s->is_over = true;
		return MSP_OK;
	}
	if (msp_name_is_set(&s->w->scan_from) && msp_name_equal(&c->name, &s->w->scan_from))
		return MSP_OK;
	if (msp_name_equal(&c->parent, &s->w->parent) && (s->w->is_mirror || prt_child_is_unpublished(c)) &&
	    item_for(s->w, &c->name, c->last_seq) == NULL) {
		s->is_full = true;
		return MSP_OK;
	}
	s->last = c->name;
	return MSP_OK;
}

static enum msp_err read_children(struct prt_walk *w)
{
	struct scan s = { .w = w, .last = w->scan_from };
	enum msp_err err = MSP_OK;
	size_t total = 0;

	do {
		s.seen = 0;
		err = prt_books_each(w->books, msp_name_is_set(&s.last) ? &s.last : &w->parent, CHUNK_CHILDREN,
				     on_child, &s);
		total += s.seen;
		s.is_over |= s.seen < CHUNK_CHILDREN && !s.is_full;
	} while (err == MSP_OK && !s.is_over && !s.is_full && total < READ_MAX);
	w->scan_to = s.last;
	if (s.is_over)
		w->scan_to.len = 0;
	return err;
}

/* --- what is to be done ------------------------------------------------------------------------------------------- */

/* Of several backends each may have something else. */
static enum msp_err read_has(struct prt_walk *w, const char *name, const struct msp_name *child,
			     struct prt_delegation *out, bool *found)
{
	struct msp_buf value;
	enum msp_err err;

	msp_buf_init(&value, VALUE_MAX);
	err = get(w->books, "-has", &w->parent, name, child, &value);
	*found = err == MSP_OK && value.len > 0;
	if (*found) /* an octet in front: a delegation may have no records */
		err = prt_delegation_read(msp_span(value.ptr + 1, value.len - 1), out);
	msp_buf_fini(&value);
	return err;
}

static enum msp_err fill_item(struct prt_walk *w, struct prt_item *i, bool *exists)
{
	struct prt_child *c = msp_alloc(1, sizeof(*c)); /* tens of kilobytes */
	enum msp_err err;

	if (c == NULL)
		return MSP_ENOMEM;
	err = prt_books_peek(w->books, &i->child, c);
	*exists = err == MSP_OK;
	if (err != MSP_OK) {
		msp_free(c);
		return err == MSP_ENOTFOUND ? MSP_OK : err;
	}
	if (i->seq == 0)
		i->seq = c->last_seq;
	err = prt_delegation_dup(&c->registered, &i->want);
	if (err == MSP_OK && w->other_count > 0)
		err = read_has(w, w->name, &i->child, &i->have, &i->is_noted);
	if (err == MSP_OK && !i->is_noted)
		err = prt_delegation_dup(&c->published, &i->have);
	i->is_true = !prt_child_is_unpublished(c);
	prt_child_fini(c);
	msp_free(c);
	return err;
}

static enum msp_err fill(struct prt_walk *w)
{
	enum msp_err err = MSP_OK;

	for (size_t n = 0; err == MSP_OK && n < w->count;) {
		bool exists = false;

		err = fill_item(w, &w->item[n], &exists);
		if (err == MSP_OK && !exists) {
			item_fini(&w->item[n]);
			w->item[n] = w->item[--w->count];
		} else {
			n++;
		}
	}
	return err;
}

/* Nothing to be done: go on at once. */
static enum msp_err pass_by(struct prt_walk *w)
{
	bool was_scan = w->is_scan;

	if (w->is_scan) {
		w->scan_from = w->scan_to;
		w->is_scan = msp_name_is_set(&w->scan_to);
		w->is_end = false;
	} else {
		w->place = w->to;
	}
	if (was_scan ? !w->is_scan : w->place - w->saved >= SAVE_EVERY)
		return save_place(w, w->place);
	return MSP_OK;
}

enum msp_err prt_walk_read(struct prt_walk *w)
{
	bool is_first = !w->is_loaded; /* what writes everything does so once at each start */
	enum msp_err err = MSP_OK;

	w->why.text[0] = '\0';
	if (w->is_new)
		err = put(w->books, "", &w->parent, w->name, NULL, msp_span(NULL, 0));
	if (err == MSP_OK && (is_first || w->is_new))
		err = load(w);
	w->is_new = w->is_new && err != MSP_OK;
	if (err != MSP_OK)
		return err;
	prt_walk_done(w);
	w->to = w->place;
	w->is_dirty = w->is_whole && (w->is_forced || is_first);
	for (size_t n = 0; n < w->left_turn && n < w->left_count; n++)
		if (item_for(w, &w->left[n], 0) == NULL)
			break;
	w->left_turn -= w->count < w->left_turn ? w->count : w->left_turn; /* the rest have their turn after these */
	err = w->is_scan ? read_children(w) : read_journal(w);
	if (err == MSP_OK)
		err = fill(w);
	if (err == MSP_OK && w->count == 0 && !w->is_dirty)
		err = pass_by(w);
	if (err != MSP_OK)
		prt_walk_done(w);
	return err;
}

/* --- what has been done ------------------------------------------------------------------------------------------- */

static enum msp_err now_published(void *arg, struct prt_child *c, bool exists, struct msp_wall now,
				  struct prt_outcome *out)
{
	const struct prt_item *i = arg;

	if (!exists || prt_delegation_equal(&c->published, &i->want))
		return MSP_OK;
	return prt_desk_published_by(c, i->backend, &i->want, now, out);
}

/* Only while it is still what is wanted: a newer change has its own turn. */
static enum msp_err now_refused(void *arg, struct prt_child *c, bool exists, struct msp_wall now,
				struct prt_outcome *out)
{
	const struct prt_item *i = arg;

	if (!exists || !prt_child_is_unpublished(c) || !prt_delegation_equal(&c->registered, &i->want))
		return MSP_OK;
	return prt_desk_refused_by(c, i->backend, i->why.text, now, out);
}

static enum msp_err write_has(struct prt_walk *w, const struct prt_item *i)
{
	struct msp_buf value;
	enum msp_err err;

	msp_buf_init(&value, VALUE_MAX);
	msp_buf_add_u8(&value, 1);
	err = prt_delegation_write(&i->want, &value);
	if (err == MSP_OK)
		err = put(w->books, "-has", &w->parent, w->name, &i->child, msp_buf_span(&value));
	msp_buf_fini(&value);
	return err;
}

/* Whether all the other backends have it as well. One that has noted nothing has what is published. */
static enum msp_err others_have(struct prt_walk *w, const struct prt_item *i, bool *yes)
{
	enum msp_err err = MSP_OK;

	*yes = true;
	for (size_t n = 0; err == MSP_OK && *yes && n < w->other_count; n++) {
		struct prt_delegation d;
		bool found = false;

		prt_delegation_init(&d, &w->parent, &i->child);
		err = read_has(w, w->other[n], &i->child, &d, &found);
		*yes = found ? prt_delegation_equal(&d, &i->want) : i->is_true;
		prt_delegation_clear(&d);
	}
	return err;
}

static enum msp_err forget_has(struct prt_walk *w, const struct prt_item *i)
{
	enum msp_err err = put(w->books, "-has", &w->parent, w->name, &i->child, msp_span(NULL, 0));

	for (size_t n = 0; err == MSP_OK && n < w->other_count; n++)
		err = put(w->books, "-has", &w->parent, w->other[n], &i->child, msp_span(NULL, 0));
	return err;
}

/* Which of those done are now done everywhere: their numbers into `ready`. */
static enum msp_err find_ready(struct prt_walk *w, size_t *ready, size_t *count)
{
	enum msp_err err = MSP_OK;

	for (size_t n = 0; err == MSP_OK && n < w->count; n++) {
		const struct prt_item *i = &w->item[n];
		bool yes = i->state == PRT_ITEM_DONE && (!i->is_true || i->is_noted);

		if (yes && w->other_count > 0) {
			err = write_has(w, i);
			if (err == MSP_OK)
				err = others_have(w, i, &yes);
		}
		if (yes)
			ready[(*count)++] = n;
	}
	return err;
}

static enum msp_err say(struct prt_walk *w, const size_t *number, size_t count, prt_books_fn *fn)
{
	const struct msp_name **name = msp_alloc(count, sizeof(const struct msp_name *));
	void **arg = msp_alloc(count, sizeof(void *));
	enum msp_err err = name != NULL && arg != NULL ? MSP_OK : MSP_ENOMEM;

	for (size_t n = 0; err == MSP_OK && n < count; n++) {
		name[n] = &w->item[number[n]].child;
		arg[n] = &w->item[number[n]];
	}
	if (err == MSP_OK)
		err = prt_books_do_many(w->books, &w->parent, name, count, fn, arg);
	msp_free(name);
	msp_free(arg);
	return err;
}

static enum msp_err mark_done(struct prt_walk *w, size_t *number)
{
	size_t count = 0;
	enum msp_err err;

	pthread_mutex_lock(w->marking); /* else two that finish at once could each miss the other */
	err = find_ready(w, number, &count);
	if (err == MSP_OK && count > 0)
		err = say(w, number, count, now_published);
	for (size_t n = 0; err == MSP_OK && w->other_count > 0 && n < count; n++)
		err = forget_has(w, &w->item[number[n]]);
	pthread_mutex_unlock(w->marking);
	w->published = count;
	return err;
}

static enum msp_err mark_refused(struct prt_walk *w, size_t *number)
{
	size_t count = 0;

	for (size_t n = 0; n < w->count; n++)
		if (w->item[n].state == PRT_ITEM_REFUSED)
			number[count++] = n;
	w->refused = count;
	return count > 0 ? say(w, number, count, now_refused) : MSP_OK;
}

static bool is_settled(const struct prt_walk *w, const struct msp_name *child)
{
	for (size_t n = 0; n < w->count; n++)
		if (msp_name_equal(&w->item[n].child, child))
			return true;
	return false;
}

/* The list as it is after this batch: who was not in it, and who failed in it. */
static enum msp_err keep_aside(struct prt_walk *w)
{
	struct msp_name *left = msp_alloc(PRT_LEFT_MAX, sizeof(*left));
	struct msp_buf value;
	size_t count = 0;
	enum msp_err err = left != NULL ? MSP_OK : MSP_ENOMEM;

	msp_buf_init(&value, VALUE_MAX);
	for (size_t n = 0; err == MSP_OK && n < w->left_count; n++)
		if (!is_settled(w, &w->left[n]))
			left[count++] = w->left[n];
	for (size_t n = 0; err == MSP_OK && n < w->count; n++) {
		if (w->item[n].state != PRT_ITEM_FAILED)
			continue;
		if (count == PRT_LEFT_MAX)
			err = msp_fail(&w->why, MSP_ELIMIT, "too many children set aside; last: %.200s",
				       w->item[n].why.text);
		else
			left[count++] = w->item[n].child;
	}
	for (size_t n = 0; n < count; n++)
		msp_buf_add_span(&value, msp_name_span(&left[n]));
	if (err == MSP_OK)
		err = value.err;
	if (err == MSP_OK && (count > 0 || w->left_count > 0))
		err = put(w->books, "-left", &w->parent, w->name, NULL, msp_buf_span(&value));
	if (err == MSP_OK) {
		memcpy(w->left, left, count * sizeof(*left));
		w->left_count = count;
	}
	msp_buf_fini(&value);
	msp_free(left);
	return err;
}

enum msp_err prt_walk_mark(struct prt_walk *w)
{
	size_t *number = msp_alloc(PRT_BATCH_MAX, sizeof(*number));
	enum msp_err err = number != NULL ? MSP_OK : MSP_ENOMEM;

	w->why.text[0] = '\0';
	if (err == MSP_OK)
		err = mark_done(w, number);
	if (err == MSP_OK)
		err = mark_refused(w, number);
	if (err == MSP_OK)
		err = keep_aside(w);
	msp_free(number);
	if (err != MSP_OK)
		return err;
	if (!w->is_scan) {
		err = w->to != w->saved ? save_place(w, w->to) : MSP_OK;
		if (err == MSP_OK)
			w->place = w->to;
		return err;
	}
	if (!msp_name_is_set(&w->scan_to))
		err = save_place(w, w->place);
	if (err == MSP_OK) {
		w->is_scan = msp_name_is_set(&w->scan_to);
		w->scan_from = w->scan_to;
	}
	return err;
}
