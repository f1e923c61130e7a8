/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf.h"

#define HEAD                                                                                                           \
	"identity = \"msa.a.test.\"; host = \"dns.msa.a.test.\"; sig0-key = \"/etc/k.private\"; state-dir = "          \
	"\"/var/lib/m\";\n"                                                                                            \
	"control = \"/run/m.sock\"; publish = [ \"192.0.2.1\" ];\n"                                                    \
	"listen = ( { address = \"192.0.2.1\"; port = 5399; } ); zone-listen = ( { address = \"192.0.2.1\"; port = "   \
	"53; } );\n"                                                                                                   \
	"tsig-keys = ( { name = \"k.\"; algorithm = \"hmac-sha256\"; secret-file = \"/etc/k.secret\"; } );\n"
#define ZONE(name, more)                                                                                               \
	"{ name = \"" name "\"; ns = [ \"ns.a.test.\" ]; signer : { address = \"192.0.2.2\"; tsig-key = \"k.\"; " more \
	" };\n"                                                                                                        \
	"combiner : { address = \"192.0.2.3\"; tsig-key = \"k.\"; }; }"
#define IDENT(more) "identity-zone : { name = \"msa.a.test.\"; ns = [ \"ns.a.test.\" ]; " more " };\n"

static char *errors_of(const char *text)
{
	static char words[65536];
	char path[] = "/tmp/msadconfXXXXXX";
	int fd = mkstemp(path);
	struct msa_conf conf;
	struct msp_buf errors;
	enum msp_err err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	msp_buf_init(&errors, sizeof(words) - 1);
	err = msa_conf_load(path, &conf, &errors);
	unlink(path);
	snprintf(words, sizeof(words), "%s", msp_buf_text(&errors));
	assert_true((err == MSP_OK) == (words[0] == '\0'));
	if (err == MSP_OK)
		msp_conf_fini(&msa_conf_schema, &conf);
	msp_buf_fini(&errors);
	return words;
}

static void a_whole_file_is_taken(void **state)
{
	(void)state;
	assert_string_equal(errors_of(HEAD IDENT("") "zones = ( " ZONE("zone.test.", "") ", " ZONE("azone.test.",
												   "") " );"),
			    "");
}

static void each_mistake_is_named(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ HEAD "zones = ( " ZONE("zone.test.", "") ", " ZONE("ZONE.test", "") " );", "there twice" },
		{ HEAD "zones = ( " ZONE("zone.test.", "adapter = \"knot\";") " );", "keymgr" },
		{ HEAD "zones = ( " ZONE("zone.test.", "adapter = \"pdns\";") " );", "pdnsutil" },
		{ HEAD "zones = ( " ZONE("zone.test.", "adapter = \"bind\";") " );", "adapter" },
		{ HEAD IDENT("downstreams = ( { address = \"192.0.2.4\"; tsig-key = \"other.\"; } );"),
		  "other. is not in tsig-keys" },
		{ HEAD "identity-zone : { name = \"a.test.\"; };", "ns is missing" },
		/* Ends in the same characters, but is another name: label boundaries count. */
		{ HEAD "identity-zone : { name = \"sa.a.test.\"; ns = [ \"ns.a.test.\" ]; };", "must be in the zone" },
		{ HEAD "identity-zone : { name = \"x.test.\"; ns = [ \"ns.a.test.\" ]; };", "must be in the zone" },
		{ HEAD "numbers : { option-keystate = 65006; option-multisigner = 65006; };", "share a code" },
		{ HEAD "zones = ( { name = \"z.test.\"; } );", "signer" },
		{ HEAD "no-such-setting = 1;", "no-such-setting" },
		{ HEAD "heartbeat = 0;", "heartbeat" },
		{ HEAD "heartbeat = 86400;", "heartbeat" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = errors_of(rows[i].text);

		if (got[0] == '\0' || strstr(got, rows[i].want) == NULL)
			fail_msg("row %zu: wanted %s, got: %s", i, rows[i].want, got);
	}
}

static void an_identity_zone_needs_an_address_to_publish(void **state)
{
	char text[4000];
	char *at;

	(void)state;
	snprintf(text, sizeof(text), "%s", HEAD IDENT(""));
	at = strstr(text, "publish = [ \"192.0.2.1\" ];");
	assert_non_null(at);
	memset(at, ' ', strlen("publish = [ \"192.0.2.1\" ];"));
	assert_non_null(strstr(errors_of(text), "publish is missing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_is_taken),
		cmocka_unit_test(each_mistake_is_named),
		cmocka_unit_test(an_identity_zone_needs_an_address_to_publish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
