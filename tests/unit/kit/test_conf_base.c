/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups that take settings from a named entry of another list. */
#include "support.h"

#include <msproto/kit/conf.h>

struct leaf {
	char *text;
};
static const struct msp_conf_row leaf_rows[] = { { "text", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0, NULL,
						   offsetof(struct leaf, text), NULL, NULL, "Text" },
						 { .key = NULL } };
static const struct msp_conf_schema leaf_schema = { sizeof(struct leaf), leaf_rows };

struct set {
	struct msp_name id;
	int64_t num;
	struct msp_conf_list leaves;
	struct msp_conf_strs strs;
};
struct pattern {
	char *name;
	struct set set;
};
struct thing {
	struct msp_name name;
	struct msp_conf_base pattern;
	struct set set;
};
#define SET_ROWS(type, required)                                                                                       \
	{ "id", MSP_CONF_NAME, required, 0, 0, NULL, offsetof(struct type, set.id), NULL, NULL, "Id" },                \
		{ "num", MSP_CONF_INT, 0, 0, 100, "7", offsetof(struct type, set.num), NULL, NULL, "Number" },         \
		{ "leaves",     MSP_CONF_LIST, 0,       0, 4, NULL, offsetof(struct type, set.leaves),                 \
		  &leaf_schema, NULL,          "Leaves" },                                                             \
	{                                                                                                              \
		"strs", MSP_CONF_STRS, 0, 0, 4, NULL, offsetof(struct type, set.strs), NULL, NULL, "Texts"             \
	}
static const struct msp_conf_row pattern_rows[] = { { "called", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0, NULL,
						      offsetof(struct pattern, name), NULL, NULL, "Name" },
						    SET_ROWS(pattern, 0),
						    { .key = NULL } };
static const struct msp_conf_schema pattern_schema = { sizeof(struct pattern), pattern_rows };
static const struct msp_conf_row thing_rows[] = { { "name", MSP_CONF_NAME, MSP_CONF_REQUIRED | MSP_CONF_OWN, 0, 0, NULL,
						    offsetof(struct thing, name), NULL, NULL, "Name" },
						  { "pattern", MSP_CONF_BASE, MSP_CONF_OWN, 0, 0, NULL,
						    offsetof(struct thing, pattern), &pattern_schema, NULL, "Base" },
						  SET_ROWS(thing, MSP_CONF_REQUIRED),
						  { .key = NULL } };
static const struct msp_conf_schema thing_schema = { sizeof(struct thing), thing_rows };

struct all {
	struct msp_conf_list patterns, things;
};
static const struct msp_conf_row all_rows[] = {
	{ "patterns", MSP_CONF_LIST, 0, 0, 0, NULL, offsetof(struct all, patterns), &pattern_schema, NULL, "Bases" },
	{ "things", MSP_CONF_LIST, 0, 0, 0, NULL, offsetof(struct all, things), &thing_schema, NULL, "Things" },
	{ .key = NULL }
};
static const struct msp_conf_schema all_schema = { sizeof(struct all), all_rows };

#define PATTERNS                                                                                                       \
	"patterns = ( { called = \"a\"; id = \"a.\"; num = 3; leaves = ( { text = \"x\"; } ); strs = [ \"s\" ]; },\n"  \
	"             { called = \"b\"; num = 4; } );\n"

static void load(const char *text, struct all *out)
{
	struct msp_buf errors;

	msp_buf_init(&errors, 65536);
	if (msp_conf_load_text(text, &all_schema, out, &errors) != MSP_OK)
		fail_msg("%s", msp_buf_text(&errors));
	msp_buf_fini(&errors);
}

static void refused(const char *text, const char *fragment, unsigned lines)
{
	struct msp_buf errors;
	struct all a;
	unsigned count = 0;

	msp_buf_init(&errors, 65536);
	T_ERR(msp_conf_load_text(text, &all_schema, &a, &errors), MSP_ECONF);
	if (!strstr(msp_buf_text(&errors), fragment))
		fail_msg("\"%s\" lacks \"%s\"", msp_buf_text(&errors), fragment);
	for (const char *p = msp_buf_text(&errors); *p; p++)
		count += *p == '\n';
	assert_int_equal(count, lines);
	msp_buf_fini(&errors);
}

static const struct thing *thing(const struct all *a, size_t i)
{
	return (const struct thing *)a->things.item + i;
}

static void what_an_entry_does_not_say_is_its_base_s(void **state)
{
	struct all a;
	const struct thing *t;

	(void)state;
	load(PATTERNS "things = ( { name = \"t.\"; pattern = \"a\"; num = 9; } );", &a);
	t = thing(&a, 0);
	assert_false(t->pattern.is_bare);
	assert_string_equal(t->pattern.name, "a");
	assert_string_equal(MSP_NAME(&t->set.id), "a.");
	assert_int_equal(t->set.num, 9);
	assert_int_equal(t->set.leaves.count, 1);
	assert_string_equal(((const struct leaf *)t->set.leaves.item)->text, "x");
	assert_string_equal(t->set.strs.item[0], "s");
	msp_conf_fini(&all_schema, &a);
}

