/* SPDX-License-Identifier: BSD-2-Clause */
/* combinerd's settings: templates, and what no schema can say. */
#include "support.h"

#include "conf.h"

#include <msproto/base/mem.h>
#include <msproto/kit/store.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KEYS                                                                                                           \
	"tsig-keys = ( { name = \"owner.\"; secret-file = \"/s\"; }, { name = \"signer.\"; secret-file = \"/s\"; } "   \
	");\n"
#define HEAD "state-dir = \"/var/lib/x\"; listen = ( { address = \"::1\"; } );\n"
#define TLS                                                                                                            \
	"tls = ( { name = \"up\"; pins = [ \"" PIN                                                                     \
	"\" ]; }, { name = \"cert\"; certificate = \"/c\"; private-key = \"/k\"; } );\n"
#define PIN       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define PRIMARY   "primaries = ( { address = \"192.0.2.1\"; tsig-key = \"owner.\"; } ); "
#define TEMPLATES "templates = ( { name = \"t\"; identity = \"me.\"; " PRIMARY " coalesce-ms = 7; } );\n"
#define ZONE(own) "zones = ( { name = \"z.\"; identity = \"me.\"; " own " } );\n"

static char path[] = "/tmp/test_conf_combinerd.XXXXXX";

static void load(const char *text, struct cmb_conf *out)
{
	struct msp_buf errors;

	msp_buf_init(&errors, 65536);
	T_OK(msp_file_replace(path, 0600, msp_span_str(text), NULL));
	if (cmb_conf_load(path, out, &errors) != MSP_OK)
		fail_msg("%s", msp_buf_text(&errors));
	msp_buf_fini(&errors);
}

static void accepted(const char *text)
{
	struct cmb_conf c;

	load(text, &c);
	cmb_conf_fini(&c);
}

