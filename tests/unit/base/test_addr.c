/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/addr.h>
#include <msproto/base/rand.h>

#include <arpa/inet.h>

static struct msp_addr addr(const char *text, uint16_t port)
{
	struct msp_addr a = { 0 };

	T_OK(msp_addr_parse(text, port, &a));
	return a;
}

static void addresses_print_as_people_write_them(void **state)
{
	static const struct {
		const char *in, *out, *with_port;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1:53" },
		{ "0.0.0.0", "0.0.0.0", "0.0.0.0:53" },
		{ "255.255.255.255", "255.255.255.255", "255.255.255.255:53" },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1", "[2001:db8::1]:53" },
		{ "::", "::", "[::]:53" },
		{ "::1", "::1", "[::1]:53" },
		{ "1::", "1::", "[1::]:53" },
		{ "1:0:0:2:0:0:0:3", "1:0:0:2::3", "[1:0:0:2::3]:53" },
		{ "1:0:0:2:3:0:0:4", "1::2:3:0:0:4", "[1::2:3:0:0:4]:53" },
		{ "1:2:3:0:5:6:7:8", "1:2:3:0:5:6:7:8", "[1:2:3:0:5:6:7:8]:53" },
		{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", "[1:2:3:4:5:6:7:0]:53" },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:53" },
		{ "::ffff:c000:201", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:53" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:53" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_addr a = addr(rows[i].in, 0), b = addr(rows[i].in, 53);

		assert_string_equal(MSP_ADDR(&a), rows[i].out);
		assert_string_equal(MSP_ADDR(&b), rows[i].with_port);
	}
	assert_string_equal(MSP_ADDR(&((struct msp_addr){ .family = MSP_FAMILY_NONE })), "none");
	assert_string_equal(MSP_ADDR(&((struct msp_addr){ .family = MSP_FAMILY_V4, .port = 65535 })), "0.0.0.0:65535");
}

static void what_is_not_an_address_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"1",
		"1.2.3",
		"1.2.3.",
		"1.2.3.4.",
		"1.2.3.4.5",
		".1.2.3",
		"1..2.3",
		"256.1.1.1",
		"01.2.3.4",
		"1.2.3.04",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.0x4",
		"-1.2.3.4",
		"1.2.3.4/8",
		"1.2.3.4:53",
		"1.2.3.1000",
		":",
		":::",
		"1:",
		":1",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:",
		"1:2:3:4:5:6:7:8:",
		"1:2:3:4:5:6:7:8:9",
		"1::2::3",
		"1:2:3:4:5:6:7:8::",
		"::1:2:3:4:5:6:7:8",
		"12345::",
		"g::",
		"fe80::1%eth0",
		"[::1]",
		"::1]",
		"::1.2.3",
		"::1.2.3.256",
		"::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4",
		"1.2.3.4::",
		"::01.2.3.4",
		"::1 ",
		"::.1.2.3",
		"1:2:3:4:5:1.2.3.4",
		"example.",
	};
	struct msp_addr a, before;

	(void)state;
	memset(&a, 0x5a, sizeof(a));
	before = a;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (msp_addr_parse(bad[i], 53, &a) != MSP_EFORMAT)
			fail_msg("taken: '%s'", bad[i]);
	assert_memory_equal(&a, &before, sizeof(a));
}

/* The system's reader and writer as a second opinion. */
static void random_addresses_agree_with_the_system(void **state)
{
	struct msp_rand r;

	(void)state;
	msp_rand_init_seed(&r, 6);
	for (int i = 0; i < 20000; i++) {
		struct msp_addr a = { .family = i % 4 == 0 ? MSP_FAMILY_V4 : MSP_FAMILY_V6 }, b;
		char text[INET6_ADDRSTRLEN];
		uint8_t oct[16] = { 0 };
		int af = i % 4 == 0 ? AF_INET : AF_INET6;

		for (size_t k = 0; k < (i % 4 == 0 ? 4u : 16u); k++) /* many zero groups */
			a.oct[k] = msp_rand_below(&r, 4) == 0 ? (uint8_t)msp_rand_u16(&r) : 0;
		if (af == AF_INET6)
			a.oct[0] |= 0x20; /* inet_ntop prints ::a.b.c.d dotted, which RFC 5952 does not ask for */
		assert_int_equal(inet_pton(af, MSP_ADDR(&a), oct), 1);
		assert_memory_equal(oct, a.oct, 16);
		assert_non_null(inet_ntop(af, a.oct, text, sizeof(text)));
		assert_string_equal(text, MSP_ADDR(&a));
		T_OK(msp_addr_parse(text, 0, &b));
		assert_true(msp_addr_equal(&a, &b));
	}
}

