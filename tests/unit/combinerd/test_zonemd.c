/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 8976: the example of its Appendix A.1, and zones whose digests dnspython computed. */
#include "support.h"

#include "zonemd.h"

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>
#include <msproto/msg/msg.h>
#include <msproto/wire/text.h>

#define LINES_MAX 4096
#define PAGES_MAX 4096
#define BOTH      (CMB_ZONEMD_HASH_BIT(CMB_ZONEMD_SHA384) | CMB_ZONEMD_HASH_BIT(CMB_ZONEMD_SHA512))

/* A zone as lines; the first `apex` of them are not in pages. */
struct zone {
	const char *line[LINES_MAX];
	size_t len[LINES_MAX];
	size_t count, apex;
	struct msp_buf apex_octets;
	struct msp_buf page[PAGES_MAX];
	size_t pages, at;
	enum msp_err err; /* after the last page instead of MSP_ENOTFOUND */
	unsigned asked;
	bool stops;
};
static struct zone z;

static void split(const char *text, size_t apex)
{
	memset(&z, 0, sizeof(z));
	z.apex = apex;
	z.err = MSP_ENOTFOUND;
	for (const char *p = text; *p != '\0';) {
		size_t len = strcspn(p, "\n");

		assert_true(z.count < LINES_MAX);
		z.line[z.count] = p;
		z.len[z.count++] = len;
		p += len + (p[len] == '\n');
	}
	msp_buf_init(&z.apex_octets, 1u << 20);
}

static void release(void)
{
	for (size_t i = 0; i < z.pages; i++)
		msp_buf_fini(&z.page[i]);
	z.pages = z.at = 0;
	msp_buf_reset(&z.apex_octets);
}

static void scan(size_t i, struct msp_buf *rdata, struct msp_rr *rr)
{
	struct msp_why why = { "" };

	if (msp_rr_scan(msp_span(z.line[i], z.len[i]), NULL, NULL, 300, rdata, rr, &why) != MSP_OK)
		fail_msg("%.*s: %s", (int)z.len[i], z.line[i], why.text);
}

