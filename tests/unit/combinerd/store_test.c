/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store and the state on disk, on real files in a directory of their own. */
#include "cmb_build.h"

#include "intake.h"
#include "pages.h"
#include "state.h"

#include <lmdb.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
	char dir[64], lmdb[96], db[96];
	struct cmb_pages *p;
	struct msp_store *s;
};

static void open_pages(struct fixture *f)
{
	struct cmb_pages_conf conf = { .path = f->lmdb, .map_size = 256u << 20, .readers_max = 16 };
	struct msp_why why = { "" };
	bool anew;

	T_OK(cmb_pages_open(&conf, &f->p, &anew, &why));
	assert_false(anew);
}

static int setup(void **state)
{
	struct fixture *f = msp_alloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/cmbstoreXXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->lmdb, sizeof(f->lmdb), "%s/zones.lmdb", f->dir);
	snprintf(f->db, sizeof(f->db), "%s/state.db", f->dir);
	open_pages(f);
	T_OK(cmb_state_open(f->db, &f->s, NULL));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = { "zones.lmdb", "zones.lmdb-lock", "zones.lmdb.damaged",
					     "state.db",   "state.db-wal",    "state.db-shm" };
	struct fixture *f = *state;
	char path[128];
	int rc;

	cmb_pages_close(&f->p);
	msp_store_close(&f->s);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
		(void)unlink(path);
	}
	rc = rmdir(f->dir);
	msp_free(f);
	return rc;
}

static struct msp_rr record(unsigned i, uint8_t rdata[4])
{
	char name[64];
	struct msp_rr rr = { .type = MSP_TYPE_A, .cls = MSP_CLASS_IN, .ttl = i, .rdata = { rdata, 4 } };

	snprintf(name, sizeof(name), "N%u.zone.test.", i);
	rr.owner = t_name(name);
	for (unsigned k = 0; k < 4; k++)
		rdata[k] = (uint8_t)(i >> (8 * k));
	return rr;
}

static struct cmb_owner *build_zone(struct fixture *f, unsigned count, bool to_disk, struct cmb_build **b)
{
	struct cmb_owner *o = t_owner(Z "300 HSYNC ON AGENT YES " US "\n" Z "300 CDS 1 13 2 " DIGEST "\n");
	uint8_t rdata[4];

	T_OK(cmb_build_new(f->p, b));
	for (unsigned i = 0; i < count; i++) {
		struct msp_rr rr = record(i, rdata);

		T_OK(cmb_build_add(*b, &rr));
	}
	T_OK(cmb_build_seal(*b, o, to_disk));
	assert_int_equal(o->records, count);
	return o;
}

static struct cmb_change change_of(const struct msp_name *zone, const struct cmb_owner *o, uint32_t out_serial)
{
	return (struct cmb_change){ .zone = zone,
				    .head = { .owner_serial = 1000, .out_serial = out_serial, .next_seq = 1 },
				    .owner = o,
				    .served = &o->apex };
}

/* A sealed and committed generation of `count` records. */
static struct cmb_owner *store_zone(struct fixture *f, unsigned count, uint32_t out_serial)
{
	struct msp_name zone = t_name("zone.test.");
	struct cmb_build *b = NULL;
	struct cmb_owner *o = build_zone(f, count, count % 2 == 0, &b);
	struct cmb_change c = change_of(&zone, o, out_serial);

	c.build = b;
	T_OK(cmb_pages_commit(f->p, &c, 1));
	cmb_build_free(&b);
	return o;
}

static unsigned count_records(struct fixture *f, const struct cmb_owner *o)
{
	struct msp_rr_scratch *scratch = msp_alloc(1, sizeof(*scratch));
	struct cmb_snap *snap = NULL;
	unsigned seen = 0, pages = 0;
	struct msp_span raw;
	uint64_t octets = 0;
	enum msp_err err;

	T_OK(cmb_snap_open(f->p, o->gen, &snap));
	while ((err = cmb_snap_next(snap, &raw)) == MSP_OK) {
		struct msp_msg_it it;
		struct msp_msg m;
		struct msp_rr rr;
		uint8_t rdata[4];

		T_OK(msp_msg_parse(raw, scratch, &m, NULL)); /* a page is a message */
		assert_int_equal(m.flags, MSP_FLAG_QR | MSP_FLAG_AA);
		assert_true(raw.len <= CMB_PAGE_TARGET);
		msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, scratch);
		while (msp_msg_next(&it, &rr)) {
			struct msp_rr want = record(seen++, rdata);

			assert_true(msp_name_same(&rr.owner, &want.owner)); /* case kept */
			assert_true(rr.ttl == want.ttl && msp_span_equal(rr.rdata, want.rdata));
		}
		pages++;
		octets += raw.len;
		cmb_snap_used(snap, raw);
	}
	assert_int_equal(err, MSP_ENOTFOUND);
	assert_int_equal(pages, o->pages);
	assert_int_equal(octets, o->octets);
	cmb_snap_rewind(snap);
	assert_int_equal(cmb_snap_next(snap, &raw), o->pages > 0 ? MSP_OK : MSP_ENOTFOUND);
	cmb_snap_close(&snap);
	msp_free(scratch);
	return seen;
}

static void expect_no_pages(struct fixture *f, uint64_t gen)
{
	struct cmb_snap *snap = NULL;
	struct msp_span msg;

	T_OK(cmb_snap_open(f->p, gen, &snap));
	T_ERR(cmb_snap_next(snap, &msg), MSP_ENOTFOUND);
	cmb_snap_close(&snap);
}

static void sweep_all(struct fixture *f)
{
	bool more;

	do
		T_OK(cmb_pages_sweep(f->p, 3, &more));
	while (more);
}

