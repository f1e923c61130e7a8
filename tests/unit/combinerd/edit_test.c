/* SPDX-License-Identifier: BSD-2-Clause */
/* Differences applied to stored pages, against a model that is a plain list of records. */
#include "cmb_build.h"

#include "pages_priv.h"

#include <msproto/base/rand.h>

#include <stdlib.h>
#include <unistd.h>

#define RECORDS_MAX 8000
#define NAMES_MAX   3000
#define STEPS       8

/* A record of the model: exactly the octets that are stored, uncompressed. */
struct item {
	struct msp_name owner;
	uint16_t type;
	uint32_t ttl;
	uint16_t len;
	uint8_t *rdata; /* owned */
};
struct model {
	struct item *item; /* owned */
	size_t count;
};

struct fixture {
	char dir[64], path[96];
	struct cmb_pages *p;
	struct msp_rand rand;
	struct msp_rr_scratch *scratch;
	struct msp_name zone;
	struct msp_name *names;
	size_t names_count;
	struct model now;
	struct cmb_owner *o;
	uint64_t next_seq;
	uint32_t serial;
};

static void open_store(struct fixture *f, uint64_t map_size)
{
	struct cmb_pages_conf conf = { .path = f->path, .map_size = map_size, .readers_max = 16 };
	bool anew;

	T_OK(cmb_pages_open(&conf, &f->p, &anew, NULL));
	assert_false(anew);
}

static int setup(void **state)
{
	struct fixture *f = msp_alloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/cmbeditXXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/zones.lmdb", f->dir);
	f->scratch = msp_alloc(1, sizeof(*f->scratch));
	f->names = msp_alloc(NAMES_MAX, sizeof(*f->names));
	f->now.item = msp_alloc(RECORDS_MAX, sizeof(*f->now.item));
	f->zone = t_name("zone.test.");
	open_store(f, 256u << 20);
	*state = f;
	return 0;
}

static void model_clear(struct model *m)
{
	while (m->count > 0)
		msp_free(m->item[--m->count].rdata);
}

static int teardown(void **state)
{
	static const char *const files[] = { "zones.lmdb", "zones.lmdb-lock" };
	struct fixture *f = *state;
	char path[128];
	int rc;

	cmb_pages_close(&f->p);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
		(void)unlink(path);
	}
	rc = rmdir(f->dir);
	cmb_owner_free(&f->o);
	model_clear(&f->now);
	msp_free(f->now.item);
	msp_free(f->names);
	msp_free(f->scratch);
	msp_free(f);
	return rc;
}

/* --- the model ---------------------------------------------------------------------------------------------------- */

static struct msp_rr rr_of(const struct item *i)
{
	return (struct msp_rr){
		.owner = i->owner, .type = i->type, .cls = MSP_CLASS_IN, .ttl = i->ttl, .rdata = { i->rdata, i->len }
	};
}

static struct item item_of(const struct msp_rr *rr)
{
	struct item i = { .owner = rr->owner, .type = rr->type, .ttl = rr->ttl, .len = (uint16_t)rr->rdata.len };

	i.rdata = msp_memdup(rr->rdata.ptr, rr->rdata.len);
	assert_non_null(i.rdata);
	return i;
}

static int item_cmp(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int c = msp_name_cmp(&a->owner, &b->owner);

	if (c == 0)
		c = msp_span_cmp(msp_name_span(&a->owner), msp_name_span(&b->owner));
	if (c == 0)
		c = (a->type > b->type) - (a->type < b->type);
	if (c == 0)
		c = (a->ttl > b->ttl) - (a->ttl < b->ttl);
	return c != 0 ? c : msp_span_cmp(msp_span(a->rdata, a->len), msp_span(b->rdata, b->len));
}

static bool is_same(const struct item *a, const struct item *b)
{
	return a->type == b->type && msp_name_equal(&a->owner, &b->owner) &&
	       msp_rdata_equal(a->type, msp_span(a->rdata, a->len), msp_span(b->rdata, b->len));
}

