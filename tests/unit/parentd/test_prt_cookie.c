/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "cookie.h"

static const struct msp_wall start = { 1795493000 };

static struct msp_addr addr(const char *text)
{
	struct msp_addr a;

	T_OK(msp_addr_parse(text, 53, &a));
	return a;
}

/* The check of a cookie option with these octets; NULL = no such option. */
static enum prt_cookie check(const struct prt_cookie_jar *jar, const uint8_t *octets, size_t len, const char *peer,
			     int64_t after_s, uint8_t answer[PRT_COOKIE_LEN])
{
	uint8_t mem[128] = { 0, MSP_OPT_COOKIE, 0, (uint8_t)len };
	struct msp_edns e = { .present = octets != NULL };
	struct msp_addr a = addr(peer);

	if (len != 0)
		memcpy(mem + 4, octets, len);
	e.options = msp_span(mem, 4 + len);
	return prt_cookie_check(jar, &e, &a, (struct msp_wall){ start.s + after_s }, answer);
}

static void fill(struct prt_cookie_jar *jar, struct msp_rand *rand)
{
	msp_rand_init_seed(rand, 7);
	prt_cookie_init(jar, rand, start);
}

static const uint8_t client[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void a_server_cookie_holds_for_its_address_and_time(void **state)
{
	static const struct {
		const char *peer;
		int64_t after_s;
		enum prt_cookie want;
	} cases[] = {
		{ "192.0.2.1", 0, PRT_COOKIE_GOOD },      { "192.0.2.1", 3600, PRT_COOKIE_GOOD },
		{ "192.0.2.1", 3601, PRT_COOKIE_CLIENT }, { "192.0.2.1", -300, PRT_COOKIE_GOOD },
		{ "192.0.2.1", -301, PRT_COOKIE_CLIENT }, { "192.0.2.2", 0, PRT_COOKIE_CLIENT },
		{ "2001:db8::1", 0, PRT_COOKIE_CLIENT },
	};
	uint8_t cookie[PRT_COOKIE_LEN], again[PRT_COOKIE_LEN];
	struct prt_cookie_jar jar;
	struct msp_rand rand;

	(void)state;
	fill(&jar, &rand);
	assert_int_equal(check(&jar, client, 8, "192.0.2.1", 0, cookie), PRT_COOKIE_CLIENT);
	assert_memory_equal(cookie, client, 8);
	assert_int_equal(cookie[8], 1); /* RFC 9018 4.1 */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (check(&jar, cookie, sizeof(cookie), cases[i].peer, cases[i].after_s, again) != cases[i].want)
			fail_msg("case %zu", i);
	for (size_t i = 0; i < sizeof(cookie) * 8; i++) {
		cookie[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(check(&jar, cookie, sizeof(cookie), "192.0.2.1", 0, again), PRT_COOKIE_CLIENT);
		cookie[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

static void lengths_are_those_of_rfc_7873(void **state)
{
	uint8_t octets[64] = { 0 }, answer[PRT_COOKIE_LEN];
	struct prt_cookie_jar jar;
	struct msp_rand rand;

	(void)state;
	fill(&jar, &rand);
	assert_int_equal(check(&jar, NULL, 0, "192.0.2.1", 0, answer), PRT_COOKIE_NONE);
	for (size_t len = 0; len < sizeof(octets); len++)
		assert_int_equal(check(&jar, octets, len, "192.0.2.1", 0, answer),
				 len == 8 || (len >= 16 && len <= 40) ? PRT_COOKIE_CLIENT : PRT_COOKIE_MALFORMED);
}

static void the_secret_before_is_good_for_a_day_more(void **state)
{
	uint8_t cookie[PRT_COOKIE_LEN], late[PRT_COOKIE_LEN], answer[PRT_COOKIE_LEN];
	struct msp_wall day = { start.s + PRT_COOKIE_ROLL_S }, two = { start.s + 2 * PRT_COOKIE_ROLL_S };
	struct prt_cookie_jar jar;
	struct msp_rand rand;

	(void)state;
	fill(&jar, &rand);
	(void)check(&jar, client, 8, "192.0.2.1", PRT_COOKIE_ROLL_S - 10, cookie);
	prt_cookie_roll(&jar, &rand, (struct msp_wall){ day.s - 1 });
	(void)check(&jar, client, 8, "192.0.2.1", PRT_COOKIE_ROLL_S - 10, late);
	assert_memory_equal(cookie, late, sizeof(cookie)); /* not yet */
	prt_cookie_roll(&jar, &rand, day);
	assert_int_equal(check(&jar, cookie, sizeof(cookie), "192.0.2.1", PRT_COOKIE_ROLL_S, answer), PRT_COOKIE_GOOD);
	(void)check(&jar, client, 8, "192.0.2.1", PRT_COOKIE_ROLL_S - 10, late);
	assert_memory_not_equal(cookie, late, sizeof(cookie));
	prt_cookie_roll(&jar, &rand, two);
	assert_int_equal(check(&jar, cookie, sizeof(cookie), "192.0.2.1", PRT_COOKIE_ROLL_S, answer),
			 PRT_COOKIE_CLIENT);
}

/* RFC 9018 A.1 and A.4 */
static void cookies_are_those_of_rfc_9018(void **state)
{
	static const struct {
		const char *secret, *client, *peer, *cookie;
		int64_t at;
	} cases[] = {
		{ "e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100",
		  "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985 },
		{ "dd3bdf9344b678b185a6f5cb60fca715", "22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8",
		  "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741817 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t answer[PRT_COOKIE_LEN];
		struct msp_buf secret, octets, want;
		struct prt_cookie_jar jar;

		t_hex(cases[i].secret, &secret);
		t_hex(cases[i].client, &octets);
		t_hex(cases[i].cookie, &want);
		memcpy(jar.secret[0], secret.ptr, PRT_COOKIE_SECRET);
		memset(jar.secret[1], 0, PRT_COOKIE_SECRET);
		assert_int_equal(check(&jar, octets.ptr, octets.len, cases[i].peer, cases[i].at - start.s, answer),
				 PRT_COOKIE_CLIENT);
		assert_memory_equal(answer, want.ptr, sizeof(answer));
		msp_buf_fini(&secret);
		msp_buf_fini(&octets);
		msp_buf_fini(&want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_cookie_holds_for_its_address_and_time),
		cmocka_unit_test(lengths_are_those_of_rfc_7873),
		cmocka_unit_test(cookies_are_those_of_rfc_9018),
		cmocka_unit_test(the_secret_before_is_good_for_a_day_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
