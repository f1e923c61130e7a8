/* SPDX-License-Identifier: BSD-2-Clause */
/* The intake over a store that is a list: what is kept of a transfer, and what is refused. */
#include "cmb_build.h"
#include "fake_pages.h"

#include "intake.h"

/* --- the fixture -------------------------------------------------------------------------------------------------- */

static const struct cmb_guard_limits no_limits = { 0 };

struct fixture {
	struct cmb_pages pages;
	struct cmb_owner *held; /* what differences apply to */
	struct cmb_intake *in;
};

static enum msp_err with_rr(const char *line, enum msp_err (*fn)(void *, const struct msp_rr *), void *arg)
{
	struct msp_why why = { "" };
	struct msp_buf rdata;
	struct msp_rr rr;
	enum msp_err err;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	if (msp_rr_scan(msp_span_str(line), NULL, NULL, 300, &rdata, &rr, &why) != MSP_OK)
		fail_msg("%s: %s", line, why.text);
	err = fn(arg, &rr);
	msp_buf_fini(&rdata);
	return err;
}

static enum msp_err begin_whole(void *in, const struct msp_rr *rr)
{
	return cmb_intake_ops.begin(in, rr, true);
}
static enum msp_err begin_diff(void *in, const struct msp_rr *rr)
{
	return cmb_intake_ops.begin(in, rr, false);
}
static enum msp_err leave(void *in, const struct msp_rr *rr)
{
	return cmb_intake_ops.delta(in, false, rr);
}
static enum msp_err reach(void *in, const struct msp_rr *rr)
{
	return cmb_intake_ops.delta(in, true, rr);
}
static enum msp_err del(void *in, const struct msp_rr *rr)
{
	return cmb_intake_ops.change(in, false, rr);
}
static enum msp_err add(void *in, const struct msp_rr *rr)
{
	return cmb_intake_ops.change(in, true, rr);
}

#define SOA(n)  "zone.test. 300 SOA ns.test. host.test. " #n " 3600 600 86400 60"
#define NS1     "zone.test. 300 NS ns1.owner.test."
#define NS2     "zone.test. 300 NS ns2.owner.test."
#define HSYNC1  "zone.test. 300 TYPE65282 \\# 6 010201 016100"
#define HSYNC2  "zone.test. 300 TYPE65282 \\# 6 010201 016200"
#define SIG     "zone.test. 300 RRSIG SOA 13 2 300 20300101000000 20200101000000 1 zone.test. AAAA"
#define SIG2    "zone.test. 300 RRSIG SOA 13 2 300 20310101000000 20200101000000 1 zone.test. AAAA"
#define SIG_TXT "zone.test. 300 RRSIG TXT 13 2 300 20300101000000 20200101000000 1 zone.test. AAAA"

static void open_intake(struct fixture *f, const struct cmb_guard_limits *limits, const struct cmb_owner *base)
{
	struct msp_name zone = t_name("zone.test.");

	T_OK(cmb_intake_open(&f->pages, &zone, &msp_numbers_default, limits, base, &f->in));
}

static void begin(struct fixture *f, const struct cmb_guard_limits *limits)
{
	memset(f, 0, sizeof(*f));
	open_intake(f, limits, NULL);
	T_OK(with_rr(SOA(1000), begin_whole, f->in));
}

static enum msp_err record(struct fixture *f, const char *line)
{
	return with_rr(line, cmb_intake_ops.record, f->in);
}

static void end(struct fixture *f)
{
	cmb_intake_close(&f->in);
	cmb_owner_free(&f->held);
	assert_int_equal(f->pages.builds, 0);
	assert_int_equal(f->pages.edits, 0);
	fake_fini(&f->pages.held);
	fake_fini(&f->pages.news);
}

/* Take a whole zone and make it the one held. */
static void hold(struct fixture *f, const char *const *lines, size_t count, const struct cmb_guard_limits *limits)
{
	begin(f, &no_limits);
	for (size_t i = 0; i < count; i++)
		T_OK(record(f, lines[i]));
	T_OK(cmb_intake_finish(f->in, false));
	f->held = f->in->owner;
	f->held->gen = 1;
	f->in->owner = NULL;
	cmb_intake_close(&f->in);
	f->pages.held = f->pages.news;
	memset(&f->pages.news, 0, sizeof(f->pages.news));
	open_intake(f, limits, f->held);
}

