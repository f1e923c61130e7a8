/* SPDX-License-Identifier: BSD-2-Clause */
/* Identity -> host, addresses, keys: DNSSEC-secure, or it did not happen. PROTOCOL D.2 */
#include "fixture.h"

#include "discover.h"

static enum msp_err uri(const char *text, struct msp_name *host, uint16_t *port)
{
	return msa_uri_parse(msp_span_str(text), host, port);
}

static void a_uri_is_dns_host_and_perhaps_port(void **state)
{
	struct msp_name host, want = t_name("dns.msa.b.test.");
	uint16_t port;

	(void)state;
	T_OK(uri("dns://dns.msa.b.test/", &host, &port));
	assert_true(msp_name_equal(&host, &want));
	assert_int_equal(port, 53);
	T_OK(uri("DNS://dns.msa.b.test.:5399/", &host, &port));
	assert_true(msp_name_equal(&host, &want));
	assert_int_equal(port, 5399);
	T_OK(uri("dns://dns.msa.b.test:65535/", &host, &port));
}

static void anything_else_is_no_uri_of_ours(void **state)
{
	static const char *const bad[] = { "dns://",
					   "dns:///",
					   "dns://host",
					   "dns://host:/",
					   "dns://host:0/",
					   "dns://host:65536/",
					   "dns://host:53x/",
					   "dns://host:-1/",
					   "dns://user@host/",
					   "dns://host/path",
					   "dns://host/path/",
					   "dns://host/?q",
					   "dns://[2001:db8::1]/",
					   "dns:/host/",
					   "dns://ho st/",
					   "dns://host%41/",
					   "dns://host\\046x/",
					   "dns://a..b/",
					   "dns://./" };
	static const char *const other[] = { "https://host/", "", "dn", "dnsx://host/", "tls://host/", "://host/" };
	struct msp_name host;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (uri(bad[i], &host, &port) != MSP_EFORMAT)
			fail_msg("%s accepted", bad[i]);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		T_ERR(uri(other[i], &host, &port), MSP_ENOTIMP);
}

/** Start with only b beside us; the id of its URI look-up. */
static uint64_t begin(struct fx *f)
{
	struct msp_name name;

	fx_hsync(f, "ON AGENT YES", FX_A);
	fx_hsync(f, "ON AGENT YES", FX_B);
	fx_view(f);
	T_OK(msp_name_prepend("_dns._tcp", &f->identity[FX_B], &name));
	return fx_lookup_id(f, &name, MSP_TYPE_URI);
}

static void every_verdict_but_secure_is_a_failure_with_its_reason(void **state)
{
	static const enum msp_lookup verdict[] = { MSP_LOOKUP_NODATA,        MSP_LOOKUP_INSECURE, MSP_LOOKUP_BOGUS,
						   MSP_LOOKUP_INDETERMINATE, MSP_LOOKUP_TIMEOUT,  MSP_LOOKUP_FAILED };

	(void)state;
	for (size_t i = 0; i < sizeof(verdict) / sizeof(verdict[0]); i++) {
		struct fx *f = fx_new_bare();
		uint64_t id = begin(f);
		char want[200];
		json_t *view;

		fx_answer_lookup(f, id, verdict[i],
				 fx_uri("x.test.", "dns://dns.msa.b.test/")); /* whatever came with it */
		assert_int_equal(fx_peer(f, FX_B)->link, MSA_LINK_NEEDED);
		snprintf(want, sizeof(want), "_dns._tcp.msa.b.test. URI: %s (test)", msp_lookup_name(verdict[i]));
		assert_string_equal(fx_peer(f, FX_B)->search_why, want);
		view = msa_core_peer(f->core, &f->identity[FX_B], (struct msp_mono){ f->now_ms });
		assert_string_equal(msp_json_str(view, "discovery_error"), want);
		assert_string_equal(msp_json_str(view, "next_action"), "discovery");
		assert_in_range(json_integer_value(json_object_get(view, "next_in_s")), 11, 18); /* 15 s, +-20 % */
		json_decref(view);
		fx_free(&f);
	}
}