static size_t model_find(const struct model *m, const struct item *i)
{
	for (size_t k = 0; k < m->count; k++)
		if (is_same(&m->item[k], i))
			return k;
	return m->count;
}

static void model_add(struct model *m, struct item i)
{
	assert_true(m->count < RECORDS_MAX);
	m->item[m->count++] = i;
}

static void model_drop(struct model *m, size_t at)
{
	msp_free(m->item[at].rdata);
	m->item[at] = m->item[--m->count];
}

static struct model model_new(void)
{
	struct model m = { msp_alloc(RECORDS_MAX, sizeof(struct item)), 0 };

	assert_non_null(m.item);
	return m;
}

static struct model model_dup(const struct model *from)
{
	struct model m = model_new();

	for (size_t i = 0; i < from->count; i++) {
		struct msp_rr rr = rr_of(&from->item[i]);

		model_add(&m, item_of(&rr));
	}
	return m;
}

static void model_free(struct model *m)
{
	model_clear(m);
	msp_free(m->item);
}

static void expect_equal(struct model *a, struct model *b)
{
	assert_int_equal(a->count, b->count);
	qsort(a->item, a->count, sizeof(*a->item), item_cmp);
	qsort(b->item, b->count, sizeof(*b->item), item_cmp);
	for (size_t i = 0; i < a->count; i++)
		assert_int_equal(item_cmp(&a->item[i], &b->item[i]), 0);
}

/* --- random records ----------------------------------------------------------------------------------------------- */

static uint64_t below(struct fixture *f, uint64_t n)
{
	return msp_rand_below(&f->rand, n);
}

/* Labels of odd octets, in any case, near each other in canonical order. */
static struct msp_name random_name(struct fixture *f)
{
	static const uint8_t octets[] = "aAbBzZ09-_\0\1\2.\\\377[]@*{`";
	struct msp_name n, label = { .len = 0 };
	unsigned labels = (unsigned)below(f, 3) + 1;

	n = f->zone;
	while (labels-- > 0) {
		unsigned len = (unsigned)below(f, below(f, 20) == 0 ? 40 : 4) + 1;

		label.oct[0] = (uint8_t)len;
		for (unsigned i = 1; i <= len; i++)
			label.oct[i] = octets[below(f, sizeof(octets) - 1)];
		label.oct[len + 1] = 0;
		label.len = (uint8_t)(len + 2);
		T_OK(msp_name_concat(&label, &n, &n));
	}
	return n;
}

static struct msp_name random_case(struct fixture *f, struct msp_name n)
{
	for (unsigned i = 0; i < n.len; i++)
		if (n.oct[i] >= 'a' && n.oct[i] <= 'z' && below(f, 4) == 0)
			n.oct[i] = (uint8_t)(n.oct[i] - 32);
	return n;
}

static struct item random_item(struct fixture *f)
{
	static uint8_t rdata[30000];
	struct item i = { .owner = random_case(f, f->names[below(f, f->names_count)]), .ttl = (uint32_t)below(f, 3) };
	struct msp_name target;

	switch (below(f, 12)) {
	case 0:
	case 1:
	case 2:
		i.type = MSP_TYPE_NS;
		target = random_case(f, f->names[below(f, f->names_count)]);
		memcpy(rdata, target.oct, target.len);
		i.len = target.len;
		break;
	case 3:
		i.type = 60000;
		i.len = (uint16_t)(below(f, 10) == 0 ? below(f, sizeof(rdata)) + 1 : below(f, 500) + 1);
		memset(rdata, (int)below(f, 256), i.len);
		break;
	default:
		i.type = MSP_TYPE_A;
		i.len = 4;
		memset(rdata, 0, 4);
		rdata[3] = (uint8_t)below(f, 20);
		break;
	}
	i.rdata = msp_memdup(rdata, i.len);
	assert_non_null(i.rdata);
	return i;
}

