/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf.h"

#include <msproto/base/log.h>
#include <msproto/base/map.h>
#include <msproto/io/tls.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ZONES_MAX    1000000
#define DAY_S        86400
#define DNS_PORT     53
#define AGENTS_TYPES 6

#define TRANSFER_MAX_S (UINT32_MAX / 1000) /* counted in milliseconds, in 32 bits */

#define ROW(type, key, kind, flags, min, max, def, field, sub, words, help)                                            \
	{                                                                                                              \
		key, kind, flags, min, max, def, offsetof(struct type, field), sub, words, help                        \
	}

/* --- who ---------------------------------------------------------------------------------------------------------- */

#define REMOTE(key, kind, flags, max, def, field, words, help)                                                         \
	ROW(cmb_conf_remote, key, kind, flags, (max) > 0, max, def, field, NULL, words, help)
static const struct msp_conf_row remote_rows[] = {
	REMOTE("address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, NULL, addr, NULL, "Address of the name server"),
	REMOTE("port", MSP_CONF_PORT, 0, 65535, NULL, addr, NULL, "Its port; absent: 53, with transport tls 853"),
	REMOTE("source", MSP_CONF_ADDR, 0, 0, NULL, source, NULL, "Local address to speak to it from"),
	REMOTE("transport", MSP_CONF_ENUM, 0, 0, "dns", transport, msp_conf_transport_words,
	       "dns: UDP and TCP; tls: SOA and transfers over TLS (RFC 9103). "
	       "NOTIFY is UDP or TCP in any case, and to port 53 where this says 853"),
	REMOTE("tls", MSP_CONF_STR, 0, 0, NULL, tls, NULL, "Name of an entry of `tls`: how to know it"),
	REMOTE("tsig-key", MSP_CONF_NAME, 0, 0, NULL, tsig_key, NULL, "Key shared with it"),
	REMOTE("tsig-key-next", MSP_CONF_NAME, 0, 0, NULL, tsig_key_next, NULL,
	       "During a rollover: accepted too, and used when the other is refused"),
	REMOTE("unsigned", MSP_CONF_BOOL, 0, 0, "false", is_unsigned, NULL,
	       "No key, on purpose: its address is all that it is known by"),
	{ .key = NULL }
};
static const struct msp_conf_schema remote_schema = { sizeof(struct cmb_conf_remote), remote_rows };

static const struct msp_conf_row agent_rows[] = {
	ROW(cmb_conf_agent, "tsig-key", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, tsig_key, NULL, NULL,
	    "Key that may UPDATE and QUERY the zone"),
	ROW(cmb_conf_agent, "types", MSP_CONF_STRS, 0, 0, AGENTS_TYPES, NULL, types, NULL, NULL,
	    "Types that it may change, of DNSKEY, CDS, CSYNC, NS, CDNSKEY, KEY; absent: all that are permitted"),
	{ .key = NULL }
};
static const struct msp_conf_schema agent_schema = { sizeof(struct cmb_conf_agent), agent_rows };

static const struct msp_conf_word rule_words[] = {
	{ "any", CMB_RULE_ANY }, { "udp", CMB_RULE_UDP }, { "tcp", CMB_RULE_TCP }, { "tls", CMB_RULE_TLS }, { NULL, 0 }
};
#define RULE(key, kind, max, def, field, words, help)                                                                  \
	ROW(cmb_conf_rule, key, kind, 0, 0, max, def, field, NULL, words, help)
static const struct msp_conf_row rule_rows[] = {
	RULE("address", MSP_CONF_PREFIX, 0, NULL, address, NULL, "Where the request comes from; absent: anywhere"),
	RULE("transport", MSP_CONF_ENUM, 0, "any", transport, rule_words, "What it comes over"),
	RULE("tsig-key", MSP_CONF_NAME, 0, NULL, tsig_key, NULL, "Key that signed it"),
	RULE("cert-pins", MSP_CONF_STRS, MSP_TLS_PINS_MAX, NULL, cert_pins, NULL,
	     "Client's certificate has one of these keys: SHA-256 in base64; implies tls"),
	RULE("cert-ca", MSP_CONF_BOOL, 0, "false", cert_ca, NULL,
	     "Client's certificate is good under the listener's ca; implies tls"),
	RULE("unsigned", MSP_CONF_BOOL, 0, "false", is_unsigned, NULL,
	     "No key and no certificate, on purpose: requests without TSIG"),
	{ .key = NULL }
};
static const struct msp_conf_schema rule_schema = { sizeof(struct cmb_conf_rule), rule_rows };

/* --- zones and templates ------------------------------------------------------------------------------------------ */

static const struct msp_conf_word zonemd_words[] = {
	{ "strip", CMB_ZONEMD_STRIP }, { "keep", CMB_ZONEMD_KEEP }, { "recompute", CMB_ZONEMD_RECOMPUTE }, { NULL, 0 }
};

#define SET(type, key, kind, min, max, def, field, help)                                                               \
	ROW(type, key, kind, 0, min, max, def, set.field, NULL, NULL, help)
#define SET_LIST(type, key, flags, min, max, field, sub, help)                                                         \
	ROW(type, key, MSP_CONF_LIST, flags, min, max, NULL, set.field, sub, NULL, help)
#define SET_TIME(type, key, min, def, field, help) SET(type, key, MSP_CONF_SECONDS, min, INT32_MAX, def, field, help)

/* What both a template and a zone can say; `required`: flags of what must have been said in one of them. */
#define SETTINGS(t, required)                                                                                          \
	ROW(t, "identity", MSP_CONF_NAME, required, 0, 0, NULL, set.identity, NULL, NULL,                              \
	    "This provider's name in the zone's HSYNC RRset"),                                                         \
		SET_LIST(t, "primaries", required, 1, 16, primaries, &remote_schema,                                   \
			 "Where the owner's zone is transferred from, in order of preference"),                        \
		SET_LIST(t, "signers", 0, 0, 64, signers, &remote_schema,                                              \
			 "Who is notified and may transfer the combined zone"),                                        \
		SET_LIST(t, "agents", 0, 0, 16, agents, &agent_schema, "Who may change the apex RRsets"),              \
		SET_LIST(t, "allow-transfer", 0, 0, 256, allow_transfer, &rule_schema,                                 \
			 "Who else may transfer the combined zone"),                                                   \
		SET_LIST(t, "allow-notify", 0, 0, 256, allow_notify, &rule_schema,                                     \
			 "Whose NOTIFY is believed beside the primaries'"),                                            \
		SET(t, "extra-types", MSP_CONF_STRS, 0, 2, NULL, extra_types,                                          \
		    "Types beyond DNSKEY, CDS, CSYNC, NS that agents may contribute: CDNSKEY, KEY"),                   \
		ROW(t, "zonemd", MSP_CONF_ENUM, 0, 0, 0, "strip", set.zonemd, NULL, zonemd_words,                      \
		    "The owner's ZONEMD when it no longer fits: strip, keep or recompute"),                            \
		SET(t, "coalesce-ms", MSP_CONF_INT, 0, 5000, "500", coalesce_ms,                                       \
		    "Changes that follow a change within this time make one version"),                                 \
		SET(t, "max-records", MSP_CONF_INT, 0, INT64_MAX, "20000000", max_records,                             \
		    "Largest zone accepted; 0 = any"),                                                                 \
		SET(t, "max-names", MSP_CONF_INT, 0, INT64_MAX, "0", max_names, "Most names of a zone; 0 = any"),      \
		SET(t, "max-size", MSP_CONF_BYTES, 0, 0, "4G", max_octets, "Largest transfer accepted; 0 = any"),      \
		SET(t, "max-rrset", MSP_CONF_BYTES, 0, 0, "0", max_rrset, "Largest RRset (RDATA) accepted; 0 = any"),  \
		SET(t, "max-shrink", MSP_CONF_INT, 0, 100, "50", max_shrink,                                           \
		    "Per cent of a zone's records that may go at once; more waits for an operator; 0 = any. "          \
		    "A zone of less than 10 records waits only when all but its SOA and NS would go"),                 \
		SET(t, "verifier", MSP_CONF_STRS, 0, 64, NULL, verifier,                                               \
		    "Program, with its arguments, that reads a new version and says whether it may be served"),        \
		SET_TIME(t, "verifier-timeout", 1, "10m", verifier_timeout_s, "Longest run of the verifier"),          \
		SET(t, "history-entries", MSP_CONF_INT, 0, 1000, "100", history_entries,                               \
		    "Versions from which incremental transfers are given"),                                            \
		SET(t, "history-size", MSP_CONF_BYTES, 0, 0, "0", history_octets,                                      \
		    "Most octets of history kept; 0 = a quarter of the zone"),                                         \
		SET(t, "ixfr", MSP_CONF_BOOL, 0, 0, "true", ixfr, "Ask primaries for differences"),                    \
		SET_TIME(t, "refresh-min", 1, "60", refresh_min, "Lower bound of the SOA's refresh"),                  \
		SET_TIME(t, "refresh-max", 1, "14d", refresh_max, "Upper bound of the SOA's refresh"),                 \
		SET_TIME(t, "retry-min", 0, "0", retry_min, "Lower bound of the SOA's retry; 0 = as refresh-min"),     \
		SET_TIME(t, "retry-max", 1, "14d", retry_max, "Upper bound of the SOA's retry"),                       \
		SET_TIME(t, "expire-min", 1, "60", expire_min, "Lower bound of the SOA's expire"),                     \
		SET_TIME(t, "expire-max", 1, "14d", expire_max, "Upper bound of the SOA's expire"),                    \
		SET(t, "transfer-idle", MSP_CONF_SECONDS, 1, TRANSFER_MAX_S, "30", transfer_idle_s,                    \
		    "Longest silence of a primary during a transfer"),                                                 \
		SET(t, "transfer-max", MSP_CONF_SECONDS, 0, TRANSFER_MAX_S, "2h", transfer_max_s,                      \
		    "Longest transfer from a primary; 0 = any")

static const struct msp_conf_row template_rows[] = { ROW(cmb_conf_template, "name", MSP_CONF_STR, MSP_CONF_REQUIRED, 0,
							 0, NULL, name, NULL, NULL, "What zones and catalogs call it"),
						     SETTINGS(cmb_conf_template, 0),
						     { .key = NULL } };
const struct msp_conf_schema cmb_conf_template_schema = { sizeof(struct cmb_conf_template), template_rows };

static const struct msp_conf_row zone_rows[] = {
	ROW(cmb_conf_zone, "name", MSP_CONF_NAME, MSP_CONF_REQUIRED | MSP_CONF_OWN, 0, 0, NULL, name, NULL, NULL,
	    "Name of the zone"),
	ROW(cmb_conf_zone, "template", MSP_CONF_BASE, MSP_CONF_OWN, 0, 0, NULL, template, &cmb_conf_template_schema,
	    NULL, "Entry of `templates` with the settings that are not given here"),
	SETTINGS(cmb_conf_zone, MSP_CONF_REQUIRED),
	{ .key = NULL }
};
static const struct msp_conf_schema zone_schema = { sizeof(struct cmb_conf_zone), zone_rows };

/* --- catalogs
 * -----------------------------------------------------------------------------------------------------
 */

static const struct msp_conf_row group_rows[] = { ROW(cmb_conf_group, "group", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0,
						      NULL, group, NULL, NULL, "Value of a member's group property"),
						  ROW(cmb_conf_group, "template", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0,
						      NULL, template, NULL, NULL, "Template for its members"),
						  { .key = NULL } };
static const struct msp_conf_schema group_schema = { sizeof(struct cmb_conf_group), group_rows };

static const struct msp_conf_row catalog_rows[] = {
	ROW(cmb_conf_catalog, "zone", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, zone, NULL, NULL,
	    "Catalog zone (RFC 9432), one of `zones`: its members are served too"),
	ROW(cmb_conf_catalog, "template", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0, NULL, template, NULL, NULL,
	    "Template for members"),
	ROW(cmb_conf_catalog, "groups", MSP_CONF_LIST, 0, 0, 1000, NULL, groups, &group_schema, NULL,
	    "Templates for members with a group property"),
	{ .key = NULL }
};
static const struct msp_conf_schema catalog_schema = { sizeof(struct cmb_conf_catalog), catalog_rows };

/* --- the whole
 * ----------------------------------------------------------------------------------------------------
 */

static const struct msp_conf_row resolver_rows[] = {
	ROW(cmb_conf_resolver, "trust-anchor-file", MSP_CONF_PATH, 0, 0, 0, NULL, trust_anchor_file, NULL, NULL,
	    "DS or DNSKEY lines; absent: the root's"),
	ROW(cmb_conf_resolver, "root-servers", MSP_CONF_STRS, 0, 0, 16, NULL, root_servers, NULL, NULL,
	    "Addresses; absent: the built-in ones"),
	ROW(cmb_conf_resolver, "timeout", MSP_CONF_SECONDS, 0, 1, 60, "10", timeout_s, NULL, NULL, "For one look-up"),
	{ .key = NULL }
};
static const struct msp_conf_schema resolver_schema = { sizeof(struct cmb_conf_resolver), resolver_rows };

static const struct msp_conf_row metrics_rows[] = {
	{ "address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, 0, NULL, 0, NULL, NULL, "Local address, HTTP" },
	{ "port", MSP_CONF_PORT, MSP_CONF_REQUIRED, 1, 65535, NULL, 0, NULL, NULL, "Local port" },
	{ .key = NULL }
};
static const struct msp_conf_schema metrics_schema = { sizeof(struct msp_addr), metrics_rows };

static const struct msp_conf_word level_words[] = { { "error", MSP_LOG_ERROR },   { "warning", MSP_LOG_WARNING },
						    { "notice", MSP_LOG_NOTICE }, { "info", MSP_LOG_INFO },
						    { "debug", MSP_LOG_DEBUG },   { NULL, 0 } };

#define TOP(key, kind, flags, min, max, def, field, sub, words, help)                                                  \
	ROW(cmb_conf, key, kind, flags, min, max, def, field, sub, words, help)
#define TOP_INT(key, max, def, field, help) TOP(key, MSP_CONF_INT, 0, 1, max, def, field, NULL, NULL, help)
static const struct msp_conf_row top_rows[] = {
	TOP("state-dir", MSP_CONF_PATH, MSP_CONF_REQUIRED, 0, 0, NULL, state_dir, NULL, NULL,
	    "Directory for zones and instructions"),
	TOP("control", MSP_CONF_PATH, 0, 0, 0, NULL, control, NULL, NULL, "Control socket for msctl"),
	TOP("log-level", MSP_CONF_ENUM, 0, 0, 0, "notice", log_level, NULL, level_words,
	    "error, warning, notice, info or debug"),
	TOP("listen", MSP_CONF_LIST, MSP_CONF_REQUIRED, 1, 16, NULL, listen, &msp_conf_listen_schema, NULL,
	    "Addresses to answer on"),
	TOP("tls", MSP_CONF_LIST, 0, 0, 1000, NULL, tls, &msp_conf_tls_schema, NULL,
	    "Certificates, and whom to believe"),
	TOP("tsig-keys", MSP_CONF_LIST, 0, 0, 100000, NULL, tsig_keys, &msp_conf_tsig_schema, NULL, "TSIG keys"),
	TOP("templates", MSP_CONF_LIST, 0, 0, 1000, NULL, templates, &cmb_conf_template_schema, NULL,
	    "Settings that zones share"),
	TOP("zones", MSP_CONF_LIST, MSP_CONF_REQUIRED, 0, ZONES_MAX, NULL, zones, &zone_schema, NULL, "Zones"),
	TOP("catalogs", MSP_CONF_LIST, 0, 0, 100, NULL, catalogs, &catalog_schema, NULL, "Catalog zones"),
	TOP("numbers", MSP_CONF_GROUP, 0, 0, 0, NULL, numbers, &msp_conf_numbers_schema, NULL,
	    "Protocol numbers without IANA assignment"),
	TOP("resolver", MSP_CONF_GROUP, 0, 0, 0, NULL, resolver, &resolver_schema, NULL,
	    "How TLSA records are looked up; needed only when an entry of tls says tlsa"),
	TOP("metrics", MSP_CONF_GROUP, 0, 0, 0, NULL, metrics, &metrics_schema, NULL,
	    "Where /metrics and /healthz are"),
	TOP("map-size", MSP_CONF_BYTES, 0, 1 << 20, INT64_MAX, "64G", map_size, NULL, NULL,
	    "Address space for the zone store; the file is only as large as its content"),
	TOP_INT("zones-max", ZONES_MAX, "1000000", zones_max, "Zones, members of catalogs included"),
	TOP("zones-loaded-max", MSP_CONF_INT, 0, 16, ZONES_MAX, "128", zones_loaded_max, NULL, NULL,
	    "Zones whose apex is in memory because they were used lately"),
	TOP_INT("transfers-in-max", CMB_TRANSFERS_MAX, "64", transfers_in_max, "Transfers from primaries at one time"),
	TOP_INT("transfers-in-per-primary-max", 10000, "16", transfers_in_per_primary_max, "Of these from one primary"),
	TOP_INT("transfers-out-max", CMB_TRANSFERS_MAX, "100", transfers_out_max, "Outgoing transfers at one time"),
	TOP("transfer-out-max", MSP_CONF_SECONDS, 0, 1, DAY_S, "1h", transfer_out_max_s, NULL, NULL,
	    "Longest outgoing transfer"),
	TOP("stall-max", MSP_CONF_SECONDS, 0, 1, 3600, "60", stall_s, NULL, NULL,
	    "A client that takes nothing of an answer for this long is cut off"),
	TOP_INT("tcp-connections-max", 100000, "512", tcp_connections_max, "TCP connections at one time"),
	TOP_INT("tcp-per-client-max", 100000, "10", tcp_per_client_max, "TCP connections of one address"),
	TOP_INT("notifies-max", 100000, "256", notifies_max, "NOTIFYs not answered yet at one time"),
	TOP("notify-timeout", MSP_CONF_SECONDS, 0, 1, 3600, "15", notify_timeout_s, NULL, NULL,
	    "Wait for the answer to a NOTIFY; doubles with each try"),
	TOP_INT("notify-tries", 20, "5", notify_tries, "NOTIFYs sent before giving up"),
	{ .key = NULL }
};
const struct msp_conf_schema cmb_conf_schema = { sizeof(struct cmb_conf), top_rows };

const struct cmb_conf_zone *cmb_conf_zone_at(const struct cmb_conf *c, size_t i)
{
	return (const struct cmb_conf_zone *)c->zones.item + i;
}

const struct cmb_conf_remote *cmb_conf_remote_at(const struct msp_conf_list *l, size_t i)
{
	return (const struct cmb_conf_remote *)l->item + i;
}

const struct cmb_conf_agent *cmb_conf_agent_at(const struct msp_conf_list *l, size_t i)
{
	return (const struct cmb_conf_agent *)l->item + i;
}

const struct cmb_conf_rule *cmb_conf_rule_at(const struct msp_conf_list *l, size_t i)
{
	return (const struct cmb_conf_rule *)l->item + i;
}

const struct cmb_conf_template *cmb_conf_template_named(const struct cmb_conf *c, const char *name)
{
	for (size_t i = 0; i < c->templates.count; i++) {
		const struct cmb_conf_template *t = (const struct cmb_conf_template *)c->templates.item + i;

		if (strcmp(t->name, name) == 0)
			return t;
	}
	return NULL;
}

const struct msp_conf_tls *cmb_conf_tls_named(const struct cmb_conf *c, const char *name)
{
	for (size_t i = 0; i < c->tls.count; i++) {
		const struct msp_conf_tls *t = (const struct msp_conf_tls *)c->tls.item + i;

		if (strcmp(t->name, name) == 0)
			return t;
	}
	return NULL;
}

/* --- what the schema cannot say
 * ----------------------------------------------------------------------------------- */

struct checker {
	const char *path;
	struct cmb_conf *conf;
	struct msp_buf *errors;
	struct msp_map keys, zones;
	const char *where; /* of what is being checked */
	size_t problems;
};

static void complain(struct checker *ch, const char *what, const char *value)
{
	ch->problems++;
	msp_buf_printf(ch->errors, "%s: %s: %s%s%s\n", ch->path, ch->where, what, value ? " " : "", value ? value : "");
}

static void check_key(struct checker *ch, const struct msp_name *key)
{
	struct msp_name_key k = msp_name_key(key);

	if (msp_name_is_set(key) && msp_map_get(&ch->keys, msp_name_key_span(&k)) == NULL)
		complain(ch, "tsig-key not in tsig-keys:", MSP_NAME(key));
}

static void check_pins(struct checker *ch, const struct msp_conf_strs *pins)
{
	uint8_t pin[MSP_TLS_PIN_LEN];

	for (size_t i = 0; i < pins->count; i++)
		if (msp_tls_pin_from_text(pins->item[i], pin) != MSP_OK)
			complain(ch, "not a pin (base64 of a SHA-256):", pins->item[i]);
}

/* The entry of `tls` that goes with a transport. */
static const struct msp_conf_tls *check_transport(struct checker *ch, int transport, const char *tls)
{
	const struct msp_conf_tls *t = tls ? cmb_conf_tls_named(ch->conf, tls) : NULL;

	if (transport != MSP_TRANSPORT_TLS && tls != NULL)
		complain(ch, "tls is named, but transport is not \"tls\":", tls);
	else if (transport == MSP_TRANSPORT_TLS && tls == NULL)
		complain(ch, "transport \"tls\" needs an entry of tls", NULL);
	else if (tls != NULL && t == NULL)
		complain(ch, "no such entry in tls:", tls);
	return transport == MSP_TRANSPORT_TLS ? t : NULL;
}

static void check_remote(struct checker *ch, struct cmb_conf_remote *r)
{
	const struct msp_conf_tls *t = check_transport(ch, r->transport, r->tls);
	bool has_key = msp_name_is_set(&r->tsig_key);

	if (r->addr.port == 0)
		r->addr.port = r->transport == MSP_TRANSPORT_TLS ? MSP_TLS_PORT : DNS_PORT;
	if (t != NULL && t->ca == NULL && t->pins.count == 0 && !t->tlsa)
		complain(ch, "tls without ca, pins and tlsa cannot tell a server:", t->name);
	check_key(ch, &r->tsig_key);
	check_key(ch, &r->tsig_key_next);
	if (!has_key && r->transport != MSP_TRANSPORT_TLS && !r->is_unsigned)
		complain(ch, "neither tsig-key nor transport \"tls\" nor unsigned = true:", MSP_ADDR(&r->addr));
	if (has_key && r->is_unsigned)
		complain(ch, "both tsig-key and unsigned = true:", MSP_ADDR(&r->addr));
	if (!has_key && msp_name_is_set(&r->tsig_key_next))
		complain(ch, "tsig-key-next without tsig-key:", MSP_ADDR(&r->addr));
}

static void check_remotes(struct checker *ch, struct msp_conf_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		check_remote(ch, (struct cmb_conf_remote *)l->item + i);
}

static void check_rules(struct checker *ch, const char *key, struct msp_conf_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct cmb_conf_rule *r = (struct cmb_conf_rule *)l->item + i;
		bool has_cert = r->cert_ca || r->cert_pins.count > 0;

		check_key(ch, &r->tsig_key);
		check_pins(ch, &r->cert_pins);
		if (has_cert && r->transport == CMB_RULE_ANY)
			r->transport = CMB_RULE_TLS;
		if (has_cert && r->transport != CMB_RULE_TLS)
			complain(ch, "a certificate is asked for on a transport without one:", key);
		if (!msp_name_is_set(&r->tsig_key) && !has_cert && !r->is_unsigned)
			complain(ch, "rule without tsig-key and certificate needs unsigned = true:", key);
		if (msp_name_is_set(&r->tsig_key) && r->is_unsigned)
			complain(ch, "rule with both tsig-key and unsigned = true:", key);
	}
}

static void check_words(struct checker *ch, const char *what, const struct msp_conf_strs *strs,
			const char *const *words)
{
	for (size_t i = 0; i < strs->count; i++) {
		const char *const *w = words;

		while (*w != NULL && strcasecmp(*w, strs->item[i]) != 0)
			w++;
		if (*w == NULL)
			complain(ch, what, strs->item[i]);
	}
}

static void check_settings(struct checker *ch, struct cmb_conf_settings *s)
{
	static const char *const extra[] = { "CDNSKEY", "KEY", NULL };
	static const char *const all[] = { "DNSKEY", "CDS", "CSYNC", "NS", "CDNSKEY", "KEY", NULL };

	check_remotes(ch, &s->primaries);
	check_remotes(ch, &s->signers);
	check_rules(ch, "allow-transfer", &s->allow_transfer);
	check_rules(ch, "allow-notify", &s->allow_notify);
	for (size_t i = 0; i < s->agents.count; i++) {
		check_key(ch, &cmb_conf_agent_at(&s->agents, i)->tsig_key);
		check_words(ch, "agents: not a type that may be contributed:", &cmb_conf_agent_at(&s->agents, i)->types,
			    all);
	}
	check_words(ch, "extra-types: not CDNSKEY or KEY:", &s->extra_types, extra);
	if (s->refresh_min > s->refresh_max || s->retry_min > s->retry_max || s->expire_min > s->expire_max)
		complain(ch, "a minimum is above its maximum", NULL);
	if (s->verifier.count > 0 && s->verifier.item[0][0] != '/')
		complain(ch, "verifier: must be an absolute path:", s->verifier.item[0]);
}

static void check_templates(struct checker *ch)
{
	struct msp_conf_list *l = &ch->conf->templates;

	for (size_t i = 0; i < l->count; i++) {
		struct cmb_conf_template *t = (struct cmb_conf_template *)l->item + i;
		char where[128];

		(void)snprintf(where, sizeof(where), "template \"%.80s\"", t->name);
		ch->where = where;
		if (cmb_conf_template_named(ch->conf, t->name) != t)
			complain(ch, "there twice", NULL);
		check_settings(ch, &t->set);
	}
}

static void check_listen(struct checker *ch)
{
	const struct cmb_conf *c = ch->conf;

	ch->where = "listen";
	for (size_t i = 0; i < c->listen.count; i++) {
		const struct msp_conf_listen *l = (const struct msp_conf_listen *)c->listen.item + i;
		const struct msp_conf_tls *t = check_transport(ch, l->transport, l->tls);

		if (t != NULL && (t->certificate == NULL || t->private_key == NULL))
			complain(ch, "tls without certificate and private-key:", t->name);
	}
	ch->where = "resolver.root-servers";
	for (size_t i = 0; i < c->resolver.root_servers.count; i++) {
		struct msp_addr addr;

		if (msp_addr_parse(c->resolver.root_servers.item[i], DNS_PORT, &addr) != MSP_OK)
			complain(ch, "not an address:", c->resolver.root_servers.item[i]);
	}
	ch->where = "tls";
	for (size_t i = 0; i < c->tls.count; i++) {
		const struct msp_conf_tls *t = (const struct msp_conf_tls *)c->tls.item + i;

		if (cmb_conf_tls_named(c, t->name) != t)
			complain(ch, "there twice:", t->name);
		check_pins(ch, &t->pins);
		if (t->tlsa && t->auth_name == NULL)
			complain(ch, "tlsa without auth-name:", t->name);
	}
}

/* A member of a catalog has nothing but its template. */
static void check_whole_template(struct checker *ch, const char *name)
{
	const struct cmb_conf_template *t = cmb_conf_template_named(ch->conf, name);

	if (t == NULL)
		complain(ch, "no such template:", name);
	else if (!msp_name_is_set(&t->set.identity) || t->set.primaries.count == 0)
		complain(ch, "template without identity or primaries cannot make a zone:", name);
}

static void check_catalogs(struct checker *ch)
{
	const struct msp_conf_list *l = &ch->conf->catalogs;

	ch->where = "catalogs";
	for (size_t i = 0; i < l->count; i++) {
		const struct cmb_conf_catalog *c = (const struct cmb_conf_catalog *)l->item + i;
		struct msp_name_key k = msp_name_key(&c->zone);

		if (msp_map_get(&ch->zones, msp_name_key_span(&k)) == NULL)
			complain(ch, "not one of zones:", MSP_NAME(&c->zone));
		for (size_t j = 0; j < i; j++)
			if (msp_name_equal(&c->zone, &((const struct cmb_conf_catalog *)l->item)[j].zone))
				complain(ch, "there twice:", MSP_NAME(&c->zone));
		check_whole_template(ch, c->template);
		for (size_t j = 0; j < c->groups.count; j++)
			check_whole_template(ch, ((const struct cmb_conf_group *)c->groups.item)[j].template);
	}
}

static enum msp_err check_zones(struct checker *ch)
{
	static char present; /* only its address is used */
	struct cmb_conf *c = ch->conf;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < c->zones.count; i++) {
		struct cmb_conf_zone *z = (struct cmb_conf_zone *)c->zones.item + i;
		struct msp_name_key k = msp_name_key(&z->name);
		struct msp_name_text text;
		void *old = NULL;
		char where[256];

		err = msp_map_put(&ch->zones, msp_name_key_span(&k), &present, &old);
		if (old == NULL && z->template.is_bare)
			continue;
		text = msp_name_text(&z->name);
		(void)snprintf(where, sizeof(where), "zone %.200s", text.s);
		ch->where = where;
		if (old != NULL)
			complain(ch, "configured twice", NULL);
		if (!z->template.is_bare)
			check_settings(ch, &z->set);
	}
	ch->where = "zones";
	if ((int64_t)c->zones.count > c->zones_max)
		complain(ch, "more than zones-max", NULL);
	return err;
}

