/* SPDX-License-Identifier: BSD-2-Clause */
/* Access rules: each condition alone and all of them together, over each transport. */
#include "support.h"

#include "acl.h"

#include <string.h>

#define PIN_TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* octets 0 .. 31 */

enum who_key { NO_KEY, KEY_A, KEY_B };
enum who_cert { NO_TLS, NO_CERT, PINNED, UNKNOWN_CERT, CA_CERT };

/** A request in short. */
struct request {
	const char *peer;
	enum cmb_conf_rule_transport transport;
	enum who_key key;
	enum who_cert cert;
};

static struct msp_name keys[3];
static struct msp_tls_peer certs[5];
static struct msp_addr peer;

static struct cmb_asker ask(const struct request *r)
{
	keys[KEY_A] = t_name("a.key.");
	keys[KEY_B] = t_name("b.key.");
	T_OK(msp_addr_parse(r->peer, 4711, &peer));
	memset(certs, 0, sizeof(certs));
	certs[PINNED].has_certificate = certs[UNKNOWN_CERT].has_certificate = certs[CA_CERT].has_certificate = true;
	certs[CA_CERT].is_ca_valid = true;
	for (uint8_t i = 0; i < MSP_TLS_PIN_LEN; i++)
		certs[PINNED].pin[i] = i;
	certs[UNKNOWN_CERT].pin[0] = certs[CA_CERT].pin[0] = 99;
	return (struct cmb_asker){ .peer = &peer,
				   .transport = r->transport,
				   .key = r->key == NO_KEY ? NULL : &keys[r->key],
				   .tls = r->cert == NO_TLS ? NULL : &certs[r->cert] };
}

static const struct request requests[] = {
	{ "192.0.2.1", CMB_RULE_UDP, NO_KEY, NO_TLS },       { "192.0.2.1", CMB_RULE_TCP, NO_KEY, NO_TLS },
	{ "192.0.2.1", CMB_RULE_TLS, NO_KEY, NO_CERT },      { "192.0.2.1", CMB_RULE_UDP, KEY_A, NO_TLS },
	{ "192.0.2.1", CMB_RULE_TCP, KEY_A, NO_TLS },        { "192.0.2.1", CMB_RULE_TLS, KEY_A, NO_CERT },
	{ "192.0.2.1", CMB_RULE_TCP, KEY_B, NO_TLS },        { "192.0.2.1", CMB_RULE_TLS, KEY_B, PINNED },
	{ "192.0.2.1", CMB_RULE_TLS, NO_KEY, PINNED },       { "192.0.2.1", CMB_RULE_TLS, KEY_A, PINNED },
	{ "192.0.2.1", CMB_RULE_TLS, NO_KEY, UNKNOWN_CERT }, { "192.0.2.1", CMB_RULE_TLS, NO_KEY, CA_CERT },
	{ "192.0.2.1", CMB_RULE_TLS, KEY_A, CA_CERT },       { "198.51.100.1", CMB_RULE_UDP, NO_KEY, NO_TLS },
	{ "198.51.100.1", CMB_RULE_TCP, KEY_A, NO_TLS },     { "198.51.100.1", CMB_RULE_TLS, KEY_A, PINNED },
	{ "2001:db8::1", CMB_RULE_TCP, KEY_A, NO_TLS },      { "::ffff:192.0.2.1", CMB_RULE_TCP, NO_KEY, NO_TLS },
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/** A rule in short, and which of `requests` it permits ('+' or '.'). */
static const struct {
	const char *address;
	int transport;
	enum who_key key;
	bool pins, ca, is_unsigned;
	const char *want;
} rules[] = {
	/* conditions alone; what says nothing about who it is permits nobody */
	{ NULL, CMB_RULE_ANY, NO_KEY, false, false, false, ".................." },
	{ "192.0.2.0/24", CMB_RULE_ANY, NO_KEY, false, false, false, ".................." },
	{ NULL, CMB_RULE_TLS, NO_KEY, false, false, false, ".................." },
	{ NULL, CMB_RULE_ANY, KEY_A, false, false, false, "...+++...+..+.+++." },
	{ NULL, CMB_RULE_ANY, NO_KEY, true, false, false, ".......+++.....+.." },
	{ NULL, CMB_RULE_ANY, NO_KEY, false, true, false, "...........++....." },
	{ NULL, CMB_RULE_ANY, NO_KEY, false, false, true, "+++.....+.++.+...+" },
	/* with an address */
	{ "192.0.2.0/24", CMB_RULE_ANY, KEY_A, false, false, false, "...+++...+..+....." },
	{ "192.0.2.0/24", CMB_RULE_ANY, NO_KEY, true, false, false, ".......+++........" },
	{ "192.0.2.0/24", CMB_RULE_ANY, NO_KEY, false, false, true, "+++.....+.++.....+" },
	{ "2001:db8::/32", CMB_RULE_ANY, KEY_A, false, false, false, "................+." },
	{ "192.0.2.1", CMB_RULE_ANY, NO_KEY, false, false, true, "+++.....+.++.....+" },
	{ "192.0.2.2", CMB_RULE_ANY, NO_KEY, false, false, true, ".................." },
	/* with a transport; tcp is without TLS */
	{ NULL, CMB_RULE_UDP, KEY_A, false, false, false, "...+.............." },
	{ NULL, CMB_RULE_TCP, KEY_A, false, false, false, "....+.........+.+." },
	{ NULL, CMB_RULE_TLS, KEY_A, false, false, false, ".....+...+..+..+.." },
	{ NULL, CMB_RULE_UDP, NO_KEY, false, false, true, "+............+...." },
	{ NULL, CMB_RULE_TCP, NO_KEY, false, false, true, ".+...............+" },
	{ NULL, CMB_RULE_TLS, NO_KEY, false, false, true, "..+.....+.++......" },
	/* certificate and key together */
	{ NULL, CMB_RULE_TLS, KEY_A, true, false, false, ".........+.....+.." },
	{ NULL, CMB_RULE_TLS, KEY_A, false, true, false, "............+....." },
	{ NULL, CMB_RULE_TLS, NO_KEY, true, true, false, ".................." },
	/* all of it */
	{ "192.0.2.0/24", CMB_RULE_TLS, KEY_A, true, false, false, ".........+........" },
	{ "192.0.2.0/24", CMB_RULE_TLS, KEY_B, true, false, false, ".......+.........." },
	{ "192.0.2.0/24", CMB_RULE_TCP, KEY_A, true, false, false, ".................." },
	{ "198.51.100.0/24", CMB_RULE_TLS, KEY_A, true, false, false, "...............+.." },
	{ "198.51.100.0/24", CMB_RULE_TLS, KEY_A, false, true, false, ".................." },
};

static char *pins[] = { (char *)(uintptr_t) "other", (char *)(uintptr_t)PIN_TEXT };

static struct cmb_conf_rule rule_of(size_t i)
{
	struct cmb_conf_rule r = { .transport = rules[i].transport,
				   .cert_ca = rules[i].ca,
				   .is_unsigned = rules[i].is_unsigned };

	if (rules[i].address != NULL)
		T_OK(msp_prefix_parse(rules[i].address, &r.address));
	if (rules[i].key != NO_KEY)
		r.tsig_key = t_name(rules[i].key == KEY_A ? "A.KEY." : "b.key."); /* names have no case */
	if (rules[i].pins)
		r.cert_pins = (struct msp_conf_strs){ .item = pins, .count = 2 };
	return r;
}

static void every_condition_of_a_rule_must_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct cmb_conf_rule r = rule_of(i);

		assert_int_equal(strlen(rules[i].want), REQUESTS);
		for (size_t k = 0; k < REQUESTS; k++) {
			struct cmb_asker who = ask(&requests[k]);

			if (cmb_acl_rule_matches(&r, &who) != (rules[i].want[k] == '+'))
				fail_msg("rule %zu, request %zu: %s expected", i, k,
					 rules[i].want[k] == '+' ? "permitted" : "refused");
		}
	}
}