/* --- the zone ----------------------------------------------------------------------------------------------------- */

static void expect_runs_in_order(const struct cmb_layout *l, uint64_t number, const struct msp_name *first,
				 struct msp_name *last, unsigned *run)
{
	if (l->is_unordered)
		return;
	while (*run < l->runs && number >= l->first[*run]) {
		++*run;
		last->len = 0;
	}
	assert_true(*run > 0);
	assert_true(last->len == 0 || msp_name_cmp(last, first) <= 0);
}

/* What the pages say, checked against what the owner says about them. */
static struct model read_zone(struct fixture *f)
{
	struct model m = model_new();
	struct cmb_snap *s = NULL;
	struct msp_name last = { .len = 0 };
	uint64_t number = 0, octets = 0;
	unsigned run = 0;
	uint32_t pages = 0;

	T_OK(cmb_snap_open(f->p, f->o->gen, &s));
	while (cmb_snap_seek(s, number + 1, &number) == MSP_OK) {
		struct msp_msg_it it;
		struct msp_span raw;
		struct msp_msg msg;
		struct msp_rr rr;

		T_OK(cmb_snap_here(s, &raw));
		T_OK(msp_msg_parse(raw, f->scratch, &msg, NULL));
		assert_true(msg.count[MSP_SEC_ANSWER] > 0);
		assert_true(raw.len <= CMB_PAGE_TARGET || msg.count[MSP_SEC_ANSWER] == 1);
		msp_msg_it_init(&it, &msg, MSP_SEC_ANSWER, f->scratch);
		while (msp_msg_next(&it, &rr)) {
			expect_runs_in_order(&f->o->layout, number, &rr.owner, &last, &run);
			last = rr.owner;
			model_add(&m, item_of(&rr));
		}
		assert_int_equal(it.rd.err, MSP_OK);
		pages++;
		octets += raw.len;
	}
	cmb_snap_close(&s);
	assert_int_equal(pages, f->o->pages);
	assert_int_equal(octets, f->o->octets);
	assert_int_equal(m.count, f->o->records);
	return m;
}

static void expect_stored(struct fixture *f)
{
	struct model got = read_zone(f);

	expect_equal(&got, &f->now);
	model_free(&got);
}

static void reopen(struct fixture *f)
{
	struct cmb_record r;

	cmb_pages_close(&f->p);
	open_store(f, 256u << 20);
	T_OK(cmb_pages_load(f->p, &f->zone, &r, NULL));
	cmb_owner_free(&f->o);
	f->o = r.owner;
	r.owner = NULL;
	assert_int_equal(r.head.out_serial, f->serial);
	cmb_record_fini(&r);
}

static enum msp_err commit(struct fixture *f, struct cmb_owner *o, struct cmb_build *b, struct cmb_edit *e,
			   struct cmb_delta *d)
{
	struct cmb_change c = { .zone = &f->zone,
				.owner = o,
				.served = &o->apex,
				.build = b,
				.edit = e,
				.delta = d,
				.history_entries = STEPS,
				.history_octets = 64u << 20,
				.retire = f->o != NULL && f->o->gen != o->gen ? f->o->gen : 0 };

	c.head.out_serial = d ? d->to : f->serial;
	c.head.next_seq = f->next_seq + (d != NULL);
	return cmb_pages_commit(f->p, &c, 1);
}

enum order { SORTED, FEW_RUNS, SHUFFLED, ORDERS };

static void arrange(struct fixture *f, enum order order)
{
	struct model *m = &f->now;
	size_t run = order == FEW_RUNS ? m->count / (2 + below(f, 5)) + 1 : m->count;

	for (size_t i = m->count; order != SORTED && i > 1; i--) {
		size_t k = below(f, i);
		struct item swap = m->item[i - 1];

		m->item[i - 1] = m->item[k];
		m->item[k] = swap;
	}
	for (size_t i = 0; order != SHUFFLED && i < m->count; i += run)
		qsort(m->item + i, m->count - i < run ? m->count - i : run, sizeof(*m->item), item_cmp);
}

