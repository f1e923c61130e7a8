/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store and the state on disk, on real files in a directory of their own. */
#include "cmb_build.h"

#include "pages.h"
#include "state.h"

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
	static const char *const files[] = { "zones.lmdb", "zones.lmdb-lock", "state.db", "state.db-wal",
					     "state.db-shm" };
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

/* A sealed and flipped generation of `count` records. */
static struct cmb_owner *store_zone(struct fixture *f, unsigned count, uint32_t out_serial)
{
	struct cmb_owner *o = t_owner(Z "300 HSYNC ON AGENT YES " US "\n" Z "300 CDS 1 13 2 " DIGEST "\n");
	struct msp_name zone = t_name("zone.test.");
	struct cmb_build *b = NULL;
	uint8_t rdata[4];

	T_OK(cmb_build_new(f->p, &b));
	for (unsigned i = 0; i < count; i++) {
		struct msp_rr rr = record(i, rdata);

		T_OK(cmb_build_add(b, &rr));
	}
	T_OK(cmb_build_seal(b, o));
	assert_int_equal(o->records, count);
	T_OK(cmb_build_flip(b, &zone, o, out_serial));
	cmb_build_free(&b);
	return o;
}

static unsigned count_records(struct fixture *f, const struct cmb_owner *o)
{
	struct msp_rr_scratch *scratch = msp_alloc(1, sizeof(*scratch));
	struct cmb_snap *snap = NULL;
	unsigned seen = 0;

	T_OK(cmb_snap_open(f->p, o->gen, &snap));
	for (uint32_t page = 0; page < o->pages; page++) {
		struct msp_msg_it it;
		struct msp_span raw;
		struct msp_msg m;
		struct msp_rr rr;
		uint8_t rdata[4];

		T_OK(cmb_snap_page(snap, page, &raw));
		T_OK(msp_msg_parse(raw, scratch, &m, NULL)); /* a page is a message */
		assert_int_equal(m.flags, MSP_FLAG_QR | MSP_FLAG_AA);
		assert_true(raw.len <= CMB_PAGE_TARGET);
		msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, scratch);
		while (msp_msg_next(&it, &rr)) {
			struct msp_rr want = record(seen++, rdata);

			assert_true(msp_name_same(&rr.owner, &want.owner)); /* case kept */
			assert_true(rr.ttl == want.ttl && msp_span_equal(rr.rdata, want.rdata));
		}
	}
	cmb_snap_close(&snap);
	msp_free(scratch);
	return seen;
}

static void what_goes_in_comes_out_after_reopening(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("ZONE.test.");
	struct cmb_owner *o = store_zone(f, 20000, 77), *back = NULL;
	uint32_t out_serial;

	cmb_pages_close(&f->p);
	open_pages(f);
	T_OK(cmb_pages_load(f->p, &zone, &back, &out_serial, NULL));
	assert_int_equal(out_serial, 77);
	assert_true(back->gen == o->gen && back->pages == o->pages && back->records == 20000 &&
		    back->octets == o->octets);
	assert_true(cmb_apex_equal(&back->apex, &o->apex) && cmb_apex_serial(&back->apex) == 1000);
	assert_true(msp_rrset_equal(back->hsync, o->hsync));
	assert_int_equal(count_records(f, back), 20000);
	cmb_owner_free(&back);
	cmb_owner_free(&o);
}

static void an_empty_zone_has_no_pages(void **state)
{
	struct fixture *f = *state;
	struct cmb_owner *o = store_zone(f, 0, 1);

	assert_int_equal(o->pages, 0);
	cmb_owner_free(&o);
}

static void unknown_zones_are_not_found_and_forgotten_ones_neither(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test."), other = t_name("other.test.");
	struct cmb_owner *o = store_zone(f, 10, 1), *back = NULL;
	uint32_t serial;

	T_ERR(cmb_pages_load(f->p, &other, &back, &serial, NULL), MSP_ENOTFOUND);
	T_OK(cmb_pages_forget(f->p, &zone));
	T_OK(cmb_pages_forget(f->p, &zone));
	T_ERR(cmb_pages_load(f->p, &zone, &back, &serial, NULL), MSP_ENOTFOUND);
	cmb_owner_free(&o);
}

