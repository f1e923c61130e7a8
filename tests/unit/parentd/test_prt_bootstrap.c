/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_build.h"

#include "bootstrap.h"

#include <msproto/base/mem.h>

#define KEY   C " 300 KEY 0 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
#define OTHER C " 300 KEY 512 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs="
#define SIX   6

static const struct msp_wall noon = { 1800000000 };

struct fixture {
	struct prt_boot_rules rules;
	struct prt_boot boot;
	struct msp_rrset *key, *other, *both;
	struct prt_boot_secure signal[3];
	struct prt_boot_plain plain[SIX]; /* two addresses, three vantage points */
	struct prt_boot_seen seen;
	struct msp_why why;
};

static struct fixture *begin(bool is_secure, size_t outside_ns, unsigned methods)
{
	struct prt_boot_child child = { is_secure, outside_ns };
	struct fixture *f = msp_alloc(1, sizeof(*f));

	assert_non_null(f);
	f->rules = prt_boot_rules_default;
	f->rules.methods = methods;
	f->key = t_rrset(KEY);
	f->other = t_rrset(OTHER);
	f->both = t_rrset(KEY "\n" OTHER);
	(void)prt_boot_begin(&f->boot, &f->rules, &child, noon);
	f->seen.apex = (struct prt_boot_secure){ .verdict = MSP_LOOKUP_SECURE, .keys = f->both };
	for (size_t i = 0; i < 3; i++)
		f->signal[i] = (struct prt_boot_secure){ .verdict = MSP_LOOKUP_SECURE, .keys = f->key };
	for (unsigned i = 0; i < SIX; i++)
		f->plain[i] = (struct prt_boot_plain){ .vantage = i % 3, .keys = f->both };
	f->seen.signal = f->signal;
	f->seen.signals = 3;
	f->seen.plain = f->plain;
	f->seen.plains = SIX;
	return f;
}

static void end(struct fixture *f)
{
	msp_rrset_free(&f->key);
	msp_rrset_free(&f->other);
	msp_rrset_free(&f->both);
	msp_free(f);
}

static enum prt_boot_outcome look(struct fixture *f, int64_t after_s)
{
	return prt_boot_look(&f->boot, &f->rules, f->key->rdata[0], &f->seen, (struct msp_wall){ noon.s + after_s },
			     &f->why);
}

#define ALL (1u << PRT_METHOD_APEX | 1u << PRT_METHOD_NS | 1u << PRT_METHOD_UNSIGNED | 1u << PRT_METHOD_MANUAL)