static void what_goes_in_comes_out_after_reopening(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("ZONE.test.");
	struct cmb_owner *o = store_zone(f, 20000, 77);
	struct cmb_record back;

	cmb_pages_close(&f->p);
	open_pages(f);
	T_OK(cmb_pages_load(f->p, &zone, &back, NULL));
	assert_int_equal(back.head.out_serial, 77);
	assert_true(back.owner->gen == o->gen && back.owner->pages == o->pages && back.owner->records == 20000 &&
		    back.owner->octets == o->octets);
	assert_true(back.owner->layout.runs == o->layout.runs &&
		    back.owner->layout.is_unordered == o->layout.is_unordered);
	assert_memory_equal(back.owner->layout.first, o->layout.first, sizeof(o->layout.first));
	assert_true(cmb_apex_equal(&back.owner->apex, &o->apex) && cmb_apex_serial(&back.owner->apex) == 1000);
	assert_true(cmb_apex_equal(&back.served, &o->apex));
	assert_true(msp_rrset_equal(back.owner->hsync, o->hsync));
	assert_int_equal(count_records(f, back.owner), 20000);
	cmb_record_fini(&back);
	cmb_owner_free(&o);
}

static void expect_head(const struct cmb_head *got, const struct cmb_head *want)
{
	assert_true(got->gen == want->gen && got->owner_serial == want->owner_serial &&
		    got->out_serial == want->out_serial && got->refresh_s == want->refresh_s &&
		    got->retry_s == want->retry_s && got->expire_s == want->expire_s && got->ceiling == want->ceiling &&
		    got->instructions == want->instructions && got->rules == want->rules &&
		    got->records == want->records && got->octets == want->octets && got->next_seq == want->next_seq &&
		    got->confirmed.s == want->confirmed.s && got->is_signed == want->is_signed &&
		    got->ns_applied == want->ns_applied);
}

static void every_member_of_a_head_is_kept(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test.");
	struct cmb_owner *o = t_owner("");
	struct cmb_change c = change_of(&zone, o, 1);
	struct cmb_confirmed confirmed = { &zone, { 1234567890123 }, 7, 8 };
	struct cmb_head want = { .gen = UINT64_C(0x1122334455667788),
				 .owner_serial = 0xfffffffe,
				 .out_serial = 0xffffffff,
				 .refresh_s = 1,
				 .retry_s = 2,
				 .expire_s = 3,
				 .ceiling = 0x80000000,
				 .instructions = UINT64_C(1) << 40,
				 .rules = UINT64_MAX,
				 .records = UINT64_C(1) << 33,
				 .octets = UINT64_C(1) << 34,
				 .next_seq = 5,
				 .confirmed = { -1 },
				 .is_signed = true,
				 .ns_applied = true };
	struct cmb_head got;

	o->gen = want.gen;
	o->records = want.records;
	o->octets = want.octets;
	o->is_signed = true;
	c.head = want;
	T_OK(cmb_pages_commit(f->p, &c, 1));
	T_OK(cmb_pages_head(f->p, &zone, &got));
	expect_head(&got, &want);
	T_OK(cmb_pages_confirm(f->p, &confirmed, 1));
	T_OK(cmb_pages_head(f->p, &zone, &got));
	want.confirmed = confirmed.at;
	want.instructions = 7;
	want.rules = 8;
	expect_head(&got, &want);
	cmb_owner_free(&o);
}

/* --- messages that become pages as they are ------------------------------------------------------------------------
 */

#define AS_IS_COUNT 3000
#define TWIST_AT    1500 /* in the middle of a message */

/* What is not right with one of the records, or with all the messages. */
enum twist { NOTHING, TWICE, APART, BACKWARDS, OUTSIDE, RARE, SMALL, LARGE, TWISTS };

struct sender {
	struct msp_msgw w;
	uint8_t mem[MSP_MSG_MAX];
	struct msp_xfrin x;
	struct cmb_intake *in;
	size_t target;
	unsigned messages;
	bool is_over;
};

struct rdata {
	uint8_t oct[64];
};

static struct msp_rr sorted_record(unsigned i, struct rdata *r)
{
	struct msp_rr rr = { .type = MSP_TYPE_A, .cls = MSP_CLASS_IN, .ttl = i, .rdata = { r->oct, 4 } };
	char name[64];

	snprintf(name, sizeof(name), "%c%05u.zone.test.", i % 7 == 0 ? 'N' : 'n', i);
	rr.owner = t_name(name);
	for (unsigned k = 0; k < 4; k++)
		r->oct[k] = (uint8_t)(i >> (8 * k));
	return rr;
}

/* @return whether it belongs into the pages */
static bool twisted_record(enum twist twist, struct msp_rr *rr, struct rdata *r)
{
	*rr = sorted_record(TWIST_AT - 1, r);
	switch (twist) {
	case APART:
		rr->owner = t_name("zone.test.");
		rr->type = MSP_TYPE_CDS;
		rr->rdata.len = 36;
		return false;
	case BACKWARDS:
		rr->owner = t_name("a.zone.test.");
		return true;
	case OUTSIDE:
		rr->owner = t_name("a.other.test.");
		return false;
	case RARE: /* MINFO: its names may be compressed in what we receive, and are not in what we write */
		rr->type = 14;
		rr->rdata = msp_span("\3one\4zone\4test\0\3two\4zone\4test", 30);
		return true;
	default:
		return false;
	}
}

static void flush_message(struct sender *s)
{
	enum msp_xfrin_state st;
	struct msp_span octets;
	struct msp_why why = { "" };

	T_OK(msp_msgw_finish(&s->w, &octets));
	if (msp_xfrin_feed(&s->x, octets, &st, NULL, &why) != MSP_OK)
		fail_msg("message %u: %s", s->messages, why.text);
	s->is_over = st == MSP_XFRIN_DONE;
	s->messages++;
	msp_msgw_init(&s->w, s->mem, sizeof(s->mem), 7, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_RA);
}

static void send_record(struct sender *s, const struct msp_rr *rr)
{
	msp_msgw_rr(&s->w, MSP_SEC_ANSWER, rr);
	if (s->w.wr.pos >= s->target)
		flush_message(s);
}

static void send_apex(struct sender *s, const char *line)
{
	struct msp_rrset *set = t_rrset(line);
	struct msp_rr rr = { set->owner, set->type, MSP_CLASS_IN, set->ttl, set->rdata[0] };

	send_record(s, &rr);
	msp_rrset_free(&set);
}