static void make_zone(struct fixture *f, size_t names, size_t records, enum order order)
{
	struct cmb_owner *o = t_owner("");
	struct cmb_build *b = NULL;

	f->names_count = names;
	for (size_t i = 0; i < names; i++)
		f->names[i] = random_name(f);
	model_clear(&f->now);
	while (f->now.count < records) {
		struct item i = random_item(f);

		if (model_find(&f->now, &i) < f->now.count)
			msp_free(i.rdata);
		else
			model_add(&f->now, i);
		if (below(f, 20 * names) == 0) /* there may be no more that differ */
			break;
	}
	arrange(f, order);
	T_OK(cmb_build_new(f->p, &b));
	for (size_t i = 0; i < f->now.count; i++) {
		struct msp_rr rr = rr_of(&f->now.item[i]);

		T_OK(cmb_build_add(b, &rr));
	}
	T_OK(cmb_build_seal(b, o, below(f, 2) == 0));
	f->next_seq = 1;
	f->serial = 1000;
	T_OK(commit(f, o, b, NULL, NULL));
	cmb_build_free(&b);
	cmb_owner_free(&f->o);
	f->o = o;
}

/* --- differences -------------------------------------------------------------------------------------------------- */

static void change_at_random(struct fixture *f, struct cmb_edit *e)
{
	struct item i = random_item(f), other;
	size_t at = model_find(&f->now, &i);
	struct msp_rr rr = rr_of(&i);

	if (at == f->now.count) {
		if (below(f, 4) == 0) {
			T_ERR(cmb_edit_del(e, &rr), MSP_ENOTFOUND);
		} else if (f->now.count < RECORDS_MAX) {
			T_OK(cmb_edit_add(e, &rr));
			model_add(&f->now, item_of(&rr));
		}
	} else {
		if (below(f, 4) == 0)
			T_ERR(cmb_edit_add(e, &rr), MSP_EEXIST);
		T_OK(cmb_edit_del(e, &rr)); /* in whatever case and with whatever TTL */
		model_drop(&f->now, at);
	}
	msp_free(i.rdata);
	if (f->now.count == 0 || below(f, 2) == 0)
		return;
	at = below(f, f->now.count);
	other = f->now.item[at];
	rr = rr_of(&other);
	T_OK(cmb_edit_del(e, &rr));
	f->now.item[at] = f->now.item[--f->now.count];
	if (below(f, 3) == 0) { /* and back again, perhaps with another TTL */
		rr.ttl = (uint32_t)below(f, 3);
		T_OK(cmb_edit_add(e, &rr));
		model_add(&f->now, item_of(&rr));
	}
	msp_free(other.rdata);
}

static void apply_side(struct model *m, struct msp_span side, bool is_add, struct msp_rr_scratch *scratch, bool has_soa)
{
	struct msp_name last = { .len = 0 };
	struct msp_rd rd;

	msp_rd_init(&rd, side);
	while (msp_rd_left(&rd) > 0) {
		struct msp_rr rr;
		struct item i;
		size_t at;

		msp_rr_read(&rd, scratch, &rr);
		assert_int_equal(rd.err, MSP_OK);
		if (has_soa) {
			assert_int_equal(rr.type, MSP_TYPE_SOA);
			has_soa = false;
			continue;
		}
		assert_true(last.len == 0 || msp_name_cmp(&last, &rr.owner) <= 0);
		last = rr.owner;
		i = item_of(&rr);
		at = model_find(m, &i);
		if (is_add) {
			assert_int_equal(at, m->count);
			model_add(m, i);
		} else {
			assert_true(at < m->count);
			assert_int_equal(item_cmp(&m->item[at], &i), 0); /* octet by octet what was there */
			model_drop(m, at);
			msp_free(i.rdata);
		}
	}
}

