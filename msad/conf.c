/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf.h"

#include <msproto/base/enc.h>
#include <msproto/base/log.h>
#include <msproto/base/map.h>

#include <stddef.h>
#include <stdio.h>

#define ROW(KEY, KIND, FLAGS, MIN, MAX, DEF, FIELD, SUB, WORDS, HELP)                                                  \
	{                                                                                                              \
		.key = (KEY), .kind = (KIND), .flags = (FLAGS), .min = (MIN), .max = (MAX), .def = (DEF),              \
		.offset = (FIELD), .sub = (SUB), .words = (WORDS), .help = (HELP)                                      \
	}
#define END                                                                                                            \
	{                                                                                                              \
		.key = NULL                                                                                            \
	}

static const struct msp_conf_word adapter_words[] = {
	{ "observe", MSA_ADAPTER_OBSERVE }, { "knot", MSA_ADAPTER_KNOT }, { "pdns", MSA_ADAPTER_PDNS }, { NULL, 0 }
};
static const struct msp_conf_word parent_words[] = { { "auto", MSA_PARENT_AUTO },
						     { "update", MSA_PARENT_UPDATE },
						     { "notify", MSA_PARENT_NOTIFY },
						     { "off", MSA_PARENT_OFF },
						     { NULL, 0 } };
static const struct msp_conf_word secure_words[] = {
	{ "none", MSA_SECURE_NONE }, { "update", MSA_SECURE_UPDATE }, { "all", MSA_SECURE_ALL }, { NULL, 0 }
};
static const struct msp_conf_word level_words[] = { { "error", MSP_LOG_ERROR },   { "warning", MSP_LOG_WARNING },
						    { "notice", MSP_LOG_NOTICE }, { "info", MSP_LOG_INFO },
						    { "debug", MSP_LOG_DEBUG },   { NULL, 0 } };