static void the_method_is_the_strongest_that_the_child_can_meet(void **state)
{
	static const struct {
		bool is_secure;
		size_t outside;
		unsigned methods;
		enum prt_method want;
	} cases[] = {
		{ true, 2, ALL, PRT_METHOD_APEX },
		{ true, 2, ALL & ~(1u << PRT_METHOD_APEX), PRT_METHOD_MANUAL }, /* nothing weaker for a secure child */
		{ false, 2, ALL, PRT_METHOD_NS },
		{ false, 0, ALL, PRT_METHOD_UNSIGNED },
		{ false, 2, ALL & ~(1u << PRT_METHOD_NS), PRT_METHOD_UNSIGNED },
		{ false, 0, 1u << PRT_METHOD_APEX | 1u << PRT_METHOD_NS, PRT_METHOD_MANUAL },
		{ false, 2, 0, PRT_METHOD_MANUAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prt_boot_rules r = prt_boot_rules_default;
		struct prt_boot_child c = { cases[i].is_secure, cases[i].outside };
		struct prt_boot b;

		r.methods = cases[i].methods;
		assert_int_equal(prt_boot_method(&r, &c), cases[i].want);
		assert_int_equal(prt_boot_begin(&b, &r, &c, noon),
				 cases[i].want == PRT_METHOD_MANUAL ? PRT_BOOT_HUMAN : PRT_BOOT_LOOK);
	}
}

static void a_secure_child_shows_its_key_at_the_apex(void **state)
{
	static const struct {
		enum msp_lookup verdict;
		bool has_key;
		enum prt_boot_outcome want;
	} cases[] = {
		{ MSP_LOOKUP_SECURE, true, PRT_BOOT_VALIDATED },
		{ MSP_LOOKUP_SECURE, false, PRT_BOOT_MISSED },
		{ MSP_LOOKUP_NODATA, false, PRT_BOOT_MISSED },
		{ MSP_LOOKUP_INSECURE, true, PRT_BOOT_MISSED },
		{ MSP_LOOKUP_BOGUS, true, PRT_BOOT_MISSED },
		{ MSP_LOOKUP_TIMEOUT, false, PRT_BOOT_AGAIN }, /* costs no attempt */
		{ MSP_LOOKUP_FAILED, false, PRT_BOOT_AGAIN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f = begin(true, 0, ALL);

		f->seen.apex.verdict = cases[i].verdict;
		f->seen.apex.keys = cases[i].has_key ? f->both : f->other;
		assert_int_equal(look(f, 0), cases[i].want);
		if (cases[i].want != PRT_BOOT_VALIDATED) {
			assert_int_equal(f->boot.next.s, noon.s + f->rules.retry_s);
			assert_true(f->why.text[0] != '\0');
		}
		end(f);
	}
}

static void every_name_server_that_can_speak_must_agree(void **state)
{
	struct fixture *f = begin(false, 3, ALL);

	(void)state;
	f->seen.apex.verdict = MSP_LOOKUP_INSECURE;
	assert_int_equal(look(f, 0), PRT_BOOT_VALIDATED);
	f->signal[1].is_zone_unsigned = true; /* cannot speak: the others do */
	f->signal[1].keys = NULL;
	assert_int_equal(look(f, 0), PRT_BOOT_VALIDATED);
	f->signal[2].keys = f->other;
	assert_int_equal(look(f, 0), PRT_BOOT_MISSED);
	f->signal[2].verdict = MSP_LOOKUP_BOGUS;
	f->signal[2].keys = f->key;
	assert_int_equal(look(f, 0), PRT_BOOT_MISSED);
	f->signal[2].verdict = MSP_LOOKUP_TIMEOUT;
	assert_int_equal(look(f, 0), PRT_BOOT_AGAIN);
	f->signal[2].verdict = MSP_LOOKUP_SECURE;
	f->seen.apex.keys = f->other; /* the child itself shows another key */
	assert_int_equal(look(f, 0), PRT_BOOT_MISSED);
	f->seen.apex.keys = f->both;
	for (size_t i = 0; i < 3; i++)
		f->signal[i].is_zone_unsigned = true;
	assert_int_equal(look(f, 0), PRT_BOOT_MISSED); /* nobody has spoken */
	end(f);
}

static void an_unsigned_child_is_looked_at_for_a_day(void **state)
{
	struct fixture *f = begin(false, 0, ALL);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(look(f, i * 21600), PRT_BOOT_AGAIN);
		assert_int_equal(f->boot.next.s, noon.s + (int64_t)(i + 1) * 21600);
	}
	assert_int_equal(look(f, 86399), PRT_BOOT_AGAIN); /* five rounds, but not a day */
	assert_int_equal(look(f, 86400), PRT_BOOT_VALIDATED);
	end(f);
}

static void any_difference_begins_the_count_anew(void **state)
{
	struct fixture *f = begin(false, 0, ALL);

	(void)state;
	assert_int_equal(look(f, 0), PRT_BOOT_AGAIN);
	assert_int_equal(f->boot.rounds, 1);
	f->plain[5].keys = f->key; /* one address, at one vantage point, has less */
	assert_int_equal(look(f, 100), PRT_BOOT_MISSED);
	assert_int_equal(f->boot.rounds, 0);
	f->plain[5].keys = NULL;
	assert_int_equal(look(f, 200), PRT_BOOT_MISSED);
	f->plain[5].keys = f->both;
	assert_int_equal(look(f, 300), PRT_BOOT_AGAIN);
	assert_int_equal(f->boot.rounds, 1);
	assert_int_equal(f->boot.first.s, noon.s + 300);
	end(f);
}

static void silence_is_no_difference_and_no_agreement(void **state)
{
	struct fixture *f = begin(false, 0, ALL);

	(void)state;
	assert_int_equal(look(f, 0), PRT_BOOT_AGAIN);
	f->plain[3].err = MSP_ETIMEOUT;
	assert_int_equal(look(f, 100), PRT_BOOT_AGAIN);
	assert_int_equal(f->boot.rounds, 1);
	f->plain[3].err = MSP_OK;
	for (unsigned i = 0; i < SIX; i++)
		f->plain[i].vantage = i % 2; /* one vantage point is missing */
	assert_int_equal(look(f, 200), PRT_BOOT_AGAIN);
	assert_int_equal(f->boot.rounds, 1);
	f->seen.plains = 0;
	assert_int_equal(look(f, 300), PRT_BOOT_AGAIN);
	end(f);
}

/* Who can keep one server silent does not hide by it what another one shows. */
static void a_difference_counts_beside_silence(void **state)
{
	struct fixture *f = begin(false, 2, 1u << PRT_METHOD_NS);

	(void)state;
	f->signal[0].verdict = MSP_LOOKUP_TIMEOUT;
	assert_int_equal(look(f, 0), PRT_BOOT_AGAIN);
	f->signal[2].keys = f->other;
	assert_int_equal(look(f, 0), PRT_BOOT_MISSED);
	end(f);
	f = begin(false, 0, 1u << PRT_METHOD_UNSIGNED);
	assert_int_equal(look(f, 0), PRT_BOOT_AGAIN);
	assert_int_equal(f->boot.rounds, 1);
	f->plain[0].err = MSP_ETIMEOUT;
	assert_int_equal(look(f, 600), PRT_BOOT_AGAIN);
	assert_int_equal(f->boot.rounds, 1);
	f->plain[5].keys = f->other;
	assert_int_equal(look(f, 1200), PRT_BOOT_MISSED);
	assert_int_equal(f->boot.rounds, 0);
	f->plain[5].keys = f->key; /* the key, but not the same set as the others */
	assert_int_equal(look(f, 1800), PRT_BOOT_MISSED);
	end(f);
}

static void a_clock_that_jumps_makes_no_day_of_an_hour(void **state)
{
	struct fixture *f = begin(false, 0, ALL);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(look(f, i), PRT_BOOT_AGAIN);
	assert_int_equal(look(f, -1000), PRT_BOOT_AGAIN); /* set back: counted from there */
	assert_int_equal(f->boot.rounds, 1);
	assert_int_equal(f->boot.first.s, noon.s - 1000);
	end(f);
}

static void progress_survives_being_stored(void **state)
{
	struct fixture *f = begin(false, 0, ALL);
	struct prt_boot back;
	struct msp_buf b;

	(void)state;
	assert_int_equal(look(f, 0), PRT_BOOT_AGAIN);
	msp_buf_init(&b, 64);
	T_OK(prt_boot_write(&f->boot, &b));
	T_OK(prt_boot_read(msp_buf_span(&b), &back));
	assert_true(back.method == f->boot.method && back.rounds == 1 && back.first.s == noon.s &&
		    back.next.s == f->boot.next.s);
	for (size_t cut = 1; cut < b.len; cut++)
		T_ERR(prt_boot_read(msp_span(b.ptr, cut), &back), MSP_ECORRUPT);
	msp_buf_fini(&b);
	end(f);
}

/* The second provider's key comes a moment after the first one's was looked for: the resolver still has what it saw
 * then. */
static void what_may_be_from_a_cache_is_waited_out_before_the_next_look(void **state)
{
	static const struct {
		uint32_t ttl;
		int64_t next_s;
	} cases[] = { { 60, 3600 }, { 7200, 7201 }, { 7 * 86400, 86400 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f = begin(true, 0, ALL);

		f->other->ttl = cases[i].ttl;
		f->seen.apex.keys = f->other;
		assert_int_equal(look(f, 0), PRT_BOOT_MISSED);
		assert_int_equal(f->boot.next.s, noon.s + cases[i].next_s);
		end(f);
		f = begin(false, 3, ALL);
		f->other->ttl = cases[i].ttl;
		f->signal[2].keys = f->other;
		assert_int_equal(look(f, 0), PRT_BOOT_MISSED);
		assert_int_equal(f->boot.next.s, noon.s + cases[i].next_s);
		end(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_method_is_the_strongest_that_the_child_can_meet),
		cmocka_unit_test(a_secure_child_shows_its_key_at_the_apex),
		cmocka_unit_test(every_name_server_that_can_speak_must_agree),
		cmocka_unit_test(an_unsigned_child_is_looked_at_for_a_day),
		cmocka_unit_test(any_difference_begins_the_count_anew),
		cmocka_unit_test(silence_is_no_difference_and_no_agreement),
		cmocka_unit_test(a_clock_that_jumps_makes_no_day_of_an_hour),
		cmocka_unit_test(progress_survives_being_stored),
		cmocka_unit_test(a_difference_counts_beside_silence),
		cmocka_unit_test(what_may_be_from_a_cache_is_waited_out_before_the_next_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
