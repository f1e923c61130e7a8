/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Differences of RRsets: what to delete, what to add. */
#ifndef MSPROTO_ZONE_DIFF_H
#define MSPROTO_ZONE_DIFF_H

#include <msproto/wire/rrset.h>

enum msp_change { MSP_CHANGE_DEL, MSP_CHANGE_ADD };
typedef enum msp_err msp_diff_fn(void *arg, enum msp_change change, const struct msp_rr *rr);
/**
 * Call fn for each record that leaves (first) and enters, turning `before` into `after` (either may be NULL = empty).
 * A TTL change deletes and adds every record. Stops at the first error of fn and returns it.
 */
MSP_CHECKED enum msp_err msp_rrset_diff(const struct msp_rrset *before, const struct msp_rrset *after, msp_diff_fn *fn,
					void *arg);

#endif