#define R(f) offsetof(struct msa_conf_remote, f)
static const struct msp_conf_row remote_rows[] = {
	ROW("address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, 0, NULL, R(addr), NULL, NULL, "Address"),
	ROW("port", MSP_CONF_PORT, 0, 1, 65535, "53", R(addr), NULL, NULL, "Port"),
	ROW("tsig-key", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, R(tsig_key), NULL, NULL,
	    "TSIG key, one of tsig-keys"),
	END,
};
static const struct msp_conf_schema remote_schema = { sizeof(struct msa_conf_remote), remote_rows };

#define S(f) offsetof(struct msa_conf_signer, f)
static const struct msp_conf_row signer_rows[] = {
	ROW("address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, 0, NULL, S(addr), NULL, NULL,
	    "Address that serves the signed zone"),
	ROW("port", MSP_CONF_PORT, 0, 1, 65535, "53", S(addr), NULL, NULL, "Port"),
	ROW("tsig-key", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, S(tsig_key), NULL, NULL,
	    "TSIG key of its transfers"),
	ROW("adapter", MSP_CONF_ENUM, 0, 0, 0, "observe", S(adapter), NULL, adapter_words,
	    "How it is commanded: observe, knot, pdns"),
	ROW("keymgr", MSP_CONF_PATH, 0, 0, 0, NULL, S(tools.keymgr), NULL, NULL, "knot: the keymgr program"),
	ROW("knotc", MSP_CONF_PATH, 0, 0, 0, NULL, S(tools.knotc), NULL, NULL, "knot: the knotc program"),
	ROW("knot-conf", MSP_CONF_PATH, 0, 0, 0, NULL, S(tools.knot_conf), NULL, NULL,
	    "knot: the server's configuration file"),
	ROW("pdnsutil", MSP_CONF_PATH, 0, 0, 0, NULL, S(tools.pdnsutil), NULL, NULL, "pdns: the pdnsutil program"),
	ROW("pdns-control", MSP_CONF_PATH, 0, 0, 0, NULL, S(tools.pdns_control), NULL, NULL,
	    "pdns: the pdns_control program"),
	ROW("pdns-config-dir", MSP_CONF_PATH, 0, 0, 0, NULL, S(tools.pdns_config_dir), NULL, NULL,
	    "pdns: the server's configuration directory"),
	END,
};
static const struct msp_conf_schema signer_schema = { sizeof(struct msa_conf_signer), signer_rows };

#define Z(f) offsetof(struct msa_conf_zone, f)
static const struct msp_conf_row zone_rows[] = {
	ROW("name", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, Z(name), NULL, NULL, "The zone"),
	ROW("ns", MSP_CONF_STRS, 0, 0, MSA_NS_MAX, NULL, Z(ns), NULL, NULL, "Our name servers for it"),
	ROW("dnskey-ttl", MSP_CONF_SECONDS, 0, 1, 86400, "3600", Z(dnskey_ttl_s), NULL, NULL,
	    "TTL of injected keys: the signer's own"),
	ROW("cdnskey", MSP_CONF_BOOL, 0, 0, 0, "false", Z(cdnskey), NULL, NULL,
	    "Contribute CDNSKEY too (combiner: extra-types)"),
	ROW("parent-sync", MSP_CONF_ENUM, 0, 0, 0, "auto", Z(parent_sync), NULL, parent_words,
	    "What the parent is told, and how: auto, update, notify, off"),
	ROW("publish-parent-key", MSP_CONF_BOOL, 0, 0, 0, "true", Z(publish_parent_key), NULL, NULL,
	    "Contribute the KEY for the parent (combiner: extra-types)"),
	ROW("signer", MSP_CONF_GROUP, MSP_CONF_REQUIRED, 0, 0, NULL, Z(signer), &signer_schema, NULL,
	    "The signer behind our combiner"),
	ROW("combiner", MSP_CONF_GROUP, MSP_CONF_REQUIRED, 0, 0, NULL, Z(combiner), &remote_schema, NULL,
	    "Our combiner"),
	END,
};
static const struct msp_conf_schema zone_schema = { sizeof(struct msa_conf_zone), zone_rows };

#define I(f) offsetof(struct msa_conf_identity, f)
static const struct msp_conf_row identity_rows[] = {
	ROW("name", MSP_CONF_NAME, 0, 0, 0, NULL, I(name), NULL, NULL, "Apex; absent: no identity zone is served"),
	ROW("ns", MSP_CONF_STRS, 0, 0, MSA_NS_MAX, NULL, I(ns), NULL, NULL, "Its name servers"),
	ROW("mname", MSP_CONF_NAME, 0, 0, 0, NULL, I(mname), NULL, NULL, "SOA MNAME; default: the first ns"),
	ROW("rname", MSP_CONF_NAME, 0, 0, 0, NULL, I(rname), NULL, NULL,
	    "SOA RNAME; default: hostmaster below the apex"),
	ROW("ttl", MSP_CONF_SECONDS, 0, 1, 86400, "300", I(ttl_s), NULL, NULL, "TTL of all its records"),
	ROW("downstreams", MSP_CONF_LIST, 0, 0, 16, NULL, I(downstreams), &remote_schema, NULL,
	    "Signers: may transfer, are notified"),
	END,
};
static const struct msp_conf_schema identity_schema = { sizeof(struct msa_conf_identity), identity_rows };

#define V(f) offsetof(struct msa_conf_resolver, f)
static const struct msp_conf_row resolver_rows[] = {
	ROW("trust-anchor-file", MSP_CONF_PATH, 0, 0, 0, NULL, V(trust_anchor_file), NULL, NULL,
	    "DS or DNSKEY lines; default: the root's"),
	ROW("root-servers", MSP_CONF_STRS, 0, 0, 16, NULL, V(root_servers), NULL, NULL,
	    "Addresses; default: the built-in ones"),
	ROW("timeout", MSP_CONF_SECONDS, 0, 1, 60, "10", V(timeout_s), NULL, NULL, "For one look-up"),
	END,
};
static const struct msp_conf_schema resolver_schema = { sizeof(struct msa_conf_resolver), resolver_rows };

#define P(f) offsetof(struct msa_conf_parent, f)
static const struct msp_conf_row parent_rows[] = {
	ROW("dsync-require-secure", MSP_CONF_ENUM, 0, 0, 0, "update", P(dsync_require_secure), NULL, secure_words,
	    "Which messages need a DNSSEC-secure DSYNC record: none, update, all"),
	ROW("accept-unsigned-responses", MSP_CONF_BOOL, 0, 0, 0, "false", P(accept_unsigned), NULL, NULL,
	    "Believe answers that a receiver with a known KEY has not signed"),
	ROW("receiver-fingerprints", MSP_CONF_STRS, 0, 0, MSA_FINGERPRINTS_MAX, NULL, P(fingerprints), NULL, NULL,
	    "SHA-256 of KEY RDATA of receivers in unsigned zones, hexadecimal"),
	ROW("delay", MSP_CONF_SECONDS, 0, 0, 3600, "5", P(delay_s), NULL, NULL,
	    "Longest pause before a look at the parent: another provider may be first"),
	ROW("observe", MSP_CONF_SECONDS, 0, 1, 3600, "30", P(observe_s), NULL, NULL,
	    "Between the two looks at all servers of the zone (PROTOCOL F.1)"),
	ROW("poll", MSP_CONF_SECONDS, 0, 1, 3600, "60", P(poll_s), NULL, NULL,
	    "First pause between looks at the parent's servers (PROTOCOL F.3)"),
	ROW("poll-max", MSP_CONF_SECONDS, 0, 1, 86400, "900", P(poll_max_s), NULL, NULL, "Longest pause"),
	ROW("key-poll", MSP_CONF_SECONDS, 0, 1, 3600, "60", P(state_s), NULL, NULL,
	    "First pause between questions about our key (PROTOCOL G.5)"),
	ROW("key-poll-max", MSP_CONF_SECONDS, 0, 1, 86400, "3600", P(state_max_s), NULL, NULL, "Longest pause"),
	END,
};
static const struct msp_conf_schema parent_schema = { sizeof(struct msa_conf_parent), parent_rows };

#define C(f) offsetof(struct msa_conf, f)
static const struct msp_conf_row rows[] = {
	ROW("identity", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, C(identity), NULL, NULL,
	    "Our name in HSYNC RRsets"),
	ROW("host", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, C(host), NULL, NULL,
	    "Owner of our KEY, target of our URI"),
	ROW("sig0-key", MSP_CONF_PATH, MSP_CONF_REQUIRED, 0, 0, NULL, C(sig0_key), NULL, NULL,
	    "Our SIG(0) key, a .private file"),
	ROW("state-dir", MSP_CONF_PATH, 0, 0, 0, "/var/lib/msad", C(state_dir), NULL, NULL, "Durable state"),
	ROW("control", MSP_CONF_PATH, 0, 0, 0, "/run/msad/control.sock", C(control), NULL, NULL,
	    "Control socket for msctl"),
	ROW("log-level", MSP_CONF_ENUM, 0, 0, 0, "notice", C(log_level), NULL, level_words,
	    "error, warning, notice, info, debug"),
	ROW("listen", MSP_CONF_LIST, MSP_CONF_REQUIRED, 1, MSA_LISTEN_MAX, NULL, C(listen), &msp_conf_listen_dns_schema,
	    NULL, "The other providers' side"),
	ROW("zone-listen", MSP_CONF_LIST, MSP_CONF_REQUIRED, 1, MSA_LISTEN_MAX, NULL, C(zone_listen),
	    &msp_conf_listen_dns_schema, NULL, "Our signer's side: NOTIFY in, identity zone out"),
	ROW("publish", MSP_CONF_STRS, 0, 0, MSA_LISTEN_MAX, NULL, C(publish), NULL, NULL,
	    "Addresses in our SVCB record"),
	ROW("resolver", MSP_CONF_GROUP, 0, 0, 0, NULL, C(resolver), &resolver_schema, NULL,
	    "DNSSEC-validated look-ups"),
	ROW("parent", MSP_CONF_GROUP, 0, 0, 0, NULL, C(parent), &parent_schema, NULL,
	    "How parents are spoken to; zones.parent-sync says whether"),
	ROW("tsig-keys", MSP_CONF_LIST, 0, 0, 1000, NULL, C(tsig_keys), &msp_conf_tsig_schema, NULL, "TSIG keys"),
	ROW("identity-zone", MSP_CONF_GROUP, 0, 0, 0, NULL, C(identity_zone), &identity_schema, NULL,
	    "Zone with our URI, SVCB and KEY"),
	ROW("zones", MSP_CONF_LIST, 0, 0, MSA_ZONES_MAX, NULL, C(zones), &zone_schema, NULL, "Customers' zones"),
	ROW("heartbeat", MSP_CONF_SECONDS, 0, 1, 1800, "60", C(heartbeat_s), NULL, NULL,
	    "Between heartbeats (PROTOCOL D.6: 15..1800)"),
	ROW("hello-retry", MSP_CONF_SECONDS, 0, 1, 3600, "60", C(hello_retry_s), NULL, NULL,
	    "First pause after a refused HELLO"),
	ROW("hello-retry-max", MSP_CONF_SECONDS, 0, 1, 86400, "1800", C(hello_retry_max_s), NULL, NULL,
	    "Longest pause between HELLOs"),
	ROW("discovery-retry", MSP_CONF_SECONDS, 0, 1, 3600, "15", C(discovery_retry_s), NULL, NULL,
	    "First pause after a failed discovery"),
	ROW("discovery-retry-max", MSP_CONF_SECONDS, 0, 1, 86400, "1800", C(discovery_retry_max_s), NULL, NULL,
	    "Longest pause"),
	ROW("discovery-cache-min", MSP_CONF_SECONDS, 0, 1, 86400, "60", C(discovery_cache_min_s), NULL, NULL,
	    "Shortest life of a discovery"),
	ROW("zone-poll-max", MSP_CONF_SECONDS, 0, 1, 86400, "3600", C(zone_poll_max_s), NULL, NULL,
	    "Longest pause between looks at a zone"),
	ROW("svcb-port-override", MSP_CONF_BOOL, 0, 0, 0, "false", C(svcb_port_override), NULL, NULL,
	    "SVCB port beats URI port (PROTOCOL D.2)"),
	ROW("numbers", MSP_CONF_GROUP, 0, 0, 0, NULL, C(numbers), &msp_conf_numbers_schema, NULL,
	    "Protocol numbers without IANA assignment"),
	END,
};
const struct msp_conf_schema msa_conf_schema = { sizeof(struct msa_conf), rows };

static bool has_key(const struct msa_conf *c, const struct msp_name *name)
{
	const struct msp_conf_tsig *keys = c->tsig_keys.item;

	for (size_t i = 0; i < c->tsig_keys.count; i++)
		if (msp_name_equal(&keys[i].name, name))
			return true;
	return false;
}

static void need_key(const struct msa_conf *c, const char *path, const char *where, const struct msp_name *name,
		     struct msp_buf *errors)
{
	if (!has_key(c, name))
		msp_buf_printf(errors, "%s: %s: tsig-key %s is not in tsig-keys\n", path, where, MSP_NAME(name));
}

static void need_names(const char *path, const char *where, const struct msp_conf_strs *strs, struct msp_buf *errors)
{
	struct msp_name n;

	for (size_t i = 0; i < strs->count; i++)
		if (msp_name_from_text(strs->item[i], &n) != MSP_OK)
			msp_buf_printf(errors, "%s: %s: ns: %s is not a domain name\n", path, where, strs->item[i]);
}

static void need_addrs(const char *path, const char *key, const struct msp_conf_strs *strs, struct msp_buf *errors)
{
	struct msp_addr a;

	for (size_t i = 0; i < strs->count; i++)
		if (msp_addr_parse(strs->item[i], 53, &a) != MSP_OK)
			msp_buf_printf(errors, "%s: %s: %s is not an address\n", path, key, strs->item[i]);
}

enum msp_err msa_conf_fingerprint(const char *text, uint8_t out[32])
{
	struct msp_buf b;
	enum msp_err err;

	msp_buf_init(&b, 64);
	err = msp_hex_parse(msp_span_str(text), &b);
	if (err == MSP_OK && b.len != 32)
		err = MSP_EFORMAT;
	for (size_t i = 0; err == MSP_OK && i < 32; i++)
		out[i] = b.ptr[i];
	msp_buf_fini(&b);
	return err;
}

static void need_fingerprints(const char *path, const struct msp_conf_strs *strs, struct msp_buf *errors)
{
	uint8_t digest[32];

	for (size_t i = 0; i < strs->count; i++)
		if (msa_conf_fingerprint(strs->item[i], digest) != MSP_OK)
			msp_buf_printf(errors, "%s: parent.receiver-fingerprints: %s is not a SHA-256\n", path,
				       strs->item[i]);
}

static void check_zones(const struct msa_conf *c, const char *path, struct msp_buf *errors)
{
	const struct msa_conf_zone *zones = c->zones.item;
	struct msp_map seen;

	msp_map_init(&seen, MSA_ZONES_MAX);
	for (size_t i = 0; i < c->zones.count; i++) {
		const struct msa_conf_zone *z = &zones[i];
		struct msp_name_key key = msp_name_key(&z->name);
		struct msp_name_text where = msp_name_text(&z->name);
		struct msp_why why = { "" };
		void *old = NULL;

		if (msp_map_put(&seen, msp_name_key_span(&key), (void *)(uintptr_t)1, &old) == MSP_OK && old != NULL)
			msp_buf_printf(errors, "%s: %s: this zone is there twice\n", path, where.s);
		need_key(c, path, where.s, &z->signer.tsig_key, errors);
		need_key(c, path, where.s, &z->combiner.tsig_key, errors);
		need_names(path, where.s, &z->ns, errors);
		if (msa_signer_check((enum msa_adapter)z->signer.adapter, &z->signer.tools, &why) != MSP_OK)
			msp_buf_printf(errors, "%s: %s: signer: %s\n", path, where.s, why.text);
	}
	msp_map_fini(&seen, NULL);
}

static void check(const struct msa_conf *c, const char *path, struct msp_buf *errors)
{
	const struct msa_conf_remote *down = c->identity_zone.downstreams.item;

	for (size_t i = 0; i < c->identity_zone.downstreams.count; i++)
		need_key(c, path, "identity-zone", &down[i].tsig_key, errors);
	need_names(path, "identity-zone", &c->identity_zone.ns, errors);
	need_addrs(path, "publish", &c->publish, errors);
	need_fingerprints(path, &c->parent.fingerprints, errors);
	need_addrs(path, "resolver.root-servers", &c->resolver.root_servers, errors);
	if (msp_name_is_set(&c->identity_zone.name)) {
		if (!msp_name_is_under(&c->identity, &c->identity_zone.name) ||
		    !msp_name_is_under(&c->host, &c->identity_zone.name))
			msp_buf_printf(errors, "%s: identity-zone: identity and host must be in the zone %s\n", path,
				       MSP_NAME(&c->identity_zone.name));
		if (c->identity_zone.ns.count == 0)
			msp_buf_printf(errors, "%s: identity-zone: ns is missing\n", path);
		if (c->publish.count == 0)
			msp_buf_printf(errors, "%s: publish is missing: our SVCB record needs an address\n", path);
	}
	if (c->numbers.opt_keystate == c->numbers.opt_multisigner)
		msp_buf_printf(errors, "%s: numbers: two EDNS options share a code (PROTOCOL B.3)\n", path);
	check_zones(c, path, errors);
}

enum msp_err msa_conf_load(const char *path, struct msa_conf *out, struct msp_buf *errors)
{
	enum msp_err err = msp_conf_load(path, &msa_conf_schema, out, errors);

	if (err != MSP_OK)
		return err;
	check(out, path, errors);
	if (errors->len == 0)
		return MSP_OK;
	msp_conf_fini(&msa_conf_schema, out);
	return MSP_ECONF;
}
