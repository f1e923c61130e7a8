/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/addr.h>
#include <msproto/wire/rdata.h>

#include "discover.h"
#include "ident_zone.h"

enum { NS, URI, SVCB, A, AAAA, KEY };

static const uint8_t key[36] = { 2, 0, 3, 15, 1, 2, 3 };

struct setup {
	struct msa_ident_conf conf;
	struct msp_name ns[2];
	struct msp_addr publish[4];
	struct msp_span keys[1];
};

static void set_up(struct setup *s, size_t publish)
{
	static const char *const text[4] = { "192.0.2.12", "2001:db8::12", "192.0.2.13", "192.0.2.12" };

	memset(s, 0, sizeof(*s));
	s->ns[0] = t_name("ns1.provider.example.");
	s->ns[1] = t_name("ns2.provider.example.");
	for (size_t i = 0; i < publish; i++)
		T_OK(msp_addr_parse(text[i], 5399, &s->publish[i]));
	s->keys[0] = msp_span(key, sizeof(key));
	s->conf = (struct msa_ident_conf){ .apex = t_name("msa.provider.example."),
					   .identity = t_name("msa.provider.example."),
					   .host = t_name("dns.msa.provider.example."),
					   .mname = s->ns[0],
					   .rname = t_name("hostmaster.provider.example."),
					   .ns = s->ns,
					   .ns_count = 2,
					   .publish = s->publish,
					   .publish_count = publish,
					   .port = 5399,
					   .keys = s->keys,
					   .key_count = 1,
					   .ttl_s = 300 };
}

static void assert_owner(const struct msp_rrset *set, const char *owner, uint16_t type, size_t count)
{
	struct msp_name name = t_name(owner);

	assert_non_null(set);
	assert_true(msp_name_equal(&set->owner, &name));
	assert_int_equal(set->type, type);
	assert_int_equal(set->ttl, 300);
	assert_int_equal(set->count, count);
}

static void every_record_has_its_place_and_parses(void **state)
{
	struct msa_ident_zone z;
	struct setup s;
	struct msp_soa soa;
	struct msp_uri uri;
	struct msp_svcb svcb;
	struct msp_span hints;
	struct msp_dnskey k;

	(void)state;
	set_up(&s, 4);
	T_OK(msa_ident_build(&s.conf, 77, &z));
	assert_owner(z.soa, "msa.provider.example.", MSP_TYPE_SOA, 1);
	T_OK(msp_soa_parse(z.soa->rdata[0], &soa));
	assert_int_equal(soa.serial, 77);
	assert_true(msp_name_equal(&soa.mname, &s.ns[0]));
	assert_true(msp_name_equal(&soa.rname, &s.conf.rname));
	assert_int_equal(soa.minimum_s, 300);
	assert_true(soa.retry_s < soa.refresh_s && soa.refresh_s < soa.expire_s);
	assert_owner(z.set[NS], "msa.provider.example.", MSP_TYPE_NS, 2);
	assert_owner(z.set[URI], "_dns._tcp.msa.provider.example.", MSP_TYPE_URI, 1);
	T_OK(msp_uri_parse(z.set[URI]->rdata[0], &uri));
	assert_true(msp_span_equal(uri.target, msp_span_str("dns://dns.msa.provider.example:5399/")));
	assert_owner(z.set[SVCB], "dns.msa.provider.example.", MSP_TYPE_SVCB, 1);
	T_OK(msp_svcb_parse(z.set[SVCB]->rdata[0], &svcb));
	assert_int_equal(svcb.priority, 1); /* 0 would forbid parameters (PROTOCOL A.7) */
	assert_true(msp_name_is_root(&svcb.target));
	assert_true(msp_svcb_usable(&svcb));
	assert_true(msp_svcb_param(&svcb, MSP_SVCB_IPV4HINT, &hints));
	assert_int_equal(hints.len % 4, 0);
	assert_memory_equal(hints.ptr, "\xc0\x00\x02\x0c\xc0\x00\x02\x0d", 8);
	assert_true(msp_svcb_param(&svcb, MSP_SVCB_IPV6HINT, &hints));
	assert_int_equal(hints.len, 16);
	assert_owner(z.set[A], "dns.msa.provider.example.", MSP_TYPE_A, 2); /* given twice, there once */
	assert_owner(z.set[AAAA], "dns.msa.provider.example.", MSP_TYPE_AAAA, 1);
	assert_owner(z.set[KEY], "dns.msa.provider.example.", MSP_TYPE_KEY, 1);
	T_OK(msp_dnskey_parse(z.set[KEY]->rdata[0], &k));
	assert_true(
		msp_span_equal(z.set[KEY]->rdata[0], s.keys[0])); /* exactly as it is: the tag is made of it (A.4) */
	msa_ident_fini(&z);
}