static void put_soa(const struct cmb_owner *o, uint32_t serial, struct msp_buf *out)
{
	struct msp_rrset *soa = NULL;

	T_OK(cmb_soa_with_serial(o->apex.soa, serial, &soa));
	T_OK(msp_rrset_write(soa, out));
	msp_rrset_free(&soa);
}

static struct cmb_delta *delta_of(struct fixture *f, struct msp_span del, struct msp_span add)
{
	struct cmb_delta *d = msp_alloc(1, sizeof(*d));

	assert_non_null(d);
	d->from = f->serial;
	d->to = f->serial + 1;
	msp_buf_init(&d->del, 64u << 20);
	msp_buf_init(&d->add, 64u << 20);
	put_soa(f->o, d->from, &d->del);
	put_soa(f->o, d->to, &d->add);
	msp_buf_add_span(&d->del, del);
	msp_buf_add_span(&d->add, add);
	assert_true(d->del.err == MSP_OK && d->add.err == MSP_OK);
	return d;
}

/* Some changes, committed. What they come to must lead from the content before to that after. */
static void edit_at_random(struct fixture *f, size_t changes)
{
	struct model before = model_dup(&f->now);
	struct cmb_owner *o = NULL;
	struct cmb_edit *e = NULL;
	struct cmb_delta *d;
	struct msp_buf del, add;

	msp_buf_init(&del, 64u << 20);
	msp_buf_init(&add, 64u << 20);
	T_OK(cmb_edit_new(f->p, f->o, &e));
	while (changes-- > 0)
		change_at_random(f, e);
	T_OK(cmb_owner_dup(f->o, &o));
	T_OK(cmb_edit_seal(e, o, &del, &add));
	d = delta_of(f, msp_buf_span(&del), msp_buf_span(&add));
	T_OK(commit(f, o, NULL, e, d));
	f->next_seq++;
	f->serial++;
	cmb_edit_free(&e);
	cmb_owner_free(&f->o);
	f->o = o;
	apply_side(&before, msp_buf_span(&del), false, f->scratch, false);
	apply_side(&before, msp_buf_span(&add), true, f->scratch, false);
	expect_equal(&before, &f->now);
	cmb_delta_free(&d);
	msp_buf_fini(&del);
	msp_buf_fini(&add);
	model_free(&before);
}

/* From each serial that is kept, entry by entry and in one step. */
static void expect_history(struct fixture *f, const struct model *at, uint32_t first)
{
	struct cmb_delta_view *view = msp_alloc(CMB_HISTORY_MAX, sizeof(*view));
	struct cmb_snap *s = NULL;
	size_t count;

	T_OK(cmb_snap_open(f->p, f->o->gen, &s));
	for (uint32_t serial = first; serial < f->serial; serial++) {
		struct model one = model_dup(&at[serial - first]), all = model_dup(&at[serial - first]);
		struct cmb_delta *d = NULL;

		T_OK(cmb_snap_history(s, &f->zone, serial, f->serial, view, &count));
		assert_int_equal(count, f->serial - serial);
		for (size_t i = 0; i < count; i++) {
			apply_side(&one, view[i].del, false, f->scratch, true);
			apply_side(&one, view[i].add, true, f->scratch, true);
		}
		expect_equal(&one, &f->now);
		T_OK(cmb_history_condense(view, count, 64u << 20, &d));
		assert_true(d->from == serial && d->to == f->serial);
		apply_side(&all, msp_buf_span(&d->del), false, f->scratch, true);
		apply_side(&all, msp_buf_span(&d->add), true, f->scratch, true);
		expect_equal(&all, &f->now);
		if (count > 0) {
			size_t len = d->del.len + d->add.len;

			cmb_delta_free(&d);
			T_ERR(cmb_history_condense(view, count, len - 1, &d), MSP_ELIMIT);
			assert_null(d);
		}
		model_free(&one);
		model_free(&all);
	}
	cmb_snap_close(&s);
	msp_free(view);
}

