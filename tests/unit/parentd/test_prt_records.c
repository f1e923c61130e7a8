/* SPDX-License-Identifier: BSD-2-Clause */
/* What is published: which name has which DSYNC records, and that no name hides others from the wildcard. */
#include "support.h"

#include "records.h"

#include <msproto/wire/text.h>

#include <stdio.h>
#include <string.h>

struct world {
	struct msp_name parent, target;
	struct prt_dsync_child child[4];
	struct prt_records_in in;
	struct prt_records out;
};

static void fill(struct world *w, const char *parent, const char *target)
{
	memset(w, 0, sizeof(*w));
	w->parent = t_name(parent);
	w->target = t_name(target);
	w->in = (struct prt_records_in){ .parent = &w->parent,
					 .target = &w->target,
					 .port = 5300,
					 .ttl = 300,
					 .cds = true,
					 .wildcard = true,
					 .plain = true,
					 .child = w->child,
					 .numbers = &msp_numbers_default };
}

static struct prt_dsync_child *add_child(struct world *w, const char *zone)
{
	struct prt_dsync_child *c = &w->child[w->in.child_count++];

	*c = (struct prt_dsync_child){ .zone = t_name(zone), .target = w->target, .port = 5300, .cds = true };
	return c;
}

/* Every record, a line each, in their order. */
static void expect(struct world *w, const char *want)
{
	struct msp_buf text;

	T_OK(prt_records_make(&w->in, &w->out));
	msp_buf_init(&text, 1u << 20);
	for (size_t i = 0; i < w->out.count; i++)
		for (size_t k = 0; k < w->out.set[i]->count; k++) {
			struct msp_rr rr = { .owner = w->out.set[i]->owner,
					     .type = w->out.set[i]->type,
					     .cls = MSP_CLASS_IN,
					     .ttl = w->out.set[i]->ttl,
					     .rdata = w->out.set[i]->rdata[k] };

			msp_rr_print(&text, NULL, &rr);
			msp_buf_add_u8(&text, '\n');
		}
	assert_string_equal(msp_buf_text(&text), want);
	msp_buf_fini(&text);
	prt_records_fini(&w->out);
}

#define CDS(owner) owner " 300 IN DSYNC CDS NOTIFY 5300 u.p.\n"

static void all_children_have_the_wildcard_and_the_plain_name(void **state)
{
	struct world w;

	(void)state;
	fill(&w, "p.", "u.p.");
	w.in.update = w.in.csync = true;
	expect(&w, "_dsync.p. 300 IN DSYNC CDS NOTIFY 5300 u.p.\n_dsync.p. 300 IN DSYNC CSYNC NOTIFY 5300 u.p.\n"
		   "_dsync.p. 300 IN DSYNC ANY 2 5300 u.p.\n*._dsync.p. 300 IN DSYNC CDS NOTIFY 5300 u.p.\n"
		   "*._dsync.p. 300 IN DSYNC CSYNC NOTIFY 5300 u.p.\n*._dsync.p. 300 IN DSYNC ANY 2 5300 u.p.\n");
	w.in.plain = w.in.csync = w.in.update = false;
	expect(&w, CDS("*._dsync.p."));
	w.in.cds = false;
	expect(&w, "");
}

static void a_child_has_its_own_and_nothing_is_a_record(void **state)
{
	struct prt_dsync_child *c;
	struct world w;

	(void)state;
	fill(&w, "p.", "u.p.");
	w.in.plain = false;
	c = add_child(&w, "shop.p.");
	c->cds = false;
	c->update = true;
	c->target = t_name("r.test.");
	c->port = 99;
	add_child(&w, "quiet.p.")->cds = false;
	add_child(&w, "Case.P.");
	expect(&w, CDS("*._dsync.p.") CDS("Case._dsync.p.") "quiet._dsync.p. 300 IN DSYNC ANY 0 0 .\n"
							    "shop._dsync.p. 300 IN DSYNC ANY 2 99 r.test.\n");
	fill(&w, ".", "u.p.");
	w.in.plain = false;
	add_child(&w, "com.");
	expect(&w, CDS("*._dsync.") CDS("com._dsync."));
}

