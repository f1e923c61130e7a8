/* SPDX-License-Identifier: BSD-2-Clause */
/* Verifier and ZONEMD over a store of this file's own: what is handed over, what is made of the answers, cancelling. */
#include "cmb_build.h"

#include "inspect.h"
#include "shell.h"

#include <stdlib.h>
#include <unistd.h>

#include <msproto/base/enc.h>

#define PAGES_MAX 4000
#define JOBS      5

/* --- the parts of combinerd that it calls ------------------------------------------------------------------------- */

struct cmb_snap {
	size_t at;
};
static struct {
	struct msp_buf page[PAGES_MAX];
	size_t count, said; /* said: what the owner's record says there is */
	size_t repeat;      /* the same pages over and over, so many times */
	int open;           /* snapshots */
	enum msp_err err;   /* of opening */
} store;

enum msp_err cmb_snap_open(struct cmb_pages *p, uint64_t gen, struct cmb_snap **out)
{
	(void)p;
	assert_int_equal(gen, 1);
	if (store.err != MSP_OK)
		return store.err;
	*out = msp_alloc(1, sizeof(**out));
	assert_non_null(*out);
	store.open++;
	return MSP_OK;
}

void cmb_snap_close(struct cmb_snap **s)
{
	store.open -= *s != NULL;
	msp_free(*s);
	*s = NULL;
}

enum msp_err cmb_snap_next(struct cmb_snap *s, struct msp_span *msg)
{
	if (s->at == store.count * store.repeat)
		return MSP_ENOTFOUND;
	*msg = msp_buf_span(&store.page[s->at++ % store.count]);
	return MSP_OK;
}

void cmb_snap_rewind(struct cmb_snap *s)
{
	s->at = 0;
}

void cmb_snap_used(struct cmb_snap *s, struct msp_span msg)
{
	(void)s;
	(void)msg;
}

static int settings_refs;

struct cmb_settings *cmb_settings_ref(struct cmb_settings *s)
{
	settings_refs++;
	return s;
}

void cmb_settings_unref(struct cmb_settings **s)
{
	settings_refs--;
	*s = NULL;
}

struct cmb_zone *cmb_hosted_zone(struct cmb_hosted *h)
{
	return h->zone;
}

/* --- rig ---------------------------------------------------------------------------------------------------------- */

static struct cmb_app app;
static struct cmb_hosted hosted;
static struct cmb_zone zone;
static struct cmb_candidate candidate;
static struct cmb_profile profile;
static struct cmb_conf_settings conf;
static char *words[4];
static struct msp_log log_;

static struct {
	bool done;
	unsigned calls;
	enum msp_err err;
	struct msp_why why;
} seen[JOBS];

static void on_done(void *arg, enum msp_err err, const struct msp_why *why)
{
	size_t i = (size_t)(uintptr_t)arg;

	seen[i].done = true;
	seen[i].calls++;
	seen[i].err = err;
	seen[i].why = *why;
}

