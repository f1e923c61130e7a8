/* SPDX-License-Identifier: BSD-2-Clause */
/** @file parentd's settings. The table in conf.c is the reference; packaging/examples/parentd.conf shows them. */
#ifndef PRT_CONF_H
#define PRT_CONF_H

#include "store.h"

#include <msproto/kit/conf.h>
#include <msproto/wire/rr.h>

#define PRT_LISTEN_MAX   16
#define PRT_PARENTS_MAX  256
#define PRT_BACKENDS_MAX 8
#define PRT_KEYS_OWN_MAX 4

enum prt_backend_kind {
	PRT_BACKEND_UPDATE,
	PRT_BACKEND_FILE,
	PRT_BACKEND_HOOK,
	PRT_BACKEND_SQL,
	PRT_BACKEND_NONE /* not in any file: a parent that has no other one */
};
struct prt_conf_backend {             /* backends = ( { name; kind; ... } ) of a parent */
	const char *name;             /* unique in its parent; its place in the journal is kept under it */
	int kind;                     /* enum prt_backend_kind */
	struct msp_addr addr;         /* update: the parent's primary */
	struct msp_name tsig_key;     /* update */
	char *path;                   /* file: what is written; sql: file (0600) with the connection string */
	struct msp_conf_strs command; /* file: run after each writing; hook: the program. Absolute path, arguments */
	uint32_t timeout_s, retry_s, retry_max_s;
};
struct prt_conf_primary {
	struct msp_addr addr; /* family NONE: the parent zone is not read (children come by `msctl parent add`) */
	struct msp_name tsig_key;
	uint32_t interval_s; /* between looks at its SOA; NOTIFY advances it */
};
/** What is published for a parent (PROTOCOL G.1). */
enum prt_publish_kind { PRT_PUBLISH_NONE, PRT_PUBLISH_UPDATE, PRT_PUBLISH_PRIMARY };
struct prt_conf_publish {
	int how;                        /* enum prt_publish_kind; NONE: printed by `msctl parent records` only */
	bool update, cds, csync;        /* which DSYNC records */
	bool wildcard, plain;           /* *._dsync.P, _dsync.P */
	struct msp_conf_strs bootstrap; /* SVCB tokens; empty: what the policy has open */
	struct msp_conf_strs address;   /* A and AAAA of the target; empty: none (they are somebody else's) */
	uint32_t ttl_s;
	struct msp_conf_list
		downstreams;     /* PRIMARY: struct prt_conf_remote: who may transfer _dsync.P and is notified */
	struct msp_conf_strs ns; /* PRIMARY: NS of that zone */
};
struct prt_conf_remote {
	struct msp_addr addr;
	struct msp_name tsig_key;
};
struct prt_conf_parent {
	struct msp_name zone;
	char *policy; /* name of an entry of policies; NULL: closed */
	struct prt_conf_primary primary;
	struct msp_conf_list backends; /* struct prt_conf_backend */
	struct prt_conf_publish publish;
};
struct prt_conf_policy {
	char *name;
	struct msp_conf_strs sources;   /* "update", "tsig", "cds", "dsboot", "csync" */
	struct msp_conf_strs touch;     /* "ns", "glue", "ds", "key" */
	struct msp_conf_strs bootstrap; /* "at-apex", "at-ns", "unsigned", "manual" */
	int mode;                       /* 0 apply, 1 propose */
	bool allow_delete, keys_need_human, key_rollover, strict_ns, private_addresses, checks;
	uint32_t cooldown_s, confirm_s;
	int64_t changes_per_day, ns_min, ns_max, ds_max, min_servers, check_tries;
	struct msp_conf_strs ds_digests, ds_algorithms, key_algorithms; /* decimal numbers or names */
	int64_t boot_vantages, boot_rounds;
	uint32_t boot_span_s, boot_retry_s;
	int dsboot; /* enum prt_dsboot */
	uint32_t dsboot_delay_s;
	uint32_t ds_ttl_s, ds_ttl_changed_s, ds_ttl_hold_s;
	struct msp_conf_strs scan_retry; /* seconds each, at most 4; empty: 300, 600, 1200, 2400 */
	bool keystate_compat_02;
};
struct prt_conf_child { /* children = ( { zone; ... } ): exceptions. There may be very many: no names but one */
	struct msp_name zone;
	char *policy;               /* NULL: the parent's */
	struct msp_conf_strs dsync; /* "update", "cds", "csync"; or "none"; empty: as for all children */
	char *dsync_target;         /* NULL: target */
	uint16_t dsync_port;        /* 0: the common one */
	bool keystate_compat_02;
};
struct prt_conf_registrar { /* registrars = ( { tsig-key; children = [...]; } ): TSIG instead of SIG(0) */
	struct msp_name tsig_key;
	struct msp_conf_strs children; /* empty with all = false: nobody */
	bool all;
};
struct prt_conf_resolver {
	char *trust_anchor_file;
	struct msp_conf_strs root_servers;
	uint32_t timeout_s;
};
/** A resolver elsewhere that is asked for an unsigned child's KEY, over TCP: another point of view. */
struct prt_conf_vantage {
	struct msp_addr addr;
};
struct prt_conf_limits {
	int64_t requests_per_s;        /* of one source prefix, unauthenticated; G.3: 100 */
	int64_t failures_per_s;        /* failed verifications of one source prefix; C.3: 20 */
	int64_t verify_per_name_per_s; /* verifications begun for one child's name, whoever asks; default 50 */
	int64_t verify_in_flight;      /* in the workers at one time; default 512 */
	int64_t signed_refusals_per_s; /* signed answers to what could not be verified, for each prefix; G.7: 10 */
	int64_t tcp_connections, tcp_per_client, tcp_outstanding;
	uint32_t sync_limit_ms; /* an answer waits for the checks of the servers for this long; 0: never (G.5: 5 s) */
	bool defer;             /* after that NOERROR, the checks go on; else SERVFAIL, and nothing is changed */
	int64_t scans_in_flight, scan_rate; /* children a second of the sweep */
	uint32_t sweep_s; /* every child is looked at once in this time, at most at scan_rate; 0 = no sweep */
};
struct prt_conf {
	struct msp_name target;         /* DSYNC target: owner of the receiver's KEY, signer name of answers */
	struct msp_conf_strs sig0_keys; /* .private files; the first one signs, all are published (rollover) */
	char *state_dir, *control;
	int store_kind;   /* enum prt_store_kind */
	char *store_path; /* NULL: state_dir/parentd.db */
	int log_level;
	struct msp_addr metrics;     /* family NONE: none */
	struct msp_conf_list listen; /* struct msp_conf_listen */
	struct prt_conf_resolver resolver;
	struct msp_conf_list vantages;  /* struct prt_conf_vantage */
	struct msp_conf_list tsig_keys; /* struct msp_conf_tsig */
	struct msp_conf_list policies, parents, children, registrars;
	struct prt_conf_limits limits;
	struct msp_addr probe_source4, probe_source6;
	bool probe_ipv4, probe_ipv6;
	int64_t probe_port;
	uint32_t probe_timeout_s;
	uint32_t sig0_skew_s, sig0_window_s;
	bool keystate_compat_02; /* of all policies */
	struct msp_numbers numbers;
};
extern const struct msp_conf_schema prt_conf_schema;

/** Load and cross-check (names exist, keys named are there, words are known). All problems go to errors, a line each.
 */
MSP_CHECKED enum msp_err prt_conf_load(const char *path, struct prt_conf *out, struct msp_buf *errors);

/** Whether a record with this owner is published in the way that the parent is configured for; by hand, all are. */
bool prt_conf_publishes(const struct prt_conf_parent *p, const struct msp_name *owner);
/** What its owner has to be told, and what is no error; a line each. */
void prt_conf_advise(const struct prt_conf *c, struct msp_buf *out);

/** Whether a child has DSYNC records of its own. */
static inline bool prt_conf_child_has_dsync(const struct prt_conf_child *c)
{
	return c->dsync.count > 0 || c->dsync_target != NULL || c->dsync_port != 0;
}
static inline const struct prt_conf_parent *prt_conf_parent_at(const struct prt_conf *c, size_t i)
{
	return &((const struct prt_conf_parent *)c->parents.item)[i];
}

#endif
