/* SPDX-License-Identifier: BSD-2-Clause */
/** @file msad's settings; the schema table in conf.c is what parses, checks and documents them. */
#ifndef MSAD_CONF_H
#define MSAD_CONF_H

#include "core.h"
#include "signer.h"

#include <msproto/kit/conf.h>

struct msa_conf_remote { /* a server and the TSIG key that goes with it */
	struct msp_addr addr;
	struct msp_name tsig_key;
};
struct msa_conf_signer {
	struct msp_addr addr;
	struct msp_name tsig_key;
	int adapter; /* enum msa_adapter */
	struct msa_signer_tools tools;
};
struct msa_conf_zone {
	struct msp_name name;
	struct msp_conf_strs ns;
	uint32_t dnskey_ttl_s;
	bool cdnskey;
	int parent_sync; /* enum msa_parent_mode */
	bool publish_parent_key;
	struct msa_conf_signer signer;
	struct msa_conf_remote combiner;
};
struct msa_conf_identity {
	struct msp_name name;
	struct msp_conf_strs ns;
	struct msp_name mname, rname;
	uint32_t ttl_s;
	struct msp_conf_list downstreams; /* struct msa_conf_remote */
};
struct msa_conf_resolver {
	char *trust_anchor_file;
	struct msp_conf_strs root_servers;
	uint32_t timeout_s;
};
enum msa_conf_secure { MSA_SECURE_NONE, MSA_SECURE_UPDATE, MSA_SECURE_ALL };
struct msa_conf_parent {
	int dsync_require_secure; /* enum msa_conf_secure */
	bool accept_unsigned;
	struct msp_conf_strs fingerprints;
	uint32_t delay_s, observe_s, poll_s, poll_max_s, state_s, state_max_s;
};
/** A SHA-256 in hexadecimal. */
MSP_CHECKED enum msp_err msa_conf_fingerprint(const char *text, uint8_t out[32]);

struct msa_conf {
	struct msp_name identity, host;
	char *sig0_key, *state_dir, *control;
	int log_level;
	struct msp_conf_list listen, zone_listen; /* struct msp_conf_listen */
	struct msp_conf_strs publish;
	struct msa_conf_resolver resolver;
	struct msa_conf_parent parent;
	struct msp_conf_list tsig_keys; /* struct msp_conf_tsig */
	struct msa_conf_identity identity_zone;
	struct msp_conf_list zones; /* struct msa_conf_zone */
	uint32_t heartbeat_s, hello_retry_s, hello_retry_max_s, discovery_retry_s, discovery_retry_max_s,
		discovery_cache_min_s;
	uint32_t zone_poll_max_s;
	bool svcb_port_override;
	struct msp_numbers numbers;
};
extern const struct msp_conf_schema msa_conf_schema;

/** Load and cross-check (keys named exist, names parse, zones differ). All problems go to errors, a line each. */
MSP_CHECKED enum msp_err msa_conf_load(const char *path, struct msa_conf *out, struct msp_buf *errors);

#endif
