/* SPDX-License-Identifier: BSD-2-Clause */
#include "import_priv.h"

#include <msproto/base/mem.h>

#include <string.h>

#define STEP      1000   /* children looked at in one go */
#define MOVED_MAX 100000 /* while a zone is read */
#define RECORDS   1000

enum msp_err prt_merge_init(struct prt_merge *m, struct prt_books *books, struct prt_zonefile *zone, uint64_t since,
			    bool is_first)
{
	memset(m, 0, sizeof(*m));
	m->books = books;
	m->parent = zone->parent;
	m->zone = zone;
	m->since = m->looked = since;
	msp_map_init(&m->moved, MOVED_MAX);
	m->is_first = is_first;
	m->child = msp_alloc(PRT_MERGE_CHUNK, sizeof(*m->child));
	m->item = msp_alloc(PRT_MERGE_CHUNK, sizeof(*m->item));
	prt_zonefile_rewind(zone);
	return m->child != NULL && m->item != NULL ? MSP_OK : MSP_ENOMEM;
}

static void drop_children(struct prt_merge *m)
{
	for (size_t i = 0; i < m->child_count; i++)
		prt_delegation_clear(&m->child[i].published);
	m->child_count = m->child_at = 0;
}

static void drop_items(struct prt_merge *m)
{
	for (size_t i = 0; i < m->item_count; i++)
		prt_delegation_clear(&m->item[i].d);
	m->item_count = 0;
}

void prt_merge_fini(struct prt_merge *m)
{
	drop_children(m);
	drop_items(m);
	msp_map_fini(&m->moved, NULL);
	if (m->has_head)
		prt_delegation_clear(&m->head);
	m->has_head = false;
	msp_free(m->child);
	msp_free(m->item);
	m->child = NULL;
	m->item = NULL;
}

/* --- the books' side
 * -------------------------------------------------------------------------------------------------- */

struct taking {
	struct prt_merge *m;
	size_t seen;
};

static enum msp_err take_child(void *arg, const struct prt_child *c)
{
	struct taking *t = arg;
	struct prt_merge *m = t->m;
	struct prt_merge_child *out = &m->child[m->child_count];
	enum msp_err err;

	t->seen++;
	if (m->books_over || (msp_name_is_set(&m->child_last) && msp_name_equal(&c->name, &m->child_last)))
		return MSP_OK;
	if (!msp_name_is_under(&c->name, &m->parent)) {
		m->books_over = true;
		return MSP_OK;
	}
	m->child_last = c->name;
	if (!msp_name_equal(&c->parent, &m->parent))
		return MSP_OK;
	err = prt_delegation_dup(&c->published, &out->published);
	out->name = c->name;
	out->is_gone = (c->flags & PRT_CHILD_GONE) != 0;
	m->child_count += err == MSP_OK;
	return err;
}

static enum msp_err more_children(struct prt_merge *m)
{
	enum msp_err err = MSP_OK;

	if (m->child_at < m->child_count)
		return MSP_OK;
	drop_children(m);
	while (err == MSP_OK && m->child_count == 0 && !m->books_over) {
		struct taking t = { .m = m };

		err = prt_books_each(m->books, msp_name_is_set(&m->child_last) ? &m->child_last : &m->parent,
				     PRT_MERGE_CHUNK, take_child, &t);
		m->books_over |= t.seen < PRT_MERGE_CHUNK;
	}
	return err;
}

/* --- the zone's side
 * --------------------------------------------------------------------------------------------------- */

static void note_too_large(struct prt_merge *m, const struct msp_name *child)
{
	if (m->too_large++ == 0)
		m->too_large_first = *child;
}

static enum msp_err more_zone(struct prt_merge *m)
{
	if (m->has_head || m->zone_over)
		return MSP_OK;
	m->head_err = prt_zonefile_next(m->zone, &m->head);
	if (m->head_err == MSP_ENOTFOUND) {
		m->zone_over = true;
		return MSP_OK;
	}
	if (m->head_err != MSP_OK && m->head_err != MSP_ELIMIT)
		return m->head_err;
	m->has_head = true;
	if (m->head_err == MSP_ELIMIT)
		note_too_large(m, &m->head.child);
	return MSP_OK;
}

/* --- what differs
 * ------------------------------------------------------------------------------------------------------ */

static bool moves(enum prt_verdict verdict)
{
	return verdict == PRT_VERDICT_ACCEPTED || verdict == PRT_VERDICT_PUBLISHED || verdict == PRT_VERDICT_FAILED ||
	       verdict == PRT_VERDICT_IMPORTED;
}

static enum msp_err take_record(void *arg, uint64_t seq, struct msp_span octets)
{
	struct prt_merge *m = arg;
	struct prt_audit a;
	enum msp_err err = prt_audit_read(octets, &a);