static void check_line(struct fixture *f, size_t names, size_t records, size_t changes, enum order order)
{
	struct model at[STEPS + 1];

	make_zone(f, names, records, order);
	expect_stored(f);
	for (unsigned i = 0; i < STEPS; i++) {
		at[i] = model_dup(&f->now);
		edit_at_random(f, below(f, changes) + 1);
		expect_stored(f);
		if (i % 4 == 3) {
			reopen(f);
			expect_stored(f);
		}
	}
	expect_history(f, at, 1000);
	for (unsigned i = 0; i < STEPS; i++)
		model_free(&at[i]);
}

static void random_differences_leave_exactly_what_they_say(void **state)
{
	static const struct {
		size_t names, records, changes;
	} sizes[] = { { 1, 0, 3 },         { 3, 10, 20 },  { 10, 100, 40 },   { 100, 300, 100 },
		      { 1000, 1500, 200 }, { 1, 200, 60 }, { 2000, 2500, 20 } };
	struct fixture *f = *state;

	for (unsigned seed = 1; seed <= 3; seed++)
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			for (unsigned order = SORTED; order < ORDERS; order++) {
				msp_rand_init_seed(&f->rand, seed * 100 + i * 10 + order);
				check_line(f, sizes[i].names, sizes[i].records, sizes[i].changes, (enum order)order);
			}
}

static struct msp_rr small_rr(unsigned i, uint8_t rdata[4])
{
	struct msp_rr rr = { .type = MSP_TYPE_A, .cls = MSP_CLASS_IN, .ttl = 300, .rdata = { rdata, 4 } };
	char name[64];

	snprintf(name, sizeof(name), "n%010u.zone.test.", i);
	rr.owner = t_name(name);
	for (unsigned k = 0; k < 4; k++)
		rdata[k] = (uint8_t)(i >> (8 * k));
	return rr;
}

static void make_plain_zone(struct fixture *f, unsigned count, unsigned step)
{
	struct cmb_owner *o = t_owner("");
	struct cmb_build *b = NULL;
	uint8_t rdata[4];

	T_OK(cmb_build_new(f->p, &b));
	for (unsigned i = 0; i < count; i++) {
		struct msp_rr rr = small_rr(i * step, rdata);

		T_OK(cmb_build_add(b, &rr));
	}
	T_OK(cmb_build_seal(b, o, true));
	f->serial = 1000;
	f->next_seq = 1;
	T_OK(commit(f, o, b, NULL, NULL));
	cmb_build_free(&b);
	cmb_owner_free(&f->o);
	f->o = o;
}

static void expect_count(struct fixture *f, unsigned count)
{
	struct cmb_snap *s = NULL;
	struct msp_span raw;
	unsigned seen = 0;
	uint32_t pages = 0;

	T_OK(cmb_snap_open(f->p, f->o->gen, &s));
	for (; cmb_snap_next(s, &raw) == MSP_OK; pages++)
		seen += (unsigned)raw.ptr[6] << 8 | raw.ptr[7];
	cmb_snap_close(&s);
	assert_int_equal(seen, count);
	assert_int_equal(f->o->records, count);
	assert_int_equal(pages, f->o->pages);
}

static enum msp_err edit_plain(struct fixture *f, unsigned from, unsigned to, unsigned step, bool is_add)
{
	struct cmb_owner *o = NULL;
	struct cmb_edit *e = NULL;
	struct msp_buf del, add;
	enum msp_err err = MSP_OK;
	uint8_t rdata[4];

