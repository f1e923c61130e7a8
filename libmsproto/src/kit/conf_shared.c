/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings that several daemons share: TSIG keys, listen addresses, TLS, protocol numbers. */
#include <msproto/kit/conf.h>

#include <msproto/auth/tsig.h>
#include <msproto/base/enc.h>
#include <msproto/base/map.h>
#include <msproto/base/mem.h>
#include <msproto/io/tls.h>
#include <msproto/kit/store.h>

#include <ctype.h>

#define SECRET_FILE_MAX 4096
#define RING_MAX        100000
#define DNS_PORT        53

static const struct msp_conf_word tsig_words[] = { { "hmac-sha256", MSP_TSIG_SHA256 },
						   { "hmac-sha384", MSP_TSIG_SHA384 },
						   { "hmac-sha512", MSP_TSIG_SHA512 },
						   { NULL, 0 } };
static const struct msp_conf_row tsig_rows[] = {
	{ "name", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, offsetof(struct msp_conf_tsig, name), NULL, NULL,
	  "Name of the key, as on the wire" },
	{ "algorithm", MSP_CONF_ENUM, 0, 0, 0, "hmac-sha256", offsetof(struct msp_conf_tsig, algorithm), NULL,
	  tsig_words, "HMAC algorithm" },
	{ "secret-file", MSP_CONF_PATH, MSP_CONF_REQUIRED, 0, 0, NULL, offsetof(struct msp_conf_tsig, secret_file),
	  NULL, NULL, "File with the secret in base64, mode 0600" },
	{ .key = NULL }
};
const struct msp_conf_schema msp_conf_tsig_schema = { sizeof(struct msp_conf_tsig), tsig_rows };

const struct msp_conf_word msp_conf_transport_words[] = { { "dns", MSP_TRANSPORT_DNS },
							  { "tls", MSP_TRANSPORT_TLS },
							  { NULL, 0 } };

#define LISTEN(key, kind, flags, max, def, field, words, help)                                                         \
	{                                                                                                              \
		key, kind, flags, (max) > 0, max, def, offsetof(struct msp_conf_listen, field), NULL, words, help      \
	}
#define LISTEN_ADDRESS LISTEN("address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, NULL, addr, NULL, "Local address")
static const struct msp_conf_row listen_rows[] = {
	LISTEN_ADDRESS,
	LISTEN("port", MSP_CONF_PORT, 0, 65535, NULL, addr, NULL, "Local port; absent: 53, or 853 with tls"),
	LISTEN("transport", MSP_CONF_ENUM, 0, 0, "dns", transport, msp_conf_transport_words,
	       "dns: UDP and TCP; tls: DNS over TLS (RFC 9103)"),
	LISTEN("tls", MSP_CONF_STR, 0, 0, NULL, tls, NULL, "Name of an entry of `tls` with a certificate"),
	{ .key = NULL }
};
const struct msp_conf_schema msp_conf_listen_schema = { sizeof(struct msp_conf_listen), listen_rows };

static const struct msp_conf_row listen_dns_rows[] = {
	LISTEN_ADDRESS, LISTEN("port", MSP_CONF_PORT, 0, 65535, "53", addr, NULL, "Local port"), { .key = NULL }
};
const struct msp_conf_schema msp_conf_listen_dns_schema = { sizeof(struct msp_conf_listen), listen_dns_rows };

struct msp_addr msp_conf_listen_addr(const struct msp_conf_listen *l)
{
	struct msp_addr addr = l->addr;

	if (addr.port == 0)
		addr.port = l->transport == MSP_TRANSPORT_TLS ? MSP_TLS_PORT : DNS_PORT;
	return addr;
}

#define TLS(key, kind, flags, max, field, help)                                                                        \
	{                                                                                                              \
		key, kind, flags, 0, max, NULL, offsetof(struct msp_conf_tls, field), NULL, NULL, help                 \
	}
static const struct msp_conf_row tls_rows[] = {
	TLS("name", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, name, "What other settings call it"),
	TLS("certificate", MSP_CONF_PATH, 0, 0, certificate, "Our certificate and its chain, PEM; with private-key"),
	TLS("private-key", MSP_CONF_PATH, 0, 0, private_key, "Its key, PEM, mode 0600"),
	TLS("ca", MSP_CONF_PATH, 0, 0, ca, "Believe who has a certificate of these, PEM (a server: for auth-name)"),
	TLS("pins", MSP_CONF_STRS, 0, MSP_TLS_PINS_MAX, pins,
	    "Believe who has one of these keys: SHA-256 of the SubjectPublicKeyInfo in base64"),
	TLS("auth-name", MSP_CONF_STR, 0, 0, auth_name, "Host name of the server"),
	TLS("tlsa", MSP_CONF_BOOL, 0, 0, tlsa, "Believe the server that the TLSA records of auth-name tell of"),
	{ .key = NULL }
};
const struct msp_conf_schema msp_conf_tls_schema = { sizeof(struct msp_conf_tls), tls_rows };