static bool is_flag(void *arg)
{
	return *(bool *)arg;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void settle(void)
{
	msp_loop_run_until(app.loop, never, NULL, 30);
}

/* Two records a page. */
static void add_page(const char *a, const char *b)
{
	static uint8_t mem[MSP_MSG_MAX];
	const char *line[] = { a, b };
	struct msp_msgw w;
	struct msp_span octets;

	msp_msgw_init(&w, mem, sizeof(mem), 0, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
	for (size_t i = 0; i < 2 && line[i] != NULL; i++) {
		struct msp_rrset *set = t_rrset(line[i]);
		struct msp_rr rr = {
			.owner = set->owner, .type = set->type, .cls = 1, .ttl = set->ttl, .rdata = set->rdata[0]
		};

		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
		msp_rrset_free(&set);
	}
	T_OK(msp_msgw_finish(&w, &octets));
	msp_buf_init(&store.page[store.count], octets.len);
	msp_buf_add_span(&store.page[store.count++], octets);
}

static struct cmb_version *version(void)
{
	struct cmb_version *v = msp_alloc(1, sizeof(*v));

	assert_non_null(v);
	T_OK(cmb_apex_dup(&candidate.owner->apex, &v->apex));
	msp_rrset_free(&v->apex.set[CMB_ZONEMD]);
	v->serial = 1000;
	v->gen = 1;
	v->notes = CMB_NOTE_BIT(CMB_NOTE_ZONEMD_STRIPPED) | CMB_NOTE_BIT(CMB_NOTE_NO_HSYNC);
	return v;
}

static void drop_version(struct cmb_version *v)
{
	cmb_apex_fini(&v->apex);
	cmb_delta_free(&v->delta);
	msp_free(v);
}

static void verifier(const char *script)
{
	static char sh[] = "/bin/sh", c[] = "-c", zone_and_serial[] = "%z-%s-100%%";

	words[0] = sh;
	words[1] = c;
	words[2] = msp_strdup(script);
	words[3] = zone_and_serial;
	conf.verifier.item = words;
	conf.verifier.count = 4;
	profile.needs_inspection = true;
}

static int setup(void **state)
{
	(void)state;
	memset(&store, 0, sizeof(store));
	memset(seen, 0, sizeof(seen));
	memset(&hosted, 0, sizeof(hosted));
	memset(&profile, 0, sizeof(profile));
	memset(&conf, 0, sizeof(conf));
	memset(words, 0, sizeof(words));
	settings_refs = 0;
	store.repeat = 1;
	msp_log_init_null(&log_);
	T_OK(msp_loop_new(&log_, &app.loop));
	candidate.owner = t_owner(Z "60 ZONEMD 7 1 1 " DIGEST "00000000000000000000000000000000");
	hosted.app = &app;
	hosted.name = t_name("zone.test.");
	hosted.profile = &profile;
	hosted.candidate = &candidate;
	hosted.zone = &zone;
	profile.conf = &conf;
	profile.rules = t_rules();
	conf.verifier_timeout_s = 10;
	add_page(Z "300 TXT \"apex\"", "*.zone.test. 300 A 192.0.2.9");
	add_page("www.zone.test. 300 A 192.0.2.1", "www.zone.test. 300 TYPE65400 \\# 2 abcd");
	candidate.owner->pages = 2;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	settle();
	assert_null(app.inspector);
	msp_loop_free(&app.loop);
	assert_int_equal(store.open, 0);
	assert_int_equal(settings_refs, 0);
	for (size_t i = 0; i < store.count; i++)
		msp_buf_fini(&store.page[i]);
	msp_free(words[2]);
	cmb_owner_free(&candidate.owner);
	return 0;
}

static struct cmb_inspect *begin(struct cmb_version *v, size_t i)
{
	struct cmb_inspect *job = NULL;

	T_OK(cmb_inspect_start(&hosted, v, on_done, (void *)(uintptr_t)i, &job));
	assert_false(seen[i].done);
	assert_non_null(job);
	return job;
}

/* One version through, to the end. */
static struct cmb_version *inspected(enum msp_err want)
{
	struct cmb_version *v = version();

	(void)begin(v, 0);
	assert_true(msp_loop_run_until(app.loop, is_flag, &seen[0].done, 20000));
	settle();
	assert_int_equal(seen[0].calls, 1);
	if (seen[0].err != want)
		fail_msg("%s: %s", msp_err_name(seen[0].err), seen[0].why.text);
	assert_int_equal(store.open, 0);
	return v;
}

/* --- verifier ----------------------------------------------------------------------------------------------------- */

static void the_verifier_gets_the_zone_and_its_arguments(void **state)
{
	char path[] = "/tmp/inspect-test-XXXXXX", script[400], text[2000] = "";
	int fd = mkstemp(path);
	ssize_t n;

	(void)state;
	assert_true(fd >= 0);
	snprintf(script, sizeof(script), "echo \"$0\" > %s; cat >> %s", path, path);
	verifier(script);
	drop_version(inspected(MSP_OK));
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	unlink(path);
	assert_true(n > 0);
	assert_string_equal(text, "zone.test.-1000-100%\n"
				  "zone.test. 300 IN SOA ns.test. host.test. 1000 3600 600 86400 60\n"
				  "zone.test. 300 IN NS ns1.owner.test.\n"
				  "zone.test. 300 IN NS ns2.owner.test.\n"
				  "zone.test. 300 IN TXT \"apex\"\n"
				  "*.zone.test. 300 IN A 192.0.2.9\n"
				  "www.zone.test. 300 IN A 192.0.2.1\n"
				  "www.zone.test. 300 IN TYPE65400 \\# 2 abcd\n");
}

static void a_large_zone_is_streamed(void **state)
{
	(void)state;
	store.repeat = 20000; /* 80,000 records, some 3 MB of text */
	candidate.owner->pages = 40000;
	verifier("n=$(wc -l); test $n = 80003 || { echo got $n; exit 1; }");
	drop_version(inspected(MSP_OK));
}

static void a_verifier_that_refuses_has_the_last_word(void **state)
{
	(void)state;
	verifier("cat >/dev/null; echo first; echo not shown; printf 'bad \\033[31mrecord\\n\\n' >&2; exit 3");
	drop_version(inspected(MSP_EREFUSED));
	assert_string_equal(seen[0].why.text, "verifier: bad \\027[31mrecord");
}

static void a_verifier_may_refuse_on_standard_output_in_silence_or_without_reading(void **state)
{
	(void)state;
	verifier("cat >/dev/null; echo one; echo two; exit 1");
	drop_version(inspected(MSP_EREFUSED));
	assert_string_equal(seen[0].why.text, "verifier: two");
	msp_free(words[2]);
	memset(seen, 0, sizeof(seen));
	verifier("exit 9");
	store.repeat = 20000;
	candidate.owner->pages = 40000;
	drop_version(inspected(MSP_EREFUSED));
	assert_string_equal(seen[0].why.text, "verifier /bin/sh: exit status 9");
}

static void a_verifier_that_says_much_is_heard_to_the_end(void **state)
{
	(void)state;
	verifier("cat >/dev/null; seq 1 100000; echo enough; exit 1");
	drop_version(inspected(MSP_EREFUSED));
	assert_string_equal(seen[0].why.text, "verifier: enough");
}

static void a_verifier_that_cannot_run_hangs_or_dies_is_no_yes(void **state)
{
	static char nowhere[] = "/nonexistent/verifier";

	(void)state;
	verifier("kill -9 $$");
	drop_version(inspected(MSP_EIO));
	assert_non_null(strstr(seen[0].why.text, "killed by a signal"));
	memset(seen, 0, sizeof(seen));
	words[0] = nowhere;
	drop_version(inspected(MSP_EIO));
	assert_non_null(strstr(seen[0].why.text, "/nonexistent/verifier: cannot be run"));
	msp_free(words[2]);
	memset(seen, 0, sizeof(seen));
	verifier("sleep 1000");
	conf.verifier_timeout_s = 1;
	drop_version(inspected(MSP_ETIMEOUT));
	assert_non_null(strstr(seen[0].why.text, "not through in 1 s"));
}

static void pages_that_are_missing_or_unreadable_are_no_yes(void **state)
{
	(void)state;
	candidate.owner->pages = 3;
	verifier("cat >/dev/null");
	drop_version(inspected(MSP_ECORRUPT));
	assert_non_null(strstr(seen[0].why.text, "2 of 3 stored pages"));
	memset(seen, 0, sizeof(seen));
	candidate.owner->pages = 2;
	store.page[1].len -= 1;
	drop_version(inspected(MSP_ECORRUPT));
	memset(seen, 0, sizeof(seen));
	store.err = MSP_EBUSY;
	drop_version(inspected(MSP_EBUSY));
	assert_string_equal(seen[0].why.text, "inspection: too much work outstanding");
}

/* --- ZONEMD ------------------------------------------------------------------------------------------------------- */

static void zonemd_is_put_into_the_version_and_its_difference(void **state)
{
	struct msp_rrset *old = t_rrset(Z "60 ZONEMD 6 1 1 " DIGEST "11111111111111111111111111111111");
	struct cmb_version *v = version();
	struct cmb_apex del = { 0 }, add = { 0 };

	(void)state;
	profile.rules.zonemd = CMB_ZONEMD_RECOMPUTE;
	zone.has_served = true;
	T_OK(cmb_apex_dup(&candidate.owner->apex, &zone.served));
	msp_rrset_free(&zone.served.set[CMB_ZONEMD]);
	T_OK(msp_rrset_dup(old, &zone.served.set[CMB_ZONEMD]));
	v->delta = msp_alloc(1, sizeof(*v->delta));
	assert_non_null(v->delta);
	msp_buf_init(&v->delta->del, 100000);
	msp_buf_init(&v->delta->add, 100000);
	/* With the old one among what goes, as a planner may or may not leave it. */
	T_OK(msp_rrset_write(zone.served.soa, &v->delta->del));
	T_OK(msp_rrset_write(old, &v->delta->del));
	T_OK(msp_rrset_write(v->apex.soa, &v->delta->add));
	(void)begin(v, 0);
	assert_true(msp_loop_run_until(app.loop, is_flag, &seen[0].done, 20000));
	T_ERR(seen[0].err, MSP_OK);
	assert_int_equal(v->notes, CMB_NOTE_BIT(CMB_NOTE_NO_HSYNC));
	assert_non_null(v->apex.set[CMB_ZONEMD]);
	assert_int_equal(v->apex.set[CMB_ZONEMD]->count, 1);
	assert_int_equal(v->apex.set[CMB_ZONEMD]->ttl, 60);
	assert_memory_equal(v->apex.set[CMB_ZONEMD]->rdata[0].ptr, "\0\0\x03\xe8\1\1", 6);
	assert_non_null(v->delta);
	T_OK(cmb_apex_read(msp_buf_span(&v->delta->del), &del, NULL));
	T_OK(cmb_apex_read(msp_buf_span(&v->delta->add), &add, NULL));
	assert_true(cmb_rrset_same(del.set[CMB_ZONEMD], old));
	assert_true(cmb_rrset_same(add.set[CMB_ZONEMD], v->apex.set[CMB_ZONEMD]));
	assert_non_null(del.soa);
	assert_non_null(add.soa);
	cmb_apex_fini(&del);
	cmb_apex_fini(&add);
	cmb_apex_fini(&zone.served);
	zone.has_served = false;
	msp_rrset_free(&old);
	drop_version(v);
}

static void zonemd_is_not_made_where_the_owner_has_none_or_has_signed(void **state)
{
	struct cmb_version *v;

	(void)state;
	profile.rules.zonemd = CMB_ZONEMD_RECOMPUTE;
	candidate.owner->is_signed = true;
	v = inspected(MSP_OK);
	assert_null(v->apex.set[CMB_ZONEMD]);
	drop_version(v);
	memset(seen, 0, sizeof(seen));
	candidate.owner->is_signed = false;
	msp_rrset_free(&candidate.owner->apex.set[CMB_ZONEMD]);
	v = inspected(MSP_OK);
	assert_null(v->apex.set[CMB_ZONEMD]);
	drop_version(v);
}

static void the_verifier_sees_the_new_zonemd(void **state)
{
	struct cmb_version *v;

	(void)state;
	profile.rules.zonemd = CMB_ZONEMD_RECOMPUTE;
	verifier("grep -q '^zone.test. 60 IN ZONEMD 1000 1 1 '");
	v = inspected(MSP_OK);
	assert_non_null(v->apex.set[CMB_ZONEMD]);
	drop_version(v);
}

static void a_zone_that_cannot_be_read_has_no_zonemd(void **state)
{
	struct cmb_version *v;

	(void)state;
	profile.rules.zonemd = CMB_ZONEMD_RECOMPUTE;
	candidate.owner->pages = 1;
	v = inspected(MSP_ECORRUPT);
	assert_null(v->apex.set[CMB_ZONEMD]);
	drop_version(v);
}

/* --- line and cancelling ------------------------------------------------------------------------------------------ */

static void at_most_some_run_at_one_time_and_all_get_their_turn(void **state)
{
	struct cmb_version *v[JOBS];
	struct cmb_inspect *job[JOBS];
	size_t in_line = 0;

	(void)state;
	verifier("cat >/dev/null; sleep 0.1");
	for (size_t i = 0; i < JOBS; i++) {
		v[i] = version();
		job[i] = begin(v[i], i);
	}
	settle();
	for (size_t i = 0; i < JOBS; i++)
		in_line += strstr(cmb_inspect_text(job[i]), "turn") != NULL;
	assert_int_equal(in_line, JOBS - CMB_INSPECT_MAX);
	assert_string_equal(cmb_inspect_text(job[0]), "the verifier");
	assert_int_equal(store.open, CMB_INSPECT_MAX);
	cmb_inspect_cancel(&job[JOBS - 1]); /* in line */
	for (size_t i = 0; i + 1 < JOBS; i++) {
		assert_true(msp_loop_run_until(app.loop, is_flag, &seen[i].done, 20000));
		T_ERR(seen[i].err, MSP_OK);
	}
	assert_false(seen[JOBS - 1].done);
	for (size_t i = 0; i < JOBS; i++)
		drop_version(v[i]);
}

static void a_long_line_has_no_room_for_what_can_wait(void **state)
{
	struct cmb_version *v = version();
	struct cmb_inspect *job[CMB_INSPECT_LINE_MAX];

	(void)state;
	verifier("cat >/dev/null");
	assert_true(cmb_inspect_has_room(&app));
	for (size_t i = 0; i < CMB_INSPECT_LINE_MAX; i++) {
		assert_true(cmb_inspect_has_room(&app));
		T_OK(cmb_inspect_start(&hosted, v, on_done, NULL, &job[i]));
	}
	assert_false(cmb_inspect_has_room(&app));
	cmb_inspect_cancel(&job[0]);
	assert_true(cmb_inspect_has_room(&app));
	for (size_t i = 1; i < CMB_INSPECT_LINE_MAX; i++)
		cmb_inspect_cancel(&job[i]);
	drop_version(v);
}

/* After so many rounds of the loop: in line, digesting, starting, printing, writing, waiting for the end. */
static bool counts_down(void *arg)
{
	unsigned *left = arg;

	return seen[0].done || (*left)-- == 0;
}

static void it_can_be_cancelled_at_any_time(void **state)
{
	(void)state;
	profile.rules.zonemd = CMB_ZONEMD_RECOMPUTE;
	store.repeat = 5000;
	candidate.owner->pages = 10000;
	verifier("cat >/dev/null");
	for (unsigned rounds = 0; rounds < 60; rounds++) {
		struct cmb_version *v = version();
		struct cmb_inspect *job;
		unsigned left = rounds;

		memset(seen, 0, sizeof(seen));
		job = begin(v, 0);
		msp_loop_run_until(app.loop, counts_down, &left, 2000);
		if (!seen[0].done) {
			cmb_inspect_cancel(&job);
			assert_null(job);
			assert_int_equal(store.open, 0); /* at once */
			drop_version(v);
			msp_loop_run_until(app.loop, never, NULL, 5);
			assert_false(seen[0].done);
		} else {
			drop_version(v);
		}
		assert_null(app.inspector);
	}
}

static void the_loop_may_end_while_the_pool_still_works(void **state)
{
	struct cmb_version *v = version();
	struct cmb_inspect *job;
	unsigned left = 3;

	(void)state;
	profile.rules.zonemd = CMB_ZONEMD_RECOMPUTE;
	store.repeat = 500000; /* two million records */
	candidate.owner->pages = 1000000;
	job = begin(v, 0);
	msp_loop_run_until(app.loop, counts_down, &left, 20);
	assert_false(seen[0].done);
	cmb_inspect_cancel(&job);
	drop_version(v);
	msp_loop_free(&app.loop);
	assert_false(seen[0].done);
	T_OK(msp_loop_new(&log_, &app.loop));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_verifier_gets_the_zone_and_its_arguments),
		TEST(a_large_zone_is_streamed),
		TEST(a_verifier_that_refuses_has_the_last_word),
		TEST(a_verifier_may_refuse_on_standard_output_in_silence_or_without_reading),
		TEST(a_verifier_that_says_much_is_heard_to_the_end),
		TEST(a_verifier_that_cannot_run_hangs_or_dies_is_no_yes),
		TEST(pages_that_are_missing_or_unreadable_are_no_yes),
		TEST(zonemd_is_put_into_the_version_and_its_difference),
		TEST(zonemd_is_not_made_where_the_owner_has_none_or_has_signed),
		TEST(the_verifier_sees_the_new_zonemd),
		TEST(a_zone_that_cannot_be_read_has_no_zonemd),
		TEST(a_long_line_has_no_room_for_what_can_wait),
		TEST(at_most_some_run_at_one_time_and_all_get_their_turn),
		TEST(it_can_be_cancelled_at_any_time),
		TEST(the_loop_may_end_while_the_pool_still_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