static const char *const zone_lines[] = {
	NS1, NS2, HSYNC1, "a.zone.test. 300 A 192.0.2.1", "a.zone.test. 300 A 192.0.2.2", "b.zone.test. 300 TXT b"
};

static void hold_zone(struct fixture *f)
{
	hold(f, zone_lines, sizeof(zone_lines) / sizeof(zone_lines[0]), &no_limits);
	T_OK(with_rr(SOA(1001), begin_diff, f->in));
}

static bool is_in(const struct fixture *f, const char *line)
{
	struct msp_rrset *set = t_rrset(line);
	struct msp_rr rr = { .owner = set->owner, .type = set->type, .rdata = set->rdata[0] };
	bool found = fake_find(&f->pages.news, &rr) < f->pages.news.count;

	msp_rrset_free(&set);
	return found;
}

/* --- whole zones -------------------------------------------------------------------------------------------------- */

static void the_apex_is_set_apart_and_the_rest_goes_to_the_pages(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &no_limits);
	for (size_t i = 0; i < sizeof(zone_lines) / sizeof(zone_lines[0]); i++)
		T_OK(record(&f, zone_lines[i]));
	T_OK(record(&f, "a.zone.test. 300 NS ns.other.test."));
	T_OK(cmb_intake_finish(f.in, false));
	t_assert_set(f.in->owner->apex.set[CMB_NS], NS1 "\n" NS2);
	assert_int_equal(cmb_apex_serial(&f.in->owner->apex), 1000);
	assert_int_equal(f.in->owner->hsync->count, 1);
	assert_int_equal(f.pages.news.count, 5); /* HSYNC too, and the NS below the apex */
	assert_false(f.in->owner->is_signed);
	end(&f);
}

static void records_that_come_twice_are_kept_once(void **state)
{
	static const char *const lines[] = { NS1,
					     "a.zone.test. 300 A 192.0.2.1",
					     "a.zone.test. 300 TXT x",
					     "A.zone.test. 300 A 192.0.2.1",
					     "a.zone.test. 300 A 192.0.2.1",
					     NS1,
					     HSYNC1,
					     HSYNC1,
					     "c.zone.test. 300 NS NS.C.test.",
					     "c.zone.test. 300 NS ns.c.test.",
					     "c.zone.test. 300 TXT X",
					     "c.zone.test. 300 TXT x" };
	struct fixture f;

	(void)state;
	begin(&f, &no_limits);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		T_OK(record(&f, lines[i]));
	T_OK(cmb_intake_finish(f.in, false));
	assert_int_equal(f.pages.news.count, 6); /* a A, a TXT, HSYNC, c NS, and two TXT that differ */
	end(&f);
}

static void among_many_records_of_a_name_those_that_come_twice_are_found(void **state)
{
	struct fixture f;
	char line[80];

	(void)state;
	begin(&f, &no_limits);
	T_OK(record(&f, NS1));
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 1000; i++) {
			(void)snprintf(line, sizeof(line), "m.zone.test. 300 %s %s%u.test.", i % 2 ? "NS" : "PTR",
				       round ? "N" : "n", i);
			T_OK(record(&f, line));
		}
	T_OK(cmb_intake_finish(f.in, false));
	assert_int_equal(f.pages.news.count, 1000);
	end(&f);
}

static void a_signature_of_the_apex_makes_it_signed(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &no_limits);
	T_OK(record(&f, NS1));
	T_OK(record(&f, SIG_TXT));
	assert_false(f.in->owner->is_signed);
	T_OK(record(&f, SIG));
	assert_true(f.in->owner->is_signed);
	end(&f);
}

static void a_zone_without_ns_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &no_limits);
	T_OK(record(&f, "a.zone.test. 300 NS ns.test."));
	T_ERR(cmb_intake_finish(f.in, false), MSP_EFORMAT);
	assert_non_null(strstr(f.in->why.text, "NS"));
	end(&f);
}