/* Pages of at most `per_page` records. */
static void build(size_t per_page)
{
	static uint8_t mem[MSP_MSG_MAX];
	struct msp_buf rdata;
	struct msp_msgw w;
	struct msp_span octets;
	struct msp_rr rr;

	release();
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	for (size_t i = 0; i < z.apex; i++) {
		struct msp_rrset *set = NULL;

		scan(i, &rdata, &rr);
		T_OK(msp_rrset_new(&rr.owner, rr.type, rr.ttl, &set));
		T_OK(msp_rrset_add(set, rr.rdata));
		T_OK(msp_rrset_write(set, &z.apex_octets));
		msp_rrset_free(&set);
	}
	for (size_t i = z.apex; i < z.count;) {
		msp_msgw_init(&w, mem, sizeof(mem), 0, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
		for (size_t n = 0; n < per_page && i < z.count; n++, i++) {
			scan(i, &rdata, &rr);
			msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
		}
		T_OK(msp_msgw_finish(&w, &octets));
		assert_true(z.pages < PAGES_MAX);
		msp_buf_init(&z.page[z.pages], octets.len);
		msp_buf_add_span(&z.page[z.pages++], octets);
	}
	msp_buf_fini(&rdata);
}

static enum msp_err next_page(void *arg, struct msp_span *msg)
{
	struct zone *zone = arg;

	if (zone->at == zone->pages)
		return zone->err;
	*msg = msp_buf_span(&zone->page[zone->at++]);
	return MSP_OK;
}

static bool is_stopped(void *arg)
{
	struct zone *zone = arg;

	zone->asked++;
	return zone->stops;
}

static enum msp_err digest(const char *name, struct cmb_zonemd_result *r, struct msp_why *why)
{
	struct cmb_zonemd_params p = { .zone = t_name(name),
				       .apex = msp_buf_span(&z.apex_octets),
				       .page = next_page,
				       .stop = is_stopped,
				       .arg = &z,
				       .hashes = BOTH };

	z.at = 0;
	return cmb_zonemd_digest(&p, r, why);
}

static void assert_hex(const uint8_t *got, size_t len, const char *want)
{
	struct msp_buf text;

	msp_buf_init(&text, 1000);
	msp_hex_write(&text, msp_span(got, len));
	assert_string_equal(msp_buf_text(&text), want);
	msp_buf_fini(&text);
}

static void check(const char *name, uint64_t records, const char *sha384, const char *sha512)
{
	struct cmb_zonemd_result r;
	struct msp_why why = { "" };

	if (digest(name, &r, &why) != MSP_OK)
		fail_msg("%s", why.text);
	assert_int_equal(r.records, records);
	assert_hex(r.sha384, sizeof(r.sha384), sha384);
	assert_hex(r.sha512, sizeof(r.sha512), sha512);
}

/* Lines after the apex in another order. */
static void shuffle(struct msp_rand *rand)
{
	for (size_t i = z.count - 1; i > z.apex; i--) {
		size_t j = z.apex + (size_t)msp_rand_below(rand, i - z.apex + 1);
		const char *line = z.line[i];
		size_t len = z.len[i];

		z.line[i] = z.line[j];
		z.len[i] = z.len[j];
		z.line[j] = line;
		z.len[j] = len;
	}
}

static const char simple[] = "example. 86400 IN SOA ns1.example. admin.example. 2018031900 1800 900 604800 86400\n"
			     "example. 86400 IN NS ns1.example.\n"
			     "example. 86400 IN NS ns2.example.\n"
			     "ns1.example. 3600 IN A 203.0.113.63\n"
			     "ns2.example. 3600 IN AAAA 2001:db8::63\n";
#define SIMPLE_384 "c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c"
#define SIMPLE_512                                                                                                     \
	"500d47a50c572d7f9501a01a5fa1fc2b64b1e9a58198784a6d9b0ab95fbba8a1"                                             \
	"dc9c7836c9ac4960a5625a7a67e3abe963a4d870cb97e3e67fb0a130463b33f1"

#define KEY "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
#define MD  "e2d523f654b9422a96c5a8f44607bbee"
static const char rich[] = "example. 86400 IN SOA NS1.Example. Admin.example. 7 1800 900 604800 86400\n"
			   "example. 86400 IN NS NS1.example.\n"
			   "example. 86400 IN NS ns2.EXAMPLE.\n"
			   "example. 3600 IN DNSKEY " KEY "\n"
			   /* from here on in pages */
			   "example. 300 IN TXT \"b\" \"a\"\n"
			   "example. 300 IN TXT \"a\"\n"
			   "example. 300 IN TYPE65400 \\# 4 01020304\n"
			   "example. 3600 IN RRSIG SOA 13 1 86400 20300101000000 20200101000000 4711 Example. AAAA\n"
			   "example. 3600 IN ZONEMD 7 1 240 " MD "\n"
			   "example. 3600 IN RRSIG ZONEMD 13 1 3600 20300101000000 20200101000000 4711 example. AAAA\n"
			   "example. 3600 IN NSEC Aaa.example. NS SOA TXT RRSIG NSEC DNSKEY ZONEMD\n"
			   "*.example. 60 IN MX 10 MAIL.Example.\n"
			   "aaa.example. 60 IN CNAME WWW.other.\n"
			   "Sub.example. 60 IN NS ns.sub.example.\n"
			   "ns.sub.example. 60 IN A 192.0.2.1\n"
			   "deep.ns.sub.example. 60 IN SRV 1 2 3 Target.sub.EXAMPLE.\n"
			   "non-apex.example. 60 IN ZONEMD 7 1 1 " MD MD MD "\n"
			   "\\000.example. 60 IN A 192.0.2.2\n"
			   "z.example. 60 IN A 192.0.2.20\n"
			   "z.example. 60 IN A 192.0.2.3\n"
			   "Z.example. 60 IN A 192.0.2.3\n" /* a duplicate */
			   "z.example. 60 IN AAAA 2001:db8::1\n"
			   "ZZ.example. 60 IN HTTPS 1 Svc.example. alpn=\"h2\"\n"
			   "\\255.example. 60 IN A 192.0.2.2\n";
#define RICH_APEX 4
#define RICH_384  "58f237fb2cfde4913fe2ad1026269affa2855cdb791bd0d7b23659f95b1b488f68fe3b14ca381a2e05a70c24a5b920d7"
#define RICH_512                                                                                                       \
	"cdb2aa3ee1e2b7aadec1857a016afdf0fcb2f24604fbd205952ee3c3cd5eff1c"                                             \
	"f7354ce49638f2bbde95cfd400ae938a774f77740d4bebdbf5504c16c558595c"
#define RICH_RECORDS 21 /* without the apex ZONEMD, its RRSIG and the duplicate */

static void the_simple_example_of_the_standard_has_its_digest(void **state)
{
	(void)state;
	for (size_t apex = 0; apex <= 5; apex++) {
		split(simple, apex);
		build(2);
		check("Example.", 5, SIMPLE_384, SIMPLE_512);
		release();
		msp_buf_fini(&z.apex_octets);
	}
}

static void names_types_and_duplicates_are_put_in_canonical_form(void **state)
{
	(void)state;
	split(rich, RICH_APEX);
	for (size_t per_page = 1; per_page < 30; per_page++) {
		build(per_page);
		check("example.", RICH_RECORDS, RICH_384, RICH_512);
	}
	release();
	msp_buf_fini(&z.apex_octets);
}

/* Few runs are merged, many are sorted: the shuffles have both. */
static void the_order_in_which_records_arrive_does_not_matter(void **state)
{
	struct msp_rand rand;

	(void)state;
	msp_rand_init_seed(&rand, 1);
	split(rich, RICH_APEX);
	for (unsigned i = 0; i < 200; i++) {
		shuffle(&rand);
		build(1 + i % 7);
		check("example.", RICH_RECORDS, RICH_384, RICH_512);
	}
	release();
	msp_buf_fini(&z.apex_octets);
}

/* Numbered names, backwards, in one run each: the same digest as in order. */
static void many_runs_and_one_run_give_the_same_digest(void **state)
{
	static char text[LINES_MAX * 40];
	struct cmb_zonemd_result forwards, backwards;
	struct msp_why why = { "" };
	size_t len = 0;

	(void)state;
	for (unsigned dir = 0; dir < 2; dir++) {
		len = (size_t)snprintf(text, sizeof(text), "z.test. 1 IN SOA a. b. 1 1 1 1 1\n");
		for (unsigned i = 0; i < 3000; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "n%05u.z.test. 1 IN A 192.0.2.1\n",
						dir == 0 ? i : 2999 - i);
		split(text, 1);
		build(100);
		T_OK(digest("z.test.", dir == 0 ? &forwards : &backwards, &why));
		release();
		msp_buf_fini(&z.apex_octets);
	}
	assert_int_equal(forwards.records, 3001);
	assert_memory_equal(forwards.sha384, backwards.sha384, sizeof(forwards.sha384));
	assert_memory_equal(forwards.sha512, backwards.sha512, sizeof(forwards.sha512));
}

static void it_can_be_stopped(void **state)
{
	static char text[LINES_MAX * 40];
	struct cmb_zonemd_result r;
	struct msp_why why = { "" };
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < 4000; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "n%05u.z.test. 1 IN A 192.0.2.1\n", i);
	split(text, 0);
	build(100);
	z.stops = true;
	T_ERR(digest("z.test.", &r, &why), MSP_ECANCEL);
	assert_int_equal(z.asked, 1);
	release();
	msp_buf_fini(&z.apex_octets);
}