static void a_list_permits_what_one_of_its_rules_permits(void **state)
{
	struct cmb_conf_rule two[2] = { { .transport = CMB_RULE_TCP }, { .transport = CMB_RULE_UDP } };
	struct cmb_conf_settings set = { .allow_transfer = { .item = two, .count = 2 } };
	struct cmb_asker who = ask(&requests[4]); /* TCP, key a */

	(void)state;
	two[0].tsig_key = t_name("a.key.");
	two[1].is_unsigned = true;
	assert_true(cmb_acl_may_transfer(&set, &who));
	assert_false(cmb_acl_may_notify(&set, &who)); /* the other list */
	who = ask(&requests[0]);                      /* UDP, unsigned */
	assert_true(cmb_acl_may_transfer(&set, &who));
	who = ask(&requests[3]); /* UDP, key a: a bit of each rule is not enough */
	assert_false(cmb_acl_may_transfer(&set, &who));
	who = ask(&requests[1]);
	assert_false(cmb_acl_may_transfer(&set, &who));
	set.allow_notify = set.allow_transfer;
	who = ask(&requests[4]);
	assert_true(cmb_acl_may_notify(&set, &who));
}

static void remote(struct cmb_conf_remote *r, const char *addr, const char *key, const char *next)
{
	T_OK(msp_addr_parse(addr, 53, &r->addr));
	if (key != NULL)
		r->tsig_key = t_name(key);
	if (next != NULL)
		r->tsig_key_next = t_name(next);
}