static enum msp_err check_all(struct checker *ch)
{
	const struct cmb_conf *c = ch->conf;
	enum msp_err err = MSP_OK;
	static char present; /* only its address is used */

	for (size_t i = 0; err == MSP_OK && i < c->tsig_keys.count; i++) {
		const struct msp_conf_tsig *t = (const struct msp_conf_tsig *)c->tsig_keys.item + i;
		struct msp_name_key k = msp_name_key(&t->name);

		err = msp_map_put(&ch->keys, msp_name_key_span(&k), &present, NULL);
	}
	check_listen(ch);
	check_templates(ch);
	if (err == MSP_OK)
		err = check_zones(ch);
	check_catalogs(ch);
	if (err == MSP_OK && ch->problems > 0)
		err = MSP_ECONF;
	return err;
}

enum msp_err cmb_conf_load(const char *path, struct cmb_conf *out, struct msp_buf *errors)
{
	struct checker ch = { .path = path, .conf = out, .errors = errors };
	enum msp_err err = msp_conf_load(path, &cmb_conf_schema, out, errors);

	if (err != MSP_OK)
		return err;
	msp_map_init(&ch.keys, out->tsig_keys.count);
	msp_map_init(&ch.zones, out->zones.count);
	err = check_all(&ch);
	msp_map_fini(&ch.keys, NULL);
	msp_map_fini(&ch.zones, NULL);
	if (err != MSP_OK)
		cmb_conf_fini(out);
	return err;
}