static void without_a_flip_the_old_version_stays(void **state)
{
	struct fixture *f = *state;
	struct msp_name zone = t_name("zone.test.");
	struct cmb_owner *o = store_zone(f, 100, 1), *unfinished = t_owner(""), *back = NULL;
	struct cmb_build *b = NULL;
	uint32_t serial;
	uint8_t rdata[4];
	bool more;

	T_OK(cmb_build_new(f->p, &b));
	for (unsigned i = 0; i < 5000; i++) {
		struct msp_rr rr = record(i, rdata);

		T_OK(cmb_build_add(b, &rr));
	}
	T_OK(cmb_build_seal(b, unfinished));
	/* as after kill -9: the builder is gone, the pages are there */
	cmb_build_free(&b);
	cmb_pages_close(&f->p);
	open_pages(f);
	T_OK(cmb_pages_load(f->p, &zone, &back, &serial, NULL));
	assert_int_equal(back->records, 100);
	assert_int_equal(count_records(f, unfinished), 5000);
	T_OK(cmb_pages_find_garbage(f->p));
	do
		T_OK(cmb_pages_sweep(f->p, 3, &more));
	while (more);
	assert_int_equal(count_records(f, back), 100);
	{
		struct cmb_snap *snap = NULL;
		struct msp_span msg;

		T_OK(cmb_snap_open(f->p, unfinished->gen, &snap));
		for (uint32_t i = 0; i < unfinished->pages; i++)
			T_ERR(cmb_snap_page(snap, i, &msg), MSP_ECORRUPT); /* swept */
		cmb_snap_close(&snap);
	}
	cmb_owner_free(&back);
	cmb_owner_free(&unfinished);
	cmb_owner_free(&o);
}

static void a_reader_keeps_its_version_while_it_is_replaced_and_swept(void **state)
{
	struct fixture *f = *state;
	struct cmb_owner *old = store_zone(f, 3000, 1), *new;
	struct cmb_snap *snap = NULL;
	struct msp_span msg;
	bool more;

	T_OK(cmb_snap_open(f->p, old->gen, &snap));
	new = store_zone(f, 4000, 2);
	cmb_pages_retire(f->p, old->gen);
	do
		T_OK(cmb_pages_sweep(f->p, 2, &more));
	while (more);
	for (uint32_t i = 0; i < old->pages; i++)
		T_OK(cmb_snap_page(snap, i, &msg));
	cmb_snap_close(&snap);
	assert_int_equal(count_records(f, new), 4000);
	cmb_owner_free(&new);
	cmb_owner_free(&old);
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
	T_ERR(cmb_snap_page(snap, o->pages - 1, &msg), MSP_ECORRUPT);
	cmb_snap_close(&snap);
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
		err = cmb_build_seal(b, more_of);
	assert_int_equal(err, MSP_ENOSPACE);
	cmb_build_free(&b);
	cmb_snap_close(&snap);
	assert_int_equal(count_records(f, o), 100000);
	cmb_owner_free(&more_of);
	cmb_owner_free(&o);
}

/* --- state ----------------------------------------------------------------------------------------------------------
 */

static void commit(struct fixture *f, struct cmb_zone *z, struct cmb_contrib *c, struct cmb_owner *o)
{
	struct cmb_version *v = NULL;

	T_OK(cmb_zone_plan(z, o, c, &v, NULL));
	T_OK(msp_store_begin(f->s));
	if (c != NULL)
		T_OK(cmb_state_put_contrib(f->s, &z->rules.zone, &z->contrib, c));
	if (v != NULL)
		T_OK(cmb_state_put_version(f->s, z, v));
	T_OK(msp_store_commit(f->s));
	if (c != NULL)
		cmb_zone_set_contrib(z, c);
	if (v != NULL)
		cmb_zone_adopt(z, &v, o ? &o : NULL);
}

static void change(struct fixture *f, struct cmb_zone *z, const char *line)
{
	struct cmb_contrib c;

	T_OK(cmb_contrib_dup(&z->contrib, &c));
	t_contribute(&c, NULL, line);
	commit(f, z, &c, NULL);
}

