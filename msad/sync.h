/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Desired against observed, per zone: what the combiner is given, when CDS may appear, whether the signer obeys.
 * @source PROTOCOL E.2, E.3, F.2 (I10), SIGNERS 2.2, 2.3, 2.5
 */
#ifndef MSAD_SYNC_H
#define MSAD_SYNC_H

#include "state.h"

/** Look: recompute and do what is missing. */
void msa_zone_look(struct msa_core *c, struct msa_zone *z);
void msa_combined(struct msa_core *c, struct msa_zone *z, enum msp_err err, const char *why);
void msa_signed(struct msa_core *c, struct msa_zone *z, enum msp_err err, const char *why);
/** A signer of the zone other than us. */
static inline bool msa_member_is_signer(const struct msa_member *m)
{
	return m->role == MSA_ROLE_PARTICIPANT && m->signs;
}

#endif