static void lists_are_replaced_as_a_whole(void **state)
{
	struct all a;

	(void)state;
	load(PATTERNS "things = ( { name = \"t.\"; pattern = \"a\"; leaves = ( ); } );", &a);
	assert_int_equal(thing(&a, 0)->set.leaves.count, 0);
	assert_int_equal(thing(&a, 0)->set.num, 3);
	msp_conf_fini(&all_schema, &a);
}

static void an_entry_with_nothing_of_its_own_is_left_bare(void **state)
{
	struct all a;

	(void)state;
	load(PATTERNS "things = ( { name = \"t.\"; pattern = \"a\"; }, { name = \"u.\"; id = \"u.\"; } );", &a);
	assert_true(thing(&a, 0)->pattern.is_bare);
	assert_string_equal(MSP_NAME(&thing(&a, 0)->name), "t.");
	assert_false(msp_name_is_set(&thing(&a, 0)->set.id));
	assert_int_equal(thing(&a, 0)->set.num, 0);
	assert_false(thing(&a, 1)->pattern.is_bare);
	assert_null(thing(&a, 1)->pattern.name);
	assert_int_equal(thing(&a, 1)->set.num, 7);
	msp_conf_fini(&all_schema, &a);
}

static void required_settings_may_come_from_either(void **state)
{
	struct all a;

	(void)state;
	load(PATTERNS "things = ( { name = \"t.\"; pattern = \"b\"; id = \"t.\"; } );", &a);
	assert_int_equal(thing(&a, 0)->set.num, 4);
	msp_conf_fini(&all_schema, &a);
	refused(PATTERNS "things = ( { name = \"t.\"; pattern = \"b\"; } );",
		"text:3: things[0].id: required setting is missing", 1);
	refused(PATTERNS "things = ( { name = \"t.\"; num = 1; } );", "things[0].id: required setting is missing", 1);
}

static void a_base_that_is_not_there_is_refused(void **state)
{
	(void)state;
	refused(PATTERNS "things = ( { name = \"t.\"; pattern = \"c\"; id = \"t.\"; } );",
		"text:3: things[0].pattern: there is no entry of that name", 1);
	refused("things = ( { name = \"t.\"; pattern = \"a\"; id = \"t.\"; } );", "there is no entry of that name", 1);
}

static void a_mistake_in_a_base_is_told_once(void **state)
{
	(void)state;
	refused("patterns = ( { called = \"a\"; id = \"a.\"; num = 1000; } );\n"
		"things = ( { name = \"t.\"; pattern = \"a\"; strs = [ ]; }, { name = \"u.\"; pattern = \"a\"; strs = "
		"[ ]; } );",
		"text:1: patterns[0].num: 1000 is outside 0 to 100", 1);
}

static void the_name_of_an_entry_is_never_its_base_s(void **state)
{
	(void)state;
	refused(PATTERNS "things = ( { pattern = \"a\"; } );", "things[0].name: required setting is missing", 1);
}

static void what_is_shown_loads_again_to_the_same(void **state)
{
	struct msp_buf shown, again;
	struct all a, b;

	(void)state;
	load(PATTERNS "things = ( { name = \"t.\"; pattern = \"a\"; }, { name = \"u.\"; pattern = \"a\"; num = 1; } );",
	     &a);
	msp_buf_init(&shown, 65536);
	msp_buf_init(&again, 65536);
	T_OK(msp_conf_show(&all_schema, &a, &shown));
	load(msp_buf_text(&shown), &b);
	T_OK(msp_conf_show(&all_schema, &b, &again));
	assert_string_equal(msp_buf_text(&shown), msp_buf_text(&again));
	assert_true(thing(&b, 0)->pattern.is_bare);
	assert_int_equal(thing(&b, 1)->set.num, 1);
	msp_conf_fini(&all_schema, &a);
	msp_conf_fini(&all_schema, &b);
	msp_buf_fini(&shown);
	msp_buf_fini(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_entry_does_not_say_is_its_base_s),
		cmocka_unit_test(lists_are_replaced_as_a_whole),
		cmocka_unit_test(an_entry_with_nothing_of_its_own_is_left_bare),
		cmocka_unit_test(required_settings_may_come_from_either),
		cmocka_unit_test(a_base_that_is_not_there_is_refused),
		cmocka_unit_test(a_mistake_in_a_base_is_told_once),
		cmocka_unit_test(the_name_of_an_entry_is_never_its_base_s),
		cmocka_unit_test(what_is_shown_loads_again_to_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