/* What we publish is what our own discovery reads. */
static void our_own_discovery_understands_the_uri(void **state)
{
	struct msa_ident_zone z;
	struct setup s;
	struct msp_uri uri;
	struct msp_name host;
	uint16_t port = 0;

	(void)state;
	set_up(&s, 1);
	T_OK(msa_ident_build(&s.conf, 1, &z));
	T_OK(msp_uri_parse(z.set[URI]->rdata[0], &uri));
	T_OK(msa_uri_parse(uri.target, &host, &port));
	assert_true(msp_name_equal(&host, &s.conf.host));
	assert_int_equal(port, 5399);
	msa_ident_fini(&z);
}

static void one_family_alone_has_no_hint_of_the_other(void **state)
{
	struct msa_ident_zone z;
	struct setup s;
	struct msp_svcb svcb;
	struct msp_span hints;

	(void)state;
	set_up(&s, 1);
	T_OK(msa_ident_build(&s.conf, 1, &z));
	assert_non_null(z.set[A]);
	assert_null(z.set[AAAA]);
	T_OK(msp_svcb_parse(z.set[SVCB]->rdata[0], &svcb));
	assert_true(msp_svcb_param(&svcb, MSP_SVCB_IPV4HINT, &hints));
	assert_false(msp_svcb_param(&svcb, MSP_SVCB_IPV6HINT, &hints));
	msa_ident_fini(&z);
}

static void an_identity_too_long_for_its_uri_is_refused_and_nothing_leaks(void **state)
{
	struct msa_ident_zone z;
	struct setup s;

	(void)state;
	set_up(&s, 1);
	s.conf.identity.len = 255;
	memset(s.conf.identity.oct, 'a', sizeof(s.conf.identity.oct));
	s.conf.identity.oct[0] = s.conf.identity.oct[64] = s.conf.identity.oct[128] = 63;
	s.conf.identity.oct[192] = 61;
	s.conf.identity.oct[254] = 0;
	T_ERR(msa_ident_build(&s.conf, 1, &z), MSP_ENAME);
	assert_null(z.soa);
	for (size_t i = 0; i < MSA_IDENT_SETS; i++)
		assert_null(z.set[i]);
}

static void the_sets_survive_writing_and_reading(void **state)
{
	struct msa_ident_zone z;
	struct setup s;

	(void)state;
	set_up(&s, 3);
	T_OK(msa_ident_build(&s.conf, 9, &z));
	for (size_t i = 0; i < MSA_IDENT_SETS; i++) {
		struct msp_rrset *back = NULL;
		struct msp_buf b;

		msp_buf_init(&b, 65536);
		T_OK(msp_rrset_write(z.set[i], &b));
		T_OK(msp_rrset_read(msp_buf_span(&b), &back));
		assert_true(msp_rrset_equal(z.set[i], back));
		msp_rrset_free(&back);
		msp_buf_fini(&b);
	}
	msa_ident_fini(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record_has_its_place_and_parses),
		cmocka_unit_test(our_own_discovery_understands_the_uri),
		cmocka_unit_test(one_family_alone_has_no_hint_of_the_other),
		cmocka_unit_test(an_identity_too_long_for_its_uri_is_refused_and_nothing_leaks),
		cmocka_unit_test(the_sets_survive_writing_and_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
