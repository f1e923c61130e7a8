/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/err.h>

static void every_error_has_a_row(void **state)
{
	(void)state;
	for (unsigned e = 0; e < MSP_ERR__N; e++) {
		assert_true(strlen(msp_err_name((enum msp_err)e)) > 1);
		assert_true(strlen(msp_err_text((enum msp_err)e)) > 1);
		assert_true(msp_err_rcode((enum msp_err)e) <= MSP_RCODE_NOTZONE);
		if (e != MSP_OK)
			assert_int_not_equal(msp_err_rcode((enum msp_err)e), MSP_RCODE_NOERROR);
	}
	assert_string_equal(msp_err_name(MSP_ETRUNC), "ETRUNC");
	assert_string_equal(msp_err_text(MSP_ETIMEOUT), "no answer in time");
	assert_int_equal(msp_err_retry(MSP_ETIMEOUT), MSP_RETRY_BACKOFF);
	assert_int_equal(msp_err_retry(MSP_ESIG), MSP_RETRY_NEVER);
	assert_int_equal(msp_err_rcode(MSP_ENOTZONE), MSP_RCODE_NOTZONE);
}

static void an_error_outside_the_table_is_answered_safely(void **state)
{
	enum msp_err bad = (enum msp_err)MSP_ERR__N;

	(void)state;
	assert_non_null(msp_err_name(bad));
	assert_non_null(msp_err_text(bad));
	assert_int_equal(msp_err_retry(bad), MSP_RETRY_NEVER);
	assert_int_equal(msp_err_rcode(bad), MSP_RCODE_SERVFAIL);
}

static void fail_hands_back_the_error_and_always_terminates(void **state)
{
	char big[1000];
	struct msp_why why;

	(void)state;
	memset(&why, 'x', sizeof(why));
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	T_ERR(msp_fail(&why, MSP_EVALUE, "%s %d", "port", 70000), MSP_EVALUE);
	assert_string_equal(why.text, "port 70000");
	T_ERR(msp_fail(&why, MSP_ELIMIT, "%s", big), MSP_ELIMIT);
	assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
	T_ERR(msp_fail(NULL, MSP_EIO, "%d", 1), MSP_EIO);
}

static void every_rcode_has_the_right_name(void **state)
{
	char want[16];

	(void)state;
	assert_string_equal(msp_rcode_name(0), "NOERROR");
	assert_string_equal(msp_rcode_name(MSP_RCODE_REFUSED), "REFUSED");
	assert_string_equal(msp_rcode_name(MSP_RCODE_BADTIME), "BADTIME");
	assert_string_equal(msp_rcode_name(MSP_RCODE_BADCOOKIE), "BADCOOKIE");
	for (unsigned r = 24; r < 4096; r++) {
		snprintf(want, sizeof(want), "RCODE%u", r);
		assert_string_equal(msp_rcode_name(r), want);
	}
	assert_string_equal(msp_rcode_name(12), "RCODE12");
	assert_string_equal(msp_rcode_name(4096), "RCODE?");
	assert_string_equal(msp_rcode_name(UINT32_MAX), "RCODE?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_a_row),
		cmocka_unit_test(an_error_outside_the_table_is_answered_safely),
		cmocka_unit_test(fail_hands_back_the_error_and_always_terminates),
		cmocka_unit_test(every_rcode_has_the_right_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