static void names_between_do_not_hide_the_wildcard(void **state)
{
	struct world w;

	(void)state;
	fill(&w, "p.", "u.p.");
	w.in.plain = false;
	add_child(&w, "a.b.c.p.");
	add_child(&w, "d.b.c.p.");
	expect(&w, CDS("*._dsync.p.") CDS("*.c._dsync.p.") CDS("*.b.c._dsync.p.") CDS("a.b.c._dsync.p.")
			   CDS("d.b.c._dsync.p."));
	/* one child's own wildcard-like name is not overwritten, and without a wildcard there is nothing to hide */
	w.in.wildcard = false;
	expect(&w, CDS("a.b.c._dsync.p.") CDS("d.b.c._dsync.p."));
}

static void a_target_below_dsync_hides_nothing_from_its_namesake(void **state)
{
	struct prt_dsync_child *c;
	struct world w;

	(void)state;
#define CDS2(owner) owner " 300 IN DSYNC CDS NOTIFY 5300 t.x._dsync.p.\n"
	fill(&w, "p.", "t.x._dsync.p.");
	w.in.plain = false;
	expect(&w, CDS2("*._dsync.p.") CDS2("x._dsync.p.") CDS2("*.x._dsync.p.") CDS2("t.x._dsync.p.")
			   CDS2("*.t.x._dsync.p."));
	c = add_child(&w, "t.x.p."); /* which has records of its own */
	c->port = 7;
	expect(&w, CDS2("*._dsync.p.") CDS2("x._dsync.p.")
			   CDS2("*.x._dsync.p.") "t.x._dsync.p. 300 IN DSYNC CDS NOTIFY 7 t.x._dsync.p.\n" CDS2(
				   "*.t.x._dsync.p."));
#undef CDS2
}

static void a_target_far_below_dsync_hides_nothing_from_children_called_like_names_above_it(void **state)
{
	struct world w;

	(void)state;
#define CDS3(owner) owner " 300 IN DSYNC CDS NOTIFY 5300 t.y.x._dsync.p.\n"
	fill(&w, "p.", "t.y.x._dsync.p.");
	w.in.plain = false;
	expect(&w, CDS3("*._dsync.p.") CDS3("x._dsync.p.") CDS3("*.x._dsync.p.") CDS3("y.x._dsync.p.")
			   CDS3("*.y.x._dsync.p.") CDS3("t.y.x._dsync.p.") CDS3("*.t.y.x._dsync.p."));
	add_child(&w, "x.p.")->cds = false; /* its own goes before */
	expect(&w, CDS3("*._dsync.p.") "x._dsync.p. 300 IN DSYNC ANY 0 0 .\n" CDS3("*.x._dsync.p.") CDS3(
			   "y.x._dsync.p.") CDS3("*.y.x._dsync.p.") CDS3("t.y.x._dsync.p.") CDS3("*.t.y.x._dsync.p."));
	w.in.child_count = 0;
	w.in.wildcard = false; /* nothing is hidden */
	expect(&w, "");
#undef CDS3
}

static void what_cannot_be_named_is_an_error(void **state)
{
	char label[64] = "", text[4 * sizeof(label) + 4];
	struct world w;

	(void)state;
	fill(&w, "p.", "u.p.");
	add_child(&w, "other.test.");
	T_ERR(prt_records_make(&w.in, &w.out), MSP_ENAME);
	fill(&w, "p.", "u.p.");
	add_child(&w, "p.");
	T_ERR(prt_records_make(&w.in, &w.out), MSP_ENAME);
	assert_null(w.out.set);
	memset(label, 'a', 61);
	snprintf(text, sizeof(text), "%s.%s.%s.%s.p.", label, label, label, label); /* 251 octets */
	fill(&w, "p.", "u.p.");
	add_child(&w, text);
	T_ERR(prt_records_make(&w.in, &w.out), MSP_ENAME);
}

