/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What must not be lost, in SQLite (kit/store.h): contributions, serials, the apex that was served, its history, and
 * the UPDATEs that were accepted. A function that writes does so inside the caller's transaction.
 */
#ifndef CMB_STATE_H
#define CMB_STATE_H

#include "core.h"

#include <msproto/kit/store.h>

MSP_CHECKED enum msp_err cmb_state_open(const char *path, struct msp_store **out, struct msp_why *why);
/** Fill contributions, serials, the apex last served and its history. *refreshed: when the owner last confirmed it; 0
 * unknown. */
MSP_CHECKED enum msp_err cmb_state_load(struct msp_store *s, struct cmb_zone *z, struct msp_wall *refreshed,
					struct msp_why *why);
/** Write what differs between two states of the contributions. */
MSP_CHECKED enum msp_err cmb_state_put_contrib(struct msp_store *s, const struct msp_name *zone,
					       const struct cmb_contrib *before, const struct cmb_contrib *after);
/** The version that is about to be adopted by z. */
MSP_CHECKED enum msp_err cmb_state_put_version(struct msp_store *s, const struct cmb_zone *z,
					       const struct cmb_version *v);
MSP_CHECKED enum msp_err cmb_state_put_refreshed(struct msp_store *s, const struct msp_name *zone, struct msp_wall now);

/** Accepted UPDATEs, by what identifies the message; kept until the time at which its TSIG is too old anyway. */
MSP_CHECKED enum msp_err cmb_state_put_seen(struct msp_store *s, struct msp_span id, struct msp_wall until);
MSP_CHECKED enum msp_err cmb_state_del_seen(struct msp_store *s, struct msp_span id);
typedef enum msp_err cmb_seen_fn(void *arg, struct msp_span id, struct msp_wall until);
MSP_CHECKED enum msp_err cmb_state_each_seen(struct msp_store *s, cmb_seen_fn *fn, void *arg);

#endif
