/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A configuration that has been opened: key files read, names resolved to rules and keys. It never changes; a reload
 * makes another one. Counted, from the loop: jobs and probes hold the one that they began with. What it hands out may
 * be read from any thread while a reference is held.
 */
#ifndef PRT_SETTINGS_H
#define PRT_SETTINGS_H

#include "conf.h"
#include "desk.h"
#include "records.h"

#include <msproto/auth/sig0.h>
#include <msproto/auth/tsig.h>

struct prt_settings;

/** One entry of `policies` as rules. MSP_ECONF: a word in it is not known. Defined in conf.c. */
MSP_CHECKED enum msp_err prt_rules_from_conf(const struct prt_conf_policy *p, const struct prt_conf *c,
					     struct prt_rules *out, struct msp_why *why);

#define PRT_DSYNC_UPDATE 1u
#define PRT_DSYNC_CDS    2u
#define PRT_DSYNC_CSYNC  4u
#define PRT_DSYNC_NONE   8u /* only in words */
/** What a child's `dsync` says; `keep` when it says nothing. MSP_ECONF: a word is not known. Defined in conf.c. */
MSP_CHECKED enum msp_err prt_conf_dsync_kinds(const struct msp_conf_strs *strs, unsigned keep, unsigned *kinds,
					      struct msp_why *why);

/** Reads the files that the configuration names. Problems go to errors, a line each. */
MSP_CHECKED enum msp_err prt_settings_load(const char *conf_path, struct prt_settings **out, struct msp_buf *errors);
struct prt_settings *prt_settings_ref(struct prt_settings *s);
/** NULL allowed. */
void prt_settings_unref(struct prt_settings **s);
const struct prt_conf *prt_settings_conf(const struct prt_settings *s);

/** The parent whose apex this is; NULL. */
const struct prt_conf_parent *prt_settings_parent(const struct prt_settings *s, const struct msp_name *zone);
/** The parent that a name could be a child of: the closest one above it; NULL. */
const struct prt_conf_parent *prt_settings_parent_of(const struct prt_settings *s, const struct msp_name *child);
/** What holds for a child: its own exception's policy, else its parent's, else closed; and its own KeyState layout. */
const struct prt_rules *prt_settings_rules(const struct prt_settings *s, const struct prt_conf_parent *parent,
					   const struct msp_name *child);
/** Name of that policy, for people; "closed" where there is none. */
const char *prt_settings_policy_name(const struct prt_settings *s, const struct prt_conf_parent *parent,
				     const struct msp_name *child);
/** What of a parent's children has DSYNC records of its own. Borrowed. */
const struct prt_dsync_child *prt_settings_dsync(const struct prt_settings *s, const struct prt_conf_parent *parent,
						 size_t *count);
/** Whether a child is told to send NOTIFY about this type: CDS, CSYNC. */
bool prt_settings_announces(const struct prt_settings *s, const struct prt_conf_parent *parent,
			    const struct msp_name *child, uint16_t type);
/** Own keys: [0] signs. At least one. Private keys; their owner is conf->target. */
const struct msp_key *prt_settings_key(const struct prt_settings *s, size_t i);
size_t prt_settings_key_count(const struct prt_settings *s);
const struct msp_sig0_policy *prt_settings_sig0(const struct prt_settings *s);
/** NULL when absent, or when the key has another algorithm (RFC 8945 5.2.1). */
const struct msp_tsig_key *prt_settings_tsig(const struct prt_settings *s, const struct msp_name *name,
					     enum msp_tsig_alg alg);
const struct msp_tsig_key *prt_settings_tsig_named(const struct prt_settings *s, const struct msp_name *name);
/** For msp_tsig_verify_request: arg is the settings. */
const struct msp_tsig_key *prt_settings_find_tsig(void *arg, const struct msp_name *name, enum msp_tsig_alg alg);
/** Whether the registrar with this TSIG key speaks for the child. */
bool prt_settings_registrar(const struct prt_settings *s, const struct msp_name *key, const struct msp_name *child);

#endif