static struct cmb_owner *receive(struct fixture *f, enum twist twist, unsigned *messages)
{
	const struct cmb_guard_limits no_limits = { 0 };
	const struct msp_xfrin_limits limits = { 0, 0 };
	struct msp_name zone = t_name("zone.test.");
	struct sender *s = msp_alloc(1, sizeof(*s));
	struct cmb_change c;
	struct cmb_owner *o;
	struct msp_rr rr;
	struct rdata r;

	assert_non_null(s);
	s->target = twist == SMALL ? 3000 : twist == LARGE ? 20000 : 12000;
	T_OK(cmb_intake_open(f->p, &zone, &msp_numbers_default, &no_limits, NULL, &s->in));
	msp_xfrin_init(&s->x, MSP_XFR_AXFR, &zone, 7, 0, &limits, &cmb_intake_ops, s->in);
	msp_msgw_init(&s->w, s->mem, sizeof(s->mem), 7, MSP_OPCODE_QUERY, MSP_FLAG_QR);
	msp_msgw_question(&s->w, &zone, MSP_TYPE_AXFR, MSP_CLASS_IN);
	send_apex(s, SOA_LINE);
	send_apex(s, "zone.test. 300 NS ns1.owner.test.");
	flush_message(s);
	for (unsigned i = 0; i < AS_IS_COUNT; i++) {
		if (i == TWIST_AT && twist != NOTHING && twist < SMALL) {
			(void)twisted_record(twist, &rr, &r);
			send_record(s, &rr);
		}
		rr = sorted_record(i, &r);
		send_record(s, &rr);
	}
	flush_message(s);
	send_apex(s, SOA_LINE);
	flush_message(s);
	assert_true(s->is_over);
	T_OK(cmb_intake_finish(s->in, true));
	*messages = s->messages;
	o = s->in->owner;
	s->in->owner = NULL;
	c = change_of(&zone, o, 1000);
	c.build = s->in->build;
	T_OK(cmb_pages_commit(f->p, &c, 1));
	cmb_intake_close(&s->in);
	msp_free(s);
	return o;
}

/* The record that the pages must have at this place. */
static struct msp_rr expected(enum twist twist, unsigned at, struct rdata *r)
{
	struct msp_rr rr;

	if (at >= TWIST_AT && twisted_record(twist, &rr, r)) {
		if (at == TWIST_AT)
			return rr;
		at--;
	}
	return sorted_record(at, r);
}

static void assert_pages(struct fixture *f, const struct cmb_owner *o, enum twist twist)
{
	struct msp_rr_scratch *scratch = msp_alloc(1, sizeof(*scratch));
	struct cmb_snap *snap = NULL;
	struct msp_span raw;
	unsigned seen = 0;
	enum msp_err err;

	assert_non_null(scratch);
	T_OK(cmb_snap_open(f->p, o->gen, &snap));
	while ((err = cmb_snap_next(snap, &raw)) == MSP_OK) {
		struct msp_msg_it it;
		struct msp_msg m;
		struct msp_rr rr;

		T_OK(msp_msg_parse(raw, scratch, &m, NULL));
		assert_int_equal(m.flags, MSP_FLAG_QR | MSP_FLAG_AA);
		assert_int_equal(m.id, 0);
		assert_true(raw.len <= CMB_PAGE_TARGET);
		msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, scratch);
		while (msp_msg_next(&it, &rr)) {
			struct rdata r;
			struct msp_rr want = expected(twist, seen++, &r);

			assert_true(msp_name_same(&rr.owner, &want.owner) && rr.type == want.type);
			assert_true(rr.ttl == want.ttl && msp_span_equal(rr.rdata, want.rdata));
		}
	}
	assert_int_equal(err, MSP_ENOTFOUND);
	assert_int_equal(seen, o->records);
	cmb_snap_close(&snap);
	msp_free(scratch);
}

/* Differences find every record: the order of names is what the layout says. */
static void assert_all_found(struct fixture *f, const struct cmb_owner *o, enum twist twist)
{
	struct cmb_owner *after = t_owner("");
	struct cmb_edit *e = NULL;
	struct msp_buf del, add;

	msp_buf_init(&del, 1u << 20);
	msp_buf_init(&add, 1u << 20);
	T_OK(cmb_edit_new(f->p, o, &e));
	for (unsigned i = 0; i < o->records; i++) {
		struct rdata r;
		struct msp_rr rr = expected(twist, (i * 7u) % (unsigned)o->records, &r);

		T_OK(cmb_edit_del(e, &rr));
	}
	T_OK(cmb_edit_seal(e, after, &del, &add));
	assert_int_equal(after->records, 0);
	cmb_edit_free(&e);
	msp_buf_fini(&del);
	msp_buf_fini(&add);
	cmb_owner_free(&after);
}

static void messages_become_pages_as_they_are_if_all_of_their_records_do(void **state)
{
	struct fixture *f = *state;

	for (enum twist t = NOTHING; t < TWISTS; t++) {
		unsigned messages = 0;
		struct cmb_owner *o = receive(f, t, &messages);
		struct msp_rr rr;
		struct rdata r;

		assert_int_equal(o->records, AS_IS_COUNT + (t < SMALL && twisted_record(t, &rr, &r)));
		assert_int_equal(o->layout.runs, t == BACKWARDS ? 2 : 1);
		if (t == NOTHING) /* but the SOAs' */
			assert_int_equal(o->pages, messages - 2);
		assert_pages(f, o, t);
		assert_all_found(f, o, t);
		cmb_owner_free(&o);
	}
}

static void an_empty_zone_has_no_pages(void **state)
{
	struct fixture *f = *state;
	struct cmb_owner *o = store_zone(f, 0, 1);

	assert_int_equal(o->pages, 0);
	assert_int_equal(count_records(f, o), 0);
	cmb_owner_free(&o);
}

static void unknown_zones_are_not_found_and_forgotten_ones_neither(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test."), other = t_name("other.test.");
	struct cmb_owner *o = store_zone(f, 10, 1);
	struct cmb_record back;
	struct cmb_head head;

	T_ERR(cmb_pages_load(f->p, &other, &back, NULL), MSP_ENOTFOUND);
	T_ERR(cmb_pages_head(f->p, &other, &head), MSP_ENOTFOUND);
	T_OK(cmb_pages_forget(f->p, &zone));
	T_OK(cmb_pages_forget(f->p, &zone));
	T_ERR(cmb_pages_load(f->p, &zone, &back, NULL), MSP_ENOTFOUND);
	sweep_all(f);
	expect_no_pages(f, o->gen);
	cmb_owner_free(&o);
}