static void signers_transfer_with_either_key_from_anywhere(void **state)
{
	struct cmb_conf_remote signer = { 0 };
	struct cmb_conf_settings set = { .signers = { .item = &signer, .count = 1 } };

	(void)state;
	remote(&signer, "192.0.2.1", "a.key.", "b.key.");
	for (size_t k = 0; k < REQUESTS; k++) {
		struct cmb_asker who = ask(&requests[k]);

		assert_int_equal(cmb_acl_may_transfer(&set, &who), requests[k].key != NO_KEY);
		assert_false(cmb_acl_may_notify(&set, &who));
	}
	memset(&signer.tsig_key_next, 0, sizeof(signer.tsig_key_next));
	for (size_t k = 0; k < REQUESTS; k++) {
		struct cmb_asker who = ask(&requests[k]);

		assert_int_equal(cmb_acl_may_transfer(&set, &who), requests[k].key == KEY_A);
	}
}

static void a_signer_without_a_key_is_known_by_its_address_only_on_purpose(void **state)
{
	struct cmb_conf_remote signer = { 0 };
	struct cmb_conf_settings set = { .signers = { .item = &signer, .count = 1 } };
	struct cmb_asker who = ask(&requests[1]);

	(void)state;
	remote(&signer, "192.0.2.1", NULL, NULL);
	signer.transport = MSP_TRANSPORT_TLS;
	assert_false(cmb_acl_may_transfer(&set, &who));
	signer.is_unsigned = true;
	assert_true(cmb_acl_may_transfer(&set, &who));
	who = ask(&requests[13]); /* another address */
	assert_false(cmb_acl_may_transfer(&set, &who));
	who = ask(&requests[6]); /* with a key that nobody gave it */
	assert_false(cmb_acl_may_transfer(&set, &who));
	who = ask(&requests[17]); /* the same address, mapped into IPv6 */
	assert_true(cmb_acl_may_transfer(&set, &who));
}

static void primaries_notify_with_their_keys_or_from_their_addresses(void **state)
{
	struct cmb_conf_remote primary = { 0 };
	struct cmb_conf_settings set = { .primaries = { .item = &primary, .count = 1 } };

	(void)state;
	remote(&primary, "192.0.2.1", "a.key.", NULL);
	for (size_t k = 0; k < REQUESTS; k++) {
		struct cmb_asker who = ask(&requests[k]);
		bool from_there = strstr(requests[k].peer, "192.0.2.1") != NULL && requests[k].key == NO_KEY;

		assert_int_equal(cmb_acl_may_notify(&set, &who), from_there || requests[k].key == KEY_A);
		assert_false(cmb_acl_may_transfer(&set, &who));
	}
	remote(&primary, "192.0.2.1", "a.key.", "b.key.");
	{
		struct cmb_asker who = ask(&requests[6]);

		assert_true(cmb_acl_may_notify(&set, &who));
	}
}

static void an_agent_is_its_key_and_has_a_scope(void **state)
{
	static char *types[] = { (char *)(uintptr_t) "cds", (char *)(uintptr_t) "DNSKEY" };
	struct cmb_conf_agent agents[2] = { { .types = { .item = types, .count = 2 } }, { .types = { .count = 0 } } };
	struct cmb_conf_settings set = { .agents = { .item = agents, .count = 2 } };
	struct cmb_asker who = ask(&requests[3]);

	(void)state;
	agents[0].tsig_key = t_name("a.key.");
	agents[1].tsig_key = t_name("b.key.");
	assert_ptr_equal(cmb_acl_agent(&set, &who), &agents[0]);
	assert_int_equal(cmb_acl_scope(&agents[0]), 1u << CMB_CDS | 1u << CMB_DNSKEY);
	who = ask(&requests[7]);
	assert_ptr_equal(cmb_acl_agent(&set, &who), &agents[1]);
	assert_int_equal(cmb_acl_scope(&agents[1]), UINT32_MAX);
	who = ask(&requests[0]);
	assert_null(cmb_acl_agent(&set, &who));
	assert_false(cmb_acl_may_transfer(&set, &who));
}

static void nobody_is_permitted_by_empty_settings(void **state)
{
	struct cmb_conf_settings set = { 0 };

	(void)state;
	for (size_t k = 0; k < REQUESTS; k++) {
		struct cmb_asker who = ask(&requests[k]);

		assert_false(cmb_acl_may_transfer(&set, &who));
		assert_false(cmb_acl_may_notify(&set, &who));
		assert_null(cmb_acl_agent(&set, &who));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_condition_of_a_rule_must_hold),
		cmocka_unit_test(a_list_permits_what_one_of_its_rules_permits),
		cmocka_unit_test(signers_transfer_with_either_key_from_anywhere),
		cmocka_unit_test(a_signer_without_a_key_is_known_by_its_address_only_on_purpose),
		cmocka_unit_test(primaries_notify_with_their_keys_or_from_their_addresses),
		cmocka_unit_test(an_agent_is_its_key_and_has_a_scope),
		cmocka_unit_test(nobody_is_permitted_by_empty_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