	msp_buf_init(&del, 64u << 20);
	msp_buf_init(&add, 64u << 20);
	T_OK(cmb_edit_new(f->p, f->o, &e));
	for (unsigned i = from; err == MSP_OK && i < to; i += step) {
		struct msp_rr rr = small_rr(i, rdata);

		err = is_add ? cmb_edit_add(e, &rr) : cmb_edit_del(e, &rr);
	}
	T_OK(cmb_owner_dup(f->o, &o));
	if (err == MSP_OK)
		err = cmb_edit_seal(e, o, &del, &add);
	if (err == MSP_OK)
		err = commit(f, o, NULL, e, NULL);
	if (err == MSP_OK) {
		cmb_owner_free(&f->o);
		f->o = o;
		o = NULL;
	}
	cmb_owner_free(&o);
	cmb_edit_free(&e);
	msp_buf_fini(&del);
	msp_buf_fini(&add);
	return err;
}

static void pages_that_get_too_full_become_several(void **state)
{
	struct fixture *f = *state;
	unsigned count = 2000;

	make_plain_zone(f, 2000, 64);
	for (unsigned step = 32; step >= 16; step /= 2) {
		T_OK(edit_plain(f, step, 2000 * 64, 2 * step, true));
		count *= 2;
		expect_count(f, count);
	}
	assert_true(f->o->layout.runs == 1 && !f->o->layout.is_unordered);
	/* and then all in one place */
	for (unsigned i = 0; i < 15; i++) {
		T_OK(edit_plain(f, i * 1000 + 5, (i + 1) * 1000 + 5, 16, true));
		T_OK(edit_plain(f, i * 1000 + 7, (i + 1) * 1000 + 7, 16, true));
	}
	reopen(f);
}

static void a_zone_can_be_emptied_and_filled_again(void **state)
{
	struct fixture *f = *state;

	make_plain_zone(f, 3000, 1);
	T_OK(edit_plain(f, 0, 3000, 1, false));
	expect_count(f, 0);
	assert_int_equal(f->o->pages, 0);
	T_OK(edit_plain(f, 0, 3000, 1, true));
	expect_count(f, 3000);
	T_OK(edit_plain(f, 100, 2900, 1, false));
	expect_count(f, 200);
	T_OK(edit_plain(f, 100, 2900, 1, true));
	expect_count(f, 3000);
	make_plain_zone(f, 0, 1);
	T_OK(edit_plain(f, 0, 1, 1, true));
	expect_count(f, 1);
}

/* The same place again and again until no number is left between two pages: then the whole zone is asked for. */
static void without_a_number_between_two_pages_the_whole_zone_is_asked_for(void **state)
{
	struct fixture *f = *state;
	unsigned from = 100000000 - 1;
	enum msp_err err = MSP_OK;

	make_plain_zone(f, 2000, 100000);
	for (unsigned i = 0; err == MSP_OK && i < 60; i++, from -= 700)
		err = edit_plain(f, from - 699, from, 1, true);
	assert_int_equal(err, MSP_ELIMIT);
	T_OK(edit_plain(f, 199800001, 199801001, 1, true)); /* elsewhere there is room */
}

static void an_edit_that_is_too_large_says_so(void **state)
{
	struct fixture *f = *state;

	make_plain_zone(f, 10, 1);
	T_ERR(edit_plain(f, 100, 2000000, 1, true), MSP_ELIMIT);
	expect_count(f, 10);
}

/* The map is full, and a reader keeps it from growing: the version before stays, on disk too. */
static void a_commit_that_fails_leaves_the_version_before(void **state)
{
	struct fixture *f = *state;
	struct cmb_snap *reader = NULL;
	enum msp_err err = MSP_OK;
	unsigned done = 0;

	make_plain_zone(f, 20000, 10);
	cmb_pages_close(&f->p);
	open_store(f, 2u << 20);
	T_OK(cmb_snap_open(f->p, f->o->gen, &reader));
	while (err == MSP_OK && done < 9) {
		err = edit_plain(f, done + 1, 200000, 10, true);
		done += err == MSP_OK;
	}
	assert_int_equal(err, MSP_ENOSPACE);
	expect_count(f, 20000 * (done + 1));
	cmb_snap_close(&reader);
	reopen(f);
	expect_count(f, 20000 * (done + 1));
	T_OK(edit_plain(f, done + 1, 200000, 10, true));
	expect_count(f, 20000 * (done + 2));
}