static void names_are_found_as_they_exist(void **state)
{
	static const struct {
		const char *name;
		bool exists, has_dsync;
	} cases[] = {
		{ "_dsync.p.", true, true },       { "*._dsync.p.", true, true },   { "c._dsync.p.", true, false },
		{ "B.C._Dsync.p.", true, true },   { "d._dsync.p.", false, false }, { "a.b.c._dsync.p.", false, false },
		{ "x*._dsync.p.", false, false },  { "p.", true, false },           { "q.", false, false },
		{ "z.c._dsync.p.", false, false }, { "u.p.", true, false },
	};
	struct world w;

	(void)state;
	fill(&w, "p.", "u.p.");
	add_child(&w, "b.c.p.");
	w.in.bootstrap = "manual";
	T_OK(prt_records_make(&w.in, &w.out));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_name n = t_name(cases[i].name);

		if (prt_records_has_name(&w.out, &n) != cases[i].exists ||
		    (prt_records_get(&w.out, &n, MSP_TYPE_DSYNC) != NULL) != cases[i].has_dsync)
			fail_msg("%s", cases[i].name);
	}
	assert_non_null(prt_records_get(&w.out, &w.target, MSP_TYPE_SVCB));
	prt_records_fini(&w.out);
	assert_false(prt_records_has_name(&w.out, &w.parent));
}

static void what_was_written_is_read_and_taken_away_again(void **state)
{
	size_t records = 0, whole = 0;
	struct prt_records back, more;
	struct msp_buf octets, again;
	struct world w;

	(void)state;
	fill(&w, "p.", "u.p.");
	w.in.bootstrap = "at-apex,manual";
	add_child(&w, "a.b.p.");
	msp_buf_init(&octets, 1u << 16);
	msp_buf_init(&again, 1u << 16);
	T_OK(prt_records_make(&w.in, &w.out));
	T_OK(prt_records_write(&w.out, &octets));
	T_OK(prt_records_read(msp_buf_span(&octets), &back));
	T_OK(prt_records_write(&back, &again));
	assert_true(msp_span_equal(msp_buf_span(&octets), msp_buf_span(&again)));
	for (size_t i = 0; i < w.out.count; i++)
		records += w.out.set[i]->count;
	for (size_t cut = 1; cut < octets.len; cut++) {
		if (prt_records_read(msp_span(octets.ptr, cut), &more) == MSP_OK)
			whole++;
		prt_records_fini(&more);
	}
	assert_int_equal(whole + 1, records); /* a cut between two of them is the beginning of it all */
	T_OK(prt_records_read(msp_span(NULL, 0), &more));
	T_OK(prt_records_merge(&more, &back));
	T_OK(prt_records_merge(&more, &back)); /* once is enough */
	assert_int_equal(more.count, w.out.count);
	prt_records_subtract(&more, &w.out);
	assert_int_equal(more.count, 0);
	prt_records_fini(&more);
	prt_records_fini(&back);
	prt_records_fini(&w.out);
	msp_buf_fini(&octets);
	msp_buf_fini(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_children_have_the_wildcard_and_the_plain_name),
		cmocka_unit_test(a_child_has_its_own_and_nothing_is_a_record),
		cmocka_unit_test(names_between_do_not_hide_the_wildcard),
		cmocka_unit_test(a_target_below_dsync_hides_nothing_from_its_namesake),
		cmocka_unit_test(a_target_far_below_dsync_hides_nothing_from_children_called_like_names_above_it),
		cmocka_unit_test(what_cannot_be_named_is_an_error),
		cmocka_unit_test(names_are_found_as_they_exist),
		cmocka_unit_test(what_was_written_is_read_and_taken_away_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
