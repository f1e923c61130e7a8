/* SPDX-License-Identifier: BSD-2-Clause */
/** @file combinerd's settings. The table in conf.c is the reference; packaging/examples/combinerd.conf shows them. */
#ifndef CMB_CONF_H
#define CMB_CONF_H

#include "merge.h"
#include "refresh.h"

#include <msproto/auth/tsig.h>
#include <msproto/kit/conf.h>

struct cmb_conf_remote { /* a primary or a signer */
	struct msp_addr addr;
	struct msp_addr source; /* family NONE: the system chooses */
	struct msp_name tsig_key;
};
struct cmb_conf_agent {
	struct msp_name tsig_key;
};
struct cmb_conf_zone {
	struct msp_name name, identity;
	struct msp_conf_list primaries, signers; /* struct cmb_conf_remote */
	struct msp_conf_list agents;             /* struct cmb_conf_agent */
	struct msp_conf_strs extra_types;
	int zonemd; /* enum cmb_conf_zonemd */
	int64_t coalesce_ms, max_records;
	uint64_t max_octets;
	uint32_t refresh_min, refresh_max, retry_min, retry_max, expire_min, expire_max;
	uint32_t transfer_idle_s, transfer_max_s;
};
enum cmb_conf_zonemd { CMB_ZONEMD_STRIP, CMB_ZONEMD_KEEP };

struct cmb_conf {
	char *state_dir, *control;
	int log_level;
	struct msp_conf_list listen;    /* struct msp_conf_listen */
	struct msp_conf_list tsig_keys; /* struct msp_conf_tsig */
	struct msp_conf_list zones;     /* struct cmb_conf_zone */
	struct msp_numbers numbers;
	uint64_t map_size;
	int64_t transfers_out_max, tcp_connections_max, tcp_per_client_max;
	uint32_t transfer_out_max_s, stall_s, notify_timeout_s;
	int64_t notify_tries;
};
extern const struct msp_conf_schema cmb_conf_schema;

/** Read and check, cross references included. Problems go to errors, a line each; then *out has been released. */
MSP_CHECKED enum msp_err cmb_conf_load(const char *path, struct cmb_conf *out, struct msp_buf *errors);
void cmb_conf_fini(struct cmb_conf *c);

const struct cmb_conf_zone *cmb_conf_zone_at(const struct cmb_conf *c, size_t i);
const struct cmb_conf_remote *cmb_conf_remote_at(const struct msp_conf_list *l, size_t i);
const struct cmb_conf_agent *cmb_conf_agent_at(const struct msp_conf_list *l, size_t i);
void cmb_conf_rules(const struct cmb_conf *c, const struct cmb_conf_zone *z, struct cmb_rules *out);
void cmb_conf_limits(const struct cmb_conf_zone *z, struct cmb_refresh_limits *out);

#endif