static void without_memory_an_edit_fails_and_leaves_none_behind(void **state)
{
	struct fixture *f = *state;
	enum msp_err err = MSP_ENOMEM;
	size_t n;

	make_plain_zone(f, 3000, 10);
	for (n = 1; err == MSP_ENOMEM && n < 10000; n++) {
		struct cmb_owner *o = NULL;
		struct cmb_edit *e = NULL;
		struct msp_buf del, add;
		uint8_t a[4], b[4];
		struct msp_rr gone = small_rr(100, a), come = small_rr(15555, b);

		T_OK(cmb_owner_dup(f->o, &o));
		msp_buf_init(&del, 64u << 20);
		msp_buf_init(&add, 64u << 20);
		msp_mem_fail_at(n);
		err = cmb_edit_new(f->p, f->o, &e);
		if (err == MSP_OK)
			err = cmb_edit_del(e, &gone);
		if (err == MSP_OK)
			err = cmb_edit_add(e, &come);
		if (err == MSP_OK)
			err = cmb_edit_seal(e, o, &del, &add);
		if (err == MSP_OK)
			err = commit(f, o, NULL, e, NULL);
		msp_mem_fail_at(0);
		if (err == MSP_OK) {
			cmb_owner_free(&f->o);
			f->o = o;
			o = NULL;
		}
		cmb_edit_free(&e);
		cmb_owner_free(&o);
		msp_buf_fini(&del);
		msp_buf_fini(&add);
		if (err != MSP_OK)
			expect_count(f, 3000);
	}
	assert_int_equal(err, MSP_OK);
	assert_true(n > 10);
	expect_count(f, 3000);
}

static void a_damaged_page_stops_the_edit(void **state)
{
	static const char *const bad[] = {
		"",
		"\0\0\x84\0\0\0\0\1\0\0\0", /* shorter than a header */
		"\0\0\x84\0\0\0\0\1\0\0\0\0",
		"\0\0\x84\0\0\1\0\1\0\0\0\0\1n\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4",
		"\0\0\x84\0\0\0\0\2\0\0\0\0\1n\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4",
		"\0\0\x84\0\0\0\0\1\0\0\0\0\xc0\x0c\0\1\0\1\0\0\0\0\0\4\1\2\3\4",
		"\0\0\x84\0\0\0\0\1\0\0\0\0\1n\0\0\1\0\1\0\0\0\0\0\5\1\2\3\4",
	};
	static const size_t len[] = { 0, 11, 12, 29, 29, 28, 29 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		struct cmb_edit *e = NULL;
		struct msp_rr rr;
		uint8_t rdata[4];
		MDB_txn *txn = NULL;

		make_plain_zone(f, 1, 1);
		assert_int_equal(mdb_txn_begin(f->p->env, NULL, 0, &txn), 0);
		assert_int_equal(cmb_page_put(txn, f->p, f->o->gen, f->o->layout.first[0], msp_span(bad[i], len[i])),
				 0);
		assert_int_equal(mdb_txn_commit(txn), 0);
		T_OK(cmb_edit_new(f->p, f->o, &e));
		rr = small_rr(0, rdata);
		T_ERR(cmb_edit_del(e, &rr), MSP_ECORRUPT);
		T_ERR(cmb_edit_add(e, &rr), MSP_ECORRUPT); /* and stays unusable */
		cmb_edit_free(&e);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(random_differences_leave_exactly_what_they_say),
		TEST(pages_that_get_too_full_become_several),
		TEST(a_zone_can_be_emptied_and_filled_again),
		TEST(without_a_number_between_two_pages_the_whole_zone_is_asked_for),
		TEST(an_edit_that_is_too_large_says_so),
		TEST(a_commit_that_fails_leaves_the_version_before),
		TEST(without_memory_an_edit_fails_and_leaves_none_behind),
		TEST(a_damaged_page_stops_the_edit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
