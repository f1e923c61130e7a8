/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf.h"

#include "desk.h"
#include "records.h"
#include "settings.h"

#include <msproto/auth/dnssec.h>
#include <msproto/base/log.h>
#include <msproto/base/mem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHILDREN_MAX 1000000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ADDRESS_LIST 16
#define COMMAND_MAX  64

#define ROW(type, key, kind, flags, min, max, def, field, sub, words, help)                                            \
	{                                                                                                              \
		key, kind, flags, min, max, def, offsetof(struct type, field), sub, words, help                        \
	}

/* --- parents ------------------------------------------------------------------------------------------------------ */

static const struct msp_conf_word backend_words[] = { { "update", PRT_BACKEND_UPDATE },
						      { "file", PRT_BACKEND_FILE },
						      { "hook", PRT_BACKEND_HOOK },
						      { "sql", PRT_BACKEND_SQL },
						      { NULL, 0 } };
#define BACKEND(key, kind, flags, min, max, def, field, words, help)                                                   \
	ROW(prt_conf_backend, key, kind, flags, min, max, def, field, NULL, words, help)
static const struct msp_conf_row backend_rows[] = {
	BACKEND("name", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0, NULL, name, NULL,
		"Its name; its place in the journal is kept under it"),
	BACKEND("kind", MSP_CONF_ENUM, MSP_CONF_REQUIRED, 0, 0, NULL, kind, backend_words,
		"update: UPDATE and TSIG to the parent's primary; file: an include file; hook: a program that reads "
		"JSON; sql: a table in PostgreSQL"),
	BACKEND("address", MSP_CONF_ADDR, 0, 0, 0, NULL, addr, NULL, "update: the parent's primary"),
	BACKEND("port", MSP_CONF_PORT, 0, 1, 65535, "53", addr, NULL, "update: its port"),
	BACKEND("tsig-key", MSP_CONF_NAME, 0, 0, 0, NULL, tsig_key, NULL, "update: key shared with it"),
	BACKEND("path", MSP_CONF_PATH, 0, 0, 0, NULL, path, NULL,
		"file: what is written; sql: file (mode 0600) with the connection string"),
	BACKEND("command", MSP_CONF_STRS, 0, 0, COMMAND_MAX, NULL, command, NULL,
		"file: run after each writing; hook: the program. Absolute path, then arguments; no shell"),
	BACKEND("timeout", MSP_CONF_SECONDS, 0, 1, 3600, "30", timeout_s, NULL, "Longest attempt"),
	BACKEND("retry", MSP_CONF_SECONDS, 0, 1, 3600, "5", retry_s, NULL, "First pause after a failure; doubles"),
	BACKEND("retry-max", MSP_CONF_SECONDS, 0, 1, 86400, "10m", retry_max_s, NULL, "Longest pause"),
	{ .key = NULL }
};
static const struct msp_conf_schema backend_schema = { sizeof(struct prt_conf_backend), backend_rows };

static const struct msp_conf_row primary_rows[] = {
	ROW(prt_conf_primary, "address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, 0, NULL, addr, NULL, NULL,
	    "Where the parent zone is transferred from"),
	ROW(prt_conf_primary, "port", MSP_CONF_PORT, 0, 1, 65535, "53", addr, NULL, NULL, "Its port"),
	ROW(prt_conf_primary, "tsig-key", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, tsig_key, NULL, NULL,
	    "Key of the transfer"),
	ROW(prt_conf_primary, "interval", MSP_CONF_SECONDS, 0, 1, 86400 * 7, "1h", interval_s, NULL, NULL,
	    "Between looks at its SOA; a NOTIFY from it advances the next one"),
	{ .key = NULL }
};
static const struct msp_conf_schema primary_schema = { sizeof(struct prt_conf_primary), primary_rows };

