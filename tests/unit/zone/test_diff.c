/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/zone/diff.h>

/* Records are told by the last octet of their address: "-1 +2 ". */
struct log {
	char text[200];
	unsigned calls, fail_at;
	uint32_t ttl_sum;
};

static enum msp_err note(void *arg, enum msp_change change, const struct msp_rr *rr)
{
	struct log *log = arg;
	size_t len = strlen(log->text);

	if (++log->calls == log->fail_at)
		return MSP_EBUSY;
	assert_int_equal(rr->cls, MSP_CLASS_IN);
	log->ttl_sum += rr->ttl;
	snprintf(log->text + len, sizeof(log->text) - len, "%c%u ", change == MSP_CHANGE_ADD ? '+' : '-',
		 rr->rdata.ptr[rr->rdata.len - 1]);
	return MSP_OK;
}

/** A set of addresses; each character of `last` is a digit. */
static struct msp_rrset *set(const char *owner, uint32_t ttl, const char *last)
{
	struct msp_name name = t_name(owner);
	struct msp_rrset *s;

	T_OK(msp_rrset_new(&name, MSP_TYPE_A, ttl, &s));
	for (; *last != '\0'; last++) {
		uint8_t rdata[] = { 192, 0, 2, (uint8_t)(*last - '0') };

		T_OK(msp_rrset_add(s, msp_span(rdata, 4)));
	}
	return s;
}

static void check(struct msp_rrset *before, struct msp_rrset *after, const char *want)
{
	struct log log = { .text = "" };

	T_OK(msp_rrset_diff(before, after, note, &log));
	assert_string_equal(log.text, want);
	msp_rrset_free(&before);
	msp_rrset_free(&after);
}

static void deletions_come_before_additions(void **state)
{
	(void)state;
	check(set("a.", 60, "123"), set("a.", 60, "245"), "-1 -3 +4 +5 ");
}

static void equal_sets_differ_in_nothing(void **state)
{
	(void)state;
	check(set("a.", 60, "321"), set("a.", 60, "123"), "");
	check(set("A.", 60, "1"), set("a.", 60, "1"), "");
	check(NULL, NULL, "");
	check(NULL, set("a.", 60, ""), "");
	check(set("a.", 60, ""), NULL, "");
}

static void null_is_the_empty_set(void **state)
{
	(void)state;
	check(NULL, set("a.", 60, "12"), "+1 +2 ");
	check(set("a.", 60, "12"), NULL, "-1 -2 ");
}

static void another_ttl_replaces_every_record(void **state)
{
	struct msp_rrset *before = set("a.", 60, "12"), *after = set("a.", 1000, "12");
	struct log log = { .text = "" };

	(void)state;
	T_OK(msp_rrset_diff(before, after, note, &log));
	assert_string_equal(log.text, "-1 -2 +1 +2 ");
	assert_int_equal(log.ttl_sum, 2 * 60 + 2 * 1000);
	msp_rrset_free(&before);
	msp_rrset_free(&after);
}

static void another_owner_replaces_every_record(void **state)
{
	(void)state;
	check(set("a.", 60, "1"), set("b.", 60, "1"), "-1 +1 ");
}

static void first_error_of_the_callee_stops_the_walk(void **state)
{
	static const char *const want[] = { "", "-1 ", "-1 -2 ", "-1 -2 +3 " };

	(void)state;
	for (unsigned n = 1; n <= 4; n++) {
		struct msp_rrset *before = set("a.", 60, "12"), *after = set("a.", 60, "34");
		struct log log = { .fail_at = n };

		T_ERR(msp_rrset_diff(before, after, note, &log), MSP_EBUSY);
		assert_string_equal(log.text, want[n - 1]);
		assert_int_equal(log.calls, n);
		msp_rrset_free(&before);
		msp_rrset_free(&after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deletions_come_before_additions),
		cmocka_unit_test(equal_sets_differ_in_nothing),
		cmocka_unit_test(null_is_the_empty_set),
		cmocka_unit_test(another_ttl_replaces_every_record),
		cmocka_unit_test(another_owner_replaces_every_record),
		cmocka_unit_test(first_error_of_the_callee_stops_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