static void refused(const char *text, const char *fragment)
{
	struct msp_buf errors;
	struct cmb_conf c;

	msp_buf_init(&errors, 65536);
	T_OK(msp_file_replace(path, 0600, msp_span_str(text), NULL));
	T_ERR(cmb_conf_load(path, &c, &errors), MSP_ECONF);
	if (strstr(msp_buf_text(&errors), fragment) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", msp_buf_text(&errors), fragment);
	msp_buf_fini(&errors);
}

static void a_zone_without_settings_of_its_own_points_at_its_template(void **state)
{
	struct cmb_conf c;

	(void)state;
	load(HEAD KEYS TEMPLATES
	     "zones = ( { name = \"a.\"; template = \"t\"; }, { name = \"b.\"; template = \"t\"; max-records = 5; } );",
	     &c);
	assert_true(cmb_conf_zone_at(&c, 0)->template.is_bare);
	assert_string_equal(cmb_conf_zone_at(&c, 0)->template.name, "t");
	assert_false(cmb_conf_zone_at(&c, 1)->template.is_bare);
	assert_int_equal(cmb_conf_zone_at(&c, 1)->set.coalesce_ms, 7);
	assert_int_equal(cmb_conf_zone_at(&c, 1)->set.max_records, 5);
	assert_int_equal(cmb_conf_zone_at(&c, 1)->set.primaries.count, 1);
	assert_non_null(cmb_conf_template_named(&c, "t"));
	assert_null(cmb_conf_template_named(&c, "u"));
	cmb_conf_drop_zones(&c);
	assert_int_equal(c.zones.count, 0);
	assert_int_equal(c.templates.count, 1);
	cmb_conf_fini(&c);
}

static void defaults_are_those_of_the_manual(void **state)
{
	struct cmb_conf c;
	const struct cmb_conf_settings *s;

	(void)state;
	load(HEAD KEYS ZONE(PRIMARY), &c);
	s = &cmb_conf_zone_at(&c, 0)->set;
	assert_int_equal(c.transfers_in_max, 64);
	assert_int_equal(c.transfers_in_per_primary_max, 16);
	assert_int_equal(c.zones_loaded_max, 128);
	assert_int_equal(c.zones_max, 1000000);
	assert_int_equal(c.notifies_max, 256);
	assert_int_equal(c.metrics.family, MSP_FAMILY_NONE);
	assert_int_equal(s->max_shrink, 50);
	assert_int_equal(s->history_entries, 100);
	assert_int_equal(s->history_octets, 0);
	assert_true(s->ixfr);
	assert_int_equal(s->zonemd, CMB_ZONEMD_STRIP);
	assert_int_equal(cmb_conf_remote_at(&s->primaries, 0)->addr.port, 53);
	cmb_conf_fini(&c);
}

static void every_remote_is_known_by_something(void **state)
{
	(void)state;
	refused(HEAD KEYS ZONE("primaries = ( { address = \"192.0.2.1\"; } );"), "neither tsig-key nor transport");
	accepted(HEAD KEYS ZONE("primaries = ( { address = \"192.0.2.1\"; unsigned = true; } );"));
	refused(HEAD KEYS ZONE("primaries = ( { address = \"192.0.2.1\"; unsigned = true; tsig-key = \"owner.\"; } );"),
		"both tsig-key and unsigned");
	refused(HEAD KEYS ZONE("primaries = ( { address = \"192.0.2.1\"; tsig-key = \"nobody.\"; } );"),
		"tsig-key not in tsig-keys: nobody.");
	refused(HEAD KEYS ZONE(
			"primaries = ( { address = \"192.0.2.1\"; tsig-key-next = \"owner.\"; unsigned = true; } );"),
		"tsig-key-next without tsig-key");
	accepted(HEAD KEYS ZONE(
		"primaries = ( { address = \"192.0.2.1\"; tsig-key = \"owner.\"; tsig-key-next = \"signer.\"; } );"));
}

static void TLS_needs_an_entry_that_can_tell_who_it_is(void **state)
{
	struct cmb_conf c;

	(void)state;
	load(HEAD TLS ZONE("primaries = ( { address = \"192.0.2.1\"; transport = \"tls\"; tls = \"up\"; } );"), &c);
	assert_int_equal(cmb_conf_remote_at(&cmb_conf_zone_at(&c, 0)->set.primaries, 0)->addr.port, 853);
	cmb_conf_fini(&c);
	refused(HEAD TLS ZONE("primaries = ( { address = \"192.0.2.1\"; transport = \"tls\"; } );"),
		"needs an entry of tls");
	refused(HEAD TLS ZONE("primaries = ( { address = \"192.0.2.1\"; transport = \"tls\"; tls = \"x\"; } );"),
		"no such entry in tls: x");
	refused(HEAD TLS ZONE("primaries = ( { address = \"192.0.2.1\"; transport = \"tls\"; tls = \"cert\"; } );"),
		"cannot tell a server: cert");
	refused(HEAD TLS ZONE("primaries = ( { address = \"192.0.2.1\"; tls = \"up\"; unsigned = true; } );"),
		"transport is not \"tls\": up");
	refused(HEAD KEYS "tls = ( { name = \"up\"; pins = [ \"abc\" ]; } );\n" ZONE(PRIMARY), "not a pin");
	refused(HEAD KEYS "tls = ( { name = \"a\"; }, { name = \"a\"; } );\n" ZONE(PRIMARY), "there twice: a");
}

static void a_listener_over_TLS_needs_a_certificate(void **state)
{
	(void)state;
	accepted("state-dir = \"/x\"; listen = ( { address = \"::1\"; transport = \"tls\"; tls = \"cert\"; } );\n" KEYS
			 TLS ZONE(PRIMARY));
	refused("state-dir = \"/x\"; listen = ( { address = \"::1\"; transport = \"tls\"; tls = \"up\"; } );\n" KEYS TLS
			ZONE(PRIMARY),
		"without certificate and private-key: up");
}

static void a_rule_says_what_it_knows_a_client_by(void **state)
{
	struct cmb_conf c;

	(void)state;
	refused(HEAD KEYS ZONE(PRIMARY "allow-transfer = ( { address = \"192.0.2.0/24\"; } );"),
		"needs unsigned = true");
	accepted(HEAD KEYS ZONE(PRIMARY "allow-transfer = ( { address = \"192.0.2.0/24\"; unsigned = true; } );"));
	refused(HEAD KEYS ZONE(PRIMARY "allow-notify = ( { tsig-key = \"owner.\"; unsigned = true; } );"),
		"rule with both");
	refused(HEAD KEYS ZONE(PRIMARY "allow-notify = ( { tsig-key = \"nobody.\"; } );"), "not in tsig-keys");
	refused(HEAD KEYS ZONE(PRIMARY "allow-transfer = ( { cert-pins = [ \"" PIN "\" ]; transport = \"tcp\"; } );"),
		"on a transport without one");
	refused(HEAD KEYS ZONE(PRIMARY "allow-transfer = ( { cert-pins = [ \"x\" ]; } );"), "not a pin");
	load(HEAD KEYS ZONE(PRIMARY "allow-transfer = ( { cert-pins = [ \"" PIN
				    "\" ]; }, { cert-ca = true; transport = \"tls\"; } );"),
	     &c);
	assert_int_equal(cmb_conf_rule_at(&cmb_conf_zone_at(&c, 0)->set.allow_transfer, 0)->transport, CMB_RULE_TLS);
	cmb_conf_fini(&c);
}

static void types_of_agents_are_those_that_may_be_contributed(void **state)
{
	(void)state;
	accepted(HEAD KEYS ZONE(PRIMARY "agents = ( { tsig-key = \"signer.\"; types = [ \"CDS\", \"dnskey\" ]; } );"));
	refused(HEAD KEYS ZONE(PRIMARY "agents = ( { tsig-key = \"signer.\"; types = [ \"A\" ]; } );"),
		"not a type that may be contributed: A");
	refused(HEAD KEYS ZONE(PRIMARY "extra-types = [ \"MX\" ];"), "extra-types: not CDNSKEY or KEY: MX");
}

static void catalogs_need_their_zone_and_whole_templates(void **state)
{
	(void)state;
	accepted(HEAD KEYS TEMPLATES ZONE(PRIMARY) "catalogs = ( { zone = \"z.\"; template = \"t\"; } );");
	refused(HEAD KEYS TEMPLATES ZONE(PRIMARY) "catalogs = ( { zone = \"y.\"; template = \"t\"; } );",
		"not one of zones: y.");
	refused(HEAD KEYS TEMPLATES ZONE(PRIMARY) "catalogs = ( { zone = \"z.\"; template = \"u\"; } );",
		"no such template: u");
	refused(HEAD KEYS "templates = ( { name = \"half\"; identity = \"me.\"; } );\n" ZONE(
			PRIMARY) "catalogs = ( { zone = \"z.\"; template = \"half\"; } );",
		"without identity or primaries");
	refused(HEAD KEYS TEMPLATES ZONE(PRIMARY) "catalogs = ( { zone = \"z.\"; template = \"t\"; groups = ( { group "
						  "= \"g\"; template = \"u\"; } ); } );",
		"no such template: u");
	refused(HEAD KEYS TEMPLATES ZONE(PRIMARY) "catalogs = ( { zone = \"z.\"; template = \"t\"; }, { zone = \"Z.\"; "
						  "template = \"t\"; } );",
		"there twice");
}

static void zones_and_templates_are_there_once(void **state)
{
	(void)state;
	refused(HEAD KEYS TEMPLATES
		"zones = ( { name = \"a.\"; template = \"t\"; }, { name = \"A.\"; template = \"t\"; } );",
		"zone A.: configured twice");
	refused(HEAD KEYS "templates = ( { name = \"t\"; }, { name = \"t\"; } ); zones = ( );",
		"template \"t\": there twice");
	refused(HEAD KEYS TEMPLATES "zones-max = 1; zones = ( { name = \"a.\"; template = \"t\"; }, { name = \"b.\"; "
				    "template = \"t\"; } );",
		"more than zones-max");
}

static void what_is_wrong_in_a_template_is_said_of_it(void **state)
{
	(void)state;
	refused(HEAD "templates = ( { name = \"t\"; identity = \"me.\"; " PRIMARY
		     " } ); zones = ( { name = \"a.\"; template = \"t\"; } );",
		"template \"t\": tsig-key not in tsig-keys: owner.");
	refused(HEAD KEYS "templates = ( { name = \"t\"; verifier = [ \"check\" ]; } ); zones = ( );",
		"must be an absolute path: check");
	refused(HEAD KEYS "templates = ( { name = \"t\"; refresh-min = \"2h\"; refresh-max = \"1h\"; } ); zones = ( );",
		"a minimum is above its maximum");
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zone_without_settings_of_its_own_points_at_its_template),
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(every_remote_is_known_by_something),
		cmocka_unit_test(TLS_needs_an_entry_that_can_tell_who_it_is),
		cmocka_unit_test(a_listener_over_TLS_needs_a_certificate),
		cmocka_unit_test(a_rule_says_what_it_knows_a_client_by),
		cmocka_unit_test(types_of_agents_are_those_that_may_be_contributed),
		cmocka_unit_test(catalogs_need_their_zone_and_whole_templates),
		cmocka_unit_test(zones_and_templates_are_there_once),
		cmocka_unit_test(what_is_wrong_in_a_template_is_said_of_it),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