static void a_zone_comes_back_from_disk_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct cmb_rules rules = t_rules();
	struct cmb_zone z, back;
	struct msp_wall refreshed;
	char line[64];

	cmb_zone_init(&z, &rules);
	commit(f, &z, NULL, t_owner(Z "300 HSYNC ON AGENT YES " US "\n"));
	for (int i = 0; i < CMB_JOURNAL_MAX + 5; i++) {
		snprintf(line, sizeof(line), Z "%d CSYNC 0 1 NS", i);
		change(f, &z, line);
	}
	change(f, &z, Z "10 NS ns.x.test.");
	T_OK(cmb_state_put_refreshed(f->s, &rules.zone, (struct msp_wall){ 12345 }));
	msp_store_close(&f->s);
	T_OK(cmb_state_open(f->db, &f->s, NULL));
	cmb_zone_init(&back, &rules);
	T_OK(cmb_state_load(f->s, &back, &refreshed, NULL));
	assert_int_equal(refreshed.s, 12345);
	assert_int_equal(back.serials.last_out, z.serials.last_out);
	assert_int_equal(back.serials.last_owner, 1000);
	assert_true(back.has_served && back.served_gen == z.served_gen && back.ns_applied);
	assert_true(cmb_apex_equal(&back.served, &z.served));
	assert_int_equal(back.contrib.count, z.contrib.count);
	assert_int_equal(back.journal_count, z.journal_count);
	for (size_t i = 0; i < z.journal_count; i++) {
		assert_true(back.journal[i]->seq == z.journal[i]->seq && back.journal[i]->from == z.journal[i]->from);
		assert_true(msp_span_equal(msp_buf_span(&back.journal[i]->add), msp_buf_span(&z.journal[i]->add)));
		assert_true(msp_span_equal(msp_buf_span(&back.journal[i]->del), msp_buf_span(&z.journal[i]->del)));
	}
	assert_int_equal(back.next_seq, z.next_seq);
	cmb_zone_fini(&back);
	cmb_zone_fini(&z);
}

static void zones_do_not_see_each_others_state(void **state)
{
	struct fixture *f = *state;
	struct cmb_rules rules = t_rules();
	struct cmb_zone z, other;
	struct msp_wall refreshed;

	cmb_zone_init(&z, &rules);
	commit(f, &z, NULL, t_owner(Z "300 HSYNC ON AGENT YES " US "\n"));
	change(f, &z, Z "10 NS ns.x.test.");
	rules.zone = t_name("sub.zone.test.");
	cmb_zone_init(&other, &rules);
	T_OK(cmb_state_load(f->s, &other, &refreshed, NULL));
	assert_false(other.has_served);
	assert_int_equal(other.contrib.count, 0);
	cmb_zone_fini(&other);
	cmb_zone_fini(&z);
}

/* The nth write, commit or sync fails, for every n: all of it is on disk afterwards or nothing. */
static void a_commit_that_fails_anywhere_leaves_the_state_before(void **state)
{
	struct fixture *f = *state;
	struct cmb_rules rules = t_rules();
	struct cmb_zone z;
	bool done = false;

	cmb_zone_init(&z, &rules);
	commit(f, &z, NULL, t_owner(Z "300 HSYNC ON AGENT YES " US "\n"));
	for (size_t n = 1; !done && n < 50; n++) {
		struct cmb_contrib c = { 0 };
		struct cmb_version *v = NULL;
		struct cmb_zone back;
		struct msp_wall refreshed;
		enum msp_err err;

		t_contribute(&c, NULL, Z "10 NS ns.x.test.");
		T_OK(cmb_zone_plan(&z, NULL, &c, &v, NULL));
		msp_store_fail_at(f->s, n);
		err = msp_store_begin(f->s);
		if (err == MSP_OK) {
			err = cmb_state_put_contrib(f->s, &z.rules.zone, &z.contrib, &c);
			if (err == MSP_OK)
				err = cmb_state_put_version(f->s, &z, v);
			if (err == MSP_OK)
				err = msp_store_commit(f->s);
			if (err != MSP_OK)
				msp_store_rollback(f->s);
		}
		msp_store_fail_at(f->s, 0);
		done = err == MSP_OK;
		cmb_zone_init(&back, &rules);
		T_OK(cmb_state_load(f->s, &back, &refreshed, NULL));
		assert_int_equal(back.contrib.count, done ? 1 : 0);
		assert_int_equal(back.serials.last_out, done ? 1001 : 1000);
		assert_int_equal(back.journal_count, done ? 1 : 0);
		cmb_zone_fini(&back);
		cmb_version_free(&v);
		cmb_contrib_fini(&c);
	}
	assert_true(done);
	cmb_zone_fini(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_goes_in_comes_out_after_reopening, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_zone_has_no_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_zones_are_not_found_and_forgotten_ones_neither, setup,
						teardown),
		cmocka_unit_test_setup_teardown(without_a_flip_the_old_version_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_keeps_its_version_while_it_is_replaced_and_swept, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_flipped_bit_in_a_page_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(a_record_too_large_for_a_message_with_tsig_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_map_grows_when_nobody_reads_and_fails_cleanly_when_somebody_does,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_zone_comes_back_from_disk_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(zones_do_not_see_each_others_state, setup, teardown),
		cmocka_unit_test_setup_teardown(a_commit_that_fails_anywhere_leaves_the_state_before, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