static void what_cannot_be_read_is_no_digest(void **state)
{
	struct cmb_zonemd_result r;
	struct msp_why why = { "" };

	(void)state;
	split(rich, RICH_APEX);
	build(5);
	z.err = MSP_ECORRUPT; /* a page is missing */
	T_ERR(digest("example.", &r, &why), MSP_ECORRUPT);
	z.err = MSP_ENOTFOUND;
	z.page[1].len -= 3;
	T_ERR(digest("example.", &r, &why), MSP_ECORRUPT);
	T_ERR(digest("other.", &r, &why), MSP_ECORRUPT); /* names outside */
	assert_non_null(strstr(why.text, "is not in the zone"));
	release();
	msp_buf_fini(&z.apex_octets);
}

static void without_memory_it_fails_and_leaves_none_behind(void **state)
{
	struct msp_rand rand;

	(void)state;
	msp_rand_init_seed(&rand, 2);
	for (int is_shuffled = 0; is_shuffled < 2; is_shuffled++) {
		split(rich, RICH_APEX);
		if (is_shuffled)
			shuffle(&rand);
		build(1);
		for (size_t nth = 1; nth < 200; nth++) {
			struct cmb_zonemd_result r;
			struct msp_why why = { "" };
			enum msp_err err;

			msp_mem_fail_at(nth);
			err = digest("example.", &r, &why);
			if (!msp_mem_failed()) {
				msp_mem_fail_at(0);
				T_OK(err);
				break;
			}
			msp_mem_fail_at(0);
			T_ERR(err, MSP_ENOMEM);
			assert_true(nth < 199);
		}
		release();
		msp_buf_fini(&z.apex_octets);
	}
}

