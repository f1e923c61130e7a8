/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A configuration that has been opened: files read, names resolved to keys and TLS contexts. It never changes; a reload
 * makes another one. Counted: zones, transfers and listeners hold the one that they began with, so that a reload ends
 * nothing that is under way.
 */
#ifndef CMB_SETTINGS_H
#define CMB_SETTINGS_H

#include "conf.h"

#include <msproto/io/tls.h>

struct cmb_settings;

/** A primary or a signer with what is needed to speak to it. All borrowed from the settings. */
struct cmb_target {
	const struct cmb_conf_remote *conf;
	const struct msp_tsig_key *key, *key_next; /* NULL = none */
	struct msp_tls *tls;                       /* NULL = plain */
};
/** What zones share: made from a template, or from a zone's entry that says something of its own. */
struct cmb_profile {
	struct cmb_settings *settings; /* its owner */
	const char *template;          /* name of the template that it is; NULL: a zone's own */
	const struct cmb_conf_settings *conf;
	struct cmb_rules rules; /* zone left empty */
	struct cmb_refresh_limits limits;
	struct cmb_target *primary, *signer;
	size_t primary_count, signer_count;
	bool needs_inspection; /* verifier or ZONEMD: a new version is looked at before it is served, and is always
				  transferred whole */
};

/** Reads the files that the configuration names. Problems go to errors, a line each. */
MSP_CHECKED enum msp_err cmb_settings_load(const char *conf_path, struct cmb_settings **out, struct msp_buf *errors);
struct cmb_settings *cmb_settings_ref(struct cmb_settings *s);
/** NULL allowed. */
void cmb_settings_unref(struct cmb_settings **s);
const struct cmb_conf *cmb_settings_conf(const struct cmb_settings *s);
/** Every zone of the configuration with its profile; after this the list of zones is given up (it may be large). */
typedef enum msp_err cmb_settings_zone_fn(void *arg, const struct msp_name *zone, const struct cmb_profile *profile);
MSP_CHECKED enum msp_err cmb_settings_take_zones(struct cmb_settings *s, cmb_settings_zone_fn *fn, void *arg);
/** NULL: no such template. */
const struct cmb_profile *cmb_settings_profile(const struct cmb_settings *s, const char *template);
/** NULL when absent, or when the key has another algorithm (RFC 8945 5.2.1). */
const struct msp_tsig_key *cmb_settings_key(const struct cmb_settings *s, const struct msp_name *name,
					    enum msp_tsig_alg alg);
/** The contexts of primaries that are known by TLSA records. Stops at fn's first error and returns it. */
typedef enum msp_err cmb_settings_tlsa_fn(void *arg, struct msp_tls *tls, const char *auth_name);
MSP_CHECKED enum msp_err cmb_settings_each_tlsa(const struct cmb_settings *s, cmb_settings_tlsa_fn *fn, void *arg);
/** For msp_server_open_tls. NULL: no such entry, or none for a server. */
struct msp_tls *cmb_settings_server_tls(const struct cmb_settings *s, const char *name);

#endif