void cmb_conf_fini(struct cmb_conf *c)
{
	msp_conf_fini(&cmb_conf_schema, c);
	memset(c, 0, sizeof(*c));
}

void cmb_conf_drop_zones(struct cmb_conf *c)
{
	struct cmb_conf only = { .zones = c->zones };

	msp_conf_fini(&cmb_conf_schema, &only);
	c->zones = (struct msp_conf_list){ NULL, 0 };
}

static bool has_extra(const struct cmb_conf_settings *s, const char *type)
{
	for (size_t i = 0; i < s->extra_types.count; i++)
		if (strcasecmp(s->extra_types.item[i], type) == 0)
			return true;
	return false;
}

void cmb_conf_rules(const struct cmb_conf *c, const struct cmb_conf_settings *set, struct cmb_rules *out)
{
	*out = (struct cmb_rules){ .identity = set->identity,
				   .numbers = &c->numbers,
				   .extra_cdnskey = has_extra(set, "CDNSKEY"),
				   .extra_key = has_extra(set, "KEY"),
				   .zonemd = (enum cmb_zonemd)set->zonemd };
}

void cmb_conf_limits(const struct cmb_conf_settings *set, struct cmb_refresh_limits *out)
{
	*out = (struct cmb_refresh_limits){
		set->refresh_min, set->refresh_max, set->retry_min ? set->retry_min : set->refresh_min,
		set->retry_max,   set->expire_min,  set->expire_max
	};
}