	if (err != MSP_OK)
		return err;
	m->looked = seq;
	if (moves(a.verdict)) {
		struct msp_name_key key = msp_name_key(&a.child);

		m->is_full |= msp_map_put(&m->moved, msp_name_key_span(&key), m, NULL) != MSP_OK;
	}
	prt_audit_fini(&a);
	return MSP_OK;
}

static enum msp_err find_moved(struct prt_merge *m)
{
	uint64_t from;
	enum msp_err err;

	do {
		from = m->looked;
		err = prt_books_audit(m->books, from + 1, RECORDS, take_record, m);
	} while (err == MSP_OK && m->looked - from >= RECORDS);
	return err;
}

/* A record alone says nothing: a child could have itself left alone for ever, by something that is refused. */
static bool has_moved(const struct prt_merge *m, const struct prt_child *c)
{
	struct msp_name_key key = msp_name_key(&c->name);

	return c->last_seq > m->since &&
	       (m->is_full || c->last_seq > m->looked || msp_map_get(&m->moved, msp_name_key_span(&key)) != NULL);
}

static enum msp_err import_one(void *arg, struct prt_child *c, bool exists, struct msp_wall now,
			       struct prt_outcome *out)
{
	const struct prt_merge_item *i = arg;
	enum msp_err err;

	if (!exists && i->d.count == 0)
		return MSP_OK;
	/* Something was decided, or published, after the transfer began: it may not be in there yet. Next time. */
	if (exists && has_moved(i->of, c)) {
		i->of->left_alone += !prt_delegation_equal(&i->d, &c->published);
		return MSP_OK;
	}
	err = prt_desk_imported(c, &i->d, now, out);
	for (; err == MSP_OK && i->of->is_first && !exists && out->entries > 0; out->entries--)
		prt_audit_fini(&out->entry[out->entries - 1]);
	return err;
}

/* One transaction. A child of which there is more than a record of the trail holds stays as it is; who that is, halves
 * tell. */
static enum msp_err write_items(struct prt_merge *m, struct prt_merge_item *item, size_t count)
{
	const struct msp_name *name[PRT_MERGE_CHUNK];
	void *arg[PRT_MERGE_CHUNK];
	enum msp_err err;

	for (size_t i = 0; i < count; i++) {
		name[i] = &item[i].d.child;
		arg[i] = &item[i];
	}
	err = prt_books_do_many(m->books, &m->parent, name, count, import_one, arg);
	if (err == MSP_OK)
		m->changed += count;
	if (err != MSP_ELIMIT)
		return err;
	if (count == 1) {
		note_too_large(m, name[0]);
		return MSP_OK;
	}
	err = write_items(m, item, count / 2);
	return err == MSP_OK ? write_items(m, item + count / 2, count - count / 2) : err;
}

static enum msp_err flush(struct prt_merge *m)
{
	enum msp_err err;

	if (m->item_count == 0)
		return MSP_OK;
	err = find_moved(m);
	if (err == MSP_OK)
		err = write_items(m, m->item, m->item_count);
	drop_items(m);
	return err;
}

/* The zone's head becomes an item; with none, the child is in the zone no more. */
static void differs(struct prt_merge *m, const struct msp_name *gone)
{
	struct prt_merge_item *i = &m->item[m->item_count++];

	i->of = m;
	if (gone != NULL) {
		prt_delegation_init(&i->d, &m->parent, gone);
		return;
	}
	i->d = m->head; /* its sets are the item's now */
	m->has_head = false;
}

static void drop_head(struct prt_merge *m)
{
	prt_delegation_clear(&m->head);
	m->has_head = false;
}

static void merge_one(struct prt_merge *m)
{
	struct prt_merge_child *c = m->child_at < m->child_count ? &m->child[m->child_at] : NULL;
	int order = c == NULL ? -1 : !m->has_head ? 1 : msp_name_cmp(&m->head.child, &c->name);

	m->seen++;
	if (order < 0) {
		if (m->head_err == MSP_OK)
			differs(m, NULL);
		else
			drop_head(m);
		return;
	}
	m->child_at++;
	if (order > 0) {
		if (!c->is_gone || c->published.count > 0) /* gone, and the backend has put it there since */
			differs(m, &c->name);
		return;
	}
	if (m->head_err == MSP_OK && (c->is_gone || !prt_delegation_equal(&m->head, &c->published)))
		differs(m, NULL);
	else
		drop_head(m);
}

enum msp_err prt_merge_step(struct prt_merge *m, bool *over)
{
	enum msp_err err = MSP_OK;

	*over = false;
	for (unsigned n = 0; err == MSP_OK && n < STEP && m->item_count < PRT_MERGE_CHUNK; n++) {
		err = more_zone(m);
		if (err == MSP_OK)
			err = more_children(m);
		if (err != MSP_OK)
			break;
		*over = !m->has_head && m->child_at >= m->child_count;
		if (*over)
			break;
		merge_one(m);
	}
	return err == MSP_OK ? flush(m) : err;
}