static void a_guard_ends_it_for_good(void **state)
{
	const struct cmb_guard_limits l = { .records = 2 };
	struct fixture f;

	(void)state;
	begin(&f, &l);
	T_OK(record(&f, NS1));
	T_OK(record(&f, NS1)); /* twice counts once */
	T_OK(record(&f, NS2));
	T_ERR(record(&f, HSYNC1), MSP_ELIMIT);
	assert_true(f.in->is_final);
	assert_non_null(strstr(f.in->why.text, "max-records"));
	end(&f);
}

static void what_the_store_says_is_passed_on(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &no_limits);
	f.pages.add_err = MSP_ENOSPACE;
	T_ERR(record(&f, "a.zone.test. 300 A 192.0.2.1"), MSP_ENOSPACE);
	assert_false(f.in->is_final);
	f.pages.add_err = MSP_ELIMIT;
	T_ERR(record(&f, "a.zone.test. 300 A 192.0.2.2"), MSP_ELIMIT);
	assert_true(f.in->is_final);
	end(&f);
}

static void differences_without_a_base_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	memset(&f, 0, sizeof(f));
	open_intake(&f, &no_limits, NULL);
	T_ERR(with_rr(SOA(1001), begin_diff, f.in), MSP_EFORMAT);
	end(&f);
}

/* --- differences -------------------------------------------------------------------------------------------------- */

