/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/mem.h>

#include "zone/secure_make.h"

static struct msp_rrset *one(void)
{
	struct msp_name name = t_name("a.example.");
	struct msp_rrset *set;

	T_OK(msp_rrset_new(&name, MSP_TYPE_A, 60, &set));
	T_OK(msp_rrset_add(set, msp_span("\300\0\2\1", 4)));
	return set;
}

static void maker_takes_the_records_over(void **state)
{
	struct msp_rrset *set = one(), *same = set;
	struct msp_secure_rrset *s = NULL;

	(void)state;
	T_OK(msp_secure_make(&set, &s));
	assert_null(set);
	assert_ptr_equal(msp_secure_get(s), same);
	assert_int_equal(msp_secure_get(s)->count, 1);
	msp_secure_free(&s);
	assert_null(s);
	msp_secure_free(&s); /* nothing to free is fine */
}

static void without_memory_the_records_stay_with_the_caller(void **state)
{
	struct msp_secure_rrset *s = NULL;
	struct msp_rrset *set = one();

	(void)state;
	msp_mem_fail_at(1);
	T_ERR(msp_secure_make(&set, &s), MSP_ENOMEM);
	assert_true(msp_mem_failed());
	msp_mem_fail_at(0);
	assert_null(s);
	assert_non_null(set);
	assert_int_equal(set->count, 1);
	msp_rrset_free(&set);
}

static void outcomes_of_a_lookup_have_names(void **state)
{
	(void)state;
	assert_string_equal(msp_lookup_name(MSP_LOOKUP_SECURE), "secure");
	assert_string_equal(msp_lookup_name(MSP_LOOKUP_NODATA), "nodata");
	assert_string_equal(msp_lookup_name(MSP_LOOKUP_INSECURE), "insecure");
	assert_string_equal(msp_lookup_name(MSP_LOOKUP_BOGUS), "bogus");
	assert_string_equal(msp_lookup_name(MSP_LOOKUP_INDETERMINATE), "indeterminate");
	assert_string_equal(msp_lookup_name(MSP_LOOKUP_TIMEOUT), "timeout");
	assert_string_equal(msp_lookup_name(MSP_LOOKUP_FAILED), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maker_takes_the_records_over),
		cmocka_unit_test(without_memory_the_records_stay_with_the_caller),
		cmocka_unit_test(outcomes_of_a_lookup_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