static void many_zones_go_into_one_transaction(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone[50];
	struct cmb_change c[50];
	struct cmb_build *b[50];
	struct cmb_owner *o[50];
	struct cmb_pages_stats before = cmb_pages_stats(f->p), after;
	struct cmb_head head;

	for (unsigned i = 0; i < 50; i++) {
		char name[32];

		snprintf(name, sizeof(name), "z%u.test.", i);
		zone[i] = t_name(name);
		o[i] = build_zone(f, i, false, &b[i]);
		c[i] = change_of(&zone[i], o[i], i);
		c[i].build = b[i];
	}
	T_OK(cmb_pages_commit(f->p, c, 50));
	after = cmb_pages_stats(f->p);
	assert_int_equal(after.commits, before.commits + 1);
	assert_true(after.used_octets > before.used_octets && after.used_octets <= after.file_octets);
	for (unsigned i = 0; i < 50; i++) {
		cmb_build_free(&b[i]);
		T_OK(cmb_pages_head(f->p, &zone[i], &head));
		assert_int_equal(head.out_serial, i);
		assert_int_equal(count_records(f, o[i]), i);
		cmb_owner_free(&o[i]);
	}
	assert_int_equal(cmb_pages_stats(f->p).retired, 0);
}

static void the_small_generation_before_goes_in_the_same_transaction(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test.");
	struct cmb_owner *small = store_zone(f, 100, 1), *large, *last;
	struct cmb_build *b = NULL;
	struct cmb_change c;

	large = build_zone(f, 20000, true, &b);
	c = change_of(&zone, large, 2);
	c.build = b;
	c.retire = small->gen;
	T_OK(cmb_pages_commit(f->p, &c, 1));
	cmb_build_free(&b);
	assert_int_equal(cmb_pages_stats(f->p).retired, 0);
	expect_no_pages(f, small->gen);
	last = build_zone(f, 7, false, &b);
	c = change_of(&zone, last, 3);
	c.build = b;
	c.retire = large->gen;
	T_OK(cmb_pages_commit(f->p, &c, 1));
	cmb_build_free(&b);
	assert_int_equal(cmb_pages_stats(f->p).retired, 1);
	sweep_all(f);
	expect_no_pages(f, large->gen);
	assert_int_equal(count_records(f, last), 7);
	cmb_owner_free(&small);
	cmb_owner_free(&large);
	cmb_owner_free(&last);
}

static void without_a_commit_the_old_version_stays(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test.");
	struct cmb_owner *o = store_zone(f, 100, 1), *unfinished;
	struct cmb_record back;
	struct cmb_build *b = NULL, *other = NULL;
	struct cmb_owner *under_construction;

	unfinished = build_zone(f, 5000, true, &b);
	/* as after kill -9: the builder is gone, the pages are there */
	cmb_build_free(&b);
	cmb_pages_close(&f->p);
	open_pages(f);
	T_OK(cmb_pages_load(f->p, &zone, &back, NULL));
	assert_int_equal(back.owner->records, 100);
	assert_int_equal(count_records(f, unfinished), 5000);
	under_construction = build_zone(f, 3000, true, &other);
	T_OK(cmb_pages_find_garbage(f->p));
	sweep_all(f);
	assert_int_equal(count_records(f, back.owner), 100);
	assert_int_equal(count_records(f, under_construction), 3000);
	expect_no_pages(f, unfinished->gen);
	cmb_build_free(&other);
	sweep_all(f);
	expect_no_pages(f, under_construction->gen);
	cmb_owner_free(&under_construction);
	cmb_record_fini(&back);
	cmb_owner_free(&unfinished);
	cmb_owner_free(&o);
}

static void a_reader_keeps_its_version_while_it_is_replaced_and_swept(void **state)
{
	struct fixture *f = *state;
	struct cmb_owner *old = store_zone(f, 30000, 1), *new;
	struct cmb_snap *snap = NULL;
	struct msp_span msg;

	T_OK(cmb_snap_open(f->p, old->gen, &snap));
	new = store_zone(f, 4000, 2);
	cmb_pages_retire(f->p, old->gen);
	sweep_all(f);
	for (uint32_t i = 0; i < old->pages; i++)
		T_OK(cmb_snap_next(snap, &msg));
	T_ERR(cmb_snap_next(snap, &msg), MSP_ENOTFOUND);
	cmb_snap_close(&snap);
	assert_int_equal(count_records(f, new), 4000);
	cmb_owner_free(&new);
	cmb_owner_free(&old);
}

static void what_was_used_can_be_looked_at_again(void **state)
{
	struct fixture *f = *state;
	struct cmb_owner *o = store_zone(f, 300000, 1);

	assert_true(o->octets > (5u << 20)); /* large enough for its mapping to be dropped */
	assert_int_equal(count_records(f, o), 300000);
	assert_int_equal(count_records(f, o), 300000);
	cmb_owner_free(&o);
}

/* Flip one bit of every `step`th octet that belongs to a record's RDATA or name: the sum must see it. */
static void a_flipped_bit_in_a_page_is_found(void **state)
{
	struct fixture *f = *state;
	struct cmb_owner *o = store_zone(f, 300, 1);
	char mark[] = "N299";
	struct cmb_snap *snap = NULL;
	struct msp_span msg;
	FILE *file;
	uint8_t *data;
	long size;
	unsigned hits = 0;

	cmb_pages_close(&f->p);
	file = fopen(f->lmdb, "r+b");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	data = msp_alloc((size_t)size, 1);
	assert_non_null(data);
	rewind(file);
	assert_int_equal(fread(data, 1, (size_t)size, file), (size_t)size);
	for (long i = 0; i + 4 < size; i++)
		if (memcmp(data + i, mark, 4) == 0) {
			assert_int_equal(fseek(file, i + 3, SEEK_SET), 0);
			assert_int_equal(fputc('8', file), '8'); /* N298: still a valid message */
			hits++;
		}
	fclose(file);
	msp_free(data);
	assert_true(hits > 0);
	open_pages(f);
	T_OK(cmb_snap_open(f->p, o->gen, &snap));
	for (uint32_t i = 0; i < o->pages - 1; i++)
		T_OK(cmb_snap_next(snap, &msg));
	T_ERR(cmb_snap_next(snap, &msg), MSP_ECORRUPT);
	cmb_snap_close(&snap);
	assert_int_equal(cmb_pages_stats(f->p).damaged, 1);
	cmb_owner_free(&o);
}

