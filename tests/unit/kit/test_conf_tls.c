/* SPDX-License-Identifier: BSD-2-Clause */
/* The settings of TLS: listeners, and what a `tls` entry becomes. */
#include "../io/tlskit.h"

#include <msproto/kit/conf.h>

struct conf {
	struct msp_conf_list listen, tls;
};
static const struct msp_conf_row rows[] = {
	{ "listen", MSP_CONF_LIST, 0, 0, 16, NULL, offsetof(struct conf, listen), &msp_conf_listen_schema, NULL, "" },
	{ "tls", MSP_CONF_LIST, 0, 0, 16, NULL, offsetof(struct conf, tls), &msp_conf_tls_schema, NULL, "" },
	{ .key = NULL }
};
static const struct msp_conf_schema schema = { sizeof(struct conf), rows };

static void load(const char *text, struct conf *out)
{
	struct msp_buf errors;

	msp_buf_init(&errors, 10000);
	if (msp_conf_load_text(text, &schema, out, &errors) != MSP_OK)
		fail_msg("%s", msp_buf_text(&errors));
	msp_buf_fini(&errors);
}

static void expect_error(const char *text, const char *word)
{
	struct msp_buf errors;
	struct conf c;

	msp_buf_init(&errors, 10000);
	T_ERR(msp_conf_load_text(text, &schema, &c, &errors), MSP_ECONF);
	if (strstr(msp_buf_text(&errors), word) == NULL)
		fail_msg("\"%s\" does not name \"%s\"", msp_buf_text(&errors), word);
	msp_buf_fini(&errors);
}

static void port_depends_on_the_transport_when_none_is_given(void **state)
{
	static const uint16_t want[] = { 53, 853, 53, 5353, 8853 };
	const struct msp_conf_listen *l;
	struct conf c;

	(void)state;
	load("listen = ( { address = \"192.0.2.1\"; }, { address = \"192.0.2.1\"; transport = \"tls\"; tls = \"a\"; },"
	     "{ address = \"192.0.2.1\"; transport = \"dns\"; }, { address = \"192.0.2.1\"; port = 5353; },"
	     "{ address = \"2001:db8::1\"; port = 8853; transport = \"tls\"; tls = \"a\"; } );",
	     &c);
	l = c.listen.item;
	assert_int_equal(c.listen.count, 5);
	for (size_t i = 0; i < c.listen.count; i++) {
		struct msp_addr addr = msp_conf_listen_addr(&l[i]);

		assert_int_equal(addr.port, want[i]);
		assert_true(msp_addr_same_host(&addr, &l[i].addr));
	}
	assert_int_equal(l[0].transport, MSP_TRANSPORT_DNS);
	assert_null(l[0].tls);
	assert_int_equal(l[1].transport, MSP_TRANSPORT_TLS);
	assert_string_equal(l[1].tls, "a");
	msp_conf_fini(&schema, &c);
	expect_error("listen = ( { address = \"192.0.2.1\"; transport = \"quic\"; } );", "transport");
	expect_error("listen = ( { address = \"192.0.2.1\"; port = 0; } );", "port");
}

static void what_is_shown_can_be_read_again(void **state)
{
	struct msp_buf first, second;
	struct conf c;

	(void)state;
	msp_buf_init(&first, 10000);
	msp_buf_init(&second, 10000);
	load("listen = ( { address = \"192.0.2.1\"; }, { address = \"192.0.2.1\"; transport = \"tls\"; tls = \"a\"; } "
	     ");"
	     "tls = ( { name = \"a\"; certificate = \"/c\"; private-key = \"/k\"; pins = [ \"x\", \"y\" ]; ca = "
	     "\"/ca\";"
	     "auth-name = \"ns.example\"; tlsa = true; }, { name = \"b\"; } );",
	     &c);
	T_OK(msp_conf_show(&schema, &c, &first));
	msp_conf_fini(&schema, &c);
	load(msp_buf_text(&first), &c);
	T_OK(msp_conf_show(&schema, &c, &second));
	assert_string_equal(msp_buf_text(&first), msp_buf_text(&second));
	msp_conf_fini(&schema, &c);
	msp_buf_fini(&first);
	msp_buf_fini(&second);
}

static void expect_closed(const struct msp_conf_tls *c, bool is_server, enum msp_err want, const char *word)
{
	struct msp_why why = { "" };
	struct msp_tls *tls = NULL;

	T_ERR(msp_conf_tls_open(c, is_server, &tls, &why), want);
	assert_null(tls);
	assert_non_null(strstr(why.text, c->name)); /* which entry */
	if (strstr(why.text, word) == NULL)
		fail_msg("\"%s\" does not name \"%s\"", why.text, word);
}

static void entry_becomes_a_context_or_a_reason(void **state)
{
	char pin_text[64], bad[] = "abc", name[] = "the-entry", host[] = "ns.example.test";
	char *pins[MSP_TLS_PINS_MAX + 1];
	uint8_t pin[MSP_TLS_PIN_LEN];
	struct msp_conf_tls c = { .name = name };
	struct msp_tls *tls;
	struct msp_buf text;
	struct pki pki;

	(void)state;
	pki_open(&pki);
	T_OK(msp_tls_pin_of_file(pki_path(&pki, "server.pem"), pin, NULL));
	msp_buf_init(&text, 100);
	msp_b64_write(&text, msp_span(pin, sizeof(pin)));
	snprintf(pin_text, sizeof(pin_text), "%s", msp_buf_text(&text));
	msp_buf_fini(&text);
	for (size_t i = 0; i < MSP_TLS_PINS_MAX + 1; i++)
		pins[i] = pin_text;
	expect_closed(&c, false, MSP_ECONF, "nothing to know the server by");
	c.pins = (struct msp_conf_strs){ pins, MSP_TLS_PINS_MAX };
	T_OK(msp_conf_tls_open(&c, false, &tls, NULL));
	msp_tls_unref(&tls);
	c.pins.count++;
	expect_closed(&c, false, MSP_ECONF, "more than 16 pins");
	c.pins.count = 1;
	expect_closed(&c, true, MSP_ECONF, "certificate");
	pins[0] = bad;
	expect_closed(&c, false, MSP_ECONF, bad);
	c.pins.count = 0;
	c.tlsa = true;
	expect_closed(&c, false, MSP_ECONF, "auth-name");
	c.auth_name = host;
	T_OK(msp_conf_tls_open(&c, false, &tls, NULL));
	msp_tls_unref(&tls);
	c.tlsa = false;
	c.certificate = (char *)(uintptr_t)pki_path(&pki, "server.pem");
	c.private_key = (char *)(uintptr_t)pki_path(&pki, "server.key");
	T_OK(msp_conf_tls_open(&c, true, &tls, NULL));
	msp_tls_unref(&tls);
	c.ca = (char *)(uintptr_t)pki_path(&pki, "absent");
	expect_closed(&c, true, MSP_EIO, "absent");
	pki_close(&pki);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_depends_on_the_transport_when_none_is_given),
		cmocka_unit_test(what_is_shown_can_be_read_again),
		cmocka_unit_test(entry_becomes_a_context_or_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
