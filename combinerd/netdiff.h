/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The net difference of a row of deletions and additions: for each record what it was before the first and after the
 * last of them. Records are the same one when owner, type and RDATA are equal (msp_rdata_equal); TTL and case are part
 * of what a record was and is.
 */
#ifndef CMB_NETDIFF_H
#define CMB_NETDIFF_H

#include <msproto/base/map.h>
#include <msproto/wire/rr.h>

struct cmb_netdiff {
	struct msp_map map; /* owned: canonical name, type, canonical RDATA -> struct item */
	struct msp_buf key; /* owned: scratch */
	size_t octets, max; /* of keys held, allowed */
};
/** @param max octets of memory for keys, about */
void cmb_netdiff_init(struct cmb_netdiff *d, size_t max);
/** Legal twice. */
void cmb_netdiff_fini(struct cmb_netdiff *d);
/**
 * The record has gone, or has come.
 * @param wire the same record, uncompressed, as it is stored; borrowed until cmb_netdiff_fini
 * @return MSP_OK, MSP_ENOMEM, MSP_ELIMIT
 */
MSP_CHECKED enum msp_err cmb_netdiff_del(struct cmb_netdiff *d, const struct msp_rr *rr, struct msp_span wire);
MSP_CHECKED enum msp_err cmb_netdiff_add(struct cmb_netdiff *d, const struct msp_rr *rr, struct msp_span wire);
/** Append what was before and is not any more to del, and what is now to add, in canonical order of names. */
MSP_CHECKED enum msp_err cmb_netdiff_write(const struct cmb_netdiff *d, struct msp_buf *del, struct msp_buf *add);

#endif