static void one_version_is_applied_exactly(void **state)
{
	struct fixture f;

	(void)state;
	hold_zone(&f);
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr("a.zone.test. 300 A 192.0.2.1", del, f.in));
	T_OK(with_rr(NS2, del, f.in));
	T_OK(with_rr(HSYNC1, del, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_OK(with_rr("c.zone.test. 300 A 192.0.2.3", add, f.in));
	T_OK(with_rr("zone.test. 300 NS ns3.owner.test.", add, f.in));
	T_OK(with_rr(HSYNC2, add, f.in));
	T_OK(cmb_intake_finish(f.in, false));
	assert_int_equal(cmb_apex_serial(&f.in->owner->apex), 1001);
	assert_int_equal(f.in->serial, 1001);
	t_assert_set(f.in->owner->apex.set[CMB_NS], NS1 "\nzone.test. 300 NS ns3.owner.test.");
	t_assert_set(f.in->owner->hsync, HSYNC2);
	assert_true(is_in(&f, HSYNC2));
	assert_false(is_in(&f, HSYNC1));
	assert_true(is_in(&f, "c.zone.test. 300 A 192.0.2.3"));
	assert_false(is_in(&f, "a.zone.test. 300 A 192.0.2.1"));
	assert_true(is_in(&f, "a.zone.test. 300 A 192.0.2.2"));
	assert_int_equal(cmb_apex_serial(&f.held->apex), 1000); /* what is held is not touched */
	t_assert_set(f.held->apex.set[CMB_NS], NS1 "\n" NS2);
	end(&f);
}

static void several_versions_are_applied_in_turn(void **state)
{
	struct fixture f;

	(void)state;
	hold_zone(&f);
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_OK(with_rr("c.zone.test. 300 A 192.0.2.3", add, f.in));
	T_OK(with_rr(SOA(1001), leave, f.in));
	T_OK(with_rr("c.zone.test. 300 A 192.0.2.3", del, f.in));
	T_OK(with_rr(SOA(1002), reach, f.in));
	T_OK(with_rr("c.zone.test. 300 A 192.0.2.4", add, f.in));
	T_OK(cmb_intake_finish(f.in, false));
	assert_int_equal(cmb_apex_serial(&f.in->owner->apex), 1002);
	assert_false(is_in(&f, "c.zone.test. 300 A 192.0.2.3"));
	assert_true(is_in(&f, "c.zone.test. 300 A 192.0.2.4"));
	end(&f);
}

static void what_does_not_fit_is_told(void **state)
{
	static const struct {
		const char *line;
		bool is_add;
		enum msp_err want;
	} rows[] = {
		{ "x.zone.test. 300 A 192.0.2.9", false, MSP_ENOTFOUND },
		{ "a.zone.test. 300 A 192.0.2.9", false, MSP_ENOTFOUND },
		{ "a.zone.test. 300 A 192.0.2.1", true, MSP_EEXIST },
		{ "zone.test. 300 NS ns9.owner.test.", false, MSP_ENOTFOUND },
		{ NS1, true, MSP_EEXIST },
		{ "zone.test. 300 NS NS1.OWNER.test.", true, MSP_EEXIST },
		{ HSYNC2, false, MSP_ENOTFOUND },
		{ HSYNC1, true, MSP_EEXIST },
		{ "zone.test. 300 CSYNC 1 3 A NS", false, MSP_ENOTFOUND },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		hold_zone(&f);
		T_OK(with_rr(SOA(1000), leave, f.in));
		if (rows[i].is_add)
			T_OK(with_rr(SOA(1001), reach, f.in));
		T_ERR(with_rr(rows[i].line, rows[i].is_add ? add : del, f.in), rows[i].want);
		assert_true(f.in->why.text[0] != '\0');
		assert_false(f.in->is_final); /* the whole zone may well be good */
		end(&f);
	}
}

static void a_soa_that_is_not_ours_does_not_fit(void **state)
{
	struct fixture f;

	(void)state;
	hold_zone(&f);
	T_ERR(with_rr("zone.test. 300 SOA ns.test. host.test. 1000 3600 600 86400 61", leave, f.in), MSP_ENOTFOUND);
	end(&f);
	hold_zone(&f);
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_ERR(with_rr("zone.test. 300 SOA ns.test. host.test. 1001 1 600 86400 60", leave, f.in), MSP_ENOTFOUND);
	end(&f);
}

static void an_rrset_may_go_and_come_back_with_another_ttl(void **state)
{
	struct fixture f;

	(void)state;
	hold_zone(&f);
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(NS1, del, f.in));
	T_OK(with_rr(NS2, del, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_OK(with_rr("zone.test. 60 NS ns1.owner.test.", add, f.in));
	T_OK(with_rr("zone.test. 60 NS ns2.owner.test.", add, f.in));
	T_OK(cmb_intake_finish(f.in, false));
	t_assert_set(f.in->owner->apex.set[CMB_NS],
		     "zone.test. 60 NS ns1.owner.test.\nzone.test. 60 NS ns2.owner.test.");
	assert_false(f.in->ttl_differs);
	end(&f);
}

static void differences_that_take_the_last_ns_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	hold_zone(&f);
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(NS1, del, f.in));
	T_OK(with_rr(NS2, del, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_ERR(cmb_intake_finish(f.in, false), MSP_EFORMAT);
	end(&f);
}

static void a_record_that_is_held_in_two_places_is_not_half_deleted(void **state)
{
	static const char *const lines[] = { NS1, "a.zone.test. 300 A 192.0.2.1", "b.zone.test. 300 A 192.0.2.1",
					     "a.zone.test. 300 A 192.0.2.1" };
	struct fixture f;

	(void)state;
	hold(&f, lines, 4, &no_limits);
	f.in->base->layout.runs = 2;
	T_OK(with_rr(SOA(1001), begin_diff, f.in));
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr("b.zone.test. 300 A 192.0.2.1", del, f.in));
	T_ERR(with_rr("a.zone.test. 300 A 192.0.2.1", del, f.in), MSP_EFORMAT);
	assert_false(f.in->is_final);
	end(&f);
}

static void signatures_come_and_go(void **state)
{
	static const char *const lines[] = { NS1, SIG };
	struct fixture f;

	(void)state;
	hold_zone(&f); /* unsigned: one is added */
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_OK(with_rr(SIG, add, f.in));
	T_OK(cmb_intake_finish(f.in, false));
	assert_true(f.in->owner->is_signed);
	end(&f);
	hold(&f, lines, 2, &no_limits); /* signed: replaced */
	T_OK(with_rr(SOA(1001), begin_diff, f.in));
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(SIG, del, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_OK(with_rr(SIG2, add, f.in));
	T_OK(cmb_intake_finish(f.in, false));
	assert_true(f.in->owner->is_signed);
	end(&f);
	hold(&f, lines, 2, &no_limits); /* signed: gone, so that the whole zone must be looked at */
	T_OK(with_rr(SOA(1001), begin_diff, f.in));
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(SIG, del, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_ERR(cmb_intake_finish(f.in, false), MSP_EREFUSED);
	assert_false(f.in->is_final);
	end(&f);
	hold(&f, lines, 2, &no_limits); /* replaced in one version, gone in the next: no better */
	T_OK(with_rr(SOA(1002), begin_diff, f.in));
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(SIG, del, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_OK(with_rr(SIG2, add, f.in));
	T_OK(with_rr(SOA(1001), leave, f.in));
	T_OK(with_rr(SIG2, del, f.in));
	T_OK(with_rr(SOA(1002), reach, f.in));
	T_ERR(cmb_intake_finish(f.in, false), MSP_EREFUSED);
	end(&f);
	hold_zone(&f); /* never signed but on the way */
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_OK(with_rr(SIG, add, f.in));
	T_OK(with_rr(SOA(1001), leave, f.in));
	T_OK(with_rr(SIG, del, f.in));
	T_OK(with_rr(SOA(1002), reach, f.in));
	T_OK(cmb_intake_finish(f.in, false));
	assert_false(f.in->owner->is_signed);
	end(&f);
}

static void differences_that_shrink_too_much_are_to_come_as_a_whole_zone(void **state)
{
	const struct cmb_guard_limits l = { .shrink_percent = 10 };
	struct fixture f;
	const char *lines[12] = { NS1 };
	char text[11][64];

	(void)state;
	for (unsigned i = 0; i < 11; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "n%u.zone.test. 300 A 192.0.2.1", i);
		lines[i + 1] = text[i];
	}
	hold(&f, lines, 12, &l);
	T_OK(with_rr(SOA(1001), begin_diff, f.in));
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(text[0], del, f.in));
	T_OK(with_rr(text[1], del, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_ERR(cmb_intake_finish(f.in, false), MSP_EREFUSED);
	assert_false(f.in->is_final);
	end(&f);
}

static void differences_that_grow_beyond_a_limit_are_refused_for_good(void **state)
{
	const struct cmb_guard_limits l = { .records = 7 };
	struct fixture f;

	(void)state;
	hold(&f, zone_lines, sizeof(zone_lines) / sizeof(zone_lines[0]), &l); /* and the SOA: seven */
	T_OK(with_rr(SOA(1001), begin_diff, f.in));
	T_OK(with_rr(SOA(1000), leave, f.in));
	T_OK(with_rr(SOA(1001), reach, f.in));
	T_OK(with_rr("d.zone.test. 300 A 192.0.2.1", add, f.in));
	T_ERR(cmb_intake_finish(f.in, false), MSP_ELIMIT);
	assert_true(f.in->is_final);
	end(&f);
}

static void a_whole_zone_may_answer_a_request_for_differences(void **state)
{
	struct fixture f;

	(void)state;
	hold(&f, zone_lines, sizeof(zone_lines) / sizeof(zone_lines[0]), &no_limits);
	T_OK(with_rr(SOA(1001), begin_whole, f.in));
	T_OK(record(&f, NS1));
	T_OK(cmb_intake_finish(f.in, false));
	assert_null(f.in->edit);
	assert_non_null(f.in->build);
	assert_null(f.in->owner->hsync);
	t_assert_set(f.in->owner->apex.set[CMB_NS], NS1);
	end(&f);
}

/* Records with octets of their own, made before memory gets short. */
struct line {
	struct msp_buf rdata;
	struct msp_rr rr;
};

static void read_line(const char *text, struct line *out)
{
	struct msp_why why = { "" };

	msp_buf_init(&out->rdata, MSP_RDATA_MAX);
	if (msp_rr_scan(msp_span_str(text), NULL, NULL, 300, &out->rdata, &out->rr, &why) != MSP_OK)
		fail_msg("%s: %s", text, why.text);
}

static enum msp_err whole_zone(struct fixture *f, const struct line *soa, const struct line *line, size_t count)
{
	struct msp_name zone = t_name("zone.test.");
	enum msp_err err = cmb_intake_open(&f->pages, &zone, &msp_numbers_default, &no_limits, NULL, &f->in);

	if (err == MSP_OK)
		err = cmb_intake_ops.begin(f->in, &soa[0].rr, true);
	for (size_t i = 0; err == MSP_OK && i < count; i++)
		err = cmb_intake_ops.record(f->in, &line[i].rr);
	return err == MSP_OK ? cmb_intake_finish(f->in, false) : err;
}

static enum msp_err differences(struct fixture *f, const struct line *soa, const struct line *line, size_t count)
{
	struct msp_name zone = t_name("zone.test.");
	enum msp_err err = cmb_intake_open(&f->pages, &zone, &msp_numbers_default, &no_limits, f->held, &f->in);

	if (err == MSP_OK)
		err = cmb_intake_ops.begin(f->in, &soa[1].rr, false);
	if (err == MSP_OK)
		err = cmb_intake_ops.delta(f->in, false, &soa[0].rr);
	for (size_t i = 1; err == MSP_OK && i < count; i++) /* all but one NS go */
		err = cmb_intake_ops.change(f->in, false, &line[i].rr);
	if (err == MSP_OK)
		err = cmb_intake_ops.delta(f->in, true, &soa[1].rr);
	for (size_t i = 1; err == MSP_OK && i < count; i++) /* and come back */
		err = cmb_intake_ops.change(f->in, true, &line[i].rr);
	return err == MSP_OK ? cmb_intake_finish(f->in, false) : err;
}

static void without_memory_nothing_is_taken_and_nothing_is_left(void **state)
{
	struct line soa[2], line[26];
	size_t count = 0;
	char text[64];

	(void)state;
	read_line(SOA(1000), &soa[0]);
	read_line(SOA(1001), &soa[1]);
	for (size_t i = 0; i < sizeof(zone_lines) / sizeof(zone_lines[0]); i++)
		read_line(zone_lines[i], &line[count++]);
	for (unsigned i = 0; i < 20; i++) { /* enough of them at one name for a table */
		(void)snprintf(text, sizeof(text), "m.zone.test. 300 A 192.0.2.%u", i);
		read_line(text, &line[count++]);
	}
	for (unsigned is_diff = 0; is_diff < 2; is_diff++) {
		bool is_through = false;

		for (size_t n = 1; !is_through; n++) {
			struct fixture f;
			enum msp_err err;

			memset(&f, 0, sizeof(f));
			if (is_diff) {
				T_OK(whole_zone(&f, soa, line, count));
				f.held = f.in->owner;
				f.held->gen = 1;
				f.in->owner = NULL;
				cmb_intake_close(&f.in);
				T_OK(fake_copy(&f.pages.held, &f.pages.news));
			}
			msp_mem_fail_at(n);
			err = is_diff ? differences(&f, soa, line, count) : whole_zone(&f, soa, line, count);
			is_through = !msp_mem_failed();
			msp_mem_fail_at(0);
			assert_int_equal(err, is_through ? MSP_OK : MSP_ENOMEM);
			end(&f);
		}
	}
	for (size_t i = 0; i < count; i++)
		msp_buf_fini(&line[i].rdata);
	msp_buf_fini(&soa[0].rdata);
	msp_buf_fini(&soa[1].rdata);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_apex_is_set_apart_and_the_rest_goes_to_the_pages),
		cmocka_unit_test(records_that_come_twice_are_kept_once),
		cmocka_unit_test(among_many_records_of_a_name_those_that_come_twice_are_found),
		cmocka_unit_test(a_signature_of_the_apex_makes_it_signed),
		cmocka_unit_test(a_zone_without_ns_is_refused),
		cmocka_unit_test(a_guard_ends_it_for_good),
		cmocka_unit_test(what_the_store_says_is_passed_on),
		cmocka_unit_test(differences_without_a_base_are_refused),
		cmocka_unit_test(one_version_is_applied_exactly),
		cmocka_unit_test(several_versions_are_applied_in_turn),
		cmocka_unit_test(what_does_not_fit_is_told),
		cmocka_unit_test(a_soa_that_is_not_ours_does_not_fit),
		cmocka_unit_test(an_rrset_may_go_and_come_back_with_another_ttl),
		cmocka_unit_test(differences_that_take_the_last_ns_are_refused),
		cmocka_unit_test(a_record_that_is_held_in_two_places_is_not_half_deleted),
		cmocka_unit_test(signatures_come_and_go),
		cmocka_unit_test(differences_that_shrink_too_much_are_to_come_as_a_whole_zone),
		cmocka_unit_test(differences_that_grow_beyond_a_limit_are_refused_for_good),
		cmocka_unit_test(a_whole_zone_may_answer_a_request_for_differences),
		cmocka_unit_test(without_memory_nothing_is_taken_and_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