enum msp_err msp_conf_tls_open(const struct msp_conf_tls *c, bool is_server, struct msp_tls **out, struct msp_why *why)
{
	uint8_t pin[MSP_TLS_PINS_MAX][MSP_TLS_PIN_LEN];
	struct msp_tls_params p = { .is_server = is_server,
				    .certificate = c->certificate,
				    .private_key = c->private_key,
				    .ca = c->ca,
				    .pin = (const uint8_t(*)[MSP_TLS_PIN_LEN])pin,
				    .pin_count = c->pins.count,
				    .auth_name = c->auth_name,
				    .use_tlsa = c->tlsa };
	struct msp_why reason = { "" };
	enum msp_err err;

	*out = NULL;
	if (c->pins.count > MSP_TLS_PINS_MAX)
		return msp_fail(why, MSP_ECONF, "tls \"%.60s\": more than %d pins", c->name, MSP_TLS_PINS_MAX);
	for (size_t i = 0; i < c->pins.count; i++)
		if (msp_tls_pin_from_text(c->pins.item[i], pin[i]) != MSP_OK)
			return msp_fail(why, MSP_ECONF, "tls \"%.60s\": pin \"%.60s\" is not base64 of %d octets",
					c->name, c->pins.item[i], MSP_TLS_PIN_LEN);
	err = msp_tls_new(&p, out, &reason);
	if (err != MSP_OK)
		return msp_fail(why, err, "tls \"%.60s\": %.180s", c->name, reason.text);
	return MSP_OK;
}

#define NUM(key, kind, min, max, def, field, help)                                                                     \
	{                                                                                                              \
		key, kind, 0, min, max, def, offsetof(struct msp_numbers, field), NULL, NULL, help                     \
	}
static const struct msp_conf_row numbers_rows[] = {
	NUM("rrtype-hsync", MSP_CONF_U16, 1, 65535, "65282", type_hsync, "RR type HSYNC"),
	NUM("rrtype-hsync3", MSP_CONF_U16, 1, 65535, "65285", type_hsync3, "RR type HSYNC3"),
	NUM("rrtype-hsyncparam", MSP_CONF_U16, 1, 65535, "65286", type_hsyncparam, "RR type HSYNCPARAM"),
	NUM("option-keystate", MSP_CONF_U16, 1, 65535, "65002", opt_keystate, "EDNS option KeyState"),
	NUM("option-multisigner", MSP_CONF_U16, 1, 65535, "65006", opt_multisigner, "EDNS option Multi-Signer"),
	NUM("dsync-update", MSP_CONF_U8, 1, 255, "2", dsync_update, "DSYNC scheme UPDATE"),
	NUM("dsync-scanner", MSP_CONF_U8, 1, 255, "3", dsync_scanner, "DSYNC scheme SCANNER"),
	NUM("dsync-api", MSP_CONF_U8, 1, 255, "4", dsync_api, "DSYNC scheme API"),
	NUM("svcb-bootstrap", MSP_CONF_U16, 1, 65534, "65282", svcb_bootstrap, "SVCB key bootstrap"),
	NUM("svcb-interval", MSP_CONF_U16, 1, 65534, "65283", svcb_interval, "SVCB key interval"),
	/* The highest code is base + 42; beyond 65535 there is nothing. */
	NUM("ede-base", MSP_CONF_U16, 1, 65493, "49152", ede_base, "First number of the extended errors"),
	NUM("operation-data", MSP_CONF_U8, 3, 255, "128", op_data, "Multi-Signer operation DATA"),
	NUM("operation-state", MSP_CONF_U8, 3, 255, "129", op_state, "Multi-Signer operation STATE"),
	NUM("operation-proc", MSP_CONF_U8, 3, 255, "130", op_proc, "Multi-Signer operation PROC"),
	NUM("operation-elect", MSP_CONF_U8, 3, 255, "131", op_elect, "Multi-Signer operation ELECT"),
	NUM("operation-ping", MSP_CONF_U8, 3, 255, "132", op_ping, "Multi-Signer operation PING"),
	NUM("operation-bye", MSP_CONF_U8, 3, 255, "133", op_bye, "Multi-Signer operation BYE"),
	NUM("operation-keyreq", MSP_CONF_U8, 3, 255, "134", op_keyreq, "Multi-Signer operation KEYREQ"),
	NUM("hsync-compat-zero", MSP_CONF_BOOL, 0, 0, "false", hsync_compat_zero,
	    "Read HSYNC state 0 as OFF and sign 0 as NO"),
	{ .key = NULL }
};
const struct msp_conf_schema msp_conf_numbers_schema = { sizeof(struct msp_numbers), numbers_rows };

