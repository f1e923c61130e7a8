/* SPDX-License-Identifier: BSD-2-Clause */
/* TLSA records looked up and kept, with a resolver that says what the test wants and a clock that it moves. */
#include "../io/tlskit.h"

#include "tlsa.h"

#include <msproto/base/mem.h>

#include "io/tls_priv.h"
#include "zone/secure_make.h"

struct rig {
	struct k_loop k;
	struct cmb_tlsa *keeper;
	/* the resolver */
	size_t asked;
	struct msp_name name; /* of the last question */
	msp_resolve_fn *cb;
	void *cb_arg;
	enum msp_err refuse;
};

static struct msp_mono now;

static struct msp_mono clock_of_test(void)
{
	return now;
}

static enum msp_err ask(void *arg, const struct msp_name *name, uint16_t type, msp_resolve_fn *cb, void *cb_arg)
{
	struct rig *r = arg;

	r->asked++;
	assert_int_equal(type, MSP_TYPE_TLSA);
	assert_null(r->cb); /* one at a time */
	r->name = *name;
	if (r->refuse != MSP_OK)
		return r->refuse;
	r->cb = cb;
	r->cb_arg = cb_arg;
	return MSP_OK;
}

static void open_rig(struct rig *r)
{
	struct cmb_tlsa_params p = { .ask = ask, .ask_arg = r, .now = clock_of_test };

	memset(r, 0, sizeof(*r));
	now.ms = 1000000;
	k_open(&r->k);
	p.loop = r->k.loop;
	T_OK(cmb_tlsa_open(&p, &r->keeper));
}
static void close_rig(struct rig *r)
{
	cmb_tlsa_close(&r->keeper);
	k_close(&r->k);
}

/* One record of usage 3, with data that is all `octet`. */
static struct msp_rrset *records(uint8_t octet, uint32_t ttl)
{
	struct msp_name owner = t_name("_853._tcp.ns.example.test.");
	uint8_t rdata[35] = { 3, 1, 1 };
	struct msp_rrset *set;

	memset(rdata + 3, octet, 32);
	T_OK(msp_rrset_new(&owner, MSP_TYPE_TLSA, ttl, &set));
	T_OK(msp_rrset_add(set, msp_span(rdata, sizeof(rdata))));
	return set;
}

static void answer(struct rig *r, enum msp_lookup verdict, struct msp_rrset *set)
{
	struct msp_secure_rrset *secure = NULL;
	msp_resolve_fn *cb = r->cb;

	if (set != NULL)
		T_OK(msp_secure_make(&set, &secure));
	assert_non_null(cb);
	r->cb = NULL;
	cb(r->cb_arg, verdict, secure, "a reason");
}

static void expect_asked(struct rig *r, size_t count)
{
	K_UNTIL_COUNT(&r->k, &r->asked, count);
	k_settle(&r->k);
	assert_int_equal(r->asked, count);
}

static struct msp_tls *context(void)
{
	struct msp_tls_params p = { .use_tlsa = true, .auth_name = "ns.example.test" };
	struct msp_tls *tls;

	T_OK(msp_tls_new(&p, &tls, NULL));
	return tls;
}

static void expect_has(const struct msp_tls *tls, int octet)
{
	if (octet < 0)
		assert_null(tls->tlsa);
	else
		assert_int_equal(tls->tlsa->rdata[0].ptr[3], octet);
}

/* Nobody believed: look again. */
static void doubt(struct rig *r, const struct msp_tls *tls, uint64_t after_s)
{
	now.ms += (int64_t)after_s * 1000;
	cmb_tlsa_doubt(r->keeper, tls);
}

static void context_is_supplied_with_the_records_of_its_name(void **state)
{
	struct msp_name want = t_name("_853._tcp.ns.example.test.");
	struct msp_tls *tls = context(), *late = context();
	struct rig r;

	(void)state;
	open_rig(&r);
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	assert_int_equal(r.asked, 0); /* from the loop */
	expect_asked(&r, 1);
	assert_true(msp_name_same(&r.name, &want));
	expect_has(tls, -1);
	answer(&r, MSP_LOOKUP_SECURE, records('a', 300));
	expect_has(tls, 'a');
	T_OK(cmb_tlsa_add(r.keeper, late, "NS.example.test."));
	expect_has(late, 'a');
	expect_asked(&r, 1);
	close_rig(&r);
	msp_tls_unref(&tls);
	msp_tls_unref(&late);
}

static void new_records_replace_old_ones_only_when_they_are_secure(void **state)
{
	static const enum msp_lookup bad[] = { MSP_LOOKUP_INSECURE, MSP_LOOKUP_BOGUS, MSP_LOOKUP_INDETERMINATE,
					       MSP_LOOKUP_TIMEOUT, MSP_LOOKUP_FAILED };
	struct msp_tls *tls = context();
	struct rig r;
	size_t asked = 1;

	(void)state;
	open_rig(&r);
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	expect_asked(&r, asked);
	answer(&r, MSP_LOOKUP_SECURE, records('a', 300));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		doubt(&r, tls, 60);
		expect_asked(&r, ++asked);
		answer(&r, bad[i], NULL);
		expect_has(tls, 'a');
	}
	doubt(&r, tls, 60);
	expect_asked(&r, ++asked);
	answer(&r, MSP_LOOKUP_SECURE, records('b', 300));
	expect_has(tls, 'b');
	close_rig(&r);
	msp_tls_unref(&tls);
}