static const struct msp_conf_row remote_rows[] = {
	ROW(prt_conf_remote, "address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, 0, NULL, addr, NULL, NULL, "Its address"),
	ROW(prt_conf_remote, "port", MSP_CONF_PORT, 0, 1, 65535, "53", addr, NULL, NULL, "Its port"),
	ROW(prt_conf_remote, "tsig-key", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, tsig_key, NULL, NULL,
	    "Key shared with it"),
	{ .key = NULL }
};
static const struct msp_conf_schema remote_schema = { sizeof(struct prt_conf_remote), remote_rows };

static const struct msp_conf_word publish_words[] = {
	{ "none", PRT_PUBLISH_NONE }, { "update", PRT_PUBLISH_UPDATE }, { "primary", PRT_PUBLISH_PRIMARY }, { NULL, 0 }
};
#define PUBLISH(key, kind, max, def, field, sub, words, help)                                                          \
	ROW(prt_conf_publish, key, kind, 0, 0, max, def, field, sub, words, help)
static const struct msp_conf_row publish_rows[] = {
	PUBLISH("how", MSP_CONF_ENUM, 0, "none", how, NULL, publish_words,
		"none: `msctl parent records` prints them; update: into the parent zone, by its update backend; "
		"primary: "
		"served here as the zone _dsync below the parent"),
	PUBLISH("update", MSP_CONF_BOOL, 0, "true", update, NULL, NULL, "DSYNC with the scheme UPDATE"),
	PUBLISH("cds", MSP_CONF_BOOL, 0, "true", cds, NULL, NULL, "DSYNC CDS NOTIFY"),
	PUBLISH("csync", MSP_CONF_BOOL, 0, "true", csync, NULL, NULL, "DSYNC CSYNC NOTIFY"),
	PUBLISH("wildcard", MSP_CONF_BOOL, 0, "true", wildcard, NULL, NULL, "At the wildcard below _dsync"),
	PUBLISH("plain", MSP_CONF_BOOL, 0, "true", plain, NULL, NULL, "At _dsync itself"),
	PUBLISH("bootstrap", MSP_CONF_STRS, 8, NULL, bootstrap, NULL, NULL,
		"Methods named in the target's SVCB record; absent: those that the policy has open"),
	PUBLISH("addresses", MSP_CONF_STRS, ADDRESS_LIST, NULL, address, NULL, NULL,
		"Addresses of the target; absent: they are published by somebody else"),
	ROW(prt_conf_publish, "ttl", MSP_CONF_SECONDS, 0, 1, 86400 * 7, "1h", ttl_s, NULL, NULL, "TTL of all of them"),
	PUBLISH("downstreams", MSP_CONF_LIST, 16, NULL, downstreams, &remote_schema, NULL,
		"primary: who may transfer the zone, and is notified"),
	PUBLISH("ns", MSP_CONF_STRS, 13, NULL, ns, NULL, NULL, "primary: name servers of the zone"),
	{ .key = NULL }
};
static const struct msp_conf_schema publish_schema = { sizeof(struct prt_conf_publish), publish_rows };

static const struct msp_conf_row parent_rows[] = {
	ROW(prt_conf_parent, "zone", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, zone, NULL, NULL, "The parent zone"),
	ROW(prt_conf_parent, "policy", MSP_CONF_STR, 0, 0, 0, NULL, policy, NULL, NULL,
	    "Entry of `policies`; absent: nothing is allowed"),
	ROW(prt_conf_parent, "primary", MSP_CONF_GROUP, 0, 0, 0, NULL, primary, &primary_schema, NULL,
	    "Where its delegations are read; absent: children come by `msctl parent add`"),
	ROW(prt_conf_parent, "backends", MSP_CONF_LIST, 0, 0, PRT_BACKENDS_MAX, NULL, backends, &backend_schema, NULL,
	    "What makes changes true"),
	ROW(prt_conf_parent, "publish", MSP_CONF_GROUP, 0, 0, 0, NULL, publish, &publish_schema, NULL,
	    "What children have to find (RFC 9859)"),
	{ .key = NULL }
};
static const struct msp_conf_schema parent_schema = { sizeof(struct prt_conf_parent), parent_rows };

/* --- policies ----------------------------------------------------------------------------------------------------- */

static const struct msp_conf_word mode_words[] = { { "apply", 0 }, { "propose", 1 }, { NULL, 0 } };
static const struct msp_conf_word dsboot_words[] = {
	{ "none", PRT_DSBOOT_NONE }, { "rfc9615", PRT_DSBOOT_RFC9615 }, { "delay", PRT_DSBOOT_DELAY }, { NULL, 0 }
};
#define POLICY(key, kind, flags, min, max, def, field, words, help)                                                    \
	ROW(prt_conf_policy, key, kind, flags, min, max, def, field, NULL, words, help)
#define POLICY_LIST(key, max, field, help) POLICY(key, MSP_CONF_STRS, 0, 0, max, NULL, field, NULL, help)
#define POLICY_BOOL(key, def, field, help) POLICY(key, MSP_CONF_BOOL, 0, 0, 0, def, field, NULL, help)
#define POLICY_TIME(key, min, def, field, help)                                                                        \
	POLICY(key, MSP_CONF_SECONDS, 0, min, 366 * 86400, def, field, NULL, help)
#define POLICY_INT(key, min, max, def, field, help) POLICY(key, MSP_CONF_INT, 0, min, max, def, field, NULL, help)
static const struct msp_conf_row policy_rows[] = {
	POLICY("name", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0, NULL, name, NULL, "What parents and children call it"),
	POLICY_LIST("sources", 8, sources,
		    "On whose word: update, tsig, cds, dsboot, csync, operator. Absent: nobody's but an operator's"),
	POLICY_LIST("touch", 4, touch, "What may change: ns, glue, ds, key. Absent: all four"),
	POLICY_LIST("bootstrap", 4, bootstrap,
		    "How an uploaded key may become trusted: at-apex, at-ns, unsigned, manual"),
	POLICY("mode", MSP_CONF_ENUM, 0, 0, 0, "apply", mode, mode_words,
	       "apply: changes are made; propose: an operator approves each"),
	POLICY_BOOL("allow-delete", "true", allow_delete, "A child may remove all its DS, after two looks that agree"),
	POLICY_BOOL("keys-need-human", "false", keys_need_human, "Validated keys wait for an operator all the same"),
	POLICY_BOOL("key-rollover", "true", key_rollover, "A trusted key may add and delete keys"),
	POLICY_BOOL("checks", "true", checks, "Servers are looked at before a change is made"),
	POLICY_BOOL("strict-ns", "false", strict_ns, "A server with another NS RRset than the proposed one is refused"),
	POLICY_BOOL("private-addresses", "false", private_addresses,
		    "Addresses of name servers may be private or loopback; else such glue is refused, and none of them "
		    "is asked: labs"),
	POLICY_TIME("cooldown", 0, "5m", cooldown_s, "Between two accepted changes of a child"),
	POLICY_TIME("confirm", 0, "10m", confirm_s, "Between the two looks at a removal of all DS"),
	POLICY_INT("changes-per-day", 0, PRT_CHANGES_MAX, "10", changes_per_day,
		   "Accepted changes of a child; 0 = any"),
	POLICY_INT("ns-min", 1, PRT_NS_MAX, "2", ns_min, "Fewest name servers"),
	POLICY_INT("ns-max", 1, PRT_NS_MAX, "13", ns_max, "Most name servers"),
	POLICY_INT("ds-max", 1, PRT_DS_MAX, "8", ds_max, "Most DS"),
	POLICY_INT("min-servers", 0, PRT_SERVERS_MAX, "0", min_servers,
		   "Addresses that must answer, others may be out of reach; 0 = all"),
	POLICY_INT("check-tries", 1, 100, "4", check_tries,
		   "Checks that cannot be finished before they count as failed"),
	POLICY_LIST("ds-digests", 8, ds_digests, "Digest types taken; absent: 2, 4"),
	POLICY_LIST("ds-algorithms", 16, ds_algorithms, "Algorithms of DS taken; absent: 8, 10, 13, 14, 15, 16"),
	POLICY_LIST("key-algorithms", 16, key_algorithms, "Algorithms of SIG(0) keys taken; absent: 8, 13, 14, 15, 16"),
	POLICY_INT("unsigned-vantages", 1, 16, "3", boot_vantages,
		   "Points of view at which an unsigned child must look the same"),
	POLICY_INT("unsigned-rounds", 1, 1000, "5", boot_rounds, "Looks that agree, one after the other"),
	POLICY_TIME("unsigned-span", 0, "24h", boot_span_s, "From the first to the last of them, at least"),
	POLICY_TIME("bootstrap-retry", 1, "10m", boot_retry_s, "After a look that failed"),
	POLICY("bootstrap-ds", MSP_CONF_ENUM, 0, 0, 0, "rfc9615", dsboot, dsboot_words,
	       "The first DS: none, rfc9615, or delay (RFC 8078 3.3)"),
	POLICY_TIME("bootstrap-ds-delay", 1, "3d", dsboot_delay_s, "With delay: for how long all looks must agree"),
	POLICY_TIME("ds-ttl", 0, "1d", ds_ttl_s, "TTL of DS"),
	POLICY_TIME("ds-ttl-changed", 0, "15m", ds_ttl_changed_s, "Their TTL after a change; 0 = the same"),
	POLICY_TIME("ds-ttl-hold", 0, "3d", ds_ttl_hold_s, "For how long"),
	POLICY_LIST("scan-retry", 4, scan_retry, "Seconds between scans that failed; absent: 300, 600, 1200, 2400"),
	POLICY_BOOL("keystate-compat-02", "false", keystate_compat_02,
		    "As the setting of that name below, where this policy holds"),
	{ .key = NULL }
};
static const struct msp_conf_schema policy_schema = { sizeof(struct prt_conf_policy), policy_rows };

#define CHILD(key, kind, flags, max, def, field, help)                                                                 \
	ROW(prt_conf_child, key, kind, flags, 0, max, def, field, NULL, NULL, help)
static const struct msp_conf_row child_rows[] = {
	CHILD("zone", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, NULL, zone, "The child"),
	CHILD("policy", MSP_CONF_STR, 0, 0, NULL, policy, "Entry of `policies`; absent: its parent's"),
	CHILD("dsync", MSP_CONF_STRS, 0, 3, NULL, dsync,
	      "What is announced to it at a DSYNC name of its own: update, cds, csync; or none, which is said by a "
	      "record "
	      "of the null scheme. Absent: what is announced to all; with a target or port here at its own name"),
	CHILD("dsync-target", MSP_CONF_STR, 0, 0, NULL, dsync_target,
	      "Target of these records, a registrar's for example; absent: target. KEY, SVCB and addresses of another "
	      "target are its owner's to publish"),
	CHILD("dsync-port", MSP_CONF_U16, 0, 0, "0", dsync_port, "Port in these records; 0: the common one"),
	CHILD("keystate-compat-02", MSP_CONF_BOOL, 0, 0, "false", keystate_compat_02,
	      "As the setting of that name below, for this child"),
	{ .key = NULL }
};
static const struct msp_conf_schema child_schema = { sizeof(struct prt_conf_child), child_rows };

static const struct msp_conf_row registrar_rows[] = {
	ROW(prt_conf_registrar, "tsig-key", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, tsig_key, NULL, NULL,
	    "Its key, one of tsig-keys"),
	ROW(prt_conf_registrar, "children", MSP_CONF_STRS, 0, 0, CHILDREN_MAX, NULL, children, NULL, NULL,
	    "Children that it speaks for"),
	ROW(prt_conf_registrar, "all", MSP_CONF_BOOL, 0, 0, 0, "false", all, NULL, NULL, "It speaks for every child"),
	{ .key = NULL }
};
static const struct msp_conf_schema registrar_schema = { sizeof(struct prt_conf_registrar), registrar_rows };

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static const struct msp_conf_row resolver_rows[] = {
	ROW(prt_conf_resolver, "trust-anchor-file", MSP_CONF_PATH, 0, 0, 0, NULL, trust_anchor_file, NULL, NULL,
	    "DS or DNSKEY lines; absent: the root's"),
	ROW(prt_conf_resolver, "root-servers", MSP_CONF_STRS, 0, 0, 16, NULL, root_servers, NULL, NULL,
	    "Addresses; absent: the built-in ones"),
	ROW(prt_conf_resolver, "timeout", MSP_CONF_SECONDS, 0, 1, 60, "10", timeout_s, NULL, NULL, "For one look-up"),
	{ .key = NULL }
};
static const struct msp_conf_schema resolver_schema = { sizeof(struct prt_conf_resolver), resolver_rows };

static const struct msp_conf_row vantage_rows[] = { ROW(prt_conf_vantage, "address", MSP_CONF_ADDR, MSP_CONF_REQUIRED,
							0, 0, NULL, addr, NULL, NULL, "A resolver elsewhere"),
						    ROW(prt_conf_vantage, "port", MSP_CONF_PORT, 0, 1, 65535, "53",
							addr, NULL, NULL, "Its port"),
						    { .key = NULL } };
static const struct msp_conf_schema vantage_schema = { sizeof(struct prt_conf_vantage), vantage_rows };

static const struct msp_conf_row address_rows[] = {
	{ "address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, 0, NULL, 0, NULL, NULL, "Local address, HTTP" },
	{ "port", MSP_CONF_PORT, MSP_CONF_REQUIRED, 1, 65535, NULL, 0, NULL, NULL, "Local port" },
	{ .key = NULL }
};
static const struct msp_conf_schema metrics_schema = { sizeof(struct msp_addr), address_rows };

static const struct msp_conf_word level_words[] = { { "error", MSP_LOG_ERROR },   { "warning", MSP_LOG_WARNING },
						    { "notice", MSP_LOG_NOTICE }, { "info", MSP_LOG_INFO },
						    { "debug", MSP_LOG_DEBUG },   { NULL, 0 } };
static const struct msp_conf_word store_words[] = { { "sqlite", PRT_STORE_SQLITE },
						    { "postgresql", PRT_STORE_POSTGRESQL },
						    { NULL, 0 } };

#define LIMIT(key, kind, min, max, def, field, help)                                                                   \
	ROW(prt_conf_limits, key, kind, 0, min, max, def, field, NULL, NULL, help)
static const struct msp_conf_row limit_rows[] = {
	LIMIT("requests-per-s", MSP_CONF_INT, 1, 10000000, "100", requests_per_s,
	      "Unauthenticated requests of one source prefix a second"),
	LIMIT("failures-per-s", MSP_CONF_INT, 1, 10000000, "20", failures_per_s,
	      "Failed verifications of one source prefix a second"),
	LIMIT("verify-per-name-per-s", MSP_CONF_INT, 1, 10000000, "50", verify_per_name_per_s,
	      "Verifications begun for one child, whoever asks, a second"),
	LIMIT("verify-in-flight", MSP_CONF_INT, 1, 1024, "512", verify_in_flight, "Verifications at one time"),
	LIMIT("signed-refusals-per-s", MSP_CONF_INT, 0, 10000000, "10", signed_refusals_per_s,
	      "Signed answers to what could not be verified, to one source prefix a second"),
	LIMIT("tcp-connections", MSP_CONF_INT, 1, 100000, "512", tcp_connections, "TCP connections at one time"),
	LIMIT("tcp-per-client", MSP_CONF_INT, 1, 100000, "10", tcp_per_client, "TCP connections of one address"),
	LIMIT("tcp-outstanding", MSP_CONF_INT, 1, 10000, "100", tcp_outstanding,
	      "Requests of one connection that are not answered yet"),
	ROW(prt_conf_limits, "sync-limit-ms", MSP_CONF_INT, 0, 0, 60000, "5000", sync_limit_ms, NULL, NULL,
	    "An answer waits for the checks of the servers for this long; 0: never"),
	LIMIT("defer", MSP_CONF_BOOL, 0, 0, "true", defer,
	      "After that NOERROR is answered and the checks go on; false: SERVFAIL, and nothing is changed"),
	LIMIT("scans-in-flight", MSP_CONF_INT, 1, 4096, "500", scans_in_flight, "Children looked at at one time"),
	LIMIT("scan-rate", MSP_CONF_INT, 1, 1000000, "100", scan_rate, "Children a second of the sweep"),
	LIMIT("sweep", MSP_CONF_SECONDS, 0, 366 * 86400, "1d", sweep_s,
	      "Every child is looked at once in this time, at most at scan-rate; 0 = no sweep"),
	{ .key = NULL }
};
static const struct msp_conf_schema limits_schema = { sizeof(struct prt_conf_limits), limit_rows };

#define TOP(key, kind, flags, min, max, def, field, sub, words, help)                                                  \
	ROW(prt_conf, key, kind, flags, min, max, def, field, sub, words, help)
static const struct msp_conf_row top_rows[] = {
	TOP("target", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, target, NULL, NULL,
	    "Target of the DSYNC records: owner of our KEY, signer name of our answers"),
	TOP("sig0-keys", MSP_CONF_STRS, MSP_CONF_REQUIRED, 1, PRT_KEYS_OWN_MAX, NULL, sig0_keys, NULL, NULL,
	    "Our SIG(0) keys, .private files; the first one signs, all are published"),
	TOP("state-dir", MSP_CONF_PATH, 0, 0, 0, "/var/lib/parentd", state_dir, NULL, NULL, "Durable state"),
	TOP("control", MSP_CONF_PATH, 0, 0, 0, "/run/parentd/control.sock", control, NULL, NULL,
	    "Control socket for msctl"),
	TOP("store", MSP_CONF_ENUM, 0, 0, 0, "sqlite", store_kind, NULL, store_words,
	    "sqlite: one process; postgresql: several on one parent"),
	TOP("store-path", MSP_CONF_PATH, 0, 0, 0, NULL, store_path, NULL, NULL,
	    "sqlite: the file, absent: parentd.db in state-dir; postgresql: file (mode 0600) with the connection "
	    "string"),
	TOP("log-level", MSP_CONF_ENUM, 0, 0, 0, "notice", log_level, NULL, level_words,
	    "error, warning, notice, info or debug"),
	TOP("metrics", MSP_CONF_GROUP, 0, 0, 0, NULL, metrics, &metrics_schema, NULL,
	    "Where /metrics and /healthz are"),
	TOP("listen", MSP_CONF_LIST, MSP_CONF_REQUIRED, 1, PRT_LISTEN_MAX, NULL, listen, &msp_conf_listen_dns_schema,
	    NULL, "Addresses to answer on"),
	TOP("resolver", MSP_CONF_GROUP, 0, 0, 0, NULL, resolver, &resolver_schema, NULL, "DNSSEC-validated look-ups"),
	TOP("vantages", MSP_CONF_LIST, 0, 0, 15, NULL, vantages, &vantage_schema, NULL,
	    "Resolvers elsewhere, asked for the KEY of unsigned children beside our own look"),
	TOP("tsig-keys", MSP_CONF_LIST, 0, 0, 100000, NULL, tsig_keys, &msp_conf_tsig_schema, NULL, "TSIG keys"),
	TOP("policies", MSP_CONF_LIST, 0, 0, 1000, NULL, policies, &policy_schema, NULL, "What is allowed"),
	TOP("parents", MSP_CONF_LIST, MSP_CONF_REQUIRED, 1, PRT_PARENTS_MAX, NULL, parents, &parent_schema, NULL,
	    "Parent zones"),
	TOP("children", MSP_CONF_LIST, 0, 0, CHILDREN_MAX, NULL, children, &child_schema, NULL,
	    "Children with a policy, or DSYNC records, of their own"),
	TOP("registrars", MSP_CONF_LIST, 0, 0, 100000, NULL, registrars, &registrar_schema, NULL,
	    "TSIG keys that speak for children"),
	TOP("limits", MSP_CONF_GROUP, 0, 0, 0, NULL, limits, &limits_schema, NULL, "Budgets"),
	TOP("probe-source4", MSP_CONF_ADDR, 0, 0, 0, NULL, probe_source4, NULL, NULL,
	    "Local IPv4 address to look at children's servers from"),
	TOP("probe-source6", MSP_CONF_ADDR, 0, 0, 0, NULL, probe_source6, NULL, NULL, "Local IPv6 address for that"),
	TOP("probe-ipv4", MSP_CONF_BOOL, 0, 0, 0, "true", probe_ipv4, NULL, NULL, "Look at IPv4 addresses"),
	TOP("probe-ipv6", MSP_CONF_BOOL, 0, 0, 0, "true", probe_ipv6, NULL, NULL, "Look at IPv6 addresses"),
	TOP("probe-port", MSP_CONF_INT, 0, 1, 65535, "53", probe_port, NULL, NULL, "Port of children's servers: labs"),
	TOP("probe-timeout", MSP_CONF_SECONDS, 0, 1, 60, "5", probe_timeout_s, NULL, NULL, "For one address"),
	TOP("sig0-skew", MSP_CONF_SECONDS, 0, 0, 300, "10", sig0_skew_s, NULL, NULL,
	    "Tolerance for clocks beside the signature's own times"),
	TOP("sig0-window", MSP_CONF_SECONDS, 0, 300, 3600, "900", sig0_window_s, NULL, NULL,
	    "Longest life of a signature that is taken"),
	TOP("keystate-compat-02", MSP_CONF_BOOL, 0, 0, 0, "false", keystate_compat_02, NULL, NULL,
	    "KeyState codes 0 and 1 of draft 02 (\"request bootstrap\") are taken as inquiries of every child. Without "
	    "it they are from who asks with QTYPE ANY, as draft 02 did; with QTYPE KEY or in an UPDATE they are no "
	    "code "
	    "that a child may send (draft 03), and are answered as malformed"),
	TOP("numbers", MSP_CONF_GROUP, 0, 0, 0, NULL, numbers, &msp_conf_numbers_schema, NULL,
	    "Protocol numbers without IANA assignment"),
	{ .key = NULL }
};
const struct msp_conf_schema prt_conf_schema = { sizeof(struct prt_conf), top_rows };

/* --- what the schema cannot say ----------------------------------------------------------------------------------- */

struct checker {
	const struct prt_conf *conf;
	const char *path;
	struct msp_buf *errors;
};

MSP_PRINTF(3, 4)
static void complain(const struct checker *ch, const char *where, const char *text, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, text);
	(void)vsnprintf(line, sizeof(line), text, ap);
	va_end(ap);
	msp_buf_printf(ch->errors, "%s: %s: %s\n", ch->path, where, line);
}

static void need_key(const struct checker *ch, const char *where, const struct msp_name *name)
{
	const struct msp_conf_tsig *keys = ch->conf->tsig_keys.item;

	if (!msp_name_is_set(name)) {
		complain(ch, where, "tsig-key is missing");
		return;
	}
	for (size_t i = 0; i < ch->conf->tsig_keys.count; i++)
		if (msp_name_equal(&keys[i].name, name))
			return;
	complain(ch, where, "tsig-key %s is not in tsig-keys", MSP_NAME(name));
}

static void need_addrs(const struct checker *ch, const char *where, const struct msp_conf_strs *strs)
{
	struct msp_addr a;

	for (size_t i = 0; i < strs->count; i++)
		if (msp_addr_parse(strs->item[i], 53, &a) != MSP_OK)
			complain(ch, where, "%s is not an address", strs->item[i]);
}

static void need_names(const struct checker *ch, const char *where, const struct msp_conf_strs *strs)
{
	struct msp_name n;

	for (size_t i = 0; i < strs->count; i++)
		if (msp_name_from_text(strs->item[i], &n) != MSP_OK)
			complain(ch, where, "%s is not a domain name", strs->item[i]);
}

static void need_policy(const struct checker *ch, const char *where, const char *name)
{
	const struct prt_conf_policy *p = ch->conf->policies.item;

	for (size_t i = 0; name != NULL && i < ch->conf->policies.count; i++)
		if (strcmp(p[i].name, name) == 0)
			return;
	if (name != NULL)
		complain(ch, where, "no such policy: %s", name);
}

static void need_command(const struct checker *ch, const char *where, const struct msp_conf_strs *command)
{
	if (command->count > 0 && command->item[0][0] != '/')
		complain(ch, where, "command must begin with an absolute path: %s", command->item[0]);
}

static void check_backend(const struct checker *ch, const char *where, const struct prt_conf_backend *b)
{
	switch ((enum prt_backend_kind)b->kind) {
	case PRT_BACKEND_UPDATE:
		if (b->addr.family == MSP_FAMILY_NONE)
			complain(ch, where, "backend %s: address is missing", b->name);
		need_key(ch, where, &b->tsig_key);
		break;
	case PRT_BACKEND_HOOK:
		if (b->command.count == 0)
			complain(ch, where, "backend %s: command is missing", b->name);
		break;
	case PRT_BACKEND_FILE:
	case PRT_BACKEND_SQL:
		if (b->path == NULL)
			complain(ch, where, "backend %s: path is missing", b->name);
		break;
	case PRT_BACKEND_NONE:
		break;
	}
	need_command(ch, where, &b->command);
}

static bool has_update(const struct prt_conf_parent *p)
{
	const struct prt_conf_backend *b = p->backends.item;

	for (size_t i = 0; i < p->backends.count; i++)
		if (b[i].kind == PRT_BACKEND_UPDATE)
			return true;
	return false;
}

static void check_publish(const struct checker *ch, const char *where, const struct prt_conf_parent *p)
{
	const struct prt_conf_remote *down = p->publish.downstreams.item;

	need_addrs(ch, where, &p->publish.address);
	need_names(ch, where, &p->publish.ns);
	for (size_t i = 0; i < p->publish.downstreams.count; i++)
		need_key(ch, where, &down[i].tsig_key);
	if (p->publish.how == PRT_PUBLISH_UPDATE && !has_update(p))
		complain(ch, where, "publish: how = \"update\" needs a backend of that kind");
	if (p->publish.how == PRT_PUBLISH_PRIMARY && p->publish.ns.count == 0)
		complain(ch, where, "publish: how = \"primary\" needs ns");
}

static void check_parents(const struct checker *ch)
{
	for (size_t i = 0; i < ch->conf->parents.count; i++) {
		const struct prt_conf_parent *p = prt_conf_parent_at(ch->conf, i);
		const struct prt_conf_backend *b = p->backends.item;
		struct msp_name_text where = msp_name_text(&p->zone);

		for (size_t j = 0; j < i; j++)
			if (msp_name_equal(&p->zone, &prt_conf_parent_at(ch->conf, j)->zone))
				complain(ch, where.s, "this zone is there twice");
		need_policy(ch, where.s, p->policy);
		if (p->primary.addr.family != MSP_FAMILY_NONE)
			need_key(ch, where.s, &p->primary.tsig_key);
		for (size_t j = 0; j < p->backends.count; j++) {
			check_backend(ch, where.s, &b[j]);
			for (size_t k = 0; k < j; k++)
				if (strcmp(b[j].name, b[k].name) == 0)
					complain(ch, where.s, "backend %s is there twice", b[j].name);
		}
		check_publish(ch, where.s, p);
	}
}

/* --- children */

static int by_zone(const void *a, const void *b)
{
	const struct prt_conf_child *const *x = a, *const *y = b;

	return msp_name_cmp(&(*x)->zone, &(*y)->zone);
}

static void check_once(const struct checker *ch)
{
	const struct prt_conf_child *child = ch->conf->children.item;
	size_t count = ch->conf->children.count;
	const struct prt_conf_child **sorted = count > 1 ? msp_alloc(count, sizeof(struct prt_conf_child *)) : NULL;

	if (count > 1 && sorted == NULL)
		complain(ch, "children", "%s", msp_err_text(MSP_ENOMEM));
	for (size_t i = 0; sorted != NULL && i < count; i++)
		sorted[i] = &child[i];
	if (sorted != NULL)
		qsort(sorted, count, sizeof(struct prt_conf_child *), by_zone);
	for (size_t i = 1; sorted != NULL && i < count; i++)
		if (msp_name_equal(&sorted[i - 1]->zone, &sorted[i]->zone))
			complain(ch, "children", "%s is there twice", MSP_NAME(&sorted[i]->zone));
	msp_free(sorted);
}

/* Place of the parent that is closest above a name; PRT_PARENTS_MAX: there is none. */
static size_t closest_parent(const struct prt_conf *c, const struct msp_name *name)
{
	size_t best = PRT_PARENTS_MAX;
	unsigned most = 0;

	for (size_t i = 0; i < c->parents.count; i++) {
		const struct msp_name *zone = &prt_conf_parent_at(c, i)->zone;
		unsigned labels = msp_name_labels(zone);

		if (msp_name_is_under(name, zone) && !msp_name_equal(name, zone) &&
		    (best == PRT_PARENTS_MAX || labels > most)) {
			best = i;
			most = labels;
		}
	}
	return best;
}

static void check_dsync(const struct checker *ch, const struct prt_conf_child *c, size_t of_parent[PRT_PARENTS_MAX])
{
	struct msp_name_text zone = msp_name_text(&c->zone);
	size_t p = closest_parent(ch->conf, &c->zone);
	struct msp_name name;
	struct msp_why why = { "" };
	unsigned kinds;

	if (prt_conf_dsync_kinds(&c->dsync, 0, &kinds, &why) != MSP_OK)
		complain(ch, zone.s, "dsync: %s", why.text);
	if (c->dsync_target != NULL && msp_name_from_text(c->dsync_target, &name) != MSP_OK)
		complain(ch, zone.s, "dsync-target: %s is not a domain name", c->dsync_target);
	if (p == PRT_PARENTS_MAX)
		complain(ch, zone.s, "dsync: it is below no parent here");
	else if (++of_parent[p] == PRT_RECORD_CHILDREN + 1)
		complain(ch, "children", "more than %d with dsync of their own below %s", PRT_RECORD_CHILDREN,
			 MSP_NAME(&prt_conf_parent_at(ch->conf, p)->zone));
	else if (c->zone.len + sizeof("_dsync") > MSP_NAME_MAX)
		complain(ch, zone.s, "dsync: its name is too long for one below _dsync");
}

static void check_children(const struct checker *ch)
{
	const struct prt_conf_child *child = ch->conf->children.item;
	size_t of_parent[PRT_PARENTS_MAX] = { 0 };

	for (size_t i = 0; i < ch->conf->children.count; i++) {
		need_policy(ch, "children", child[i].policy);
		if (prt_conf_child_has_dsync(&child[i]))
			check_dsync(ch, &child[i], of_parent);
	}
	check_once(ch);
}

static void check_policies(const struct checker *ch)
{
	const struct prt_conf_policy *p = ch->conf->policies.item;
	struct prt_rules rules;
	struct msp_why why = { "" };

	for (size_t i = 0; i < ch->conf->policies.count; i++) {
		for (size_t j = 0; j < i; j++)
			if (strcmp(p[i].name, p[j].name) == 0)
				complain(ch, "policies", "%s is there twice", p[i].name);
		if (prt_rules_from_conf(&p[i], ch->conf, &rules, &why) != MSP_OK)
			complain(ch, "policies", "%s: %s", p[i].name, why.text);
		if (p[i].ns_min > p[i].ns_max)
			complain(ch, "policies", "%s: ns-min is above ns-max", p[i].name);
	}
}

static void check(const struct checker *ch)
{
	const struct prt_conf *c = ch->conf;
	const struct prt_conf_registrar *r = c->registrars.item;

	check_policies(ch);
	check_parents(ch);
	check_children(ch);
	for (size_t i = 0; i < c->registrars.count; i++) {
		need_key(ch, "registrars", &r[i].tsig_key);
		need_names(ch, "registrars", &r[i].children);
	}
	need_addrs(ch, "resolver.root-servers", &c->resolver.root_servers);
	if (c->store_kind == PRT_STORE_POSTGRESQL && c->store_path == NULL)
		complain(ch, "store", "postgresql needs store-path");
	if (c->numbers.opt_keystate == c->numbers.opt_multisigner)
		complain(ch, "numbers", "two EDNS options share a code (PROTOCOL B.3)");
}

bool prt_conf_publishes(const struct prt_conf_parent *p, const struct msp_name *owner)
{
	struct msp_name apex;

	switch ((enum prt_publish_kind)p->publish.how) {
	case PRT_PUBLISH_NONE: /* by hand: all of it is printed */
		return true;
	case PRT_PUBLISH_UPDATE:
		return msp_name_is_under(owner, &p->zone);
	case PRT_PUBLISH_PRIMARY:
		return msp_name_prepend("_dsync", &p->zone, &apex) == MSP_OK && msp_name_is_under(owner, &apex);
	}
	return false;
}

void prt_conf_advise(const struct prt_conf *c, struct msp_buf *out)
{
	for (size_t i = 0; i < c->parents.count; i++)
		if (prt_conf_publishes(prt_conf_parent_at(c, i), &c->target))
			return;
	msp_buf_printf(
		out,
		"warning: target %s: its KEY, SVCB and addresses are in none of the zones that publish is about; "
		"they have to be put into theirs by hand, see `msctl parent records`, or children do not find "
		"them\n",
		MSP_NAME(&c->target));
}

enum msp_err prt_conf_load(const char *path, struct prt_conf *out, struct msp_buf *errors)
{
	enum msp_err err = msp_conf_load(path, &prt_conf_schema, out, errors);

	if (err != MSP_OK)
		return err;
	check(&(struct checker){ .conf = out, .path = path, .errors = errors });
	if (errors->len == 0)
		return MSP_OK;
	msp_conf_fini(&prt_conf_schema, out);
	return MSP_ECONF;
}

/* --- rules from words --------------------------------------------------------------------------------------------- */

struct word {
	const char *word;
	unsigned bits;
};
static const struct word source_bits[] = {
	{ "update", 1u << PRT_SRC_UPDATE }, { "tsig", 1u << PRT_SRC_TSIG },   { "cds", 1u << PRT_SRC_CDS },
	{ "dsboot", 1u << PRT_SRC_DSBOOT }, { "csync", 1u << PRT_SRC_CSYNC }, { "operator", 1u << PRT_SRC_OPERATOR },
};
static const struct word touch_bits[] = {
	{ "ns", PRT_TOUCH_NS }, { "glue", PRT_TOUCH_GLUE }, { "ds", PRT_TOUCH_DS }, { "key", PRT_TOUCH_KEY }
};
static const struct word method_bits[] = { { "at-apex", 1u << PRT_METHOD_APEX },
					   { "at-ns", 1u << PRT_METHOD_NS },
					   { "unsigned", 1u << PRT_METHOD_UNSIGNED },
					   { "manual", 1u << PRT_METHOD_MANUAL } };

static const struct word dsync_bits[] = { { "update", PRT_DSYNC_UPDATE },
					  { "cds", PRT_DSYNC_CDS },
					  { "csync", PRT_DSYNC_CSYNC },
					  { "none", PRT_DSYNC_NONE } };

static enum msp_err bits_of(const struct msp_conf_strs *strs, const struct word *words, size_t count, unsigned *bits,
			    struct msp_why *why)
{
	for (size_t i = 0; i < strs->count; i++) {
		size_t w = 0;

		while (w < count && strcasecmp(words[w].word, strs->item[i]) != 0)
			w++;
		if (w == count)
			return msp_fail(why, MSP_ECONF, "not known: %.60s", strs->item[i]);
		*bits |= words[w].bits;
	}
	return MSP_OK;
}

enum msp_err prt_conf_dsync_kinds(const struct msp_conf_strs *strs, unsigned keep, unsigned *kinds, struct msp_why *why)
{
	enum msp_err err;

	*kinds = strs->count > 0 ? 0 : keep;
	err = bits_of(strs, dsync_bits, COUNT(dsync_bits), kinds, why);
	if (err == MSP_OK && (*kinds & PRT_DSYNC_NONE) != 0 && *kinds != PRT_DSYNC_NONE)
		err = msp_fail(why, MSP_ECONF, "none, and others beside it");
	*kinds &= ~PRT_DSYNC_NONE;
	return err;
}

/* Numbers as bits of a word; `keep` when the list is empty. */
static enum msp_err numbers_of(const struct msp_conf_strs *strs, uint32_t keep, uint32_t *bits, struct msp_why *why)
{
	*bits = strs->count > 0 ? 0 : keep;
	for (size_t i = 0; i < strs->count; i++) {
		uint8_t n = 0;

		if (msp_alg_from_text(strs->item[i], &n) != MSP_OK || n > 31)
			return msp_fail(why, MSP_ECONF, "not a number that can be used here: %.60s", strs->item[i]);
		*bits |= UINT32_C(1) << n;
	}
	return MSP_OK;
}

static enum msp_err retries_of(const struct msp_conf_strs *strs, uint32_t out[4], struct msp_why *why)
{
	static const uint32_t usual[4] = { 300, 600, 1200, 2400 }; /* G.4 check 3 */

	memcpy(out, usual, sizeof(usual));
	for (size_t i = 0; i < strs->count && i < 4; i++) {
		char *end = NULL;
		unsigned long v = strtoul(strs->item[i], &end, 10);

		if (end == strs->item[i] || *end != '\0' || v == 0 || v > 86400)
			return msp_fail(why, MSP_ECONF, "scan-retry: not a number of seconds: %.60s", strs->item[i]);
		for (size_t j = i; j < 4; j++)
			out[j] = (uint32_t)v;
	}
	return MSP_OK;
}

enum msp_err prt_rules_from_conf(const struct prt_conf_policy *p, const struct prt_conf *c, struct prt_rules *out,
				 struct msp_why *why)
{
	enum msp_err err;

	*out = (struct prt_rules){
		.policy = { .sources = 1u << PRT_SRC_OPERATOR,
			    .touch = p->touch.count > 0 ? 0 : PRT_TOUCH_ALL,
			    .allow_delete = p->allow_delete,
			    .propose = p->mode == 1,
			    .cooldown_s = p->cooldown_s,
			    .changes_per_day = (unsigned)p->changes_per_day,
			    .methods = 1u << PRT_METHOD_ROLLOVER,
			    .keys_need_human = p->keys_need_human },
		.keys = { .rollover_by_update = p->key_rollover },
		.boot = { .vantages = (unsigned)p->boot_vantages,
			  .rounds = (unsigned)p->boot_rounds,
			  .span_s = p->boot_span_s,
			  .retry_s = p->boot_retry_s },
		.check = { .shape = { .ns_min = (unsigned)p->ns_min,
				      .ns_max = (unsigned)p->ns_max,
				      .ds_max = (unsigned)p->ds_max,
				      .private_addresses = p->private_addresses },
			   .strict_ns = p->strict_ns,
			   .min_servers = (unsigned)p->min_servers,
			   .ds_ttl = p->ds_ttl_s },
		.no_checks = !p->checks,
		.confirm_s = p->confirm_s,
		.check_tries = (uint32_t)p->check_tries,
		.ds_ttl = p->ds_ttl_s,
		.ds_ttl_changed = p->ds_ttl_changed_s,
		.ds_ttl_hold_s = p->ds_ttl_hold_s,
		.dsboot = (enum prt_dsboot)p->dsboot,
		.dsboot_delay_s = p->dsboot_delay_s,
		.keystate_compat_02 = c->keystate_compat_02 || p->keystate_compat_02,
	};
	err = bits_of(&p->sources, source_bits, COUNT(source_bits), &out->policy.sources, why);
	if (err == MSP_OK)
		err = bits_of(&p->touch, touch_bits, COUNT(touch_bits), &out->policy.touch, why);
	if (err == MSP_OK)
		err = bits_of(&p->bootstrap, method_bits, COUNT(method_bits), &out->policy.methods, why);
	if (err == MSP_OK)
		err = numbers_of(&p->ds_digests, prt_shape_rules_default.ds_digests, &out->check.shape.ds_digests, why);
	if (err == MSP_OK)
		err = numbers_of(&p->ds_algorithms, prt_shape_rules_default.ds_algorithms,
				 &out->check.shape.ds_algorithms, why);
	if (err == MSP_OK)
		err = numbers_of(&p->key_algorithms, prt_key_rules_default.algorithms, &out->keys.algorithms, why);
	if (err == MSP_OK)
		err = retries_of(&p->scan_retry, out->scan_retry_s, why);
	out->boot.methods = out->policy.methods;
	return err;
}