static void a_record_too_large_for_a_message_with_tsig_is_refused(void **state)
{
	struct fixture *f = *state;
	struct cmb_build *b = NULL;
	static uint8_t big[65535];
	struct msp_rr rr = {
		.owner = t_name("zone.test."), .type = 60000, .cls = MSP_CLASS_IN, .rdata = { big, 65300 }
	};

	T_OK(cmb_build_new(f->p, &b));
	T_OK(cmb_build_add(b, &rr));
	rr.rdata.len = 65500;
	T_ERR(cmb_build_add(b, &rr), MSP_ELIMIT);
	cmb_build_free(&b);
}

static void a_full_map_grows_when_nobody_reads_and_fails_cleanly_when_somebody_does(void **state)
{
	struct fixture *f = *state;
	struct cmb_pages_conf conf = { .path = f->lmdb, .map_size = 1u << 20, .readers_max = 16 };
	struct cmb_owner *o, *more_of = t_owner("");
	struct cmb_snap *snap = NULL;
	struct cmb_build *b = NULL;
	enum msp_err err = MSP_OK;
	uint8_t rdata[4];
	bool anew;

	cmb_pages_close(&f->p);
	T_OK(cmb_pages_open(&conf, &f->p, &anew, NULL));
	o = store_zone(f, 100000, 1); /* over 1 MiB */
	assert_int_equal(count_records(f, o), 100000);
	T_OK(cmb_snap_open(f->p, o->gen, &snap));
	T_OK(cmb_build_new(f->p, &b));
	for (unsigned i = 0; err == MSP_OK && i < 1000000; i++) {
		struct msp_rr rr = record(i, rdata);

		err = cmb_build_add(b, &rr);
	}
	if (err == MSP_OK)
		err = cmb_build_seal(b, more_of, true);
	assert_int_equal(err, MSP_ENOSPACE);
	cmb_build_free(&b);
	cmb_snap_close(&snap);
	assert_int_equal(count_records(f, o), 100000);
	cmb_owner_free(&more_of);
	cmb_owner_free(&o);
}

/* Every octet of a record counts, wherever the file has it. */
static void a_damaged_record_is_not_taken(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test.");
	struct cmb_owner *o = store_zone(f, 3, 0xabcd0123);
	static const uint8_t mark[4] = { 0xab, 0xcd, 0x01, 0x23 };
	struct cmb_record back;
	struct cmb_head head;
	struct msp_why why = { "" };
	unsigned hits = 0;
	uint8_t octets[4];
	FILE *file;

	cmb_pages_close(&f->p);
	file = fopen(f->lmdb, "r+b");
	assert_non_null(file);
	for (long at = 0; fseek(file, at, SEEK_SET) == 0 && fread(octets, 1, 4, file) == 4; at++)
		if (memcmp(octets, mark, 4) == 0) {
			assert_int_equal(fseek(file, at + 3, SEEK_SET), 0);
			assert_int_equal(fputc(0x24, file), 0x24);
			hits++;
		}
	fclose(file);
	assert_true(hits > 0);
	open_pages(f);
	T_ERR(cmb_pages_head(f->p, &zone, &head), MSP_ECORRUPT);
	T_ERR(cmb_pages_load(f->p, &zone, &back, &why), MSP_ECORRUPT);
	assert_true(why.text[0] != '\0');
	T_OK(cmb_pages_forget(f->p, &zone));
	T_ERR(cmb_pages_head(f->p, &zone, &head), MSP_ENOTFOUND);
	T_OK(cmb_pages_find_garbage(f->p));
	sweep_all(f);
	expect_no_pages(f, o->gen);
	cmb_owner_free(&o);
}

static void expect_begins_anew(struct fixture *f)
{
	struct cmb_pages_conf conf = { .path = f->lmdb, .map_size = 256u << 20, .readers_max = 16 };
	char aside[128];
	struct msp_why why = { "" };
	bool anew;

	T_OK(cmb_pages_open(&conf, &f->p, &anew, &why));
	assert_true(anew);
	snprintf(aside, sizeof(aside), "%s.damaged", f->lmdb);
	assert_int_equal(access(aside, F_OK), 0);
}

static void a_file_that_is_none_of_ours_is_moved_aside(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	cmb_pages_close(&f->p);
	file = fopen(f->lmdb, "r+b");
	assert_non_null(file);
	for (unsigned i = 0; i < 8192; i++)
		assert_int_equal(fputc('x', file), 'x');
	fclose(file);
	expect_begins_anew(f);
}

