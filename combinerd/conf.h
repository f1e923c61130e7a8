/* SPDX-License-Identifier: BSD-2-Clause */
/** @file combinerd's settings. The table in conf.c is the reference; packaging/examples/combinerd.conf shows them. */
#ifndef CMB_CONF_H
#define CMB_CONF_H

#include "merge.h"
#include "refresh.h"

#include <msproto/auth/tsig.h>
#include <msproto/kit/conf.h>

#define CMB_TRANSFERS_MAX 10000 /* what transfers-in-max and transfers-out-max may say */

struct cmb_conf_remote {        /* a primary or a signer */
	struct msp_addr addr;   /* default port: 53, with transport tls 853 */
	struct msp_addr source; /* family NONE: the system chooses */
	int transport; /* enum msp_conf_transport; "tls": SOA, IXFR and AXFR over TLS. NOTIFY is always UDP or TCP, and
			  goes to port 53 where `addr` says 853 */
	char *tls;     /* name of an entry of `tls` */
	struct msp_name tsig_key;      /* len 0 = none: only with transport tls, or with unsigned = true */
	struct msp_name tsig_key_next; /* len 0 = none. During a rollover: accepted too, and used when the other is
					  refused with BADKEY or BADSIG */
	bool is_unsigned;
};
struct cmb_conf_agent {
	struct msp_name tsig_key;
	struct msp_conf_strs types; /* of DNSKEY CDS CSYNC NS CDNSKEY KEY that this key may change; none listed = all
				       permitted */
};
/**
 * One rule of an access list: all of its conditions hold, or it says nothing. A list permits what one of its rules
 * permits. A rule without tsig-key and without client certificate needs `unsigned = true`, and matches only requests
 * without TSIG.
 */
enum cmb_conf_rule_transport { CMB_RULE_ANY, CMB_RULE_UDP, CMB_RULE_TCP, CMB_RULE_TLS }; /* tcp: without TLS */
struct cmb_conf_rule {
	struct msp_prefix address; /* family NONE = any */
	int transport;
	struct msp_name tsig_key;       /* len 0 = none */
	struct msp_conf_strs cert_pins; /* the client's certificate is one of these; makes transport tls */
	bool cert_ca;                   /* the client's certificate is good under the listener's `ca` */
	bool is_unsigned;
};

/** What can be said once in a template and again for a zone. */
struct cmb_conf_settings {
	struct msp_name identity;
	struct msp_conf_list primaries, signers;           /* struct cmb_conf_remote */
	struct msp_conf_list agents;                       /* struct cmb_conf_agent */
	struct msp_conf_list allow_transfer, allow_notify; /* struct cmb_conf_rule; beside what signers and primaries
							      imply */
	struct msp_conf_strs extra_types;
	int zonemd; /* enum cmb_zonemd */
	int64_t coalesce_ms;
	/* guards; 0 = no limit */
	int64_t max_records, max_names, max_shrink; /* max_shrink: per cent of the records that may go at once */
	uint64_t max_octets, max_rrset;             /* of a transfer; of one RRset's RDATA */
	struct msp_conf_strs verifier;              /* program and arguments; none = no verifier */
	uint32_t verifier_timeout_s;
	int64_t history_entries;
	uint64_t history_octets; /* 0 = a quarter of the zone */
	uint32_t refresh_min, refresh_max, retry_min, retry_max, expire_min, expire_max;
	uint32_t transfer_idle_s, transfer_max_s;
	bool ixfr; /* ask for differences */
};
struct cmb_profile;
struct cmb_conf_template {
	char *name;
	struct cmb_conf_settings set;
};
struct cmb_conf_zone {
	struct msp_name name;
	struct msp_conf_base template;     /* settings not given in the zone's entry are the template's */
	struct cmb_conf_settings set;      /* is_bare: empty, the template's hold */
	const struct cmb_profile *profile; /* settings.c: made from `set`, which it has taken */
};
struct cmb_conf_group { /* RFC 9432 4.4.2 */
	char *group, *template;
};
struct cmb_conf_catalog {
	struct msp_name zone;        /* one of zones */
	char *template;              /* of member zones without a group, or with one not listed */
	struct msp_conf_list groups; /* struct cmb_conf_group */
};

struct cmb_conf_resolver { /* used when an entry of tls believes by TLSA */
	char *trust_anchor_file;
	struct msp_conf_strs root_servers;
	uint32_t timeout_s;
};
struct cmb_conf {
	char *state_dir, *control;
	int log_level;
	struct msp_conf_list listen;    /* struct msp_conf_listen */
	struct msp_conf_list tls;       /* struct msp_conf_tls */
	struct msp_conf_list tsig_keys; /* struct msp_conf_tsig */
	struct msp_conf_list templates; /* struct cmb_conf_template */
	struct msp_conf_list zones;     /* struct cmb_conf_zone */
	struct msp_conf_list catalogs;  /* struct cmb_conf_catalog */
	struct msp_numbers numbers;
	struct cmb_conf_resolver resolver;
	struct msp_addr metrics; /* family NONE = none; HTTP: /metrics, /healthz */
	uint64_t map_size;
	int64_t zones_max; /* configured ones and members of catalogs together */
	int64_t transfers_in_max, transfers_in_per_primary_max, zones_loaded_max;
	int64_t transfers_out_max, tcp_connections_max, tcp_per_client_max, notifies_max;
	uint32_t transfer_out_max_s, stall_s, notify_timeout_s;
	int64_t notify_tries;
};
extern const struct msp_conf_schema cmb_conf_schema, cmb_conf_template_schema;

/** Read and check, cross references included. Problems go to errors, a line each; then *out has been released. */
MSP_CHECKED enum msp_err cmb_conf_load(const char *path, struct cmb_conf *out, struct msp_buf *errors);
void cmb_conf_fini(struct cmb_conf *c);
/** Release the list of zones alone, which may be large. */
void cmb_conf_drop_zones(struct cmb_conf *c);

const struct cmb_conf_zone *cmb_conf_zone_at(const struct cmb_conf *c, size_t i);
const struct cmb_conf_remote *cmb_conf_remote_at(const struct msp_conf_list *l, size_t i);
const struct cmb_conf_agent *cmb_conf_agent_at(const struct msp_conf_list *l, size_t i);
const struct cmb_conf_rule *cmb_conf_rule_at(const struct msp_conf_list *l, size_t i);
const struct cmb_conf_template *cmb_conf_template_named(const struct cmb_conf *c, const char *name);
const struct msp_conf_tls *cmb_conf_tls_named(const struct cmb_conf *c, const char *name);
/** Everything but the zone's name, which is left empty. */
void cmb_conf_rules(const struct cmb_conf *c, const struct cmb_conf_settings *set, struct cmb_rules *out);
void cmb_conf_limits(const struct cmb_conf_settings *set, struct cmb_refresh_limits *out);

#endif
