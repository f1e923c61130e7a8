/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What a transfer of the signer's zone tells: the group, our own keys, what is served. @source PROTOCOL A.1,
 * D.1, F.3 */
#ifndef MSAD_ZONE_WATCH_H
#define MSAD_ZONE_WATCH_H

#include "state.h"

MSP_CHECKED enum msp_err msa_zone_new(struct msa_core *c, const struct msa_zone_conf *conf);
void msa_zone_free(struct msa_core *c, struct msa_zone **z);
void msa_zone_view(struct msa_core *c, const struct msa_zone_view *v);
/** A view could not be taken: ask for another one. */
void msa_zone_view_lost(struct msa_core *c, const struct msp_name *zone);
/** What the combiner has of us becomes what we have contributed, unless that is known already (MSA_EV_READBACK). */
void msa_zone_readback(struct msa_core *c, const struct msp_name *zone, const struct msp_rrset *dnskey,
		       const struct msp_rrset *cds, const struct msp_rrset *cdnskey);
/** Our own contribution may have changed without a transfer: a key towards the parent was made. */
void msa_zone_own_again(struct msa_core *c, struct msa_zone *z);
void msa_zone_failed(struct msa_core *c, const struct msp_name *zone, const char *why);

#endif