static void secure_denial_takes_the_records_away_at_once(void **state)
{
	struct msp_tls *tls = context();
	struct rig r;

	(void)state;
	open_rig(&r);
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	expect_asked(&r, 1);
	answer(&r, MSP_LOOKUP_SECURE, records('a', 300));
	doubt(&r, tls, 60);
	expect_asked(&r, 2);
	answer(&r, MSP_LOOKUP_NODATA, NULL);
	expect_has(tls, -1);
	close_rig(&r);
	msp_tls_unref(&tls);
}

static void records_hold_a_day_longer_than_their_ttl_when_no_answer_comes(void **state)
{
	struct msp_tls *tls = context();
	struct rig r;

	(void)state;
	open_rig(&r);
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	expect_asked(&r, 1);
	answer(&r, MSP_LOOKUP_SECURE, records('a', 300));
	doubt(&r, tls, 300 + 86400 - 1);
	expect_asked(&r, 2);
	answer(&r, MSP_LOOKUP_TIMEOUT, NULL);
	expect_has(tls, 'a');
	doubt(&r, tls, 60);
	expect_asked(&r, 3);
	answer(&r, MSP_LOOKUP_TIMEOUT, NULL);
	expect_has(tls, -1);
	close_rig(&r);
	msp_tls_unref(&tls);
}

static void doubt_asks_once_a_minute_at_most(void **state)
{
	struct msp_tls *tls = context(), *other = context();
	struct rig r;

	(void)state;
	open_rig(&r);
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	expect_asked(&r, 1);
	doubt(&r, tls, 60); /* while asking */
	expect_asked(&r, 1);
	answer(&r, MSP_LOOKUP_SECURE, records('a', 300));
	doubt(&r, tls, 0);
	doubt(&r, other, 0); /* not ours */
	expect_asked(&r, 2); /* the minute since the first question is over */
	answer(&r, MSP_LOOKUP_SECURE, records('a', 300));
	doubt(&r, tls, 59);
	expect_asked(&r, 2);
	doubt(&r, tls, 1);
	expect_asked(&r, 3);
	close_rig(&r);
	msp_tls_unref(&tls);
	msp_tls_unref(&other);
}

static void refused_question_is_a_failure_like_others(void **state)
{
	struct msp_tls *tls = context();
	struct rig r;

	(void)state;
	open_rig(&r);
	r.refuse = MSP_EBUSY;
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	expect_asked(&r, 1);
	expect_has(tls, -1);
	r.refuse = MSP_OK;
	doubt(&r, tls, 60);
	expect_asked(&r, 2);
	answer(&r, MSP_LOOKUP_SECURE, records('a', 300));
	expect_has(tls, 'a');
	close_rig(&r);
	msp_tls_unref(&tls);
}

static void context_may_go_while_an_answer_is_on_its_way(void **state)
{
	struct msp_tls *tls = context();
	struct rig r;

	(void)state;
	open_rig(&r);
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	expect_asked(&r, 1);
	cmb_tlsa_remove(r.keeper, tls);
	cmb_tlsa_remove(r.keeper, tls); /* not there: nothing happens */
	answer(&r, MSP_LOOKUP_SECURE, records('a', 300));
	expect_has(tls, -1);
	/* Gone and come back before the answer. */
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	expect_asked(&r, 2);
	cmb_tlsa_remove(r.keeper, tls);
	T_OK(cmb_tlsa_add(r.keeper, tls, "ns.example.test"));
	answer(&r, MSP_LOOKUP_SECURE, records('b', 300));
	expect_has(tls, 'b');
	/* And one that is closed while asking. */
	doubt(&r, tls, 60);
	expect_asked(&r, 3);
	close_rig(&r);
	assert_int_equal(tls->refs, 1);
	msp_tls_unref(&tls);
}

static void name_that_is_none_is_refused(void **state)
{
	char text[300];
	struct msp_tls *tls = context();
	struct rig r;

	(void)state;
	open_rig(&r);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	T_ERR(cmb_tlsa_add(r.keeper, tls, text), MSP_ENAME);
	T_ERR(cmb_tlsa_add(r.keeper, tls, "a..b"), MSP_ENAME);
	close_rig(&r);
	msp_tls_unref(&tls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(context_is_supplied_with_the_records_of_its_name),
		cmocka_unit_test(new_records_replace_old_ones_only_when_they_are_secure),
		cmocka_unit_test(secure_denial_takes_the_records_away_at_once),
		cmocka_unit_test(records_hold_a_day_longer_than_their_ttl_when_no_answer_comes),
		cmocka_unit_test(doubt_asks_once_a_minute_at_most),
		cmocka_unit_test(refused_question_is_a_failure_like_others),
		cmocka_unit_test(context_may_go_while_an_answer_is_on_its_way),
		cmocka_unit_test(name_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