static void one_record_is_made_for_each_hash_that_the_owner_has(void **state)
{
	struct msp_rrset *owner = t_rrset("example. 77 ZONEMD 7 1 1 " MD MD MD "\n"
					  "example. 77 ZONEMD 7 1 240 " MD "\n"
					  "example. 77 ZONEMD 7 240 2 " MD "\n");
	struct cmb_zonemd_result r = { .records = 1 };
	struct msp_rrset *made = NULL;
	unsigned bits = cmb_zonemd_hashes(owner);

	(void)state;
	memset(r.sha384, 0x11, sizeof(r.sha384));
	memset(r.sha512, 0x22, sizeof(r.sha512));
	assert_int_equal(bits, CMB_ZONEMD_HASH_BIT(CMB_ZONEMD_SHA384));
	assert_int_equal(cmb_zonemd_hashes(NULL), 0);
	T_OK(cmb_zonemd_make(owner, 0x01020304, bits, &r, &made));
	assert_int_equal(made->count, 1);
	assert_int_equal(made->ttl, 77);
	assert_int_equal(made->rdata[0].len, 6 + 48);
	assert_memory_equal(made->rdata[0].ptr, "\1\2\3\4\1\1\x11\x11", 8);
	msp_rrset_free(&made);
	T_OK(cmb_zonemd_make(owner, 1, BOTH, &r, &made));
	assert_int_equal(made->count, 2);
	assert_int_equal(made->rdata[1].len, 6 + 64);
	assert_memory_equal(made->rdata[1].ptr, "\0\0\0\1\1\2\x22\x22", 8);
	T_OK(msp_rdata_check(MSP_TYPE_ZONEMD, made->rdata[1]));
	msp_rrset_free(&made);
	msp_rrset_free(&owner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_simple_example_of_the_standard_has_its_digest),
		cmocka_unit_test(names_types_and_duplicates_are_put_in_canonical_form),
		cmocka_unit_test(the_order_in_which_records_arrive_does_not_matter),
		cmocka_unit_test(many_runs_and_one_run_give_the_same_digest),
		cmocka_unit_test(it_can_be_stopped),
		cmocka_unit_test(what_cannot_be_read_is_no_digest),
		cmocka_unit_test(without_memory_it_fails_and_leaves_none_behind),
		cmocka_unit_test(one_record_is_made_for_each_hash_that_the_owner_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