/* Secrets do not linger in memory that was given back. */
static void wipe_fini(struct msp_buf *b)
{
	if (b->ptr)
		msp_wipe(b->ptr, b->size);
	msp_buf_fini(b);
}

enum msp_err msp_secret_file_read(const char *path, struct msp_buf *secret, struct msp_why *why)
{
	struct msp_buf text;
	struct msp_span s;
	enum msp_err err;

	msp_buf_init(&text, SECRET_FILE_MAX + 1);
	(void)msp_buf_reserve(&text, SECRET_FILE_MAX); /* in one piece: growing would leave copies behind */
	err = msp_file_read(path, SECRET_FILE_MAX, true, &text, why);
	if (err != MSP_OK)
		goto out;
	s = msp_buf_span(&text);
	while (s.len > 0 && isspace(s.ptr[s.len - 1]))
		s.len--;
	while (s.len > 0 && isspace(s.ptr[0]))
		s = msp_span(s.ptr + 1, s.len - 1);
	(void)msp_buf_reserve(secret, s.len);
	if (s.len == 0 || msp_b64_parse(s, secret) != MSP_OK)
		err = msp_fail(why, MSP_ECONF, "%s: not base64", path);
out:
	wipe_fini(&text);
	return err;
}

struct msp_tsig_ring {
	struct msp_map keys; /* msp_name_key -> struct msp_tsig_key, owned */
};

static void drop_key(void *value)
{
	struct msp_tsig_key *key = value;

	msp_tsig_key_free(&key);
}

static enum msp_err ring_add(struct msp_tsig_ring *ring, const struct msp_conf_tsig *conf, struct msp_why *why)
{
	struct msp_name_key at = msp_name_key(&conf->name);
	struct msp_tsig_key *key = NULL;
	struct msp_buf secret;
	enum msp_err err;

	msp_buf_init(&secret, SECRET_FILE_MAX);
	err = msp_secret_file_read(conf->secret_file, &secret, why);
	if (err != MSP_OK)
		goto out;
	if (msp_map_get(&ring->keys, msp_name_key_span(&at))) {
		err = msp_fail(why, MSP_ECONF, "TSIG key %.150s is there twice", MSP_NAME(&conf->name));
		goto out;
	}
	err = msp_tsig_key_new(&conf->name, (enum msp_tsig_alg)conf->algorithm, msp_buf_span(&secret), &key);
	if (err == MSP_OK)
		err = msp_map_put(&ring->keys, msp_name_key_span(&at), key, NULL);
	if (err != MSP_OK) {
		msp_tsig_key_free(&key);
		(void)msp_fail(why, err, "TSIG key %.150s: %s", MSP_NAME(&conf->name), msp_err_text(err));
	}
out:
	wipe_fini(&secret);
	return err;
}

enum msp_err msp_tsig_ring_load(const struct msp_conf_list *keys, struct msp_tsig_ring **out, struct msp_why *why)
{
	struct msp_tsig_ring *ring = msp_alloc(1, sizeof(*ring));
	const struct msp_conf_tsig *conf = keys->item;
	enum msp_err err = MSP_OK;

	*out = NULL;
	if (!ring)
		return msp_fail(why, MSP_ENOMEM, "TSIG keys: out of memory");
	msp_map_init(&ring->keys, RING_MAX);
	for (size_t i = 0; i < keys->count && err == MSP_OK; i++)
		err = ring_add(ring, &conf[i], why);
	if (err == MSP_OK)
		*out = ring;
	else
		msp_tsig_ring_free(&ring);
	return err;
}

void msp_tsig_ring_free(struct msp_tsig_ring **ring)
{
	if (!*ring)
		return;
	msp_map_fini(&(*ring)->keys, drop_key);
	msp_free(*ring);
	*ring = NULL;
}

const struct msp_tsig_key *msp_tsig_ring_get(const struct msp_tsig_ring *ring, const struct msp_name *name)
{
	struct msp_name_key at = msp_name_key(name);

	return ring ? msp_map_get(&ring->keys, msp_name_key_span(&at)) : NULL;
}
