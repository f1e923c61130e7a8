/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Heartbeats and DATA, and when a member is next sent something. @source PROTOCOL D.6, D.7 */
#ifndef MSAD_BEAT_H
#define MSAD_BEAT_H

#include "state.h"

/** Look: which of HELLO, DATA, HEARTBEAT and pull is due. */
void msa_member_look(struct msa_core *c, struct msa_member *m);
/** What came of MSA_ACT_SEND, for any of them. */
void msa_member_answer(struct msa_core *c, struct msa_pend *pend, enum msp_err err, struct msp_span octets);

#endif