static void octets_of_a_record_become_an_address(void **state)
{
	struct msp_addr a;

	(void)state;
	T_OK(msp_addr_from_octets(msp_span("\xc0\x00\x02\x01", 4), 853, &a));
	assert_string_equal(MSP_ADDR(&a), "192.0.2.1:853");
	T_OK(msp_addr_from_octets(msp_span("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16), 0, &a));
	assert_string_equal(MSP_ADDR(&a), "2001:db8::1");
	T_ERR(msp_addr_from_octets(msp_span("\1\2\3\4\5", 5), 0, &a), MSP_EFORMAT);
	T_ERR(msp_addr_from_octets(msp_span(NULL, 0), 0, &a), MSP_EFORMAT);
}

static void mapped_addresses_are_their_ipv4_form(void **state)
{
	struct msp_addr v4 = addr("192.0.2.1", 53), mapped = addr("::ffff:192.0.2.1", 53),
			other = addr("192.0.2.1", 54);
	struct msp_addr compatible = addr("::192.0.2.1", 53), none = { .family = MSP_FAMILY_NONE };

	(void)state;
	assert_true(msp_addr_same_host(&v4, &mapped));
	assert_true(msp_addr_equal(&mapped, &v4));
	assert_true(msp_addr_same_host(&v4, &other));
	assert_false(msp_addr_equal(&v4, &other));
	assert_false(msp_addr_same_host(&v4, &compatible)); /* the deprecated form means nothing */
	assert_false(msp_addr_same_host(&v4, &none));
}

static bool has(const char *prefix, const char *address)
{
	struct msp_addr a = addr(address, 1234);
	struct msp_prefix p;

	T_OK(msp_prefix_parse(prefix, &p));
	return msp_prefix_has(&p, &a);
}

static void prefixes_hold_what_they_cover(void **state)
{
	struct msp_addr none = { .family = MSP_FAMILY_NONE };
	struct msp_prefix p;

	(void)state;
	assert_true(has("192.0.2.0/24", "192.0.2.255"));
	assert_false(has("192.0.2.0/24", "192.0.3.0"));
	assert_true(has("192.0.2.128/25", "192.0.2.128"));
	assert_false(has("192.0.2.128/25", "192.0.2.127"));
	assert_true(has("0.0.0.0/0", "203.0.113.9"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_true(has("192.0.2.1", "192.0.2.1"));
	assert_false(has("192.0.2.1", "192.0.2.0"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(has("::/0", "2001:db8::1"));
	assert_true(has("192.0.2.0/24", "::ffff:192.0.2.9"));
	assert_true(has("::ffff:192.0.2.0/120", "192.0.2.9"));
	assert_false(has("::/0", "::ffff:192.0.2.9"));
	assert_false(has("::/0", "192.0.2.9"));
	T_OK(msp_prefix_parse("0.0.0.0/0", &p));
	assert_false(msp_prefix_has(&p, &none));
}

static void sloppy_prefixes_are_refused(void **state)
{
	static const char *const bad[] = { "192.0.2.1/24",   "192.0.2.0/33",
					   "192.0.2.0/",     "/24",
					   "192.0.2.0/024",  "192.0.2.0/+24",
					   "192.0.2.0/24/",  "2001:db8::1/64",
					   "2001:db8::/129", "2001:db8::/00",
					   "192.0.2/24",     "::ffff:192.0.2.1/120",
					   "192.0.2.0/ 24",  "192.0.2.0/99999999999999999999" };
	struct msp_prefix p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (msp_prefix_parse(bad[i], &p) != MSP_EFORMAT)
			fail_msg("taken: '%s'", bad[i]);
}

/* spec: PROTOCOL C.3 step 6 */
static void sources_share_a_bucket_by_24_and_56_bits(void **state)
{
	struct msp_addr a = addr("192.0.2.77", 53), m = addr("::ffff:192.0.2.78", 99),
			v6 = addr("2001:db8:1:2ff:3::4", 53);
	struct msp_addr bucket = msp_addr_bucket(&a), mapped = msp_addr_bucket(&m), six = msp_addr_bucket(&v6);

	(void)state;
	assert_string_equal(MSP_ADDR(&bucket), "192.0.2.0");
	assert_true(msp_addr_equal(&bucket, &mapped));
	assert_int_equal(mapped.family, MSP_FAMILY_V4);
	assert_string_equal(MSP_ADDR(&six), "2001:db8:1:200::");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_print_as_people_write_them),
		cmocka_unit_test(what_is_not_an_address_is_refused),
		cmocka_unit_test(random_addresses_agree_with_the_system),
		cmocka_unit_test(octets_of_a_record_become_an_address),
		cmocka_unit_test(mapped_addresses_are_their_ipv4_form),
		cmocka_unit_test(prefixes_hold_what_they_cover),
		cmocka_unit_test(sloppy_prefixes_are_refused),
		cmocka_unit_test(sources_share_a_bucket_by_24_and_56_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
