/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Secondary of one zone at its signer: streams transfers, keeps the apex and a few numbers, never the zone.
 * @source PROTOCOL D.1, DESIGN 3 (zone watch)
 */
#ifndef MSAD_ZONE_FETCH_H
#define MSAD_ZONE_FETCH_H

#include "core.h"

#include <msproto/auth/tsig.h>
#include <msproto/io/loop.h>

struct msa_fetch;
struct msa_fetch_conf {
	struct msp_name zone;
	struct msp_addr signer;
	const struct msp_tsig_key *tsig; /* borrowed */
	uint16_t type_hsync;
	uint32_t poll_max_s; /* the SOA's refresh, cut to this */
};
/** The view is borrowed during the call. */
typedef void msa_fetch_view_fn(void *arg, const struct msa_zone_view *view);
typedef void msa_fetch_failed_fn(void *arg, const struct msp_name *zone, const char *why);

/** The first transfer starts at once. rand borrowed. */
MSP_CHECKED enum msp_err msa_fetch_new(struct msp_loop *loop, const struct msa_fetch_conf *conf, struct msp_rand *rand,
				       msa_fetch_view_fn *view, msa_fetch_failed_fn *failed, void *arg,
				       struct msa_fetch **out);
/** Transfer now; one in flight, one queued. has_hint: skip it when this serial is held already. */
void msa_fetch_kick(struct msa_fetch *f, bool has_hint, uint32_t serial_hint);
const struct msa_fetch_conf *msa_fetch_conf(const struct msa_fetch *f);
void msa_fetch_free(struct msa_fetch **f);

#endif