static void each_record_must_be_secure(void **state)
{
	(void)state;
	for (unsigned missing = 0; missing < 2; missing++) { /* 0: KEY, 1: addresses */
		struct fx *f = fx_new_bare();
		struct msp_rrset *key = NULL, *a = NULL;
		uint64_t svcb_id, key_id, a_id, aaaa_id;

		fx_answer_lookup(f, begin(f), MSP_LOOKUP_SECURE, fx_uri("x.test.", "dns://dns.msa.b.test/"));
		svcb_id = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_SVCB);
		key_id = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_KEY);
		fx_answer_lookup(f, svcb_id, MSP_LOOKUP_NODATA, NULL);
		a_id = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_A);
		aaaa_id = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_AAAA);
		T_OK(msp_rrset_new(&f->host[FX_B], MSP_TYPE_KEY, 3600, &key));
		T_OK(msp_rrset_add(key, msp_key_rdata(f->key[FX_B])));
		T_OK(msp_rrset_new(&f->host[FX_B], MSP_TYPE_A, 3600, &a));
		T_OK(msp_rrset_add(a, msp_span(f->addr[FX_B].oct, 4)));
		fx_answer_lookup(f, key_id, missing == 0 ? MSP_LOOKUP_INSECURE : MSP_LOOKUP_SECURE, key);
		fx_answer_lookup(f, a_id, missing == 1 ? MSP_LOOKUP_BOGUS : MSP_LOOKUP_SECURE, a);
		fx_answer_lookup(f, aaaa_id, MSP_LOOKUP_NODATA, NULL);
		assert_int_equal(fx_peer(f, FX_B)->link, MSA_LINK_NEEDED);
		assert_string_equal(fx_peer(f, FX_B)->search_why, missing == 0 ? "dns.msa.b.test. KEY: insecure (test)"
									       : "dns.msa.b.test. A: bogus (test)");
		assert_int_equal(fx_count(f, MSA_ACT_SEND), 0);
		fx_free(&f);
	}
}

static void svcb_hints_are_used_and_its_port_is_not(void **state)
{
	struct fx *f = fx_new_bare();
	struct msp_rrset *key = NULL;
	uint64_t svcb_id, key_id;

	(void)state;
	fx_answer_lookup(f, begin(f), MSP_LOOKUP_SECURE, fx_uri("x.test.", "dns://dns.msa.b.test:5399/"));
	svcb_id = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_SVCB);
	key_id = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_KEY);
	fx_answer_lookup(
		f, svcb_id, MSP_LOOKUP_SECURE,
		t_rrset("dns.msa.b.test. 3600 SVCB 1 . port=999 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1\n"
			"dns.msa.b.test. 3600 SVCB 0 elsewhere.test.\n"
			"dns.msa.b.test. 3600 SVCB 2 elsewhere.test. ipv4hint=192.0.2.66\n"
			"dns.msa.b.test. 3600 SVCB 3 . mandatory=key65000 ipv4hint=192.0.2.67 key65000=x"));
	assert_int_equal(fx_count(f, MSA_ACT_LOOKUP), 0); /* no A, no AAAA */
	T_OK(msp_rrset_new(&f->host[FX_B], MSP_TYPE_KEY, 3600, &key));
	T_OK(msp_rrset_add(key, msp_key_rdata(f->key[FX_B])));
	fx_answer_lookup(f, key_id, MSP_LOOKUP_SECURE, key);
	assert_int_equal(fx_peer(f, FX_B)->link, MSA_LINK_KNOWN);
	assert_int_equal(fx_peer(f, FX_B)->addr_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fx_peer(f, FX_B)->addr[i].port, 5399);
	assert_string_equal(MSP_ADDR(&fx_peer(f, FX_B)->addr[0]), "[2001:db8::1]:5399");
	/* And the HELLO goes out within two seconds, to the first of them. */
	fx_tick(f, 2000);
	assert_int_equal(fx_count(f, MSA_ACT_SEND), 1);
	assert_true(msp_addr_equal(&fx_find(f, MSA_ACT_SEND, 0)->addr, &fx_peer(f, FX_B)->addr[0]));
	fx_free(&f);
}

static void targets_are_tried_by_priority_and_other_schemes_skipped(void **state)
{
	struct fx *f = fx_new_bare();
	struct msp_name first = t_name("first.test."), second = t_name("second.test.");
	uint64_t svcb, key, a, aaaa;

	(void)state;
	fx_answer_lookup(f, begin(f), MSP_LOOKUP_SECURE,
			 t_rrset("x.test. 3600 URI 20 1 \"dns://second.test/\"\n"
				 "x.test. 3600 URI 10 1 \"dns://first.test/\"\n"
				 "x.test. 3600 URI 1 1 \"https://zero.test/\"\n"
				 "x.test. 3600 URI 2 1 \"dns://broken\""));
	svcb = fx_lookup_id(f, &first, MSP_TYPE_SVCB);
	key = fx_lookup_id(f, &first, MSP_TYPE_KEY);
	fx_answer_lookup(f, key, MSP_LOOKUP_NODATA, NULL);
	fx_answer_lookup(f, svcb, MSP_LOOKUP_NODATA, NULL);
	a = fx_lookup_id(f, &first, MSP_TYPE_A);
	aaaa = fx_lookup_id(f, &first, MSP_TYPE_AAAA);
	fx_answer_lookup(f, a, MSP_LOOKUP_NODATA, NULL);
	fx_answer_lookup(f, aaaa, MSP_LOOKUP_NODATA, NULL);
	assert_true(fx_lookup_id(f, &second, MSP_TYPE_SVCB) != 0);
	assert_true(fx_lookup_id(f, &second, MSP_TYPE_KEY) != 0);
	fx_free(&f);
}