/* Version 1 had the databases zones and pages and no number of its format. */
static void a_file_of_the_first_format_is_moved_aside(void **state)
{
	struct fixture *f = *state;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	cmb_pages_close(&f->p);
	assert_int_equal(unlink(f->lmdb), 0);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
	assert_int_equal(mdb_env_open(env, f->lmdb, MDB_NOSUBDIR | MDB_NOTLS, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "zones", MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_dbi_open(txn, "pages", MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	expect_begins_anew(f);
}

static void a_file_that_was_cut_off_is_damage_and_no_crash(void **state)
{
	struct fixture *f = *state;
	struct cmb_pages_conf conf = { .path = f->lmdb, .map_size = 256u << 20, .readers_max = 16 };
	struct cmb_owner *o = store_zone(f, 20000, 1);
	struct msp_name zone = t_name("zone.test.");
	struct cmb_snap *snap = NULL;
	struct cmb_head head;
	struct msp_span msg;
	enum msp_err err;
	bool anew;

	cmb_pages_close(&f->p);
	assert_int_equal(truncate(f->lmdb, 100000), 0);
	T_OK(cmb_pages_open(&conf, &f->p, &anew, NULL));
	err = cmb_pages_head(f->p, &zone, &head);
	assert_true(err != MSP_OK || !anew);
	if (cmb_snap_open(f->p, o->gen, &snap) == MSP_OK) {
		do
			err = cmb_snap_next(snap, &msg);
		while (err == MSP_OK);
		assert_true(err == MSP_ECORRUPT || err == MSP_ENOTFOUND);
		cmb_snap_close(&snap);
	}
	cmb_owner_free(&o);
}

/* --- history ------------------------------------------------------------------------------------------------------ */

struct line {
	struct msp_name zone;
	struct cmb_owner *o;
	uint64_t next_seq;
};

static void line_begin(struct fixture *f, struct line *l, const char *zone)
{
	struct cmb_change c;

	l->zone = t_name(zone);
	l->o = t_owner("");
	l->next_seq = 1;
	c = change_of(&l->zone, l->o, 100);
	T_OK(cmb_pages_commit(f->p, &c, 1));
}

/* Serial `from` -> from + 1, with `octets` octets. */
static void line_step(struct fixture *f, struct line *l, uint32_t from, size_t octets, uint32_t entries_max,
		      uint64_t octets_max)
{
	static const uint8_t fill[100000];
	struct cmb_change c = change_of(&l->zone, l->o, from + 1);
	struct cmb_delta d = { .from = from, .to = from + 1 };

	msp_buf_init(&d.del, 1u << 20);
	msp_buf_init(&d.add, 1u << 20);
	msp_buf_printf(&d.del, "del %u", (unsigned)from);
	msp_buf_add(&d.add, fill, octets);
	c.delta = &d;
	c.head.next_seq = ++l->next_seq;
	c.history_entries = entries_max;
	c.history_octets = octets_max;
	T_OK(cmb_pages_commit(f->p, &c, 1));
	msp_buf_fini(&d.del);
	msp_buf_fini(&d.add);
}

/* How many entries lead from the oldest serial that is known to `last`. */
static size_t line_length(struct fixture *f, struct line *l, uint32_t last)
{
	struct cmb_delta_view *view = msp_alloc(CMB_HISTORY_MAX, sizeof(*view));
	struct cmb_snap *snap = NULL;
	size_t longest = 0, count;
	char text[32];

	T_OK(cmb_snap_open(f->p, 1, &snap));
	for (uint32_t s = last - 1; s != last - 30; s--) {
		enum msp_err err = cmb_snap_history(snap, &l->zone, s, last, view, &count);

		if (err != MSP_OK) {
			T_ERR(err, MSP_ENOTFOUND);
			assert_int_equal(count, 0);
			break;
		}
		assert_int_equal(count, ++longest);
		for (size_t i = 0; i < count; i++) {
			assert_true(view[i].from == s + i && view[i].to == s + i + 1);
			snprintf(text, sizeof(text), "del %u", (unsigned)view[i].from);
			assert_true(msp_span_equal(view[i].del, msp_span_str(text)));
		}
	}
	assert_int_equal(cmb_snap_history(snap, &l->zone, last, last, view, &count), MSP_ENOTFOUND);
	assert_int_equal(cmb_snap_history(snap, &l->zone, last - 1, last + 1, view, &count), MSP_ENOTFOUND);
	cmb_snap_close(&snap);
	msp_free(view);
	return longest;
}

static void history_leads_from_each_serial_kept_to_the_last(void **state)
{
	struct fixture *f = *state;
	struct line l, neighbour;

	line_begin(f, &l, "zone.test.");
	line_begin(f, &neighbour, "zone.tesu."); /* its keys come next */
	for (uint32_t i = 0; i < 5; i++) {
		line_step(f, &l, 100 + i, 10, 100, 1u << 20);
		line_step(f, &neighbour, 100 + i, 10, 100, 1u << 20);
	}
	assert_int_equal(line_length(f, &l, 105), 5);
	assert_int_equal(line_length(f, &neighbour, 105), 5);
	T_OK(cmb_pages_forget(f->p, &l.zone));
	assert_int_equal(line_length(f, &l, 105), 0);
	assert_int_equal(line_length(f, &neighbour, 105), 5);
	cmb_owner_free(&l.o);
	cmb_owner_free(&neighbour.o);
}

static void history_is_bounded_by_entries_and_by_octets(void **state)
{
	struct fixture *f = *state;
	struct line l;

	line_begin(f, &l, "zone.test.");
	for (uint32_t i = 0; i < 10; i++)
		line_step(f, &l, 100 + i, 10, 4, 1u << 20);
	assert_int_equal(line_length(f, &l, 110), 4);
	line_step(f, &l, 110, 10, 2, 1u << 20); /* the setting changed */
	assert_int_equal(line_length(f, &l, 111), 2);
	for (uint32_t i = 0; i < 10; i++)
		line_step(f, &l, 111 + i, 1000, 100, 3500);
	assert_int_equal(line_length(f, &l, 121), 3);
	line_step(f, &l, 121, 4000, 100, 3500); /* too large by itself: history begins anew */
	assert_int_equal(line_length(f, &l, 122), 0);
	line_step(f, &l, 122, 10, 100, 3500);
	assert_int_equal(line_length(f, &l, 123), 1);
	line_step(f, &l, 123, 10, 0, 3500); /* none wanted */
	assert_int_equal(line_length(f, &l, 124), 0);
	/* Left to us: a quarter of the zone, or 64 KiB. */
	for (uint32_t i = 0; i < 10; i++)
		line_step(f, &l, 124 + i, 10000, 100, 0);
	assert_int_equal(line_length(f, &l, 134), 6);
	l.o->octets = 4u << 20;
	for (uint32_t i = 0; i < 20; i++)
		line_step(f, &l, 134 + i, 50000, 100, 0);
	assert_int_equal(line_length(f, &l, 154), 24); /* 1 MiB: these, and the last of those before */
	cmb_owner_free(&l.o);
}

static void new_data_without_a_difference_end_the_history(void **state)
{
	struct fixture *f = *state;
	struct cmb_change c;
	struct line l;

	line_begin(f, &l, "zone.test.");
	for (uint32_t i = 0; i < 3; i++)
		line_step(f, &l, 100 + i, 10, 100, 1u << 20);
	c = change_of(&l.zone, l.o, 104);
	c.head.next_seq = l.next_seq;
	T_OK(cmb_pages_commit(f->p, &c, 1));
	assert_int_equal(line_length(f, &l, 104), 0);
	line_step(f, &l, 104, 10, 100, 1u << 20);
	assert_int_equal(line_length(f, &l, 105), 1);
	cmb_owner_free(&l.o);
}

/* --- state -------------------------------------------------------------------------------------------------------- */

static void put(struct fixture *f, const struct msp_name *zone, struct cmb_contrib *held, const char *line)
{
	struct cmb_contrib c;

	T_OK(cmb_contrib_dup(held, &c));
	t_contribute(&c, NULL, line);
	c.number++;
	T_OK(cmb_state_put_contrib(f->s, zone, held, &c));
	cmb_contrib_fini(held);
	*held = c;
}

static void contributions_come_back_with_their_number(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("Zone.Test."), sub = t_name("sub.zone.test.");
	struct cmb_contrib held = { .number = 0 }, back;

	put(f, &zone, &held, Z "10 NS ns.x.test.");
	put(f, &zone, &held, Z "10 CDS 1 13 2 " DIGEST);
	put(f, &zone, &held, Z "20 NS ns.x.test.");
	msp_store_close(&f->s);
	T_OK(cmb_state_open(f->db, &f->s, NULL));
	T_OK(cmb_state_get_contrib(f->s, &zone, &back, NULL));
	assert_int_equal(back.number, 3);
	assert_int_equal(back.count, 2);
	for (size_t i = 0; i < held.count; i++)
		assert_true(cmb_rrset_same(held.entry[i].set,
					   cmb_contrib_get(&back, &held.entry[i].originator, held.entry[i].slot)));
	cmb_contrib_fini(&back);
	T_OK(cmb_state_get_contrib(f->s, &sub, &back, NULL));
	assert_true(back.count == 0 && back.number == 0);
	cmb_contrib_fini(&held);
}

struct seen_zone {
	struct cmb_state_zone a, b;
	unsigned calls;
};

static enum msp_err see_zone(void *arg, const struct msp_name *zone, const struct cmb_state_zone *z)
{
	struct seen_zone *s = arg;
	struct msp_name a = t_name("a.test."), b = t_name("b.test.");
	struct cmb_state_zone *to = msp_name_equal(zone, &a) ? &s->a : &s->b;

	assert_true(to == &s->a || msp_name_equal(zone, &b));
	s->calls++;
	if (z->instructions != 0)
		to->instructions = z->instructions;
	if (z->has_ceiling) {
		to->has_ceiling = true;
		to->ceiling = z->ceiling;
	}
	to->is_frozen = to->is_frozen || z->is_frozen;
	return MSP_OK;
}

static void what_is_kept_of_zones_comes_in_one_pass(void **state)
{
	struct fixture *f = *state;
	struct msp_name a = t_name("a.test."), b = t_name("B.test.");
	struct cmb_contrib held = { .number = 6 };
	struct seen_zone s = { .calls = 0 };
	struct cmb_state_zone one;

	put(f, &a, &held, "a.test. 10 NS ns.x.test.");
	T_OK(cmb_state_put_ceiling(f->s, &a, 0xfffffff0));
	T_OK(cmb_state_put_ceiling(f->s, &b, 1));
	T_OK(cmb_state_put_ceiling(f->s, &b, 2));
	T_OK(cmb_state_put_frozen(f->s, &b, true));
	T_OK(cmb_state_put_frozen(f->s, &a, true));
	T_OK(cmb_state_put_frozen(f->s, &a, false));
	T_OK(cmb_state_each_zone(f->s, see_zone, &s));
	assert_true(s.a.instructions == 7 && s.a.has_ceiling && s.a.ceiling == 0xfffffff0 && !s.a.is_frozen);
	assert_true(s.b.instructions == 0 && s.b.has_ceiling && s.b.ceiling == 2 && s.b.is_frozen);
	T_OK(cmb_state_get_zone(f->s, &a, &one));
	assert_true(one.instructions == 7 && one.has_ceiling && one.ceiling == 0xfffffff0 && !one.is_frozen);
	T_OK(cmb_state_forget(f->s, &a));
	T_OK(cmb_state_get_zone(f->s, &a, &one));
	assert_true(one.instructions == 0 && one.has_ceiling && one.ceiling == 0xfffffff0);
	T_OK(cmb_state_get_zone(f->s, &b, &one));
	assert_true(one.instructions == 0 && one.has_ceiling && one.ceiling == 2 && one.is_frozen);
	cmb_contrib_fini(&held);
}

struct seen_audit {
	uint64_t first, last;
	size_t count;
	struct cmb_audit newest;
};

static enum msp_err see_audit(void *arg, const struct cmb_audit *a)
{
	struct seen_audit *s = arg;

	if (s->count++ == 0)
		s->first = a->seq;
	else
		assert_int_equal(a->seq, s->last + 1);
	s->last = a->seq;
	s->newest = *a;
	return MSP_OK;
}

static void the_oldest_entries_of_the_audit_go(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test."), other = t_name("other.test.");
	struct cmb_audit a = { .at = { 5 }, .key = t_name("k."), .what = "set NS" };
	struct seen_audit s = { .count = 0 };

	T_OK(cmb_state_put_audit(f->s, &other, &a));
	T_OK(msp_store_begin(f->s));
	for (int i = 1; i <= CMB_AUDIT_MAX + 5; i++) {
		a.at.s = i;
		T_OK(cmb_state_put_audit(f->s, &zone, &a));
	}
	T_OK(msp_store_commit(f->s));
	T_OK(cmb_state_each_audit(f->s, &zone, 0, see_audit, &s));
	assert_true(s.first == 6 && s.last == CMB_AUDIT_MAX + 5 && s.count == CMB_AUDIT_MAX);
	assert_int_equal(s.newest.at.s, CMB_AUDIT_MAX + 5);
	assert_true(msp_name_equal(&s.newest.key, &a.key) && s.newest.originator.len == 0);
	assert_string_equal(s.newest.what, "set NS");
	s.count = 0;
	T_OK(cmb_state_each_audit(f->s, &zone, 1000, see_audit, &s));
	assert_int_equal(s.count, 6);
	s.count = 0;
	T_OK(cmb_state_each_audit(f->s, &other, 0, see_audit, &s));
	assert_int_equal(s.count, 1);
}

static void the_state_of_the_first_version_keeps_contributions_and_serials(void **state)
{
	/* version, flags, the owner's serial, serial handed out, generation, the owner's serial; then the apex served
	 */
	static const uint8_t record_v1[] = { 1, 1, 0, 0, 3, 232, 0, 0, 3, 250, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 3, 232 };
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test."), local = cmb_originator_local(), bare = t_name("bare.test.");
	struct msp_rrset *ns = t_rrset(Z "10 NS ns.x.test.");
	struct cmb_state_zone z;
	struct cmb_contrib c;
	struct msp_buf key, value;

	msp_store_close(&f->s);
	assert_int_equal(unlink(f->db), 0);
	T_OK(msp_store_open(f->db, 1, NULL, &f->s, NULL));
	msp_buf_init(&key, 1000);
	msp_buf_init(&value, 100000);
	msp_buf_add(&key, zone.oct, zone.len);
	T_OK(msp_store_put(f->s, "zone", msp_buf_span(&key), msp_span(record_v1, sizeof(record_v1))));
	T_OK(msp_store_put(f->s, "zone", msp_name_span(&bare), msp_span(record_v1, sizeof(record_v1))));
	T_OK(msp_store_put(f->s, "refreshed", msp_buf_span(&key), msp_span("12345678", 8)));
	T_OK(msp_store_put(f->s, "journal", msp_span("anything", 8), msp_span("at all", 6)));
	msp_buf_add(&key, local.oct, local.len);
	msp_buf_add_u8(&key, 0);
	msp_buf_add_u8(&key, MSP_TYPE_NS);
	T_OK(msp_rrset_write(ns, &value));
	T_OK(msp_store_put(f->s, "contrib", msp_buf_span(&key), msp_buf_span(&value)));
	msp_store_close(&f->s);

	T_OK(cmb_state_open(f->db, &f->s, NULL));
	T_OK(cmb_state_get_zone(f->s, &zone, &z));
	assert_true(z.has_ceiling && z.ceiling == 1018 && z.instructions == 1 && !z.is_frozen);
	T_OK(cmb_state_get_zone(f->s, &bare, &z));
	assert_true(z.has_ceiling && z.ceiling == 1018 && z.instructions == 0);
	T_OK(cmb_state_get_contrib(f->s, &zone, &c, NULL));
	assert_true(c.number == 1 && cmb_rrset_same(cmb_contrib_get(&c, &local, CMB_NS), ns));
	msp_buf_reset(&value);
	T_ERR(msp_store_get(f->s, "journal", msp_span("anything", 8), &value), MSP_ENOTFOUND);
	cmb_contrib_fini(&c);
	msp_rrset_free(&ns);
	msp_buf_fini(&key);
	msp_buf_fini(&value);
}

/* The nth write, commit or sync fails, for every n: all of it is on disk afterwards or nothing. */
static void a_transaction_that_fails_anywhere_leaves_the_state_before(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test.");
	struct cmb_audit a = { .what = "set NS" };
	bool done = false;

	for (size_t n = 1; !done && n < 50; n++) {
		struct cmb_contrib none = { .number = 0 }, c = { .number = 1 }, back;
		struct seen_audit s = { .count = 0 };
		enum msp_err err;

		t_contribute(&c, NULL, Z "10 NS ns.x.test.");
		msp_store_fail_at(f->s, n);
		err = msp_store_begin(f->s);
		if (err == MSP_OK) {
			err = cmb_state_put_contrib(f->s, &zone, &none, &c);
			if (err == MSP_OK)
				err = cmb_state_put_audit(f->s, &zone, &a);
			if (err == MSP_OK)
				err = msp_store_commit(f->s);
			if (err != MSP_OK)
				msp_store_rollback(f->s);
		}
		msp_store_fail_at(f->s, 0);
		done = err == MSP_OK;
		T_OK(cmb_state_get_contrib(f->s, &zone, &back, NULL));
		assert_int_equal(back.count, done ? 1 : 0);
		assert_int_equal(back.number, done ? 1 : 0);
		T_OK(cmb_state_each_audit(f->s, &zone, 0, see_audit, &s));
		assert_int_equal(s.count, done ? 1 : 0);
		cmb_contrib_fini(&back);
		cmb_contrib_fini(&c);
	}
	assert_true(done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_goes_in_comes_out_after_reopening),
		TEST(every_member_of_a_head_is_kept),
		TEST(messages_become_pages_as_they_are_if_all_of_their_records_do),
		TEST(an_empty_zone_has_no_pages),
		TEST(unknown_zones_are_not_found_and_forgotten_ones_neither),
		TEST(many_zones_go_into_one_transaction),
		TEST(the_small_generation_before_goes_in_the_same_transaction),
		TEST(without_a_commit_the_old_version_stays),
		TEST(a_reader_keeps_its_version_while_it_is_replaced_and_swept),
		TEST(what_was_used_can_be_looked_at_again),
		TEST(a_flipped_bit_in_a_page_is_found),
		TEST(a_record_too_large_for_a_message_with_tsig_is_refused),
		TEST(a_full_map_grows_when_nobody_reads_and_fails_cleanly_when_somebody_does),
		TEST(a_damaged_record_is_not_taken),
		TEST(a_file_that_is_none_of_ours_is_moved_aside),
		TEST(a_file_of_the_first_format_is_moved_aside),
		TEST(a_file_that_was_cut_off_is_damage_and_no_crash),
		TEST(history_leads_from_each_serial_kept_to_the_last),
		TEST(history_is_bounded_by_entries_and_by_octets),
		TEST(new_data_without_a_difference_end_the_history),
		TEST(contributions_come_back_with_their_number),
		TEST(what_is_kept_of_zones_comes_in_one_pass),
		TEST(the_oldest_entries_of_the_audit_go),
		TEST(the_state_of_the_first_version_keeps_contributions_and_serials),
		TEST(a_transaction_that_fails_anywhere_leaves_the_state_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
