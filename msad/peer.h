/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Peer records and members: their life, and what their machines' actions do. @source PROTOCOL D.3 */
#ifndef MSAD_PEER_H
#define MSAD_PEER_H

#include "state.h"

/** The member of the zone for an identity, made when absent (with its peer). MSP_ELIMIT when there are too many. */
MSP_CHECKED enum msp_err msa_member_get(struct msa_core *c, struct msa_zone *z, const struct msp_name *identity,
					struct msa_member **out);
/** NULL when absent. */
struct msa_member *msa_member_find(const struct msa_zone *z, const struct msp_name *identity);
/** HSYNC names it now, with this role; or (MSA_ROLE_NONE) no longer. */
void msa_member_role(struct msa_core *c, struct msa_member *m, enum msa_role role, bool signs);
void msa_member_free(struct msa_core *c, struct msa_member **m);
void msa_peer_free(struct msa_core *c, struct msa_peer **p);

void msa_link_raise(struct msa_core *c, struct msa_peer *p, enum msa_link_event ev);
void msa_member_raise(struct msa_core *c, struct msa_member *m, enum msa_member_event ev);
/** The peer's group digest was learnt, or ours has changed. */
void msa_member_group(struct msa_core *c, struct msa_member *m, const uint8_t digest[32]);
void msa_member_compare_group(struct msa_core *c, struct msa_member *m);
/** Send our HELLO (again) after 0..2 s. */
void msa_member_greet(struct msa_core *c, struct msa_member *m);
/** Messages may go to it: listed, located, and we take part. */
bool msa_member_is_active(const struct msa_member *m);

/** Look: expiry of what was discovered, searches, health, legacy. */
void msa_peer_look(struct msa_core *c, struct msa_peer *p);

#endif