static void a_failed_refresh_keeps_the_old_data_for_a_day(void **state)
{
	struct fx *f = fx_new_bare();
	struct msp_name name;
	int64_t hours;

	(void)state;
	fx_locate(f, FX_B, begin(f));
	assert_int_equal(fx_peer(f, FX_B)->link, MSA_LINK_KNOWN);
	T_OK(msp_name_prepend("_dns._tcp", &f->identity[FX_B], &name));
	fx_tick(f, 3239 * 1000);
	assert_int_equal(fx_lookup_id(f, &name, MSP_TYPE_URI), 0);
	fx_tick(f, 2 * 1000); /* 90 % of the TTL of 3600 s */
	assert_true(fx_lookup_id(f, &name, MSP_TYPE_URI) != 0);
	for (hours = 0; hours < 60 && fx_peer(f, FX_B)->link != MSA_LINK_NEEDED; hours++) {
		for (unsigned i = 0; i < 60; i++) {
			uint64_t id = fx_lookup_id(f, &name, MSP_TYPE_URI);

			if (id != 0)
				fx_answer_lookup(f, id, MSP_LOOKUP_BOGUS, NULL);
			fx_tick(f, 60 * 1000);
		}
	}
	assert_in_range(hours, 24, 26); /* TTL + 24 h, counted from the look-up */
	assert_false(fx_peer(f, FX_B)->is_located);
	fx_free(&f);
}

static void a_key_set_without_a_usable_key_does_not_replace_a_good_one(void **state)
{
	struct fx *f = fx_new_bare();
	struct msp_name name;
	uint64_t svcb, key, a, aaaa;
	struct msp_rrset *set = NULL;

	(void)state;
	fx_locate(f, FX_B, begin(f));
	T_OK(msp_name_prepend("_dns._tcp", &f->identity[FX_B], &name));
	fx_tick(f, 3300 * 1000);
	fx_answer_lookup(f, fx_lookup_id(f, &name, MSP_TYPE_URI), MSP_LOOKUP_SECURE,
			 fx_uri("x.test.", "dns://dns.msa.b.test:5399/"));
	svcb = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_SVCB);
	key = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_KEY);
	fx_answer_lookup(f, key, MSP_LOOKUP_SECURE,
			 t_rrset("dns.msa.b.test. 3600 KEY 256 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="));
	fx_answer_lookup(f, svcb, MSP_LOOKUP_NODATA, NULL);
	a = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_A);
	aaaa = fx_lookup_id(f, &f->host[FX_B], MSP_TYPE_AAAA);
	T_OK(msp_rrset_new(&f->host[FX_B], MSP_TYPE_A, 3600, &set));
	T_OK(msp_rrset_add(set, msp_span(f->addr[FX_B].oct, 4)));
	fx_answer_lookup(f, a, MSP_LOOKUP_SECURE, set);
	fx_answer_lookup(f, aaaa, MSP_LOOKUP_NODATA, NULL);
	assert_string_equal(fx_peer(f, FX_B)->search_why, "dns.msa.b.test. KEY: no usable key");
	assert_true(fx_peer(f, FX_B)->is_located);
	assert_int_equal(fx_request(f,
				    fx_build(f, &(struct fx_message){ .claims = FX_B,
								      .signs = FX_B,
								      .operation = MSP_OP_HELLO }),
				    FX_B)
				 .rcode,
			 MSP_RCODE_NOERROR);
	fx_free(&f);
}

/* D.2: one forced refresh in 60 s, past the resolver's cache. */
static void a_bad_signature_of_an_operational_peer_forces_one_refresh(void **state)
{
	struct fx *f = fx_new();
	struct msp_key *right = f->key[FX_B], *wrong = NULL;
	unsigned flushes = 0;

	(void)state;
	T_OK(msp_key_generate(&f->host[FX_B], MSP_ALG_ED25519, 0, &wrong));
	f->key[FX_B] = wrong;
	for (unsigned i = 0; i < 5; i++) {
		fx_request(f,
			   fx_build(f, &(struct fx_message){ .claims = FX_B,
							     .signs = FX_B,
							     .operation = MSP_OP_HEARTBEAT }),
			   FX_B);
		flushes += (unsigned)fx_count(f, MSA_ACT_FLUSH);
		if (i == 0)
			assert_true(fx_count(f, MSA_ACT_LOOKUP) > 0);
	}
	assert_int_equal(flushes, 1);
	f->key[FX_B] = right;
	msp_key_free(&wrong);
	fx_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uri_is_dns_host_and_perhaps_port),
		cmocka_unit_test(anything_else_is_no_uri_of_ours),
		cmocka_unit_test(every_verdict_but_secure_is_a_failure_with_its_reason),
		cmocka_unit_test(each_record_must_be_secure),
		cmocka_unit_test(svcb_hints_are_used_and_its_port_is_not),
		cmocka_unit_test(targets_are_tried_by_priority_and_other_schemes_skipped),
		cmocka_unit_test(a_failed_refresh_keeps_the_old_data_for_a_day),
		cmocka_unit_test(a_key_set_without_a_usable_key_does_not_replace_a_good_one),
		cmocka_unit_test(a_bad_signature_of_an_operational_peer_forces_one_refresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
